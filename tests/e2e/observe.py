#!/usr/bin/env python3
"""End to end: what a server tells of itself: metrics, its state, the access log, traces, levels of the log.

    observe.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import run
from cli import check_described, leaves
from limits import reset
from network import Peer
from outbound import HELLO as REPLY, LOCAL, answers, fetch
from run import ROOT, Client, Server, ask, check, command, expect, guest, main

HELLO = os.path.join(ROOT, "examples", "hello-c", "hello.wasm")
ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACE = f"00-{ID}-{PARENT}-01"


@contextlib.contextmanager
def observed(file, *options):
    """A server with an admin address, at `admin` of it."""
    with Server(file, "--admin", "127.0.0.1:0", *options) as server:
        check(server.wait_log(r"metrics at http://127\.0\.0\.1:\d+/metrics"), "the log says where")
        server.admin = int(re.search(r"metrics at http://127\.0\.0\.1:(\d+)/", server.log()).group(1))
        yield server


def until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, what)
        time.sleep(0.01)


# ---- the text format of Prometheus, version 0.0.4, read strictly ----

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
TYPES = ("counter", "gauge", "histogram")


def read_labels(text):
    """The labels and what follows the closing brace."""
    labels, at = {}, 1
    while text[at] != "}":
        match = LABEL.match(text, at)
        check(match and match[1] not in labels, f"a label in {text!r} at {at}")
        labels[match[1]] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], match[2])
        at = match.end()
        check(text[at] in ",}", f"the end of a label in {text!r}")
        at += text[at] == ","
    return labels, text[at + 1:]


class Metrics:
    """Families: name -> type; samples: (name, labels) -> value. Every rule that the format has, and those of histograms,
    are checked."""

    def __init__(self, text):
        self.types, self.samples, helped, ended, current = {}, {}, set(), set(), None
        check(text.endswith("\n"), "the last line ends")
        for line in text[:-1].split("\n"):
            if line.startswith("# HELP "):
                name = line.split(" ", 3)[2]
                check(NAME.fullmatch(name) and name not in helped and name not in ended, f"one help of {name}")
                ended.add(current)
                helped.add(name)
                current = name
            elif line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                check(name == current and name not in self.types and kind in TYPES, f"one type of {name}: {line!r}")
                self.types[name] = kind
            else:
                self.sample(line, current)
        for name, kind in self.types.items():
            if kind == "histogram":
                self.check_histogram(name)

    def sample(self, line, family):
        match = NAME.match(line)
        check(match, f"a sample: {line!r}")
        name, rest = match[0], line[match.end():]
        labels, rest = read_labels(rest) if rest.startswith("{") else ({}, rest)
        check(re.fullmatch(r" [0-9]+(\.[0-9]+)?", rest), f"a value that counts something: {line!r}")
        base = re.sub(r"_(bucket|sum|count)$", "", name) if self.types.get(family) == "histogram" else name
        check(base == family and family in self.types, f"{name} stands behind its own type, not {family}'s")
        key = (name, frozenset(labels.items()))
        check(key not in self.samples, f"{name} {labels} once")
        check(self.types[family] != "counter" or name.endswith("_total"), f"{name} ends in _total")
        self.samples[key] = float(rest)

    def of(self, name, **labels):
        """The sum of the samples with these labels."""
        found = [value for (other, has), value in self.samples.items() if other == name and labels.items() <= dict(has).items()]
        check(found, f"samples of {name} with {labels}")
        return sum(found)

    def check_histogram(self, name):
        series = {}
        for (other, has), value in self.samples.items():
            if other == name + "_bucket":
                labels = dict(has)
                bound = labels.pop("le")
                series.setdefault(frozenset(labels.items()), []).append(
                    (math.inf if bound == "+Inf" else float(bound), value))
        check(series, f"{name} has buckets")
        for labels, buckets in series.items():
            buckets.sort()
            counts = [count for _, count in buckets]
            check(buckets[-1][0] == math.inf and counts == sorted(counts), f"{name} is cumulative: {buckets}")
            total, whole = self.samples[name + "_sum", labels], self.samples[name + "_count", labels]
            check(counts[-1] == whole, f"{name} counts {whole} in all: {buckets}")
            least = sum((high[1] - low[1]) * low[0] for low, high in zip([(0, 0)] + buckets, buckets))
            check(total >= least, f"{name} is {total} in all, {least} or more")


def metrics(server):
    status, headers, body = ask(server.admin, "/metrics")
    check(status == 200 and headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8", f"{status} {headers}")
    return Metrics(body.decode())


def state(server):
    status, headers, body = ask(server.admin, "/status")
    check(status == 200 and headers["content-type"] == "application/json", f"{status} {headers}")
    return json.loads(body)


def workers(server):
    return [worker["pid"] for worker in state(server)["workers"] if worker["up"]]


def replaced(server, victim, count):
    """Whether that many serve again, and the victim is none of them, at one time."""
    up = workers(server)
    return len(up) == count and victim not in up


# ---- metrics ----

def requests_of(server):
    return metrics(server).of("mayfly_requests_total")


def case_observe_add_up():
    """What is counted is what was asked, over several workers, with other connections asking for it meanwhile, and after
    one of them was killed."""
    with observed(HELLO, "--workers", "3") as server:
        asked = 0
        time.sleep(1.1)
        for turn in range(3):
            with contextlib.ExitStack() as stack:
                clients = []
                for number in range(240):
                    if number < 48:
                        clients.append(stack.enter_context(Client(server.port)))
                    expect(clients[number % 48].ask(f"/{number}"), 200)
                asked += 240
                now = metrics(server)
                check(now.of("mayfly_open_connections") == 48, "48 connections are open")
            check(now.of("mayfly_requests_total", status="2xx", function="hello") == asked == now.of("mayfly_requests_total"),
                  f"{asked} requests")
            for name in ("request", "start"):
                check(now.of(f"mayfly_{name}_duration_seconds_count") == asked, f"{asked} durations: {name}")
            check(now.of("mayfly_sent_bytes_total") == sum(len(f"Hello from C! You asked for /{n}\n") for n in range(240)) * (turn + 1),
                  "every byte of every body")
            check(0 < now.of("mayfly_cpu_seconds_total") <= now.of("mayfly_request_duration_seconds_sum") * 2, "processor time")
            check(sum(now.of("mayfly_requests_total", worker=str(n)) > 0 for n in range(3)) > 1, "more than one worker has some")
            until(lambda: metrics(server).of("mayfly_open_connections") == 0, "no connection is left open")
            victim = state(server)["workers"][turn]["pid"]
            os.kill(victim, signal.SIGKILL)
            until(lambda: replaced(server, victim, 3), "another takes its place")
            check(requests_of(server) == asked, "and goes on counting")
        now = metrics(server)
        check([now.of("mayfly_worker_restarts_total", worker=str(n)) for n in range(3)] == [1, 1, 1], "one restart each")
        others = [now.of(f"mayfly_{name}") for name in ("worker_up", "traps_total", "limits_total", "broken_answers_total")]
        check(others == [3, 0, 0, 0], f"three are up, nothing else happened: {others}")
        check(all(now.of("mayfly_worker_resident_bytes", worker=str(n)) > 100000 for n in range(3)), "each has memory")


def limits_of(server):
    now = metrics(server)
    return {limit: now.of("mayfly_limits_total", limit=limit) for limit in ("time", "cpu", "memory", "body", "instances")}


def case_observe_limits():
    """Each limit is counted where it is met, once for each request, and nothing else is."""
    def one(**met):
        wanted = {"time": 0, "cpu": 0, "memory": 0, "body": 0, "instances": 0, **met}
        until(lambda: limits_of(server) == wanted, f"limits {wanted}, not {limits_of(server)}")
    with observed(guest("greedy"), "--timeout", "300ms", "--max-memory", "32M") as server:
        expect(ask(server.port, "/"), 200)
        one()
        for path in ("/spin", "/wait"):
            expect(ask(server.port, path), 504)
        one(time=2)
        expect(ask(server.port, "/grow"), 200, b"no more\n")
        expect(ask(server.port, "/"), 200)
        one(time=2, memory=1)
        expect(ask(server.port, "/deep"), 500)
        now = metrics(server)
        check(now.of("mayfly_traps_total") == 1, "a trap is none of them, and they are no traps")
        check(now.of("mayfly_requests_total", status="5xx") == 3, "the failures")
        until(lambda: metrics(server).of("mayfly_requests_total", status="2xx") == 3, "and the answers")
    with observed(guest("greedy"), "--cpu-time", "200ms") as server:
        for path in ("/spin", "/fill"):
            expect(ask(server.port, path), 504)
        one(cpu=2)
        check(metrics(server).of("mayfly_cpu_seconds_total") > 0.3, "processor time")
        with Client(server.port) as client:
            client.send("/spin-stream")
            check(client.line() == b"HTTP/1.1 200 OK" and client.until_end(), "an answer that breaks off")
        one(cpu=3)
        check(metrics(server).of("mayfly_broken_answers_total") == 1, "a broken answer")
    with observed(guest("echo"), "--max-body", "100K") as server:
        expect(ask(server.port, "/", method="POST", body=bytes(102400)), 200)
        check(metrics(server).of("mayfly_received_bytes_total") == 102400, "the guest took all of it")
        expect(ask(server.port, "/", method="POST", body=bytes(102401)), 413)
        with Client(server.port) as client:
            client.socket.sendall(b"POST /whole HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            time.sleep(0.05)
            client.socket.sendall(b"19001\r\n")
            expect(client.response(), 200)
        one(body=2)
        check(metrics(server).of("mayfly_refusals_total", status="413") == 1, "one before the guest had it")
    with observed(guest("greedy"), "--max-instances", "1") as server, Client(server.port) as client:
        client.send("/wait")
        until(lambda: metrics(server).of("mayfly_running_requests") == 1, "one runs")
        for _ in range(3):
            expect(ask(server.port, "/"), 503)
        one(instances=3)
        client.socket.close()
        until(lambda: metrics(server).of("mayfly_running_requests") == 0, "none runs")
        check(metrics(server).of("mayfly_requests_total", status="none") == 1, "its client was gone before an answer")


def case_observe_asleep():
    """Requests that wait, more than keep their instances in place, are counted as others are."""
    with observed(guest("greedy"), "--timeout", "3s") as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port)) for _ in range(300)]
        for client in clients:
            client.send("/wait")
        until(lambda: metrics(server).of("mayfly_running_requests") == 300, "300 run")
        for client in clients[200:]:
            reset(client.socket)
        for client in clients[:200]:
            expect(client.response(), 504)
        until(lambda: metrics(server).of("mayfly_running_requests") == 0, "none runs")
        now = metrics(server)
        check(now.of("mayfly_limits_total", limit="time") == 200 == now.of("mayfly_requests_total", status="5xx"), "200 met the limit")
        check(now.of("mayfly_requests_total", status="none") == 100, "100 were gone before")
        for name in ("request", "start"):
            check(now.of(f"mayfly_{name}_duration_seconds_count") == 300, f"300 durations: {name}")


def case_observe_refusals():
    """What the server refuses itself, by status."""
    requests = {400: b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 431: b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20000 + b"\r\n\r\n",
                414: b"GET /" + b"y" * 40000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 505: b"GET / HTTP/9.9\r\n\r\n",
                501: b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"}
    with observed(HELLO) as server:
        for status, request in requests.items():
            with Client(server.port) as client:
                client.socket.sendall(request)
                check(client.response()[0] == status, f"{status} for {request[:40]}")
            check(metrics(server).of("mayfly_refusals_total", status=str(status)) == 1, f"one {status} is counted")
        now = metrics(server)
        check(now.of("mayfly_refusals_total") == len(requests) and now.of("mayfly_requests_total") == 0, "and nothing else")


def case_observe_admin():
    """What there is at the admin address and what is not; it comes back when its process dies, and tells of the end."""
    with observed(HELLO, "--workers", "2") as server:
        expect(ask(server.admin, "/healthz"), 200, b"ok\n")
        expect(ask(server.admin, "/metrics?x=y"), 200)
        for path in ("/index.html", "/metric", "/metrics/", "/../status", "*"):
            check(ask(server.admin, path, method="OPTIONS" if path == "*" else "GET")[0] == 404, f"404 for {path}")
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            status, headers, _ = ask(server.admin, "/metrics", method=method, body=b"x")
            check(status == 405 and headers["allow"] == "GET, HEAD", f"405 for {method}, not {status} {headers}")
        status, headers, body = ask(server.admin, "/status", method="HEAD")
        check(status == 200 and int(headers["content-length"]) > 100 and not body, f"HEAD: {status} {headers}")
        said = state(server)
        described = check_described("status", said)
        check({path for path, _ in leaves(said)} <= described, "all of it is described")
        check(said["tier"] in ("fast", "best") and said["generation"] == 1, f"the image: {said['tier']}")
        pids = {worker["pid"] for worker in said["workers"]}
        teller, = set(server.workers()) - pids
        with contextlib.ExitStack() as stack: # more than it takes at once
            crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", server.admin))) for _ in range(200)]
            expect(ask(server.port, "/"), 200)
            check(len(crowd) == 200, "a crowd")
        resident = rss(teller)
        for _ in range(300):
            expect(ask(server.admin, "/metrics"), 200)
        # A sanitizer keeps what is freed for a while; an answer is more than 8 KiB.
        check(rss(teller) < resident + (2 << 20), f"it does not grow: from {resident} to {rss(teller)}")
        os.kill(teller, signal.SIGKILL)
        until(lambda: set(server.workers()) - pids and teller not in server.workers(), "another tells")
        check(state(server)["functions"][0]["answers"]["2xx"] == 1, "the same")
        check(pids == {worker["pid"] for worker in state(server)["workers"]}, "the workers did not notice")
    with observed(guest("greedy")) as server, Client(server.port) as client:
        client.send("/wait")
        until(lambda: metrics(server).of("mayfly_running_requests") == 1, "one runs")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: ask(server.admin, "/healthz")[0] == 503, "it ends")
        check(state(server)["draining"] is True, "and says so")
        client.socket.close()


def rss(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def case_observe_reload():
    """Every worker tells which image it serves."""
    with observed(HELLO, "--workers", "2") as server:
        for generation in (2, 3):
            server.process.send_signal(signal.SIGHUP)
            until(lambda: metrics(server).of("mayfly_image_generation") == 2 * generation, f"both serve image {generation}")
        check(state(server)["generation"] == 3, "and so says the state")
        time.sleep(1.1)
        victim = workers(server)[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: replaced(server, victim, 2), "another takes its place")
        check(metrics(server).of("mayfly_image_generation") == 6, "with the same image")


def case_observe_tier():
    """Which compiler made what is served, while it gets better."""
    with tempfile.TemporaryDirectory() as cache:
        before = os.environ["XDG_CACHE_HOME"]
        os.environ["XDG_CACHE_HOME"] = cache
        try:
            with observed(HELLO, "--tier", "auto") as server:
                check(state(server)["tier"] in ("fast", "best"), f"it begins with the fast one: {state(server)['tier']}")
                until(lambda: state(server)["tier"] == "best", "and goes over to the best", run.START_SECONDS)
                now = state(server)
                check(now["generation"] == 2, f"the second image: {now['generation']}")
                until(lambda: state(server)["workers"][0]["generation"] == 2, "which the worker serves")
                expect(ask(server.port, "/"), 200)
        finally:
            os.environ["XDG_CACHE_HOME"] = before


def case_observe_name():
    """A file's name may hold anything: labels and texts stay well formed."""
    with tempfile.TemporaryDirectory() as folder:
        name = 'a "b\\c"\nd é\x1b[31m'
        with open(HELLO, "rb") as source, open(os.path.join(folder, name + ".wasm"), "wb") as file:
            file.write(source.read())
        log = os.path.join(folder, "log")
        with observed(os.path.join(folder, name + ".wasm"), "--access-log", log) as server:
            expect(ask(server.port, "/"), 200)
            check(metrics(server).of("mayfly_requests_total", function=name) == 1, "the name as it is")
            check(state(server)["functions"][0]["name"] == name, "and in JSON")
            shown = top(server, "--once")[0]
            check("\x1b" not in shown and "\\x1b[31m" in shown, f"escaped for people: {shown!r}")
        line, = lines_of(log)
        check(line["function"].encode("latin-1").decode() == name, f"and in the access log: {line}")


