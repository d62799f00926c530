//! One rule or exclusion, checked and ready to match.

use std::borrow::Cow;
use std::sync::Arc;

use super::RuleAction;
use super::spec::{EntrySpec, NetworkSpec, ProcessSpec};
use crate::event::{Activity, Endpoint, Event};
use crate::finding::{EngineKind, RuleRef};
use crate::glob::Glob;
use crate::id::Sha256Digest;
use crate::profile::{Cidr, InvalidCidr};

/// Whether an entry is a rule or an exclusion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Rules,
    Exclusions,
}

/// A rule or an exclusion of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    spec: Arc<EntrySpec>,
    action: Option<RuleAction>,
    signature: Option<Glob>,
    texts: Vec<(Attribute, Glob)>,
    sha256: Option<Sha256Digest>,
    user: Option<u32>,
    address: Option<Cidr>,
    port: Option<u16>,
}

/// What patterns are matched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Attribute {
    File,
    Path,
    Script,
    InvokedAs,
    Applet,
    Argv0,
    Args,
    Domain,
    ParentPath,
    Image,
    Container,
}

impl Attribute {
    /// All of them, those that tell most apart first.
    pub(super) const ALL: [Self; 11] = [
        Self::File,
        Self::Path,
        Self::Script,
        Self::InvokedAs,
        Self::Applet,
        Self::Argv0,
        Self::Args,
        Self::Domain,
        Self::ParentPath,
        Self::Image,
        Self::Container,
    ];

    /// Hands what an event has of it to `each`, until that says that it is enough.
    pub(super) fn any_of(self, event: &Event, each: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let process = &event.process;
        let identity = &process.identity;
        let mut one = |text: Option<&[u8]>| text.is_some_and(&mut *each);
        match self {
            Self::File => match &event.activity {
                Activity::File(file) => one(Some(&file.path)) || one(file.new_path.as_deref()),
                Activity::Exec(exec) => one(Some(&exec.path)),
                _ => false,
            },
            Self::Path => one(Some(&process.exe)),
            Self::Script => one(identity.script.as_deref()),
            Self::InvokedAs => one(identity.invoked_as.as_deref()),
            Self::Applet => one(identity.applet.as_deref()),
            Self::Argv0 => one(identity.argv0.as_deref()),
            Self::Args => one(Some(&joined_args(event))),
            Self::Domain => match &event.activity {
                Activity::Network(network) => network
                    .domains
                    .iter()
                    .any(|domain| one(Some(domain.as_str().as_bytes()))),
                Activity::Dns(dns) => one(Some(dns.name.as_str().as_bytes())),
                _ => false,
            },
            Self::ParentPath => one(process.parent.exe.to_text().as_deref()),
            Self::Image => one(of_container(event, |container| container.image.as_deref())),
            Self::Container => one(of_container(event, |container| container.name.as_deref())),
        }
    }
}

impl Attribute {
    /// Whether the pattern is known to fit all that an event has of it, where one fits: both names of a file that is
    /// renamed, and arguments that are cut off only where anything may follow.
    fn is_all_of(self, event: &Event, glob: &Glob) -> bool {
        match (self, &event.activity) {
            (Self::File, Activity::File(file)) => {
                glob.matches(&file.path) && file.new_path.as_ref().is_none_or(|path| glob.matches(path))
            }
            (Self::Args, _) => !event.process.args_truncated || glob.is_open_ended(),
            _ => true,
        }
    }
}

fn of_container<'a>(
    event: &'a Event,
    what: impl FnOnce(&'a crate::Container) -> Option<&'a str>,
) -> Option<&'a [u8]> {
    what(event.container.as_deref()?).map(str::as_bytes)
}

