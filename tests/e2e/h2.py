#!/usr/bin/env python3
"""End to end: HTTP/2 and TLS, with curl, with frames by hand, and with h2spec where it is installed.

    h2.py [--tier TIER] PROGRAM [CASE...]    as run.py; H2SPEC names the program h2spec if it is not in PATH
"""
import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings

from run import ROOT, Client, Failure, Server, Skipped, ask, check, command, expect, guest, main, needs

HELLO = os.path.join(ROOT, "examples", "hello-c", "hello.wasm")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL, ENHANCE_YOUR_CALM = 8, 11


# ---- certificates and curl ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def certificate(*more, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    """A throw-away certificate for localhost: the paths of it and of its key."""
    needs("openssl", "version")
    with tempfile.TemporaryDirectory() as folder:
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-keyout", key,
                        "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1", *(more or ["-nodes"])],
                       check=True, capture_output=True)
        yield cert, key


@contextlib.contextmanager
def secure_server(file, *options):
    with certificate() as (cert, key), Server(file, "--tls-cert", cert, "--tls-key", key, *options) as server:
        server.certificate = cert
        yield server


def curl(*arguments, data=None):
    """Version, status and body of the answer."""
    done = subprocess.run(["curl", "-sS", "--max-time", "20", "-w", "\n%{http_version} %{http_code}", *arguments],
                          input=data, capture_output=True)
    if done.returncode:
        raise Failure(f"curl: {done.stderr.decode().strip()}")
    body, _, last = done.stdout.rpartition(b"\n")
    version, status = last.decode().split()
    return version, int(status), body


def same_answer(answer, version, status, body):
    check(answer == (version, status, body), f"HTTP/{version}, {status} and {body!r:.80}, not {answer!r:.200}")


# ---- frames -------------------------------------------------------------------------------------------------------


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name, value):
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def request(stream, path=b"/", method=b"GET", end=True, more=b""):
    block = field(b":method", method) + b"\x86" + field(b":path", path) + b"\x41\x09localhost" + more
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


class Raw:
    """A connection of HTTP/2 on which this side says what it likes."""

    def __init__(self, port, settings=b"", timeout=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))

    def next(self):
        """The next frame: kind, flags, stream, payload; None at the end."""
        while True:
            size = int.from_bytes(self.pending[:3], "big")
            if len(self.pending) >= 9 + size:
                break
            data = self.socket.recv(65536)
            if not data:
                return None
            self.pending += data
        kind, flags, stream = struct.unpack(">BBI", self.pending[3:9])
        payload, self.pending = self.pending[9:9 + size], self.pending[9 + size:]
        if kind == SETTINGS and not flags & ACK:
            with contextlib.suppress(ConnectionError):
                self.send(frame(SETTINGS, ACK))
        return kind, flags, stream, payload

    def until(self, *kinds):
        """The next frame of these kinds; None at the end."""
        while (got := self.next()) and got[0] not in kinds:
            pass
        return got

    def answer(self, stream):
        """Whether a stream was answered with 200, and the body; windows are opened for it."""
        fine, body = False, b""
        while got := self.next():
            kind, flags, of, payload = got
            if of == stream and kind == HEADERS:
                fine |= payload[:1] == b"\x88"
            if of == stream and kind == DATA:
                body += payload
                if payload:
                    self.send(*[frame(WINDOW_UPDATE, 0, i, struct.pack(">I", len(payload))) for i in (0, stream)])
            if of == stream and kind == RST_STREAM:
                return False, body
            if of == stream and kind in (HEADERS, DATA) and flags & END_STREAM:
                return fine, body
        raise Failure(f"the connection ended before stream {stream} did")


# ---- cases --------------------------------------------------------------------------------------------------------


