//! Deflates the built-in schemas: 220 KiB of JSON become 40 KiB in the binary.

use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use flate2::{Compression, write::DeflateEncoder};

const SCHEMAS: &str = "src/openapi/schemas.json";

#[expect(clippy::disallowed_methods, reason = "this is how cargo tells a build script where to write")]
fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={SCHEMAS}");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    let file = fs::File::create(Path::new(&out).join("schemas.json.deflate"))?;
    let mut encoder = DeflateEncoder::new(file, Compression::best());
    encoder.write_all(&fs::read(SCHEMAS)?)?;
    encoder.finish()?.flush()
}
