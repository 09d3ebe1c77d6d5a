#!/usr/bin/env python3
"""End to end: the application of the examples, four components in four languages.

    meadow.py [--tier TIER] PROGRAM [CASE...]    as run.py

Three of its components are too large for the tree. They are built, by the commands in its manifest, with
MAYFLY_TEST_FULL=1 or where GUEST_TOOLS says where tools are; a toolchain that is missing skips the cases.
"""
import concurrent.futures
import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib

import run
from observe import Metrics
from run import FULL, ROOT, Client, Server, Skipped, ask, check, children, expect
from workers import until

SOURCE = os.path.join(ROOT, "examples", "meadow")
SECRET, INVITE, PASSWORD = "of the meadow only", "with the sun", "long enough"
FORM = ("Content-Type: application/x-www-form-urlencoded",)


def copied(folder):
    """The example and what its scripts read, where files may be made beside it."""
    for name in ("examples/meadow", "scripts", "wit"):
        shutil.copytree(os.path.join(ROOT, name), os.path.join(folder, name), dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("target", "Cargo.lock", "api.wasm", "page.wasm", "stats.wasm"))
    return os.path.join(folder, "examples", "meadow")


def build(top, environment):
    """Runs the manifest's commands for what is not in the tree, and not newer than its sources."""
    with open(os.path.join(top, "spin.toml"), "rb") as file:
        components = tomllib.load(file)["component"]
    check(set(components) == {"auth", "stats", "api", "page"}, f"four components, not {set(components)}")
    newest = max(os.path.getmtime(os.path.join(at, file)) for at, _, files in os.walk(SOURCE) for file in files if not file.endswith(".wasm"))
    for name in ("api", "page", "stats"):  # stats needs what api installs
        out, command = os.path.join(top, components[name]["source"]), components[name]["build"]
        if os.path.exists(out) and os.path.getmtime(out) > newest:
            continue
        began = time.monotonic()
        done = subprocess.run(command["command"], shell=True, cwd=os.path.join(top, command["workdir"]), env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=900)
        if done.returncode == 69:
            raise Skipped(f"{name} of examples/meadow: {done.stderr.strip()[-200:]}")
        check(done.returncode == 0, f"{name}: {done.stderr[-2000:]}")
        check(os.path.isfile(out), f"{name}: its source is made")
        print(f"  {name}: built in {time.monotonic() - began:.1f} s")


def application():
    """The folder of the application, built once."""
    if not FULL and "GUEST_TOOLS" not in os.environ:
        raise Skipped("examples/meadow is built with MAYFLY_TEST_FULL=1 or GUEST_TOOLS only")
    beside = os.path.dirname(run.PROGRAM)
    folder = os.path.join(beside, "guests", "meadow")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        top = copied(folder)
        build(top, {"GUEST_TOOLS": os.path.join(beside, "guest-tools")} | os.environ)
    return top


@contextlib.contextmanager
def meadow(change=lambda manifest: manifest):
    """It serves, from a copy of its own, with an empty state; gives the server and the manifest's path."""
    built = application()
    with tempfile.TemporaryDirectory() as top:
        shutil.copytree(built, f"{top}/app")
        manifest = f"{top}/app/spin.toml"
        rewrite(manifest, change)
        os.environ.update(SPIN_VARIABLE_SECRET=SECRET, SPIN_VARIABLE_INVITE=INVITE)
        began = time.monotonic()
        with Server(f"{top}/app", "--state-dir", f"{top}/state", "--admin", "127.0.0.1:0") as server:
            print(f"  serves after {(time.monotonic() - began) * 1000:.0f} ms")
            yield server, manifest
            check(SECRET not in server.log() and INVITE not in server.log() and PASSWORD not in server.log(), "a secret in the log")


def rewrite(manifest, change):
    with open(manifest) as file:
        before = file.read()
    after = change(before)
    with open(manifest, "w") as file:
        file.write(after)
    return before, after


def without(line):
    """A manifest without one line that begins so."""
    def change(manifest):
        after = re.sub(rf"^{re.escape(line)}.*\n", "", manifest, count=1, flags=re.M)
        check(after != manifest, f"{line!r} is in the manifest")
        return after
    return change


def instead(old, new):
    def change(manifest):
        check(old in manifest, f"{old!r} is in the manifest")
        return manifest.replace(old, new, 1)
    return change


