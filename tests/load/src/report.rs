//! What a scenario found: a table for people, one JSON object for programs.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::dialect::Dialect;
use crate::histogram::Summary;
use crate::stats::Stats;

/// Figures of one scenario, in the order in which they were found.
#[derive(Debug)]
pub struct Report {
    scenario: &'static str,
    figures: Vec<Figure>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Figure {
    label: String,
    unit: &'static str,
    value: Value,
    shown: String,
}

impl Report {
    /// Nothing yet.
    #[must_use]
    pub fn new(scenario: &'static str) -> Self {
        Self { scenario, figures: Vec::new() }
    }

    /// What was done.
    #[must_use]
    pub fn scenario(&self) -> &'static str {
        self.scenario
    }

    /// The figure with this label.
    #[must_use]
    pub fn figure(&self, label: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.label == label)
    }

    /// Says first what the nodes spoke.
    pub fn spoken(&mut self, dialect: Dialect) {
        self.text("dialect", dialect.to_string());
        self.figures.rotate_right(1);
    }

    fn add(&mut self, label: &str, unit: &'static str, value: impl Into<Value>, shown: String) {
        self.figures.push(Figure { label: label.to_owned(), unit, value: value.into(), shown });
    }

    /// A number of things.
    pub fn count(&mut self, label: &str, count: u64) {
        self.add(label, "", count, count.to_string());
    }

    /// A rate, a percentage, a quotient.
    pub fn number(&mut self, label: &str, unit: &'static str, value: f64) {
        let sign = match unit {
            "per_s" => "/s",
            "percent" => " %",
            "kib" => " KiB",
            "mib" => " MiB",
            _ => "",
        };
        let rounded = (value * 100.0).round() / 100.0;
        self.add(label, unit, rounded, format!("{rounded:.2}{sign}"));
    }

    /// The same, if it is known.
    pub fn number_if(&mut self, label: &str, unit: &'static str, value: Option<f64>) {
        if let Some(value) = value {
            self.number(label, unit, value);
        }
    }

    /// A time.
    pub fn time(&mut self, label: &str, time: Duration) {
        let ms = time.as_secs_f64() * 1000.0;
        let shown = if ms < 1000.0 { format!("{ms:.1} ms") } else { format!("{:.2} s", ms / 1000.0) };
        self.add(label, "ms", (ms * 1000.0).round() / 1000.0, shown);
    }

    /// Half, nearly all and the worst of many times.
    pub fn times(&mut self, label: &str, times: Summary) {
        self.time(&format!("{label} p50"), times.p50);
        self.time(&format!("{label} p99"), times.p99);
        self.time(&format!("{label} max"), times.max);
    }

    /// Words.
    pub fn text(&mut self, label: &str, text: impl Into<String>) {
        let text = text.into();
        self.add(label, "", text.clone(), text);
    }

    /// What went wrong for nodes, if anything did.
    pub fn troubles(&mut self, stats: &Stats) {
        for (name, count) in stats.troubles() {
            self.count(&format!("trouble: {name}"), count);
        }
    }

    /// One object; keys are the labels with their units.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::from_iter([("scenario".to_owned(), self.scenario.into())]);
        object.extend(self.figures.iter().map(|figure| (figure.key(), figure.value.clone())));
        object.into()
    }
}

impl Figure {
    /// As people read it, with its unit.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// As programs read it.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    fn key(&self) -> String {
        let words = self.label.split(|c: char| !c.is_ascii_alphanumeric()).chain([self.unit]);
        let words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
        words.join("_")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Figure) -> usize| self.figures.iter().map(of).max().unwrap_or_default();
        let label = width(|figure| figure.label.chars().count()).max(self.scenario.len());
        let value = width(|figure| figure.shown.chars().count());
        writeln!(f, "| {:label$} | {:>value$} |", self.scenario, "")?;
        writeln!(f, "|{:-<1$}|{2:->3$}:|", "", label + 2, "", value + 1)?;
        for figure in &self.figures {
            writeln!(f, "| {:label$} | {:>value$} |", figure.label, figure.shown)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_programs_read_the_same_figures() {
        let mut report = Report::new("idle");
        report.count("nodes", 2000);
        report.number("hub CPU", "percent", 12.345);
        report.time("lease p50", Duration::from_micros(1500));
        assert_eq!(
            report.to_json().to_string(),
            r#"{"hub_cpu_percent":12.35,"lease_p50_ms":1.5,"nodes":2000,"scenario":"idle"}"#
        );
        assert_eq!(
            report.to_string(),
            "| idle      |         |\n|-----------|--------:|\n| nodes     |    2000 |\n| hub CPU   | 12.35 % |\n| lease p50 |  1.5 ms |\n"
        );
    }
}
