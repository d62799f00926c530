//! `podwarden-daemon rules`: the same reading and compiling as the daemon's, for whoever writes rules.

mod replay;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use runtime_backend::directory;
use runtime_backend::manifest::{Item, Manifests};
use runtime_core::policy::{Problem, RuleSource};
use runtime_engines::RuleSet;
use runtime_engines::signatures::{Rule, builtin};

use super::output::{Form, code, print};
use crate::error::Error;

/// What to do with rules.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Say what is wrong in these files, and end with a count; fails when anything is refused
    ///
    /// The files are read behind the built-in signatures, as the daemon does it, so they may name and change what
    /// is in those.
    Check {
        /// Rule files and manifests, in the order in which they count.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Show rules in a table: those of these files, or the built-in ones
    List {
        /// Rule files and manifests, in the order in which they count.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How to show them.
        #[arg(short, long, default_value = "table", value_name = "FORM")]
        output: Form,
    },
    /// Judge events that `--record` wrote, and print the alerts; nothing is done about them
    ///
    /// The rules are those of the daemon: the built-in ones, and behind them these files. A line that is no event is
    /// named on standard error, and the rest goes on; it fails at the end then, and also when a rule is refused.
    Replay {
        /// The recorded events.
        #[arg(value_name = "EVENTS")]
        events: PathBuf,
        /// Rule files and manifests, in the order in which they count.
        #[arg(long, num_args = 1.., value_name = "FILE")]
        rules: Vec<PathBuf>,
    },
}

impl Command {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        match self {
            Self::Check { files } => check(&files),
            Self::List { files, output } => list(&files, output),
            Self::Replay { events, rules } => {
                let loaded = Loaded::read(&rules);
                loaded.tell_problems();
                let good = loaded.problems.is_empty();
                Ok(code(replay::run(&events, loaded.rules)? && good))
            }
        }
    }
}

/// The rules of files behind the built-in ones.
struct Loaded {
    rules: RuleSet,
    /// What was refused, in the order of the files and their lines.
    problems: Vec<Problem>,
}

impl Loaded {
    fn read(files: &[PathBuf]) -> Self {
        let mut sources = vec![builtin()];
        let mut problems = Vec::new();
        let mut origins = Vec::new();
        for file in files {
            let (origin, manifests) = directory::read_file(file);
            origins.push(origin);
            let Manifests {
                items,
                problems: wrong,
            } = manifests;
            problems.extend(wrong);
            sources.extend(items.into_iter().filter_map(rules_of));
        }
        let (rules, refused) = RuleSet::compile(&sources);
        problems.extend(refused);
        // By file and line, as a person goes through them; what concerns the built-in rules comes first.
        problems.sort_by_key(|problem| {
            let place = origins.iter().position(|origin| *origin == problem.origin);
            (place.map_or(0, |place| place + 1), problem.line)
        });
        Self { rules, problems }
    }

    /// Says what was refused where it is not what was asked for.
    fn tell_problems(&self) {
        for problem in &self.problems {
            eprintln!("{problem}");
        }
    }

    /// The rules that the files define.
    fn own(&self) -> impl Iterator<Item = &Rule> {
        let builtin = builtin().origin;
        self.rules
            .rules()
            .iter()
            .filter(move |rule| rule.origin != builtin)
    }
}

fn rules_of(item: Item) -> Option<RuleSource> {
    match item {
        Item::Rules(rules) | Item::SignatureSet { rules, .. } => Some(rules),
        Item::Policy { .. } => None,
    }
}

fn check(files: &[PathBuf]) -> Result<ExitCode, Error> {
    let loaded = Loaded::read(files);
    let (good, bad) = (loaded.own().count(), loaded.problems.len());
    let mut lines: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    lines.push(format!("{good} rules loaded, {bad} refused\n"));
    print(&lines.join("\n"))?;
    Ok(code(loaded.problems.is_empty()))
}

fn list(files: &[PathBuf], form: Form) -> Result<ExitCode, Error> {
    let loaded = Loaded::read(files);
    let rules: Vec<&Rule> = if files.is_empty() {
        loaded.rules.rules().iter().collect()
    } else {
        loaded.own().collect()
    };
    print(&match form {
        Form::Table => table::text(&rules),
        Form::Json => table::json(&rules),
    })?;
    loaded.tell_problems();
    Ok(code(loaded.problems.is_empty()))
}
