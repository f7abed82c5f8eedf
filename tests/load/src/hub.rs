//! The hub as seen from outside: its process, and its metrics page.

use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::process::Usage;

/// How long a page may take.
const PAGE: Duration = Duration::from_secs(10);
/// Ours, inside CloudCore; and that of kube-apiserver.
const REQUESTS: [&str; 2] = ["apiserver_requests_total", "apiserver_request_total"];
/// Verbs that change something, as either of them spells them.
const WRITES: [&str; 9] =
    ["create", "update", "patch", "delete", "deletecollection", "POST", "PUT", "PATCH", "DELETE"];

/// Ours, and that of stock KubeEdge.
const CONNECTED: [&str; 2] = ["cloudhub_connected_nodes", "KubeEdge_CloudHub_connected_nodes"];

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Observer {
    /// Its process, if it is on this machine.
    pub pid: Option<i32>,
    /// `http://host:port/path` of its metrics, and of those of its Kubernetes API if that is another process.
    pub metrics: Vec<String>,
}

/// What was seen at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// The hub's process.
    pub hub: Option<Usage>,
    /// This process.
    pub own: Usage,
    /// Writes to the Kubernetes API since its start.
    pub writes: Option<f64>,
    /// Those of them that were to leases.
    pub lease_writes: Option<f64>,
    /// All requests to the Kubernetes API since its start.
    pub requests: Option<f64>,
    /// Nodes that the hub says are connected.
    pub connected: Option<f64>,
}

impl Observer {
    /// Looks now.
    ///
    /// # Errors
    /// When what it was told to look at is not there.
    pub async fn sample(&self) -> anyhow::Result<Sample> {
        let mut pages = String::new();
        for url in &self.metrics {
            pages += &page(url).await.with_context(|| format!("read {url}"))?;
        }
        let page = (!pages.is_empty()).then_some(pages);
        let is_write = |labels: &str| has_verb(labels, &WRITES);
        Ok(Sample {
            at: Instant::now(),
            hub: self.pid.map(Usage::of).transpose().context("the hub's process")?,
            own: Usage::of(i32::try_from(std::process::id())?)?,
            writes: page.as_deref().map(|page| sum(page, is_write)),
            lease_writes: page
                .as_deref()
                .map(|page| sum(page, |labels| is_write(labels) && labels.contains("resource=\"leases\""))),
            requests: page.as_deref().map(|page| sum(page, |_| true)),
            connected: page.as_deref().and_then(connected),
        })
    }
}

impl Sample {
    /// Writes to the API between an earlier sample and this one.
    #[must_use]
    pub fn writes_since(&self, before: &Self) -> Option<f64> {
        Some(self.writes? - before.writes?)
    }

    /// The same, without those to leases.
    #[must_use]
    pub fn other_writes_since(&self, before: &Self) -> Option<f64> {
        Some(self.writes_since(before)? - (self.lease_writes? - before.lease_writes?))
    }

    /// The hub's CPU time in percent of a core between an earlier sample and this one.
    #[must_use]
    pub fn hub_cpu_since(&self, before: &Self) -> Option<f64> {
        Some(percent(self.hub?.cpu - before.hub?.cpu, self.at - before.at))
    }

    /// This process's CPU time in percent of a core.
    #[must_use]
    pub fn own_cpu_since(&self, before: &Self) -> f64 {
        percent(self.own.cpu - before.own.cpu, self.at - before.at)
    }
}

fn percent(cpu: f64, time: Duration) -> f64 {
    cpu / time.as_secs_f64().max(f64::EPSILON) * 100.0
}

/// What is there, if the answer is 200. HTTP/1.0, so that nobody answers in chunks.
pub(crate) async fn page(url: &str) -> anyhow::Result<String> {
    let rest = url.strip_prefix("http://").context("the URL must begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let fetched = async {
        let mut stream = TcpStream::connect(host).await?;
        stream.write_all(format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = timeout(PAGE, fetched).await.context("no answer in time")??;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    anyhow::ensure!(head.split(' ').nth(1) == Some("200"), "{}", head.lines().next().unwrap_or_default());
    Ok(body.to_owned())
}

/// The sum over all series of the requests of an API server whose labels are wanted.
fn sum(page: &str, wanted: impl Fn(&str) -> bool) -> f64 {
    let series = page.lines().filter_map(|line| {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.rsplit_once('}')?;
        let is_wanted = REQUESTS.contains(&name) && wanted(labels);
        is_wanted.then(|| value.split_whitespace().next()?.parse::<f64>().ok())?
    });
    series.sum()
}

/// Of several processes, the one that has nodes.
fn connected(page: &str) -> Option<f64> {
    let gauges = page.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        CONNECTED.contains(&name).then(|| value.parse::<f64>().ok())?
    });
    gauges.reduce(f64::max)
}

fn has_verb(labels: &str, verbs: &[&str]) -> bool {
    verbs.iter().any(|verb| labels.contains(&format!("verb=\"{verb}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_told_from_reads_in_either_spelling() {
        let page = "# TYPE apiserver_requests counter\n\
            apiserver_requests_total{verb=\"create\",code=\"201\"} 3\n\
            apiserver_requests_total{verb=\"get\",code=\"200\"} 100\n\
            apiserver_request_total{code=\"200\",resource=\"leases\",verb=\"PUT\"} 4 1700000000\n\
            apiserver_watches 7\nother_total{verb=\"create\"} 50\n";
        assert_eq!(sum(page, |labels| has_verb(labels, &WRITES)), 7.0);
        assert_eq!(sum(page, |_| true), 107.0);
    }

    #[test]
    fn nodes_are_counted_where_they_are() {
        let hub = "# TYPE cloudhub_connected_nodes gauge\ncloudhub_connected_nodes 7\n";
        let api = "cloudhub_connected_nodes 0\nKubeEdge_CloudHub_connected_nodes 0\n";
        assert_eq!(connected(&[hub, api].concat()), Some(7.0));
        assert_eq!(connected("other 3\n"), None);
    }
}
