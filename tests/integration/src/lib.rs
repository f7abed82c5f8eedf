//! Scenarios over real components and real processes.
