#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints docs/ERRORS.md, made from include/coffer/errors.def; with --write writes it."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
ROW = re.compile(r'^ERROR\(\s*(\w+),\s*(-?\d+),\s*"([^"]+)",\s*"((?:\\.|[^"\\])*)"\)', re.M)


def text(top):
    definition = (top / "include/coffer/errors.def").read_text()
    rows = ROW.findall(definition)
    if len(rows) != definition.count("\nERROR("):
        raise SystemExit("include/coffer/errors.def: a row is not ERROR(symbol, code, \"name\", \"meaning\") on one line")
    for what, values in (("code", [row[1] for row in rows]), ("name", [row[2] for row in rows]), ("symbol", [row[0] for row in rows])):
        twice = {value for value in values if values.count(value) > 1}
        if twice:
            raise SystemExit(f"include/coffer/errors.def: {what} used twice: {', '.join(sorted(twice))}")
    lines = [
        "<!-- Made by `make docs/ERRORS.md` from include/coffer/errors.def; edit that. -->",
        "# Errors",
        "",
        "Every error that the agent answers. `code` is JSON-RPC's `error.code`, `name` is `error.data.name`; neither ever",
        "changes its meaning. `error.data` names the `step` that failed, its `errno` and the `field` to blame, where there is one.",
        "",
        "| code | name | meaning |",
        "| ---: | --- | --- |",
    ]
    for _, code, name, meaning in rows:
        plain = re.sub(r"\\(.)", r"\1", meaning).replace("|", "\\|")
        lines.append(f"| {code} | `{name}` | {plain} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        (TOP / "docs/ERRORS.md").write_text(text(TOP))
    else:
        sys.stdout.write(text(TOP))
