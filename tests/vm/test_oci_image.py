# SPDX-License-Identifier: GPL-2.0-or-later
"""Images of OCI layouts, as skopeo and umoci make them: their layers in a store, and programs by their own config."""

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tarfile

import pytest
from layers import images_store, info, tar, until
from machine import BUILD, COFFER, coffer

BUSYBOX = BUILD / "images" / "busybox.tar"
SHOW = "pwd; id -u; id -g; id -G; echo $COLOUR/$SIZE/$HOME; cat /added/file; echo; echo $0 $*"
CONFIG = {
    "entrypoint": ["/bin/sh", "-c", SHOW], "cmd": ["first", "second words"], "env": ["COLOUR=green", "SIZE=9"], "workingdir": "/srv/here",
    "user": "app", "volume": "/data", "exposedports": "80/tcp", "stopsignal": "SIGQUIT",
}  # fmt: skip


def shell(*command):
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """oci:FOLDER:app: busybox, and a layer with users; oci:FOLDER:other has one layer more."""
    folder = tmp_path_factory.mktemp("layout")
    users = folder / "users.tar"
    passwd = "root:x:0:0::/root:/bin/sh\napp:x:1500:1600::/home/app:/bin/sh\n"
    group = "root:x:0:\napps:x:1600:\nstaff:x:50:app\nwheel:x:60:root,app\n"
    users.write_bytes(tar(("etc/passwd", passwd), ("etc/group", group), ("added/file", "of the image")))
    more = folder / "more.tar"
    more.write_bytes(tar(("more", "still")))
    image = folder / "image"
    shell("umoci", "init", "--layout", image)
    shell("umoci", "new", "--image", f"{image}:app")
    for archive in (BUSYBOX, users):
        shell("umoci", "raw", "add-layer", "--image", f"{image}:app", archive)
    words = []
    for key, value in CONFIG.items():
        for one in value if isinstance(value, list) else [value]:
            words.append(f"--config.{key}={one}")
    shell("umoci", "config", "--image", f"{image}:app", *words)
    shell("umoci", "tag", "--image", f"{image}:app", "other")
    shell("umoci", "raw", "add-layer", "--image", f"{image}:other", more)
    return image


def blob(layout, digest):
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def manifest_of(layout, ref):
    for descriptor in json.loads((layout / "index.json").read_text())["manifests"]:
        if descriptor.get("annotations", {}).get("org.opencontainers.image.ref.name") == ref:
            return json.loads(blob(layout, descriptor["digest"]).read_text())
    raise AssertionError(ref)


@pytest.fixture(autouse=True)
def nothing_left(machine):
    yield
    for method, name in (("container.list", "containers"), ("rootfs.list", "rootfs"), ("layer.list", "layers"), ("scratch.list", "scratches")):
        assert machine.call(method)[name] == []


@pytest.fixture
def store(machine, tmp_path):
    with images_store(machine, tmp_path) as name:
        yield name


def bring(machine, image, *options, **more):
    return coffer("image", "import", machine.name, image, "--store", "images", *options, **more)


def layers_of(machine):
    return machine.call("layer.list")["layers"]


# ---- import ----


