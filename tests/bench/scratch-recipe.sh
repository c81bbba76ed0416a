#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   scratch-recipe.sh DISK known|quick
#
# An encrypted and authenticated scratch as it is usually made, with cryptsetup's and e2fsprogs' programs, from nothing to mounted.  Runs in a
# privileged container of the benchmark's VM and prints nanoseconds and bytes written, and then
# nanoseconds of its parts: luksFormat, luksOpen, making the file system and mounting it.  `known`: cryptsetup's own choice of PBKDF; `quick`:
# the least that it takes, since the key is random.
#
# mke2fs reads what it is about to write, and a block never written does not read: the superblocks' places, which a dry run names, are
# zeroed before.
set -euo pipefail

disk=$1
[ "$2" = known ] && pbkdf=() || pbkdf=(--pbkdf pbkdf2 --pbkdf-force-iterations 1000)
export DM_DISABLE_UDEV=1
mapping=/dev/mapper/recipe
options=(-F -q -b 4096 -m 0 -O '^has_journal' -E lazy_itable_init=1,nodiscard)

written() { awk '{ print $7 * 512 }' "/sys/class/block/${disk#/dev/}/stat"; }

before=$(written) began=$(date +%s%N)
head -c 32 /dev/urandom >/dev/shm/key
cryptsetup -q luksFormat --type luks2 --integrity hmac-sha256 --integrity-no-wipe --sector-size 4096 "${pbkdf[@]}" "$disk" /dev/shm/key 2>/dev/shm/log
formatted=$(date +%s%N)
cryptsetup luksOpen --key-file /dev/shm/key "$disk" recipe 2>>/dev/shm/log
opened=$(date +%s%N)
backups=$(mke2fs -t ext4 -n "${options[@]/-q/-v}" "$mapping" 2>/dev/null | awk '/Superblock backups/ { f = 1; next } f' | tr -d ',')
for block in 0 $backups; do
	dd if=/dev/zero of="$mapping" bs=4096 count=1 seek="$block" oflag=direct conv=notrunc status=none
done
mke2fs -t ext4 "${options[@]}" "$mapping" 2>>/dev/shm/log
mkdir -p /dev/shm/mnt
mount -t ext4 -o noinit_itable "$mapping" /dev/shm/mnt
ended=$(date +%s%N)
sync
echo "$((ended - began)) $(($(written) - before)) $((formatted - began)) $((opened - formatted)) $((ended - opened))"
umount /dev/shm/mnt
cryptsetup luksClose recipe
