#!/usr/bin/env python3
"""End to end: real components, a real server, real sockets.

    run.py [--tier TIER] [--io IO] PROGRAM [CASE...]    PROGRAM is build/mayfly; all cases without names

Every case starts its own server on a free port. A case prints what it skipped by name and fails
with one line that says what was expected. MAYFLY_TEST_FULL=1 makes the long ones longer.
"""
import contextlib
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHARED = os.path.join(ROOT, "..", "shared", "components")
FULL = os.environ.get("MAYFLY_TEST_FULL") == "1"
START_SECONDS = 240
PROGRAM = None
PLANTED = None
TIER = []
IO = []


class Failure(Exception):
    pass


class Skipped(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failure(what)


def command(name, program=None):
    """What runs a guest, with the compiler and the event loop that the caller of the tests asked for."""
    return [program or PROGRAM, name, *(TIER or (["--tier", "best"] if name == "up" else [])),
            *(IO if name == "up" else [])]


def guest(name):
    return os.path.join(HERE, "guests", name + ".wasm")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def is_idle(pid):
    try:
        return os.sched_getscheduler(pid) == os.SCHED_IDLE
    except ProcessLookupError:
        return True


class Server:
    """`mayfly up FILE` on a free port, with one worker unless more are asked for; its log in `log()`; stopped by SIGTERM
    at the end of a `with`. `files`: how many descriptors it may have."""

    def __init__(self, file, *options, program=None, files=None):
        self.errors = tempfile.TemporaryFile(mode="w+", errors="replace")
        if "--workers" not in options:
            options = ("--workers", "1", *options)
        self.file = file
        self.count = int(options[options.index("--workers") + 1]) + ("--admin" in options)
        start = [program or PROGRAM, "up"] if "--tier" in options else command("up", program)
        self.process = subprocess.Popen([*start, file, "--listen", "127.0.0.1:0", *options],
                                        stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        preexec_fn=files and (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))))
        timer = threading.Timer(START_SECONDS, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        match = re.fullmatch(r"Serving https?://127\.0\.0\.1:(\d+)\n", line)
        if not match:
            self.process.kill()
            self.process.wait()
            raise Failure(f"no `Serving http://...` but {line!r}; log: {self.log()[-2000:]}")
        self.port = int(match.group(1))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        status = self.stop()
        if kind and issubclass(kind, (Failure, OSError)):
            print("  log of the server:\n    " + self.log()[-4000:].replace("\n", "\n    "))
        elif not kind:
            check(status == 0, f"the server ended with {status}, not 0, after SIGTERM; log: {self.log()[-4000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "no answer to SIGTERM"

    def supervisor(self):
        """The process whose children serve: of an application, the node that began last."""
        if os.path.isdir(self.file) or self.file.endswith(".toml"):
            return max(children(self.process.pid))
        return self.process.pid

    def workers(self):
        """The processes that serve, by their numbers: not the builder, which lets all others go before it as soon as it
        can."""
        for _ in range(200):
            found = [pid for pid in children(self.supervisor()) if not is_idle(pid)]
            if len(found) <= self.count:
                break
            time.sleep(0.01)
        return found

    def log(self):
        """Read without moving the place where the server writes, which is the same file's."""
        fd = self.errors.fileno()
        return os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="replace")

    def wait_log(self, pattern, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if re.search(pattern, self.log(), re.M):
                return True
            time.sleep(0.02)
        return False


class Client:
    """One keep-alive connection; bytes are read here, so that framing is checked too."""

    def __init__(self, port, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Failure(f"the connection ended early, after {self.pending!r:.200}")
        self.pending += data

    def line(self):
        while b"\r\n" not in self.pending:
            self.more()
        line, self.pending = self.pending.split(b"\r\n", 1)
        return line

    def take(self, count):
        while len(self.pending) < count:
            self.more()
        data, self.pending = self.pending[:count], self.pending[count:]
        return data

    def until_end(self):
        with contextlib.suppress(Failure):
            while True:
                self.more()
        data, self.pending = self.pending, b""
        return data

    def chunks(self):
        data = b""
        while True:
            size = int(self.line().split(b";")[0], 16)
            data += self.take(size)
            if size == 0:
                while self.line():
                    pass
                return data
            check(self.take(2) == b"\r\n", "a chunk ends in CR LF")

    def response(self, method="GET"):
        version, status, *_ = self.line().decode().split(" ")
        check(version == "HTTP/1.1", f"the answer is HTTP/1.1, not {version}")
        headers = {}
        while line := self.line():
            name, value = line.decode("latin-1").split(":", 1)
            headers[name.lower()] = value.strip()
        if method == "HEAD" or status in ("204", "304"):
            body = b""
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body = self.chunks()
        elif "content-length" in headers:
            body = self.take(int(headers["content-length"]))
        else:
            body = self.until_end()
        return int(status), headers, body

    def send(self, path, method="GET", body=None, headers=()):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode() + (body or b""))

    def ask(self, path, method="GET", body=None, headers=()):
        self.send(path, method, body, headers)
        return self.response(method)


def free_port():
    """Below the range that the kernel picks from: a client's own port would be taken before the server starts."""
    for _ in range(100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.randrange(12000, 32000)))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise Failure("no port is free")


def ask(port, path, **more):
    with Client(port) as client:
        return client.ask(path, **more)


def expect(answer, status, body=None):
    check(answer[0] == status, f"status {status}, not {answer[0]} with {answer[2]!r:.200}")
    if body is not None:
        check(answer[2] == body, f"body {body!r:.200}, not {answer[2]!r:.200}")


# ---- cases ------------------------------------------------------------------------------------------------------


def case_examples():
    """The examples in the tree say what they were asked for."""
    for name, greeting in (("hello-c", "Hello from C!"), ("hello-rust", "Hello from Rust!")):
        with Server(os.path.join(ROOT, "examples", name, "hello.wasm")) as server:
            for path in ("/", "/some/path?with=query", "/" + "x" * 900):
                answer = ask(server.port, path)
                expect(answer, 200, f"{greeting} You asked for {path}\n".encode())
                check(answer[1].get("content-type") == "text/plain", f"content-type text/plain, not {answer[1]}")


def component(name, right):
    """A component that another toolchain built, where it lies beside the checkout."""
    file = os.path.join(SHARED, name + ".wasm")
    if not os.path.exists(file):
        raise Skipped(f"{name}.wasm is not in ../shared/components")
    with Server(file) as server, Client(server.port) as client:
        for path in ("/", "/a/b", "/") * 20:
            answer = client.ask(path)
            expect(answer, 200)
            check(right(path, answer[2]), f"another body for {path} than {answer[2]!r:.200}")


def greets(path, body):
    return body.strip() == b"Hello, world!"


def case_shared_c():
    """From C, through the adapter of WASI 0.1."""
    component("hello-c", greets)


def case_shared_rust():
    """From Rust, target wasm32-wasip2."""
    component("hello-rust", greets)


def case_shared_go():
    """From Go, whose runtime starts anew for every request."""
    component("hello-go", greets)


def counts(path, body):
    """The handler gives the path twice, the library makes capitals of it and counts the words."""
    return body.decode().strip() == f"{path.upper()} {path.upper()} (2 words)"


def case_shared_chain():
    """A handler in Rust that calls a library in Go, two components in one file."""
    component("chain-rust-go", counts)


def case_echo():
    """Bodies of many sizes arrive and come back whole, with a length and in chunks."""
    sizes = [0, 1, 100, 4095, 4096, 4097, 65535, 65536, 300000] + ([4000000] if FULL else [])
    source = random.Random(7)
    with Server(guest("echo")) as server, Client(server.port) as client:
        for path in ("/parts", "/whole"):
            for size in sizes:
                body = source.randbytes(size)
                expect(client.ask(path, "POST", body), 200, body)
            chunked = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (b"first ", b"second", b" third" * 1000))
            client.socket.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode() +
                                  chunked + b"0\r\n\r\n")
            expect(client.response(), 200, b"first second" + b" third" * 1000)
            # Who waits for the head before it says more gets it, of a guest that wrote nothing yet too.
            client.socket.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            while b"\r\n\r\n" not in client.pending:
                client.more()
            client.socket.sendall(b"5\r\nafter\r\n0\r\n\r\n")
            expect(client.response(), 200, b"after")


