//! Who leads: whoever holds the Lease `cloudcore-leader`. It is taken and renewed by compare-and-swap, so that of two that want it one
//! gets it, and one that was stopped for a while cannot write over its successor.

use std::time::Duration;

use chassis::shutdown::Shutdown;
use chassis::task::until;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Error;
use kube::api::PostParams;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::peers::{LeaderSeen, Sight};
use super::{AGAIN, CALL_TIMEOUT, Shared, lease};
use crate::flow::{LASTS, LeadershipWriter, TRUSTED};

/// Who has not got as far as leading by then follows, whether anybody leads or not. Whoever waits to know it must not wait for rights to
/// Leases that never come; and by then whoever could lead has.
const SETTLES: Duration = LASTS;

pub(super) struct Election {
    pub(super) shared: Shared,
    pub(super) sight: watch::Receiver<Sight>,
    pub(super) leadership: LeadershipWriter,
}

/// What became of a write.
enum Written {
    /// The Lease is this replica's.
    Ours(Box<Lease>),
    /// Somebody else has written it.
    Theirs,
    /// Nobody knows.
    Unknown,
}

impl Election {
    /// Takes part until shutdown is requested; then another one may take over at once.
    pub(super) async fn run(&mut self, shutdown: &Shutdown) {
        let mut held = None;
        let mut settles = Some(Instant::now() + SETTLES);
        loop {
            // Not interrupted: whoever does not know what became of its last write cannot give the Lease up.
            let mut next = self.step(&mut held).await;
            if held.is_some() || settles.is_some_and(|settles| Instant::now() >= settles) {
                settles = None;
                if held.is_none() {
                    self.unknown();
                }
            }
            next = next.into_iter().chain(settles).min();
            self.shared.metrics.leading(self.leadership.is_leading());
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                () = until(next) => {}
                // Who leads sees its own renewals only.
                Ok(()) = self.sight.changed(), if held.is_none() => {}
            }
        }
        self.resign();
        if let Some(lease) = held {
            self.give_up(*lease).await;
        }
    }

    /// This replica leads no more, whatever the Lease says.
    pub(super) fn resign(&self) {
        self.leadership.follow();
        self.shared.metrics.leading(false);
    }

    /// Renews the Lease, or takes it where it is free. When there is something to do next.
    async fn step(&mut self, held: &mut Option<Box<Lease>>) -> Option<Instant> {
        let asked = Instant::now();
        let written = match held {
            Some(lease) => match self.renew(lease).await {
                Written::Theirs => self.renew_anyway().await,
                written => written,
            },
            None => {
                let sight = self.sight.borrow_and_update().clone();
                if !sight.is_known {
                    return None;
                }
                if let Some(over) = sight.lease.as_ref().and_then(|seen| self.is_taken(seen, asked)) {
                    self.follow();
                    return Some(over);
                }
                self.take(sight.lease).await
            }
        };
        match written {
            Written::Ours(lease) => {
                *held = Some(lease);
                if self.leadership.lead(asked + TRUSTED) {
                    tracing::info!("this replica leads");
                }
                Some(Instant::now() + self.shared.next())
            }
            Written::Theirs => {
                *held = None;
                self.follow();
                Some(Instant::now() + AGAIN)
            }
            Written::Unknown => Some(Instant::now() + AGAIN),
        }
    }

    /// Until when another one has it, if one has.
    fn is_taken(&self, seen: &LeaderSeen, now: Instant) -> Option<Instant> {
        let is_own = seen.holder.as_deref() == Some(&*self.shared.name);
        // One that was deleted by hand is still believed in by who held it.
        let is_free = seen.holder.is_none() || (is_own && seen.version.is_some());
        (!is_free && now < seen.over).then_some(seen.over)
    }

    async fn take(&self, seen: Option<LeaderSeen>) -> Written {
        let mut lease = lease::new(lease::leader(), self.shared.us(), self.shared.clock.now());
        match seen.and_then(|seen| seen.version) {
            Some(version) => {
                lease.metadata.resource_version = Some(version);
                self.replace(&lease).await
            }
            None => self.create(&lease).await,
        }
    }

    async fn renew(&self, lease: &Lease) -> Written {
        let mut lease = lease.clone();
        lease.spec.get_or_insert_default().renew_time = Some(MicroTime(self.shared.clock.now()));
        self.replace(&lease).await
    }

    /// It is another version than this replica knows: its own, where it has not heard what became of an earlier renewal.
    async fn renew_anyway(&self) -> Written {
        let leases = self.shared.leases();
        let name = lease::leader();
        match timeout(CALL_TIMEOUT, leases.get_opt(&name)).await {
            Ok(Ok(Some(lease))) if lease::is_ours(&lease, &self.shared) => self.renew(&lease).await,
            Ok(Ok(_)) => Written::Theirs,
            Ok(Err(_)) | Err(_) => Written::Unknown,
        }
    }

    async fn create(&self, lease: &Lease) -> Written {
        judge(timeout(CALL_TIMEOUT, lease::create(&self.shared, lease)).await)
    }

    async fn replace(&self, lease: &Lease) -> Written {
        let leases = self.shared.leases();
        let name = lease::leader();
        judge(timeout(CALL_TIMEOUT, leases.replace(&name, &PostParams::default(), lease)).await)
    }

    /// It is not known who leads, and may not be for long.
    fn unknown(&self) {
        if !self.leadership.is_settled() {
            tracing::warn!(
                "it is not known who leads within {SETTLES:?}: this replica follows until it is; hint: rights to leases in namespace kubeedge"
            );
        }
        self.follow();
    }

    fn follow(&self) {
        if self.leadership.follow() {
            tracing::warn!("this replica leads no more: another one does");
        }
    }

    async fn give_up(&self, mut lease: Lease) {
        lease.spec.get_or_insert_default().holder_identity = Some(String::new());
        if matches!(self.replace(&lease).await, Written::Unknown) {
            tracing::info!("the Lease of who leads stays until it is over");
        }
    }
}

fn judge(written: Result<Result<Lease, Error>, tokio::time::error::Elapsed>) -> Written {
    match written {
        Ok(Ok(lease)) => Written::Ours(Box::new(lease)),
        // It is another version, or another one, or gone: all of that somebody else has done.
        Ok(Err(Error::Api(status))) if matches!(status.code, 404 | 409) => Written::Theirs,
        Ok(Err(error)) => {
            tracing::debug!("the Lease of who leads cannot be written: {error}");
            Written::Unknown
        }
        Err(_) => Written::Unknown,
    }
}
