//! `keadm debug diagnose`: why does this not work?

use std::path::Path;

use http::StatusCode;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use proto::config::edgecore::EdgeCore;

use super::super::ctl::configuration;
use super::check;
use crate::args::{DiagnosePod, EdgeConfig};
use crate::credentials::{certificate_finding, token_finding};
use crate::edge_store::EdgeStore;
use crate::findings::{Finding, report};
use crate::hint::WithHint as _;
use crate::host::{Look, System};
use crate::printer::Printer;
use crate::web::Web;

/// What a node consists of, from the process to the cloud.
pub(super) async fn node(config: &EdgeConfig, look: &dyn Look, web: &dyn Web) -> Vec<Finding> {
    let file = &config.config;
    let mut found = vec![process(look)];
    let config = match configuration(config, look) {
        Ok(config) if look.exists(file) => {
            found.push(Finding::good("configuration", format!("{} is valid", file.display())));
            config
        }
        Ok(config) => {
            let hint = "`keadm join` makes it; --config gives another place";
            found.push(Finding::bad("configuration", format!("{} is not there", file.display()), hint));
            config
        }
        Err(error) => {
            let hint = "correct it, and start edgecore anew";
            found.push(Finding::bad("configuration", format!("{error:#}"), hint));
            return found;
        }
    };
    found.push(store(&config, look));
    let (hub, now) = (&config.modules.edge_hub, Timestamp::now());
    found.push(certificate_finding(hub, &config.modules.edged.hostname_override, look, now));
    found.extend(token_finding(hub, look, now));
    found.push(check::runtime(&config).await);
    found.push(readiness(&config, web).await);
    let server = &config.modules.edge_hub.http_server;
    if !server.is_empty() {
        found.push(check::cloud(server, web).await);
    }
    found
}

fn process(look: &dyn Look) -> Finding {
    let hint = "`systemctl start edgecore`; `journalctl -u edgecore` says why it has ended. A machine that has not \
                joined is none: `keadm join`";
    match look.is_running("edgecore") {
        Ok(true) => Finding::good("edgecore", "it runs"),
        Ok(false) => Finding::bad("edgecore", "it does not run", hint),
        Err(error) => Finding::bad("edgecore", format!("{error:#}"), hint),
    }
}

fn store(config: &EdgeCore, look: &dyn Look) -> Finding {
    let path = Path::new(&config.database.data_source);
    let hint = "EdgeCore makes it when it starts, and mends a damaged one";
    if !look.exists(path) {
        return Finding::bad("store", format!("{} is not there", path.display()), hint);
    }
    match EdgeStore::open(path).and_then(|store| store.objects("pod")) {
        Ok(pods) => Finding::good("store", format!("{}: {} pods", path.display(), pods.len())),
        Err(error) => Finding::bad("store", format!("{error:#}"), hint),
    }
}

/// What EdgeCore says of itself.
async fn readiness(config: &EdgeCore, web: &dyn Web) -> Finding {
    let admin = &config.common_config.monitor_server.bind_address;
    match web.get(&format!("http://{admin}/readyz")).await {
        Ok(answer) if answer.status == StatusCode::OK => Finding::good("readiness", "every module is ready"),
        Ok(answer) => Finding::bad(
            "readiness",
            answer.text(),
            "edgehub waits for the cloud; pods run meanwhile. `journalctl -u edgecore` says what it tries",
        ),
        Err(error) => Finding::bad(
            "readiness",
            format!("{error:#}"),
            "a stock EdgeCore has no such address; ours has it at commonConfig.monitorServer.bindAddress",
        ),
    }
}

