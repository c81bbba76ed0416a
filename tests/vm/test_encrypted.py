# SPDX-License-Identifier: GPL-2.0-or-later
"""Encrypted volumes: what is written outlives the VM, nothing else on the disk is believed, and a crash leaves no half of anything."""

import base64
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import threading
import time

import pytest
from luks import COPY, Header
from machine import BUILD, MOUNTS, Machine, Pod, Refused, config
from qmp import Qmp
from test_faults import killed_at_every_record
from test_lifecycle import ended, wait_until

RAW = {"raw": base64.b64encode(bytes(range(32))).decode()}
OTHER = {"raw": base64.b64encode(bytes(range(64))).decode()}
PASSPHRASE = {"passphrase": "PASSPHRASE-OF-THE-TEST"}
MARKER = b"VISIBLE-MARKER-OF-THE-TEST"


def sparse(path, size):
    subprocess.run(["truncate", "-s", str(size), path], check=True)
    return path


def on(name):
    """A config with the volume on /data."""
    bind = {"source": f"/run/coffer/volume/{name}", "destination": "/data", "device": "bind", "flags": 4096}
    return config(mounts=MOUNTS + [bind])


def is_free(path):
    """Has a QEMU that was killed let go of the file?  Its threads may outlive its first one a little."""
    return f":{path.stat().st_ino} " not in pathlib.Path("/proc/locks").read_text()


def refused(machine, method, **params):
    with pytest.raises(Refused) as raised:
        machine.call(method, **params)
    return raised.value


@pytest.fixture(scope="module")
def baseline(machine, pod):
    """Taken once, and not just behind another test's end."""
    pod.sh("true")
    return machine.at_rest()


@pytest.fixture(autouse=True)
def nothing_left(machine, baseline):
    yield
    left = [found for found in machine.call("volume.list")["volumes"] if found["type"] == "encrypted"]
    for found in left:  # or every test behind this one would fail too
        machine.call("volume.detach", id=found["id"])
    assert left == []
    machine.settles(baseline)


@pytest.fixture
def disk(machine, tmp_path):
    """An empty disk of 128 MiB, by its serial; `.path` is the file."""

    class Disk(str):
        pass

    path = sparse(tmp_path / "disk.img", "128M")
    made = Disk(machine.add_disk(path))
    made.path = path
    yield made
    machine.remove_disk(made)


@pytest.fixture(scope="module")
def template(machine, tmp_path_factory):
    """A volume of 64 MiB that has been closed: to be copied and changed."""
    path = sparse(tmp_path_factory.mktemp("template") / "t.img", "64M")
    serial = machine.add_disk(path)
    machine.call("encrypted.create", id="t", device={"serial": serial}, key=RAW)
    machine.call("volume.detach", id="t")
    machine.remove_disk(serial)
    return path


def with_copy(machine, template, path, change, key=RAW, **params):
    """Opens a changed copy of the template, which must be refused; the error."""
    shutil.copyfile(template, path)
    change(path)
    serial = machine.add_disk(path)
    try:
        return refused(machine, "encrypted.open", id="v", device={"serial": serial}, key=key, **params)
    finally:
        machine.remove_disk(serial)


# ---- what it is for ----


def test_what_one_machine_writes_the_next_one_reads(machine, pod, images, runtime, tmp_path):
    path = sparse(tmp_path / "disk.img", "256M")
    serial = machine.add_disk(path)
    made = machine.call("encrypted.create", id="v", device={"serial": serial}, key=PASSPHRASE, fs_type="ext4")
    assert made["type"] == "encrypted" and made["fs_type"] == "ext4" and made["key_from"] == "request"
    assert made["size"] > 0.9 * (256 << 20) and made["written"] < 32 << 20
    listed = [v for v in machine.call("volume.list")["volumes"] if v["id"] == "v"]
    assert listed == [{"id": "v", "state": "ready", "users": 0, "type": "encrypted", "device": made["device"], "fs_type": "ext4", "size": made["size"]}]
    sums = pod.sh(
        f"cd /data; for i in $(seq 99); do echo {MARKER.decode()}; done > a-file-name-to-look-for; head -c 9000000 /dev/urandom > random; sha256sum *[mr] | tee /root/sums",
        config=on("v"),
    )
    keys = pod.sh("cat /proc/keys", config=config(mask_paths=None))
    assert "logon" not in keys and "coffer:" not in keys
    machine.call("volume.detach", id="v")
    machine.remove_disk(serial)

    raw = path.read_bytes()
    for plain in (MARKER, b"a-file-name-to-look-for", b"lost+found", b"PASSPHRASE-OF"):
        assert plain not in raw, plain
    # The same disk for the usual tool; the header is what the answer said.
    dump = subprocess.run(["cryptsetup", "luksDump", path], check=True, capture_output=True, text=True).stdout
    for words in ("aes-xts-plain64", "hmac(sha256)", "argon2id", "4096 [bytes]"):
        assert words in dump
    test = ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", path]
    assert subprocess.run(test, input=b"PASSPHRASE-OF-THE-TEST").returncode == 0
    assert subprocess.run(test, input=b"PASSPHRASE-OF-THE-TESS", capture_output=True).returncode == 2
    assert Header(path).sha256() == made["header_sha256"]

    vm = Machine("next")
    other = Pod(vm, images(), tmp_path)
    serial = vm.add_disk(path)
    opened = vm.call("encrypted.open", id="w", device={"serial": serial}, key=PASSPHRASE, header_sha256=made["header_sha256"])
    assert opened["size"] == made["size"] and opened["header_sha256"] == made["header_sha256"]
    assert other.sh("cd /data; sha256sum *[mr]", config=on("w")) == sums
    vm.call("volume.detach", id="w")
    assert "PASSPHRASE-OF" not in vm.console() + machine.console()
    other.close()
    vm.stop()


