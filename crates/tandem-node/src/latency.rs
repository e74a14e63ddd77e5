//! Spikes worth telling (`LATENCY`).

use std::collections::VecDeque;

use tandem_types::WallMillis;

/// Samples kept, as in Redis.
const SAMPLES_MAX: usize = 160;

/// The only event measured: a command, from its first to its last instruction.
pub(crate) const COMMAND_EVENT: &str = "command";

/// Spikes of commands.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    /// Milliseconds from which on a command is a spike; 0: none is.
    pub(crate) threshold_ms: u64,
    samples: VecDeque<Spike>,
    worst_ms: u64,
}

/// One spike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Spike {
    /// Seconds since 1970.
    pub(crate) at: u64,
    pub(crate) ms: u64,
}

impl Latency {
    /// A command took that long.
    #[inline]
    pub(crate) fn command(&mut self, at: WallMillis, micros: u64) {
        let ms = micros / 1000;
        if self.threshold_ms == 0 || ms < self.threshold_ms {
            return;
        }
        let at = at.get() / 1000;
        self.worst_ms = self.worst_ms.max(ms);
        match self.samples.back_mut() {
            // The worst of a second stands for it.
            Some(last) if last.at == at => last.ms = last.ms.max(ms),
            _ => {
                if self.samples.len() == SAMPLES_MAX {
                    self.samples.pop_front();
                }
                self.samples.push_back(Spike { at, ms });
            }
        }
    }

    /// The newest spike and the worst ever.
    pub(crate) fn latest(&self) -> Option<(Spike, u64)> {
        self.samples.back().map(|&spike| (spike, self.worst_ms))
    }

    /// Oldest first.
    pub(crate) fn history(&self) -> impl ExactSizeIterator<Item = &Spike> {
        self.samples.iter()
    }

    /// Forgets all; whether there was anything.
    pub(crate) fn reset(&mut self) -> bool {
        self.worst_ms = 0;
        let any = !self.samples.is_empty();
        self.samples.clear();
        any
    }
}
