//! Processes: who acts, under which name, started by whom.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::Origin;
use crate::id::{CgroupId, FileId, Pid, ProcessKey};
use crate::raw::{RawString, base_name};
use crate::time::{BootTime, Timestamp};

/// A process as it was when an event happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Process id in the host's PID namespace.
    pub pid: Pid,
    /// Process id in the process's own PID namespace.
    pub container_pid: Pid,
    /// When its first thread started, in the kernel's clock.
    pub start_boot: BootTime,
    /// The same on the wall clock.
    pub start_time: Timestamp,
    /// The executable's path in the container's mount namespace; empty for a kernel thread. A path whose head is
    /// not known begins with `(truncated)`, one on a mount of no place in that namespace with `(detached)`.
    #[serde(with = "crate::raw::exact")]
    pub exe: RawString,
    /// The executable's device and inode.
    pub file: FileId,
    /// Where the executable comes from; `None` where that is not known, as for what runs since before the sensor.
    pub origin: Option<Origin>,
    /// What the process is, for profiles and rules.
    #[serde(with = "crate::event::record::ExactIdentity")]
    pub identity: ProcessIdentity,
    /// The arguments, the zeroth among them; see [`args_truncated`](Self::args_truncated).
    #[serde(with = "crate::raw::exact::list")]
    pub args: Vec<RawString>,
    /// True when there were more argument bytes than are in [`args`](Self::args).
    pub args_truncated: bool,
    /// How many arguments there really were.
    pub args_count: u32,
    /// The working directory at the time of the exec; empty where it could not be read.
    #[serde(with = "crate::raw::exact")]
    pub cwd: RawString,
    /// The thread's name (`comm`), at most 15 bytes.
    #[serde(with = "crate::raw::exact")]
    pub comm: RawString,
    /// User and group ids and capabilities.
    pub credentials: Credentials,
    /// The cgroup that the process is in.
    pub cgroup: CgroupId,
    /// Inode numbers of its namespaces.
    pub namespaces: Namespaces,
    /// Who forked it.
    pub parent: Parent,
    /// The parent's parent and so on, nearest first, as far as they are in the container; the parent itself
    /// is the first.
    #[serde(with = "crate::event::record::ancestors")]
    pub ancestors: Vec<Ancestor>,
}

impl Process {
    /// What tells this process from all others.
    pub fn key(&self) -> ProcessKey {
        ProcessKey {
            pid: self.pid,
            start: self.start_boot,
        }
    }
}

/// Ids and capabilities that a process acts with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Real user id, in the initial user namespace.
    pub uid: u32,
    /// Real group id, in the initial user namespace.
    pub gid: u32,
    /// Effective user id, in the initial user namespace.
    pub euid: u32,
    /// Effective capabilities, a bit for each number of `capabilities(7)`.
    pub effective_caps: u64,
    /// Permitted capabilities.
    pub permitted_caps: u64,
}

/// Inode numbers of a process's namespaces, as `/proc/PID/ns` shows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Namespaces {
    /// The PID namespace.
    pub pid: u32,
    /// The mount namespace.
    pub mount: u32,
}

/// The process that forked another one, with the executable it had at that moment.
///
/// It stays the same when that process exits and its children are given another parent, so it can neither be
/// lost by chance nor shed on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parent {
    /// Its process id in the host's PID namespace.
    pub pid: Pid,
    /// When it started.
    pub start_boot: BootTime,
    /// Its executable.
    pub exe: ParentExe,
    /// True when the fork was not seen, because it was before the sensor's time: then this is the parent that
    /// the kernel named later, which may not be the process that forked.
    pub inferred: bool,
}

/// The text that stands for a parent outside the container.
pub const RUNTIME: &str = "(runtime)";

/// A parent's executable, as seen from inside the container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParentExe {
    /// A process of the same container, by its executable's path.
    Path(#[serde(with = "crate::raw::exact")] RawString),
    /// A process outside the container: the container runtime, which starts entrypoints, probes and
    /// `kubectl exec`.
    Runtime,
    /// Not known.
    Unknown,
}

impl ParentExe {
    /// The text used in profiles and alerts: the path, `(runtime)`, or `None`.
    pub fn to_text(&self) -> Option<RawString> {
        match self {
            Self::Path(path) => Some(path.clone()),
            Self::Runtime => Some(RUNTIME.into()),
            Self::Unknown => None,
        }
    }
}

