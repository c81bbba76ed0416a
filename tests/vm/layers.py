# SPDX-License-Identifier: GPL-2.0-or-later
"""Stores of layers on a machine, and archives for them."""

import contextlib
import io
import json
import subprocess
import tarfile
import threading
import time

from machine import DATA, EOF, STDOUT, Refused, Stream, coffer
from test_encrypted import RAW, is_free
from test_lifecycle import ended, wait_until


def tar(*entries, **options):
    """An archive: entries are (name, content or None for a directory) or tarfile.TarInfo, or (TarInfo, content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, **options) as archive:
        for entry in entries:
            head, content = entry if isinstance(entry, tuple) else (entry, b"")
            if isinstance(head, str):
                head = tarfile.TarInfo(head.rstrip("/"))
                if content is None:
                    head.type, head.mode = tarfile.DIRTYPE, 0o755
            content = content or b""
            if isinstance(content, str):
                content = content.encode()
            if head.isreg():
                head.size = len(content)
            archive.addfile(head, io.BytesIO(content))
    return out.getvalue()


def info(name, kind=tarfile.REGTYPE, **members):
    made = tarfile.TarInfo(name)
    made.type = kind
    for key, value in members.items():
        setattr(made, key, value)
    return made


class Member(tarfile.TarInfo):
    content = b""


def members(archive):
    """{name: Member}, names without "./" and the last slash."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive), tarinfo=Member) as opened:
        for member in opened:
            member.content = opened.extractfile(member).read() if member.isreg() else b""
            found[member.name.removeprefix("./").rstrip("/") or "."] = member
    return found


class Store:
    """On a scratch of its own, or on an encrypted volume that is open."""

    def __init__(self, machine, folder, name="store", size="4G", volume=None):
        self.machine, self.name, self.volume = machine, name, volume
        place = {"volume": volume}
        if not volume:
            self.disk = folder / f"{name}.img"
            subprocess.run(["truncate", "-s", size, self.disk], check=True)
            self.serial = machine.add_disk(self.disk)
            machine.call("scratch.create", id=f"{name}-disk", device={"serial": self.serial})
            place = {"scratch": f"{name}-disk"}
        self.opened = machine.call("layer.open", store=name, **place)

    def close(self):
        self.machine.call("layer.close", store=self.name)
        if not self.volume:
            self.machine.call("scratch.remove", id=f"{self.name}-disk")
            self.machine.remove_disk(self.serial)

    def create(self, id, parent=None, **params):
        return self.machine.call("layer.create", id=id, store=self.name, parent=parent, **params)

    def ids(self):
        return [layer["id"] for layer in self.machine.call("layer.list", store=self.name)["layers"]]

    def stream(self, control, number, id):
        """The agent may hear of the stream before it has read the request, or after it has refused it."""
        for _ in range(100):
            try:
                return Stream(self.machine.vsock, timeout=300, layer=id)
            except Refused as refused:
                assert refused.name == "not-found", refused
            with self.machine.connect() as other:
                other.call("layer.exists", id=id)  # a round trip: the request is read or refused by now, unless another is in the way
            control.socket.settimeout(0.05)
            try:
                control.more()
            except TimeoutError:
                pass
            finally:
                control.socket.settimeout(control.PATIENCE)
            if b"\n" in control.buffer:
                control.answer(number)  # raises
        raise AssertionError("no stream")

    def bring(self, id, archive, parent=None, cut=None, control=None, **params):
        """Imports it from a stream.  `cut`: so many bytes of it only, and no end of file."""
        own = control or self.machine.connect(timeout=300)
        try:
            number = own.post("layer.import", {"id": id, "store": self.name, "parent": parent, **params})
            with self.stream(own, number, id) as stream:
                reader = threading.Thread(target=self.read_frames, args=(stream,))
                reader.start()
                try:
                    stream.write(archive if cut is None else archive[:cut])
                    if cut is None:
                        stream.end()
                    else:
                        stream.socket.shutdown(2)
                except (OSError, AssertionError):
                    pass  # the agent has refused it: the answer tells
                try:
                    return own.answer(number)
                finally:
                    try:
                        stream.socket.shutdown(2)  # the reader is let go
                    except OSError:
                        pass
                    reader.join()
        finally:
            if not control:
                own.close()

    @staticmethod
    def read_frames(stream):
        try:
            while True:
                stream.frame()
        except (OSError, EOFError, ValueError):
            with stream.taken:
                stream.allowance += 1 << 60  # nobody waits any more
                stream.taken.notify()

    def take(self, method, id, **params):
        """(answer, bytes) of a request whose stream comes here."""
        with self.machine.connect(timeout=300) as own:
            number = own.post(method, {"id": id, **params})
            pieces = []
            with self.stream(own, number, id) as stream:
                while True:
                    try:
                        channel, kind, data = stream.frame()
                    except EOFError:
                        own.answer(number)  # raises: it says why the stream ends
                        raise
                    assert channel == STDOUT
                    if kind == EOF:
                        break
                    assert kind == DATA
                    pieces.append(data)
                answer = own.answer(number)
        return answer, b"".join(pieces)

    def abandon(self, method, id):
        """Takes the stream to its end, and does not wait for the answer: the connection that asked is closed before."""
        own = self.machine.connect(timeout=300)
        number = own.post(method, {"id": id})
        with self.stream(own, number, id) as stream:
            own.close()
            self.read_frames(stream)

    def export(self, id):
        return self.take("layer.export", id)[1]

    def changes(self, id):
        """[(path, kind)]"""
        lines = self.take("layer.changes", id)[1].decode().splitlines()
        return [(change["path"], change["kind"]) for change in map(json.loads, lines)]

    def remove_all(self):
        """Whatever a test left, mounted or not; the last first: children before parents."""
        for layer in reversed(self.machine.call("layer.list", store=self.name)["layers"]):
            for _ in range(layer["gets"]):
                self.machine.call("layer.put", id=layer["id"])
            if layer["encrypted"] and not layer["locked"]:
                self.machine.call("layer.lock", id=layer["id"])
            self.machine.call("layer.remove", id=layer["id"])


@contextlib.contextmanager
def images_store(machine, folder):
    """A store `images` that the tool opened on a scratch of its own."""
    disk = folder / "store.img"
    with disk.open("wb") as file:
        file.truncate(2 << 30)
    machine.add_disk(disk, serial="disk")
    machine.call("scratch.create", id="disk", device={"serial": "disk"})
    coffer("layer", "open", machine.name, "images", "--scratch", "disk")
    yield "images"
    for layer in reversed(machine.call("layer.list")["layers"]):
        machine.call("layer.remove", id=layer["id"])
    coffer("layer", "close", machine.name, "images", check=False)  # a test may have
    machine.call("scratch.remove", id="disk")
    machine.remove_disk("disk")


def lasting_store(machine, path, folder, new=False):
    """A store on the encrypted volume `v` of that disk, which the next VM finds again."""
    serial = machine.add_disk(path)
    machine.call("encrypted.create" if new else "encrypted.open", id="v", device={"serial": serial}, key=RAW)
    return Store(machine, folder, volume="v")


def shut_down(machine, path):
    """All is put away in order, and the disk is free."""
    machine.call("agent.shutdown")
    wait_until(lambda: ended(machine) and is_free(path))
    assert "shutdown:" not in machine.console() and "AEAD ERROR" not in machine.console()


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
