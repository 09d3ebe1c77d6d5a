#!/usr/bin/env python3
"""End to end: the admin address as people see it: the page, what the application is, what went wrong lately, and who may
ask.

    page.py [--tier TIER] PROGRAM [CASE...]    as run.py

MAYFLY_PICTURES=FOLDER: page_browser leaves pictures of the page there.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time

from app import HEAD, component, trigger
from browser import Browser
from cli import check_described, leaves
from observe import observed, state, until
from run import ROOT, Client, ask, check, expect, guest, main

PAGE = os.path.join(ROOT, "src", "node", "page")
FILES = {"/": ("page.html", "text/html; charset=utf-8"), "/page.css": ("page.css", "text/css; charset=utf-8"),
         "/page.js": ("page.js", "text/javascript; charset=utf-8"), "/icon.svg": ("icon.svg", "image/svg+xml")}
SECRET = "hunter2-is-a-secret"
EVIL = b"<b onload=x>\x1b[3"  # as long as drop_the_letter, a function's name in trap.wasm


def limits(name, text):
    return f"[component.{name}.tool.mayfly]\n{text}\n"


def write_shop(top):
    """An application of several components, one of which has names that are no names."""
    os.mkdir(f"{top}/assets")
    with open(guest("trap"), "rb") as file:
        whole = file.read()
    check(b"drop_the_letter" in whole and len(EVIL) == len(b"drop_the_letter"), "the name is in the guest")
    with open(f"{top}/evil.wasm", "wb") as file:
        file.write(whole.replace(b"drop_the_letter", EVIL))
    private = '[[trigger.http]]\nroute = { private = true }\ncomponent = "ledger"\n'
    fixed = '[[trigger.http]]\nroute = "/about"\nstatic_response = { status_code = 203, body = "a shop" }\n'
    manifest = HEAD.replace('"test"', '"corner-shop"\nversion = "1.4.0"\ndescription = "Sells what there is"') + \
        f'[variables]\nhost = {{ default = "api.example.com" }}\ntoken = {{ default = "{SECRET}", secret = true }}\n' + \
        trigger("/", "front") + trigger("/fetch", "orders") + trigger("/types", "orders") + trigger("/item/:id", "front") + \
        trigger("/trap/...", "reports") + trigger("/loop", "reports") + fixed + private + \
        component("front", guest("greedy"), 'description = "Shows the shop"\n'
                  'files = [{ source = "assets", destination = "/assets" }]\nenvironment = { THEME = "plain" }\n') + \
        component("orders", guest("client"), 'description = "Takes orders and asks the warehouse"\n'
                  'allowed_outbound_hosts = ["https://{{ host }}", "http://127.0.0.1:*", "https://{{ token }}.example.com"]\n'
                  f'environment = {{ API_KEY = "{SECRET}", LOG_LEVEL = "info" }}\n' + limits("orders", 'timeout = "2s"\nmax_memory = "64M"')) + \
        component("reports", f"{top}/evil.wasm", limits("reports", 'cpu_time = "100ms"')) + \
        component("ledger", guest("storage"), 'key_value_stores = ["default"]\nsqlite_databases = ["ledger"]\n[component.ledger.variables]\ntoken = "{{ token }}"\n')
    with open(f"{top}/spin.toml", "w") as file:
        file.write(manifest)


@contextlib.contextmanager
def shop(*options):
    with tempfile.TemporaryDirectory() as top:
        write_shop(top)
        with observed(top, *options) as server:
            yield server


def named(server, host, path="/status", target=None):
    """The status of an answer to who asks under this name; None: without a name, as in HTTP/1.0."""
    with Client(server.admin) as client:
        if host is None:
            client.socket.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        else:
            client.socket.sendall(f"GET {target or path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return client.response()


def case_page_names():
    """Who asks by an address, as localhost or by a name that was given is answered; a stranger's name is not."""
    with observed(guest("trap"), "--known-as", "ops.example", "--known-as", "Two.Example") as server:
        for host in ("127.0.0.1", f"127.0.0.1:{server.admin}", "10.0.0.1", "[::1]", "[::1]:80", "localhost", "LOCALHOST:1", "localhost.",
                     "ops.example", "OPS.example:3001", "ops.example.", "two.example", "", None):
            for path in ("/", "/status", "/metrics", "/application"):
                check(named(server, host, path)[0] == 200, f"{host!r} may ask for {path}")
        for host in ("evil.example", "ops.example.evil.example", "xops.example", "127.0.0.1.evil.example", "localhost.evil.example",
                     "1.2.3", "0x7f000001", "2130706433", "127.1", "[::1", "a", f"evil.example:{server.admin}"):
            for path in ("/", "/page.js", "/status", "/metrics", "/application", "/absent"):
                status, headers, body = named(server, host, path)
                check(status in (400, 421), f"{host!r} may not ask for {path}: {status}")
                check(b"function" not in body and b"mayfly_" not in body, f"and is told nothing: {body!r}")
        check(b"--known-as NAME" in named(server, "evil.example")[2], "it says what would help")
        check(named(server, "localhost", target="http://evil.example/status")[0] == 421, "the target's name counts")
        check(named(server, "evil.example", "/healthz")[0] == 200, "whether it serves is no secret")


