//! The tail serves exactly what was put in, on record borders, within its bound.

use super::*;
use crate::testing::{append, start_epoch};
use crate::tip::Records;
use crate::{Appender, Batch};

fn batches(sizes: &[usize]) -> Vec<Batch> {
    let mut appender = Appender::new(Tip::EMPTY);
    start_epoch(&mut appender, 1);
    let mut batches = Vec::new();
    for size in sizes {
        append(&mut appender, &vec![7; *size]);
        batches.extend(appender.take_batch());
    }
    batches
}

#[test]
fn reading_through_gives_every_record_once() {
    let batches = batches(&[10, 300_000, 0, 5000, 100_000, 200_000, 1, 2, 3]);
    let mut tail = Tail::new(Tip::EMPTY, 8 << 20);
    let mut all = Vec::new();
    for batch in &batches {
        tail.push(batch.first(), batch.end(), batch.records());
        all.extend_from_slice(batch.records());
    }
    for bytes_max in [1, 100, 6000, 150_000, usize::MAX] {
        let (mut at, mut read) = (Lsn::ZERO, Vec::new());
        while at < tail.end() {
            let piece = tail.read(at, bytes_max).unwrap();
            assert!(piece.end > at);
            let records = Records::new(piece.bytes, Tip::EMPTY);
            assert_eq!(records.offset(), 0);
            assert!(piece.bytes.len() <= bytes_max || piece.end == at.next());
            read.extend_from_slice(piece.bytes);
            at = piece.end;
        }
        assert_eq!(read, all);
    }
    assert_eq!(tail.read(tail.end(), 10), Some(Piece { end: tail.end(), bytes: &[] }));
    assert_eq!(tail.read(tail.end().next(), 10), None);
}

#[test]
fn the_oldest_records_are_forgotten() {
    let batches = batches(&[100_000; 40]);
    let mut tail = Tail::new(Tip::EMPTY, 1 << 20);
    for batch in &batches {
        tail.push(batch.first(), batch.end(), batch.records());
        assert!(tail.bytes() <= 1 << 20);
    }
    assert!(tail.oldest() > Lsn::new(20));
    assert_eq!(tail.read(Lsn::new(3), 10), None);
    assert_eq!(tail.read(tail.oldest(), 1).unwrap().end, tail.oldest().next());
}
