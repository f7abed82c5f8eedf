//! Writes `apiserver/src/protobuf/fields.txt`: the numbers that fields have in the protobuf form of objects.
//!
//! ```text
//! cargo run -p apiserver --example protobuf-fields -- K8S_IO_API K8S_IO_APIMACHINERY > apiserver/src/protobuf/fields.txt
//! ```
//!
//! The arguments are checkouts of k8s.io/api and k8s.io/apimachinery. The numbers are in the tags of the Go types; the
//! `.proto` files have them too, but do not tell whether a zero means "zero" (a pointer in Go) or "nothing". The output has
//! one message a line, so that a newer Kubernetes shows up as a readable diff. See `src/protobuf.rs` for the format.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, Write as _};
use std::path::Path;

mod go;

use go::{Definition, Package};

/// Packages below k8s.io/api whose messages are of interest.
const API_PACKAGES: [&str; 12] = [
    "core/v1",
    "authentication/v1",
    "authorization/v1",
    "autoscaling/v1",
    "certificates/v1",
    "coordination/v1",
    "discovery/v1",
    "events/v1",
    "policy/v1",
    "scheduling/v1",
    "storage/v1",
    "meta/v1",
];

/// Messages that clients send; what they are made of comes along.
const ROOTS: [&str; 29] = [
    "meta/v1.DeleteOptions",
    "core/v1.Binding",
    "core/v1.ConfigMap",
    "core/v1.Endpoints",
    "core/v1.Event",
    "core/v1.Namespace",
    "core/v1.Node",
    "core/v1.PersistentVolume",
    "core/v1.PersistentVolumeClaim",
    "core/v1.Pod",
    "core/v1.Secret",
    "core/v1.Service",
    "core/v1.ServiceAccount",
    "authentication/v1.SelfSubjectReview",
    "authentication/v1.TokenRequest",
    "authentication/v1.TokenReview",
    "authorization/v1.LocalSubjectAccessReview",
    "authorization/v1.SelfSubjectAccessReview",
    "authorization/v1.SelfSubjectRulesReview",
    "authorization/v1.SubjectAccessReview",
    "autoscaling/v1.Scale",
    "certificates/v1.CertificateSigningRequest",
    "coordination/v1.Lease",
    "discovery/v1.EndpointSlice",
    "events/v1.Event",
    "policy/v1.Eviction",
    "scheduling/v1.PriorityClass",
    "storage/v1.StorageClass",
    "meta/v1.Status",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let api = arguments.next().ok_or("first argument: a checkout of k8s.io/api")?;
    let machinery = arguments.next().ok_or("second argument: a checkout of k8s.io/apimachinery")?;
    let mut packages = BTreeMap::new();
    for name in API_PACKAGES {
        let dir = if name == "meta/v1" {
            Path::new(&machinery).join("pkg/apis/meta/v1")
        } else {
            Path::new(&api).join(name)
        };
        packages.insert(name, Package::read(&dir)?);
    }

    let mut todo: Vec<String> = ROOTS.iter().map(|&root| root.to_owned()).collect();
    let mut lines = BTreeSet::new();
    let mut done = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if !done.insert(name.clone()) {
            continue;
        }
        let (package, plain) = name.split_once('.').ok_or("a message name without a package")?;
        let Some(Definition::Struct(fields)) = packages.get(package).and_then(|package| package.get(plain))
        else {
            return Err(format!("{name} is not a struct").into());
        };
        let mut line = name.clone();
        for field in fields {
            let kind = go::resolve(&packages, package, &field.go_type)?;
            todo.extend(kind.message().map(str::to_owned));
            line.push_str(&format!(" {}:{}:{kind}", field.json_name, field.number));
        }
        lines.insert(line);
    }
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
