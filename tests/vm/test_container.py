# SPDX-License-Identifier: GPL-2.0-or-later
"""Containers: what a process finds, what it cannot reach, and how its streams and its end come back."""

import json
import re
import threading
import time

import pytest
from layers import until
from machine import MOUNTS, Refused, config

ALL_CAPS = ["CAP_CHOWN", "CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_DAC_OVERRIDE", "CAP_NET_ADMIN", "CAP_SYS_PTRACE"]


def status(pod, **options):
    text = pod.sh("cat /proc/self/status", **options)
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))


def test_the_surroundings(pod):
    out = pod.sh("echo $$; hostname; pwd; id -u; id -g; ls /proc | grep -c '^[0-9]'; ip -o addr show lo | grep -c 127.0.0.1; ip -o link | wc -l; umask; echo $HOME $PATH")
    pid, host, cwd, uid, gid, processes, loopback, links, mask, rest = out.splitlines()
    assert (pid, host, cwd, uid, gid, loopback, links, mask) == ("1", "box", "/", "0", "0", "1", "1", "0022")
    assert int(processes) <= 4
    assert rest == "/root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def test_process_settings(pod):
    out = pod.sh(
        "pwd; id -u; id -g; id -G; umask; echo $A $B; ulimit -n; cat /proc/self/oom_score_adj",
        cwd="/new/working/folder",
        uid=1000,
        gid=1001,
        additional_groups=[5, 6],
        umask=0o077,
        env=["A=1", "B=2", "A=3"],
        rlimits=[{"type": 7, "hard": 300, "soft": 200}],
        oom_score_adj=321,
    )
    cwd, uid, gid, groups, mask, env, files, score = out.splitlines()
    assert (cwd, uid, gid, mask, env, files, score) == ("/new/working/folder", "1000", "1001", "0077", "3 2", "200", "321")
    assert set(groups.split()) == {"1001", "5", "6"}


def test_the_agent_goes_before_what_it_starts(pod):
    """proc(5): field 19 of stat is the nice value; the agent's is seen in its own pid namespace."""
    shared = config(namespaces=[n for n in config()["namespaces"] if n["type"] != "NEWPID"])
    assert pod.sh("cut -d' ' -f19 /proc/1/stat; cut -d' ' -f19 /proc/self/stat", config=shared).split() == ["-20", "0"]


def test_a_usual_limit_of_descriptors(pod):
    assert pod.sh("ulimit -n; ulimit -Hn").split() == ["1024", "65536"]


