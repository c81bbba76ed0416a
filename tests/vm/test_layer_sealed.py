# SPDX-License-Identifier: GPL-2.0-or-later
"""Sealed layers: an import becomes an image under dm-verity, is what the archive was, and is never anything else."""

import base64
import hashlib
import os
import random
import tarfile

import pytest
from layers import Store, info, lasting_store, members, shut_down, tar
from machine import BUILD, Machine
from test_encrypted import RAW, on, sparse
from test_faults import killed_at_every_record
from test_layer_store import BUSYBOX, refused, sh, store  # noqa: F401: fixtures

NET_BIND_SERVICE = "\x01\0\0\x02\0\x04\0\0" + "\0" * 12  # linux/capability.h: struct vfs_cap_data, effective


def with_attributes(head, **attributes):
    head.pax_headers = {**head.pax_headers, **{f"SCHILY.xattr.{name.replace('__', '.')}": value for name, value in attributes.items()}}
    return head


def at(head, when):
    """With nanoseconds."""
    head.pax_headers = {**head.pax_headers, "mtime": when}
    return head


def below():
    return tar(("etc/gone", "x"), ("etc/kept", "kept"), ("hidden/a", "x"), ("hidden/b", "x"), ("lib/linked", "linked to"), ("was-a-file", "x"), ("was/a/tree", "x"))


