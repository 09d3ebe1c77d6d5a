#!/usr/bin/env python3
"""End to end: what is called without a client, by timers (guest cron.c) and by messages of Redis (guest inbound.c), and
applications that are commands (guest deed.c).

    triggers.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

import run
from app import HEAD, component, folder, refused, trigger, write
from observe import metrics, observed
from outbound import fetch
from run import ROOT, Server, ask, check, command, expect, free_port, guest, main
from services import redis
from workers import until

EACH = "* * * * * *"
NEVER = "0 0 0 1 1 * 2199"
FAST = ("--tier", "fast")


def cron(name, expression=EACH):
    return f'[[trigger.cron]]\ncomponent = "{name}"\ncron_expression = "{expression}"\n'


def ticking(name, deed="", limits="", **variables):
    """A component that does this when a timer calls it."""
    own = "".join(f'{key} = "{value}"\n' for key, value in {"deed": deed, "ms": "0", **variables}.items())
    return component(name, guest("cron"), f"[component.{name}.variables]\n{own}" +
                     (f"[component.{name}.tool.mayfly]\n{limits}\n" if limits else ""))


def ticks(server, name="tick"):
    """When it was called, as the guest printed it: an instance is called once."""
    found = re.findall(rf"\[{name}\] stdout: tick (\d+) call (\d+)$", server.log(), re.M)
    check(all(call == "1" for _, call in found), f"each is a fresh instance: {found}")
    return [int(at) for at, _ in found]


def goes_on(server, name="tick", more=2):
    """So many more calls come, and none twice."""
    before = len(ticks(server, name))
    until(lambda: len(ticks(server, name)) >= before + more, f"{more} more calls of {name}")
    all_of_them = ticks(server, name)
    check(all_of_them == sorted(set(all_of_them)), f"each time once, in order: {all_of_them}")


# ---- timers ----


def case_triggers_cron():
    """A timer calls its function at its time, once, however many workers there are; beside it requests are answered."""
    began = int(time.time())
    manifest = HEAD + cron("tick") + cron("rare", NEVER) + cron("both") + trigger("/both", "both") + trigger("/...", "front") + \
        ticking("tick") + ticking("rare") + ticking("both") + component("front", guest("given"))
    with folder(manifest) as top, Server(top, "--workers", "3") as server:
        goes_on(server)
        goes_on(server, "both")
        check(began < ticks(server)[0] <= time.time(), f"it is told when: {ticks(server)}")
        expect(ask(server.port, "/both"), 200, b"here")
        expect(ask(server.port, "/"), 200)
        check(not ticks(server, "rare"), "nothing else is called")
        text = server.process.stdout.readline() + "".join(server.process.stdout.readline() for _ in range(6))
        check(re.search(rf"^Timers:\n  {re.escape(EACH)} +tick\n  {re.escape(NEVER)} +rare\n", text, re.M), f"it says so: {text!r}")
    with folder(HEAD + cron("tick") + ticking("tick")) as top, Server(top) as server:
        goes_on(server)
        expect(ask(server.port, "/"), 404)
        check("Timers:" in server.process.stdout.readline(), "without routes too")


def case_triggers_cron_failed():
    """What goes wrong is logged, and nobody else notices: an error, a trap, the end of its time, of its processor time."""
    manifest = HEAD + "".join(cron(name) for name in ("tick", "bad", "trap", "spin", "late")) + ticking("tick") + ticking("bad", "fail") + \
        ticking("trap", "trap") + ticking("spin", "spin", 'cpu_time = "50ms"') + ticking("late", "wait", 'timeout = "100ms"', ms=60000)
    with folder(manifest) as top, observed(top) as server:
        for pattern in (r"ERROR \[bad\] the run of \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: failed: because\\x0aof this$", r"ERROR \[trap\] trap: unreachable",
                        r"ERROR \[spin\] ended: a request may take 0\.05 s of processor time", r"ERROR \[late\] ended: a request may take 0\.1 s of time"):
            until(lambda: re.search(pattern, server.log(), re.M), f"{pattern} in the log")
        goes_on(server)
        rows = metrics(server)
        check(rows.of("mayfly_requests_total", function="tick", status="2xx") >= 2, "what went well is counted")
        for name in ("bad", "trap", "spin", "late"):
            failed, well = (rows.of("mayfly_requests_total", function=name, status=status) for status in ("5xx", "2xx"))
            check(failed >= 1 and well == 0, f"what {name} did is counted: {failed}, {well}")
        check(rows.of("mayfly_traps_total", function="trap") >= 1 and rows.of("mayfly_traps_total", function="bad") == 0, "traps are")
        until(lambda: metrics(server).of("mayfly_running_requests", function="tick") == 0, "nothing is left")


def case_triggers_cron_limits():
    """Runs do not wait for each other; above max_instances there are none."""
    manifest = HEAD + cron("tick") + cron("many") + ticking("tick", "wait", "max_instances = 1", ms=2500) + ticking("many", "wait", ms=2500)
    with folder(manifest) as top, Server(top) as server:
        check(server.wait_log(r"ERROR \[tick\] the run of .*Z: does not begin: as many instances are running as may; --max-instances", 20), "it is said")
        until(lambda: len(re.findall(r"\[many\] stdout: waited", server.log())) >= 1, "a run ends")
        check(len(ticks(server, "many")) >= 2, f"others began beside it: {ticks(server, 'many')}")
        check("[many] the run" not in server.log(), "and all of them")


def case_triggers_cron_successor():
    """When the worker that has the timers dies, the one in its place has them."""
    with folder(HEAD + cron("tick") + ticking("tick")) as top, Server(top, "--workers", "2") as server:
        goes_on(server)
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
            goes_on(server)


def case_triggers_cron_changed():
    """SIGHUP takes up another manifest: what it says is due from then on, no time comes twice, and requests do as always."""
    manifest = HEAD + cron("tick") + trigger("/...", "tick") + ticking("tick")
    with folder(manifest) as top, Server(top) as server:
        goes_on(server)
        for number in range(2):
            write(top, manifest + cron("other") + ticking("other", number=number))
            before = len(ticks(server, "other"))
            server.process.send_signal(signal.SIGHUP)
            until(lambda: len(ticks(server, "other")) >= before + 2, "the new timer")
            goes_on(server)
            expect(ask(server.port, "/"), 200, b"here")
        write(top, manifest.replace(EACH, "* * *"))
        server.process.send_signal(signal.SIGHUP)
        check(server.wait_log(r"spin\.toml:6:\d+: cron_expression \"\* \* \*\": it has 3 fields"), "what is wrong is said")
        goes_on(server)
        write(top, manifest.replace(cron("tick"), ""))
        server.process.send_signal(signal.SIGHUP)
        check(server.wait_log(r"(?s)it has 3 fields.*reloading"), "it is taken up")
        def quiet():
            count = len(ticks(server))
            time.sleep(1.5)
            return len(ticks(server)) == count
        until(quiet, "no timer is left")
        expect(ask(server.port, "/"), 200, b"here")


def case_triggers_cron_end():
    """Runs come to their end before the server does, and none begins any more."""
    with folder(HEAD + cron("tick") + ticking("tick", "wait", ms=3000)) as top, Server(top) as server:
        until(lambda: ticks(server), "a run begins")
        server.process.send_signal(signal.SIGTERM)
        count = len(ticks(server))
        check(server.process.wait(20) == 0, "it ends")
        check(len(ticks(server)) - count <= 1, f"nothing begins: {count}, then {ticks(server)}")
        check(len(re.findall("stdout: waited", server.log())) == len(ticks(server)), "what ran has ended")


def case_triggers_cron_refused():
    """What cannot be called is refused before anything is served."""
    one = HEAD + cron("one")
    refused(one + component("one", guest("given")), r"does not export handle-cron-event as fermyon:spin-cron@2.*\n.*world spin-cron")
    refused(one + trigger("/...", "two") + component("one", guest("given")) + component("two", guest("given")), r"one: .*given\.wasm: .*handle-cron-event")
    refused(one + trigger("/...", "one") + component("one", guest("given")), r"handle-cron-event")
    refused(HEAD + cron("one", "5 * * * *") + ticking("one"), r"spin\.toml:6:\d+: cron_expression \"5 \* \* \* \*\": it has 5 fields.*\n.*put the second in front")
    refused(HEAD + cron("one", "0 0 25 * * *") + ticking("one"), r"\"25\" is no hour\n.*0 to 23")
    refused(one + '[[trigger.http]]\nroute = "/..."\ncomponent = "one"\nexecutor = { type = "wagi" }\n' + ticking("one"),
            r"another trigger of component \"one\" has another executor")


def case_triggers_cron_inside():
    """A component that only timers call answers no requests of others."""
    manifest = HEAD + cron("tick", NEVER) + trigger("/...", "front") + ticking("tick") + \
        component("front", guest("client"), 'allowed_outbound_hosts = ["http://*.spin.internal"]')
    with folder(manifest) as top, Server(top) as server:
        report = fetch(server, "http://tick.spin.internal/")
        check(any("destination-not-found" in line for line in report), f"nobody is there: {report}")


def case_triggers_cron_told():
    """The admin address tells of timers."""
    manifest = HEAD + cron("tick", NEVER) + trigger("/", "tick") + ticking("tick")
    with folder(manifest) as top, observed(top) as server:
        body = ask(server.admin, "/application")[2].decode()
        check(re.search(rf'"timers": \[\s*{{\s*"expression": "{re.escape(NEVER)}",\s*"function": "tick"\s*}}\s*\]', body), body)


# ---- without an address ----


class Silent(Server):
    """A server that says what it does in the lines `said`, and listens only if it must."""

    def __init__(self, folder_, *options):
        self.errors = tempfile.TemporaryFile(mode="w+", errors="replace")
        self.file = folder_
        self.count = 1
        self.process = subprocess.Popen([*command("up"), folder_, "--workers", "1", *options], stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.first = self.process.stdout.readline()

    def listening(self):
        """How many sockets of these processes wait for connections."""
        waiting = set()
        for kind in ("tcp", "tcp6"):
            with open(f"/proc/net/{kind}") as table:
                waiting |= {row.split()[9] for row in table.readlines()[1:] if row.split()[3] == "0A"}
        held = set()
        for pid in (self.process.pid, self.supervisor(), *self.workers()):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                try:
                    found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
                except FileNotFoundError:
                    continue
                held |= {found[1]} if found else set()
        return len(waiting & held)


def case_triggers_silent():
    """Without a trigger of type http nothing listens, and all else is as always; --listen has it listen."""
    manifest = HEAD + cron("tick") + ticking("tick")
    with folder(manifest) as top:
        with Silent(top) as server:
            check(server.first == "Serving at no address: there is no trigger of type http\n", f"it says so: {server.first!r}")
            check(server.process.stdout.readline() == "Timers:\n", "and what there is")
            goes_on(server)
            check(server.listening() == 0, "nothing listens")
            write(top, manifest + trigger("/", "tick"))
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_log(r"spin\.toml: there are routes now, and nothing listens\n.*begin with --listen"), "routes come too late")
            goes_on(server)
            write(top, manifest + cron("other") + ticking("other"))
            server.process.send_signal(signal.SIGHUP)
            until(lambda: ticks(server, "other"), "a timer does not")
            check(server.listening() == 0, "nor listens anybody then")
        admin = f"127.0.0.1:{free_port()}"
        with Silent(top, "--format", "json", "--admin", admin) as server:
            text = server.first + "".join(server.process.stdout.readline() for _ in range(3))
            check(json.loads(text) == {"base_url": None, "routes": []}, text)
            check(json.loads(ask(int(admin.split(":")[1]), "/application")[2])["url"] is None, "the admin address tells")
            goes_on(server)
        for option in (("--find-free-port",), ("--tls-cert", "x", "--tls-key", "y")):
            done = subprocess.run([*command("up"), top, *option], capture_output=True, text=True)
            check(done.returncode == 2 and f"{option[0]} is for requests, and no trigger is of type http" in done.stderr, done.stderr)
        with Server(top) as server:
            expect(ask(server.port, "/.well-known/spin/health"), 200)
            expect(ask(server.port, "/"), 404)


# ---- messages ----


def on_channel(name, channel="c", address=""):
    return f'[[trigger.redis]]\ncomponent = "{name}"\nchannel = "{channel}"\n' + (f'address = "{address}"\n' if address else "")


def at(port, password=""):
    return f"redis://{password and ':' + password + '@'}127.0.0.1:{port}"


def publish(port, channel, message, password=""):
    """How many heard it."""
    words = ([b"AUTH", password.encode()] if password else []), [b"PUBLISH", channel.encode(), message]
    with socket.create_connection(("127.0.0.1", port), 20) as connection, connection.makefile("rb") as answers:
        for command_ in filter(None, words):
            connection.sendall(b"*%d\r\n" % len(command_) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in command_))
            answer = answers.readline()
            check(answer[:1] in b"+:", f"Redis takes it: {answer!r}")
    return int(answer[1:])


def heard(server, name):
    """(size, sum, beginning) of its messages, in order."""
    found = re.findall(rf"\[{name}\] stdout: size (\d+) sum (\d+) call (\d+) begins (.*)$", server.log(), re.M)
    check(all(call == "1" for _, _, call, _ in found), f"each has a fresh instance: {found}")
    return [(int(size), int(total), begins) for size, total, _, begins in found]


def listens(server, times=1):
    until(lambda: len(re.findall("listening to channels of ", server.log())) >= times, "it listens")


def published(port, channel, message, password=""):
    """Once somebody hears it, which is one worker of all."""
    until(lambda: publish(port, channel, message, password) == 1, f"one hears {message!r:.40}", pause=0.1)


def again(server, port, message):
    """Until it is heard: who listened before may have its connection still, and be gone."""
    until(lambda: publish(port, "c", message) and any(row[2] == message.decode() for row in heard(server, "one")), f"{message} is heard", pause=0.1)


def case_triggers_redis():
    """A message calls whoever listens to its channel, once each, however many workers there are."""
    with redis() as port:
        manifest = HEAD + f'[application.trigger.redis]\naddress = "{at(port)}"\n' + \
            '[variables]\nwhich = { default = "b" }\n' + on_channel("one") + on_channel("two") + on_channel("two", "{{ which }}") + \
            trigger("/...", "front") + component("one", guest("inbound")) + component("two", guest("inbound")) + component("front", guest("given"))
        with folder(manifest) as top, observed(top, "--workers", "3") as server:
            published(port, "c", b"first")
            until(lambda: heard(server, "one") and heard(server, "two"), "both are called")
            check(publish(port, "b", b"second") == 1 and publish(port, "other", b"third") == 0, "channels of a server have one line")
            until(lambda: len(heard(server, "two")) == 2, "the other channel")
            body = bytes(range(256)) * 8192
            check(publish(port, "c", body) == 1 and publish(port, "c", b"") == 1, "of any size")
            until(lambda: len(heard(server, "one")) == 3 and len(heard(server, "two")) == 4, "all come")
            row = (5, sum(b"first"), "first")
            check(heard(server, "one")[0] == row and heard(server, "two")[:2] == [row, (6, sum(b"second"), "second")], f"whole: {heard(server, 'two')}")
            check(heard(server, "one")[1][:2] == (len(body), sum(body)) and heard(server, "one")[2] == (0, 0, ""), "byte for byte")
            expect(ask(server.port, "/"), 200)
            rows = metrics(server)
            check(rows.of("mayfly_requests_total", function="two", status="2xx") == 4, "they are counted")
            check(rows.of("mayfly_received_bytes_total", function="one") == len(body) + 5, "and their bytes")
            body = ask(server.admin, "/application")[2].decode()
            check(re.search(rf'"server": "redis://127\.0\.0\.1:{port}",\s*"channel": "{{{{ which }}}}",\s*"function": "two"', body), f"it is told: {body}")


def case_triggers_redis_failed():
    """What goes wrong with one message is logged, and the next one comes; one waits for the other."""
    with redis() as port:
        manifest = HEAD + on_channel("one", "c", at(port)) + on_channel("slow", "s", at(port)) + component("one", guest("inbound")) + \
            component("slow", guest("inbound"), '[component.slow.tool.mayfly]\ntimeout = "50ms"\n')
        with folder(manifest) as top, Server(top) as server:
            published(port, "c", b"begin")
            for message in (b"fail", b"trap", b"wait", b"good"):
                publish(port, "c", message)
            publish(port, "s", b"wait")
            until(lambda: len(heard(server, "one")) == 5 and len(heard(server, "slow")) == 1, "all are handled")
            check(server.wait_log(r"ERROR \[slow\] ended: a request may take 0\.05 s of time"), "its time is over")
            log = server.log()
            check(re.search(r"ERROR \[one\] a message of c: failed: it returned an error$", log, re.M), "an error is said")
            check(re.search(r"ERROR \[one\] trap: unreachable", log), "and a trap")
            check(log.index("begins wait") < log.index("stdout: waited") < log.index("begins good"), "one after the other")
            publish(port, "c", b"end")
            until(lambda: heard(server, "one")[-1][2] == "end", "it goes on")


def case_triggers_redis_many():
    """More than may wait on the way: none is lost, and they stay in order."""
    count = 3000
    with redis() as port:
        with folder(HEAD + on_channel("one", "c", at(port)) + component("one", guest("inbound"))) as top, Server(top) as server:
            published(port, "c", b"wait")  # what comes meanwhile is more than is kept
            with socket.create_connection(("127.0.0.1", port), 20) as connection, connection.makefile("rb") as answers:
                for i in range(count):
                    message = b"%06d" % i + b"x" * 1018
                    connection.sendall(b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$%d\r\n%s\r\n" % (len(message), message))
                for i in range(count):
                    check(answers.readline() == b":1\r\n", "it is heard")
            until(lambda: len(heard(server, "one")) >= count + 1, "all come")
            check([begins[:6] for _, _, begins in heard(server, "one")[1:]] == ["%06d" % i for i in range(count)], "in order")


def case_triggers_redis_gone():
    """A server that goes and comes back is listened to again; so it is after the worker has died, and after SIGHUP."""
    port = free_port()
    with folder(HEAD + on_channel("one", "c", at(port)) + trigger("/...", "front") + component("one", guest("inbound")) + component("front", guest("given"))) as top, \
            Server(top) as server:
        check(server.wait_log(rf"ERROR channels of redis://127\.0\.0\.1:{port}: .*; again in 0\.5 s"), "it cannot be reached yet")
        expect(ask(server.port, "/"), 200)
        for number in range(2):
            with redis(port=port):
                published(port, "c", b"message %d" % number)
                until(lambda: (9, sum(b"message %d" % number), f"message {number}") in heard(server, "one"), "it is heard")
            check(server.wait_log(r"(?s)message %d.*ERROR channels of .*; again in" % number), "that is said")
        with redis(port=port):
            published(port, "c", b"before")
            for pid in server.workers():
                os.kill(pid, signal.SIGKILL)
            again(server, port, b"after")
            with open(f"{top}/spin.toml", "a") as file:
                file.write("\n")
            server.process.send_signal(signal.SIGHUP)
            listens(server, len(re.findall("listening to channels of ", server.log())) + 1)
            again(server, port, b"changed")


def case_triggers_redis_password():
    """Passwords may be variables, and are never told."""
    secret = "s3cr3t-of-the-test"
    manifest = '[variables]\nkey = { required = true, secret = true }\n' + component("one", guest("inbound"))
    with redis("--requirepass", secret) as port:
        with folder(HEAD + on_channel("one", "c", f"redis://:{{{{ key }}}}@127.0.0.1:{port}") + manifest) as top:
            with Server(top, "--variable", f"key={secret}") as server:
                published(port, "c", b"known", secret)
                until(lambda: heard(server, "one"), "it is heard")
                check(secret not in server.log() and f"redis://:{{{{ key }}}}@127.0.0.1:{port}" in server.log(), "the log has its name")
            with Server(top, "--variable", "key=wrong-of-the-test") as server:
                check(server.wait_log(r"ERROR channels of .*: WRONGPASS.*; again in"), "another one is refused")
                check("wrong-of-the-test" not in server.log(), "and not told")
        with folder(HEAD + on_channel("one", "c", at(port, secret)) + manifest) as top, Server(top, "--variable", "key=x") as server:
            published(port, "c", b"written", secret)
            until(lambda: heard(server, "one"), "a literal one does as well")
            check(secret not in server.log() and f"listening to channels of redis://127.0.0.1:{port}" in server.log(), "and is not told")


def case_triggers_redis_refused():
    """What cannot be called or reached is refused before anything is served."""
    one = component("one", guest("inbound"))
    refused(HEAD + on_channel("one", "c", "redis://x") + component("one", guest("given")), r"does not export fermyon:spin/inbound-redis.*\n.*redis-trigger")
    refused(HEAD + on_channel("one", "c", "http://x:1") + one, r"spin\.toml:7: ")
    refused(HEAD + on_channel("one", "c", "mqtts://x:1") + one, r"spin\.toml:7: ")
    refused(HEAD + '[variables]\nv = { default = "pass-of-the-test" }\n' + on_channel("one", "c", "{{ v }}") + one, r"spin\.toml:\d+: (?!.*pass-of-the-test)")
    refused(HEAD + on_channel("one") + one, r"a redis trigger without an address")


# ---- commands ----


def application(rest="", head=HEAD, more=""):
    return head + '[[trigger.command]]\ncomponent = "one"\n' + more + component("one", guest("deed"), rest)


def execute(top, *arguments, options=(), text="", env=None):
    """Exit status, output and errors of `mayfly up TOP OPTIONS -- ARGUMENTS`."""
    done = subprocess.run([*command("up"), *FAST, *options, top, "--", *arguments], input=text.encode(), capture_output=True,
                          timeout=run.START_SECONDS, env={**os.environ, **(env or {})})
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def ran(answer, status, output=None, error=""):
    check(answer[0] == status, f"status {status}, not {answer[0]} with {answer[2]!r:.400}")
    check(output is None or answer[1] == output, f"output {output!r:.200}, not {answer[1]!r:.200}")
    check(re.search(error, answer[2]), f"{error!r} in {answer[2]!r:.400}")


def case_triggers_command():
    """It is run with what its manifest gives it, and nothing else; standard streams are the caller's."""
    manifest = application('environment = { A = "1" }\nfiles = ["*.txt", { source = "inner", destination = "/more" }]\n'
                           '[component.one.variables]\nname = "<{{ own }}>"\n', HEAD + '[variables]\nown = { default = "x" }\n')
    with folder(manifest) as top, tempfile.TemporaryDirectory() as copies:
        os.mkdir(f"{top}/inner")
        write(f"{top}/inner", "")
        with open(f"{top}/a.txt", "w") as file:
            file.write("text")
        env = {"TMPDIR": copies, "SECRET": "1"}
        ran(execute(top, env=env), 0, "", "^$")
        ran(execute(top, "args", "-x", "--listen", "--", env=env), 0, "one\nargs\n-x\n--listen\n--\n")
        ran(execute(top, "env", "var=name", "var=own", env=env), 0, "A=1\n<x>\nnone\n")
        ran(execute(top, "env", "var=name", env={**env, "SPIN_VARIABLE_OWN": "y"}, options=("--env", "B=2")), 0, "A=1\nB=2\n<y>\n")
        ran(execute(top, "dirs", env=env), 0, "/more\n/\n")
        ran(execute(top, "copy", env=env, text="line\n" * 50000), 0, "line\n" * 50000)
        check(os.listdir(copies) == [], f"nothing is left behind: {os.listdir(copies)}")
        done = subprocess.run([*command("up"), *FAST, "--", "args"], cwd=top, capture_output=True, text=True, env={**os.environ, **env})
        check(done.stdout == "one\nargs\n", f"in this folder: {done.stdout!r} {done.stderr!r}")


