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
    let _stat = read_stat(&mut Reader(bytes));
    if let Ok(Ok(done)) = read_multi(&mut Reader(bytes)) {
        // Each operation's answer has nine bytes at least.
        assert!(done.len() * 9 <= bytes.len(), "{} of {} bytes", done.len(), bytes.len());
    }
    if let Ok(texts) = Reader(bytes).texts() {
        assert!(texts.len() * 4 <= bytes.len(), "{} of {} bytes", texts.len(), bytes.len());
        for name in texts {
            let _boot = presence_of(name);
        }
    }
    drop(Session::default().greeted(bytes, Duration::from_secs(1)));
    let mut body = Reader(bytes);
    let data = body.buffer().unwrap_or_default();
    let _stat = read_stat(&mut body);
    for value in [bytes, data] {
        if let Ok(kept) = decode_record(value) {
            assert_eq!(encode_record(&kept), value);
        }
        if let Some(presence) = decode_presence(value) {
            assert_eq!(encode_presence(&presence), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_every_kind_and_length_are_read_or_refused() {
        // A multi of two operations, names of children, a greeting.
        let multi = [0, 0, 0, 13, 0, 255, 255, 255, 255, 0, 0, 0, 2, 0, 0, 0, 0, 0];
        let texts = [0, 0, 0, 2, 0, 0, 0, 1, b'a', 0, 0, 0, 0];
        let greeting = [0, 0, 0, 0, 0, 0, 15, 160, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 16];
        for seed in [&multi[..], &texts, &greeting] {
            for at in 0..seed.len() {
                for byte in [0, 1, 127, 128, 255] {
                    let mut bytes = seed.to_vec();
                    bytes[at] = byte;
                    bytes.extend([byte; 40]);
                    answer(&bytes);
                    answer(&bytes[..at]);
                }
            }
        }
    }
}
