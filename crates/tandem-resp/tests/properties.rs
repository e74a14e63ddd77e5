//! What is written reads back the same, in whatever pieces it arrives; nothing else panics.

use proptest::collection::vec;
use proptest::prelude::*;
use tandem_resp::{
    Limits, Parsed, Parser, Proto, Reply, ReplyParser, Value, parse_f64, parse_i64, write_request,
};

type Words = Vec<Vec<u8>>;

/// Feeds `bytes` in pieces of the given lengths (repeated) and collects the commands.
fn commands(bytes: &[u8], pieces: &[usize]) -> Vec<Words> {
    let (mut parser, mut buf, mut found) = (Parser::new(), Vec::new(), Vec::new());
    let mut rest = bytes;
    for length in pieces.iter().copied().cycle() {
        let (piece, after) = rest.split_at(length.clamp(1, rest.len().max(1)).min(rest.len()));
        buf.extend_from_slice(piece);
        rest = after;
        loop {
            match parser.parse(&buf, &Limits::NORMAL) {
                Ok(Parsed::Command { consumed }) => {
                    found.push(parser.args(&buf).iter().map(<[u8]>::to_vec).collect());
                    buf.drain(..consumed);
                }
                Ok(Parsed::Empty { consumed }) => drop(buf.drain(..consumed)),
                Ok(Parsed::Incomplete { need }) => {
                    assert!(need > buf.len());
                    break;
                }
                Err(_) => return found,
            }
        }
        if rest.is_empty() {
            return found;
        }
    }
    found
}

fn value() -> impl Strategy<Value = Value> {
    let text = vec(any::<u8>(), 0..20);
    let line = "[a-zA-Z ]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |x| !x.is_nan())
            .prop_map(Value::Double),
        text.prop_map(Value::Bulk),
        line.prop_map(|text| Value::Simple(text.into_bytes())),
        line.prop_map(|text| Value::Error(text.into_bytes())),
        "[0-9]{1,30}".prop_map(|digits| Value::BigNumber(digits.into_bytes())),
        vec(any::<u8>(), 0..20).prop_map(|text| Value::Verbatim { format: *b"txt", text }),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec(inner.clone(), 0..6).prop_map(Value::Set),
            vec(inner.clone(), 0..6).prop_map(Value::Push),
            vec((inner.clone(), inner), 0..4).prop_map(Value::Map),
        ]
    })
}

fn write(reply: &mut Reply<'_>, value: &Value) {
    let all = |reply: &mut Reply<'_>, parts: &[Value]| {
        for part in parts {
            write(reply, part);
        }
    };
    match value {
        Value::Null => reply.null(),
        Value::Bool(value) => reply.bool(*value),
        Value::Int(value) => reply.int(*value),
        Value::Double(value) => reply.double(*value),
        Value::Bulk(bytes) => reply.bulk(bytes),
        Value::Simple(text) => reply.simple(std::str::from_utf8(text).unwrap_or_default()),
        Value::Error(text) => reply.error_bytes(text),
        Value::BigNumber(digits) => {
            reply.big_number(std::str::from_utf8(digits).unwrap_or_default());
        }
        Value::Verbatim { format, text } => reply.verbatim(*format, text),
        Value::Array(parts) => {
            reply.array(parts.len());
            all(reply, parts);
        }
        Value::Set(parts) => {
            reply.set(parts.len());
            all(reply, parts);
        }
        Value::Push(parts) => {
            reply.push(parts.len());
            all(reply, parts);
        }
        Value::Map(pairs) => {
            reply.map(pairs.len());
            for (key, value) in pairs {
                write(reply, key);
                write(reply, value);
            }
        }
    }
}

proptest! {
    #[test]
    fn requests_read_back_in_any_pieces(
        requests in vec(vec(vec(any::<u8>(), 0..40), 1..6), 1..6),
        pieces in vec(1_usize..50, 1..8),
    ) {
        let mut bytes = Vec::new();
        for words in &requests {
            write_request(&mut bytes, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        prop_assert_eq!(commands(&bytes, &pieces), requests);
    }

    #[test]
    fn any_bytes_give_the_same_commands_in_any_pieces(
        bytes in vec(prop_oneof![
            Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'"'), Just(b' '),
            any::<u8>(),
        ], 1..200),
        pieces in vec(1_usize..20, 1..8),
    ) {
        prop_assert_eq!(commands(&bytes, &pieces), commands(&bytes, &[bytes.len()]));
    }

    #[test]
    fn replies_read_back_in_any_pieces(value in value(), piece in 1_usize..30) {
        let mut bytes = Vec::new();
        write(&mut Reply::new(&mut bytes, Proto::Resp3), &value);
        let mut parser = ReplyParser::new();
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            parser.feed(piece);
            while let Some(reply) = parser.next_reply().unwrap() {
                found.push(reply);
            }
        }
        prop_assert_eq!(found, vec![value]);
    }

    #[test]
    fn numbers_are_read_as_written(whole in any::<i64>(), float in any::<f64>()) {
        prop_assert_eq!(parse_i64(whole.to_string().as_bytes()), Some(whole));
        let mut text = Vec::new();
        tandem_resp::write_double(&mut text, float);
        let read = parse_f64(&text);
        prop_assert_eq!(read.map(f64::to_bits), (!float.is_nan()).then(|| float.to_bits()));
    }

    #[test]
    fn no_text_makes_a_number_parser_panic(text in vec(any::<u8>(), 0..30)) {
        let (whole, float) = (parse_i64(&text), parse_f64(&text));
        if let (Some(whole), Some(float)) = (whole, float) {
            #[expect(clippy::cast_precision_loss, reason = "compared with the rounded value")]
            let rounded = whole as f64;
            prop_assert!((rounded - float).abs() <= rounded.abs() * 1e-15);
        }
    }
}
