#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/mirror.sh finds the mirror and its key in both formats of apt's sources, and passes over other sources."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
DEFAULT = "/usr/share/keyrings/debian-archive-keyring.gpg"
KEY = "/etc/hostname"  # any file that can be read
OTHER = "deb http://other.example/x {suite} contrib\ndeb-src http://source.example/x {suite} main\n# deb http://no.example {suite} main\n"

CASES = [
    ({"sources.list": OTHER + "deb http://a.example/debian {suite} main contrib\n"}, "http://a.example/debian", DEFAULT),
    (
        {"sources.list": f"deb [arch=amd64 signed-by={KEY}] http://b.example/d {{suite}} main\n"},
        "http://b.example/d",
        KEY,
    ),
    ({"sources.list.d/x.list": OTHER + "deb\t http://c.example/ {suite}  main"}, "http://c.example/", DEFAULT),
    (
        {
            "sources.list.d/a.list": "deb http://other.example/ nodistro main\n",
            "sources.list.d/a.sources": "Types: deb\nURIs: http://off.example\nSuites: {suite}\nComponents: main\nEnabled: no\n\n"
            "# a comment\nTypes: deb deb-src\n# another\nURIs: http://d.example/debian\n http://second.example\n"
            f"Suites: {{suite}} {{suite}}-updates\nComponents: main\nSigned-By: {KEY}\n",
        },
        "http://d.example/debian",
        KEY,
    ),
    (
        {
            "sources.list.d/a.sources": "Types: deb\nURIs: http://updates.example\nSuites: {suite}-security\nComponents: main\n",
            "sources.list.d/b.sources": "Types: deb\nURIs: http://e.example\nSuites: {suite}\nComponents: main\n",
        },
        "http://e.example",
        DEFAULT,
    ),
    ({"sources.list": "deb http://other.example/ nodistro main\n"}, None, None),
]

release = pathlib.Path("/etc/os-release").read_text()
suite = (re.findall(r'^VERSION_CODENAME="?(\w+)', release, re.M) or ["bookworm"])[0]
bad = []
for number, (files, uri, key) in enumerate(CASES):
    if key == DEFAULT and not os.access(DEFAULT, os.R_OK):
        continue
    with tempfile.TemporaryDirectory() as etc:
        for name, text in files.items():
            path = pathlib.Path(etc) / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.replace("{suite}", suite))
        done = subprocess.run([TOP / "tests/mirror.sh"], env=dict(os.environ, COFFER_APT_ETC=etc), capture_output=True, text=True)
    wanted = f"{uri}\t{key}\n" if uri else ""
    if done.stdout != wanted or (done.returncode == 0) != bool(uri):
        bad.append(f"tests/mirror.sh, case {number}: {done.stdout!r} {done.stderr!r}, not {wanted!r}")
print("\n".join(bad), end="\n" if bad else "")
sys.exit(1 if bad else 0)
