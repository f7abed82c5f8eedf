//! Brings a volume to a pod.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Pod, Secret, SecretReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::record::{self, Record};
use super::rules::{Attach, Rules};
use super::{Csi, CsiVolume, Places, attachment_name};
use crate::edged::csi::Driver;
use crate::edged::csi::wire::{NodeCapability, NodePublishVolumeRequest, NodeStageVolumeRequest};
use crate::edged::sources::ConfigSource;
use crate::edged::volumes::plan::Token;
use crate::edged::volumes::{VolumeError, Volumes, blocking, fs_group, token};
use crate::flow::MetaError;

/// How soon a volume is published again whose driver wants that (`requiresRepublish`): kubelet does it about once a minute.
const REPUBLISH: SignedDuration = SignedDuration::from_secs(60);
/// How soon it is asked again whether a volume has grown: nobody tells a node, and each time the cloud is asked.
const LOOK_FOR_GROWTH: SignedDuration = SignedDuration::from_secs(300);

/// A volume that a pod can use.
#[derive(Debug, Default)]
pub(in crate::edged::volumes) struct Published {
    pub(in crate::edged::volumes) path: PathBuf,
    /// How soon it has to be looked at again; `None`: it need not be.
    pub(in crate::edged::volumes) again: Option<SignedDuration>,
    /// Where it is staged; empty: it is not.
    pub(in crate::edged::volumes) staging: PathBuf,
    /// Its file system has been made larger just now.
    pub(in crate::edged::volumes) has_grown: bool,
}

/// Why there is none.
enum Trouble {
    Attach(String),
    Mount(String),
    Grow(String),
}

/// What the driver is told besides the volume itself.
#[derive(Default)]
struct Context {
    published: BTreeMap<String, String>,
    attachment: String,
    stage_secrets: HashMap<String, String>,
    publish_secrets: HashMap<String, String>,
    /// About the pod.
    about: HashMap<String, String>,
}

impl<S: ConfigSource> Volumes<S> {
    /// Brings `volume` to the pod, unless it is there. `name` is the pod's word for it.
    pub(in crate::edged::volumes) async fn publish(
        &self,
        pod: &Pod,
        pod_dir: &Path,
        name: &str,
        volume: &CsiVolume,
    ) -> Result<Published, VolumeError> {
        let published = self.try_publish(pod, pod_dir, volume).await;
        published.map_err(|trouble| match trouble {
            Trouble::Attach(cause) => VolumeError::NotAttached { volume: name.to_owned(), cause },
            Trouble::Mount(cause) => VolumeError::not_ready(name, cause),
            Trouble::Grow(cause) => VolumeError::NotGrown { volume: name.to_owned(), cause },
        })
    }

