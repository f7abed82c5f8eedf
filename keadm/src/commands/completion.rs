//! `keadm completion` and `keadm man`: made from the command line itself, so they cannot say anything else.

use clap::{Command, CommandFactory as _};

use crate::args::{Args, Completion, Man};
use crate::host::{Host, PUBLIC};
use crate::printer::Printer;

pub(super) fn completion(completion: &Completion, printer: &Printer) {
    printer.raw(&script(completion.shell));
}

/// What a shell needs to complete command lines.
pub(crate) fn script(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "keadm", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

pub(super) fn man(man: &Man, printer: &Printer) -> anyhow::Result<()> {
    let host = super::host(man.acting.dry_run, printer);
    write_pages(host.as_ref(), man, printer)
}

fn write_pages(host: &dyn Host, man: &Man, printer: &Printer) -> anyhow::Result<()> {
    let pages = pages()?;
    printer.step(format_args!("writing {} pages to {}", pages.len(), man.folder.display()));
    host.make_dir(&man.folder)?;
    for (name, page) in pages {
        host.write(&man.folder.join(name), &page, PUBLIC)?;
    }
    Ok(())
}

/// Each page as its file name and its text: one for each command.
pub(crate) fn pages() -> anyhow::Result<Vec<(String, String)>> {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    page("keadm", &command, &mut pages)?;
    Ok(pages)
}

fn page(name: &str, command: &Command, pages: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    let mut text = Vec::new();
    // The date of the build would make every build another one.
    let manual = clap_mangen::Man::new(command.clone()).date("").source("Skerry");
    manual.manual("keadm").render(&mut text)?;
    pages.push((format!("{name}.1"), String::from_utf8_lossy(&text).into_owned()));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        page(&format!("{name}-{}", below.get_name()), below, pages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
