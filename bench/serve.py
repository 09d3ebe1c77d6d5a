#!/usr/bin/env python3
"""Hello over HTTP: mayfly, a fresh instance for every request, beside servers that start nothing.

Every server is pinned to one core, wrk (one thread) to another; rounds alternate between the servers, so that what
else the machine does hits all of them alike. The number to read is the server's CPU time per request, user and
system, over all its processes: wrk's one thread is full before a fast server is, and then the rate says more about
wrk. Medians over the rounds; ratios to nginx of the same run.

    serve.py [--rounds N] [--seconds N] [--connections N] [--tier TIER] [--no-wasmtime] [FILE...]
                            FILE: further components, mayfly beside wasmtime; TIER: mayfly's for them (best)
    serve.py --loops ...    mayfly's event loops only, both asked at the same time on the same core, so that they share
                            what disturbs them: the ratio of each round to epoll's
"""
import argparse
import concurrent.futures
import os
import re
import statistics
import subprocess
import tempfile

import peers

BODY = "Hello from C! You asked for /\n"


TELL = """done = function(summary, latency)
    io.write(string.format("quantiles %d %d %d", latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""


def wrk(port, seconds, connections, pinned=True):
    """`pinned`: to the client's core. "failed": answers that are errors, and what went wrong with sockets."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(TELL)
        script.flush()
        where = ["taskset", "-c", peers.CLIENT_CORE] if pinned else []
        out = subprocess.run([*where, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
                              script.name, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        print(out)
    take = lambda pattern: re.search(pattern, out).group(1)
    p50, p99, p999 = map(int, re.search(r"quantiles (\d+) (\d+) (\d+)", out).groups())
    failed = sum(map(int, re.findall(r"(?:connect|read|write|timeout|Non-2xx or 3xx responses:) (\d+)", out)))
    return {"failed": failed, "requests": int(take(r"(\d+) requests in")), "rate": float(take(r"Requests/sec:\s+([\d.]+)")), "p50": p50,
            "p99": p99, "p999": p999}


def measure(peer, options):
    before = peer.usage()
    result = wrk(peer.port, options.seconds, options.connections)
    after = peer.usage()
    result["cpu"] = (after["cpu_us"] - before["cpu_us"]) / result["requests"]
    result["faults"] = (after["faults"] - before["faults"]) / result["requests"]
    return result


def start(options):
    if options.loops:
        for io in "epoll", "uring":
            yield peers.mayfly(io, peers.example("hello-c"), "--io", io)
        return
    yield peers.floor(BODY)
    yield peers.nginx(BODY)
    yield peers.workerd(BODY)
    yield peers.mayfly("mayfly hello-c", peers.example("hello-c"))
    yield peers.mayfly("mayfly hello-rust", peers.example("hello-rust"))
    if options.wasmtime:
        yield peers.wasmtime("wasmtime hello-c", peers.example("hello-c"))
        yield peers.wasmtime("wasmtime hello-rust", peers.example("hello-rust"))
    for file in options.files:
        name = os.path.basename(file).removesuffix(".wasm")
        yield peers.mayfly(f"mayfly {name}", file, "--tier", options.tier)
        if options.wasmtime:
            yield peers.wasmtime(f"wasmtime {name}", file)


def report_loops(results):
    rows = [("event loop", "req/s", "CPU us/req", "CPU : epoll, quartiles")]
    for name, rounds in results.items():
        ratios = [r["cpu"] / e["cpu"] for r, e in zip(rounds, results["epoll"])]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows.append((name, f"{statistics.median(r['rate'] for r in rounds):.0f}",
                     f"{statistics.median(r['cpu'] for r in rounds):.2f}", f"{middle:.3f} ({low:.3f} to {high:.3f})"))
    peers.table(rows)


def report(running, results, options):
    median = {p.name: {k: statistics.median(r[k] for r in results[p.name]) for k in results[p.name][0]}
              for p in running}
    base = median.get("nginx")
    rows = [("server", "req/s", "CPU us/req", "p50 us", "p99 us", "p99.9 us", "faults/req", "req/s : nginx", "CPU : nginx",
             "CPU : wasmtime")]
    for peer in running:
        m = median[peer.name]
        ratios = (f"{m['rate'] / base['rate']:.2f}", f"{m['cpu'] / base['cpu']:.2f}") if base else ("-", "-")
        other = median.get(peer.name.replace("mayfly", "wasmtime")) if peer.name.startswith("mayfly") else None
        rows.append((peer.name, f"{m['rate']:.0f}", f"{m['cpu']:.2f}", f"{m['p50']:.0f}", f"{m['p99']:.0f}",
                     f"{m['p999']:.0f}", f"{m['faults']:.3f}", *ratios, f"{m['cpu'] / other['cpu']:.3f}" if other else "-"))
    peers.table(rows)
    print(f"\n{peers.machine()}; server on core {peers.SERVER_CORE}, wrk -t1 -c{options.connections} on core "
          f"{peers.CLIENT_CORE}; median of {options.rounds} alternating rounds of {options.seconds} s")
    for peer in running:
        body, head = peer.answer
        print(f"  {peer.name}: {peer.version or 'this tree'}; {peer.options}; answer of {body} bytes, head of {head}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", 5)))
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("SECONDS_EACH", 3)))
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--tier", choices=("fast", "best"), default="best")
    parser.add_argument("--loops", action="store_true")
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--no-wasmtime", dest="wasmtime", action="store_false")
    options = parser.parse_args()
    peers.needs("wrk")
    running, results = [], {}
    try:
        for peer in start(options):
            if peer:
                running.append(peer)
                wrk(peer.port, 1, options.connections)
        if options.wasmtime and not options.loops and not any("wasmtime" in p.name for p in running):
            print("skipped: wasmtime is not installed")
        for _ in range(options.rounds if options.loops else 0):
            with concurrent.futures.ThreadPoolExecutor() as pool:
                for peer, result in zip(running, pool.map(lambda peer: measure(peer, options), running)):
                    results.setdefault(peer.name, []).append(result)
        for _ in range(0 if options.loops else options.rounds):
            for peer in running:
                results.setdefault(peer.name, []).append(measure(peer, options))
        report_loops(results) if options.loops else report(running, results, options)
    finally:
        for peer in running:
            peer.stop()


if __name__ == "__main__":
    main()
