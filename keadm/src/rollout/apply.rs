//! One object after the other.

use anyhow::{Context as _, anyhow};
use kube::api::{DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::{Client, Error};
use serde_json::Value;

use super::diff;
use crate::cluster::said;
use crate::hint::WithHint as _;
use crate::manifests::Object;
use crate::printer::Printer;

/// Whom the API server knows as the one who set a field.
pub const MANAGER: &str = "keadm";
/// How the API server calls the refusal of a field that is somebody else's.
const CONFLICT: &str = "FieldManagerConflict";

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was different: each line says in what.
    Changed(Vec<String>),
    /// It was so already.
    Unchanged,
}

/// Applies objects.
#[derive(Clone)]
pub struct Applier {
    client: Client,
    /// Take over fields that somebody else set.
    force: bool,
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applier").field("force", &self.force).finish_non_exhaustive()
    }
}

/// A field that is somebody else's.
struct Conflict {
    object: String,
    field: String,
    message: String,
}

impl Applier {
    /// With `force` it takes over fields that somebody else set.
    #[must_use]
    pub fn new(client: Client, force: bool) -> Self {
        Self { client, force }
    }

    /// Asks the API server what it would say to each object, before any is changed. What would come of each.
    ///
    /// # Errors
    /// Every field that is somebody else's; else the first object that is refused, and why.
    pub async fn check(&self, objects: &[Object]) -> anyhow::Result<Vec<Outcome>> {
        let (mut outcomes, mut conflicts) = (Vec::new(), Vec::new());
        for object in objects {
            match self.send(object, true).await? {
                Ok(outcome) => outcomes.push(outcome),
                Err(found) => conflicts.extend(found),
            }
        }
        if conflicts.is_empty() { Ok(outcomes) } else { Err(held(&conflicts)).hint(release) }
    }

    /// Applies one.
    ///
    /// # Errors
    /// What the API server refuses, and why.
    pub async fn apply(&self, object: &Object) -> anyhow::Result<Outcome> {
        match self.send(object, false).await? {
            Ok(outcome) => Ok(outcome),
            Err(conflicts) => Err(held(&conflicts)).hint(release),
        }
    }

    async fn send(&self, object: &Object, dry_run: bool) -> anyhow::Result<Result<Outcome, Vec<Conflict>>> {
        let api = match object.api(&self.client).await {
            // The definition of this kind may be among what has not been applied yet.
            Err(_) if dry_run => return Ok(Ok(Outcome::Created)),
            api => api?,
        };
        let title = object.title();
        let before =
            api.get_opt(&object.name()).await.map_err(said).with_context(|| format!("read {title}"))?;
        let params = PatchParams {
            dry_run,
            force: self.force,
            field_manager: Some(MANAGER.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
        };
        match api.patch(&object.name(), &params, &Patch::Apply(object.body())).await {
            Ok(after) => Ok(Ok(outcome(before.as_ref(), &after)?)),
            // Neither its namespace nor anything else of it is there yet.
            Err(Error::Api(status)) if dry_run && status.is_not_found() => Ok(Ok(Outcome::Created)),
            Err(Error::Api(status)) if status.is_conflict() => {
                let causes = status.details.iter().flat_map(|details| &details.causes);
                let conflicts: Vec<Conflict> = causes
                    .filter(|cause| cause.reason == CONFLICT)
                    .map(|cause| Conflict {
                        object: title.clone(),
                        field: cause.field.clone(),
                        message: cause.message.clone(),
                    })
                    .collect();
                if conflicts.is_empty() {
                    return Err(anyhow!("apply {title}: {}", status.message));
                }
                Ok(Err(conflicts))
            }
            Err(error) => refused(error, &title),
        }
    }
}

fn refused<T>(error: Error, title: &str) -> anyhow::Result<T> {
    let is_forbidden = matches!(&error, Error::Api(status) if status.is_forbidden());
    let result = Err(said(error)).with_context(|| format!("apply {title}"));
    if is_forbidden {
        return result.hint(|| {
            "use a kubeconfig of somebody who may install: cluster-admin has what it takes. A namespace that is just being \
             removed refuses new objects too: then wait until it is gone"
                .to_owned()
        });
    }
    result
}

fn outcome(before: Option<&DynamicObject>, after: &DynamicObject) -> anyhow::Result<Outcome> {
    let Some(before) = before else { return Ok(Outcome::Created) };
    // Not by the version of the object, which a dry run leaves as it is.
    let json = |object: &DynamicObject| -> anyhow::Result<Value> { Ok(serde_json::to_value(object)?) };
    let lines = diff::changes(&json(before)?, &json(after)?);
    // Who holds what may change when nothing else does.
    Ok(if lines.is_empty() { Outcome::Unchanged } else { Outcome::Changed(lines) })
}

fn held(conflicts: &[Conflict]) -> anyhow::Error {
    let mut text = "somebody else has set what keadm would set, to another value:".to_owned();
    for Conflict { object, field, message } in conflicts {
        text += &format!("\n  {object} {field}: {message}");
    }
    anyhow!(text)
}

fn release() -> String {
    "nothing was changed. Give keadm the value that is there with --set or --values, so that both agree; or --force, which \
     takes these fields over"
        .to_owned()
}

impl Outcome {
    /// Says what came of `title`.
    pub fn say(&self, title: &str, printer: &Printer) {
        match self {
            Self::Created => printer.already(format_args!("{title}: created")),
            Self::Unchanged => printer.already(format_args!("{title}: unchanged")),
            Self::Changed(lines) => {
                printer.already(format_args!("{title}: changed"));
                for line in lines {
                    printer.already(format_args!("    {line}"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
