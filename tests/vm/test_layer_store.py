# SPDX-License-Identifier: GPL-2.0-or-later
"""
The store of layers.  Tests that end in a name in brackets show what a test of that name shows of older storage drivers: `graphtest` of
moby's graph drivers, `aufs` of its AUFS driver.
"""

import gzip
import hashlib
import os
import pathlib
import random
import subprocess
import tarfile

import pytest
from layers import Store, info, members, tar
from machine import BUILD, Refused, config
from test_encrypted import RAW, sparse

BUSYBOX = pathlib.Path(BUILD / "images" / "busybox.tar")
DEEP = 127
DEEPEST = 500


@pytest.fixture
def store(machine, tmp_path):
    before = machine.at_rest()
    made = Store(machine, tmp_path)
    yield made
    made.remove_all()
    made.close()
    machine.settles(before)


@pytest.fixture
def sh(machine):
    """Runs a script in a container whose root is a mounted layer; the output."""
    count = iter(range(1000))

    def run(layer, script, config=config()):
        name = f"sh-{next(count)}"
        machine.call("rootfs.create", id=name, layer=layer)
        try:
            machine.call("container.create", id=name, rootfs=name, config=config, process={"args": ["sh", "-ec", script]})
            with machine.stream(name, timeout=300) as stream:
                machine.call("container.start", id=name)
                stream.end()
                out, err = stream.read_all()
            code = machine.call("container.wait", id=name)["exit_code"]
            machine.call("container.remove", id=name, force=True)
        finally:
            machine.call("rootfs.remove", id=name)
        assert code == 0, (out, err)
        return out.decode()

    return run


def refused(call, *arguments, **params):
    with pytest.raises(Refused) as raised:
        call(*arguments, **params)
    return raised.value


def numbered(seed, count, prefix="file"):
    """Some files of some bytes, always the same for one seed."""
    random_bytes = random.Random(seed)
    return [(f"{prefix}-{i}", random_bytes.randbytes(64)) for i in range(count)]


# ---- graphtest ----


def test_an_empty_layer(machine, store):
    """[graphtest CreateEmpty]"""
    store.create("empty")
    assert machine.call("layer.exists", id="empty") == {"exists": True}
    got = machine.call("layer.get", id="empty")
    assert got == {"id": "empty", "path": "/run/coffer/layer/empty", "writable": False, "gets": 1}
    machine.call("layer.put", id="empty")
    found = members(store.export("empty"))
    assert list(found) == ["."] and (found["."].mode, found["."].uid, found["."].gid) == (0o755, 0, 0)


def base_archive():
    return tar((info("a subdir", tarfile.DIRTYPE, mode=0o1705, uid=1, gid=2), None), (info("a file", mode=0o4222), "hello"))


def check_base(found):
    assert sorted(found) == [".", "a file", "a subdir"]
    assert (found["a subdir"].mode, found["a subdir"].uid, found["a subdir"].gid) == (0o1705, 1, 2)
    assert (found["a file"].mode, found["a file"].uid, found["a file"].content) == (0o4222, 0, b"hello")


def test_a_base_and_a_child_of_it(machine, store, sh):
    """[graphtest CreateBase, CreateSnap]"""
    store.bring("base", base_archive())
    check_base(members(store.export("base")))
    store.bring("tools", BUSYBOX.read_bytes(), parent="base")
    store.create("child", parent="tools", writable=True)
    assert machine.call("layer.get", id="child")["writable"] is True
    out = sh("child", "stat -c '%a %u:%g %s %n' '/a subdir' '/a file'")
    assert [line.split(maxsplit=3)[:2] + line.split(maxsplit=3)[3:] for line in out.splitlines()] == [["1705", "1:2", "/a subdir"], ["4222", "0:0", "/a file"]]
    machine.call("layer.put", id="child")


