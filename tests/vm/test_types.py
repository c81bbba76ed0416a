# SPDX-License-Identifier: GPL-2.0-or-later
"""Every type of volume that is attached, with images that the usual tools made; and what is hostile in them."""

import json
import os
import pathlib
import shutil
import struct
import subprocess

import pytest
from disks import blobs, device_table, flat, mkfs_erofs, run, tag_devices, tar, tarfs, tarfs_label, verity
from machine import BUILD, Machine, Pod, Refused, config

NEWER = BUILD / "6.12"
PLAIN = ("--append", "coffer.plain_storage=allow")


@pytest.fixture(scope="module", params=["6.1", "6.12"])
def machine(request, runtime):
    """One that takes plain storage too, on the kernel of Debian 12 and on a newer one."""
    options, initrd = (), None
    if request.param == "6.12":
        if not (NEWER / "vmlinuz").exists():
            pytest.skip("make kernel-6.12 has not been run")
        options, initrd = ("--kernel", str(NEWER / "vmlinuz")), NEWER / "initramfs.cpio.zst"
    vm = Machine(f"types-{request.param.replace('.', '-')}", *PLAIN, *options, initrd=initrd)
    assert vm.call("agent.info")["plain_storage"] is True
    yield vm
    print(vm.console()[-4000:])
    assert "Kernel panic" not in vm.console()
    vm.stop()


@pytest.fixture(autouse=True)
def nothing_left(request, machine, pod):
    before = machine.at_rest()
    yield
    for found in reversed(machine.call("volume.list")["volumes"]):
        if found["id"] != "image":
            machine.call("volume.detach", id=found["id"])
            assert not request.node.session.testsfailed or found
    machine.settles(before)


class Disks:
    """Disks that are plugged for one test."""

    def __init__(self, machine):
        self.machine, self.serials = machine, []

    def add(self, path, read_only=True):
        self.serials.append(self.machine.add_disk(path, read_only=read_only))
        return self.serials[-1]


@pytest.fixture
def disks(machine):
    made = Disks(machine)
    yield made
    for found in reversed(machine.call("volume.list")["volumes"]):
        if found["id"] != "image":
            machine.call("volume.detach", id=found["id"])
    for serial in made.serials:
        machine.remove_disk(serial)


def attach(machine, id="v", **volume):
    return machine.call("volume.attach", id=id, volume=volume)


def refused(machine, id="v", **volume):
    with pytest.raises(Refused) as info:
        attach(machine, id, **volume)
    return info.value


def see(pod, script, *volumes, read_only=True):
    """Output of a script in a container that sees the volumes on /v0, /v1, ..."""
    mounts = config()["mounts"] + [
        {"source": f"/run/coffer/volume/{name}", "destination": f"/v{i}", "device": "bind", "flags": 4096 + (1 if read_only else 0)} for i, name in enumerate(volumes)
    ]
    return pod.sh(script, config=config(mounts=mounts, capabilities=["CAP_DAC_OVERRIDE", "CAP_CHOWN"]))


# ---- direct_block ----


