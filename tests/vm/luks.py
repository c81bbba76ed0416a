# SPDX-License-Identifier: GPL-2.0-or-later
"""LUKS2 headers for tests: read one, change it, write it with right checksums.  By the specification, without the agent's code."""

import hashlib
import json
import struct

COPY, BINARY, AREA, DATA = 16384, 4096, 385024, 1 << 20
CHECKSUM = slice(448, 512)


class Header:
    """The first MiB of a disk."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self.bytes = bytearray(file.read(DATA))

    def copy(self, which):
        return self.bytes[which * COPY : (which + 1) * COPY]

    def text(self, which=0):
        return bytes(self.copy(which)[BINARY:]).rstrip(b"\0")

    def json(self, which=0):
        return json.loads(self.text(which))

    def put(self, offset, data, copies=(0, 1)):
        """Bytes of the binary part, in both copies, or in some."""
        for which in copies:
            self.bytes[which * COPY + offset : which * COPY + offset + len(data)] = data
            self.sum_up(which)

    def put_text(self, text, copies=(0, 1)):
        assert len(text) <= COPY - BINARY
        self.put(BINARY, text.ljust(COPY - BINARY, b"\0"), copies)

    def change(self, function, copies=(0, 1)):
        """`function` changes the JSON in place, or returns another."""
        for which in copies:
            document = self.json(which)
            document = function(document) or document
            self.put_text(json.dumps(document, separators=(",", ":")).encode(), (which,))

    def sequence(self, which):
        return struct.unpack_from(">Q", self.bytes, which * COPY + 16)[0]

    def sum_up(self, which):
        copy = self.copy(which)
        copy[CHECKSUM] = bytes(64)
        digest = hashlib.sha256(copy).digest()
        at = which * COPY + CHECKSUM.start
        self.bytes[at : at + 64] = digest.ljust(64, b"\0")

    def sha256(self):
        """What the agent calls header_sha256."""
        offset = int(self.json()["keyslots"]["0"]["area"]["offset"])
        return hashlib.sha256(self.text() + self.bytes[offset : offset + AREA]).hexdigest()

    def write(self, path=None):
        with open(path or self.path, "r+b") as file:
            file.write(self.bytes)
