//! The installer: init, join, reset, demo.

pub mod args;
pub mod bans;
pub mod cluster;
pub mod commands;
pub mod credentials;
pub mod cri;
pub mod demo;
pub mod edge_store;
pub mod findings;
pub mod groups;
pub mod hint;
pub mod host;
pub mod listing;
pub mod local;
pub mod manifests;
pub mod mounts;
pub mod printer;
pub mod processes;
pub mod rollout;
pub mod services;
pub mod settings;
pub mod strvals;
pub mod values;
pub mod wait;
pub mod web;
