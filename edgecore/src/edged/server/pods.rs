//! `/pods` and `/runningpods/`: lists of pods, one pod at a time in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::answer::{Answer, json_pieces};
use super::entry::PodEntry;
use super::error::Error;
use super::view::View;
use crate::edged::runtime::ContainerState;

const BEGIN: &[u8] = br#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":["#;
const END: &[u8] = b"]}\n";

/// Every pod that this node should have, with its status. A pod names its secrets and holds none.
pub(super) fn pods(view: &View) -> Answer {
    list(view.roster.known().into_iter().map(|listed| PodEntry::from(listed).with_status()))
}

/// Every pod of which a container runs, whether the cloud knows of it or not, as the runtime knows it.
pub(super) async fn running_pods(view: &View) -> Result<Answer, Error> {
    let mut running: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for container in view.runtime.containers(None).await? {
        if container.state == ContainerState::Running {
            running.entry(container.pod).or_default().push(container.name);
        }
    }
    let roster = view.roster.clone();
    Ok(list(running.into_iter().map(move |(key, names)| {
        let known = roster.find(&key.namespace, &key.name, Some(&key.uid));
        let spec = known.as_ref().and_then(|entry| entry.pod.spec.as_ref());
        let image = |name: &str| {
            let all = spec
                .into_iter()
                .flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
            all.into_iter()
                .find(|container| container.name == name)
                .and_then(|container| container.image.clone())
        };
        let containers = names
            .into_iter()
            .map(|name| Container { image: image(&name), name, ..Container::default() })
            .collect();
        Pod {
            metadata: ObjectMeta {
                namespace: Some(key.namespace),
                name: Some(key.name),
                uid: Some(key.uid),
                ..ObjectMeta::default()
            },
            spec: Some(PodSpec { containers, ..PodSpec::default() }),
            status: None,
        }
    })))
}

fn list(pods: impl Iterator<Item = Pod> + Send + 'static) -> Answer {
    let items = pods.enumerate().map(|(index, pod)| {
        let mut item = Vec::new();
        if index > 0 {
            item.push(b',');
        }
        // Items of a list carry neither `kind` nor `apiVersion`: the list says what they are.
        match proto::json::value(&pod) {
            Ok(serde_json::Value::Object(mut object)) => {
                object.remove("kind");
                object.remove("apiVersion");
                item.extend(serde_json::Value::Object(object).to_string().into_bytes());
            }
            // No pod comes out as anything else; a hole would break the list.
            _ => item.extend(b"{}"),
        }
        Bytes::from(item)
    });
    let begin = std::iter::once(Bytes::from_static(BEGIN));
    json_pieces(begin.chain(items).chain(std::iter::once(Bytes::from_static(END))))
}
