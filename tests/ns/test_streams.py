# SPDX-License-Identifier: GPL-2.0-or-later
"""The stream port, as far as it goes without a container: its opening line and the agent's log."""

import json
import struct

import pytest

from namespace import DATA, EOF, LINE_MAX, LOG, STDIN, eventually, request


def opening(params, number=1):
    return request(number, "stream.open", params)


BAD_OPENINGS = [
    (b"\n", -32700, ""),
    (b"hello\n", -32700, ""),
    (b"{}\n", -32600, "jsonrpc"),
    (request(1, "agent.info"), -32601, None),
    (request(1, "volume.list", {}), -32601, None),
    (opening({}), -32602, None),
    (opening({"colour": 1}), -32602, "colour"),
    (opening({"container": "../c"}), -32602, "container"),
    (opening({"container": ""}), -32602, "container"),
    (opening({"container": "c", "exec": ""}), -32602, "exec"),
    (opening({"container": "c", "log": True}), -32602, None),
    (opening({"exec": "e"}), -32602, None),
    (opening({"log": "yes"}), -32602, "log"),
    (opening({"container": "c"}), -32004, None),
    (opening({"container": "c", "exec": "e"}), -32004, None),
]


@pytest.mark.parametrize("line, code, field", BAD_OPENINGS)
def test_a_bad_opening_is_answered_and_ends_it(agent, line, code, field):
    with agent.wire(1025) as wire:
        wire.send(line)
        message = wire.message()
        assert message["error"]["code"] == code, message
        assert field is None or message["error"]["data"]["field"] == field, message
        assert wire.ended() and wire.buffer == b""
    with agent.control() as control:
        assert control.call("agent.info")


def test_frames_may_follow_the_opening_line_at_once(agent):
    """They are not read as lines when the opening fails."""
    with agent.wire(1025) as wire:
        wire.send(opening({"container": "c"}) + struct.pack("<BBHI", STDIN, DATA, 0, 6) + b"hello\n")
        assert wire.message()["error"]["code"] == -32004
        assert wire.ended() and wire.buffer == b""


def test_an_opening_line_that_is_too_long(agent):
    with agent.wire(1025) as wire:
        try:
            wire.send(b"x" * (LINE_MAX + 100000))
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert wire.message()["error"]["data"]["name"] == "too-large"
        assert wire.ended()


def test_there_is_no_hello(agent):
    with agent.wire(1025) as wire:
        wire.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            wire.line()


def read_log(wire, until):
    """Frames until the text is there."""
    text = b""
    while until not in text:
        channel, kind, data = wire.frame()
        assert (channel, kind) == (LOG, DATA)
        text += data
    return text


def test_the_log_so_far_and_as_it_grows(agent):
    with agent.wire(1025) as wire, agent.control() as control:
        wire.send(opening({"log": True}, number="x"))
        assert wire.message() == {"jsonrpc": "2.0", "id": "x", "result": {"terminal": False, "window": 131072}}
        text = read_log(wire, b"serves")
        assert b"coffer info: coffer-agent" in text
        control.refused("volume.detach", id="not-there-1")
        assert b"not-found" in read_log(wire, b"not-there-1")
        control.refused("volume.detach", id="not-there-2")
        read_log(wire, b"not-there-2")


def test_nothing_of_a_request_forges_a_line_of_the_log(agent):
    with agent.wire(1025) as wire, agent.control() as control:
        wire.send(opening({"log": True}))
        wire.line()
        control.raw(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "forged\n[    0.000] coffer error: all is lost"}).encode())
        control.refused("volume.detach", id="marker-1")
        lines = read_log(wire, b"marker-1").decode().splitlines()
        assert not [line for line in lines if line.startswith("[    0.000] coffer error")]
        assert all(line.startswith("[") for line in lines)


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack("<BBHI", STDIN, DATA, 0, 1) + b"x",
        struct.pack("<BBHI", STDIN, EOF, 0, 0),
        struct.pack("<BBHI", LOG, DATA, 0, 1) + b"x",
        struct.pack("<BBHI", STDIN, DATA, 0, 0xFFFFFFFF),
        b"\xff" * 64,
    ],
)
def test_the_log_takes_no_frames(agent, frame):
    with agent.wire(1025) as wire:
        wire.send(opening({"log": True}))
        wire.line()
        wire.send(frame)
        assert wire.ended()
    with agent.control() as control:
        assert control.call("agent.info")


def test_several_read_the_log(agent):
    wires = [agent.wire(1025) for _ in range(5)]
    for wire in wires:
        wire.send(opening({"log": True}))
        wire.line()
    with agent.control() as control:
        control.refused("volume.detach", id="for-all-of-them")
    for wire in wires:
        read_log(wire, b"for-all-of-them")
        wire.close()


def test_a_log_reader_that_does_not_read(agent):
    """It gets what the ring still has; the agent does not wait for it."""
    with agent.wire(1025) as deaf, agent.control() as control:
        deaf.send(opening({"log": True}))
        deaf.line()
        for number in range(3000):
            control.refused("volume.detach", id=f"line-{number}")
        assert control.call("agent.info")["memory"]["rss_kib"] < 64 * 1024
    before = agent.descriptors()
    assert eventually(lambda: agent.descriptors() <= before)
