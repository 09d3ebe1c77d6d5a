#!/usr/bin/env python3
"""End to end: applications, of many functions in the same workers.

    app.py [--tier TIER] PROGRAM [CASE...]    as run.py
"""
import contextlib
import json
import os
import re
import signal
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import run
from cli import check_described, leaves
from limits import send_again
from observe import observed, state, workers
from run import Client, Failure, Server, ask, check, children, command, expect, free_port, guest, main, resident
from workers import empty_cache, until

# AddressSanitizer keeps freed memory back: less of it, so that memory can be compared.
os.environ["ASAN_OPTIONS"] = "quarantine_size_mb=1:thread_local_quarantine_size_kb=64:" + os.environ.get("ASAN_OPTIONS", "")

HEAD = 'spin_manifest_version = 2\n[application]\nname = "test"\n'
GREEDY = [("/spin", (504,)), ("/grow", (200,)), ("/deep", (500,))]


def trigger(route, component):
    return f'[[trigger.http]]\nroute = "{route}"\ncomponent = "{component}"\n'


def component(name, source, rest=""):
    return f'[component.{name}]\nsource = "{source}"\n{rest}\n'


@contextlib.contextmanager
def folder(manifest):
    """A folder with this manifest."""
    with tempfile.TemporaryDirectory() as top:
        write(top, manifest)
        yield top


def write(top, manifest):
    with open(f"{top}/spin.toml", "w") as file:
        file.write(manifest)


def lines(port, path):
    return ask(port, path)[2].decode().splitlines()


def case_app_routes():
    """Each route leads to its function, which has what its component was given; others are not found."""
    manifest = HEAD + trigger("/one/...", "one") + trigger("/two", "two") + trigger("/two/:name/x", "one") + \
        '[[trigger.http]]\nroute = { private = true }\ncomponent = "hidden"\n' + \
        '[[trigger.http]]\nroute = "/fixed"\nstatic_response = { status_code = 418, headers = { x-kind = "pot" }, body = "short" }\n' + \
        component("one", guest("given"), 'environment = { A = "1", B = "x=y" }') + \
        component("two", guest("given"), 'environment = { A = "2" }') + component("hidden", guest("greedy"))
    with folder(manifest) as top:
        for path in (top, f"{top}/spin.toml"):
            with Server(path) as server:
                for target in ("/one", "/one/a/b", "/one?q=/two", "/two/z/x"):
                    check(lines(server.port, target) == ["variable A=1", "variable B=x=y"], f"{target} is of one")
                check(lines(server.port, "/two") == ["variable A=2"], "/two is of two")
                for target in ("/", "/three", "/two/z", "/two/z/y", "/hidden", "/.well-known/spin/", "/.well-known/spin/healthy"):
                    expect(ask(server.port, target), 404)
                expect(ask(server.port, "/.well-known/spin/health"), 200, b"OK")
                status, fields, body = ask(server.port, "/fixed")
                check((status, fields.get("x-kind"), body) == (418, "pot", b"short"), "a fixed answer")
        with Server(top, "--env", "C=3") as server:
            check("variable C=3" in lines(server.port, "/two"), "a variable for all")
        os.mkdir(f"{top}/inner")
        done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0"], cwd=f"{top}/inner", capture_output=True, text=True)
        check(done.returncode == 1 and "spin.toml" in done.stderr, f"without a manifest it says so, not {done.stderr!r}")


def refused(manifest, pattern, *options):
    with folder(manifest) as top:
        done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", *options, top], capture_output=True, text=True)
        check(done.returncode in (1, 2) and re.search(pattern, done.stderr), f"{pattern!r} is said, not {done.stderr!r}")


def case_app_refused():
    """What cannot be is refused before anything is served, with the line and what to do."""
    whole = HEAD + trigger("/...", "one") + component("one", guest("given"))
    refused(whole.replace("source", "sorce"), r"spin\.toml:\d+:\d+: .*sorce")
    refused(HEAD + component("one", guest("given")), r"lacks \"trigger\"")
    refused(whole.replace(guest("given"), "absent.wasm"), r"one: .*absent\.wasm")
    refused(whole, r"--dir, --allow-\.\.\. and the like are for a component without a manifest", "--dir", "/tmp")
    refused(whole + 'allowed_outbound_hosts = ["https://{{ gone }}"]\n[variables]\ngone = { required = true }\n',
            r"gone has no value.*\n.*SPIN_VARIABLE_GONE")
    two = HEAD + trigger("/...", "one") + trigger("/two", "two") + component("one", guest("given")) + component("two", guest("process"))
    refused(two, r"two: .*process\.wasm: a core module that does not say what it is as a component\n.*wasm-tools")


