"""The examples and templates of the Python SDK, before and after it turned to WASI 0.3, and an application as its users write them.
What they require is in virtual environments, one for all that require the same."""
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import peers
from example import Ask, Example, NotTried
from workers import until

PYTHON = "b443c72e6fedd357918f5c4127f4b3d7e2b354aa"
BEFORE = "8c35212f73ba23896bfb7e946f04207399d50a83"     # the last commit for spin-sdk 3: 3.4.1
EARLIER = "e93a76aabf01ba0be190f72308a468bf5342492d"    # 3.3.1, whose databases can be had
HELLO = "Hello from Python!"
VALUES = {"project-name": "My Application", "project-description": "of the tests", "authors": "somebody", "http-path": "/..."}
ASYNC = "wasi:http/types@0.3.0-rc-2026-03-15 [constructor]fields is imported, which mayfly does not have"
# For those whose manifests grant this machine's addresses by a wildcard only.
PRIVATE = {"options": ("--allow-private",), "why": "with `--allow-private`"}
HANDLER = "an asynchronous handler, wasi:http/handler@0.3.0-rc-2026-03-15"
NUMPY = "it wants NumPy built for WASI, which is a release of github.com/dicej/wasi-wheels"


def installed(wanted, cache):
    """The folder of a virtual environment with these requirements."""
    top = os.path.join(cache, "python-" + hashlib.sha256(repr((wanted, sys.version)).encode()).hexdigest()[:16])
    if not os.path.exists(os.path.join(top, ".complete")):
        for command in ([sys.executable, "-m", "venv", "--clear", top], [os.path.join(top, "bin", "pip"), "install", "-q", *wanted]):
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode != 0:
                raise NotTried(f"{', '.join(wanted)} cannot be installed: {(done.stderr + done.stdout).strip()[-1000:]}")
        with open(os.path.join(top, ".complete"), "w"):
            pass
    return top


@contextlib.contextmanager
def environment(folder, cache, repository):
    """For `provide` of a row: as `activate` of a virtual environment with its requirements.txt."""
    with open(os.path.join(folder, "requirements.txt"), encoding="utf-8") as file:
        top = installed(sorted(line.strip() for line in file if line.strip()), cache)
    yield {"VIRTUAL_ENV": top, "PATH": os.path.join(top, "bin") + os.pathsep + os.environ["PATH"]}


def old(folder, *asks, commit=BEFORE, **more):
    return Example("spin-python-sdk", commit, f"examples/{folder}", asks=asks, provide=environment, **more)


def new(folder, **more):
    return Example("spin-python-sdk", PYTHON, f"examples/{folder}", lacks=ASYNC, why=HANDLER, provide=environment, **more)


def table(running):
    """A row to be shown."""
    statement = "CREATE TABLE test (id INT, what VARCHAR(20)); INSERT INTO test VALUES (7, 'seven');"
    peers.sql(statement) if "postgres" in running.peers else peers.mysql_sql(statement)


def template(name, *asks, **more):
    return Example("spin-python-sdk", PYTHON, f"templates/{name}/content", asks=asks, provide=environment, values=VALUES, **more)


def inbound(running):
    """A message of Redis comes to it once it listens."""
    until(lambda: peers.redis_cli("publish", "messages", "grüße") == "1", "it listens", 60)
    running.wait_log(r"b'gr\\\\?xc3\\\\?xbc\\\\?xc3\\\\?x9fe'")


# ---- streaming ----

LONG = bytes(range(256)) * 4096


def page(request):
    return peers.reply({"/one": b"one", "/long": LONG}.get(request.line.split()[1], b""), kind="application/octet-stream")


def hashes(answer):
    wanted = [f"http://one.example.com/one: {hashlib.sha256(b'one').hexdigest()}",
              f"https://two.example.com/long: {hashlib.sha256(LONG).hexdigest()}"]
    return sorted(answer.decode().splitlines()) == wanted


# ---- the application of this folder ----

def rates(request):
    if request.line != "GET /latest?from=SEK HTTP/1.1" or request.headers.get("accept") != "application/json":
        return peers.reply("{}", "404 Not Found")
    return peers.reply('{"USD": 0.125, "JPY": 15.5}')


