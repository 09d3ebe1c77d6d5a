#!/usr/bin/env python3
"""mayfly-toml.so, the only C++: it needs libc and nothing else, shows one symbol, and who lacks it is told what to do.

    library.py LIBRARY TEST-PROGRAM    the latter reads TOML, and is copied to where the library is not
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def check_library(library):
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", output("readelf", "-d", library)))
    needed = {name for name in needed if not re.match(r"lib(asan|ubsan|m|gcc_s)\.so|ld-", name)}
    assert needed == {"libc.so.6"}, f"it needs {needed}"
    symbols = {line.split()[-1] for line in output("nm", "-D", "--defined-only", library).splitlines()}
    assert symbols == {"mayfly_toml_read_1"}, f"it shows {symbols}"


def check_lacking(program):
    with tempfile.TemporaryDirectory() as top: # the folder above is looked into, too
        folder = os.path.join(top, "inside")
        os.mkdir(folder)
        copy = shutil.copy(program, folder)
        done = subprocess.run([copy], capture_output=True, text=True)
        assert done.returncode != 0, "it reads TOML without the library"
        said = done.stdout + done.stderr
        assert "this installation reads no manifests (mayfly-toml.so is missing)" in said, said
        with open(os.path.join(folder, "mayfly-toml.so"), "w") as broken:
            broken.write("no library")
        done = subprocess.run([copy], capture_output=True, text=True)
        assert "no manifests: " in done.stdout + done.stderr, done.stdout + done.stderr


def main():
    for tool in ("readelf", "nm"):
        if not shutil.which(tool):
            print(f"skipped: {tool} is not installed")
            sys.exit(77)
    check_library(sys.argv[1])
    check_lacking(sys.argv[2])


main()
