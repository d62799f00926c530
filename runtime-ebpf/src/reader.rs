//! How to wait: the reader's side of rationed wake-ups.
//!
//! A wake-up for each record costs the workload ten times what the record costs it, and a reader that looks four
//! thousand times a second takes as much. So after records the reader dozes: it looks every few milliseconds,
//! and the kernel wakes it only for what it has not seen lately, or when the ring fills up. When nothing came
//! for a while it sleeps, and any record wakes it. Where new things come so fast that the wake-ups themselves
//! would weigh, it naps: it looks in short intervals and nobody wakes it.

use std::time::{Duration, Instant};

/// What to do next when the ring is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Look again after this time.
    Nap(Duration),
    /// Look again after this time, or when something urgent comes.
    Doze(Duration),
    /// Sleep until anything comes.
    Sleep,
}

/// How the kernel is told that the reader waits: `enum reader_mood` in `bpf/maps.bpf.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Awake = 0,
    Asleep = 1,
    Dozing = 2,
}

/// So many empty looks in a row, then it sleeps.
const PATIENCE: u32 = 4;
/// So many wake-ups at once are free.
const BURST: u32 = 32;
/// One more is free after this time.
const REFILL: Duration = Duration::from_millis(1);

/// Decides how to wait.
#[derive(Debug, Clone)]
pub(crate) struct Pacer {
    nap: Duration,
    doze: Duration,
    empty: u32,
    /// Wake-ups that are left before it naps, and when that was reckoned last.
    left: u32,
    reckoned: Instant,
    napping: bool,
}

impl Pacer {
    /// Naps for `nap` at a time, and dozes for `doze`.
    pub(crate) fn new(nap: Duration, doze: Duration, now: Instant) -> Self {
        Self {
            nap,
            doze,
            empty: 0,
            left: BURST,
            reckoned: now,
            napping: false,
        }
    }

    /// Something was there.
    pub(crate) fn found(&mut self) {
        self.empty = 0;
    }

    /// The kernel has woken us.
    pub(crate) fn woken(&mut self) {
        self.left = self.left.saturating_sub(1);
        self.napping |= self.left == 0;
    }

    /// Nothing was there.
    pub(crate) fn pause(&mut self, now: Instant) -> Pause {
        self.refill(now);
        if self.napping {
            return Pause::Nap(self.nap);
        }
        if self.empty >= PATIENCE {
            return Pause::Sleep;
        }
        self.empty += 1;
        Pause::Doze(self.doze)
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.reckoned).as_micros() / REFILL.as_micros();
        let Ok(passed @ 1..) = u32::try_from(passed) else {
            return;
        };
        self.left = self.left.saturating_add(passed).min(BURST);
        // What is left of a millisecond counts the next time.
        self.reckoned += REFILL * passed;
        self.napping &= self.left < BURST / 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAP: Pause = Pause::Nap(Duration::from_micros(300));
    const DOZE: Pause = Pause::Doze(Duration::from_millis(5));

    fn mk_pacer(now: Instant) -> Pacer {
        Pacer::new(Duration::from_micros(300), Duration::from_millis(5), now)
    }

    #[test]
    fn it_dozes_while_there_is_work_and_sleeps_when_there_is_none() {
        let now = Instant::now();
        let mut pacer = mk_pacer(now);
        assert!((0..PATIENCE).all(|_| pacer.pause(now) == DOZE));
        assert_eq!(pacer.pause(now), Pause::Sleep);
        assert_eq!(pacer.pause(now), Pause::Sleep);
        pacer.found();
        assert_eq!(pacer.pause(now), DOZE);
    }

    #[test]
    fn too_many_wake_ups_make_it_look_by_itself_for_a_while() {
        let mut now = Instant::now();
        let mut pacer = mk_pacer(now);
        for _ in 0..BURST {
            assert_eq!(pacer.pause(now), DOZE);
            pacer.found();
            pacer.woken();
        }
        assert_eq!(pacer.pause(now), NAP);
        now += REFILL * (BURST / 2 - 1);
        assert_eq!(pacer.pause(now), NAP, "not before half of them are free again");
        now += REFILL;
        assert_eq!(pacer.pause(now), DOZE);
    }

    #[test]
    fn a_wake_up_now_and_then_is_free() {
        let mut now = Instant::now();
        let mut pacer = mk_pacer(now);
        for _ in 0..10 * BURST {
            pacer.found();
            assert_eq!(pacer.pause(now), DOZE);
            pacer.woken();
            now += REFILL;
        }
    }
}
