//! Whether what arrived is what was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use integration::daemons::SOON;
use integration::service::{Asked, Service};
use integration::wait::until;
use serde_json::Value;

use super::scene::Scene;
use super::traffic::{Fate, Logs, Sent};

/// Looks at what has arrived of a round, and at whether the cloud still reaches all nodes.
///
/// # Errors
/// What was lost, came twice, or came in another order.
pub(crate) async fn judge(scene: &Scene, logs: &Logs) -> anyhow::Result<String> {
    let prefix = format!("{}-", logs.seed);
    let ours = |texts: Vec<String>| -> Vec<String> {
        texts.into_iter().filter(|text| text.starts_with(&prefix)).collect()
    };
    let mut summary = String::new();
    let heard = || logs.heard.payloads("down").map(&ours);
    writeln!(summary, "rest to eventbus: {}", agreed("rest to eventbus", &logs.publish, heard).await?)?;
    let called = || Ok(ours(bodies(&scene.service, "/", |asked| asked.body.clone())));
    writeln!(summary, "rest to servicebus: {}", agreed("rest to servicebus", &logs.call, called).await?)?;
    let text = |asked: &Asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        body["text"].as_str().unwrap_or_default().to_owned()
    };
    let answered = || Ok(ours(bodies(&scene.server, "/ask", text)));
    writeln!(summary, "servicebus to rest: {}", agreed("servicebus to rest", &logs.ask, answered).await?)?;
    let up = until("all that was published has arrived", SOON, || async {
        arrived_once(&scene.server, &prefix, logs.up)
    });
    writeln!(summary, "eventbus to rest: {} published, {} came again", logs.up, up.await?)?;
    scene.fans_out().await?;
    Ok(summary)
}

fn bodies(service: &Service, path: &str, text: impl Fn(&Asked) -> String) -> Vec<String> {
    service.asked().iter().filter(|asked| asked.path == path).map(text).collect()
}

/// Everything that was delivered has arrived once, in order; what is unknown at most once.
async fn agreed(
    what: &str,
    sent: &[Sent],
    arrived: impl Fn() -> anyhow::Result<Vec<String>>,
) -> anyhow::Result<String> {
    let delivered: Vec<&str> =
        sent.iter().filter(|sent| sent.fate == Fate::Delivered).map(|sent| sent.text.as_str()).collect();
    let unknown: BTreeMap<&str, &Sent> = sent
        .iter()
        .filter(|sent| sent.fate != Fate::Delivered)
        .map(|sent| (sent.text.as_str(), sent))
        .collect();
    anyhow::ensure!(
        delivered.len() > 4 * unknown.len(),
        "{what}: {} delivered, {unknown:?}",
        delivered.len()
    );
    // Whoever listens may be slower than the answer.
    let all = until(&format!("{what}: all that was delivered is there"), SOON, || async {
        let all = arrived()?;
        let there: BTreeSet<&str> = all.iter().map(String::as_str).collect();
        let missing: Vec<&&str> = delivered.iter().filter(|text| !there.contains(**text)).collect();
        anyhow::ensure!(missing.is_empty(), "lost: {missing:?}");
        Ok::<_, anyhow::Error>(all)
    })
    .await?;
    let mut seen = BTreeSet::new();
    let twice: Vec<&String> = all.iter().filter(|text| !seen.insert(text.as_str())).collect();
    anyhow::ensure!(twice.is_empty(), "{what}: came twice: {twice:?}");
    let known: BTreeSet<&str> = sent.iter().map(|sent| sent.text.as_str()).collect();
    anyhow::ensure!(seen.is_subset(&known), "{what}: was never sent: {:?}", seen.difference(&known));
    let order: Vec<&str> =
        all.iter().map(String::as_str).filter(|text| !unknown.contains_key(text)).collect();
    anyhow::ensure!(order == delivered, "{what}: another order: {order:?}");
    let refused: usize = sent.iter().map(|sent| sent.refused).sum();
    let came = unknown.keys().filter(|text| seen.contains(**text)).count();
    let mut line = format!(
        "{} delivered, {refused} tries not sent, {} unknown, {came} of them came",
        delivered.len(),
        unknown.len()
    );
    let reasons: BTreeSet<&str> = unknown
        .values()
        .filter_map(|sent| match &sent.fate {
            Fate::Unknown(why) => Some(why.as_str()),
            Fate::Delivered => None,
        })
        .collect();
    if !reasons.is_empty() {
        write!(line, " ({})", reasons.into_iter().collect::<Vec<_>>().join("; "))?;
    }
    Ok(line)
}

/// All that was published has arrived, by its ids once and in order. How many came again.
fn arrived_once(server: &Service, prefix: &str, published: usize) -> anyhow::Result<usize> {
    let asked = server.asked();
    let mut ids = BTreeSet::new();
    let mut order = Vec::new();
    let mut again = 0;
    for asked in asked.iter().filter(|asked| asked.path == "/up" && asked.body.starts_with(prefix)) {
        if ids.insert(asked.headers["x-message-id"].to_str()?.to_owned()) {
            order.push(asked.body.as_str());
        } else {
            again += 1;
        }
    }
    let expected: Vec<String> = (0..published).map(|number| format!("{prefix}{number}")).collect();
    let there: BTreeSet<&str> = order.iter().copied().collect();
    let missing: Vec<&String> = expected.iter().filter(|text| !there.contains(text.as_str())).collect();
    anyhow::ensure!(missing.is_empty(), "{} of {published} are missing: {missing:?}", missing.len());
    anyhow::ensure!(order == expected, "another order: {order:?}");
    Ok(again)
}
