# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks of a host that means harm: whatever they answer, or do not, a request ends with an error in bounded time, and nothing is left."""

import errno
import itertools
import os
import threading
import time

import gpt
import nbd
import pytest
from machine import Refused, volume

ids = itertools.count(1)
GRACE = 10  # s; beside what a deadline itself allows


class Misbehaving(nbd.Disk):
    """Honest until `armed` requests have been answered since it was armed; then `kind` says what happens."""

    def __init__(self, content, kind, after=0, size=None):
        super().__init__(content, size)
        self.kind, self.left, self.armed, self.seen = kind, after, False, set()

    def is_due(self):
        self.left -= self.armed
        return self.armed and self.kind != "none" and self.left < 0

    def read(self, offset, length):
        data = super().read(offset, length)
        if self.kind == "second":
            blocks = range(offset // 512, (offset + length + 511) // 512)
            spoilt = bytearray(data)
            for block in blocks:
                at = block * 512 - offset
                if self.armed and block in self.seen and 0 <= at < length:
                    spoilt[at] ^= 1
                if self.armed:
                    self.seen.add(block)
            return bytes(spoilt)
        if not self.is_due():
            return data
        return self.misbehave(data, offset + length)

    def write(self, offset, data):
        if self.kind != "second" and self.is_due():
            self.misbehave(b"", offset + len(data))
            return
        super().write(offset, data)

    def misbehave(self, data, end):
        if self.kind == "drop":
            raise nbd.Drop
        if self.kind == "shrink" and end <= self.size // 2:
            return data
        if self.kind in ("error", "shrink"):
            raise OSError(errno.EIO if self.kind == "error" else errno.EINVAL, "")
        if self.kind == "short":
            return data[: len(data) // 2]
        if self.kind == "zero":
            return bytes(len(data))
        raise AssertionError(self.kind)


class Plugged:
    """A server whose disk is in the VM, honest while the guest's kernel looks for partitions."""

    def __init__(self, machine, folder, disk, read_only):
        self.machine, self.disk = machine, disk
        self.server = nbd.Server(os.path.join(folder, f"nbd{next(ids)}"), disk, read_only)
        self.serial = machine.add_disk(self.server.url, read_only=read_only)
        self.wait_until_quiet()

    def wait_until_quiet(self):
        seen, deadline = -1, time.monotonic() + 10
        while time.monotonic() < deadline and (self.server.requests == 0 or seen != self.server.requests):
            seen = self.server.requests
            time.sleep(0.4)
        assert self.server.requests > 0, "the kernel has not read it"
        self.disk.armed = True

    def close(self):
        self.disk.armed = False
        self.server.go.set()
        self.machine.remove_disk(self.serial)
        self.server.close()


@pytest.fixture
def plug(machine, runtime):
    plugged = []

    def make(disk, read_only=False):
        plugged.append(Plugged(machine, runtime, disk, read_only))
        return plugged[-1]

    before = machine.at_rest()
    yield make
    for one in plugged:
        one.server.go.set()
    left = [("volume.detach", found["id"]) for found in machine.call("volume.list")["volumes"]]
    left += [("scratch.remove", found["id"]) for found in machine.call("scratch.list")["scratches"]]
    for method, name in left:
        machine.call(method, id=name)
    for one in plugged:
        one.close()
    assert left == []
    machine.settles(before)


def serves_others(machine, images):
    """An honest image is attached as ever."""
    serial = machine.add_disk(images(), read_only=True)
    machine.call("volume.attach", id="other", volume=volume(images(), serial))
    machine.call("volume.detach", id="other")
    machine.remove_disk(serial)


def attach(machine, images, serial, **changes):
    whole = volume(images(), serial, **changes)
    began = time.monotonic()
    try:
        return machine.call("volume.attach", id="v", volume=whole, timeout_ms=1000)
    finally:
        assert time.monotonic() - began < 31 + GRACE


KINDS = ["error", "drop", "short", "shrink", "zero"]


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_an_image(machine, images, plug, kind, after):
    hostile = plug(Misbehaving(images().read_bytes(), kind, after), read_only=True)
    try:
        attach(machine, images, hostile.serial)
    except Refused as refused:
        assert refused.name in ("bad-device", "verity-failed", "mount-failed", "no-device"), refused
    else:
        # It was in the guest's memory already: what is there is what was verified.
        assert after or kind == "shrink"
        machine.call("volume.detach", id="v")
    serves_others(machine, images)


def test_an_image_whose_blocks_are_others_the_second_time(machine, images, plug):
    hostile = plug(Misbehaving(images().read_bytes(), "second"), read_only=True)
    for _ in range(3):
        try:
            attach(machine, images, hostile.serial)
        except Refused as refused:
            assert refused.name in ("bad-device", "verity-failed", "mount-failed"), refused
        else:
            machine.call("volume.detach", id="v")
    serves_others(machine, images)


def test_a_partition_table_that_is_another_the_second_time(machine, images, plug, tmp_path):
    disk = tmp_path / "disk.img"
    image = images().read_bytes()
    gpt.write(disk, 64 << 20, {2: (4096, 4096 + (len(image) + 511) // 512 - 1)})
    with disk.open("r+b") as file:
        file.seek(4096 * 512)
        file.write(image)
    hostile = plug(Misbehaving(disk.read_bytes(), "second"), read_only=True)
    try:
        attach(machine, images, f"{hostile.serial}#2")
    except Refused as refused:
        assert refused.name in ("bad-device", "verity-failed", "mount-failed"), refused
    else:
        machine.call("volume.detach", id="v")


@pytest.mark.parametrize("after", [0, 5, 20])
@pytest.mark.parametrize("kind", ["error", "drop", "shrink", "zero", "second"])
def test_a_scratch(machine, images, plug, kind, after):
    hostile = plug(Misbehaving(b"", kind, after, size=256 << 20))
    began = time.monotonic()
    try:
        machine.call("scratch.create", id="s", device={"serial": hostile.serial}, timeout_ms=1000)
    except Refused as refused:
        assert refused.name in ("bad-device", "crypt-failed", "format-failed", "mount-failed", "no-device"), refused
    else:
        machine.call("scratch.remove", id="s")
    assert time.monotonic() - began < 61 + GRACE
    serves_others(machine, images)


def state_of(machine, kind, name):
    found = [one["state"] for one in machine.call(f"{kind}.list")["volumes" if kind == "volume" else "scratches"] if one["id"] == name]
    return found[0] if found else None


def wait_until_gone(machine, kind, name):
    deadline = time.monotonic() + 30
    while state_of(machine, kind, name) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert state_of(machine, kind, name) is None


def test_disks_that_hang(machine, images, plug):
    """The workers wait in the kernel, where SIGKILL does not reach them: the requests are answered, and the rest comes when the disks do."""
    image, scratch = plug(Misbehaving(images().read_bytes(), "none"), read_only=True), plug(Misbehaving(b"", "none", size=256 << 20))
    answers = {}
    for one in (image, scratch):
        one.disk.armed = False
        one.server.go.clear()

    def ask(name, method, params):
        with machine.connect(timeout=120) as control:
            began = time.monotonic()
            try:
                control.call(method, **params)
                answers[name] = None
            except Refused as refused:
                answers[name] = refused, time.monotonic() - began

    whole = volume(images(), image.serial)
    requests = [("image", "volume.attach", {"id": "v", "volume": whole, "timeout_ms": 1000}),
                ("scratch", "scratch.create", {"id": "s", "device": {"serial": scratch.serial}, "timeout_ms": 1000})]  # fmt: skip
    threads = [threading.Thread(target=ask, args=request) for request in requests]
    for thread in threads:
        thread.start()
    time.sleep(2)
    serves_others(machine, images)
    for thread in threads:
        thread.join()
    for name, limit in (("image", 31), ("scratch", 61)):
        refused, took = answers[name]
        assert refused.name == "timeout" and took < limit + GRACE, (name, refused, took)
    # What cannot be taken back yet is shown, and its disk is nobody else's.
    assert state_of(machine, "scratch", "s") == "removing"
    with pytest.raises(Refused) as caught:
        machine.call("scratch.create", id="t", device={"serial": scratch.serial}, timeout_ms=1000)
    assert caught.value.name in ("in-use", "bad-device")
    serves_others(machine, images)
    for one in (image, scratch):
        one.server.go.set()
    wait_until_gone(machine, "volume", "v")
    wait_until_gone(machine, "scratch", "s")
    # And they serve again.
    attach(machine, images, image.serial)
    machine.call("volume.detach", id="v")
    machine.call("scratch.create", id="s", device={"serial": scratch.serial})
    machine.call("scratch.remove", id="s")


def test_a_scratch_whose_disk_hangs_while_it_goes(machine, images, plug):
    hanging = plug(Misbehaving(b"", "none", size=256 << 20))
    machine.call("scratch.create", id="s", device={"serial": hanging.serial})
    hanging.server.go.clear()
    with machine.connect(timeout=120) as control:
        number = control.post("scratch.remove", {"id": "s"})
        serves_others(machine, images)
        began = time.monotonic()
        try:
            control.answer(number)
        except Refused as refused:
            assert refused.name == "timeout"
            assert state_of(machine, "scratch", "s") == "removing"
        assert time.monotonic() - began < 62 + GRACE
    hanging.server.go.set()
    wait_until_gone(machine, "scratch", "s")
