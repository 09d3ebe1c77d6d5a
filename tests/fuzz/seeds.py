#!/usr/bin/env python3
"""Makes the seeds in corpus/ out of what is in the tree: seeds.py. What fuzzing found stands beside them and is left.

decode      the core modules of fixtures and guests that are smaller than 1000 bytes
body        function bodies of the same modules, of at most 300 bytes, and one of every instruction without operands
component   the fixtures of tests/component
h2          frames of a client of HTTP/2, written below
host        calls with small arguments, from a fixed generator, and sessions with files, written below
http_parse  requests, written below
http_response  responses, written below
image       lists of edits (fuzz_image.c), from a fixed generator
json        texts, written below
levels      bytes from a fixed generator
manifest    the manifest that has everything of tests/app/test_manifest.c, and the longest rows of manifest_rows.def
route       routes and paths, written below
url         URLs and where a server there leads, written below
storage     requests to stores and databases and their answers, written below
"""
import ast
import glob
import hashlib
import os
import re
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MODULE_MAX = 1000

REQUESTS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://example.com:80/a?b=c HTTP/1.1\r\nHost: example.com:80\r\nConnection: close\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
    b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
    b"OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"\r\nHEAD /%41 HTTP/1.1\r\nhost:[::1]:8080\r\nX: \t y \r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name, value):
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def head(stream, path=b"/abc", method=b"GET", ends=True, more=b"", whole=True):
    block = field(b":method", method) + b"\x86" + field(b":path", path) + b"\x41\x01h" + more
    return frame(1, ends | whole << 2, stream, block)


H2 = (
    head(1, b"/") + head(3, b"/a") + head(5, b"/ab") + head(7, b"/abc"),
    head(1, b"/ab", b"POST", False) + frame(0, 0, 1, b"hello") + frame(0, 1, 1, b" world"),
    head(1, b"/ab", b"POST", False) + frame(0, 8, 1, b"\x03hello\0\0\0") + frame(0, 1, 1),
    head(1, b"/ab", b"POST", False) + frame(0, 0, 1, b"hello") + frame(1, 5, 1, field(b"x-sum", b"7")),
    head(1, b"/", b"POST", False, field(b"content-length", b"5")) + frame(0, 1, 1, b"hello"),
    head(1, b"/", b"POST", False, field(b"content-length", b"5")) + frame(0, 1, 1, b"hell"),
    head(1, b"/", more=field(b"cookie", b"a") + field(b"cookie", b"b") + field(b"host", b"h")),
    head(1, b"/", whole=False) + frame(9, 0, 1, field(b"a", b"b")) + frame(9, 4, 1, field(b"c", b"d")),
    head(1) + frame(3, 0, 1, struct.pack(">I", 8)) + head(3) + frame(3, 0, 3, bytes(4)),
    frame(4, 0, 0, struct.pack(">HIHIHI", 3, 1, 4, 0, 5, 16384)) + head(1, b"/a") + frame(4, 1, 0) +
    frame(8, 0, 1, struct.pack(">I", 1000)),
    frame(6, 0, 0, b"12345678") + head(1, b"/a") + frame(7, 0, 0, bytes(8)),
    frame(2, 0, 3, struct.pack(">IB", 1, 200)) + head(1, b"/a") + head(3, b"/"),
    head(1, b"/ab", b"POST", False, field(b"expect", b"100-continue")) + frame(0, 1, 1, b"x"),
    frame(1, 5, 1, field(b":method", b"CONNECT") + b"\x41\x03h:1"),
    frame(0, 1, 1, b"x") + frame(8, 0, 0, bytes(4)),
    frame(1, 5, 1, b"\x82\x86\x84\x41\x01h\x40\x01a\x01b") + frame(1, 5, 3, b"\x82\x86\x84\xbf\xbe\x90"),
    head(1, b"/abcdef", b"POST", False) + frame(0, 1, 1, b"12345678901234"),
    head(5) + head(3),
)


