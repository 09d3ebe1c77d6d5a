#!/usr/bin/env python3
"""Loads and stores at the end of memory: at every level of optimization the same calls trap, and the others answer alike.

    loads.py PROGRAM [CASE...]    as run.py

The functions are random: loads of every width whose value is used in part, on one way only, in loops or not at all. The
seed is printed, and LOADS_SEED repeats it; MAYFLY_TEST_FULL=1 takes more of them.
"""
import concurrent.futures
import datetime
import os
import random
import subprocess
import sys
import tempfile

import run
from run import FULL, check

FUNCTIONS = 40
LEVELS = "0123"
THREADS = max(2, os.cpu_count() or 1)
# Parameters of each function: two addresses and a number. Memory ends at 65536.
CALLS = ((65535, 0, 0), (0, 65533, 1), (65529, 65530, 2), (65521, 16, 3), (100, 200, 1))
PARAMS, LOCALS = 3, 4  # of type i32; the last local counts repetitions
COUNTER = PARAMS + LOCALS - 1
LOADS_32 = (0x28, 0x2C, 0x2D, 0x2E, 0x2F)
LOADS_64 = (0x29, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35)
STORES = (0x36, 0x3A, 0x3B)
EXTEND_8, EXTEND_16, EQZ, CLZ, DROP, SELECT = b"\xc0", b"\xc1", b"\x45", b"\x67", b"\x1a", b"\x1b"
AND, OR, SHIFTS = b"\x71", b"\x72", (b"\x74", b"\x75", b"\x76")
BINARY = (b"\x6a", b"\x6b", AND, OR, b"\x73", b"\x46", b"\x48", b"\x6c")
# From an i64 to an i32, with and without a shift, a mask or an extension before.
NARROW = (b"\xa7", *(b"\x42" + shift + op + b"\xa7" for shift in (b"\x08", b"\x20", b"\x38") for op in (b"\x87", b"\x88")),
          b"\x42\xff\x01\x83\xa7", b"\x42\xff\xff\x03\x83\xa7", b"\x79\xa7", b"\x50")
# From a v128 to an i32: a lane, whether any is set, a mask.
LANES = (b"\xfd\x1b\x00", b"\xfd\x1b\x03", b"\xfd\x16\x00", b"\xfd\x16\x0f", b"\xfd\x1d\x01\xa7", b"\xfd\x53", b"\xfd\xa4\x01")
MIX_VECTORS = (b"\xfd\xae\x01", b"\xfd\x4e", b"\xfd\x51")


def leb(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def const(number):
    out = b"\x41"
    while not -64 <= number < 64:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number & 127])


def get(index):
    return b"\x20" + leb(index)


def put(index):
    return b"\x21" + leb(index)


def vector(items):
    return leb(len(items)) + b"".join(items)


class Body:
    """Random instructions; methods named for what they leave on the stack or do."""

    def __init__(self, dice):
        self.dice = dice
        self.bytes = self.statements(2, dice.randrange(2, 6)) + get(3) + get(4) + b"\x73" + get(5) + b"\x6a"

    def one_in(self, count):
        return self.dice.randrange(count) == 0

    def address(self):
        out = get(self.dice.choice((0, 0, 1)))
        return out + const(self.dice.choice((1, 4, 8, -4))) + b"\x6a" if self.one_in(5) else out

    def access(self, opcode):
        return opcode + b"\x00" + leb(self.dice.choice((0, 0, 0, 1, 3, 4, 7, 8, 16)))

    def vector(self):
        return self.address() + self.access(b"\xfd\x00")

    def load(self):
        kind = self.dice.randrange(20)
        if kind < 10:
            return self.address() + self.access(bytes([self.dice.choice(LOADS_32)]))
        if kind < 15:
            return self.address() + self.access(bytes([self.dice.choice(LOADS_64)])) + self.dice.choice(NARROW)
        if kind < 16:
            return self.address() + self.access(b"\x2a") + b"\xbc"  # f32.load, reinterpreted
        mixed = self.vector() + self.dice.choice(MIX_VECTORS) if self.one_in(3) else b""
        return self.vector() + mixed + self.dice.choice(LANES)

    def value(self, depth):
        kind = self.dice.randrange(20)
        if depth == 0 or kind < 3:
            return self.dice.choice((get(self.dice.randrange(2, 6)), const(self.dice.choice((0, 1, 255, -1, 3))), get(2)))
        if kind < 9:
            return self.load()
        if kind < 12:
            mask = const(self.dice.choice((255, 0xFFFF, 0xFF00, 1, 0, -256, 0xFF0000)))
            return self.value(depth - 1) + mask + self.dice.choice((AND, OR))
        if kind < 14:
            return self.value(depth - 1) + const(self.dice.choice((8, 16, 24, 31))) + self.dice.choice(SHIFTS)
        if kind < 15:
            return self.value(depth - 1) + self.dice.choice((EXTEND_8, EXTEND_16, EQZ, CLZ))
        if kind < 17:
            return self.value(depth - 1) + self.value(depth - 1) + self.value(depth - 1) + SELECT
        return self.value(depth - 1) + self.value(depth - 1) + self.dice.choice(BINARY)

    def store(self):
        return self.address() + self.value(2) + self.access(bytes([self.dice.choice(STORES)]))

    def branch(self, depth):
        condition = self.dice.choice((get(2), get(2) + const(1) + AND, self.value(1)))
        otherwise = b"\x05" + self.statements(depth - 1, self.dice.randrange(2)) if self.one_in(2) else b""
        return condition + b"\x04\x40" + self.statements(depth - 1, self.dice.randrange(1, 3)) + otherwise + b"\x0b"

    def loop(self):
        out = const(self.dice.choice((1, 4, 9, 32))) + put(COUNTER) + b"\x03\x40"
        out += self.statements(0, self.dice.randrange(1, 3))
        if self.one_in(2):  # at an address that moves
            load = self.access(bytes([self.dice.choice(LOADS_32)]))
            out += get(3) + get(0) + get(COUNTER) + b"\x6a" + load + b"\x6a" + put(3)
        return out + get(COUNTER) + const(1) + b"\x6b\x22" + leb(COUNTER) + b"\x0d\x00\x0b"

    def statements(self, depth, count):
        out = b""
        for _ in range(count):
            kind = self.dice.randrange(20)
            if kind < 10:
                out += self.value(3) + put(self.dice.randrange(PARAMS, COUNTER))
            elif kind < 12:
                out += self.store()
            elif kind < 13:
                out += self.load() + DROP
            elif depth:
                out += self.branch(depth) if kind < 17 else self.loop()
        return out


