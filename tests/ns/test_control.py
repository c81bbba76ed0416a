# SPDX-License-Identifier: GPL-2.0-or-later
"""The control port: docs/PROTOCOL.md, without anything that needs a device."""

import json
import socket
import time

import pytest

from namespace import LINE_MAX, eventually, request

METHODS = [
    "agent.info", "agent.shutdown", "volume.attach", "volume.detach", "volume.list", "scratch.create", "scratch.remove", "scratch.list",
    "rootfs.create", "rootfs.remove", "rootfs.list", "container.create", "container.start", "container.exec", "container.signal",
    "container.wait", "container.resize", "container.list", "container.remove",
]  # fmt: skip

ABSENT = {"id": "s", "device": {"serial": "no-such-serial"}}


def test_hello(control):
    assert set(control.hello) == {"jsonrpc", "method", "params"}
    assert control.hello["jsonrpc"] == "2.0" and control.hello["method"] == "agent.hello"
    params = control.hello["params"]
    assert params["protocol"] == 1
    assert {"scratch", "volume.image_raw_block", "container"} <= set(params["features"])
    assert "test.fault" not in params["features"]  # this is the agent that is shipped
    assert control.refused("test.fault", after=1)["code"] == -32601


def test_info(control):
    info = control.call("agent.info")
    assert set(info) == {"version", "protocol", "features", "plain_storage", "kernel", "uptime_ms", "boot_ms", "memory", "resources", "objects"}
    assert info["version"] == control.hello["params"]["version"]
    assert info["features"] == control.hello["params"]["features"]
    assert info["uptime_ms"] >= info["boot_ms"] > 0
    assert set(info["resources"]) == {"mounts", "mappings", "loops", "keys", "descriptors", "processes", "cgroups"}
    assert info["objects"] == {"volumes": 0, "scratches": 0, "rootfs": 0, "containers": 0}
    assert info["resources"]["processes"] == 1 and info["resources"]["cgroups"] == 0


def test_lists_are_empty(control):
    assert control.call("volume.list") == {"volumes": []}
    assert control.call("scratch.list") == {"scratches": []}
    assert control.call("rootfs.list") == {"rootfs": []}
    assert control.call("container.list") == {"containers": []}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_refuses_an_unknown_field(control, method):
    error = control.refused(method, colour=1)
    assert (error["code"], error["data"]["name"], error["data"]["field"]) == (-32602, "invalid-params", "colour")
    assert error["data"]["step"] == "read the request"


# Line, code, field, the id that the answer must have.
BAD_LINES = [
    (b"", -32700, "", None),
    (b" ", -32700, "", None),
    (b"{", -32700, "", None),
    (b"hello", -32700, "", None),
    (b"{}", -32600, "jsonrpc", None),
    (b"[]", -32600, "", None),
    (b'[{"jsonrpc":"2.0","id":1,"method":"agent.info"}]', -32600, "", None),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.info"', -32700, "", None),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.info"} x', -32700, "", None),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.info","id":2}', -32700, "", None),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent.info","\\u0069d":2}', -32700, "", None),
    (b"{'jsonrpc':'2.0','id':1,'method':'agent.info'}", -32700, "", None),
    (b'{"jsonrpc":"2.0","id":NaN,"method":"agent.info"}', -32700, "", None),
    (b'{"jsonrpc":"2.0","id":18446744073709551616,"method":"agent.info"}', -32700, "", None),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent\\u0000.info"}', -32700, "", None),
    (b'{"jsonrpc":"2.0","id":1,"method":"agent\x00.info"}', -32700, "", None),
    (b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', -32700, "", None),
    (b'{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}', -32700, "", None),
    (b'{"jsonrpc":"2.0","id":1,"method":"m","params":' + b"[" * 16 + b"]" * 16 + b"}", -32700, "", None),
    (b'{"jsonrpc":"2.0","method":"agent.info"}', -32600, "id", None),
    (b'{"jsonrpc":"2.0","id":null,"method":"agent.info"}', -32600, "id", None),
    (b'{"jsonrpc":"2.0","id":1.5,"method":"agent.info"}', -32600, "id", None),
    (b'{"jsonrpc":"1.0","id":7,"method":"agent.info"}', -32600, "jsonrpc", 7),
    (b'{"jsonrpc":"2.0","id":7}', -32600, "method", 7),
    (b'{"jsonrpc":"2.0","id":7,"method":"agent.info","params":[]}', -32600, "params", 7),
    (b'{"jsonrpc":"2.0","id":7,"method":"agent.info","extra":1}', -32600, "extra", 7),
    (b'{"jsonrpc":"2.0","id":7,"method":"agent.nothing"}', -32601, "", 7),
    (b'{"jsonrpc":"2.0","id":"x","method":"AGENT.INFO"}', -32601, "", "x"),
    (b'{"jsonrpc":"2.0","id":7,"method":"volume.detach","params":{"id":"../v"}}', -32602, "id", 7),
    (b'{"jsonrpc":"2.0","id":7,"method":"volume.detach","params":{"id":"v"}}', -32004, "id", 7),
]  # fmt: skip


