# SPDX-License-Identifier: GPL-2.0-or-later
"""Every key of `cgroups`: the value that the kernel then holds, or the refusal by name; on cgroup v2 and on v1."""

import json
import re

import pytest
from machine import MOUNTS, TOP, Machine, Pod, Refused, config

ADMIN = ["CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_DAC_OVERRIDE"]
NAMESPACES = config()["namespaces"] + [{"type": "NEWCGROUP"}]
DISK = {"major": 254, "minor": 0}  # the image's virtio disk: /dev/vda


@pytest.fixture(scope="module", params=["v2", "v1"])
def version(request):
    return request.param


@pytest.fixture(scope="module")
def machine(version, runtime):
    vm = Machine(f"groups-{version}", "--append", f"coffer.cgroup={version}")
    yield vm
    assert "Kernel panic" not in vm.console() and "is not understood" not in vm.console()
    vm.stop()


@pytest.fixture(scope="module")
def pod(machine, images, tmp_path_factory):
    before = machine.at_rest()
    made = Pod(machine, images(), tmp_path_factory.mktemp("pod"))
    yield made
    made.close()
    machine.settles(before)


def boxed(cgroups, **changes):
    return config(cgroups=cgroups, capabilities=ADMIN, namespaces=NAMESPACES, **changes)


def held(pod, version, controller, files, cgroups, devices=None):
    """What the container's own group holds, read through a mount of its own: its cgroup namespace ends there."""
    together = {"cpu": "cpu,cpuacct", "net_cls": "net_cls,net_prio", "net_prio": "net_cls,net_prio"}
    mount = "mount -t cgroup2 none /c" if version == "v2" else f"mount -t cgroup -o {together.get(controller, controller)} none /c"
    return pod.sh(f"mkdir -p /c; {mount}; cd /c; for f in {' '.join(files)}; do echo $f=$(cat $f); done", config=boxed(cgroups)).splitlines()


def refusal(pod, cgroups):
    with pytest.raises(Refused) as refused:
        pod.remove(pod.create("true", config=boxed(cgroups)))
    return refused.value.name, refused.value.field


UNSUPPORTED, LACKS, FAILED, WRONG = "unsupported-field", "kernel-lacks", "container-failed", "invalid-params"
MIB = 1 << 20

