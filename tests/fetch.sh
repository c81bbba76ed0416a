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
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
	echo "fetch: $*" >&2
	exit 1
}

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "$package comes from Debian's archive, and this machine has no apt"
# shellcheck disable=SC1091
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")

# Prints 'URI<tab>KEYRING' of each source of the machine that serves its own Debian suite: deb822 files ...
from_deb822() {
	awk -v suite="$codename" '
		function flush(  i, n, u) {
			if (types ~ /(^| )deb( |$)/ && (" " suites " ") ~ (" " suite " ") && enabled !~ /^(no|false)$/ && components ~ /main/) {
				n = split(uris, u, " ")
				for (i = 1; i <= n; i++) print u[i] "\t" key
			}
			types = suites = uris = key = enabled = components = last = ""
		}
		FNR == 1 { flush() }
		/^[ \t]*$/ { flush(); next }
		/^#/ { next }
		/^[ \t]/ { value = $0; sub(/^[ \t]+/, "", value) }
		/^[^ \t]/ { last = tolower($0); sub(/:.*/, "", last); value = $0; sub(/^[^:]*:[ \t]*/, "", value) }
		last == "types" { types = types " " value }
		last == "uris" { uris = uris " " value }
		last == "suites" { suites = suites " " value }
		last == "components" { components = components " " value }
		last == "enabled" { enabled = tolower(value) }
		last == "signed-by" && value ~ /^\// { key = value }
		END { flush() }' "$@"
}

# ... and one-line files: deb [options] URI SUITE COMPONENT...
from_lines() {
	awk -v suite="$codename" '
		$1 == "deb" {
			line = $0; key = ""
			if (match(line, /\[[^]]*\]/)) {
				options = substr(line, RSTART + 1, RLENGTH - 2)
				line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
				n = split(options, o, " ")
				for (i = 1; i <= n; i++) if (o[i] ~ /^signed-by=\//) { key = o[i]; sub(/^signed-by=/, "", key); sub(/,.*/, "", key) }
			}
			split(line, f, " ")
			if (f[3] == suite && line ~ / main( |$)/) print f[2] "\t" key
		}' "$@"
}

etc=${COFFER_APT_ETC:-/etc/apt} # another folder in the test of this script
shopt -s nullglob
deb822=("$etc"/sources.list.d/*.sources)
lines=("$etc"/sources.list.d/*.list)
[ ! -f "$etc/sources.list" ] || lines+=("$etc/sources.list")
found=$({
	[ ${#deb822[@]} = 0 ] || from_deb822 "${deb822[@]}"
	[ ${#lines[@]} = 0 ] || from_lines "${lines[@]}"
} | head -n 1)
[ -n "$found" ] || fail "no source of '$codename main' in $etc, so the mirror is not known"
uri=${found%%$'\t'*}
key=${found#*$'\t'}
[ -n "$key" ] || key=$keyring
[ -r "$key" ] || fail "the mirror's keyring $key cannot be read (package debian-archive-keyring)"

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
