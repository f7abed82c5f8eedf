use super::*;

fn read(config: &str) -> Checked<Reached> {
    let device = format!(
        "kind: Device\nmetadata: {{name: d}}\nspec:\n  protocol: {{protocolName: opcua, configData: {config}}}\n  properties: []\n"
    );
    let device = mapper_framework::devices(&device, "opcua").unwrap().remove(0);
    Reached::read(device.config(), &SECRETS)
}

fn ok(config: &str) -> Reached {
    read(config).value.unwrap()
}

fn wrong(config: &str) -> Vec<String> {
    let problems = read(config).value.unwrap_err();
    problems.iter().map(|problem| problem.strip_prefix("protocol.configData.").unwrap().to_owned()).collect()
}

fn pair(certificate: &str, key: &str) -> KeyPair {
    KeyPair { certificate: certificate.into(), key: key.into() }
}

#[test]
fn stocks_manifest_is_understood() {
    let stock = "{url: 'opc.tcp://192.168.56.103:4840', userName: testuser, password: /ca/pass, certificate: /ca/clientcert.pem, \
                 privateKey: /ca/clientkey.pem, securityMode: Sign, securityPolicy: Basic256Sha256, \
                 customizedValues: {remoteCertificate: /ca/servercert.pem}}";
    let reached = ok(stock);
    let security = Security {
        policy: SecurityPolicy::Basic256Sha256,
        mode: MessageSecurityMode::Sign,
        own: pair("/ca/clientcert.pem", "/ca/clientkey.pem"),
        server: Trust::Only("/ca/servercert.pem".into()),
    };
    assert_eq!(reached.security, Some(security));
    assert_eq!(reached.user, User::Named("testuser".into(), "/ca/pass".into()));
    assert_eq!(read(stock).unread, [] as [&str; 0]);
}

#[test]
fn what_is_not_said_is_as_usual() {
    let least = ok("{url: 'opc.tcp://plc:4840'}");
    assert_eq!((least.security, least.user), (None, User::Anonymous));
    assert_eq!((least.timeout.as_secs(), least.publishing.as_millis(), least.subscribe), (5, 500, true));
    let none = ok(
        "{url: 'opc.tcp://plc', securityPolicy: None, securityMode: none, subscribe: 'false', publishingInterval: 100}",
    );
    assert_eq!((none.security, none.subscribe, none.publishing.as_millis()), (None, false, 100));
    let files = "certificate: /etc/opcua/cert.pem, privateKey: /etc/opcua/key.pem";
    let secure =
        ok(&format!("{{url: 'opc.tcp://plc', securityMode: SignAndEncrypt, {files}, trustAnyServer: true}}"));
    let security = secure.security.unwrap();
    assert_eq!((security.policy, security.server), (SecurityPolicy::Basic256Sha256, Trust::Anybody));
    let by_policy = ok(&format!(
        "{{url: 'opc.tcp://plc', securityPolicy: Aes256Sha256RsaPss, {files}, remoteCertificate: /etc/opcua/s.pem}}"
    ));
    assert_eq!(by_policy.security.unwrap().mode, MessageSecurityMode::SignAndEncrypt);
    let user =
        ok("{url: 'opc.tcp://plc', userCertificate: /etc/opcua/u.pem, userPrivateKey: /etc/opcua/u.key}");
    assert_eq!(user.user, User::Certificate(pair("/etc/opcua/u.pem", "/etc/opcua/u.key")));
}

#[test]
fn everything_wrong_is_said_at_once_and_where() {
    assert_eq!(
        wrong(
            "{url: 'http://plc', securityPolicy: Basic512, timeout: soon, userName: me, publishingInterval: 1}"
        ),
        [
            "url: \"http://plc\" does not begin with opc.tcp://",
            "securityPolicy: \"Basic512\" is none of None, Basic256Sha256, Aes128Sha256RsaOaep, Aes256Sha256RsaPss, Basic256, Basic128Rsa15",
            "password: is missing: the file with the password of userName",
            "timeout: \"soon\" is no whole number from 100 to 600000",
            "publishingInterval: 1 is no whole number from 50 to 600000",
        ]
    );
    assert_eq!(
        wrong("{securityMode: Sign, certificate: /ca/c.pem}"),
        [
            "url: is missing: the server's address, such as opc.tcp://192.0.2.10:4840",
            "privateKey: is missing: a certificate and its key go together",
            "remoteCertificate: is missing: the file with the server's certificate; or trustAnyServer: true, and whoever answers is believed",
        ]
    );
    let url = "url: 'opc.tcp://plc'";
    let one = |more: &str, part: &str| {
        let problems = wrong(&format!("{{{url}, {more}}}"));
        assert!(problems.len() == 1 && problems[0].contains(part), "{more}: {problems:?}");
    };
    one("securityPolicy: Basic128Rsa15", "was withdrawn");
    one("securityPolicy: None, securityMode: Sign", "does not go with securityMode");
    one("securityPolicy: Basic256Sha256, securityMode: None", "securityMode: None goes with");
    one("password: /ca/pass", "userName: is missing");
    one(
        "userName: me, password: /ca/pass, userCertificate: /ca/u, userPrivateKey: /ca/k",
        "does not go with userName",
    );
}

#[test]
fn only_files_that_are_meant_for_it_are_read_and_what_was_said_instead_is_not_repeated() {
    for path in [
        "/etc/kubeedge/ca/rootCA.key",
        "/ca/../etc/shadow",
        "hunter2",
        "/etc/opcua-other/x",
        "/etc/opcua/../shadow",
    ] {
        let problems = wrong(&format!("{{url: 'opc.tcp://plc', userName: me, password: '{path}'}}"));
        assert_eq!(problems, ["password: is no file in /ca or /etc/opcua: a Secret is mounted there"]);
    }
}
