# SPDX-License-Identifier: GPL-2.0-or-later
"""Layers with a key of their own, in images of the store and on disks: nothing of them is there without it."""

import base64
import json
import pathlib
import re
import socketserver
import subprocess
import tarfile
import threading
import time

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from layers import Store, info, lasting_store, members, shut_down, tar
from machine import BUILD, Machine, Refused, config
from test_encrypted import OTHER, PASSPHRASE, RAW, sparse
from test_faults import killed_at_every_record
from test_layer_store import BUSYBOX, refused, sh, store  # noqa: F401: fixtures

MARKER = "MARKER-OF-A-LAYER"
KEY_ID = "0e7d4b7c-3f6a-4f0e-9d6e-0f0a6c1f9b11"


def unlock(machine, id, key=RAW, **params):
    return machine.call("layer.unlock", id=id, key=key, **params)


def test_created_imported_locked_and_combined(machine, store, sh):  # noqa: F811
    """Plain, encrypted, encrypted with another key, plain: one tree."""
    store.bring("tools", BUSYBOX.read_bytes())
    made = store.bring("secret", tar(("secret", MARKER), ("shared", "of secret")), parent="tools", key=RAW, image={"size": "4m"})
    assert made["key_from"] == "request" and len(made["header_sha256"]) == 64
    assert made["diff_id"].startswith("sha256:")
    listed = {layer["id"]: layer for layer in machine.call("layer.list", store="store")["layers"]}
    assert (listed["secret"]["encrypted"], listed["secret"]["locked"]) == (True, True)
    assert (listed["tools"]["encrypted"], listed["tools"]["locked"]) == (False, False)
    # What needs its files says what is wrong; what does not need them works.
    for method in ("layer.get", "layer.diff_size"):
        error = refused(machine.call, method, id="secret")
        assert (error.name, error.message) == ("wrong-state", "the layer secret is locked: layer.unlock opens it: Required key not available")
    assert refused(store.bring, "above", tar(("above", "")), parent="secret").name == "wrong-state"
    store.create("early", parent="secret")
    machine.call("layer.remove", id="early")
    assert refused(unlock, machine, "secret", OTHER).name == "bad-key"
    assert refused(unlock, machine, "tools").field == "id"
    assert refused(unlock, machine, "secret", device={"serial": "x"}).field == "device"

    opened = unlock(machine, "secret")
    assert (opened["path"], opened["writable"], opened["key_from"]) == ("/run/coffer/image/secret/tree", False, "request")
    assert opened["header_sha256"] == made["header_sha256"]
    assert refused(unlock, machine, "secret").name == "already-exists"
    assert refused(machine.call, "layer.remove", id="secret").name == "in-use"
    store.bring("second", tar(("second", "2"), (".wh.shared", "")), parent="secret", key=PASSPHRASE, image={"size": "1 MiB"})
    unlock(machine, "second", PASSPHRASE)
    store.bring("top", tar(("top", "t")), parent="second")
    assert store.changes("second") == [("/second", "added"), ("/shared", "deleted")]
    assert machine.call("layer.diff_size", id="secret")["size"] == len(MARKER) + len("of secret")
    machine.call("layer.get", id="top")
    assert sh("top", "cat /secret /second /top; ls /shared / 2>&1 | grep -c -e lost -e shared") == f"{MARKER}2t1\n"
    assert refused(machine.call, "layer.lock", id="secret").name == "in-use"
    machine.call("layer.put", id="top")
    assert members(store.export("second"))["second"].content == b"2"
    machine.call("layer.lock", id="second")
    assert refused(machine.call, "layer.get", id="top").message.startswith("the layer second is locked")
    machine.call("layer.lock", id="secret")
    assert refused(machine.call, "layer.lock", id="secret").name == "not-found"