# ---- top ----

def top(server, *options):
    done = subprocess.run([run.PROGRAM, "top", f"127.0.0.1:{server.admin}", *options], capture_output=True, text=True, timeout=60)
    check(done.returncode == 0 and not done.stderr, f"top {options}: {done}")
    return done.stdout, done


def case_observe_top():
    """A sample for programs and one for people agree with what is asked meanwhile."""
    with observed(guest("trap"), "--workers", "2") as server:
        stop, asked = threading.Event(), [0, 0]

        def keep_asking():
            with Client(server.port) as client:
                while not stop.is_set():
                    expect(client.ask("/trap" if asked[0] % 10 == 9 else "/"), 500 if asked[0] % 10 == 9 else 200)
                    asked[0] += 1
        asker = threading.Thread(target=keep_asking)
        asker.start()
        try:
            sample = json.loads(top(server, "--json")[0])
            shown = top(server, "--once")[0]
        finally:
            stop.set()
            asker.join()
        check({path for path, _ in leaves(sample)} == check_described("top", sample), f"all of json.def in {sample}")
        function, = sample["functions"]
        check(function["name"] == "trap" and 0 < function["requests"] <= asked[0], f"requests of a second: {function}")
        check(abs(function["requests_per_second"] - function["requests"] * 1e9 / sample["interval_ns"]) <= 1, "their rate")
        # One may end between the readings of two counters.
        check(abs(function["traps"] - function["requests"] / 10) <= 1 and abs(function["errors"] - function["traps"]) <= 1,
              f"traps: {function}")
        check(0 < function["start_p50_ns"] <= function["latency_p99_ns"] and function["latency_p50_ns"] <= function["latency_p99_ns"],
              f"quantiles: {function}")
        check(sorted(w["pid"] for w in sample["workers"]) == sorted(workers(server)), f"workers: {sample['workers']}")
        check(sum(w["connections"] for w in sample["workers"]) == 1, "one connection")
        rows = shown.split("\n")
        check(rows[0].split()[:2] == ["FUNCTION", "REQ/S"] and rows[1].startswith("trap ") and "\x1b" not in shown, f"a table: {shown}")
        idle = json.loads(top(server, "--json")[0])["functions"][0]
        check(idle["requests"] == idle["latency_p50_ns"] == idle["cpu_ns_per_request"] == 0, f"nothing in a second without requests: {idle}")
        live = subprocess.Popen([run.PROGRAM, "top", f"127.0.0.1:{server.admin}"], stdout=subprocess.PIPE, text=True)
        tables = 0
        while tables < 2:
            line = live.stdout.readline()
            check(line, "it goes on")
            tables += line.startswith("FUNCTION")
        live.send_signal(signal.SIGINT)
        check(live.wait(10) == -signal.SIGINT, "SIGINT ends it")
        live.stdout.close()
        other = subprocess.run([run.PROGRAM, "top", f"127.0.0.1:{server.port}", "--json"], capture_output=True, text=True, timeout=60)
        check(other.returncode == 1 and "is not the admin address" in other.stderr and not other.stdout, f"another server: {other}")
    done = subprocess.run([run.PROGRAM, "top", "nowhere"], capture_output=True, text=True)
    check(done.returncode == 2 and "not an address" in done.stderr, f"no address: {done}")


