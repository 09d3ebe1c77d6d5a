#!/usr/bin/env python3
"""End to end: services under fault, through an application of several components: servers that are gone, stopped, that end
in the middle of an answer, or are full, and processes that are killed. Who asks gets the interface's error within its
time; what other functions are asked meanwhile is answered, all of it. And what a store said is kept is there, whoever is
killed when.

    faults.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from app import HEAD, component, folder, trigger
from run import FULL, Client, Failure, Server, Skipped, ask, check, children, expect, free_port, guest, is_idle, main
from services import Proxy, mosquitto, mysql, path, pg, postgres, redis, url, my
from workers import until

TIMEOUT = "29s"  # of the functions; a service is waited for 25 s at most, so its error comes first


def limits(name):
    return f'[component.{name}.tool.mayfly]\ntimeout = "{TIMEOUT}"\n'


def hosts(*entries):
    return "allowed_outbound_hosts = [" + ", ".join(f'"{entry}"' for entry in entries) + "]\n"


def application(**ports):
    """A function for each service, with the ports that it may reach, beside functions that have nothing to do with them."""
    routes = {"redis": "/2/...", "postgres": "/3/...", "mysql": "/1/...", "mqtt": "/..."}  # their guests take the first word for a version
    text = HEAD + trigger("/plain/...", "plain") + trigger("/kv/...", "kept") + component("plain", guest("shown")) + \
        component("kept", guest("storage"), 'key_value_stores = ["default"]\n')
    for name, found in ports.items():
        text += trigger(routes[name], name) + \
            component(name, guest(name), hosts(*(f"{name}://127.0.0.1:{port}" for port in found)) + limits(name))
    return text


class Others:
    """Two functions that are asked without a pause while a test goes on, one of them for a key of a store."""

    def __init__(self, server):
        self.server, self.stop, self.counts, self.failures = server, threading.Event(), {}, []
        self.threads = [threading.Thread(target=self.go, args=(where, wanted), daemon=True)
                        for where, wanted in (("/plain/x", (200,)), ("/kv/default/get/there", (200,)))]

    def go(self, where, wanted):
        with Client(self.server.port) as client:
            while not self.stop.is_set():
                try:
                    answer = client.ask(where)
                except (OSError, Failure) as failure:
                    self.failures.append((where, str(failure)))
                    return
                if answer[0] not in wanted:
                    self.failures.append((where, answer))
                self.counts[where] = self.counts.get(where, 0) + 1
                time.sleep(0.002)

    def __enter__(self):
        expect(ask(self.server.port, "/kv/default/set/there/1"), 200)
        for thread in self.threads:
            thread.start()
        return self

    def went_on(self, what):
        """Both were answered, and are from now on."""
        check(not self.failures, f"{what}: {len(self.failures)} failed, the first: {self.failures[:2]}")
        before = dict(self.counts)
        until(lambda: all(self.counts.get(where, 0) > before.get(where, 0) for where in ("/plain/x", "/kv/default/get/there")),
              f"{what}: others are answered", 20)

    def __exit__(self, kind, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        if not kind:
            check(not self.failures, f"{len(self.failures)} of {self.counts} failed, the first: {self.failures[:2]}")


def ask_redis(server, port, *words):
    return ask(server.port, path(2, url(port), *(words or ("get", "a"))))[::2]


def ask_postgres(server, port, *words):
    return ask(server.port, path(3, pg(port), *(words or ("query", "SELECT 1 AS n"))))[::2]


def ask_mysql(server, port, *words):
    return ask(server.port, path(1, my(port), *(words or ("query", "SELECT 1 AS n"))))[::2]


def ask_mqtt(server, port, *words):
    return ask(server.port, path(f"mqtt://127.0.0.1:{port}", "ann", "pass word", 30, *(words or ("t/a", "x", 1))))[::2]


ASK = {"redis": ask_redis, "postgres": ask_postgres, "mysql": ask_mysql, "mqtt": ask_mqtt}
SERVERS = {"redis": redis, "postgres": postgres, "mysql": mysql, "mqtt": mosquitto}


def pid_of(port):
    """The process that listens there."""
    with open("/proc/net/tcp") as file:
        inode = next(line.split()[9] for line in file if line.split()[1] == f"0100007F:{port:04X}" and line.split()[3] == "0A")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if any(os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]" for fd in os.listdir(f"/proc/{pid}/fd")):
                return int(pid)
    raise Failure(f"nobody listens at {port}")


@contextlib.contextmanager
def all_servers():
    """{kind: port} of those that are installed."""
    with contextlib.ExitStack() as stack:
        found = {}
        for kind, start in SERVERS.items():
            with contextlib.suppress(Skipped):
                found[kind] = stack.enter_context(start())
        if not found:
            raise Skipped("no server is installed")
        yield found


def answered(kind, server, port):
    until(lambda: ASK[kind](server, port)[0] == 200, f"{kind} answers", 60)


def case_faults_gone():
    """Servers are killed while their functions are asked: errors of the interface, and as soon as they are back, answers."""
    with all_servers() as ports, folder(application(**{kind: (port,) for kind, port in ports.items()})) as top, Server(top) as server:
        for kind, port in ports.items():
            answered(kind, server, port)
        with Others(server) as others:
            for kind, port in ports.items():
                os.kill(pid_of(port), signal.SIGKILL)
                until(lambda: ASK[kind](server, port)[0] == 500, f"{kind} is missed")
                status, body = ASK[kind](server, port)
                check(status == 500 and re.search(rb"cannot be reached|refused|connect to|ended the connection|Lost connection|reset by peer", body), f"{kind}: {status} {body}")
                others.went_on(f"{kind} is gone")
                for other, at in ports.items():
                    if list(ports).index(other) > list(ports).index(kind):
                        check(ASK[other](server, at)[0] == 200, f"{other} answers while {kind} is gone")


def case_faults_slow():
    """Servers stop and say nothing more: who waits gets an error when the time for it is over, on connections that there
    were and on new ones; nobody else waits."""
    with all_servers() as ports, folder(application(**{kind: (port,) for kind, port in ports.items()})) as top, Server(top) as server:
        for kind, port in ports.items():
            answered(kind, server, port)
        pids = {kind: [pid_of(port)] for kind, port in ports.items()}
        if "postgres" in pids:  # and those that have its connections
            pids["postgres"] += children(pids["postgres"][0])
        found, threads = [], []
        for group in pids.values():
            for pid in group:
                os.kill(pid, signal.SIGSTOP)
        try:
            with Others(server) as others:
                for kind, port in ports.items():
                    for _ in range(6):  # of kept connections and new ones
                        threads.append(threading.Thread(target=lambda kind=kind, port=port: found.append((kind, *ASK[kind](server, port)))))
                        threads[-1].start()
                while any(thread.is_alive() for thread in threads):
                    others.went_on("all servers are stopped")
                    time.sleep(0.5)
        finally:
            for group in pids.values():
                for pid in group:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
        check(len(found) == 6 * len(ports), f"{len(found)} answers")
        for kind, status, body in found:
            check(status == 500 and re.search(rb"no answer within 25000 ms|no connection within 5000 ms", body), f"{kind}: {status} {body}")
        for kind, port in ports.items():
            answered(kind, server, port)


class Cutter(Proxy):
    """Relays, and ends a connection when the server has said `cut` bytes; None: never."""

    def __init__(self, port):
        self.cut = None
        super().__init__(Cutter.relay, port)

    def relay(self, client):
        cut, said = self.cut, 0
        with socket.create_connection(("127.0.0.1", self.server)) as server:
            def there():
                with contextlib.suppress(OSError):
                    while data := client.recv(65536):
                        server.sendall(data)
                    server.shutdown(socket.SHUT_WR)
            thread = threading.Thread(target=there, daemon=True)
            thread.start()
            with contextlib.suppress(OSError):
                while data := server.recv(65536):
                    if cut is not None and said + len(data) > cut:
                        client.sendall(data[:cut - said])
                        break
                    said += len(data)
                    client.sendall(data)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def case_faults_cut():
    """Servers end the connection after every number of bytes of what they say, up to a whole answer: an error, or the answer,
    never half of one."""
    with all_servers() as ports, contextlib.ExitStack() as stack:
        cutters = {kind: stack.enter_context(Cutter(port)) for kind, port in ports.items()}
        manifest = application(**{kind: (cutter.port,) for kind, cutter in cutters.items()})
        with folder(manifest) as top, Server(top) as server, Others(server) as others:
            for kind, cutter in cutters.items():
                # a transaction or a command of its own: the connection is not kept
                words = {"redis": ("execute", "PING"), "postgres": ("query", "SELECT 1 AS n"), "mysql": ("query", "SELECT 1 AS n"), "mqtt": ()}[kind]
                answered(kind, server, cutter.port)
                whole, failed = ASK[kind](server, cutter.port, *words), 0
                check(whole[0] == 200, f"{kind}: {whole}")
                step, most = (1, 8) if kind in ("redis", "mqtt") else (7 if FULL else 37, 700)
                for cut in range(0, most, step):
                    cutter.cut = cut
                    # connections that were kept lead past the cut: they end with the relay
                    status, body = until_new(kind, server, cutter, words)
                    check((status, body) == whole or status == 500, f"{kind} cut after {cut}: {status} {body}")
                    failed += status == 500
                check(failed > 2, f"{kind}: {failed} of them failed")
                cutter.cut = None
                until(lambda: ASK[kind](server, cutter.port, *words) == whole, f"{kind} answers again")
                others.went_on(f"{kind} ends early")


def until_new(kind, server, cutter, words):
    """Asks until a connection was made for it."""
    for number in range(100):
        count = cutter.count
        at = f"{cutter.port}?client_id=c{cutter.cut}-{number}" if kind == "mqtt" else cutter.port
        found = ASK[kind](server, at, *words)
        if cutter.count > count:
            return found
        drop_kept(kind, server, cutter)
    raise Failure(f"{kind}: connections are kept for ever")


def drop_kept(kind, server, cutter):
    """What would be used again is not: something is left behind in it that nobody takes back, or the server ends it. Redis is
    asked in a way that leaves something each time, and a broker each time by another name."""
    if kind == "postgres":
        ASK[kind](server, cutter.port, "execute", "BEGIN")
    elif kind == "mysql":
        ASK[kind](server, cutter.port, "query", "KILL CONNECTION_ID()")


@contextlib.contextmanager
def small_disk():
    """A folder of 2 MiB."""
    with tempfile.TemporaryDirectory() as top:
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", top], capture_output=True).returncode != 0:
            raise Skipped("a small disk wants root, and to be allowed to mount")
        try:
            yield top
        finally:
            subprocess.run(["umount", "-l", top], capture_output=True)


def case_faults_full_redis():
    """A Redis server that has no memory left refuses to write, says so, and reads on."""
    with redis("--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as port, \
            folder(application(redis=(port,))) as top, Server(top) as server, Others(server) as others:
        expect(ask(server.port, path(2, url(port), "set", "a", "1")), 200)
        for number in range(400):
            status, body = ask_redis(server, port, "set", f"k{number}", "x" * 6000)
            if status != 200:
                break
        check(status == 500 and body.startswith(b"other: OOM command not allowed"), f"it is full: {status} {body}")
        others.went_on("Redis is full")
        check(ask_redis(server, port) == (200, b"1\n"), "what is there can be read")


def case_faults_full_postgres():
    """No connection left, and no room for what a statement needs: PostgreSQL's own words; others wait for nothing."""
    with postgres("-c", "max_connections=6", "-c", "superuser_reserved_connections=0", "-c", "max_wal_senders=0",
                  "-c", "temp_file_limit=64kB", "-c", "work_mem=64kB") as port, \
            folder(application(postgres=(port,))) as top, Server(top) as server:
        answered("postgres", server, port)
        with Others(server) as others:
            found, threads = [], []
            for _ in range(12):
                threads.append(threading.Thread(target=lambda: found.append(ask_postgres(server, port, "query", "SELECT 1 AS n FROM pg_sleep(2)"))))
                threads[-1].start()
            for thread in threads:
                thread.join()
            good = [answer for answer in found if answer[0] == 200]
            bad = [body for status, body in found if status == 500]
            check(good and bad and all(b"too many clients" in body or b"remaining connection slots" in body for body in bad), f"{found}")
            others.went_on("PostgreSQL has no connection left")
            status, body = ask_postgres(server, port, "query", "SELECT count(*) FROM (SELECT i FROM generate_series(1, 200000) AS g (i) ORDER BY -i) AS s")
            check(status == 500 and b"temporary file size exceeds temp_file_limit" in body, f"{status} {body}")
            until(lambda: ask_postgres(server, port) == (200, b"n:3\n1\n"), "it goes on")


