# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of a container: events, memory running out, pause, changed limits, what it uses, many waiters; on cgroup v2 and on v1."""

import contextlib
import json
import threading
import time

import pytest
from machine import BUILD, Control, Machine, Pod, Refused, config

MIB = 1 << 20
NAMESPACES = config()["namespaces"] + [{"type": "NEWCGROUP"}]
ADMIN = ["CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_DAC_OVERRIDE"]
SPIN = ["sh", "-c", "while :; do :; done"]


@pytest.fixture(scope="module", params=["v2", "v1"])
def version(request):
    return request.param


@pytest.fixture(scope="module")
def machine(version, runtime):
    """The initrd with fault points: an update is killed at every one of its records."""
    vm = Machine(f"life-{version}", "--append", f"coffer.cgroup={version}", initrd=BUILD / "test" / "initramfs.cpio.zst")
    yield vm
    assert "Kernel panic" not in vm.console()
    vm.stop()


@pytest.fixture(scope="module")
def pod(machine, images, tmp_path_factory):
    before = machine.at_rest()
    made = Pod(machine, images(), tmp_path_factory.mktemp("pod"))
    yield made
    made.close()
    machine.settles(before)


@contextlib.contextmanager
def box(pod, *args, cgroups=None, **options):
    """A container that runs, and its name."""
    name = pod.start(*args, stdio="null", config=config(cgroups=cgroups, capabilities=ADMIN, namespaces=NAMESPACES), **options)
    try:
        yield name
    finally:
        pod.remove(name)


class Events(Control):
    """A connection that has subscribed: `next` is the next event of a container."""

    def __init__(self, machine):
        super().__init__(machine.vsock, 20)
        self.kept = []
        number = self.post("events.subscribe", {})
        while (message := json.loads(self.line())).get("id") != number:
            self.kept.append(message)
        assert message["result"] == {}

    def __exit__(self, *_):
        """Reads what is left: the bridge loses the close of a connection with unread bytes, and the agent would keep its end."""
        self.socket.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            while True:
                self.more()
        self.close()

    def next(self, id=None):
        while True:
            message = self.kept.pop(0) if self.kept else json.loads(self.line())
            assert message["jsonrpc"] == "2.0" and message["method"] == "event" and "id" not in message
            event = message["params"]
            assert abs(event.pop("time_ms") / 1000 - time.time()) < 3600
            if id is None or event["id"] == id:
                return event


def refused(call, *arguments, **params):
    with pytest.raises(Refused) as info:
        call(*arguments, **params)
    return info.value.name, info.value.field


def read(pod, name, version, controller, file):
    """A file of the container's own group, by an exec with a mount of its own."""
    together = {"cpu": "cpu,cpuacct"}.get(controller, controller)
    mount = "mount -t cgroup2 none /c" if version == "v2" else f"mount -t cgroup -o {together} none /c"
    return run(pod, name, f"mkdir -p /c; {mount}; cat /c/{file}; umount /c")


def run(pod, name, script):
    pod.machine.call("container.exec", id=name, exec="r", process={"args": ["sh", "-ec", script]})
    with pod.machine.stream(name, exec="r") as stream:
        out, err = stream.read_all()
    code = pod.machine.call("container.wait", id=name, exec="r")["exit_code"]
    assert code == 0, (code, out, err)
    return out.decode().strip()


def counter(pod, name, version):
    return pod.machine.call("container.stats", id=name)["cpu"]["usage_us"]


# ---- events ----


def test_the_events_of_a_life(pod):
    with Events(pod.machine) as events:
        name = pod.create("sh", "-c", "exit 3", stdio="null")
        assert events.next(name) == {"event": "created", "id": name}
        pod.machine.call("container.start", id=name)
        assert events.next(name) == {"event": "started", "id": name}
        assert events.next(name) == {"event": "exited", "id": name, "exit_code": 3}
        pod.remove(name)
        assert events.next(name) == {"event": "removed", "id": name}


def test_the_events_of_an_exec_and_of_a_kill(pod):
    with Events(pod.machine) as events:
        with box(pod, "sleep", "1000") as name:
            assert [events.next(name)["event"] for _ in range(2)] == ["created", "started"]
            pod.machine.call("container.exec", id=name, exec="e1", process={"args": ["sleep", "1000"], "stdio": "null"})
            assert events.next(name) == {"event": "started", "id": name, "exec": "e1"}
            pod.machine.call("container.signal", id=name, exec="e1", signal="TERM")
            assert events.next(name) == {"event": "exited", "id": name, "exec": "e1", "exit_code": 143, "signal": 15}
        assert events.next(name) == {"event": "exited", "id": name, "exit_code": 137, "signal": 9}
        assert events.next(name) == {"event": "removed", "id": name}


