//! Volumes whose files come from objects: config maps, secrets, the downward API, tokens.

use super::row::{Row, pages};

const SETTINGS: &str =
    "{kind: ConfigMap, metadata: {name: settings}, data: {a: one, b: two}, binaryData: {c: AAH/}}";
const KEYS: &str = "{kind: Secret, metadata: {name: keys}, stringData: {user: me, password: s3}}";
/// Where a pod finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

pub(crate) fn rows() -> Vec<Row> {
    [objects(), updates(), downward(), projected()].concat()
}

/// A pod that mounts `volume` at `/v`, in a row that has a config map and a secret.
fn row(name: &'static str, page: &'static str, volume: &str, args: &str) -> Row {
    Row::new(name, page)
        .object(SETTINGS)
        .object(KEYS)
        .once(&format!("{{args: [{args}], volumeMounts: [{{name: v, mountPath: /v}}]}}"))
        .with(&format!("{{volumes: [{{name: v, {volume}}}]}}"))
}

fn objects() -> Vec<Row> {
    vec![
        row(
            "a config map as files",
            pages::ENV_CONFIG_MAP,
            "configMap: {name: settings}",
            "report, 'file:/v/a', 'file:/v/b', 'file:/v/c', 'create:/v/new'",
        )
        .says(
            "{'file:/v/a': {text: one, mode: '0644', uid: 0, gid: 0}, 'file:/v/b': {text: two},
              'file:/v/c': {kind: file}, 'create:/v/new': {error: EROFS}}",
        ),
        row(
            "chosen keys under other names and modes",
            pages::ENV_CONFIG_MAP,
            "configMap: {name: settings, defaultMode: 256, items: [{key: a, path: deep/er/x}, {key: b, path: y, mode: 384}]}",
            "report, 'file:/v/deep/er/x', 'file:/v/y', 'file:/v/a', 'list:/v'",
        )
        .says(
            "{'file:/v/deep/er/x': {text: one, mode: '0400'}, 'file:/v/y': {text: two, mode: '0600'}, 'file:/v/a': {error: ENOENT}, 'list:/v': [deep, y]}",
        ),
        row(
            "a config map that is optional and missing is an empty directory",
            pages::ENV_CONFIG_MAP,
            "configMap: {name: none, optional: true}",
            "report, 'file:/v', 'file:/v/a'",
        )
        .says("{'file:/v': {kind: directory}, 'file:/v/a': {error: ENOENT}}"),
        row("a config map that is missing keeps the pod waiting", pages::ENV_CONFIG_MAP, "configMap: {name: none}", "pause")
            .event("FailedMount", "configmap \"none\" not found")
            .waits("ContainerCreating", "")
            .apply("{kind: ConfigMap, metadata: {name: none}, data: {a: x}}")
            .shows("{phase: Running}"),
        row("a key that is missing keeps the pod waiting", pages::ENV_CONFIG_MAP, "configMap: {name: settings, items: [{key: none, path: x}]}", "pause")
            .event("FailedMount", "references non-existent config key: none")
            .shows("{phase: Pending}"),
        row(
            "a secret as files, in memory",
            pages::SECRETS,
            "secret: {secretName: keys}",
            "report, 'file:/v/user', 'file:/v/password', 'mount:/v', 'create:/v/new'",
        )
        .says(
            "{'file:/v/user': {text: me, mode: '0644'}, 'file:/v/password': {text: s3}, 'mount:/v': {type: tmpfs}, 'create:/v/new': {error: EROFS}}",
        ),
        row("the default mode of a secret's files", pages::SECRETS, "secret: {secretName: keys, defaultMode: 256}", "report, 'file:/v/user'")
            .says("{'file:/v/user': {mode: '0400', text: me}}"),
        row("a secret that is missing keeps the pod waiting", pages::SECRETS, "secret: {secretName: none}", "pause")
            .event("FailedMount", "secret \"none\" not found")
            .waits("ContainerCreating", ""),
        Row::new("a volume may be mounted twice and in two containers", pages::VOLUMES)
            .object(SETTINGS)
            .spec(
                "{restartPolicy: Never, volumes: [{name: v, configMap: {name: settings}}], containers: [
                  {name: main, args: [report, 'file:/v/a', 'file:/w/a'], volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /w}]},
                  {name: other, args: [report, 'file:/x/a'], volumeMounts: [{name: v, mountPath: /x}]}]}",
            )
            .says("{'file:/v/a': {text: one}, 'file:/w/a': {text: one}}")
            .container_says("other", "{'file:/x/a': {text: one}}"),
    ]
}

