//! Hostile bytes as replies: the same values in whatever pieces, bounded depth, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_resp::{ReplyError, ReplyParser, Value};

fuzz_target!(|input: (&[u8], u8)| {
    let (bytes, piece) = input;
    let (whole, whole_error) = replies(bytes, bytes.len());
    let (cut, cut_error) = replies(bytes, usize::from(piece));
    // NaN is not equal to itself: compare what is shown.
    assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
    assert_eq!(whole_error.is_some(), cut_error.is_some());
    for value in &whole {
        assert!(depth(value) <= 9, "{value:?}");
    }
});

fn replies(bytes: &[u8], piece: usize) -> (Vec<Value>, Option<ReplyError>) {
    let mut parser = ReplyParser::new();
    let mut found = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        parser.feed(piece);
        loop {
            match parser.next_reply() {
                Ok(Some(value)) => found.push(value),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

fn depth(value: &Value) -> usize {
    1 + match value {
        Value::Array(parts) | Value::Set(parts) | Value::Push(parts) => {
            parts.iter().map(depth).max().unwrap_or_default()
        }
        Value::Map(pairs) => {
            pairs.iter().map(|(key, value)| depth(key).max(depth(value))).max().unwrap_or_default()
        }
        _ => 0,
    }
}