def test_nobody_hears_what_he_did_not_ask_for(pod):
    """And nothing is told of what was not made."""
    before = time.monotonic()
    with Events(pod.machine) as events, Control(pod.machine.vsock, 1) as silent:
        refused(pod.create, "true", config=config(cgroups={"freezer": "FROZEN"}))
        name = pod.create("true", stdio="null")
        assert events.next()["id"] == name
        pod.remove(name)
        assert [events.next()["event"] for _ in range(2)] == ["exited", "removed"]
        with pytest.raises(TimeoutError):
            silent.line()
    assert time.monotonic() - before < 60


def test_a_subscriber_that_does_not_read_holds_nobody_up(pod):
    """That it is let go when too much waits for it: tests/ns/test_control.py."""
    with Events(pod.machine) as lazy, Events(pod.machine) as events, box(pod, "sleep", "1000") as name:
        slowest = 0
        for _ in range(50):
            began = time.monotonic()
            pod.machine.call("container.pause", id=name)
            pod.machine.call("container.resume", id=name)
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 2
        for each in (events, lazy):
            seen = [each.next(name)["event"] for _ in range(102)]
            assert seen.count("paused") == seen.count("resumed") == 50


def test_memory_that_runs_out_is_told(pod, version):
    with Events(pod.machine) as events:
        began = time.monotonic()
        script = "while :; do (x=$(head -c 60000000 /dev/zero | tr '\\0' x); echo $x >/dev/null); sleep 1; done"
        with box(pod, "sh", "-c", script, cgroups={"memory": 16 * MIB, "memory_swap": 16 * MIB}) as name:
            assert [events.next(name)["event"] for _ in range(2)] == ["created", "started"]
            event = events.next(name)
            assert event["event"] == "oom" and event["count"] >= 1
            assert time.monotonic() - began < 20
            time.sleep(0.5)
            stats = pod.machine.call("container.stats", id=name)["memory"]
            assert stats["oom_kill"] >= 1 and stats["limit"] == 16 * MIB


# ---- pause ----


def test_a_paused_container_stands_still(pod, version):
    with Events(pod.machine) as events, box(pod, *SPIN) as name:
        assert [events.next(name)["event"] for _ in range(2)] == ["created", "started"]
        pod.machine.call("container.pause", id=name)
        assert events.next(name) == {"event": "paused", "id": name}
        first = counter(pod, name, version)
        time.sleep(1)
        assert counter(pod, name, version) == first
        assert pod.machine.call("container.state", id=name)["state"] == "paused"
        assert {c["id"]: c["state"] for c in pod.machine.call("container.list")["containers"]}[name] == "paused"
        for method in ("container.pause", "container.start"):
            assert refused(pod.machine.call, method, id=name) == ("wrong-state", "")
        assert refused(pod.machine.call, "container.exec", id=name, exec="e", process={"args": ["true"]}) == ("wrong-state", "")
        pod.machine.call("container.resume", id=name)
        assert events.next(name) == {"event": "resumed", "id": name}
        time.sleep(1)
        assert counter(pod, name, version) > first + 100000
        assert refused(pod.machine.call, "container.resume", id=name) == ("wrong-state", "")
        assert pod.machine.call("container.state", id=name)["state"] == "running"


@pytest.mark.parametrize("how", ["signal", "all", "remove", "remove without a pid namespace"])
def test_a_paused_container_can_be_ended(pod, how):
    namespaces = [each for each in config()["namespaces"] if each["type"] != "NEWPID" or "without" not in how]
    before = pod.machine.at_rest()["processes"]
    name = pod.start("sh", "-c", "sleep 1000 & sleep 1000", stdio="null", config=config(namespaces=namespaces))
    pod.machine.call("container.pause", id=name)
    if how in ("signal", "all"):
        wait = pod.machine.control.post("container.wait", {"id": name})
        pod.machine.call("container.signal", id=name, signal="KILL", all=how == "all")
        assert pod.machine.control.answer(wait) == {"exit_code": 137, "signal": 9}
        assert pod.machine.call("container.state", id=name)["state"] == "stopped"
    pod.remove(name)
    assert pod.machine.resources()["processes"] == before


