#!/usr/bin/env python3
"""End to end: the examples, in every language, and handlers that misbehave.

    examples.py [--tier TIER] PROGRAM [CASE...]    as run.py

Components that are too large for the tree are built with MAYFLY_TEST_FULL=1, beside PROGRAM in guests/; a toolchain that
is missing skips its case. GUEST_TOOLS is where toolchains are installed to (beside PROGRAM in guest-tools/).
"""
import contextlib
import fcntl
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

import network
import outbound
import run
from run import FULL, ROOT, Client, Failure, Server, Skipped, ask, check, expect, free_port, guest, resident

# AddressSanitizer keeps freed memory back, by default more than the tests of memory let a server grow.
os.environ["ASAN_OPTIONS"] = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:" + os.environ.get("ASAN_OPTIONS", "")
# The C library keeps a freed buffer that is large for the next one, unless it is told where large begins.
os.environ["MALLOC_MMAP_THRESHOLD_"] = "131072"
MIB = 1 << 20
LARGEST = 64 * MIB
LOCAL = ("--allow-outbound", "http://127.0.0.1:*")


def example(name, file):
    return os.path.join(ROOT, "examples", name, file)


def built(name, file):
    """An example that is not in the tree, built once; skips where its toolchain is not there."""
    if not FULL:
        raise Skipped(f"examples/{name} is built with MAYFLY_TEST_FULL=1 only")
    folder = os.path.join(os.path.dirname(run.PROGRAM), "guests")
    os.makedirs(folder, exist_ok=True)
    out = os.path.join(folder, f"{name}.wasm")
    sources = [os.path.join(at, f) for at, _, files in os.walk(os.path.join(ROOT, "examples", name)) for f in files]
    with open(out + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(out) and os.path.getmtime(out) > max(map(os.path.getmtime, sources)):
            return out
        tools = os.environ.get("GUEST_TOOLS", os.path.join(os.path.dirname(run.PROGRAM), "guest-tools"))
        done = subprocess.run([example(name, "build.sh"), out], env=os.environ | {"GUEST_TOOLS": tools},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=900)
        if done.returncode == 69:
            raise Skipped(f"examples/{name}: {done.stderr.strip()[-200:]}")
        check(done.returncode == 0, f"examples/{name}/build.sh: {done.stderr[-2000:]}")
    return out


def expect_json(answer, status, right):
    check(answer[0] == status, f"status {status}, not {answer[0]} with {answer[2]!r:.200}")
    check(answer[1].get("content-type") == "application/json", f"JSON, not {answer[1]}")
    value = json.loads(answer[2])
    check(right(value), f"another answer than {value!r:.300}")


def is_error(value):
    return set(value) == {"error"} and isinstance(value["error"], str) and value["error"]


def orders(client):
    """Orders, and what looks like some."""
    items = [{"name": "tea", "count": 2, "cents": 350}, {"count": 1, "cents": 5, "more": [1.5e3, None, {"a": [True, "}"]}]}]
    for customer, chosen in (("Ada", items), ("", []), ('J\u00f6rg "\\/" \u2603 \U0001f375\n', items * 500), ("big", items[:1] * 9000)):
        for escaped in (True, False):
            text = json.dumps({"x": -0.5e-3, "items": chosen, "customer": customer}, ensure_ascii=escaped, indent=1 if escaped else None)
            sums = {"customer": customer, "pieces": sum(i["count"] for i in chosen),
                    "cents": sum(i["count"] * i["cents"] for i in chosen)}
            expect_json(client.ask("/order", "POST", text.encode()), 200, lambda value: value == sums)
    for text in ("", "{", "null", "[]", "{}", '{"customer": "a"}', '{"customer": 1, "items": []}', '{"customer": "a", "items": [1]}',
                 '{"customer": "a", "items": [{"count": 1}]}', '{"customer": "a", "items": [{"count": -1, "cents": 1}]}',
                 '{"customer": "a", "items": [{"count": 1.5, "cents": 1}]}', '{"customer": "a", "items": []} x',
                 '{"customer": "\\x", "items": []}', '{"customer": "a", "items": [],}', "[" * 2000):
        expect_json(client.ask("/order", "POST", text.encode()), 400, is_error)
    expect_json(client.ask("/order", "POST", b" " * (MIB + 1)), 413, is_error)


def fetches(client):
    """Another server's answers are passed on; one that is not there, and one that nobody granted, are a 502."""
    body = bytes(i * 7 >> 3 & 255 for i in range(300000))
    def serve(connection):
        request = outbound.Request(connection)
        path = request.line.split()[1]
        check(path == "/some/path?with=query" or path == "/", f"another path than {path}")
        connection.sendall(b"HTTP/1.1 203 Some\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    with outbound.Peer(serve) as peer:
        expect(client.ask(f"/fetch/http/127.0.0.1:{peer.port}/some/path?with=query"), 203, body)
        expect(client.ask(f"/fetch/http/127.0.0.1:{peer.port}/"), 203, body)
    expect_json(client.ask(f"/fetch/http/127.0.0.1:{free_port()}/"), 502, is_error)
    expect_json(client.ask("/fetch/http/127.0.0.2:80/"), 502, is_error)


def numbers(last):
    return b"".join(b"%d\n" % i for i in range(1, last + 1))


def routes(file, language):
    """Every route of one of the examples."""
    with Server(file, *LOCAL) as server, Client(server.port) as client:
        for _ in range(2):
            answer = client.ask("/")
            expect(answer, 200, f"Routes in {language}\n".encode())
            check(answer[1].get("content-type") == "text/plain", f"text, not {answer[1]}")
        for last in (0, 1, 2000, 100000):
            expect(client.ask(f"/count/{last}"), 200, numbers(last))
        for digits in ("", "x", "-1", "1.5", "99999999999999999999"):
            expect_json(client.ask(f"/count/{digits}"), 400, is_error)
        orders(client)
        for size in (0, 1, 4096, 65537, 3 * MIB):
            echo_stream(client, size, size, False)
            echo_stream(client, size, size, True)
        for path in ("/nothing", "/order/", "/echo?x", "//"):
            expect_json(client.ask(path), 404, is_error)
        for method, path in (("POST", "/"), ("GET", "/order"), ("PUT", "/echo")):
            expect_json(client.ask(path, method), 405, is_error)
        fetches(client)
        expect(client.ask("/"), 200)
        check(server.wait_log("127.0.0.2"), f"a line about what is not granted in {server.log()[-1000:]}")


def case_routes_c():
    """The routes in C."""
    routes(example("routes-c", "routes.wasm"), "C")


def case_routes_rust():
    """The routes in Rust."""
    routes(example("routes-rust", "routes.wasm"), "Rust")


def case_routes_js():
    """The routes in JavaScript."""
    routes(built("routes-js", "routes.wasm"), "JavaScript")


def case_routes_python():
    """The routes in Python."""
    routes(built("routes-python", "routes.wasm"), "Python")


def case_routes_go():
    """The routes in Go."""
    routes(built("routes-go", "routes.wasm"), "Go")


def words(file):
    """The words of a text, counted by a library in another language."""
    with Server(file) as server, Client(server.port) as client:
        for _ in range(20):
            expect(client.ask("/2", "POST", "The cat and the dog and the \u00dcbermensch".encode()), 200,
                   "8 words, longest: \u00dcbermensch\n3 the\n2 and\n".encode())
            expect(client.ask("/9", "POST", b" \r\n"), 200, b"0 words, longest: \n")
        many = 5000
        listed = b"".join(b"1 %d\n" % i for i in range(1, many + 1))
        expect(client.ask("/99999", "POST", numbers(many)), 200, b"%d words, longest: 1000\n" % many + listed)
        expect(client.ask("/3", "POST", numbers(100001)), 422, b"too many different words\n")
        expect(client.ask("/x", "POST", b""), 400)
        expect(client.ask("/1", "POST", b"\xff"), 400)


def case_words_rust_c():
    """A handler in Rust with a library in C."""
    words(example("words-rust-c", "words.wasm"))


def case_words_js_python():
    """A handler in JavaScript with a library in Python."""
    words(built("words-js-python", "words.wasm"))


class Stream:
    """A body that is made, sent and compared as it goes, so that this process keeps none of it."""

    def __init__(self, seed, size):
        self.block, self.size, self.at = random.Random(seed).randbytes(65521), size, 0

    def next(self, most):
        start = self.at % len(self.block)
        part = self.block[start:start + min(most, self.size - self.at)]
        self.at += len(part)
        return part


def send_stream(client, seed, size, chunked):
    stream = Stream(seed, size)
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    client.socket.sendall(f"POST /echo HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n".encode())
    while part := stream.next(65536):
        client.socket.sendall(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
    if chunked:
        client.socket.sendall(b"0\r\n\r\n")


def parts_of(client, headers):
    """The body of an answer, in the parts that it comes in."""
    chunked = headers.get(b"transfer-encoding") == b"chunked"
    while count := int(client.line(), 16) if chunked else int(headers.get(b"content-length", b"0")):
        while count:
            if not client.pending:
                client.more()
            part, client.pending = client.pending[:count], client.pending[count:]
            count -= len(part)
            yield part
        if not chunked:
            return
        check(client.line() == b"", "a chunk ends in CR LF")
    check(not chunked or client.line() == b"", "the body ends with an empty line")


def echo_stream(client, seed, size, chunked):
    """Sends a body while its echo is read; both are compared byte for byte."""
    sender = threading.Thread(target=send_stream, args=(client, seed, size, chunked), daemon=True)
    sender.start()
    status = client.line()
    check(status.startswith(b"HTTP/1.1 200 "), f"200 for {size} bytes, not {status!r}")
    headers = dict(line.lower().split(b": ", 1) for line in iter(client.line, b""))
    right = Stream(seed, size)
    for part in parts_of(client, headers):
        while part:
            same = right.next(len(part))
            check(same and part.startswith(same), f"another byte than was sent, near {right.at} of {size}")
            part = part[len(same):]
    sender.join()
    check(right.at == size, f"{right.at} bytes came back of {size}")


def other_request(client, source):
    """A small request, of the words or the routes."""
    last = source.choice((0, 1, 10, 3000))
    kind = source.randrange(4)
    if kind == 0:
        expect(client.ask(f"/count/{last}"), 200, numbers(last))
    elif kind == 1:
        body = json.dumps({"customer": str(last), "items": [{"count": 2, "cents": last}]}).encode()
        expect_json(client.ask("/order", "POST", body), 200,
                    lambda value: value == {"customer": str(last), "pieces": 2, "cents": 2 * last})
    elif kind == 2:
        expect_json(client.ask("/nothing"), 404, is_error)
    else:
        check(client.ask("/")[2].startswith(b"Routes in "), "a greeting")


def sizes_of(count, source):
    """Sizes of bodies, few of them large: of a thousand, one is as large as can be and about ten are of several MiB."""
    edges = (0, 1, 4095, 4096, 4097, 65535, 65536, 65537)
    sizes = [source.choice(edges) if source.random() < 0.3 else int(2 ** (source.random() * 18)) for _ in range(count)]
    for _ in range(count // 100):
        sizes[source.randrange(count)] = source.randrange(MIB, 6 * MIB)
    for _ in range(max(1, count // 1000)):
        sizes[source.randrange(count)] = LARGEST
    return sizes


def mixed(files, count, seed):
    """Requests of all kinds over several servers and connections; memory stays where it is after the first ones."""
    source = random.Random(seed)
    sizes = sizes_of(count, source)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(file, *LOCAL)) for file in files]
        clients = [[Client(server.port) for _ in range(3)] for server in servers]
        for client in (c for several in clients for c in several):
            stack.callback(client.socket.close)
            echo_stream(client, 0, 2 * MIB, False)
            for _ in range(20):
                other_request(client, source)
        before = [resident(server.workers()[0]) for server in servers]
        for number, size in enumerate(sizes):
            several = range(len(servers)) if size == LARGEST else [source.randrange(len(servers))]
            for which in several:
                client = source.choice(clients[which])
                if size < MIB and source.random() < 0.4:
                    other_request(client, source)
                else:
                    echo_stream(client, number, size, source.random() < 0.5)
        for file, server, start in zip(files, servers, before):
            grown = resident(server.workers()[0]) - start
            check(grown < 4096, f"{count} requests made the server of {file} grow by {grown} KiB, from {start}")


def case_mixed():
    """Two thousand requests over the examples of the tree, with bodies from nothing to 64 MiB."""
    mixed([example("routes-c", "routes.wasm"), example("routes-rust", "routes.wasm")], 2000, 11)


def case_mixed_js():
    """The same in JavaScript."""
    mixed([built("routes-js", "routes.wasm")], 200, 12)


def case_mixed_python():
    """The same in Python."""
    mixed([built("routes-python", "routes.wasm")], 200, 13)


def case_mixed_go():
    """The same in Go."""
    mixed([built("routes-go", "routes.wasm")], 200, 14)


# What a handler does, what its client gets (a status, or None for an answer that breaks off), and what the log says.
UNFINISHED = "the response's body was not finished, or not as long as it said"
WRONGS = (("/twice", 500, r"trap: host function failed: handle index \d+ is of another resource type"),
          ("/twice-whole", 200, r"trap: host function failed: unknown handle index"),
          ("/exit", 500, r"trap: the guest asked to exit: status 1"),
          ("/exit-stream", None, r"trap: the guest asked to exit: status 1"),
          ("/dropped", 500, UNFINISHED),
          ("/outparam-dropped", 500, "returned without setting a response"),
          ("/short", 500, UNFINISHED), ("/long", 500, UNFINISHED), ("/short-stream", None, UNFINISHED),
          ("/status", 500, "the response cannot be sent: its status, a field, or the connection"))


def breaks_off(client):
    """The head is that of an answer, and the connection ends before the body does."""
    check(client.line().startswith(b"HTTP/1.1 200 "), "the answer has begun")
    headers = dict(line.lower().split(b": ", 1) for line in iter(client.line, b""))
    rest = client.until_end()
    whole = rest.endswith(b"0\r\n\r\n") if b"transfer-encoding" in headers else len(rest) >= int(headers[b"content-length"])
    check(rest and not whole, f"an answer that breaks off, not {len(rest)} bytes of {headers}")


def case_misbehave():
    """A handler that does what it should not: a clean 500 or a broken answer, a line that says why, and nobody notices."""
    with Server(guest("misbehave")) as server, Client(server.port) as other:
        for path, status, why in WRONGS * 2:
            before = len(server.log())
            with Client(server.port) as client:
                client.send(path)
                if status is None:
                    breaks_off(client)
                else:
                    expect(client.response(), status, {200: b"first\n", 500: b"500 Internal Server Error\n"}[status])
                    expect(client.ask("/"), 200, b"fine\n")
            for _ in range(500):
                if re.search(why, server.log()[before:]):
                    break
                time.sleep(0.02)
            check(re.search(why, server.log()[before:]), f"{path}: {why!r} in {server.log()[before:]!r:.500}")
            expect(other.ask("/"), 200, b"fine\n")
        expect(other.ask("/unfinished"), 200, bytes(10))  # left alone, neither finished nor dropped: it ends with the handler
        status, _, body = other.ask("/unfinished-stream")
        check(status == 200 and len(body) > 65536 and not any(body), f"{status} {len(body)}")
        answer = other.ask("/length")
        expect(answer, 200, bytes(10)) # a length that is none is none
        expect(other.ask("/fields"), 200, b"0000011")  # invalid-syntax, forbidden


def case_given():
    """A handler finds the variables and directories that it was given, and nothing else."""
    with tempfile.TemporaryDirectory() as top:
        with open(os.path.join(top, "there"), "w", encoding="utf-8") as file:
            file.write("read")
        os.environ["MAYFLY_TEST_HERE"] = "of this process"
        options = ("--env", "A=1=2", "--env", "MAYFLY_TEST_HERE", "--env", "MAYFLY_TEST_NOWHERE", "--dir", f"{top}::data:ro",
                   "--dir", top)
        for given, lines in (((), []), (options, ["variable A=1=2", "variable MAYFLY_TEST_HERE=of this process",
                                                  "directory data read unwritten", f"directory {top} read written"])):
            with Server(guest("given"), *given) as server:
                for _ in range(3):
                    expect(ask(server.port, "/there"), 200, "".join(f"{line}\n" for line in lines).encode())
        with Server(guest("given"), *options) as server:
            for unread in ("/absent/x", "/../there"):
                expect(ask(server.port, unread), 200, "".join(f"{line}\n" for line in lines[:2] + [
                    "directory data unread unwritten", f"directory {top} unread unwritten"]).encode())
        path = os.fsencode(top) + b"/\xff.wasm" # names of files need not be texts
        with open(guest("given"), "rb") as file, open(path, "wb") as copy:
            copy.write(file.read())
        with Server(path) as server:
            expect(ask(server.port, "/"), 200, b"")
        done = subprocess.run([*run.command("up"), "--dir", f"{top}/absent", guest("given")], capture_output=True, text=True)
        check(done.returncode == 1 and f"{top}/absent" in done.stderr, f"the folder named, not {done.stderr!r}")


def case_no_answer():
    """A handler that waits keeps nobody from an answer, and the server can be told to end all the same."""
    with contextlib.ExitStack() as stack:
        with Server(guest("misbehave")) as server:
            waiting = [stack.enter_context(Client(server.port)) for _ in range(20)]
            for client in waiting:
                client.send("/wait")
            for _ in range(50):
                expect(ask(server.port, "/"), 200, b"fine\n")
            waiting[0].socket.close()
            expect(ask(server.port, "/"), 200, b"fine\n")
            network.stop_now(server)
        with contextlib.suppress(ConnectionError):
            check(waiting[1].until_end() == b"", "nothing that looks like an answer")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
