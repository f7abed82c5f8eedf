//! Prints what `make bench-router` measures. Its arguments are how many rounds, and of how many seconds each.

use std::process::ExitCode;

use integration::bench::router;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "the one place where a person reads why nothing was measured")]
async fn main() -> ExitCode {
    certs::tls::install_provider();
    let measured = async {
        let load = router::load(std::env::args().skip(1))?;
        router::run(load, &mut std::io::stdout()).await
    };
    match measured.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