@pytest.mark.parametrize("depth", [DEEP, DEEPEST])
def test_a_deep_chain(machine, store, sh, depth):
    """[graphtest DeepLayerRead]"""
    store.bring("l0", tar(("testfile.txt", "of the base")))
    store.bring("l1", BUSYBOX.read_bytes(), parent="l0")
    for n in range(2, depth):
        store.bring(f"l{n}", tar((f"layer-{n}/layer-id", f"{n}"), (f"layer-{n}/parent-id", f"{n - 1}"), ("top-id", f"{n}")), parent=f"l{n - 1}")
    machine.call("layer.get", id=f"l{depth - 1}")
    out = sh(
        f"l{depth - 1}",
        f"cat /testfile.txt; echo; cat /top-id; n=2; while [ $n -lt {depth} ]; do [ $(cat /layer-$n/layer-id) = $n ]; [ $(cat /layer-$n/parent-id) = $((n-1)) ]; n=$((n+1)); done",
    )
    assert out == f"of the base\n{depth - 1}"
    machine.call("layer.put", id=f"l{depth - 1}")
    if depth == DEEPEST:
        error = refused(store.create, "one-more", parent=f"l{depth - 1}")
        assert (error.name, error.field) == ("invalid-params", "parent") and "500" in error.message


def test_a_diff_applied_to_a_sibling(machine, store):
    """[graphtest DiffApply]"""
    store.bring("base", tar(*numbered(3, 10), ("file-remove.txt", "x"), ("var/lib/", None)))
    changed = tar(*numbered(6, 10), info(".wh.file-remove.txt"), info("var/.wh.lib"))
    size = store.bring("upper", changed, parent="base")["size"]
    assert size == machine.call("layer.diff_size", id="upper")["size"] == 640
    archive = store.export("upper")
    store.bring("sibling", archive, parent="base")
    assert store.export("sibling") == archive
    assert sorted(name for name in members(archive)) == sorted([".", "var", ".wh.file-remove.txt", "var/.wh.lib"] + [f"file-{i}" for i in range(10)])
    machine.call("layer.get", id="sibling")
    machine.call("layer.put", id="sibling")


def test_changes(store):
    """[graphtest Changes]"""
    store.bring("base", tar(*[(f"c/file-{j}", f"{j}") for j in range(20)]))
    entries, wanted = [], [("/c", "modified")]
    for j in range(20):
        if j % 3 == 0:
            entries.append((info(f"c/file-{j}", mtime=5), "changed"))
            wanted.append((f"/c/file-{j}", "modified"))
        elif j % 3 == 1:
            entries.append((f"c/new-{j}", "new"))
            wanted.append((f"/c/new-{j}", "added"))
        else:
            entries.append(info(f"c/.wh.file-{j}"))
            wanted.append((f"/c/file-{j}", "deleted"))
    store.bring("upper", tar(*entries), parent="base")
    assert sorted(store.changes("upper")) == sorted(wanted)
    assert sorted(store.changes("base")) == sorted([("/c", "added")] + [(f"/c/file-{j}", "added") for j in range(20)])


def test_a_full_disk(machine, tmp_path):
    """[graphtest SetQuota]"""
    before = machine.at_rest()
    store = Store(machine, tmp_path, name="small", size="64M")
    store.bring("fits", tar(("half", os.urandom(20 << 20))))
    error = refused(store.bring, "too-large", tar(("whole", os.urandom(60 << 20))))
    assert error.errno == 28 and error.step == "unpack the layer"
    assert store.ids() == ["fits"]
    store.bring("again", tar(("half", os.urandom(15 << 20))))  # what was begun has been taken back
    store.remove_all()
    store.close()
    machine.settles(before)


# ---- aufs ----


def test_a_store_that_exists(machine, store):
    """[aufs NewDriverFromExistingDir, Exists]"""
    store.bring("base", tar(("f", "x")))
    facts = machine.call("layer.metadata", id="base")
    machine.call("layer.close", store="store")
    assert machine.call("layer.exists", id="base") == {"exists": False} and machine.call("layer.list")["layers"] == []
    opened = machine.call("layer.open", store="store", scratch="store-disk")
    assert (opened["layers"], opened["removed"]) == (1, 0)
    assert machine.call("layer.metadata", id="base") == facts
    error = refused(machine.call, "layer.open", store="second", scratch="store-disk")
    assert error.field == "scratch"


def test_removing(machine, store):
    """[aufs RemoveImage, RemoveMountedDir]"""
    store.create("base")
    store.create("child", parent="base")
    assert refused(machine.call, "layer.remove", id="base").name == "in-use"
    machine.call("layer.get", id="child")
    assert refused(machine.call, "layer.remove", id="child").name == "in-use"
    assert refused(machine.call, "layer.close", store="store").name == "in-use"
    machine.call("layer.put", id="child")
    machine.call("layer.remove", id="child")
    machine.call("layer.remove", id="base")
    assert store.ids() == [] and refused(machine.call, "layer.remove", id="base").name == "not-found"


