use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::process::{ParentExe, ProcessIdentity};
use crate::profile::entry::{Destination, EntryMeta, NetworkEntry, ProcessEntry};
use crate::profile::model::Entries;
use crate::profile::status::{Input, NodeProgress, Now, Phase, Settings};
use crate::profile::{ImageSet, ProfileKey};
use crate::raw::RawString;
use crate::time::BootTime;

/// The example of the design.
fn mk_example() -> Value {
    json!({
        "apiVersion": "podwarden.dev/v1alpha1",
        "kind": "RuntimeProfile",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "podGroup": {"kind": "Deployment", "namespace": "shop", "name": "web"},
            "imageSet": [{"container": "app", "image": "web:1"}],
            "containers": [{
                "name": "app",
                "processes": [{"path": "/bin/busybox", "invokedAs": "/bin/ls", "parentPath": "(runtime)", "source": "Runtime"}],
                "network": [{"domain": "example.com", "port": 443, "processPath": "/usr/bin/app", "source": "Runtime"}],
            }],
        },
        "status": {
            "state": "InProgress",
            "percent": 35,
            "startTime": "2026-01-01T00:00:00Z",
            "endTime": "2026-01-02T00:00:00Z",
            "reason": null,
            "conditions": [],
        },
    })
}

fn parsed(value: Value) -> Result<Profile, String> {
    let manifest: RuntimeProfileManifest =
        serde_json::from_value(value).map_err(|error| error.to_string())?;
    Profile::try_from(manifest).map_err(|error| error.to_string())
}

#[test]
fn the_example_is_read() {
    let profile = parsed(mk_example()).unwrap();
    assert_eq!(profile.key.to_string(), "Deployment/shop/web");
    assert_eq!(profile.state.phase, Phase::InProgress { percent: 35 });
    let entry = ProcessEntry {
        identity: ProcessIdentity {
            path: "/bin/busybox".into(),
            invoked_as: Some("/bin/ls".into()),
            argv0: None,
            applet: None,
            script: None,
        },
        parent: ParentExe::Runtime,
    };
    assert!(profile.containers["app"].processes.contains_key(&entry));
    assert!(profile.user.is_empty());
}

#[test]
fn what_is_wrong_is_named() {
    let wrong = [
        (
            "/apiVersion",
            json!("v1"),
            "apiVersion: it is \"v1\", not podwarden.dev/v1alpha1",
        ),
        ("/kind", json!("Pod"), "kind: it is \"Pod\", not RuntimeProfile"),
        (
            "/spec/podGroup/name",
            json!(""),
            "spec.podGroup.name: it is empty",
        ),
        (
            "/spec/imageSet/0/container",
            json!(""),
            "spec.imageSet[0].container: it is empty",
        ),
        (
            "/spec/containers/0/name",
            json!(""),
            "spec.containers[0].name: it is empty",
        ),
        (
            "/spec/containers/0/name",
            json!("*"),
            "spec.containers[0].name: it is a pattern, and learned entries are of one container",
        ),
        (
            "/spec/containers/0/processes/0/path",
            json!(""),
            "spec.containers[0].processes[0].path: it is empty",
        ),
        (
            "/spec/containers/0/network/0/domain",
            json!("a..b"),
            "spec.containers[0].network[0].domain: the domain name has an empty label",
        ),
        (
            "/spec/containers/0/network/0",
            json!({"address": "10.0.0.0/99", "processPath": "/x"}),
            "spec.containers[0].network[0].address: `10.0.0.0/99` is no address or range of addresses, as in 192.0.2.1 or 192.0.2.0/24",
        ),
        (
            "/spec/containers/0/network/0",
            json!({"processPath": "/x"}),
            "spec.containers[0].network[0]: it has neither a domain nor an address",
        ),
        (
            "/status/state",
            json!("Done\n"),
            "status.state: \"Done\\n\" is none of InProgress, Finalizing, Partial, Completed, Disabled",
        ),
        (
            "/status/state",
            json!("Partial"),
            "status.reason: it is missing, and the profile is partial",
        ),
        (
            "/status/percent",
            json!(37),
            "status.percent: 37 is no multiple of 5 below 100",
        ),
        (
            "/status/endTime",
            json!("2025-01-01T00:00:00Z"),
            "status.endTime: it is before startTime",
        ),
        ("/status/endTime", Value::Null, "status.endTime: it is missing"),
    ];
    for (place, value, message) in wrong {
        let mut manifest = mk_example();
        *manifest.pointer_mut(place).unwrap() = value;
        assert_eq!(parsed(manifest), Err(message.to_owned()), "{place}");
    }
}

#[test]
fn what_people_write_is_theirs() {
    let mut manifest = mk_example();
    manifest["status"] = Value::Null;
    manifest["spec"]["containers"] = json!([{
        "name": "*",
        "processes": [{"path": "/usr/bin/debug*", "parentPath": "*"}],
        "network": [{"domain": "*.Example.com", "processPath": "*"}, {"address": "10.1.2.3/8", "port": 53, "processPath": "*"}],
        "removed": {"processes": [{"path": "/bin/nc", "parentPath": "*"}]},
    }]);
    let profile = parsed(manifest).unwrap();
    assert_eq!(profile.learned(), 0);
    assert_eq!(profile.user.allowed["*"].len(), 3);
    assert_eq!(profile.user.removed["*"].processes.len(), 1);
    assert_eq!(
        profile.state.phase,
        Phase::Disabled,
        "it is learned when a pod is found"
    );
}

