#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every key of an OCI runtime spec, and every mount option, that the agent knows is in docs/CONFIG.md's tables."""

import re

from source import ROOT, files, finish, line_of, problem

page = ROOT / "docs/CONFIG.md"
_, _, section = (page.read_text() if page.exists() else "").partition("## OCI runtime spec")
first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
described = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", " ".join(first_cells)))))

for path in files("agent/container/oci*.c"):
    text = path.read_text()
    for match in re.finditer(r'\b(?:ROW|REFUSED)\(\s*"(\w+)"|\.name = "(\w+)", \.kind|\{ "(\w+)", OPTION_', text):
        name = next(filter(None, match.groups()))
        if name not in described:
            problem(path, line_of(text, match.start()), f"{name} is not in docs/CONFIG.md")

finish()
