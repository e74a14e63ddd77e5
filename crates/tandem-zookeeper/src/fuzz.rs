//! Hostile bytes as answers of an ensemble, for the fuzz target: nothing may panic, and nothing is kept that did
//! not come.

use std::time::Duration;

use crate::jute::Reader;
use crate::request::{read_multi, read_stat};
use crate::session::Session;
use crate::tree::presence_of;
use crate::value::{decode_presence, decode_record, encode_presence, encode_record};

/// Reads `bytes` as everything that an answer could be.
pub fn answer(bytes: &[u8]) {
    drop(read_stat(&mut Reader(bytes)));
    if let Ok(Ok(done)) = read_multi(&mut Reader(bytes)) {
        // Each operation's answer has nine bytes at least.
        assert!(done.len() * 9 <= bytes.len(), "{} of {} bytes", done.len(), bytes.len());
    }
    if let Ok(texts) = Reader(bytes).texts() {
        assert!(texts.len() * 4 <= bytes.len(), "{} of {} bytes", texts.len(), bytes.len());
        texts.into_iter().for_each(|name| drop(presence_of(name)));
    }
    drop(Session::default().greeted(bytes, Duration::from_secs(1)));
    let mut body = Reader(bytes);
    let data = body.buffer().unwrap_or_default();
    drop(read_stat(&mut body));
    for value in [bytes, data] {
        if let Ok(kept) = decode_record(value) {
            assert_eq!(encode_record(&kept), value);
        }
        if let Some(presence) = decode_presence(value) {
            assert_eq!(encode_presence(&presence), value);
        }
    }
}
