# SPDX-License-Identifier: GPL-2.0-or-later
"""How a request names a disk: every way, for disks that were there at boot, that were plugged later, and that come while they are waited for.

Hyper-V's way cannot be tried here: tests/unit/test_device_ways.c has it, with a tree as that kernel shows it."""

import itertools
import json
import os
import shutil
import subprocess
import time

import gpt
import pytest
from machine import Machine, Refused, coffer, volume
from qmp import Qmp

ids = itertools.count(1)


def attach(machine, image, source, timeout_ms=20000):
    """Attached and detached again; returns the device."""
    whole = volume(image, "")
    whole["source"] = source
    name = f"v{next(ids)}"
    answer = machine.call("volume.attach", id=name, volume=whole, timeout_ms=timeout_ms)
    machine.call("volume.detach", id=name)
    return answer["device"]


def refused(machine, image, source, timeout_ms=20000):
    began = time.monotonic()
    with pytest.raises(Refused) as caught:
        attach(machine, image, source, timeout_ms)
    assert time.monotonic() - began < timeout_ms / 1000 + 5
    return caught.value


@pytest.fixture(autouse=True)
def nothing_left(request):
    vm = request.getfixturevalue("cold" if "cold" in request.fixturenames else "machine")
    before = vm.at_rest()
    yield
    left = [(method, found["id"]) for kind, method in (("volume", "volume.detach"), ("scratch", "scratch.remove"))
            for found in vm.call(f"{kind}.list")["volumes" if kind == "volume" else "scratches"]]  # fmt: skip
    for method, name in left:
        vm.call(method, id=name)
    assert left == []
    vm.settles(before)


# ---- there at boot ----

# More than the host tool would put there: what it starts is this program, which adds to QEMU's arguments.
COLD_DEVICES = {
    "root": ["virtio-blk-pci,addr=0x1b"],
    "function0": ["virtio-blk-pci,addr=0x1a,multifunction=on"],
    "function3": ["virtio-blk-pci,addr=0x1a.3"],
    "bridge": ["pcie-pci-bridge,id=bridge,addr=0x1c", "virtio-blk-pci,bus=bridge,addr=0x03"],
    "deeper": ["pci-bridge,id=deeper,bus=bridge,addr=0x05,chassis_nr=120", "virtio-blk-pci,bus=deeper,addr=0x1f"],
    "expander": ["pxb-pcie,id=expander,bus_nr=0x40,bus=pcie.0,addr=0x1d", "pcie-root-port,id=far,bus=expander,chassis=110,addr=0x2",
                 "virtio-blk-pci,bus=far,addr=0x0"],
}  # fmt: skip

COLD_WAYS = [
    ("serial:blk", "vd"),
    ("serial:scsi", "sd"),
    ("serial:nvme", "nvme"),
    ("scsi:7:300", "sd"),
    ("/dev/pmem0", "pmem0"),
    ("pci:04/00", "vd"),
    ("pci:06/00", "nvme"),
    ("pci:1b", "vd"),
    ("pci:1b.0", "vd"),
    ("pci:1a", "vd"),
    ("pci:1a.3", "vd"),
    ("pci:1c/03", "vd"),
    ("pci:1c/05/1f", "vd"),
    ("pci:40/02/00", "vd"),
]


