//! What was looked at, how it is, and what to do about it: what `debug check` and `debug diagnose` print.

use serde::Serialize;
use serde_json::json;

use crate::printer::Printer;

/// Width of the column with what was looked at.
const WHAT: usize = 14;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub check: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// How it is.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, ok: true, found: found.into(), hint: None }
    }

    /// Not as it should be.
    pub fn bad(check: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, ok: false, found: found.into(), hint: Some(hint.into()) }
    }

    /// Good when it `holds`, else bad.
    pub fn when(holds: bool, check: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        if holds { Self::good(check, found) } else { Self::bad(check, found, hint) }
    }
}

/// Prints them.
///
/// # Errors
/// When one is not as it should be; and when they cannot be written.
pub fn report(findings: &[Finding], printer: &Printer) -> anyhow::Result<()> {
    printer.result(&json!({"findings": findings}))?;
    for finding in findings {
        printer.line(text(finding).trim_end());
    }
    let bad = findings.iter().filter(|finding| !finding.ok).count();
    anyhow::ensure!(bad == 0, "{bad} of {} checks failed", findings.len());
    Ok(())
}

fn text(finding: &Finding) -> String {
    let Finding { check, ok, found, hint } = finding;
    let word = if *ok { "ok" } else { "FAILED" };
    let hint = hint.iter().map(|hint| format!("{:8}{:WHAT$} hint: {hint}\n", "", ""));
    std::iter::once(format!("{word:8}{check:WHAT$} {found}\n")).chain(hint).collect()
}
