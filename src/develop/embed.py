#!/usr/bin/env python3
"""The files of templates/ and the interfaces of wit/ that they need, as C: embed.py TEMPLATES WIT OUT.c

Interfaces get the version that the engines of JavaScript and Python were built with; every later 0.2 is compatible with
it, so the other templates take them too.
"""
import os
import sys

INTERFACES = ("cli", "clocks", "filesystem", "http", "io", "random", "sockets")
VERSION = (b"0.2.12", b"0.2.10")


def files(folder):
    """(template, path, bytes); what is in no folder, or in wit, is everybody's."""
    for top, folders, names in sorted(os.walk(folder)):
        folders.sort()
        for name in sorted(names):
            path = os.path.relpath(os.path.join(top, name), folder)
            template, slash, inner = path.partition("/")
            with open(os.path.join(top, name), "rb") as file:
                own = slash and template != "wit"
                yield (template, inner, file.read()) if own else ("", path, file.read())


def interfaces(folder):
    for package in INTERFACES:
        name = f"wasi-{package}.wit"
        with open(os.path.join(folder, name), "rb") as file:
            yield "", f"wit/deps/{name}", file.read().replace(*VERSION)


def main(templates, wit, out):
    rows = [*files(templates), *interfaces(wit)]
    with open(out, "w", encoding="ascii") as file:
        file.write('/* Made by embed.py. */\n#include "develop/template.h"\n\n')
        for number, (_, _, data) in enumerate(rows):
            file.write(f"static const uint8_t file_{number}[] = {{{','.join(map(str, data)) or '0'}}};\n")
        file.write("\nconst struct template_file template_files[] = {\n")
        for number, (template, path, data) in enumerate(rows):
            file.write(f'    {{"{template}", "{path}", file_{number}, {len(data)}}},\n')
        file.write("    {0},\n};\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
