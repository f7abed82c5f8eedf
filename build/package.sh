#!/bin/sh
# Packs binaries that are built: `package.sh BINARIES OUTPUT VERSION ARCHITECTURE` (of Debian: amd64, arm64, armhf).
# Makes a .deb of each daemon and of keadm, an archive of all, and checksums. The same binaries give the same files.
set -eu

binaries=$1 output=$2 version=$3 architecture=$4
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Times in the archives: of the last commit, so that the same sources give the same files.
: "${SOURCE_DATE_EPOCH:=$(git -C "$here" log -1 --format=%ct 2>/dev/null || echo 0)}"
export SOURCE_DATE_EPOCH
umask 022
mkdir -p "$output"

control() { # root name description [further lines]
    cat >"$1/DEBIAN/control" <<CONTROL
Package: $2
Version: $version
Architecture: $architecture
Maintainer: The Skerry authors <maintainers@skerry.invalid>
Section: admin
Priority: optional
Installed-Size: $(du -k -s "$1" | cut -f1)
${4:+$4
}Description: $3
CONTROL
}

package() { # program description [further control lines]
    program=$1 name=skerry-$1 root=$work/$1
    mkdir -p "$root/DEBIAN" "$root/usr/bin" "$root/usr/share/doc/$name"
    install -m 755 "$binaries/$program" "$root/usr/bin/$program"
    install -m 644 "$here/../LICENSE" "$root/usr/share/doc/$name/copyright"
    if [ -f "$here/systemd/$program.service" ]; then
        mkdir -p "$root/usr/lib/systemd/system" "$root/etc/kubeedge/config"
        install -m 644 "$here/systemd/$program.service" "$root/usr/lib/systemd/system/$program.service"
        for script in postinst prerm postrm; do
            sed "s/@UNIT@/$program/g" "$here/deb/$script" >"$root/DEBIAN/$script"
            chmod 755 "$root/DEBIAN/$script"
        done
        # What the administrator writes there has secrets.
        chmod 755 "$root/etc/kubeedge" "$root/etc/kubeedge/config"
    fi
    control "$root" "$name" "$2" "${3:-}"
    find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz --build "$root" "$output/${name}_${version}_$architecture.deb" >/dev/null
}

package cloudcore "the cloud side of edge nodes"
package edgecore "the agent of an edge node" "Recommends: containerd | cri-o, containernetworking-plugins"
package keadm "installs the cloud side and edge nodes" "Suggests: skerry-cloudcore, skerry-edgecore"

archive=skerry-$version-linux-$architecture
mkdir -p "$work/$archive"
for program in cloudcore edgecore keadm virtual-mapper; do
    install -m 755 "$binaries/$program" "$work/$archive/$program"
done
install -m 644 "$here/../LICENSE" "$work/$archive/LICENSE"
tar --create --gzip --file "$output/$archive.tar.gz" --directory "$work" --sort=name --owner=0 --group=0 --numeric-owner \
    --mtime "@$SOURCE_DATE_EPOCH" "$archive"

# Beside what is there already (SBOMs).
(cd "$output" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%f\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
