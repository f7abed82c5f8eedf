//! Files that a node keeps for each pod besides its volumes: `/etc/hosts`, last messages, logs.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use k8s_cri::v1::Mount;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::container_config::termination_message_path;
use super::sandbox_config::host_name;
use super::state::uses_host_network;

/// Where the hosts file is mounted.
const HOSTS: &str = "/etc/hosts";
/// First lines of a pod's own hosts file: what every Linux has.
const STANDARD_HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";

/// What the hosts file is made of, besides the pod.
#[derive(Debug, Clone, Default)]
pub(super) struct HostNames<'a> {
    /// The pod's addresses.
    pub(super) ips: &'a [IpAddr],
    /// The pod's own domain, where it has a subdomain.
    pub(super) domain: Option<String>,
}

/// Makes the files of `container` under `pod_dir` and gives the mounts that show them to it.
pub(super) async fn container_files(
    pod_dir: &Path,
    pod: &Pod,
    container: &Container,
    attempt: u32,
    names: &HostNames<'_>,
) -> io::Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    let mounted = |path: &str| {
        container.volume_mounts.iter().flatten().any(|mount| mount.mount_path.trim_end_matches('/') == path)
    };
    if !mounted(HOSTS) {
        let hosts = pod_dir.join("etc-hosts");
        tokio::fs::create_dir_all(pod_dir).await?;
        tokio::fs::write(&hosts, hosts_file(pod, names).await).await?;
        readable_by_all(&hosts, 0o644).await?;
        mounts.push(mount(HOSTS, &hosts));
    }
    let message_path = termination_message_path(container);
    if !mounted(message_path) {
        let directory = pod_dir.join("containers").join(&container.name);
        tokio::fs::create_dir_all(&directory).await?;
        // A name of its own for each attempt: the next one must not read what the last one said.
        let file = directory.join(format!("{attempt:08x}"));
        tokio::fs::write(&file, "").await?;
        // Whatever user the container runs as, it may leave a message.
        readable_by_all(&file, 0o666).await?;
        mounts.push(mount(message_path, &file));
    }
    Ok(mounts)
}

/// How many containers of this name have left logs: the next restart count, when the runtime has forgotten them.
pub(super) async fn attempts_in_logs(log_directory: &Path, container: &str) -> Option<u32> {
    let mut entries = tokio::fs::read_dir(log_directory.join(container)).await.ok()?;
    let mut next = None;
    while let Ok(Some(entry)) = entries.next_entry().await {
        let name = entry.file_name();
        let attempt = name.to_str().and_then(|name| name.split('.').next()?.parse::<u32>().ok());
        next = next.max(attempt.map(|attempt| attempt + 1));
    }
    next
}

/// Removes the log of one container, rotated parts included.
pub(in crate::edged) async fn remove_log(
    log_directory: &Path,
    container: &str,
    attempt: u32,
) -> io::Result<()> {
    let directory = log_directory.join(container);
    let mut entries = match tokio::fs::read_dir(&directory).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let prefix = format!("{attempt}.log");
    while let Some(entry) = entries.next_entry().await? {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            tokio::fs::remove_file(entry.path()).await?;
        }
    }
    Ok(())
}

/// Removes all logs of a pod.
pub(super) async fn remove_logs(log_directory: PathBuf) -> io::Result<()> {
    match tokio::fs::remove_dir_all(&log_directory).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

async fn readable_by_all(path: &Path, mode: u32) -> io::Result<()> {
    tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).await
}

fn mount(container_path: &str, host_path: &Path) -> Mount {
    Mount {
        container_path: container_path.to_owned(),
        host_path: host_path.to_string_lossy().into_owned(),
        ..Mount::default()
    }
}

