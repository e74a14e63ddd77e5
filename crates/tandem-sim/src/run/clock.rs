//! A machine's clocks: their own zero, their own rate.

use tandem_types::{Monotonic, Now, WallMillis};

use crate::plan::MS;

/// Both clocks of one machine.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    offset: u64,
    /// Millionths that it is fast.
    rate: i64,
    /// Milliseconds that the wall clock is off.
    wall: i64,
    /// True time that this clock did not see pass.
    unseen: u64,
}

/// When the true time is zero, the wall clock says this.
const EPOCH_MS: i64 = 1_700_000_000_000;

fn scaled(time: u64, rate: i64) -> u64 {
    let extra = i128::from(time) * i128::from(rate) / 1_000_000;
    time.saturating_add_signed(i64::try_from(extra).unwrap_or(0))
}

impl Clock {
    pub(crate) const fn new(offset: u64, rate: i64, wall: i64) -> Self {
        Self { offset, rate, wall, unseen: 0 }
    }

    /// What it shows at a true time.
    pub(crate) fn now(&self, time: u64) -> Now {
        let nanos = self.offset + scaled(time - self.unseen.min(time), self.rate);
        let wall = EPOCH_MS + i64::try_from(time / MS).unwrap_or(0) + self.wall;
        Now {
            mono: Monotonic::from_nanos(nanos),
            wall: WallMillis::new(u64::try_from(wall).unwrap_or(0)),
        }
    }

    /// The true time by which it shows `shown`, at most a little late.
    pub(crate) fn when(&self, shown: Monotonic) -> u64 {
        let own = shown.as_nanos().saturating_sub(self.offset);
        let rate = self.rate;
        // t + t*r = own, solved to within a microsecond.
        let time = u128::from(own) * 1_000_000 / u128::try_from(1_000_000 + rate).unwrap_or(1);
        u64::try_from(time).unwrap_or(u64::MAX).saturating_add(self.unseen).saturating_add(1_000)
    }

    /// How long a span of its own takes in truth.
    pub(crate) fn true_span(&self, own: u64) -> u64 {
        let span = u128::from(own) * 1_000_000 / u128::try_from(1_000_000 + self.rate).unwrap_or(1);
        u64::try_from(span).unwrap_or(u64::MAX)
    }

    pub(crate) const fn jump_wall(&mut self, millis: i64) {
        self.wall += millis;
    }

    pub(crate) const fn miss(&mut self, time: u64) {
        self.unseen += time;
    }
}
