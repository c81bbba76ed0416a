# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting, stopping, and doing it again: nothing is left, inside or outside, and memory is flat."""

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
from machine import Machine, Pod, coffer, config, volume


def ours(runtime):
    """Processes of this run's folder: QEMU and the vsock bridge."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if runtime.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_two_hundred_attach_and_detach_cycles(machine, images):
    serial = machine.add_disk(images(), read_only=True)

    def cycle():
        machine.call("volume.attach", id="v", volume=volume(images(), serial))
        machine.call("volume.detach", id="v")

    for _ in range(10):
        cycle()
    before, memory = machine.at_rest(), machine.call("agent.info")["memory"]["rss_kib"]
    for _ in range(200):
        cycle()
    machine.settles(before)
    after = machine.call("agent.info")["memory"]["rss_kib"]
    print(f"the agent's memory: {memory} KiB before, {after} KiB after 200 cycles")
    assert after - memory <= 64
    machine.remove_disk(serial)


def test_the_agent_is_small(machine):
    pss = machine.call("agent.info")["memory"]["pss_kib"]
    print(f"idle: {pss} KiB")
    assert pss < 3 * 1024


def test_fifty_containers_one_after_the_other(pod):
    pod.sh("true")
    before, memory = pod.machine.at_rest(), pod.machine.call("agent.info")["memory"]["rss_kib"]
    for _ in range(50):
        assert pod.run("sh", "-c", "cat; exit 5", stdin=b"x")[:2] == (5, "x")
    pod.machine.settles(before)
    assert pod.machine.call("agent.info")["memory"]["rss_kib"] - memory <= 64


def test_ten_machines(runtime, images, tmp_path):
    """Started, used and stopped: no process, socket or folder is left."""
    processes, files = ours(runtime), set(os.listdir(runtime))
    for turn in range(10):
        vm = Machine(f"ten-{turn}")
        if turn % 5 == 0:
            pod = Pod(vm, images(), tmp_path)
            assert pod.run("echo", "hello")[1] == "hello\n"
        vm.stop()
    wait_until(lambda: set(ours(runtime)) <= set(processes))
    assert set(os.listdir(runtime)) - {".accel.json", ".lock"} == files - {".accel.json", ".lock"}


def busy(runtime, images, folder, name):
    """A machine with everything on it: a volume, a scratch, a container that runs."""
    vm = Machine(name)
    pod = Pod(vm, images(), folder)
    pod.start("sh", "-c", "trap '' TERM INT; while :; do sleep 1; done", stdio="null")
    return vm


def ended(vm):
    try:
        os.kill(vm.info["pid"], 0)
    except ProcessLookupError:
        return True
    return pathlib.Path(f"/proc/{vm.info['pid']}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def test_shutdown_takes_everything_down_in_order(runtime, images, tmp_path):
    vm = busy(runtime, images, tmp_path, "down")
    console = pathlib.Path(vm.info["console"])
    vm.call("agent.shutdown")
    wait_until(lambda: ended(vm))
    text = console.read_text(errors="replace")
    assert "shutting down" in text and "Kernel panic" not in text
    assert "did not end within" not in text and "undo " not in text.split("shutting down")[1]
    vm.control.close()
    coffer("vm", "list")


def test_the_power_button(runtime, images, tmp_path):
    vm = busy(runtime, images, tmp_path, "button")
    qmp = __import__("socket").socket(__import__("socket").AF_UNIX)
    qmp.connect(vm.info["qmp"])
    lines = qmp.makefile("r")
    lines.readline()
    for command in ("qmp_capabilities", "system_powerdown"):
        qmp.sendall(json.dumps({"execute": command}).encode() + b"\n")
        lines.readline()
    wait_until(lambda: ended(vm))
    text = pathlib.Path(vm.info["console"]).read_text(errors="replace")
    assert "power button" in text and "Kernel panic" not in text
    coffer("vm", "list")


def test_a_machine_that_is_killed_is_noticed_and_cleaned(runtime):
    processes = ours(runtime)
    vm = Machine("killed")
    os.kill(vm.info["pid"], signal.SIGKILL)
    wait_until(lambda: ended(vm))
    assert "killed" not in [found["name"] for found in json.loads(coffer("vm", "list", "--json"))]
    assert not os.path.exists(os.path.join(runtime, "killed"))
    wait_until(lambda: set(ours(runtime)) <= set(processes))


def test_not_process_one_says_so():
    agent = __import__("machine").BUILD / "coffer-agent"
    run = subprocess.run([agent], capture_output=True, text=True, timeout=10)
    assert run.returncode != 0 and "process 1" in run.stderr
