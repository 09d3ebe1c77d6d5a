#!/usr/bin/env python3
"""End to end: services that functions reach over the network, against real servers on this machine: Redis (guest
redis.c), PostgreSQL (postgres.c, postgres4.c), MySQL (mysql.c), MQTT (mqtt.c), and key-value stores that a Redis server keeps (storage.c). Faults are made by a proxy between the two.

    services.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from run import Failure, Server, Skipped, ask, check, children, command, expect, free_port, guest, main
from app import HEAD, component, folder, trigger
from workers import until


def path(*words):
    return "/" + "/".join(urllib.parse.quote(str(word), safe="") for word in words)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def program(name):
    """Some servers are where only root looks, and some in a folder of their version."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if not found:
        raise Skipped(f"{name} is not installed")
    return found


def as_nobody():
    return ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"] if os.geteuid() == 0 else []


@contextlib.contextmanager
def serving(port, top, *start):
    """A server's process, not as root, from when it takes connections until the end of the `with`."""
    with open(os.path.join(top, "log"), "w") as log:
        process = subprocess.Popen([*as_nobody(), *start], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=top)
    try:
        until(lambda: answers(port) or process.poll() is not None, f"{start} takes connections", 60)
        if process.poll() is not None:
            with open(os.path.join(top, "log")) as log:
                raise Failure(f"{start} ended: {log.read()[-1000:]}")
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def data_folder():
    """One that the servers' user may write to."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as top:
        if os.geteuid() == 0:
            shutil.chown(top, "nobody", "nogroup")
        yield top


@contextlib.contextmanager
def redis(*options, port=None):
    port = port or free_port()
    with data_folder() as top:
        with serving(port, top, program("redis-server"), "--bind", "127.0.0.1", "--port", str(port), "--save", "",
                     "--appendonly", "no", "--dir", top, *options):
            yield port


class Proxy:
    """Takes connections for a server and gives them `act(proxy, client)`, each in a thread of its own."""

    def __init__(self, act, server=None):
        self.act, self.server, self.open, self.count = act, server, True, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while self.open:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self.handle, args=(client,), daemon=True).start()

    def handle(self, client):
        with contextlib.suppress(OSError), client:
            self.act(self, client)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.open = False
        self.socket.close()


def answering(*parts, wait=0.0, stay=True):
    """A server that says this to whatever comes first, part by part, and then stays silent or goes."""
    def act(proxy, client):
        client.recv(65536)
        for part in parts:
            client.sendall(part)
            time.sleep(wait)
        while stay and client.recv(65536):
            pass
    return act


def grants(*ports, scheme="redis"):
    return [option for port in ports for option in ("--allow-outbound", f"{scheme}://127.0.0.1:{port}")]


def url(port, rest=""):
    return f"redis://127.0.0.1:{port}{rest}"


def reds(server, port, *words, version=2):
    return ask(server.port, path(version, url(port), *words))


# ---- Redis ----

def case_services_redis():
    """Every function of both versions, by a connection and without one."""
    with redis() as port, Server(guest("redis"), *grants(port)) as server:
        for version in (2, 1):
            def does(*words, status=200):
                got = reds(server, port, *words, version=version)
                check(got[0] == status, f"{words}: {got}")
                return got[2].decode()

            key = f"k{version}"
            check(does("get", key) == ("nothing\n" if version == 2 else "\n"), "nothing is there")
            check(does("set", key, "grüße/%\r\n$1") == "done\n", "set")
            check(does("get", key) == "grüße/%\r\n$1\n", "it is there")
            check(does("incr", f"n{version}") == "1\n" and does("incr", f"n{version}") == "2\n", "incr")
            check(does("sadd", f"s{version}", "a", "b", "a") == "2\n", "sadd")
            check(sorted(does("smembers", f"s{version}").split()) == ["a", "b"], "smembers")
            check(does("srem", f"s{version}", "a", "c") == "1\n", "srem")
            check(does("smembers", "none") == "", "an empty set")
            check(does("publish", "channel", "payload") == "done\n", "publish")
            check(does("execute", "SET", f"x{version}", "#-42") == "status OK\n", "execute")
            check(does("execute", "GET", f"x{version}") == "bytes -42\n", "a number as a word")
            check(does("execute", "INCRBY", f"x{version}", "#40") == "number -2\n", "a number")
            check(does("execute", "GET", "none") == "nil\n", "nil")
            check(does("execute", "EVAL", "return {1, {'two', {false}}, redis.status_reply('fine')}", "#0") ==
                  "number 1\nbytes two\nnil\nstatus fine\n", "lists flatten")
            check(does("del", key, f"n{version}", "none") == "2\n", "del")
        # in one connection: what it leaves behind is seen there, and by nobody else
        expect(reds(server, port, "execute", "MULTI", ";", "execute", "INCR", "n", ";", "execute", "EXEC"), 200,
               b"status OK\nstatus QUEUED\nnumber 1\n")
        expect(reds(server, port, "execute", "SELECT", "#3", ";", "set", "three", "3"), 200, b"status OK\ndone\n")
        expect(reds(server, port, "get", "three"), 200, b"nothing\n")
        expect(ask(server.port, path(2, url(port, "/3"), "get", "three")), 200, b"3\n")


def case_services_redis_errors():
    """What the server refuses is told by the interface's errors, and the connection goes on."""
    with redis() as port, Server(guest("redis"), *grants(port)) as server:
        expect(reds(server, port, "set", "text", "x", ";", "incr", "text", ";", "get", "text"), 500,
               b"done\ntype-error\nx\n")
        expect(reds(server, port, "sadd", "text", "a"), 500, b"type-error\n")
        expect(reds(server, port, "del"), 500, b"other: ERR wrong number of arguments for 'del' command\n")
        expect(reds(server, port, "execute", "NONSENSE"), 500,
               b"other: ERR unknown command 'NONSENSE', with args beginning with: \n")
        expect(reds(server, port, "execute", "subscribe", "c", ";", "get", "text"), 500,
               b"other: a command that is not answered by one reply is not offered\nx\n")
        for address, why in (("127.0.0.1", "invalid-address"), (f"http://127.0.0.1:{port}", "invalid-address"),
                             (f"rediss://127.0.0.1:{port}", "invalid-address"), ("redis://", "invalid-address"),  # a scheme of its own
                             (f"redis://127.0.0.1:{port}x", "invalid-address")):
            expect(ask(server.port, path(2, address, "get", "a")), 500, why.encode() + b"\n")
            expect(ask(server.port, path(1, address, "get", "a")), 500, b"error\n")
        status, _, body = ask(server.port, path(2, url(port, "/x"), "get", "a"))[:3]
        check(status == 500 and body.startswith(b"other: ERR "), f"{status} {body}")


def case_services_redis_password():
    """Credentials of the address are used, and are in no log and no error."""
    with redis("--requirepass", "se cret%") as port, Server(guest("redis"), *grants(port), "--log-level", "debug") as server:
        def go(user):
            return ask(server.port, path(2, f"redis://{user}127.0.0.1:{port}", "set", "a", "1"))
        expect(go(":se%20cret%25@"), 200, b"done\n")
        expect(go("default:se%20cret%25@"), 200, b"done\n")
        status, _, body = go(":wrong-one@")[:3]
        check(status == 500 and b"WRONGPASS" in body and b"wrong-one" not in body, f"{status} {body}")
        status, _, body = go("")[:3]
        check(status == 500 and b"NOAUTH" in body, f"{status} {body}")
        check("cret" not in server.log() and "wrong-one" not in server.log(), f"the log tells: {server.log()}")


