//! What the cloud sends unasked: objects that the node should have.

use std::time::Duration;

use proto::ObjectPath;
use proto::codec::binary::Push;

use super::{
    Ask, Content, Kind, Machine, Message, Now, Object, Operation, Output, Resource, ResourceKind, Seen,
    Verdict, requests, say,
};

/// What came, wherever it stood.
struct Version<'a> {
    content: &'a Content,
    /// Nothing if only the object itself says it.
    number: Option<&'a str>,
    digest: u64,
}

impl Machine {
    /// The acknowledgement comes last: a real edge has stored the object by then.
    pub(super) fn pushed(&mut self, now: &Now, message: &Message, out: &mut Output) {
        if let Resource::Object(path) = &message.route.resource {
            if message.route.operation == Operation::Delete {
                if self.store.remove(&path.to_string()) {
                    out.seen.push(Seen::Deleted);
                }
            } else {
                self.store_object(now, path, &Version::of(message), out);
            }
        }
        let ack = message.ack(self.stamp(now));
        say(ack, out);
    }

    /// What a native cloud sends. The acknowledgement waits for those of what comes with it ([`Machine::settle`]).
    pub(super) fn native_push(&mut self, now: &Now, push: &Push, out: &mut Output) {
        match &push.object {
            Some(content) => {
                let version = Version { content, number: Some(&push.version), digest: push.digest };
                self.store_object(now, &push.path, &version, out);
            }
            None if self.store.remove_incarnation(&push.path.to_string(), &push.uid) => {
                out.seen.push(Seen::Deleted);
            }
            None => {}
        }
        self.stored.push(push.seq);
    }

    pub(super) fn config_answered(&mut self, now: &Now, path: &str, answer: &Message, out: &mut Output) {
        if let Err(reason) = requests::queried(answer) {
            out.seen.push(Seen::Refused { what: "configmap", reason });
            return;
        }
        if let Resource::Object(path) = Resource::from(path) {
            self.store_object(now, &path, &Version::of(answer), out);
        }
        let ack = answer.ack(self.stamp(now));
        say(ack, out);
    }

    fn store_object(&mut self, now: &Now, path: &ObjectPath, version: &Version<'_>, out: &mut Output) {
        let object: Object = version.content.decode().unwrap_or_default();
        let number = version.number.or(object.metadata.resource_version.as_deref());
        let number = number.and_then(|number| number.parse().ok()).unwrap_or_default();
        let verdict = self.store.put(&path.to_string(), &object.metadata.uid, number, version.digest);
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

impl<'a> Version<'a> {
    fn of(message: &'a Message) -> Self {
        Self { content: &message.content, number: message.header.resource_version.as_deref(), digest: 0 }
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
