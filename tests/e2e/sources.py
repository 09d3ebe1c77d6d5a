#!/usr/bin/env python3
"""End to end: components and dependencies that come from elsewhere, by URL and from a registry, and the cache in which they
stay. The servers are in this process, plain and TLS with a throw-away authority; what a server can do wrong below HTTP is in
tests/deploy/test_fetch.c.

    sources.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import glob
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

from app import HEAD, component, folder, trigger, write
from compose import wordy
from develop import imports, mayfly
from network import Names, Peer
from outbound import Authority, Request, secure
from run import Server, ask, check, command, expect, guest, main, needs
from variables import environment
from workers import until


def content(name):
    with open(guest(name), "rb") as file:
        return file.read()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def ok(body, *fields):
    return reply(200, body, *fields)


def reply(status, body=b"", *fields):
    head = "".join(f"{field}\r\n" for field in (f"Content-Length: {len(body)}", *fields))
    return f"HTTP/1.1 {status} Such\r\n{head}\r\n".encode() + body


class Files:
    """An HTTP server: what `table` has for a target is bytes to send, or a function of the request that gives them. With a
    TLS context it speaks that. `asked`: the targets, in their order."""

    def __init__(self, table, context=None):
        self.table = table
        self.asked = []
        self.peer = Peer(secure(context, self.serve) if context else self.serve)
        self.place = f"{'https' if context else 'http'}://localhost:{self.peer.port}"
        self.host = f"localhost:{self.peer.port}"

    def serve(self, connection):
        request = Request(connection)
        target = request.line.split(" ")[1]
        self.asked.append(target)
        found = self.table.get(target, reply(404))
        connection.sendall(found(request) if callable(found) else found)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.__exit__()


@contextlib.contextmanager
def cache():
    """An empty one, also for what is compiled."""
    with tempfile.TemporaryDirectory() as top, environment(XDG_CACHE_HOME=top):
        yield f"{top}/mayfly"


@contextlib.contextmanager
def authority():
    """One that is trusted, with a certificate for localhost."""
    needs("openssl", "version")
    with tempfile.TemporaryDirectory() as top:
        it = Authority(top)
        with environment(SSL_CERT_FILE=it.file):
            yield it.context("good", "DNS:localhost,IP:127.0.0.1")


def source(url, wanted):
    return f'{{ url = "{url}", digest = "{wanted}" }}'


def one(source):
    return HEAD + trigger("/...", "one") + f'[component.one]\nsource = {source}\nenvironment = {{ A = "1" }}\n'


def refused(top, pattern, *options):
    done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", *options, top], capture_output=True, text=True, timeout=120)
    check(done.returncode in (1, 2) and re.search(pattern, done.stderr), f"{pattern!r} is said, not {done.stderr!r}")
    check(done.stderr.count("\n") > 1, f"and what to do: {done.stderr!r}")


def kept(place):
    return sorted(os.path.basename(path) for path in glob.glob(f"{place}/*.wasm"))


def case_url():
    """A component from a URL is fetched once; the next start asks nobody. What is in the cache is looked at again."""
    data = content("given")
    name = digest(data)[7:] + ".wasm"
    with cache() as place, Files({"/given.wasm?key=secret": ok(data)}) as files, \
            folder(one(source(f"{files.place}/given.wasm?key=secret", digest(data)))) as top:
        for again in range(2):
            with Server(top) as server:
                expect(ask(server.port, "/"), 200, b"variable A=1\n")
                check("secret" not in server.log(), "what is behind '?' is not logged")
                check((f"fetching {files.place}/given.wasm" in server.log()) == (again == 0), "the log says what is fetched")
            check(files.asked == ["/given.wasm?key=secret"], f"once: {files.asked}")
        check(kept(place) == [name] and os.stat(f"{place}/{name}").st_mode & 0o777 == 0o400, "it is kept by its digest")
        for damaged in (data[:-1], data + b"x", b""):
            os.chmod(f"{place}/{name}", 0o600)
            with open(f"{place}/{name}", "wb") as file:
                file.write(damaged)
            with Server(top) as server:
                expect(ask(server.port, "/"), 200, b"variable A=1\n")
                check("is damaged, and is fetched again" in server.log(), "that is noticed")
        check(len(files.asked) == 4, "and fetched again")
        os.chmod(f"{place}/{name}", 0o622)
        with Server(top) as server:
            expect(ask(server.port, "/"), 200)
        check(len(files.asked) == 5, "what others could have written is not believed")
    with cache():
        refused(top_of(files, data), r"spin\.toml:8: cannot fetch http://localhost:\d+/given\.wasm: it refuses connections\n.*reaches it")


KEPT_FOLDERS = []


def top_of(files, data):
    """A folder whose manifest names what is at a server that is gone."""
    top = tempfile.TemporaryDirectory()
    KEPT_FOLDERS.append(top)
    write(top.name, one(source(f"{files.place}/given.wasm?key=secret", digest(data))))
    return top.name


def case_url_refused():
    """What cannot be fetched, or is not what it should be, is said with its line before anything is served."""
    data, other = content("given"), content("greedy")
    table = {"/wrong": ok(other), "/zip": ok(data, "Content-Encoding: gzip"), "/short": ok(data)[:-1],
             "/file": reply(302, b"", "Location: file:///etc/passwd"), "/ftp": reply(302, b"", "Location: ftp://localhost/a"),
             "/loop": reply(307, b"", "Location: loop"), "/private": reply(403), "/empty": ok(b"")}
    rows = {"/gone": r"spin\.toml:8: cannot fetch .*/gone: it is not there \(the server answers 404\)",
            "/wrong": rf"spin\.toml:8: .*/wrong has the digest {digest(other)}, not {digest(data)}\nit is not used",
            "/zip": r"spin\.toml:8: .*/zip comes in the coding gzip, which nobody asked for",
            "/short": rf"spin\.toml:8: cannot fetch .*/short: its answer broke off behind {len(data) - 1} bytes",
            "/file": r'spin\.toml:8: .*/file leads to "file:///etc/passwd", which is no place',
            "/ftp": r'leads to "ftp://localhost/a"', "/loop": r"/loop leads on and on, more than 10 times",
            "/private": r"the server answers 403\nonly what everybody may have",
            "/empty": rf"/empty has the digest {digest(b'')}, not"}
    with cache() as place, Files(table) as files, folder("") as top:
        for path, said in rows.items():
            write(top, one(source(files.place + path, digest(data))))
            refused(top, said)
        check(len([path for path in files.asked if path == "/loop"]) == 11, "ten times, and the first")
        write(top, one(source("http://name.test/a", digest(data))))
        names = Names({})
        refused(top, r"spin\.toml:8: cannot fetch http://name\.test/a: its name leads nowhere", "--dns", names.address)
        check(names.asked, "the server of --dns was asked")
        check(kept(place) == [], "nothing of that is kept")
        write(top, one(source(files.place + "/wrong", digest(other))))
        with Server(top, "--timeout", "100ms") as server:
            expect(ask(server.port, "/wait"), 504)
        with environment(XDG_CACHE_HOME="relative", HOME=""):
            refused(top, r"spin\.toml:8: neither XDG_CACHE_HOME nor HOME names a folder.*\n.*--cache-dir")


def case_url_leads():
    """A server may lead to others, by any form of link, and not from https to http."""
    data = content("given")
    with authority() as context, cache(), Files({"/last": ok(data)}, context) as last, Files({}) as first, folder("") as top:
        first.table = {"/a/b/first": reply(301, b"", "Location: ../second?x"), "/a/second?x": reply(302, b"", "Location: ?third"),
                       "/a/second?third": reply(303, b"", f"Location: //{first.host}/fourth#there"),
                       "/fourth": reply(308, b"", f"Location: {last.place}/last")}
        write(top, one(source(f"{first.place}/a/b/first", digest(data))))
        with Server(top) as server:
            expect(ask(server.port, "/"), 200, b"variable A=1\n")
        check(first.asked == ["/a/b/first", "/a/second?x", "/a/second?third", "/fourth"] and last.asked == ["/last"],
              f"each is asked: {first.asked} {last.asked}")
        last.table["/down"] = reply(302, b"", f"Location: {first.place}/fourth")
        write(top, one(source(f"{last.place}/down", digest(b"unknown"))))
        refused(top, r"spin\.toml:8: .*/down leads from https to http\n")


def case_url_secure():
    """Certificates are checked."""
    data = content("given")
    with authority() as context, folder("") as top, cache():
        with Files({"/given": ok(data)}, context) as files:
            write(top, one(source(f"{files.place}/given", digest(data))))
            with environment(SSL_CERT_FILE="/dev/null"):
                refused(top, r"spin\.toml:8: cannot fetch https://localhost:\d+/given: its certificate is not one that is trusted here")
            with Server(top) as server:
                expect(ask(server.port, "/"), 200, b"variable A=1\n")


def case_url_reload():
    """SIGHUP fetches what a changed manifest names, or the cache has lost; what cannot be fetched changes nothing."""
    first, second = content("given"), content("echo")
    with cache() as place, Files({"/one": ok(first), "/two": ok(second)}) as files, \
            folder(one(source(files.place + "/one", digest(first)))) as top, Server(top) as server:
        def reload(said):
            before = len(re.findall(said, server.log(), re.M))
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_log(rf"(?s)(?:{said}.*){{{before + 1}}}", 60), f"{said}: {server.log()[-600:]}")
        expect(ask(server.port, "/"), 200, b"variable A=1\n")
        write(top, one(source(files.place + "/none", digest(second))))
        reload("not reloaded: what was there before goes on")
        expect(ask(server.port, "/"), 200, b"variable A=1\n")
        write(top, one(source(files.place + "/two", digest(second))))
        reload(r" reloaded\n")
        expect(ask(server.port, "/", method="POST", body=b"said"), 200, b"said")
        for path in glob.glob(f"{place}/*.wasm"):
            os.unlink(path)
        reload(r" reloaded\n")
        expect(ask(server.port, "/", method="POST", body=b"said"), 200, b"said")
        check(files.asked == ["/one", "/none", "/two", "/two"], f"who was asked: {files.asked}")


def case_parts_url():
    """Dependencies come from URLs, and from components that do; two that are the same file are fetched once."""
    words, name = content("words"), '"test:words"'
    with cache(), Files({"/words": ok(words)}) as files, folder("") as top:
        there = f'url = "{files.place}/words", digest = "{digest(words)}"'
        forms = (f'{name} = {{ {there} }}\ngreet = {{ {there}, export = "hello" }}\n',
                 f'{name} = {{ component = "words" }}\ngreet = {{ component = "words", export = "hello" }}\n[component.words]\nsource = {{ {there} }}\n')
        for form in forms:
            write(top, wordy("", form))
            with Server(top) as server:
                expect(ask(server.port, "/count?one+three+two"), 200, b"3 three")
                expect(ask(server.port, "/greet?you"), 200, b"hello, you")
        check(files.asked == ["/words"], f"once: {files.asked}")
        write(top, wordy("", forms[0].replace(digest(words), digest(b"other"))))
        refused(top, rf"spin\.toml:\d+: .*/words has the digest {digest(words)}, not {digest(b'other')}")
        write(top, wordy("", forms[0].replace('"hello"', '"bye"')))
        refused(top, r"spin\.toml:\d+: .* does not export bye, which should satisfy greet")


def case_built():
    """`mayfly build` describes dependencies that come from a URL or a registry, and what it fetched for that serves; what
    cannot be fetched is said, and the build goes on."""
    words = content("words")
    wanted = ["greet: func(name: string) -> string;", "test:words/count@1.2.3;", "test:words/probe@1.2.3;"]
    def build(top, manifest):
        write(top, manifest + '[component.wordy.build]\ncommand = "touch spin-dependencies.wit && mv spin-dependencies.wit seen"\n')
        return mayfly("build", folder=top)[1], sorted(imports(top))
    with authority() as context, cache(), folder("") as top:
        with Files({"/words": ok(words)}) as files:
            there = f'url = "{files.place}/words", digest = "{digest(words)}"'
            manifest = wordy("", f'"test:words" = {{ {there} }}\ngreet = {{ {there}, export = "hello" }}\n')
            for _ in range(2):
                said, found = build(top, manifest)
                check(found == wanted, f"of a URL: {found} {said!r}")
            with Server(top) as server:
                expect(ask(server.port, "/count?one+three+two"), 200, b"3 three")
            check(files.asked == ["/words"], f"once for all of them: {files.asked}")
        with Registry(context, {"test:words": {"1.2.0": b"old", "1.3.0": words}}) as registry:
            said, found = build(top, uses(registry, "1.2"))
            check(found == wanted, f"of a registry: {found} {said!r}")
        said, found = build(top, wordy("", f'"test:words" = {{ url = "{files.place}/gone", digest = "{digest(b"gone")}" }}\n'))
        check(found == [] and re.search(r"No spin-dependencies\.wit is written for wordy: spin\.toml:\d+: cannot fetch .*refuses connections", said), said)


def case_cache():
    """--cache-dir names another folder, for images too, which must be the user's alone."""
    data = content("given")
    with cache() as usual, Files({"/given": ok(data)}) as files, tempfile.TemporaryDirectory() as top, \
            folder(one(source(files.place + "/given", digest(data)))) as application:
        with Server(application, "--cache-dir", f"{top}/a/b") as server:
            expect(ask(server.port, "/"), 200, b"variable A=1\n")
            check(not os.path.exists(usual) and kept(f"{top}/a/b") == [digest(data)[7:] + ".wasm"], "it is there")
            until(lambda: glob.glob(f"{top}/a/b/*.image"), "and what was compiled")
        os.mkdir(f"{top}/open")
        os.chmod(f"{top}/open", 0o777)
        refused(application, r"what was fetched cannot be kept as .*/open/", "--cache-dir", f"{top}/open")
        refused(application, r"--cache-dir: a path that is empty or too long", "--cache-dir", "")


