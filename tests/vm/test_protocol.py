# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/PROTOCOL.md, seen from a host that means no good."""

import json
import shutil
import subprocess
import time

import pytest
from machine import Refused, Stream, Wire

GOOD = {"jsonrpc": "2.0", "id": 1, "method": "agent.info"}


def test_hello_says_what_it_is(machine):
    with machine.connect() as control:
        assert control.hello["method"] == "agent.hello" and "id" not in control.hello
        assert control.hello["params"]["protocol"] == 1
        assert {"scratch", "volume.image_raw_block", "container"} <= set(control.hello["params"]["features"])
        assert "test.fault" not in control.hello["params"]["features"]


def test_the_readme_command(machine):
    """The very line of README, with this VM's socket."""
    if "uds" not in machine.vsock:
        pytest.skip("vhost-vsock: the other command of README applies")
    assert shutil.which("socat")
    readme = (__import__("machine").TOP / "README.md").read_text()
    command = next(line.strip() for line in readme.splitlines() if "UNIX-CONNECT" in line)
    command = command.replace("/run/coffer/pod1/vm.sock", machine.vsock["uds"])
    lines = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30).stdout.splitlines()
    assert lines[0].startswith("OK ")
    assert json.loads(lines[1])["method"] == "agent.hello"
    assert json.loads(lines[2])["result"]["protocol"] == 1 and json.loads(lines[2])["id"] == 1
    assert len(lines) == 3


WRONG = [
    (b"", "parse-error", ""),
    (b"{", "parse-error", ""),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.in', "parse-error", ""),
    (b"[]", "invalid-request", ""),
    (b'[{"jsonrpc":"2.0","id":1,"method":"agent.info"}]', "invalid-request", ""),
    (b"null", "invalid-request", ""),
    (b"{'jsonrpc':'2.0','id':1,'method':'agent.info'}", "parse-error", ""),
    (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"agent.info"}', "parse-error", ""),
    (b'{"jsonrpc":"2.0","id":1,"\\u0069d":2,"method":"agent.info"}', "parse-error", ""),
    (b'{"jsonrpc":"2.0","id":NaN,"method":"agent.info"}', "parse-error", ""),
    (b'{"jsonrpc":"2.0","id":18446744073709551616,"method":"agent.info"}', "parse-error", ""),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.info\\u0000"}', "parse-error", ""),
    (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', "parse-error", ""),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.info"} x', "parse-error", ""),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.info","params":' + b"[" * 20 + b"]" * 20 + b"}", "parse-error", ""),
    (b'{"jsonrpc":"2.0","method":"agent.info"}', "invalid-request", "id"),
    (b'{"jsonrpc":"2.0","id":null,"method":"agent.info"}', "invalid-request", "id"),
    (b'{"jsonrpc":"2.0","id":1.5,"method":"agent.info"}', "invalid-request", "id"),
    (b'{"jsonrpc":"2.0","id":"' + b"x" * 65 + b'","method":"agent.info"}', "invalid-request", "id"),
    (b'{"jsonrpc":"1.0","id":1,"method":"agent.info"}', "invalid-request", "jsonrpc"),
    (b'{"jsonrpc":"2.0","id":1}', "invalid-request", "method"),
    (b'{"jsonrpc":"2.0","id":1,"method":5}', "invalid-request", "method"),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.info","params":[]}', "invalid-request", "params"),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.info","more":1}', "invalid-request", "more"),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.explode"}', "unknown-method", ""),
    (b'{"jsonrpc":"2.0","id":1,"method":"test.fault","params":{"after":1}}', "unknown-method", ""),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.info","params":{"x":1}}', "invalid-params", "x"),
    (b'{"jsonrpc":"2.0","id":1,"method":"volume.detach","params":{}}', "invalid-params", "id"),
    (b'{"jsonrpc":"2.0","id":1,"method":"volume.detach","params":{"id":"../x"}}', "invalid-params", "id"),
    (b'{"jsonrpc":"2.0","id":1,"method":"volume.detach","params":{"id":""}}', "invalid-params", "id"),
    (b'{"jsonrpc":"2.0","id":1,"method":"volume.detach","params":{"id":"x"}}', "not-found", "id"),
    (b'{"jsonrpc":"2.0","id":1,"method":"scratch.create","params":{"id":"s","device":{}}}', "invalid-params", "device"),
    (b'{"jsonrpc":"2.0","id":1,"method":"scratch.create","params":{"id":"s","device":{"serial":"a","path":"/dev/vda"}}}', "invalid-params", "device"),
    (b'{"jsonrpc":"2.0","id":1,"method":"scratch.create","params":{"id":"s","device":{"path":"/etc/passwd"}}}', "invalid-params", "device.path"),
    (b'{"jsonrpc":"2.0","id":1,"method":"scratch.create","params":{"id":"s","device":{"path":"/dev/../dev/vda"}}}', "invalid-params", "device.path"),
    (b'{"jsonrpc":"2.0","id":1,"method":"scratch.create","params":{"id":"s","device":{"path":"/dev/null"}}}', "bad-device", ""),
    (b'{"jsonrpc":"2.0","id":1,"method":"rootfs.create","params":{"id":"r","lower":[],"scratch":"s"}}', "invalid-params", "lower"),
    (b'{"jsonrpc":"2.0","id":1,"method":"rootfs.create","params":{"id":"r","lower":["x",null],"scratch":"s"}}', "invalid-params", "lower[1]"),
    (b'{"jsonrpc":"2.0","id":1,"method":"rootfs.create","params":{"id":"r","lower":["x"],"scratch":"s"}}', "not-found", "lower[0]"),
    (b'{"jsonrpc":"2.0","id":1,"method":"container.signal","params":{"id":"c","signal":"SIGNOPE"}}', "invalid-params", "signal"),
]


