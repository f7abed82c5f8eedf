use std::path::Path;

use certs::{Ca, JoinToken, PrivateKey, armor, csr};
use clap::Parser as _;
use http::StatusCode;
use jiff::SignedDuration;

use super::super::testing::{Made, terminal};
use super::*;
use crate::args::{Args, CertAction, Command};
use crate::host::{Change, Facts, Recording};
use crate::web::Answer;

const CONFIG: &str = "/etc/kubeedge/config/edgecore.yaml";
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// The cloud gives out its CA; EdgeCore is well.
struct Cloud(Ca);

impl Made for Cloud {
    fn answer(&self, url: &str) -> anyhow::Result<Answer> {
        let body = if url.ends_with("/ca.crt") { self.0.cert_der().to_vec() } else { b"ok".to_vec() };
        Ok(Answer { status: StatusCode::OK, body: body.into() })
    }
}

fn now() -> Timestamp {
    "2027-06-01T00:00:00Z".parse().unwrap()
}

/// A node that joined this many days ago, for a hundred days.
fn machine(ca: &Ca, days: i32) -> Facts {
    let joined = now() - DAY * days;
    let key = PrivateKey::generate().unwrap();
    let request = csr::request(&certs::NodeIdentity::new("edge-1").unwrap(), &key).unwrap();
    let issued = ca.sign_node_csr(&request, "edge-1", DAY * 100, joined).unwrap();
    let hub = EdgeHub::default();
    let config = "modules:\n  edgeHub:\n    httpServer: https://10.0.0.1:10002\n  edged:\n    hostnameOverride: edge-1\n";
    let files = [
        (CONFIG, config.to_owned()),
        (&hub.tls_ca_file, armor::encode_certificate(ca.cert_der())),
        (&hub.tls_cert_file, armor::encode_certificate(&issued)),
        (&hub.tls_private_key_file, "a key".to_owned()),
    ];
    Facts {
        processes: ["edgecore"].into(),
        files: files.map(|(file, text)| (file.into(), text)).into(),
        ..Facts::default()
    }
}

async fn run(
    cloud: &Cloud,
    machine: Facts,
    token: &JoinToken,
    more: &[&str],
) -> (String, anyhow::Result<()>, Vec<Change>) {
    let token = token.expose();
    let words = ["keadm", "cert", "renew", "--token", &token];
    let renew = match Args::try_parse_from(words.iter().chain(more)).unwrap().command {
        Command::Cert(cert) => match cert.action {
            CertAction::Renew(renew) => renew,
        },
        other => panic!("not cert: {other:?}"),
    };
    let printer = Printer::capturing();
    let host = Recording::acting(machine, printer.clone());
    let result = Renewing { host: &host, web: cloud, renew: &renew, printer: &printer }.all(now()).await;
    let shown = terminal(&printer, &result);
    assert!(!shown.contains(&token), "{shown}");
    (shown, result, host.changes())
}

fn token(ca: &Ca, days: i32) -> JoinToken {
    JoinToken::issue(ca, now(), DAY * days).unwrap()
}

/// The machine of this test does not change, so the certificate never comes: what is done until then is what counts here, and that
/// a node gets back for the tests with real daemons.
#[tokio::test(start_paused = true)]
async fn a_node_that_was_off_for_a_year() {
    let cloud = Cloud(Ca::generate(now() - DAY * 400).unwrap());
    let (shown, result, changes) = run(&cloud, machine(&cloud.0, 365), &token(&cloud.0, 1), &[]).await;
    assert!(result.unwrap_err().to_string().contains("there is no new certificate yet"));
    let is_config = |change: &Change| matches!(change, Change::Write { path, text, mode: SECRET } if path == Path::new(CONFIG) && text.contains("token: "));
    assert!(changes.iter().any(is_config), "{changes:?}");
    assert!(
        !changes.iter().any(|change| matches!(change, Change::Remove(_))),
        "its files stay until there are new ones"
    );
    insta::assert_snapshot!(shown);
}

#[tokio::test(start_paused = true)]
async fn one_whose_cloud_has_another_authority_now() {
    let (old, cloud) = (Ca::generate(now()).unwrap(), Cloud(Ca::generate(now()).unwrap()));
    let (shown, _, changes) = run(&cloud, machine(&old, 10), &token(&cloud.0, 1), &["--force"]).await;
    let removed: Vec<_> = changes.iter().filter(|change| matches!(change, Change::Remove(_))).collect();
    assert_eq!(removed.len(), 3, "{changes:?}");
    insta::assert_snapshot!(shown);
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_the_way_is_said_before_anything_is_touched() {
    let cloud = Cloud(Ca::generate(now() - DAY * 400).unwrap());
    let other = Ca::generate(now()).unwrap();
    for (name, machine, token) in [
        ("still_good", machine(&cloud.0, 10), token(&cloud.0, 1)),
        ("old_token", machine(&cloud.0, 365), token(&cloud.0, -1)),
        ("token_of_another_cloud", machine(&cloud.0, 365), token(&other, 1)),
        ("no_node", Facts::default(), token(&cloud.0, 1)),
    ] {
        let (shown, result, changes) = run(&cloud, machine, &token, &[]).await;
        assert_eq!(result.is_ok(), name == "still_good", "{name}");
        assert_eq!(changes, [], "{name}");
        // Hashes of authorities that are made anew each time.
        let shown: Vec<&str> = shown.lines().filter(|line| !line.contains("SHA-256")).collect();
        insta::assert_snapshot!(name, shown.join("\n"));
    }
}
