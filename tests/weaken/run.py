#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes one defence after the other out of the agent, and wants the tests of the attack to fail: `make weakened`.

Each row: a name, replacements (file, text that must be there once, what it becomes), and the tests that must see it.  A copy of the
tree is changed, built and booted; what passes although its defence is gone is a test that cannot fail.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent

C = "agent/container/"
ROWS = [
    ("the agent's program can be written", [("agent/boot.c", "MS_REMOUNT | MS_BIND | MS_RDONLY", "MS_REMOUNT | MS_BIND")], ["cve_2019_5736"]),
    (
        "working folders by plain chdir",
        [(C + "stage.c", "fd_auto directory = paths_make_directory(root, path, 0755, err);", "fd_auto directory = open(path, O_PATH | O_DIRECTORY);"),
         (C + "stage.c", 'fd_auto directory = paths_make_directory(root, stage->process->cwd ? stage->process->cwd : "/", 0755, err);', 'fd_auto directory = open("/", O_PATH);'),
         (C + "stage.c", "if (!getcwd(where, sizeof(where)) || where[0] != '/')", "if (!getcwd(where, sizeof(where)))")],
        ["cve_2024_21626"],
    ),
    (
        "a process before its program can be looked into",
        [(C + "stage.c", "	/* Changing the user made the process dumpable again. */\n	prctl(PR_SET_DUMPABLE, 0);", "	prctl(PR_SET_DUMPABLE, 1);")],
        ["cve_2016_9962"],
    ),
    (
        "paths in a root are plain paths",
        [("agent/sys/paths.c", "RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS", "0"),
         ("agent/sys/paths.c", "long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));", "long fd = syscall(SYS_openat2, root, path[0] == '/' && path[1] ? path + 1 : path[0] ? path : \".\", &how, sizeof(how));")],
        ["cve_2024_45310 and (absolute or chained or upwards)", "cve_2026_41579 and run", "cve_2021_30465"],
    ),
    ("proc goes where a link leads", [(C + "rootfs_mount.c", "plain ? open_plain_directory(rootfs->root, wanted->destination, err)", "plain ? paths_make_directory(rootfs->root, wanted->destination, 0755, err)")], ["cve_2019_16884"]),
    ("anything is mounted on proc", [(C + "rootfs_mount.c", 'if (strcmp(wanted->device, "proc") != 0 && place >= 0', "if (place < 0 && place >= 0"), (C + "rootfs_mount.c", "if (filesystem.f_type == PROC_SUPER_MAGIC)", "if (filesystem.f_type == 1)")], ["cve_2019_19921"]),
    ("masks are the image's null", [(C + "rootfs.c", 'open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC)', 'open("/run/coffer/rootfs/root/dev/null", O_PATH | O_CLOEXEC)'), (C + "rootfs.c", "if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3))", "if (0)")], ["cve_2025_31133"]),
    ("terminals are not looked at", [(C + "terminal.c", "filesystem.f_type != DEVPTS_SUPER_MAGIC || !S_ISCHR(status.st_mode) || status.st_rdev != makedev(5, 2)", "0"), (C + "terminal.c", "if (S_ISLNK(status.st_mode) || S_ISDIR(status.st_mode))", "if (0)")], ["cve_2025_52565"]),
    ("parameters are written through the image's proc", [(C + "sysctl.c", 'openat(proc, "sys", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)', 'open("/run/coffer/rootfs/root/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC)'), (C + "sysctl.c", "if (filesystem.f_type != PROC_SUPER_MAGIC)", "if (proc < -5)")], ["cve_2025_52881"]),
    ("names in passwd are users", [(C + "environment.c", "if (field == 2)", "if (field == 0)")], ["cve_2016_3697"]),
    ("maps are cut", [(C + "namespaces.c", "write(fd, buf_bytes(&text), buf_length(&text)) < 0", "write(fd, buf_bytes(&text), buf_length(&text) & 0x3ff) < 0")], ["cve_2021_43784"]),
    ("names are looked up in the container", [(C + "stage.c", "	umask((mode_t)(process->has_umask", "	if (getpwuid((uid_t)process->uid))\n		umask(022);\n	umask((mode_t)(process->has_umask"), (C + "stage.c", "#include <limits.h>", "#include <limits.h>\n#include <pwd.h>")], ["cve_2019_14271"]),
    ("no session of its own", [(C + "stage.c", "if (setsid() < 0)", "if (getpid() < 0)")], ["cve_2017_5226"]),
    ("the state is open to all", [("agent/service/storage.c", "0700", "0755"), ("agent/sys/modules.c", "0700", "0755")], ["cve_2019_12439"]),
    ("read-only bind mounts are not", [(C + "rootfs_mount.c", "(unsigned long)wanted->flags | MS_NODEV, recursive", "((unsigned long)wanted->flags & ~MS_RDONLY) | MS_NODEV, recursive")], ["test_a_volume_can_be_bound or test_a_mount_of_each_kind"]),
    ("an array of capabilities is inherited", [(C + "privileges.c", "capabilities->effective = capabilities->permitted = capabilities->bounding;", "capabilities->effective = capabilities->permitted = capabilities->inheritable = capabilities->ambient = capabilities->bounding;")], ["test_keys and test_capabilities", "test_a_user_that_is_not_root_has_nothing"]),
    ("parameters by any name", [(C + "sysctl.c", "to_path(key, path, sizeof(path)) < 0 || !is_plain(path)", "to_path(key, path, sizeof(path)) < 0")], ["test_kernel_parameters_of_the_vm"]),
    ("cgroups can be written", [("agent/sys/cgroups.c", '"nsdelegate"', "NULL"), (C + "rootfs_mount.c", "if (!(wanted->flags & MS_RDONLY))", "if (0)")], ["test_a_container_sees_its_own_cgroup_alone"]),
    ("devices are open", [(C + "launch.c", "result = groups_restrict(groups, &launch->config->cgroups, err);", "result = groups->directory < -1;")], ["test_a_container_cannot_reach_the_disks"]),
    ("descriptors go along", [(C + "stage.c", "close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0", "close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0 || fcntl(stage->proc, F_SETFD, 0) < 0")], ["test_no_descriptor_leaks"]),
    ("the initramfs stays", [("agent/boot.c", 'if (paths_remove_tree(old_root, ".", false, err) < 0)', 'if (old_root < 0)')], ["test_below_the_root_there_is_nothing"]),
    ("any hook", [(C + "hooks.c", "if (length > 0 && is_allowed(list, command[i].path))", "if (length || !is_allowed(list, command[i].path))")], ["test_only_what_the_image_names", "test_a_config_that_would_reach_out_is_refused"]),
    ("unknown flags of a filter are ignored", [(C + "syscall_filter.c", "if (row == array_count(flags)) {", "if (row == array_count(flags))\n			continue;\n		if (row > array_count(flags)) {")], ["test_seccomp_profiles_that_are_wrong"]),
    ("no filter", [(C + "syscall_filter.c", "	if (!program->filter)\n		return 0;", "	if (program)\n		return 0;")], ["test_golden_statuses", "test_seccomp_actions"]),
]


