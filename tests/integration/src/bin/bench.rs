//! Prints what `make bench` measures. Takes cargo's target directory as its argument.

use std::path::PathBuf;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "the one place where a person reads why nothing was measured")]
async fn main() -> ExitCode {
    let target = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target"), PathBuf::from);
    match integration::bench::run(&target, &mut std::io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
