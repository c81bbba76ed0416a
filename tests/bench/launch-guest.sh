#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# On the root disk of the bench VM, as PID 1: the agent as the first process of a pid namespace, and the benchmark beside it.
set -u
exec </dev/null >/dev/ttyS1 2>&1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
finish() {
	[ "$1" = 0 ] && echo "done"
	[ "$1" = 0 ] || cat /mnt/agent.log
	sleep 0.5
	/mnt/bench/busybox poweroff -f
}
trap 'finish 1' EXIT
set -e

mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir /mnt/sockets /mnt/bundle
cd /mnt/bundle
# The default of `runc spec`, for a program that ends at once and has no terminal.
runc spec
sed -i -e 's/"terminal": true/"terminal": false/' -e 's|"sh"|"/bin/true"|' -e 's|"path": "rootfs"|"path": "/run/coffer/rootfs/r"|' config.json
cd /

unshare --pid --fork --mount --mount-proc /mnt/coffer-agent --listen /mnt/sockets 2>/mnt/agent.log &
while [ ! -S /mnt/sockets/1024 ]; do
	kill -0 $! || exit 1
	sleep 0.1
done
agent=$(cat /proc/$!/task/$!/children)
agent=${agent% }

echo "Linux $(uname -r), $(nproc) CPUs, $(crun --version | head -n 1), $(runc --version | head -n 1); static busybox, \`true\`"
memory() { grep -E '^(Pss|Rss):' "/proc/$agent/smaps_rollup" | awk '{ printf "%s %s KiB  ", $1, $2 }'; }
before=$(memory)
echo
nsenter --target "$agent" --mount --pid /mnt/bench/launch "$(cat /mnt/bench/rounds)" /mnt/sockets/1024 /mnt/bench/volume.json /mnt/bundle
echo
echo "The agent's own memory before the first container: $before; after the last: $(memory)"
trap - EXIT
finish 0
