#!/usr/bin/env python3
"""WASI 0.2 end to end: a command component (guests/files.c) that calls every function of wasi:filesystem, wasi:cli,
wasi:io, wasi:clocks and wasi:random under `mayfly run`. What it finds is prepared here, what it leaves is looked at.

    wasi.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import os
import pty
import resource
import socket
import subprocess
import sys
import tempfile
import time

import run
from run import check, guest

GUEST = guest("files")


@contextlib.contextmanager
def place():
    """Two directories to grant, `rw` and `ro`, and something outside of them that nobody may reach."""
    with tempfile.TemporaryDirectory() as top:
        rw, ro = os.path.join(top, "rw"), os.path.join(top, "ro")
        for folder in (rw, ro, f"{rw}/sub", f"{rw}/many", f"{rw}/many/folder", f"{ro}/folder"):
            os.mkdir(folder)
        write(f"{top}/x", "outside\n")
        write(f"{rw}/hello", "hello world\n")
        write(f"{rw}/old", "")
        write(f"{ro}/kept", "kept\n")
        os.utime(f"{rw}/hello", ns=(1100000000 * 10**9, 1000000000123456789))
        os.utime(f"{rw}/old", ns=(0, -5 * 10**9))
        for target, name in (("hello", "link"), ("/etc", "absolute"), ("../x", "above"), ("loop", "loop"), ("..", "sub/up"),
                             ("../..", "sub/out")):
            os.symlink(target, f"{rw}/{name}")
        os.mkfifo(f"{rw}/pipe")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{rw}/socket")
        for number in range(500):
            write(f"{rw}/many/{number:03}", "")
        write(os.fsencode(f"{rw}/many/") + b"\xff\xfe", "")
        yield top


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def command(top, *options):
    return [*run.command("run"), *options, "--dir", f"{top}/rw::rw", "--dir", f"{top}/ro::ro:ro"]


def mayfly(top, *deed, options=(), **how):
    how.setdefault("input", b"")
    done = subprocess.run([*command(top, *options), GUEST, *deed], capture_output=True, timeout=run.START_SECONDS, **how)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def expect(answer, code, output=None, error=""):
    check(answer[0] == code, f"exit code {code}, not {answer[0]} with {answer[1]!r:.300} {answer[2]!r:.600}")
    check(output is None or answer[1] == output, f"output {output!r:.200}, not {answer[1]!r:.200}")
    check(error in answer[2], f"{error!r} in {answer[2]!r:.600}")


def tree(top):
    """All there is, with sizes and contents of small files, to see that nothing changed."""
    found = []
    for folder, folders, files in os.walk(os.fsencode(top)):
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            found.append((path, status.st_mode, status.st_size, status.st_nlink))
    return sorted(found)


def case_wasi_files():
    """wasi:filesystem: what is known, contents, times, paths, listings, streams."""
    for deed in ("known", "contents", "wrong-kind", "times", "paths", "listing", "streams"):
        with place() as top:
            before = tree(top)
            expect(mayfly(top, deed), 0, "")
            check(tree(top) == before, f"{deed} leaves what it found")


def case_wasi_files_refused():
    """Nothing leads out of a grant or changes one that is read-only; errors say why."""
    for deed in ("refused", "read-only"):
        with place() as top:
            before = tree(top)
            expect(mayfly(top, deed), 0, "")
            check(tree(top) == before, f"{deed} changes nothing")
    with place() as top:
        done = subprocess.run([*command(top), "--dir", f"{top}/rw::third", GUEST, "two-grants"], capture_output=True,
                              timeout=run.START_SECONDS)
        check(done.returncode == 0, f"a name does not move between grants: {done.stdout} {done.stderr}")


def case_wasi_files_limits():
    """Running out of descriptors or room is the guest's error and nothing else's."""
    few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    with place() as top:
        expect(mayfly(top, "good"), 0)  # compiled and cached without limits
        expect(mayfly(top, "many-open", preexec_fn=few), 0, "")
        with open(f"{top}/out", "wb") as out:
            done = subprocess.run([*command(top), GUEST, "cat"], input=bytes(2 << 20), stdout=out, preexec_fn=small,
                                  stderr=subprocess.PIPE, timeout=run.START_SECONDS)
        check(done.returncode == 1 and os.path.getsize(f"{top}/out") == 1 << 20, "all that the limit leaves room for")


def case_wasi_std():
    """Rust's std::fs (guests/fs.rs): WASI 0.1 inside, made a component by the adapter that its toolchain brings."""
    with place() as top:
        os.mkdir(f"{top}/rw/work")
        done = subprocess.run([*command(top), guest("fs"), "rw/work", "ro"], input=b"line\n" * 7, capture_output=True,
                              timeout=run.START_SECONDS)
        check(done.returncode == 0 and done.stdout == b"7 lines of input\n", f"{done.stdout} {done.stderr[-600:]}")
        check(os.listdir(f"{top}/rw/work") == [], "it removed what it made")


