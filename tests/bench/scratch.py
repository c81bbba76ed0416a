# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scratch costs beside the usual recipe, each cipher's throughput, and xfs instead of ext4: one VM, everything in turn."""

import collections
import os
import pathlib
import statistics
import subprocess
import time

import session
from machine import BUILD, COFFER, MOUNTS, Machine, Pod, Refused, config, volume

HERE = pathlib.Path(__file__).resolve().parent
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SIZES = ("64G", "1T")
CIPHERS = ("aes-xts-hmac-sha256", "aes-gcm", "aegis128")
PARTS = ("luksFormat", "luksOpen", "file system")
CAPABILITIES = ["CAP_DAC_OVERRIDE", "CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_IPC_LOCK", "CAP_CHOWN", "CAP_FOWNER"]
PRIVILEGED = config(
    capabilities=CAPABILITIES,
    readonly_paths=None,
    mask_paths=None,
    mounts=[dict(mount, data="mode=1777,size=400m", flags=0) if mount["destination"] == "/dev/shm" else mount for mount in MOUNTS],
    cgroups={"devices": [{"type": 97, "major": -1, "minor": -1, "permissions": "rwm", "allow": True}]},
)
NODES = """
for d in /sys/class/block/*; do n=$(cat $d/dev); mknod /dev/${d##*/} b ${n%:*} ${n#*:}; done
mkdir -p /dev/mapper /run/cryptsetup; mknod /dev/mapper/control c 10 236
"""


