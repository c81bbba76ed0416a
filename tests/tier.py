#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one tier of the tests, or all of them, and counts.

    tier.py unit PROGRAM...             cmocka programs (TAP)
    tier.py fuzz --seconds N PROGRAM... libFuzzer programs, from tests/fuzz/corpus/NAME
    tier.py pytest NAME FOLDER [...]    pytest, counted from its JUnit file; --at-once N: so many files at a time, and then
                                        what is marked `alone` by itself
    tier.py lint                        format, clang-tidy, cppcheck and every tests/lint/check_*.py
    tier.py check                       every tier; ends in one line `N passed, N failed`

Each tier leaves BUILD/results/TIER.json.  Silence is failure: a tier that ran no test, ended early, did not even build
or passed its time limit counts as one failed test, so that a sum can only be whole or red.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

TOP = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's pytest; the one in PATH may be another

# Tier, make target, seconds that it may take.
TIERS = [
    ("lint", "lint", 600),
    ("unit", "test-unit", 600),
    ("ns", "test-ns", 300),
    ("fuzz", "fuzz", 600),
    ("vm", "test-vm", 3000),
]
UNIT_SECONDS = 120


class Tally:
    def __init__(self, tier, build):
        self.tier = tier
        self.file = build / "results" / f"{tier}.json"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.unlink(missing_ok=True)
        self.passed = 0
        self.failures = []
        self.skips = []
        self.start = time.monotonic()

    def fail(self, name):
        self.failures.append(name)

    def close(self):
        """Writes the result, prints the tier's line, returns the exit code."""
        if self.passed == 0 and not self.failures:
            self.fail(f"{self.tier}: no test ran")
        result = {
            "passed": self.passed,
            "failures": self.failures,
            "skips": self.skips,
            "seconds": round(time.monotonic() - self.start, 1),
        }
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps(result, indent=1) + "\n")
        part.rename(self.file)
        for name in self.failures:
            print(f"  FAILED    {name}")
        skipped = f", {len(self.skips)} skipped" if self.skips else ""
        print(f"  {self.tier}: {self.passed} passed, {len(self.failures)} failed{skipped} in {result['seconds']} s", flush=True)
        return 1 if self.failures else 0


