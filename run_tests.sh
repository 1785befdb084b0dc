#!/bin/sh
# Makes the environment, checks the style and runs the tests: those that take no more than a few
# minutes in all, or with --all, which comes first, every one. Other arguments go to pytest.
set -eu
root=$(dirname -- "$(readlink -f -- "$0")")
. "$root/environment.sh"
make_environment
cd -- "$root"
if [ "${1:-}" = --all ]; then shift; else set -- -m "not slow" "$@"; fi
"$venv/bin/python" -m ruff check
"$venv/bin/python" -m ruff format --check
# One call tests the modules (tests/) and executes the notebooks (notebooks/), in two processes.
exec "$venv/bin/python" -m pytest --nbval --numprocesses=2 --dist=loadscope --durations=5 "$@"
