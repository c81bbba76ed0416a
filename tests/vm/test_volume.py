# SPDX-License-Identifier: GPL-2.0-or-later
"""volume.attach: Kata virtual volumes under dm-verity."""

import base64
import json
import pathlib
import shutil
import subprocess
import threading
import time

import pytest
from machine import Pod, Refused, config, volume

VARIANTS = [
    ("erofs",),
    ("erofs", "--salt", "-"),
    ("erofs", "--salt", "00ff10", "--data-block", "512"),
    ("erofs", "--no-superblock"),
    ("erofs", "--no-superblock", "--salt", "-", "--data-block", "512"),
    ("squashfs",),
    ("ext4",),
]


@pytest.fixture(autouse=True)
def nothing_left(machine):
    before = machine.at_rest()
    yield
    left = machine.call("volume.list")["volumes"]
    for found in left:  # or every test behind this one would fail too
        machine.call("volume.detach", id=found["id"])
    assert left == []
    machine.settles(before)


@pytest.fixture
def disk(machine, images):
    serial = machine.add_disk(images(), read_only=True)
    yield serial
    machine.remove_disk(serial)


@pytest.mark.parametrize("variant", VARIANTS, ids=["-".join(variant) for variant in VARIANTS])
def test_every_kind_of_image(machine, images, variant):
    image = images(*variant)
    serial = machine.add_disk(image, read_only=True)
    answer = machine.call("volume.attach", id="v", volume=volume(image, serial))
    assert answer["type"] == "image_raw_block" and answer["fs_type"] == variant[0] and answer["device"].startswith("/dev/")
    assert [step["name"] for step in answer["steps"]][0] == "find the device"
    listed = machine.call("volume.list")["volumes"]
    assert [(v["id"], v["state"], v["size"]) for v in listed] == [("v", "ready", answer["size"])]
    assert machine.resources()["mappings"] == 1
    machine.call("volume.detach", id="v")
    # Without a file system type it is found.  Without a word about the superblock there is none: an image that has one does not verify.
    bare = volume(image, serial)
    del bare["fs_type"]
    assert machine.call("volume.attach", id="v", volume=bare)["fs_type"] == variant[0]
    machine.call("volume.detach", id="v")
    del bare["dm_verity"]["no_superblock"]
    if "--no-superblock" in variant:
        assert machine.call("volume.attach", id="v", volume=bare)["fs_type"] == variant[0]
        machine.call("volume.detach", id="v")
    else:
        with pytest.raises(Refused) as refused:
            machine.call("volume.attach", id="v", volume=bare)
        assert refused.value.name == "verity-failed"
    machine.remove_disk(serial)


def test_the_option_string(machine, images, disk):
    encoded = base64.b64encode(json.dumps(volume(images(), disk)).encode()).decode()
    for option in (encoded, "io.katacontainers.volume=" + encoded):
        machine.call("volume.attach", id="v", volume=option)
        machine.call("volume.detach", id="v")
    for wrong in ("", "io.katacontainers.volume=", encoded[:-1], encoded + "=", encoded[:-4] + "====", encoded.replace("e", "-", 1), "%%%%", base64.b64encode(b"{}").decode()):
        with pytest.raises(Refused) as refused:
            machine.call("volume.attach", id="v", volume=wrong)
        assert refused.value.name == "invalid-params" and refused.value.field.startswith("volume")


def test_a_device_by_its_path(machine, images, disk):
    device = machine.call("volume.attach", id="v", volume=volume(images(), disk))["device"]
    machine.call("volume.detach", id="v")
    by_path = volume(images(), disk)
    by_path["source"] = device
    assert machine.call("volume.attach", id="v", volume=by_path)["device"] == device
    machine.call("volume.detach", id="v")


WRONG_HASHES = {
    "root hash": lambda v: v["dm_verity"].update(hash="0" * 64),
    "salt": lambda v: v["dm_verity"].update(salt="abcd"),
    "a tree of other depth": lambda v: v["dm_verity"].update(blocknum=1),
    "hash type": lambda v: v["dm_verity"].update(hash_type=0),
    "superblock": lambda v: v["dm_verity"].update(no_superblock=True),
}


