# SPDX-License-Identifier: GPL-2.0-or-later
"""Many at once, many after each other, and many that nobody waits for: nothing is left, memory does not grow, and whoever asks is
answered within a second."""

import contextlib
import pathlib
import subprocess
import threading
import time

import pytest
from machine import config

pytestmark = pytest.mark.alone


@contextlib.contextmanager
def answered(machine, within=1.0):
    """Asks all the time, on a connection of its own; an answer that takes longer fails the test."""
    slowest, over = [0.0], threading.Event()
    control = machine.connect(timeout=120)

    def ask():
        while not over.is_set():
            began = time.monotonic()
            control.call("container.list")
            slowest[0] = max(slowest[0], time.monotonic() - began)
            time.sleep(0.05)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield slowest
    finally:
        over.set()
        thread.join()
        control.close()
    assert slowest[0] < within, f"an answer took {slowest[0]:.2f} s"


def test_a_hundred_containers_at_once(pod):
    before = pod.machine.at_rest()
    names = [f"many{i}" for i in range(100)]
    with answered(pod.machine), pod.machine.connect(timeout=300) as control:
        for method, more in (("container.create", {"rootfs": "root", "config": config(), "process": {"args": ["sleep", "1000"], "stdio": "null"}}), ("container.start", {})):
            for number in [control.post(method, {"id": name, **more}) for name in names]:
                control.answer(number)
        shown = control.call("container.list")["containers"]
        assert len({c["pid"] for c in shown}) == 100 and {c["state"] for c in shown} == {"running"}
        assert pod.sh("echo and one more") == "and one more\n"
        for number in [control.post("container.remove", {"id": name, "force": True}) for name in names]:
            control.answer(number)
    pod.machine.settles(before)


CYCLES, AT_ONCE = 2000, 8


def lives(pod, numbers):
    """Whole lives of containers, several at a time: create, start, wait, remove."""
    failures, lock = [], threading.Lock()

    def live(control, number):
        name = f"cycle{number}"
        control.call("container.create", id=name, rootfs="root", config=config(), process={"args": ["sh", "-c", f"exit {number % 7}"], "stdio": "null"})
        control.call("container.start", id=name)
        assert control.call("container.wait", id=name)["exit_code"] == number % 7
        control.call("container.remove", id=name)

    def work():
        with pod.machine.connect(timeout=120) as control:
            while not failures:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    live(control, number)
                except Exception as failure:  # noqa: BLE001 - shown below
                    failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_two_thousand_containers_after_each_other(pod):
    """The memory of PID 1 is compared, idle, after the first two hundred and after all."""
    before = pod.machine.at_rest()
    with answered(pod.machine):
        inside = pod.machine.resources()
        lives(pod, iter(range(200)))
        pod.machine.settles(inside)
        memory = pod.machine.call("agent.info")["memory"]["pss_kib"]
        lives(pod, iter(range(200, CYCLES)))
    pod.machine.settles(before)
    assert pod.machine.call("agent.info")["memory"]["pss_kib"] - memory < 64


def test_as_many_orphans_as_the_machine_makes(pod, tmp_path):
    """For ten seconds, in a container of the VM's own pid namespace: PID 1 buries them all, and answers meanwhile.  10,000 a second are
    asked for; an emulated processor makes hundreds (tests/ns/test_processes.py has the whole rate, on a real one)."""
    source = pathlib.Path(__file__).with_name("orphans.c")
    subprocess.run(["gcc", "-O2", "-static", "-o", tmp_path / "orphans", source], check=True)
    assert pod.run("sh", "-c", "cat > /bin/orphans; chmod 755 /bin/orphans", stdin=(tmp_path / "orphans").read_bytes())[0] == 0
    shared = config(namespaces=[n for n in config()["namespaces"] if n["type"] != "NEWPID"])
    before, memory = pod.machine.at_rest(), pod.machine.call("agent.info")["memory"]["pss_kib"]
    with answered(pod.machine):
        out = pod.sh("orphans 10000 10", config=shared)
    made, ms = map(int, out.split())
    print(f"{made} orphans in {ms} ms")
    assert made >= 1000 and ms < 15000
    pod.machine.settles(before)
    assert pod.machine.call("agent.info")["memory"]["pss_kib"] - memory < 128