def case_page_guards():
    """The files of the page are those in the tree, and every answer says that it is for nobody else's pages."""
    with observed(guest("trap")) as server:
        for path, (name, kind) in FILES.items():
            with open(os.path.join(PAGE, name), "rb") as file:
                expected = file.read()
            status, headers, body = ask(server.admin, path)
            check((status, headers["content-type"], body) == (200, kind, expected), f"{path} is {name}: {status} {headers}")
            status, headers, body = ask(server.admin, path, method="HEAD")
            check(status == 200 and int(headers["content-length"]) == len(expected) and not body, f"HEAD {path}: {headers}")
            check(ask(server.admin, path, method="POST", body=b"x")[0] == 405, f"nothing is taken at {path}")
        for path in (*FILES, "/application", "/status", "/metrics", "/healthz", "/absent"):
            headers = ask(server.admin, path)[1]
            policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
            check(policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'", f"{policy}")
            check({value for name, value in policy.items() if name.endswith("-src") and name != "default-src"} == {"'self'"}, f"{policy}")
            check(policy["require-trusted-types-for"] == "'script'" and policy["trusted-types"] == "'none'", f"{policy}")
            for name, value in (("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-origin"),
                                ("cross-origin-opener-policy", "same-origin"), ("referrer-policy", "no-referrer"), ("cache-control", "no-store")):
                check(headers[name] == value, f"{path}: {name}: {headers.get(name)}")
            check("access-control-allow-origin" not in headers, "no other page may read it")
    markup = open(os.path.join(PAGE, "page.html")).read()
    check(not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)|(src|href)=\"(?![/#])", markup), "nothing is inline or from elsewhere")
    script = open(os.path.join(PAGE, "page.js")).read()
    check(not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser", script), "data is text")


def application(server):
    status, headers, body = ask(server.admin, "/application")
    check(status == 200 and headers["content-type"] == "application/json", f"{status} {headers}")
    return json.loads(body)


def case_page_application():
    """What an application is: routes, and of each component all that it was given and nothing that is a secret."""
    with shop() as server:
        said = application(server)
        check({path for path, _ in leaves(said)} <= check_described("application", said), "all of it is described")
        check((said["name"], said["version"], said["description"]) == ("corner-shop", "1.4.0", "Sells what there is"), f"{said}")
        check(said["url"] == f"http://127.0.0.1:{server.port}" and said["manifest"].endswith("spin.toml"), f"{said}")
        routes = [(row["path"], row["private"], row["function"], row["status"]) for row in said["routes"]]
        check(routes == [("/", False, "front", None), ("/fetch", False, "orders", None), ("/types", False, "orders", None),
                         ("/item/:id", False, "front", None), ("/trap/...", False, "reports", None), ("/loop", False, "reports", None), ("/about", False, None, 203), (None, True, "ledger", None)], f"{routes}")
        rows = {row["name"]: row for row in said["functions"]}
        check(list(rows) == [row["name"] for row in state(server)["functions"]], "in the order of /status")
        nothing = {"hosts": [], "listens": [], "files": [], "stores": [], "databases": [], "environment": [], "variables": []}
        check(rows["reports"]["grants"] == nothing, f"nothing is granted: {rows['reports']}")
        check(rows["front"]["grants"] == {**nothing, "files": [{"path": "/assets", "writable": False}], "environment": ["THEME"]}, f"{rows['front']}")
        hosts = ["https://{{ host }}", "http://127.0.0.1:*", "https://{{ token }}.example.com"]
        check(rows["orders"]["grants"] == {**nothing, "hosts": hosts, "environment": ["API_KEY", "LOG_LEVEL"]}, f"{rows['orders']}")
        check(rows["ledger"]["grants"] == {**nothing, "stores": ["default"], "databases": ["ledger"], "variables": ["token"]}, f"{rows['ledger']}")
        check(rows["orders"]["limits"]["time_ns"] == 2000000000 and rows["orders"]["limits"]["memory_bytes"] == 64 << 20, "its limits")
        check(rows["reports"]["limits"]["cpu_ns"] == 100000000, "and another's")
        for path in ("/", "/application", "/status", "/metrics"):
            check(SECRET.encode() not in ask(server.admin, path)[2], f"no value is at {path}")
    grants = ("--dir", "/usr::/data:ro", "--dir", "/tmp::/tmp", "--env", f"KEY={SECRET}", "--allow-outbound", "https://*", "--allow-net", "a.test:1",
              "--allow-listen", "127.0.0.1:0", "--snapshot")
    with observed(guest("sockets"), *grants) as server:
        said = application(server)
        row, = said["functions"]
        check(said["name"] is None and said["routes"] == [] and said["manifest"] is None and row["snapshot"] is True, f"{said}")
        check({path for path, _ in leaves(said)} <= check_described("application", said), "all of it is described")
        check(row["grants"] == {"hosts": ["https://*", "a.test:1"], "listens": ["127.0.0.1:0"], "stores": [], "databases": [], "environment": ["KEY"], "variables": [],
                                "files": [{"path": "/data", "writable": False}, {"path": "/tmp", "writable": True}]}, f"{row}")
        check(SECRET.encode() not in ask(server.admin, "/application")[2], "no value is told")


def case_page_changed():
    """A manifest that changed is another application, under the same address."""
    with tempfile.TemporaryDirectory() as top:
        def write(name):
            with open(f"{top}/spin.toml", "w") as file:
                file.write(HEAD + trigger("/...", name) + component(name, guest("given"), 'environment = { A = "1" }'))
        write("one")
        with observed(top) as server:
            check([row["name"] for row in application(server)["functions"]] == ["one"], "what it begins with")
            write("two")
            server.process.send_signal(signal.SIGHUP)
            until(lambda: [row["name"] for row in application(server)["functions"]] == ["two"], "the other one")
            until(lambda: [row["name"] for row in state(server)["functions"]] == ["two"], "and its figures")


def case_page_incidents():
    """What went wrong lately: traps with backtraces, limits, what was denied; the last of all workers, the newest first; kept
    when workers die. Nothing of a request is in it."""
    with shop("--workers", "2") as server:
        check(state(server)["incidents"] == [], "nothing went wrong yet")
        expect(ask(server.port, f"/trap/?token={SECRET}", headers=[f"X-Key: {SECRET}"]), 500)
        for _ in range(5):
            expect(ask(server.port, f"/fetch?url=http://10.0.0.1/{SECRET}"), 200)
        denied, trapped = sorted(state(server)["incidents"], key=lambda row: row["kind"])
        check((denied["kind"], denied["function"]) == ("denied", "orders") and (trapped["kind"], trapped["function"]) == ("trap", "reports"), f"both: {denied} {trapped}")
        check(re.fullmatch(r'a request to http://10\.0\.0\.1\nto permit it: add "http://10\.0\.0\.1" to allowed_outbound_hosts of component "orders" '
                           r'\(\S+spin\.toml:\d+\)\n', denied["text"]), f"once, and what would permit it: {denied}")
        check(EVIL.decode().replace("\x1b", "") in trapped["text"].replace("\x1b", ""), f"a name as it is: {trapped}")
        with observed(guest("trap"), "--workers", "2", "--cpu-time", "100ms") as other:
            expect(ask(other.port, f"/trap?token={SECRET}"), 500)
            last, = state(other)["incidents"]
            check(last["kind"] == "trap" and last["function"] == "trap" and abs(last["time_ms"] / 1000 - time.time()) < 60, f"{last}")
            lines = last["text"].split("\n")
            check(lines[0] == "unreachable" or "unreachable" in lines[0], f"why: {lines}")
            check("drop_the_letter" in lines[1] and any("carry_the_mail" in line for line in lines), f"its backtrace: {lines}")
            expect(ask(other.port, "/loop"), 504)
            last = state(other)["incidents"][0]
            check(last["kind"] == "limit" and last["text"].startswith("a request may take 0.1 s of processor time (--cpu-time)\n") and
                  "spin_forever" in last["text"], f"a limit, and where: {last}")
            expect(ask(other.port, "/stack"), 500)
            check("times more" in state(other)["incidents"][0]["text"], "recursion is told in two lines")
            for _ in range(100):
                expect(ask(other.port, "/divide"), 500)
            said = state(other)
            kinds = [row["kind"] for row in said["incidents"]]
            check((kinds.count("trap"), kinds.count("limit"), len(kinds)) == (16, 1, 17), f"16 of each kind are kept: {kinds}")
            check({row["worker"] for row in said["incidents"]} <= {0, 1}, "of both workers")
            times = [row["time_ms"] for row in said["incidents"]]
            check(times == sorted(times, reverse=True), "the newest first")
            check({path for path, _ in leaves(said)} <= check_described("status", said), "all of it is described")
            time.sleep(1.1)
            for worker in said["workers"]:
                os.kill(worker["pid"], signal.SIGKILL)
            until(lambda: all(row["up"] and row["restarts"] == 1 for row in state(other)["workers"]), "others take their places")
            check(state(other)["incidents"] == said["incidents"], "what was there is kept")
            expect(ask(other.port, "/trap"), 500)
            check("drop_the_letter" in state(other)["incidents"][0]["text"], "and goes on")
            check(SECRET.encode() not in ask(other.admin, "/status")[2], "nothing of a request")
        check(SECRET.encode() not in ask(server.admin, "/status")[2], "nothing of a request")


def case_page_failed():
    """A function that cannot begin says why."""
    manifest = HEAD + trigger("/endless", "endless") + trigger("/...", "one") + component("one", guest("given")) + \
        component("endless", guest("endless"), limits("endless", 'cpu_time = "200ms"'))
    with tempfile.TemporaryDirectory() as top:
        with open(f"{top}/spin.toml", "w") as file:
            file.write(manifest)
        with observed(top) as server:
            expect(ask(server.port, "/endless"), 500)
            last, = state(server)["incidents"]
            check((last["kind"], last["function"]) == ("failed", "endless") and
                  last["text"].startswith("not loaded: instantiation traps: time limit reached"), f"{last}")


def case_page_gauges():
    """Who waits, how much memory, which image: each function's own."""
    with shop("--max-memory", "48M") as server, contextlib.ExitStack() as stack:
        def row(name):
            return next(row for row in state(server)["functions"] if row["name"] == name)
        check(row("front")["generation"] == 0 and row("front")["memory_bytes"] == 0, "nobody asked for it")
        check(row("front")["tier"] in ("fast", "best"), f"its image: {row('front')}")
        expect(ask(server.port, "/"), 200)
        check(row("front")["generation"] == 1 and row("front")["memory_bytes"] >= 65536, f"{row('front')}")
        before = row("front")["memory_bytes"]
        expect(ask(server.port, "/item/x"), 200)
        check(row("front")["memory_bytes"] == before and row("ledger")["memory_bytes"] == 0, "an instance's, not all")
        expect(ask(server.port, "/about"), 203, b"a shop")
        check(state(server)["workers"][0]["fixed"] == 1, "the route's own answer")
    with observed(guest("greedy"), "--max-memory", "48M", "--timeout", "20s") as server, contextlib.ExitStack() as stack:
        def function():
            return state(server)["functions"][0]
        clients = [stack.enter_context(Client(server.port)) for _ in range(200)]
        for client in clients:
            client.send("/wait")
        until(lambda: (function()["running"], function()["asleep"]) == (200, 200), "two hundred wait, put aside or not")
        for client in clients[:50]:
            client.socket.close()
        until(lambda: (function()["running"], function()["asleep"]) == (150, 150), "fifty are gone")
        worker = state(server)["workers"][0]["pid"]
        time.sleep(1.1)
        os.kill(worker, signal.SIGKILL)
        until(lambda: state(server)["workers"][0]["restarts"] == 1 and state(server)["workers"][0]["up"], "another worker")
        check((function()["running"], function()["asleep"]) == (0, 0), "which begins without them")
        expect(ask(server.port, "/grow"), 200)
        check(40 << 20 < function()["memory_bytes"] <= 48 << 20, f"up to its limit: {function()}")


@contextlib.contextmanager
def load(server, *paths):
    """Some clients that ask until the end."""
    stop = threading.Event()

    def go_on(path, pause):
        with Client(server.port) as client:
            while not stop.is_set():
                client.ask(path)
                time.sleep(pause)
    threads = [threading.Thread(target=go_on, args=pair, daemon=True) for pair in paths]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)


