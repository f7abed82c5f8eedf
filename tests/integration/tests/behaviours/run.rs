//! Runs rows on a site.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use integration::ports;
use integration::site::{Site, page};
use integration::wait::until;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::Client;
use proto::quantity::Amount;
use serde_json::{Value, json};

use super::matching::fits;
use super::neighbour::Neighbour;
use super::row::{Row, Scene, Step};
use super::seen::{Known, Seen};
use super::traces::Traces;

/// For one step of a row; a machine that also compiles is slow, and a second crash waits 10 s for its restart.
pub(crate) const SOON: Duration = Duration::from_secs(120);
/// How often the node is looked at: its files and processes give no event.
const LOOK: Duration = Duration::from_millis(100);
/// How often what the API shows is looked at, besides at each of its events.
const SELDOM: Duration = Duration::from_secs(10);
/// Name of the pod of every row.
pub(crate) const POD: &str = "pod";
/// And of the mirror of a static one: <https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/>.
pub(crate) const MIRROR: &str = "pod-edge-1";
/// Image of a container that names none.
const IMAGE: &str = "skerry.local/hello:demo";

/// The site with everything that rows need.
pub(crate) struct Table {
    site: Site,
    client: Client,
    pub(crate) seen: Seen,
    neighbour: Neighbour,
    /// Holds a directory for each row.
    directory: tempfile::TempDir,
    before: Traces,
    /// More than half of the node's storage for pods: `@much`.
    much: String,
}

// === impl Table ===

impl Table {
    pub(crate) async fn open(site: Site) -> anyhow::Result<Self> {
        let client = keadm::cluster::client(&site.state().join("kubeconfig")).await?;
        let seen = Seen::new(&client);
        let (before, directory) = (Traces::of(&site)?, tempfile::tempdir()?);
        let storage = site.kubectl().value("node/edge-1", "{.status.allocatable.ephemeral-storage}").await?;
        let much = format!("{}", Amount::parse(&storage)?.value() / 3 * 2);
        Ok(Self { before, directory, seen, neighbour: Neighbour::start().await?, client, site, much })
    }

    /// Runs one row. The error says all about it.
    pub(crate) async fn run(&self, row: Row) -> Result<(), String> {
        let namespace = namespace_of(row.name);
        if let Some(problem) = row.problem() {
            return Err(format!("the row itself is no YAML: {problem}"));
        }
        let directory = self.directory.path().join(&namespace);
        let prepared = std::fs::create_dir_all(&directory).and_then(|()| (row.before)(&directory));
        let port = match ports::free() {
            Ok([port]) => port,
            Err(error) => return Err(error.to_string()),
        };
        let run = Run { table: self, namespace: &namespace, directory: &directory, port, row: &row };
        let outcome = match prepared {
            Ok(()) => run.steps().await,
            Err(error) => Err(format!("{}: {error}", directory.display())),
        };
        let outcome = outcome.map_err(|why| run.describe(&why));
        let removed = run.remove().await.map_err(|error| run.describe(&format!("its end: {error:#}")));
        (row.after)(&directory);
        outcome.and(removed)
    }

    /// After all rows: the node is as it was before them.
    pub(crate) async fn nothing_is_left(&self) -> anyhow::Result<()> {
        until("nothing is left of the rows", SOON, || async {
            let now = Traces::of(&self.site)?;
            anyhow::ensure!(now == self.before, "before: {:#?}\nnow: {now:#?}", self.before);
            Ok(())
        })
        .await?;
        let ready = "{.status.conditions[?(@.type=='Ready')].status}";
        let ready = self.site.kubectl().value("node/edge-1", ready).await?;
        anyhow::ensure!(ready == "True", "the node's condition Ready is {ready:?}");
        Ok(())
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, kube::Error> {
        let request = http::Request::builder().method(method).uri(path);
        let content = match method {
            "PATCH" => "application/strategic-merge-patch+json",
            _ => "application/json",
        };
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = request.header(http::header::CONTENT_TYPE, content).body(body);
        self.client.request(request.map_err(kube::Error::HttpError)?).await
    }
}

/// Words with dashes between them, as a namespace may be called.
fn namespace_of(name: &str) -> String {
    /// Longest name of a namespace.
    const LENGTH: usize = 63;
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<&str> = name.split('-').filter(|word| !word.is_empty()).collect();
    let name = words.join("-");
    name[..name.len().min(LENGTH)].trim_end_matches('-').to_owned()
}

#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) table: &'a Table,
    pub(crate) namespace: &'a str,
    directory: &'a Path,
    port: u16,
    pub(crate) row: &'a Row,
}

// === impl Run ===

