"""What applications find in a network of their own: the services that their manifests name, at their usual ports and with
the users that their sources name, and servers in the place of public hosts.

A run is in a network namespace, so the usual ports are free, a name server answers for every host, and an address that
is public to mayfly leads to this machine.
"""
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading

from network import Names
from outbound import Authority, Request, read_head, secure
from services import as_nobody, data_folder, postgres_program, program, redis, serving
from run import Failure, check
from workers import until

PUBLIC = "44.128.0.1"   # where the names of public hosts lead
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFADDR, SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFNETMASK = 0x8916, 0x8913, 0x8914, 0x891c
IFF_UP = 1


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def own_network():
    """This process, and what it starts, from here on: loopback and PUBLIC only. OSError where the system refuses."""
    user, group = os.geteuid(), os.getegid()
    flags = CLONE_NEWNET | (CLONE_NEWUSER if user else 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare: " + os.strerror(ctypes.get_errno()))
    if user:
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"{user} {user} 1")
        write("/proc/self/gid_map", f"{group} {group} 1")
    write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        def address(call, name, text):
            fcntl.ioctl(control, call, struct.pack("16sH2s4s8x", name, socket.AF_INET, b"", socket.inet_aton(text)))
        flags = struct.unpack("16sH", fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))[:18])[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))
        address(SIOCSIFADDR, b"lo:1", PUBLIC)
        address(SIOCSIFNETMASK, b"lo:1", "255.255.255.255")


# ---- services ----

@contextlib.contextmanager
def usual_redis():
    with redis(port=6379) as port:
        yield port


def sql(text, user="postgres", database="spin_dev"):
    """Statements, or @FILE, in the PostgreSQL server."""
    source = ["-f", text[1:]] if text.startswith("@") else ["-c", text]
    done = subprocess.run([postgres_program("psql"), "-h", "127.0.0.1", "-U", user, "-d", database, "-v", "ON_ERROR_STOP=1",
                           "-qAt", *source], capture_output=True, text=True)
    check(done.returncode == 0, f"psql: {done.stderr}")
    return done.stdout.strip()


@contextlib.contextmanager
def usual_postgres():
    """Whoever comes is let in as postgres; database spin_dev."""
    initdb, server = postgres_program("initdb"), postgres_program("postgres")
    with data_folder() as top:
        data = os.path.join(top, "data")
        made = subprocess.run([*as_nobody(), initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8",
                               "--locale", "C"], capture_output=True, text=True, cwd=top)
        check(made.returncode == 0, made.stderr)
        with serving(5432, top, server, "-D", data, "-h", "127.0.0.1", "-k", top, "-c", "fsync=off"):
            def serves():
                try:
                    return sql("SELECT 1", database="postgres") == "1"
                except Failure:
                    return False
            until(serves, "PostgreSQL serves", 60)
            sql("CREATE DATABASE spin_dev", database="postgres")
            yield 5432


def mysql_sql(text, database="spin_dev"):
    """Statements, or @FILE, in the database of MariaDB."""
    if text.startswith("@"):
        with open(text[1:]) as file:
            text = file.read()
    done = subprocess.run([program("mariadb"), "--no-defaults", "-h", "127.0.0.1", "-u", "spin", "-pspin", "--skip-ssl", database],
                          input=text, capture_output=True, text=True)
    check(done.returncode == 0, f"mariadb: {done.stderr}")
    return done.stdout


@contextlib.contextmanager
def usual_mysql():
    """User spin, password spin, and root without one; databases spin_dev and spin_data."""
    server, install = program("mariadbd"), program("mariadb-install-db")
    with data_folder() as top:
        data = os.path.join(top, "data")
        made = subprocess.run([*as_nobody(), install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
                               "--skip-test-db"], capture_output=True, text=True, cwd=top)
        check(made.returncode == 0, made.stdout + made.stderr)
        write(f"{top}/init", "CREATE DATABASE spin_dev CHARACTER SET utf8mb4;\nCREATE DATABASE spin_data CHARACTER SET utf8mb4;\n"
                             "CREATE USER spin@'127.0.0.1' IDENTIFIED BY 'spin';\n"
                             "GRANT ALL ON spin_dev.* TO spin@'127.0.0.1';\nGRANT ALL ON spin_data.* TO spin@'127.0.0.1';\n"
                             "CREATE USER root@'127.0.0.1' IDENTIFIED BY '';\nGRANT ALL ON spin_dev.* TO root@'127.0.0.1';\n")
        os.chmod(f"{top}/init", 0o644)
        with serving(3306, top, server, "--no-defaults", f"--datadir={data}", f"--socket={top}/socket", f"--tmpdir={top}",
                     "--skip-log-bin", f"--init-file={top}/init", "--bind-address=127.0.0.1", "--port=3306", "--skip-name-resolve"):
            def serves():
                try:
                    return "1" in mysql_sql("SELECT 1;")
                except Failure:
                    return False
            until(serves, "MariaDB serves", 60)
            yield 3306


