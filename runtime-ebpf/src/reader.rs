//! When to sleep: the reader's side of rationed wake-ups.
//!
//! A wake-up for each record costs the workload ten times what the record costs it. So while records come, the
//! reader looks at the ring in short intervals, and the kernel wakes nobody. When nothing came for a while,
//! the reader says that it sleeps; the next record wakes it at once.

use std::time::Duration;

/// What to do next when the ring is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Look again after this time.
    Nap(Duration),
    /// Sleep until woken.
    Sleep,
}

/// Decides between napping and sleeping.
#[derive(Debug, Clone)]
pub(crate) struct Pacer {
    interval: Duration,
    patience: u32,
    empty: u32,
}

impl Pacer {
    /// Looks every `interval`, and sleeps after `patience` looks in vain.
    pub(crate) fn new(interval: Duration, patience: u32) -> Self {
        Self {
            interval,
            patience,
            empty: 0,
        }
    }

    /// Something was there.
    pub(crate) fn found(&mut self) {
        self.empty = 0;
    }

    /// Nothing was there.
    pub(crate) fn pause(&mut self) -> Pause {
        if self.empty >= self.patience {
            return Pause::Sleep;
        }
        self.empty += 1;
        Pause::Nap(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_naps_while_there_is_work_and_sleeps_when_there_is_none() {
        let nap = Pause::Nap(Duration::from_micros(300));
        let mut pacer = Pacer::new(Duration::from_micros(300), 2);
        assert_eq!(
            [pacer.pause(), pacer.pause(), pacer.pause(), pacer.pause()],
            [nap, nap, Pause::Sleep, Pause::Sleep]
        );
        pacer.found();
        assert_eq!(pacer.pause(), nap);
    }
}
