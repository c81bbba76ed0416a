#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing in the tree names one machine: no path of somebody's home or work folder, no package mirror.

Every source file says its licence, and no text ends a line with a blank.
"""

import re
import subprocess

from source import ROOT, files, finish, problem

# Spelled so that this file does not find itself.  A path in the middle of a longer one ("%s/work/...") is not meant.
HERE = [
    (re.compile(r"(?<![\w%.}$)\-/])/(?:work|Users|home/\w+)/"), "a path of one machine"),
    (re.compile(r"\b(?:deb|ftp\.\w*|snapshot|security|cdn-fastly)\.debian\.(?:org|net)\b"), "a package mirror: take the machine's own"),
]
SOURCE = (".c", ".h", ".py", ".sh", ".def")


def tracked():
    done = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True)
    if done.returncode == 0 and done.stdout:
        return [ROOT / name for name in done.stdout.decode().split("\0") if name]
    return [path for path in files("**/*") if path.is_file() and "build" not in path.relative_to(ROOT).parts]


for path in tracked():
    try:
        text = path.read_text()
    except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
        continue
    if "tests/fuzz/corpus" in str(path) or path.name == "LICENSE":
        continue
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, what in HERE:
            if pattern.search(line) and path.name != "check_tree.py":
                problem(path, number, f"{what}: {pattern.search(line).group(0)}")
        if line != line.rstrip(" \t") and path.suffix in SOURCE + (".md", ""):
            problem(path, number, "blanks at the end of the line")
    if path.suffix in SOURCE and "SPDX-License-Identifier: GPL-2.0-or-later" not in text[:400]:
        problem(path, 1, "no licence line (SPDX-License-Identifier)")
finish()