def case_faults_full_mysql():
    """No connection left, and a table that is full: MySQL's own words."""
    with mysql("--max-connections=10", "--max-heap-table-size=16384") as port, \
            folder(application(mysql=(port,))) as top, Server(top) as server:
        answered("mysql", server, port)
        with Others(server) as others:
            found, threads = [], []
            for _ in range(24):
                threads.append(threading.Thread(target=lambda: found.append(ask_mysql(server, port, "query", "SELECT SLEEP(2) AS n"))))
                threads[-1].start()
            for thread in threads:
                thread.join()
            good = [answer for answer in found if answer[0] == 200]
            bad = [body for status, body in found if status == 500]
            check(good and bad and all(b"Too many connections" in body for body in bad), f"{found}")
            others.went_on("MySQL has no connection left")
            until(lambda: ask_mysql(server, port, "execute", "CREATE TABLE small (t VARCHAR(500)) ENGINE=MEMORY")[0] == 200, "a table")
            status, body = ask_mysql(server, port, "execute", "INSERT INTO small SELECT REPEAT('x', 500) FROM seq_1_to_1000")
            check(status == 500 and b"The table 'small' is full" in body, f"{status} {body}")
            check(ask_mysql(server, port) == (200, b"n:4\n1\n") or ask_mysql(server, port)[0] == 200, "it goes on")


