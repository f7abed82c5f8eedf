//! Pods, nodes, config maps and secrets.
mod desired;
mod references;
mod shape;
