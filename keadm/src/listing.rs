//! Objects of a node as tables, as JSON and as YAML: what `ctl get` and `debug get` have in common.

use apiserver::selector::LabelSelector;
use apiserver::table::{IncludeObject, Printer as Columns, builtin_columns};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::args::{ListFormat, Which};
use crate::hint::WithHint as _;
use crate::printer::Printer;

/// Blanks between two columns, as kubectl has them.
const GAP: usize = 3;

/// Those of `objects` that are meant, sorted by namespace and name.
///
/// # Errors
/// A selector that cannot be read, or a name that none of them has.
pub fn chosen(mut objects: Vec<Value>, which: &Which, what: &str) -> anyhow::Result<Vec<Value>> {
    let selector = LabelSelector::parse(which.selector.as_deref().unwrap_or_default());
    let selector = selector.usage(|| "write for example -l 'app=web,tier in (a,b)'".to_owned())?;
    objects.retain(|object| {
        let metadata = &object["metadata"];
        let is_there = which.all_namespaces
            || metadata["namespace"].as_str().is_none_or(|namespace| namespace == which.namespace);
        let is_named =
            which.names.is_empty() || which.names.iter().any(|name| metadata["name"] == name.as_str());
        is_there && is_named && selector.matches(object)
    });
    let missing = which
        .names
        .iter()
        .find(|name| objects.iter().all(|object| object["metadata"]["name"] != name.as_str()));
    if let Some(missing) = missing {
        return Err(anyhow::anyhow!("{what} {missing:?} is not on this node")).hint(|| {
            format!("`keadm ctl get {what} -A` lists what is; -n gives the namespace, -l the labels")
        });
    }
    let key = |object: &Value| {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        (text("namespace"), text("name"))
    };
    objects.sort_by_key(key);
    Ok(objects)
}

/// Prints objects of one kind.
///
/// # Errors
/// When they cannot be written.
pub fn print(
    objects: &[Value],
    group: &str,
    kind: &str,
    format: ListFormat,
    all: bool,
    printer: &Printer,
) -> anyhow::Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects});
    printer.data(&list, || {
        if objects.is_empty() {
            return "No resources found.".to_owned();
        }
        table(objects, group, kind, format == ListFormat::Wide, all, Timestamp::now())
    })
}

/// A table with kubectl's columns; with the namespace in front where there may be several.
#[must_use]
pub fn table(objects: &[Value], group: &str, kind: &str, is_wide: bool, all: bool, now: Timestamp) -> String {
    let columns = builtin_columns(group, kind);
    let columns = Columns::new(&columns);
    let definitions = columns.definitions();
    let shown: Vec<bool> = definitions
        .as_array()
        .into_iter()
        .flatten()
        .map(|definition| is_wide || definition["priority"].as_i64().unwrap_or_default() == 0)
        .collect();
    let heading = definitions
        .as_array()
        .into_iter()
        .flatten()
        .map(|definition| definition["name"].as_str().unwrap_or_default().to_uppercase());
    let mut rows = vec![row(all.then_some("NAMESPACE"), heading, &shown)];
    for object in objects {
        let found = columns.row(object, IncludeObject::None, now);
        let cells = found["cells"].as_array().into_iter().flatten().map(cell);
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        rows.push(row(all.then_some(namespace), cells, &shown));
    }
    aligned(&rows)
}

fn row(namespace: Option<&str>, cells: impl Iterator<Item = String>, shown: &[bool]) -> Vec<String> {
    let cells = cells.zip(shown).filter(|(_, shown)| **shown).map(|(cell, _)| cell);
    namespace.map(str::to_owned).into_iter().chain(cells).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "<none>".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Columns below each other; nothing after the last one.
#[must_use]
pub fn aligned(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|at| width(at).unwrap_or_default() + GAP).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<String>().trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str, name: &str, app: &str) -> Value {
        json!({
            "metadata": {"namespace": namespace, "name": name, "labels": {"app": app}, "creationTimestamp": "2026-11-28T08:00:00Z"},
            "spec": {"containers": [{"name": "c"}], "nodeName": "edge-1"},
            "status": {"phase": "Running", "podIP": "10.0.0.7", "containerStatuses": [
                {"name": "c", "ready": true, "restartCount": 2, "state": {"running": {}}}]},
        })
    }

    fn which(names: &[&str], namespace: &str) -> Which {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Which { names, namespace: namespace.to_owned(), selector: None, all_namespaces: false }
    }

    fn names(objects: &[Value]) -> Vec<&str> {
        objects.iter().filter_map(|object| object["metadata"]["name"].as_str()).collect()
    }

    #[test]
    fn what_is_meant_is_chosen_by_namespace_name_and_labels() {
        let all =
            || vec![pod("default", "web", "web"), pod("default", "api", "api"), pod("other", "db", "db")];
        assert_eq!(names(&chosen(all(), &which(&[], "default"), "pod").unwrap()), ["api", "web"]);
        assert_eq!(names(&chosen(all(), &which(&["web"], "default"), "pod").unwrap()), ["web"]);
        let mut everywhere = which(&[], "default");
        everywhere.all_namespaces = true;
        assert_eq!(names(&chosen(all(), &everywhere, "pod").unwrap()), ["api", "web", "db"]);
        everywhere.selector = Some("app notin (web)".into());
        assert_eq!(names(&chosen(all(), &everywhere, "pod").unwrap()), ["api", "db"]);
        let missing = chosen(all(), &which(&["db"], "default"), "pod").unwrap_err();
        assert_eq!(missing.to_string(), r#"pod "db" is not on this node"#);
        everywhere.selector = Some("app in (".into());
        assert!(crate::hint::is_usage(&chosen(all(), &everywhere, "pod").unwrap_err()));
    }

    #[test]
    fn a_table_looks_as_kubectls_does() {
        let now: Timestamp = "2026-11-28T09:30:00Z".parse().unwrap();
        let objects = [pod("default", "web", "web"), pod("other", "a-longer-name", "db")];
        insta::assert_snapshot!(table(&objects, "", "Pod", false, true, now));
        insta::assert_snapshot!("a_wide_table", table(&objects, "", "Pod", true, false, now));
    }
}
