//! The `cloudcore` binary.

use std::process::ExitCode;

use clap::Parser as _;
use cloudcore::args::Args;
use cloudcore::{app, settings};

/// The configuration is not valid (`EX_USAGE` of sysexits.h): starting again will not help.
const BAD_CONFIG: u8 = 64;

fn main() -> ExitCode {
    let args = Args::parse();
    match settings::printed(&args) {
        Ok(None) => {}
        Ok(Some(text)) => return say(&text),
        Err(error) => return complain(&error, ExitCode::FAILURE),
    }
    match settings::load(&args.config) {
        Ok(config) => match app::run(config, args.pod) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error, ExitCode::FAILURE),
        },
        Err(error) => complain(&error.into(), ExitCode::from(BAD_CONFIG)),
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for goes to stdout")]
fn say(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "the last word of the process, also when there is no log yet")]
fn complain(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    eprintln!("cloudcore: {error:#}");
    code
}
