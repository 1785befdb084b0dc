#!/bin/sh
# Makes the environment, runs the notebooks and writes the report: ./run_all.sh --help
set -eu
root=$(dirname -- "$(readlink -f -- "$0")")
. "$root/environment.sh"
check_arguments "$@"
make_environment
# Python would print a trace until the command line handles the signal.
trap '' INT
exec "$venv/bin/python" -P -m commands "$@"
