//! Projects for new mappers: `keadm mapper new NAME`, or `mapper-new NAME`.
//!
//! What is written builds, passes its own test, and runs with `--simulate` at once; the driver in it is an example that is to be
//! replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the project takes this crate from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The repository that this crate is from.
    Repository,
    /// A folder: that of this crate in a checkout.
    Path(PathBuf),
}

/// Why there is no project.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// The name cannot be that of a crate, a protocol and Kubernetes objects at the same time.
    #[error("{0:?} is no name for a mapper: use up to 40 small letters, digits and dashes, a letter first")]
    Name(String),
    /// There is something already.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Longest name: with `-mapper` after it, it must be that of a Kubernetes object (63 characters).
const MAX_NAME: usize = 40;
/// Crates that a project could not use if it had their name, and words that no crate may have.
const TAKEN: [&str; 12] = [
    "mapper",
    "mapper-framework",
    "serde",
    "tokio",
    "tracing",
    "test",
    "core",
    "std",
    "alloc",
    "proc-macro",
    "build",
    "deps",
];
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// Path in the project, and template.
const FILES: [(&str, &str); 10] = [
    ("Cargo.toml", include_str!("generator/templates/Cargo.toml.in")),
    (".gitignore", "/target\n"),
    ("README.md", include_str!("generator/templates/README.md.in")),
    ("src/main.rs", include_str!("generator/templates/main.rs.in")),
    ("src/driver.rs", include_str!("generator/templates/driver.rs.in")),
    ("src/driver/tests.rs", include_str!("generator/templates/tests.rs.in")),
    ("config.yaml", include_str!("generator/templates/config.yaml.in")),
    ("manifests/devices.yaml", include_str!("generator/templates/devices.yaml.in")),
    ("manifests/deployment.yaml", include_str!("generator/templates/deployment.yaml.in")),
    ("Containerfile", include_str!("generator/templates/Containerfile.in")),
];

/// The files of a project: each with its path in the project's folder.
///
/// # Errors
/// When the name is none.
pub fn files(name: &str, source: &Source) -> Result<Vec<(&'static str, String)>, GeneratorError> {
    check(name)?;
    let dependency = match source {
        Source::Repository => format!("{{ git = {REPOSITORY:?} }}"),
        Source::Path(path) => format!("{{ path = {:?} }}", path.to_string_lossy()),
    };
    let fill = |template: &str| {
        template
            .replace("{{name}}", name)
            .replace("{{Type}}", &type_name(name))
            .replace("{{framework}}", &dependency)
    };
    Ok(FILES.iter().map(|(path, template)| (*path, fill(template))).collect())
}

/// Writes a project into `folder`, which must be empty or not there; gives the paths of its files.
///
/// # Errors
/// When the name is none, there is something already, or a file cannot be written.
pub fn generate(name: &str, source: &Source, folder: &Path) -> Result<Vec<PathBuf>, GeneratorError> {
    let files = files(name, source)?;
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
        return Err(GeneratorError::Exists(folder.to_owned()));
    }
    let mut written = Vec::new();
    for (path, text) in files {
        let path = folder.join(path);
        let write = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&path, text)
        };
        write().map_err(|source| GeneratorError::Write { path: path.clone(), source })?;
        written.push(path);
    }
    Ok(written)
}

fn check(name: &str) -> Result<(), GeneratorError> {
    let mut characters = name.chars();
    let is_name = characters.next().is_some_and(|first| first.is_ascii_lowercase())
        && characters.all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-')
        && !name.ends_with('-')
        && !name.contains("--")
        && name.len() <= MAX_NAME
        && !TAKEN.contains(&name);
    if is_name { Ok(()) } else { Err(GeneratorError::Name(name.to_owned())) }
}

/// `heat-pump` is `HeatPump`.
fn type_name(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            .unwrap_or_default()
    };
    name.split('-').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_is_filled_and_the_manifests_are_devices() {
        let files = files("heat-pump", &Source::Repository).unwrap();
        for (path, text) in &files {
            // GitHub's and Kubernetes' templates have other braces; ours are two.
            assert!(!text.contains("{{"), "{path}: {text}");
        }
        let of = |wanted: &str| &files.iter().find(|(path, _)| *path == wanted).unwrap().1;
        assert!(of("src/driver.rs").contains("struct HeatPump"));
        let devices = crate::devices(of("manifests/devices.yaml"), "heat-pump").unwrap();
        assert_eq!(devices[0].problems(), [] as [&str; 0]);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.yaml"), of("config.yaml")).unwrap();
        let config = crate::config::Config::load(Some(&dir.path().join("config.yaml")), "x").unwrap();
        assert_eq!(config.common.protocol, "heat-pump");
    }

    #[test]
    fn a_name_is_that_of_a_crate_and_of_objects() {
        for name in ["a", "heat-pump", "plc7"] {
            check(name).unwrap();
        }
        let long = "x".repeat(41);
        for name in
            ["", "7plc", "Heat", "a_b", "a-", "a--b", "../x", "a b", "test", "mapper-framework", &long]
        {
            assert!(matches!(check(name), Err(GeneratorError::Name(_))), "{name}");
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pump");
        assert_eq!(generate("pump", &Source::Repository, &folder).unwrap().len(), FILES.len());
        let again = generate("pump", &Source::Repository, &folder).unwrap_err();
        assert!(matches!(again, GeneratorError::Exists(_)), "{again}");
    }
}
