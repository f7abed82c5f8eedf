//! What nodes say: messages on topics, and what applications ask.

use std::sync::Arc;

use bytes::Bytes;
use chassis::task;
use proto::reply::QueryFailure;
use proto::user::HttpResponse;
use proto::{Content, Group, Message, Resource, Source};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::delivery::deliver;
use super::lanes::{Job, LaneKey, Said, Settled, Taken, Verdict};
use super::rules::{Key, Target};
use super::{DELIVERIES, State, TO_ONE_TARGET, calls, nodes, path, telling};
use crate::flow::{NodeName, UserSession};

/// Messages that wait until the rules have been read, and their bytes. A Skerry node says what is more again; of a stock node it is lost.
const EARLY: usize = 1024;
const EARLY_BYTES: usize = 16 << 20;
/// What stock edges send whether there is a rule or not.
const ALWAYS_SENT: [&str; 3] = ["$hw/events/upload/#", "SYS/dis/upload_records", "+/user/#"];

impl State {
    pub(super) fn connect(&mut self, session: UserSession) {
        let node = session.node.clone();
        self.nodes.connected(session.clone());
        self.telling.connected(session);
        self.lanes.connected(&node);
        self.tell(&node);
    }

    pub(super) fn hear(&mut self, node: &NodeName, message: Box<Message>) {
        if nodes::is_answer(&message) {
            let parent = message.header.parent_id.clone();
            if !self.nodes.answered(node, *message) {
                tracing::debug!(%node, parent, "an answer that nobody waits for");
            }
            return;
        }
        if !self.table().is_complete {
            return self.keep_early(node, message);
        }
        let Resource::Topic(resource) = &message.route.resource else {
            return self.refuse(node, &message, "BadRequest", "the message is about nothing");
        };
        match message.route.source {
            Source::Bus => self.hear_topic(node, resource.clone(), *message),
            Source::ServiceBus => self.hear_call(node, &resource.clone(), *message),
            _ => {
                self.refuse(node, &message, "BadRequest", "users' messages come from MQTT or from ServiceBus")
            }
        }
    }

    fn keep_early(&mut self, node: &NodeName, message: Box<Message>) {
        let size = message.content.len();
        if self.early.len() < EARLY && self.early_bytes + size <= EARLY_BYTES {
            self.early_bytes += size;
            self.early.push_back((node.clone(), message));
            return;
        }
        self.lanes.refuse(node, &message.header.id);
        self.refuse(node, &message, "ServiceUnavailable", "the rules have not been read yet");
    }

    fn hear_topic(&mut self, node: &NodeName, topic: String, mut message: Message) {
        let table = self.table();
        let rules: Vec<Key> = table.of_topic(node, &topic).map(|rule| rule.key.clone()).collect();
        if rules.is_empty() {
            self.refuse(node, &message, "NotFound", "no rule takes what is published there");
            let is_always_sent = ALWAYS_SENT.iter().any(|filter| path::is_of(filter, &topic));
            // It still listens for a rule that went while it was away.
            if let Some(session) =
                self.nodes.session(node).filter(|session| !session.is_native && !is_always_sent)
            {
                offer(&session, telling::unsubscribe(&topic, || self.environment.stamp()));
            }
            return;
        }
        if message.content.len() > self.largest_body {
            let why = format!(
                "{node}: a message has {} bytes; {} are taken at most",
                message.content.len(),
                self.largest_body
            );
            rules.iter().for_each(|rule| self.failed(rule, &why));
            return self.refuse(node, &message, "Invalid", &why);
        }
        let payload = match std::mem::take(&mut message.content) {
            Content::Null => Bytes::new(),
            Content::Text(text) => text.into(),
            json => Bytes::from(json.data().into_owned()),
        };
        let head = Message { content: Content::Null, ..message.clone() };
        let said = Said { node: node.clone(), message, topic, payload, arrived: Instant::now() };
        match self.lanes.take(said, &rules) {
            Taken::Waits => {}
            Taken::Settled => self.answer(node, &head, None),
            Taken::Refused => {
                let why = "too many messages wait for their targets";
                self.refuse(node, &head, "TooManyRequests", why);
                if self.nodes.session(node).is_some_and(|session| !session.is_native) {
                    rules.iter().for_each(|rule| self.failed(rule, &format!("{node}: {why}: one is lost")));
                }
            }
        }
        self.environment.metrics.waiting(self.lanes.len());
    }

    /// A rule is gone: what waited for its target never will get there.
    pub(super) fn forget(&mut self, rule: &Key) {
        let (lanes, settled) = self.lanes.drop_rule(rule);
        for lane in lanes {
            self.abort(&lane);
        }
        settled.iter().for_each(|settled| self.settle(settled));
    }

    /// A rule goes elsewhere now, and with it what is on its way.
    pub(super) fn begin_anew(&mut self, rule: &Key) {
        for lane in self.lanes.of_rule(rule) {
            self.abort(&lane);
            self.lanes.again(&lane);
        }
    }

    fn abort(&mut self, lane: &LaneKey) {
        if let Some((_, task)) = self.running.remove(lane) {
            task.abort();
        }
    }

    /// Starts those whose turn it is.
    pub(super) fn start_deliveries(&mut self) {
        while self.tasks.deliveries.len() < DELIVERIES
            && let Some(job) = self.lanes.next()
        {
            self.start(job);
        }
    }

