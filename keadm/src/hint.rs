//! Errors that know what the user can do about them.

use std::fmt;

/// Context of an error: advice for the user, shown on a line of its own.
#[derive(Debug, Clone)]
pub struct Hint(String);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Hint {}

/// An error with advice.
#[derive(Debug)]
struct Hinted {
    hint: Hint,
    source: anyhow::Error,
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.source)
    }
}

impl std::error::Error for Hinted {}

/// Adds advice to a failure.
pub trait WithHint<T> {
    /// The advice is only made when there is a failure.
    ///
    /// # Errors
    /// The failure, with the advice.
    fn hint(self, advice: impl FnOnce() -> String) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> WithHint<T> for Result<T, E> {
    fn hint(self, advice: impl FnOnce() -> String) -> anyhow::Result<T> {
        self.map_err(|source| Hinted { hint: Hint(advice()), source: source.into() }.into())
    }
}

/// The advice of an error, if it has any.
#[must_use]
pub fn of(error: &anyhow::Error) -> Option<&Hint> {
    error.downcast_ref::<Hinted>().map(|hinted| &hinted.hint)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::{WithHint as _, of};

    #[test]
    fn the_advice_survives_further_context_and_is_not_part_of_the_message() {
        let failed: anyhow::Result<()> = Err(anyhow::anyhow!("port 10000 is taken"));
        let error = failed.hint(|| "use --port-offset".into()).context("start cloudcore").unwrap_err();
        assert_eq!(format!("{error:#}"), "start cloudcore: port 10000 is taken");
        assert_eq!(of(&error).map(ToString::to_string).as_deref(), Some("use --port-offset"));
    }

    #[test]
    fn an_error_without_advice_has_none() {
        assert!(of(&anyhow::anyhow!("plain")).is_none());
    }
}
