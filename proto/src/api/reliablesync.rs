//! `reliablesyncs.kubeedge.io/v1alpha1`: which version of which object a node has stored (spec cloud-and-wire 2.12).
//!
//! A record that is not as it should be (written by hand, half written) must not stop anybody from reading the others:
//! what is missing or of another type reads as empty. Whoever uses a record decides what an empty one is worth.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, ListableResource, Metadata, NamespaceResourceScope, Resource};
use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

macro_rules! record {
    ($(#[$meta:meta])* $name:ident { plural: $plural:literal, list: $list:literal, scope: $scope:ty }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Default, Deserialize)]
        pub struct $name {
            /// Its name is a [`RecordName`].
            #[serde(default)]
            pub metadata: ObjectMeta,
            /// Which object.
            #[serde(default, deserialize_with = "or_empty")]
            pub spec: ObjectSyncSpec,
            /// What the node has of it.
            #[serde(default, deserialize_with = "or_empty")]
            pub status: ObjectSyncStatus,
        }

        impl Resource for $name {
            const API_VERSION: &'static str = "reliablesyncs.kubeedge.io/v1alpha1";
            const GROUP: &'static str = "reliablesyncs.kubeedge.io";
            const KIND: &'static str = stringify!($name);
            const VERSION: &'static str = "v1alpha1";
            const URL_PATH_SEGMENT: &'static str = $plural;
            type Scope = $scope;
        }

        impl ListableResource for $name {
            const LIST_KIND: &'static str = $list;
        }

        impl Metadata for $name {
            type Ty = ObjectMeta;

            fn metadata(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn metadata_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut object = serializer.serialize_struct(Self::KIND, 5)?;
                object.serialize_field("apiVersion", Self::API_VERSION)?;
                object.serialize_field("kind", Self::KIND)?;
                object.serialize_field("metadata", &self.metadata)?;
                object.serialize_field("spec", &self.spec)?;
                object.serialize_field("status", &self.status)?;
                object.end()
            }
        }
    };
}

record! {
    /// Record of an object in a namespace; it is in the same one.
    ObjectSync { plural: "objectsyncs", list: "ObjectSyncList", scope: NamespaceResourceScope }
}

record! {
    /// Record of an object of the cluster.
    ClusterObjectSync { plural: "clusterobjectsyncs", list: "ClusterObjectSyncList", scope: ClusterResourceScope }
}

/// Which object a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct ObjectSyncSpec {
    /// `v1`
    #[serde(rename = "objectAPIVersion", default, deserialize_with = "or_empty")]
    pub object_api_version: String,
    /// `ConfigMap`
    #[serde(rename = "objectKind", default, deserialize_with = "or_empty")]
    pub object_kind: String,
    /// Its name.
    #[serde(rename = "objectName", default, deserialize_with = "or_empty")]
    pub object_name: String,
}

/// What the node has of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObjectSyncStatus {
    /// The version that it acknowledged last. Empty in a record that was made and not finished.
    #[serde(rename = "objectResourceVersion", default, deserialize_with = "or_empty")]
    pub object_resource_version: String,
}

/// `<node>.<uid>`. A node's name may have dots, a uid has none: the last one divides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordName {
    /// The node that holds the object.
    pub node: String,
    /// `metadata.uid` of the object.
    pub uid: String,
}

impl RecordName {
    /// The node and the uid in `name`; `None` when it is no such name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (node, uid) = name.rsplit_once('.').filter(|(node, uid)| !node.is_empty() && !uid.is_empty())?;
        Some(Self { node: node.to_owned(), uid: uid.to_owned() })
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.node, self.uid)
    }
}

fn or_empty<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_reads_and_writes_as_stock_does() {
        let stock = json!({
            "apiVersion": "reliablesyncs.kubeedge.io/v1alpha1",
            "kind": "ObjectSync",
            "metadata": {"name": "edge.1.0a1b", "namespace": "default"},
            "spec": {"objectAPIVersion": "v1", "objectKind": "ConfigMap", "objectName": "web-cfg"},
            "status": {"objectResourceVersion": "17"},
        });
        let record: ObjectSync = serde_json::from_value(stock.clone()).unwrap();
        assert_eq!(record.status.object_resource_version, "17");
        assert_eq!(serde_json::to_value(&record).unwrap(), stock);
    }

    #[test]
    fn what_is_missing_or_wrong_reads_as_empty() {
        let metadata = json!({"name": "x"});
        for (spec, status) in [
            (json!(null), json!(null)),
            (json!("text"), json!([1])),
            (json!({"objectKind": 7, "objectName": null}), json!({"objectResourceVersion": 5})),
        ] {
            let garbage = json!({"metadata": metadata, "spec": spec, "status": status});
            let record: ClusterObjectSync = serde_json::from_value(garbage).unwrap();
            assert_eq!((record.spec, record.status), Default::default());
        }
        let bare: ObjectSync = serde_json::from_value(json!({"metadata": metadata})).unwrap();
        assert_eq!(bare.spec, ObjectSyncSpec::default());
    }

    #[test]
    fn the_last_dot_divides_a_name() {
        let name = RecordName::parse("edge.1.example.0a1b-2c").unwrap();
        assert_eq!((name.node.as_str(), name.uid.as_str()), ("edge.1.example", "0a1b-2c"));
        for garbage in ["", ".", "edge", "edge.", ".uid"] {
            assert_eq!(RecordName::parse(garbage), None, "{garbage:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_survives_the_round_trip(node in "[a-z0-9.-]{1,30}", uid in "[a-z0-9-]{1,36}") {
            let name = RecordName { node, uid };
            prop_assert_eq!(RecordName::parse(&name.to_string()), Some(name));
        }
    }
}
