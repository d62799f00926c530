use proptest::prelude::*;

use super::*;
use crate::container::{PodGroup, PodGroupKind};
use crate::process::{ParentExe, ProcessIdentity};
use crate::profile::entry::{Destination, NetworkEntry, ProcessEntry};
use crate::time::Timestamp;

fn mk_key() -> ProfileKey {
    ProfileKey::new(PodGroup {
        kind: PodGroupKind::new("Deployment"),
        namespace: "shop".into(),
        name: "web".into(),
    })
}

fn mk_empty() -> Observations {
    Observations::new(mk_key(), ImageSet::new([("app", "web:1")]), 1)
}

fn mk_process(number: u8) -> ProcessEntry {
    ProcessEntry {
        identity: ProcessIdentity {
            path: format!("/bin/{number}").into(),
            invoked_as: None,
            argv0: None,
            applet: None,
            script: None,
        },
        parent: ParentExe::Runtime,
    }
}

fn mk_network(number: u8) -> NetworkEntry {
    NetworkEntry {
        destination: Destination::Domain {
            name: format!("{number}.example").into(),
            port: Some(443),
        },
        process_path: "/bin/app".into(),
    }
}

fn any_meta() -> impl Strategy<Value = EntryMeta> {
    let node = prop::collection::btree_set((0u8..30).prop_map(|n| NodeName::from(format!("n{n}"))), 0..20);
    (0u64..100, node).prop_map(|(time, nodes)| EntryMeta {
        nodes: nodes.into_iter().take(crate::profile::MAX_ENTRY_NODES).collect(),
        ..EntryMeta::learned(Timestamp::from_unix_nanos(time))
    })
}

fn any_observations() -> impl Strategy<Value = Observations> {
    let entries = (
        prop::collection::btree_map((0u8..6).prop_map(mk_process), any_meta(), 0..6),
        prop::collection::btree_map((0u8..6).prop_map(mk_network), any_meta(), 0..6),
    )
        .prop_map(|(processes, network)| Entries { processes, network });
    let containers = prop::collection::btree_map(
        prop::sample::select(vec!["app".to_owned(), "init".to_owned()]),
        entries,
        0..3,
    );
    let progress =
        (0u64..100, any::<bool>(), 0u64..100).prop_map(|(until, startup_seen, lost)| NodeProgress {
            until: Timestamp::from_unix_nanos(until),
            startup_seen,
            lost,
        });
    let nodes = prop::collection::btree_map(
        (0u8..4).prop_map(|n| NodeName::from(format!("n{n}"))),
        progress,
        0..4,
    );
    (containers, nodes, any::<bool>()).prop_map(|(containers, nodes, overflowed)| Observations {
        containers,
        nodes,
        overflowed,
        ..mk_empty()
    })
}

/// What comes of merging these, in this order, into nothing.
fn merged(list: &[&Observations], bound: usize) -> Observations {
    let mut all = mk_empty();
    for one in list {
        all.merge(one, bound).unwrap();
    }
    all
}

proptest! {
    #[test]
    fn the_order_and_number_of_reports_do_not_matter(
        a in any_observations(),
        b in any_observations(),
        c in any_observations(),
        bound in 0usize..20,
    ) {
        let abc = merged(&[&a, &b, &c], bound);
        prop_assert_eq!(&merged(&[&c, &a, &b], bound), &abc);
        prop_assert_eq!(&merged(&[&a, &b, &a, &c, &c, &a], bound), &abc);
        // By way of others.
        let (ab, bc) = (merged(&[&a, &b], bound), merged(&[&b, &c], bound));
        prop_assert_eq!(&merged(&[&ab, &c], bound), &abc);
        prop_assert_eq!(&merged(&[&a, &bc], bound), &abc);
        prop_assert_eq!(&merged(&[&ab, &bc], bound), &abc);
        prop_assert!(abc.entries() <= bound);
    }

    #[test]
    fn nothing_is_left_out_in_silence(a in any_observations(), b in any_observations(), bound in 0usize..20) {
        let both = merged(&[&a, &b], usize::MAX);
        let bounded = merged(&[&a, &b], bound);
        let told = a.overflowed || b.overflowed;
        prop_assert_eq!(bounded.overflowed, told || both.entries() > bound);
    }
}

#[test]
fn what_is_not_of_the_same_learning_is_refused() {
    let mut ours = mk_empty();
    let others = [
        Observations {
            image_set: ImageSet::new([("app", "web:2")]),
            ..mk_empty()
        },
        Observations {
            generation: 2,
            ..mk_empty()
        },
    ];
    let told: Vec<String> = others
        .iter()
        .map(|other| ours.merge(other, 10).unwrap_err().to_string())
        .collect();
    assert_eq!(
        told,
        [
            "the observations are of the images app=web:2, and app=web:1 are learned",
            "the observations are of the learning number 2, and it is number 1"
        ]
    );
}
