# SPDX-License-Identifier: GPL-2.0-or-later
"""Partition tables for tests: sound ones, and any that a host might make up.  UEFI specification 2.10, section 5.3."""

import struct
import uuid
import zlib

BLOCK = 512
HEADER = "<8sIIIIQQQQ16sQIII"
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def partuuid(number):
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"coffer partition {number}"))


def write(path, size, partitions, entry_count=128, entries_at=2, spoil=None, **fields):
    """A disk of `size` bytes; partitions: {number: (first block, last block)}.  `fields` replace those of the header, with sums that fit;
    spoil="header" or "entries": that sum does not."""
    blocks = size // BLOCK
    entries = bytearray(128 * 128)
    for number, (first, last) in partitions.items():
        name = f"part{number}".encode("utf-16-le").ljust(72, b"\0")
        struct.pack_into("<16s16sQQQ72s", entries, (number - 1) * 128, LINUX.bytes_le, uuid.UUID(partuuid(number)).bytes_le, first, last, 0, name)

    def header(own, other, at):
        values = {
            "signature": b"EFI PART", "revision": 0x10000, "size": 92, "crc": 0, "reserved": 0, "own": own, "other": other, "first": 34,
            "last": blocks - 34, "guid": uuid.UUID(int=7).bytes_le, "at": at, "count": entry_count, "entry": 128,
            "entries_crc": zlib.crc32(entries[: min(entry_count, 128) * 128]) ^ (spoil == "entries"),
        }  # fmt: skip
        values.update(fields)
        values["crc"] = zlib.crc32(struct.pack(HEADER, *values.values())) ^ (spoil == "header")
        return struct.pack(HEADER, *values.values())

    with open(path, "r+b" if path.exists() else "w+b") as file:
        file.truncate(size)
        protective = struct.pack("<BBBBBBBBII", 0, 0, 2, 0, 0xEE, 255, 255, 255, 1, min(blocks - 1, 0xFFFFFFFF))
        file.write(bytes(446) + protective + bytes(48) + b"\x55\xaa")
        file.seek(BLOCK)
        file.write(header(1, blocks - 1, entries_at))
        file.seek(entries_at * BLOCK)
        file.write(entries)
