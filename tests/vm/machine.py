# SPDX-License-Identifier: GPL-2.0-or-later
"""A utility VM for tests, and a client of the documented protocol (docs/PROTOCOL.md) that shares no code with the agent."""

import itertools
import json
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", TOP / "build")).resolve()
COFFER = BUILD / "coffer"

DATA, EOF, TAKEN = 0, 1, 2
STDIN, STDOUT, STDERR, LOG = 0, 1, 2, 3


class Refused(Exception):
    """An error answer."""

    def __init__(self, error):
        super().__init__(json.dumps(error))
        self.error = error
        self.code, self.message = error["code"], error["message"]
        self.name, self.step = error["data"]["name"], error["data"]["step"]
        self.errno, self.field = error["data"]["errno"], error["data"]["field"]


class Wire:
    """One vsock connection, of either kind."""

    def __init__(self, vsock, port, timeout=60):
        self.buffer = b""
        if "uds" in vsock:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(vsock["uds"])
            self.send(b"CONNECT %d\n" % port)
            assert self.line().startswith(b"OK ")
        else:
            self.socket = socket.socket(socket.AF_VSOCK)
            self.socket.settimeout(timeout)
            self.socket.connect((vsock["cid"], port))

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError
        self.buffer += data

    def line(self):
        while b"\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def exactly(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Control(Wire):
    """The control port.  `call` is one request and its answer; `post` and `answer` are its halves, for many in flight."""

    # Debian's vsock bridge (vhost-device-vsock 0.3) misses a wake-up now and then: what the host sends waits until something else happens.
    PATIENCE = 20

    def __init__(self, vsock, timeout=60):
        super().__init__(vsock, 1024, min(timeout, self.PATIENCE))
        self.vsock, self.timeout = vsock, timeout
        self.hello = json.loads(self.line())
        self.ids = itertools.count(1)
        self.early = {}

    def post(self, method, params=None):
        number = next(self.ids)
        request = {"jsonrpc": "2.0", "id": number, "method": method}
        if params is not None:
            request["params"] = params
        self.send(json.dumps(request).encode() + b"\n")
        return number

    def answer(self, number):
        end = time.monotonic() + self.timeout
        while number not in self.early:
            try:
                message = json.loads(self.line())
            except TimeoutError:
                others = self.others()  # which wakes the bridge, if it sleeps
                if time.monotonic() >= end:
                    raise TimeoutError(f"request {number} has no answer; {others}") from None
                print(f"{self.PATIENCE} s without an answer to request {number}; {others}")
                continue
            self.early[message["id"]] = message
        message = self.early.pop(number)
        if "error" in message:
            raise Refused(message["error"])
        return message["result"]

    def others(self):
        """Is it the agent, or this connection?"""
        try:
            with Control(self.vsock, 10) as second:
                return f"on another connection the agent answers: {second.call('agent.info')}"
        except (OSError, EOFError, AssertionError) as failure:
            return f"nor does the agent answer on another connection: {failure!r}"

    def call(self, method, **params):
        return self.answer(self.post(method, params))

    def raw(self, line):
        self.send(line + b"\n")
        return json.loads(self.line())


class Stream(Wire):
    """The stream port, opened on a process or on the log."""

    def __init__(self, vsock, timeout=60, **params):
        super().__init__(vsock, 1025, timeout)
        self.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "stream.open", "params": params}).encode() + b"\n")
        message = json.loads(self.line())
        if "error" in message:
            raise Refused(message["error"])
        self.terminal = message["result"]["terminal"]
        self.allowance, self.taken = message["result"]["window"], threading.Condition()

    def write(self, data):
        """Keeps to the window: more than that at once needs somebody who reads meanwhile."""
        data = memoryview(data)  # what is sliced off is not copied
        while data:
            with self.taken:
                assert self.taken.wait_for(lambda: self.allowance > 0, timeout=120), "the window stays shut"
                piece, data = data[: min(65536, self.allowance)], data[min(65536, self.allowance) :]
                self.allowance -= len(piece)
            self.send(struct.pack("<BBHI", STDIN, DATA, 0, len(piece)) + bytes(piece))

    def end(self):
        self.send(struct.pack("<BBHI", STDIN, EOF, 0, 0))

    def frame(self):
        while True:
            channel, kind, reserved, length = struct.unpack("<BBHI", self.exactly(8))
            assert reserved == 0 and length <= 65536 and (length == 0) == (kind == EOF)
            data = self.exactly(length)
            if kind != TAKEN:
                return channel, kind, data
            assert channel == STDIN
            with self.taken:
                self.allowance += struct.unpack("<I", data)[0]
                self.taken.notify()

    def read_all(self):
        """Everything until both ends of file: (stdout, stderr)."""
        out, open_channels = {STDOUT: b"", STDERR: b""}, {STDOUT} if self.terminal else {STDOUT, STDERR}
        pieces = {STDOUT: [], STDERR: []}
        while open_channels:
            channel, kind, data = self.frame()
            if kind == EOF:
                open_channels.discard(channel)
            else:
                assert channel in open_channels
                pieces[channel].append(data)
        for channel in out:
            out[channel] = b"".join(pieces[channel])
        return out[STDOUT], out[STDERR]


