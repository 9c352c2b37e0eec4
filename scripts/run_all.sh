#!/usr/bin/env bash
# The main job: sets up .venv in this folder if need be, then runs all five steps (arguments go to `affine run`).
# Running it again skips what is done; after an interruption it goes on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

./scripts/setup.sh
exec .venv/bin/affine run "$@"
