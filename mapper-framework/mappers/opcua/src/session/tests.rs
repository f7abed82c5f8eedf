use opcua::types::UserTokenPolicy;

use super::*;
use crate::config::User;

const URL: &str = "opc.tcp://192.0.2.1:4840";

fn reached() -> Reached {
    Reached {
        url: URL.into(),
        security: None,
        user: User::Anonymous,
        timeout: Duration::from_secs(5),
        subscribe: true,
        publishing: Duration::from_millis(500),
    }
}

fn offered(
    policy: SecurityPolicy,
    mode: MessageSecurityMode,
    tokens: Vec<UserTokenPolicy>,
) -> EndpointDescription {
    ("opc.tcp://inside:4840/plant", policy.to_uri(), mode, tokens).into()
}

#[test]
fn a_server_is_reached_where_the_manifest_says_whatever_it_calls_itself() {
    let none = offered(SecurityPolicy::None, MessageSecurityMode::None, vec![UserTokenPolicy::anonymous()]);
    let chosen = choose(&[none], &reached(), &IdentityToken::Anonymous).unwrap();
    assert_eq!(chosen.endpoint_url.as_ref(), URL);
}

#[test]
fn what_a_server_does_not_offer_is_said_with_what_it_does() {
    let signed = offered(SecurityPolicy::Basic256Sha256, MessageSecurityMode::SignAndEncrypt, vec![]);
    let error = choose(&[signed.clone(), signed], &reached(), &IdentityToken::Anonymous).unwrap_err();
    assert_eq!(error, format!("{URL}: it does not offer None/None, but: Basic256Sha256/SignAndEncrypt"));
    let named = UserTokenPolicy { token_type: UserTokenType::UserName, ..UserTokenPolicy::anonymous() };
    let none = offered(SecurityPolicy::None, MessageSecurityMode::None, vec![named]);
    let error = choose(&[none], &reached(), &IdentityToken::Anonymous).unwrap_err();
    assert_eq!(error, format!("{URL}: it takes no user of kind Anonymous here, but: UserName"));
}
