#!/usr/bin/env python3
"""End to end: grants of applications, by those who try without them and around them. Of each kind: without it is denied, with
the interface's own error and one line in the log that says what to add to the manifest; with it works; around it is denied.

    denials.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import os
import re
import sys
import tempfile
import threading
import time
import tomllib
import urllib.parse

from app import HEAD, component, folder, lines, trigger
from network import Names, Peer, lookup
from outbound import HELLO, answers, fetch, same
from run import Client, Server, ask, check, expect, guest, main

DENIED = "error HTTP-request-denied"
PROHIBITED = "error destination-IP-prohibited"
REFUSED = r"(error|handle) (HTTP-request-denied|destination-IP-prohibited|HTTP-request-URI-invalid|DNS-error)"


def client_app(*hosts, name="shop"):
    listed = ", ".join(f'"{host}"' for host in hosts)
    return HEAD + trigger("/fetch", name) + component(name, guest("client"), f"allowed_outbound_hosts = [{listed}]")


def line_of(manifest, name):
    return 1 + manifest[:manifest.index(f"[component.{name}]")].count("\n")


def remedies(server):
    """Of each line about a denial: what was tried, and what would permit it."""
    return re.findall(r"WARN +\[\S+\] denied: (.*); to permit it: (.*)$", server.log(), re.M)


@contextlib.contextmanager
def serving(manifest, *options):
    with folder(manifest) as top, Server(top, *options) as server:
        yield server


def added(remedy, manifest, name):
    """The manifest with what a line in the log said to add."""
    match = re.fullmatch(r'add ("(?:[^"\\]|\\.)*") to (\w+) of component "([^"]*)" \((\S*spin\.toml):(\d+)\)', remedy)
    check(match, f"a remedy in its form: {remedy!r}")
    check(match[3] == name and int(match[5]) == line_of(manifest, name), f"of component {name}, in its line: {remedy}")
    entry, key = match[1], match[2]
    check(tomllib.loads(f"{key} = [{entry}]"), "as TOML has it")
    head = f"[component.{name}]"
    if re.search(rf"^{key} = \[", manifest, re.M):
        return re.sub(rf"^{key} = \[", lambda m: f"{m[0]}{entry}, ", manifest, count=1, flags=re.M).replace(", ]", "]")
    return manifest.replace(head, f"{head}\n{key} = [{entry}]")


# ---- hosts ----

def case_denied_hosts():
    """A request to a host that is not granted fails as HTTP-request-denied, is told once for all workers, and works when what the
    log says was added."""
    with Peer(answers(HELLO)) as peer:
        manifest = client_app("https://granted.example")
        url = f"http://127.0.0.1:{peer.port}/"
        with serving(manifest, "--workers", "3") as server:
            for _ in range(30):
                same(fetch(server, url), [DENIED])
            check(len(remedies(server)) == 1 and remedies(server)[0][0] == f"a request to http://127.0.0.1:{peer.port}", f"{server.log()}")
            for worker in server.workers():
                os.kill(worker, 9)
            time.sleep(0.5)
            for _ in range(10):
                same(fetch(server, url), [DENIED])
            check(len(remedies(server)) == 1, f"once, whoever says it: {server.log()}")
            remedy = remedies(server)[0][1]
        check(peer.accepted == 0, "nobody was asked")
        with serving(added(remedy, manifest, "shop")) as server:
            check("status 200" in fetch(server, url), f"with {remedy} it works")
            same(fetch(server, f"http://127.0.0.1:{peer.port + 1}/"), [DENIED], "that port only")
            same(fetch(server, f"https://127.0.0.1:{peer.port}/"), [DENIED], "that scheme only")
            same(fetch(server, f"http://127.0.0.2:{peer.port}/"), [DENIED], "that address only")


def case_denied_neighbours():
    """What one component was granted, another one of the same workers was not."""
    with Peer(answers(HELLO)) as peer:
        manifest = HEAD + trigger("/fetch", "one") + trigger("/relay", "two") + trigger("/both", "two") + \
            component("one", guest("client"), f'allowed_outbound_hosts = ["http://127.0.0.1:{peer.port}"]') + \
            component("two", guest("client"))
        with serving(manifest) as server:
            check("status 200" in fetch(server, f"http://127.0.0.1:{peer.port}/"), "one may")
            accepted = peer.accepted
            ask(server.port, f"/both?url=http://127.0.0.1:{peer.port}/")
            check(peer.accepted == accepted, "two may not, though a connection is kept")
            check(len(remedies(server)) == 1 and 'of component "two"' in remedies(server)[0][1], f"{remedies(server)}")


def case_denied_redirect():
    """A redirect is an answer: who follows it needs the grant of where it leads."""
    with Peer(answers(HELLO)) as hidden:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{hidden.port}/\r\nContent-Length: 0\r\n\r\n".encode()
        with Peer(answers(moved)) as peer, serving(client_app(f"http://127.0.0.1:{peer.port}")) as server:
            report = fetch(server, f"http://127.0.0.1:{peer.port}/")
            check(report[0] == "status 302" and f"location: http://127.0.0.1:{hidden.port}/" in report, f"the answer itself: {report}")
            same(fetch(server, f"http://127.0.0.1:{hidden.port}/"), [DENIED], "where it leads")
        check(hidden.accepted == 0, "nobody was asked there")


def case_denied_spellings():
    """Other ways to write an address are names that nobody has, or the address that they are: none gets around a grant, and none
    reaches what is private by a grant of all hosts. What is no authority is refused before it is asked for ("bad url")."""
    spellings = ("0x7f000001", "0x7f.1", "2130706433", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "127.000.000.001", "127.0.0.1.",
                 "0.0.0.0", "0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[::127.0.0.1]",
                 "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "localhost", "LOCALHOST.", "127.0.0.2", "[fe80::1]", "169.254.169.254", "10.0.0.1",
                 "192.168.0.1", "172.16.0.1", "100.64.0.1", "[fd00::1]", "[fc00::1]", "127.0.0.1%00.example.com",
                 "granted.example@127.0.0.1", "127.0.0.1%2egranted.example")
    with Peer(answers(HELLO)) as peer, Names({"localhost": ["127.0.0.1"]}) as names:
        for hosts in ((), ("https://granted.example",), ("http://*:*", "https://*:*"), ("*://*:*",), ("http://*.example:*",), ("http://granted.example:*",)):
            with serving(client_app(*hosts), "--dns", names.address) as server:
                for spelling in spellings:
                    report = fetch(server, f"http://{urllib.parse.quote(spelling, safe='[]:%@#.')}:{peer.port}/")
                    check(report[0] == "bad url" or re.match(REFUSED, report[-1]), f"{spelling} with {hosts}: {report}")
        check(peer.accepted == 0, "nobody was asked")
        # With the address granted its other forms lead there too, or nowhere: never elsewhere.
        with serving(client_app(f"http://127.0.0.1:{peer.port}"), "--dns", names.address) as server:
            for spelling in spellings:
                report = fetch(server, f"http://{urllib.parse.quote(spelling, safe='[]:%@#.')}:{peer.port}/")
                check(report[0] in ("status 200", "bad url") or re.match(REFUSED, report[-1]), f"{spelling}: {report}")


class Turning(Names):
    """A name server whose answers change: each question gets the next of the list, the last one for ever."""

    def answer(self, query):
        self.turn = getattr(self, "turn", {})
        answer = super().answer(query)
        name = self.asked[-1]
        turns = self.turns.get(name)
        if not turns:
            return answer
        kind = query[-3]
        at = self.turn.get((name, kind), 0)
        self.turn[name, kind] = at + 1
        self.table[name] = turns[min(at, len(turns) - 1)]
        self.asked.pop()
        return super().answer(query)


def case_denied_rebinding():
    """A name whose address changes between two questions: what is connected to is what was judged, each time."""
    with Peer(answers(HELLO)) as peer, Turning({}) as names:
        names.turns = {"turns.test": [["203.0.113.1"], ["127.0.0.1"]], "both.test": [["127.0.0.1", "10.0.0.1", "::1", "::ffff:127.0.0.1"]],
                       "mapped.test": [["::ffff:127.0.0.1"]], "nat.test": [["64:ff9b::7f00:1"]], "any.test": [["0.0.0.0", "::"]],
                       "meta.test": [["169.254.169.254"]]}
        names.table = {name: turns[0] for name, turns in names.turns.items()}
        manifest = client_app("http://*.test:*")
        with serving(manifest, "--dns", names.address) as server:
            for name in ("both.test", "mapped.test", "nat.test", "any.test", "meta.test"):
                report = fetch(server, f"http://{name}:{peer.port}/")
                check(report == [PROHIBITED] or (name == "mapped.test" and report == ["error DNS-error NXDOMAIN"]), f"{name}: {report}")
            first = fetch(server, f"http://turns.test:{peer.port}/", connect=100)
            check(first[0].startswith("error connection-") or first[0] == "error destination-unavailable", f"a public address that nobody has: {first}")
            for _ in range(5):
                same(fetch(server, f"http://turns.test:{peer.port}/", connect=100), [PROHIBITED], "then it is private")
            found = remedies(server)
            check(len([what for what, _ in found if what == f"turns.test leads to the private address 127.0.0.1:{peer.port}"]) == 1, f"{found}")
            remedy, = [how for what, how in found if what.startswith("turns.test")]
        check(peer.accepted == 0, "nobody was asked")
        with serving(added(remedy, manifest, "shop"), "--dns", names.address) as server:
            check("status 200" in fetch(server, f"http://turns.test:{peer.port}/"), f"with {remedy} it works")


def case_denied_private():
    """--allow-private: names and * lead to private addresses, as with Spin; what is not granted stays where it was, and a
    block of the runtime configuration goes before."""
    with Peer(answers(HELLO)) as peer, Names({"in.test": ["127.0.0.1"], "out.example": ["127.0.0.1"]}) as names:
        def told(server, host):
            return fetch(server, f"http://{host}:{peer.port}/")
        hosts = ("127.0.0.1", "localhost", "in.test", "[::ffff:127.0.0.1]")
        with serving(client_app("*://*:*"), "--dns", names.address) as server:
            check(all("status 200" not in told(server, host) for host in hosts), "not without the option")
        check(peer.accepted == 0, "nobody was asked")
        with serving(client_app("*://*:*"), "--dns", names.address, "--allow-private") as server:
            check(all("status 200" in told(server, host) for host in hosts[:3]), "all with it")
        with serving(client_app("http://*.test:*"), "--dns", names.address, "--allow-private") as server:
            check("status 200" in told(server, "in.test"), "a name that is granted")
            before = peer.accepted
            for host in ("127.0.0.1", "localhost", "out.example"):
                same(told(server, host), ["error HTTP-request-denied"], f"{host} is not")
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
            config.write('[outbound_networking]\nblock_networks = ["127.0.0.0/8"]\n')
            config.flush()
            with serving(client_app("*://*:*"), "--dns", names.address, "--allow-private", "--runtime-config-file", config.name) as server:
                check(all("status 200" not in told(server, host) for host in hosts), "it is blocked")
        check(peer.accepted == before, "nobody else was asked")


def case_denied_sockets():
    """Sockets want *://HOST:PORT: neither http:// nor another name's address gives them one."""
    with Names({"a.test": ["203.0.113.7"], "b.test": ["203.0.113.8"]}) as names, Peer(answers(HELLO)) as peer:
        def app(*hosts):
            listed = ", ".join(f'"{host}"' for host in hosts)
            return HEAD + trigger("/...", "net") + component("net", guest("sockets"), f"allowed_outbound_hosts = [{listed}]")
        for hosts in ((), (f"http://127.0.0.1:{peer.port}",), ("http://a.test", "https://*:*")):
            with serving(app(*hosts), "--dns", names.address) as server:
                check(lookup(server, "a.test") == ["error 1"], f"{hosts} does not let it look up names")
                check(lookup(server, "127.0.0.1", peer.port)[-1] == "connect: error 1", f"{hosts} does not let it connect")
                how = dict(remedies(server))
                check(how["looking up a.test"].startswith('add "*://a.test:PORT" to allowed_outbound_hosts of component "net" ('), f"{how}")
                remedy = how[f"connecting to 127.0.0.1:{peer.port}"]
                check("a.test" not in names.asked, "nobody was asked for it")
        manifest = app()
        with serving(added(remedy, manifest, "net"), "--dns", names.address) as server:
            check(lookup(server, "127.0.0.1", peer.port)[-1] in ("connecting", "connected", "connect: ok"), f"with {remedy}: {lookup(server, '127.0.0.1', peer.port)}")
        with serving(app("*://a.test:443"), "--dns", names.address) as server:
            check(lookup(server, "a.test") == ["203.0.113.7"], "the granted name")
            check(lookup(server, "203.0.113.7", 443)[-1] == "connect: error 1", "its address without its name")
            check(lookup(server, "a.test", 80)[-1] == "connect: error 1", "another port")
            check(lookup(server, "b.test") == ["error 1"], "another name")


