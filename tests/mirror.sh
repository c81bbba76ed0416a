#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
#   mirror.sh        prints 'URI<tab>KEYRING': where this machine gets its own Debian suite from, and the key that signs it
set -euo pipefail

# shellcheck disable=SC1091
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
	echo "mirror: $*" >&2
	exit 1
}

# Each source that serves the machine's own suite: deb822 files ...
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

etc=${COFFER_APT_ETC:-/etc/apt} # another folder in this script's test
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
printf '%s\t%s\n' "$uri" "$key"
