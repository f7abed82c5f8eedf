//! As much of Go as the API types are written in.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt;
use std::path::Path;

/// The types of one package.
pub(crate) struct Package {
    types: HashMap<String, Definition>,
}

/// What a type name stands for.
pub(crate) enum Definition {
    /// A struct with the fields that have a number.
    Struct(Vec<Field>),
    /// Another name of this type.
    Alias(String),
}

/// A field of a struct.
pub(crate) struct Field {
    /// Name in JSON; `^` for one whose fields stand in the parent.
    pub(crate) json_name: String,
    pub(crate) number: u32,
    pub(crate) go_type: String,
}

/// The type of a field in the output.
pub(crate) struct Kind {
    /// `?` pointer, `*` list, `%` map with string keys, or nothing.
    prefix: &'static str,
    /// One letter, or the name of a message.
    base: String,
}

impl Package {
    pub(crate) fn read(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let mut types = HashMap::new();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            let is_types = path.extension().is_some_and(|extension| extension == "go")
                && !path.to_string_lossy().contains("generated")
                && !path.to_string_lossy().contains("_test");
            if is_types {
                read_file(&std::fs::read_to_string(path)?, &mut types);
            }
        }
        Ok(Self { types })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Definition> {
        self.types.get(name)
    }
}

fn read_file(text: &str, types: &mut HashMap<String, Definition>) {
    let mut open: Option<(String, Vec<Field>)> = None;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (&mut open, words.as_slice()) {
            (None, ["type", name, "struct", "{"]) => open = Some(((*name).to_owned(), Vec::new())),
            (None, ["type", name, other]) => {
                types.entry((*name).to_owned()).or_insert_with(|| Definition::Alias((*other).to_owned()));
            }
            (Some(_), ["}"]) => {
                if let Some((name, fields)) = open.take() {
                    types.insert(name, Definition::Struct(fields));
                }
            }
            (Some((_, fields)), _) => fields.extend(read_field(line)),
            _ => {}
        }
    }
}

fn read_field(line: &str) -> Option<Field> {
    let (declaration, tags) = line.split_once('`')?;
    if declaration.trim_start().starts_with("//") {
        return None;
    }
    let tag = |name: &str| {
        let start = tags.find(&format!("{name}:\""))? + name.len() + 2;
        tags[start..].split('"').next()
    };
    let number = tag("protobuf")?.split(',').nth(1)?.parse().ok()?;
    let words: Vec<&str> = declaration.split_whitespace().collect();
    // An embedded type has no name of its own.
    let go_type = (*words.last()?).to_owned();
    let json = tag("json")?;
    let json_name = match json.split(',').next()? {
        "" => "^",
        name => name,
    };
    Some(Field { json_name: json_name.to_owned(), number, go_type })
}

/// What a Go type, as `package` writes it, is in the output.
pub(crate) fn resolve(
    packages: &BTreeMap<&str, Package>,
    package: &str,
    go_type: &str,
) -> Result<Kind, Box<dyn Error>> {
    let nested = |prefix, inner: &str| Ok(Kind { prefix, base: resolve(packages, package, inner)?.base });
    if go_type == "[]byte" {
        return Ok(Kind { prefix: "", base: "y".to_owned() });
    }
    if let Some(inner) = go_type.strip_prefix('*') {
        return nested("?", inner);
    }
    if let Some(inner) = go_type.strip_prefix("[]") {
        return nested("*", inner);
    }
    if let Some((_, inner)) = go_type.strip_prefix("map[").and_then(|rest| rest.split_once(']')) {
        return nested("%", inner);
    }
    let (package, name) = match go_type.split_once('.') {
        Some(("metav1", name)) => ("meta/v1", name),
        Some(("v1" | "corev1" | "apiv1", name)) => ("core/v1", name),
        Some((_, _)) => ("", go_type),
        None => (package, go_type),
    };
    let letter = match name {
        "string" | "types.UID" | "types.NodeName" => "s",
        "bool" => "b",
        "int" | "int32" | "int64" | "uint32" => "i",
        "float64" => "d",
        "Time" => "T",
        "MicroTime" => "U",
        "resource.Quantity" => "Q",
        "intstr.IntOrString" => "I",
        "FieldsV1" => "F",
        "runtime.RawExtension" => "R",
        _ => "",
    };
    if !letter.is_empty() {
        return Ok(Kind { prefix: "", base: letter.to_owned() });
    }
    match packages.get(package).and_then(|package| package.get(name)) {
        Some(Definition::Struct(_)) => Ok(Kind { prefix: "", base: format!("{package}.{name}") }),
        // A named list of texts is a message of its own, so that a map can hold it.
        Some(Definition::Alias(alias)) if alias == "[]string" => {
            Ok(Kind { prefix: "", base: "L".to_owned() })
        }
        Some(Definition::Alias(alias)) => resolve(packages, package, alias),
        None => Err(format!("{package}: unknown type {go_type}").into()),
    }
}

impl Kind {
    /// The message that it is made of, if it is made of one.
    pub(crate) fn message(&self) -> Option<&str> {
        Some(self.base.as_str()).filter(|base| base.contains('.'))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, self.base)
    }
}
