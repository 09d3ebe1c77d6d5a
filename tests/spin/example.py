"""What a row of the applications says: where its sources are, what it needs, and what it must answer. A row is data, so that
the table in docs/spin-applications.md and the run cannot differ.

    Example("spin-rust-sdk", RUST, "examples/hello-world", asks=(Ask("/hello", says="Hello, world!"),))
"""
import os
import re
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True)
class Ask:
    """A request and its right answer. `says`: the whole body (str, bytes), a compiled pattern which must be found in it, or
    a function of it; `fields`: of the answer, whole or a compiled pattern. `log`: a pattern that the log then has."""
    path: str = "/"
    method: str = "GET"
    body: object = None
    headers: tuple = ()
    status: int = 200
    says: object = None
    fields: dict = field(default_factory=dict)
    log: str = ""


@dataclass(frozen=True)
class Example:
    repository: str         # NAME or OWNER/NAME of github.com (spinframework/NAME); "": a folder beside this file
    commit: str             # whole, or a tag
    folder: str             # the one with spin.toml
    asks: tuple = ()
    act: object = None      # act(running): what a request and its answer cannot say
    setup: object = None    # setup(running) before the server starts: rows of databases and the like
    needs: tuple = ()       # names of peers.PEERS, each at its usual port
    hosts: dict = field(default_factory=dict)  # name: what stands in for it, a body or a function of the request
    options: tuple = ()     # of `mayfly up`; {folder} and {temp} stand for those
    environment: dict = field(default_factory=dict)  # of building and of `mayfly up`
    values: dict = None     # of a template, which is made an application with these
    tools: tuple = ()       # programs without which it is not tried
    before: tuple = ()      # commands before `mayfly build`, which the application's own instructions name
    provide: object = None  # provide(folder, cache, repository): a context that yields more of the environment of building
    build: bool = True
    lacks: str = ""         # it does not run, and this is what mayfly says: instead of serving, or in its log behind `asks`
    fails: bool = False     # it answers as the row says, which is that it fails: it counts as what does not run
    why: str = ""           # in the table: why it does not run, or how it runs
    skip: str = ""          # it is not tried, and why
    label: str = ""         # in the table, for rows of the same folder

    def name(self):
        place = self.repository.split("/")[-1] or "apps"
        return f"{place}/{self.folder}" + (f" ({self.label})" if self.label else "")


class NotTried(Exception):
    """What a row needs is not to be had here."""


class Wrong(Exception):
    """An answer is not what the row says."""


def fits(wanted, found):
    if isinstance(wanted, re.Pattern):
        return bool(wanted.search(found if isinstance(wanted.pattern, bytes) else found.decode(errors="replace")))
    if callable(wanted):
        return wanted(found)
    return found == (wanted.encode() if isinstance(wanted, str) else wanted)


class Running:
    """An application that is served, for `act`; before that, for `setup`, only its folder and peers."""

    def __init__(self, folder, temp, peers):
        self.folder, self.temp, self.peers, self.server = folder, temp, peers, None

    def log(self):
        return self.server.log()

    def wait_log(self, pattern):
        if not self.server.wait_log(pattern, 30):
            raise Wrong(f"the log has {pattern!r}")

    def answer(self, path, **more):
        """Status, fields, body."""
        from run import ask
        return ask(self.server.port, path, **more)

    def ask(self, one):
        body = one.body.encode() if isinstance(one.body, str) else one.body
        status, fields, answer = self.answer(one.path, method=one.method, body=body, headers=one.headers)
        what = f"{one.method} {one.path}"
        if status != one.status:
            raise Wrong(f"{what}: status {one.status}, not {status} with {answer!r:.300}")
        if one.says is not None and not fits(one.says, answer):
            raise Wrong(f"{what}: body {one.says!r:.300}, not {answer!r:.1000}")
        for name, wanted in one.fields.items():
            if not fits(wanted, fields.get(name, "").encode()):
                raise Wrong(f"{what}: field {name} {wanted!r}, not {fields.get(name)!r}")
        if one.log:
            self.wait_log(one.log)