    async fn try_publish(&self, pod: &Pod, pod_dir: &Path, volume: &CsiVolume) -> Result<Published, Trouble> {
        let csi = &self.csi;
        let places = csi.places(pod_dir, volume).ok_or_else(|| {
            Trouble::Mount(format!(
                "driver {:?}, volume {:?}: not the names of folders",
                volume.driver, volume.name
            ))
        })?;
        let _lock = csi.locks.lock(&volume.driver, &volume.handle).await;
        let is_there = self.is_there(&places, volume).await?;
        let driver = csi.drivers.get(&volume.driver);
        let rules = match Rules::of(self.source.csi_driver(&volume.driver).await) {
            Ok(rules) => rules,
            // It was published when the rules were known.
            Err(error) if is_there => {
                tracing::debug!(%error, driver = volume.driver, "the rules of the driver are not known now");
                return Ok(Published { path: places.target, ..Published::default() });
            }
            Err(error) => return Err(Trouble::Mount(format!("CSI driver {:?}: {error}", volume.driver))),
        };
        match (&driver, is_there) {
            (_, true) if !rules.republish => {}
            (Ok(driver), true) => {
                if let Err(Trouble::Attach(error) | Trouble::Mount(error) | Trouble::Grow(error)) =
                    self.bring(pod, &places, volume, &rules, driver).await
                {
                    // What the containers have goes on being what it was.
                    tracing::warn!(error, volume = volume.name, "volume was not published again");
                }
            }
            (Err(error), true) => {
                tracing::warn!(error, volume = volume.name, "volume was not published again")
            }
            (Ok(driver), false) => self.bring(pod, &places, volume, &rules, driver).await?,
            (Err(error), false) => return Err(Trouble::Mount(error.clone())),
        }
        let has_grown = match &driver {
            Ok(driver) => self.grow(&places, volume, driver).await.map_err(Trouble::Grow)?,
            Err(_) => false,
        };
        if let Ok(driver) = &driver
            && rules.gives(volume)
            && !driver.can(NodeCapability::VolumeMountGroup)
        {
            self.give_to_group(pod, &places, volume).await?;
        }
        let can = |capability| driver.as_ref().is_ok_and(|driver| driver.can(capability));
        let may_grow = !volume.is_inline && can(NodeCapability::ExpandVolume);
        let again = if rules.republish { Some(REPUBLISH) } else { may_grow.then_some(LOOK_FOR_GROWTH) };
        let stages = !volume.is_inline && can(NodeCapability::StageUnstageVolume);
        let staging = if stages { places.staging } else { PathBuf::new() };
        Ok(Published { path: places.target, again, staging, has_grown })
    }

    async fn is_there(&self, places: &Places, volume: &CsiVolume) -> Result<bool, Trouble> {
        let (mounter, target, is_block) = (self.mounter.clone(), places.target.clone(), volume.is_block);
        let found = blocking(move || match is_block {
            true => Ok(fs::metadata(&target).is_ok_and(|found| found.file_type().is_block_device())),
            false => mounter.is_mounted(&target),
        });
        found.await.map_err(Trouble::Mount)?.map_err(|error| Trouble::Mount(format!("mount table: {error}")))
    }

    async fn bring(
        &self,
        pod: &Pod,
        places: &Places,
        volume: &CsiVolume,
        rules: &Rules,
        driver: &Driver,
    ) -> Result<(), Trouble> {
        rules.allow(volume).map_err(Trouble::Mount)?;
        let context = self.context(pod, volume, rules).await?;
        self.csi.bring(places, volume, driver, context, fs_group(pod)).await.map_err(Trouble::Mount)
    }

    async fn context(&self, pod: &Pod, volume: &CsiVolume, rules: &Rules) -> Result<Context, Trouble> {
        let mut context = Context::default();
        if !volume.is_inline && rules.attach != Attach::Never {
            (context.attachment, context.published) = self.attached(volume, rules.attach).await?;
        }
        let mount = Trouble::Mount;
        context.stage_secrets = self.secrets(volume, volume.stage_secret.as_ref()).await.map_err(mount)?;
        context.publish_secrets =
            self.secrets(volume, volume.publish_secret.as_ref()).await.map_err(mount)?;
        if rules.pod_info {
            context.about = about(pod, volume);
        }
        if !rules.tokens.is_empty() {
            let tokens = self.driver_tokens(pod, &rules.tokens).await.map_err(mount)?;
            context.about.insert("csi.storage.k8s.io/serviceAccount.tokens".to_owned(), tokens);
        }
        Ok(context)
    }

