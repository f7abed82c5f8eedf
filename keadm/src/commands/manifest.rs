//! `keadm manifest generate`, and what it has in common with `keadm init`.

use std::path::Path;

use anyhow::{Context as _, anyhow};

use crate::args::{Chart, Manifest};
use crate::hint::WithHint as _;
use crate::host::{Look, System};
use crate::manifests::{self, Object, Overrides, Values, parse_documents};
use crate::printer::Printer;

/// How a profile says nothing but a version.
const VERSION: &str = "version=";

pub(super) fn run(manifest: &Manifest, printer: &Printer) -> anyhow::Result<()> {
    let values = values(&System, &manifest.chart, &manifest.advertise_address, &manifest.set)?;
    for object in objects(&System, &values, &manifest.chart, !manifest.skip_crds)? {
        printer.line(document(&object)?);
    }
    Ok(())
}

/// One document of a YAML stream.
pub(super) fn document(object: &Object) -> anyhow::Result<String> {
    Ok(format!("---\n{}", object.to_yaml()?.trim_end()))
}

/// The values that the command line gives.
pub(super) fn values(
    look: &dyn Look,
    chart: &Chart,
    advertise_address: &[String],
    sets: &[String],
) -> anyhow::Result<Values> {
    overrides(look, chart, advertise_address, sets)?.values()
}

/// What the command line says over other values.
pub(super) fn overrides(
    look: &dyn Look,
    chart: &Chart,
    advertise_address: &[String],
    sets: &[String],
) -> anyhow::Result<Overrides> {
    if chart.external_helm_root.is_some() {
        return Err(anyhow!("--external-helm-root: keadm renders its own chart and no other")).usage(|| {
            "install another chart with `helm install`; its values.yaml can be given with --values".to_owned()
        });
    }
    let mut overrides = Overrides {
        version: chart.kubeedge_version.clone(),
        image_repository: chart.image_repository.clone(),
        advertise_address: advertise_address.to_vec(),
        sets: sets.to_vec(),
        ..Overrides::default()
    };
    match chart.profile.as_deref() {
        Some(profile) if profile.starts_with(VERSION) => {
            let version = profile.trim_start_matches(VERSION).to_owned();
            overrides.version.get_or_insert(version);
        }
        Some(profile) => overrides.files.push((profile.into(), text(look, Path::new(profile))?)),
        None => {}
    }
    for file in &chart.values {
        overrides.files.push((file.clone(), text(look, file)?));
    }
    Ok(overrides)
}

/// Everything that is to be applied before CloudCore runs, and what waits for it as far as it is known.
pub(super) fn objects(
    look: &dyn Look,
    values: &Values,
    chart: &Chart,
    with_crds: bool,
) -> anyhow::Result<Vec<Object>> {
    let mut objects = manifests::render(values, with_crds)?;
    objects.extend(manifests::late(values)?);
    objects.extend(extra(look, chart)?);
    Ok(objects)
}

/// The user's own objects.
pub(super) fn extra(look: &dyn Look, chart: &Chart) -> anyhow::Result<Vec<Object>> {
    let mut objects = Vec::new();
    for file in &chart.manifests {
        let parsed = parse_documents(&text(look, file)?).with_context(|| file.display().to_string());
        objects.extend(
            parsed.usage(|| {
                "give files with Kubernetes objects, as `kubectl apply -f` takes them".to_owned()
            })?,
        );
    }
    Ok(objects)
}

fn text(look: &dyn Look, file: &Path) -> anyhow::Result<String> {
    let text = look.read(file)?.with_context(|| format!("{} is not there", file.display()));
    text.usage(|| "give a file that is there".to_owned())
}

#[cfg(test)]
mod tests;
