//! Profiles are files that people read, edit and keep in git: what is written as YAML is read back.

use runtime_core::Profile;
use runtime_core::profile::manifest::RuntimeProfileManifest;

const TEXT: &str = r#"apiVersion: podwarden.dev/v1alpha1
kind: RuntimeProfile
metadata: {name: web, namespace: shop, labels: {team: shop}}
spec:
  podGroup: {kind: Deployment, namespace: shop, name: web}
  imageSet: [{container: app, image: "registry.example/web:1"}]
  containers:
  - name: app
    processes:
    - {path: /bin/busybox, invokedAs: '/opt/a\xff: b\x0a', applet: "123", parentPath: "(runtime)", source: Runtime}
    - {path: /usr/bin/debug*, parentPath: "*"}
    network:
    - {domain: example.com, port: 443, processPath: /usr/bin/app, source: Runtime}
    - {address: "2001:db8::/32", processPath: "*", source: User}
    removed: {processes: [{path: /bin/nc, parentPath: "*"}]}
status: {state: InProgress, percent: 35, startTime: "2026-01-01T00:00:00Z", endTime: "2026-01-02T00:00:00Z", reason: null, conditions: []}
"#;

#[test]
fn what_is_written_as_yaml_is_read_back() {
    let manifest: RuntimeProfileManifest = serde_saphyr::from_str(TEXT).unwrap();
    let profile = Profile::try_from(manifest).unwrap();
    let (process, _) = profile.containers["app"].processes.first_key_value().unwrap();
    assert_eq!(
        process.identity.invoked_as.as_deref(),
        Some(&b"/opt/a\xff: b\n"[..])
    );
    let written = serde_saphyr::to_string(&RuntimeProfileManifest::from(&profile)).unwrap();
    let again: RuntimeProfileManifest = serde_saphyr::from_str(&written).unwrap();
    assert_eq!(Profile::try_from(again), Ok(profile), "{written}");
    assert!(!written.contains("firstSeen"), "no time is made up: {written}");
}