def picture(tab, name):
    folder = os.environ.get("MAYFLY_PICTURES")
    if folder:
        tab.picture(os.path.join(folder, name + ".png"))


def look_at_widths(tab, name):
    """At every width nothing stands out to the right, in light and dark."""
    for width, height in ((1280, 900), (900, 900), (600, 900), (390, 844), (320, 640)):
        tab.size(width, height)
        for dark in (False, True):
            tab.dark(dark)
            wide = tab.ask("document.scrollingElement.scrollWidth")
            out = tab.ask("[...document.querySelectorAll('body *')].filter((n) => n.getBoundingClientRect().right > %d && "
                          "!n.closest('pre')).map((n) => n.outerHTML.slice(0, 80))" % (width + 1))
            check(wide <= width and not out, f"it fits into {width}: {wide}, {out}")
            picture(tab, f"{name}-{width}-{'dark' if dark else 'light'}")
    tab.dark(False)
    tab.size(1280, 900)


def case_page_browser():
    """In a browser: all of the application, how it fares under load, what goes wrong, and texts of guests as texts."""
    with Browser() as browser, shop("--workers", "2") as server:
        tab = browser.open(f"http://127.0.0.1:{server.admin}/")
        tab.until("document.querySelectorAll('.card').length === 4")
        check(tab.ask("document.title") == "corner-shop · mayfly", "its name")
        check("Sells what there is" in tab.ask("document.body.innerText"), "its description")
        check(tab.texts("#routes li") == ["/front", "/fetchorders", "/typesorders", "/item/:idfront", "/trap/...reports", "/loopreports", "/aboutanswers 203 itself",
                                          "privateledger"],
              f"its routes: {tab.texts('#routes li')}")
        chips = tab.texts(".card .chip")
        check(chips == ["/assetsread", "THEME", "https://{{ host }}", "http://127.0.0.1:*", "https://{{ token }}.example.com",
                        "API_KEY", "LOG_LEVEL", "default", "ledger", "token"], f"what is granted: {chips}")
        none = tab.texts(".grants .none")
        check("Nothing: no network, files, stores, databases or variables." in none, f"and what is not: {none}")
        tab.until("document.getElementById('nothing').offsetHeight > 0")
        tab.until("document.getElementById('state').textContent.startsWith('serving')")
        busy = [("/", 0.01), ("/item/7", 0.02), ("/types", 0.05), ("/trap", 0.4), ("/loop", 0.5),
                ("/fetch?url=https://evil.example/", 0.5)]
        with load(server, *busy):
            tab.until("document.querySelectorAll('.incident').length >= 3", 60)
            tab.until("Number(document.getElementById('rate').textContent.replace('k', '000')) > 3")
            tab.until("document.querySelectorAll('.card .line')[0].getAttribute('d').length > 40")
            if os.environ.get("MAYFLY_PICTURES"):
                time.sleep(40)
            tab.ask("document.querySelector('.incident').open = true, 1")
            look_at_widths(tab, "shop")
        kinds = set(tab.texts(".incident .kind"))
        check(kinds == {"trap", "limit", "denied"}, f"of each kind one: {kinds}")
        texts = tab.texts(".incident")
        denied, = [text for text in texts if "evil.example" in text]
        check('add "https://evil.example" to allowed_outbound_hosts of component "orders"' in denied, f"what would permit it: {denied}")
        evil = [text for text in texts if "<b onload=x>\ufffd[3" in text]
        check(evil, f"a name of a guest is text: {texts}")
        check(tab.ask("document.querySelectorAll('b').length") == 0, "and no element")
        check(any("×" in text for text in texts), "those that say the same are one")
        check(re.fullmatch(r"\d+ traps, \d+ limits met, 1 denial lately", tab.texts("#alarm")[0]), f"at the top: {tab.texts('#alarm')}")
        check(set(tab.texts("#workers tr td:first-child span:last-child")) == {str(row["pid"]) for row in state(server)["workers"]}, "its workers")
        check(SECRET not in tab.ask("document.documentElement.outerHTML"), "no secret")
        check({url for url in tab.asked if not url.startswith(f"http://127.0.0.1:{server.admin}/")} <= {"about:blank"}, f"nothing from elsewhere: {set(tab.asked)}")
        check(not tab.complaints, f"the browser complains: {tab.complaints[:3]}")
        check(tab.ask("fetch('http://127.0.0.1:%d/').then(() => 'read', () => 'refused')" % server.port) == "refused", "nothing may be sent elsewhere")
        tab.complaints.clear()
        server.process.send_signal(signal.SIGTERM)
        tab.until("document.getElementById('state').dataset.mood === 'bad' && document.getElementById('main').classList.contains('stale')")
        check(tab.texts("#state")[0].startswith("no answer"), "it says that nobody answers")


