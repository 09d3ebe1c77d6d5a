#!/usr/bin/env python3
"""`mayfly run` end to end: a guest command (guests/process.c) as a process, and single functions of other modules.

    command.py PROGRAM [CASE...]    as run.py
"""
import os
import resource
import subprocess
import sys
import tempfile
import time

import run
from run import ROOT, check, guest

GUEST = guest("process")


def mayfly(*arguments, env=None, text="", guest_file=GUEST, deed=()):
    """Exit code, output and errors of `mayfly run ARGUMENTS GUEST DEED`."""
    start = [run.PROGRAM, "run"] if "-O0" in arguments else run.command("run")
    done = subprocess.run([*start, *arguments, guest_file, *deed], input=text.encode(),
                          capture_output=True, timeout=run.START_SECONDS, env={**os.environ, **(env or {})})
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def expect(answer, code, output=None, error=""):
    check(answer[0] == code, f"exit code {code}, not {answer[0]} with {answer[2]!r:.300}")
    check(output is None or answer[1] == output, f"output {output!r:.200}, not {answer[1]!r:.200}")
    check(error in answer[2], f"{error!r} in {answer[2]!r:.300}")


def case_command():
    """Arguments, variables, streams and exit code pass; nothing that was not asked for does."""
    expect(mayfly(deed=("args", "one", "-x", "--env", "")), 0, "one\n-x\n--env\n\n")
    expect(mayfly(deed=("env",), env={"SECRET": "1"}), 0, "")
    expect(mayfly("--env", "A=b=c", "--env=D", "--env", "ABSENT", deed=("env",), env={"D": "e", "SECRET": "1"}), 0,
           "A=b=c\nD=e\n")
    expect(mayfly(deed=("cat",), text="line\n" * 50000), 0, "line\n" * 50000)
    expect(mayfly(deed=("exit", "0")), 0)
    expect(mayfly(deed=("exit", "42")), 42)
    expect(mayfly(deed=()), 9, "", "process.wasm: no such deed\n")


def opened(process):
    """What each descriptor of a process is."""
    folder, links = f"/proc/{process.pid}/fd", {}
    for fd in os.listdir(folder):
        try:
            links[int(fd)] = os.readlink(os.path.join(folder, fd))
        except FileNotFoundError:
            pass  # closed meanwhile
    return links


