//! Errors that know what the user can do about them, and whose fault they are.

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
    is_usage: bool,
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

    /// Marks the failure as a mistake of the user: the same command will never work.
    ///
    /// # Errors
    /// The failure, with the advice.
    fn usage(self, advice: impl FnOnce() -> String) -> anyhow::Result<T>;

    /// Advice for a failure that has none yet.
    ///
    /// # Errors
    /// The failure, with its own advice or this.
    fn or_hint(self, advice: impl FnOnce() -> String) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> WithHint<T> for Result<T, E> {
    fn hint(self, advice: impl FnOnce() -> String) -> anyhow::Result<T> {
        self.map_err(|source| hinted(source.into(), advice(), false))
    }

    fn usage(self, advice: impl FnOnce() -> String) -> anyhow::Result<T> {
        self.map_err(|source| hinted(source.into(), advice(), true))
    }

    fn or_hint(self, advice: impl FnOnce() -> String) -> anyhow::Result<T> {
        self.map_err(|source| {
            let source = source.into();
            if of(&source).is_some() { source } else { hinted(source, advice(), false) }
        })
    }
}

fn hinted(source: anyhow::Error, advice: String, is_usage: bool) -> anyhow::Error {
    Hinted { hint: Hint(advice), is_usage, source }.into()
}

/// The advice of an error, if it has any.
#[must_use]
pub fn of(error: &anyhow::Error) -> Option<&Hint> {
    error.downcast_ref::<Hinted>().map(|hinted| &hinted.hint)
}

/// Whether the command line is what is wrong.
#[must_use]
pub fn is_usage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Hinted>().is_some_and(|hinted| hinted.is_usage)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::{WithHint as _, is_usage, of};

    fn advice(error: &anyhow::Error) -> Option<String> {
        of(error).map(ToString::to_string)
    }

    #[test]
    fn the_advice_survives_further_context_and_is_not_part_of_the_message() {
        let failed: anyhow::Result<()> = Err(anyhow::anyhow!("port 10000 is taken"));
        let error = failed.hint(|| "use --port-offset".into()).context("start cloudcore").unwrap_err();
        assert_eq!(format!("{error:#}"), "start cloudcore: port 10000 is taken");
        assert_eq!(advice(&error).as_deref(), Some("use --port-offset"));
        assert!(!is_usage(&error));
    }

    #[test]
    fn an_error_without_advice_has_none() {
        assert!(of(&anyhow::anyhow!("plain")).is_none());
    }

    #[test]
    fn advice_that_is_there_is_kept() {
        let failed = || Err::<(), _>(anyhow::anyhow!("failed"));
        let error = failed().usage(|| "the first".into()).or_hint(|| "the second".into()).unwrap_err();
        assert_eq!(advice(&error).as_deref(), Some("the first"));
        assert!(is_usage(&error));
        let error = failed().or_hint(|| "the second".into()).unwrap_err();
        assert_eq!(advice(&error).as_deref(), Some("the second"));
    }
}
