//! Writes the custom resource definitions that are made from types into `build/crds`:
//! `cargo run -p proto --example definitions`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/crds");
    for (name, definition) in proto::api::device::definitions() {
        std::fs::write(folder.join(name), serde_saphyr::to_string(&definition)?)?;
    }
    Ok(())
}
