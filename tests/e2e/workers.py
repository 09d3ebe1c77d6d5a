#!/usr/bin/env python3
"""End to end: several workers under a supervisor: who dies, who takes its place, what a new image means for those who ask.

    workers.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from run import ROOT, Client, Failure, Server, ask, check, children, command, expect, guest, main

HELLO = os.path.join(ROOT, "examples", "hello-c", "hello.wasm")
OTHER = os.path.join(ROOT, "examples", "hello-rust", "hello.wasm")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def stopped(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def until(condition, what, seconds=120, pause=0.01):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, what)
        time.sleep(pause)


def served_by(server, count):
    """How many connections each worker has, of `count` that are open."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            expect(stack.enter_context(Client(server.port)).ask("/"), 200)
        return [len([fd for fd in os.listdir(f"/proc/{pid}/fd")
                     if is_socket_of(pid, fd, server.port)]) for pid in server.workers()]


def is_socket_of(pid, fd, port):
    try:
        link = os.readlink(f"/proc/{pid}/fd/{fd}")
    except FileNotFoundError:
        return False
    found = re.fullmatch(r"socket:\[(\d+)\]", link)
    return bool(found) and found.group(1) in established(port)


def established(port):
    """Inodes of the connections to this port."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file.read().splitlines()[1:]]
    return {row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"}


def case_work_shared():
    """Connections are shared out over the workers; each serves what it has."""
    with Server(HELLO, "--workers", "4") as server:
        check(len(server.workers()) == 4, f"four workers, not {server.workers()}")
        shares = served_by(server, 64)
        check(sum(shares) == 64 and min(shares) >= 4, f"64 connections on four workers: {shares}")


def case_work_killed():
    """kill -9 of a worker ends the connections that it had, and no others; another takes its place."""
    with Server(HELLO, "--workers", "3") as server:
        time.sleep(1.1) # it has lived: this is no false start
        for turn in range(3):
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(Client(server.port)) for _ in range(48)]
                for client in clients:
                    expect(client.ask("/"), 200)
                victim = server.workers()[turn % 3]
                had = sum(is_socket_of(victim, fd, server.port) for fd in os.listdir(f"/proc/{victim}/fd"))
                os.kill(victim, signal.SIGKILL)
                lost = 0
                for client in clients:
                    try:
                        expect(client.ask("/again"), 200)
                    except (Failure, OSError):
                        lost += 1
                check(lost == had, f"{had} connections were the worker's, {lost} are lost")
            until(lambda: len(now := server.workers()) == 3 and victim not in now, "another takes its place")
            expect(ask(server.port, "/"), 200)
        check(server.wait_log(r"worker \d+ ended with signal 9"), "the log tells of it")


def peers_of(pid, port):
    """The ports of those whose connections to this port the process has, both ends open."""
    with open("/proc/net/tcp") as file:
        rows = [line.split() for line in file.read().splitlines()[1:]]
    peers = {row[9]: int(row[2].split(":")[1], 16) for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"}
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            link = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
            found.add(peers.get(link.group(1)) if link else None)
    return found - {None}


def ask_again(port, stop, lost, each=100):
    """Requests without end; a connection serves for `each` of them, or until it is lost."""
    while not stop.is_set():
        name = "none was made"
        try:
            with Client(port) as client:
                name = client.socket.getsockname()[1]
                for _ in range(each):
                    expect(client.ask("/"), 200, b"Hello from C! You asked for /\n")
                    if stop.is_set():
                        break
        except (Failure, OSError):
            lost.append(name)


@contextlib.contextmanager
def stubborn_load(port, clients=12):
    stop, lost = threading.Event(), []
    threads = [threading.Thread(target=ask_again, args=(port, stop, lost)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield lost
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def kill_under_load(server, lost):
    """Milliseconds until a new connection is answered, until there is another worker, and until that has accepted one."""
    before = server.workers()
    victim = before[0]
    os.kill(victim, signal.SIGSTOP) # what it has accepted is what it has
    until(lambda: stopped(victim), "it stops")
    time.sleep(0.1) # whoever has a connection to it waits by now
    had = peers_of(victim, server.port)
    since = len(lost)
    os.kill(victim, signal.SIGKILL)
    began, times = time.monotonic(), []
    expect(ask(server.port, "/"), 200)
    times.append(time.monotonic() - began)
    newcomers = lambda: set(server.workers()) - set(before)
    until(newcomers, "another takes its place", pause=0.001)
    times.append(time.monotonic() - began)
    new = newcomers().pop()
    until(lambda: peers_of(new, server.port), "the new one accepts", pause=0.001)
    times.append(time.monotonic() - began)
    until(lambda: had <= set(lost[since:]), "those that had a connection to it notice")
    check(set(lost[since:]) == had, f"connections of {had} were the worker's, and {lost[since:]} are lost")
    return [1000 * seconds for seconds in times]


def case_work_killed_load():
    """kill -9 of a worker under load: only connections that it had accepted fail, and new ones are answered at once."""
    for workers in ("3", "1"):
        with Server(HELLO, "--workers", workers) as server, stubborn_load(server.port) as lost:
            for _ in range(4):
                time.sleep(1.1) # no false start
                answered, forked, accepted = kill_under_load(server, lost)
                print(f"  one of {workers} killed: a new connection is answered after {answered:.1f} ms, there is another "
                      f"worker after {forked:.1f} ms, and it accepts after {accepted:.1f} ms at the latest")


def keep_asking(port, path, pause, stop, counts, wrong):
    """Requests one after the other on one connection; nothing may go wrong with any of them."""
    try:
        with Client(port) as client:
            while not stop.is_set():
                status, _, body = client.ask(path)
                if status != 200:
                    wrong.append((status, body))
                counts[body] = counts.get(body, 0) + 1
                time.sleep(pause)
    except (Failure, OSError) as failure:
        wrong.append(str(failure))


@contextlib.contextmanager
def load(port, path="/", clients=6, pause=0.002):
    stop, counts, wrong = threading.Event(), {}, []
    threads = [threading.Thread(target=keep_asking, args=(port, path, pause, stop, counts, wrong))
               for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    check(not wrong, f"{len(wrong)} requests failed, the first: {wrong[:1]}")


def place(source, target):
    """As tools that build do: written aside, renamed over."""
    shutil.copy(source, target + ".new")
    os.rename(target + ".new", target)


def case_work_reload():
    """SIGHUP takes up what the file is by now: no connection ends, no request fails, all workers change over."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "f.wasm")
        place(HELLO, file)
        with Server(file, "--workers", "2") as server, Client(server.port) as idle:
            expect(idle.ask("/"), 200, b"Hello from C! You asked for /\n")
            workers = server.workers()
            with load(server.port) as counts:
                for number, (source, answer) in enumerate(((OTHER, b"Hello from Rust! You asked for /\n"),
                                                           (HELLO, b"Hello from C! You asked for /\n")) * 3):
                    place(source, file)
                    server.process.send_signal(signal.SIGHUP)
                    until(lambda: len(re.findall(r"INFO  reloaded\n", server.log())) == number + 1, "the log says so")
                    time.sleep(0.2)
                    before = dict(counts)
                    time.sleep(0.1)
                    since = {body for body in counts if counts[body] > before.get(body, 0)}
                    check(since == {answer}, f"after a moment only the new one answers, not {since}")
                    expect(idle.ask("/"), 200, answer)
            check(server.workers() == workers, "the workers are the same")