def form(server, path, **fields):
    body = "&".join(f"{key}={value.replace(' ', '+')}" for key, value in fields.items())
    return ask(server.port, path, method="POST", body=body.encode(), headers=FORM)


def join(server, name="ada", **changed):
    return form(server, "/join", **({"name": name, "password": PASSWORD, "invite": INVITE} | changed))


def token_of(answer):
    expect(answer, 303)
    token = answer[2].decode().strip()
    check(answer[1]["location"] == "/" and answer[1]["set-cookie"].startswith(f"token={token}; ") and
          "HttpOnly" in answer[1]["set-cookie"], f"a browser gets it too: {answer[1]}")
    return token


def signed(name, expiry, secret=SECRET):
    claim = f"{name}.{expiry}"
    return f"{claim}.{hmac.new(secret.encode(), claim.encode(), hashlib.sha256).hexdigest()}"


def bearer(token):
    return (f"Authorization: Bearer {token}",)


def post(server, token, lines):
    status, headers, body = ask(server.port, "/api/readings", method="POST", body=lines.encode(), headers=bearer(token) if token else ())
    check(headers.get("content-type") == "application/json", f"JSON, not {headers} {body!r:.200}")
    return status, json.loads(body)


def page(server, token=None):
    status, headers, body = ask(server.port, "/", headers=(f"Cookie: other=1; token={token}",) if token else ())
    check(status == 200 and headers["content-type"].startswith("text/html"), f"a page, not {status} {body!r:.300}")
    return body.decode()


# ---- cases ----


def case_meadow_people():
    """Who has the invite joins, who knows the password logs in, and a token counts if it is signed, whole and not over."""
    with meadow() as (server, _):
        token = token_of(join(server))
        check(re.fullmatch(r"ada\.[0-9]+\.[0-9a-f]{64}", token) and signed(*token.split(".")[:2]) == token, f"as it is signed elsewhere: {token}")
        expect(join(server), 409)
        expect(join(server, "eve", invite="with the moon"), 403)
        expect(join(server, "eve", password="short"), 400)
        for name in ("", "Eve", "a" * 33, "a.1"):
            expect(join(server, name), 400)
        expect(form(server, "/join", name="eve", password="x" * 5000, invite=INVITE), 413)
        token_of(join(server, "eve", password="some other"))
        token_of(form(server, "/login", name="ada", password=PASSWORD))
        token_of(form(server, "/login", name="ada", password="l%6Fng%20enough"))
        for name, password in (("ada", "long enougj"), ("ada", "some other"), ("bob", PASSWORD), ("eve", PASSWORD)):
            expect(form(server, "/login", name=name, password=password), 401, b"no such name and password\n")
        later = int(time.time()) + 100
        for right in (token, signed("ada", later)):
            check(post(server, right, "brook,1") == (200, {"added": 1, "person": "ada"}), "a token that counts")
        wrong = (None, "", "x", "..", token[:-1], token + "0", token[:-1] + ("0" if token[-1] != "0" else "1"), token.replace("ada", "eve"),
                 signed("ada", int(time.time()) - 1), signed("ada", later, "another"), f"ada.{later}.", token.upper())
        for tampered in wrong:
            check(post(server, tampered, "brook,1") == (401, {"error": "log in first"}), f"a token that does not count: {tampered}")
        expect(ask(server.port, "/login"), 405)


def expected(readings):
    """What the statistics must be."""
    places = {}
    for place, value in readings:
        places.setdefault(place, []).append(value)
    return {place: {"count": len(values), "least": min(values), "most": max(values), "mean": statistics.fmean(values),
                    "median": statistics.median(values), "deviation": statistics.pstdev(values)} for place, values in places.items()}


def same(found, right):
    check(len(found) == len(right), f"{len(right)} places, not {found!r:.300}")
    for place in found:
        for key, value in right[place["place"]].items():
            check(abs(place[key] - value) < 1e-9 * max(1, abs(value)), f"{key} of {place}: {value}")


