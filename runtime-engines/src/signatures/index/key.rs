//! Rules by the values of one field.

use runtime_core::Event;

use super::super::anchor::{self, Anchor, Shape};
use super::super::field::{self, Buffers, FIELDS, FieldType, Getter, Given, Value};
use super::super::hash::FastMap;
use super::super::text::NAME_LIMIT;
use super::parts::{self, Parts};

/// What is looked up by one field.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) field: &'static str,
    get: Getter,
    /// Whether a longer name than the kernel keeps is also looked up as the kernel would cut it.
    cut: bool,
    whole: FastMap<Box<[u8]>, Vec<usize>>,
    beginnings: Beginnings,
    /// The endings, backwards.
    endings: Beginnings,
    parts: Parts,
}

/// Texts that others may begin with, in their order.
#[derive(Debug, Default)]
struct Beginnings(Vec<Beginning>);

#[derive(Debug)]
struct Beginning {
    text: Box<[u8]>,
    rules: Vec<usize>,
    /// The place of the longest other beginning that this one begins with.
    shorter: Option<usize>,
}

impl Key {
    pub(super) fn new(name: &'static str) -> Self {
        let field = &FIELDS[field::find(name).map_or(0, |(place, _)| place)];
        Self {
            field: name,
            get: field.get,
            cut: field.kind == FieldType::Name,
            whole: FastMap::default(),
            beginnings: Beginnings::default(),
            endings: Beginnings::default(),
            parts: Parts::default(),
        }
    }

    /// Whether it can be looked up.
    pub(super) fn can_hold(anchor: &Anchor) -> bool {
        anchor.shape != Shape::Part || anchor.text.len() >= parts::SHORTEST
    }

    /// Adds a rule that asks for this.
    pub(super) fn add(&mut self, anchor: &Anchor, rule: usize) {
        let Anchor { shape, text, .. } = anchor;
        match shape {
            Shape::Whole => {
                let rules = self.whole.entry(text.clone()).or_default();
                if rules.last() != Some(&rule) {
                    rules.push(rule);
                }
            }
            Shape::Beginning => self.beginnings.add(text, rule),
            Shape::Ending => {
                let turned: Vec<u8> = text.iter().rev().copied().collect();
                self.endings.add(&turned, rule);
            }
            Shape::Part => self.parts.add(text, rule),
        }
    }

    /// Makes it ready when all is added.
    pub(super) fn finish(&mut self) {
        self.beginnings.link();
        self.endings.link();
        self.parts.finish();
    }

    /// Marks the rules that ask for a value that the event has, and maybe others.
    pub(super) fn mark(
        &self,
        event: &Event,
        (buffers, turned): (&mut Buffers, &mut Vec<u8>),
        marks: &mut [u64],
    ) {
        match (self.get)(event, buffers, &Given::None) {
            Value::Missing => {}
            value @ (Value::Number(_) | Value::Numbers(_)) => {
                value.any_number(|number| {
                    self.mark_whole(&anchor::number(number), marks);
                    false
                });
            }
            value => {
                value.any_text(|text| {
                    self.mark_text(text, turned, marks);
                    false
                });
            }
        }
    }

    fn mark_whole(&self, text: &[u8], marks: &mut [u64]) {
        if let Some(rules) = self.whole.get(text) {
            add(rules, marks);
        }
    }

    fn mark_text(&self, text: &[u8], turned: &mut Vec<u8>, marks: &mut [u64]) {
        if !self.whole.is_empty() {
            self.mark_whole(text, marks);
            if self.cut && text.len() > NAME_LIMIT {
                self.mark_whole(&text[..NAME_LIMIT], marks);
            }
        }
        self.beginnings.mark(text, marks);
        if !self.endings.0.is_empty() {
            turned.clear();
            turned.extend(text.iter().rev());
            self.endings.mark(turned, marks);
        }
        self.parts.mark(text, marks);
    }
}

impl Beginnings {
    fn add(&mut self, text: &[u8], rule: usize) {
        self.0.push(Beginning {
            text: text.into(),
            rules: vec![rule],
            shorter: None,
        });
    }

    /// Sorts the beginnings, each once, and finds for each the one that it begins with.
    fn link(&mut self) {
        let all = &mut self.0;
        all.sort_by(|a, b| a.text.cmp(&b.text));
        all.dedup_by(|later, earlier| {
            let same = later.text == earlier.text;
            if same {
                earlier.rules.append(&mut later.rules);
            }
            same
        });
        // In this order what a text begins with stands before it, and all between begin with the same.
        let mut open: Vec<usize> = Vec::new();
        for at in 0..all.len() {
            while let Some(&last) = open.last()
                && !all[at].text.starts_with(&all[last].text)
            {
                open.pop();
            }
            all[at].shorter = open.last().copied();
            open.push(at);
        }
    }

    fn mark(&self, text: &[u8], marks: &mut [u64]) {
        let behind = self.0.partition_point(|beginning| *beginning.text <= *text);
        let mut next = behind.checked_sub(1);
        while let Some(at) = next {
            let beginning = &self.0[at];
            if text.starts_with(&beginning.text) {
                add(&beginning.rules, marks);
            }
            next = beginning.shorter;
        }
    }
}

/// Marks rules.
pub(super) fn add(rules: &[usize], marks: &mut [u64]) {
    for rule in rules {
        marks[rule / 64] |= 1 << (rule % 64);
    }
}
