//! The installer: init, join, reset, demo.

pub mod args;
pub mod commands;
pub mod demo;
pub mod hint;
pub mod printer;
pub mod processes;
pub mod strvals;
