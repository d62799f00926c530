//! The OCI bundle's `config.json`, for runc.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Value, json};

use crate::builder::PidNamespace;
use crate::error::Error;
use crate::spec::{Bind, ProcessSpec};

/// What goes into a bundle.
pub(crate) struct Bundle<'a> {
    pub(crate) root: &'a Path,
    pub(crate) cgroup: &'a Path,
    pub(crate) hostname: &'a str,
    pub(crate) pid: PidNamespace,
    pub(crate) process: &'a ProcessSpec,
    pub(crate) binds: &'a [Bind],
    pub(crate) annotations: &'a BTreeMap<String, String>,
}

/// The capabilities that containerd gives by default.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// The configuration; fails where a text is not UTF-8, which JSON cannot say.
pub(crate) fn config(bundle: &Bundle<'_>) -> Result<Value, Error> {
    let Bundle {
        root,
        cgroup,
        hostname,
        pid,
        process,
        binds,
        annotations,
    } = bundle;
    let ProcessSpec {
        path: _,
        argv,
        env,
        cwd,
        user,
        output: _,
    } = process;
    let args = argv.iter().map(|arg| utf8(arg)).collect::<Result<Vec<_>, _>>()?;
    let env = env
        .iter()
        .map(|(name, value)| Ok(format!("{}={}", utf8(name)?, utf8(value)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let mut namespaces = vec![
        json!({"type": "mount"}),
        json!({"type": "uts"}),
        json!({"type": "ipc"}),
    ];
    match pid {
        PidNamespace::Private => namespaces.push(json!({"type": "pid"})),
        PidNamespace::Host => {}
        PidNamespace::Of(pid) => {
            namespaces.push(json!({"type": "pid", "path": format!("/proc/{pid}/ns/pid")}));
        }
    }
    let mut mounts = vec![
        json!({"destination": "/proc", "type": "proc", "source": "proc"}),
        json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
               "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}),
        json!({"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
               "options": ["nosuid", "nodev", "mode=1777", "size=65536k"]}),
        json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]}),
    ];
    for Bind { source, target } in *binds {
        mounts.push(
            json!({"destination": utf8(target)?, "type": "bind", "source": utf8(source)?,
                           "options": ["rbind", "rw"]}),
        );
    }
    Ok(json!({
        "ociVersion": "1.0.2",
        "hostname": hostname,
        "root": {"path": utf8(root)?, "readonly": false},
        "process": {
            "terminal": false,
            "user": {"uid": user.0, "gid": user.1},
            "args": args,
            "env": env,
            "cwd": utf8(cwd)?,
            "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
        },
        "mounts": mounts,
        "annotations": annotations,
        "linux": {
            "cgroupsPath": format!("/{}", utf8(cgroup)?),
            "namespaces": namespaces,
            "resources": {"devices": [{"allow": true, "access": "rwm"}]},
        },
    }))
}

fn utf8<T: AsRef<OsStr> + ?Sized>(text: &T) -> Result<&str, Error> {
    text.as_ref().to_str().ok_or(Error::Unsupported {
        runtime: "runc",
        what: "text that is not UTF-8",
    })
}
