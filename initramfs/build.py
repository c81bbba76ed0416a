#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the initramfs: the agent as /init, the libraries it links or opens, kernel modules, and nothing else.

The same inputs give the same bytes: names are sorted, times are zero, owners are root, inode numbers count up, and
zstd runs in one thread at a fixed level.  The archive is written here and not by cpio(1), because that takes inode
numbers and times from the disk, and needs root for /dev/console.

With --hooks, the files of a folder, which is how a VM is built that runs hooks (docs/CONFIG.md).

It has two parts, which the kernel unpacks one after the other.  The first has the libraries and modules; it takes
seconds to compress and seldom changes, so its compressed form is kept, named by the hash of what is in it.  The second
has the agent.
"""

import argparse
import hashlib
import lzma
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent
FOLDERS = ["dev", "lib", "lib64", "proc", "run", "sys", "tmp"]
ZSTD = ["zstd", "-q", "-19", "--single-thread", "--no-progress"]


class Failure(Exception):
    pass


def run(*command, data=None):
    env = dict(os.environ, LC_ALL="C")
    env["PATH"] = env.get("PATH", "") + ":/usr/sbin:/sbin"  # depmod and modprobe, when not root
    try:
        done = subprocess.run(command, input=data, capture_output=True, env=env)
    except FileNotFoundError:
        raise Failure(f"the program {command[0]} is not installed; run 'make setup'")
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


# ------------------------------------------------------------------------------------------------------------ archive


class Archive:
    """A cpio archive in the kernel's 'newc' format (Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self, first_inode):
        self.entries = {}
        self.first_inode = first_inode

    def folder(self, name):
        parent = os.path.dirname(name)
        if parent and parent not in self.entries:
            self.folder(parent)
        mode = 0o1777 if name == "tmp" else 0o755
        self.entries.setdefault(name, (stat.S_IFDIR | mode, b"", (0, 0)))

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.folder(os.path.dirname(name)) if os.path.dirname(name) else None
        if name in self.entries:
            raise Failure(f"{name} would be in the archive twice")
        self.entries[name] = (mode, data, device)

    @staticmethod
    def header(name, inode, mode, size, device):
        links = 2 if stat.S_ISDIR(mode) else 1
        fields = [inode, mode, 0, 0, links, 0, size, 0, 0, device[0], device[1], len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
        return head + b"\0" * (-len(head) % 4)

    def bytes(self):
        # A folder sorts before what is in it, as '/' ends its name.
        parts = []
        for inode, name in enumerate(sorted(self.entries), self.first_inode):
            mode, data, device = self.entries[name]
            parts.append(self.header(name.encode(), inode, mode, len(data), device))
            parts.append(data + b"\0" * (-len(data) % 4))
        parts.append(self.header(b"TRAILER!!!", 0, 0, 0, (0, 0)))
        whole = b"".join(parts)
        return whole + b"\0" * (-len(whole) % 512)


# ---------------------------------------------------------------------------------------------------------- libraries


def needed(path):
    """The sonames that an ELF file wants, and its loader."""
    text = run("readelf", "--wide", "--dynamic", "--program-headers", path).decode()
    loader = re.search(r"program interpreter: (\S+)\]", text)
    return re.findall(r"\(NEEDED\).*\[(.+)\]", text), loader and loader.group(1)


def library_paths():
    paths = {}
    for soname, path in re.findall(r"^\s*(\S+) \(libc6,x86-64[^)]*\) => (\S+)$", run("ldconfig", "-p").decode(), re.M):
        paths.setdefault(soname, path)
    return paths


def opened_sonames(definition):
    """The sonames of LIBRARY(name, "lib*.so.*") rows: opened with dlopen(), so no ELF header tells of them."""
    if not definition.exists():
        return []
    return re.findall(r'^LIBRARY\(.*"(lib[^"]*\.so\.[^"]*)"', definition.read_text(), re.M)


def stripped(path, scratch):
    out = scratch / "stripped"
    run("strip", "--strip-unneeded", "-o", out, path)
    return out.read_bytes()


def collect_libraries(agent, definition, own):
    """(soname, file) of every library that the agent can come to map, and the loader's path.  Ours lie beside it, or are named."""
    paths = library_paths()
    paths.update((file.name, str(file)) for file in [*agent.parent.glob("lib*.so.*"), *own])
    todo, loader = needed(agent)
    todo += opened_sonames(definition)
    found = {}
    while todo:
        soname = todo.pop()
        if soname in found or (loader and soname == os.path.basename(loader)):
            continue
        if soname not in paths:
            raise Failure(f"the library {soname} is not installed; run 'make setup'")
        found[soname] = paths[soname]
        todo += needed(paths[soname])[0]
    return found, loader


# ------------------------------------------------------------------------------------------------------------ modules


def kernel_release(vmlinuz):
    """From the header of the image itself (Documentation/arch/x86/boot.rst: kernel_version), not from its file name."""
    try:
        with open(vmlinuz, "rb") as image:
            head = image.read(0x10000)
    except PermissionError:
        raise Failure(f"{vmlinuz} cannot be read; run: sudo chmod 644 {vmlinuz}")
    if head[0x202:0x206] != b"HdrS":
        raise Failure(f"{vmlinuz} is not an x86 kernel image (bzImage)")
    at = int.from_bytes(head[0x20E:0x210], "little") + 0x200
    return head[at : head.index(b"\0", at)].split()[0].decode()


def module_folder(vmlinuz, release):
    top = pathlib.Path(vmlinuz).resolve().parent
    top = top.parent if top.name == "boot" else pathlib.Path("/")
    for folder in [top / "lib/modules" / release, top / "usr/lib/modules" / release]:
        if (folder / "kernel").is_dir():
            return folder
    raise Failure(f"{vmlinuz} is kernel {release}, and its modules are not in {top}/lib/modules/{release}")


def wanted_modules(path):
    for line in path.read_text().splitlines():
        name = line.split("#")[0].strip()
        if name:
            yield name.lstrip("?"), name.startswith("?")


def module_bytes(path):
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return zlib.decompress(data, 31)
    if path.suffix == ".zst":
        return run("zstd", "-dcq", path)
    return data


def collect_modules(listing, folder, release, scratch):
    """{path in the archive: bytes}: the modules with their dependencies, and the index files that libkmod looks into.

    The modules keep their bytes: stripping would break the kernel's signature.
    """
    # modprobe and depmod want ROOT/lib/modules/RELEASE; an unpacked package may have it below usr/, and no index yet.
    root = scratch / "all"
    mirror = root / "lib/modules" / release
    mirror.mkdir(parents=True)
    for entry in folder.iterdir():
        if entry.name in ("kernel", "modules.order", "modules.builtin", "modules.builtin.modinfo"):
            (mirror / entry.name).symlink_to(entry.resolve())
    run("depmod", "-b", root, release)

    staged = scratch / "picked" / "lib/modules" / release
    staged.mkdir(parents=True)
    for name in ("modules.builtin", "modules.builtin.modinfo"):
        if (folder / name).exists():
            shutil.copyfile(folder / name, staged / name)
    missing = []
    files = {}
    for name, optional in wanted_modules(listing):
        try:
            text = run("modprobe", "--show-depends", "-C", "/dev/null", "-d", root, "-S", release, name).decode()
        except Failure:
            if not optional:
                missing.append(name)
            continue
        for path in re.findall(r"^insmod (\S+)", text, re.M):
            inside = pathlib.Path(path).relative_to(mirror)
            plain = inside.with_name(re.sub(r"\.ko\.\w+$", ".ko", inside.name))
            if plain in files:
                continue
            files[plain] = module_bytes(pathlib.Path(path))
            (staged / plain).parent.mkdir(parents=True, exist_ok=True)
            (staged / plain).write_bytes(files[plain])
    if missing:
        raise Failure(f"kernel {release} has no module: {' '.join(missing)} (initramfs/modules.list)")
    run("depmod", "-b", scratch / "picked", release)
    result = {f"lib/modules/{release}/{name}": data for name, data in files.items()}
    for index in sorted(staged.glob("modules.*.bin")):
        result[f"lib/modules/{release}/{index.name}"] = index.read_bytes()
    soft = staged / "modules.softdep"
    if soft.exists():
        result[f"lib/modules/{release}/modules.softdep"] = soft.read_bytes()
    return result


# --------------------------------------------------------------------------------------------------------------- main


def compress(raw, cache):
    """zstd -19; with a cache folder, the newest few results are kept there."""
    if cache is None:
        return run(*ZSTD, "-c", data=raw)
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / (hashlib.sha256(raw).hexdigest() + ".zst")
    if kept.exists():
        os.utime(kept)
        return kept.read_bytes()
    data = run(*ZSTD, "-c", data=raw)
    part = kept.with_suffix(f".{os.getpid()}")
    part.write_bytes(data)
    part.rename(kept)
    for old in sorted(cache.glob("*.zst"), key=lambda path: path.stat().st_mtime)[:-6]:
        old.unlink(missing_ok=True)
    return data


def pad(data):
    """The kernel skips zero bytes between archives, and wants the next one on a multiple of four."""
    return data + b"\0" * (-len(data) % 4)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def add_hooks(archive, folder):
    """The files below the folder at the same paths, and the list of those that are programs, which is what allows them."""
    rows, programs = [], []
    for file in sorted(folder.rglob("*")):
        if file.is_dir():
            continue
        name, data = str(file.relative_to(folder)), file.read_bytes()
        runs = os.access(file, os.X_OK)
        archive.add(name, stat.S_IFREG | (0o755 if runs else 0o644), data)
        rows.append(("hook", name, len(data)))
        if runs:
            programs.append(f"/{name}\n")
    archive.add("etc/coffer/hooks", stat.S_IFREG | 0o644, "".join(programs).encode())
    return rows


def build(args, scratch):
    release = kernel_release(args.kernel)
    folder = module_folder(args.kernel, release)
    libraries, loader = collect_libraries(args.agent, args.libraries, args.library)
    modules = collect_modules(args.modules, folder, release, scratch)
    rows = []

    base = Archive(1)
    for name in FOLDERS:
        base.folder(name)
    base.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    if loader:
        data = stripped(loader, scratch)
        base.add(loader.lstrip("/"), stat.S_IFREG | 0o755, data)
        rows.append(("library", os.path.basename(loader), len(data)))
    for soname in sorted(libraries):
        data = stripped(libraries[soname], scratch)
        base.add("lib/" + soname, stat.S_IFREG | 0o755, data)
        rows.append(("library", soname, len(data)))
    for name in sorted(modules):
        base.add(name, stat.S_IFREG | 0o644, modules[name])
        rows.append(("module" if name.endswith(".ko") else "module index", os.path.basename(name), len(modules[name])))

    top = Archive(len(base.entries) + 1)
    agent = stripped(args.agent, scratch)
    top.add("init", stat.S_IFREG | 0o755, agent)
    rows.append(("agent", "init", len(agent)))
    pause = args.pause.read_bytes()
    top.add("pause", stat.S_IFREG | 0o755, pause)
    rows.append(("agent", "pause", len(pause)))
    if args.hooks:
        rows += add_hooks(top, args.hooks)

    whole = pad(compress(base.bytes(), args.cache)) + compress(top.bytes(), None)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    part = args.output.with_name(args.output.name + ".part")
    part.write_bytes(whole)
    part.rename(args.output)

    raw = sum(size for _, _, size in rows)
    lines = [f"initramfs for Linux {release}: {len(whole)} bytes compressed ({len(whole) / 1e6:.2f} MB), {raw / 1e6:.1f} MB unpacked", ""]
    for kind in ("agent", "library", "module", "module index", "hook"):
        group = sorted((row for row in rows if row[0] == kind), key=lambda row: (-row[2], row[1]))
        lines.append(f"{sum(row[2] for row in group):>10}  {kind} ({len(group)})")
        shown = [row for row in group if kind in ("agent", "library", "hook") or row[2] >= 50 * 1024]
        lines += [f"{size:>10}      {name}" for _, name, size in shown]
        if len(shown) < len(group):
            lines.append(f"{sum(row[2] for row in group) - sum(row[2] for row in shown):>10}      ({len(group) - len(shown)} smaller ones)")
    cmdline = args.cmdline.read_text().strip()
    lines += [
        "",
        "What an owner measures (SHA-256):",
        f"kernel   {sha256(pathlib.Path(args.kernel).read_bytes())}  {args.kernel}",
        f"initrd   {sha256(whole)}  {args.output}",
        f"cmdline  {sha256(cmdline.encode())}  {cmdline}",
    ]
    text = "\n".join(lines) + "\n"
    if args.report:
        args.report.write_text(text)
    return text


def main():
    path = pathlib.Path
    parser = argparse.ArgumentParser(description="writes coffer's initramfs")
    parser.add_argument("--agent", type=path, required=True, help="the program that becomes /init")
    parser.add_argument("--pause", type=path, required=True, help="the program of sandboxes")
    parser.add_argument("--hooks", type=path, help="folder of programs that container configs may name as hooks")
    parser.add_argument("--library", type=path, action="append", default=[], help="a library that the build made, by its soname")
    parser.add_argument("--kernel", required=True, help="vmlinuz; its modules are looked for beside its boot/ folder")
    parser.add_argument("--output", type=path, required=True)
    parser.add_argument("--modules", type=path, default=HERE / "modules.list")
    parser.add_argument("--libraries", type=path, default=TOP / "agent/sys/libraries.def")
    parser.add_argument("--cmdline", type=path, default=HERE / "cmdline")
    parser.add_argument("--cache", type=path, help="folder of compressed first parts")
    parser.add_argument("--report", type=path, help="what is in it goes here")
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="coffer-initramfs.") as scratch:
            build(args, path(scratch))
    except (Failure, OSError) as failure:
        print(f"initramfs: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
