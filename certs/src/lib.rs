//! Certificate authority, join tokens, node identity and rustls configurations.
