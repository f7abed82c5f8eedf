//! What clients say once they are connected, and what they are answered.

use std::sync::Arc;

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{
    Packet, PubComp, PubRel, Publish, SubAck, Subscribe, SubscribeFilter, SubscribeReasonCode, UnsubAck,
    Unsubscribe,
};

use tokio::time::Instant;

use super::{Attached, Core, Taken};
use crate::frame::Violation;
use crate::message::{Message, lower};
use crate::topic;

/// Filters with wildcards in one packet: each costs a look at all that is kept. Further ones are refused.
const WILD: usize = 256;

/// What a packet came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It goes on.
    Goes,
    /// The client takes its leave.
    Left,
    /// The session is another connection's now.
    Taken,
    /// The client has done something wrong.
    Wrong(Violation),
}

impl From<Taken> for Outcome {
    fn from(Taken: Taken) -> Self {
        Self::Taken
    }
}

impl Core {
    /// Does what a client says, and appends the answers. `CONNECT` has been said.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        attached: Attached,
        packet: Packet,
        answers: &mut Vec<Packet>,
    ) -> Outcome {
        let heard = self.hear_one(now, attached, packet, answers);
        heard.unwrap_or_else(|outcome| outcome)
    }

    fn hear_one(
        &mut self,
        now: Instant,
        attached: Attached,
        packet: Packet,
        answers: &mut Vec<Packet>,
    ) -> Result<Outcome, Outcome> {
        self.member(attached)?;
        match packet {
            Packet::Publish(publish) => self.published(now, attached, publish, answers)?,
            Packet::PubAck(ack) => {
                let origin = self.change(attached, |session| session.acknowledged(ack.pkid))?;
                origin.iter().for_each(|origin| self.kept(origin));
            }
            Packet::PubRec(ack) => {
                self.change(attached, |session| session.received(ack.pkid))?;
                answers.push(Packet::PubRel(PubRel::new(ack.pkid)));
            }
            Packet::PubComp(ack) => self.change(attached, |session| session.completed(ack.pkid))?,
            Packet::PubRel(ack) => {
                self.change(attached, |session| session.release(ack.pkid))?;
                answers.push(Packet::PubComp(PubComp::new(ack.pkid)));
            }
            Packet::Subscribe(subscribe) => self.subscribed(attached, subscribe, answers)?,
            Packet::Unsubscribe(unsubscribe) => self.unsubscribed(attached, unsubscribe, answers)?,
            Packet::PingReq => answers.push(Packet::PingResp),
            Packet::Disconnect => return Ok(Outcome::Left),
            Packet::Connect(_) => return Ok(Outcome::Wrong(Violation::ConnectedTwice)),
            // The reader has refused what only brokers say.
            Packet::ConnAck(_) | Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {}
        }
        Ok(Outcome::Goes)
    }

    fn published(
        &mut self,
        now: Instant,
        attached: Attached,
        publish: Publish,
        answers: &mut Vec<Packet>,
    ) -> Result<(), Outcome> {
        self.metrics.received.inc();
        let (id, qos) = (publish.pkid, publish.qos);
        let most = self.limits.unreleased;
        let is_new = match qos {
            QoS::ExactlyOnce => {
                self.change(attached, |session| session.take(id, most))?.map_err(Outcome::Wrong)?
            }
            _ => true,
        };
        let origin = match qos {
            QoS::AtMostOnce => None,
            _ => Some(self.origin_of(attached, id, publish.dup)?),
        };
        let message = Arc::new(Message::from(publish));
        let mut keepers = 0;
        if is_new {
            keepers = self.publish(now, &message, Some(attached.session), origin.as_ref());
            if message.retain {
                self.show();
            }
        }
        if origin.is_some() {
            let owed = self.owed(attached)?;
            owed.push(id, qos, message.weight(), keepers);
            owed.take(answers);
        }
        Ok(())
    }

    fn subscribed(
        &mut self,
        attached: Attached,
        subscribe: Subscribe,
        answers: &mut Vec<Packet>,
    ) -> Result<(), Outcome> {
        let mut wild = 0;
        let mut return_codes = Vec::with_capacity(subscribe.filters.len());
        for SubscribeFilter { path, qos } in subscribe.filters {
            wild += usize::from(topic::is_wild(&path));
            let is_granted = wild <= WILD && self.subscribe(attached, path, qos)?;
            return_codes.push(if is_granted {
                SubscribeReasonCode::Success(qos)
            } else {
                SubscribeReasonCode::Failure
            });
        }
        answers.push(Packet::SubAck(SubAck::new(subscribe.pkid, return_codes)));
        self.show();
        Ok(())
    }

    /// Returns whether it was granted.
    fn subscribe(&mut self, attached: Attached, filter: String, qos: QoS) -> Result<bool, Taken> {
        let (most, most_of_all) = (self.limits.subscriptions, self.limits.total_subscriptions);
        let (all, kept_at_most) = (self.subscriptions, self.limits.retained);
        let state = &mut self.member(attached)?.state;
        let is_new = !state.subscriptions.contains_key(&filter);
        let has_room = state.subscriptions.len() < most && all < most_of_all;
        if !topic::is_modest(&filter) || (is_new && !has_room) {
            tracing::info!(filter, "a subscription was refused: too long, too deep, or one too many");
            return Ok(false);
        }
        self.subscriptions += usize::from(is_new);
        self.tree.add(&filter, attached.session, qos);
        let kept = self.retained.matching(&filter);
        let kept = kept.map(|message| (Arc::downgrade(message), lower(message.qos, qos))).collect();
        self.change(attached, |session| {
            session.subscriptions.insert(filter, qos);
            session.push_retained(kept, kept_at_most)
        })?;
        Ok(true)
    }

    fn unsubscribed(
        &mut self,
        attached: Attached,
        unsubscribe: Unsubscribe,
        answers: &mut Vec<Packet>,
    ) -> Result<(), Outcome> {
        for filter in unsubscribe.topics {
            if self.member(attached)?.state.subscriptions.remove(&filter).is_some() {
                self.subscriptions -= 1;
                self.tree.remove(&filter, attached.session);
            }
        }
        answers.push(Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid)));
        self.show();
        Ok(())
    }
}
