//! The scrub thread: reads what lies on disk and is not in use, slowly.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use tandem_disk::Disk;
use tandem_node::{Input, ScrubReport, generation_name, scrub};
use tandem_types::PairId;

use super::Reporter;

/// Bytes in a second: a fraction of what a disk gives, and a terabyte still takes less than a day.
const BYTES_PER_SECOND: u64 = 32 << 20;
/// It rests after this many bytes.
const SLICE_BYTES: u64 = 1 << 20;

/// Whoever stops the workers waits no longer than this for it, whatever the size of a value.
const REST_MAX: Duration = Duration::from_millis(250);

/// What to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScrubOrder {
    /// The generation in use.
    pub generation: u64,
    /// The pair it belongs to.
    pub pair: PairId,
}

/// Reads until nobody is left to order; what is under way then is called off.
pub(crate) fn run<D: Disk>(orders: &Receiver<ScrubOrder>, disk: &D, reporter: &Reporter) {
    while let Ok(ScrubOrder { generation, pair }) = orders.recv() {
        let mut pace = Pace::new();
        let mut go_on = |bytes| {
            pace.read(bytes);
            !matches!(orders.try_recv(), Err(TryRecvError::Disconnected))
        };
        let report: ScrubReport = scrub(disk, &generation_name(generation), pair, &mut go_on);
        reporter.tell(Input::Scrubbed(report));
    }
}

/// Keeps to [`BYTES_PER_SECOND`].
struct Pace {
    slice_began: Instant,
    slice_bytes: u64,
}

impl Pace {
    fn new() -> Self {
        Self { slice_began: Instant::now(), slice_bytes: 0 }
    }

    fn read(&mut self, bytes: u64) {
        self.slice_bytes = self.slice_bytes.saturating_add(bytes);
        if self.slice_bytes < SLICE_BYTES {
            return;
        }
        let nanos = self.slice_bytes.saturating_mul(1_000_000_000) / BYTES_PER_SECOND;
        let rest = Duration::from_nanos(nanos).saturating_sub(self.slice_began.elapsed());
        thread::sleep(rest.min(REST_MAX));
        *self = Self::new();
    }
}