# ---- stores and databases ----

LABELS = ("other", "Default", "default ", " default", "default\n", "default\0", "../default", "./default", "/default", "default/", "..", ".", "",
          "d\u00e9fault", "defa\u0301ult", "%64efault", "default%00", "*", "-rf", 'a"], b = ["c', "a\\", "a'b", "\u202edefault", "x" * 65, "x" * 4000)


def opened(server, kind, label):
    words = ("kv", label, "get", "k") if kind == "kv" else ("sql", label, "SELECT 1 AS n")
    return ask(server.port, "/" + "/".join(urllib.parse.quote(word, safe="") for word in words))


def case_denied_labels():
    """Key-value stores and databases: labels that are nearly the granted one, paths, odd bytes. access-denied each; the log says
    what to add so that nothing else is added by it; a store is no database; and no folder is made."""
    for kind, key, there in (("kv", "key_value_stores", 404), ("sql", "sqlite_databases", 200)):
        manifest = HEAD + trigger("/...", "one") + trigger("/two", "two") + \
            component("one", guest("storage"), f'{key} = ["default"]') + component("two", guest("storage"), f'{key} = ["other"]')
        with folder(manifest) as top, Server(top) as server:
            expect(opened(server, kind, "default"), there)
            expect(opened(server, "sql" if kind == "kv" else "kv", "default"), 500, b"access-denied\n")
            for label in LABELS:
                if "\0" in label or not label:
                    continue
                for _ in range(2):
                    answer = opened(server, kind, label)
                    check(answer[0] == 500 and answer[2] == b"access-denied\n" or answer[0] == 400, f"{label!r}: {answer}")
            said = remedies(server)
            check(len({what for what, _ in said}) == len(said), f"each once: {said}")
            for what, how in said:
                match = re.fullmatch(r'add ("(?:[^"\\]|\\.)*") to (\w+) of component "one" \(\S+:(\d+)\)', how)
                check(match and len(tomllib.loads(f"a = [{match[1]}]")["a"]) == 1, f"one entry, whatever is in it: {how!r}")
                check(int(match[3]) == line_of(manifest, "one"), f"its line: {how}")
            check("\x1b" not in server.log() and all(line.startswith("20") for line in server.log().splitlines()), "no line is forged")
            found = [name for _, names, _ in os.walk(f"{top}/.mayfly") for name in names]
            check(set(found) <= {"key-value", "sqlite", "default"}, f"nothing else is made: {found}")
            remedy, = [how for what, how in said if what.endswith('"other"')]
        with serving(added(remedy, manifest, "one")) as server:
            expect(opened(server, kind, "other"), there)


