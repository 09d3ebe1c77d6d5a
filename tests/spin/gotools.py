#!/usr/bin/env python3
"""What Go needs to build an application of Spin's SDK where the module proxy and the releases of github.com cannot be
reached: a proxy made of git repositories, and componentize-go compiled from its sources. go.py sets the environment.

    gotools.py FOLDER RELEASE [MODULE VERSION REPOSITORY COMMIT]...

FOLDER/proxy gets the modules, FOLDER/RELEASE/componentize-go what `go tool componentize-go` would download.
"""
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:1] = [os.path.join(os.path.dirname(HERE), "e2e"), HERE]   # where `run` is that of tests/e2e
SPEC = importlib.util.spec_from_file_location("harness", os.path.join(HERE, "run.py"))
HARNESS = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(HARNESS)

TOOL = ("bytecodealliance/componentize-go", "v0.3.4")
BINDINGS = "bytecodealliance/wit-bindgen"


def sources(name, commit):
    """The files of the commit, as a tar archive that was read."""
    done = subprocess.run(["git", "-C", HARNESS.repository(name, os.environ.get("SPIN_SOURCES")), "archive", "--format=tar", commit],
                          capture_output=True)
    if done.returncode != 0:
        raise HARNESS.NotTried(f"failed to download {name} at {commit}")
    return tarfile.open(fileobj=io.BytesIO(done.stdout))


def add_module(proxy, module, version, name, commit):
    """One version, as the module proxy's protocol has it: no modules within, no links."""
    folder = os.path.join(proxy, re.sub("[A-Z]", lambda letter: "!" + letter.group().lower(), module), "@v")
    if os.path.exists(os.path.join(folder, version + ".zip")):
        return
    os.makedirs(folder, exist_ok=True)
    with sources(name, commit) as archive:
        files = [entry for entry in archive if entry.isreg()]
        inner = [os.path.dirname(entry.name) + "/" for entry in files if os.path.basename(entry.name) == "go.mod" and "/" in entry.name]
        with zipfile.ZipFile(os.path.join(folder, version + ".part"), "w", zipfile.ZIP_DEFLATED) as made:
            for entry in files:
                if not any(entry.name.startswith(prefix) for prefix in inner) and "vendor/" not in entry.name:
                    made.writestr(f"{module}@{version}/{entry.name}", archive.extractfile(entry).read())
        with open(os.path.join(folder, version + ".mod"), "wb") as file:
            file.write(archive.extractfile("go.mod").read())
    with open(os.path.join(folder, version + ".info"), "w") as file:
        file.write(f'{{"Version": "{version}"}}')
    os.rename(os.path.join(folder, version + ".part"), os.path.join(folder, version + ".zip"))


def build_tool(made):
    """The binary of the tool's last release, which stands for those before it."""
    if os.path.exists(made):
        return
    with tempfile.TemporaryDirectory() as work:
        with sources(*TOOL) as archive:
            archive.extractall(work, filter="data")
        manifest = os.path.join(work, "Cargo.toml")
        with open(manifest) as file:
            text = file.read()
        commit = re.search(r'^wit-bindgen-go = .*rev = "([0-9a-f]+)"', text, re.M).group(1)
        with sources(BINDINGS, commit) as archive:
            archive.extractall(os.path.join(work, "bindings"), filter="data")
        text = re.sub(r"^wit-bindgen-go = .*$", 'wit-bindgen-go = { path = "bindings/crates/go" }', text, flags=re.M)
        with open(manifest, "w") as file:
            file.write(text.replace('members = ["./tests"]', 'members = ["./tests"]\nexclude = ["bindings"]'))
        done = subprocess.run(["cargo", "build", "--release", "-q", "--bin", "componentize-go"], cwd=work)
        if done.returncode != 0:
            sys.exit("componentize-go cannot be built")
        os.makedirs(os.path.dirname(made), exist_ok=True)
        shutil.copy(os.path.join(work, "target/release/componentize-go"), made)


def main():
    folder, release, *modules = sys.argv[1:]
    for i in range(0, len(modules), 4):
        add_module(os.path.join(folder, "proxy"), *modules[i:i + 4])
    tool = os.path.join(folder, "bin", "componentize-go")
    build_tool(tool)
    place = os.path.join(folder, release, "componentize-go")
    os.makedirs(os.path.join(place, "bin"), exist_ok=True)
    if not os.path.exists(os.path.join(place, "bin", "componentize-go")):
        os.link(tool, os.path.join(place, "bin", "componentize-go"))
    with open(os.path.join(place, "version.txt"), "w") as file:
        file.write(release)


if __name__ == "__main__":
    try:
        main()
    except HARNESS.NotTried as why:
        sys.exit(f"failed to download: {why}")
