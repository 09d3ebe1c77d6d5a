"""Go, and what else Spin's own examples and templates are written in beside Rust. The examples of Spin's SDK for Go at
the commit before its HTTP handlers became asynchronous (they are components of `go tool componentize-go`), and at the
newest one; those of version 2 need TinyGo."""
import contextlib
import glob
import json
import os
import shutil
import subprocess
import sys

import peers
from example import HERE, Ask, Example, Wrong
from own import SPIN, VALUES
from python import installed

if "--sources" in sys.argv: # gotools.py is told by the environment
    os.environ["SPIN_SOURCES"] = os.path.abspath(sys.argv[sys.argv.index("--sources") + 1])

SDK = "spin-go-sdk"
SYNC = "f2bf8873711b0645b51d0e545e25e458428f3b11"
SYNC_VERSION = "v3.0.0-20260407161511-f2bf8873711b"
NEWEST = "4bc356ab662818dcab090b5c7fab737b56dd783c"
V2 = "v2.2.1"
FOLDER = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "mayfly-spin", "go")
HANDLER = "wasi:http/handler@0.3.0-rc-2026-03-15"
PATCHED = "its build downloads a Go that is patched for WASI 0.3 from releases of github.com/dicej/go"
PACKAGES = ("go.bytecodealliance.org/pkg", "v0.2.1", "bytecodealliance/go-pkg", "v0.2.1")


def proxies():
    found = subprocess.run(["go", "env", "GOPROXY"], capture_output=True, text=True).stdout.strip() if shutil.which("go") else ""
    return ",".join(filter(None, (f"file://{FOLDER}/proxy", found)))


def tool(release):
    return ("github.com/bytecodealliance/componentize-go", release, "bytecodealliance/componentize-go", release)


def prepared(release, *modules):
    return [sys.executable, os.path.join(HERE, "gotools.py"), FOLDER, release, *PACKAGES, *tool(release), *modules]


def environment(release):
    return {"GOPROXY": proxies(), "GONOSUMDB": "github.com/bytecodealliance,github.com/spinframework,go.bytecodealliance.org",
            "GOFLAGS": "-modcacherw", "GOCACHE": os.path.join(FOLDER, "build"), "XDG_CACHE_HOME": os.path.join(FOLDER, release)}


@contextlib.contextmanager
def zig(folder, cache, repository):
    """For `provide` of a row: Zig as a package of Python has it, of the last version whose library has what the templates use."""
    top = installed(["ziglang==0.14.1"], cache)
    made = os.path.join(top, "bin", "zig")
    if not os.path.lexists(made):
        os.symlink(glob.glob(os.path.join(top, "lib", "python*", "site-packages", "ziglang", "zig"))[0], made)
    yield {"PATH": os.path.join(top, "bin") + os.pathsep + os.environ["PATH"], "ZIG_GLOBAL_CACHE_DIR": os.path.join(cache, "zig")}


def example(folder, *asks, **more):
    return Example(SDK, SYNC, f"examples/{folder}", asks=asks, tools=("go", "cargo"), before=(prepared("v0.3.1"),),
                   environment=environment("v0.3.1"), **more)


def newest(folder):
    return Example(SDK, NEWEST, f"examples/{folder}", skip=f"{HANDLER}: {PATCHED}")


def two(folder):
    return Example(SDK, V2, f"examples/{folder}", skip="TinyGo is not in the package registries")


# ---- what examples need, and what they leave ----

def pets(running):
    """The rows of the example's own file, and what it adds."""
    status, fields, body = running.answer("/")
    found = {pet["Name"]: pet for pet in json.loads(body)} if status == 200 else body
    if status != 200 or found.get("Maya") != {"ID": 4, "Name": "Maya", "Prey": "bananas", "IsFinicky": False}:
        raise Wrong(f"the pet that it adds: {status} {found}")
    if len(found) < 3 or not any(pet["Prey"] is None for pet in found.values()):
        raise Wrong(f"the pets that were there: {found}")


def mysql_rows(running):
    """Its statements name the database themselves."""
    peers.mysql_sql("@" + os.path.join(running.folder, "init.sql"))


def postgres_rows(running):
    peers.sql("@" + os.path.join(running.folder, "db", "pets.sql"))


def refused(kind):
    """As database/sql has it in any runtime: the converter of the SDK leaves values as they are, and no driver may have such ones."""
    return Ask("/", status=500, says=f"sql: converting argument $1 type: driver ColumnConverter error converted {kind} to unsupported type {kind}\n")


def published(running):
    with peers.mqtt_subscribed("telemetry", 1) as found:
        running.ask(Ask("/publish", says="Message successfully published!\n"))
        peers.until(lambda: found == [("telemetry", b"Eureka!")], "the message arrives", 30)


def message(running):
    peers.until(lambda: peers.redis_cli("PUBLISH", "messages", "grüße") == "1", "it listens", 30)
    running.wait_log("Payload::::")
    running.wait_log("grüße")


def asked(running):
    # The SDK sends no path that is not written with %, and no body.
    wanted = [("GET / HTTP/1.1", None), ("POST / HTTP/1.1", b""), ("PUT / HTTP/1.1", b"")]
    found = [(request.line, request.body) for request in running.seen]
    if found != wanted or running.seen[2].headers.get("foo") != "bar":
        raise Wrong(f"what the hosts were asked: {found}")
    running.wait_log("Cannot send HTTP request")


