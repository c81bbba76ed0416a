# SPDX-License-Identifier: GPL-2.0-or-later
"""By how much the memory of all processes of the VM grows: looks at /proc/meminfo until standard input ends, and prints the most.

Anonymous memory and what is mapped of files, each page once: the agent's workers are not seen from a container, but their pages are
counted here. The page cache of what is read and written is none of it.
"""

import json
import select
import sys
import time

KEYS = (b"AnonPages:", b"Mapped:")
meminfo = open("/proc/meminfo", "rb", buffering=0)


def look():
    meminfo.seek(0)
    return sum(int(line.split()[1]) for line in meminfo.read(8192).splitlines() if line.startswith(KEYS))


for _ in range(20):  # its own memory is settled before
    before = look()
    time.sleep(0.02)
print("begun", flush=True)
peak = looks = 0
while not select.select([sys.stdin], [], [], 0.02)[0]:
    peak = max(peak, look() - before)
    looks += 1
print(json.dumps({"peak_kib": peak, "before_kib": before, "looks": looks}))
