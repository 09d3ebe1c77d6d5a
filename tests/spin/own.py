"""Spin's own examples/ and templates/, without those of Go and C++ (go.py)."""
import os

import peers
import releases
from example import Ask, Example

SPIN = "94a8fc8a7804ec2519bb8d12df70ab77ad2e4f60"
VALUES = {"project-name": "My Application", "project-description": "of the tests", "authors": "somebody", "http-path": "/..."}
ASYNC_HANDLER = "wasi:http/types@0.3.0-rc-2026-03-15 resource "  # the first import that is not there
WHY_HANDLER = "an asynchronous handler, wasi:http/handler@0.3.0-rc-2026-03-15"


def own(folder, *asks, **more):
    return Example("spin", SPIN, folder, asks=asks, **{"tools": ("cargo",), **more})


def template(name, *asks, values=None, **more):
    return Example("spin", SPIN, f"templates/{name}/content", asks=asks, values={**VALUES, **(values or {})},
                   **{"tools": ("cargo",), **more})


def vault(request):
    if request.line != "GET /v1/secret/data/secret HTTP/1.1" or request.headers.get("x-vault-token") != "root":
        return peers.reply("{}", "403 Forbidden")
    return peers.reply('{"data": {"data": {"value": "eyMyJWTToken"}, "metadata": {"version": 1}}}')


def vault_there(running):
    """Where the example's runtime configuration has it."""
    peers.Listener(("127.0.0.1", 8200), peers.answer_as({"127.0.0.1": vault}, []))


PAGE = "<!doctype html>\n<title>Page</title>\n"


def assets(running):
    """What the user of the template puts into its folder."""
    for name, text in (("page.html", PAGE), ("deep/style.css", "p {}\n")):
        path = os.path.join(running.folder, "assets", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        peers.write(path, text)


ROWS = [
    own("examples/http-rust", lacks=ASYNC_HANDLER, why=WHY_HANDLER),
    own("examples/http-middleware", build=False, lacks="mayfly does not have middleware yet",
        why="dependencies.middleware, by wasi:http/handler@0.3.0"),
    own("examples/open-ai-rust", lacks=ASYNC_HANDLER, why=WHY_HANDLER),
    own("examples/spin-timer/app-example", build=False, lacks='no trigger of type "timer" is supported',
        why="the trigger `timer`, of a plugin for Spin that is the example"),
    own("examples/vault-variable-test", Ask("/", method="POST", body="eyMyJWTToken", says='{"authentication": "accepted"}',
                                            fields={"content-type": "application/json"}),
        Ask("/", method="POST", body="another", says='{"authentication": "denied"}'),
        options=("--runtime-config-file", "{folder}/runtime_config.toml"), setup=vault_there),
    template("http-rust", lacks=ASYNC_HANDLER, why=WHY_HANDLER),
    template("http-rust-p2", Ask("/any/path", says="Hello World!", fields={"content-type": "text/plain"}, log="Handling request to")),
    template("redis-rust", values={"redis-address": "redis://localhost:6379", "redis-channel": "messages"},
             lacks="spin:redis/inbound-redis@3.0.0 handle-message is asynchronous", why="an asynchronous handler, spin:redis/inbound-redis@3.0.0"),
    template("http-empty", tools=(), build=False, lacks='the manifest lacks "trigger"', why="an application without a trigger, which serves nothing"),
    template("redirect", tools=(), values={"redirect-from": "/old", "redirect-to": "/new"},
             skip="its component is a release of github.com/fermyon/spin-redirect, which wants TinyGo"),
    template("static-fileserver", Ask("/static/page.html", says=PAGE, fields={"content-type": "text/html"}),
             Ask("/static/deep/style.css", says="p {}\n", fields={"content-type": "text/css"}), Ask("/static/none", status=404),
             values={"files-path": "assets", "http-path": "/static/..."}, build=False, provide=releases.fileserver, setup=assets,
             why=releases.WHY),
    template("http-php", tools=(), skip="its component is a release of github.com/vmware-labs/webassembly-language-runtimes"),
    template("http-grain", tools=("grain",), skip="the compiler of Grain is not in the package registries"),
]