def case_services_redis_denied():
    """What is not granted is denied, with one line that says what would permit it; names lead to no private address."""
    with redis() as port:
        with Server(guest("redis"), "--allow-outbound", f"redis://127.0.0.1:{port + 1 if port < 65535 else 1}",
                    "--allow-outbound", f"http://127.0.0.1:{port}") as server:
            for _ in range(2):
                expect(reds(server, port, "get", "a"), 500, b"invalid-address\n")
            lines = [line for line in server.log().splitlines() if "denied" in line]
            wanted = f"to permit it: --allow-outbound redis://127.0.0.1:{port}"
            check(len(lines) == 1 and lines[0].endswith(wanted), f"one line: {lines}")
        with Server(guest("redis"), "--allow-outbound", f"redis://*:{port}",
                    "--allow-outbound", "redis://localhost:1") as server:
            expect(reds(server, port, "get", "a"), 500, b"invalid-address\n")
            expect(ask(server.port, path(2, f"redis://localhost:{port}", "get", "a")), 500, b"invalid-address\n")
            check(re.search(rf"denied: localhost leads to the private address .*:{port}; to permit it: "
                            rf"--allow-outbound redis://.*:{port}", server.log()), f"it says where to: {server.log()}")
        with Server(guest("redis"), "--allow-outbound", f"redis://localhost:{port}") as server:
            expect(ask(server.port, path(2, f"redis://localhost:{port}", "get", "a")), 200, b"nothing\n")
            expect(reds(server, port, "get", "a"), 200, b"nothing\n")
        with Server(guest("redis"), "--allow-outbound", "redis://localhost") as server:
            expect(reds(server, port, "get", "a"), 500, b"invalid-address\n")


def case_services_redis_app():
    """allowed_outbound_hosts of each component decides for it alone, whatever its neighbours may."""
    with redis() as port:
        manifest = HEAD + trigger("/one/...", "one") + trigger("/two/...", "two") + \
            component("one", guest("redis"), f'allowed_outbound_hosts = ["redis://127.0.0.1:{port}"]') + \
            component("two", guest("redis"), f'allowed_outbound_hosts = ["redis://*:{port}"]')
        with folder(manifest) as top, Server(top) as server:
            # the guest takes the whole path: its first word is the route's
            expect(ask(server.port, path("one", url(port), "set", "a", "1")), 200, b"done\n")
            expect(ask(server.port, path("two", url(port), "get", "a")), 500, b"error\n")
            expect(ask(server.port, path("two", f"redis://localhost:{port}", "get", "a")), 500, b"error\n")
            expect(ask(server.port, path("one", url(port), "get", "a")), 200, b"1\n")


def case_services_redis_kept():
    """Connections are used again by the same function, and not if something was left behind in one."""
    def act(proxy, client):
        with socket.create_connection(("127.0.0.1", proxy.server)) as server:
            def back():
                with contextlib.suppress(OSError):
                    while data := server.recv(65536):
                        client.sendall(data)
                    client.shutdown(socket.SHUT_WR)
            threading.Thread(target=back, daemon=True).start()
            while data := client.recv(65536):
                server.sendall(data)
    with redis() as port, Proxy(act, port) as proxy, Server(guest("redis"), *grants(proxy.port)) as server:
        for i in range(5):
            expect(reds(server, proxy.port, "set", "a", i), 200, b"done\n")
        check(proxy.count == 1, f"{proxy.count} connections for five requests")
        expect(reds(server, proxy.port, "execute", "PING"), 200, b"status PONG\n")
        check(proxy.count == 1, "the kept one was taken")
        expect(reds(server, proxy.port, "get", "a"), 200, b"4\n")
        check(proxy.count == 2, "and not used again")


def case_services_redis_gone():
    """No server, one that ends in the middle of an answer, one that says nonsense or too much, and one that comes back."""
    port = free_port()
    faults = ((answering(b"$5\r\nhel", stay=False), "the server ended the connection"),
              (answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "what is not Redis"),
              (answering(b"*1073741824\r\n"), "more than an answer may have"),
              (answering(b"*-7\r\n"), "what is not Redis"),
              (answering(b":1\r\n"), "what this command does not"),
              (answering(b"$40000000\r\n", *[b"x" * 1000000] * 40), "more than an answer may have"))
    with Server(guest("redis"), *grants(port)) as server:
        status, _, body = reds(server, port, "get", "a")[:3]
        check(status == 500 and b"other: the server cannot be reached" in body, f"{status} {body}")
        with redis(port=port):
            expect(reds(server, port, "set", "a", "1"), 200, b"done\n")
        status, _, body = reds(server, port, "get", "a")[:3]
        check(status == 500 and body.startswith(b"other: the "), f"{status} {body}")
        with redis(port=port):
            expect(reds(server, port, "get", "a"), 200, b"nothing\n")
    for act, why in faults:
        with Proxy(act) as proxy, Server(guest("redis"), *grants(proxy.port)) as server:
            again = () if why == "what this command does not" else (";", "get", "b")
            status, _, body = reds(server, proxy.port, "get", "a", *again)[:3]
            lines = body.decode().splitlines()
            check(status == 500 and why in lines[0], f"{why}: {status} {lines}")
            check(not again or lines[1] == "other: the connection is gone", f"{why}: {lines}")


def case_services_redis_slow():
    """A server that does not answer holds nobody else: neither other servers nor other functions, nor the worker."""
    with redis() as port, Proxy(answering()) as proxy, \
            Server(guest("redis"), *grants(port, proxy.port), "--timeout", "3s") as server:
        found = []
        slow = [threading.Thread(target=lambda: found.append(reds(server, proxy.port, "get", "a")[0])) for _ in range(20)]
        for thread in slow:
            thread.start()
        until(lambda: proxy.count == 20, "they wait")
        for i in range(20):
            expect(reds(server, port, "incr", "n"), 200, f"{i + 1}\n".encode())
        for thread in slow:
            thread.join()
        check(found == [504] * 20, f"their time is over: {found}")
        expect(reds(server, port, "incr", "n"), 200, b"21\n")


