//! What is always there: created when the server is opened for the first time.

use serde_json::{Value, json};

use crate::kinds::priority_class;
use crate::object;
use crate::server::ApiServer;
use crate::store::{Action, Place, StoreError, Write};

/// Namespaces (Kubernetes documentation, "Initial namespaces").
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Creates what is missing of it.
///
/// # Errors
/// When it cannot be stored.
pub(crate) async fn create(api: &ApiServer) -> Result<(), StoreError> {
    for name in NAMESPACES {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace"});
        create_one(api, "namespaces", name, namespace).await?;
    }
    for (name, value) in priority_class::INITIAL {
        create_one(api, priority_class::STORAGE, name, priority_class::initial(value)).await?;
    }
    Ok(())
}

async fn create_one(api: &ApiServer, storage: &str, name: &str, mut object: Value) -> Result<(), StoreError> {
    let place = Place::new("", name);
    let registry = api.registry();
    let Some(kind) = registry.stored_as(storage).filter(|_| api.store().get(storage, &place).is_none())
    else {
        return Ok(());
    };
    object["metadata"] = json!({
        "name": name, "uid": api.rng().uuid().to_string(), "creationTimestamp": object::time(api.clock().now()),
    });
    (kind.hooks.default)(&mut object);
    (kind.hooks.initialize)(&mut object);
    let write = Write { resource: kind.storage.clone(), place, action: Action::Create(object) };
    api.store().write(write).await.map(drop)
}
