//! `keadm debug check`: has this machine what an edge node needs? The limits are stock's.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::statvfs::statvfs;
use proto::config::edgecore::EdgeCore;
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::{sleep, timeout};

use super::dns;
use crate::args::{CgroupDriver, Subject};
use crate::cri::{self, Runtime};
use crate::findings::Finding;
use crate::host::Look;
use crate::web::Web;

const MIB: u64 = 1 << 20;
/// Of a resource, in percent.
const MOST_USED: u64 = 90;
/// Memory that there must be, and that must be free.
const MEMORY: (u64, u64) = (256 * MIB, 128 * MIB);
/// Disk that there must be, and that must be free.
const DISK: (u64, u64) = (1024 * MIB, 512 * MIB);
/// Of the ids of processes, in percent, that must be free.
const FREE_IDS: u64 = 5;
/// For how long the processors are watched.
const WATCH: Duration = Duration::from_millis(250);
/// For an answer of the network.
const ANSWER: Duration = Duration::from_secs(5);

/// What `debug check` was asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) domain: Option<String>,
    pub(super) dns: Option<IpAddr>,
    pub(super) ip: Option<String>,
    pub(super) cloud: Option<String>,
}

pub(super) async fn findings(
    subject: Subject,
    asked: &Asked,
    config: &EdgeCore,
    look: &dyn Look,
    web: &dyn Web,
) -> anyhow::Result<Vec<Finding>> {
    let is = |this: Subject| subject == this || subject == Subject::All;
    let mut found = Vec::new();
    if is(Subject::Cpu) {
        let cores = std::thread::available_parallelism().map_or(0, |count| count.get() as u64);
        found.push(cpu(cores, cpu_used().await?));
    }
    if is(Subject::Mem) {
        let text = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
        found.push(memory(kibibytes(&text, "MemTotal:"), kibibytes(&text, "MemAvailable:")));
    }
    if is(Subject::Disk) {
        let folder = Path::new(super::super::LIB);
        let folder = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
        let room = statvfs(folder).with_context(|| format!("look at {}", folder.display()))?;
        // The sizes of these fields differ between architectures.
        #[allow(clippy::useless_conversion, reason = "u64 here, u32 on 32-bit ARM")]
        let [size, blocks, available] =
            [room.fragment_size(), room.blocks(), room.blocks_available()].map(u64::from);
        found.push(disk(folder, blocks * size, available * size));
    }
    if is(Subject::Pid) {
        let read = |file: &str| fs::read_to_string(file).with_context(|| format!("read {file}"));
        found.push(process_ids(&read("/proc/sys/kernel/pid_max")?, &read("/proc/loadavg")?));
    }
    if is(Subject::Dns) {
        found.push(names(asked, config).await);
    }
    if is(Subject::Runtime) {
        found.push(runtime(config).await);
    }
    if is(Subject::Network) {
        found.extend(network(asked, config, look, web).await);
    }
    Ok(found)
}

pub(super) fn cpu(cores: u64, used: u64) -> Finding {
    Finding::when(
        cores >= 1 && used <= MOST_USED,
        "cpu",
        format!("{cores} cores, {used} % used"),
        format!("more than {MOST_USED} % leaves EdgeCore no time: `top` shows who takes it"),
    )
}

pub(super) fn memory(total: u64, free: u64) -> Finding {
    let used = (total - free.min(total)) * 100 / total.max(1);
    Finding::when(
        total >= MEMORY.0 && free >= MEMORY.1 && used <= MOST_USED,
        "mem",
        format!("{} MiB, {} MiB free, {used} % used", total / MIB, free / MIB),
        format!("a node needs {} MiB, {} MiB of them free", MEMORY.0 / MIB, MEMORY.1 / MIB),
    )
}

pub(super) fn disk(folder: &Path, total: u64, free: u64) -> Finding {
    let used = (total - free.min(total)) * 100 / total.max(1);
    Finding::when(
        total >= DISK.0 && free >= DISK.1 && used <= MOST_USED,
        "disk",
        format!("{}: {} MiB, {} MiB free, {used} % used", folder.display(), total / MIB, free / MIB),
        format!(
            "a node needs {} MiB, {} MiB of them free; `crictl rmi --prune` removes images that nothing uses",
            DISK.0 / MIB,
            DISK.1 / MIB
        ),
    )
}

/// `pid_max` and `loadavg` as in proc(5): the fourth field of the latter ends with the number of threads.
pub(super) fn process_ids(most: &str, load: &str) -> Finding {
    let most: u64 = most.trim().parse().unwrap_or_default();
    let threads = load.split_whitespace().nth(3).and_then(|field| field.split_once('/'));
    let threads: u64 = threads.and_then(|(_, total)| total.parse().ok()).unwrap_or_default();
    let free = most.saturating_sub(threads) * 100 / most.max(1);
    Finding::when(
        free > FREE_IDS,
        "pid",
        format!("{threads} of {most} process ids are taken"),
        "sysctl kernel.pid_max raises the number; `ps -eLf` shows who takes them",
    )
}

