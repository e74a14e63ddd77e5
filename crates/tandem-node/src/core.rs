//! What client sessions act on: the store, the log being built, the role as they see it.

use std::collections::VecDeque;

use tandem_log::{Appender, RecordKind, RecordMeta, Tip};
use tandem_resp::{Args, Proto, Reply};
use tandem_store::{Again, AgainAt, Call, Command, EffectBuf, Failure, Located, Outcome, Store};
use tandem_types::{DbIndex, Epoch, ForkId, Lsn, Monotonic, Now};

use crate::conflicts::Authors;
use crate::operator::Operation;
use crate::planted::{NodeRule, holds};
use crate::saves::Saves;
use crate::session::Gate;
use crate::writer::Writer;
use crate::{Output, Positions, RoleView, Settings};

/// Bytes of one command's words: what it does must fit into one log record, with room for framing.
const COMMAND_BYTES_MAX: usize = 768 << 20;
const TOO_LARGE_TEXT: &str = "ERR the command is larger than 768 MiB: split it";

/// On whose behalf a command runs.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The selected database.
    pub db: DbIndex,
    /// The protocol replies are written in.
    pub proto: Proto,
    /// Inside a transaction nothing may block.
    pub deny_blocking: bool,
    /// The command has waited and runs again because one of its keys was touched.
    pub woken: bool,
}

/// What running a command came to.
#[derive(Debug)]
pub struct Executed {
    /// Done, or nothing there yet and the caller may wait.
    pub outcome: Outcome,
    /// The reply may leave once [`Core::may_answer`] says so of this.
    pub wait: Lsn,
    /// A record was (or, in a group, will be) written.
    pub wrote: bool,
}

/// Streams that began since the start, by how.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StreamCounts {
    /// Full copies sent to the peer.
    pub copies_sent: u64,
    /// Full copies received.
    pub copies_received: u64,
    /// Continuations from the log sent to the peer.
    pub partial_sent: u64,
    /// Continuations received.
    pub partial_received: u64,
}

/// How the files of what merging decided are.
#[derive(Debug, Default)]
pub(crate) struct MergeLogHealth {
    /// Bytes of all of them, as last heard.
    pub(crate) bytes: u64,
    /// Why nothing can be written.
    pub(crate) trouble: Option<String>,
}

/// The part of the node that sessions act on.
#[derive(Debug)]
pub struct Core {
    /// When the current input came.
    pub now: Now,
    /// The configuration, as changed by `CONFIG SET`.
    pub settings: Settings,
    /// The role, and what follows for reads and writes.
    pub view: RoleView,
    /// How far everything is. Sessions only read it.
    pub positions: Positions,
    /// Who wrote the latest records.
    pub(crate) authors: Authors,
    /// The key space.
    pub store: Store,
    /// How the stream to or from the peer began, so far.
    pub streams: StreamCounts,
    /// What is to be done, in order.
    pub out: Vec<Output>,
    /// Requests of sessions that only the node can carry out, in order; answered through
    /// [`crate::Clients`].
    pub operations: VecDeque<Operation>,
    /// Bytes of effects appended by this node since it started.
    pub(crate) appended_bytes: u64,
    pub(crate) log: Appender,
    pub(crate) epoch: Epoch,
    /// What was executed by then may be told to clients (R6).
    pub(crate) executed_by: Monotonic,
    /// Something was executed since that waits for the peer to confirm that it still follows.
    pub(crate) wants_confirmation: bool,
    pub(crate) effects: EffectBuf,
    /// The files of what merging decided: how they are.
    pub(crate) merge_log: MergeLogHealth,
    /// Snapshots that clients ask for, and what they are told of the last.
    pub(crate) saves: Saves,
    /// This node as one of two writers.
    pub(crate) writer: Option<Box<Writer>>,
    group_open: bool,
    /// What a prober wrote last, and the end of its record.
    probe: (Vec<u8>, Lsn),
}

