use apiserver::store::Database;
use apiserver::{ApiServer, Options, User};
use http::HeaderValue;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use super::*;

fn headers(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    headers
}

fn rule(namespace: &str) -> Key {
    (namespace.to_owned(), "r".to_owned())
}

#[test]
fn only_a_bearer_token_is_looked_at() {
    assert_eq!(bearer(&headers("Bearer abc")), Ok("abc"));
    assert_eq!(bearer(&headers("bearer  abc ")), Ok("abc"));
    for wrong in ["Basic abc", "Bearer", "Bearer ", "abc"] {
        assert!(bearer(&headers(wrong)).is_err(), "{wrong}");
    }
    assert!(bearer(&headers(&format!("Bearer {}", "x".repeat(LONGEST + 1)))).is_err());
    assert!(bearer(&HeaderMap::new()).is_err());
}

#[tokio::test]
async fn a_token_of_a_file_opens_what_its_line_says() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("tokens");
    std::fs::write(&path, "0123456789abcdef,everything\nfedcba9876543210,one,default\n").unwrap();
    let authority = Authority::file(&path).unwrap();
    let all = authority.recognise(&headers("Bearer 0123456789abcdef")).await.unwrap();
    assert!(authority.allow(&all, &rule("other")).await.is_ok());
    let one = authority.recognise(&headers("Bearer fedcba9876543210")).await.unwrap();
    assert!(authority.allow(&one, &rule("default")).await.is_ok());
    assert_eq!(authority.allow(&one, &rule("other")).await, Err(Denied::Forbidden("one".to_owned())));
    assert!(matches!(
        authority.recognise(&headers("Bearer 0123456789abcdee")).await,
        Err(Denied::Unknown(_))
    ));
    assert!(Authority::file(&dir.path().join("none")).is_err());
}

/// A token of a service account of the embedded API, for an audience.
async fn token(client: &Client, audience: Option<&str>) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": "app"}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.ok();
    let spec = TokenRequestSpec {
        audiences: audience.map(|audience| vec![audience.to_owned()]),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let made: TokenRequest =
        accounts.create_subresource("token", "app", &PostParams::default(), &request).await.unwrap();
    made.status.unwrap().token.unwrap()
}

#[tokio::test]
async fn a_token_of_the_api_must_be_for_the_router_and_opens_its_own_namespace() {
    let api = ApiServer::open(Options::new(Database::Memory).unwrap()).await.unwrap();
    let client = Client::new(api.service(User::admin()), "default");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "default"}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.ok();
    let authority = Authority::kubernetes(client.clone());

    let ours = token(&client, Some(AUDIENCE)).await;
    let caller = authority.recognise(&headers(&format!("Bearer {ours}"))).await.unwrap();
    assert_eq!(caller.name, "system:serviceaccount:default:app");
    assert!(authority.allow(&caller, &rule("default")).await.is_ok());
    assert!(matches!(authority.allow(&caller, &rule("other")).await, Err(Denied::Forbidden(_))));

    let of_the_api = token(&client, None).await;
    assert!(matches!(
        authority.recognise(&headers(&format!("Bearer {of_the_api}"))).await,
        Err(Denied::Unknown(_))
    ));
    assert!(matches!(authority.recognise(&headers("Bearer nonsense")).await, Err(Denied::Unknown(_))));
}
