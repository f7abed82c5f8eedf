//! Tokens of service accounts: the last one serves while the cloud is away.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_last_token_serves_while_the_cloud_is_away() {
    let mut rig = Rig::start(Vec::new()).await;
    rig.restored().await;
    rig.connect().await;
    let request = || TokenRequest {
        spec: Some(TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() }),
        ..TokenRequest::default()
    };
    let ask = |edged: MetaClient| {
        task::spawn(tracing::Span::none(), async move { edged.token("default", "web", request()).await })
    };
    let token = |text: &str, left: SignedDuration| TokenRequest {
        status: Some(TokenRequestStatus {
            expiration_timestamp: Some(Time(now() + left)),
            token: Some(text.into()),
        }),
        ..request()
    };
    let text = |token: TokenRequest| token.status.unwrap().token.unwrap();

    // An old one: it is asked for again each time, and serves when nobody answers.
    let asking = ask(rig.edged.clone());
    let question = rig.asked(Operation::Query, "default/serviceaccounttoken/web").await;
    rig.answer(&question, content(&token("old", SignedDuration::from_mins(5)))).await;
    assert_eq!(text(asking.await.unwrap().unwrap()), "old");
    let asking = ask(rig.edged.clone());
    rig.asked(Operation::Query, "default/serviceaccounttoken/web").await;
    rig.disconnect().await;
    assert_eq!(text(asking.await.unwrap().unwrap()), "old");

    // A fresh one serves without asking.
    rig.connect().await;
    let asking = ask(rig.edged.clone());
    let question = rig.asked(Operation::Query, "default/serviceaccounttoken/web").await;
    rig.answer(&question, content(&token("new", SignedDuration::from_hours(1)))).await;
    assert_eq!(text(asking.await.unwrap().unwrap()), "new");
    assert_eq!(text(ask(rig.edged.clone()).await.unwrap().unwrap()), "new");
    rig.is_quiet(Duration::from_secs(60)).await;
}