# ---- the access log ----

def lines_of(path):
    with open(path) as file:
        text = file.read()
    check(text.endswith("\n") or not text, f"whole lines, not {text[-200:]!r}")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def case_observe_access():
    """A line for every request that was answered, when the server has ended; what clients say forges nothing."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        with open(log, "w") as file:
            file.write('{"kept": true}\n')
        with observed(HELLO, "--workers", "3", "--access-log", log) as server:
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(Client(server.port)) for _ in range(9)]
                for number in range(3000):
                    trace = [f"traceparent: 00-{number + 1:032x}-{PARENT}-00"] if number % 3 == 0 else ()
                    expect(clients[number % 9].ask(f"/{number}?q=1", headers=trace), 200)
                clients[0].ask("/%22%0a{\"x\"}".replace('"', "%22"), headers=["traceparent: nonsense"])
            with Client(server.port) as client:
                client.socket.sendall(b"GET /" + b"y" * 40000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
                check(client.response()[0] == 414, "one is refused")
        lines = lines_of(log)
        check(lines.pop(0) == {"kept": True}, "what was in the file stays")
        check(len(lines) == 3002, f"3002 lines, not {len(lines)}")
        by_target = {line["target"]: line for line in lines}
        for number in range(3000):
            line = by_target[f"/{number}?q=1"]
            check(line["method"] == "GET" and line["status"] == 200 and line["function"] == "hello" and line["us"] < 60000000 and
                  line["bytes"] == len(f"Hello from C! You asked for /{number}?q=1\n") and
                  re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]), f"a line: {line}")
            check(line.get("trace") == (f"{number + 1:032x}" if number % 3 == 0 else None), f"its trace: {line}")
        check(set().union(*lines) | {"whole"} == check_described("access", lines[0]), "all members of json.def")
        refused, = [line for line in lines if line["status"] == 414]
        check(refused["target"] == "" and refused["bytes"] == 0, f"a refused one: {refused}")


def case_observe_access_ends():
    """However a request ends: a trap, a limit, a client that leaves, an answer that breaks off."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        with observed(guest("greedy"), "--timeout", "500ms", "--max-instances", "1", "--access-log", log) as server:
            expect(ask(server.port, "/deep"), 500)
            expect(ask(server.port, "/spin"), 504)
            with Client(server.port) as client:
                client.send("/spin-stream")
                client.until_end()
            with Client(server.port) as client:
                client.send("/wait", headers=[f"traceparent: {TRACE}"])
                until(lambda: metrics(server).of("mayfly_running_requests") == 1, "one runs")
                expect(ask(server.port, "/busy"), 503)
                reset(client.socket)
            until(lambda: metrics(server).of("mayfly_running_requests") == 0, "none runs")
        said = {line["target"]: line for line in lines_of(log)}
        check({target: line["status"] for target, line in said.items()} ==
              {"/deep": 500, "/spin": 504, "/spin-stream": 200, "/wait": 0, "/busy": 503}, f"statuses: {said}")
        check([target for target, line in said.items() if line.get("whole") is False] == ["/spin-stream", "/wait"],
              f"what was not whole: {said}")
        check(said["/wait"]["trace"] == ID and said["/spin-stream"]["bytes"] >= 100000, f"{said}")


