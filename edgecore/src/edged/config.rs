//! edged's part of the configuration, parsed: what is a string in the file is a path, an address or a duration here.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use proto::config::edgecore::Edged as File;

use super::image::PullLimits;
use super::node::NodeConfig;
use super::node_shutdown::ShutdownConfig;
use super::pod::context::PodSettings;
use super::pod::dns::DnsSettings;
use super::resources::cgroup::CgroupDriver;
use super::runtime::cri::SocketEndpoint;
use super::server;
use super::static_pods::StaticPodConfig;
use super::upkeep::UpkeepConfig;

/// What is wrong, with its path in the file.
type Problem = (String, String);

/// Everything edged is told from outside. Made by [`Config::from_file`].
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's own.
    pub node: NodeConfig,
    /// The node's upkeep.
    pub upkeep: UpkeepConfig,
    /// What concerns pods.
    pub pods: PodSettings,
    /// `staticPodPath` and `fileCheckFrequency`
    pub static_pods: StaticPodConfig,
    /// `rootDirectory`
    pub root_directory: PathBuf,
    /// `containerRuntimeEndpoint`
    pub runtime: SocketEndpoint,
    /// `imageServiceEndpoint`
    pub images: SocketEndpoint,
    /// `runtimeRequestTimeout`
    pub runtime_limit: Duration,
    /// `cgroupDriver`
    pub cgroup_driver: CgroupDriver,
    /// `cgroupRoot`
    pub cgroup_root: String,
    /// `reportEvent`
    pub report_events: bool,
    /// What happens when the machine is shut down.
    pub shutdown: ShutdownConfig,
    /// The local server's own.
    pub server: server::Config,
}

impl Config {
    /// Parses the file's values for the node `name`; all problems come at once, each with its path in the file.
    pub fn from_file(file: &File, name: &str) -> Result<Self, Vec<Problem>> {
        let kubelet = &file.tailored_kubelet_config;
        let mut problems = Vec::new();
        let runtime =
            endpoint("containerRuntimeEndpoint", &kubelet.container_runtime_endpoint, &mut problems);
        let image_endpoint = Some(kubelet.image_service_endpoint.as_str()).filter(|text| !text.is_empty());
        let images = match image_endpoint {
            // Kept from when it could be left out: the default stands for "as the runtime".
            Some(text) if text != File::default().tailored_kubelet_config.image_service_endpoint => {
                endpoint("imageServiceEndpoint", text, &mut problems)
            }
            _ => runtime.clone(),
        };
        let node = NodeConfig::from_file(file, name).map_err(|more| problems.extend(more)).ok();
        let upkeep = UpkeepConfig::from_file(file, name).map_err(|more| problems.extend(more)).ok();
        let pods = pod_settings(file, &mut problems);
        let server = server::Config::from_file(file, name).map_err(|more| problems.extend(more)).ok();
        let shutdown =
            ShutdownConfig::from_file(file).map_err(|more| problems.extend(more)).unwrap_or_default();
        match (runtime, images, node, upkeep, server) {
            (Some(runtime), Some(images), Some(node), Some(upkeep), Some(server)) if problems.is_empty() => {
                Ok(Self {
                    node,
                    upkeep,
                    pods,
                    static_pods: StaticPodConfig {
                        folder: PathBuf::from(&kubelet.static_pod_path),
                        every: kubelet.file_check_frequency.0,
                    },
                    root_directory: PathBuf::from(&file.root_directory),
                    runtime,
                    images,
                    runtime_limit: kubelet.runtime_request_timeout.0,
                    cgroup_driver: match kubelet.cgroup_driver.as_str() {
                        "systemd" => CgroupDriver::Systemd,
                        _ => CgroupDriver::Cgroupfs,
                    },
                    cgroup_root: kubelet.cgroup_root.clone(),
                    report_events: file.report_event,
                    shutdown,
                    server,
                })
            }
            _ => Err(problems),
        }
    }
}

fn pod_settings(file: &File, problems: &mut Vec<Problem>) -> PodSettings {
    let kubelet = &file.tailored_kubelet_config;
    let mut servers: Vec<IpAddr> = Vec::new();
    for (index, text) in kubelet.cluster_dns.iter().enumerate() {
        match text.parse() {
            Ok(server) => servers.push(server),
            Err(_) => {
                problems.push((path(&format!("clusterDNS[{index}]")), format!("{text:?} is no address")))
            }
        }
    }
    let period = i64::try_from(kubelet.cpu_cfs_quota_period.0.as_micros()).unwrap_or(i64::MAX);
    PodSettings {
        logs: PathBuf::from(&kubelet.pod_logs_dir),
        resolv_conf: PathBuf::from(&kubelet.resolv_conf),
        dns: DnsSettings { servers, domain: kubelet.cluster_domain.clone() },
        seccomp_default: kubelet.seccomp_default,
        seccomp_root: PathBuf::from(&file.root_directory).join("seccomp"),
        quota_period: kubelet.cpu_cfs_quota.then_some(period),
        pids_limit: Some(kubelet.pod_pids_limit).filter(|limit| *limit > 0),
        unsafe_sysctls: kubelet.allowed_unsafe_sysctls.clone(),
        most: u32::try_from(kubelet.max_pods).unwrap_or_default(),
        pulls: PullLimits::from_file(kubelet),
        services: Vec::new(),
    }
}

fn endpoint(key: &str, text: &str, problems: &mut Vec<Problem>) -> Option<SocketEndpoint> {
    text.parse().map_err(|error| problems.push((path(key), format!("{error}")))).ok()
}

fn path(key: &str) -> String {
    format!("modules.edged.tailoredKubeletConfig.{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable() {
        let config = Config::from_file(&File::default(), "edge-1").unwrap();
        assert_eq!(config.runtime.to_string(), "unix:///run/containerd/containerd.sock");
        assert_eq!(config.pods.quota_period, Some(100_000));
    }

    #[test]
    fn images_come_from_the_runtime_unless_said_otherwise() {
        let mut file = File::default();
        file.tailored_kubelet_config.container_runtime_endpoint = "unix:///tmp/c.sock".to_owned();
        let config = Config::from_file(&file, "edge-1").unwrap();
        assert_eq!(config.images, config.runtime);
        file.tailored_kubelet_config.image_service_endpoint = "unix:///tmp/i.sock".to_owned();
        let config = Config::from_file(&file, "edge-1").unwrap();
        assert_eq!(config.images.to_string(), "unix:///tmp/i.sock");
    }

    #[test]
    fn all_problems_come_at_once_with_their_paths() {
        let mut file = File::default();
        file.tailored_kubelet_config.container_runtime_endpoint = "tcp://x".to_owned();
        file.tailored_kubelet_config.cluster_dns = vec!["10.0.0.10".to_owned(), "dns".to_owned()];
        let problems = Config::from_file(&file, "edge-1").unwrap_err();
        let paths: Vec<_> = problems.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "modules.edged.tailoredKubeletConfig.containerRuntimeEndpoint",
                "modules.edged.tailoredKubeletConfig.clusterDNS[1]"
            ]
        );
    }
}
