//! The `keadm` binary.

use std::process::ExitCode;

use clap::Parser as _;
use keadm::args::Args;
use keadm::{commands, hint, printer::Printer};

/// The command line is what is wrong; clap's own refusals end with it too.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    certs::tls::install_provider();
    let printer = Printer::default();
    match commands::run(args, &printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer.failure(&error, hint::of(&error));
            if hint::is_usage(&error) { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}
