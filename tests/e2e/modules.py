#!/usr/bin/env python3
"""End to end: core modules that say what they are as components (guest module.c).

    modules.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import os
import sys
import tempfile

from app import HEAD, component, folder, refused, trigger, write
from run import Client, Server, ask, check, expect, guest, main


def case_modules_handler():
    """It has what its component was given, by the interfaces of its component type and by WASI 0.1, in a fresh instance
    each time."""
    with folder("") as top:
        files = f"{top}/files"
        os.mkdir(files)
        with open(f"{files}/text.txt", "w") as file:
            file.write("from a file")
        manifest = HEAD + '[variables]\nword = { default = "given" }\n' + trigger("/...", "one") + component(
            "one", guest("module"), 'environment = { A = "1", B = "x=y" }\nfiles = [{ source = "files", destination = "/" }]\n'
            '[component.one.variables]\nname = "{{ word }}"')
        write(top, manifest)
        with Server(top) as server:
            for path, text in (("initialized", "1"), ("initialized", "1"), ("variable/name", "given"), ("variable/other", "none: "),
                               ("environment", "A=1\nB=x=y\n"), ("clock", "goes on"), ("sleep", "slept"), ("random", "random"),
                               ("read", "from a file"), ("write", "errno 69"), ("output", "errno 0"), ("input", "errno 0 bytes 0")):
                status, _, body = ask(server.port, f"/{path}")
                check(status == 200 and (body == text.encode() or path == "variable/other" and body.startswith(text.encode())),
                      f"/{path}: {status} {body!r}, not {text!r}")
            check(os.listdir(files) == ["text.txt"], "nothing was written")
            check(server.wait_log("on standard output") and server.wait_log("on standard error"), "both outputs are in the log")
            expect(ask(server.port, "/exit"), 500)
            expect(ask(server.port, "/initialized"), 200, b"1")


def case_modules_denied():
    """Without grants there are no variables, no environment and no files."""
    with Server(guest("module")) as server:
        for path, text in (("environment", b""), ("read", b"errno 8"), ("write", b"errno 8")):
            expect(ask(server.port, f"/{path}"), 200, text)
        check(ask(server.port, "/variable/name")[2].startswith(b"none: "), "no variable")


def case_modules_waiting():
    """One that sleeps keeps nobody from being served."""
    with Server(guest("module")) as server, contextlib.ExitStack() as stack:
        sleepers = [stack.enter_context(Client(server.port)) for _ in range(20)]
        for client in sleepers:
            client.send("/sleep")
        expect(ask(server.port, "/clock"), 200, b"goes on")
        for client in sleepers:
            expect(client.response(), 200, b"slept")


def changed(name, source, target, top):
    """The guest with another name of the same length in it."""
    with open(guest(name), "rb") as file:
        data = file.read()
    check(source in data and len(source) == len(target), "what is to be changed is there")
    path = f"{top}/changed.wasm"
    with open(path, "wb") as file:
        file.write(data.replace(source, target, 1))
    return path


def case_modules_refused():
    """What does not fit is refused before anything is served, and so are modules that say nothing."""
    with tempfile.TemporaryDirectory() as top:
        for source, target, said in (
                (b"handler@0.2.12#handle", b"handler@0.2.12#handel", r"handle is in the module's component type, and not exported"),
                (b"[constructor]fields", b"[constructor]fieldz", r"unknown import wasi:http/types@0\.2\.12\.\[constructor\]fieldz"),
                (b"[constructor]fields", b"[async-lower]fields", r"asynchronous functions need a component"),
                (b"random_get", b"random_gat", r"unknown import wasi_snapshot_preview1\.random_gat")):
            refused(HEAD + trigger("/...", "one") + component("one", changed("module", source, target, top)), said)
        refused(HEAD + trigger("/...", "one") + component("one", guest("process")),
                r"a core module that does not say what it is as a component")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
