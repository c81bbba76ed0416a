# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks that worked against other container runtimes, tried on this one.  Each is named after its CVE; tests/weaken breaks the
defence, and wants the test to fail then.  Others of these are in test_keys.py, test_container.py and test_hooks.py.

The root file system is one that containers can write to, so what an image of an attacker's could hold is put there by a container.
What happens to the agent's own files is seen by a hook, which is why the VM is the one that allows them."""

import re
import subprocess

import pytest
from machine import MOUNTS, Refused, config

ROOT = "/run/coffer/rootfs/root"
# Nothing is mounted, and no node of the image's is in the way.
BARE = config(mounts=[], mask_paths=[], readonly_paths=[], devices=[{"type": 99, "path": "/unused", "major": 1, "minor": 3}])
ALL = ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_MKNOD", "CAP_SYS_CHROOT", "CAP_CHOWN", "CAP_FOWNER"]


@pytest.fixture
def root(debian):
    """Changes the root file system from the agent's side, before anything of a container is made in it, and takes that back."""
    moved = []

    def change(script):
        command = {"path": "/bin/sh", "args": ["sh", "-ec", f"cd {ROOT}; {script}"]}
        mount = {"source": "t", "destination": "/media", "device": "tmpfs", "flags": 0, "premount_cmds": [command]}
        try:
            debian.remove(debian.create("true", config={**BARE, "mounts": [mount]}))
        except Refused as refused:  # by what it finds then; but not by the command
            assert "premount_cmds" not in refused.field, refused

    def prepare(script, *places):
        for place in places:
            change(f"mkdir -p kept; mv {place} kept/{len(moved)}")
            moved.append(place)
        change(f"rm -rf {' '.join(places) or 'no-such-place'}; {script}")

    yield prepare
    for number, place in reversed(list(enumerate(moved))):
        change(f"rm -rf {place}; mv kept/{number} {place}")


def agents_files(debian):
    """A list of the agent's files outside of what holds containers, taken by a hook."""
    look = {"path": "/bin/sh", "args": ["sh", "-c", f"cd /; for d in / /run /run/coffer /tmp /dev /etc; do for f in $d/*; do echo $f; done; done > {ROOT}/agents-files"]}
    return debian.sh("grep -v '^/dev/\\(dm-\\|vd\\|mapper\\)' /agents-files; rm /agents-files", config=config(Hooks={"prestart": [look]}))


def refusal(debian, *args, **options):
    with pytest.raises(Refused) as info:
        debian.remove(debian.create(*(args or ("true",)), **options))
    return info.value


def test_cve_2019_5736_the_agents_program_cannot_be_written(debian):
    """With every right and the VM's pid namespace a container opens the agent's program through /proc."""
    script = """
import hashlib, os
try: print("opened", os.open("/proc/1/exe", os.O_WRONLY))
except OSError as error: print(error.strerror)
try: print("changed", os.chmod("/proc/1/exe", 0o777))
except OSError as error: print(error.strerror)
print(hashlib.sha256(open("/proc/1/exe", "rb").read()).hexdigest())
"""
    shared = config(capabilities=ALL, namespaces=[n for n in config()["namespaces"] if n["type"] != "NEWPID"])
    out = debian.run("python3", "-c", script, config=shared)[1].splitlines()
    assert out[:2] == ["Text file busy", "Read-only file system"], out
    # A program of the image that leads back to what launches it: whatever runs then, it is in the container, and it changes nothing.
    debian.sh("printf '#!/proc/self/exe\\n' > /loop; chmod 755 /loop", config=config())
    for program in ("/proc/self/exe", "/loop"):
        code, text, err = debian.run(program, config=config())
        assert code != 0 and "init of a utility VM" in err or code in (126, 127), (code, text, err)
    assert debian.run("python3", "-c", script, config=shared)[1].splitlines()[2] == out[2]
    debian.machine.call("agent.info")


