//! Values as they come on the command line: files and the flags of the `--set` family, in Helm's order of precedence.
//!
//! Files first, then `--set-json`, `--set`, `--set-string`, `--set-file`, `--set-literal`; of each flag the last one wins, as
//! Helm documents it. Nothing is downloaded: a file is one of this machine.

mod forms;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use crate::hint::WithHint as _;
use crate::host::Look;
use crate::strvals::{self, Assignment, Flag, SetError};

/// All of them, each in the order in which they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// `--values`; `-` is what comes on stdin.
    pub files: Vec<PathBuf>,
    /// `--set-json`
    pub json: Vec<String>,
    /// `--set`
    pub set: Vec<String>,
    /// `--set-string`
    pub string: Vec<String>,
    /// `--set-file`
    pub file: Vec<String>,
    /// `--set-literal`
    pub literal: Vec<String>,
}

/// What the values go over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Values of a chart: as Helm has it, to the letter.
    Chart,
    /// A configuration file, where every key is known: what keadm 1.18 wrote is understood, too ([`forms`]).
    Configuration,
}

// === impl Values ===

impl Values {
    /// Only `--set`s.
    #[must_use]
    pub fn sets(set: &[String]) -> Self {
        Self { set: set.to_vec(), ..Self::default() }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts everything over `tree`.
    ///
    /// # Errors
    /// The first that cannot be read, as a mistake of the user: by its flag, its text and why.
    pub fn put_over(&self, tree: &mut Value, look: &dyn Look, target: Target) -> anyhow::Result<()> {
        for file in &self.files {
            strvals::merge(tree, values_file(file, look)?);
        }
        let read = |file: &str| text(Path::new(file), look).map_err(|error| format!("{error:#}"));
        let flags = [
            (Flag::Json, &self.json),
            (Flag::Typed, &self.set),
            (Flag::Text, &self.string),
            (Flag::File(&read), &self.file),
            (Flag::Literal, &self.literal),
        ];
        for (flag, texts) in flags {
            for text in texts {
                put(tree, text, flag, target)
                    .map_err(|error| anyhow!("{flag:?} {text}: {error}"))
                    .usage(|| advice(flag).to_owned())?;
            }
        }
        Ok(())
    }
}

fn put(tree: &mut Value, text: &str, flag: Flag<'_>, target: Target) -> Result<(), SetError> {
    if target == Target::Chart {
        return strvals::put(tree, strvals::assignments(text, flag)?);
    }
    let unquoted = matches!(flag, Flag::Typed).then(|| forms::unquoted(text)).flatten();
    let parts: Vec<Assignment> = strvals::assignments(unquoted.as_deref().unwrap_or(text), flag)?;
    for mut part in parts {
        forms::fit(tree, &mut part);
        strvals::put(tree, vec![part])?;
    }
    Ok(())
}

fn advice(flag: Flag<'_>) -> &'static str {
    match flag {
        Flag::Typed | Flag::Text => {
            "write path=value, for example --set logging.level=debug; `\\` makes a `,` or `.` ordinary"
        }
        Flag::File(_) => "write path=FILE, a file of at most 1 MiB on this machine",
        Flag::Json => "write path=JSON or one JSON object, in quotes that keep the shell from it",
        Flag::Literal => "write path=value; everything after the first = is the value",
    }
}

/// A YAML file with a map in it; nothing in it is an empty one.
fn values_file(path: &Path, look: &dyn Look) -> anyhow::Result<Value> {
    let shown = path.display();
    let read = text(path, look)
        .with_context(|| format!("--values {shown}"))
        .usage(|| "give a YAML file of at most 1 MiB on this machine, or - for stdin".to_owned())?;
    // The text of the error must not quote the file: there may be tokens in it.
    let options = serde_saphyr::options! { with_snippet: false };
    let advice = || "a file of values is YAML with the same keys as --set".to_owned();
    match serde_saphyr::from_str_with_options::<Option<Value>>(&read, options) {
        Ok(None | Some(Value::Null)) => Ok(Value::Object(serde_json::Map::new())),
        Ok(Some(values @ Value::Object(_))) => Ok(values),
        Ok(Some(_)) => Err(anyhow!("--values {shown}: not a map of keys and values")).usage(advice),
        Err(error) => Err(anyhow!("--values {shown}: not valid YAML: {error}")).usage(advice),
    }
}

fn text(path: &Path, look: &dyn Look) -> anyhow::Result<String> {
    let path = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
    look.read(path)?.with_context(|| format!("{} is not there", path.display()))
}

#[cfg(test)]
mod tests;
