#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   kernel.sh [BUILD]             prints the kernel to boot: the newest Debian cloud kernel that this machine has
#   kernel.sh --fetch SUITE DIR   unpacks the suite's cloud kernel into DIR, unless one is there
#
# A kernel counts when it can be read and its modules are there.  A fetched one is only unpacked: installing it
# would change what the machine itself boots next time.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

modules_of() { # VMLINUZ: prints its module folder, or fails
	release=${1##*/vmlinuz-}
	top=${1%/boot/*}
	for dir in "$top/lib/modules/$release" "$top/usr/lib/modules/$release"; do
		[ -d "$dir/kernel" ] && echo "$dir" && return 0
	done
	return 1
}

newest_in() { # BOOT-FOLDER
	for kernel in $(find "$1" -maxdepth 1 -name 'vmlinuz-*-cloud-amd64' 2>/dev/null | sort -rV); do
		if [ ! -r "$kernel" ]; then
			echo "kernel.sh: $kernel is not readable by $(id -un); run: sudo chmod 644 $kernel" >&2
		elif ! modules_of "$kernel" >/dev/null; then
			echo "kernel.sh: $kernel is passed over: it has no modules" >&2
		else
			echo "$kernel"
			return 0
		fi
	done
	return 1
}

if [ "${1-}" = --fetch ]; then
	suite=$2 dir=$3
	newest_in "$dir/boot" >/dev/null && exit 0
	# linux-image-cloud-amd64 is an empty package that depends on the kernel itself.
	"$here/../tests/fetch.sh" "$suite" --depends '^linux-image-[0-9].*-cloud-amd64$' linux-image-cloud-amd64 "$dir"
	newest_in "$dir/boot" >/dev/null
	exit
fi

newest_in /boot || newest_in "${1:-build}/kernel/root/boot" || {
	echo "kernel.sh: no Debian cloud kernel (linux-image-cloud-amd64) is here; 'make setup' gets one" >&2
	exit 1
}
