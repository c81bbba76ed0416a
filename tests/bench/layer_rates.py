# SPDX-License-Identifier: GPL-2.0-or-later
"""Import and export of layers beside tar and umoci, and the memory that they take: one VM, everything in turn, medians.

The archives lie in a verified image, which the agent reads as a volume and the tools as a part of their root. Both write to the same
scratch: the agent into its store there, the tools into their container's root.
"""

import collections
import json
import os
import pathlib
import random
import statistics
import subprocess
import tarfile
import time

import session
from layers import Store
from machine import BUILD, COFFER, DATA, EOF, STDOUT, Machine, Pod, config, volume

HERE = pathlib.Path(__file__).resolve().parent
ROUNDS = int(os.environ.get("ROUNDS", "3"))
HUGE = int(os.environ.get("HUGE_MIB", "1536")) << 20
MEMORY, LIMIT = "512M", 32 << 20
LAYERS = tuple(os.environ.get("LAYERS", "system small large").split())
PARTS = os.environ.get("PARTS", "memory rates").split()
FILES = int(os.environ.get("FILES", "5000"))
PACKINGS = ("tar", "tar.gz", "tar.zst")
UNPACK = {"tar": "tar -xf", "tar.gz": "tar -xzf", "tar.zst": "tar --zstd -xf"}
ROOT = config(capabilities=["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_MKNOD", "CAP_SETFCAP"], cgroups={"devices": [{"type": 97, "major": -1, "minor": -1, "permissions": "rwm", "allow": True}]})


class Noise:
    """Bytes that pack to half, of any length; the same each time."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def read(self, size):
        return self.random.randbytes(size // 2 + 1).hex()[:size].encode()


class Again(Noise):
    """The same 64 KiB over and over: what is large need not be in its archive."""

    def __init__(self, seed):
        self.piece = Noise(seed).read(1 << 16)

    def read(self, size):
        return (self.piece * (size // len(self.piece) + 1))[:size]


def write_tar(file, files):
    with tarfile.open(fileobj=file, mode="w|") as archive:
        for name, size, content in files:
            head = tarfile.TarInfo(name)
            head.size = size
            archive.addfile(head, content)


def make_archives(folder):
    """A folder of archives and of umoci's layouts (whose blobs are the gzip archives), as an image."""
    top = folder / "top" / "archives"
    top.mkdir(parents=True)
    subprocess.run(["cp", BUILD / "images" / "debian-python3.tar", top / "system.tar"], check=True)
    with (top / "small.tar").open("wb") as file:
        write_tar(file, [(f"{n // 100}/{n}", 1024, Noise(n)) for n in range(FILES)])
    with (top / "large.tar").open("wb") as file:
        write_tar(file, [("large", 128 << 20, Noise(0))])
    for layer in LAYERS:
        layout = top / f"{layer}.oci"
        for words in (["init", "--layout", layout], ["new", "--image", f"{layout}:x"], ["raw", "add-layer", "--image", f"{layout}:x", top / f"{layer}.tar"]):
            subprocess.run(["umoci", *words], check=True, capture_output=True)
        blob = max((layout / "blobs" / "sha256").iterdir(), key=lambda path: path.stat().st_size)
        os.link(blob, top / f"{layer}.tar.gz")
        subprocess.run(["zstd", "-q", top / f"{layer}.tar"], check=True)
    packer = subprocess.Popen(["zstd", "-q", "-o", top / "huge.tar.zst"], stdin=subprocess.PIPE)
    write_tar(packer.stdin, [("huge", HUGE, Again(1))])
    packer.stdin.close()
    assert packer.wait() == 0
    sizes = {path.name: path.stat().st_size for path in top.iterdir() if path.is_file()}
    subprocess.run(["tar", "-C", folder / "top", "-cf", folder / "archives.tar", "."], check=True)
    subprocess.run([COFFER, "image", "build", folder / "archives.tar", folder / "archives.img"], check=True, capture_output=True)
    subprocess.run(["rm", "-rf", folder / "top", folder / "archives.tar"], check=True)
    return folder / "archives.img", sizes


