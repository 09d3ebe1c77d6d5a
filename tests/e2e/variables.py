#!/usr/bin/env python3
"""End to end: variables of applications, from where their values come, the runtime configuration file, and what `mayfly
up` does before it serves (guest variables.c).

    variables.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

import run
from app import HEAD, component, folder, trigger
from network import Peer
from outbound import HELLO, Authority, Request, answers, secure
from run import Server, ask, check, command, expect, free_port, guest, main
from workers import until

SECRET = "s3cr3t-of-the-test"
TOKEN = "t0k3n-of-the-test"


@contextlib.contextmanager
def environment(**values):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def place(top, name, text):
    path = os.path.join(top, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def variables(**defaults):
    """Declared, and handed on to the component `one` under the same names."""
    declared = "".join(f"{name} = {{ {'required = true' if value is None else f'default = {json.dumps(value)}'} }}\n"
                       for name, value in defaults.items())
    own = "".join(f'{name} = "{{{{ {name} }}}}"\n' for name in defaults)
    return HEAD + "[variables]\n" + declared + trigger("/...", "one") + \
        component("one", guest("variables"), "[component.one.variables]\n" + own)


def found(server, path="/"):
    return dict(line.split("=", 1) for line in ask(server.port, path)[2].decode().splitlines())


def refused(top, pattern, *options):
    """Nothing is served, and what is said has no secret in it."""
    done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", *options, top], capture_output=True, text=True,
                          timeout=120)
    check(done.returncode in (1, 2) and re.search(pattern, done.stderr), f"{pattern!r} is said, not {done.stderr!r}")
    check(SECRET not in done.stderr + done.stdout and TOKEN not in done.stderr + done.stdout, f"no secret: {done.stderr!r}")


def case_variables_read():
    """A component finds its own variables, with those of the application in place, by all three interfaces."""
    manifest = HEAD + '[variables]\nhost = { default = "example.com" }\nkey = { default = "k{{", secret = true }\nempty = { default = "" }\n' + \
        trigger("/...", "one") + trigger("/two/...", "two") + trigger("/none/...", "none") + \
        component("one", guest("variables"), '[component.one.variables]\nurl = "https://{{ host }}:{{host}}/{{ empty }}"\n'
                  'plain = "grüße"\nkey = "<{{ key }}>"\n') + \
        component("two", guest("variables"), '[component.two.variables]\nmine = "2"\n') + component("none", guest("variables"))
    with folder(manifest) as top, Server(top) as server:
        port = server.port
        for path in ("/v2/", "/old/", "/config/"):
            expect(ask(port, path + "url"), 200, b"https://example.com:example.com/")
            expect(ask(port, path + "plain"), 200, "grüße".encode())
            expect(ask(port, path + "key"), 200, b"<k{{>")
        for name in ("host", "mine", "absent"):
            expect(ask(port, f"/v2/{name}"), 500, f'undefined: "{name}" is not among the variables of this component'.encode())
            expect(ask(port, f"/old/{name}"), 500, f'provider: "{name}" is not among the variables of this component'.encode())
            expect(ask(port, f"/config/{name}"), 404)
        for name in ("", "Url", "4a", "a-b", "a__b", "a_", "_a", "a" * 70 + "!"):
            status, _, body = ask(port, f"/v2/{name}")
            check(status == 500 and body.startswith(f'invalid-name: "{name[:64]}"'.encode()), f"{name}: {status} {body!r}")
            check(ask(port, f"/old/{name}")[2].startswith(b"invalid-key: "), f"{name} is no key")
            expect(ask(port, f"/config/{name}"), 404)
        check(found(server) == {"url": "https://example.com:example.com/", "plain": "grüße", "key": "<k{{>"}, "all of one")
        check(found(server, "/two/") == {"mine": "2"}, "all of two")
        check(found(server, "/none/") == {}, "none has none")


def case_variables_sources():
    """Which source goes before which, and every form of the command line."""
    names = "abcdefgh"
    manifest = variables(**{name: "default" for name in names})
    with folder(manifest) as top, environment(SPIN_VARIABLE_A="environment", SPIN_VARIABLE_B="environment",
                                              SPIN_VARIABLE_C="environment", SPIN_VARIABLE_D="environment", APP_C="app"):
        place(top, ".env", "# values\nSPIN_VARIABLE_D=dotenv\nexport SPIN_VARIABLE_E='as $it \\n is' # behind it\n"
              'SPIN_VARIABLE_F="two\\n\\"lines\\"\nand more"\nPROMPT=$\nMAYFLYHOST=x\nSPIN_VARIABLE_H=<$MAYFLYHOST>\n')
        other = place(top, "app.env", "APP_G='app file'")
        config = place(top, "runtime.toml", '[[variables_provider]]\ntype = "static"\nvalues = { a = "static", b = "static", unknown = "x" }\n'
                       f'[[variables_provider]]\ntype = "env"\nprefix = "APP"\ndotenv_path = "{other}"\n')
        with Server(top) as server:
            expect(ask(server.port, "/v2/a"), 200, b"environment")
            expect(ask(server.port, "/v2/d"), 200, b"environment")
            expect(ask(server.port, "/v2/e"), 200, b"as $it \\n is")
            expect(ask(server.port, "/v2/f"), 200, b'two\n"lines"\nand more')
            expect(ask(server.port, "/v2/g"), 200, b"default")
            expect(ask(server.port, "/v2/h"), 200, b"<x>")
        with Server(top, "--runtime-config-file", config, "--variable", "a=line=1", "--variable", "z_unknwn=1") as server:
            for name, value in zip("abcdgh", ("line=1", "static", "app", "environment", "app file", "<x>")):
                expect(ask(server.port, f"/v2/{name}"), 200, value.encode())
            check("no variable \"z_unknwn\"" in server.log(), "a name that nobody declared is told")
        raw = place(top, "value.txt", "text\nof a file\n")
        several = place(top, "more.json", '{"b": "json \\u00e4\\ud83d\\ude00", "c": "json"}')
        toml = place(top, "more.toml", 'c = "toml"\nd = """\na\nb"""\n')
        with Server(top, "--variable", "b=first", "--variable", f"a=@{raw}", "--variable", f"@{several}",
                    "--variable", f"@{toml}") as server:
            for name, value in zip("abcd", ("text\nof a file\n", "json ä😀", "toml", "a\nb")):
                expect(ask(server.port, f"/v2/{name}"), 200, value.encode())
    with Server(guest("variables"), "--variable", "a=1", "--variable", "b=") as server:
        check(found(server) == {"a": "1", "b": ""}, "a component without a manifest has those of the command line")


def case_variables_refused():
    """What cannot be is refused before anything is served, with its place and never with a value."""
    with folder(variables(a="1", needed=None)) as top:
        refused(top, r"spin\.toml:\d+: the variable needed has no value\n.*--variable needed=VALUE, or set SPIN_VARIABLE_NEEDED")
        with Server(top, "--variable", "needed=1") as server:
            expect(ask(server.port, "/v2/needed"), 200, b"1")
        for option, pattern in (("A=1", r"--variable: variable \"A\": .*letter"), ("a", "there is no value"),
                                ("@none.json", r"none\.json: cannot open it"), ("@x.yaml", r"ends in \.json or \.toml"),
                                (f"a=@{top}", "not a regular file")):
            refused(top, pattern, "--variable", option)
        for name, text, pattern in (("a.json", f'{{"a": "{SECRET}", "b": 1}}', "texts, and nothing else"),
                                    ("b.json", f'["{SECRET}"]', "texts, and nothing else"),
                                    ("c.json", f'{{"a": "{SECRET}"', "it is no JSON"),
                                    ("d.toml", f'a = "{SECRET}"\nb = 1\n', "line 2: .*texts, and nothing else"),
                                    ("e.toml", f'a = "{SECRET}\n', "line 1: this is no TOML")):
            refused(top, re.escape(name) + ": .*" + pattern, "--variable", "@" + place(top, name, text))
        for text, pattern in ((f"A={SECRET} x\n", r"\.env: line 1: something behind the value"),
                              (f"\n# c\nA=\"{SECRET}\n", r"\.env: line 3: a quote that does not end"),
                              (f"SPIN_VARIABLE_A={SECRET}$\n", r"\.env: line 1: a \$"), (f"A={SECRET}${{B\n", r"\.env: line 1: a \$\{"), (f"{SECRET}\n", r"\.env: line 1: no NAME=VALUE"),
                              (f"A=\"{SECRET}\\q\"\n", r"\.env: line 1: a \\ before")):
            place(top, ".env", text)
            refused(top, pattern, "--variable", "needed=1")
        os.remove(f"{top}/.env")
    manifest = variables(host="example.com").replace("[component.one.variables]",
                                                     'allowed_outbound_hosts = ["https://{{ host }}"]\n[component.one.variables]')
    with folder(manifest) as top:
        refused(top, r"spin\.toml:\d+: with its variables in place \"https://\{\{ host \}\}\" is no host", "--variable", f"host=a b {SECRET}")


def case_variables_configured():
    """The runtime configuration file: mistakes with their place, what mayfly does not have by its name."""
    with folder(variables(a="1")) as top:
        for text, pattern in (
                ('state_dr = "x"', r"runtime\.toml:1:1: unknown key \"state_dr\" in the runtime configuration\n.*state_dir"),
                ('\n[[variables_provider]]\ntype = "statik"\n', r"runtime\.toml:3:8: unknown type \"statik\".*\n.*did you mean \"static\""),
                ('[[variables_provider]]\nvalues = {}\n', 'lacks "type"'),
                ('[[variables_provider]]\ntype = "azure_key_vault"\n', r":2:8: mayfly does not have the type \"azure_key_vault\""),
                ('[[variables_provider]]\ntype = "vault"\nurl = "http://127.0.0.1"\n', 'lacks "token"'),
                (f'[[variables_provider]]\ntype = "vault"\ntoken = "{TOKEN}"\nmount = "s"\nurl = "http://me:{SECRET}@host"\n', r":5:7: a name or password"),
                (f'[[variables_provider]]\ntype = "static"\nvalues = {{ a = ["{SECRET}"] }}\n', r"must be a string, not a list"),
                ('[key_value_store.default]\ntype = "redis"\nurl = "redis://"\n', r":3: the key-value store default: the address has no host"),
                ('[key_value_store.default]\ntype = "spin"\n', r'key_value_store\.default lacks "path"'),
                ('[sqlite_database.default]\ntype = "libsql"\n', "the type \"libsql\""),
                ('[sqlite_database.default]\ntype = "spin"\npath = "x"\nallow_attach_file = true\n', "allow_attach_file"),
                ('[outbound_networking]\nblock_networks = ["10.0.0.0/33"]\n', r':2:19: "10\.0\.0\.0/33" is no network'),
                ('[outbound_networking]\nmax_total_connections = 5\n', 'does not have "max_total_connections"'),
                ('state_dir = ""', "keeps no stores in memory"),
                ('[llm_compute]\ntype = "spin"\n', 'does not have "llm_compute"'), ("a = [", "this is no TOML")):
            refused(top, pattern, "--runtime-config-file", place(top, "runtime.toml", text))
        refused(top, r"--runtime-config-file .*none\.toml: cannot open it", "--runtime-config-file", f"{top}/none.toml")
        config = place(top, "runtime.toml", '[[variables_provider]]\ntype = "env"\n')
        refused(guest("variables"), r"runtime\.toml:1: providers of variables are for applications", "--runtime-config-file", config)
        config = place(top, "runtime.toml", 'log_dir = ""\nmax_instance_memory = 1000\n')
        refused(top, "and 1000 are allowed", "--runtime-config-file", config)
        with Server(top, "--runtime-config-file", config, "--max-memory", "64M") as server:
            expect(ask(server.port, "/v2/a"), 200, b"1")


def case_variables_stores():
    """Where the runtime configuration puts stores and databases; what is put into them before anything is served."""
    manifest = HEAD + trigger("/...", "one") + component("one", guest("storage"), 'key_value_stores = ["default", "more"]\n'
                                                         'sqlite_databases = ["default", "other"]')
    with folder(manifest) as top:
        os.mkdir(f"{top}/config")
        config = place(top, "config/runtime.toml", f'state_dir = "{top}/state"\n[key_value_store.more]\ntype = "spin"\npath = "kept/more"\n'
                       f'[key_value_store.unused]\ntype = "spin"\npath = "unused"\n[sqlite_database.other]\ntype = "spin"\npath = "{top}/other"\n')
        script = place(top, "migration.sql", "-- tables\nCREATE TABLE t (a);\nCREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;\n"
                       "INSERT INTO t VALUES ('a;b');\nINSERT INTO t VALUES (2) -- the end\n")
        options = ("--runtime-config-file", config)
        with Server(top, *options, "--key-value", "k=v=1", "--key-value", "k2=", "--sqlite", f"@{script}:other",
                    "--sqlite", "CREATE TABLE d (n)", "--sqlite", "INSERT INTO d VALUES (1); INSERT INTO d VALUES (2)") as server:
            expect(ask(server.port, "/kv/default/get/k"), 200, b"v=1")
            expect(ask(server.port, "/kv/default/get/k2"), 200, b"")
            expect(ask(server.port, "/kv/more/set/x/1"), 200)
            expect(ask(server.port, "/sql/other/SELECT%20*%20FROM%20t"), 200, b"a\na;b\n2\n")
            expect(ask(server.port, "/sql/default/SELECT%20sum(n)%20AS%20s%20FROM%20d"), 200, b"s\n3\n")
        check(sorted(os.listdir(f"{top}/state")) == ["key-value", "sqlite"], "state_dir")
        check(os.listdir(f"{top}/state/key-value") == ["default"] and os.listdir(f"{top}/config/kept") == ["more"] and
              os.path.isdir(f"{top}/other") and not os.path.exists(f"{top}/config/unused"), "each lies where it should")
        with Server(top, *options, "--key-value", "k=new") as server:
            expect(ask(server.port, "/kv/default/get/k"), 200, b"new")
        refused(top, r"--sqlite: .*line 2: .*no such table: gone", *options, "--sqlite", "SELECT 1;\nSELECT * FROM gone")
        refused(top, r"--sqlite @.*none\.sql: cannot open it", *options, "--sqlite", f"@{top}/none.sql")
        refused(top, r"--sqlite: nothing that is served may open \"third\"", *options, "--sqlite", f"@{script}:third")
        refused(top, r"--key-value: there is no value", *options, "--key-value", "k")
        place(top, "other.file", "")
        refused(top, r"runtime\.toml:\d+: .*other\.file is a file, and mayfly keeps a folder there", "--runtime-config-file",
                place(top, "runtime.toml", f'[sqlite_database.other]\ntype = "spin"\npath = "{top}/other.file"\n'))
    with folder(HEAD + trigger("/...", "one") + component("one", guest("variables"))) as top:
        refused(top, r'nothing that is served may open "default".*key_value_stores = \["default"\]', "--key-value", "a=b")


def case_variables_blocked():
    """Networks that the runtime configuration blocks are out of reach, whatever the manifest grants."""
    with Peer(answers(HELLO)) as peer:
        url = f"http://127.0.0.1:{peer.port}/"
        manifest = HEAD + trigger("/...", "one") + \
            component("one", guest("client"), f'allowed_outbound_hosts = ["http://127.0.0.0/8:{peer.port}", "http://localhost:{peer.port}"]')
        with folder(manifest) as top:
            def reached(networks):
                config = place(top, "runtime.toml", f"[outbound_networking]\nblock_networks = {json.dumps(networks)}\n")
                with Server(top, "--runtime-config-file", config) as server:
                    answer = ask(server.port, f"/fetch?url={url}")[2]
                    named = ask(server.port, f"/fetch?url=http://localhost:{peer.port}/")[2]
                    check((b"hello" in answer) == (b"hello" in named), f"by name as by address: {answer!r} {named!r}")
                    if b"hello" not in answer:
                        check(server.wait_log(r"denied: a request to http://127\.0\.0\.1.*block_networks"), "the log says why")
                    return b"hello" in answer
            check(reached([]) and reached(["10.0.0.0/8", "::/1"]), "what is not blocked is reached")
            for networks in (["127.0.0.1"], ["127.9.9.9/8"], ["private"], ["192.0.2.0/24", "0.0.0.0/0"]):
                check(not reached(networks), f"{networks} is out of reach")


class Vault:
    """KV version 2 as its documentation has it: GET /v1/MOUNT/data/PATH with a token. `secrets`: what is at a path, or a
    status to answer with."""

    def __init__(self, secrets, context=None):
        self.secrets = secrets
        self.asked = []
        self.peer = Peer(secure(context, self.serve) if context else self.serve)
        self.port = self.peer.port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.__exit__()

    def answer(self, request):
        method, path, _ = request.line.split(" ")
        self.asked.append(path)
        if request.headers.get("x-vault-token") != TOKEN or method != "GET":
            return 403, b'{"errors":["permission denied"]}'
        data = self.secrets.get(path)
        if data is None:
            return 404, b'{"errors":[]}'
        if isinstance(data, int):
            return data, b'{"errors":["as was asked"]}'
        if isinstance(data, bytes):
            return 200, data
        return 200, json.dumps({"request_id": "0", "lease_id": "", "renewable": False, "lease_duration": 0, "wrap_info": None,
                                "data": {"data": data, "metadata": {"created_time": "2026-01-01T00:00:00Z", "custom_metadata": None,
                                                                    "deletion_time": "", "destroyed": False, "version": 1}},
                                "warnings": None, "auth": None}).encode()

    def serve(self, connection):
        with contextlib.suppress(run.Failure):
            while True:
                status, body = self.answer(Request(connection))
                connection.sendall(b"HTTP/1.1 %d Status\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" %
                                   (status, len(body)) + body)

    def config(self, top, more="", scheme="http", host="127.0.0.1", token=TOKEN):
        return place(top, "runtime.toml", f'[[variables_provider]]\ntype = "vault"\nurl = "{scheme}://{host}:{self.port}"\n'
                     f'token = "{token}"\nmount = "secret"\n{more}')


def case_variables_vault():
    """Secrets of a Vault: what it has goes before other sources behind it, what it lacks is asked of them."""
    value = SECRET + '"ä\n' + "x" * 5000
    with folder(variables(a="1", b=None, c="3")) as top:
        with Vault({"/v1/secret/data/a": {"value": value}, "/v1/secret/data/b": {"value": ""}}) as vault:
            with Server(top, "--runtime-config-file", vault.config(top), "--variable", "c=line") as server:
                expect(ask(server.port, "/v2/a"), 200, value.encode())
                expect(ask(server.port, "/v2/b"), 200, b"")
                expect(ask(server.port, "/v2/c"), 200, b"line")
                check(SECRET not in server.log() and TOKEN not in server.log(), "no secret is logged")
            check(vault.asked == ["/v1/secret/data/a", "/v1/secret/data/b"], f"what has a value is not asked for: {vault.asked}")
            check(vault.peer.accepted == 1, "one connection serves all")
        with Vault({"/v1/secret/data/app/one/b": {"value": "deep"}}) as vault, environment(SPIN_VARIABLE_A="outer"):
            with Server(top, "--runtime-config-file", vault.config(top, 'prefix = "app/one"\n'), "--env", "X") as server:
                check([ask(server.port, f"/v2/{name}")[2] for name in "abc"] == [b"outer", b"deep", b"3"], "the others have what it lacks")
            refused(top, r"runtime\.toml:1: Vault answers 403 .*\n.*secret/data", "--runtime-config-file", vault.config(top, token="other"))
            refused(top, r"the variable b has no value", "--runtime-config-file", vault.config(top))
        for data, pattern in ((503, r"Vault answers 503.*\"a\""), (307, r"Vault answers 307"), ({"other": "x"}, 'no text "value"'),
                              ({"value": 5}, 'no text "value"'), (b"<html>" + SECRET.encode(), "is no JSON"),
                              ({"value": "x" * 70000}, "more than 65536 bytes"), (b"[" + b" " * 1100000 + b"]", "more than 1048576 bytes")):
            with Vault({"/v1/secret/data/a": data}) as vault:
                refused(top, r"runtime\.toml:1: .*" + pattern, "--runtime-config-file", vault.config(top))
        refused(top, "it refuses connections", "--runtime-config-file", vault.config(top))
        with Peer(lambda connection: connection.recv(10)) as peer:
            vault.port = peer.port
            refused(top, "the connection broke", "--runtime-config-file", vault.config(top))
        vault.config(top)
        refused(top, r"runtime\.toml:1: the url of Vault", "--runtime-config-file", vault.config(top, host="a_b:c"))


def case_variables_vault_tls():
    """The certificate of a Vault is checked."""
    run.needs("openssl", "version")
    with tempfile.TemporaryDirectory() as keys, folder(variables(a="1")) as top:
        authority = Authority(keys)
        context = authority.context("good", "DNS:localhost,IP:127.0.0.1")
        with Vault({"/v1/secret/data/a": {"value": "safe"}}, context) as vault:
            with environment(SSL_CERT_FILE=authority.file):
                for host in ("localhost", "127.0.0.1"):
                    with Server(top, "--runtime-config-file", vault.config(top, scheme="https", host=host)) as server:
                        expect(ask(server.port, "/v2/a"), 200, b"safe")
            refused(top, "its certificate is not one that is trusted", "--runtime-config-file", vault.config(top, scheme="https"))


def case_variables_secret():
    """Nothing that a server tells of itself has a value in it."""
    with folder(variables(a="1")) as top:
        admin = free_port()
        with Server(top, "--variable", "a=@" + place(top, "value", SECRET), "--admin", f"127.0.0.1:{admin}", "--log-level", "debug",
                    "--access-log", f"{top}/access") as server:
            expect(ask(server.port, "/v2/a"), 200, SECRET.encode())
            expect(ask(server.port, "/v2/b"), 500)
            for path in ("/status", "/metrics", "/healthz"):
                check(SECRET.encode() not in ask(admin, path)[2], f"{path} keeps it")
            for pid in server.workers():
                for name in ("cmdline", "environ"):
                    with open(f"/proc/{pid}/{name}", "rb") as file:
                        check(SECRET.encode() not in file.read(), f"{name} of {pid} keeps it")
        with open(f"{top}/access") as file:
            check(SECRET not in file.read() and SECRET not in server.log(), "the logs keep it")


def case_variables_logs():
    """What components print goes to files of their own beside the log, whole lines of all workers."""
    manifest = HEAD + trigger("/...", "one") + trigger("/two", "two") + component("one", guest("frozen")) + component("two", guest("frozen"))
    with folder(manifest) as top:
        config = place(top, "runtime.toml", f'log_dir = "{top}/a/logs"\n')
        with Server(top, "--runtime-config-file", config, "--workers", "2") as server:
            for _ in range(20):
                expect(ask(server.port, "/"), 200)
            expect(ask(server.port, "/two"), 200)
            check(server.wait_log(r"\[one\] stdout: asked"), "the log has it too")
        def text(name):
            with open(f"{top}/a/logs/{name}.txt") as file:
                return file.read()
        check(text("one_stdout") == 20 * "asked\n" and text("two_stdout") == "asked\n" and text("two_stderr") == "",
              f"{text('one_stdout')!r} {text('two_stdout')!r}")
        with Server(top, "--runtime-config-file", config, "-L", f"{top}/b/") as server:
            expect(ask(server.port, "/two"), 200)
        check(sorted(os.listdir(f"{top}/b")) == ["one_stderr.txt", "one_stdout.txt", "two_stderr.txt", "two_stdout.txt"], "the option goes before the file")
        with Server(top, "--runtime-config-file", config, "--log-dir", "") as server:
            expect(ask(server.port, "/two"), 200)
        check(text("two_stdout") == "asked\n", "and an empty one means none")
        with Server(top, "-L", f"{top}/f", "--follow", "two") as server:
            for path in ("/", "/two"):
                expect(ask(server.port, path), 200)
            check(server.wait_log(r"\[two\] stdout: asked") and "[one] stdout" not in server.log(), "one is followed, the other not")
            with open(f"{top}/f/one_stdout.txt") as file:
                check(file.read() == "asked\n", "files have both")
        refused(top, r"--follow: nothing that is served is called \"tow\"", "--follow", "tow")
        for options in (("--truncate-logs",), ()):
            with Server(top, "--runtime-config-file", config, *options) as server:
                expect(ask(server.port, "/two"), 200)
                if options:
                    place(top, ".env", "SPIN_VARIABLE_UNUSED=1\n")
                    server.process.send_signal(signal.SIGHUP)
                    check(server.wait_log(r" reloaded$", 60), "another node follows")
        check((text("one_stdout"), text("two_stdout")) == ("", "asked\nasked\n"), "anew, but not by a reload, and else behind what is there")
        refused(top, r"cannot make the folder of logs .*spin\.toml", "--log-dir", f"{top}/spin.toml/x")
        os.mkdir(f"{top}/c")
        os.mkdir(f"{top}/c/one_stdout.txt")
        refused(top, r"cannot open the log .*one_stdout\.txt", "--log-dir", f"{top}/c")
        os.symlink("/dev/full", f"{top}/full_stdout.txt")
        with folder(HEAD + trigger("/...", "full") + component("full", guest("frozen"))) as full:
            with Server(full, "--log-dir", top) as server:
                for _ in range(3):
                    expect(ask(server.port, "/"), 200)
                check(server.wait_log(r"\[full\] stdout: asked"), "a file that is full harms nobody")


def case_variables_taken_up():
    """SIGHUP takes up what a file of variables says by then, also one that was not there."""
    with folder(variables(a="1")) as top, Server(top) as server:
        for text in ("one", "another"):
            place(top, ".env", f"SPIN_VARIABLE_A={text}\n")
            server.process.send_signal(signal.SIGHUP)
            until(lambda: found(server) == {"a": text}, f"the value is now {text}: {found(server)}")
            check("reloaded" in server.log(), "it says so")


def case_variables_vault_silent():
    """A Vault that says nothing, and one that is asked by a process which is killed: both end, and say so."""
    with folder(variables(a="1")) as top, Peer(lambda connection: connection.recv(65536) and connection.recv(1), cut=True) as peer:
        vault = place(top, "runtime.toml", f'[[variables_provider]]\ntype = "vault"\nurl = "http://127.0.0.1:{peer.port}"\ntoken = "{TOKEN}"\nmount = "secret"\n')
        process = subprocess.Popen([*command("up"), "--listen", "127.0.0.1:0", "--runtime-config-file", vault, top],
                                   stderr=subprocess.PIPE, text=True)
        until(lambda: peer.accepted == 1, "Vault is asked")
        node, = run.children(process.pid)
        asker, = run.children(node)
        os.kill(asker, signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        check(process.returncode == 1 and "the process that asks Vault ended early" in said, said)
        refused(top, "Vault cannot be asked: it does not answer", "--runtime-config-file", vault)


def case_variables_run():
    """A component that is run finds what the command line gives it; the interface that is asynchronous is refused by its name."""
    def run_it(*words):
        done = subprocess.run([*command("run"), *words], capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr
    call = ("--invoke", "variable", guest("configured"))
    with tempfile.TemporaryDirectory() as top:
        file = place(top, "more.toml", 'b = "of a file"\n')
        got = run_it("--variable", "a=1", "--variable", f"@{file}", *call, "a")
        check(got[:2] == (0, 'ok("1")\n'), f"{got}")
        got = run_it("--variable", "a=1", "--variable", f"@{file}", *call, "b")
        check(got[:2] == (0, 'ok("of a file")\n'), f"{got}")
    got = run_it("--env", "a=1", *call, "a")
    check(got[:2] == (0, 'err("\\"a\\" is not among the variables of this component")\n'), f"{got}")
    got = run_it("--variable", "a", *call, "a")
    check(got[0] == 2 and "--variable: there is no value" in got[2], f"{got}")
    got = run_it(guest("later"))
    check(got[0] == 1 and re.search("spin:variables/variables@3.0.0 get .*does not have\n.*asynchronous.*fermyon:spin/variables@2.0.0", got[2]),
          f"{got}")
    for name, pattern in (("configured", r"fermyon:spin/variables"), ("later", r"missing \(1\)")):
        done = subprocess.run([run.PROGRAM, "inspect", guest(name)], capture_output=True, text=True)
        check(re.search(pattern, done.stdout), done.stdout)


def case_variables_options():
    """The options that users of Spin know."""
    manifest = HEAD + trigger("/...", "one") + component("one", guest("given"))
    with folder(manifest) as top:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for words in (["-f", top, "-e", "A=1"], ["--from", f"{top}/spin.toml", "-eA=1"]):
                process = subprocess.Popen([*command("up"), *words, "--workers", "1", "--listen", f"127.0.0.1:{port}", "--find-free-port"],
                                           stdout=subprocess.PIPE, text=True)
                line = process.stdout.readline()
                found_port = int(re.fullmatch(r"Serving http://127\.0\.0\.1:(\d+)\n", line).group(1))
                check(port < found_port <= port + 100, f"a port behind {port}: {line}")
                expect(ask(found_port, "/"), 200, b"variable A=1\n")
                process.terminate()
                process.communicate(timeout=20)
            done = subprocess.run([*command("up"), "--listen", f"127.0.0.1:{port}", top], capture_output=True, text=True)
            check(done.returncode == 1 and re.search(r"in use\n.*free", done.stderr), f"a port that is taken: {done.stderr}")
        for words in ([top, "-f", top], ["-f", top, top], ["-f", top, "--from", top]):
            done = subprocess.run([*command("up"), *words], capture_output=True, text=True)
            check(done.returncode == 2 and "one argument too many" in done.stderr, f"{words}: {done.stderr}")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