#[test]
fn the_status_says_what_people_should_know() {
    let settings = Settings::default();
    let mut profile = parsed(mk_example()).unwrap();
    profile.state = crate::profile::State::default();
    let at = |hours: u64| Now {
        wall: Timestamp::from_unix_nanos(hours * 3_600_000_000_000),
        boot: BootTime::from_nanos(hours * 3_600_000_000_000),
    };
    profile.apply(&Input::Discovered, at(0), &settings);
    profile.apply(&Input::Lost(3), at(1), &settings);
    profile.apply(&Input::TimePassed, at(25), &settings);
    profile.apply(&Input::TimePassed, at(26), &settings);
    let status = RuntimeProfileManifest::from(&profile).status.unwrap();
    assert_eq!(
        (status.state.as_str(), status.reason.as_deref()),
        ("Partial", Some("StartupNotObserved"))
    );
    let told: Vec<_> = status
        .conditions
        .iter()
        .map(|c| (c.kind.as_str(), c.message.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "Complete",
                "StartupNotObserved: Start a container of the group anew: a short learning window follows."
            ),
            ("EventsLost", "3 events were lost while learning."),
        ]
    );
}

fn any_text() -> impl Strategy<Value = RawString> {
    prop::collection::vec(any::<u8>(), 1..12).prop_map(RawString::from)
}

fn any_meta(source: Source) -> impl Strategy<Value = EntryMeta> {
    (any::<u32>(), prop::collection::btree_set("[a-c]", 0..3)).prop_map(move |(time, nodes)| EntryMeta {
        source,
        first_seen: Timestamp::from_unix_nanos(time.into()),
        nodes: nodes.into_iter().map(Into::into).collect(),
    })
}

fn any_entries(source: Source) -> impl Strategy<Value = Entries> {
    let optional = || prop::option::of(any_text());
    let parent = prop_oneof![
        Just(ParentExe::Runtime),
        Just(ParentExe::Unknown),
        any_text().prop_map(ParentExe::Path)
    ];
    let process = (any_text(), optional(), optional(), optional(), optional(), parent).prop_map(
        |(path, invoked_as, argv0, applet, script, parent)| ProcessEntry {
            identity: ProcessIdentity {
                path,
                invoked_as,
                argv0,
                applet,
                script,
            },
            parent,
        },
    );
    let port = || prop::option::of(any::<u16>());
    let destination = prop_oneof![
        ("[a-z]{1,5}\\.example", port()).prop_map(|(name, port)| Destination::Domain {
            name: name.into(),
            port
        }),
        (any::<std::net::IpAddr>(), port()).prop_map(|(address, port)| Destination::Address {
            network: crate::profile::Cidr::single(address),
            port
        }),
    ];
    let network = (destination, any_text()).prop_map(|(destination, process_path)| NetworkEntry {
        destination,
        process_path,
    });
    (
        prop::collection::btree_map(process, any_meta(source), 1..4),
        prop::collection::btree_map(network, any_meta(source), 0..4),
    )
        .prop_map(|(processes, network)| Entries { processes, network })
}

fn any_profile() -> impl Strategy<Value = Profile> {
    let learned = prop::collection::btree_map("[a-c]", any_entries(Source::Runtime), 0..3);
    let allowed = prop::collection::btree_map("[a-c*]", any_entries(Source::User), 0..3);
    let removed = prop::collection::btree_map("[a-c*]", any_entries(Source::User), 0..2);
    let inputs = prop::collection::vec((0usize..8, 0u64..20), 0..12);
    (learned, allowed, removed, inputs).prop_map(|(learned, allowed, removed, inputs)| {
        let key: ProfileKey = serde_json::from_value(mk_example()["spec"]["podGroup"].clone()).unwrap();
        let mut profile = Profile::new(key, ImageSet::new([("a", "a:1")]));
        profile.user.allowed = allowed;
        for (name, entries) in &removed {
            entries
                .processes
                .keys()
                .for_each(|entry| profile.user.remove_process(name, entry.clone()));
            entries
                .network
                .keys()
                .for_each(|entry| profile.user.remove_network(name, entry.clone()));
        }
        let settings = Settings::default();
        let mut now = Now::default();
        for (choice, hours) in inputs {
            let by = hours * 3_600_000_000_000;
            now.wall = Timestamp::from_unix_nanos(now.wall.as_unix_nanos() + by);
            now.boot = BootTime::from_nanos(now.boot.as_nanos() + by);
            let progress = NodeProgress {
                until: now.wall,
                startup_seen: hours > 10,
                lost: hours,
            };
            let input = match choice {
                0 | 1 => Input::Discovered,
                2 => Input::StartupSeen,
                3 => Input::Lost(hours),
                4 => Input::Report {
                    node: "b".into(),
                    progress,
                },
                5 => {
                    profile.containers = learned.clone();
                    profile.change_image_set(
                        ImageSet::new([("a", format!("a:{hours}"))]),
                        true,
                        now,
                        &settings,
                    );
                    continue;
                }
                _ => Input::TimePassed,
            };
            profile.apply(&input, now, &settings);
        }
        profile.containers = learned;
        profile
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(profile in any_profile()) {
        let text = serde_json::to_string(&RuntimeProfileManifest::from(&profile)).unwrap();
        let manifest: RuntimeProfileManifest = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(Profile::try_from(manifest), Ok(profile));
    }
}
