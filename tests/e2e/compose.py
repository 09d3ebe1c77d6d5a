#!/usr/bin/env python3
"""End to end: what the components of an application have to do with each other: requests that stay inside, dependencies,
and files by pattern.

    compose.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import collections
import contextlib
import glob
import os
import re
import signal
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from app import HEAD, component, folder, lines, refused, trigger, write
from h2 import curl, secure_server
from outbound import CODES, fetch, named, same
from run import Client, Server, ask, check, command, expect, guest, main, needs
from workers import until

PRIVATE = '[[trigger.http]]\nroute = { private = true }\ncomponent = "{0}"\n'


def private(name):
    return PRIVATE.replace("{0}", name)


def allow(*hosts):
    return "allowed_outbound_hosts = [" + ", ".join(f'"{host}"' for host in hosts) + "]\n"


def limits(name, **more):
    return f"[component.{name}.tool.mayfly]\n" + "".join(f"{key} = {value!r}\n".replace("'", '"') for key, value in more.items())


def through(server, url, headers=(), **more):
    """The answer's body, as lines, by way of the guest `client`."""
    query = "&".join([f"{key}={value}" for key, value in more.items()] + [f"url={url}"])
    answer = ask(server.port, f"/relay?{query}", headers=headers)
    expect(answer, 200)
    return answer[2].decode().split("\n")[:-1]


# ---- requests that stay inside ----


def case_inside():
    """A component is asked by its id: as over a socket, but for where it comes from. Its route does not count."""
    manifest = HEAD + trigger("/...", "front") + private("back") + trigger("/echo", "echo") + \
        component("front", guest("client"), allow("http://*.spin.internal")) + component("back", guest("shown")) + \
        component("echo", guest("echo"))
    with folder(manifest) as top, Server(top) as server:
        same(through(server, "http://back.spin.internal/some/path?a=b"),
             ["GET /some/path?a=b http back.spin.internal", "x-guest: here",
              "spin-path-info: /some/path", "spin-full-url: http://back.spin.internal/some/path?a=b",
              "spin-matched-route: /...", "spin-base-path: /", "spin-raw-component-route: /...",
              "spin-component-route: ", "spin-client-addr: 0.0.0.0:0"], "what it finds")
        report = through(server, "http://back.spin.internal", length=0)
        check("content-length: 0" in report and report[0].startswith("GET / "), f"a length is a field: {report}")
        same(through(server, "http://back.spin.internal?q", method="POST")[0], "POST /?q http back.spin.internal", "another method")
        same(fetch(server, "http://back.spin.internal/x", method="HEAD")[0], "status 200", "HEAD")
        for size in (0, 1, 70000, 1000000):
            for how in ({}, {"early": 1}, {"length": size}, {"trailers": 1}):
                if size > 200:
                    report = fetch(server, "http://echo.spin.internal/whole", method="POST", size=size, part=30000, **how)
                    check(f"body {size} pattern" in report, f"{size} bytes come back, {how}: {report}")
        body = os.urandom(3_000_000)
        expect(ask(server.port, "/relay?url=http://echo.spin.internal/whole", method="POST", body=body), 200, body)
        expect(ask(server.port, "/relay?url=http://echo.spin.internal/", method="POST", body=body[:50000]), 200, body[:50000])
        report = fetch(server, "http://echo.spin.internal/whole", method="POST", size=500000, stop=1000)
        check(any(line.startswith("body ") for line in report), f"who reads no more ends it: {report}")
        expect(ask(server.port, "/both?url=http://echo.spin.internal/"), 200)
        expect(ask(server.port, "/crowd?url=http://echo.spin.internal/"), 200)
        expect(ask(server.port, "/echo"), 200)


def case_inside_denied():
    """What is not granted is denied, what there is not is not found; nothing inside leads out."""
    denied, absent, found = "HTTP-request-denied", "destination-not-found", "status 200"
    rows = {(): {"http://idle.spin.internal/": denied, "http://front.spin.internal/": denied, "http://self.alt/": denied},
            ("http://idle.spin.internal",): {"http://front.spin.internal/": denied, "http://idle.spin.internal:81/": denied,
                                             "https://idle.spin.internal/": denied, "http://idle.spin.internal/": found,
                                             "http://self.alt/": denied},
            ("*://*.spin.internal:*",): {"http://idle.spin.internal:81/": found, "https://idle.spin.internal/": found,
                                         "http://unused.spin.internal/": absent, "http://gone.spin.internal/": absent,
                                         "http://a.idle.spin.internal/": absent, "http://spin.internal/": denied, "http://self.alt/": denied},
            ("http://*",): {"http://idle.spin.internal/": found, "http://self.alt/fetch": found}}
    with folder("") as top:
        for hosts, urls in rows.items():
            write(top, HEAD + trigger("/...", "front") + private("idle") + component("front", guest("client"), allow(*hosts)) +
                  component("idle", guest("shown")) + component("unused", guest("shown")))
            with Server(top) as server:
                for url, wanted in urls.items():
                    text = named(ask(server.port, f"/fetch?url={url}")[2].decode())
                    check(wanted in text, f"{hosts} {url}: {wanted}, not {text!r}")
                if not hosts:
                    check(server.wait_log(r"denied: a request to http://idle\.spin\.internal; to permit it: .*http://idle\.spin\.internal"), "the log says what to do")
    with Server(guest("client"), "--allow-outbound", "http://*:*") as server:
        check("destination-not-found" in named(ask(server.port, "/fetch?url=http://other.spin.internal/")[2].decode()), "alone there is nobody")