def test_written_to(machine, store, sh):  # noqa: F811
    store.bring("tools", BUSYBOX.read_bytes())
    store.create("own", parent="tools", writable=True, key=RAW, image={"size": "8m"})
    assert unlock(machine, "own")["writable"] is True
    metadata = machine.call("layer.metadata", id="own")
    assert metadata["upper"] == "/run/coffer/image/own/tree"
    assert machine.call("layer.get", id="own")["writable"] is True
    assert machine.call("layer.metadata", id="own")["work"] == "/run/coffer/image/own/work"
    sh("own", f"echo {MARKER} >/note; rm /bin/vi; for i in $(seq 300); do echo $i >/f$i; done")
    machine.call("layer.put", id="own")
    machine.call("layer.lock", id="own")
    unlock(machine, "own")
    machine.call("layer.get", id="own")
    assert sh("own", "cat /note /f300; test ! -e /bin/vi") == f"{MARKER}\n300\n"
    machine.call("layer.put", id="own")
    # Another layer seals it.
    machine.call("layer.lock", id="own")
    store.create("child", parent="own", writable=True)
    assert unlock(machine, "own")["writable"] is False
    machine.call("layer.get", id="child")
    assert sh("child", "cat /note; echo more >>/note; tail -n 1 /note") == f"{MARKER}\nmore\n"
    machine.call("layer.put", id="child")
    machine.call("layer.lock", id="own")


def test_an_image_holds_what_its_size_says(machine, store):  # noqa: F811
    """Both in a few large files and in many small ones."""
    large = tar(*[(f"large-{i}", bytes([i]) * 8_000_000) for i in range(2)])
    small = tar(*[(f"d{i % 40}/small-{i}", bytes([i % 251]) * 9000) for i in range(1500)])
    for id, archive, size in (("large", large, "16m"), ("small", small, f"{1500 * 9000} b")):
        store.bring(id, archive, key=RAW, image={"size": size})
        unlock(machine, id)
        assert len(members(store.export(id))) == len(members(archive)) + 1 + (40 if id == "small" else 0)
        machine.call("layer.lock", id=id)
    error = refused(store.bring, "toolarge", tar(("x", b"x" * 60_000_000)), key=RAW, image={"size": "1m"})
    assert "No space left on device" in error.message
    assert sorted(store.ids()) == ["large", "small"]


def test_nothing_shows_on_a_disk(machine, store, tmp_path):  # noqa: F811
    """And the disk is opened in another VM, in a store that has never heard of it."""
    path = sparse(tmp_path / "layer.img", "64M")
    serial = machine.add_disk(path)
    made = store.bring("away", tar(("secret", MARKER * 1000)), key=RAW, image={"device": {"serial": serial}})
    assert refused(unlock, machine, "away").field == "device"
    unlock(machine, "away", device={"serial": serial}, header_sha256=made["header_sha256"])
    assert refused(store.create, "again", key=RAW, image={"device": {"serial": serial}, "existing": True}).name == "bad-device"
    assert members(store.export("away"))["secret"].content == MARKER.encode() * 1000
    machine.call("layer.lock", id="away")
    assert refused(unlock, machine, "away", device={"serial": serial}, header_sha256="0" * 64).name == "bad-header"
    machine.call("layer.remove", id="away")
    machine.remove_disk(serial)
    content = path.read_bytes()
    assert MARKER.encode() not in content and b"LUKS" in content

    elsewhere = Machine("elsewhere")
    try:
        other = Store(elsewhere, tmp_path, name="other")
        serial = elsewhere.add_disk(path)
        assert refused(other.create, "new", key=RAW, image={"device": {"serial": serial}}).name == "bad-device"
        assert refused(other.create, "new", key=OTHER, image={"device": {"serial": serial}, "existing": True}).name == "bad-key"
        assert other.ids() == []
        other.create("taken", key=RAW, image={"device": {"serial": serial}, "existing": True})
        unlock(elsewhere, "taken", device={"serial": serial})
        elsewhere.call("layer.get", id="taken")
        elsewhere.call("layer.put", id="taken")
        assert members(other.export("taken"))["secret"].content == MARKER.encode() * 1000
        # Another disk in its place, with the same key and a layer in it, is not it.
        elsewhere.call("layer.lock", id="taken")
        second = elsewhere.add_disk(sparse(tmp_path / "second.img", "64M"))
        other.bring("second", tar(("secret", "other")), key=RAW, image={"device": {"serial": second}})
        error = refused(unlock, elsewhere, "taken", device={"serial": second})
        assert error.name == "bad-header" and "not that of the volume" in error.message
        # A volume without a layer.
        third = elsewhere.add_disk(sparse(tmp_path / "third.img", "64M"))
        elsewhere.call("encrypted.create", id="v", device={"serial": third}, key=RAW)
        elsewhere.call("volume.detach", id="v")
        error = refused(other.create, "none", key=RAW, image={"device": {"serial": third}, "existing": True})
        assert (error.name, error.message) == ("bad-layer", "the encrypted volume holds no layer: No such file or directory")
        other.remove_all()
        other.close()
    finally:
        elsewhere.stop()