# ---- registries ----


class Registry(Files):
    """A small one, as OCI distribution describes it: packages under a prefix, tokens, blobs at another place."""

    def __init__(self, context, packages, token=None, elsewhere=None):
        super().__init__({}, context)
        self.token = token
        self.elsewhere = elsewhere
        self.manifest_extra = {}
        self.table["/.well-known/wasm-pkg/registry.json"] = ok(json.dumps(
            {"preferredProtocol": "oci", "oci": {"registry": self.host, "namespacePrefix": "the/prefix/"}}).encode())
        for name, versions in packages.items():
            base = f"/v2/the/prefix/{name.replace(':', '/')}"
            self.table[f"{base}/tags/list"] = self.known(ok(json.dumps({"name": name, "tags": [*versions, "latest", "sha256-0.sig"]}).encode()))
            for version, data in versions.items():
                self.add(base, version, data)
        self.table[f"/token?scope=repository%3Athe/prefix/test/words%3Apull&service=it%20self"] = ok(json.dumps({"token": token}).encode())

    def add(self, base, version, data):
        layers = [{"mediaType": "application/wasm", "digest": digest(data), "size": len(data)}, {"mediaType": "text/plain", "digest": digest(b"more"), "size": 4}]
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": {"mediaType": "application/vnd.wasm.config.v0+json", "digest": digest(b"{}"), "size": 2}, "layers": layers}
        self.table[f"{base}/manifests/{version}"] = self.known(ok(json.dumps(manifest).encode()))
        blob = ok(data)
        if self.elsewhere:
            self.elsewhere.table[f"/{digest(data)}"] = self.stranger(blob)
            blob = reply(307, b"", f"Location: {self.elsewhere.place}/{digest(data)}")
        self.table[f"{base}/blobs/{digest(data)}"] = self.known(blob)

    def known(self, answer):
        def give(request):
            if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
                return reply(401, b"", f'WWW-Authenticate: Bearer realm="{self.place}/token",service="it self",scope="ignored"')
            return answer
        return give

    @staticmethod
    def stranger(answer):
        return lambda request: reply(400) if "authorization" in request.headers else answer


