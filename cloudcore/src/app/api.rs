//! Which Kubernetes API, as the configuration says.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use proto::config::cloudcore::{Embedded, KubeApiConfig};

use crate::admission;
use crate::embedded::server;

/// The Kubernetes API, and what pods verify it with.
pub(super) struct Api {
    pub(super) client: Client,
    pub(super) root_pem: String,
}

/// Settings of the embedded one.
pub(super) fn embedded(section: &Embedded) -> anyhow::Result<server::Config> {
    let ip = section.address.parse().context("modules.embedded.address")?;
    Ok(server::Config {
        data_dir: PathBuf::from(&section.data_dir),
        listen: SocketAddr::new(ip, section.port),
        hooks: admission::hooks(),
        advertise: (!section.advertise_address.is_empty()).then(|| section.advertise_address.clone()),
    })
}

/// The cluster of a kubeconfig; without one, the cluster that CloudCore is a pod of.
pub(super) async fn external(settings: &KubeApiConfig) -> anyhow::Result<Api> {
    let mut config = if settings.kube_config.is_empty() {
        kube::Config::incluster()
            .context("kubeAPIConfig.kubeConfig is empty, and CloudCore is not a pod of a cluster")?
    } else {
        kube_config(Path::new(&settings.kube_config)).await?
    };
    if !settings.master.is_empty() {
        config.cluster_url = settings.master.parse().context("kubeAPIConfig.master")?;
    }
    let root_pem = config.root_cert.iter().flatten().map(|der| pem(der)).collect();
    Ok(Api { client: Client::try_from(config)?, root_pem })
}

fn pem(der: &[u8]) -> String {
    certs::armor::encode_certificate(&der.to_vec().into())
}

async fn kube_config(file: &Path) -> anyhow::Result<kube::Config> {
    let kubeconfig = Kubeconfig::read_from(file).with_context(|| format!("read {}", file.display()))?;
    kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("use {}", file.display()))
}