def test_import_and_again(machine, store, layout):
    first = json.loads(bring(machine, f"oci:{layout}:app", "--json"))
    found = layers_of(machine)
    chain = diff_ids = [layer["diff_id"] for layer in first["layers"]]
    assert [layer["imported"] for layer in first["layers"]] == [True, True] and first["store"] == "images"
    assert diff_ids[0] == sha256(BUSYBOX.read_bytes())
    assert [layer["digest"] for layer in first["layers"]] == [layer["digest"] for layer in manifest_of(layout, "app")["layers"]]
    chain = [diff_ids[0], sha256(f"{diff_ids[0]} {diff_ids[1]}".encode())]
    assert [layer["id"] for layer in found] == [f"images-{one[7:39]}" for one in chain] and found[1]["id"] == first["id"]
    assert [(layer["parent"], layer["diff_id"], layer["writable"]) for layer in found] == [(None, diff_ids[0], False), (found[0]["id"], diff_ids[1], False)]
    # What is there is not sent again, not even looked at.
    result = bring(machine, f"oci:{layout}:app", "--verbose", check=False)
    assert (result.returncode, result.stdout) == (0, first["id"] + "\n") and "layer.import" not in result.stderr, result.stderr
    assert layers_of(machine) == found
    # An image that begins alike needs what it has more.
    other = json.loads(bring(machine, f"oci:{layout}:other", "--name", "other", "--json"))
    assert [layer["imported"] for layer in other["layers"]] == [False, False, True] and other["id"] == "other"
    assert coffer("layer", "diff", machine.name, "other") == "A /more\n"
    result = bring(machine, f"oci:{layout}:other", "--verbose", check=False)
    assert "layer.import 3 of 3" in result.stderr and "layer.import 1" not in result.stderr, result.stderr
    # A name that something else has.
    result = bring(machine, f"oci:{layout}:app", "--name", "other", check=False)
    assert result.returncode == 1 and "other" in result.stderr and "exists" in result.stderr, result.stderr
    assert len(layers_of(machine)) == 4


def test_import_sealed(machine, store, layout):
    """A sealed layer is taken for a plain one, and no plain one for a sealed one."""
    result = bring(machine, f"oci:{layout}:app", "--seal", "--json")
    assert [layer["sealed"] for layer in layers_of(machine)] == [True, True]
    assert [layer["imported"] for layer in json.loads(bring(machine, f"oci:{layout}:app", "--json"))["layers"]] == [False, False]
    result = bring(machine, f"oci:{layout}:other", "--name", "other")
    result = bring(machine, f"oci:{layout}:other", "--name", "other", "--seal", check=False)
    assert result.returncode == 1 and "exists" in result.stderr, result.stderr


def test_what_was_written_to_is_not_taken_for_it(machine, store, layout):
    """A layer of the right name that is none of the image's."""
    first = json.loads(bring(machine, f"oci:{layout}:app", "--json"))["layers"]
    machine.call("layer.remove", id=first[1]["id"])
    machine.call("layer.create", id=first[1]["id"], store="images", parent=first[0]["id"], writable=True)
    result = bring(machine, f"oci:{layout}:app", check=False)
    assert result.returncode == 1 and "exists" in result.stderr, result.stderr
    assert [layer["id"] for layer in layers_of(machine)] == [layer["id"] for layer in first]


@pytest.fixture
def broken(layout, tmp_path):
    copy = tmp_path / "broken"
    shutil.copytree(layout, copy)
    return copy


def damage(path):
    """The size stays, and what is packed too: gzip's own time is another."""
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes([content[4] ^ 1]) + content[5:])


def test_a_layer_that_is_damaged_leaves_nothing(machine, store, broken):
    upper = manifest_of(broken, "app")["layers"][1]["digest"]
    damage(blob(broken, upper))
    result = bring(machine, f"oci:{broken}:app", check=False)
    assert (result.returncode, result.stdout) == (1, "") and upper in result.stderr and "undone" not in result.stderr, result.stderr
    assert layers_of(machine) == []


def rewrite(layout, ref, change):
    """Another manifest, whose digest and size index.json has."""
    index = json.loads((layout / "index.json").read_text())
    for descriptor in index["manifests"]:
        if descriptor["annotations"]["org.opencontainers.image.ref.name"] == ref:
            manifest = json.loads(blob(layout, descriptor["digest"]).read_text())
            change(manifest)
            text = json.dumps(manifest).encode()
            blob(layout, sha256(text)).write_bytes(text)
            descriptor.update(digest=sha256(text), size=len(text))
    (layout / "index.json").write_text(json.dumps(index))


