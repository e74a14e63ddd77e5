//! Requests in every shape and cut at every byte.

use super::*;
use crate::write_request;

/// All commands of `bytes`, which arrive `step` bytes at a time; the error that ended it, if any.
fn commands(
    bytes: &[u8],
    step: usize,
    limits: &Limits,
) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
    let mut found = Vec::new();
    let mut parser = Parser::new();
    let mut buf: Vec<u8> = Vec::new();
    let mut need = 0;
    for piece in bytes.chunks(step.max(1)) {
        buf.extend_from_slice(piece);
        loop {
            if buf.len() < need {
                break;
            }
            match parser.parse(&buf, limits) {
                Ok(Parsed::Incomplete { need: more }) => {
                    assert!(more > buf.len(), "asks for {more} of {}", buf.len());
                    need = more;
                    break;
                }
                Ok(Parsed::Command { consumed }) => {
                    found.push(parser.args(&buf).iter().map(<[u8]>::to_vec).collect());
                    buf.drain(..consumed);
                    need = 0;
                }
                Ok(Parsed::Empty { consumed }) => {
                    assert!(consumed > 0);
                    buf.drain(..consumed);
                    need = 0;
                }
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

fn words(list: &[&str]) -> Vec<Vec<u8>> {
    list.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[test]
fn a_pipeline_is_the_same_however_it_is_cut() {
    let mut bytes = Vec::new();
    write_request(&mut bytes, &[b"SET", b"key", b"val\r\nue"]);
    bytes.extend_from_slice(b"PING\r\n*0\r\n*-1\r\n\r\n\nget  'a b' \"c\\x41\\n\"\n");
    write_request(&mut bytes, &[b"SET", &[b'k'; 300], &[0; 5000]]);
    write_request(&mut bytes, &[b"", b""]);
    let (whole, error) = commands(&bytes, bytes.len(), &Limits::NORMAL);
    assert_eq!(error, None);
    assert_eq!(whole.len(), 5);
    assert_eq!(whole[1], words(&["PING"]));
    assert_eq!(whole[2], words(&["get", "a b", "cA\n"]));
    for step in 1..40 {
        assert_eq!(commands(&bytes, step, &Limits::NORMAL), (whole.clone(), None), "{step}");
    }
}

#[test]
fn malformed_requests_are_refused_with_redis_words() {
    let big_line = vec![b'x'; INLINE_BYTES_MAX + 2];
    let cases: &[(&[u8], &str)] = &[
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*9223372036854775808\r\n", "invalid multibulk length"),
        (b"*1000000000000000000000\r\n", "too big mbulk count string"),
        (b"*blah\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"*1\n$4\nPING\n", "invalid multibulk length"),
        (b"*1\rx", "invalid multibulk length"),
        (b"*\0", "invalid multibulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$-2\r\n", "invalid bulk length"),
        (b"*1\r\n$18446744073709551615\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"*1\r\n$00000000001\r\n", "invalid bulk length"),
        (b"*1\r\n$+1\r\n", "invalid bulk length"),
        (b"*1\r\n$1e3\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*1\r\n\0", "expected '$', got ' '"),
        (b"*1\r\n$4\r\nPINGxx", "expected CR LF after an argument"),
        (b"set \"a\"b c\r\n", "unbalanced quotes in request"),
        (b"set \"a\r\n", "unbalanced quotes in request"),
        (b"set 'a\\'\r\n", "unbalanced quotes in request"),
        (&big_line, "too big inline request"),
    ];
    for (bytes, want) in cases {
        let (found, error) = commands(bytes, bytes.len(), &Limits::NORMAL);
        let shown = error.map(|error| error.to_string());
        assert_eq!(shown, Some(format!("Protocol error: {want}")), "{:?}", bytes.get(..30));
        assert!(found.is_empty());
        let (_, cut) = commands(bytes, 1, &Limits::NORMAL);
        assert!(cut.is_some(), "{want} cut at every byte");
    }
}

#[test]
fn strangers_may_send_little() {
    let limits = Limits::UNAUTHENTICATED;
    let error = |bytes: &[u8]| commands(bytes, bytes.len(), &limits).1;
    assert_eq!(error(b"*11\r\n"), Some(ProtocolError::UnauthenticatedMultibulk));
    assert_eq!(error(b"*10\r\n"), None);
    assert_eq!(error(b"*1\r\n$16385\r\n"), Some(ProtocolError::UnauthenticatedBulk));
    assert_eq!(error(b"*1\r\n$16384\r\n"), None);
    assert_eq!(error(b"a b c d e f g h i j k\n"), Some(ProtocolError::UnauthenticatedMultibulk));
}

#[test]
fn an_incomplete_bulk_says_how_much_it_needs() {
    let mut parser = Parser::new();
    let buf = b"*2\r\n$3\r\nGET\r\n$1000\r\nabc";
    assert_eq!(parser.parse(buf, &Limits::NORMAL), Ok(Parsed::Incomplete { need: 20 + 1000 + 2 }));
    assert!(parser.is_inside());
    parser.reset();
    assert!(!parser.is_inside());
    assert_eq!(parser.parse(b"PING\n", &Limits::NORMAL), Ok(Parsed::Command { consumed: 5 }));
}

#[test]
fn a_half_read_request_does_not_leak_into_the_next() {
    let mut parser = Parser::new();
    assert!(matches!(parser.parse(b"PI", &Limits::NORMAL), Ok(Parsed::Incomplete { need: 3 })));
    assert_eq!(parser.parse(b"PING\n", &Limits::NORMAL), Ok(Parsed::Command { consumed: 5 }));
    assert_eq!(parser.parse(b"*0\r\n", &Limits::NORMAL), Ok(Parsed::Empty { consumed: 4 }));
    let buf = b"*1\r\n$4\r\nPING\r\n";
    assert_eq!(parser.parse(buf, &Limits::NORMAL), Ok(Parsed::Command { consumed: buf.len() }));
    assert_eq!(parser.args(buf).name(), b"PING");
    assert_eq!(parser.args(buf).len(), 1);
}