def case_h2_curl():
    """curl with prior knowledge: bodies of all sizes both ways, heads only, refusals, several at once."""
    needs("curl", "--version")
    known = "--http2-prior-knowledge"
    with Server(HELLO) as server:
        url = f"http://127.0.0.1:{server.port}"
        same_answer(curl(known, url + "/a?b"), "2", 200, b"Hello from C! You asked for /a?b\n")
        same_answer(curl(known, "-I", "-o", os.devnull, url), "2", 200, b"")
        same_answer(curl(url + "/one"), "1.1", 200, b"Hello from C! You asked for /one\n")
        same_answer(curl("--http2", url + "/one"), "1.1", 200, b"Hello from C! You asked for /one\n")
        paths = [f"{url}/{i}" for i in range(50)]
        done = subprocess.run(["curl", "-sS", known, "--parallel", "--parallel-immediate", *paths], capture_output=True)
        lines = sorted(done.stdout.decode().split("\n")[:-1])
        check(lines == sorted(f"Hello from C! You asked for /{i}" for i in range(50)), f"50 answers, not {lines}")
    with Server(guest("echo"), "--max-body", "3M") as server:
        url = f"http://127.0.0.1:{server.port}/"
        for size in (0, 1, 1000, 32768, 65535, 65536, 100000, 3 << 20):
            for path in ("", "whole"):
                body = os.urandom(size)
                same_answer(curl(known, "--data-binary", "@-", url + path, data=body), "2", 200, body)
        check(curl(known, "--data-binary", "@-", url, data=bytes((3 << 20) + 1))[:2] == ("2", 413), "413 beyond the limit")
        check(curl(known, "-H", "x: " + "y" * 17000, url)[:2] == ("2", 431), "431 for a large head")
        expect(ask(server.port, "/", method="POST", body=b"still here"), 200, b"still here")


def case_h2_tls():
    """TLS: HTTP/2 and HTTP/1.1 by ALPN, with what is safe only, and sessions that go on."""
    needs("curl", "--version")
    with secure_server(guest("echo"), "--workers", "1") as server:
        url, trust = f"https://localhost:{server.port}/", ("--cacert", server.certificate)
        for version, options in (("2", ("--http2",)), ("1.1", ("--http1.1",)), ("1.1", ("--no-alpn",)),
                                 ("2", ("--tls-max", "1.2"))):
            for size in (0, 1000, 100000, 2 << 20):
                body = os.urandom(size)
                same_answer(curl(*trust, *options, "--data-binary", "@-", url, data=body), version, 200, body)
        context = ssl.create_default_context(cafile=server.certificate)
        session = None
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain, \
                    context.wrap_socket(plain, server_hostname="localhost", session=session) as secure:
                secure.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
                               b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                got = b""
                while data := secure.recv(65536):
                    got += data
                check(got.count(b"HTTP/1.1 200 OK") == 2 and b"hi" in got, f"two answers, then the end, not {got!r:.300}")
                check(secure.session_reused == (session is not None), "the session goes on")
                session = secure.session
        refused(server.port, context, "an old version", tls="1.1")
        refused(server.port, context, "a protocol that is none of ours", alpn="spdy/1")
        refused(server.port, context, "no forward secrecy", ciphers="AES128-GCM-SHA256")
        with Client(server.port, timeout=5) as client:
            client.send("/")
            check(not client.until_end().startswith(b"HTTP/"), "no plain HTTP on this port")
        check(curl(*trust, url)[1] == 200, "and it serves on")


def refused(port, context, what, tls=None, alpn=None, ciphers=None):
    mine = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    mine.check_hostname, mine.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if tls:
            mine.set_ciphers("ALL:@SECLEVEL=0")
            mine.minimum_version = mine.maximum_version = ssl.TLSVersion.TLSv1_1
        if ciphers:
            mine.set_ciphers(ciphers)
            mine.maximum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        mine.set_alpn_protocols([alpn])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        try:
            mine.wrap_socket(plain).close()
        except (ssl.SSLError, OSError):
            return
    raise Failure(f"{what} is refused")


def start_fails(*options):
    done = subprocess.run([*command("up"), HELLO, "--listen", "127.0.0.1:0", *options], capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL)
    check("Serving" not in done.stdout, f"it does not begin with {options}")
    return done.returncode, done.stderr


def case_h2_tls_files():
    """Files that are not there, are none or do not fit are named when the server starts, with what to do."""
    with certificate() as (cert, key), certificate() as (_, other), certificate("-passout", "pass:secret") as (_, locked):
        code, text = start_fails("--tls-cert", cert)
        check(code == 2 and "--tls-cert and --tls-key belong together" in text, f"{code}: {text}")
        for options, path, wanted in (((cert + "x", key), cert + "x", "No such file"), ((cert, key + "x"), key + "x", "No such file"),
                                      ((HELLO, key), HELLO, "no certificate can be read"), ((key, key), key, "no certificate can be read"),
                                      ((cert, other), other, "no key of this certificate"), ((cert, cert), cert, "no key of this certificate"),
                                      ((cert, locked), locked, "no key of this certificate")):
            code, text = start_fails("--tls-cert", options[0], "--tls-key", options[1])
            check(code == 1 and path in text and wanted in text and len(text.strip().split("\n")) == 2,
                  f"an error that names {path} and says \"{wanted}\" and a remedy, not {code}: {text}")


