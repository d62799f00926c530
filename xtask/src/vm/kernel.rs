//! Debian's kernels, from the mirror that this machine's own apt uses.

use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::command::{Limited, target};

/// `lsm=` puts BPF into the list of security modules. `norandmaps`: the emulator translates a page of code
/// anew for each address that it is seen at, and with thousands of execs at random addresses it drowns in
/// what it has to throw away when such a page is written again (soft lockups of minutes). The rest keeps the
/// console to what the tests write.
pub(crate) const COMMAND_LINE: &str = "console=ttyS0 quiet loglevel=3 norandmaps \
     lsm=landlock,lockdown,yama,bpf cgroup_enable=memory panic=-1";
/// The kernel modules that the tests need, each after those that it depends on.
const MODULES: [&str; 1] = ["kernel/fs/overlayfs/overlay.ko"];
/// The package that depends on the newest kernel package of its suite.
const PACKAGE: &str = "linux-image-cloud-amd64";
/// Name the mirrors where this machine's apt has none of Debian's.
const MIRROR_VARIABLES: [&str; 2] = ["PODWARDEN_DEBIAN_MIRROR", "PODWARDEN_DEBIAN_SECURITY_MIRROR"];

/// A kernel to test with.
pub(crate) struct Kernel {
    /// Its version's first two numbers.
    pub(crate) name: &'static str,
    /// Debian's release that has it.
    suite: &'static str,
    /// True for pure cgroup v2; otherwise pure v1, so that both are tested.
    pub(crate) unified: bool,
}

/// The kernels to test with.
pub(crate) const KERNELS: [Kernel; 2] = [
    Kernel {
        name: "5.10",
        suite: "bullseye",
        unified: false,
    },
    Kernel {
        name: "6.1",
        suite: "bookworm",
        unified: true,
    },
];

impl Kernel {
    /// The kind of cgroups, in words.
    pub(crate) fn cgroups(&self) -> &'static str {
        if self.unified { "cgroup v2" } else { "cgroup v1" }
    }
}

/// A kernel's files.
pub(crate) struct Files {
    /// Its full version.
    pub(crate) release: String,
    /// The kernel.
    pub(crate) image: PathBuf,
    /// Its modules, in the order they load.
    pub(crate) modules: Vec<PathBuf>,
}

/// The kernel's files, downloaded once.
pub(crate) fn fetch(kernel: &Kernel) -> Outcome<Files> {
    let kept = target().join("vm/kernels").join(kernel.name);
    if !kept.exists() {
        download(kernel, &kept)?;
    }
    let boot = kept.join("boot");
    let image = std::fs::read_dir(&boot)
        .map_err(|error| format!("{}: {error}", boot.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| file_name(path).starts_with("vmlinuz-"))
        .ok_or_else(|| format!("{} holds no kernel", boot.display()))?;
    let release = file_name(&image).trim_start_matches("vmlinuz-").to_owned();
    if !release.starts_with(&format!("{}.", kernel.name)) {
        return Err(format!("{} gave Linux {release} and not {}", kernel.suite, kernel.name).into());
    }
    let modules = MODULES
        .map(|module| kept.join("lib/modules").join(&release).join(module))
        .to_vec();
    Ok(Files {
        release,
        image,
        modules,
    })
}

/// Downloads and unpacks, in folders of our own: this machine's apt is left alone.
fn download(kernel: &Kernel, kept: &Path) -> Outcome {
    let apt = target().join("vm/apt").join(kernel.suite);
    for folder in ["sources", "lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(apt.join(folder))?;
    }
    std::fs::write(
        apt.join("sources/kernels.sources"),
        sources(&mirrors()?, kernel.suite),
    )?;
    println!("Looking for Debian {}'s kernel.", kernel.suite);
    // Some of the suites may be gone from a mirror; what counts is whether a kernel is found.
    let updated = apt_command("apt-get", &apt).args(["update", "--quiet=2"]).run();
    let record = apt_command("apt-cache", &apt)
        .args(["show", PACKAGE])
        .read()
        .map_err(|error| match updated {
            Ok(()) => error,
            Err(update) => format!("{error} (and {update})").into(),
        })?;
    let package = newest(&record).ok_or_else(|| format!("{PACKAGE} names no kernel package"))?;
    println!("Downloading {package}.");
    let fresh = target()
        .join("vm/kernels")
        .join(format!("{}.unpacked", kernel.name));
    let archives = apt.join("packages");
    for folder in [&fresh, &archives] {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
    }
    apt_command("apt-get", &apt)
        .args(["download", "--quiet=2", package])
        .folder(&archives)
        .run()?;
    let archive = std::fs::read_dir(&archives)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .next();
    let archive = archive.ok_or_else(|| format!("apt-get download left no file for {package}"))?;
    Limited::new("dpkg")
        .args(["-x".as_ref(), archive.as_os_str(), fresh.as_os_str()])
        .run()?;
    // Only a whole kernel gets the name that is looked for.
    std::fs::rename(&fresh, kept)?;
    Ok(std::fs::remove_dir_all(&apt)?)
}

/// An apt program that knows our folders only.
fn apt_command(program: &str, apt: &Path) -> Limited {
    let option = |name: &str, path: &str| format!("-o{name}={}", apt.join(path).display());
    Limited::new(program).args([
        option("Dir::Etc::SourceParts", "sources"),
        option("Dir::State::Lists", "lists"),
        option("Dir::Cache", "cache"),
        "-oDir::Etc::SourceList=/dev/null".to_owned(),
        "-oDir::State::Status=/dev/null".to_owned(),
        "-oAPT::Architecture=amd64".to_owned(),
        "-oAPT::Sandbox::User=root".to_owned(),
        "-oAcquire::Languages=none".to_owned(),
        "-oAcquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
    ])
}

/// The kernel package that the first, which is the newest, record depends on.
fn newest(record: &str) -> Option<&str> {
    let depends = record.lines().find_map(|line| line.strip_prefix("Depends: "))?;
    depends
        .split([' ', ','])
        .find(|word| word.starts_with("linux-image-"))
}

/// Where Debian's packages come from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mirrors {
    main: Vec<String>,
    security: Vec<String>,
    keyring: Option<String>,
}

