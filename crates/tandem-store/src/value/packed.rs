//! Short byte strings in one flat buffer: how small hashes, sets and sorted sets are kept.
//!
//! ```text
//! | len u8 | bytes | len u8 | bytes | ...
//! ```
//! Lookups read it from the front, which for the few entries it may have is as fast as hashing.

/// Longest string a buffer takes: what its length byte can say.
const STRING_BYTES_MAX: u64 = 255;
/// Most entries (members, fields) a buffer takes; every lookup reads all of them.
const ENTRIES_MAX: u64 = 512;

/// How much goes into a buffer before the collection becomes a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    entries: u64,
    string_bytes: u64,
}

impl Room {
    /// The configured thresholds, as far as the format reaches.
    pub(crate) const fn new(entries: u64, string_bytes: u64) -> Self {
        Self {
            entries: if entries < ENTRIES_MAX { entries } else { ENTRIES_MAX },
            string_bytes: if string_bytes < STRING_BYTES_MAX {
                string_bytes
            } else {
                STRING_BYTES_MAX
            },
        }
    }

    /// True if that many entries are not too many.
    pub(crate) const fn holds(self, entries: usize) -> bool {
        entries as u64 <= self.entries
    }

    /// True if the string is not too long.
    pub(crate) const fn takes(self, string: &[u8]) -> bool {
        string.len() as u64 <= self.string_bytes
    }
}

/// Strings one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
}

/// Where a string stands in the buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place(usize);

impl Packed {
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    pub(crate) fn iter(&self) -> PackedIter<'_> {
        PackedIter { rest: &self.bytes, at: 0 }
    }

    /// The place after `place`; the end of the buffer counts as one for [`Packed::insert`].
    pub(crate) fn after(&self, place: Place) -> Place {
        Place(place.0 + 1 + usize::from(self.bytes[place.0]))
    }

    pub(crate) fn end(&self) -> Place {
        Place(self.bytes.len())
    }

    pub(crate) fn get(&self, place: Place) -> &[u8] {
        let len = usize::from(self.bytes[place.0]);
        &self.bytes[place.0 + 1..place.0 + 1 + len]
    }

    /// Writes over a string of the same length.
    pub(crate) fn get_mut(&mut self, place: Place) -> &mut [u8] {
        let len = usize::from(self.bytes[place.0]);
        &mut self.bytes[place.0 + 1..place.0 + 1 + len]
    }

    /// Adds a string at the end.
    pub(crate) fn push(&mut self, string: &[u8]) {
        self.reserve(string.len() + 1);
        self.bytes.push(packed_len(string));
        self.bytes.extend_from_slice(string);
    }

    /// Adds a string before `place`.
    pub(crate) fn insert(&mut self, place: Place, string: &[u8]) {
        self.reserve(string.len() + 1);
        let with_len = std::iter::once(packed_len(string)).chain(string.iter().copied());
        self.bytes.splice(place.0..place.0, with_len);
    }

    /// Puts another string in the place of one.
    pub(crate) fn replace(&mut self, place: Place, string: &[u8]) {
        if self.get(place).len() == string.len() {
            self.get_mut(place).copy_from_slice(string);
            return;
        }
        self.reserve(string.len() + 1);
        let end = self.after(place);
        let with_len = std::iter::once(packed_len(string)).chain(string.iter().copied());
        self.bytes.splice(place.0..end.0, with_len);
    }

    /// Removes `count` strings from `place` on.
    pub(crate) fn remove(&mut self, place: Place, count: usize) {
        let end = (0..count).fold(place, |at, _| self.after(at));
        self.bytes.drain(place.0..end.0);
        if self.bytes.capacity() > 64 && self.bytes.len() < self.bytes.capacity() / 2 {
            self.bytes.shrink_to_fit();
        }
    }

    /// Grows by an eighth instead of doubling: small collections are many and mostly stop growing.
    fn reserve(&mut self, more: usize) {
        let wanted = self.bytes.len() + more;
        if wanted > self.bytes.capacity() {
            self.bytes.reserve_exact(more + wanted / 8);
        }
    }
}

fn packed_len(string: &[u8]) -> u8 {
    // Holds because every string was let in by `Room::takes`.
    u8::try_from(string.len()).expect("a packed string has at most 255 bytes")
}

/// Strings of a [`Packed`], with their places.
#[derive(Clone, Debug)]
pub(crate) struct PackedIter<'p> {
    rest: &'p [u8],
    at: usize,
}

impl<'p> Iterator for PackedIter<'p> {
    type Item = (Place, &'p [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (&len, rest) = self.rest.split_first()?;
        let (string, rest) = rest.split_at(usize::from(len));
        let place = Place(self.at);
        self.rest = rest;
        self.at += 1 + usize::from(len);
        Some((place, string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(packed: &Packed) -> Vec<&[u8]> {
        packed.iter().map(|(_, string)| string).collect()
    }

    #[test]
    fn strings_are_pushed_replaced_and_removed() {
        let mut packed = Packed::default();
        packed.push(b"one");
        packed.push(b"");
        packed.push(b"three");
        let places: Vec<Place> = packed.iter().map(|(place, _)| place).collect();
        packed.replace(places[1], b"two");
        assert_eq!(strings(&packed), [&b"one"[..], b"two", b"three"]);
        packed.replace(places[0], b"ONE");
        packed.insert(places[0], b"zero");
        packed.insert(packed.end(), b"four");
        assert_eq!(strings(&packed), [&b"zero"[..], b"ONE", b"two", b"three", b"four"]);
        packed.remove(packed.after(places[0]), 2);
        assert_eq!(strings(&packed), [&b"zero"[..], b"three", b"four"]);
        packed.remove(places[0], 3);
        assert_eq!(strings(&packed).len(), 0);
    }
}
