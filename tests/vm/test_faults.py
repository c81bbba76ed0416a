# SPDX-License-Identifier: GPL-2.0-or-later
"""The worker is killed after undo record n, for every n: each time an error, nothing left, and the next try works."""

import os
import shutil

import pytest
from disks import blobs, device_table, flat, mkfs_erofs, run, tar, tarfs, verity
from machine import BUILD, Machine, Pod, Refused, config, volume


@pytest.fixture(scope="module")
def machine(runtime):
    vm = Machine("m-faults", "--append", "coffer.plain_storage=allow", initrd=BUILD / "test" / "initramfs.cpio.zst")
    assert "test.fault" in vm.control.hello["params"]["features"]
    yield vm
    vm.stop()


def killed_at_every_record(machine, at_least, attempt, undo):
    """`attempt` with its worker killed after 1, 2, 3 ... records until it succeeds; then `undo`.  Returns how many died."""
    before = machine.at_rest()
    for after in range(1, 50):
        machine.call("test.fault", after=after)
        try:
            attempt()
        except Refused as refused:
            assert refused.name == "internal-error", (after, refused)
            machine.settles(before)
            continue
        machine.call("test.fault", after=0)
        undo()
        machine.settles(before)
        assert after - 1 >= at_least, f"only {after - 1} deaths: are records pushed at all?"
        return
    pytest.fail("it never succeeded")


def test_scratch_create(machine, tmp_path):
    disk = tmp_path / "s.img"
    with disk.open("wb") as file:
        file.truncate(1 << 30)
    serial = machine.add_disk(disk)
    # The claim, two mappings, the mount point, the mount, the result.
    killed_at_every_record(
        machine,
        6,
        lambda: machine.call("scratch.create", id="s", device={"serial": serial}),
        lambda: machine.call("scratch.remove", id="s"),
    )
    machine.remove_disk(serial)


def test_scratch_create_of_a_swap(machine, tmp_path):
    disk = tmp_path / "s.img"
    with disk.open("wb") as file:
        file.truncate(1 << 30)
    serial = machine.add_disk(disk)
    # The claim, two mappings, the swap, the result.  A swap that stayed on would hold its mapping.
    killed_at_every_record(
        machine,
        5,
        lambda: machine.call("scratch.create", id="s", device={"serial": serial}, use="swap"),
        lambda: machine.call("scratch.remove", id="s"),
    )
    machine.remove_disk(serial)


@pytest.mark.parametrize("fs", ["erofs", "ext4"])
def test_volume_attach(machine, images, fs):
    serial = machine.add_disk(images(fs), read_only=True)
    # The claim, the mapping, the mount point, the mount, the result.
    killed_at_every_record(
        machine,
        5,
        lambda: machine.call("volume.attach", id="v", volume=volume(images(fs), serial)),
        lambda: machine.call("volume.detach", id="v"),
    )
    machine.remove_disk(serial)


class Plugged:
    """Disks that are added for one test."""

    def __init__(self, machine):
        self.machine, self.serials = machine, []

    def source(self, path, read_only=True):
        self.serials.append(self.machine.add_disk(path, read_only=read_only))
        return f"serial:{self.serials[-1]}"

    def remove(self):
        for serial in self.serials:
            self.machine.remove_disk(serial)


def plain_disk(folder, plugged):
    disk = folder / "plain.img"
    run("truncate", "-s", "16M", disk)
    run("mkfs.ext4", "-q", disk)
    # The claim, the mount point, the mount, the result.
    return 4, dict(volume_type="direct_block", source=plugged.source(disk, read_only=False), fs_type="ext4", direct_volume={"metadata": {"fsGroup": "5"}})


def archives(folder, count=2):
    return [tar(folder / f"{i}.tar", {f"file{i}": "x" * 9000}) for i in range(count)]


def flat_disk(folder, plugged):
    layers = archives(folder)
    disk = flat(tarfs(folder / "t", layers), layers, folder / "flat.disk")
    about = verity(disk, 512)
    # The claim, the mapping, that of the image and of two slices (on this kernel), the mount point, the mount, the result.
    return 8, dict(volume_type="layer_raw_block", source=plugged.source(disk), fs_type="erofs", dm_verity=about)