def case_command_closed_streams():
    """A stream that the caller closed is none of the guest's, and no other file gets its number."""
    for stream in range(3):
        with tempfile.TemporaryDirectory() as folder, subprocess.Popen(
                [*run.command("run"), "--dir", folder, GUEST, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, preexec_fn=lambda: os.close(stream)) as process:
            if stream == 0:
                check(process.wait(run.START_SECONDS) == 0, "a guest without input ends")
                continue
            process.stdin.write(b"x" * 5000)
            process.stdin.flush()
            while folder not in opened(process).values():
                check(process.poll() is None, "the guest waits for more")
                time.sleep(0.001)
            check(opened(process)[stream] == "/dev/null", f"no file is stream {stream}: {opened(process)}")
            process.stdin.close()
            check(process.wait(run.START_SECONDS) == 0, "a guest without output ends")
    for closed in ((2,), (0, 1, 2)):
        done = subprocess.run([*run.command("run"), GUEST], preexec_fn=lambda: [os.close(fd) for fd in closed])
        check(done.returncode == 9, f"the guest ends as it would, with {done.returncode}")


def case_command_file_limit():
    """What is written beyond the caller's limit on files is an error of the guest and does not end the process."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    expect(mayfly(deed=("exit", "0")), 0)  # compiled and cached without a limit
    with tempfile.TemporaryFile() as out:
        done = subprocess.run([*run.command("run"), GUEST, "cat"], input=bytes(2 << 20), stdout=out, preexec_fn=limit,
                              timeout=run.START_SECONDS)
        check(done.returncode == 0, f"the guest ends, with {done.returncode}")
        check(os.fstat(out.fileno()).st_size == 1 << 20, "all that the limit leaves room for is written")


def case_command_poll():
    """How much can be read from what is polled: also of a file that is larger than 2 GiB."""
    expect(mayfly("--invoke", "bytes", text="abc\n", guest_file=guest("poll")), 0, "0\n4\n")
    with tempfile.TemporaryFile() as file:
        for size, place, output in ((3 << 30, 0, 3 << 30), (3 << 30, 5, (3 << 30) - 5), (10, 20, 0)):
            file.truncate(size)
            os.lseek(file.fileno(), place, os.SEEK_SET)
            done = subprocess.run([*run.command("run"), "--invoke", "bytes", guest("poll")], stdin=file,
                                  capture_output=True, timeout=run.START_SECONDS)
            check(done.stdout == b"0\n%d\n" % output, f"{output} bytes at {place} of {size}, not {done.stdout}")


def case_command_trap():
    """A trap ends with 134 and a backtrace by the guest's names."""
    answer = mayfly(deed=("trap",))
    expect(answer, 134, "", "trap: unreachable\n")
    check("fall_over" in answer[2].splitlines()[1], f"the function's name first in {answer[2]!r}")


def importer(module, name):
    """A module that imports a function without parameters and exports it as _start."""
    text = lambda s: bytes([len(s)]) + s.encode()
    section = lambda number, body: bytes([number, len(body)]) + body
    return (b"\0asm\1\0\0\0" + section(1, b"\1\x60\0\0") + section(2, b"\1" + text(module) + text(name) + b"\0\0") +
            section(7, b"\1" + text("_start") + b"\0\0"))


def kept_sum(count):
    """What `many` of guests/throws.wat answers."""
    kept = {}
    for slot, number in enumerate(range(0, count, 10007)):
        kept[slot & 15] = number
    return sum(kept.values()) + 10000000


def case_command_exceptions():
    """An instance may throw for ever; what it keeps of that stays, and when all of it stays there is an end."""
    for count in (5, 50000, 1000000):
        expect(mayfly("--invoke", "many", guest_file=guest("throws"), deed=(str(count),)), 0, f"{kept_sum(count)}\n")
    expect(mayfly("--invoke", "chain", guest_file=guest("throws"), deed=("10000",)), 0, "")
    expect(mayfly("--invoke", "chain", guest_file=guest("throws"), deed=("1000000",)), 134, "", "trap: out of memory")


def case_command_refused():
    """What the host lacks is refused by name before anything runs; so are libraries and components."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "guest.wasm")
        for module, name, error in (("wasi_snapshot_preview1", "fd_fly", "unknown import wasi_snapshot_preview1.fd_fly"),
                                    ("env", "puts", "unknown import env.puts"),
                                    ("wasi_snapshot_preview1", "fd_close", "is imported with another type")):
            with open(file, "wb") as out:
                out.write(importer(module, name))
            expect(mayfly(guest_file=file), 1, "", error)
        with open(file, "wb") as out:
            out.write(b"\0asm\1\0\0\0")
        expect(mayfly(guest_file=file), 1, "", "_start")
    expect(mayfly(guest_file=os.path.join(ROOT, "examples", "hello-c", "hello.wasm")), 1, "", "component")
    expect(mayfly("--nonsense"), 2, "", "--nonsense")


def case_command_preload():
    """Modules linked at run time: a library's functions, memory and globals; what does not fit is refused by name."""
    library, command = f"lib={guest('preload_lib')}", guest("preload_command")
    expect(mayfly("--preload", library, guest_file=command), 41, "Hello from the library\n")
    expect(mayfly("--preload", library, "--preload", library.replace("lib=", "other="), "-O0", guest_file=command), 41)
    expect(mayfly("--preload", library, deed=("args", "x")), 0, "x\n")
    expect(mayfly("--preload", library, deed=("trap",)), 134, "", "fall_over")
    expect(mayfly(guest_file=command), 1, "", "--preload")
    expect(mayfly("--preload", library.replace("lib=", "other="), guest_file=command), 1, "", "unknown import lib.")
    expect(mayfly("--preload", f"lib={GUEST}", guest_file=command), 1, "", "memory of its own")
    expect(mayfly("--preload", f"lib={command}", guest_file=command), 1, "", "preload_command.wasm: unknown import lib.")
    expect(mayfly("--preload", "lib", guest_file=command), 2, "", "NAME=FILE")
    started, linked = guest("start_wasi"), ("--preload", f"a={guest('start')}")
    for options in ((), linked):
        expect(invoke(started, "asked", options=options), 0, "0\n1\n")


def invoke(file, name, *arguments, options=()):
    return mayfly(*options, "--invoke", name, guest_file=file, deed=arguments)


def case_command_invoke_component():
    """Functions of components with typed values, across components of a file; a thread waits for the host meanwhile."""
    fixtures = os.path.join(ROOT, "tests", "component", "fixtures")
    fuse, pair, nap = (os.path.join(fixtures, name + ".wasm") for name in ("fuse", "pair", "nap"))
    expect(invoke(pair, "run"), 0, "42\n")
    expect(invoke(fuse, "char", "65"), 0, "65\n")
    expect(invoke(fuse, "s8", "0x1"), 2, "", "argument 1: character")
    expect(invoke(fuse, "s8"), 2, "", "the function takes 1 argument, not 0")
    expect(invoke(fuse, "poke", "1", "2"), 0, "")
    expect(invoke(fuse, "nothing"), 1, "", "the component exports no function 'nothing'\nit exports 'set-realloc'")
    answer = invoke(fuse, "char", str(0xd800))
    expect(answer, 134, "", "trap: host function failed: invalid `char` bit pattern")
    check(" char (core instance" in answer[2], f"the adapter's frame in {answer[2]!r}")
    expect(invoke(os.path.join(fixtures, "tasks.wasm"), "sums", "10"), 0, "13560\n")
    expect(invoke(os.path.join(fixtures, "lending.wasm"), "adds", "7"), 0, "35\n")
    if run.FULL or "fast" in run.TIER:  # so many modules take LLVM a while
        for name in ("lists", "texts", "drops", "drops-own"):
            expect(invoke(os.path.join(fixtures, "far.wasm"), name, "0"), 0, "0\n")
    begin = time.monotonic()
    expect(invoke(nap, "run", "41"), 0, "42\n")
    check(time.monotonic() - begin >= 0.4, "four naps of a tenth of a second")
    expect(invoke(nap, "run", "41", options=("--timeout", "150ms")), 134, "", "trap: time limit reached")


def case_command_invoke_host():
    """Functions of WASI that a component exports again."""
    again = os.path.join(ROOT, "tests", "component", "fixtures", "again.wasm")
    given = ("--env", "A=b", "--env", "NAME=value")
    expect(invoke(again, "variables", options=given), 0, '[("A", "b"), ("NAME", "value")]\n')
    expect(invoke(again, "variables"), 0, "[]\n")
    status, text, _ = invoke(again, "get-random-bytes", "200000")
    check(status == 0 and text.count(",") == 199999, "so many bytes as were asked for")
    begin = time.monotonic_ns()
    status, text, _ = invoke(again, "time")
    check(status == 0 and 0 < int(text) < time.monotonic_ns() - begin, f"a clock that began with the run: {text!r}")
    expect(invoke(again, "wait", "5"), 0, "a resource\n")
    expect(invoke(again, "get-random-bytes", "1000000000"), 134, "", "trap:")


def case_command_invoke():
    """Functions by name: values of every type come back as they were passed; what does not fit is refused by name."""
    file = guest("invoke")
    for kind, text, output in (("i32", "4294967295", "-1"), ("i32", "-0x80000000", "-2147483648"), ("i64", "-7", None),
                               ("f32", "0.1", None), ("f32", "nan:0x123", None), ("f64", "0x1p-1074", "5e-324"),
                               ("f64", "-inf", None), ("f64", "-nan", None), ("externref", "null", None),
                               ("funcref", "null", None), ("v128", "0x0123456789abcdef0123456789abcdef", None)):
        expect(invoke(file, kind, text), 0, (output or text) + "\n")
    many = ["1", "2", "3", "4", "5", "6", "7", "8", "1.5", "2", "3", "4", "5", "6", "7", "8", "9.25", "10.5", "0xff"]
    expect(invoke(file, "many", *many), 0, f"10.5\n1\n8\n0x{255:032x}\n7\n9.25\n")
    expect(invoke(file, "make"), 0, "structure\ni31\nobject\narray\nnull\nfunction\n")
    expect(invoke(file, "nothing"), 0, "")
    expect(invoke(file, "ready"), 0, "1\n")
    expect(invoke(file, "_initialize"), 0, "")
    answer = invoke(file, "divide", "1", "0")
    expect(answer, 134, "", "trap: integer divide by zero\n")
    check(" divide " in answer[2].splitlines()[1], f"the function's name in {answer[2]!r}")
    expect(invoke(file, "divide", "1"), 2, "", "'divide' is (i32, i32) -> (i32); it takes 2 arguments, not 1")
    expect(invoke(file, "divide", "1", "x\x1b"), 2, "", "argument 2 is no i32: 'x\\x1b'")
    expect(invoke(file, "never_null", "null"), 2, "", "((ref struct)) -> (i32)")
    expect(invoke(file, "devide", "1", "0"), 1, "", "did you mean 'divide'?")
    expect(invoke(file, "x" * 1000), 1, "", "...'\nit exports ")
    expect(invoke(file, "something else"), 1, "", "'bad\\x0a\\x1b[31mname'")
    expect(invoke(os.path.join(ROOT, "examples", "hello-c", "hello.wasm"), "f"), 1, "", "component")
    expect(invoke(GUEST, "_start"), 9, "", "process.wasm: no such deed\n")
    library, linked = f"lib={guest('preload_lib')}", ("--preload", f"a={guest('start')}")
    expect(invoke(file, "ready", options=linked), 0, "1\n")
    expect(invoke(file, "divide", "-9", "2", options=linked), 0, "-4\n")
    expect(invoke(file, "divide", "-9", options=linked), 2, "", "(i32, i32) -> (i32)")
    expect(invoke(file, "devide", options=linked), 1, "", "did you mean 'divide'?")
    expect(invoke(guest("preload_command"), "_start", options=("--preload", library)), 41)


def start_guest(folder, deed):
    """guests/start.wat with its deed written into it."""
    file = os.path.join(folder, f"start{deed}.wasm")
    with open(guest("start"), "rb") as source, open(file, "wb") as out:
        out.write(source.read().replace(b"\1?", b"\1" + str(deed).encode()))
    return file


def case_command_memory():
    """--max-memory holds for all memories, tables and objects together, from the start on."""
    file, limit = guest("limits"), lambda size: ("--max-memory", size)
    expect(invoke(file, "memory_grow", "1", options=limit("100M")), 0, "1025\n")
    expect(invoke(file, "memory_grow", "1000", options=limit("100M")), 0, "-1\n")
    expect(invoke(file, "memory_grow", "1000", options=limit("1G")), 0, "1025\n")
    expect(invoke(file, "table_grow", "1000000", options=limit("100M")), 0, "1\n")
    expect(invoke(file, "table_grow", "2000000", options=limit("100M")), 0, "-1\n")
    expect(invoke(file, "both", "200", "1000000", options=limit("100M")), 0, "1025\n-1\n")
    expect(invoke(guest("memories"), "grow_all"), 0, "100\n")
    expect(invoke(guest("memories"), "grow_all", options=limit("1M")), 0, "16\n")
    expect(invoke(file, "keep", "100000", options=limit("100M")), 0, "")
    expect(invoke(file, "keep", "2000000", options=limit("100M")), 134, "", "trap: out of memory")
    expect(invoke(file, "keep", "2000000", options=limit("200MiB")), 0, "")
    expect(invoke(file, "memory_grow", "0", options=limit("79M")), 1, "", "bytes at the start, and 82837504 are allowed")
    expect(mayfly("--max-memory", "1T"), 2, "", "--max-memory")
    with tempfile.TemporaryDirectory() as folder:
        still, grows = start_guest(folder, 0), start_guest(folder, 2)
        expect(invoke(still, "answer", options=limit("1048576")), 0, "42\n")
        expect(invoke(still, "answer", options=limit("1048575")), 1, "", "1048576 bytes")
        expect(invoke(grows, "answer", options=limit("1M")), 134, "", "trap: unreachable\n")
        expect(invoke(grows, "answer", options=limit("1088K")), 0, "42\n")
        twice = ("--preload", f"a={still}")
        expect(invoke(still, "answer", options=(*twice, *limit("2M"))), 0, "42\n")
        expect(invoke(still, "answer", options=(*twice, *limit("2097151"))), 1, "", "2097152 bytes")
        expect(invoke(grows, "answer", options=(*twice, *limit("2M"))), 134, "", "trap: unreachable\n")
        expect(invoke(still, "answer", options=("--preload", f"a={grows}", *limit("2M"))), 1, "", "need 2162688 bytes")


OVER = "trap: time limit reached\n"


def case_command_timeout():
    """--timeout ends what would never end: in the guest's code, in helpers, in the collector, in the host."""
    file, soon = guest("limits"), ("--timeout", "200ms")
    for name in ("spin", "calls", "fill", "fill_little", "copy", "init", "grow", "table_fill", "table_copy",
                 "table_init", "wait", "throw", "garbage", "collect", "array_copy", "sleep", "clock", "random"):
        answer = invoke(file, name, options=soon)
        expect(answer, 134, "", OVER)
        check(name == "throw" or f" {name}_forever " in answer[2], f"{name}_forever in {answer[2]!r}")
    for name in ("poll_input", "read", "write"):
        with subprocess.Popen([*run.command("run"), *soon, "--invoke", name, file], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            code = process.wait(run.START_SECONDS)
            errors = process.stderr.read().decode()
        check(code == 134 and OVER in errors and f" {name}_forever " in errors, f"{name}: {code} {errors!r}")
    expect(invoke(file, "memory_grow", "0", options=("--timeout", "1h")), 0, "1025\n")
    expect(invoke(file, "spin", options=("--timeout", "0s")), 134, "", OVER)
    expect(mayfly("--timeout", "1h", deed=("exit", "3")), 3)
    for wrong in ("5", "s", "1.5s", "-1s", ""):
        expect(mayfly(f"--timeout={wrong}"), 2, "", "--timeout")


def case_command_timeout_start():
    """The time counts from the first code of the guest: start functions and _initialize, of libraries too."""
    soon = ("--timeout", "200ms")
    with tempfile.TemporaryDirectory() as folder:
        still, starts, initializes = (start_guest(folder, deed) for deed in (0, 1, 3))
        for answer in (mayfly(*soon, guest_file=starts), invoke(starts, "answer", options=soon),
                       invoke(still, "answer", options=(*soon, "--preload", f"a={starts}")),
                       invoke(starts, "answer", options=(*soon, "--preload", f"a={still}"))):
            expect(answer, 134, "", OVER)
            check(" spin " in answer[2] and " begin " in answer[2], f"spin and begin in {answer[2]!r}")
        for answer in (invoke(initializes, "answer", options=soon),
                       invoke(still, "answer", options=(*soon, "--preload", f"a={initializes}")),
                       invoke(initializes, "answer", options=(*soon, "--preload", f"a={still}"))):
            expect(answer, 134, "", OVER)
            check(" spin " in answer[2] and " make_ready " in answer[2], f"spin and make_ready in {answer[2]!r}")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
