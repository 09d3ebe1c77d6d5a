"""The page: a template, filled with what the others answer. One that does not answer leaves a line where its part was."""
import html
import json
import string
import sys

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import outgoing_handler
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import (Fields, IncomingRequest, Method_Get, OutgoingBody, OutgoingRequest, OutgoingResponse,
                                     ResponseOutparam, Scheme_Http)

PART = 4096  # what blocking_write_and_flush takes at once
ANSWER_MAX = 1 << 20
FILES = {"/": ("page.html", "text/html; charset=utf-8"), "/static/page.css": ("page.css", "text/css"),
         "/static/page.js": ("page.js", "text/javascript")}
COLUMNS = ("count", "least", "most", "mean", "median", "deviation")


class NoAnswer(Exception):
    """Another component did not answer, and why."""


def read_all(response):
    whole = bytearray()
    with response.consume() as body, body.stream() as stream:
        try:
            while len(whole) <= ANSWER_MAX:
                whole += stream.blocking_read(65536)
        except Err as error:
            if isinstance(error.value, StreamError_Closed):
                return bytes(whole)
            raise NoAnswer("it broke off")
    raise NoAnswer("it is too long")


def ask(component, path, fields=()):
    """A component's status and body."""
    request = OutgoingRequest(Fields.from_list(list(fields)))
    request.set_scheme(Scheme_Http())
    request.set_authority(f"{component}.spin.internal")
    request.set_path_with_query(path)
    try:
        future = outgoing_handler.handle(request, None)
        while (result := future.get()) is None:
            with future.subscribe() as pollable:
                pollable.block()
        if isinstance(result.value, Err):
            raise result.value
        response = result.value.value
        return response.status(), read_all(response)
    except Err as error:
        raise NoAnswer(type(error.value).__name__.removeprefix("ErrorCode_"))


def ask_well(component, path):
    status, body = ask(component, path)
    if status != 200:
        raise NoAnswer(f"status {status}")
    return body.decode()


def part(component, make):
    """A part of the page, or the line that says that it is not there."""
    try:
        return make()
    except NoAnswer as why:
        print(f"page: {component}: {why}", file=sys.stderr)
        return f'<p class="gone">{html.escape(component)} does not answer: {html.escape(str(why))}</p>'


def greeting(fields):
    """Who is there, or how to come in. Whose token it is only auth can tell, so it gets what the browser sent."""
    kept = [(name, value) for name, value in fields if name.lower() in ("authorization", "cookie")]
    status, body = ask("auth", "/check", kept)
    if status == 200:
        return f"<p>Welcome, <b>{html.escape(body.decode().strip())}</b>.</p>"
    if status != 401:
        raise NoAnswer(f"status {status}")
    return "<p>You are not logged in.</p>"


def table():
    places = json.loads(ask_well("stats", "/summary"))["places"]
    rows = "".join(f"<tr><th>{html.escape(place['place'])}</th>" + "".join(f"<td>{place[c]:g}</td>" for c in COLUMNS) + "</tr>\n"
                   for place in places)
    return f"<table>\n<tr><th>place</th>{''.join(f'<th>{c}</th>' for c in COLUMNS)}</tr>\n{rows}</table>"


def fill(template, fields):
    parts = {"greeting": ("auth", lambda: greeting(fields)), "table": ("stats", table),
             "notes": ("api", lambda: ask_well("api", "/api/notes"))}
    made = {name: part(component, make) for name, (component, make) in parts.items()}
    return string.Template(template).substitute(made)


def respond(request):
    """Status, content type and text."""
    path = (request.path_with_query() or "").partition("?")[0]
    if path not in FILES:
        return 404, "text/plain", "no such path\n"
    if not isinstance(request.method(), Method_Get):
        return 405, "text/plain", "not with this method\n"
    name, content_type = FILES[path]
    try:
        with open(f"/site/{name}", encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        print(f"page: /site/{name}: {error}", file=sys.stderr)
        return 500, "text/plain", "the page has no files\n"
    return 200, content_type, fill(text, request.headers().entries()) if path == "/" else text


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        status, content_type, text = respond(request)
        response = OutgoingResponse(Fields.from_list([("content-type", content_type.encode())]))
        response.set_status_code(status)
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        whole = text.encode()
        with body.write() as stream:
            for start in range(0, len(whole), PART):
                stream.blocking_write_and_flush(whole[start:start + PART])
        OutgoingBody.finish(body, None)
