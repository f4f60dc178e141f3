#!/bin/sh
# Make .venv, or bring it up to date with pyproject.toml and constraints.txt. The Makefile calls this.
# uv where it works, else venv and pip. PYTHON=... names the interpreter.
set -eu
cd "$(dirname "$0")/.."

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

# `command -v` is not enough for either: a version manager's shim exists and fails.
uv_works() { [ -z "${CLIPVIZ_NO_UV:-}" ] && uv --version >/dev/null 2>&1; }

find_python() {
    for name in ${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do
        "$name" -c "$supported" >/dev/null 2>&1 || continue
        uv_works || "$name" -c 'import ensurepip, venv' >/dev/null 2>&1 || { lacking=$name; continue; }
        "$name" -c 'import sys; print(sys.executable)'
        return 0
    done
    if [ -n "${lacking:-}" ]; then
        echo "$lacking has no venv module, which clipviz needs to make .venv: install it (Debian, Ubuntu: apt install python3-venv) or install uv." >&2
    else
        echo "clipviz needs Python 3.11, 3.12 or 3.13 and none was found: install one, or name it with make PYTHON=/path/to/python3.12." >&2
    fi
    return 1
}

if ! .venv/bin/python -c "$supported" >/dev/null 2>&1; then
    python=$(find_python)
    rm -rf .venv
    if uv_works; then uv venv --quiet --python "$python" .venv; else "$python" -m venv .venv; fi
fi

if uv_works; then
    # uv reads no pip configuration; where pip was told of another index, uv is told of the same one.
    if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
        index=${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2>/dev/null || true)}
        [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    fi
    if uv pip install --python .venv/bin/python -c constraints.txt -e '.[all]'; then
        touch .venv/.stamp
        exit 0
    fi
    echo "uv could not install the packages; trying pip." >&2
fi
.venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip --upgrade >/dev/null
.venv/bin/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[all]'
touch .venv/.stamp
