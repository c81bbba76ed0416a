# SPDX-License-Identifier: GPL-2.0-or-later
"""What the checks of this folder share: the tree, C files without comments and strings, the functions of a file.

The code is laid out by clang-format, so a function begins with a line in column 0 and its body with a brace alone in
column 0: no C parser is needed.
"""

import pathlib
import re
import sys

# Another tree may be named: the self-test checks broken ones.
ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent.parent)

COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
FUNCTION = re.compile(r"^(?P<head>[A-Za-z_][^\n;{}#]*(?:\n[ \t]+[^\n;{}#]*)*)\n\{\n(?P<body>.*?)^\}", re.M | re.S)
ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)|\bprintf_like\s*\([^)]*\)")

problems = []


def problem(path, line, text):
    name = path.relative_to(ROOT) if path.is_absolute() and path.is_relative_to(ROOT) else path
    problems.append(f"{name}:{line}: {text}")


def finish():
    for text in dict.fromkeys(problems):
        print(text)
    sys.exit(1 if problems else 0)


def files(*patterns):
    found = [path for pattern in patterns for path in ROOT.glob(pattern)]
    return sorted(set(found))


def agent_files():
    return files("agent/*.[ch]", "agent/*/*.[ch]")


def blank(match):
    """A comment or a string becomes as many lines of nothing, so line numbers stay."""
    text = match.group(0)
    if text[0] in "\"'":
        return text[0] + " " * (len(text) - 2) + text[0]
    return re.sub(r"[^\n]", " ", text)


def code_of(path):
    return COMMENT_OR_STRING.sub(blank, path.read_text())


def line_of(code, at):
    return code.count("\n", 0, at) + 1


def functions(code):
    """(name, is static, line, number of lines) of every function defined in the text."""
    for match in FUNCTION.finditer(code):
        head = ATTRIBUTE.sub(lambda found: " " * len(found.group(0)), match.group("head"))
        name = re.search(r"([A-Za-z_]\w*)\s*\(", head)
        if name:
            yield name.group(1), re.search(r"\bstatic\b", head), line_of(code, match.start()), match.group(0).count("\n") + 1
