//! A set: sorted integers or packed strings while it is small, a [`Dense`] table once it is not.

mod ints;

use std::ops::Deref;

use ints::Ints;

use crate::settings::Limits;
use crate::value::dense::{Dense, Keyed};
use crate::value::packed::{Packed, Place, Room};
use crate::value::small_bytes::SmallBytes;

/// Most integers in the sorted form, whatever is configured: an insertion moves all behind it.
const INTS_MAX: u64 = 4096;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Set(Repr);

#[derive(Debug)]
enum Repr {
    Ints(Ints),
    Packed { members: Packed, len: usize },
    Table(Box<Dense<SmallBytes>>),
}

impl Keyed for SmallBytes {
    fn key(&self) -> &[u8] {
        self
    }

    fn heap_bytes(&self) -> usize {
        Self::heap_bytes(self)
    }
}

/// A member of a set. One of a set of integers has no bytes there, so it brings its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Member<'s> {
    /// Bytes in the set.
    Bytes(&'s [u8]),
    /// An integer as decimal digits; the first byte of the digits that count.
    Digits([u8; DIGITS_MAX], u8),
}

/// `-9223372036854775808` has 20.
const DIGITS_MAX: usize = 20;

impl Member<'_> {
    fn of_int(number: i64) -> Self {
        let mut digits = [0; DIGITS_MAX];
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(number).as_bytes();
        let start = DIGITS_MAX - text.len();
        digits[start..].copy_from_slice(text);
        Self::Digits(digits, u8::try_from(start).unwrap_or_default())
    }
}

impl Deref for Member<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Digits(digits, start) => &digits[usize::from(*start)..],
        }
    }
}

impl AsRef<[u8]> for Member<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Default for Set {
    fn default() -> Self {
        Self(Repr::Ints(Ints::default()))
    }
}

impl Set {
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Repr::Ints(ints) => ints.len(),
            Repr::Packed { len, .. } => *len,
            Repr::Table(table) => table.len(),
        }
    }

    /// Heap bytes, estimated in constant time.
    pub(crate) fn memory(&self) -> usize {
        match &self.0 {
            Repr::Ints(ints) => ints.memory(),
            Repr::Packed { members, .. } => members.memory(),
            Repr::Table(table) => size_of::<Dense<SmallBytes>>() + table.memory(),
        }
    }

    /// What `OBJECT ENCODING` says.
    pub(crate) const fn encoding(&self) -> &'static str {
        match &self.0 {
            Repr::Ints(_) => "intset",
            Repr::Packed { .. } => "listpack",
            Repr::Table(_) => "hashtable",
        }
    }

    pub(crate) fn contains(&self, member: &[u8]) -> bool {
        match &self.0 {
            Repr::Ints(ints) => int_of(member).is_some_and(|number| ints.contains(number)),
            Repr::Packed { members, .. } => find(members, member).is_some(),
            Repr::Table(table) => table.find(member).is_some(),
        }
    }

    /// Adds a member; false if it is in already.
    pub(crate) fn insert(&mut self, member: &[u8], limits: &Limits) -> bool {
        if let Repr::Ints(ints) = &mut self.0 {
            let ints_max = limits.set_max_intset_entries.min(INTS_MAX);
            match int_of(member) {
                Some(number) if (ints.len() as u64) < ints_max => return ints.insert(number),
                Some(number) if ints.contains(number) => return false,
                _ => self.leave_ints(member, limits),
            }
        }
        if let Repr::Packed { members, len } = &mut self.0 {
            if find(members, member).is_some() {
                return false;
            }
            let room = room(limits);
            if room.takes(member) && room.holds(*len + 1) {
                members.push(member);
                *len += 1;
                return true;
            }
            let mut table = Dense::<SmallBytes>::default();
            for (_, member) in members.iter() {
                table.insert_new(SmallBytes::new(member));
            }
            self.0 = Repr::Table(Box::new(table));
        }
        let Repr::Table(table) = &mut self.0 else { unreachable!("it was made a table") };
        let new = table.find(member).is_none();
        if new {
            table.insert_new(SmallBytes::new(member));
        }
        new
    }

    /// Removes a member; false if it is not in.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Ints(ints) => int_of(member).is_some_and(|number| ints.remove(number)),
            Repr::Packed { members, len } => {
                let Some(place) = find(members, member) else { return false };
                members.remove(place, 1);
                *len -= 1;
                true
            }
            Repr::Table(table) => table.remove(member).is_some(),
        }
    }

    /// All members: integers in order, others in order of arrival as long as nothing is removed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        let (mut ints, mut packed, mut table) = (None, None, None);
        match &self.0 {
            Repr::Ints(it) => ints = Some(it.iter().map(Member::of_int)),
            Repr::Packed { members, .. } => packed = Some(members.iter()),
            Repr::Table(it) => table = Some(it.iter()),
        }
        let packed = packed.into_iter().flatten().map(|(_, member)| Member::Bytes(member));
        let table = table.into_iter().flatten().map(|member| Member::Bytes(member));
        ints.into_iter().flatten().chain(packed).chain(table)
    }

    /// Member number `number`, for `number` below [`Set::len`]: a random one if that is.
    pub(crate) fn nth(&self, number: usize) -> Option<Member<'_>> {
        match &self.0 {
            Repr::Ints(ints) => ints.nth(number).map(Member::of_int),
            Repr::Packed { members, .. } => {
                members.iter().nth(number).map(|(_, member)| Member::Bytes(member))
            }
            Repr::Table(table) => {
                (number < table.len()).then(|| Member::Bytes(table.nth(number).bytes()))
            }
        }
    }

    /// Visits about `count` members from `cursor` on; returns the next cursor, 0 at the end.
    pub(crate) fn scan<'s>(
        &'s self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(Member<'s>),
    ) -> u64 {
        if let Repr::Table(table) = &self.0 {
            return table.scan(cursor, count, |member| visit(Member::Bytes(member.bytes())));
        }
        self.iter().for_each(visit);
        0
    }

    /// Stops being a set of integers because of a new member: the packed form if it all fits.
    fn leave_ints(&mut self, member: &[u8], limits: &Limits) {
        let room = room(limits);
        let mut members = Packed::default();
        if room.takes(member) && room.takes(&[b'0'; DIGITS_MAX]) && room.holds(self.len() + 1) {
            self.iter().for_each(|member| members.push(&member));
            self.0 = Repr::Packed { members, len: self.len() };
            return;
        }
        let mut table = Dense::<SmallBytes>::default();
        for member in self.iter() {
            table.insert_new(SmallBytes::new(&member));
        }
        self.0 = Repr::Table(Box::new(table));
    }
}

fn room(limits: &Limits) -> Room {
    Room::new(limits.set_max_listpack_entries, limits.set_max_listpack_value)
}

fn find(members: &Packed, member: &[u8]) -> Option<Place> {
    members.iter().find(|(_, candidate)| *candidate == member).map(|(place, _)| place)
}

/// The integer whose canonical form this is: no plus sign, no leading zero, no `-0`.
fn int_of(member: &[u8]) -> Option<i64> {
    let digits = member.strip_prefix(b"-").unwrap_or(member);
    if digits.is_empty() || member.len() > DIGITS_MAX || (digits[0] == b'0' && member != b"0") {
        return None;
    }
    // `parse` itself would take a plus sign.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(member).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
