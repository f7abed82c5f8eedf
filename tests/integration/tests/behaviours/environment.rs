//! Variables, commands, arguments and the downward API.

use super::further_images::{ENTRY, FITTED};
use super::row::{Row, pages};

const SETTINGS: &str =
    "{kind: ConfigMap, metadata: {name: settings}, data: {COLOUR: red, SIZE: '7', not-a-name: x}}";
const KEYS: &str = "{kind: Secret, metadata: {name: keys}, stringData: {PASSWORD: 'p4ss', user: me}}";

pub(crate) fn rows() -> Vec<Row> {
    [variables(), missing(), downward(), commands()].concat()
}

fn variables() -> Vec<Row> {
    let row = |name, page, env: &str, args: &str| {
        Row::new(name, page)
            .object(SETTINGS)
            .object(KEYS)
            .once(&format!("{{env: {env}, args: [report, {args}]}}"))
    };
    vec![
        row("a literal variable", pages::ENV, "[{name: A, value: one two}, {name: B}]", "'env:A', 'env:B', 'env:C'")
            .says("{'env:A': one two, 'env:B': '', 'env:C': null}"),
        row(
            "variables may refer to earlier ones",
            pages::ENV_EXPANSION,
            "[{name: A, value: x}, {name: B, value: '$(A)-$(A)'}, {name: C, value: '$(LATER)'}, {name: LATER, value: y}]",
            "'env:B', 'env:C'",
        )
        .says("{'env:B': x-x, 'env:C': '$(LATER)'}"),
        row(
            "two dollar signs are one, and hide a reference",
            pages::ENV_EXPANSION,
            "[{name: A, value: x}, {name: B, value: '$$(A)'}, {name: C, value: '$$$(A)'}, {name: D, value: '$A'}]",
            "'env:B', 'env:C', 'env:D'",
        )
        .says("{'env:B': $(A), 'env:C': $x, 'env:D': $A}"),
        row(
            "a variable from a key of a config map",
            pages::ENV_CONFIG_MAP,
            "[{name: A, valueFrom: {configMapKeyRef: {name: settings, key: COLOUR}}}]",
            "'env:A'",
        )
        .says("{'env:A': red}"),
        row(
            "a variable from a key of a secret",
            pages::ENV_SECRET,
            "[{name: A, valueFrom: {secretKeyRef: {name: keys, key: PASSWORD}}}]",
            "'env:A'",
        )
        .says("{'env:A': p4ss}"),
        row(
            "an optional object or key that is missing leaves the variable unset",
            pages::ENV_SECRET,
            "[{name: A, valueFrom: {configMapKeyRef: {name: none, key: k, optional: true}}},
              {name: B, valueFrom: {secretKeyRef: {name: keys, key: none, optional: true}}},
              {name: C, valueFrom: {secretKeyRef: {name: none, key: k, optional: true}}}]",
            "'env:A', 'env:B', 'env:C'",
        )
        .says("{'env:A': null, 'env:B': null, 'env:C': null}"),
        Row::new("all of a config map and of a secret", pages::ENV_CONFIG_MAP)
            .object(SETTINGS)
            .object(KEYS)
            .once("{envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: keys}}], args: [report, env]}")
            .says("{env: {COLOUR: red, SIZE: '7', not-a-name: x, PASSWORD: p4ss, user: me}}"),
        Row::new("all of a config map with a prefix", pages::ENV_CONFIG_MAP)
            .object(SETTINGS)
            .once("{envFrom: [{prefix: P_, configMapRef: {name: settings}}], args: [report, env]}")
            .says("{env: {P_COLOUR: red, P_SIZE: '7', COLOUR: null}}"),
        Row::new("a variable of its own wins over envFrom, a later envFrom over an earlier", pages::ENV_CONFIG_MAP)
            .object(SETTINGS)
            .object("{kind: ConfigMap, metadata: {name: more}, data: {SIZE: '8', COLOUR: blue}}")
            .once(
                "{envFrom: [{configMapRef: {name: settings}}, {configMapRef: {name: more}}],
                  env: [{name: COLOUR, value: green}], args: [report, 'env:COLOUR', 'env:SIZE']}",
            )
            .says("{'env:COLOUR': green, 'env:SIZE': '8'}"),
        Row::new("an optional envFrom may be missing", pages::ENV_CONFIG_MAP)
            .once("{envFrom: [{configMapRef: {name: none, optional: true}}, {secretRef: {name: none, optional: true}}], args: [exit, '0']}")
            .shows("{phase: Succeeded}"),
        Row::new("the image's variables stay, and the pod's win", pages::ENV)
            .once(&format!(
                "{{image: '{FITTED}', imagePullPolicy: Never, env: [{{name: OVERRIDDEN, value: pod}}], securityContext: {{runAsUser: 0}},
                  args: [report, 'env:FROM_IMAGE', 'env:OVERRIDDEN']}}"
            ))
            .says("{'env:FROM_IMAGE': 'yes', 'env:OVERRIDDEN': pod}"),
    ]
}