@pytest.mark.parametrize("change", WRONG_HASHES, ids=list(WRONG_HASHES))
def test_an_image_that_is_not_the_named_one(machine, images, disk, change):
    wrong = volume(images(), disk)
    WRONG_HASHES[change](wrong)
    with pytest.raises(Refused) as refused:
        machine.call("volume.attach", id="v", volume=wrong)
    assert refused.value.name == "verity-failed" and refused.value.step == "open with dm-verity", refused.value


FIELDS = [
    ("dm_verity.hash", "00"),
    ("dm_verity.hash", "0" * 63),
    ("dm_verity.hash", "g" * 64),
    ("dm_verity.hashtype", "md5"),
    ("dm_verity.hashtype", "SHA256 1 ignore_corruption"),
    ("dm_verity.salt", "ff 1 ignore_corruption"),
    ("dm_verity.salt", "f" * 1024),
    ("dm_verity.blocknum", 0),
    ("dm_verity.blocknum", 2**32),
    ("dm_verity.blocknum", -1),
    ("dm_verity.blocknum", 1.0),
    ("dm_verity.blocknum", "345"),
    ("dm_verity.blocksize", 0),
    ("dm_verity.blocksize", 1000),
    ("dm_verity.blocksize", 8192),
    ("dm_verity.hashsize", 3000),
    ("dm_verity.offset", 0),
    ("dm_verity.offset", 4097),
    ("dm_verity.offset", 4096),
    ("dm_verity.hash_type", 2),
    ("dm_verity.no_superblock", 1),
    ("dm_verity.ignore_corruption", True),
    ("fs_type", "xfs"),
    ("fs_type", "ext4,errors=panic"),
    ("options[0]", "rw"),
    ("options[1]", "dax"),
    ("source", ""),
    ("source", "/etc/passwd"),
    ("source", "serial:"),
    ("source", "/dev/mapper/control"),
    ("source", "/dev/../etc/passwd"),
    ("volume_type", ""),
    ("volume_type", "image_block"),
    ("nydus_image", {}),
    ("unknown", 1),
]


@pytest.mark.parametrize("field,value", FIELDS, ids=[f"{field}-{i}" for i, (field, _) in enumerate(FIELDS)])
def test_a_field_that_is_wrong_is_named(machine, images, field, value):
    wrong = volume(images(), "none")
    if field.startswith("options"):
        wrong["options"] = ["ro"] * int(field[8]) + [value]
    elif "." in field:
        wrong["dm_verity"][field.split(".")[1]] = value
    else:
        wrong[field] = value
    with pytest.raises(Refused) as refused:
        machine.call("volume.attach", id="v", volume=wrong)
    assert (refused.value.name, refused.value.field) == ("invalid-params", f"volume.{field}"), refused.value


@pytest.mark.parametrize("field", ["volume_type", "source", "dm_verity", "dm_verity.hash", "dm_verity.hashtype", "dm_verity.blocknum", "dm_verity.offset"])
def test_a_field_that_is_missing_is_named(machine, images, field):
    wrong = volume(images(), "none")
    where = wrong
    for key in field.split(".")[:-1]:
        where = where[key]
    del where[field.split(".")[-1]]
    with pytest.raises(Refused) as refused:
        machine.call("volume.attach", id="v", volume=wrong)
    # Without dm_verity it is a volume that nothing verifies.
    assert (refused.value.name, refused.value.field) == ("not-allowed" if field == "dm_verity" else "invalid-params", f"volume.{field}")


@pytest.mark.parametrize("kind", ["image_guest_pull"])
def test_other_types_are_refused_by_name(machine, kind):
    with pytest.raises(Refused) as refused:
        machine.call("volume.attach", id="v", volume={"volume_type": kind, "source": "/dev/vda", "fs_type": "ext4"})
    assert refused.value.name == "unsupported-volume" and kind in refused.value.message


def test_a_disk_that_never_comes(machine, images):
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        machine.call("volume.attach", id="v", volume=volume(images(), "never"), timeout_ms=300)
    assert refused.value.name == "no-device" and refused.value.step == "find the device"
    assert 0.3 <= time.monotonic() - began < 5


