# shellcheck shell=sh
# Sourced by run_all.sh and run_tests.sh, which set $root. Finds a Python; what it runs needs nothing
# but the standard library. Sets $venv.

venv=$root/.venv

# Packages named in these would hide the locked ones.
unset PYTHONPATH PYTHONHOME
# The packages are compiled when they are first imported; without that each kernel would do it again.
unset PYTHONDONTWRITEBYTECODE
# Progress lines and files are UTF-8 under every locale.
export PYTHONUTF8=1

fail() {
    printf '%s: %s\n' "$(basename -- "$0")" "$1" >&2
    exit 1
}

# Prints the path of the first of some Pythons that is 3.11 to 3.$1.
first_python() {
    newest=$1
    shift
    for candidate; do
        path=$("$candidate" -I -S -c "import sys
if (3, 11) <= sys.version_info[:2] <= (3, $newest): print(sys.executable)" 2>/dev/null) || continue
        [ -z "$path" ] || { printf '%s\n' "$path" && return; }
    done
    return 1
}

# The Pythons that the tests know come first. $PYTHON is never replaced by another one.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        first_python 99 "$PYTHON" && return
    else
        first_python 13 "$venv/bin/python" python3 python3.13 python3.12 python3.11 && return
        first_python 99 python3 && return
    fi
    found=${PYTHON:-python3}
    version=$("$found" -I -S -c 'import sys; print("is %d.%d" % sys.version_info[:2])' 2>/dev/null) ||
        version="does not run"
    fail "Python too old: 3.11 or later is needed ($found $version); install it, or name it: PYTHON=/usr/bin/python3.12 $0"
}

# Runs a file that is to be run before there is an environment.
run_early() {
    early=$1
    shift
    "$python" -I -S -X utf8 "$root/src/commands/$early" "$@"
}

# Ends here, with the answer, if the call is wrong or asks for help (status 3).
check_arguments() {
    status=0
    run_early main.py "$@" || status=$?
    [ "$status" -ne 3 ] || exit 0
    [ "$status" -eq 0 ] || exit "$status"
}

# Makes .venv from requirements.lock, only when the lock, the Python or this folder's place changed.
make_environment() {
    run_early environment.py "$(basename -- "$0")" || exit
}

# Not the shell's own pwd, which repeats what $PWD says.
env pwd -P >/dev/null 2>&1 || fail "the current folder was deleted: change to another one"
python=$(find_python)