def shown(port):
    """The certificates that new connections are shown, of many, so that all workers have some."""
    return {ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=20)) for _ in range(24)}


def inside(cert):
    with open(cert) as file:
        return ssl.PEM_cert_to_DER_cert(file.read())


def told(server, pattern, number):
    """The log has this line so often in the end."""
    end = time.monotonic() + 20
    while (found := len(re.findall(pattern, server.log(), re.M))) < number:
        check(time.monotonic() < end, f"{number} times \"{pattern}\" in the log, not {found}: {server.log()[-2000:]}")
        time.sleep(0.02)
    check(found == number, f"{number} times \"{pattern}\" in the log, not {found}")


def processes(server, count):
    """The server's processes, once they are so many: those that a SIGHUP took may be about to end."""
    end = time.monotonic() + 20
    while len(found := server.workers()) != count:
        check(time.monotonic() < end, f"{count} processes, not {found}")
        time.sleep(0.02)
    return found


def put(source, target):
    """As tools that renew certificates do: written aside, renamed over."""
    shutil.copy(source, target + ".new")
    os.rename(target + ".new", target)


@contextlib.contextmanager
def kept(port, cert, stop, wrong):
    """Requests on one connection all the while, the answer of each with no mistake."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain, \
            ssl.create_default_context(cafile=cert).wrap_socket(plain, server_hostname="localhost") as secure:
        def ask_on():
            try:
                while not stop.is_set():
                    secure.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
                    got = b""
                    while not got.endswith((b"hi", b"hi\r\n0\r\n\r\n")):
                        data = secure.recv(65536)
                        if not data:
                            raise Failure("the end")
                        got += data
                    if not got.startswith(b"HTTP/1.1 200 OK"):
                        raise Failure(got)
                    stop.wait(0.01)
            except (Failure, OSError) as failure:
                wrong.append(repr(failure))
        thread = threading.Thread(target=ask_on)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def hang_up(server, renewed, reloads):
    """SIGHUP, until both files and the function were taken up."""
    server.process.send_signal(signal.SIGHUP)
    told(server, r"INFO  certificate renewed$", renewed)
    told(server, r"INFO  reloaded$", reloads)


def case_h2_tls_renewed():
    """SIGHUP takes up new files of certificate and key in all workers, of another kind too; open connections go on."""
    with certificate() as (cert, key), certificate() as second, certificate(kind=("rsa:2048",)) as third, certificate() as fourth, \
            Server(guest("echo"), "--workers", "3", "--tls-cert", cert, "--tls-key", key) as server:
        first = cert + ".first"
        shutil.copy(cert, first)
        stop, wrong = threading.Event(), []
        workers = server.workers()
        with contextlib.ExitStack() as stack:
            for _ in range(6):
                stack.enter_context(kept(server.port, first, stop, wrong))
            check(shown(server.port) == {inside(first)}, "all show the first one")
            for number, (new_cert, new_key) in enumerate((second, third, fourth), 1):
                put(new_cert, cert)
                put(new_key, key)
                hang_up(server, number, number)
                check(shown(server.port) == {inside(new_cert)}, f"all show number {number} and no other: {server.log()}")
        check(not wrong, f"{len(wrong)} open connections did not go on, the first: {wrong[:1]}")
        check(processes(server, 3) == workers, "the workers are the same")
        os.kill(workers[0], signal.SIGKILL)
        end = time.monotonic() + 20
        while len(server.workers()) < 3 or workers[0] in server.workers():
            check(time.monotonic() < end, "another worker takes the place of one that is killed")
            time.sleep(0.02)
        check(shown(server.port) == {inside(fourth[0])}, "it shows the last one too")


def memory_has(pid, needle):
    """Whether a process has these bytes somewhere in what it can write."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            low, high = (int(end, 16) for end in line.split()[0].split("-"))
            if line.split()[1][0] != "r" or high - low > 1 << 30 or "[v" in line:
                continue
            with contextlib.suppress(OSError):
                memory.seek(low)
                if needle in memory.read(high - low):
                    return True
    return False


