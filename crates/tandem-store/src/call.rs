//! One command's run: what goes in, what comes out.

use tandem_resp::{Args, Reply};
use tandem_types::{DbIndex, Lsn, WallMillis};

use crate::command::{Command, DataHandler, Flags, Handler};
use crate::commands::{bounded, sequences};
use crate::effect::EffectBuf;
use crate::failure::Failure;
use crate::key::Key;
use crate::keys::Keys;
use crate::merge::Course;
use crate::store::Store;
use crate::value::ValueRef;
use crate::value::stream::id::StreamId;

/// What a command runs with; the caller's side.
#[derive(Debug)]
pub struct Call<'a> {
    /// The wall clock, read once per turn of the loop.
    pub now: WallMillis,
    /// The connection's database.
    pub db: DbIndex,
    /// End of the record that the effects would go to: stamped into the slots that are written.
    pub lsn_end: Lsn,
    /// Where the reply goes.
    pub reply: Reply<'a>,
    /// Where the effects go; nothing is appended if nothing changed.
    pub effects: &'a mut EffectBuf,
    /// Out: end of the newest record that the reply depends on. Only ever raised.
    pub seen: Lsn,
    /// In a transaction or script: a command that would block answers as if its time were up.
    pub deny_blocking: bool,
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// The reply is written, an error included.
    Done,
    /// Nothing is written and nothing changed: run it again when one of the keys is touched.
    Block(BlockRequest),
}

/// What a blocked command waits for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlockRequest {
    /// Any of these keys, in the connection's database.
    pub keys: Vec<Box<[u8]>>,
    /// For how long; `None` is for ever.
    pub timeout_ms: Option<u64>,
    /// What to answer when the time is up.
    pub on_timeout: TimeoutReply,
    /// The words to run it with then, if not those it came with: what they meant was true only at first.
    pub words: Option<Vec<Box<[u8]>>>,
    /// What each of the keys must have before it is worth to run it again; empty: each must be there.
    pub needs: Vec<Need>,
}

/// What a blocked command needs of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Need {
    /// An entry after this one.
    EntryAfter(StreamId),
    /// An entry that nobody in this group was given, or that the group is no more: that ends the wait, too.
    NewIn(Box<[u8]>),
}

impl Need {
    /// Whether the command runs also when the key is not there.
    pub const fn is_curious(&self) -> bool {
        matches!(self, Self::NewIn(_))
    }
}

/// The reply of a blocked command whose time is up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TimeoutReply {
    /// `*-1` in RESP2.
    NullArray,
    /// `$-1` in RESP2.
    Null,
    /// Run it once more, without waiting: it says itself why there is nothing.
    RunAgain,
}

/// What a command runs with; the handler's side.
#[derive(Debug)]
pub(crate) struct Ctx<'c> {
    /// The command that runs.
    pub(crate) command: &'static Command,
    /// Its words, the name first.
    pub(crate) args: Args<'c>,
    /// The key space.
    pub(crate) keys: Keys<'c>,
    /// Where the reply goes.
    pub(crate) reply: Reply<'c>,
    /// True if blocking is not allowed.
    pub(crate) deny_blocking: bool,
    /// True if it runs again after it has waited.
    pub(crate) woken: bool,
    /// Set by a handler that must wait; it has then written nothing and changed nothing.
    pub(crate) block: Option<BlockRequest>,
}

impl<'c> Ctx<'c> {
    /// Number of words, the name included.
    pub(crate) const fn argc(&self) -> usize {
        self.args.len()
    }

    /// Word `index`; the arity check has made sure of the first ones.
    #[inline]
    pub(crate) fn arg(&self, index: usize) -> &'c [u8] {
        self.args.get(index)
    }

    /// Word `index` as a key, hashed.
    #[inline]
    pub(crate) fn key(&self, index: usize) -> Key<'c> {
        self.keys.key(self.args.get(index))
    }

    /// Word `index` as an integer.
    pub(crate) fn int(&self, index: usize) -> Result<i64, Failure> {
        tandem_resp::parse_i64(self.arg(index)).ok_or(Failure::NotInteger)
    }

    /// True if word `index` is this word, in any case.
    pub(crate) fn is(&self, index: usize, word: &str) -> bool {
        self.arg(index).eq_ignore_ascii_case(word.as_bytes())
    }

    /// `wrong number of arguments`, in this command's name.
    pub(crate) fn arity_failure(&self) -> Failure {
        Failure::arity(self.command.name)
    }
}