fn updates() -> Vec<Row> {
    let changed = "{kind: ConfigMap, metadata: {name: settings}, data: {a: changed, b: null}}";
    vec![
        row(
            "a change of a config map becomes visible, all at once",
            pages::CONFIG_MAP_UPDATES,
            "configMap: {name: settings}",
            "until, /v/a, changed, then, report, 'file:/v/a', 'file:/v/b'",
        )
        .shows("{phase: Running}")
        .apply(changed)
        .says("{'file:/v/a': {text: changed}, 'file:/v/b': {error: ENOENT}}"),
        row(
            "a change of a secret becomes visible",
            pages::SECRETS,
            "secret: {secretName: keys}",
            "until, /v/user, you, then, report, 'file:/v/user'",
        )
        .shows("{phase: Running}")
        .apply("{kind: Secret, metadata: {name: keys}, stringData: {user: you}}")
        .says("{'file:/v/user': {text: you}}"),
        Row::new("a file that is mounted by subPath does not change", pages::CONFIG_MAP_UPDATES)
            .object(SETTINGS)
            .once(
                "{args: [until, /v/a, changed, then, report, 'file:/one/a'],
                  volumeMounts: [{name: v, mountPath: /v}, {name: v, mountPath: /one/a, subPath: a}]}",
            )
            .with("{volumes: [{name: v, configMap: {name: settings}}]}")
            .shows("{phase: Running}")
            .apply(changed)
            .says("{'file:/one/a': {text: one}}"),
        Row::new("variables do not change", pages::CONFIG_MAP_UPDATES)
            .object(SETTINGS)
            .once(
                "{args: [until, /v/a, changed, then, report, 'env:A'], volumeMounts: [{name: v, mountPath: /v}],
                  env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: a}}}]}",
            )
            .with("{volumes: [{name: v, configMap: {name: settings}}]}")
            .shows("{phase: Running}")
            .apply(changed)
            .says("{'env:A': one}"),
        row(
            "a change of the pod's labels becomes visible",
            pages::DOWNWARD_VOLUME,
            "downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}",
            "until, /v/labels, 'app=\"late\"', then, report, 'file:/v/labels'",
        )
        .metadata("{labels: {app: early}}")
        .shows("{phase: Running}")
        .apply("{kind: Pod, metadata: {name: pod, labels: {app: late}}}")
        .says("{'file:/v/labels': {text: 'app=\"late\"'}}"),
    ]
}

fn downward() -> Vec<Row> {
    vec![
        row(
            "the pod's metadata as files",
            pages::DOWNWARD_VOLUME,
            "downwardAPI: {defaultMode: 288, items: [
               {path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: notes, fieldRef: {fieldPath: metadata.annotations}, mode: 256},
               {path: name, fieldRef: {fieldPath: metadata.name}}, {path: where/namespace, fieldRef: {fieldPath: metadata.namespace}},
               {path: one, fieldRef: {fieldPath: \"metadata.labels['app']\"}}]}",
            "report, 'file:/v/labels', 'file:/v/notes', 'file:/v/name', 'file:/v/where/namespace', 'file:/v/one'",
        )
        .metadata("{labels: {app: shop, tier: front}, annotations: {note: \"two\\nlines\"}}")
        .says(
            "{'file:/v/labels': {text: \"app=\\\"shop\\\"\\ntier=\\\"front\\\"\", mode: '0440'}, 'file:/v/notes': {text: '~note=\"two\\nlines\"', mode: '0400'},
              'file:/v/name': {text: pod}, 'file:/v/where/namespace': {text: '@namespace'}, 'file:/v/one': {text: shop}}",
        ),
        row(
            "the containers' resources as files",
            pages::DOWNWARD_VOLUME,
            "downwardAPI: {items: [{path: cpu, resourceFieldRef: {containerName: main, resource: limits.cpu, divisor: 1m}},
                                   {path: memory, resourceFieldRef: {containerName: main, resource: requests.memory, divisor: 1Mi}}]}",
            "report, 'file:/v/cpu', 'file:/v/memory'",
        )
        .with(
            "{containers: [{name: main, args: [report, 'file:/v/cpu', 'file:/v/memory'], volumeMounts: [{name: v, mountPath: /v}],
                            resources: {limits: {cpu: 250m, memory: 32Mi}}}]}",
        )
        .says("{'file:/v/cpu': {text: '250'}, 'file:/v/memory': {text: '32'}}"),
    ]
}

