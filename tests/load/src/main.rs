//! The `hollow-edge` binary.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use hollow_edge::args::{Cli, Format};
use hollow_edge::report::Report;
use hollow_edge::scenario::{self, Findings};
use serde_json::json;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(tracing::Level::INFO)
        .init();
    match scenario::run(cli.command).await {
        Ok(findings) => say(cli.output, &findings),
        Err(error) => complain(&error),
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for goes to stdout")]
fn say(format: Format, findings: &Findings) -> ExitCode {
    match (format, findings) {
        (Format::Table, Findings::One(report)) => println!("{report}"),
        (Format::Json, Findings::One(report)) => println!("{}", report.to_json()),
        // The reports themselves were logged when they were made.
        (Format::Table, Findings::Bench(_, summary)) => println!("{summary}"),
        (Format::Json, Findings::Bench(reports, summary)) => {
            let reports: Vec<_> = reports.iter().map(Report::to_json).collect();
            let all = json!({"scenario": "bench", "reports": reports, "summary": summary.to_json()});
            println!("{all}");
        }
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "the last word of the process")]
fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("hollow-edge: {error:#}");
    ExitCode::FAILURE
}
