//! The rules and endpoints of the API, as the router sees them.

use std::collections::{BTreeMap, BTreeSet};

use chassis::rng::Rng;
use futures::stream::{BoxStream, SelectAll};
use kube::runtime::watcher::{self, Config};
use kube::{Api, Client};
use proto::api::rule::{Rule, RuleEndpoint};

use super::rules::{Active, Key, Table, key};
use crate::watching::{Change, Patience, facts};

/// What a watch has brought.
#[derive(Debug)]
pub(super) enum Fact {
    Rules(Change<Rule>),
    Endpoints(Change<RuleEndpoint>),
}

/// A watch was interrupted: which, and why.
pub(super) type Failure = (&'static str, watcher::Error);

/// Starts the watches. They never end.
pub(super) fn start(client: &Client, rng: &Rng) -> SelectAll<BoxStream<'static, Result<Fact, Failure>>> {
    let mut all = SelectAll::new();
    let (rules, endpoints) = (Api::all(client.clone()), Api::all(client.clone()));
    all.push(facts(rules, Config::default(), Patience::new(rng), "rules", Fact::Rules));
    all.push(facts(endpoints, Config::default(), Patience::new(rng), "ruleendpoints", Fact::Endpoints));
    all
}

/// All that there is.
#[derive(Debug, Default)]
pub(super) struct World {
    rules: BTreeMap<Key, Rule>,
    endpoints: BTreeMap<Key, RuleEndpoint>,
    has_rules: bool,
    has_endpoints: bool,
    is_told: bool,
}

/// What a fact has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// What a rule or an endpoint says.
    pub(super) is_other: bool,
    /// Rules whose status, or more, is new.
    pub(super) seen: BTreeSet<Key>,
}

impl World {
    /// Takes a fact in.
    pub(super) fn apply(&mut self, fact: Fact) -> News {
        match fact {
            Fact::Rules(Change::Applied(rule)) => self.rule(*rule),
            Fact::Rules(Change::Deleted(rule)) => {
                let is_other = key(&rule.metadata).is_some_and(|key| self.rules.remove(&key).is_some());
                News { is_other, seen: BTreeSet::new() }
            }
            Fact::Rules(Change::Replaced(rules)) => {
                let keys: BTreeSet<Key> = rules.iter().filter_map(|rule| key(&rule.metadata)).collect();
                self.rules.retain(|key, _| keys.contains(key));
                rules.into_iter().for_each(|rule| drop(self.rule(rule)));
                self.has_rules = true;
                News { is_other: true, seen: keys }
            }
            Fact::Endpoints(Change::Applied(endpoint)) => {
                let Some(key) = key(&endpoint.metadata) else { return News::default() };
                let before = self.endpoints.insert(key.clone(), *endpoint);
                let is_other =
                    before.map(|before| before.spec) != self.endpoints.get(&key).map(|now| now.spec.clone());
                News { is_other, seen: BTreeSet::new() }
            }
            Fact::Endpoints(Change::Deleted(endpoint)) => {
                let is_other =
                    key(&endpoint.metadata).is_some_and(|key| self.endpoints.remove(&key).is_some());
                News { is_other, seen: BTreeSet::new() }
            }
            Fact::Endpoints(Change::Replaced(endpoints)) => {
                let keyed =
                    endpoints.into_iter().filter_map(|endpoint| Some((key(&endpoint.metadata)?, endpoint)));
                self.endpoints = keyed.collect();
                self.has_endpoints = true;
                News { is_other: true, seen: BTreeSet::new() }
            }
        }
    }

    fn rule(&mut self, rule: Rule) -> News {
        let Some(key) = key(&rule.metadata) else { return News::default() };
        let same = |before: &Rule| before.spec == rule.spec && before.metadata.uid == rule.metadata.uid;
        let is_other = !self.rules.get(&key).is_some_and(same);
        self.rules.insert(key.clone(), rule);
        News { is_other, seen: BTreeSet::from([key]) }
    }

    /// A rule.
    pub(super) fn get(&self, key: &Key) -> Option<&Rule> {
        self.rules.get(key)
    }

    /// What can be acted on, and what cannot be and why.
    pub(super) fn table(&self) -> (Table, Vec<(Key, String)>) {
        let is_complete = self.has_rules && self.has_endpoints;
        let (mut active, mut problems) = (Vec::new(), Vec::new());
        for (key, rule) in &self.rules {
            match Active::of(rule, &self.endpoints) {
                Ok(rule) => active.push(rule),
                // An endpoint that has not been read yet is not missing.
                Err(why) if is_complete => problems.push((key.clone(), why)),
                Err(_) => {}
            }
        }
        (Table::new(active, is_complete), problems)
    }

    /// Said once: the watch itself goes on trying.
    pub(super) fn failed(&mut self, (kind, error): &Failure) {
        if (self.has_rules && self.has_endpoints) || self.is_told {
            tracing::debug!(kind, "watch interrupted: {error}");
            return;
        }
        self.is_told = true;
        tracing::warn!(
            kind,
            "cannot be read: {error}. No message of a user is routed meanwhile. \
             hint: kubectl apply -f build/crds, and let CloudCore list rules and ruleendpoints and patch rules"
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::rules::tests::{endpoints, rule};
    use super::*;

    #[test]
    fn a_status_is_no_change_and_a_rule_waits_for_its_endpoints() {
        let mut world = World::default();
        let written = rule("r", ("rest", json!({"path": "/a"})), ("mqtt", json!({"topic": "t"})));
        let news = world.apply(Fact::Rules(Change::Replaced(vec![written.clone()])));
        assert!(news.is_other);
        let (table, problems) = world.table();
        assert!(!table.is_complete && problems.is_empty(), "nobody knows yet");
        world.apply(Fact::Endpoints(Change::Replaced(Vec::new())));
        assert!(world.table().1[0].1.contains("does not exist"));
        for (_, endpoint) in endpoints() {
            assert!(world.apply(Fact::Endpoints(Change::Applied(Box::new(endpoint)))).is_other);
        }
        let (table, problems) = world.table();
        assert!(table.is_complete && problems.is_empty());
        let mut counted = written.clone();
        counted.status.success_messages = 1;
        let news = world.apply(Fact::Rules(Change::Applied(Box::new(counted))));
        assert!(!news.is_other && news.seen.len() == 1);
        let mut other = written.clone();
        other.spec.source_resource.0.insert("path".to_owned(), "/b".to_owned());
        assert!(world.apply(Fact::Rules(Change::Applied(Box::new(other)))).is_other);
        assert!(world.apply(Fact::Rules(Change::Deleted(Box::new(written)))).is_other);
        assert!(world.table().0.rule(&("default".to_owned(), "r".to_owned())).is_none());
    }
}