def test_cve_2024_21626_working_folders_by_descriptor(debian):
    for number in range(3, 64):
        for path in (f"/proc/self/fd/{number}", f"/proc/self/fd/{number}/../../..", f"/proc/thread-self/fd/{number}/."):
            name = None
            try:
                name = debian.create("sh", "-c", "pwd; ls -a | head -50", cwd=path)
            except Refused as refused:
                assert refused.name == "container-failed" and refused.field == "process.cwd", refused
            if name:
                with debian.machine.stream(name) as stream:
                    debian.machine.call("container.start", id=name)
                    out = stream.read_all()[0].decode()
                debian.remove(name)
                pytest.fail(f"a container ran in {path}: {out}")


def test_cve_2016_9962_a_process_before_its_program_cannot_be_looked_into(debian):
    """In a pid namespace that is shared: nothing of a created container's process until its own program runs."""
    namespaces = [{"type": kind} for kind in ("NEWNS", "NEWPID", "NEWUTS", "NEWIPC", "NEWNET")]
    debian.machine.call("sandbox.create", id="watch", config={"namespaces": namespaces})
    shared = config(hostname=None, namespaces=[{"type": "NEWNS"}, {"type": "NEWPID", "path": "/run/coffer/container/watch/ns/pid"}])
    victim = debian.create("sleep", "1000", config=shared, stdio="null")
    script = "for p in /proc/[0-9]*; do case $(cat $p/comm) in pause|sh|cat) ;; *) readlink $p/fd/0 && echo seen $p; cat $p/environ > /dev/null 2>&1 && echo read $p; readlink $p/root && echo root $p;; esac; done; echo looked"
    assert debian.sh(script, config=shared) == "looked\n"  # the names of its descriptors are there, and lead nowhere
    debian.machine.call("container.start", id=victim)
    assert "seen" in debian.sh(script, config=shared)  # the same eyes see its program
    debian.remove(victim)
    debian.machine.call("container.remove", id="watch", force=True)


EXCHANGE = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
os.makedirs("/race/plain/below", exist_ok=True)
if not os.path.islink("/race/link"): os.symlink("/../../../../../../run", "/race/link")
print("racing", flush=True)
while True:
    libc.renameat2(-100, b"/race/plain", -100, b"/race/link", 2)
