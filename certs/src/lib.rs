//! Who is who: the certificate authority, join tokens, node identities, the Secrets and files that
//! they are kept in, JSON web tokens, and every rustls configuration of the workspace.
//!
//! Nothing here reads a clock: whoever calls passes `now`. Keys come from the system's randomness, always.
//! File functions block; call them at start-up or from a blocking task.

pub mod armor;
pub mod authority;
pub mod ca;
pub mod certificate;
pub mod csr;
pub mod files;
pub mod identity;
pub mod jwt;
pub mod key;
pub mod replica;
pub mod san;
pub mod store;
pub mod tls;
pub mod token;

pub use ca::Ca;
pub use certificate::CertificateInfo;
pub use identity::NodeIdentity;
pub use key::PrivateKey;
pub use san::SanList;
pub use tls::TlsIdentity;
pub use token::JoinToken;
