"""The JavaScript SDK's own packages, as a registry of npm on this machine: each version that the applications here ask for is built
from its sources at its commit, when it is asked for first, and kept in the cache folder. So an application meets the SDK of the
commit that is named, and its sources stay as they are: npm's configuration says where the packages of a scope are.

All else comes from the registry that npm has anyway. The locks of the examples are left out, because they have the digests of what
was once published; npm takes what there was at the day of the commit instead.
"""
import contextlib
import http.server
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import urllib.parse

from example import NotTried

SDK = "spin-js-sdk"
SCOPE = "@spinframework/"
FIRST = "9b17366f811335f89c48df68415069ece0e3e121"     # where all packages are 1.0.0
SEVENTH = "83fea400fe1b7d97eedcc4ad41e0d4ee4372c506"
LAST = "9272098b157705e9746567b79af325c71cebedd4"
DAY = "2026-06-30"          # of LAST


def versions(last, **more):
    return {"1.0.0": FIRST, **more, last: LAST}


PACKAGES = {
    "build-tools": versions("2.1.0", **{"1.0.7": SEVENTH}),
    "wasi-http-proxy": versions("2.0.0"),
    "spin-postgres": versions("2.0.0"),
    **{name: versions("1.0.1") for name in ("spin-kv", "spin-llm", "spin-mqtt", "spin-mysql", "spin-redis", "spin-sqlite",
                                           "spin-trigger-redis", "spin-variables")},
}
# A tool that the examples name and no build of theirs calls: where a registry lacks its version, another one does.
SPARE = ("@fermyon/knitwit", "0.3.0", "0.3.1")


def run(*command, cwd=None, **environment):
    """What it printed. NotTried with the end of it, where it fails."""
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace")
    if done.returncode != 0:
        raise NotTried(f"{' '.join(command)}: {(done.stderr + done.stdout).strip()[-2000:]}")
    return done.stdout


class Registry:
    """Answers npm at `port`, for as long as this process lives."""

    def __init__(self, cache, sdk):
        self.cache, self.sdk, self.lock, self.failed = os.path.join(cache, "npm-packages"), sdk, threading.Lock(), {}
        os.makedirs(self.cache, exist_ok=True)
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, kind, body = registry.answer(urllib.parse.unquote(self.path.lstrip("/")))
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.scopes = [SCOPE.rstrip("/")]
        self.spare = self.find_spare()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def find_spare(self):
        """The manifest of the other version, or None where nobody needs it."""
        name, wanted, other = SPARE
        known = json.loads(run("npm", "view", name, "versions", "--json"))
        if wanted in known:
            return None
        self.scopes.append(name.split("/")[0])
        found = json.loads(run("npm", "view", f"{name}@{other}", "--json"))
        return {key: found[key] for key in ("name", "bin", "dependencies", "dist") if key in found}

    def answer(self, path):
        """Status, type and bytes for a path: @SCOPE/NAME or tarball/NAME/VERSION."""
        try:
            if self.spare and path == SPARE[0]:
                return self.document(path, {SPARE[1]: {**self.spare, "version": SPARE[1]}})
            if path.startswith(SCOPE) and path[len(SCOPE):] in PACKAGES:
                name = path[len(SCOPE):]
                return self.document(path, {version: self.manifest(name, version) for version in PACKAGES[name]})
            match = re.fullmatch(r"tarball/([a-z-]+)/([0-9.]+)", path)
            if match and match.group(2) in PACKAGES.get(match.group(1), ()):
                with open(self.package(*match.groups()), "rb") as file:
                    return 200, "application/octet-stream", file.read()
            return 404, "application/json", b"{}"
        except NotTried as why:
            self.failed[path] = str(why)
            return 410, "text/plain", str(why).encode()    # npm asks for what is gone only once

    def document(self, name, found):
        last = max(found, key=lambda version: [int(part) for part in version.split(".")])
        text = json.dumps({"name": name, "dist-tags": {"latest": last}, "versions": found})
        return 200, "application/json", text.encode()

    def folder(self, name, commit):
        """Where the package's sources are at that commit."""
        for found in (f"packages/{name}", "packages/http-trigger" if name == "wasi-http-proxy" else ""):
            if found and subprocess.run(["git", "-C", self.sdk, "cat-file", "-e", f"{commit}:{found}/package.json"],
                                        capture_output=True).returncode == 0:
                return found
        raise NotTried(f"{SDK} at {commit} has no package {name}")

    def manifest(self, name, version):
        commit = PACKAGES[name][version]
        text = run("git", "-C", self.sdk, "show", f"{commit}:{self.folder(name, commit)}/package.json")
        found = json.loads(text)
        if found["version"] != version or found["name"] != SCOPE + name:
            raise NotTried(f"{SDK} at {commit} has {found['name']} {found['version']}, not {SCOPE}{name} {version}")
        return {**found, "dist": {"tarball": f"http://127.0.0.1:{self.port}/tarball/{name}/{version}"}}

    def package(self, name, version):
        """The file of a package, which is built if it is not there."""
        commit = PACKAGES[name][version]
        made = os.path.join(self.cache, f"{name}-{version}-{commit[:12]}.tgz")
        with self.lock:
            if os.path.exists(made):
                return made
            folder = self.folder(name, commit)
            with tempfile.TemporaryDirectory() as top:
                archive = subprocess.run(["git", "-C", self.sdk, "archive", commit, folder], stdout=subprocess.PIPE)
                subprocess.run(["tar", "-x", "-C", top], input=archive.stdout, check=True)
                where = os.path.join(top, folder)
                run("npm", "install", "--legacy-peer-deps", "--no-audit", "--no-fund", cwd=where)
                run("npm", "run", "build", cwd=where, CARGO_TARGET_DIR=os.path.join(where, "target"),
                    CARGO_PROFILE_RELEASE_OPT_LEVEL="1")    # what merges a few texts need not be fast
                packed = json.loads(run("npm", "pack", "--json", "--ignore-scripts", cwd=where))[0]["filename"]
                shutil.copyfile(os.path.join(where, packed), made + ".new")
                os.rename(made + ".new", made)
        return made


def settings(cache, registry):
    """Environment with which npm asks this registry for the scopes of it, in addition to what it is told by its files."""
    rest = run("npm", "config", "get", "globalconfig").strip()
    made = os.path.join(cache, "npmrc")
    with open(made, "w") as file:
        if os.path.exists(rest):
            with open(rest) as given:
                file.write(given.read() + "\n")
        for scope in registry.scopes:
            file.write(f"{scope}:registry=http://127.0.0.1:{registry.port}/\n")
    return {"npm_config_globalconfig": made, "npm_config_package_lock": "false", "npm_config_before": DAY, "npm_config_audit": "false",
            "npm_config_fund": "false", "npm_config_fetch_timeout": "3600000", "npm_config_cache": os.path.join(cache, "npm-cache")}


_registry = None


@contextlib.contextmanager
def sdk(folder, cache, repository):
    """For `provide` of a row: the environment of its build."""
    global _registry
    _registry = _registry or Registry(cache, repository(SDK))
    _registry.failed.clear()
    try:
        yield settings(cache, _registry)
    finally:
        if _registry.failed:
            raise NotTried("a package of the SDK is not to be had: " + "; ".join(_registry.failed.values()))
