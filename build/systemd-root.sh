#!/bin/sh
# A Debian root with systemd and containerd, for the tests that boot machines of it: made once, by debootstrap, in the folder that is
# given. What is made on the way becomes the root only when it is whole.
set -eu

root=$1
[ -e "$root/etc/debian_version" ] && exit 0

missing=
for program in debootstrap systemd-nspawn nsenter ip kubectl; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
if [ -n "$missing" ]; then
    echo "not installed:$missing" >&2
    echo "hint: apt-get install debootstrap systemd-container util-linux iproute2 kubernetes-client (other distributions have packages of the same programs)" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "only root may make and boot machines" >&2
    echo "hint: run this as root, for example with sudo" >&2
    exit 1
fi

# The programs are linked to the libc of this machine, so the root is of the same release where that is Debian.
suite=$(. /etc/os-release && [ "${ID:-}" = debian ] && echo "${VERSION_CODENAME:-}") || suite=
packages=systemd,systemd-sysv,dbus,containerd,runc,containernetworking-plugins,iptables,nftables,iproute2
echo "==> a Debian root in $root (some minutes)"
mkdir -p "$(dirname "$root")"
rm -rf "$root.next"
if ! debootstrap --variant=minbase --include="$packages" "${suite:-stable}" "$root.next" >"$root.log" 2>&1; then
    tail -n 5 "$root.log" >&2
    echo "debootstrap has failed, see $root.log" >&2
    exit 1
fi
# What apt has fetched is installed; machines get their names and identities when they boot.
rm -rf "$root.next"/var/cache/apt/*.bin "$root.next"/var/cache/apt/archives/*.deb "$root.next"/var/lib/apt/lists/*
rm -f "$root.next/etc/hostname" "$root.next/var/lib/dbus/machine-id"
# Empty and not absent: that would be a first boot, which asks questions.
: >"$root.next/etc/machine-id"
mv "$root.next" "$root"
rm -f "$root.log"