def leb(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def modules(data):
    """The core modules of a file."""
    if data[4:8] == b"\1\0\0\0":
        yield data
        return
    at = 8
    while at < len(data):
        kind = data[at]
        size, at = leb(data, at + 1)
        if kind in (1, 4):
            yield from modules(data[at:at + size])
        at += size


def bodies(module):
    """The function bodies of a core module."""
    at = 8
    while at < len(module):
        kind = module[at]
        size, at = leb(module, at + 1)
        if kind == 10:
            count, entry = leb(module, at)
            for _ in range(count):
                length, entry = leb(module, entry)
                yield module[entry:entry + length]
                entry += length
        at += size


def plain_bodies():
    """Operands of each type in the places of parameters that nothing reaches, then one instruction."""
    for codes in ([bytes([c]) for c in range(0x45, 0xc5)], [b"\xfd" + bytes([c]) for c in range(0x0e, 0x80)],
                  [b"\xfd" + bytes([c]) + b"\1" for c in range(0x80, 0x100)]):
        for first in range(0, len(codes), 16):
            yield b"\0\0" + b"".join(code + b"\0" for code in codes[first:first + 16]) + b"\x0b"


def read(path):
    with open(path, "rb") as file:
        return file.read()

STATUS = (b'{"schema": 1, "now_ns": 5, "generation": 2, "tier": "fast", "functions": [{"name": "a\\u001b[2J\\ud83d\\ude00", "answers": '
          b'{"2xx": 7, "5xx": 1}, "limits": {"body": 3}, "broken": 1, "cpu_ns": 18446744073709551615, "latency": {"count": 2, '
          b'"buckets": [{"from_ns": 1024, "count": 2}]}, "starts": {"buckets": []}}], "workers": [{"worker": 0, "pid": 9, "up": true}]}')
TEXTS = (STATUS, STATUS[:200], b"[" * 17, b"[" * 16 + b"]" * 16, b'[-0.5e+3, null, "\\n\\/\\u00e9", {}, []]', b'{"a":{"b":[{"c":1}]}}', b"01",
         b'"\\ud800"', b'{"%s":{"%s":1}}' % (b"x" * 200, b"y" * 200))

RESPONSES = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Peer: yes\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nup to the end",
    b"HTTP/1.1 204 No Content\r\nEmpty:\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
)


def tree(*patterns):
    return [path for pattern in patterns for path in sorted(glob.glob(os.path.join(ROOT, pattern), recursive=True))]


