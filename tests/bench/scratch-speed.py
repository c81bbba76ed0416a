#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""scratch-speed.py FILE: bytes a second of writing and reading in sequence, and milliseconds of a small write that is made durable.

Runs in a container of the benchmark's VM, on a file or a device; past the page cache.
"""

import mmap
import os
import random
import sys
import time

SIZE, PIECE, SMALL, TIMES = 48 << 20, 1 << 20, 4096, 100

buffer = mmap.mmap(-1, PIECE)
buffer.write(os.urandom(PIECE))
page = memoryview(buffer)[:SMALL]
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)

began = time.monotonic()
for at in range(0, SIZE, PIECE):
    assert os.pwrite(fd, buffer, at) == PIECE
os.fsync(fd)
written = SIZE / (time.monotonic() - began)

began = time.monotonic()
for at in range(0, SIZE, PIECE):
    assert os.preadv(fd, [buffer], at) == PIECE
read = SIZE / (time.monotonic() - began)

places = random.Random(1).sample(range(SIZE // SMALL), TIMES)
began = time.monotonic()
for place in places:
    assert os.pwrite(fd, page, place * SMALL) == SMALL
    os.fsync(fd)
small = (time.monotonic() - began) * 1000 / TIMES
print(written, read, small)