def test_no_capabilities_unless_named(pod):
    found = status(pod)
    assert {found[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert found["NoNewPrivs"] == "0"


def test_capabilities_of_both_shapes(pod):
    found = status(pod, config=config(capabilities=["CAP_CHOWN", "CAP_KILL"], no_new_privileges=True))
    assert [int(found[key], 16) for key in ("CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb")] == [0x21, 0x21, 0x21, 0, 0]
    assert found["NoNewPrivs"] == "1"
    sets = {"Bounding": ["CAP_CHOWN", "CAP_KILL"], "Permitted": ["CAP_KILL"], "Effective": [], "Inheritable": ["CAP_KILL"], "Ambient": ["CAP_KILL"]}
    found = status(pod, config=config(capabilities=sets), uid=5)
    assert [int(found[key], 16) for key in ("CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb")] == [0x21, 0x20, 0x20, 0x20, 0x20]


def test_a_user_that_is_not_root_has_nothing(pod):
    found = status(pod, config=config(capabilities=["CAP_CHOWN"]), uid=1000)
    assert int(found["CapEff"], 16) == 0


def test_limits(pod):
    limits = {"memory": 32 << 20, "pids_limit": 20, "cpu_shares": 512, "cpu_quota": 50000, "cpu_period": 100000, "memory_swap": 32 << 20}
    mounts = MOUNTS + [{"source": "cgroup", "destination": "/sys/fs/cgroup", "device": "cgroup2", "flags": 15}]
    namespaces = config()["namespaces"] + [{"type": "NEWCGROUP"}]
    out = pod.sh("cd /sys/fs/cgroup; cat memory.max pids.max cpu.weight cpu.max memory.swap.max 2>/dev/null; cat /proc/self/cgroup", config=config(cgroups=limits, mounts=mounts, namespaces=namespaces))
    lines = out.splitlines()
    assert lines[:2] == [str(32 << 20), "20"] and lines[2] == "59" and lines[3] == "50000 100000" and lines[-1] == "0::/"


def test_the_memory_limit_kills_and_says_so(pod):
    name = pod.start("sh", "-c", "x=$(head -c 60000000 /dev/zero | tr '\\0' x); echo $x", config=config(cgroups={"memory": 16 << 20}), stdio="null")
    end = pod.machine.call("container.wait", id=name)
    pod.remove(name)
    assert end["exit_code"] in (137, 2, 1)


def test_a_fork_bomb_is_held(pod):
    name = pod.start("sh", "-c", "b() { b | b & }; b; sleep 1000", config=config(cgroups={"pids_limit": 30}), stdio="null")
    processes = lambda: pod.machine.call("container.stats", id=name)["pids"]["current"]  # noqa: E731
    until(lambda: processes() > 25)
    assert max(processes() for _ in range(50)) <= 30
    pod.remove(name)


def test_masks_and_read_only_paths(pod):
    code, out, err = pod.run(
        "sh", "-c", "wc -c < /proc/kcore; wc -c < /proc/keys; ls -A /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/core_pattern; echo $?; touch /sys/x; echo $?; echo 1 > /proc/irq/default_smp_affinity; echo $?",
        config=config(capabilities=ALL_CAPS),
    )
    assert out.split() == ["0", "0", "0", "1", "1", "1"], (out, err)
    assert err.count("Read-only file system") >= 2


def test_a_read_only_root(pod):
    code, out, err = pod.run("sh", "-c", "touch /x; echo $?; touch /dev/shm/y; echo $?", config=config(readonlyfs=True))
    assert out.split() == ["1", "0"] and "Read-only" in err


def test_devices_are_a_short_list(pod):
    out = pod.sh("cd /dev; for d in null zero full random urandom tty; do stat -c '%n %t:%T %a' $d; done; ls")
    assert out.splitlines()[:6] == ["null 1:3 666", "zero 1:5 666", "full 1:7 666", "random 1:8 666", "urandom 1:9 666", "tty 5:0 666"]
    assert set(out.splitlines()[6:]) == {"null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "mqueue", "ptmx", "fd", "stdin", "stdout", "stderr"}


def test_a_container_cannot_reach_the_disks(pod):
    """CVE-2020-2023: a node for any disk or mapping of the guest, made with CAP_MKNOD, cannot be made or opened."""
    script = "cd /root; for n in b:254:0 b:254:16 b:253:0 b:253:1 b:253:2 c:1:1 c:1:11 c:10:236 c:10:121; do IFS=: read t a b <<EOF\n$n\nEOF\nmknod n $t $a $b 2>/dev/null && dd if=n of=/dev/null bs=512 count=1 2>/dev/null && echo reached $n; rm -f n; done; mknod good c 1 3; echo x > good; echo done"
    out = pod.sh(script, config=config(capabilities=ALL_CAPS))
    assert out == "done\n"


def test_nothing_of_the_agent_can_be_reached(pod):
    """With CAP_SYS_ADMIN a container gets below its root; the initramfs that was there is empty, and so is its view of the agent."""
    out = pod.sh(
        "ls -l /proc/self/fd 2>/dev/null | grep -c 'coffer\\|socket\\|/init' || true; grep -c 'rootfs rootfs' /proc/self/mountinfo || true; ls /init /newroot /lib/modules 2>/dev/null | wc -l; cat /proc/1/comm; umount -l / ; ls /init 2>/dev/null | wc -l; true",
        config=config(capabilities=ALL_CAPS),
    )
    lines = out.splitlines()
    assert lines[0] == "0" and lines[1] == "0" and lines[2] == "0", out
    assert lines[3] == "sh"


def test_no_descriptor_leaks(pod):
    out = pod.sh("ls /proc/self/fd | tr '\\n' ' '; echo; ls -l /proc/1/fd")
    numbers = out.splitlines()[0].split()
    assert set(numbers) == {"0", "1", "2", "3"}  # 3: ls reading the folder
    assert not re.search(r"anon_inode|socket|/dev/kmsg|vsock", out)


@pytest.mark.parametrize("cwd", ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/self/cwd/../../..", "/proc/self/root/.."])
def test_working_folders_outside_are_refused_or_inside(pod, cwd):
    """CVE-2024-21626."""
    try:
        code, out, err = pod.run("sh", "-c", "pwd; ls -di . /", cwd=cwd)
    except Refused as refused:
        assert refused.name == "container-failed"
    else:
        inside = out.splitlines()
        assert inside[0].startswith("/") and "unreachable" not in out


def test_a_config_that_would_reach_out_is_refused(pod):
    def refused(name, field, **changes):
        with pytest.raises(Refused) as info:
            pod.remove(pod.create("true", config=config(**changes)))
        assert (info.value.name, info.value.field) == (name, field), info.value

    bind = {"source": "/", "destination": "/mnt", "device": "bind", "flags": 4096}
    refused("container-failed", "config.mounts[6]", mounts=MOUNTS + [bind])
    refused("container-failed", "config.mounts[6]", mounts=MOUNTS + [{**bind, "source": "/run/coffer/volume/../../.."}])
    refused("container-failed", "config.mounts[6]", mounts=MOUNTS + [{**bind, "source": "/run/coffer/volume/image", "destination": "/proc/sys"}])
    refused("container-failed", "config.mounts[6]", mounts=MOUNTS + [{"source": "x", "destination": "/x", "device": "ext4", "flags": 0}])
    refused("invalid-params", "config.namespaces", namespaces=[{"type": "NEWPID"}])
    refused("invalid-params", "config.hostname", namespaces=[{"type": "NEWNS"}])
    refused("invalid-params", "config.capabilities[0]", capabilities=["CAP_EVERYTHING"])
    refused("invalid-params", "config.mounts[0].flags", mounts=[{**MOUNTS[0], "flags": "ro"}])
    refused("invalid-params", "config.surprise", surprise=1)
    refused("invalid-params", "config.sysctl.kernel.ostype", sysctl={"kernel.ostype": "x"})
    refused("unsupported-field", "config.Hooks.prestart[0].path", Hooks={"prestart": [{"path": "/bin/true"}]})
    refused("unsupported-field", "config.mounts[0].premount_cmds[0].path", mounts=[{**MOUNTS[0], "premount_cmds": [{"path": "/bin/true"}]}])
    refused("invalid-params", "config.uid_mappings", hostname=None, namespaces=[{"type": "NEWNS"}, {"type": "NEWUSER"}])


def test_a_volume_can_be_bound_into_a_container(pod):
    bind = {"source": "/run/coffer/volume/image/etc", "destination": "/mnt/etc", "device": "bind", "flags": 4096}
    out = pod.sh("cat /mnt/etc/os-release; touch /mnt/etc/x 2>&1 || true", config=config(mounts=MOUNTS + [bind]))
    assert "ID=coffer-test" in out and "Read-only" in out


# ---- streams and ends ----


@pytest.mark.parametrize("script,code", [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$; sleep 5", 143)])
def test_exit_codes(pod, script, code):
    """The first process of a pid namespace ignores signals from within: an exec shows them."""
    if "kill" not in script:
        assert pod.run("sh", "-c", script)[0] == code
        return
    name = pod.start("sleep", "1000")
    pod.machine.call("container.exec", id=name, exec="e", process={"args": ["sh", "-c", script], "stdio": "null"})
    end = pod.machine.call("container.wait", id=name, exec="e")
    assert end == {"exit_code": code, "signal": code - 128}
    pod.remove(name)


def test_a_program_that_is_not_there(pod):
    for args, errno in ((["/no/such/program"], 2), (["nothing-in-path"], 2), (["/etc/passwd"], 13)):
        name = pod.create(*args)
        with pytest.raises(Refused) as refused:
            pod.machine.call("container.start", id=name)
        assert (refused.value.name, refused.value.errno) == ("exec-failed", errno)
        assert pod.machine.call("container.wait", id=name)["exit_code"] in (126, 127)
        pod.remove(name)


def test_all_of_the_output_and_all_of_the_input(pod):
    data = b"".join(b"%07d\n" % i for i in range(400000))  # 3.2 MB
    code, out, err = pod.run("sh", "-c", "cat; echo last words; echo other words >&2", stdin=data)
    assert code == 0 and out == data.decode() + "last words\n" and err == "other words\n"


def test_output_just_before_the_end_arrives(pod):
    for _ in range(5):
        code, out, _ = pod.run("sh", "-c", "head -c 60000 /dev/zero | tr '\\0' y; exit 3")
        assert (code, len(out)) == (3, 60000)


def test_end_of_input_reaches_the_process_while_output_flows(pod):
    name = pod.create("sh", "-c", "wc -c; sleep 0.3; echo after; sleep 0.3; echo more")
    with pod.machine.stream(name) as stream:
        pod.machine.call("container.start", id=name)
        stream.write(b"12345")
        stream.end()
        out, _ = stream.read_all()
    assert out == b"5\nafter\nmore\n"
    pod.remove(name)


def test_a_slow_reader_slows_nobody_else(pod):
    name = pod.create("sh", "-c", "yes | head -c 20000000")
    slow = pod.machine.stream(name)
    pod.machine.call("container.start", id=name)
    time.sleep(1)  # it is stuck by now, with its pipe full
    memory = pod.machine.call("agent.info")["memory"]["rss_kib"]
    began = time.monotonic()
    assert pod.run("echo", "quick")[1] == "quick\n"
    assert time.monotonic() - began < 10
    out, _ = slow.read_all()
    slow.close()
    assert len(out) == 20000000 and out == b"y\n" * 10000000
    assert pod.machine.call("agent.info")["memory"]["rss_kib"] - memory < 2048
    pod.remove(name)


def test_input_after_the_end_breaks_nothing(pod):
    """A host that is still sending when the process has ended gets all of the output, and no broken connection."""
    name = pod.create("sh", "-c", "head -c 300000 /dev/zero | tr '\\0' z")
    with pod.machine.stream(name) as stream:
        pod.machine.call("container.start", id=name)
        for _ in range(10):
            stream.write(b"late" * 1000)
        assert len(stream.read_all()[0]) == 300000
        for _ in range(10):
            stream.write(b"later" * 1000)
            time.sleep(0.02)
        stream.end()
    pod.remove(name)


def test_a_stream_can_be_taken_up_again(pod):
    name = pod.create("sh", "-c", "echo one; read x; echo two $x")
    first = pod.machine.stream(name)
    with pytest.raises(Refused) as refused:
        pod.machine.stream(name)
    assert refused.value.name == "in-use"
    pod.machine.call("container.start", id=name)
    assert first.frame() == (1, 0, b"one\n")
    first.close()
    time.sleep(0.5)
    with pod.machine.stream(name) as second:
        second.write(b"again\n")
        assert second.read_all() == (b"two again\n", b"")
    pod.remove(name)


def test_a_kept_log_for_any_number_of_readers(pod):
    name = pod.start("sh", "-c", "for i in 1 2 3; do echo line $i; done; sleep 1; echo end", stdio="log")
    streams = [pod.machine.stream(name) for _ in range(3)]
    for stream in streams:
        assert stream.read_all()[0] == b"line 1\nline 2\nline 3\nend\n"
        stream.close()
    pod.remove(name)


def test_a_terminal(pod):
    name = pod.create("sh", terminal=True, console_width=100, console_height=30, env=["PS1=ready> "])
    with pod.machine.stream(name) as stream:
        assert stream.terminal
        pod.machine.call("container.start", id=name)
        text = b""

        def until(wanted):
            nonlocal text
            while wanted not in text:
                channel, kind, data = stream.frame()
                assert (channel, kind) == (1, 0)
                text += data
            text = text.split(wanted, 1)[1]

        until(b"ready> ")
        stream.write(b"stty size; tty; echo $TERM; ls -l /dev/console\n")
        until(b"30 100")
        until(b"/dev/")
        until(b"xterm")
        until(b"136,")
        pod.machine.call("container.resize", id=name, width=55, height=11)
        stream.write(b"stty size\n")
        until(b"11 55")
        stream.write(b"sleep 100\n")
        time.sleep(0.5)
        stream.write(b"\x03")  # ctrl-c ends the sleep, not the shell
        until(b"ready> ")
        stream.write(b"exit 9\n")
        stream.read_all()
    assert pod.machine.call("container.wait", id=name)["exit_code"] == 9
    pod.remove(name)


def test_exec_joins_with_the_containers_restrictions(pod):
    name = pod.start("sleep", "1000", config=config(capabilities=["CAP_CHOWN"], no_new_privileges=True, hostname="joined"))

    def run(*args, **process):
        pod.machine.call("container.exec", id=name, exec="e", process={"args": list(args), **process})
        with pod.machine.stream(name, "e") as stream:
            stream.end()
            out, err = stream.read_all()
        return pod.machine.call("container.wait", id=name, exec="e")["exit_code"], out.decode(), err.decode()

    code, out, err = run("sh", "-c", "cat /proc/self/status /proc/self/cgroup; hostname; ps | grep -c sleep; ls /proc/self/fd | wc -l; cat /proc/self/oom_score_adj")
    found = dict(re.findall(r"^(\w+):\s*(.*)$", out, re.M))
    assert (int(found["CapBnd"], 16), int(found["CapEff"], 16), found["NoNewPrivs"]) == (1, 1, "1"), (out, err)
    assert "joined" in out and f"/coffer/{name}" in out and out.endswith("\n4\n0\n")
    assert run("sh", "-c", "id -u; pwd", uid=77, cwd="/tmp")[1] == "77\n/tmp\n"
    with pytest.raises(Refused) as refused:
        run("/nothing")
    assert refused.value.name == "exec-failed"
    assert run("true")[0] == 0  # the name is free again
    pod.remove(name)


def test_many_execs_at_once(pod):
    name = pod.start("sleep", "1000")
    with pod.machine.connect() as control:
        posted = [control.post("container.exec", {"id": name, "exec": f"e{i}", "process": {"args": ["sh", "-c", f"exit {i}"], "stdio": "null"}}) for i in range(30)]
        for number in posted:
            control.answer(number)
        waits = [control.post("container.wait", {"id": name, "exec": f"e{i}"}) for i in range(30)]
        assert [control.answer(number)["exit_code"] for number in waits] == list(range(30))
    assert pod.machine.call("container.list")["containers"][0]["execs"] == []
    pod.remove(name)


def test_execs_have_a_limit(pod):
    name = pod.start("sleep", "1000")
    with pod.machine.connect(timeout=200) as control:
        posted = [control.post("container.exec", {"id": name, "exec": f"e{i}", "process": {"args": ["true"], "stdio": "null"}}) for i in range(250)]
        for number in posted:
            control.answer(number)
        posted = [control.post("container.exec", {"id": name, "exec": f"f{i}", "process": {"args": ["true"], "stdio": "null"}}) for i in range(10)]
        refused = 0
        for number in posted:
            try:
                control.answer(number)
            except Refused as busy:
                assert busy.name == "busy"
                refused += 1
    assert refused == 4
    pod.remove(name)


def test_signals(pod):
    name = pod.start("sh", "-c", "trap 'echo got; exit 4' TERM; echo up; while :; do sleep 0.1; done")
    with pod.machine.stream(name) as stream:
        assert stream.frame() == (1, 0, b"up\n")
        pod.machine.call("container.signal", id=name, signal="SIGTERM")
        assert stream.read_all()[0] == b"got\n"
    assert pod.machine.call("container.wait", id=name)["exit_code"] == 4
    with pytest.raises(Refused) as refused:
        pod.machine.call("container.signal", id=name, signal=9)
    assert refused.value.name == "wrong-state"
    pod.remove(name)
    name = pod.start("sh", "-c", "sleep 1000 & sleep 1000 & wait", stdio="null")
    pod.machine.call("container.signal", id=name, signal="KILL", all=True)
    assert pod.machine.call("container.wait", id=name) == {"exit_code": 137, "signal": 9}
    pod.remove(name)


def test_any_number_may_wait(pod):
    name = pod.start("sleep", "1", stdio="null")
    ends = []
    threads = [threading.Thread(target=lambda: ends.append(pod.machine.connect().call("container.wait", id=name))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [{"exit_code": 0}] * 10
    assert pod.machine.call("container.wait", id=name) == {"exit_code": 0}
    pod.remove(name)


def test_states(pod):
    name = pod.create("sleep", "1000")

    def state():
        return {c["id"]: c["state"] for c in pod.machine.call("container.list")["containers"]}[name]

    assert state() == "created"
    pod.machine.call("container.start", id=name)
    assert state() == "running"
    with pytest.raises(Refused) as refused:
        pod.machine.call("container.start", id=name)
    assert refused.value.name == "wrong-state"
    with pytest.raises(Refused) as refused:
        pod.machine.call("container.remove", id=name)
    assert refused.value.name == "wrong-state"
    pod.machine.call("container.signal", id=name, signal=9)
    pod.machine.call("container.wait", id=name)
    assert state() == "stopped"
    pod.machine.call("container.remove", id=name)
    with pytest.raises(Refused) as refused:
        pod.machine.call("container.wait", id=name)
    assert refused.value.name == "not-found"


def test_a_created_container_that_is_never_started(pod):
    before = pod.machine.at_rest()
    pod.remove(pod.create("true"))
    pod.machine.settles(before)


def test_orphans_are_reaped(pod):
    """Two thousand processes whose parents have gone, in a container that shares the VM's pid namespace: PID 1 buries them."""
    shared = config(namespaces=[{"type": kind} for kind in ("NEWNS", "NEWUTS", "NEWIPC", "NEWNET")])
    before = pod.machine.at_rest()
    code, out, _ = pod.run("sh", "-c", "i=0; while [ $i -lt 500 ]; do (sh -c 'true & true & true & true &' &); i=$((i+1)); done; wait; echo done", config=shared)
    assert (code, out) == (0, "done\n")
    pod.machine.settles(before)


def test_environment_never_shows_in_an_error_or_the_log(pod):
    secret = "TOP-SECRET-VALUE"
    with pytest.raises(Refused) as refused:
        pod.create("true", env=[secret])
    assert refused.value.field == "process.env[0]" and secret not in str(refused.value)
    pod.run("true", env=[f"KEY={secret}"])
    assert secret not in pod.machine.console()


def test_containers_side_by_side(pod):
    names = [pod.start("sleep", "1000", stdio="null") for _ in range(8)]
    assert len({c["pid"] for c in pod.machine.call("container.list")["containers"]}) == 8
    assert json.dumps(pod.machine.call("container.list")).count('"running"') == 8
    for name in names:
        pod.remove(name)
