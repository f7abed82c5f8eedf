//! Writes the custom resource definitions that are made from types into `build/crds`:
//! `cargo run -p proto --example definitions`.

use std::path::Path;

use proto::api::{device, rule};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/crds");
    for (name, definition) in device::definitions().into_iter().chain(rule::definitions()) {
        std::fs::write(folder.join(name), serde_saphyr::to_string(&definition)?)?;
    }
    Ok(())
}