@pytest.fixture(scope="module")
def cold(runtime, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cold")
    pmem = folder / "pmem.img"
    shutil.copy(images(), pmem)
    os.truncate(pmem, (pmem.stat().st_size + (2 << 20) - 1) >> 21 << 21)
    words = ["-device", "virtio-scsi-pci,id=quiet,addr=0x19,hotplug=off"]
    for name, devices in COLD_DEVICES.items():
        node = {"driver": "raw", "node-name": name, "read-only": True, "file": {"driver": "file", "filename": str(images()), "read-only": True}}
        words += ["-blockdev", json.dumps(node)]
        for device in devices:
            words += ["-device", device + (f",drive={name},serial={name}" if device.startswith("virtio-blk") else "")]
    program = folder / "qemu"
    quoted = " ".join(f"'{word}'" for word in words)
    program.write_text(f'#!/bin/sh\ncase "$*" in *guest=coffer-m-cold*) exec qemu-system-x86_64 "$@" {quoted};; esac\nexec qemu-system-x86_64 "$@"\n')
    program.chmod(0o755)
    os.environ["COFFER_QEMU"] = str(program)
    try:
        vm = Machine("m-cold", "--disk", f"{images()},ro,serial=blk", "--disk", f"{images()},ro,serial=scsi,bus=virtio-scsi,scsi=7:300",
                     "--disk", f"{images()},ro,serial=nvme,bus=nvme", "--disk", f"{pmem},ro,serial=pmem,bus=nvdimm")  # fmt: skip
    finally:
        del os.environ["COFFER_QEMU"]
    yield vm
    assert "Kernel panic" not in vm.console()
    vm.stop()


@pytest.mark.parametrize("source,device", COLD_WAYS, ids=[source for source, _ in COLD_WAYS])
def test_a_disk_that_was_there_at_boot(cold, images, source, device):
    assert attach(cold, images(), source).startswith(f"/dev/{device}")


def test_one_disk_by_all_its_names_is_one_disk(cold, images):
    found = {attach(cold, images(), source) for source in ("serial:blk", "pci:04/00", "pci:04.0/00.0")}
    assert len(found) == 1
    assert attach(cold, images(), found.copy().pop()) in found
    assert attach(cold, images(), "serial:root") == attach(cold, images(), "pci:1b") != attach(cold, images(), "pci:1a")
    assert attach(cold, images(), "serial:function3") == attach(cold, images(), "pci:1a.3")
    assert attach(cold, images(), "serial:deeper") == attach(cold, images(), "pci:1c/05/1f")


def test_what_is_no_disk_does_not_come(cold, images):
    """A bridge, a SCSI controller, a function or bus that is not there: the answer is an error at the deadline."""
    for source in ("pci:1c", "pci:1c/05", "pci:05/00", "pci:1a.1", "pci:1b/00", "pci:41/02/00", "scsi:7:0", "hyperv:0:1", "/dev/pmem1"):
        error = refused(cold, images(), source, 300)
        assert (error.name, error.step) == ("no-device", "find the device"), source


def test_a_disk_that_only_a_rescan_finds(cold, images):
    """The controller `quiet` does not tell of what is plugged into it."""
    with Qmp(cold.info["qmp"]) as qmp:
        qmp.add_node("late", images())
        qmp.execute("device_add", driver="scsi-hd", id="late", drive="late", bus="quiet.0", **{"scsi-id": 9, "lun": 0})
    try:
        assert attach(cold, images(), "scsi:9:0").startswith("/dev/sd")
    finally:
        with Qmp(cold.info["qmp"]) as qmp:
            qmp.remove("late", "late")


def test_a_disk_that_comes_behind_a_quiet_controller_while_it_is_waited_for(cold, images):
    with cold.connect() as control:
        whole = volume(images(), "")
        whole["source"] = "scsi:10:1"
        number = control.post("volume.attach", {"id": "v", "volume": whole, "timeout_ms": 20000})
        time.sleep(1.2)
        with Qmp(cold.info["qmp"]) as qmp:
            qmp.add_node("later", images())
            # LUN 0 first: a target without it is not looked at.
            qmp.execute("device_add", driver="scsi-hd", id="later", drive="later", bus="quiet.0", **{"scsi-id": 10, "lun": 1})
        assert control.answer(number)["id"] == "v"
    cold.call("volume.detach", id="v")
    with Qmp(cold.info["qmp"]) as qmp:
        qmp.remove("later", "later")


def test_a_pmem_device_cannot_be_plugged(cold, images, tmp_path):
    run = coffer("disk", "add", cold.name, f"{images()},ro,serial=x,bus=nvdimm", check=False)
    assert run.returncode == 1 and "must be there from the start" in run.stderr
    run = coffer("disk", "remove", cold.name, "pmem", check=False)
    assert run.returncode == 1 and "as long as the VM" in run.stderr


# ---- plugged later ----

HOT = [("virtio-blk", "serial"), ("virtio-blk", "pci"), ("virtio-scsi", "serial"), ("virtio-scsi", "scsi"), ("nvme", "serial"), ("nvme", "pci")]


def source_of(machine, serial, way):
    return f"serial:{serial}" if way == "serial" else f"{way}:{machine.disk(serial)[way]}"


@pytest.mark.parametrize("bus,way", HOT, ids=["-".join(row) for row in HOT])
def test_a_disk_that_was_plugged(machine, images, bus, way):
    serial = machine.add_disk(images(), read_only=True, bus=bus)
    device = attach(machine, images(), source_of(machine, serial, way))
    assert attach(machine, images(), device) == device
    machine.remove_disk(serial)
    error = refused(machine, images(), device, 300)
    assert error.name == "no-device"


@pytest.mark.parametrize("bus,way", HOT + [("virtio-blk", "path")], ids=["-".join(row) for row in [*HOT, ("virtio-blk", "path")]])
def test_a_disk_that_comes_while_it_is_waited_for(machine, images, bus, way):
    serial, words = f"{bus[:6]}-{way}", {"bus": bus}
    source = f"serial:{serial}"
    if way == "scsi":
        words["scsi"], source = "3:2", "scsi:3:2"
    elif way in ("pci", "path"):
        # Where the next one will be: the free slot, and the free name, are those of one that was there before.
        before = machine.add_disk(images(), read_only=True, bus=bus)
        source = attach(machine, images(), f"serial:{before}") if way == "path" else source_of(machine, before, way)
        machine.remove_disk(before)
    whole = volume(images(), "")
    whole["source"] = source
    with machine.connect() as control:
        number = control.post("volume.attach", {"id": "v", "volume": whole, "timeout_ms": 20000})
        time.sleep(0.7)
        machine.add_disk(images(), read_only=True, serial=serial, **words)
        assert control.answer(number)["id"] == "v"
    machine.call("volume.detach", id="v")
    machine.remove_disk(serial)


@pytest.mark.parametrize("bus,way", HOT, ids=["-".join(row) for row in HOT])
def test_a_scratch_on_it(machine, tmp_path, bus, way):
    """The same names as members of a `device`."""
    disk = tmp_path / "scratch.img"
    subprocess.run(["truncate", "-s", "1G", disk], check=True)
    serial = machine.add_disk(disk, bus=bus)
    device = {way: serial if way == "serial" else machine.disk(serial)[way]}
    machine.call("scratch.create", id="s", device=device)
    machine.call("scratch.remove", id="s")
    machine.remove_disk(serial)


def test_two_scsi_disks_at_one_address(machine, images):
    """They are on two controllers; the host tool refuses the second one only because it keeps a list."""
    serial = machine.add_disk(images(), read_only=True, bus="virtio-scsi", scsi="3:2")
    run = coffer("disk", "add", machine.name, f"{images()},ro,serial=other,bus=virtio-scsi,scsi=3:2", check=False)
    assert run.returncode == 1 and "scsi=3:2" in run.stderr
    other = machine.add_disk(images(), read_only=True, bus="virtio-scsi", scsi="3:3")
    host = f"host-{other}.0"
    with Qmp(machine.info["qmp"]) as qmp:
        qmp.add_node("twin", images())
        qmp.execute("device_add", driver="scsi-hd", id="twin", drive="twin", bus=host, **{"scsi-id": 3, "lun": 2})
    try:
        time.sleep(1)  # nobody waits for this one to be seen
        error = refused(machine, images(), "scsi:3:2")
        assert error.name == "bad-device" and "two devices" in error.message
        assert attach(machine, images(), "scsi:3:3") != attach(machine, images(), f"serial:{serial}")
    finally:
        with Qmp(machine.info["qmp"]) as qmp:
            qmp.remove("twin", "twin")
        machine.remove_disk(serial)
        machine.remove_disk(other)


def test_a_disk_that_grows(machine, tmp_path):
    disk = tmp_path / "scratch.img"
    subprocess.run(["truncate", "-s", "256M", disk], check=True)
    serial = machine.add_disk(disk)
    small = machine.call("scratch.create", id="s", device={"serial": serial})["size"]
    machine.call("scratch.remove", id="s")
    coffer("disk", "resize", machine.name, serial, "1G")
    assert disk.stat().st_size == 1 << 30
    large = machine.call("scratch.create", id="s", device={"serial": serial})["size"]
    machine.call("scratch.remove", id="s")
    assert large > 3 * small
    for size in ("0", "1000", "x"):
        assert coffer("disk", "resize", machine.name, serial, size, check=False).returncode != 0
    assert coffer("disk", "resize", machine.name, "none", "1G", check=False).returncode == 1
    machine.remove_disk(serial)


# ---- names that are wrong ----

WRONG = [
    ({"pci": "20"}, "device.pci"),
    ({"pci": "02/"}, "device.pci"),
    ({"pci": ""}, "device.pci"),
    ({"pci": 2}, "device.pci"),
    ({"scsi": "0"}, "device.scsi"),
    ({"scsi": "256:0"}, "device.scsi"),
    ({"hyperv": "4:0"}, "device.hyperv"),
    ({"hyperv": "200:0"}, "device.hyperv"),
    ({"serial": "x", "partition": 0}, "device.partition"),
    ({"serial": "x", "partition": 129}, "device.partition"),
    ({"serial": "x", "partuuid": "1"}, "device.partuuid"),
    ({"serial": "x", "partition": 1, "partuuid": gpt.partuuid(1)}, "device.partuuid"),
    ({"serial": "x", "pci": "02"}, "device"),
    ({"partition": 1}, "device"),
    ({"source": "serial:x"}, "device.source"),
]


@pytest.mark.parametrize("device,field", WRONG, ids=[json.dumps(device) for device, _ in WRONG])
def test_a_name_that_is_wrong_is_refused_at_once(machine, device, field):
    began = time.monotonic()
    with pytest.raises(Refused) as caught:
        machine.call("scratch.create", id="s", device=device)
    assert (caught.value.name, caught.value.field) == ("invalid-params", field), caught.value
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("source", ["pci:20", "scsi:0", "hyperv:4:0", "serial:x#0", "serial:x#y", "path:/dev/vda", "/dev/vda#", "mmio:0"])
def test_a_source_that_is_wrong_is_refused_at_once(machine, images, source):
    error = refused(machine, images(), source, 1000)
    assert (error.name, error.field) == ("invalid-params", "volume.source")


@pytest.mark.parametrize("source", ["serial:never", "/dev/vdz", "pci:1e/1f", "scsi:200:1", "hyperv:3:7", "serial:never#1"])
def test_a_disk_that_never_comes(machine, images, source):
    began = time.monotonic()
    error = refused(machine, images(), source, 700)
    assert (error.name, error.step) == ("no-device", "find the device") and "700 ms" in error.message
    assert time.monotonic() - began >= 0.7


@pytest.mark.parametrize("path", ["/dev/null", "/dev/stdin", "/dev/pts"])
def test_what_is_no_block_device(machine, images, path):
    error = refused(machine, images(), path)
    assert error.name == "bad-device"


# ---- partitions ----

SIZE = 64 << 20


def partitioned(path, image, **table):
    """The image as partition 2; an empty one before it, and one of 16 MiB behind it."""
    blocks = (image.stat().st_size + 511) // 512
    gpt.write(path, SIZE, {1: (2048, 4095), 2: (4096, 4096 + blocks - 1), 7: (65536, 98303)}, **table)
    with path.open("r+b") as file:
        file.seek(4096 * 512)
        file.write(image.read_bytes())
    return path


@pytest.mark.parametrize("bus", ["virtio-blk", "virtio-scsi", "nvme"])
def test_a_partition(machine, images, tmp_path, bus):
    serial = machine.add_disk(partitioned(tmp_path / "disk.img", images()), bus=bus)
    by_number = attach(machine, images(), f"serial:{serial}#2")
    assert by_number == attach(machine, images(), f"serial:{serial}#{gpt.partuuid(2)}") == attach(machine, images(), f"serial:{serial}#{gpt.partuuid(2).upper()}")
    assert by_number.endswith("2")
    answer = machine.call("scratch.create", id="s", device={"serial": serial, "partition": 7})
    assert answer["device"].endswith("7") and answer["size"] < 16 << 20
    # What stands before and behind it is as it was.
    assert attach(machine, images(), f"serial:{serial}#2") == by_number
    machine.call("scratch.remove", id="s")
    machine.call("scratch.create", id="s", device={"serial": serial, "partuuid": gpt.partuuid(7)})
    machine.call("scratch.remove", id="s")
    for suffix in ("#3", f"#{gpt.partuuid(3)}"):
        error = refused(machine, images(), f"serial:{serial}{suffix}")
        assert error.name == "bad-device" and "no partition" in error.message
    # By its node alone a partition is not named: nobody would look at the table.
    error = refused(machine, images(), by_number)
    assert error.name == "bad-device" and "is a partition" in error.message
    machine.remove_disk(serial)


def test_a_partition_that_comes_while_it_is_waited_for(machine, images, tmp_path):
    disk = partitioned(tmp_path / "disk.img", images())
    whole = volume(images(), "")
    whole["source"] = "serial:late#2"
    with machine.connect() as control:
        number = control.post("volume.attach", {"id": "v", "volume": whole, "timeout_ms": 20000})
        time.sleep(0.7)
        machine.add_disk(disk, read_only=True, serial="late")
        assert control.answer(number)["device"].endswith("2")
    machine.call("volume.detach", id="v")
    machine.remove_disk("late")


def test_a_disk_and_its_partitions_serve_one_use_each(machine, images, tmp_path):
    serial = machine.add_disk(partitioned(tmp_path / "disk.img", images()))
    whole = volume(images(), "")
    whole["source"] = f"serial:{serial}#2"
    machine.call("volume.attach", id="v", volume=whole)
    for device in ({"serial": serial, "partition": 2}, {"serial": serial}):
        with pytest.raises(Refused) as caught:
            machine.call("scratch.create", id="s", device=device)
        assert caught.value.name in ("in-use", "bad-device"), caught.value
    machine.call("scratch.create", id="s", device={"serial": serial, "partition": 7})
    with pytest.raises(Refused) as caught:
        machine.call("scratch.create", id="t", device={"serial": serial, "partition": 7})
    assert caught.value.name in ("in-use", "bad-device")
    machine.call("scratch.remove", id="s")
    machine.call("volume.detach", id="v")
    # And the other way round.
    machine.call("scratch.create", id="s", device={"serial": serial})
    error = refused(machine, images(), f"serial:{serial}#2", 2000)
    assert error.name in ("in-use", "bad-device", "no-device")
    machine.call("scratch.remove", id="s")
    machine.remove_disk(serial)


HOSTILE = {
    "no table": None,
    "sum of the header": {"spoil": "header"},
    "sum of the entries": {"spoil": "entries"},
    "4 GiB of entries": {"count": 0x01FFFFFF},
    "no entries": {"count": 0},
    "small entries": {"entry": 64},
    "entries beyond the disk": {"at": SIZE // 512},
    "entries at 2^64": {"at": 2**64 - 1},
    "another own block": {"own": 5},
    "nothing is usable": {"first": 2**63, "last": 2**63},
}


@pytest.mark.parametrize("table", HOSTILE.values(), ids=list(HOSTILE))
def test_a_table_that_is_not_sound(machine, images, tmp_path, table):
    disk = tmp_path / "disk.img"
    if table is None:
        subprocess.run(["truncate", "-s", str(SIZE), disk], check=True)
    else:
        partitioned(disk, images(), **table)
    serial = machine.add_disk(disk, read_only=True)
    error = refused(machine, images(), f"serial:{serial}#2", 3000)
    assert (error.name, error.step) == ("bad-device", "find the device"), error
    machine.remove_disk(serial)


OVERLAPS = {"over its end": (4200, 9000), "around it": (4000, 60000), "the same": None}


@pytest.mark.parametrize("place", OVERLAPS.values(), ids=list(OVERLAPS))
def test_partitions_that_overlap(machine, images, tmp_path, place):
    disk = tmp_path / "disk.img"
    blocks = (images().stat().st_size + 511) // 512
    mine = (4096, 4096 + blocks - 1)
    gpt.write(disk, SIZE, {2: mine, 3: place or mine})
    serial = machine.add_disk(disk, read_only=True)
    error = refused(machine, images(), f"serial:{serial}#2", 3000)
    assert error.name == "bad-device" and "overlap" in error.message
    machine.remove_disk(serial)


def test_a_table_that_changes_after_the_kernel_has_read_it(machine, images, tmp_path):
    """What the kernel calls partition 2 is no longer what the table says."""
    disk = partitioned(tmp_path / "disk.img", images())
    serial = machine.add_disk(disk, read_only=True)
    attach(machine, images(), f"serial:{serial}#2")
    time.sleep(0.3)
    blocks = (images().stat().st_size + 511) // 512
    gpt.write(disk, SIZE, {2: (32768, 32768 + blocks - 1)})
    error = refused(machine, images(), f"serial:{serial}#2", 1500)
    assert error.name == "bad-device" and "the kernel has" in error.message, error
    machine.remove_disk(serial)
