# SPDX-License-Identifier: GPL-2.0-or-later
"""Few boots, many cases: machines live for the session or for a module."""

import os
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from machine import BUILD, TOP, Machine, Pod, coffer, runtime_folder  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "keys(*names): the keys of a container config whose behaviour this test shows")
    config.addinivalue_line("markers", "alone: it has bounds of time, and runs when no other test does")


@pytest.fixture(scope="session", autouse=True)
def runtime():
    folder = runtime_folder()
    os.environ["COFFER_RUNTIME_DIR"] = folder
    yield folder
    coffer("vm", "stop", "--all", "--force", check=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Builds verified images of the busybox tree, once a session: images("erofs", "--salt", "-")."""
    folder, made = tmp_path_factory.mktemp("images"), {}

    def build(fs="erofs", *options, archive=BUILD / "images" / "busybox.tar"):
        key = (fs, options, archive)
        if key not in made:
            out = folder / f"{len(made)}-{fs}.img"
            subprocess.run([BUILD / "coffer", "image", "build", archive, out, "--fs", fs, *options], check=True, capture_output=True)
            made[key] = out
        return made[key]

    return build


@pytest.fixture(scope="module")
def machine(request, runtime):
    """The production initrd."""
    vm = Machine(request.module.__name__.replace("test_", "m-"))
    yield vm
    assert "Kernel panic" not in vm.console()
    vm.stop()


@pytest.fixture(scope="module")
def pod(machine, images, tmp_path_factory):
    before = machine.at_rest()
    made = Pod(machine, images(), tmp_path_factory.mktemp("pod"))
    yield made
    made.close()
    machine.settles(before)


@pytest.fixture(scope="session")
def debian(runtime, images, tmp_path_factory):
    """A Debian root file system, on a machine whose image was built with programs for hooks."""
    folder = tmp_path_factory.mktemp("debian")
    hooks = folder / "hooks"
    (hooks / "bin").mkdir(parents=True)
    busybox = next((BUILD / "packages/busybox-static").rglob("bin/busybox"))
    for name in ("sh", "cat", "false", "sleep", "env", "date", "readlink", "stat", "rm", "mv", "mkdir", "ln"):
        shutil.copy(busybox, hooks / "bin" / name)
    # Scripts: busybox would look at the argv[0] that a config gives.
    for name, text in (("h", "cat > /dev/null"), ("bin/true", "exit 0")):
        (hooks / name).write_text(f"#!/bin/sh\n{text}\n")
        (hooks / name).chmod(0o755)
    (hooks / "hooks-data").write_text("not a program\n")
    initrd = folder / "initrd"
    subprocess.run(
        ["/usr/bin/python3", TOP / "initramfs/build.py", "--agent", BUILD / "coffer-agent", "--pause", BUILD / "pause", "--hooks", hooks,
         "--kernel", (BUILD / "kernel.name").read_text().strip(), "--cache", BUILD / "initramfs-cache", "--output", initrd],
        check=True,
    )  # fmt: skip
    vm = Machine("debian", initrd=initrd, memory="768M")
    made = Pod(vm, images(archive=BUILD / "images" / "debian-python3.tar"), folder)
    yield made
    made.close()
    assert "Kernel panic" not in vm.console()
    vm.stop()