fn kibibytes(meminfo: &str, field: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// In percent, of all processors, over a short while.
async fn cpu_used() -> anyhow::Result<u64> {
    let before = ticks()?;
    sleep(WATCH).await;
    let after = ticks()?;
    let (all, idle) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    Ok(all.saturating_sub(idle) * 100 / all.max(1))
}

/// All ticks of the processors, and those without work.
fn ticks() -> anyhow::Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest is part of user.
    Ok((fields.iter().take(8).sum(), fields.iter().skip(3).take(2).sum()))
}

/// The host of `https://host:port`, or of `host:port`.
fn host_of(server: &str) -> String {
    let server = server.split_once("://").map_or(server, |(_, rest)| rest);
    let server = server.split('/').next().unwrap_or_default();
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

async fn names(asked: &Asked, config: &EdgeCore) -> Finding {
    let cloud = host_of(&config.modules.edge_hub.http_server);
    let name = match &asked.domain {
        Some(name) => name.clone(),
        None if cloud.is_empty() || cloud.parse::<IpAddr>().is_ok() => {
            return Finding::good(
                "dns",
                "the cloud is given by its address: no name is needed; -d looks one up",
            );
        }
        None => cloud,
    };
    let hint = "look at /etc/resolv.conf; an address in place of the name works without DNS";
    let found = match asked.dns {
        Some(server) => ask_server(&name, server).await,
        None => match timeout(ANSWER, lookup_host((name.as_str(), 0))).await {
            Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(anyhow::anyhow!("no answer within {ANSWER:?}")),
        },
    };
    match found {
        Ok(addresses) if addresses.is_empty() => Finding::bad("dns", format!("{name} has no address"), hint),
        Ok(addresses) => {
            let addresses: BTreeSet<String> = addresses.iter().map(ToString::to_string).collect();
            let addresses: Vec<String> = addresses.into_iter().collect();
            Finding::good("dns", format!("{name} is {}", addresses.join(", ")))
        }
        Err(error) => Finding::bad("dns", format!("{name}: {error:#}"), hint),
    }
}

async fn ask_server(name: &str, server: IpAddr) -> anyhow::Result<Vec<IpAddr>> {
    let any: SocketAddr = if server.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect((server, dns::PORT)).await?;
    socket.send(&dns::question(name)?).await?;
    let mut answer = [0; dns::LONGEST];
    let read = timeout(ANSWER, socket.recv(&mut answer)).await;
    let read = read.with_context(|| format!("{server} has not answered within {ANSWER:?}"))??;
    dns::addresses(&answer[..read])
}

pub(super) fn socket(config: &EdgeCore) -> PathBuf {
    let runtime = &config.modules.edged.tailored_kubelet_config.container_runtime_endpoint;
    PathBuf::from(runtime.strip_prefix("unix://").unwrap_or(runtime))
}

pub(super) async fn runtime(config: &EdgeCore) -> Finding {
    let socket = socket(config);
    let hint = "start containerd; --remote-runtime-endpoint of `keadm join` gives another socket";
    match cri::status(&socket).await {
        Ok(runtime) => runtime_finding(&runtime, &socket, config),
        Err(error) => Finding::bad("runtime", format!("{error:#}"), hint),
    }
}

fn runtime_finding(runtime: &Runtime, socket: &Path, config: &EdgeCore) -> Finding {
    if !runtime.not_ready.is_empty() {
        return Finding::bad(
            "runtime",
            format!("{} is not ready: {}", runtime.version, runtime.not_ready.join("; ")),
            "NetworkReady wants a network configuration in /etc/cni/net.d; without one only pods with hostNetwork run",
        );
    }
    let ours = &config.modules.edged.tailored_kubelet_config.cgroup_driver;
    match runtime.cgroup_driver.map(CgroupDriver::as_str).filter(|theirs| theirs != ours) {
        Some(theirs) => Finding::bad(
            "runtime",
            format!(
                "{} has cgroup driver {theirs}, and EdgeCore has {ours}: no pod can start",
                runtime.version
            ),
            format!("`keadm config-update --set modules.edged.tailoredKubeletConfig.cgroupDriver={theirs}`"),
        ),
        None => Finding::good("runtime", format!("{} at {}", runtime.version, socket.display())),
    }
}

async fn network(asked: &Asked, config: &EdgeCore, look: &dyn Look, web: &dyn Web) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(address) = &asked.ip {
        found.push(reachable("network", address, "check the route: `ip route get ADDRESS`").await);
    }
    let hub = &config.modules.edge_hub;
    let server = asked.cloud.as_ref().unwrap_or(&hub.http_server);
    if server.is_empty() {
        found.push(Finding::good("cloud", "no cloud is configured: -s gives one"));
    } else {
        found.push(cloud(server, web).await);
    }
    if hub.websocket.enable && !hub.websocket.server.is_empty() && asked.cloud.is_none() {
        let hint = "open TCP port 10000 of the cloud in firewalls between";
        found.push(reachable("channel", &hub.websocket.server, hint).await);
    }
    if look.is_running("edgecore").unwrap_or_default() {
        found.push(local(config, web).await);
    }
    found
}