def case_services_redis_many():
    """More requests at once than there may be connections to a server: some wait, all are answered."""
    with redis() as port, Server(guest("redis"), *grants(port)) as server:
        found = []

        def go():
            for _ in range(5):
                found.append(reds(server, port, "execute", "INCR", "n")[0])
        threads = [threading.Thread(target=go) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(found == [200] * 500, f"{len([s for s in found if s != 200])} of {len(found)} failed")
        expect(reds(server, port, "get", "n"), 200, b"500\n")


def case_services_redis_sandboxed():
    """Their process is in a sandbox, and a killed one is replaced."""
    with redis() as port, Server(guest("redis"), *grants(port)) as server:
        expect(reds(server, port, "set", "a", "1"), 200)
        def engines():
            return [pid for child in children(server.process.pid) for pid in children(child)
                    if "mayfly-comp" not in open(f"/proc/{pid}/comm").read()]
        until(lambda: len(engines()) == 1, "one process talks to servers")
        with open(f"/proc/{engines()[0]}/status") as file:
            found = dict(re.findall(r"^(\w+):[ \t]*(.*)$", file.read(), re.M))
        check(found["Seccomp"] == "2" and found["NoNewPrivs"] == "1", f"seccomp {found['Seccomp']}")
        os.kill(engines()[0], 9)
        until(lambda: reds(server, port, "get", "a")[::2] == (200, b"1\n"), "another one takes its place")


def case_services_refused():
    """Interfaces whose functions are asynchronous are refused by name, with what there is instead."""
    done = subprocess.run([*command("run"), guest("redis3")], capture_output=True, text=True)
    check(done.returncode != 0 and "spin:redis/redis@3.0.0 open is imported, which mayfly does not have" in done.stderr and
          "asynchronous, which mayfly does not offer yet: there is fermyon:spin/redis@2.0.0" in done.stderr, done.stderr)


# ---- key-value stores in Redis ----

def case_services_store():
    """A store that a Redis server keeps, by every operation; another store of the same application is in its folder."""
    with redis() as port, tempfile.TemporaryDirectory() as top, \
            Server(guest("storage"), "--state-dir", top, "--key-value-store", f"default={url(port, '/1')}",
                   "--key-value-store", "local", "--workers", "2") as server:
        at = server.port
        expect(ask(at, path("kv", "default", "get", "a")), 404)
        expect(ask(at, path("kv", "default", "set", "a", "grüße/%")), 200, b"done\n")
        expect(ask(at, path("kv", "default", "set", "b", "")), 200, b"done\n")
        for _ in range(10):
            expect(ask(at, path("kv", "default", "get", "a")), 200, "grüße/%".encode())
        expect(ask(at, path("kv", "default", "get", "b")), 200, b"")
        expect(ask(at, path("kv", "default", "keys")), 200, b"a\nb\n")
        expect(ask(at, path("kv", "default", "exists", "a")), 200, b"yes\n")
        expect(ask(at, path("kv", "default", "delete", "a")), 200, b"done\n")
        expect(ask(at, path("kv", "default", "exists", "a")), 200, b"no\n")
        expect(ask(at, path("add", "default", "n", "5")), 200, b"5")
        expect(ask(at, path("add", "default", "n", "-7")), 200, b"-2")
        expect(ask(at, path("kv", "default", "get", "n")), 200, b"-2")
        expect(ask(at, path("add", "default", "b", "1")), 500, b"other: ERR value is not an integer or out of range\n")
        expect(ask(at, path("old", "default", "get", "n")), 200, b"-2")
        expect(ask(at, path("kv", "local", "get", "n")), 404)
        expect(ask(at, path("kv", "local", "set", "n", "1")), 200)
        check(os.listdir(os.path.join(top, "key-value")) == ["local"], "one is in the folder")
        many = subprocess.run(["redis-cli", "-p", str(port), "-n", "1", "EVAL",
                               "for i = 1, 3000 do redis.call('SET', string.format('m%04d', i), i) end", "0"],
                              capture_output=True, text=True)
        check(many.returncode == 0, many.stderr)
        found = ask(at, path("kv", "default", "keys"))[2].decode().split()
        check(found == ["b", *[f"m{i:04}" for i in range(1, 3001)], "n"], f"{len(found)} keys in order")


def case_services_store_configured():
    """The same by a runtime configuration: for the label that it names, of those that components use."""
    manifest = HEAD + trigger("/kv/...", "one") + component("one", guest("storage"), 'key_value_stores = ["default", "local"]')
    with redis() as port, folder(manifest) as top:
        with open(f"{top}/runtime.toml", "w") as file:
            file.write(f'[key_value_store.default]\ntype = "redis"\nurl = "{url(port, "/2")}"\n'
                       '[key_value_store.nobody]\ntype = "redis"\nurl = "redis://10.0.0.1"\n')
        with Server(top, "--runtime-config-file", f"{top}/runtime.toml") as server:
            expect(ask(server.port, path("kv", "default", "set", "a", "1")), 200, b"done\n")
            expect(ask(server.port, path("kv", "local", "get", "a")), 404)
        with Server(guest("redis"), *grants(port)) as server:
            expect(ask(server.port, path(2, url(port, "/2"), "get", "a")), 200, b"1\n")


def case_services_store_gone():
    """A server that is not there fails calls, and does when it is back; addresses that keep nothing are refused."""
    port = free_port()
    with tempfile.TemporaryDirectory() as top:
        with Server(guest("storage"), "--state-dir", top, "--key-value-store", f"default=redis://:pass-word@127.0.0.1:{port}",
                    "--log-level", "debug") as server:
            status, _, body = ask(server.port, path("kv", "default", "get", "a"))[:3]
            check(status == 500 and b"the server cannot be reached" in body, f"{status} {body}")
            with redis("--requirepass", "pass-word", port=port):
                expect(ask(server.port, path("kv", "default", "set", "a", "1")), 200)
                expect(ask(server.port, path("kv", "default", "get", "a")), 200, b"1")
            check("pass-word" not in server.log(), "no log has the password")
        for value, why in (("x=http://127.0.0.1", "nothing that mayfly knows keeps stores there"),
                           ("x=redis://", "has no host"), ("x=rediss://h:x", "has no host, or one with a port that is none")):
            with tempfile.TemporaryFile() as log:
                start = subprocess.run([*command("up"), guest("storage"), "--listen", "127.0.0.1:0", "--key-value-store",
                                        value], stderr=log, stdout=log, timeout=60)
                log.seek(0)
                said = log.read().decode()
                check(start.returncode != 0 and why in said, f"{value}: {start.returncode} {said}")


# ---- PostgreSQL ----

def postgres_program(name):
    for version in ("15", "16", "17", "18", "14"):
        found = f"/usr/lib/postgresql/{version}/bin/{name}"
        if os.path.exists(found):
            return found
    return program(name)


@contextlib.contextmanager
def postgres(*options):
    port = free_port()
    initdb, server = postgres_program("initdb"), postgres_program("postgres")
    with data_folder() as top:
        data = os.path.join(top, "data")
        with open(os.path.join(top, "password"), "w") as file:
            file.write("pass word")
        if os.geteuid() == 0:
            shutil.chown(os.path.join(top, "password"), "nobody", "nogroup")
        made = subprocess.run([*as_nobody(), initdb, "-D", data, "-U", "ann", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8",
                               "--locale", "C", "--pwfile", os.path.join(top, "password")], capture_output=True, text=True, cwd=top)
        check(made.returncode == 0, made.stderr)
        with serving(port, top, server, "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", top, "-c", "fsync=off",
                     "-c", "shared_buffers=1MB", *options):
            yield port


def pg(port, host="127.0.0.1", user="ann", password="pass%20word", rest="/postgres"):
    return f"postgres://{user}:{password}@{host}:{port}{rest}"


def ready(server, port, version=2):
    """It takes connections a moment before it serves."""
    until(lambda: ask(server.port, path(version, pg(port), "query", "SELECT 1"))[0] == 200, "it serves", 30)


def case_services_postgres():
    """Values of all types there and back, by all versions; what a statement changes, what a transaction holds."""
    with postgres() as port, Server(guest("postgres"), *grants(port, scheme="postgres")) as server:
        ready(server, port)
        for version in (1, 2, 3):
            def does(*words):
                return ask(server.port, path(version, pg(port), *words))
            expect(does("execute", f"CREATE TABLE t{version} (b bool, s int2, i int4, l int8, f float4, d float8, t text, x bytea)"),
                   200, b"0 rows\n")
            expect(does("execute", f"INSERT INTO t{version} VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                        "b1", "s-2", "i3", "l-4000000000", "f0.5", "d-0.25", "tgrüße'", "x\x01%"), 200, b"1 rows\n")
            expect(does("execute", f"INSERT INTO t{version} VALUES ($1, $2, $3, $4, $5, $6, $7, $8), (false, 0, 0, 0, 0, 0, '', '')",
                        *"nnnnnnnn"), 200, b"2 rows\n")
            types = "0|2|3|4|9|10|11|12" if version != 3 else "0|2|3|4|5|6|7|8"
            head = "|".join(f"{name}:{kind}" for name, kind in zip("bsilfdtx", types.split("|")))
            expect(does("query", f"SELECT * FROM t{version}"), 200,
                   f"{head}\ntrue|-2|3|-4000000000|500/1000|-250/1000|grüße'|0125\n"
                   f"null|null|null|null|null|null|null|null\nfalse|0|0|0|0/1000|0/1000||\n".encode())
            expect(does("execute", f"UPDATE t{version} SET s = 1"), 200, b"3 rows\n")
            expect(does("query", f"SELECT i FROM t{version} WHERE i > $1", "i100"), 200,
                   f"i:3\n".encode())
            kind = 13 if version != 3 else 9
            expect(does("query", "SELECT DATE '2024-02-29' AS d"), 200,
                   f"d:{kind}\n{'unsupported' if version != 3 else '2024-2-29'}\n".encode())
            expect(does("query", "SELECT 1.5::numeric AS n"), 200, f"n:13\nunsupported\n".encode())
        # dates and times
        def three(*words):
            return ask(server.port, path(3, pg(port), *words))
        expect(three("query", "SELECT $1::date, $2::time, $3::timestamp, $4::timestamptz", "D1999,12,31", "T23,59,58,123456000",
                     "S2024,2,29,1,2,3,4000", "U951782400"), 200,
               b"date:9|time:10|timestamp:11|timestamptz:11\n1999-12-31|23:59:58.123456000|2024-2-29 1:2:3.4000|2000-2-29 0:0:0.0\n")
        expect(three("query", "SELECT DATE '0001-01-01', 'infinity'::date, '1969-12-31 23:59:59.5'::timestamp"), 200,
               b"date:9|date:9|timestamp:11\n1-1-1|unsupported|1969-12-31 23:59:59.500000000\n")
        expect(three("query", "SELECT $1::date", "D2023,2,29"), 500, b"bad-parameter: a date or time that does not exist\n")
        # one connection: a transaction, which ends with it
        expect(ask(server.port, path(2, pg(port), "execute", "BEGIN", ";", "execute", "DELETE FROM t2", ";", "query",
                                     "SELECT count(*) FROM t2")), 200, b"0 rows\n3 rows\ncount:4\n0\n")
        expect(ask(server.port, path(2, pg(port), "query", "SELECT count(*) FROM t2")), 200, b"count:4\n3\n")
        # kept connections are as new
        expect(ask(server.port, path(2, pg(port), "execute", "CREATE TEMP TABLE own (i int)", ";", "execute",
                                     "SET search_path TO nowhere", ";", "query", "SELECT pg_backend_pid() > 0 AS p")), 200)
        expect(ask(server.port, path(2, pg(port), "query", "SELECT i FROM t1 WHERE i = 3")), 200, b"i:3\n3\n")
        status, _, body = ask(server.port, path(2, pg(port), "query", "SELECT * FROM own"))[:3]
        check(status == 500 and b'relation "own" does not exist' in body, f"{status} {body}")
        pids = {ask(server.port, path(2, pg(port), "query", "SELECT pg_backend_pid()"))[2] for _ in range(5)}
        check(len(pids) < 5, f"connections are used again: {pids}")
        # the address in words
        expect(ask(server.port, path(2, f"host=127.0.0.1 port={port} user=ann password='pass word' dbname=postgres sslmode=disable",
                                     "query", "SELECT 7 AS n")), 200, b"n:3\n7\n")


def case_services_postgres4():
    """What version 4 of the interface has beside: its types, builders, and the server's errors as it tells them."""
    with postgres() as port, Server(guest("postgres4"), *grants(port, scheme="postgres")) as server:
        until(lambda: ask(server.port, path("open", pg(port), "query", "SELECT 1"))[0] == 200, "it serves", 30)

        def does(*words, how="open"):
            return ask(server.port, path(how, pg(port), *words))[::2]

        def there_and_back(cast, *given):
            """What the server makes of a parameter, and what comes back of it."""
            status, body = does("query", "SELECT " + ", ".join(f"${i + 1}::{cast}" for i in range(len(given))), *given)
            check(status == 200, f"{cast} {given}: {body}")
            return body.decode().splitlines()[1].split("|")
        uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
        check(there_and_back("uuid", "u" + uuid) == [uuid], "uuid")
        check(there_and_back("jsonb", 'j{"a": [1, "ü"]}') == ['{"a": [1, "ü"]}'], "jsonb")
        numbers = ["0", "0.00", "1", "-1", "10000", "-123456789.0100", "0.0001", "0.00001", "99999999999999999999.5", "1e30",
                   "100000000.00000001", "-0.5", "1200"]
        wanted = [value if value != "1e30" else "1" + "0" * 30 for value in numbers]
        found = there_and_back("numeric", *["N" + value for value in numbers])
        check(found == wanted, f"decimals: {found}")
        check(there_and_back("int4range", "r1,5", "r,5", "r-3,", "r,") == ["[1,5)", "(,5)", "[-3,)", "(,)"], "ranges")
        check(there_and_back("int8range", "R-5000000000,5000000000") == ["[-5000000000,5000000000)"], "int8range")
        check(there_and_back("numrange", "D0.5,1.25") == ["[0.5,1.25)"], "numrange")
        check(there_and_back("int4[]", "a1,~,-3") == ["{1,~,-3}"], "int4[]")
        check(there_and_back("int8[]", "A5000000000,~") == ["{5000000000,~}"], "int8[]")
        check(there_and_back("numeric[]", "d1.50,~") == ["{1.50,~}"], "numeric[]")
        check(there_and_back("text[]", 's"q"\\,,~,NULL,{') == ['{"q"\\,,~,NULL,{}'], "text[]")
        check(there_and_back("interval", "v14,-3,7000001") == ["14m-3d7000001"], "interval")
        status, body = does("query", "SELECT 'empty'::int4range AS e, '{}'::int4[] AS a, '{{1,2},{3,4}}'::int4[] AS m, "
                                     "'NaN'::numeric AS n, '127.0.0.1'::inet AS i, '(1,2)'::point AS p, NULL::uuid AS u")
        check((status, body) == (200, b"e:16|a:19|m:19|n:15|i:inet|p:point|u:13\n"
                                      b"(,)|{}|unsupported 60|unsupported 8|unsupported 8|unsupported 16|null\n"), f"{body}")
        status, body = does("execute", "CREATE TABLE t (i int CONSTRAINT small CHECK (i < 5))", ";", "execute",
                            "INSERT INTO t VALUES ($1), (2)", "i1", ";", "execute", "INSERT INTO t VALUES ($1)", "i7")
        lines = body.decode().splitlines()
        check(status == 500 and lines[:2] == ["0 rows", "2 rows"], f"{lines}")
        check(lines[2].startswith("query-failed: ERROR: new row") and "|ERROR|23514|new row" in lines[2] and
              "Failing row contains (7)" in lines[2] and "constraint=small" in lines[2], lines[2])
        status, body = does("query", "SELECT $1::int", "tx")
        check(status == 500 and b"|22P02|" in body, f"{body}")
        check(does("query", "SELECT 1 AS n", how="build") == (200, b"n:3\n1\n"), "a builder")
        status, body = does("query", "SELECT 1 AS n", how="root")
        check(status == 500 and body.startswith(b"other: an authority of a guest's own is not offered yet"), f"{body}")


def case_services_postgres_errors():
    """What is refused, by the interface's errors; no password in a log or an error; a slow statement; too large an answer."""
    with postgres() as port, Server(guest("postgres"), *grants(port, scheme="postgres"), "--log-level", "debug") as server:
        ready(server, port)

        def does(*words, version=2, **more):
            return ask(server.port, path(version, pg(port, **more), *words))[::2]
        status, body = does("query", "SELECT 1 / 0", ";", "query", "SELECT 1 AS n")
        check((status, body) == (500, b"query-failed: division by zero\nn:3\n1\n"), f"{status} {body}")
        status, body = does("query", "SELECT $1::int", "tx")
        check(status == 500 and b'query-failed: invalid input syntax for type integer: "x"' in body, f"{status} {body}")
        status, body = does("query", "SELECT $1::int8", "u5")
        check((status, body) == (500, b"value-conversion-failed: PostgreSQL has no unsigned integers\n"), f"{status} {body}")
        status, body = does("query", "COPY (SELECT 1) TO STDOUT")
        check(status == 500 and b"COPY is not offered" in body, f"{status} {body}")
        for version in (1, 2, 3):
            status, body = does("query", "SELECT 1", version=version, password="wrong-one")
            check(status == 500 and body.startswith(b"connection-failed: ") and b"password authentication failed" in body,
                  f"{status} {body}")
            status, body = does("query", "SELECT 1", version=version, host="127.0.0.2")
            check((status, body) == (500, f"connection-failed: address postgres://127.0.0.2:{port} is not permitted\n".encode()), f"{status} {body}")
        check(f"--allow-outbound postgres://127.0.0.2:{port}" in server.log(), "the log says what would permit it")
        check("wrong-one" not in server.log() and "pass word" not in server.log() and "pass%20" not in server.log(),
              "no log has passwords")
        status, body = does("query", "SELECT repeat('x', 1000000) FROM generate_series(1, 40)")
        check(status == 500 and b"other: query result exceeds limit" in body, f"{status} {body}")
        expect(ask(server.port, path(2, pg(port), "query", "SELECT 2 AS n")), 200, b"n:3\n2\n")
        status, body = does("query", "SELECT pg_terminate_backend(pg_backend_pid())", ";", "query", "SELECT 1")
        check(status == 500 and body.startswith(b"query-failed: ") and b"terminating connection" in body and
              b"connection-failed: the connection is gone" in body, f"{status} {body}")


def case_services_postgres_faults():
    """A server that is not there, is silent, or talks nonsense; others are served meanwhile."""
    port = free_port()
    with Proxy(answering()) as silent, Proxy(answering(b"HTTP/1.1 400\r\n\r\n")) as strange, \
            Proxy(answering(b"N", b"E\x00\x00", stay=False)) as cut, \
            Server(guest("postgres"), *grants(port, silent.port, strange.port, cut.port, scheme="postgres"), "--timeout", "20s") as server:
        for at in (port, strange.port, cut.port):
            status, body = ask(server.port, path(2, pg(at), "query", "SELECT 1"))[::2]
            check(status == 500 and body.startswith(b"connection-failed: "), f"{status} {body}")
        begin = time.monotonic()
        status, body = ask(server.port, path(2, pg(silent.port), "query", "SELECT 1"))[::2]
        took = time.monotonic() - begin
        check((status, body) == (500, b"connection-failed: no connection within 5000 ms\n"), f"{status} {body}")
        check(4.5 < took < 15, f"it took {took:.1f} s")


def case_services_postgres_tls():
    """sslmode=require means the server that is named, by the authorities of this machine."""
    with tempfile.TemporaryDirectory() as keys:
        os.chmod(keys, 0o755)
        key, certificate = f"{keys}/key", f"{keys}/certificate"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                        "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out",
                        certificate], check=True, capture_output=True)
        os.chmod(key, 0o600)
        if os.geteuid() == 0:
            shutil.chown(key, "nobody", "nogroup")
        with postgres("-c", "ssl=on", "-c", f"ssl_key_file={key}", "-c", f"ssl_cert_file={certificate}") as port:
            statement = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

            def does(host, mode):
                return ask(server.port, path(2, pg(port, host=host, rest=f"/postgres?sslmode={mode}"), "query", statement))[::2]
            for trusted in (True, False):
                os.environ["SSL_CERT_FILE"] = certificate if trusted else "/etc/ssl/certs/ca-certificates.crt"
                with Server(guest("postgres"), *grants(port, scheme="postgres"), "--allow-outbound",
                            f"postgres://localhost:{port}") as server:
                    until(lambda: does("127.0.0.1", "disable") == (200, b"ssl:0\nfalse\n"), "it serves", 30)
                    check(does("127.0.0.1", "prefer") == (200, b"ssl:0\ntrue\n"), f"{does('127.0.0.1', 'prefer')}")
                    status, body = does("localhost", "require")
                    check(trusted == (status == 200) and (trusted or b"certificate" in body), f"{trusted}: {status} {body}")
                    status, body = does("127.0.0.1", "require")
                    check(status == 500 and body.startswith(b"connection-failed: "), f"{status} {body}")
            del os.environ["SSL_CERT_FILE"]


# ---- over TLS ----

class Identity:
    """A throw-away authority, and a server's certificate for localhost of it, for who needs files: of the servers' user."""

    def __init__(self, top):
        self.authority, self.key, self.certificate = f"{top}/authority.pem", f"{top}/key.pem", f"{top}/certificate.pem"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, capture_output=True)
        openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=authority of a test", "-keyout", f"{top}/authority.key", "-out", self.authority)
        openssl("req", *curve, "-subj", "/CN=unused", "-keyout", self.key, "-out", f"{top}/request.pem")
        with open(f"{top}/more", "w") as file:
            file.write("subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", f"{top}/request.pem", "-CA", self.authority, "-CAkey", f"{top}/authority.key", "-CAcreateserial", "-days", "2",
                "-extfile", f"{top}/more", "-out", self.certificate)
        if os.geteuid() == 0:
            for name in (self.key, self.certificate, self.authority):
                shutil.chown(name, "nobody", "nogroup")