def case_inside_self():
    """A request without a host, or to self.alt, is for whoever of the application answers its path from outside."""
    manifest = HEAD + trigger("/fetch", "front") + trigger("/relay", "front") + trigger("/shown/:what", "shown") + private("hidden") + \
        '[[trigger.http]]\nroute = "/fixed"\nstatic_response = { status_code = 418, headers = { x-kind = "pot" }, body = "short" }\n' + \
        component("front", guest("client"), allow("http://self")) + component("shown", guest("shown")) + component("hidden", guest("shown"))
    with folder(manifest) as top, Server(top) as server:
        def inner(url):
            return ask(server.port, f"/fetch?url={url}")[2].decode().split("\n")
        for url, more in (("http://self.alt/shown/x?y", {}), ("https://self.alt/shown/x?y", {}), ("http://any/shown/x?y", {"noauthority": 1}),
                          ("http://:80/shown/x?y", {}), ("https://:443/shown/x?y", {})):
            report = through(server, url, **more)
            check(f"GET /shown/x?y http 127.0.0.1:{server.port}" in report and "spin-path-match-what: x" in report and
                  "spin-matched-route: /shown/:what" in report, f"{url}: {report}")
        report = inner("http://self.alt/fixed")
        check("status 418" in report and "x-kind: pot" in report and "short" in report, f"a fixed answer: {report}")
        for path in ("/hidden", "/", "/nowhere"):
            check("status 404" in inner(f"http://self.alt{path}"), f"{path} is nobody's")
        check("status 200" not in inner("http://shown.spin.internal/"), "itself, not each component")


def case_inside_secure():
    """Over TLS and HTTP/2 it is the same inside; itself, an application speaks as from outside."""
    needs("curl", "--version")
    manifest = HEAD + trigger("/relay", "front") + trigger("/shown", "shown") + \
        component("front", guest("client"), allow("http://self", "http://shown.spin.internal")) + component("shown", guest("shown"))
    with folder(manifest) as top, secure_server(top) as server:
        for target, line in (("https://self.alt/shown", f"GET /shown https 127.0.0.1:{server.port}"), ("http://self.alt/shown", f"GET /shown https 127.0.0.1:{server.port}"),
                             ("http://shown.spin.internal/x", "GET /x http shown.spin.internal")):
            version, status, body = curl("--cacert", server.certificate, f"https://127.0.0.1:{server.port}/relay?url={target}")
            check((version, status) == ("2", 200) and line.encode() in body, f"{target}: {version} {status} {body}")


def case_inside_loops():
    """Who asks itself for ever is told so; who needs what it holds is refused, and nothing hangs."""
    manifest = HEAD + trigger("/...", "front") + trigger("/one", "one") + \
        component("front", guest("client"), allow("http://*.spin.internal")) + \
        component("one", guest("client"), allow("http://*.spin.internal") + limits("one", max_instances=1))
    with folder(manifest) as top, Server(top) as server:
        def chain(count):
            url = "http://front.spin.internal/nothing"
            for _ in range(count):
                url = f"http://front.spin.internal/relay?url={url}"
            answer = ask(server.port, f"/relay?url={url}")
            return answer[0], named(answer[2].decode())
        same(chain(15), (404, "ok\n"), "sixteen")
        same(chain(16), (502, "error loop-detected\n"), "the seventeenth is told")
        same(chain(40), (502, "error loop-detected\n"), "and so are those that would go on")
        check(server.wait_log(r"\[front\] a request to front\.spin\.internal is not sent: 16 others"), "and the log")
        text = ask(server.port, "/fetch?url=http://one.spin.internal/fetch?url=http://one.spin.internal/")[2].decode()
        check("status 503" in text and "503 Service Unavailable" in text, f"the second of one instance: {text!r}")
        expect(ask(server.port, "/fetch?url=http://one.spin.internal/"), 200)


