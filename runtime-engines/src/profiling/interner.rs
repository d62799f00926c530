//! Texts as numbers, each kept once for all profiles.

use runtime_core::RawString;

use super::hash::KeyedMap;

/// A text's number, for as long as somebody uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Symbol(u32);

impl Symbol {
    /// That there is no text.
    pub(super) const NONE: Self = Self(0);

    pub(super) fn number(self) -> u32 {
        self.0
    }
}

/// Gives numbers to texts. A number that nobody uses any more is given to another text.
#[derive(Debug)]
pub(super) struct Interner {
    symbols: KeyedMap<RawString, Symbol>,
    slots: Vec<Slot>,
    free: Vec<Symbol>,
}

#[derive(Debug)]
struct Slot {
    text: RawString,
    users: u32,
}

impl Interner {
    pub(super) fn new() -> Self {
        let nothing = Slot {
            text: RawString::default(),
            users: 1,
        };
        Self {
            symbols: KeyedMap::default(),
            // The place of `Symbol::NONE`.
            slots: vec![nothing],
            free: Vec::new(),
        }
    }

    /// The text's number, where somebody uses it.
    pub(super) fn find(&self, text: &[u8]) -> Option<Symbol> {
        self.symbols.get(text).copied()
    }

    /// The text's number, with one user more.
    pub(super) fn acquire(&mut self, text: &[u8]) -> Symbol {
        if let Some(&symbol) = self.symbols.get(text) {
            self.slots[symbol.0 as usize].users += 1;
            return symbol;
        }
        let slot = Slot {
            text: text.into(),
            users: 1,
        };
        let text = slot.text.clone();
        let symbol = if let Some(symbol) = self.free.pop() {
            self.slots[symbol.0 as usize] = slot;
            symbol
        } else {
            self.slots.push(slot);
            Symbol(self.slots.len() as u32 - 1)
        };
        self.symbols.insert(text, symbol);
        symbol
    }

    /// One user of the number less.
    pub(super) fn release(&mut self, symbol: Symbol) {
        if symbol == Symbol::NONE {
            return;
        }
        let slot = &mut self.slots[symbol.0 as usize];
        slot.users -= 1;
        if slot.users == 0 {
            let text = std::mem::take(&mut slot.text);
            self.symbols.remove(&text);
            self.free.push(symbol);
        }
    }

    /// The number's text, which shares its memory with all others.
    pub(super) fn text(&self, symbol: Symbol) -> RawString {
        self.slots[symbol.0 as usize].text.clone()
    }

    /// How many texts there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.symbols.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number_while_it_is_used() {
        let mut interner = Interner::new();
        let shell = interner.acquire(b"/bin/sh");
        assert_eq!(interner.acquire(b"/bin/sh"), shell);
        assert_ne!(interner.acquire(b"/bin/ls"), shell);
        assert_eq!(interner.text(shell), RawString::from("/bin/sh"));
        interner.release(shell);
        assert_eq!(interner.find(b"/bin/sh"), Some(shell));
        interner.release(shell);
        assert_eq!(interner.find(b"/bin/sh"), None);
        assert_eq!(interner.acquire(b"/bin/id"), shell, "the number is used again");
        assert_eq!(interner.len(), 2);
    }

    #[test]
    fn nothing_is_no_text() {
        let mut interner = Interner::new();
        assert_eq!(interner.find(b""), None);
        assert_ne!(interner.acquire(b""), Symbol::NONE);
        interner.release(Symbol::NONE);
    }
}
