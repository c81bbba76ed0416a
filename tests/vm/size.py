#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints what the agent holds when it idles: its proportional memory (Pss of /proc/1/smaps_rollup), as agent.info tells it."""

import os
import shutil
import time

from machine import Machine, coffer, runtime_folder

folder = runtime_folder()
os.environ["COFFER_RUNTIME_DIR"] = folder
try:
    vm = Machine("size")
    vm.call("agent.info")  # the first request brings in pages that stay
    time.sleep(1)
    info = vm.call("agent.info")
    print(f"\nthe agent idles at {info['memory']['pss_kib']} KiB (Pss), {info['memory']['rss_kib']} KiB resident; limit 3072 KiB")
    vm.stop()
finally:
    coffer("vm", "stop", "--all", "--force", check=False)
    shutil.rmtree(folder, ignore_errors=True)
