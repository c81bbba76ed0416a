#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every check of this folder is silent on a small good tree, and says so when that tree is broken."""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LICENCE = "/* SPDX-License-Identifier: GPL-2.0-or-later */\n"
DEFINITION = LICENCE + '\nERROR(ERROR_PARSE, -32700, "parse-error", "It is not JSON.")\n'
PAGE = "made from it"

GOOD = {
    "agent/main.c": LICENCE + '#include "rpc/server.h"\n\nint main(void)\n{\n\texit(server_run());\n}\n',
    "agent/job.c": LICENCE + '#include "job.h"\n#include "sys/mounts.h"\n\nint jobs_count(void)\n{\n\treturn 0;\n}\n',
    "agent/job.h": LICENCE,
    "agent/base/log.c": LICENCE + "static int level;\nint log_level(void)\n{\n\treturn level++;\n}\n",
    "agent/base/text.h": LICENCE,
    "agent/rpc/server.h": LICENCE,
    "agent/rpc/server.c": LICENCE
    + '#include "rpc/server.h"\n#include "base/text.h"\n\n/* exit(1) and "strcpy(" */\nstatic int other(void)\n{\n\treturn 0;\n}\n'
    + '\nint server_run(void)\n{\n\tstatic const char *const modules[] = { "dm_mod", "?nvme" };\n\tlog("exit(");\n\treturn other();\n}\n',
    "agent/sys/mounts.h": LICENCE,
    "agent/storage/x.h": LICENCE,
    "qemu/vm.c": LICENCE + '#include "base/text.h"\n#include "qemu/vm.h"\n\nvoid vm_stop(void)\n{\n\texit(1);\n}\n',
    "qemu/vm.h": LICENCE,
    "qemu/machine.h": LICENCE + '#define MACHINE_APPEND "quiet a=b"\n',
    "initramfs/cmdline": "quiet a=b\n",
    "include/coffer/errors.def": DEFINITION,
    "docs/ERRORS.md": PAGE,
    "initramfs/modules.list": "# modules\ndm-mod # needed\n?nvme\n",
}
LONG = "\nint server_long(void)\n{\n" + "\ta();\n" * 68 + "}\n"

