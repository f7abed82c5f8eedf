use proptest::prelude::*;

use super::*;

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

#[test]
fn a_path_matches_what_begins_with_it() {
    for (rule, path, rest) in [
        ("/", "/a/b/c", Some("a/b/c")),
        ("/a", "/a/b/c", Some("b/c")),
        ("/a/", "a/b/c/", Some("b/c/")),
        ("a/b/c", "/a/b/c", Some("")),
        ("/a/{x}", "/a/b/c", Some("c")),
        ("/a/{x}/{y}", "/a/b/c", Some("")),
        ("/a/b/d", "/a/b/c", None),
        ("/a", "/abc", None),
        ("/a", "/x/a", None),
        ("/a/{x}", "/a/", None),
        ("/a/{x}", "/a", None),
    ] {
        let rule = template(rule);
        assert_eq!(rule.matches(path).map(|matched| matched.rest).as_deref(), rest, "{rule:?} {path}");
    }
    assert_eq!(
        template("/{x}/b/{y}").matches("/1/b/2").unwrap().variables,
        BTreeMap::from([("x", "1"), ("y", "2")])
    );
}

#[test]
fn what_is_no_path_is_refused() {
    for wrong in ["/a/{}", "/a{x}", "/{a}b", "/{a{b}}", "/a?b", "/a/../b", "/a/%2e%2e", "/{a}/./c"] {
        assert!(Template::parse(wrong).is_err(), "{wrong}");
    }
    assert!(Template::parse(&"/a".repeat(MAX_SEGMENTS + 1)).is_err());
}

#[test]
fn the_most_specific_says_more() {
    let order = ["/", "/{x}", "/{x}/b", "/a", "/a/{x}", "/a/{x}/c", "/a/b", "/a/b/{y}", "/a/b/c"];
    for (at, less) in order.iter().enumerate() {
        for more in &order[at + 1..] {
            assert_eq!(template(more).specificity(&template(less)), Ordering::Greater, "{more} {less}");
            assert_eq!(template(less).specificity(&template(more)), Ordering::Less, "{more} {less}");
        }
    }
}

#[test]
fn topics_stay_below_their_namespace() {
    assert_eq!(topic_of("default", "/a//b/").as_deref(), Ok("default/a/b"));
    assert_eq!(topic_of("default", "a/+/c/#").as_deref(), Ok("default/a/+/c/#"));
    for wrong in ["", "/", "../x", "a/../../b", "a/#/b", "a+", "a\0"] {
        assert!(topic_of("default", wrong).is_err(), "{wrong:?}");
    }
    assert!(is_of("default/a/+", "default/a/b") && !is_of("default/a/+", "default/a/b/c"));
    assert!(is_of("default/#", "default") && !is_of("default/a", "default/b"));
}

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[ab]", 1 => "\\{[xyz]\\}"]
}

fn rule() -> impl Strategy<Value = String> {
    prop::collection::vec(segment(), 0..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

proptest! {
    #[test]
    fn any_text_is_a_path_or_is_not(text in ".{0,40}", path in ".{0,40}") {
        if let Ok(template) = Template::parse(&text) {
            template.matches(&path);
        }
    }

    /// What matched, filled in and with its rest, is the request again.
    #[test]
    fn nothing_of_a_request_is_lost(rule in rule(), path in "(/[abc]){0,7}") {
        // A name that stands twice keeps only its last value.
        let rule = template(&rule);
        let mut names = rule.names();
        names.sort_unstable();
        names.dedup();
        prop_assume!(names.len() == rule.names().len());
        if let Some(Matched { variables, rest }) = rule.matches(&path) {
            let whole = [rule.filled(&variables), rest];
            let whole: Vec<&str> = whole.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
            prop_assert_eq!(whole.join("/"), path.trim_matches('/'));
        }
    }

    /// One path says more than another or they say the same, whoever is asked first; and with three of them it is an order.
    #[test]
    fn saying_more_is_an_order(a in rule(), b in rule(), c in rule()) {
        let (a, b, c) = (template(&a), template(&b), template(&c));
        prop_assert_eq!(a.specificity(&b), b.specificity(&a).reverse());
        if a.specificity(&b).is_ge() && b.specificity(&c).is_ge() {
            prop_assert!(a.specificity(&c).is_ge());
        }
    }

    /// Of two that match, the one that matches fewer requests says more.
    #[test]
    fn what_contains_another_says_less(rule in rule(), more in segment(), path in "(/[ab]){0,6}") {
        let shorter = template(&rule);
        let longer = template(&format!("{rule}/{more}"));
        prop_assert_eq!(longer.specificity(&shorter), Ordering::Greater);
        if longer.matches(&path).is_some() {
            prop_assert!(shorter.matches(&path).is_some());
        }
    }
}
