#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   fetch.sh SUITE [--depends REGEX] PACKAGE DIR
#
# Downloads a package of another Debian suite from the mirror that this machine uses already, and unpacks it into DIR.
# With --depends it takes the package that PACKAGE depends on and whose name fits.  Nothing is installed, and the
# machine's apt (sources, lists, cache, preferences) is neither read nor written beyond its mirror's address and key: apt runs on
# folders of its own below build/apt, and checks the suite's signature there as anywhere.
set -euo pipefail

suite=$1
shift
pattern=
if [ "$1" = --depends ]; then
	pattern=$2
	shift 2
fi
package=$1 target=$2
build=${BUILD:-build}
mkdir -p "$build/apt/$suite"
home=$(cd "$build/apt/$suite" && pwd)
exec {lock}>"$home/lock"
flock "$lock" # `make -j` fetches several packages at once

fail() {
	echo "fetch: $*" >&2
	exit 1
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	fail "$package comes from Debian's archive, and this machine has no apt"
fi
mirror=$("$(dirname "$0")/mirror.sh")
uri=${mirror%%$'\t'*}
key=${mirror#*$'\t'}

mkdir -p "$home"/{sources,lists/partial,cache/archives/partial,state,deb}
printf 'deb [signed-by=%s] %s %s main\n' "$key" "$uri" "$suite" >"$home/sources/$suite.list"
: >"$home/state/status"

# The sandbox user _apt cannot write below a private folder.  Proxy and the like still come from the machine's apt.conf.
options=(
	-q
	-o "Dir::Etc::sourcelist=/dev/null"
	-o "Dir::Etc::sourceparts=$home/sources"
	-o "Dir::Etc::preferences=/dev/null"
	-o "Dir::Etc::preferencesparts=$home/state"
	-o "Dir::State=$home/state"
	-o "Dir::State::status=$home/state/status"
	-o "Dir::State::lists=$home/lists"
	-o "Dir::Cache=$home/cache"
	-o "APT::Sandbox::User=$(id -un)"
	-o "APT::Architecture=amd64"
	-o "APT::Update::Post-Invoke-Success="
	-o "Acquire::Languages=none"
	-o "Acquire::AllowInsecureRepositories=false"
)

if ! apt-get "${options[@]}" update >"$home/update.log" 2>&1 || grep -q '^[EW]:' "$home/update.log"; then
	cat "$home/update.log" >&2
	if grep -q NO_PUBKEY "$home/update.log"; then
		fail "$key does not know the key of '$suite' yet; upgrade debian-archive-keyring and try again"
	fi
	# A warning alone (say, of a weak digest) is shown and no reason to stop: apt refuses by itself what is not signed.
	grep -q '^E:' "$home/update.log" && fail "the lists of '$suite' could not be had from $uri"
fi

if [ -n "$pattern" ]; then
	package=$(apt-cache "${options[@]}" depends --no-recommends --no-suggests "$package" |
		awk '$1 == "Depends:" { print $2 }' | grep -E "$pattern" | head -n 1) || fail "nothing that fits $pattern in '$suite'"
fi
rm -f "$home"/deb/*.deb
(cd "$home/deb" && apt-get "${options[@]}" download "$package" >"$home/download.log" 2>&1) || {
	cat "$home/download.log" >&2
	fail "$package of '$suite' could not be downloaded from $uri"
}
deb=("$home"/deb/*.deb)
rm -rf "$target.part"
mkdir -p "$target.part"
dpkg-deb -x "${deb[0]}" "$target.part"
rm -rf "$target"
mv "$target.part" "$target"
echo "fetch: $(dpkg-deb -f "${deb[0]}" Package Version | awk '{ printf "%s ", $2 }')of '$suite' is unpacked in $target"
rm -f "${deb[0]}"
