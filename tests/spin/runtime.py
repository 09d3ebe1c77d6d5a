"""Spin's own tests of what it runs: tests/runtime-tests, those of tests/testcases that ask an application, and the
conformance tests. Their components are built from the same trees (prepare.py) for the targets that their own runners
name, so most are core modules that say what they are as components. Manifests of version 1 are made ones of version 2 by
`mayfly doctor --fix` first."""
import contextlib
import hashlib
import http.client
import json
import os
import re
import subprocess
import sys
import time

import peers
import releases
import run as e2e
from example import HERE, Ask, Example, Wrong

SPIN = "94a8fc8a7804ec2519bb8d12df70ab77ad2e4f60"
CONFORMANCE = "61f2799f92b5d85f342cc07e3f5dec5cd0a7bc9c"
PREPARE = [sys.executable, os.path.join(HERE, "prepare.py")]
HANDLER = "wasi:http/handler@0.3.0"
NANOSECONDS = "17 ns are expected of a server that keeps microseconds; Spin leaves the test out, too"


def newer(running):
    """The manifest, if it is of version 1."""
    with open(os.path.join(running.folder, "spin.toml")) as file:
        if re.search(r"^spin_manifest_version = 2", file.read(), re.M):
            return
    done = subprocess.run([e2e.PROGRAM, "doctor", "--fix"], cwd=running.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise Wrong(f"mayfly doctor --fix: {done.stdout}{done.stderr}")


# ---- runtime tests: GET / is 200, or 500 with what error.txt has ----

def passes(running):
    status, _, body = running.answer("/")
    expected = os.path.join(running.folder, "error.txt")
    if not os.path.exists(expected):
        if status != 200:
            raise Wrong(f"status {status}: {body.decode(errors='replace')}")
        return
    with open(expected) as file:
        text = file.read()
    if status != 500 or text not in body.decode(errors="replace"):
        raise Wrong(f"500 with {text!r}, not {status} with {body!r:.500}")


def no_model(running):
    running.ask(Ask("/", status=500, says=re.compile("ModelNotSupported")))


def echo(connection):
    """A server that gives a request's body back, or as many bytes as it asks for, as the tests' own does."""
    with contextlib.suppress(peers.Failure, OSError):
        while True:
            request = peers.Request(connection)
            left = int(request.headers.get("how-many-bytes", "0"))
            if not left:
                connection.sendall(peers.reply(request.body or b"", kind="text/plain"))
                continue
            connection.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {left}\r\n\r\n".encode())
            while left:
                left -= connection.send(bytes(min(left, 1 << 20)))


def echo_bytes(connection):
    while data := connection.recv(4096):
        connection.sendall(data)


def http_echo(running):
    newer(running)
    peers.Listener(("127.0.0.1", 80), echo)


def runtime(name, **more):
    return Example("spin", SPIN, f"tests/runtime-tests/tests/{name}", build=False, before=(PREPARE,), tools=("cargo",),
                   **{"act": passes, "setup": newer, **more})


# ---- tests/testcases: what tests/integration.rs asks of them ----

def case(name, *asks, **more):
    return Example("spin", SPIN, f"tests/testcases/{name}", asks=asks, build=False, before=(PREPARE,), tools=("cargo",),
                   **{"setup": newer, **more})


def message(running):
    peers.until(lambda: peers.redis_cli("PUBLISH", "my-channel", "msg-from-test") == "1", "it listens", 30)
    running.wait_log(r"Got message: 'msg-from-test'")


def with_echo(running):
    """At an address that is public to mayfly: that of this machine is not one of `http://*:*`."""
    newer(running)
    peers.Listener((peers.PUBLIC, 80), echo)


def forwarded(running):
    body = b"So rested he by the Tumtum tree"
    running.ask(Ask("/", body=body, headers=(f"url: http://{peers.PUBLIC}/",), says="Hello, world!"))


def vault(request):
    if request.headers.get("x-vault-token") != "root":
        return peers.reply("{}", "403 Forbidden")
    if request.line != "GET /v1/secret/data/password HTTP/1.1":
        return peers.reply('{"errors": []}', "404 Not Found")
    return peers.reply('{"data": {"data": {"value": "test_password"}, "metadata": {"version": 1}}}')


def with_vault(running):
    newer(running)
    peers.Listener(("127.0.0.1", 8200), peers.answer_as({"127.0.0.1": vault}, []))


def ended_in_time(running):
    began = time.monotonic()
    running.ask(Ask("/", status=504))
    if time.monotonic() - began > 20:
        raise Wrong("it was ended after more than 20 s")


def inbound(running):
    """A GET with a body, as the test has it."""
    running.ask(Ask("/echo", body="Echo...", says="Echo..."))
    running.ask(Ask("/assert-headers?k=v", headers=("X-Custom-Foo: bar",), body='{"x-custom-foo": "bar"}', says=""))


def wagi(running):
    running.ask(Ask("/echo", body="Echo...", says="Echo..."))
    running.ask(Ask("/assert-args?x=y", body='["/assert-args", "x=y"]', says=""))
    running.ask(Ask("/assert-env", headers=("X-Custom-Foo: bar",), body='{"HTTP_X_CUSTOM_FOO": "bar"}', says=""))


LINES = {"/a": "’Twas brillig, and the slithy toves", "/b": "Did gyre and gimble in the wabe:",
         "/c": "All mimsy were the borogoves,", "/d": "And the mome raths outgrabe."}


def with_lines(running):
    """What the test's own server of responses has."""
    newer(running)
    peers.Listener(("127.0.0.1", 80), peers.answer_as({"localhost": lambda request: peers.reply(LINES[request.line.split()[1]])}, []))


def streaming(running):
    body = bytes((251 * i) & 255 for i in range(1, 1 << 20))
    running.ask(Ask("/echo", method="POST", body=body, headers=("Content-Type: application/octet-stream",), says=body))
    echo_url = f"http://127.0.0.1:{running.server.port}/echo"
    running.ask(Ask("/double-echo", method="POST", body=body, headers=(f"url: {echo_url}",), says=body))
    status, _, answer = running.answer("/hash-all", headers=tuple(f"url: http://localhost{path}" for path in LINES))
    expected = sorted(f"http://localhost{path}: {hashlib.sha256(line.encode()).hexdigest()}" for path, line in LINES.items())
    if status != 200 or sorted(answer.decode().splitlines()) != expected:
        raise Wrong(f"/hash-all: {expected}, not {status} {answer!r:.600}")


# ---- conformance tests ----

def json5(text):
    """As much of it as these files use: keys without quotes, and commas before what closes."""
    text = re.sub(r"([{,]\s*)([A-Za-z_]\w*)\s*:", r'\1"\2":', text)
    return json.loads(re.sub(r",(\s*[}\]])", r"\1", text))


def invocations(folder):
    with open(os.path.join(folder, "test.json5"), encoding="utf-8") as file:
        return json5(re.sub(r"%\{port=(\d+)\}", r"\1", file.read()))


def check_headers(expected, found, body):
    """A length that may be left out is right if it is the body's: the files have one that was of another text."""
    left = {name.lower(): value.lower() for name, value in found.items() if name.lower() not in ("connection", "keep-alive")}
    if left.get("content-length") == str(len(body)):
        expected = [one for one in expected if one["name"].lower() != "content-length"]
        del left["content-length"]
    for one in expected:
        value = left.pop(one["name"].lower(), None)
        if value is None and not one.get("optional"):
            raise Wrong(f"field {one['name']} is missing")
        if value is not None and one.get("value") is not None and value != one["value"].lower():
            raise Wrong(f"field {one['name']} is {value!r}, not {one['value']!r}")
    if left:
        raise Wrong(f"fields that no one expects: {left}")


def exchange(port, request):
    """One that may name its own host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.putrequest(request.get("method", "GET"), request["path"], skip_host=True, skip_accept_encoding=True)
        fields = [(header["name"], header["value"]) for header in request.get("headers", ())]
        body = (request.get("body") or "").encode()
        if "host" not in {name.lower() for name, _ in fields}:
            fields.append(("Host", f"127.0.0.1:{port}"))
        if body:
            fields.append(("Content-Length", str(len(body))))
        for name, value in fields:
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def conforms(running):
    for one in invocations(running.folder)["invocations"]:
        request, expected = one["request"], one["response"]
        status, fields, answer = exchange(running.server.port, request)
        if status != expected.get("status", 200):
            raise Wrong(f"status {status}, not {expected.get('status', 200)}: {answer.decode(errors='replace')}")
        if answer.decode(errors="replace") != (expected.get("body") or ""):
            raise Wrong(f"body {answer!r:.500}, not {expected.get('body')!r}")
        check_headers(expected["headers"], fields, answer)


def preconditions(running):
    """Servers that a test finds, where no service of the row is one."""
    kinds = {one["kind"] for one in invocations(running.folder).get("preconditions", ())}
    if "http-echo" in kinds:
        peers.Listener(("127.0.0.1", 80), echo)
    if "tcp-echo" in kinds:
        peers.Listener(("127.0.0.1", 7), echo_bytes)
    if "postgres" in kinds:
        folder = os.path.join(running.folder, "../../crates/test-environment/services/postgres-init")
        for name in sorted(os.listdir(folder)):
            peers.sql("@" + os.path.join(folder, name))


def conformance(name, **more):
    return Example("fermyon/conformance-tests", CONFORMANCE, f"tests/{name}", act=conforms, build=False, setup=preconditions,
                   before=([*PREPARE, "--release", "--target", "wasm32-unknown-unknown"],), tools=("cargo",), **more)


ROWS = [
    runtime("internal-http"),
    runtime("internal-http-streaming"),
    runtime("internal-http-p3", lacks=HANDLER, why=f"an asynchronous handler, {HANDLER}"),
    runtime("internal-http-p3-p2", lacks=HANDLER, why=f"an asynchronous handler, {HANDLER}"),
    runtime("llm", act=no_model, fails=True, why="model inference, for whose lack the test has the words of Spin"),
    runtime("outbound-mysql", needs=("mysql",)),
    runtime("outbound-mysql-no-permission"),
    runtime("outbound-mysql-variable-permission", needs=("mysql",)),
    runtime("outbound-postgres", skip=NANOSECONDS),
    runtime("outbound-postgres-no-permission"),
    runtime("outbound-postgres-variable-permission", skip=NANOSECONDS),
    runtime("outbound-redis", needs=("redis",)),
    runtime("sqlite"),
    runtime("variables"),
    runtime("wasi-config"),
    runtime("wasi-http", setup=http_echo),
    runtime("wasi-key-value", skip="it expects that cursors of list-keys are refused, which mayfly has"),

    case("assets-test", *(Ask(f"/static/thisshouldbemounted/{name}", says=f"{name}\n") for name in "123"),
         Ask("/static/thisshouldbemounted/empty", says=""), Ask("/static/thisshouldbemounted/one-byte", says="{"),
         Ask("/static/donotmount/a", status=404, says="Not Found"),
         Ask("/static/thisshouldbemounted/thisshouldbeexcluded/4", status=404, says="Not Found"),
         provide=releases.fileserver, why=releases.WHY),
    case("dynamic-env-test", Ask("/env", says="I'm a teapot", fields={"env_some_key": "some_value", "env_foo": "bar"}),
         options=("--env", "foo=bar")),
    case("http-infinite-loop", act=ended_in_time, options=("--timeout", "100ms")),
    case("http-routing", Ask("/users/42", says="42:"), Ask("/users/42/", says="42:/"), Ask("/users/42/hello", says="42:/hello"),
         Ask("/users/42/hello/", says="42:/hello/")),
    case("http-smoke-test", Ask("/hello", says="I'm a teapot"), Ask("/hello/wildcards/should/be/handled", says="I'm a teapot"),
         Ask("/thishsouldfail", status=404), Ask("/hello/test-placement", says="text for test")),
    case("key-value", Ask("/test?key=given", says="on the command line"),
         options=("--key-value", "given=on the command line")),
    case("legacy-apps-test", Ask("/golang", says="Hello Fermyon!\n"), Ask("/rust", says="Hello, Fermyon"),
         Ask("/javascript", says="Hello from JS-SDK"), Ask("/typescript", says="Hello from TS-SDK"),
         lacks="a core module that does not say what it is as a component", why="modules of Spin 1, older than component types"),
    case("middleware", lacks="middleware", why=f"dependencies.middleware, by {HANDLER}"),
    case("middleware-with-kv", lacks="middleware", why=f"dependencies.middleware, by {HANDLER}"),
    case("middleware-without-kv", lacks="middleware", why=f"dependencies.middleware, by {HANDLER}"),
    case("multi-trigger", act=message, needs=("redis",)),
    case("mysql-v3", needs=("mysql",), lacks=HANDLER, why=f"asynchronous, {HANDLER} and spin:mysql/mysql@3.0.0"),
    case("outbound-http-to-same-app", Ask("/outbound-allowed", says="Hello World!\n"),
         Ask("/outbound-allowed-alt", says="Hello World!\n"),
         Ask("/outbound-not-allowed", status=500, says='Error::UnexpectedError("ErrorCode::HttpRequestDenied")')),
    case("redis-async-trigger-smoke-test", needs=("redis",), lacks="spin:redis/inbound-redis@3.0.0",
         why="an asynchronous handler, spin:redis/inbound-redis@3.0.0"),
    case("redis-smoke-test", act=message, needs=("redis",)),
    case("simple-double-test", Ask("/route1", says="I'm a teapot"), Ask("/route2", says="I'm a teapot"),
         Ask("/thisshouldfail", status=404)),
    case("simple-test", Ask("/hello", says="I'm a teapot"), Ask("/hello/wildcards/should/be/handled", says="I'm a teapot"),
         Ask("/thisshouldfail", status=404), Ask("/hello/test-placement", says="text for test")),
    case("spin-inbound-http", act=inbound),
    case("static-response", Ask("/users/42", says="42:"), Ask("/non-existent", status=404, says="not found"),
         Ask("/default-code", says="should be 200"), Ask("/bob", status=302, fields={"location": "/users/bob"})),
    case("unsupported-import-unused", Ask("/", says="Hello World!\n")),
    case("vault-variables-test", Ask("/", says="Hello! Got password test_password"), setup=with_vault,
         options=("--runtime-config-file", "{folder}/runtime_config.toml")),
    case("wagi-http", act=wagi),
    case("wasi-http-0.2.0", act=forwarded, setup=with_echo),
    case("wasi-http-0.2.0-rc-2023-11-10", act=forwarded, setup=with_echo),
    case("wasi-http-outbound-post", act=forwarded, setup=with_echo),
    case("wasi-http-p2-streaming", act=streaming, setup=with_lines, options=("--allow-private",),
         why="with `--allow-private`"),
    case("wasi-http-p3-streaming", lacks=HANDLER, why=f"an asynchronous handler, {HANDLER}"),
    case("wasi-otel-tracing", skip="wasi:otel, and a dependency from a repository of its own"),

    conformance("key-value"),
    conformance("key-value-no-permission"),
    conformance("outbound-mqtt", needs=("mqtt",)),
    conformance("outbound-mqtt-no-permission"),
    conformance("outbound-redis", needs=("redis",)),
    conformance("outbound-redis-no-permission", needs=("redis",)),
    conformance("outbound-redis-variable-permission", needs=("redis",)),
    conformance("outbound-wasi-http-v0.2.0"),
    conformance("outbound-wasi-http-v0.2.0-no-perms"),
    conformance("postgres", needs=("postgres",)),
    conformance("request-shape"),
    conformance("sqlite"),
    conformance("sqlite-no-permission"),
    conformance("tcp-sockets"),
    conformance("tcp-sockets-ip-range"),
    conformance("tcp-sockets-ip-range-variable-permission"),
    conformance("tcp-sockets-no-ip-permission"),
    conformance("tcp-sockets-no-port-permission"),
    conformance("variables"),
]