@contextlib.contextmanager
def identity():
    with data_folder() as top:
        yield Identity(top)


@contextlib.contextmanager
def trusting(file):
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = file
    try:
        yield
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before


def patient(go):
    """The answer, once the machine had time for it: a connection may take 5 s, in which authorities are read the first time."""
    for _ in range(20):
        status, body = go()
        if b"no connection within 5000 ms" not in body:
            break
    return status, body


STRANGERS = "/etc/ssl/certs/ca-certificates.crt"  # they know no authority of a test


def plain_peer(proxy, client):
    """Answers what begins TLS with something else, and stays."""
    client.recv(65536)
    client.sendall(b"-ERR what is this\r\n" + b"x" * 100)
    client.recv(1)


def secure_faults(scheme, does, server):
    """No TLS there, an end instead of it, and nothing at all: each is an error; the last one holds nobody, or the others would
    be answered by their function's time limit."""
    with Proxy(plain_peer) as plain, Proxy(lambda proxy, client: client.recv(10)) as ends, Proxy(answering()) as silent:
        manifest = HEAD + trigger("/...", "one") + component("one", guest(server), "allowed_outbound_hosts = [" + ", ".join(
            f'"{scheme}://localhost:{proxy.port}"' for proxy in (plain, ends, silent)) + "]")
        with folder(manifest) as top, Server(top) as up:
            found = []
            slow = threading.Thread(target=lambda: found.append(does(up, silent.port)))
            slow.start()
            for proxy in (plain, ends):
                status, body = does(up, proxy.port)
                check(status == 500 and body, f"{status} {body}")
            slow.join()
            check(found[0][0] == 500 and b"no connection within 5000 ms" in found[0][1], f"{found}")


