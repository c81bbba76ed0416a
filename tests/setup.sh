#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   setup.sh install        installs what is missing for everything: build, tests, demo
#   setup.sh check [build]  says what is missing, and exits 1 then; installs nothing
#   setup.sh bridge         only the vsock bridge
#   setup.sh list           prints all package names
#
# Packages come from the machine's own apt sources.  Two things are only unpacked below build/, never installed:
# a kernel to boot VMs with (an installed one would become the machine's own next kernel) and the vsock bridge, which
# Debian 12 does not have yet.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-build}

# What `make` needs.
build_packages='
	build-essential         gcc, make, strip
	libjson-c-dev           agent, host tool
	libcryptsetup-dev       agent (opened at run time), host tool
	libdevmapper-dev        agent (opened at run time)
	libblkid-dev            agent (opened at run time)
	libkmod-dev             agent (opened at run time)
	libext2fs-dev           agent (opened at run time)
	libseccomp-dev          agent (opened at run time)
	libssl-dev              agent (opened at run time)
	libarchive-dev          agent (a part of it, opened at run time)
	zlib1g-dev              the same
	libzstd-dev             the same
	kmod                    initramfs: dependencies of kernel modules
	zstd                    initramfs: compression
	python3                 initramfs: the archive writer
'
# What `make check` and `make demo` need on top.
test_packages='
	clang                   second compiler, fuzz targets
	libclang-rt-14-dev      sanitizers and libFuzzer for clang
	clang-format            make format, make lint
	clang-tidy              make lint
	cppcheck                make lint
	libcmocka-dev           unit tests
	python3-pytest          namespace and VM tests
	python3-pytest-xdist    VM tests, two at once
	secilc                  tests of SELinux labels
	python3-cryptography    tests of older image layers
	qemu-system-x86         the VMs
	erofs-utils             images
	squashfs-tools          images
	e2fsprogs               images
	xfsprogs                images
	openssl                 tests of signatures
	cryptsetup-bin          images (veritysetup)
	skopeo                  images (tests of OCI bundles)
	umoci                   images (tests of OCI bundles)
	mmdebstrap              the demo image
	uidmap                  the demo image, when not root
	socat                   tests that speak the protocol by hand
'

names() { echo "$1" | awk 'NF { print $1 }'; }

missing() { # prints the packages of the list that are not installed
	# dpkg-query exits 1 when it does not know a name, and prints the others all the same.
	# shellcheck disable=SC2046
	installed=$(dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' $(names "$1") 2>/dev/null |
		awk '$2 == "installed" { sub(/:.*/, "", $1); print $1 }')
	for name in $(names "$1"); do
		echo "$installed" | grep -qxF "$name" || echo "$name"
	done
}

is_debian_12() {
	command -v dpkg-query >/dev/null && command -v apt-get >/dev/null && grep -qx 'VERSION_CODENAME=bookworm' /etc/os-release
}

foreign() {
	# shellcheck disable=SC1091
	echo "This machine runs $(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME-}"); coffer is built and tested on Debian 12 (bookworm)."
	echo "The Debian 12 packages, to be matched by hand:"
	echo "$1" | awk 'NF { name = $1; $1 = ""; printf "  %-20s %s\n", name, $0 }'
	echo "and a Debian cloud kernel (linux-image-cloud-amd64) with its modules; KERNEL=FILE names one."
}

root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		echo "setup: sudo $*" >&2
		sudo "$@"
	else
		echo "setup: this needs root and there is no sudo: $*" >&2
		return 1
	fi
}

install_packages() { # LIST
	lacking=$(missing "$1")
	[ -n "$lacking" ] || return 0
	echo "setup: missing, and installed now with apt-get from this machine's own sources:"
	for name in $lacking; do
		echo "$1" | awk -v name="$name" '$1 == name { $1 = ""; printf "  %-20s %s\n", name, $0 }'
	done
	# Lists that are older than the mirror name files that are gone.
	root apt-get -q update
	# shellcheck disable=SC2086
	root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $lacking
	lacking=$(missing "$1")
	[ -z "$lacking" ] || {
		echo "setup: still missing: $(echo "$lacking" | xargs)" >&2
		return 1
	}
}

install_kernel() {
	"$here/../initramfs/kernel.sh" "$build" >/dev/null 2>&1 && return 0
	echo "setup: no Debian cloud kernel in /boot; one is unpacked in $build/kernel (not installed)"
	# shellcheck disable=SC1091
	"$here/../initramfs/kernel.sh" --fetch "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$build/kernel/root"
}

# The host's end of vsock.  With /dev/vhost-vsock QEMU has it from the kernel; else a program does it, which is in Debian
# since 13.
install_bridge() {
	if [ -w /dev/vhost-vsock ] || [ -x "$build/vhost-device-vsock" ]; then
		return 0
	fi
	mkdir -p "$build"
	if command -v vhost-device-vsock >/dev/null; then
		ln -sf "$(command -v vhost-device-vsock)" "$build/vhost-device-vsock"
		return 0
	fi
	echo "setup: no usable /dev/vhost-vsock, so vhost-device-vsock is unpacked in $build/packages (not installed)"
	for suite in forky sid; do
		if "$here/fetch.sh" "$suite" vhost-device-vsock "$build/packages/vhost-device-vsock"; then
			ln -sfn packages/vhost-device-vsock/usr/bin/vhost-device-vsock "$build/vhost-device-vsock"
			"$build/vhost-device-vsock" --version >/dev/null || {
				rm -f "$build/vhost-device-vsock"
				echo "setup: the vhost-device-vsock of $suite does not run on this machine" >&2
				continue
			}
			return 0
		fi
	done
	echo "setup: VMs need /dev/vhost-vsock (as root: modprobe vhost_vsock) or the program vhost-device-vsock in PATH" >&2
	return 1
}

all_packages="$build_packages$test_packages"

case ${1-} in
install)
	if is_debian_12; then
		install_packages "$all_packages"
	else
		foreign "$all_packages"
		command -v apt-get >/dev/null && command -v dpkg-query >/dev/null || exit 1
		lacking=$(missing "$all_packages")
		[ -z "$lacking" ] || {
			echo "Missing here: $(echo "$lacking" | xargs)"
			exit 1
		}
	fi
	install_kernel
	install_bridge
	;;
check)
	list=$all_packages
	[ "${2-}" != build ] || list=$build_packages
	if ! command -v dpkg-query >/dev/null; then
		# Not a reason to stop: the packages may be here under other names.
		foreign "$list" >&2
		exit 0
	fi
	lacking=$(missing "$list")
	kernel=
	"$here/../initramfs/kernel.sh" "$build" >/dev/null 2>&1 || kernel='linux-image-cloud-amd64 (only unpacked)'
	[ -n "$lacking$kernel" ] || exit 0
	echo "These packages are missing: $(echo "$lacking" "$kernel" | xargs)" >&2
	echo "Run 'make setup' to install them ('make demo' and 'make check' do it themselves)." >&2
	exit 1
	;;
bridge) install_bridge ;;
list) names "$all_packages" ;;
*)
	sed -n '3,/^$/s/^# \{0,1\}//p' "$0" | head -n 6 >&2
	exit 2
	;;
esac
