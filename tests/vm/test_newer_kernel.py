# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job on Linux 6.12, where `make kernel-6.12` has brought it."""

import pytest
from machine import BUILD, Machine, Pod, config

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
