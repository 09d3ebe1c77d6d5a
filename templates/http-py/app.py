from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam

PART = 4096  # what blocking_write_and_flush takes at once


def answer(path: str) -> bytes:
    """What a request is answered with."""
    return f"Hello from @project-name@! You asked for {path}\n".encode()


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        text = answer(request.path_with_query() or "/")
        response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain")]))
        body = response.body()
        ResponseOutparam.set(response_out, Ok(response))
        with body.write() as stream:
            for start in range(0, len(text), PART):
                stream.blocking_write_and_flush(text[start:start + PART])
        OutgoingBody.finish(body, None)
