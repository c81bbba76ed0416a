#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel command line that `make` measures (initramfs/cmdline) is the one that `coffer vm start` boots with."""

import re

from source import ROOT, finish, problem

header = ROOT / "qemu/machine.h"
used = re.search(r'^#define MACHINE_APPEND\s+"([^"]*)"', header.read_text(), re.M)
measured = (ROOT / "initramfs/cmdline").read_text().strip()
if not used:
    problem(header, 1, "MACHINE_APPEND is not a string on one line")
elif used.group(1) != measured:
    problem(header, 1, f"boots with '{used.group(1)}', and initramfs/cmdline says '{measured}'")
finish()
