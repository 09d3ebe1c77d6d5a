"""Servers to measure, each pinned to one core: how to start them, what they cost, how to stop them."""
import atexit
import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("MAYFLY_BUILD", os.path.join(ROOT, "build"))
SERVER_CORE = os.environ.get("SERVER_CORE", "0")
CLIENT_CORE = os.environ.get("CLIENT_CORE", "1")
TICK = os.sysconf("SC_CLK_TCK")


def example(name):
    return os.path.join(ROOT, "examples", name, "hello.wasm")


def needs(program):
    """Where it is not installed the benchmark ends, and says what to do."""
    if not shutil.which(program):
        sys.exit(f"{program} is not installed: make deps-bench")


def tree(pid):
    """The process and all below it, as far as they do not end meanwhile."""
    found = [pid]
    for children in glob.glob(f"/proc/{pid}/task/*/children"):
        with contextlib.suppress(OSError), open(children) as file:
            for child in file.read().split():
                found += tree(int(child))
    return found


def stat(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return {"faults": int(fields[7]), "cpu_us": (int(fields[11]) + int(fields[12])) * 1e6 / TICK}


def usage(pid):
    """Sums over the tree: CPU time (user and system), minor faults, resident KiB, descriptors."""
    total = {"cpu_us": 0, "faults": 0, "rss_kib": 0, "fds": 0}
    for process in tree(pid):
        try:
            values = stat(process)
            with open(f"/proc/{process}/status") as file:
                resident = re.search(r"VmRSS:\s+(\d+)", file.read())
            values["rss_kib"] = int(resident.group(1)) if resident else 0
            values["fds"] = len(os.listdir(f"/proc/{process}/fd"))
        except OSError: # it has ended
            continue
        for key, value in values.items():
            total[key] += value
    return total


class Peer:
    def __init__(self, name, command, options="", version="", cwd=None, ready=None, environment=None):
        self.name, self.options, self.version = name, options, version
        self.folder = cwd
        self.log = tempfile.TemporaryFile(mode="w+", errors="replace")
        self.process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *command], stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, cwd=cwd, env={**os.environ, **(environment or {})})
        atexit.register(self.process.terminate) # whatever happens in between
        self.port = ready or self._announced()

    def _announced(self):
        line = self.process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if not match:
            raise RuntimeError(f"{self.name} did not start: {line!r} {self.errors()[-1000:]}")
        return int(match.group(1))

    def wait(self):
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                    self.answer = len(answer.read()), len(str(answer.headers)) + 17
                    return self
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not answer: {self.errors()[-1000:]}")

    def errors(self):
        self.log.seek(0)
        return self.log.read()

    def usage(self):
        return usage(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def mayfly(name, file, *options, environment=None):
    tier = () if "--tier" in options else ("--tier", "best")
    command = [os.path.join(BUILD, "mayfly"), "up", file, "--listen", "127.0.0.1:0", "--quiet", *tier, *options]
    version = subprocess.run([command[0], "version"], capture_output=True, text=True).stdout.splitlines()[0]
    return Peer(name, command, " ".join(["up", *command[5:]]), version, environment=environment).wait()


def floor(body):
    return Peer("bare loop", [os.path.join(BUILD, "bench-floor"), body], "epoll, recv, constant send").wait()


NGINX = """daemon off;
user root;
worker_processes 1;
pid %(folder)s/pid;
error_log %(folder)s/error.log;
events { worker_connections 4096; }
http {
    access_log off;
    server_tokens off;
    default_type text/plain;
    keepalive_requests 1000000000;
    keepalive_timeout 600;
    client_body_temp_path %(folder)s/a; proxy_temp_path %(folder)s/b; fastcgi_temp_path %(folder)s/c;
    uwsgi_temp_path %(folder)s/d; scgi_temp_path %(folder)s/e;
    server {
        listen 127.0.0.1:%(port)d;
        location / { return 200 "%(body)s"; }
    }
}
"""


def free_port():
    import socket
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def nginx(body):
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not os.path.exists(program):
        return None
    folder, port = tempfile.mkdtemp(), free_port()
    text = NGINX % {"folder": folder, "port": port, "body": body.replace("\n", "\\n")}
    if os.getuid() != 0:
        text = text.replace("user root;\n", "")
    with open(os.path.join(folder, "nginx.conf"), "w") as file:
        file.write(text)
    version = subprocess.run([program, "-v"], capture_output=True, text=True).stderr.strip().split(": ")[-1]
    return Peer("nginx", [program, "-p", folder, "-c", os.path.join(folder, "nginx.conf")],
                "return 200, 1 worker, access_log off, keepalive_requests 1e9", version, folder, port).wait()


def wasmtime_program():
    """The program on the PATH; the one inside the pip package lacks its run bit, so a copy of it."""
    import importlib.util
    spec = importlib.util.find_spec("wasmtime_cli")
    inside = os.path.join(os.path.dirname(spec.origin), "wasmtime") if spec and spec.origin else None
    if inside and os.path.exists(inside) and not os.access(inside, os.X_OK):
        copy = os.path.join(tempfile.mkdtemp(), "wasmtime")
        shutil.copy(inside, copy)
        os.chmod(copy, 0o755)
        return copy
    return inside or shutil.which("wasmtime")


def wasmtime(name, file):
    program = wasmtime_program()
    if not program:
        return None
    folder, port = tempfile.mkdtemp(), free_port()
    image = os.path.join(folder, "hello.cwasm")
    subprocess.run([program, "compile", "-O", "pooling-allocator=y", file, "-o", image], check=True)
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
    options = ["serve", "-S", "cli", "-O", "pooling-allocator=y", "--allow-precompiled"]
    return Peer(name, [program, *options, "--addr", f"127.0.0.1:{port}", image],
                " ".join(options) + ", compiled before", version, folder, port).wait()


WORKERD = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .hello)],
  sockets = [(name = "http", address = "127.0.0.1:%(port)d", http = (), service = "main")]
);
const hello :Workerd.Worker = (
  serviceWorkerScript = "addEventListener('fetch', e => e.respondWith(new Response(%(body)s)))",
  compatibilityDate = "2024-01-01"
);
"""


def workerd(body):
    """The program on the PATH or in WORKERD. One isolate answers all requests: nothing is fresh in it."""
    program = os.environ.get("WORKERD") or shutil.which("workerd")
    if not program:
        return None
    folder, port = tempfile.mkdtemp(), free_port()
    file = os.path.join(folder, "hello.capnp")
    with open(file, "w") as out:
        out.write(WORKERD % {"port": port, "body": "'" + body.replace("\n", "\\\\n") + "'"})
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
    return Peer("workerd", [program, "serve", file], "one isolate for all requests, a hello in JavaScript", version, folder,
                port).wait()


def machine():
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return f"{model.group(1) if model else os.uname().machine}, Linux {os.uname().release}"


def table(rows, out=sys.stdout):
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip(), file=out)
