//! What the kernel tells of a process's descriptors, in `/proc/PID/fdinfo`.

/// The text of each.
pub(crate) fn descriptors(pid: u32) -> impl Iterator<Item = String> {
    std::fs::read_dir(format!("/proc/{pid}/fdinfo"))
        .into_iter()
        .flatten()
        .flatten()
        // One that is closed meanwhile tells nothing.
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
}

/// The first word after `name`, which ends with a colon and begins a line.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))?
        .split_whitespace()
        .next()
}
