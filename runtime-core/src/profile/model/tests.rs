use super::*;
use crate::container::{PodGroup, PodGroupKind};
use crate::process::{ParentExe, ProcessIdentity};
use crate::profile::status::Phase;
use crate::time::BootTime;

fn at(seconds: u64) -> Now {
    Now {
        wall: Timestamp::from_unix_nanos(seconds * 1_000_000_000),
        boot: BootTime::from_nanos(seconds * 1_000_000_000),
    }
}

fn images(tag: u8) -> ImageSet {
    ImageSet::new([("app", format!("web:{tag}"))])
}

fn mk_profile() -> Profile {
    let key = ProfileKey::new(PodGroup {
        kind: PodGroupKind::new("Deployment"),
        namespace: "shop".into(),
        name: "web".into(),
    });
    Profile::new(key, images(1))
}

fn mk_entry(path: &str) -> ProcessEntry {
    ProcessEntry {
        identity: ProcessIdentity {
            path: path.into(),
            invoked_as: None,
            argv0: None,
            applet: None,
            script: None,
        },
        parent: ParentExe::Runtime,
    }
}

/// What another node reports of this profile: that program, and how far it has come.
fn mk_report(profile: &Profile, path: &str, until: Now) -> Observations {
    let mut other = profile.clone();
    other.containers.clear();
    let entries = other.containers.entry("app".into()).or_default();
    entries
        .processes
        .insert(mk_entry(path), EntryMeta::learned(until.wall));
    let progress = NodeProgress {
        until: until.wall,
        startup_seen: true,
        lost: 0,
    };
    other.observations(&"b".into(), progress)
}

fn learned(profile: &Profile) -> Vec<String> {
    let entries = profile
        .containers
        .values()
        .flat_map(|entries| entries.processes.keys());
    entries.map(|entry| entry.identity.to_string()).collect()
}

#[test]
fn what_other_nodes_learn_is_learned_until_learning_is_over() {
    let settings = Settings::default();
    let mut profile = mk_profile();
    profile.apply(&Input::Discovered, at(0), &settings);
    let early = mk_report(&profile, "/bin/early", at(60));
    profile.take_observations(&early, at(60), &settings).unwrap();
    profile.take_observations(&early, at(61), &settings).unwrap();
    assert_eq!(learned(&profile), ["/bin/early"]);
    assert!(profile.state.startup_seen);

    profile.apply(&Input::TimePassed, at(90_000), &settings);
    profile.apply(&Input::TimePassed, at(91_000), &settings);
    assert_eq!(profile.state.phase, Phase::Completed { empty: false });
    let late = mk_report(&profile, "/bin/late", at(91_000));
    profile.take_observations(&late, at(91_000), &settings).unwrap();
    assert_eq!(learned(&profile), ["/bin/early"]);
}

#[test]
fn a_report_of_another_version_changes_nothing() {
    let settings = Settings::default();
    let mut profile = mk_profile();
    profile.apply(&Input::Discovered, at(0), &settings);
    let report = mk_report(&profile, "/bin/old", at(60));
    profile.change_image_set(images(2), false, at(100), &settings);
    let before = profile.clone();
    assert!(profile.take_observations(&report, at(160), &settings).is_err());
    assert_eq!(profile, before);
}

#[test]
fn too_many_entries_make_the_profile_partial() {
    let settings = Settings {
        max_entries: 3,
        ..Settings::default()
    };
    let mut profile = mk_profile();
    profile.apply(&Input::Discovered, at(0), &settings);
    for number in 0..9 {
        let report = mk_report(&profile, &format!("/bin/{number}"), at(60));
        profile.take_observations(&report, at(60), &settings).unwrap();
    }
    assert_eq!(profile.learned(), 3);
    assert!(profile.state.limit_reached);
}

#[test]
fn a_roll_out_keeps_the_old_profile_for_the_old_pods() {
    let settings = Settings::default();
    let mut profile = mk_profile();
    profile
        .user
        .allow_process("*", mk_entry("/bin/debug"), at(0).wall);
    profile.apply(&Input::Discovered, at(0), &settings);
    let report = mk_report(&profile, "/bin/one", at(90_000));
    profile.take_observations(&report, at(60), &settings).unwrap();
    profile.apply(&Input::TimePassed, at(90_000), &settings);
    profile.apply(&Input::TimePassed, at(91_000), &settings);
    let user = profile.user.clone();

    profile.change_image_set(images(2), true, at(92_000), &settings);
    assert_eq!(learned(&profile), [""; 0]);
    assert_eq!(profile.state.phase, Phase::InProgress { percent: 0 });
    let [retired] = &profile.retired[..] else {
        panic!("{:?}", profile.retired)
    };
    assert_eq!(
        (&retired.image_set, retired.state.phase),
        (&images(1), Phase::Completed { empty: false })
    );
    assert_eq!(retired.containers["app"].processes.len(), 1);
    assert_eq!(profile.user, user, "what users say stays");

    profile.apply(&Input::RollOut { old_pods: false }, at(92_100), &settings);
    assert_eq!(profile.retired, []);
}
