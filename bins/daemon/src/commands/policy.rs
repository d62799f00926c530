//! `podwarden-daemon policy`: what policies come to, for whoever writes them.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use runtime_backend::DirectoryPolicySource;
use runtime_core::policy::{EngineExplanation, EntrySpec, Explanation, Mode, PolicySet};
use runtime_core::{
    CgroupId, Container, ContainerId, PodGroup, PodGroupKind, PodRef, PodUid, PolicySource, RawString,
};

use super::output::{Form, code, print};
use crate::error::Error;

/// What to do with policies.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Say what is in force for a container, and why; needs neither root nor a kernel
    ///
    /// The container is described by what a policy can select it by. It need not exist. Fails when anything in the
    /// directory is refused.
    Explain(Explain),
}

/// A directory of policies, and a container.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// The directory of manifests and rules.
    #[arg(long, env = "PODWARDEN_POLICY_DIR", value_name = "DIR")]
    policy_dir: PathBuf,
    /// The pod's namespace.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// The kind of the pod group's root.
    #[arg(long, value_name = "KIND", default_value = "Deployment", requires = "name")]
    kind: String,
    /// The name of the pod group's root.
    #[arg(long, value_name = "NAME", requires = "namespace")]
    name: Option<String>,
    /// A label of the pod, as KEY=VALUE; may be given again.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// How to show it.
    #[arg(short, long, default_value = "table", value_name = "FORM")]
    output: Form,
}

fn label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{text}` is no label, such as app=web"))
}

impl Command {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        match self {
            Self::Explain(explain) => explain.run(),
        }
    }
}

impl Explain {
    fn run(self) -> Result<ExitCode, Error> {
        let snapshot = DirectoryPolicySource::new(&self.policy_dir)
            .load()
            .map_err(Error::Policies)?;
        for problem in &snapshot.problems {
            eprintln!("{problem}");
        }
        let form = self.output;
        let explanation = PolicySet::new(snapshot.policies).explain(&self.container());
        print(&match form {
            Form::Table => text(&explanation),
            // There is nothing in it that JSON cannot hold.
            Form::Json => serde_json::to_string_pretty(&explanation).unwrap_or_default() + "\n",
        })?;
        Ok(code(snapshot.problems.is_empty()))
    }

    /// A container as policies see it.
    fn container(self) -> Container {
        let Self {
            namespace,
            kind,
            name,
            labels,
            ..
        } = self;
        let pod_group = namespace
            .clone()
            .zip(name.clone())
            .map(|(namespace, name)| PodGroup {
                kind: PodGroupKind::new(kind),
                namespace,
                name,
            });
        let pod = namespace.map(|namespace| PodRef {
            namespace,
            name: name.unwrap_or_default(),
            uid: PodUid::new(""),
        });
        Container {
            pod,
            pod_group,
            labels: labels.into_iter().collect(),
            ..Container::unknown(ContainerId::new(""), CgroupId(0))
        }
    }
}

/// For people.
fn text(explanation: &Explanation) -> String {
    let mut text = String::from("policies, the most specific first:\n");
    for policy in &explanation.policies {
        let why = match policy.refused_by {
            None => "selected".to_owned(),
            Some(field) => format!("not for it: selector.{field}"),
        };
        line(&mut text, 1, format_args!("{}  {why}", policy.name));
    }
    if explanation.policies.is_empty() {
        line(&mut text, 1, format_args!("none"));
    }
    for engine in &explanation.engines {
        engine_text(&mut text, engine);
    }
    text
}

fn engine_text(text: &mut String, explanation: &EngineExplanation) {
    let from = match &explanation.mode_from {
        Some(policy) => format!("by {policy}"),
        None => "by default".to_owned(),
    };
    let mode = match explanation.mode {
        Mode::Disabled => "disabled",
        Mode::Detect => "detect",
        Mode::Prevent => "prevent",
    };
    let mut details = Vec::new();
    if explanation.block_all {
        details.push(", every signature kills (blockAll)".to_owned());
    }
    if let Some(period) = explanation.learning_period {
        details.push(format!(", learns for {period}"));
    }
    if let Some(window) = explanation.startup_window {
        details.push(format!(", start-ups for {window}"));
    }
    let details = details.concat();
    line(
        text,
        0,
        format_args!("{}: {mode} {from}{details}", explanation.engine),
    );
    for (kind, entries) in [
        ("rule", &explanation.rules),
        ("exclusion", &explanation.exclusions),
    ] {
        for (policy, entry) in entries {
            line(text, 1, format_args!("{kind} of {policy}: {}", shown(entry)));
        }
    }
}

/// An entry in a line, as it would stand in a manifest.
fn shown(entry: &EntrySpec) -> String {
    // Its engine is told already.
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("engine");
    }
    value.to_string()
}

/// Texts of policies may hold anything; none may reach a terminal as more than text.
fn line(text: &mut String, depth: usize, what: std::fmt::Arguments<'_>) {
    let shown = RawString::from(what.to_string()).to_string();
    // Writing to a string does not fail.
    let _ = writeln!(text, "{:width$}{shown}", "", width = 2 * depth);
}
