# SPDX-License-Identifier: GPL-2.0-or-later
"""scratch.create with use=swap: what does not fit into memory comes back as it was, and is never on the disk as it was."""

import pytest
from machine import BUILD, Pod, Refused, config
from test_scratch import CIPHERS, MIB, data_of, sparse

MARKER = b"COFFER-SWAP-MARKER"
LIMITED = config(cgroups={"memory": 24 * MIB, "memory_swap": 96 * MIB}, readonly_paths=None)

# So many MiB of pages that are all different, changed and looked at in an order that no read-ahead guesses.
TOUCH = """
import random, sys
size, marker = int(sys.argv[1]) << 20, b"COFFER-SWAP-MARKER"
pages = bytearray(size)
count = size // 4096
def text(i, turn):
    return (marker + b" %08d %08d " % (i, turn)) * 100
for i in range(count):
    pages[i * 4096 : i * 4096 + 3700] = text(i, 0)
turns = [0] * count
rng = random.Random(7)
for turn in range(1, 3):
    for i in rng.sample(range(count), count // 16):
        assert pages[i * 4096 : i * 4096 + 3700] == text(i, turns[i]), i
        pages[i * 4096 : i * 4096 + 3700] = text(i, turn)
        turns[i] = turn
for i in range(count):
    assert pages[i * 4096 : i * 4096 + 3700] == text(i, turns[i]), i
print(open("/proc/swaps").read())
print("whole")
sys.stdout.flush()
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def pod(machine, images, tmp_path_factory):
    made = Pod(machine, images(archive=BUILD / "images" / "debian-python3.tar"), tmp_path_factory.mktemp("pod"))
    yield made
    made.close()


def swaps(pod):
    """The rows of /proc/swaps: name, type, size and use in KiB, priority."""
    return [line.split() for line in pod.sh("cat /proc/swaps").splitlines()[1:]]


@pytest.mark.parametrize("cipher,cluster,size", [(CIPHERS[0], 3, 40), (CIPHERS[0], 6, 30), (CIPHERS[1], 3, 30), (CIPHERS[2], 3, 30)])
def test_more_than_its_memory(machine, pod, tmp_path, cipher, cluster, size):
    """`cluster`: how far the kernel reads ahead in a swap, as a power of two.  It must not meet what was never written."""
    before, disk = machine.at_rest(), sparse(tmp_path / "s.img", "256M")
    errors = machine.console().count("AEAD ERROR")
    serial = machine.add_disk(disk)
    assert swaps(pod) == []
    answer = machine.call("scratch.create", id="swap", device={"serial": serial}, use="swap", cipher=cipher)
    assert (answer["use"], answer["cipher"], answer["written"] < 256 * 1024) == ("swap", cipher, True), answer
    assert [(s["id"], s["use"], s["cipher"]) for s in machine.call("scratch.list")["scratches"]][-1] == ("swap", "swap", cipher)
    assert [(int(whole), int(used), priority) for _, _, whole, used, priority in swaps(pod)] == [(answer["size"] // 1024 - 4, 0, "100")]
    pod.sh(f"echo {cluster} > /proc/sys/vm/page-cluster", config=LIMITED)

    name = pod.create("python3", "-c", TOUCH, str(size), config=LIMITED)
    with machine.stream(name, timeout=240) as stream:
        machine.call("container.start", id=name)
        out = b""
        while b"whole\n" not in out:
            channel, kind, data = stream.frame()
            assert kind == 0 and channel == 1, (channel, data, out)
            out += data
        assert int(out.split(b"\n")[1].split()[3]) > (size - 24) * 1024, out  # KiB that are out at this moment
        stats = machine.call("container.stats", id=name)["memory"]
        assert stats["swap"] > (size - 24) * MIB and stats["oom_kill"] == 0, stats
        with pytest.raises(Refused) as refused:
            machine.call("scratch.remove", id="swap")
        assert refused.value.name == "in-use"
        stream.end()
        stream.read_all()
    assert machine.call("container.wait", id=name) == {"exit_code": 0}
    pod.remove(name)

    machine.call("scratch.remove", id="swap")
    machine.settles(before)
    assert swaps(pod) == []
    raw = data_of(disk)
    assert len(raw) > (size - 24) * MIB and MARKER not in raw and b"SWAPSPACE2" not in raw
    assert machine.console().count("AEAD ERROR") == errors
    machine.remove_disk(serial)


def test_what_the_host_changes_kills_and_is_never_read(machine, pod, tmp_path):
    """A page that does not authenticate is not given to the process, which dies of it."""
    disk = sparse(tmp_path / "s.img", "256M")
    serial = machine.add_disk(disk)
    machine.call("scratch.create", id="swap", device={"serial": serial}, use="swap")
    script = "import sys; a = [b'%08d' % i * 512 for i in range(12288)]; print('filled', flush=True); sys.stdin.readline();" + (
        "sys.exit(0 if all(a[i] == b'%08d' % i * 512 for i in range(12288)) else 3)"
    )
    name = pod.create("python3", "-c", script, config=LIMITED)
    with machine.stream(name, timeout=240) as stream:
        machine.call("container.start", id=name)
        assert stream.frame()[2] == b"filled\n"
        with disk.open("r+b") as file:
            size = disk.stat().st_size
            for at in range(2 * MIB, size, 4096):
                file.seek(at)
                byte = file.read(1)
                if byte != b"\0":
                    file.seek(at)
                    file.write(bytes([byte[0] ^ 1]))
        stream.write(b"\n")
        stream.end()
        stream.read_all()
    end = machine.call("container.wait", id=name)
    assert end.get("signal") == 7, end  # SIGBUS: neither 0 nor 3
    pod.remove(name)
    machine.call("scratch.remove", id="swap")
    machine.remove_disk(serial)


def test_process_1_is_not_swapped_out(machine, pod, tmp_path):
    serial = machine.add_disk(sparse(tmp_path / "s.img", "64M"))
    machine.call("scratch.create", id="swap", device={"serial": serial}, use="swap")
    shared = config(namespaces=[{"type": kind} for kind in ("NEWNS", "NEWUTS", "NEWIPC", "NEWNET")])
    status = dict(line.split(":", 1) for line in pod.sh("cat /proc/1/status", config=shared).splitlines())
    assert status["Name"].strip() in ("coffer-agent", "init"), status["Name"]
    assert int(status["VmLck"].split()[0]) > int(status["VmRSS"].split()[0]) // 2, status
    machine.call("scratch.remove", id="swap")
    machine.remove_disk(serial)


def test_two_at_once(machine, pod, tmp_path):
    """One priority: the kernel writes to both in turn."""
    disks = [sparse(tmp_path / f"{i}.img", "128M") for i in range(2)]
    serials = [machine.add_disk(disk) for disk in disks]
    for i, serial in enumerate(serials):
        machine.call("scratch.create", id=f"swap{i}", device={"serial": serial}, use="swap")
    assert pod.run("python3", "-c", TOUCH, "32", config=LIMITED)[0] == 0
    for i, serial in enumerate(serials):
        machine.call("scratch.remove", id=f"swap{i}")
        machine.remove_disk(serial)
    assert all(len(data_of(disk)) > 2 * MIB for disk in disks)


def test_what_is_refused(machine, pod, tmp_path):
    before = machine.at_rest()
    serial = machine.add_disk(sparse(tmp_path / "s.img", "1T"))
    with pytest.raises(Refused) as refused:
        machine.call("scratch.create", id="swap", device={"serial": serial}, use="swap")
    assert refused.value.name == "bad-device" and "`size`" in refused.value.message
    machine.settles(before)
    answer = machine.call("scratch.create", id="swap", device={"serial": serial}, use="swap", size=64 * MIB)
    assert answer["disk_size"] == 64 * MIB
    for method, params, field in (
        ("rootfs.create", {"id": "r", "lower": ["image"], "scratch": "swap"}, "scratch"),
        ("volume.create", {"id": "v", "type": "directory", "scratch": "swap"}, "scratch"),
        ("scratch.stats", {"id": "swap"}, "id"),
    ):
        with pytest.raises(Refused) as refused:
            machine.call(method, **params)
        assert (refused.value.name, refused.value.field) == ("invalid-params", field), method
    machine.call("scratch.remove", id="swap")
    machine.settles(before)
    machine.remove_disk(serial)
