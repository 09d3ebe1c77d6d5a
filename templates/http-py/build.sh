#!/bin/sh
# Makes @project-name@.wasm: app.py and the interpreter that runs it. Packages of requirements.txt go into .venv, unless
# componentize-py is there already.
set -eu
if [ -x .venv/bin/componentize-py ]; then
    PATH=$PWD/.venv/bin:$PATH
elif ! command -v componentize-py >/dev/null; then
    python3 -m venv .venv
    .venv/bin/pip install --quiet -r requirements.txt
    PATH=$PWD/.venv/bin:$PATH
fi
componentize-py --wit-path wit --world handler componentize app --output @project-name@.wasm
