//! Numbers of boots: they rise with every start of a data directory, and none comes a second time.
//!
//! A count alone comes again when a directory goes back to an older copy (a virtual machine's snapshot, a
//! restored volume): the record would then seem to name the process that starts, and that process would
//! begin over a reign whose records it has lost. So the lowest bits are drawn anew at every start.

use crate::planted::{Rule, holds};

/// Bits that are drawn.
const DRAWN_BITS: u32 = 24;

/// The number of the boot after `last`; `random`: from the system, for this boot.
pub fn next_boot(last: u64, random: u64) -> u64 {
    let random = if holds(Rule::BootsOnce) { random } else { 0 };
    ((boot_count(last) + 1) << DRAWN_BITS) | (random >> (u64::BITS - DRAWN_BITS))
}

/// How often the directory had been started by then, this start counted.
pub const fn boot_count(boot: u64) -> u64 {
    boot >> DRAWN_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_a_directory_that_went_back_gets_others() {
        let first = next_boot(0, u64::MAX);
        let second = next_boot(first, 1);
        assert!(first < second && second < next_boot(second, 0));
        assert_eq!((boot_count(first), boot_count(second)), (1, 2));
        assert_ne!(second, next_boot(first, 7 << 60), "the same count, another process");
        assert!(next_boot(9, 0) > 9, "a directory of a program that only counted");
    }
}
