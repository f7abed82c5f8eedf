use super::config::quoted;
use super::*;
use crate::hint;
use crate::host::{Change, Facts, Recording};

fn machine(text: &str) -> Facts {
    let files = [("batch.yaml", text), ("/opt/keadm", ""), ("/opt/edgecore", "")];
    Facts { files: files.map(|(path, text)| (path.into(), text.to_owned())).into(), ..Facts::default() }
}

const TWO: &str = r#"
keadm:
  keadmBinDir: /opt
  cmdTplArgs: {cloud: "10.0.0.1:10000", token: se.cr.et}
nodes:
  - nodeName: edge-1
    keadmCmd: "join --cloudcore-ipport={{.cloud}} --edgenode-name=edge-1 --token={{ .token }}"
    ssh: {ip: 192.0.2.1, username: root, auth: {type: privateKey, privateKeyAuth: {privateKeyPath: /k}}}
  - nodeName: edge-2
    keadmCmd: "join -e {{.cloud}} -t {{.token}} --set 'a.b={x y},c=$(reboot)'"
    copyFrom: /data/images
    ssh: {ip: "fd00::2", username: admin, port: 2222}
"#;

async fn run(text: &str) -> (String, anyhow::Result<()>, Vec<Change>) {
    let printer = Printer::capturing();
    let host = Arc::new(Recording::new(machine(text), printer.clone()));
    let result = all(host.clone(), Path::new("batch.yaml"), &printer).await;
    (printer.captured(), result, host.changes())
}

#[tokio::test]
async fn each_node_gets_its_files_and_its_command() {
    let one_at_a_time = format!("maxRunNum: 1\n{TWO}");
    let (shown, result, _) = run(&one_at_a_time).await;
    result.unwrap();
    assert!(!shown.contains("se.cr.et"), "{shown}");
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_before_anything_is() {
    for (text, part) in [
        ("nodes: []", "there is none"),
        ("no yaml: [", "not valid"),
        ("nodez: []", "nodez"),
        (&TWO.replace("username: root", "username: -oProxyCommand=reboot"), "is no name of a user"),
        (&TWO.replace("192.0.2.1", "\"192.0.2.1; reboot\""), "is no address"),
        (&TWO.replace("{{.cloud}}", "{{.clout}}"), "clout"),
        (&TWO.replace("{{.cloud}}", "{{range .}}"), "is no {{.name}}"),
        (&TWO.replace("$(reboot)'", "$(reboot)"), "a quote is not closed"),
        (&TWO.replace("type: privateKey", "type: password"), "use a key"),
    ] {
        let (_, result, changes) = run(text).await;
        let text = format!("{:#}", result.expect_err(part));
        assert!(text.contains(part), "{part}: {text}");
        assert_eq!(changes, []);
    }
    let nothing = Arc::new(Recording::new(Facts::default(), Printer::quiet()));
    let error = all(nothing, Path::new("x"), &Printer::quiet()).await.unwrap_err();
    assert!(hint::is_usage(&error));
}

#[test]
fn what_fails_is_named_and_the_rest_is_done() {
    let printer = Printer::capturing();
    let host = Recording::new(Facts::default(), Printer::quiet());
    let results = [("edge-1".to_owned(), Ok(())), ("edge-2".to_owned(), Err(anyhow!("ssh ended with 255")))];
    let error = report(&host, &results, &printer).unwrap_err();
    assert_eq!(error.to_string(), "1 of 2 nodes failed: edge-2");
    assert_eq!(printer.captured(), "edge-1: done\nedge-2: failed: ssh ended with 255\n");
}

#[test]
fn words_go_through_a_shell_unharmed() {
    for word in ["", "a b", "$(reboot)", "it's", "`x`", "a;b", "\n", "*", "--set=a.b={1,2}"] {
        let script = format!("printf %s {}", quoted(word));
        let output = std::process::Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
    }
    let command = without_tokens("ssh h ./keadm join -t s --token=s -e h:1");
    assert_eq!(command, "ssh h ./keadm join -t (not shown) --token=(not shown) -e h:1");
}

#[test]
fn the_template_can_be_read_and_is_not_written_over() {
    BatchFile::parse(TEMPLATE).unwrap().commands().unwrap();
    let host = Recording::new(Facts::default(), Printer::quiet());
    write_template(&host, &Printer::quiet()).unwrap();
    assert!(matches!(&host.changes()[..], [Change::Write { mode: SECRET, .. }]));
    let there = Facts { files: [(CONFIG.into(), String::new())].into(), ..Facts::default() };
    assert!(write_template(&Recording::new(there, Printer::quiet()), &Printer::quiet()).is_err());
}
