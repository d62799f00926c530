//! Alert sinks that write lines.

mod json_lines;
mod text_lines;

pub use json_lines::JsonLines;
pub use text_lines::TextLines;

#[cfg(test)]
mod tests;
