//! Rules in a table, and as JSON.

use runtime_core::{EventClass, RawString, Response, Severity};
use runtime_engines::signatures::Rule;
use serde::Serialize;

/// What is shown of a rule.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'r> {
    id: String,
    name: String,
    severity: Severity,
    response: Response,
    tags: Vec<String>,
    events: &'r [EventClass],
    enabled: bool,
    /// Fields that it tests and no event has.
    unsupplied: &'r [&'static str],
    origin: &'r str,
    line: usize,
}

impl<'r> From<&'r Rule> for Row<'r> {
    fn from(rule: &'r Rule) -> Self {
        Self {
            id: printable(&rule.reference.id),
            name: printable(&rule.reference.name),
            severity: rule.severity,
            response: rule.response,
            tags: rule.reference.tags.iter().map(|tag| printable(tag)).collect(),
            events: &rule.events,
            enabled: rule.enabled,
            unsupplied: &rule.unsupplied,
            origin: &rule.origin,
            line: rule.line,
        }
    }
}

/// Whoever wrote a rule may have given it any name; none may reach a terminal as more than text.
fn printable(text: &str) -> String {
    RawString::from(text).to_string()
}

/// As a JSON array, with a line break at its end.
pub(super) fn json(rules: &[&Rule]) -> String {
    let rows: Vec<Row<'_>> = rules.iter().map(|rule| Row::from(*rule)).collect();
    // There is nothing in a row that JSON cannot hold.
    let mut text = serde_json::to_string_pretty(&rows).unwrap_or_default();
    text.push('\n');
    text
}

/// As columns under their names. A rule that is switched off says so in place of its events, and so does one that
/// no event can satisfy.
pub(super) fn text(rules: &[&Rule]) -> String {
    let head = ["ID", "NAME", "SEVERITY", "RESPONSE", "TAGS", "EVENTS"].map(str::to_owned);
    let mut rows = vec![head];
    rows.extend(rules.iter().map(|rule| cells(&Row::from(*rule))));
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let padded: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text += padded.join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn cells(row: &Row<'_>) -> [String; 6] {
    let events = if !row.enabled {
        "(off)".to_owned()
    } else if row.events.is_empty() {
        "(none)".to_owned()
    } else {
        joined(row.events)
    };
    [
        row.id.clone(),
        row.name.clone(),
        row.severity.to_string(),
        row.response.to_string(),
        joined(&row.tags),
        events,
    ]
}

fn joined(parts: &[impl ToString]) -> String {
    parts
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}
