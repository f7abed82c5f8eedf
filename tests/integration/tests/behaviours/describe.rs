//! What a row that failed says about itself.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::run::Run;

impl Run<'_> {
    /// All that there is to know about a row that failed.
    pub(crate) fn describe(&self, why: &str) -> String {
        let known = self.table.seen.of(self.namespace);
        let yaml = |value: &Value| serde_saphyr::to_string(value).unwrap_or_else(|error| error.to_string());
        let mut pod = json!(known.now.as_ref().or(known.versions.last()).map(AsRef::<Pod>::as_ref));
        if let Some(metadata) = pod["metadata"].as_object_mut() {
            metadata.remove("managedFields");
        }
        let events: Vec<String> = known
            .events
            .values()
            .map(|event| {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                format!("  {} x{}: {}", text(&event.reason), event.count.unwrap_or(1), text(&event.message))
            })
            .collect();
        format!(
            "{why}\n{}\n--- manifest\n{}--- pod\n{}--- events\n{}\n---",
            self.row.page,
            yaml(&self.pod()),
            yaml(&pod),
            events.join("\n")
        )
    }
}
