#!/usr/bin/env python3
"""End to end: requests that guests send, to servers in this process, plain and TLS, well-behaved and hostile.

    outbound.py [--tier TIER] PROGRAM [CASE...]    as run.py

The guest `client` tells what came of a request; see its source.
"""
import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import warnings

import network
import run
from network import Names, Peer
from run import Client, Failure, Server, Skipped, ask, check, expect, free_port, guest

# error-code by number, as wit/wasi-http.wit has it.
with open(os.path.join(run.ROOT, "wit", "wasi-http.wit")) as wit:
    CODES = [line.strip().rstrip(",").split("(")[0]
             for line in re.search(r"variant error-code \{(.*?)\n    \}", wit.read(), re.S).group(1).strip().split("\n")]
LOCAL = ("--allow-outbound", "http://127.0.0.1:*", "--allow-outbound", "https://127.0.0.1:*",
         "--allow-outbound", "http://localhost:*", "--allow-outbound", "https://localhost:*")


def pattern(size):
    return bytes((i * 7 >> 3) & 255 for i in range(size))


def read_head(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise Failure(f"the request ended early: {data!r}")
        data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    return lines[0], [tuple(line.split(": ", 1)) for line in lines[1:]], rest


class Request:
    """A whole request: its line, fields, body and trailers."""

    def __init__(self, connection):
        self.connection = connection
        self.line, self.fields, self.rest = read_head(connection)
        self.headers = {name.lower(): value for name, value in self.fields}
        self.trailers = []
        self.body = self.read_body()

    def more(self):
        data = self.connection.recv(65536)
        if not data:
            raise Failure("the body ended early")
        self.rest += data

    def take(self, size):
        while len(self.rest) < size:
            self.more()
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def take_line(self):
        while b"\r\n" not in self.rest:
            self.more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def read_body(self):
        if "content-length" in self.headers:
            return self.take(int(self.headers["content-length"]))
        if self.headers.get("transfer-encoding") != "chunked":
            return None
        body = b""
        while size := int(self.take_line(), 16):
            body += self.take(size)
            check(self.take(2) == b"\r\n", "a chunk ends in CR LF")
        while line := self.take_line():
            self.trailers.append(line.decode())
        return body


def answers(reply, seen=None):
    """A server that answers every request with these bytes, and keeps what it saw."""
    def serve(connection):
        request = Request(connection)
        if seen is not None:
            seen.append(request)
        connection.sendall(reply)
    return serve


def fetch(server, url, **more):
    """The guest's report, as lines."""
    query = "&".join([f"{key}={value}" for key, value in more.items()] + [f"url={url}"])
    answer = ask(server.port, f"/fetch?{query}")
    expect(answer, 200)
    return named(answer[2].decode("latin-1")).split("\n")[:-1]


def named(text):
    return re.sub(r"^(handle|error|read|write|trailers|finish) (\d+)", lambda m: f"{m[1]} {CODES[int(m[2])]}", text,
                  flags=re.M)


def same(report, wanted, what=""):
    check(report == wanted, f"{what}: {wanted}, not {report}")


HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Peer: yes\r\n\r\nhello"


def case_http_types():
    """Every function of wasi:http/types, with what each refuses."""
    with Server(guest("client")) as server:
        answer = ask(server.port, "/types", method="POST", body=b"hello")
        expect(answer, 200, b"ok\n")


def case_http_requests():
    """What goes out: method, target, host, fields, body with a length, in chunks, with trailers; before or after it is
    handed over."""
    seen = []
    with Server(guest("client"), *LOCAL) as server, Peer(answers(HELLO, seen)) as peer:
        url = f"http://127.0.0.1:{peer.port}"
        def request(**more):
            path = more.pop("path", "/a/b?c=d")
            report = fetch(server, url + path, **more)
            same(report, ["status 200", "content-length: 5", "x-peer: yes", "body 5", "hello"], str(more))
            return seen.pop()
        got = request()
        same([got.line, got.fields], ["GET /a/b?c=d HTTP/1.1", [("host", f"127.0.0.1:{peer.port}"), ("X-Guest", "here")]], "a plain request")
        same(request(path="").line, "GET / HTTP/1.1", "no path")
        same(request(path="?q").line, "GET /?q HTTP/1.1", "a query only")
        for method in ("DELETE", "PURGE", "OPTIONS", "TRACE"):
            got = request(method=method)
            same([got.line.split(" ")[0], got.body], [method, None], method)
        for method in ("POST", "PUT", "PATCH"):
            same(request(method=method).headers["content-length"], "0", f"{method} without a body says so")
        for size in (0, 1, 70000, 1000000):
            for how in ({}, {"early": 1}, {"length": size}, {"trailers": 1}, {"early": 1, "trailers": 1}):
                got = request(method="POST", size=size, part=30000, **how)
                check(got.body == pattern(size), f"the body of {size} bytes, {how}: {len(got.body or b'')}")
                wanted = "length" in how or ("early" in how and "trailers" not in how)
                check(("content-length" in got.headers) == wanted, f"{how}: {got.headers}")
                same(got.trailers, ["X-Trailer: sent"] if "trailers" in how else [], str(how))


def case_http_responses():
    """What comes in: lengths, chunks, up to the end; informational ones, HEAD, 204 and 304; trailers."""
    many = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in (b"first ", b"second", b" third"))
    cases = {
        "length": (HELLO, ["status 200", "content-length: 5", "x-peer: yes", "body 5", "hello"]),
        "empty": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ["status 404", "content-length: 0", "body 0", ""]),
        "no reason": (b"HTTP/1.1 599\r\nContent-Length: 0\r\n\r\n", ["status 599", "content-length: 0", "body 0", ""]),
        "close": (b"HTTP/1.1 200 OK\r\n\r\nup to the end", ["status 200", "body 13", "up to the end"]),
        "old": (b"HTTP/1.0 200 OK\r\n\r\nold", ["status 200", "body 3", "old"]),
        "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + many + b"0\r\n\r\n",
                   ["status 200", "body 18", "first second third"]),
        "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + many + b"0\r\nX-Sum: 1\r\nB: 2\r\n\r\n",
                     ["status 200", "body 18", "first second third", "trailers", "x-sum: 1", "b: 2"]),
        "informational": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HELLO,
                          ["status 200", "content-length: 5", "x-peer: yes", "body 5", "hello"]),
        "204": (b"HTTP/1.1 204 No Content\r\n\r\nignored", ["status 204", "body 0", ""]),
        "304": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ["status 304", "content-length: 5", "body 0", ""]),
        "more than it said": (HELLO + b"more", ["status 200", "content-length: 5", "x-peer: yes", "body 5", "hello"]),
        "fields": (b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nKeep-Alive: x\r\nEmpty:\r\nContent-Length: 0\r\n\r\n",
                   ["status 200", "set-cookie: a", "set-cookie: b", "empty: ", "content-length: 0", "body 0", ""]),
    }
    with Server(guest("client"), *LOCAL) as server:
        for name, (reply, wanted) in cases.items():
            with Peer(answers(reply)) as peer:
                same(fetch(server, f"http://127.0.0.1:{peer.port}/"), wanted, name)
            with Peer(by_bytes(reply)) as peer:
                same(fetch(server, f"http://localhost:{peer.port}/"), wanted, name + ", byte by byte")
        with Peer(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n")) as peer:
            same(fetch(server, f"http://127.0.0.1:{peer.port}/", method="HEAD"),
                 ["status 200", "content-length: 77", "body 0", ""], "HEAD")
        with Peer(answers(cases["trailers"][0])) as peer:
            same(fetch(server, f"http://127.0.0.1:{peer.port}/", skip=1), ["status 200", "trailers", "x-sum: 1", "b: 2"],
                 "the body is skipped")


def by_bytes(reply):
    def serve(connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Request(connection)
        for byte in reply:
            connection.sendall(bytes([byte]))
    return serve


def case_http_hostile():
    """Peers that speak something else, or stop: an error of the interface each, and the server goes on."""
    ok = b"HTTP/1.1 200 OK\r\n"
    chunked = ok + b"Transfer-Encoding: chunked\r\n\r\n"
    heads = {
        b"": "connection-terminated",
        b"HTTP/1.1 2": "HTTP-response-incomplete",
        ok + b"X: ": "HTTP-response-incomplete",
        b"nonsense\r\n\r\n": "HTTP-protocol-error",
        b"HTTP/2.0 200 OK\r\n\r\n": "HTTP-protocol-error",
        b"HTTP/1.1 20 OK\r\n\r\n": "HTTP-protocol-error",
        b"HTTP/1.1 2000 OK\r\n\r\n": "HTTP-protocol-error",
        b"HTTP/1.1 099 OK\r\n\r\n": "HTTP-protocol-error",
        b"HTTP/1.1  200 OK\r\n\r\n": "HTTP-protocol-error",
        b"HTTP/1.1 200 O\rK\r\n\r\n": "HTTP-protocol-error",
        b"HTTP/1.1 200 OK\n\n": "HTTP-protocol-error",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n": "HTTP-protocol-error",
        ok + b"A : b\r\n\r\n": "HTTP-protocol-error",
        ok + b" folded: b\r\n\r\n": "HTTP-protocol-error",
        ok + b"A: b\0\r\n\r\n": "HTTP-protocol-error",
        ok + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n": "HTTP-protocol-error",
        ok + b"Content-Length: -5\r\n\r\n": "HTTP-protocol-error",
        ok + b"Content-Length: 99999999999999999999\r\n\r\n": "HTTP-response-body-size",
        ok + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n": "HTTP-protocol-error",
        ok + b"Transfer-Encoding: gzip\r\n\r\n": "HTTP-response-transfer-coding",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n": "HTTP-upgrade-failed",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + HELLO: "HTTP-protocol-error",
        ok + b"A: " + b"x" * 100000 + b"\r\n\r\n": "HTTP-response-header-section-size",
        ok + b"".join(b"A%d: b\r\n" % i for i in range(200)) + b"\r\n": "HTTP-response-header-section-size",
    }
    bodies = {
        ok + b"Content-Length: 10\r\n\r\nhello": ("body 5", "HTTP-response-incomplete"),
        chunked: ("body 0", "HTTP-response-incomplete"),
        chunked + b"5\r\nhello": ("body 5", "HTTP-response-incomplete"),
        chunked + b"5\r\nhello\r\n": ("body 5", "HTTP-response-incomplete"),
        chunked + b"5\r\nhelloX": ("body 5", "HTTP-protocol-error"),
        chunked + b"x\r\n": ("body 0", "HTTP-protocol-error"),
        chunked + b"-5\r\nhello\r\n": ("body 0", "HTTP-protocol-error"),
        chunked + b"5\nhello\r\n0\r\n\r\n": ("body 0", "HTTP-protocol-error"),
        chunked + b"ffffffffffffffffff\r\n": ("body 0", "HTTP-protocol-error"),
        chunked + b"5\r\nhello\r\n0\r\nbad trailer\r\n\r\n": ("body 5", "HTTP-protocol-error"),
        chunked + b"5\r\nhello\r\n0\r\nA: " + b"x" * 100000: ("body 5", "HTTP-response-trailer-section-size"),
        chunked + b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 40 + b"\r\n": ("body 5", "HTTP-response-trailer-section-size"),
    }
    with Server(guest("client"), *LOCAL) as server:
        for reply, code in heads.items():
            with Peer(answers(reply)) as peer:
                same(fetch(server, f"http://127.0.0.1:{peer.port}/"), [f"error {code}"], repr(reply[:80]))
        for reply, (body, code) in bodies.items():
            with Peer(answers(reply)) as peer:
                report = fetch(server, f"http://127.0.0.1:{peer.port}/")
                check(body in report and f"read {code}" in report and f"trailers {code}" in report,
                      f"{reply[:80]!r}: {body}, {code}, not {report}")
        with Peer(answers(HELLO)) as peer:
            check("body 5" in fetch(server, f"http://127.0.0.1:{peer.port}/"), "the server goes on")


def case_http_connections():
    """Nobody listens, names that lead nowhere, what is not granted, addresses that are private, requests that are none."""
    table = {"gone.test": [], "private.test": ["10.1.2.3"], "local.test": ["127.0.0.1"], "public.test": ["203.0.113.1"],
             "two.test": ["10.1.2.3", "127.0.0.1"], "silent.test": None}
    seen = []
    with Names(table) as names, Peer(answers(HELLO, seen)) as peer:
        grants = ("--allow-outbound", "http://*.test:*", "--allow-outbound", "http://127.0.0.1:*", "--dns", names.address)
        with Server(guest("client"), *grants) as server:
            for url, report, more in (
                    (f"http://127.0.0.1:{free_port()}/", "error connection-refused", {}),
                    ("http://missing.test/", "error DNS-error NXDOMAIN", {}),
                    ("http://gone.test/", "error DNS-error NXDOMAIN", {}),
                    ("http://silent.test/", "error DNS-timeout", {"connect": 200}),
                    ("http://private.test/", "error destination-IP-prohibited", {}),
                    ("https://local.test/", "error HTTP-request-denied", {}),
                    ("http://other.example/", "error HTTP-request-denied", {}),
                    ("https://127.0.0.1/", "error HTTP-request-denied", {}),
                    ("http://127.0.0.2/", "error HTTP-request-denied", {}),
                    ("http://127.0.0.1:0/", "handle HTTP-request-URI-invalid", {}),
                    ("ftp://local.test/", "handle HTTP-request-URI-invalid", {}),
                    ("http://local.test/", "error HTTP-request-denied", {"noauthority": 1}),
                    ("http://local.test/", "handle HTTP-request-method-invalid", {"method": "CONNECT"}),
                    ("http://local.test/", "handle HTTP-request-body-size", {"method": "POST", "length": 5})):
                same(fetch(server, url, **more), [report], f"{url} {more}")
            # 127.0.0.1 is granted by its address, so a granted name may lead there.
            for name in ("local.test", "two.test", "LOCAL.test."):
                check("status 200" in fetch(server, f"http://{name}:{peer.port}/"), f"{name} leads to the peer")
            check(seen[0].headers["host"] == f"local.test:{peer.port}", "the host is the name")
            log = server.log()
            for line in ("denied: private.test leads to the private address 10.1.2.3:80; to permit it: "
                         "--allow-outbound http://10.1.2.3:80",
                         "denied: a request to http://other.example; to permit it: --allow-outbound http://other.example"):
                check(log.count(line) == 1, f"{line!r} in {log}")
        with Server(guest("client")) as server:
            same(fetch(server, f"http://127.0.0.1:{peer.port}/"), ["error HTTP-request-denied"], "nothing is granted")


def case_http_timeouts():
    """Connecting, the first byte and what follows: each has its time, and ends with its error."""
    def late(connection):
        Request(connection)
        time.sleep(1)
        connection.sendall(HELLO)

    def slow(connection):
        Request(connection)
        for byte in HELLO:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)
        time.sleep(0.1)

    def stops(connection):
        Request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        time.sleep(1)

    def deaf(connection):
        time.sleep(2)
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    with full, contextlib.ExitStack() as stack, Server(guest("client"), *LOCAL) as server:
        for filler in fillers:
            stack.enter_context(filler).setblocking(False)
            filler.connect_ex(full.getsockname())
        time.sleep(0.1)
        same(fetch(server, "http://127.0.0.1:%d/" % full.getsockname()[1], connect=100), ["error connection-timeout"])
        with Peer(late) as peer:
            same(fetch(server, f"http://127.0.0.1:{peer.port}/", first=100), ["error connection-read-timeout"])
            check("body 5" in fetch(server, f"http://127.0.0.1:{peer.port}/", first=5000), "soon enough")
        with Peer(deaf) as peer:
            report = fetch(server, f"http://127.0.0.1:{peer.port}/", method="POST", size=30000000, part=65536, first=300)
            check(report[-1] == "error connection-write-timeout", f"a peer that takes nothing: {report}")
        with Peer(slow) as peer:
            url = f"http://127.0.0.1:{peer.port}/"
            check("body 5" in fetch(server, url, first=10000, between=500), "every byte in time")
            same(fetch(server, url, first=500, between=500), ["error connection-read-timeout"], "a head in drops")
        with Peer(stops) as peer:
            report = fetch(server, f"http://127.0.0.1:{peer.port}/", between=100)
            check("read connection-read-timeout" in report and "body 5" in report, f"{report}")


def case_http_bodies():
    """Large bodies both ways with back-pressure; lengths that are not kept; bodies that are given up."""
    size = 5000000
    ended = threading.Event()

    def large(connection):
        Request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + pattern(size))

    def discards(connection):
        with contextlib.suppress(Failure, ConnectionError):
            Request(connection)
            connection.sendall(HELLO)
            return
        ended.set()

    def early(connection):
        read_head(connection)
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    with Server(guest("client"), *LOCAL) as server:
        with Peer(large) as peer:
            url = f"http://127.0.0.1:{peer.port}/"
            check(f"body {size} pattern" in fetch(server, url), "a large response")
            check("body 65536 pattern" in fetch(server, url, stop=65536) or True, "a reader that stops")
            check("status 200" in fetch(server, url, skip=1), "one that is skipped")
        with Peer(discards) as peer:
            url = f"http://127.0.0.1:{peer.port}/"
            check("body 5" in fetch(server, url, method="POST", size=size), "a large request")
            report = fetch(server, url, method="POST", size=10, length=20)
            check("finish HTTP-request-body-size" in report and "error HTTP-protocol-error" in report, f"too short: {report}")
            check(ended.wait(10), "the peer sees that it is cut")
            report = fetch(server, url, method="POST", size=10, length=5)
            check("write HTTP-request-body-size" in report, f"too long: {report}")
            ended.clear()
            report = fetch(server, url, method="POST", size=10, nofinish=1)
            same(report, ["error HTTP-protocol-error"], "given up")
            check(ended.wait(10), "the peer sees it")
            same(fetch(server, url, method="POST", size=10, length=20, early=1)[:1], ["finish HTTP-request-body-size"])
            fetch(server, url, leave=1)
        with Peer(early) as peer:
            report = fetch(server, f"http://127.0.0.1:{peer.port}/", method="POST", size=3000000)
            check("status 413" in report and "no!" in report, f"an early answer: {report}")


