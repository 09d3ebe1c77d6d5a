#!/usr/bin/env python3
"""End to end: functions that go on when their answers are complete. Their clients have the answer, whole, before the
functions end, and functions do not notice that they are alone.

    after.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import re
import signal
import sys
import time

from app import HEAD, component, folder, trigger, write
from compose import allow, limits, private
from h2 import DATA, END_STREAM, HEADERS, Raw, curl, request
from limits import reset
from observe import limits_of, metrics, observed
from outbound import named
from run import Client, Server, ask, check, expect, guest, main
from workers import until

HOUR = 3600000
WAYS = ("plain", "held", "unread", "reading", "stream", "trailers")
SERVE = HEAD + trigger("/...", "after")


def leave(server):
    """Those that would go on for an hour end with the server: asked again it waits for nobody."""
    end = time.monotonic() + 60
    while server.process.poll() is None and time.monotonic() < end:
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)


def told(server, text):
    check(server.wait_log(r"after: " + text), f"{text} in the log")


def case_after_answered():
    """The answer is whole, and the connection free for the next request, while the function waits for an hour."""
    with Server(guest("after"), "--timeout", "2h") as server, Client(server.port) as client:
        for way in WAYS:
            expect(client.ask(f"/{way}?{HOUR}", method="POST", body=b"hello", headers=["x-a: 1"]), 200, b"done\n")
            expect(client.ask(f"/{way}?{HOUR}", method="POST", body=b"x" * 32000), 200, b"done\n")
            expect(client.ask(f"/{way}?{HOUR}"), 200, b"done\n")
        expect(client.ask(f"/none?{HOUR}"), 204, b"")
        expect(client.ask(f"/error?{HOUR}"), 403, b"403 the function failed\n")
        expect(client.ask(f"/plain?{HOUR}", method="HEAD"), 200, b"")
        client.socket.sendall(f"GET /plain?{HOUR} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 20)
        for _ in range(20):
            expect(client.response(), 200, b"done\n")
        client.socket.sendall(f"GET /plain?{HOUR} HTTP/1.0\r\n\r\n".encode())
        check(client.until_end().endswith(b"\r\n\r\ndone\n"), "and ended, where that is the end")
        check("after:" not in server.log(), "none is over")
        leave(server)


def case_after_h2():
    """The same of the streams of a connection."""
    with Server(guest("after"), "--timeout", "2h") as server:
        for way in WAYS:
            answer = curl("--http2-prior-knowledge", "-d", "hello", f"http://127.0.0.1:{server.port}/{way}?{HOUR}")
            check(answer == ("2", 200, b"done\n"), f"{way}: {answer}")
        answer = curl("--http2-prior-knowledge", f"http://127.0.0.1:{server.port}/none?{HOUR}")
        check(answer == ("2", 204, b""), f"none: {answer}")
        with Raw(server.port) as client:
            left = {1 + 2 * number for number in range(60)}
            client.send(*[request(stream, f"/plain?{HOUR}".encode()) for stream in sorted(left)])
            while left:
                kind, flags, stream, _ = client.next()
                left -= {stream} if kind in (HEADERS, DATA) and flags & END_STREAM else set()
        check("after:" not in server.log(), "none is over")
        leave(server)


def case_after_coming():
    """Where more of the request is coming, the end goes out when that is here, and read."""
    with Server(guest("after"), "--timeout", "2h") as server, Client(server.port) as client:
        client.socket.sendall(f"POST /reading?{HOUR} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        client.socket.sendall(b"5\r\nhello\r\n")
        while b"done\n" not in client.pending:
            client.more()
        client.socket.sendall(b"5\r\nagain\r\n0\r\nx-b: 2\r\n\r\n")
        expect(client.response(), 200, b"done\n")
        leave(server)
    with Server(guest("after")) as server, Client(server.port) as client:
        client.socket.sendall(b"POST /reading?50 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        while b"done\n" not in client.pending:
            client.more()
        client.socket.sendall(b"5\r\nagain\r\n0\r\nx-b: 2\r\n\r\n")
        expect(client.response(), 200, b"done\n")
        told(server, r"method 2 scheme 0 /reading\?50 x body 10 x-b=2 $")


def case_after_told():
    """What a function finds of its request is the same afterwards, also where its client is gone, and others came."""
    with folder(SERVE + component("after", guest("after"))) as top, Server(top) as server:
        for way in WAYS:
            with Client(server.port) as client:
                expect(client.ask(f"/{way}?50", method="POST", body=b"hello", headers=["x-a: 1", "X-B:  two "]), 200, b"done\n")
                for number in range(20):
                    expect(client.ask("/none?0", headers=[f"x-{number}: {'other' * 9}"]), 204)
            told(server, rf"method 2 scheme 0 /{way}\?50 localhost x-a=1 x-b=two content-length=5 spin-path-info=/{way} "
                         rf"spin-full-url=http://localhost/{way}\?50 .*spin-client-addr=127\.0\.0\.1:\d+ body 5 $")
        check("trap" not in server.log(), "nothing went wrong")


def case_after_ends():
    """Who ends waits for functions that go on, as for those that have a client: on SIGTERM, and when another application
    takes over."""
    with Server(guest("after")) as server:
        expect(ask(server.port, "/plain?500"), 200, b"done\n")
        server.stop()
        told(server, r"method 0 scheme 0 /plain\?500 localhost body 0 ")
    with folder(SERVE + component("after", guest("after"))) as top, Server(top) as server:
        expect(ask(server.port, "/plain?1000"), 200, b"done\n")
        write(top, SERVE.replace("/...", "/off/...") + component("after", guest("after")))
        server.process.send_signal(signal.SIGHUP)
        told(server, r"method 0 scheme 0 /plain\?1000 localhost ")
        check("trap" not in server.log(), "nothing went wrong")


def case_after_limits():
    """Its limits hold, what goes wrong is logged and counted, and the answer is not told a second time."""
    with observed(guest("after"), "--timeout", "1s", "--max-instances", "1") as server:
        with Client(server.port) as client:
            trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            expect(client.ask(f"/plain?{HOUR}", headers=[f"traceparent: {trace}"]), 200, b"done\n")
            expect(client.ask("/plain?0"), 503)
            check(server.wait_log(r"\[after 0af7651916cd43dd8448eb211c80319c\] ended: a request may take 1 s of time"), "ended")
            expect(client.ask("/trap?10"), 200, b"done\n")
            check(server.wait_log(r"trap: unreachable"), "trapped")
            expect(client.ask("/unread?0", method="POST", body=b"x" * 1000), 200, b"done\n")
        now = metrics(server)
        check(now.of("mayfly_received_bytes_total") == 1000, "what it read")
        counts = [now.of("mayfly_requests_total", status=status) for status in ("2xx", "5xx")] + \
            [now.of(f"mayfly_{name}") for name in ("traps_total", "broken_answers_total")]
        check(counts == [3, 1, 1, 0], f"three were answered, one turned away, one trapped, none is broken: {counts}")
        check(limits_of(server)["time"] == 1 and limits_of(server)["instances"] == 1, f"limits: {limits_of(server)}")


def case_after_half():
    """Half of the places are for those that have clients: other answers end when their functions do, or their clients."""
    with observed(guest("after"), "--timeout", "2h", "--max-instances", "4") as server, contextlib.ExitStack() as stack:
        def counts():
            now = metrics(server)
            return now.of("mayfly_alone_requests"), now.of("mayfly_running_requests")
        for number in range(2):
            expect(ask(server.port, f"/plain?{HOUR}"), 200, b"done\n")
            check(counts() == (number + 1, number + 1), f"{number + 1} alone: {counts()}")
        clients = [stack.enter_context(Client(server.port)) for _ in range(2)]
        for client in clients:
            expect(client.ask(f"/plain?{HOUR}"), 200, b"done\n") # it knows the length
        check(counts() == (2, 4), f"and two with clients: {counts()}")
        expect(ask(server.port, "/plain?0"), 503)
        reset(clients[0].socket)
        until(lambda: counts() == (2, 3), "its client is gone")
        expect(ask(server.port, "/plain?0"), 200, b"done\n")
        leave(server)


def case_after_chain():
    """Those that go on hand down what is left of their time."""
    with folder(SERVE + component("after", guest("after"), allow("http://after.spin.internal") + limits("after", timeout="6s"))) as top, \
            Server(top) as server:
        expect(ask(server.port, "/again?3200"), 200, b"done\n")
        server.stop()
        told(server, r"method 0 scheme 0 /again\?3200 localhost ")
        ended = re.findall(r"ended: a request may take ([\d.]+) s", server.log())
        check(server.log().count("after: ") == 1 and len(ended) == 1 and float(ended[0]) < 3.2, f"the first asks, the second ends: {ended}")


def case_after_inside():
    """A function that others call goes on when those have the answer."""
    manifest = HEAD + trigger("/...", "front") + private("after") + \
        component("front", guest("client"), allow("http://after.spin.internal")) + \
        component("after", guest("after"), limits("after", timeout="2h"))
    with folder(manifest) as top, Server(top) as server:
        for way in WAYS:
            report = named(ask(server.port, f"/fetch?method=POST&size=10&url=http://after.spin.internal/{way}?{HOUR}")[2].decode())
            check("status 200" in report and "body 5" in report, f"{way}: {report}")
        expect(ask(server.port, f"/relay?url=http://after.spin.internal/plain?{HOUR}", method="POST", body=b"hello"), 200, b"done\n")
        expect(ask(server.port, "/relay?url=http://after.spin.internal/plain?100", method="POST", body=b"hello"), 200, b"done\n")
        told(server, r"method \d scheme 0 /plain\?100 after\.spin\.internal .*body 5 $")
        leave(server)


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
