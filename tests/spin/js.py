"""The examples and templates of the JavaScript SDK, and an application as its users write them. The SDK's packages are those of its
commit (npm.py)."""
import os
import re

import npm
import peers
from example import HERE, Ask, Example, Wrong

JS = npm.LAST
STATIC = os.path.join(HERE, "..", "..", "templates", "static", "static.wasm")
VALUES = {"project-name": "My Application", "project-description": "of the tests", "authors": "somebody", "http-path": "/...",
          "redis-address": "redis://localhost:6379", "redis-channel": "messages"}
JSON = {"content-type": re.compile("^application/json")}


def sdk(folder, *asks, **more):
    return Example("spin-js-sdk", JS, f"examples/{folder}", asks=asks, **{"tools": ("node", "npm", "cargo"), "provide": npm.sdk, **more})


def template(name, *asks, **values):
    """Values with which it is asked for, and what it answers or lacks."""
    own = {key: values.pop(key) for key in list(values) if key in ("lacks", "why", "act", "needs")}
    label = ", ".join(values.values())
    return Example("spin-js-sdk", JS, f"templates/{name}/content", asks=asks, provide=npm.sdk, tools=("node", "npm", "cargo"), label=label,
                   values={**VALUES, **{key.replace("_", "-"): value for key, value in values.items()}}, **own)


def broken(folder, lacks, why):
    """An example whose own sources cannot be built with the packages that it names."""
    return sdk(folder, lacks=lacks, why=f"its sources do not compile: {why}")


def unnamed(folder, what):
    return sdk(folder, skip=f"its sources want {what} to be written into them")


# ---- what stands in for others ----

def github(request):
    if request.line != "GET /orgs/fermyon/repos?type=public HTTP/1.1":
        return peers.reply("{}", "404 Not Found")
    return peers.reply('[{"name": "spin", "private": false}]')


def bucket(request):
    """As S3 lists a bucket and gives an object, to who signs requests."""
    if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential=<>/"):
        return peers.reply("<Error><Code>AccessDenied</Code><Message>unsigned</Message></Error>", "403 Forbidden", "application/xml")
    if request.line.startswith("GET /?list-type=2 "):
        return peers.reply('<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>shoes</Name>'
                           "<KeyCount>1</KeyCount><Contents><Key>left.txt</Key><Size>4</Size></Contents></ListBucketResult>",
                           kind="application/xml")
    if request.line.startswith("GET /left.txt"):
        return peers.reply("left" * 5000, kind="text/plain")
    return peers.reply("<Error><Code>NoSuchKey</Code><Message>nothing is there</Message></Error>", "404 Not Found", "application/xml")


def forecast(request):
    if request.headers.get("authorization") != "Bearer s3cret":
        return peers.reply("{}", "401 Unauthorized")
    if request.line == "GET /v1/Zag?days=2 HTTP/1.1":
        return peers.reply('{"days": [{"celsius": 3.5}, {"celsius": 7}]}')
    return peers.reply("{}", "404 Not Found")


# ---- what must be there before ----

def table(running):
    statement = "CREATE TABLE test (id int, val int); INSERT INTO test VALUES (4, 4), (1, 7);"
    peers.sql(statement) if "postgres" in running.peers else peers.mysql_sql(statement)


# ---- the application of this folder ----

def guestbook(running):
    """One thing after the other, as its page would."""
    def ask(path, status, says=None, **more):
        running.ask(Ask(path, status=status, says=says, **more))
    ask("/api/greeting/Ada", 200, "Hello, Ada, for the 1. time\n")
    ask("/api/greeting/Ada", 200, "Hello, Ada, for the 2. time\n")
    ask("/api/greeting/Gr%C3%BCn", 200, re.compile("for the 1. time"))
    ask("/api/visitors", 200, '["Ada","Gr%C3%BCn"]', fields=JSON)
    ask("/api/visitors/Ada", 204, "", method="DELETE")
    ask("/api/greeting/Ada", 200, "Hello, Ada, for the 1. time\n")
    ask("/api/entries", 200, "[]")
    ask("/api/entries", 201, '{"id":1}', method="POST", body='{"name": "Ada", "text": "\'); DROP TABLE entries; --"}',
        fields={"location": "/api/entries/1"})
    ask("/api/entries", 201, '{"id":2}', method="POST", body='{"name": "Grün", "stars": 5}')
    ask("/api/entries", 422, '{"error":"an entry has a name"}', method="POST", body="{}")
    ask("/api/entries/2", 200, '{"id":2,"name":"Grün","text":null,"stars":5}')
    ask("/api/entries/3", 404, '{"error":"there is no entry 3"}')
    ask("/api/entries", 200, re.compile(r'^\[\{"id":1,"name":"Ada","text":"\'\); DROP TABLE entries; --","stars":2.5\},\{"id":2,'))
    ask("/api/forecast/Zag", 200, '{"city":"Zag","warmest":7}', fields=JSON)
    ask("/api/forecast/Nowhere", 502, '{"error":"the forecast says 404"}')
    ask("/api/elsewhere", 403, '{"error":"out of reach"}')
    running.wait_log(r'\[api\] denied: a request to https://elsewhere\.example\.com; .*allowed_outbound_hosts of component "api"')
    ask("/", 200, re.compile("<h1>Guest book</h1>"), fields={"content-type": re.compile("^text/html")})
    ask("/style/book.css", 200, "h1 { font-family: serif; }\n", fields={"content-type": re.compile("^text/css")})
    ask("/style/none.css", 404)
    if "s3cret" in running.log():
        raise Wrong("the log tells the token")


