#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions that are not called, and why."""

import re

from source import ROOT, agent_files, code_of, files, finish, line_of, problem

AGENT = {
    "exit": "nothing outside main.c ends PID 1; a child leaves by _exit",
    "abort": "nothing outside main.c ends PID 1",
    "assert": "nothing outside main.c ends PID 1",
    "errx": "nothing outside main.c ends PID 1",
    "system": "there is no shell",
    "popen": "there is no shell",
    "getpwnam": "NSS loads libraries and reads a file system that is not ours",
    "getpwuid": "NSS loads libraries and reads a file system that is not ours",
    "getgrnam": "NSS loads libraries and reads a file system that is not ours",
    "getgrgid": "NSS loads libraries and reads a file system that is not ours",
    "getaddrinfo": "NSS loads libraries and reads a file system that is not ours",
    "sleep": "PID 1 blocks only in epoll_wait",
}
ANYWHERE = {
    "strcpy": "no bound",
    "strcat": "no bound",
    "strncpy": "does not always end the string",
    "sprintf": "no bound",
    "vsprintf": "no bound",
    "gets": "no bound",
    "alloca": "a length of the host's would be the stack's",
    "atoi": "tells no error",
    "atol": "tells no error",
    "strtok": "keeps state between calls",
    "tmpnam": "a race",
    "mktemp": "a race",
}


def check(path, forbidden):
    code = code_of(path)
    # A member (a.exit, a->exit) and a longer name are other things; so is a declaration of the agent's own.
    for match in re.finditer(r"(?<![\w.])(?<!->)(" + "|".join(forbidden) + r")\s*\(", code):
        problem(path, line_of(code, match.start()), f"{match.group(1)}(): {forbidden[match.group(1)]}")


for path in agent_files():
    forbidden = dict(AGENT, **ANYWHERE)
    if path == ROOT / "agent/main.c":
        del forbidden["exit"]
    check(path, forbidden)
for path in files("qemu/*.[ch]"):
    check(path, dict(ANYWHERE, system="arguments are never put through a shell", popen="arguments are never put through a shell"))

finish()