def case_meadow_readings():
    """Statistics of what was told, whoever asks; lines that are none are refused whole, with their number."""
    source = random.Random(5)
    readings = [(source.choice(("brook", "hill", "a \"b\", c")), round(source.gauss(10, 5), 3)) for _ in range(2000)]
    with meadow() as (server, _):
        token = token_of(join(server))
        def summary():
            status, headers, body = ask(server.port, "/api/summary")
            check(status == 200 and headers["content-type"] == "application/json", f"{status} {body!r:.300}")
            return json.loads(body)
        check(summary() == {"places": [], "notes": []}, "nothing yet")
        quoted = {place: '"' + place.replace('"', '""') + '"' for place, _ in readings}
        for part in (readings[:1], readings[1:4], readings[4:]):
            lines = "# a comment\n" + "".join(f"{quoted[place]}, {value}\r\n" for place, value in part)
            check(post(server, token, lines) == (200, {"added": len(part), "person": "ada"}), "all of them are taken")
        same(summary()["places"], expected(readings))
        for lines, why in (("", "no readings"), ("brook", "line 1: "), ("brook,1\nhill,x", 'line 2: "x" is no number'),
                           ("brook,1\n\nhill,NaN", "line 3: "), (",1", "line 1: "), ('brook,1\n"hill,2', "line 2: "),
                           ("brook,1,2,3", "line 1: "), ("b" * 65 + ",1", "line 1: ")):
            status, value = post(server, token, lines)
            check(status == 400 and why in value["error"], f"{lines!r:.40}: {status} {value}, not {why!r}")
        expect(ask(server.port, "/api/readings", method="POST", body=b"x" * (1 << 20 | 1), headers=bearer(token)), 413)
        same(summary()["places"], expected(readings))
        expect(ask(server.port, "/api/readings"), 405)
        expect(ask(server.port, "/api/nothing"), 404)


def case_meadow_page():
    """The page has what the others answer, for each who asks; what people wrote is text in it; the rest is not to be had."""
    note = "the *first* **mayflies**, [seen](https://example.com/x) <script>alert(1)</script> `&`"
    with meadow() as (server, _):
        token = token_of(join(server))
        check("You are not logged in." in page(server), "nobody is there")
        check(post(server, token, f'brook,12.5,"{note}"\nbrook,13.5\n<i>,1')[0] == 200, "readings and a note")
        text = page(server, token)
        for wanted in ("<p>Welcome, <b>ada</b>.</p>", "<tr><th>brook</th><td>2</td><td>12.5</td><td>13.5</td><td>13</td><td>13</td><td>0.5</td></tr>",
                       "<tr><th>&lt;i&gt;</th><td>1</td>", "<li>the <em>first</em> <strong>mayflies</strong>, <a href=\"https://example.com/x\">seen</a> "
                       "&lt;script&gt;alert(1)&lt;/script&gt; <code>&amp;</code> <small>ada, brook</small></li>"):
            check(wanted in text, f"{wanted} in {text}")
        check("<script>alert" not in text and "gone" not in text, f"all parts, and text as text: {text}")
        check("You are not logged in." in page(server, token[:-2] + "zz"), "a token that is none")
        for path, kind in (("/static/page.css", "text/css"), ("/static/page.js", "text/javascript")):
            status, headers, body = ask(server.port, path)
            with open(f"{SOURCE}/page/site/{os.path.basename(path)}", "rb") as file:
                check((status, headers["content-type"], body) == (200, kind, file.read()), f"{path}: {status} {headers}")
        for path in ("/summary", "/readings", "/check", "/stats", "/static/page.html", "/static/../page.py", "/static/%2e%2e/page.py"):
            expect(ask(server.port, path), 404)
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(8) as several:
            texts = list(several.map(lambda number: page(server, token if number % 2 else None), range(40)))
        for number, text in enumerate(texts):
            check(("Welcome, <b>ada</b>" in text) == bool(number % 2) and "<em>first</em>" in text, f"a page of somebody else: {text}")
        print(f"  40 pages by 8 clients in {time.monotonic() - began:.2f} s")
        with Client(server.port) as client:
            times = []
            for _ in range(20):
                began = time.monotonic()
                expect(client.ask("/"), 200)
                times.append(time.monotonic() - began)
        print(f"  a page, by one client: {statistics.median(times) * 1000:.1f} ms")
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/metrics", server.log())[1])
        def counted(name, **labels):
            return Metrics(ask(port, "/metrics")[2].decode()).of("mayfly_requests_total", function=name, **labels)
        # Counted are 63 pages and two of its files; of each page one request to auth and api, and two to stats.
        until(lambda: counted("page", status="2xx") == 65, "all pages are counted")
        until(lambda: counted("auth") == 63 + 2, "of each page, and one to join and to tell")
        until(lambda: counted("api") == 63 + 1, "of each page, and one to tell")
        until(lambda: counted("stats", status="2xx") == 2 * 63 + 1, "two of each page, and one to tell")