def test_an_archive_that_is_not_the_configs(machine, store, broken, tmp_path):
    """The blob is what the manifest says; the config knows another archive."""
    content = gzip.compress(tar(("added/file", "of somebody else")))
    blob(broken, sha256(content)).write_bytes(content)
    rewrite(broken, "app", lambda manifest: manifest["layers"][1].update(digest=sha256(content), size=len(content)))
    result = bring(machine, f"oci:{broken}:app", check=False)
    assert result.returncode == 1 and "diff_id" in result.stderr and sha256(gzip.decompress(content)) in result.stderr, result.stderr
    assert layers_of(machine) == []


def test_what_the_host_refuses(machine, store, broken):
    lower = blob(broken, manifest_of(broken, "app")["layers"][0]["digest"])
    content = lower.read_bytes()
    for image, options, wanted in (
        (f"oci:{broken}", [], "app, other"),
        (f"oci:{broken}:nobody", [], "none is named 'nobody'"),
        (f"oci:{broken}:app", ["--platform", "linux/s390x"], "linux/s390x"),
        (f"oci:{broken}:app", ["--name", "a/b"], "--name a/b"),
        (str(broken), [], "oci:FOLDER"),
    ):
        result = bring(machine, image, *options, check=False)
        assert (result.returncode, result.stdout) == (1, "") and wanted in result.stderr, result.stderr
    lower.write_bytes(content + b"x")
    result = bring(machine, f"oci:{broken}:app", check=False)
    assert result.returncode == 1 and f"blobs/sha256/{lower.name}: {len(content) + 1} bytes" in result.stderr, result.stderr
    lower.unlink()
    lower.symlink_to("/etc/passwd")
    result = bring(machine, f"oci:{broken}:app", check=False)
    assert result.returncode == 1 and "symbolic link" in result.stderr, result.stderr
    assert layers_of(machine) == []
    result = coffer("image", "import", machine.name, f"oci:{broken}:app", check=False)
    assert result.returncode == 1 and "--store" in result.stderr


def test_a_signal_between_layers_leaves_nothing(machine, store, broken):
    """The upper layer is large, so the signal comes while it does."""
    content = tar(("noise", os.urandom(200 << 20)))
    blob(broken, sha256(content)).write_bytes(content)
    manifest = manifest_of(broken, "app")
    config = json.loads(blob(broken, manifest["config"]["digest"]).read_text())
    config["rootfs"]["diff_ids"][1] = sha256(content)
    text = json.dumps(config).encode()
    blob(broken, sha256(text)).write_bytes(text)

    def change(manifest):
        manifest["config"].update(digest=sha256(text), size=len(text))
        manifest["layers"][1].update(digest=sha256(content), size=len(content), mediaType="application/vnd.oci.image.layer.v1.tar")

    rewrite(broken, "app", change)
    command = [COFFER, "image", "import", machine.name, f"oci:{broken}:app", "--store", "images"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: len(layers_of(machine)) == 2)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out) == (128 + signal.SIGTERM, "") and "undone" not in err, err
    assert layers_of(machine) == []


# ---- run ----


def run(machine, image, folder, *words, options=()):
    name = [machine.name] if machine else []
    behind = ["--", *words] if words else []
    return coffer("run", *name, "--image", image, "--scratch", f"{folder}/scratch.img,2G", *options, *behind, check=False, input="")


def test_run_by_its_own_config(machine, layout, tmp_path):
    result = run(machine, f"oci:{layout}:app", tmp_path)
    wanted = ["/srv/here", "1500", "1600", "1600 50 60", "green/9//home/app", "of the image", "first second words"]
    assert (result.returncode, result.stdout.splitlines()) == (0, wanted), result.stderr
    # What stands behind `--` replaces Cmd; the options win.
    options = ["--env", "SIZE=10", "--env", "HOME=/h", "--cwd", "/tmp", "--user", "7"]
    result = run(machine, f"oci:{layout}:app", tmp_path, "other", options=options)
    assert (result.returncode, result.stdout.splitlines()) == (0, ["/tmp", "7", "0", "0", "green/10//h", "of the image", "other"]), result.stderr