REFUSED = [
    ({"key": RAW}, "image"),
    ({"image": {"size": "1m"}}, "key"),
    ({"key": RAW, "image": {}}, "image"),
    ({"key": RAW, "image": {"size": "1m", "device": {"serial": "x"}}}, "image"),
    ({"key": RAW, "image": {"size": "1x"}}, "image.size"),
    ({"key": RAW, "image": {"size": "9p"}}, "image.size"),
    ({"key": RAW, "image": {"size": "8t"}}, "image.size"),
    ({"key": RAW, "image": {"size": "1m", "force": True}}, "image.force"),
    ({"key": RAW, "image": {"size": "1m", "existing": True}}, "image.existing"),
    ({"key": RAW, "image": {"device": {"serial": "x"}, "existing": True, "force": True}}, "image.force"),
    ({"key": RAW, "image": {"device": {"pci": "zz"}}}, "image.device.pci"),
    ({"key": {}, "image": {"size": "1m"}}, "key"),
    ({"key": {**RAW, **PASSPHRASE}, "image": {"size": "1m"}}, "key"),
    ({"key": {"raw": "c2hvcnQ="}, "image": {"size": "1m"}}, "key.raw"),
    ({"key": {"file": {"volume": "none", "path": "/k"}}, "image": {"size": "1m"}}, "key.file.volume"),
    ({"key": {"file": {"volume": "none"}}, "image": {"size": "1m"}}, "key.file.path"),
    ({"key": {"service": {"key_id": "k"}}, "image": {"size": "1m"}}, "key.service.port"),
    ({"key": {"service": {"key_id": "k", "port": 1, "unix": "/run/x"}}, "image": {"size": "1m"}}, "key.service.port"),
    ({"key": {"service": {"key_id": "k", "cid": 1, "unix": "/run/x"}}, "image": {"size": "1m"}}, "key.service.cid"),
    ({"key": {"service": {"key_id": "k", "unix": "run/x"}}, "image": {"size": "1m"}}, "key.service.unix"),
    ({"key": {"service": {"key_id": "k", "port": 1, "attempts": 91}}, "image": {"size": "1m"}}, "key.service.attempts"),
    ({"key": {"service": {"key_id": "", "port": 1}}, "image": {"size": "1m"}}, "key.service.key_id"),
]


def test_what_is_refused(machine, store):  # noqa: F811
    assert {"layer.key", "layer.owners"} <= set(machine.call("agent.info")["features"])
    wrong = []
    for params, field in REFUSED:
        with pytest.raises(Refused) as raised:
            store.create("x", **params)
        if raised.value.field != field:
            wrong.append((params, field, raised.value.field, raised.value.message))
    assert not wrong
    assert store.ids() == []


# ---- where keys come from ----


def test_a_key_from_a_file(machine, store, images, tmp_path):  # noqa: F811
    """Of a volume under dm-verity, or an encrypted one; of no other."""
    raw = bytes(range(100, 148))
    archive = tmp_path / "keys.tar"
    archive.write_bytes(
        tar(("keys/raw", raw), ("keys/words", "correct horse\n"), ("keys/short", "x" * 31), ("keys/long", "x" * 65), ("keys/dir", None))
    )
    image = images("erofs", archive=archive)
    serial = machine.add_disk(image, read_only=True)
    described = json.loads(pathlib.Path(f"{image}.json").read_text())
    machine.call("volume.attach", id="keys", volume={**described, "source": f"serial:{serial}"})

    def file(path, **more):
        return {"file": {"volume": "keys", "path": path, **more}}

    made = store.bring("a", tar(("f", "a")), key=file("/keys/raw"), image={"size": "1m"})
    assert made["key_from"] == "file"
    unlock(machine, "a", {"raw": base64.b64encode(raw).decode()})
    machine.call("layer.lock", id="a")
    assert unlock(machine, "a", file("keys/raw"))["key_from"] == "file"
    machine.call("layer.lock", id="a")
    store.create("b", key=file("/keys/words", passphrase=True), image={"size": "1m"})
    unlock(machine, "b", {"passphrase": "correct horse"})
    machine.call("layer.lock", id="b")
    for path in ("/keys/short", "/keys/long", "/keys/none", "/keys/dir", "/keys"):
        error = refused(unlock, machine, "a", file(path))
        assert (error.name, error.field, error.step) == ("invalid-params", "key.file.path", "get the key"), path
    tmpfs = machine.call("volume.create", id="soft", type="tmpfs", size=1 << 20)
    assert tmpfs
    error = refused(unlock, machine, "a", {"file": {"volume": "soft", "path": "/k"}})
    assert error.field == "key.file.volume" and "its host could choose the key" in error.message
    machine.call("volume.detach", id="soft")
    machine.call("volume.detach", id="keys")
    machine.remove_disk(serial)