def case_page_browser_strangers():
    """A stranger's page in a browser of this machine learns nothing: neither under a name of its own that leads here, nor by asking,
    embedding or framing what is here."""
    tries = {"asked": "fetch(URL).then(() => 'read', () => 'refused')",
             "asked without reading": "fetch(URL, {mode: 'no-cors'}).then(() => 'read', () => 'refused')",
             "as a script": "new Promise((done) => { const node = document.createElement('script'); node.onload = () => done('read'); "
                            "node.onerror = () => done('refused'); node.src = URL; document.documentElement.append(node); })",
             "as a picture": "new Promise((done) => { const node = new Image(); node.onload = () => done('read'); "
                             "node.onerror = () => done('refused'); node.src = URL; })"}
    with Browser() as browser, observed(guest("greedy")) as server:
        tab = browser.open(f"http://evil.example:{server.port}/")
        tab.until("document.readyState === 'complete' && document.body.innerText.includes('fine')")
        for what, script in tries.items():
            for path in ("/status", "/application", "/metrics", "/page.js", "/icon.svg"):
                said = tab.ask(script.replace("URL", f"'http://127.0.0.1:{server.admin}{path}'"))
                check(said == "refused", f"{path}, {what}: {said}")
        rebound = browser.open(f"http://evil.example:{server.admin}/status")
        rebound.until("document.readyState === 'complete' && document.body !== null && document.body.innerText.length > 0")
        check("--known-as NAME" in rebound.ask("document.body.innerText"), f"under its own name: {rebound.ask('document.body.innerText')!r}")
        own = browser.open(f"http://localhost:{server.admin}/")
        own.until("document.querySelectorAll('.card').length === 1")
        check(not own.complaints, f"localhost is fine: {own.complaints}")
        tab.complaints.clear()
        tab.ask("new Promise((done) => { const frame = document.createElement('iframe'); frame.onload = () => done(1); "
                f"frame.src = 'http://127.0.0.1:{server.admin}/'; document.body.append(frame); }})")
        tab.until("true")
        check(any("frame-ancestors" in text for text in tab.complaints), f"in a frame: {tab.complaints}")