def case_observe_access_output():
    """To standard output, a pipe that nobody reads for a while: requests go on, lines that find no room are counted."""
    process = subprocess.Popen([*command("up"), HELLO, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1",
                                "--access-log", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        port = int(re.fullmatch(r"Serving http://127\.0\.0\.1:(\d+)\n", process.stdout.readline()).group(1))
        admin = int(re.search(r"metrics at http://127\.0\.0\.1:(\d+)/", process.stderr.readline()).group(1))
        with Client(port) as client:
            for number in range(1, 2001):
                expect(client.ask("/" + "x" * 200), 200)
        lost = Metrics(ask(admin, "/metrics")[2].decode()).of("mayfly_log_lines_lost_total")
        check(0 < lost < 2000, f"some are lost: {lost}")
        process.send_signal(signal.SIGTERM)
        lines = process.stdout.read().split("\n")
        check(lines.pop() == "" and len([json.loads(line) for line in lines]) == 2000 - lost, f"the others are whole: {len(lines)}")
        check(process.wait(20) == 0, "it ends well")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def case_observe_access_full():
    """A disk that is full stops no request."""
    with observed(HELLO, "--access-log", "/dev/full") as server:
        with Client(server.port) as client:
            for _ in range(1000):
                expect(client.ask("/"), 200)
        check(metrics(server).of("mayfly_log_lines_lost_total") > 0, "lines are lost, and counted")
    done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", HELLO, "--access-log", "/absent/log"], capture_output=True, text=True)
    check(done.returncode == 1 and "/absent/log" in done.stderr and not done.stdout, f"a file that cannot be: {done}")


# ---- traces and the log ----

def case_observe_trace():
    """A valid traceparent goes on with what the guest sends, unchanged, and stands in the log; another does not."""
    seen = []
    with Server(guest("client"), *LOCAL) as server, Peer(answers(REPLY, seen)) as peer:
        def sent(*headers):
            expect(ask(server.port, f"/fetch?url=http://127.0.0.1:{peer.port}/", headers=headers), 200)
            return [(name, value) for name, value in seen.pop().fields if name.lower() in ("traceparent", "tracestate")]
        check(sent() == [], "no trace, none sent")
        check(sent(f"traceparent: {TRACE}") == [("traceparent", TRACE)], "passed on")
        states = [("tracestate", "a=1,b=2"), ("tracestate", "c=3")]
        check(sent("TraceState: a=1,b=2", f"TraceParent: {TRACE}", "tracestate: c=3") == [("traceparent", TRACE), *states], "with its state")
        for bad in (TRACE[:-3], "00-" + "0" * 32 + f"-{PARENT}-01", TRACE.upper().replace("-", "_")):
            check(sent(f"traceparent: {bad}", "tracestate: a=1") == [], f"{bad} is none")
        check(sent(f"traceparent: {TRACE}", f"traceparent: {TRACE}") == [], "two are none")
    with Server(guest("trap")) as server:
        expect(ask(server.port, "/trap", headers=[f"traceparent: {TRACE}"]), 500)
        check(server.wait_log(rf"ERROR \[trap {ID}\] trap: "), "the log names the trace")
        check(server.wait_log(rf"ERROR \[trap {ID}\] .*drop_the_letter"), "in each line")
        expect(ask(server.port, "/trap"), 500)
        check(server.wait_log(r"ERROR \[trap\] trap: "), "and none where there is none")
    with Server(guest("greedy"), "--timeout", "200ms") as server:
        expect(ask(server.port, "/spin", headers=[f"traceparent: {TRACE}"]), 504)
        check(server.wait_log(rf"\[greedy {ID}\] ended: "), "so does what says of a limit")


def case_observe_levels():
    """What is logged at each level."""
    for options, info in ((("--log-level", "info"), True), ((), True), (("--log-level", "debug"), True), (("--log-level", "warn"), False),
                          (("--quiet",), False), (("--log-level", "error"), False)):
        with Server(guest("trap"), *options, "--admin", "127.0.0.1:0") as server:
            expect(ask(server.port, "/trap"), 500)
            check(server.wait_log(r"ERROR \[trap\]"), f"errors always: {options}")
            check(("INFO " in server.log()) == info, f"{options}: {server.log()[:300]}")
    for options in (("--log-level", "all"), ("--quiet", "--log-level", "info")):
        done = subprocess.run([*command("up"), *options, HELLO], capture_output=True, text=True)
        check(done.returncode == 2 and "--log-level" in done.stderr, f"{options}: {done}")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