@pytest.mark.parametrize("delay", [0, 0.1, 0.7])
def test_a_disk_that_comes_later(machine, images, delay):
    """Hot-plugged while the request waits for it: no event between look and wait may be lost."""
    with machine.connect() as control:
        number = control.post("volume.attach", {"id": "v", "volume": volume(images(), f"late{delay}"), "timeout_ms": 20000})
        time.sleep(delay)
        machine.add_disk(images(), read_only=True, serial=f"late{delay}")
        assert control.answer(number)["id"] == "v"
    machine.call("volume.detach", id="v")
    machine.remove_disk(f"late{delay}")


def test_one_id_one_device(machine, images, disk):
    machine.call("volume.attach", id="v", volume=volume(images(), disk))
    with pytest.raises(Refused) as refused:
        machine.call("volume.attach", id="v", volume=volume(images(), disk))
    assert (refused.value.name, refused.value.field) == ("already-exists", "id")
    with pytest.raises(Refused) as refused:
        machine.call("volume.attach", id="w", volume=volume(images(), disk))
    assert refused.value.name in ("bad-device", "in-use")
    machine.call("volume.detach", id="v")


def test_the_same_disk_asked_for_many_times_at_once(machine, images, disk):
    """Exactly one wins, whatever the order."""
    with machine.connect() as control:
        posted = [control.post("volume.attach", {"id": f"v{i}", "volume": volume(images(), disk)}) for i in range(12)]
        won, names = 0, set()
        for number in posted:
            try:
                control.answer(number)
                won += 1
            except Refused as refused:
                names.add(refused.name)
    assert won == 1 and names <= {"bad-device", "in-use"}
    machine.call("volume.detach", id=machine.call("volume.list")["volumes"][0]["id"])


def test_two_disks_with_one_serial_are_ambiguous(machine, images, tmp_path):
    first = machine.add_disk(images(), read_only=True, serial="twin")
    # `coffer` refuses a serial twice, so the second one comes by QEMU's own monitor.
    qmp = pathlib.Path(machine.info["qmp"])
    if not qmp.exists():
        pytest.skip("no QMP socket is told")
    copy = tmp_path / "copy.img"
    shutil.copy(images(), copy)
    script = pathlib.Path(__file__).with_name("qmp.py")
    subprocess.run(["/usr/bin/python3", script, qmp, "add", copy, "twin"], check=True)
    try:
        time.sleep(1)  # nobody waits for this one to be seen
        with pytest.raises(Refused) as refused:
            machine.call("volume.attach", id="v", volume=volume(images(), "twin"), timeout_ms=1000)
        assert refused.value.name == "bad-device" and "two devices" in refused.value.message
    finally:
        subprocess.run(["/usr/bin/python3", script, qmp, "remove", copy, "twin"], check=True)
        machine.remove_disk(first)


def test_a_disk_that_is_too_small(machine, images, tmp_path):
    short = tmp_path / "short.img"
    short.write_bytes(images().read_bytes()[:65536])
    serial = machine.add_disk(short, read_only=True)
    with pytest.raises(Refused) as refused:
        machine.call("volume.attach", id="v", volume=volume(images(), serial))
    assert refused.value.name == "bad-device"
    machine.remove_disk(serial)


@pytest.mark.parametrize("what", ["first block", "tree"])
def test_a_flipped_byte_that_the_first_read_meets(machine, images, tmp_path, what):
    image = tmp_path / "bad.img"
    shutil.copy(images(), image)
    shutil.copy(f"{images()}.json", f"{image}.json")
    verity = json.loads(pathlib.Path(f"{image}.json").read_text())["dm_verity"]
    at = 1500 if what == "first block" else verity["offset"] + 4096 + 5
    with image.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x80]))
    serial = machine.add_disk(image, read_only=True)
    with pytest.raises(Refused) as refused:
        machine.call("volume.attach", id="v", volume=volume(image, serial))
    assert refused.value.name == "verity-failed"
    machine.remove_disk(serial)


