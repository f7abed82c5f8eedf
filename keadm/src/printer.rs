//! What the user sees.

mod document;

use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

pub use self::document::Layout;

use self::document::Document;
use crate::hint::Hint;

/// Prints steps to stdout and failures to stderr; or, where a document was asked for, steps to stderr and one document to stdout.
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
    Document(Layout, Arc<Mutex<Document>>),
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

    /// A printer whose one document [`Printer::finish`] prints.
    #[must_use]
    pub fn document(layout: Layout) -> Self {
        Self { sink: Sink::Document(layout, Arc::default()) }
    }

    /// What a printer made with [`Printer::capturing`] has printed; empty for others.
    #[must_use]
    pub fn captured(&self) -> String {
        match &self.sink {
            Sink::Text(text) => text.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Sink::Stdout | Sink::Nowhere | Sink::Document(..) => String::new(),
        }
    }

    /// Something is being done.
    pub fn step(&self, what: impl Display) {
        self.say(format_args!("==> {what}"), |document| document.steps.push(what.to_string()));
    }

    /// Something that is already so.
    pub fn already(&self, what: impl Display) {
        self.say(format_args!("    {what}"), |document| document.steps.push(what.to_string()));
    }

    /// Something that the user should know, and that is no part of the result.
    pub fn note(&self, what: impl Display) {
        self.say(format_args!("note: {what}"), |document| document.notes.push(what.to_string()));
    }

    /// Text for the user.
    pub fn line(&self, text: impl Display) {
        self.say(&text, |document| document.lines.push(text.to_string()));
    }

    /// Text as it is, without an end of line of its own: what a container has written.
    #[expect(clippy::print_stdout, reason = "this is where what the user asked for goes to stdout")]
    pub fn raw(&self, text: &str) {
        match &self.sink {
            Sink::Stdout => print!("{text}"),
            Sink::Nowhere => {}
            Sink::Text(all) => lock(all).push_str(text),
            Sink::Document(_, document) => lock(document).lines.extend(text.lines().map(str::to_owned)),
        }
    }

    /// Whether what is printed goes straight to stdout, where bytes may be anything.
    #[must_use]
    pub fn writes_to_stdout(&self) -> bool {
        matches!(self.sink, Sink::Stdout)
    }

    /// What was found: as text for people, else the thing itself as the document.
    ///
    /// # Errors
    /// When `data` cannot be written as JSON.
    pub fn data(&self, data: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        match &self.sink {
            Sink::Document(_, document) => lock(document).data = Some(serde_json::to_value(data)?),
            Sink::Stdout | Sink::Nowhere | Sink::Text(_) => self.line(text().trim_end()),
        }
        Ok(())
    }

    /// What came of what was done, for the document that says so.
    ///
    /// # Errors
    /// When `result` cannot be written as JSON.
    pub fn result(&self, result: &impl Serialize) -> anyhow::Result<()> {
        if let Sink::Document(_, document) = &self.sink {
            lock(document).result = Some(serde_json::to_value(result)?);
        }
        Ok(())
    }

    /// Prints the document, if that is what was asked for.
    #[expect(clippy::print_stdout, reason = "this is where what the user asked for goes to stdout")]
    pub fn finish(&self, failed: Option<(&anyhow::Error, Option<&Hint>)>) {
        if let Sink::Document(layout, document) = &self.sink {
            let document: Value = lock(document).finished(failed);
            print!("{}", layout.write(&document));
        }
    }

    /// Why it did not work, and what to do.
    #[expect(clippy::print_stderr, reason = "this is where failures go to stderr")]
    pub fn failure(&self, error: &anyhow::Error, hint: Option<&Hint>) {
        eprint!("{}", failure(error, hint));
    }

    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where all text goes")]
    fn say(&self, text: impl Display, keep: impl FnOnce(&mut Document)) {
        match &self.sink {
            Sink::Stdout => println!("{text}"),
            Sink::Nowhere => {}
            Sink::Text(all) => {
                writeln!(lock(all), "{text}").expect("writing to a String cannot fail");
            }
            Sink::Document(_, document) => {
                eprintln!("{text}");
                keep(&mut lock(document));
            }
        }
    }
}

/// As it stands on the terminal.
#[must_use]
pub fn failure(error: &anyhow::Error, hint: Option<&Hint>) -> String {
    let hint = hint.map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    format!("keadm: {error:#}\n{hint}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