def plain_disk(folder, kind, size="64M", files=()):
    disk, tree = folder / f"{kind}.img", folder / f"{kind}-tree"
    tree.mkdir()
    for name, content in files:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    if kind == "xfs":
        run("truncate", "-s", "320M", disk)
        run("mkfs.xfs", "-q", disk)
    elif kind == "ext4":
        run("truncate", "-s", size, disk)
        run("mkfs.ext4", "-q", "-d", tree, disk)
    elif kind == "erofs":
        run("mkfs.erofs", disk, tree)
    return disk


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_plain_disk_is_read_and_written(machine, pod, disks, tmp_path, kind):
    disk = plain_disk(tmp_path, kind, files=[("there", "from the host\n")])
    serial = disks.add(disk, read_only=False)
    answer = attach(machine, volume_type="direct_block", source=f"serial:{serial}", fs_type=kind, options=["rw", "noatime"], direct_volume={"metadata": {"key": "value"}})
    assert (answer["type"], answer["fs_type"], answer["size"]) == ("direct_block", kind, os.path.getsize(disk))
    if kind == "ext4":
        assert see(pod, "cat /v0/there", "v") == "from the host\n"
    see(pod, "echo from the guest > /v0/new; sync", "v", read_only=False)
    machine.call("volume.detach", id="v")
    if kind == "ext4":
        run("e2fsck", "-fn", disk)
        assert run("debugfs", "-R", "cat /new", disk) == "from the guest\n"
    # Again, and it is still there; now read-only.
    attach(machine, volume_type="direct_block", source=f"serial:{serial}", fs_type=kind, options=["ro"])
    assert see(pod, "cat /v0/new; (echo x > /v0/more) 2>&1 || true", "v", read_only=False).splitlines()[0] == "from the guest"
    assert "more" not in see(pod, "ls /v0", "v")


def test_options_are_flags(machine, pod, disks, tmp_path):
    disk = plain_disk(tmp_path, "ext4", files=[("tool", "#!/bin/sh\necho ran\n")])
    serial = disks.add(disk, read_only=False)
    attach(machine, volume_type="direct_block", source=f"serial:{serial}", fs_type="ext4", options=["noexec", "nodiratime", "sync", "discard", "nosuid", "nodev"])
    line = [line for line in see(pod, "cat /proc/self/mounts", "v", read_only=False).splitlines() if " /v0 " in line][0]
    words = line.split()[3].split(",")
    assert {"noexec", "nodev", "nosuid", "sync", "rw", "discard"} <= set(words), line
    assert see(pod, "/v0/tool 2>&1 || echo no", "v").splitlines()[-1] == "no"


def test_a_file_system_is_what_the_request_says(machine, disks, tmp_path):
    serial = disks.add(plain_disk(tmp_path, "ext4"), read_only=False)
    for kind in ("xfs", "erofs", "squashfs"):
        error = refused(machine, volume_type="direct_block", source=f"serial:{serial}", fs_type=kind)
        assert error.name == "mount-failed" and kind in error.message and error.step == "look for the file system"
    empty = tmp_path / "empty.img"
    run("truncate", "-s", "8M", empty)
    error = refused(machine, volume_type="direct_block", source=f"serial:{disks.add(empty, read_only=False)}", fs_type="ext4")
    assert error.name == "mount-failed"


def test_a_read_only_disk_is_not_written(machine, pod, disks, tmp_path):
    serial = disks.add(plain_disk(tmp_path, "ext4", files=[("f", "x")]))
    assert refused(machine, volume_type="direct_block", source=f"serial:{serial}", fs_type="ext4").name == "bad-device"
    attach(machine, volume_type="direct_block", source=f"serial:{serial}", fs_type="ext4", options=["ro"])
    assert see(pod, "cat /v0/f", "v") == "x"


def test_a_dirty_journal_is_not_replayed_where_nothing_may_be_written(machine, disks, tmp_path):
    disk = plain_disk(tmp_path, "ext4", files=[("f", "x")])
    run("debugfs", "-w", "-R", "feature needs_recovery", disk)
    before = disk.read_bytes()
    serial = disks.add(disk, read_only=False)
    attach(machine, volume_type="direct_block", source=f"serial:{serial}", fs_type="ext4", options=["ro"])
    machine.call("volume.detach", id="v")
    assert disk.read_bytes() == before


