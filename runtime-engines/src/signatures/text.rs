//! Tests of texts.

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use runtime_core::glob::Glob;

use super::condition::Quantifier;
use super::error::ConditionError;
use super::hash::FastSet;

/// Names in the kernel are cut to this many bytes.
pub(super) const NAME_LIMIT: usize = 15;

/// How large a compiled pattern may be, in bytes.
const MAX_PATTERN: usize = 256 << 10;

/// A test of a text.
#[derive(Debug, Clone)]
pub(super) enum TextTest {
    In {
        set: TextSet,
        cut: bool,
    },
    NotIn {
        set: TextSet,
        cut: bool,
    },
    Ordered {
        order: Order,
        than: Box<[u8]>,
    },
    Contains(Box<[Finder<'static>]>),
    /// The values are in small letters.
    ContainsIgnoringCase(Box<[Box<[u8]>]>),
    StartsWith(Affixes),
    EndsWith(Affixes),
    Glob(ShellGlob),
    /// All of the text fits.
    Pattern(Box<Regex>),
    PathPrefix(Paths),
    Each(Quantifier, Box<[TextTest]>),
}

/// Tests that can be made one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Family {
    In,
    Contains,
    ContainsIgnoringCase,
    StartsWith,
    EndsWith,
    PathPrefix,
    Numbers,
}

/// A pattern of plain text, `*` and `?`.
#[derive(Debug, Clone)]
pub(super) struct ShellGlob {
    glob: Glob,
    beginning: Box<[u8]>,
}

impl ShellGlob {
    fn new(pattern: &str) -> Self {
        let plain = pattern.split(['*', '?']).next().unwrap_or_default();
        Self {
            glob: Glob::new(pattern),
            beginning: plain.as_bytes().into(),
        }
    }

    /// What every text that fits begins with.
    pub(super) fn beginning(&self) -> &[u8] {
        &self.beginning
    }
}

/// How two values are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    pub(super) fn holds<T: PartialOrd + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl TextTest {
    pub(super) fn holds(&self, text: &[u8]) -> bool {
        match self {
            Self::In { set, cut } => is_in(set, *cut, text),
            Self::NotIn { set, cut } => !is_in(set, *cut, text),
            Self::Ordered { order, than } => order.holds(text, than),
            Self::Contains(parts) => parts.iter().any(|part| part.find(text).is_some()),
            Self::ContainsIgnoringCase(parts) => parts.iter().any(|part| contains_ignoring_case(text, part)),
            Self::StartsWith(starts) => starts.any_starts(text),
            Self::EndsWith(ends) => ends.any_ends(text),
            Self::Glob(glob) => glob.glob.matches(text),
            Self::Pattern(pattern) => pattern.is_match(text),
            Self::PathPrefix(paths) => paths.any_above(text),
            Self::Each(quantifier, tests) => {
                let mut holding = tests.iter().filter(|test| test.holds(text));
                match quantifier {
                    Quantifier::OneOf => holding.next().is_some() && holding.next().is_none(),
                    Quantifier::AnyOf => holding.next().is_some(),
                    Quantifier::AllOf => !tests.is_empty() && tests.iter().all(|test| test.holds(text)),
                }
            }
        }
    }