impl Store {
    /// Runs a data command. An error is written as the reply; nothing but expiries happened then.
    ///
    /// Commands of the session (`AUTH`, `MULTI`, ...) are refused as unknown: the caller runs those.
    pub fn execute(
        &mut self,
        command: &'static Command,
        args: &Args<'_>,
        call: &mut Call<'_>,
    ) -> Outcome {
        self.run(command, args, call, false)
    }

    /// Runs a command that has blocked before, because one of its keys was touched. A key of a type
    /// that it cannot use is then as good as none: it goes on waiting, as in Redis.
    pub fn execute_woken(
        &mut self,
        command: &'static Command,
        args: &Args<'_>,
        call: &mut Call<'_>,
    ) -> Outcome {
        self.run(command, args, call, true)
    }

    fn run(
        &mut self,
        command: &'static Command,
        args: &Args<'_>,
        call: &mut Call<'_>,
        woken: bool,
    ) -> Outcome {
        let mark = call.reply.mark();
        let refused = match command.check_arity(args.len()) {
            Ok(()) if self.is_out_of_memory(command) => Some(Failure::OutOfMemory),
            Ok(()) => None,
            Err(failure) => Some(failure),
        };
        if let Some(failure) = refused {
            call.reply.error(&failure.text());
            return Outcome::Done;
        }
        let Handler::Data(DataHandler(mut handler)) = command.handler else {
            call.reply.error("ERR this command belongs to a connection");
            return Outcome::Done;
        };
        let mut course = Course::Merge;
        if self.two_writers.is_some() {
            match self.course(command, args, call.db) {
                Ok(found) => course = found,
                Err(text) => {
                    call.reply.error(&text);
                    return Outcome::Done;
                }
            }
            match course {
                Course::Bounded => handler = bounded::plain,
                Course::Sequence => handler = sequences::plain,
                Course::Merge | Course::Exclusive => {}
            }
        }
        let done_before = call.effects.count();
        let mut ctx = Ctx {
            command,
            args: *args,
            keys: Keys::new(self, call.db, call.now, call.lsn_end, Some(&mut *call.effects)),
            reply: call.reply.reborrow(),
            deny_blocking: call.deny_blocking,
            woken,
            block: None,
        };
        let result = handler(&mut ctx);
        let (seen, block) = (ctx.keys.seen(), ctx.block.take());
        if course == Course::Exclusive && call.effects.count() > done_before {
            self.say_exclusive(command, args, call);
        }
        call.seen = call.seen.max(seen);
        if let Some(text) = self.take_too_big(command) {
            call.reply.truncate(mark);
            call.reply.error(&text);
            return Outcome::Done;
        }
        match result {
            Err(failure) => {
                call.reply.truncate(mark);
                call.reply.error(&failure.text());
                Outcome::Done
            }
            Ok(()) => block.map_or(Outcome::Done, Outcome::Block),
        }
    }

    /// Whether a blocked command may find what it needs of a key; looks at little, as many may wait for one.
    pub fn has_for(&self, db: DbIndex, key: &[u8], need: Option<&Need>, now: WallMillis) -> bool {
        let value = self.entry_at(db, key, now).map(|entry| entry.value());
        match (need, value) {
            (None, value) => value.is_some(),
            (Some(Need::EntryAfter(id)), Some(ValueRef::Stream(stream))) => {
                stream.entries().last() > Some(*id)
            }
            (Some(Need::EntryAfter(_)), _) => false,
            (Some(Need::NewIn(group)), Some(ValueRef::Stream(stream))) => stream
                .group(group)
                .is_none_or(|it| stream.entries().last() > Some(it.last_delivered)),
            (Some(Need::NewIn(_)), _) => true,
        }
    }

    /// True if `maxmemory` forbids this command now.
    pub fn is_out_of_memory(&self, command: &Command) -> bool {
        let max = self.settings().maxmemory_bytes;
        max != 0
            && command.flags.has(Flags::DENYOOM)
            && u64::try_from(self.used_memory()).is_ok_and(|used| used > max)
    }
}
