#!/usr/bin/env python3
"""End to end: guests that use the network, against peers in this process.

    network.py [--tier TIER] PROGRAM [CASE...]    as run.py

The guest `sockets` checks itself: its answer is "ok", or a line for each thing that was not as the interface says.
"""
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

import run
from run import Client, Failure, Server, Skipped, ask, check, expect, free_port, guest

ALL = ("--allow-net", "127.0.0.0/8:*", "--allow-listen", "127.0.0.1:*")


class Peer:
    """A listening socket on 127.0.0.1 whose every connection runs `serve(connection)` in a thread; `cut` ends those that
    are left at the end."""

    def __init__(self, serve, backlog=64, cut=False):
        self.cut = cut
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port = self.listener.getsockname()[1]
        self.serve = serve
        self.threads = []
        self.failures = []
        self.accepted = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.accepted += 1
                if self.cut:
                    self.connections.append(connection)
                thread = threading.Thread(target=self.run, args=(connection,), daemon=True)
                thread.start()
                self.threads.append(thread)

    def run(self, connection):
        try:
            with connection:
                connection.settimeout(30)
                self.serve(connection)
        except (OSError, Failure) as failure:
            self.failures.append(failure)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in list(self.threads):
            thread.join(timeout=30)


class Names:
    """A name server on 127.0.0.1: {"name": ["192.0.2.1", "2001:db8::1"]}; a name with None is never answered, any other
    does not exist."""

    def __init__(self, table):
        self.table = table
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                query, client = self.socket.recvfrom(4096)
                answer = self.answer(query)
                if answer:
                    self.socket.sendto(answer, client)

    def answer(self, query):
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind = ".".join(labels).lower(), struct.unpack(">H", query[at + 1:at + 3])[0]
        question = query[12:at + 5]
        self.asked.append(name)
        found = self.table.get(name, ())
        if found is None:
            return None
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        addresses = [socket.inet_pton(family, a) for a in found if family and (":" in a) == (kind == 28)]
        code = 0 if name in self.table else 3
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(addresses), 0, 0)
        return head + question + b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(a)) + a for a in addresses)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def fine(server, path):
    """The guest finds nothing wrong."""
    answer = ask(server.port, path)
    check(answer[0] == 200 and answer[2] == b"ok\n", f"{path}: ok, not {answer[0]} {answer[2].decode()!s:.2000}")


def stop_now(server):
    """The first signal lets requests finish, the second ends them."""
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)


def echo(connection):
    while data := connection.recv(65536):
        connection.sendall(data)


def case_net_tcp_states():
    """Every function of wasi:sockets/tcp in every state, and every argument that is refused."""
    with Server(guest("sockets"), *ALL, "--allow-net", "[::]/0:*", "--allow-listen", "0.0.0.0/0:*",
                "--allow-listen", "[::]/0:*") as server:
        fine(server, "/tcp-states")
        fine(server, "/tcp-arguments")
        fine(server, f"/tcp-refused/{free_port()}")


def case_net_tcp_self():
    """A guest that listens, connects to itself, accepts, sends, receives, shuts down; IPv4 and IPv6."""
    with Server(guest("sockets"), *ALL, "--allow-net", "[::1]:*", "--allow-listen", "[::1]:*") as server:
        for _ in range(3):
            fine(server, "/tcp-self4")
        if not has_v6():
            raise Skipped("no IPv6 here")
        fine(server, "/tcp-self6")


def has_v6():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


