#!/usr/bin/env python3
"""End to end: requests and responses as values, fermyon:spin/inbound-http and http (guest whole.c; see its source).

    whole.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import os
import re
import sys
import time

from run import Client, Server, ask, check, expect, free_port, guest, main
from app import HEAD, component, folder, trigger
from network import Peer
from outbound import HELLO, answers

ERRORS = {"denied": b"error 1", "url": b"error 2", "failed": b"error 4"}


def sent(port, url, method="GET", **more):
    return ask(port, f"/send/{method}/{url}", **more)


def case_whole_in():
    """What a request is to the guest, and what becomes of its response."""
    with Server(guest("whole")) as server:
        for number, method in enumerate(("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")):
            _, headers, body = ask(server.port, "/a/b?c=%20d", method=method, headers=(f"X-Number: {number}",))
            check(body.startswith(f"{method} /a/b?c=%20d params 0 body 0 sum 0\n".encode()), f"{method}: {body}")
            check(f"x-number: {number}\n".encode() in body and b"host" not in body, f"fields: {body}")
            check(headers["content-type"] == "text/plain", f"the guest's field: {headers}")
        expect(ask(server.port, "/", method="HEAD"), 200, b"")
        expect(ask(server.port, "/", method="BREW"), 405, b"")
        expect(ask(server.port, "/", method="get"), 405)
        _, _, body = ask(server.port, "/x", method="POST", body=b"\0\xff" * 3)
        check(body.startswith(b"POST /x params 0 body 6 sum 765\n"), f"bytes: {body}")
        _, _, body = ask(server.port, "/", headers=("X-Latin: caf\xe9".encode("latin-1").decode("latin-1"),))
        check(body.startswith(b"GET / "), f"a value that is not UTF-8 is left out: {body}")
        for size in (0, 1, 65535, 65536, 65537, 3000000):
            status, headers, body = ask(server.port, f"/big/{size}")
            check(status == 200 and headers["content-length"] == str(size) and len(body) == size, f"{size}: {status} {headers} {len(body)}")
            check(body == bytes(ord("a") + i % 23 for i in range(size)), f"the bytes of {size}")
            expect(ask(server.port, "/echo", method="POST", body=body), 200, body)
        expect(ask(server.port, "/status/404"), 404, b"")
        expect(ask(server.port, "/status/600"), 600, b"")
        _, headers, body = ask(server.port, "/fields")
        check(headers["x-one"] == "2" and "transfer-encoding" not in headers and headers.get("connection") != "close" and body == b"fields",
              f"what is the server's to say is left out: {headers}")
        for path, why in (("/status/99", "a status that is none"), ("/status/601", "a status that is none"), ("/malformed", "a header that is none"),
                          ("/short", "not as long as it said"), ("/trap", "trap: unreachable")):
            expect(ask(server.port, path), 500)
            check(server.wait_log(re.escape(why)), f"{path}: {server.log()}")
        expect(ask(server.port, "/echo", method="POST", body=b"still"), 200, b"still")


def case_whole_out():
    """What goes out, and what comes back."""
    seen = []
    # The peer ends its connections: who does not say so ends one that is about to be used again.
    reply = b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 5\r\nX-Peer: yes\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nhello"
    with Server(guest("whole"), "--allow-outbound", "http://127.0.0.1:*") as server, Peer(answers(reply, seen)) as peer:
        url = f"http://127.0.0.1:{peer.port}"
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = sent(server.port, f"{url}/p?q=1", method, headers=("X-Pass: on",))
            expect(answer, 200, b"status 201\ncontent-length: 5\nx-peer: yes\nset-cookie: a\nset-cookie: b\n\nhello")
            request = seen.pop()
            check(request.line == f"{method} /p?q=1 HTTP/1.1" and request.headers["x-pass"] == "on", f"{request.line} {request.fields}")
            check(request.headers["host"] == f"127.0.0.1:{peer.port}" and "upgrade" not in request.headers.get("connection", ""), f"{request.fields}")
            check(not request.body, f"no body: {request.body}")
        for target, wanted in (("", "/"), ("?q", "/?q"), ("/%2e?x=/y", "/%2e?x=/y")):
            answer = sent(server.port, url + target)
            check(seen, f"{target}: {answer}")
            check(seen.pop().line == f"GET {wanted} HTTP/1.1", f"{target}")
        body = os.urandom(1000) * 200
        expect(sent(server.port, url, "POST", body=body), 200)
        request = seen.pop()
        check(request.body == body and request.headers["content-length"] == str(len(body)), "the body, with its length")
        for bad in ("nonsense", "ftp://127.0.0.1/", "http://", "http:///x", "http://user@127.0.0.1/", "http://127.0.0.1:99999/", "//127.0.0.1/"):
            check(sent(server.port, bad)[2] in (ERRORS["url"], ERRORS["denied"]), f"{bad}: {sent(server.port, bad)[2]}")
        expect(sent(server.port, f"http://127.0.0.1:{free_port()}/"), 200, ERRORS["failed"])
        check(not seen, "nothing else was asked")
    moved = b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    cut = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 50\r\n\r\nhello"
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000\r\n\r\n"
    with Server(guest("whole"), "--allow-outbound", "http://127.0.0.1:*") as server:
        for reply, method, wanted in ((moved, "GET", b"status 302\nlocation: /elsewhere\ncontent-length: 0\n\n"), (cut, "GET", ERRORS["failed"]),
                                      (head, "HEAD", b"status 200\ncontent-length: 1000\n\n"), (b"nonsense\r\n\r\n", "GET", ERRORS["failed"])):
            with Peer(answers(reply)) as peer:
                expect(sent(server.port, f"http://127.0.0.1:{peer.port}/", method), 200, wanted)


def case_whole_denied():
    """Without a grant, and around one."""
    with Peer(answers(HELLO)) as peer:
        url = f"http://127.0.0.1:{peer.port}/"
        with Server(guest("whole")) as server:
            expect(sent(server.port, url), 200, ERRORS["denied"])
            expect(sent(server.port, "/relative"), 200, ERRORS["denied"])
            check(server.wait_log(rf"a request to http://127\.0\.0\.1:{peer.port}") and "--allow-outbound" in server.log(), server.log())
        with Server(guest("whole"), "--allow-outbound", f"http://127.0.0.1:{peer.port + 1}") as server:
            expect(sent(server.port, url), 200, ERRORS["denied"])
            expect(sent(server.port, url.replace("127.0.0.1", "[::ffff:127.0.0.1]")), 200, ERRORS["denied"])
        check(peer.accepted == 0, "nobody came")


def case_whole_inside():
    """In an application: other components, itself, fields that Spin adds, beside one of WASI 0.2."""
    manifest = HEAD + trigger("/old/...", "old") + trigger("/echo", "echo") + trigger("/send/...", "old") + \
        component("old", guest("whole"), 'allowed_outbound_hosts = ["http://self", "http://echo.spin.internal"]\n') + component("echo", guest("whole"))
    with folder(manifest) as top, Server(top) as server:
        expect(sent(server.port, "http://echo.spin.internal/echo", "POST", body=b"inside"), 200,
               b"status 200\ncontent-length: 6\n\ninside")
        answer = sent(server.port, "/echo", "POST", body=b"self")
        check(answer[2].startswith(b"status 200\n") and answer[2].endswith(b"\n\nself"), f"{answer}")
        expect(sent(server.port, "http://old.spin.internal/"), 200, ERRORS["denied"])
        _, _, body = ask(server.port, "/old/x")
        check(b"spin-path-info: /x\n" in body and b"spin-matched-route: /old/...\n" in body, f"fields of Spin: {body}")


def case_whole_slow():
    """A body that comes in parts, with others answered meanwhile; a client that leaves in its middle."""
    with Server(guest("whole")) as server, Client(server.port) as slow, Client(server.port) as gone:
        slow.socket.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        gone.socket.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        for _ in range(5):
            expect(ask(server.port, "/echo", method="POST", body=b"quick"), 200, b"quick")
            time.sleep(0.02)
        gone.socket.close()
        slow.socket.sendall(b"3\r\ndef\r\n0\r\n\r\n")
        expect(slow.response(), 200, b"abcdef")
        expect(slow.ask("/echo", "POST", b"again"), 200, b"again")
        check("trap" not in server.log(), f"it is nobody's fault: {server.log()}")


def case_whole_large():
    """Bodies that do not fit: of those a server reads what is left, or a client would not see the answer."""
    def refused(body, why):
        with Client(server.port) as client:
            with contextlib.suppress(OSError):
                client.send("/echo", "POST", body)
            check(client.response()[0] == 413, why)

    with Server(guest("whole"), "--max-body", "1M") as server:
        expect(ask(server.port, "/echo", method="POST", body=b"x" * 1000000), 200, b"x" * 1000000)
        refused(b"x" * 1100000, "more than is allowed")
        with Client(server.port) as client, contextlib.suppress(OSError):
            client.socket.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10ffff\r\n" + b"x" * 0x10ffff + b"\r\n0\r\n\r\n")
            check(client.response()[0] == 413, "more than is allowed, as it turns out")
        expect(ask(server.port, "/echo", method="POST", body=b"x"), 200, b"x")
    with Server(guest("whole")) as server:
        expect(ask(server.port, "/", method="POST", body=b"y" * (16 << 20)), 200)
        refused(b"y" * ((32 << 20) + 10000), "more than a host may keep")
        expect(ask(server.port, "/echo", method="POST", body=b"x"), 200, b"x")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
