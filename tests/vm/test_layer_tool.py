# SPDX-License-Identifier: GPL-2.0-or-later
"""Layers as a person, or a script, uses them: `coffer run --layers` and `coffer layer ...`."""

import contextlib
import gzip
import hashlib
import json
import os
import signal
import subprocess
import tarfile

import pytest
from layers import images_store, info, members, tar, until
from machine import BUILD, COFFER, coffer

BUSYBOX = BUILD / "images" / "busybox.tar"
LISTS = {"container.list": "containers", "rootfs.list": "rootfs", "layer.list": "layers", "scratch.list": "scratches", "volume.list": "volumes"}


@pytest.fixture(autouse=True)
def nothing_left(machine):
    before = machine.at_rest()
    yield
    assert listed(machine) == {name: [] for name in LISTS.values()}
    found = [vm for vm in json.loads(coffer("vm", "list", "--json")) if vm["name"] == machine.name]
    assert found[0]["disks"] == []
    machine.settles(before)


def listed(machine):
    return {name: machine.call(method)[name] for method, name in LISTS.items()}


@pytest.fixture
def scratch(tmp_path):
    return f"{tmp_path}/scratch.img,2G"


@pytest.fixture
def top(tmp_path):
    """A packed layer for busybox: a new file, and one that is away."""
    file = tmp_path / "top.tar.gz"
    file.write_bytes(gzip.compress(tar(("added/file", "of the top"), info("bin/.wh.false"))))
    return file


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# ---- run ----


def arguments(machine, layers, scratch, *program, options=()):
    return ["run", machine.name, "--layers", ",".join(map(str, layers)), "--scratch", scratch, *options, "--", *program]


def run(machine, *more, **options):
    return coffer(*arguments(machine, *more, **options), check=False, input="")


def test_run_on_layers(machine, top, scratch):
    script = "cat /added/file; echo; ls /bin/false /bin/true; echo written > /w && cat /w; exit 7"
    result = run(machine, [top, BUSYBOX], scratch, "sh", "-c", script, options=["--verbose"])
    assert (result.returncode, result.stdout) == (7, "of the top\n/bin/true\nwritten\n"), result.stderr
    assert "/bin/false: No such file" in result.stderr
    lines = [line.split() for line in result.stderr.splitlines()]
    steps = [" ".join(line[:2]) for line in lines if line and line[0].startswith("layer.")]
    assert [step for step in steps if "import" in step] == ["layer.import busybox.tar", "layer.import top.tar.gz"]
    assert [step.split()[0] for step in steps] == ["layer.open", "layer.import", "layer.import", "layer.create", "layer.get"]


def test_run_on_one_layer_and_settings(machine, scratch):
    result = run(machine, [BUSYBOX], scratch, "sh", "-c", "id -u; hostname", options=["--user", "5", "--hostname", "named"])
    assert (result.returncode, result.stdout) == (0, "5\nnamed\n"), result.stderr


def test_many_layers(machine, tmp_path, scratch):
    files = []
    for n in range(20):
        files.insert(0, tmp_path / f"{n}.tar")
        files[0].write_bytes(tar((f"d/{n}", f"{n}"), ("which", f"{n}")))
    result = run(machine, [*files, BUSYBOX], scratch, "sh", "-c", "ls /d | wc -l; cat /which")
    assert (result.returncode, result.stdout.split()) == (0, ["20", "19"]), result.stderr


@pytest.mark.parametrize("option", ["--detach", "--keep"])
def test_what_stays_is_removed_by_remove(machine, top, scratch, option):
    program = ["sleep", "1000"] if option == "--detach" else ["true"]
    assert run(machine, [top, BUSYBOX], scratch, *program, options=["--id", "stays", option]).returncode == 0
    found = listed(machine)
    assert [len(found[name]) for name in ("containers", "rootfs", "layers", "scratches")] == [1, 1, 3, 1]
    if option == "--detach":
        assert coffer("exec", machine.name, "stays", "--", "cat", "/added/file", input="") == "of the top"
        assert coffer("remove", machine.name, "stays", check=False).returncode == 1
    coffer("remove", machine.name, "stays", "--force")


