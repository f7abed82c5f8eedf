//! The environment that `make demo` has started.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// `target/demo`.
pub(super) struct Demo {
    dir: PathBuf,
    pub(super) client: Client,
}

impl Demo {
    /// The demo under cargo's target directory; it has to run.
    pub(super) async fn find(target: &Path) -> anyhow::Result<Self> {
        let dir = target.join("demo");
        let hint = "hint: run `make demo` first";
        let kubeconfig = Kubeconfig::read_from(dir.join("kubeconfig"))
            .with_context(|| format!("no demo in {}; {hint}", dir.display()))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let demo = Self { dir, client: Client::try_from(config)? };
        let version = demo.client.apiserver_version().await;
        version.with_context(|| format!("the demo's API server does not answer; {hint}"))?;
        Ok(demo)
    }

    /// The running process of this name.
    pub(super) fn pid(&self, name: &str) -> anyhow::Result<i32> {
        let file = self.pid_file(name);
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let pid: i32 = text.trim().parse().with_context(|| format!("{} holds no pid", file.display()))?;
        kill(Pid::from_raw(pid), None).with_context(|| format!("{name} (pid {pid}) does not run"))?;
        Ok(pid)
    }

    /// Where the pid of a process is kept.
    pub(super) fn pid_file(&self, name: &str) -> PathBuf {
        self.dir.join("run").join(format!("{name}.pid"))
    }

    /// Where the output of a process goes.
    pub(super) fn log_file(&self, name: &str) -> PathBuf {
        self.dir.join("log").join(format!("{name}.log"))
    }
}
