#!/usr/bin/env python3
"""The command line itself: help, errors of usage, version, completion, the manual page.

    cli.py PROGRAM [CASE...]        as run.py
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import run
from run import ROOT, Skipped, check


def mayfly(*arguments, code=0):
    """Output and errors of a call that must end with `code`."""
    done = subprocess.run([run.PROGRAM, *arguments], capture_output=True, text=True, timeout=run.START_SECONDS,
                          errors="replace")
    check(done.returncode == code, f"{arguments}: exit code {code}, not {done.returncode} with {done.stderr!r:.500}")
    return done.stdout, done.stderr


def table(name, macro):
    """The string and word columns of a table's rows."""
    with open(os.path.join(ROOT, "src", "cli", name), encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    text = re.sub(r'"\s*\n\s*"', "", text)
    rows = re.findall(rf'^{macro}\((.*)\)$', text.replace(",\n", ","), re.M)
    return [[re.sub(r"\\(.)", r"\1", quoted) if quoted or not word else word
             for quoted, word in re.findall(r'"((?:\\.|[^"\\])*)"|(\w+)', row)] for row in rows]


def commands():
    return [row[0] for row in table("commands.def", "COMMAND")]


def case_cli_help():
    """Every command is listed, explains itself and shows each of its options."""
    listed = mayfly("help")[0]
    check(mayfly("--help")[0] == listed == mayfly("-h")[0], "`--help` and `help` say the same")
    names = commands()
    check(len(names) >= 7, f"commands in the table: {names}")
    options = table("options.def", "(?:OPTION|LIST)")
    check(len(options) >= 10, f"options in the table: {options}")
    for name in names:
        check(re.search(rf"^  {name} ", listed, re.M), f"{name} in {listed}")
        text = mayfly("help", name)[0]
        check(mayfly(name, "--help")[0] == text, f"`{name} --help` and `help {name}` say the same")
        check(max(map(len, text.splitlines())) <= 80, f"lines of at most 80 columns in {text}")
        for command, option, *_ in options:
            if command == name:
                check(option in text, f"{option} in {text}")


def case_cli_usage():
    """Errors of usage: exit code 2, what is wrong, what was probably meant, what to do."""
    for arguments, words in (((), "which command"), (("udp",), "did you mean 'up'"), (("comiple",), "'compile'"),
                             (("xyzzy",), "there is no command 'xyzzy'"), (("up", "--lisen=1", "x"), "'--listen'"),
                             (("up", "x", "--opt", "7"), "0|1|2|3"), (("run",), "needs FILE"),
                             (("run", "--tier", "fast", "-O1", "x"), "--opt has no meaning"),
                             (("compile", "--tier=fast", "--dump=ir", "x"), "--dump has no meaning"),
                             (("completion", "tcsh"), "bash|zsh|fish"), (("help", "nothing"), "no command"),
                             (("up", "x", "--quiet=yes"), "takes no value"), (("compile", "-o"), "needs FILE")):
        output, errors = mayfly(*arguments, code=2)
        lines = errors.splitlines()
        check(not output and len(lines) == 2 and lines[0].startswith("error: ") and words in lines[0],
              f"{arguments}: {words!r} in {errors!r}")
        check("mayfly help" in lines[1], f"{arguments}: what to do, in {errors!r}")
    check("did you mean" not in mayfly("xyzzy", code=2)[1], "nothing is near xyzzy")
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([run.PROGRAM, "help"], stdout=full, stderr=subprocess.PIPE, text=True)
        check(done.returncode == 1 and done.stderr.startswith("error: "), f"a full disk is an error: {done}")


def paths(value, path=""):
    """The path of every leaf, as json.def writes it. Empty arrays have none."""
    if isinstance(value, dict):
        return {p for k, v in value.items() for p in paths(v, f"{path}.{k}" if path else k)}
    if isinstance(value, list):
        return {p for v in value for p in paths(v, path + "[]")}
    return {path}


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, member in value.items():
            yield from leaves(member, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for member in value:
            yield from leaves(member, path + "[]")
    else:
        yield path, value


TYPES = {"string": str, "number": int, "boolean": bool, "null": type(None)}


def check_described(command, value):
    """Every member stands in json.def with its type."""
    described = {path: kinds for name, path, kinds, _ in table("json.def", "JSON") if name == command}
    for path, leaf in leaves(value):
        check(path in described, f"{path} of {command} stands in json.def")
        kinds = tuple(TYPES[kind] for kind in described[path].split(" or "))
        check(type(leaf) in kinds, f"{path} is {described[path]}, not {leaf!r}")
    return set(described)


def leb(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def many_functions(count, changed=None):
    """A module of `count` functions of some fifty instructions."""
    section = lambda number, body: bytes([number]) + leb(len(body)) + body
    body = lambda i: b"\0" + b"\x20\0\x41" + leb(55 if i == changed else i % 50) + b"\x6a\x21\0" + \
        b"\x20\0\x28\2\0\x20\0\x6a\x21\0" * 10 + b"\x20\0\x0b"
    bodies = b"".join(leb(len(body(i))) + body(i) for i in range(count))
    return (b"\0asm\1\0\0\0" + section(1, b"\1\x60\1\x7f\1\x7f") + section(3, leb(count) + b"\0" * count) +
            section(5, b"\1\0\1") + section(10, leb(count) + bodies))


def compile_json(file, image, cache, *options):
    """What `compile --json` says."""
    done = subprocess.run([run.PROGRAM, "compile", "--json", *options, file, "-o", image], capture_output=True, text=True,
                          timeout=run.START_SECONDS, env={**os.environ, "XDG_CACHE_HOME": cache})
    check(done.returncode == 0 and not done.stderr, f"compile: {done}")
    said = json.loads(done.stdout)
    check({path for path, _ in leaves(said)} == check_described("compile", said), f"all of json.def in {said}")
    with open(image, "rb") as written:
        return said, written.read()


def case_cli_compile():
    """A file that changed compiles what changed; the image is the one that a fresh compile makes."""
    with tempfile.TemporaryDirectory() as folder:
        file, image, cache, fresh = (os.path.join(folder, name) for name in ("m.wasm", "m.image", "cache", "fresh"))
        def put(changed):
            with open(file, "wb") as out:
                out.write(many_functions(40, changed))
        put(None)
        said, _ = compile_json(file, image, cache)
        check((said["functions_compiled"], said["functions_kept"], said["cached"]) == (40, 0, False), f"first: {said}")
        check(compile_json(file, image, cache)[0]["cached"], "the second time nothing is compiled")
        put(7)
        said, changed = compile_json(file, image, cache)
        check((said["functions_compiled"], said["functions_kept"], said["cached"]) == (1, 39, False), f"then: {said}")
        check(compile_json(file, image, fresh)[1] == changed, "the same image without the functions kept")
        shutil.copy(file, file + "2")
        check(compile_json(file + "2", image, cache)[0]["cached"], "the same bytes elsewhere are the same image")


def case_cli_tier():
    """`run` is fast unless somebody wants the best or the cache has it; `compile` is the best unless told otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        file, image, cache = (os.path.join(folder, name) for name in ("m.wasm", "m.image", "cache"))
        with open(file, "wb") as out:
            out.write(many_functions(3))
        def images_after(*options):
            done = subprocess.run([run.PROGRAM, "run", *options, "--invoke", "f", file], capture_output=True, text=True,
                                  timeout=run.START_SECONDS, env={**os.environ, "XDG_CACHE_HOME": cache})
            check(done.returncode == 1 and "no function" in done.stderr, f"run {options}: {done}")
            return {name for name in os.listdir(os.path.join(cache, "mayfly")) if name.endswith(".image")}
        fast = images_after()
        check(len(fast) == 1 and images_after() == images_after("--tier", "fast") == fast, f"one fast image: {fast}")
        said, made = compile_json(file, image, cache, "--tier", "fast")
        check(said["tier"] == "fast" and said["cached"], f"compile takes the same: {said}")
        said, best = compile_json(file, image, cache)
        check(said["tier"] == "best" and not said["cached"] and best != made, f"compile is the best: {said}")
        for name in fast:
            os.remove(os.path.join(cache, "mayfly", name))
        check(len(images_after()) == 1 and not fast & images_after(), "run takes the best image that is there")
        check(images_after("--tier", "fast") > fast, "unless told otherwise")
        check(len(images_after("-O1")) == 3, "a level is one of the best tier")
        other = os.path.join(folder, "other")
        fresh = compile_json(file, image, other, "--tier", "fast")
        check(fresh[1] == made and fresh[0]["functions_compiled"] == 3, f"made again, with the same bytes: {fresh[0]}")
        check(not any(names for _, _, names in os.walk(other)), "what compile makes fast is not kept")


def case_cli_compile_output():
    """The image replaces what stood there at once and whole, never its own source; what cannot be read or written is
    said."""
    with tempfile.TemporaryDirectory() as folder:
        file, image, link, pipe = (os.path.join(folder, name) for name in ("m.wasm", "m.image", "link", "pipe"))
        module = many_functions(3)
        with open(file, "wb") as out:
            out.write(module)
        os.mkfifo(pipe)
        for command in ("compile", "run", "inspect"):
            check("not a regular file" in mayfly(command, pipe, code=1)[1], f"{command} waits for nobody at a pipe")
        mayfly("compile", file, "-o", image)
        with open(image, "rb") as old:
            made = old.read()
            os.chmod(image, 0o600)
            mayfly("compile", file, "-o", image, "-O0")
            check(os.read(old.fileno(), 1) == b"" and os.pread(old.fileno(), len(made), 0) == made, "the old one is kept")
        check(os.stat(image).st_mode & 0o777 == 0o600, "the mode stays")
        mayfly("compile", file, "-o", image)
        for name in (image, file):
            os.symlink(name, link)
            for output in (name, link):
                error = mayfly("compile", name, "-o", output, code=1)[1]
                check("would replace" in error and "-o" in error, f"refused: {error!r}")
            os.remove(link)
        check(open(image, "rb").read() == made and open(file, "rb").read() == module, "sources stay what they were")
        os.symlink(image, link)
        mayfly("compile", file, "-o", link, "-O0")
        check(os.path.islink(link) and open(image, "rb").read() != made, "links are followed")
        mayfly("compile", file, "-o", "/dev/null")
        for output, error in ((folder, "Is a directory"), ("/dev/full", "No space"), (folder + "/no/m", "No such file")):
            check(error in mayfly("compile", file, "-o", output, code=1)[1], f"{output}: {error}")
        check(sorted(os.listdir(folder)) == ["link", "m.image", "m.wasm", "pipe"], f"{os.listdir(folder)}")


def case_cli_progress():
    """A long compile shows on a terminal how far it is, and nothing of that stays; elsewhere nothing is shown."""
    import pty
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "m.wasm")
        with open(file, "wb") as out:
            out.write(many_functions(1000))
        command = [run.PROGRAM, "compile", file, "-O1", "-o", os.path.join(folder, "m.image")]
        environment = {**os.environ, "XDG_CACHE_HOME": folder, "TERM": "xterm"}
        terminal, side = pty.openpty()
        child = subprocess.Popen(command, stderr=side, env=environment)
        os.close(side)
        shown = b""
        while True:
            try:
                got = os.read(terminal, 4096)
            except OSError:
                break
            if not got:
                break
            shown += got
        os.close(terminal)
        check(child.wait() == 0, f"compiles: {shown!r:.300}")
        check(re.search(rb"\[#*\.*\] \d+ of 1000 functions compiled, about \d+ (s|min) left", shown), f"{shown!r:.300}")
        check(shown.endswith(b"\r\x1b[K"), f"the line is wiped: {shown[-40:]!r}")
        environment["XDG_CACHE_HOME"] = os.path.join(folder, "other")
        done = subprocess.run(command, capture_output=True, env=environment)
        check(done.returncode == 0 and not done.stderr, f"nothing is shown without a terminal: {done.stderr!r:.300}")


def case_cli_version():
    """The version, for people and for programs."""
    check(re.fullmatch(r"mayfly \d+\.\d+\.\d+", mayfly("version")[0].splitlines()[0]), "`mayfly N.N.N` comes first")
    check(mayfly("--version")[0] == mayfly("version")[0], "`--version` and `version` say the same")
    value = json.loads(mayfly("version", "--json")[0])
    missing = check_described("version", value) - paths(value)
    check(not missing, f"all of it is there: {missing}")
    check(value["compiler"]["path"] and os.access(value["compiler"]["path"], os.X_OK), f"the compiler: {value}")
    check(re.match(r"19\.", value["compiler"]["llvm"]), f"LLVM's version: {value}")
    check("simd" in value["features"] and "0.2" in value["wasi"], f"{value}")


def completions(script, *words):
    """What bash would offer for the last word."""
    call = (f'source {script}; compopt() {{ echo "files $*"; }}; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _mayfly; '
            'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", call, "bash", *words], capture_output=True, text=True)
    check(done.returncode == 0 and not done.stderr, f"{words}: {done}")
    return done.stdout.split()


def case_cli_completion():
    """The scripts are correct for the shells that are here; bash offers what the tables hold."""
    with tempfile.TemporaryDirectory() as folder:
        for shell in ("bash", "zsh", "fish"):
            script = os.path.join(folder, shell)
            with open(script, "w", encoding="utf-8") as file:
                file.write(mayfly("completion", shell)[0])
            if not shutil.which(shell):
                print(f"  not checked: {shell} is not installed")
                continue
            done = subprocess.run([shell, "-n", script], capture_output=True, text=True)
            check(done.returncode == 0 and not done.stderr, f"{shell}: {done.stderr}")
        if not shutil.which("bash"):
            raise Skipped("bash is not installed")
        bash = os.path.join(folder, "bash")
        check(set(commands()) <= set(completions(bash, "mayfly", "")), "the commands")
        check(completions(bash, "mayfly", "comp") == ["compile", "completion"], "the commands that begin so")
        rows = [row[:2] for row in table("options.def", "(?:OPTION|LIST)")]
        for command, option in rows:
            wanted = sorted(other for of, other in rows if of == command and other.startswith(option))
            check(sorted(completions(bash, "mayfly", command, option)) == wanted, f"{option} of {command}")
        check(completions(bash, "mayfly", "compile", "--dump", "") == ["ir", "opt", "asm"], "a list of choices")
        check(completions(bash, "mayfly", "compile", "--dump", "=", "a") == ["asm"], "a choice behind =")
        check(completions(bash, "mayfly", "compile", "--dump", "=") == ["ir", "opt", "asm"], "all behind =")
        check(completions(bash, "mayfly", "up", "") == ["files", "-o", "default"], "files")
        check(completions(bash, "mayfly", "completion", "z") == ["zsh"], "an argument")
        check(completions(bash, "mayfly", "up", "--listen", "") == [], "nothing where nobody knows")


def case_cli_spin():
    """Options of Spin's that are not there are told with what there is instead, and stand in the documentation."""
    with open(os.path.join(ROOT, "docs", "spin.md")) as file:
        documented = file.read()
    for command, option, instead in table("spin.def", "SPIN"):
        error = mayfly(command, f"{option}=x" if option.startswith("--") else option, code=2)[1]
        check(f"'{command}' of mayfly has no '{option}', which Spin's has: {instead}" in error, f"{option} of {command}: {error}")
        check(f"`{option}`" in documented, f"{option} of {command} in docs/spin.md")
    known = {(row[0], row[1]) for row in table("options.def", "(?:OPTION|LIST)")}
    check(not known & {(row[0], row[1]) for row in table("spin.def", "SPIN")}, "none is both")


def case_cli_man():
    """The manual page has no errors and shows all commands, options and members of JSON."""
    page = mayfly("man")[0]
    if not shutil.which("groff"):
        raise Skipped("groff is not installed")
    done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-P-cbou"], input=page, capture_output=True, text=True)
    check(done.returncode == 0 and not done.stderr, f"groff: {done.stderr[:500]}")
    for command in commands():
        check(f"mayfly {command}" in done.stdout, f"{command} in the page")
    words = [row[1] for row in table("options.def", "(?:OPTION|LIST)")] + [r[1] for r in table("json.def", "JSON")]
    for word in words:
        check(word in done.stdout, f"{word} in the page")


def case_cli_install():
    """An installation works from where it is, and can be removed."""
    script = os.path.join(ROOT, "scripts", "install.sh")
    build = os.path.dirname(run.PROGRAM)
    with tempfile.TemporaryDirectory() as folder:
        there = os.environ | {"DESTDIR": folder, "PREFIX": "/opt/mayfly"}
        subprocess.run([script, "install", build], env=there, check=True, capture_output=True)
        prefix = os.path.join(folder, "opt", "mayfly")
        done = subprocess.run([os.path.join(prefix, "bin", "mayfly"), "version", "--json"], capture_output=True,
                              text=True, check=True)
        compiler = os.path.realpath(json.loads(done.stdout)["compiler"]["path"])
        check(compiler == os.path.join(os.path.realpath(prefix), "libexec", "mayfly", "mayfly-compiler"),
              f"the installed compiler, not {compiler}")
        with open(os.path.join(prefix, "share", "man", "man1", "mayfly.1"), encoding="utf-8") as page:
            check(page.read() == mayfly("man")[0], "the manual page")
        subprocess.run([script, "uninstall", build], env=there, check=True, capture_output=True)
        left = [file for _, _, files in os.walk(folder) for file in files]
        check(not left, f"nothing is left: {left}")


def wasm(*sections):
    """A core module of (number, contents)."""
    leb = lambda n: bytes([n]) if n < 128 else bytes([n & 127 | 128]) + leb(n >> 7)
    return b"\0asm\1\0\0\0" + b"".join(bytes([number]) + leb(len(body)) + body for number, body in sections)


def named(text):
    data = text if isinstance(text, bytes) else text.encode()
    return bytes([len(data)]) + data


def written(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


NOTHING = (1, b"\1\x60\0\0")
START = (7, b"\1" + named("_start") + b"\0\0")


def importer(module, name, kind=b"\0\0", *more):
    return wasm(NOTHING, (2, b"\1" + named(module) + named(name) + kind), *more)


def facts(text):
    """What stands behind each label."""
    return {line[:13].strip(): line[13:] for line in text.split("\n\n")[0].splitlines()}


def case_cli_inspect():
    """What a file is, what it needs, whether it will run."""
    guest = run.guest("process")
    text = mayfly("inspect", guest)[0]
    said = facts(text)
    check(said["file"] == guest and said["kind"] == "core module", said)
    check(said["runs"] == f"mayfly run {guest}" and said["to grant"] == "environment (--env)", said)
    check("arguments" in said["gets"] and "clang" in said["made by"], said)
    for line in ('  "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))',
                 '  "_start" (func)', "  (memory 2)", "  (table 11 11 funcref)", "imports (10)"):
        check(line in text.splitlines(), f"{line!r} in {text}")
    check("missing" not in text, text)
    hello = os.path.join(ROOT, "examples", "hello-c", "hello.wasm")
    text = mayfly("inspect", hello)[0]
    said = facts(text)
    check(said["kind"] == "component" and said["runs"] == f"mayfly up {hello}", said)
    for line in ("  wasi:http/types@0.2.12", "    [method]outgoing-response.body: func(self: borrow<outgoing-response>)"
                 " -> result<outgoing-body>", "    incoming-request: wasi:http/types@0.2.12.{incoming-request}"):
        check(line in text.splitlines(), f"{line!r} in {text}")
    check(said["triggers"] == "http", said)
    for name, triggers in (("cgi", "http with the executor wagi, command"), ("inbound", "redis"), ("cron", "http, cron"),
                           ("cgi_module", "http with the executor wagi"), ("whole", "http")):
        said = facts(mayfly("inspect", run.guest(name))[0])
        check(said["triggers"] == triggers and not said["runs"].startswith("no: "), f"{name}: {said}")
    check("in an application with a trigger for it" in facts(mayfly("inspect", run.guest("inbound"))[0])["runs"], "no command of its own")
    said = facts(mayfly("inspect", run.guest("preload_command"))[0])
    check("triggers" not in said, said)
    check("--preload NAME=FILE" in said["runs"] and said["preload"] == '"lib"', said)
    said = facts(mayfly("inspect", run.guest("preload_lib"))[0])
    check(said["runs"].startswith("no: ") and "_start" in said["runs"], said)
    with tempfile.TemporaryDirectory() as folder:
        file = written(folder, "a.wasm", importer("wasi_snapshot_preview1", "sched_yield", b"\0\0", START))
        text = mayfly("inspect", file)[0]
        check(facts(text)["runs"] == "no: an import is not offered: see below", text)
        check('  "wasi_snapshot_preview1" "sched_yield" has another type' in text.splitlines(), text)
        file = written(folder, "b.wasm", importer("wasi_unstable", "proc_exit", b"\0\0", START))
        check('  "wasi_unstable" "proc_exit" is not offered' in mayfly("inspect", file)[0].splitlines(), "by name")
        file = written(folder, "c.wasm", importer("a\x1b[2J\n", "\u202e\u009b\"", b"\0\0", START))
        text = mayfly("inspect", file)[0]
        check('  "a\\x1b[2J\\x0a" "\\u{202e}\\u{9b}\\"" (func)' in text.splitlines(), f"escaped: {text!r}")


def case_cli_inspect_image():
    """An image, before and after it is damaged or foreign."""
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "process.image")
        mayfly("compile", run.guest("process"), "-o", image, "-O1")
        said = facts(mayfly("inspect", image)[0])
        check(said["kind"] == "native image" and said["options"] == "-O 1", said)
        check(said["runs"] == f"mayfly run {image}" and said["functions"] == "74", said)
        mayfly("compile", run.guest("invoke"), "-o", image + "2", "-O0")
        check("(result (ref struct) anyref" in mayfly("inspect", image + "2")[0], "kinds of references")
        with open(run.guest("process"), "rb") as file:
            check(said["source"] == hashlib.sha256(file.read()).hexdigest(), said)
        with open(image, "rb") as file:
            data = file.read()
        damaged = written(folder, "damaged", data[:300] + b"\xff" + data[301:])
        check("damaged image" in mayfly("inspect", damaged, code=1)[1], "damage is found")
        foreign = written(folder, "foreign", data[:16] + b"\0" * 32 + data[48:])
        said = facts(mayfly("inspect", foreign)[0])
        check(said["engine"] == "another version of mayfly" and said["runs"].startswith("no: "), said)
        check(json.loads(mayfly("inspect", "--json", foreign)[0])["engine"]["matches"] is False, "foreign")


def case_cli_inspect_json():
    """The same for programs: every member is described, and every description stands in one of the files."""
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "hello.image")
        hello = os.path.join(ROOT, "examples", "hello-rust", "hello.wasm")
        mayfly("compile", hello, "-o", image, "-O0")
        lacking = written(folder, "lacking.wasm", importer("wasi_unstable", "proc_exit", b"\0\0", START))
        files = [run.guest("process"), run.guest("preload_command"), run.guest("frozen"), hello, image, lacking]
        seen, described = set(), set()
        for file in files:
            value = json.loads(mayfly("inspect", "--json", file)[0])
            described = check_described("inspect", value)
            seen |= paths(value)
        check(not described - seen, f"all of it is somewhere: {described - seen}")
        check(json.loads(mayfly("inspect", "--json", lacking)[0])["missing"] ==
              [{"module": "wasi_unstable", "name": "proc_exit", "problem": "is not offered"}], "what is missing")


def case_cli_inspect_wit():
    """A component's world."""
    text = mayfly("inspect", "--wit", os.path.join(ROOT, "examples", "hello-c", "hello.wasm"))[0]
    check(text.startswith("package root:component;\n\nworld root {\n"), text)
    for line in ("  export wasi:http/incoming-handler@0.2.12;", "package wasi:http@0.2.12 {",
                 "    use types.{incoming-request, response-outparam};",
                 "      set: static func(param: response-outparam, response: result<outgoing-response, error-code>);"):
        check(line in text.splitlines(), f"{line!r} in {text}")
    check("--wit is for components" in mayfly("inspect", "--wit", run.guest("process"), code=1)[1], "modules have none")
    check("combined" in mayfly("inspect", "--wit", "--json", "x", code=2)[1], "text or JSON")


def case_cli_inspect_refused():
    """What is wrong, and where; nothing of it reaches the terminal as it is."""
    with tempfile.TemporaryDirectory() as folder:
        for data, words in ((b"", "magic header"), (b"\0asm\1\0\0", "offset 0x4: "), (b"\0asm\x0d\0\1\0\3", "offset 0x9: "),
                            (importer("m", "n", b"\x09"), "offset 0x15: malformed import kind 0x09"),
                            (wasm(NOTHING, (3, b"\1\0"), (10, b"\1\3\0\x6a\x0b")), "offset 0x17: ")):
            file = written(folder, "x.wasm", data)
            output, errors = mayfly("inspect", file, code=1)
            check(not output and errors.startswith(f"error: {file}: ") and words in errors, f"{data!r}: {errors!r}")
        twice = b"\2" + 2 * (named("\x1b[31m\u202e") + b"\0\0")
        file = written(folder, "y.wasm", wasm(NOTHING, (3, b"\1\0"), (7, twice), (10, b"\1\2\0\x0b")))
        errors = mayfly("inspect", file, code=1)[1]
        check("\\x1b[31m\\u{202e}" in errors and "\x1b" not in errors, f"{errors!r}")
        check("cannot open" in mayfly("inspect", os.path.join(folder, "none"), code=1)[1], "a file that is not there")
        check("not a regular file" in mayfly("inspect", folder, code=1)[1], "a folder")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