    /// What the driver's controller has left for the node when it attached the volume.
    async fn attached(
        &self,
        volume: &CsiVolume,
        attach: Attach,
    ) -> Result<(String, BTreeMap<String, String>), Trouble> {
        let CsiVolume { driver, handle, .. } = volume;
        let name = attachment_name(handle, driver, &self.csi.node);
        let status = match self.source.attachment(&name).await {
            Ok(attachment) => attachment.status.unwrap_or_default(),
            // A node is not told whether an attachment exists that is not its own.
            Err(MetaError::NotFound { .. } | MetaError::Refused { .. }) if attach == Attach::IfThere => {
                return Ok((String::new(), BTreeMap::new()));
            }
            Err(MetaError::NotFound { .. } | MetaError::Refused { .. }) => {
                return Err(Trouble::Attach(format!(
                    "there is no VolumeAttachment {name:?} yet for volume {handle:?} of CSI driver {driver:?}: \
                     the cluster's attach/detach controller makes it; a driver that needs none says so with a CSIDriver \
                     object of attachRequired: false"
                )));
            }
            Err(error) => return Err(Trouble::Attach(error.to_string())),
        };
        if status.attached {
            return Ok((name, status.attachment_metadata.unwrap_or_default()));
        }
        let why = status.attach_error.and_then(|error| error.message);
        let why = why.unwrap_or_else(|| "its external-attacher has not said so yet".to_owned());
        Err(Trouble::Attach(format!(
            "volume {handle:?} of CSI driver {driver:?} is not attached to this node (VolumeAttachment {name:?}): {why}"
        )))
    }

    pub(super) async fn secrets(
        &self,
        volume: &CsiVolume,
        secret: Option<&SecretReference>,
    ) -> Result<HashMap<String, String>, String> {
        let Some(secret) = secret else { return Ok(HashMap::new()) };
        let (namespace, name) =
            (secret.namespace.as_deref().unwrap_or_default(), secret.name.as_deref().unwrap_or_default());
        let found = match volume.is_inline {
            true => self.source.secret(namespace, name).await.map(|secret| texts(&secret)),
            false => self.source.volume_secret(namespace, name).await.map(|secret| texts(&secret)),
        };
        found.map_err(|error| format!("secret for CSI driver {:?}: {error}", volume.driver))?
    }

    /// The pod's tokens, as the driver wants them: <https://kubernetes-csi.github.io/docs/token-requests.html>.
    async fn driver_tokens(&self, pod: &Pod, wanted: &[(String, i64)]) -> Result<String, String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut tokens = serde_json::Map::new();
        for (audience, seconds) in wanted {
            let known = Some(audience.clone()).filter(|audience| !audience.is_empty());
            let request =
                token::request(pod, &Token { audience: known, seconds: *seconds, path: String::new() });
            let answer = self.source.token(namespace, token::service_account(pod), request).await;
            let status = answer.map_err(|error| format!("failed to fetch token: {error}"))?.status;
            let status = status.unwrap_or_default();
            let (Some(Time(expires)), Some(text)) = (status.expiration_timestamp, status.token) else {
                return Err("failed to fetch token: the answer has no token".to_owned());
            };
            let entry = json!({"token": text, "expirationTimestamp": expires.to_string()});
            tokens.insert(audience.clone(), entry);
        }
        Ok(serde_json::Value::Object(tokens).to_string())
    }

    /// Once in a life of edged: what was begun by the one before may not have come to its end.
    async fn give_to_group(&self, pod: &Pod, places: &Places, volume: &CsiVolume) -> Result<(), Trouble> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if fs_group(pod).is_none() || self.csi.is_given(uid, &volume.name) {
            return Ok(());
        }
        let (work, target) = (self.work(pod), places.target.clone());
        let given = blocking(move || work.give(&target).map_err(|error| format!("fsGroup: {error}"))).await;
        given.and_then(|given| given).map_err(Trouble::Mount)?;
        self.csi.note_given(uid, &volume.name);
        Ok(())
    }
}

impl Csi {
    fn places(&self, pod_dir: &Path, volume: &CsiVolume) -> Option<Places> {
        match volume.is_block {
            true => self.places_of_device(pod_dir, &volume.name),
            false => self.places_of_mount(pod_dir, &volume.driver, &volume.handle, &volume.name),
        }
    }