def test_only_what_runs_is_paused(pod):
    name = pod.create("sleep", "1000", stdio="null")
    assert refused(pod.machine.call, "container.pause", id=name) == ("wrong-state", "")
    assert refused(pod.machine.call, "container.resume", id=name) == ("wrong-state", "")
    pod.remove(name)
    assert refused(pod.machine.call, "container.pause", id=name) == ("not-found", "id")
    assert refused(pod.machine.call, "container.stats", id=name) == ("not-found", "id")


# ---- stats ----


def test_stats_of_known_loads(pod, version):
    script = "x=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 1000 & sleep 1000 & dd if=/dev/zero of=/root/big bs=1M count=8 2>/dev/null; sync; while :; do :; done"
    with box(pod, "sh", "-c", script, cgroups={"memory": 200 * MIB, "pids_limit": 50}) as name:
        deadline = time.monotonic() + 60

        def settled(stats):
            wrote = max([device["wbytes"] for device in stats["io"]], default=0) >= 8 * MIB or version == "v1"
            return wrote and stats["memory"]["anon"] >= 18 * MIB and stats["pids"]["current"] == 3

        # For a while: on v1 nothing else tells that dd and sync have ended.
        calm = 0
        while calm < 10 and time.monotonic() < deadline:
            calm = calm + 1 if settled(pod.machine.call("container.stats", id=name)) else 0
            time.sleep(0.2)
        pod.machine.call("container.update", id=name, resources={"cpu_quota": 20000})
        time.sleep(0.5)
        first = pod.machine.call("container.stats", id=name)
        time.sleep(3)
        second = pod.machine.call("container.stats", id=name)
        assert second["id"] == name and set(second) == {"id", "cpu", "memory", "pids", "io"}
        used = second["cpu"]["usage_us"] - first["cpu"]["usage_us"]
        assert 300000 < used < 1200000, "a fifth of a processor for three seconds"
        assert second["cpu"]["throttled"] > first["cpu"]["throttled"] and second["cpu"]["periods"] > first["cpu"]["periods"]
        assert second["cpu"]["throttled_us"] > 0
        assert abs(second["cpu"]["user_us"] + second["cpu"]["system_us"] - second["cpu"]["usage_us"]) < second["cpu"]["usage_us"] / 2
        memory = second["memory"]
        assert memory["limit"] == 200 * MIB and 18 * MIB < memory["anon"] < 100 * MIB
        assert memory["anon"] <= memory["current"] <= memory["peak"] <= memory["limit"]
        assert memory["swap"] == 0 and memory["oom_kill"] == 0 and memory["file"] >= 0 and memory["kernel"] > 0
        assert second["pids"] == {"current": 3, "limit": 50}
        # The scratch disk: 8 MiB went through it, in the group's name on v2 (v1 does not know whose pages are written back).
        assert all(set(device) == {"major", "minor", "rbytes", "wbytes", "rios", "wios"} for device in second["io"])
        if version == "v2":
            assert max(device["wbytes"] for device in second["io"]) >= 8 * MIB
            assert max(device["wios"] for device in second["io"]) > 0
    with box(pod, "sleep", "1000") as name:
        stats = pod.machine.call("container.stats", id=name)
        assert stats["memory"]["limit"] is None and stats["pids"]["limit"] is None and stats["pids"]["current"] == 1


# ---- update ----


def test_limits_of_a_live_container_change(pod, version):
    with box(pod, "sleep", "1000", cgroups={"memory": 64 * MIB, "memory_swap": 64 * MIB, "pids_limit": 100}) as name:
        update = lambda **resources: pod.machine.call("container.update", id=name, resources=resources)
        v2 = version == "v2"
        memory, both = ("memory.max", "memory.swap.max") if v2 else ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        # Up and down, by less and by more than what held: on v1 each needs its own order.
        for limit, swap in ((128, 200), (32, 40), (48, 300), (200, 250), (40, 40)):
            update(memory=limit * MIB, memory_swap=swap * MIB)
            assert read(pod, name, version, "memory", memory) == str(limit * MIB)
            assert read(pod, name, version, "memory", both) == str((swap - limit if v2 else swap) * MIB)
        update(pids_limit=33, cpu_shares=2048, cpu_quota=30000)
        assert read(pod, name, version, "pids", "pids.max") == "33"
        assert read(pod, name, version, "cpu", "cpu.weight" if v2 else "cpu.shares") == ("174" if v2 else "2048")
        assert read(pod, name, version, "memory", memory) == str(40 * MIB), "what is not named stays"
        for burst, quota in ((20000, 40000), (80000, 90000), (5000, 10000)):
            update(cpu_burst=burst, cpu_quota=quota)
            assert read(pod, name, version, "cpu", "cpu.max.burst" if v2 else "cpu.cfs_burst_us") == str(burst)
        assert pod.machine.call("container.stats", id=name)["pids"]["limit"] == 33
        assert refused(pod.machine.call, "container.update", id=name, resources={"memory": "1G"}) == ("invalid-params", "resources.memory")
        assert refused(pod.machine.call, "container.update", id=name, resources={"freezer": "FROZEN"}) == ("unsupported-field", "resources.freezer")
        pod.machine.call("container.pause", id=name)
        update(pids_limit=44)
        assert refused(pod.machine.call, "container.update", id=name, resources={"freezer": "THAWED"}) == ("wrong-state", "resources.freezer")
        pod.machine.call("container.resume", id=name)
        assert read(pod, name, version, "pids", "pids.max") == "44"


