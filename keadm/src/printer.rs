//! What the user sees.

use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use crate::hint::Hint;

/// Prints steps to stdout and failures to stderr.
#[derive(Debug, Default, Clone)]
pub struct Printer {
    sink: Sink,
}

#[derive(Debug, Default, Clone)]
enum Sink {
    #[default]
    Stdout,
    Nowhere,
    Text(Arc<Mutex<String>>),
}

impl Printer {
    /// A printer that prints no steps.
    #[must_use]
    pub fn quiet() -> Self {
        Self { sink: Sink::Nowhere }
    }

    /// A printer that keeps what it prints, for tests: [`Printer::captured`].
    #[must_use]
    pub fn capturing() -> Self {
        Self { sink: Sink::Text(Arc::default()) }
    }

    /// What a printer made with [`Printer::capturing`] has printed; empty for others.
    #[must_use]
    pub fn captured(&self) -> String {
        match &self.sink {
            Sink::Text(text) => text.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Sink::Stdout | Sink::Nowhere => String::new(),
        }
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
        match &self.sink {
            Sink::Stdout => println!("{text}"),
            Sink::Nowhere => {}
            Sink::Text(all) => {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                writeln!(all, "{text}").expect("writing to a String cannot fail");
            }
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