def case_work_reload_refused():
    """What cannot be served is refused with its reason, and the old goes on; also by workers that come later."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "f.wasm")
        place(HELLO, file)
        with Server(file, "--workers", "2") as server, load(server.port):
            time.sleep(1.1)
            for bad, reason in ((guest("process"), r"not reloaded: a core module that does not say what it is as a component"),
                                (guest("net"), r"not reloaded: .* does not export wasi:http/incoming-handler"),
                                (__file__, r"not reloaded: magic header not detected")):
                place(bad, file)
                server.process.send_signal(signal.SIGHUP)
                check(server.wait_log(reason, 120), f"the log says why: {server.log()[-1000:]}")
        with Server(HELLO, "--workers", "1") as server:
            time.sleep(1.1)
            place(HELLO, file)
            os.kill(server.workers()[0], signal.SIGKILL)
            until(lambda: server.workers(), "another worker")
            expect(ask(server.port, "/"), 200)


def case_work_end():
    """SIGTERM lets requests finish and refuses new connections; a second one ends at once."""
    with Server(guest("greedy"), "--workers", "2") as server, Client(server.port) as client, Client(server.port) as idle:
        expect(idle.ask("/"), 200)
        client.send("/work")
        time.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)
        expect(client.response(), 200, b"worked\n")
        check(server.process.wait(20) == 0, "and ends with 0")
    for path in ("/wait", "/spin"):
        server = Server(guest("greedy"), "--workers", "2")
        with Client(server.port) as client:
            client.send(path)
            time.sleep(0.2)
            workers = server.workers()
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            check(server.process.poll() is None, "a request is under way")
            before = time.monotonic()
            check(server.stop() == 0 and time.monotonic() - before < 5, f"the second signal ends it at once ({path})")
            check(not any(map(alive, workers)), "and its workers")


def case_work_orphans():
    """Workers do not outlive the supervisor, whatever happens to it."""
    server = Server(HELLO, "--workers", "2")
    workers = server.workers()
    server.process.kill()
    server.process.wait()
    until(lambda: not any(map(alive, workers)), "the workers end")


@contextlib.contextmanager
def empty_cache():
    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            yield folder
        finally:
            del os.environ["XDG_CACHE_HOME"]
            if before is not None:
                os.environ["XDG_CACHE_HOME"] = before


OPTIMIZED = r"INFO  \[\w+\] all functions are optimized, after [\d.]+ s$"


def case_work_tiers():
    """It answers from a fast image, optimizes what runs and then all of it; nobody who asks notices, and it is kept."""
    large = os.path.join(ROOT, "examples", "routes-rust", "routes.wasm")
    check(os.path.getsize(large) > 128 << 10 > os.path.getsize(HELLO), "one that has rounds, and one that needs none")
    for file, path, rounds in ((HELLO, "/", False), (large, "/count/3000", True)):
        with empty_cache():
            with Server(file, "--tier", "auto", "--workers", "2") as server:
                with load(server.port, path, clients=2, pause=0.01) as counts: # the compiler gets what is left over
                    check(server.wait_log(OPTIMIZED, 400), f"all is optimized in the end: {server.log()[-2000:]}")
                    time.sleep(0.3)
                check(len(counts) == 1, f"the answer stays what it is, not {list(counts)}")
                shares = re.findall(r" (\d+) % of (\d+) samples are in optimized code$", server.log(), re.M)
                check(bool(shares) == rounds, f"rounds that follow samples: {shares}")
                until(lambda: len(children(server.process.pid)) == 2, "the builder has ended", seconds=60)
            with Server(file, "--tier", "auto", "--workers", "1") as server:
                expect(ask(server.port, path), 200)
                time.sleep(0.5)
                check(len(children(server.process.pid)) == 1 and server.log() == "", f"nothing is left to do: {server.log()}")


def parts_of(log):
    return re.findall(r"DEBUG start, at [\d.]+ ms: (.*), [\d.]+ ms \(process \d+\)$", log, re.M)


def case_work_kept():
    """--tier fast serves before what it made is kept, and the next start has it. The log tells the parts of a start."""
    with tempfile.TemporaryDirectory() as folder, empty_cache() as cache:
        file = os.path.join(folder, "f.wasm")
        place(HELLO, file)
        images = lambda: [name for name in (os.listdir(os.path.join(cache, "mayfly")) if os.listdir(cache) else [])
                          if name.endswith(".image")]
        for number in range(2):
            with Server(file, "--tier", "fast", "--log-level", "debug", "--workers", "2") as server:
                expect(ask(server.port, "/"), 200, b"Hello from C! You asked for /\n")
                until(lambda: len(images()) == 1, "the image is kept", seconds=60)
                until(lambda: len(children(server.process.pid)) == 2, "the builder has ended", seconds=60)
                check(server.wait_log(r"ms: serving, "), "the log tells when it serves")
                parts = parts_of(server.log())
                check(("code made" in parts) == (number == 0), f"only the first one compiles: {parts}")
                check(parts.count("image loaded") == 2 and "file hashed" in parts, f"parts: {parts}")
        # A large file is not even hashed again, once it is old enough to be believed.
        with open(HELLO, "rb") as source, open(file, "wb") as target:
            size = 3 << 20
            target.write(source.read() + b"\0" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21]) +
                         b"\1x" + bytes(size - 2))
        hashed = []
        for pause in (0, 6, 0):
            time.sleep(pause)
            with Server(file, "--tier", "fast", "--log-level", "debug") as server:
                expect(ask(server.port, "/"), 200, b"Hello from C! You asked for /\n")
                until(lambda: len(images()) == 2, "the image is kept", seconds=60)
                check(server.wait_log(r"ms: serving, "), "the log tells when it serves")
                hashed.append("file hashed" in parts_of(server.log()))
        check(hashed == [True, True, False], f"hashed: {hashed}")
        os.utime(file, (1, 1))
        with Server(file, "--tier", "fast", "--log-level", "debug") as server:
            check("file hashed" in parts_of(server.log()), "touched, it is hashed again")


def case_work_usage():
    """Numbers of workers that there are not."""
    for number in ("0", "1025", "many", "-1"):
        done = subprocess.run([*command("up"), "--workers", number, HELLO], capture_output=True, text=True)
        check(done.returncode == 2 and "--workers takes a number from 1 to 1024" in done.stderr, f"{number}: {done}")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