def test_a_lower_limit_binds(pod):
    with box(pod, "sleep", "1000", cgroups={"pids_limit": 100}) as name:
        assert run(pod, name, "for i in $(seq 20); do sleep 100 >/dev/null 2>&1 & done; echo all") == "all"
        pod.machine.call("container.update", id=name, resources={"pids_limit": 5})
        with pytest.raises(Refused) as info:
            pod.machine.call("container.exec", id=name, exec="f", process={"args": ["true"], "stdio": "null"})
        assert info.value.errno == 11


def test_an_exec_is_in_the_groups_too(pod):
    """Seen from its own /proc, by the names that the container's cgroup namespace gives them: the root of each."""
    with box(pod, "sleep", "1000") as name:
        lines = run(pod, name, "cat /proc/self/cgroup").splitlines()
        assert lines and all(line.endswith(":/") for line in lines), lines


def test_all_or_nothing(pod, version):
    """A value that the kernel refuses comes last: what was written before it is written back, lines of devices too."""
    v2 = version == "v2"
    throttle = lambda minor, rate: {"major": 254, "minor": minor, "rate": rate}
    with box(pod, "sleep", "1000", cgroups={"pids_limit": 100, "memory": 64 * MIB, "blkio_throttle_read_bps_device": [throttle(0, MIB)]}) as name:
        def state():
            files = [("pids", "pids.max"), ("memory", "memory.max" if v2 else "memory.limit_in_bytes"), ("blkio", "io.max" if v2 else "blkio.throttle.read_bps_device"), ("cpu", "cpu.weight" if v2 else "cpu.shares")]
            return [read(pod, name, version, *file) for file in files]

        before = state()
        change = {
            "pids_limit": 50, "memory": 32 * MIB, "cpu_shares": 100, "cpuset_cpus": "99",
            "blkio_throttle_read_bps_device": [throttle(0, 2 * MIB), throttle(16, 3 * MIB)],
        }
        assert refused(pod.machine.call, "container.update", id=name, resources=change) == ("container-failed", "resources.cpuset_cpus")
        assert state() == before
        # The worker dies after each of its records, and once when it is done.
        change["cpuset_cpus"] = "0"
        steps = 0
        while True:
            pod.machine.call("test.fault", after=steps + 1)
            try:
                pod.machine.call("container.update", id=name, resources=change)
            except Refused as error:
                assert error.name == "internal-error", error
                assert state() == before, f"killed after {steps + 1}"
                steps += 1
                continue
            break
        pod.machine.call("test.fault", after=0)
        assert steps >= 6
        after = state()
        assert after != before and after[0] == "50"


def test_usage_is_checked_when_asked(pod):
    with box(pod, "sh", "-c", "x=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 1000") as name:
        deadline = time.monotonic() + 20
        while pod.machine.call("container.stats", id=name)["memory"]["anon"] < 18 * MIB and time.monotonic() < deadline:
            time.sleep(0.1)
        change = {"memory": 8 * MIB, "memory_check_before_update": True}
        assert refused(pod.machine.call, "container.update", id=name, resources=change) == ("container-failed", "resources.memory")
        assert pod.machine.call("container.stats", id=name)["memory"]["limit"] is None
        assert pod.machine.call("container.state", id=name)["state"] == "running"