fn missing() -> Vec<Row> {
    let row = |name, page, source: &str| {
        Row::new(name, page).object(SETTINGS).object(KEYS).spec(&format!(
            "{{containers: [{{name: main, args: [pause], env: [{{name: A, valueFrom: {source}}}]}}]}}"
        ))
    };
    let error = "CreateContainerConfigError";
    vec![
        row("a config map that is missing", pages::ENV_CONFIG_MAP, "{configMapKeyRef: {name: none, key: k}}")
            .waits(error, "configmap \"none\" not found")
            .shows("{phase: Pending}")
            .event("Failed", "configmap \"none\" not found"),
        row("a secret that is missing", pages::SECRETS, "{secretKeyRef: {name: none, key: k}}")
            .waits(error, "secret \"none\" not found"),
        row(
            "a key of a config map that is missing",
            pages::ENV_CONFIG_MAP,
            "{configMapKeyRef: {name: settings, key: none}}",
        )
        .waits(error, "couldn't find key none in ConfigMap @namespace/settings"),
        row("a key of a secret that is missing", pages::SECRETS, "{secretKeyRef: {name: keys, key: none}}")
            .waits(error, "couldn't find key none in Secret @namespace/keys"),
        Row::new("an envFrom that is missing", pages::ENV_CONFIG_MAP)
            .spec("{containers: [{name: main, args: [pause], envFrom: [{secretRef: {name: none}}]}]}")
            .waits(error, "secret \"none\" not found"),
        row(
            "a config map that comes later",
            pages::ENV_CONFIG_MAP,
            "{configMapKeyRef: {name: late, key: k}}",
        )
        .waits(error, "late")
        .apply("{kind: ConfigMap, metadata: {name: late}, data: {k: v}}")
        .shows("{phase: Running, containerStatuses: [{name: main, restartCount: 0}]}"),
    ]
}