# key, value of `cgroups`, v2: {file: content} or the refusal, v1: the controller and {file: content} or the refusal.
# A refusal may name another field than the key.
ROWS = [
    ("pids_limit", {"pids_limit": 77}, {"pids.max": "77"}, ("pids", {"pids.max": "77"})),
    ("pids_limit", {"pids_limit": -1}, {"pids.max": "max"}, ("pids", {"pids.max": "max"})),
    ("memory", {"memory": 48 * MIB}, {"memory.max": str(48 * MIB)}, ("memory", {"memory.limit_in_bytes": str(48 * MIB)})),
    ("memory", {"memory": -1}, {"memory.max": "max", "memory.swap.max": "max"}, ("memory", {"memory.limit_in_bytes": "9223372036854771712"})),
    ("memory_reservation", {"memory_reservation": 8 * MIB}, {"memory.low": str(8 * MIB)}, ("memory", {"memory.soft_limit_in_bytes": str(8 * MIB)})),
    ("memory_swap", {"memory": 32 * MIB, "memory_swap": 40 * MIB}, {"memory.max": str(32 * MIB), "memory.swap.max": str(8 * MIB)}, ("memory", {"memory.limit_in_bytes": str(32 * MIB), "memory.memsw.limit_in_bytes": str(40 * MIB)})),
    ("memory_swap", {"memory": 32 * MIB, "memory_swap": 32 * MIB}, {"memory.swap.max": "0"}, ("memory", {"memory.memsw.limit_in_bytes": str(32 * MIB)})),
    ("memory_swap", {"memory_swap": MIB}, WRONG, WRONG),
    ("kernel_memory", {"kernel_memory": 8 * MIB}, UNSUPPORTED, LACKS),
    ("kernel_memory", {"kernel_memory": -1}, {"memory.max": "max"}, None),
    ("kernel_memory_tcp", {"kernel_memory_tcp": 8 * MIB}, UNSUPPORTED, ("memory", {"memory.kmem.tcp.limit_in_bytes": str(8 * MIB)})),
    ("memory_swappiness", {"memory_swappiness": 33}, UNSUPPORTED, ("memory", {"memory.swappiness": "33"})),
    ("memory_swappiness", {"memory_swappiness": -1}, {"memory.max": "max"}, ("memory", {"memory.swappiness": "60"})),
    ("oom_kill_disable", {"oom_kill_disable": True}, UNSUPPORTED, ("memory", {"memory.oom_control": "oom_kill_disable 1 under_oom 0 oom_kill 0"})),
    ("memory_check_before_update", {"memory": 48 * MIB, "memory_check_before_update": True}, {"memory.max": str(48 * MIB)}, ("memory", {"memory.limit_in_bytes": str(48 * MIB)})),
    ("cpu_shares", {"cpu_shares": 512}, {"cpu.weight": "59"}, ("cpu", {"cpu.shares": "512"})),
    ("cpu_weight", {"cpu_weight": 250}, {"cpu.weight": "250"}, UNSUPPORTED),
    ("cpu_weight", {"cpu_weight": 250, "cpu_shares": 512}, {"cpu.weight": "250"}, ("cpu", {"cpu.shares": "512"})),
    ("cpu_quota", {"cpu_quota": 50000, "cpu_period": 200000}, {"cpu.max": "50000 200000"}, ("cpu", {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "200000"})),
    ("cpu_quota", {"cpu_quota": 50000}, {"cpu.max": "50000 100000"}, ("cpu", {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"})),
    ("cpu_period", {"cpu_period": 50000}, {"cpu.max": "max 50000"}, ("cpu", {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "50000"})),
    ("cpu_max", {"cpu_max": "30000 60000"}, {"cpu.max": "30000 60000"}, ("cpu", {"cpu.cfs_quota_us": "30000", "cpu.cfs_period_us": "60000"})),
    ("cpu_max", {"cpu_max": "max 60000"}, {"cpu.max": "max 60000"}, ("cpu", {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "60000"})),
    ("cpu_max", {"cpu_max": "30000", "cpu_quota": 5000}, WRONG, WRONG),
    ("cpu_burst", {"cpu_burst": 10000, "cpu_quota": 50000}, {"cpu.max.burst": "10000", "cpu.max": "50000 100000"}, ("cpu", {"cpu.cfs_burst_us": "10000"})),
    ("cpu_idle", {"cpu_idle": 1}, {"cpu.idle": "1"}, ("cpu", {"cpu.idle": "1"})),
    ("cpu_rt_quota", {"cpu_rt_quota": 950000}, UNSUPPORTED, LACKS),
    ("cpu_rt_period", {"cpu_rt_period": 1000000}, UNSUPPORTED, LACKS),
    ("cpuset_cpus", {"cpuset_cpus": "1"}, {"cpuset.cpus": "1"}, ("cpuset", {"cpuset.cpus": "1"})),
    ("cpuset_mems", {"cpuset_mems": "0"}, {"cpuset.mems": "0"}, ("cpuset", {"cpuset.mems": "0"})),
    ("cpuset_cpus", {"cpuset_cpus": "99"}, FAILED, FAILED),
    ("blkio_weight", {"blkio_weight": 500}, {"io.weight": "default 4950"}, LACKS),
    ("blkio_weight_device[0]", {"blkio_weight_device": [{**DISK, "weight": 100}]}, LACKS, LACKS),
    ("blkio_weight_device[0].leafWeight", {"blkio_weight_device": [{**DISK, "weight": 100, "leafWeight": 50}]}, UNSUPPORTED, UNSUPPORTED),
    ("blkio_leaf_weight", {"blkio_leaf_weight": 500}, UNSUPPORTED, UNSUPPORTED),
    ("blkio_throttle_read_bps_device", {"blkio_throttle_read_bps_device": [{**DISK, "rate": MIB}]}, {"io.max": f"254:0 rbps={MIB} wbps=max riops=max wiops=max"}, ("blkio", {"blkio.throttle.read_bps_device": f"254:0 {MIB}"})),
    ("blkio_throttle_write_bps_device", {"blkio_throttle_write_bps_device": [{**DISK, "rate": MIB}]}, {"io.max": f"254:0 rbps=max wbps={MIB} riops=max wiops=max"}, ("blkio", {"blkio.throttle.write_bps_device": f"254:0 {MIB}"})),
    ("blkio_throttle_read_iops_device", {"blkio_throttle_read_iops_device": [{**DISK, "rate": 100}]}, {"io.max": "254:0 rbps=max wbps=max riops=100 wiops=max"}, ("blkio", {"blkio.throttle.read_iops_device": "254:0 100"})),
    ("blkio_throttle_write_iops_device", {"blkio_throttle_write_iops_device": [{**DISK, "rate": 100}]}, {"io.max": "254:0 rbps=max wbps=max riops=max wiops=100"}, ("blkio", {"blkio.throttle.write_iops_device": "254:0 100"})),
    ("blkio_throttle_read_bps_device[0]", {"blkio_throttle_read_bps_device": [{"major": 77, "minor": 7, "rate": MIB}]}, FAILED, FAILED),
    ("freezer", {"freezer": "THAWED"}, {"cgroup.freeze": "0"}, ("freezer", {"freezer.state": "THAWED"})),
    ("freezer", {"freezer": "FROZEN"}, UNSUPPORTED, UNSUPPORTED),
    ("hugetlb_limit", {"hugetlb_limit": [{"page_size": "2MB", "limit": 4 * MIB}]}, {"hugetlb.2MB.max": str(4 * MIB)}, ("hugetlb", {"hugetlb.2MB.limit_in_bytes": str(4 * MIB)})),
    ("hugetlb_limit[0]", {"hugetlb_limit": [{"page_size": "3MB", "limit": 4 * MIB}]}, LACKS, LACKS),
    ("net_cls_classid_u", {"net_cls_classid_u": 0x100001}, UNSUPPORTED, ("net_cls", {"net_cls.classid": str(0x100001)})),
    ("net_prio_ifpriomap", {"net_prio_ifpriomap": [{"interface": "lo", "priority": 5}]}, UNSUPPORTED, ("net_prio", {"net_prio.ifpriomap": "lo 5"})),
    ("rdma.mlx5_0", {"rdma": {"mlx5_0": {"hca_handles": 2}}}, FAILED, FAILED),
    ("unified", {"unified": {"memory.high": str(16 * MIB), "io.max": "254:0 rbps=1000000\n254:16 wbps=2000000"}}, {"memory.high": str(16 * MIB), "io.max": "254:16 rbps=max wbps=2000000 riops=max wiops=max 254:0 rbps=1000000 wbps=max riops=max wiops=max"}, UNSUPPORTED),
    ("unified.memory.nothing", {"unified": {"memory.nothing": "1"}}, LACKS, "unified"),
    ("unified.cgroup.freeze", {"unified": {"cgroup.freeze": "1"}}, WRONG, WRONG),
    ("name", {"name": "c1", "parent": "p", "scope_prefix": "s"}, {"memory.max": "max"}, None),
    ("path", {"path": "/any"}, {"memory.max": "max"}, None),
    ("path", {"name": "c1", "path": "/any"}, WRONG, WRONG),
    ("Paths", {"Paths": {"cpu": "/elsewhere"}, "pids_limit": 9}, {"pids.max": "9"}, ("pids", {"pids.max": "9"})),
    ("Systemd", {"Systemd": True, "Rootless": True, "pids_limit": 9}, {"pids.max": "9"}, ("pids", {"pids.max": "9"})),
    ("owner_uid", {"owner_uid": 1000}, {"pids.max": "max"}, UNSUPPORTED),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}={json.dumps(row[1])[:60]}")
def test_every_key(pod, version, row):
    key, cgroups, v2, v1 = row
    wanted = v2 if version == "v2" else v1
    if isinstance(wanted, str):
        name, field = refusal(pod, cgroups)
        if wanted == "unified":
            assert (name, field) == (UNSUPPORTED, "config.cgroups.unified")
        else:
            assert name == wanted and field.split("[")[0] == f"config.cgroups.{key}".split("[")[0], (name, field)
        return
    controller, files = ("", wanted) if version == "v2" else (wanted or ("pids", {"pids.max": "max"}))
    found = dict(line.split("=", 1) for line in held(pod, version, controller, files, cgroups))
    if "io.max" in files:  # the kernel's order of devices is its own
        found["io.max"], files = sorted(found["io.max"].split()), {**files, "io.max": sorted(files["io.max"].split())}
    assert found == files


def test_every_key_has_a_row():
    """The keys that the agent's table has, found in its source, against the rows above and the devices' tests below."""
    text = (TOP / "agent/container/resources.c").read_text()
    table = text[text.index("static const struct decode_field fields[]") : text.index("static bool says_something")]
    keys = set(re.findall(r"(?:LIMIT|TEXT)\((\w+)", table)) | set(re.findall(r'(?:FIELD\(resources, |RULES\(|THROTTLES\()"(\w+)"', table))
    rows = {key for row in ROWS for key in row[1]}
    assert len(keys) > 40
    assert keys - rows == {"allow_all_devices", "allowed_devices", "denied_devices", "devices"}


def test_what_a_container_sees_of_them(pod, version):
    """Its own group, and not to write to: on v1 the hierarchies in a tmpfs, with links for the two names of one."""
    mount = {"source": "cgroup", "destination": "/sys/fs/cgroup", "device": "cgroup", "flags": 15}
    shown = config(cgroups={"pids_limit": 76}, mounts=MOUNTS + [mount], capabilities=ADMIN)
    place = "/sys/fs/cgroup" if version == "v2" else "/sys/fs/cgroup/pids"
    out = pod.sh(f"cat {place}/pids.max; echo max 2>/dev/null > {place}/pids.max || echo held; mkdir {place}/x 2>/dev/null || echo kept; ls /sys/fs/cgroup | grep -c '^cpuacct$' || true; ls -d {place}/coffer 2>/dev/null || true", config=shown)
    assert out.split() == ["76", "held", "kept", "0" if version == "v2" else "1"]
    if version == "v1":
        assert pod.sh("readlink /sys/fs/cgroup/cpu; cat /sys/fs/cgroup/cpu/cpu.shares", config=shown).split() == ["cpu,cpuacct", "1024"]
        with pytest.raises(Refused) as refused:
            pod.create("true", config=config(mounts=MOUNTS + [{**mount, "flags": 14}], namespaces=NAMESPACES))
        assert refused.value.field == "config.mounts[6]"


def test_an_owner(pod, version):
    if version == "v1":
        return
    out = pod.sh("mkdir -p /c; mount -t cgroup2 none /c; stat -c '%n %u' /c /c/cgroup.procs /c/memory.max", config=boxed({"owner_uid": 1234}))
    assert out.split() == ["/c", "1234", "/c/cgroup.procs", "1234", "/c/memory.max", "0"]


# ---- devices ----

PROBE = """
cd /root
try() { # NAME TYPE MAJOR MINOR
	rm -f n; r=-; w=-; m=-
	if mknod n $2 $3 $4 2>/dev/shm/e; then m=m; else ln -s /probe/$1 n; fi
	dd if=n of=/dev/shm/o bs=1 count=1 2>/dev/shm/e && r=r
	dd if=/dev/shm/o of=n bs=1 count=0 conv=notrunc 2>/dev/shm/e && w=w
	echo $1 $r$w$m
}
echo x > /dev/shm/o
try null c 1 3; try zero c 1 5; try full c 1 7; try random c 1 8; try kmsg c 1 11; try disk b 254 0; try mem c 1 1
"""


def reach(pod, cgroups):
    """What can be made, read and written of some devices: {"zero": "rwm", ...}."""
    out = pod.sh(PROBE, config=boxed(cgroups))
    return {name: access.replace("-", "") for name, access in (line.split() for line in out.splitlines())}


def rule(kind, major, minor, permissions, allow=True):
    return {"type": ord(kind), "major": major, "minor": minor, "permissions": permissions, "allow": allow}


DENY_ALL = rule("a", -1, -1, "rwm", False)


def test_devices_without_rules(pod):
    found = reach(pod, {})
    assert found == {"null": "rwm", "zero": "rwm", "full": "rwm", "random": "rwm", "kmsg": "", "disk": "", "mem": ""}


@pytest.mark.keys(*(f"cgroups.devices[].{key}" for key in ("type", "major", "minor", "permissions", "allow")))
def test_devices_by_rules_in_order(pod):
    found = reach(pod, {"devices": [DENY_ALL, rule("c", 1, 5, "rwm"), rule("c", 1, 7, "rm"), rule("b", -1, -1, "m")]})
    assert found["zero"] == "rwm" and found["full"] == "rm" and found["disk"] == "m"
    assert found["null"] == found["random"] == found["kmsg"] == ""
    found = reach(pod, {"devices": [rule("c", 1, 5, "rwm"), DENY_ALL]})
    assert set(found.values()) == {""}
    found = reach(pod, {"devices": [DENY_ALL, rule("c", 1, 5, "rwm"), rule("c", 1, 5, "w", False)]})
    assert found["zero"] == "rm"


def test_a_rule_that_names_a_disk_is_followed(pod):
    found = reach(pod, {"devices": [DENY_ALL, rule("b", 254, 0, "rm")]})
    assert found["disk"] == "rm" and found["zero"] == ""


def test_everything_but(pod):
    found = reach(pod, {"devices": [rule("a", -1, -1, "rwm"), rule("b", -1, -1, "rwm", False), rule("c", 1, 8, "w", False)]})
    assert found["disk"] == "" and found["zero"] == "rwm" and found["random"] == "rm"


def test_a_device_out_of_a_wider_rule(pod, version):
    cgroups = {"devices": [DENY_ALL, rule("c", 1, -1, "rwm"), rule("c", 1, 7, "rwm", False)]}
    if version == "v1":
        assert refusal(pod, cgroups) == (UNSUPPORTED, "config.cgroups.devices")
        return
    found = reach(pod, cgroups)
    assert found["zero"] == "rwm" and found["full"] == ""


@pytest.mark.keys("cgroups.allow_all_devices", "cgroups.denied_devices", *(f"cgroups.allowed_devices[].{key}" for key in ("type", "major", "minor", "permissions", "allow")))
def test_the_three_older_keys(pod):
    zero, full = rule("c", 1, 5, "rwm", False), rule("c", 1, 7, "rwm", False)
    found = reach(pod, {"allow_all_devices": False, "allowed_devices": [zero]})
    assert found["zero"] == "rwm" and found["full"] == found["random"] == found["disk"] == ""
    found = reach(pod, {"allow_all_devices": True, "denied_devices": [zero, rule("b", 254, 0, "rwm")]})
    assert found["zero"] == found["disk"] == "" and found["full"] == "rwm"
    found = reach(pod, {"denied_devices": [full]})
    assert found["zero"] == "rwm" and found["full"] == ""
    assert refusal(pod, {"allowed_devices": [zero]}) == (WRONG, "config.cgroups.allowed_devices")
    found = reach(pod, {"allow_all_devices": True, "devices": [DENY_ALL]})
    assert found["zero"] == ""


@pytest.mark.keys(*(f"cgroups.{key}[].{member}" for key in ("devices", "allowed_devices") for member in ("path", "file_mode", "uid", "gid")))
def test_what_runc_writes(pod, version):
    """The `cgroups` of a default container of runc 1.1.5, as it is, and of two golden configs with what the version has not taken out."""
    state = json.loads((TOP / "tests/data/runc-1.1.5-state.json").read_text())["config"]["cgroups"]
    found = reach(pod, state)
    assert found["zero"] == "rwm" and found["disk"] == "m" and found["mem"] == "m"
    for year in ("2016", "2019"):
        cgroups = json.loads((TOP / f"tests/data/libcontainer-{year}.json").read_text())["cgroups"]
        seen = []
        while True:
            try:
                pod.remove(pod.create("true", config=boxed(cgroups)))
                break
            except Refused as refused:
                key = re.match(r"config\.cgroups\.(\w+)", refused.field).group(1)
                seen.append(key)
                del cgroups[key]
        # There is no disk 8:0 and no eth0.
        expected = {
            "v2": ["memory_swappiness", "blkio_weight_device", "net_cls_classid_u", "net_prio_ifpriomap", "blkio_throttle_read_bps_device"],
            "v1": ["blkio_weight_device", "blkio_weight", "blkio_throttle_read_bps_device", "net_prio_ifpriomap"],
        }
        assert set(seen) == set(expected[version]), seen


def test_nothing_is_left(pod, machine):
    assert machine.resources()["cgroups"] == 0
    pod.remove(pod.start("sleep", "1000"))
    assert machine.resources()["cgroups"] == 0
