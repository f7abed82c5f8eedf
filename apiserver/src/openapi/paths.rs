//! The paths of a document: which requests a kind takes, and what they can carry.

use serde_json::{Map, Value, json};

use super::schemas::definition_name;
use super::{Dialect, group_version_kind, root};
use crate::registry::{KindInfo, Verbs};

/// Query parameters of requests that write.
const WRITE: [&str; 4] = ["dryRun", "fieldManager", "fieldValidation", "pretty"];

/// Query parameters of `PATCH`.
const PATCH: [&str; 5] = ["dryRun", "fieldManager", "fieldValidation", "force", "pretty"];

/// Query parameters of lists.
const LIST: [&str; 8] = [
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "timeoutSeconds",
    "watch",
];

/// The paths of `kinds`.
pub(super) fn of(kinds: &[&KindInfo], dialect: Dialect) -> Map<String, Value> {
    let mut paths = Map::new();
    for kind in kinds {
        let operations = Operations { kind, dialect };
        let namespace = if kind.is_namespaced() { "/namespaces/{namespace}" } else { "" };
        let base = format!("/{}{namespace}/{}", root(&kind.group, &kind.version), kind.plural);
        match kind.verbs {
            Verbs::Review => drop(paths.insert(base, json!({ "post": operations.one("post", &WRITE) }))),
            Verbs::Stored => {
                if kind.is_namespaced() {
                    let all = format!("/{}/{}", root(&kind.group, &kind.version), kind.plural);
                    paths.insert(all, json!({ "get": operations.one("list", &LIST) }));
                }
                paths.insert(format!("{base}/{{name}}"), operations.item());
                for subresource in &kind.subresources {
                    let path = format!("{base}/{{name}}/{}", subresource.name());
                    paths.insert(path, operations.subresource(subresource.verbs()));
                }
                paths.insert(base, operations.collection());
            }
        }
    }
    paths
}

struct Operations<'a> {
    kind: &'a KindInfo,
    dialect: Dialect,
}

impl Operations<'_> {
    fn collection(&self) -> Value {
        json!({
            "get": self.one("list", &LIST),
            "post": self.one("post", &WRITE),
            "delete": self.one("deletecollection", &LIST),
        })
    }

    fn item(&self) -> Value {
        json!({
            "get": self.one("get", &["pretty"]),
            "put": self.one("put", &WRITE),
            "patch": self.one("patch", &PATCH),
            "delete": self.one("delete", &["dryRun", "gracePeriodSeconds", "propagationPolicy"]),
        })
    }

    fn subresource(&self, verbs: &[&str]) -> Value {
        let operations = verbs.iter().filter_map(|verb| match *verb {
            "get" => Some(("get", self.one("get", &["pretty"]))),
            "update" => Some(("put", self.one("put", &WRITE))),
            "patch" => Some(("patch", self.one("patch", &PATCH))),
            "create" => Some(("post", self.one("post", &WRITE))),
            _ => None,
        });
        operations.map(|(method, operation)| (method.to_owned(), operation)).collect::<Map<_, _>>().into()
    }

    fn one(&self, action: &str, parameters: &[&str]) -> Value {
        let parameters: Vec<Value> = parameters.iter().map(|name| self.parameter(name)).collect();
        json!({
            "parameters": parameters,
            "responses": { "200": self.response(action) },
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": group_version_kind(self.kind),
        })
    }

    fn parameter(&self, name: &str) -> Value {
        let ty = match name {
            "allowWatchBookmarks" | "force" | "watch" => "boolean",
            "gracePeriodSeconds" | "limit" | "timeoutSeconds" => "integer",
            _ => "string",
        };
        match self.dialect {
            Dialect::V2 => json!({ "name": name, "in": "query", "type": ty }),
            Dialect::V3 => json!({ "name": name, "in": "query", "schema": { "type": ty } }),
        }
    }

    fn response(&self, action: &str) -> Value {
        let mut response = json!({ "description": "OK" });
        // Lists have no schema of their own here: no client of ours reads one.
        let returns_object = matches!(action, "get" | "post" | "put" | "patch");
        if let Some(name) = definition_name(self.kind).filter(|_| returns_object) {
            let schema = json!({ "$ref": self.dialect.reference(&name) });
            match self.dialect {
                Dialect::V2 => response["schema"] = schema,
                Dialect::V3 => response["content"] = json!({ "application/json": { "schema": schema } }),
            }
        }
        response
    }
}