class Service:
    """A key service on the host, where the guest reaches it over vsock.  `answers`: bytes, None to close at once, or "sleep"."""

    def __init__(self, machine, port, *answers):
        self.asked, left = [], list(answers)
        service = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                service.asked.append(json.loads(self.rfile.readline()))
                answer = left.pop(0) if len(left) > 1 else left[0]
                if answer == "sleep":
                    time.sleep(2)
                elif answer is not None:
                    self.wfile.write(answer)

        self.server = socketserver.ThreadingUnixStreamServer(f"{machine.vsock['uds']}_{port}", Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        pathlib.Path(self.server.server_address).unlink()


def reply(key=bytes(range(32)), id=KEY_ID, found=True, **more):
    result = {"KeyID": id, "Key": base64.b64encode(key).decode(), "ReturnCode": found}
    return json.dumps({"id": 0, "result": result, "error": None, **more}).encode() + b"\n"


def service(port=4711, **more):
    return {"service": {"key_id": KEY_ID, "port": port, **more}}


def test_a_key_from_a_service(machine, store):  # noqa: F811
    """It is asked again while it does not know, and others are answered meanwhile."""
    store.create("a", key=RAW, image={"size": "1m"})
    not_yet = [reply(b"", found=False), reply(found=False), reply(error="later", result=None), None, "sleep"]
    with Service(machine, 4711, *not_yet, reply()) as asked:
        with machine.connect(timeout=60) as other:
            number = other.post("layer.unlock", {"id": "a", "key": service()})
            began = time.monotonic()
            while len(asked.asked) < 3:
                time.sleep(0.01)
                assert machine.call("layer.exists", id="a") == {"exists": True}
                assert time.monotonic() - began < 30
            assert other.answer(number)["key_from"] == "service"
    request = {"KeyID": KEY_ID, "Key": None, "ReturnCode": False}
    assert asked.asked == [{"method": "VirtualMachine.FetchKey", "params": [request], "id": 0}] * 6
    machine.call("layer.lock", id="a")


WRONG_ANSWERS = [
    (b"no json\n", "bad-key"),
    (b"{}\n", "bad-key"),
    (b'{"id":0,"result":{"KeyID":"x"},"error":null,"more":1}\n', "bad-key"),
    (b"x" * 9000, "bad-key"),
    (reply(id="another"), "bad-key"),
    (reply(b"short"), "bad-key"),
    (reply(bytes(65)), "bad-key"),
    (reply(bytes(32)), "bad-key"),  # not the layer's
]


def test_a_service_that_answers_nonsense(machine, store):  # noqa: F811
    store.create("a", key=RAW, image={"size": "1m"})
    for answer, name in WRONG_ANSWERS:
        with Service(machine, 4711, answer) as asked:
            error = refused(unlock, machine, "a", service())
            assert (error.name, len(asked.asked)) == (name, 1), (answer, error.message)
            assert base64.b64encode(bytes(32)).decode() not in error.message
    with Service(machine, 4711, reply(found=False)) as asked:
        error = refused(unlock, machine, "a", service(attempts=3))
        assert (error.name, error.step, len(asked.asked)) == ("bad-key", "get the key", 3)
    error = refused(unlock, machine, "a", service(port=4712, attempts=2))
    assert (error.name, error.step) == ("timeout", "get the key")
    error = refused(unlock, machine, "a", {"service": {"key_id": KEY_ID, "unix": "/run/none", "attempts": 2}})
    assert error.name == "timeout" and "2 times" in error.message


def test_an_encrypted_volume_takes_such_keys_too(machine, tmp_path):
    serial = machine.add_disk(sparse(tmp_path / "v.img", "64M"))
    with Service(machine, 4711, reply()):
        assert machine.call("encrypted.create", id="v", device={"serial": serial}, key=service())["key_from"] == "service"
        machine.call("volume.detach", id="v")
        machine.call("encrypted.open", id="v", device={"serial": serial}, key=RAW)
        changed = machine.call("encrypted.change_key", id="v", key=service(), new_key=PASSPHRASE)
        assert changed["key_from"] == "request"
    machine.call("volume.detach", id="v")
    machine.remove_disk(serial)


# ---- ends ----


def test_many_at_once(machine, store):  # noqa: F811
    """More than the eight loop devices that a kernel has from the start."""
    ids = [f"l{i}" for i in range(12)]
    for i, id in enumerate(ids):
        store.create(id, parent=ids[i - 1] if i else None, key=RAW, image={"size": "1k"})
    with machine.connect(timeout=120) as own:
        numbers = [own.post("layer.unlock", {"id": id, "key": RAW}) for id in ids]
        for number in numbers:
            own.answer(number)
    machine.call("layer.get", id=ids[-1])
    machine.call("layer.put", id=ids[-1])
    for id in ids:
        machine.call("layer.lock", id=id)


def test_a_vm_that_ends_with_layers_unlocked(tmp_path):
    """All is put away in order; what was written is there in the next VM, in the same store."""
    path = sparse(tmp_path / "v.img", "512M")
    vm = Machine("unlocked", memory="256M")
    place = lasting_store(vm, path, tmp_path, new=True)
    place.bring("base", tar(("base", "b")), key=PASSPHRASE, image={"size": "4m"})
    unlock(vm, "base", PASSPHRASE)
    place.create("own", parent="base", writable=True, key=RAW, image={"size": "4m"})
    unlock(vm, "own")
    vm.call("layer.get", id="own")
    shut_down(vm, path)
    vm = Machine("unlocked", memory="256M")
    place = lasting_store(vm, path, tmp_path)
    assert place.opened["removed"] == 0
    assert [(layer["id"], layer["locked"]) for layer in vm.call("layer.list")["layers"]] == [("base", True), ("own", True)]
    unlock(vm, "base", PASSPHRASE)
    unlock(vm, "own")
    vm.call("layer.get", id="own")
    assert members(place.export("base"))["base"].content == b"b"
    vm.stop()


def test_killed_at_every_record(runtime, tmp_path):
    faulty = Machine("m-image-faults", initrd=BUILD / "test" / "initramfs.cpio.zst")
    place = Store(faulty, tmp_path, size="1G")
    archive = tar(*[(f"d/{n}", "x" * 5000) for n in range(50)])
    plan = {"key": RAW, "image": {"size": "1m"}}
    # The directories, finished and new; two mappings; where it is mounted, the mount; the result.
    killed_at_every_record(faulty, 7, lambda: place.bring("l", archive, **plan), lambda: faulty.call("layer.remove", id="l"))
    place.create("l", **plan)
    killed_at_every_record(faulty, 5, lambda: unlock(faulty, "l"), lambda: faulty.call("layer.lock", id="l"))
    assert place.ids() == ["l"]
    place.remove_all()
    place.close()
    faulty.stop()


# ---- layers of the secureoverlay2 driver ----

OLD_KEY = base64.b64encode(b"theBaseSecret").decode()


def old_layer(folder, key=b"theBaseSecret", name="old.tar"):
    """What that driver's Diff is: an archive of base.img (LUKS1, ext4 of 1 KiB blocks) and security.meta."""
    content, plain, image = folder / "content", folder / "plain.img", folder / "base.img"
    content.mkdir(exist_ok=True)
    (content / "secret").write_text(MARKER)
    (content / "dir").mkdir(exist_ok=True)
    (content / "dir" / "file").write_bytes(bytes(100_000))
    sparse(plain, "8M")
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-b", "1024", "-m", "0", "-d", content, plain], check=True)
    sparse(image, "10M")
    (folder / "key").write_bytes(key)
    options = ["--type", "luks1", "-c", "aes-xts-plain", "-h", "sha256", "-s", "256", "--pbkdf-force-iterations", "1000"]
    subprocess.run(["/sbin/cryptsetup", "-q", "luksFormat", *options, "--key-file", folder / "key", image], check=True)
    encrypt(image, key, plain.read_bytes())
    meta = {"RequiresConfidentiality": True, "KeyType": "key-type-string", "CryptCipher": "aes-xts-plain", "KeySize": "256"}
    return tar(("base.img", image.read_bytes()), ("security.meta", json.dumps(meta)))


def encrypt(image, key, plain):
    """Behind the header, as the kernel's dm-crypt would: this machine has none."""
    dumped = subprocess.run(
        ["/sbin/cryptsetup", "-q", "luksDump", "--dump-master-key", "--key-file", image.with_name("key"), image],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    volume_key = bytes.fromhex("".join(re.findall(r"\b[0-9a-f]{2}\b", dumped.split("MK dump:")[1])))
    assert len(volume_key) == 32
    with image.open("r+b") as file:
        file.seek(4096 * 512)
        for sector in range(0, len(plain), 512):
            if any(plain[sector : sector + 512]):
                file.seek(4096 * 512 + sector)
                file.write(xts(volume_key, sector // 512, plain[sector : sector + 512]))


def xts(key, sector, data):
    cipher = Cipher(algorithms.AES(key), modes.XTS(sector.to_bytes(16, "little")))
    encryptor = cipher.encryptor()
    return encryptor.update(data) + encryptor.finalize()


def test_an_older_layer_is_refused(machine, store, tmp_path):  # noqa: F811
    """Nothing in it is authenticated: only where the VM was started so."""
    store.bring("old", old_layer(tmp_path))
    error = refused(machine.call, "layer.unlock", id="old", key={"raw": OLD_KEY}, format="secureoverlay2")
    assert error.name == "not-allowed" and "coffer.old_layers=allow" in error.message
    assert sorted(members(store.export("old"))) == [".", "base.img", "security.meta"]


def test_older_layers(tmp_path, runtime):
    vm = Machine("old", "--append", "coffer.old_layers=allow")
    place = Store(vm, tmp_path)
    archive = old_layer(tmp_path)
    place.bring("tools", BUSYBOX.read_bytes())
    place.bring("old", archive, parent="tools")

    def open_old(id="old", key=OLD_KEY, **more):
        return vm.call("layer.unlock", id=id, key={"raw": key}, format="secureoverlay2", **more)

    assert refused(open_old, key=base64.b64encode(b"another").decode()).name == "bad-key"
    assert refused(open_old, id="tools").name == "bad-layer"
    assert refused(open_old, device={"serial": "x"}).field == "device"
    assert refused(open_old, header_sha256="0" * 64).field == "header_sha256"
    assert refused(vm.call, "layer.unlock", id="old", key={"raw": OLD_KEY}).field == "id"
    assert refused(vm.call, "layer.unlock", id="old", key={"raw": OLD_KEY}, format="other").field == "format"
    opened = open_old()
    assert (opened["writable"], opened["path"]) == (False, "/run/coffer/image/old")
    assert refused(open_old).name == "already-exists"
    # What is in the image is the layer now, beside plain ones.
    place.create("own", parent="old", writable=True)
    vm.call("layer.get", id="own")
    vm.call("rootfs.create", id="root", layer="own")
    script = "cat /secret; wc -c </dir/file; ls /; echo changed >/secret; cat /secret"
    vm.call("container.create", id="c", rootfs="root", config=config(), process={"args": ["sh", "-ec", script]})
    with vm.stream("c") as stream:
        vm.call("container.start", id="c")
        stream.end()
        out, err = stream.read_all()
    assert vm.call("container.wait", id="c")["exit_code"] == 0, err
    words = out.decode().split()
    assert words[0].startswith(MARKER) and "100000" in out.decode() and words[-1] == "changed" and "base.img" not in words
    vm.call("container.remove", id="c", force=True)
    vm.call("rootfs.remove", id="root")
    assert refused(vm.call, "layer.lock", id="old").name == "in-use"
    vm.call("layer.put", id="own")
    found = members(place.export("old"))
    assert found["secret"].content == MARKER.encode() and "base.img" not in found
    vm.call("layer.lock", id="old")
    assert sorted(members(place.export("old"))) == [".", "base.img", "security.meta"]
    # A header that asks for something else, and an image that is a link.
    broken = members(archive)["base.img"].content
    for name, image, error in (
        ("mode", broken[:40] + b"cbc-plain\0\0" + broken[51:], "bad-header"),
        ("short", broken[: 1 << 20], "bad-header"),
        ("empty", b"", "bad-header"),
    ):
        place.bring(name, tar(("base.img", image)))
        assert refused(open_old, id=name).name == error, name
    place.bring("link", tar(info("base.img", tarfile.SYMTYPE, linkname="/proc/kcore")))
    assert refused(open_old, id="link").name == "bad-layer"
    place.remove_all()
    place.close()
    vm.stop()