def test_device_rules_are_replaced(pod):
    rule = lambda minor, allow: {"type": 99, "major": 1, "minor": minor, "permissions": "rwm", "allow": allow}
    deny = {"type": 97, "major": -1, "minor": -1, "permissions": "rwm", "allow": False}
    probe = "for d in zero random; do head -c 1 /dev/$d >/dev/shm/o 2>/dev/shm/e && echo $d; done; true"
    with box(pod, "sleep", "1000") as name:
        see = lambda: run(pod, name, probe).split()
        # An exec's own standard streams are pipes: nothing of /dev is needed for it.
        assert see() == ["zero", "random"]
        pod.machine.call("container.update", id=name, resources={"devices": [deny, rule(8, True)]})
        assert see() == ["random"]
        pod.machine.call("container.update", id=name, resources={"pids_limit": 50})
        assert see() == ["random"], "an update that does not name them leaves the rules alone"
        pod.machine.call("container.update", id=name, resources={"devices": [deny, rule(5, True)]})
        assert see() == ["zero"]
        pod.machine.call("container.update", id=name, resources={"devices": [deny, rule(8, True), rule(5, True)]})
        assert see() == ["zero", "random"]


# ---- state, waiters, signals ----


def test_the_state_of_one(pod):
    name = pod.create("sh", "-c", "exit 4", stdio="null", config=config(labels=["a=b", "c=d"]))
    state = pod.machine.call("container.state", id=name)
    assert (state["id"], state["state"], state["rootfs"], state["cgroup"]) == (name, "created", "root", f"/sys/fs/cgroup/coffer/{name}")
    assert state["pid"] > 1 and state["args"] == ["sh", "-c", "exit 4"] and state["labels"] == ["a=b", "c=d"]
    assert state["created_ms"] > 1500000000000 and state["started_ms"] is None and state["finished_ms"] is None and "exit_code" not in state
    pod.machine.call("container.start", id=name)
    pod.machine.call("container.wait", id=name)
    state = pod.machine.call("container.state", id=name)
    assert (state["state"], state["pid"], state["exit_code"]) == ("stopped", 0, 4)
    assert state["created_ms"] <= state["started_ms"] <= state["finished_ms"]
    pod.remove(name)
    with box(pod, "sleep", "1000") as name:
        pod.machine.call("container.exec", id=name, exec="e", process={"args": ["sleep", "900"], "stdio": "null"})
        (exec,) = pod.machine.call("container.state", id=name)["execs"]
        assert exec["id"] == "e" and exec["state"] == "running" and exec["args"] == ["sleep", "900"] and exec["started_ms"] and exec["finished_ms"] is None


def test_many_wait(pod):
    with box(pod, "sleep", "1000") as name:
        connections = [pod.machine.connect() for _ in range(10)]
        waits = [(connection, connection.post("container.wait", {"id": name})) for connection in connections for _ in range(20)]
        connections[0].close()
        pod.machine.call("container.signal", id=name, signal="KILL")
        assert all(connection.answer(number) == {"exit_code": 137, "signal": 9} for connection, number in waits[20:])
        assert pod.machine.call("container.wait", id=name) == {"exit_code": 137, "signal": 9}
        for connection in connections[1:]:
            connection.close()


def test_a_signal_for_all_reaches_all(pod, version):
    """Also those in groups that the container made below its own."""
    nested = "mkdir -p /c; mount -t cgroup2 none /c; mkdir /c/below; " if version == "v2" else "mkdir -p /c; mount -t cgroup -o freezer none /c; mkdir /c/below; "
    catch = "trap 'echo x >>/root/caught' USR1; while :; do sleep 0.1; done"
    script = f"rm -f /root/caught; {nested} (echo 0 >/c/below/cgroup.procs; {catch}) & for i in 1 2 3; do ({catch}) & done; touch /root/ready; {catch}"
    with box(pod, "sh", "-c", script) as name:
        run(pod, name, "while [ ! -e /root/ready ]; do sleep 0.1; done; sleep 0.5; rm /root/ready; cat /c/below/cgroup.procs | grep -q .")
        pod.machine.call("container.signal", id=name, signal="USR1", all=True)
        run(pod, name, "n=0; while [ $(wc -l </root/caught) -lt 5 ] && [ $n -lt 50 ]; do sleep 0.1; n=$((n+1)); done; [ $(wc -l </root/caught) = 5 ]")


def test_an_agent_that_serves_while_it_freezes(pod):
    """Twenty containers, paused and resumed at once, with other requests in between."""
    names = [pod.start("sleep", "1000", stdio="null") for _ in range(20)]
    numbers = [pod.machine.control.post("container.pause", {"id": name}) for name in names]
    began = time.monotonic()
    pod.machine.call("agent.info")
    assert time.monotonic() - began < 5
    for number in numbers:
        pod.machine.control.answer(number)
    numbers = [pod.machine.control.post("container.resume", {"id": name}) for name in names]
    for number in numbers:
        pod.machine.control.answer(number)
    for name in names:
        pod.remove(name)
