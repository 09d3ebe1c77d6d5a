#!/usr/bin/env python3
"""Applications of many components, and work on one.

start   from spawning `mayfly up` with 1,000 components, each of a file of its own whose image is in the cache, to `Serving`
idle    what a component costs that nobody asks for: private memory of a worker, and memory of all processes together
        (Pss), of 1,000 components and of 10, by component
watch   from saving a built component, or a source that is built by `cp`, to the first answer of the new one

    apps.py [--rounds N] [--count N]
"""
import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request

import many
import peers

FEW = 10
GUESTS = os.path.join(peers.ROOT, "tests", "e2e", "guests")
ANSWERS = ("greedy", b"fine\n"), ("given", b"variable A=b\n")


class Serving:
    """A command of mayfly that says where it serves; `ms` until then, and what processor time that took."""

    def __init__(self, folder, *arguments):
        began = time.perf_counter()
        self.process = subprocess.Popen([os.path.join(peers.BUILD, "mayfly"), *arguments, "--listen", "127.0.0.1:0", "--workers", "1", "--tier", "fast", "--quiet"],
                                        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                        env={**os.environ, "XDG_CACHE_HOME": f"{folder}/cache"})
        for line in self.process.stdout:
            if found := re.match(r"Serving http://127\.0\.0\.1:(\d+)", line):
                self.ms = (time.perf_counter() - began) * 1000
                self.cpu_ms = peers.usage(self.process.pid)["cpu_us"] / 1000
                self.port = int(found[1])
                break

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.stdout.read()
        self.process.wait()

    def ask(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10).read()
        except OSError:
            return b""


def memory(pid, what):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return int(re.search(rf"^{what}:\s+(\d+) kB", rollup.read(), re.M)[1]) * 1024


def settle(server):
    """Until the builder has kept the images, and the worker is the last that was born."""
    while len(peers.tree(server.process.pid)) > 3:
        time.sleep(0.1)
    return peers.tree(server.process.pid)


def idle(folder, file, count):
    """Starts, and what there is of memory then."""
    many.application(folder, file, count, False)
    with Serving(folder, "up") as server:
        settle(server)
    with Serving(folder, "up") as server:
        pids = settle(server)
        return memory(max(pids), "Private_Dirty"), sum(memory(pid, "Pss") for pid in pids)


def starts(folder, rounds):
    times = []
    for _ in range(rounds):
        with Serving(folder, "up") as server:
            times.append((server.ms, server.cpu_ms))
    return zip(*times)


def watched(rounds, command):
    """Times from a saved file to its answer."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        saved = f"{folder}/{'in' if command else 'a'}.wasm"
        with open(f"{folder}/spin.toml", "w") as manifest:
            manifest.write('spin_manifest_version = 2\n[application]\nname = "watched"\n[[trigger.http]]\nroute = "/..."\ncomponent = "a"\n'
                           '[component.a]\nsource = "a.wasm"\nenvironment = { A = "b" }\n')
            if command:
                manifest.write(f'[component.a.build]\ncommand = "{command}"\nwatch = ["in.wasm"]\n')
        shutil.copy(f"{GUESTS}/given.wasm", saved)
        with Serving(folder, "watch") as server:
            server.ask()
            for i in range(rounds):
                name, answer = ANSWERS[i % 2]
                time.sleep(0.5)
                shutil.copy(f"{GUESTS}/{name}.wasm", f"{folder}/new")
                began = time.perf_counter()
                os.rename(f"{folder}/new", saved)
                while not server.ask().startswith(answer):
                    time.sleep(0.001)
                times.append((time.perf_counter() - began) * 1000)
    return times


def show(what, times):
    print(f"{what:<52} {statistics.median(times):>7.0f} ms  ({min(times):.0f} to {max(times):.0f})")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    file = peers.example("hello-c")
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        few, lots = idle(small, file, FEW), idle(large, file, options.count)
        wall, cpu = starts(large, options.rounds)
        show(f"start of {options.count:,} components, images known", wall)
        show("    processor time of all processes", cpu)
    for what, i in (("private memory of a worker", 0), ("memory of all processes", 1)):
        each = (lots[i] - few[i]) / (options.count - FEW)
        print(f"{what + ', for an idle component':<52} {each:>7.0f} bytes  ({few[i] >> 10:,} KiB with {FEW}, {lots[i] >> 10:,} KiB with {options.count:,})")
    show("watch: a saved component to its answer", watched(options.rounds, None))
    show("watch: a saved source, built by cp, to its answer", watched(options.rounds, "cp in.wasm a.wasm"))


if __name__ == "__main__":
    main()
