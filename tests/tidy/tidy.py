#!/usr/bin/env python3
"""The rules of the house, checked: tidy.py [rules|format|clang|--list-c]

rules   which room includes which, banned functions, function length, conditional compilation, what a file
        opens with, and marks and paths that do not belong into the tree
format  clang-format-19 would change nothing
clang   clang-tidy-19 finds nothing (.clang-tidy lists what it looks for); needs build/

The order of the rooms is read from docs/architecture.md. Exceptions stand below by name, each with its reason.
"""
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LINES_MAX = 70
COLUMNS_MAX = 120
GENERATED = ("src/wasi/gen/", "tests/wit/golden/")
STENCILS = ("src/codegen/fast/stencils/",)  # compiled by stencils.py, with numbers of its own

# Pairs that the order of the rooms would allow and the architecture does not.
STRANGERS = {("codegen", "runtime"): "both keep the contracts between them instead"}

BANNED = {
    "strcpy": "memcpy with a length", "strcat": "buf", "sprintf": "snprintf", "vsprintf": "vsnprintf",
    "gets": "fgets", "strtok": "str", "atoi": "strtol", "atol": "strtol", "alloca": "arena",
    "system": "posix_spawn", "popen": "posix_spawn", "tmpnam": "mkstemp", "mktemp": "mkstemp",
    "rand": "getrandom", "srand": "getrandom", "longjmp": "err, or the runtime's unwinding",
}
ALLOCATORS = ("malloc", "calloc", "realloc", "free", "strdup", "strndup", "asprintf")

# (path, what) -> why it may; `what` is a function's name, a macro, or `allocators`.
ALLOWED = {
    ("src/base/alloc.c", "allocators"): "it is the one place where memory comes from",
    ("src/base/alloc.c", "MAYFLY_ALLOC_CHECK"): "the checking allocator is another build",
    ("src/runtime/slot.c", "MAYFLY_PLANT_LEAK"): "a test build with an error that the leak hunt must find",
}
ARCHITECTURES = ("x86_64", "aarch64")  # a file may be for one of them: NAME_ARCHITECTURE.c
CONDITIONALS_OK = ("src/io/", "src/codegen/")


def tracked():
    if os.path.isdir(os.path.join(ROOT, ".git")) and shutil.which("git"):
        out = subprocess.run(["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-co", "--exclude-standard"],
                             capture_output=True, text=True, check=True).stdout
        names = out.splitlines()
    else:
        names = []
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [f for f in folders if f != ".git" and not f.startswith("build")]
            names += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files]
    return sorted(n for n in names if os.path.isfile(os.path.join(ROOT, n)))


def read(name):
    with open(os.path.join(ROOT, name), "rb") as file:
        data = file.read()
    return None if b"\0" in data else data.decode("utf-8", "replace")


def is_c(name):
    return name.endswith((".c", ".h")) and not name.startswith(GENERATED)


def rooms():
    text = read("docs/architecture.md")
    order = re.findall(r"^    ([a-z0-9]+)/ +\S", text, re.M)
    if len(order) < 5 or order[-1] != "base":
        sys.exit("tidy: no list of rooms in docs/architecture.md")
    return order


