//! Who may be root here, and how.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::command::is_installed;

/// What of the environment goes through sudo, whose policy mostly lets nothing through: whether this is continuous
/// integration, how much a failing test tells, and how downloads find their way.
const KEPT: [&str; 8] = [
    "CI",
    "RUST_BACKTRACE",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// How this user becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// It is root.
    Root,
    /// Through sudo.
    Sudo,
    /// Not at all, and why: the end of a sentence about something that is to be done.
    None(&'static str),
}

impl Privilege {
    /// Finds out at the first call, and says so where it is sudo.
    pub(crate) fn find() -> Self {
        *found().get_or_init(|| {
            use std::os::unix::fs::MetadataExt;
            if std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0) {
                return Self::Root;
            }
            if !is_installed("sudo") {
                return Self::None("needs root; this user is not root, and sudo is not installed");
            }
            println!("Not root: what needs root goes through sudo.");
            // A password is asked for here, before anything has begun.
            let allowed = Command::new("sudo").arg("true").status();
            if allowed.is_ok_and(|status| status.success()) {
                Self::Sudo
            } else {
                Self::None("needs root; this user is not root, and sudo refuses")
            }
        })
    }

    /// Keeps sudo from forgetting a password that was given, which it does after some minutes.
    pub(crate) fn keep() {
        if found().get() == Some(&Self::Sudo) {
            // Where this fails, the next use asks again.
            let _ = Command::new("sudo")
                .args(["--non-interactive", "true"])
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// The begin of a command line that runs a program as root: the program and its arguments go behind it.
pub(crate) fn sudo<'a>(env: impl IntoIterator<Item = (&'a str, &'a OsStr)>) -> Command {
    let kept = KEPT
        .iter()
        .filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let given = env.into_iter().map(|(name, value)| (name, value.to_owned()));
    let mut command = Command::new("sudo");
    // Said by `env` and not by sudo's own means, which its policy may refuse.
    command.arg("env");
    for (name, value) in kept.chain(given) {
        let mut setting = std::ffi::OsString::from(name);
        setting.push("=");
        setting.push(value);
        command.arg(setting);
    }
    command
}

fn found() -> &'static OnceLock<Privilege> {
    static FOUND: OnceLock<Privilege> = OnceLock::new();
    &FOUND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_go_through_sudo_before_the_program() {
        let mut command = sudo([("SETTING", OsStr::new("a value"))]);
        command.arg("program");
        let words: Vec<_> = command.get_args().collect();
        assert_eq!(command.get_program(), "sudo");
        assert_eq!(words[0], "env");
        assert_eq!(words[words.len() - 2..], ["SETTING=a value", "program"]);
    }
}
