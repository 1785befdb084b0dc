# shellcheck shell=sh
# Sourced by run_all.sh and run_tests.sh, which set $root. Finds a Python and sets $venv. All that
# runs here needs only the standard library.

venv=$root/.venv

# Packages from these variables would hide the locked ones.
unset PYTHONPATH PYTHONHOME
# These would print traces of what is no fault, or keep Python waiting after its end.
unset PYTHONINSPECT PYTHONWARNINGS PYTHONDEVMODE
# Compiled packages are stored at their first import; otherwise each kernel would compile them again.
unset PYTHONDONTWRITEBYTECODE
# Output and files are UTF-8 under every locale.
export PYTHONUTF8=1

fail() {
    printf '%s: %s\n' "$(basename -- "$0")" "$1" >&2
    exit 1
}

# Prints the path of the first of the given Pythons whose version is 3.11 to 3.$1.
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

# Tested versions come first. $PYTHON, if set, is the only candidate.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        first_python 99 "$PYTHON" && return
    else
        first_python 13 "$venv/bin/python" python3 python3.13 python3.12 python3.11 && return
        first_python 99 python3 && return
    fi
    tried=${PYTHON:-python3}
    version=$("$tried" -I -S -c 'import sys; print("is %d.%d" % sys.version_info[:2])' 2>/dev/null) ||
        version="does not run"
    fail "Python too old: 3.11 or later is needed ($tried $version); install one, or name one: PYTHON=/usr/bin/python3.12 $0"
}

# Runs a file before there is an environment.
run_early() {
    early=$1
    shift
    "$python" -I -S -X utf8 "$root/src/commands/$early" "$@"
}

# Exits if the call is wrong (status 2) or was answered, for example with the help (status 3).
check_arguments() {
    status=0
    run_early main.py "$@" || status=$?
    [ "$status" -ne 3 ] || exit 0
    [ "$status" -eq 0 ] || exit "$status"
}

# Makes .venv from requirements.lock if the lock, the Python or the path of this folder changed.
make_environment() {
    run_early environment.py "$(basename -- "$0")" || exit
}

# Not the shell's own pwd, which only repeats $PWD.
env pwd -P >/dev/null 2>&1 || fail "the current folder was deleted: change to another folder"
python=$(find_python)
