#!/usr/bin/env python3
"""End to end: what developers use: new, add, build, watch, doctor.

    develop.py [--tier TIER] PROGRAM [CASE...]    as run.py

Build commands of these tests copy guests that are in the tree. What templates make is built with the real toolchains
where they are installed, and with MAYFLY_TEST_FULL=1 also what has to be fetched first.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import run
from app import HEAD, component, trigger, write
from cli import check_described, table
from run import FULL, Failure, Server, Skipped, ask, check, children, expect, guest, main

TEMPLATES = [row[0] for row in table("../develop/templates.def", "TEMPLATE")]


def mayfly(*arguments, folder=None, code=0, seconds=run.START_SECONDS, **environment):
    """Output and errors of a call that must end with `code`."""
    done = subprocess.run([run.PROGRAM, *arguments], capture_output=True, text=True, timeout=seconds, cwd=folder,
                          env={**os.environ, **environment}, stdin=subprocess.DEVNULL)
    check(done.returncode == code, f"{arguments}: exit code {code}, not {done.returncode} with {done.stderr[-2000:]!r}")
    return done.stdout, done.stderr


@contextlib.contextmanager
def folder(manifest=None, **files):
    with tempfile.TemporaryDirectory() as top:
        if manifest:
            write(top, manifest)
        for name, what in files.items():
            place(top, name + ".wasm", what)
        yield top


def place(top, name, what):
    """A guest under another name, whole at once."""
    shutil.copy(guest(what), f"{top}/.{name}.tmp")
    os.rename(f"{top}/.{name}.tmp", f"{top}/{name}")


def put(top, name, text):
    os.makedirs(os.path.dirname(f"{top}/{name}"), exist_ok=True)
    with open(f"{top}/{name}", "w") as file:
        file.write(text)


def read(top, name):
    with open(f"{top}/{name}") as file:
        return file.read()


def build(name, command, rest=""):
    return f"[component.{name}.build]\ncommand = {json.dumps(command)}\n{rest}\n"


# ---- build ------------------------------------------------------------------------------------------------------


def case_develop_build():
    """Each component's commands, in its folder, in the order of the manifest and of what is made of what."""
    manifest = HEAD + trigger("/a", "a") + trigger("/b", "b") + \
        component("a", "a.wasm") + build("a", ["echo one a >>log", 'echo "two $PWD" >>log'], 'workdir = "inner"') + \
        component("b", "b.wasm") + build("b", "echo b >>inner/log; false || true") + component("c", "c.wasm")
    with folder(manifest) as top:
        os.mkdir(f"{top}/inner")
        output, errors = mayfly("build", folder=top)
        real = os.path.realpath(top)
        check(read(top, "inner/log").splitlines() == ["one a", f"two {real}/inner", "b"], read(top, "inner/log"))
        check(not output, f"standard output is the commands' own: {output!r}")
        for words in ("Building a (1 of 2) in inner: echo one a", "Building b: echo b", "Built 2 components"):
            check(words in errors, f"{words!r} in {errors!r}")
        os.remove(f"{top}/inner/log")
        for start in (("-f", top), ("-f", f"{top}/spin.toml"), ("--from=" + top,)):
            mayfly("b", *start, "-c", "b", folder="/")
        check(read(top, "inner/log") == "b\nb\nb\n", "one component, from elsewhere")
        check("Nothing to build" in mayfly("build", "-f", top, "-c", "c")[1], "a component without a command")
    with folder(HEAD + trigger("/a", "a") + component("a", "a.wasm") +
                'dependencies = { "x:y/z" = { path = "b.wasm" } }\n' + build("a", "echo a >>log") +
                component("b", "b.wasm") + 'dependencies = { "x:y/w" = { component = "c" } }\n' + build("b", "echo b >>log") +
                component("c", "c.wasm") + build("c", "echo c >>log")) as top:
        mayfly("build", "-f", top)
        check(read(top, "log") == "c\nb\na\n", f"what others are made of comes first: {read(top, 'log')!r}")
    with folder(HEAD + trigger("/a", "a") + component("a", "a.wasm")) as top:
        check("Nothing to build" in mayfly("build", "-f", top)[1], "an application without commands")
    with folder(HEAD + trigger("/a", "a") + component("a", "a.wasm") + build("a", "echo usual >log") +
                '[component.a.profile.debug]\nbuild.command = "echo debug >log"\n') as top:
        mayfly("build", "-f", top, "--profile", "debug")
        check(read(top, "log") == "debug\n", "a profile's command")


def imports(top, file="seen"):
    """What a world in a file of the folder imports."""
    return re.findall(r"^  import (.*)$", read(top, file), re.M)


