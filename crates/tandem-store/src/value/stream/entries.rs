//! The entries of a stream: blocks of some dozen, each in one piece of memory.
//!
//! An entry costs its fields, their lengths, and 20 bytes. Adding at the end and removing at the front, which is
//! what streams live by, touch one block.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::fields::Fields;
use super::id::StreamId;
use crate::settings::Limits;

/// Entries in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// None is empty.
    blocks: VecDeque<Block>,
    len: usize,
    memory: usize,
}

#[derive(Debug, Default)]
struct Block {
    ids: Vec<StreamId>,
    /// Where each entry's fields end in `bytes`.
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

/// Where an entry stands, or the end: block, then place within it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Place {
    block: usize,
    at: usize,
}

impl Block {
    fn memory(&self) -> usize {
        size_of::<Self>()
            + self.ids.capacity() * size_of::<StreamId>()
            + self.ends.capacity() * size_of::<u32>()
            + self.bytes.capacity()
    }

    fn has_room(&self, bytes: usize, limits: &Limits) -> bool {
        let end = self.bytes.len().saturating_add(bytes);
        let (entries_max, bytes_max) =
            (limits.stream_node_max_entries, limits.stream_node_max_bytes);
        let few = entries_max == 0 || (self.ids.len() as u64) < entries_max;
        let small = bytes_max == 0 || end as u64 <= bytes_max;
        few && small && u32::try_from(end).is_ok()
    }

    fn last(&self) -> Option<StreamId> {
        self.ids.last().copied()
    }

    fn start_of(&self, at: usize) -> usize {
        let before = at.checked_sub(1).and_then(|at| self.ends.get(at));
        before.map_or(0, |end| usize::try_from(*end).unwrap_or(usize::MAX))
    }

    fn entry(&self, at: usize) -> Option<(StreamId, Fields<'_>)> {
        let id = *self.ids.get(at)?;
        let fields = self.bytes.get(self.start_of(at)..self.start_of(at + 1))?;
        Some((id, Fields::checked_before(fields)))
    }

    fn push(&mut self, id: StreamId, fields: Fields<'_>) {
        self.bytes.extend_from_slice(fields.packed());
        self.ids.push(id);
        // `has_room` has looked, and a block's first entry is no longer than `Fields` may be.
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    /// Removes the entries `from..to`.
    fn remove(&mut self, from: usize, to: usize) {
        let (start, end) = (self.start_of(from), self.start_of(to));
        self.bytes.drain(start..end);
        self.ids.drain(from..to);
        self.ends.drain(from..to);
        let shift = u32::try_from(end - start).unwrap_or(0);
        for end in self.ends.iter_mut().skip(from) {
            *end -= shift;
        }
    }

    fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ids.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl Entries {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn memory(&self) -> usize {
        self.memory
    }

    /// How many pieces of memory the entries are in.
    pub(crate) fn block_count(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn first(&self) -> Option<StreamId> {
        self.blocks.front()?.ids.first().copied()
    }

    pub(crate) fn last(&self) -> Option<StreamId> {
        self.blocks.back()?.last()
    }

    /// Adds an entry behind all others: its id is greater than theirs.
    pub(crate) fn push(&mut self, id: StreamId, fields: Fields<'_>, limits: &Limits) {
        let has_room =
            self.blocks.back().is_some_and(|block| block.has_room(fields.packed().len(), limits));
        if !has_room {
            self.change(self.blocks.len().wrapping_sub(1), Block::shrink);
            self.blocks.push_back(Block::default());
            self.memory += Block::default().memory();
        }
        self.change(self.blocks.len() - 1, |block| block.push(id, fields));
        self.len += 1;
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<Fields<'_>> {
        self.range(id, id).next().map(|(_, fields)| fields)
    }

    /// Removes an entry; false if there is none.
    pub(crate) fn remove(&mut self, id: StreamId) -> bool {
        let place = self.lower_bound(id);
        let found = self.blocks.get(place.block).and_then(|block| block.ids.get(place.at));
        if found != Some(&id) {
            return false;
        }
        self.remove_within(place.block, place.at, place.at + 1);
        true
    }

    /// Removes the first `count` entries, or all.
    pub(crate) fn remove_first(&mut self, mut count: usize) {
        while let Some(block) = self.blocks.front() {
            let here = block.ids.len().min(count);
            if here == 0 {
                return;
            }
            count -= here;
            self.remove_within(0, 0, here);
        }
    }

    fn remove_within(&mut self, block: usize, from: usize, to: usize) {
        self.len -= to - from;
        self.change(block, |block| block.remove(from, to));
        if self.blocks.get(block).is_some_and(|block| block.ids.is_empty()) {
            let gone = self.blocks.remove(block);
            self.memory -= gone.as_ref().map_or(0, Block::memory);
        }
    }

    /// Changes a block, if there is one, and keeps the account of its memory.
    fn change(&mut self, block: usize, change: impl FnOnce(&mut Block)) {
        let Some(block) = self.blocks.get_mut(block) else { return };
        self.memory -= block.memory();
        change(block);
        self.memory += block.memory();
    }

    /// How many entries are before `id`.
    pub(crate) fn count_before(&self, id: StreamId) -> usize {
        let place = self.lower_bound(id);
        let whole: usize = self.blocks.iter().take(place.block).map(|block| block.ids.len()).sum();
        whole + place.at
    }

    /// For each block, in order, how many entries it has and the last one's id.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (usize, StreamId)> {
        self.blocks.iter().filter_map(|block| Some((block.ids.len(), block.last()?)))
    }

    /// The entries from `from` to `to`, both included.
    pub(crate) fn range(&self, from: StreamId, to: StreamId) -> Range<'_> {
        let front = self.lower_bound(from);
        let back = to.next().map_or(self.end(), |after| self.lower_bound(after));
        // Where the ends cross there is nothing between them.
        let back = if from > to { front } else { back };
        Range { entries: self, front, back }
    }

    /// All entries.
    pub(crate) fn iter(&self) -> Range<'_> {
        self.range(StreamId::ZERO, StreamId::MAX)
    }

    fn end(&self) -> Place {
        Place { block: self.blocks.len(), at: 0 }
    }

    /// The first entry that is not before `id`.
    fn lower_bound(&self, id: StreamId) -> Place {
        let block = self.blocks.partition_point(|block| block.last() < Some(id));
        let at = self
            .blocks
            .get(block)
            .map_or(0, |block| block.ids.partition_point(|here| here.cmp(&id) == Ordering::Less));
        Place { block, at }
    }
}

/// Entries of a stream, from both ends.
#[derive(Clone, Debug)]
pub(crate) struct Range<'e> {
    entries: &'e Entries,
    front: Place,
    /// Behind the last one.
    back: Place,
}

impl<'e> Iterator for Range<'e> {
    type Item = (StreamId, Fields<'e>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.front == self.back {
            return None;
        }
        let block = self.entries.blocks.get(self.front.block)?;
        let entry = block.entry(self.front.at)?;
        self.front.at += 1;
        if self.front.at == block.ids.len() {
            self.front = Place { block: self.front.block + 1, at: 0 };
        }
        Some(entry)
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front == self.back {
            return None;
        }
        if self.back.at == 0 {
            let block = self.back.block.checked_sub(1)?;
            self.back = Place { block, at: self.entries.blocks.get(block)?.ids.len() };
        }
        self.back.at -= 1;
        self.entries.blocks.get(self.back.block)?.entry(self.back.at)
    }
}