def case_keepalive():
    """Many requests over one connection; several at once in order; `Connection: close` and HTTP/1.0 end it."""
    with Server(os.path.join(ROOT, "examples", "hello-c", "hello.wasm")) as server:
        with Client(server.port) as client:
            for number in range(300):
                expect(client.ask(f"/{number}"), 200, f"Hello from C! You asked for /{number}\n".encode())
            for number in range(20):
                client.send(f"/in-a-row/{number}")
            for number in range(20):
                expect(client.response(), 200, f"Hello from C! You asked for /in-a-row/{number}\n".encode())
            expect(client.ask("/last", headers=["Connection: close"]), 200)
            check(client.until_end() == b"", "the connection ends after `Connection: close`")
        with Client(server.port) as client:
            client.socket.sendall(b"GET /old HTTP/1.0\r\n\r\n")
            check(b"You asked for /old" in client.until_end(), "an answer to HTTP/1.0, then the end")
        with Client(server.port) as client:
            for byte in b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n":
                client.socket.sendall(bytes([byte]))
                time.sleep(0.002)
            expect(client.response(), 200, b"Hello from C! You asked for /slow\n")


def case_refusals():
    """What is not HTTP gets a 4xx and the end of its connection, and nobody else notices."""
    bad = [b"\0\1\2\3\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n", b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
           b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
           b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
           b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
           b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
           b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 200000 + b"\r\n\r\n",
           b"GET /" + b"y" * 200000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"]
    with Server(guest("echo")) as server:
        for request in bad:
            with Client(server.port, timeout=10) as client, contextlib.suppress(ConnectionError, BrokenPipeError):
                client.socket.sendall(request)
                reply = client.until_end()
                status = re.match(rb"HTTP/1\.1 (\d)\d\d ", reply)
                check(status is None and not reply or status and status.group(1) in b"45",
                      f"a refusal of {request!r:.80}, not {reply!r:.120}")
            expect(ask(server.port, "/", method="POST", body=b"still here"), 200, b"still here")


def case_trap():
    """A trap answers 500, leaves a backtrace with the guest's function names, and harms nobody."""
    with Server(guest("trap")) as server, Client(server.port) as other:
        expect(other.ask("/"), 200, b"fine\n")
        for path in ("/trap", "/memory", "/divide", "/stack", "/table", "/silent", "/trap"):
            expect(ask(server.port, path), 500)
            expect(other.ask("/"), 200, b"fine\n")
        for name in ("drop_the_letter", "carry_the_mail", "read_far_away", "divide_by_zero", "dig_deeper",
                     "call_nothing"):
            check(server.wait_log(name), f"{name} in the log")
        log = server.log()
        check(log.index("drop_the_letter") < log.index("carry_the_mail"), "the innermost function comes first")
        for _ in range(50):
            expect(ask(server.port, "/trap"), 500)
        expect(other.ask("/"), 200, b"fine\n")


def needs(*command):
    """Skips the case when a tool is missing, or not allowed to do its work here."""
    if not shutil.which(command[0]):
        raise Skipped(f"{command[0]} is not installed")
    tried = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if tried.returncode:
        raise Skipped(f"{command[0]} does not work here: {tried.stderr.strip()[-200:]}")


def case_gdb():
    """A debugger that looks at a trap sees the guest's functions, from the innermost to the host's."""
    needs("gdb", "-nx", "-batch", "-return-child-result", "-ex", "run", "--args", "true")
    commands = ("handle SIGSEGV nostop noprint pass", "echo attached\\n", "continue", "bt", "kill")
    with Server(guest("trap"), "--gdb") as server:
        words = ["gdb", "-nx", "-batch", "-p", str(server.workers()[0]), *(w for c in commands for w in ("-ex", c))]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              env=os.environ | {"DEBUGINFOD_URLS": ""}) as debugger:
            timer = threading.Timer(START_SECONDS, debugger.kill)
            timer.start()
            said = ""
            while not said.endswith("attached\n"):
                line = debugger.stdout.readline()
                check(line, f"gdb attaches to a worker: {said[-2000:]}")
                said += line
            with Client(server.port) as client:
                client.send("/trap")
                said = debugger.stdout.read()
            timer.cancel()
    stack = re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?(\S+) \(", said, re.M)
    for inner, outer in (("drop_the_letter", "carry_the_mail"), ("carry_the_mail", "guest_enter"),
                         ("guest_enter", "stack_begin")):
        check(inner in stack and outer in stack and stack.index(inner) < stack.index(outer),
              f"{outer} calls {inner} in {stack} of {said[-3000:]}")
    check(stack[-1] == "stack_begin", f"the stack ends with stack_begin: {stack}")


def case_perf():
    """A profile names the guest's functions."""
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "perf.data")
        record = ("perf", "record", "-q", "-e", "cpu-clock", "-F", "400", "-g", "-o", data)
        needs(*record, "true")
        with Server(guest("trap"), "--perf") as server:
            worker = server.workers()[0]
            map_file = f"/tmp/perf-{worker}.map"
            with Client(server.port) as client:
                client.send("/loop")
                subprocess.run([*record, "-p", str(worker), "--", "sleep", "0.7"], check=True,
                               capture_output=True)
            shown = subprocess.run(["perf", "script", "-i", data, "-F", "ip,sym"], capture_output=True, text=True,
                                   errors="replace", check=True).stdout
            os.kill(worker, signal.SIGKILL) # it would let the loop come to its end
            os.unlink(map_file)
    check(re.search(r"spin_forever\S*\n.*handle", shown), f"spin_forever and its caller in {shown[:1000]!r}")


