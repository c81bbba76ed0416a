# SPDX-License-Identifier: GPL-2.0-or-later
"""scratch.create: what it writes, what the host can see, and that nothing on the disk is believed."""

import os
import struct
import subprocess
import time

import pytest
from machine import BUILD, TOP, Machine, Pod, Refused, allocated, config

KIB, MIB = 1024, 1 << 20
DEFAULT = "aes-xts-hmac-sha256"
CIPHERS = (DEFAULT, "aes-gcm", "aegis128")


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
    before = machine.at_rest()
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


# Whoever is root in the VM's user namespace, and has /proc/sys, can tell the kernel to drop its caches.
PRIVILEGED = config(
    readonly_paths=None,
    capabilities=["CAP_DAC_OVERRIDE", "CAP_MKNOD", "CAP_SYS_ADMIN"],
    cgroups={"devices": [{"type": 97, "major": -1, "minor": -1, "permissions": "rwm", "allow": True}]},
)
FIND_MAPPING = """
    for d in /sys/block/dm-*; do if [ "$(cat $d/dm/name)" = coffer-scratch-scratch ]; then mapping=$d; fi; done
"""


def check_file_system(pod, tools):
    """
    e2fsck on what is on the mapping after unmount.  While somebody has it open the mapping stays, and the scratch is broken.  e2fsck itself
    reads ahead into blocks that were never written, for which the kernel logs errors: they are counted before.
    """
    pod.machine.call("rootfs.remove", id="root")
    script = FIND_MAPPING + """
        n=$(cat $mapping/dev); mknod /dev/it b ${n%:*} ${n#*:}; exec 3< /dev/it; echo held; read line
        echo 3 > /proc/sys/vm/drop_caches; e2fsck -fn /dev/it
    """
    name = tools.create("sh", "-ec", script, config=PRIVILEGED)
    with pod.machine.stream(name, timeout=300) as stream:
        pod.machine.call("container.start", id=name)
        assert stream.frame()[2] == b"held\n"
        with pytest.raises(Refused) as refused:
            pod.machine.call("scratch.remove", id="scratch")
        assert refused.value.name == "teardown-failed"
        stream.write(b"go\n")
        out, err = stream.read_all()
    assert pod.machine.call("container.wait", id=name)["exit_code"] == 0, (out, err)
    assert b"Pass 5" in out and b"WAS MODIFIED" not in out, (out, err)
    tools.remove(name)
    for method, name in (("scratch.remove", "scratch"), ("volume.detach", "image")):
        pod.machine.call(method, id=name)
    pod.machine.remove_disk(pod.image)
    pod.machine.remove_disk(pod.scratch)


def test_fill_delete_fill_again_and_read_all_back(machine, images, tmp_path):
    """Blocks that were never written do not authenticate: ext4 must never read one."""
    before, errors = machine.at_rest(), machine.console().count("AEAD ERROR")
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
    out = pod.sh(
        FIND_MAPPING + """
        cd /root; ls | wc -l
        sync; echo 3 > /proc/sys/vm/drop_caches
        read a b sectors rest < $mapping/stat
        for f in big* again*; do cmp seed $f; done
        i=0; while test $i -lt 3000; do read line < small/$i; test $line = $i; i=$((i+1)); done
        read a b after rest < $mapping/stat
        echo $((after - sectors))
        """,
        config=PRIVILEGED,
    )
    files, sectors = map(int, out.split())
    assert files > 45 and sectors * 512 > (files - 4) * 4 * MIB, "that did not come from the disk"
    assert "EXT4-fs error" not in machine.console() and machine.console().count("AEAD ERROR") == errors
    tools = Pod(machine, images(archive=BUILD / "images" / "debian-python3.tar"), tmp_path, prefix="tools-")
    check_file_system(pod, tools)
    tools.close()
    machine.settles(before)


def test_six_at_once(machine, images, tmp_path):
    """Each with a root file system of its own: what is written on one is on no other, and they work at the same time."""
    before, errors = machine.at_rest(), machine.console().count("AEAD ERROR")
    pods = [Pod(machine, images(), tmp_path, size="512M", prefix=f"{i}-", scratch={"cipher": CIPHERS[i % 3]}) for i in range(6)]
    listed = machine.call("scratch.list")["scratches"]
    assert [(s["id"], s["state"], s["users"], s["cipher"]) for s in listed] == [(f"{i}-scratch", "ready", 1, CIPHERS[i % 3]) for i in range(6)]
    assert len({s["device"] for s in listed}) == 6
    script = "cd /root; for i in $(seq 8); do head -c 1048576 /dev/urandom > f$i; done; echo $0 > mine; sha256sum f* > sums; sync; cat"
    names = [pod.start("sh", "-ec", script, str(i)) for i, pod in enumerate(pods)]
    for pod, name in zip(pods, names):
        with machine.stream(name) as stream:
            stream.end()
            stream.read_all()
        assert machine.call("container.wait", id=name) == {"exit_code": 0}
        pod.remove(name)
    pods[0].sh("echo 3 > /proc/sys/vm/drop_caches", config=PRIVILEGED)
    pods.pop(2).close()
    for i, pod in zip((0, 1, 3, 4, 5), pods):
        assert pod.sh("cd /root; cat mine; sha256sum -c sums | grep -c OK").split() == [str(i), "8"]
        pod.close()
    assert machine.console().count("AEAD ERROR") == errors
    machine.settles(before)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_byte_comes_back_from_the_disk(machine, images, tmp_path, cipher):
    """More than fits into the container's memory: most of it must be read back through dm-crypt."""
    errors = machine.console().count("AEAD ERROR")
    pod = Pod(machine, images(), tmp_path, size="1G", scratch={"cipher": cipher})
    assert (pod.made["use"], pod.made["cipher"], pod.made["disk_size"]) == ("filesystem", cipher, 1 << 30)
    listed = machine.call("scratch.list")["scratches"]
    assert [(s["use"], s["cipher"], s["size"], s["disk_size"]) for s in listed] == [("filesystem", cipher, pod.made["size"], 1 << 30)]
    out = pod.sh(
        "cd /root; i=0; while test $i -lt 12; do head -c 2097152 /dev/urandom > f$i; sha256sum f$i >> sums; i=$((i+1)); done;"
        "sync; sha256sum -c sums | grep -c OK",
        config=config(cgroups={"memory": 12 << 20}),
    )
    assert out == "12\n"
    pod.close()
    assert machine.console().count("AEAD ERROR") == errors


