# SPDX-License-Identifier: GPL-2.0-or-later
"""Real images for VM tests, made by the tools that make them everywhere: mkfs.erofs, veritysetup, mkfs.ext4."""

import json
import os
import pathlib
import re
import struct
import subprocess
import tarfile

from machine import BUILD, TOP

SECTOR = 512


def run(*arguments, **options):
    return subprocess.run([str(each) for each in arguments], check=True, capture_output=True, text=True, **options).stdout


def mkfs_erofs(*arguments):
    return run(TOP / "tests/erofs.sh", "--quiet", *arguments, env={**os.environ, "BUILD": str(BUILD)})


def tar(path, files):
    """An archive of {name: content}; a content of None is a directory."""
    import io

    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.mtime = 1
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
            else:
                data = content.encode() if isinstance(content, str) else content
                member.size, member.mode = len(data), 0o755
                archive.addfile(member, io.BytesIO(data))
    return path


def device_table(image):
    """(block size, [(tag, blocks, mapped block)]) of an EROFS image."""
    with open(image, "rb") as file:
        file.seek(1024)
        block = file.read(128)
        size = 1 << block[12]
        count, slot = struct.unpack_from("<HH", block, 86)
        table = []
        for i in range(count):
            file.seek((slot + i) * 128)
            tag, blocks, mapped = struct.unpack("<64sII", file.read(72))
            table.append((tag.rstrip(b"\0").decode(), blocks, mapped))
        return size, table


def tag_devices(image, tags):
    """Gives the devices names, as nydus does with the blobs' ids."""
    with open(image, "r+b") as file:
        file.seek(1024)
        slot = struct.unpack_from("<H", file.read(128), 88)[0]
        for i, tag in enumerate(tags):
            file.seek((slot + i) * 128)
            file.write(tag.encode().ljust(64, b"\0"))


def tarfs(folder, archives):
    """nydus' tarfs: an EROFS bootstrap that points into the layers' tars.  Returns the bootstrap."""
    folder.mkdir(exist_ok=True)
    layers = []
    for i, archive in enumerate(archives):
        layers.append(folder / f"layer{i}.erofs")
        mkfs_erofs("--tar=i", "--aufs", layers[-1], archive)
    if len(layers) == 1:
        return layers[0]
    mkfs_erofs("--ovlfs-strip=1", folder / "merged.erofs", *layers)
    return folder / "merged.erofs"


def flat(bootstrap, archives, disk):
    """One disk: the bootstrap, and each tar where the table has it."""
    size, table = device_table(bootstrap)
    assert size == SECTOR and len(table) == len(archives)
    with open(disk, "wb") as file:
        file.write(pathlib.Path(bootstrap).read_bytes())
        for (_, blocks, mapped), archive in zip(table, archives):
            assert file.tell() <= mapped * SECTOR
            file.seek(mapped * SECTOR)
            file.write(pathlib.Path(archive).read_bytes()[: blocks * SECTOR].ljust(blocks * SECTOR, b"\0"))
    return disk


def verity(disk, block=4096, *options):
    """Appends a hash tree without a superblock.  Returns the dm_verity object."""
    size = os.path.getsize(disk)
    blocks = -(-size // block)
    offset = -(-blocks * block // 4096) * 4096
    os.truncate(disk, offset)
    out = run(
        "veritysetup", "format", "--no-superblock", "--format=1", "-s", "-", "--hash=sha256", f"--data-block-size={block}", "--hash-block-size=4096",
        f"--data-blocks={blocks}", f"--hash-offset={offset}", *options, disk, disk,
    )  # fmt: skip
    root = re.search(r"Root hash:\s+([0-9a-f]{64})", out).group(1)
    # QEMU wants whole sectors.
    os.truncate(disk, -(-os.path.getsize(disk) // SECTOR) * SECTOR)
    return {"hashtype": "sha256", "hash": root, "blocknum": blocks, "blocksize": block, "hashsize": 4096, "offset": offset}


def tarfs_label(described):
    assert described["blocksize"] == 512
    return f"{described['blocknum']},{described['offset']},sha256:{described['hash']}"


def blobs(*rows):
    return json.dumps({"blobs": list(rows)})
