#!/usr/bin/env bash
# Makes the environment, runs the notebooks and writes the report: ./run_all.sh --help
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
exec "$venv/bin/python" -P -m utils.cli "$@"