STATEMENTS = ("ATTACH 'other.db' AS x", "ATTACH '../other/db' AS x", "ATTACH 'file:/etc/passwd?mode=ro' AS x",
              "VACUUM INTO 'PLACE/leak.db'", "SELECT load_extension('x')", "SELECT readfile('/etc/passwd')", "SELECT writefile('PLACE/leak', 'x')",
              "SELECT edit('x')", "SELECT fts3_tokenizer('simple')", "SELECT fts3_tokenizer('simple', x'4141414141414141')",
              "SELECT FTS3_TOKENIZER('x', (SELECT x'4141414141414141'))", "PRAGMA temp_store_directory = 'PLACE'",
              "PRAGMA data_store_directory = 'PLACE'", "PRAGMA writable_schema = ON", "PRAGMA journal_mode = OFF", "PRAGMA locking_mode = EXCLUSIVE",
              "CREATE VIRTUAL TABLE v USING fsdir('/')", "CREATE VIRTUAL TABLE v USING csv(filename='/etc/passwd')",
              "CREATE VIRTUAL TABLE v USING dbpage", "SELECT * FROM sqlite_dbpage", "DETACH main")


def case_denied_statements():
    """A granted database is that database: no statement opens another file, writes one or turns off what keeps it whole."""
    manifest = HEAD + trigger("/...", "one") + trigger("/two", "two") + component("one", guest("storage"), 'sqlite_databases = ["default"]') + \
        component("two", guest("storage"), 'sqlite_databases = ["other"]')
    with folder(manifest) as top, Server(top) as server:
        def run(statement):
            return ask(server.port, f"/sql/default/{urllib.parse.quote(statement, safe='')}")
        expect(run("CREATE TABLE t (a)"), 200)
        for statement in STATEMENTS:
            status, _, body = run(statement.replace("PLACE", top))
            check(status == 500 and body.startswith(b"io: "), f"{statement}: {status} {body!r}")
        expect(run("SELECT count(*) AS n FROM t"), 200, b"n\n0\n")
        found = sorted(name for _, _, names in os.walk(top) for name in names if not name.endswith(("-wal", "-shm")))
        check(not any("leak" in name for name in found), f"no other file: {found}")