def test_the_group_of_a_pod(machine, pod, disks, tmp_path):
    disk = plain_disk(tmp_path, "ext4", files=[("a/b", "x"), ("c", "y")])
    serial = disks.add(disk, read_only=False)
    request = dict(volume_type="direct_block", source=f"serial:{serial}", fs_type="ext4")
    attach(machine, **request, direct_volume={"metadata": {"fsGroup": "4711"}})
    look = "cd /v0; stat -c '%n %g %a' . a a/b c"
    assert see(pod, look, "v").splitlines() == [". 4711 2775", "a 4711 2775", "a/b 4711 664", "c 4711 664"]
    # Who runs with the group may write.
    machine.call("volume.detach", id="v")
    # On a mismatch of the root alone: it matches, so a new file keeps its owner.
    attach(machine, **request)
    see(pod, "echo z > /v0/late; chown 0:5 /v0/late; chmod 600 /v0/late", "v", read_only=False)
    machine.call("volume.detach", id="v")
    attach(machine, **request, direct_volume={"metadata": {"fsGroup": "4711", "fsGroupChangePolicy": "OnRootMismatch"}})
    assert see(pod, "stat -c '%g %a' /v0/late", "v") == "5 600\n"
    machine.call("volume.detach", id="v")
    attach(machine, **request, direct_volume={"metadata": {"fsGroup": "4711", "fsGroupChangePolicy": "Always"}})
    assert see(pod, "stat -c '%g %a' /v0/late", "v") == "4711 660\n"


# ---- raw blocks ----


def test_an_image_without_verity(machine, pod, disks, images):
    """Only since this machine was started so; its file system must be named."""
    described = json.loads(pathlib.Path(f"{images()}.json").read_text())
    serial = disks.add(images())
    assert refused(machine, volume_type="image_raw_block", source=f"serial:{serial}").field == "volume.fs_type"
    assert refused(machine, volume_type="image_raw_block", source=f"serial:{serial}", fs_type="squashfs").name == "mount-failed"
    attach(machine, volume_type="image_raw_block", source=f"serial:{serial}", fs_type=described["fs_type"], options=["ro"])
    assert "coffer-test" in see(pod, "cat /v0/etc/os-release", "v")


LAYERS = [
    {"a": None, "a/one": "first\n", "a/gone": "x\n", "keep": "k\n"},
    {"a": None, "a/two": "second\n", "a/.wh.gone": "", "big": "B" * 70000},
    {"a": None, "a/one": "third\n"},
]