def case_wasi_cli():
    """Arguments, variables, streams, terminals, clocks, randomness."""
    with place() as top:
        expect(mayfly(top, "args", "one", "-x", "--env", "", "ü"), 0, "one\n-x\n--env\n\nü\n")
        environment = {**os.environ, "D": "e", "SECRET": "1"}
        expect(mayfly(top, "env", env=environment), 0, "")
        expect(mayfly(top, "env", options=("--env", "A=b=c", "--env=D", "--env", "ABSENT"), env=environment), 0,
               "A=b=c\nD=e\n")
        text = b"line\n" * 50000
        expect(mayfly(top, "cat", input=text), 0, text.decode())
        with open(f"{top}/rw/hello", "rb") as file:
            expect(mayfly(top, "cat", input=None, stdin=file), 0, "hello world\n")
        expect(mayfly(top, "cat", input=None, stdin=subprocess.DEVNULL), 0, "")
        expect(mayfly(top, "error"), 0, "", "to standard error\n")
        expect(mayfly(top, "terminals"), 0, "0")
        expect(mayfly(top, "clocks"), 0, "")
        expect(mayfly(top, "random"), 0, "")


def case_wasi_cli_terminal():
    """A stream that is a terminal is known to be one."""
    with place() as top:
        master, slave = pty.openpty()
        done = subprocess.run([*command(top), GUEST, "terminals"], stdin=slave, stdout=subprocess.PIPE, stderr=slave,
                              timeout=run.START_SECONDS)
        os.close(master)
        os.close(slave)
        check(done.stdout == b"5", f"input and errors, not {done.stdout}")


def case_wasi_cli_exit():
    """All ways to end."""
    with place() as top:
        for deed, code in ((("good",), 0), (("bad",), 1), (("exit", "0"), 0), (("exit", "42"), 42), (("exit", "255"), 255),
                           (("exit-ok",), 0), (("exit-error",), 1)):
            expect(mayfly(top, *deed), code, "")
        expect(mayfly(top, "absent"), 1, "no such deed\n")


def case_wasi_cli_wait():
    """Waiting for input and a clock at once; nothing blocks what is not waited for."""
    with place() as top, subprocess.Popen([*command(top), GUEST, "wait"], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE) as process:
        check(process.stdout.readline() == b"nothing\n", "the clock comes first")
        process.stdin.write(b"late\n")
        process.stdin.close()
        check(process.stdout.read() == b"late\n" and process.wait(run.START_SECONDS) == 0, "then the input")


