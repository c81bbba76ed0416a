# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent as process 1 of namespaces, and a client of its Unix sockets.

The agent gets a mount, a pid and a cgroup namespace and a root of its own: a tmpfs with the host's /usr on it, read-only.  Nothing
that it mounts is seen outside, and its cgroups lie below one that is removed at the end.  Its sockets are in a folder of both worlds.
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", TOP / "build")).resolve()
# COFFER_AGENT: another build of it, with sanitizers for example.
AGENT = pathlib.Path(os.environ.get("COFFER_AGENT", BUILD / "coffer-agent"))
TEST_AGENT = pathlib.Path(os.environ.get("COFFER_AGENT", BUILD / "test" / "coffer-agent"))

LINE_MAX = 1024 * 1024
DATA, EOF = 0, 1
STDIN, STDOUT, STDERR, LOG = 0, 1, 2, 3

# Runs as process 1.  $1: a folder for the root, $2: the cgroup's name, $3: the agent, $4: the sockets' folder, $5: more to do in the root.
# The agent's own process moves into a cgroup of its own below the namespace's root: controllers can only be handed down from a
# cgroup without processes, and only the machine's own root is exempt from that.
ENTER = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=0755 root "$1"
cd "$1"
mkdir -p usr sockets old/cgroup
mount --rbind /usr usr
mount -o remount,bind,ro usr
for name in bin sbin lib lib64; do
    if [ -L "/$name" ]; then ln -s "usr/$name" "$name"
    elif [ -d "/$name" ]; then mkdir "$name"; mount --rbind "/$name" "$name"
    fi
done
cp "$3" init
mount --bind "$4" sockets
mount -t cgroup2 none old/cgroup
mkdir "old/cgroup/$2"
echo 0 >"old/cgroup/$2/cgroup.procs"
eval "$5"
exec unshare --cgroup sh -c '
    set -eu
    mkdir "old/cgroup/$2/agent"
    echo 0 >"old/cgroup/$2/agent/cgroup.procs"
    umount old/cgroup
    rmdir old/cgroup old
    mount --move . /
    exec chroot . /init --listen /sockets' sh "$@"
"""

# In a mount namespace of its own, since not every machine has cgroup2 mounted.
REMOVE_CGROUP = r"""
mount -t cgroup2 none "$1" && cd "$1" && [ -d "$2" ] || exit 0
for turn in 1 2 3 4 5 6 7 8 9 10; do
    find "$2" -depth -type d -exec rmdir {} + 2>/dev/null
    [ -d "$2" ] || exit 0
    sleep 0.1
done
exit 1
"""


def usable():
    """None, or why such namespaces cannot be made here."""
    if os.geteuid() != 0:
        return "needs root"
    test = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--cgroup", "--kill-child", "sh", "-c", "mount -t tmpfs t /mnt && mkdir /mnt/c && mount -t cgroup2 c /mnt/c"],
        capture_output=True,
        text=True,
    )
    return None if test.returncode == 0 else f"no namespaces with cgroup2 here: {test.stderr.strip()}"


class Agent:
    """A running agent.  `prepare` is shell to run in its root before it starts."""

    def __init__(self, binary=AGENT, prepare=":", wait=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-ns-"))
        self.cgroup = self.folder.name
        (self.folder / "root").mkdir()
        self.sockets = self.folder / "sockets"
        self.sockets.mkdir()
        self.log_file = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "sh"]
            + [str(self.folder / "root"), self.cgroup, str(binary), str(self.sockets), prepare],
            stdin=subprocess.DEVNULL,
            stdout=self.log_file,
            stderr=self.log_file,
            start_new_session=True,
        )
        self.pid = None
        try:
            if wait:
                self.wait_for_sockets()
        except BaseException:
            self.close()
            raise

    def wait_for_sockets(self, seconds=20):
        deadline = time.monotonic() + seconds
        while not (self.sockets / "1024").exists():
            assert self.process.poll() is None, f"the agent ended: {self.log()}"
            assert time.monotonic() < deadline, f"the agent does not listen: {self.log()}"
            time.sleep(0.01)
        self.find_pid()

    def find_pid(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.pid = int(children[0])
        return self.pid

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def proc(self, name):
        return pathlib.Path(f"/proc/{self.pid}/{name}")

    def children(self):
        return [int(pid) for pid in self.proc(f"task/{self.pid}/children").read_text().split()]

    def descriptors(self):
        return len(os.listdir(self.proc("fd")))

    def zombies(self):
        return [pid for pid in self.children() if state_of(pid) == "Z"]

    def control(self, **more):
        return Control(self.sockets / "1024", **more)

    def wire(self, port=1024, timeout=20):
        return Wire(self.sockets / str(port), timeout)

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self, timeout=40):
        """The exit code."""
        return self.process.wait(timeout=timeout)

    def in_namespace(self, *command, **more):
        """Starts a command as a child of the agent's pid namespace, with the agent's root."""
        return subprocess.Popen(["nsenter", "--target", str(self.pid), "--pid", "--mount", "--root", *command], **more)

    def close(self):
        if self.process.poll() is None:
            if self.pid:
                try:
                    os.kill(self.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.kill()  # --kill-child takes the agent with it
            self.process.wait()
        self.log_file.close()
        done = subprocess.run(["unshare", "--mount", "sh", "-c", REMOVE_CGROUP, "sh", str(self.folder / "root"), self.cgroup])
        shutil.rmtree(self.folder, ignore_errors=True)
        assert done.returncode == 0, "the agent's cgroups could not be removed"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def state_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def eventually(condition, seconds=10):
    """Waits until the condition holds, and returns what it says then."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.02)


class Wire:
    """One connection."""

    def __init__(self, path, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.buffer = b""

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

    def message(self):
        return json.loads(self.line())

    def exactly(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def frame(self):
        channel, kind, reserved, length = struct.unpack("<BBHI", self.exactly(8))
        assert reserved == 0 and length <= 65536 and (length == 0) == (kind == EOF)
        return channel, kind, self.exactly(length)

    def ended(self):
        """Has the agent closed it?  Reads and drops what is left."""
        try:
            while True:
                self.more()
        except (EOFError, ConnectionResetError):
            return True
        except TimeoutError:
            return False

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(number, method, params=None):
    message = {"jsonrpc": "2.0", "id": number, "method": method}
    if params is not None:
        message["params"] = params
    return json.dumps(message).encode() + b"\n"


class Control(Wire):
    """The control port after its hello."""

    def __init__(self, path, timeout=20):
        super().__init__(path, timeout)
        self.hello = self.message()
        self.next = 0

    def post(self, method, params=None):
        self.next += 1
        self.send(request(self.next, method, params))
        return self.next

    def raw(self, line):
        self.send(line + b"\n")
        return self.message()

    def answer(self, number):
        """Of the only request in flight."""
        message = self.message()
        assert message["jsonrpc"] == "2.0" and message["id"] == number
        return message

    def call(self, method, **params):
        message = self.answer(self.post(method, params))
        assert "error" not in message, message
        return message["result"]

    def refused(self, method, **params):
        message = self.answer(self.post(method, params))
        assert "error" in message, message
        return message["error"]