def case_app_static():
    """Answers that stand in the manifest need no component; SIGHUP brings some, and takes them away."""
    def fixed(route, body):
        return f'[[trigger.http]]\nroute = "{route}"\nstatic_response = {{ status_code = 301, headers = {{ location = "/{body}" }}, body = "{body}" }}\n'
    manifest = HEAD + fixed("/old/...", "new") + fixed("/other", "else")
    whole = manifest + trigger("/given", "one") + component("one", guest("given"), 'environment = { A = "1" }')
    with folder(manifest) as top, observed(top, "--workers", "2") as server:
        def moved():
            for path, body in (("/old/x/y", "new"), ("/other", "else")):
                status, fields, text = ask(server.port, path)
                check((status, fields["location"], text) == (301, f"/{body}", body.encode()), f"{path}: {status} {fields} {text!r}")
        moved()
        expect(ask(server.port, "/"), 404)
        expect(ask(server.port, "/.well-known/spin/health"), 200)
        told = json.loads(ask(server.admin, "/application")[2])
        check(told["functions"] == [] and [route["status"] for route in told["routes"]] == [301, 301], f"it is told: {told}")
        check(json.loads(ask(server.admin, "/status")[2])["functions"] == [], "no function has numbers")
        expect(ask(server.admin, "/metrics"), 200)
        server.process.send_signal(signal.SIGHUP)
        check(server.wait_log("reloaded"), "nothing has changed")
        for number in range(2):
            write(top, whole)
            server.process.send_signal(signal.SIGHUP)
            until(lambda: ask(server.port, "/given")[0] == 200, "a component comes")
            moved()
            write(top, manifest)
            server.process.send_signal(signal.SIGHUP)
            until(lambda: ask(server.port, "/given")[0] == 404, "and goes")
            moved()
        status, fields, body = ask(server.port, "/.well-known/spin/info?x")
        check((status, fields["content-type"], json.loads(body)) == (200, "application/json", {"name": "test"}), f"what it is: {status} {fields} {body!r}")
        for pid in server.workers()[:2]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: ask(server.port, "/other")[0] == 301, "another worker takes the place of one that dies")
    refused(HEAD + "[trigger]\n", r"there is no trigger, and so nothing to serve")


def case_app_chosen():
    """--component-id: the triggers of these components, and nothing else."""
    manifest = HEAD + trigger("/one", "one") + trigger("/also", "one") + trigger("/two", "two") + trigger("/broken", "broken") + \
        '[[trigger.http]]\nroute = "/fixed"\nstatic_response = { body = "fixed" }\n' + \
        component("one", guest("given"), 'environment = { A = "1" }') + component("two", guest("given")) + component("broken", "absent.wasm") + \
        component("unnamed", guest("given"))
    with folder(manifest) as top:
        with Server(top, "--component-id", "one") as server:
            for path, status in (("/one", 200), ("/also", 200), ("/two", 404), ("/broken", 404), ("/fixed", 404)):
                expect(ask(server.port, path), status)
        with Server(top, "-c", "two", "-c", "one") as server:
            for path, status in (("/one", 200), ("/two", 200), ("/fixed", 404)):
                expect(ask(server.port, path), status)
            write(top, manifest.replace("[component.two]", "[component.three]").replace('component = "two"', 'component = "three"'))
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_log(r'there is no component "two"'), "it holds behind SIGHUP, too")
            expect(ask(server.port, "/two"), 200)
    refused(manifest, r'spin\.toml: there is no component "onne".*\n.*did you mean "one"', "-c", "onne")
    refused(manifest, r'no trigger names component "unnamed"', "-c", "unnamed")
    done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", "-c", "one", guest("given")], capture_output=True, text=True)
    check(done.returncode == 2 and "--component-id" in done.stderr, done.stderr)


