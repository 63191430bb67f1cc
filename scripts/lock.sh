#!/usr/bin/env bash
# Regenerates the lock files. Run it with the oldest Python that the project supports: packages
# that only older versions need are found there. More arguments go to pip-compile, for example
# --upgrade, or --upgrade-package NAME.
set -euo pipefail
cd "$(dirname "$0")/.."

python=.venv/bin/python
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    echo "lock: .venv must be of Python 3.11; remove it and run: make setup PYTHON=python3.11" >&2
    exit 1
fi

# Wheels that lie on this machine must not narrow the list of hashes, so its pip configuration
# is left out. An index of your own still comes in by PIP_INDEX_URL.
unset PIP_FIND_LINKS PIP_EXTRA_INDEX_URL
export PIP_CONFIG_FILE=/dev/null CUSTOM_COMPILE_COMMAND="make lock"

compile() {
    "$python" -m piptools compile --quiet --generate-hashes --strip-extras --allow-unsafe \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
        --extra demo --output-file "$@" pyproject.toml
}

compile requirements/dev.txt --extra aws --extra postgres --extra notifications "${@}" requirements/dev.in
compile requirements/demo.txt "${@}" --constraint requirements/dev.txt requirements/build.in

if grep -nE '://|^-' requirements/dev.txt requirements/demo.txt; then
    echo "lock: a lock file names a host or an option of this machine, see above" >&2
    exit 1
fi