def posted(request):
    return peers.reply(json.dumps({"data": request.body.decode()}))


def notes(running):
    """What was written is there, for whoever knows the token; the rest is what the manifest says."""
    running.ask(Ask("/notes", says="[]\n", fields={"content-type": "application/json"}))
    running.ask(Ask("/notes", method="POST", body="of a stranger", status=401))
    for number, text in ((1, "first"), (2, "grüße")):
        running.ask(Ask("/notes", method="POST", body=text, headers=("Authorization: Bearer of-the-tests",), status=201,
                        says=f"note {number}\n"))
    running.ask(Ask("/notes", says='[{"id":1,"text":"first"},{"id":2,"text":"grüße"}]\n'))
    running.ask(Ask("/fact", says="A cow has four stomachs.", fields={"x-fact-status": "200"}))
    if [request.line for request in running.seen] != ["GET / HTTP/1.1"]:  # the SDK sends no path that is not written with %
        raise Wrong(f"one request reached the host: {[request.line for request in running.seen]}")
    running.ask(Ask("/elsewhere", status=403, says="not allowed\n"))
    running.wait_log('add "http://elsewhere.example.com" to allowed_outbound_hosts')


ROWS = [
    Example("", "", "notes-go", asks=(Ask("/", says="<!doctype html>\n<title>Notes</title>\n<p>Static, from a file.\n",
                                          fields={"content-type": "text/html"}),
                                      Ask("/title", says="Notes of everybody\n"), Ask("/nowhere", status=404)),
            act=notes, hosts={"facts.example.com": "A cow has four stomachs."}, options=("--variable", "token=of-the-tests"),
            tools=("go", "cargo"), environment=environment("v0.3.1"),
            before=(prepared("v0.3.1", f"github.com/spinframework/{SDK}/v3", SYNC_VERSION, f"spinframework/{SDK}", SYNC),
                    ["go", "mod", "download"])),    # componentize-go looks for the SDK's WIT where it is unpacked
    example("http", Ask("/hello", says="== RESPONSE ==\nHello spinframework!\nHello again spinframework!\n",
                        fields={"content-type": "text/plain", "foo": "bar"})),
    example("http-router", Ask("/hello/world", says="hello, world!\n"), Ask("/this/will/be/caught", says="catch all: /be/caught!\n"),
            Ask("/nowhere", status=404)),
    example("key-value", Ask("/hello", says='["foo"]\n')),
    example("variables", Ask("/", says="message:  I'm a teapot\n")),
    example("sqlite", act=pets, options=("--sqlite", "@{folder}/db/pets.sql")),
    example("http-outbound", Ask("/hello", method="POST", body="from the client", status=200), act=asked,
            hosts={"random-data-api.fermyon.app": '{"fact": "A cow has four stomachs."}', "postman-echo.com": posted}),
    example("redis-outbound", Ask("/", says="mykey value was: myvalue\nspin-go-incr value: 1\ndeleted keys num: 2\n"), needs=("redis",)),
    example("redis", act=message, needs=("redis",)),
    example("mqtt-outbound", act=published, needs=("mqtt",)),
    example("mysql-outbound", refused("int"), setup=mysql_rows, needs=("mysql",), fails=True, why="its SDK refuses the int that it passes"),
    example("pg-outbound", refused("int32"), setup=postgres_rows, needs=("postgres",), fails=True,
            why="its SDK refuses the int32 that it passes"),
    example("llm", Ask("/", status=500, says="model not supported\n"), fails=True, why="model inference"),
    Example(SDK, SYNC, "examples/http-p3-raw", skip=f"{HANDLER}: {PATCHED}"),
    Example(SDK, SYNC, "examples/redis-outbound-async-raw", skip=f"{HANDLER}: {PATCHED}"),
    *(newest(name) for name in ("grpc", "http", "http-outbound", "http-p3-raw", "http-router", "key-value", "llm", "mqtt-outbound",
                                "mysql-outbound", "pg-outbound", "redis", "redis-outbound", "sqlite", "variables")),
    *(two(name) for name in ("http", "http-outbound", "http-router", "key-value", "llm", "mysql-outbound", "pg-outbound", "redis",
                             "redis-outbound", "sqlite", "variables")),
    Example("spin", SPIN, "templates/http-go/content", skip=f"{HANDLER}: {PATCHED}"),
    Example("spin", SPIN, "templates/redis-go/content", skip=f"spin:redis/inbound-redis@3.0.0: {PATCHED}"),
    Example("spin", SPIN, "templates/http-c/content", values=VALUES, provide=zig,
            asks=(Ask("/", says="Hello from WAGI/1\n", fields={"content-type": "text/plain"}),)),
    Example("spin", SPIN, "templates/http-zig/content", values=VALUES, provide=zig,
            asks=(Ask("/", says="Hello World!\n", fields={"content-type": "text/plain"}),)),
    Example("spin", SPIN, "examples/http-cpp", skip="its Makefile needs sdk/go/wit/spin-http.wit, which the repository has no more, "
                                                    "and a wit-bindgen of 2022"),
]