def package(registry, version, **more):
    keys = {"registry": registry.host, "package": "test:words", "version": version, **more}
    return "{ " + ", ".join(f'{key} = "{value}"' for key, value in keys.items()) + " }"


def uses(registry, requirement):
    return wordy("", f'"test:words" = {package(registry, requirement)}\ngreet = {package(registry, requirement, export="hello")}\n')


def case_registry():
    """A package is found by its registry's own description, with a token if it wants one; the newest version is taken; the
    next start of a version asks nobody, that of a requirement does without the registry if it must."""
    words, given = content("words"), content("given")
    versions = {"1.2.0": b"old", "1.3.0": words, "1.3.1-rc.1": b"candidate", "2.0.0": b"new"}
    with authority() as context, cache(), Files({}, context) as elsewhere, folder("") as top:
        with Registry(context, {"test:words": versions}, "t0ken/+", elsewhere) as registry:
            write(top, uses(registry, "1.2"))
            with Server(top) as server:
                expect(ask(server.port, "/count?one+three+two"), 200, b"3 three")
                expect(ask(server.port, "/greet?you"), 200, b"hello, you")
                check("t0ken" not in server.log(), "the token is not logged")
            check(elsewhere.asked == [f"/{digest(words)}"], f"the file is fetched once: {elsewhere.asked}")
            registry.add("/v2/the/prefix/test/words", "3.0.0", given)
            exact = one(package(registry, "3.0.0"))
            write(top, exact)
            with Server(top) as server:
                expect(ask(server.port, "/"), 200, b"variable A=1\n")
            count = len(registry.asked)
            with Server(top) as server:
                expect(ask(server.port, "/"), 200, b"variable A=1\n")
            check(len(registry.asked) == count, "a version is not asked for twice")
        with Server(top) as server:
            expect(ask(server.port, "/"), 200, b"variable A=1\n")
        write(top, uses(registry, "1.2"))
        with Server(top) as server:
            expect(ask(server.port, "/count?one+three+two"), 200, b"3 three")
            check(re.search(r"test:words@1\.2: what was found last time is used, because: cannot fetch", server.log()), "the log says so")
        write(top, uses(registry, "1"))
        refused(top, r"spin\.toml:\d+: cannot fetch https://localhost:\d+/\.well-known/wasm-pkg/registry\.json: it refuses connections")


