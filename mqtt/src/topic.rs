//! Names of topics and filters of them (MQTT 3.1.1, section 4.7).
//!
//! The codec has functions of the same names; they take `$hw/+` for a filter that matches nothing and cannot read a topic that
//! begins with a letter of more than one byte, so these are ours.

/// Levels of a filter. What is deeper is refused, so that nobody makes the tree of filters deep enough to exhaust a stack.
pub(crate) const MAX_LEVELS: usize = 128;
/// Bytes of a filter. The protocol allows 65,535, which nobody needs and a tree of them would cost.
pub(crate) const MAX_FILTER: usize = 4096;

/// Whether something can be published there: not empty, no wildcard, no NUL.
pub(crate) fn is_topic(text: &str) -> bool {
    !text.is_empty() && !text.contains(['+', '#', '\0'])
}

/// Whether it is a filter by the protocol: a wildcard is a level of its own, and `#` is the last one.
pub(crate) fn is_filter(text: &str) -> bool {
    if text.is_empty() || text.contains('\0') {
        return false;
    }
    let mut levels = text.split('/').peekable();
    while let Some(level) = levels.next() {
        let is_plain = !level.contains(['+', '#']);
        if !(is_plain || level == "+" || (level == "#" && levels.peek().is_none())) {
            return false;
        }
    }
    true
}

/// Whether a filter is small enough for us.
pub(crate) fn is_modest(filter: &str) -> bool {
    filter.len() <= MAX_FILTER && filter.split('/').take(MAX_LEVELS + 1).count() <= MAX_LEVELS
}

/// Whether it has a wildcard.
pub(crate) fn is_wild(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

/// What every topic that matches begins with: the filter up to its first wildcard, without the slash, because `a/#` is `a`, too.
pub(crate) fn literal_prefix(filter: &str) -> &str {
    let plain = filter.split(['+', '#']).next().unwrap_or_default();
    if plain.len() == filter.len() { plain } else { plain.strip_suffix('/').unwrap_or(plain) }
}

/// Whether a topic is one of those that a filter names. A leading wildcard does not name those that begin with `$`.
pub(crate) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        for (filter, topic) in [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
            ("sport/#", "sport"),
            ("#", "a/b"),
            ("sport/tennis/+", "sport/tennis/player1"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("$SYS/#", "$SYS/monitor/Clients"),
            ("$SYS/monitor/+", "$SYS/monitor/Clients"),
            ("$hw/events/device/+/+/twin/+", "$hw/events/device/default/d/twin/update"),
            ("+/user/#", "édge/user/x"),
        ] {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$SYS/broker"),
            ("+/monitor/Clients", "$SYS/monitor/Clients"),
            ("a/b", "a"),
            ("a", "A"),
        ] {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn what_is_a_filter_and_what_is_a_topic() {
        for good in ["a", "/", "+", "#", "a/+/b/#", "a//b", "$hw/#", "+/+"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "a#", "#/a", "a/#/b", "a+/b", "++", "a\0"] {
            assert!(!is_filter(bad), "{bad}");
        }
        assert!(is_topic("$hw/x") && is_topic("/"));
        assert!(!is_topic("") && !is_topic("a/+") && !is_topic("#") && !is_topic("a\0b"));
        assert!(is_modest(&"a/".repeat(MAX_LEVELS - 1)) && !is_modest(&"a/".repeat(MAX_LEVELS)));
    }

    proptest! {
        #[test]
        fn a_topic_matches_itself_and_has_the_prefix_of_every_filter_that_matches(
            topic in "[$a-c/]{1,8}", filter in "[$a-c/+#]{1,8}"
        ) {
            prop_assert!(matches(&topic, &topic));
            if is_filter(&filter) && matches(&filter, &topic) {
                prop_assert!(topic.starts_with(literal_prefix(&filter)));
                prop_assert!(is_wild(&filter) || filter == topic);
            }
        }
    }
}
