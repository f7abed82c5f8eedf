//! Configuration files as keadm makes them: what it knows, with `--set` over it, read again as strictly as the daemon
//! will.

use anyhow::anyhow;
use chassis::config::{Problems, parse_str, to_yaml};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::hint::WithHint as _;
use crate::host::{Look, System};
use crate::values::{Target, Values};

/// Puts each `--set` over `base`: [`with_values`].
///
/// # Errors
/// As [`with_values`].
pub fn with_sets<T, F>(base: &T, sets: &[String], check: F) -> anyhow::Result<T>
where
    T: Serialize + DeserializeOwned + Clone,
    F: FnOnce(&mut T) -> Vec<(String, String)>,
{
    with_values(base, &Values::sets(sets), &System, check)
}

/// Puts values over `base`; null is the default. `check` may fill in what the daemon finds out itself, and names what makes no
/// sense.
///
/// # Errors
/// Values that cannot be read; else everything that is wrong with the result, unknown keys with the nearest known one.
pub fn with_values<T, F>(base: &T, values: &Values, look: &dyn Look, check: F) -> anyhow::Result<T>
where
    T: Serialize + DeserializeOwned + Clone,
    F: FnOnce(&mut T) -> Vec<(String, String)>,
{
    let mut tree = serde_json::to_value(base)?;
    values.put_over(&mut tree, look, Target::Configuration)?;
    let config: T = parse_str(&to_yaml(&tree)?).map_err(invalid).usage(correct)?;
    let problems: Problems = check(&mut config.clone()).into_iter().collect();
    if problems.0.is_empty() { Ok(config) } else { Err(invalid(problems)).usage(correct) }
}

fn invalid(problems: Problems) -> anyhow::Error {
    anyhow!("the configuration would not be valid:\n{problems}")
}

fn correct() -> String {
    "correct the flags, or the --set that gives this key".to_owned()
}

/// What a configuration says that the defaults do not, as `path: value` in the order of the paths. Tokens are not
/// shown.
///
/// # Errors
/// When it cannot be written.
pub fn differences<T: Serialize + Default>(config: &T) -> anyhow::Result<Vec<String>> {
    changes(&T::default(), config)
}

/// What `after` says and `before` does not, in the same form.
///
/// # Errors
/// When one of them cannot be written.
pub fn changes<T: Serialize>(before: &T, after: &T) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    collect("", &serde_json::to_value(after)?, &serde_json::to_value(before)?, &mut lines);
    Ok(lines)
}

fn collect(path: &str, value: &Value, default: &Value, lines: &mut Vec<String>) {
    match (value, default) {
        _ if value == default => {}
        (Value::Object(values), Value::Object(defaults)) => {
            for (key, value) in values {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(&path, value, defaults.get(key).unwrap_or(&Value::Null), lines);
            }
        }
        _ if path.ends_with(".token") => lines.push(format!("{path}: (not shown)")),
        (Value::String(text), _) => lines.push(format!("{path}: {text}")),
        _ => lines.push(format!("{path}: {value}")),
    }
}

#[cfg(test)]
mod tests {
    use proto::config::edgecore::EdgeCore;

    use super::*;
    use crate::hint;

    fn set(sets: &[&str]) -> anyhow::Result<EdgeCore> {
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        with_sets(&EdgeCore::default(), &sets, |config| config.validate())
    }

    #[test]
    fn what_is_set_is_what_differs() {
        let config = set(&[
            "modules.edgeHub.heartbeat=30,modules.edged.hostnameOverride=007",
            r"modules.edged.nodeLabels.node\.role=edge,modules.edgeHub.token=secret",
        ])
        .unwrap();
        let expected = [
            "modules.edgeHub.heartbeat: 30",
            "modules.edgeHub.token: (not shown)",
            "modules.edged.hostnameOverride: 007",
            r#"modules.edged.nodeLabels: {"node.role":"edge"}"#,
        ];
        let mut found = differences(&config).unwrap();
        found.sort();
        // A map that is empty by default is compared key by key like any other.
        let labels = found.iter().position(|line| line.starts_with("modules.edged.nodeLabels")).unwrap();
        assert_eq!(found[labels], "modules.edged.nodeLabels.node.role: edge");
        assert_eq!(found[..labels], expected[..labels]);
        assert_eq!(differences(&EdgeCore::default()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn every_unknown_key_is_listed_with_its_nearest_name() {
        let error = set(&["modules.edgeHub.hartbeat=1,modules.metamanager.enable=true"]).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("modules.edgeHub.hartbeat: unknown key, did you mean heartbeat?"), "{text}");
        assert!(text.contains("modules.metamanager: unknown key, did you mean metaManager?"), "{text}");
        assert!(hint::is_usage(&error) && hint::of(&error).is_some());
    }

    #[test]
    fn values_that_make_no_sense_are_refused_with_their_path() {
        for (set_, part) in [
            ("modules.edgeHub.heartbeat=soon", "modules.edgeHub.heartbeat"),
            ("modules.edged.tailoredKubeletConfig.cgroupDriver=docker", "cgroupDriver"),
            ("modules.edgeHub", "has no value"),
        ] {
            let error = set(&[set_]).expect_err(set_);
            assert!(format!("{error:#}").contains(part), "{error:#}");
            assert!(hint::is_usage(&error), "{set_}");
        }
    }
}
