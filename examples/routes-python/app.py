"""A handler with routes: an order as JSON, answers and echoes that are streamed, a request to another server."""
import json

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import outgoing_handler
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import (Fields, IncomingRequest, Method_Get, Method_Post, OutgoingBody, OutgoingRequest,
                                     OutgoingResponse, ResponseOutparam, Scheme_Http, Scheme_Https)

PART = 4096  # what blocking_write_and_flush takes at once
ORDER_MAX = 1 << 20
COUNT_MAX = 10_000_000


class Refused(Exception):
    """An answer that is an error: a status and the reason."""


def parts_of(stream):
    """What comes, as it comes."""
    try:
        while True:
            yield stream.blocking_read(65536)
    except Err as error:
        if not isinstance(error.value, StreamError_Closed):
            raise


def answer(out, status, content_type, parts):
    """Sends the parts as they are made; an answer whose parts break off is not finished."""
    response = OutgoingResponse(Fields.from_list([("content-type", content_type.encode())]))
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(out, Ok(response))
    with body.write() as stream:
        for part in parts:
            for start in range(0, len(part), PART):
                stream.blocking_write_and_flush(part[start:start + PART])
    OutgoingBody.finish(body, None)


def answer_json(out, status, value):
    answer(out, status, "application/json", [json.dumps(value).encode()])


def order(stream, out):
    text = bytearray()
    for part in parts_of(stream):
        text += part
        if len(text) > ORDER_MAX:
            raise Refused(413, "the order is too long")
    try:
        value = json.loads(text)
        customer, items = value["customer"], [(item["count"], item["cents"]) for item in value["items"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused(400, "this is no order")
    if type(customer) is not str or any(type(n) is not int or n < 0 for item in items for n in item):
        raise Refused(400, "this is no order")
    pieces, cents = sum(count for count, _ in items), sum(count * cents for count, cents in items)
    answer_json(out, 200, {"customer": customer, "pieces": pieces, "cents": cents})


def numbers(last):
    for first in range(1, last + 1, 500):
        yield "".join(f"{number}\n" for number in range(first, min(first + 500, last + 1))).encode()


def count(digits, out):
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9 or int(digits) > COUNT_MAX:
        raise Refused(400, "not a number that can be counted to")
    answer(out, 200, "text/plain", numbers(int(digits)))


def send(target):
    """`target` is SCHEME/AUTHORITY/PATH; gives the response."""
    scheme, authority, path = (target.split("/", 2) + ["", ""])[:3]
    request = OutgoingRequest(Fields())
    request.set_scheme(Scheme_Https() if scheme == "https" else Scheme_Http())
    request.set_authority(authority)
    request.set_path_with_query("/" + path)
    future = outgoing_handler.handle(request, None)
    while (result := future.get()) is None:
        with future.subscribe() as pollable:
            pollable.block()
    if isinstance(result, Err) or isinstance(result.value, Err):
        raise Err(result.value)
    return result.value.value


def fetch(target, out):
    try:
        response = send(target)
    except Err as error:
        raise Refused(502, repr(error.value))
    with response.consume() as body, body.stream() as stream:
        answer(out, response.status(), "application/octet-stream", parts_of(stream))


def respond(request, out):
    method, path = request.method(), request.path_with_query() or ""
    get, post = isinstance(method, Method_Get), isinstance(method, Method_Post)
    if get and path == "/":
        answer(out, 200, "text/plain", [b"Routes in Python\n"])
    elif post and path in ("/order", "/echo"):
        with request.consume() as body, body.stream() as stream:
            if path == "/order":
                order(stream, out)
            else:
                answer(out, 200, "application/octet-stream", parts_of(stream))
    elif path in ("/", "/order", "/echo"):
        raise Refused(405, "not with this method")
    elif get and path.startswith("/count/"):
        count(path.removeprefix("/count/"), out)
    elif get and path.startswith("/fetch/"):
        fetch(path.removeprefix("/fetch/"), out)
    else:
        raise Refused(404, "no such path")


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        try:
            respond(request, response_out)
        except Refused as refused:
            status, why = refused.args
            answer_json(response_out, status, {"error": why})