def case_app_uncached():
    """--disable-cache: nothing compiled is kept, or taken from where it was."""
    with folder(HEAD + trigger("/", "one") + component("one", guest("given"))) as top, tempfile.TemporaryDirectory() as cache:
        def kept():
            return sorted(name for name in os.listdir(cache) if name.endswith((".image", ".functions", ".hashed")))
        with Server(top, "--cache-dir", cache, "--disable-cache") as server:
            expect(ask(server.port, "/"), 200)
        check(kept() == [], f"nothing is kept: {kept()}")
        with Server(top, "--cache-dir", cache, "--tier", "best") as server:
            expect(ask(server.port, "/"), 200)
        check(any(name.endswith(".image") for name in kept()), "as it is otherwise")
        for name in kept():
            os.chmod(f"{cache}/{name}", 0o600)
            with open(f"{cache}/{name}", "r+b") as file:
                file.write(b"damaged")
        before = kept()
        with Server(top, "--cache-dir", cache, "--tier", "best", "--disable-cache") as server:
            expect(ask(server.port, "/"), 200)
        check(kept() == before, "what is there is not looked at")


def case_app_environment():
    """What Spin takes from the environment; an option goes before it."""
    with folder(HEAD + trigger("/", "one") + component("one", guest("given"))) as top:
        taken, wanted = free_port(), free_port()
        for options, port in (((), taken), (("--listen", f"127.0.0.1:{wanted}"), wanted)):
            process = subprocess.Popen([*command("up"), *options, top], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL,
                                       env={**os.environ, "SPIN_HTTP_LISTEN_ADDR": f"127.0.0.1:{taken}", "SPIN_LOG_DIR": f"{top}/logs"})
            check(process.stdout.readline() == f"Serving http://127.0.0.1:{port}\n", "it listens there")
            expect(ask(port, "/"), 200)
            process.send_signal(signal.SIGTERM)
            check(process.wait(60) == 0, "it ends")
        check(os.path.isdir(f"{top}/logs"), "and logs there")
        done = subprocess.run([*command("up"), top], capture_output=True, text=True, env={**os.environ, "RUNTIME_CONFIG_FILE": f"{top}/absent.toml"})
        check(done.returncode == 1 and "absent.toml" in done.stderr, done.stderr)
def case_app_models():
    """There are no models: who names some runs, with a warning; who asks one is told by the interface, and the log once."""
    manifest = HEAD + trigger("/...", "one") + component("one", guest("llm"), 'ai_models = ["llama2-chat"]')
    no = b"text model-not-supported\nparameters model-not-supported\nembeddings model-not-supported\n"
    with folder(manifest) as top, Server(top) as server:
        check(re.search(r"warning: \S*spin\.toml:\d+:\d+: mayfly does not have models yet\n.*model-not-supported", server.log()),
              f"a warning: {server.log()}")
        for model in ("llama2-chat", "llama2-chat", "other"):
            expect(ask(server.port, f"/{model}"), 200, no * 2)
        for model in ("llama2-chat", "other"):
            said = f"[one] denied: the model {model}; to permit it: nothing does yet"
            check(server.log().count(said) == 1, f"{said!r} once in {server.log()}")
    with Server(guest("llm")) as server:
        expect(ask(server.port, "/x"), 200, no * 2)


def case_app_limits():
    """Limits of one component are its own."""
    manifest = HEAD + trigger("/...", "free") + trigger("/wait", "short") + trigger("/small", "small") + \
        component("free", guest("greedy")) + \
        component("short", guest("greedy"), '[component.short.tool.mayfly]\ntimeout = "200ms"') + \
        component("small", guest("echo"), '[component.small.tool.mayfly]\nmax_body = "10"\nmax_memory = "24M"')
    with folder(manifest) as top, Server(top) as server:
        expect(ask(server.port, "/wait"), 504)
        check(server.wait_log(r"\[short\] ended: a request may take 0\.2 s of time"), "the log says whose")
        expect(ask(server.port, "/work"), 200, b"worked\n")
        with Client(server.port) as client:
            client.socket.sendall(b"POST /small HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n12345678901")
            expect(client.response(), 413)