def case_develop_dependencies():
    """What a component imports of its dependencies is described for its build."""
    words, wit = guest("words"), "spin-dependencies.wit"
    def manifest(dependencies, command="cp spin-dependencies.wit seen", more="", workdir=""):
        return HEAD + trigger("/a", "a") + component("a", "a.wasm") + build("a", command, workdir) + \
            "[component.a.dependencies]\n" + dependencies + more
    with folder(manifest(f'"test:words" = {{ path = "{words}" }}\n', workdir='workdir = "inner"')) as top:
        os.mkdir(f"{top}/inner")
        errors = mayfly("build", folder=top)[1]
        check(f"Wrote inner/{wit}: what a imports of its dependencies" in errors, errors)
        check(imports(top, "inner/seen") == ["test:words/count@1.2.3;", "test:words/probe@1.2.3;"], read(top, "inner/seen"))
        text = read(top, f"inner/{wit}")
        check("use wasi:io/streams@0.2.12.{input-stream};" in text and "package wasi:io@0.2.12 {" in text, "with what they use")
        check("wasi:http" not in text and "fermyon" not in text, "and nothing else")
        before = os.stat(f"{top}/inner/{wit}")
        check("Wrote" not in mayfly("build", folder=top)[1] and os.stat(f"{top}/inner/{wit}").st_ino == before.st_ino, "once")
        write(top, HEAD + trigger("/a", "a") + component("a", "a.wasm") + build("a", "true", 'workdir = "inner"'))
        mayfly("build", folder=top)
        check(not os.path.exists(f"{top}/inner/{wit}"), "without dependencies there is none")
    for dependencies, found in (
            (f'"test:words/probe" = {{ path = "{words}" }}\n', ["test:words/probe@1.2.3;"]),
            (f'"test:words/probe@1.2.0" = {{ path = "{words}" }}\n', ["test:words/probe@1.2.3;"]),
            (f'greet = {{ path = "{words}" }}\nhey = {{ path = "{words}", export = "hello" }}\n',
             ["greet: func(name: string) -> string;", "hey: func(name: string) -> string;"]),
            (f'"my:own/tally@0.1.0" = {{ path = "{words}", export = "test:words/count@1.2.3" }}\n', ["my:%own/tally@0.1.0;"])):
        with folder(manifest(dependencies)) as top:
            mayfly("build", folder=top)
            check(imports(top) == found, f"{found}: {imports(top)}")
    made = component("b", "b.wasm") + build("b", f"cp {words} b.wasm")
    with folder(manifest('"test:words/probe" = { component = "b" }\n', more=made)) as top:
        mayfly("build", folder=top)
        check(imports(top) == ["test:words/probe@1.2.3;"], "of another component that is built first")
    for dependencies, said in (
            (f'"test:words/nothing" = {{ path = "{words}" }}\n', r"No spin-dependencies\.wit is written for a: spin\.toml:\d+: .*words\.wasm does not export test:words/nothing"),
            ('"test:words" = { path = "nowhere.wasm" }\n', r"spin\.toml:\d+: .*nowhere\.wasm: cannot open the file"),
            (f'"test:words" = {{ path = "{guest("cgi_module")}" }}\n', r"cgi_module\.wasm is no component")):
        with folder(manifest(dependencies, "echo built >seen")) as top:
            errors = mayfly("build", folder=top)[1]
            check(re.search(said, errors) and read(top, "seen") == "built\n", f"{said!r} in {errors!r}, and the build goes on")
            check(not os.path.exists(f"{top}/{wit}"), "there is none")
    with folder(manifest(f'"test:words" = {{ path = "{words}" }}\n', "true")) as top:
        mayfly("build", "--skip-generate-wits", folder=top)
        check(not os.path.exists(f"{top}/{wit}"), "it was not wanted")
        with open(f"{top}/{wit}", "w") as file:
            file.write("package a:b;\n")
        check(f"{wit} stays as it is: somebody wrote it" in mayfly("build", folder=top)[1], "said")
        check(read(top, wit) == "package a:b;\n", "somebody's own")
        with open(f"{top}/{wit}", "w") as file:
            file.write("// This file is automatically generated by Spin\n")
        mayfly("build", folder=top)
        check(imports(top, wit) == ["test:words/count@1.2.3;", "test:words/probe@1.2.3;"], "another tool's is replaced")


def case_develop_build_refused():
    """What fails is named, with its line and what to do, and nothing is built after it."""
    def refused(rest, pattern, *options, code=1):
        with folder(HEAD + trigger("/a", "a") + component("a", "a.wasm") + rest) as top:
            errors = mayfly("build", *options, folder=top, code=code)[1]
            check(re.search(pattern, errors), f"{pattern!r} in {errors!r}")
            check(not os.path.exists(f"{top}/after"), "nothing is built after it")
    after = component("b", "b.wasm") + build("b", "touch after")
    refused(build("a", "exit 3") + after, r"error: spin\.toml:11: component a: `exit 3` ended with status 3")
    refused(build("a", ["true", "kill -9 $$"]) + after, r"spin\.toml:11: .*ended with signal 9")
    refused(build("a", "no-such-tool-here --all") + after,
            r"spin\.toml:11: .*status 127\nno-such-tool-here is not installed: .*PATH")
    refused(build("a", "true && cargo-not-here") + after, "cargo-not-here is not installed")
    refused(build("a", "touch after", 'workdir = "nowhere"'), r'spin\.toml:12: workdir "nowhere" is no folder')
    refused(build("a", "touch after", 'workdir = "/tmp"'), r'spin\.toml:12: workdir "/tmp" is absolute')
    refused(build("a", "touch after") + component("second", "b.wasm"), r'there is no component "secnd"\ndid you mean "second"',
            "-c", "secnd")
    refused(build("a", "touch after"), r"no component has a profile", "--profile", "x")
    refused('sorce = "x"\n', r"spin\.toml:\d+:\d+: unknown key")
    refused("", "'--listen' is an argument of 'up', which --up asks for", "--listen", "x", code=2)
    refused("", "'up' takes no option '--lisen'; did you mean '--listen'", "--up", "--lisen", "x", code=2)
    refused("", "'x' is one argument too many", "--up", "x", code=2)
    with folder() as top:
        check("there is no spin.toml" in mayfly("build", folder=top, code=1)[1], "no manifest")
        check("is no manifest" in mayfly("build", "-f", guest("given"), code=1)[1], "a component is none")


