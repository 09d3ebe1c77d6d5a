#!/usr/bin/env python3
"""A test of Spin's in the current folder becomes an application: the test components that its files name are built from
the same tree, and what the files leave open is filled in, as their own runner does it:

    %{source=NAME}    the component NAME of tests/test-components/components or components
    %{port=N}         N, since services are at their usual ports here

    prepare.py [--target TARGET] [--release]
"""
import os
import re
import shutil
import subprocess
import sys

PLACES = ("tests/test-components/components", "components")
# Its own dependency is a repository; cargo would fetch it for any other member of the workspace, too.
APART = "wasi-otel-tracing"


def top():
    folder = os.getcwd()
    while not os.path.exists(os.path.join(folder, ".complete")):
        if folder == os.path.dirname(folder):
            sys.exit("not within what run.py unpacked")
        folder = os.path.dirname(folder)
    return folder


def component_folder(name):
    for place in PLACES:
        found = os.path.join(top(), place, name)
        if os.path.isdir(found):
            return found
    sys.exit(f"there is no test component {name}")


def build(name, arguments):
    """The path of what came out, which stays as the test's NAME.wasm."""
    folder = component_folder(name)
    apart = os.path.join(os.path.dirname(folder), APART)
    if name != APART and os.path.isdir(apart):
        shutil.rmtree(apart)
    target = arguments[arguments.index("--target") + 1]
    profile = "release" if "--release" in arguments else "debug"
    output = os.path.join(top(), "target-components")
    done = subprocess.run(["cargo", "build", "-q", "--target-dir", output, *arguments], cwd=folder)
    if done.returncode != 0:
        sys.exit(f"{name} cannot be built")
    with open(os.path.join(folder, "Cargo.toml")) as file:
        package = re.search(r'^name\s*=\s*"(.*?)"', file.read(), re.M).group(1)
    for stem in (re.sub(r"[-.]", "_", package), package):
        made = os.path.join(output, target, profile, stem + ".wasm")
        if os.path.exists(made):
            shutil.copy(made, name + ".wasm")
            return name + ".wasm"
    sys.exit(f"{name}: nothing came out of its build")


def fill(path, arguments):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"%\{source=(.*?)\}", lambda match: build(match.group(1), arguments), text)
    text = re.sub(r"%\{port=(\d+)\}", r"\1", text)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    arguments = sys.argv[1:]
    if "--target" not in arguments:
        arguments += ["--target", "wasm32-wasip1"]
    for name in sorted(os.listdir(".")):
        if name.endswith(".toml") and os.path.isfile(name):
            fill(name, arguments)


main()
