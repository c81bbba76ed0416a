# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scratch disk, an image volume and a container cost: one VM, everything interleaved, medians."""

import collections
import statistics
import subprocess
import time

import session
from machine import BUILD, COFFER, Machine, allocated, config, volume

ROUNDS = 15
SIZES = ("1G", "64G", "1T", "8T")


def main(folder):
    image = folder / "image.img"
    subprocess.run([COFFER, "image", "build", BUILD / "images" / "busybox.tar", image], check=True, capture_output=True)
    vm = Machine("bench")
    print(f"kernel {vm.call('agent.info')['kernel']}, {vm.info['accel']}, {vm.info['cpus']} cpus; median of {ROUNDS} rounds after one to warm up\n")
    serials, times, bytes_written, on_host = {}, collections.defaultdict(list), {}, {}
    for size in SIZES:
        disk = folder / f"{size}.img"
        subprocess.run(["truncate", "-s", size, disk], check=True)
        serials[size] = vm.add_disk(disk)
    picture = vm.add_disk(image, read_only=True)

    def timed(name, method, **params):
        began = time.monotonic()
        answer = vm.call(method, **params)
        times[name].append((time.monotonic() - began) * 1000)
        for step in answer.get("steps", []):
            times[f"    {name}: {step['name']}"].append(step["us"] / 1000)
        return answer

    for turn in range(ROUNDS + 1):
        if turn == 1:
            times.clear()
        timed("volume.attach", "volume.attach", id="v", volume=volume(image, picture))
        for size in SIZES:
            answer = timed(f"scratch.create {size}", "scratch.create", id="s", device={"serial": serials[size]})
            bytes_written[size] = answer["written"]
            if turn == 0:
                on_host[size] = allocated(folder / f"{size}.img")
            if size == "64G":
                timed("rootfs.create", "rootfs.create", id="r", lower=["v"], scratch="s")
                timed("container.create", "container.create", id="c", rootfs="r", config=config(), process={"args": ["true"], "stdio": "null"})
                timed("container.start", "container.start", id="c")
                timed("container.wait", "container.wait", id="c")
                timed("container.remove", "container.remove", id="c")
                timed("rootfs.remove", "rootfs.remove", id="r")
            timed(f"scratch.remove {size}", "scratch.remove", id="s")
        timed("volume.detach", "volume.detach", id="v")
    print("| scratch | written by the guest until mounted | taken on the host |\n| --- | --- | --- |")
    for size in SIZES:
        print(f"| {size} | {bytes_written[size] // 1024} KiB | {on_host[size] // 1024} KiB |")
    print("\n| step | ms |\n| --- | --- |")
    for name, values in times.items():
        print(f"| {name.replace('    ', '&emsp;')} | {statistics.median(values):.1f} |")
    vm.stop()


if __name__ == "__main__":
    session.run(main)