@pytest.mark.parametrize("type", ["image_raw_block", "layer_raw_block", "image_nydus_block", "layer_nydus_block"])
@pytest.mark.parametrize("form", ["text", "object"])
def test_a_flat_tarfs_disk(machine, pod, disks, tmp_path, type, form):
    """One disk of bootstrap and tars under dm-verity, as `nydus-image export --block --verity` lays it out."""
    archives = [tar(tmp_path / f"{i}.tar", files) for i, files in enumerate(LAYERS)]
    bootstrap = tarfs(tmp_path / "t", archives)
    # nydus names the blobs; an old kernel would open such a name as a path.
    tag_devices(bootstrap, ["f" * 64, "/dev/mapper/coffer-scratch-scratch", "c" * 64])
    disk = flat(bootstrap, archives, tmp_path / "flat.disk")
    described = verity(disk, 512)
    assert described["offset"] == -(-described["blocknum"] * 512 // 4096) * 4096
    answer = attach(
        machine, volume_type=type, source=f"serial:{disks.add(disk)}", fs_type="erofs" if "raw" in type else "rafsv6", options=["ro"],
        dm_verity=tarfs_label(described) if form == "text" else described,
    )  # fmt: skip
    assert answer["type"] == type and answer["fs_type"] == "erofs" and answer["size"] == described["blocknum"] * 512
    assert see(pod, "cd /v0; cat a/one a/two keep; ls a; wc -c < big", "v").split() == ["third", "second", "k", "one", "two", "70000"]


def test_one_layer_a_volume(machine, pod, disks, tmp_path):
    """layer_raw_block for each layer, stacked by rootfs.create: whiteouts of a lower layer's file work."""
    for i, files in enumerate(LAYERS):
        archive = tar(tmp_path / f"{i}.tar", files)
        disk = flat(tarfs(tmp_path / f"t{i}", [archive]), [archive], tmp_path / f"{i}.disk")
        about = verity(disk, 512)
        attach(machine, f"l{i}", volume_type="layer_raw_block", source=f"serial:{disks.add(disk)}", fs_type="erofs", dm_verity=about)
    machine.call("rootfs.create", id="stack", lower=["l2", "l1", "l0", "image"], scratch="scratch")
    try:
        machine.call("container.create", id="s", rootfs="stack", config=config(), process={"args": ["sh", "-c", "cat /a/one /a/two /keep; ls /a"]})
        with machine.stream("s") as stream:
            machine.call("container.start", id="s")
            assert stream.read_all()[0].split() == [b"third", b"second", b"k", b"one", b"two"]
        machine.call("container.remove", id="s", force=True)
    finally:
        machine.call("rootfs.remove", id="stack")


# ---- nydus ----


def spread(folder, tags=True):
    """A bootstrap and its two blobs, apart."""
    archives = [tar(folder / f"{i}.tar", files) for i, files in enumerate(LAYERS[:2])]
    bootstrap = tarfs(folder / "t", archives)
    names = [f"{i}" * 64 for i in range(2)]
    if tags:
        tag_devices(bootstrap, names)
    for (_, blocks, _), archive in zip(device_table(bootstrap)[1], archives):
        os.truncate(archive, blocks * 512)
    return bootstrap, archives, names


@pytest.mark.parametrize("type", ["image_nydus_block", "layer_nydus_block"])
@pytest.mark.parametrize("ids", [True, False])
def test_a_bootstrap_and_its_blobs_on_devices(machine, pod, disks, tmp_path, type, ids):
    bootstrap, archives, names = spread(tmp_path)
    verified = [verity(path, 512) for path in (bootstrap, *archives)]
    rows = [{"source": f"serial:{disks.add(path)}", "dm_verity": about, **({"id": name} if ids else {})} for path, about, name in zip(archives, verified[1:], names)]
    request = dict(volume_type=type, source=f"serial:{disks.add(bootstrap)}", fs_type="rafsv6", dm_verity=verified[0])
    assert attach(machine, **request, nydus_image={"config": blobs(*rows), "snapshot_dir": ""})["fs_type"] == "erofs"
    assert machine.resources()["mappings"] >= 3
    assert see(pod, "cd /v0; cat a/one a/two; wc -c < big; ls a", "v").split() == ["first", "second", "70000", "one", "two"]
    machine.call("volume.detach", id="v")
    for wrong, name, words in [
        (rows[:1], "mount-failed", "1 blobs are given"),
        (rows + rows[:1], "mount-failed", "3 blobs are given"),
        ([], "mount-failed", "neither given nor within the disk"),
        ([{**rows[0], "id": "x"}, rows[1]], "mount-failed", "blob 0"),
        ([rows[0], {**rows[1], "dm_verity": {**rows[1]["dm_verity"], "hash": "0" * 64}}], "verity-failed", "blob 1"),
    ]:
        error = refused(machine, **request, nydus_image={"config": blobs(*wrong)})
        assert error.name == name and words in error.message, error
    # Each disk serves one use.
    error = refused(machine, **request, nydus_image={"config": blobs(rows[0], {**rows[0], "id": names[1]})})
    assert error.name in ("in-use", "bad-device"), error


def test_a_blob_that_is_too_small(machine, disks, tmp_path):
    """The kernel would mount it, and fail when a file is read."""
    bootstrap, archives, _ = spread(tmp_path)
    os.truncate(archives[1], 512 * 20)
    verified = [verity(path, 512) for path in (bootstrap, *archives)]
    rows = [{"source": f"serial:{disks.add(path)}", "dm_verity": about} for path, about in zip(archives, verified[1:])]
    error = refused(
        machine, volume_type="image_nydus_block", source=f"serial:{disks.add(bootstrap)}", fs_type="rafsv6", dm_verity=verified[0], nydus_image={"config": blobs(*rows)}
    )
    assert error.name == "bad-device" and "blob 1" in error.message


def test_chunks_in_a_blob_of_mkfs(machine, pod, disks, tmp_path):
    """mkfs.erofs --blobdev: chunked files in a second device, of 4 KiB blocks."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "data").write_bytes(os.urandom(300000))
    for i in range(200):  # a bootstrap of more than one block
        (tree / f"small{i}").write_text("x" * i)
    (tmp_path / "blob").touch()  # mkfs.erofs wants it to be there
    mkfs_erofs("--chunksize=65536", f"--blobdev={tmp_path / 'blob'}", tmp_path / "boot", tree)
    for name in ("boot", "blob"):
        os.truncate(tmp_path / name, -(-os.path.getsize(tmp_path / name) // 4096) * 4096)
    about = {name: verity(tmp_path / name) for name in ("boot", "blob")}
    attach(
        machine, volume_type="image_nydus_block", source=f"serial:{disks.add(tmp_path / 'boot')}", fs_type="erofs", dm_verity=about["boot"],
        nydus_image={"config": blobs({"source": f"serial:{disks.add(tmp_path / 'blob')}", "dm_verity": about["blob"]})},
    )  # fmt: skip
    wanted = run("sha256sum", tree / "data").split()[0]
    assert see(pod, "sha256sum /v0/data", "v").split()[0] == wanted


@pytest.fixture
def library(machine, disks, tmp_path):
    """A verified volume that holds bootstraps and blobs as files."""
    bootstrap, archives, names = spread(tmp_path)
    tree = tmp_path / "library"
    (tree / "blobs").mkdir(parents=True)
    shutil.copy(bootstrap, tree / "bootstrap")
    for archive, name in zip(archives, names):
        shutil.copy(archive, tree / "blobs" / name)
    single = tar(tmp_path / "single.tar", LAYERS[0])
    alone = tarfs(tmp_path / "alone", [single])
    shutil.copy(alone, tree / "nowhere")
    mkfs_erofs(tree / "plain", BUILD / "packages/busybox-static")
    (tree / "rafs5").write_bytes(struct.pack("<I", 0x52414653) + b"\0" * 8188)
    (tree / "short").write_bytes(b"\0" * 100)
    (tree / "out").symlink_to("/etc/hostname")
    (tree / "up").symlink_to("../../../../proc/self/maps")
    small = tree / "small"
    small.mkdir()
    for name in names:
        (small / name).write_bytes(b"\0" * 512)
    disk = tmp_path / "library.img"
    mkfs_erofs(disk, tree)
    about = verity(disk)
    attach(machine, "library", volume_type="image_raw_block", source=f"serial:{disks.add(disk)}", fs_type="erofs", dm_verity=about)
    return names


@pytest.mark.parametrize("type", ["image_nydus_fs", "layer_nydus_fs"])
def test_a_bootstrap_and_its_blobs_in_a_volume(machine, pod, library, type):
    request = dict(volume_type=type, source="volume:library/bootstrap", fs_type="rafsv6")
    attach(machine, **request, nydus_image={"snapshot_dir": "volume:library/blobs"})
    look = "cd /v0; cat a/one a/two; wc -c < big; ls a"
    assert see(pod, look, "v").split() == ["first", "second", "70000", "one", "two"]
    newer = machine.call("agent.info")["kernel"].startswith("6.12")
    print("loops:", machine.resources()["loops"])
    assert (machine.resources()["loops"] == 0) == newer, "from the files themselves, or through loop devices"
    # What it lies in stays.
    with pytest.raises(Refused) as info:
        machine.call("volume.detach", id="library")
    assert info.value.name == "in-use"
    machine.call("volume.detach", id="v")
    rows = [{"path": name, "id": name} for name in library]
    attach(machine, **request, nydus_image={"snapshot_dir": "volume:library/blobs", "config": blobs(*rows)})
    assert see(pod, "cat /v0/a/one", "v") == "first\n"
    machine.call("volume.detach", id="v")
    attach(machine, volume_type=type, source="volume:library/plain", fs_type="erofs")
    assert "busybox" in see(pod, "find /v0 -name busybox", "v")


FILES_REFUSED = [
    (dict(source="volume:library/missing"), "mount-failed"),
    (dict(source="volume:library/blobs"), "mount-failed"),
    (dict(source="volume:library/rafs5"), "unsupported-volume"),
    (dict(source="volume:library/short"), "mount-failed"),
    (dict(source="volume:library/out"), "mount-failed"),
    (dict(source="volume:library/up"), "mount-failed"),
    (dict(source="volume:library/nowhere"), "mount-failed"),
    (dict(source="volume:library/bootstrap"), "mount-failed"),
    (dict(source="volume:library/bootstrap", nydus_image={"snapshot_dir": "volume:library/small"}), "mount-failed"),
    (dict(source="volume:library/bootstrap", nydus_image={"snapshot_dir": "volume:library/nothing"}), "mount-failed"),
    (dict(source="volume:library/bootstrap", nydus_image={"snapshot_dir": "volume:none/blobs"}), "not-found"),
    (dict(source="volume:none/bootstrap"), "not-found"),
    (dict(source="volume:v/bootstrap"), "invalid-params"),
]


@pytest.mark.parametrize("case", range(len(FILES_REFUSED)), ids=[json.dumps(case[0]) for case in FILES_REFUSED])
def test_files_that_are_no_image(machine, library, case):
    volume, name = FILES_REFUSED[case]
    error = refused(machine, volume_type="image_nydus_fs", fs_type="rafsv6", **volume)
    assert error.name == name, error


def test_rafs_v5_is_refused_by_name(machine, disks, tmp_path):
    disk = tmp_path / "v5.img"
    disk.write_bytes(struct.pack("<I", 0x52414653) + b"\0" * (1 << 20))
    about = verity(disk)
    source = f"serial:{disks.add(disk)}"
    error = refused(machine, volume_type="image_nydus_block", source=source, fs_type="rafsv5", dm_verity=about)
    assert (error.name, error.field) == ("unsupported-volume", "volume.fs_type") and "daemon" in error.message
    error = refused(machine, volume_type="image_nydus_block", source=source, fs_type="rafsv6", dm_verity=about)
    assert error.name == "unsupported-volume" and "daemon" in error.message


# ---- dm-verity's further keys ----


@pytest.mark.parametrize("superblock", [False, True])
def test_repair_by_parity(machine, pod, disks, tmp_path, superblock):
    """Flipped bytes of the data are what they were again; without parity they are an error."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "data").write_bytes(os.urandom(1 << 20))
    disk = tmp_path / "fec.img"
    mkfs_erofs(disk, tree)
    size = os.path.getsize(disk)
    offset = -(-size // 4096) * 4096
    os.truncate(disk, offset)
    blocks = offset // 4096
    parity = -(-(offset + (1 << 20)) // 4096) * 4096
    with disk.open("r+b") as file:
        file.truncate(parity)
    out = run(
        "veritysetup", "format", *([] if superblock else ["--no-superblock"]), "--format=1", "-s", "-", "--hash=sha256", f"--data-blocks={blocks}",
        f"--hash-offset={offset}", f"--fec-device={disk}", f"--fec-offset={parity}", "--fec-roots=2", disk, disk,
    )  # fmt: skip
    root = out.split("Root hash:")[1].split()[0]
    about = {"hashtype": "sha256", "hash": root, "blocknum": blocks, "blocksize": 4096, "hashsize": 4096, "offset": offset, "no_superblock": not superblock}
    with disk.open("r+b") as file:
        for block in range(10, blocks - 4, 40):
            file.seek(block * 4096 + 100 + block)  # two parity bytes mend one byte of a code word
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 0x55]))
    wanted = run("sha256sum", tree / "data").split()[0]
    source = f"serial:{disks.add(disk)}"
    attach(machine, volume_type="image_raw_block", source=source, fs_type="erofs", dm_verity={**about, "fec_roots": 2, "fec_offset": parity})
    assert see(pod, "sha256sum /v0/data", "v").split()[0] == wanted
    machine.call("volume.detach", id="v")
    attach(machine, volume_type="image_raw_block", source=source, fs_type="erofs", dm_verity=about)
    assert "error" in see(pod, "sha256sum /v0/data 2>&1 || true", "v").lower()