async fn hosts_file(pod: &Pod, names: &HostNames<'_>) -> String {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let mut text = if uses_host_network(spec) {
        let nodes = tokio::fs::read_to_string(HOSTS).await.unwrap_or_else(|_| STANDARD_HOSTS.to_owned());
        format!("# Kubernetes-managed hosts file (host network).\n{nodes}")
    } else {
        let name = host_name(spec, pod.metadata.name.as_deref().unwrap_or_default());
        own_hosts(&name, names)
    };
    text.push_str(&aliases(spec));
    text
}

fn own_hosts(name: &str, names: &HostNames<'_>) -> String {
    let mut text = format!("# Kubernetes-managed hosts file.\n{STANDARD_HOSTS}");
    for ip in names.ips {
        match &names.domain {
            Some(domain) => text.push_str(&format!("{ip}\t{name}.{domain}\t{name}\n")),
            None => text.push_str(&format!("{ip}\t{name}\n")),
        }
    }
    text
}

fn aliases(spec: &PodSpec) -> String {
    let lines: String = spec
        .host_aliases
        .iter()
        .flatten()
        .map(|alias| format!("{}\t{}\n", alias.ip, alias.hostnames.clone().unwrap_or_default().join("\t")))
        .collect();
    if lines.is_empty() { lines } else { format!("\n# Entries added by HostAliases.\n{lines}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn hosts_and_message_file_are_made_and_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": {
            "hostAliases": [{"ip": "192.0.2.5", "hostnames": ["db", "db.site"]}],
            "containers": [{"name": "app", "terminationMessagePath": "/tmp/last"}]}}))
        .unwrap();
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let ips = ["10.1.0.7".parse().unwrap()];
        let names = HostNames { ips: &ips, domain: None };
        let mounts = container_files(dir.path(), &pod, container, 1, &names).await.unwrap();
        assert_eq!(mounts[0].container_path, "/etc/hosts");
        let hosts = std::fs::read_to_string(&mounts[0].host_path).unwrap();
        assert!(hosts.contains("127.0.0.1\tlocalhost\n") && hosts.contains("10.1.0.7\tweb\n"), "{hosts}");
        assert!(hosts.ends_with("192.0.2.5\tdb\tdb.site\n"));
        assert_eq!(mounts[1].container_path, "/tmp/last");
        let mode = std::fs::metadata(&mounts[1].host_path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o666);
    }

    #[test]
    fn a_pod_with_a_subdomain_has_its_full_name_first() {
        let ips = ["10.1.0.7".parse().unwrap()];
        let names = HostNames { ips: &ips, domain: Some("db.shop.svc.cluster.local".to_owned()) };
        let hosts = own_hosts("web", &names);
        assert!(hosts.ends_with("10.1.0.7\tweb.db.shop.svc.cluster.local\tweb\n"), "{hosts}");
    }

    #[tokio::test]
    async fn what_the_pod_mounts_itself_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let container: Container = serde_json::from_value(json!({"name": "app", "volumeMounts": [
            {"name": "h", "mountPath": "/etc/hosts"}, {"name": "t", "mountPath": "/dev/termination-log"}]}))
        .unwrap();
        let mounts =
            container_files(dir.path(), &Pod::default(), &container, 0, &HostNames::default()).await.unwrap();
        assert!(mounts.is_empty());
    }

    #[tokio::test]
    async fn restarts_are_counted_from_the_logs() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(attempts_in_logs(dir.path(), "app").await, None);
        std::fs::create_dir(dir.path().join("app")).unwrap();
        for name in ["0.log", "2.log", "2.log.20261123-070000", "junk"] {
            std::fs::write(dir.path().join("app").join(name), "").unwrap();
        }
        assert_eq!(attempts_in_logs(dir.path(), "app").await, Some(3));
        remove_log(dir.path(), "app", 2).await.unwrap();
        assert_eq!(attempts_in_logs(dir.path(), "app").await, Some(1));
        remove_logs(dir.path().to_owned()).await.unwrap();
        remove_logs(dir.path().to_owned()).await.unwrap();
    }
}
