#!/usr/bin/env python3
"""How soon `mayfly up` answers: from spawning the process to the first byte of the answer to one request.

Unknown: with an empty cache, so the file is compiled first. Known: with the image that this left, which a process puts
there behind the first answer. The median of empty caches, and of three starts behind each; nothing else of the process
is kept between them. With --against both programs take turns, and medians of ratios are what to read on a busy machine.

    first.py [--tier auto|fast|best] [--rounds N] [--program FILE [--against FILE]] [--phases] FILE...

Without FILE: the components beside the project and in examples/. --phases prints one start of each part by part, as
--log-level debug tells it.
"""
import argparse
import glob
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def wait_for_image(cache):
    """Until there is one and no other is on its way."""
    for _ in range(3000):
        names = os.listdir(os.path.join(cache, "mayfly")) if os.path.isdir(os.path.join(cache, "mayfly")) else []
        if any(name.endswith(".image") for name in names):
            return
        time.sleep(0.01)
    sys.exit("nothing came into the cache")


def first_answer(program, file, options, cache, log=subprocess.DEVNULL):
    more = ["--log-level", "debug"] if options.phases else []
    began = time.monotonic()
    server = subprocess.Popen([program, "up", "--tier", options.tier, "--listen", "127.0.0.1:0", *more, file],
                              stdout=subprocess.PIPE, stderr=log, env=os.environ | {"XDG_CACHE_HOME": cache})
    try:
        line = server.stdout.readline().decode()
        if ":" not in line:
            sys.exit(f"{file} is not served")
        served = time.monotonic() - began
        with socket.create_connection(("127.0.0.1", int(line.rsplit(":", 1)[1]))) as client:
            client.sendall(REQUEST)
            answer = client.recv(65536)
            took = time.monotonic() - began
        if not answer.startswith(b"HTTP/1.1 "):
            sys.exit(f"{file} did not answer, but {answer[:100]!r}")
        wait_for_image(cache)
        return took * 1000, served * 1000
    finally:
        server.terminate()
        server.wait()


def round_of(program, file, options):
    """Milliseconds: one unknown start, three known ones."""
    with tempfile.TemporaryDirectory() as cache:
        unknown = first_answer(program, file, options, cache)[0]
        return unknown, [first_answer(program, file, options, cache)[0] for _ in range(3)]


def phases(program, file, options):
    with tempfile.TemporaryDirectory() as cache:
        for name in ("unknown", "known"):
            with tempfile.TemporaryFile(mode="w+", errors="replace") as log:
                took, served = first_answer(program, file, options, cache, log)
                log.seek(0)
                rows = re.findall(r"start, at ([\d.]+) ms: (.*), ([\d.]+) ms \(process (\d+)\)", log.read())
            print(f"  {name}: serving after {served:.1f} ms, answered after {took:.1f} ms")
            for at, what, part, process in sorted(rows, key=lambda row: float(row[0])):
                print(f"    {at:>8} ms  {part:>8} ms  {what} (process {process})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tier", choices=("auto", "fast", "best"), default="fast")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--program", default=os.path.join(ROOT, "build", "mayfly"))
    parser.add_argument("--against")
    parser.add_argument("--phases", action="store_true")
    parser.add_argument("files", nargs="*", metavar="FILE")
    options = parser.parse_args()
    files = options.files or sorted(glob.glob(os.path.join(ROOT, "..", "shared", "components", "*.wasm")) +
                                    glob.glob(os.path.join(ROOT, "examples", "*", "*.wasm")))
    programs = [options.program] + ([options.against] if options.against else [])
    names = ["/".join(os.path.abspath(file).split(os.sep)[-2:]) for file in files]
    width = max(map(len, names))
    if not options.phases:
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        print(f"{'':{width}}    MB  unknown ms  known ms" + ("  against: unknown  known   ratios" * (len(programs) - 1)))
    for name, file in zip(names, files):
        if options.phases:
            print(name)
            phases(options.program, file, options)
            continue
        rounds = [[round_of(program, file, options) for program in programs] for _ in range(options.rounds)]
        cells = f"{name:{width}} {os.path.getsize(file) / 1e6:5.1f}"
        for i in range(len(programs)):
            cells += (f" {statistics.median(row[i][0] for row in rounds):11.1f}"
                      f" {statistics.median(known for row in rounds for known in row[i][1]):9.1f}" + " " * 6 * (i == 0))
        if options.against:
            cells += (f"     {statistics.median(one[0] / other[0] for one, other in rounds):.2f} "
                      f"{statistics.median(statistics.median(one[1]) / statistics.median(other[1]) for one, other in rounds):.2f}")
        print(cells.rstrip(), flush=True)


if __name__ == "__main__":
    main()
