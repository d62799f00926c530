//! The manifests of a file, parsed into the core's types. Pure: text in, values out.

mod documents;

use std::fmt;
use std::marker::PhantomData;

use runtime_core::RawString;
use runtime_core::policy::{InvalidEntry, Problem, RuleSource, RuntimePolicy, RuntimePolicySpec};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::yaml;
use documents::Document;

/// The API version of all manifests.
pub const API_VERSION: &str = "podwarden.dev/v1alpha1";

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifests {
    /// What is right, in the order of the file.
    pub items: Vec<Item>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A `RuntimePolicy`.
    Policy {
        /// The line of its name.
        line: usize,
        /// The policy.
        policy: Box<RuntimePolicy>,
    },
    /// A `SignatureSet`.
    SignatureSet {
        /// The line of its name.
        line: usize,
        /// Its name.
        name: String,
        /// Its rules.
        rules: RuleSource,
    },
    /// A plain list of rules.
    Rules(RuleSource),
}

/// Parses all documents of the file `origin`. A document that is wrong becomes a problem; the others load.
pub fn parse(origin: &str, text: &str) -> Manifests {
    let documents = documents::split(text);
    let mut manifests = Manifests::default();
    if documents.is_empty() {
        manifests
            .problems
            .push(problem(origin, None, "the file holds no document".into()));
    }
    for document in documents {
        match item(origin, document) {
            Ok(item) => manifests.items.push(item),
            Err(problem) => manifests.problems.push(problem),
        }
    }
    manifests
}

/// The kinds that a policy directory may hold.
pub(crate) const POLICY: &str = "RuntimePolicy";
pub(crate) const SIGNATURE_SET: &str = "SignatureSet";
/// The kinds that have another home: a cluster's API, or the state directory.
const KEPT_ELSEWHERE: [&str; 2] = ["RuntimeProfile", "ProfileObservation"];

/// What every manifest begins with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: Spanned<String>,
    kind: Spanned<String>,
}

/// A whole manifest. `status` is what a cluster adds to it; a file that was exported from one may have it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Manifest<S> {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    metadata: Metadata,
    spec: S,
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
}

/// Of the metadata only the name matters here; labels and all else are the cluster's.
#[derive(Deserialize)]
struct Metadata {
    name: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignatureSetSpec {
    #[serde(default, rename = "version")]
    _version: IgnoredAny,
    rules: Spanned<String>,
}

fn item(origin: &str, document: Document<'_>) -> Result<Item, Problem> {
    let Document { first_line, text } = document;
    let list = || {
        Item::Rules(RuleSource {
            origin: origin.to_owned(),
            text: text.to_owned(),
            first_line,
        })
    };
    // The text of a list is for the rule compiler, which can refuse one rule of it and keep the rest.
    if document.is_list() {
        return Ok(list());
    }
    let header = match yaml::read::<TopLevel<Header>>(origin, first_line, text)? {
        TopLevel::List => return Ok(list()),
        TopLevel::Mapping(header) => header,
    };
    let line = |spanned: &Spanned<String>| line_of(spanned, first_line);
    if header.api_version.value != API_VERSION {
        let message = format!(
            "apiVersion: {:?} is not known here, only {API_VERSION:?} is",
            header.api_version.value
        );
        return Err(problem(origin, line(&header.api_version), message));
    }
    match header.kind.value.as_str() {
        POLICY => {
            let manifest: Manifest<RuntimePolicySpec> = yaml::read(origin, first_line, text)?;
            let (line, name) = checked_name(origin, first_line, manifest.metadata)?;
            let refused = |error: InvalidEntry| problem(origin, Some(line), format!("{name}: spec.{error}"));
            let policy = RuntimePolicy::new(name.clone(), manifest.spec).map_err(refused)?;
            Ok(Item::Policy {
                line,
                policy: Box::new(policy),
            })
        }
        SIGNATURE_SET => {
            let manifest: Manifest<SignatureSetSpec> = yaml::read(origin, first_line, text)?;
            let (line, name) = checked_name(origin, first_line, manifest.metadata)?;
            let rules = RuleSource {
                origin: origin.to_owned(),
                first_line: line_of_text(&manifest.spec.rules, document),
                text: manifest.spec.rules.value,
            };
            Ok(Item::SignatureSet { line, name, rules })
        }
        kind if KEPT_ELSEWHERE.contains(&kind) => {
            let message = format!("kind: {kind} is not read from a policy directory");
            Err(problem(origin, line(&header.kind), message))
        }
        kind => {
            let message = format!("kind: {kind:?} is not known here, only {POLICY} and {SIGNATURE_SET} are");
            Err(problem(origin, line(&header.kind), message))
        }
    }
}

/// A name as Kubernetes takes it (a DNS subdomain), so that what works from a directory works in a cluster.
fn checked_name(origin: &str, first_line: usize, metadata: Metadata) -> Result<(usize, String), Problem> {
    let line = line_of(&metadata.name, first_line);
    let name = metadata.name.value;
    let label = |label: &str| {
        label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        let shown: String = name.chars().take(80).collect();
        let message = format!(
            "metadata.name: {shown:?} is not a name: lower-case letters, digits, '-' and '.', at most 253 of them"
        );
        return Err(problem(origin, line, message));
    }
    Ok((line.unwrap_or(first_line), name))
}

fn line_of(spanned: &Spanned<String>, first_line: usize) -> Option<usize> {
    match usize::try_from(spanned.referenced.line()) {
        Ok(line @ 1..) => Some(first_line + line - 1),
        _ => None,
    }
}

/// The line that the first line of a text stands at.
///
/// Of a block text (`|`) the reader tells the first line that is not blank, and keeps the blank ones in the
/// value; of a quoted or plain one it tells the line of its first character.
fn line_of_text(text: &Spanned<String>, document: Document<'_>) -> usize {
    let Some(line) = line_of(text, document.first_line) else {
        return document.first_line;
    };
    let quoted = document
        .text
        .lines()
        .nth(line - document.first_line)
        .and_then(|line| {
            line.chars()
                .nth((text.referenced.column() as usize).saturating_sub(1))
        })
        .is_some_and(|c| matches!(c, '"' | '\''));
    let blank = if quoted {
        0
    } else {
        text.value.bytes().take_while(|&byte| byte == b'\n').count()
    };
    line.saturating_sub(blank)
}

fn problem(origin: &str, line: Option<usize>, message: String) -> Problem {
    Problem {
        origin: origin.to_owned(),
        line,
        message: RawString::from(message).to_string(),
    }
}

/// A document's top level, where that is what it may be.
enum TopLevel<T> {
    List,
    Mapping(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TopLevel<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TopLevel<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a manifest or a list of rules")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TopLevel<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TopLevel::Mapping)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<TopLevel<T>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(TopLevel::List)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

#[cfg(test)]
mod tests;