# check, file, text added to it (or None: the file goes away), what the check must say
BREAKS = [
    ("includes", "agent/base/text.h", '#include "sys/mounts.h"\n', "base is below sys"),
    ("includes", "agent/job.h", '#include "rpc/server.h"\n', "job is below rpc"),
    ("includes", "agent/storage/x.h", '#include "storage/none.h"\n', "is neither below agent/"),
    ("includes", "agent/strange/x.c", LICENCE, "has no place"),
    ("includes", "agent/kata/x.c", '#include "rpc/server.h"\n', "neighbours"),
    ("includes", "qemu/vm.c", '#include "sys/mounts.h"\n', "the host tool may not include"),
    ("calls", "agent/rpc/server.c", "void server_a(void)\n{\n\texit(1);\n}\n", "exit()"),
    ("calls", "agent/sys/mounts.h", "void x(void)\n{\n\tif (a)\n\t\tabort();\n}\n", "abort()"),
    ("calls", "agent/main.c", "int x = system(y);\n", "system()"),
    ("calls", "qemu/vm.c", "void vm_a(void)\n{\n\tsprintf(a, b);\n}\n", "sprintf()"),
    ("calls", "agent/job.c", "void job_a(void)\n{\n\tchar *a = alloca(5), *p = strcpy(a, b);\n}\n", "strcpy()"),
    ("names", "agent/rpc/server.c", "int run_it(const char *a,\n\t   int b)\n{\n\treturn 0;\n}\n", "run_it()"),
    ("names", "qemu/vm.c", "struct x *start(void)\n{\n\treturn 0;\n}\n", "start()"),
    ("length", "agent/rpc/server.c", LONG, "server_long() has 71 lines"),
    ("length", "agent/sys/mounts.h", "\n" * 600, "601 lines; the limit is 600"),
    ("length", "agent/main.c", "\n" * 150, "the limit is 150"),
    ("errors", "include/coffer/errors.def", 'ERROR(ERROR_NEW, -32001, "new", "New.")\n', "is not what"),
    ("errors", "include/coffer/errors.def", 'ERROR(ERROR_NEW, -32700, "new", "New.")\n', "used twice"),
    ("errors", "docs/ERRORS.md", None, "is not what"),
    ("cmdline", "initramfs/cmdline", "c=d\n", "boots with"),
    ("modules", "agent/storage/x.h", 'static const char *const x_modules[] = {\n\t"loop",\n};\n', "module loop is not in"),
    ("modules", "agent/storage/x.h", 'static const char *const modules[] = { "nvme", 0 };\n', "optional in"),
    ("oci", "agent/container/oci.c", '\tROW("newKey", OCI_BOOL, "new_key"),\n', "newKey is not in"),
    ("oci", "agent/container/oci_x.c", '\tREFUSED("oldKey", why),\n', "oldKey is not in"),
    ("oci", "agent/container/oci_x.c", '\t{ .name = "aKey", .kind = OCI_BOOL },\n', "aKey is not in"),
    ("oci", "agent/container/oci_x.c", '\t{ "newoption", OPTION_FLAG, false, 0 },\n', "newoption is not in"),
    ("tree", "agent/job.c", "/* see " + "/" + "work/main */\n", "a path of one machine"),
    ("tree", "docs/ERRORS.md", "http://" + "deb." + "debian.org/debian\n", "a package mirror"),
    ("tree", "agent/job.c", "int x; \n", "blanks at the end"),
    ("tree", "agent/job.c", None, None),
    ("tree", "agent/new.c", "int x;\n", "no licence line"),
]
STATE = [
    ("static int count;\nint next(void);\nint next(void)\n{\n\treturn count++;\n}\n", "'count'"),
    ("int next(void);\nint next(void)\n{\n\tstatic int last = 5;\n\treturn last++;\n}\n", "'last"),
    ("int shared = 3;\n", "'shared'"),
    ("int nothing;\n", "'nothing'"),
    ("_Thread_local int own = 2;\n", "'own'"),
    ('const char *const names[] = { "a", "b" };\nconst int numbers[] = { 1, 2 };\nint f(void);\nint f(void)\n{\n'
     '\tstatic const char *const here[] = { "x", "y" };\n\treturn *here[numbers[0]];\n}\n', None),
]

failures = []


def run(check, root):
    done = subprocess.run([sys.executable, HERE / f"check_{check}.py", root], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def expect(label, check, root, text):
    code, output = run(check, root)
    if text is None and code != 0:
        failures.append(f"{label}: check_{check} fails on a good tree:\n{output}")
    elif text is not None and (code == 0 or text not in output):
        failures.append(f"{label}: check_{check} should say '{text}' and says (exit code {code}):\n{output}")


def lay(root):
    for name, text in GOOD.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.path.insert(0, str(HERE))
    from errors_md import text as page

    (root / "docs/ERRORS.md").write_text(page(root))


with tempfile.TemporaryDirectory() as top:
    checks = {row[0] for row in BREAKS} | {"state", "selftest", "mirror"}
    for path in sorted(HERE.glob("check_*.py")):
        if path.stem.removeprefix("check_") not in checks:
            failures.append(f"{path.name} is not tried by the self-test")
    good = pathlib.Path(top) / "good"
    lay(good)
    for check in sorted(checks - {"state", "selftest", "mirror"}):
        expect("good", check, good, None)
    for number, (check, name, added, text) in enumerate(BREAKS):
        root = pathlib.Path(top) / str(number)
        lay(root)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if added is None:
            path.unlink()
        else:
            path.write_text((path.read_text() if path.exists() else "") + added)
        expect(f"{name} + {added!r}"[:70], check, root, text)
    for number, (source, text) in enumerate(STATE):
        root = pathlib.Path(top) / f"state{number}"
        (root / "agent").mkdir(parents=True)
        (root / "x.c").write_text(source)
        subprocess.run(["gcc", "-O2", "-fPIE", "-c", "-o", root / "agent/x.o", root / "x.c"], check=True)
        expect(source.split("\n")[0], "state", root, text)

print("\n".join(failures), end="\n" if failures else "")
sys.exit(1 if failures else 0)
