//! What is said of flags that are accepted and have no effect, and in which format.

use super::{
    Args, CertAction, Command, ConfigAction, CtlAction, DebugAction, DiagnoseWhat, Format, ImagesAction,
    ListFormat,
};
use super::{BackupWhat, BatchAction, BundleAction, Join, Role, RollbackWhat, UpgradeEdge, UpgradeWhat};

/// A flag, and why it has no effect here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// `--name`
    pub flag: &'static str,
    /// Why, or what has the effect.
    pub why: &'static str,
}

impl Args {
    /// The format that was asked for.
    #[must_use]
    pub fn format(&self) -> Format {
        match &self.command {
            Command::Backup(backup) => match &backup.what {
                BackupWhat::Cloud(cloud) => cloud.acting.output.format,
                BackupWhat::Edge(edge) => edge.acting.output.format,
            },
            Command::Ban(ban) => ban.acting.output.format,
            Command::Batch(batch) => match &batch.action {
                Some(BatchAction::GenConfig(gen_config)) => gen_config.acting.output.format,
                None => batch.acting.output.format,
            },
            Command::Bundle(bundle) => match &bundle.action {
                BundleAction::Create(create) => create.acting.output.format,
                BundleAction::Show(show) => show.reading.output.format,
            },
            Command::Cert(cert) => match &cert.action {
                CertAction::Renew(renew) => renew.acting.output.format,
            },
            Command::Config(config) => match &config.action {
                ConfigAction::Images(images) => match &images.action {
                    ImagesAction::List(list) => list.reading.output.format,
                    ImagesAction::Pull(pull) => pull.acting.output.format,
                },
            },
            Command::ConfigUpdate(update) => update.acting.output.format,
            Command::Ctl(ctl) => of_ctl(&ctl.action),
            Command::Debug(debug) => of_debug(&debug.action),
            Command::Completion(_) | Command::Demo(_) | Command::Mapper(_) => Format::Text,
            Command::Init(init) => init.output.format,
            Command::Manifest(manifest) => manifest.output.format,
            Command::Gettoken(gettoken) => gettoken.reading.output.format,
            Command::Join(join) => join.output.format,
            Command::Man(man) => man.acting.output.format,
            Command::Reset(reset) => reset.output.format,
            Command::Rollback(rollback) => match &rollback.what {
                RollbackWhat::Cloud(cloud) => cloud.acting.output.format,
                RollbackWhat::Edge(edge) => edge.acting.output.format,
            },
            Command::Unban(unban) => unban.acting.output.format,
            Command::Upgrade(upgrade) => match &upgrade.what {
                UpgradeWhat::Cloud(cloud) => cloud.output.format,
                UpgradeWhat::Edge(edge) => edge.acting.output.format,
            },
            Command::Version(version) => version.reading.output.format,
        }
    }

    /// The flags that were given and have no effect.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        let given = match &self.command {
            Command::Join(join) => of_join(join),
            Command::Reset(reset) => {
                let why = "an edge node touches nothing in the cloud";
                let is_edge = reset.role == Some(Role::Edge);
                vec![(is_edge && reset.kube_config.is_some(), "--kube-config", why)]
            }
            Command::Upgrade(upgrade) => match &upgrade.what {
                UpgradeWhat::Cloud(cloud) => {
                    let why = "what was given before stays, where a flag gives nothing else";
                    vec![(cloud.reuse_values, "--reuse-values", why)]
                }
                UpgradeWhat::Edge(edge) => of_upgrade(edge),
            },
            Command::Ctl(ctl) => match &ctl.action {
                CtlAction::Describe(describe) => {
                    let events = "events are in the cloud: `kubectl describe` shows them";
                    vec![
                        (describe.show_events.is_some(), "--show-events", events),
                        (describe.chunk_size.is_some(), "--chunk-size", "a list is read at once"),
                    ]
                }
                CtlAction::Logs(logs) => {
                    let why = "EdgeCore's local server has no certificate";
                    vec![(logs.insecure_skip_tls_verify_backend, "--insecure-skip-tls-verify-backend", why)]
                }
                _ => Vec::new(),
            },
            Command::Debug(debug) => match &debug.action {
                DebugAction::Collect(collect) => {
                    vec![(collect.detail, "--detail", "everything that is collected is said")]
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        let given = given.into_iter().filter(|(is_given, ..)| *is_given);
        given.map(|(_, flag, why)| Note { flag, why }).collect()
    }
}

/// Whether a flag was given, its name, and why it has no effect.
type Given = (bool, &'static str, &'static str);

fn of_join(join: &Join) -> Vec<Given> {
    let version = "the version is that of the binary in --bin-dir or --bundle";
    let certificates = "--set modules.edgeHub.tlsCertFile=... says where certificates are";
    let broker = "EdgeCore has a broker: --set modules.eventBus.mqttMode=0";
    vec![
        (join.kubeedge_version.is_some(), "--kubeedge-version", version),
        (join.image_repository.is_some(), "--image-repository", "nothing is pulled"),
        (join.cert_path.is_some(), "--certPath", certificates),
        (join.tarballpath.is_some(), "--tarballpath", "nothing is downloaded"),
        (join.with_mqtt.is_some(), "--with-mqtt", broker),
    ]
}

fn of_upgrade(edge: &UpgradeEdge) -> Vec<Given> {
    vec![
        (edge.image.is_some(), "--image", "nothing is pulled: the new binary is in --bin-dir or --bundle"),
        (edge.image_digest.is_some(), "--image-digest", "nothing is pulled"),
        (edge.history_id.is_some(), "--historyID", "the report says what happened"),
        (edge.from_version.is_some(), "--fromVersion", "the version before is found out"),
        (edge.kind.is_some(), "--type", "there is one kind of upgrade"),
        (edge.disable_backup, "--disable-backup", "without a back-up there would be no way back"),
    ]
}

fn of_list(format: ListFormat) -> Format {
    match format {
        ListFormat::Text | ListFormat::Wide => Format::Text,
        ListFormat::Json => Format::Json,
        ListFormat::Yaml => Format::Yaml,
    }
}

fn of_ctl(action: &CtlAction) -> Format {
    match action {
        CtlAction::Confirm(confirm) => confirm.acting.output.format,
        CtlAction::Describe(describe) => describe.reading.output.format,
        CtlAction::Edit(edit) => edit.acting.output.format,
        CtlAction::Exec(exec) => exec.acting.output.format,
        CtlAction::Get(get) => of_list(get.format),
        CtlAction::Logs(logs) => logs.reading.output.format,
        CtlAction::Restart(restart) => restart.acting.output.format,
        CtlAction::UnholdUpgrade(unhold) => unhold.acting.output.format,
    }
}

fn of_debug(action: &DebugAction) -> Format {
    match action {
        DebugAction::Check(check) => check.reading.output.format,
        DebugAction::Collect(collect) => collect.reading.output.format,
        DebugAction::Diagnose(diagnose) => match &diagnose.what {
            DiagnoseWhat::Node(node) => node.reading.output.format,
            DiagnoseWhat::Pod(pod) => pod.reading.output.format,
            DiagnoseWhat::Install(install) => install.reading.output.format,
        },
        DebugAction::Get(get) => of_list(get.format),
    }
}
