# SPDX-License-Identifier: GPL-2.0-or-later
"""Hooks and mount commands, in a VM whose image was built to allow them."""

import json
import time

import pytest
from machine import MOUNTS, Refused, config

keys = pytest.mark.keys
ROOT = "/run/coffer/rootfs/root"


def leave(name, more=""):
    """A hook that leaves the state it was told in a file of the container's root."""
    return {"path": "/bin/sh", "args": ["sh", "-c", f"cat > {ROOT}/left-{name}; {more} true"]}


def left(debian, name, script="cat /left-%s; rm /left-%s"):
    return debian.sh(script.replace("%s", name))


@keys("Hooks.prestart", "Hooks.createRuntime", "Hooks.createContainer", "Hooks.startContainer", "Hooks.poststart", "Hooks.poststop")
def test_every_hook_runs_at_its_time(debian):
    hooks = {name: [leave(name, f"readlink /proc/self/ns/mnt > {ROOT}/ns-{name}; echo {name} >> {ROOT}/order;")] for name in ("prestart", "createRuntime", "createContainer", "poststart", "poststop")}
    hooks["startContainer"] = [{"path": "/bin/sh", "args": ["sh", "-c", "cat > /left-startContainer; readlink /proc/self/ns/mnt > /ns-startContainer; grep CapEff /proc/self/status > /caps; echo startContainer >> /order"]}]
    name = debian.create("sh", "-c", "readlink /proc/self/ns/mnt > /ns-own; echo program >> /order; exec sleep 1000", config=config(Hooks=hooks, version="1.0.2", labels=["bundle=/b/c", "k=v", "empty="]), stdio="null")
    pid = {c["id"]: c["pid"] for c in debian.machine.call("container.list")["containers"]}[name]
    debian.machine.call("container.start", id=name)
    time.sleep(0.3)
    debian.remove(name)
    order = left(debian, "", "cat /order; rm /order").split()
    assert order.index("startContainer") < order.index("program")
    assert [hook for hook in order if hook not in ("program", "poststart")] == ["prestart", "createRuntime", "createContainer", "startContainer", "poststop"]
    assert order[-1] == "poststop" and order.index("poststart") > order.index("startContainer")
    for hook, status in (("prestart", "creating"), ("createRuntime", "creating"), ("createContainer", "creating"), ("startContainer", "created"), ("poststart", "running"), ("poststop", "stopped")):
        state = json.loads(left(debian, hook))
        assert state["id"] == name and state["status"] == status and state["ociVersion"] == "1.0.2", (hook, state)
        assert state["bundle"] == state["bundlePath"] == "/b/c" and state["annotations"] == {"k": "v", "empty": ""}
        assert state["pid"] == (0 if hook == "poststop" else pid), (hook, state)
    spaces = {hook: left(debian, hook, "cat /ns-%s; rm /ns-%s").strip() for hook in ("prestart", "createRuntime", "createContainer", "startContainer", "own")}
    assert spaces["prestart"] == spaces["createRuntime"] != spaces["createContainer"] == spaces["startContainer"] == spaces["own"]
    assert int(debian.sh("cat /caps; rm /caps").split()[1], 16) == 0  # the container's own rights


@keys("Hooks.*[].path", "Hooks.*[].args", "Hooks.*[].env", "Hooks.*[].dir", "Hooks.*[].timeout")
def test_what_a_hook_gets_and_what_happens_when_it_fails(debian):
    before = debian.machine.at_rest()

    def fails(*hook, name="prestart"):
        with pytest.raises(Refused) as info:
            debian.remove(debian.create("true", config=config(Hooks={name: list(hook)})))
        assert info.value.name == "container-failed" and info.value.field == f"config.Hooks.{name}[{len(hook) - 1}]", info.value
        return info.value.message

    good = {"path": "/bin/true", "args": ["true"]}
    message = fails(good, {"path": "/bin/sh", "args": ["sh", "-c", "echo $0 $A $# $PWD; exit 3", "zero", "one"], "env": ["A=b"], "dir": "/run"})
    assert "status 3: zero b 1 /run" in message
    assert "ended with status 1" in fails({"path": "/bin/false"}, name="createRuntime")
    assert "No such file" in fails({"path": "/bin/sh", "args": ["sh", "-c", "echo x"], "dir": "/not/there"}, name="createContainer")
    began = time.monotonic()
    assert "ran past its time of 500 ms" in fails({"path": "/bin/sleep", "args": ["sleep", "30"], "timeout": 500000000})
    assert time.monotonic() - began < 10
    debian.machine.settles(before)