def test_getting_is_counted(machine, store):
    """[aufs GetWithoutParent, MountWithParent, MountedFalse, MountedTrue]"""
    before = machine.at_rest()["mounts"]
    store.create("base")
    store.create("child", parent="base", writable=True)
    assert machine.call("layer.get", id="base")["writable"] is False
    assert [machine.call("layer.get", id="child")["gets"] for _ in range(3)] == [1, 2, 3]
    assert machine.resources()["mounts"] == before + 2
    meta = machine.call("layer.metadata", id="child")
    lower = machine.call("layer.metadata", id="base")["upper"]
    assert meta["merged"] == "/run/coffer/layer/child" and meta["lower"] == [lower] and meta["work"] and meta["gets"] == 3
    assert machine.call("layer.status", store="store") == {
        "store": "store", "scratch": "store-disk", "path": "/run/coffer/scratch/store-disk/layers", "lasting": False, "layers": 2, "mounted": 2, "size": 0,
    }  # fmt: skip
    for id in ("child", "child", "child", "base"):
        assert machine.resources()["mounts"] > before
        machine.call("layer.put", id=id)
    assert machine.resources()["mounts"] == before
    assert refused(machine.call, "layer.put", id="child").name == "not-found"
    assert machine.call("layer.metadata", id="child")["merged"] is None


def test_parents_that_are_none(machine, store, tmp_path):
    """[aufs CreateWithInvalidParent]"""
    error = refused(store.create, "child", parent="nobody")
    assert (error.name, error.field) == ("not-found", "parent")
    other = Store(machine, tmp_path, name="other", size="1G")
    other.create("elsewhere")
    error = refused(store.create, "child", parent="elsewhere")
    assert (error.name, error.field) == ("invalid-params", "parent")
    assert refused(other.create, "elsewhere").name == "already-exists"
    assert store.ids() == []
    other.remove_all()
    other.close()


def test_writing_and_what_was_written(machine, store, sh):
    """[aufs GetDiff, Changes, DiffSize, ChildDiffSize, ApplyDiff]"""
    store.bring("base", BUSYBOX.read_bytes())
    store.create("rw", parent="base", writable=True)
    assert machine.call("layer.diff_size", id="rw") == {"id": "rw", "size": 0}
    machine.call("layer.get", id="rw")
    sh("rw", "echo hello > /new; mkdir /d; ln /new /d/again; rm /bin/false; chmod 700 /root; sync")
    assert dict(store.changes("rw")) == {"/bin": "modified", "/bin/false": "deleted", "/d": "added", "/d/again": "added", "/new": "added", "/root": "modified"} | {
        path: kind for path, kind in store.changes("rw") if path.split("/")[1] in ("dev", "proc", "sys", "etc", "run", "tmp", "var")
    }
    assert refused(store.create, "too-early", parent="rw").name == "in-use"
    machine.call("layer.put", id="rw")
    assert machine.call("layer.diff_size", id="rw")["size"] == 6
    found = members(store.export("rw"))
    assert found["new"].islnk() != found["d/again"].islnk() and found["bin/.wh.false"].isreg() and "bin/false" not in found
    store.create("child", parent="rw")
    assert machine.call("layer.get", id="rw")["writable"] is False  # sealed: another stands on it
    assert machine.call("layer.metadata", id="rw")["writable"] is False
    machine.call("layer.put", id="rw")


def test_many_layers_each_of_which_removes_something(machine, store, sh):
    """[aufs MountMoreThan42Layers]"""
    store.bring("l0", BUSYBOX.read_bytes())
    for n in range(1, 127):
        entries = [(f"d/{n}", f"{n}")]
        if n % 10 == 0:
            entries.append(info(f"d/.wh.{n - 1}"))
        store.bring(f"l{n}", tar(*entries), parent=f"l{n - 1}")
    machine.call("layer.get", id="l126")
    names = sh("l126", "ls /d").split()
    assert sorted(map(int, names)) == [n for n in range(1, 127) if (n + 1) % 10 != 0]
    machine.call("layer.put", id="l126")