/// One process up the line of those that forked each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Its process id in the host's PID namespace.
    pub pid: Pid,
    /// Its executable's path at the time it forked.
    pub path: RawString,
    /// Where its executable comes from; `None` where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Ancestor {
    /// Whether its executable is the image's own, or nothing else is known of it.
    pub fn is_of_image(&self) -> bool {
        matches!(self.origin, None | Some(Origin::Image))
    }
}

/// What a process is: its file, and whatever makes that file act differently.
///
/// Nothing in it but [`path`](Self::path) can be trusted to be true, and nothing but a difference is ever
/// concluded from the rest: a name or argument can make an identity another one, never an allowed one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessIdentity {
    /// The executable's real path: links are resolved, and for a script this is the interpreter.
    pub path: RawString,
    /// The name it was invoked by, where that names another program (a link to a multi-call binary).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoked_as: Option<RawString>,
    /// The base name of `argv[0]`, where it differs from the invoked name's as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv0: Option<RawString>,
    /// The applet, where a multi-call binary was given it as its first argument (`busybox APPLET`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applet: Option<RawString>,
    /// The script, where the file is an interpreter that the kernel started for it (`#!`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<RawString>,
}

/// How an exec named the file to run.
#[derive(Debug, Clone, Copy)]
pub enum InvokedName<'a> {
    /// The file itself, by this name.
    Executable(&'a [u8]),
    /// A script by the one name, which made the kernel run the interpreter by the other.
    Script {
        /// The script's name.
        script: &'a [u8],
        /// The interpreter's name, as the `#!` line gives it.
        interpreter: &'a [u8],
    },
    /// By a file descriptor: there is no name.
    Descriptor,
}

/// Multi-call binaries that take the applet as their first argument when called by their own name.
const APPLET_BINARIES: [&[u8]; 3] = [b"busybox", b"busybox.static", b"toybox"];

impl ProcessIdentity {
    /// The identity of a process that runs the file `path` and was started by `invoked` with `args` in the
    /// directory `cwd`.
    pub fn resolve(path: &RawString, invoked: InvokedName<'_>, args: &[RawString], cwd: &[u8]) -> Self {
        let (name, script) = match invoked {
            InvokedName::Executable(name) => (Some(name), None),
            InvokedName::Script { script, interpreter } => (Some(interpreter), Some(absolute(script, cwd))),
            InvokedName::Descriptor => (None, None),
        };
        let called = name.map_or(path.base_name(), base_name);
        let invoked_as = name
            .filter(|_| called != path.base_name())
            .map(|name| absolute(name, cwd));
        let argv0 = args.first().map(RawString::base_name).unwrap_or_default();
        let argv0 = (!argv0.is_empty() && argv0 != called).then(|| RawString::from(argv0));
        // BusyBox acts by argv[0], whatever the file is called.
        let acts_as = argv0.as_deref().unwrap_or(called);
        let applet = (is_applet_binary(path.base_name()) && is_applet_binary(acts_as))
            .then(|| args.get(1).cloned())
            .flatten();
        Self {
            path: path.clone(),
            invoked_as,
            argv0,
            applet,
            script,
        }
    }

    /// The name that the program acts by: the script's, else the applet, else `argv[0]`'s base name, else the
    /// invoked name's, else the file's.
    pub fn acting_name(&self) -> &[u8] {
        if let Some(script) = &self.script {
            return script.base_name();
        }
        if let Some(applet) = &self.applet {
            return applet;
        }
        if let Some(argv0) = &self.argv0 {
            return argv0;
        }
        self.invoked_as.as_ref().unwrap_or(&self.path).base_name()
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            invoked_as,
            argv0,
            applet,
            script,
        } = self;
        write!(f, "{path}")?;
        if let Some(name) = invoked_as {
            write!(f, " as {name}")?;
        }
        if let Some(argv0) = argv0 {
            write!(f, " called {argv0}")?;
        }
        if let Some(applet) = applet {
            write!(f, " applet {applet}")?;
        }
        if let Some(script) = script {
            write!(f, " script {script}")?;
        }
        Ok(())
    }
}

fn is_applet_binary(name: &[u8]) -> bool {
    APPLET_BINARIES.contains(&name)
}