def case_net_tcp_echo():
    """Three megabytes to a peer and back, with back-pressure both ways; several requests at once."""
    def slow(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        time.sleep(0.2)
        echo(connection)
    with Server(guest("sockets"), *ALL) as server, Peer(slow) as peer:
        threads = [threading.Thread(target=fine, args=(server, f"/tcp-echo/{peer.port}")) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(peer.accepted == 4 and not peer.failures, f"four connections, {peer.accepted}, {peer.failures}")
        fine(server, f"/tcp-echo/{peer.port}")


def case_net_tcp_drop():
    """What was written reaches a slow peer although the guest drops the connection; the end comes behind it."""
    received, done = [], threading.Event()

    def slow(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        time.sleep(0.5)
        total = 0
        while data := connection.recv(65536):
            total += len(data)
        received.append(total)
        done.set()
    with Server(guest("sockets"), *ALL) as server, Peer(slow) as peer:
        fine(server, f"/tcp-drop/{peer.port}")
        done.wait(20)
    check(received == [20 * 65536], f"all bytes and the end arrive, not {received}, {peer.failures}")


def case_net_tcp_peers():
    """A bound client, a peer that resets, one that never accepts, and sockets that a guest leaves open."""
    ended = threading.Event()

    def leave(connection):
        check(connection.recv(100) == b"left", "the text arrives")
        check(connection.recv(100) == b"", "the host closes what the guest left open")
        ended.set()

    def port(connection):
        connection.sendall(b"%05d" % connection.getpeername()[1])

    def reset(connection):
        connection.recv(5)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with Server(guest("sockets"), *ALL) as server, Peer(leave) as left, Peer(port) as bound, Peer(reset) as resets:
        fine(server, f"/tcp-bound/{bound.port}")
        fine(server, f"/tcp-reset/{resets.port}")
        fine(server, f"/leave-open/{left.port}")
        check(ended.wait(10), f"an end: {left.failures}")
        fine(server, "/many")
        fine(server, "/many") # they were closed with the request
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        time.sleep(0.1)
        fine(server, f"/tcp-waiting/{full.getsockname()[1]}")
        for filler in fillers:
            filler.close()
        full.close()


def case_net_descriptors():
    """Guests together get half of the descriptors, so that the server has some left to accept with."""
    with Peer(lambda connection: time.sleep(3)) as peer:
        with Server(guest("sockets"), *ALL, files=200) as server, contextlib.ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(Client(server.port)).send(f"/hoard/60/{peer.port}")
            time.sleep(0.5)
            fine(server, "/alive")
            check(run.descriptors(server.workers()[0]) < 190, "descriptors are left")


def case_net_unreachable():
    """A network that cannot be reached: in one of its own, where there is nothing."""
    run.needs("unshare", "-rn", "true")
    for grant, name, words, wanted in (
            (("--allow-net", "203.0.113.1:80"), "net", ("tcp", "203.0.113.1:80"), "error HostUnreachable\n"),
            (("--allow-outbound", "http://203.0.113.1"), "request", ("203.0.113.1",), "error 5\n")): # unroutable
        done = subprocess.run(["unshare", "-rn", *run.command("run"), *grant, guest(name), *words], capture_output=True,
                              text=True, timeout=120)
        check(done.stdout == wanted, f"{name}: {wanted!r}, not {done}")


def case_net_udp():
    """Every function of wasi:sockets/udp; two sockets of a guest, a peer, and a stranger that is not heard."""
    with Server(guest("sockets"), *ALL, "--allow-net", "[::1]:*", "--allow-listen", "[::1]:*") as server:
        fine(server, "/udp-states")
        fine(server, "/udp-self4")
        if has_v6():
            fine(server, "/udp-self6")
    peer, stranger = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with peer, stranger:
        peer.bind(("127.0.0.1", 0))
        stranger.bind(("127.0.0.1", 0))

        def serve():
            data, client = peer.recvfrom(100)
            for _ in range(20): # more would fill the queue, and the answer be lost
                stranger.sendto(b"listen to me", client)
            peer.sendto(data, client)
        thread = threading.Thread(target=serve)
        thread.start()
        port = peer.getsockname()[1]
        with Server(guest("sockets"), "--allow-net", f"127.0.0.1:{port}") as server:
            fine(server, f"/udp-client/{port}")
        thread.join()


def case_net_denied():
    """Nothing is granted, or one port only: access-denied, and a line in the log, once, that says what would help."""
    with Server(guest("sockets")) as server, Peer(echo) as peer, Peer(echo) as other:
        for _ in range(3):
            fine(server, f"/denied/{peer.port}")
        log = server.log()
        for line in (f"denied: connecting to 127.0.0.1:{peer.port}; to permit it: --allow-net 127.0.0.1:{peer.port}",
                     "denied: binding to 127.0.0.1:0; to permit it: --allow-listen 127.0.0.1:0",
                     "denied: looking up example.com; to permit it: --allow-net example.com:PORT"):
            check(log.count(line) == 1, f"one line {line!r} in {log}")
        check(peer.accepted == 0, "no connection was made")
    with Peer(echo) as peer, Peer(echo) as other, \
            Server(guest("sockets"), "--allow-net", f"127.0.0.1:{peer.port}") as server:
        fine(server, f"/denied-rest/{peer.port}/{other.port}")
        check(other.accepted == 0, "no connection was made")
        check(server.log().count("to permit it: --allow-listen 127.0.0.1:0") == 1, f"a remedy in {server.log()}")


def lookup(server, name, *rest):
    answer = ask(server.port, "/".join(["/lookup", urllib.parse.quote(name), *map(str, rest)]))
    expect(answer, 200)
    return answer[2].decode().split("\n")[:-1]


def case_net_lookup():
    """Names: found, missing, never answered, not granted, private; numeric ones; what follows from them."""
    table = {"public.test": ["203.0.113.7", "2001:db9::7"], "private.test": ["10.9.9.9"],
             "mixed.test": ["10.1.2.3", "203.0.113.9"], "a.sub.test": ["203.0.113.11"], "empty.test": [],
             "mapped.test": ["::ffff:127.0.0.1"], "other.test": ["203.0.113.7"], "silent.test": None, "xn--mnchen-3ya.sub.test": ["203.0.113.12"]}
    grants = [word for name in ("public.test:443", "private.test:*", "mixed.test:*", "*.sub.test:80", "empty.test:1",
                                "mapped.test:*", "missing.test:*", "silent.test:*", "localhost:*")
              for word in ("--allow-net", name)]
    with Names(table) as names, Server(guest("sockets"), *grants, "--dns", names.address) as server:
        found = lookup(server, "public.test")
        check(sorted(found) == ["2001:db9:0:0:0:0:0:7", "203.0.113.7"], f"both addresses, not {found}")
        check(lookup(server, "PUBLIC.test.")[:1] != ["error 1"], "names compare without case, and the root's dot is one")
        check(lookup(server, "a.sub.test") == ["203.0.113.11"], "a name below a granted one")
        check(lookup(server, "München.sub.test") == ["203.0.113.12"], "a name in Unicode")
        check(lookup(server, "münchen.other") == ["error 1"], "is granted by what it is in ASCII")
        for name in ("\u00fc" * 64 + ".sub.test", "a\u00fc..sub.test"):
            check(lookup(server, name) == ["error 3"], f"{name} is no name: {lookup(server, name)}")
        for name in ("b.sub.other", "sub.test", "other.test", "xsub.test"):
            check(lookup(server, name) == ["error 1"], f"{name} is denied")
            check(name not in names.asked, f"nobody is asked for {name}")
        check(lookup(server, "private.test") == ["error 1"], "a name does not lead to a private address")
        check(server.wait_log("private.test leads to the private address 10.9.9.9; to permit it: --allow-net"),
              f"the reason is in {server.log()}")
        check(lookup(server, "mixed.test") == ["203.0.113.9"], "the private address is left out")
        check(lookup(server, "mapped.test")[0].startswith("error"), "no mapped address")
        for name in ("missing.test", "empty.test"):
            check(lookup(server, name) == ["error 18"], f"{name} has no address, {lookup(server, name)}")
        for name in ("a..b", "-", "127.0.0.256", "%20", "1.2.3", "[", "x" * 64 + ".test"):
            check(lookup(server, name) in (["error 3"], ["error 1"]), f"{name!r} is refused: {lookup(server, name)}")
        check(lookup(server, "127.0.0.256") == ["error 3"], "neither an address nor a name")
        check(lookup(server, "192.0.2.1") == ["192.0.2.1"], "an address is itself, without a grant")
        check(lookup(server, "::1") == lookup(server, "[::1]") == ["0:0:0:0:0:0:0:1"], "so is one of IPv6")
        check("127.0.0.1" in lookup(server, "localhost"), "localhost is granted by its name")
        # What a name led to is permitted for this name's ports only, and in the request that asked.
        check(lookup(server, "public.test", 443)[-1] in ("connecting", "connect: error 13"), "the granted port")
        check(lookup(server, "public.test", 80)[-1] == "connect: error 1", "another port")
        check(lookup(server, "203.0.113.7", 443)[-1] == "connect: error 1", "the address without the name")
        fine(server, "/lookup-drop/silent.test")
        with Client(server.port) as waiting:
            waiting.send("/lookup/silent.test")
            time.sleep(0.2)
            check(lookup(server, "a.sub.test") == ["203.0.113.11"], "others go on while one waits")
            stop_now(server)
    with Names(table) as names, Server(guest("sockets"), "--allow-net", "*:443", "--dns", names.address) as server:
        check(lookup(server, "public.test", 443)[-1] in ("connecting", "connect: error 13"), "any name")
        check(lookup(server, "private.test") == ["error 1"], "but none that is private")
        check(lookup(server, "127.0.0.1", 443)[-1] == "connect: error 1", "nor a private address")


def case_net_traps():
    """What the interfaces forbid traps: the request gets a 500, its sockets are closed, and the server goes on."""
    closed = threading.Semaphore(0)

    def until_end(connection):
        while connection.recv(100):
            pass
        closed.release()
    with Server(guest("sockets"), *ALL) as server, Peer(until_end) as peer:
        for path, reason in ((f"/drop-order/{peer.port}", "tcp-socket dropped before its 2 child resources"),
                             ("/drop-pollable", "udp-socket dropped before its 1 child resource"),
                             ("/stream-twice", "before the streams of the last call were dropped"),
                             ("/send-unpermitted", "send of 1 datagrams where check-send allowed 0"),
                             (f"/write-unpermitted/{peer.port}", "write of 1 bytes where check-write allowed 0")):
            expect(ask(server.port, path), 500)
            check(server.wait_log(reason), f"{reason} in {server.log()}")
        check(closed.acquire(timeout=10) and closed.acquire(timeout=10), "both connections end")
        fine(server, "/tcp-states")


def case_net_gone():
    """The client goes away while the guest waits for the network, and then the server: the connection ends with it."""
    begun, ended = threading.Event(), threading.Event()

    def mute(connection):
        begun.set()
        connection.recv(1 << 20)
        ended.set()
    with Peer(mute) as peer:
        with Server(guest("sockets"), *ALL) as server:
            with Client(server.port) as client:
                client.send(f"/tcp-bound/{peer.port}")
                check(begun.wait(10), "a connection")
            time.sleep(0.2)
            fine(server, "/tcp-states")
            check(not ended.is_set(), "the guest goes on without its client")
            stop_now(server)
        check(ended.wait(10), "the end of the server closes the connection")


def rust(*arguments, **more):
    """The standard library of Rust as a command."""
    options = more.pop("options", ALL)
    return subprocess.Popen([*run.command("run"), *options, guest("net"), *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **more)


def said(process, output, code=0):
    out, errors = process.communicate(timeout=60)
    check((process.returncode, out) == (code, output), f"{code} {output!r}, not {process.returncode} {out!r} {errors!r}")
    return errors


def case_net_rust():
    """std::net of Rust: a TCP client and server, UDP, names; and what it says when nothing is granted."""
    with Peer(echo) as peer:
        said(rust("tcp", f"127.0.0.1:{peer.port}"),
             f"connected to 127.0.0.1:{peer.port} of 127.0.0.1:{peer.port}\nechoed 500000 bytes, 0 behind\n")
        errors = said(rust("tcp", f"127.0.0.1:{peer.port}", options=()), "error PermissionDenied\n", 1)
        check(f"--allow-net 127.0.0.1:{peer.port}" in errors, f"a remedy in {errors!r}")
    said(rust("tcp", f"127.0.0.1:{free_port()}"), "error ConnectionRefused\n", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(60)
        client = rust("udp", "127.0.0.1:%d" % peer.getsockname()[1], options=("--allow-net", "127.0.0.1:*"))
        data, address = peer.recvfrom(100)
        peer.sendto(data, address)
        said(client, "echoed \"datagram\"\n")
    server = rust("serve", "3")
    line = server.stdout.readline()
    check(line.startswith("listening 127.0.0.1:"), f"a listening server, not {line!r} {line or server.stderr.read()}")
    for size in (1, 5000, 300000):
        with socket.create_connection(("127.0.0.1", int(line.split(":")[1])), timeout=60) as client:
            sender = threading.Thread(target=lambda: (client.sendall(b"x" * size), client.shutdown(socket.SHUT_WR)))
            sender.start()
            received = 0
            while data := client.recv(65536):
                received += len(data)
            sender.join()
            check(received == size, f"{size} bytes, not {received}")
    said(server, "")
    with Names({"rust.test": ["203.0.113.5"]}) as names:
        dns = ("--dns", names.address)
        said(rust("name", "rust.test:80", options=("--allow-net", "rust.test:80", *dns)), "203.0.113.5:80\n")
        said(rust("name", "rust.test:80", options=dns), "error PermissionDenied\n", 1)


def case_net_timeout():
    """A command that waits for the network ends at its deadline."""
    with Peer(lambda connection: time.sleep(5)) as peer:
        before = time.monotonic()
        process = rust("tcp", f"127.0.0.1:{peer.port}", options=(*ALL, "--timeout", "500ms"))
        out, errors = process.communicate(timeout=60)
        check(process.returncode == 134 and time.monotonic() - before < 4, f"the deadline: {process.returncode} {errors!r}")


def case_net_usage():
    """Grants that are none, and name servers that are none: exit code 2 and the form."""
    for option, value, form in (("--allow-net", "example.com", "HOST:PORT"), ("--allow-net", "a b:80", "HOST:PORT"),
                                ("--allow-net", "::1:80", "HOST:PORT"), ("--allow-net", "10.0.0.0/33:80", "HOST:PORT"),
                                ("--allow-net", "x:70000", "HOST:PORT"), ("--allow-net", "x:90..80", "HOST:PORT"),
                                ("--allow-net", "x:80..80", "HOST:PORT"), ("--allow-net", "x:8.0", "HOST:PORT"),
                                ("--allow-net", "*x:80", "HOST:PORT"), ("--allow-net", ":80", "HOST:PORT"),
                                ("--allow-listen", "example.com:80", "ADDRESS:PORT"),
                                ("--allow-listen", "*:80", "ADDRESS:PORT"),
                                ("--allow-outbound", "ftp://x", "SCHEME"), ("--allow-outbound", "http:/x", "SCHEME"),
                                ("--allow-outbound", "http://x/path", "SCHEME"), ("--allow-outbound", "x", "SCHEME")):
        code, _, text = run.run_up("up", guest("sockets"), "--listen", "127.0.0.1:0", option, value)
        check(code == 2 and form in text, f"{option} {value}: {code} {text!r}")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