/// The arguments after the zeroth, with a space between each two.
fn joined_args(event: &Event) -> Cow<'_, [u8]> {
    match event.process.args.get(1..).unwrap_or_default() {
        [] => Cow::Borrowed(b""),
        [one] => Cow::Borrowed(one),
        many => Cow::Owned(many.iter().map(|arg| &arg[..]).collect::<Vec<_>>().join(&b' ')),
    }
}

/// What is wrong with an entry: the field, and why.
pub(super) type Wrong = (&'static str, String);

impl Entry {
    pub(super) fn check(spec: EntrySpec, part: Part) -> Result<Self, Wrong> {
        check_fields(&spec, part)?;
        let EntrySpec {
            action,
            signature,
            process,
            file,
            user,
            image,
            container,
            sha256,
            network,
            ..
        } = spec.clone();
        let ProcessSpec {
            path,
            invoked_as,
            argv0,
            applet,
            script,
            args,
            parent_path,
        } = process.unwrap_or_default();
        let NetworkSpec {
            domain,
            address,
            port,
            process_path,
        } = network.unwrap_or_default();
        let texts = [
            (Attribute::File, "file", file),
            (Attribute::Path, "process.path", path),
            (Attribute::Path, "network.processPath", process_path),
            (Attribute::Script, "process.script", script),
            (Attribute::InvokedAs, "process.invokedAs", invoked_as),
            (Attribute::Applet, "process.applet", applet),
            (Attribute::Argv0, "process.argv0", argv0),
            (Attribute::Args, "process.args", args),
            // Names of hosts are the same in capitals; what the sensor tells is in small letters.
            (
                Attribute::Domain,
                "network.domain",
                domain.map(|domain| domain.trim_end_matches('.').to_ascii_lowercase()),
            ),
            (Attribute::ParentPath, "process.parentPath", parent_path),
            (Attribute::Image, "image", image),
            (Attribute::Container, "container", container),
        ];
        let mut patterns = Vec::new();
        for (attribute, field, text) in texts {
            let Some(text) = text else { continue };
            // Arguments alone may be none at all.
            if text.is_empty() && attribute != Attribute::Args {
                return Err((field, "an empty text matches nothing".into()));
            }
            patterns.push((attribute, Glob::new(&text)));
        }
        let address = address
            .map(|text| {
                text.parse()
                    .map_err(|error: InvalidCidr| ("network.address", error.to_string()))
            })
            .transpose()?;
        let sha256 = sha256
            .map(|text| {
                text.parse()
                    .map_err(|_| ("sha256", format!("not 64 hexadecimal digits: {text:?}")))
            })
            .transpose()?;
        Ok(Self {
            spec: Arc::new(spec),
            action,
            signature: signature.as_deref().map(Glob::new),
            texts: patterns,
            sha256,
            user,
            address,
            port,
        })
    }

    /// What a person wrote.
    pub fn spec(&self) -> &EntrySpec {
        &self.spec
    }

    /// The engine whose findings it is about.
    pub fn engine(&self) -> EngineKind {
        self.spec.engine
    }

    /// Of a rule: what it makes of what it matches.
    pub fn action(&self) -> Option<RuleAction> {
        self.action
    }

    /// The digest that it names.
    pub fn sha256(&self) -> Option<&Sha256Digest> {
        self.sha256.as_ref()
    }

    pub(super) fn signature(&self) -> Option<&Glob> {
        self.signature.as_ref()
    }

    pub(super) fn texts(&self) -> &[(Attribute, Glob)] {
        &self.texts
    }

    /// Whether everything in it fits a finding in an event.
    pub(super) fn matches(&self, rule: &RuleRef, event: &Event) -> bool {
        let Self {
            spec: _,
            action: _,
            signature,
            texts,
            sha256,
            user,
            address,
            port,
        } = self;
        let remote = match &event.activity {
            Activity::Network(network) => network.remote.as_ref().and_then(Endpoint::socket_addr),
            _ => None,
        };
        signature
            .as_ref()
            .is_none_or(|glob| glob.matches(rule.id.as_bytes()) || glob.matches(rule.name.as_bytes()))
            && user.is_none_or(|user| user == event.process.credentials.uid)
            && sha256.as_ref().is_none_or(|digest| match &event.activity {
                Activity::Exec(exec) => exec.sha256.as_ref() == Some(digest),
                _ => false,
            })
            && address.is_none_or(|network| remote.is_some_and(|remote| network.contains(remote.ip())))
            && port.is_none_or(|port| remote.is_some_and(|remote| remote.port() == port))
            && texts.iter().all(|(attribute, glob)| {
                attribute.any_of(event, &mut |text| glob.matches(text))
                    && (!self.excuses() || attribute.is_all_of(event, glob))
            })
    }

    /// Whether what it matches is benign: then a doubt counts against it.
    fn excuses(&self) -> bool {
        self.action != Some(RuleAction::Deny)
    }
}

/// Whether the fields make sense together, for this engine.
fn check_fields(spec: &EntrySpec, part: Part) -> Result<(), Wrong> {
    let EntrySpec {
        engine,
        action,
        signature,
        process,
        file,
        user,
        image,
        container,
        sha256,
        network,
        ..
    } = spec;
    let engine_refuses = |field| (field, format!("findings of {engine} have no such thing"));
    let given = [
        (
            signature.is_some(),
            "signature",
            *engine == EngineKind::Signatures,
        ),
        (sha256.is_some(), "sha256", *engine == EngineKind::FileReputation),
        (file.is_some(), "file", *engine != EngineKind::Profiling),
        (
            network.is_some(),
            "network",
            *engine != EngineKind::FileReputation,
        ),
    ];
    if let Some((_, field, _)) = given.into_iter().find(|(given, _, fits)| *given && !fits) {
        return Err(engine_refuses(field));
    }
    if process
        .as_ref()
        .is_some_and(|process| *process == ProcessSpec::default())
    {
        return Err(("process", "nothing is said of it".into()));
    }
    if network
        .as_ref()
        .is_some_and(|network| *network == NetworkSpec::default())
    {
        return Err(("network", "nothing is said of it".into()));
    }
    let anything = signature.is_some()
        || process.is_some()
        || file.is_some()
        || user.is_some()
        || image.is_some()
        || container.is_some()
        || sha256.is_some()
        || network.is_some();
    if !anything {
        let message = "it would match everything that the engine finds; to have that, set the engine's mode";
        return Err(("engine", message.into()));
    }
    // Whoever starts a program chooses these: they tell two uses of a program apart, and make none of them benign.
    if *action != Some(RuleAction::Deny)
        && let Some(ProcessSpec {
            path: None,
            invoked_as,
            argv0,
            applet,
            script,
            args,
            parent_path: _,
        }) = process
        && [invoked_as, argv0, applet, script, args]
            .iter()
            .any(|name| name.is_some())
    {
        let message =
            "it is missing: names and arguments alone, which anybody may choose, make nothing benign";
        return Err(("process.path", message.into()));
    }
    match (part, action, engine) {
        (Part::Exclusions, Some(_), _) => Err((
            "action",
            "an exclusion has none: what it matches is benign".into(),
        )),
        (Part::Rules, None, _) => Err(("action", "it is missing: `deny` or `allow`".into())),
        (Part::Rules, Some(RuleAction::Allow), EngineKind::Signatures) => {
            Err(("action", "what a signature is not to find is an exclusion".into()))
        }
        (Part::Rules, Some(_), EngineKind::FileReputation) if sha256.is_none() => Err((
            "sha256",
            "it is missing: files are classified by their digest".into(),
        )),
        (Part::Rules, Some(_), EngineKind::Profiling) if process.is_none() == network.is_none() => Err((
            "process",
            "an entry of a profile is either a process or a network peer".into(),
        )),
        (Part::Exclusions, None, _) | (Part::Rules, Some(_), _) => Ok(()),
    }
}
