# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole of libcontainer's Config: every key is shown at work or refused as docs/CONFIG.md says, and real configs run."""

import ast
import copy
import json
import pathlib
import re

import pytest
import test_cgroups
from machine import MOUNTS, TOP, Refused, config

HERE = pathlib.Path(__file__).resolve().parent
KEYS = [line for line in (TOP / "tests/data/config-keys.txt").read_text().splitlines() if not line.startswith("#")]
DATA = TOP / "tests/data"


def walk(value, path="", opaque=("sysctl", "cgroups.Paths")):
    """The paths of all members; an opaque one's are names of the user's."""
    if isinstance(value, dict):
        for key, member in value.items():
            where = f"{path}.{key}" if path else key
            yield where
            if where not in opaque:
                yield from walk(member, where, opaque)
    elif isinstance(value, list):
        for element in value:
            yield from walk(element, f"{path}[]", opaque)


def shown():
    """{key: test} of the marks `keys` in this folder."""
    found = {}
    for path in sorted(HERE.glob("test_*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef) or not function.name.startswith("test_"):
                continue
            for decorator in function.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in ("keys", "pytest.mark.keys"):
                    names = eval("[" + ", ".join(ast.unparse(argument) for argument in decorator.args) + "]")
                    found.update({name: f"{path.name}::{function.name}" for name in names})
    # The table of test_cgroups.py: each row sets what it holds, and looks at what the kernel then has.
    found.update({f"cgroups.{key}": "test_cgroups.py::test_every_key" for row in test_cgroups.ROWS for key in walk(row[1], opaque=("Paths", "rdma", "unified"))})
    return found


def refused_rows():
    """{key: reason} of the table of refusals in docs/CONFIG.md."""
    text = (TOP / "docs/CONFIG.md").read_text()
    table = text.split("## Refused", 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, re.M))


def described():
    """Keys of the table of what is acted on."""
    text = (TOP / "docs/CONFIG.md").read_text()
    table = text.split("## Acted on", 1)[1].split("\n## ", 1)[0]
    return {key for cell in re.findall(r"^\| (`[^|]+`) \|", table, re.M) for key in re.findall(r"`([^`]+)`", cell)} | {"Hooks"}


def members(key):
    return [other for other in KEYS if other.startswith((f"{key}.", f"{key}[]."))]


def test_every_key_is_shown_at_work_or_refused():
    have, refusals = shown(), refused_rows()
    lacking = [key for key in KEYS if key not in have and key not in refusals and not members(key)]
    # What has members is covered by them.
    assert not lacking, f"no behaviour test and no refusal: {lacking}"
    assert not set(have) - set(KEYS), f"tests for keys that there are not: {set(have) - set(KEYS)}"
    assert not set(refusals) - set(KEYS), f"refusals of keys that there are not: {set(refusals) - set(KEYS)}"
    assert not set(have) & set(refusals), "shown and refused"


def test_every_key_is_described():
    tops = {re.split(r"[.\[]", key)[0] for key in KEYS}
    assert tops <= {re.split(r"[.\[]", key)[0] for key in described() | set(refused_rows())}


@pytest.mark.parametrize("name", ["libcontainer-2016", "libcontainer-2019", "runc-1.1.5-state"])
def test_the_list_of_keys_is_complete(name):
    document = json.loads((DATA / f"{name}.json").read_text())
    found = {re.sub(r"^Hooks\.\w+\[\]", "Hooks.*[]", key).replace("postmount_cmds[]", "premount_cmds[]") for key in walk(document.get("config", document))}
    assert not found - set(KEYS)


# A value of each refused key that means something.
TELLING = {
    "mount_label": "system_u:object_r:container_file_t:s0",
    "process_label": "system_u:system_r:container_t:s0",
    "mounts[].relabel": {"mounts": [{**MOUNTS[0], "relabel": "Z"}]},
    "mounts[].id_mapping": {"mounts": [{**MOUNTS[0], "id_mapping": {"recursive": True}}]},
    "mounts[].rec_attr.Userns_fd": {"mounts": [{**MOUNTS[0], "rec_attr": {"Userns_fd": 3}}]},
    "netDevices": {"eth0": {"name": "eth1"}},
    "memory_policy": {"mode": 1},
    "exec_cpu_affinity": {"initial": [1]},
    "intel_rdt": {"closID": "x"},
    "rootless_euid": True,
    "rootless_cgroups": True,
    "seccomp.listener_path": {"seccomp": {"default_action": 4, "listener_path": "/run/x"}},
    "seccomp.listener_metadata": {"seccomp": {"default_action": 4, "listener_metadata": "x"}},
}


@pytest.mark.parametrize("key", sorted(refused_rows()))
def test_a_refusal_names_field_and_reason(pod, key):
    value = TELLING[key]
    changes = value if isinstance(value, dict) and key.split(".")[0].split("[")[0] in value else {key: value}
    with pytest.raises(Refused) as info:
        pod.remove(pod.create("true", config=config(**changes)))
    assert (info.value.name, info.value.field) == ("unsupported-field", "config." + key.replace("[]", "[0]")), info.value
    reason = refused_rows()[key].replace("`", "")
    assert reason in info.value.message, f"docs/CONFIG.md says: {reason}; the agent: {info.value.message}"
    # As encoders write it when there is nothing to say.
    if key in ("intel_rdt", "memory_policy", "rootless_euid", "mount_label", "process_label"):
        pod.sh("true", config=config(**{key: "" if key.endswith("label") else None if key != "rootless_euid" else False}))


# ---- real configs, on a Debian root file system ----


def test_runcs_own_state_runs_unchanged(debian):
    """state.json of Debian's runc 1.1.5, as runc wrote it."""
    state = json.loads((DATA / "runc-1.1.5-state.json").read_text())
    out = debian.sh("hostname; grep CapEff /proc/self/status; head -1 /etc/os-release; cat /proc/sys/kernel/hostname; ls /sys/fs/cgroup | grep -c pids.current; wc -c < /proc/keys", config=state["config"])
    lines = out.splitlines()
    assert lines == ["runc", "CapEff:\t0000000020000420", lines[2], "runc", "1", "0"] and "Debian" in lines[2]


def adapted(name):
    """libcontainer-2016.json and -2019.json name things of the machine they were written for, and contradict themselves on purpose; what had to
    change to run here, and nothing else, stands below."""
    document = json.loads((DATA / f"{name}.json").read_text())
    original = copy.deepcopy(document)
    # No SELinux policy, and no AppArmor profile "p", in this VM.
    document["process_label"] = ""
    document["mounts"][2]["relabel"] = ""
    document["apparmor_profile"] = "unconfined"
    # A host's /srv; bind mounts come from volumes.
    document["mounts"][2]["source"] = "/run/coffer/volume/image/usr"
    # The root file system was made for the ids that are mapped; this one belongs to 0.
    document["uid_mappings"][0]["host_id"] = document["gid_mappings"][0]["host_id"] = 0
    # /run/netns/x, with a route over an eth0 in it; here the namespace is new, with an eth0.
    document["namespaces"][4]["path"] = ""
    document["networks"].append({"type": "veth", "name": "eth0", "bridge": "golden0", "address": "10.0.0.2/24"})
    # No /proc is mounted over a /dev; a mqueue neither: as it is.  A profile that allows getcwd and clone alone cannot execute anything.
    document["seccomp"]["default_action"] = 4
    document["seccomp"]["syscalls"][0]["action"] = 2
    # The kernel shows no net.core to a network namespace that a user namespace owns.
    document["sysctl"] = {"net.ipv4.ip_forward": "1"}
    # No disk 8:0; and files of cgroup v1.
    for row in document["cgroups"]["blkio_weight_device"] + document["cgroups"]["blkio_throttle_read_bps_device"]:
        row["major"] = 254
    for key in ("memory_swappiness", "net_prio_ifpriomap", "net_cls_classid_u"):
        document["cgroups"][key] = None if key != "net_cls_classid_u" else 0
    document["cgroups"]["blkio_weight_device"] = None
    assert document != original
    return document


@pytest.mark.parametrize("name", ["libcontainer-2016", "libcontainer-2019"])
def test_a_config_with_every_key_runs(debian, name):
    script = "hostname; cat /proc/self/uid_map | tr -s ' '; ls /srv | grep -c bin; ip route 2>/dev/null || cat /proc/net/route | wc -l; cat /proc/sys/net/ipv4/ip_forward | sed s/^/forward/; pwd 2>&1; cat /proc/self/oom_score_adj; ulimit -n; stat -f -c %T /etc; ls /etc/passwd; cat /run/hook 2>/dev/null; stat -c %t:%T /dev/dm-0; touch /x 2>&1"
    code, out, err = debian.run("sh", "-c", script, config=adapted(name))
    lines = out.splitlines()
    assert lines[0] == "c1" and lines[1].split() == ["0", "0", "65536"] and int(lines[2]) >= 1, (out, err)
    assert "forward1" in lines and "100" in lines and "1024" in lines and "tmpfs" in lines and "/etc/passwd" in lines and "fd:0" in lines, (out, err)
    assert "Read-only" in out + err
