//! A Kubernetes API over SQLite, as a library.
