//! The three Secrets that cloud replicas share (spec cloud-and-wire 2.9): the CA, the hub's server certificate and the
//! join token. Each is read, or made and created by compare-and-swap; the CA is never overwritten.

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use crate::ca::{Ca, CaError};
use crate::certificate::CertificateInfo;
use crate::key::PrivateKey;
use crate::san::SanList;
use crate::store::{SecretData, SecretStore, StoreError};
use crate::tls::TlsIdentity;
use crate::token::{JoinToken, TokenError};

/// Namespace of the Secrets.
pub const NAMESPACE: &str = "kubeedge";
/// Secret of the CA.
pub const CA_SECRET: &str = "casecret";
/// Secret of the hub's server certificate.
pub const SERVER_SECRET: &str = "cloudcoresecret";
/// Secret of the join token.
pub const TOKEN_SECRET: &str = "tokensecret";
/// Key of the join token in its Secret.
pub const TOKEN_KEY: &str = "tokendata";

const CA_KEYS: PairKeys = PairKeys { certificate: "cadata", key: "cakeydata" };
const SERVER_KEYS: PairKeys = PairKeys { certificate: "cloudcoredata", key: "cloudcorekeydata" };

/// How often a lost compare-and-swap is tried again. Each loss means that another replica won, and there are a
/// handful of replicas that write once at start, so more than this many losses in a row is a fault.
const MAX_ATTEMPTS: usize = 8;

/// Why the shared secrets cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A Secret lacks one of its keys.
    #[error("secret {NAMESPACE}/{secret} has no key {key}")]
    MissingKey {
        /// Name of the Secret.
        secret: &'static str,
        /// The key in it.
        key: &'static str,
    },
    /// A Secret holds something that cannot be used, or making a new one failed.
    #[error("secret {NAMESPACE}/{secret}: {source}")]
    Unusable {
        /// Name of the Secret.
        secret: &'static str,
        /// What is wrong.
        source: CaError,
    },
    /// The CA in local files is not the one in the Secret. Edges trust one of them, and only a person knows which.
    #[error(
        "the CA in local files (SHA-256 {local}) is not the one in secret {NAMESPACE}/{CA_SECRET} (SHA-256 {shared}): remove the wrong one"
    )]
    OtherCa {
        /// Fingerprint of the CA in files.
        local: String,
        /// Fingerprint of the CA in the Secret.
        shared: String,
    },
    /// A join token cannot be made.
    #[error("join token: {0}")]
    Token(#[from] TokenError),
}

/// The two keys of a Secret that holds a certificate and its private key, both in DER.
struct PairKeys {
    certificate: &'static str,
    key: &'static str,
}

