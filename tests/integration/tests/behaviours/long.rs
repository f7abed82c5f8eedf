//! What takes minutes, because Kubernetes allows no shorter times.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use super::row::{Row, Scene, pages};

/// The shortest life of a token (600 s) and some.
const PATIENCE: Duration = Duration::from_secs(720);
/// A token is renewed when four fifths of its life are over.
const RENEWED_AFTER: i64 = 600 * 4 / 5;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new("a service account token is renewed when four fifths of its life are over", pages::TOKEN_ROTATION)
            .patient(PATIENCE)
            .spec(
                "{volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 600}}]}}],
                  containers: [{name: main, args: [pause], volumeMounts: [{name: v, mountPath: /v}]}]}",
            )
            .shows("{phase: Running}")
            .holds("its file has the next token, and the container runs on", |scene| {
                let (token, at) = (token(scene)?, switched(scene)?);
                anyhow::ensure!(token.split('.').count() == 3, "no token: {token:?}");
                let started = scene.pod.status.as_ref().and_then(|status| status.start_time.clone());
                let after = at - started.context("it has not started")?.0;
                let after = after.total(jiff::Unit::Second)?;
                let due = f64::from(i32::try_from(RENEWED_AFTER)?);
                anyhow::ensure!(after > due - 5.0, "its token is the one of {after} s after its start");
                anyhow::ensure!(after < 600.0, "renewed {after} s after its start: too late");
                Ok(())
            })
            .shows("{containerStatuses: [{name: main, restartCount: 0, state: {running: {}}}]}"),
    ]
}

fn folder(scene: &Scene<'_>) -> std::path::PathBuf {
    let uid = scene.pod.metadata.uid.as_deref().unwrap_or_default();
    scene.site.state().join("edge/kubelet/pods").join(uid).join("volumes/kubernetes.io~projected/v")
}

fn token(scene: &Scene<'_>) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(folder(scene).join("token"))?)
}

/// When the volume got the content that it has: the link to it is made anew each time.
fn switched(scene: &Scene<'_>) -> anyhow::Result<Timestamp> {
    let link = std::fs::symlink_metadata(folder(scene).join("..data"))?;
    Ok(Timestamp::try_from(link.modified()?)?)
}
