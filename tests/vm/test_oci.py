# SPDX-License-Identifier: GPL-2.0-or-later
"""OCI bundles: `coffer run --oci` as a person uses it, and `spec` of container.create."""

import copy
import fcntl
import json
import os
import pty
import re
import socket
import struct
import subprocess
import termios
import time

import pytest
from machine import BUILD, COFFER, Refused, coffer, config

BUSYBOX = BUILD / "images" / "busybox.tar"
DEBIAN = BUILD / "images" / "debian-python3.tar"
CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]

# What `runc spec` writes (1.2, on a host with cgroup v2).
EXAMPLE = {
    "ociVersion": "1.2.0",
    "process": {
        "terminal": True,
        "user": {"uid": 0, "gid": 0},
        "args": ["sh"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": True},
    "hostname": "runc",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
    ],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "maskedPaths": [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
            "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
}


def example(*args, terminal=False, **changes):
    """The example with other arguments, and with values at paths: example("true", **{"root.readonly": False}); None drops a key."""
    spec = copy.deepcopy(EXAMPLE)
    if args:
        spec["process"]["args"] = list(args)
    spec["process"]["terminal"] = terminal
    for path, value in changes.items():
        at = spec
        *parents, key = path.split(".")
        for parent in parents:
            at = at.setdefault(parent, {})
        if value is None:
            at.pop(key, None)
        else:
            at[key] = value
    return spec


@pytest.fixture(autouse=True)
def nothing_left(machine, tmp_path, monkeypatch):
    """Neither in the VM nor among the temporary files."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    before = machine.at_rest()
    yield
    machine.settles(before)
    assert os.listdir(temporary) == []


@pytest.fixture(scope="module")
def busybox(tmp_path_factory):
    folder = tmp_path_factory.mktemp("busybox") / "rootfs"
    folder.mkdir()
    subprocess.run(["tar", "-xpf", BUSYBOX, "-C", folder], check=True)
    return folder


@pytest.fixture
def bundle(tmp_path, busybox):
    """Writes a bundle on the busybox tree: bundle(spec)."""
    folder = tmp_path / "bundle"

    def make(spec):
        folder.mkdir(exist_ok=True)
        if not (folder / "rootfs").exists():
            (folder / "rootfs").symlink_to(busybox)
        (folder / "config.json").write_text(json.dumps(spec, indent=4))
        return folder

    return make


def run(machine, folder, *arguments, **more):
    more.setdefault("input", "")
    return coffer("run", machine.name, "--oci", folder, *arguments, check=False, **more)


def on_terminal(*arguments, rows=24, columns=80, keys=b""):
    """(exit code, output) of coffer with a terminal of its own; not for its own messages, which tell of slow steps."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    child = subprocess.Popen([COFFER, *map(str, arguments)], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True, start_new_session=True)
    os.close(theirs)
    os.write(ours, keys)
    output = b""
    try:
        while more := os.read(ours, 65536):
            output += more
    except OSError:  # the other side has been closed
        pass
    os.close(ours)
    messages = child.communicate(timeout=60)[1]
    assert messages == "", messages
    return child.returncode, output.decode().replace("\r\n", "\n")


# ---- bundles of the usual tools, unchanged ----


def test_skopeo_and_umoci(machine, tmp_path):
    """An image in an OCI layout, copied and unpacked by the usual tools; not a byte of the bundle is changed."""
    layout, other, folder = tmp_path / "layout", tmp_path / "copied", tmp_path / "bundle"
    script = "echo $GREETING $(pwd) $(id -u):$(id -g) $(hostname); test -t 1 && exit 42"
    for command in (
        ["umoci", "init", "--layout", layout],
        ["umoci", "new", "--image", f"{layout}:box"],
        ["umoci", "raw", "add-layer", "--image", f"{layout}:box", BUSYBOX],
        ["umoci", "config", "--image", f"{layout}:box", "--config.entrypoint", "sh", "--config.entrypoint", "-c", "--config.cmd", script,
         "--config.env", "GREETING=hello", "--config.workingdir", "/root", "--config.user", "12:34", "--config.label", "a=b"],
        ["skopeo", "--insecure-policy", "copy", f"oci:{layout}:box", f"oci:{other}:box"],
        ["umoci", "unpack", "--image", f"{other}:box", folder],
    ):  # fmt: skip
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
    before = (folder / "config.json").read_bytes()
    assert json.loads(before)["process"]["terminal"] is True
    assert on_terminal("run", machine.name, "--oci", folder) == (42, "hello /root 12:34 umoci-default\n")
    assert (folder / "config.json").read_bytes() == before


def test_the_example_of_runc_on_debian(machine, tmp_path):
    """As `runc spec` writes it, on a Debian root file system: with a terminal, and without."""
    folder = tmp_path / "bundle"
    (folder / "rootfs").mkdir(parents=True)
    subprocess.run(["tar", "-xpf", DEBIAN, "-C", folder / "rootfs"], check=True)
    (folder / "rootfs" / "marked").write_text("")
    os.setxattr(folder / "rootfs" / "marked", "user.test", b"kept")
    (folder / "config.json").write_text(json.dumps(EXAMPLE))
    code, output = on_terminal(
        "run", machine.name, "--oci", folder, rows=33, columns=101,
        keys=b"stty -echo size; tty; hostname; touch /x; echo $TERM; exit 7\n",
    )  # fmt: skip
    assert code == 7, output
    assert "33 101\n" in output and "/dev/pts/0\n" in output and "runc\n" in output and "Read-only file system" in output and "xterm\n" in output
    (folder / "config.json").write_text(json.dumps(example("python3", "-c", "import os, sys; print(os.uname().nodename, sys.stdin.read(), os.getxattr('/marked', 'user.test').decode()); print('e', file=sys.stderr); sys.exit(9)")))
    result = run(machine, folder, input="typed")
    assert (result.returncode, result.stdout, result.stderr) == (9, "runc typed kept\n", "e\n")


def test_a_vm_of_its_own(bundle, runtime):
    before = set(os.listdir(runtime))
    result = coffer("run", "--oci", bundle(example("sh", "-c", "cat; exit 4")), check=False, input="typed")
    assert (result.returncode, result.stdout) == (4, "typed"), result.stderr
    assert set(os.listdir(runtime)) == before


# ---- what the keys mean ----


def test_what_a_process_finds(machine, bundle):
    script = """
        echo user $(id -u) $(id -g) $(id -G | tr ' ' ,)
        echo umask $(umask)
        echo cwd $(pwd)
        echo env $A "$B"
        echo files $(ulimit -Sn) $(ulimit -Hn)
        echo core $(ulimit -Sc)
        echo oom $(cat /proc/self/oom_score_adj)
        grep -E '^(Cap|NoNewPrivs)' /proc/self/status
        echo host $(hostname)
        touch /x 2>&1; echo touched $?
        touch /tmp/y; echo tmp $?
        echo tmpfs $(grep ' /tmp ' /proc/self/mountinfo)
        echo masked $(cat /proc/kcore | wc -c) $(ls /sys/firmware | wc -l)
        echo 1 2>/dev/null >/proc/sys/kernel/hostname; echo sysctl $?
        echo first $(cat /proc/1/comm)
        echo cgroup $(cat /proc/self/cgroup)
        echo device $(stat -c '%F %a %u %t:%T' /dev/mine) $(stat -c %a /dev/null)
        echo loopback $(ip -o addr show lo | grep -c 127.0.0.1)
    """
    spec = example("sh", "-c", script, **{
        "process.user": {"uid": 5, "gid": 6, "umask": 0o77, "additionalGids": [7, 8]},
        "process.cwd": "/dev/shm/made",
        "process.env": ["A=1", "B=two words", "PATH=/bin"],
        "process.capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "effective": ["CAP_KILL"], "ambient": ["CAP_KILL"]},
        "process.rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 512, "hard": 18446744073709551615}],
        "process.oomScoreAdj": 77,
        "mounts": EXAMPLE["mounts"] + [{"destination": "/tmp", "type": "tmpfs", "source": "t", "options": ["noexec", "suid", "nodev", "size=64k", "mode=1777"]}],
        "linux.devices": [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 9}],
        "linux.cgroupsPath": "/some/where:else",
        "annotations": {"org.example": "yes"},
        "domainname": None,
    })  # fmt: skip
    result = run(machine, bundle(spec))
    assert result.returncode == 0, result.stderr
    assert "Read-only file system" in result.stdout
    found = dict(line.split(None, 1) for line in result.stdout.splitlines() if len(line.split()) > 1)
    assert found["user"] == "5 6 6,7,8" and found["umask"] == "0077" and found["cwd"] == "/dev/shm/made" and found["env"] == "1 two words"
    assert found["files"] == "100 200" and found["core"] == "1" and found["oom"] == "77" and found["host"] == "runc"
    assert [int(found[f"Cap{key}:"], 16) for key in ("Bnd", "Prm", "Inh", "Eff", "Amb")] == [0x21, 0x20, 0x20, 0x20, 0x20]
    assert found["NoNewPrivs:"] == "1" and found["touched"] == "1" and found["tmp"] == "0"
    assert re.search(r"/ /tmp rw,nodev,noexec,relatime .*size=64k", found["tmpfs"]) and "nosuid" not in found["tmpfs"]
    assert found["masked"] == "0 0" and found["sysctl"] != "0" and found["first"] == "sh" and found["cgroup"] == "0::/"
    assert found["device"] == "character special file 640 9 1:5 666" and found["loopback"] == "1"


def test_limits(machine, bundle):
    limits = {"memory": {"limit": 32 << 20, "swap": 32 << 20}, "pids": {"limit": 20}, "cpu": {"shares": 512, "quota": 50000, "period": 100000}}
    resources = dict(EXAMPLE["linux"]["resources"], **limits)
    script = "cd /sys/fs/cgroup; cat memory.max pids.max cpu.weight cpu.max"
    result = run(machine, bundle(example("sh", "-c", script, **{"linux.resources": resources})))
    assert result.stdout.split() == [str(32 << 20), "20", "59", "50000", "100000"], result.stderr


def test_keys_that_reach_the_kernel(machine, bundle):
    script = """
        mkdir /tmp/x 2>&1
        echo somaxconn $(cat /proc/sys/net/core/somaxconn)
        echo domain $(cat /proc/sys/kernel/domainname)
        echo from the container > /dev/kmsg; echo allowed $?
        (cat /dev/mem) 2>&1 | head -n 1
        cd /sys/fs/cgroup; echo cgroup $(cat memory.high cpuset.cpus)
        echo scheduling $(cut -d' ' -f19,41 /proc/self/stat)
        echo machine $(uname -m)
        echo uptime $(cut -d. -f1 /proc/uptime)
        echo seccomp $(grep -c '^Seccomp:.*2' /proc/self/status)
    """
    resources = {
        "devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "rw"}],
        "unified": {"memory.high": "20971520"},
        "cpu": {"cpus": "0"},
    }
    spec = example("sh", "-c", script, **{
        "linux.seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]},
        "linux.sysctl": {"net.core.somaxconn": "333"},
        "domainname": "example",
        "linux.resources": resources,
        "linux.devices": [{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}, {"path": "/dev/mem", "type": "c", "major": 1, "minor": 1}],
        "process.scheduler": {"policy": "SCHED_BATCH", "nice": 5},
        "linux.personality": {"domain": "LINUX32"},
        "linux.namespaces": EXAMPLE["linux"]["namespaces"] + [{"type": "time"}],
        "linux.timeOffsets": {"boottime": {"secs": 1000000}},
    })  # fmt: skip
    result = run(machine, bundle(spec))
    assert result.returncode == 0, result.stderr
    refused_folder, *lines = result.stdout.splitlines()
    assert "not supported" in refused_folder and "cat: can't open '/dev/mem': Operation not permitted" in lines
    found = dict(line.split(None, 1) for line in lines)
    assert (found["somaxconn"], found["domain"], found["allowed"], found["seccomp"]) == ("333", "example", "0", "1")
    assert found["cgroup"] == "20971520 0" and found["scheduling"] == "5 3" and found["machine"] == "i686" and int(found["uptime"]) >= 1000000


def test_user_namespace_and_a_hook_in_the_container(machine, bundle):
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    spec = example("sh", "-c", "cat /proc/self/uid_map /dev/shm/hooked; id -u", **{
        "linux.namespaces": EXAMPLE["linux"]["namespaces"] + [{"type": "user"}],
        "linux.uidMappings": mapping,
        "linux.gidMappings": mapping,
        "hooks": {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo $0 $H >/dev/shm/hooked", "from", "the"], "env": ["H=hook"], "timeout": 5}]},
    })  # fmt: skip
    result = run(machine, bundle(spec))
    assert result.stdout.split() == ["0", "100000", "65536", "from", "hook", "0"], result.stderr


def test_a_root_that_may_be_written(machine, bundle):
    assert run(machine, bundle(example("sh", "-c", "echo x > /etc/x; cat /etc/x", **{"root.readonly": None}))).stdout == "x\n"


def test_arguments_in_place_of_the_bundles(machine, bundle):
    result = run(machine, bundle(example("false")), "--verbose", "--", "sh", "-c", 'echo "$@"', "x", "a b", "ü\n")
    assert (result.returncode, result.stdout) == (0, "a b ü\n\n")
    assert "make images of the bundle" in result.stderr
    result = run(machine, bundle(example("false")), "--", b"\xff".decode(errors="surrogateescape"), errors="replace")
    assert result.returncode == 125 and "JSON carries nothing else" in result.stderr


def test_a_signal_while_images_are_made_leaves_nothing(machine, bundle, tmp_path):
    folder = bundle(example("true"))
    (folder / "rootfs").unlink()
    (folder / "rootfs").mkdir()
    with open(folder / "rootfs" / "large", "wb") as file:
        file.write(os.urandom(1 << 20) * 512)
    with subprocess.Popen([COFFER, "run", machine.name, "--oci", folder], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 20
        while not os.listdir(os.environ["TMPDIR"]) and time.monotonic() < deadline:
            time.sleep(0.01)
        child.terminate()
        assert child.wait(timeout=60) == 125
    assert os.listdir(os.environ["TMPDIR"]) == [] and machine.call("volume.list") == {"volumes": []}


def test_a_root_file_system_with_everything_in_it(machine, tmp_path, busybox, monkeypatch):
    """Owners, modes, links, devices, a pipe, a socket; by an absolute path."""
    root = tmp_path / "elsewhere"
    subprocess.run(["cp", "-a", busybox, root], check=True)
    (root / "srv").mkdir(exist_ok=True)
    monkeypatch.chdir(root / "srv")  # a socket's name has 107 bytes
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    os.mkfifo("pipe")
    os.mknod("device", 0o20600, os.makedev(1, 3))
    for name, mode, owner in (("suid", 0o4755, 0), ("owned", 0o640, 1234)):
        with open(name, "w") as file:
            file.write(name)
        os.chown(name, owner, owner)
        os.chmod(name, mode)
    os.symlink("/absent", "dangling")
    os.link("owned", "linked")
    monkeypatch.undo()
    folder = tmp_path / "b"
    folder.mkdir()
    script = "cd /srv; for f in socket pipe device suid owned linked dangling; do stat -c '%n %F %a %u %h' $f; done; cat suid"
    (folder / "config.json").write_text(json.dumps(example("sh", "-c", script, **{"root.path": str(root)})))
    assert run(machine, folder).stdout.splitlines() == [
        "socket socket 755 0 1", "pipe fifo 644 0 1", "device character special file 600 0 1", "suid regular file 4755 0 1",
        "owned regular file 640 1234 2", "linked regular file 640 1234 2", "dangling symbolic link 777 0 1", "suid",
    ]  # fmt: skip


def test_scratch_of_ones_own_is_kept(machine, bundle, tmp_path):
    disk = tmp_path / "scratch.img"
    assert run(machine, bundle(example("true")), "--scratch", f"{disk},2G").returncode == 0
    assert disk.stat().st_size == 2 << 30


def test_detached(machine, bundle, tmp_path):
    (tmp_path / "data").write_text("bound\n")
    mounts = EXAMPLE["mounts"] + [{"destination": "/data", "type": "none", "source": str(tmp_path / "data"), "options": ["bind", "ro"]}]
    folder = bundle(example("sh", "-c", "cat /data; exec sleep 1000", mounts=mounts))
    assert run(machine, folder, "--detach", "--id", "long").returncode == 0
    # The VM has the files open; nothing of them is left in sight.
    assert os.listdir(os.environ["TMPDIR"]) == []
    deadline = time.monotonic() + 20
    while (out := coffer("logs", machine.name, "long")) == "" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert out == "bound\n"
    assert coffer("exec", machine.name, "long", "--", "sh", "-c", "ulimit -n; grep CapEff /proc/self/status", input="").split() == ["1024", "CapEff:", "0000000020000420"]
    coffer("remove", machine.name, "long", "--force")
    assert machine.call("volume.list") == {"volumes": []}


# ---- bind mounts of the host's files ----


def test_bind_mounts_are_read_only_copies(machine, bundle, tmp_path):
    folder = bundle(example())
    (folder / "relative").mkdir()
    (folder / "relative" / "owned").write_text("deep\n")
    os.chown(folder / "relative" / "owned", 77, 78)
    (folder / "relative" / "owned").chmod(0o604)
    (tmp_path / "file").write_text("of the host\n")
    (tmp_path / "link").symlink_to("file")
    mounts = EXAMPLE["mounts"] + [
        {"destination": "/mnt/folder", "type": "bind", "source": "relative", "options": ["rbind", "rw", "rprivate"]},
        {"destination": "/mnt/file", "type": "none", "source": str(tmp_path / "link"), "options": ["bind", "ro", "nosuid", "noexec"]},
    ]
    script = "cat /mnt/folder/owned /mnt/file; stat -c '%u %g %a' /mnt/folder/owned; echo y 2>&1 >/mnt/folder/owned; grep -o ' /mnt/file [a-z,]*' /proc/self/mountinfo"
    spec = example("sh", "-c", script, mounts=mounts, **{"root.readonly": None})
    text = (bundle(spec) / "config.json").read_bytes()
    result = run(machine, folder)
    lines = result.stdout.splitlines()
    assert lines[:3] == ["deep", "of the host", "77 78 604"], result.stderr
    assert "Read-only file system" in lines[3] and {"ro", "nosuid", "noexec", "nodev"} <= set(lines[4].split()[1].split(","))
    # Who did not say that it is read-only is told.
    assert result.stderr == f"coffer: mounts[7]: the container gets a read-only copy of {folder}/relative\n"
    assert (folder / "relative" / "owned").read_text() == "deep\n" and (folder / "config.json").read_bytes() == text


def test_a_bind_mount_of_a_volume_of_the_guest(machine, bundle, images):
    """A source that is the guest's own place already is left as it is."""
    serial = machine.add_disk(images(), read_only=True)
    volume = json.loads(open(f"{images()}.json").read())
    machine.call("volume.attach", id="other", volume=dict(volume, source=f"serial:{serial}"))
    mounts = EXAMPLE["mounts"] + [{"destination": "/mnt/v", "type": "none", "source": "/run/coffer/volume/other/bin", "options": ["bind"]}]
    result = run(machine, bundle(example("ls", "/mnt/v/busybox", mounts=mounts, **{"root.readonly": None})))
    machine.call("volume.detach", id="other")
    machine.remove_disk(serial)
    assert (result.stdout, result.stderr) == ("/mnt/v/busybox\n", "")


# ---- clear words ----


@pytest.mark.parametrize("mount, words", [
    ({"source": "/no/such/file", "options": ["bind"]}, ["mounts[7].source", "/no/such/file", "No such file"]),
    ({"source": "missing", "options": ["rbind", "ro"]}, ["mounts[7].source", "bundle/missing", "No such file"]),
    ({"options": ["bind"]}, ["mounts[7].source", "missing"]),
    ({"source": "/dev/null", "options": ["bind"]}, ["mounts[7].source", "/dev/null", "neither a file nor a folder"]),
    ({"source": "/proc/sys", "options": ["rbind"]}, ["mounts[7].source", "/proc/sys", "kernel of its own"]),
    ({"source": "/sys", "options": ["rbind"]}, ["mounts[7].source", "/sys", "kernel of its own"]),
])  # fmt: skip
def test_bind_sources_that_cannot_be_had(machine, bundle, mount, words):
    folder = bundle(example("true", mounts=EXAMPLE["mounts"] + [dict({"destination": "/m", "type": "none"}, **mount)]))
    result = run(machine, folder)
    assert result.returncode == 125 and all(word in result.stderr for word in words), result.stderr


def test_bundles_that_are_none(machine, bundle, tmp_path):
    def words(folder, *arguments):
        result = run(machine, folder, *arguments)
        assert result.returncode == 125 and result.stdout == ""
        return result.stderr

    assert "config.json" in words(tmp_path) and "no OCI bundle" in words(tmp_path)
    folder = bundle(example("true", **{"root.path": "absent"}))
    assert "root.path" in words(folder) and "bundle/absent" in words(folder)
    assert "root.path" in words(bundle(example("true", **{"root.path": "config.json"}))) and "is no folder" in words(folder)
    assert "root.path is missing" in words(bundle(example("true", root=None)))
    (folder / "config.json").write_text('{"a":1,"a":2}')
    assert "duplicate" in words(folder) or "twice" in words(folder)
    folder = bundle(example("true", terminal=True))
    assert "process.terminal" in words(folder) and "standard input" in words(folder)
    assert "--detach" in words(folder, "--detach")
    folder = bundle(example("true"))
    for options in (["--image", "x"], ["--tty"], ["--env", "A=b"], ["--cwd", "/"], ["--hostname", "h"], ["--user", "1"], ["--memory-limit", "1G"], ["--config", "c"]):
        assert options[0] in words(folder, *options)
    assert "name of a VM" in coffer("run", "--oci", folder, "--keep", check=False).stderr
    assert "NAME" in coffer("run", "--scratch", "x", "--", "true", check=False).stderr


def test_a_program_that_is_not_there(machine, bundle):
    result = run(machine, bundle(example("/no/such/program")))
    assert result.returncode == 127 and "/no/such/program" in result.stderr
    result = run(machine, bundle(example("/etc/passwd")))
    assert result.returncode == 126


def test_a_refusal_names_the_place_in_the_document(machine, bundle):
    result = run(machine, bundle(example("true", **{"linux.namespaces": [{"type": "mount"}, {"type": "uts"}, {"type": "nets"}]})))
    assert result.returncode == 125 and "spec.linux.namespaces[2].type" in result.stderr and "nets" in result.stderr


# ---- the protocol ----

NAMESPACES = EXAMPLE["linux"]["namespaces"]
REFUSED = "unsupported-field"
INVALID = "invalid-params"


def refused(pod, **params):
    """The answer to a request that must be refused, and leaves nothing."""
    try:
        pod.machine.call("container.create", id="no", rootfs="root", **params)
    except Refused as answer:
        assert pod.machine.call("container.list") == {"containers": []}
        return answer
    pod.remove("no")
    pytest.fail(f"accepted: {params}")


def mount(**changes):
    return [dict({"destination": "/m", "type": "tmpfs", "source": "t"}, **changes)]


@pytest.mark.parametrize("path, value, name, field", [
    ("extra", 1, INVALID, "extra"),
    ("process.extra", 1, INVALID, "process.extra"),
    ("linux.extra", {}, INVALID, "linux.extra"),
    ("ociVersion", "2.0.0", INVALID, "ociVersion"),
    ("ociVersion", None, INVALID, "ociVersion"),
    ("root", None, INVALID, "root"),
    ("root.path", None, INVALID, "root.path"),
    ("process", None, INVALID, "process"),
    ("process.args", None, INVALID, "process.args"),
    ("process.args", [], INVALID, "process.args"),
    ("process.cwd", "relative", INVALID, "process.cwd"),
    ("process.env", ["NOVALUE"], INVALID, "process.env[0]"),
    ("process.user.username", "root", REFUSED, "process.user.username"),
    ("process.commandLine", "cmd", REFUSED, "process.commandLine"),
    ("process.capabilities.bounding", ["CAP_X"], INVALID, "process.capabilities.bounding[0]"),
    ("process.capabilities.effective", ["CAP_CHOWN"], INVALID, "process.capabilities.effective"),
    ("linux.sysctl", {"kernel.core_pattern": "x"}, INVALID, "linux.sysctl.kernel.core_pattern"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_NOTIFY"}, REFUSED, "linux.seccomp.defaultAction"),
    ("process.rlimits", [{"type": "RLIMIT_X", "hard": 1, "soft": 1}], INVALID, "process.rlimits[0].type"),
    ("process.rlimits", [{"type": "RLIMIT_CPU", "hard": 1, "soft": 2}], INVALID, "process.rlimits[0].soft"),
    ("windows", {"layerFolders": ["x"]}, REFUSED, "windows"),
    ("solaris", {"milestone": "x"}, REFUSED, "solaris"),
    ("vm", {"kernel": {"path": "/k"}}, REFUSED, "vm"),
    ("zos", {"namespaces": [{"type": "pid"}]}, REFUSED, "zos"),
    ("freebsd", {"jail": {"parent": "x"}}, REFUSED, "freebsd"),
    ("hooks", {"prestart": [{"path": "/bin/true"}]}, REFUSED, "hooks.prestart"),
    ("mounts", mount(options=["ro", 5]), INVALID, "mounts[0].options[1]"),
    ("mounts", mount(options=["bind", "size=5"]), INVALID, "mounts[0].options[1]"),
    ("mounts", mount(destination="relative"), INVALID, "mounts[0].destination"),
    ("mounts", mount(type=None), INVALID, "mounts[0].type"),
    ("mounts", mount(options=["idmap", "bind"]), REFUSED, "mounts[0]"),
    ("linux.namespaces", [], INVALID, "linux.namespaces"),
    ("linux.namespaces", NAMESPACES + NAMESPACES[:1], INVALID, "linux.namespaces[6].type"),
    ("linux.personality", {"domain": "LINUX", "flags": ["X"]}, REFUSED, "linux.personality.flags"),
    ("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_PARISC"]}, REFUSED, "linux.seccomp.architectures[0]"),
    ("linux.memoryPolicy", {"mode": "MPOL_BIND", "nodes": "0"}, REFUSED, "linux.memoryPolicy"),
    ("linux.netDevices", {"eth0": {}}, REFUSED, "linux.netDevices"),
    ("linux.intelRdt", {"closID": "x"}, REFUSED, "linux.intelRdt"),
    ("process.execCPUAffinity", {"initial": "0"}, REFUSED, "process.execCPUAffinity"),
    ("linux.resources.memory.kernel", 1 << 20, REFUSED, "linux.resources.memory.kernel"),
    ("linux.resources.network.classID", 5, REFUSED, "linux.resources.network.classID"),
    ("hostname", "h" * 65, INVALID, "hostname"),
])  # fmt: skip
def test_refusals(pod, path, value, name, field):
    answer = refused(pod, spec=example("true", **{path: value}))
    assert (answer.name, answer.field.removesuffix("[0].path").removesuffix("[0]" if "Hooks" in answer.message else "")) == (name, f"spec.{field}"), answer.message


def test_an_error_at_launch_names_the_document(pod):
    answer = refused(pod, spec=example("true", mounts=EXAMPLE["mounts"] + mount(options=["size=nonsense"])))
    assert answer.field == "spec.mounts[7]" and answer.name == "container-failed"


def test_one_form_or_the_other(pod):
    spec, process = example("true"), {"args": ["true"]}
    for params, field in (
        ({"spec": spec, "config": config()}, "config"),
        ({"spec": spec, "process": process}, "process"),
        ({"process": process}, "config"),
        ({"config": config()}, "process"),
        ({}, "config"),
        ({"config": config(), "process": process, "stdio": "log"}, "stdio"),
        ({"spec": spec, "stdio": "file"}, "stdio"),
        ({"spec": []}, "spec"),
        ({"spec": "config.json"}, "spec"),
    ):
        answer = refused(pod, **params)
        assert (answer.name, answer.field) == (INVALID, field), params


def test_a_spec_over_the_protocol(pod):
    pod.machine.call("container.create", id="spec", rootfs="root", spec=example("sh", "-c", "echo to the log"), stdio="log")
    pod.machine.call("container.start", id="spec")
    assert pod.machine.call("container.wait", id="spec") == {"exit_code": 0}
    with pod.machine.stream("spec") as stream:
        assert stream.read_all() == (b"to the log\n", b"")
    pod.remove("spec")
