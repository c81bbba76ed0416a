# SPDX-License-Identifier: GPL-2.0-or-later
"""Volumes that the guest makes for the containers of a pod, what is counted of volumes, and disks that grow under one."""

import subprocess

import pytest
from disks import run
from machine import BUILD, Machine, Pod, Refused, config
from test_faults import killed_at_every_record


@pytest.fixture(scope="module")
def machine(runtime):
    vm = Machine("shared", "--append", "coffer.plain_storage=allow", initrd=BUILD / "test" / "initramfs.cpio.zst")
    yield vm
    assert "Kernel panic" not in vm.console()
    vm.stop()


@pytest.fixture(autouse=True)
def nothing_left(machine, pod):
    before = machine.at_rest()
    yield
    for found in machine.call("volume.list")["volumes"]:
        if found["id"] != "image":
            machine.call("volume.detach", id=found["id"])
    machine.settles(before)


def on(*names, flags=4096, **changes):
    binds = [{"source": f"/run/coffer/volume/{name}", "destination": f"/{name}", "device": "bind", "flags": flags} for name in names]
    return config(mounts=config()["mounts"] + binds, **changes)


def refused(machine, method, **params):
    with pytest.raises(Refused) as info:
        machine.call(method, **params)
    return info.value.name, info.value.field


@pytest.mark.parametrize("made", [dict(type="tmpfs", size=1 << 20), dict(type="directory", scratch="scratch")], ids=["tmpfs", "directory"])
def test_two_containers_share_a_volume(machine, pod, made):
    answer = machine.call("volume.create", id="v", **made)
    assert (answer["type"], answer["size"]) == (made["type"], made.get("size", 0))
    first = pod.start("sleep", "1000", config=on("v"))
    pod.sh("test ! -e /v/file; echo shared > /v/file; sync", config=on("v"))
    machine.call("container.exec", id=first, exec="e", process={"args": ["grep", "-q", "shared", "/v/file"]})
    assert machine.call("container.wait", id=first, exec="e") == {"exit_code": 0}
    assert [v["users"] for v in machine.call("volume.list")["volumes"] if v["id"] == "v"] == [1]
    assert refused(machine, "volume.detach", id="v") == ("in-use", "")
    if made["type"] == "directory":
        assert refused(machine, "scratch.remove", id="scratch") == ("in-use", "")
    # Read-only for one, and the other still writes.
    out = pod.sh("(echo x > /v/file) 2>/dev/null || echo refused; cat /v/file", config=on("v", flags=4097))
    assert out == "refused\nshared\n"
    pod.remove(first)
    machine.call("volume.detach", id="v")
    # Nothing of it is in the next one of that name.
    machine.call("volume.create", id="v", **made)
    assert pod.sh("ls /v", config=on("v")) == ""


def test_owners_modes_and_limits(machine, pod):
    machine.call("volume.create", id="a", type="tmpfs", size=65536)
    machine.call("volume.create", id="b", type="tmpfs", size=8 << 20, mode=0o2750, uid=5, gid=6, noexec=True)
    machine.call("volume.create", id="c", type="directory", scratch="scratch", mode=0o1777, uid=7, gid=8)
    machine.call("volume.create", id="d", type="directory", scratch="scratch", noexec=True)
    out = pod.sh("stat -c '%u:%g %a' /a /b /c /d; (head -c 100000 /dev/zero > /a/f) 2>/dev/null || wc -c < /a/f", config=on("a", "b", "c", "d"))
    assert out.split("\n")[:5] == ["0:0 1777", "5:6 2750", "7:8 1777", "0:0 755", "65536"]
    out = pod.sh("for v in b d c; do cp /bin/busybox /$v/true; /$v/true 2>/dev/null && echo ran || echo no; done", config=on("b", "c", "d", capabilities=["CAP_DAC_OVERRIDE"]))
    assert out.split() == ["no", "no", "ran"]
    mounts = pod.sh("cat /proc/self/mounts", config=on("a", "c"))
    for line in mounts.splitlines():
        if line.split()[1] in ("/a", "/c"):
            assert {"nosuid", "nodev"} <= set(line.split()[3].split(",")), line


