use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::host::Facts;

/// The grammar of the `--set` family.
const CASES: &str = include_str!("../strvals/cases.txt");
/// Fewer would mean that the table is not read.
const AT_LEAST: usize = 150;

/// One line of the table.
#[derive(Debug)]
struct Case {
    base: Value,
    values: Values,
    machine: Facts,
    expected: Result<Value, String>,
}

/// Files that `--set-file` finds; those of `--values` come with their case.
fn machine() -> Facts {
    let files = [("hello", "hello"), ("two", "one\ntwo\n"), ("num", "42"), ("a,b", "comma"), ("empty", "")];
    let files = files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
    Facts { files: files.collect(), ..Facts::default() }
}

fn case(line: &str) -> Case {
    let (flags, expected) = line.split_once("` => ").expect("` => ");
    let expected = match expected.strip_prefix("error: ") {
        Some(message) => Err(message.to_owned()),
        None => Ok(serde_json::from_str(expected).expect(line)),
    };
    let mut case = Case { base: json!({}), values: Values::default(), machine: machine(), expected };
    let mut pieces = flags.split('`');
    while let Some(flag) = pieces.next() {
        let text = pieces.next().expect("text in ``").to_owned();
        match flag.trim() {
            "over" => case.base = serde_json::from_str(&text).expect(line),
            "set" => case.values.set.push(text),
            "set-string" => case.values.string.push(text),
            "set-file" => case.values.file.push(text),
            "set-json" => case.values.json.push(text),
            "set-literal" => case.values.literal.push(text),
            "values" => {
                let path = PathBuf::from(format!("values-{}", case.values.files.len()));
                case.machine.files.insert(path.clone(), text.replace('~', "\n"));
                case.values.files.push(path);
            }
            other => panic!("{other:?} is no flag: {line}"),
        }
    }
    case
}

#[test]
fn every_line_of_the_table_holds() {
    let mut wrong = String::new();
    let lines = CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let count = lines.clone().count();
    for line in lines {
        let Case { mut base, values, machine, expected } = case(line);
        let found = values.put_over(&mut base, &machine, Target::Chart);
        let found = found.map(|()| base).map_err(|error| format!("{error:#}"));
        let holds = match (&found, &expected) {
            (Ok(found), Ok(expected)) => found == expected,
            // The message begins with the flag and its text.
            (Err(found), Err(expected)) => found.ends_with(&format!(": {expected}")),
            _ => false,
        };
        if !holds {
            writeln!(wrong, "{line}\n    found {found:?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(count >= AT_LEAST, "{count} lines");
}

fn configured(base: Value, set: &str) -> Value {
    let mut tree = base;
    Values::sets(&[set.to_owned()]).put_over(&mut tree, &machine(), Target::Configuration).expect(set);
    tree
}

#[test]
fn what_1_18_wrote_is_understood_where_helm_has_no_place_for_it() {
    let base = || json!({"featureGates": {}, "hub": {"server": "", "count": 1, "factor": 0.5, "on": false}, "list": []});
    let over = |change: Value| {
        let mut tree = base();
        strvals::merge(&mut tree, change);
        tree
    };
    for (set, change) in [
        (
            "featureGates={early:true,newFeature:false}",
            json!({"featureGates": {"early": true, "newFeature": false}}),
        ),
        (r#"featureGates={"early":true}"#, json!({"featureGates": {"early": true}})),
        (r#"hub.server="a,b""#, json!({"hub": {"server": "a,b"}})),
        (r#"hub.server="a{b}",hub.count=2"#, json!({"hub": {"server": "a{b}", "count": 2}})),
        (r#"list={"a,b","c"}"#, json!({"list": ["a,b", "c"]})),
        ("hub.count=2, hub.on=true", json!({"hub": {"count": 2, "on": true}})),
        ("hub.server = x , hub.count = 3 ", json!({"hub": {"server": "x", "count": 3}})),
        ("Hub.Server=x", json!({"hub": {"server": "x"}})),
        ("FeatureGates.x=true", json!({"featureGates": {"x": true}})),
        ("hub.factor=0.25", json!({"hub": {"factor": 0.25}})),
        ("hub.on=T", json!({"hub": {"on": true}})),
        // As in Helm.
        ("list={a:b}", json!({"list": ["a:b"]})),
        ("hub.server=a b", json!({"hub": {"server": "a b"}})),
        ("hub.server= a ", json!({"hub": {"server": " a "}})),
        ("hub.server=0.5", json!({"hub": {"server": "0.5"}})),
        (r#"hub.server=say "hi""#, json!({"hub": {"server": r#"say "hi""#}})),
        (r#"hub.server="a" b"#, json!({"hub": {"server": r#""a" b"#}})),
        (r#"hub.server=\"a\""#, json!({"hub": {"server": r#""a""#}})),
        ("hub.factor=x", json!({"hub": {"factor": "x"}})),
        ("hubs.server=x", json!({"hubs": {"server": "x"}})),
    ] {
        assert_eq!(configured(base(), set), over(change), "{set}");
    }
}

#[test]
fn the_same_text_for_a_chart_is_read_as_helm_reads_it() {
    let mut tree = json!({"gates": {}});
    Values::sets(&["gates={early:true}".to_owned()]).put_over(&mut tree, &machine(), Target::Chart).unwrap();
    assert_eq!(tree, json!({"gates": ["early:true"]}));
}

#[test]
fn files_that_are_no_values_are_named_and_not_quoted() {
    let mut machine = machine();
    machine.files.insert("list".into(), "- secret\n".into());
    machine.files.insert("broken".into(), "token: [secret\n".into());
    for (file, part) in [("list", "not a map"), ("broken", "not valid YAML"), ("nowhere", "is not there")] {
        let values = Values { files: vec![file.into()], ..Values::default() };
        let error = values.put_over(&mut json!({}), &machine, Target::Chart).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(part) && text.contains(file) && !text.contains("secret"), "{text}");
        assert!(crate::hint::is_usage(&error), "{file}");
    }
}

/// `join --cgroupdriver systemd --set-json modules.edged.tailoredKubeletConfig={...}` gave a node whose pods could not start: the flag's
/// driver was gone.
#[test]
fn a_section_that_is_set_as_a_whole_leaves_what_it_does_not_name() {
    let mut tree = json!({"kubelet": {"driver": "systemd", "limits": {"a": 1}, "list": [1, 2]}});
    let json = r#"kubelet={"count": 5, "limits": {"b": 2}, "list": [3]}"#;
    let values = Values { json: vec![json.to_owned()], ..Values::default() };
    values.put_over(&mut tree, &machine(), Target::Configuration).unwrap();
    let expected =
        json!({"kubelet": {"driver": "systemd", "count": 5, "limits": {"a": 1, "b": 2}, "list": [3]}});
    assert_eq!(tree, expected);
}