def case_services_redis_tls():
    """Redis over TLS: a scheme of its own, with a certificate of a known authority for the name; for guests, stores and
    channels."""
    with identity() as known, redis("--port", "0", "--tls-port", str(port := free_port()), "--tls-cert-file", known.certificate, "--tls-key-file", known.key,
                                    "--tls-ca-cert-file", known.authority, "--tls-auth-clients", "no", "--requirepass", "pass-word", port=port):
        def does(server, *words, host="localhost", scheme="rediss"):
            return patient(lambda: ask(server.port, path(2, f"{scheme}://:pass-word@{host}:{port}", *words))[::2])
        reach = ("--allow-outbound", f"rediss://localhost:{port}", "--allow-outbound", f"rediss://127.0.0.1:{port}")
        with trusting(known.authority), Server(guest("redis"), *reach, "--log-level", "debug") as server:
            check(does(server, "set", "a", "1") == (200, b"done\n"), f"{does(server, 'set', 'a', '1')}")
            large = "x" * 50000
            check(does(server, "set", "b", large[:7000], ";", "get", "b", ";", "get", "a")[1] == f"done\n{large[:7000]}\n1\n".encode(), "several in one")
            status, body = does(server, "execute", "EVAL", "return string.rep('y', 60000)", "#0")
            check((status, body) == (200, b"bytes " + b"y" * 60000 + b"\n"), f"more than a record: {status} {len(body)}")
            status, body = does(server, "get", "a", host="127.0.0.1")
            check(status == 500 and body.startswith(b"other: no TLS: the server's certificate: IP address mismatch"), f"{status} {body}")
            check(does(server, "get", "a", scheme="redis") == (500, b"invalid-address\n"), "without TLS it is another grant")
            check(f"to permit it: --allow-outbound redis://localhost:{port}" in server.log() and "pass-word" not in server.log(), f"{server.log()}")
        with trusting(known.authority), Server(guest("redis"), "--allow-outbound", f"redis://localhost:{port}") as server:
            check(does(server, "get", "a") == (500, b"invalid-address\n"), "nor does a grant of redis permit TLS")
            check(f"to permit it: --allow-outbound rediss://localhost:{port}" in server.log(), f"{server.log()}")
            status, body = does(server, "get", "a", scheme="redis")
            check(status == 500 and body.startswith(b"other: "), f"plain words to TLS: {status} {body}")
        with trusting(STRANGERS), Server(guest("redis"), *reach) as server:
            status, body = does(server, "get", "a")
            check(status == 500 and re.match(rb"other: no TLS: the server's certificate: .*(issuer|self-signed)", body), f"{status} {body}")
        with trusting(known.authority), tempfile.TemporaryDirectory() as top:
            with Server(guest("storage"), "--state-dir", top, "--key-value-store", f"default=rediss://:pass-word@localhost:{port}/1") as server:
                check(patient(lambda: ask(server.port, path("kv", "default", "set", "k", "v"))[::2]) == (200, b"done\n"), "a store")
                check(patient(lambda: ask(server.port, path("kv", "default", "get", "k"))[::2]) == (200, b"v"), "has it")
            manifest = HEAD + f'[[trigger.redis]]\naddress = "rediss://:pass-word@localhost:{port}"\nchannel = "c"\ncomponent = "one"\n' + component("one", guest("inbound"))
            with folder(manifest) as app, Server(app) as server:
                check(server.wait_log(f"listening to channels of rediss://localhost:{port}"), f"{server.log()}")
    secure_faults("rediss", lambda server, at: ask(server.port, path(2, f"rediss://localhost:{at}", "get", "a"))[::2], "redis")


