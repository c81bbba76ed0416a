# SPDX-License-Identifier: GPL-2.0-or-later
"""The initramfs that the VMs boot: the same bytes from the same inputs, small, and nothing in it that is not meant."""

import os
import pathlib
import re
import stat
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", TOP / "build")).resolve()
INITRAMFS = BUILD / "initramfs.cpio.zst"
ALLOWED = re.compile(
    r"init|pause|lib(64)?|lib/lib[\w.+-]+\.so\.[\d.]+|lib64/ld-linux-x86-64\.so\.2|dev|dev/console|proc|sys|run|tmp"
    r"|lib/modules(/[\w.+-]+)*(/kernel(/[\w-]+)*(/[\w-]+\.ko)?|/modules\.[\w.]+)?"
)


def entries(raw):
    """(name, mode, times and owner, bytes) of every entry of concatenated 'newc' archives."""
    at = 0
    while at < len(raw):
        if raw[at] == 0:
            at += 1
            continue
        assert raw[at : at + 6] == b"070701"
        fields = [int(raw[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name = raw[at + 110 : at + 110 + fields[11] - 1].decode()
        start = (at + 110 + fields[11] + 3) & ~3
        at = (start + fields[6] + 3) & ~3
        if name != "TRAILER!!!":
            yield name, fields[1], (fields[2], fields[3], fields[5]), raw[start : start + fields[6]]


def decompressed(data):
    """None if it is no zstd frame."""
    run = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True)
    return run.stdout if run.returncode == 0 else None


def unpacked(data):
    """Two zstd frames, with up to three zero bytes between them: the kernel skips those, the program zstd does not."""
    for start in (match.start() for match in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), data) if match.start() and match.start() % 4 == 0):
        for zeros in range(4):
            first = data[: start - zeros]
            if data[start - zeros : start] == b"\0" * zeros and (raw := decompressed(first)) and (more := decompressed(data[start:])):
                return raw + more
    raise AssertionError("not two frames")


@pytest.fixture(scope="module")
def content():
    return list(entries(unpacked(INITRAMFS.read_bytes())))


def test_same_inputs_give_the_same_bytes(tmp_path):
    # Without the cache, and elsewhere: neither a folder's name nor the time of day may show.
    again = tmp_path / "elsewhere" / "again.zst"
    kernel = (BUILD / "kernel.name").read_text().strip()
    command = ["/usr/bin/python3", TOP / "initramfs/build.py", "--agent", BUILD / "coffer-agent", "--pause", BUILD / "pause", "--kernel", kernel, "--output", again]
    subprocess.run(command, check=True, cwd=TOP, env=dict(os.environ, TZ="Asia/Tokyo", LC_ALL="C.UTF-8"))
    assert again.read_bytes() == INITRAMFS.read_bytes()


def test_it_is_under_8_megabytes():
    assert INITRAMFS.stat().st_size < 8_000_000


def test_nothing_else_is_in_it(content):
    assert [name for name, _, _, _ in content if not ALLOWED.fullmatch(name)] == []
    programs = [name for name, mode, _, _ in content if stat.S_ISREG(mode) and mode & 0o111 and ".so." not in name]
    assert programs == ["init", "pause"]


def test_no_entry_tells_of_the_build_machine(content):
    assert {meta for _, _, meta, _ in content} == {(0, 0, 0)}
    assert [name for name, mode, _, _ in content if mode & 0o6022 and not mode & stat.S_ISVTX] == []
    assert len({name for name, _, _, _ in content}) == len(content)


def test_the_kernels_signature_is_still_on_every_module(content):
    modules = [(name, data) for name, _, _, data in content if name.endswith(".ko")]
    assert len(modules) > 20
    assert [name for name, data in modules if not data.endswith(b"~Module signature appended~\n")] == []


def test_the_measured_hashes_are_those_of_the_files():
    report = (BUILD / "initramfs.txt").read_text()
    for name, path in (("kernel", BUILD / "vmlinuz"), ("initrd", INITRAMFS)):
        told = re.search(rf"^{name} +([0-9a-f]{{64}}) ", report, re.M).group(1)
        assert told == subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
