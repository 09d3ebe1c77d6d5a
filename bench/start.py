#!/usr/bin/env python3
"""Start and teardown of a fresh instance, as the server itself measures it under load, and what a long run leaves.

For each handler a client sends requests over keep-alive connections and compares every byte of every answer with what
the first ones were. Before and after, the server's page faults, calls of the allocator, resident memory and descriptors
are read; at the end its own statistics of instance starts (`mayfly up --stats` logs `start-stats: {...}` when it ends).

Before that, whole processes: `mayfly run` of a command that prints a line, against /bin/true, in turns.

    start.py [--requests N] [--seconds S] [--connections N] [--pairs N] [--tier fast|best] [FILE|FOLDER]...
    start.py --counts ...    only what processes do per request: faults, system calls, allocations (100,000 requests)
    start.py --go N          only N requests of Go, whose runtime starts for each, without and with --snapshot

Without FILE: hello-c and hello-rust of examples/, and all that is in ../shared/components. No handler is asked for longer
than S seconds. Without --tier: best for what is below 1 MB, and fast for the rest.
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import peers

SHARED = os.path.join(os.path.dirname(peers.ROOT), "shared", "components")
GO = os.path.join(SHARED, "hello-go.wasm")
MEMORY_CALLS = ("mmap", "munmap", "mprotect", "madvise", "mremap", "brk")
LOOP_CALLS = ("recvfrom", "sendto", "epoll_pwait2")
LARGE = 1 << 20


def client(port, requests, connections, prefix):
    done = subprocess.run(["taskset", "-c", peers.CLIENT_CORE, os.path.join(peers.BUILD, "bench-million"), str(port),
                           str(requests), str(connections), prefix], capture_output=True, text=True)
    return json.loads(done.stdout)


def expectation(port):
    """What bench-million is to compare with, from first answers: with a path that is repeated, or without."""
    def ask(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.read().decode()
    one, other = ask("/17"), ask("/18")
    if one.endswith("/17\n") and other == one[:-4] + "/18\n":
        return one[:-4]
    return "=" + ask("/")


def system_calls(peer, prefix, requests, options):
    """Counts by name over some requests of all processes of the server, from strace; None where it is not installed."""
    if not shutil.which("strace"):
        return None
    processes = [option for pid in peers.tree(peer.process.pid) for option in ("-p", str(pid))]
    with tempfile.NamedTemporaryFile(mode="r") as table:
        tracer = subprocess.Popen(["strace", "-c", "-f", "-o", table.name, *processes], stderr=subprocess.PIPE,
                                  text=True)
        for _ in processes[::2]:
            tracer.stderr.readline()  # says that it is attached
        done = client(peer.port, requests, options.connections, prefix)["answered"]
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
        rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", table.read(), re.M)
    return {"requests": done, "calls": {name: int(count) for count, name in rows if name != "total"}}


def wait_for_builder(peer):
    """Until the image is kept: a process that ends takes its counts with it."""
    for _ in range(600):
        if len(peers.tree(peer.process.pid)) <= 2:
            return
        time.sleep(0.1)


def measure(name, file, options, *more):
    """One server with the C library's allocator counted: a warm-up, the long run, then one under strace."""
    counts = tempfile.NamedTemporaryFile()
    allocations = lambda: int.from_bytes(open(counts.name, "rb").read(8), "little")
    peer = peers.mayfly(name, file, "--stats", *more, environment={
        "LD_PRELOAD": os.path.join(peers.BUILD, "libcount-alloc.so"), "MAYFLY_COUNT_ALLOC": counts.name})
    try:
        prefix = expectation(peer.port)
        few = max(options.connections, 200)
        client(peer.port, few, options.connections, prefix)
        rate = few / client(peer.port, few, options.connections, prefix)["seconds"]
        requests = max(few, int(min(options.requests, rate * options.seconds)))
        client(peer.port, min(max(options.connections, 5000), requests), options.connections, prefix)
        wait_for_builder(peer)
        before = {**peer.usage(), "allocations": allocations()}
        if not before["allocations"]:
            raise SystemExit("the allocator was not counted: is libcount-alloc.so built?")
        result = client(peer.port, requests, options.connections, prefix)
        after = {**peer.usage(), "allocations": allocations()}
        traced = system_calls(peer, prefix, min(requests, options.traced), options) if options.traced else None
        processes = len(peers.tree(peer.process.pid))
    finally:
        peer.stop()
    stats = {}
    for text in re.findall(r"start-stats: (\{.*\})", peer.errors()):
        stats.update(json.loads(text))
    return {"client": result, "before": before, "after": after, "stats": stats, "traced": traced,
            "processes": processes, "change": {key: after[key] - before[key] for key in before}}


def describe_calls(traced):
    if not traced:
        return [("system calls", "not counted: strace is not installed")]
    per = {name: count / traced["requests"] for name, count in traced["calls"].items()}
    memory = sum(traced["calls"].get(name, 0) for name in MEMORY_CALLS)
    common = ", ".join(f"{name} {share:.3f}" for name, share in sorted(per.items(), key=lambda x: -x[1]) if share > 1e-3)
    return [("system calls per request", common),
            (f"memory-mapping calls in {traced['requests']} requests", memory)]