impl Core {
    pub(crate) fn new(
        settings: Settings,
        mut store: Store,
        tip: Tip,
        writer: Option<Box<Writer>>,
    ) -> Self {
        store.settings_mut().maxmemory_bytes = settings.limits.maxmemory;
        // A snapshot does not say which record emptied a slot: a read of a missing key waits for all.
        store.raise_seen_floor(tip.end);
        let positions = Positions {
            appended_end: tip.end,
            written_end: tip.end,
            durable_end: tip.end,
            applied_end: tip.end,
            ..Positions::default()
        };
        Self {
            now: Now::default(),
            settings,
            view: RoleView::default(),
            positions,
            authors: Authors::default(),
            store,
            streams: StreamCounts::default(),
            out: Vec::new(),
            operations: VecDeque::new(),
            appended_bytes: 0,
            log: Appender::new(tip),
            epoch: tip.epoch,
            executed_by: Monotonic::from_nanos(u64::MAX),
            wants_confirmation: false,
            effects: if writer.is_some() { EffectBuf::merging() } else { EffectBuf::new() },
            saves: Saves::new(Now::default(), tip.end, 0),
            merge_log: MergeLogHealth::default(),
            writer,
            group_open: false,
            probe: (Vec::new(), Lsn::ZERO),
        }
    }

    /// What may leave now.
    #[inline]
    pub(crate) fn gate(&self) -> Gate {
        let commit_end =
            if holds(NodeRule::CommitFirst) { self.positions.commit_end } else { Lsn::MAX };
        Gate { commit_end, executed_by: self.executed_by }
    }

    /// When what runs now is executed: just after everything that this turn sent so far.
    #[inline]
    pub(crate) const fn executed_at(&self) -> Monotonic {
        Monotonic::from_nanos(self.now.mono.as_nanos().saturating_add(1))
    }

    /// Whether a reply of a command that was executed then and depends on records before `wait` may
    /// leave.
    #[inline]
    pub fn may_answer(&self, wait: Lsn, executed: Monotonic) -> bool {
        wait <= self.positions.commit_end && executed <= self.executed_by
    }

    /// Runs one data command, writing its reply to `reply`. What it changed becomes one log record, or
    /// part of the open group's.
    ///
    /// The caller has checked role and authentication.
    pub fn execute(
        &mut self,
        command: &'static Command,
        args: &Args<'_>,
        caller: Caller,
        reply: &mut Vec<u8>,
    ) -> Executed {
        if args.payload_bytes() > COMMAND_BYTES_MAX {
            Reply::new(reply, caller.proto).error(TOO_LARGE_TEXT);
            return Executed { outcome: Outcome::Done, wait: Lsn::ZERO, wrote: false };
        }
        if let Some(text) = self.two_writers_refuse(command) {
            Reply::new(reply, caller.proto).error(&text);
            return Executed { outcome: Outcome::Done, wait: Lsn::ZERO, wrote: false };
        }
        self.wants_confirmation = true;
        let before = self.effects.count();
        let mut call = Call {
            now: self.now.wall,
            db: caller.db,
            lsn_end: self.positions.appended_end.next(),
            reply: Reply::new(reply, caller.proto),
            effects: &mut self.effects,
            seen: Lsn::ZERO,
            deny_blocking: caller.deny_blocking,
        };
        let outcome = if caller.woken {
            self.store.execute_woken(command, args, &mut call)
        } else {
            self.store.execute(command, args, &mut call)
        };
        let seen = call.seen;
        let wrote = self.effects.count() > before;
        let wait = if wrote && !self.group_open { self.commit_effects() } else { seen };
        Executed { outcome, wait, wrote }
    }

    /// Opens a group: everything executed until [`Self::end_group`] becomes one record (EXEC).
    pub fn begin_group(&mut self) {
        assert!(!self.group_open, "groups do not nest");
        self.group_open = true;
    }

    /// Closes the group and returns the position after its record, if it wrote anything.
    pub fn end_group(&mut self) -> Option<Lsn> {
        assert!(self.group_open, "no group is open");
        self.group_open = false;
        (!self.effects.is_empty()).then(|| self.commit_effects())
    }

