//! Who holds the port's places: nobody from elsewhere can keep others out.
//!
//! An address beyond this machine has few places, and when there is none left, the connection goes that has
//! been of least use for longest: first one that never asked for anything, then one whose answer was given, and
//! never one that is being answered. So whoever asks at once is always heard.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Connections at once.
const PLACES_MAX: usize = 256;
/// Of those, from one address beyond this machine (IPv6: from one /64, which one host may have for itself).
const PLACES_PER_ADDRESS_MAX: usize = 32;

/// What a connection is doing, least useful first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Stage {
    /// It has not asked for anything.
    Silent,
    /// Its last answer was begun, and it may be reading it.
    Answered,
    /// A request is being carried out.
    Answering,
}

#[derive(Debug)]
struct Taken {
    from: IpAddr,
    stage: Stage,
    end: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    /// In the order in which they came.
    taken: BTreeMap<u64, Taken>,
}

impl Table {
    /// A place for a connection from there, or none if everybody is being answered.
    fn take(&mut self, from: IpAddr) -> Option<(u64, Arc<Notify>)> {
        let from = network(from);
        let bounded = !from.is_loopback();
        let same = self.taken.values().filter(|it| it.from == from).count();
        if bounded && same >= PLACES_PER_ADDRESS_MAX {
            self.evict(|it| it.from == from)?;
        } else if self.taken.len() >= PLACES_MAX {
            // Who is on this machine goes last.
            self.evict(|it| !it.from.is_loopback()).or_else(|| self.evict(|_| true))?;
        }
        self.last += 1;
        let end = Arc::new(Notify::new());
        let taken = Taken { from, stage: Stage::Silent, end: Arc::clone(&end) };
        self.taken.insert(self.last, taken);
        Some((self.last, end))
    }

    fn evict(&mut self, of: impl Fn(&Taken) -> bool) -> Option<()> {
        let candidates = self.taken.iter().filter(|(_, it)| of(it));
        let candidates = candidates.filter(|(_, it)| it.stage != Stage::Answering);
        let number = *candidates.min_by_key(|&(&number, it)| (it.stage, number))?.0;
        self.taken.remove(&number)?.end.notify_one();
        Some(())
    }
}

/// One host may have a whole IPv6 /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
        other => other,
    }
}

/// All places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<Table>>);

impl Places {
    pub(crate) fn take(&self, from: IpAddr) -> Option<Place> {
        let (number, end) = self.with(|table| table.take(from))?;
        Some(Place { number, end, places: self.clone() })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        // Nothing panics while it is held.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    end: Arc<Notify>,
    places: Places,
}

impl Place {
    /// Ready once somebody else got the place.
    pub(crate) async fn lost(&self) {
        self.end.notified().await;
    }

    pub(crate) fn answering(&self) {
        self.set(Stage::Answering);
    }

    pub(crate) fn answered(&self) {
        self.set(Stage::Answered);
    }

    fn set(&self, stage: Stage) {
        self.places.with(|table| {
            if let Some(taken) = table.taken.get_mut(&self.number) {
                taken.stage = stage;
            }
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.with(|table| table.taken.remove(&self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn one_address_has_few_places_and_loses_its_own_oldest() {
        let mut table = Table::default();
        let other = table.take(address(2)).unwrap().0;
        let first = table.take(address(1)).unwrap().0;
        for _ in 0..100 {
            table.take(address(1)).unwrap();
        }
        assert_eq!(table.taken.len(), 1 + PLACES_PER_ADDRESS_MAX);
        assert!(table.taken.contains_key(&other) && !table.taken.contains_key(&first));
        let v6 = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(network(v6("fd00::1")), network(v6("fd00::ffff:0:0:2")));
        assert_ne!(network(v6("fd00::1")), network(v6("fd00:0:0:1::1")));
        assert_eq!(network(v6("::ffff:10.0.0.1")), address(1));
    }

    #[test]
    fn whoever_comes_to_a_full_house_gets_the_place_of_the_least_useful() {
        let mut table = Table::default();
        for number in 0..u8::MAX {
            table.take(address(number)).unwrap();
        }
        let here = table.take(HERE).unwrap().0;
        assert_eq!(table.taken.len(), PLACES_MAX);
        table.taken.get_mut(&1).unwrap().stage = Stage::Answering;
        table.taken.get_mut(&2).unwrap().stage = Stage::Answered;
        table.take(HERE).unwrap();
        assert!(table.taken.contains_key(&1) && table.taken.contains_key(&2));
        assert!(!table.taken.contains_key(&3), "the oldest that said nothing");
        for taken in table.taken.values_mut().filter(|it| !it.from.is_loopback()) {
            taken.stage = Stage::Answering;
        }
        table.take(HERE).unwrap();
        assert!(!table.taken.contains_key(&here), "only then one of this machine");
        for taken in table.taken.values_mut() {
            taken.stage = Stage::Answering;
        }
        assert!(table.take(HERE).is_none(), "everybody is being answered");
    }
}