def test_removing_leaves_what_another_uses(machine, scratch):
    assert run(machine, [BUSYBOX], scratch, "true", options=["--id", "first", "--keep"]).returncode == 0
    rootfs = machine.call("rootfs.list")["rootfs"][0]
    machine.call("container.create", id="second", rootfs=rootfs["id"], config={"namespaces": [{"type": "NEWNS"}]}, process={"args": ["true"]})
    coffer("remove", machine.name, "first")
    assert machine.call("rootfs.list")["rootfs"][0]["id"] == rootfs["id"] and len(machine.call("layer.list")["layers"]) == 2
    coffer("remove", machine.name, "second", "--force")


def test_an_archive_from_a_pipe(machine, scratch):
    command = f"'{COFFER}' run {machine.name} --layers <(gzip -1 < '{BUSYBOX}') --scratch '{scratch}' -- echo up"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stdout) == (0, "up\n"), result.stderr


@contextlib.contextmanager
def running(machine, layers, scratch):
    """A run that is under way; it does not outlive a test that fails."""
    with subprocess.Popen(
        [COFFER, *arguments(machine, layers, scratch, "true")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def half_an_import(machine, tmp_path, scratch):
    """A run whose second layer has begun to come, and comes no further."""
    pipe = tmp_path / "pipe.tar"
    os.mkfifo(pipe)
    with running(machine, [pipe, BUSYBOX], scratch) as process:
        with pipe.open("wb", buffering=0) as writer:
            writer.write(tar(("file", os.urandom(30000)))[:20000])
            until(lambda: len(machine.call("layer.list")["layers"]) == 2)
            yield process


def test_a_signal_while_a_layer_comes(machine, tmp_path, scratch):
    with half_an_import(machine, tmp_path, scratch) as process:
        assert [layer["state"] for layer in machine.call("layer.list")["layers"]][0] == "ready"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + signal.SIGTERM, "") and "SIGTERM" in err and "undone" not in err, err


def test_a_signal_before_anybody_writes(machine, tmp_path, scratch):
    pipe = tmp_path / "pipe.tar"
    os.mkfifo(pipe)
    with running(machine, [pipe], scratch) as process:
        until(lambda: len(machine.call("layer.list")["layers"]) == 1)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGINT and "undone" not in err, err


def test_archives_that_are_damaged(machine, tmp_path, top, scratch):
    packed = top.read_bytes()
    middle = len(packed) // 2
    for name, content in (("torn.gz", packed[:middle]), ("noise.tar", bytes(range(1, 251)) * 20), ("hole.gz", packed[:middle] + bytes(40) + packed[middle + 40 :])):
        bad = tmp_path / name
        bad.write_bytes(content)
        result = run(machine, [bad, BUSYBOX], scratch, "true")
        assert (result.returncode, result.stdout) == (125, "")
        assert str(bad) in result.stderr and "layer.import" in result.stderr and "undone" not in result.stderr, result.stderr
        assert listed(machine) == {kind: [] for kind in LISTS.values()}


def test_command_lines_that_are_wrong(machine, tmp_path, top, images, scratch):
    missing = tmp_path / "missing.tar"
    for layers, options, wanted in (
        ([top, missing], [], f"{missing}: No such file"),
        ([tmp_path], [], "is a folder"),
        ([top], ["--image", images()], "--layers does not go with"),
        ([top], ["--oci", tmp_path], "--layers does not go with"),
    ):
        result = run(machine, layers, scratch, "true", options=options)
        assert result.returncode == 125 and wanted in result.stderr, result.stderr
    result = coffer("run", machine.name, "--layers", top, "--", "true", check=False)
    assert result.returncode == 125 and "--scratch" in result.stderr
    result = coffer("run", machine.name, "--scratch", scratch, "--", "true", check=False)
    assert result.returncode == 125 and "--layers" in result.stderr
    assert "top layer first" in coffer("run", "--help").split("--layers FILE[,...]  ")[-1].split("--oci")[0]


# ---- layer ----


@pytest.fixture
def store(machine, tmp_path):
    with images_store(machine, tmp_path) as name:
        yield name


def bring(machine, id, file, *options, check=True, **more):
    return coffer("layer", "import", machine.name, id, file, "--store", "images", *options, check=check, **more)


def test_the_life_of_a_layer(machine, store, top, tmp_path):
    plain = BUSYBOX.read_bytes()
    assert bring(machine, "base", BUSYBOX, "--diff-id", sha256(plain), "--digest", sha256(plain)) == f"base {sha256(plain)}\n"
    with top.open("rb") as file:
        made = json.loads(bring(machine, "top", "-", "--parent", "base", "--json", stdin=file))
    assert sorted(made) == ["diff_id", "digest", "files", "id", "size", "steps", "stream_bytes", "tar_bytes"]
    packed = top.read_bytes()
    assert (made["digest"], made["diff_id"]) == (sha256(packed), sha256(gzip.decompress(packed)))

    table = [line.split() for line in coffer("layer", "list", machine.name).splitlines()]
    assert table[0] == ["LAYER", "STORE", "PARENT", "STATE", "KIND", "GETS", "SIZE"]
    assert [row[:6] for row in table[1:]] == [["base", "images", "-", "ready", "-", "0"], ["top", "images", "base", "ready", "-", "0"]]
    parsed = json.loads(coffer("layer", "list", machine.name, "--json"))
    assert parsed == machine.call("layer.list")["layers"] and [layer["id"] for layer in parsed] == ["base", "top"]

    assert sorted(coffer("layer", "diff", machine.name, "top").splitlines()) == ["A /added", "A /added/file", "C /bin", "D /bin/false"]
    changes = [json.loads(line) for line in coffer("layer", "changes", machine.name, "top").splitlines()]
    assert {change["path"]: change["kind"] for change in changes} == {
        "/added": "added", "/added/file": "added", "/bin": "modified", "/bin/false": "deleted",
    }  # fmt: skip

    out = tmp_path / "out.tar"
    result = subprocess.run([COFFER, "layer", "export", machine.name, "top", out], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, "") and result.stderr == f"top {sha256(out.read_bytes())}\n"
    assert sorted(members(out.read_bytes())) == [".", "added", "added/file", "bin", "bin/.wh.false"]
    with tarfile.open(out) as archive:
        assert archive.extractfile("added/file").read() == b"of the top"
    for more in ([], ["-"]):
        piped = subprocess.run([COFFER, "layer", "export", machine.name, "top", *more], capture_output=True, timeout=60, check=True)
        assert piped.stdout == out.read_bytes()
    again = json.loads(bring(machine, "again", out, "--parent", "base", "--json"))
    assert again["diff_id"] == sha256(out.read_bytes())

    result = coffer("layer", "remove", machine.name, "base", check=False)
    assert result.returncode == 1 and "layer.remove" in result.stderr
    for id in ("again", "top", "base"):
        assert coffer("layer", "remove", machine.name, id) == ""
    assert json.loads(coffer("layer", "list", machine.name, "--json")) == []


def test_a_sealed_layer(machine, store, top):
    made = json.loads(bring(machine, "base", BUSYBOX, "--seal", "--json"))
    assert len(made["root_hash"]) == 64 and made["sealed_bytes"] > 500_000
    assert bring(machine, "top", top, "--parent", "base", "--seal") == f"top {sha256(gzip.decompress(top.read_bytes()))}\n"
    table = [line.split() for line in coffer("layer", "list", machine.name).splitlines()]
    assert [row[4] for row in table] == ["KIND", "sealed", "sealed"]
    assert sorted(coffer("layer", "diff", machine.name, "top").splitlines()) == ["A /added", "A /added/file", "C /bin", "D /bin/false"]


def test_a_store_is_opened_again(machine, store):
    bring(machine, "base", BUSYBOX)
    assert coffer("layer", "close", machine.name, "images") == ""
    assert json.loads(coffer("layer", "list", machine.name, "--json")) == []
    opened = json.loads(coffer("layer", "open", machine.name, "images", "--scratch", "disk", "--json"))
    assert (opened["store"], opened["layers"], opened["removed"]) == ("images", 1, 0) and isinstance(opened["steps"], list)
    result = coffer("layer", "open", machine.name, "more", "--scratch", "disk", check=False)
    assert result.returncode == 1 and "layer.open" in result.stderr
    for options in ([], ["--scratch", "disk", "--volume", "disk"]):
        result = coffer("layer", "open", machine.name, "more", *options, check=False)
        assert result.returncode == 1 and "scratch" in result.stderr and "volume" in result.stderr, result.stderr


def test_imports_that_are_refused(machine, store, top, tmp_path):
    wrong = sha256(b"something else")
    for option in ("--digest", "--diff-id"):
        result = bring(machine, "wrong", BUSYBOX, option, wrong, check=False)
        assert (result.returncode, result.stdout) == (1, "")
        assert wrong in result.stderr and sha256(BUSYBOX.read_bytes()) in result.stderr, result.stderr
    result = bring(machine, "wrong", BUSYBOX, "--parent", "nobody", check=False)
    assert result.returncode == 1 and "nobody" in result.stderr
    result = bring(machine, "wrong", tmp_path / "missing.tar", check=False)
    assert result.returncode == 1 and "missing.tar: No such file" in result.stderr
    result = coffer("layer", "import", machine.name, "wrong", top, check=False)
    assert result.returncode == 1 and "--store" in result.stderr and "layer open" in result.stderr
    device = tmp_path / "device.tar"
    device.write_bytes(tar(info("null", tarfile.CHRTYPE, devmajor=1, devminor=3)))
    result = bring(machine, "device", device, check=False)
    assert result.returncode == 1 and "device" in result.stderr
    assert machine.call("layer.list")["layers"] == []
    bring(machine, "device", device, "--devices")
    out = tmp_path / "out.tar"
    for command, *more in (["export"], ["export", out], ["diff"], ["changes"], ["remove"]):
        result = coffer("layer", command, machine.name, "nobody", *more, check=False)
        assert (result.returncode, result.stdout) == (1, "") and "nobody" in result.stderr
    assert not out.exists()


def test_a_layer_with_a_key(machine, store, top, tmp_path):
    key, other, words = tmp_path / "key", tmp_path / "other", tmp_path / "words"
    key.write_bytes(os.urandom(32))
    other.write_bytes(os.urandom(64))
    words.write_text("correct horse\n")
    bring(machine, "base", BUSYBOX)
    bring(machine, "own", top, "--parent", "base", "--key-file", key, "--size", "1.5 MiB")
    bring(machine, "said", top, "--passphrase-file", words, "--size", "1m")
    state = {line.split()[0]: line.split()[4] for line in coffer("layer", "list", machine.name).splitlines()}
    assert (state["base"], state["own"], state["said"]) == ("-", "locked", "locked")
    result = coffer("layer", "diff", machine.name, "own", check=False)
    assert result.returncode == 1 and "locked" in result.stderr
    result = coffer("layer", "unlock", machine.name, "own", "--key-file", other, check=False)
    assert result.returncode == 1 and "layer.unlock" in result.stderr
    assert coffer("layer", "unlock", machine.name, "own", "--key-file", key) == ""
    assert "A /added/file" in coffer("layer", "diff", machine.name, "own").splitlines()
    opened = json.loads(coffer("layer", "unlock", machine.name, "said", "--passphrase-file", words, "--json"))
    assert opened["key_from"] == "request"
    for id in ("own", "said"):
        assert coffer("layer", "lock", machine.name, id) == ""
    short, empty, zero = tmp_path / "short", tmp_path / "empty", tmp_path / "zero"
    short.write_bytes(bytes(31))
    empty.write_text("\n")
    zero.write_bytes(b"a\0b")
    rows = [
        (["--key-file", key], "--size or --device"),
        (["--size", "1m"], "go with a key"),
        (["--key-file", key, "--passphrase-file", words, "--size", "1m"], "do not go together"),
        (["--key-file", short, "--size", "1m"], "32 to 64 bytes"),
        (["--key-file", top, "--size", "1m"], str(top)),
        (["--passphrase-file", empty, "--size", "1m"], "1 to 512 bytes"),
        (["--passphrase-file", zero, "--size", "1m"], "1 to 512 bytes"),
        (["--key-file", tmp_path / "none", "--size", "1m"], "No such file"),
        (["--key-file", key, "--size", "1x"], "image.size"),
        (["--key-file", key, "--size", "1m", "--device", "d"], "--size or --device"),
    ]
    for options, message in rows:
        result = bring(machine, "wrong", top, *options, check=False)
        assert result.returncode == 1 and message in result.stderr, (options, result.stderr)
    result = coffer("layer", "unlock", machine.name, "own", check=False)
    assert result.returncode == 1 and "--key-file or --passphrase-file" in result.stderr