@pytest.mark.parametrize(
    "user,wanted",
    [("1500", "1500 1600 1600,50,60"), ("app:staff", "1500 50 50"), ("1500:9", "1500 9 9"), ("9", "9 0 0"), ("wheel", "'wheel'"), ("app:nobody", "'nobody'")],
)
def test_users_of_the_image(machine, layout, tmp_path, user, wanted):
    result = run(machine, f"oci:{layout}:app", tmp_path, options=["--user", user])
    if wanted[0] == "'":
        assert result.returncode == 125 and f"{wanted}: not in the container's /etc/" in result.stderr, result.stderr
    else:
        lines = result.stdout.splitlines()
        assert " ".join([lines[1], lines[2], lines[3].replace(" ", ",")]) == wanted, result.stderr


def test_further_programs_by_name(machine, layout, tmp_path):
    result = run(machine, f"oci:{layout}:app", tmp_path, options=["--id", "stays", "--detach", "--user", "0"])
    assert result.returncode == 0, result.stderr
    coffer("remove", machine.name, "stays", "--force")
    image = f"oci:{layout}:app"
    shell("umoci", "tag", "--image", f"{layout}:app", "sleeper")
    shell("umoci", "config", "--image", f"{layout}:sleeper", "--clear=config.entrypoint", "--clear=config.cmd", "--config.cmd=sleep", "--config.cmd=1000")
    assert run(machine, image.replace(":app", ":sleeper"), tmp_path, options=["--id", "stays", "--detach"]).returncode == 0
    assert coffer("exec", machine.name, "stays", "--user", "app:wheel", "--", "sh", "-c", "id -u; id -g; echo $HOME", input="").split() == ["1500", "60", "/home/app"]
    result = coffer("exec", machine.name, "stays", "--user", "nobody", "--", "true", check=False, input="")
    assert result.returncode == 125 and "'nobody'" in result.stderr, result.stderr
    coffer("remove", machine.name, "stays", "--force")


def test_what_run_refuses(machine, layout, broken, tmp_path, images):
    image = f"oci:{layout}:app"
    for value, options, wanted in (
        (f"{image},{images()}", [], "no other --image"),
        (image, ["--layers", BUSYBOX], "not with --layers"),
        (image, ["--oci", tmp_path], "not with --layers or --oci"),
        (f"oci:{layout}:nobody", [], "'nobody'"),
    ):
        result = run(machine, value, tmp_path, options=options)
        assert result.returncode == 125 and wanted in result.stderr, result.stderr
    result = coffer("run", machine.name, "--image", image, check=False, input="")
    assert result.returncode == 125 and "--scratch" in result.stderr
    damage(blob(broken, manifest_of(broken, "app")["layers"][1]["digest"]))
    result = run(machine, f"oci:{broken}:app", tmp_path)
    assert result.returncode == 125 and "digest" in result.stderr and "undone" not in result.stderr, result.stderr


def docker_archive(folder):
    """As `docker save` writes it: a manifest.json, a config, and layers that are not packed."""
    layer = BUSYBOX.read_bytes()
    config = {
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh", "-c", "echo from docker; exit 3"], "Entrypoint": None, "Env": None},
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer)]},
    }  # fmt: skip
    text = json.dumps(config).encode()
    name = sha256(text)[7:]
    manifest = [{"Config": f"{name}.json", "RepoTags": ["box:latest"], "Layers": ["one/layer.tar"]}]
    archive = folder / "saved.tar"
    archive.write_bytes(tar((info(f"{name}.json"), text), (info("one/layer.tar"), layer), (info("manifest.json"), json.dumps(manifest))))
    assert tarfile.is_tarfile(archive)
    return archive


def test_an_image_of_docker_in_a_vm_of_its_own(tmp_path):
    shell("skopeo", "copy", "--insecure-policy", f"docker-archive:{docker_archive(tmp_path)}", f"oci:{tmp_path}/image")
    result = run(None, f"oci:{tmp_path}/image", tmp_path)
    assert (result.returncode, result.stdout) == (3, "from docker\n"), result.stderr
    result = run(None, f"oci:{tmp_path}/image", tmp_path, options=["--keep"])
    assert result.returncode == 125 and "name of a VM" in result.stderr