# ---- servers of services ----

# Of each kind: how its guest is asked to connect, and what it says when that was not granted.
SERVICES = {
    "redis": (lambda address: ("2", address, "get", "a"), r"invalid-address\n"),
    "postgres": (lambda address: ("2", address, "query", "SELECT 1"), r"connection-failed: (address \S+ is not permitted|the host leads to no address that is granted)\n"),
    "mysql": (lambda address: ("2", address, "query", "SELECT 1"), r"connection-failed: (address \S+ is not permitted|the host leads to no address that is granted)\n"),
    "mqtt": (lambda address: (address, "user", "password", "30", "t", "x", "0"), r"connection-failed: (address \S+ is not permitted|the host leads to no address that is granted)\n"),
}
NO_ADDRESS = r"(invalid-address|(other|connection-failed): (the address|the host|has) .*|connection-failed: [a-z+]+: sockets of this host .*)\n"


def service_app(kind, *hosts, more=""):
    listed = ", ".join(f'"{host}"' for host in hosts)
    return HEAD + more + trigger("/...", "one") + component("one", guest(kind), f"allowed_outbound_hosts = [{listed}]")


def connect(server, kind, address):
    if kind == "postgres" and address.startswith("postgres://") and "@" not in address:
        address = address.replace("://", "://user:password@", 1)  # without one nobody is asked
    words = SERVICES[kind][0](address)
    status, _, body = ask(server.port, "/" + "/".join(urllib.parse.quote(word, safe="") for word in words))
    check(status == 500, f"nobody answers there, and yet {status} {body!r}")
    return body.decode()


def is_denied(server, kind, address, what=""):
    said = connect(server, kind, address)
    check(re.fullmatch(SERVICES[kind][1], said), f"{address} is denied, not {said!r} {what}")


def end(connection):
    connection.recv(1)


def case_denied_services():
    """Servers of every kind: without a grant, with one for another scheme, port, address or name, and with the one that the log
    says to add."""
    for kind in SERVICES:
        others = [other for other in SERVICES if other != kind]
        with Peer(end) as peer, Names({"a.test": ["127.0.0.1"], "b.test": ["127.0.0.1"]}) as names:
            port, here = peer.port, f"{kind}://127.0.0.1:{peer.port}"
            rows = ((), (f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port}"), tuple(f"{other}://127.0.0.1:{port}" for other in others),
                    (f"{kind}s://127.0.0.1:{port}",), ("*://*:*", f"{kind}://a.test:*", f"{kind}://*.test:{port}"))
            if kind == "redis":  # how entries are read is the same for all
                rows += ((f"{kind}://127.0.0.1",), (f"{kind}://127.0.0.1:{port + 1}",), (f"{kind}://127.0.0.1:{port - 9}..{port}",), (f"{kind}://127.0.0.2:{port}",),
                         (f"{kind}://128.0.0.0/1:{port}",), (f"{kind}://*:*",))
            for hosts in rows:
                with serving(service_app(kind, *hosts), "--dns", names.address) as server:
                    for _ in range(3):
                        is_denied(server, kind, here, f"with {hosts}")
                    said = remedies(server)
                    check([what for what, _ in said] == [f"a connection to {here}"], f"{hosts}: once, {said}")
            check(peer.accepted == 0, f"{kind}: nobody was asked")
            manifest = service_app(kind)
            with serving(added(said[0][1], manifest, "one"), "--dns", names.address) as server:
                connect(server, kind, here)
                check(peer.accepted > 0, f"{kind}: with {said[0][1]} it is reached")
                reached = peer.accepted
                is_denied(server, kind, f"{kind}://127.0.0.1:{port + 1}", "that port only")
                is_denied(server, kind, f"{kind}://127.0.0.2:{port}", "that address only")
                is_denied(server, kind, f"{kind}://a.test:{port}", "not by another name")
                check(peer.accepted == reached, "nobody was asked")
            with serving(service_app(kind, f"{kind}://127.0.0.0/30:{port}..{port + 1}")) as server:
                connect(server, kind, here)
                check(peer.accepted > reached, "in a range of addresses and of ports")
                is_denied(server, kind, f"{kind}://127.0.0.1:{port + 1}", "a range of ports is without its end")
                is_denied(server, kind, f"{kind}://127.0.0.4:{port}", "the first address behind the range")


