#!/usr/bin/env python3
"""The command line itself: help, errors of usage, version, completion, the manual page.

    cli.py PROGRAM [CASE...]        as run.py
"""
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


def compile_json(file, image, cache):
    """What `compile --json` says."""
    done = subprocess.run([run.PROGRAM, "compile", "--json", file, "-o", image], capture_output=True, text=True,
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
        for command, option, *_ in table("options.def", "(?:OPTION|LIST)"):
            check(completions(bash, "mayfly", command, option) == [option], f"{option} of {command}")
        check(completions(bash, "mayfly", "compile", "--dump", "") == ["ir", "opt", "asm"], "a list of choices")
        check(completions(bash, "mayfly", "compile", "--dump", "=", "a") == ["asm"], "a choice behind =")
        check(completions(bash, "mayfly", "compile", "--dump", "=") == ["ir", "opt", "asm"], "all behind =")
        check(completions(bash, "mayfly", "up", "") == ["files", "-o", "default"], "files")
        check(completions(bash, "mayfly", "completion", "z") == ["zsh"], "an argument")
        check(completions(bash, "mayfly", "up", "--listen", "") == [], "nothing where nobody knows")


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


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(run.main(sys.argv[1:], CASES))
