//! `/stats/summary`, `/metrics` and its parts: what pods, containers and the node use.
//!
//! Everything is looked at when it is asked for, and nothing in between: a node that nobody scrapes spends nothing on it.
//! Sources are the runtime (CRI) and the kernel's files, cgroup v1 and v2.

mod cgroup;
mod claims;
mod metrics;
mod node;
mod own;
mod prometheus;
mod rates;
mod sample;
mod summarize;
mod summary;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use chassis::metrics::SharedRegistry;

use self::own::Process;
use self::rates::Rates;
use self::sample::Sample;
use self::summarize::Summarizer;
use super::answer::{Answer, json, prometheus};
use super::error::Error;
use super::view::View;

/// What is kept from one request to the next. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    rates: Arc<Mutex<Rates>>,
}

/// `/stats/summary`
pub(super) async fn summary(view: &View, kept: &Kept, node: &str) -> Result<Answer, Error> {
    let sample = Sample::take(view).await?;
    let images = view.runtime.image_fs().await.unwrap_or_default();
    let claims = claims::measure(view).await;
    let (view, kept, node) = (view.clone(), kept.clone(), node.to_owned());
    let body = tokio::task::spawn_blocking(move || {
        let mut rates = kept.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let summarizer = Summarizer {
            node: &node,
            root: &view.root,
            logs: &view.logs,
            images: &images,
            claims: &claims,
            rates: &mut rates,
        };
        serde_json::to_vec(&summarizer.summarize(&sample)).map_err(std::io::Error::from)
    });
    let body = body.await.map_err(std::io::Error::other).and_then(std::convert::identity);
    Ok(json(body.map_err(|error| Error::io("summarize", error))?))
}

/// `/metrics/resource`. A runtime that cannot be asked is told by a value: the scrape itself works.
pub(super) async fn resource(view: &View) -> Answer {
    let sample =
        Sample::take(view).await.inspect_err(|error| tracing::debug!(%error, "no container metrics"));
    prometheus(metrics::resource(sample.ok().as_ref()))
}

/// `/metrics/cadvisor`
pub(super) async fn cadvisor(view: &View) -> Result<Answer, Error> {
    Ok(prometheus(metrics::cadvisor(&Sample::take(view).await?)))
}

/// `/metrics`. While the runtime is down, its pods are not counted.
pub(super) async fn own(view: &View, registry: &SharedRegistry) -> Result<Answer, Error> {
    let sandboxes = view.runtime.sandboxes(None).await.unwrap_or_default();
    let containers = view.runtime.containers(None).await.unwrap_or_default();
    let process = tokio::task::spawn_blocking(|| Process::read(Path::new("/proc/self"))).await;
    let process = process.map_err(|error| Error::io("read the process", std::io::Error::other(error)))?;
    let mut page = own::own(&sandboxes, &containers, &process);
    page += &own::counted(&view.metrics);
    page += &claims::metrics(&claims::measure(view).await);
    page += without_mark(&view.metrics.encode());
    page += without_mark(&registry.encode());
    Ok(prometheus(page))
}

/// `/metrics/probes`
pub(super) fn probes(view: &View) -> Answer {
    prometheus(without_mark(&view.metrics.encode_probes()).to_owned())
}

/// A registry's text is OpenMetrics, which ends in a mark; without it, it is the older format as well.
fn without_mark(text: &str) -> &str {
    text.strip_suffix("# EOF\n").unwrap_or(text)
}