def case_inside_limits():
    """Time, sizes and failures: each function has its own limits, and nobody outlives who asked."""
    manifest = HEAD + trigger("/...", "front") + trigger("/relay", "short") + \
        component("front", guest("client"), allow("http://*.spin.internal")) + \
        component("short", guest("client"), allow("http://*.spin.internal") + limits("short", timeout="300ms")) + \
        component("slow", guest("greedy")) + component("hasty", guest("greedy"), limits("hasty", timeout="200ms")) + \
        component("small", guest("echo"), limits("small", max_body="10")) + component("broken", guest("trap")) + \
        "".join(private(name) for name in ("slow", "hasty", "small", "broken"))
    with folder(manifest) as top, Server(top, "--admin", "127.0.0.1:0") as server:
        def told(path):
            return named(ask(server.port, path)[2].decode())
        began = time.monotonic()
        expect(ask(server.port, "/relay?url=http://slow.spin.internal/wait"), 504)
        check(time.monotonic() - began < 10, "the caller's limit holds")
        check(server.wait_log(r"\[short\] ended: a request may take 0\.3 s of time"), "it is the caller's")
        for path in ("wait", "spin"):
            check("status 504" in told(f"/fetch?url=http://hasty.spin.internal/{path}"), f"the callee's limit is an answer: {path}")
        check("connection-read-timeout" in told("/fetch?first=200&url=http://slow.spin.internal/wait"), "the guest's own limit")
        text = told("/fetch?size=11&length=11&url=http://small.spin.internal/")
        check("status 413" in text, f"a body that is too long: {text!r}")
        check("body 10" in told("/fetch?method=POST&size=10&url=http://small.spin.internal/"), "one that is not")
        report = told("/fetch?method=POST&size=100000&url=http://small.spin.internal/")
        check("body 100000" not in report, f"one that turns out to be too long: {report!r}")
        check("status 500" in told("/fetch?url=http://broken.spin.internal/trap"), "a trap is an answer")
        with Client(server.port) as client:
            client.send("/fetch?url=http://slow.spin.internal/wait")
            time.sleep(0.3)
        with Client(server.port) as client:
            client.send("/fetch?leave=1&url=http://slow.spin.internal/wait")
            expect(client.response(), 200)
        for _ in range(20):
            expect(ask(server.port, "/fetch?url=http://small.spin.internal/"), 200)


def case_inside_counted():
    """Requests from inside are counted, logged and traced like others."""
    manifest = HEAD + trigger("/...", "front") + private("back") + \
        component("front", guest("client"), allow("http://back.spin.internal")) + component("back", guest("shown"))
    with folder(manifest) as top:
        log, parent = f"{top}/access", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        with Server(top, "--access-log", log) as server:
            check(f"traceparent: {parent}" in through(server, "http://back.spin.internal/x", [f"traceparent: {parent}"]), "the trace goes on")
        with open(log) as file:
            text = file.read()
        check(text.count("0af7651916cd43dd8448eb211c80319c") == 2 and "back" in text and "front" in text, f"two lines: {text!r}")


