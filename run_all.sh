#!/bin/sh
# Makes the environment, runs the notebooks and writes the report: ./run_all.sh --help
set -eu
root=$(dirname -- "$(readlink -f -- "$0")")
. "$root/environment.sh"
check_arguments "$@"
make_environment
# Until the command line can say in words that it was stopped, Python would print a trace.
trap '' INT
exec "$venv/bin/python" -P -m commands "$@"