def asks(server, manifest, change, wanted, log):
    """What is there when the manifest is changed so, taken up by a signal, and put back."""
    before, _ = rewrite(manifest, change)
    count = server.log().count("INFO  reloaded")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: server.log().count("INFO  reloaded") > count, "the manifest is taken up")
    until(lambda: len(children(server.process.pid)) == 1, "those that served before are gone")
    wanted()
    check(server.wait_log(log), f"{log!r} in the log")
    with open(manifest, "w") as file:
        file.write(before)


def case_meadow_denied():
    """Without one of its grants a component is denied, the log says so, and the others go on."""
    with meadow() as (server, manifest):
        token = token_of(join(server))
        check(post(server, token, "brook,7,a *note*")[0] == 200, "all is granted")
        table, notes = "<tr><th>brook</th>", "<em>note</em>"
        def shows(*parts, gone=()):
            text = page(server, token)
            for part in parts:
                check(part in text, f"{part!r} in {text}")
            check(len(re.findall('class="gone"', text)) == len(gone), f"{len(gone)} parts are gone in {text}")
            for part in gone:
                check(f'<p class="gone">{part}' in text, f"{part} is gone in {text}")
        def no_login():
            expect(form(server, "/login", name="ada", password=PASSWORD), 500)
            shows("Welcome, <b>ada</b>", table, notes)
        def no_check():
            check(post(server, token, "brook,1") == (502, {"error": "auth.spin.internal did not answer"}), "nobody is known")
            shows(table, notes)
        def no_database():
            check(post(server, token, "brook,1") == (500, {"error": "the database: access denied"}), "no database")
            shows("Welcome", gone=("stats does not answer: status 500", "api does not answer: status 500"))
        rows = ((instead(', "http://stats.spin.internal", "http://api', ', "http://api'),
                 lambda: shows("Welcome", notes, gone=("stats does not answer: HttpRequestDenied",)),
                 r"\[page\] denied: a request to http://stats\.spin\.internal"),
                (without("sqlite_databases"), no_database, r'\[stats\] denied: opening the SQLite database "default"'),
                (without("key_value_stores"), no_login, r'\[auth\] denied: opening the key-value store "default"'),
                (instead('["http://auth.spin.internal", "http://stats.spin.internal"]', '["http://stats.spin.internal"]'), no_check,
                 r"\[api\] denied: a request to http://auth\.spin\.internal"),
                (without("secret = \"{{"), lambda: shows(table, notes, gone=("auth does not answer: status 500",)),
                 r"\[auth\] stderr: auth: the variable secret has no value"),
                (without("files"), lambda: expect(ask(server.port, "/"), 500, b"the page has no files\n"), r"\[page\] stderr: page: /site/page\.html"))
        for change, wanted, log in rows:
            asks(server, manifest, change, wanted, log)
        asks(server, manifest, lambda before: before, lambda: shows("Welcome, <b>ada</b>", table, notes), "reloaded")


def case_meadow_fails():
    """One that traps, and one that may not compute as long as it needs, take nobody with them."""
    with meadow() as (server, manifest):
        token = token_of(join(server))
        check(post(server, token, "brook,7")[0] == 200, "all is well")
        small = '[component.stats.tool.mayfly]\nmax_memory = "3M"\n\n[component.stats.build]'
        def no_stats():
            text = page(server, token)
            check("Welcome" in text and "stats does not answer: status 500" in text and "api does not answer: status 502" in text, text)
            check(post(server, token, "brook,1") == (502, {"error": "stats.spin.internal did not answer"}), "who asks is told")
            token_of(form(server, "/login", name="ada", password=PASSWORD))
        asks(server, manifest, instead("[component.stats.build]", small), no_stats, r"\[stats\] trap: ")
        def no_login():
            expect(form(server, "/login", name="ada", password=PASSWORD), 504)
            check("Welcome" in page(server, token), "a token is checked in less")
        asks(server, manifest, instead('max_body = "4K"', 'max_body = "4K"\ncpu_time = "2ms"'), no_login,
             r"\[auth\] ended: a request may take .* of processor time")
        asks(server, manifest, lambda before: before, lambda: token_of(form(server, "/login", name="ada", password=PASSWORD)), "reloaded")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