"""


def test_cve_2021_30465_names_that_are_exchanged_while_mounts_are_made(debian):
    """One container exchanges a directory and a link that leads out, without pause; others are started with mounts below it."""
    before = agents_files(debian)
    racer = debian.create("python3", "-c", EXCHANGE, config=config())
    with debian.machine.stream(racer) as stream:
        debian.machine.call("container.start", id=racer)
        assert stream.frame()[2] == b"racing\n"
        mounts = MOUNTS + [
            {"source": "t", "destination": "/race/plain/below", "device": "tmpfs", "flags": 0},
            {"source": "/run/coffer/volume/image/etc", "destination": "/race/plain/file/deep", "device": "bind", "flags": 4096},
        ]
        kept = debian.machine.at_rest()["mounts"]
        for _ in range(60):
            try:
                text = debian.sh("cat /proc/self/mountinfo", config=config(mounts=mounts))
                assert "coffer" not in " ".join(line.split()[4] for line in text.splitlines())
            except Refused as refused:
                assert refused.field.startswith("config.mounts[")
        assert debian.machine.resources()["mounts"] == kept
    debian.remove(racer)
    debian.sh("rm -rf /race", config=config())
    assert agents_files(debian) == before


@pytest.mark.parametrize("target", ["/bad", "/tmp", "../tmp", "/usr"])
def test_cve_2019_16884_proc_in_the_image_is_a_link(debian, root, target):
    """And 2019-19921, 2023-27561, 2023-28642: labels, masks and parameters would be written to what the link leads to."""
    root(f"mkdir -p bad; ln -s {target} proc", "proc")
    refused = refusal(debian)
    assert refused.name == "container-failed" and "ordinary directory" in refused.message


def test_cve_2019_19921_a_volume_on_proc(debian):
    volume = {"source": "/run/coffer/volume/image/etc", "destination": "/proc", "device": "bind", "flags": 4096}
    inside = {**volume, "destination": "/dev/../proc/sys/kernel"}
    tmpfs = {"source": "t", "destination": "/proc", "device": "tmpfs", "flags": 0}
    for mounts in ([volume] + MOUNTS, MOUNTS + [volume], MOUNTS + [inside], [tmpfs] + MOUNTS, [{**tmpfs, "destination": "/tmp/../proc/"}] + MOUNTS):
        assert "/proc" in refusal(debian, config=config(mounts=mounts)).message


def test_cve_2025_31133_masks_with_a_false_null(debian, root):
    """/dev/null of the image leads to what the mask would then let through."""
    bare = [mount for mount in MOUNTS if not mount["destination"].startswith("/dev")]
    root("mkdir dev; ln -s /proc/sys/kernel/core_pattern dev/null", "dev")
    one = [{"type": 99, "path": "/dev/zero", "major": 1, "minor": 5, "file_mode": 0o666}]
    out = debian.sh("stat -c %t:%T /proc/sysrq-trigger; wc -c < /proc/sysrq-trigger", config=config(mounts=bare, devices=one, mask_paths=["/proc/sysrq-trigger"], readonly_paths=[], capabilities=ALL))
    assert out.split() == ["1:3", "0"]
    assert "something else in the image" in refusal(debian, config=config(mounts=bare)).message


def test_cve_2025_52565_terminals_of_the_image(debian, root):
    bare = [mount for mount in MOUNTS if not mount["destination"].startswith("/dev")]
    root("mkdir -p dev/pts; ln -s /proc/sys/kernel/core_pattern dev/console; : > dev/pts/ptmx", "dev")
    refused = refusal(debian, terminal=True, config=config(mounts=bare))
    assert refused.name == "container-failed" and "not of a devpts" in refused.message
    pts = bare + [mount for mount in MOUNTS if mount["destination"] == "/dev/pts"]
    refused = refusal(debian, terminal=True, config=config(mounts=pts))
    assert "/dev/console is something else" in refused.message


def test_cve_2025_52881_parameters_are_written_to_the_real_proc(debian, root):
    """The image has files where the container's /proc would have the kernel's."""
    root("mkdir -p proc/sys/net/core proc/self/attr/apparmor; echo 1 > proc/sys/net/core/somaxconn; : > proc/self/attr/apparmor/exec", "proc")
    mounts = [{**MOUNTS[0], "destination": "/p"}] + MOUNTS[1:]
    out = debian.sh("cat /p/sys/net/core/somaxconn /proc/sys/net/core/somaxconn; wc -c < /proc/self/attr/apparmor/exec", config=config(mounts=mounts, mask_paths=[], readonly_paths=[], sysctl={"net.core.somaxconn": "257"}, apparmor_profile="unconfined"))
    assert out.split() == ["257", "1", "0"]


@pytest.mark.parametrize("target", ["/run", "../../../../run", "/run/../../../run", "/proc/1/root/run"])
def test_cve_2026_41579_dev_in_the_image_is_a_link(debian, root, target):
    before = agents_files(debian)
    root(f"ln -s {target} dev", "dev")
    bare = [mount for mount in MOUNTS if not mount["destination"].startswith("/dev")]
    try:
        debian.sh("true", config=config(mounts=bare, devices=[{"type": 99, "path": "/dev/planted", "major": 1, "minor": 3, "file_mode": 0o666}]))
    except Refused as refused:
        assert refused.name == "container-failed"
    root("rm -f run/planted run/fd run/std* run/ptmx; rm -f dev; mkdir dev")
    after = agents_files(debian)
    assert "planted" not in after and after == before


LINKS = {
    "absolute": "ln -s /run/coffer L",
    "upwards": "ln -s ../../../../../../run/coffer L",
    "chained": "ln -s /x1 L; ln -s x2 /x1; ln -s ../../../run/coffer /x2",
    "looping": "ln -s L L",
    "long": "i=0; while [ $i -lt 60 ]; do ln -s /l$((i+1)) /l$i; i=$((i+1)); done; ln -s /run/coffer /l60; ln -s /l0 L",
    "dangling": "ln -s /not/there/at/all L",
    "procs": "ln -s /proc/1/root/run/coffer L",
    "magic": "ln -s /proc/self/fd/5 L",
}


@pytest.mark.parametrize("kind", sorted(LINKS))
def test_cve_2024_45310_mount_points_of_the_image_are_links(debian, kind):
    """And 2019-18837, 2015-1335, 2015-3627: whatever is made for a mount, a device, a mask or a working folder lies in the root."""
    debian.sh("rm -rf /L /x1 /x2 /l[0-9]*; cd /; " + LINKS[kind].replace(" L", " /L"), config=BARE)
    before = agents_files(debian)
    tries = [
        dict(config=config(mounts=MOUNTS + [{"source": "t", "destination": "/L/made/by/attack", "device": "tmpfs", "flags": 0}])),
        dict(config=config(mounts=MOUNTS + [{"source": "t", "destination": "/L", "device": "tmpfs", "flags": 0}])),
        dict(config=config(mounts=MOUNTS + [{"source": "/run/coffer/volume/image/etc/os-release", "destination": "/L/file", "device": "bind", "flags": 4096}])),
        dict(config=config(devices=[{"type": 99, "path": "/L/attack", "major": 1, "minor": 3, "file_mode": 0o666}])),
        dict(config=config(mask_paths=["/L", "/L/attack"], readonly_paths=["/L", "/L/attack"])),
        dict(cwd="/L/attack/deep"),
    ]
    for attempt in tries:
        try:
            out = debian.sh("ls -d /init /run/coffer/volume 2>/dev/null | wc -l", **attempt)
            assert out == "0\n"
        except Refused as refused:
            assert refused.name == "container-failed", refused
    assert agents_files(debian) == before
    debian.sh("rm -rf /L /x1 /x2 /l[0-9]* /run/coffer /not", config=BARE)


def test_cve_2016_3697_numbers_that_are_names(debian, root):
    """A user called 1000 who is root: a number is a number.  And 2026-30892: nothing but a number is one."""
    root("printf '1000:x:0:0::/roots-home:/bin/sh\\nother:x:1000:1000::/others-home:/bin/sh\\n' > etc/passwd", "etc/passwd")
    assert debian.sh("id -u; echo $HOME; grep CapEff /proc/self/status", uid=1000, gid=1000).split() == ["1000", "/others-home", "CapEff:", "0" * 16]
    for uid in ("0", "1000", "1:", ":0", "0x0", -1, 4294967295, 4294967296, 1.5, " 1", [], True):
        refused = refusal(debian, uid=uid)
        assert (refused.name, refused.field) == ("invalid-params", "process.uid")


def test_cve_2021_43784_long_lists_are_not_cut(debian):
    rows = [{"container_id": i, "host_id": 100000 + 7 * i, "size": 1} for i in range(300)]
    user = config(namespaces=config()["namespaces"] + [{"type": "NEWUSER"}], uid_mappings=rows, gid_mappings=rows)
    user["uid_mappings"] = [{**rows[0], "host_id": 0}] + rows[1:]
    out = debian.sh("cat /proc/self/uid_map", config=user).splitlines()
    assert len(out) == 300 and out[299].split() == ["299", str(100000 + 7 * 299), "1"]


EVIL = """
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void loaded(void) { FILE *f = fopen("/evil-was-here", "a"); if (f) fclose(f); }
int _nss_evil_getpwuid_r(void) { return 0; }
"""


def test_cve_2019_14271_no_library_of_the_container_is_loaded(debian, tmp_path):
    """nsswitch.conf of the image names a library of its own; a name lookup by the agent would run it with the agent's rights."""
    (tmp_path / "evil.c").write_text(EVIL)
    subprocess.run(["gcc", "-shared", "-fPIC", "-nostartfiles", "-o", tmp_path / "evil.so", tmp_path / "evil.c"], check=True)
    library = (tmp_path / "evil.so").read_bytes()
    debian.run("sh", "-c", "cat > /usr/lib/x86_64-linux-gnu/libnss_evil.so.2; cp /usr/lib/x86_64-linux-gnu/libnss_evil.so.2 /usr/lib/; cp /etc/nsswitch.conf /kept-nsswitch; printf 'passwd: evil files\\ngroup: evil files\\n' > /etc/nsswitch.conf", stdin=library)
    # A static program asks for no names; what is left is what the agent does.
    debian.run("/bin/sh", "-c", "true", uid=4711, gid=4711, cwd="/tmp")
    out = debian.sh("ls /evil-was-here 2>/dev/null | wc -l; cp /kept-nsswitch /etc/nsswitch.conf; rm -f /evil-was-here /usr/lib/x86_64-linux-gnu/libnss_evil.so.2 /usr/lib/libnss_evil.so.2")
    assert out == "0\n"