def test_a_failing_poststart_kills_and_a_failing_poststop_does_not_keep_the_container(debian):
    name = debian.create("sleep", "1000", config=config(Hooks={"poststart": [{"path": "/bin/false"}], "poststop": [{"path": "/bin/false"}]}), stdio="null")
    with pytest.raises(Refused) as info:
        debian.machine.call("container.start", id=name)
    assert info.value.field == "config.Hooks.poststart[0]"
    assert debian.machine.call("container.wait", id=name)["signal"] == 9
    debian.remove(name)
    deadline = time.monotonic() + 5
    while "config.Hooks.poststop[0]" not in debian.machine.console() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "config.Hooks.poststop[0]" in debian.machine.console()


def test_a_failing_start_container_hook_is_the_starts_error(debian):
    name = debian.create("sleep", "1000", config=config(Hooks={"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo broken; exit 9"]}]}), stdio="null")
    with pytest.raises(Refused) as info:
        debian.machine.call("container.start", id=name)
    assert info.value.field == "config.Hooks.startContainer[0]" and "status 9: broken" in info.value.message
    debian.remove(name)


@keys("mounts[].premount_cmds", "mounts[].postmount_cmds", *(f"mounts[].premount_cmds[].{key}" for key in ("path", "args", "env", "dir", "timeout")))
def test_commands_around_a_mount(debian):
    def command(text):
        return {"path": "/bin/sh", "args": ["sh", "-c", text], "env": ["A=value"], "dir": "/run", "timeout": 3000000000}

    def mount(before, after):
        return {"source": "t", "destination": "/media", "device": "tmpfs", "flags": 0, "premount_cmds": [command(before)], "postmount_cmds": [command(after)]}

    where = ROOT + "/media"
    out = debian.sh("cat /media/after; ls /media", config=config(mounts=MOUNTS + [mount(f"echo $A $PWD > {where}/before", f"echo $A $PWD > {where}/after")]))
    assert out.split() == ["value", "/run", "after"]
    assert debian.sh("cat /media/before; rm /media/before") == "value /run\n"
    for mounts, field in ((mount("exit 1", "true"), "premount_cmds"), (mount("true", "exit 1"), "postmount_cmds"), (mount("sleep 60", "true"), "premount_cmds")):
        with pytest.raises(Refused) as info:
            debian.create("true", config=config(mounts=MOUNTS + [mounts]))
        assert info.value.field == f"config.mounts[6].{field}[0]"


def test_only_what_the_image_names(debian):
    """A program that is there but not on the list, and one inside the container's root, are refused."""
    for path in ("/init", "/bin/sh/../sh", ROOT + "/bin/sh", "/hooks-data"):
        with pytest.raises(Refused) as info:
            debian.create("true", config=config(Hooks={"prestart": [{"path": path}]}))
        assert (info.value.name, info.value.field) == ("unsupported-field", "config.Hooks.prestart[0].path")


@keys("parent_death_signal")
def test_parent_death_signal(debian):
    script = "import ctypes; x = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(x)); print(x.value)"
    for signal in (0, 9, 15):
        for uid in (0, 1000):
            assert debian.run("python3", "-c", script, config=config(parent_death_signal=signal), uid=uid)[1] == f"{signal}\n"
