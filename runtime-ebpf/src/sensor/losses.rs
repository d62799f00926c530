//! Telling of what was lost, once each.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_core::{CgroupId, Container, EventClass, Loss};

use crate::loader::Loaded;
use crate::loss::ByClass;

/// What the kernel counted as lost, and how much of that was told.
#[derive(Debug, Default)]
pub(super) struct Losses {
    told: HashMap<(CgroupId, EventClass), u64>,
    /// Cgroups that are gone, with the containers they were of; nothing can be lost in them any more.
    gone: HashMap<CgroupId, Option<Arc<Container>>>,
    /// What was lost in cgroups that are not counted any more.
    past: ByClass,
}

impl Losses {
    /// A cgroup is gone: what was lost there is told one last time, and its counters are given back.
    pub(super) fn cgroup_gone(&mut self, cgroup: CgroupId, container: Option<Arc<Container>>) {
        self.gone.insert(cgroup, container);
    }

    /// What was lost since the last time.
    pub(super) fn take(&mut self, loaded: &mut Loaded) -> Vec<Loss> {
        let mut losses = Vec::new();
        let gone = std::mem::take(&mut self.gone);
        let counted: Vec<_> = loaded.lost().collect();
        for (cgroup, class, total) in counted {
            let told = self.told.entry((cgroup, class)).or_default();
            let count = total.saturating_sub(*told);
            *told = total;
            if count > 0 {
                losses.push(Loss {
                    cgroup,
                    container: gone.get(&cgroup).cloned().flatten(),
                    class,
                    count,
                });
            }
            if gone.contains_key(&cgroup) {
                self.told.remove(&(cgroup, class));
                self.past[class as usize] += total;
                loaded.forget_lost(cgroup, class);
            }
        }
        losses
    }

    /// Everything that was lost so far, by class.
    pub(super) fn totals(&self, loaded: &Loaded) -> ByClass {
        let mut totals = self.past;
        for (_, class, count) in loaded.lost() {
            totals[class as usize] += count;
        }
        totals
    }
}
