//! The `hollow-edge` binary.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use hollow_edge::args::{Cli, Format};
use hollow_edge::report::Report;
use hollow_edge::scenario;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(tracing::Level::INFO)
        .init();
    match scenario::run(cli.command).await {
        Ok(reports) => say(cli.output, &reports),
        Err(error) => complain(&error),
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for goes to stdout")]
fn say(format: Format, reports: &[Report]) -> ExitCode {
    match (format, reports) {
        (Format::Table, reports) => reports.iter().for_each(|report| println!("{report}")),
        (Format::Json, [report]) => println!("{}", report.to_json()),
        (Format::Json, reports) => {
            let all: Vec<_> = reports.iter().map(Report::to_json).collect();
            println!("{}", serde_json::json!({"scenario": "bench", "reports": all}));
        }
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "the last word of the process")]
fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("hollow-edge: {error:#}");
    ExitCode::FAILURE
}
