#!/usr/bin/env python3
"""End to end: the sandbox that workers of `mayfly up` are in; what it denies is tested in tests/node/test_sandbox.c.

    sandbox.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile

from run import ROOT, Server, ask, check, command, expect, main
from workers import place, until

HELLO = os.path.join(ROOT, "examples", "hello-c", "hello.wasm")
OTHER = os.path.join(ROOT, "examples", "hello-rust", "hello.wasm")


def status(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(re.findall(r"^(\w+):[ \t]*(.*)$", file.read(), re.M))


def check_status(pid, **wanted):
    found = status(pid)
    for name, value in wanted.items():
        check(found[name] == value, f"{name} of {pid}: {value!r}, not {found[name]!r}")


def case_sandbox_status():
    """Workers have filters and no privileges, also the one that takes another's place; the supervisor keeps its own."""
    inside = {"Seccomp": "2", "NoNewPrivs": "1", "CapEff": "0" * 16, "CapPrm": "0" * 16, "CapBnd": "0" * 16}
    for options in ((), ("--sandbox", "on", "--io", "epoll"), ("--sandbox", "require", "--io", "uring")):
        with Server(HELLO, "--workers", "2", *options) as server:
            expect(ask(server.port, "/"), 200)
            for pid in server.workers():
                check_status(pid, **inside)
            check_status(server.process.pid, Seccomp="0", NoNewPrivs="0")
            if options:
                continue
            victim = server.workers()[0]
            os.kill(victim, signal.SIGKILL)
            until(lambda: len(now := server.workers()) == 2 and victim not in now, "another takes its place")
            expect(ask(server.port, "/"), 200)
            for pid in server.workers():
                until(lambda: status(pid)["Seccomp"] == "2", "it is in the sandbox too")
                check_status(pid, **inside)


def case_sandbox_off():
    """--sandbox off leaves a worker as it was started."""
    with Server(HELLO, "--sandbox", "off") as server:
        expect(ask(server.port, "/"), 200)
        check_status(server.workers()[0], Seccomp="0", NoNewPrivs="0", CapEff=status("self")["CapEff"])


def case_sandbox_user():
    """--user: workers are somebody else, and serve the same; also images that come later."""
    check(os.geteuid() == 0, "this test is root's")
    nobody = pwd.getpwnam("nobody")
    ids = {"Uid": "\t".join([str(nobody.pw_uid)] * 4), "Gid": "\t".join([str(nobody.pw_gid)] * 4), "Groups": ""}
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "f.wasm")
        place(HELLO, file)
        for options in ((), ("--sandbox", "off")):
            with Server(file, "--user", "nobody", *options) as server:
                expect(ask(server.port, "/"), 200)
                check_status(server.workers()[0], CapEff="0" * 16, **ids)
                place(OTHER, file)
                server.process.send_signal(signal.SIGHUP)
                check(server.wait_log(r"INFO  reloaded\n", 60), "it is reloaded")
                until(lambda: b"Rust" in ask(server.port, "/")[2], "and the new one served")
                place(HELLO, file)
        server = Server(file, "--user", "nobody")
        worker = server.workers()[0]
        server.process.kill()
        server.process.wait()
        until(lambda: not os.path.exists(f"/proc/{worker}"), "a worker of another user ends with its supervisor")


def case_sandbox_usage():
    """Users and modes that there are not, and a user that only root could become."""
    def refused(*options, user=None):
        done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", *options, HELLO], capture_output=True,
                              text=True, user=user, timeout=60)
        return done.returncode, done.stderr

    code, text = refused("--user", "no-such-user")
    check(code == 2 and 'there is no user "no-such-user"' in text, f"{code}: {text}")
    code, text = refused("--sandbox", "maybe")
    check(code == 2 and "on, off" in text or "on|off|require" in text, f"{code}: {text}")


def case_sandbox_perf():
    """Names for perf and gdb of images that a worker takes up in the sandbox."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "f.wasm")
        place(HELLO, file)
        with Server(file, "--perf", "--gdb") as server:
            expect(ask(server.port, "/"), 200)
            path = f"/tmp/perf-{server.workers()[0]}.map"
            before = os.path.getsize(path)
            place(OTHER, file)
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_log(r"INFO  reloaded\n", 60), "it is reloaded")
            until(lambda: b"Rust" in ask(server.port, "/")[2], "and the new one served")
            check(os.path.getsize(path) > before, "the map grew")
        os.unlink(path)


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
