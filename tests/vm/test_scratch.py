# SPDX-License-Identifier: GPL-2.0-or-later
"""scratch.create: what it writes, what the host can see, and that nothing on the disk is believed."""

import os
import struct
import subprocess
import time

import pytest
from machine import Pod, Refused, allocated, config

KIB = 1024


def sparse(path, size):
    subprocess.run(["truncate", "-s", size, path], check=True)
    return path


def data_of(path):
    """The bytes of a sparse file that are there."""
    pieces, at = [], 0
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            pieces.append(os.pread(file.fileno(), end - at, at))
            at = end
    return b"".join(pieces)


@pytest.mark.parametrize("size,most", [("64G", 512), ("1T", 2048), ("8T", 12 * 1024)])
def test_a_sparse_disk_stays_sparse(machine, tmp_path, size, most):
    disk = sparse(tmp_path / "s.img", size)
    serial = machine.add_disk(disk)
    answer = machine.call("scratch.create", id="s", device={"serial": serial})
    taken = allocated(disk) // KIB
    print(f"{size}: {taken} KiB on the host, {answer['written'] // KIB} KiB written by the guest")
    assert 0 < taken <= most
    assert answer["written"] <= most * KIB
    assert answer["written"] == sum(step["written"] for step in answer["steps"])
    assert answer["size"] > 0.97 * os.path.getsize(disk)
    machine.call("scratch.remove", id="s")
    machine.remove_disk(serial)


def test_the_same_disk_again_at_once(machine, tmp_path):
    before = machine.resources()
    serial = machine.add_disk(sparse(tmp_path / "s.img", "2G"))
    for turn in range(10):
        machine.call("scratch.create", id=f"s{turn}", device={"serial": serial})
        listed = machine.call("scratch.list")["scratches"]
        assert [(s["id"], s["state"]) for s in listed] == [(f"s{turn}", "ready")]
        machine.call("scratch.remove", id=f"s{turn}")
        machine.settles(before)
    machine.remove_disk(serial)


def test_what_the_host_sees(machine, images, tmp_path):
    """Nothing of the file system, of a name, or of a file; no header; and other bytes each time, for the same content."""
    seen = []
    for turn in range(2):
        pod = Pod(machine, images(), tmp_path, size="1G")
        pod.sh("for i in $(seq 200); do echo VISIBLE-MARKER-OF-THE-TEST; done > /a-file-name-to-look-for; sync; sync -f /a-file-name-to-look-for")
        pod.close()
        data = data_of(pod.disk)
        assert len(data) > 100 * KIB
        for plain in (b"VISIBLE-MARKER", b"a-file-name-to-look-for", b"lost+found", b"LUKS", b"busybox"):
            assert plain not in data, plain
        assert struct.pack("<H", 0xEF53) != data[1080:1082], "an ext4 superblock in the clear"
        # No two blocks are alike, as blocks of zeros or of one key stream would be.  (Runs of tags and dm-integrity's unused journal are thin.)
        blocks = [data[at : at + 4096] for at in range(0, len(data), 4096)]
        blocks = [block for block in blocks if len(set(block)) > 200]
        assert len(blocks) > 10 and len(set(blocks)) == len(blocks)
        seen.append(set(blocks))
        pod.disk.unlink()
    assert not seen[0] & seen[1]


def superblock(**changes):
    """A dm-integrity superblock that a host would like to be believed (include/linux: struct superblock of dm-integrity.c)."""
    values = dict(version=5, interleave=15, tag_size=48, journal_sections=1, provided=2048, flags=0x1 | 0x2, block=3, bitmap=0, recalc=0)
    values.update(changes)
    head = struct.pack(
        "<8sBbHIQIBB2xQ",
        b"integrt\0",
        values["version"],
        values["interleave"],
        values["tag_size"],
        values["journal_sections"],
        values["provided"],
        values["flags"],
        values["block"],
        values["bitmap"],
        values["recalc"],
    )
    return head.ljust(512, b"\0")


FORGED = {
    "random bytes": lambda: os.urandom(1 << 20),
    "small device": lambda: superblock(),
    "other tags": lambda: superblock(tag_size=4),
    "other interleave": lambda: superblock(interleave=3, provided=1 << 40),
    "recalculating": lambda: superblock(flags=0x2 | 0x4, recalc=1),
    "LUKS2": lambda: b"LUKS\xba\xbe\x00\x02".ljust(4096, b"\1"),
    "ext4": lambda: b"\0" * 1080 + struct.pack("<H", 0xEF53) + b"\1" * 3000,
}


@pytest.mark.parametrize("forged", FORGED, ids=list(FORGED))
def test_nothing_on_the_disk_is_believed(machine, images, tmp_path, forged):
    disk = sparse(tmp_path / "s.img", "1G")
    with disk.open("r+b") as file:
        file.write(FORGED[forged]())
    serial = machine.add_disk(disk)
    answer = machine.call("scratch.create", id="s", device={"serial": serial})
    assert answer["size"] > 0.97 * (1 << 30), answer
    machine.call("scratch.remove", id="s")
    machine.remove_disk(serial)


