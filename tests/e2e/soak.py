#!/usr/bin/env python3
"""End to end: ten million requests, and nothing grows.

    soak.py [--tier TIER] PROGRAM [CASE...]    as run.py; with MAYFLY_TEST_FULL=1 only

Two servers with two workers each. One answers fast clients (`bench-million` beside the program) that compare every byte, half
of which make a new connection after every hundred requests. The other has guests that wait, trap, take all memory or all time,
and clients that go away, so that what happens rarely happens often as well. Who gets how many of the clients differs from
round to round, and a worker keeps what its busiest moment took, until nobody wanted it for a while. So half way and at the end
the memory is compared that each process has once all that is given back, to a MiB; and the most that it had in the first half
of the rounds with that in the second, to what one more instance may take. Descriptors are as at the start.
"""
import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time

import run
from run import FULL, Client, Failure, Server, Skipped, check, descriptors, expect, guest, main, resident
from workers import HELLO, until

TRAPPED = b"500 Internal Server Error\n"
ROUNDS, REQUESTS = max(2, int(os.environ.get("SOAK_ROUNDS", 10))), 1000000 # of each round
EACH = 100
GROWTH_KIB = 1024 # of a cooled process, in half of the requests: a quarter of a byte for each of the fast ones, some 40 for each mixed one
MEMORY = 24 # MiB that a greedy instance may have
BUSY_KIB = (1024, MEMORY * 1024) # of the most that a process of either server had: nobody there has more than a few pages; one more instance
COOL_SECONDS = 25 # after so long without use a worker has given back what it can (node/programs.c)


