//! What the cloud sends unasked: objects that the node should have.

use std::time::Duration;

use proto::ObjectPath;

use super::{
    Ask, Content, Kind, Machine, Message, Now, Object, Operation, Output, Resource, ResourceKind, Seen,
    Verdict, requests,
};

impl Machine {
    /// The acknowledgement comes last: a real edge has stored the object by then.
    pub(super) fn pushed(&mut self, now: &Now, message: &Message, out: &mut Output) {
        if let Resource::Object(path) = &message.route.resource {
            if message.route.operation == Operation::Delete {
                if self.store.remove(&path.to_string()) {
                    out.seen.push(Seen::Deleted);
                }
            } else {
                self.store_object(now, path, message, out);
            }
        }
        let ack = message.ack(self.stamp(now));
        out.send.push(ack);
    }

    pub(super) fn config_answered(&mut self, now: &Now, path: &str, answer: &Message, out: &mut Output) {
        if let Err(reason) = requests::queried(answer) {
            out.seen.push(Seen::Refused { what: "configmap", reason });
            return;
        }
        if let Resource::Object(path) = Resource::from(path) {
            self.store_object(now, &path, answer, out);
        }
        let ack = answer.ack(self.stamp(now));
        out.send.push(ack);
    }

    fn store_object(&mut self, now: &Now, path: &ObjectPath, message: &Message, out: &mut Output) {
        let object: Object = message.content.decode().unwrap_or_default();
        let version =
            message.header.resource_version.as_deref().or(object.metadata.resource_version.as_deref());
        let version = version.and_then(|version| version.parse().ok()).unwrap_or_default();
        let verdict = self.store.put(&path.to_string(), &object.metadata.uid, version);
        out.seen.push(match verdict {
            Verdict::New | Verdict::Newer => Seen::Stored(kind(path), late(&object, now)),
            Verdict::Same => Seen::Duplicate,
            Verdict::Older => Seen::Older,
        });
        if path.kind != ResourceKind::Pod {
            return;
        }
        match verdict {
            Verdict::Same | Verdict::Older => {}
            _ if object.metadata.deletion_timestamp.is_some() => self.end_pod(now, path, &object, out),
            Verdict::New => self.start_pod(now, path, &object, out),
            Verdict::Newer => {}
        }
    }

    /// Asks for what the pod needs and was not sent, and says that it runs.
    fn start_pod(&mut self, now: &Now, path: &ObjectPath, pod: &Object, out: &mut Output) {
        let (Some(namespace), Some(name)) = (path.namespace.as_deref(), path.name.as_deref()) else { return };
        for config in pod.config_maps() {
            let config = Resource::object(Some(namespace), ResourceKind::ConfigMap, config);
            let key = config.to_string();
            if !self.store.has(&key) {
                self.ask(now, Ask::ConfigMap(key.into()), Operation::Query, config, Content::Null, out);
            }
        }
        let resource = Resource::object(Some(namespace), ResourceKind::PodPatch, name);
        let content = requests::pod_running(pod, now.wall);
        self.ask(now, Ask::PodStatus, Operation::Patch, resource, content, out);
    }

    /// There is nothing to stop, so the pod is gone at once.
    fn end_pod(&mut self, now: &Now, path: &ObjectPath, pod: &Object, out: &mut Output) {
        let content = requests::delete_now(&pod.metadata.uid);
        self.ask(now, Ask::PodGone, Operation::Delete, Resource::Object(path.clone()), content, out);
    }
}

fn kind(path: &ObjectPath) -> Kind {
    match path.kind {
        ResourceKind::Pod => Kind::Pod,
        ResourceKind::ConfigMap => Kind::ConfigMap,
        _ => Kind::Other,
    }
}

/// How long ago the scenario sent it. Clocks of two machines may differ: then it is at least nothing.
fn late(object: &Object, now: &Now) -> Option<Duration> {
    let passed = now.wall.as_microsecond().saturating_sub(object.sent_us()?);
    Some(Duration::from_micros(u64::try_from(passed).unwrap_or_default()))
}