def case_inside_storm():
    """Many at once, in chains, with clients that go away and bodies that nobody reads: nothing is lost, nobody stays behind.
    Where the server was kept from running for a while, those that came and went meanwhile may fill a function: 503 then."""
    each, seconds = 4, 1.5
    manifest = HEAD + trigger("/...", "front") + "".join(private(name) for name in ("back", "echo", "slow")) + \
        component("front", guest("client"), allow("http://*.spin.internal")) + \
        component("back", guest("client"), allow("http://echo.spin.internal") + limits("back", max_instances=40)) + \
        component("echo", guest("echo"), limits("echo", max_instances=40)) + \
        component("slow", guest("greedy"), limits("slow", timeout="1s", max_instances=40))
    body, chain = os.urandom(30000), "/relay?url=http://back.spin.internal/relay?url=http://echo.spin.internal/whole"
    answers, failures, stop = collections.Counter(), [], threading.Event()
    def relay(port):
        while not stop.is_set():
            status, _, text = ask(port, chain, method="POST", body=body)
            answers[status] += 1
            if (status, text) not in ((200, body), (503, b"503 Service Unavailable\n")):
                failures.append((status, text[:100]))
    def leave(port, path, wait):
        while not stop.is_set():
            with Client(port) as client:
                client.send(path, method="POST", body=body)
                time.sleep(wait)
    def crowd(port, count):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(port)) for _ in range(count)]
            for client in clients:
                client.send(chain, method="POST", body=body)
            return [(status, text) for status, _, text in (client.response() for client in clients)]
    with folder(manifest) as top, Server(top) as server:
        threads = [threading.Thread(target=relay, args=(server.port,)) for _ in range(each)] + \
            [threading.Thread(target=leave, args=(server.port, chain, 0.001)) for _ in range(each)] + \
            [threading.Thread(target=leave, args=(server.port, "/fetch?url=http://slow.spin.internal/wait", 0.01)) for _ in range(each)] + \
            [threading.Thread(target=leave, args=(server.port, "/fetch?method=POST&size=300000&url=http://slow.spin.internal/wait", 0.01)) for _ in range(each)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        stop.set()
        for thread in threads:
            thread.join()
        check(not failures, f"{len(failures)} wrong answers, the first: {failures[:3]}")
        check(answers[200] > answers[503], f"a full function is the exception: {answers}")
        until(lambda: crowd(server.port, 40) == [(200, body)] * 40, "as many as there may be, all of them free again")


# ---- dependencies ----


def wordy(rest="", more=""):
    """The handler with a library; `more`: of its dependencies."""
    return HEAD + trigger("/...", "wordy") + component("wordy", guest("wordy"), rest) + "[component.wordy.dependencies]\n" + \
        (more or f'"test:words" = {{ path = "{guest("words")}" }}\ngreet = {{ path = "{guest("words")}" }}\n')


DENIED = "variables 0\ncwd 0\ndirectories 0\nhttp error HTTP-request-denied\nstore error access-denied\nvariable error: not permitted to this dependency\n"


def probe(server):
    text = ask(server.port, "/probe")[2].decode()
    text = re.sub(r"http error (\d+)", lambda found: f"http error {CODES[int(found[1])]}", text)
    return re.sub(r"store error (\d+)", lambda found: "store error " + ("store-table-full", "no-such-store", "access-denied", "io")[int(found[1])], text)


def case_parts():
    """A component with a library: values, errors, objects of both and streams of the host go between them; the library has
    nothing of what its component was given."""
    given = 'environment = { A = "1", B = "2" }\nkey_value_stores = ["default"]\n' + allow("http://127.0.0.1:*")
    with folder(wordy(given)) as top, Server(top) as server:
        expect(ask(server.port, "/count?one+three+two"), 200, b"3 three")
        expect(ask(server.port, "/count?"), 200, b"empty")
        expect(ask(server.port, "/count?" + "x" * 101), 200, b"too long")
        expect(ask(server.port, "/bag?a+bc+def"), 200, b"def bc a")
        expect(ask(server.port, "/greet?you"), 200, b"greetings, you")
        for size in (0, 10, 300000):
            expect(ask(server.port, "/length", method="POST", body=b"x" * size), 200, str(size).encode())
        expect(ask(server.port, "/mine"), 200, b"2")
        same(probe(server), DENIED, "what the library finds")
        check(server.wait_log(r"denied: a dependency's call of mayfly:denied/wasi-http-outgoing-handler"), "the log says so")


def case_parts_inherit():
    """What a dependency inherits is its component's, set by set."""
    given = 'environment = { A = "1", B = "2" }\nvariables = { greeting = "hi" }\nkey_value_stores = ["default"]\nfiles = [{ source = "data", destination = "/data" }]\n' + \
        allow("http://127.0.0.1:*")
    def dependency(inherit):
        return f'"test:words" = {{ path = "{guest("words")}", inherit_configuration = {inherit} }}\ngreet = {{ path = "{guest("words")}", export = "hello" }}\n'
    every = {"variables 0": "variables 2", "directories 0": "directories 1", "http error HTTP-request-denied": "http sent",
             "store error access-denied": "store opened", "variable error: not permitted to this dependency": "variable hi"}
    sets = {'["environment"]': ["variables 0"], '["files"]': ["directories 0"], '["allowed_outbound_hosts"]': ["http error HTTP-request-denied"],
            '["variables"]': ["variable error: not permitted to this dependency"],
            '["key_value_stores", "environment"]': ["store error access-denied", "variables 0"], "true": list(every), "false": []}
    with folder("") as top:
        os.mkdir(f"{top}/data")
        for inherit, changed in sets.items():
            write(top, wordy(given, dependency(inherit)))
            wanted = DENIED
            for line in changed:
                wanted = wanted.replace(line, every[line])
            with Server(top) as server:
                same(probe(server), wanted, f"inherit_configuration = {inherit}")
                expect(ask(server.port, "/greet?you"), 200, b"hello, you")
        write(top, wordy(given + "dependencies_inherit_configuration = true\n"))
        with Server(top) as server:
            check("variables 2" in probe(server), "all of them, by the component's own word")


def case_parts_component():
    """A dependency may be another component, which serves nothing then; and a reload takes up its file."""
    with folder("") as top:
        for name in ("words", "wordy"):
            shutil.copy(guest(name), f"{top}/{name}.wasm")
        write(top, HEAD + trigger("/...", "wordy") + component("words", "words.wasm") + component("wordy", "wordy.wasm") +
              '[component.wordy.dependencies]\n"test:words/count@1.2.0" = { component = "words" }\n"test:words/probe" = { component = "words" }\n' +
              'greet = { component = "words", export = "hello" }\n')
        with Server(top, "--workers", "2") as server:
            expect(ask(server.port, "/count?one+two"), 200, b"2 one")
            os.rename(f"{top}/words.wasm", f"{top}/kept.wasm")
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_log(r"not reloaded: .*spin\.toml:\d+: .*words\.wasm: cannot open the file"), "a part that is gone is named")
            expect(ask(server.port, "/count?one+two"), 200, b"2 one")
            os.rename(f"{top}/kept.wasm", f"{top}/words.wasm")
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_log(r"reloaded$"), "and is taken up when it is back")
            expect(ask(server.port, "/count?one+two"), 200, b"2 one")


