# SPDX-License-Identifier: GPL-2.0-or-later
"""What each key of a container's config does, seen from inside.  `keys` marks which keys a test is about; tests/vm/test_config.py
compares that with the list of all."""

import json
import re
import time

import pytest
from machine import MOUNTS, Refused, config

keys = pytest.mark.keys

NAMESPACES = config()["namespaces"]
BIND = {"source": "/run/coffer/volume/image", "destination": "/mnt", "device": "bind", "flags": 4096}
RDONLY, NOSUID, NODEV, NOEXEC, BINDING, REC = 1, 2, 4, 8, 4096, 16384
UNBINDABLE, PRIVATE, SLAVE, SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20


def refused(pod, field, name="invalid-params", process=None, **changes):
    with pytest.raises(Refused) as info:
        pod.remove(pod.create("true", config=config(**changes), **(process or {})))
    assert (info.value.name, info.value.field) == (name, field), info.value
    return info.value


def mountinfo(pod, **options):
    """{mount point: (options, optional fields, type)} of a container."""
    found = {}
    for line in pod.sh("cat /proc/self/mountinfo", **options).splitlines():
        before, after = line.split(" - ")
        words = before.split()
        found[words[4]] = (set(words[5].split(",")), words[6:], after.split()[0], set(after.split()[2].split(",")))
    return found


# ---- the root ----


@keys("no_pivot_root", "rootfs")
def test_the_root_is_the_requests_and_entered_by_pivot_root(pod):
    mounts = mountinfo(pod, config=config(no_pivot_root=True, rootfs="/anywhere/else"))
    assert mounts["/"][2] == "overlay" and "/run/coffer" not in " ".join(mounts)
    refused(pod, "config.rootfs", rootfs="not/absolute")


@keys("readonlyfs")
def test_a_read_only_root(pod):
    mounts = mountinfo(pod, config=config(readonlyfs=True))
    assert "ro" in mounts["/"][0] and "rw" in mounts["/dev/shm"][0]
    # What the agent makes in it is made before.
    assert pod.sh("pwd", config=config(readonlyfs=True), cwd="/made/for/this") == "/made/for/this\n"


@keys("rootPropagation")
@pytest.mark.parametrize("flags,field", [(0, ""), (SLAVE | REC, ""), (PRIVATE | REC, ""), (SHARED | REC, "shared:"), (UNBINDABLE, "unbindable")])
def test_propagation_of_the_root(pod, flags, field):
    optional = mountinfo(pod, config=config(rootPropagation=flags))["/"][1]
    assert any(word.startswith(field) for word in optional) if field else optional == []


def test_propagation_that_is_none(pod):
    refused(pod, "config.rootPropagation", rootPropagation=SHARED | PRIVATE)
    refused(pod, "config.rootPropagation", rootPropagation=1)


@keys("mask_paths", "readonly_paths")
def test_masks(pod):
    out = pod.sh(
        "wc -c < /proc/kcore; stat -c %t:%T /proc/kcore; ls -A /sys/firmware | wc -l; cat /etc/os-release | wc -c; ! echo 1 2>/dev/null > /proc/sys/kernel/printk; ! touch /etc/x 2>/dev/null",
        config=config(mask_paths=["/proc/kcore", "/sys/firmware", "/etc/os-release", "/not/there"], readonly_paths=["/proc/sys", "/etc", "/not/there"], capabilities=["CAP_SYS_ADMIN"]),
    )
    assert out.split() == ["0", "1:3", "0", "0"]


# ---- mounts ----


@keys("mounts[].source", "mounts[].destination", "mounts[].device", "mounts[].flags", "mounts[].data")
def test_a_mount_of_each_kind(pod):
    extra = [
        {"source": "mine", "destination": "/new/tmp", "device": "tmpfs", "flags": NOSUID | NODEV | NOEXEC, "data": "size=4096k,mode=711"},
        {**BIND, "flags": BINDING | RDONLY | NOSUID | NOEXEC},
        {"source": "cgroup", "destination": "/sys/fs/cgroup", "device": "cgroup", "flags": 2097167},
        # Of a volume that could be written to.
        {**BIND, "source": "/run/coffer/scratch/scratch", "destination": "/scratch-read", "flags": BINDING | RDONLY},
        {**BIND, "source": "/run/coffer/scratch/scratch", "destination": "/scratch-write"},
    ]
    mounts = mountinfo(pod, config=config(mounts=MOUNTS + extra))
    assert [mounts[place][2] for place in ("/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys")] == ["proc", "tmpfs", "devpts", "tmpfs", "mqueue", "sysfs"]
    assert {"nosuid", "nodev", "noexec"} <= mounts["/new/tmp"][0] and {"size=4096k", "mode=711"} <= mounts["/new/tmp"][3]
    assert {"ro", "nosuid", "nodev", "noexec"} <= mounts["/mnt"][0]
    assert "ro" in mounts["/scratch-read"][0] and "rw" in mounts["/scratch-write"][0]
    assert mounts["/sys/fs/cgroup"][2] == "cgroup2" and "ro" in mounts["/sys/fs/cgroup"][0]
    assert "ID=coffer-test" in pod.sh("cat /mnt/etc/os-release", config=config(mounts=MOUNTS + extra))


