//! Takes away what keadm has applied, and nothing else: the API server knows what that is.

use anyhow::Context as _;
use kube::api::{DeleteParams, DynamicObject, Preconditions};
use kube::{Api, Client, Error};

use super::MANAGER;
use crate::cluster::said;
use crate::manifests::{self, Overrides};
use crate::printer::Printer;
use certs::authority::NAMESPACE;

/// An object that goes.
#[derive(Debug)]
pub struct Removal {
    title: String,
    api: Api<DynamicObject>,
    name: String,
    uid: Option<String>,
}

/// What of an installation is in the cluster, in the order in which it goes. Definitions stay: with them every Device would go.
///
/// # Errors
/// When the API server cannot be asked.
pub async fn plan(client: &Client, printer: &Printer) -> anyhow::Result<Vec<Removal>> {
    let sets = vec!["admission.enable=true,cloudCore.modules.cloudHub.advertiseAddress={0.0.0.0}".to_owned()];
    let values = Overrides { sets, ..Overrides::default() }.values()?;
    let mut objects = manifests::render(&values, false)?;
    objects.extend(manifests::late(&values)?);
    let mut plan = Vec::new();
    // What is in the namespace goes with it.
    let apart =
        objects.iter().rev().filter(|object| object.body().metadata.namespace.as_deref() != Some(NAMESPACE));
    for object in apart {
        let title = object.title();
        let api = object.api(client).await?;
        let found =
            api.get_opt(&object.name()).await.map_err(said).with_context(|| format!("read {title}"))?;
        match found {
            Some(found) if is_ours(&found) => {
                let uid = found.metadata.uid;
                plan.push(Removal { title, api, name: object.name(), uid });
            }
            Some(_) => printer.already(format_args!("{title} stays: keadm has not made it")),
            None => {}
        }
    }
    Ok(plan)
}

fn is_ours(object: &DynamicObject) -> bool {
    let mut managers = object.metadata.managed_fields.iter().flatten();
    managers
        .any(|entry| entry.manager.as_deref() == Some(MANAGER) && entry.operation.as_deref() == Some("Apply"))
}

impl Removal {
    /// What it is.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Takes it away; the cluster removes what belongs to it.
    ///
    /// # Errors
    /// What the API server refuses.
    pub async fn run(&self) -> anyhow::Result<()> {
        // Not another of the same name, which somebody made meanwhile.
        let only = Preconditions { uid: self.uid.clone(), resource_version: None };
        match self.api.delete(&self.name, &DeleteParams::background().preconditions(only)).await {
            Err(Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(said(error)).with_context(|| format!("remove {}", self.title)),
            Ok(_) => Ok(()),
        }
    }
}
