//! The real `kubectl`, as a user runs it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// `kubectl` with a kubeconfig and nothing else.
#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    cache: PathBuf,
    network: Option<PathBuf>,
}

impl Kubectl {
    /// Uses `kubeconfig`; discovery is cached beside it, so that tests do not share a cache.
    #[must_use]
    pub fn new(kubeconfig: &Path) -> Self {
        let cache = kubeconfig.with_extension("kubectl-cache");
        Self { kubeconfig: kubeconfig.to_owned(), cache, network: None }
    }

    /// The same, in the network namespace that this file stands for, with its cache in a folder of its own.
    #[must_use]
    pub fn in_network(kubeconfig: &Path, namespace: &Path, cache: &Path) -> Self {
        let (kubeconfig, cache) = (kubeconfig.to_owned(), cache.to_owned());
        Self { kubeconfig, cache, network: Some(namespace.to_owned()) }
    }

    fn command(&self) -> Command {
        let Some(namespace) = &self.network else { return Command::new("kubectl") };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", namespace.display())).args(["--", "kubectl"]);
        command
    }

    /// Runs `kubectl ARGS` and gives what it printed.
    ///
    /// # Errors
    /// When it cannot be started or ends with another code than 0; the message holds both its outputs.
    pub async fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        self.pipe(args, "").await
    }

    /// `kubectl apply -f -` of a manifest.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn apply(&self, manifest: &str) -> anyhow::Result<String> {
        self.pipe(&["apply", "-f", "-"], manifest).await
    }

    /// One value of one object by JSONPath.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn value(&self, object: &str, jsonpath: &str) -> anyhow::Result<String> {
        self.run(&["get", object, "-o", &format!("jsonpath={jsonpath}")]).await
    }

    async fn pipe(&self, args: &[&str], input: &str) -> anyhow::Result<String> {
        let mut child = self
            .command()
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(&self.cache)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start kubectl (install kubectl, or Debian's kubernetes-client)")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        let output = child.wait_with_output().await?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        anyhow::ensure!(
            output.status.success(),
            "kubectl {} ended with {}: {}{stdout}",
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr),
        );
        Ok(stdout)
    }
}
