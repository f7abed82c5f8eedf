//! Plugins: taken in, followed for as long as they live, and asked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use chassis::task;
use futures::future::BoxFuture;
use tokio::time::{Instant, timeout};
use tonic::Status;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use super::api::{
    ALLOCATE, AllocateRequest, AllocateResponse, ContainerAllocateRequest, ContainerAllocateResponse,
    ContainerPreferredAllocationRequest, DevicePluginOptions, Empty, LIST_AND_WATCH, ListAndWatchResponse,
    OPTIONS, PRE_START, PREFER, PreStartContainerRequest, PreferredAllocationRequest,
    PreferredAllocationResponse, VERSION,
};
use super::book::{Choice, Contact};
use super::record::Grant;
use super::{DeviceError, Devices, Shared};
use crate::edged::plugins::call::{CallError, call, connect};
use crate::edged::plugins::{Plugin, PluginHandler};

/// A plugin that registers has to answer within this; kubelet's limit for the connection.
const INTRODUCTION_LIMIT: Duration = Duration::from_secs(10);
/// For one [`ALLOCATE`] or [`PREFER`]: a plugin may set hardware up meanwhile. kubelet waits for ever, and with it every pod that comes
/// after.
const ALLOCATION_LIMIT: Duration = Duration::from_secs(60);
/// For one [`PRE_START`]: kubelet's limit.
const PRE_START_LIMIT: Duration = Duration::from_secs(30);
/// Largest list of devices that is read; gRPC's own default.
const MAX_LIST_BYTES: usize = 4 << 20;
/// Longest name of a resource, of its part before the slash, and of that behind it
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>).
const MAX_PREFIX: usize = 253;
/// See [`MAX_PREFIX`].
const MAX_NAME: usize = 63;

impl Devices {
    /// Takes in the plugin that serves `resource` at `socket`, in place of the one before it. `met` is its number in the registry
    /// of plugins, when it has come from there.
    ///
    /// # Errors
    /// It does not answer, or is no plugin that can be used.
    pub(super) async fn take_in(
        &self,
        version: &str,
        resource: &str,
        socket: PathBuf,
        met: Option<u64>,
    ) -> Result<(), DeviceError> {
        if version != VERSION {
            return Err(DeviceError::Invalid(format!(
                "requested API version {version:?} is not supported by kubelet. Supported version is {VERSION:?}"
            )));
        }
        if !is_extended_resource(resource) {
            return Err(DeviceError::Invalid(format!("the ResourceName {resource:?} is invalid")));
        }
        let failed = |source| DeviceError::Plugin { resource: resource.to_owned(), source };
        let options: DevicePluginOptions =
            call(&socket, OPTIONS, Empty {}, INTRODUCTION_LIMIT).await.map_err(failed)?;
        let number = self.next_number();
        let is_new = !self.shared.book().knows(resource);
        self.shared.book().register(resource, Contact { socket: socket.clone(), options, number, met })?;
        tracing::info!(resource, socket = %socket.display(), ?options, "device plugin registered");
        self.shared.publish();
        let span = tracing::info_span!("device_plugin", resource);
        let shared = Arc::downgrade(&self.shared);
        let follow = task::spawn(span, follow(shared, resource.to_owned(), socket, number));
        self.follows().0.insert(resource.to_owned(), follow);
        if is_new {
            self.keep_names().await;
        }
        Ok(())
    }

    fn next_number(&self) -> u64 {
        let mut follows = self.follows();
        follows.1 += 1;
        follows.1
    }

    fn follows(
        &self,
    ) -> std::sync::MutexGuard<'_, (std::collections::BTreeMap<String, task::AbortOnDrop<()>>, u64)> {
        self.shared.follows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PluginHandler for Devices {
    fn register(&self, plugin: Plugin) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let version =
                plugin.versions.iter().find(|version| *version == VERSION).or(plugin.versions.first());
            let version = version.cloned().unwrap_or_default();
            let taken_in = self.take_in(&version, &plugin.name, plugin.endpoint, Some(plugin.number)).await;
            taken_in.map_err(|error| error.to_string())
        })
    }

    fn deregister(&self, plugin: &Plugin) -> bool {
        let number = self.shared.book().met(&plugin.name, plugin.number);
        let Some(number) = number else { return false };
        let was_there = self.shared.book().stop(&plugin.name, number, Instant::now());
        self.follows().0.remove(&plugin.name);
        self.shared.publish();
        self.shared.gone.notify_one();
        was_there
    }
}

/// Hears of the plugin's devices until it ends, or another one takes its place.
async fn follow(shared: Weak<Shared>, resource: String, socket: PathBuf, number: u64) {
    let ended = listen(&shared, &resource, &socket, number).await;
    let Some(shared) = shared.upgrade() else { return };
    if shared.book().stop(&resource, number, Instant::now()) {
        match ended {
            Ok(()) => tracing::info!("the device plugin has ended"),
            Err(error) => tracing::warn!(%error, "the device plugin is gone"),
        }
        shared.publish();
        shared.gone.notify_one();
    }
}