def case_h2_tls_secret():
    """The key is in workers, and not in the supervisor, before and after it was renewed."""
    with certificate() as (cert, key), certificate() as second, \
            Server(guest("echo"), "--workers", "2", "--tls-cert", cert, "--tls-key", key) as server:
        for number, (new_cert, new_key) in enumerate(((cert, key), second)):
            put(new_cert, cert)
            put(new_key, key)
            if number:
                hang_up(server, 1, 1)
            text = subprocess.run(["openssl", "pkey", "-in", key, "-noout", "-text"], text=True, capture_output=True, check=True).stdout
            secret = bytes.fromhex(re.sub(r"[^0-9a-f]", "", text.split("priv:")[1].split("pub:")[0]))
            with open(key) as file:
                pem = file.read().split("\n")[1].encode()
            try:
                held = [memory_has(pid, secret[::-1][:32]) or memory_has(pid, secret[-32:]) for pid in processes(server, 2)]
            except PermissionError:
                raise Skipped("the memory of other processes cannot be read") from None
            check(all(held), f"each worker has key {number}: {held}")
            for needle in (secret[-32:], secret[::-1][:32], pem):
                check(not memory_has(server.process.pid, needle), "the supervisor does not")
            check(not any(memory_has(pid, pem) for pid in processes(server, 2)), "nor is its text left in workers")


def case_h2_tls_not_renewed():
    """Files that do not fit, are none, are too large or are not there change nothing, and the log says why; what is put right is
    taken up. The function is loaded anew all the same."""
    with certificate() as (cert, key), certificate() as second, certificate(kind=("rsa:2048",)) as third, certificate("-passout", "pass:secret") as locked, \
            Server(guest("echo"), "--workers", "2", "--tls-cert", cert, "--tls-key", key) as server:
        old = inside(cert)
        large = cert + ".large"
        with open(large, "wb") as file:
            file.write(b"x" * ((1 << 20) + 1))
        bad = ((second[0], None, key, "no key of this certificate can be read from it"), (third[0], None, key, "no key of this certificate"),
               (HELLO, None, cert, "no certificate can be read from it"), (*locked, key, "no key of this certificate"),
               (large, second[1], cert, "more than 1048576 bytes"), (second[0], os.devnull, key, "no key of this certificate"))
        good_cert, good_key = cert + ".good", key + ".good"
        shutil.copy(cert, good_cert)
        shutil.copy(key, good_key)
        for number, (new_cert, new_key, path, why) in enumerate(bad, 1):
            put(new_cert, cert)
            put(new_key or good_key, key)
            server.process.send_signal(signal.SIGHUP)
            told(server, r"ERROR certificate not renewed: ", number)
            told(server, r"INFO  reloaded$", number)
            line = [line for line in server.log().split("\n") if "not renewed" in line][-1]
            check(f"renewed: {path}: {why}" in line and line.endswith(", and send SIGHUP again"),
                  f"a line that names {path}, says \"{why}\" and what to do, not {line}")
        os.remove(key)
        server.process.send_signal(signal.SIGHUP)
        told(server, "ERROR certificate not renewed: " + re.escape(key) + ": No such file or directory; give .*, and send SIGHUP again$", 1)
        check(shown(server.port) == {old}, "all of them show the old one")
        put(second[0], cert)
        put(second[1], key)
        hang_up(server, 1, len(bad) + 2)
        check(shown(server.port) == {inside(second[0])}, "and what fits in the end")
        for again in (True, False): # who reads a pipe that nobody writes gives way, to another who reads or to the end
            os.mkfifo(key + ".pipe")
            os.rename(key + ".pipe", key)
            server.process.send_signal(signal.SIGHUP)
            reloads = len(bad) + 3 + 2 * (not again)
            told(server, r"INFO  reloaded$", reloads)
            processes(server, 3)
            time.sleep(0.2)
            check(len(server.workers()) == 3, "one still reads")
            if again:
                put(good_key, key)
                put(good_cert, cert)
                hang_up(server, 2, reloads + 1)
                check(shown(server.port) == {old}, "the first one again")


