//! The `keadm` binary.

use std::process::ExitCode;

use clap::Parser as _;
use keadm::args::Args;
use keadm::{commands, hint, printer::Printer};

fn main() -> ExitCode {
    let args = Args::parse();
    certs::tls::install_provider();
    let printer = Printer::default();
    match commands::run(args, &printer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            printer.failure(&error, hint::of(&error));
            ExitCode::FAILURE
        }
    }
}
