//! Hostile bytes as requests: the same commands in whatever pieces, and never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_resp::{Limits, OwnedArgs, Parsed, Parser, ProtocolError, parse_f64, parse_i64, parse_u64};

fuzz_target!(|input: (&[u8], u8, bool)| {
    let (bytes, piece, authenticated) = input;
    let limits = if authenticated { Limits::NORMAL } else { Limits::UNAUTHENTICATED };
    let whole = commands(bytes, bytes.len(), &limits);
    let cut = commands(bytes, usize::from(piece), &limits);
    // An error may come earlier when more of the request is there, but not other commands.
    assert_eq!(whole.0, cut.0);
    assert_eq!(whole.1.is_some(), cut.1.is_some());
    for words in &whole.0 {
        for word in words.args().iter() {
            let _numbers = (parse_i64(word), parse_u64(word), parse_f64(word));
            let mut text = Vec::new();
            if let Some(number) = parse_f64(word) {
                tandem_resp::write_double(&mut text, number);
                assert_eq!(parse_f64(&text).map(f64::to_bits), Some(number.to_bits()));
            }
        }
    }
});

fn commands(bytes: &[u8], piece: usize, limits: &Limits) -> (Vec<OwnedArgs>, Option<ProtocolError>) {
    let (mut parser, mut buf, mut found) = (Parser::new(), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        buf.extend_from_slice(piece);
        loop {
            match parser.parse(&buf, limits) {
                Ok(Parsed::Command { consumed }) => {
                    let args = parser.args(&buf);
                    assert!(!args.is_empty() && args.len() <= limits.args_max);
                    found.push(OwnedArgs::copy_of(&args));
                    buf.drain(..consumed);
                }
                Ok(Parsed::Empty { consumed }) => {
                    assert!(consumed > 0);
                    buf.drain(..consumed);
                }
                Ok(Parsed::Incomplete { need }) => {
                    assert!(need > buf.len());
                    break;
                }
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}
