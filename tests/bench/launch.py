# SPDX-License-Identifier: GPL-2.0-or-later
"""What a container's launch costs: coffer-agent, crun and runc in one VM, in turn (tests/bench/launch.c runs them there).

The VM boots the agent's own initramfs with a few files more.  Its root is Debian's minimal system with crun and runc as Debian builds
them, verified by nothing and read-only; the containers' root file system is made by the agent, as always.
"""

import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", TOP / "build")).resolve()
sys.path.insert(0, str(TOP / "initramfs"))

from build import Archive  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "100"))
TIMEOUT = 840


def image(name, out):
    """A file system of the archive; the object that tells how to attach it is beside it."""
    archive = BUILD / "images" / f"{name}.tar"
    if not out.exists() or out.stat().st_mtime < archive.stat().st_mtime:
        out.unlink(missing_ok=True)
        subprocess.run([BUILD / "coffer", "image", "build", archive, out], check=True, capture_output=True)
    return json.loads(pathlib.Path(f"{out}.json").read_text())


def initramfs(folder, volume):
    """The agent's, and what starts the benchmark: of two files of one name the kernel takes the later, so none is."""
    busybox = next((BUILD / "packages" / "busybox-static").rglob("bin/busybox"))
    archive = Archive(1)
    archive.folder("newroot")
    for name, data in (
        ("init", (HERE / "launch-init.sh").read_bytes()),
        ("bench.sh", (HERE / "launch-guest.sh").read_bytes()),
        ("busybox", busybox.read_bytes()),
        ("launch", (BUILD / "bench" / "launch").read_bytes()),
        ("volume.json", json.dumps(volume).encode()),
        ("rounds", f"{ROUNDS}\n".encode()),
    ):
        archive.add(f"bench/{name}", stat.S_IFREG | 0o755, data)
    whole = (BUILD / "initramfs.cpio.zst").read_bytes()
    (folder / "initrd").write_bytes(whole + b"\0" * (-len(whole) % 4) + archive.bytes())


def main(folder):
    cache = BUILD / "bench"
    image("debian-runtimes", cache / "root.img")
    volume = image("busybox", cache / "busybox.img")
    volume["source"] = "/dev/vdb"
    initramfs(folder, volume)
    subprocess.run(["truncate", "-s", "4G", folder / "scratch.img"], check=True)
    disks = [(cache / "root.img", "on"), (cache / "busybox.img", "on"), (folder / "scratch.img", "off")]
    command = ["qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-smp", "2", "-m", "1G", "-nodefaults", "-no-reboot", "-display", "none"]
    command += ["-accel", os.environ.get("ACCEL", "tcg,thread=multi"), "-kernel", BUILD / "vmlinuz", "-initrd", folder / "initrd"]
    command += ["-append", "console=ttyS0 quiet panic=-1 rdinit=/bench/init"]
    for name in ("console", "result"):
        command += ["-chardev", f"file,id={name},path={folder / name}", "-device", f"isa-serial,chardev={name}"]
    for number, (path, read_only) in enumerate(disks):
        command += ["-drive", f"file={path},format=raw,if=none,id=d{number},read-only={read_only},cache=unsafe"]
        command += ["-device", f"virtio-blk-pci,drive=d{number}"]
    try:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        print(f"bench-launch: the VM did not end within {TIMEOUT} s", file=sys.stderr)
    result = (folder / "result").read_text(errors="replace").replace("\r", "")
    print(result, end="")
    if not result.endswith("done\n"):
        print((folder / "console").read_text(errors="replace"), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    work = pathlib.Path(tempfile.mkdtemp(prefix="coffer-bench-"))
    try:
        sys.exit(main(work))
    finally:
        shutil.rmtree(work)