    fn start(&mut self, Job { lane, said }: Job) {
        let table = self.table();
        let url = match table.rule(&lane.1).map(|rule| &rule.target) {
            Some(Target::Rest { url, .. }) => url.clone(),
            // The table has lost it since: its lanes go at once.
            _ => return,
        };
        self.started += 1;
        let number = self.started;
        let places =
            self.targets.entry(lane.1.clone()).or_insert_with(|| Arc::new(Semaphore::new(TO_ONE_TARGET)));
        let (places, web, patience) = (Arc::clone(places), Arc::clone(&self.web), self.patience);
        let rng = self.environment.rng.clone();
        let span =
            tracing::info_span!("deliver", node = %lane.0, rule = %format_args!("{}/{}", lane.1.0, lane.1.1));
        let key = lane.clone();
        let task = task::spawn_in(&mut self.tasks.deliveries, span, async move {
            let verdict = deliver(web.as_ref(), url, &said, patience, &places, rng).await;
            (key, number, verdict)
        });
        self.running.insert(lane, (number, task));
    }

    pub(super) fn delivered(&mut self, lane: &LaneKey, number: u64, verdict: Verdict) {
        if self.running.get(lane).is_none_or(|(running, _)| *running != number) {
            return;
        }
        self.running.remove(lane);
        match &verdict {
            Verdict::Taken => {
                self.environment.metrics.taken(&lane.1);
                self.tally.taken(&lane.1);
            }
            Verdict::Failed(why) => self.failed(&lane.1, why),
        }
        if let Some(settled) = self.lanes.done(lane, verdict) {
            self.settle(&settled);
        }
        self.environment.metrics.waiting(self.lanes.len());
    }

    pub(super) fn settle(&self, Settled { said, failure }: &Settled) {
        self.answer(&said.node, &said.message, failure.as_deref().map(|why| ("Gone", why)));
    }

    fn failed(&self, rule: &Key, why: &str) {
        tracing::info!(rule = %format_args!("{}/{}", rule.0, rule.1), "failed: {why}");
        self.environment.metrics.failed(rule);
        self.tally.failed(rule, self.environment.clock.now(), why);
    }

    fn refuse(&self, node: &NodeName, message: &Message, reason: &str, why: &str) {
        let word = match reason {
            "NotFound" => "no_rule",
            "BadRequest" | "Invalid" => "malformed",
            _ => "crowded",
        };
        self.environment.metrics.refused(word);
        tracing::debug!(%node, msg = message.header.id, resource = %message.route.resource, "refused: {why}");
        self.answer(node, message, Some((reason, why)));
    }

    /// A Skerry node that is not told says it again.
    fn answer(&self, node: &NodeName, message: &Message, failure: Option<(&str, &str)>) {
        let Some(session) = self.nodes.session(node).filter(|session| session.is_native) else { return };
        let stamp = self.environment.stamp();
        let answer = match failure {
            None => message.reply(stamp, Content::ok()),
            Some((reason, why)) => {
                let failure = QueryFailure { reason: reason.to_owned(), message: why.to_owned() };
                message.error(stamp, failure.to_string())
            }
        };
        offer(&session, answer.from_module(Source::Router, Group::User));
    }

    /// What an application on a node asks.
    fn hear_call(&mut self, node: &NodeName, url: &str, message: Message) {
        let Some(session) = self.nodes.session(node) else { return };
        let table = self.table();
        let Some(rule) = table.of_url(node, url) else {
            self.environment.metrics.refused("no_rule");
            let reply = match session.is_native {
                true => self.reply(
                    &session,
                    &message,
                    &HttpResponse::text(404, "no rule names this URL on this node"),
                ),
                false => Some(telling::stop(url, || self.environment.stamp())),
            };
            reply.into_iter().for_each(|reply| offer(&session, reply));
            return;
        };
        let Target::Rest { url, form } = rule.target.clone() else { return };
        let place = match self.limits.enter(&rule.key, Instant::now()) {
            Ok(place) => place,
            Err(limit) => {
                self.environment.metrics.limited(&rule.key);
                let reply = self.reply(&session, &message, &HttpResponse::text(429, &limit.to_string()));
                reply.into_iter().for_each(|reply| offer(&session, reply));
                return;
            }
        };
        let (web, limit, key) = (Arc::clone(&self.web), self.timeout, rule.key.clone());
        let (environment, tally, node) = (self.environment.clone(), self.tally.clone(), node.clone());
        let span = tracing::info_span!("call", %node, rule = %format_args!("{}/{}", key.0, key.1));
        task::spawn_in(&mut self.tasks.calls, span, async move {
            let _place = place;
            let outcome = calls::ask(web.as_ref(), (&url, form), &node, &message, limit).await;
            match &outcome {
                Ok(_) => {
                    environment.metrics.taken(&key);
                    tally.taken(&key);
                }
                Err((_, why)) => {
                    tracing::info!("failed: {why}");
                    environment.metrics.failed(&key);
                    tally.failed(&key, environment.clock.now(), why);
                }
            }
            let outcome = outcome.as_ref().map_err(|(answer, _)| answer);
            if let Some(reply) = calls::reply(&message, environment.stamp(), outcome, session.is_native)
                && session.replies.send(reply).await.is_err()
            {
                tracing::debug!("the node has gone before its application was answered");
            }
        });
    }

    fn reply(&self, session: &UserSession, message: &Message, failure: &HttpResponse) -> Option<Message> {
        calls::reply(message, self.environment.stamp(), Err(failure), session.is_native)
    }
}

/// A node that takes nothing now says again what it was not told of, or hears of it when it connects.
fn offer(session: &UserSession, message: Message) {
    if !session.replies.offer(message) {
        tracing::debug!(node = %session.node, "takes no messages");
    }
}
