//! The Kubernetes API, as far as an installer needs it.

use std::path::Path;

use anyhow::Context as _;
use certs::authority::NAMESPACE;
use k8s_openapi::api::core::v1::Secret;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};

/// A client with this kubeconfig.
///
/// # Errors
/// When the file cannot be used.
pub async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    let context = || format!("read {}", kubeconfig.display());
    let file = Kubeconfig::read_from(kubeconfig).with_context(context)?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
    Ok(Client::try_from(config.with_context(context)?)?)
}

/// The join token, from the Secret in which CloudCore keeps it (spec edge-keadm-mapper 7.2).
///
/// # Errors
/// When there is none, or it cannot be read.
pub async fn join_token(client: Client) -> anyhow::Result<String> {
    let secrets: Api<Secret> = Api::namespaced(client, NAMESPACE);
    let secret =
        secrets.get("tokensecret").await.map_err(said).context("read Secret kubeedge/tokensecret")?;
    let data = secret.data.and_then(|mut data| data.remove("tokendata"));
    let data = data.context("Secret kubeedge/tokensecret has no tokendata")?;
    String::from_utf8(data.0).context("the token in Secret kubeedge/tokensecret is not text")
}

/// What the API server said, without the rest of its Status, which says the same again.
pub(crate) fn said(error: kube::Error) -> anyhow::Error {
    match error {
        kube::Error::Api(status) => anyhow::anyhow!("{}", status.message),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;

    async fn token(status: u16, answer: Value) -> anyhow::Result<String> {
        let service = service_fn(move |request: Request<Body>| {
            assert_eq!(request.uri().path(), "/api/v1/namespaces/kubeedge/secrets/tokensecret");
            let body = Body::from(answer.to_string().into_bytes());
            async move { Response::builder().status(status).body(body) }
        });
        join_token(Client::new(service, "default")).await
    }

    fn secret(data: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tokensecret"}, "data": data})
    }

    #[tokio::test]
    async fn the_token_is_the_text_in_the_secret() {
        assert_eq!(token(200, secret(json!({"tokendata": "YS5iLmMuZA=="}))).await.unwrap(), "a.b.c.d");
    }

    #[tokio::test]
    async fn secrets_without_a_token_are_errors() {
        let missing = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
            "reason": "NotFound", "message": "secrets \"tokensecret\" not found"});
        for (status, answer, part) in [
            (404, missing, "not found"),
            (200, secret(json!({})), "no tokendata"),
            (200, secret(json!({"tokendata": "//8="})), "not text"),
        ] {
            let error = token(status, answer).await.unwrap_err();
            assert!(format!("{error:#}").contains(part), "{error:#}");
            assert!(!format!("{error:#}").contains("Status"), "{error:#}");
        }
    }

    #[tokio::test]
    async fn a_kubeconfig_that_is_not_there_is_named() {
        let error = client(Path::new("/no/such/kubeconfig")).await.err().unwrap();
        assert!(format!("{error:#}").contains("/no/such/kubeconfig"), "{error:#}");
    }
}
