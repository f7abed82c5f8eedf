//! Tokens in a file, a line each: `token,name` for every rule, or `token,name,namespace` for those of one namespace. Empty lines and what
//! begins with `#` say nothing. It is read when CloudCore starts.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::{Caller, Fingerprint, May};

/// What is shorter can be guessed.
const SHORTEST: usize = 16;

/// The tokens, by what they are compared by: how long a comparison takes says nothing about a token then.
#[derive(Debug)]
pub(in crate::router) struct TokenFile {
    callers: HashMap<Fingerprint, Caller>,
}

impl TokenFile {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let what = || format!("{} (modules.router.tokenFile)", path.display());
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", what()))?;
        Self::parse(&text).with_context(what)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut callers = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = number + 1;
            let (token, name, namespace) = match *line.split(',').map(str::trim).collect::<Vec<_>>() {
                [token, name] => (token, name, None),
                [token, name, namespace] if !namespace.is_empty() => (token, name, Some(namespace)),
                _ => anyhow::bail!("line {number}: expected token,name or token,name,namespace"),
            };
            anyhow::ensure!(
                token.len() >= SHORTEST,
                "line {number}: a token has {SHORTEST} characters at least"
            );
            anyhow::ensure!(!name.is_empty(), "line {number}: the token has no name");
            let fingerprint: Fingerprint = Sha256::digest(token).into();
            let may = namespace.map_or(May::All, |namespace| May::Only(namespace.to_owned()));
            callers.insert(fingerprint, Caller { name: name.to_owned(), fingerprint, may });
        }
        anyhow::ensure!(!callers.is_empty(), "there is no token in it");
        Ok(Self { callers })
    }

    pub(super) fn find(&self, fingerprint: &Fingerprint) -> Option<&Caller> {
        self.callers.get(fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_token() {
        let file =
            TokenFile::parse("# who may\n0123456789abcdef,app\n\n 0123456789abcdeF , other , ns \n").unwrap();
        let find = |token: &str| {
            file.find(&Sha256::digest(token).into()).map(|caller| (caller.name.as_str(), &caller.may))
        };
        assert_eq!(find("0123456789abcdef"), Some(("app", &May::All)));
        assert_eq!(find("0123456789abcdeF"), Some(("other", &May::Only("ns".to_owned()))));
        assert_eq!(find("0123456789abcde"), None);
        for wrong in [
            "",
            "# nobody",
            "short,app",
            "0123456789abcdef",
            "0123456789abcdef,",
            "0123456789abcdef,a,",
            "0123456789abcdef,a,b,c",
        ] {
            assert!(TokenFile::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
