#!/usr/bin/env python3
"""Malformed and invalid files on the command line: where and what is wrong, exit code 1, nothing left behind.

    hostile.py PROGRAM [CASE...]    as run.py

Of the official suite's modules a sample is taken, a different one each day; its seed is printed, and HOSTILE_SEED
repeats it. MAYFLY_TEST_FULL=1 takes all of them.
"""
import concurrent.futures
import datetime
import json
import os
import random
import re
import subprocess
import sys
import tempfile

import run
from run import FULL, ROOT, Skipped, check

SUITE = os.path.join(ROOT, "..", "shared", "conformance")
SAMPLE = 150
THREADS = max(2, os.cpu_count() or 1)


def commands():
    """Those that read a module and end."""
    listed = subprocess.run([run.PROGRAM, "help"], capture_output=True, text=True, check=True).stdout
    return [name for name in ("compile", "run", "inspect") if re.search(rf"^  {name} ", listed, re.M)]


def refused(command, file, output):
    """What is wrong with how `mayfly COMMAND FILE` refuses the file, or None; and where it saw the error."""
    options = {"compile": ["-o", output], "up": ["--listen", "127.0.0.1:0"]}.get(command, [])
    done = subprocess.run([run.PROGRAM, command, *options, file], stdin=subprocess.DEVNULL, capture_output=True, timeout=run.START_SECONDS)
    errors = done.stderr.decode(errors="replace")
    if done.returncode != 1 or done.stdout:
        return f"exit code {done.returncode}, output {done.stdout!r:.80}, errors {errors!r:.300}", None
    match = re.fullmatch(rf"error: {re.escape(file)}: offset 0x([0-9a-f]+): [^\n]+\n(?:[^\n]+\n)?", errors)
    if not match:
        return f"no place of the error in {errors!r:.300}", None
    if int(match.group(1), 16) > os.path.getsize(file):
        return f"an offset behind the end in {errors!r:.300}", None
    if os.path.exists(output):
        return "a file is left", None
    return None, int(match.group(1), 16)


def expect_refused(files):
    """Every command refuses all of the files."""
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        jobs = [(command, file, pool.submit(refused, command, file, os.path.join(folder, f"{number}.image")))
                for number, file in enumerate(files) for command in commands()]
        wrong = [f"{command} {os.path.basename(file)}: {job.result()[0]}" for command, file, job in jobs
                 if job.result()[0]]
    check(not wrong, f"{len(wrong)} of {len(jobs)}: " + "; ".join(wrong[:5]))
    print(f"  {len(jobs)} refused by {', '.join(commands())}")


def suite(folder, kind):
    """Files of the official suite that are asserted to be malformed or invalid."""
    root = os.path.join(SUITE, folder)
    files = []
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else ():
        if not name.endswith(".json"):
            continue
        with open(os.path.join(root, name), encoding="utf-8") as script:
            rows = json.load(script)["commands"]
        files += [os.path.join(root, row["filename"]) for row in rows
                  if row["type"] == kind and row["filename"].endswith(".wasm")]
    if not os.path.isdir(root):
        raise Skipped(f"there is no ../shared/conformance/{folder} beside this checkout")
    return files


def expect_suite_refused(kind):
    files = suite("core", kind)
    if not FULL:
        seed = int(os.environ.get("HOSTILE_SEED", datetime.date.today().toordinal()))
        print(f"  HOSTILE_SEED={seed}: {SAMPLE} of {len(files)} modules")
        files = random.Random(seed).sample(files, SAMPLE)
    expect_refused(files)


def case_malformed_components():
    """Components that the official suite asserts to be malformed or invalid."""
    files = [file for folder in ("binary", "linking", "resources", "validation", "values")
             for kind in ("assert_malformed", "assert_invalid")
             for file in suite(os.path.join("component", folder), kind)]
    expect_refused(files if FULL else files[::7])


def case_malformed():
    """Modules that the official suite asserts to be malformed."""
    expect_suite_refused("assert_malformed")


def case_invalid():
    """Modules that the official suite asserts to be invalid."""
    expect_suite_refused("assert_invalid")


def section(number, body):
    assert len(body) < 128
    return bytes([number, len(body)]) + bytes(body)