@pytest.mark.parametrize("cipher", CIPHERS)
def test_tampering_is_an_error_and_not_other_data(machine, images, tmp_path, cipher):
    """The host flips bytes of what the guest wrote: a read fails, and never gives other bytes."""
    pod = Pod(machine, images(), tmp_path, size="512M", scratch={"cipher": cipher})
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
    before = machine.at_rest()
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


def test_only_the_first_bytes_are_used(machine, images, tmp_path):
    """With `size` nothing behind it is written, also when the scratch is full."""
    used, behind = 64 * MIB, b"behind" * 100000
    pod = Pod(machine, images(), tmp_path, size="256M", scratch={"size": used})
    assert pod.made["disk_size"] == used and 0.9 * used < pod.made["size"] < used
    with pod.disk.open("r+b") as file:
        file.seek(used)
        file.write(behind)
    written = int(pod.sh("cd /root; cat /dev/urandom > all 2>/dev/null || true; sync; stat -c %s all"))
    assert written > 0.8 * used
    pod.close()
    with pod.disk.open("rb") as file:
        file.seek(used)
        assert file.read() == behind + bytes(256 * MIB - used - len(behind))


# The field to blame, or the error's name.
SIZES = [
    (16 * MIB - 4096, "size"),
    (16 * MIB + 512, "size"),
    (-1, "size"),
    ("16M", "size"),
    (1 << 61, "size"),
    (64 * MIB + 4096, "bad-device"),
    (64 * MIB, None),
    (16 * MIB, None),
    (0, "size"),
]


@pytest.mark.parametrize("size,problem", SIZES)
def test_sizes(machine, tmp_path, size, problem):
    before = machine.at_rest()
    serial = machine.add_disk(sparse(tmp_path / "s.img", "64M"))
    if problem:
        with pytest.raises(Refused) as refused:
            machine.call("scratch.create", id="s", device={"serial": serial}, size=size)
        assert problem in (refused.value.field, refused.value.name)
    else:
        assert machine.call("scratch.create", id="s", device={"serial": serial}, size=size)["disk_size"] == size
        machine.call("scratch.remove", id="s")
    machine.settles(before)
    machine.remove_disk(serial)


@pytest.mark.parametrize("words,field", [({"cipher": "aes-cbc"}, "cipher"), ({"cipher": ""}, "cipher"), ({"use": "raw"}, "use"), ({"use": ""}, "use")])
def test_words_that_are_not_known(machine, tmp_path, words, field):
    serial = machine.add_disk(sparse(tmp_path / "s.img", "64M"))
    with pytest.raises(Refused) as refused:
        machine.call("scratch.create", id="s", device={"serial": serial}, **words)
    assert (refused.value.name, refused.value.field) == ("invalid-params", field)
    machine.remove_disk(serial)


def test_a_cipher_that_the_kernel_lacks(runtime, tmp_path):
    """An initramfs without these modules: the answer says which cipher, and the others work."""
    listed = (TOP / "initramfs/modules.list").read_text().splitlines()
    (tmp_path / "modules.list").write_text("\n".join(line for line in listed if line not in ("gcm", "aegis128", "?aegis128_aesni")))
    subprocess.run(
        ["/usr/bin/python3", TOP / "initramfs/build.py", "--agent", BUILD / "coffer-agent", "--pause", BUILD / "pause",
         "--kernel", (BUILD / "kernel.name").read_text().strip(), "--modules", tmp_path / "modules.list",
         "--cache", BUILD / "initramfs-cache", "--output", tmp_path / "initrd"],
        check=True,
    )  # fmt: skip
    vm = Machine("m-lacks", initrd=tmp_path / "initrd")
    serial = vm.add_disk(sparse(tmp_path / "s.img", "64M"))
    before = vm.at_rest()
    for cipher in ("aes-gcm", "aegis128"):
        with pytest.raises(Refused) as refused:
            vm.call("scratch.create", id="s", device={"serial": serial}, cipher=cipher)
        assert refused.value.name == "kernel-lacks" and f"cipher {cipher}:" in refused.value.message
        vm.settles(before)
    vm.call("scratch.create", id="s", device={"serial": serial})
    vm.stop()


def test_the_key_is_forgotten(machine, images, tmp_path):
    """While the scratch is in use, no key of it is left that could be found again."""
    before = machine.at_rest()
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


def test_many_make_files_at_once(machine, images, tmp_path):
    """In directories of their own, so that nothing but the inode tables is shared: none of their blocks may be read unwritten."""
    pod = Pod(machine, images(), tmp_path, size="64G")
    out = pod.sh("cd /root; for j in 1 2 3 4 5 6 7 8; do (mkdir d$j; i=0; while [ $i -lt 400 ]; do : > d$j/f$i; i=$((i+1)); done) & done; wait; ls d*/f* | wc -l")
    assert out == "3200\n"
    pod.close()
    assert "unable to read itable block" not in machine.console()
