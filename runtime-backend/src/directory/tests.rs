use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn policy(name: &str) -> String {
    format!(
        "apiVersion: podwarden.dev/v1alpha1\nkind: RuntimePolicy\nmetadata: {{name: {name}}}\nspec: {{}}\n"
    )
}

fn mk_directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// The names of the policies, the texts of the rules, and the problems without the directory's own path.
fn load(source: &mut DirectoryPolicySource) -> (Vec<String>, Vec<String>, Vec<String>) {
    let snapshot = source.load().unwrap();
    let directory = format!("{}/", source.directory().display());
    (
        snapshot
            .policies
            .iter()
            .map(|policy| policy.name().to_owned())
            .collect(),
        snapshot.rules.iter().map(|rules| rules.text.clone()).collect(),
        snapshot
            .problems
            .iter()
            .map(|p| p.to_string().replace(&directory, ""))
            .collect(),
    )
}

fn load_all(directory: &TempDir) -> (Vec<String>, Vec<String>, Vec<String>) {
    load(&mut DirectoryPolicySource::new(directory.path()))
}

#[test]
fn files_are_read_in_the_order_of_their_names() {
    let directory = mk_directory(&[
        ("b.yml", "- rule: second\n"),
        ("a.yaml", "- rule: first\n"),
        ("c.json", r#"[{"rule": "third"}]"#),
        ("notes.txt", "not: [yaml"),
        (".hidden.yaml", "not: [yaml"),
        ("a.yaml~", "not: [yaml"),
    ]);
    let (policies, rules, problems) = load_all(&directory);
    assert_eq!(policies, [""; 0]);
    assert_eq!(
        rules,
        ["- rule: first\n", "- rule: second\n", r#"[{"rule": "third"}]"#]
    );
    assert_eq!(problems, [""; 0]);
}

#[test]
fn a_bad_file_names_its_place_and_the_good_ones_load() {
    let bad = policy("bad").replace("spec: {}", "spec:\n  engines: {signatures: {mode: 3}}");
    let directory = mk_directory(&[("a.yaml", &bad), ("b.yaml", &policy("good")), ("c.yaml", "")]);
    fs::write(directory.path().join("d.yaml"), b"a: 1\nb: \xff\n").unwrap();
    fs::create_dir(directory.path().join("e.yaml")).unwrap();
    symlink("nowhere", directory.path().join("f.yaml")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, directory.path().join("g.yaml"), 0o600.into()).unwrap();
    symlink("/dev/zero", directory.path().join("h.yaml")).unwrap();

    let (policies, _, problems) = load_all(&directory);
    assert_eq!(policies, ["good"]);
    assert_eq!(
        problems,
        [
            "a.yaml:5: spec.engines.signatures.mode: unknown variant `3`, expected one of disabled, detect, prevent",
            "c.yaml: the file holds no document",
            "d.yaml:2: not UTF-8",
            "e.yaml: not a regular file",
            "f.yaml: the file cannot be read: No such file or directory (os error 2)",
            "g.yaml: not a regular file",
            "h.yaml: not a regular file",
        ]
    );
}

#[test]
fn size_is_bounded_and_large_files_within_the_bound_load() {
    let rules = format!("- rule: large\n  desc: {}\n", "x".repeat(10 << 20));
    let directory = mk_directory(&[("large.yaml", &rules)]);
    let sparse = fs::File::create(directory.path().join("sparse.yaml")).unwrap();
    sparse.set_len(files::MAX_FILE_SIZE + 1).unwrap();
    let (_, loaded, problems) = load_all(&directory);
    assert_eq!(loaded, [rules]);
    assert_eq!(problems, ["sparse.yaml: the file is larger than 16 MiB"]);
}

#[test]
fn two_objects_of_one_name_are_told_with_both_places() {
    let twice = policy("same") + "---\n" + &policy("other") + "---\n" + &policy("same");
    let directory = mk_directory(&[("a.yaml", &twice), ("b.yaml", &policy("other"))]);
    let (policies, _, problems) = load_all(&directory);
    assert_eq!(policies, ["same", "other"]);
    assert_eq!(
        problems,
        [
            "a.yaml:13: metadata.name: there is a RuntimePolicy \"same\" already, at a.yaml:3; that one counts",
            "b.yaml:3: metadata.name: there is a RuntimePolicy \"other\" already, at a.yaml:8; that one counts",
        ]
    );
}

#[test]
fn a_missing_directory_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none");
    let mut source = DirectoryPolicySource::new(&missing);
    let error = source.load().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot list the policy directory {}", missing.display())
    );
    assert!(!source.changed(), "the same error is no news");
    fs::create_dir(&missing).unwrap();
    assert!(source.changed());
}

