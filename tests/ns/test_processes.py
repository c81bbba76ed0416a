# SPDX-License-Identifier: GPL-2.0-or-later
"""What process 1 owes the others: reaping, signals, workers that die, and an end in order."""

import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

from namespace import TEST_AGENT, Agent, eventually, request, state_of

# Each child of ours makes a grandchild and ends: the grandchild is process 1's, and ends at once.
ORPHANS = """
import os, sys
for _ in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os._exit(7)
        os._exit(0)
    os.waitpid(child, 0)
print("done")
"""

def answers_meanwhile(agent, process, within):
    """Asks until the process has ended; the slowest answer in seconds, and what the process said."""
    slowest = 0
    with agent.control() as control:
        while process.poll() is None:
            began = time.monotonic()
            control.call("agent.info")
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.02)
    assert slowest < within, f"an answer took {slowest:.2f} s"
    return process.communicate()[0]


ABSENT = {"device": {"serial": "no-such-serial"}}


def make_orphans(agent, count):
    return agent.in_namespace("/usr/bin/python3", "-c", ORPHANS, str(count), stdout=subprocess.PIPE)


def test_ten_thousand_orphans_a_second(agent, tmp_path):
    """For ten seconds.  All are buried, memory stays, and whoever asks meanwhile is answered within a second."""
    source = pathlib.Path(__file__).resolve().parent.parent / "vm" / "orphans.c"
    subprocess.run(["gcc", "-O2", "-static", "-o", agent.sockets / "orphans", source], check=True)
    with agent.control() as control:  # what it does here is in memory once
        control.call("agent.info")
    assert make_orphans(agent, 1).communicate(timeout=60)[0] == b"done\n" and eventually(lambda: not agent.children())
    rss = agent.proc("statm").read_text().split()[1]
    # Again where the machine had other work to do: it is the maker that is too slow then.
    for _ in range(3):
        process = agent.in_namespace("/sockets/orphans", "10000", "10", stdout=subprocess.PIPE)
        made, ms = map(int, answers_meanwhile(agent, process, within=1.0).split())
        assert eventually(lambda: not agent.children())
        if made >= 100000 and ms < 11000:
            break
    assert made >= 100000 and ms < 11000, f"{made} orphans in {ms} ms"
    assert int(agent.proc("statm").read_text().split()[1]) - int(rss) < 32  # pages


def test_1000_orphans_are_reaped(agent):
    assert make_orphans(agent, 1000).communicate(timeout=60)[0] == b"done\n"
    assert eventually(lambda: not agent.zombies())
    assert eventually(lambda: not agent.children())


def test_requests_are_answered_while_orphans_are_reaped(agent, control):
    makers = [make_orphans(agent, 1000) for _ in range(2)]
    slowest = 0
    while any(maker.poll() is None for maker in makers):
        start = time.monotonic()
        control.call("agent.info")
        slowest = max(slowest, time.monotonic() - start)
    assert slowest < 5
    assert eventually(lambda: not agent.zombies())


def test_an_orphan_that_lives_on_is_counted(agent, control):
    sleeper = agent.in_namespace("/bin/sh", "-c", "sleep 60 >/dev/null & echo $!", stdout=subprocess.PIPE)
    inside = int(sleeper.communicate(timeout=10)[0])
    assert eventually(lambda: len(agent.children()) == 1)
    assert control.call("agent.info")["resources"]["processes"] == 2
    agent.in_namespace("/bin/sh", "-c", f"kill -9 {inside}").wait()
    assert eventually(lambda: agent.children() == [])
    assert control.call("agent.info")["resources"]["processes"] == 1


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGALRM, signal.SIGQUIT, signal.SIGWINCH])
def test_other_signals_do_nothing(agent, control, number):
    agent.signal(number)
    assert control.call("agent.info")


def workers(agent):
    return [pid for pid in agent.children() if pathlib.Path(f"/proc/{pid}/comm").read_text() == "coffer-worker\n"]


def test_a_worker_that_is_killed_is_an_error_answer(agent, control):
    number = control.post("scratch.create", dict(ABSENT, id="s", timeout_ms=20000))
    assert eventually(lambda: workers(agent))
    os.kill(workers(agent)[0], signal.SIGKILL)
    error = control.answer(number)["error"]
    assert error["data"]["name"] == "internal-error" and "scratch.create" in error["message"]
    assert control.call("scratch.list") == {"scratches": []}
    assert eventually(lambda: not agent.children())
    # The same id is free again.
    assert control.refused("scratch.create", **dict(ABSENT, id="s", timeout_ms=1))["data"]["name"] == "no-device"


def test_a_worker_has_only_the_descriptors_that_it_needs(agent, control):
    """A connection or a listening socket that a worker held would outlive its end in the agent."""
    before = agent.descriptors()
    control.send(request(1, "scratch.create", dict(ABSENT, id="s", timeout_ms=1500)))
    assert eventually(lambda: workers(agent))
    worker = workers(agent)[0]
    assert eventually(lambda: len(os.listdir(f"/proc/{worker}/fd")) <= 5)
    agent_sockets = {os.readlink(agent.proc("fd") / name) for name in os.listdir(agent.proc("fd")) if int(name) > 2}
    worker_sockets = {os.readlink(f"/proc/{worker}/fd/{name}") for name in os.listdir(f"/proc/{worker}/fd") if int(name) > 2}
    assert not agent_sockets & worker_sockets
    assert control.message()["error"]["data"]["name"] == "no-device"
    assert eventually(lambda: agent.descriptors() <= before)


