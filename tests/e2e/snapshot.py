#!/usr/bin/env python3
"""End to end: `mayfly up --snapshot`: what instances have in common then, what they have not, and what is refused.

    snapshot.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

import hunt
from run import FULL, SHARED, Client, Server, Skipped, ask, check, command, expect, guest, greets, main

TAKEN = r"INFO +\[\w[\w-]*\] every instance begins behind the start functions: (\d+) KiB, (\d+) standard streams"
REFUSED = r"WARN +\[frozen\] no snapshot, start functions run in every instance: "
# What its start functions do, by the first letter of the variable, and what the log says of it.
REFUSALS = {"l": "they made memories grow by more than 64 MiB", "e": "they threw exceptions, which may still be used",
            "w": "they wait for something", "p": "they hold a pollable of wasi:io/poll",
            "f": "they hold a fields of wasi:http/types", "t": "they trap: unreachable",
            "s": r"they take longer than a request may, 0\.3 s"}


def frozen(client):
    """What the start functions of this instance read, and in how many places it found what others left."""
    answer = client.ask("/")
    expect(answer, 200)
    clock, number, wrong = struct.unpack("<3Q", answer[2])
    return (clock, number), wrong


def serving(letter, *options):
    return Server(guest("frozen"), "--env", f"WAY={letter}", *options)


def readings(port, count):
    with Client(port) as client:
        all = [frozen(client) for _ in range(count)]
    check(not any(wrong for _, wrong in all), "no instance finds what an earlier one left")
    return [reading for reading, _ in all]


def case_alike():
    """With it all instances have read the same clock and number, and write to standard output; without, each its own."""
    with serving("0") as server:
        check(len(set(readings(server.port, 20))) == 20, "without, each instance reads its own")
    with serving("0", "--snapshot") as server:
        check(server.wait_log(TAKEN), "the log says that it was taken")
        check(len(set(readings(server.port, 20))) == 1, "all begin alike")
        check(server.wait_log(r"(stdout: asked\n.*){20}"), "each writes to the standard output that it was given at the start")
    with Server(guest("trap"), "--snapshot") as server:
        expect(ask(server.port, "/"), 200)
        check("snapshot" not in server.log() and not re.search(TAKEN, server.log()), "nothing to say where nothing was asked")


def case_leaks():
    """Pages that start functions added or wrote, however many, are as they left them in every instance."""
    for letter in "0gm":
        with serving(letter, "--snapshot") as server:
            check(len(set(readings(server.port, 2000 if FULL else 300))) == 1, f"{letter}: all begin alike")
            check(re.search(TAKEN, server.log()), "it was taken")


def case_refused():
    """What no snapshot can hold is told, and start functions run for each request as without it."""
    for letter, why in REFUSALS.items():
        limit = ("--cpu-time", "300ms") if letter == "s" else ()
        with serving(letter, "--snapshot", *limit) as server:
            check(server.wait_log(REFUSED + why), f"{letter}: the log says {why}")
            if letter in "st":
                expect(ask(server.port, "/"), 504 if letter == "s" else 500)
            else:
                check(len(set(readings(server.port, 10))) == 10, f"{letter}: each instance reads its own")


def case_workers():
    """Each worker has its own, in its sandbox, and so has one that takes a dead one's place."""
    with serving("g", "--snapshot", "--workers", "2") as server:
        seen = set()
        for _ in range(200):
            seen.update(readings(server.port, 1))
        check(len(seen) <= 2, f"two workers, two readings, not {len(seen)}")
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        check(server.wait_log(rf"(?s)({TAKEN}.*){{3}}"), "the new worker takes one too")
        readings(server.port, 20)


def case_images():
    """A new image has its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = shutil.copy(guest("frozen"), os.path.join(folder, "frozen.wasm"))
        with Server(file, "--env", "WAY=g", "--snapshot") as server:
            first = set(readings(server.port, 10))
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_log(rf"(?s)({TAKEN}.*){{2}}", 60), "the new image has one too")
            second = set(readings(server.port, 10))
            check(len(first) == len(second) == 1 and first != second, "another one than the old image's")


def case_hunt():
    """The leak hunt, with the option."""
    found = hunt.plain(20000 if FULL else 2000, "--snapshot").found
    check(not found, f"{len(found)} leaks, the first: {found[:1]}")


def case_go():
    """Go's runtime starts once; it holds its standard streams."""
    file = os.path.join(SHARED, "hello-go.wasm")
    if not os.path.exists(file):
        raise Skipped("hello-go.wasm is not in ../shared/components")
    with Server(file, "--snapshot") as server, Client(server.port) as client:
        check(server.wait_log(TAKEN), "the log says that it was taken")
        for path in ("/", "/a/b", "/") * 100:
            answer = client.ask(path)
            expect(answer, 200)
            check(greets(path, answer[2]), f"another body for {path} than {answer[2]!r:.200}")


def case_inspect():
    """inspect says what a snapshot would freeze, of a component and of its image."""
    asked = ["wasi:cli/environment", "wasi:clocks/monotonic-clock", "wasi:random/random"]
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "image")
        subprocess.run([*command("compile"), guest("frozen"), "-o", image], check=True, capture_output=True)
        for file in (guest("frozen"), image):
            said = json.loads(subprocess.run([command("inspect")[0], "inspect", "--json", file], capture_output=True).stdout)
            check(said["run"]["snapshot"] == asked, f"{asked}, not {said['run']['snapshot']}")
            text = subprocess.run([command("inspect")[0], "inspect", file], capture_output=True, text=True).stdout
            check(re.search(r"^--snapshot +would freeze wasi:cli/environment,", text, re.M), f"the same in words: {text:.1000}")
    said = json.loads(subprocess.run([command("inspect")[0], "inspect", "--json", guest("process")], capture_output=True).stdout)
    check(said["run"]["snapshot"] == [], "nothing of a command")


CASES = {"snapshot_" + name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
