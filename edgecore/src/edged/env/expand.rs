//! `$(NAME)` in commands, arguments and environment values.
//!
//! Rules: <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>.

/// Replaces every `$(NAME)` that `lookup` knows. `$$` is a dollar sign; what is unknown or unfinished stays as it is.
pub(super) fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, at_dollar) = rest.split_at(dollar);
        out.push_str(before);
        let after = &at_dollar[1..];
        if let Some(escaped) = after.strip_prefix('$') {
            out.push('$');
            rest = escaped;
        } else if let Some((name, behind)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match lookup(name) {
                Some(value) => out.push_str(value),
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = behind;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(name: &str) -> Option<&'static str> {
        match name {
            "A" => Some("1"),
            "DOLLAR" => Some("$(A)"),
            "EMPTY" => Some(""),
            _ => None,
        }
    }

    #[test]
    fn follows_the_rules() {
        for (text, expanded) in [
            ("", ""),
            ("plain", "plain"),
            ("$(A)", "1"),
            ("x$(A)y$(A)", "x1y1"),
            ("$(NONE)", "$(NONE)"),
            ("$(EMPTY)", ""),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$$$$(A)", "$$(A)"),
            ("$(DOLLAR)", "$(A)"),
            ("$(A", "$(A"),
            ("$", "$"),
            ("a$", "a$"),
            ("$A", "$A"),
            ("$()", "$()"),
            ("$($(A))", "$($(A))"),
            ("ü$(A)ü", "ü1ü"),
        ] {
            assert_eq!(expand(text, lookup), expanded, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn text_without_dollars_is_kept(text in "[^$]{0,60}") {
            prop_assert_eq!(expand(&text, lookup), text);
        }

        #[test]
        fn escaped_text_comes_back(text in "[$()AB]{0,40}") {
            prop_assert_eq!(expand(&text.replace('$', "$$"), lookup), text);
        }
    }
}