class Machine:
    """A VM that `coffer vm start` made."""

    def __init__(self, name, *options, initrd=None, memory="512M"):
        self.name = name
        environment = dict(os.environ)
        if initrd:
            environment["COFFER_INITRD"] = str(initrd)
        # The vsock bridge of Debian (vhost-device-vsock 0.3) now and then passes nothing on from the start: then once more.
        for _ in range(3):
            run = subprocess.run(
                [COFFER, "vm", "start", name, "--memory", memory, *options], capture_output=True, text=True, env=environment, timeout=180
            )
            if run.returncode == 0 or "no hello from the agent" not in run.stderr:
                break
            print(f"{name}: the vsock bridge is stuck, started again\n{run.stderr}")
            coffer("vm", "stop", name, "--force", check=False)
        assert run.returncode == 0, run.stderr
        found = [vm for vm in json.loads(coffer("vm", "list", "--json")) if vm["name"] == name]
        self.info = found[0]
        self.vsock = self.info["vsock"]
        self.control = Control(self.vsock)
        self.serials = itertools.count(1)

    def call(self, method, **params):
        return self.control.call(method, **params)

    def connect(self, **options):
        return Control(self.vsock, **options)

    def stream(self, container, exec=None, **options):
        params = {"container": container}
        if exec:
            params["exec"] = exec
        return Stream(self.vsock, **options, **params)

    def add_disk(self, path, read_only=False, serial=None, **words):
        """`words`: bus="nvme", scsi="1:2"."""
        serial = serial or f"d{next(self.serials)}"
        more = "".join(f",{key}={value}" for key, value in words.items())
        coffer("disk", "add", self.name, f"{path}{',ro' if read_only else ''},serial={serial}{more}")
        return serial

    def disk(self, serial):
        """What `coffer vm list` tells of it: `pci`, `scsi`."""
        found = [vm for vm in json.loads(coffer("vm", "list", "--json")) if vm["name"] == self.name]
        return [disk for disk in found[0]["disks"] if disk["serial"] == serial][0]

    def remove_disk(self, serial):
        coffer("disk", "remove", self.name, serial)

    def resources(self):
        """What the kernel holds, for before-and-after comparisons."""
        return self.call("agent.info")["resources"]

    def at_rest(self):
        """The resources when nothing is under way any more: a worker or a helper of the kernel may outlive its answer a little."""
        looks = [self.resources()]
        while len(looks) < 3 or looks[-3:] != looks[-1:] * 3:
            assert len(looks) < 100, looks
            time.sleep(0.1)
            looks.append(self.resources())
        return looks[-1]

    def settles(self, before):
        """Are the resources again what they were?  Kernels collect keys and the like a moment later."""
        deadline = time.monotonic() + 20  # on a machine that has other work to do

        def same(now):
            # A key that was still to be collected when `before` was taken may be gone by now; a new one may not be there.
            return {**now, "keys": 0} == {**before, "keys": 0} and now["keys"] <= before["keys"]

        while not same(now := self.resources()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert same(now), f"{now}, and before: {before}"

    def console(self):
        return pathlib.Path(self.info["console"]).read_text(errors="replace")

    def stop(self):
        self.control.close()
        coffer("vm", "stop", self.name)


def coffer(*arguments, check=True, **options):
    run = subprocess.run([COFFER, *map(str, arguments)], capture_output=True, text=True, timeout=300, **options)
    if check:
        assert run.returncode == 0, f"coffer {' '.join(map(str, arguments))}: {run.returncode}\n{run.stdout}\n{run.stderr}"
        return run.stdout
    return run


def allocated(path):
    """Bytes that the file takes on the host's disk."""
    return os.stat(path).st_blocks * 512


MOUNTS = [
    {"source": "proc", "destination": "/proc", "device": "proc", "flags": 14},
    {"source": "tmpfs", "destination": "/dev", "device": "tmpfs", "flags": 16777218, "data": "mode=755,size=65536k"},
    {"source": "devpts", "destination": "/dev/pts", "device": "devpts", "flags": 10, "data": "newinstance,ptmxmode=0666,mode=0620"},
    {"source": "shm", "destination": "/dev/shm", "device": "tmpfs", "flags": 14, "data": "mode=1777,size=65536k"},
    {"source": "mqueue", "destination": "/dev/mqueue", "device": "mqueue", "flags": 14},
    {"source": "sysfs", "destination": "/sys", "device": "sysfs", "flags": 15},
]


def config(**changes):
    """A usual config; a change to None drops the key."""
    whole = {
        "hostname": "box",
        "namespaces": [{"type": kind} for kind in ("NEWNS", "NEWPID", "NEWUTS", "NEWIPC", "NEWNET")],
        "mounts": MOUNTS,
        "mask_paths": ["/proc/kcore", "/proc/keys", "/sys/firmware", "/proc/not-there"],
        "readonly_paths": ["/proc/sys", "/proc/irq"],
    }
    whole.update(changes)
    return {key: value for key, value in whole.items() if value is not None}


class Pod:
    """An image, a scratch and a root file system on a machine, and containers on that."""

    def __init__(self, machine, image, folder, size="4G", prefix="", scratch=None):
        """`prefix`: of all ids, for several on one machine.  `scratch`: what scratch.create is told besides."""
        self.machine, self.prefix, self.count = machine, prefix, itertools.count(1)
        self.image = machine.add_disk(image, read_only=True)
        self.disk = pathlib.Path(folder) / f"scratch-{self.image}.img"
        subprocess.run(["truncate", "-s", size, self.disk], check=True)
        self.scratch = machine.add_disk(self.disk)
        machine.call("volume.attach", id=f"{prefix}image", volume=volume(image, self.image))
        self.made = machine.call("scratch.create", id=f"{prefix}scratch", device={"serial": self.scratch}, **(scratch or {}))
        machine.call("rootfs.create", id=f"{prefix}root", lower=[f"{prefix}image"], scratch=f"{prefix}scratch")

    def create(self, *args, config=config(), **process):
        name = f"{self.prefix}c{next(self.count)}"
        self.machine.call("container.create", id=name, rootfs=f"{self.prefix}root", config=config, process={"args": list(args), **process})
        return name

    def start(self, *args, **options):
        name = self.create(*args, **options)
        self.machine.call("container.start", id=name)
        return name

    def remove(self, name):
        self.machine.call("container.remove", id=name, force=True)

    def run(self, *args, stdin=b"", **options):
        """(exit code, stdout, stderr) of a container's whole life."""
        name = self.create(*args, **options)
        try:
            with self.machine.stream(name, timeout=300) as stream:
                self.machine.call("container.start", id=name)
                writer = threading.Thread(target=lambda: (stream.write(stdin), stream.end()))
                writer.start()
                out, err = stream.read_all()
                writer.join()
            return self.machine.call("container.wait", id=name)["exit_code"], out.decode(), err.decode()
        finally:
            self.remove(name)

    def sh(self, script, **options):
        """Output of a shell script that must succeed."""
        code, out, err = self.run("sh", "-ec", script, **options)
        assert code == 0, f"exit {code}\n{out}\n{err}"
        return out

    def close(self):
        for method, name in (("rootfs.remove", "root"), ("scratch.remove", "scratch"), ("volume.detach", "image")):
            self.machine.call(method, id=self.prefix + name)
        self.machine.remove_disk(self.image)
        self.machine.remove_disk(self.scratch)


def volume(image, serial, **verity):
    """The volume object that `coffer image build` wrote beside the image, with its source, and changes to dm_verity."""
    whole = json.loads(pathlib.Path(f"{image}.json").read_text())
    whole["source"] = f"serial:{serial}"
    whole["dm_verity"].update(verity)
    return whole


def runtime_folder():
    """Short, since Unix sockets have paths of 107 bytes, and of this run only, so that nothing of another is seen or harmed."""
    return tempfile.mkdtemp(prefix="coffer-", dir="/tmp")