def case_parts_refused():
    """What does not fit is said before anything is served, with the line of the dependency."""
    words, other = guest("words"), guest("other")
    both = f'"test:words" = {{ path = "{words}" }}\n'
    greet = f'greet = {{ path = "{words}" }}\n'
    for more, said in (
            (both, r"imports greet, which nothing satisfies"),
            (both + greet.replace("greet =", "great ="), r'spin\.toml:\d+: dependency "great" is no import of '),
            (both + f'greet = {{ path = "{words}", export = "bye" }}\n', r"spin\.toml:\d+: .*words\.wasm does not export bye, which should satisfy greet"),
            (f'"test:words/probe" = {{ path = "{other}" }}\n' + greet, r"spin\.toml:\d+: .*other\.wasm does not export test:words/probe@1\.2\.0"),
            (f'"test:words/count" = {{ path = "{other}" }}\n"test:words/probe" = {{ path = "{words}" }}\n' + greet,
             r'spin\.toml:\d+: dependency "test:words/count" does not fit'),
            (both + f'greet = {{ path = "{guest("stray")}" }}\n', r"spin\.toml:\d+: .*stray\.wasm imports test:more/thing@1\.0\.0, which is in no set"),
            (both + f'greet = {{ path = "{guest("stray")}", inherit_configuration = true }}\n', r"test:more/thing@1\.0\.0 .*is imported, which mayfly does not have"),
            (f'"test:words@2.0.0" = {{ path = "{words}" }}\n' + greet, r'spin\.toml:\d+: dependency "test:words@2\.0\.0" is no import'),
            ('"test:words" = { path = "absent.wasm" }\n' + greet, r"spin\.toml:\d+: .*absent\.wasm: cannot open the file"),
            (f'"test:words" = {{ path = "{guest("process")}" }}\n' + greet, r"spin\.toml:\d+: .*process\.wasm is no component"),
            (both + f'"test:words/count" = {{ path = "{words}" }}\n' + greet, r"overlap")):
        refused(wordy("", more), said)


# ---- files by pattern ----


def tree(top, *names):
    for name in names:
        os.makedirs(os.path.dirname(f"{top}/{name}"), exist_ok=True)
        with open(f"{top}/{name}", "w") as file:
            file.write(f"text of {name}")


def case_assets():
    """Files by pattern are under `/`, by their paths; what is excluded is not there, and nothing can be written."""
    names = ("a.txt", "b.md", "static/one.css", "static/deep/two.css", "static/deep/.hidden", "static/three.js", "other/four.css", "single/only", "place/x/y")
    cases = {
        'files = ["a.txt"]': {"a.txt"},
        'files = ["*.txt", "*.md"]': {"a.txt", "b.md"},
        'files = ["static"]': {name for name in names if name.startswith("static/")},
        'files = ["static/*"]': {"static/one.css", "static/three.js"},
        'files = ["static/**/*"]': {name for name in names if name.startswith("static/")},
        'files = ["**/*.css", "./a.txt"]': {"a.txt", "static/one.css", "static/deep/two.css", "other/four.css"},
        'files = ["static/**/[!.]*.??s"]': {"static/one.css", "static/deep/two.css"},
        'files = ["**/*"]\nexclude_files = ["static/**/*", "*.md"]': {"a.txt", "other/four.css", "single/only", "place/x/y"},
        'files = ["**/*.css"]\nexclude_files = ["*/deep/*"]': {"static/one.css", "other/four.css"},
        'files = [{ source = "single/only", destination = "/in/other" }]': {"in/other": "single/only"},
        'files = [{ source = "place", destination = "/at" }, "a.txt"]\nexclude_files = ["*.none"]': {"at/x/y": "place/x/y", "a.txt": "a.txt"},
    }
    with folder("") as top:
        tree(top, *names)
        for text, wanted in cases.items():
            wanted = wanted if isinstance(wanted, dict) else {name: name for name in wanted}
            write(top, HEAD + trigger("/...", "one") + component("one", guest("given"), text))
            with Server(top) as server:
                for name in {*names, *wanted}:
                    content = f" text of {wanted[name]}" if name in wanted else " unread"
                    same(lines(server.port, f"/{name}"), [f"directory /{content} unwritten"], f"{text}: {name}")
                with open(f"{top}/a.txt", "w") as file:
                    file.write("changed")
                tree(top, "late.css")
                same(lines(server.port, "/late.css"), ["directory / unread unwritten"], "what comes later is not there")
                tree(top, "a.txt")
                os.remove(f"{top}/late.css")


