//! What a node of a pair with two writers does not do, and why.
//!
//! Some commands promise that only one caller succeeds. Two nodes cannot both keep that promise, so it is not
//! made, unless the key's policy says whose it is.

use tandem_merge::policy::{Policies, Policy};
use tandem_resp::Args;
use tandem_types::NodeId;

use crate::command::Command;

/// How a command is to be run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Course {
    /// As with one writer; its operations are merged.
    Merge,
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
}

impl MergeRefusal {
    /// A transaction that watched keys: a write on the other node does not touch them.
    pub fn watched() -> Self {
        Self::Exclusive("EXEC after WATCH".into())
    }
}

/// Whether and how the node on `side` runs a write.
///
/// # Errors
/// As [`MergeRefusal`] says; nothing was done.
pub fn course(
    command: &Command,
    args: &Args<'_>,
    policies: &Policies,
    side: NodeId,
) -> Result<Course, MergeRefusal> {
    if !command.is_write() {
        return Ok(Course::Merge);
    }
    let mut positions = Vec::new();
    if command.key_positions(args, &mut positions).is_err() {
        // It will say itself what is wrong with it.
        return Ok(Course::Merge);
    }
    let exclusive = is_exclusive(command, args);
    let mut course = Course::Merge;
    for position in positions {
        match policies.of(args.get(position)) {
            Policy::Merge if exclusive => {
                return Err(MergeRefusal::Exclusive(command.name.to_uppercase()));
            }
            Policy::Merge | Policy::Lww => {}
            Policy::Owner(owner) if owner == side => {}
            Policy::Owner(owner) => return Err(MergeRefusal::Owner(owner)),
            Policy::Refuse => return Err(MergeRefusal::Refused),
            Policy::Bounded { .. } if is_addition(command) => course = Course::Bounded,
            Policy::Bounded { .. } => return Err(MergeRefusal::Bounded),
            Policy::Seq(_) if matches!(command.name, "incr" | "incrby") => {
                course = Course::Sequence;
            }
            Policy::Seq(_) => return Err(MergeRefusal::Sequence),
        }
    }
    Ok(course)
}

/// Only one caller may succeed.
fn is_exclusive(command: &Command, args: &Args<'_>) -> bool {
    let says = |word: &[u8]| args.tail(3).iter().any(|it| it.eq_ignore_ascii_case(word));
    match command.name {
        "setnx" | "msetnx" | "hsetnx" | "renamenx" | "move" => true,
        "set" => says(b"nx") || says(b"xx"),
        "copy" => !says(b"replace"),
        _ => false,
    }
}

fn is_addition(command: &Command) -> bool {
    matches!(command.name, "incr" | "incrby" | "decr" | "decrby")
}
