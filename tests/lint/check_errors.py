#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/ERRORS.md is what include/coffer/errors.def says."""

from errors_md import text
from source import ROOT, finish, problem

page = ROOT / "docs/ERRORS.md"
if not page.exists() or page.read_text() != text(ROOT):
    problem(page, 1, "is not what include/coffer/errors.def says; run: make docs/ERRORS.md")
finish()
