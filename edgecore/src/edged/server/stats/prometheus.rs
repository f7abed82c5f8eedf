//! The Prometheus text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>), with a time for each
//! value, as kubelet's metrics of containers have it: values are from when the runtime counted, not from when it was asked.

use std::fmt::{Display, Write};

use jiff::Timestamp;

/// Builds a page. One metric is written after the other, each with all its values.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    name: &'static str,
}

/// Labels of a value.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    /// Begins the next metric; `kind` is `counter` or `gauge`.
    pub(super) fn metric(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// A value of it; nothing when it is not known.
    pub(super) fn value(&mut self, labels: Labels<'_>, value: Option<impl Display>, time: Option<Timestamp>) {
        let Some(value) = value else { return };
        self.text.push_str(self.name);
        for (index, (name, content)) in labels.iter().enumerate() {
            let begin = if index == 0 { '{' } else { ',' };
            self.write(format_args!("{begin}{name}=\"{}\"", escape(content)));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{end} {value}"));
        if let Some(time) = time {
            self.write(format_args!(" {}", time.as_millisecond()));
        }
        self.text.push('\n');
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a String cannot fail");
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Nanoseconds as seconds.
pub(super) fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_labels_and_times() {
        let mut page = Page::default();
        page.metric("a_total", "counter", "A thing");
        page.value(&[("pod", "we\"b\\\n"), ("x", "")], Some(1.5), Timestamp::from_millisecond(7).ok());
        page.value(&[], Some(2_u64), None);
        page.value(&[], None::<u64>, None);
        let expected = "# HELP a_total A thing\n# TYPE a_total counter\n\
            a_total{pod=\"we\\\"b\\\\\\n\",x=\"\"} 1.5 7\na_total 2\n";
        assert_eq!(page.finish(), expected);
    }
}
