//! Waits for a Deployment, and says for what.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use futures::stream::{BoxStream, SelectAll};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::LogParams;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::time::{Instant, timeout, timeout_at};

use super::causes::{Cause, Progress, Seen};
use crate::hint::WithHint as _;
use crate::manifests::{NAME, Object};
use crate::printer::Printer;
use certs::authority::NAMESPACE;

/// For an image of some 10 MiB on a slow line, and a scheduler that is busy.
const LIMIT: Duration = Duration::from_secs(300);
/// The API server takes about a second.
const ESTABLISHED: Duration = Duration::from_secs(60);
/// A log that does not come in this time is not worth waiting for.
const LOG: Duration = Duration::from_secs(10);
/// Lines of its log that say why a pod has ended.
const LAST_WORDS: i64 = 5;
/// A log line may be as long as it likes.
const LOG_BYTES: i64 = 4096;

/// Waits for CloudCore's Deployment.
pub struct Waiting<'a> {
    client: &'a Client,
    printer: &'a Printer,
    limit: Duration,
    /// What was shown last.
    shown: String,
    seen: Seen,
}

impl std::fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Something that was seen.
enum News {
    Deployment(watcher::Event<Deployment>),
    Pod(watcher::Event<Pod>),
    Warning(Event),
}

type Stream = BoxStream<'static, Result<News, watcher::Error>>;

impl<'a> Waiting<'a> {
    /// With the time that is usually enough.
    #[must_use]
    pub fn new(client: &'a Client, printer: &'a Printer) -> Self {
        Self { client, printer, limit: LIMIT, shown: String::new(), seen: Seen::default() }
    }

    /// Waits this long instead.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Until every pod is of the newest version and ready.
    ///
    /// # Errors
    /// What stands in the way, when it will not go away or the time is over.
    pub async fn until_ready(mut self) -> anyhow::Result<()> {
        let end = Instant::now() + self.limit;
        let mut news = self.watch();
        let mut trouble = None;
        loop {
            let Ok(next) = timeout_at(end, news.next()).await else {
                return Err(self.over(trouble)).hint(|| {
                    format!("the cluster goes on trying: `kubectl --namespace {NAMESPACE} get pods,events` shows how it does")
                });
            };
            match next.context("the watches have ended")? {
                Ok(next) => self.learn(next),
                // It is tried again, with pauses.
                Err(error) => {
                    trouble = Some(error.to_string());
                    continue;
                }
            }
            match self.seen.progress() {
                Progress::Ready => return Ok(()),
                Progress::Waiting(causes) => self.show(&causes).await?,
            }
        }
    }

    fn watch(&self) -> SelectAll<Stream> {
        let only = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
        let deployments = watcher(Api::<Deployment>::namespaced(self.client.clone(), NAMESPACE), only);
        let pods = Api::<Pod>::namespaced(self.client.clone(), NAMESPACE);
        // The namespace is CloudCore's own.
        let pods = watcher(pods, watcher::Config::default());
        let warnings = watcher::Config::default().fields("type=Warning");
        let events = watcher(Api::<Event>::namespaced(self.client.clone(), NAMESPACE), warnings);
        let mut all = SelectAll::new();
        all.push(deployments.default_backoff().map_ok(News::Deployment).boxed());
        all.push(pods.default_backoff().map_ok(News::Pod).boxed());
        all.push(events.default_backoff().applied_objects().map_ok(News::Warning).boxed());
        all
    }

    fn learn(&mut self, news: News) {
        use watcher::Event::{Apply, Delete, Init, InitApply};
        match news {
            News::Deployment(Apply(found) | InitApply(found)) => self.seen.deployment = Some(found),
            News::Deployment(Delete(_) | Init) => self.seen.deployment = None,
            News::Pod(Apply(pod) | InitApply(pod)) => drop(self.seen.pods.insert(pod.name_any(), pod)),
            News::Pod(Delete(pod)) => drop(self.seen.pods.remove(&pod.name_any())),
            News::Pod(Init) => self.seen.pods.clear(),
            News::Warning(event) => self.seen.warning(&event),
            News::Deployment(_) | News::Pod(_) => {}
        }
    }

    async fn show(&mut self, causes: &[Cause]) -> anyhow::Result<()> {
        let text = causes.iter().map(|cause| cause.text.as_str()).collect::<Vec<_>>().join("\n");
        if text != self.shown {
            for cause in causes {
                self.printer.already(format_args!("waiting: {}", cause.text));
                self.show_log(cause).await;
            }
            self.shown = text;
        }
        match causes.iter().find(|cause| cause.is_final) {
            Some(cause) => {
                let text = cause.text.trim_end_matches(':');
                Err(anyhow!("cloudcore does not start: {text}")).hint(|| {
                    "waiting does not help: correct the --set or the values, and run keadm init again"
                        .to_owned()
                })
            }
            None => Ok(()),
        }
    }

    /// The end of a pod's log, as far as it can be had.
    async fn show_log(&self, cause: &Cause) {
        let Some((pod, previous)) = &cause.log_of else { return };
        let params = LogParams {
            previous: *previous,
            tail_lines: Some(LAST_WORDS),
            limit_bytes: Some(LOG_BYTES),
            ..LogParams::default()
        };
        let pods = Api::<Pod>::namespaced(self.client.clone(), NAMESPACE);
        match timeout(LOG, pods.logs(pod, &params)).await {
            Ok(Ok(text)) => text.lines().for_each(|line| self.printer.already(format_args!("    {line}"))),
            Ok(Err(error)) => self.printer.already(format_args!("    (its log cannot be read: {error})")),
            Err(_) => self.printer.already("    (its log does not come)"),
        }
    }

    fn over(&self, trouble: Option<String>) -> anyhow::Error {
        let missing = if self.shown.is_empty() {
            trouble.unwrap_or_else(|| "the API server has not said anything".to_owned())
        } else {
            self.shown.replace('\n', "; ").trim_end_matches(':').to_owned()
        };
        anyhow!("cloudcore is not ready after {} s: {missing}", self.limit.as_secs())
    }
}

/// Until the API server serves the kinds that were just defined.
///
/// # Errors
/// The one that it does not take, and why.
pub async fn definitions_established(client: &Client, objects: &[Object]) -> anyhow::Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for object in objects.iter().filter(|object| object.kind() == "CustomResourceDefinition") {
        let name = object.name();
        let waiting = await_condition(definitions.clone(), &name, conditions::is_crd_established());
        match timeout(ESTABLISHED, waiting).await {
            Ok(result) => drop(result.with_context(|| format!("wait for {}", object.title()))?),
            Err(_) => bail!("{} is not served after {} s", object.title(), ESTABLISHED.as_secs()),
        }
    }
    Ok(())
}