# ---- MySQL ----

@contextlib.contextmanager
def mysql(*options, users=("'127.0.0.1'",)):
    """MariaDB, with a user and a database for the tests."""
    port = free_port()
    server, install = program("mariadbd"), program("mariadb-install-db")
    with data_folder() as top:
        data = os.path.join(top, "data")
        common = ["--no-defaults", f"--datadir={data}", f"--socket={top}/socket", f"--tmpdir={top}", "--skip-log-bin",
                  "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0"]
        made = subprocess.run([*as_nobody(), install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
                               "--skip-test-db", "--innodb-log-file-size=4M"], capture_output=True, text=True, cwd=top,
                              env={**os.environ, "TMPDIR": top}) # its temporary tables have names that others use too
        check(made.returncode == 0, made.stdout + made.stderr)
        with open(f"{top}/init", "w") as file:
            file.write("CREATE DATABASE test CHARACTER SET utf8mb4;\n")
            for where in users:
                file.write(f"CREATE USER ann@{where} IDENTIFIED BY 'pass word';\nGRANT ALL ON test.* TO ann@{where};\n")
        os.chmod(f"{top}/init", 0o644)
        with serving(port, top, server, *common, f"--init-file={top}/init", "--bind-address=127.0.0.1", f"--port={port}", *options):
            yield port


def my(port, password="pass%20word", rest="/test", host="127.0.0.1"):
    return f"mysql://ann:{password}@{host}:{port}{rest}"


def case_services_mysql():
    """Values of all types there and back, by both versions; errors; what a connection holds; passwords that are nowhere."""
    with mysql() as port, Server(guest("mysql"), *grants(port, scheme="mysql"), "--log-level", "debug") as server:
        def does(*words, version=2, **more):
            return ask(server.port, path(version, my(port, **more), *words))[::2]
        until(lambda: does("query", "SELECT 1")[0] == 200, "it serves", 30)
        for version in (1, 2):
            def go(*words):
                return does(*words, version=version)
            check(go("execute", f"CREATE TABLE t{version} (a TINYINT, b SMALLINT, c INT, d BIGINT, e TINYINT UNSIGNED, f BIGINT UNSIGNED, "
                                "g FLOAT, h DOUBLE, i VARCHAR(99), j VARBINARY(99), k TEXT, l BLOB)") == (200, b"done\n"), "a table")
            check(go("execute", f"INSERT INTO t{version} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "c-1", "s-2", "i-3",
                     "l-4000000000", "i255", "u-1", "f0.5", "d-0.25", "tgrüße'", "x\x01%", "t", "x") == (200, b"done\n"), "values")
            check(go("execute", f"INSERT INTO t{version} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", *"nnnnnnnnnnnn") == (200, b"done\n"), "nulls")
            status, body = go("query", f"SELECT * FROM t{version}")
            wanted = ("a:1|b:2|c:3|d:4|e:5|f:8|g:9|h:10|i:11|j:12|k:11|l:12\n"
                      "-1|-2|-3|-4000000000|u255|u-1|500/1000|-250/1000|grüße'|0125||\n" + "|".join(["null"] * 12) + "\n")
            check((status, body.decode()) == (200, wanted), f"{status} {body.decode()}")
            check(go("query", f"SELECT c FROM t{version} WHERE d < ?", "l-5") == (200, b"c:3\n-3\n"), "a parameter")
            check(go("query", f"SELECT c FROM t{version} WHERE d > ?", "l5") == (200, b"c:3\n"), "no rows")
            status, body = go("query", "SELECT DATE '2024-02-29' AS d, 1.5 AS n, NULL AS o")
            check((status, body) == (200, b"d:13|n:13|o:12\nunsupported|unsupported|null\n") or
                  (status, body) == (200, b"d:13|n:13|o:13\nunsupported|unsupported|null\n"), f"{status} {body}")
            status, body = go("query", "SELECT * FROM nowhere")
            check(status == 500 and b"query-failed: Table 'test.nowhere' doesn't exist" in body, f"{status} {body}")
            status, body = go("query", "SELECT ?", "i1", "i2")
            check(status == 500 and b"query-failed: the statement has another number of parameters" in body, f"{status} {body}")
            status, body = does("query", "SELECT 1", version=version, password="wrong-one")
            check(status == 500 and b"connection-failed: Access denied for user 'ann'" in body, f"{status} {body}")
        # in one connection, and what is left of it
        status, body = does("execute", "SET @own = 7", ";", "query", "SELECT * FROM nowhere", ";", "query", "SELECT CAST(@own AS INT) AS n")
        check(status == 500 and body.startswith(b"done\nquery-failed: ") and body.endswith(b"n:4\n7\n"), f"{status} {body}")
        check(does("query", "SELECT @own IS NULL AS n") == (200, b"n:3\n1\n"), "kept connections are as new")
        found = {does("query", "SELECT CONNECTION_ID() AS n")[1] for _ in range(5)}
        check(len(found) < 5, f"connections are used again: {found}")
        status, body = does("query", "SELECT REPEAT('x', 1000000) AS x FROM seq_1_to_40")
        check(status == 500 and (b"query result exceeds limit" in body), f"{status} {body[:200]}")
        check(does("query", "SELECT 2 AS n") == (200, b"n:3\n2\n"), "and others go on")
        status, body = does("query", "KILL CONNECTION_ID()", ";", "query", "SELECT 1")
        check(status == 500 and body.startswith(b"query-failed: "), f"{status} {body}")
        status, body = does("query", "SELECT 1", rest="/test?ssl-mode=REQUIRED")
        check(status == 500 and b"connection-failed: TLS/SSL error: SSL is required, but the server does not support it" in body, f"{status} {body}")
        status, body = ask(server.port, path(2, f"mysql://ann@127.0.0.2:{port}/test", "query", "SELECT 1"))[::2]
        check((status, body) == (500, f"connection-failed: address mysql://ann@127.0.0.2:{port}/test is not permitted\n".encode()),
              f"{status} {body}")
        check(f"--allow-outbound mysql://127.0.0.2:{port}" in server.log(), "the log says what would permit it")
        check("wrong-one" not in server.log() and "pass word" not in server.log() and "pass%20" not in server.log(), "no passwords")