def test_a_signature_by_nobody_that_the_kernel_trusts(machine, disks, tmp_path, images):
    described = json.loads(pathlib.Path(f"{images()}.json").read_text())
    about = described["dm_verity"]
    (tmp_path / "hash").write_text(about["hash"])
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key", "-out", tmp_path / "cert", "-subj", "/CN=nobody", "-days", "9")
    run(
        "openssl", "smime", "-sign", "-nocerts", "-noattr", "-binary", "-in", tmp_path / "hash", "-inkey", tmp_path / "key", "-signer", tmp_path / "cert",
        "-outform", "der", "-out", tmp_path / "signature",
    )  # fmt: skip
    import base64

    source = f"serial:{disks.add(images())}"
    for signature in ((tmp_path / "signature").read_bytes(), b"no PKCS#7"):
        volume = dict(volume_type="image_raw_block", source=source, fs_type="erofs", dm_verity={**about, "signature": base64.b64encode(signature).decode()})
        error = refused(machine, **volume)
        assert error.name == "verity-failed" and "signature" in error.message, error


# ---- what decides ----


def test_plain_storage_is_refused_unless_a_vm_was_started_so(runtime, disks, images, tmp_path):
    vm = Machine("no-plain")
    try:
        assert vm.call("agent.info")["plain_storage"] is False
        serial = vm.add_disk(plain_disk(tmp_path, "ext4"))
        error = refused(vm, volume_type="direct_block", source=f"serial:{serial}", fs_type="ext4", options=["ro"])
        assert (error.name, error.field) == ("not-allowed", "volume.volume_type") and "coffer.plain_storage=allow" in error.message
        error = refused(vm, volume_type="image_raw_block", source=f"serial:{serial}", fs_type="ext4")
        assert (error.name, error.field) == ("not-allowed", "volume.dm_verity")
        error = refused(vm, volume_type="layer_nydus_block", source=f"serial:{serial}", fs_type="rafsv6")
        assert (error.name, error.field) == ("not-allowed", "volume.dm_verity")
    finally:
        vm.stop()


