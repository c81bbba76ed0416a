#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   erofs.sh ARG...      mkfs.erofs of erofs-utils 1.8 or later: with --tar, which Debian 12's has not
#   erofs.sh --fetch     only makes sure that there is one
#
# A newer suite's is unpacked below build/packages, with the C library that it wants, and never installed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${BUILD:-$here/../build}" && pwd)
packages=$build/packages

if mkfs.erofs --help 2>&1 | grep -q -- --tar; then
	[ "$1" = --fetch ] || exec mkfs.erofs "$@"
	exit 0
fi
for package in erofs-utils libc6 libselinux1 libzstd1; do
	[ -d "$packages/trixie-$package" ] || BUILD=$build "$here/fetch.sh" trixie "$package" "$packages/trixie-$package" >&2
done
[ "$1" != --fetch ] || exit 0
libc=$packages/trixie-libc6/usr/lib/x86_64-linux-gnu
exec "$libc/ld-linux-x86-64.so.2" \
	--library-path "$libc:$packages/trixie-libselinux1/usr/lib/x86_64-linux-gnu:$packages/trixie-libzstd1/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu" \
	"$packages/trixie-erofs-utils/usr/bin/mkfs.erofs" "$@"
