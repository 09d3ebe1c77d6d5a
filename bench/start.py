#!/usr/bin/env python3
"""Start and teardown of a fresh instance, as the server itself measures it under load, and what a long run leaves.

A client sends a million requests over keep-alive connections and compares every byte of every answer. Before and
after, the server's page faults, resident memory and descriptors are read; at the end its own statistics of instance
starts (`mayfly up --stats` logs `start-stats: {...}` when it ends).

    start.py [--requests N] [--connections N]
"""
import argparse
import json
import os
import re
import subprocess

import peers

COMPONENTS = (("hello-c", "Hello from C! You asked for "), ("hello-rust", "Hello from Rust! You asked for "))


def client(port, requests, connections, prefix):
    done = subprocess.run(["taskset", "-c", peers.CLIENT_CORE, os.path.join(peers.BUILD, "bench-million"), str(port),
                           str(requests), str(connections), prefix], capture_output=True, text=True)
    return json.loads(done.stdout)


def measure(name, prefix, options):
    peer = peers.mayfly(name, peers.example(name), "--stats")
    try:
        client(peer.port, max(options.connections, 5000), options.connections, prefix)
        before = peer.usage()
        result = client(peer.port, options.requests, options.connections, prefix)
        after = peer.usage()
    finally:
        peer.stop()
    stats = {}
    for text in re.findall(r"start-stats: (\{.*\})", peer.errors()):
        stats.update(json.loads(text))
    return {"client": result, "before": before, "after": after, "stats": stats}


def report(name, m, options):
    requests = m["client"]["answered"]
    change = lambda key: m["after"][key] - m["before"][key]
    rows = [(name, ""), ("answers compared", requests), ("wrong answers", m["client"]["wrong"]),
            ("lost connections", m["client"]["lost"]),
            ("requests per second", f"{requests / m['client']['seconds']:.0f}"),
            ("server CPU per request, us", f"{change('cpu_us') / requests:.2f}"),
            ("page faults per request", f"{change('faults') / requests:.6f}"),
            ("resident memory before, after, KiB", f"{m['before']['rss_kib']}, {m['after']['rss_kib']}"),
            ("descriptors before, after", f"{m['before']['fds']}, {m['after']['fds']}")]
    rows += [(f"server: {key}", value) for key, value in m["stats"].items()]
    if not m["stats"]:
        rows.append(("server: start-stats", "none in the log"))
    peers.table(rows)
    print()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=int(os.environ.get("REQUESTS", 1000000)))
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    print(f"{peers.machine()}; server on core {peers.SERVER_CORE}, client on core {peers.CLIENT_CORE}, "
          f"{options.connections} connections\n")
    wrong = 0
    for name, prefix in COMPONENTS:
        result = measure(name, prefix, options)
        report(name, result, options)
        wrong += result["client"]["wrong"] + result["client"]["lost"]
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