/// Whether a connection is taken; port 80 without one.
async fn reachable(check: &'static str, address: &str, hint: &str) -> Finding {
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port { address.to_owned() } else { format!("{address}:80") };
    match timeout(ANSWER, TcpStream::connect(&address)).await {
        Ok(Ok(_)) => Finding::good(check, format!("{address} takes connections")),
        // Somebody is there and says no.
        Ok(Err(error)) if !has_port && error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Finding::good(check, format!("{address} is there"))
        }
        Ok(Err(error)) => Finding::bad(check, format!("{address}: {error}"), hint),
        Err(_) => Finding::bad(check, format!("{address}: no answer within {ANSWER:?}"), hint),
    }
}

pub(super) async fn cloud(server: &str, web: &dyn Web) -> Finding {
    let url = format!("{}/ca.crt", server.trim_end_matches('/'));
    let hint = "check modules.edgeHub.httpServer, and firewalls between; TCP port 10002 of the cloud";
    match web.get(&url).await {
        Ok(answer) if answer.status.is_success() => Finding::good("cloud", format!("{server} answers")),
        Ok(answer) => Finding::bad("cloud", format!("{url} answers {}", answer.status), hint),
        Err(error) => Finding::bad("cloud", format!("{error:#}"), hint),
    }
}

async fn local(config: &EdgeCore, web: &dyn Web) -> Finding {
    let kubelet = &config.modules.edged.tailored_kubelet_config;
    let url = format!("http://{}:{}/healthz", kubelet.address, kubelet.read_only_port);
    let hint = "`keadm debug diagnose node` says more";
    match web.get(&url).await {
        Ok(answer) if answer.status.is_success() => Finding::good("edgecore", "it is healthy"),
        Ok(answer) => Finding::bad("edgecore", answer.text(), hint),
        Err(error) => Finding::bad("edgecore", format!("{error:#}"), hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::report;
    use crate::printer::Printer;

    #[test]
    fn a_machine_that_is_too_small_is_told_what_it_lacks() {
        let printer = Printer::capturing();
        let findings = [
            cpu(1, 97),
            memory(200 * MIB, 10 * MIB),
            disk(Path::new("/var/lib"), 8192 * MIB, 100 * MIB),
            process_ids("32768\n", "0.1 0.2 0.3 1/32000 4711"),
        ];
        let error = report(&findings, &printer).unwrap_err();
        assert_eq!(error.to_string(), "4 of 4 checks failed");
        insta::assert_snapshot!(printer.captured());
    }

    #[test]
    fn a_machine_that_will_do() {
        let printer = Printer::capturing();
        let findings = [
            cpu(4, 12),
            memory(1024 * MIB, 700 * MIB),
            disk(Path::new("/"), 16_384 * MIB, 9000 * MIB),
            process_ids("32768\n", "0.1 0.2 0.3 1/212 4711"),
        ];
        report(&findings, &printer).unwrap();
        insta::assert_snapshot!(printer.captured());
    }

    #[test]
    fn a_runtime_with_another_cgroup_driver_is_none_for_pods() {
        let config = EdgeCore::default();
        let found = |driver, not_ready: &[&str]| {
            let not_ready = not_ready.iter().map(ToString::to_string).collect();
            let runtime = Runtime { cgroup_driver: driver, not_ready, ..Runtime::default() };
            runtime_finding(&runtime, Path::new("/run/c.sock"), &config)
        };
        assert!(found(Some(CgroupDriver::Cgroupfs), &[]).ok && found(None, &[]).ok);
        assert!(!found(Some(CgroupDriver::Cgroupfs), &["NetworkReady: no network"]).ok);
        let other = found(Some(CgroupDriver::Systemd), &[]);
        assert!(!other.ok && other.hint.unwrap().contains("cgroupDriver=systemd"));
    }

    #[test]
    fn the_host_of_a_server() {
        for (server, host) in [
            ("https://10.0.0.1:10002", "10.0.0.1"),
            ("https://cloud.example:10002/path", "cloud.example"),
            ("cloud.example:10000", "cloud.example"),
            ("https://[fd00::1]:10002", "fd00::1"),
            ("", ""),
        ] {
            assert_eq!(host_of(server), host);
        }
    }
}
