#!/usr/bin/env python3
"""Start and teardown of a fresh instance, as the server itself measures it under load, and what a long run leaves.

A client sends a million requests over keep-alive connections and compares every byte of every answer. Before and
after, the server's page faults, resident memory and descriptors are read; at the end its own statistics of instance
starts (`mayfly up --stats` logs `start-stats: {...}` when it ends).

Before that, whole processes: `mayfly run` of a command that prints a line, against /bin/true, in turns.

    start.py [--requests N] [--connections N] [--pairs N] [--go N]

--go: only N requests of Go, whose runtime starts for each, without and with --snapshot (compiled by --tier fast).
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import peers

SHARED = os.path.join(os.path.dirname(peers.ROOT), "shared", "components")
# Name, file, and the answer: a prefix of the path, or the whole body when it ends in a newline.
COMPONENTS = (("hello-c", peers.example("hello-c"), "Hello from C! You asked for "),
              ("hello-rust", peers.example("hello-rust"), "Hello from Rust! You asked for "),
              ("shared hello-c", os.path.join(SHARED, "hello-c.wasm"), "Hello, world!\n"),
              ("shared hello-rust", os.path.join(SHARED, "hello-rust.wasm"), "Hello, world!\n"))
GO = os.path.join(SHARED, "hello-go.wasm")
MEMORY_CALLS = ("mmap", "munmap", "mprotect", "madvise", "mremap", "brk")


def client(port, requests, connections, prefix):
    done = subprocess.run(["taskset", "-c", peers.CLIENT_CORE, os.path.join(peers.BUILD, "bench-million"), str(port),
                           str(requests), str(connections), prefix], capture_output=True, text=True)
    return json.loads(done.stdout)


def system_calls(peer, prefix, options):
    """Counts by name over some requests, from strace; None where it is not installed."""
    if not shutil.which("strace"):
        return None
    with tempfile.NamedTemporaryFile(mode="r") as table:
        tracer = subprocess.Popen(["strace", "-c", "-f", "-o", table.name, "-p", str(peer.process.pid)],
                                  stderr=subprocess.PIPE, text=True)
        tracer.stderr.readline()  # says that it is attached
        done = client(peer.port, 20000, options.connections, prefix)["answered"]
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", table.read(), re.M)
    return {"requests": done, "calls": {name: int(count) for count, name in rows if name != "total"}}


def measure(name, file, prefix, options, *more):
    """One server with the C library's allocator counted: a warm-up, the long run, then a short one under strace."""
    counts = tempfile.NamedTemporaryFile()
    allocations = lambda: int.from_bytes(open(counts.name, "rb").read(8), "little")
    peer = peers.mayfly(name, file, "--stats", *more, environment={
        "LD_PRELOAD": os.path.join(peers.BUILD, "libcount-alloc.so"), "MAYFLY_COUNT_ALLOC": counts.name})
    try:
        client(peer.port, min(max(options.connections, 5000), options.requests), options.connections, prefix)
        before = {**peer.usage(), "allocations": allocations()}
        if not before["allocations"]:
            raise SystemExit("the allocator was not counted: is libcount-alloc.so built?")
        result = client(peer.port, options.requests, options.connections, prefix)
        after = {**peer.usage(), "allocations": allocations()}
        traced = system_calls(peer, prefix, options)
    finally:
        peer.stop()
    stats = {}
    for text in re.findall(r"start-stats: (\{.*\})", peer.errors()):
        stats.update(json.loads(text))
    return {"client": result, "before": before, "after": after, "stats": stats, "traced": traced}


def describe_calls(traced):
    if not traced:
        return [("system calls", "not counted: strace is not installed")]
    per = {name: count / traced["requests"] for name, count in traced["calls"].items()}
    memory = sum(traced["calls"].get(name, 0) for name in MEMORY_CALLS)
    common = ", ".join(f"{name} {share:.3f}" for name, share in sorted(per.items(), key=lambda x: -x[1]) if share > 1e-3)
    return [("system calls per request", common),
            (f"memory-mapping calls in {traced['requests']} requests", memory)]


def report(name, m, options):
    requests = m["client"]["answered"]
    change = lambda key: m["after"][key] - m["before"][key]
    rows = [(name, ""), ("answers compared", requests), ("wrong answers", m["client"]["wrong"]),
            ("lost connections", m["client"]["lost"]),
            ("requests per second", f"{requests / m['client']['seconds']:.0f}"),
            ("server CPU per request, us", f"{change('cpu_us') / requests:.2f}"),
            ("page faults in all", change("faults")),
            ("calls of the allocator in all", change("allocations")),
            *describe_calls(m["traced"]),
            ("resident memory before, after, KiB", f"{m['before']['rss_kib']}, {m['after']['rss_kib']}"),
            ("descriptors before, after", f"{m['before']['fds']}, {m['after']['fds']}")]
    rows += [(f"server: {key}", value) for key, value in m["stats"].items()]
    if not m["stats"]:
        rows.append(("server: start-stats", "none in the log"))
    peers.table(rows)
    print()


def whole_processes(pairs):
    """A file that no cache knows and one that it knows, from spawning to the end of the process."""
    guest = os.path.join(peers.ROOT, "tests", "e2e", "guests", "process.wasm")
    program, whole = (os.path.join(peers.BUILD, name) for name in ("mayfly", "bench-whole"))
    command = [program, "run", "--tier", "fast", guest, "args", "hello"]
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        for name, empty in (("unknown", ["--empty", cache]), ("cached", [])):
            done = subprocess.run([whole, str(pairs), *empty, "/bin/true", "--", *command], env=environment,
                                  capture_output=True, text=True, check=True)
            rows += [("/bin/true", done.stdout.splitlines()[0][2:]),
                     (f"{name} hello, --tier fast, whole process", done.stdout.splitlines()[1][2:])]
    peers.table(rows)
    print()


def go(options):
    """0 unless an answer was wrong."""
    wrong = 0
    options.requests = options.go
    for name, more in (("hello-go", ()), ("hello-go --snapshot", ("--snapshot",))):
        result = measure(name, GO, "Hello, world!\n", options, "--tier", "fast", *more)
        report(name, result, options)
        wrong += result["client"]["wrong"] + result["client"]["lost"]
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=int(os.environ.get("REQUESTS", 1000000)))
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--go", type=int)
    options = parser.parse_args()
    print(f"{peers.machine()}; server on core {peers.SERVER_CORE}, client on core {peers.CLIENT_CORE}, "
          f"{options.connections} connections\n")
    if options.go:
        return 1 if go(options) else 0
    whole_processes(options.pairs)
    wrong = 0
    for name, file, prefix in COMPONENTS:
        if not os.path.exists(file):
            print(f"skipped: {name}, there is no ../shared beside this checkout\n")
            continue
        result = measure(name, file, prefix, options)
        report(name, result, options)
        wrong += result["client"]["wrong"] + result["client"]["lost"]
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