@pytest.mark.parametrize("line, code, field, number", BAD_LINES)
def test_a_bad_line_is_answered_and_the_connection_goes_on(control, line, code, field, number):
    message = control.raw(line)
    assert set(message) == {"jsonrpc", "id", "error"} and message["id"] == number
    error = message["error"]
    assert error["code"] == code and error["data"]["field"] == field, error
    assert error["message"] and set(error["data"]) == {"name", "step", "errno", "field"}
    assert control.call("agent.info")["protocol"] == 1


def test_all_bad_lines_at_once(control):
    control.send(b"".join(line + b"\n" for line, *_ in BAD_LINES) + request(99, "agent.info"))
    assert [control.message()["error"]["code"] for _ in BAD_LINES] == [code for _, code, *_ in BAD_LINES]
    assert control.message()["id"] == 99


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, 2**64 - 1, -(2**63), "", "a/b", 'q"\\', "\u20ac\U0001f600", "\x01" * 64, "x" * 64])
def test_ids_come_back_as_they_were(control, number):
    assert control.raw(request(number, "agent.info")[:-1])["id"] == number


def test_a_line_that_comes_byte_by_byte(control):
    for byte in request(5, "agent.info"):
        control.send(bytes([byte]))
    assert control.message()["id"] == 5


def test_lines_that_are_split_anywhere(control):
    lines = request(1, "agent.info") + request(2, "volume.list") + request(3, "no.such")
    for cut in range(1, len(lines)):
        control.send(lines[:cut])
        time.sleep(0.0005)
        control.send(lines[cut:])
        assert [control.message()["id"] for _ in range(3)] == [1, 2, 3]


def test_a_slow_line_holds_up_nobody(agent, control):
    control.send(request(5, "agent.info")[:20])
    with agent.control() as other:
        assert other.call("agent.info")
    control.send(request(5, "agent.info")[20:])
    assert control.message()["id"] == 5


def test_100_requests_in_one_go(control):
    control.send(b"".join(request(number, "agent.info") for number in range(100)))
    assert sorted(control.message()["id"] for _ in range(100)) == list(range(100))


def padded(size):
    """A request whose line, newline included, has so many bytes."""
    line = request(1, "agent.info")[:-1]
    return line + b" " * (size - 1 - len(line)) + b"\n"