def test_a_container_sees_its_own_cgroup_alone(pod):
    """Without a namespace of cgroups it is shown its own, and cannot write to it; with one it cannot lift its own limits."""
    own = {"source": "cgroup", "destination": "/sys/fs/cgroup", "device": "cgroup", "flags": RDONLY | NOSUID}
    limit = {"pids_limit": 77}
    out = pod.sh("cat /sys/fs/cgroup/pids.max; ls -d /sys/fs/cgroup/coffer 2>/dev/null | wc -l; ! echo max 2>/dev/null > /sys/fs/cgroup/pids.max", config=config(mounts=MOUNTS + [own], cgroups=limit, capabilities=["CAP_SYS_ADMIN"]))
    assert out.split() == ["77", "0"]
    refused(pod, "config.mounts[6]", "container-failed", mounts=MOUNTS + [{**own, "flags": NOSUID}])
    out = pod.sh(
        "echo max 2>/dev/null > /sys/fs/cgroup/pids.max || echo held; cat /proc/self/cgroup; mkdir /sys/fs/cgroup/sub && echo made",
        config=config(mounts=MOUNTS + [{**own, "flags": NOSUID}], cgroups=limit, namespaces=NAMESPACES + [{"type": "NEWCGROUP"}]),
    )
    assert out.split() == ["held", "0::/", "made"]


@keys("mounts[].propagation_flags")
def test_propagation_of_a_mount(pod):
    mounts = mountinfo(pod, config=config(mounts=MOUNTS + [{**BIND, "propagation_flags": [SHARED]}, {**BIND, "destination": "/mnt2", "propagation_flags": [SHARED, UNBINDABLE | REC]}]))
    assert any(word.startswith("shared:") for word in mounts["/mnt"][1]) and "unbindable" in mounts["/mnt2"][1]
    refused(pod, "config.mounts[6].propagation_flags[0]", mounts=MOUNTS + [{**BIND, "propagation_flags": [1]}])


@keys("mounts[].extensions")
def test_a_tmpfs_that_keeps_what_it_covers(pod):
    covered = {"source": "tmpfs", "destination": "/etc", "device": "tmpfs", "flags": 0, "extensions": 1}
    out = pod.sh("cat /etc/os-release; stat -f -c %T /etc; stat -c '%a %u' /etc/passwd /etc; echo new > /etc/os-release", config=config(mounts=MOUNTS + [covered]))
    assert "ID=coffer-test" in out and "tmpfs" in out and out.count("644 0") == 1 and "755 0" in out
    assert "ID=coffer-test" in pod.sh("cat /etc/os-release")  # the root below is as it was
    empty = {**covered, "extensions": 0}
    assert pod.sh("ls -A /etc | wc -l; stat -c %a /etc", config=config(mounts=MOUNTS + [empty])).split() == ["0", "755"]
    refused(pod, "config.mounts[6].extensions", mounts=MOUNTS + [{**BIND, "extensions": 1}])


@keys("mounts[].cleared_flags", "mounts[].rec_attr.Attr_set", "mounts[].rec_attr.Attr_clr", "mounts[].rec_attr.Propagation")
def test_attributes_of_mounts(pod):
    mounts = mountinfo(pod, config=config(mounts=MOUNTS + [{**BIND, "cleared_flags": NOSUID | NOEXEC}, {**BIND, "destination": "/mnt2", "rec_attr": {"Attr_set": NOEXEC, "Attr_clr": 0, "Propagation": SHARED}}]))
    plain = mountinfo(pod, config=config(mounts=MOUNTS + [BIND]))
    assert "nosuid" in plain["/mnt"][0] and "nosuid" not in mounts["/mnt"][0]
    assert "noexec" in mounts["/mnt2"][0] and any(word.startswith("shared:") for word in mounts["/mnt2"][1])
    mounts = mountinfo(pod, config=config(mounts=MOUNTS + [{**BIND, "rec_attr": {"Attr_clr": NOSUID}}]))
    assert "nosuid" not in mounts["/mnt"][0]
    refused(pod, "config.mounts[6].cleared_flags", "unsupported-field", mounts=MOUNTS + [{**BIND, "cleared_flags": NODEV}])


# ---- devices ----


@keys("devices[].type", "devices[].path", "devices[].major", "devices[].minor", "devices[].file_mode", "devices[].uid", "devices[].gid", "devices[].permissions", "devices[].allow")
def test_device_nodes(pod):
    devices = [
        {"type": 99, "path": "/dev/null", "major": 1, "minor": 3, "permissions": "rwm", "file_mode": 0o666, "allow": True},
        {"type": 99, "path": "/dev/deep/mem", "major": 1, "minor": 1, "permissions": "rwm", "file_mode": 0o640, "uid": 3, "gid": 4, "allow": True},
        {"type": 98, "path": "/dev/disk", "major": 253, "minor": 0, "file_mode": 0o600},
        {"type": 112, "path": "/dev/pipe", "file_mode": 0o622},
    ]
    out = pod.sh("cd /dev; stat -c '%n %F %t:%T %a %u %g' null deep/mem disk pipe; ls zero 2>/dev/null || true; head -c1 deep/mem 2>&1 || true", config=config(devices=devices, capabilities=["CAP_DAC_OVERRIDE", "CAP_SYS_RAWIO"]))
    assert out.splitlines()[:4] == [
        "null character special file 1:3 666 0 0",
        "deep/mem character special file 1:1 640 3 4",
        "disk block special file fd:0 600 0 0",
        "pipe fifo 0:0 622 0 0",
    ]
    assert "zero" not in out and "Operation not permitted" in out  # a node is no right to open it
    refused(pod, "config.devices[0].type", devices=[{"type": 105, "path": "/dev/x"}])


# ---- names and namespaces ----


@keys("hostname", "domainname")
def test_names(pod):
    assert pod.sh("hostname; cat /proc/sys/kernel/domainname", config=config(hostname="one", domainname="two.example")).split() == ["one", "two.example"]
    refused(pod, "config.domainname", hostname=None, domainname="x", namespaces=[{"type": "NEWNS"}])


def links(pod, **options):
    """The namespaces of a container that lives on (numbers of those that have gone are given again), and its name."""
    name = pod.start("sleep", "1000", stdio="null", **options)
    return name, dict(re.findall(r"(\w+) -> \w+:\[(\d+)\]", execute(pod, name, "ls -l /proc/self/ns")))