def busy(top, *options):
    """It copies without an end, and may take 0.1 s of processor time."""
    with open("/dev/zero") as zeroes:
        done = subprocess.run([*command("up"), *FAST, *options, top, "--", "copy"], stdin=zeroes, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    check(done.returncode == 134 and re.search(r"trap: time limit reached(.|\n)*it may take 0\.1 s of processor time \(--cpu-time\)", done.stderr),
          f"{done.returncode}, {done.stderr!r}")


def case_triggers_command_ends():
    """The end of the command is the end of mayfly: its status, an error, a trap, its limits."""
    with folder(application()) as top:
        ran(execute(top, "exit=0", "trap"), 0, "", "^$")
        ran(execute(top, "exit=42"), 42, "", "^$")
        ran(execute(top, "fail"), 1, "", "^$")
        ran(execute(top, "args", "trap"), 134, "one\nargs\ntrap\n", "trap: unreachable")
        ran(execute(top, "wait", options=("--timeout", "100ms")), 134, "waiting\n", "trap: ")
        busy(top, "--cpu-time", "100ms")
        ran(execute(top, "wait", options=("--cpu-time", "100ms", "--timeout", "1s")), 134, "waiting\n", r"it may take 1 s of time \(--timeout\)")
    with folder(application('[component.one.tool.mayfly]\ntimeout = "100ms"\n')) as top:
        ran(execute(top, "wait"), 134, "waiting\n", "trap: ")
    with folder(application('[component.one.tool.mayfly]\ncpu_time = "100ms"\n')) as top:
        busy(top)
        ran(execute(top, "args"), 0, "one\nargs\n", "^$")


def case_triggers_command_signals():
    """A signal reaches the command, and ends mayfly as it ends the command; what was copied for it goes."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with folder(application('files = ["*.txt"]')) as top, tempfile.TemporaryDirectory() as copies:
            with open(f"{top}/a.txt", "w") as file:
                file.write("text")
            process = subprocess.Popen([*command("up"), *FAST, top, "--", "wait"], stdout=subprocess.PIPE, text=True,
                                       env={**os.environ, "TMPDIR": copies}, start_new_session=True)
            check(process.stdout.readline() == "waiting\n", "it runs")
            check(len(os.listdir(copies)) == 1, "with its copy")
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # as a terminal does
            else:
                process.send_signal(number)
            check(process.wait(30) == -number, f"ended by {number}, not with {process.returncode}")
            check(process.stdout.read() == "" and os.listdir(copies) == [], "and nothing is left")


def case_triggers_command_state():
    """It keeps what it stores, as a component that is served does."""
    manifest = HEAD + '[[trigger.command]]\ncomponent = "one"\n' + component("one", guest("stored"), 'key_value_stores = ["default"]')
    with folder(manifest) as top:
        check([execute(top)[0] for _ in range(2)] == [1, 2], "the second run finds what the first one left")
        check(execute(top, options=("--state-dir", f"{top}/other"))[0] == 1, "in another folder it begins anew")


def case_triggers_command_refused():
    """What is not there is said with its line; of several commands the first is run."""
    with folder(application(more='[[trigger.command]]\ncomponent = "two"\n') + component("two", guest("deed"))) as top:
        ran(execute(top, "args"), 0, "one\nargs\n", r"spin\.toml:\d+: only the first trigger of type command is run")
    for more in (trigger("/...", "one"), cron("one")):
        with folder(application(more=more)) as top:
            ran(execute(top), 1, "", r"spin\.toml:\d+: mayfly does not have other triggers beside one of type command yet")
    with folder(application().replace(guest("deed"), guest("given"))) as top:
        ran(execute(top), 1, "", r"does not export wasi:cli/run@0\.2")
    with folder(application().replace(guest("deed"), "absent.wasm")) as top:
        ran(execute(top), 1, "", r"one: .*absent\.wasm")
    with folder(HEAD + trigger("/...", "one") + component("one", guest("given"))) as top:
        ran(execute(top, "x"), 2, "", r"'x' is an argument of a command, and this is none")
    ran(execute(os.path.join(ROOT, "examples", "hello-c", "hello.wasm"), "x"), 2, "", r"'x' is an argument of a command")
    with folder(HEAD + trigger("/...", "one") + component("one", guest("given"))) as top, Server(top) as server:
        write(top, application())
        server.process.send_signal(signal.SIGHUP)
        check(server.wait_log(r"a command is not served"), "a server does not become one")
        expect(ask(server.port, "/"), 200)


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
