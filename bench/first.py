#!/usr/bin/env python3
"""How soon `mayfly up` answers: from spawning the process to the first byte of the answer to one request.

Unknown: with an empty cache, so the file is compiled first. Known: with the image that this left. The median of five
empty caches, and of three starts behind each; nothing else of the process is kept between them.

    first.py [--tier fast|best] FILE...    (the components beside the project and in examples/)
"""
import argparse
import glob
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAYFLY = os.path.join(ROOT, "build", "mayfly")
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def first_answer(file, tier, cache):
    began = time.monotonic()
    server = subprocess.Popen([MAYFLY, "up", "--tier", tier, "--listen", "127.0.0.1:0", file], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, env=os.environ | {"XDG_CACHE_HOME": cache})
    try:
        line = server.stdout.readline().decode()
        if ":" not in line:
            sys.exit(f"{file} is not served")
        with socket.create_connection(("127.0.0.1", int(line.rsplit(":", 1)[1]))) as client:
            client.sendall(REQUEST)
            answer = client.recv(65536)
            took = time.monotonic() - began
        if not answer.startswith(b"HTTP/1.1 "):
            sys.exit(f"{file} did not answer, but {answer[:100]!r}")
        return took
    finally:
        server.terminate()
        server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tier", choices=("fast", "best"), default="fast")
    parser.add_argument("files", nargs="*", metavar="FILE")
    options = parser.parse_args()
    files = options.files or sorted(glob.glob(os.path.join(ROOT, "..", "shared", "components", "*.wasm")) +
                                    glob.glob(os.path.join(ROOT, "examples", "*", "*.wasm")))
    names = ["/".join(os.path.abspath(file).split(os.sep)[-2:]) for file in files]
    width = max(map(len, names))
    print(f"{'':{width}}    MB  unknown ms  known ms")
    for name, file in zip(names, files):
        unknown, known = [], []
        for _ in range(5):
            with tempfile.TemporaryDirectory() as cache:
                unknown.append(first_answer(file, options.tier, cache))
                known += [first_answer(file, options.tier, cache) for _ in range(3)]
        print(f"{name:{width}} {os.path.getsize(file) / 1e6:5.1f} {statistics.median(unknown) * 1000:11.1f} "
              f"{statistics.median(known) * 1000:9.1f}", flush=True)


if __name__ == "__main__":
    main()
