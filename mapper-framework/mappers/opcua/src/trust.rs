//! Files with keys, certificates and passwords, and whom they make us believe.

use std::path::Path;
use std::sync::Arc;

use opcua::client::IdentityToken;
use opcua::crypto::{CertificateStore, X509};
use opcua::sync::RwLock;
use tempfile::TempDir;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::config::{Security, Trust, User, read_file};

/// The name that we have where no certificate says another one.
const APPLICATION: &str = "urn:skerry:opcua-mapper";

/// Certificates as the client wants them: in a folder, which goes away with this value.
pub(crate) struct Store {
    pub(crate) certificates: Arc<RwLock<CertificateStore>>,
    /// Our application's URI: servers compare it with our certificate.
    pub(crate) application: String,
    _folder: Option<TempDir>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("application", &self.application).finish_non_exhaustive()
    }
}

impl Store {
    /// What `security` names; without security there is nothing in it.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be.
    pub(crate) fn open(security: Option<&Security>) -> Result<Self, String> {
        let Some(security) = security else {
            let nowhere = CertificateStore::new(Path::new("/nonexistent"));
            let certificates = Arc::new(RwLock::new(nowhere));
            return Ok(Self { certificates, application: APPLICATION.to_owned(), _folder: None });
        };
        let own = certificate(&security.own.certificate)?;
        CertificateStore::read_pkey(&security.own.key).map_err(|_| {
            let path = security.own.key.display();
            format!("{path}: no RSA key in PEM (PKCS #8) that can be read")
        })?;
        let application = application(&own).ok_or_else(|| {
            format!("{}: no URI among its alternative names", security.own.certificate.display())
        })?;
        let folder = tempfile::Builder::new().prefix("opcua-").tempdir();
        let folder = folder.map_err(|error| format!("a folder for certificates cannot be made: {error}"))?;
        let (mut store, _, _) = CertificateStore::new_with_x509_data::<opcua::crypto::X509Data>(
            folder.path(),
            false,
            Some(&security.own.certificate),
            Some(&security.own.key),
            None,
        );
        match &security.server {
            Trust::Anybody => store.set_trust_unknown_certs(true),
            Trust::Only(path) => {
                // Exactly this one: what its names and dates say adds nothing.
                let remote = certificate(path)?;
                store.set_skip_verify_certs(true);
                let file = store.trusted_certs_dir().join(CertificateStore::cert_file_name(&remote));
                let der = remote.to_der().map_err(|error| format!("{}: {error:?}", path.display()))?;
                std::fs::write(&file, der).map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
        Ok(Self { certificates: Arc::new(RwLock::new(store)), application, _folder: Some(folder) })
    }
}

/// Who we say we are.
///
/// # Errors
/// When a file cannot be read or is not what it should be.
pub(crate) fn identity(user: &User) -> Result<IdentityToken, String> {
    Ok(match user {
        User::Anonymous => IdentityToken::Anonymous,
        User::Named(name, file) => {
            let password = String::from_utf8(read_file(file)?);
            let password = password.map_err(|_| format!("{}: the password is no text", file.display()))?;
            // Editors end files with a newline, and stock takes one off.
            let password = password.trim_end_matches(['\r', '\n']);
            IdentityToken::new_user_name(name, password)
        }
        User::Certificate(pair) => {
            let certificate = certificate(&pair.certificate)?;
            let key = CertificateStore::read_pkey(&pair.key);
            let key = key.map_err(|_| {
                format!("{}: no RSA key in PEM (PKCS #8) that can be read", pair.key.display())
            })?;
            IdentityToken::new_x509(certificate, key)
        }
    })
}

fn certificate(path: &Path) -> Result<X509, String> {
    let bytes = read_file(path)?;
    let read = if bytes.starts_with(b"-----") { X509::from_pem(&bytes) } else { X509::from_der(&bytes) };
    read.map_err(|_| format!("{}: no certificate in PEM or DER", path.display()))
}

/// The URI in a certificate.
fn application(certificate: &X509) -> Option<String> {
    let der = certificate.to_der().ok()?;
    let (_, parsed) = X509Certificate::from_der(&der).ok()?;
    let names = parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    })?;
    names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    })
}