def case_half():
    """A trap in the middle of an answer: never an answer that looks complete and successful."""
    with Server(guest("trap")) as server:
        with Client(server.port) as client:
            client.send("/half")
            try:
                status, _, body = client.response()
                check(status == 500, f"500 or a broken answer, not a complete {status} with {body!r}")
            except (Failure, ConnectionError) as failure:
                if "500 or" in str(failure):
                    raise
        expect(ask(server.port, "/"), 200, b"fine\n")


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def case_connections():
    """Hundreds of connections at once, all answered; none of their descriptors stays."""
    count = 400
    with Server(os.path.join(ROOT, "examples", "hello-c", "hello.wasm")) as server:
        ask(server.port, "/")
        worker = server.workers()[0]
        before = descriptors(worker)
        clients = [Client(server.port) for _ in range(count)]
        for turn in range(3):
            for number, client in enumerate(clients):
                client.send(f"/{turn}/{number}")
            for number, client in enumerate(clients):
                expect(client.response(), 200, f"Hello from C! You asked for /{turn}/{number}\n".encode())
        for number, client in enumerate(clients):
            if number % 2:
                client.send("/never-read")
            client.socket.close()
        for _ in range(100):
            if descriptors(worker) <= before + 1:
                break
            time.sleep(0.05)
        after = descriptors(worker)
        check(after <= before + 1, f"{before} descriptors before, {after} after")
        expect(ask(server.port, "/end"), 200)


