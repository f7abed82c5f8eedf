//! Prints what `make bench-devices` measures. Its arguments are how many devices, and for how many seconds.

use std::process::ExitCode;

use integration::bench::devices;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "the one place where a person reads why nothing was measured")]
async fn main() -> ExitCode {
    certs::tls::install_provider();
    let measured = async {
        let load = devices::load(std::env::args().skip(1))?;
        devices::run(load, &mut std::io::stdout()).await
    };
    match measured.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