def everything():
    """Of each kind that an archive may hold, and of the sizes at which an image places data in another way."""
    chance = random.Random(11)
    entries = [
        (info(".", tarfile.DIRTYPE, mode=0o750, uid=7, gid=8, mtime=77), None),
        info("etc/.wh.gone"),
        (info("hidden", tarfile.DIRTYPE, mode=0o1777), None),
        info("hidden/.wh..wh..opq"),
        ("hidden/new", "new"),
        (info("was-a-file", tarfile.DIRTYPE, mode=0o755), None),
        info("was", tarfile.SYMTYPE, linkname="was-a-file"),
        info("long-link", tarfile.SYMTYPE, linkname="x/" * 2000),
        (info("one", mode=0o6755, uid=4_000_000_000, gid=5), "linked"),
        info("two", tarfile.LNKTYPE, linkname="one"),
        info("hidden/three", tarfile.LNKTYPE, linkname="one"),
        info("from-below", tarfile.LNKTYPE, linkname="lib/linked"),
        info("pipe", tarfile.FIFOTYPE, mode=0o600),
        info("null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
        info("disk", tarfile.BLKTYPE, mode=0o660, devmajor=259, devminor=1000),
        (with_attributes(info("server", mode=0o755), security__capability=NET_BIND_SERVICE, user__note="kept", user__empty=""), "program"),
        (with_attributes(info("attributed", tarfile.DIRTYPE, mode=0o700), user__long="v" * 2000), None),
        (with_attributes(info("attributed/same"), user__long="v" * 2000), ""),
        (at(info("times/ns"), "1700000000.123456789"), "x"),
        (at(info("times/before"), "-1.5"), "x"),
        (at(info("times/epoch"), "0"), "x"),
        (at(info("times/2106"), "4294967296.999999999"), "x"),
        (at(info("times/far"), "9000000000"), "x"),
        ("zeros", bytes(3 << 20)),
        ("holes", b"a" * 4096 + bytes(1 << 20) + b"b" * 5000 + bytes(1 << 20)),
        ("n" * 255, "the longest name"),
        ("ünïcode ☃", "x"),
    ]
    entries += [(f"sizes/{size}", chance.randbytes(size)) for size in (0, 1, 2000, 3900, 4000, 4095, 4096, 4097, 8192, 65535, 65536, 65537, 1 << 20)]
    entries += [(f"many/{number:04}-{'n' * 40}", f"{number}") for number in range(1000)]
    return tar(*entries)


def listed(machine, id):
    return {layer["id"]: layer for layer in machine.call("layer.list")["layers"]}[id]


# ---- what it is ----


def test_it_is_what_the_archive_was(machine, store):  # noqa: F811
    """Byte for byte what is exported of the same archive in a directory; and so for a layer that is imported on it."""
    archive = everything()
    store.bring("below", below())
    plain = store.bring("plain", archive, parent="below", devices=True)
    sealed = store.bring("sealed", archive, parent="below", devices=True, seal=True)
    same = ("digest", "diff_id", "tar_bytes", "size", "files", "stream_bytes")
    assert {key: sealed[key] for key in same} == {key: plain[key] for key in same}
    assert "root_hash" not in plain and len(bytes.fromhex(sealed["root_hash"])) == 32
    assert sealed["sealed_bytes"] % 4096 == 0 and "seal the layer" in [step["name"] for step in sealed["steps"]]
    facts = listed(machine, "sealed")
    assert (facts["sealed"], facts["encrypted"], facts["locked"], facts["writable"]) == (True, False, False, False)
    assert (facts["root_hash"], facts["sealed_bytes"]) == (sealed["root_hash"], sealed["sealed_bytes"])
    assert listed(machine, "plain")["sealed"] is False and "root_hash" not in listed(machine, "plain")
    folder = "/run/coffer/scratch/store-disk/layers"
    metadata = machine.call("layer.metadata", id="sealed")
    assert (metadata["upper"], metadata["lower"]) == (f"{folder}/3/sealed", [f"{folder}/1/tree"])

    exported = store.export("plain")
    found = members(exported)
    assert len(found) > 1040 and found["server"].pax_headers["SCHILY.xattr.security.capability"] == NET_BIND_SERVICE
    assert found["times/ns"].pax_headers["mtime"] == "1700000000.123456789" and found["disk"].devminor == 1000
    assert store.export("sealed") == exported
    changes = store.changes("plain")
    assert store.changes("sealed") == changes and ("/etc/gone", "deleted") in changes and ("/hidden/a", "deleted") in changes
    assert machine.call("layer.diff_size", id="sealed") == {**machine.call("layer.diff_size", id="plain"), "id": "sealed"}

    # On it: its links are followed, its files copied up, its directories made as they are.
    above = tar(("was/through-the-link", "x"), ("attributed/more", "x"), info("copied-up", tarfile.LNKTYPE, linkname="server"), info("many/.wh.0007-" + "n" * 40), info(".wh.zeros"))
    for parent in ("plain", "sealed"):
        store.bring(f"above-{parent}", above, parent=parent)
        store.bring(f"sealed-above-{parent}", above, parent=parent, seal=True)
    exported, changes = store.export("above-plain"), store.changes("above-plain")
    assert members(exported)["copied-up"].content == b"program" and ("/zeros", "deleted") in changes
    for id in ("above-sealed", "sealed-above-plain", "sealed-above-sealed"):
        assert store.export(id) == exported and store.changes(id) == changes, id
    # Elsewhere, and again: what differs is the salt.
    again = store.bring("again", archive, parent="below", devices=True, seal=True)
    assert again["sealed_bytes"] == sealed["sealed_bytes"] and again["root_hash"] != sealed["root_hash"]


def test_an_empty_one(machine, store):  # noqa: F811
    """One block, which is its own hash."""
    made = store.bring("empty", b"", seal=True)
    assert made["sealed_bytes"] == 4096
    assert list(members(store.export("empty"))) == ["."] and store.changes("empty") == []
    machine.call("layer.get", id="empty")
    machine.call("layer.put", id="empty")


# ---- with others ----


def test_in_one_tree_with_plain_and_encrypted_ones(machine, store, sh):  # noqa: F811
    store.bring("tools", BUSYBOX.read_bytes(), seal=True)
    store.bring("plain", tar(("d/plain", "of plain"), ("d/hidden", "x"), ("o/x", "x"), ("o/y", "y")), parent="tools")
    store.bring("secret", tar(("d/secret", "of secret"), ("d/too", "x"), ("o/z", "z")), parent="plain", key=RAW, image={"size": "1m"})
    machine.call("layer.unlock", id="secret", key=RAW)
    hides = tar(("d/sealed", "of sealed"), info("d/.wh.hidden"), info("d/.wh.too"), (info("o", tarfile.DIRTYPE, mode=0o755), None), info("o/.wh..wh..opq"), ("o/mine", "m"))
    store.bring("hides", hides, parent="secret", seal=True)
    assert dict(store.changes("hides")) == {
        "/d": "modified", "/d/sealed": "added", "/d/hidden": "deleted", "/d/too": "deleted",
        "/o": "modified", "/o/mine": "added", "/o/x": "deleted", "/o/y": "deleted", "/o/z": "deleted",
    }  # fmt: skip
    store.bring("top", tar(("d/top", "of top"), info("bin/.wh.vi")), parent="hides")
    before = machine.resources()
    machine.call("layer.get", id="top")
    look = "cd /d; ls; cat *; echo; ls /o; test ! -e /bin/vi; test -x /bin/ls"
    assert sh("top", look) == "plain\nsealed\nsecret\ntop\nof plainof sealedof secretof top\nmine\n"
    # What is mounted stands on it.
    assert refused(machine.call, "layer.remove", id="hides").name == "in-use"
    # Others at once, each written to.
    for id in ("one", "two"):
        store.create(id, parent="top", writable=True)
        machine.call("layer.get", id=id)
    for id in ("one", "two"):
        assert sh(id, f"echo {id} >>/d/sealed; rm /d/top; mkdir /o/sub; mv /d/sealed /d/moved; cat /d/moved") == f"of sealed{id}\n"
    assert sh("top", look) == "plain\nsealed\nsecret\ntop\nof plainof sealedof secretof top\nmine\n"
    assert machine.call("layer.diff_size", id="tools")["size"] > 500_000
    for id in ("one", "two", "top"):
        machine.call("layer.put", id=id)
    machine.settles({**before, "keys": machine.resources()["keys"]})
    assert sorted(dict(store.changes("one"))) == sorted(dict(store.changes("two")))
    machine.call("layer.lock", id="secret")
    assert refused(machine.call, "layer.get", id="top").message.startswith("the layer secret is locked")
    assert members(store.export("hides"))["d/sealed"].content == b"of sealed"


def test_many(machine, store, sh):  # noqa: F811
    """Looked at by many at once, too."""
    store.bring("l0", BUSYBOX.read_bytes(), seal=True)
    for n in range(1, 25):
        store.bring(f"l{n}", tar((f"d/{n}", f"{n}"), (info("which", mtime=n), f"{n}")), parent=f"l{n - 1}", seal=True)
    machine.call("layer.get", id="l24")
    assert sh("l24", "ls /d | wc -l; cat /which") == "24\n24"
    machine.call("layer.put", id="l24")
    with machine.connect(timeout=300) as own:
        numbers = [own.post("layer.diff_size", {"id": f"l{n % 3}"}) for n in range(30)]
        sizes = [own.answer(number)["size"] for number in numbers]
    assert len(set(sizes)) == 2 and sizes[1:3] == [2, 2]
    assert store.changes("l24") == [("/d", "modified"), ("/d/24", "added"), ("/which", "modified")]


def test_what_is_refused(machine, store):  # noqa: F811
    archive = tar(("f", "x"))
    for params in ({"key": RAW, "image": {"size": "1m"}}, {"key": RAW}, {"image": {"size": "1m"}}):
        error = refused(store.bring, "l", archive, seal=True, **params)
        assert (error.name, error.field) == ("invalid-params", "seal"), params
    for params in ({"seal": 1}, {"seal": "yes"}):
        assert refused(store.bring, "l", archive, **params).field == "seal"
    assert refused(store.create, "l", seal=True).field == "seal"
    error = refused(store.bring, "l", archive, seal=True, diff_id="sha256:" + "0" * 64)
    assert (error.name, error.step) == ("digest-mismatch", "unpack the layer")
    error = refused(store.bring, "l", archive[:700], seal=True)
    assert (error.name, error.step) == ("bad-layer", "unpack the layer")
    assert store.ids() == []
    assert "layer.seal" in machine.call("agent.info")["features"]


# ---- what it is never ----

FOLDER = "/data/layers"


class Volume:
    """An encrypted volume for a store, and, while the store is closed, a container that writes there."""

    def __init__(self, machine, pod, tmp_path):
        self.machine, self.pod, self.folder = machine, pod, tmp_path
        self.serial = machine.add_disk(sparse(tmp_path / "v.img", "256M"))
        machine.call("encrypted.create", id="v", device={"serial": self.serial}, key=RAW)
        self.open()

    def open(self):
        self.store = Store(self.machine, self.folder, name="lasting", volume="v")
        self.opened = self.machine.at_rest()

    def write(self, script):
        self.store.close()
        out = self.pod.sh(f"cd {FOLDER}; {script}; sync", config=on("v"))
        self.open()
        return out

    def flip(self, number, *offsets):
        read = 'dd if=$f bs=1 skip=$at count=1 2>/dev/null | od -An -tu1'
        write = "printf $(printf '\\\\%03o' $((b ^ 1))) | dd of=$f bs=1 seek=$at conv=notrunc 2>/dev/null"
        self.write(f"f={number}/sealed; for at in {' '.join(map(str, offsets))}; do b=$({read}); {write}; done")

    def close(self):
        self.store.remove_all()
        self.store.close()
        self.machine.call("volume.detach", id="v")
        self.machine.remove_disk(self.serial)


@pytest.fixture
def volume(machine, pod, tmp_path):
    pod.sh("true")
    before = machine.at_rest()
    made = Volume(machine, pod, tmp_path)
    yield made
    made.close()
    machine.settles(before)


def test_a_flipped_byte_is_an_error_and_never_other_data(machine, volume, sh):  # noqa: F811
    marker, other = b"A-MARKER-OF-THIS-TEST".ljust(64, b".") * 12800, b"ANOTHER-ONE".ljust(64, b"-") * 640
    volume.store.bring("tools", BUSYBOX.read_bytes())
    made = volume.store.bring("sealed", tar(("fine", other), ("victim", marker), ("z-last", other)), parent="tools", seal=True)
    file = base64.b64decode(volume.write("test ! -e 2/tree; base64 2/sealed"))
    assert len(file) == made["sealed_bytes"] and file.count(marker) == 1
    assert listed(machine, "sealed")["root_hash"] == made["root_hash"]
    first = file.index(marker)
    middle = first + len(marker) // 2

    def works():
        machine.call("layer.get", id="sealed")
        assert sh("sealed", "sha256sum </victim") == hashlib.sha256(marker).hexdigest() + "  -\n"
        machine.call("layer.put", id="sealed")

    def breaks():
        machine.call("layer.get", id="sealed")
        assert sh("sealed", f"cat /fine | wc -c; cat /victim 2>&1 >/dev/null || true; dd if=/victim bs=4096 conv=noerror 2>/dev/null | tr -d '[:upper:].-' | wc -c") == (
            f"{len(other)}\ncat: read error: Input/output error\n0\n"
        )
        machine.call("layer.put", id="sealed")
        # Whoever reads all of it says so; nobody takes a part for the whole.
        error = refused(volume.store.export, "sealed")
        assert error.errno == 5 and error.step == "export the layer", error
        machine.settles(volume.opened)
        for _ in range(5):
            volume.store.abandon("layer.export", "sealed")
        machine.settles(volume.opened)

    def refuses():
        for method in ("layer.get", "layer.diff_size"):
            error = refused(machine.call, method, id="sealed")
            assert error.name == "verity-failed" and "the sealed layer sealed" in error.message, (method, error)
        error = refused(volume.store.bring, "above", tar(("x", "x")), parent="sealed")
        assert (error.name, error.step) == ("verity-failed", "prepare the layer")
        assert "above" not in volume.store.ids()

    works()
    volume.flip(2, middle)
    breaks()
    volume.flip(2, middle)
    works()
    # The first block; of the hash area, which is behind the image, the block above the two leaves; the image's last block.
    top = made["sealed_bytes"] // 4096 - 3
    for wrong in (0, top * 4096 + 5, (top - 1) * 4096 + 7):
        volume.flip(2, wrong)
        refuses()
        volume.flip(2, wrong)
    works()
    # Cut off, of another length, another layer's in its place, none at all.
    volume.write(f"cp 2/sealed kept; truncate -s {len(file) - 4096} 2/sealed; mv kept 2/kept")
    refuses()
    volume.write("cat 2/kept 1/layer.json >2/sealed")
    refuses()
    volume.write(f"head -c {len(file)} /dev/zero >2/sealed")
    refuses()
    volume.write("rm 2/sealed; mkfifo 2/sealed")
    refuses()
    volume.write("rm 2/sealed")
    assert refused(machine.call, "layer.get", id="sealed").errno == 2
    volume.write("mv 2/kept 2/sealed")
    works()


def test_facts_that_do_not_fit(machine, volume):
    """They are as good as the disk: the root hash tells whoever has noted it."""
    volume.store.bring("one", tar(("f", "1")), seal=True)
    root = listed(machine, "one")["root_hash"]
    volume.store.close()
    for change in ("s/\"root_hash\":\"../\"root_hash\":\"/", "s/sealed_bytes/sealed/", "s/\"place\":\"sealed\"/\"place\":\"image\"/", "s/\"blocks\":/\"blocks\":9/"):
        volume.pod.sh(f"cd {FOLDER}/1; cp layer.json /data/kept; sed -i '{change}' layer.json; ! cmp -s layer.json /data/kept", config=on("v"))
        error = refused(machine.call, "layer.open", store="lasting", volume="v")
        assert error.name == "bad-layer" and "layer.json" in error.message, (change, error)
        volume.pod.sh(f"mv /data/kept {FOLDER}/1/layer.json", config=on("v"))
    flipped = f"{int(root[0], 16) ^ 1:x}{root[1:]}"
    volume.pod.sh(f"sed -i 's/{root}/{flipped}/' {FOLDER}/1/layer.json", config=on("v"))
    volume.open()
    assert listed(machine, "one")["root_hash"] == flipped
    assert refused(machine.call, "layer.get", id="one").name == "verity-failed"


# ---- ends ----


def test_in_another_vm(runtime, tmp_path):
    """The same layer, by its root hash, after a shutdown while it is mounted."""
    path = sparse(tmp_path / "v.img", "512M")
    vm = Machine("sealed", memory="256M")
    place = lasting_store(vm, path, tmp_path, new=True)
    place.bring("below", below())
    place.bring("base", everything(), parent="below", devices=True, seal=True)
    place.create("own", parent="base", writable=True)
    vm.call("layer.get", id="own")
    facts, exported = vm.call("layer.list")["layers"], place.export("base")
    shut_down(vm, path)
    vm = Machine("sealed", memory="256M")
    place = lasting_store(vm, path, tmp_path)
    assert (place.opened["layers"], place.opened["removed"]) == (3, 0)
    found = vm.call("layer.list")["layers"]
    assert found == [{**layer, "gets": 0} for layer in facts] and found[1]["sealed"]
    vm.call("layer.get", id="own")
    assert place.export("base") == exported
    vm.stop()


def test_killed_at_every_record(runtime, tmp_path):
    faulty = Machine("m-sealed-faults", initrd=BUILD / "test" / "initramfs.cpio.zst")
    place = Store(faulty, tmp_path, size="1G")
    archive = tar(*[(f"d/{n}", "x" * 5000) for n in range(50)])
    place.bring("base", archive, seal=True)
    # The directories, finished and new; of the sealed layer below its mapping, its place, the mount; the view's place, the mount; the result.
    killed_at_every_record(faulty, 8, lambda: place.bring("l", archive, parent="base", seal=True), lambda: faulty.call("layer.remove", id="l"))
    assert place.ids() == ["base"]
    place.bring("l", archive, parent="base", seal=True)
    # Two sealed layers, the tree's place, the mount, the result.
    killed_at_every_record(faulty, 9, lambda: faulty.call("layer.get", id="l"), lambda: faulty.call("layer.put", id="l"))
    # One; the result.
    killed_at_every_record(faulty, 4, lambda: faulty.call("layer.diff_size", id="l"), lambda: None)
    assert place.ids() == ["base", "l"]
    place.remove_all()
    place.close()
    faulty.stop()


def test_a_full_disk(machine, tmp_path):
    """A sealed layer needs room for the tree and the image: what there is of both goes."""
    before = machine.at_rest()
    small = Store(machine, tmp_path, name="small", size="64M")
    error = refused(small.bring, "l", tar(("half", os.urandom(32 << 20))), seal=True)
    assert (error.errno, error.step) == (28, "write the image")
    assert small.ids() == []
    small.bring("l", tar(("half", os.urandom(16 << 20))), seal=True)
    small.bring("again", tar(("half", os.urandom(16 << 20))))  # the first one's tree is gone
    small.remove_all()
    small.close()
    machine.settles(before)