def noise(seed, size):
    blocks = (hashlib.sha256(f"{seed} {i}".encode()).digest() for i in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def host_calls(*calls, more=b""):
    """An input of fuzz_host: (name, arguments...) each, in front of a memory that begins with two names and a text."""
    table = open(os.path.join(ROOT, "src/wasi/gen/interfaces.c")).read()
    functions = re.findall(r'^ +\{"([\w:/-]+)", "([^"]*)", "([^"]+)",$', table, re.M)
    names = [function.rsplit("]", 1)[-1] for _, _, function in functions]
    names += [f"{interface}@{version}:{name}" for (interface, version, _), name in zip(functions, names)]
    count = len(functions)
    rows = b"".join(struct.pack("<H10B", names.index(name) % count, *arguments, *([0] * (10 - len(arguments)))) for name, *arguments in calls)
    return bytes([len(calls)]) + rows + b"a\0\0\0b\0\0\0a/../b\0\0some text" + more


# Handles 1 and 2 are the request's; the granted directories become 3 and 4, what is opened first becomes 5.
DIRECTORIES = ("get-directories", 64)
OPEN = ("descriptor.open-at", 3, 0, 0, 1, 1, 3, 96)
FILES = [
    [DIRECTORIES, OPEN, ("descriptor.write", 5, 16, 9, 3, 96), ("descriptor.read", 5, 0xf5, 1, 96), ("descriptor.stat", 5, 96),
     ("descriptor.set-size", 5, 0xf6, 96), ("descriptor.set-size", 5, 0xf0, 96), ("descriptor.read", 5, 0xf5, 0xf1, 96)],
    [DIRECTORIES, OPEN, ("descriptor.write-via-stream", 5, 2, 96), ("output-stream.check-write", 6, 96),
     ("output-stream.write", 6, 16, 9, 96), ("output-stream.write-zeroes", 6, 0xf9, 96), ("descriptor.read-via-stream", 5, 0, 96),
     ("output-stream.splice", 6, 7, 0xf5, 96), ("input-stream.skip", 7, 4, 96), ("input-stream.read", 7, 0xf5, 96)],
    [DIRECTORIES, ("descriptor.create-directory-at", 3, 0, 1, 96), ("descriptor.symlink-at", 3, 8, 6, 4, 1, 96),
     ("descriptor.readlink-at", 3, 4, 1, 96), ("descriptor.stat-at", 3, 1, 4, 1, 96), ("descriptor.rename-at", 3, 0, 1, 3, 8, 6, 96),
     ("descriptor.read-directory", 3, 96), ("directory-entry-stream.read-directory-entry", 5, 96),
     ("directory-entry-stream.read-directory-entry", 5, 96), ("descriptor.remove-directory-at", 3, 0, 1, 96)],
    [DIRECTORIES, ("descriptor.open-at", 4, 1, 4, 0, 0, 1, 96), ("descriptor.read-directory", 4, 96),
     ("directory-entry-stream.read-directory-entry", 5, 96), ("descriptor.metadata-hash", 4, 96),
     ("descriptor.is-same-object", 3, 4), ("descriptor.set-times", 3, 2, 9, 9, 1, 0, 0, 96), ("descriptor.sync", 3, 96),
     ("descriptor.get-flags", 4, 96), ("descriptor.append-via-stream", 4, 96)],
]
# Handle 3 is the network, 4 a socket; a socket address is a case, a port and four bytes.
NETWORK = ("instance-network",)
TCP, UDP = ("create-tcp-socket", 0, 96), ("create-udp-socket", 0, 96)
SOCKETS = [
    [NETWORK, TCP, ("tcp-socket.start-bind", 4, 3, 0, 0, 127, 0, 0, 1), ("tcp-socket.finish-bind", 4, 96),
     ("tcp-socket.start-listen", 4, 96), ("tcp-socket.finish-listen", 4, 96), ("tcp-socket.accept", 4, 96),
     ("tcp-socket.local-address", 4, 96), ("tcp-socket.subscribe", 4), ("pollable.ready", 5)],
    [NETWORK, TCP, ("tcp-socket.set-send-buffer-size", 4, 0xf5, 96), ("tcp-socket.start-connect", 4, 3, 0, 1, 127, 0, 0, 1),
     ("tcp-socket.finish-connect", 4, 96), ("tcp-socket.shutdown", 4, 2, 96), ("tcp-socket.remote-address", 4, 96)],
    [NETWORK, UDP, ("udp-socket.start-bind", 4, 3, 0, 0, 127, 0, 0, 1), ("udp-socket.finish-bind", 4, 96),
     ("udp-socket.stream", 4, 1, 0, 1, 127, 0, 0, 1), ("outgoing-datagram-stream.check-send", 6, 96),
     ("outgoing-datagram-stream.send", 6, 200, 1, 96), ("incoming-datagram-stream.receive", 5, 3, 96),
     ("incoming-datagram-stream.subscribe", 5), ("pollable.ready", 7)],
    [NETWORK, ("resolve-addresses", 3, 0, 1, 96), ("resolve-addresses", 3, 25, 9, 96),
     ("resolve-address-stream.resolve-next-address", 4, 96)],
    [("fields",), ("outgoing-request", 3), ("outgoing-request.set-authority", 3, 1, 25, 11), ("outgoing-request.body", 3, 96),
     ("outgoing-request.set-scheme", 3, 1, 0), ("outgoing-body.write", 4, 96),
     ("wasi:http/outgoing-handler@0.2.12:handle", 3, 0, 0, 96), ("output-stream.check-write", 5, 96),
     ("output-stream.write", 5, 16, 9, 96), ("future-incoming-response.get", 3, 96),
     ("future-incoming-response.subscribe", 3)],
    [("request-options",), ("request-options.set-connect-timeout", 3, 1, 9), ("request-options.connect-timeout", 3, 96),
     ("request-options.between-bytes-timeout", 3, 96)],
]


ROUTES = (
    b"/foo\n/foo/...\n/:a/y\n/\n/:name.json\n/a.:b/c\n>/foo\n>/foo/\n>/foo/bar?x\n>/x/y\n>/x.json\n>/a.b/c\n>//foo//bar//\n",
    b"/a/:b/c\n/:a/b/:d\n/*\n/a/b/...\n>/a/b/c\n>/a/b/d\n>/a/b\n>/x/b/\n>*\n>\n",
    b"/:\n/*/x\n/a...\n/.../b\n/a b\n/:x/:x\n/a.*\n...\n*\n\n>/\n>/...\n>/.\n",
)

URLS = (
    b"http://a/b/c/d;p?q\n../../g?x#y", b"https://example.com:8443/a%20b\n//other.test/x", b"https://[::1]:80/x\n/../a/./b/..",
    b"http://a?b=c\n?d", b"http://127.0.0.1/\nfile:///etc/passwd", b"https://me:secret@host/a\nHTTPS://b/", b"https://a/b/\n./..//../c/",
)

# What stands around a row of manifest_rows.def.
HEAD = 'spin_manifest_version = 2\n[application]\nname = "a"\n'
VARIABLES = '[variables]\nv = { default = "h.x" }\nneeded = { required = true }\n'
AROUND = {
    "WHOLE": "", "APPLICATION": VARIABLES + HEAD, "NAMELESS": "spin_manifest_version = 2\n[trigger]\n[application]\n",
    "VARIABLES": HEAD + "[trigger]\n[variables]\n", "BARE": HEAD + VARIABLES,
    "COMPONENT": HEAD + VARIABLES + '[trigger]\n[component.c]\nsource = "c"\n',
    "TRIGGER": HEAD + VARIABLES + '[component.c]\nsource = "c"\n[[trigger.http]]\n',
}
LITERAL = r'"(?:[^"\\]|\\.)*"'


def manifests():
    test = read(os.path.join(ROOT, "tests", "app", "test_manifest.c")).decode()
    whole = re.search(r"everything\[\] =(.*?);\n\n", test, re.S).group(1)
    everything = "".join(ast.literal_eval(text) for text in re.findall(LITERAL, whole))
    yield everything
    yield "#debug\n" + everything
    rows = {}
    for place, text in re.findall(rf"^ROW\((\w+), ({LITERAL}), ", read(os.path.join(
            ROOT, "tests", "app", "manifest_rows.def")).decode(), re.M):
        rows.setdefault(place, []).append(ast.literal_eval(text))
    for place, texts in rows.items():
        yield from (AROUND[place] + text for text in sorted(texts, key=len)[-6:])


# Handle 3 is what is opened first. What every call is answered: turn, done, how many values, their types, integers.
STORES = ("fermyon:spin/key-value@2.0.0", "wasi:keyvalue/store@0.2.0-draft2", "wasi:keyvalue/batch@0.2.0-draft2", "wasi:keyvalue/atomics@0.2.0-draft2")
STORAGE = [
    [(STORES[0] + ":store.open", 0, 1, 96), (STORES[0] + ":store.get", 3, 4, 1, 96), (STORES[0] + ":store.set", 3, 4, 1, 16, 9, 96),
     (STORES[0] + ":store.exists", 3, 4, 1, 96), (STORES[0] + ":store.get-keys", 3, 96), (STORES[0] + ":store.delete", 3, 4, 1, 96)],
    [(STORES[1] + ":open", 0, 1, 96), (STORES[1] + ":bucket.get", 3, 4, 1, 96), (STORES[1] + ":bucket.list-keys", 3, 0, 0, 0, 96),
     (STORES[1] + ":bucket.list-keys", 3, 1, 4, 1, 96), (STORES[2] + ":get-many", 3, 0, 2, 96), (STORES[2] + ":set-many", 3, 64, 1, 96),
     (STORES[2] + ":delete-many", 3, 64, 1, 96)],
    [(STORES[1] + ":open", 0, 1, 96), (STORES[3] + ":increment", 3, 4, 1, 5, 96), (STORES[3] + ":cas.new", 3, 4, 1, 96),
     (STORES[3] + ":cas.current", 4, 96), (STORES[3] + ":swap", 4, 16, 9, 96), (STORES[3] + ":swap", 4, 16, 9, 96)],
    [("fermyon:spin/key-value@:open", 0, 1, 96), ("fermyon:spin/key-value@:get", 1, 4, 1, 96), ("fermyon:spin/key-value@:get-keys", 1, 96),
     ("fermyon:spin/key-value@:close", 1), ("fermyon:spin/key-value@:get", 1, 4, 1, 96)],
    [("fermyon:spin/sqlite@2.0.0:connection.open", 0, 1, 96), ("fermyon:spin/sqlite@2.0.0:connection.execute", 3, 16, 9, 64, 1, 96)],
    [("spin:sqlite/sqlite@3.1.0:connection.open", 0, 1, 96), ("spin:sqlite/sqlite@3.1.0:connection.execute", 3, 16, 9, 64, 1, 96),
     ("spin:sqlite/sqlite@3.1.0:connection.changes", 3), ("spin:sqlite/sqlite@3.1.0:connection.last-insert-rowid", 3)],
    [("fermyon:spin/sqlite@:open", 0, 1, 96), ("fermyon:spin/sqlite@:execute", 1, 16, 9, 64, 1, 96), ("fermyon:spin/sqlite@:close", 1),
     ("fermyon:spin/sqlite@:execute", 1, 16, 9, 64, 1, 96)],
]
ANSWERS = [bytes([turn, 1, len(types), *types, *([0] * (8 - len(types))), *integers, *([0] * (21 - len(integers)))])
           for turn, types, integers in ((0, (), ()), (0, (1,), (5,)), (0, (4, 1), (0, 7)), (0, (1, 1), (0, 9)), (0, (3, 3, 1), (0, 0, 1)),
                                         (0, (1, 3, 1, 4, 1, 1), (1, 0, 3, 0, 1, 2)), (0, (1, 1, 1), (0, 1, 1)), (0, (1, 3, 1), (255, 0, 1)))]
ANSWERS.append(bytes(32))


def frame_of(code, number, *values):
    """A frame of the storage protocol: None, int, float, str or bytes each."""
    body = b""
    for value in values:
        if value is None:
            body += b"\0"
        elif isinstance(value, int):
            body += struct.pack("<Bq", 1, value)
        elif isinstance(value, float):
            body += struct.pack("<Bd", 2, value)
        else:
            text = value.encode() if isinstance(value, str) else value
            body += struct.pack("<BI", 3 if isinstance(value, str) else 4, len(text)) + text
    return struct.pack("<IIQII", len(body), code, number, len(values), 0) + body


# Requests, by the numbers of their operations (wasi/storage.h), and answers to the calls, which have the numbers 1, 3, 4 and 5.
FRAMES = (
    b"\0" + frame_of(2, 1, "a", b"1") + frame_of(1, 2, "a") + frame_of(4, 3, "a") + frame_of(5, 4, None, 0) + frame_of(5, 4, "a", 7),
    b"\0" + frame_of(7, 1, "a", b"1", "b", b"") + frame_of(6, 2, "a", "b", "c") + frame_of(8, 3, "a", "b") + frame_of(3, 4, "a"),
    b"\0" + frame_of(9, 1, "n", 5) + frame_of(9, 1, "n", -7) + frame_of(10, 2, "n", 0, b"x") + frame_of(10, 2, "m", 0, b"x"),
    b"\0" + frame_of(11, 1, 1) + frame_of(12, 2, 1, "CREATE TABLE IF NOT EXISTS t (a, b)") + frame_of(12, 3, 1, "INSERT INTO t VALUES (?, ?)", 1.5, b"x")
    + frame_of(12, 4, 1, "SELECT a, b, count(*) FROM t") + frame_of(13, 5, 1),
    b"\0" + frame_of(11, 1, 2) + frame_of(12, 2, 2, "PRAGMA user_version") + frame_of(12, 3, 2, "ATTACH 'x' AS y") + frame_of(12, 4, 2, "BEGIN"),
    b"\1" + frame_of(1, 3, b"value", 5) + frame_of(1, 4, None, 0) + frame_of(6, 5, "why not") + frame_of(4, 1, "full"),
    b"\1" + frame_of(1, 9, b"nobody asked"), b"\1" + frame_of(1, 3) * 2, b"\1" + frame_of(0, 3), b"\1" + frame_of(6, 3), b"\1" + frame_of(7, 3, "x"),
)


def seeds():
    """(target, contents)"""
    yield from (("manifest", text.encode("latin1")) for text in manifests())
    yield from (("route", text) for text in ROUTES)
    yield from (("url", text) for text in URLS)
    yield from (("storage", frames) for frames in FRAMES)
    yield from (("host", host_calls(*calls)) for calls in FILES)
    yield from (("host", host_calls(*calls, more=b"127.0.0.1:1")) for calls in SOCKETS)
    yield from (("host", host_calls(*calls, more=answer)) for calls in STORAGE for answer in ANSWERS)
    for path in tree("tests/*/fixtures/*.wasm", "tests/wast/**/*.wasm", "tests/e2e/guests/*.wasm",
                     "examples/*/*.wasm"):
        yield from (("decode", module) for module in modules(read(path)) if len(module) < MODULE_MAX)
    for path in tree("tests/*/fixtures/*.wasm", "tests/wast/**/*.wasm", "tests/e2e/guests/preload*.wasm"):
        yield from (("body", body) for module in modules(read(path)) for body in bodies(module) if len(body) <= 300)
    yield from (("body", body) for body in plain_bodies())
    for path in [*tree("tests/component/fixtures/*.wasm"), *tree("tests/e2e/guests/module.wasm")]:
        yield "component", read(path)
    for i, request in enumerate(REQUESTS):
        yield "http_parse", bytes([i * 31 & 255]) + request
    for i, response in enumerate(RESPONSES):
        yield "http_response", bytes([i * 31 & 255]) + response
        yield "http_response", bytes([i * 31 + 1 & 255]) + response
    for text in TEXTS:
        yield "json", text
    for i, frames in enumerate(H2):
        yield "h2", bytes([i * 31 & 255, 255 - i * 7]) + frame(4, 0, 0) + frames
    for i in range(24):
        where = noise(i, 96)
        edits = b"".join(struct.pack("<BHBQ", where[k], where[k + 1], where[k + 2], where[k + 3])
                         for k in range(0, 4 * (1 + i % 5), 4))
        yield "image", bytes([i]) + edits
    for i in range(32):
        calls = 1 + i % 12
        small = [byte & 15 if byte < 224 else byte for byte in noise(200 + i, calls * 10)]
        which = noise(300 + i, calls)
        yield "host", bytes([calls]) + b"".join(
            bytes([which[k], i % 2, *small[10 * k:10 * k + 10]]) for k in range(calls)) + noise(400 + i, 64)
    for i in range(8):
        yield "levels", noise(100 + i, 200 * (i + 1))


def main():
    for target, data in seeds():
        folder = os.path.join(HERE, "corpus", target)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "seed-" + hashlib.sha256(data).hexdigest()[:12]), "wb") as file:
            file.write(data)


if __name__ == "__main__":
    main()
