//! The schemas of the built-in kinds, expanded from the binary when first asked for.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::LazyLock;

use flate2::read::DeflateDecoder;
use serde_json::Value;

use super::Schema;
use super::parse;

/// The deflated text of `openapi/schemas.json` (see `build.rs`).
static DEFLATED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/schemas.json.deflate"));

/// The definition that every object's `metadata` has.
pub const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

struct Builtins {
    definitions: BTreeMap<String, Schema>,
    /// (group, version, kind) -> definition.
    kinds: BTreeMap<(String, String, String), String>,
}

static BUILTINS: LazyLock<Builtins> = LazyLock::new(|| {
    let mut builtins = Builtins { definitions: BTreeMap::new(), kinds: BTreeMap::new() };
    for (name, raw) in documents() {
        for kind in raw["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let part = |key: &str| kind[key].as_str().unwrap_or_default().to_owned();
            builtins.kinds.insert((part("group"), part("version"), part("kind")), name.clone());
        }
        builtins.definitions.insert(name, parse::builtin(&raw));
    }
    builtins
});

/// The OpenAPI definitions as JSON, expanded anew on every call: they are asked for a few times in a client's
/// life and are too large to keep.
pub fn documents() -> BTreeMap<String, Value> {
    serde_json::from_reader(DeflateDecoder::new(DEFLATED).take(MAX_DOCUMENTS))
        .expect("the text was compressed from JSON by build.rs and tests read it")
}

/// No more than this is inflated: twice today's size, so that a damaged binary cannot ask for all memory.
const MAX_DOCUMENTS: u64 = 512 << 10;

/// A definition by its OpenAPI name.
pub fn definition(name: &str) -> Option<&'static Schema> {
    BUILTINS.definitions.get(name)
}

/// The schema of a kind.
pub fn of_kind(group: &str, version: &str, kind: &str) -> Option<&'static Schema> {
    definition(definition_name(group, version, kind)?)
}

/// The OpenAPI name of a kind's definition.
pub fn definition_name(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    BUILTINS.kinds.get(&(group.to_owned(), version.to_owned(), kind.to_owned())).map(String::as_str)
}