def case_denied_services_spellings():
    """Servers of every kind by grants of all hosts: no way to write an address, and no name, leads to what is private. What is no
    address of the kind is refused before anybody is asked."""
    spellings = ("0x7f000001", "0x7f.1", "2130706433", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "127.000.000.001", "0.0.0.0", "0", "[::]", "[::1]",
                 "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "localhost", "LOCALHOST.",
                 "127.0.0.2", "[fe80::1]", "169.254.169.254", "10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1", "[fd00::1]", "granted.test@127.0.0.1",
                 "127.0.0.1%00.test", "127.0.0.1%2egranted.test", "here.test", "mapped.test", "nat.test", "any.test", "meta.test", "six.test", "idle.spin.internal", "self.alt", "self")
    table = {"localhost": ["127.0.0.1"], "here.test": ["127.0.0.1"], "mapped.test": ["::ffff:127.0.0.1"], "nat.test": ["64:ff9b::7f00:1"], "any.test": ["0.0.0.0", "::"],
             "meta.test": ["169.254.169.254"], "six.test": ["::1"], "idle.spin.internal": ["127.0.0.1"], "self.alt": ["127.0.0.1"], "self": ["127.0.0.1"]}
    for kind in SERVICES:
        with Peer(end) as peer, Names(table) as names, serving(service_app(kind, f"{kind}://*:*"), "--dns", names.address) as server:
            for spelling in spellings:
                said = connect(server, kind, f"{kind}://{spelling}:{peer.port}")
                check(re.fullmatch(SERVICES[kind][1], said) or re.fullmatch(NO_ADDRESS, said), f"{kind}, {spelling}: {said!r}")
            for address in ("unix:///var/run/x", "redis+unix:///var/run/x", f"http://127.0.0.1:{peer.port}", f"{kind}://", f"{kind}:///path", f"{kind}://[::1:{peer.port}", f"//127.0.0.1:{peer.port}",
                            f"{kind}://x.test:{peer.port}:1", f"{kind}://x.test:+1", f"{kind}://x.test:0", f"{kind}://x.test:65536", f"{kind}://a.test,127.0.0.1:{peer.port}"):
                said = connect(server, kind, address)
                check(re.fullmatch(NO_ADDRESS, said), f"{address}: {said!r}")
            if kind == "postgres":
                for words in ("host=127.0.0.1", "host=localhost", "hostaddr=127.0.0.1 host=x.test", "host=/var/run/postgresql", "host=@x", "host=x.test,127.0.0.1",
                              "user=a", "host=127.0.0.1 host=", "service=x"):
                    said = connect(server, kind, f"{words} port={peer.port}")
                    check(re.fullmatch(SERVICES[kind][1], said) or re.fullmatch(NO_ADDRESS, said), f"{words}: {said!r}")
            if kind == "mysql":
                said = connect(server, kind, f"mysql://127.0.0.1:{peer.port}/d?socket=/var/run/mysqld/mysqld.sock")
                check(re.fullmatch(SERVICES[kind][1], said), f"a socket: {said!r}")
            check(peer.accepted == 0, f"{kind}: nobody was asked")


def case_denied_services_rebinding():
    """A name whose address changes: each connection is judged by what its own question found, and none goes where only the
    answer before led."""
    for kind in SERVICES:
        with Peer(end) as peer, Turning({}) as names:
            # 127.0.0.2 is granted by its address, and nobody listens there
            names.turns = {"turns.test": [["127.0.0.2"], ["127.0.0.1"]], "both.test": [["127.0.0.1", "10.0.0.1", "::1", "::ffff:127.0.0.1"]]}
            names.table = {name: turns[0] for name, turns in names.turns.items()}
            manifest = service_app(kind, f"{kind}://*.test:*", f"{kind}://127.0.0.2:{peer.port}")
            with serving(manifest, "--dns", names.address) as server:
                is_denied(server, kind, f"{kind}://both.test:{peer.port}")
                said = connect(server, kind, f"{kind}://turns.test:{peer.port}")
                check(not re.fullmatch(SERVICES[kind][1], said), f"an address that is granted: {said!r}")
                for _ in range(4):
                    is_denied(server, kind, f"{kind}://turns.test:{peer.port}", "then it is another one")
                found = [(what, how) for what, how in remedies(server) if what.startswith("turns.test leads to the private address 127.0.0.1:")]
                check(len(found) == 1, f"once: {remedies(server)}")
            check(peer.accepted == 0, f"{kind}: nobody was asked")
            with serving(added(found[0][1], manifest, "one"), "--dns", names.address) as server:
                connect(server, kind, f"{kind}://turns.test:{peer.port}")
                check(peer.accepted > 0, f"with {found[0][1]} it is reached")


def case_denied_services_templates():
    """Grants with variables are what their values make of them; a value that is empty, or makes no entry, grants nothing."""
    with Peer(end) as peer, Peer(end) as other:
        declared = f'[variables]\nhost = {{ default = "127.0.0.1" }}\nport = {{ default = "{peer.port}" }}\n'
        manifest = service_app("redis", "redis://{{ host }}:{{ port }}", more=declared)
        here, there = f"redis://127.0.0.1:{peer.port}", f"redis://127.0.0.1:{other.port}"
        with serving(manifest) as server:
            connect(server, "redis", here)
            check(peer.accepted == 1, "by their defaults")
            is_denied(server, "redis", there)
        with serving(manifest, "--variable", f"port={other.port}") as server:
            is_denied(server, "redis", here)
            connect(server, "redis", there)
            check((peer.accepted, other.accepted) == (1, 1), "by other values")
        with serving(manifest, "--variable", "host=*") as server:
            is_denied(server, "redis", here)


