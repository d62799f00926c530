//! What users write: entries in which `*` and `?` are wildcards.

use std::net::SocketAddr;

use super::entry::{Cidr, Destination, NetworkEntry, ProcessEntry};
use crate::event::DomainName;
use crate::glob::Glob;
use crate::process::{ParentExe, ProcessIdentity, RUNTIME};
use crate::raw::RawString;

/// A text of a user, ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextPattern {
    /// `*` alone: anything, nothing included.
    Any,
    /// Without wildcards.
    Exact(RawString),
    /// With wildcards.
    Glob(Glob),
}

impl TextPattern {
    /// From its text, in which `*` and `?` are wildcards.
    pub fn new(text: &RawString) -> Self {
        match &**text {
            b"*" => Self::Any,
            bytes if bytes.iter().any(|byte| b"*?".contains(byte)) => Self::Glob(Glob::from_bytes(bytes)),
            _ => Self::Exact(text.clone()),
        }
    }

    /// Whether the text fits it.
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => **exact == *text,
            Self::Glob(glob) => glob.matches(text),
        }
    }

    /// Its text where it has no wildcards.
    pub fn exact(&self) -> Option<&RawString> {
        match self {
            Self::Exact(text) => Some(text),
            Self::Any | Self::Glob(_) => None,
        }
    }
}

/// A process entry of a user, ready to match.
///
/// What the entry says nothing of has to be absent: an entry for `/bin/busybox` alone is not for its applets, nor for
/// what calls itself by another name. `*` is anything and nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessPattern {
    path: TextPattern,
    invoked_as: Option<TextPattern>,
    argv0: Option<TextPattern>,
    applet: Option<TextPattern>,
    script: Option<TextPattern>,
    parent: TextPattern,
}

impl ProcessPattern {
    /// Of this entry.
    pub fn new(entry: &ProcessEntry) -> Self {
        let ProcessEntry { identity, parent } = entry;
        let ProcessIdentity {
            path,
            invoked_as,
            argv0,
            applet,
            script,
        } = identity;
        let part = |text: &Option<RawString>| text.as_ref().map(TextPattern::new);
        Self {
            path: TextPattern::new(path),
            invoked_as: part(invoked_as),
            argv0: part(argv0),
            applet: part(applet),
            script: part(script),
            parent: TextPattern::new(&super::entry::parent_text(parent)),
        }
    }

    /// Whether a process is meant.
    pub fn matches(&self, identity: &ProcessIdentity, parent: &ParentExe) -> bool {
        let Self {
            path,
            invoked_as,
            argv0,
            applet,
            script,
            parent: by,
        } = self;
        path.matches(&identity.path)
            && fits(invoked_as.as_ref(), identity.invoked_as.as_ref())
            && fits(argv0.as_ref(), identity.argv0.as_ref())
            && fits(applet.as_ref(), identity.applet.as_ref())
            && fits(script.as_ref(), identity.script.as_ref())
            && match parent {
                ParentExe::Path(path) => by.matches(path),
                ParentExe::Runtime => by.matches(RUNTIME.as_bytes()),
                ParentExe::Unknown => matches!(by, TextPattern::Any),
            }
    }
}

fn fits(pattern: Option<&TextPattern>, text: Option<&RawString>) -> bool {
    match (pattern, text) {
        (None, None) | (Some(TextPattern::Any), _) => true,
        (Some(pattern), Some(text)) => pattern.matches(text),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// A network entry of a user, ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPattern {
    destination: DestinationPattern,
    process: TextPattern,
}

/// A destination of a user, ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationPattern {
    /// By name.
    Domain(TextPattern, Option<u16>),
    /// By address, whether or not a name is known for it.
    Address(Cidr, Option<u16>),
}

impl NetworkPattern {
    /// Of this entry.
    pub fn new(entry: &NetworkEntry) -> Self {
        let NetworkEntry {
            destination,
            process_path,
        } = entry;
        Self {
            destination: match destination {
                Destination::Domain { name, port } => {
                    DestinationPattern::Domain(TextPattern::new(name), *port)
                }
                Destination::Address { network, port } => DestinationPattern::Address(*network, *port),
            },
            process: TextPattern::new(process_path),
        }
    }