def test_signals_reach_a_worker_as_usual(agent, control):
    """The mask of process 1 is not handed down: a worker can be asked to end."""
    control.send(request(1, "scratch.create", dict(ABSENT, id="s", timeout_ms=20000)))
    assert eventually(lambda: workers(agent))
    worker = workers(agent)[0]
    status = pathlib.Path(f"/proc/{worker}/status").read_text()
    assert eventually(lambda: "SigBlk:\t0000000000000000" in pathlib.Path(f"/proc/{worker}/status").read_text()), status
    os.kill(worker, signal.SIGTERM)
    assert control.message()["error"]["data"]["name"] == "internal-error"


def test_200_failed_requests_leave_nothing(agent, control):
    def resources():
        info = control.call("agent.info")
        return info["resources"], info["objects"]

    control.refused("scratch.create", **dict(ABSENT, id="s", timeout_ms=1))
    before, memory = resources(), control.call("agent.info")["memory"]["rss_kib"]
    for number in range(200):
        control.refused("scratch.create", **dict(ABSENT, id=f"s{number}", timeout_ms=1))
    assert resources() == before
    assert control.call("agent.info")["memory"]["rss_kib"] <= memory + 256


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(fresh, number):
    with fresh.control() as control:
        fresh.signal(number)
        assert fresh.wait() == 0
        assert control.ended()
    assert "shutting down" in fresh.log()
    assert "error" not in fresh.log()


def test_twice_is_once(fresh):
    for _ in range(5):
        fresh.signal(signal.SIGTERM)
    assert fresh.wait() == 0
    assert fresh.log().count("shutting down") == 1


@pytest.mark.parametrize("reboot", [False, True])
def test_a_request_ends_it_in_order(fresh, reboot):
    with fresh.control() as control:
        assert control.call("agent.shutdown", reboot=reboot) == {}
        assert fresh.wait() == 0
        assert control.ended()


def test_while_it_ends_it_takes_no_new_work(fresh):
    with fresh.control() as control:
        control.send(
            request(1, "scratch.create", dict(ABSENT, id="s", timeout_ms=1000))
            + request(2, "agent.shutdown")
            + request(3, "scratch.create", dict(ABSENT, id="t"))
            + request(4, "agent.info")
            + request(5, "scratch.list")
            + request(6, "agent.shutdown")
        )
        answers = {}
        while len(answers) < 6:
            message = control.message()
            answers[message["id"]] = message
        assert answers[2]["result"] == {} and answers[6]["result"] == {}
        assert answers[3]["error"]["data"]["name"] == "shutting-down"
        assert answers[4]["result"] and [scratch["id"] for scratch in answers[5]["result"]["scratches"]] == ["s"]
        # What was under way has come to its end before.
        assert answers[1]["error"]["data"]["name"] == "no-device"
        assert fresh.wait() == 0


def test_what_runs_in_its_namespace_ends_with_it(fresh):
    sleeper = fresh.in_namespace("/bin/sh", "-c", "sleep 300 >/dev/null & echo", stdout=subprocess.PIPE)
    sleeper.stdout.readline()
    assert eventually(lambda: fresh.children())
    inside = fresh.children()[0]
    fresh.signal(signal.SIGTERM)
    assert fresh.wait() == 0
    assert eventually(lambda: state_of(inside) is None)
    sleeper.communicate()


def test_killed_at_any_record():
    """The build with fault points: the next worker dies at its first record, or with its result ready."""
    with Agent(TEST_AGENT) as agent, agent.control() as control:
        if "test.fault" not in control.hello["params"]["features"]:
            pytest.skip("this build has no fault points")
        for after in (1, 2, 3):
            assert control.call("test.fault", after=after) == {}
            error = control.refused("scratch.create", **dict(ABSENT, id="s", timeout_ms=1))
            assert error["data"]["name"] == "no-device"  # it fails before its first record
            assert control.call("scratch.list") == {"scratches": []}
        assert eventually(lambda: not agent.children())


def test_many_at_once(agent):
    """Threads that ask for all sorts of things: each gets its own answers."""
    failures = []

    def client(number):
        try:
            with agent.control() as control:
                for turn in range(50):
                    if turn % 10 == 0:
                        name = control.refused("scratch.create", **dict(ABSENT, id=f"s{number}", timeout_ms=5))["data"]["name"]
                        assert name == "no-device", name
                    assert control.call("scratch.list")["scratches"] is not None
                    assert control.refused("volume.detach", id=f"v{number}-{turn}")["message"].endswith(f"v{number}-{turn}: No such file or directory")
        except Exception as error:  # in a thread: told below
            failures.append((number, repr(error)))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert eventually(lambda: not agent.zombies())