HEADER = b"\0asm\1\0\0\0"
COMPONENT = b"\0asm\x0d\0\1\0"
FUNCTION = HEADER + section(1, b"\1\x60\0\0") + section(3, b"\1\0")
OPERAND = FUNCTION + section(10, b"\1\4\0\x45\x1a\x0b")

# What is wrong, the file, and where: None for somewhere.
FIXTURES = {
    "empty": (b"", 0),
    "text": (b"(module)", 0),
    "script": (b"#!/bin/sh\n", 0),
    "half a header": (b"\0asm\1", 4),
    "version": (b"\0asm\2\0\0\0", 4),
    "section id": (HEADER + b"\x63\0", 8),
    "section length": (HEADER + b"\1\x7f\0", 10),
    "section order": (HEADER + section(3, b"\0") + section(1, b"\0"), 11),
    "type": (HEADER + section(1, b"\1\x40"), 11),
    "name": (HEADER + section(7, b"\1\1\xff\0\0"), 12),
    "number": (HEADER + section(1, b"\x80\x80\x80\x80\x80\0"), 15),
    "no code": (FUNCTION, len(FUNCTION)),
    "instruction": (FUNCTION + section(10, b"\1\3\0\xff\x0b"), len(FUNCTION) + 5),
    "operand": (OPERAND, len(FUNCTION) + 5),
    "local": (FUNCTION + section(10, b"\1\5\0\x20\1\x1a\x0b"), None),
    "no end": (FUNCTION + section(10, b"\1\3\0\1\1"), None),
    "export": (HEADER + section(7, b"\1\1f\0\0"), None),
    "export twice": (FUNCTION + section(7, b"\2\1f\0\0\1f\0\0") + section(10, b"\1\2\0\x0b"), None),
    "memory": (HEADER + section(5, b"\1\1\2\1"), None),
    "start": (HEADER + section(8, b"\0"), None),
    "locals": (FUNCTION + section(10, b"\1\x08\1\xff\xff\xff\xff\x0f\x7f\x0b"), None),
    "component section": (COMPONENT + b"\x63\0", None),
    "component length": (COMPONENT + b"\7\x7f\0", None),
    "component version": (b"\0asm\x0e\0\1\0", None),
    "module in a component": (COMPONENT + section(1, HEADER + b"\x63\0"), 18),
    "operand in a module without instances": (COMPONENT + section(1, OPERAND), 10 + len(FUNCTION) + 5),
    "operand in an instance": (COMPONENT + section(1, OPERAND) + section(2, b"\1\0\0\0"), 10 + len(FUNCTION) + 5),
    "operand behind an import that nobody has": (
        HEADER + section(1, b"\1\x60\0\0") + section(2, b"\1\1m\1g\3\x7f\0") + section(3, b"\1\0") +
        section(10, b"\1\4\0\x45\x1a\x0b"), 33),
}


def case_malformed_own():
    """One file for each way to be wrong; the offset is that of what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        for name, (data, offset) in FIXTURES.items():
            file = os.path.join(folder, name + ".wasm")
            with open(file, "wb") as out:
                out.write(data)
            for command in [*commands(), "up"]:
                wrong, place = refused(command, file, os.path.join(folder, "image"))
                check(not wrong, f"{command}, {name}: {wrong}")
                check(offset in (None, place), f"{command}, {name}: offset {offset}, not {place}")
        print(f"  {len(FIXTURES)} files")


def section_ends(data):
    """Where a file may be cut and be a whole one."""
    ends, at = set(), 8
    while at < len(data):
        ends.add(at)
        size, shift, more = 0, 0, True
        while more:
            at += 1
            more = data[at] >= 128
            size |= (data[at] & 127) << shift
            shift += 7
        at += 1 + size
    return ends


def case_malformed_truncated():
    """Programs that were cut off: components and a module."""
    generator = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for path in ("examples/hello-c/hello.wasm", "examples/hello-rust/hello.wasm", "tests/e2e/guests/process.wasm"):
            with open(os.path.join(ROOT, path), "rb") as program:
                data = program.read()
            sizes = [*range(8), *(generator.randrange(9, len(data) // 2) for _ in range(200 if FULL else 12))]
            for size in sorted(set(sizes) - section_ends(data)):
                files.append(os.path.join(folder, f"{len(files)}-{size}.wasm"))
                with open(files[-1], "wb") as out:
                    out.write(data[:size])
        expect_refused(files)


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
