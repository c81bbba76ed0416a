#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Figures of docs/BENCHMARKS.md: bytes, which repeat exactly, and times, which only compare with each other.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
PYTHONPATH=$here/../vm exec /usr/bin/python3 "$here/storage.py"