def test_fill_delete_fill_again_and_read_all_back(machine, pod, disk):
    """Blocks that were never written do not authenticate: ext4, its journal and its lazy parts must never read one."""
    machine.call("encrypted.create", id="v", device={"serial": disk}, key=RAW)
    pod.sh(
        "cd /data; dd if=/dev/zero of=big bs=1M 2>/dev/null || true; test $(stat -c %s big) -gt 90000000; rm big; mkdir d;"
        "for i in $(seq 1000); do echo $i > d/$i; done; dd if=/dev/zero of=big bs=1M 2>/dev/null || true; sync; rm big; sync",
        config=on("v"),
    )
    machine.call("volume.detach", id="v")
    machine.call("encrypted.open", id="v", device={"serial": disk}, key=RAW)
    assert pod.sh("cd /data/d; cat * | sort -n | tail -n 1; ls | wc -l", config=on("v")) == "1000\n1000\n"
    machine.call("volume.detach", id="v")
    assert "AEAD ERROR" not in machine.console() and "EXT4-fs error" not in machine.console()


MAKE_FILES = "for j in 1 2 3 4 5 6 7 8; do (mkdir d$j; i=0; while [ $i -lt 200 ]; do : > d$j/f$i; i=$((i+1)); done) & done; wait; ls d*/f* | wc -l"


def test_many_make_files_at_once(machine, pod, disk):
    """In directories of their own, so that nothing but the inode tables is shared: none of their blocks may be read unwritten."""
    machine.call("encrypted.create", id="v", device={"serial": disk}, key=RAW)
    assert pod.sh(f"cd /data; mkdir here; cd here; {MAKE_FILES}", config=on("v")) == "1600\n"
    grow(machine, disk, 1 << 30)
    machine.call("volume.resize", id="v", key=RAW)
    assert pod.sh(f"mkdir /data/new; cd /data/new; {MAKE_FILES}", config=on("v")) == "1600\n"
    machine.call("volume.detach", id="v")
    assert "unable to read itable block" not in machine.console()


def test_killed_in_the_middle_of_writes(machine, pod, images, runtime, tmp_path):
    """kill -9 of QEMU, three times: what was synced is there, the rest is whole or absent, and no block is unreadable."""
    path, synced = sparse(tmp_path / "disk.img", "256M"), 0
    script = "cd /data; i=%d; while :; do head -c 300000 /dev/zero | tr '\\0' x > t; sync t; mv t f$i; sync f$i; sync .; echo $i; i=$((i+1)); done"
    for turn in range(3):
        vm = Machine(f"killed-{turn}")
        other = Pod(vm, images(), tmp_path)
        serial = vm.add_disk(path)
        vm.call("encrypted.open" if turn else "encrypted.create", id="v", device={"serial": serial}, key=RAW)
        name = other.start("sh", "-c", script % synced, config=on("v"))
        stream, lines = vm.stream(name), b""
        deadline = time.monotonic() + 6 + turn
        while time.monotonic() < deadline or b"\n" not in lines:
            lines += stream.frame()[2]
        os.kill(vm.info["pid"], signal.SIGKILL)
        wait_until(lambda: ended(vm) and is_free(path))
        synced = int(lines.rsplit(b"\n", 1)[0].split(b"\n")[-1]) + 1
        assert "AEAD ERROR" not in vm.console()
        other.disk.unlink()
    assert synced > 5
    serial = machine.add_disk(path)
    machine.call("encrypted.open", id="v", device={"serial": serial}, key=RAW)
    out = pod.sh(f"cd /data; i=0; while test $i -lt {synced}; do test $(tr -d x < f$i | wc -c) = 0; test $(stat -c %s f$i) = 300000; i=$((i+1)); done; echo $i", config=on("v"))
    assert out == f"{synced}\n"
    machine.call("volume.detach", id="v")
    machine.remove_disk(serial)
    assert "AEAD ERROR" not in machine.console()


