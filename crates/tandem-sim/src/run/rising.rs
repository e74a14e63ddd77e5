//! The key that only one client writes, each time with a higher number: what may be seen of it, and in which order.
//!
//! A write that was answered took effect before the next one was sent, so that the numbers rise. One whose answer was
//! lost may still be under way when the next ones are carried out: it takes effect once, at any time, or never.

use std::collections::BTreeSet;

/// Numbers that were written, as their writer knows of them.
#[derive(Debug, Default)]
pub(super) struct Rising {
    /// The highest number acknowledged.
    acknowledged: u64,
    /// Nobody knows whether these were carried out, and when.
    unknown: BTreeSet<u64>,
    /// The highest number that a replica has shown.
    shown: u64,
}

/// What one connection has shown, each number once, in order.
#[derive(Debug, Default)]
pub(super) struct Shown(Vec<u64>);

impl Rising {
    pub(super) fn acknowledge(&mut self, number: u64) {
        self.acknowledged = self.acknowledged.max(number);
    }

    pub(super) fn lose_answer(&mut self, number: u64) {
        self.unknown.insert(number);
    }

    /// The number that a connection shows now.
    ///
    /// # Errors
    ///
    /// The number shown before, which is newer.
    pub(super) fn show(&mut self, connection: &mut Shown, number: u64) -> Result<(), u64> {
        self.shown = self.shown.max(number);
        let Some(&last) = connection.0.last() else {
            connection.0.push(number);
            return Ok(());
        };
        if number == last {
            return Ok(());
        }
        let again = connection.0.contains(&number);
        let falls = connection.0.iter().any(|before| *before > number);
        if again || (falls && !self.unknown.contains(&number)) {
            return Err(last);
        }
        connection.0.push(number);
        Ok(())
    }

    /// The number that is there at the end.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn ends(&self, last: u64) -> Result<(), String> {
        let Self { acknowledged, shown, unknown } = self;
        if last >= *acknowledged.max(shown) || unknown.contains(&last) {
            return Ok(());
        }
        Err(format!(
            "rising: {last} at the end, {acknowledged} was acknowledged, {shown} was seen at a replica"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(unknown: &[u64], shown: &[u64]) -> Result<(), u64> {
        let mut rising = Rising::default();
        for &number in unknown {
            rising.lose_answer(number);
        }
        let mut connection = Shown::default();
        shown.iter().try_for_each(|number| rising.show(&mut connection, *number))
    }

    #[test]
    fn numbers_rise_and_stay() {
        assert_eq!(after(&[], &[0, 1, 1, 3, 7, 7]), Ok(()));
        assert_eq!(after(&[], &[1, 3, 2]), Err(3));
        assert_eq!(after(&[], &[5, 0]), Err(5));
    }

    #[test]
    fn a_write_whose_answer_was_lost_takes_effect_once_and_late() {
        assert_eq!(after(&[39], &[38, 40, 39, 39, 41]), Ok(()));
        assert_eq!(after(&[39], &[39, 40, 39]), Err(40));
        assert_eq!(after(&[39], &[40, 39, 40]), Err(39), "what it replaced comes back");
        assert_eq!(after(&[39], &[40, 39, 38]), Err(39));
    }

    #[test]
    fn the_end_is_the_newest() {
        let mut rising = Rising::default();
        rising.acknowledge(4);
        rising.lose_answer(3);
        assert!(rising.ends(2).is_err());
        assert!(rising.ends(3).is_ok());
        assert!(rising.ends(5).is_ok());
        assert!(rising.show(&mut Shown::default(), 5).is_ok());
        assert!(rising.ends(4).is_err());
    }
}
