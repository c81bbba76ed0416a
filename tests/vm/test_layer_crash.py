# SPDX-License-Identifier: GPL-2.0-or-later
"""Stores whose machine, or worker, dies: no finished layer is lost, no half one is seen."""

import os
import random
import signal
import threading
import time

import pytest
from layers import Store, lasting_store, tar
from machine import BUILD, Machine, Refused
from test_encrypted import is_free, sparse
from test_faults import killed_at_every_record
from test_lifecycle import ended, wait_until

CUTS = int(os.environ.get("POWER_CUTS", "8"))


@pytest.fixture(scope="module")
def faulty(runtime):
    vm = Machine("m-layer-faults", initrd=BUILD / "test" / "initramfs.cpio.zst")
    yield vm
    vm.stop()


def test_killed_at_every_record(faulty, tmp_path):
    store = Store(faulty, tmp_path, size="1G")
    store.bring("base", tar(("f", "x")))
    archive = tar(*[(f"d/{n}", "x" * 5000) for n in range(50)])
    # The finished directory, the new one, (the view of the layers below: its place, the mount), the result.
    killed_at_every_record(faulty, 3, lambda: store.create("l", parent="base"), lambda: faulty.call("layer.remove", id="l"))
    killed_at_every_record(faulty, 5, lambda: store.bring("l", archive, parent="base"), lambda: faulty.call("layer.remove", id="l"))
    store.create("rw", parent="base", writable=True)
    # The work directory, its place, the mount, the result.
    killed_at_every_record(faulty, 4, lambda: faulty.call("layer.get", id="rw"), lambda: faulty.call("layer.put", id="rw"))
    killed_at_every_record(faulty, 3, lambda: faulty.call("layer.get", id="base"), lambda: faulty.call("layer.put", id="base"))
    shift = [{"tree": 0, "mount": 1000, "count": 1000}]
    # The same, and between them where mapped layers are, the place of each, its mount.
    killed_at_every_record(faulty, 6, lambda: faulty.call("layer.get", id="base", uids=shift, gids=shift), lambda: faulty.call("layer.put", id="base"))
    assert store.ids() == ["base", "rw"]
    store.remove_all()
    store.close()


def test_power_cuts(runtime, tmp_path):
    """At a random moment of an import, again and again, with the same disk."""
    chance = random.Random(5)
    files = [(f"d{n % 7}/f{n}", chance.randbytes(chance.randrange(60000))) for n in range(60)]
    path, kept, cut_short = sparse(tmp_path / "v.img", "512M"), {}, 0
    vm = Machine("cuts", memory="256M")
    store = lasting_store(vm, path, tmp_path, new=True)
    began = time.monotonic()
    kept["base"] = store.bring("base", tar(*files))["size"]
    length = time.monotonic() - began
    exported = {"base": store.take("layer.export", "base")[0]["diff_id"]}
    for cut in range(CUTS):
        id, archive = f"l{cut}", tar(*[(name, content[::-1]) for name, content in files], (f"number-{cut}", "x"))
        importer = threading.Thread(target=bring, args=(store, id, archive, kept))
        importer.start()
        time.sleep(chance.uniform(0, 1.2 * length))
        cut_short += importer.is_alive()
        answered = set(kept)
        os.kill(vm.info["pid"], signal.SIGKILL)
        wait_until(lambda: ended(vm) and is_free(path))
        importer.join()
        assert "AEAD ERROR" not in vm.console()
        vm = Machine("cuts", memory="256M")
        store = lasting_store(vm, path, tmp_path)
        found = set(store.ids())
        assert answered <= found <= answered | {id}, (cut, answered, found)
        if id in found:  # whole: byte for byte what the same archive becomes without a cut
            digest = store.take("layer.export", id)[0]["diff_id"]
            store.bring("again", archive, parent="base")
            assert store.take("layer.export", "again")[0]["diff_id"] == digest
            for name in ("again", id):
                vm.call("layer.remove", id=name)
            kept.pop(id, None)
        assert store.take("layer.export", "base")[0]["diff_id"] == exported["base"]
    assert cut_short > CUTS // 3, "were there cuts in the middle at all?"
    vm.stop()


def bring(store, id, archive, kept):
    try:
        kept[id] = store.bring(id, archive, parent="base")["size"]
    except (OSError, EOFError, AssertionError, Refused):
        pass