def case_h2_tls_renewed_late():
    """It is said to be renewed when the last worker has taken it, or is gone."""
    with certificate() as (cert, key), certificate() as second, certificate() as third, \
            Server(guest("echo"), "--workers", "2", "--tls-cert", cert, "--tls-key", key,
                   *(("--user", "nobody") if os.geteuid() == 0 else ())) as server: # who cannot read the files
        for number, (new_cert, new_key) in enumerate((second, third), 1):
            slow = server.workers()[0]
            put(new_cert, cert)
            put(new_key, key)
            os.kill(slow, signal.SIGSTOP)
            server.process.send_signal(signal.SIGHUP)
            told(server, r"INFO  reloaded$", number)
            time.sleep(0.5)
            told(server, r"INFO  certificate renewed$", number - 1)
            os.kill(slow, signal.SIGCONT if number == 1 else signal.SIGKILL)
            told(server, r"INFO  certificate renewed$", number)
            check(shown(server.port) == {inside(new_cert)}, f"all show number {number}")


def case_h2_streams():
    """1,000 streams on one connection, 100 at a time; then ten connections with as many at once."""
    with Server(HELLO) as server:
        with Raw(server.port) as raw:
            opened, ended, good = 0, 0, 0
            while ended < 1000:
                while opened < 1000 and opened - ended < 100:
                    raw.send(request(2 * opened + 1, b"/%d" % opened))
                    opened += 1
                kind, flags, _, payload = raw.next() or check(False, f"{ended} of 1000 answers, then the end")
                if kind == DATA and payload:
                    raw.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", len(payload))))
                good += kind == HEADERS and payload[:1] == b"\x88"
                ended += kind in (HEADERS, DATA) and flags & END_STREAM
            check(good == 1000, f"1000 answers of 200, not {good}")
        with contextlib.ExitStack() as stack:
            many = [stack.enter_context(Raw(server.port)) for _ in range(10)]
            for raw in many:
                raw.send(*[request(2 * i + 1) for i in range(100)])
            for raw in many:
                answers = [raw.until(HEADERS) for _ in range(100)]
                check(all(answer and answer[3][:1] == b"\x88" for answer in answers), "200 for all")


def case_h2_reset():
    """Streams that are broken off again and again end the connection, and nobody else notices."""
    with Server(guest("greedy"), "--max-instances", "50") as server, Client(server.port) as other:
        for _ in range(3):
            with Raw(server.port) as raw:
                with contextlib.suppress(ConnectionError):
                    for i in range(0, 4000, 4):
                        raw.send(*[request(2 * k + 1, b"/wait") + frame(RST_STREAM, 0, 2 * k + 1, struct.pack(">I", CANCEL))
                                   for k in range(i, i + 4)])
                with contextlib.suppress(ConnectionError):
                    last = raw.until(GOAWAY)
                    check(last is not None and last[3][7] == ENHANCE_YOUR_CALM, f"a GOAWAY with ENHANCE_YOUR_CALM, not {last}")
            expect(other.ask("/"), 200, b"fine\n")
        with Raw(server.port) as raw: # a few are a client's right
            raw.send(*[request(2 * k + 1, b"/wait") + frame(RST_STREAM, 0, 2 * k + 1, struct.pack(">I", CANCEL))
                       for k in range(100)])
            raw.send(request(201))
            check(raw.answer(201) == (True, b"fine\n"), "an answer behind a hundred that were not wanted")
        check("trap" not in server.log(), f"nothing to tell, but {server.log()[-500:]}")


def case_h2_window():
    """A client that opens no window gets what fits, its body is read only as far as the answer goes, and others go on."""
    with Server(guest("echo")) as server, Raw(server.port) as raw:
        raw.send(request(1, b"/", b"POST", end=False))
        credit, sent, got = {0: 65535, 1: 65535}, 0, 0
        raw.socket.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while sent < 4 << 20:
                n = min(credit[0], credit[1], 16384)
                if n:
                    raw.send(frame(DATA, 0, 1, bytes(n)))
                    credit = {0: credit[0] - n, 1: credit[1] - n}
                    sent += n
                    continue
                kind, _, stream, payload = raw.next() or check(False, "the connection stays")
                if kind == WINDOW_UPDATE:
                    credit[stream] += struct.unpack(">I", payload)[0]
                if kind == SETTINGS and len(payload):
                    for i in range(0, len(payload), 6):
                        name, value = struct.unpack(">HI", payload[i:i + 6])
                        credit[1] += value - 65535 if name == 4 else 0
                check(kind != RST_STREAM, "the stream stays")
                got += len(payload) if kind == DATA else 0
        check(got == 65535, f"no more than the window, not {got} bytes")
        check(65535 < sent < 400000, f"a body is read as far as the answer goes, not {sent} bytes")
        raw.socket.settimeout(20)
        raw.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 20)), request(3, b"/", b"POST", end=False), frame(DATA, 1, 3, b"hello"))
        check(raw.answer(3) == (True, b"hello"), "another stream goes on")
        expect(ask(server.port, "/", method="POST", body=b"and another client"), 200, b"and another client")
        raw.send(frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1 << 20)))
        total = got
        while total < sent:
            kind, _, stream, payload = raw.next() or check(False, "the rest comes when there is a window")
            total += len(payload) if kind == DATA and stream == 1 else 0


