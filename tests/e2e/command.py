#!/usr/bin/env python3
"""`mayfly run` end to end: a guest command (guests/process.c) as a process.

    command.py PROGRAM [CASE...]    as run.py
"""
import os
import subprocess
import sys
import tempfile

import run
from run import ROOT, check, guest

GUEST = guest("process")


def mayfly(*arguments, env=None, text="", guest_file=GUEST, deed=()):
    """Exit code, output and errors of `mayfly run ARGUMENTS GUEST DEED`."""
    done = subprocess.run([run.PROGRAM, "run", *arguments, guest_file, *deed], input=text.encode(),
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


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