def execute(pod, name, script):
    pod.machine.call("container.exec", id=name, exec="look", process={"args": ["sh", "-c", script]})
    with pod.machine.stream(name, "look") as stream:
        out = stream.read_all()[0].decode()
    pod.machine.call("container.wait", id=name, exec="look")
    return out


@keys("namespaces[].type")
def test_new_namespaces(pod):
    """What is named is new; what is not named is shared with the agent, so the same for two containers."""
    everything = NAMESPACES + [{"type": "NEWCGROUP"}, {"type": "NEWTIME"}]
    (first, one), (second, two) = (links(pod, config=config(namespaces=everything)) for _ in range(2))
    pod.remove(first), pod.remove(second)
    assert all(one[name] != two[name] for name in ("mnt", "pid", "uts", "ipc", "net", "cgroup", "time")), (one, two)
    (first, one), (second, two) = (links(pod, config=config(hostname=None, namespaces=[{"type": "NEWNS"}, {"type": "NEWPID"}])) for _ in range(2))
    pod.remove(first), pod.remove(second)
    assert all(one[name] == two[name] for name in ("uts", "ipc", "net", "cgroup", "time")) and one["mnt"] != two["mnt"]
    refused(pod, "config.namespaces[1].type", hostname=None, namespaces=[{"type": "NEWNS"}, {"type": "NEWEVERYTHING"}])
    refused(pod, "config.namespaces[1].type", hostname=None, namespaces=[{"type": "NEWNS"}, {"type": "NEWNS"}])


@keys("namespaces[].path")
def test_joined_namespaces(pod):
    first = pod.start("sh", "-c", "hostname first; exec sleep 1000", config=config(namespaces=NAMESPACES + [{"type": "NEWTIME"}], capabilities=["CAP_SYS_ADMIN"]), stdio="null")
    pid = {c["id"]: c["pid"] for c in pod.machine.call("container.list")["containers"]}[first]

    def joined(path):
        kinds = {"NEWPID": "pid", "NEWUTS": "uts", "NEWIPC": "ipc", "NEWNET": "net", "NEWTIME": "time"}
        return [{"type": "NEWNS"}] + [{"type": kind, "path": path + name} for kind, name in kinds.items()]

    for path in (f"/proc/{pid}/ns/", f"/run/coffer/container/{first}/ns/"):
        look = "hostname; ps | grep -c 'sleep 100[0]'; cd /proc/self/ns; for n in net pid uts ipc time; do readlink $n; done"
        assert pod.sh(look, config=config(hostname=None, namespaces=joined(path))) == execute(pod, first, look)
    held = pod.start("sleep", "1000", config=config(hostname=None, namespaces=joined(f"/proc/{pid}/ns/")), stdio="null")
    with pytest.raises(Refused) as info:
        pod.machine.call("container.remove", id=first, force=True)
    assert info.value.name == "in-use"
    pod.remove(held)
    for path, name in ((f"/proc/{pid}/ns/uts", "invalid-params"), ("/proc/1/ns/net", "invalid-params"), ("/proc/self/ns/net", "invalid-params"), ("/run/netns/x", "invalid-params"), ("/run/coffer/container/nobody/ns/net", "not-found"), ("/proc/2/ns/net", "not-found"), (f"/proc/{pid}/ns/net/../../1/ns/net", "invalid-params")):
        refused(pod, "config.namespaces[1].path", name, hostname=None, namespaces=[{"type": "NEWNS"}, {"type": "NEWNET", "path": path}])
    refused(pod, "config.namespaces[0].path", "unsupported-field", hostname=None, namespaces=[{"type": "NEWNS", "path": f"/proc/{pid}/ns/mnt"}])
    pod.machine.call("container.signal", id=first, signal=9)
    pod.machine.call("container.wait", id=first)
    refused(pod, "config.namespaces[1].path", "wrong-state", hostname=None, namespaces=[{"type": "NEWNS"}, {"type": "NEWNET", "path": f"/run/coffer/container/{first}/ns/net"}])
    pod.remove(first)