    async fn bring(
        &self,
        places: &Places,
        volume: &CsiVolume,
        driver: &Driver,
        context: Context,
        group: Option<u32>,
    ) -> Result<(), String> {
        let stages = !volume.is_inline && driver.can(NodeCapability::StageUnstageVolume);
        let record = self.record(volume, &context.attachment);
        let (noted, is_block) = (places.clone(), volume.is_block);
        let noted = blocking(move || note(&noted, &record, is_block, stages));
        noted.await?.map_err(|error| format!("{}: {error}", places.entry.display()))?;
        self.look_again().await?;
        let failed = |error| format!("CSI driver {:?}, volume {:?}: {error}", volume.driver, volume.handle);
        let capability = volume.capability(&driver.capabilities, group);
        let published: HashMap<_, _> = context.published.into_iter().collect();
        let staging = if stages { path_text(&places.staging) } else { String::new() };
        if stages {
            let request = NodeStageVolumeRequest {
                volume_id: volume.handle.clone(),
                publish_context: published.clone(),
                staging_target_path: staging.clone(),
                volume_capability: Some(capability.clone()),
                secrets: context.stage_secrets,
                volume_context: volume.attributes.clone().into_iter().collect(),
            };
            driver.client.stage(request).await.map_err(failed)?;
        }
        let attributes = volume.attributes.clone().into_iter();
        let request = NodePublishVolumeRequest {
            volume_id: volume.handle.clone(),
            publish_context: published,
            staging_target_path: staging,
            target_path: path_text(&places.target),
            volume_capability: Some(capability),
            readonly: volume.read_only,
            secrets: context.publish_secrets,
            volume_context: attributes.chain(context.about).collect(),
        };
        driver.client.publish(request).await.map_err(failed)
    }

    fn record(&self, volume: &CsiVolume, attachment: &str) -> Record {
        let lifecycle = if volume.is_inline { "Ephemeral" } else { "Persistent" };
        Record {
            driver_name: volume.driver.clone(),
            volume_handle: volume.handle.clone(),
            name: volume.name.clone(),
            node_name: self.node.clone(),
            attachment: attachment.to_owned(),
            lifecycle: lifecycle.to_owned(),
        }
    }
}

/// Puts on disk what is about to be done: first of all that the pod uses the volume.
fn note(places: &Places, record: &Record, is_block: bool, stages: bool) -> io::Result<()> {
    if is_block {
        record::write(&places.staged, record)?;
        let parents = [places.entry.parent(), places.target.parent()];
        parents.into_iter().flatten().try_for_each(record::make_dir)?;
        match std::os::unix::fs::symlink(&places.target, &places.entry) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    } else {
        record::write(&places.entry, record)?;
        if stages {
            record::write(&places.staged, &Record { name: String::new(), ..record.clone() })?;
        }
    }
    if stages { record::make_dir(&places.staging) } else { Ok(()) }
}

/// What a driver is told about the pod: <https://kubernetes-csi.github.io/docs/pod-info.html>.
fn about(pod: &Pod, volume: &CsiVolume) -> HashMap<String, String> {
    let metadata = &pod.metadata;
    [
        ("pod.name", metadata.name.clone().unwrap_or_default()),
        ("pod.namespace", metadata.namespace.clone().unwrap_or_default()),
        ("pod.uid", metadata.uid.clone().unwrap_or_default()),
        ("serviceAccount.name", token::service_account(pod).to_owned()),
        ("ephemeral", volume.is_inline.to_string()),
    ]
    .map(|(key, value)| (format!("csi.storage.k8s.io/{key}"), value))
    .into()
}

fn texts(secret: &Secret) -> Result<HashMap<String, String>, String> {
    let data = secret.data.iter().flatten().map(|(key, value)| {
        let text = String::from_utf8(value.0.clone());
        text.map(|text| (key.clone(), text))
            .map_err(|_| format!("secret for a CSI driver: {key:?} is no text"))
    });
    data.collect()
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}
