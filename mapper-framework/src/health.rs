//! How a device is, as a pure state: what happened goes in, one of the five states of stock comes out.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

/// A device that was lost is given one new connection before it counts as offline: a cable that is plugged in again, a session
/// that timed out.
const LOSSES: u32 = 2;

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there. What EdgeCore says of a device of which no state is reported.
    Online,
    /// It cannot be reached.
    Offline,
    /// It is there and works.
    Ok,
    /// It is there, and something does not work.
    Unhealthy,
    /// Nothing is known yet.
    Unknown,
}

impl State {
    /// Its word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Ok => "ok",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is known of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Health {
    link: Link,
    losses: u32,
    failing: BTreeSet<String>,
    driver: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// It was not tried yet.
    New,
    Up,
    Down,
    /// What is configured makes no sense: nobody can reach a device so.
    Wrong,
}

impl Default for Health {
    fn default() -> Self {
        Self { link: Link::New, losses: 0, failing: BTreeSet::new(), driver: State::Ok }
    }
}

impl Health {
    pub(crate) fn connected(&mut self) {
        self.link = Link::Up;
        self.failing.clear();
    }

    /// The link broke, or could not be made.
    pub(crate) fn lost(&mut self) {
        // Before the first connection there is nothing to hope for.
        let more = if self.link == Link::Up { 1 } else { LOSSES };
        self.losses = self.losses.saturating_add(more);
        self.link = Link::Down;
    }

    /// The driver says that it cannot be configured so.
    pub(crate) fn misconfigured(&mut self) {
        self.link = Link::Wrong;
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.link == Link::Up
    }

    /// Something with this property worked.
    pub(crate) fn worked(&mut self, property: &str) {
        self.losses = 0;
        self.failing.remove(property);
    }

    /// Something with this property did not work, though the device is there.
    pub(crate) fn failed(&mut self, property: &str) {
        self.losses = 0;
        self.failing.insert(property.to_owned());
    }

    /// Properties that are gone fail no more.
    pub(crate) fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.failing.retain(|property| is_there(property));
    }

    /// What the driver says by itself.
    pub(crate) fn driver_says(&mut self, state: State) {
        self.driver = state;
    }

    pub(crate) fn state(&self) -> State {
        match self.link {
            Link::New => State::Unknown,
            Link::Wrong => State::Unhealthy,
            Link::Down if self.losses >= LOSSES => State::Offline,
            Link::Down | Link::Up if !self.failing.is_empty() => State::Unhealthy,
            Link::Down | Link::Up => self.driver,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_device_is_unknown_until_it_was_tried() {
        let mut health = Health::default();
        assert_eq!(health.state(), State::Unknown);
        health.lost();
        assert_eq!(health.state(), State::Offline);
        health.connected();
        health.worked("t");
        assert_eq!(health.state(), State::Ok);
    }

    #[test]
    fn one_broken_connection_is_not_the_end_and_a_second_one_is() {
        let mut health = Health::default();
        health.connected();
        health.worked("t");
        health.lost();
        assert_eq!(health.state(), State::Ok);
        health.connected();
        health.lost();
        assert_eq!(health.state(), State::Offline);
    }

    #[test]
    fn a_property_that_cannot_be_read_makes_it_unhealthy_until_it_can() {
        let mut health = Health::default();
        health.connected();
        health.failed("a");
        health.worked("b");
        assert_eq!(health.state(), State::Unhealthy);
        health.worked("a");
        assert_eq!(health.state(), State::Ok);
        health.failed("a");
        health.keep(|name| name != "a");
        assert_eq!(health.state(), State::Ok);
        health.driver_says(State::Unhealthy);
        assert_eq!(health.state(), State::Unhealthy);
        health.misconfigured();
        assert_eq!(health.state(), State::Unhealthy);
    }

    proptest! {
        #[test]
        fn a_device_that_is_connected_and_works_is_ok_whatever_came_before(events in prop::collection::vec(0..5u8, 0..50)) {
            let mut health = Health::default();
            for event in events {
                match event {
                    0 => health.connected(),
                    1 => health.lost(),
                    2 => health.worked("a"),
                    3 => health.failed("a"),
                    _ => health.misconfigured(),
                }
            }
            health.connected();
            health.worked("a");
            prop_assert_eq!(health.state(), State::Ok);
            health.lost();
            health.lost();
            prop_assert_eq!(health.state(), State::Offline);
        }
    }
}
