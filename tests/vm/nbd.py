# SPDX-License-Identifier: GPL-2.0-or-later
"""A small NBD server on a Unix socket, for disks of a host that means harm.

Fixed newstyle negotiation and simple replies, as https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md has them."""

import collections
import errno
import os
import socket
import struct
import threading

OPTION_MAGIC, REPLY_MAGIC, REQUEST_MAGIC, SIMPLE_MAGIC = 0x49484156454F5054, 0x3E889045565A9, 0x25609513, 0x67446698
EXPORT_NAME, ABORT, GO = 1, 2, 7
READ, WRITE, DISCONNECT, FLUSH, TRIM, ZEROES = 0, 1, 2, 3, 4, 6
HAS_FLAGS, READ_ONLY, SEND_FLUSH = 1, 2, 4


class Drop(Exception):
    """The connection ends here."""


class Disk:
    """An honest disk in memory.  What is dishonest overrides `read` and `write`: OSError is an error reply, Drop ends the connection."""

    def __init__(self, content, size=None):
        self.size = size or len(content)
        self.blocks = collections.defaultdict(lambda: bytes(4096))
        for at in range(0, len(content), 4096):
            self.blocks[at // 4096] = content[at : at + 4096].ljust(4096, b"\0")

    def read(self, offset, length):
        first, last = offset // 4096, (offset + length + 4095) // 4096
        data = b"".join(self.blocks.get(block, bytes(4096)) for block in range(first, last))
        return data[offset - first * 4096 :][:length]

    def write(self, offset, data):
        while data:
            block, at = divmod(offset, 4096)
            piece = data[: 4096 - at]
            old = self.blocks[block]
            self.blocks[block] = old[:at] + piece + old[at + len(piece) :]
            offset, data = offset + len(piece), data[len(piece) :]


class Server:
    """Serves one disk at `path` until it is closed.  `hang` is an event: while it is not set nothing is answered."""

    def __init__(self, path, disk, read_only=False):
        self.path, self.disk, self.read_only = str(path), disk, read_only
        self.go = threading.Event()
        self.go.set()
        self.requests = 0
        self.open = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return f"nbd+unix:///?socket={self.path}"

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            self.negotiate(connection)
            while self.request(connection):
                pass
        except (OSError, EOFError, Drop):
            pass
        finally:
            connection.close()

    @staticmethod
    def exactly(connection, size):
        data = b""
        while len(data) < size:
            piece = connection.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def negotiate(self, connection):
        flags = HAS_FLAGS | SEND_FLUSH | (READ_ONLY if self.read_only else 0)
        connection.sendall(b"NBDMAGIC" + struct.pack(">QH", OPTION_MAGIC, 3))
        self.exactly(connection, 4)
        while True:
            magic, option, length = struct.unpack(">QII", self.exactly(connection, 16))
            assert magic == OPTION_MAGIC
            self.exactly(connection, length)
            if option == EXPORT_NAME:
                connection.sendall(struct.pack(">QH", self.disk.size, flags))
                return
            if option == GO:
                info = struct.pack(">HQH", 0, self.disk.size, flags)
                connection.sendall(struct.pack(">QIII", REPLY_MAGIC, option, 3, len(info)) + info)
                connection.sendall(struct.pack(">QIII", REPLY_MAGIC, option, 1, 0))
                return
            connection.sendall(struct.pack(">QIII", REPLY_MAGIC, option, 1 if option == ABORT else 0x80000001, 0))

    def request(self, connection):
        magic, _, kind, handle, offset, length = struct.unpack(">IHHQQI", self.exactly(connection, 28))
        assert magic == REQUEST_MAGIC
        data, failure = b"", 0
        if kind == WRITE:
            data = self.exactly(connection, length)
        if kind == DISCONNECT:
            return False
        self.requests += 1
        self.go.wait()
        try:
            if kind == READ:
                data = self.disk.read(offset, length)
            elif kind == WRITE:
                self.disk.write(offset, data)
                data = b""
            elif kind == ZEROES:
                self.disk.write(offset, bytes(length))
            elif kind not in (FLUSH, TRIM):
                failure = errno.EINVAL
        except OSError as error:
            data, failure = b"", error.errno
        connection.sendall(struct.pack(">IIQ", SIMPLE_MAGIC, failure, handle) + data)
        if kind == READ and not failure and len(data) < length:
            raise Drop  # a short answer: nothing can follow it
        return True

    def close(self):
        self.go.set()
        self.socket.close()
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        os.unlink(self.path)
