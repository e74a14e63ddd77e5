//! How often each command ran, and for how long.

/// Counts of one command.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandCount {
    /// Its name, lower case.
    pub name: &'static str,
    /// Runs.
    pub calls: u64,
    /// Time of all runs, in nanoseconds.
    pub nanos: u64,
    /// Times it was refused before it ran.
    pub rejected: u64,
    /// Runs that ended with an error.
    pub failed: u64,
}

/// A power of two, more than twice the number of commands.
const PLACES: usize = 1024;

/// Counts by command. Found by the address of the static name, so that counting costs a few
/// nanoseconds; the same name at two addresses is added up when shown.
#[derive(Debug)]
pub(crate) struct CommandStats {
    places: Vec<CommandCount>,
}

impl Default for CommandStats {
    fn default() -> Self {
        Self { places: vec![CommandCount::default(); PLACES] }
    }
}

impl CommandStats {
    /// The counts of `name`, to be raised.
    #[inline]
    pub(crate) fn of(&mut self, name: &'static str) -> &mut CommandCount {
        let address = name.as_ptr().addr();
        let mut at = (address ^ (address >> 7)) % PLACES;
        // Ends: there are far fewer names than places.
        while let Some(place) = self.places.get(at) {
            if place.name.is_empty() || std::ptr::eq(place.name, name) {
                break;
            }
            at = (at + 1) % PLACES;
        }
        let at = at.min(self.places.len() - 1);
        let place = &mut self.places[at];
        place.name = name;
        place
    }

    /// All commands that were seen, by name.
    pub(crate) fn shown(&self) -> Vec<CommandCount> {
        let mut all: Vec<CommandCount> =
            self.places.iter().copied().filter(|place| !place.name.is_empty()).collect();
        all.sort_unstable_by_key(|count| count.name);
        all.dedup_by(|later, first| {
            let same = later.name == first.name;
            if same {
                first.calls += later.calls;
                first.nanos += later.nanos;
                first.rejected += later.rejected;
                first.failed += later.failed;
            }
            same
        });
        all
    }

    pub(crate) fn reset(&mut self) {
        self.places.fill(CommandCount::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_counted_by_itself() {
        let mut stats = CommandStats::default();
        stats.of("get").calls += 1;
        stats.of("set").calls += 2;
        stats.of("get").calls += 1;
        let shown: Vec<_> = stats.shown().iter().map(|count| (count.name, count.calls)).collect();
        assert_eq!(shown, [("get", 2), ("set", 2)]);
        stats.reset();
        assert!(stats.shown().is_empty());
    }
}