    /// What it costs, roughly, in units of comparing two short texts.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::In { .. }
            | Self::NotIn { .. }
            | Self::Ordered { .. }
            | Self::StartsWith(_)
            | Self::EndsWith(_) => 2,
            Self::Contains(parts) => 6 * parts.len() as u32,
            Self::ContainsIgnoringCase(parts) => 20 * parts.len() as u32,
            Self::PathPrefix(_) => 5,
            Self::Glob(_) => 10,
            Self::Pattern(_) => 40,
            Self::Each(_, tests) => tests.iter().map(Self::cost).sum(),
        }
    }

    /// How many compiled patterns it has.
    pub(super) fn patterns(&self) -> usize {
        match self {
            Self::Pattern(_) => 1,
            Self::PathPrefix(paths) => paths.patterns.len(),
            Self::Each(_, tests) => tests.iter().map(Self::patterns).sum(),
            _ => 0,
        }
    }

    /// What it can be made one test with; `None` where with nothing.
    pub(super) fn family(&self) -> Option<Family> {
        Some(match self {
            Self::In { .. } => Family::In,
            Self::Contains(_) => Family::Contains,
            Self::ContainsIgnoringCase(_) => Family::ContainsIgnoringCase,
            Self::StartsWith(_) => Family::StartsWith,
            Self::EndsWith(_) => Family::EndsWith,
            Self::PathPrefix(_) => Family::PathPrefix,
            _ => return None,
        })
    }

    /// One test that holds where any of these does; `None` where they are not all of one family.
    pub(super) fn any_of(tests: &[&Self]) -> Option<Self> {
        /// The same part of every test.
        fn all<'t, T>(tests: &[&'t TextTest], part: fn(&'t TextTest) -> Option<&'t T>) -> Option<Vec<&'t T>> {
            tests.iter().map(|test| part(test)).collect()
        }
        Some(match tests.first()? {
            Self::In { cut, .. } => {
                let sets = all(tests, |test| {
                    if let Self::In { set, .. } = test {
                        Some(set)
                    } else {
                        None
                    }
                })?;
                Self::In {
                    set: TextSet::new(sets.into_iter().flat_map(TextSet::iter).map(Box::from)),
                    cut: *cut,
                }
            }
            Self::Contains(_) => {
                let parts = all(tests, |test| {
                    if let Self::Contains(it) = test {
                        Some(it)
                    } else {
                        None
                    }
                })?;
                Self::Contains(parts.into_iter().flatten().cloned().collect())
            }
            Self::ContainsIgnoringCase(_) => {
                let parts = all(tests, |test| {
                    if let Self::ContainsIgnoringCase(it) = test {
                        Some(it)
                    } else {
                        None
                    }
                })?;
                Self::ContainsIgnoringCase(parts.into_iter().flatten().cloned().collect())
            }
            Self::StartsWith(_) => {
                let starts = all(tests, |test| {
                    if let Self::StartsWith(it) = test {
                        Some(it)
                    } else {
                        None
                    }
                })?;
                Self::StartsWith(Affixes::union(&starts))
            }
            Self::EndsWith(_) => {
                let ends = all(tests, |test| {
                    if let Self::EndsWith(it) = test {
                        Some(it)
                    } else {
                        None
                    }
                })?;
                Self::EndsWith(Affixes::union(&ends))
            }
            Self::PathPrefix(_) => {
                let paths = all(tests, |test| {
                    if let Self::PathPrefix(it) = test {
                        Some(it)
                    } else {
                        None
                    }
                })?;
                Self::PathPrefix(Paths::union(&paths))
            }
            _ => return None,
        })
    }

    /// The tests hold for one, for any or for all of what they are for.
    pub(super) fn each(quantifier: Quantifier, tests: Box<[Self]>) -> Self {
        if quantifier == Quantifier::AnyOf
            && let Some(merged) = Self::any_of(&tests.iter().collect::<Vec<_>>())
        {
            return merged;
        }
        Self::Each(quantifier, tests)
    }

    pub(super) fn contains(part: &[u8]) -> Self {
        Self::Contains(Box::new([Finder::new(part).into_owned()]))
    }

    /// All of the text fits the pattern, `*` standing for any bytes and `?` for one.
    pub(super) fn glob(pattern: &str, ignore_case: bool) -> Result<Self, ConditionError> {
        if !ignore_case && !pattern.contains(['[', '\\']) {
            return Ok(Self::Glob(ShellGlob::new(pattern)));
        }
        let translated = translate_glob(pattern).ok_or_else(|| ConditionError::Pattern {
            pattern: pattern.to_owned(),
            reason: "`[` without `]`, or `\\` at the end".to_owned(),
        })?;
        compile(pattern, &translated, ignore_case)
    }

    /// All of the text fits the regular expression.
    pub(super) fn regex(pattern: &str) -> Result<Self, ConditionError> {
        // Alone first, so that a pattern cannot get out of what is put around it.
        compile(pattern, pattern, false)?;
        compile(pattern, &format!("^(?:{pattern})$"), false)
    }
}

fn compile(written: &str, pattern: &str, ignore_case: bool) -> Result<TextTest, ConditionError> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(ignore_case)
        .dot_matches_new_line(true)
        .size_limit(MAX_PATTERN)
        .dfa_size_limit(MAX_PATTERN)
        .nest_limit(64)
        .build()
        .map(|regex| TextTest::Pattern(Box::new(regex)))
        .map_err(|error| ConditionError::Pattern {
            pattern: written.chars().take(80).collect(),
            reason: match error {
                regex::Error::CompiledTooBig(limit) => format!("it needs more than {limit} bytes"),
                error => one_line(&error.to_string()),
            },
        })
}

