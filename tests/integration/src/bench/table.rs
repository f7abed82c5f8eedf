//! What is printed in the end: a Markdown table, as it goes into BENCHMARKS.md.

use std::fmt;
use std::time::Duration;

/// Names and values in the order in which they were measured.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<(String, String)>,
}

impl Table {
    pub(super) fn row(&mut self, name: &str, value: impl Into<String>) {
        self.rows.push((name.to_owned(), value.into()));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&(String, String)) -> usize| self.rows.iter().map(of).max().unwrap_or_default();
        let (names, values) = (width(|(name, _)| name.len()), width(|(_, value)| value.len()));
        writeln!(f, "| {:names$} | {:>values$} |", "what", "")?;
        writeln!(f, "|{:-<1$}|{2:->3$}:|", "", names + 2, "", values + 1)?;
        for (name, value) in &self.rows {
            writeln!(f, "| {name:names$} | {value:>values$} |")?;
        }
        Ok(())
    }
}

/// The value that `percent` of all are no larger than; nothing of nothing.
pub(super) fn percentile(values: &[Duration], percent: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<Duration> = (1..=20).rev().map(Duration::from_secs).collect();
        assert_eq!(percentile(&values, 50), Duration::from_secs(10));
        assert_eq!(percentile(&values, 99), Duration::from_secs(20));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::default();
        table.row("edgecore binary", "9.6 MB");
        table.row("x", "100/s");
        assert_eq!(
            table.to_string(),
            "| what            |        |\n|-----------------|-------:|\n| edgecore binary | 9.6 MB |\n| x               |  100/s |\n"
        );
    }
}
