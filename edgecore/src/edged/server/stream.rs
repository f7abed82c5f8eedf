//! `/exec`, `/attach` and `/portForward`: ways into a container.
//!
//! The runtime is asked for the streams and answers with a URL of a server of its own; the client's request for an upgrade
//! is made again there, and from then on bytes go both ways without being looked at ([`tunnel`]). What is spoken, SPDY/3.1
//! or WebSocket, and which version (`v4.channel.k8s.io`, `v5.channel.k8s.io`, `portforward.k8s.io`), client and runtime
//! agree between themselves.

mod options;
mod tunnel;
mod upstream;

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

pub(super) use self::tunnel::Tunnel;

use self::options::Options;
use self::upstream::{Upstream, ask, check};
use super::answer::{Answer, empty, text};
use super::error::Error;
use super::route::{ContainerPath, PodPath};
use super::view::View;
use crate::edged::runtime::{ContainerId, ContainerState};
use crate::flow::PodKey;

/// What is passed on of the text with which the runtime refuses, in bytes.
const MAX_REFUSAL: usize = 16 << 10;

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    Exec(&'a ContainerPath),
    Attach(&'a ContainerPath),
    PortForward(&'a PodPath),
}

/// Answers a request for streams; the tunnel is to be run once the answer is written.
///
/// # Errors
/// There is no such container, the request is no upgrade, or the runtime cannot be asked.
pub(super) async fn open(
    view: &View,
    wanted: Wanted<'_>,
    mut request: Request<Incoming>,
    idle: Option<Duration>,
    guard: impl Send + 'static,
) -> Result<(Answer, Option<Tunnel>), Error> {
    check(request.headers())?;
    let options = Options::parse(request.uri().query().unwrap_or_default())?;
    let url = url(view, wanted, &options).await?;
    let Upstream { mut response, driver } = ask(&url, request.method().clone(), request.headers()).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_REFUSAL).collect().await;
        let body =
            body.map_err(|error| Error::Upstream(format!("the container runtime: {error}")))?.to_bytes();
        tracing::debug!(%status, "the container runtime refuses a stream");
        return Ok((text(status, body), None));
    }
    let mut answer = empty(StatusCode::SWITCHING_PROTOCOLS);
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    let runtime = hyper::upgrade::on(response);
    let client = hyper::upgrade::on(&mut request);
    Ok((answer, Some(Tunnel::new(client, runtime, driver, idle, guard))))
}

/// Asks the runtime.
async fn url(view: &View, wanted: Wanted<'_>, options: &Options) -> Result<String, Error> {
    match wanted {
        Wanted::Exec(path) => {
            let (command, streams) = (options.some_command()?, options.some_streams()?);
            let id = running(view, path).await?;
            Ok(view.runtime.exec(&id, command, streams).await?)
        }
        Wanted::Attach(path) => {
            let streams = options.some_streams()?;
            let id = running(view, path).await?;
            Ok(view.runtime.attach(&id, streams).await?)
        }
        Wanted::PortForward(path) => {
            let key = super::find(view, path)?.key;
            let sandboxes = view.runtime.sandboxes(Some(&key.uid)).await?;
            let ready = sandboxes.into_iter().filter(|sandbox| sandbox.ready);
            let newest = ready.max_by_key(|sandbox| (sandbox.attempt, sandbox.created_at));
            let PodKey { namespace, name, .. } = key;
            let missing = || Error::NotAvailable(format!("pod \"{namespace}/{name}\" is not running"));
            let sandbox = newest.ok_or_else(missing)?;
            Ok(view.runtime.port_forward(&sandbox.id, options.ports.clone()).await?)
        }
    }
}

/// The running container at a path.
pub(super) async fn running(view: &View, path: &ContainerPath) -> Result<ContainerId, Error> {
    let entry = super::find(view, &path.pod)?;
    let containers = view.runtime.containers(Some(&entry.key.uid)).await?;
    let ours = containers
        .into_iter()
        .filter(|record| record.name == path.container && record.state == ContainerState::Running);
    let missing =
        || Error::NoSuchContainer { pod: entry.key.name.clone(), container: path.container.clone() };
    ours.max_by_key(|record| record.attempt).map(|record| record.id).ok_or_else(missing)
}