async fn listen(
    shared: &Weak<Shared>,
    resource: &str,
    socket: &Path,
    number: u64,
) -> Result<(), DeviceError> {
    let failed = |source| DeviceError::Plugin { resource: resource.to_owned(), source };
    let refused = |status: Status| {
        let (code, message) = (status.code(), status.message().to_owned());
        failed(CallError::Refused { method: LIST_AND_WATCH, code, message })
    };
    let late = |_| failed(CallError::Timeout { method: LIST_AND_WATCH, limit: INTRODUCTION_LIMIT });
    let channel = timeout(INTRODUCTION_LIMIT, connect(socket)).await.map_err(late)?.map_err(failed)?;
    let mut client = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_LIST_BYTES);
    client.ready().await.map_err(|error| refused(Status::from_error(error.into())))?;
    let codec = ProstCodec::<Empty, ListAndWatchResponse>::default();
    let path = PathAndQuery::from_static(LIST_AND_WATCH);
    // No limit: the answer begins with the first device, and a plugin may wait for one.
    let lists = client.server_streaming(tonic::Request::new(Empty {}), path, codec).await.map_err(refused)?;
    let mut lists = lists.into_inner();
    while let Some(list) = lists.message().await.map_err(refused)? {
        let Some(shared) = shared.upgrade() else { break };
        let devices = list.devices.len();
        if !shared.book().list(resource, number, list.devices) {
            break;
        }
        tracing::debug!(devices, "devices listed");
        shared.publish();
    }
    Ok(())
}

/// What the plugin would rather give; nothing where it does not say.
pub(super) async fn preferred(resource: &str, choice: &Choice) -> Result<Vec<String>, DeviceError> {
    if !choice.contact.options.get_preferred_allocation_available || choice.others.is_empty() {
        return Ok(Vec::new());
    }
    let size = choice.inherited.len() + choice.fresh.len();
    let request = ContainerPreferredAllocationRequest {
        available_device_ids: choice.inherited.union(&choice.fresh).chain(&choice.others).cloned().collect(),
        must_include_device_ids: choice.inherited.iter().cloned().collect(),
        allocation_size: i32::try_from(size).unwrap_or(i32::MAX),
    };
    let question = PreferredAllocationRequest { container_requests: vec![request] };
    let answer: Result<PreferredAllocationResponse, _> =
        call(&choice.contact.socket, PREFER, question, ALLOCATION_LIMIT).await;
    let answer = answer.map_err(|source| DeviceError::Plugin { resource: resource.to_owned(), source })?;
    Ok(answer.container_responses.into_iter().next().map(|one| one.device_ids).unwrap_or_default())
}

/// Asks the plugin for what a container needs to use what was chosen.
pub(super) async fn allocate(resource: &str, choice: &Choice) -> Result<Grant, DeviceError> {
    let ids: Vec<String> = choice.inherited.union(&choice.fresh).cloned().collect();
    let request = ContainerAllocateRequest { devices_ids: ids.clone() };
    let question = AllocateRequest { container_requests: vec![request] };
    let answer: Result<AllocateResponse, _> =
        call(&choice.contact.socket, ALLOCATE, question, ALLOCATION_LIMIT).await;
    let answer = answer.map_err(|source| DeviceError::Plugin { resource: resource.to_owned(), source })?;
    let given: Option<ContainerAllocateResponse> = answer.container_responses.into_iter().next();
    let given = given.ok_or_else(|| DeviceError::EmptyAnswer(resource.to_owned()))?;
    tracing::info!(resource, ?ids, "devices are given");
    Ok(Grant { ids, given })
}

/// Tells the plugin that a container is about to be started.
pub(super) async fn pre_start(resource: &str, contact: &Contact, ids: &[String]) -> Result<(), DeviceError> {
    let question = PreStartContainerRequest { devices_ids: ids.to_vec() };
    let answer: Result<Empty, _> = call(&contact.socket, PRE_START, question, PRE_START_LIMIT).await;
    answer.map(drop).map_err(|source| DeviceError::Plugin { resource: resource.to_owned(), source })
}

/// `vendor.example/thing`, and none of Kubernetes' own:
/// <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources>.
fn is_extended_resource(name: &str) -> bool {
    let Some((prefix, thing)) = name.split_once('/') else { return false };
    let is_label = |label: &str| {
        let edge =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let bytes = label.as_bytes();
        bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
            && edge(bytes.first())
            && edge(bytes.last())
    };
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let (first, last) = (thing.as_bytes().first(), thing.as_bytes().last());
    let is_thing = thing.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    // The API keeps the request of a quota under `requests.` and the name.
    let fits = prefix.len() + "requests.".len() <= MAX_PREFIX && thing.len() <= MAX_NAME;
    let is_own = prefix.ends_with("kubernetes.io") || prefix.starts_with("requests.");
    fits && !is_own && prefix.split('.').all(is_label) && is_thing && edge(first) && edge(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_a_vendor() {
        for good in ["vendor.example/gpu", "a/B.c_d-e", "nvidia.com/gpu"] {
            assert!(is_extended_resource(good), "{good}");
        }
        let long = format!("{}.example/x", "a".repeat(250));
        for bad in [
            "gpu",
            "kubernetes.io/x",
            "x.kubernetes.io/x",
            "requests.a.b/x",
            "a/",
            "/x",
            "a/b/c",
            "A.b/x",
            "a..b/x",
            "a/-x",
            "",
            &long,
        ] {
            assert!(!is_extended_resource(bad), "{bad}");
        }
    }
}