impl Run<'_> {
    async fn steps(&self) -> Result<(), String> {
        self.make_namespace().await.map_err(|error| format!("namespace {}: {error:#}", self.namespace))?;
        for object in &self.row.objects {
            self.apply(object).await.map_err(|error| format!("{error:#}"))?;
        }
        self.make_pod().await.map_err(|error| format!("{error:#}"))?;
        for step in &self.row.steps {
            self.step(step).await.map_err(|error| format!("{step:?}\n{error}"))?;
        }
        Ok(())
    }

    async fn make_namespace(&self) -> anyhow::Result<()> {
        let name = json!({"metadata": {"name": self.namespace}});
        self.table.call("POST", "/api/v1/namespaces", &name).await?;
        let account = format!("/api/v1/namespaces/{}/serviceaccounts/default", self.namespace);
        until("its service account", SOON, || self.table.call("GET", &account, &Value::Null)).await.map(drop)
    }

    pub(crate) fn pod(&self) -> Value {
        let mut pod = json!({"metadata": self.row.metadata, "spec": self.row.spec});
        pod["metadata"]["name"] = POD.into();
        let spec = &mut pod["spec"];
        if spec["terminationGracePeriodSeconds"].is_null() {
            spec["terminationGracePeriodSeconds"] = 1.into();
        }
        for list in ["initContainers", "containers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                if container["image"].is_null() {
                    container["image"] = IMAGE.into();
                    container["imagePullPolicy"] = "Never".into();
                }
            }
        }
        self.filled_in(&pod)
    }

    /// With the row's own names put in.
    fn filled_in(&self, value: &Value) -> Value {
        let text = value.to_string().replace("@dir", &self.directory.to_string_lossy());
        let mut text = text.replace("@namespace", self.namespace).replace("@much", &self.table.much);
        let neighbour = &self.table.neighbour;
        for (name, port) in [("@port", self.port), ("@https", neighbour.https), ("@grpc", neighbour.grpc)] {
            text = text.replace(&format!("\"{name}\""), &port.to_string());
        }
        serde_json::from_str(&text).unwrap_or_else(|_| value.clone())
    }

    /// The file of a static pod: JSON is YAML.
    fn file(&self) -> PathBuf {
        self.table.site.state().join("edge/manifests").join(format!("{}.yaml", self.namespace))
    }

    fn make_file(&self) -> anyhow::Result<()> {
        let mut pod = self.pod();
        (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
        pod["metadata"]["namespace"] = self.namespace.into();
        let file = self.file();
        std::fs::create_dir_all(file.parent().unwrap_or(Path::new("/")))?;
        certs::files::write_atomically(&file, pod.to_string().as_bytes(), 0o600)?;
        Ok(())
    }

    /// Its name in the API.
    fn name(&self) -> &'static str {
        if self.row.is_static { MIRROR } else { POD }
    }

    async fn make_pod(&self) -> anyhow::Result<()> {
        if self.row.is_static {
            return self.make_file();
        }
        let path = format!("/api/v1/namespaces/{}/pods?fieldValidation=Strict", self.namespace);
        self.table.call("POST", &path, &self.pod()).await.context("the pod is refused")?;
        Ok(())
    }

    async fn apply(&self, object: &Value) -> anyhow::Result<()> {
        let object = self.filled_in(object);
        let path = self.place(&object);
        let place = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
        let done = match self.table.call("PATCH", &place, &object).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                self.table.call("POST", &format!("{path}?fieldValidation=Strict"), &object).await
            }
            other => other,
        };
        done.with_context(|| object.to_string())?;
        // What a controller would say of it.
        if !object["status"].is_null() {
            let status = json!({"status": object["status"]});
            self.table.call("PATCH", &format!("{place}/status"), &status).await?;
        }
        Ok(())
    }

    /// Where objects of its kind are.
    fn place(&self, object: &Value) -> String {
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        match kind.as_str() {
            "persistentvolume" => format!("/api/v1/{kind}s"),
            "runtimeclass" => format!("/apis/node.k8s.io/v1/{kind}es"),
            _ => {
                let namespace = object["metadata"]["namespace"].as_str().unwrap_or(self.namespace);
                format!("/api/v1/namespaces/{namespace}/{kind}s")
            }
        }
    }

    async fn delete(&self, grace: Option<u32>) -> anyhow::Result<()> {
        let path = format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name());
        let options = match grace {
            Some(seconds) => json!({"gracePeriodSeconds": seconds}),
            None => Value::Null,
        };
        match self.table.call("DELETE", &path, &options).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => other.map(drop).map_err(Into::into),
        }
    }

    async fn step(&self, step: &Step) -> Result<(), String> {
        let said = |error: anyhow::Error| format!("{error:#}");
        match step {
            Step::Apply(object) => self.apply(object).await.map_err(said),
            Step::Delete(grace) => self.delete(*grace).await.map_err(said),
            Step::Again => self.make_pod().await.map_err(said),
            Step::Holds(what, look) => {
                let look = |known: &Known| {
                    let pod = known.now.as_deref().ok_or("there is no pod")?;
                    look(&Scene { pod, site: &self.table.site }).map_err(said)
                };
                let held = self.table.seen.until(self.namespace, self.row.patience, LOOK, look).await;
                held.map_err(|error| format!("{what}: {error}"))
            }
            Step::Answers(port, text) => {
                let pod = self.table.seen.of(self.namespace).now;
                let ip = pod.and_then(|pod| pod.status.clone()?.pod_ip).unwrap_or_default();
                let look = || async {
                    let page = page(&ip, *port).await?;
                    anyhow::ensure!(page.ends_with(text), "it answered {page:?}");
                    Ok(())
                };
                until(&format!("an answer from {ip}"), SOON, look).await.map_err(said)
            }
            Step::Does(what) => what(self.directory).map_err(|error| error.to_string()),
            Step::Status(_) | Step::Debug(_) => self.change(step).await.map_err(said),
            Step::Forget => std::fs::remove_file(self.file()).map_err(|error| error.to_string()),
            Step::Make(name) => {
                std::fs::create_dir(self.directory.join(name)).map_err(|error| error.to_string())
            }
            Step::Left(file, expected) => {
                let file = self.directory.join(file);
                let look = || async {
                    let text = std::fs::read_to_string(&file)?;
                    anyhow::ensure!(text == *expected, "it has {text:?}");
                    Ok(())
                };
                until(&file.to_string_lossy(), SOON, look).await.map_err(said)
            }
            step => {
                let look = |known: &Known| self.is_seen(step, known);
                self.table.seen.until(self.namespace, self.row.patience, SELDOM, look).await
            }
        }
    }

    /// Changes a part of the pod.
    async fn change(&self, step: &Step) -> anyhow::Result<()> {
        let path = format!("/api/v1/namespaces/{}/pods/{}", self.namespace, self.name());
        let (part, change) = match step {
            Step::Debug(container) => {
                ("ephemeralcontainers", json!({"spec": {"ephemeralContainers": [container]}}))
            }
            Step::Status(status) => ("status", json!({"status": status})),
            _ => return Ok(()),
        };
        self.table.call("PATCH", &format!("{path}/{part}"), &self.filled_in(&change)).await.map(drop)?;
        Ok(())
    }

    fn is_seen(&self, step: &Step, known: &Known) -> Result<(), String> {
        let now = || known.now.as_deref().ok_or_else(|| "there is no pod".to_owned());
        let json = |pod: &Pod| serde_json::to_value(pod).map_err(|error| error.to_string());
        match step {
            Step::Shows(what) => fits(&self.filled_in(what), &json(now()?)?["status"]),
            Step::Is(what) => fits(&self.filled_in(what), &json(now()?)?),
            Step::Showed(what) => {
                let what = self.filled_in(what);
                let mut last = Err("there was no pod".to_owned());
                for pod in &known.versions {
                    last = fits(&what, &json(pod)?["status"]);
                    if last.is_ok() {
                        return last;
                    }
                }
                last
            }
            Step::Says(container, what) => {
                let text = last_message(now()?, container)?;
                let report: Value =
                    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
                fits(&self.filled_in(what), &report)
            }
            Step::Last(container, expected) => {
                let found = last_message(now()?, container)?;
                if found == *expected { Ok(()) } else { Err(format!("the last message is {found:?}")) }
            }
            Step::Event(reason, part) => {
                let fits = |event: &&k8s_openapi::api::core::v1::Event| {
                    event.involved_object.name.as_deref() == Some(self.name())
                        && event.reason.as_deref() == Some(reason)
                        && event.message.as_ref().is_some_and(|message| message.contains(part))
                };
                known.events.values().find(fits).map(drop).ok_or_else(|| "there is no such event".to_owned())
            }
            Step::Gone if known.now.is_none() => Ok(()),
            Step::Gone => Err("the pod is still there".to_owned()),
            _ => Ok(()),
        }
    }

    /// Deletes all that the row has made, and sees that the pod goes.
    async fn remove(&self) -> anyhow::Result<()> {
        match self.row.is_static {
            true if self.file().exists() => std::fs::remove_file(self.file())?,
            true => {}
            false => self.delete(None).await?,
        }
        let gone = |known: &Known| self.is_seen(&Step::Gone, known);
        self.table.seen.until(self.namespace, SOON, SELDOM, gone).await.map_err(anyhow::Error::msg)?;
        // What is not in the row's namespace does not go with it.
        for object in self.row.objects.iter().map(|object| self.filled_in(object)) {
            let path = self.place(&object);
            if !path.contains(&format!("/namespaces/{}/", self.namespace)) {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                self.table.call("DELETE", &format!("{path}/{name}"), &Value::Null).await?;
            }
        }
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        self.table.call("DELETE", &path, &Value::Null).await?;
        Ok(())
    }
}

/// What the container left when it ended the last time.
pub(crate) fn last_message(pod: &Pod, container: &str) -> Result<String, String> {
    let status =
        container_status(pod, container).ok_or_else(|| format!("no status of container {container}"))?;
    let states = [&status.state, &status.last_state];
    let ended = states.into_iter().flatten().find_map(|state| state.terminated.as_ref());
    let ended = ended.ok_or_else(|| format!("container {container} has not ended"))?;
    Ok(ended.message.clone().unwrap_or_default())
}

/// The status of a container or init container.
pub(crate) fn container_status<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let lists =
        [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    lists.into_iter().flatten().flatten().find(|status| status.name == name)
}