class Process:
    """A command of mayfly that serves; `port` when it does."""

    def __init__(self, *arguments, folder=None):
        self.errors = tempfile.TemporaryFile(mode="w+", errors="replace")
        self.process = subprocess.Popen([run.PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        cwd=folder, stdin=subprocess.DEVNULL)

    log = Server.log
    wait_log = Server.wait_log

    def serving(self):
        timer = threading.Timer(run.START_SECONDS, self.process.kill)
        timer.start()
        for line in self.process.stdout:
            if match := re.fullmatch(r"Serving http://127\.0\.0\.1:(\d+)\n", line):
                timer.cancel()
                self.port = int(match.group(1))
                return self.port
        timer.cancel()
        raise Failure(f"it does not serve: {self.log()[-2000:]}")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "no answer to SIGINT"
        if kind and issubclass(kind, (Failure, OSError)):
            print("  log:\n    " + self.log()[-4000:].replace("\n", "\n    "))
        elif not kind:
            check(status == 0, f"it ended with {status}, not 0, after SIGINT; log: {self.log()[-2000:]}")


UP = (*("--listen", "127.0.0.1:0"), *("--workers", "1"), *("--tier", "fast"))
COPY = build("a", "cp src/in.wasm a.wasm", 'watch = ["src/**/*.wasm"]')


def case_develop_build_up():
    """What was built is served: build --up, and up --build."""
    with folder(HEAD + trigger("/...", "a") + component("a", "a.wasm") + COPY) as top:
        os.mkdir(f"{top}/src")
        place(f"{top}/src", "in.wasm", "given")
        for arguments in (("build", "-u", *UP, "--env", "A=b"), ("build", "--up", "--", *UP, "--env", "A=b"),
                          ("up", "--build", *UP, "--env", "A=b"), ("up", "-f", top, "--build", *UP, "--env", "A=b")):
            with contextlib.suppress(FileNotFoundError):
                os.remove(f"{top}/a.wasm")
            with Process(*arguments, folder=top) as served:
                expect(ask(served.serving(), "/"), 200, b"variable A=b\n")
        os.remove(f"{top}/src/in.wasm")
        check("ended with status 1" in mayfly("up", "--build", *UP, folder=top, code=1)[1], "what is not built is not served")


# ---- watch ------------------------------------------------------------------------------------------------------


def answers(port, body, seconds=30):
    """When its answer begins so, in milliseconds."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if ask(port, "/")[2].startswith(body):
            return (time.monotonic() - began) * 1000
        time.sleep(0.005)
    raise Failure(f"no answer {body!r} after {seconds} s")


def rest(watch, seconds=30):
    """Wait until it says nothing more."""
    end, log = time.monotonic() + seconds, None
    while log != watch.log():
        check(time.monotonic() < end, "it comes to rest")
        log = watch.log()
        time.sleep(0.5)
    return log


GIVEN, GREEDY = b"variable A=b\n", b"fine\n"


def case_develop_watch():
    """Whatever changes is built and answered by, while the server goes on; what cannot be built changes nothing."""
    manifest = HEAD + trigger("/...", "a") + trigger("/other", "other") + component("a", "a.wasm") + COPY + \
        component("other", "other.wasm") + build("other", "echo other >>log; cp src/in.wasm other.wasm", 'watch = ["*.txt"]')
    with folder(manifest) as top:
        os.mkdir(f"{top}/src")
        place(f"{top}/src", "in.wasm", "given")
        with Process("watch", *UP, "--env", "A=b", folder=top) as watch:
            port = watch.serving()
            server = [pid for pid in children(watch.process.pid)]
            expect(ask(port, "/"), 200, GIVEN)
            place(f"{top}/src", "in.wasm", "greedy")
            print(f"  another answer {answers(port, GREEDY):.0f} ms after a file was saved that is built")
            check(read(top, "log") == "other\n", "only what is built from it is built")
            put(top, "a.txt", "x")
            check(watch.wait_log(r"(?s)Building other: .*Building other: "), "and the other one from what is its own")
            shutil.rmtree(f"{top}/src")
            check(watch.wait_log(r"Not built: what was built before keeps serving"), "what fails is said")
            expect(ask(port, "/"), 200, GREEDY)
            os.mkdir(f"{top}/src")
            place(f"{top}/src", "in.wasm", "given")
            answers(port, GIVEN)
            check(set(server) <= set(children(watch.process.pid)), "the server is the same all the time")
            workers = children(server[0])
        for pid in (*server, *workers):
            check(not os.path.exists(f"/proc/{pid}") or read(f"/proc/{pid}", "stat").split()[2] == "Z", f"{pid} is left")


def case_develop_watch_files():
    """Sources and files that nothing builds are taken up as they are, and only changes of them."""
    manifest = HEAD + trigger("/...", "a") + component("a", "a.wasm", 'files = [{ source = "data", destination = "/d" }]')
    with folder(manifest, a="given") as top:
        os.mkdir(f"{top}/data")
        with Process("w", "-d", "20", "--skip-build", *UP, "--env", "A=b", folder=top) as watch:
            port = watch.serving()
            place(top, "a.wasm", "greedy")
            print(f"  another answer {answers(port, GREEDY):.0f} ms after a component was saved")
            count = watch.log().count("reloaded")
            put(top, "data/new.txt", "x")
            check(watch.wait_log(r"(?s)(reloaded.*){%d}" % (count + 1)), "a file of the component")
            count = watch.log().count("reloaded")
            put(top, ".env", "SPIN_VARIABLE_X=1")
            check(watch.wait_log(r"(?s)(reloaded.*){%d}" % (count + 1)), "values of variables")
            log = rest(watch)
            put(top, "README", "x")
            put(top, ".a.wasm.swp", "x")
            check(rest(watch) == log, f"nothing else is taken up: {watch.log()[-1000:]}")
            put(top, "a.wasm", "nonsense")
            check(watch.wait_log(r"not reloaded"), "what cannot be served is said")
            expect(ask(port, "/"), 200, GREEDY)
            place(top, "a.wasm", "given")
            answers(port, GIVEN)


def case_develop_watch_loop():
    """A build that writes what it is built from ends, and its changes are its own."""
    manifest = HEAD + trigger("/...", "a") + component("a", "a.wasm") + \
        build("a", "echo built >>log; echo made >src/made.txt; cp src/in.wasm a.wasm", 'watch = ["src/*"]')
    with folder(manifest) as top:
        os.mkdir(f"{top}/src")
        place(f"{top}/src", "in.wasm", "given")
        with Process("watch", "-d", "10", *UP, "--env", "A=b", folder=top) as watch:
            port = watch.serving()
            place(f"{top}/src", "in.wasm", "greedy")
            answers(port, GREEDY)
            rest(watch)
            built = read(top, "log").count("built")
            check(2 <= built <= 9, f"a few builds, not {built}")


def case_develop_watch_meanwhile():
    """What changes while something is built is built behind that."""
    manifest = HEAD + trigger("/...", "a") + component("a", "a.wasm") + \
        build("a", "echo begun >>log; sleep 0.3; cp src/in.wasm a.wasm", 'watch = ["src/*.wasm"]')
    with folder(manifest) as top:
        def begins(what):
            """A build that begins because another guest is there, or none."""
            before, end = read(top, "log").count("begun"), time.monotonic() + 20
            if what:
                place(f"{top}/src", "in.wasm", what)
            else:
                os.remove(f"{top}/src/in.wasm")
            while read(top, "log").count("begun") == before:
                check(time.monotonic() < end, f"a build begins for {what}")
                time.sleep(0.01)
        os.mkdir(f"{top}/src")
        place(f"{top}/src", "in.wasm", "given")
        with Process("watch", "-d", "10", *UP, "--env", "A=b", folder=top) as watch:
            port = watch.serving()
            for _ in range(2): # the second time it is what it was before
                for what in ("greedy", "process", "greedy"):
                    begins(what)
                answers(port, GREEDY)
                rest(watch)
                begins("process")
                begins("given")
                answers(port, GIVEN)
                rest(watch)
            begins("greedy")
            answers(port, GREEDY)
            begins("process")
            begins(None)
            check(watch.wait_log("Not built: what was built before keeps serving"), "a file that is gone")
            expect(ask(port, "/"), 200, GREEDY)
            begins("given")
            watch.process.send_signal(signal.SIGINT)
            check(watch.process.wait(timeout=20) == 0, "SIGINT ends a build too")


def case_develop_watch_late():
    """What cannot be built or served at first is when it is mended; a manifest that is wrong changes nothing."""
    manifest = HEAD + trigger("/...", "a") + component("a", "a.wasm") + build("a", "cp in.wasm a.wasm", 'watch = ["*.wasm"]')
    with folder(manifest) as top:
        with Process("watch", "-d", "20", *UP, "--env", "A=b", folder=top) as watch:
            check(watch.wait_log("Not built: nothing serves yet"), "it is said that nothing serves")
            place(top, "in.wasm", "process")
            check(watch.wait_log(r"mayfly up ended with status 1; it starts again"), f"what up says: {watch.log()}")
            place(top, "in.wasm", "given")
            port = watch.serving()
            expect(ask(port, "/"), 200, GIVEN)
            write(top, manifest.replace("source", "sorce"))
            check(watch.wait_log(r"(?s)unknown key .*Not taken up: the manifest"), "a wrong manifest")
            write(top, manifest.replace("cp in.wasm", "cp second.wasm"))
            place(top, "second.wasm", "greedy")
            answers(port, GREEDY)
            place(top, "second.wasm", "given")
            answers(port, GIVEN)
            text = manifest.replace("cp in.wasm", "cp second.wasm")
            write(top, text.replace('source = "a.wasm"', 'source = "a.wasm"\nenvironment = { A = "from the manifest" }'))
            print(f"  another answer {answers(port, b'variable A=from the manifest'):.0f} ms after the manifest was saved")
            write(top, text.replace('source = "a.wasm"', 'source = "later.wasm"').replace("second.wasm a.wasm", "second.wasm later.wasm"))
            check(watch.wait_log("Building a: cp second.wasm later.wasm"), "another command is run")
            answers(port, GIVEN)
    with folder(manifest) as top:
        check("'up' takes no option '--lisen'" in mayfly("watch", "--lisen", "x", folder=top, code=2)[1], "its arguments")
        check("--debounce takes milliseconds" in mayfly("watch", "-d", "x", folder=top, code=2)[1], "a number")
        check("there is no" in mayfly("watch", folder="/", code=1)[1], "no manifest")
        with Process("watch", *UP, folder=top) as watch:
            check(watch.wait_log("nothing serves yet"), "SIGINT ends it then too")


# ---- new --------------------------------------------------------------------------------------------------------


def problems(top):
    """What the doctor finds: (check, message)."""
    done = subprocess.run([run.PROGRAM, "doctor", "--json"], cwd=top, capture_output=True, text=True)
    said = json.loads(done.stdout)
    check_described("doctor", said)
    return [(problem["check"], problem["message"]) for problem in said["problems"]]


def case_develop_new():
    """Every template makes an application whose manifest is right, also as a part of another one."""
    check([line.split()[0] for line in mayfly("new", "--list")[0].splitlines()] == TEMPLATES, "--list has all")
    for template in TEMPLATES:
        with folder() as top:
            output, _ = mayfly("new", template, "my-app", "-v", 'project-description=a "b" \\ c', folder=top)
            inner = f"{top}/my-app"
            check("cd ./my-app" in output or "cd my-app" in output, f"what to do next in {output!r}")
            found = problems(inner)
            check(all(what in ("source", "tool", "target") for what, _ in found), f"{template}: {found}")
            check(("source" in dict(found)) == (template != "static"), f"it is not built yet: {found}")
            names = [os.path.relpath(os.path.join(at, name), inner) for at, _, files in os.walk(inner) for name in files]
            check({"spin.toml", "README.md", ".gitignore"} <= set(names), names)
            for name in names:
                with open(f"{inner}/{name}", "rb") as file:
                    check(name.endswith(".wasm") or not re.search(rb"@[a-z_-]+@", file.read()), f"{name} of {template}")
            if "package.json" in names:
                check(json.loads(read(inner, "package.json"))["description"] == 'a "b" \\ c', "quotes in JSON")
            mayfly("add", template, "second", "-v", "http-path=/second/...", folder=inner)
            found = problems(inner)
            check(all(what in ("source", "tool", "target") for what, _ in found), f"{template} added: {found}")
            check('source = "second/' in read(inner, "spin.toml"), "in its folder")
            check(template == "static" or 'workdir = "second"' in read(inner, "spin.toml"), "built in its folder")


def case_develop_new_places():
    """Where it goes, what is asked for, what is refused; what is there is not overwritten."""
    with folder() as top:
        mayfly("n", "one", "-t", "http-c", "--no-vcs", "-a", folder=top)
        check(not os.path.exists(f"{top}/one/.gitignore"), "no .gitignore")
        mayfly("new", "-t", "http-c", "-o", "deep/er", "one", "-v", "http-path=/x/:id", folder=top)
        check('route = "/x/:id"' in read(top, "deep/er/spin.toml"), "another place and route")
        os.mkdir(f"{top}/here")
        mayfly("new", "-t", "http-rust", "--init", "my-one", folder=f"{top}/here")
        check("my_one.wasm" in read(top, "here/spin.toml"), "in this folder")
        put(top, "one/handler.c", "mine")
        for arguments, words in ((("-t", "http-c", "one"), "has something in it\n--allow-overwrite"),
                                 (("-t", "http-c", "--init", "my-one"), "is there already")):
            where = f"{top}/here" if "--init" in arguments else top
            put(where, "handler.c", "mine")
            errors = mayfly("new", *arguments, folder=where, code=1)[1]
            check(words in errors, f"{words!r} in {errors!r}")
        check(read(top, "one/handler.c") == "mine" and not os.path.exists(f"{top}/here/http.c"), "nothing was touched")
        mayfly("new", "-t", "http-c", "--allow-overwrite", "one", folder=top)
        check(read(top, "one/handler.c") != "mine", "unless that is wanted")
        put(top, "values.toml", 'http-path = "/of/file"\nproject-description = "of a file"\n')
        mayfly("new", "-t", "http-c", "--values-file", "values.toml", "filed", folder=top)
        check('route = "/of/file"' in read(top, "filed/spin.toml") and 'description = "of a file"' in read(top, "filed/spin.toml"), "values of a file")
        mayfly("add", "--file", "filed", "-t", "http-c", "--values-file", "values.toml", "-v", "http-path=/said", "other", folder=top)
        check('route = "/said"' in read(top, "filed/spin.toml"), "the command line goes before it")
        for text, words in (('http-pth = "/"\n', "line 1: this is no value of a template\nwrite project-description"), ("\nhttp-path = 5\n", "line 2: this is no value"),
                            ("http-path\n", "line 1: ")):
            put(top, "values.toml", text)
            errors = mayfly("new", "-t", "http-c", "--values-file", "values.toml", "x", folder=top, code=1)[1]
            check(f"--values-file: values.toml: {words}" in errors, f"{words!r} in {errors!r}")
        check("absent.toml: " in mayfly("new", "-t", "http-c", "--values-file", "absent.toml", "x", folder=top, code=1)[1], "no file")
        before = read(top, "one/spin.toml")
        for command, arguments, words, code in (
                ("new", ("http-rst", "x"), 'did you mean "http-rust"', 2), ("new", ("x",), "which template", 2),
                ("new", (), "which template", 2), ("new", ("-t", "http-c"), "needs a NAME", 2),
                ("new", ("-t", "http-c", "1x"), '"1x" is no name', 1), ("new", ("-t", "http-c", "a/b"), "is no name", 1),
                ("new", ("-t", "http-c", "a", "b"), "name a template", 2), ("new", ("-t", "http-c", "x", "-v", "a=b"), "-v takes", 2),
                ("new", ("-t", "http-c", "x", "-v", "http-path=x"), "http-path: ", 1),
                ("new", ("-t", "http-c", "x", "-v", 'http-path=/"'), "no blanks, quotes", 1),
                ("new", ("-t", "http-c", "x", "--init", "-o", "y"), "different places", 2),
                ("add", ("-t", "http-c", "x"), "there is no spin.toml", 1),
                ("add", ("-f", "one", "-t", "http-c", "one"), "component", 1),
                ("add", ("-f", "one", "-t", "http-c", "x", "-o", "elsewhere"), "is not in the folder of", 1)):
            errors = mayfly(command, *arguments, folder=top, code=code)[1]
            check(words in errors, f"{command} {arguments}: {words!r} in {errors!r}")
        check(read(top, "one/spin.toml") == before, "a manifest that would be wrong is not written")


def asked(folder, answers, *arguments):
    """What a call says on a terminal where somebody answers so, and its exit code."""
    import pty
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(run.PROGRAM, [run.PROGRAM, *arguments])
    os.write(terminal, answers.encode())
    shown = b""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 4096):
            shown += data
    os.close(terminal)
    return shown.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def case_develop_asked():
    """On a terminal, new asks for what was not said, and doctor before it does something."""
    with folder() as top:
        shown, code = asked(top, "about it\n\n", "new", "-t", "http-c", "one")
        check(code == 0 and "Description []:" in shown and "HTTP path [/...]:" in shown, shown)
        check('description = "about it"' in read(top, "one/spin.toml") and 'route = "/..."' in read(top, "one/spin.toml"), "answers")
        shown, code = asked(top, "static\nfive\n\n/x/...\n", "new")
        check(code == 0 and "http-rust " in shown and "Template [http-rust]:" in shown and "Name [static]:" in shown, shown)
        check('route = "/x/..."' in read(top, "five/spin.toml"), "all of it is asked for")
        shown, code = asked(top, "nonsense\n", "new", "six")
        check(code == 2 and 'there is no template "nonsense"' in shown, shown)
        shown, code = asked(top, "", "new", "-a", "-t", "http-c", "two")
        check(code == 0 and "[" not in shown, f"-a asks for nothing: {shown}")
        shown, code = asked(top, "\n/x\n", "new", "-t", "http-c", "-v", "project-description=d", "three")
        check('description = "d"' in read(top, "three/spin.toml"), "only what was not said")
        shown, code = asked(top, "\nx\n", "new", "-t", "http-c", "four")
        check(code == 1 and "a route begins with '/'" in shown and not os.path.exists(f"{top}/four"), shown)
    old = 'spin_manifest_version = "1"\nname = "old"\ntrigger = { type = "http" }\n'
    with folder(old) as top:
        shown, code = asked(top, "n\n", "doctor")
        check(code == 1 and "[y/N]" in shown and read(top, "spin.toml") == old, f"not wanted: {shown}")
        shown, code = asked(top, "y\n", "doctor")
        check("spin_manifest_version = 2" in read(top, "spin.toml"), f"wanted: {shown}")


def has_component_linker():
    if shutil.which("wasm-component-ld"):
        return True
    if not shutil.which("rustc"):
        return False
    root = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True).stdout.strip()
    return any("wasm-component-ld" in files for _, _, files in os.walk(f"{root}/lib/rustlib"))


def has_rust_target():
    if not shutil.which("cargo") or not shutil.which("rustc"):
        return False
    done = subprocess.run(["rustc", "--print", "target-libdir", "--target", "wasm32-wasip2"], capture_output=True, text=True)
    return done.returncode == 0 and os.path.isdir(done.stdout.strip())


def built(template, there, lacking, echo=None):
    """Make it, build it with the toolchain, ask it; and the same as a second component of the application. `echo`: the file
    of the handler, and one that answers 201 with the method and the body, sent by parts."""
    if not there:
        raise Skipped(lacking)
    with folder() as top:
        mayfly("new", template, "my-app", folder=top)
        inner = f"{top}/my-app"
        mayfly("build", folder=inner, seconds=1500)
        check(not problems(inner), f"nothing is wrong then: {problems(inner)}")
        mayfly("add", template, "second", "-v", "http-path=/second/...", folder=inner)
        mayfly("build", folder=inner, seconds=1500)
        with Process("up", *UP, folder=inner) as served:
            port = served.serving()
            status, fields, body = ask(port, "/a/b?c=d")
            check((status, fields.get("content-type"), body) ==
                  (200, "text/plain", b"Hello from my-app! You asked for /a/b?c=d\n"), f"{template}: {status} {fields} {body!r}")
            expect(ask(port, "/second/x"), 200, b"Hello from second! You asked for /second/x\n")
        if not echo:
            return
        put(inner, *echo)
        mayfly("build", "-c", "my-app", folder=inner, seconds=1500)
        with Process("up", *UP, folder=inner) as served:
            port = served.serving()
            for size in (0, 1, 5000, 300000):
                expect(ask(port, "/", method="POST", body=b"x" * size), 201, b"POST " + b"x" * size)
            expect(ask(port, "/", method="OTHER"), 201, b"OTHER ")


ECHO_C = """#include "http.h"
#include <string.h>
void handle(struct http_request *request, struct http_response *response)
{
    char bytes[1000];
    http_begin(response, 201);
    http_write(response, request->method, strlen(request->method));
    http_write(response, " ", 1);
    for (size_t size; (size = http_read(request, bytes, sizeof bytes));)
        http_write(response, bytes, size);
}
"""
ECHO_GO = """package main
import "io"
func handle(request *Request, response *Response) {
	response.Status(201)
	io.WriteString(response, request.Method+" ")
	io.Copy(response, request.Body)
}
func main() {}
"""


def case_develop_new_c():
    """The template for C, with clang and the linker for components."""
    built("http-c", shutil.which("clang-19") and os.path.exists("/usr/include/wasm32-wasi") and has_component_linker(),
          "clang-19, wasi-libc or wasm-component-ld is not installed", ("handler.c", ECHO_C))


def case_develop_static():
    """The template that needs nothing: files, also behind a prefix, and nothing but those."""
    with folder() as top:
        mayfly("new", "static", "my-app", folder=top)
        inner = f"{top}/my-app"
        check(not problems(inner), f"nothing is wrong: {problems(inner)}")
        mayfly("add", "static", "second", "-v", "http-path=/second/...", folder=inner)
        big = os.urandom(300000)
        put(inner, "assets/a b.css", "css")
        put(inner, "assets/inner/index.html", "inner")
        put(inner, "assets/empty.txt", "")
        os.mkdir(f"{inner}/assets/bare")
        with open(f"{inner}/assets/big.bin", "wb") as file:
            file.write(big)
        os.symlink(f"{inner}/spin.toml", f"{inner}/assets/link")
        with Process("up", *UP, folder=inner) as served:
            port = served.serving()
            html = "text/html; charset=utf-8"
            index, second = read(inner, "assets/index.html").encode(), read(inner, "second/assets/index.html").encode()
            for path, status, kind, body in (
                    ("/", 200, html, index), ("/index.html?x=y", 200, html, index), ("/inner/", 200, html, b"inner"),
                    ("/a%20b.css", 200, "text/css; charset=utf-8", b"css"), ("/empty.txt", 200, "text/plain; charset=utf-8", b""),
                    ("/big.bin", 200, "application/octet-stream", big), ("/second/", 200, html, second),
                    *((path, 404, None, b"not found\n") for path in (
                        "/second/big.bin", "/none", "/bare/", "/../spin.toml", "/%2e%2e/spin.toml", "/x/..%2f../spin.toml", "/link",
                        "/a%00", "/%zz", "/%", "/" + "x" * 2000, "/index.html/"))):
                got, fields, text = ask(port, path)
                check(got == status and text == body, f"{path:.80}: {got} {text[:80]!r}")
                check(not kind or fields["content-type"] == kind, f"{path}: {fields}")
            status, fields, _ = ask(port, "/inner?x")
            check((status, fields["location"]) == (301, "/inner/"), f"a folder without a slash: {status} {fields}")
            status, fields, body = ask(port, "/big.bin", method="HEAD")
            check((status, fields["content-length"], body) == (200, "300000", b""), f"HEAD: {status} {fields}")
            status, fields, _ = ask(port, "/", method="POST", body=b"x")
            check((status, fields["allow"]) == (405, "GET, HEAD"), f"POST: {status} {fields}")


def case_develop_new_go():
    """The template for Go, with the linker for components."""
    built("http-go", FULL and shutil.which("go") and has_component_linker(),
          "go or wasm-component-ld, or MAYFLY_TEST_FULL=1 for the time that it takes", ("main.go", ECHO_GO))


def case_develop_new_rust():
    """The template for Rust."""
    built("http-rust", FULL and has_rust_target(), "cargo with wasm32-wasip2, and MAYFLY_TEST_FULL=1 to fetch crates")


def case_develop_new_js():
    """The template for JavaScript."""
    built("http-js", FULL and shutil.which("npm"), "npm, and MAYFLY_TEST_FULL=1 to fetch packages")


def case_develop_new_py():
    """The template for Python."""
    built("http-py", FULL and shutil.which("python3"), "python3, and MAYFLY_TEST_FULL=1 to fetch packages")


# ---- doctor -----------------------------------------------------------------------------------------------------


def case_develop_doctor():
    """What is wrong is found, each with its place and what to do; what can be done is done only when that is wanted."""
    whole = HEAD + trigger("/...", "a") + component("a", "a.wasm")
    def finds(manifest, *patterns, **files):
        with folder(manifest, **files) as top:
            output, _ = mayfly("doctor", folder=top, code=1)
            for pattern in patterns:
                check(re.search(pattern, output), f"{pattern!r} in {output!r}")
            said = json.loads(mayfly("doctor", "--json", folder=top, code=1)[0])
            described = check_described("doctor", said)
            return described, said
    finds("x = [", r"error: spin\.toml:1:\d+: ")
    finds(whole.replace("source", "sorce"), r'spin\.toml:8:1: unknown key "sorce".*\ndid you mean "source"')
    finds(whole.replace("http", "htpp"), r'"htpp".*\ndid you mean "http"')
    finds(whole + 'allowed_outbound_hosts = ["example.com"]\n', r"spin\.toml:\d+:\d+: host \"example\.com\"")
    finds(whole, r"spin\.toml:8:10: component a: there is no a\.wasm\nput it there")
    finds(whole + build("a", "no-such-tool-here x", 'workdir = "w"'), r'workdir "w" is no folder')
    finds(whole + build("a", "no-such-tool-here x"), r"no-such-tool-here is not installed", r"mayfly build -c a")
    finds(whole + 'files = [{ source = "data", destination = "/" }]\n', r"component a: there is no data", a="given")
    described, said = finds(whole + 'allowed_http_hosts = ["example.com"]\n', r'warning: .*"allowed_http_hosts" is deprecated\nwrite')
    check({path for path in described if path.startswith("problems")} ==
          {f"problems[].{key}" for key in said["problems"][0]}, "all of json.def is there")
    with folder(whole + 'allowed_http_hosts = ["example.com"]\n', a="given") as top:
        check("warning: " in mayfly("doctor", folder=top)[0], "a warning is no failure")
    with folder(whole + 'ai_models = ["m"]\n', a="given") as top:
        check("warning: spin.toml:10:1: mayfly does not have models yet" in mayfly("doctor", folder=top)[0], "neither are models")
    with folder(whole + "[variables]\nname = { required = true }\n", a="given") as top:
        check(re.search(r"error: .*name.*value", mayfly("doctor", folder=top, code=1)[0]), "a variable without a value")
        check("nothing is wrong" in mayfly("doctor", folder=top, SPIN_VARIABLE_NAME="x")[0], "with a value")
        check("nothing is wrong" in mayfly("doctor", "--variable", "name=x", folder=top)[0], "also with that of an option")
        with open(f"{top}/a.wasm", "wb") as file:
            file.write(b"\0asm\1\0\0\0")
        check("is a core module\nmake a component of it" in mayfly("doctor", folder=top, code=1)[0], "a core module")
        shutil.copy(guest("module"), f"{top}/a.wasm")
        check("is a core module" not in mayfly("doctor", "--variable", "name=x", folder=top)[0], "one that says what it is")
    with folder() as top:
        check("there is no spin.toml" in mayfly("doctor", folder=top, code=1)[1], "no manifest")


def case_develop_doctor_fix():
    """--fix makes version 2 of a manifest, keeps the old one, and builds what is not built."""
    old = 'spin_manifest_version = "1"\nname = "old"\nversion = "1.0.0"\ntrigger = { type = "http", base = "/" }\n' \
        '[[component]]\nid = "one_part"\nsource = "a.wasm"\n[component.trigger]\nroute = "/..."\n' \
        '[component.build]\ncommand = "cp in.wasm a.wasm"\n'
    with folder(old) as top:
        place(top, "in.wasm", "greedy")
        output, _ = mayfly("doctor", folder=top, code=1)
        check("this is a manifest of version 1" in output and "mayfly doctor --fix" in output, output)
        check(read(top, "spin.toml") == old and not os.path.exists(f"{top}/a.wasm"), "nothing is done without --fix")
        check("this is a manifest of version 1" in mayfly("up", top, code=1)[1], "it is not served")
        said = json.loads(mayfly("doctor", "--fix", "--json", folder=top)[0])
        check(said["cured"] == 2 and not said["problems"], said)
        check(read(top, "spin.toml.v1_backup") == old, "the old one is kept")
        with Server(top) as server:
            expect(ask(server.port, "/"), 200, b"fine\n")
        write(top, old)
        check("spin.toml.v1_backup is there already" in mayfly("doctor", "--fix", folder=top, code=1)[1], "and not replaced")
        check(read(top, "spin.toml") == old, "then neither is the manifest")
    whole = HEAD + trigger("/...", "a") + component("a", "a.wasm") + build("a", "exit 3")
    with folder(whole) as top:
        output, errors = mayfly("doctor", "--fix", folder=top, code=1)
        check("`exit 3` ended with status 3" in errors and "there is no a.wasm" in output, "a cure that fails")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
