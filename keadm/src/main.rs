//! The `keadm` binary.

use std::process::ExitCode;

use clap::Parser as _;
use keadm::args::{self, Args, Format};
use keadm::printer::{Layout, Printer};
use keadm::{commands, hint};

/// The command line is what is wrong; clap's own refusals end with it too.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse_from(args::as_stock(std::env::args_os()));
    certs::tls::install_provider();
    let printer = match args.format() {
        Format::Text => Printer::default(),
        Format::Json => Printer::document(Layout::Json),
        Format::Yaml => Printer::document(Layout::Yaml),
    };
    match commands::run(args, &printer) {
        Ok(()) => {
            printer.finish(None);
            ExitCode::SUCCESS
        }
        Err(error) => {
            printer.finish(Some((&error, hint::of(&error))));
            printer.failure(&error, hint::of(&error));
            if hint::is_usage(&error) { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}
