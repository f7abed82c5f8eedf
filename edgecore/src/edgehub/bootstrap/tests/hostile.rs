//! Somebody in between, certificates and clocks that are wrong.

use super::*;

const YEAR: SignedDuration = SignedDuration::from_hours(24 * 365);

/// ADA-KE-06: somebody in between shows the right CA certificate, which is no secret, and a certificate of its own. It
/// gets neither the token nor the request.
#[tokio::test]
async fn ada_ke_06_somebody_in_between_with_the_right_ca_certificate_gets_no_token() {
    let cloud = Cloud::new(Behaviour::InBetween).await;
    let dir = TempDir::new().unwrap();
    let config = config(&dir, &cloud, None);
    let error = cloud.beside(join_once(&config, &cloud.token())).await.unwrap_err();
    assert!(matches!(error, BootstrapError::Exchange { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(cloud.requests(), ["/ca.crt"], "nothing that it must not see");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing of it is kept");
}

/// ADA-KE-06: the same when a certificate is renewed: it gets no request and its answer is not taken.
#[tokio::test]
async fn ada_ke_06_somebody_in_between_renews_no_certificate() {
    let cloud = Cloud::new(Behaviour::InBetween).await;
    let dir = TempDir::new().unwrap();
    let config = config(&dir, &cloud, None);
    let joined = Joined { ca: cloud.ca().cert_der().clone(), identity: cloud.identity("edge1", DAY) };
    let (mut rotation, credentials) = Rotation::new(config.clone(), joined, late(), Rng::seeded(7)).unwrap();
    let before = credentials.client_config();
    let error = cloud.beside(rotation.rotate()).await.unwrap_err();
    assert!(matches!(error, BootstrapError::Exchange { .. }), "{error}");
    assert!(error.is_transient(), "the cloud itself may be there again");
    assert_eq!(cloud.requests(), [""; 0]);
    assert!(Arc::ptr_eq(&before, &credentials.client_config()));
}

/// The node's clock is a year behind: by it the cloud's certificate is not valid yet.
#[tokio::test]
async fn a_clock_a_year_behind_is_named_with_all_three_times_and_what_to_do() {
    let now = Timestamp::now();
    let cloud = Cloud::at(Behaviour::Good, now + YEAR).await;
    let dir = TempDir::new().unwrap();
    let config = config(&dir, &cloud, None);
    let token = JoinToken::issue(cloud.ca(), now, DAY).unwrap();
    let error = cloud.beside(join_once(&config, &token)).await.unwrap_err();
    let BootstrapError::ServerOutOfTime { fault, server_clock, .. } = &error else { panic!("{error}") };
    assert!(fault.clock.duration_since(now).abs() < SignedDuration::from_secs(60), "{fault:?}");
    assert_eq!(*server_clock, Some(cloud.clock()));
    let text = error.to_string();
    for part in
        ["/edge.crt", "not valid yet", &fault.clock.to_string(), &cloud.clock().to_string(), "days earlier"]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(error.hint().unwrap().contains("clock"));
    assert!(error.is_transient(), "clocks are set late on machines without a battery");
}

/// By the cloud's clock the node's certificate has expired: it is refused, and the log says what each clock says.
#[tokio::test]
async fn a_renewal_with_an_expired_certificate_says_when_it_was_valid_and_what_to_do() {
    let cloud = Cloud::new(Behaviour::Good).await;
    let dir = TempDir::new().unwrap();
    let config = config(&dir, &cloud, None);
    let expired = cloud.identity("edge1", SignedDuration::from_secs(-1));
    let until = CertificateInfo::from_der(expired.certificate()).unwrap().not_after;
    let joined = Joined { ca: cloud.ca().cert_der().clone(), identity: expired };
    let (mut rotation, _) = Rotation::new(config, joined, Clock::system(), Rng::seeded(7)).unwrap();
    let error = cloud.beside(rotation.rotate()).await.unwrap_err();
    assert!(matches!(error, BootstrapError::OwnOutOfTime { .. }), "{error:?}");
    let text = error.to_string();
    for part in ["/edge.crt", &until.to_string(), "this node's clock says 20"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(error.hint().unwrap().contains("keadm gettoken"));
}

/// By a clock that is years ahead every certificate is due for renewal at once, the new one too.
#[tokio::test]
async fn a_clock_years_ahead_does_not_renew_without_end() {
    let cloud = Cloud::new(Behaviour::Good).await;
    let dir = TempDir::new().unwrap();
    let config = config(&dir, &cloud, None);
    let joined = Joined { ca: cloud.ca().cert_der().clone(), identity: cloud.identity("edge1", DAY) };
    let ahead = Clock::fixed(Timestamp::now() + YEAR + YEAR);
    let (rotation, mut credentials) = Rotation::new(config, joined, ahead, Rng::seeded(7)).unwrap();
    let (trigger, shutdown) = Shutdown::new();
    let watching = async {
        credentials.changed().await;
        // Were there a second renewal, it would follow at once.
        tokio::time::timeout(Duration::from_millis(500), credentials.changed()).await.unwrap_err();
        trigger.request();
    };
    let (ran, ()) = cloud.beside(async { tokio::join!(rotation.run(shutdown), watching) }).await;
    ran.unwrap();
    assert_eq!(cloud.requests(), ["/edge.crt by edge1"]);
}
