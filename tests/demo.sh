#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The main job, end to end, with its proofs: `make demo`.
#
#   1  a utility VM whose PID 1 is coffer-agent
#   2  a Debian image under dm-verity and a 64 GiB scratch disk, both hot-plugged, and python3 in a container on them
#   3  what the host can see on the scratch disk afterwards
#   4  an image with one flipped byte
#   5  requests that are wrong
set -euo pipefail

build=$(cd "${BUILD:-build}" && pwd)
coffer=$build/coffer
vm=demo-$$
work=$(mktemp -d "$build/demo.XXXXXX")
marker=COFFER-DEMO-MARKER-$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')

bold='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

title() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
proof() { printf '   %sproof:%s %s\n' "$bold" "$plain" "$*"; }
failed() {
	printf 'demo: FAILED: %s\n' "$*" >&2
	exit 1
}
finish() {
	status=$?
	if [ "$status" -ne 0 ]; then "$coffer" vm console "$vm" 2>/dev/null | tail -n 20 >&2 || :; fi
	"$coffer" vm stop "$vm" --force >/dev/null 2>&1 || :
	rm -rf "$work"
}
trap finish EXIT

image=$build/images/debian-python3.img
if [ ! -e "$image.json" ] || [ "$build/images/debian-python3.tar" -nt "$image.json" ]; then
	title "An image: Debian's minimal system with python3, as erofs with a dm-verity tree"
	"$coffer" image build "$build/images/debian-python3.tar" "$image" >/dev/null
fi
begin=$SECONDS

title "A utility VM boots coffer-agent as its only program"
"$coffer" vm start "$vm" --memory 768M
"$coffer" call "$vm" agent.info >"$work/info"
/usr/bin/python3 - "$work/info" <<'PY'
import json, sys
info = json.load(open(sys.argv[1]))
print(f"   kernel {info['kernel']}, serving {info['boot_ms']} ms after its start; the agent holds {info['memory']['pss_kib']} KiB")
PY

title "python3 runs in a container: image under dm-verity, 64 GiB of scratch encrypted with a key that only the guest has"
truncate -s 64G "$work/scratch.img"
cat >"$work/main.py" <<PY
import os
print(open("/etc/os-release").read().splitlines()[0], "- python", os.sys.version.split()[0], "- pid", os.getpid(), "- host", os.uname().nodename)
for i in range(64):
    open(f"/marker-{i}", "w").write("$marker\n" * 4096)
os.sync()
root = os.statvfs("/")
print(f"wrote 64 files of {len('$marker') * 4096 // 1024} KiB with a marker; / has {root.f_blocks * root.f_frsize / 2**30:.1f} GiB")
PY
"$coffer" run "$vm" --image "$image" --scratch "$work/scratch.img" --hostname demo --verbose -- python3 -c "$(cat "$work/main.py")" 2>&1 | sed 's/^/   /'

title "What the host has"
written=$(du -k "$work/scratch.img" | cut -f1)
[ "$written" -gt 4096 ] || failed "the container's files never reached the scratch disk: $written KiB"
# Only what was written: a search through 64 GiB of holes would take minutes.  The search is tried on a file that has the marker.
cat >"$work/search.py" <<'PY'
import os, sys
def found(path, wanted):
    with open(path, "rb", buffering=0) as file:
        size, at = os.fstat(file.fileno()).st_size, 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return False
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            if wanted in os.pread(file.fileno(), end - at, at):
                return True
            at = end
    return False
sys.exit(0 if found(sys.argv[1], sys.argv[2].encode()) else 1)
PY
truncate -s 1G "$work/plain.img"
printf '%s' "$marker" | dd of="$work/plain.img" bs=1 seek=500000000 conv=notrunc status=none
/usr/bin/python3 "$work/search.py" "$work/plain.img" "$marker" || failed "the search for the marker finds nothing where it is"
for wanted in "$marker" COFFER-DEMO-MARKER PRETTY_NAME; do
	status=0
	/usr/bin/python3 "$work/search.py" "$work/scratch.img" "$wanted" || status=$?
	[ "$status" -eq 1 ] || failed "$wanted can be read in the raw scratch file (search status $status)"
done
proof "the scratch file holds $written KiB of the container's data, and the marker is nowhere in it"
rm -f "$work/scratch.img"

