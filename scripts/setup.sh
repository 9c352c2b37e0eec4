#!/usr/bin/env bash
# Installs affine into .venv, editable; `setup.sh dev` adds what the tests need. Does nothing when it is up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extras="${1:-}"
python="${PYTHON:-python3}"
stamp=".venv/installed-${extras:-plain}-$(cksum <pyproject.toml | tr -d ' ')"
if [ -e "$stamp" ]; then
    exit 0
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "setup: affine needs Python 3.10 or newer; set PYTHON to one (found: $("$python" --version))" >&2
    exit 2
}
echo "setup: installing affine and what it needs into .venv; the first time this takes a minute or more"
[ -x .venv/bin/python ] || "$python" -m venv .venv
[ -t 1 ] && quiet=() || quiet=(--quiet)
.venv/bin/python -m pip install "${quiet[@]}" --disable-pip-version-check --editable ".${extras:+[$extras]}"
touch "$stamp"
.venv/bin/affine --version
