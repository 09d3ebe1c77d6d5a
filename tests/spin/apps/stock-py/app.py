"""What a shop has: rows of a database, a counter in a key-value store, rates of exchange from another server, and a page
from a file."""
import json
import os
from urllib.parse import parse_qs, urlsplit

from spin_sdk import http, key_value, sqlite, variables
from spin_sdk.http import Request, Response
from spin_sdk.sqlite import Value_Integer, Value_Real, Value_Text
from spin_sdk.wit.types import Err

TABLE = "CREATE TABLE IF NOT EXISTS things (name TEXT PRIMARY KEY, count INTEGER NOT NULL, price REAL NOT NULL)"


def answer(status, value):
    return Response(status, {"content-type": "application/json"}, json.dumps(value, sort_keys=True).encode())


def run(statement, *parameters):
    """The rows, as lists of values."""
    with sqlite.open_default() as database:
        database.execute(TABLE, [])
        found = database.execute(statement, list(parameters))
        return [[value.value for value in row.values] for row in found.rows]


def things(query):
    least = int(query.get("least", ["0"])[0])
    rows = run("SELECT name, count, price FROM things WHERE count >= ? ORDER BY name", Value_Integer(least))
    return answer(200, [dict(zip(("name", "count", "price"), row)) for row in rows])


def put(name, body):
    try:
        given = json.loads(body)
        count, price = int(given["count"]), float(given["price"])
    except (ValueError, KeyError, TypeError) as why:
        return answer(422, {"error": type(why).__name__})
    run("INSERT INTO things VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET count = excluded.count, price = excluded.price",
        Value_Text(name), Value_Integer(count), Value_Real(price))
    return answer(200, {"name": name})


def price(name, query):
    rows = run("SELECT price FROM things WHERE name = ?", Value_Text(name))
    if not rows:
        return answer(404, {"error": f"there is no {name}"})
    wanted, own = query.get("in", ["USD"])[0], variables.get("currency")
    rates = http.send(Request("GET", f"{variables.get('rates')}?from={own}", {"accept": "application/json"}, None))
    if rates.status != 200:
        return answer(502, {"error": f"the rates say {rates.status}"})
    return answer(200, {"price": round(rows[0][0] * json.loads(rates.body)[wanted], 2), "currency": wanted})


def page():
    with key_value.open_default() as store:
        shown = int(store.get("shown") or b"0") + 1
        store.set("shown", str(shown).encode())
    with open("/pages/stock.html", encoding="utf-8") as file:
        text = file.read()
    count = run("SELECT count(*) FROM things")[0][0]
    return Response(200, {"content-type": "text/html"},
                    text.format(branch=os.environ["BRANCH"], count=count, shown=shown).encode())


def denied():
    """What the manifest does not give, and how it is told."""
    found = {}
    for name, act in (("store", lambda: key_value.open("other")), ("database", lambda: sqlite.open("other")),
                      ("variable", lambda: variables.get("other")), ("file", lambda: open("/etc/passwd")),
                      ("host", lambda: http.send(Request("GET", "https://elsewhere.example.com/", {}, None)))):
        try:
            act()
            found[name] = "there"
        except Err as why:
            found[name] = type(why.value).__name__
        except OSError as why:
            found[name] = type(why).__name__
    return answer(200, found)


class IncomingHandler(http.IncomingHandler):
    def handle_request(self, request: Request) -> Response:
        uri = urlsplit(request.uri)
        query, words = parse_qs(uri.query), uri.path.strip("/").split("/")[1:]
        match request.method, words:
            case "GET", []:
                return page()
            case "GET", ["things"]:
                return things(query)
            case "PUT", ["things", name]:
                return put(name, request.body)
            case "GET", ["things", name, "price"]:
                return price(name, query)
            case "GET", ["denied"]:
                return denied()
        return Response(404, {}, None)