def test_many_at_once(machine, store):
    """[aufs ConcurrentAccess]"""
    store.bring("base", tar(("f", "x")))
    for n in range(64):
        store.create(f"l{n}", parent="base", writable=n % 2 == 0)
    with machine.connect(timeout=300) as one, machine.connect(timeout=300) as two:
        for method in ("layer.get", "layer.put"):
            numbers = [(control, control.post(method, {"id": f"l{n % 64}"})) for n in range(128) for control in (one, two)[n % 2 :][:1]]
            for control, number in numbers:
                control.answer(number)
    assert machine.call("layer.status", store="store")["mounted"] == 0


# ---- streams ----


def test_packed_archives_and_digests(machine, store):
    plain = tar(("f", "x" * 100000), ("g", b""))
    packed = gzip.compress(plain)
    strong = subprocess.run(["zstd", "-q"], input=plain, capture_output=True, check=True).stdout
    diff_id = "sha256:" + hashlib.sha256(plain).hexdigest()
    for id, archive in (("plain", plain), ("gzip", packed), ("zstd", strong)):
        digest = "sha256:" + hashlib.sha256(archive).hexdigest()
        made = store.bring(id, archive, digest=digest, diff_id=diff_id)
        assert (made["digest"], made["diff_id"], made["stream_bytes"], made["tar_bytes"]) == (digest, diff_id, len(archive), len(plain))
        assert made["size"] == 100000
    wrong = "sha256:" + "0" * 64
    for params in ({"digest": wrong}, {"diff_id": wrong}):
        error = refused(store.bring, "wrong", packed, **params)
        assert error.name == "digest-mismatch" and wrong in error.message and machine.call("layer.exists", id="wrong") == {"exists": False}
    for text in ("sha256:", "sha512:" + "0" * 128, "sha256:" + "A" * 64):
        assert refused(store.bring, "wrong", packed, digest=text).field == "digest"


def test_streams_that_end_early(machine, store):
    archive = tar(("f", os.urandom(3 << 20)))
    for cut in (0, 1, 100, 1 << 20):
        error = refused(store.bring, "cut", archive, cut=cut)
        assert error.name == "bad-layer" and "cut off" in error.message, error
    error = refused(store.bring, "torn", archive[: 1 << 20])
    assert error.name == "bad-layer" and "cut off" not in error.message, error
    assert store.ids() == []
    with machine.connect(timeout=30) as own:
        number = own.post("layer.import", {"id": "nobody-comes", "store": "store", "open_ms": 300})
        error = refused(own.answer, number)
    assert (error.name, error.step) == ("timeout", "wait for the stream") and store.ids() == []
    error = refused(machine.call, "layer.import", id="l", store="store", volume="nobody", path="/x")
    assert (error.name, error.field) == ("not-found", "volume")
    error = refused(machine.stream, None, layer="nobody")
    assert (error.name, error.field) == ("not-found", "layer")
    assert refused(machine.stream, "c", layer="nobody").name == "invalid-params"


# ---- what lasts ----


def test_a_store_on_an_encrypted_volume(machine, tmp_path):
    before = machine.at_rest()
    serial = machine.add_disk(sparse(tmp_path / "v.img", "512M"))
    machine.call("encrypted.create", id="v", device={"serial": serial}, key=RAW)
    store = Store(machine, tmp_path, name="lasting", volume="v")
    store.bring("base", tar(("f", "kept")))
    store.create("child", parent="base")
    listed = machine.call("layer.list")["layers"]
    exported = store.export("base")
    assert refused(machine.call, "volume.detach", id="v").name == "in-use"
    store.close()
    machine.call("volume.detach", id="v")
    machine.call("encrypted.open", id="v", device={"serial": serial}, key=RAW)
    store = Store(machine, tmp_path, name="lasting", volume="v")
    assert store.opened["layers"] == 2 and machine.call("layer.list")["layers"] == listed and store.export("base") == exported
    store.remove_all()
    store.close()
    machine.call("volume.detach", id="v")
    machine.remove_disk(serial)
    machine.settles(before)


# ---- other owners ----

