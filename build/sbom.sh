#!/bin/sh
# Writes what each binary is made of: `sbom.sh OUTPUT TRIPLE`, CycloneDX by cargo-cyclonedx, which is installed when it is not
# there. One file for each crate with a binary that is shipped.
set -eu

output=$1 triple=$2
here=$(cd "$(dirname "$0")/.." && pwd)
version=0.5.9
if ! cargo cyclonedx --version >/dev/null 2>&1; then
    echo "==> installing cargo-cyclonedx $version"
    cargo install --quiet --locked cargo-cyclonedx --version "$version"
fi
for crate in cloudcore edgecore keadm mapper-framework/mappers/virtual; do
    name=$(basename "$crate")
    [ "$name" != virtual ] || name=virtual-mapper
    cargo cyclonedx --quiet --manifest-path "$here/$crate/Cargo.toml" --format json --spec-version 1.5 --target "$triple" \
        --override-filename "$name.cdx"
    # It writes one for each crate of the workspace, beside its manifest.
    mv "$here/$crate/$name.cdx.json" "$output/$name.cdx.json"
    find "$here" -name "$name.cdx.json" -not -path "$output/*" -not -path "*/target/*" -delete
done
