//! What every daemon rides on: modules, supervision, links, configuration, telemetry.