def case_memory():
    """The server does not grow with the number of requests."""
    count = 20000 if FULL else 3000
    with Server(guest("echo")) as server, Client(server.port) as client:
        body = b"z" * 5000
        for _ in range(500):
            client.ask("/whole", "POST", body)
        worker = server.workers()[0]
        before = resident(worker)
        for _ in range(count):
            expect(client.ask("/whole", "POST", body), 200)
        grown = resident(worker) - before
        check(grown < 4096, f"{count} requests made the server grow by {grown} KiB")


def case_shutdown():
    """SIGTERM and SIGINT end the server with 0, with connections open, idle or half asked."""
    for number in (signal.SIGTERM, signal.SIGINT):
        server = Server(os.path.join(ROOT, "examples", "hello-c", "hello.wasm"))
        with Client(server.port) as idle, Client(server.port) as half:
            expect(idle.ask("/"), 200)
            half.socket.sendall(b"GET /half HT")
            time.sleep(0.05)
            server.process.send_signal(number)
            time.sleep(0.2) # two signals at once are one
            status = server.stop() if number == signal.SIGTERM else server.process.wait(timeout=20)
        check(status == 0, f"exit code 0 after signal {number}, not {status}; log: {server.log()[-2000:]}")


def run_up(*arguments):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=START_SECONDS)
    return done.returncode, done.stdout, done.stderr


