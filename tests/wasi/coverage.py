#!/usr/bin/env python3
"""Holds docs/wasi-tests.md complete: one row for every function of the host that wit/implemented.txt names, sorted, and
every row true as far as a program can tell. Of a package with several versions all but the lowest say theirs; a draft
(a pre-release of a version that is there too) always does, and counts for nothing else.

A row names programs of the page's first table. A guest (.wasm) must import the function, a unit test (.c) must call its
implementation by name. What runs a program must exist: a case of tests/e2e, or a test program of tests/ROOM.

    coverage.py         prints what is wrong; exit code 1 if anything is
    coverage.py --fill  writes the rows anew, from what the programs of the first table call
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = "docs/wasi-tests.md"


def read(path, mode="r"):
    with open(os.path.join(ROOT, path), mode) as file:
        return file.read()


def packages_of(texts):
    """(package, version) of each text; the version with its @, or None."""
    return [re.search(r"^package ([\w:-]+)(@[\w.-]+)?;", text, re.M).groups() for text in texts]


def is_draft(row, packages):
    """Whether the package is a pre-release of one that is there."""
    package, version = row
    released = (version or "").partition("-")[0].rpartition(".")[0]
    return "-" in (version or "") and any(other == package and known and "-" not in known and
                                          known.startswith(released + ".") for other, known in packages)


def functions_of_wit(text, versioned=()):
    """(interface, function) of a file of wit/, drops of resources included; what is unstable is left out."""
    package, version = packages_of([text])[0]
    version = version if (package, version) in versioned and version else ""
    interface = resource = None
    depth = hidden = 0
    for line in re.sub(r"//.*", "", text).splitlines():
        line = line.strip()
        if line.startswith("@unstable"):
            hidden = 1
            continue
        if depth == 0 and line.startswith("interface "):
            interface = None if hidden else f"{package}/{line.split()[1]}{version}"
        elif depth == 1 and interface and line.startswith("resource "):
            resource = None if hidden else re.match(r"resource %?([\w-]+)", line).group(1)
            if resource:
                yield interface, f"[resource-drop]{resource}"
        elif interface and not hidden and depth in (1, 2):
            func = re.match(r"%?([\w-]+): (static )?(async )?func\(", line)
            if func and depth == 1:
                yield interface, func.group(1)
            elif func and resource:
                yield interface, f"[{'static' if func.group(2) else 'method'}]{resource}.{func.group(1)}"
            elif line.startswith("constructor(") and resource:
                yield interface, f"[constructor]{resource}"
        hidden = 0
        depth += sum(line.count(c) for c in "{(") - sum(line.count(c) for c in "})")
        if depth <= 1:
            resource = None
        if depth == 0:
            interface = None


def implemented():
    texts = [read(path) for path in sorted(glob.glob(os.path.join(ROOT, "wit", "**", "*.wit"), recursive=True))]
    packages = packages_of(texts)
    drafts = {row for row in packages if is_draft(row, packages)}
    finals = [package for package, version in packages if (package, version) not in drafts]
    several = {row for row in packages if row not in drafts and finals.count(row[0]) > 1}
    known = [row for text in texts for row in functions_of_wit(text, several | drafts)]
    found = set()
    for line in read("wit/implemented.txt").splitlines():
        if not line or line.startswith("#"):
            continue
        interface, name = line.split(" ")
        rows = {row for row in known if interface in (row[0], row[0].split("@")[0]) and name in ("*", row[1])}
        if not rows:
            raise SystemExit(f"wit/implemented.txt: {line}: nothing of wit/ is called so")
        found |= rows
    return found


def tables(text):
    """(heading, cells) of every row behind the heads of the page's tables."""
    heading = ""
    for line in text.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("| ") and not line.startswith(("| interface", "| program", "|--")):
            yield heading, [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]


