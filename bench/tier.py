#!/usr/bin/env python3
"""Tier-up under load: `mayfly up` of a file that nobody knows, with the better compiler at work beside it and without.

Both kinds take turns: an empty cache, a server with one worker, which is kept busy, and wrk beside it from the first
answer on; the compiler has what both leave, at idle priority. Compared are the rate and the p99 of a first span, in which the compiler works if there is one, and of a
later one. Told, too: when nine tenths of the samples of the running guest landed in LLVM's code, and requests that
failed, of which there should be none.

    tier.py [--rounds N] [--seconds N] [--connections N] [--workers N] [FILE...]
"""
import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time

import peers
from serve import wrk

SHARED = os.path.join(os.path.dirname(peers.ROOT), "shared", "components")
LOG_TIME = r"(\d\d):(\d\d):([\d.]+)Z INFO +\[[^\]]*\] "


def day_seconds(found):
    hours, minutes, seconds = found
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def run(file, tier, options):
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryFile(mode="w+") as log:
        process = subprocess.Popen([os.path.join(peers.BUILD, "mayfly"), "up", file, "--listen", "127.0.0.1:0", "--tier", tier, "--workers", str(options.workers)],
                                   stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "XDG_CACHE_HOME": cache})
        try:
            port = int(re.search(r":(\d+)$", process.stdout.readline().strip()).group(1))
            began = time.time() % 86400
            first, later = (wrk(port, options.seconds, options.connections, pinned=False) for _ in range(2))
        finally:
            process.terminate()
            process.wait()
        log.seek(0)
        text = log.read()
    good = None
    for line in text.splitlines():
        said = re.search(LOG_TIME + r"(?:(\d+) % of \d+ samples|(all) functions are optimized)", line)
        if said and good is None and (said.group(5) or int(said.group(4)) >= 90):
            good = day_seconds(said.groups()[:3]) - began
    return {"first": first, "later": later, "good": good}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("files", nargs="*", metavar="FILE", default=[os.path.join(SHARED, "hello-go.wasm")])
    options = parser.parse_args()
    peers.needs("wrk")
    rows = [("handler", "requests failed", "p99 first, ms", "without", "ratio, range", "req/s later", "without",
             "nine tenths after, s")]
    for file in options.files:
        pairs = [(run(file, "auto", options), run(file, "fast", options)) for _ in range(options.rounds)]
        median = lambda side, span, what: statistics.median(pair[side][span][what] for pair in pairs)
        ratios = sorted(up["first"]["p99"] / off["first"]["p99"] for up, off in pairs)
        failed = sum(result[span]["failed"] for pair in pairs for result in pair for span in ("first", "later"))
        good = [up["good"] for up, _ in pairs]
        rows.append((os.path.basename(file), str(failed), f"{median(0, 'first', 'p99') / 1000:.1f}",
                     f"{median(1, 'first', 'p99') / 1000:.1f}",
                     f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
                     f"{median(0, 'later', 'rate'):.0f}", f"{median(1, 'later', 'rate'):.0f}",
                     f"{statistics.median(good):.1f}" if None not in good else f"more than {2 * options.seconds}"))
    peers.table(rows)
    print(f"\n{peers.machine()}; {options.workers} workers, wrk -t1 -c{options.connections} beside them; {options.rounds} rounds, "
          f"each {options.seconds} s at first and {options.seconds} s later; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
