//! Reading YAML, and JSON with it, into types, with errors that name file, line and field.

use runtime_core::RawString;
use runtime_core::policy::Problem;
use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Options, SnippetMode, UserMessageFormatter};

/// Reads the one document in `text`, which begins at line `first_line` of the file `origin`.
///
/// A document that would grow beyond measure (by anchors that refer to anchors, by nesting) is refused.
pub fn read<T: DeserializeOwned>(origin: &str, first_line: usize, text: &str) -> Result<T, Problem> {
    let mut field = String::new();
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            field = error.path().to_string();
            error.into_inner()
        })
    });
    read.map_err(|error| problem(origin, first_line, &field, &error))
}

/// Enough for tens of thousands of exclusions; what is much larger is a mistake or an attack. The text of rules is one
/// scalar and limited by the size of the file alone.
fn options() -> Options {
    let budget = serde_saphyr::budget! {
        max_nodes: 1_000_000,
        max_recorded_anchor_events: 20_000,
        max_recorded_anchor_bytes: 1 << 20,
    };
    serde_saphyr::options! { budget: budget }
}

fn problem(origin: &str, first_line: usize, field: &str, error: &Error) -> Problem {
    let location = error.location();
    let options = serde_saphyr::render_options! {
        formatter: &UserMessageFormatter,
        snippets: SnippetMode::Off,
    };
    let rendered = error.render_with_options(options);
    // The line goes into the problem's own field, counted from the start of the file.
    let place = location.map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    let text = place
        .and_then(|place| rendered.strip_suffix(&place))
        .or_else(|| rendered.split_once(" at line ").map(|(text, _)| text))
        .unwrap_or(&rendered);
    // The reader ends a path with `?` where it was at no field in particular.
    let field = field.strip_suffix(".?").unwrap_or(field);
    let message = match field {
        "" | "." | "?" => text.to_owned(),
        field => format!("{field}: {text}"),
    };
    Problem {
        origin: origin.to_owned(),
        line: location
            .and_then(|at| usize::try_from(at.line()).ok())
            .map(|line| (first_line + line).saturating_sub(1).max(first_line)),
        // The text may quote the file.
        message: RawString::from(message).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::time::{Duration, Instant};

    use super::*;

    type Lists = BTreeMap<String, Vec<String>>;

    fn message(text: &str) -> String {
        read::<Lists>("f.yaml", 10, text).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_file_line_and_field() {
        assert_eq!(
            message("a: [x]\nb: [y, {z: 1}]"),
            "f.yaml:11: b[1]: expected string scalar"
        );
        assert_eq!(
            message("a: [x]\n\ta: b\n"),
            "f.yaml:11: while parsing a block mapping, did not find expected key"
        );
    }

    #[test]
    fn a_quoted_text_cannot_control_the_terminal() {
        let text = message("a: [x]\n\"\\e[2J\": 3\n");
        assert!(text.starts_with(r"f.yaml:11: \x1b[2J: "), "{text}");
    }

    #[test]
    fn bombs_are_refused_soon() {
        let mut anchors = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let inside = vec![format!("*a{}", level - 1); 10].join(",");
            writeln!(anchors, "a{level}: &a{level} [{inside}]").unwrap();
        }
        for bomb in [
            anchors,
            "[".repeat(1 << 20),
            "- ".repeat(1 << 20),
            "a: &x [*x]".to_owned(),
        ] {
            let start = Instant::now();
            let refused = read::<Lists>("f.yaml", 1, &bomb).unwrap_err();
            assert!(refused.message.len() < 300, "{refused}");
            assert!(start.elapsed() < Duration::from_secs(20), "{refused}");
        }
    }
}
