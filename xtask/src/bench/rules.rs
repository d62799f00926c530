//! The rules that the daemon is given: without any, it has nothing to watch but execs.

use std::path::{Path, PathBuf};

use super::scratch::Scratch;
use crate::Outcome;

const RULES: &str = include_str!("rules.yaml");

/// Which rules.
#[derive(clap::Args)]
pub(crate) struct Rules {
    /// Give the daemon these policies and rules, and not the two dozen that the benchmark brings
    #[arg(long, value_name = "DIR")]
    policy_dir: Option<PathBuf>,
}

/// A directory of policies.
pub(crate) enum Policies {
    Given(PathBuf),
    Own(Scratch),
}

impl Rules {
    /// Puts them where the daemon can read them.
    pub(crate) fn prepare(&self) -> Outcome<Policies> {
        if let Some(given) = &self.policy_dir {
            return Ok(Policies::Given(given.clone()));
        }
        let own = Scratch::new("rules")?;
        std::fs::write(own.path().join("rules.yaml"), RULES)?;
        Ok(Policies::Own(own))
    }
}

impl Policies {
    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Own(scratch) => scratch.path(),
        }
    }
}
