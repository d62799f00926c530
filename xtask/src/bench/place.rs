//! Where a workload is measured: in a container that the daemon watches, in a cgroup that it does not, on the host.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use testbed::{Container, cgroup};

use super::scratch::Scratch;
use crate::Outcome;
use crate::command::Limited;

const LIMIT: Duration = Duration::from_mins(2);
/// A file that no rule names.
pub(crate) const PLAIN: &str = "/opt/app/data";
/// A file that rules name, to be written.
pub(crate) const WATCHED: &str = "/etc/app.conf";
/// The smallest program there is.
pub(crate) const TINY: &str = "/bin/tiny";

/// A container with the files that the workloads use.
pub(crate) fn container() -> Outcome<Container> {
    let container = Container::builder()
        .file(PLAIN, "data", 0o644)
        .file(WATCHED, "setting", 0o644)
        .run()?;
    Ok(container)
}

/// Where a workload runs.
pub(crate) enum Place {
    Container(Box<Container>),
    Cgroup(Vec<PathBuf>, Host),
    Host(Host),
}

/// The files of a workload outside of containers.
pub(crate) struct Host {
    workload: PathBuf,
    folder: Scratch,
}

impl Place {
    /// A container, which the daemon watches.
    pub(crate) fn container() -> Outcome<Self> {
        Ok(Self::Container(Box::new(container()?)))
    }

    /// A cgroup of its own that holds no container, as a service of the host has.
    pub(crate) fn cgroup() -> Outcome<Self> {
        let mut made = Vec::new();
        let host = Host::new("cgroup")?;
        for hierarchy in cgroup::hierarchies()? {
            if hierarchy.is_joined() {
                let path = hierarchy
                    .mount
                    .join(format!("podwarden-bench-{}", std::process::id()));
                std::fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                made.push(path);
            }
        }
        Ok(Self::Cgroup(made, host))
    }

    /// The cgroup that this program is in.
    pub(crate) fn host() -> Outcome<Self> {
        Ok(Self::Host(Host::new("host")?))
    }

    /// The container's id, where it is one.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Container(container) => Some(container.id()),
            Self::Cgroup(..) | Self::Host(_) => None,
        }
    }

    /// The path of a workload's file here.
    pub(crate) fn file(&self, path: &str) -> String {
        match self {
            Self::Container(_) => path.to_owned(),
            Self::Cgroup(_, host) | Self::Host(host) => format!("{}{path}", host.folder.path().display()),
        }
    }

    /// Runs the workload with a command of its own, and returns what it wrote.
    pub(crate) fn run(&self, command: &[String]) -> Outcome<String> {
        match self {
            Self::Container(container) => {
                let argv = std::iter::once("/bin/workload").chain(command.iter().map(String::as_str));
                let output = container.exec(argv)?.wait(LIMIT)?;
                if output.status.success() {
                    Ok(output.text)
                } else {
                    Err(format!(
                        "the workload ended with {}: {}",
                        output.status,
                        output.text.trim()
                    )
                    .into())
                }
            }
            Self::Cgroup(cgroups, host) => {
                let within = ["within".into(), std::env::join_paths(cgroups)?];
                Limited::new(&host.workload)
                    .args(within)
                    .args(command)
                    .limit(LIMIT)
                    .read()
            }
            Self::Host(host) => Limited::new(&host.workload).args(command).limit(LIMIT).read(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Cgroup(made, _) = self
            && let Err(error) = cgroup::remove(made, Duration::from_secs(5))
        {
            eprintln!("xtask: {error}");
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container(_) => "in a container",
            Self::Cgroup(..) => "in a cgroup of the host that holds no container",
            Self::Host(_) => "on the host",
        })
    }
}

impl Host {
    fn new(purpose: &str) -> Outcome<Self> {
        use std::os::unix::fs::PermissionsExt;

        let workload = testbed::programs()
            .map_err(|error| error.to_string())?
            .workload
            .clone();
        let folder = Scratch::new(purpose)?;
        let host = Self { workload, folder };
        for (path, bytes, mode) in [
            (PLAIN, b"data".to_vec(), 0o644),
            (WATCHED, b"setting".to_vec(), 0o644),
            (TINY, testbed::tiny(), 0o755),
        ] {
            let path = host.folder.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().ok_or("a file lies in no folder")?)?;
            std::fs::write(&path, bytes)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        }
        Ok(host)
    }
}
