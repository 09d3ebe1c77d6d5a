#!/usr/bin/env python3
"""Runs programs of the official WASI suite with `mayfly run`.

    run-wasi [-v] [-O LEVEL | --tier TIER | --mix SEED] [--under EMULATOR] [--adapter FILE] [--mayfly PROGRAM] DIR...

Every NAME.wasm of a folder is a test; NAME.json beside it may say `args`, `env`, `dirs`, `exit_code`, `stdout` and
`stderr`. The folders in `dirs` are granted as fresh copies, because tests write in them. Root may do what tests
expect to be refused, so root runs them as nobody. With --mix every program is made by both compilers, function by
function by chance (mix-image). With --adapter, wasi_snapshot_preview1.command.wasm of a toolchain, every program becomes
a component of WASI 0.2 first (wasm-tools), but for those below. Prints what failed, and at the end `N passed, N failed`.
"""
import argparse
import concurrent.futures
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

NOBODY = 65534
SECONDS = 300
# What the adapter of WASI 0.2.12 does not do, with wasmtime 49 neither: it has one exit code for failure, does not find
# room for arguments and variables beside AssemblyScript's allocator, and answers otherwise for a wrong descriptor.
NOT_ADAPTED = {"proc_exit-failure", "args_get-multiple-arguments", "environ_get-multiple-variables",
               "fd_write-to-invalid-fd"}


def arguments():
    parser = argparse.ArgumentParser(prog="run-wasi", description="the official WASI suite with `mayfly run`")
    parser.add_argument("-v", action="store_true", help="name every test")
    parser.add_argument("-O", default="0", help="optimization level (0)")
    parser.add_argument("--tier", help="fast or best, instead of a level")
    parser.add_argument("--under", metavar="EMULATOR", help="runs the program under test")
    parser.add_argument("--mix", metavar="SEED", help="both compilers, by chance")
    parser.add_argument("--adapter", metavar="FILE", help="makes components of the programs")
    parser.add_argument("--mayfly", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "mayfly"),
                        help="the program under test (build/mayfly)")
    parser.add_argument("folders", nargs="+", metavar="DIR")
    return parser.parse_args()


class Place:
    """A folder that the user of the tests owns, with the programs in it: the checkout may lie where only we can go."""

    def __init__(self, mayfly):
        self.folder = tempfile.mkdtemp(prefix="run-wasi-")
        self.user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        os.chmod(self.folder, 0o755)
        compilers = [os.path.join(os.path.dirname(mayfly), up, "mayfly-compiler") for up in (".", "..")]
        shutil.copy(mayfly, self.path("mayfly"))
        for compiler in list(filter(os.path.exists, compilers))[:1]:
            shutil.copy(compiler, self.path("mayfly-compiler"))
        os.mkdir(self.path("cache"))
        self.own("cache")

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def own(self, name):
        for folder, _, files in os.walk(self.path(name)):
            os.chmod(folder, 0o755)
            if self.user:
                os.chown(folder, NOBODY, NOBODY)
            for file in files:
                os.chmod(os.path.join(folder, file), 0o644)
                if self.user:
                    os.chown(os.path.join(folder, file), NOBODY, NOBODY)

    def close(self):
        shutil.rmtree(self.folder)


def difference(case, done):
    """What is not as the test says, or None."""
    want = case.get("exit_code", 0)
    if done.returncode != want:
        return f"exit code {done.returncode}, not {want}: {done.stderr.decode(errors='replace').strip()[-600:]}"
    for name in ("stdout", "stderr"):
        got = getattr(done, name).decode(errors="replace")
        if name in case and got != case[name]:
            return f"{name} {got!r:.200}, not {case[name]!r:.200}"
    return None


def mixed(place, seed, file, here):
    tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mix-image")
    subprocess.run([tool, seed, file, place.path(here, "guest.wasm")], check=True, timeout=SECONDS)


def adapt(place, adapter, file, here):
    subprocess.run(["wasm-tools", "component", "new", file, "--adapt", f"wasi_snapshot_preview1={adapter}",
                    "-o", place.path(here, "guest.wasm")], check=True, timeout=SECONDS)


def name_of(file):
    return os.path.basename(file)[:-5]


def run(place, number, file, options):
    described = file[:-5] + ".json"
    case = json.load(open(described)) if os.path.exists(described) else {}
    here = f"case-{number}"
    os.mkdir(place.path(here))
    if options.adapter:
        adapt(place, options.adapter, file, here)
    else:
        shutil.copy(file, place.path(here, "guest.wasm"))
    command = ([options.under] if options.under else []) + [place.path("mayfly"), "run"]
    if options.mix:
        mixed(place, options.mix, file, here)
    else:
        command += ["--tier", options.tier] if options.tier else ["-O" + options.O]
    for name in case.get("dirs", []):
        shutil.copytree(os.path.join(os.path.dirname(file), name), place.path(here, name), symlinks=True)
        os.makedirs(place.path(here, name, "writeable"), exist_ok=True)
        command += ["--dir", name]
    place.own(here)
    for name, value in case.get("env", {}).items():
        command += ["--env", f"{name}={value}"]
    done = subprocess.run(command + ["guest.wasm"] + case.get("args", []), cwd=place.path(here), timeout=SECONDS,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          env={**os.environ, "XDG_CACHE_HOME": place.path("cache")}, **place.user)
    return difference(case, done)


def report(file, future, verbose):
    name = os.path.join(os.path.basename(os.path.dirname(file)), name_of(file))
    try:
        wrong = future.result()
    except subprocess.TimeoutExpired:
        wrong = f"still running after {SECONDS} s"
    if wrong:
        print(f"FAILED {name}: {wrong}")
    elif verbose:
        print(f"passed {name}")
    return wrong is None


def main():
    options = arguments()
    files = [file for folder in options.folders for file in sorted(glob.glob(os.path.join(folder, "*.wasm")))]
    if options.adapter:
        files = [file for file in files if name_of(file) not in NOT_ADAPTED]
    if not any(os.path.isdir(folder) for folder in options.folders):
        print("skipped: there is no " + " ".join(options.folders))
        return 77
    place = Place(options.mayfly)
    try:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            futures = [pool.submit(run, place, number, file, options) for number, file in enumerate(files)]
            passed = sum([report(file, future, options.v) for file, future in zip(files, futures)])
    finally:
        place.close()
    print(f"{passed} passed, {len(files) - passed} failed")
    return 0 if files and passed == len(files) else 1


if __name__ == "__main__":
    sys.exit(main())
