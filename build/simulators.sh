#!/bin/sh
# Installs servers of other people that the mappers are tested against, into target/simulators. They come from PyPI: Debian has
# no asyncua, and a pymodbus with another interface in each release. Does nothing when all is there.
set -eu

cd "$(dirname "$0")/.."
cmp -s build/simulators.txt target/simulators/installed && exit 0
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
        echo "python3 with venv is not installed" >&2
        echo "hint: install it with your package manager; on Debian: sudo apt-get install python3-venv" >&2
        exit 1
    fi
    echo "==> installing python3-venv"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
fi
echo "==> installing what the mappers are tested against"
python3 -m venv target/simulators
target/simulators/bin/pip install --quiet --disable-pip-version-check --only-binary :all: -r build/simulators.txt
cp build/simulators.txt target/simulators/installed
