#!/usr/bin/env python3
"""Makes the seeds in corpus/ out of what is in the tree: seeds.py. What fuzzing found stands beside them and is left.

decode      the core modules of fixtures and guests that are smaller than 1000 bytes
body        function bodies of the same modules, of at most 300 bytes, and one of every instruction without operands
component   the fixtures of tests/component
host        calls with small arguments, from a fixed generator
http_parse  requests, written below
image       lists of edits (fuzz_image.c), from a fixed generator
levels      bytes from a fixed generator
"""
import glob
import hashlib
import os
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


def tree(*patterns):
    return [path for pattern in patterns for path in sorted(glob.glob(os.path.join(ROOT, pattern), recursive=True))]


def noise(seed, size):
    blocks = (hashlib.sha256(f"{seed} {i}".encode()).digest() for i in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def seeds():
    """(target, contents)"""
    for path in tree("tests/*/fixtures/*.wasm", "tests/wast/**/*.wasm", "tests/e2e/guests/*.wasm",
                     "examples/*/*.wasm"):
        yield from (("decode", module) for module in modules(read(path)) if len(module) < MODULE_MAX)
    for path in tree("tests/*/fixtures/*.wasm", "tests/wast/**/*.wasm", "tests/e2e/guests/preload*.wasm"):
        yield from (("body", body) for module in modules(read(path)) for body in bodies(module) if len(body) <= 300)
    yield from (("body", body) for body in plain_bodies())
    for path in tree("tests/component/fixtures/*.wasm"):
        yield "component", read(path)
    for i, request in enumerate(REQUESTS):
        yield "http_parse", bytes([i * 31 & 255]) + request
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
            bytes([which[k], *small[10 * k:10 * k + 10]]) for k in range(calls)) + noise(400 + i, 64)
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