/// The mirrors of this machine's own apt sources, or those that the environment names.
fn mirrors() -> Outcome<Mirrors> {
    let [main, security] =
        MIRROR_VARIABLES.map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    if let Some(main) = main {
        return Ok(Mirrors {
            main: vec![main],
            security: security.into_iter().collect(),
            keyring: None,
        });
    }
    let mut text = String::new();
    let etc = Path::new("/etc/apt");
    let parts = std::fs::read_dir(etc.join("sources.list.d"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    for path in parts.map(|entry| entry.path()).chain([etc.join("sources.list")]) {
        let one_line = path.extension().is_some_and(|extension| extension == "list");
        if let Ok(content) = std::fs::read_to_string(&path) {
            text.push_str(&if one_line {
                one_line_sources(&content)
            } else {
                content
            });
            text.push_str("\n\n");
        }
    }
    let found = parse_sources(&text);
    if found.main.is_empty() {
        let [main, security] = MIRROR_VARIABLES;
        return Err(
            format!("this machine's apt has no Debian mirror; name one in {main} and {security}").into(),
        );
    }
    Ok(found)
}

/// Turns `deb [options] URI SUITE COMPONENT…` lines into the other format.
fn one_line_sources(text: &str) -> String {
    let mut stanzas = String::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else {
            continue;
        };
        let rest = rest.trim_start();
        let rest = rest
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .map_or(rest, |(_, rest)| rest);
        let mut words = rest.split_whitespace();
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            stanzas.push_str("Types: deb\nURIs: ");
            stanzas.push_str(uri);
            stanzas.push_str("\nSuites: ");
            stanzas.push_str(suite);
            stanzas.push_str("\n\n");
        }
    }
    stanzas
}

/// Picks Debian's own from stanzas of `Field: value` lines, by the names of their suites.
fn parse_sources(text: &str) -> Mirrors {
    const RELEASES: [&str; 6] = ["bullseye", "bookworm", "trixie", "forky", "stable", "testing"];
    let mut mirrors = Mirrors::default();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
                .unwrap_or("")
        };
        let mut kind = None;
        for suite in field("Suites").split_whitespace() {
            let (release, rest) = suite.split_at(suite.find(['-', '/']).unwrap_or(suite.len()));
            if RELEASES.contains(&release) {
                match rest {
                    "" | "-updates" => kind = Some(&mut mirrors.main),
                    "-security" | "/updates" => kind = Some(&mut mirrors.security),
                    _ => continue,
                }
                break;
            }
        }
        let Some(uris) = kind else { continue };
        for uri in field("URIs").split_whitespace().map(str::to_owned) {
            if !uris.contains(&uri) {
                uris.push(uri);
            }
        }
        let keyring = field("Signed-By");
        if keyring.starts_with('/') {
            mirrors.keyring.get_or_insert_with(|| keyring.to_owned());
        }
    }
    mirrors
}

/// Our own apt sources for one release.
fn sources(mirrors: &Mirrors, suite: &str) -> String {
    let Mirrors {
        main,
        security,
        keyring,
    } = mirrors;
    let signed = keyring
        .as_ref()
        .map(|keyring| format!("Signed-By: {keyring}\n"))
        .unwrap_or_default();
    let stanza = |uri: &String, suites: String| {
        format!("Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n{signed}\n")
    };
    let main = main
        .iter()
        .map(|uri| stanza(uri, format!("{suite} {suite}-updates")));
    main.chain(
        security
            .iter()
            .map(|uri| stanza(uri, format!("{suite}-security"))),
    )
    .collect()
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &str = "\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://other.example/node
Suites: nodistro

Types: deb
URIs: https://other.example/tools
Suites: bookworm-backports
";

    #[test]
    fn debians_own_mirrors_are_told_from_others() {
        let expected = Mirrors {
            main: vec!["http://mirror.example/debian".to_owned()],
            security: vec!["http://mirror.example/debian-security".to_owned()],
            keyring: Some("/usr/share/keyrings/debian.gpg".to_owned()),
        };
        assert_eq!(parse_sources(SOURCES), expected);
        let lines = "# deb http://no.example/debian bookworm main
deb [arch=amd64 signed-by=/x] http://mirror.example/debian bookworm main
deb http://mirror.example/debian-security bookworm-security main
deb https://other.example/apt cloud-sdk-bookworm main";
        assert_eq!(
            parse_sources(&one_line_sources(lines)),
            Mirrors {
                keyring: None,
                ..expected
            }
        );
    }

    #[test]
    fn the_newest_kernel_is_named_by_the_first_record() {
        let record = "Package: linux-image-cloud-amd64\nDepends: linux-image-5.10.0-46-cloud-amd64 (= 5.10.262-1)\n\n\
                      Package: linux-image-cloud-amd64\nDepends: linux-image-5.10.0-30-cloud-amd64\n";
        assert_eq!(newest(record), Some("linux-image-5.10.0-46-cloud-amd64"));
    }
}