def run(command, limit, env=None, capture=True):
    """Runs a command in a process group of its own, which is killed whole at the limit.  Returns (exit code, output)."""
    child = subprocess.Popen(
        command,
        cwd=TOP,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.STDOUT if capture else None,
        start_new_session=True,
    )
    try:
        output, _ = child.communicate(timeout=limit)
        return child.returncode, (output or b"").decode(errors="replace")
    except BaseException as stop:
        # Also on Ctrl-C: the group is not the terminal's, so nobody else would tell it.
        try:
            os.killpg(child.pid, signal.SIGTERM if not capture else signal.SIGKILL)
            child.wait(timeout=20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
        if not isinstance(stop, subprocess.TimeoutExpired):
            raise
        return None, (stop.output or b"").decode(errors="replace") + f"\n(stopped after {limit} s)\n"


def fixed_addresses():
    """The prefix that turns address randomisation off: the sanitizers of gcc 12 and clang 14 crash at random where the
    kernel randomises 32 bits.  Empty where that is not allowed."""
    command = ["setarch", os.uname().machine, "-R"]
    if shutil.which("setarch") and subprocess.run(command + ["true"], capture_output=True).returncode == 0:
        return command
    return []


def sanitizer_env(**more):
    return dict(
        os.environ,
        ASAN_OPTIONS="abort_on_error=0:detect_leaks=1:strict_string_checks=1",
        UBSAN_OPTIONS="print_stacktrace=1",
        **more,
    )


def tier_unit(args):
    tally = Tally("unit", args.build)
    prefix = fixed_addresses()
    for program in args.programs:
        name = "/".join(pathlib.Path(program).parts[-2:])
        code, output = run(prefix + [program], UNIT_SECONDS, sanitizer_env(CMOCKA_MESSAGE_OUTPUT="TAP"))
        lines = re.findall(r"^(not ok|ok)\b[ \t]*\d*[ \t]*-?[ \t]*(.*)$", output, re.M)
        plans = re.findall(r"^1\.\.(\d+)", output, re.M)
        failed = 0
        for verdict, case in lines:
            case = case.strip()
            if re.search(r"#\s*skip", case, re.I):  # cmocka prints 'not ok' before it
                tally.skips.append(f"{name}: {case}")
            elif verdict == "ok":
                tally.passed += 1
            else:
                failed += 1
                tally.fail(f"{name}: {case}")
        # A crash, a leak found at the end, or fewer tests than planned.
        if not failed:
            if code is None:
                tally.fail(f"{name}: did not end in {UNIT_SECONDS} s")
            elif code != 0:
                tally.fail(f"{name}: exit code {code}")
            elif not lines or sum(map(int, plans)) > len(lines):
                tally.fail(f"{name}: {len(lines)} of {sum(map(int, plans))} tests ran")
        if failed or code != 0:
            print(output)
        else:
            print(f"  UNIT      {name}: {len(lines)}", flush=True)
    return tally.close()


def tier_fuzz(args):
    tally = Tally("fuzz", args.build)
    prefix = fixed_addresses()
    for program in map(pathlib.Path, args.programs):
        name = program.name.removeprefix("fuzz_")
        seeds = TOP / "tests/fuzz/corpus" / name
        if not seeds.is_dir() or not any(seeds.iterdir()):
            tally.fail(f"fuzz {name}: tests/fuzz/corpus/{name} has no seed")
            continue
        work = args.build / "fuzz" / f"{name}.work"
        found = work / "corpus"
        found.mkdir(parents=True, exist_ok=True)
        # Options of its own: a comment /* fuzz: -max_len=4096 */ in the target.
        source = (TOP / "tests/fuzz" / f"{program.name}.c").read_text()
        options = " ".join(re.findall(r"/\* fuzz:(.*?)\*/", source)).split()
        command = prefix + [
            str(program),
            f"-max_total_time={args.seconds}",
            f"-artifact_prefix={work}/",
            "-print_final_stats=1",
            "-timeout=10",
            "-rss_limit_mb=2048",
            *options,
            str(found),
            str(seeds),
        ]
        code, output = run(command, args.seconds + 120, sanitizer_env())
        (work / "log.txt").write_text(output)
        runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
        cover = re.findall(r"cov: (\d+)", output)
        if code == 0 and runs and int(runs.group(1)) > 0:
            tally.passed += 1
            print(f"  FUZZ      {name}: {runs.group(1)} runs, {cover[-1] if cover else '?'} edges", flush=True)
        else:
            print(output[-6000:])
            tally.fail(f"fuzz {name}: exit code {code}; the input and the log are in {work}")
    return tally.close()


def run_pytest(args, tally, name, options):
    """One run; its exit code."""
    report = args.build / "results" / f"{name}.xml"
    report.unlink(missing_ok=True)
    env = dict(os.environ, BUILD=str(args.build), PYTHONDONTWRITEBYTECODE="1")
    command = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-ra", "--durations=5", f"--junitxml={report}", args.folder, *options, *args.more]
    code = subprocess.run(command, cwd=TOP, env=env, stdin=subprocess.DEVNULL).returncode
    try:
        cases = list(xml.etree.ElementTree.parse(report).iter("testcase"))
    except (OSError, xml.etree.ElementTree.ParseError):
        cases = []
    for case in cases:
        name = f"{case.get('classname')}.{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            tally.fail(name)
        elif case.find("skipped") is not None:
            tally.skips.append(f"{name}: {case.find('skipped').get('message')}")
        else:
            tally.passed += 1
    return code


PYTEST_FOUND_NONE = 5


def tier_pytest(args):
    tally = Tally(args.name, args.build)
    runs = [(args.name, [])]
    if args.at_once > 1:
        # Machines live as long as a file's tests.  What has bounds of time is not measured beside something else.
        shared = [f"--numprocesses={args.at_once}", "--dist=loadfile", "-m", "not alone"]
        runs = [(args.name, shared), (f"{args.name}-alone", ["-m", "alone"])]
    codes = [run_pytest(args, tally, name, options) for name, options in runs]
    # One of two runs may have nothing to do; silence of both is Tally's to see.
    wrong = [code for code in codes if code not in (0, PYTEST_FOUND_NONE)]
    if not tally.failures and (wrong or codes == [PYTEST_FOUND_NONE]):
        tally.fail(f"{args.name}: pytest ended with exit code {wrong[0] if wrong else PYTEST_FOUND_NONE}")
    return tally.close()


def make_command(args):
    return [args.make, "--no-print-directory", "-k", *args.variables]


def clean_env():
    """Without the outer make's flags: its job server's pipes are closed here.  Its variables come as arguments."""
    return {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "GNUMAKEFLAGS")}


