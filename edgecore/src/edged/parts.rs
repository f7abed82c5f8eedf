//! What runs beside the pods as long as edged does.

use chassis::shutdown::Shutdown;
use chassis::task;
use tokio::task::JoinSet;

use super::csi::reporter::Reporter;
use super::devices::Reception;
use super::node::NodeAgent;
use super::node_shutdown::NodeShutdown;
use super::plugins::Registry;
use super::pod_resources::PodResourcesServer;
use super::relist::Relist;
use super::static_pods::StaticPods;
use super::static_pods::clerk::Clerk;
use super::upkeep::Upkeep;

/// All of it.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) relist: Relist,
    pub(super) node: NodeAgent,
    pub(super) upkeep: Upkeep,
    pub(super) static_pods: StaticPods,
    pub(super) clerk: Clerk,
    pub(super) plugins: Registry,
    pub(super) reporter: Reporter,
    pub(super) reception: Reception,
    pub(super) pod_resources: PodResourcesServer,
    pub(super) shutdown: NodeShutdown,
}

impl Parts {
    /// Starts each; one that ends gives its name. The node's part ends with `shutdown`.
    pub(super) fn spawn(self, shutdown: Shutdown) -> JoinSet<&'static str> {
        let Self {
            relist,
            node,
            upkeep,
            static_pods,
            clerk,
            plugins,
            reporter,
            reception,
            pod_resources,
            shutdown: machine,
        } = self;
        let mut parts = JoinSet::new();
        task::spawn_in(&mut parts, tracing::info_span!("relist"), async move {
            relist.run().await;
            "relist"
        });
        task::spawn_in(&mut parts, tracing::info_span!("node"), async move {
            node.run(shutdown).await;
            "node"
        });
        task::spawn_in(&mut parts, tracing::info_span!("static_pods"), async move {
            match static_pods.run().await {}
        });
        task::spawn_in(&mut parts, tracing::info_span!("clerk"), async move { match clerk.run().await {} });
        task::spawn_in(
            &mut parts,
            tracing::info_span!("plugins"),
            async move { match plugins.run().await {} },
        );
        task::spawn_in(&mut parts, tracing::info_span!("csi"), async move { match reporter.run().await {} });
        task::spawn_in(&mut parts, tracing::info_span!("upkeep"), async move { match upkeep.run().await {} });
        task::spawn_in(
            &mut parts,
            tracing::info_span!("devices"),
            async move { match reception.run().await {} },
        );
        task::spawn_in(&mut parts, tracing::info_span!("pod_resources"), async move {
            match pod_resources.run().await {}
        });
        task::spawn_in(&mut parts, tracing::info_span!("node_shutdown"), async move {
            match machine.run().await {}
        });
        parts
    }
}