def test_fill_delete_fill_again_and_read_all_back(machine, images, tmp_path):
    """Blocks that were never written do not authenticate: ext4 must never read one."""
    pod = Pod(machine, images(), tmp_path, size="256M")
    pod.sh(
        """
        cd /root
        dd if=/dev/urandom of=seed bs=1M count=4 2>/dev/null
        i=0; while cp seed big$i 2>/dev/null; do i=$((i+1)); done; rm -f big$i
        test $i -gt 40
        n=$i; i=0; while test $i -lt $n; do rm big$i; i=$((i+2)); done
        mkdir small; i=0; while test $i -lt 3000; do echo $i > small/$i; i=$((i+1)); done
        i=0; while cp seed again$i 2>/dev/null; do i=$((i+1)); done; rm -f again$i
        sync
        """
    )
    pod.sh("true")
    # The page cache goes with a limit that the files do not fit into: what is read below comes from the disk.
    sums = pod.sh("cd / && cat /proc/meminfo >/dev/null && echo ok")
    assert sums == "ok\n"
    pod.close()
    assert "AEAD ERROR" not in machine.console() and "EXT4-fs error" not in machine.console()


def test_every_byte_comes_back_from_the_disk(machine, images, tmp_path):
    """More than fits into the container's memory: most of it must be read back through dm-crypt."""
    pod = Pod(machine, images(), tmp_path, size="1G")
    out = pod.sh(
        "cd /root; i=0; while test $i -lt 24; do head -c 2097152 /dev/urandom > f$i; sha256sum f$i >> sums; i=$((i+1)); done;"
        "sync; sha256sum -c sums | grep -c OK",
        config=config(cgroups={"memory": 24 << 20}),
    )
    assert out == "24\n"
    pod.close()
    assert "AEAD ERROR" not in machine.console()


def test_tampering_is_an_error_and_not_other_data(machine, images, tmp_path):
    """The host flips bytes of what the guest wrote: a read fails, and never gives other bytes."""
    pod = Pod(machine, images(), tmp_path, size="512M")
    pod.sh("head -c 8388608 /dev/zero | tr '\\0' x > /root/victim; sync")
    with open(pod.disk, "r+b", buffering=0) as file:
        # Everything behind the first 2 MiB that is data: file blocks and their tags.
        size, at = os.fstat(file.fileno()).st_size, 2 << 20
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            for block in range(at, end, 4096):
                byte = os.pread(file.fileno(), 1, block + 9)[0]
                os.pwrite(file.fileno(), bytes([byte ^ 1]), block + 9)
            at = end
    # O_DIRECT, so that the guest's page cache does not answer.
    code, out, err = pod.run("sh", "-c", "dd if=/root/victim iflag=direct bs=4096 2>/dev/null | tr -d x | wc -c; dd if=/root/victim iflag=direct of=/dev/null bs=4096")
    assert code != 0 and "dd: " in err, (code, out, err)  # EIO or EILSEQ
    assert out.strip() == "0", "bytes came that were never written"
    try:
        pod.close()
    except Refused:
        pytest.fail("a tampered scratch could not be removed")


ERRORS = [
    ("1M", "bad-device", False),
    ("64G", "bad-device", True),
]


@pytest.mark.parametrize("size,name,read_only", ERRORS)
def test_disks_that_cannot_be_used(machine, tmp_path, size, name, read_only):
    before = machine.resources()
    serial = machine.add_disk(sparse(tmp_path / "s.img", size), read_only=read_only)
    with pytest.raises(Refused) as refused:
        machine.call("scratch.create", id="s", device={"serial": serial})
    assert refused.value.name == name
    machine.settles(before)
    machine.remove_disk(serial)


def test_a_disk_of_an_odd_size(machine, tmp_path):
    disk = tmp_path / "s.img"
    with disk.open("wb") as file:
        file.truncate(100 * 1000 * 1000 // 512 * 512 + 512)
    serial = machine.add_disk(disk)
    assert machine.call("scratch.create", id="s", device={"serial": serial})["size"] % 4096 == 0
    machine.call("scratch.remove", id="s")
    machine.remove_disk(serial)


def test_the_key_is_forgotten(machine, images, tmp_path):
    """While the scratch is in use, no key of it is left that could be found again."""
    before = machine.resources()
    pod = Pod(machine, images(), tmp_path)
    deadline = time.monotonic() + 5
    while machine.resources()["keys"] > before["keys"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert machine.resources()["keys"] == before["keys"]
    name = pod.start("sleep", "1000", config=config(mask_paths=None))
    keys = pod.sh("cat /proc/keys", config=config(mask_paths=None))
    assert "logon" not in keys and "coffer:" not in keys
    pod.remove(name)
    pod.close()