    /// Whether this is meant: that the process of this path reaches `remote`, which it has this name for.
    pub fn matches(&self, domain: Option<&DomainName>, remote: SocketAddr, process_path: &[u8]) -> bool {
        let port_fits = |port: &Option<u16>| port.is_none_or(|port| port == remote.port());
        self.process.matches(process_path)
            && match &self.destination {
                DestinationPattern::Domain(name, port) => {
                    port_fits(port) && domain.is_some_and(|domain| name.matches(domain.as_str().as_bytes()))
                }
                DestinationPattern::Address(network, port) => {
                    port_fits(port) && network.contains(remote.ip())
                }
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_identity(path: &str) -> ProcessIdentity {
        ProcessIdentity {
            path: path.into(),
            invoked_as: None,
            argv0: None,
            applet: None,
            script: None,
        }
    }

    fn mk_pattern(path: &str, parent: &str) -> ProcessPattern {
        ProcessPattern::new(&ProcessEntry {
            identity: mk_identity(path),
            parent: super::super::parent_from_text(parent.into()),
        })
    }

    #[test]
    fn wildcards_of_users_match_paths_and_parents() {
        let debug = mk_pattern("/usr/bin/debug*", "*");
        assert!(debug.matches(&mk_identity("/usr/bin/debug-tool"), &ParentExe::Runtime));
        assert!(debug.matches(&mk_identity("/usr/bin/debug"), &ParentExe::Unknown));
        assert!(!debug.matches(&mk_identity("/bin/debug"), &ParentExe::Runtime));
        let exec = mk_pattern("/bin/sh", "(runtime)");
        assert!(exec.matches(&mk_identity("/bin/sh"), &ParentExe::Runtime));
        assert!(!exec.matches(&mk_identity("/bin/sh"), &ParentExe::Path("/bin/app".into())));
    }

    #[test]
    fn an_entry_for_a_program_is_not_for_its_disguises() {
        let plain = mk_pattern("/bin/busybox", "*");
        let applet = ProcessIdentity {
            applet: Some("wget".into()),
            ..mk_identity("/bin/busybox")
        };
        assert!(!plain.matches(&applet, &ParentExe::Runtime));
        let all = ProcessPattern::new(&ProcessEntry {
            identity: ProcessIdentity {
                applet: Some("*".into()),
                ..mk_identity("/bin/busybox")
            },
            parent: ParentExe::Runtime,
        });
        assert!(all.matches(&applet, &ParentExe::Runtime));
        assert!(all.matches(&mk_identity("/bin/busybox"), &ParentExe::Runtime));
    }

    #[test]
    fn destinations_match_by_name_or_address_and_by_port() {
        let entry = |destination| {
            NetworkPattern::new(&NetworkEntry {
                destination,
                process_path: "/usr/bin/*".into(),
            })
        };
        let named = entry(Destination::Domain {
            name: "*.example.com".into(),
            port: Some(443),
        });
        let ranged = entry(Destination::Address {
            network: "10.0.0.0/8".parse().unwrap(),
            port: None,
        });
        let name: DomainName = "api.example.com".parse().unwrap();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(named.matches(Some(&name), at("192.0.2.1:443"), b"/usr/bin/app"));
        assert!(!named.matches(Some(&name), at("192.0.2.1:80"), b"/usr/bin/app"));
        assert!(!named.matches(None, at("192.0.2.1:443"), b"/usr/bin/app"));
        assert!(!named.matches(Some(&name), at("192.0.2.1:443"), b"/bin/sh"));
        assert!(ranged.matches(Some(&name), at("10.1.2.3:1"), b"/usr/bin/app"));
        assert!(!ranged.matches(None, at("11.1.2.3:1"), b"/usr/bin/app"));
    }
}
