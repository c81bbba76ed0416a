#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kernel module that the agent asks for by name is in initramfs/modules.list.

Asked for: the words of an array called `modules` or ..._modules, and of a modules_load() call.  What the agent needs without
a '?' must be in the list without one.
"""

import re

from source import ROOT, agent_files, finish, line_of, problem

ARRAY = re.compile(r"\b(?:\w+_)?modules\[\]\s*=\s*\{(.*?)\}\s*;", re.S)


def plain(name):
    return name.lstrip("?").replace("-", "_")


listed = {}
for line in (ROOT / "initramfs/modules.list").read_text().splitlines():
    name = line.split("#")[0].strip()
    if name:
        listed[plain(name)] = not name.startswith("?")

for path in agent_files():
    text = re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[^\n]", " ", match.group(0)), path.read_text(), flags=re.S)
    for array in ARRAY.finditer(text):
        for word in re.findall(r'"([^"]*)"', array.group(1)):
            if plain(word) not in listed:
                problem(path, line_of(text, array.start()), f"module {word} is not in initramfs/modules.list")
            elif not word.startswith("?") and not listed[plain(word)]:
                problem(path, line_of(text, array.start()), f"module {word} is needed here and optional in initramfs/modules.list")
finish()
