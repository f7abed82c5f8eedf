use std::collections::BTreeMap;
use std::io::Write as _;

use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use serde::Deserialize;

use super::*;

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Config {
    modules: Modules,
    format: Format,
    labels: BTreeMap<String, String>,
    taints: Vec<Taint>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Modules {
    edge_hub: EdgeHub,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct EdgeHub {
    enable: bool,
    heartbeat: u16,
    server: String,
    ratio: f64,
    token: Option<String>,
}

impl Default for EdgeHub {
    fn default() -> Self {
        Self { enable: true, heartbeat: 15, server: "cloud:10000".into(), ratio: 0.5, token: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taint {
    key: String,
    effect: String,
    #[serde(default)]
    seconds: Option<i64>,
}

fn read(yaml: &str) -> Config {
    parse_str(yaml).unwrap_or_else(|problems| panic!("{problems}"))
}

fn problems(yaml: &str) -> Vec<String> {
    parse_str::<Config>(yaml).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_not_said_has_its_default() {
    for yaml in [
        "",
        "---\n",
        "{}",
        "# only a comment\n",
        "modules:\n  edgeHub:\n",
        "modules: {edgeHub: {heartbeat: }}",
    ] {
        assert_eq!(read(yaml), Config::default(), "{yaml:?}");
    }
}

#[test]
fn what_is_said_counts() {
    let config = read(
        "modules:\n  edgeHub: {enable: false, heartbeat: 30, ratio: 1, token: abc}\n\
         format: json\nlabels: {a: b}\ntaints:\n- {key: k, effect: NoExecute, seconds: 5}\n",
    );
    assert_eq!(
        config.modules.edge_hub,
        EdgeHub { enable: false, heartbeat: 30, ratio: 1.0, token: Some("abc".into()), ..EdgeHub::default() }
    );
    assert_eq!(config.format, Format::Json);
    assert_eq!(config.labels["a"], "b");
    assert_eq!(config.taints, [Taint { key: "k".into(), effect: "NoExecute".into(), seconds: Some(5) }]);
}

#[test]
fn scalars_are_read_as_kubeedge_reads_them() {
    let config = read("modules: {edgeHub: {enable: no, server: 17}}\nlabels: {zone: 1.5, on: true}");
    assert!(!config.modules.edge_hub.enable);
    assert_eq!(config.modules.edge_hub.server, "17");
    assert_eq!(config.labels["zone"], "1.5");
    assert_eq!(config.labels["on"], "true");
}

#[test]
fn everything_that_is_wrong_is_reported_at_once_with_its_path() {
    let yaml = "\
modules:
  edgeHub:
    hartbeat: 15
    heartbeat: x
    enable: 3
    server: [a]
    ratio: much
  edgehub: {}
format: xml
labels: [1]
taints:
- {key: a}
- {key: b, effect: NoSchedule}
- {key: c, effect: [], seconds: 1.5}
- 7
wholly: unlike
";
    assert_eq!(
        problems(yaml),
        [
            "modules.edgeHub.hartbeat: unknown key, did you mean heartbeat?",
            "modules.edgeHub.heartbeat: expected integer, found string \"x\"",
            "modules.edgeHub.enable: expected boolean, found number 3",
            "modules.edgeHub.server: expected string, found a list",
            "modules.edgeHub.ratio: expected number, found string \"much\"",
            "modules.edgehub: unknown key, did you mean edgeHub?",
            "format: expected one of text, json, found \"xml\"",
            "labels: expected a section, found a list",
            "taints[0]: effect is missing",
            "taints[2].effect: expected string, found a list",
            "taints[2].seconds: expected integer, found number 1.5",
            "taints[3]: expected a section, found number 7",
            "wholly: unknown key, known here: modules, format, labels, taints",
        ]
    );
}

#[test]
fn an_unknown_key_is_a_problem_even_when_it_is_empty() {
    assert_eq!(problems("modul:"), ["modul: unknown key, did you mean modules?"]);
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    for number in ["70000", "-1", "99999999999999999999"] {
        let found = problems(&format!("modules: {{edgeHub: {{heartbeat: {number}}}}}"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("modules.edgeHub.heartbeat: "), "{found:?}");
    }
}

#[test]
fn what_is_no_yaml_has_one_problem_that_says_where_and_quotes_nothing() {
    for yaml in ["a: [", "modules: {}\nmodules: {}", "a: b: c", "token: secret\n- x", "token: \"secret\n"] {
        let found = problems(yaml);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("not valid YAML: ") && found[0].contains("line"), "{found:?}");
        assert!(!found[0].contains("secret"), "{found:?}");
    }
    assert_eq!(problems("just text"), ["expected a section, found string \"just text\""]);
}

#[test]
fn a_file_is_named_in_its_error() {
    let missing = load_file::<Config>(Path::new("/nonexistent/edgecore.yaml")).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read /nonexistent/edgecore.yaml");

    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"format: json").unwrap();
    assert_eq!(load_file::<Config>(file.path()).unwrap().format, Format::Json);
    file.write_all(b"\nmodul: 1").unwrap();
    let invalid = load_file::<Config>(file.path()).unwrap_err().to_string();
    assert!(
        invalid.contains(&file.path().display().to_string()) && invalid.contains("\nmodul: unknown key"),
        "{invalid}"
    );

    file.as_file().set_len(MAX_FILE + 1).unwrap();
    assert!(matches!(load_file::<Config>(file.path()), Err(ConfigError::Unreadable { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn no_text_makes_it_panic_and_every_problem_says_something(yaml in "[a-z:{}\\[\\]\\-\n #&*!|>'\"0-9]{0,60}", noise in any::<String>()) {
        for text in [&yaml, &noise, &format!("modules:\n  {yaml}"), &format!("modules: {{edgeHub: {{heartbeat: {yaml}}}}}")] {
            if let Err(problems) = parse_str::<Config>(text) {
                prop_assert!(!problems.0.is_empty());
                prop_assert!(problems.0.iter().all(|problem| !problem.message.is_empty()));
            }
        }
    }
}