def case_faults_full_mqtt():
    """A broker that takes no more connections, and one that takes no such message: errors of the interface."""
    with mosquitto(more="max_connections 1\nmax_packet_size 1000\n") as port, \
            folder(application(mqtt=(port,))) as top, Server(top) as server:
        with Others(server) as others:
            check(ask_mqtt(server, port) == (200, b"done\n"), "one connection")
            # other clients are other connections, and they are kept for a while
            answers = [ask_mqtt(server, f"{port}?client_id=other{number}") for number in range(6)]
            bad = [body for status, body in answers if status == 500]
            check(bad and all(body.startswith(b"connection-failed: ") for body in bad), f"{answers}")
            others.went_on("the broker has no connection left")
            status, body = ask_mqtt(server, port, "t/a", "x" * 5000, 1)
            check(status == 500 and b"the server ended the connection" in body, f"{status} {body}")
            until(lambda: ask_mqtt(server, port) == (200, b"done\n"), "it goes on")


def case_faults_full_disk():
    """No room for stores and databases: their functions get the error of their interface; a function with a store elsewhere,
    or none, notices nothing; and when there is room again all is well."""
    with redis() as port, small_disk() as disk:
        manifest = HEAD + trigger("/sql/...", "base") + trigger("/kv/...", "kept") + trigger("/2/...", "redis") + trigger("/plain/...", "plain") + \
            component("base", guest("storage"), 'sqlite_databases = ["default"]\n') + component("kept", guest("storage"), 'key_value_stores = ["default", "far"]\n') + \
            component("redis", guest("redis"), hosts(f"redis://127.0.0.1:{port}")) + component("plain", guest("shown"))
        with folder(manifest) as top:
            with open(f"{top}/runtime.toml", "w") as file:
                file.write(f'[key_value_store.far]\ntype = "redis"\nurl = "redis://127.0.0.1:{port}/1"\n')
            with Server(top, "--state-dir", disk, "--runtime-config-file", f"{top}/runtime.toml") as server:
                expect(ask(server.port, "/sql/default/CREATE%20TABLE%20t%20(x)"), 200)
                expect(ask(server.port, "/kv/default/set/there/1"), 200)
                expect(ask(server.port, "/kv/far/set/there/1"), 200)
                answer = (200,)
                for _ in range(100):
                    answer = ask(server.port, path("sql", "default", "INSERT INTO t VALUES (zeroblob(100000))"))
                    if answer[0] != 200:
                        break
                check(answer[0] == 500 and (answer[2].startswith(b"database-full") or b"full" in answer[2]), f"{answer}")
                answer = ask(server.port, path("kv", "default", "set", "large", "x" * 7000))
                for number in range(100):
                    answer = ask(server.port, path("kv", "default", "set", f"large{number}", "x" * 7000))
                    if answer[0] != 200:
                        break
                check(answer[0] == 500 and (answer[2].startswith(b"store-table-full") or b"full" in answer[2]), f"{answer}")
                for where in ("/plain/x", "/kv/far/get/there", "/kv/default/get/there", path(2, url(port), "incr", "n")):
                    for _ in range(20):
                        expect(ask(server.port, where), 200)
                expect(ask(server.port, path("sql", "default", "SELECT count(*) > 0 AS n FROM t")), 200, b"n\n1\n")
                check(subprocess.run(["mount", "-o", "remount,size=8m", disk], capture_output=True).returncode == 0, "more room")
                expect(ask(server.port, path("sql", "default", "INSERT INTO t VALUES (zeroblob(100000))")), 200)
                expect(ask(server.port, "/kv/default/set/there/2"), 200)
                expect(ask(server.port, "/kv/default/get/there"), 200, b"2")


