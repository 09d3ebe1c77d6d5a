#!/usr/bin/env python3
"""End to end: no instance sees anything of another one, whatever became of that one.

    hunt.py [--tier TIER] PROGRAM [CASE...]    as run.py

The guest `leak` searches for what others left before it leaves traces itself. It is asked under several conditions, each
with a server of its own: see `CONDITIONS`. What is wrong is collected, so that builds with a planted error can be held
to the same: under each condition that does not end workers, the hunt must find it.
"""
import itertools
import os
import random
import re
import signal
import sys
import tempfile
import time

import run
from run import FULL, Client, Failure, Server, Skipped, check, guest, main
from workers import HELLO, place

PLACES = "sdbhgvtfk"
TRAPPED = b"500 Internal Server Error\n"


class Hunt:
    """Rounds of requests, one on each of the connections at the same time, and what came of them.

    `ends`: how likely a request ends in which way (see leak.c). `limits`: requests may be ended by the server. `gone`: how
    many clients do not wait for their answer. `losses`: connections may be lost. `others`: another image may answer."""

    def __init__(self, server, connections, ends, limits=False, gone=0.0, losses=False, others=False):
        self.server, self.ends, self.limits, self.gone, self.losses, self.others = server, ends, limits, gone, losses, others
        self.source = random.Random(20)
        self.numbers = itertools.count()
        self.clients = [Client(server.port) for _ in range(connections)]
        self.found, self.same = [], set()
        self.counts = dict.fromkeys(("asked", "clean", "trapped", "ended", "gone", "lost", "other"), 0)

    def path(self):
        places = "".join(p for p in PLACES if self.source.random() < 0.4)
        ends = "".join(end for end, share in self.ends.items() if self.source.random() < share)
        return f"/{places}{ends}/{next(self.numbers)}"

    def again(self, index):
        self.clients[index].socket.close()
        self.clients[index] = Client(self.server.port)

    def note(self, what, path=None, body=None):
        """What became of one request; anything that has no name here was found."""
        if what in self.counts:
            self.counts[what] += 1
        else:
            self.found.append((what, path, body))

    def judge(self, path, status, body):
        match = re.fullmatch(rb"clean (pages=\d+ handle=\d+ stack=\d+) wrote=(\d+)\n", body)
        places = set(path.split("/")[1])
        if status == 200 and match and not places & set("xplz"):
            self.same.add(match.group(1))
            check(int(match.group(2)) > 0 or not places & set("sdbhg"), f"the hunter finds its own: {path}")
            return "clean"
        if status == 500 and body == TRAPPED and places & set("xp"):
            return "trapped"
        if status == 504 and self.limits:
            return "ended"
        if status == 200 and self.others and body == f"Hello from C! You asked for {path}\n".encode():
            return "other"
        return f"status {status}"

    def receive(self, index, path):
        try:
            status, headers, body = self.clients[index].response()
        except (Failure, OSError) as failure:
            self.note("ended" if self.limits else "lost" if self.losses else str(failure), path)
            return self.again(index)
        self.note(self.judge(path, status, body), path, body)
        if headers.get("connection", "").lower() == "close":
            self.again(index)

    def ask(self, index, path):
        try:
            self.clients[index].send(path)
        except OSError: # the worker ended while nothing was asked
            self.note("lost" if self.losses else "a connection ends between two requests", path)
            self.again(index)
            self.clients[index].send(path)

    def round(self, meanwhile=lambda: None):
        paths = [self.path() for _ in self.clients]
        for index, path in enumerate(paths):
            self.ask(index, path)
        meanwhile()
        for index, path in enumerate(paths):
            self.counts["asked"] += 1
            if self.source.random() < self.gone:
                self.again(index)
                self.note("gone")
            else:
                self.receive(index, path)

    def rounds(self, count):
        for _ in range(max(1, count // len(self.clients))):
            self.round()

    def end(self):
        for client in self.clients:
            client.socket.close()
        if len(self.same) > 1:
            self.found.append(("sizes, handles or stacks differ", sorted(self.same)))
        return self


def plain(count, *options, **more):
    """As fast as they are answered; some end in a trap."""
    with Server(guest("leak"), *options, **more) as server:
        hunt = Hunt(server, 32, {"x": 0.05, "p": 0.03})
        hunt.rounds(count)
        return hunt.end()


def waiting(count, **more):
    """Many more wait at the same time than keep their slots, in the midst of all that they wrote."""
    with Server(guest("leak"), **more) as server:
        hunt = Hunt(server, 400, {"w": 0.6, "x": 0.03, "p": 0.02})
        hunt.rounds(count)
        return hunt.end()


def cut(count, **more):
    """Time-outs, in guest code and in waits, so short that they meet everybody; clients that go away in the middle."""
    with Server(guest("leak"), "--cpu-time", "10ms", "--timeout", "150ms", **more) as server:
        hunt = Hunt(server, 200, {"w": 0.3, "z": 0.05, "l": 0.04, "x": 0.03, "p": 0.02}, limits=True, gone=0.1)
        hunt.rounds(count)
        return hunt.end()


def busiest(pids):
    """The one with the most descriptors: of connections."""
    return max(pids, key=lambda pid: len(os.listdir(f"/proc/{pid}/fd")))


def killed(count, **more):
    """Workers that die in the middle."""
    with Server(guest("leak"), "--workers", "2", **more) as server:
        hunt = Hunt(server, 64, {"w": 0.3, "x": 0.03, "p": 0.02}, losses=True)
        for _ in range(10 if FULL else 2):
            time.sleep(1.1) # workers that die young are replaced later
            hunt.round(lambda: os.kill(busiest(server.workers()), signal.SIGKILL))
            hunt.rounds(count // (10 if FULL else 2))
        check(hunt.counts["lost"] > 0, "a worker that dies takes requests with it")
        return hunt.end()


def reloaded(count, **more):
    """Another image takes over while requests are under way, and back."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "f.wasm")
        place(guest("leak"), file)
        with Server(file, "--workers", "2", **more) as server:
            hunt = Hunt(server, 64, {"w": 0.3, "x": 0.03, "p": 0.02}, others=True)
            turns = 20 if FULL else 4
            for turn in range(turns):
                place(HELLO if turn % 2 == 0 else guest("leak"), file)
                hunt.round(lambda: server.process.send_signal(signal.SIGHUP))
                end = time.monotonic() + 120
                while server.log().count("INFO  reloaded\n") <= turn:
                    hunt.round()
                    check(time.monotonic() < end, "it reloads")
                hunt.rounds(count // turns)
            check(hunt.counts["other"] > 0 and hunt.counts["clean"] > 0, "both images answer")
            return hunt.end()


# How many requests, with MAYFLY_TEST_FULL=1 and without.
CONDITIONS = ((plain, 40000, 1600), (waiting, 30000, 1200), (cut, 10000, 600), (killed, 10000, 400), (reloaded, 10000, 400))


def case_leak():
    """No instance sees anything of another one: memory, globals, tables and their entries, handles, grown pages."""
    for condition, full, quick in CONDITIONS:
        began = time.monotonic()
        hunt = condition(full if FULL else quick)
        print(f"  {condition.__name__}: " + ", ".join(f"{count} {what}" for what, count in hunt.counts.items() if count) +
              f" in {time.monotonic() - began:.0f} s")
        check(not hunt.found, f"{condition.__name__}: {len(hunt.found)} leaks, the first: {hunt.found[:1]}")
        check(hunt.counts["clean"] > 0, f"{condition.__name__}: some requests come to their end")


def case_planted():
    """The hunt finds what builds with a planted error leave: a page, a table's size, a table of handles, a table's entries, a grown page."""
    for number, what in enumerate(("page", "size of a table", "table of handles", "entries of a table", "grown page"), 1):
        planted = f"{run.PLANTED}-{number}"
        if not os.path.exists(planted):
            raise Skipped("no builds with the planted errors")
        for condition, _, quick in CONDITIONS[:3]:
            found = condition(quick // 2, program=planted).found
            print(f"  {what}, {condition.__name__}: {len(found)} found, {found[:1]}")
            check(found, f"{condition.__name__}: the hunt finds the {what} that stays")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