def case_denied_services_secrets():
    """Libraries of services know nothing of the server's environment: neither who to be nor a password reaches a guest's server."""
    seen = []

    def postgres(connection):
        """Wants the password as it is."""
        connection.recv(8)
        connection.sendall(b"N")
        seen.append(connection.recv(4096))
        connection.sendall(b"R\0\0\0\x08\0\0\0\3")
        seen.append(connection.recv(4096))
    names = {"PGPASSWORD": "SECRET", "PGUSER": "SECRET", "PGDATABASE": "SECRET", "PGOPTIONS": "-c search_path=SECRET", "PGAPPNAME": "SECRET", "PGHOST": "127.0.0.1",
             "PGSSLMODE": "disable", "MYSQL_PWD": "SECRET", "USER": "SECRET", "LOGNAME": "SECRET"}
    os.environ.update(names)
    try:
        with Peer(postgres) as peer, serving(service_app("postgres", f"postgres://127.0.0.1:{peer.port}")) as server:
            for address in (f"postgres://127.0.0.1:{peer.port}", f"postgres://guest@127.0.0.1:{peer.port}/base", f"host=127.0.0.1 port={peer.port}"):
                connect(server, "postgres", address)
            check(b"SECRET" not in b"".join(seen), f"what it saw: {seen}")
            check(any(b"guest" in one for one in seen), f"but what the address has: {seen}")
    finally:
        for name in names:
            del os.environ[name]


def case_denied_admin():
    """The address of `--admin` is this machine's: no grant of all hosts reaches it, by no interface."""
    with folder(client_app("http://*:*", "*://*:*")) as top, Server(top, "--admin", "127.0.0.1:0") as server:
        admin = int(re.search(r"metrics at http://127\.0\.0\.1:(\d+)/", server.log())[1])
        expect(ask(admin, "/healthz"), 200, b"ok\n")
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"):
            report = fetch(server, f"http://{host}:{admin}/metrics")
            check(re.match(REFUSED, report[-1]), f"{host}: {report}")
    for kind, source in (("redis", "redis"), ("postgres", "postgres"), ("mysql", "mysql"), ("mqtt", "mqtt")):
        with folder(service_app(source, "*://*:*")) as top, Server(top, "--admin", "127.0.0.1:0") as server:
            admin = int(re.search(r"metrics at http://127\.0\.0\.1:(\d+)/", server.log())[1])
            is_denied(server, kind, f"{kind}://127.0.0.1:{admin}")
            is_denied(server, kind, f"{kind}://127.0.0.1:{server.port}", "nor does it reach itself")
    manifest = HEAD + trigger("/...", "net") + component("net", guest("sockets"), 'allowed_outbound_hosts = ["*://*:*"]')
    with folder(manifest) as top, Server(top, "--admin", "127.0.0.1:0") as server:
        admin = int(re.search(r"metrics at http://127\.0\.0\.1:(\d+)/", server.log())[1])
        for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"):
            report = lookup(server, host, admin)
            check(not any(line in ("connecting", "connected", "connect: ok") for line in report), f"{host}: {report}")


def case_denied_sockets_app():
    """Sockets in an application: without a grant neither TCP nor UDP nor names, whatever is granted of HTTP and services; no
    manifest lets a component listen."""
    for hosts in ((), ("http://*:*", "https://*:*"), ("redis://*:*", "postgres://*:*", "mysql://*:*", "mqtt://*:*"), ("http://self", "http://*.spin.internal")):
        listed = ", ".join(f'"{host}"' for host in hosts)
        manifest = HEAD + trigger("/...", "net") + component("net", guest("sockets"), f"allowed_outbound_hosts = [{listed}]")
        with Peer(end) as peer, serving(manifest) as server:
            answer = ask(server.port, f"/denied/{peer.port}")
            check((answer[0], answer[2]) == (200, b"ok\n"), f"{hosts}: {answer}")
            check(peer.accepted == 0, "nobody was asked")
            said = dict(remedies(server))
            check(len(said) == len(remedies(server)), f"each once: {remedies(server)}")
            check(said[f"connecting to 127.0.0.1:{peer.port}"].startswith(f'add "*://127.0.0.1:{peer.port}" to allowed_outbound_hosts of component "net" ('), f"{said}")
            check("nothing in a manifest does" in said["binding to 127.0.0.1:0"], f"{said}")


# ---- what belongs to another component ----