/// As the store has it, so also when EdgeCore does not run.
pub(super) async fn pod(asked: &DiagnosePod, printer: &Printer) -> anyhow::Result<()> {
    let config = configuration(&asked.config, &System)?;
    let path = config.database.data_source.clone();
    let pods =
        tokio::task::spawn_blocking(move || EdgeStore::open(Path::new(&path))?.objects("pod")).await??;
    let is = |pod: &&serde_json::Value| {
        pod["metadata"]["name"] == asked.name.as_str()
            && pod["metadata"]["namespace"] == asked.namespace.as_str()
    };
    let Some(pod) = pods.iter().find(is) else {
        return Err(anyhow::anyhow!("the store has no pod {}/{}", asked.namespace, asked.name)).hint(|| {
            "the cloud has not sent it: is it bound to this node (`kubectl get pod -o wide`)? `keadm debug get pod -A` \
             lists what was sent"
                .to_owned()
        });
    };
    report(&of_pod(&serde_json::from_value(pod.clone())?), printer)
}

fn of_pod(pod: &Pod) -> Vec<Finding> {
    let status = pod.status.clone().unwrap_or_default();
    let phase = status.phase.as_deref().unwrap_or("Pending");
    let mut found = Vec::new();
    let is_held = pod
        .metadata
        .annotations
        .iter()
        .flatten()
        .any(|(key, value)| key == "edge.kubeedge.io/hold-upgrade" && value == "true");
    if is_held && phase == "Pending" {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        found.push(Finding::bad(
            "held",
            "it waits for somebody at the edge to agree",
            format!("`keadm ctl unhold-upgrade pod {name}` lets it go"),
        ));
    }
    let why = [status.reason, status.message].into_iter().flatten().collect::<Vec<_>>().join(": ");
    found.push(Finding::when(
        matches!(phase, "Running" | "Succeeded"),
        "phase",
        if why.is_empty() { phase.to_owned() } else { format!("{phase}: {why}") },
        "the conditions and containers below say more",
    ));
    for condition in status.conditions.into_iter().flatten() {
        let why = [condition.reason, condition.message].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let said = format!("{} {} {why}", condition.type_, condition.status);
        found.push(Finding::when(
            condition.status == "True",
            "condition",
            said.trim_end(),
            "`kubectl describe pod` in the cloud shows the events",
        ));
    }
    let containers = status.init_container_statuses.into_iter().chain(status.container_statuses).flatten();
    found.extend(containers.map(|container| of_container(&container)));
    found
}

fn of_container(status: &ContainerStatus) -> Finding {
    let state = status.state.clone().unwrap_or_default();
    if let Some(waiting) = state.waiting {
        let reason = waiting.reason.unwrap_or_default();
        let said = format!("{}: {reason} {}", status.name, waiting.message.unwrap_or_default());
        return Finding::bad("container", said.trim_end(), advice(&reason));
    }
    if let Some(ended) = state.terminated {
        let said =
            format!("{}: ended with {} ({})", status.name, ended.exit_code, ended.reason.unwrap_or_default());
        return Finding::when(
            ended.exit_code == 0,
            "container",
            said,
            "`keadm ctl logs POD -p` shows what it wrote",
        );
    }
    let said = format!("{}: runs, {} restarts", status.name, status.restart_count);
    Finding::when(
        status.ready,
        "container",
        said,
        "its readiness probe does not succeed: `keadm ctl logs POD`",
    )
}

