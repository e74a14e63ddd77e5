//! Who wrote what: the log does not say, so this process remembers it for its latest records.

use std::collections::VecDeque;
use std::sync::Arc;

use tandem_types::Lsn;

/// Records remembered: a primary that goes on alone may write without end.
const RECORDS_MAX: usize = 1 << 16;

/// The clients of the latest records, as this process has served them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Authors {
    /// Ends of records, rising, each with its client.
    latest: VecDeque<(Lsn, Arc<str>)>,
}

impl Authors {
    /// The record that ends at `end` was written by `client`.
    pub(crate) fn note(&mut self, end: Lsn, client: &Arc<str>) {
        // After a cut positions are used again.
        while self.latest.back().is_some_and(|(last, _)| *last >= end) {
            self.latest.pop_back();
        }
        if self.latest.len() == RECORDS_MAX {
            self.latest.pop_front();
        }
        self.latest.push_back((end, Arc::clone(client)));
    }

    /// Who wrote the record at `lsn`; `None`: no client did, another process served it, or it is too old.
    pub fn of(&self, lsn: Lsn) -> Option<&str> {
        let place = self.latest.binary_search_by_key(&lsn.next(), |(end, _)| *end).ok()?;
        self.latest.get(place).map(|(_, client)| &**client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_records_have_their_clients_and_a_cut_forgets() {
        let [one, two]: [Arc<str>; 2] = ["id=1".into(), "id=2".into()];
        let mut authors = Authors::default();
        for (end, client) in [(5, &one), (7, &two), (9, &one)] {
            authors.note(Lsn::new(end), client);
        }
        let of = |authors: &Authors, lsn| authors.of(Lsn::new(lsn)).map(str::to_owned);
        assert_eq!(of(&authors, 6).as_deref(), Some("id=2"));
        assert_eq!(of(&authors, 5), None, "a record of no client");
        authors.note(Lsn::new(7), &one);
        assert_eq!((of(&authors, 6).as_deref(), of(&authors, 8)), (Some("id=1"), None));
        for end in 0..RECORDS_MAX {
            authors.note(Lsn::new(10 + u64::try_from(end).unwrap()), &two);
        }
        assert_eq!(of(&authors, 6), None, "the oldest go first");
        assert_eq!(of(&authors, 9).as_deref(), Some("id=2"));
    }
}