@pytest.mark.parametrize("what,word", [("panic", "Kernel panic"), ("restart", "")])
def test_a_vm_that_shall_end_on_corruption(runtime, tmp_path, images, what, word):
    """A wrong request is an error all the same; a bad block that is read later ends the VM."""
    vm = Machine(f"ends-{what}")
    image = tmp_path / "bad.img"
    shutil.copy(images("squashfs"), image)
    shutil.copy(f"{images('squashfs')}.json", f"{image}.json")
    about = json.loads(pathlib.Path(f"{image}.json").read_text())["dm_verity"]
    with image.open("r+b") as file:
        for block in range(5, about["blocknum"] - 8, 10):
            file.seek(block * 4096 + 77)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 1]))
    serial = vm.add_disk(image, read_only=True)
    about["on_corruption"] = what
    error = refused(vm, volume_type="image_raw_block", source=f"serial:{serial}", fs_type="squashfs", dm_verity={**about, "hash": "0" * 64})
    assert error.name == "verity-failed"
    pod = Pod(vm, images(), tmp_path, size="1G")
    attach(vm, volume_type="image_raw_block", source=f"serial:{serial}", fs_type="squashfs", dm_verity=about)
    assert pod.sh("echo alive") == "alive\n"
    with pytest.raises((OSError, EOFError, AssertionError)):
        see(pod, "cat /v0/bin/busybox > /dev/null; sleep 20", "v")
    assert word in vm.console()
    subprocess.run([BUILD / "coffer", "vm", "stop", vm.name, "--force"], capture_output=True)
