#!/usr/bin/env python3
"""The two drafts of WASI 0.2 that applications of older SDKs import: guests built for one of them do what guests of the
final version do. Where a draft calls the same functions the cases are those of the other files, with their guests built
anew (guests/draft.h); what 2023-10-18 has otherwise is in guests/october.c.

    drafts.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import os
import socket
import sys
import tempfile
import threading

import compose
import network
import outbound
import run
import wasi
from run import Client, Server, ask, check, expect, free_port, guest

OCTOBER, NOVEMBER = "2023-10-18", "2023-11-10"


@contextlib.contextmanager
def built_for(date):
    """Guests of the other files' cases are those of a draft."""
    drafted = lambda name: guest(f"{name}-{date}")
    saved = [(module, module.guest) for module in (run, network, outbound, wasi)]
    wasi.GUEST = drafted("files")
    for module, _ in saved:
        module.guest = drafted
    try:
        yield
    finally:
        for module, found in saved:
            module.guest = found
        wasi.GUEST = guest("files")


def case_drafts_files():
    """wasi:filesystem, wasi:io, wasi:clocks, wasi:random, wasi:cli of both, in a command; nothing leads out of a grant."""
    for date in (OCTOBER, NOVEMBER):
        with built_for(date):
            for case in (wasi.case_wasi_files, wasi.case_wasi_files_refused, wasi.case_wasi_cli, wasi.case_wasi_cli_wait,
                         wasi.case_wasi_cli_terminal, wasi.case_wasi_traps):
                case()
            with wasi.place() as top:
                for deed, code in (("good", 0), ("bad", 1), ("exit-ok", 0), ("exit-error", 1)):
                    wasi.expect(wasi.mayfly(top, deed), code, "")


def case_drafts_given_up():
    """What only 2023-10-18 has: permissions and locks, which no file system here has; streams that are handed over."""
    with built_for(OCTOBER), wasi.place() as top:
        before = wasi.tree(top)
        wasi.expect(wasi.mayfly(top, "given-up"), 0, "")
        check(wasi.tree(top) == before, "nothing changed")
        wasi.expect(wasi.mayfly(top, "trap-forward"), 134, "", "child")
        wasi.expect(wasi.mayfly(top, "cat", input=b"x" * 3000000), 0, "x" * 3000000)


def case_drafts_forward_ends():
    """A deadline ends what is handed over for good, wherever it waits."""
    with built_for(OCTOBER), wasi.place() as top:
        wasi.expect(wasi.mayfly(top, "good"), 0)
        source, sink = os.pipe()
        try:
            answer = wasi.mayfly(top, "cat", options=("--timeout", "300ms"), input=None, stdin=source)
        finally:
            os.close(source)
            os.close(sink)
        check(answer[0] == 134 and "time" in answer[2], f"{answer}")


def case_drafts_http():
    """wasi:http of 2023-11-10: what comes in and what goes out, with a length, in chunks, with trailers; every error."""
    with built_for(NOVEMBER):
        for case in (run.case_echo, outbound.case_http_types, outbound.case_http_requests, outbound.case_http_responses,
                     outbound.case_http_connections):
            case()
        with Server(run.guest("client")) as server:
            check(ask(server.port, "/trailers-twice", method="POST", body=b"hello")[0] == 500, "trailers come once")
            check(server.wait_log("the trailers were taken before"), server.log())
            check(ask(server.port, "/unset")[0] == 500, "no answer is one of the host")


def case_drafts_sockets():
    """wasi:sockets of 2023-11-10: every state, both protocols, names, what is not granted."""
    with built_for(NOVEMBER):
        for case in (network.case_net_tcp_states, network.case_net_udp, network.case_net_lookup, network.case_net_denied):
            case()
        with Server(run.guest("sockets")) as server:
            network.fine(server, "/only-v6")


# ---- 2023-10-18 ------------------------------------------------------------------------------------------------------


