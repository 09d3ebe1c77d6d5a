#!/usr/bin/env python3
"""End to end: what a request may take, and what its neighbours notice.

    limits.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import os
import re
import resource
import socket
import struct
import subprocess
import sys
import threading
import time

from run import Client, Server, ask, check, command, expect, guest, main, resident

ENDLESS = ("/spin", "/fill", "/doze")


def case_time():
    """Time, waited or worked, has an end: 504, or an answer that breaks off; the log says which limit it was."""
    with Server(guest("greedy"), "--timeout", "300ms") as server:
        for path in (*ENDLESS, "/wait"):
            expect(ask(server.port, path), 504, b"504 Gateway Timeout\n")
            expect(ask(server.port, "/"), 200, b"fine\n")
        check(server.wait_log(r"\[greedy\] ended: a request may take 0\.3 s of time \(--timeout\)"), "the log says why")
        expect(ask(server.port, "/work"), 200, b"worked\n")
    with Server(guest("greedy"), "--cpu-time", "200ms") as server:
        for path in ENDLESS:
            expect(ask(server.port, path), 504, b"504 Gateway Timeout\n")
        check(server.wait_log(r"\[greedy\] ended: a request may take 0\.2 s of processor time \(--cpu-time\)"), "the log says why")
        with Client(server.port) as client:
            client.send("/spin-stream")
            check(client.line() == b"HTTP/1.1 200 OK", "the answer has begun")
            rest = client.until_end()
            check(len(rest) > 100000 and not rest.endswith(b"0\r\n\r\n"), "and breaks off")
        with Client(server.port) as client:
            client.send("/wait")
            client.socket.settimeout(1)
            with contextlib.suppress(TimeoutError):
                check(not client.socket.recv(1), "waiting takes no processor time")
        expect(ask(server.port, "/"), 200, b"fine\n")


def case_memory():
    """A guest that takes all memory that it can finds an end, as often as it tries."""
    for limit in ("32M", "64M"):
        with Server(guest("greedy"), "--max-memory", limit) as server, Client(server.port) as client:
            for _ in range(20):
                expect(client.ask("/grow"), 200, b"no more\n")
                expect(client.ask("/"), 200, b"fine\n")
    done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", "--max-memory", "1M", guest("greedy")], capture_output=True, text=True)
    check(done.returncode == 1 and re.search(r"need \d+ bytes at the start, and 1048576 are allowed", done.stderr),
          f"one that begins with more is refused, not {done.stderr!r}")


def case_large():
    """A large memory is given back in parts: others are served between them, and nothing of it is left."""
    with Server(guest("greedy"), "--max-memory", "512M", "--timeout", "60s", "--cpu-time", "60s") as server:
        worker = server.workers()[0]
        expect(ask(server.port, "/"), 200, b"fine\n")
        before, failures, times = resident(worker), [], []

        def take_all():
            for _ in range(3):
                answer = ask(server.port, "/grow")
                if answer[0] != 200 or answer[2] != b"no more\n":
                    failures.append(answer)
        threads = [threading.Thread(target=take_all) for _ in range(2)]
        for thread in threads:
            thread.start()
        with Client(server.port) as client:
            while any(thread.is_alive() for thread in threads):
                began = time.monotonic()
                expect(client.ask("/"), 200, b"fine\n")
                times.append(time.monotonic() - began)
        check(not failures, f"all had their memory: {failures}")
        for _ in range(1000):
            if resident(worker) < before + 50_000:
                break
            time.sleep(0.01)
        check(resident(worker) < before + 50_000, f"it is given back: {before} KiB at first, {resident(worker)} now")
        times.sort()
        print(f"  {len(times)} requests beside memories of 512 MiB: median {times[len(times) // 2] * 1000:.1f} ms, "
              f"p99 {times[len(times) * 99 // 100] * 1000:.1f} ms, at most {times[-1] * 1000:.1f} ms")
        ask(server.port, "/grow")


def case_stack():
    """Recursion without end is a trap."""
    with Server(guest("greedy")) as server, Client(server.port) as client:
        for _ in range(20):
            expect(client.ask("/deep"), 500)
            expect(client.ask("/"), 200, b"fine\n")
        check(server.wait_log(r"  1: descend .*\n.*\.\.\. 46 times more\n"), f"the recursion in short, not {server.log()[-500:]}")
    for size, status in (("64K", 500), ("64M", 200)): # six million bytes of frames at least
        with Server(guest("greedy"), "--max-stack", size) as server:
            expect(ask(server.port, "/deep/100000"), status)
            expect(ask(server.port, "/"), 200, b"fine\n")


def case_handles():
    """One handle more than there may be is a trap, and the log says which limit it was."""
    for number, status in (("8", 500), ("100", 200)):
        with Server(guest("leak"), "--max-handles", number) as server:
            for _ in range(3):
                status_of = ask(server.port, "/k/1")[0] # it makes 21 handles and keeps them
                check(status_of == status, f"{status} with --max-handles {number}, not {status_of}")
            if status == 500:
                check(server.wait_log(r"\[leak\] trap: .*more than 8 handles"), f"the log says so: {server.log()[-300:]}")


def case_body():
    """A body that is longer than it may be: 413, at once when its length is told, else as an error of the guest's stream."""
    with Server(guest("echo"), "--max-body", "100K") as server:
        for size, status in ((0, 200), (102400, 200), (102401, 413)):
            with Client(server.port) as client:
                expect(client.ask("/", "POST", bytes(size)), status, bytes(size) if status == 200 else None)
        with Client(server.port) as client:
            client.socket.sendall(b"POST /whole HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            time.sleep(0.05)
            client.socket.sendall(b"19001\r\n")
            answer = client.response()
            check(answer[0] == 200 and answer[2] == b"", f"a guest that reads to the error, not {answer}")


def case_instances():
    """More requests at once than there may be: 503 with a word about when to come back."""
    with Server(guest("greedy"), "--max-instances", "3") as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port)) for _ in range(3)]
        for client in clients[:2]:
            client.send("/wait")
        clients[2].send("/spin")
        for _ in range(200): # the three must have begun
            answer = ask(server.port, "/")
            if answer[0] == 503:
                break
            time.sleep(0.01)
        expect(answer, 503, b"503 Service Unavailable\n")
        check(answer[1].get("retry-after") == "1", f"when to come back, not {answer[1]}")
        reset(clients.pop().socket)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def until(port, status):
    for _ in range(500):
        if ask(port, "/")[0] == status:
            return
        time.sleep(0.01)
    check(False, f"{status} in the end")


