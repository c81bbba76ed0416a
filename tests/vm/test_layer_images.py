# SPDX-License-Identifier: GPL-2.0-or-later
"""A real image of three layers, imported one by one: the same, file by file with all metadata, as what umoci unpacks."""

import gzip
import hashlib
import json
import subprocess
import tarfile

import pytest
from layers import Store, info, tar
from machine import BUILD, Machine, config

DEBIAN = BUILD / "images" / "debian-python3.tar"
BUSYBOX = BUILD / "packages" / "busybox-static"

# What is compared; sent to the guest as it stands, and run here too.
WALK = r"""
import hashlib, json, os, stat, sys
root, skipped = sys.argv[1], set(sys.argv[2:])
found, links = {}, {}
def look(path, name):
    status = os.lstat(path)
    about = [oct(status.st_mode), status.st_uid, status.st_gid, int(status.st_mtime)]
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            about += [status.st_size, hashlib.sha256(file.read()).hexdigest()]
        if status.st_nlink > 1:
            about.append("=" + links.setdefault((status.st_dev, status.st_ino), name))
    elif stat.S_ISLNK(status.st_mode):
        about.append(os.readlink(path))
    elif not stat.S_ISDIR(status.st_mode):
        about.append(status.st_rdev)
    about += sorted([key, os.getxattr(path, key, follow_symlinks=False).hex()] for key in os.listxattr(path, follow_symlinks=False) if key.startswith(("user.", "security.cap")))
    found[name] = about
def walk(path, name):
    if name in skipped:
        return
    look(path, name)
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for entry in sorted(os.listdir(path)):
            walk(os.path.join(path, entry), name + "/" + entry)
walk(root, "")
json.dump(found, sys.stdout)
"""
# Mounts of every container.
SKIPPED = ["/proc", "/dev", "/sys"]


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Debian, a package, and a layer that deletes, replaces, hides and links."""
    folder = tmp_path_factory.mktemp("archives")
    package = folder / "package.tar"
    subprocess.run(["tar", "--sort=name", "--mtime=@86400", "--owner=0", "--group=0", r"--transform=s,^\./bin,./usr/bin,", "-C", BUSYBOX, "-cf", package, "."], check=True)
    changes = tar(
        info("etc/.wh.debian_version"),
        (info("etc/hostname", mtime=1000), "replaced\n"),
        (info("usr/share/common-licenses", tarfile.DIRTYPE, mode=0o755, mtime=2000), None),
        info("usr/share/common-licenses/.wh..wh..opq"),
        (info("usr/share/common-licenses/ours", mtime=3000), "the only one\n"),
        info("var/.wh.backups"),
        info("var/backups", tarfile.SYMTYPE, linkname="lib", mtime=4000),
        (info("srv/one", mode=0o4750, uid=12, gid=34, mtime=5000), "linked\n"),
        info("srv/two", tarfile.LNKTYPE, linkname="srv/one"),
        info("srv/passwd", tarfile.LNKTYPE, linkname="etc/passwd"),
        (info("opt/tool", mode=0o755, mtime=6000, pax_headers={"SCHILY.xattr.user.note": "kept"}), "#!/bin/sh\n"),
        (info("lib/through-the-link", mtime=7000), "in usr/lib\n"),
    )
    return [DEBIAN.read_bytes(), gzip.compress(package.read_bytes(), 1), changes]


def unpacked_by_umoci(archives, folder):
    layout = folder / "layout"
    commands = [["umoci", "init", "--layout", layout], ["umoci", "new", "--image", f"{layout}:x"]]
    for number, archive in enumerate(archives):
        name = folder / f"{number}.tar"
        name.write_bytes(gzip.decompress(archive) if archive[:2] == b"\x1f\x8b" else archive)
        commands.append(["umoci", "raw", "add-layer", "--image", f"{layout}:x", name])
    commands.append(["umoci", "unpack", "--keep-dirlinks", "--image", f"{layout}:x", folder / "bundle"])
    for command in commands:
        subprocess.run(command, check=True, capture_output=True)
    out = subprocess.run(["/usr/bin/python3", "-c", WALK, folder / "bundle" / "rootfs", *SKIPPED], check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def seen_in_guest(machine, layer):
    readable = config(capabilities=["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"], mask_paths=None)
    machine.call("layer.create", id="look", store="store", parent=layer, writable=True)
    machine.call("layer.get", id="look")
    machine.call("rootfs.create", id="look", layer="look")
    process = {"args": ["python3", "-c", WALK, "/", *SKIPPED], "env": ["PATH=/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"]}
    machine.call("container.create", id="look", rootfs="look", config=readable, process=process)
    with machine.stream("look", timeout=600) as stream:
        machine.call("container.start", id="look")
        stream.end()
        out, err = stream.read_all()
    assert machine.call("container.wait", id="look")["exit_code"] == 0, err
    machine.call("container.remove", id="look", force=True)
    machine.call("rootfs.remove", id="look")
    machine.call("layer.put", id="look")
    machine.call("layer.remove", id="look")
    return {name.replace("//", "/") if name != "" else "": about for name, about in json.loads(out).items()}


def differences(ours, theirs):
    return {name: (ours.get(name), theirs.get(name)) for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}


def test_an_image_is_what_umoci_unpacks(runtime, archives, tmp_path):
    vm = Machine("m-images", memory="768M")
    store = Store(vm, tmp_path, size="4G")
    names = [f"l{n}" for n in range(len(archives))]
    for number, archive in enumerate(archives):
        store.bring(names[number], archive, parent=names[number - 1] if number else None, devices=True)
    wanted = unpacked_by_umoci(archives, tmp_path)
    seen = seen_in_guest(vm, names[-1])
    # The root's own time is the writable layer's: the runtime had a look for its mount points there.
    assert seen[""][:3] == wanted.pop("")[:3] and seen.pop("")
    assert differences(seen, wanted) == {}
    assert len(seen) > 3000 and "/usr/lib/through-the-link" in seen and "/etc/debian_version" not in seen

    changes = dict(store.changes(names[-1]))
    for path, kind in {
        "/etc/debian_version": "deleted", "/etc/hostname": "modified", "/opt/tool": "added", "/srv/one": "added", "/usr/lib/through-the-link": "added",
        "/usr/share/common-licenses/ours": "added", "/usr/share/common-licenses/GPL-2": "deleted", "/etc": "modified",
    }.items():  # fmt: skip
        assert changes.get(path) == kind, (path, changes.get(path))
    assert all(kind == "added" for _, kind in store.changes(names[0]))

    exported = [store.export(name) for name in names]
    store.remove_all()
    for number, archive in enumerate(exported):
        store.bring(f"again-{number}", archive, parent=f"again-{number - 1}" if number else None, devices=True, diff_id="sha256:" + hashlib.sha256(archive).hexdigest())
        assert store.export(f"again-{number}") == archive
    again = tmp_path / "again"
    again.mkdir()
    unpacked = unpacked_by_umoci(exported, again)
    unpacked.pop("")
    assert differences(unpacked, wanted) == {}
    store.remove_all()
    store.close()
    assert "Kernel panic" not in vm.console()
    vm.stop()
