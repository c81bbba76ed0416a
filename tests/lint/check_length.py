#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A file has at most 600 lines, a function at most 70, agent/main.c at most 150."""

from source import ROOT, agent_files, code_of, files, finish, functions, problem

FILE, FUNCTION, MAIN = 600, 70, 150

for path in agent_files() + files("qemu/*.[ch]", "include/*/*.h"):
    length = path.read_text().count("\n")
    limit = MAIN if path == ROOT / "agent/main.c" else FILE
    if length > limit:
        problem(path, limit, f"{length} lines; the limit is {limit}")
    for name, _, line, lines in functions(code_of(path)):
        if lines > FUNCTION:
            problem(path, line, f"{name}() has {lines} lines; the limit is {FUNCTION}")

finish()
