//! Questions and answers of etcd's JSON gateway: the protobuf messages of its v3 interface in their JSON
//! form (64-bit numbers as strings, bytes in base64, zero values left out).
//!
//! <https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::keys::Range;
use crate::trouble::Trouble;

/// Presences that are looked at, the latest first: two, and leftovers of nodes that were restarted.
pub(crate) const PRESENCES_MAX: u32 = 64;

pub(crate) const RANGE: &str = "/v3/kv/range";
pub(crate) const TXN: &str = "/v3/kv/txn";
pub(crate) const WATCH: &str = "/v3/watch";
pub(crate) const LEASE_GRANT: &str = "/v3/lease/grant";
pub(crate) const LEASE_KEEPALIVE: &str = "/v3/lease/keepalive";
pub(crate) const LEASE_REVOKE: &str = "/v3/lease/revoke";
pub(crate) const AUTHENTICATE: &str = "/v3/auth/authenticate";

/// Where and when an answer was given.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub(crate) struct Header {
    #[serde(deserialize_with = "number")]
    pub(crate) cluster_id: u64,
    /// Of the whole store.
    #[serde(deserialize_with = "number")]
    pub(crate) revision: u64,
    #[serde(deserialize_with = "number")]
    pub(crate) raft_term: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeyValue {
    #[serde(deserialize_with = "bytes")]
    pub(crate) key: Vec<u8>,
    #[serde(default, deserialize_with = "bytes")]
    pub(crate) value: Vec<u8>,
    #[serde(deserialize_with = "number")]
    pub(crate) create_revision: u64,
    #[serde(deserialize_with = "number")]
    pub(crate) mod_revision: u64,
    #[serde(default, deserialize_with = "number")]
    pub(crate) lease: u64,
}