def case_drafts_echo():
    """A handler of 2023-10-18: requests, fields, bodies, trailers, errors in place of a response."""
    with Server(guest("october")) as server, Client(server.port) as client:
        for method, body in (("POST", b"hello"), ("PUT", b""), ("BREW", bytes(range(256)) * 2000), ("DELETE", b"x")):
            status, fields, sent = client.ask("/echo?a=b", method=method, body=body, headers=("X-Sent: yes",))
            check((status, sent) == (201, body), f"{method}: {status}, {len(sent)} bytes")
            for name, value in (("x-method", method), ("x-path", "/echo?a=b"), ("x-authority", "localhost"),
                                ("x-scheme", "http"), ("x-sent", "seen")):
                check(fields.get(name) == value, f"{method}: {name} is {value}, not {fields}")
        for trailers, told in (("", "none"), ("X-One: 1\r\n", "some")):
            client.socket.sendall(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
                                  b"0\r\n" + trailers.encode() + b"\r\n")
            while b"\r\n0\r\n" not in client.pending or not client.pending.endswith(b"\r\n\r\n"):
                client.more()
            answer, client.pending = client.pending.decode(), b""
            check(f"x-echoed: {told}\r\n" in answer and trailers.lower() in answer.lower(), f"trailers in {answer!r}")
        expect(ask(server.port, "/fields"), 200, b"ok\n")
        for _ in range(3):
            expect(ask(server.port, "/drops", method="POST", body=b"hello"), 200, b"ok\n")
        for number in range(4):
            check(ask(server.port, f"/error/{number}")[0] == 500, f"the error {number} is the function's")
        check(ask(server.port, "/unset")[0] == 500, "no answer is one of the host")


def case_drafts_echo_traps():
    """What 2023-10-18 has no error for, and the final version refuses, traps and says why."""
    with Server(guest("october")) as server:
        for what, why in (("new", "new fields: a field that only the host may set"),
                          ("append", "fields.append: a field that only the host may set"),
                          ("set", "fields.set: a name or value that cannot be one"),
                          ("delete", "fields.delete: a name or value that cannot be one"),
                          ("immutable", "fields.append: the fields cannot be changed"),
                          ("method", "new outgoing-request: no valid method"),
                          ("target", "new outgoing-request: no valid path-with-query"),
                          ("scheme", "new outgoing-request: no valid scheme"),
                          ("authority", "new outgoing-request: no valid authority"),
                          ("status", "new outgoing-response: 99 is no status"),
                          ("finish", "outgoing-body.finish: not as many bytes as content-length says")):
            check(ask(server.port, f"/trap/{what}")[0] == 500, f"{what} traps")
            check(server.wait_log(why), f"{why!r} in {server.log()}")
        check(ask(server.port, "/echo/twice", method="POST", body=b"x")[0] == 500, "trailers come once")
        check(server.wait_log("the trailers were taken before"), server.log())
        expect(ask(server.port, "/fields"), 200, b"ok\n")


def fetch(server, path):
    answer = ask(server.port, f"/fetch/{path}")
    expect(answer, 200)
    return answer[2].decode().splitlines()