def test_what_is_refused(machine, pod):
    for params, field in [
        (dict(type="ramfs", size=4096), "type"),
        (dict(type="tmpfs"), "size"),
        (dict(type="tmpfs", size=4095), "size"),
        (dict(type="tmpfs", size=0), "size"),
        (dict(type="tmpfs", size=1 << 20, scratch="scratch"), "scratch"),
        (dict(type="tmpfs", size=1 << 20, mode=0o10000), "mode"),
        (dict(type="tmpfs", size=1 << 20, uid=4294967295), "uid"),
        (dict(type="tmpfs", size="1M"), "size"),
        (dict(type="directory"), "scratch"),
        (dict(type="directory", scratch="scratch", size=1 << 20), "size"),
        (dict(type="directory", scratch="../x"), "scratch"),
        (dict(type="directory", scratch="scratch", path="/x"), "path"),
        (dict(size=4096), "type"),
    ]:
        assert refused(machine, "volume.create", id="v", **params) == ("invalid-params", field), params
    assert refused(machine, "volume.create", id="v", type="directory", scratch="none") == ("not-found", "scratch")
    assert refused(machine, "volume.create", id="image", type="tmpfs", size=4096) == ("already-exists", "id")
    assert refused(machine, "volume.stats", id="none") == ("not-found", "id")
    assert refused(machine, "scratch.stats", id="none") == ("not-found", "id")


def test_stats(machine, pod):
    machine.call("volume.create", id="t", type="tmpfs", size=8 << 20)
    pod.sh("head -c 3000000 /dev/zero > /t/f; mkdir /t/d", config=on("t"))
    stats = machine.call("volume.stats", id="t")
    assert stats["size"] == 8 << 20 and 3000000 <= stats["used"] < 3100000 and stats["available"] == stats["size"] - stats["used"]
    assert stats["device"] is None and stats["files"] - stats["files_free"] >= 3
    before = machine.call("scratch.stats", id="scratch")
    pod.sh("head -c 5000000 /dev/urandom > /root/f; sync; cat /root/f > /dev/null; mv /root/f /root/g; sleep 1")
    assert machine.call("scratch.stats", id="scratch")["size"] == before["size"] > 3 << 30
    machine.call("volume.create", id="d", type="directory", scratch="scratch")
    pod.sh("head -c 5000000 /dev/urandom > /d/f; sync -f /d/f", config=on("d"))
    after = machine.call("volume.stats", id="d")
    assert after["used"] >= before["used"] + 5000000 and after["device"]["wbytes"] >= before["device"]["wbytes"] + 5000000
    assert after["device"]["wios"] > before["device"]["wios"]
    image = machine.call("volume.stats", id="image")
    assert image["available"] == 0 and image["device"]["rbytes"] > 0 and image["device"]["wbytes"] == 0


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_plain_disk_grows(machine, pod, tmp_path, kind):
    disk = tmp_path / "disk.img"
    run("truncate", "-s", "320M", disk)
    run(f"mkfs.{kind}", "-q", disk)
    serial = machine.add_disk(disk)
    machine.call("volume.attach", id="v", volume=dict(volume_type="direct_block", source=f"serial:{serial}", fs_type=kind))
    small = machine.call("volume.stats", id="v")["size"]
    pod.sh("echo kept > /v/f", config=on("v"))
    assert machine.call("volume.resize", id="v")["size"] == 320 << 20
    assert machine.call("volume.stats", id="v")["size"] == small
    subprocess.run([BUILD / "coffer", "disk", "resize", machine.name, serial, "700M"], check=True, capture_output=True)
    answer = machine.call("volume.resize", id="v")
    assert answer["size"] == 700 << 20
    assert machine.call("volume.stats", id="v")["size"] > small + (300 << 20)
    pod.sh("grep -q kept /v/f; dd if=/dev/zero of=/v/big bs=1M count=500 2>/dev/null; sync", config=on("v"))
    assert refused(machine, "volume.resize", id="v", key={"passphrase": "x" * 20}) == ("invalid-params", "key")
    assert refused(machine, "volume.resize", id="image")[0] == "unsupported-volume"
    machine.call("volume.detach", id="v")
    if kind == "ext4":
        run("e2fsck", "-fn", disk)
    machine.call("volume.attach", id="v", volume=dict(volume_type="direct_block", source=f"serial:{serial}", fs_type=kind, options=["ro"]))
    assert refused(machine, "volume.resize", id="v")[0] == "wrong-state"
    machine.call("volume.detach", id="v")
    machine.remove_disk(serial)


@pytest.mark.parametrize("made,records", [(dict(type="tmpfs", size=1 << 20), 3), (dict(type="directory", scratch="scratch"), 4)], ids=["tmpfs", "directory"])
def test_killed_at_every_record(machine, pod, made, records):
    killed_at_every_record(machine, records, lambda: machine.call("volume.create", id="v", **made), lambda: machine.call("volume.detach", id="v"))


def test_a_reading_that_dies_leaves_the_volume_alone(machine, pod):
    machine.call("volume.create", id="t", type="tmpfs", size=8 << 20)
    machine.call("test.fault", after=1)
    assert refused(machine, "volume.stats", id="t")[0] == "internal-error"
    assert machine.call("volume.stats", id="t")["size"] == 8 << 20
