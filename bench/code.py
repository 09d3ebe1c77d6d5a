#!/usr/bin/env python3
"""How fast generated code is: programs of bench/programs in mayfly, native and in wasmtime, beside each other.

The same source is compiled by one clang for the guest and for the machine; the rounds of all sides take turns on one
core. What is compared is processor time (user and system) of the whole process for bench(N), less that for bench(0)
of the same side: the cost of a start is not in it, page faults are. Every side must give the same checksum; one that
does not fails the run. Two real programs, Lua and SQLite, are fetched as source packages into a cache folder outside
of the tree; offline their rows are left out by name.

    code.py [--rounds N] [--only NAME,...] [--no-peers] [--no-real] [--module FILE] [--json]
    code.py --calls [--rounds N] [--no-peers] [--json]
"""
import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import peers
import real

PROGRAMS = os.path.join(peers.ROOT, "bench", "programs")
CLANG = os.environ.get("BENCH_CLANG", "clang-19")
BOTH = ["-O2", "-fno-math-errno", "-Wall"]
GUEST = ["--target=wasm32", "-msimd128", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry", "-Wl,-z,stack-size=1048576"]
LEVEL = "x86-64-v2"  # what images are compiled for
NATIVE = [f"-march={LEVEL}"]
# Name, what it stands for, N: about a quarter of a second natively.
ROWS = (
    ("sha256", "integer", 2400), ("sieve", "integer", 800), ("nbody", "floating point", 4000000),
    ("spectral", "floating point", 1150), ("matmul", "floating point", 700), ("fft", "floating point", 6000),
    ("mandel", "SIMD, floats", 300), ("blend", "SIMD, bytes", 160000), ("chase", "memory, latency", 300),
    ("triad", "memory, bandwidth", 1500), ("bulk", "memory, copy and fill", 10000000), ("fields", "structures", 11000),
    ("fib", "calls", 40), ("tak", "calls", 4500), ("ackermann", "calls, deep", 3800),
    ("shapes", "indirect calls", 25000), ("interpreter", "br_table", 500), ("trees", "allocation", 9000),
    ("tokens", "text", 3800), ("sort", "comparison by pointer", 900),
)


def quiet(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"failed: {' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout


def processor_time(command):
    """Seconds of processor time (user and system) of one run on the pinned core, and its output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdout=out, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if child.returncode:
            sys.exit(f"failed: {' '.join(command)}\n{errors.read().decode(errors='replace')[-2000:]}")
        return usage.ru_utime + usage.ru_stime, out.read().decode()


def checksum(text):
    return int(text.strip()) & (1 << 64) - 1  # wasmtime prints numbers with a sign


class Program:
    """One row: how each side runs it."""

    def __init__(self, name, kind, n, folder, wasm, native, note=""):
        self.name, self.kind, self.n, self.note, self.wasm = name, kind, n, note, wasm
        self.folder, self.sides = folder, {"native": [native]}
        self.image = os.path.join(folder, name + ".image")
        self.compile_seconds = compile_image(wasm, self.image)
        self.sides["mayfly"] = [os.path.join(peers.BUILD, "bench-run"), self.image]
        compile_image(wasm, self.image + ".fast", "--tier", "fast")
        self.sides["fast"] = [os.path.join(peers.BUILD, "bench-run"), self.image + ".fast"]

    def add_wasmtime(self, side, program, options):
        made = os.path.join(self.folder, f"{self.name}.{side}.cwasm")
        done = subprocess.run([program, "compile", *options, self.wasm, "-o", made], capture_output=True, text=True)
        if done.returncode == 0:
            self.sides[side] = [program, "run", *options, "--allow-precompiled", "--invoke", "bench", made]

    def measure(self, rounds):
        """Seconds per side, a list; the sides take turns."""
        seconds, sums = {side: [] for side in self.sides}, {}
        for round_number in range(rounds + 1):
            for side, command in self.sides.items():
                start, _ = processor_time([*command, "0"])
                spent, text = processor_time([*command, str(self.n)])
                sums[side] = checksum(text)
                if round_number:  # the first round warms the files
                    seconds[side].append(max(spent - start, 1e-6))
        wrong = [side for side in sums if sums[side] != sums["native"]]
        if wrong:
            sys.exit(f"{self.name}: wrong checksum: {sums}")
        return seconds


def compile_image(wasm, image, *options):
    """Processor seconds of the compiler; the cache must not answer."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        before = os.times()
        quiet([os.path.join(peers.BUILD, "mayfly"), "compile", *options, wasm, "-o", image], env=environment)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system


def compile_again(wasm, folder):
    """Processor seconds of a compile into an empty cache, and of one after a change outside of the functions."""
    file, seconds, kept = os.path.join(folder, "again.wasm"), [], 0
    environment = {**os.environ, "XDG_CACHE_HOME": os.path.join(folder, "again-cache")}
    shutil.copy(wasm, file)
    for _ in range(2):
        before = os.times()
        said = json.loads(quiet([os.path.join(peers.BUILD, "mayfly"), "compile", "--json", file, "-o", file + ".image"],
                                env=environment))
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
        kept = said["functions_kept"]
        with open(file, "ab") as out:
            out.write(b"\0\2\1a")  # an empty custom section
    return {"first_cpu_seconds": seconds[0], "again_cpu_seconds": seconds[1], "functions_kept": kept}


def code_section(path):
    """Bytes of the code section of a core module."""
    with open(path, "rb") as file:
        data = file.read()
    at = 8
    while at < len(data):
        kind, size, at, shift = data[at], 0, at + 1, 0
        while True:
            size |= (data[at] & 0x7f) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 0x80:
                break
        if kind == 10:
            return size
        at += size
    return 0


def whole_compile(command, environment):
    """Processor seconds and seconds of one compiler process, and the most memory it had, in MB."""
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        taken = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            out.seek(0)
            sys.exit(f"failed: {' '.join(command)}\n{out.read().decode(errors='replace')[-2000:]}")
        return usage.ru_utime + usage.ru_stime, taken, usage.ru_maxrss / 1024


def generation(wasm, folder, wasmtime, rounds):
    """How fast compilers make code of one module: processor time of the whole process, on all processors."""
    made, size, rows = os.path.join(folder, "made"), code_section(wasm), {}
    commands = {"mayfly fast": [os.path.join(peers.BUILD, "mayfly"), "compile", "--tier", "fast", wasm, "-o", made]}
    if wasmtime:
        commands["wasmtime"] = [wasmtime, "compile", wasm, "-o", made]
        commands["winch"] = [wasmtime, "compile", "-C", "compiler=winch", wasm, "-o", made]
    runs = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            with tempfile.TemporaryDirectory() as cache:
                runs[name].append(whole_compile(command, {**os.environ, "XDG_CACHE_HOME": cache}))
    for name, values in runs.items():
        cpu, taken, memory = (statistics.median(column) for column in zip(*values))
        rows[name] = {"cpu_seconds": cpu, "seconds": taken, "memory_mb": memory, "mb_per_second": size / 1e6 / cpu}
    alone = quiet([os.path.join(peers.BUILD, "bench-generate"), wasm]).splitlines()
    return {"code_bytes": size, "file_bytes": os.path.getsize(wasm), "rows": rows, "fast_alone": alone}


def build_small(name, folder):
    source = os.path.join(PROGRAMS, name + ".c")
    wasm, native = os.path.join(folder, name + ".wasm"), os.path.join(folder, name)
    quiet([CLANG, *BOTH, *GUEST, source, "-o", wasm])
    if name != "calls":
        quiet([CLANG, *BOTH, *NATIVE, source, os.path.join(PROGRAMS, "native.c"), "-o", native])
    return wasm, native


def ratios(seconds, side, base="native"):
    return [a / b for a, b in zip(seconds[side], seconds[base])]


def summary(values):
    """Median, and the median of the distances from it."""
    middle = statistics.median(values)
    return middle, statistics.median(abs(v - middle) for v in values)


def result_of(program, seconds):
    row = {"name": program.name, "kind": program.kind, "n": program.n, "note": program.note,
           "seconds": {side: statistics.median(values) for side, values in seconds.items()},
           "wasm_bytes": os.path.getsize(program.wasm), "image_bytes": os.path.getsize(program.image),
           "compile_cpu_seconds": program.compile_seconds, "ratio": {}, "spread": {}}
    for side in seconds:
        if side != "native":
            row["ratio"][side], row["spread"][side] = summary(ratios(seconds, side))
    return row


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def border_calls(folder, rounds):
    """Nanoseconds per call: guest to host, host to guest."""
    wasm, _ = build_small("calls", folder)
    image = os.path.join(folder, "calls.image")
    compile_image(wasm, image)
    command = [os.path.join(peers.BUILD, "bench-run"), image, "5000000", "calls"]
    runs = [[float(v) for v in quiet(command).split()] for _ in range(rounds)]
    return {"host_call_ns": summary([r[0] for r in runs]), "guest_call_ns": summary([r[1] for r in runs])}


# Functions of components.wat, and what each call carries.
COMPONENT_CALLS = (("scalars", "a number, a number back"), ("strings", "a string of 16 bytes"),
                   ("lists", "a list of 16 bytes"), ("records", "a number, a record of four fields back"),
                   ("methods", "a method: the handle is lent, and a number"))
COMPONENT_SIDES = ("best", "fast", "wasmtime", "winch")


def component_commands(folder, wasmtime):
    """By side, what runs a function of the component a number of times, with the compiling done."""
    file, mayfly = os.path.join(PROGRAMS, "components.wasm"), os.path.join(peers.BUILD, "mayfly")
    commands = {}
    for tier in ("best", "fast"):
        image = os.path.join(folder, f"components.{tier}.image")
        compile_image(file, image, "--tier", tier)
        commands[tier] = lambda function, n, image=image: [mayfly, "run", "--invoke", function, image, str(n)]
    for side, options in (("wasmtime", []), ("winch", ["-C", "compiler=winch"])) if wasmtime else ():
        made = os.path.join(folder, f"components.{side}.cwasm")
        quiet([wasmtime, "compile", *options, file, "-o", made])
        commands[side] = lambda function, n, made=made, options=options: [
            wasmtime, "run", *options, "--allow-precompiled", "--invoke", f"{function}({n})", made]
    return commands


def seconds_of(command, function, count):
    """Processor time of so many calls, less that of none."""
    start, _ = processor_time(command(function, 0))
    spent, _ = processor_time(command(function, count))
    return max(spent - start, 1e-6)


def component_calls(folder, wasmtime, rounds):
    """Nanoseconds per call from one component into another, by what is passed and by side; the sides take turns. The
    loop stands in the calling component, so that both runtimes do the same between the same two clocks. Each side
    makes as many calls as take it a quarter of a second."""
    commands, few, found = component_commands(folder, wasmtime), 1000000, {}
    for function, _ in COMPONENT_CALLS:
        sums = {side: checksum(quiet(command(function, few))) for side, command in commands.items()}
        if len(set(sums.values())) != 1:
            sys.exit(f"calls between components, {function}: results differ: {sums}")
        counts = {side: max(int(few * 0.25 / seconds_of(command, function, few)), few // 4)
                  for side, command in commands.items()}
        times = {side: [] for side in commands}
        for _ in range(rounds):
            for side, command in commands.items():
                times[side].append(seconds_of(command, function, counts[side]) / counts[side] * 1e9)
        found[function] = {side: summary(values) for side, values in times.items()}
    return found


def can_run():
    return re.search(r"^  run\b", quiet([os.path.join(peers.BUILD, "mayfly"), "help"]), re.M) is not None


def wall(command):
    """Milliseconds; the cache is an empty one."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        start = time.perf_counter()
        quiet(command, env=environment)
        return (time.perf_counter() - start) * 1e3


def whole_process(folder, wasmtime, rounds):
    """Milliseconds of a hello in C, from start to end: compiled before, and an unknown file. None where this mayfly
    cannot run commands."""
    source, wasm, image = (os.path.join(folder, "hello" + end) for end in (".c", ".wasm", ".image"))
    with open(source, "w") as file:
        file.write('#include <stdio.h>\nint main(void)\n{\n    puts("hello");\n    return 0;\n}\n')
    quiet([CLANG, "--target=wasm32-wasi", "-O2", source, "-o", wasm])
    sides = {"/bin/true": ["/bin/true"]}
    if can_run():
        compile_image(wasm, image)
        sides["mayfly run"] = [os.path.join(peers.BUILD, "mayfly"), "run", image]
        sides["mayfly run, unknown file"] = [os.path.join(peers.BUILD, "mayfly"), "run", wasm]
    if wasmtime:
        made = os.path.join(folder, "hello.cwasm")
        quiet([wasmtime, "compile", wasm, "-o", made])
        sides["wasmtime run"] = [wasmtime, "run", "--allow-precompiled", made]
    times = {side: [] for side in sides}
    for _ in range(rounds * 8):
        for side, command in sides.items():
            times[side].append(wall(command))
    return {side: summary(values) for side, values in times.items()}


def versions(wasmtime):
    first = lambda command: quiet(command).split("\n")[0].strip()
    found = {"mayfly": first([os.path.join(peers.BUILD, "mayfly"), "version"]), "clang": first([CLANG, "--version"])}
    if wasmtime:
        found["wasmtime"] = first([wasmtime, "--version"])
    return found


def print_results(results, sides):
    rows = [["program", "stands for", "native s", *sides, "compile s", "image/Wasm", "note"]]
    for row in results["programs"]:
        cell = lambda side: f"{row['ratio'][side]:.2f} ±{row['spread'][side]:.2f}" if side in row["ratio"] else "-"
        rows.append([row["name"], row["kind"], f"{row['seconds']['native']:.3f}", *map(cell, sides),
                     f"{row['compile_cpu_seconds']:.2f}", f"{row['image_bytes'] / row['wasm_bytes']:.1f}", row["note"]])
    means = [f"{results['geometric_mean'].get(side, float('nan')):.2f}" for side in sides]
    rows.append(["geometric mean", "", "", *means, "", "", ""])
    peers.table(rows)


def print_others(results):
    print()
    for name, (middle, spread) in results["calls"].items():
        print(f"{name.replace('_', ' ')}: {middle:.1f} ±{spread:.1f}")
    for side, (middle, spread) in results["hello_ms"].items():
        print(f"hello in C, whole process, ms: {side} {middle:.2f} ±{spread:.2f}")
    if "mayfly run" not in results["hello_ms"]:
        print("left out: hello in mayfly (this mayfly has no command 'run')")
    for name, reason in results["left_out"].items():
        print(f"left out: {name} ({reason})")
    for row in results["programs"]:
        if row["wasm_bytes"] > 100000:
            rate = row["wasm_bytes"] / 1e6 / row["compile_cpu_seconds"]
            print(f"compile speed, {row['name']}: {rate:.3f} MB of Wasm per second and core")


def print_generation(name, result):
    print(f"\n{name}: {result['code_bytes'] / 1e6:.2f} MB of code in {result['file_bytes'] / 1e6:.2f} MB")
    rows = [["compiler", "MB of code per second of processor time", "whole process, s", "memory, MB"]]
    for side, row in result["rows"].items():
        rows.append([side, f"{row['mb_per_second']:.1f}", f"{row['seconds']:.3f}", f"{row['memory_mb']:.0f}"])
    peers.table(rows)
    print("the fast generator without a process around it:", *result["fast_alone"], sep="\n    ")


def print_component_calls(results):
    """Nanoseconds per call, median and median distance from it."""
    rows = [["call between components, ns", *(side for side in COMPONENT_SIDES if side in results["scalars"])]]
    for function, words in COMPONENT_CALLS:
        rows.append([words, *(f"{results[function][side][0]:.1f} ±{results[function][side][1]:.1f}"
                              for side in rows[0][1:])])
    peers.table(rows)


def print_again(again):
    print(f"compiled again after a change outside of the functions, {again['program']}: "
          f"{again['again_cpu_seconds']:.2f} s of processor time, not {again['first_cpu_seconds']:.2f}; "
          f"{again['functions_kept']} functions kept")


def gather(options, folder, results):
    """The programs wanted, built."""
    wanted = options.only.split(",") if options.only else None
    for name, kind, n in ROWS:
        if not wanted or name in wanted:
            yield Program(name, kind, n, folder, *build_small(name, folder))
    for row in real.ROWS:
        if wanted and row.name not in wanted or options.no_real:
            continue
        try:
            wasm, native = real.build(row, folder, CLANG, BOTH, NATIVE)
        except real.Missing as reason:
            results["left_out"][row.name] = str(reason)
            continue
        yield Program(row.name, row.kind, row.n, folder, wasm, native, row.note)


def only_calls(options, wasmtime):
    folder = tempfile.mkdtemp()
    try:
        results = component_calls(folder, wasmtime, options.rounds)
    finally:
        shutil.rmtree(folder)
    found = {"machine": peers.machine(), "versions": versions(wasmtime), "rounds": options.rounds}
    if options.json:
        print(json.dumps({**found, "component_calls": results}, indent=1))
        return
    print(f"{found['machine']}; {'; '.join(found['versions'].values())}")
    print(f"processor time, median of {options.rounds} rounds ± median distance\n")
    print_component_calls(results)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--no-peers", action="store_true", help="mayfly and native only")
    parser.add_argument("--no-real", action="store_true", help="without the programs that are fetched")
    parser.add_argument("--module", action="append", default=[], metavar="FILE",
                        help="a core module to measure the compilers with, besides the largest program")
    parser.add_argument("--calls", action="store_true", help="calls between components, and nothing else")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.sched_setaffinity(0, {int(peers.SERVER_CORE)})
    wasmtime = None if options.no_peers else peers.wasmtime_program()
    if options.calls:
        only_calls(options, wasmtime)
        return
    peers.needs(CLANG)
    peers.needs(CLANG.replace("clang", "wasm-ld"))
    folder = tempfile.mkdtemp()
    results = {"machine": peers.machine(), "versions": versions(wasmtime), "rounds": options.rounds,
               "guest": [*BOTH, *GUEST], "native": [*BOTH, *NATIVE], "programs": [], "generation": {}, "left_out": {}}
    if not options.json:
        print(f"{results['machine']}; {'; '.join(results['versions'].values())}\n"
              f"guest: {' '.join(results['guest'])}; native: {' '.join(results['native'])}; images for {LEVEL}\n"
              f"ratios of processor time to native: median of {options.rounds} rounds ± median distance\n", flush=True)
    try:
        for program in gather(options, folder, results):
            if wasmtime:
                program.add_wasmtime("wasmtime", wasmtime, [])
                program.add_wasmtime("winch", wasmtime, ["-C", "compiler=winch"])
            results["programs"].append(result_of(program, program.measure(options.rounds)))
            print(f"{program.name} done", file=sys.stderr, flush=True)
        sides = ["mayfly", "fast"] + (["wasmtime", "winch"] if wasmtime else [])
        results["geometric_mean"] = {
            side: geometric_mean([row["ratio"][side] for row in results["programs"] if side in row["ratio"]])
            for side in sides}
        results["calls"] = border_calls(folder, options.rounds)
        results["component_calls"] = component_calls(folder, wasmtime, options.rounds)
        largest = max(results["programs"], key=lambda row: row["wasm_bytes"])["name"]
        results["again"] = {"program": largest, **compile_again(os.path.join(folder, largest + ".wasm"), folder)}
        for path in [os.path.join(folder, largest + ".wasm"), *options.module]:
            everywhere = os.sched_getaffinity(0)
            os.sched_setaffinity(0, range(os.cpu_count()))
            results["generation"][os.path.basename(path)] = generation(path, folder, wasmtime, options.rounds)
            os.sched_setaffinity(0, everywhere)
        results["hello_ms"] = whole_process(folder, wasmtime, options.rounds)
    finally:
        shutil.rmtree(folder)
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        print_results(results, sides)
        print_others(results)
        print()
        print_component_calls(results["component_calls"])
        print()
        print_again(results["again"])
        for name, result in results["generation"].items():
            print_generation(name, result)


if __name__ == "__main__":
    main()
