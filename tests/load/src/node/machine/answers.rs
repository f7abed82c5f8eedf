//! What the cloud answers.

use super::{AGAIN, Ask, Asked, Machine, Message, Now, Object, Operation, Output, Seen, requests, say};

impl Machine {
    pub(super) fn answered(&mut self, now: &Now, answer: &Message, parent: &str, out: &mut Output) {
        let Some(asked) = self.asked.iter().position(|asked| self.id(asked.message) == parent) else {
            out.seen.push(Seen::Stray);
            return;
        };
        let Asked { ask, at, .. } = self.asked.remove(asked);
        match ask {
            Ask::Register => self.registered(now, requests::called(answer), out),
            Ask::Status => self.reported(now, requests::called(answer), out),
            Ask::FindLease => self.lease_found(now, requests::called(answer), out),
            Ask::WriteLease => {
                let after = now.at.saturating_duration_since(at);
                self.lease_written(requests::called(answer), after, out);
            }
            Ask::PatchLease => {
                let after = now.at.saturating_duration_since(at);
                self.lease_written(requests::renewed(answer), after, out);
            }
            Ask::PodStatus => match requests::called(answer) {
                Ok(_) => out.seen.push(Seen::PodReported),
                // It went away in the meantime.
                Err(reason) if reason == "NotFound" => {}
                Err(reason) => out.seen.push(Seen::Refused { what: "podpatch", reason }),
            },
            Ask::PodGone if answer.content.is_ok() => {}
            Ask::PodGone => {
                let reason = requests::queried(answer).err().unwrap_or_default();
                out.seen.push(Seen::Refused { what: "pod", reason });
            }
            Ask::ConfigMap(path) => return self.config_answered(now, &path, answer, out),
        }
        if self.timing.ack_answers && matches!(ask, Ask::Register | Ask::FindLease | Ask::WriteLease) {
            let ack = answer.ack(self.stamp(now));
            say(ack, out);
        }
    }

    fn registered(&mut self, now: &Now, outcome: Result<Object, String>, out: &mut Output) {
        match outcome {
            Err(reason) if reason != "AlreadyExists" => {
                self.next_register = Some(now.at + AGAIN);
                out.seen.push(Seen::Refused { what: "node", reason });
            }
            _ => {
                self.is_registered = true;
                self.report(now, out);
                self.renew(now, out);
            }
        }
    }

    fn reported(&mut self, now: &Now, outcome: Result<Object, String>, out: &mut Output) {
        match outcome {
            Ok(_) if self.is_ready => {}
            Ok(_) => {
                self.is_ready = true;
                out.seen.push(Seen::Ready);
            }
            Err(reason) => {
                // Somebody has deleted the node.
                self.is_registered = reason != "NotFound";
                let again = Some(now.at + AGAIN);
                if self.is_registered {
                    self.next_status = now.at + AGAIN;
                } else {
                    self.next_register = again;
                }
                out.seen.push(Seen::Refused { what: "nodepatch", reason });
            }
        }
    }

    fn lease_found(&mut self, now: &Now, outcome: Result<Object, String>, out: &mut Output) {
        match outcome {
            Ok(lease) => {
                self.lease_version = lease.metadata.resource_version.map(Into::into);
                self.write_lease(now, Operation::Update, out);
            }
            Err(reason) if reason == "NotFound" => self.write_lease(now, Operation::Insert, out),
            Err(reason) => out.seen.push(Seen::Refused { what: "lease", reason }),
        }
    }

    fn lease_written(
        &mut self,
        outcome: Result<Object, String>,
        after: std::time::Duration,
        out: &mut Output,
    ) {
        match outcome {
            Ok(lease) => {
                self.lease_version = lease.metadata.resource_version.map(Into::into);
                out.seen.push(Seen::Lease(after));
            }
            Err(reason) => {
                self.lease_version = None;
                out.seen.push(Seen::Refused { what: "lease", reason });
            }
        }
    }
}