    /// Lets the primary remove keys whose time has come, looking at about `budget` keys; one record at
    /// most. True if there may be more.
    pub(crate) fn expire(&mut self, budget: usize) -> bool {
        assert!(!self.group_open, "no group is open between commands");
        let lsn_end = self.positions.appended_end.next();
        let more = self.store.expire_cycle(self.now.wall, lsn_end, budget, &mut self.effects);
        if !self.effects.is_empty() {
            self.commit_effects();
        }
        more
    }

    /// Writes effects of another history again, all steps as one record.
    ///
    /// # Errors
    /// An effect did not fit. If it was not the first one, memory holds what the log does not: boot anew.
    pub(crate) fn write_again(
        &mut self,
        steps: &[(Again, Vec<Located<'_>>)],
    ) -> Result<(), Failure> {
        assert!(!self.group_open, "no group is open between commands");
        let lsn_end = self.positions.appended_end.next();
        for (how, edits) in steps {
            let at = AgainAt { now: self.now.wall, lsn_end, effects: &mut self.effects };
            if let Err(failure) = self.store.write_again(edits, *how, at) {
                self.effects = EffectBuf::new();
                return Err(failure);
            }
        }
        if !self.effects.is_empty() {
            self.commit_effects();
        }
        Ok(())
    }

    /// Begins a reign: its first record is appended.
    pub(crate) fn begin_reign(&mut self, epoch: Epoch, fork: ForkId) -> Lsn {
        self.epoch = epoch;
        let meta = self.meta();
        let first = self.log.start_epoch(fork, meta);
        self.positions.appended_end = first.next();
        self.positions.applied_end = first.next();
        first.next()
    }

    /// Starts over with an empty key space and an empty log that begins at `tip`; the old key space is
    /// handed out to be freed.
    pub(crate) fn start_over(&mut self, store: Store, tip: Tip) -> Store {
        self.log = Appender::new(tip);
        self.epoch = tip.epoch;
        self.positions = Positions {
            appended_end: tip.end,
            written_end: tip.end,
            durable_end: tip.end,
            applied_end: tip.end,
            ..Positions::default()
        };
        let old = std::mem::replace(&mut self.store, store);
        *self.store.settings_mut() = *old.settings();
        old
    }

    pub(crate) fn meta(&self) -> RecordMeta {
        RecordMeta {
            epoch: self.epoch,
            stamp: self.log.tip().stamp.tick(self.now.wall),
            seen: 0,
            origin: self.settings.node,
        }
    }

    /// Writes the reserved value: a record like every other on its way to both disks, but without effects,
    /// so that no key space ever holds it. Returns the position after it.
    pub(crate) fn write_probe(&mut self, value: &[u8]) -> Lsn {
        assert!(!self.group_open, "no group is open between commands");
        self.wants_confirmation = true;
        let end = self.commit_effects();
        self.probe = (value.to_vec(), end);
        end
    }

    /// The reserved value as written last here, and the position after it.
    pub(crate) fn read_probe(&mut self) -> (&[u8], Lsn) {
        self.wants_confirmation = true;
        (&self.probe.0, self.probe.1)
    }

    /// Makes a record of the effects gathered; returns the position after it.
    fn commit_effects(&mut self) -> Lsn {
        if self.writer.is_some() {
            return self.commit_operations();
        }
        let meta = self.meta();
        match self.log.append(RecordKind::Effects, self.effects.effects(), meta) {
            Ok(lsn) => {
                let mut bytes = std::mem::take(&mut self.effects).into_bytes();
                self.appended_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                bytes.clear();
                self.effects = EffectBuf::over(bytes);
                let end = lsn.next();
                self.positions.appended_end = end;
                self.positions.applied_end = end;
                end
            }
            // Memory already holds what the log cannot: only reading it anew brings the two together.
            Err(error) => {
                self.effects = EffectBuf::new();
                let reason = format!("{error}: the data is read anew from disk, without it");
                self.out.push(Output::Reboot { reason });
                Lsn::MAX
            }
        }
    }
}
