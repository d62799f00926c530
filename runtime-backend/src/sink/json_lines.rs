//! Alerts for programs.

use std::io::Write;

use runtime_core::ports::PortError;
use runtime_core::{Alert, AlertSink};

/// Writes every alert as one JSON object on one line, and flushes.
///
/// A line is written by a single call, so that lines of several writers to one pipe do not mix as long as
/// they are short (`PIPE_BUF`).
#[derive(Debug)]
pub struct JsonLines<W> {
    writer: W,
    line: Vec<u8>,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            line: Vec::new(),
        }
    }

    /// The writer.
    pub fn into_inner(self) -> W {
        self.writer
    }
}

impl<W: Write> AlertSink for JsonLines<W> {
    fn deliver(&mut self, alert: &Alert) -> Result<(), PortError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, alert)?;
        self.line.push(b'\n');
        self.writer.write_all(&self.line)?;
        self.writer.flush()?;
        Ok(())
    }
}
