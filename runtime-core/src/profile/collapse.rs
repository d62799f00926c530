//! Paths with a part that is another one each time, as one text.
//!
//! `/tmp/build-4f2a91/cc` and `/tmp/build-77e0c3/cc` both become `/tmp/build-*/cc`. The rule looks at one path alone
//! and at nothing that was seen before, so that all nodes come to the same texts in whatever order they see paths, and
//! judging a path is making this text of it and looking that up. A `*` never stands for a `/`.
//!
//! The rule, for the parts between the slashes of an absolute path:
//!
//! 1. Below the directories of system programs ([`is_protected`]) nothing is changed, nor in a path that has an
//!    empty part, `.` or `..`.
//! 2. A directory right below one for temporary files (`/tmp`, `/var/tmp`, `/dev/shm`) becomes `tmp*` where it begins
//!    with `tmp`; its first word with what separates it (`-`, `_` or `.`) and `*`, where that word has letters only; and
//!    `*` where it has a digit or six bytes or more. So names of any kind that `mktemp` and its like make are one.
//! 3. In every other part, names of files among them, if the path has a decimal digit at all: a UUID becomes `*`, and
//!    so does a run of letters and digits that is hexadecimal with at least eight digits and at least one of them
//!    decimal, or six decimal digits or more, or at least sixteen with upper case, lower case and a decimal digit. A
//!    number right below `/proc` becomes `*`. A file in a directory called `bin` or `sbin`, or like `lib`, keeps its
//!    name wherever that directory is: it may be another system's, mounted somewhere.
//!
//! Names of files are left alone by the second point on purpose: `/tmp/*` would allow whatever is dropped there.

use std::borrow::Cow;

/// The path with its changing parts as `*`.
pub fn collapse(path: &[u8]) -> Cow<'_, [u8]> {
    let mut text = Vec::new();
    if collapse_into(path, &mut text) {
        Cow::Owned(text)
    } else {
        Cow::Borrowed(path)
    }
}

/// Writes the path with its changing parts as `*` into `text`, in place of what is there, and says whether that is
/// another text than the path. Where it says no, `text` is of no use. It allocates only for `text` to grow.
pub fn collapse_into(path: &[u8], text: &mut Vec<u8>) -> bool {
    text.clear();
    let Some(inner) = path.strip_prefix(b"/") else {
        return false;
    };
    if is_protected(path) || has_odd_part(inner) {
        return false;
    }
    let temporary = temporary_directory(path);
    if temporary.is_none() && !inner.iter().any(u8::is_ascii_digit) {
        return false;
    }
    let mut start = 1;
    let mut changed = false;
    let mut directory: &[u8] = b"";
    for part in inner.split(|&byte| byte == b'/') {
        text.push(b'/');
        let end = start + part.len();
        let is_file = end == path.len();
        changed |= if is_file && (matches!(directory, b"bin" | b"sbin") || directory.starts_with(b"lib")) {
            text.extend_from_slice(part);
            false
        } else if temporary == Some(start) && !is_file {
            push_temporary(part, text)
        } else if start == PROC.len() && path.starts_with(PROC) && part.iter().all(u8::is_ascii_digit) {
            text.push(b'*');
            true
        } else {
            push_part(part, text)
        };
        start = end + 1;
        directory = part;
    }
    changed
}

const PROC: &[u8] = b"/proc/";

/// Whether a path is below a directory of system programs or libraries: `/bin`, `/sbin`, `/usr` with all that is in it
/// (`/usr/bin`, `/usr/sbin`, `/usr/lib…`, `/usr/local/bin` and so on), `/etc`, `/nix`, `/gnu`, and every directory of
/// the root whose name begins with `lib`.
pub fn is_protected(path: &[u8]) -> bool {
    let Some(inner) = path.strip_prefix(b"/") else {
        return false;
    };
    let end = inner.iter().position(|&byte| byte == b'/').unwrap_or(inner.len());
    let first = &inner[..end];
    // Written as bytes, which are compared in place: this is asked for every path of every event.
    matches!(
        first,
        [b'b', b'i', b'n']
            | [b's', b'b', b'i', b'n']
            | [b'u', b's', b'r']
            | [b'e', b't', b'c']
            | [b'n', b'i', b'x']
            | [b'g', b'n', b'u']
            | [b'l', b'i', b'b', ..]
    )
}

fn has_odd_part(inner: &[u8]) -> bool {
    inner
        .split(|&byte| byte == b'/')
        .any(|part| matches!(part, b"" | b"." | b".."))
}

/// Where the part right below a directory for temporary files begins.
fn temporary_directory(path: &[u8]) -> Option<usize> {
    let directories: [&[u8]; 3] = [b"/tmp/", b"/var/tmp/", b"/dev/shm/"];
    let directory = directories
        .into_iter()
        .find(|directory| path.starts_with(directory))?;
    Some(directory.len())
}

fn push_temporary(part: &[u8], text: &mut Vec<u8>) -> bool {
    let word = part
        .iter()
        .position(|byte| b"-_.".contains(byte))
        .map(|end| &part[..end])
        .filter(|word| !word.is_empty() && word.iter().all(u8::is_ascii_alphabetic));
    let kept = match word {
        _ if part.starts_with(b"tmp") && part.len() > 3 => 3,
        Some(word) => word.len() + 1,
        None if part.len() >= 6 || part.iter().any(u8::is_ascii_digit) => 0,
        None => part.len(),
    };
    text.extend_from_slice(&part[..kept]);
    if kept == part.len() && word.is_none() {
        return false;
    }
    text.push(b'*');
    part[kept..] != *b"*"
}

fn push_part(part: &[u8], text: &mut Vec<u8>) -> bool {
    let mut changed = false;
    let mut rest = part;
    while !rest.is_empty() {
        let whole_word =
            rest.len() == part.len() || !part[part.len() - rest.len() - 1].is_ascii_alphanumeric();
        if whole_word && starts_with_uuid(rest) {
            push_star(text);
            changed = true;
            rest = &rest[UUID_LENGTH..];
            continue;
        }
        let run = rest
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        if run == 0 {
            text.push(rest[0]);
            rest = &rest[1..];
            continue;
        }
        if is_random(&rest[..run]) {
            push_star(text);
            changed = true;
        } else {
            text.extend_from_slice(&rest[..run]);
        }
        rest = &rest[run..];
    }
    changed
}

fn push_star(text: &mut Vec<u8>) {
    if text.last() != Some(&b'*') {
        text.push(b'*');
    }
}

const UUID_LENGTH: usize = 36;

fn starts_with_uuid(text: &[u8]) -> bool {
    let Some((uuid, after)) = text.split_at_checked(UUID_LENGTH) else {
        return false;
    };
    let shaped = uuid.iter().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    shaped && !after.first().is_some_and(u8::is_ascii_alphanumeric)
}

/// Whether a run of letters and digits is more likely made than chosen.
fn is_random(run: &[u8]) -> bool {
    let has = |test: fn(&u8) -> bool| run.iter().any(test);
    let digit = has(u8::is_ascii_digit);
    let hexadecimal = run.len() >= 8 && digit && run.iter().all(u8::is_ascii_hexdigit);
    let decimal = run.len() >= 6 && run.iter().all(u8::is_ascii_digit);
    let mixed = run.len() >= 16 && digit && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    hexadecimal || decimal || mixed
}

#[cfg(test)]
mod tests;
