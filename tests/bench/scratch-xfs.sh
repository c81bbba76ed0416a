#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   scratch-xfs.sh MAPPING DISK
#
# What xfs costs instead of ext4: made as the agent makes its ext4, as a sparse file in memory of which what is data goes to the mapping
# (DISK lies below it), and in addition its log, all of which the kernel reads when it mounts.  Prints nanoseconds and bytes written.
set -euo pipefail

mapping=$1 disk=$2
written() { awk '{ print $7 * 512 }' "/sys/class/block/${disk#/dev/}/stat"; }

before=$(written) began=$(date +%s%N)
truncate -s "$(blockdev --getsize64 "$mapping")" /dev/shm/image
mkfs.xfs -q -f -K -s size=4096 -l size=64m /dev/shm/image
python3 - /dev/shm/image "$mapping" <<'END'
import mmap, os, subprocess, sys
image, mapping = os.open(sys.argv[1], os.O_RDWR), os.open(sys.argv[2], os.O_WRONLY | os.O_DIRECT)
answer = subprocess.run(["xfs_db", "-r", "-c", "sb 0", "-c", "print logstart logblocks agblklog agblocks", sys.argv[1]], capture_output=True, text=True, check=True)
words = dict(line.split(" = ") for line in answer.stdout.splitlines())
start, blocks, log, group = (int(words[key]) for key in ("logstart", "logblocks", "agblklog", "agblocks"))
first = ((start >> log) * group + (start & ((1 << log) - 1))) * 4096
piece = mmap.mmap(-1, 1 << 20)
for at in range(first, first + blocks * 4096, 1 << 20):
    os.pwrite(image, os.pread(image, 1 << 20, at), at)
size, at = os.fstat(image).st_size, 0
while True:
    try:
        at = os.lseek(image, at, os.SEEK_DATA)
    except OSError:
        break
    end = os.lseek(image, at, os.SEEK_HOLE)
    while at < end:
        count = min(1 << 20, end - at)
        piece[:count] = os.pread(image, count, at)
        os.pwrite(mapping, memoryview(piece)[:count], at)
        at += count
os.fsync(mapping)
END
rm /dev/shm/image
mkdir -p /dev/shm/mnt
mount -t xfs "$mapping" /dev/shm/mnt
ended=$(date +%s%N)
sync
echo "$((ended - began)) $(($(written) - before))"
umount /dev/shm/mnt