def spread_image(folder, plugged):
    layers = archives(folder)
    bootstrap = tarfs(folder / "t", layers)
    for (_, blocks, _), layer in zip(device_table(bootstrap)[1], layers):
        os.truncate(layer, blocks * 512)
    about = [verity(path, 512) for path in (bootstrap, *layers)]
    rows = [{"source": plugged.source(path), "dm_verity": each} for path, each in zip(layers, about[1:])]
    # Three claims and mappings, the mount point, the mount, the result.
    return 9, dict(volume_type="image_nydus_block", source=plugged.source(bootstrap), fs_type="rafsv6", dm_verity=about[0], nydus_image={"config": blobs(*rows)})


def ending_image(folder, plugged):
    disk = folder / "panic.img"
    shutil.copytree("/usr/share/base-files", folder / "tree")
    mkfs_erofs(disk, folder / "tree")
    # The claim, the mapping (made twice), the mount point, the mount, the result.
    about = verity(disk)
    return 5, dict(volume_type="image_raw_block", source=plugged.source(disk), fs_type="erofs", dm_verity={**about, "on_corruption": "panic"})


@pytest.mark.parametrize("kind", [plain_disk, flat_disk, spread_image, ending_image])
def test_every_type_of_volume(machine, tmp_path, kind):
    plugged = Plugged(machine)
    records, request = kind(tmp_path, plugged)
    killed_at_every_record(
        machine, records, lambda: machine.call("volume.attach", id="v", volume=request), lambda: machine.call("volume.detach", id="v")
    )
    plugged.remove()


def test_an_image_in_a_volume(machine, tmp_path):
    plugged = Plugged(machine)
    layers = archives(tmp_path)
    bootstrap = tarfs(tmp_path / "t", layers)
    tree = tmp_path / "library"
    tree.mkdir()
    for i, path in enumerate((bootstrap, *layers)):
        shutil.copy(path, tree / f"f{i}")
    mkfs_erofs(tmp_path / "library.img", tree)
    about = verity(tmp_path / "library.img")
    machine.call("volume.attach", id="base", volume=dict(volume_type="image_raw_block", source=plugged.source(tmp_path / "library.img"), fs_type="erofs", dm_verity=about))
    request = dict(
        volume_type="image_nydus_fs", source="volume:base/f0", fs_type="rafsv6", nydus_image={"snapshot_dir": "volume:base/.", "config": blobs({"path": "f1"}, {"path": "f2"})}
    )
    # The mount point, the mount, the result; the loop devices go by themselves.
    killed_at_every_record(machine, 3, lambda: machine.call("volume.attach", id="v", volume=request), lambda: machine.call("volume.detach", id="v"))
    machine.call("volume.detach", id="base")
    plugged.remove()


def test_rootfs_create(machine, images, tmp_path):
    pod = Pod(machine, images(), tmp_path)
    # The upper folder, the mount point, the mount, the result.
    killed_at_every_record(
        machine,
        4,
        lambda: machine.call("rootfs.create", id="another", lower=["image"], scratch="scratch"),
        lambda: machine.call("rootfs.remove", id="another"),
    )
    pod.close()


def test_container_create_and_exec(machine, images, tmp_path):
    pod = Pod(machine, images(), tmp_path)
    # The cgroup, the result.
    killed_at_every_record(
        machine,
        2,
        lambda: machine.call("container.create", id="c", rootfs="root", config=config(), process={"args": ["sleep", "9"]}),
        lambda: machine.call("container.remove", id="c"),
    )
    name = pod.start("sleep", "1000")
    killed_at_every_record(
        machine,
        1,
        lambda: machine.call("container.exec", id=name, exec="e", process={"args": ["true"], "stdio": "null"}),
        lambda: machine.call("container.wait", id=name, exec="e"),
    )
    pod.remove(name)
    pod.close()


def test_faults_side_by_side(machine, images, tmp_path):
    """One worker dies while others work: only its own request is undone."""
    pod = Pod(machine, images(), tmp_path)
    serial = machine.add_disk(images("squashfs"), read_only=True)
    before = machine.at_rest()
    with machine.connect() as control:
        machine.call("test.fault", after=3)
        doomed = control.post("volume.attach", {"id": "v", "volume": volume(images("squashfs"), serial)})
        alive = [control.post("rootfs.create", {"id": f"r{i}", "lower": ["image"], "scratch": "scratch"}) for i in range(5)]
        with pytest.raises(Refused):
            control.answer(doomed)
        for number in alive:
            control.answer(number)
    for i in range(5):
        machine.call("rootfs.remove", id=f"r{i}")
    machine.settles(before)
    machine.remove_disk(serial)
    pod.close()
