//! Deflates tables of the built-in kinds: 220 KiB of schemas become 40 KiB in the binary, 34 KiB of field numbers 8 KiB.

use std::io::Write as _;
use std::path::Path;
use std::{env, fs, io};

use flate2::{Compression, write::DeflateEncoder};

/// What is deflated, and the name that it gets.
const TABLES: [(&str, &str); 2] =
    [("src/openapi/schemas.json", "schemas.json.deflate"), ("src/protobuf/fields.txt", "fields.txt.deflate")];

#[expect(clippy::disallowed_methods, reason = "this is how cargo tells a build script where to write")]
fn main() -> io::Result<()> {
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    for (source, target) in TABLES {
        println!("cargo::rerun-if-changed={source}");
        let file = fs::File::create(Path::new(&out).join(target))?;
        let mut encoder = DeflateEncoder::new(file, Compression::best());
        encoder.write_all(&fs::read(source)?)?;
        encoder.finish()?.flush()?;
    }
    Ok(())
}
