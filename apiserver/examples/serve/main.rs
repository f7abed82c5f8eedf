//! A Kubernetes API to try out: `cargo run -p apiserver --example serve -- DIR [PORT]`.

use std::error::Error;
use std::path::PathBuf;

use apiserver::{ApiServer, Database, Options};
use chassis::shutdown::Shutdown;

mod kubeconfig;

use kubeconfig::Endpoint;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("usage: serve DIR [PORT]")?);
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    std::fs::create_dir_all(&dir)?;

    let api = ApiServer::open(Options::new(Database::File(dir.join("api.db")))?).await?;
    let endpoint = Endpoint::bind(&dir, port).await?;
    tell(&endpoint);
    let (_trigger, shutdown) = Shutdown::new();
    tokio::select! {
        served = api.serve(endpoint.listener, endpoint.tls, shutdown) => served?,
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example tells its user how to go on")]
fn tell(endpoint: &Endpoint) {
    println!("export KUBECONFIG={}", endpoint.kubeconfig.display());
}