class Bench:
    def __init__(self, folder):
        self.values = collections.defaultdict(list)
        archives, self.sizes = make_archives(folder)
        image = folder / "image.img"
        subprocess.run([COFFER, "image", "build", BUILD / "images" / "debian-layers.tar", image], check=True, capture_output=True)
        self.vm = Machine("bench", memory=MEMORY)
        self.pod = Pod(self.vm, image, folder, size="16G", prefix="tools-", scratch={"cipher": "aegis128"})
        self.vm.call("volume.attach", id="archives", volume=volume(archives, self.vm.add_disk(archives, read_only=True)))
        self.vm.call("rootfs.remove", id="tools-root")
        self.vm.call("rootfs.create", id="tools-root", lower=["tools-image", "archives"], scratch="tools-scratch")
        self.vm.call("layer.open", store="store", scratch="tools-scratch")
        self.streams = Store.__new__(Store)  # its ways of reading a stream; the store is open already
        self.streams.machine, self.streams.name = self.vm, "store"

    def put(self, name, value):
        self.values[name].append(value)
        print(f"# {name}: {value:.1f}", flush=True)

    # ---- times ----

    def bring(self, id, archive):
        began = time.monotonic()
        with self.vm.connect(timeout=900) as own:
            own.call("layer.import", id=id, store="store", volume="archives", path=f"/archives/{archive}", devices=True)
        return (time.monotonic() - began) * 1000

    def tool(self, script):
        """Milliseconds of the script, by the VM's own clock."""
        out = self.pod.sh(f"mkdir -p /root/x; cd /root/x; a=$(date +%s%N); {script} >/dev/null; b=$(date +%s%N); echo $((b - a))", config=ROOT)
        return int(out.split()[-1]) / 1e6

    def tool_export(self):
        """Milliseconds from the order to the last byte, on a stream as layer.export's is."""
        name = self.pod.create("sh", "-c", "read go; exec tar -C /root/x/tree -cf - .", config=ROOT)
        with self.vm.stream(name, timeout=300) as stream:
            self.vm.call("container.start", id=name)
            began = time.monotonic()
            stream.write(b"go\n")
            stream.end()
            out, err = stream.read_all()
        elapsed = (time.monotonic() - began) * 1000
        self.pod.remove(name)
        assert len(out) > 1 << 20, err
        return elapsed

    def export(self, id):
        """The same of a layer; nothing of it is kept."""
        began = time.monotonic()
        with self.vm.connect(timeout=900) as own:
            number = own.post("layer.export", {"id": id})
            with self.streams.stream(own, number, id) as stream:
                kind = DATA
                while kind == DATA:
                    channel, kind, _ = stream.frame()
                    assert channel == STDOUT
                assert kind == EOF
            own.answer(number)
        return (time.monotonic() - began) * 1000

    def turn(self, layer):
        for packing in PACKINGS:
            archive = f"{layer}.{packing}"
            self.put(f"{archive} coffer", self.bring("l", archive))
            if packing == "tar":
                self.put(f"{layer} export coffer", self.export("l"))
            self.vm.call("layer.remove", id="l")
            self.put(f"{archive} tar", self.tool(f"mkdir tree; {UNPACK[packing]} /archives/{archive} -C tree"))
            if packing == "tar":
                self.put(f"{layer} export tar", self.tool_export())
            self.pod.sh("rm -rf /root/x", config=ROOT)
            if packing == "tar.gz":
                self.put(f"{archive} umoci", self.tool(f"umoci raw unpack --image /archives/{layer}.oci:x tree"))
                self.pod.sh("rm -rf /root/x", config=ROOT)

    # ---- memory ----

    def memory(self, name, work):
        """By how much what all processes of the VM have in memory was larger at most while `work` ran."""
        script = (HERE / "layer_memory.py").read_text()
        sampler = self.pod.create("python3", "-c", script, config=ROOT)
        with self.vm.stream(sampler, timeout=300) as stream:
            self.vm.call("container.start", id=sampler)
            assert stream.frame()[2] == b"begun\n"
            work()
            stream.end()
            out, err = stream.read_all()
        self.pod.remove(sampler)
        assert not err, err
        peak = json.loads(out)
        print(f"# memory, {name}: {peak}", flush=True)
        return peak

    def memories(self):
        peaks = {"at rest": self.memory("at rest", lambda: time.sleep(5))}
        peaks["import, small files"] = self.memory("small", lambda: self.bring("m", "small.tar.zst"))
        peaks["export, small files"] = self.memory("small export", lambda: self.export("m"))
        self.vm.call("layer.remove", id="m")
        peaks["import, huge"] = self.memory("huge", lambda: self.bring("m", "huge.tar.zst"))
        peaks["export, huge"] = self.memory("huge export", lambda: self.export("m"))
        self.vm.call("layer.remove", id="m")
        return peaks

    def report(self, peaks):
        def of(name):
            return statistics.median(self.values[name] or [float("nan")])

        def ratio(name, other):
            pairs = list(zip(self.values[name], self.values[other]))
            return statistics.median(mine / its for mine, its in pairs) if pairs else float("nan")

        print("\n| import | MB | coffer, MB/s | tar, MB/s | time, of tar's | umoci, MB/s | time, of umoci's |\n| --- | --- | --- | --- | --- | --- | --- |")
        for archive in (f"{layer}.{packing}" for layer in LAYERS for packing in PACKINGS):
            mb = self.sizes[f"{archive.split('.')[0]}.tar"] / 1e6
            umoci = f"{mb / of(f'{archive} umoci') * 1000:.1f} | {ratio(f'{archive} coffer', f'{archive} umoci'):.2f}" if archive.endswith("gz") else " | "
            print(f"| {archive} | {mb:.0f} | {mb / of(f'{archive} coffer') * 1000:.1f} | {mb / of(f'{archive} tar') * 1000:.1f} | {ratio(f'{archive} coffer', f'{archive} tar'):.2f} | {umoci} |")
        print("\n| export | coffer, MB/s | tar, MB/s | time, of tar's |\n| --- | --- | --- | --- |")
        for layer in LAYERS:
            mb, mine, its = self.sizes[f"{layer}.tar"] / 1e6, f"{layer} export coffer", f"{layer} export tar"
            print(f"| {layer} | {mb / of(mine) * 1000:.1f} | {mb / of(its) * 1000:.1f} | {ratio(mine, its):.2f} |")
        print("\n| memory of processes | more than before at most, KiB | looks |\n| --- | --- | --- |")
        for name, peak in peaks.items():
            print(f"| {name} | {peak['peak_kib']} | {peak['looks']} |")
        worst = max((peak["peak_kib"] for peak in peaks.values()), default=0) << 10
        print(f"\nlargest: {worst >> 10} KiB; at most {LIMIT >> 20} MiB: {'yes' if worst < LIMIT else 'NO'}")
        return worst < LIMIT


def main(folder):
    bench = Bench(folder)
    print(f"# kernel {bench.vm.call('agent.info')['kernel']}, {bench.vm.info['accel']}, {bench.vm.info['cpus']} cpus, {MEMORY}", flush=True)
    peaks = bench.memories() if "memory" in PARTS else {}
    for _ in range(ROUNDS if "rates" in PARTS else 0):
        for layer in LAYERS:
            bench.turn(layer)
    good = bench.report(peaks)
    bench.vm.stop()
    if not good:
        raise SystemExit("an import or export took more memory than it may")


if __name__ == "__main__":
    session.run(main)
