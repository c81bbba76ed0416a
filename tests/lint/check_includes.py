#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Includes go downwards only (docs/ARCHITECTURE.md has the picture).

A file may include its own folder's headers and those of lower layers: never of a higher layer, and never of a neighbour
in its own layer.  A new folder needs a place in the list.
"""

import re

from source import ROOT, agent_files, files, finish, line_of, problem

# From the top down.  What stands in one row does not know of each other, but for the programs' top row.
LAYERS = [
    ["main", "boot", "shutdown"],
    ["rpc", "kata", "gcs"],
    ["service"],
    ["policy", "job"],
    ["volume", "layer", "container"],
    ["storage"],
    ["sys"],
    ["loop"],
    ["base"],
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.M)


def unit(path):
    """agent/volume/x.c -> volume; agent/job.c -> job.  agent.h is the state that the operations of service/ work on."""
    return "service" if path == "agent.h" else path.split("/")[0].split(".")[0]


for path in agent_files():
    text = path.read_text()
    own = unit(str(path.relative_to(ROOT / "agent")))
    if own not in RANK:
        problem(path, 1, f"'{own}' has no place in the layers of tests/lint/check_includes.py")
        continue
    for match in INCLUDE.finditer(text):
        name, line = match.group(1), line_of(text, match.start())
        if name.startswith("coffer/"):
            continue
        if not (ROOT / "agent" / name).exists():
            problem(path, line, f'"{name}" is neither below agent/ nor coffer/')
            continue
        other = unit(name)
        if other == own:
            continue
        if other not in RANK:
            problem(path, line, f"'{other}' has no place in the layers")
        elif RANK[other] < RANK[own]:
            problem(path, line, f"{own} is below {other} and may not include {name}")
        elif RANK[other] == RANK[own] and RANK[own] != 0:
            problem(path, line, f"{own} and {other} are neighbours: neither includes the other")

# The host tool shares agent/base and the contract, nothing else.
for path in files("qemu/*.[ch]"):
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        if not match.group(1).startswith(("base/", "coffer/", "qemu/")):
            problem(path, line_of(text, match.start()), f'the host tool may not include "{match.group(1)}"')

finish()