def case_app_heads():
    """Who waits for the head gets it, of a function that begins later than its connection reads, too."""
    names = ("a", "b", "c")
    manifest = HEAD + "".join(trigger(f"/{name}", name) + component(name, guest("echo")) for name in names)
    with folder(manifest) as top, Server(top) as server:
        clients = [Client(server.port) for _ in range(12)]
        for number, client in enumerate(clients):
            client.socket.sendall(f"POST /{names[number % 3]} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for client in clients:
            while b"\r\n\r\n" not in client.pending:
                client.more()
        for client in clients:
            client.socket.sendall(b"5\r\nafter\r\n0\r\n\r\n")
            expect(client.response(), 200, b"after")
            client.socket.close()


def case_app_neighbours():
    """Endless loops, allocators at their limit and deep recursions in one function, hello in another: none of its requests fails."""
    each, seconds = 8, 2
    if os.environ.get("MAYFLY_TEST_FULL"):
        each, seconds = 64, 30
    manifest = HEAD + trigger("/", "hello") + "".join(trigger(path, "greedy") for path, _ in GREEDY) + \
        component("hello", guest("greedy")) + \
        component("greedy", guest("greedy"), '[component.greedy.tool.mayfly]\nmax_memory = "24M"\ncpu_time = "100ms"')
    with folder(manifest) as top, Server(top) as server:
        stop, failures = threading.Event(), []
        threads = [threading.Thread(target=send_again, args=(server.port, path, statuses, stop, failures))
                   for path, statuses in GREEDY for _ in range(each)]
        for thread in threads:
            thread.start()
        times, end = [], time.monotonic() + seconds
        with Client(server.port) as client:
            while time.monotonic() < end:
                began = time.monotonic()
                expect(client.ask("/"), 200, b"fine\n")
                times.append(time.monotonic() - began)
        stop.set()
        for thread in threads:
            thread.join()
        check(not failures, f"{len(failures)} other answers, the first: {failures[:3]}")
        times.sort()
        print(f"  {len(times)} requests beside {len(threads)} greedy clients: median {times[len(times) // 2] * 1000:.1f} ms, "
              f"p99 {times[len(times) * 99 // 100] * 1000:.1f} ms")


def case_app_many():
    """A thousand functions: each is itself, and costs nothing before it is asked for."""
    count = 1000
    manifest = HEAD + "".join(trigger(f"/f{i}", f"f{i}x") for i in range(count)) + \
        "".join(component(f"f{i}x", guest("given"), f'environment = {{ N = "{i}" }}') for i in range(count))
    with folder(manifest) as top:
        with Server(top):
            pass
        with Server(guest("given")) as server:
            single = resident(server.workers()[0])
        began = time.monotonic()
        with Server(top) as server:
            print(f"  {count} functions serve after {(time.monotonic() - began) * 1000:.0f} ms, with images that are known")
            worker = server.workers()[0]
            before = resident(worker)
            with Client(server.port) as client:
                for i in (*range(count), *range(0, count, 7)):
                    expect(client.ask(f"/f{i}"), 200, f"variable N={i}\n".encode())
            print(f"  a worker has {before} KiB before anything is asked for, {resident(worker)} KiB when all were")
            check(before < single + 30000, f"functions that nobody asked for cost nothing beyond a row: one has {single} KiB")
            if os.environ.get("MAYFLY_TEST_FULL"):
                time.sleep(31)
                check(resident(worker) < 3 * before + 20000, f"cold ones give back what they had: {resident(worker)} KiB are left")
                expect(ask(server.port, "/f5"), 200, b"variable N=5\n")


def memory(pid, what):
    """In bytes."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return int(re.search(rf"^{what}:\s+(\d+) kB", rollup.read(), re.M)[1]) * 1024


def case_app_idle():
    """A component that nobody asks for costs a row of tables: nothing is loaded for it."""
    counts, row, rows, used = (10, 1000), 336, 8192, {}
    with open(run.PROGRAM, "rb") as program:
        slack = 8 if b"__asan_init" in program.read() else 1  # what surrounds each block there
    for count in counts:
        manifest = HEAD + "".join(trigger(f"/f{i}", f"f{i}x") for i in range(count)) + "".join(component(f"f{i}x", guest("given")) for i in range(count))
        with folder(manifest) as top:
            with Server(top):
                pass
            began = time.monotonic()
            with Server(top) as server:
                print(f"  {count} components serve after {(time.monotonic() - began) * 1000:.0f} ms, with images that are known")
                until(lambda: len(children(server.supervisor())) == 1, "nothing is made any more")
                family = (server.process.pid, server.supervisor(), *server.workers())
                used[count] = memory(family[-1], "Private_Dirty"), sum(memory(pid, "Pss_Anon") + memory(pid, "Pss_Shmem") for pid in family)
    each = [(most - least) / (counts[1] - counts[0]) for most, least in zip(used[counts[1]], used[counts[0]])]
    print(f"  a component costs {each[0]:.0f} bytes of a worker, {each[1]:.0f} of all processes")
    check(each[0] < 2 * row * slack, f"a worker has its row, and nothing else: {each[0]:.0f} bytes")
    check(each[1] < rows * slack, f"and so has the table that all of them share: {each[1]:.0f} bytes")


def case_app_reload():
    """SIGHUP takes up the files that changed, all or none."""
    with folder(HEAD + trigger("/a", "one") + trigger("/b", "two") + component("one", "one.wasm") + component("two", "two.wasm")) as top:
        def place(name, what):
            shutil.copy(guest(what), f"{top}/{name}.tmp")
            os.rename(f"{top}/{name}.tmp", f"{top}/{name}.wasm")
        place("one", "given")
        place("two", "greedy")
        with Server(top, "--env", "A=b") as server, Client(server.port) as kept:
            expect(kept.ask("/a"), 200, b"variable A=b\n")
            expect(kept.ask("/b"), 200)
            place("two", "given")
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_log(r"reloaded$"), "it says so")
            expect(kept.ask("/b"), 200, b"variable A=b\n")
            place("one", "greedy")
            place("two", "process")
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_log(r"not reloaded: two: "), "what cannot be served is named")
            check("application has changed" not in server.log(), "the manifest is as it was")
            expect(kept.ask("/a"), 200, b"variable A=b\n")
            expect(kept.ask("/b"), 200, b"variable A=b\n")


def images_mapped(server, cache):
    """By how many places the worker runs code of images."""
    with open(f"/proc/{workers(server)[0]}/maps") as maps:
        return sum("x" in line.split()[1] and ("mayfly-image" in line or cache in line) for line in maps)


def case_app_alike():
    """Components of one file have one image, made better once, and each what it was given; the others have their own."""
    names = ("one", "two", "three", "other")
    manifest = HEAD + "".join(trigger(f"/{name}", name) for name in names) + component("other", guest("greedy")) + \
        "".join(component(name, "shared.wasm", f'environment = {{ NAME = "{name}" }}') for name in names[:3])
    with empty_cache() as cache, folder(manifest) as top:
        shutil.copy(guest("given"), f"{top}/shared.wasm")
        with observed(top, "--tier", "auto", "--workers", "1") as server:
            def itself():
                for name in names[:3]:
                    check(lines(server.port, f"/{name}") == [f"variable NAME={name}"], f"{name} is itself")
                expect(ask(server.port, "/other"), 200)
            def tiers():
                return [function["tier"] for function in state(server)["functions"]]
            itself()
            until(lambda: images_mapped(server, cache) == 2, "an image for three, one for another")
            until(lambda: tiers() == ["best"] * 4, "all get better", run.START_SECONDS)
            until(lambda: images_mapped(server, cache) == 2, "and the fast ones go")
            itself()
            until(lambda: len(re.findall("all functions are optimized", server.log())) >= 2, "the log says so of each file")
            shutil.copy(guest("greedy"), f"{top}/new.wasm")
            os.rename(f"{top}/new.wasm", f"{top}/shared.wasm")
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_log(r"reloaded$"), "it says so")
            for name in names:
                until(lambda: ask(server.port, f"/{name}")[2] == ask(server.port, "/other")[2], f"{name} is what the file is now")
            until(lambda: images_mapped(server, cache) == 2, "again one for three")
            until(lambda: tiers() == ["best"] * 4, "they get better again", run.START_SECONDS)
            check(len(re.findall("all functions are optimized", server.log())) <= 3, f"once for each file: {server.log()}")


def manifest_of(number):
    """One route that stays, one of this manifest only, and a variable that says which it is."""
    return HEAD + trigger("/given", "one") + trigger(f"/only-{number}", "other") + \
        component("one", guest("given"), f'environment = {{ N = "{number}" }}') + component("other", guest("echo"))


def case_app_follows():
    """SIGHUP after a change of the manifest: another node takes over, and no request is lost."""
    rounds, stop, failures, counts, times = 6, threading.Event(), [], [0] * 4, []

    def ask_on(number, port):
        """Half of them keep their connection until they are told that an answer was its last."""
        while not stop.is_set():
            try:
                with Client(port) as client:
                    for _ in range(1 if number % 2 else 1000):
                        answer = client.ask("/given")
                        expect(answer, 200)
                        check(re.fullmatch(rb"variable N=\d\n", answer[2]), f"another body: {answer[2]}")
                        counts[number] += 1
                        if stop.is_set() or answer[1].get("connection") == "close":
                            break
            except (Failure, OSError, ValueError) as error:
                failures.append(f"{number}: {error!r}")

    def follow(top, server):
        for number in range(1, rounds):
            write(top, manifest_of(number))
            began = time.monotonic()
            server.process.send_signal(signal.SIGHUP)
            until(lambda: ask(server.port, f"/only-{number}", method="POST", body=b"x")[0] == 200, f"manifest {number} is served",
                  pause=0.001)
            times.append(time.monotonic() - began)
            until(lambda: ask(server.port, f"/only-{number - 1}")[0] == 404, "and soon nothing else")
        until(lambda: len(children(server.process.pid)) == 1, "those that served before are gone")
        write(top, HEAD + trigger("/given", "nobody"))
        server.process.send_signal(signal.SIGHUP)
        check(server.wait_log(r"not reloaded: what was there before goes on"), "what is wrong changes nothing")
        check(re.search(r"spin\.toml:[0-9:]+ .*nobody", server.log()), "and is said")
        expect(ask(server.port, "/given"), 200, f"variable N={rounds - 1}\n".encode())
        write(top, manifest_of(rounds))
        for _ in range(5): # they may come while a node begins
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.02)
        until(lambda: ask(server.port, f"/only-{rounds}", method="POST", body=b"x")[0] == 200, "what is right again is served")
        until(lambda: len(children(server.process.pid)) == 1, "by one node")
        before = server.workers()
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(now := server.workers()) == 3 and now != before, "workers are replaced as ever")

    with folder(manifest_of(0)) as top:
        with Server(top, "--workers", "2", "--admin", "127.0.0.1:0") as server:
            threads = [threading.Thread(target=ask_on, args=(i, server.port)) for i in range(len(counts))]
            for thread in threads:
                thread.start()
            try:
                follow(top, server)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            lost = [f for f in failures if not re.search(r"Connection|Broken|closed", f)]
            check(not lost and len(failures) <= 2, f"{len(failures)} failures of {sum(counts)} requests, the first: {failures[:3]}")
            check(min(counts) > 10, f"all were served: {counts}")
            print(f"  {sum(counts)} requests, and {rounds} manifests after another, served {min(times) * 1000:.1f} to "
                  f"{max(times) * 1000:.1f} ms after the signal")
        check(server.process.returncode == 0, "it ends as it should")


def case_app_ends():
    """What ends an application: a signal while a node begins, and a supervisor that dies."""
    with folder(manifest_of(0)) as top:
        with Server(top) as server:
            write(top, manifest_of(1))
            server.process.send_signal(signal.SIGHUP)
        with Server(top) as server:
            node = server.supervisor()
            workers = children(node)
            os.kill(node, signal.SIGKILL)
            check(server.process.wait(20) == 128 + signal.SIGKILL, f"its status is passed on: {server.process.returncode}")
            until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "nobody is left behind")
            server.stop = lambda: 0


def case_app_files():
    """A folder of the manifest is there to be read, under its name, for that component only."""
    manifest = HEAD + trigger("/a.txt", "one") + trigger("/two", "two") + \
        component("one", guest("given"), 'files = [{ source = "data", destination = "/inside" }]') + component("two", guest("given"))
    with folder(manifest) as top:
        os.mkdir(f"{top}/data")
        write(f"{top}/data", "")
        with open(f"{top}/data/a.txt", "w") as file:
            file.write("text")
        with Server(top) as server:
            check(lines(server.port, "/a.txt") == ["directory /inside text unwritten"], f"the folder is there, not {lines(server.port, '/a.txt')}")
            check(lines(server.port, "/two") == [], "for nobody else")
        shutil.rmtree(f"{top}/data")
        done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", top], capture_output=True, text=True)
        check(done.returncode == 1 and re.search(r"spin\.toml:\d+: .*data", done.stderr), f"an absent one is named, not {done.stderr!r}")


def case_app_format():
    """--format json says where it serves, and the routes with who answers them, as Spin does."""
    manifest = HEAD + trigger("/a/...", "one") + trigger("/b", "two") + '[[trigger.http]]\nroute = { private = true }\ncomponent = "one"\n' + \
        '[[trigger.http]]\nid = "fixed"\nroute = "/c"\nstatic_response = { body = "short" }\n' + \
        component("one", guest("given"), 'description = "the \\"first\\""') + component("two", guest("given"))
    routes = [{"id": "one", "route": "/a/...", "wildcard": True, "description": 'the "first"'},
              {"id": "two", "route": "/b", "wildcard": False}, {"id": "fixed", "route": "/c", "wildcard": False}]
    with folder(manifest) as top:
        for file, wanted in ((top, routes), (guest("given"), [{"id": "given", "route": "/...", "wildcard": True}])):
            process = subprocess.Popen([*command("up"), "--listen", "127.0.0.1:0", "--format", "json", file], stdout=subprocess.PIPE, text=True,
                                       stderr=subprocess.DEVNULL)
            text = ""
            while not text.endswith("\n}\n") and (line := process.stdout.readline()):
                text += line
            said = json.loads(text)
            check(said["routes"] == wanted and check_described("format", said) >= {path for path, _ in leaves(said)}, f"what is said: {text}")
            port = re.fullmatch(r"http://127\.0\.0\.1:(\d+)", said["base_url"])
            expect(ask(int(port[1]), "/b"), 200)
            process.send_signal(signal.SIGTERM)
            check(process.wait(timeout=60) == 0, "it ends")


def case_app_endless():
    """A start function that never ends holds up nobody else, and no node."""
    manifest = HEAD + trigger("/endless", "endless") + trigger("/...", "one") + component("one", guest("given"), 'environment = { A = "1" }') + \
        component("endless", guest("endless"), '[component.endless.tool.mayfly]\ncpu_time = "1s"')
    with folder(manifest) as top, Server(top) as server:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Client(server.port)) for _ in range(3)]
            for client in clients:
                client.send("/endless")
            answered = 0
            began = time.monotonic()
            while time.monotonic() - began < 0.5:
                expect(ask(server.port, "/"), 200, b"variable A=1\n")
                answered += 1
            check(answered > 3, f"others are answered meanwhile: {answered}")
            for client in clients:
                expect(client.response(), 500)
        check(server.wait_log(r"\[endless\] not loaded: instantiation traps: time limit reached"), "the log says why")
        expect(ask(server.port, "/endless"), 500)
        expect(ask(server.port, "/"), 200, b"variable A=1\n")
    done = subprocess.run([*command("up"), "--listen", "127.0.0.1:0", "--cpu-time", "200ms", guest("endless")], capture_output=True, text=True)
    check(done.returncode == 1 and "instantiation traps: time limit reached" in done.stderr, f"alone it is refused, not {done.stderr!r}")


def case_app_profile():
    """--profile takes what components have for it."""
    manifest = HEAD + trigger("/...", "one") + component("one", guest("given"), 'environment = { A = "1" }') + \
        f'[component.one.profile.other]\nenvironment = {{ A = "2" }}\n'
    with folder(manifest) as top:
        for options, value in (((), 1), (("--profile", "other"), 2)):
            with Server(top, *options) as server:
                check(lines(server.port, "/") == [f"variable A={value}"], f"{options} gives {value}")


def case_app_stores():
    """Each component opens the stores and databases that the manifest names for it, and no other's."""
    manifest = HEAD + trigger("/kv/...", "one") + trigger("/sql/...", "two") + trigger("/old/...", "none") + \
        component("one", guest("storage"), 'key_value_stores = ["default", "more"]') + \
        component("two", guest("storage"), 'sqlite_databases = ["default"]') + component("none", guest("storage"))
    with folder(manifest) as top:
        with Server(top, "--workers", "2") as server:
            expect(ask(server.port, "/kv/default/set/k/1"), 200, b"done\n")
            expect(ask(server.port, "/kv/more/get/k"), 404)
            expect(ask(server.port, "/kv/other/get/k"), 500, b"access-denied\n")
            expect(ask(server.port, "/sql/default/SELECT%201%20AS%20n"), 200, b"n\n1\n")
            expect(ask(server.port, "/sql/more/SELECT%201"), 500, b"access-denied\n")
            expect(ask(server.port, "/old/default/get/k"), 500, b"access-denied\n")
        check(sorted(os.listdir(f"{top}/.mayfly")) == ["key-value", "sqlite"], "they are kept beside the manifest")
        with Server(top) as server:
            expect(ask(server.port, "/kv/default/get/k"), 200, b"1")


CASES = {name[5:]: function for name, function in list(globals().items()) if name.startswith("case_")}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CASES))
