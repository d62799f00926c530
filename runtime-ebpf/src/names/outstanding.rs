//! The questions that wait for an answer.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use runtime_core::{BootTime, ProcessKey};

use super::flow::Flow;
use super::message::Question;

/// An answer that comes later than this after its question is not learned from. The C libraries give up sooner.
pub const QUESTION_LIFETIME: Duration = Duration::from_secs(30);

/// Questions by what an answer has to repeat, and in the order they came.
///
/// A question that was answered stays until its time is over, so that a second answer is known for what it is.
#[derive(Debug)]
pub(super) struct Outstanding {
    questions: BTreeMap<Slot, Asked>,
    /// Each question is here once, with a time that is no later than its own.
    order: VecDeque<(BootTime, Slot)>,
    serial: u64,
    limit: usize,
}

/// A message's id, the client's port, and a number that tells questions apart that share them.
pub(super) type Slot = (u16, u16, u64);

/// A question, and who asked it of whom.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) time: BootTime,
    pub(super) flow: Flow,
    pub(super) id: u16,
    pub(super) opcode: u8,
    pub(super) question: Question,
    pub(super) asker: ProcessKey,
    pub(super) answered: bool,
}

/// What an answer may be an answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A question without an answer so far.
    Open {
        slot: Slot,
        /// The answer has the question's upper and lower case.
        exact: bool,
    },
    /// Only questions that were answered before.
    Answered,
    /// Only questions that were put to another server.
    OtherServer,
    /// Nothing that was asked.
    Nothing,
}

impl Outstanding {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            questions: BTreeMap::new(),
            order: VecDeque::new(),
            serial: 0,
            limit,
        }
    }

    /// Notes a question, and returns how many open ones had to make room for it. One that is repeated is open again.
    pub(super) fn note(&mut self, now: BootTime, asked: Asked) -> u64 {
        self.forget_late(now);
        let (id, port) = (asked.id, asked.flow.client().port());
        let repeated = self
            .questions
            .range_mut((id, port, 0)..=(id, port, u64::MAX))
            .map(|(_, earlier)| earlier)
            .find(|earlier| earlier.repeated_by(&asked));
        if let Some(earlier) = repeated {
            *earlier = asked;
            return 0;
        }
        let slot = (id, port, self.serial);
        self.serial += 1;
        self.order.push_back((asked.time, slot));
        self.questions.insert(slot, asked);
        let mut evicted = 0;
        while self.questions.len() > self.limit
            && let Some((_, oldest)) = self.order.pop_front()
        {
            let question = self.questions.remove(&oldest);
            evicted += u64::from(question.is_some_and(|question| !question.answered));
        }
        evicted
    }

    /// Looks for the question that an answer repeats. `question` is the answer's own.
    pub(super) fn find(&self, now: BootTime, flow: &Flow, id: u16, opcode: u8, question: &Question) -> Found {
        let port = flow.client().port();
        let mut found = Found::Nothing;
        let candidates = self
            .questions
            .range((id, port, 0)..=(id, port, u64::MAX))
            .filter(|(_, asked)| {
                !asked.is_late(now)
                    && asked.opcode == opcode
                    && asked.flow.transport() == flow.transport()
                    && asked.flow.same_client(flow)
                    && asked.question.is_same(question)
            });
        for (&slot, asked) in candidates {
            let exact = asked.question == *question;
            found = match (found, asked) {
                (Found::Open { exact: true, .. }, _) => return found,
                (_, asked) if asked.flow.server() != flow.server() => match found {
                    Found::Nothing => Found::OtherServer,
                    found => found,
                },
                (Found::Open { .. }, _) if !exact || asked.answered => found,
                (_, asked) if asked.answered => Found::Answered,
                _ => Found::Open { slot, exact },
            };
        }
        found
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Asked> {
        self.questions.get_mut(&slot)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.order.len(), self.questions.len());
        self.questions.len()
    }

    fn forget_late(&mut self, now: BootTime) {
        while let Some(&(queued, slot)) = self.order.front()
            && is_late(queued, now)
        {
            self.order.pop_front();
            match self.questions.get(&slot) {
                // It was repeated since.
                Some(asked) if !asked.is_late(now) => self.order.push_back((asked.time, slot)),
                _ => {
                    self.questions.remove(&slot);
                }
            }
        }
    }
}

impl Asked {
    fn is_late(&self, now: BootTime) -> bool {
        is_late(self.time, now)
    }

    fn repeated_by(&self, later: &Self) -> bool {
        self.flow.server() == later.flow.server()
            && self.flow.transport() == later.flow.transport()
            && self.flow.same_client(&later.flow)
            && self.opcode == later.opcode
            && self.question == later.question
    }
}

fn is_late(asked: BootTime, now: BootTime) -> bool {
    u128::from(now.as_nanos().saturating_sub(asked.as_nanos())) >= QUESTION_LIFETIME.as_nanos()
}
