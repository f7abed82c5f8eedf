//! The edge side: hub, store, metadata, pods.