def tier_lint(args):
    tally = Tally("lint", args.build)
    checks = [(name, make_command(args) + [f"lint-{name}"]) for name in ("format", "tidy", "cppcheck", "state")]
    # check_state.py wants the object files, so make runs it.
    scripts = [path for path in sorted((TOP / "tests/lint").glob("check_*.py")) if path.stem != "check_state"]
    checks += [(path.stem.removeprefix("check_"), [PYTHON, str(path)]) for path in scripts]
    for name, command in checks:
        code, output = run(command, 600, clean_env())
        if code == 0:
            tally.passed += 1
            print(f"  LINT      {name}", flush=True)
        else:
            print(output.rstrip())
            tally.fail(f"lint {name}")
    return tally.close()


def tier_check(args):
    results = args.build / "results"
    results.mkdir(parents=True, exist_ok=True)
    rows = []
    for tier, target, limit in TIERS:
        print(f"\n==== {tier}", flush=True)
        file = results / f"{tier}.json"
        file.unlink(missing_ok=True)
        more = ["FUZZ_SECONDS=10"] if tier == "fuzz" else []
        start = time.monotonic()
        code, _ = run(make_command(args) + [target] + more, limit, clean_env(), capture=False)
        try:
            result = json.loads(file.read_text())
        except (OSError, ValueError):
            result = {"passed": 0, "failures": [], "skips": []}
        if code != 0 and not result["failures"]:
            why = "passed its time limit" if code is None else "did not build or broke off"
            result["failures"].append(f"{tier}: {why}")
        rows.append((tier, result, time.monotonic() - start))
    print("\n==== result")
    for tier, result, seconds in rows:
        skips = f", {len(result['skips'])} skipped" if result["skips"] else ""
        print(f"  {tier:6} {result['passed']:5} passed {len(result['failures']):5} failed{skips}  ({seconds:.0f} s)")
    for heading, key in (("Skipped:", "skips"), ("Failed:", "failures")):
        names = [name for _, result, _ in rows for name in result[key]]
        if names:
            print(heading)
            for name in names:
                print(f"  {name}")
    passed = sum(result["passed"] for _, result, _ in rows)
    failed = sum(len(result["failures"]) for _, result, _ in rows)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    commands = parser.add_subparsers(dest="command", required=True)
    unit = commands.add_parser("unit")
    unit.add_argument("programs", nargs="*")
    fuzz = commands.add_parser("fuzz")
    fuzz.add_argument("--seconds", type=int, default=60)
    fuzz.add_argument("programs", nargs="*")
    pytest = commands.add_parser("pytest")
    pytest.add_argument("--at-once", type=int, default=1)
    pytest.add_argument("name")
    pytest.add_argument("folder")
    pytest.add_argument("more", nargs=argparse.REMAINDER)
    for name in ("lint", "check"):
        sub = commands.add_parser(name)
        sub.add_argument("--make", default="make")
        sub.add_argument("variables", nargs="*", help="NAME=VALUE for make")
    args = parser.parse_args()
    args.build = args.build.resolve()
    return {"unit": tier_unit, "fuzz": tier_fuzz, "pytest": tier_pytest, "lint": tier_lint, "check": tier_check}[args.command](args)


if __name__ == "__main__":
    sys.exit(main())