def test_cve_2017_5226_no_terminal_of_the_agents(debian):
    """TIOCSTI needs a controlling terminal: a container is a session of its own, without one."""
    out = debian.sh("set -- $(cat /proc/self/stat); exec 2>/dev/null; cat < /dev/tty && echo tty; cut -d' ' -f6,7 /proc/1/stat")
    session, terminal = out.split()
    assert (session, terminal) == ("1", "0")


def test_cve_2019_12439_the_state_is_the_agents_alone(debian):
    look = {"path": "/bin/sh", "args": ["sh", "-c", f"/bin/stat -c '%a %u %n' /run/coffer /run/coffer/* > {ROOT}/modes"]}
    out = debian.sh("cat /modes; rm /modes", config=config(Hooks={"prestart": [look]}))
    assert out.startswith("700 0 /run/coffer\n") and len(out.splitlines()) > 3, out


def test_cve_2020_2026_a_volume_stays_read_only(debian):
    """With every right a container makes its mount writable again; what is below dm-verity cannot be written."""
    bind = {"source": "/run/coffer/volume/image", "destination": "/mnt", "device": "bind", "flags": 4097}
    script = "mount -o remount,bind,rw /mnt && echo remounted; mount -o remount,rw /mnt 2>/dev/null && echo all; touch /mnt/etc/x 2>/dev/null && echo written; true"
    out = debian.sh(script, config=config(mounts=MOUNTS + [bind], capabilities=ALL))
    assert "written" not in out
    user = config(namespaces=config()["namespaces"] + [{"type": "NEWUSER"}], mounts=MOUNTS + [bind], capabilities=ALL, uid_mappings=[{"container_id": 0, "host_id": 0, "size": 65536}], gid_mappings=[{"container_id": 0, "host_id": 0, "size": 65536}])
    assert debian.sh(script, config=user) == ""  # its flags are locked below a user namespace


