//! Hostile bytes as answers of etcd, for the fuzz target: nothing may panic, whatever a member says.

use serde_json::from_slice;
use tandem_types::Monotonic;

use crate::gateway::{
    GrantAnswer, KeepAlive, RangeAnswer, Refusal, Streamed, TokenAnswer, TxnAnswer, WatchAnswer,
};
use crate::keys::Keys;
use crate::known::Known;
use crate::value::{decode_presence, decode_record, encode_presence, encode_record};

/// Reads each of `answers` as everything that it could be, one after another as a member gives them.
pub fn answers(answers: &[&[u8]]) {
    let keys = Keys::new("main");
    let mut known = Known::new(Keys::new("main"));
    for bytes in answers {
        if let Ok(answer) = from_slice::<TxnAnswer>(bytes) {
            let learnt = known.learn(&answer, 0, Monotonic::ZERO);
            let parts = answer.responses.iter().filter_map(|it| it.response_range.as_ref());
            for pair in parts.flat_map(|part| &part.kvs) {
                value(&keys, &pair.key, &pair.value);
            }
            if let Ok(view) = learnt
                && let tandem_switch::RecordState::Present { record, .. } = view.record
            {
                drop(known.won(&answer, &record));
            }
        }
        if let Ok(answer) = from_slice::<RangeAnswer>(bytes) {
            for pair in &answer.kvs {
                value(&keys, &pair.key, &pair.value);
            }
        }
        value(&keys, bytes, bytes);
        drop(from_slice::<GrantAnswer>(bytes));
        drop(from_slice::<Streamed<KeepAlive>>(bytes).map(Streamed::into_result));
        drop(from_slice::<Streamed<WatchAnswer>>(bytes).map(Streamed::into_result));
        drop(from_slice::<TokenAnswer>(bytes));
        drop(from_slice::<Refusal>(bytes));
    }
}

/// A key and its value; what is read says the same when it is written again.
fn value(keys: &Keys, key: &[u8], value: &[u8]) {
    let _whose = keys.whose(key);
    if let Ok(kept) = decode_record(value) {
        assert_eq!(decode_record(&encode_record(&kept)), Ok(kept));
    }
    if let Ok(presence) = decode_presence(value) {
        assert_eq!(decode_presence(&encode_presence(&presence)), Ok(presence));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to a view, with a record of etcd's own making as its value.
    const VIEW: &str = r#"{"header":{"cluster_id":"15","revision":"2","raft_term":"3"},"succeeded":true,
        "responses":[{"response_range":{"kvs":[{"key":"L3RhbmRlbS9tYWluL3JlY29yZA==","create_revision":"2",
        "mod_revision":"2","version":"1","value":"eyJmb3JtYXQiOjF9"}],"count":"1"}},{"response_range":{}}]}"#;

    #[test]
    fn an_answer_with_any_byte_changed_or_cut_off_is_read_or_refused() {
        for at in 0..VIEW.len() {
            for byte in [0, b'"', b'9', b'-', b'}', 0xff] {
                let mut bytes = VIEW.as_bytes().to_vec();
                bytes[at] = byte;
                answers(&[&bytes, VIEW.as_bytes(), &bytes[..at]]);
            }
        }
    }
}