def case_h2_gone():
    """A stream that is broken off ends its request, whatever that is doing; so does a connection."""
    for path in (b"/wait", b"/spin", b"/doze", b"/spin-stream"):
        with Server(guest("greedy"), "--workers", "1", "--max-instances", "1") as server, Raw(server.port) as raw:
            for stream in (1, 3):
                raw.send(request(stream, path))
                wait_status(server.port, 503)
                if stream == 1:
                    raw.send(frame(RST_STREAM, 0, 1, struct.pack(">I", CANCEL)))
                else:
                    raw.socket.close()
                wait_status(server.port, 200)
            check("trap" not in server.log(), f"nothing to tell of {path}, but {server.log()[-500:]}")


def wait_status(port, status):
    end = time.monotonic() + 10
    while ask(port, "/")[0] != status:
        check(time.monotonic() < end, f"{status} in the end")
        time.sleep(0.01)


def case_h2_drain():
    """SIGTERM: GOAWAY, what was begun is answered, and then the end."""
    with Server(guest("echo")) as server, Raw(server.port) as raw:
        raw.send(request(1, b"/", b"POST", end=False), frame(DATA, 0, 1, b"before "))
        check(raw.until(DATA)[3] == b"before ", "the answer has begun")
        server.process.send_signal(signal.SIGTERM)
        last = raw.until(GOAWAY)
        check(last and last[3] == struct.pack(">II", 1, 0), f"a GOAWAY for streams behind 1, not {last}")
        raw.send(frame(DATA, 1, 1, b"after"))
        check(raw.until(DATA)[3] == b"after", "the answer goes on")
        while raw.next():
            pass
        check(server.process.wait(timeout=10) == 0, "and the server ends")


def trickle(sockets, stop):
    """A byte of a head for each, now and then."""
    while not stop.is_set():
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.send(b"a")
        stop.wait(1)


