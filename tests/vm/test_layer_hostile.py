# SPDX-License-Identifier: GPL-2.0-or-later
"""
Archives that mean no good, through a real stream into a real store.  Each rule has its rows in tests/unit/test_import*.c; here is what
they do to the whole: a clear error, no half layer, nothing outside of the layer touched, and a machine that lives.
"""

import gzip
import io
import os
import tarfile

import pytest
from layers import Store, info, members, tar
from machine import Refused

LINK, HARD, CHAR, BLOCK, FIFO = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE


@pytest.fixture(scope="module")
def store(machine, tmp_path_factory):
    before = machine.at_rest()
    made = Store(machine, tmp_path_factory.mktemp("store"), size="2G")
    made.bring("base", tar(("victim/hello", "unharmed"), (info("usr/lib", tarfile.DIRTYPE, mode=0o755), None), info("lib", LINK, linkname="usr/lib")))
    yield made
    made.remove_all()
    made.close()
    machine.settles(before)


def pax(name, **headers):
    made = info(name)
    made.pax_headers = headers
    return made


def turned(archive, at):
    """With one bit of a byte turned over."""
    changed = bytearray(archive)
    changed[at] ^= 1
    return bytes(changed)


# What is refused: the archive, and a word of the message.
REFUSED = {
    "../victim/dotdot": (tar(info("../victim/dotdot")), ".."),
    "/../victim/slash-dotdot": (tar(info("/../victim/slash-dotdot")), ".."),
    "a/../../b": (tar(info("a/../../b")), ".."),
    "hard link out": (tar(info("l", HARD, linkname="../victim/hello")), ".."),
    "hard link to nothing": (tar(info("l", HARD, linkname="nothing")), "nothing"),
    "hard link to a directory": (tar(info("l", HARD, linkname="victim")), "directory"),
    "file as a directory": (tar(info("f"), info("f/x")), "not a directory"),
    "whiteout of nothing": (tar(info(".wh.")), ".wh."),
    "whiteout of the directory": (tar(info("a/.wh..")), ".wh."),
    "whiteout of the parent": (tar(info("a/.wh...")), ".wh."),
    "a device": (tar(info("sda", BLOCK, devmajor=8)), "device"),
    "a raw whiteout": (tar(info("hello", CHAR)), "0"),
    "a name of 300": (tar(info("x" * 300)), "255"),
    "a path of 5000": (tar(info("x/" * 2500 + "f")), "4095"),
    "uid 2^32": (tar(pax("f", uid=str(1 << 32))), "owner"),
    "no archive": (os.urandom(100000), "damaged"),
    "half an archive": (tar(("f", "x" * 100000))[:50000], ""),
    "damaged gzip": (gzip.compress(os.urandom(100000))[:-50000], ""),
    "gzip with a wrong sum": (turned(gzip.compress(tar(("f", "x"))), -8), "data check"),
    "gzip with a wrong length": (turned(gzip.compress(tar(("f", "x"))), -4), "length check"),
    "gzip with a tail": (gzip.compress(tar(("f", "x"))) + bytes(512), "follows"),
    "bzip2": (b"BZh91AY&SY" + os.urandom(1000), "damaged"),
}


@pytest.mark.parametrize("name", REFUSED, ids=list(REFUSED))
def test_archives_that_are_refused(machine, store, name):
    archive, word = REFUSED[name]
    before = machine.at_rest()
    with pytest.raises(Refused) as refused:
        store.bring("hostile", archive, parent="base")
    assert refused.value.name == "bad-layer" and refused.value.step == "unpack the layer" and word in refused.value.message, refused.value
    assert store.ids() == ["base"] and machine.call("layer.exists", id="hostile") == {"exists": False}
    assert members(store.export("base"))["victim/hello"].content == b"unharmed"
    machine.settles(before)


def test_links_that_lead_out_stay_in(store):
    """A link to / or to .. is the layer's own business; what is written through it lands in the layer."""
    archive = tar(
        info("loophole", LINK, linkname="/"),
        ("loophole/etc/shadow", "planted"),
        info("up", LINK, linkname="../../../.."),
        ("up/through", "planted"),
        info("deep", LINK, linkname="/victim"),
        ("deep/new", "x"),
        ("lib/x", "lands in usr/lib"),
    )
    store.bring("contained", archive, parent="base")
    found = members(store.export("contained"))
    assert found["etc/shadow"].content == b"planted" and found["through"].content == b"planted"
    assert found["victim/new"].isreg() and found["usr/lib/x"].isreg() and "lib/x" not in found
    store.machine.call("layer.remove", id="contained")


def test_what_grows(machine, store):
    """A bomb, many files, a sparse file of a tebibyte: limits of bytes, of files and of their ratio, said beforehand."""
    bomb = io.BytesIO()
    with gzip.open(bomb, "wb", compresslevel=1) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        head = info("zeros")
        head.size = 300 << 20
        with open("/dev/zero", "rb") as zeros:
            archive.addfile(head, zeros)
    many = tar(*[info(f"f{n}") for n in range(3000)])
    for params, archive, word in (({"max_bytes": 100 << 20}, bomb.getvalue(), "bytes"), ({"max_ratio": 100}, bomb.getvalue(), "100 times"), ({"max_files": 2000}, many, "2000")):
        with pytest.raises(Refused) as refused:
            store.bring("hostile", archive, parent="base", **params)
        assert refused.value.name == "bad-layer" and word in refused.value.message, refused.value
        assert store.ids() == ["base"]
    assert machine.call("agent.info")["memory"]["pss_kib"] < 8192
