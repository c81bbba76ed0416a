# SPDX-License-Identifier: GPL-2.0-or-later
"""SELinux labels, in a VM whose image was built with a policy (selinux.cil) and whose kernel enforces it."""

import os
import pathlib
import subprocess

import pytest
from layers import Store, tar
from machine import BUILD, COFFER, MOUNTS, TOP, Machine, config
from test_encrypted import sparse
from test_layer_store import BUSYBOX, refused, sh, store  # noqa: F401: fixtures

APP = "system_u:system_r:app_t:s0:c1,c2"
FILE = "system_u:object_r:file_t:s0:c1,c2"
SECRET = "system_u:object_r:secret_t:s0:c1,c2"
OTHER_APP, COMMON = "system_u:system_r:app_t:s0:c0", "system_u:object_r:file_t:s0"
CONFIG = {"process_label": APP, "mount_label": FILE}


def build(folder):
    """An initramfs with the policy."""
    policy = folder / "files" / "etc" / "coffer" / "selinux.policy"
    policy.parent.mkdir(parents=True)
    compiler = "/usr/bin/secilc"
    subprocess.run([compiler, "-c", "33", "-o", policy, "-f", "/dev/null", pathlib.Path(__file__).with_name("selinux.cil")], check=True)
    kernel = (BUILD / "kernel.name").read_text().strip()
    out = folder / "initramfs.cpio.zst"
    command = [TOP / "initramfs/build.py", "--agent", BUILD / "coffer-agent", "--pause", BUILD / "pause", "--hooks", folder / "files"]
    subprocess.run(["/usr/bin/python3", *command, "--kernel", kernel, "--output", out], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def initramfs(tmp_path_factory):
    return build(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def machine(runtime, initramfs):
    vm = Machine("labels", "--append", "security=selinux enforcing=1", initrd=initramfs)
    yield vm
    assert "Kernel panic" not in vm.console()
    vm.stop()


def test_a_layer_with_a_label(machine, store, sh):  # noqa: F811
    store.bring("tools", BUSYBOX.read_bytes())
    store.create("own", parent="tools", writable=True)
    machine.call("layer.get", id="own", label=FILE)
    out = sh("own", "cat /proc/self/attr/current; echo; grep ' / ' /proc/mounts; grep /dev/shm /proc/mounts; echo x >/dev/shm/x; cat /dev/shm/x", config=config(**CONFIG))
    label, root, shm, x = [line for line in out.replace("\0", "").splitlines() if line]
    assert label == APP and f'context="{FILE}"' in root and f'context="{FILE}"' in shm and x == "x"
    assert refused(machine.call, "layer.get", id="own", label=SECRET).field == "label"
    assert refused(machine.call, "layer.get", id="own").field == "label"
    machine.call("layer.put", id="own")
    # The same files under a label that such a process may not touch.
    machine.call("layer.get", id="own", label=SECRET)
    machine.call("rootfs.create", id="root", layer="own")
    machine.call("container.create", id="c", rootfs="root", config=config(**CONFIG), process={"args": ["cat", "/etc/passwd"]})
    error = refused(machine.call, "container.start", id="c")
    assert (error.name, error.errno) == ("exec-failed", 13)
    machine.call("container.remove", id="c", force=True)
    machine.call("rootfs.remove", id="root")
    # Without a process label it is the agent's own, which may.
    assert sh("own", "cat /proc/self/attr/current").startswith("system_u:system_r:kernel_t:s0")
    machine.call("layer.put", id="own")


@pytest.mark.parametrize("how", ["z", "Z"])
def test_a_volume_is_relabelled(machine, store, sh, tmp_path, how):  # noqa: F811
    """`z`: for all of its kind, at level s0; `Z`: for those with the same categories.  None with another type can read it."""
    store.bring("tools", BUSYBOX.read_bytes())
    store.create("own", parent="tools", writable=True)
    machine.call("layer.get", id="own", label=COMMON)
    serial = machine.add_disk(sparse(tmp_path / "second.img", "256M"))
    machine.call("scratch.create", id="second", device={"serial": serial})
    machine.call("volume.create", id="v", type="directory", scratch="second")
    bind = {"source": "/run/coffer/volume/v", "destination": "/data", "device": "bind", "flags": 4096}

    def run(label, script, app=APP, **relabel):
        return sh("own", script, config=config(process_label=app, mount_label=label, mounts=MOUNTS + [{**bind, **relabel}]))

    run(FILE, "mkdir -p /data/d; echo x >/data/d/f; ln -s /etc/passwd /data/link; cat /data/d/f", relabel=how)
    run(FILE, "cat /data/d/f", relabel=how)  # what was made since has the level of its maker
    if how == "z":
        assert run(COMMON, "cat /data/d/f", app=OTHER_APP) == "x\n"
    else:
        with pytest.raises(AssertionError, match="Permission denied"):
            run(COMMON, "cat /data/d/f", app=OTHER_APP)
    with pytest.raises(AssertionError, match="Permission denied"):
        run(SECRET, "cat /data/d/f", relabel=how)
    assert run(FILE, "cat /data/d/f; cat /etc/passwd >/dev/null", relabel=how) == "x\n"
    machine.call("volume.detach", id="v")
    machine.call("scratch.remove", id="second")
    machine.remove_disk(serial)
    machine.call("layer.put", id="own")


def test_labels_that_are_refused(machine, store):  # noqa: F811
    store.bring("tools", BUSYBOX.read_bytes())
    for label in ("system_u:object_r:none_t:s0", "nonsense", 'system_u:object_r:file_t:s0",x="', "system_u:object_r:file_t:s0\n"):
        error = refused(machine.call, "layer.get", id="tools", label=label)
        assert (error.name, error.field) == ("invalid-params", "label"), label
    machine.call("layer.get", id="tools")
    assert refused(machine.call, "rootfs.create", id="root", layer="tools", label=FILE).field == "label"
    machine.call("rootfs.create", id="root", layer="tools")
    machine.call("volume.create", id="v", type="tmpfs", size=1 << 20)
    bind = {"source": "/run/coffer/volume/v", "destination": "/data", "device": "bind", "flags": 4096}
    rows = [
        ({"process_label": "nonsense"}, "config.process_label"),
        ({"mount_label": "nonsense"}, "config.mount_label"),
        ({"mounts": MOUNTS + [{**bind, "relabel": "z"}]}, f"config.mounts[{len(MOUNTS)}].relabel"),
        ({"mount_label": FILE, "mounts": MOUNTS + [{**bind, "relabel": "x"}]}, f"config.mounts[{len(MOUNTS)}].relabel"),
    ]
    for change, field in rows:
        error = refused(machine.call, "container.create", id="c", rootfs="root", config=config(**change), process={"args": ["true"]})
        assert (error.name, error.field) == ("invalid-params", field), change
    machine.call("volume.detach", id="v")
    machine.call("rootfs.remove", id="root")
    machine.call("layer.put", id="tools")


def test_a_policy_that_cannot_be_loaded(runtime, initramfs, tmp_path):
    """A VM that was built with one does not run without it."""
    environment = dict(os.environ, COFFER_INITRD=str(initramfs))
    run = subprocess.run([COFFER, "vm", "start", "unlabelled"], capture_output=True, text=True, env=environment, timeout=180)
    assert run.returncode != 0
    assert "runs without SELinux" in run.stderr + run.stdout