class Bench:
    def __init__(self, folder):
        self.folder, self.image = folder, folder / "image.img"
        subprocess.run([COFFER, "image", "build", BUILD / "images" / "debian-storage.tar", self.image], check=True, capture_output=True)
        self.vm = Machine("bench", "--append", "coffer.plain_storage=allow", memory="1G")
        self.values = collections.defaultdict(list)
        self.tools = Pod(self.vm, self.image, folder, prefix="tools-")

    def put(self, name, value):
        self.values[name].append(value)
        print(f"# {name}: {value}", flush=True)

    def disk(self, size):
        path = self.folder / f"{size}-{len(list(self.folder.iterdir()))}.img"
        subprocess.run(["truncate", "-s", size, path], check=True)
        return self.vm.add_disk(path)

    def script(self, name, *words, pod=None):
        """Runs a file of this folder in a privileged container; the numbers that it prints."""
        text = (HERE / name).read_text()
        program = "python3 -" if name.endswith(".py") else "bash -s --"
        pod = pod or self.tools
        code, out, err = pod.run("bash", "-ec", f"{NODES} exec {program} {' '.join(words)}", stdin=text.encode(), config=PRIVILEGED)
        if code != 0:
            raise SystemExit(f"{name}: exit {code}\n{out}\n{err}\n{self.vm.console()[-2000:]}")
        return [float(word) for word in out.split()]

    # ---- (a) time to mounted, and bytes ----

    def beside_the_recipe(self):
        for size in SIZES:
            serial = self.disk(size)
            self.vm.call("scratch.create", id="s", device={"serial": serial})  # the first one loads modules
            self.vm.call("scratch.remove", id="s")
            for _ in range(ROUNDS):
                began = time.monotonic()
                made = self.vm.call("scratch.create", id="s", device={"serial": serial})
                elapsed = (time.monotonic() - began) * 1000
                self.vm.call("scratch.remove", id="s")
                figures = {kind: self.script("scratch-recipe.sh", made["device"], kind) for kind in ("known", "quick")}
                self.put(f"coffer {size} ms", elapsed)
                self.put(f"coffer {size} bytes", made["written"])
                for kind, (nanoseconds, written, *parts) in figures.items():
                    self.put(f"{kind} {size} ms", nanoseconds / 1e6)
                    self.put(f"{kind} {size} bytes", written)
                    for part, value in zip(PARTS, parts):
                        self.put(f"{kind} {size} {part}", value / 1e6)
            self.vm.remove_disk(serial)

    # ---- a mapping without its mount ----

    def on_the_mapping(self, scratch, name, *words):
        """While a container holds the mapping open, removing the scratch unmounts it and leaves the mapping there, to be removed again."""
        find = f'for d in /sys/class/block/dm-*; do [ "$(cat $d/dm/name)" != coffer-scratch-{scratch} ] || echo $d; done'
        mapping = "/dev/" + pathlib.Path(self.tools.sh(find, config=PRIVILEGED).strip()).name
        holder = self.tools.create("bash", "-ec", f"{NODES} exec 3< {mapping}; echo held; read line", config=PRIVILEGED)
        with self.vm.stream(holder) as stream:
            self.vm.call("container.start", id=holder)
            assert stream.frame()[2] == b"held\n"
            try:
                self.vm.call("scratch.remove", id=scratch)
                raise SystemExit("the scratch went although its mapping is open")
            except Refused as refused:
                assert refused.name == "teardown-failed", refused
            figures = self.script(name, mapping, *words)
            stream.end()
            stream.read_all()
        self.tools.remove(holder)
        self.vm.call("scratch.remove", id=scratch)
        return figures

    # ---- (b) throughput ----

    def throughput(self):
        plain = self.disk("4G")
        self.vm.call("scratch.create", id="s", device={"serial": plain})
        device = self.vm.call("scratch.list")["scratches"][-1]["device"]
        self.vm.call("scratch.remove", id="s")
        kinds = ("write MB/s", "read MB/s", "4 KiB write and fsync, ms")

        def put(name, figures):
            for kind, value in zip(kinds, figures):
                self.put(f"{name}: {kind}", value / 1e6 if kind.endswith("MB/s") else value)

        for turn in range(ROUNDS):
            put("disk", self.script("scratch-speed.py", device))
            for cipher in CIPHERS:
                pod = Pod(self.vm, self.image, self.folder, prefix="speed-", scratch={"cipher": cipher})
                put(f"{cipher}, mounted", self.script("scratch-speed.py", "/root/file", pod=pod))
                self.vm.call("rootfs.remove", id="speed-root")
                put(f"{cipher}, mapping", self.on_the_mapping("speed-scratch", "scratch-speed.py"))
                self.vm.call("volume.detach", id="speed-image")
                self.vm.remove_disk(pod.image)
                self.vm.remove_disk(pod.scratch)
        self.vm.remove_disk(plain)

    # ---- (c) xfs ----

    def xfs(self):
        serial = self.disk("1G")  # the agent loads the module when it mounts one
        self.vm.call("scratch.create", id="s", device={"serial": serial})
        device = self.vm.call("scratch.list")["scratches"][-1]["device"]
        self.vm.call("scratch.remove", id="s")
        self.tools.sh(f"{NODES} mkfs.xfs -q -f {device}", config=PRIVILEGED)
        self.vm.call("volume.attach", id="x", volume={"volume_type": "direct_block", "source": f"serial:{serial}", "fs_type": "xfs"})
        for size in SIZES:
            other = self.disk(size)
            for _ in range(ROUNDS):
                made = self.vm.call("scratch.create", id="s", device={"serial": other})
                steps = {step["name"]: step for step in made["steps"]}
                ext4 = [steps[name] for name in ("make ext4 in memory", "copy its data", "mount")]
                self.put(f"ext4 on a mapping, {size} ms", sum(step["us"] for step in ext4) / 1000)
                self.put(f"ext4 on a mapping, {size} bytes", sum(step["written"] for step in ext4))
                nanoseconds, written = self.on_the_mapping("s", "scratch-xfs.sh", made["device"])
                self.put(f"xfs on a mapping, {size} ms", nanoseconds / 1e6)
                self.put(f"xfs on a mapping, {size} bytes", written)
            self.vm.remove_disk(other)
        self.vm.call("volume.detach", id="x")

    def report(self):
        def of(name):
            return statistics.median(self.values[name] or [float("nan")])

        print("\n| scratch | | to mounted, ms | of these luksFormat, luksOpen, file system | of the quick recipe's time | written, KiB |\n| --- | --- | --- | --- | --- | --- |")
        for size in SIZES:
            for kind in ("coffer", "known", "quick"):
                parts = " ".join(f"{of(f'{kind} {size} {part}'):.0f}" for part in PARTS) if kind != "coffer" else ""
                share = of(f"{kind} {size} ms") / of(f"quick {size} ms")
                print(f"| {size} | {kind} | {of(f'{kind} {size} ms'):.0f} | {parts} | {share:.3f} | {of(f'{kind} {size} bytes') / 1024:.0f} |")
        print("\n| | written, MB/s | read, MB/s | 4 KiB write and fsync, ms |\n| --- | --- | --- | --- |")
        for name in ("disk", *(f"{cipher}, {place}" for cipher in CIPHERS for place in ("mapping", "mounted"))):
            print(f"| {name} | {of(f'{name}: write MB/s'):.1f} | {of(f'{name}: read MB/s'):.1f} | {of(f'{name}: 4 KiB write and fsync, ms'):.2f} |")
        print("\n| on the same mapping | ms | written, KiB |\n| --- | --- | --- |")
        for size in SIZES:
            for kind in ("ext4", "xfs"):
                print(f"| {kind}, {size} | {of(f'{kind} on a mapping, {size} ms'):.0f} | {of(f'{kind} on a mapping, {size} bytes') / 1024:.0f} |")
        for size in SIZES:
            for kind in ("known", "quick"):
                if of(f"coffer {size} ms") > of(f"{kind} {size} ms") / 10:
                    print(f"\n{size}: more than a tenth of the time of the recipe ({kind})")


def main(folder):
    bench = Bench(folder)
    for part in os.environ.get("PARTS", "beside_the_recipe throughput xfs").split():
        getattr(bench, part)()
    bench.report()
    bench.vm.stop()


if __name__ == "__main__":
    session.run(main)
