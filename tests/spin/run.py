#!/usr/bin/env python3
"""Applications as Spin's users write them, and Spin's own examples, under mayfly, unchanged: fetched at a named commit,
built as their manifests say, served, asked, and their answers compared.

    run.py [--sources FOLDER] [--work FOLDER] [--only TEXT]... [--keep] [--tier TIER] [--json FILE] [--markdown FILE]
           [--list] PROGRAM [LANGUAGE...]

PROGRAM is build/mayfly; languages are the files of rows beside this one (LANGUAGES). Repositories are taken from --sources
(or SPIN_SOURCES), a folder of git repositories by name; those that are not there are cloned into a cache folder. Nothing of
them comes into the tree. --keep leaves what was built for the next run. --markdown renews the tables of the languages that
run in a document which says where they are.

The outcome of a row is one of

    runs            it was built and answered as the row says
    does not run    as the row says, with the message of mayfly that the row has, or with failures for answers
    not tried       a tool, its sources or its dependencies are not to be had here
    WRONG           anything else; the run fails

Applications run in a network namespace, where the services they name are at their usual ports (peers.py).
"""
import argparse
import contextlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import run as e2e      # of tests/e2e: this file is the main program
from run import Failure, Server, Skipped
import peers
from example import NotTried, Running, Wrong

LANGUAGES = ("rust", "js", "python", "go", "own", "runtime")
BUILD_SECONDS = 3600
# What tools say when the network is not there, which is nobody's mistake.
OFFLINE = re.compile(r"Could not resolve host|failed to download|network failure|Temporary failure in name resolution|ENOTFOUND|"
                     r"Could not connect|Failed to connect|unable to access|Couldn't resolve host|ETIMEDOUT|ECONNREFUSED|"
                     r"No matching distribution found|Could not find a version|dial tcp")
RUNS, LACKS, NOT_TRIED, WRONG = "runs", "does not run", "not tried", "WRONG"


class Refused(Exception):
    """mayfly refused to build or serve it; the text is what it said."""


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "mayfly-spin")


# ---- sources ----

def repository(name, sources):
    """The folder of the repository, which is cloned if it is not there."""
    short = name.split("/")[-1]
    for base in filter(None, (sources, cache_folder())):
        for found in (os.path.join(base, short), os.path.join(base, short + ".git")):
            if os.path.exists(os.path.join(found, "HEAD")) or os.path.exists(os.path.join(found, ".git")):
                return found
    made = os.path.join(cache_folder(), short + ".git")
    url = f"https://github.com/{name if '/' in name else 'spinframework/' + name}"
    os.makedirs(cache_folder(), exist_ok=True)
    done = subprocess.run(["git", "clone", "-q", "--bare", url, made], capture_output=True, text=True)
    if done.returncode != 0:
        raise NotTried(f"{url} cannot be fetched")
    return made


def checkout(example, options):
    """The files of the repository at the commit, in a folder of their own."""
    place = os.path.join(options.work, f"{example.repository.split('/')[-1]}-{example.commit}")
    if os.path.exists(os.path.join(place, ".complete")):
        return place
    shutil.rmtree(place, ignore_errors=True)
    git = ["git", "-C", repository(example.repository, options.sources)]
    if subprocess.run([*git, "cat-file", "-e", example.commit + "^{commit}"], capture_output=True).returncode != 0:
        raise NotTried(f"{example.repository} has no commit {example.commit}")
    os.makedirs(place)
    archive = subprocess.Popen([*git, "archive", "--format=tar", example.commit], stdout=subprocess.PIPE)
    done = subprocess.run(["tar", "-x", "-C", place], stdin=archive.stdout)
    if archive.wait() != 0 or done.returncode != 0:
        raise NotTried(f"{example.repository} at {example.commit} cannot be unpacked")
    with open(os.path.join(place, ".complete"), "w"):
        return place


FILTERS = {
    "kebab_case": lambda text: re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-"),
    "snake_case": lambda text: re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_"),
    "pascal_case": lambda text: "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", text)),
    "http_wildcard": lambda text: text if text.endswith("/...") else text.rstrip("/") + "/...",
}


def choose(text, values):
    """{% case name %}{% when "value" %}...{% else %}...{% endcase %} as a template's: the part for the value."""
    def part(match):
        found = ""
        for kind, word, inner in re.findall(r"\{%-? *(when|else) *(?:\"(.*?)\")? *-?%\}(.*?)(?=\{%-? *(?:when|else)|\Z)", match.group(2), re.S):
            if kind == "when" and word == values[match.group(1)]:
                return inner
            found = inner if kind == "else" else found
        return found
    return re.sub(r"\{%-? *case +([\w-]+) *-?%\}(.*?)\{%-? *endcase *-?%\}", part, text, flags=re.S)