/// The keys of one range.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct RangePart {
    #[serde(default)]
    pub(crate) kvs: Vec<KeyValue>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RangeAnswer {
    pub(crate) header: Header,
    #[serde(default)]
    pub(crate) kvs: Vec<KeyValue>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TxnAnswer {
    pub(crate) header: Header,
    /// Left out by the gateway when it is false.
    #[serde(default)]
    pub(crate) succeeded: bool,
    #[serde(default)]
    pub(crate) responses: Vec<Part>,
}

/// The answer to one operation of a transaction.
#[derive(Debug, Deserialize)]
pub(crate) struct Part {
    pub(crate) response_range: Option<RangePart>,
}

impl TxnAnswer {
    /// What the range at `place` found, which must be one.
    pub(crate) fn range(&self, place: usize) -> Result<&RangePart, Trouble> {
        self.responses
            .get(place)
            .and_then(|part| part.response_range.as_ref())
            .ok_or_else(|| Trouble::Malformed("a part of the transaction has no answer".to_owned()))
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct GrantAnswer {
    #[serde(rename = "ID", deserialize_with = "number")]
    pub(crate) id: u64,
    #[serde(rename = "TTL", deserialize_with = "number")]
    pub(crate) ttl: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeepAlive {
    pub(crate) header: Header,
    /// Left out, as zero, when the lease is gone.
    #[serde(rename = "TTL", default, deserialize_with = "number")]
    pub(crate) ttl: u64,
}

/// One message of a stream.
#[derive(Debug, Deserialize)]
pub(crate) struct Streamed<T> {
    pub(crate) result: Option<T>,
    pub(crate) error: Option<StreamError>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamError {
    #[serde(default)]
    grpc_code: u64,
    #[serde(default)]
    http_code: u16,
    #[serde(default)]
    message: String,
}

impl<T> Streamed<T> {
    pub(crate) fn into_result(self) -> Result<T, Trouble> {
        match self {
            Self { error: Some(error), .. } => {
                Err(Trouble::refused(error.http_code, error.grpc_code, &error.message))
            }
            Self { result: Some(result), .. } => Ok(result),
            Self { .. } => Err(Trouble::Malformed("an empty message".to_owned())),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct WatchAnswer {
    #[serde(default)]
    pub(crate) created: bool,
    #[serde(default)]
    pub(crate) canceled: bool,
    #[serde(default)]
    pub(crate) cancel_reason: String,
}

#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    pub(crate) token: String,
}

/// What the gateway says with a status other than 200.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    pub(crate) code: u64,
    #[serde(default)]
    pub(crate) error: Value,
}

/// An operation of a transaction that reads one key. Never `serializable`: a member that lags behind
/// must not answer.
pub(crate) fn range_key(key: &str) -> Value {
    json!({"request_range": key_range(key)})
}

/// The request of a range of one key.
pub(crate) fn key_range(key: &str) -> Value {
    json!({"key": text(key)})
}

/// The latest keys of a folder.
pub(crate) fn range_latest(range: &Range) -> Value {
    json!({"request_range": {
        "key": text(&range.from),
        "range_end": text(&range.end),
        "limit": PRESENCES_MAX.to_string(),
        "sort_order": "DESCEND",
        "sort_target": "CREATE",
    }})
}

pub(crate) fn put(key: &str, value: &[u8], lease: Option<u64>) -> Value {
    let lease = lease.unwrap_or(0).to_string();
    json!({"request_put": {"key": text(key), "value": BASE64.encode(value), "lease": lease}})
}

pub(crate) fn delete(range: &Range) -> Value {
    json!({"request_delete_range": {"key": text(&range.from), "range_end": text(&range.end)}})
}

/// Holds if the key does not exist.
pub(crate) fn is_absent(key: &str) -> Value {
    json!({"key": text(key), "target": "VERSION", "version": "0", "result": "EQUAL"})
}

/// Holds if the key was last written at this revision.
pub(crate) fn is_written_at(key: &str, revision: u64) -> Value {
    let revision = revision.to_string();
    json!({"key": text(key), "target": "MOD", "mod_revision": revision, "result": "EQUAL"})
}

pub(crate) fn is_created_at(key: &str, revision: u64) -> Value {
    let revision = revision.to_string();
    json!({"key": text(key), "target": "CREATE", "create_revision": revision, "result": "EQUAL"})
}

/// Holds if the key has these very bytes.
pub(crate) fn has_value(key: &str, value: &[u8]) -> Value {
    json!({"key": text(key), "target": "VALUE", "value": BASE64.encode(value), "result": "EQUAL"})
}

pub(crate) fn watch(range: &Range) -> Value {
    json!({"create_request": {"key": text(&range.from), "range_end": text(&range.end)}})
}

pub(crate) fn lease(id: u64) -> Value {
    json!({"ID": id.to_string()})
}

pub(crate) fn grant(seconds: u64) -> Value {
    json!({"TTL": seconds.to_string()})
}

fn text(key: &str) -> String {
    BASE64.encode(key)
}

/// A number as the gateway writes it; revisions and lease ids are signed there and never negative.
fn number<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    match Value::deserialize(input)? {
        Value::String(text) => text
            .parse()
            .map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &"a whole number")),
        Value::Number(number) => number
            .as_u64()
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Other("number"), &"a whole number")),
        _ => Err(D::Error::custom("not a number")),
    }
}

fn bytes<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<u8>, D::Error> {
    BASE64.decode(String::deserialize(input)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_lost_leaves_out_that_it_did() {
        let lost = r#"{"header":{"cluster_id":"15","revision":"2","raft_term":"3"},
            "responses":[{"response_range":{"header":{"revision":"2"},"kvs":[{"key":"L3Qvcg==",
            "create_revision":"2","mod_revision":"2","version":"1","value":"YWJj"}],"count":"1"}},
            {"response_range":{"header":{"revision":"2"}}}]}"#;
        let answer: TxnAnswer = serde_json::from_str(lost).unwrap();
        assert!(!answer.succeeded);
        assert_eq!(answer.range(0).unwrap().kvs[0].value, b"abc");
        assert!(answer.range(1).unwrap().kvs.is_empty());
        assert!(answer.range(2).is_err());
    }

    #[test]
    fn an_answer_without_what_it_must_have_is_an_error() {
        for bad in [
            "{}",
            r#"{"header":{}}"#,
            r#"{"header":{"cluster_id":"x","revision":"2","raft_term":"3"}}"#,
            r#"{"header":{"cluster_id":"-1","revision":"2","raft_term":"3"}}"#,
            r#"{"header":{"cluster_id":"1","revision":"2","raft_term":"3"},"kvs":[{"key":"%%"}]}"#,
            r#"{"header":{"cluster_id":"1","revision":"2","raft_term":"3"},"kvs":[{"key":"YQ=="}]}"#,
            r#"{"header":{"cluster_id":"1","revision":"2","raft_term":"3"},"kvs":7}"#,
            "[]",
            "",
        ] {
            assert!(serde_json::from_str::<RangeAnswer>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_stream_that_failed_says_why() {
        let text =
            r#"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}}"#;
        let message: Streamed<WatchAnswer> = serde_json::from_str(text).unwrap();
        assert!(message.into_result().unwrap_err().to_string().contains("no leader"));
        let empty: Streamed<WatchAnswer> = serde_json::from_str("{}").unwrap();
        assert!(empty.into_result().is_err());
    }
}