def case_drafts_fetch():
    """Requests of a guest of 2023-10-18: what goes out, what comes back, and its four errors."""
    seen = []
    trailers = (b"HTTP/1.1 203 Fine\r\nX-Peer: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\nX-T: 1\r\nX-U: 2\r\n\r\n")
    with Server(guest("october"), *outbound.LOCAL) as server:
        with outbound.Peer(outbound.answers(trailers, seen)) as peer:
            found = fetch(server, f"{peer.port}/some/path?q")
            check(found == ["status 203, x-peer 1", "yes", "trailers 2"], found)
            check(seen[0].line == "POST /some/path?q HTTP/1.1" and seen[0].headers["x-guest"] == "here" and
                  seen[0].body == b"from october", f"{seen[0].line} {seen[0].headers} {seen[0].body}")
        with outbound.Peer(outbound.answers(outbound.HELLO)) as peer:
            found = fetch(server, f"{peer.port}/")
            check(found == ["status 200, x-peer 1", "hello", "trailers 0"], found)
        with outbound.Peer(outbound.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")) as peer:
            found = fetch(server, f"{peer.port}/")
            check(found[1].startswith("hello") and found[2].startswith(("unexpected-error: ", "protocol-error: ")), found)
        with outbound.Peer(outbound.answers(b"nonsense\r\n\r\n")) as peer:
            check(fetch(server, f"{peer.port}/")[0] == "protocol-error: ErrorCode::HttpProtocolError", "a peer that lies")
        silent = threading.Event()
        with outbound.Peer(lambda connection: silent.wait(30)) as peer:
            check(fetch(server, f"{peer.port}/late")[0] == "timeout-error: ErrorCode::HttpResponseTimeout" or
                  fetch(server, f"{peer.port}/late")[0] == "timeout-error: ErrorCode::ConnectionReadTimeout", "a peer that is silent")
            silent.set()
        check(fetch(server, f"{free_port()}/") == ["unexpected-error: ErrorCode::ConnectionRefused"], "nobody listens")
        check(fetch(server, f"{free_port()}/ftp") == ["handle invalid-url: ErrorCode::HttpRequestUriInvalid"], "another scheme")
        check(fetch(server, f"{free_port()}/none") == ["unexpected-error: ErrorCode::HttpRequestDenied"], "nobody is asked")
    with Server(guest("october")) as server:
        check(fetch(server, "80/") == ["unexpected-error: ErrorCode::HttpRequestDenied"], "nothing is granted")
        check(server.wait_log("denied: a request to http://127.0.0.1:80; to permit it: --allow-outbound "
                              "http://127.0.0.1:80"), server.log())


def case_drafts_october_sockets():
    """Sockets of 2023-10-18: TCP with its options, UDP without streams, names by family, what is not granted."""
    grants = (*network.ALL, "--allow-net", "0.0.0.0/0:*")
    with Server(guest("october"), *grants) as server:
        network.fine(server, "/tcp")
        network.fine(server, "/udp")
    peer, stranger = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with peer, stranger:
        peer.bind(("127.0.0.1", 0))

        def serve():
            data, client = peer.recvfrom(100)
            for _ in range(20):  # more would fill the queue, and the answer be lost
                stranger.sendto(b"listen to me", client)
            peer.sendto(data, client)
        thread = threading.Thread(target=serve)
        thread.start()
        port = peer.getsockname()[1]
        with Server(guest("october"), "--allow-net", f"127.0.0.1:{port}") as server:
            network.fine(server, f"/udp-client/{port}")
        thread.join()
    table = {"both.test": ["203.0.113.7", "2001:db9::7"]}
    with network.Names(table) as names, \
            Server(guest("october"), "--allow-net", "both.test:*", "--dns", names.address) as server:
        for family, wanted in ((0, ["2001::7", "203.0.113.7"]), (4, ["203.0.113.7"]), (6, ["2001::7"])):
            found = ask(server.port, f"/lookup/both.test/{family}")[2].decode().split()
            check(sorted(found) == wanted, f"{family}: {wanted}, not {found}")
        for name, family, wanted in (("192.0.2.1", 4, b"192.0.2.1\n"), ("192.0.2.1", 6, b"ok\n"),
                                     ("other.test", 0, b"error 1\n"), ("a..b", 0, b"error 3\n")):
            expect(ask(server.port, f"/lookup/{name}/{family}"), 200, wanted)
    with Server(guest("october")) as server:
        network.fine(server, f"/denied/{free_port()}")
        check(server.wait_log("to permit it: --allow-net 127.0.0.1:"), server.log())


def case_drafts_dependency():
    """A dependency that imports a draft beside a component of the final version: each has its own, and what it does not
    inherit is denied with the draft's error."""
    given = 'environment = { A = "1", B = "2" }\n' + compose.allow("http://127.0.0.1:*")
    for date, error in ((OCTOBER, "http error 3\nnot permitted to this dependency\n"), (NOVEMBER, "http error 15\n")):
        words = guest(f"words-{date}")
        for inherit, wanted in (("[]", f"variables 0\ncwd 0\ndirectories 0\n{error}"),
                                ('["environment", "allowed_outbound_hosts"]', "variables 2\ncwd 0\ndirectories 0\nhttp sent\n")):
            both = "".join(f'{name} = {{ path = "{words}", inherit_configuration = {inherit} }}\n'
                           for name in ('"test:words"', "greet"))
            with compose.folder(compose.wordy(given, both)) as top, compose.Server(top) as server:
                expect(ask(server.port, "/greet?you"), 200, b"greetings, you")
                expect(ask(server.port, "/length", method="POST", body=b"x" * 100000), 200, b"100000")
                report = ask(server.port, "/probe")[2].decode()
                check(report.startswith(wanted), f"{date} {inherit}: {wanted!r}, not {report!r}")


def case_drafts_refused():
    """A draft is itself and nothing else: what another one or the final version calls otherwise is not found in it."""
    with tempfile.TemporaryDirectory() as top:
        for name, date, other, *wanted in (
                ("october", OCTOBER, "2023-12-05", "@0.2.0-rc-2023-12-05", "is imported, which mayfly does not have",
                 "in version 0.2: build the component for that"),
                ("october", OCTOBER, NOVEMBER, "@0.2.0-rc-2023-11-10"),
                ("echo-" + NOVEMBER, NOVEMBER, OCTOBER, "@0.2.0-rc-2023-10-18"),
                ("sockets-" + NOVEMBER, NOVEMBER, OCTOBER, "@0.2.0-rc-2023-10-18")):
            with open(guest(name), "rb") as file:
                data = file.read()
            check(date.encode() in data, f"{name} imports the draft of {date}")
            path = os.path.join(top, "other.wasm")
            with open(path, "wb") as file:
                file.write(data.replace(date.encode(), other.encode()))
            code, _, text = run.run_up("up", path, "--listen", "127.0.0.1:0")
            check(code == 1 and all(part in text for part in wanted), f"{name} as {other}: {wanted}, not {code} {text}")
            check("is imported" in text, f"{name} as {other}: {text}")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
