use std::path::PathBuf;

use clap_complete::Shell;

use super::*;
use crate::host::{Change, Facts, Recording};

/// What is shipped, in the repository.
fn shipped(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../build").join(folder)
}

#[test]
fn the_completions_that_are_shipped_are_those_of_this_command_line() {
    for (shell, file) in [
        (Shell::Bash, "keadm.bash"),
        (Shell::Zsh, "_keadm"),
        (Shell::Fish, "keadm.fish"),
        (Shell::PowerShell, "_keadm.ps1"),
    ] {
        let path = shipped("completions").join(file);
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == script(shell),
            "{file} is old: cargo run -p keadm -- completion {shell} > build/completions/{file}"
        );
    }
}

#[test]
fn the_manual_pages_that_are_shipped_are_those_of_this_command_line() {
    let folder = shipped("man");
    let pages = pages().unwrap();
    for (name, page) in &pages {
        let found = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(found == *page, "{name} is old: cargo run -p keadm -- man build/man");
    }
    let shipped = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
    for name in shipped {
        let is_known = pages.iter().any(|(known, _)| name == known.as_str());
        assert!(is_known, "build/man/{} is of a command that is no more", name.display());
    }
}

#[test]
fn pages_are_written_to_the_folder_that_is_given() {
    let host = Recording::new(Facts::default(), Printer::quiet());
    let man = Man { folder: "/pages".into(), acting: crate::args::Acting::default() };
    write_pages(&host, &man, &Printer::quiet()).unwrap();
    let written = |change: &Change| matches!(change, Change::Write { path, .. } if path.ends_with("keadm-ctl-unhold-upgrade.1"));
    assert!(host.changes().iter().any(written));
}