fn projected() -> Vec<Row> {
    vec![
        row(
            "several sources in one directory",
            pages::PROJECTED,
            "projected: {defaultMode: 288, sources: [{configMap: {name: settings, items: [{key: a, path: from-map}]}},
               {secret: {name: keys, items: [{key: user, path: from-secret, mode: 256}]}},
               {downwardAPI: {items: [{path: from-pod, fieldRef: {fieldPath: metadata.name}}]}}]}",
            "report, 'file:/v/from-map', 'file:/v/from-secret', 'file:/v/from-pod'",
        )
        .says(
            "{'file:/v/from-map': {text: one, mode: '0440'}, 'file:/v/from-secret': {text: me, mode: '0400'}, 'file:/v/from-pod': {text: pod}}",
        ),
        row(
            "a token with an audience, an expiry and a path of its own",
            pages::PROJECTED,
            "projected: {sources: [{serviceAccountToken: {path: my/token, audience: vault, expirationSeconds: 1200}}]}",
            "report, 'file:/v/my/token'",
        )
        .says("{'file:/v/my/token': {kind: file, text: '~.'}}")
        .holds("the token says so", |scene| {
            let claims = claims(scene.pod, "file:/v/my/token")?;
            anyhow::ensure!(claims["aud"] == serde_json::json!(["vault"]), "{claims}");
            let lives = claims["exp"].as_i64().zip(claims["iat"].as_i64()).map(|(exp, iat)| exp - iat);
            anyhow::ensure!(lives == Some(1200), "{claims}");
            let pod = &claims["kubernetes.io"]["pod"];
            anyhow::ensure!(pod["uid"].as_str() == scene.pod.metadata.uid.as_deref(), "{claims}");
            Ok(())
        }),
        Row::new("every pod gets its service account", pages::ACCOUNTS)
            .once(&format!("{{args: [report, 'file:{ACCOUNT}/namespace', 'list:{ACCOUNT}', 'file:{ACCOUNT}/token', 'create:{ACCOUNT}/x']}}"))
            .says(&format!(
                "{{'file:{ACCOUNT}/namespace': {{text: '@namespace'}}, 'list:{ACCOUNT}': [ca.crt, namespace, token], 'file:{ACCOUNT}/token': {{text: '~.'}},
                   'create:{ACCOUNT}/x': {{error: EROFS}}}}"
            )),
        Row::new("unless it wants none", pages::ACCOUNTS)
            .once(&format!("{{args: [report, 'file:{ACCOUNT}']}}"))
            .with("{automountServiceAccountToken: false}")
            .says(&format!("{{'file:{ACCOUNT}': {{error: ENOENT}}}}")),
        Row::new("a token can be read by a pod that is not root", pages::PROJECTED)
            .once(&format!("{{args: [report, 'file:{ACCOUNT}/token', id]}}"))
            .with("{securityContext: {runAsUser: 1000, runAsGroup: 1000}}")
            .says(&format!("{{'file:{ACCOUNT}/token': {{mode: '0600', uid: 1000, text: '~.'}}, id: {{uid: 1000}}}}")),
    ]
}

/// The claims of the token that container `main` reported.
fn claims(pod: &k8s_openapi::api::core::v1::Pod, file: &str) -> anyhow::Result<serde_json::Value> {
    use anyhow::Context as _;
    use base64::Engine as _;

    let message = super::run::last_message(pod, "main").map_err(anyhow::Error::msg)?;
    let report: serde_json::Value = serde_json::from_str(&message)?;
    let token = report[file]["text"].as_str().context("no token")?;
    let claims = token.split('.').nth(1).context("not three parts")?;
    Ok(serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims)?)?)
}