def case_gone():
    """A client that is gone ends its request, whatever that is doing."""
    for path in (*ENDLESS, "/wait", "/spin-stream"):
        for leave in (reset, socket.socket.close): # one that closes looks like one that only sends no more
            with Server(guest("greedy"), "--max-instances", "1") as server:
                client = Client(server.port)
                client.send(path)
                until(server.port, 503)
                leave(client.socket)
                check("trap" not in server.log(), f"nothing to tell of {path}, but {server.log()[-500:]}")
    with Server(guest("greedy"), "--timeout", "1500ms") as server, Client(server.port) as client:
        client.send("/wait")
        client.socket.shutdown(socket.SHUT_WR)
        check(client.line() == b"HTTP/1.1 100 Continue" and client.line() == b"", "a word that means nothing")
        expect(client.response(), 504)


def case_asleep():
    """Many more requests that wait than there are slots: each finds again what it left, and none takes much meanwhile."""
    count, seconds = (10000, 8) if os.environ.get("MAYFLY_TEST_FULL") else (2000, 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 100:
        count = hard - 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 100), hard))
    with Server(guest("greedy"), "--max-instances", "20000") as server, contextlib.ExitStack() as stack:
        expect(ask(server.port, "/nap/1/1"), 200, b"napped 1, wrong: 0\n")
        worker = server.workers()[0]
        before = resident(worker)
        clients = [stack.enter_context(Client(server.port)) for _ in range(count)]
        for number, client in enumerate(clients):
            client.send(f"/nap/{seconds * 1000 + number % 100}/{number * 7919 % 100003}")
        expect(ask(server.port, "/"), 200, b"fine\n")
        with open(f"/proc/{worker}/maps") as file:
            maps = len(file.readlines())
        print(f"  {count} requests asleep: {(resident(worker) - before) / count:.1f} KiB each, {maps} mappings")
        check(maps < 20000, "mappings are bounded by the slots, not by the requests")
        for number, client in enumerate(clients):
            if number % 50 == 7:
                client.socket.close() # some do not wait for their answer
            else:
                expect(client.response(), 200, f"napped {number * 7919 % 100003}, wrong: 0\n".encode())
        for client in clients[:7]: # and once more, woken in the middle of others' beginnings
            client.send("/nap/1/77")
        for client in clients[:7]:
            expect(client.response(), 200, b"napped 77, wrong: 0\n")
        if os.environ.get("MAYFLY_TEST_FULL"):
            most = resident(worker)
            time.sleep(31)
            check(resident(worker) < most // 4, f"what was used once is given back: {most} KiB, then {resident(worker)}")
            expect(ask(server.port, "/"), 200, b"fine\n")
    with Server(guest("greedy"), "--max-instances", "20000", "--timeout", "1s") as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port)) for _ in range(400)]
        for client in clients:
            client.send("/nap/60000/5")
        for client in clients:
            expect(client.response(), 504, b"504 Gateway Timeout\n")


def send_again(port, path, statuses, stop, failures):
    """One of those that take what they can: it asks again as soon as it is answered."""
    while not stop.is_set():
        try:
            with Client(port) as client:
                while not stop.is_set():
                    status = client.ask(path)[0]
                    if status not in statuses:
                        failures.append(f"{path}: {status}")
        except OSError as error:
            failures.append(f"{path}: {error}")


def case_neighbours():
    """Endless loops, allocators at their limit and deep recursions beside a function that says hello: none of its requests fails."""
    greedy = [("/spin", (504,)), ("/grow", (200,)), ("/deep", (500,))]
    each, seconds = 8, 2
    if os.environ.get("MAYFLY_TEST_FULL"):
        each, seconds = 64, 30
    with Server(guest("greedy"), "--max-memory", "24M", "--cpu-time", "100ms") as server:
        stop, failures = threading.Event(), []
        threads = [threading.Thread(target=send_again, args=(server.port, path, statuses, stop, failures))
                   for path, statuses in greedy for _ in range(each)]
        for thread in threads:
            thread.start()
        times = []
        end = time.monotonic() + seconds
        with Client(server.port) as client:
            while time.monotonic() < end:
                began = time.monotonic()
                expect(client.ask("/"), 200, b"fine\n")
                times.append(time.monotonic() - began)
        stop.set()
        for thread in threads:
            thread.join()
        check(not failures, f"{len(failures)} other answers, the first: {failures[:3]}")
        times.sort()
        print(f"  {len(times)} requests beside {len(threads)} greedy clients: median {times[len(times) // 2] * 1000:.1f} ms, "
              f"p99 {times[len(times) * 99 // 100] * 1000:.1f} ms")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
