#!/bin/sh
# Makes the environment, checks the style and runs all tests; arguments go to pytest.
set -eu
root=$(dirname -- "$(readlink -f -- "$0")")
. "$root/environment.sh"
make_environment
cd -- "$root"
"$venv/bin/python" -m ruff check
"$venv/bin/python" -m ruff format --check
# One call tests the modules (tests/) and executes the notebooks (notebooks/).
exec "$venv/bin/python" -m pytest --nbval --durations=5 "$@"
