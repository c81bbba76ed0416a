# SPDX-License-Identifier: GPL-2.0-or-later
"""The worker is killed after undo record n, for every n: each time an error, nothing left, and the next try works."""

import pytest
from machine import BUILD, Machine, Pod, Refused, config, volume


@pytest.fixture(scope="module")
def machine(runtime):
    vm = Machine("m-faults", initrd=BUILD / "test" / "initramfs.cpio.zst")
    assert "test.fault" in vm.control.hello["params"]["features"]
    yield vm
    vm.stop()


def killed_at_every_record(machine, at_least, attempt, undo):
    """`attempt` with its worker killed after 1, 2, 3 ... records until it succeeds; then `undo`.  Returns how many died."""
    before = machine.resources()
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
    before = machine.resources()
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
