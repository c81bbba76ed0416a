# SPDX-License-Identifier: GPL-2.0-or-later
"""From a bare root to a system that serves."""

import os
import stat
import subprocess

import pytest

from namespace import AGENT, Agent

# What agent/boot.c has in its table.
MOUNTS = {
    "/proc": ("proc", {"nosuid", "nodev", "noexec"}),
    "/sys": ("sysfs", {"nosuid", "nodev", "noexec"}),
    "/dev": ("devtmpfs", {"nosuid"}),
    "/dev/pts": ("devpts", {"nosuid", "noexec"}),
    "/dev/shm": ("tmpfs", {"nosuid", "nodev"}),
    "/run": ("tmpfs", {"nosuid", "nodev"}),
    "/tmp": ("tmpfs", {"nosuid", "nodev"}),
    "/sys/fs/cgroup": ("cgroup2", {"nosuid", "nodev", "noexec"}),
}


def mounts(agent):
    found = {}
    for line in agent.proc("mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        found[left.split()[4]] = (right.split()[0], set(left.split()[5].split(",")), right.split()[2])
    return found


@pytest.mark.parametrize("target", MOUNTS)
def test_early_mount(agent, target):
    kind, flags = MOUNTS[target]
    assert target in mounts(agent)
    assert mounts(agent)[target][0] == kind
    assert flags <= mounts(agent)[target][1]


def test_modes_and_links(agent):
    root = agent.proc("root")
    assert stat.S_IMODE(os.stat(root / "tmp").st_mode) == 0o1777
    assert stat.S_IMODE(os.stat(root / "dev/shm").st_mode) == 0o1777
    assert stat.S_IMODE(os.stat(root / "run").st_mode) == 0o755
    assert os.readlink(root / "dev/fd") == "/proc/self/fd"
    assert os.readlink(root / "dev/stderr").endswith("/fd/2")
    assert "ptmxmode=666" in mounts(agent)["/dev/pts"][2]


def test_a_cgroup_for_containers(agent):
    assert (agent.proc("root") / "sys/fs/cgroup/coffer").is_dir()


def test_the_host_s_mounts_are_as_they_were(agent):
    own = open("/proc/self/mountinfo").read()
    assert agent.folder.name not in own


def may_raise_limits():
    """CAP_SYS_RESOURCE, bit 24: a test machine that is itself a container may lack it."""
    status = open("/proc/self/status").read()
    return int(status.split("CapEff:")[1].split()[0], 16) >> 24 & 1


def test_the_agent_is_the_last_to_be_killed(agent):
    if not may_raise_limits():
        pytest.skip("no CAP_SYS_RESOURCE here")
    assert agent.proc("oom_score_adj").read_text().strip() == "-1000"


def test_no_descriptor_is_handed_down(agent):
    for name in os.listdir(agent.proc("fd")):
        if int(name) < 3:
            continue
        flags = next(line for line in agent.proc(f"fdinfo/{name}").read_text().splitlines() if line.startswith("flags:"))
        assert int(flags.split()[1], 8) & 0o2000000, f"{name} ({os.readlink(agent.proc('fd') / name)}) is not close-on-exec"


def test_idle_it_is_small(agent):
    with agent.control() as control:
        memory = control.call("agent.info")["memory"]
    pss = next(line for line in agent.proc("smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    assert int(pss.split()[1]) < 3072 and 0 < memory["pss_kib"] < 3072
    for library in ("cryptsetup", "devmapper", "kmod", "blkid", "ext2fs"):
        assert library not in agent.proc("maps").read_text(), f"process 1 has mapped {library}"


def test_it_says_that_it_serves(agent):
    assert "serves" in agent.log()
    # What it may not do here it warns of: its oom_score_adj and its limits.
    lines = [line for line in agent.log().splitlines() if may_raise_limits() or "permitted" not in line and "denied" not in line]
    assert not [line for line in lines if "warning" in line or "error" in line]


@pytest.mark.parametrize("arguments", [[], ["--listen", "/tmp"], ["--listen"], ["--version"]])
def test_not_process_1(arguments):
    done = subprocess.run([AGENT, *arguments], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert "process 1" in done.stderr and "coffer vm start" in done.stderr
    assert done.stdout == ""


def test_not_root():
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", AGENT, "--listen", "/tmp"],
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert done.returncode == 1
    assert "uid 65534" in done.stderr


@pytest.mark.parametrize(
    "prepare, words",
    [
        (": >tmp", "/tmp"),  # a file where a folder should be
        (": >run", "/run"),
        ("rm -rf sockets || true; umount sockets; rmdir sockets", "socket"),
    ],
)
def test_a_boot_that_fails_says_why(prepare, words):
    with Agent(prepare=prepare, wait=False) as agent:
        assert agent.wait() == 1
        assert "cannot go on" in agent.log() and words in agent.log()


def test_what_is_mounted_already_is_taken_as_it_is():
    """A /dev that somebody else has set up, as in a container: the table's own mounts come on top."""
    with Agent(prepare="mkdir proc && mount -t proc proc proc") as agent:
        assert "/proc" in mounts(agent)
        with agent.control() as control:
            assert control.call("agent.info")["resources"]["mounts"] > 5