def test_a_shared_pid_namespace_leaves_nobody_behind(pod):
    """The first process ends; what it has started in a namespace that is not its own ends too."""
    before = pod.machine.at_rest()
    name = pod.start("sh", "-c", "sleep 1000 & sleep 1000 & exit 0", config=config(namespaces=[n for n in NAMESPACES if n["type"] != "NEWPID"]), stdio="null")
    pod.machine.call("container.wait", id=name)
    deadline = time.monotonic() + 5
    while pod.machine.resources()["processes"] > before["processes"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert pod.machine.resources()["processes"] == before["processes"]
    pod.remove(name)


MAPS = {"uid_mappings": [{"container_id": 0, "host_id": 100000, "size": 65536}], "gid_mappings": [{"container_id": 0, "host_id": 200000, "size": 1000}, {"container_id": 1000, "host_id": 300000, "size": 10}]}


@keys("uid_mappings[].container_id", "uid_mappings[].host_id", "uid_mappings[].size", "gid_mappings[].container_id", "gid_mappings[].host_id", "gid_mappings[].size")
def test_a_user_namespace(pod):
    user = config(namespaces=NAMESPACES + [{"type": "NEWUSER"}], capabilities=["CAP_SYS_ADMIN", "CAP_CHOWN", "CAP_SETUID"], **MAPS)
    out = pod.sh("id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map; stat -c '%u' /etc/passwd; touch /dev/shm/x; stat -c '%u %g' /dev/shm/x; echo > /dev/null; head -c 3 /dev/zero | wc -c; hostname more && hostname", config=user)
    lines = [line.split() for line in out.splitlines()]
    assert lines == [["0"], ["0"], ["0", "100000", "65536"], ["0", "200000", "1000"], ["1000", "300000", "10"], ["65534"], ["0", "0"], ["3"], ["more"]]
    # Its root is nobody to the VM.
    code, _, err = pod.run("sh", "-c", "echo x > /etc/passwd; mknod /tmp/null c 1 3; mount -t tmpfs x /tmp && echo mounted; cat /proc/sysrq-trigger", config=user)
    assert "can't create /etc/passwd" in err and "mknod" in err, err
    name = pod.start("sleep", "1000", config=user, stdio="null")
    pod.machine.call("container.exec", id=name, exec="e", process={"args": ["sh", "-c", "cat /proc/self/uid_map; id -u; grep CapEff /proc/self/status"]})
    with pod.machine.stream(name, "e") as stream:
        out = stream.read_all()[0].decode().split()
    assert out[:4] == ["0", "100000", "65536", "0"] and int(out[5], 16) == 1 << 21 | 1 << 0 | 1 << 7
    # A container of the same pod: the user namespace joined, with and without the pid namespace.
    path = f"/run/coffer/container/{name}/ns/"
    for more in ([], [{"type": "NEWPID", "path": path + "pid"}], [{"type": "NEWPID"}]):
        joined = config(hostname=None, namespaces=[{"type": "NEWNS"}, {"type": "NEWUSER", "path": path + "user"}, {"type": "NEWIPC", "path": path + "ipc"}, {"type": "NEWNET", "path": path + "net"}, {"type": "NEWUTS", "path": path + "uts"}] + (more or [{"type": "NEWPID"}]))
        assert pod.sh("cat /proc/self/uid_map; id -u", config=joined).split() == ["0", "100000", "65536", "0"]
    pod.machine.call("container.wait", id=name, exec="e")
    pod.remove(name)


def test_mappings_that_say_nothing_useful(pod):
    refused(pod, "config.uid_mappings", namespaces=NAMESPACES, **MAPS)
    refused(pod, "config.gid_mappings", namespaces=NAMESPACES + [{"type": "NEWUSER"}], uid_mappings=MAPS["uid_mappings"])
    refused(pod, "config.uid_mappings[0].size", namespaces=NAMESPACES + [{"type": "NEWUSER"}], uid_mappings=[{"container_id": 0, "host_id": 4294967290, "size": 100}], gid_mappings=MAPS["gid_mappings"])
    twice = {"uid_mappings": MAPS["uid_mappings"] * 2, "gid_mappings": MAPS["gid_mappings"]}
    refused(pod, "config.uid_mappings", "container-failed", namespaces=NAMESPACES + [{"type": "NEWUSER"}], **twice)


@keys("time_offsets.monotonic.secs", "time_offsets.monotonic.nanosecs", "time_offsets.boottime.secs", "time_offsets.boottime.nanosecs")
def test_time_offsets(pod):
    offsets = {"monotonic": {"secs": 1000000, "nanosecs": 5}, "boottime": {"secs": 864000, "nanosecs": 6}}
    out = pod.sh("cut -d. -f1 /proc/uptime; tr -s ' ' < /proc/self/timens_offsets", config=config(namespaces=NAMESPACES + [{"type": "NEWTIME"}], time_offsets=offsets))
    lines = out.splitlines()
    assert 864000 <= int(lines[0]) < 870000 and lines[1:] == ["monotonic 1000000 5", "boottime 864000 6"]
    refused(pod, "config.time_offsets", time_offsets=offsets)


# ---- networks ----


@keys("networks[].type")
def test_loopback(pod):
    out = pod.sh("ip -o addr show; ip -o link | wc -l", config=config(networks=[{"type": "loopback", "address": "127.0.0.1/0", "gateway": "localhost"}]))
    assert "127.0.0.1/8" in out and "::1/128" in out and out.endswith("1\n")
    refused(pod, "config.networks[0].type", networks=[{"type": "macvlan", "name": "eth0"}])
    refused(pod, "config.networks", hostname=None, namespaces=[{"type": "NEWNS"}], networks=[{"type": "loopback"}])


def veth(number, **changes):
    return {
        "type": "veth",
        "name": "eth0",
        "bridge": "pod0",
        "mac_address": f"02:00:00:00:00:{number:02x}",
        "address": f"10.9.8.{number}/24",
        "gateway": "10.9.8.1",
        "ipv6_address": f"fd00:9::{number:x}/64",
        "ipv6_gateway": "fd00:9::1",
        "mtu": 1400,
        "txqueuelen": 77,
        "host_interface_name": f"port{number}",
        "hairpin_mode": True,
        **changes,
    }


@keys(*(f"networks[].{key}" for key in ("name", "bridge", "mac_address", "address", "gateway", "ipv6_address", "ipv6_gateway", "mtu", "txqueuelen", "host_interface_name", "hairpin_mode")))
def test_containers_on_a_bridge(pod):
    """The agent's end of it is seen from a container that shares the agent's network namespace."""
    before = pod.machine.at_rest()
    show = config(hostname=None, namespaces=[{"type": "NEWNS"}, {"type": "NEWPID"}])
    assert pod.sh("ip -o link | wc -l", config=show) == "1\n"
    names = [pod.start("sh", "-c", "nc -l -p 7000 -e cat & exec sleep 1000", config=config(networks=[veth(number)]), stdio="null") for number in (2, 3)]
    out = pod.sh("ip -o link; cat /sys/class/net/port2/brport/hairpin_mode; ls /sys/class/net/pod0/brif", config=show)
    assert re.search(r"port2@.* mtu 1400 .*master pod0 .*qlen 77", out) and re.search(r"pod0: .*UP", out), out
    assert out.split()[-3:] == ["1", "port2", "port3"]
    out = pod.sh("ip -o addr show eth0; ip link show eth0; ip route; ip -6 route; ping -c 1 -w 5 10.9.8.2; ping6 -c 1 -w 5 fd00:9::3; echo hello | nc -w 3 10.9.8.3 7000", config=config(networks=[veth(4)], capabilities=["CAP_NET_RAW"]))
    assert "10.9.8.4/24" in out and "fd00:9::4/64" in out and not re.search("fd00.*tentative", out)
    assert "mtu 1400" in out and "qlen 77" in out and "link/ether 02:00:00:00:00:04" in out
    assert "default via 10.9.8.1 dev eth0" in out and "default via fd00:9::1 dev eth0" in out
    assert out.count("1 packets received") == 2 and out.endswith("hello\n"), out
    # A bridge of another's name is another net; a port's name that is taken is an error that leaves nothing.
    refused(pod, "config.networks[0]", "container-failed", networks=[veth(5, host_interface_name="port2")])
    for name in names:
        pod.remove(name)
    assert pod.sh("ip -o link | wc -l", config=show) == "1\n"
    pod.machine.settles(before)


@pytest.mark.parametrize("key,value", [("name", ""), ("name", "much-too-long-a-name"), ("name", "a/b"), ("bridge", "a b"), ("mac_address", "02:00:00:00:00"), ("mac_address", "03:00:00:00:00:01"), ("address", "10.0.0.1"), ("address", "10.0.0.1/33"), ("address", "fd00::1/64"), ("gateway", "localhost"), ("gateway", "10.0.0.1/24"), ("ipv6_address", "10.0.0.1/8"), ("ipv6_gateway", "::1/64"), ("mtu", 67), ("mtu", 65536), ("txqueuelen", -1), ("hairpin_mode", 1)])
def test_networks_that_make_no_sense(pod, key, value):
    refused(pod, f"config.networks[0].{key}", networks=[veth(2, **{key: value})])


@keys("routes[].destination", "routes[].source", "routes[].gateway", "routes[].interface_name")
def test_routes(pod):
    routes = [
        {"destination": "192.168.7.0/24", "source": "10.9.8.4", "gateway": "10.9.8.1", "interface_name": "eth0"},
        {"destination": "192.168.9.0/24", "interface_name": "eth0"},
        {"gateway": "10.9.8.99"},
        {"destination": "fd77::/32", "gateway": "fd00:9::1", "interface_name": "eth0"},
    ]
    out = pod.sh("ip route; ip -6 route", config=config(networks=[veth(4, gateway="", host_interface_name="")], routes=routes))
    assert "192.168.7.0/24 via 10.9.8.1 dev eth0  src 10.9.8.4" in out and "192.168.9.0/24 dev eth0 scope link" in out
    assert "default via 10.9.8.99 dev eth0" in out and "fd77::/32 via fd00:9::1 dev eth0" in out
    for field, row in (("destination", {"destination": "x"}), ("gateway", {"destination": "10.0.0.0/8", "gateway": "fd00::1"}), ("source", {"source": "10.0.0.0/8"}), ("destination", {"interface_name": "lo"}), ("interface_name", {"gateway": "10.0.0.1", "interface_name": "a/b"})):
        refused(pod, f"config.routes[0].{field}", routes=[row])
    refused(pod, "config.routes[0]", "container-failed", routes=[{"gateway": "10.0.0.1"}])  # no interface leads there


# ---- what a process may do ----


@keys("capabilities", "capabilities.Bounding", "capabilities.Effective", "capabilities.Permitted", "capabilities.Inheritable", "capabilities.Ambient", "no_new_privileges")
def test_capabilities(pod):
    sets = {"Bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"], "Permitted": ["CAP_KILL", "CAP_CHOWN"], "Effective": ["CAP_CHOWN"], "Inheritable": ["CAP_KILL"], "Ambient": ["CAP_KILL"]}
    for wanted, uid, masks in ((["CAP_CHOWN"], 0, [0, 1, 1, 1, 0]), (sets, 7, [0x20, 0x20, 0x20, 0xA1, 0x20]), (None, 0, [0] * 5)):
        out = pod.sh("grep -E 'Cap|NoNew' /proc/self/status", config=config(capabilities=wanted, no_new_privileges=bool(uid)), uid=uid)
        found = dict(re.findall(r"(\w+):\s+(\w+)", out))
        assert [int(found[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == masks and found["NoNewPrivs"] == str(int(bool(uid)))


@keys("rlimits[].type", "rlimits[].hard", "rlimits[].soft", "oom_score_adj", "umask")
def test_limits_score_and_mask(pod):
    out = pod.sh("ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; umask", config=config(rlimits=[{"type": 7, "hard": 100000, "soft": 99999}, {"type": 4, "hard": 0, "soft": 0}], oom_score_adj=77, umask=0o27))
    assert out.split() == ["99999", "100000", "0", "77", "0027"]
    assert pod.sh("umask", config=config(umask=0o27), umask=0o7) == "0007\n"
    assert pod.sh("cat /proc/self/oom_score_adj") == "0\n"
    refused(pod, "config.rlimits[0].soft", rlimits=[{"type": 7, "hard": 1, "soft": 2}])
    refused(pod, "config.rlimits[0].type", rlimits=[{"type": 16, "hard": 1, "soft": 1}])
    # Also below a user namespace, where the process itself could not.
    user = config(namespaces=NAMESPACES + [{"type": "NEWUSER"}], rlimits=[{"type": 7, "hard": 200000, "soft": 200000}], **MAPS)
    assert pod.sh("ulimit -n", config=user) == "200000\n"


@keys("sysctl")
def test_kernel_parameters(pod):
    wanted = {"net.core.somaxconn": "257", "net/ipv4/ip_forward": "1", "kernel.msgmax": "9000", "kernel.sem": "250 32000 100 200", "fs.mqueue.queues_max": "33", "kernel.domainname": "x.example"}
    out = pod.sh("cd /proc/sys; cat net/core/somaxconn net/ipv4/ip_forward kernel/msgmax kernel/sem fs/mqueue/queues_max kernel/domainname", config=config(sysctl=wanted))
    assert out.split() == ["257", "1", "9000", "250", "32000", "100", "200", "33", "x.example"]
    with pytest.raises(Refused) as info:
        pod.create("true", config=config(sysctl={"net.core.not_there": "1"}))
    assert (info.value.field, info.value.errno) == ("config.sysctl.net.core.not_there", 2)
    assert pod.sh("cat /proc/sys/net/core/somaxconn") != "257\n"


@pytest.mark.parametrize("key", ["kernel.core_pattern", "vm.swappiness", "kernel.hostname", "net/../kernel/core_pattern", "net..x", "", "/net/core/somaxconn", "kernel/shm_rmid_forced+x", "net.", "kernel.shm_rmid_forced/../x", "user.max_user_namespaces", "net.core/../../kernel/core_pattern", "net core"])
def test_kernel_parameters_of_the_vm(pod, key):
    """CVE-2022-0811: what is not of a namespace of the container's own is not written, however it is spelt."""
    refused(pod, f"config.sysctl.{key}", sysctl={key: "1"})


def test_kernel_parameters_without_their_namespace(pod):
    for key in ("net.core.somaxconn", "kernel.msgmax", "fs.mqueue.queues_max", "kernel.domainname"):
        refused(pod, f"config.sysctl.{key}", hostname=None, namespaces=[{"type": "NEWNS"}], sysctl={key: "1"})
    refused(pod, "config.sysctl.net.core.somaxconn", sysctl={"net.core.somaxconn": "1\n2"})


@keys("apparmor_profile")
def test_apparmor(pod):
    assert pod.sh("cat /proc/self/attr/apparmor/current", config=config(apparmor_profile="unconfined")) == "unconfined\n"
    refused(pod, "config.apparmor_profile", "container-failed", apparmor_profile="no-such-profile")


@keys("no_new_keyring")
def test_keyrings(pod):
    open_keys = {"mask_paths": [], "readonly_paths": []}
    name = pod.create("cat", "/proc/keys", config=config(**open_keys))
    with pod.machine.stream(name) as stream:
        pod.machine.call("container.start", id=name)
        assert f"_ses.{name}" in stream.read_all()[0].decode()
    pod.remove(name)
    assert "no keyring of its own" in pod.sh(f"grep -q _ses.c{int(name[1:]) + 1} /proc/keys || echo no keyring of its own", config=config(no_new_keyring=True, **open_keys))


# ---- system calls ----

ALLOW, ERRNO, KILL, TRAP, TRACE, LOG, KILL_THREAD, KILL_PROCESS = 4, 2, 1, 3, 5, 6, 8, 9


def filtered(*rules, default=ALLOW, **more):
    return config(seccomp={"default_action": default, "architectures": ["amd64", "x86", "x32"], "syscalls": list(rules), **more}, no_new_privileges=True)


def rule(name, action, *args, **more):
    return {"name": name, "action": action, "args": [dict(zip(("index", "value", "value_two", "op"), arg)) for arg in args], **more}


@keys("seccomp.default_action", "seccomp.architectures", "seccomp.syscalls[].name", "seccomp.syscalls[].action")
@pytest.mark.parametrize("action,code", [(ERRNO, 1), (KILL, 159), (TRAP, 159), (TRACE, 1), (LOG, 0), (KILL_THREAD, 159), (KILL_PROCESS, 159)])
def test_seccomp_actions(pod, action, code):
    """In a child of the first process, which would not get signals.  TRACE without a tracer is ENOSYS."""
    out = pod.sh("grep Seccomp: /proc/self/status; code=0; sh -c 'mkdir /tmp/seccomp-x; exit $?' 2>/dev/null || code=$?; echo $code; rmdir /tmp/seccomp-x 2>/dev/null || true", config=filtered(rule("mkdir", action), rule("mkdirat", action)))
    lines = out.split()
    assert lines[1] == "2" and int(lines[2]) == code, out


def test_seccomp_allow_list(pod):
    """Everything but what is named fails; a name that this kernel's library does not know takes nothing away."""
    names = "read write rt_sigreturn close fstat newfstatat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask ioctl access execve uname fcntl getcwd readlink getuid getgid geteuid getegid getppid getpgrp arch_prctl set_tid_address exit_group openat set_robust_list prlimit64 getrandom rseq dup2 fork vfork clone wait4 exit prctl setpgid pipe pipe2 stat lstat open poll clone3 kill getpid gettid".split()
    allowed = [rule(name, ALLOW) for name in names] + [rule("not_a_system_call", ALLOW)]
    code, out, err = pod.run("sh", "-c", "echo alive; mkdir /tmp/y; echo $?; ln -s a /tmp/z; echo $?", config=filtered(*allowed, default=ERRNO, default_errno_ret=38))
    assert out.split() == ["alive", "1", "1"] and err.count("Function not implemented") == 2, (out, err)


@keys("seccomp.syscalls[].args[].index", "seccomp.syscalls[].args[].value", "seccomp.syscalls[].args[].value_two", "seccomp.syscalls[].args[].op", "seccomp.syscalls[].errnoRet", "seccomp.default_errno_ret")
@pytest.mark.parametrize(
    "op,value,value_two,hit",
    [(1, 9, 0, [9]), (2, 9, 0, [8, 10, 15]), (3, 9, 0, [10, 15]), (4, 9, 0, [9, 10, 15]), (5, 9, 0, [8]), (6, 9, 0, [8, 9]), (7, 0b1100, 0b1100, [15])],
)
def test_seccomp_operators(pod, op, value, value_two, hit):
    """`kill` with a signal number that is its second argument, to a process that does not exist: ESRCH, or the filter's EDOM."""
    script = "; ".join(f"kill -{number} 99999 2>&1 | sed 's/.*: /{number} /'" for number in (8, 9, 10, 15))
    out = pod.sh(script, config=filtered(rule("kill", ERRNO, (1, value, value_two, op), errnoRet=33)))
    assert [int(line.split()[0]) for line in out.splitlines() if "argument out of domain" in line] == hit, out


def test_seccomp_arguments_together_and_alternatives(pod):
    script = "for k in '-9 99999' '-10 99999' '-9 99998'; do kill $k 2>&1 || true; done"
    both = filtered(rule("kill", ERRNO, (0, 99999, 0, 1), (1, 9, 0, 1), errnoRet=33))
    assert [("domain" in line) for line in pod.sh(script, config=both).splitlines()] == [True, False, False]
    either = filtered(rule("kill", ERRNO, (1, 9, 0, 1), (1, 10, 0, 1), errnoRet=33))
    assert [("domain" in line) for line in pod.sh(script, config=either).splitlines()] == [True, True, True]


@keys("seccomp.flags")
def test_seccomp_without_no_new_privileges(pod):
    """The filter is loaded by the container's process while it has the right to, and it ends up without that right."""
    profile = filtered(rule("mkdir", ERRNO), rule("mkdirat", ERRNO), flags=["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"])
    profile["no_new_privileges"] = False
    for uid in (0, 1000):
        out = pod.sh("grep -E 'Seccomp:|NoNew|CapEff|CapPrm|CapBnd' /proc/self/status; mkdir /tmp/y 2>/dev/null || echo held", config=profile, uid=uid)
        found = dict(re.findall(r"(\w+):\s+(\w+)", out))
        assert found == {"Seccomp": "2", "NoNewPrivs": "0", "CapEff": "0" * 16, "CapPrm": "0" * 16, "CapBnd": "0" * 16} and "held" in out


def test_seccomp_holds_for_execs(pod):
    name = pod.start("sleep", "1000", config=filtered(rule("mkdir", ERRNO), rule("mkdirat", ERRNO)), stdio="null")
    pod.machine.call("container.exec", id=name, exec="e", process={"args": ["sh", "-c", "grep Seccomp: /proc/self/status; mkdir /tmp/q || echo held"]})
    with pod.machine.stream(name, "e") as stream:
        out = stream.read_all()[0].decode()
    assert out.split()[1] == "2" and "held" in out
    pod.machine.call("container.wait", id=name, exec="e")
    pod.remove(name)


def test_seccomp_profiles_that_are_wrong(pod):
    def wrong(field, name="invalid-params", **changes):
        refused(pod, f"config.seccomp.{field}", name, seccomp={"default_action": ALLOW, **changes})

    wrong("default_action", default_action=0)
    wrong("default_action", default_action=10)
    wrong("default_action", "unsupported-field", default_action=7)
    wrong("architectures[1]", architectures=["amd64", "pdp11"])
    wrong("flags[0]", flags=["SECCOMP_FILTER_FLAG_MAGIC"])
    wrong("syscalls[0].name", syscalls=[{"name": "", "action": 2}])
    wrong("syscalls[0].name", syscalls=[{"name": "not_a_system_call", "action": 2}])  # it could not be stopped
    wrong("syscalls[0].action", syscalls=[{"name": "read"}])
    wrong("syscalls[0].action", "unsupported-field", syscalls=[{"name": "read", "action": 7}])
    wrong("syscalls[0].args[0].op", syscalls=[{"name": "read", "action": 2, "args": [{"index": 0, "op": 8}]}])
    wrong("syscalls[0].args[0].index", syscalls=[{"name": "read", "action": 2, "args": [{"index": 6, "op": 1}]}])
    wrong("listener_path", "unsupported-field", listener_path="/run/x")


def test_seccomp_filters_are_kept(pod):
    """The second container with a profile does not compile it again: the step is a fraction, and the answer the same."""
    many = [rule("mkdir", ERRNO)] + [rule("kill", ERRNO, (0, number, 0, 1)) for number in range(200000, 200200)]

    def compile_time():
        name = f"kept{time.monotonic_ns()}"
        answer = pod.machine.call("container.create", id=name, rootfs="root", config=filtered(*many), process={"args": ["true"], "stdio": "null"})
        pod.remove(name)
        return sum(step["us"] for step in answer["steps"] if step["name"] == "compile the filter")

    first = compile_time()
    assert min(compile_time() for _ in range(3)) < first / 2


# ---- how it is run ----


@keys("scheduler.policy", "scheduler.nice", "scheduler.priority", "scheduler.flags", "scheduler.runtime", "scheduler.deadline", "scheduler.period")
def test_scheduling(pod):
    def stat(child=False, **scheduler):
        """(nice, real-time priority, policy) of the first process or a child of it: proc(5), fields 19, 40 and 41."""
        read = "read line < /proc/self/stat; set -- $line; shift 9; a=${10}; shift 30; echo $a $1 $2"
        return pod.sh(f"sh -c '{read}'; true" if child else read, config=config(scheduler=scheduler)).split()

    assert stat(policy="SCHED_OTHER", nice=7) == ["7", "0", "0"]
    assert stat(policy="SCHED_BATCH", nice=-3) == ["-3", "0", "3"]
    assert stat(policy="SCHED_IDLE") == ["0", "0", "5"]
    assert stat(policy="SCHED_FIFO", priority=3) == ["0", "3", "1"] == stat(True, policy="SCHED_FIFO", priority=3)
    assert stat(True, policy="SCHED_RR", priority=3, flags=["SCHED_FLAG_RESET_ON_FORK"]) == ["0", "0", "0"]
    deadline = {"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 20000000, "period": 30000000}
    assert stat(**deadline)[2] == "6"
    refused(pod, "config.scheduler", "container-failed", scheduler={**deadline, "runtime": 20000001})
    for field, row in (("policy", {"policy": "SCHED_MAGIC"}), ("nice", {"policy": "SCHED_OTHER", "nice": 20}), ("nice", {"policy": "SCHED_FIFO", "priority": 1, "nice": 1}), ("priority", {"policy": "SCHED_OTHER", "priority": 1}), ("priority", {"policy": "SCHED_RR"}), ("runtime", {"policy": "SCHED_OTHER", "runtime": 5}), ("flags[0]", {"policy": "SCHED_OTHER", "flags": ["X"]})):
        refused(pod, f"config.scheduler.{field}", scheduler=row)


@keys("io_priority.class", "io_priority.priority", "personality.domain")
def test_io_priority_and_personality(pod):
    assert pod.sh("ionice -p $$", config=config(io_priority={"class": "IOPRIO_CLASS_BE", "priority": 6})) == "best-effort: prio 6\n"
    assert pod.sh("ionice -p $$", config=config(io_priority={"class": "IOPRIO_CLASS_IDLE", "priority": 0})).startswith("idle")
    assert pod.sh("uname -m", config=config(personality={"domain": 8})) == "i686\n"
    refused(pod, "config.io_priority.class", io_priority={"class": "X"})
    refused(pod, "config.io_priority.priority", io_priority={"class": "IOPRIO_CLASS_BE", "priority": 8})
    refused(pod, "config.personality.domain", personality={"domain": 4})


# ---- sandboxes ----


def test_a_pod_of_containers(pod):
    """A sandbox holds the namespaces; containers join, find each other, and go; the sandbox stays, and goes last."""
    before = pod.machine.at_rest()
    settings = {"hostname": "pod", "namespaces": [{"type": kind} for kind in ("NEWNS", "NEWPID", "NEWUTS", "NEWIPC", "NEWNET")], "sysctl": {"net.core.somaxconn": "99"}, "cgroups": {"pids_limit": 10}}
    pid = pod.machine.call("sandbox.create", id="pod", config=settings)["pid"]
    shown = [c for c in pod.machine.call("container.list")["containers"] if c["id"] == "pod"][0]
    assert (shown["state"], shown["sandbox"], shown["pid"], shown["rootfs"]) == ("running", True, pid, "")
    path = "/run/coffer/container/pod/ns/"
    member = config(hostname=None, capabilities=["CAP_SYS_PTRACE", "CAP_KILL", "CAP_DAC_READ_SEARCH"], namespaces=[{"type": "NEWNS"}] + [{"type": kind, "path": path + name} for kind, name in (("NEWPID", "pid"), ("NEWUTS", "uts"), ("NEWIPC", "ipc"), ("NEWNET", "net"))])
    one = pod.start("sh", "-c", "nc -l -p 8000 -e echo hello & exec sleep 1000", config=member, stdio="null")
    out = pod.sh("hostname; cat /proc/sys/net/core/somaxconn; cat /proc/1/comm; ps | grep -c 'sleep 100[0]'; nc -w 3 127.0.0.1 8000; ls -A /proc/1/root | wc -l; ls /proc/1/fd | wc -l; grep -c coffer /proc/1/maps || true", config=member)
    assert out.split() == ["pod", "99", "pause", "1", "hello", "0", "3", "0"], out
    # Its orphans are buried by the sandbox.
    out = pod.sh("i=0; while [ $i -lt 50 ]; do (true &); i=$((i+1)); done; sleep 1; grep -l '(true) Z ' /proc/[0-9]*/stat 2>/dev/null | wc -l", config=member)
    assert out == "0\n"
    for method, name in (("container.exec", "wrong-state"), ("container.start", "wrong-state")):
        with pytest.raises(Refused) as info:
            pod.machine.call(method, id="pod", **({"exec": "e", "process": {"args": ["true"]}} if method.endswith("exec") else {}))
        assert info.value.name == name
    with pytest.raises(Refused) as info:
        pod.machine.call("container.remove", id="pod", force=True)
    assert info.value.name == "in-use"
    pod.remove(one)
    # What a sandbox stands on is not its root.
    pod.machine.call("sandbox.create", id="second", config={"namespaces": [{"type": "NEWNS"}, {"type": "NEWNET", "path": path + "net"}]})
    state = pod.machine.call("container.state", id="second")
    assert (state["rootfs"], state["sandbox"]) == ("", True)
    assert state == [c for c in pod.machine.call("container.list")["containers"] if c["id"] == "second"][0]
    pod.machine.call("container.remove", id="second", force=True)
    pod.machine.call("container.signal", id="pod", signal="SIGTERM")
    assert pod.machine.call("container.wait", id="pod") == {"exit_code": 0}
    pod.machine.call("container.remove", id="pod")
    pod.machine.settles(before)


def test_a_sandbox_has_no_files(pod):
    for field, change in (("mounts", {"mounts": MOUNTS}), ("devices", {"devices": [{"type": 99, "path": "/dev/x"}]}), ("mask_paths", {"mask_paths": ["/x"]}), ("readonly_paths", {"readonly_paths": ["/x"]})):
        with pytest.raises(Refused) as info:
            pod.machine.call("sandbox.create", id="bad", config={"namespaces": [{"type": "NEWNS"}], **change})
        assert info.value.field == f"config.{field}"
    assert "bad" not in json.dumps(pod.machine.call("container.list"))


@keys("version", "labels")
def test_words_for_hooks_alone(pod):
    """What version and labels are for is shown by test_hooks.py; without hooks they change nothing."""
    assert pod.sh("echo fine", config=config(version="1.2.0", labels=["bundle=/x", "a=b"])) == "fine\n"