def case_errors():
    """Bad input: exit code 1 and one line `error: FILE: ...`; bad usage: exit code 2."""
    with tempfile.TemporaryDirectory() as folder:
        code, _, text = run_up("up", os.path.join(folder, "absent.wasm"))
        check(code == 1 and re.match(r"error: .*absent\.wasm: ", text), f"a missing file: {code} {text!r}")
        with open(guest("trap"), "rb") as file:
            whole = file.read()
        samples = {"empty": b"", "text": b"hello, this is no WebAssembly\n", "cut": whole[:len(whole) // 2],
                   "broken": whole[:2000] + b"\xff" * 200 + whole[2200:], "magic": whole[:8]}
        for name, data in samples.items():
            path = os.path.join(folder, name + ".wasm")
            with open(path, "wb") as file:
                file.write(data)
            code, output, text = run_up("up", path, "--listen", "127.0.0.1:0")
            check(code == 1 and "Serving" not in output and re.match(rf"error: .*{name}\.wasm: .", text),
                  f"{name}: exit 1 and an error line, not {code} {text!r}")
            if name in ("cut", "broken"):
                check(re.search(r"offset 0x[0-9a-f]+: ", text), f"{name}: an offset in {text!r}")
    for arguments in (("run",), ("nonsense",), ("up", "--nonsense", guest("trap"))):
        code, _, text = run_up(*arguments)
        check(code == 2 and text, f"{arguments}: exit code 2 and a word about usage, not {code} {text!r}")


def case_lacking():
    """A component that imports what is not here: refused before it serves, with the function and what comes close."""
    with open(guest("leak"), "rb") as file:
        whole = file.read()
    rows = ((b"wasi:http/types@0.2.12", b"wasi:http/types@0.9.12", r"wasi:http/types@0\.9\.12 .* is imported.*\n"
             r".*wasi:http/types in version 0\.2"),
            (b"wasi:http/types@0.2.12", b"wasi:http/tyqes@0.2.12", r"wasi:http/tyqes@0\.2\.12 .*\n.*there is wasi:http/types@0\.2"),
            (b"wasi:http/types@0.2.12", b"acme:base/thing@1.0.12", r"acme:base/thing@1\.0\.12 .*\n.*compose it"),
            (b"[method]outgoing-body.write", b"[method]outgoing-body.wrote",
             r"wasi:http/types@0\.2\.12 \[method\]outgoing-body\.wrote .*\n.*wasi:http/types has \[method\]outgoing-body\.write"),
            (b"[static]outgoing-body.finish", b"completely-another-function1", r"another-function1 .*\n.*has wasi:http/types@0\.2\.12"))
    with tempfile.TemporaryDirectory() as folder:
        for name, other, right in rows:
            check(name in whole and len(name) == len(other), f"{name!r} is in the guest")
            path = os.path.join(folder, "lacking.wasm")
            with open(path, "wb") as file:
                file.write(whole.replace(name, other))
            code, output, text = run_up("up", "--tier", "fast", path, "--listen", "127.0.0.1:0")
            check(code == 1 and not output and re.match(rf"error: .*lacking\.wasm: .*{right}", text), f"{other!r}: {code} {text!r}")


def case_busy():
    """A port that is taken: exit code 1 and an error line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output, text = run_up("up", guest("trap"), "--listen", f"127.0.0.1:{port}")
        check(code == 1 and text.startswith("error: ") and "Serving" not in output, f"{code} {output!r} {text!r}")


def links_of(pid):
    """What the process and those below it have open."""
    links = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return links.union(*(links_of(child) for child in children(pid)))


def case_io():
    """--io: what it names waits, or the start says why not; auto takes io_uring where it is to be had."""
    ring = "anon_inode:[io_uring]"
    for options in (), ("--io", "epoll"):
        with Server(guest("trap"), *options) as server:
            check(ring not in links_of(server.process.pid), "a ring that nobody asked for")
    code, _, text = run_up("up", "--io", "poll", guest("trap"))
    check(code == 2 and "--io" in text, f"an unknown one: {code} {text!r}")
    try:
        with Server(guest("trap"), "--io", "uring") as server:
            check(ring in links_of(server.process.pid), "no ring")
    except Failure as failure:
        if "io_uring_setup" not in str(failure):
            raise
        with Server(guest("trap"), "--io", "auto") as server:
            check(ring not in links_of(server.process.pid), "a ring, here of all places")
        raise Skipped("io_uring is refused here")
    with Server(guest("trap"), "--io", "auto") as server:
        check(ring in links_of(server.process.pid), "no ring by auto")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}


def main(arguments, cases=CASES):
    global PROGRAM, PLANTED
    for option, chosen in (("--tier", TIER), ("--io", IO)):
        if arguments[:1] == [option]:
            chosen.extend(arguments[:2])
            arguments = arguments[2:]
    if not arguments:
        sys.exit(f"usage: run.py [--tier TIER] [--io IO] PROGRAM [CASE...]; cases: {' '.join(cases)}")
    PROGRAM = os.path.abspath(arguments[0])
    PLANTED = os.path.join(os.path.dirname(PROGRAM), "tests", "mayfly-leaky")
    os.environ.setdefault("XDG_CACHE_HOME", os.path.join(os.path.dirname(PROGRAM), "tests", "cache"))
    os.makedirs(os.environ["XDG_CACHE_HOME"], exist_ok=True)
    results = {"passed": 0, "failed": 0, "skipped": 0}
    for name in arguments[1:] or cases:
        start = time.monotonic()
        try:
            cases[name]()
            result, why = "passed", ""
        except Skipped as skip:
            result, why = "skipped", f": {skip}"
        except (Failure, OSError, subprocess.TimeoutExpired) as failure:
            result, why = "failed", f": {type(failure).__name__}: {failure}"
        results[result] += 1
        print(f"{result} {name} ({time.monotonic() - start:.1f} s){why}", flush=True)
    if len(arguments) == 2 and results["skipped"]:
        return 77
    print(", ".join(f"{count} {result}" for result, count in results.items()))
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
