//! Replies of both versions, whole and in pieces, good and bad.

use super::*;
use crate::{Proto, Reply};

/// All replies of `bytes`, which arrive `step` bytes at a time.
fn replies(bytes: &[u8], step: usize) -> Result<Vec<Value>, ReplyError> {
    let mut parser = ReplyParser::new();
    let mut found = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        parser.feed(piece);
        while let Some(value) = parser.next_reply()? {
            found.push(value);
        }
    }
    Ok(found)
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

#[test]
fn replies_are_the_same_however_they_are_cut() {
    let bytes = b"+OK\r\n-ERR no\r\n:-5\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n*0\r\n*2\r\n*1\r\n:1\r\n$0\r\n\r\n\
        _\r\n#t\r\n,1.5\r\n,inf\r\n(123\r\n=6\r\ntxt:hi\r\n%1\r\n+k\r\n~2\r\n:1\r\n:2\r\n\
        >2\r\n+a\r\n+b\r\n|1\r\n+x\r\n:1\r\n:9\r\n!5\r\nERR x\r\n%0\r\n*2\r\n|1\r\n+k\r\n+v\r\n:1\r\n:2\r\n";
    let want = vec![
        Value::Simple(b"OK".to_vec()),
        Value::Error(b"ERR no".to_vec()),
        Value::Int(-5),
        bulk("a\r\n"),
        Value::Null,
        Value::Null,
        Value::Array(vec![]),
        Value::Array(vec![Value::Array(vec![Value::Int(1)]), bulk("")]),
        Value::Null,
        Value::Bool(true),
        Value::Double(1.5),
        Value::Double(f64::INFINITY),
        Value::BigNumber(b"123".to_vec()),
        Value::Verbatim { format: *b"txt", text: b"hi".to_vec() },
        Value::Map(vec![(
            Value::Simple(b"k".to_vec()),
            Value::Set(vec![Value::Int(1), Value::Int(2)]),
        )]),
        Value::Push(vec![Value::Simple(b"a".to_vec()), Value::Simple(b"b".to_vec())]),
        Value::Int(9),
        Value::Error(b"ERR x".to_vec()),
        Value::Map(vec![]),
        Value::Array(vec![Value::Int(1), Value::Int(2)]),
    ];
    for step in 1..=bytes.len() {
        assert_eq!(replies(bytes, step), Ok(want.clone()), "{step}");
    }
}

#[test]
fn what_the_writer_writes_the_parser_reads() {
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, Proto::Resp3);
    reply.map(1);
    reply.bulk(b"k");
    reply.array(2);
    reply.double(0.25);
    reply.verbatim(*b"mkd", b"# x");
    let inner = Value::Array(vec![
        Value::Double(0.25),
        Value::Verbatim { format: *b"mkd", text: b"# x".to_vec() },
    ]);
    assert_eq!(replies(&out, 1), Ok(vec![Value::Map(vec![(bulk("k"), inner)])]));
}

#[test]
fn malformed_replies_are_errors() {
    let cases: &[(&[u8], ReplyError)] = &[
        (b"?\r\n", ReplyError::UnknownType(b'?')),
        (b"\r\n", ReplyError::Malformed),
        (b"\n", ReplyError::MissingCrLf),
        (b"+OK\n", ReplyError::MissingCrLf),
        (b":x\r\n", ReplyError::InvalidNumber),
        (b"$-2\r\n", ReplyError::InvalidNumber),
        (b"$99999999999\r\n", ReplyError::InvalidNumber),
        (b"*99999999999\r\n", ReplyError::InvalidNumber),
        (b"%-1\r\n", ReplyError::InvalidNumber),
        (b"$1\r\nabc", ReplyError::MissingCrLf),
        (b"#x\r\n", ReplyError::Malformed),
        (b"=2\r\nab\r\n", ReplyError::Malformed),
        (b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", ReplyError::TooDeep),
    ];
    for (bytes, want) in cases {
        assert_eq!(replies(bytes, bytes.len()), Err(*want), "{bytes:?}");
        assert_eq!(replies(bytes, 1), Err(*want), "{bytes:?} cut");
    }
    assert_eq!(replies(&vec![b'+'; 70_000], 1000), Err(ReplyError::LineTooLong));
}
