# shellcheck shell=bash
# Sourced by run_all.sh and run_tests.sh. Makes .venv from requirements.lock, only when the lock, the
# Python or the place of this checkout changed. Sets $root and $venv.

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
venv=$root/.venv
lock=$root/requirements.lock
# Written last, so that an interrupted installation is done again.
stamp=$venv/.lock-sha256
log=$venv/install.log

# Packages named in these would hide the locked ones.
unset PYTHONPATH PYTHONHOME
# Progress lines and files are UTF-8 under every locale.
export PYTHONUTF8=1

fail() {
    printf '%s: %s\n' "$(basename -- "$0")" "$1" >&2
    exit 1
}

version_of() {
    "$1" -I -S -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# The lock's hash, the Python's version and the folder, which the scripts in .venv/bin name.
describe_environment() {
    "$venv/bin/python" -I -S -c '
import hashlib, sys
with open(sys.argv[1], "rb") as lock:
    digest = hashlib.sha256(lock.read()).hexdigest()
print(digest, "%d.%d" % sys.version_info[:2], sys.argv[1])' "$lock"
}

is_current() {
    [[ -x $venv/bin/python && -f $stamp && $(describe_environment) == "$(<"$stamp")" ]] &&
        [[ -z ${PYTHON:-} || $(version_of "$PYTHON") == $(version_of "$venv/bin/python") ]]
}

# Prints the path of a Python that is new enough. $PYTHON is never replaced by another one.
find_python() {
    local candidates=(python3.13 python3.12 python3.11 python3) candidate found="${PYTHON:-python3} does not run"
    [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
        ! version_of "$candidate" >/dev/null || found="$candidate is $(version_of "$candidate")"
    done
    fail "Python too old: 3.11 or later is needed ($found); install it, or name it: PYTHON=/usr/bin/python3.12 $0"
}

has_uv() {
    uv --version >/dev/null 2>&1
}

install_with_uv() {
    UV_PYTHON_DOWNLOADS=never uv venv --quiet --allow-existing --python "$1" "$venv" &&
        uv pip sync --compile-bytecode --require-hashes --python "$venv/bin/python" "$lock"
}

install_with_pip() {
    "$1" -m venv "$venv" &&
        "$venv/bin/python" -m pip install --disable-pip-version-check --no-input \
            --progress-bar off --require-hashes --no-deps -r "$lock"
}

# Shows the lines of an installer that tell how far it is; status 28 if the disk was full.
show_progress() {
    local line status=0
    while IFS= read -r line; do
        case $line in
            *'No space left on device'*) status=28 ;;
            *Downloading\ * | Prepared\ * | Installing\ * | Installed\ *) printf '  %.76s\n' "$line" ;;
        esac
    done
    return "$status"
}

install_environment() {
    local python installer=pip statuses
    python=$(find_python)
    if has_uv; then
        installer=uv
    elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        fail "$python cannot make environments: install python3-venv (Debian, Ubuntu) or uv"
    fi
    SECONDS=0
    printf 'making .venv from requirements.lock with %s and Python %s (a few minutes; log: %s)\n' \
        "$installer" "$(version_of "$python")" "$log"
    rm -rf -- "$venv" && mkdir -- "$venv" || fail "cannot make $venv"
    "install_with_$installer" "$python" 2>&1 | tee -- "$log" | show_progress ||
        statuses=("${PIPESTATUS[@]}")
    if [[ -n ${statuses:-} ]]; then
        [[ ${statuses[2]} != 28 ]] || fail "no space left on the disk of $venv (it takes about 7 GB)"
        fail "the installation failed: $(grep -i -m 1 error -- "$log" || tail -n 1 -- "$log") (log: $log)"
    fi
    printf '%s\n' "$root/src" >"$("$venv/bin/python" -c \
        'import sysconfig; print(sysconfig.get_path("purelib"))')/autoencoder-clustering-report.pth"
    describe_environment >"$stamp"
    printf 'the environment is ready after %d s\n' "$SECONDS"
}

make_environment() {
    # Two shells at once: the second waits, and then finds the work done.
    if command -v flock >/dev/null; then
        exec 9<"$lock"
        flock --nonblock 9 || { printf 'waiting for another shell that makes .venv\n' && flock 9; }
    fi
    is_current || install_environment
    exec 9<&-
}

[[ -f $lock ]] || fail "$lock is missing: restore it with git checkout requirements.lock"
is_current || make_environment
