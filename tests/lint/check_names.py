#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An exported function is named after its file: agent/sys/mounts.c exports mounts_*.  So a call says where to look."""

import re

from source import agent_files, code_of, files, finish, functions, problem

for path in agent_files() + files("qemu/*.c"):
    if path.suffix != ".c":
        continue
    for name, static, line, _ in functions(code_of(path)):
        # job.c may export jobs_...: what is done to all of them.  The front ends have files of the same names, so there the
        # folder may come first: rpc_server_...
        if static or name in ("main", path.stem, "LOG_FUNCTION") or re.match(f"({path.parent.name}_)?{path.stem}s?_", name):
            continue
        problem(path, line, f"{name}() is exported and not called {path.stem}_...")

finish()