def keepers(server):
    """The service process, and those that it started."""
    def found():
        return [pid for pid in children(server.supervisor()) if not is_idle(pid) and children(pid)]
    until(lambda: len(found()) == 1, "one process keeps services")
    return found()[0]


def case_faults_killed():
    """The service process, and those that it started, are killed while functions wait for them: those get an error of their
    interface and no other does; the next ones are answered."""
    slow = {"redis": ("execute", "BLPOP", "none", "#20"), "postgres": ("query", "SELECT 1 AS n FROM pg_sleep(20)"), "mysql": ("query", "SELECT SLEEP(20) AS n")}
    with all_servers() as ports, folder(application(**{kind: (port,) for kind, port in ports.items()})) as top, Server(top) as server:
        for kind, port in ports.items():
            answered(kind, server, port)
        expect(ask(server.port, "/kv/default/set/there/1"), 200)
        for round_ in range(3):
            found, threads = [], []
            for kind in slow:
                if kind in ports:
                    threads.append(threading.Thread(target=lambda kind=kind: found.append((kind, *ASK[kind](server, ports[kind], *slow[kind])))))
                    threads[-1].start()
            time.sleep(1)
            service = keepers(server)
            victims = [service] if round_ % 2 == 0 else children(service)
            with contextlib.ExitStack() as stack:
                plain = stack.enter_context(Client(server.port))
                for pid in victims:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                for _ in range(200):
                    expect(plain.ask("/plain/x"), 200)
            for thread in threads:
                thread.join()
            for kind, status, body in found:
                check(status == 500 and body, f"{kind}: {status} {body}")
            for kind, port in ports.items():
                answered(kind, server, port)
            until(lambda: ask(server.port, "/kv/default/get/there")[::2] == (200, b"1"), "the store is there")