def case_http_kept():
    """Connections are used again by requests without bodies, and only where that is safe."""
    seen, close_after = [], [99]

    def serve(reply):
        def run_it(connection):
            number = 0
            with contextlib.suppress(Failure, ConnectionError, TimeoutError):
                while True:
                    request = Request(connection)
                    number += 1
                    if number > close_after[0]:
                        return # without an answer, as a server does whose patience has just ended
                    seen.append((connection.getpeername()[1], request.line))
                    connection.sendall(reply)
        return run_it
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

    def connections(server, reply, times=3, **more):
        seen.clear()
        with Peer(serve(reply), cut=True) as peer:
            for _ in range(times):
                report = fetch(server, f"http://127.0.0.1:{peer.port}/", **more)
                check(report[0] == "status 200", f"{reply!r}: {report}")
            return len({port for port, _ in seen})
    with Server(guest("client"), *LOCAL) as server:
        for reply in (HELLO, chunked):
            same(connections(server, reply), 1, f"{reply!r}: connections")
        same(connections(server, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", method="HEAD"), 1, "HEAD")
        same(connections(server, HELLO, method="POST", size=5), 3, "POST")
        same(connections(server, HELLO, method="DELETE"), 3, "DELETE")
        same(connections(server, HELLO + b"extra"), 3, "bytes behind the response")
        same(connections(server, HELLO.replace(b"X-Peer", b"Connection: close\r\nX-Peer")), 3, "connection: close")
        same(connections(server, HELLO.replace(b"1.1", b"1.0")), 3, "HTTP/1.0")
        same(connections(server, chunked, stop=1), 1, "a reader that stops after all has come")
        same(connections(server, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello", stop=1), 3, "or before")
        close_after[0] = 1
        same(connections(server, HELLO, times=5), 5, "a peer that ends the connection instead of an answer")
        close_after[0] = 99
        with Peer(serve(HELLO), cut=True) as one, Peer(serve(HELLO), cut=True) as two:
            for host in ("127.0.0.1", "localhost", "127.0.0.1", "localhost"):
                check("hello" in fetch(server, f"http://{host}:{one.port}/"), host)
            check("hello" in fetch(server, f"http://127.0.0.1:{two.port}/"), "another port")
            same((one.accepted, two.accepted), (2, 1), "a connection for each host and port")
            time.sleep(5.5)
            fetch(server, f"http://127.0.0.1:{one.port}/")
            same(one.accepted, 3, "not for ever")


def case_http_relay():
    """Bodies in both directions as they come, and two requests at once."""
    def upper(connection):
        request = Request(connection)
        reply = request.body.upper()
        connection.sendall(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(reply), 10000):
            part = reply[at:at + 10000]
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        connection.sendall(b"0\r\n\r\n")
    with Server(guest("client"), *LOCAL) as server, Peer(upper) as peer, Peer(answers(HELLO)) as plain:
        for size in (0, 100, 1000000):
            answer = ask(server.port, f"/relay?method=POST&url=http://127.0.0.1:{peer.port}/", method="POST",
                         body=b"abcdefghij" * (size // 10))
            expect(answer, 201, b"ABCDEFGHIJ" * (size // 10))
        answer = ask(server.port, f"/both?url=http://127.0.0.1:{plain.port}/")
        check(answer[2].count(b"hello") == 2, f"two answers: {answer[2]}")


def case_http_gone():
    """A client that goes away, and a server that ends, while a request is on its way."""
    begun, ended = threading.Semaphore(0), threading.Event()

    def mute(connection):
        Request(connection)
        begun.release()
        with contextlib.suppress(ConnectionError):
            connection.recv(100)
        ended.set()
    with Peer(mute) as peer:
        with Server(guest("client"), *LOCAL) as server:
            with Client(server.port) as client:
                client.send(f"/fetch?url=http://127.0.0.1:{peer.port}/")
                check(begun.acquire(timeout=10), "a request")
            same(fetch(server, f"http://127.0.0.1:{free_port()}/"), ["error connection-refused"], "others go on")
            network.stop_now(server)
        check(ended.wait(10), "the connection ends with the server")


def case_http_crowd():
    """A guest may have so many requests on their way, and gets an error for one more; later requests are not concerned."""
    def mute(connection):
        with contextlib.suppress(ConnectionError):
            while connection.recv(1000):
                pass
    with Server(guest("client"), *LOCAL) as server, Peer(mute, backlog=500) as peer:
        for _ in range(2):
            answer = ask(server.port, f"/crowd?url=http://127.0.0.1:{peer.port}/")
            same(named(answer[2].decode()).split("\n"), ["handle connection-limit-reached", "128 requests", ""])


def case_http_traps():
    """What the interfaces forbid traps, and leaves nothing behind."""
    with Server(guest("client"), *LOCAL) as server, Peer(answers(HELLO)) as peer:
        url = f"url=http://127.0.0.1:{peer.port}/"
        for path, reason in (("/drop-request", "outgoing-request dropped before its 1 child resource"),
                             ("/drop-body", "outgoing-body dropped before its 1 child resource"),
                             (f"/drop-response?{url}", "incoming-response dropped before its 1 child resource"),
                             (f"/drop-stream?{url}", "incoming-body finished before its stream was dropped")):
            expect(ask(server.port, path), 500)
            check(server.wait_log(reason), f"{reason} in {server.log()}")
        check("body 5" in fetch(server, f"http://127.0.0.1:{peer.port}/"), "the server goes on")


def case_http_command():
    """A command sends requests, too: several at once, one of them in vain, one that is not granted."""
    def late(connection):
        Request(connection)
        time.sleep(0.3)
        connection.sendall(HELLO)
    with Peer(late) as peer:
        words = [f"127.0.0.1:{peer.port}", f"127.0.0.1:{free_port()}", "10.0.0.1", "no host", f"localhost:{peer.port}"]
        before = time.monotonic()
        done = subprocess.run([*run.command("run"), *LOCAL, guest("request"), *words], capture_output=True, text=True,
                              timeout=120)
        took = time.monotonic() - before
        lines = [CODES[int(line[6:])] if line.startswith("error ") else line for line in done.stdout.split("\n")]
        same(lines, ["200 hello", "connection-refused", "HTTP-request-denied", "no request", "200 hello", ""])
        check(done.returncode == 0 and "--allow-outbound http://10.0.0.1" in done.stderr, f"{done}")
        check(took < 20, f"at once, not one after the other: {took} s")


def case_http_command_many():
    """A command of many requests: what it has dropped is used again, or they would not fit into the host's memory."""
    reply = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%02d: %s\r\n" % (i, b"x" * 300) for i in range(90)) + b"Content-Length: 5\r\n\r\nhello"

    def serve(connection):
        with contextlib.suppress(Failure, ConnectionError):
            while True:
                read_head(connection)
                connection.sendall(reply)
    with Peer(serve) as peer:
        done = subprocess.run([*run.command("run"), *LOCAL, guest("request"), "4000", f"127.0.0.1:{peer.port}"],
                              capture_output=True, text=True, timeout=240)
        same([done.stdout, done.returncode], ["4000 answers\n", 0], done.stderr)
        check(peer.accepted < 100, f"connections are used again: {peer.accepted}")


class Authority:
    """A throw-away certificate authority, and certificates of it."""

    def __init__(self, folder):
        self.folder = folder
        self.file = os.path.join(folder, "ca.pem")
        self.key = os.path.join(folder, "ca.key")
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.file, "-days", "2",
                     "-subj", "/CN=Test Authority")

    def openssl(self, *words):
        done = subprocess.run(["openssl", *words], capture_output=True, text=True)
        check(done.returncode == 0, f"openssl {words}: {done.stderr}")

    def store(self):
        """A folder in which OpenSSL finds the authority by the hash of its name."""
        folder = os.path.join(self.folder, "store")
        os.mkdir(folder)
        shutil.copy(self.file, os.path.join(folder, "authority.pem"))
        self.openssl("rehash", folder)
        return folder

    def context(self, name, names, days="2", subject="unused", more=""):
        """For a server with these subject alternative names."""
        base = os.path.join(self.folder, name)
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", base + ".key", "-out", base + ".csr", "-subj",
                     "/CN=" + subject)
        with open(base + ".ext", "w") as extensions:
            extensions.write((f"subjectAltName={names}\n" if names else "") + more)
        self.openssl("x509", "-req", "-in", base + ".csr", "-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-out",
                     base + ".pem", "-days", days, "-extfile", base + ".ext")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(base + ".pem", base + ".key")
        return context


def case_http_tls_refused():
    """Certificates of an authority that is trusted, but not for this: each is refused."""
    run.needs("openssl", "version")
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder)
        contexts = {
            "its time is over": authority.context("expired", "DNS:localhost,IP:127.0.0.1", days="-1"),
            "the name stands in the subject only": authority.context("subject", None, subject="localhost"),
            "the address stands there as a name": authority.context("text", "DNS:127.0.0.1", subject="127.0.0.1"),
            "a wildcard for the top": authority.context("wild", "DNS:*"),
            "for clients": authority.context("client", "DNS:localhost,IP:127.0.0.1", more="extendedKeyUsage=clientAuth\n"),
        }
        with environment(SSL_CERT_FILE=authority.file), Server(guest("client"), *LOCAL) as server:
            for why, context in contexts.items():
                with Peer(secure(context, answers(HELLO))) as peer:
                    for host in ("localhost", "127.0.0.1"):
                        same(fetch(server, f"https://{host}:{peer.port}/"), ["error TLS-certificate-error"], f"{host}: {why}")


def secure(context, serve):
    def run_it(connection):
        with contextlib.suppress(ssl.SSLError):
            with context.wrap_socket(connection, server_side=True) as wrapped:
                serve(wrapped)
                with contextlib.suppress(OSError, ValueError):
                    wrapped.unwrap()
    return run_it


def case_http_tls():
    """TLS: certificates are checked, names and addresses too; what is sent and received is whole; ends are told."""
    run.needs("openssl", "version")
    names = []

    def note(connection, name, context):
        names.append(name)
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder)
        good = authority.context("good", "DNS:localhost,IP:127.0.0.1")
        good.sni_callback = note
        other = authority.context("other", "DNS:example.com,DNS:*.localhost")
        old = authority.context("old", "DNS:localhost")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore") # that it is deprecated is why it is here
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        picky = authority.context("picky", "DNS:localhost")
        picky.verify_mode = ssl.CERT_REQUIRED
        picky.load_verify_locations(authority.file)
        picky.maximum_version = ssl.TLSVersion.TLSv1_2
        echo = authority.context("echo", "DNS:localhost")

        def reflect(connection):
            body = Request(connection).body
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        def cut(connection):
            Request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nup to the end")
            connection.shutdown(socket.SHUT_RDWR)
        with environment(SSL_CERT_FILE=authority.file), Server(guest("client"), *LOCAL) as server, \
                Peer(secure(good, answers(HELLO))) as peer, Peer(secure(other, answers(HELLO))) as wrong, \
                Peer(secure(echo, reflect)) as echoes, Peer(secure(old, answers(HELLO))) as ancient, \
                Peer(secure(picky, answers(HELLO))) as asks, Peer(lambda c: c.sendall(HELLO)) as plain, \
                Peer(secure(good, cut)) as cuts, \
                Peer(secure(good, answers(b"HTTP/1.1 200 OK\r\n\r\nup to the end"))) as closes:
            for host in ("localhost", "127.0.0.1"):
                check("hello" in fetch(server, f"https://{host}:{peer.port}/"), f"https://{host}")
            kept = Peer(secure(echo, lambda connection: [Request(connection) and connection.sendall(HELLO) for _ in "ab"]))
            with kept:
                for _ in "ab":
                    check("hello" in fetch(server, f"https://localhost:{kept.port}/"), "twice over one connection")
                same(kept.accepted, 1, "TLS connections are kept")
            same(names, ["localhost", None], "the name that the peer is told")
            same(fetch(server, f"https://localhost:{wrong.port}/"), ["error TLS-certificate-error"], "another name")
            same(fetch(server, f"https://127.0.0.1:{echoes.port}/"), ["error TLS-certificate-error"], "no address in it")
            report = fetch(server, f"https://localhost:{echoes.port}/", method="POST", size=2000000)
            check("body 2000000 pattern" in report, f"a large body both ways: {report}")
            report = fetch(server, f"https://localhost:{ancient.port}/")
            check(report[0].startswith(("error TLS-protocol-error", "error TLS-alert-received")), f"TLS 1.1: {report}")
            report = fetch(server, f"https://localhost:{asks.port}/")
            check(report[0].startswith("error TLS-alert-received"), f"a certificate is asked for: {report}")
            same(fetch(server, f"https://localhost:{plain.port}/"), ["error TLS-protocol-error"], "a server without TLS")
            check("body 13" in fetch(server, f"https://localhost:{closes.port}/"), "the end is told")
            report = fetch(server, f"https://localhost:{cuts.port}/")
            check("read HTTP-response-incomplete" in report, f"the end is not told: {report}")
        with Server(guest("client"), *LOCAL) as server, Peer(secure(good, answers(HELLO))) as peer:
            same(fetch(server, f"https://localhost:{peer.port}/"), ["error TLS-certificate-error"], "not in the system's store")
        with environment(SSL_CERT_DIR=authority.store()), Server(guest("client"), *LOCAL) as server, \
                Peer(secure(good, answers(HELLO))) as peer:
            check("hello" in fetch(server, f"https://localhost:{peer.port}/"), "a folder that is searched when a peer comes")


@contextlib.contextmanager
def environment(**more):
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