def test_below_the_root_there_is_nothing(debian):
    """With CAP_SYS_ADMIN a container unmounts its root and enters its own mount namespace again: at the bottom of it lies what the
    kernel booted from, and that has been emptied."""
    script = """
import ctypes, os
libc, space = ctypes.CDLL(None, use_errno=True), os.open("/proc/self/ns/mnt", os.O_RDONLY)
print("unmounted", libc.umount2(b"/", 2), "entered", libc.setns(space, 0x20000))
for folder, folders, files in os.walk("/"):
    for name in files + [f for f in folders if folder != "/"]: print(os.path.join(folder, name))
"""
    code, out, err = debian.run("python3", "-c", script, config=config(capabilities=ALL))
    assert out == "unmounted 0 entered 0\n", (code, out, err)


def test_golden_statuses(debian):
    """What was asked for is what /proc says, for a config with everything on."""
    strict = config(capabilities=["CAP_KILL"], no_new_privileges=True, seccomp={"default_action": 4, "syscalls": [{"name": "mount", "action": 2}]})
    out = dict(re.findall(r"(\w+):\s+(\w+)", debian.sh("grep -E 'Seccomp|NoNew|Cap' /proc/self/status", config=strict)))
    assert (out["Seccomp"], out["Seccomp_filters"], out["NoNewPrivs"], int(out["CapBnd"], 16)) == ("2", "1", "1", 1 << 5)