def report(name, m):
    requests = m["client"]["answered"]
    rows = [(name, ""), ("answers compared", requests), ("wrong answers", m["client"]["wrong"]),
            ("lost connections", m["client"]["lost"]),
            ("requests per second", f"{requests / m['client']['seconds']:.0f}"),
            ("server CPU per request, us", f"{m['change']['cpu_us'] / requests:.2f}"),
            ("page faults in all", m["change"]["faults"]),
            ("calls of the allocator in all", m["change"]["allocations"]),
            *describe_calls(m["traced"]),
            ("resident memory before, after, KiB", f"{m['before']['rss_kib']}, {m['after']['rss_kib']}"),
            ("descriptors before, after", f"{m['before']['fds']}, {m['after']['fds']}")]
    rows += [(f"server: {key}", value) for key, value in m["stats"].items()]
    if not m["stats"]:
        rows.append(("server: start-stats", "none in the log"))
    peers.table(rows)
    print()


def start_row(name, tier, m):
    start, pages = m["stats"].get("start_ns", {}), m["stats"].get("pages_restored", {})
    requests = m["client"]["answered"]
    return (name, tier, requests, m["client"]["wrong"] + m["client"]["lost"], start.get("p50", "?"), start.get("p90", "?"),
            start.get("p99", "?"), pages.get("p50", "?"), pages.get("p99", "?"),
            f"{m['change']['cpu_us'] / requests:.2f}", m["change"]["faults"], m["change"]["allocations"],
            f"{m['before']['rss_kib']}, {m['after']['rss_kib']}")


START_HEAD = ("handler", "tier", "requests", "wrong", "p50 ns", "p90 ns", "p99 ns", "pages p50", "p99", "CPU us", "faults",
              "allocations", "KiB before, after")


def count_row(name, tier, m):
    """Per request: what is the loop's own is a column each, and the rest is one."""
    requests, traced = m["client"]["answered"], m["traced"]
    share = lambda count: f"{count / requests:.5f}" if count else "0"
    if not traced:
        return (name, tier, requests, m["processes"], share(m["change"]["faults"]), share(m["change"]["allocations"]),
                *("?" for _ in LOOP_CALLS), "no strace", "")
    of = lambda count: f"{count / traced['requests']:.3f}" if count else "0"
    others = {call: count for call, count in traced["calls"].items() if call not in LOOP_CALLS}
    return (name, tier, requests, m["processes"], share(m["change"]["faults"]), share(m["change"]["allocations"]),
            *(of(traced["calls"].get(call, 0)) for call in LOOP_CALLS), of(sum(others.values())),
            ", ".join(f"{call} {count}" for call, count in sorted(others.items(), key=lambda row: -row[1])[:4]))


COUNT_HEAD = ("per request", "tier", "requests", "processes", "faults", "allocations", *LOOP_CALLS, "other calls", "which")


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
        result = measure(name, GO, options, "--tier", "fast", *more)
        report(name, result)
        wrong += result["client"]["wrong"] + result["client"]["lost"]
    return wrong


def handlers(given):
    """Names and files."""
    if not given:
        given = [peers.example("hello-c"), peers.example("hello-rust"), *([SHARED] if os.path.isdir(SHARED) else [])]
        if len(given) == 2:
            print("there is no ../shared beside this checkout: examples only\n")
    files = [file for path in given
             for file in (sorted(glob.glob(os.path.join(path, "*.wasm"))) if os.path.isdir(path) else [path])]
    return [("/".join(os.path.abspath(file).split(os.sep)[-2:]), file) for file in files]


def table_of(options, head, row):
    wrong, rows = 0, [head]
    for name, file in handlers(options.files):
        tier = options.tier or ("best" if os.path.getsize(file) < LARGE else "fast")
        result = measure(name, file, options, "--tier", tier)
        rows.append(row(name, tier, result))
        wrong += result["client"]["wrong"] + result["client"]["lost"]
    peers.table(rows)
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=int(os.environ.get("REQUESTS", 0)))
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--tier", choices=("fast", "best"))
    parser.add_argument("--counts", action="store_true")
    parser.add_argument("--go", type=int)
    parser.add_argument("files", nargs="*", metavar="FILE")
    options = parser.parse_args()
    options.requests = options.requests or (100000 if options.counts else 1000000)
    options.traced = options.requests if options.counts else 20000 if options.go else 0
    print(f"{peers.machine()}; server on core {peers.SERVER_CORE}, client on core {peers.CLIENT_CORE}, "
          f"{options.connections} connections, load {os.getloadavg()[0]:.1f}\n")
    if options.go:
        return 1 if go(options) else 0
    if options.counts:
        return 1 if table_of(options, COUNT_HEAD, count_row) else 0
    whole_processes(options.pairs)
    return 1 if table_of(options, START_HEAD, start_row) else 0


if __name__ == "__main__":
    raise SystemExit(main())
