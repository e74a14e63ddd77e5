//! A simulated directory: names as seen, names on the medium, changes between the two.

use std::collections::BTreeMap;

/// What a name stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Target {
    File(u64),
    Directory(u64),
}

/// One create, rename or remove: names and what they stand for afterwards. Survives whole or not at all.
pub(super) type Change = Vec<(String, Option<Target>)>;

#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    pub(super) entries: BTreeMap<String, Target>,
    pub(super) medium: BTreeMap<String, Target>,
    pub(super) pending: Vec<Change>,
}

impl Directory {
    /// Changes names; pending until the directory is synced.
    pub(super) fn change(&mut self, change: Change) {
        apply(&mut self.entries, &change);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.medium.clone_from(&self.entries);
        self.pending.clear();
    }

    /// Keeps the pending changes that `keep` says, in their order.
    pub(super) fn crash(&mut self, mut keep: impl FnMut() -> bool) {
        for change in std::mem::take(&mut self.pending) {
            if keep() {
                apply(&mut self.medium, &change);
            }
        }
        self.entries.clone_from(&self.medium);
    }
}

fn apply(entries: &mut BTreeMap<String, Target>, change: &Change) {
    for (name, target) in change {
        match target {
            Some(target) => entries.insert(name.clone(), *target),
            None => entries.remove(name),
        };
    }
}
