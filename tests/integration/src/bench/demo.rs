//! The environment that `make demo` has started.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use keadm::processes::Background;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// A running demo.
pub(super) struct Demo {
    dir: PathBuf,
    pub(super) client: Client,
}

impl Demo {
    /// The demo whose state is in this folder; it has to run.
    pub(super) async fn find(dir: &Path) -> anyhow::Result<Self> {
        let hint = "hint: run `make demo` first";
        let kubeconfig = Kubeconfig::read_from(dir.join("kubeconfig"))
            .with_context(|| format!("no demo in {}; {hint}", dir.display()))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let demo = Self { dir: dir.to_owned(), client: Client::try_from(config)? };
        let version = demo.client.apiserver_version().await;
        version.with_context(|| format!("the demo's API server does not answer; {hint}"))?;
        Ok(demo)
    }

    /// One of the demo's processes.
    pub(super) fn process(&self, name: &'static str) -> Background {
        Background::new(name, &self.dir.join("run"), &self.dir.join("log"))
    }

    /// The id of one of the demo's processes; it has to run.
    pub(super) fn pid(&self, name: &'static str) -> anyhow::Result<i32> {
        self.process(name).pid().with_context(|| format!("{name} does not run; hint: run `make demo` first"))
    }
}