@pytest.mark.parametrize("line,name,field", WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_each_wrong_line_gets_its_error_and_the_connection_goes_on(machine, line, name, field):
    with machine.connect() as control:
        answer = control.raw(line)
        error = answer["error"]
        assert (error["data"]["name"], error["data"]["field"]) == (name, field), answer
        assert error["message"] and isinstance(error["data"]["errno"], int) and "step" in error["data"]
        assert control.raw(json.dumps(GOOD).encode())["result"]["protocol"] == 1


def test_an_answer_carries_the_id_it_was_given(machine):
    with machine.connect() as control:
        for number in (0, -5, 2**63 - 1, 18446744073709551615, "a", 'q"\\/\u00e9'):
            assert control.raw(json.dumps({**GOOD, "id": number}).encode())["id"] == number


def test_a_line_that_is_too_long_ends_the_connection_and_nothing_else(machine):
    with machine.connect() as control:
        control.send(b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * (1024 * 1024))
        assert json.loads(control.line())["error"]["data"]["name"] == "too-large"
        with pytest.raises((EOFError, ConnectionError)):
            control.line()
    with machine.connect() as control:
        longest = json.dumps({**GOOD, "method": "agent.info", "id": 1}).encode()
        longest += b" " * (1024 * 1024 - 1 - len(longest))
        assert control.raw(longest)["id"] == 1


def test_many_requests_in_flight_on_many_connections(machine):
    connections = [machine.connect() for _ in range(50)]
    posted = [[control.post("agent.info") for _ in range(20)] for control in connections]
    for control, numbers in zip(connections, posted):
        for number in reversed(numbers):
            assert control.answer(number)["protocol"] == 1
    for control in connections:
        control.close()


def test_answers_come_as_the_work_ends(machine):
    """A request that waits for a disk does not hold up the one behind it."""
    with machine.connect() as control:
        slow = control.post("scratch.create", {"id": "slow", "device": {"serial": "never"}, "timeout_ms": 5000})
        quick = control.post("agent.info")
        control.answer(quick)
        assert slow not in control.early
        with pytest.raises(Refused) as refused:
            control.answer(slow)
        assert refused.value.name == "no-device"


def test_more_requests_than_may_be_in_flight_are_refused_as_busy(machine):
    with machine.connect() as control:
        waiting = [control.post("scratch.create", {"id": f"w{i}", "device": {"serial": "never"}, "timeout_ms": 400}) for i in range(256)]
        one_more = control.post("agent.info")
        with pytest.raises(Refused) as refused:
            control.answer(one_more)
        assert refused.value.name == "busy"
        for number in waiting:
            with pytest.raises(Refused):
                control.answer(number)


def test_a_slow_line_is_a_line(machine):
    with machine.connect() as control:
        for byte in json.dumps(GOOD).encode() + b"\n":
            control.send(bytes([byte]))
        assert json.loads(control.line())["id"] == 1


def test_connections_that_go_away_leave_nothing(machine):
    before = machine.at_rest()
    for cut in range(0, 60, 7):
        wire = Wire(machine.vsock, 1024)
        wire.send(json.dumps(GOOD).encode()[:cut])
        wire.close()
    for _ in range(20):
        control = machine.connect()
        control.post("scratch.create", {"id": "gone", "device": {"serial": "never"}, "timeout_ms": 300})
        control.close()
    time.sleep(1)
    machine.settles(before)


def test_too_many_connections_are_refused_and_the_others_live(machine):
    wires, refused = [], 0
    for _ in range(140):
        try:
            wires.append(machine.connect(timeout=5))
        except (EOFError, OSError, AssertionError):
            refused += 1
    assert refused >= 140 - 128 and len(wires) >= 100
    assert wires[0].call("agent.info")["protocol"] == 1
    for wire in wires:
        wire.close()
    time.sleep(0.5)
    assert machine.call("agent.info")["protocol"] == 1


STREAM_WRONG = [
    ({}, "invalid-params"),
    ({"container": "c", "log": True}, "invalid-params"),
    ({"exec": "e"}, "invalid-params"),
    ({"container": "nobody"}, "not-found"),
    ({"container": "../x"}, "invalid-params"),
]


@pytest.mark.parametrize("params,name", STREAM_WRONG)
def test_streams_that_cannot_be_opened(machine, params, name):
    with pytest.raises(Refused) as refused:
        Stream(machine.vsock, **params)
    assert refused.value.name == name


def test_the_log_is_a_stream(machine):
    with machine.connect() as control:
        control.raw(b'{"jsonrpc":"2.0","id":1,"method":"marker.in.the.log"}')
    with Stream(machine.vsock, log=True) as log:
        text = b""
        while b"marker.in.the.log" not in text:
            channel, kind, data = log.frame()
            assert (channel, kind) == (3, 0)
            text += data
    assert b"serves" in text


@pytest.mark.parametrize("frame", [b"\x01\x00\x00\x00\x01\x00\x00\x00x", b"\x00\x07\x00\x00\x00\x00\x00\x00", b"\x00\x00\x01\x00\x01\x00\x00\x00x", b"\x00\x00\x00\x00\xff\xff\xff\xff"])
def test_a_frame_that_breaks_the_protocol_ends_its_connection(machine, frame):
    with Stream(machine.vsock, log=True) as log:
        log.send(frame)
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                log.frame()
    assert machine.call("agent.info")["protocol"] == 1