def case_services_mysql_tls():
    """ssl-mode, or sslmode, with any value but "disabled": TLS, with a certificate of a known authority for the name."""
    with identity() as known, mysql(f"--ssl-cert={known.certificate}", f"--ssl-key={known.key}", f"--ssl-ca={known.authority}",
                                    users=("'127.0.0.1'", "localhost")) as port:
        def does(server, rest, host="localhost", statement="SHOW STATUS LIKE 'Ssl_version'"):
            return patient(lambda: ask(server.port, path(2, my(port, host=host, rest=rest), "query", statement))[::2])
        reach = ("--allow-outbound", f"mysql://localhost:{port}", "--allow-outbound", f"mysql://127.0.0.1:{port}")
        with trusting(known.authority), Server(guest("mysql"), *reach, "--log-level", "debug") as server:
            until(lambda: does(server, "/test")[0] == 200, "it serves", 30)
            for rest in ("/test", "/test?ssl-mode=DISABLED", "/test?sslMode=disabled", "/test?xssl-mode=required", "/test?a=ssl-mode=required"):
                status, body = does(server, rest)
                check(status == 200 and b"TLS" not in body, f"{rest}: {status} {body}")
            for rest in ("/test?ssl-mode=REQUIRED", "/test?a=b&sslmode=preferred", "/test?SsLmOdE=VERIFY_CA&pool_max=10", "/test?ssl%2Dmode=required", "/test?ssl-mode"):
                status, body = does(server, rest)
                check(status == 200 and b"TLSv1." in body, f"{rest}: {status} {body}")
                status, body = does(server, rest, host="127.0.0.1")
                check(status == 500 and body.startswith(b"connection-failed: TLS/SSL error: "), f"{rest}, by its address: {status} {body}")
            status, body = does(server, "/test?ssl-mode=required", statement="SELECT REPEAT('x', 60000) AS x FROM seq_1_to_3")
            check(status == 200 and body.count(b"x" * 60000) >= 1 or b"x" * 1000 in body, "more than a record")
            found = {does(server, "/test?ssl-mode=required", statement="SELECT CONNECTION_ID() AS n")[1] for _ in range(5)}
            check(len(found) < 5, f"connections are used again: {found}")
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(does(server, f"/test?ssl-mode=required&n={number}")[0])) for number in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            check(answers == [200] * 20, f"many at once: {answers}")
            status, body = ask(server.port, path(2, my(port, host="localhost", password="wrong-one", rest="/test?ssl-mode=required"), "query", "SELECT 1"))[::2]
            check(status == 500 and b"Access denied" in body, f"{status} {body}")
            check("pass word" not in server.log() and "wrong-one" not in server.log(), "no passwords")
        with trusting(STRANGERS), Server(guest("mysql"), *reach) as server:
            status, body = does(server, "/test?ssl-mode=required")
            check(status == 500 and re.match(rb"connection-failed: TLS/SSL error: .*(issuer|self-signed)", body), f"{status} {body}")
    greeting = b"\x0a5.5.5\0" + b"\1\0\0\0" + b"12345678\0" + b"\xff\xff" + b"\x21" + b"\2\0" + b"\xff\xc1" + b"\x15" + b"\0" * 10 + b"123456789012\0mysql_native_password\0"
    greeting = len(greeting).to_bytes(3, "little") + b"\0" + greeting

    def says(then):
        def act(proxy, client):
            client.sendall(greeting)
            then(client)
        return act
    with Proxy(says(plain_peer_of)) as plain, Proxy(says(lambda client: client.recv(36))) as ends, Proxy(says(hold)) as silent:
        with Server(guest("mysql"), *[word for proxy in (plain, ends, silent) for word in ("--allow-outbound", f"mysql://localhost:{proxy.port}")]) as server:
            def go(at):
                return ask(server.port, path(2, my(at, host="localhost", rest="/test?ssl-mode=required"), "query", "SELECT 1"))[::2]
            found = []
            slow = [threading.Thread(target=lambda: found.append(go(silent.port))) for _ in range(3)]
            for thread in slow:
                thread.start()
            until(lambda: silent.count == 3, "they wait")
            for at in (plain.port, ends.port):
                status, body = go(at)
                check(status == 500 and body.startswith(b"connection-failed: "), f"{status} {body}")
            for thread in slow:
                thread.join()
            check(found == [(500, b"connection-failed: no connection within 5000 ms\n")] * 3, f"{found}")


def hold(client):
    while client.recv(65536):
        pass


def plain_peer_of(client):
    client.recv(65536)
    client.sendall(b"what is this?" * 20)
    client.recv(1)


def case_services_mysql_faults():
    """A server that is not there, is silent, or talks nonsense; a slow one holds nobody."""
    port = free_port()
    with Proxy(lambda proxy, client: client.recv(1)) as silent, \
            Proxy(lambda proxy, client: client.sendall(b"HTTP/1.1 400\r\n\r\n") or client.recv(1)) as strange, \
            Proxy(lambda proxy, client: client.sendall(b"\x4a\0\0\0\x0a5.5")) as cut, \
            Server(guest("mysql"), *grants(port, silent.port, strange.port, cut.port, scheme="mysql"), "--timeout", "20s") as server:
        for at in (port, cut.port, strange.port):
            status, body = ask(server.port, path(2, my(at), "query", "SELECT 1"))[::2]
            check(status == 500 and body.startswith(b"connection-failed: "), f"{status} {body}")
        found = []
        slow = threading.Thread(target=lambda: found.append(ask(server.port, path(2, my(silent.port), "query", "SELECT 1"))[::2]))
        slow.start()
        until(lambda: silent.count == 1, "it waits")
        status, body = ask(server.port, path(2, my(port), "query", "SELECT 1"))[::2]
        check(status == 500 and not found, "others do not")
        slow.join()
        check(found == [(500, b"connection-failed: no connection within 5000 ms\n")], f"{found}")


# ---- MQTT ----