def case_assets_links():
    """Links within the folder are what they lead to; those that lead out are an error, and none is followed later."""
    with folder("") as top, tempfile.TemporaryDirectory() as outside:
        tree(top, "a/one", "b/two")
        tree(outside, "secret")
        os.symlink("../b/two", f"{top}/a/link")
        os.symlink("gone", f"{top}/a/nowhere")
        os.symlink("..", f"{top}/a/round")
        os.mkfifo(f"{top}/a/pipe")
        manifest = HEAD + trigger("/...", "one") + component("one", guest("given"), 'files = ["a/**/*"]')
        write(top, manifest)
        with Server(top) as server:
            for name, content in (("a/one", "text of a/one"), ("a/link", "text of b/two"), ("b/two", "unread"), ("a/nowhere", "unread"), ("a/pipe", "unread")):
                same(lines(server.port, f"/{name}"), [f"directory / {content} unwritten"], name)
        for link, to in (("file", f"{outside}/secret"), ("folder", outside), ("up", "../../../../../../etc/hostname")):
            os.symlink(to, f"{top}/a/{link}")
            done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", top], capture_output=True, text=True)
            expected = link != "folder"  # `**` goes into no link, so what is in it does not match
            check(done.returncode == 1 and re.search(rf"spin\.toml:\d+: a/{link} leads out", done.stderr) if expected else True, f"{link}: {done.stderr!r}")
            os.remove(f"{top}/a/{link}")
        os.symlink(outside, f"{top}/a/folder")
        for text, said in (('files = ["a/folder"]', "leads out"), ('files = ["a/folder/secret"]', "leads out"), ('files = ["../x/*"]', "leads out"),
                           ('files = ["gone.txt"]', r"gone\.txt does not exist, and is no pattern"),
                           ('files = [{ source = "gone", destination = "/x" }]', "gone"),
                           ('files = [{ source = "b/two", destination = "/x/" }]', "its destination a folder")):
            write(top, HEAD + trigger("/...", "one") + component("one", guest("given"), text))
            done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", top], capture_output=True, text=True)
            check(done.returncode == 1 and re.search(rf"spin\.toml:\d+: .*{said}", done.stderr), f"{text}: {done.stderr!r}")


def case_assets_gone():
    """Another manifest has copies of its own, and all are gone with the server."""
    def manifest(files):
        return HEAD + trigger("/...", "one") + component("one", guest("given"), f"files = {files}")
    with tempfile.TemporaryDirectory() as room, folder(manifest('["*.txt"]')) as top:
        tree(top, "a.txt")
        before, os.environ["TMPDIR"] = os.environ.get("TMPDIR"), room
        try:
            with Server(top, "--workers", "2") as server:
                check(len(glob.glob(f"{room}/mayfly-*")) == 1, "there is one while it serves")
                os.kill(server.workers()[0], signal.SIGKILL)
                check(server.wait_log("worker"), "a worker dies")
                same(lines(server.port, "/a.txt"), ["directory / text of a.txt unwritten"], "and others have it still")
                tree(top, "b.md")
                same(lines(server.port, "/b.md"), ["directory / unread unwritten"], "nobody asked for that")
                write(top, manifest('["*.md"]'))
                server.process.send_signal(signal.SIGHUP)
                until(lambda: lines(server.port, "/b.md") == ["directory / text of b.md unwritten"], "the other manifest is served")
                until(lambda: lines(server.port, "/a.txt") == ["directory / unread unwritten"], "and nothing of the one before")
                until(lambda: len(glob.glob(f"{room}/mayfly-*")) == 1, "what was copied for that is gone")
            check(glob.glob(f"{room}/mayfly-*") == [], "and none afterwards")
            os.mkdir(f"{room}/own")
            with Server(top, "--temp", f"{room}/own") as server:
                same(lines(server.port, "/b.md"), ["directory / text of b.md unwritten"], "it is there")
                check([len(glob.glob(f"{place}/mayfly-*")) for place in (room, f"{room}/own")] == [0, 1], "where --temp says")
            check(os.listdir(f"{room}/own") == [], "and none afterwards")
            refused(manifest('["*.md"]'), r"cannot make a folder for files in .*/absent", "--temp", f"{room}/absent")
        finally:
            os.environ.pop("TMPDIR") if before is None else os.environ.update(TMPDIR=before)


def case_assets_killed():
    """Copies of a server that was killed go when the next one makes some; those of one that lives stay."""
    manifest = HEAD + trigger("/...", "one") + component("one", guest("given"), 'files = ["*.txt"]')
    with tempfile.TemporaryDirectory() as room, folder(manifest) as top:
        tree(top, "a.txt")
        os.makedirs(f"{room}/mayfly-mine")
        with Server(top, "--temp", room) as living:
            first = set(glob.glob(f"{room}/mayfly-files-*"))
            with contextlib.ExitStack() as stack:
                killed = Server(top, "--temp", room)
                stack.callback(killed.process.wait)
                for pid in (killed.process.pid, killed.supervisor(), *killed.workers()):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGSTOP)  # nobody is told, and removes anything
                family = [killed.process.pid, killed.supervisor(), *killed.workers()]
                for pid in family:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family[1:]), "all of it is dead")
            left = set(glob.glob(f"{room}/mayfly-files-*"))
            check(len(left) == 2 and first < left, f"its copy is left behind: {left}")
            with Server(top, "--temp", room) as server:
                now = set(glob.glob(f"{room}/mayfly-files-*"))
                check(len(now) == 2 and first < now and not (left - first) & now, f"the next one removes it: {left}, then {now}")
                same(lines(server.port, "/a.txt"), ["directory / text of a.txt unwritten"], "and has its own")
            same(lines(living.port, "/a.txt"), ["directory / text of a.txt unwritten"], "nobody else's")
        check(os.listdir(room) == ["mayfly-mine"], f"and nothing is left, nor taken: {os.listdir(room)}")


