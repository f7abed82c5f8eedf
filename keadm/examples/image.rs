//! Makes a container image of static binaries without a registry and without Docker: `image ARCHITECTURE REFERENCE OUTPUT
//! USER BINARY... [-- WORD...]`, the architecture as images name it (amd64, arm64, arm), the words being what the first is started with.
//! An OCI layout in a tar file, for `ctr images import`, `podman load` or `skopeo copy oci-archive:`.

use std::path::Path;

use anyhow::Context as _;
use keadm::demo::image::{ImageFile, write_for};
use serde_json::json;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [architecture, reference, output, user, binaries @ ..] = args.as_slice() else {
        anyhow::bail!("image ARCHITECTURE REFERENCE OUTPUT USER BINARY... [-- WORD...]");
    };
    let end = binaries.iter().position(|word| word == "--").unwrap_or(binaries.len());
    let (binaries, words) = (&binaries[..end], binaries.get(end + 1..).unwrap_or_default());
    let mut files = Vec::new();
    for binary in binaries {
        let name = Path::new(binary).file_name().with_context(|| format!("{binary} is no file"))?;
        let content = std::fs::read(binary).with_context(|| format!("read {binary}"))?;
        files.push((format!("usr/local/bin/{}", name.to_string_lossy()), content));
    }
    let files: Vec<ImageFile<'_>> =
        files.iter().map(|(path, content)| (path.as_str(), content.as_slice(), 0o755)).collect();
    let entrypoint: Vec<String> = files.iter().take(1).map(|(path, ..)| format!("/{path}")).collect();
    let config = json!({"Entrypoint": entrypoint, "Cmd": words, "User": user});
    let file = std::fs::File::create(output).with_context(|| format!("create {output}"))?;
    Ok(write_for(architecture, file, reference, &files, &config)?)
}
