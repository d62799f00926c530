//! Programs that measure an engine by itself: examples of its crate, which print figures.

use std::path::PathBuf;
use std::time::Duration;

use crate::Outcome;
use crate::command::{Limited, cargo, target};

/// A program that was built.
pub(super) struct Meter {
    name: &'static str,
    program: PathBuf,
}

/// What it printed: names and numbers, a line each.
pub(super) struct Figures {
    name: &'static str,
    text: String,
}

impl Meter {
    /// The example of this name in `runtime-engines/examples/`.
    pub(super) fn build(name: &'static str) -> Outcome<Self> {
        println!("Building the meter …");
        cargo()
            .args([
                "build",
                "--quiet",
                "--release",
                "-p",
                "runtime-engines",
                "--example",
                name,
            ])
            .limit(Duration::from_mins(30))
            .run()?;
        let program = target().join("release/examples").join(name);
        Ok(Self { name, program })
    }

    pub(super) fn run(&self, args: &[String], limit: Duration) -> Outcome<Figures> {
        let text = Limited::new(&self.program).args(args).limit(limit).read()?;
        Ok(Figures {
            name: self.name,
            text,
        })
    }
}

impl Figures {
    /// The number of this name; that there is none is an error.
    pub(super) fn of(&self, name: &str) -> Outcome<f64> {
        let Self { name: meter, text } = self;
        Ok(find(text, name).ok_or_else(|| format!("{meter} does not say {name:?}: {text}"))?)
    }
}

fn find(text: &str, name: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_apart_by_their_whole_names() {
        let text = "set 20 mean 1.5\nset 200 mean 2\nset 200 mean-exec 3\n";
        assert_eq!(find(text, "set 20 mean"), Some(1.5));
        assert_eq!(find(text, "set 200 mean"), Some(2.0));
        assert_eq!(find(text, "set 2"), None);
    }
}