def copy_tree(work):
    tree = work / "tree"
    shutil.copytree(TOP, tree, ignore=shutil.ignore_patterns("build", ".git", "results"), symlinks=True)
    build = tree / "build"
    build.mkdir()
    for name in ("images", "packages", "initramfs-cache", "obj", "kernel", "vhost-device-vsock"):
        if (TOP / "build" / name).exists() or (TOP / "build" / name).is_symlink():
            subprocess.run(["cp", "-a", TOP / "build" / name, build / name], check=True)
    return tree


def weaken(tree, replacements):
    former = {}
    for name, old, new in replacements:
        path = tree / name
        text = path.read_text()
        former.setdefault(path, text)
        if text.count(old) < 1:
            raise SystemExit(f"weaken: {name} has no text {old!r} any more: the row must be brought up to date")
        path.write_text(text.replace(old, new))
    return former


def outcome(tree, tests):
    """The tests that passed and that failed."""
    environment = dict(os.environ, BUILD=str(tree / "build"))
    run = subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-rA", "--no-header", "-p", "no:cacheprovider", "tests/vm", "-k", tests], cwd=tree, env=environment, capture_output=True, text=True)
    lines = run.stdout.splitlines()
    return [line for line in lines if line.startswith("PASSED")], [line for line in lines if line.startswith(("FAILED", "ERROR"))], run.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="rows whose name has this in it")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    rows = [row for row in ROWS if not args.only or args.only in row[0]]
    if args.list:
        print("\n".join(row[0] for row in rows))
        return 0
    blind = 0
    work = TOP / "build" / "weaken"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tree = copy_tree(work)
    for name, replacements, tests in rows:
        began = time.monotonic()
        former = weaken(tree, replacements)
        build = subprocess.run(["make", "-j2", "all", "CFLAGS=-Wno-error"], cwd=tree, capture_output=True, text=True)
        if build.returncode != 0:
            print(f"NOT BUILT  {name}\n{build.stdout[-1500:]}{build.stderr[-1500:]}")
            blind += 1
        else:
            for test in tests:
                passed, failed, text = outcome(tree, test)
                seen = bool(failed)
                blind += not seen
                print(f"{'seen' if seen else 'NOT SEEN'}  {name}: {len(failed)} of {len(passed) + len(failed)} fail  ({test}, {time.monotonic() - began:.0f} s)", flush=True)
                if not seen:
                    print(text[-3000:])
        for path, text in former.items():
            path.write_text(text)
    shutil.rmtree(work, ignore_errors=True)
    print(f"{sum(len(row[2]) for row in rows) - blind} passed, {blind} failed")
    return blind != 0


if __name__ == "__main__":
    sys.exit(main())