ROWS = [
    sdk("common-patterns/outbound-http", Ask("/", says='{"fact": "light is fast"}', fields=JSON),
        hosts={"random-data-api.fermyon.app": peers.reply('{"fact": "light is fast"}')}),
    sdk("common-patterns/routing-requests", Ask("/", says="Hello, Fermyon"), Ask("/hello/world", says='"Hello, world!"', fields=JSON),
        Ask("/bye/world", says='{"message":"Goodbye, world"}', fields=JSON),
        Ask("/reverse-header-value", headers=("x-spin-demo: abc",), says="", fields={"x-spin-demo": "cba"}),
        Ask("/reverse-header-value", status=400, says="Bad Request"),
        Ask("/items", method="POST", body='{"a": [1, "ä"]}', says="Item processed", log=r'Processing item \{"a":\[1,"ä"\]\}'),
        Ask("/items", method="POST", body="{", status=400, says="Bad Request"), Ask("/none", status=404)),
    sdk("spin-host-apis/spin-kv", Ask("/hello", says="world"), Ask("/other", status=404, says="Not Found"),
        Ask("/other", method="POST", body="x", status=404), options=("--key-value", "http://localhost/hello=world")),
    sdk("spin-host-apis/spin-llm", lacks="unknown key \"allowed_models\"", why="its manifest has a key that is none"),
    broken("spin-host-apis/spin-mqtt", "has no exported member 'Mqtt'", "they import a name of an older SDK"),
    sdk("spin-host-apis/spin-mysql", Ask("/", says=re.compile(r'"rows": \[\s*\{\s*"id": 1,\s*"val": 7\s*\},\s*\{\s*"id": 4,\s*"val": 5\s*\}\s*\]')),
        needs=("mysql",), setup=table),
    sdk("spin-host-apis/spin-postgres", Ask("/", says=re.compile(r'"rows": \[\s*\{\s*"id": 1,\s*"val": 7\s*\},\s*\{\s*"id": 4,\s*"val": 5\s*\}\s*\]')),
        needs=("postgres",), setup=table),
    broken("spin-host-apis/spin-redis", "Cannot find name 'Redis'", "they use a name that they do not import"),
    broken("spin-host-apis/spin-sqlite", "Cannot find module '@fermyon/spin-sqlite'", "they import a package that they do not name"),
    sdk("spin-host-apis/spin-variables", Ask("/", says="Hello, World!"), Ask("/none", status=404)),
    broken("orm/drizzle", "has no exported member 'Sqlite'", "they import a name of an older SDK"),
    sdk("github/octokit-rest", Ask("/", says=re.compile(r'"name": "spin"'), fields=JSON), hosts={"api.github.com": github}),
    # A list is XML, for which the client of AWS wants the DOMParser of browsers, and the engine of the SDK has none.
    sdk("aws/s3", Ask("/stream/shoes/left.txt", says="left" * 5000), Ask("/stream/shoes/right.txt", status=500, says=re.compile("^error : ")),
        Ask("/list/shoes", status=500, says=re.compile("^error : DOMParser is not defined")),
        hosts={"shoes.s3.us-west-2.amazonaws.com": bucket}),
    unnamed("aws/sqs", "a region and a queue of AWS"),
    unnamed("blob-storage/backblaze", "an endpoint of Backblaze"),
    unnamed("serverless_db/neondb", "the address of a database of Neon"),
    unnamed("serverless_db/planetscale", "a host of PlanetScale"),
    unnamed("upstash/qstash", "a token of Upstash and an address"),
    unnamed("upstash/vector", "an address of Upstash"),
    *(template(name, Ask("/", says="Hello, Spin!"), Ask("/hello/you", says='"Hello, you!"', fields=JSON), Ask("/none", status=404), http_router="itty")
      for name in ("http-js", "http-ts")),
    *(template(name, Ask("/", says="Hello, Spin!", fields={"server": "Spin CLI"}, log=r"--> GET / "),
               Ask("/hello/you", says=re.compile(r'^\{"message":"Hello, you!?"\}$'), fields=JSON), http_router="hono")
      for name in ("http-js", "http-ts")),
    *(template(name, Ask("/any", says="Hello, Spin!", fields={"content-type": "text/plain"}), http_router="none")
      for name in ("http-js", "http-ts")),
    *(template(name, lacks="command sh -c knitwit", why="its package.json calls a tool that it does not name") for name in ("redis-js", "redis-ts")),
    Example("", "", "guestbook-js", act=guestbook, provide=npm.sdk, tools=("node", "npm", "cargo"), before=(["cp", STATIC, "pages.wasm"],),
            options=("--variable", "greeting=Hello", "--variable", "forecast_token=s3cret"), hosts={"forecast.example.com": forecast}),
]