def test_the_longest_line(control):
    control.send(padded(LINE_MAX))
    assert control.message()["id"] == 1
    # And again: it is the line that is bounded, not the connection.
    control.send(padded(LINE_MAX) + padded(LINE_MAX - 1) + padded(LINE_MAX))
    assert [control.message()["id"] for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("line", [padded(LINE_MAX + 1), b"x" * (LINE_MAX + 1), b"[" * (LINE_MAX + 200000), padded(3 * LINE_MAX)])
def test_a_line_that_is_too_long_ends_the_connection(agent, line):
    with agent.control() as other, agent.control() as control:
        try:
            control.send(line)
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed while we were still writing
        message = control.message()
        assert (message["id"], message["error"]["code"], message["error"]["data"]["name"]) == (None, -32001, "too-large")
        assert control.ended()
        assert other.call("agent.info")


def test_a_last_line_without_its_newline_is_dropped(agent, control):
    with agent.wire() as wire:
        wire.line()
        wire.send(request(1, "agent.info") + request(2, "agent.info")[:-1])
        assert wire.message()["id"] == 1
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.ended() and wire.buffer == b""
    assert control.call("agent.info")


def test_what_was_asked_before_a_half_close_is_answered(agent):
    with agent.control() as control:
        control.send(request(1, "scratch.create", dict(ABSENT, timeout_ms=300)) + request(2, "agent.info"))
        control.socket.shutdown(socket.SHUT_WR)
        assert {control.message()["id"], control.message()["id"]} == {1, 2}
        assert control.ended() and control.buffer == b""


def test_a_connection_that_goes_with_a_request_in_flight(agent, control):
    before = agent.descriptors()
    with agent.control() as other:
        other.post("scratch.create", dict(ABSENT, timeout_ms=500))
        assert eventually(lambda: control.call("scratch.list")["scratches"])
    # It goes on without its connection, and leaves nothing.
    assert control.call("scratch.list")["scratches"][0]["state"] == "creating"
    assert eventually(lambda: not control.call("scratch.list")["scratches"])
    assert eventually(lambda: agent.descriptors() <= before)
    assert eventually(lambda: not agent.children())


def test_an_id_is_taken_while_its_request_is_under_way(control):
    control.send(request(1, "scratch.create", dict(ABSENT, timeout_ms=400)))
    control.send(request(2, "scratch.create", dict(ABSENT, timeout_ms=400)))
    control.send(request(3, "scratch.remove", {"id": "s"}))
    answers = {message["id"]: message["error"]["data"]["name"] for message in (control.message() for _ in range(3))}
    assert answers == {1: "no-device", 2: "already-exists", 3: "wrong-state"}


def test_256_requests_in_flight_and_no_more(agent, control):
    """64 workers that wait for a device, the rest in the queue; the loop answers others all the time."""
    with agent.control(timeout=60) as busy:
        for number in range(300):
            patience = 3000 if number < 64 else 1
            busy.send(request(number, "scratch.create", {"id": f"s{number}", "device": {"serial": "none"}, "timeout_ms": patience}))
        slowest = 0
        for _ in range(20):
            start = time.monotonic()
            control.call("agent.info")
            slowest = max(slowest, time.monotonic() - start)
        assert len(agent.children()) <= 64
        names = [message["error"]["data"]["name"] for message in (busy.message() for _ in range(300))]
        assert names.count("busy") == 44 and names.count("no-device") == 256
        assert slowest < 5  # not the time that workers wait for devices
    assert control.call("scratch.list") == {"scratches": []}
    assert eventually(lambda: not agent.children())


def test_128_connections_and_no_more(agent):
    before = agent.descriptors()
    wires = [agent.wire() for _ in range(128)]
    try:
        for wire in wires:
            assert wire.message()["method"] == "agent.hello"
        with agent.wire() as one_more:
            assert one_more.ended() and one_more.buffer == b""
        # The others have not noticed, and a place that was freed is a place.
        wires[0].send(request(1, "agent.info"))
        assert wires[0].message()["id"] == 1
        wires.pop().close()
        assert eventually(lambda: greeted(agent))
    finally:
        for wire in wires:
            wire.close()
        assert eventually(lambda: agent.descriptors() <= before)


def greeted(agent):
    with agent.wire() as wire:
        try:
            return wire.message()["method"] == "agent.hello"
        except EOFError:
            return False


def test_500_connections_that_come_and_go(agent, control):
    before = agent.descriptors()
    for _ in range(500):
        agent.wire().close()
    assert control.call("agent.info")
    assert eventually(lambda: agent.descriptors() <= before)


def test_a_peer_that_does_not_read_loses_its_connection_and_nobody_else(agent, control):
    with agent.wire() as deaf:
        deaf.socket.settimeout(10)
        piece = b"".join(request(number, "agent.info") for number in range(200))
        try:
            for _ in range(500):
                deaf.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            pytest.fail("100000 answers were kept for somebody who does not read")
        assert control.call("agent.info")["memory"]["rss_kib"] < 64 * 1024
    assert control.call("agent.info")


def test_a_subscriber_that_does_not_read_loses_its_connection_and_nobody_else(agent, control):
    before = agent.descriptors()
    with agent.wire() as deaf:
        deaf.socket.settimeout(10)
        deaf.send(request(1, "events.subscribe") + request(2, "events.subscribe"))
        piece = b"".join(request(number, "agent.info") for number in range(200))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(500):
                deaf.send(piece)
        assert eventually(lambda: agent.descriptors() <= before)
        assert control.call("agent.info")
    assert control.call("events.subscribe") == {}


def test_volume_types_answer_by_name(control):
    error = control.refused("volume.attach", id="v", volume={"volume_type": "image_guest_pull", "source": "serial:x"})
    assert (error["data"]["name"], error["data"]["field"]) == ("unsupported-volume", "volume.volume_type")
    for kind in ("direct_block", "image_raw_block", "layer_raw_block", "image_nydus_block", "layer_nydus_block"):
        error = control.refused("volume.attach", id="v", volume={"volume_type": kind, "source": "serial:x", "fs_type": "erofs"})
        assert (error["data"]["name"], error["data"]["field"]) == ("not-allowed", "volume.volume_type" if kind == "direct_block" else "volume.dm_verity")
    for kind in ("image_nydus_fs", "layer_nydus_fs"):
        error = control.refused("volume.attach", id="v", volume={"volume_type": kind, "source": "serial:x", "fs_type": "erofs"})
        assert (error["data"]["name"], error["data"]["field"]) == ("invalid-params", "volume.source")
    error = control.refused("volume.attach", id="v", volume={"volume_type": "image", "source": "serial:x"})
    assert (error["data"]["name"], error["data"]["field"]) == ("invalid-params", "volume.volume_type")


@pytest.mark.parametrize(
    "signal, right",
    [(0, False), (65, False), (-1, False), ("", False), ("KILLALL", False), ("sigterm", False), ("RTMIN", False), (1.0, False), (None, False), (9, True), (64, True), ("TERM", True), ("SIGKILL", True)],
)  # fmt: skip
def test_names_and_numbers_of_signals(control, signal, right):
    error = control.refused("container.signal", id="c", signal=signal)
    assert (error["data"]["name"], error["data"]["field"]) == (("not-found", "id") if right else ("invalid-params", "signal"))


def test_no_answer_breaks_a_line(control):
    message = control.raw(json.dumps({"jsonrpc": "2.0", "id": "a\nb", "method": "no\nsuch\x7f\u2028"}).encode())
    assert message["id"] == "a\nb"
    assert "\n" not in message["error"]["message"]
