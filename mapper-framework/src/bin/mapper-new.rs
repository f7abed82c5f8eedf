//! `mapper-new NAME`: writes the project of a new mapper.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mapper_framework::generator::{self, Source};

/// Writes the project of a new mapper.
#[derive(Debug, Parser)]
#[command(name = "mapper-new", version)]
struct Args {
    /// Its name, and that of its protocol.
    name: String,
    /// Folder to write it to; NAME-mapper without it.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Folder of mapper-framework, to use in place of the repository.
    #[arg(long, value_name = "DIR")]
    framework: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let folder = args.output.unwrap_or_else(|| format!("{}-mapper", args.name).into());
    let source = match args.framework.map(std::path::absolute).transpose() {
        Ok(path) => path.map_or(Source::Repository, Source::Path),
        Err(error) => return complain(&error),
    };
    match generator::generate(&args.name, &source, &folder) {
        Ok(files) => {
            say(&format!("{} files in {}. Go on:", files.len(), folder.display()));
            say(&format!(
                "  cd {} && cargo test && cargo run -- --simulate manifests/devices.yaml",
                folder.display()
            ));
            ExitCode::SUCCESS
        }
        Err(error) => complain(&error),
    }
}

#[expect(clippy::print_stdout, reason = "what was done is said on stdout")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "the last word of the process")]
fn complain(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("mapper-new: {error}");
    ExitCode::FAILURE
}
