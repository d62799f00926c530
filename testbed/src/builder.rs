//! Describes a container, and makes it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::cgroup;
use crate::container::Container;
use crate::error::Error;
use crate::image::{self, Content};
use crate::oci;
use crate::programs::programs;
use crate::spec::{Bind, Create, InitSpec, Overlay, PidSpec, ProcessSpec, RuncSpec, ShimSpec};

/// Who makes a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// Our own small runtime: needs root and nothing else.
    Own,
    /// Debian's runc.
    Runc,
}

impl Runtime {
    /// runc where it is installed, otherwise our own.
    pub fn best() -> Self {
        if Self::runc_is_installed() {
            Self::Runc
        } else {
            Self::Own
        }
    }

    /// True when there is a runc on the PATH.
    pub fn runc_is_installed() -> bool {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("runc").is_file()))
    }
}

/// Which PID namespace a container gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PidNamespace {
    /// One of its own: the entrypoint is PID 1.
    Private,
    /// The host's, as with `hostPID`.
    Host,
    /// That of another process, as with `shareProcessNamespace`: the id of the sandbox's main process.
    Of(u32),
}

/// A container to be. Made by [`Container::builder`].
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    id: Option<String>,
    runtime: Runtime,
    pid: PidNamespace,
    cgroup: Option<PathBuf>,
    overlay: bool,
    entrypoint: Vec<OsString>,
    path: Option<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    user: (u32, u32),
    files: Vec<(PathBuf, Content)>,
    binds: Vec<Bind>,
    annotations: BTreeMap<String, String>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            name: "test".to_owned(),
            id: None,
            runtime: Runtime::Own,
            pid: PidNamespace::Private,
            cgroup: None,
            overlay: false,
            entrypoint: ["/bin/workload", "sleep", "600"].map(OsString::from).to_vec(),
            path: None,
            env: vec![
                ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
                ("HOME".into(), "/root".into()),
            ],
            cwd: PathBuf::from("/"),
            user: (0, 0),
            files: Vec::new(),
            binds: Vec::new(),
            annotations: BTreeMap::new(),
        }
    }
}

