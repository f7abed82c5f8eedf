//! The real `kubectl`, without any special flags, against the server on a socket.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::path::PathBuf;
use std::process::{Output, Stdio};

use apiserver::{ApiServer, Database, Options};
use chassis::shutdown::{Shutdown, ShutdownTrigger};
use chassis::task::{self, AbortOnDrop};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

#[path = "../examples/serve/kubeconfig.rs"]
mod kubeconfig;

use kubeconfig::Endpoint;

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - {name: main, image: "example/main:1", ports: [{containerPort: 80}]}
"#;

const CONFIG_MAP: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: red, size: large}
"#;

const NODE: &str = r#"
apiVersion: v1
kind: Node
metadata: {name: edge-1, labels: {node-role.kubernetes.io/edge: ""}}
"#;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1, description: How large it is.}
              replicas: {type: integer, default: 1}
          status:
            type: object
            properties: {note: {type: string}, replicas: {type: integer}}
"#;

const WIDGET: &str = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, spec: {size: 3}}";

/// A server and a kubectl that knows it.
struct Try {
    dir: TempDir,
    kubeconfig: PathBuf,
    trigger: ShutdownTrigger,
    server: AbortOnDrop<std::io::Result<()>>,
}

impl Try {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::File(dir.path().join("api.db"));
        let api = ApiServer::open(Options::new(database).unwrap()).await.unwrap();
        let Endpoint { listener, tls, kubeconfig, .. } = Endpoint::bind(dir.path(), 0).await.unwrap();
        let (trigger, shutdown) = Shutdown::new();
        let server =
            task::spawn(tracing::Span::none(), async move { api.serve(listener, tls, shutdown).await });
        Self { dir, kubeconfig, trigger, server }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.dir.path())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn pipe(&self, args: &[&str], input: &str) -> Output {
        let mut child = self.command(args).spawn().expect("kubectl is installed");
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        child.wait_with_output().await.unwrap()
    }

    /// What `kubectl ARGS` prints; it must succeed.
    async fn run(&self, args: &[&str]) -> String {
        self.feed(args, "").await
    }

    /// As [`Self::run`], with a standard input.
    async fn feed(&self, args: &[&str], input: &str) -> String {
        let output = self.pipe(args, input).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {}: {error}", args.join(" "));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What `kubectl ARGS` complains of; it must fail.
    async fn fails(&self, args: &[&str], input: &str) -> String {
        let output = self.pipe(args, input).await;
        assert!(!output.status.success(), "kubectl {} succeeds", args.join(" "));
        String::from_utf8(output.stderr).unwrap()
    }

    async fn apply(&self, manifest: &str) -> String {
        self.feed(&["apply", "-f", "-"], manifest).await
    }

    async fn value(&self, object: &str, jsonpath: &str) -> String {
        self.run(&["get", object, "-o", &format!("jsonpath={jsonpath}")]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_applied_shown_changed_and_deleted() {
    let kubectl = Try::start().await;
    assert_eq!(kubectl.apply(POD).await, "pod/web created\n");
    assert_eq!(kubectl.apply(POD).await, "pod/web unchanged\n");
    let changed = POD.replace("main:1", "main:2");
    assert!(kubectl.feed(&["diff", "-f", "-"], POD).await.is_empty());
    assert_eq!(kubectl.apply(&changed).await, "pod/web configured\n");
    assert_eq!(kubectl.value("pod/web", "{.spec.containers[0].image}").await, "example/main:2");

    let wide = kubectl.run(&["get", "pods", "-o", "wide"]).await;
    let header: Vec<&str> = wide.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header[..6], ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP"]);
    assert!(wide.contains("web    0/1     Pending   0"), "{wide}");
    let columns = "custom-columns=N:.metadata.name,I:.spec.containers[*].image";
    let columns = kubectl.run(&["get", "pods", "-l", "app=web", "-o", columns, "--no-headers"]).await;
    assert_eq!(columns.split_whitespace().collect::<Vec<_>>(), ["web", "example/main:2"]);
    let described = kubectl.run(&["describe", "pod", "web"]).await;
    assert!(described.contains("Image:        example/main:2"), "{described}");
    let yaml = kubectl.run(&["get", "pod", "web", "-o", "yaml"]).await;
    assert!(yaml.contains("qosClass: BestEffort"), "{yaml}");
    let pending =
        kubectl.run(&["get", "pods", "--field-selector", "status.phase=Running", "-o", "name"]).await;
    assert_eq!(pending, "");

    kubectl.run(&["label", "pod", "web", "tier=front"]).await;
    kubectl.run(&["annotate", "pod", "web", "note=hello"]).await;
    kubectl.run(&["set", "image", "pod/web", "main=example/main:3"]).await;
    assert_eq!(
        kubectl.value("pod/web", "{.metadata.labels.tier} {.spec.containers[0].image}").await,
        "front example/main:3"
    );
    let refused = kubectl.fails(&["patch", "pod", "web", "-p", r#"{"spec":{"hostNetwork":true}}"#], "").await;
    assert!(refused.contains("pod updates may not change fields other than"), "{refused}");

    kubectl.run(&["delete", "pod", "web"]).await;
    kubectl.run(&["wait", "--for=delete", "pod/web", "--timeout=10s"]).await;
    assert_eq!(
        kubectl.fails(&["get", "pod", "web"], "").await,
        "Error from server (NotFound): pods \"web\" not found\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_of_three_types_replace_and_edit() {
    let kubectl = Try::start().await;
    kubectl.feed(&["create", "-f", "-"], CONFIG_MAP).await;
    let exists = kubectl.fails(&["create", "-f", "-"], CONFIG_MAP).await;
    assert!(exists.contains("configmaps \"settings\" already exists"), "{exists}");
    let patch = async |kind: &str, patch: &str| {
        kubectl.run(&["patch", "cm", "settings", "--type", kind, "-p", patch]).await
    };
    patch("strategic", r#"{"data":{"colour":"green"}}"#).await;
    patch("merge", r#"{"data":{"size":null}}"#).await;
    patch("json", r#"[{"op":"add","path":"/data/shape","value":"round"}]"#).await;
    assert_eq!(kubectl.value("cm/settings", "{.data}").await, r#"{"colour":"green","shape":"round"}"#);
    let failed = kubectl
        .fails(
            &[
                "patch",
                "cm",
                "settings",
                "--type=json",
                "-p",
                r#"[{"op":"test","path":"/data/shape","value":"x"}]"#,
            ],
            "",
        )
        .await;
    assert!(failed.contains("server rejected our request"), "{failed}");

    kubectl.feed(&["replace", "-f", "-"], CONFIG_MAP).await;
    assert_eq!(kubectl.value("cm/settings", "{.data.colour}").await, "red");
    let edited = kubectl
        .command(&["edit", "cm", "settings"])
        .env("KUBE_EDITOR", "sed -i s/large/small/")
        .output()
        .await;
    assert!(edited.unwrap().status.success());
    assert_eq!(kubectl.value("cm/settings", "{.data.size}").await, "small");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_owns_fields_and_tells_of_conflicts() {
    let kubectl = Try::start().await;
    let apply = ["apply", "--server-side", "-f", "-"];
    assert_eq!(kubectl.feed(&apply, CONFIG_MAP).await, "configmap/settings serverside-applied\n");
    let other = CONFIG_MAP.replace("red", "blue").replace(", size: large", "");
    let theirs = [&apply[..], &["--field-manager=other"]].concat();
    let conflict = kubectl.fails(&theirs, &other).await;
    assert!(conflict.contains("conflict with \"kubectl\": .data.colour"), "{conflict}");
    kubectl.feed(&[&theirs[..], &["--force-conflicts"]].concat(), &other).await;
    assert_eq!(kubectl.value("cm/settings", "{.data}").await, r#"{"colour":"blue","size":"large"}"#);

    // From client-side apply to server-side apply and on.
    kubectl.apply(POD).await;
    let moved = kubectl.pipe(&apply, &POD.replace("main:1", "main:2")).await;
    assert!(moved.status.success() && moved.stderr.is_empty(), "{}", String::from_utf8_lossy(&moved.stderr));
    assert_eq!(kubectl.value("pod/web", "{.spec.containers[0].image}").await, "example/main:2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_with_the_name_of_the_field() {
    let kubectl = Try::start().await;
    let apply = ["apply", "-f", "-"];
    let typo = kubectl.fails(&apply, &POD.replace("image:", "imgae:")).await;
    assert!(typo.contains(r#"unknown field "spec.containers[0].imgae""#), "{typo}");
    let name = kubectl.fails(&apply, &POD.replace("name: web", "name: Web_1")).await;
    assert!(name.contains("metadata.name: Invalid value: \"Web_1\""), "{name}");
    let port = kubectl.fails(&apply, &POD.replace("80", "99999")).await;
    assert!(port.contains("spec.containers[0].ports[0].containerPort: Invalid value: 99999"), "{port}");
    let kind = kubectl.fails(&apply, &POD.replace("80", "eighty")).await;
    assert!(kind.contains("cannot unmarshal string"), "{kind}");
    let nowhere = kubectl.fails(&["apply", "-n", "nowhere", "-f", "-"], POD).await;
    assert!(nowhere.contains("namespaces \"nowhere\" not found"), "{nowhere}");
    let account = kubectl.fails(&apply, &POD.replace("spec:", "spec:\n  serviceAccountName: nobody")).await;
    assert!(account.contains("serviceaccount \"nobody\" not found"), "{account}");
    assert_eq!(kubectl.run(&["get", "pods", "-o", "name"]).await, "", "and nothing was created");
    let big = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: big}}, data: {{x: {}}}}}",
        "x".repeat(4 << 20)
    );
    let big = kubectl.fails(&["create", "-f", "-"], &big).await;
    assert!(big.contains("Request entity too large: limit is 3145728"), "{big}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_tainted_cordoned_and_drained() {
    let kubectl = Try::start().await;
    kubectl.apply(NODE).await;
    kubectl.run(&["taint", "node", "edge-1", "gpu=no:NoSchedule"]).await;
    assert_eq!(kubectl.value("node/edge-1", "{.spec.taints[*].key}").await, "gpu");
    kubectl
        .apply(&POD.replace("spec:", "spec:\n  nodeName: edge-1\n  terminationGracePeriodSeconds: 0"))
        .await;
    kubectl.run(&["drain", "edge-1", "--force"]).await;
    assert_eq!(kubectl.run(&["get", "pods", "-o", "name"]).await, "");
    let nodes = kubectl.run(&["get", "nodes"]).await;
    assert!(nodes.contains("SchedulingDisabled"), "{nodes}");
    kubectl.run(&["uncordon", "edge-1"]).await;
    assert!(kubectl.run(&["describe", "node", "edge-1"]).await.contains("Unschedulable:      false"));
    kubectl.run(&["delete", "node", "edge-1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_resources_come_and_go_with_their_definition() {
    let kubectl = Try::start().await;
    kubectl.apply(DEFINITION).await;
    kubectl.run(&["wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=10s"]).await;
    assert_eq!(kubectl.apply(WIDGET).await, "widget.example.com/w created\n");
    assert_eq!(
        kubectl.run(&["get", "wd", "--no-headers"]).await.split_whitespace().collect::<Vec<_>>(),
        ["w", "3"]
    );
    assert_eq!(kubectl.value("wd/w", "{.spec.replicas}").await, "1", "defaulted");
    assert!(kubectl.run(&["explain", "widget.spec.size"]).await.contains("How large it is."));
    let wrong = kubectl.fails(&["apply", "-f", "-"], &WIDGET.replace('3', "0")).await;
    assert!(
        wrong.contains("spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        "{wrong}"
    );
    let unknown =
        kubectl.fails(&["apply", "-f", "-"], &WIDGET.replace("size: 3", "size: 3, colour: red")).await;
    assert!(unknown.contains("unknown field \"spec.colour\""), "{unknown}");
    kubectl.run(&["scale", "widget", "w", "--replicas=4"]).await;
    let status = r#"{"status":{"note":"done"},"spec":{"size":9}}"#;
    kubectl.run(&["patch", "wd", "w", "--subresource=status", "--type=merge", "-p", status]).await;
    assert_eq!(
        kubectl.value("wd/w", "{.spec}{.status.note} {.metadata.generation}").await,
        r#"{"replicas":4,"size":3}done 2"#
    );

    kubectl.run(&["delete", "crd", "widgets.example.com"]).await;
    assert!(kubectl.fails(&["get", "wd"], "").await.contains("could not find the requested resource"));
    kubectl.apply(DEFINITION).await;
    assert_eq!(kubectl.run(&["get", "widgets", "-o", "name"]).await, "", "the old objects are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_explanations_and_typed_commands() {
    let kubectl = Try::start().await;
    let resources = kubectl.run(&["api-resources", "--no-headers", "-o", "name"]).await;
    for name in ["pods", "leases.coordination.k8s.io", "customresourcedefinitions.apiextensions.k8s.io"] {
        assert!(resources.lines().any(|line| line == name), "{resources}");
    }
    assert!(
        kubectl.run(&["explain", "pod.spec.containers.ports"]).await.contains("containerPort\t<integer>")
    );
    assert!(kubectl.run(&["version"]).await.contains("Server Version: v1."));
    assert_eq!(kubectl.run(&["get", "--raw", "/readyz"]).await, "ok");

    kubectl.run(&["create", "namespace", "team"]).await;
    kubectl.run(&["create", "secret", "generic", "key", "-n", "team", "--from-literal=a=b"]).await;
    assert_eq!(
        kubectl.run(&["get", "secret", "key", "-n", "team", "-o", "jsonpath={.data.a} {.type}"]).await,
        "Yg== Opaque"
    );
    kubectl.run(&["create", "serviceaccount", "robot", "-n", "team"]).await;
    kubectl.run(&["run", "one", "--image=example/one:1", "--dry-run=server"]).await;
    assert_eq!(kubectl.run(&["get", "pods", "-o", "name"]).await, "", "a dry run stores nothing");
    assert_eq!(kubectl.run(&["auth", "can-i", "delete", "nodes"]).await, "yes\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_is_known_by_its_token_and_may_do_little() {
    let kubectl = Try::start().await;
    kubectl.run(&["create", "serviceaccount", "robot"]).await;
    let token = kubectl.run(&["create", "token", "robot"]).await;
    // Without the certificate of the kubeconfig, which would count first.
    let cluster: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&kubectl.kubeconfig).unwrap()).unwrap();
    let mut robot = cluster.clone();
    robot["users"] = serde_json::json!([{"name": "try", "user": {"token": token.trim()}}]);
    let path = kubectl.dir.path().join("robot");
    std::fs::write(&path, robot.to_string()).unwrap();
    let path = path.to_str().unwrap();

    let me = kubectl
        .run(&["--kubeconfig", path, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"])
        .await;
    assert_eq!(me, "system:serviceaccount:default:robot");
    let refused = kubectl.fails(&["--kubeconfig", path, "get", "pods"], "").await;
    let expected = "pods is forbidden: User \"system:serviceaccount:default:robot\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"";
    assert!(refused.contains(expected), "{refused}");

    kubectl.run(&["delete", "serviceaccount", "robot"]).await;
    let gone = kubectl.fails(&["--kubeconfig", path, "get", "pods"], "").await;
    assert!(gone.contains("Unauthorized") || gone.contains("must be logged in"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn get_with_watch_prints_changes_as_they_happen() {
    let kubectl = Try::start().await;
    kubectl.apply(CONFIG_MAP).await;
    let mut watch = kubectl.command(&["get", "configmaps", "-w", "--no-headers"]).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("settings   2"));
    kubectl.run(&["patch", "cm", "settings", "--type=merge", "-p", r#"{"data":{"shape":"round"}}"#]).await;
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("settings   3"));
    watch.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_watches_and_the_listener() {
    let kubectl = Try::start().await;
    let mut watch = kubectl.command(&["get", "--raw", "/api/v1/configmaps?watch=true"]).spawn().unwrap();
    kubectl.apply(CONFIG_MAP).await;
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().contains("ADDED"));
    kubectl.trigger.request();
    kubectl.server.await.unwrap().unwrap();
    assert!(!watch.wait().await.unwrap().success() || lines.next_line().await.unwrap().is_none());
}