def test_read_only(machine, pod, disk):
    machine.call("encrypted.create", id="v", device={"serial": disk}, key=RAW)
    pod.sh("echo kept > /data/f", config=on("v"))
    machine.call("volume.detach", id="v")
    machine.call("encrypted.open", id="v", device={"serial": disk}, key=RAW, read_only=True)
    assert pod.sh("cat /data/f; echo x 2>/dev/null > /data/f || echo refused", config=on("v")) == "kept\nrefused\n"
    machine.call("volume.detach", id="v")


# ---- keys ----


def test_a_wrong_key(machine, disk):
    machine.call("encrypted.create", id="v", device={"serial": disk}, key=RAW)
    machine.call("volume.detach", id="v")
    before = disk.path.read_bytes()
    for key in (OTHER, PASSPHRASE, {"raw": base64.b64encode(bytes(32)).decode()}):
        began = time.monotonic()
        error = refused(machine, "encrypted.open", id="v", device={"serial": disk}, key=key)
        assert error.name == "bad-key" and error.step == "open the key slot"
        assert time.monotonic() - began < 20
        assert refused(machine, "encrypted.change_key", device={"serial": disk}, key=key, new_key=RAW).name == "bad-key"
    assert disk.path.read_bytes() == before


def test_change_key(machine, pod, disk):
    """While it is open and while it is not; the old key's slot is gone from the disk."""
    made = machine.call("encrypted.create", id="v", device={"serial": disk}, key=RAW)
    pod.sh("echo kept > /data/f", config=on("v"))
    old = Header(disk.path)
    first = machine.call("encrypted.change_key", id="v", key=RAW, new_key=OTHER)
    assert first["key_from"] == "request" and first["header_sha256"] not in ("", made["header_sha256"])
    assert refused(machine, "encrypted.change_key", id="v", key=RAW, new_key=OTHER).name == "bad-key"
    machine.call("volume.detach", id="v")
    new = Header(disk.path)
    assert new.sha256() == first["header_sha256"] and new.sequence(0) == new.sequence(1) == 2
    offset = int(old.json()["keyslots"]["0"]["area"]["offset"])
    assert int(new.json()["keyslots"]["0"]["area"]["offset"]) != offset
    assert old.bytes[offset : offset + 4096] not in bytes(new.bytes)
    assert refused(machine, "encrypted.open", id="v", device={"serial": disk}, key=RAW).name == "bad-key"
    assert refused(machine, "encrypted.change_key", device={"serial": disk}, key=RAW, new_key=RAW).name == "bad-key"
    second = machine.call("encrypted.change_key", device={"serial": disk}, key=OTHER, new_key=RAW)
    # The header of before, put back by the host: the key of before would open it again, unless the right one is asked for.
    new.write()
    error = refused(machine, "encrypted.open", id="v", device={"serial": disk}, key=OTHER, header_sha256=second["header_sha256"])
    assert error.name == "bad-header" and "header_sha256" in error.message
    opened = machine.call("encrypted.open", id="v", device={"serial": disk}, key=OTHER, header_sha256=first["header_sha256"])
    assert opened["header_sha256"] == first["header_sha256"]
    assert pod.sh("cat /data/f", config=on("v")) == "kept\n"
    machine.call("volume.detach", id="v")


def test_another_volume_s_header_under_an_open_one(machine, pod, disk, template):
    """The host puts the header of another volume with the same key under one that is open: no change is made with it."""
    machine.call("encrypted.create", id="v", device={"serial": disk}, key=RAW)
    pod.sh("echo kept > /data/f; sync", config=on("v"))
    mine, foreign = Header(disk.path), Header(template)
    foreign.write(disk.path)
    for method, params in (("encrypted.change_key", {"key": RAW, "new_key": OTHER}), ("volume.resize", {"key": RAW})):
        error = refused(machine, method, id="v", **params)
        # The kernel may still know the beginning of the disk from before: then the volume's own header was read.
        assert error.name == "bad-header" and "digests.0" in error.message, error
    mine.write(disk.path)
    assert pod.sh("cat /data/f", config=on("v")) == "kept\n"
    machine.call("volume.detach", id="v")


