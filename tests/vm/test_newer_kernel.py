# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job on Linux 6.12, where `make kernel-6.12` has brought it."""

import pytest
from layers import Store, info, members, tar
from machine import BUILD, Machine, Pod, config
from test_layer_store import BUSYBOX, sh  # noqa: F401: a fixture

FOLDER = BUILD / "6.12"

pytestmark = pytest.mark.skipif(not (FOLDER / "vmlinuz").exists(), reason="make kernel-6.12 has not been run")


@pytest.fixture(scope="module")
def machine(runtime):
    vm = Machine("m-newer", "--kernel", str(FOLDER / "vmlinuz"), initrd=FOLDER / "initramfs.cpio.zst")
    assert vm.call("agent.info")["kernel"].startswith("6.12")
    yield vm
    vm.stop()


@pytest.mark.parametrize("fs", ["erofs", "squashfs", "ext4"])
def test_image_scratch_container(machine, images, tmp_path, fs):
    before = machine.at_rest()
    pod = Pod(machine, images(fs), tmp_path, size="64G")
    assert pod.disk.stat().st_blocks * 512 <= 512 * 1024
    assert pod.sh("uname -r; echo x > /file; cat /file").splitlines()[1] == "x"
    assert pod.run("sh", "-c", "exit 9", config=config(cgroups={"memory": 32 << 20, "pids_limit": 10}))[0] == 9
    name = pod.start("sleep", "100")
    machine.call("container.exec", id=name, exec="e", process={"args": ["hostname"]})
    with machine.stream(name, "e") as stream:
        stream.end()
        assert stream.read_all()[0] == b"box\n"
    assert machine.call("container.wait", id=name, exec="e") == {"exit_code": 0}
    pod.remove(name)
    pod.close()
    machine.settles(before)


def test_sealed_layers(machine, sh, tmp_path):  # noqa: F811
    before = machine.at_rest()
    store = Store(machine, tmp_path)
    store.bring("base", BUSYBOX.read_bytes(), seal=True)
    top = tar(("d/file", "sealed"), info("bin/.wh.vi"), ("zeros", bytes(1 << 20)))
    store.bring("top", top, parent="base", seal=True)
    assert machine.call("layer.diff_size", id="top") == {"id": "top", "size": 6 + (1 << 20)}
    # Megabytes to the host: what is too large for one packet of this kernel is lost by the bridge of Debian.
    found = members(store.export("base"))
    assert found["bin/busybox"].content == members(BUSYBOX.read_bytes())["bin/busybox"].content
    assert members(store.export("top"))["zeros"].content == bytes(1 << 20)
    store.create("own", parent="top", writable=True)
    machine.call("layer.get", id="own")
    assert sh("own", "cat /d/file; test ! -e /bin/vi; tr -d '\\0' </zeros | wc -c; echo x >>/d/file") == "sealed0\n"
    assert sh("own", "yes 0123456 | head -c 3000000") == "0123456\n" * 375000
    machine.call("layer.put", id="own")
    store.remove_all()
    store.close()
    machine.settles(before)