impl Builder {
    /// Its name, which is also the host name inside.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Its id; otherwise 64 random hexadecimal digits, as containerd gives.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Who makes it; otherwise [`Runtime::Own`].
    #[must_use]
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = runtime;
        self
    }

    /// Which PID namespace; otherwise a private one.
    #[must_use]
    pub fn pid_namespace(mut self, pid: PidNamespace) -> Self {
        self.pid = pid;
        self
    }

    /// Shares the PID namespace of `sandbox`, which must outlive this container.
    #[must_use]
    pub fn share_pid_with(self, sandbox: &Container) -> Self {
        let pid = sandbox.pid();
        self.pid_namespace(PidNamespace::Of(pid))
    }

    /// Its cgroup's path under each hierarchy's mount point, for example
    /// `kubepods/besteffort/podUID/cri-containerd-ID.scope`; otherwise `podwarden-test-UNIQUE/ID`.
    /// Folders that are there already are used and left alone.
    #[must_use]
    pub fn cgroup(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        self.cgroup = Some(path.strip_prefix("/").unwrap_or(path).to_owned());
        self
    }

    /// Puts a writable overlay over the image, as runtimes do. The kernel must have overlay support.
    #[must_use]
    pub fn overlay(mut self) -> Self {
        self.overlay = true;
        self
    }

    /// What it runs, arguments included; otherwise a workload that sleeps for ten minutes.
    #[must_use]
    pub fn entrypoint<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, argv: I) -> Self {
        self.entrypoint = argv.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        self
    }

    /// The file to execute where that is not `argv[0]`; [`Runtime::Own`] only.
    #[must_use]
    pub fn executable(mut self, path: impl AsRef<OsStr>) -> Self {
        self.path = Some(path.as_ref().to_owned());
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The working directory; otherwise `/`.
    #[must_use]
    pub fn cwd(mut self, path: impl AsRef<Path>) -> Self {
        path.as_ref().clone_into(&mut self.cwd);
        self
    }

    /// User and group id; otherwise root's.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = (uid, gid);
        self
    }

    /// A file in the image; `path` is absolute in the container, here and below.
    #[must_use]
    pub fn file(self, path: impl AsRef<Path>, bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.put(path, Content::Bytes(bytes.into(), mode))
    }

    /// A copy of a host file in the image.
    #[must_use]
    pub fn copy(self, path: impl AsRef<Path>, source: impl AsRef<Path>) -> Self {
        self.put(path, Content::CopyOf(source.as_ref().to_owned()))
    }

    /// The workload program under another name, for example `/usr/bin/xmrig`.
    #[must_use]
    pub fn workload_as(self, path: impl AsRef<Path>) -> Self {
        self.put(path, Content::Workload)
    }

    /// The tiny program under another name.
    #[must_use]
    pub fn tiny_as(self, path: impl AsRef<Path>) -> Self {
        self.put(path, Content::Tiny)
    }

    /// A symbolic link in the image.
    #[must_use]
    pub fn symlink(self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        self.put(path, Content::Link(target.as_ref().to_owned()))
    }

    /// Shows the host's folder `source` at `target`, as a hostPath or emptyDir volume.
    #[must_use]
    pub fn bind(mut self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        self.binds.push(Bind {
            source: source.as_ref().to_owned(),
            target: target.as_ref().to_owned(),
        });
        self
    }

    /// An annotation of the OCI bundle, as `io.kubernetes.cri.sandbox-name`; seen with [`Runtime::Runc`].
    #[must_use]
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Makes the container: everything stands, its main process exists and has joined cgroups and
    /// namespaces, and waits for [`Container::start`] to exec the entrypoint.
    pub fn create(self) -> Result<Container, Error> {
        let Self {
            name,
            id,
            runtime,
            pid,
            cgroup,
            overlay,
            entrypoint,
            path,
            env,
            cwd,
            user,
            files,
            binds,
            annotations,
        } = self;
        let programs = programs()?;
        let unique = random_hex(8)?;
        let id = match id {
            Some(id) => id,
            None => random_hex(32)?,
        };
        let relative = cgroup.unwrap_or_else(|| Path::new(&format!("podwarden-test-{unique}")).join(&id));

        let folder = std::env::temp_dir().join(format!("podwarden-test-{unique}"));
        let rootfs = folder.join("rootfs");
        std::fs::create_dir_all(&rootfs).map_err(Error::file("make the folder", &rootfs))?;
        // From here on the folder goes when anything fails, and when the container is dropped.
        let mut folder = Folder::new(folder);
        let mut files = files;
        files.extend(binds.iter().map(|bind| {
            (
                bind.target.join(".mount-point"),
                Content::Bytes(Vec::new(), 0o644),
            )
        }));
        image::make(&rootfs, programs, &files)?;
        let layers = if overlay {
            Some(make_layers(folder.path(), &rootfs)?)
        } else {
            None
        };
        let root = layers
            .as_ref()
            .map_or_else(|| rootfs.clone(), |layers| layers.merged.clone());

        let process = ProcessSpec {
            path: path
                .clone()
                .or_else(|| entrypoint.first().cloned())
                .unwrap_or_default(),
            argv: entrypoint,
            env,
            cwd,
            user,
            output: folder.path().join("log"),
        };
        // runc wants to make the container's own cgroup itself, in every hierarchy there is.
        let own = runtime == Runtime::Own;
        let all = cgroup::hierarchies()?;
        let hierarchies: Vec<_> = all
            .into_iter()
            .filter(|hierarchy| !own || hierarchy.is_joined())
            .collect();
        let cgroups = cgroup::make(&hierarchies, &relative, own)?;
        let paths: Vec<PathBuf> = cgroups.iter().map(|cgroup| cgroup.path.clone()).collect();
        let bundle = oci::Bundle {
            root: &root,
            cgroup: &relative,
            hostname: &name,
            pid,
            process: &process,
            binds: &binds,
            annotations: &annotations,
        };
        let create = match runtime {
            Runtime::Own => describe_own(folder.path(), &bundle, &paths)?,
            Runtime::Runc if path.is_some() => {
                return Err(Error::Unsupported {
                    runtime: "runc",
                    what: "an executable other than argv[0]",
                });
            }
            Runtime::Runc => describe_runc(folder.path(), &bundle, &id)?,
        };
        let upper = layers.as_ref().map(|layers| layers.upper.clone());
        let runc = if let Create::Runc(spec) = &create {
            Some(spec.clone())
        } else {
            None
        };
        let shim = ShimSpec {
            create,
            overlay: layers,
            cgroups: paths,
            folder: folder.path().to_owned(),
        };
        let file = folder.path().join("shim.json");
        write_json(&file, &shim)?;
        // The shim removes the folder from now on, however this process ends.
        let folder = folder.keep();
        Container::spawn(
            &file,
            crate::container::Parts {
                name,
                id,
                relative,
                cgroups,
                rootfs,
                upper,
                folder,
                process,
                runc,
            },
        )
    }

    /// [`Self::create`], and starts it.
    pub fn run(self) -> Result<Container, Error> {
        let mut container = self.create()?;
        container.start()?;
        Ok(container)
    }

    fn put(mut self, path: impl AsRef<Path>, content: Content) -> Self {
        self.files.push((path.as_ref().to_owned(), content));
        self
    }
}