def fill(text, values):
    """{{ name | filter }} as a template's."""
    def value(match):
        name, *filters = [part.strip() for part in match.group(1).split("|")]
        found = values[name]
        for one in filters:
            found = FILTERS[one](found)
        return found
    return re.sub(r"\{\{(.*?)\}\}", value, choose(text, values))


def from_template(source, values, made):
    """The content of a template as an application."""
    for top, _, names in os.walk(source):
        folder = os.path.join(made, os.path.relpath(top, source))
        os.makedirs(folder, exist_ok=True)  # what was built there before stays
        for name in names:
            with open(os.path.join(top, name), encoding="utf-8") as file:
                text = fill(file.read(), values)
            with open(os.path.join(folder, name.removesuffix(".tmpl")), "w", encoding="utf-8") as file:
                file.write(text)


def application(example, options):
    """The folder with the manifest."""
    if not example.repository:
        made = os.path.join(options.work, "apps", example.folder)
        shutil.copytree(os.path.join(HERE, "apps", example.folder), made, dirs_exist_ok=True)
        return made
    source = os.path.join(checkout(example, options), example.folder)
    if example.values is None:
        return source
    made = os.path.join(options.work, "templates", example.repository + "-" + re.sub(r"\W+", "-", example.folder))
    from_template(source, example.values, made)
    return made


# ---- building and running ----

def call(command, folder, environment):
    """Run it; what it said, in both cases."""
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=BUILD_SECONDS, shell=isinstance(command, str))
    return done.returncode, done.stdout


def build(example, folder, program, given):
    commands = [*example.before, [program, "build"]] if example.build else example.before
    for command in commands:
        code, said = call(command, folder, {**example.environment, **given})
        if code != 0:
            lines = said.strip().splitlines()
            last = "\n".join(lines if len(lines) < 80 else [*lines[:40], "...", *lines[-40:]])
            if OFFLINE.search(said):
                raise NotTried("its dependencies cannot be fetched: " + OFFLINE.search(said).group())
            raise Refused(f"{command}: {last}")


def serve(example, folder):
    """In the application's own network: its peers, `mayfly up`, its requests."""
    with contextlib.ExitStack() as stack:
        temp = stack.enter_context(tempfile.TemporaryDirectory())
        os.environ.update(example.environment)
        running = Running(folder, temp, {name: stack.enter_context(peers.PEERS[name]()) for name in example.needs})
        dns, running.seen = stack.enter_context(peers.public(example.hosts, temp))
        if example.setup:
            example.setup(running)
        options = [option.format(folder=folder, temp=temp) for option in example.options]
        try:
            running.server = Server(folder, "--state-dir", os.path.join(temp, "state"), *dns, *options)
        except Failure as failure:
            raise Refused(str(failure)) from None
        stack.enter_context(running.server)
        for one in example.asks:
            running.ask(one)
        if example.act:
            example.act(running)
        if example.lacks and (example.asks or example.act):
            raise Refused(running.log())


def attempt(example, folder, write_to):
    """In a child: the outcome of serving it, as JSON."""
    try:
        peers.own_network()
        serve(example, folder)
        found = ["runs", ""]
    except Skipped as why:
        found = ["not tried", str(why)]
    except OSError as why:
        found = ["not tried" if "unshare" in str(why) else "wrong", f"{type(why).__name__}: {why}"]
    except Refused as why:
        found = ["refused", str(why)]
    except (Failure, Wrong) as why:
        found = ["wrong", str(why)]
    except BaseException as why:    # a mistake in the row itself; the parent tells it
        found = ["wrong", f"{type(why).__name__}: {why}"]
    with os.fdopen(write_to, "w") as out:
        json.dump(found, out)


def apart(example, folder):
    """`attempt` in a process of its own, since a namespace cannot be left."""
    read_from, write_to = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(read_from)
        attempt(example, folder, write_to)
        sys.stdout.flush()
        os._exit(0)
    os.close(write_to)
    with os.fdopen(read_from) as said:
        text = said.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else ["wrong", "the process that served it ended early"]


def judge(example, kind, said):
    """What happened against what the row says."""
    if kind == "not tried":
        return NOT_TRIED, said
    if kind == "refused" and example.lacks:
        if example.lacks in said:
            return LACKS, example.why or example.lacks
        return WRONG, f"it is refused, but not with `{example.lacks}`: {said}"
    if kind == "runs":
        if example.lacks:
            return WRONG, "it runs, and its row says that it does not"
        return LACKS if example.fails else RUNS, example.why
    return WRONG, said