@contextlib.contextmanager
def mosquitto(port=None, more=""):
    """A broker, for user ann with a password; `more`: of its configuration."""
    port = port or free_port()
    server, passwords = program("mosquitto"), program("mosquitto_passwd")
    with data_folder() as top:
        with open(f"{top}/conf", "w") as file:
            file.write(f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {top}/passwords\npersistence false\n{more}")
        made = subprocess.run([*as_nobody(), passwords, "-b", "-c", f"{top}/passwords", "ann", "pass word"], capture_output=True, text=True)
        check(made.returncode == 0, made.stderr)
        with serving(port, top, server, "-c", f"{top}/conf"):
            yield port


@contextlib.contextmanager
def subscribed(port, count):
    """What comes to the topic t/#, as (topic, payload), until `count` messages are there: a list that fills."""
    def packet(kind, body):
        return bytes([kind, len(body)]) + body

    def text(value):
        return len(value).to_bytes(2, "big") + value
    found = []
    client = socket.create_connection(("127.0.0.1", port), 20)
    client.sendall(packet(0x10, text(b"MQTT") + b"\4\xc2\0\x3c" + text(b"test") + text(b"ann") + text(b"pass word")))
    stream = client.makefile("rb")
    check(stream.read(4)[3] == 0, "the broker knows ann")
    client.sendall(packet(0x82, b"\0\1" + text(b"t/#") + b"\0"))
    check(stream.read(5)[0] == 0x90, "subscribed")

    def read():
        with contextlib.suppress(OSError, IndexError):
            while len(found) < count:
                stream.read(1)
                size, shift = 0, 0
                while True:
                    byte = stream.read(1)[0]
                    size |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                body = stream.read(size)
                length = int.from_bytes(body[:2], "big")
                found.append((body[2:2 + length].decode(), body[2 + length:]))
    threading.Thread(target=read, daemon=True).start()
    with client:
        yield found


def case_services_mqtt():
    """Messages of every quality come, and what is refused is told; connections are used again."""
    with mosquitto() as port, subscribed(port, 8) as found, \
            Server(guest("mqtt"), *grants(port, scheme="mqtt"), "--log-level", "debug") as server:
        def does(*words, user="ann", password="pass word", host="127.0.0.1", scheme="mqtt", rest="", at=port):
            return ask(server.port, path(f"{scheme}://{host}:{at}{rest}", user, password, 30, *words))[::2]
        check(does("t/a", "zero", 0, "t/b", "one", 1, "t/c", "grüße", 2) == (200, b"done\n" * 3), "all qualities")
        for i in range(4):
            check(does("t/n", str(i), i % 3, rest="?client_id=me") == (200, b"done\n"), "again")
        big = "x" * 3000
        check(does("t/big", big, 1) == (200, b"done\n"), "a large one")
        until(lambda: len(found) == 8, f"all of them come: {found}", 20)
        check(found[:3] == [("t/a", b"zero"), ("t/b", b"one"), ("t/c", "grüße".encode())], f"{found[:3]}")
        check(found[3:7] == [("t/n", b"%d" % i) for i in range(4)] and found[7] == ("t/big", big.encode()), "in order")
        for topic in ("", "a/+", "#", "a\0b"):
            status, body = does(topic, "x", 0)
            check((status, body) == (500, b"other: a topic has 1 to 65535 bytes, no wildcard and no zero byte\n"), f"{body}")
        status, body = does("t/a", "x", 0, password="wrong-one")
        check(status == 500 and body.startswith(b"connection-failed: Connection Refused"), f"{status} {body}")
        check(does("t/a", "x", 0, scheme="http") == (500, b"invalid-address\n"), "not MQTT")
        for more in ({"scheme": "mqtts"}, {"host": "127.0.0.2"}):
            status, body = does("t/a", "x", 0, **more)
            check(status == 500 and re.fullmatch(rb"connection-failed: address mqtts?://127\.0\.0\.\d:\d+\S* is not permitted\n", body),
                  f"{more}: {status} {body}")
        check(f"--allow-outbound mqtt://127.0.0.2:{port}" in server.log(), "the log says what would permit it")
        check("wrong-one" not in server.log() and "pass word" not in server.log(), "no passwords")


def case_services_mqtt_tls():
    """MQTT over TLS: a scheme of its own, with a certificate of a known authority for the name."""
    with identity() as known, mosquitto(more=f"certfile {known.certificate}\nkeyfile {known.key}\n") as port:
        def does(server, *words, host="localhost", scheme="mqtts", password="pass word"):
            return patient(lambda: ask(server.port, path(f"{scheme}://{host}:{port}", "ann", password, 30, *(words or ("t/a", "x", 1))))[::2])
        reach = ("--allow-outbound", f"mqtts://localhost:{port}", "--allow-outbound", f"mqtts://127.0.0.1:{port}")
        with trusting(known.authority), Server(guest("mqtt"), *reach, "--log-level", "debug") as server:
            check(does(server) == (200, b"done\n"), f"{does(server)}")
            check(does(server, "t/a", "zero", 0, "t/b", "one", 1, "t/c", "two", 2) == (200, b"done\n" * 3), "all qualities")
            check(does(server, "t/big", "x" * 7000, 2) == (200, b"done\n"), "a large one")
            status, body = does(server, host="127.0.0.1")
            check(status == 500 and body.startswith(b"connection-failed: no TLS: IP address mismatch"), f"{status} {body}")
            status, body = does(server, password="wrong-one")
            check(status == 500 and body.startswith(b"connection-failed: Connection Refused"), f"{status} {body}")
            status, body = does(server, scheme="mqtt")
            check(status == 500 and b" is not permitted" in body, f"without TLS it is another grant: {status} {body}")
            check("wrong-one" not in server.log() and "pass word" not in server.log(), "no passwords")
        with trusting(STRANGERS), Server(guest("mqtt"), *reach, "--allow-outbound", f"mqtt://localhost:{port}") as server:
            status, body = does(server)
            check(status == 500 and re.match(rb"connection-failed: no TLS: .*(issuer|self-signed)", body), f"{status} {body}")
            status, body = does(server, scheme="mqtt")
            check(status == 500 and body.startswith(b"connection-failed: "), f"plain words to TLS: {status} {body}")
    secure_faults("mqtts", lambda server, at: ask(server.port, path(f"mqtts://localhost:{at}", "ann", "pass word", 30, "t/a", "x", 1))[::2], "mqtt")


def case_services_mqtt_faults():
    """A broker that is not there, goes, comes back, is silent, or talks nonsense."""
    port = free_port()
    with Proxy(answering()) as silent, Proxy(answering(b"HTTP/1.1 400\r\n\r\n")) as strange, \
            Proxy(answering(b"\x20\2\0\0")) as mute, Proxy(answering(b"\x20", stay=False)) as cut, \
            Server(guest("mqtt"), *grants(port, silent.port, strange.port, mute.port, cut.port, scheme="mqtt"), "--timeout", "6s") as server:
        def does(at, qos=1):
            return ask(server.port, path(f"mqtt://127.0.0.1:{at}", "ann", "pass word", 30, "t/a", "x", qos))[::2]
        status, body = does(port)
        check(status == 500 and b"connection-failed: the server cannot be reached" in body, f"{status} {body}")
        with mosquitto(port):
            check(does(port) == (200, b"done\n"), "it is there")
        status, body = does(port)
        check(status == 500 and body.startswith(b"connection-failed: the "), f"{status} {body}")
        with mosquitto(port):
            check(does(port) == (200, b"done\n"), "it is back")
        for at in (strange.port, cut.port):
            status, body = does(at)
            check(status == 500 and body.startswith(b"connection-failed: "), f"{status} {body}")
        check(does(mute.port, 0) == (200, b"done\n"), "what needs no answer is sent")
        found = []
        slow = threading.Thread(target=lambda: found.append(does(silent.port)))
        slow.start()
        status, body = does(mute.port)
        check(status == 504, f"a message without its answer: {status} {body}")
        slow.join()
        check(found == [(500, b"connection-failed: no connection within 5000 ms\n")], f"{found}")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