/// A folder that is removed unless it is kept.
struct Folder {
    path: PathBuf,
    kept: bool,
}

impl Folder {
    fn new(path: PathBuf) -> Self {
        Self { path, kept: false }
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn keep(&mut self) -> PathBuf {
        self.kept = true;
        self.path.clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            // There is nobody left to tell, and the folder is under the system's own temporary folder.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Writes what `testbed-runtime init` reads.
fn describe_own(folder: &Path, bundle: &oci::Bundle<'_>, cgroups: &[PathBuf]) -> Result<Create, Error> {
    // The cgroup's path is in `cgroups`, and nobody reads annotations here.
    let oci::Bundle {
        root,
        cgroup: _,
        hostname,
        pid,
        process,
        binds,
        annotations: _,
    } = *bundle;
    let spec = InitSpec {
        cgroups: cgroups.to_vec(),
        rootfs: root.to_owned(),
        pid: match pid {
            PidNamespace::Private => PidSpec::Private,
            PidNamespace::Host => PidSpec::Inherited,
            PidNamespace::Of(pid) => PidSpec::Of(pid),
        },
        hostname: hostname.to_owned(),
        binds: binds.to_vec(),
        process: process.clone(),
    };
    let file = folder.join("init.json");
    write_json(&file, &spec)?;
    Ok(Create::Own(file))
}

/// Writes what runc reads.
fn describe_runc(folder: &Path, bundle: &oci::Bundle<'_>, id: &str) -> Result<Create, Error> {
    write_json(&folder.join("config.json"), &oci::config(bundle)?)?;
    Ok(Create::Runc(RuncSpec {
        root: folder.join("runc"),
        bundle: folder.to_owned(),
        id: id.to_owned(),
    }))
}

fn make_layers(folder: &Path, rootfs: &Path) -> Result<Overlay, Error> {
    let layers = Overlay {
        lower: rootfs.to_owned(),
        upper: folder.join("upper"),
        work: folder.join("work"),
        merged: folder.join("merged"),
    };
    for path in [&layers.upper, &layers.work, &layers.merged] {
        std::fs::create_dir(path).map_err(Error::file("make the folder", path))?;
    }
    Ok(layers)
}

pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
    let json = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::file("describe the container in", path)(io::Error::other(error)))?;
    std::fs::write(path, json).map_err(Error::file("write", path))
}

/// `bytes` random bytes in hexadecimal.
pub(crate) fn random_hex(bytes: usize) -> Result<String, Error> {
    use std::fmt::Write;
    let path = "/dev/urandom";
    let mut random = vec![0; bytes];
    std::fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut random))
        .map_err(Error::file("read", path))?;
    Ok(random.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
