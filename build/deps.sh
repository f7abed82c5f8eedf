#!/bin/sh
# Installs what building (protoc, for the CRI types) and testing (containers, networks, kubectl) need, where apt can.
# Elsewhere it says what is missing. Does nothing when all is there.
set -eu

missing=
need() { # program package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need protoc protobuf-compiler
need containerd containerd
need runc runc
need dbus-daemon dbus-daemon
need crun crun
need ip iproute2
need iptables iptables
need kubectl kubernetes-client
need mosquitto mosquitto
need mosquitto_pub mosquitto-clients
# A second runtime (RuntimeClass), and a clock that jumps, for tests.
ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || missing="$missing libfaketime"
[ -x /usr/lib/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || missing="$missing containernetworking-plugins"

[ -n "$missing" ] || exit 0
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