def code_only(text):
    """The same text, comments and the insides of literals blanked, lines kept."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group())
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    keep_include = lambda m: m.group() if m.group().startswith('"') and "/" in m.group() else blank(m)
    return re.sub(pattern, keep_include, text, flags=re.S)


def check_includes(name, code, order):
    parts = name.split("/")
    if parts[0] != "src" or len(parts) < 3:
        return
    room = parts[1]
    if room not in order:
        yield 1, f"the room {room}/ does not stand in docs/architecture.md"
        return
    for number, line in enumerate(code.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+"([a-z0-9]+)/', line)
        if not match or match.group(1) not in order or match.group(1) == room:
            continue
        other = match.group(1)
        if order.index(other) < order.index(room):
            yield number, f"{room}/ includes {other}/, a room above it"
        elif (room, other) in STRANGERS:
            yield number, f"{room}/ includes {other}/: {STRANGERS[room, other]}"


def check_calls(name, code):
    in_program = name.startswith("src/")
    for number, line in enumerate(code.split("\n"), 1):
        for word in re.findall(r"(?<![\w.>])(\w+)\s*\(", line):
            if word in BANNED and not name.startswith("tests/"):
                yield number, f"{word}() is banned: use {BANNED[word]}"
            if in_program and word in ALLOCATORS and (name, "allocators") not in ALLOWED:
                yield number, f"{word}() is banned: use base/alloc.h"


def functions(code):
    """(first line, name, number of lines) of each function: a `{` alone in column 0 opens it."""
    lines = code.split("\n")
    for start, line in enumerate(lines):
        if line != "{":
            continue
        head = start - 1
        while head > 0 and lines[head].strip() and not lines[head - 1].rstrip().endswith((";", "}", "{")) \
                and lines[head - 1].strip() and not lines[head - 1].startswith("#"):
            head -= 1
        end = next((i for i in range(start, len(lines)) if lines[i].startswith("}")), len(lines))
        found = re.search(r"(\w+)\s*\(", " ".join(lines[head:start]))
        yield head + 1, found.group(1) if found else "?", end - head + 1


def check_length(name, code):
    for number, function, length in functions(code):
        if length > LINES_MAX and (name, function) not in ALLOWED:
            yield number, f"{function} has {length} lines, at most {LINES_MAX}"


def check_conditionals(name, code):
    if not name.startswith("src/") or name.startswith(CONDITIONALS_OK):
        return
    guard = re.search(r"^#ifndef (MAYFLY_\w+_H)$", code, re.M) if name.endswith(".h") else None
    for number, line in enumerate(code.split("\n"), 1):
        match = re.match(r"\s*#\s*(?:if|ifdef|ifndef|elif)\b\s*(\w*)", line)
        if match and not (guard and line == guard.group()) and (name, match.group(1)) not in ALLOWED:
            yield number, "conditional compilation outside io/ and codegen/"


def check_opening(name, text):
    if name.startswith(("src/", "bench/", "include/")) and not text.lstrip().startswith("/*"):
        yield 1, "the file does not open with a comment that says why it exists"


MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
PATHS = re.compile(r"(?<![\w.$}])/(work|root|home)/\w")
HOSTS = re.compile(r"\b(crates[.]io|pypi[.]org|npmjs[.](org|com)|proxy[.]golang[.]org)\b")


def check_text(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        if MARKS.search(line):
            yield number, "a mark for later does not belong into the tree"
        if PATHS.search(line):
            yield number, "a path of one machine"
        if HOSTS.search(line):
            yield number, "the host of a package registry"


def check_shape(name, text):
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "no newline at the end"
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip():
            yield number, "blanks at the end of the line"
        if is_c(name) and "\t" in line:
            yield number, "a tab"
        if is_c(name) and len(line) > COLUMNS_MAX:
            yield number, f"{len(line)} columns, at most {COLUMNS_MAX}"


def problems_of(name, order):
    text = read(name)
    if text is None or name.startswith(GENERATED):
        return
    yield from check_text(name, text)
    if name.endswith((".c", ".h", ".S", ".def", ".py", ".sh", ".md", ".txt")):
        yield from check_shape(name, text)
    if is_c(name):
        code = code_only(text)
        yield from check_includes(name, code, order)
        yield from check_calls(name, code)
        yield from check_length(name, code)
        yield from check_conditionals(name, code)
        yield from check_opening(name, text)


def rules(names):
    order = rooms()
    found = [f"{name}:{number}: {what}" for name in names for number, what in sorted(problems_of(name, order))]
    print("\n".join(found) if found else f"{len(names)} files keep the rules")
    return 1 if found else 0


def formatted(names):
    tool = shutil.which("clang-format-19")
    if not tool:
        print("skipped: clang-format-19 is not installed")
        return 77
    sources = [os.path.join(ROOT, n) for n in names if is_c(n)]
    result = subprocess.run([tool, "--dry-run", "--Werror", "--ferror-limit=1", *sources], cwd=ROOT,
                            capture_output=True, text=True)
    bad = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", result.stderr, re.M)))
    print("\n".join(os.path.relpath(b, ROOT) + ": not in form; `make format` mends it" for b in bad)
          or f"{len(sources)} files are in form")
    return 1 if result.returncode else 0


def clang(names):
    tool = shutil.which("clang-tidy-19")
    commands = os.path.join(ROOT, "build", "compile_commands.json")
    if not tool or not os.path.exists(commands):
        print(f"skipped: {'there is no build/' if tool else 'clang-tidy-19 is not installed'}")
        return 77
    others = tuple(f"_{name}.c" for name in ARCHITECTURES if name != os.uname().machine)
    sources = [n for n in names if n.startswith("src/") and n.endswith(".c") and not n.startswith(GENERATED + STENCILS)
               and not n.endswith(others)]
    result = subprocess.run(["xargs", f"-P{os.cpu_count()}", "-n4", tool, "-p", "build", "--quiet",
                             "--warnings-as-errors=*"], input="\n".join(sources), cwd=ROOT, capture_output=True, text=True)
    print(result.stdout.replace(ROOT + os.sep, "") + f"{len(sources)} files read by clang-tidy")
    return 1 if result.returncode else 0


def main(arguments):
    names = tracked()
    if "--list-c" in arguments:
        print("\n".join(n for n in names if is_c(n)))
        return 0
    what = arguments[1] if len(arguments) > 1 else "rules"
    return {"rules": rules, "format": formatted, "clang": clang}[what](names)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
