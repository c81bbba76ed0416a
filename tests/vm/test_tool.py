# SPDX-License-Identifier: GPL-2.0-or-later
"""`coffer` as a person, or a script, uses it."""

import json
import subprocess
import time

import pytest
from machine import BUILD, COFFER, coffer


@pytest.fixture
def scratch(tmp_path):
    disk = tmp_path / "scratch.img"
    with disk.open("wb") as file:
        file.truncate(2 << 30)
    return disk


@pytest.fixture(autouse=True)
def nothing_left(machine):
    before = machine.at_rest()
    yield
    machine.settles(before)


def run(machine, images, scratch, *arguments, options=(), **more):
    return coffer("run", machine.name, "--image", images(), "--scratch", scratch, *options, "--", *arguments, check=False, **more)


def test_run_streams_and_exits_as_the_container_does(machine, images, scratch):
    result = run(machine, images, scratch, "sh", "-c", "cat; echo problem >&2; exit 42", input="from stdin\n")
    assert (result.returncode, result.stdout, result.stderr) == (42, "from stdin\n", "problem\n")


def test_run_takes_settings(machine, images, scratch):
    result = run(
        machine, images, scratch, "sh", "-c", "pwd; id -u; id -g; hostname; echo $K",
        options=["--cwd", "/tmp", "--user", "12:34", "--hostname", "named", "--env", "K=V"], input="",
    )
    assert result.stdout.split() == ["/tmp", "12", "34", "named", "V"], result.stderr


def test_run_of_a_program_that_is_not_there(machine, images, scratch):
    result = run(machine, images, scratch, "/no/such/program", input="")
    assert result.returncode in (126, 127) and "/no/such/program" in result.stderr


def test_run_with_a_config_of_ones_own(machine, images, scratch, tmp_path):
    own = tmp_path / "config.json"
    own.write_text(json.dumps({"namespaces": [{"type": "NEWNS"}, {"type": "NEWUTS"}], "hostname": "mine"}))
    assert run(machine, images, scratch, "hostname", options=["--config", own], input="").stdout == "mine\n"
    own.write_text(json.dumps({"namespaces": [{"type": "NEWNS"}], "sysctl": {"a": "b"}}))
    result = run(machine, images, scratch, "hostname", options=["--config", own], input="")
    assert result.returncode != 0 and "config.sysctl" in result.stderr


def test_a_megabyte_through_stdin_and_stdout(machine, images, scratch):
    data = bytes(range(256)) * 4096
    result = subprocess.run(
        [COFFER, "run", machine.name, "--image", images(), "--scratch", scratch, "--", "cat"], input=data, capture_output=True, timeout=120
    )
    assert result.returncode == 0 and result.stdout == data


def test_both_directions_full_and_a_slow_reader(machine, images, scratch, tmp_path):
    """A vsock bridge that stops both directions when one is out of credit would hang here for ever."""
    data = tmp_path / "data"
    data.write_bytes(bytes(range(251)) * 40000)
    command = f"'{COFFER}' run {machine.name} --image '{images()}' --scratch '{scratch}' -- cat < '{data}' | (sleep 3; cat) | cmp - '{data}'"
    assert subprocess.run(["bash", "-o", "pipefail", "-c", command], timeout=120).returncode == 0


def test_exec_ps_kill_logs(machine, images, scratch):
    with subprocess.Popen(
        [COFFER, "run", machine.name, "--id", "long", "--image", images(), "--scratch", scratch, "--", "sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done"],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    ) as running:
        assert running.stdout.readline() == "up\n"
        result = coffer("exec", machine.name, "long", "--", "sh", "-c", "hostname; exit 6", check=False, input="")
        assert result.returncode == 6 and result.stdout
        listed = json.loads(coffer("ps", machine.name, "--json"))
        assert "long" in json.dumps(listed) and "running" in json.dumps(listed)
        assert "long" in coffer("ps", machine.name)
        coffer("kill", machine.name, "long", "TERM")
        assert running.wait(timeout=60) == 3
    assert "serves" in coffer("logs", machine.name)
    assert "serves" in coffer("vm", "console", machine.name)


