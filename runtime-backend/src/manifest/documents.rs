//! The documents of a YAML stream, each on its own, so that an error in one leaves the others alone.

/// One document's text, and the line of the file that it begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub(super) first_line: usize,
    pub(super) text: &'a str,
}

/// Splits a stream at its markers and leaves out what holds nothing but blanks and comments.
///
/// `---` and `...` in the first column end a document wherever they stand, inside of quoted and block texts
/// too (YAML 1.2.2, 9.1.2), so this needs no parser.
pub(super) fn split(stream: &str) -> Vec<Document<'_>> {
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
    let mut documents = Vec::new();
    let mut current = Document {
        first_line: 1,
        text: "",
    };
    let (mut start, mut offset) = (0, 0);
    for (index, line) in stream.split_inclusive('\n').enumerate() {
        let number = index + 1;
        if let Some(marker) = marker(line) {
            current.text = &stream[start..offset];
            documents.push(current);
            // After `---` the document may begin on the same line; after `...` there may be a comment.
            let begins_here = marker == "---";
            start = offset + if begins_here { marker.len() } else { line.len() };
            current.first_line = number + usize::from(!begins_here);
        }
        offset += line.len();
    }
    current.text = &stream[start..];
    documents.push(current);
    documents.retain(|document| document.significant().is_some());
    documents
}

impl<'a> Document<'a> {
    /// The first line that is neither blank nor a comment nor a directive, without its indentation.
    pub(super) fn significant(&self) -> Option<&'a str> {
        self.text
            .lines()
            .find(|line| {
                let trimmed = line.trim_start();
                !(trimmed.is_empty() || trimmed.starts_with('#') || line.starts_with('%'))
            })
            .map(str::trim_start)
    }

    /// Whether its top level is a list, by its first characters.
    pub(super) fn is_list(&self) -> bool {
        self.significant().is_some_and(|line| {
            line.starts_with('[')
                || line
                    .strip_prefix('-')
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
        })
    }
}

fn marker(line: &str) -> Option<&str> {
    let (marker, rest) = line.split_at_checked(3)?;
    let ends = rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']);
    (matches!(marker, "---" | "...") && ends).then_some(marker)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(stream: &str) -> Vec<(usize, &str)> {
        split(stream).iter().map(|d| (d.first_line, d.text)).collect()
    }

    #[test]
    fn documents_know_their_first_line() {
        let stream = "# head\na: 1\n---\n\n# nothing\n---\nb: 2\n...\n--- {c: 3}\n";
        assert_eq!(
            shape(stream),
            [(1, "# head\na: 1\n"), (6, "\nb: 2\n"), (9, " {c: 3}\n")]
        );
    }

    #[test]
    fn what_only_looks_like_a_marker_is_text() {
        let stream = "a: |\n  ---\n ---\nb: ----\n---x: 1\n";
        assert_eq!(shape(stream), [(1, stream)]);
    }

    #[test]
    fn directives_and_byte_order_marks_are_no_document() {
        assert_eq!(shape("\u{feff}%YAML 1.2\n---\r\na: 1\r\n"), [(2, "\r\na: 1\r\n")]);
        assert_eq!(shape("\n# only comments\n---\n"), []);
    }

    #[test]
    fn lists_are_told_by_their_first_characters() {
        let list = |text| split(text)[0].is_list();
        assert!(list("# x\n\n- rule: a\n"));
        assert!(list("  -\n    rule: a\n"));
        assert!(list("[{rule: a}]"));
        assert!(!list("-a: 1\n"));
        assert!(!list("a: [1]\n"));
    }

    proptest! {
        #[test]
        fn any_text_splits_into_parts_at_their_lines(stream in "([a-]{0,4}|---|\\.\\.\\.|\n|é){0,20}") {
            let lines: Vec<&str> = stream.split('\n').collect();
            for document in split(&stream) {
                let first = document.text.lines().next().unwrap_or_default();
                prop_assert!(lines[document.first_line - 1].ends_with(first.trim_end_matches('\r')));
            }
        }
    }
}
