//! One file for each command.

mod demo;

use crate::args::{Args, Command};
use crate::printer::Printer;

/// Does what the command line says.
///
/// # Errors
/// Why it did not work; [`crate::hint::of`] gives what to do about it.
pub fn run(args: Args, printer: &Printer) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.command {
            Command::Demo(demo) => demo::run(demo, printer).await,
        }
    })
}