SHIFT = [{"tree": 0, "mount": 100000, "count": 65536}]
IN_USER_NAMESPACE = config(
    namespaces=config()["namespaces"] + [{"type": "NEWUSER"}],
    uid_mappings=[{"container_id": 0, "host_id": 100000, "size": 65536}],
    gid_mappings=[{"container_id": 0, "host_id": 100000, "size": 65536}],
)
LIST = "stat -c '%n %u:%g %a' / /bin/busybox /mine /odd /far"


@pytest.mark.parametrize("kind", ["plain", "encrypted", "sealed"])
def test_layers_shown_with_other_owners(machine, store, sh, kind):
    """A container with a user namespace of its own finds its root's files, and another layer of the same store stays as it is."""
    store.bring("tools", BUSYBOX.read_bytes())
    how = {"plain": {}, "encrypted": {"key": RAW, "image": {"size": "1m"}}, "sealed": {"seal": True}}[kind]
    files = [info("mine", mode=0o4755), info("odd", uid=1000, gid=50, mode=0o666), info("far", uid=70000, gid=70000)]
    store.bring("files", tar(*files), parent="tools", **how)
    if kind == "encrypted":
        machine.call("layer.unlock", id="files", key=RAW)
    store.create("own", parent="files", writable=True)
    assert machine.call("layer.get", id="own", uids=SHIFT, gids=SHIFT)["gets"] == 1
    assert machine.call("layer.get", id="own", uids=SHIFT, gids=SHIFT)["gets"] == 2
    for other in ({}, {"uids": SHIFT, "gids": [{**SHIFT[0], "count": 1}]}, {"uids": SHIFT * 2, "gids": SHIFT}):
        assert refused(machine.call, "layer.get", id="own", **other).field == "uids"
    inside = sh("own", f"{LIST}; echo new >/new; echo more >>/odd; rm /mine", config=IN_USER_NAMESPACE)
    assert inside.splitlines() == ["/ 0:0 755", "/bin/busybox 0:0 755", "/mine 0:0 4755", "/odd 1000:50 666", "/far 65534:65534 644"]
    outside = sh("own", "stat -c '%n %u:%g' / /bin/busybox /odd /new")
    assert outside.splitlines() == ["/ 100000:100000", "/bin/busybox 100000:100000", "/odd 101000:100050", "/new 100000:100000"]
    for _ in range(2):
        machine.call("layer.put", id="own")
    # The layers below are what they were; the one that was written to has the ids that were shown, and an export takes them back.
    assert (members(store.export("files"))["odd"].uid, members(store.export("tools"))["bin/busybox"].uid) == (1000, 0)
    back = [{"tree": 100000, "archive": 0, "count": 65536}]
    found = members(store.take("layer.export", "own", uids=back, gids=back)[1])
    assert {name: (found[name].uid, found[name].gid) for name in (".", "odd", "new")} == {".": (0, 0), "odd": (1000, 50), "new": (0, 0)}
    machine.call("layer.get", id="files", uids=SHIFT, gids=SHIFT)
    assert sh("files", "stat -c %u /odd; cat /odd | wc -c") == "101000\n0\n"
    machine.call("layer.put", id="files")


def test_ranges_that_are_refused(machine, store):
    store.bring("base", tar(("f", "x")))
    rows = [
        ({"uids": SHIFT}, "gids"),
        ({"gids": SHIFT}, "uids"),
        ({"uids": [{"tree": 0, "mount": 0, "count": 0}], "gids": SHIFT}, "uids[0].count"),
        ({"uids": SHIFT, "gids": [{"tree": 4294967294, "mount": 0, "count": 2}]}, "gids[0].count"),
        ({"uids": SHIFT, "gids": [{"tree": 0, "count": 2}]}, "gids[0].mount"),
        ({"uids": SHIFT * 341, "gids": SHIFT}, "uids"),
        ({"uids": SHIFT * 2, "gids": SHIFT}, "uids"),
        ({"uids": SHIFT, "gids": SHIFT + [{"tree": 5, "mount": 5, "count": 1}]}, "gids"),
    ]
    wrong = []
    for params, field in rows:
        error = refused(machine.call, "layer.get", id="base", **params)
        if (error.name, error.field) != ("invalid-params", field):
            wrong.append((params, error.name, error.field, error.message))
    assert not wrong