fn advice(reason: &str) -> &'static str {
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" => {
            "`crictl pull IMAGE` tries it by hand; offline, `ctr -n k8s.io images import FILE` brings the image"
        }
        "ErrImageNeverPull" => "imagePullPolicy is Never, and the image is not on this node",
        "CrashLoopBackOff" => "`keadm ctl logs POD -p` shows what it wrote before it ended",
        "CreateContainerConfigError" => {
            "a config map or secret that it names is missing: `keadm debug get cm,secret`"
        }
        "ContainerCreating" | "PodInitializing" => {
            "if it stays so: `journalctl -u edgecore` and the container runtime's log"
        }
        _ => "`keadm ctl describe pod POD` shows everything that is known",
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::{BoxFuture, ready};
    use rustls_pki_types::CertificateDer;
    use serde_json::json;

    use super::*;
    use crate::host::Facts;
    use crate::web::Answer;

    /// Nobody answers but EdgeCore, if anybody does.
    struct OnlyReadiness(Option<&'static str>);

    impl Web for OnlyReadiness {
        fn get<'a>(&'a self, url: &'a str) -> BoxFuture<'a, anyhow::Result<Answer>> {
            let answer = match self.0 {
                Some(text) if url.ends_with("/readyz") => {
                    let status =
                        if text.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                    Ok(Answer { status, body: text.into() })
                }
                _ => Err(anyhow::anyhow!("{url}: Connection refused (os error 111)")),
            };
            ready(answer).boxed()
        }

        fn get_verified<'a>(
            &'a self,
            url: &'a str,
            _: &'a CertificateDer<'static>,
        ) -> BoxFuture<'a, anyhow::Result<Answer>> {
            self.get(url)
        }
    }

    async fn shown(facts: Facts, web: OnlyReadiness) -> String {
        let config = EdgeConfig { config: "/etc/kubeedge/config/edgecore.yaml".into() };
        let printer = Printer::capturing();
        let found = node(&config, &facts, &web).await;
        report(&found, &printer).unwrap_err();
        printer.captured()
    }

    const CONFIG: &str = "modules:\n  edgeHub:\n    httpServer: https://10.0.0.1:10002\n  edged:\n    tailoredKubeletConfig:\n      containerRuntimeEndpoint: unix:///no/such/containerd.sock\ndatabase:\n  dataSource: /no/such/edgecore.db\n";

    fn machine(config: &str) -> Facts {
        Facts {
            files: [("/etc/kubeedge/config/edgecore.yaml".into(), config.to_owned())].into(),
            processes: ["edgecore"].into(),
            ..Facts::default()
        }
    }

    #[tokio::test]
    async fn a_node_whose_cloud_is_away() {
        insta::assert_snapshot!(shown(machine(CONFIG), OnlyReadiness(Some("not ready: edgehub"))).await);
    }

    #[tokio::test]
    async fn a_machine_that_never_joined() {
        let facts = Facts::default();
        let shown = shown(facts, OnlyReadiness(None)).await;
        // What is at the usual places of this machine is not this test's.
        let first: Vec<&str> = shown.lines().take(4).collect();
        insta::assert_snapshot!(first.join("\n"));
    }

    #[tokio::test]
    async fn a_configuration_with_a_slip_of_the_pen() {
        insta::assert_snapshot!(shown(machine("modules:\n  edgeHubb: {}\n"), OnlyReadiness(None)).await);
    }

    #[test]
    fn pods_that_do_not_run_and_what_to_do() {
        let pod = |name: &str, annotations: serde_json::Value, status: serde_json::Value| -> Pod {
            let pod = json!({"metadata": {"name": name, "annotations": annotations}, "spec": {"containers": []}, "status": status});
            serde_json::from_value(pod).unwrap()
        };
        let waiting = |reason: &str, message: &str| {
            json!({"phase": "Pending", "containerStatuses": [{"name": "app", "image": "i", "imageID": "", "ready": false,
                "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}}]})
        };
        let pods = [
            pod("pull", json!({}), waiting("ImagePullBackOff", "Back-off pulling image \"kubeedge/app:v9\"")),
            pod("crash", json!({}), waiting("CrashLoopBackOff", "back-off 20s restarting failed container")),
            pod("held", json!({"edge.kubeedge.io/hold-upgrade": "true"}), json!({"phase": "Pending"})),
            pod(
                "good",
                json!({}),
                json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
            ),
        ];
        let printer = Printer::capturing();
        for pod in &pods {
            printer.line(format_args!("# {}", pod.metadata.name.as_deref().unwrap()));
            drop(report(&of_pod(pod), &printer));
        }
        insta::assert_snapshot!(printer.captured());
    }
}