#[test]
fn changes_are_noticed_and_quiet_is_quiet() {
    let directory = mk_directory(&[("a.yaml", &policy("a"))]);
    let at = |name: &str| directory.path().join(name);
    let mut source = DirectoryPolicySource::new(directory.path());
    assert!(source.changed(), "nothing was read yet");
    let mut change = |what: &dyn Fn(), expected: &[&str]| {
        what();
        assert!(source.changed());
        assert_eq!(load(&mut source).0, expected);
        assert!(!source.changed());
    };
    change(&|| {}, &["a"]);
    change(&|| fs::write(at("b.yaml"), policy("b")).unwrap(), &["a", "b"]);
    change(&|| fs::rename(at("b.yaml"), at("c.yaml")).unwrap(), &["a", "b"]);
    // The same size, put in place by a rename, as editors do.
    change(
        &|| {
            fs::write(at("new"), policy("z")).unwrap();
            fs::rename(at("new"), at("a.yaml")).unwrap();
        },
        &["z", "b"],
    );
    change(&|| fs::remove_file(at("a.yaml")).unwrap(), &["b"]);
    fs::write(at("notes.txt"), "x").unwrap();
    assert!(!source.changed());
}

#[test]
fn a_mounted_config_map_is_read_through_its_links_and_its_swap_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for (version, name) in [("..1", "old"), ("..2", "new")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("policy.yaml"), policy(name)).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/policy.yaml", at("policy.yaml")).unwrap();
    let mut source = DirectoryPolicySource::new(directory.path());
    assert_eq!(load(&mut source).0, ["old"]);

    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    assert!(source.changed());
    assert_eq!(load(&mut source).0, ["new"]);
}

#[test]
fn a_file_that_breaks_stays_in_force_as_it_was() {
    let directory = mk_directory(&[("a.yaml", &policy("a")), ("b.yaml", &policy("b"))]);
    let at = |name: &str| directory.path().join(name);
    let mut source = DirectoryPolicySource::new(directory.path());
    assert_eq!(load(&mut source).0, ["a", "b"]);

    fs::write(at("a.yaml"), "apiVersion: [\n").unwrap();
    fs::write(at("b.yaml"), policy("b2")).unwrap();
    for _ in 0..2 {
        let (policies, _, problems) = load(&mut source);
        assert_eq!(
            policies,
            ["a", "b2"],
            "the good one is taken, the broken one kept"
        );
        assert_eq!(problems.len(), 2);
        assert_eq!(
            problems[1],
            "a.yaml: what the file held before stays in force until it is right again"
        );
    }

    fs::remove_file(at("a.yaml")).unwrap();
    assert_eq!(load(&mut source).0, ["b2"], "gone is gone");
    fs::write(at("a.yaml"), "apiVersion: [\n").unwrap();
    assert_eq!(load(&mut source).0, ["b2"], "and does not come back");
}

#[test]
fn a_hostile_file_name_is_plain_text_in_a_problem() {
    let directory = mk_directory(&[("a\n\u{1b}[2J.yaml", "")]);
    let (_, _, problems) = load_all(&directory);
    assert_eq!(problems, [r"a\x0a\x1b[2J.yaml: the file holds no document"]);
}
