//! Patterns with `*` and `?`, over bytes.

/// A pattern in which `*` stands for any bytes, none included, and `?` for exactly one byte.
///
/// `/` is a byte like any other. Matching takes at most (pattern length × text length) steps.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob(Box<[u8]>);

impl Glob {
    /// From its text.
    pub fn new(pattern: &str) -> Self {
        Self::from_bytes(pattern.as_bytes())
    }

    /// From its bytes, which need not be UTF-8.
    pub fn from_bytes(pattern: &[u8]) -> Self {
        Self(pattern.into())
    }

    /// True when it matches everything.
    pub fn is_any(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|&byte| byte == b'*')
    }

    /// Whether anything may follow what it matches.
    pub fn is_open_ended(&self) -> bool {
        self.0.last() == Some(&b'*')
    }

    /// The only text that it matches; `None` when there are others.
    pub fn literal(&self) -> Option<&[u8]> {
        let plain = !self.0.iter().any(|byte| matches!(byte, b'*' | b'?'));
        plain.then_some(&self.0)
    }

    /// What every text that it matches begins with, and what it ends with: the pattern's own ends up to the first and
    /// the last `*` or `?`.
    pub fn fixed_ends(&self) -> (&[u8], &[u8]) {
        let wild = |byte: &u8| matches!(byte, b'*' | b'?');
        let first = self.0.iter().position(wild).unwrap_or(self.0.len());
        let last = self.0.iter().rposition(wild).map_or(0, |at| at + 1);
        (&self.0[..first], &self.0[last..])
    }

    /// Whether all of `text` fits the pattern.
    pub fn matches(&self, text: &[u8]) -> bool {
        let pattern = &self.0;
        let (mut p, mut t) = (0, 0);
        // Where to take up again when what follows the last `*` does not fit.
        let mut retry: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    retry = Some((p, t));
                    p += 1;
                }
                Some(&byte) if byte == b'?' || byte == text[t] => {
                    p += 1;
                    t += 1;
                }
                _ => match retry {
                    Some((star, from)) => {
                        retry = Some((star, from + 1));
                        p = star + 1;
                        t = from + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|&byte| byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, as plainly as it can be written.
    fn fits(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                fits(rest, text) || text.split_first().is_some_and(|(_, tail)| fits(pattern, tail))
            }
            (Some((p, rest)), Some((t, tail))) => (*p == b'?' || p == t) && fits(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab*]{0,10}") {
            prop_assert_eq!(Glob::new(&pattern).matches(text.as_bytes()), fits(pattern.as_bytes(), text.as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn what_matches_has_the_fixed_ends(pattern in "[ab*?]{0,6}", text in "[ab]{0,8}") {
            let glob = Glob::new(&pattern);
            if glob.matches(text.as_bytes()) {
                let (beginning, ending) = glob.fixed_ends();
                prop_assert!(text.as_bytes().starts_with(beginning) && text.as_bytes().ends_with(ending));
                prop_assert!(glob.literal().is_none_or(|literal| literal == text.as_bytes()));
            }
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = "*a".repeat(200);
        assert!(!Glob::new(&pattern).matches("b".repeat(10_000).as_bytes()));
    }
}
