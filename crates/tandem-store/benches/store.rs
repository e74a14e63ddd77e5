//! What one command costs in the store alone: parsed words in, reply and effects out.
//!
//! `cargo bench -p tandem-store` prints nanoseconds per command; no network, no log.
#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![expect(clippy::print_stdout, reason = "a bench prints its result")]

use std::hint::black_box;
use std::time::Instant;

use tandem_resp::{OwnedArgs, Proto, Reply};
use tandem_store::{Call, EffectBuf, Outcome, Store, command};
use tandem_types::{DbIndex, Lsn, WallMillis};

/// A store, and the buffers that a connection and a log would have.
struct Bench {
    store: Store,
    out: Vec<u8>,
    effects: EffectBuf,
    lsn: u64,
}

impl Bench {
    fn new() -> Self {
        Self { store: Store::new(7), out: Vec::new(), effects: EffectBuf::new(), lsn: 0 }
    }

    fn run(&mut self, args: &OwnedArgs) {
        let args = args.args();
        let Some(command) = command(args.name()) else { return };
        self.lsn += 1;
        let mut call = Call {
            now: WallMillis::new(1_000_000),
            db: DbIndex::ZERO,
            lsn_end: Lsn::new(self.lsn),
            reply: Reply::new(&mut self.out, Proto::Resp2),
            effects: &mut self.effects,
            seen: Lsn::ZERO,
            deny_blocking: false,
        };
        assert!(matches!(self.store.execute(command, &args, &mut call), Outcome::Done));
        self.effects.clear();
        black_box(&self.out);
        self.out.clear();
    }

    /// Runs `count` commands made by `line` from a number; prints nanoseconds each.
    fn measure(&mut self, name: &str, count: u32, line: impl Fn(u32) -> String) {
        const BATCH: u32 = 10_000;
        let mut nanos = 0;
        for batch in 0..count / BATCH {
            let commands: Vec<OwnedArgs> = (0..BATCH)
                .map(|i| line(batch * BATCH + i).split(' ').map(str::as_bytes).collect())
                .collect();
            let start = Instant::now();
            for command in &commands {
                self.run(command);
            }
            nanos += start.elapsed().as_nanos();
        }
        println!("{name:32} {:6} ns", nanos / u128::from(count));
    }
}

impl Bench {
    /// `GET`s of keys in pipelines of 16, perhaps with the memory fetched ahead.
    fn measure_pipelined(
        &mut self,
        name: &str,
        count: u32,
        warmed: bool,
        key: impl Fn(u32) -> String,
    ) {
        const BATCH: u32 = 16;
        let mut nanos = 0;
        for batch in 0..count / BATCH {
            let keys: Vec<String> = (0..BATCH).map(|i| key(batch * BATCH + i)).collect();
            let commands: Vec<OwnedArgs> = keys
                .iter()
                .map(|key| [&b"GET"[..], key.as_bytes()].into_iter().collect())
                .collect();
            let start = Instant::now();
            if warmed {
                let keys: Vec<&[u8]> = keys.iter().map(String::as_bytes).collect();
                self.store.warm(DbIndex::ZERO, &keys);
            }
            for command in &commands {
                self.run(command);
            }
            nanos += start.elapsed().as_nanos();
        }
        let name = if warmed { format!("{name}, warmed") } else { name.to_owned() };
        println!("{name:32} {:6} ns", nanos / u128::from(count));
    }
}

/// A number that jumps about below `bound`.
fn scattered(i: u32, bound: u32) -> u32 {
    i.wrapping_mul(2_654_435_761) % bound
}

const KEYS: u32 = 1_000_000;

fn main() {
    let mut bench = Bench::new();
    let value = "v".repeat(64);
    let key = |i: u32| format!("key:{i:012}");
    bench.measure("SET, new keys", KEYS, |i| format!("SET {} {value}", key(i)));
    let bytes = bench.store.used_memory() / usize::try_from(KEYS).unwrap_or(1);
    println!("{:32} {bytes:6} bytes per key, estimated", "");
    bench.measure("SET, same length", KEYS, |i| format!("SET {} {value}", key(scattered(i, KEYS))));
    bench.measure("GET", KEYS, |i| format!("GET {}", key(scattered(i, KEYS))));
    for warmed in [false, true] {
        bench.measure_pipelined("GET, pipeline of 16", KEYS, warmed, |i| key(scattered(i, KEYS)));
    }
    bench.measure_pipelined("GET, few keys, pipelined", KEYS, false, |i| key(scattered(i, 1000)));
    bench.measure_pipelined("GET, few keys, pipelined", KEYS, true, |i| key(scattered(i, 1000)));
    bench.measure("GET, few keys", KEYS, |i| format!("GET {}", key(scattered(i, 1000))));
    bench.measure("SET, few keys", KEYS, |i| format!("SET {} {value}", key(scattered(i, 1000))));
    bench.measure("INCR", KEYS, |i| format!("INCR counter:{}", scattered(i, 1000)));
    bench.measure("EXPIRE", KEYS, |i| {
        format!("EXPIRE {} {}", key(scattered(i, KEYS)), 100 + i % 1000)
    });
    bench.measure("MGET of 10", 100_000, |i| {
        (0..10).fold("MGET".to_owned(), |line, j| line + " " + &key(scattered(i * 10 + j, KEYS)))
    });
    if command(b"LPUSH").is_some() {
        bench.measure("LPUSH", KEYS, |i| format!("LPUSH list:{} element", scattered(i, 1000)));
        bench.measure("LPOP", KEYS, |i| format!("LPOP list:{}", scattered(i, 1000)));
        bench.measure("HSET", KEYS, |i| {
            format!("HSET hash:{} field:{} v", i % 1000, scattered(i, 100))
        });
        bench.measure("SADD", KEYS, |i| format!("SADD set:{} member:{i}", i % 1000));
        bench.measure("ZADD", KEYS, |i| format!("ZADD zset:{} {} member:{i}", i % 1000, i % 77));
    }
    bench.measure("DEL", KEYS, |i| format!("DEL {}", key(scattered(i, KEYS))));
}