@contextlib.contextmanager
def usual_mqtt():
    """User user, password password."""
    server, passwords = program("mosquitto"), program("mosquitto_passwd")
    with data_folder() as top:
        made = subprocess.run([*as_nobody(), passwords, "-b", "-c", f"{top}/passwords", "user", "password"],
                              capture_output=True, text=True)
        check(made.returncode == 0, made.stderr)
        write(f"{top}/conf", f"listener 1883 127.0.0.1\nallow_anonymous false\npassword_file {top}/passwords\npersistence false\n")
        os.chmod(f"{top}/conf", 0o644)
        with serving(1883, top, server, "-c", f"{top}/conf"):
            yield 1883


PEERS = {"redis": usual_redis, "postgres": usual_postgres, "mysql": usual_mysql, "mqtt": usual_mqtt}


# ---- MQTT and Redis, from the other side ----

@contextlib.contextmanager
def mqtt_subscribed(topic, count):
    """What comes to the topic: a list of (topic, payload) that fills, until `count` messages are there."""
    def packet(kind, body):
        return bytes([kind, len(body)]) + body

    def text(value):
        return len(value).to_bytes(2, "big") + value.encode()
    found = []
    client = socket.create_connection(("127.0.0.1", 1883), 20)
    client.sendall(packet(0x10, text("MQTT") + b"\4\xc2\0\x3c" + text("test") + text("user") + text("password")))
    stream = client.makefile("rb")
    check(stream.read(4)[3] == 0, "the broker takes the connection")
    client.sendall(packet(0x82, b"\0\1" + text(topic) + b"\0"))
    check(stream.read(5)[0] == 0x90, "subscribed")

    def read():
        with contextlib.suppress(OSError, IndexError):
            while len(found) < count:
                stream.read(1)
                body = stream.read(stream.read(1)[0])   # as short as those of the applications are
                size = int.from_bytes(body[:2], "big")
                found.append((body[2:2 + size].decode(), body[2 + size:]))
    threading.Thread(target=read, daemon=True).start()
    try:
        yield found
    finally:
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        client.close()


def redis_cli(*words):
    done = subprocess.run([program("redis-cli"), "--raw", *words], capture_output=True, text=True)
    check(done.returncode == 0, done.stderr)
    return done.stdout.rstrip("\n")


# ---- in the place of public hosts ----

def reply(body, status="200 OK", kind="application/json", fields=()):
    """The bytes of an answer."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


class Streamed:
    """A host that answers while the request's body still comes: it gets the connection and what came behind the head."""

    def __init__(self, serve):
        self.serve = serve


def echo_chunks(connection, rest):
    """The body goes back as it comes, in the same chunks."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + rest)
    last = rest
    while not last.endswith(b"0\r\n\r\n"):
        data = connection.recv(65536)
        if not data:
            return
        connection.sendall(data)
        last = (last + data)[-5:]


def take(connection, hosts):
    """The next request, whole; None: it was for a host that is Streamed, which has answered."""
    line, fields, rest = read_head(connection)
    request = Request.__new__(Request)
    request.connection, request.line, request.fields, request.rest = connection, line, fields, rest
    request.headers = {name.lower(): value for name, value in fields}
    request.trailers = []
    request.host = request.headers.get("host", "").split(":")[0]
    if isinstance(hosts.get(request.host), Streamed):
        hosts[request.host].serve(connection, rest)
        return None
    request.body = request.read_body()
    return request


def answer_as(hosts, seen):
    """A server for all these hosts, by the field of the request; keeps the connection as the client likes."""
    def serve(connection):
        with contextlib.suppress(Failure):
            while True:
                request = take(connection, hosts)
                if not request:
                    continue
                seen.append(request)
                made = hosts.get(request.host, reply("no such host here", "404 Not Found"))
                made = made(request) if callable(made) else made
                connection.sendall(made if isinstance(made, bytes) and made.startswith(b"HTTP/1.1 ") else reply(made))
    return serve


class Listener:
    """Each connection to the address runs `serve` in a thread."""

    def __init__(self, address, serve):
        self.socket = socket.create_server(address)
        self.serve = serve
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.settimeout(30)
            self.serve(connection)

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def public(hosts, top):
    """The hosts, by http and https; yields the options of `mayfly up` with which they are found, and the requests they saw.
    Their authority is in SSL_CERT_FILE."""
    if not hosts:
        yield (), []
        return
    seen, authority = [], Authority(top)
    os.environ["SSL_CERT_FILE"] = authority.file
    context = authority.context("hosts", ",".join(f"DNS:{name}" for name in hosts))
    serve = answer_as(hosts, seen)
    listeners = [Listener((PUBLIC, 80), serve), Listener((PUBLIC, 443), secure(context, serve))]
    with Names({name: [PUBLIC] for name in hosts}) as names:
        try:
            yield ("--dns", names.address), seen
        finally:
            for listener in listeners:
                listener.close()
