//! The installer: init, join, reset, demo.