def case_assets_direct():
    """--direct-mounts: folders where they stand, and nothing that would have to be copied."""
    def manifest(files):
        return HEAD + trigger("/...", "one") + component("one", guest("given"), f"files = {files}")
    with folder(manifest('[{ source = "inner", destination = "/" }]')) as top, tempfile.TemporaryDirectory() as room:
        tree(top, "inner/a.txt")
        with Server(top, "--direct-mounts", "--temp", room) as server:
            same(lines(server.port, "/a.txt"), ["directory / text of inner/a.txt unwritten"], "what is there")
            with open(f"{top}/inner/b.txt", "w") as file:
                file.write("later")
            same(lines(server.port, "/b.txt"), ["directory / later unwritten"], "also what comes later")
            check(os.listdir(room) == [], "nothing is copied")
        for files in ('["inner"]', '["*.txt"]', '[{ source = "inner/a.txt", destination = "/a" }]'):
            write(top, manifest(files))
            done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", "--direct-mounts", top], capture_output=True, text=True)
            check(done.returncode == 1 and re.search(r"spin\.toml:\d+: with --direct-mounts, files are folders", done.stderr), done.stderr)
    refused(manifest('[{ source = ".", destination = "/" }]') + 'exclude_files = ["x"]\n', r"a component with exclude_files is not served", "--direct-mounts")
    refused(manifest("[]"), r"with --direct-mounts nothing is copied", "--direct-mounts", "--allow-transient-write")
    done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", "--direct-mounts", guest("given")], capture_output=True, text=True)
    check(done.returncode == 2 and "are for applications" in done.stderr, done.stderr)


def case_assets_transient():
    """--allow-transient-write: components write copies of their files, which end with the application."""
    manifest = HEAD + wagi("/...", "one") + component("one", guest("cgi_module"), 'files = [{ source = "inner", destination = "/data" }]')
    with folder(manifest) as top, tempfile.TemporaryDirectory() as room:
        tree(top, "inner/a.txt")
        with Server(top, "--allow-transient-write", "--temp", room) as server:
            same(lines(server.port, "/file")[:2], ["text of inner/a.txtwritten", "not there"], "it is written")
            check(lines(server.port, "/file")[0].startswith("not read"), "and empty then")
            copies = glob.glob(f"{room}/mayfly-files-*")
            check(len(copies) == 1, "there is one copy")
        with open(f"{top}/inner/a.txt") as file:
            check(file.read() == "text of inner/a.txt", "the application's folder is as it was")
        check(os.listdir(room) == [], "the copy is gone")


# ---- the executor wagi ----


def wagi(route, name, more=""):
    return f'[[trigger.http]]\nroute = "{route}"\ncomponent = "{name}"\nexecutor = {{ type = "wagi"{more} }}\n'


def answers_as_cgi(guest_name):
    """Variables, arguments, standard input; its output is the answer."""
    manifest = HEAD + wagi("/cgi/...", "cgi") + wagi("/args/:who/...", "args", ', argv = "prog one ${ARGS} ${SCRIPT_NAME} ${other}"') + \
        trigger("/front/...", "front") + component("cgi", guest(guest_name), 'environment = { A = "1", PATH_INFO = "mine" }') + \
        component("args", guest(guest_name)) + component("front", guest("client"), allow("http://cgi.spin.internal"))
    with folder(manifest) as top, Server(top) as server:
        def variables(path, **more):
            status, fields, body = ask(server.port, path, **more)
            check((status, fields["content-type"], fields["x-more"]) == (200, "text/plain", "1"), f"{path}: {status} {fields}")
            found = body.decode().splitlines()
            return [line for line in found if "=" not in line.split("?")[0]], dict(line.split("=", 1) for line in found if "=" in line)
        arguments, found = variables("/cgi/shown/%C3%A4%20b?x&y", method="POST", body=b"12345", headers=["X-Some-Thing: v", "Authorization: secret", "Content-Type: a/b"])
        same(arguments, ["/cgi/shown/%C3%A4%20b", "x", "y"], "the path, and the words of the query")
        wanted = {"A": "1", "PATH_INFO": "/shown/\u00e4 b", "X_RAW_PATH_INFO": "/shown/%C3%A4%20b", "PATH_TRANSLATED": "/shown/\u00e4 b",
                  "SCRIPT_NAME": "/cgi", "QUERY_STRING": "x&y", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "5", "CONTENT_TYPE": "a/b",
                  "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_SOFTWARE": "WAGI/1",
                  "GATEWAY_INTERFACE": "CGI/1.1", "REMOTE_ADDR": "127.0.0.1", "REMOTE_HOST": "127.0.0.1", "REMOTE_USER": "", "AUTH_TYPE": "",
                  "HTTP_X_SOME_THING": "v", "X_MATCHED_ROUTE": "/cgi/...", "X_RAW_COMPONENT_ROUTE": "/cgi/...", "X_COMPONENT_ROUTE": "/cgi",
                  "X_BASE_PATH": "/", "X_FULL_URL": "http://localhost/cgi/shown/%C3%A4%20b?x&y"}
        same({name: found.get(name) for name in wanted}, wanted, "variables")
        check("HTTP_AUTHORIZATION" not in found and "secret" not in str(found), f"what is nobody's business: {found}")
        arguments, found = variables("/args/me/shown?1&2")
        same(arguments, ["prog", "one", "1", "2", "/args/me/shown", "${other}"], "argv of the manifest")
        same([found["X_PATH_MATCH_WHO"], found["CONTENT_LENGTH"], "A" in found], ["me", "0", False], "of the other component")
        for size in (0, 1, 70000, 1000000):
            body = os.urandom(size)
            expect(ask(server.port, "/cgi/echo", method="POST", body=body), 200, body)
        status, fields, body = ask(server.port, "/cgi/moved")
        same((status, fields["location"], body), (302, "/elsewhere", b""), "a location")
        expect(ask(server.port, "/cgi/missing"), 404, b"nothing")
        expect(ask(server.port, "/cgi/exit"), 200, b"left")
        expect(ask(server.port, "/cgi/drops"), 201, b"body\n\nmore")
        expect(ask(server.port, "/cgi/missing", method="HEAD"), 404, b"")
        for path, said in (("empty", "nothing was written"), ("headless", "neither content-type nor location nor status"),
                           ("broken", "a line of the head is no field"), ("endless", "the head has no end"), ("fails", "status 1")):
            expect(ask(server.port, f"/cgi/{path}"), 500)
            check(server.wait_log(rf"\[cgi\] .*{said}"), f"{path}: {said}")
        check(server.wait_log(r"\[cgi\] stderr.*it fails"), "standard error goes to the log")
        expect(ask(server.port, "/cgi/exit"), 200, b"left")