def case_registry_refused():
    """What a registry does not have, hides or gets wrong is said with the line that names it."""
    words = content("words")
    with authority() as context, cache() as place, folder("") as top, Registry(context, {"test:words": {"1.0.0": words}}) as registry:
        base = "/v2/the/prefix/test/words"
        manifest = registry.table[f"{base}/manifests/1.0.0"]

        def says(requirement, said, **changed):
            before = dict(registry.table)
            registry.table.update({key.replace("BASE", base): value for key, value in changed.items()})
            write(top, uses(registry, requirement))
            refused(top, said)
            registry.table = before

        says("2", r"spin\.toml:\d+: localhost:\d+ has no version of test:words that is 2\n")
        says("1", r"cannot fetch .*/tags/list: it is not there", **{"BASE/tags/list": reply(404)})
        says("1", r"its list of versions is no JSON", **{"BASE/tags/list": ok(b"<html>")})
        says("1", r"its manifest has no component as its first layer", **{"BASE/manifests/1.0.0": ok(b'{"layers":[]}')})
        says("1", r"its manifest has no component", **{"BASE/manifests/1.0.0": ok(b'{"layers":[{"digest":"sha512:00"},{"digest":"%s"}]}' % digest(words).encode())})
        says("1", r"gives test:words only to those it knows", **{"BASE/tags/list": reply(401, b"", 'WWW-Authenticate: Basic realm="x"')})
        says("1", r"gives test:words only to those it knows", **{"BASE/tags/list": reply(401, b"", 'WWW-Authenticate: Bearer realm="http://localhost/",service="x"')})
        says("1", r"there is no token in its answer", **{
            "BASE/tags/list": reply(401, b"", f'WWW-Authenticate: Bearer realm="{registry.place}/other",service="x"'),
            "/other?scope=repository%3Athe/prefix/test/words%3Apull&service=x": ok(b'{"token":"a\\nb"}')})
        says("1", r"the server answers 500\ntry again later", **{"BASE/manifests/1.0.0": reply(500)})
        says("1", r"speaks \"warg\", and mayfly only \"oci\"", **{"/.well-known/wasm-pkg/registry.json": ok(b'{"preferredProtocol":"warg","warg":{"url":"x"}}')})
        says("1", r"has not its form", **{"/.well-known/wasm-pkg/registry.json": ok(b'{"oci":{"registry":"a/../b"}}')})
        says("1", r"has not its form", **{"/.well-known/wasm-pkg/registry.json": ok(b'{"oci":{"namespacePrefix":"a/../b"}}')})
        says("1", r"goes on elsewhere", **{"BASE/tags/list": ok(b'{"tags":[]}', 'Link: <https://elsewhere.test/list>; rel="next"')})
        says("1", rf"test:words@1 has the digest {digest(b'bad')}, not {digest(words)}", **{f"BASE/blobs/{digest(words)}": ok(b"bad")})
        check(kept(place) == [], "nothing of that is kept")
        write(top, wordy("", '"test:words" = "1.2"\n'))
        refused(top, r'spin\.toml:\d+: package test:words is of no registry\nwrite which')
        registry.table[f"{base}/tags/list"] = ok(b'{"tags":["0.1.0"]}', f'Link: <{base}/tags/list?last=0.1.0>; rel="next"')
        registry.table[f"{base}/tags/list?last=0.1.0"] = ok(b'{"tags":["1.0.0"]}')
        registry.table["/.well-known/wasm-pkg/registry.json"] = ok(b'{"ociRegistry":"%s","ociNamespacePrefix":"the/prefix/"}' % registry.host.encode())
        write(top, uses(registry, "1"))
        with Server(top) as server:
            expect(ask(server.port, "/count?one+three+two"), 200, b"3 three")
        check(manifest is registry.table[f"{base}/manifests/1.0.0"], "as it was")


CASES = {name[5:]: run_it for name, run_it in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
