#!/usr/bin/env python3
"""Many functions in one worker: hello behind 1, 2, ... routes of an application, asked for in turn.

Each function has a copy of the file of its own, so that nothing of it is another's: code, template, slots; the fast compiler makes them. One worker on
one core, wrk (one thread) on another, rounds alternate between the servers. The ratio is that of the rate for the same
processor time: of the first row to this one. Memory is what all its processes
have resident when all functions were asked for.

    many.py [--counts 1,2,1000] [--rounds N] [--seconds N] [--connections N] [--same] [FILE]
                            --same: all functions are of one file, whose image they share
"""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time

import peers

SCRIPT = """local at = 0
request = function()
    at = (at + 1) %% %d
    return wrk.format("GET", "/f" .. at)
end
"""


def application(folder, file, count, same):
    with open(f"{folder}/spin.toml", "w") as manifest:
        manifest.write('spin_manifest_version = 2\n[application]\nname = "many"\n')
        for i in range(count):
            if i == 0 or not same:
                shutil.copy(file, f"{folder}/{i}.wasm")
                with open(f"{folder}/{i}.wasm", "ab") as copy: # a custom section, so that the image is another one
                    name = f"n{i}".encode()
                    copy.write(bytes((0, len(name) + 1, len(name))) + name)
            manifest.write(f'[[trigger.http]]\nroute = "/f{i}"\ncomponent = "f{i}x"\n[component.f{i}x]\nsource = "{0 if same else i}.wasm"\n')


def drive(port, count, seconds, connections):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % count)
        script.flush()
        out = subprocess.run(["taskset", "-c", peers.CLIENT_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
                              script.name, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        print(out)
    return int(re.search(r"(\d+) requests in", out).group(1)), float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


def serve(file, count, same):
    folder = tempfile.mkdtemp()
    application(folder, file, count, same)
    environment = {"XDG_CACHE_HOME": f"{folder}/cache"}
    command = [os.path.join(peers.BUILD, "mayfly"), "up", folder, "--listen", "127.0.0.1:0", "--quiet", "--workers", "1", "--tier", "fast"]
    peer = peers.Peer(f"{count} functions", command, cwd=folder, environment=environment)
    drive(peer.port, count, 2, 32)
    while len(peers.tree(peer.process.pid)) > 3: # until the builder has kept the images
        time.sleep(0.1)
    return peer


def measure(peer, count, options):
    before = peer.usage()
    requests, rate = drive(peer.port, count, options.seconds, options.connections)
    after = peer.usage()
    return {"cpu": (after["cpu_us"] - before["cpu_us"]) / requests, "rate": rate, "rss": after["rss_kib"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", default="1,2,1000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--same", action="store_true")
    parser.add_argument("file", nargs="?", default=peers.example("hello-c"))
    options = parser.parse_args()
    peers.needs("wrk")
    counts = [int(count) for count in options.counts.split(",")]
    servers = {count: serve(options.file, count, options.same) for count in counts}
    results = {count: [] for count in counts}
    try:
        for _ in range(options.rounds):
            for count, peer in servers.items():
                results[count].append(measure(peer, count, options))
    finally:
        for peer in servers.values():
            peer.stop()
    print(f"{'functions':>9} {'CPU us/req':>10} {'ratio of rates, quartiles':>26} {'req/s':>7} {'KiB':>8}")
    for count, rounds in results.items():
        ratios = [first["cpu"] / this["cpu"] for first, this in zip(results[counts[0]], rounds)]
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        print(f"{count:>9} {statistics.median(r['cpu'] for r in rounds):>10.2f} {middle:>12.2f} ({low:.2f} to {high:.2f}) "
              f"{statistics.median(r['rate'] for r in rounds):>7.0f} {rounds[-1]['rss']:>8}")


if __name__ == "__main__":
    main()