/// The last line of an explanation, which is where the reason is.
fn one_line(text: &str) -> String {
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// A shell pattern as a regular expression for all of a text; `None` where a bracket or an escape has no end.
fn translate_glob(pattern: &str) -> Option<String> {
    let mut regex = String::from("^");
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '\\' => regex.push_str(&regex::escape(rest.next()?.encode_utf8(&mut [0; 4]))),
            '[' => {
                let inner = rest.as_str();
                // A bracket that is the first of the class belongs to it.
                let skip = usize::from(inner.starts_with(['!', '^']));
                let first = skip + usize::from(inner[skip..].starts_with(']'));
                let end = first + inner[first..].find(']')?;
                regex.push('[');
                if skip == 1 {
                    regex.push('^');
                }
                for c in inner[skip..end].chars() {
                    if c != '-' && !c.is_ascii_alphanumeric() {
                        regex.push('\\');
                    }
                    regex.push(c);
                }
                regex.push(']');
                rest = inner[end + 1..].chars();
            }
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push('$');
    Some(regex)
}

fn is_in(set: &TextSet, cut: bool, text: &[u8]) -> bool {
    set.contains(text) || (cut && text.len() > NAME_LIMIT && set.contains(&text[..NAME_LIMIT]))
}

fn contains_ignoring_case(text: &[u8], part: &[u8]) -> bool {
    part.is_empty()
        || text
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part))
}

/// A set of texts: a list while that is faster than hashing.
#[derive(Debug, Clone)]
pub(super) enum TextSet {
    Few(Box<[Box<[u8]>]>),
    Many(FastSet<Box<[u8]>>),
}

impl TextSet {
    pub(super) fn new(texts: impl IntoIterator<Item = Box<[u8]>>) -> Self {
        let set: FastSet<Box<[u8]>> = texts.into_iter().collect();
        if set.len() > 6 {
            return Self::Many(set);
        }
        let mut few: Vec<_> = set.into_iter().collect();
        few.sort();
        Self::Few(few.into())
    }

    fn contains(&self, text: &[u8]) -> bool {
        match self {
            Self::Few(few) => few.iter().any(|item| **item == *text),
            Self::Many(many) => many.contains(text),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let (few, many) = match self {
            Self::Few(few) => (Some(few), None),
            Self::Many(many) => (None, Some(many)),
        };
        few.into_iter()
            .flatten()
            .chain(many.into_iter().flatten())
            .map(|text| &**text)
    }
}

/// Beginnings, or endings, that are looked for all at once.
///
/// They are sorted, endings by their last byte first, and none begins with (or ends with) another: the only one
/// that a text can begin with is then the last one that is not behind it in the order.
#[derive(Debug, Clone)]
pub(super) struct Affixes(Box<[Box<[u8]>]>);

impl Affixes {
    pub(super) fn starts(texts: impl IntoIterator<Item = Box<[u8]>>) -> Self {
        let mut sorted: Vec<Box<[u8]>> = texts.into_iter().collect();
        sorted.sort();
        sorted.dedup_by(|later, earlier| later.starts_with(earlier));
        Self(sorted.into())
    }

    /// The endings are kept backwards.
    pub(super) fn ends(texts: impl IntoIterator<Item = Box<[u8]>>) -> Self {
        Self::starts(texts.into_iter().map(|mut text| {
            text.reverse();
            text
        }))
    }

    fn union(all: &[&Self]) -> Self {
        Self::starts(all.iter().flat_map(|texts| &texts.0).cloned())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|text| &**text)
    }

    pub(super) fn any_starts(&self, text: &[u8]) -> bool {
        if let [only] = &*self.0 {
            return text.starts_with(only);
        }
        let behind = self.0.partition_point(|start| **start <= *text);
        behind
            .checked_sub(1)
            .is_some_and(|at| text.starts_with(&self.0[at]))
    }

    fn any_ends(&self, text: &[u8]) -> bool {
        let ends = |end: &[u8]| text.len() >= end.len() && text.iter().rev().zip(end).all(|(a, b)| a == b);
        if let [only] = &*self.0 {
            return ends(only);
        }
        let behind = self.0.partition_point(|end| end.iter().le(text.iter().rev()));
        behind.checked_sub(1).is_some_and(|at| ends(&self.0[at]))
    }
}

/// Directories and files: a text is looked for as one of them, or as something below one, by whole names.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    plain: FastSet<Box<[u8]>>,
    /// Ones with patterns in them, as regular expressions.
    patterns: Box<[Regex]>,
}

