//! What a node of a pair with two writers does not do, and why.
//!
//! Some commands promise that only one caller succeeds. Two nodes cannot both keep that promise, so it is not
//! made, unless the key's policy says whose it is. And what is a counter or gives ids takes no other writes.

use tandem_merge::policy::Policy;
use tandem_merge::{Key, Ledger};
use tandem_resp::Args;
use tandem_types::{DbIndex, NodeId};

use crate::command::{Command, Group};

/// How a command is to be run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Course {
    /// As with one writer; its operations are merged.
    Merge,
    /// The same, and its record says that it wrote as only one caller can.
    Exclusive,
    /// Its key is a bounded counter.
    Bounded,
    /// Its key gives unique ids.
    Sequence,
}

/// Why a command is not run.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MergeRefusal {
    /// Both nodes could say yes.
    #[error(
        "PPNX {0} is not exclusive across two primaries; give the prefix an owner or policy lww"
    )]
    Exclusive(String),
    /// The other node writes this key; the caller knows its address.
    #[error("PPOWNER {0:?}")]
    Owner(NodeId),
    /// The policy forbids writes.
    #[error("PPREFUSED the policy of this key refuses writes; see TANDEM PP POLICY")]
    Refused,
    /// A bounded counter takes additions only.
    #[error("PPBOUNDED the key is a bounded counter: use INCRBY and DECRBY, or TANDEM BC RESET")]
    Bounded,
    /// A sequence gives ids only.
    #[error("PPSEQ the key gives unique ids: use INCR and INCRBY, or TANDEM SEQ")]
    Sequence,
    /// A stream: ids that only grow, and groups whose entries go to one consumer, cannot be kept by two.
    #[error(
        "PPUNSUPPORTED {0}: streams are not merged across two primaries; use lists, or a pair with one primary"
    )]
    Stream(String),
    /// One operation of it would be larger than a peer takes at once.
    #[error(
        "PPTOOBIG {0} would send more than 64 MiB to the other node as one operation; split the value"
    )]
    TooBig(String),
}

impl MergeRefusal {
    /// A transaction that watched keys: a write on the other node does not touch them.
    pub fn watched() -> Self {
        Self::Exclusive("EXEC after WATCH".into())
    }
}

/// What a decision looks at beside the command itself.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
    /// Policies, counters and sequences.
    pub ledger: &'r Ledger,
    /// The node that runs the command.
    pub side: NodeId,
    /// The database it runs in.
    pub db: DbIndex,
}

/// Whether and how a node runs a write.
///
/// # Errors
/// As [`MergeRefusal`] says; nothing was done.
pub fn course(
    command: &Command,
    args: &Args<'_>,
    rules: Rules<'_>,
) -> Result<Course, MergeRefusal> {
    if !command.is_write() {
        return Ok(Course::Merge);
    }
    if command.group == Group::Stream {
        return Err(MergeRefusal::Stream(command.name.to_uppercase().replace('|', " ")));
    }
    let purpose = Purpose::of(command, args);
    if rules.ledger.is_plain() {
        // The usual case: nothing was said of any key.
        return match purpose {
            Purpose::Exclusive => Err(MergeRefusal::Exclusive(command.name.to_uppercase())),
            _ => Ok(Course::Merge),
        };
    }
    let mut positions = Vec::new();
    if command.key_positions(args, &mut positions).is_err() {
        // It will say itself what is wrong with it.
        return Ok(Course::Merge);
    }
    let mut course = Course::Merge;
    for position in positions {
        match rules.of_key(purpose, args.get(position)) {
            Ok(Course::Merge) => {}
            Ok(other) => course = other,
            Err(MergeRefusal::Exclusive(_)) => {
                return Err(MergeRefusal::Exclusive(command.name.to_uppercase()));
            }
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(course)
}

/// What a write wants of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// To write it.
    Write,
    /// To write it as only one caller can.
    Exclusive,
    /// To add one or more: what ids are got by, too.
    Up,
    /// To take one or more away.
    Down,
    /// `BC.*`.
    Counter,
    /// `SEQ.*`.
    Ids,
}

impl Purpose {
    fn of(command: &Command, args: &Args<'_>) -> Self {
        let says = |word: &[u8]| args.tail(3).iter().any(|it| it.eq_ignore_ascii_case(word));
        match command.name {
            "incr" | "incrby" => Self::Up,
            "decr" | "decrby" => Self::Down,
            "setnx" | "msetnx" | "hsetnx" | "renamenx" | "move" => Self::Exclusive,
            "set" if args.len() > 3 && (says(b"nx") || says(b"xx")) => Self::Exclusive,
            "copy" if !says(b"replace") => Self::Exclusive,
            name if name.starts_with("bc.") => Self::Counter,
            name if name.starts_with("seq.") => Self::Ids,
            _ => Self::Write,
        }
    }
}

/// What a key is.
enum Nature {
    Plain(Policy),
    Counter,
    Sequence,
}

impl Rules<'_> {
    /// Whether and how a key is written.
    ///
    /// # Errors
    /// As [`MergeRefusal`] says.
    pub(crate) fn of_key(self, purpose: Purpose, name: &[u8]) -> Result<Course, MergeRefusal> {
        let policy = self.ledger.policies().of(name);
        match policy {
            Policy::Owner(owner) if owner != self.side => return Err(MergeRefusal::Owner(owner)),
            Policy::Refuse => return Err(MergeRefusal::Refused),
            _ => {}
        }
        match (self.nature(policy, name), purpose) {
            (Nature::Counter, Purpose::Counter) | (Nature::Sequence, Purpose::Ids) => {
                Ok(Course::Merge)
            }
            (Nature::Counter, Purpose::Up | Purpose::Down) => Ok(Course::Bounded),
            (Nature::Sequence, Purpose::Up) => Ok(Course::Sequence),
            (Nature::Counter, _) => Err(MergeRefusal::Bounded),
            (Nature::Sequence, _) => Err(MergeRefusal::Sequence),
            (Nature::Plain(Policy::Lww), Purpose::Exclusive) => Ok(Course::Exclusive),
            (Nature::Plain(Policy::Merge), Purpose::Exclusive) => {
                Err(MergeRefusal::Exclusive(String::new()))
            }
            (Nature::Plain(_), _) => Ok(Course::Merge),
        }
    }

    /// What is a counter stays one, whatever its policy says later.
    fn nature(self, policy: Policy, name: &[u8]) -> Nature {
        let key = Key { db: self.db, name: name.into() };
        if self.ledger.counter(&key).is_some() {
            Nature::Counter
        } else if self.ledger.sequence(&key).is_some() {
            Nature::Sequence
        } else {
            match policy {
                Policy::Bounded { .. } => Nature::Counter,
                Policy::Seq(_) => Nature::Sequence,
                policy => Nature::Plain(policy),
            }
        }
    }
}
