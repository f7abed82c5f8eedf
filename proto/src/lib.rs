//! What crosses a boundary, as types: messages, resource paths, configuration files.
