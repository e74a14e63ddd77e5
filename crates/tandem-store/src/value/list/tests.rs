//! A list against `VecDeque`.

use std::collections::VecDeque;

use super::*;

/// A list and what it should be.
struct Pair {
    list: List,
    model: VecDeque<Vec<u8>>,
    limits: Limits,
    dice: u64,
}

impl Pair {
    fn new(seed: u64) -> Self {
        Self {
            list: List::default(),
            model: VecDeque::new(),
            limits: Limits::default(),
            dice: seed,
        }
    }

    fn roll(&mut self, bound: usize) -> usize {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.dice >> 33).unwrap() % bound.max(1)
    }

    fn element(&mut self) -> Vec<u8> {
        let len = match self.roll(20) {
            0 => self.roll(10_000),
            1..4 => 0,
            _ => self.roll(60),
        };
        let byte = u8::try_from(self.roll(256)).unwrap();
        vec![byte; len]
    }

    fn act(&mut self, grow: bool) {
        let (element, index) = (self.element(), self.roll(self.model.len() + 1));
        match self.roll(if grow { 6 } else { 10 }) {
            0 => {
                self.list.push_front(&element, &self.limits);
                self.model.push_front(element);
            }
            1 => {
                self.list.push_back(&element, &self.limits);
                self.model.push_back(element);
            }
            2..5 => {
                assert!(self.list.insert(index, &element, &self.limits));
                self.model.insert(index, element);
            }
            5 => {
                let there = index < self.model.len();
                assert_eq!(self.list.set(index, &element, &self.limits), there);
                if there {
                    self.model[index] = element;
                }
            }
            6 => assert_eq!(self.list.pop_front(), self.model.pop_front().is_some()),
            7 => assert_eq!(self.list.pop_back(), self.model.pop_back().is_some()),
            _ => assert_eq!(self.list.remove(index), self.model.remove(index).is_some()),
        }
    }

    fn check(&mut self) {
        assert_eq!(self.list.len(), self.model.len());
        assert!(self.list.iter().eq(self.model.iter().map(Vec::as_slice)));
        assert!(self.list.iter_back().eq(self.model.iter().rev().map(Vec::as_slice)));
        let nodes = || self.list.blocks.iter().flat_map(|block| block.nodes.iter());
        assert_eq!(self.list.bytes, self.model.iter().map(Vec::len).sum::<usize>());
        assert_eq!(self.list.bytes, nodes().map(Node::live_bytes).sum::<usize>());
        assert_eq!(self.list.node_count, nodes().count());
        assert!(nodes().all(|node| node.len() > 0));
        let index = self.roll(self.model.len() + 2);
        assert_eq!(self.list.get(index), self.model.get(index).map(Vec::as_slice));
        let end = index + self.roll(100);
        let wanted = self.model.iter().skip(index).take(end - index).map(Vec::as_slice);
        assert!(self.list.range(index..end).eq(wanted));
    }
}

#[test]
fn a_list_does_what_a_deque_does() {
    for seed in 0..30 {
        let mut pair = Pair::new(seed);
        for step in 0..2000 {
            pair.act(step < 1000);
            if step % 50 == 0 {
                pair.check();
            }
        }
        let end = pair.roll(pair.model.len() + 1);
        let start = pair.roll(end + 1);
        pair.list.trim(start..end);
        pair.model.truncate(end);
        pair.model.drain(..start);
        pair.check();
    }
}

#[test]
fn a_long_list_is_cut_into_blocks_and_shrinks_again() {
    let mut list = List::default();
    let limits = Limits::default();
    let element = [7u8; 3000];
    for i in 0..2000usize {
        list.insert(i / 2, &element, &limits);
    }
    assert!(list.blocks.len() > 2, "{} blocks", list.blocks.len());
    assert_eq!(list.iter().count(), 2000);
    while list.len() > 1 {
        assert!(list.remove(list.len() / 2));
    }
    assert_eq!((list.blocks.len(), list.node_count, list.bytes), (1, 1, 3000));
    assert!(list.pop_back() && !list.pop_back() && list.blocks.is_empty());
}

#[test]
fn a_queue_does_not_keep_what_was_popped() {
    let mut list = List::default();
    let limits = Limits::default();
    for i in 0..100_000u32 {
        list.push_back(&i.to_le_bytes(), &limits);
        if i >= 10 {
            assert_eq!(list.get(0), Some(&(i - 10).to_le_bytes()[..]));
            assert!(list.pop_front());
        }
    }
    assert_eq!(list.len(), 10);
    let Some(Node::Shared { bytes, .. }) = list.blocks[0].nodes.front() else { panic!() };
    assert!(list.node_count == 1 && bytes.capacity() < 2048, "{} bytes", bytes.capacity());
}

#[test]
fn the_encoding_follows_the_size_with_some_inertia() {
    let mut list = List::default();
    let limits = Limits { list_max_listpack_size: 4, ..Limits::default() };
    for _ in 0..5 {
        list.push_back(b"x", &limits);
    }
    assert_eq!(list.encoding(), "quicklist");
    for _ in 0..3 {
        list.pop_back();
    }
    list.set(0, b"y", &limits);
    assert_eq!(list.encoding(), "listpack");
}