def stock(running):
    def ask(path, status, says, **more):
        value = says if isinstance(says, str) else lambda body: json.loads(body) == says
        running.ask(Ask("/shop" + path, status=status, says=value, **more))
    shown = "<!doctype html>\n<title>Stock</title>\n<h1>Stock of branch north</h1>\n<p>{} kinds of things, shown {} times.</p>\n"
    ask("", 200, shown.format(0, 1), fields={"content-type": "text/html"})
    ask("/things", 200, [], fields={"content-type": "application/json"})
    ask("/things/lamp", 200, {"name": "lamp"}, method="PUT", body='{"count": 5, "price": 80}')
    ask("/things/r%C3%B6hre", 200, {"name": "r%C3%B6hre"}, method="PUT", body='{"count": 1, "price": 2.5}')
    ask("/things/x'); DROP TABLE things; --".replace(" ", "%20"), 422, {"error": "KeyError"}, method="PUT", body='{"count": 1}')
    ask("/things/lamp", 200, {"name": "lamp"}, method="PUT", body='{"count": 7, "price": 80}')
    ask("/things", 200, [{"name": "lamp", "count": 7, "price": 80}, {"name": "r%C3%B6hre", "count": 1, "price": 2.5}])
    ask("/things?least=2", 200, [{"name": "lamp", "count": 7, "price": 80}])
    ask("/things/lamp/price", 200, {"price": 10, "currency": "USD"})
    ask("/things/lamp/price?in=JPY", 200, {"price": 1240, "currency": "JPY"})
    ask("/things/none/price", 404, {"error": "there is no none"})
    ask("", 200, shown.format(2, 2))
    ask("/other", 404, "")
    ask("/denied", 200, {"store": "Error_AccessDenied", "database": "Error_AccessDenied", "variable": "Error_Undefined",
                         "file": "FileNotFoundError", "host": "ErrorCode_HttpRequestDenied"})
    for text in (r'denied: .*add "other" to key_value_stores of component "stock"', r'denied: .*add "other" to sqlite_databases',
                 r'denied: a request to https://elsewhere\.example\.com; .*allowed_outbound_hosts'):
        running.wait_log(text)


ROWS = [
    old("hello", Ask("/any/path", says=HELLO, fields={"content-type": "text/plain", "content-length": "18"})),
    old("external-lib-example", Ask("/", says="Hello World"), Ask("/post", method="POST", body="TEST", says="TEST"),
        Ask("/queryparams?foo=b%C3%A4r", says="bär"), Ask("/post/", method="POST", body="x", says="x"), Ask("/none", status=404, says="")),
    old("outgoing-request", Ask("/", status=400, says="Please specify `url` header"),
        Ask("/", headers=("url: https://example.com/",), says="<h1>Example</h1>", fields={"content-type": "text/html"}),
        hosts={"example.com": peers.reply("<h1>Example</h1>", kind="text/html")}),
    old("redis-trigger", needs=("redis",), act=inbound),
    old("spin-kv", *(Ask("/", says=HELLO, log=log) for log in (r"\['test'\]", r"\bTrue$", r"b'hello world!'", r"\[\]$"))),
    old("spin-sqlite", lacks="No module named 'spin_sdk.wit.imports.sqlite'",
        why="its SDK, 3.4.1, wants a module that its componentize-py, 0.17.2, does not make"),
    old("spin-sqlite", Ask("/", says=re.compile(r"Value_Integer\(value=2\), Value_Text\(value='wash'\)")), options=(
        "--sqlite", "CREATE TABLE todos (id INTEGER, what TEXT); INSERT INTO todos VALUES (1, 'cook'), (2, 'wash')"), commit=EARLIER),
    old("spin-variables", Ask("/", says=HELLO, log=r"hello, world!$")),
    old("streaming", Ask("/echo", method="POST", body=LONG, says=LONG, headers=("content-type: application/x-test",),
                         fields={"content-type": "application/x-test"}),
        Ask("/hash-all", headers=("url: https://two.example.com/long", "url: http://one.example.com/one"), says=hashes),
        Ask("/none", status=400, says=""), hosts={"one.example.com": page, "two.example.com": page}),
    old("spin-llm", lacks="required arguments were not provided", why="its build command lacks the name of its module"),
    old("spin-mysql", Ask("/", says=HELLO, log="seven"), needs=("mysql",), setup=table, **PRIVATE),
    old("spin-outbound-mqtt", Ask("/", says="Sent outbound mqtt message!"), needs=("mqtt",), **PRIVATE),
    old("spin-postgres", Ask("/", says="id | what\n---------\n7 | seven"), needs=("postgres",), setup=table, **PRIVATE),
    old("spin-redis", Ask("/", says=HELLO, log="None"), needs=("redis",), **PRIVATE),
    old("matrix-math", skip=NUMPY),
    *(new(name) for name in ("hello", "external-lib-example", "outgoing-request", "spin-kv", "spin-llm", "spin-mysql", "spin-outbound-mqtt",
                             "spin-postgres", "spin-redis", "spin-sqlite", "spin-variables")),
    replace(new("streaming"), lacks="wasi:cli/stdout@0.3.0-rc-2026-03-15 write-via-stream is imported, which mayfly does not have"),
    replace(new("redis-trigger"), why="an asynchronous handler, spin:redis/inbound-redis@3.0.0"),
    new("matrix-math", skip=NUMPY),
    template("http-py", lacks=ASYNC, why=HANDLER),
    template("http-py-p2", Ask("/", says=HELLO, fields={"content-type": "text/plain"})),
    Example("", "", "stock-py", act=stock, provide=environment, options=("--variable", "currency=SEK"), hosts={"rates.example.com": rates}),
]