def case_faults_share():
    """One function's servers are all silent, and it asks them as much as it can: another function's are answered all the
    same, by the same process."""
    with redis() as port, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(Proxy(lambda proxy, client: client.recv(1) and client.recv(1))) for _ in range(6)]
        manifest = HEAD + trigger("/2/...", "greedy") + trigger("/1/...", "other") + \
            component("greedy", guest("redis"), hosts(*(f"redis://127.0.0.1:{proxy.port}" for proxy in silent)) + "[component.greedy.tool.mayfly]\ntimeout = \"8s\"\n") + \
            component("other", guest("redis"), hosts(f"redis://127.0.0.1:{port}"))
        with folder(manifest) as top, Server(top) as server:
            clients = [stack.enter_context(Client(server.port)) for _ in range(480)]
            for number, client in enumerate(clients):
                client.send(path(2, url(silent[number % 6].port), "get", "a"))
            until(lambda: sum(proxy.count for proxy in silent) > 100, "many wait")
            for number in range(100):
                expect(ask(server.port, path(1, url(port), "incr", "n")), 200, f"{number + 1}\n".encode())
            for client in clients:
                check(client.response()[0] in (500, 504), "and those got an error")
            expect(ask(server.port, path(1, url(port), "incr", "n")), 200, b"101\n")


# ---- what was said to be kept is there ----


def descendants(pid):
    found = [pid]
    for child in found:
        with contextlib.suppress(OSError):
            found += children(child)
    return found


