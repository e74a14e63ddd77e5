//! A store with a clock and a log, spoken to in words.

use tandem_resp::{OwnedArgs, Proto, Reply};
use tandem_store::{Call, EffectBuf, Outcome, Store, command};
use tandem_types::{DbIndex, Lsn, WallMillis};

/// A primary: runs commands, keeps the effects of each as a record.
pub(crate) struct Primary {
    pub(crate) store: Store,
    pub(crate) now: WallMillis,
    pub(crate) db: DbIndex,
    pub(crate) proto: Proto,
    /// Effects of record 0, 1, 2, ...
    pub(crate) log: Vec<Vec<u8>>,
    /// What the last command's reply depends on.
    pub(crate) seen: Lsn,
    /// Commands run as if they had waited for a key.
    pub(crate) woken: bool,
}

impl Primary {
    pub(crate) fn new() -> Self {
        Self {
            store: Store::new(1),
            now: WallMillis::new(1_000_000),
            db: DbIndex::ZERO,
            proto: Proto::Resp2,
            log: Vec::new(),
            seen: Lsn::ZERO,
            woken: false,
        }
    }

    pub(crate) fn end(&self) -> Lsn {
        Lsn::new(u64::try_from(self.log.len()).unwrap())
    }

    /// Runs one command of words without spaces; the reply as bytes in text.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        self.run_words(&words)
    }

    pub(crate) fn run_words(&mut self, words: &[&[u8]]) -> String {
        let owned: OwnedArgs = words.iter().copied().collect();
        let command = command(words[0]).expect("a command of that name").of_words(&owned.args());
        let mut out = Vec::new();
        let mut effects = EffectBuf::new();
        let mut call = Call {
            now: self.now,
            db: self.db,
            lsn_end: self.end().next(),
            reply: Reply::new(&mut out, self.proto),
            effects: &mut effects,
            seen: Lsn::ZERO,
            deny_blocking: false,
        };
        let args = owned.args();
        let outcome = if self.woken {
            self.store.execute_woken(command, &args, &mut call)
        } else {
            self.store.execute(command, &args, &mut call)
        };
        self.seen = call.seen;
        if let Outcome::Block(request) = outcome {
            assert!(out.is_empty() && effects.is_empty(), "a blocked command did something");
            return format!("BLOCK {request:?}");
        }
        self.keep(&effects);
        out.escape_ascii().to_string().replace("\\r\\n", "|").replace("\\'", "'")
    }

    fn keep(&mut self, effects: &EffectBuf) {
        if !effects.is_empty() {
            self.log.push(effects.effects().to_vec());
        }
    }

    /// Runs commands one after the other.
    pub(crate) fn run_all(&mut self, lines: &[&str]) {
        for line in lines {
            let reply = self.run(line);
            assert!(!reply.starts_with('-'), "{line}: {reply}");
        }
    }

    /// Checks replies one after the other.
    pub(crate) fn check(&mut self, cases: &[(&str, &str)]) {
        for (line, want) in cases {
            assert_eq!(self.run(line), *want, "{line}");
        }
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = WallMillis::new(self.now.get() + millis);
    }

    pub(crate) fn expire(&mut self, budget: usize) -> bool {
        let mut effects = EffectBuf::new();
        let end = self.end().next();
        let more = self.store.expire_cycle(self.now, end, budget, &mut effects);
        self.keep(&effects);
        more
    }

    /// A store that applied the whole log.
    pub(crate) fn follower(&self) -> Store {
        let mut store = Store::new(99);
        for (lsn, effects) in self.log.iter().enumerate() {
            let lsn = Lsn::new(u64::try_from(lsn).unwrap());
            store.apply(lsn, effects, None).unwrap();
        }
        store
    }
}
