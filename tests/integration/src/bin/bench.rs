//! Prints what `make bench` measures. Its arguments are the folder of the binaries and that of the demo.

use std::path::PathBuf;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "the one place where a person reads why nothing was measured")]
async fn main() -> ExitCode {
    let mut folders = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(binaries), Some(demo)) = (folders.next(), folders.next()) else {
        eprintln!("usage: bench FOLDER_OF_BINARIES FOLDER_OF_DEMO");
        return ExitCode::FAILURE;
    };
    match integration::bench::run(&binaries, &demo, &mut std::io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
