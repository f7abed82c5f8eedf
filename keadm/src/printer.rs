//! What the user sees.

use std::fmt::Display;

use crate::hint::Hint;

/// Prints steps to stdout and failures to stderr.
#[derive(Debug, Default, Clone, Copy)]
pub struct Printer {
    quiet: bool,
}

impl Printer {
    /// A printer that prints no steps, for tests.
    #[must_use]
    pub fn quiet() -> Self {
        Self { quiet: true }
    }

    /// Something is being done.
    pub fn step(&self, what: impl Display) {
        self.line(format_args!("==> {what}"));
    }

    /// Something that is already so.
    pub fn already(&self, what: impl Display) {
        self.line(format_args!("    {what}"));
    }

    /// Text for the user.
    #[expect(clippy::print_stdout, reason = "this is where what the user asked for goes to stdout")]
    pub fn line(&self, text: impl Display) {
        if !self.quiet {
            println!("{text}");
        }
    }

    /// Why it did not work, and what to do.
    #[expect(clippy::print_stderr, reason = "this is where failures go to stderr")]
    pub fn failure(&self, error: &anyhow::Error, hint: Option<&Hint>) {
        eprintln!("keadm: {error:#}");
        if let Some(hint) = hint {
            eprintln!("hint: {hint}");
        }
    }
}
