"""Rust: the examples of Spin's SDK, of its last release before WASI 0.3 and of the newest commit, and an application as a
user of the former writes it."""
import json
import os
import re

import peers
from example import Ask, Example, Wrong

SDK = "spin-rust-sdk"
V5 = "ea5ad6fcd5d80dbf044607849293066f9509a022"      # v5.2.0
V6 = "f0c4aeb2c2c44804906a9bc818397050b45c622d"      # v6.0.0 and what came after it
ANIMALS = "random-data-api.fermyon.app"
FACT = '{"timestamp": 1, "fact": "A cow has four stomachs."}'


def five(folder, *asks, **more):
    return Example(SDK, V5, f"examples/{folder}", asks=asks, tools=("cargo",), **more)


def six(folder, lacks, why, **more):
    return Example(SDK, V6, f"examples/{folder}", lacks=lacks, why=why, **{"tools": ("cargo",), **more})


def animal(running):
    if [request.line for request in running.seen] != ["GET /animals/json HTTP/1.1"] * 2:
        raise Wrong(f"two requests reached the host: {[request.line for request in running.seen]}")


# ---- services ----

def data(load, name):
    return lambda running: load("@" + os.path.join(running.folder, "db", name))


def backend(running):
    """The three queries of the handler are of one connection."""
    answer = running.answer("/pg_backend_pid")
    if answer[0] != 200 or not re.fullmatch(rb"pg_backend_pid: \d+\n", answer[2]):
        raise Wrong(f"/pg_backend_pid: {answer}")


def datetime_written(running):
    backend(running)
    found = peers.sql("SELECT publisheddate, publishedtime, publisheddatetime, readtime FROM articletest WHERE title = 'aaa' AND readtime = 123")
    if found != "2024-01-01|12:34:56|2024-01-01 12:34:56|123":
        raise Wrong(f"dates and times in the database: {found}")


def pets_created(running):
    found = peers.mysql_sql("SELECT id, name, prey, is_finicky FROM pets WHERE id = 4;")
    if found.splitlines()[-1:] != ["4\tHobbes\tmice\t1"]:
        raise Wrong(f"the pet in the database: {found}")


def published(running):
    with peers.mqtt_subscribed("telemetry", 1) as found:
        running.ask(Ask("/publish", says=""))
        peers.until(lambda: found == [("telemetry", b"Eureka!")], "the message arrives", 30)


def outbound_redis(running):
    running.ask(Ask("/publish", status=500))
    peers.redis_cli("SET", "mykey", "payload")
    running.ask(Ask("/publish", says=""))
    found = peers.redis_cli("MGET", "spin-example", "int-key").split("\n")
    if found != ["Eureka!", "1"]:
        raise Wrong(f"what it left in Redis: {found}")


def messages(running):
    """Whoever listens does so a moment after the server is there."""
    peers.until(lambda: peers.redis_cli("PUBLISH", "messages", "first message") == "1", "it listens", 30)
    running.wait_log("first message")
    peers.redis_cli("PUBLISH", "messages", "grüße")
    running.wait_log("grüße")


# ---- streams ----

def whole_file(running):
    """The component streams its own file, of some megabytes."""
    path = os.path.join(running.folder, "../../target/wasm32-wasip1/release/spin_wasi_http_streaming_file.wasm")
    with open(path, "rb") as file:
        wanted = file.read()
    status, fields, body = running.answer("/")
    if status != 200 or body != wanted or fields.get("content-type") != "application/octet-stream":
        raise Wrong(f"the file of {len(wanted)} bytes: {status} {fields} {len(body)} bytes")


ECHO = "echo.example.com"


def double_echo(running):
    """A body of a megabyte goes to the other server and comes back through the component."""
    body = bytes(range(256)) * 4096
    status, fields, found = running.answer("/double-echo", method="POST", body=body,
                                           headers=(f"url: http://{ECHO}/echo", "content-type: application/x-test"))
    if status != 200 or found != body or fields.get("content-type") != "application/x-test":
        raise Wrong(f"{status} {fields} {len(found)} bytes of {len(body)}")


# ---- the application ----

def notes(running):
    """What a user of apps/rust sees: notes in the database, their text kept beside them, a page, a quotation from elsewhere."""
    made = running.answer("/api/notes", method="POST", body=b'{"title": "First", "text": "gr\xc3\xbc\xc3\x9fe"}')
    if made[0] != 201 or json.loads(made[2]) != {"id": 1, "title": "First"}:
        raise Wrong(f"a note is made: {made}")
    if made[1].get("location") != "/api/notes/1":
        raise Wrong(f"its place: {made[1]}")
    found = running.answer("/api/notes/1")
    if found[0] != 200 or json.loads(found[2]) != {"id": 1, "title": "First", "text": "grüße", "reads": 1}:
        raise Wrong(f"the note: {found}")
    again = json.loads(running.answer("/api/notes/1")[2])
    if again["reads"] != 2:
        raise Wrong(f"reads are counted: {again}")
    listed = running.answer("/api/notes")
    if json.loads(listed[2]) != [{"id": 1, "title": "First"}]:
        raise Wrong(f"the list: {listed}")
    request = running.seen[0]
    if request.headers.get("authorization") != "Bearer of-the-test" or request.line != "GET /of-the-day HTTP/1.1":
        raise Wrong(f"the request for a quotation: {request.line} {request.headers}")


NOTES = (
    Ask("/api/about", says=lambda body: json.loads(body) == {"greeting": "Good day", "from": "Rust"}),
    Ask("/api/quote", says=re.compile('"Brevity"'), fields={"content-type": "application/json"}),
    Ask("/api/notes/99", status=404),
    Ask("/api/notes", method="POST", body="no JSON", status=400),
    Ask("/", says=re.compile("<h1>Notes</h1>"), fields={"content-type": "text/html"}),
    Ask("/style.css", says=re.compile("margin"), fields={"content-type": "text/css"}),
    Ask("/none.txt", status=404),
    Ask("/../spin.toml", status=404),
)

