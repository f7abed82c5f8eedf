//! Command lines as stock takes them.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{Command, CommandFactory as _};

use super::Args;

/// With dashes in the names of flags: stock takes `--dry_run` for `--dry-run`. What is behind `--` is not looked at.
pub fn as_stock(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut known = BTreeSet::new();
    collect(&Args::command(), &mut known);
    let mut is_ours = true;
    let words = words.into_iter().map(|word| {
        is_ours &= word != "--";
        match word.to_str().filter(|_| is_ours).and_then(|word| dashed(word, &known)) {
            Some(word) => word.into(),
            None => word,
        }
    });
    words.collect()
}

/// `word` with dashes in place of underscores, when that makes it a flag.
fn dashed(word: &str, known: &BTreeSet<String>) -> Option<String> {
    let flag = word.strip_prefix("--")?;
    let (name, value) = flag.find('=').map_or((flag, ""), |at| flag.split_at(at));
    let dashed = name.replace('_', "-");
    (dashed != name && known.contains(&dashed)).then(|| format!("--{dashed}{value}"))
}

fn collect(command: &Command, known: &mut BTreeSet<String>) {
    let names = command.get_arguments().filter_map(|arg| arg.get_long_and_visible_aliases());
    known.extend(names.flatten().map(str::to_owned));
    command.get_subcommands().for_each(|command| collect(command, known));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(words: &[&str]) -> Vec<String> {
        let words = as_stock(words.iter().map(OsString::from));
        words.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_flag_may_have_underscores() {
        assert_eq!(
            taken(&["keadm", "join", "--cloudcore_ipport=h:1", "--pre_run", "a_b", "--set", "a_b=c_d"]),
            ["keadm", "join", "--cloudcore-ipport=h:1", "--pre-run", "a_b", "--set", "a_b=c_d"]
        );
    }

    #[test]
    fn what_is_no_flag_of_ours_stays_as_it_is() {
        assert_eq!(taken(&["--no_such_flag", "x"]), ["--no_such_flag", "x"]);
        assert_eq!(taken(&["exec", "p", "--", "--dry_run"]), ["exec", "p", "--", "--dry_run"]);
    }
}