def case_denied_variables():
    """A component finds no other's variables and none of the application's that it was not handed, by no interface and no way
    to write a name."""
    manifest = HEAD + '[variables]\ntoken = { default = "SECRET-application", secret = true }\nboth = { default = "both" }\n' + trigger("/one/...", "one") + trigger("/...", "two") + \
        component("one", guest("variables"), '[component.one.variables]\nmine = "SECRET-of-one"\nshared = "{{ both }}"\nsecret = "{{ token }}"\n') + \
        component("two", guest("variables"), '[component.two.variables]\nshared = "{{ both }}"\n')
    with serving(manifest) as server:
        expect(ask(server.port, "/v2/shared"), 200, b"both")
        check(ask(server.port, "/")[2] == b"shared=both\n", "all that it has")
        for name in ("mine", "token", "secret", "both", "MINE", "one.mine", "one/mine", "one:mine", "../one/mine", "%6dine", "mine%00", "{{ token }}", "shared}}{{token", "*", "component.one.variables.mine",
                     "SPIN_VARIABLE_TOKEN", "token\n", "shared,mine"):
            for way in ("/v2/", "/old/", "/config/"):
                status, _, body = ask(server.port, way + urllib.parse.quote(name, safe="%"))
                check(status in (404, 500) and b"SECRET" not in body, f"{way}{name}: {status} {body!r}")
        check("SECRET" not in server.log(), "and none in the log")


def case_denied_interfaces():
    """Stores by each of their interfaces: what one refuses no other opens."""
    manifest = HEAD + trigger("/...", "one") + trigger("/two", "two") + trigger("/put/...", "pairs") + trigger("/get/...", "pairs") + \
        component("one", guest("storage"), 'key_value_stores = ["mine"]') + component("two", guest("storage"), 'key_value_stores = ["default", "other"]') + \
        component("pairs", guest("pairs"), 'key_value_stores = ["mine"]')
    with serving(manifest) as server:
        expect(ask(server.port, "/kv/mine/set/n/1"), 200)
        expect(ask(server.port, "/old/mine/get/n"), 200, b"1")
        expect(ask(server.port, "/put/mine/a/1/b/2"), 200, b"done\n")
        expect(ask(server.port, "/get/mine/a/b/n/none"), 200, b"a=1\nb=2\nn=1\nnone\n")
        for label in ("default", "other", "MINE", "mine%20", "..", "two%3Aother"):
            for where in (f"/kv/{label}/get/n", f"/kv/{label}/keys", f"/old/{label}/get/n", f"/add/{label}/n/1", f"/put/{label}/a/1", f"/get/{label}/a"):
                expect(ask(server.port, where), 500, b"access-denied\n")
        check(len(remedies(server)) == 12, f"each label once for each component: {remedies(server)}")


def case_denied_inside():
    """Components of the application by every way to write their hosts: only those that are granted, and never from outside by a
    name that leads to them."""
    private = '[[trigger.http]]\nroute = { private = true }\ncomponent = "hidden"\n'
    def app(*hosts):
        listed = ", ".join(f'"{host}"' for host in hosts)
        return HEAD + trigger("/...", "front") + private + trigger("/open", "open") + component("front", guest("client"), f"allowed_outbound_hosts = [{listed}]") + \
            component("hidden", guest("shown")) + component("open", guest("shown"))
    spellings = ("hidden.spin.internal", "HIDDEN.spin.internal", "hidden.SPIN.internal", "hidden.spin.internal.", "x.hidden.spin.internal", "hidden%2espin.internal",
                 "hidden.spin.internal%00.open.spin.internal", "open.spin.internal@hidden.spin.internal", "hidden", "spin.internal", "self.alt", "127.0.0.1", "localhost")
    with Names({name: ["127.0.0.1"] for name in ("hidden.spin.internal", "hidden", "spin.internal", "localhost", "x.hidden.spin.internal")}) as names:
        for hosts in ((), ("http://open.spin.internal",), ("https://*.spin.internal",), ("http://hidden.example", "http://*.example:*")):
            with serving(app(*hosts), "--dns", names.address) as server:
                for spelling in spellings:
                    for port in ("", f":{server.port}"):
                        report = fetch(server, f"http://{urllib.parse.quote(spelling, safe='%@.')}{port}/x")
                        check(report[0] == "bad url" or re.match(REFUSED, report[-1]), f"{spelling}{port} with {hosts}: {report}")
                if "http://open.spin.internal" in hosts:
                    check("status 200" in fetch(server, "http://open.spin.internal/x"), "the granted one")
                for path in ("/hidden", "/hidden/x"):
                    check(b"hidden" not in ask(server.port, path, headers=["Host: hidden.spin.internal"])[2], "no host of a request leads there")


# ---- files ----

def case_denied_files():
    """A mounted folder holds what is in it: not what is above or beside it, nor what links in it name outside; not to be written;
    and without a mount there is nothing."""
    manifest = HEAD + trigger("/...", "one") + component("one", guest("given"), 'files = [{ source = "data", destination = "/inside" }]')
    with folder(manifest) as top:
        os.makedirs(f"{top}/data/sub")
        for path, text in (("data/a.txt", "inside"), ("data/sub/b.txt", "below"), ("secret.txt", "SECRET"), ("data2.txt", "SECRET")):
            with open(f"{top}/{path}", "w") as file:
                file.write(text)
        for name, target in (("up", "../secret.txt"), ("abs", f"{top}/secret.txt"), ("etc", "/etc"), ("top", "/"), ("proc", "/proc/self"),
                             ("self", "/proc/self/environ"), ("fd", "/proc/self/fd"), ("loop", "loop"), ("ok", "sub/b.txt"), ("parent", ".."),
                             ("deep", "sub/../../secret.txt")):
            os.symlink(target, f"{top}/data/{name}")
        os.link(f"{top}/data/a.txt", f"{top}/data/hard")
        os.mkfifo(f"{top}/data/fifo")
        with Server(top, "--env", "A=b") as server:
            def read(path):
                return lines(server.port, path)[1:]
            check(read("/a.txt") == ["directory /inside inside unwritten"], f"what is there: {read('/a.txt')}")
            check(read("/sub/b.txt") == ["directory /inside below unwritten"], "and below")
            check(read("/hard") == ["directory /inside inside unwritten"], "a hard link is a file")
            for path in ("/../secret.txt", "/sub/../../secret.txt", "/sub/../../../../../../etc/passwd", "//etc/passwd", "/./../secret.txt", "/up", "/abs",
                         "/etc/passwd", "/top/etc/passwd", "/proc/environ", "/self", "/fd/0", "/fd/3", "/loop", "/parent/secret.txt", "/deep", "/fifo",
                         "/sub/..%2f..%2fsecret.txt", "/..", "/../data2.txt", "/absent", "/parent/parent/etc/passwd"):
                said = read(path)
                check(said == ["directory /inside unread unwritten"], f"{path} is not there: {said}")
            check(sorted(os.listdir(f"{top}/data")) == sorted(["a.txt", "sub", "hard", "fifo", "up", "abs", "etc", "top", "proc", "self", "fd", "loop", "ok",
                                                               "parent", "deep"]), "nothing was made")
    with serving(HEAD + trigger("/...", "one") + component("one", guest("given"))) as server:
        check(lines(server.port, "/etc/passwd") == [], "without a mount there is no folder at all")


