#!/usr/bin/env python3
"""End to end: key-value stores and SQLite databases of a function (guest storage.c): what it may open, what is kept, who is
held by what, and what is there when processes are killed.

    storage.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from run import Client, Failure, Server, ask, check, children, command, expect, guest, is_idle, main
from workers import until

GRANTS = ("--key-value-store", "default", "--sqlite-database", "default")
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@contextlib.contextmanager
def storing(folder, *options):
    with Server(guest("storage"), "--state-dir", folder, *(options or GRANTS)) as server:
        yield server


def path(*words):
    return "/" + "/".join(urllib.parse.quote(word, safe="") for word in words)


def sql(server, *statements, label="default"):
    return ask(server.port, path("sql", label, *statements))


def keeper(server):
    """The service process: the child that has children, once something is open. The builder, which may have compilers,
    ends soon or lets others go first."""
    def parents():
        return [pid for pid in children(server.supervisor()) if not is_idle(pid) and children(pid)]
    until(lambda: len(parents()) == 1, "one process keeps stores")
    return parents()[0]


def case_storage_values():
    """Every operation of every version, and what one request set the next one finds, also of another worker and server."""
    with tempfile.TemporaryDirectory() as folder:
        with storing(folder, *GRANTS, "--workers", "2") as server:
            port = server.port
            expect(ask(port, path("kv", "default", "get", "a")), 404)
            expect(ask(port, path("kv", "default", "set", "a", "grüße/%")), 200, b"done\n")
            expect(ask(port, path("kv", "default", "set", "b", "")), 200, b"done\n")
            for _ in range(20):
                expect(ask(port, path("kv", "default", "get", "a")), 200, "grüße/%".encode())
            expect(ask(port, path("kv", "default", "get", "b")), 200, b"")
            expect(ask(port, path("kv", "default", "keys")), 200, b"a\nb\n")
            expect(ask(port, path("kv", "default", "exists", "a")), 200, b"yes\n")
            expect(ask(port, path("old", "default", "get", "a")), 200, "grüße/%".encode())
            expect(ask(port, path("old", "default", "get", "none")), 500, b"no-such-key\n")
            expect(ask(port, path("add", "default", "n", "5")), 200, b"5")
            expect(ask(port, path("add", "default", "n", "-7")), 200, b"-2")
            expect(ask(port, path("add", "default", "a", "1")), 500,
                   b"other: the value is no number to be incremented, which has 8 bytes\n")
            expect(ask(port, path("kv", "default", "delete", "b")), 200, b"done\n")
            expect(ask(port, path("kv", "default", "exists", "b")), 200, b"no\n")
            expect(sql(server, "CREATE TABLE t (a, b, c, d)", "INSERT INTO t VALUES (1, 'it''s', NULL, 0.25)",
                       "SELECT * FROM t"), 200, b"a|b|c|d\n1|it's|null|250/1000\n")
            expect(sql(server, "BEGIN", "INSERT INTO t (a) VALUES (2)"), 200)  # ends with its request
            expect(sql(server, "SELECT count(*) AS n FROM t"), 200, b"n\n1\n")
            expect(sql(server, "SELECT 1; SELECT 2"), 500,
                   b"io: there is something behind the statement: execute one at a time\n")
        with storing(folder) as server:
            expect(ask(server.port, path("kv", "default", "get", "a")), 200, "grüße/%".encode())
            expect(sql(server, "SELECT b FROM t"), 200, b"b\nit's\n")


def case_storage_denied():
    """What was not granted is denied, with one line that says what would permit it; two labels are two stores."""
    with tempfile.TemporaryDirectory() as folder:
        with storing(folder, "--key-value-store", "one", "--key-value-store", "twö", "--workers", "1") as server:
            port = server.port
            expect(ask(port, path("kv", "one", "set", "k", "1")), 200)
            expect(ask(port, path("kv", "twö", "get", "k")), 404)
            expect(ask(port, path("kv", "twö", "set", "k", "2")), 200)
            expect(ask(port, path("kv", "one", "get", "k")), 200, b"1")
            for _ in range(3):
                expect(ask(port, path("kv", "three", "get", "k")), 500, b"access-denied\n")
            expect(ask(port, path("add", "three", "k", "1")), 500, b"access-denied\n")
            expect(sql(server, "SELECT 1", label="one"), 500, b"access-denied\n")
            lines = [line for line in server.log().splitlines() if "denied: opening" in line]
            check(len(lines) == 2, f"a line each, once: {lines}")
            check(lines[0].endswith("to permit it: --key-value-store three"), lines[0])
            check(lines[1].endswith("to permit it: --sqlite-database one"), lines[1])
            names = sorted(os.listdir(os.path.join(folder, "key-value")))
            check(names == ["one", "tw%c3%b6"], f"folders: {names}")
        with storing(folder, "--workers", "1", "--sandbox", "on") as server:
            expect(ask(server.port, path("kv", "one", "get", "k")), 500, b"access-denied\n")


def case_storage_sandboxed():
    """Engines are in a sandbox; what was opened before is all that a worker has of a store."""
    with tempfile.TemporaryDirectory() as folder, storing(folder, *GRANTS, "--workers", "1") as server:
        expect(ask(server.port, path("kv", "default", "set", "k", "1")), 200)
        expect(sql(server, "SELECT 1"), 200)
        engines = children(keeper(server))
        check(len(engines) == 2, f"engines: {engines}")
        for pid in engines:
            with open(f"/proc/{pid}/status") as file:
                found = dict(re.findall(r"^(\w+):[ \t]*(.*)$", file.read(), re.M))
            check(found["Seccomp"] == "2" and found["NoNewPrivs"] == "1", f"{pid}: {found['Seccomp']}")
        for pid in children(server.supervisor()):
            opened = {os.path.realpath(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            check(not [name for name in opened if name.startswith(folder)], f"{pid} has files of stores: {opened}")


def case_storage_slow():
    """A statement that does not end holds neither stores nor the worker, and is ended."""
    with tempfile.TemporaryDirectory() as folder, storing(folder, *GRANTS, "--workers", "1") as server:
        expect(ask(server.port, path("kv", "default", "set", "k", "0")), 200)
        answer = []
        slow = threading.Thread(target=lambda: answer.append(sql(server, ENDLESS)))
        begin = time.monotonic()
        slow.start()
        worst = served = 0
        while slow.is_alive():
            before = time.monotonic()
            expect(ask(server.port, path("kv", "default", "set", "k", str(served))), 200)
            worst = max(worst, time.monotonic() - before)
            served += 1
        slow.join()
        took = time.monotonic() - begin
        expect(answer[0], 500, b"io: the statement ran for more than 5000 ms\n")
        check(4.9 < took < 15, f"it took {took:.1f} s")
        check(served > 20 and worst < 3, f"{served} requests meanwhile, the slowest {worst:.2f} s")
        expect(sql(server, "SELECT 1 AS one"), 200, b"one\n1\n")


def case_storage_killed():
    """Whichever process is killed: every write that was answered is there, and requests are answered again."""
    counts, stop, lock = {}, threading.Event(), threading.Lock()

    def write(port, number):
        value = 0
        while not stop.is_set():
            try:
                with Client(port, timeout=20) as client:
                    while not stop.is_set():
                        value += 1
                        answer = client.ask(path("kv", "default", "set", f"w{number}", str(value)))
                        if answer[0] == 200:
                            with lock:
                                counts[number] = value
            except (OSError, Failure):  # its worker was killed
                continue

    with tempfile.TemporaryDirectory() as folder, storing(folder, *GRANTS, "--workers", "2") as server:
        expect(ask(server.port, path("kv", "default", "set", "begin", "1")), 200)
        writers = [threading.Thread(target=write, args=(server.port, number)) for number in range(8)]
        for writer in writers:
            writer.start()
        for kill in range(12):
            time.sleep(0.15)
            until(lambda: any(children(pid) for pid in children(server.supervisor())), "engines are there again")
            victim = keeper(server)
            if kill % 3 == 1:
                victim = next(iter(children(victim)), victim)
            elif kill % 3 == 2:
                victim = next(pid for pid in children(server.supervisor()) if pid != victim)
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        time.sleep(0.3)
        stop.set()
        for writer in writers:
            writer.join()
        check(len(counts) == 8, f"every writer was answered: {counts}")
        for number, value in counts.items():
            until(lambda: ask(server.port, path("kv", "default", "get", f"w{number}"))[0] == 200, "it is answered again")
            found = int(ask(server.port, path("kv", "default", "get", f"w{number}"))[2])
            check(found >= value, f"w{number}: {value} was answered, {found} is there")
        check("keeps stores and databases ended with signal 9" in server.log(), "the log says who was killed")
        print(f"{sum(counts.values())} writes around 12 kills")


def case_storage_end():
    """Requests that are still running at the end have their stores; nothing is left behind."""
    with tempfile.TemporaryDirectory() as folder:
        with storing(folder, *GRANTS, "--workers", "1") as server:
            expect(ask(server.port, path("kv", "default", "set", "k", "1")), 200)
            expect(sql(server, "SELECT 1"), 200)
            service = keeper(server)
            processes = [service, *children(service)]
            answer = []
            slow = threading.Thread(target=lambda: answer.append(sql(server, "CREATE TABLE late (x)", ENDLESS, "SELECT 1")))
            slow.start()
            time.sleep(0.5)
            for pid in processes:
                os.kill(pid, signal.SIGTERM)  # as an init system tells all of a service
            server.process.send_signal(signal.SIGTERM)
            slow.join()
            expect(answer[0], 500)
            check(b"ran for more than" in answer[0][2], f"its statement was not cut off: {answer[0]}")
            server.process.wait(20)
        for pid in processes:
            until(lambda: not os.path.exists(f"/proc/{pid}"), f"{pid} ended")


def case_storage_run():
    """A command has stores too, each time those that there were; two at once share them."""
    def run(folder, *options):
        done = subprocess.run([*command("run"), *options, "--state-dir", folder, guest("stored")], capture_output=True, timeout=60)
        return done.returncode, done.stderr.decode()

    with tempfile.TemporaryDirectory() as folder:
        check(run(folder, "--key-value-store", "default")[0] == 1, "the first run")
        check(run(folder, "--key-value-store", "default")[0] == 2, "the second run")
        status, log = run(folder)
        check(status == 101 and "--key-value-store default" in log, f"it is denied: {status}, {log}")
        found, threads = [], []
        for _ in range(6):
            threads.append(threading.Thread(target=lambda: found.append(run(folder, "--key-value-store", "default")[0])))
            threads[-1].start()
        for thread in threads:
            thread.join()
        check(sorted(found) == [3, 4, 5, 6, 7, 8], f"runs at the same time: {sorted(found)}")
        status, log = run(folder, "--key-value-store", "x" * 65)
        check(status == 2 and "1 to 64 bytes" in log, f"a label that is too long: {status}, {log}")
        with storing(folder) as server:
            expect(ask(server.port, path("add", "default", "runs", "0")), 200, b"8")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
