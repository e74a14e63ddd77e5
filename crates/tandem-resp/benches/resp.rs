//! What cutting a request into words and writing a reply cost.
//!
//! `cargo bench -p tandem-resp` prints nanoseconds each.
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::hint::black_box;
use std::time::Instant;

use tandem_resp::{Limits, Parsed, Parser, Proto, Reply, write_request};

/// Short, so that some rounds run without being interrupted even on a busy machine.
const ROUNDS: u32 = 500;
const TRIES: u32 = 2000;
const PIPELINE: u32 = 16;

/// Runs `work` and prints what one of `units` of it costs.
fn measure(name: &str, units: u32, mut work: impl FnMut()) {
    let mut best = u128::MAX;
    for _ in 0..TRIES {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            work();
        }
        best = best.min(start.elapsed().as_nanos());
    }
    let tenths = best * 10 / u128::from(ROUNDS * units);
    println!("{name:32} {:4}.{} ns", tenths / 10, tenths % 10);
}

/// Parses every request of `bytes`; the number of words.
fn parse_all(parser: &mut Parser, mut bytes: &[u8]) -> usize {
    let mut words = 0;
    while let Ok(Parsed::Command { consumed }) = parser.parse(bytes, &Limits::NORMAL) {
        words += black_box(parser.args(bytes)).len();
        bytes = bytes.get(consumed..).unwrap_or_default();
    }
    words
}

fn pipeline(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..PIPELINE {
        write_request(&mut bytes, words);
    }
    bytes
}

fn main() {
    let mut parser = Parser::new();
    for (name, bytes) in [
        ("parse GET key", pipeline(&[b"GET", b"key:000000000042"])),
        ("parse SET key value(64)", pipeline(&[b"SET", b"key:000000000042", &[b'x'; 64]])),
        ("parse SET key value(4096)", pipeline(&[b"SET", b"key:000000000042", &[b'x'; 4096]])),
        ("parse HSET with 10 words", pipeline(&[&b"HSET"[..]; 10])),
        ("parse inline PING", b"PING\r\n".repeat(16)),
    ] {
        measure(name, PIPELINE, || {
            black_box(parse_all(&mut parser, black_box(&bytes)));
        });
    }
    let mut out = Vec::with_capacity(1 << 16);
    measure("write +OK", PIPELINE, || {
        out.clear();
        let mut reply = Reply::new(black_box(&mut out), Proto::Resp2);
        for _ in 0..PIPELINE {
            reply.ok();
        }
    });
    measure("write bulk(64)", PIPELINE, || {
        out.clear();
        let mut reply = Reply::new(black_box(&mut out), Proto::Resp2);
        for _ in 0..PIPELINE {
            reply.bulk(black_box(&[b'x'; 64]));
        }
    });
    measure("write integer", PIPELINE, || {
        out.clear();
        let mut reply = Reply::new(black_box(&mut out), Proto::Resp2);
        for number in 0..PIPELINE {
            reply.int(i64::from(black_box(number)) * 1_234_567);
        }
    });
}
