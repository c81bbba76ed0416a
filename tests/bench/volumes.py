# SPDX-License-Identifier: GPL-2.0-or-later
"""A hundred layers, each a volume under dm-verity on a partition of its own: one by one, and all at once."""

import statistics
import time

import gpt
import session
from disks import mkfs_erofs, verity
from machine import Machine

LAYERS, ROUNDS, SLOT = 100, 5, 64 * 1024


def make_disk(folder):
    """One disk of LAYERS partitions.  Returns it and the dm_verity object of each."""
    tree, piece, described = folder / "tree", folder / "piece", []
    tree.mkdir()
    disk, blocks = folder / "layers.img", SLOT // gpt.BLOCK
    gpt.write(disk, SLOT * (LAYERS + 2), {i + 1: ((i + 1) * blocks, (i + 2) * blocks - 1) for i in range(LAYERS)})
    with disk.open("r+b") as file:
        for i in range(LAYERS):
            (tree / "number").write_text(f"{i}\n" * 1000)
            mkfs_erofs(piece, tree)
            described.append(verity(piece))
            file.seek((i + 1) * SLOT)
            file.write(piece.read_bytes())
            piece.unlink()
    return disk, described


def main(folder):
    disk, described = make_disk(folder)
    vm = Machine("bench", memory="1G")
    serial = vm.add_disk(disk, read_only=True)
    requests = [
        {"id": f"l{i}", "volume": {"volume_type": "layer_raw_block", "source": f"serial:{serial}#{i + 1}", "fs_type": "erofs", "dm_verity": about}}
        for i, about in enumerate(described)
    ]

    def detach():
        for number in [vm.control.post("volume.detach", {"id": request["id"]}) for request in requests]:
            vm.control.answer(number)

    def one_by_one():
        for request in requests:
            vm.call("volume.attach", **request)

    def at_once():
        for number in [vm.control.post("volume.attach", request) for request in requests]:
            vm.control.answer(number)

    print(f"kernel {vm.call('agent.info')['kernel']}, {vm.info['accel']}, {vm.info['cpus']} cpus; {LAYERS} layers, {ROUNDS} rounds after one to warm up\n")
    times = {one_by_one: [], at_once: []}
    for turn in range(ROUNDS + 1):
        for way in (one_by_one, at_once):
            began = time.monotonic()
            way()
            if turn:
                times[way].append(time.monotonic() - began)
            detach()
    ratios = [together / alone for alone, together in zip(times[one_by_one], times[at_once])]
    print("| | seconds (median) |\n| --- | --- |")
    print(f"| one by one | {statistics.median(times[one_by_one]):.2f} |\n| all at once | {statistics.median(times[at_once]):.2f} |")
    print(f"\nratio, median of the rounds: {statistics.median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})")
    vm.stop()


if __name__ == "__main__":
    session.run(main)
