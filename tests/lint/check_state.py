#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent has no variable that outlives a call, but the log's sink and main's own `struct agent`, off which all state hangs.

It reads the object files (BUILD/obj/agent, or the folder that is named) and not the source, so statics in a function and
in a header are seen too.  A constant with pointers in it lies in .data.rel.ro and is no variable.
"""

import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
ALLOWED = {"agent/base/log.o"}
VARIABLE = re.compile(r"^\S+ (?:.{7}) (\.t?data(?!\.rel\.ro)\S*|\.t?bss\S*|\*COM\*)\s+\S+\s+(?:\.hidden )?(\S+)$")

folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(os.environ.get("BUILD", TOP / "build")) / "obj/agent"
objects = sorted(folder.rglob("*.o"))
bad = [] if objects else [f"{folder}: no object files"]
for path in objects:
    name = str(path.relative_to(folder))
    source = TOP / (name[:-2] + ".c")
    if name in ALLOWED or (len(sys.argv) == 1 and not source.exists()):
        continue
    for line in subprocess.run(["objdump", "-t", path], capture_output=True, text=True, check=True).stdout.splitlines():
        match = VARIABLE.match(line)
        if name == "agent/main.o" and match and re.fullmatch(r"agent(\.\d+)?", match.group(2)):
            continue
        if match and not match.group(2).startswith("."):
            bad.append(f"{name[:-2]}.c: the variable '{match.group(2)}' outlives the call (in {match.group(1)})")
print("\n".join(bad), end="\n" if bad else "")
sys.exit(1 if bad else 0)