impl Paths {
    pub(super) fn new(paths: &[String]) -> Result<Self, ConditionError> {
        let mut plain = FastSet::default();
        let mut patterns = Vec::new();
        for path in paths {
            let above = path.trim_end_matches('/');
            if !above.contains(['*', '?', '[']) {
                plain.insert(above.as_bytes().into());
                continue;
            }
            // Within a path the signs do not reach across a slash.
            let translated = translate_glob(above).ok_or_else(|| ConditionError::Pattern {
                pattern: path.clone(),
                reason: "`[` without `]`, or `\\` at the end".to_owned(),
            })?;
            let body = translated.trim_start_matches('^').trim_end_matches('$');
            let within = body.replace(".*", "[^/]*");
            let TextTest::Pattern(regex) = compile(path, &format!("^{within}(?:/.*)?$"), false)? else {
                continue;
            };
            patterns.push(*regex);
        }
        Ok(Self {
            plain,
            patterns: patterns.into(),
        })
    }

    fn union(all: &[&Self]) -> Self {
        Self {
            plain: all.iter().flat_map(|paths| &paths.plain).cloned().collect(),
            patterns: all.iter().flat_map(|paths| &paths.patterns).cloned().collect(),
        }
    }

    fn any_above(&self, path: &[u8]) -> bool {
        let ends = path
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| at);
        ends.chain([path.len()])
            .any(|end| self.plain.contains(&path[..end]))
            || self.patterns.iter().any(|pattern| pattern.is_match(path))
    }

    /// The paths without patterns; `None` where there are others.
    pub(super) fn plain(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.patterns
            .is_empty()
            .then(|| self.plain.iter().map(|path| &**path))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(texts: &[&str]) -> Vec<Box<[u8]>> {
        texts.iter().map(|text| text.as_bytes().into()).collect()
    }

    fn below(path: &str, above: &[&str]) -> bool {
        let above: Vec<String> = above.iter().map(|&path| path.to_owned()).collect();
        Paths::new(&above).unwrap().any_above(path.as_bytes())
    }

    #[test]
    fn paths_match_by_whole_names() {
        assert!(below("/etc/passwd", &["/etc"]));
        assert!(below("/etc", &["/etc/"]));
        assert!(below("/etc/x", &["/"]));
        assert!(below("/", &["/"]));
        assert!(!below("/etcetera", &["/etc"]));
        assert!(below("/home/a/.ssh/id", &["/root", "/home/*/.ssh"]));
        assert!(!below("/home/a/b/.ssh/id", &["/root", "/home/*/.ssh"]));
    }

    #[test]
    fn shell_patterns() {
        let fits = |pattern: &str, text: &str| TextTest::glob(pattern, false).unwrap().holds(text.as_bytes());
        assert!(fits("/tmp/[a-c]?*", "/tmp/bxyz") && !fits("/tmp/[a-c]?*", "/tmp/dxyz"));
        assert!(fits("[!a]b", "xb") && !fits("[!a]b", "ab") && fits("[]]", "]"));
        assert!(fits(r"a\*", "a*") && !fits(r"a\*", "ab"));
        assert!(fits("[.]x", ".x") && !fits("[.]x", "ax"));
        assert!(TextTest::glob("[a", false).is_err() && TextTest::glob("a\\", true).is_err());
        assert!(TextTest::glob("*.SH", true).unwrap().holds(b"run.sh"));
    }

    #[test]
    fn expressions_fit_all_of_a_text() {
        let fits = |pattern: &str, text: &[u8]| TextTest::regex(pattern).unwrap().holds(text);
        assert!(fits("a|b", b"a") && !fits("a|b", b"ab") && !fits("b", b"ab"));
        assert!(fits("a.c", b"a\xffc") && fits("a.c", b"a\nc"));
        assert!(TextTest::regex("a)(b").is_err());
        assert!(TextTest::regex("(a{1000}){1000}").is_err());
        assert!(TextTest::regex(&"(".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn many_beginnings_are_as_good_as_one_by_one(
            texts in prop::collection::vec("[ab]{0,4}", 0..8), text in "[ab]{0,6}"
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let starts = Affixes::starts(boxed(&texts));
            prop_assert_eq!(starts.any_starts(text.as_bytes()), texts.iter().any(|t| text.starts_with(t)));
            let ends = Affixes::ends(boxed(&texts));
            prop_assert_eq!(ends.any_ends(text.as_bytes()), texts.iter().any(|t| text.ends_with(t)));
        }
    }
}
