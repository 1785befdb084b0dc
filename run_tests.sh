#!/bin/sh
# Makes the environment, checks style and imports, and runs the tests: by default without those
# marked slow, with --all (as the first argument) all of them. Other arguments go to pytest.
set -eu
root=$(dirname -- "$(readlink -f -- "$0")")
. "$root/environment.sh"
make_environment
cd -- "$root"
if [ "${1:-}" = --all ]; then shift; else set -- -m "not slow" "$@"; fi
"$venv/bin/python" -m ruff check
"$venv/bin/python" -m ruff format --check
"$venv/bin/lint-imports" --no-logo --no-cache
# One call tests the modules (tests/) and executes the notebooks (notebooks/), in two processes.
exec "$venv/bin/python" -m pytest --nbval --numprocesses=2 --dist=loadscope --durations=5 "$@"