def case_page_browser_many():
    """Two hundred components: all are there, and can be found."""
    with tempfile.TemporaryDirectory() as top:
        with open(f"{top}/spin.toml", "w") as file:
            file.write(HEAD + "".join(trigger(f"/f{i}", f"f{i}x") for i in range(200)) +
                       "".join(component(f"f{i}x", guest("given"), f'environment = {{ NUMBER_{i} = "{i}" }}') for i in range(200)))
        with Browser() as browser, observed(top) as server:
            tab = browser.open(f"http://127.0.0.1:{server.admin}/")
            tab.until("document.querySelectorAll('.card').length === 200")
            expect(ask(server.port, "/f7"), 200)
            tab.until("document.querySelectorAll('.card')[7].querySelector('.rate').textContent.includes('1 so far')")
            tab.ask("document.getElementById('find').value = 'number_19', document.getElementById('find').dispatchEvent(new Event('input')), 1")
            shown = tab.ask("[...document.querySelectorAll('.card')].filter((card) => card.offsetHeight).map((card) => card.querySelector('h3').textContent)")
            check(shown == ["f19x", *(f"f{i}x" for i in range(190, 200))], f"what was looked for: {shown}")
            picture(tab, "many")
            check(not tab.complaints, f"the browser complains: {tab.complaints[:3]}")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
