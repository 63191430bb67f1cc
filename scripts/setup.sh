#!/usr/bin/env bash
# Makes .venv ready: scripts/setup.sh [dev|demo]. Installs what the system lacks on Debian and
# Ubuntu, naming it first; elsewhere it says what to install. Does nothing when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-dev}
venv=.venv
building=.venv-building  # is there while .venv is being changed
unset PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX
export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1

say() { echo "setup: $*"; }
die() { say "$@" >&2; exit 1; }

# What the environment was made from. A venv cannot be moved, so its place counts too.
inputs() { pwd -P; cat scripts/setup.sh pyproject.toml "requirements/$1.txt"; }
# Whether .venv is of the Python that PYTHON names, if it names one.
as_asked() {
    local ask='import sys; print(sys.version_info[:2])'
    [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" -c "$ask")" = "$("$venv/bin/python" -c "$ask")" ]
}
stamp() { echo "$venv/.stamp-$1"; }
current() {
    [ ! -e "$building" ] && "$venv/bin/python" -c '' 2>/dev/null && as_asked \
        && inputs "$1" | cmp -s - "$(stamp "$1")"
}

# --- the system ------------------------------------------------------------------------------

is_debian() {
    [ -r /etc/os-release ] && (. /etc/os-release; [[ " $ID ${ID_LIKE:-} " =~ \ (debian|ubuntu)\  ]]) \
        && command -v apt-get >/dev/null
}

apt_get() {
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then sudo=(sudo); fi
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

apt_update() {
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        die "$1, and this is neither root nor is sudo there; as root, run:" \
            "apt-get update && apt-get install python3 python3-venv"
    fi
    say "$1; looking up Debian's packages"
    apt_get update || say "apt-get update failed; going on with the lists at hand"
}

apt_install() {
    say "installing the system packages: $*"
    apt_get install -y --no-install-recommends "$@" || die "apt-get could not install: $*"
}

# works PYTHON [MODULE...]: a Python that the lock files are for, with these modules.
works() {
    local python=$1; shift
    "$python" - "$@" >/dev/null 2>&1 <<'PY'
import importlib, sys
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit(1)
for name in ["ssl", "sqlite3", *sys.argv[1:]]:
    importlib.import_module(name)
PY
}

find_python() {
    local name
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.14 python3.11 /usr/bin/python3}; do
        if command -v "$name" >/dev/null && works "$name" "$@"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# Newest Python of this Debian or Ubuntu release that the lock files are for.
apt_python() {
    local version
    for version in 3.13 3.12 3.14 3.11; do
        if apt-cache show "python$version" >/dev/null 2>&1; then
            echo "python$version"
            return
        fi
    done
    return 1
}

# Sets `base` to a Python that can make a venv, which Debian's only can with a package more.
choose_python() {
    if base=$(find_python venv ensurepip); then return; fi
    if [ -n "${PYTHON:-}" ]; then
        works "$PYTHON" || die "PYTHON=$PYTHON is no Python 3.11 to 3.14 with ssl and sqlite3"
    fi
    if ! is_debian; then
        die "needs Python 3.11 to 3.14 with the modules venv, ensurepip, ssl and sqlite3:" \
            "install it (or name one: make setup PYTHON=/path/to/python3) and run this again"
    fi
    if base=$(find_python); then
        apt_update "$base cannot make virtual environments"
        apt_install "$("$base" -c 'import sys; print("python{}.{}-venv".format(*sys.version_info))')"
    else
        local name
        apt_update "no Python 3.11 to 3.14 found"
        name=$(apt_python) || die "this release has none: install one and run this again"
        apt_install "$name" "$name-venv"
    fi
    base=$(find_python venv ensurepip) || die "still no Python that can make virtual environments"
}

# A server for the tests, which start their own: of version 15 or newer (stoker/testing/postgres.py).
has_postgres() {
    local program version
    for program in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres \
        /opt/homebrew/opt/postgresql@*/bin/postgres "$(command -v postgres)"; do
        [ -x "$program" ] || continue
        version=$("$program" --version | sed 's/.*) \([0-9]*\).*/\1/')
        if [ "${version:-0}" -ge 15 ]; then return 0; fi
    done
    return 1
}

install_postgres() {
    if ! is_debian; then
        say "no Postgres server 15 or newer found: the tests need one; install it"
        return
    fi
    local sudo=() quiet=/etc/postgresql-common/createcluster.d/stoker-setup.conf
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "no Postgres server 15 or newer found, which the tests" \
            "need, and this is neither root nor is sudo there; as root, run:" \
            "apt-get update && apt-get install postgresql"
        sudo=(sudo)
    fi
    apt_update "no Postgres server 15 or newer found, which the tests need"
    # Debian's package would make a database cluster of its own and keep it running.
    "${sudo[@]}" mkdir -p "${quiet%/*}"
    echo "create_main_cluster = false" | "${sudo[@]}" tee "$quiet" >/dev/null
    apt_install postgresql
    "${sudo[@]}" rm -f "$quiet"
    has_postgres || die "this release has no Postgres 15 or newer: the tests need one; install it"
}

# --- the virtual environment -----------------------------------------------------------------

# An environment that was left half made, moved, or whose Python is gone, is made anew.
usable() {
    [ ! -e "$building" ] && works "$venv/bin/python" pip \
        && head -2 "$venv/bin/pip" | grep -qF "$(pwd -P)/$venv/" \
        && as_asked
}

install() {
    if ! usable; then
        choose_python
        say "making $venv with $base ($("$base" --version))"
        touch "$building"
        "$base" -m venv --clear "$venv"
    fi
    touch "$building"
    rm -f "$venv"/.stamp-*
    say "installing requirements/$kind.txt"
    pip_install --require-hashes -r "requirements/$kind.txt"
    say "installing stoker, editable"
    pip_install --no-deps --no-build-isolation -e .
    inputs "$kind" >"$(stamp "$kind")"
    rm -f "$building"
}

pip_install() {
    local code=0
    "$venv/bin/python" -m pip install -qq "$@" || code=$?
    # 1 is pip's own word that it changed nothing; all else may have left something half done.
    if [ "$code" -eq 1 ]; then rm -f "$building"; fi
    [ "$code" -eq 0 ] || die "pip failed, see above; when that is mended, run this again"
}

case $kind in dev | demo) ;; *) die "unknown kind $kind: dev or demo" ;; esac

# Two at a time in one checkout would break each other's environment.
if command -v flock >/dev/null; then
    exec 9>.setup.lock
    flock 9
fi

# What dev installs is enough for the demo.
if [ "$kind" = demo ] && [ -e "$(stamp dev)" ]; then kind=dev; fi

if [ "$kind" = dev ] && ! has_postgres; then install_postgres; fi

if ! current "$kind"; then
    install
    say "done: $venv is ready"
fi
