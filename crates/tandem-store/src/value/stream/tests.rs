//! A stream against a sorted map, and its bytes.

use super::*;
use crate::effect::varint::Reader;
use crate::random::Random;
use crate::value::stream::fields::pack;

const fn id(ms: u64, seq: u64) -> StreamId {
    StreamId { ms, seq }
}

fn packed(value: &[u8]) -> Vec<u8> {
    pack([&b"f"[..], value].into_iter())
}

fn add(stream: &mut Stream, at: StreamId, value: &[u8], limits: &Limits) -> bool {
    let bytes = packed(value);
    stream.add(at, Fields::parse(&bytes).unwrap(), limits)
}

/// A stream and what it should be.
#[derive(Default)]
struct Pair {
    stream: Stream,
    model: BTreeMap<StreamId, Vec<u8>>,
}

impl Pair {
    fn check(&self, random: &Random) {
        let entries = self.stream.entries();
        let owned = |(id, fields): (StreamId, Fields<'_>)| (id, fields.packed().to_vec());
        let of_model = |(id, fields): (&StreamId, &Vec<u8>)| (*id, fields.clone());
        assert_eq!(self.stream.len(), self.model.len());
        assert!(entries.iter().map(owned).eq(self.model.iter().map(of_model)));
        assert!(entries.iter().rev().map(owned).eq(self.model.iter().rev().map(of_model)));
        assert_eq!(entries.first(), self.model.keys().next().copied());
        assert_eq!(entries.last(), self.model.keys().next_back().copied());
        let any = || id(random.below(60) as u64, random.below(4) as u64);
        let (from, to) = (any(), any());
        assert_eq!(entries.count_before(from), self.model.range(..from).count());
        let range: Vec<_> = entries.range(from, to).map(owned).collect();
        let want: Vec<_> = if from <= to {
            self.model.range(from..=to).map(of_model).collect()
        } else {
            Vec::new()
        };
        assert_eq!(range, want, "{from} to {to}");
        // From both ends at once nothing comes twice.
        let mut both = entries.range(from, to);
        let mut seen = 0;
        while both.next().is_some() {
            seen += 1;
            seen += usize::from(both.next_back().is_some());
        }
        assert_eq!(seen, want.len());
        assert_eq!(entries.blocks().map(|(count, _)| count).sum::<usize>(), self.model.len());
    }
}

#[test]
fn random_changes_keep_the_entries_in_order() {
    for seed in 0..60 {
        let random = Random::new(seed);
        let limits = Limits {
            stream_node_max_entries: 1 + random.below(7) as u64,
            stream_node_max_bytes: 40,
            ..Limits::default()
        };
        let mut pair = Pair::default();
        let mut last = id(0, 0);
        for _ in 0..200 {
            match random.below(10) {
                0..=5 => {
                    last = if random.below(2) == 0 {
                        last.next().unwrap()
                    } else {
                        id(last.ms + 1, 0)
                    };
                    let value = vec![b'v'; random.below(30)];
                    assert!(add(&mut pair.stream, last, &value, &limits));
                    pair.model.insert(last, packed(&value));
                    assert!(!add(&mut pair.stream, last, &value, &limits), "ids only grow");
                }
                6 | 7 => {
                    let gone = id(random.below(60) as u64, random.below(4) as u64);
                    let there = pair.model.remove(&gone).is_some();
                    assert_eq!(pair.stream.delete(gone), there);
                }
                _ => {
                    let count = random.below(pair.model.len() + 1).min(5);
                    pair.stream.trim(count);
                    for _ in 0..count {
                        pair.model.pop_first();
                    }
                }
            }
            pair.check(&random);
        }
        pair.stream.trim(pair.model.len());
        assert_eq!(pair.stream.memory(), 0, "no memory is left over");
    }
}

#[test]
fn what_a_group_owes_follows_the_entry() {
    let mut stream = Stream::default();
    let at = WallMillis::new(7);
    assert!(!stream.give(b"g", b"c", id(1, 0), at, 1), "there is no group");
    stream.set_group(b"g", StreamId::ZERO, None);
    let empty = stream.memory();
    assert!(stream.give(b"g", b"one", id(1, 0), at, 1));
    assert!(stream.give(b"g", b"one", id(2, 0), at, 1));
    assert!(stream.give(b"g", b"two", id(2, 0), at, 2), "it is taken over");
    let group = stream.group(b"g").unwrap();
    assert_eq!(group.pending().len(), 2);
    let of =
        |name: &[u8]| group.consumer(name).unwrap().pending().iter().copied().collect::<Vec<_>>();
    assert_eq!((of(b"one"), of(b"two")), (vec![id(1, 0)], vec![id(2, 0)]));
    assert!(stream.take_back(b"g", id(1, 0)) && !stream.take_back(b"g", id(1, 0)));
    assert!(stream.forget(b"g", b"two") && stream.forget(b"g", b"one"));
    assert!(stream.group(b"g").unwrap().pending().is_empty());
    assert_eq!(stream.memory(), empty);
    assert!(stream.remove_group(b"g"));
    assert_eq!(stream.memory(), 0);
}

fn rich() -> Stream {
    let limits = Limits::default();
    let mut stream = Stream::default();
    for number in 1..300 {
        assert!(add(&mut stream, id(number, number % 3), b"value", &limits));
    }
    stream.delete(id(5, 2));
    stream.trim(3);
    stream.set_group(b"g", id(9, 0), Some(9));
    stream.set_group(b"empty", StreamId::MAX, None);
    stream.see(b"g", b"idle", WallMillis::new(3));
    stream.give(b"g", b"busy", id(8, 2), WallMillis::new(4), 2);
    stream.give(b"g", b"busy", id(1, 1), WallMillis::new(4), 1);
    stream
}

#[test]
fn a_stream_is_the_same_after_it_was_bytes() {
    let stream = rich();
    let mut bytes = Vec::new();
    codec::serialise(&stream, &mut bytes);
    let mut reader = Reader::new(&bytes);
    let back = codec::read(&mut reader, &Limits::default()).unwrap();
    assert!(reader.is_empty());
    let mut again = Vec::new();
    codec::serialise(&back, &mut again);
    assert_eq!(bytes, again);
    assert_eq!((back.head(), back.len()), (stream.head(), stream.len()));
    let (group, was) = (back.group(b"g").unwrap(), stream.group(b"g").unwrap());
    assert_eq!(group.pending(), was.pending());
}

#[test]
fn damaged_bytes_are_refused_and_never_panic() {
    let mut bytes = Vec::new();
    codec::serialise(&rich(), &mut bytes);
    for end in 0..bytes.len() {
        assert!(codec::read(&mut Reader::new(&bytes[..end]), &Limits::default()).is_err());
    }
    let random = Random::new(1);
    for _ in 0..2_000 {
        let mut damaged = bytes.clone();
        let at = random.below(damaged.len());
        damaged[at] ^= 1 << random.below(8);
        drop(codec::read(&mut Reader::new(&damaged), &Limits::default()));
    }
}

#[test]
fn what_is_left_to_read_is_known_unless_entries_were_deleted() {
    let limits = Limits::default();
    let mut stream = Stream::default();
    for ms in 1..=5 {
        add(&mut stream, id(ms, 0), b"v", &limits);
    }
    let group = Group::new(id(2, 0), Some(2));
    assert_eq!(stream.lag(&group), Some(3));
    assert_eq!(stream.lag(&Group::new(id(2, 0), None)), None, "in the middle nobody counted");
    assert_eq!(stream.lag(&Group::new(StreamId::ZERO, None)), Some(5));
    assert_eq!(stream.lag(&Group::new(id(5, 0), None)), Some(0));
    stream.delete(id(3, 0));
    assert_eq!(stream.lag(&group), None, "one of those to come is gone");
    assert_eq!(stream.lag(&Group::new(id(4, 0), Some(4))), Some(1));
    stream.trim(2);
    assert_eq!(stream.lag(&group), Some(3), "what is gone before the first entry is nobody's");
    assert_eq!(
        stream.lag(&Group::new(id(2, 0), Some(9))),
        Some(-4),
        "a count that was set too high"
    );
}
