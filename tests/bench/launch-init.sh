#!/bench/busybox sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The first program of the bench VM: drivers, the root disk, and on to it.
set -eu
PATH=/bench
for name in mount mkdir cp depmod modprobe switch_root sleep; do /bench/busybox ln -s busybox /bench/$name; done
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /etc
depmod
# None is to be loaded while somebody is measured.
modprobe -a virtio_pci virtio_blk erofs overlay dm_mod dm_crypt dm_integrity dm_verity authenc xts sha512_generic
while [ ! -b /dev/vda ]; do sleep 0.1; done
mount -t erofs -o ro /dev/vda /newroot
mount -t tmpfs tmpfs /newroot/mnt
cp -a /bench /newroot/mnt/bench
cp /init /newroot/mnt/coffer-agent
cp -a /lib/modules /newroot/mnt/modules
mount --bind /newroot/mnt/modules /newroot/usr/lib/modules
for name in proc sys dev; do mount --move /$name /newroot/$name; done
exec switch_root /newroot /bin/sh /mnt/bench/bench.sh