def c_name(interface, name):
    """The implementation's name, as the bindings generator makes it."""
    interface, _, version = interface.partition("@")
    package, _, rest = interface.partition("/")
    package += version and "_" + (version if "-" in version else re.match(r"0\.\d+|\d+", version).group())
    drop = name.startswith("[resource-drop]")
    words = [package, name[len("[resource-drop]"):], "drop"] if drop else [package, rest, re.sub(r"^\[\w+\]", "", name)]
    if name.startswith("[constructor]"):
        words = [package, rest, name[len("[constructor]"):], "constructor"]
    return re.sub(r"[^\w]", "_", "_".join(words))


class Programs:
    def __init__(self, rows):
        self.problems = []
        self.bytes = {}
        cases = set(re.findall(r"def case_(\w+)", "".join(map(read, glob.glob("tests/e2e/*.py", root_dir=ROOT)))))
        for name, source, tests in rows:
            if not os.path.exists(os.path.join(ROOT, source)):
                self.problems.append(f"{name}: there is no {source}")
                continue
            self.bytes[name] = source, read(source, "rb")
            for test in re.findall(r"[\w/-]+", tests):
                room, _, case = test.partition("/")
                if not (case in cases if room == "e2e" else os.path.exists(os.path.join(ROOT, f"tests/{room}/test_{case}.c"))):
                    self.problems.append(f"{name}: there is no test {test}")

    def calls(self, program, interface, name):
        source, data = self.bytes[program]
        if source.endswith(".wasm"):
            # as an import of a core module: two names, each behind its length
            interface, _, version = interface.partition("@")
            wanted = re.escape(b"@" + version.encode()) if version else rb"(?!@0\.2\.0-rc-)(@[\w.-]+)?"
            return re.search(re.escape(interface.encode()) + wanted + re.escape(bytes([len(name)]) + name.encode()) +
                             rb"\0", data) is not None
        return re.search(rb"\b" + c_name(interface, name).encode() + rb"\(", data) is not None


def check():
    rows = list(tables(read(PAGE)))
    programs = Programs([cells for heading, cells in rows if heading == "Programs"])
    problems, seen, order = programs.problems, set(), []
    for heading, cells in rows:
        if heading == "Programs":
            continue
        interface, name, tests = cells
        if not interface.startswith(f"{heading}/"):
            problems.append(f"{interface} {name} stands under {heading}")
        order.append(order_of((interface, name)))
        seen.add((interface, name))
        for program in filter(None, tests.split(", ")):
            if program not in programs.bytes:
                problems.append(f"{interface} {name}: {program} is not in the table of programs")
            elif not programs.calls(program, interface, name):
                problems.append(f"{interface} {name}: {program} does not call it")
        if not tests:
            problems.append(f"{interface} {name}: no test")
    if order != sorted(set(order)):
        wrong = next((b for a, b in zip(order, order[1:]) if a >= b), order[-1:])
        problems.append(f"rows are sorted by interface, then by name without its bracket: {wrong}")
    wanted = implemented()
    problems += [f"{' '.join(row)}: implemented, and no row" for row in sorted(wanted - seen)]
    problems += [f"{' '.join(row)}: a row, and not implemented" for row in sorted(seen - wanted)]
    return problems, len(seen)


def order_of(row):
    return row[0], re.sub(r"^\[[\w-]+\]", "", row[1]), row[1]


def fill():
    text = re.split(r"\n## (?!Programs)", read(PAGE))[0]
    programs = Programs([cells for heading, cells in tables(text)])
    package = None
    for interface, name in sorted(implemented(), key=order_of):
        if package != interface.split("/")[0]:
            package = interface.split("/")[0]
            text += f"\n## {package}\n\n| interface | function | tested by |\n|---|---|---|\n"
        callers = [program for program in programs.bytes if programs.calls(program, interface, name)]
        text += f"| {interface} | `{name}` | {', '.join(callers)} |\n"
    with open(os.path.join(ROOT, PAGE), "w") as file:
        file.write(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--fill"]:
        fill()
    found, count = check()
    for problem in found:
        print(f"{PAGE}: {problem}")
    print(f"{count} functions, {len(found)} problems")
    sys.exit(1 if found else 0)
