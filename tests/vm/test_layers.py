# SPDX-License-Identifier: GPL-2.0-or-later
"""Many layers in one root file system: each a volume of its own, on partitions of a few disks."""

import os

import gpt
import pytest
from disks import mkfs_erofs, verity
from machine import Machine, Pod, Refused, config

MANY, MOST = 100, 500
A_DISK = 125  # partitions: a GPT has 128
SLOT = 64 * 1024


@pytest.fixture(scope="module")
def machine(runtime):
    vm = Machine("layers", memory="1G")
    yield vm
    assert "Kernel panic" not in vm.console()
    vm.stop()


@pytest.fixture(scope="module")
def layers(machine, tmp_path_factory):
    """[(source, dm_verity)]: layer N has the files /top (its number), /lN, and hides /l(N-1)'s neighbour /gone(N-1)."""
    folder, tree = tmp_path_factory.mktemp("layers"), tmp_path_factory.mktemp("tree")
    found = []
    for first in range(0, MOST, A_DISK):
        count = min(A_DISK, MOST - first)
        pieces = []
        for n in range(first, first + count):
            for name in os.listdir(tree):
                os.unlink(tree / name)
            (tree / "top").write_text(f"{n}\n")
            (tree / f"l{n}").write_text(f"layer {n}\n" * 300)
            (tree / f"gone{n}").write_text("x")
            if n:
                os.mknod(tree / f"gone{n - 1}", 0o020000, 0)  # overlay's whiteout: a character device 0:0
            piece = folder / "piece"
            mkfs_erofs(piece, tree)
            about = verity(piece)
            pieces.append((piece.read_bytes(), about))
            piece.unlink()
        disk = folder / f"{first}.img"
        size = SLOT * (len(pieces) + 2)
        blocks = SLOT // gpt.BLOCK
        gpt.write(disk, size, {i + 1: ((i + 1) * blocks, (i + 2) * blocks - 1) for i in range(len(pieces))})
        with disk.open("r+b") as file:
            for i, (piece, _) in enumerate(pieces):
                assert len(piece) <= SLOT
                file.seek((i + 1) * SLOT)
                file.write(piece)
        serial = machine.add_disk(disk, read_only=True)
        found += [(f"serial:{serial}#{i + 1}", about) for i, (_, about) in enumerate(pieces)]
    return found


def all_at_once(machine, requests):
    """Up to a hundred in flight: a connection takes 256."""
    under_way = []
    for method, params in requests:
        under_way.append(machine.control.post(method, params))
        if len(under_way) == MANY:
            machine.control.answer(under_way.pop(0))
    for number in under_way:
        machine.control.answer(number)


def attach_all(machine, layers):
    volumes = [dict(volume_type="layer_raw_block", source=source, fs_type="erofs", dm_verity=about) for source, about in layers]
    all_at_once(machine, [("volume.attach", {"id": f"l{n}", "volume": volume}) for n, volume in enumerate(volumes)])


def detach_all(machine, count):
    all_at_once(machine, [("volume.detach", {"id": f"l{n}"}) for n in range(count)])


@pytest.mark.parametrize("count", [MANY, MOST])
def test_a_root_of_many_layers(machine, images, layers, tmp_path, count):
    """All are attached at once; the first of `lower` is the top one, and whiteouts hide what lies below them alone."""
    pod = Pod(machine, images(), tmp_path)
    before = machine.at_rest()
    attach_all(machine, layers[: count - 1])
    assert machine.resources()["mappings"] == before["mappings"] + count - 1
    machine.call("rootfs.create", id="deep", lower=[f"l{n}" for n in reversed(range(count - 1))] + ["image"], scratch="scratch")
    last = count - 2
    script = "cat /top; ls / | grep -c '^l[0-9]'; cat /l*[0-9] | sort -u | wc -l; ls / | grep '^gone'; echo new > /top; cat /top; rm /l0; ls /l0 2>/dev/null || echo deleted"
    machine.call("container.create", id="c", rootfs="deep", config=config(), process={"args": ["sh", "-c", script]})
    with machine.stream("c") as stream:
        machine.call("container.start", id="c")
        out, err = stream.read_all()
    assert out.decode().split() == [str(last), str(count - 1), str(count - 1), f"gone{last}", "new", "deleted"], err
    machine.call("container.remove", id="c", force=True)
    with pytest.raises(Refused) as info:
        machine.call("volume.detach", id="l7")
    assert info.value.name == "in-use"
    machine.call("rootfs.remove", id="deep")
    detach_all(machine, count - 1)
    machine.settles(before)
    pod.close()


def test_one_more_than_the_kernel_stacks(machine):
    with pytest.raises(Refused) as info:
        machine.call("rootfs.create", id="deep", lower=[f"l{n}" for n in range(MOST + 1)], scratch="scratch")
    assert (info.value.name, info.value.field) == ("invalid-params", "lower")


def test_what_a_layer_says_about_redirects_is_not_followed(machine, images, tmp_path):
    """A hostile layer's attributes: a directory that redirects to another one, and a file whose data are said to lie elsewhere."""
    pod = Pod(machine, images(), tmp_path)
    tree, below = tmp_path / "hostile", tmp_path / "below"
    (below / "secret").mkdir(parents=True)
    (below / "secret" / "file").write_text("of another directory\n")
    (below / "data").write_text("of another file\n")
    (tree / "pretty").mkdir(parents=True)
    (tree / "pretty" / "own").write_text("own\n")
    (tree / "copy").write_bytes(b"")
    os.truncate(tree / "copy", 16)
    (tree / "opaque").mkdir()
    (below / "opaque").mkdir()
    (below / "opaque" / "hidden").write_text("x")
    serials = []
    for path, attributes in (
        (tree / "pretty", {"redirect": b"/secret"}),
        (tree / "copy", {"redirect": b"/data", "metacopy": b""}),
        (tree / "opaque", {"opaque": b"y"}),
    ):
        for name, value in attributes.items():
            os.setxattr(path, f"trusted.overlay.{name}", value)
    for name, folder in (("hostile", tree), ("below", below)):
        image = tmp_path / f"{name}.img"
        mkfs_erofs(image, folder)
        about = verity(image)
        serials.append(machine.add_disk(image, read_only=True))
        machine.call("volume.attach", id=name, volume=dict(volume_type="layer_raw_block", source=f"serial:{serials[-1]}", fs_type="erofs", dm_verity=about))
    machine.call("rootfs.create", id="mixed", lower=["hostile", "below", "image"], scratch="scratch")
    script = "ls /pretty; cat /copy 2>/dev/null | tr -d '\\0'; echo; ls /opaque; cat /secret/file"
    machine.call("container.create", id="c", rootfs="mixed", config=config(), process={"args": ["sh", "-c", script]})
    with machine.stream("c") as stream:
        machine.call("container.start", id="c")
        out, _ = stream.read_all()
    assert "file" not in out.decode().split() and "of another file" not in out.decode(), out
    assert b"hidden" not in out and b"of another directory" in out
    machine.call("container.remove", id="c", force=True)
    machine.call("rootfs.remove", id="mixed")
    for name in ("hostile", "below"):
        machine.call("volume.detach", id=name)
    for serial in serials:
        machine.remove_disk(serial)
    pod.close()
