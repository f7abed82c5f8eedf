//! Reads a daemon's configuration file: into its type, or into the list of everything that is wrong with it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::fault::Kind;
use self::tree::{Step, Tree};

mod fault;
mod read;
#[cfg(test)]
mod tests;
mod tree;

/// A configuration file with everything written out is some 20 KiB. This keeps a wrong path (a log, a device) from
/// filling the memory.
const MAX_FILE: u64 = 1024 * 1024;

/// Something that is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `modules.edgeHub.heartbeat`, `taints[0].effect`; empty for the file as a whole.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

/// Everything that is wrong with a configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file says what cannot be.
    #[error("{} is not valid:\n{problems}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        problems: Problems,
    },
}

/// Reads a YAML file of at most 1 MiB. See [`parse_str`].
///
/// # Errors
/// When the file cannot be read or is not valid; then with all that is wrong with it.
pub fn load_file<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text =
        read_bounded(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse_str(&text).map_err(|problems| ConfigError::Invalid { path: path.to_owned(), problems })
}

/// Reads a file as [`load_file`] does, lets `complete` fill in what the file leaves to the machine, and checks what it
/// then says: `complete` returns each problem as its path and its message.
///
/// # Errors
/// As [`load_file`], and when `complete` found problems; then with all of them.
pub fn load_checked<T, F>(path: &Path, complete: F) -> Result<T, ConfigError>
where
    T: DeserializeOwned,
    F: FnOnce(&mut T) -> Vec<(String, String)>,
{
    let mut file: T = load_file(path)?;
    let problems: Vec<Problem> =
        complete(&mut file).into_iter().map(|(path, message)| Problem { path, message }).collect();
    if problems.is_empty() {
        return Ok(file);
    }
    Err(ConfigError::Invalid { path: path.to_owned(), problems: Problems(problems) })
}

/// A configuration as YAML, every key written out.
///
/// # Errors
/// When `T` cannot be written as YAML.
pub fn to_yaml<T: Serialize>(config: &T) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(config)
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {MAX_FILE} bytes"),
        ));
    }
    Ok(text)
}

/// Reads a YAML document. A key that is there but empty (`logging:`) means its default, as a missing one does.
///
/// It is stricter than `T` only where KubeEdge is (a key given twice) and laxer where KubeEdge is (`yes` for a
/// boolean, `123` for a string).
///
/// # Errors
/// All that is wrong, in the order in which `T` reads the file: keys that `T` does not know (which takes
/// `deny_unknown_fields`), with the nearest one that it does; values that `T` refuses. A document that is no YAML
/// has one problem, with line and column.
pub fn parse_str<T: DeserializeOwned>(yaml: &str) -> Result<T, Problems> {
    let mut tree =
        Tree::parse(yaml).map_err(|message| Problems(vec![Problem { path: String::new(), message }]))?;
    let mut problems = Vec::new();
    // A type stops at the first thing that it cannot read. So that is noted and taken out, and the type tries again:
    // each turn makes the tree smaller.
    loop {
        let fault = match T::deserialize(&tree) {
            Ok(value) if problems.is_empty() => return Ok(value),
            Ok(_) => return Err(Problems(problems)),
            Err(fault) => fault,
        };
        let path: Vec<Step> = fault.path.into_iter().rev().collect();
        let removed = tree.remove(&path);
        let is_empty_key = matches!((&removed, path.last()), (Some(Tree::Null), Some(Step::Key(_))));
        if is_empty_key && !matches!(fault.kind, Kind::UnknownKey { .. }) {
            continue;
        }
        let problem = Problem { path: tree::display(&path), message: fault.kind.to_string() };
        if !fault.kind.follows_from(&problem.path, &problems) {
            problems.push(problem);
        }
        if removed.is_none() {
            return Err(Problems(problems));
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// One problem a line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Path and message, as validation in crates that do not know this one gives them.
impl FromIterator<(String, String)> for Problems {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(problems: I) -> Self {
        Self(problems.into_iter().map(|(path, message)| Problem { path, message }).collect())
    }
}