fn downward() -> Vec<Row> {
    let field =
        |name: &str, path: &str| format!("{{name: {name}, valueFrom: {{fieldRef: {{fieldPath: {path}}}}}}}");
    let resource = |name: &str, resource: &str, divisor: &str| {
        format!(
            "{{name: {name}, valueFrom: {{resourceFieldRef: {{resource: {resource}, divisor: {divisor}}}}}}}"
        )
    };
    let metadata = [
        field("NAME", "metadata.name"),
        field("NAMESPACE", "metadata.namespace"),
        field("UID", "metadata.uid"),
        field("LABEL", r#""metadata.labels['app']""#),
        field("ANNOTATION", r#""metadata.annotations['example.com/note']""#),
        field("NO_LABEL", r#""metadata.labels['none']""#),
    ];
    let status = [
        field("NODE", "spec.nodeName"),
        field("ACCOUNT", "spec.serviceAccountName"),
        field("HOST", "status.hostIP"),
        field("HOSTS", "status.hostIPs"),
        field("POD", "status.podIP"),
        field("PODS", "status.podIPs"),
    ];
    let resources = [
        resource("CPU", "limits.cpu", "'0'"),
        resource("MILLI", "limits.cpu", "1m"),
        resource("MEMORY", "limits.memory", "'0'"),
        resource("MIB", "limits.memory", "1Mi"),
        resource("REQUEST", "requests.cpu", "1m"),
        resource("REQUESTED", "requests.memory", "1Ki"),
    ];
    vec![
        Row::new("variables from the pod's metadata", pages::DOWNWARD)
            .metadata("{labels: {app: shop}, annotations: {example.com/note: hi there}}")
            .once(&format!("{{env: [{}], args: [report, env]}}", metadata.join(", ")))
            .says(
                "{env: {NAME: pod, NAMESPACE: '@namespace', UID: '~-', LABEL: shop, ANNOTATION: hi there, NO_LABEL: ''}}",
            ),
        Row::new("variables from the pod's spec and status", pages::DOWNWARD)
            .once(&format!("{{env: [{}], args: [report, env]}}", status.join(", ")))
            .says("{env: {NODE: edge-1, ACCOUNT: default, HOST: '~.', HOSTS: '~.', POD: '~.', PODS: '~.'}}")
            .holds("the addresses are those of the status", |scene| {
                let status = scene.pod.status.clone().unwrap_or_default();
                let message = super::run::last_message(scene.pod, "main").map_err(anyhow::Error::msg)?;
                for (name, address) in [("HOST", status.host_ip), ("POD", status.pod_ip)] {
                    let expected = format!("\"{name}\":\"{}\"", address.unwrap_or_default());
                    anyhow::ensure!(message.contains(&expected), "{expected} is not in {message}");
                }
                Ok(())
            }),
        Row::new("variables from the container's resources, in units of a divisor", pages::DOWNWARD)
            .once(&format!(
                "{{resources: {{requests: {{cpu: 250m, memory: 1Mi}}, limits: {{cpu: 1500m, memory: 64Mi}}}}, env: [{}], args: [report, env]}}",
                resources.join(", ")
            ))
            .says("{env: {CPU: '2', MILLI: '1500', MEMORY: '67108864', MIB: '64', REQUEST: '250', REQUESTED: '1024'}}"),
        Row::new("a resource without a limit shows what the node has", pages::DOWNWARD)
            .once(&format!("{{env: [{}], args: [report, env]}}", resource("MEMORY", "limits.memory", "1Mi")))
            .holds("it is a large number", |scene| {
                let message = super::run::last_message(scene.pod, "main").map_err(anyhow::Error::msg)?;
                let report: serde_json::Value = serde_json::from_str(&message)?;
                let mib: u64 = report["env"]["MEMORY"].as_str().unwrap_or_default().parse()?;
                anyhow::ensure!(mib > 256, "{mib}");
                Ok(())
            }),
        Row::new("a resource of another container", pages::DOWNWARD)
            .spec(
                "{restartPolicy: Never, containers: [
                  {name: main, args: [report, 'env:A'], env: [{name: A, valueFrom: {resourceFieldRef: {containerName: other, resource: limits.memory}}}]},
                  {name: other, args: [exit, '0'], resources: {limits: {memory: 48Mi}}}]}",
            )
            .says("{'env:A': '50331648'}"),
    ]
}

fn commands() -> Vec<Row> {
    let row = |name, yaml: &str| {
        Row::new(name, pages::COMMAND).once(&format!("{{image: '{ENTRY}', imagePullPolicy: Never, {yaml}}}"))
    };
    vec![
        row("neither command nor args: the image's ENTRYPOINT and CMD", "env: []").last("main", "entry cmd"),
        row("args without command: ENTRYPOINT with these args", "args: [mine]").last("main", "entry mine"),
        row("command without args: the command alone", "command: [/demo-app, say, command]")
            .last("main", "command"),
        row("command and args: both", "command: [/demo-app, say, command], args: [mine]")
            .last("main", "command mine"),
        row(
            "args may refer to variables",
            "env: [{name: A, value: x}], args: ['$(A)', '$$(A)', '$(NONE)', '$A']",
        )
        .last("main", "entry x $(A) $(NONE) $A"),
        row(
            "a command may refer to variables",
            "env: [{name: PROGRAM, value: demo-app}], command: [/$(PROGRAM), say, done]",
        )
        .last("main", "done"),
        Row::new("the image's directory to work in", pages::API)
            .once(&format!("{{image: '{FITTED}', imagePullPolicy: Never, args: [report, cwd]}}"))
            .says("{cwd: /work}"),
        Row::new("workingDir wins over the image's, and is made", pages::API)
            .once(&format!(
                "{{image: '{FITTED}', imagePullPolicy: Never, workingDir: /else/where, args: [report, cwd]}}"
            ))
            .says("{cwd: /else/where}"),
        Row::new("a terminal when one is asked for", pages::API)
            .once("{tty: true, stdin: true, args: [report, tty]}")
            .says("{tty: true}"),
        Row::new("no terminal when none is asked for", pages::API)
            .once("{args: [report, tty]}")
            .says("{tty: false}"),
    ]
}