/// The CA of this installation: from the Secret; else `local` (from files that the configuration names); else a new one. What was
/// not in the Secret is put there, and when two replicas do so at once, both end with the first one's.
pub async fn load_or_create_ca(
    store: &impl SecretStore,
    local: Option<&Ca>,
    now: Timestamp,
) -> Result<Ca, AuthorityError> {
    let unusable = |source| AuthorityError::Unusable { secret: CA_SECRET, source };
    for _ in 0..MAX_ATTEMPTS {
        if let Some(found) = store.get(CA_SECRET).await? {
            let (certificate, key) = CA_KEYS.read(&found.data, CA_SECRET)?;
            let shared = Ca::from_der(certificate, key).map_err(unusable)?;
            return match local {
                Some(local) if local.cert_der() != shared.cert_der() => {
                    Err(AuthorityError::OtherCa { local: local.fingerprint(), shared: shared.fingerprint() })
                }
                _ => Ok(shared),
            };
        }
        let ca = match local {
            Some(local) => local.clone(),
            None => Ca::generate(now).map_err(unusable)?,
        };
        let data = CA_KEYS.write(ca.cert_der(), ca.key());
        match store.create(CA_SECRET, &data).await {
            Ok(()) => return Ok(ca),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict(CA_SECRET.to_owned()).into())
}

/// The hub's server certificate: the shared one if it is of this CA, still good and covers `names`; else a new one for
/// its names and ours. Stock never issues it anew when an address changes.
pub async fn load_or_create_server(
    store: &impl SecretStore,
    ca: &Ca,
    names: &SanList,
    now: Timestamp,
) -> Result<TlsIdentity, AuthorityError> {
    for _ in 0..MAX_ATTEMPTS {
        let found = store.get(SERVER_SECRET).await?;
        let mut wanted = names.clone();
        if let Some(found) = &found {
            // What cannot be read is replaced: unlike the CA, nobody pins it.
            if let Ok((identity, info)) = read_server(&found.data) {
                if ca.issued(identity.certificate(), now) && info.names.covers(names) {
                    return Ok(identity);
                }
                wanted = names.union(&info.names);
            }
        }
        let identity = ca
            .issue_server(&wanted, now)
            .map_err(|source| AuthorityError::Unusable { secret: SERVER_SECRET, source })?;
        let data = SERVER_KEYS.write(identity.certificate(), identity.key());
        match write(store, SERVER_SECRET, &data, found.map(|it| it.version)).await {
            Ok(()) => return Ok(identity),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict(SERVER_SECRET.to_owned()).into())
}

/// The join token: the shared one while it is good for another half of `ttl` and not from before `since`, else a new one for `ttl`.
/// Calling this every half `ttl` keeps a good one in the Secret, whichever replica gets there first.
pub async fn load_or_refresh_token(
    store: &impl SecretStore,
    ca: &Ca,
    ttl: SignedDuration,
    now: Timestamp,
    since: Option<Timestamp>,
) -> Result<JoinToken, AuthorityError> {
    let is_recent = |expiry: Timestamp| since.is_none_or(|since| expiry.duration_since(since) >= ttl);
    for _ in 0..MAX_ATTEMPTS {
        let found = store.get(TOKEN_SECRET).await?;
        let held = found.as_ref().and_then(|found| read_token(&found.data));
        if let Some(token) = held
            && token
                .verify(ca, now)
                .is_ok_and(|expiry| expiry.duration_since(now) > ttl / 2 && is_recent(expiry))
        {
            return Ok(token);
        }
        let token = JoinToken::issue(ca, since.map_or(now, |since| now.max(since)), ttl)?;
        let data = SecretData::new([(TOKEN_KEY, token.expose().as_bytes())]);
        match write(store, TOKEN_SECRET, &data, found.map(|it| it.version)).await {
            Ok(()) => return Ok(token),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict(TOKEN_SECRET.to_owned()).into())
}

/// The join token that is in the store now, if it has the shape of one.
pub async fn current_token(store: &impl SecretStore) -> Result<Option<JoinToken>, StoreError> {
    Ok(store.get(TOKEN_SECRET).await?.and_then(|found| read_token(&found.data)))
}

async fn write(
    store: &impl SecretStore,
    name: &str,
    data: &SecretData,
    version: Option<String>,
) -> Result<(), StoreError> {
    match version {
        Some(version) => store.replace(name, data, &version).await,
        None => store.create(name, data).await,
    }
}

fn read_token(data: &SecretData) -> Option<JoinToken> {
    let text = std::str::from_utf8(data.get(TOKEN_KEY)?).ok()?;
    JoinToken::parse(text).ok()
}

fn read_server(data: &SecretData) -> Result<(TlsIdentity, CertificateInfo), AuthorityError> {
    let unusable = |source| AuthorityError::Unusable { secret: SERVER_SECRET, source };
    let (certificate, key) = SERVER_KEYS.read(data, SERVER_SECRET)?;
    let key = PrivateKey::from_der(key).map_err(CaError::from).map_err(unusable)?;
    let identity = TlsIdentity::new(certificate.to_vec().into(), key);
    let info = CertificateInfo::from_der(identity.certificate()).map_err(CaError::from).map_err(unusable)?;
    if info.belongs_to(identity.key()) { Ok((identity, info)) } else { Err(unusable(CaError::Mismatch)) }
}

impl PairKeys {
    fn read<'a>(
        &self,
        data: &'a SecretData,
        secret: &'static str,
    ) -> Result<(&'a [u8], &'a [u8]), AuthorityError> {
        let get = |key| data.get(key).ok_or(AuthorityError::MissingKey { secret, key });
        Ok((get(self.certificate)?, get(self.key)?))
    }

    fn write(&self, certificate: &[u8], key: &PrivateKey) -> SecretData {
        SecretData::new([(self.certificate, certificate), (self.key, key.sec1_der())])
    }
}

#[cfg(test)]
mod tests;