def module(seed):
    """FUNCTIONS functions in one page of memory, exported as f0, f1, ..."""
    dice, i32 = random.Random(seed), b"\x7f"
    section = lambda number, body: bytes([number]) + leb(len(body)) + body
    codes = [vector([leb(LOCALS) + i32]) + Body(dice).bytes + b"\x0b" for _ in range(FUNCTIONS)]
    names = [f"f{i}".encode() for i in range(FUNCTIONS)]
    return (b"\0asm\1\0\0\0" + section(1, vector([b"\x60" + vector([i32] * PARAMS) + vector([i32])])) +
            section(3, vector([b"\0"] * FUNCTIONS)) + section(5, vector([b"\1\1\1"])) +
            section(7, vector([leb(len(name)) + name + b"\0" + leb(i) for i, name in enumerate(names)])) +
            section(10, vector([leb(len(code)) + code for code in codes])))


def answer(image, function, parameters):
    """What a call gives, or "trap"."""
    done = subprocess.run([run.PROGRAM, "run", "--invoke", f"f{function}", image, *map(str, parameters)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=run.START_SECONDS)
    if done.returncode == 134 and done.stderr.startswith("trap: out of bounds memory access"):
        return "trap"
    return done.stdout.strip() if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr:.80}"


def answers(images, function, parameters):
    return [answer(image, function, parameters) for image in images]


def try_seed(folder, seed, pool):
    """Differences between levels, and how many calls trapped."""
    file, images = os.path.join(folder, "m.wasm"), [os.path.join(folder, f"m.{level}") for level in LEVELS]
    with open(file, "wb") as out:
        out.write(module(seed))
    for level, image in zip(LEVELS, images):
        subprocess.run([run.PROGRAM, "compile", file, "-O" + level, "-o", image], check=True, capture_output=True)
    jobs = [(i, call, pool.submit(answers, images, i, call)) for i in range(FUNCTIONS) for call in CALLS]
    different = [f"LOADS_SEED={seed}: f{i}{call} gives {job.result()}" for i, call, job in jobs
                 if len(set(job.result())) > 1]
    return different, sum(job.result()[0] == "trap" for _, _, job in jobs)


def case_loads():
    """Random functions at the end of memory agree at every level."""
    first = int(os.environ.get("LOADS_SEED", datetime.date.today().toordinal()))
    count = 30 if FULL else 2
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        tried = [try_seed(folder, seed, pool) for seed in range(first, first + count)]
    different, traps = [text for found, _ in tried for text in found], sum(number for _, number in tried)
    check(not different, "; ".join(different[:5]))
    check(traps > count * FUNCTIONS, f"only {traps} calls trapped")
    print(f"  LOADS_SEED={first}, {count} modules, {traps} of {count * FUNCTIONS * len(CALLS)} calls trapped")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