def case_denied_files_race():
    """While a name in the folder changes between a file and a link out of it, and a folder between inside and outside, what is read
    is always what is inside."""
    manifest = HEAD + trigger("/...", "one") + component("one", guest("given"), 'files = [{ source = "data", destination = "/inside" }]')
    with folder(manifest) as top:
        os.makedirs(f"{top}/data/real")
        os.mkdir(f"{top}/outside")
        for path, text in (("data/real/f", "inside"), ("data/file", "inside"), ("outside/f", "SECRET")):
            with open(f"{top}/{path}", "w") as file:
                file.write(text)
        stop = threading.Event()

        def change():
            """data/f: a file or a link; data/way: a link to inside or outside; data/moved/f: moves out of the folder and back."""
            turn = 0
            os.makedirs(f"{top}/data/moved/in")
            with open(f"{top}/data/moved/in/f", "w") as file:
                file.write("inside")
            while not stop.is_set():
                turn += 1
                os.symlink("../outside/f" if turn % 2 else "file", f"{top}/data/.new")
                os.rename(f"{top}/data/.new", f"{top}/data/f")
                os.symlink("../outside" if turn % 2 else "real", f"{top}/data/.new")
                os.rename(f"{top}/data/.new", f"{top}/data/way")
                os.rename(*((f"{top}/data/moved", f"{top}/outside/moved") if turn % 2 else (f"{top}/outside/moved", f"{top}/data/moved")))
        thread = threading.Thread(target=change, daemon=True)
        thread.start()
        try:
            seen = set()
            with Server(top) as server, Client(server.port) as client:
                end = time.monotonic() + 3
                while time.monotonic() < end:
                    for path in ("/f", "/way/f", "/moved/in/f", "/moved/in/../../f", "/moved/in/../../../outside/f"):
                        body = client.ask(path)[2]
                        seen.add((path, body))
                        check(b"SECRET" not in body, f"{path}: {body}")
            check(("/way/f", b"directory /inside inside unwritten\n") in seen or ("/moved/in/f", b"directory /inside inside unwritten\n") in seen,
                  f"at times it was inside: {seen}")
        finally:
            stop.set()
            thread.join()


# ---- environment ----

def case_denied_environment():
    """A component has the variables that its manifest gives it, and no other's, none of the server's, and none of the names of the
    application's variables."""
    os.environ["MAYFLY_TEST_SECRET"] = "SECRET"
    os.environ["SPIN_VARIABLE_TOKEN"] = "SECRET"
    try:
        manifest = HEAD + '[variables]\ntoken = { required = true, secret = true }\n' + trigger("/one", "one") + trigger("/two", "two") + trigger("/none", "none") + \
            component("one", guest("given"), 'environment = { A = "1" }') + component("two", guest("given"), 'environment = { B = "{{ token }}" }') + \
            component("none", guest("given"), '[component.none.variables]\ntoken = "{{ token }}"\n')
        with serving(manifest) as server:
            check(lines(server.port, "/one") == ["variable A=1"], f"its own: {lines(server.port, '/one')}")
            check("SECRET" not in "".join(lines(server.port, "/two")), f"values are no templates: {lines(server.port, '/two')}")
            check(lines(server.port, "/none") == [], f"nothing: {lines(server.port, '/none')}")
            check("SECRET" not in server.log(), "and none in the log")
    finally:
        del os.environ["MAYFLY_TEST_SECRET"], os.environ["SPIN_VARIABLE_TOKEN"]


def case_denied_crowd():
    """One that asks for everything silences nobody else, and fills no log."""
    manifest = HEAD + trigger("/kv/...", "loud") + trigger("/sql/...", "loud") + trigger("/fetch", "quiet") + \
        component("loud", guest("storage")) + component("quiet", guest("client"))
    with serving(manifest) as server:
        with Client(server.port) as client:
            for number in range(300):
                expect(client.ask(f"/kv/label-{number}/get/k"), 500, b"access-denied\n")
        same(fetch(server, "http://other.example/"), [DENIED])
        said = remedies(server)
        check(len(said) == 65 and said[-1][0] == "a request to http://other.example", f"64 of one, and the other's: {len(said)}, {said[-1]}")
        check(server.log().count("more that is denied will not be logged") == 1, "and that it is enough")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