def case_wasi_cli_streams():
    """Slow readers are waited for; one that is gone is an error; what the caller closed is none of the guest's."""
    with place() as top:
        with subprocess.Popen([*command(top), GUEST, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdin.write(b"x" * 60000)
            process.stdin.flush()
            time.sleep(0.2)
            process.stdin.write(b"y" * 60000)
            process.stdin.flush()
            time.sleep(0.2)
            process.stdin.close()
            check(process.stdout.read() == b"x" * 60000 + b"y" * 60000, "all of it arrives")
            check(process.wait(run.START_SECONDS) == 0, "the guest ends")
        with subprocess.Popen([*command(top), GUEST, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            process.stdout.close()
            process.stdin.write(b"x" * 10000)
            process.stdin.close()
            check(process.wait(run.START_SECONDS) == 1, f"a broken pipe ends the guest: {process.stderr.read()}")
        with subprocess.Popen([*command(top), GUEST, "args", *["x" * 4095] * 16], stdout=subprocess.PIPE) as process:
            check(process.wait(20) == 0, "nobody waits for more room than was written")
            check(process.stdout.read() == (b"x" * 4095 + b"\n") * 16, "as much as a pipe holds")
        source, sink = os.pipe(), os.pipe()
        for fd in source + sink:  # as others who share them may have done
            os.set_blocking(fd, False)
        with subprocess.Popen([*command(top), GUEST, "cat"], stdin=source[0], stdout=sink[1]) as process:
            os.close(sink[1])
            os.write(source[1], b"z" * 60000)
            time.sleep(0.2)
            os.write(source[1], b"z" * 60000)
            time.sleep(0.2)
            os.close(source[1])
            os.set_blocking(sink[0], True)
            with open(sink[0], "rb") as out:
                check(out.read() == b"z" * 120000, "streams that do not block give and take everything")
            check(process.wait(20) == 0, "and end")
        os.close(source[0])
        for closed, code in (((0,), 0), ((1,), 0), ((0, 1, 2), 0)):
            done = subprocess.run([*command(top), GUEST, "cat"], stdin=subprocess.DEVNULL if 0 not in closed else None,
                                  preexec_fn=lambda: [os.close(fd) for fd in closed], timeout=run.START_SECONDS)
            check(done.returncode == code, f"without {closed} the guest ends with {code}, not {done.returncode}")


def case_wasi_cli_timeout():
    """A deadline ends a guest wherever it is: sleeping, waiting for input or for room, in host functions."""
    with place() as top:
        expect(mayfly(top, "good"), 0)
        for deed in ("sleep", "read-forever", "wait-input", "write-forever"):
            source, sink = os.pipe(), os.pipe()  # nothing comes from one, nobody reads the other
            with subprocess.Popen([*command(top, "--timeout", "300ms"), GUEST, deed], stdin=source[0],
                                  stdout=sink[1], stderr=subprocess.PIPE) as process:
                begun = time.monotonic()
                check(process.wait(30) == 134, f"{deed} traps")
                took = time.monotonic() - begun
                error = process.stderr.read().decode()
            for fd in source + sink:
                os.close(fd)
            check("time" in error.splitlines()[0], f"{deed} says why: {error!r:.200}")
            check(took < 10, f"{deed} ends in time, not after {took:.1f} s")


def case_wasi_traps():
    """What the interfaces call a trap is one: closed handles, other kinds, no UTF-8, children, permits."""
    with place() as top:
        for deed, why in (("trap-closed", "handle"), ("trap-other-kind", "handle"), ("trap-text", "UTF-8"),
                          ("trap-child", "child"), ("trap-permit", "check-write"), ("trap-blocking", "4096"),
                          ("trap-range", "memory")):
            answer = mayfly(top, deed)
            expect(answer, 134, "", why)
            check(answer[2].startswith("trap: "), f"{deed} says that it trapped: {answer[2]!r:.200}")


def case_wasi_command_refused():
    """What `run` cannot do with a component it says, with a way out."""
    with place() as top:
        answer = subprocess.run([*run.command("run"), "--invoke", "x", GUEST], capture_output=True, text=True)
        check(answer.returncode == 1 and "wasi:cli/run" in answer.stderr, answer.stderr)
        answer = subprocess.run([*run.command("run"), "--preload", f"a={GUEST}", guest("process")], capture_output=True,
                                text=True)
        check(answer.returncode == 1 and "component" in answer.stderr, answer.stderr)
        answer = subprocess.run([*run.command("run"), guest("echo")], capture_output=True, text=True)
        check(answer.returncode == 1 and "mayfly up" in answer.stderr, answer.stderr)
        answer = subprocess.run([*run.command("run"), GUEST, "args", b"\xff"], capture_output=True, text=True)
        check(answer.returncode == 2 and "UTF-8" in answer.stderr, answer.stderr)
        answer = subprocess.run([*run.command("run"), "--dir", f"{top}/absent", GUEST], capture_output=True, text=True)
        check(answer.returncode == 1 and "absent" in answer.stderr, answer.stderr)


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