def outcome(example, options):
    if example.skip:
        return NOT_TRIED, example.skip
    for tool in example.tools:
        if not shutil.which(tool):
            return NOT_TRIED, f"{tool} is not installed"
    try:
        folder = application(example, options)
        provide = example.provide or (lambda *_: contextlib.nullcontext({}))
        with provide(folder, cache_folder(), lambda name: repository(name, options.sources)) as given:
            build(example, folder, e2e.PROGRAM, given)
        return judge(example, *apart(example, folder))
    except NotTried as why:
        return NOT_TRIED, str(why)
    except Refused as why:
        return judge(example, "refused", str(why))
    except subprocess.TimeoutExpired as why:
        return WRONG, str(why)


# ---- what is told ----

def short(commit):
    return commit[:7] if re.fullmatch("[0-9a-f]{40}", commit) else commit or "-"


def table(results):
    rows = [("example", "commit", "outcome")] + \
        [(row["name"], short(row["commit"]), row["outcome"] + (f": {first_line(row['why'])}" if row["why"] else "")) for row in results]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return "\n".join(f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}" for row in rows)


def first_line(text):
    return (text.strip().splitlines() or [""])[0][:200]


def counted(results, kind):
    return sum(row["outcome"] == kind for row in results)


def counts(results):
    return ", ".join(f"{counted(results, kind)} {kind}" for kind in (RUNS, LACKS, NOT_TRIED, WRONG))


def markdown(results):
    left = f", {counted(results, NOT_TRIED)} not tried" if counted(results, NOT_TRIED) else ""
    lines = [f"| application | commit | {counted(results, RUNS)} run, {counted(results, LACKS)} do not{left} |", "|---|---|---|"]
    for row in results:
        why = first_line(row["why"]).replace("|", "\\|")
        lines.append(f"| `{row['name']}` | {short(row['commit'])} | {row['outcome']}{': ' + why if why else ''} |")
    return "\n".join(lines) + "\n"


def document(path, results):
    """What the file is with the tables of this run: one behind each line <!-- rows: LANGUAGE... --> whose languages all ran, or
    nothing but one table."""
    text = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            text = file.read()

    def renewed(match):
        languages = match.group(1).split()
        rows = [row for row in results if row["language"] in languages]
        whole = {row["language"] for row in rows} == set(languages)
        return f"<!-- rows: {match.group(1)} -->\n\n{markdown(rows)}" if whole else match.group()
    return re.sub(r"<!-- rows: (.*?) -->\n\n(?:\|.*\n)*", renewed, text) if "<!-- rows: " in text else markdown(results)


def rows_of(languages, only):
    for language in languages:
        try:
            module = importlib.import_module(language)
        except ModuleNotFoundError as missing:
            if missing.name != language:
                raise
            continue
        for example in module.ROWS:
            if not only or any(text in f"{example.name()}@{example.commit}" for text in only):
                yield language, example


def take_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("languages", nargs="*", metavar="LANGUAGE")
    parser.add_argument("--sources", default=os.environ.get("SPIN_SOURCES"))
    parser.add_argument("--work", help="where to check out and build, and what is kept (a temporary folder)")
    parser.add_argument("--only", action="append", default=[], help="rows whose name@commit has this text")
    parser.add_argument("--keep", action="store_true", help="leave what was built for the next run")
    parser.add_argument("--tier", default="fast", choices=("fast", "best"))
    parser.add_argument("--json")
    parser.add_argument("--markdown", help="where the tables are renewed, as in docs/spin-applications.md")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def work_through(options):
    results = []
    for language, example in rows_of(options.languages or LANGUAGES, options.only):
        if options.list:
            print(f"{language:7} {example.name()}@{short(example.commit)}")
            continue
        began = time.monotonic()
        result, why = outcome(example, options)
        print(f"{result} {example.name()}@{short(example.commit)} ({time.monotonic() - began:.1f} s)" +
              (f": {why if result == WRONG else first_line(why)}" if why else ""), flush=True)
        results.append({"language": language, "name": example.name(), "commit": example.commit, "outcome": result, "why": why})
    return results


def main():
    options = take_arguments()
    e2e.PROGRAM = os.path.abspath(options.program)
    e2e.TIER[:] = ["--tier", options.tier]
    with contextlib.ExitStack() as stack:
        if options.keep and not options.work:
            options.work = os.path.join(cache_folder(), "work")
        options.work = os.path.abspath(options.work) if options.work else stack.enter_context(tempfile.TemporaryDirectory())
        os.makedirs(options.work, exist_ok=True)
        results = work_through(options)
    if options.list:
        return 0
    print("\n" + table(results) + "\n\n" + counts(results))
    for path, made in ((options.json, lambda _, rows: json.dumps(rows, indent=1)), (options.markdown, document)):
        if path:
            text = made(path, results)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    return 1 if any(row["outcome"] == WRONG for row in results) else 0 if results else 77


if __name__ == "__main__":
    sys.exit(main())