def fast_clients(port, requests):
    """Of two programs: one keeps its connections, the other does not."""
    program = os.path.join(os.path.dirname(run.PROGRAM), "bench-million")
    started = [subprocess.Popen([program, str(port), str(requests // 2), "32", "Hello from C! You asked for ", *each],
                                stdout=subprocess.PIPE, text=True) for each in ((), (str(EACH),))]
    try:
        for client in started:
            told, _ = client.communicate(timeout=1800)
            check(client.returncode == 0 and json.loads(told)["answered"] == requests // 2,
                  f"each request is answered, and right: {told}")
    finally:
        for client in started:
            client.kill()
            client.wait()


def hello(client, source):
    path = "/" + "x" * source.randrange(900)
    answer = f"Hello from C! You asked for {path}\n".encode()
    kind = source.randrange(4)
    if kind == 0:
        expect(client.ask(path, "POST", source.randbytes(source.randrange(100000))), 200, answer)
    elif kind == 1:
        expect(client.ask(path, "HEAD"), 200, b"")
    elif kind == 2:
        for _ in range(5):
            client.send(path)
        for _ in range(5):
            expect(client.response(), 200, answer)
    else:
        expect(client.ask(path, headers=[f"X-{source.random()}: {source.random()}"]), 200, answer)
    return True


def odd(client, source):
    """False: the client goes away."""
    kind = source.randrange(8)
    number = source.randrange(100000)
    if kind == 0:
        client.send(f"/nap/{5 + number % 40}/{number}")
        expect(client.response(), 200, f"napped {number}, wrong: 0\n".encode())
    elif kind in (1, 2, 3): # what takes long may take too long
        path, answers = (("/grow", ((200, b"no more\n"),)), ("/deep", ((500, TRAPPED),)), ("/spin", ()))[kind - 1]
        answer = client.ask(path)
        check((answer[0], answer[2]) in (*answers, (504, b"504 Gateway Timeout\n")), f"{path}: {answer}")
    elif kind == 4:
        client.send("/spin" if number % 4 == 0 else "/wait")
    elif kind == 5:
        client.socket.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + bytes(number % 70000))
    elif kind == 6:
        client.socket.sendall(b"GET / HTTP/1.1\r\nno field\r\n\r\n")
        answer = client.until_end()
        check(answer.startswith(b"HTTP/1.1 400 "), f"a refusal, not {answer}")
    else:
        expect(client.ask("/"), 200, b"fine\n")
    return kind not in (2, 3, 4, 5, 6)


def keep_on(port, act, seed, stop, counts, wrong):
    source = random.Random(seed)
    try:
        while not stop.is_set():
            with Client(port) as client:
                goes_on = True
                while goes_on and not stop.is_set():
                    goes_on = act(client, source)
                    counts[seed] += 1
                    time.sleep(0.01)
    except (Failure, OSError) as failure:
        wrong.append(f"{act.__name__}: {type(failure).__name__}: {failure}")


@contextlib.contextmanager
def others(servers):
    """Slower clients of each kind beside the fast ones."""
    stop, wrong = threading.Event(), []
    acts = [(servers[0].port, hello)] * 2 + [(servers[1].port, odd)] * 6
    counts = [0] * len(acts)
    threads = [threading.Thread(target=keep_on, args=(port, act, seed, stop, counts, wrong))
               for seed, (port, act) in enumerate(acts)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    check(not wrong, f"{len(wrong)} clients got something else, the first: {wrong[:1]}")


def processes(servers):
    return [pid for server in servers for pid in (server.process.pid, *server.workers())]


def settled(servers, few):
    """Once no client is there any more: memory and descriptors of each process."""
    until(lambda: all(descriptors(pid) <= few.get(pid, 1 << 20) for pid in processes(servers)),
          "no descriptor stays of a client that is gone", 30)
    return {pid: (resident(pid), descriptors(pid)) for pid in processes(servers)}


def cooled(servers):
    """Memory of each process, once none has given anything back for a while."""
    began = since = time.monotonic()
    memory = {pid: resident(pid) for pid in processes(servers)}
    while time.monotonic() - since < COOL_SECONDS:
        check(time.monotonic() - began < 20 * COOL_SECONDS, f"memory comes to rest, KiB: {memory}")
        time.sleep(1)
        before, memory = memory, {pid: resident(pid) for pid in memory}
        if any(memory[pid] < before[pid] for pid in memory):
            since = time.monotonic()
    print("  cooled, KiB: " + ", ".join(map(str, memory.values())), flush=True)
    return memory


def case_soak():
    """Ten million requests, mixed: none fails, no process grows."""
    if not FULL:
        raise Skipped("minutes of load, with MAYFLY_TEST_FULL=1 only")
    with Server(HELLO, "--workers", "2") as first, \
            Server(guest("greedy"), "--workers", "2", "--cpu-time", "50ms", "--max-memory", f"{MEMORY}M") as second:
        servers = (first, second)
        few = {pid: descriptors(pid) for pid in processes(servers)}
        began, seen, cold, mixed = time.monotonic(), [], [], 0
        for turn in range(ROUNDS):
            with others(servers) as counts:
                fast_clients(first.port, REQUESTS)
            mixed += sum(counts)
            seen.append(settled(servers, few))
            print(f"  {(turn + 1) * REQUESTS} requests and {mixed} mixed ones in {time.monotonic() - began:.0f} s; KiB: "
                  + ", ".join(str(memory) for memory, _ in seen[-1].values()), flush=True)
            if turn + 1 in (ROUNDS // 2, ROUNDS):
                cold.append(cooled(servers))
        check(seen[0].keys() == seen[-1].keys(), f"no worker died: {list(seen[0])}, {list(seen[-1])}")
        for server, busy in zip(servers, BUSY_KIB):
            for pid in processes([server]):
                files, halves = seen[-1][pid][1], (seen[:ROUNDS // 2], seen[ROUNDS // 2:])
                before, most = (max(turn[pid][0] for turn in half) for half in halves)
                check(most - before < busy, f"{pid} had {before} KiB at most, and then {most}")
                check(cold[1][pid] - cold[0][pid] < GROWTH_KIB, f"{pid} grew from {cold[0][pid]} to {cold[1][pid]} KiB")
                check(files <= few[pid], f"{pid} has {files} descriptors, and had {few[pid]}")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