def test_flipped_bytes_further_in_give_errors_and_never_wrong_data(machine, images, tmp_path):
    """Every tenth data block has a flipped byte: a file reads as it was built, or not at all."""
    good = images("squashfs")
    image = tmp_path / "bad.img"
    shutil.copy(good, image)
    shutil.copy(f"{good}.json", f"{image}.json")
    blocks = json.loads(pathlib.Path(f"{good}.json").read_text())["dm_verity"]["blocknum"]
    with image.open("r+b") as file:
        for block in range(5, blocks - 8, 10):
            file.seek(block * 4096 + 77)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 1]))
    pod = Pod(machine, good, tmp_path, size="1G")
    wanted = pod.sh("sha256sum /bin/busybox").split()[0]
    pod.machine.call("rootfs.remove", id="root")
    serial = machine.add_disk(image, read_only=True)
    machine.call("volume.attach", id="bad", volume=volume(image, serial))
    machine.call("rootfs.create", id="mixed", lower=["image"], scratch="scratch")
    machine.call("rootfs.create", id="root", lower=["bad", "image"], scratch="scratch")
    with pytest.raises((Refused, AssertionError)) as failure:
        # The program itself lies on broken blocks: it cannot be executed, or dies reading itself.
        assert pod.sh("sha256sum /bin/busybox").split()[0] == wanted
    assert wanted not in str(failure.value)
    machine.call("rootfs.remove", id="root")
    machine.call("rootfs.remove", id="mixed")
    machine.call("volume.detach", id="bad")
    machine.remove_disk(serial)
    machine.call("rootfs.create", id="root", lower=["image"], scratch="scratch")
    pod.close()


def test_in_use_until_nothing_stands_on_it(machine, images, tmp_path):
    pod = Pod(machine, images(), tmp_path)
    for method, name in (("volume.detach", "image"), ("scratch.remove", "scratch")):
        with pytest.raises(Refused) as refused:
            machine.call(method, id=name)
        assert refused.value.name == "in-use"
    name = pod.create("true")
    with pytest.raises(Refused) as refused:
        machine.call("rootfs.remove", id="root")
    assert refused.value.name == "in-use"
    pod.remove(name)
    pod.close()


def test_a_volume_stays_as_long_as_a_container_has_it(machine, images, tmp_path):
    pod = Pod(machine, images(), tmp_path)
    serial = machine.add_disk(images("squashfs"), read_only=True)
    machine.call("volume.attach", id="v", volume=volume(images("squashfs"), serial))
    binds = [{"source": f"/run/coffer/volume/v{inside}", "destination": f"/mnt{i}", "device": "bind", "flags": 4097} for i, inside in enumerate(("", "/etc", "/bin/sh"))]
    name = pod.start("sleep", "1000", config=config(mounts=config()["mounts"] + binds))
    assert [v["users"] for v in machine.call("volume.list")["volumes"] if v["id"] == "v"] == [1]
    with pytest.raises(Refused) as refused:
        machine.call("volume.detach", id="v")
    assert refused.value.name == "in-use"
    machine.call("container.exec", id=name, exec="e", process={"args": ["test", "-e", "/mnt1/os-release"]})
    assert machine.call("container.wait", id=name, exec="e") == {"exit_code": 0}
    pod.remove(name)
    machine.call("volume.detach", id="v")
    # One that is not there, and a scratch, by their names.
    for source, name in (("/run/coffer/volume/v", "not-found"), ("/run/coffer/scratch/none/x", "not-found")):
        with pytest.raises(Refused) as refused:
            pod.create("true", config=config(mounts=config()["mounts"] + [{"source": source, "destination": "/mnt", "device": "bind", "flags": 4096}]))
        assert (refused.value.name, refused.value.field) == (name, "config.mounts[6].source")
    machine.remove_disk(serial)
    pod.close()


def test_attach_and_detach_concurrently(machine, images):
    """Ten disks at once, five rounds: workers run side by side."""
    serials = [machine.add_disk(images(*variant), read_only=True) for variant in VARIANTS]
    for _ in range(3):
        failures = []

        def attach(index, variant, serial):
            try:
                with machine.connect() as control:
                    control.call("volume.attach", id=f"v{index}", volume=volume(images(*variant), serial))
                    control.call("volume.detach", id=f"v{index}")
            except Exception as failure:  # shown below: an assertion in a thread would be lost
                failures.append(failure)

        threads = [threading.Thread(target=attach, args=(i, v, s)) for i, (v, s) in enumerate(zip(VARIANTS, serials))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
    for serial in serials:
        machine.remove_disk(serial)
