//! The custom resources that CloudCore itself works with. On a cluster that somebody else runs, the same files are for
//! that somebody to apply.

use anyhow::Context as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Error, ResourceExt as _};
use serde_json::json;

/// Each file of `build/crds/`.
const FILES: [&str; 7] = [
    include_str!("../../../build/crds/reliablesyncs.kubeedge.io_clusterobjectsyncs.yaml"),
    include_str!("../../../build/crds/reliablesyncs.kubeedge.io_objectsyncs.yaml"),
    include_str!("../../../build/crds/devices.kubeedge.io_devices.yaml"),
    include_str!("../../../build/crds/devices.kubeedge.io_devicemodels.yaml"),
    include_str!("../../../build/crds/devices.kubeedge.io_devicestatuses.yaml"),
    include_str!("../../../build/crds/rules.kubeedge.io_rules.yaml"),
    include_str!("../../../build/crds/rules.kubeedge.io_ruleendpoints.yaml"),
];

/// Brings the definitions to what this version of CloudCore expects. One call each where they are there: the API stores
/// nothing when nothing has changed.
///
/// # Errors
/// What the API refused.
pub async fn install(client: &Client) -> anyhow::Result<()> {
    for file in FILES {
        let definition: CustomResourceDefinition =
            serde_saphyr::from_str(file).context("read a definition of build/crds")?;
        put(client, &definition).await.with_context(|| format!("install {}", definition.name_any()))?;
    }
    Ok(())
}

async fn put(client: &Client, definition: &CustomResourceDefinition) -> Result<(), Error> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let patch = Patch::Merge(json!({"spec": definition.spec}));
    match definitions.patch(&definition.name_any(), &PatchParams::default(), &patch).await {
        Err(Error::Api(status)) if status.is_not_found() => {
            definitions.create(&PostParams::default(), definition).await.map(drop)
        }
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use apiserver::store::Database;
    use apiserver::{ApiServer, Options, User};
    use k8s_openapi::Resource;
    use kube::api::ListParams;
    use proto::api::device::{Device, DeviceModel, DeviceStatus};
    use proto::api::reliablesync::{ClusterObjectSync, ObjectSync};
    use proto::api::rule::{Rule, RuleEndpoint};

    use super::*;

    async fn client() -> Client {
        let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
        Client::new(api.service(User::admin()), "default")
    }

    #[tokio::test]
    async fn the_kinds_are_served_at_once_and_a_second_start_writes_nothing() {
        let client = client().await;
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        install(&client).await.unwrap();
        let before = definitions.list(&ListParams::default()).await.unwrap();
        assert_eq!(before.items.len(), FILES.len());
        let records: Api<ObjectSync> = Api::all(client.clone());
        assert!(records.list(&ListParams::default()).await.unwrap().items.is_empty());
        let records: Api<ClusterObjectSync> = Api::all(client.clone());
        assert!(records.list(&ListParams::default()).await.unwrap().items.is_empty());

        install(&client).await.unwrap();
        let after = definitions.list(&ListParams::default()).await.unwrap();
        assert_eq!(before.metadata.resource_version, after.metadata.resource_version);
    }

    #[tokio::test]
    async fn a_definition_of_an_older_version_is_brought_up_to_date() {
        let client = client().await;
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        let mut older: CustomResourceDefinition = serde_saphyr::from_str(FILES[1]).unwrap();
        older.spec.versions[0].subresources = None;
        definitions.create(&PostParams::default(), &older).await.unwrap();
        install(&client).await.unwrap();
        let found = definitions.get("objectsyncs.reliablesyncs.kubeedge.io").await.unwrap();
        assert!(found.spec.versions[0].subresources.is_some());
    }

    /// The types of `proto` and the files of `build/crds` say the same.
    #[test]
    fn the_definitions_are_those_of_the_types() {
        fn check<K: Resource>(file: &str, scope: &str) {
            let definition: CustomResourceDefinition = serde_saphyr::from_str(file).unwrap();
            let spec = &definition.spec;
            assert_eq!((spec.group.as_str(), spec.scope.as_str()), (K::GROUP, scope));
            assert_eq!(
                (spec.names.kind.as_str(), spec.names.plural.as_str()),
                (K::KIND, K::URL_PATH_SEGMENT)
            );
            assert_eq!(spec.versions[0].name, K::VERSION);
        }
        check::<ClusterObjectSync>(FILES[0], "Cluster");
        check::<ObjectSync>(FILES[1], "Namespaced");
        check::<Device>(FILES[2], "Namespaced");
        check::<DeviceModel>(FILES[3], "Namespaced");
        check::<DeviceStatus>(FILES[4], "Namespaced");
        check::<Rule>(FILES[5], "Namespaced");
        check::<RuleEndpoint>(FILES[6], "Namespaced");
    }
}