def case_wagi():
    """A command answers requests."""
    answers_as_cgi("cgi")


def case_wagi_module():
    """So does a core module of WASI 0.1: with the files that it was given, and waiting as others do."""
    answers_as_cgi("cgi_module")
    manifest = HEAD + wagi("/...", "cgi") + trigger("/given", "given") + component("given", guest("given"), 'environment = { A = "1" }') + \
        component("cgi", guest("cgi_module"), 'files = [{ source = "inner", destination = "/data" }]\n[component.cgi.tool.mayfly]\ntimeout = "2s"\n')
    with folder(manifest) as top:
        os.mkdir(f"{top}/inner")
        for name in ("a.txt", "b.txt"):
            with open(f"{top}/inner/{name}", "w") as file:
                file.write(f"text of {name}\n")
        with Server(top) as server:
            status, _, body = ask(server.port, "/file")
            found = body.decode().splitlines()
            check(status == 200 and found[0] == "text of a.txt" and found[2] == "not there" and sorted(found[3:]) == ["a.txt", "b.txt"], f"its files: {found}")
            check(found[1] in ("Read-only file system", "Capabilities insufficient", "Permission denied"), f"to be read: {found}")
            with open(f"{top}/inner/a.txt") as file:
                check(file.read() == "text of a.txt\n", "only")
            expect(ask(server.port, "/sleep"), 200, b"slept 0\n")
            expect(ask(server.port, "/polls", method="POST", body=b"x"), 200, b"1 1 2 1\n")
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(Client(server.port)) for _ in range(20)]
                for client in clients:
                    client.send("/forever")
                expect(ask(server.port, "/given"), 200, b"variable A=1\n")
                expect(ask(server.port, "/sleep"), 200, b"slept 0\n")
                for client in clients[:3]:
                    client.socket.close()
                for client in clients[3:]:
                    expect(client.response(), 504)
            pid = server.workers()[0]
            open_files = len(os.listdir(f"/proc/{pid}/fd"))
            for _ in range(50):
                expect(ask(server.port, "/file"), 200)
            until(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= open_files, "no file stays open")  # the last connection does for a moment
            expect(ask(server.port, "/exit"), 200, b"left")


def case_wagi_refused():
    """What is no command, or wants two things of one component, is refused."""
    one = component("one", guest("cgi"))
    refused(HEAD + wagi("/...", "one") + component("one", guest("given")), r"does not export wasi:cli/run@0\.2 \(run\), which the executor wagi calls")
    refused(HEAD + trigger("/...", "one") + one, r"does not export wasi:http/incoming-handler")
    refused(HEAD + wagi("/a", "one") + trigger("/b", "one") + one, r'spin\.toml:\d+: another trigger of component "one" has another executor')
    refused(HEAD + wagi("/...", "one") + component("one", guest("preload_lib")), r"exports no function _start without parameters and results, which the executor wagi calls")
    refused(HEAD + trigger("/...", "one") + component("one", guest("cgi_module")), r"a core module that does not say what it is as a component")
    refused(HEAD + wagi("/a", "one") + wagi("/b", "one", ', argv = "x"') + one, r"another executor")
    refused(HEAD + wagi("/a", "one", ', entrypoint = "main"') + one, r"spin\.toml:\d+: mayfly does not have entrypoints of the executor wagi but _start")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