title "One byte of a copy of the image is flipped, inside of /usr/bin/perl"
cp --reflink=auto "$image" "$work/bad.img"
cp "$image.json" "$work/bad.img.json"
# The image is compressed, so erofs' own tool tells where the file's bytes lie.
extent=$(dump.erofs -e --path=/usr/bin/perl "$work/bad.img" | sed -n 's/^ *250: .* : *\([0-9]*\)\.\..*$/\1/p')
[ -n "$extent" ] || failed "where /usr/bin/perl lies in the image cannot be told"
/usr/bin/python3 - "$build/images/debian-python3.tar" "$work/bad.img" "$extent" >"$work/good.sum" <<'PY'
import hashlib, sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    perl = next(m for m in tar if m.name.endswith("usr/bin/perl"))
    data = tar.extractfile(perl).read()
with open(sys.argv[2], "r+b") as image:
    image.seek(int(sys.argv[3]) + 100)
    byte = image.read(1)[0]
    image.seek(-1, 1)
    image.write(bytes([byte ^ 1]))
print(hashlib.sha256(data).hexdigest())
PY
good=$(cat "$work/good.sum")
truncate -s 1G "$work/s.img"
"$coffer" run "$vm" --image "$image" --scratch "$work/s.img" -- sha256sum /usr/bin/perl >"$work/from-good"
grep -q "^$good " "$work/from-good" || failed "the good image gives other bytes than the archive"
proof "from the image as it was built: ${good:0:16}..., as in the archive"
status=0
"$coffer" run "$vm" --image "$work/bad.img" --scratch "$work/s.img" -- sha256sum /usr/bin/perl >"$work/from-bad" 2>"$work/error" || status=$?
if [ -s "$work/from-bad" ] || [ "$status" -eq 0 ]; then failed "bytes of the flipped image were accepted: $(cat "$work/from-bad")"; fi
proof "from the flipped one: exit status $status, no data, and \"$(tail -n 1 "$work/error")\""

title "Requests that are wrong"
"$coffer" disk add "$vm" "$image,ro,serial=image"
wrong_root=$(/usr/bin/python3 -c '
import json, sys
volume = json.load(open(sys.argv[1])); volume["source"] = "serial:image"
volume["dm_verity"]["hash"] = "0" * 64
print(json.dumps({"id": "v", "volume": volume}))' "$image.json")
refused() { # WHAT NAME COMMAND...
	local what=$1 name=$2
	shift 2
	if "$@" >"$work/out" 2>"$work/err"; then failed "$what was accepted"; fi
	grep -q "\"$name\"" "$work/err" || failed "$what: $(cat "$work/err")"
	proof "$what: $(cat "$work/err")"
}
refused "a wrong root hash" verity-failed "$coffer" call "$vm" volume.attach "$wrong_root"
refused "an unknown field" invalid-params "$coffer" call "$vm" volume.attach '{"id":"v","volume":{"volume_type":"image_raw_block","sauce":"/dev/vda"}}'
"$coffer" vm list --json >"$work/vms"
answer=$(/usr/bin/python3 - "$work/vms" "$vm" <<'PY'
import json, socket, sys
vsock = next(vm for vm in json.load(open(sys.argv[1])) if vm["name"] == sys.argv[2])["vsock"]
if "uds" in vsock:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(vsock["uds"])
    connection.sendall(b"CONNECT 1024\n")
    lines = connection.makefile("rb")
    assert lines.readline().startswith(b"OK ")
else:
    connection = socket.socket(socket.AF_VSOCK)
    connection.connect((vsock["cid"], 1024))
    lines = connection.makefile("rb")
lines.readline()
connection.sendall(b'{"jsonrpc":"2.0","id":1,"method":"agent.in\n')
print(lines.readline().decode().strip())
PY
)
case $answer in
*'"parse-error"'*) proof "a truncated line: $answer" ;;
*) failed "a truncated line: $answer" ;;
esac
"$coffer" disk remove "$vm" image
resources=$("$coffer" call "$vm" agent.info)
case $resources in
*'"mappings":0'*'"volumes":0,"scratches":0,"rootfs":0,"containers":0'*) proof "the VM lives on, and nothing is left in it: ${resources#*\"resources\":}" ;;
*) failed "something is left in the VM: $resources" ;;
esac
"$coffer" vm stop "$vm"
printf '\n%sdemo: everything above held, in %s s.%s\n' "$bold" $((SECONDS - begin)) "$plain"