/// The absolute form of a name, without `.` and `..`: by text alone, so links are not followed.
fn absolute(name: &[u8], cwd: &[u8]) -> RawString {
    let base = if name.starts_with(b"/") { &[][..] } else { cwd };
    let mut path: Vec<&[u8]> = Vec::new();
    for part in base.split(|&b| b == b'/').chain(name.split(|&b| b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    let mut text = Vec::with_capacity(base.len() + name.len() + 1);
    for part in &path {
        text.push(b'/');
        text.extend_from_slice(part);
    }
    if text.is_empty() {
        text.push(b'/');
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(list: &[&str]) -> Vec<RawString> {
        list.iter().map(|&arg| arg.into()).collect()
    }

    fn resolve(path: &str, invoked: InvokedName<'_>, list: &[&str]) -> ProcessIdentity {
        ProcessIdentity::resolve(&path.into(), invoked, &args(list), b"/work")
    }

    fn plain(path: &str) -> ProcessIdentity {
        ProcessIdentity {
            path: path.into(),
            invoked_as: None,
            argv0: None,
            applet: None,
            script: None,
        }
    }

    #[test]
    fn a_plain_program_is_its_path() {
        let id = resolve(
            "/usr/bin/cat",
            InvokedName::Executable(b"/bin/cat"),
            &["cat", "x"],
        );
        assert_eq!(id, plain("/usr/bin/cat"));
        let relative = resolve("/work/app", InvokedName::Executable(b"./app"), &["./app"]);
        assert_eq!(relative, plain("/work/app"));
    }

    #[test]
    fn a_link_to_a_multi_call_binary_is_told_apart() {
        let id = resolve("/bin/busybox", InvokedName::Executable(b"/bin/ls"), &["ls"]);
        assert_eq!(
            id,
            ProcessIdentity {
                invoked_as: Some("/bin/ls".into()),
                ..plain("/bin/busybox")
            }
        );
        assert_eq!(id.acting_name(), b"ls");
    }

    #[test]
    fn exec_minus_a_is_seen() {
        let id = resolve("/bin/busybox", InvokedName::Executable(b"/bin/sh"), &["id"]);
        let seen = ProcessIdentity {
            invoked_as: Some("/bin/sh".into()),
            argv0: Some("id".into()),
            ..plain("/bin/busybox")
        };
        assert_eq!(id, seen);
        assert_eq!(id.acting_name(), b"id");
    }

    #[test]
    fn an_applet_given_as_an_argument_is_seen() {
        let id = resolve(
            "/bin/busybox",
            InvokedName::Executable(b"/bin/busybox"),
            &["busybox", "wget", "x"],
        );
        assert_eq!(
            id,
            ProcessIdentity {
                applet: Some("wget".into()),
                ..plain("/bin/busybox")
            }
        );
        // argv[0] decides, so a link called `sh` given argv[0] `busybox` is an applet call as well.
        let disguised = resolve(
            "/bin/busybox",
            InvokedName::Executable(b"/bin/sh"),
            &["busybox", "wget"],
        );
        assert_eq!(disguised.applet, Some("wget".into()));
    }

    #[test]
    fn a_script_is_the_interpreter_with_the_script() {
        let invoked = InvokedName::Script {
            script: b"bin/../run.sh",
            interpreter: b"/bin/sh",
        };
        let id = resolve("/usr/bin/dash", invoked, &["/bin/sh", "bin/../run.sh"]);
        let seen = ProcessIdentity {
            invoked_as: Some("/bin/sh".into()),
            script: Some("/work/run.sh".into()),
            ..plain("/usr/bin/dash")
        };
        assert_eq!(id, seen);
        assert_eq!(id.acting_name(), b"run.sh");
    }

    #[test]
    fn a_name_that_climbs_past_the_root_stops_there() {
        assert_eq!(absolute(b"../../../etc/x", b"/work"), RawString::from("/etc/x"));
        assert_eq!(absolute(b"..", b"/"), RawString::from("/"));
    }

    #[test]
    fn a_login_shell_differs_by_its_argv0() {
        let id = resolve("/bin/bash", InvokedName::Executable(b"/bin/bash"), &["-bash"]);
        assert_eq!(
            id,
            ProcessIdentity {
                argv0: Some("-bash".into()),
                ..plain("/bin/bash")
            }
        );
    }
}
