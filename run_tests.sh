#!/usr/bin/env bash
# Makes the environment, checks the style and runs all tests; arguments go to pytest.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
cd -- "$root"
"$venv/bin/python" -m ruff check
"$venv/bin/python" -m ruff format --check
# One call tests the modules (tests/) and executes the notebooks (notebooks/).
exec "$venv/bin/python" -m pytest --nbval --durations=5 "$@"