P3 = "wasi:http/types@0.3.0 resource "    # the first import that is not there
WHY_P3 = "an asynchronous handler, wasi:http/handler@0.3.0"

ROWS = [
    five("hello-world", Ask("/hello", says="Hello, world!"), Ask("/", status=404)),
    five("http-router", Ask("/hello/earth", says="earth"), Ask("/goodbye/mars", says="mars"), Ask("/a/b", says="a/b"),
         Ask("/hello/earth", method="POST", says="hello/earth")),
    five("http-router-macro", Ask("/hello/earth", says="earth"), Ask("/x/y", says="x/y")),
    five("json-http", Ask("/", method="POST", body='{"name": "Ann"}', says="Hello, Ann"),
         Ask("/", method="POST", body="nonsense", status=400)),
    five("http-outbound", Ask("/hello", says="Hello, Fermyon!\n"),
         Ask("/outbound-to-hello-component", says="Hello, Fermyon!\n", fields={"spin-component": "rust-outbound-http"}),
         Ask("/outbound", says=FACT, fields={"spin-component": "rust-outbound-http", "content-type": "application/json"}),
         Ask("/wildcard", says=FACT), hosts={ANIMALS: FACT.encode()}, act=animal),
    five("key-value", Ask("/a", status=404), Ask("/a", method="POST", body="one", says=""), Ask("/a", says="one"),
         Ask("/a", method="HEAD"), Ask("/a", method="DELETE"), Ask("/a", method="HEAD", status=404),
         Ask("/a", method="PUT", body="x", status=405)),
    five("variables", Ask("/", says="message: I'm a teapot"), Ask("/dotenv", says="dotenv")),
    five("variables", Ask("/", says="message: I'm a kettle"), options=("--variable", "object=kettle"), label="--variable"),
    five("redis-outbound", needs=("redis",), act=outbound_redis),
    five("redis", needs=("redis",), act=messages),
    five("redis-async", needs=("redis",), act=messages),
    five("mqtt-outbound", needs=("mqtt",), act=published),
    five("mysql", Ask("/", headers=("content-type: application/json",), method="GET", body="{}",
             says=re.compile(r'Found 3 pet\(s\).*name: "Kiki",\s+prey: Some\(\s*"Cicadas".*is_finicky: DbDataType::Int8', re.S)),
         Ask("/3", body="{}", says='Pet { id: 3, name: "Slats", prey: Some("Temptations"), is_finicky: true }'),
         Ask("/9", body="{}", status=404),
         Ask("/", method="POST", body='{"name": "Hobbes", "prey": "mice", "is_finicky": "true"}', status=201, fields={"location": "/4"}),
         needs=("mysql",), setup=data(peers.mysql_sql, "pets.sql"), act=pets_created),
    five("postgres", Ask("/read", says=re.compile(r'Found 2 article.*S\. Baldrick.*authorage: Some\(\s*11\.2', re.S)),
         Ask("/write", says="Count: 3\n"), Ask("/none", status=404),
         needs=("postgres",), setup=data(peers.sql, "testdata.sql"), act=backend),
    five("postgres-v3", Ask("/read", says=re.compile(r"Found 2 article.*published_date: 2024-11-06.*publisheddate:DbDataType::Date", re.S)),
         Ask("/write", says="Count: 3\n"), Ask("/write_datetime_info", says="Count: 4\n"),
         needs=("postgres",), setup=data(peers.sql, "testdata.sql"), act=datetime_written),
    five("postgres-v4", Ask("/2004", says="it was anarchy\n"), Ask("/2015", says="Splodge and Fang and Kiki and Slats\n"),
         Ask("/2030", says="Rosie and Hobbes\n"), needs=("postgres",), setup=data(peers.sql, "testdata.sql")),
    five("wasi-http-streaming-file", act=whole_file),
    five("wasi-http-streaming-outgoing-body", Ask("/", status=405), Ask("/double-echo", method="POST", body="", status=400),
         hosts={ECHO: peers.Streamed(peers.echo_chunks)}, act=double_echo),
    *[Example(SDK, V5, f"examples/wasip3-{name}", build=False, lacks='no executor "wasip3-unstable"', why="the executor wasip3-unstable, an asynchronous handler of a draft")
      for name in ("concurrent-outbound-http-calls", "http-axum-router", "http-hello-world", "http-send-request", "streaming")],

    *[six(name, P3, WHY_P3, tools=("cargo", "protoc")) for name in ("grpc", "grpc-streaming")],
    *[six(name, P3, WHY_P3)
      for name in ("hello-world", "http-axum-router", "http-concurrent-outbound-calls", "http-hello-world",
                   "http-outbound", "http-send-request", "http-streaming", "key-value", "mqtt-outbound", "mysql", "postgres",
                   "redis-outbound", "server-sent-events", "sqlite")],
    six("variables", "wasi:http/handler@0.3.0 handle is asynchronous", WHY_P3),     # a core module that says what it is
    six("redis", "spin:redis/inbound-redis@3.0.0 handle-message is asynchronous, which mayfly does not have yet",
        "an asynchronous handler, spin:redis/inbound-redis@3.0.0"),

    Example("", "", "rust", asks=NOTES, act=notes, tools=("cargo",), environment={"SPIN_VARIABLE_TOKEN": "of-the-test"},
            hosts={"quotes.example.com": b'{"text": "Brevity"}'}),
]