def test_the_life_of_a_container(machine, images, scratch):
    with subprocess.Popen([COFFER, "events", machine.name], stdout=subprocess.PIPE, text=True) as plain, subprocess.Popen(
        [COFFER, "events", machine.name, "--json"], stdout=subprocess.PIPE, text=True
    ) as parsed:
        time.sleep(1)
        assert run(machine, images, scratch, "sleep", "1000", options=["--id", "lived", "--detach"], input="").returncode == 0
        coffer("pause", machine.name, "lived")
        listed = json.loads(coffer("ps", machine.name, "--json"))
        assert [each["state"] for each in listed if each["id"] == "lived"] == ["paused"]
        coffer("update", machine.name, "lived", '{"pids_limit": 17}')
        coffer("update", machine.name, "lived", "-", input='{"memory":\n 67108864}')
        stats = json.loads(coffer("stats", machine.name, "lived", "--json"))
        assert stats["pids"] == {"current": 1, "limit": 17} and stats["memory"]["limit"] == 67108864
        text = coffer("stats", machine.name, "lived")
        assert "of 64 MiB" in text and "pids    1 of 17" in text, text
        result = coffer("update", machine.name, "lived", '{"memory": "1G"}', check=False)
        assert result.returncode == 1 and "resources.memory" in result.stderr
        result = coffer("update", machine.name, "lived", "[]", check=False)
        assert result.returncode == 1 and "must be a JSON object" in result.stderr
        coffer("resume", machine.name, "lived")
        assert coffer("resume", machine.name, "lived", check=False).returncode == 1
        coffer("remove", machine.name, "lived", "--force")
        wanted = ["created", "started", "paused", "resumed", "exited", "removed"]
        lines = [plain.stdout.readline() for _ in wanted]
        assert [line.split()[3] for line in lines] == wanted and all(line.split()[2] == "lived" for line in lines)
        assert "code 137 signal 9" in lines[4]
        assert [json.loads(parsed.stdout.readline())["event"] for _ in wanted] == wanted
        plain.terminate()
        parsed.terminate()


def test_an_interrupted_run_undoes_what_it_made(machine, images, scratch):
    with subprocess.Popen(
        [COFFER, "run", machine.name, "--image", images(), "--scratch", scratch, "--", "sh", "-c", "echo up; sleep 1000"],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    ) as running:
        assert running.stdout.readline() == "up\n"
        running.terminate()
        time.sleep(0.5)
        running.terminate()
        running.wait(timeout=60)
    assert machine.call("container.list") == {"containers": []}
    assert machine.call("volume.list") == {"volumes": []}


def test_call_prints_results_and_errors(machine):
    assert json.loads(coffer("call", machine.name, "agent.info"))["protocol"] == 1
    assert json.loads(coffer("call", machine.name, "volume.list", "-", input="{}")) == {"volumes": []}
    result = coffer("call", machine.name, "volume.detach", '{"id":"none"}', check=False)
    assert result.returncode == 1 and result.stdout == ""
    assert json.loads(result.stderr)["data"]["name"] == "not-found"


def test_errors_say_what_to_do(machine, images, scratch, tmp_path):
    result = coffer("call", "nobody", "agent.info", check=False)
    assert result.returncode != 0 and "nobody" in result.stderr and "vm list" in result.stderr
    result = coffer("vm", "start", machine.name, check=False)
    assert result.returncode != 0 and machine.name in result.stderr
    bare = tmp_path / "bare.img"
    bare.write_bytes(b"x" * 4096)
    result = coffer("run", machine.name, "--image", bare, "--scratch", scratch, "--", "true", check=False, input="")
    assert result.returncode != 0 and "image build" in result.stderr
    assert coffer("nonsense", check=False).returncode != 0
    assert coffer("disk", "add", machine.name, tmp_path / "missing.img,serial=x", check=False).returncode != 0


def test_image_build_is_reproducible(tmp_path):
    archive = BUILD / "images" / "busybox.tar"
    outs = []
    for name in ("a", "b"):
        described = json.loads(coffer("image", "build", archive, tmp_path / name, "--salt", "0102"))
        assert described == json.loads((tmp_path / f"{name}.json").read_text())
        outs.append((described["dm_verity"]["hash"], (tmp_path / name).read_bytes()))
    assert outs[0] == outs[1]


def test_an_image_agrees_with_veritysetup(images):
    """The hash tree is what cryptsetup's own tool makes of the same data."""
    image = images("erofs", "--salt", "00ff10", "--data-block", "512")
    verity = json.loads(open(f"{image}.json").read())["dm_verity"]
    check = subprocess.run(
        ["veritysetup", "verify", image, image, verity["hash"], f"--hash-offset={verity['offset']}"], capture_output=True, text=True
    )
    assert check.returncode == 0, check.stderr


def test_help_and_version():
    assert "vm start" in coffer("--help")
    assert coffer("--version").strip()
    for command in (["vm", "start"], ["run"], ["image", "build"], ["call"], ["exec"], ["logs"], ["disk", "add"]):
        assert "Usage" in coffer(*command, "--help")
