//! The file of a batch, as stock has it.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BatchFile {
    #[serde(default)]
    pub(super) keadm: Keadm,
    #[serde(default)]
    pub(super) nodes: Vec<Node>,
    #[serde(default = "five")]
    pub(super) max_run_num: usize,
}

/// What all nodes have in common.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Keadm {
    pub(super) download: Download,
    pub(super) keadm_version: String,
    pub(super) arch_group: Vec<String>,
    pub(super) offline_package_dir: String,
    pub(super) cmd_tpl_args: BTreeMap<String, String>,
    pub(super) keadm_bin_dir: String,
}

/// Where stock gets keadm from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Download {
    pub(super) enable: bool,
    pub(super) url: String,
}

/// One node.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "stock's file says the architecture; here the programs of --config are for all nodes"
)]
pub(super) struct Node {
    pub(super) node_name: String,
    #[serde(default)]
    pub(super) arch: String,
    pub(super) keadm_cmd: String,
    #[serde(default)]
    pub(super) copy_from: String,
    #[serde(default)]
    pub(super) keadm_bin_dir: String,
    pub(super) ssh: Ssh,
}

/// How it is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Ssh {
    pub(super) ip: String,
    pub(super) username: String,
    #[serde(default = "ssh_port")]
    pub(super) port: u16,
    #[serde(default)]
    pub(super) auth: Auth,
}

/// As whom.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct Auth {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) password_auth: Option<PasswordAuth>,
    pub(super) private_key_auth: Option<PrivateKeyAuth>,
}

/// Not taken; named so that the file can be read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct PasswordAuth {
    password: serde::de::IgnoredAny,
}

/// A key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(super) struct PrivateKeyAuth {
    pub(super) private_key_path: String,
}

fn five() -> usize {
    5
}

fn ssh_port() -> u16 {
    22
}

impl BatchFile {
    /// Reads it, and refuses what cannot be done before anything is.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        // The error's text must not quote the file: there are tokens in it.
        let options = serde_saphyr::options! { with_snippet: false };
        let batch: Self = serde_saphyr::from_str_with_options(text, options)?;
        ensure!(!batch.nodes.is_empty(), "nodes: there is none");
        for node in &batch.nodes {
            node.check().with_context(|| format!("node {:?}", node.node_name))?;
        }
        Ok(batch)
    }

    /// The words that keadm is called with on each node.
    pub(super) fn commands(&self) -> anyhow::Result<Vec<Vec<String>>> {
        let words = |node: &Node| {
            let words = filled(&node.keadm_cmd, &self.keadm.cmd_tpl_args).and_then(|text| split(&text));
            words.with_context(|| format!("keadmCmd of node {:?}", node.node_name))
        };
        self.nodes.iter().map(words).collect()
    }
}

impl Node {
    fn check(&self) -> anyhow::Result<()> {
        self.login()?;
        let auth = &self.ssh.auth;
        match auth.kind.as_str() {
            "" => {}
            "privateKey" => ensure!(
                auth.private_key_auth.as_ref().is_some_and(|key| !key.private_key_path.is_empty()),
                "ssh.auth.privateKeyAuth.privateKeyPath is missing"
            ),
            "password" => bail!(
                "ssh.auth.type: a password cannot be given to ssh; use a key (`ssh-copy-id {}@{}` puts it there)",
                self.ssh.username,
                self.ssh.ip
            ),
            other => bail!("ssh.auth.type: expected privateKey, found {other:?}"),
        }
        Ok(())
    }

    /// `user@host`, as `ssh` takes it; nothing that it would take for a flag.
    pub(super) fn login(&self) -> anyhow::Result<String> {
        let is_plain = |text: &str| {
            !text.is_empty()
                && !text.starts_with('-')
                && text.chars().all(|each| each.is_ascii_alphanumeric() || "._-:%".contains(each))
        };
        ensure!(is_plain(&self.ssh.username), "ssh.username: {:?} is no name of a user", self.ssh.username);
        ensure!(is_plain(&self.ssh.ip), "ssh.ip: {:?} is no address and no name of a host", self.ssh.ip);
        Ok(format!("{}@{}", self.ssh.username, self.ssh.ip))
    }

    /// `user@host:folder/`, as `scp` takes it: there an IPv6 address has brackets.
    pub(super) fn target(&self, folder: &str) -> String {
        let Ssh { username, ip, .. } = &self.ssh;
        if ip.contains(':') {
            format!("{username}@[{ip}]:{folder}/")
        } else {
            format!("{username}@{ip}:{folder}/")
        }
    }

    /// Flags of `ssh` and `scp` alike. Stock looks at no key of a host; here a known one must be the same.
    pub(super) fn options(&self) -> Vec<String> {
        let mut options =
            vec!["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "-o", "ConnectTimeout=20"];
        if let Some(key) =
            self.ssh.auth.private_key_auth.as_ref().filter(|key| !key.private_key_path.is_empty())
        {
            options.extend(["-i", key.private_key_path.as_str()]);
        }
        options.into_iter().map(str::to_owned).collect()
    }
}

/// `{{.name}}` replaced, which is all of Go's templates that stock's examples use.
fn filled(text: &str, values: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, after) = after.split_once("}}").context("{{ has no }}")?;
        let name = inside
            .trim()
            .strip_prefix('.')
            .with_context(|| format!("{{{{{inside}}}}} is no {{{{.name}}}}"))?;
        let value = values.get(name).with_context(|| format!("cmdTplArgs has no {name:?}"))?;
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    Ok(out + rest)
}

/// Words as a shell splits them: blanks, quotes of both kinds, backslashes. Nothing else means anything.
fn split(text: &str) -> anyhow::Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match (next, quote) {
            (quoted, Some(open)) if quoted == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(next);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(rest.next()),
            (blank, None) if blank.is_whitespace() => words.extend(word.take()),
            (other, _) => word.get_or_insert_default().push(other),
        }
    }
    ensure!(quote.is_none(), "a quote is not closed");
    words.extend(word);
    let words: Vec<String> = words;
    ensure!(!words.is_empty(), "it is empty");
    Ok(words)
}

/// One word for the shell over there.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |each: char| each.is_ascii_alphanumeric() || "-_=./:,@%+".contains(each);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