PARAMS = [
    ("key", {}),
    ("key", {"passphrase": "a", **RAW}),
    ("key", {"passphrase": "a", "more": 1}),
    ("key.passphrase", {"passphrase": ""}),
    ("key.passphrase", {"passphrase": "x" * 513}),
    ("key.passphrase", {"passphrase": 5}),
    ("key.raw", {"raw": base64.b64encode(bytes(31)).decode()}),
    ("key.raw", {"raw": base64.b64encode(bytes(65)).decode()}),
    ("key.raw", {"raw": RAW["raw"][:-1]}),
    ("key.raw", {"raw": "secret words, and not base64"}),
]


@pytest.mark.parametrize("number", range(len(PARAMS)))
def test_a_key_that_is_no_key(machine, number):
    field, key = PARAMS[number]
    error = refused(machine, "encrypted.create", id="v", device={"serial": "none"}, key=key, timeout_ms=1)
    assert error.name == "invalid-params" and error.field.startswith(field), error
    for word in ("xxxx", "secret words"):
        assert word not in str(error)


def test_other_parameters(machine, pod):
    device, sum_ = {"serial": "none"}, "0" * 64
    for field, method, params in (
        ("fs_type", "encrypted.create", dict(id="v", device=device, key=RAW, fs_type="xfs")),
        ("header_sha256", "encrypted.open", dict(id="v", device=device, key=RAW, header_sha256=sum_[1:])),
        ("header_sha256", "encrypted.open", dict(id="v", device=device, key=RAW, header_sha256=sum_[1:] + "G")),
        ("force", "encrypted.open", dict(id="v", device=device, key=RAW, force=True)),
        ("device", "encrypted.create", dict(id="v", key=RAW)),
        ("device.path", "encrypted.create", dict(id="v", device={"path": "/dev/mapper/x"}, key=RAW)),
        ("id", "encrypted.change_key", dict(key=RAW, new_key=RAW)),
        ("id", "encrypted.change_key", dict(id="v", device=device, key=RAW, new_key=RAW)),
        ("new_key", "encrypted.change_key", dict(id="v", key=RAW)),
        ("id", "encrypted.change_key", dict(id="image", key=RAW, new_key=RAW)),
    ):
        error = refused(machine, method, **params)
        assert error.name == "invalid-params" and error.field == field, (error, params)
    assert refused(machine, "encrypted.change_key", id="v", key=RAW, new_key=RAW).name == "not-found"
    assert refused(machine, "volume.resize", id="v").name == "not-found"
    assert refused(machine, "volume.resize", id="image", key=RAW).name == "unsupported-volume"
    assert refused(machine, "encrypted.open", id="image", device=device, key=RAW).name == "already-exists"


# ---- growing ----


def grow(machine, serial, size):
    with Qmp(machine.info["qmp"]) as qmp:
        qmp.execute("block_resize", **{"node-name": f"disk-{serial}", "size": size})
    time.sleep(0.5)  # the guest's driver hears of it by an interrupt


