use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Flag, MAX_INDEX, MAX_NESTING, Path, SetError, Step, apply, assignments, merge, parse, put};

fn parsed(text: &str) -> Value {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn the_example_of_the_manual() {
    let text = "modules.metaManager.enable=true,modules.metaManager.metaServer.enable=true,\
                modules.metaManager.remoteQueryTimeout=32";
    let expected = json!({"modules": {"metaManager": {
        "enable": true, "metaServer": {"enable": true}, "remoteQueryTimeout": 32,
    }}});
    assert_eq!(parsed(text), expected);
}

#[test]
fn values_have_the_types_of_helm() {
    for (text, value) in [
        ("true", json!(true)),
        ("FALSE", json!(false)),
        ("null", json!(null)),
        ("0", json!(0)),
        ("-12", json!(-12)),
        ("9223372036854775807", json!(i64::MAX)),
        ("9223372036854775808", json!("9223372036854775808")),
        ("007", json!("007")),
        ("0x10", json!("0x10")),
        ("0.5", json!("0.5")),
        ("2m0s", json!("2m0s")),
        ("", json!("")),
        (" spaces count ", json!(" spaces count ")),
        (" 1", json!(" 1")),
        ("a=b", json!("a=b")),
        ("a.b[0]", json!("a.b[0]")),
        ("ä→", json!("ä→")),
    ] {
        assert_eq!(parsed(&format!("key={text}")), json!({ "key": value }), "{text:?}");
    }
}

#[test]
fn paths_lead_through_maps_and_lists() {
    assert_eq!(parsed("a.b.c=1"), json!({"a": {"b": {"c": 1}}}));
    assert_eq!(parsed("a[0].b=x"), json!({"a": [{"b": "x"}]}));
    assert_eq!(parsed("a[0][1]=x"), json!({"a": [[null, "x"]]}));
    assert_eq!(parsed("a[2]=x"), json!({"a": [null, null, "x"]}));
    assert_eq!(parsed("a[1]=y,a[0]=x"), json!({"a": ["x", "y"]}));
    assert_eq!(parsed("a[1].b=1,a[0].b=2,a[1].c=3"), json!({"a": [{"b": 2}, {"b": 1, "c": 3}]}));
    assert_eq!(parsed(" a =1"), json!({" a ": 1}));
}

#[test]
fn a_backslash_makes_the_next_character_ordinary() {
    assert_eq!(parsed(r"node\.role=edge"), json!({"node.role": "edge"}));
    assert_eq!(parsed(r"a\=b=1"), json!({"a=b": 1}));
    assert_eq!(parsed(r"a\[0\]=1"), json!({"a[0]": 1}));
    assert_eq!(parsed(r"a=1\,2,b=3"), json!({"a": "1,2", "b": 3}));
    assert_eq!(parsed(r"a=\{1}"), json!({"a": "{1}"}));
    assert_eq!(parsed(r"a={1\,2,3\}}"), json!({"a": ["1,2", "3}"]}));
    assert_eq!(parsed(r"a=\\"), json!({"a": r"\"}));
    assert_eq!(parsed("a=b\\"), json!({"a": "b"}));
}

#[test]
fn lists_type_each_item_and_end_at_the_brace() {
    assert_eq!(parsed("a={b,1,true,null}"), json!({"a": ["b", 1, true, null]}));
    assert_eq!(parsed("a={}"), json!({"a": [""]}));
    assert_eq!(parsed("a={1},b=2"), json!({"a": [1], "b": 2}));
    assert_eq!(parsed("a={1}b=2"), json!({"a": [1], "b": 2}));
    assert_eq!(parsed("a[1]={x}"), json!({"a": [null, ["x"]]}));
    assert_eq!(refused("a={1,2"), r#"the list of "a" must terminate with '}'"#);
    // Braces do not nest: the list ends at the first one, and `}` begins a key that has no value.
    assert_eq!(refused("a={{1}}"), r#"key "}" has no value"#);
}

#[test]
fn nothing_and_commas_at_the_end() {
    assert_eq!(parsed(""), json!({}));
    assert_eq!(parsed("a=1,"), json!({"a": 1}));
    assert_eq!(parsed("a=,b=1"), json!({"a": "", "b": 1}));
}

#[test]
fn what_is_refused_is_named() {
    for (text, message) in [
        ("a", r#"key "a" has no value"#),
        ("a=1,b", r#"key "b" has no value"#),
        ("a.b", r#"key "a.b" has no value"#),
        ("a[0]", r#"key "a[0]" has no value"#),
        ("a,", r#"key "a" has no value (cannot end with ,)"#),
        ("a,b=1", r#"key "a" has no value (cannot end with ,)"#),
        ("a=1,,b=1", r#"key "" has no value (cannot end with ,)"#),
        ("a.=1", r#"key map "a" has no value"#),
        ("a..b=1", r#"key map "a" has no value"#),
        ("=1", "a value has no key"),
        ("a[1=1", r#"the index after "a" has no ']'"#),
        ("a[-1]=1", r#""-1" after "a" is not an index: a number from 0 to 65536"#),
        ("a[x]=1", r#""x" after "a" is not an index: a number from 0 to 65536"#),
        ("a[]=1", r#""" after "a" is not an index: a number from 0 to 65536"#),
        ("a[0]b=1", r#"unexpected data at end of array index "a[0]": "b""#),
        ("a[0],b=1", r#"unexpected data at end of array index "a[0]": ",b""#),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn one_set_cannot_give_a_key_two_kinds() {
    for text in ["a=1,a.b=2", "a.b=1,a[0]=2", "a[0]=1,a.b=2", "a[0]=1,a[0].b=2", "a={1},a.b=2"] {
        assert!(matches!(parse(text), Err(SetError::Conflict(_))), "{text}");
    }
    // Replacing as a whole is no conflict, and null has no kind.
    assert_eq!(parsed("a.b=1,a=2"), json!({"a": 2}));
    assert_eq!(parsed("a=null,a.b=2"), json!({"a": {"b": 2}}));
}

#[test]
fn indexes_nesting_and_growth_are_limited() {
    let list = parsed(&format!("a[{MAX_INDEX}]=x"));
    assert_eq!(list["a"].as_array().map(Vec::len), Some(MAX_INDEX + 1));
    assert!(matches!(parse(&format!("a[{}]=x", MAX_INDEX + 1)), Err(SetError::NotAnIndex { .. })));

    let nested = |dots: usize| format!("{}a=1", "a.".repeat(dots));
    parse(&nested(MAX_NESTING)).unwrap();
    assert!(matches!(parse(&nested(MAX_NESTING + 1)), Err(SetError::TooDeep(_))));
    let indexed = |indexes: usize| format!("a{}=1", "[0]".repeat(indexes));
    parse(&indexed(MAX_NESTING)).unwrap();
    assert!(matches!(parse(&indexed(MAX_NESTING + 1)), Err(SetError::TooDeep(_))));

    let sparse: Vec<String> = (0..5).map(|key| format!("k{key}[{MAX_INDEX}]=x")).collect();
    assert!(matches!(parse(&sparse.join(",")), Err(SetError::TooLong(_))));
}

#[test]
fn what_is_set_goes_over_what_was_there_and_leaves_the_rest() {
    let mut config = json!({"hub": {"enable": true, "server": "a:1"}, "list": [1, 2, 3], "empty": {"x": 1}});
    let sets = ["hub.server=b:2,list[1]=x", "hub.server=c:3", "empty=null", "new.key=1"].map(String::from);
    apply(&mut config, &sets).unwrap();
    let expected = json!({
        "hub": {"enable": true, "server": "c:3"}, "list": [1, "x", 3], "empty": null, "new": {"key": 1},
    });
    assert_eq!(config, expected);
}

#[test]
fn a_key_in_another_case_is_another_key() {
    let mut config = json!({"metaManager": {"enable": false}});
    apply(&mut config, &["metamanager.enable=true".to_owned()]).unwrap();
    assert_eq!(config, json!({"metaManager": {"enable": false}, "metamanager": {"enable": true}}));
}

#[test]
fn the_set_that_is_wrong_is_named() {
    let sets = ["a=1".to_owned(), "b".to_owned()];
    let (set, error) = apply(&mut json!({}), &sets).unwrap_err();
    assert_eq!((set, error), ("b", SetError::NoValue("b".into())));
}

/// Backslashes before everything that means something in a key or a value.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if r",.=[]{}\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // A first character that no other type begins with.
        r#"[ü"][ -~]{0,8}"#.prop_map(Value::from),
    ]
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), escaped)
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,80}") {
        drop(parse(&text));
    }

    #[test]
    fn no_text_of_special_characters_makes_it_panic(text in r"[ab0-9,.=\[\]{}\\]{0,60}") {
        drop(parse(&text));
    }

    #[test]
    fn what_is_written_with_escapes_comes_back(
        keys in prop::collection::vec("[ -~]{1,6}", 1..5),
        value in scalars(),
    ) {
        let path: Vec<String> = keys.iter().map(|key| escaped(key)).collect();
        let expected = keys.iter().rev().fold(value.clone(), |inner, key| json!({ key: inner }));
        prop_assert_eq!(parse(&format!("{}={}", path.join("."), written(&value))), Ok(expected));
    }

    #[test]
    fn lists_come_back(items in prop::collection::vec(scalars(), 1..6)) {
        let text: Vec<String> = items.iter().map(written).collect();
        prop_assert_eq!(parse(&format!("a={{{}}}", text.join(","))), Ok(json!({ "a": items })));
    }

    /// What a text says of a tree of its own, it says of one that is there: nothing else of it changes.
    #[test]
    fn only_what_is_named_changes(index in 0..4_usize, value in scalars()) {
        let before = json!({"list": ["a", "b", "c"], "other": {"x": 1}});
        let mut after = before.clone();
        apply(&mut after, &[format!("list[{index}]={}", written(&value))]).map_err(|(_, error)| error)?;
        prop_assert_eq!(&after["other"], &before["other"]);
        for at in (0..3).filter(|at| *at != index) {
            prop_assert_eq!(&after["list"][at], &before["list"][at]);
        }
        prop_assert_eq!(&after["list"][index], &value);
    }

    #[test]
    fn no_flag_panics_and_what_it_takes_can_be_put(text in r#"[ab0-9,.=\[\]{}\\" :]{0,40}"#) {
        let read = |file: &str| Ok(file.to_owned());
        for flag in [Flag::Typed, Flag::Text, Flag::File(&read), Flag::Json, Flag::Literal] {
            if let Ok(parts) = assignments(&text, flag) {
                put(&mut json!({"a": [1, {"b": 2}]}), parts)?;
            }
        }
    }

    #[test]
    fn json_comes_back(keys in prop::collection::vec("[a-z]{1,4}", 1..4), items in prop::collection::vec(scalars(), 0..4)) {
        let text = format!("{}={},z=1", keys.join("."), Value::from(items.clone()));
        let parts = assignments(&text, Flag::Json)?;
        prop_assert_eq!(&parts[0].value, &Value::from(items));
        let path = Path(keys.into_iter().map(Step::Key).collect());
        prop_assert_eq!(&parts[0].path, &path);
    }

    #[test]
    fn a_literal_is_what_stands_behind_the_first_equals_sign(value in ".{0,40}") {
        let parts = assignments(&format!("a.b={value}"), Flag::Literal)?;
        prop_assert_eq!(&parts[0].value, &Value::from(value));
    }

    #[test]
    fn merging_the_same_again_changes_nothing(text in r"[a-c]{1}(\.[a-c]){0,3}=[0-9]{1}(,[a-c](\.[a-c]){0,3}=1){0,3}") {
        if let Ok(over) = parse(&text) {
            let mut once = json!({"a": {"b": 1, "c": {"a": 2}}});
            merge(&mut once, over.clone());
            let mut twice = once.clone();
            merge(&mut twice, over);
            prop_assert_eq!(once, twice);
        }
    }
}
