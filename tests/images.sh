#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   images.sh NAME OUT.tar
#
#   busybox          one static program and its names: what most VM tests run
#   debian-python3   Debian's minimal system with python3: what the demo runs
#   debian-layers    Debian's minimal system with tar, gzip, zstd, umoci and python3: what the layer benchmark compares with
#   debian-runtimes  Debian's minimal system with crun and runc, and the agent's libraries: what the launch benchmark runs in
#   debian-storage   Debian's minimal system with cryptsetup, xfsprogs and python3: what the scratch benchmark compares with
#
# Made from the machine's own Debian suite and mirror.  OUT.tar is a plain root file system; `coffer image build` makes a verified
# image of it.
set -euo pipefail

name=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}
# shellcheck disable=SC1091
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$(dirname "$out")/.$name.XXXXXX")
trap 'rm -rf "$work"' EXIT

pack() { # FOLDER: the same folder gives the same archive
	tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$1" -cf "$out.part" .
	mv "$out.part" "$out"
}

busybox() {
	"$here/fetch.sh" "$suite" busybox-static "$build/packages/busybox-static"
	local root=$work/root program applet applets
	program=$(find "$build/packages/busybox-static" -type f -path '*bin/busybox' | head -n 1)
	applets=$("$program" --list)
	mkdir -p "$root"/{bin,dev,etc,proc,root,run,sys,tmp,usr,var/tmp}
	chmod 1777 "$root/tmp" "$root/var/tmp"
	ln -s ../bin "$root/usr/bin"
	ln -s bin "$root/sbin"
	install -m 755 "$program" "$root/bin/busybox"
	for applet in $applets; do
		[ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
	printf 'NAME="coffer test image"\nID=coffer-test\n' >"$root/etc/os-release"
	pack "$root"
}

debian() { # PACKAGE,...
	local mirror uri key option
	local -a options=()
	mirror=$("$here/mirror.sh")
	uri=${mirror%%$'\t'*} key=${mirror#*$'\t'}
	# How this machine reaches its mirror (a proxy, say) holds for the new system's apt too.
	while read -r option; do
		options+=("--aptopt=${option%;}")
	done < <(apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries )' | grep -v '::Proxy-Auto-Detect')
	# The hooks are for mmdebstrap's shell.
	# shellcheck disable=SC2016
	SOURCE_DATE_EPOCH=1 mmdebstrap --quiet --variant=minbase --include="$1" "${options[@]}" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/lib/python3*/__pycache__/*' \
		--customize-hook='rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/var/lib/apt/lists/* "$1"/etc/apt/sources.list* "$1"/etc/apt/apt.conf.d/99mmdebstrap' \
		--customize-hook='find "$1" -xdev -name __pycache__ -type d -prune -exec rm -rf {} +' \
		--customize-hook='mkdir -p "$1/usr/lib/modules"' \
		--customize-hook='printf "coffer\n" >"$1/etc/hostname"; : >"$1/etc/resolv.conf"' \
		"$suite" "$work/image.tar" "deb [signed-by=$key] $uri $suite main" >"$work/log" 2>&1 || {
		tail -n 40 "$work/log" >&2
		[ "$(id -u)" = 0 ] || echo "images: without root, mmdebstrap needs user namespaces and the package uidmap" >&2
		exit 1
	}
	mv "$work/image.tar" "$out"
}

case $name in
busybox) busybox ;;
debian-python3) debian python3 ;;
debian-layers) debian tar,gzip,zstd,umoci,python3 ;;
debian-runtimes) debian crun,runc,libjson-c5,libcryptsetup12,libdevmapper1.02.1,libblkid1,libkmod2,libext2fs2,libseccomp2 ;;
debian-storage) debian cryptsetup-bin,e2fsprogs,xfsprogs,util-linux,python3 ;;
*)
	echo "images: no image is called $name" >&2
	exit 2
	;;
esac