def test_grow(machine, pod, disk):
    small = machine.call("encrypted.create", id="v", device={"serial": disk}, key=RAW)["size"]
    pod.sh("cd /data; head -c 20000000 /dev/urandom > f; sha256sum f > sum; sync", config=on("v"))
    assert machine.call("volume.resize", id="v", key=RAW)["size"] == small
    assert refused(machine, "volume.resize", id="v").field == "key"
    assert refused(machine, "volume.resize", id="v", key=OTHER).name == "bad-key"
    for size in ((300 << 20) + 512 * 7, 512 << 20, 20 << 30):
        grow(machine, disk, size // 512 * 512)
        answer = machine.call("volume.resize", id="v", key=RAW)
        assert answer["size"] > 0.95 * size and answer["steps"]
        assert [v["size"] for v in machine.call("volume.list")["volumes"] if v["id"] == "v"] == [answer["size"]]
        blocks = int(pod.sh("cd /data; sha256sum -c sum >/dev/null; stat -f -c %b .", config=on("v")))
        assert blocks * 4096 > 0.85 * size  # a sixteenth is for inodes
        if size < 512 << 20:
            pod.sh("cd /data; dd if=/dev/zero of=all bs=1M 2>/dev/null || true; test $(stat -c %s all) -gt 180000000; sync; rm all; sync", config=on("v"))
    pod.sh("cd /data; dd if=/dev/zero of=big bs=1M count=150 2>/dev/null; sync; sha256sum -c sum; for i in $(seq 50); do mkdir d$i; for j in $(seq 10); do echo $j > d$i/$j; done; done", config=on("v"))
    machine.call("volume.detach", id="v")
    opened = machine.call("encrypted.open", id="v", device={"serial": disk}, key=RAW)
    assert opened["size"] == answer["size"]
    assert "f: OK" in pod.sh("cd /data; sha256sum -c sum; test $(tr -d '\\0' < big | wc -c) = 0; test $(cat d*/* | wc -l) = 500", config=on("v"))
    machine.call("volume.detach", id="v")
    assert "AEAD ERROR" not in machine.console() and "EXT4-fs error" not in machine.console()


def test_a_disk_that_grew_while_it_was_closed(machine, pod, disk):
    size = machine.call("encrypted.create", id="v", device={"serial": disk}, key=RAW)["size"]
    pod.sh("echo kept > /data/f", config=on("v"))
    machine.call("volume.detach", id="v")
    grow(machine, disk, 1 << 30)
    assert machine.call("encrypted.open", id="v", device={"serial": disk}, key=RAW)["size"] == size
    assert machine.call("volume.resize", id="v", key=RAW)["size"] > 0.95 * (1 << 30)
    assert pod.sh("cat /data/f", config=on("v")) == "kept\n"
    machine.call("volume.detach", id="v")


def test_a_disk_that_shrank(machine, template, tmp_path):
    error = with_copy(machine, template, tmp_path / "c.img", lambda path: os.truncate(path, 60 << 20))
    assert error.name == "bad-device" and "smaller than it was" in error.message


# ---- the disk is the host's ----


def test_flipped_bytes_are_read_errors_and_never_other_data(machine, pod, disk):
    machine.call("encrypted.create", id="v", device={"serial": disk}, key=RAW)
    pod.sh("sync", config=on("v"))
    before = disk.path.read_bytes()
    pod.sh("head -c 8388608 /dev/zero | tr '\\0' x > /data/victim; sync", config=on("v"))
    machine.call("volume.detach", id="v")
    # The file is where many blocks on end have changed, behind dm-integrity's journal; its middle is flipped, and nothing else.
    after = disk.path.read_bytes()
    changed = [before[at : at + 4096] != after[at : at + 4096] for at in range(0, len(after), 4096)]
    runs, start = [], None
    for block in range(10 << 8, len(changed) + 1):
        if block < len(changed) and changed[block]:
            start = block if start is None else start
        elif start is not None:
            runs.append((start, block))
            start = None
    first, last = max(runs, key=lambda run: run[1] - run[0])
    assert last - first >= 1024, runs
    with open(disk.path, "r+b", buffering=0) as file:
        for block in range(first + 256, last - 256):
            os.pwrite(file.fileno(), bytes([after[block * 4096 + 9] ^ 1]), block * 4096 + 9)
    machine.call("encrypted.open", id="v", device={"serial": disk}, key=RAW)
    code, out, err = pod.run("sh", "-c", "dd if=/data/victim bs=4096 conv=noerror 2>/root/log | tr -d 'x' | wc -c; grep -c error /root/log; dd if=/data/victim of=/dev/null bs=4096", config=on("v"))
    other, errors = (int(word) for word in out.split())
    assert other == 0 and errors > 0 and code != 0 and "dd: " in err, (code, out, err)
    machine.call("volume.detach", id="v")


def superblock(**changes):
    def change(path):
        with open(path, "r+b") as file:
            for offset, value in changes.values():
                file.seek((1 << 20) + offset)
                file.write(value)

    return change


SUPERBLOCKS = {
    "magic": (0, b"x"),
    "version": (8, b"\x05"),
    "log2_interleave_sectors": (9, b"\x0e"),
    "integrity_tag_size": (10, b"\x04"),
    "journal_sections": (12, struct.pack("<I", 1 << 30)),
    "provided_data_sectors": (16, bytes(8)),
    "flags": (24, b"\x0a"),
    "log2_sectors_per_block": (28, b"\x00"),
    "what should be zero": (32, b"\x01"),
}


@pytest.mark.parametrize("field", SUPERBLOCKS)
def test_a_superblock_of_dm_integrity_that_is_not_ours(machine, template, tmp_path, field):
    error = with_copy(machine, template, tmp_path / "c.img", superblock(it=SUPERBLOCKS[field]))
    assert error.name == "crypt-failed" and field in error.message, error


def test_a_header_that_changes_between_reads(machine, template, tmp_path):
    """The host swaps the whole header, again and again, while it is opened: it is either the one or the other that was read."""
    path = tmp_path / "c.img"
    shutil.copyfile(template, path)
    good, bad = Header(path), Header(path)
    bad.change(lambda j: j["segments"]["0"].update(encryption="cipher_null-ecb"))
    serial, done, seen = machine.add_disk(path), threading.Event(), set()

    def swap():
        while not done.is_set():
            bad.write()
            good.write()

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(25):
            try:
                machine.call("encrypted.open", id="v", device={"serial": serial}, key=RAW)
                machine.call("volume.detach", id="v")
                seen.add("opened")
            except Refused as error:
                assert error.name == "bad-header", error
                seen.add("refused")
    finally:
        done.set()
        thread.join()
        good.write()
    print(seen)
    machine.call("encrypted.open", id="v", device={"serial": serial}, key=RAW)
    machine.call("volume.detach", id="v")
    machine.remove_disk(serial)


def drop(*path):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return change


def put(value, *path):
    def change(document):
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


SLOT, SEGMENT, DIGEST = ("keyslots", "0"), ("segments", "0"), ("digests", "0")
ARGON2 = {"type": "argon2id", "time": 4, "memory": 65536, "cpus": 1, "salt": base64.b64encode(bytes(32)).decode()}


def twice(kind):
    return lambda document: document[kind].update({"1": document[kind]["0"]})


# What the message must name, and the change.
JSON = [
    ("keyslots.0.area.encryption", put("cipher_null-ecb", *SLOT, "area", "encryption")),
    ("keyslots.0.area.encryption", put("aes-cbc-plain64", *SLOT, "area", "encryption")),
    ("keyslots.0.area.key_size", put(32, *SLOT, "area", "key_size")),
    ("keyslots.0.area.offset", put("1048576", *SLOT, "area", "offset")),
    ("keyslots.0.area.offset", put("32769", *SLOT, "area", "offset")),
    ("keyslots.0.area.offset", put("0", *SLOT, "area", "offset")),
    ("keyslots.0.area.offset", put(32768, *SLOT, "area", "offset")),
    ("keyslots.0.area.size", put("4096", *SLOT, "area", "size")),
    ("keyslots.0.area.type", put("journal", *SLOT, "area", "type")),
    ("keyslots.0.area.shift_size", put("4096", *SLOT, "area", "shift_size")),
    ("keyslots.0.af.stripes", put(1, *SLOT, "af", "stripes")),
    ("keyslots.0.af.hash", put("md5", *SLOT, "af", "hash")),
    ("keyslots.0.type", put("reencrypt", *SLOT, "type")),
    ("keyslots.0.mode", put("reencrypt", *SLOT, "mode")),
    ("keyslots.0.priority", put(2, *SLOT, "priority")),
    ("keyslots.0.key_size", put(1, *SLOT, "key_size")),
    ("keyslots.0.kdf.type", put("argon2i", *SLOT, "kdf", "type")),
    ("keyslots.0.kdf.hash", put("sha1", *SLOT, "kdf", "hash")),
    ("keyslots.0.kdf.iterations", put(10000001, *SLOT, "kdf", "iterations")),
    ("keyslots.0.kdf.iterations", put(4294967295, *SLOT, "kdf", "iterations")),
    ("keyslots.0.kdf.iterations", put(1, *SLOT, "kdf", "iterations")),
    ("keyslots.0.kdf.memory", put({**ARGON2, "memory": 131073}, *SLOT, "kdf")),
    ("keyslots.0.kdf.memory", put({**ARGON2, "memory": 4194304}, *SLOT, "kdf")),
    ("keyslots.0.kdf.time", put({**ARGON2, "time": 11}, *SLOT, "kdf")),
    ("keyslots.0.kdf.cpus", put({**ARGON2, "cpus": 5}, *SLOT, "kdf")),
    ("keyslots.0.kdf", put({**ARGON2, "iterations": 1000}, *SLOT, "kdf")),
    ("keyslots.0.kdf.salt", put("AAAA", *SLOT, "kdf", "salt")),
    ("keyslots.1", twice("keyslots")),
    ("keyslots.0", drop("keyslots", "0")),
    ("segments.0.encryption", put("cipher_null-ecb", *SEGMENT, "encryption")),
    ("segments.0.encryption", put("aes-xts-plain", *SEGMENT, "encryption")),
    ("segments.0.integrity", drop(*SEGMENT, "integrity")),
    ("segments.0.integrity.type", put("none", *SEGMENT, "integrity", "type")),
    ("segments.0.integrity.type", put("aead", *SEGMENT, "integrity", "type")),
    ("segments.0.integrity.journal_encryption", put("cipher_null", *SEGMENT, "integrity", "journal_encryption")),
    ("segments.0.integrity.key_size", put(1, *SEGMENT, "integrity", "key_size")),
    ("segments.0.type", put("linear", *SEGMENT, "type")),
    ("segments.0.offset", put("1048577", *SEGMENT, "offset")),
    ("segments.0.offset", put("0", *SEGMENT, "offset")),
    ("segments.0.offset", put("2097152", *SEGMENT, "offset")),
    ("segments.0.size", put("4096", *SEGMENT, "size")),
    ("segments.0.iv_tweak", put("8", *SEGMENT, "iv_tweak")),
    ("segments.0.sector_size", put(512, *SEGMENT, "sector_size")),
    ("segments.0.sector_size", put("4096", *SEGMENT, "sector_size")),
    ("segments.0.flags", put(["backup-final"], *SEGMENT, "flags")),
    ("segments.1", twice("segments")),
    ("digests.0.type", put("null", *DIGEST, "type")),
    ("digests.0.hash", put("sha1", *DIGEST, "hash")),
    ("digests.0.iterations", put(4294967295, *DIGEST, "iterations")),
    ("digests.0.digest", put("AAAA", *DIGEST, "digest")),
    ("digests.0.salt", put("", *DIGEST, "salt")),
    ("digests.0.keyslots", put(["1"], *DIGEST, "keyslots")),
    ("digests.0.keyslots", put([], *DIGEST, "keyslots")),
    ("digests.0.segments", put([], *DIGEST, "segments")),
    ("digests.1", twice("digests")),
    ("tokens.0", put({"type": "systemd-tpm2", "keyslots": ["0"]}, "tokens", "0")),
    ("config.requirements", put({"mandatory": ["online-reencrypt"]}, "config", "requirements")),
    ("config.requirements", put({"mandatory": []}, "config", "requirements")),
    ("config.flags", put(["allow-discards"], "config", "flags")),
    ("config.flags", put(["no-journal"], "config", "flags")),
    ("config.json_size", put("16384", "config", "json_size")),
    ("config.keyslots_size", put("4096", "config", "keyslots_size")),
    ("more", put({}, "more")),
    ("tokens", drop("tokens")),
]


@pytest.mark.parametrize("number", range(len(JSON)), ids=[f"{i}-{name}" for i, (name, _) in enumerate(JSON)])
def test_a_crafted_header(machine, template, tmp_path, number):
    field, function = JSON[number]

    def change(path):
        header = Header(path)
        header.change(function)
        header.write()

    error = with_copy(machine, template, tmp_path / "c.img", change)
    assert error.name == "bad-header" and error.step == "read the header", error
    assert field in error.message and error.message.startswith("first header: "), error


BYTES = {
    "magic": lambda h: h.put(0, b"LUKSxx"),
    "version": lambda h: h.put(6, b"\0\1"),
    "hdr_size": lambda h: h.put(8, struct.pack(">Q", 32768)),
    "seqid": lambda h: h.put(16, bytes(8)),
    "label": lambda h: h.put(24, b"label"),
    "checksum_alg": lambda h: h.put(72, b"sha1\0\0"),
    "uuid": lambda h: h.put(168, b"X"),
    "subsystem": lambda h: h.put(208, b"s"),
    "hdr_offset": lambda h: h.put(256, struct.pack(">Q", 4096)),
    "padding": lambda h: h.put(300, b"\1"),
    "JSON": lambda h: h.put(COPY - 1, b" "),
    "byte 0": lambda h: h.put_text(b"{"),
    "string has no end": lambda h: h.put_text(h.text()[:-10]),
    "a key that is there already": lambda h: h.put_text(h.text()[:-1] + b',"tokens":{}}'),
    "csum": lambda h: h.bytes.__setitem__(slice(480, 481), b"\1") or [h.bytes.__setitem__(i * COPY + 5000, h.bytes[i * COPY + 5000] ^ 1) for i in (0, 1)],
}


@pytest.mark.parametrize("field", BYTES)
def test_a_crafted_binary_header(machine, template, tmp_path, field):
    def change(path):
        header = Header(path)
        BYTES[field](header)
        header.write()

    error = with_copy(machine, template, tmp_path / "c.img", change)
    assert error.name == "bad-header", error
    if field not in ("byte 0", "string has no end", "a key that is there already"):
        assert field in error.message or (field == "magic" and "no LUKS" in error.message), error


def test_copies_that_differ(machine, template, tmp_path):
    path = tmp_path / "c.img"
    null = put("cipher_null-ecb", *SEGMENT, "encryption")
    shutil.copyfile(template, path)
    whole = Header(path)

    def attempt(change):
        header = Header(template)
        change(header)
        header.write(path)
        serial = machine.add_disk(path)
        try:
            machine.call("encrypted.open", id="v", device={"serial": serial}, key=RAW)
            machine.call("volume.detach", id="v")
            return "opened"
        except Refused as error:
            assert error.name == "bad-header", error
            return error.message
        finally:
            machine.remove_disk(serial)

    # A torn write of either copy, and a change that was cut short between the two.
    for which in (0, 1):
        assert attempt(lambda h: h.bytes.__setitem__(slice(which * COPY + 4500, which * COPY + 4600), bytes(100))) == "opened"
        assert attempt(lambda h: h.put(16, struct.pack(">Q", whole.sequence(0) + 1), (which,))) == "opened"
    # Anything else is refused, in either copy.
    assert "seqid" in attempt(lambda h: h.put(16, struct.pack(">Q", whole.sequence(0) + 2), (0,)))
    assert "do not belong together" in attempt(lambda h: h.change(put("417792", *SLOT, "area", "offset"), (1,)))
    for which, name in enumerate(("first header", "second header")):
        assert f"{name}: segments.0.encryption" in attempt(lambda h: h.change(null, (which,)))


# ---- disks ----


def test_a_disk_that_has_a_header(machine, pod, disk):
    machine.call("encrypted.create", id="v", device={"serial": disk}, key=RAW)
    pod.sh("echo kept > /data/f", config=on("v"))
    assert refused(machine, "encrypted.create", id="w", device={"serial": disk}, key=OTHER, force=True).name in ("in-use", "bad-device")
    machine.call("volume.detach", id="v")
    error = refused(machine, "encrypted.create", id="v", device={"serial": disk}, key=OTHER)
    assert error.name == "bad-device" and "force" in error.message
    machine.call("encrypted.open", id="v", device={"serial": disk}, key=RAW)
    assert pod.sh("cat /data/f", config=on("v")) == "kept\n"
    machine.call("volume.detach", id="v")
    machine.call("encrypted.create", id="v", device={"serial": disk}, key=OTHER, force=True)
    assert pod.sh("ls /data", config=on("v")) == "lost+found\n"
    machine.call("volume.detach", id="v")
    assert refused(machine, "encrypted.open", id="v", device={"serial": disk}, key=RAW).name == "bad-key"


@pytest.mark.parametrize("size,read_only", [("31M", False), ("64M", True)])
def test_disks_that_cannot_be_used(machine, tmp_path, size, read_only):
    path = sparse(tmp_path / "d.img", size)
    serial = machine.add_disk(path, read_only=read_only)
    for method in ("encrypted.create", "encrypted.open"):
        error = refused(machine, method, id="v", device={"serial": serial}, key=RAW)
        assert error.name == ("bad-header" if method == "encrypted.open" and not read_only else "bad-device"), error
    machine.remove_disk(serial)
    assert path.stat().st_blocks == 0


def test_a_large_disk(machine, tmp_path):
    path = sparse(tmp_path / "d.img", "2T")
    serial = machine.add_disk(path)
    made = machine.call("encrypted.create", id="v", device={"serial": serial}, key=RAW)
    assert made["size"] > 0.98 * (2 << 40) and made["written"] < 64 << 20
    machine.call("volume.detach", id="v")
    machine.remove_disk(serial)


# ---- workers that die ----


def test_killed_at_every_record(runtime, tmp_path):
    vm = Machine("m-faults-e", initrd=BUILD / "test" / "initramfs.cpio.zst")
    serial = vm.add_disk(sparse(tmp_path / "d.img", "64M"))
    device = {"serial": serial}
    # The claim, two mappings, the mount point, the mount, the result.  Without a header, as it is written late, or with: forced.
    killed_at_every_record(
        vm,
        6,
        lambda: vm.call("encrypted.create", id="v", device=device, key=RAW, force=True),
        lambda: vm.call("volume.detach", id="v"),
    )
    killed_at_every_record(
        vm, 6, lambda: vm.call("encrypted.open", id="v", device=device, key=RAW), lambda: vm.call("volume.detach", id="v")
    )
    # The claim, the result: killed there the key has been changed.
    vm.call("test.fault", after=1)
    assert refused(vm, "encrypted.change_key", device=device, key=RAW, new_key=OTHER).name == "internal-error"
    assert refused(vm, "encrypted.open", id="v", device=device, key=OTHER).name == "bad-key"
    vm.call("test.fault", after=2)
    assert refused(vm, "encrypted.change_key", device=device, key=RAW, new_key=OTHER).name == "internal-error"
    vm.call("encrypted.open", id="v", device=device, key=OTHER)
    before = vm.at_rest()
    grow(vm, serial, 128 << 20)
    # The result alone: killed there the volume has grown; and it does so again, to the same size.
    killed_at_every_record(vm, 1, lambda: vm.call("volume.resize", id="v", key=OTHER), lambda: None)
    vm.settles(before)
    vm.call("volume.detach", id="v")
    assert "Kernel panic" not in vm.console()
    vm.stop()