class Writers:
    """Write pairs, one after the other, to keys of their own; what is acknowledged is remembered."""

    def __init__(self, count):
        self.acknowledged = [set() for _ in range(count)]
        self.begun = [0] * count
        self.stop = threading.Event()
        self.port = None
        self.threads = [threading.Thread(target=self.go, args=(number,), daemon=True) for number in range(count)]

    def go(self, number):
        while not self.stop.is_set():
            try:
                with Client(self.port, timeout=20) as client:
                    while not self.stop.is_set():
                        value = self.begun[number] = self.begun[number] + 1
                        status, _, body = client.ask(path("put", "default", f"left{number}", f"<{value}>", f"right{number}", f"<{value}>",
                                                          f"each{number}-{value}", f"<{value}>"))
                        if (status, body) == (200, b"done\n"):
                            self.acknowledged[number].add(value)
            except (OSError, Failure, ValueError):  # whoever answered was killed
                time.sleep(0.01)

    def look(self, port, number):
        """While they write: both of a pair are from the same write, which is no earlier than the last that was acknowledged."""
        sure = max(self.acknowledged[number], default=0)
        try:
            status, _, body = ask(port, path("get", "default", f"left{number}", f"right{number}"))
        except (OSError, Failure):
            return
        found = re.fullmatch(rf"left{number}(?:=<(\d+)>)?\nright{number}(?:=<(\d+)>)?\n", body.decode())
        check(status == 500 or found and found[1] == found[2] and int(found[1] or 0) >= sure, f"{sure} was acknowledged, and there is {status} {body!r}")

    def check(self, server, chance):
        """While they do not write."""
        for number, (sure, begun) in enumerate(zip(self.acknowledged, self.begun)):
            where = path("get", "default", f"left{number}", f"right{number}")
            until(lambda: ask(server.port, where)[0] == 200, "it is answered again", 60)
            body = ask(server.port, where)[2].decode()
            found = re.fullmatch(rf"left{number}(?:=<(\d+)>)?\nright{number}(?:=<(\d+)>)?\n", body)
            check(found and found[1] == found[2], f"half a pair: {body!r}")
            check(max(sure, default=0) <= int(found[1] or 0) <= begun, f"{max(sure, default=0)} was acknowledged, {found[1]} is there, {begun} tried")
            for value in {max(sure)} | set(chance.sample(sorted(sure), min(len(sure), 30))) if sure else ():
                body = ask(server.port, path("get", "default", f"each{number}-{value}"))[2].decode()
                check(body == f"each{number}-{value}=<{value}>\n", f"write {value} was acknowledged, and is {body!r}")


PAIRS = HEAD + trigger("/...", "pairs") + component("pairs", guest("pairs"), 'key_value_stores = ["default"]\n')


def victims(server, chance):
    """Who is killed next: (what it is, their numbers)."""
    what = chance.choice(("engine", "engine", "service", "worker", "worker", "node", "all"))
    node = server.supervisor()
    service = next((pid for pid in children(node) if not is_idle(pid) and children(pid)), None)
    if what in ("engine", "service") and service is None:
        what = "worker"
    if what == "engine":
        return what, children(service)
    if what == "service":
        return what, [service]
    if what == "worker":
        return what, [pid for pid in children(node) if pid != service and not is_idle(pid)][:1]
    if what == "node":
        return what, [node]
    found = descendants(server.process.pid)
    chance.shuffle(found)
    return what, found


def case_faults_kept():
    """Key-value data survive kill -9 of any process at any moment: every pair that was acknowledged is there, and no half."""
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(1 << 32)))
    chance, rounds, killed, starts = random.Random(seed), 300 if FULL else 40, {}, 0
    print(f"FAULTS_SEED={seed}, {rounds} rounds", flush=True)
    with folder(PAIRS) as top:
        writers, server = Writers(6), None
        try:
            for round_ in range(rounds):
                if server is None:
                    server, starts = Server(top, "--workers", "2"), starts + 1
                    writers.port = server.port
                    for thread in writers.threads if starts == 1 else ():
                        thread.start()
                before = sum(map(len, writers.acknowledged))
                until(lambda: sum(map(len, writers.acknowledged)) > before, "pairs are written", 60)
                writers.look(server.port, chance.randrange(len(writers.begun)))
                time.sleep(chance.uniform(0, 0.2))
                what, found = victims(server, chance)
                killed[what] = killed.get(what, 0) + 1
                for pid in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                if what in ("node", "all"):
                    server.process.wait(20)
                    server = None
                else:
                    writers.look(server.port, chance.randrange(len(writers.begun)))
            writers.stop.set()
            for thread in writers.threads:
                thread.join()
            if server is None:
                server = Server(top, "--workers", "2")
            writers.check(server, chance)
        except Failure as failure:
            raise Failure(f"FAULTS_SEED={seed}: {failure}") from failure
        finally:
            writers.stop.set()
            if server:
                server.stop()
        print(f"{sum(map(len, writers.acknowledged))} pairs acknowledged of {sum(writers.begun)}; killed: {killed}", flush=True)


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
