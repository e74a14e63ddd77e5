//! Racing writes on one value: a string, a field of a hash, a score.

use super::{here, same_result};
use crate::conflict::{Kind, Party};
use crate::index::{Assigned, Chain, ScoreChain, What};
use crate::item::Bytes;
use crate::number::with_added;
use crate::op::{Added, Origin, Patch};
use crate::planted::{Rule, holds};
use crate::score::Score;

/// What the peer's record does to the value.
pub(super) enum Incoming<'r> {
    /// It is this.
    Value(&'r Bytes),
    /// It is gone.
    Gone,
    /// More of it.
    Added(Added),
    /// Part of it is other.
    Patch(&'r Patch),
}

/// A kind of conflict, who won, who lost.
pub(super) type Decision = (Kind, Party, Party);

/// The value after a race.
#[derive(Default)]
pub(super) enum After {
    /// As it was.
    #[default]
    Same,
    /// This, or nothing.
    Now(Option<Bytes>),
}

impl After {
    /// The value, if it was `current`.
    pub(super) fn or(self, current: Option<&[u8]>) -> Option<Bytes> {
        match self {
            Self::Same => current.map(Into::into),
            Self::Now(value) => value,
        }
    }
}

/// What the race came to.
#[derive(Default)]
pub(super) struct Outcome {
    /// The value.
    pub(super) value: After,
    /// The own whole value must be written again.
    pub(super) reassert: bool,
    pub(super) conflict: Option<Decision>,
}

/// Merges one write into a value. `whole` is the own assignment or deletion of all around it.
pub(super) fn merge(
    origin: &Origin,
    whole: Option<Origin>,
    chain: &mut Chain,
    incoming: &Incoming<'_>,
    current: Option<&[u8]>,
) -> Outcome {
    let seen = origin.seen;
    let gone = whole.map(|origin| Assigned { origin, what: What::Gone });
    let own = chain.assigned_since(seen).cloned().or(gone);
    match incoming {
        Incoming::Value(theirs) => assigned(origin, own, chain, theirs, current),
        Incoming::Gone => deleted(origin, own, chain, current),
        Incoming::Added(added) => self::added(origin, own, chain, *added, current),
        Incoming::Patch(patch) => patched(origin, own, chain, patch, current),
    }
}

fn assigned(
    origin: &Origin,
    own: Option<Assigned>,
    chain: &Chain,
    theirs: &Bytes,
    current: Option<&[u8]>,
) -> Outcome {
    let Some(own) = own else {
        return Outcome {
            value: After::Now(on_top(Some(theirs), chain, origin)),
            ..Outcome::default()
        };
    };
    let own_wins = own.origin.rank().beats(origin.rank());
    let their_party = Party::new(origin, Some(theirs));
    let own_value = match &own.what {
        What::Value(value) => Some(value.as_ref()),
        What::Patched => current,
        What::Gone => None,
    };
    let own_party = Party::new(&own.origin, own_value);
    match &own.what {
        What::Gone if holds(Rule::UpdateBeatsDelete) || !own_wins => Outcome {
            value: After::Now(on_top(Some(theirs), chain, origin)),
            conflict: Some((Kind::DeleteUpdate, their_party, own_party)),
            ..Outcome::default()
        },
        What::Gone => Outcome::default(),
        What::Patched if own_wins => Outcome {
            value: After::Same,
            reassert: true,
            conflict: Some((Kind::Lww, own_party, their_party)),
        },
        What::Value(value) if own_wins => Outcome {
            value: if holds(Rule::OwnValueOnly) {
                After::Now(on_top(Some(value), chain, origin))
            } else {
                After::Same
            },
            conflict: (value != theirs).then_some((Kind::Lww, own_party, their_party)),
            ..Outcome::default()
        },
        What::Patched | What::Value(_) => Outcome {
            value: After::Now(on_top(Some(theirs), chain, origin)),
            conflict: (own_value != Some(theirs)).then_some((Kind::Lww, their_party, own_party)),
            ..Outcome::default()
        },
    }
}

fn deleted(
    origin: &Origin,
    own: Option<Assigned>,
    chain: &Chain,
    current: Option<&[u8]>,
) -> Outcome {
    let loser = Party::new(origin, None);
    let last_added = chain.added_since(origin.seen).last().map(|(own, _)| Party::new(own, current));
    match own {
        Some(Assigned { what: What::Patched, origin: own }) => Outcome {
            value: After::Same,
            reassert: true,
            conflict: Some((Kind::DeleteUpdate, Party::new(&own, current), loser)),
        },
        Some(Assigned { what: What::Value(value), origin: own })
            if holds(Rule::UpdateBeatsDelete) || own.rank().beats(origin.rank()) =>
        {
            Outcome {
                value: After::Now(on_top(Some(&value), chain, origin)),
                conflict: Some((Kind::DeleteUpdate, Party::new(&own, Some(&value)), loser)),
                ..Outcome::default()
            }
        }
        _ => Outcome {
            value: After::Now(on_top(None, chain, origin)),
            conflict: last_added.map(|winner| (Kind::DeleteUpdate, winner, loser)),
            ..Outcome::default()
        },
    }
}

fn added(
    origin: &Origin,
    own: Option<Assigned>,
    chain: &mut Chain,
    added: Added,
    current: Option<&[u8]>,
) -> Outcome {
    let (value, counted) = with_added(current, Some(added.delta));
    let result = added.result.to_text();
    let theirs = || Party::new(origin, Some(&result));
    let own_added = chain.added_since(origin.seen);
    let same = same_result(own_added, added).filter(|_| !chain.duplicate_told).copied();
    let conflict = match (&own, same) {
        (_, Some(own)) => {
            chain.duplicate_told = true;
            Some((Kind::DupCounter, Party::new(&own, Some(&result)), theirs()))
        }
        (Some(Assigned { what: What::Gone, origin: own }), None) if current.is_none() => {
            Some((Kind::DeleteUpdate, theirs(), Party::new(own, None)))
        }
        (Some(own), None) if !counted => {
            Some((Kind::Lww, Party::new(&own.origin, current), theirs()))
        }
        _ => None,
    };
    let reassert = own.is_some_and(|own| own.what == What::Patched);
    Outcome { value: After::Now(value), reassert, conflict }
}

/// The receiver cannot know what a patch made if it has writes of its own that the patch did not see. So
/// nothing changes here; the patch's own side says the whole value again if it wins, which it finds out
/// when those writes reach it.
fn patched(
    origin: &Origin,
    own: Option<Assigned>,
    chain: &Chain,
    patch: &Patch,
    current: Option<&[u8]>,
) -> Outcome {
    let their_party = Party::new(origin, Some(&patch.bytes));
    match own {
        None if chain.added_since(origin.seen).is_empty() => {
            Outcome { value: After::Now(Some(patch.applied_to(current))), ..Outcome::default() }
        }
        Some(Assigned { what: What::Patched, origin: own }) => {
            let own_party = Party::new(&own, current);
            let own_wins = own.rank().beats(origin.rank());
            let (winner, loser) =
                if own_wins { (own_party, their_party) } else { (their_party, own_party) };
            Outcome {
                value: After::Same,
                reassert: own_wins,
                conflict: Some((Kind::Lww, winner, loser)),
            }
        }
        Some(Assigned { what: What::Value(value), origin: own }) => {
            let own_party = Party::new(&own, Some(&value));
            if own.rank().beats(origin.rank()) {
                // The patch saw the peer's additions before it: they go.
                let value = After::Now(on_top(Some(&value), chain, origin));
                let conflict = Some((Kind::Lww, own_party, their_party));
                return Outcome { value, conflict, ..Outcome::default() };
            }
            let conflict = Some((Kind::Lww, their_party, own_party));
            Outcome { conflict, ..Outcome::default() }
        }
        Some(Assigned { what: What::Gone, origin: own }) => Outcome {
            conflict: Some((Kind::DeleteUpdate, their_party, Party::new(&own, None))),
            ..Outcome::default()
        },
        None => Outcome::default(),
    }
}

/// A base with the own additions that the record did not see.
fn on_top(base: Option<&[u8]>, chain: &Chain, origin: &Origin) -> Option<Bytes> {
    let sum = chain.sum_since(origin.seen).filter(|_| holds(Rule::AddsSurvive));
    with_added(base, sum).0
}

/// What became of a score.
pub(super) struct ScoreOutcome {
    pub(super) value: Option<Score>,
    pub(super) conflict: Option<Decision>,
}

/// Merges an assignment or deletion of a score.
pub(super) fn merge_score(
    origin: &Origin,
    whole: Option<Origin>,
    chain: Option<&ScoreChain>,
    theirs: Option<f64>,
) -> ScoreOutcome {
    let nothing = ScoreChain::default();
    let chain = chain.unwrap_or(&nothing);
    let own = chain.assigned_since(origin.seen).or(whole.map(|whole| (whole, None)));
    let text = |score: Option<f64>| score.map(|score| score.to_string().into_bytes());
    let party = |origin: &Origin, score| Party::new(origin, text(score).as_deref());
    let their_party = || party(origin, theirs);
    let (base, conflict) = match (own, theirs) {
        (None, theirs) => (theirs, None),
        (Some((_, None)), None) => (None, None),
        (Some((own, None)), Some(_)) => {
            (theirs, Some((Kind::DeleteUpdate, their_party(), party(&own, None))))
        }
        (Some((own, value @ Some(_))), None) => {
            (value, Some((Kind::DeleteUpdate, party(&own, value), their_party())))
        }
        (Some((own, value @ Some(_))), Some(_)) if own.rank().beats(origin.rank()) => {
            (value, Some((Kind::Lww, party(&own, value), their_party())))
        }
        (Some((own, value)), Some(_)) => {
            (theirs, Some((Kind::Lww, their_party(), party(&own, value))))
        }
    };
    let (score, added) = chain.on_top_of(base.unwrap_or_default(), here(origin), origin.seen);
    ScoreOutcome { value: (base.is_some() || added).then_some(score), conflict }
}
