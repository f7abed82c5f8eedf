//! Paths of rules: which requests they match, what is left over, and which of two says more. Pure.
//!
//! As in stock (spec cloud-and-wire 6.3) a rule's path matches what begins with it, and `{name}` stands for a segment. Not as in stock,
//! it matches whole segments, and from the beginning: `/a` is not in `/abc`, nor in `/x/a`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Segments of a path at most: no request is worth more work.
pub(super) const MAX_SEGMENTS: usize = 64;

/// The path of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Variable(String),
}

/// What a request's path is to a rule's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matched<'a> {
    /// What stands for each name.
    pub(super) variables: BTreeMap<&'a str, &'a str>,
    /// What comes after, without a slash before it; with its own slashes.
    pub(super) rest: String,
}

impl Template {
    /// Reads a path. Slashes around it say nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut segments = Vec::new();
        for segment in segments_of(text) {
            let name = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
            segments.push(match name {
                Some("") => return Err(format!("{text:?}: a variable needs a name")),
                Some(name) if name.contains(['{', '}']) => {
                    return Err(format!("{text:?}: {segment:?} is no variable"));
                }
                Some(name) => Segment::Variable(name.to_owned()),
                None if segment.contains(['{', '}']) => {
                    return Err(format!("{text:?}: a variable is a whole segment, and {segment:?} is not"));
                }
                None if segment.contains(['?', '#']) => {
                    return Err(format!("{text:?}: a path has no {segment:?}"));
                }
                None => Segment::Literal(segment.to_owned()),
            });
        }
        if segments.len() > MAX_SEGMENTS {
            return Err(format!("a path has {MAX_SEGMENTS} segments at most"));
        }
        if proto::user::leaves(text) {
            return Err(format!("{text:?} leads out of itself"));
        }
        Ok(Self { segments })
    }

    /// Whether a request is one of this rule's. `path` has no query.
    pub(super) fn matches<'a>(&'a self, path: &'a str) -> Option<Matched<'a>> {
        let mut left = path.trim_start_matches('/');
        let mut variables = BTreeMap::new();
        for segment in &self.segments {
            let (first, rest) = left.split_once('/').unwrap_or((left, ""));
            match segment {
                Segment::Literal(literal) if literal == first => {}
                Segment::Variable(name) if !first.is_empty() => {
                    variables.insert(name.as_str(), first);
                }
                Segment::Literal(_) | Segment::Variable(_) => return None,
            }
            left = rest.trim_start_matches('/');
        }
        Some(Matched { variables, rest: left.to_owned() })
    }

    /// Whether there are names in it.
    pub(super) fn has_variables(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Variable(_)))
    }

    /// What comes before the first name, as a path.
    pub(super) fn fixed(&self) -> String {
        let fixed = self.segments.iter().map_while(|segment| match segment {
            Segment::Literal(literal) => Some(format!("/{literal}")),
            Segment::Variable(_) => None,
        });
        fixed.collect()
    }

    /// Names in it that `other` has not.
    pub(super) fn names_beside(&self, other: Option<&Self>) -> Vec<String> {
        let known: Vec<&str> = other.map(Self::names).unwrap_or_default();
        self.names().into_iter().filter(|name| !known.contains(name)).map(str::to_owned).collect()
    }

    /// The path with what stands for its names.
    pub(super) fn filled(&self, variables: &BTreeMap<&str, &str>) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(literal) => literal.clone(),
            Segment::Variable(name) => variables.get(name.as_str()).copied().unwrap_or_default().to_owned(),
        };
        self.segments.iter().map(segment).collect::<Vec<_>>().join("/")
    }

    /// `Greater` is what says more of two that match the same: at the first difference the word goes before the name, and the longer
    /// before the shorter.
    pub(super) fn specificity(&self, other: &Self) -> Ordering {
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 1,
            Segment::Variable(_) => 0,
        };
        self.segments.iter().map(rank).cmp(other.segments.iter().map(rank))
    }

    fn names(&self) -> Vec<&str> {
        let name = |segment: &Segment| matches!(segment, Segment::Variable(_));
        let variables = self.segments.iter().filter(|segment| name(segment));
        variables
            .map(|segment| match segment {
                Segment::Variable(text) | Segment::Literal(text) => text.as_str(),
            })
            .collect()
    }
}

/// What stands between slashes, as Go's `path.Join` leaves it.
fn segments_of(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|segment| !segment.is_empty())
}

/// A topic below a namespace, as stock joins them.
///
/// # Errors
/// What is wrong with the topic.
pub(super) fn topic_of(namespace: &str, topic: &str) -> Result<String, String> {
    if segments_of(topic).next().is_none() {
        return Err("there is no topic".to_owned());
    }
    if segments_of(topic).any(|segment| matches!(segment, "." | "..")) {
        return Err(format!("{topic:?} leads out of its namespace"));
    }
    let topic = std::iter::once(namespace).chain(segments_of(topic)).collect::<Vec<_>>().join("/");
    if is_filter(&topic) { Ok(topic) } else { Err(format!("{topic:?} is no topic of MQTT")) }
}

/// Whether one can subscribe to it (MQTT 3.1.1, 4.7): wildcards stand alone between slashes, `#` at the end.
pub(super) fn is_filter(filter: &str) -> bool {
    let last = filter.split('/').count();
    let is_level = |(at, level): (usize, &str)| match level {
        "+" => true,
        "#" => at + 1 == last,
        level => !level.contains(['+', '#']),
    };
    (1..=usize::from(u16::MAX)).contains(&filter.len())
        && !filter.contains('\0')
        && filter.split('/').enumerate().all(is_level)
}

/// Whether something can be published there.
pub(super) fn is_topic(topic: &str) -> bool {
    is_filter(topic) && !topic.contains(['+', '#'])
}

/// Whether a topic is of those that a filter stands for. Rules' filters begin with a namespace, so what begins with a wildcard need not be
/// looked at.
pub(super) fn is_of(filter: &str, topic: &str) -> bool {
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests;