def case_h2_slow():
    """1,000 clients that do not get on with what they say, of all kinds, beside one that does: it does not notice, and they
    are sent away in time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096 and hard >= 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, hard))
    begins = [b"GET /", b"GET / HTTP/1.1\r\nHost: h\r\nX: ", PREFACE + frame(SETTINGS) + frame(HEADERS, 0, 1, b"\x82"), b"\x16\x03\x01"]
    with Server(HELLO) as plain, secure_server(HELLO) as secure, contextlib.ExitStack() as stack:
        slow, stop = [], threading.Event()
        for i in range(1000):
            begin = begins[i % 4]
            port = secure.port if begin[0] == 0x16 else plain.port
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            sock.sendall(begin)
            slow.append(sock)
        feeder = threading.Thread(target=trickle, args=([sock for i, sock in enumerate(slow) if i % 4 < 2], stop))
        feeder.start()
        times = []
        began = time.monotonic()
        with Client(plain.port) as client:
            while time.monotonic() - began < 8:
                start = time.monotonic()
                expect(client.ask("/fine"), 200)
                times.append(time.monotonic() - start)
                time.sleep(0.005)
        for i, sock in enumerate(slow):
            sock.settimeout(max(0.1, began + 30 - time.monotonic()))
            try:
                while sock.recv(65536):
                    pass
            except ConnectionError:
                pass
            except TimeoutError:
                stop.set()
                raise Failure(f"a client that began with {begins[i % 4]!r:.60} is still there")
        stop.set()
        feeder.join()
        times.sort()
        print(f"  {len(times)} requests beside 1000 slow clients: median {times[len(times) // 2] * 1000:.2f} ms, "
              f"p99 {times[len(times) * 99 // 100] * 1000:.2f} ms")


def loaded(pid):
    """Which of the libraries that are loaded by who needs them a process has."""
    with open(f"/proc/{pid}/maps") as file:
        maps = file.read()
    return {name for name in ("libssl", "libnghttp2", "libcares", "libLLVM") if name in maps}


def case_h2_libraries():
    """The program links libc only; workers load nghttp2, TLS is loaded by who needs it, and what is missing is said."""
    needs("readelf", "--version")
    shown = subprocess.run(["readelf", "-d", command("up")[0]], capture_output=True, text=True, check=True).stdout
    linked = {name for name in re.findall(r"NEEDED.*\[(.*)\]", shown) if not re.match(r"lib(asan|ubsan|m|gcc_s)\.so|ld-", name)}
    check(linked == {"libc.so.6"}, f"libc only, not {linked}")
    with Server(HELLO) as plain, secure_server(HELLO) as secure:
        for server, wanted in ((plain, {"libnghttp2"}), (secure, {"libnghttp2", "libssl"})):
            check(loaded(server.process.pid) == set(), f"the supervisor has none, not {loaded(server.process.pid)}")
            has = loaded(server.workers()[0])
            check(has == wanted, f"workers have {wanted}, not {has}")
    with tempfile.TemporaryDirectory() as folder:
        open(os.path.join(folder, "libnghttp2.so.14"), "w").close()
        os.environ["LD_LIBRARY_PATH"] = folder
        with contextlib.ExitStack() as stack:
            try:
                plain, secure = [stack.enter_context(start(HELLO)) for start in (Server, secure_server)]
            finally:
                del os.environ["LD_LIBRARY_PATH"]
            with Client(plain.port) as client:
                client.socket.sendall(PREFACE)
                check(client.until_end().startswith(b"HTTP/1.1 505 "), "HTTP/2 cannot be had")
            expect(ask(plain.port, "/"), 200)
            check(secure.wait_log("no HTTP/2: .*install nghttp2"), "the log says what is missing")
            check(curl("-k", f"https://127.0.0.1:{secure.port}/")[:2] == ("1.1", 200), "and HTTP/1.1 is chosen")


def h2spec(*arguments):
    """How many passed and were skipped, and what failed, by section and number."""
    program = os.environ.get("H2SPEC") or shutil.which("h2spec")
    if not program:
        raise Skipped("h2spec is not installed (PATH, H2SPEC)")
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.xml")
        done = subprocess.run([program, "-h", "127.0.0.1", "-o", "3", "-j", report, *arguments], capture_output=True,
                              text=True, timeout=300)
        counts = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", done.stdout)
        check(counts, f"no counts of h2spec: {done.stdout[-500:]} {done.stderr[-500:]}")
        with open(report) as file:
            failed = re.findall(r'package="([^"]+)" classname="([^"]+)"[^>]*>\s*<(?:failure|error)', file.read())
    return [int(number) for number in counts.groups()], failed


def case_h2_spec():
    """All of h2spec, plain and over TLS: of a handler that takes 20 ms, and of one that answers at once. Where streams are
    answered before the last one comes there are never too many: that is asked of one that does not answer."""
    crowd = ("http2/5.1.2", "Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded")
    for handler, path in ((guest("greedy"), "/nap/20/7"), (HELLO, "/")):
        with Server(handler) as plain, secure_server(handler) as secure:
            for name, options in (("plain", ["-p", str(plain.port)]), ("TLS", ["-t", "-k", "-p", str(secure.port)])):
                (tests, passed, skipped, _), failed = h2spec("-P", path, *options)
                print(f"  {path}, {name}: {passed} of {tests} passed, {skipped} skipped")
                failed = [one for one in failed if one != crowd]
                check(not failed and skipped == 0, f"{failed} failed, {skipped} were skipped")
    more = ("--max-instances", "2000")
    with Server(guest("greedy"), *more) as plain, secure_server(guest("greedy"), *more) as secure:
        for options in (["-p", str(plain.port)], ["-t", "-k", "-p", str(secure.port)]):
            (_, passed, _, _), failed = h2spec(*options, "-P", "/wait", "http2/5.1.2")
            check(passed == 1 and not failed, f"more streams than there may be are refused, but {failed}")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
