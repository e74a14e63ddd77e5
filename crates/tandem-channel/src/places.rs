//! Who may hold a connection of a channel, sans-IO: strangers never keep the peer out.

/// Connections that have proved nothing yet; each costs a socket and less than a kilobyte.
const UNPROVEN_MAX: usize = 8;

/// Connections of one channel, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Places {
    held: Vec<Place>,
    last: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    number: u64,
    /// It comes from the address that the peer dials from.
    is_likely: bool,
    /// It brought a frame of one who knows the secret.
    is_proven: bool,
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    /// It gets this number; the connection with the other number, if any, is closed for it.
    Admitted(u64, Option<u64>),
    /// Everybody who holds a place has more right to it.
    Refused,
}

impl Places {
    /// A connection came; `is_likely`: from the peer's address.
    pub(crate) fn admit(&mut self, is_likely: bool) -> Admission {
        let unproven = || self.held.iter().filter(|place| !place.is_proven);
        let mut evicted = None;
        if unproven().count() >= UNPROVEN_MAX {
            let stranger = unproven().find(|place| !place.is_likely);
            let oldest = || unproven().next().filter(|_| is_likely);
            let Some(place) = stranger.or_else(oldest) else { return Admission::Refused };
            evicted = Some(place.number);
        }
        self.last += 1;
        self.held.retain(|place| Some(place.number) != evicted);
        self.held.push(Place { number: self.last, is_likely, is_proven: false });
        Admission::Admitted(self.last, evicted)
    }

    /// It brought a frame of the peer; the connection that the peer had before is closed: it dialled anew.
    pub(crate) fn proven(&mut self, number: u64) -> Option<u64> {
        let older = self.held.iter().find(|place| place.is_proven && place.number < number);
        let older = older.map(|place| place.number);
        self.held.retain(|place| Some(place.number) != older);
        if let Some(place) = self.held.iter_mut().find(|place| place.number == number) {
            place.is_proven = true;
        }
        older
    }

    /// It ended.
    pub(crate) fn left(&mut self, number: u64) {
        self.held.retain(|place| place.number != number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(places: &mut Places, is_likely: bool) -> (u64, Option<u64>) {
        match places.admit(is_likely) {
            Admission::Admitted(number, evicted) => (number, evicted),
            Admission::Refused => panic!("refused: {places:?}"),
        }
    }

    #[test]
    fn strangers_displace_each_other_and_never_the_peer() {
        let mut places = Places::default();
        let (peer, _) = admitted(&mut places, true);
        for _ in 0..UNPROVEN_MAX * 4 {
            let (_, evicted) = admitted(&mut places, false);
            assert_ne!(evicted, Some(peer));
        }
        assert_eq!(places.held.len(), UNPROVEN_MAX);
        assert_eq!(places.proven(peer), None);
        for _ in 0..UNPROVEN_MAX * 4 {
            let (_, evicted) = admitted(&mut places, true);
            assert_ne!(evicted, Some(peer), "what was proven stays");
        }
    }

    #[test]
    fn the_peers_address_goes_before_others_and_waits_for_none() {
        let mut places = Places::default();
        let likely: Vec<u64> = (0..UNPROVEN_MAX).map(|_| admitted(&mut places, true).0).collect();
        assert_eq!(places.admit(false), Admission::Refused);
        let (_, evicted) = admitted(&mut places, true);
        assert_eq!(evicted, Some(likely[0]));
    }

    #[test]
    fn a_peer_that_dials_anew_replaces_its_old_connection() {
        let mut places = Places::default();
        let (old, _) = admitted(&mut places, true);
        assert_eq!(places.proven(old), None);
        let (new, _) = admitted(&mut places, true);
        assert_eq!(places.proven(new), Some(old));
        assert_eq!(places.proven(new), None, "it is not its own predecessor");
        places.left(new);
        assert!(places.held.is_empty());
    }
}
