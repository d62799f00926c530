//! The steps that are cargo's work.

use std::time::Duration;

use serde_json::Value;

use super::table::Done;
use crate::Outcome;
use crate::command::{Limited, cargo};

/// A crate, and the crates that must not be among what it needs, directly or not, in a normal build.
///
/// The model and the engines are pure; the adapters never know of each other, only the binaries join them.
const FORBIDDEN: [(&str, &[&str]); 5] = [
    (
        "runtime-core",
        &[
            "tokio",
            "kube",
            "aya",
            "runtime-engines",
            "runtime-ebpf",
            "runtime-k8s",
            "runtime-backend",
        ],
    ),
    (
        "runtime-engines",
        &[
            "tokio",
            "kube",
            "aya",
            "runtime-ebpf",
            "runtime-k8s",
            "runtime-backend",
        ],
    ),
    (
        "runtime-ebpf",
        &["kube", "runtime-engines", "runtime-k8s", "runtime-backend"],
    ),
    (
        "runtime-k8s",
        &["aya", "runtime-engines", "runtime-ebpf", "runtime-backend"],
    ),
    (
        "runtime-backend",
        &["aya", "kube", "runtime-engines", "runtime-ebpf", "runtime-k8s"],
    ),
];

pub(super) fn format() -> Outcome<Done> {
    cargo()
        .args(["fmt", "--all", "--check"])
        .run()
        .map(|()| Done::Passed)
}

pub(super) fn clippy() -> Outcome<Done> {
    long()
        .args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ])
        .run()
        .map(|()| Done::Passed)
}

pub(super) fn documentation() -> Outcome<Done> {
    long()
        .args(["doc", "--workspace", "--no-deps", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
        .map(|()| Done::Passed)
}

/// The default members, as anybody runs them. Of the one that is not, only what needs no root.
pub(super) fn tests() -> Outcome<Done> {
    long().args(["test", "--quiet"]).run()?;
    long()
        .args(["test", "--quiet", "--package", "testbed", "--lib"])
        .run()?;
    long()
        .args(["test", "--quiet", "--package", "testbed", "--doc"])
        .run()
        .map(|()| Done::Passed)
}

/// Each published library by itself: in the workspace another crate's features can hide a missing one.
pub(super) fn each_alone() -> Outcome<Done> {
    for name in published_libraries()? {
        println!("{name}");
        long().args(["check", "--quiet", "--package", &name]).run()?;
    }
    Ok(Done::Passed)
}

/// What the crates are forbidden to need, read from `cargo tree`.
pub(super) fn dependencies() -> Outcome<Done> {
    let members = published_libraries()?;
    let mut broken = Vec::new();
    for (name, forbidden) in FORBIDDEN {
        // A crate whose turn has not come is not a member yet.
        if !members.iter().any(|member| member == name) {
            continue;
        }
        let tree = cargo()
            .args([
                "tree",
                "--quiet",
                "--edges",
                "normal",
                "--prefix",
                "none",
                "--all-features",
                "--package",
                name,
            ])
            .read()?;
        broken.extend(
            offences(&tree, forbidden)
                .into_iter()
                .map(|offence| format!("{name} needs {offence}")),
        );
    }
    if broken.is_empty() {
        Ok(Done::Passed)
    } else {
        Err(broken.join("; ").into())
    }
}

/// The forbidden crates in a tree of `NAME vVERSION …` lines; a name stands for its family too (`kube-core`).
fn offences<'a>(tree: &str, forbidden: &[&'a str]) -> Vec<&'a str> {
    let names: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let is = |name: &str, forbidden: &str| {
        name.strip_prefix(forbidden)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    forbidden
        .iter()
        .copied()
        .filter(|forbidden| names.iter().any(|name| is(name, forbidden)))
        .collect()
}

/// The workspace's libraries that others `cargo add`.
fn published_libraries() -> Outcome<Vec<String>> {
    let metadata = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .read()?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .ok_or("cargo metadata has no packages")?;
    let mut names: Vec<String> = packages
        .iter()
        .filter_map(published_library)
        .map(str::to_owned)
        .collect();
    names.sort();
    if names.is_empty() {
        return Err("cargo metadata has no published library".into());
    }
    Ok(names)
}

fn published_library(package: &Value) -> Option<&str> {
    let is_list = |value: &Value, wanted: &str| {
        value
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind.as_str() == Some(wanted)))
    };
    let library = package
        .get("targets")?
        .as_array()?
        .iter()
        .any(|target| is_list(&target["kind"], "lib"));
    // `publish = false` is an empty list here.
    let published = package
        .get("publish")?
        .as_array()
        .is_none_or(|registries| !registries.is_empty());
    let name = package.get("name")?.as_str()?;
    (library && published).then_some(name)
}

/// Cargo on two cores from nothing.
fn long() -> Limited {
    cargo().limit(Duration::from_mins(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_crate_is_found_with_its_family_and_no_other() {
        let tree =
            "runtime-core v0.1.0 (/x)\nserde v1.0.0\nkube-core v5.0.0\ntokio-like v1\ntokioish v1.0.0\n";
        assert_eq!(offences(tree, &["kube", "aya"]), ["kube"]);
        assert_eq!(offences("a v1\ntokioish v1\n", &["tokio"]), [""; 0]);
    }

    #[test]
    fn only_published_libraries_count() {
        let package = |publish: &str, kind: &str| {
            let json = format!(r#"{{"name":"x","publish":{publish},"targets":[{{"kind":["{kind}"]}}]}}"#);
            serde_json::from_str::<Value>(&json).unwrap()
        };
        assert_eq!(published_library(&package("null", "lib")), Some("x"));
        assert_eq!(published_library(&package("[]", "lib")), None);
        assert_eq!(published_library(&package("null", "bin")), None);
    }
}
