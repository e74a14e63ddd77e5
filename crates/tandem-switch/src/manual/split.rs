//! Both nodes served: who goes on (`split_brain`). The loser's records are saved before they are cut.

use tandem_types::{Epoch, Lsn, Role};

use super::{Manual, Phase};
use crate::message::Greeting;
use crate::{DemoteCause, Event, Output, PromoteCause, SplitBrain};

/// Who goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Winner {
    This,
    Peer,
    Nobody,
}

impl Manual {
    /// Two reigns are served at once. Both nodes apply the same rule to the same facts; should a fact have
    /// moved between the two looks, the later epoch still decides.
    pub(super) fn settle_split(&mut self, theirs: &Greeting, out: &mut Vec<Output>) {
        let Phase::Primary { reign, .. } = self.phase else { return };
        let Some(their_reign) = theirs.reign.filter(|_| theirs.role == Role::Primary) else {
            return;
        };
        if their_reign == reign {
            return;
        }
        let winner = self.winner((their_reign.epoch, theirs.appended_end), reign.epoch);
        let named =
            |node: &str| format!("node {node} goes on; the other one's writes since are saved");
        let outcome = match winner {
            Winner::This => named(self.settings.name()),
            Winner::Peer => named(self.settings.peer_name()),
            Winner::Nobody => {
                "neither goes on until a person promotes one (`tandem promote --force`)".to_owned()
            }
        };
        match winner {
            // Our greeting tells the other one, which obeys this epoch or a later one.
            Winner::This if reign.epoch >= their_reign.epoch => {}
            Winner::This => {
                // Nobody obeys an epoch that is not the latest: a new one, of the same history.
                self.demote(DemoteCause::SplitBrain, out);
                self.state.epoch_seen = self.state.epoch_seen.max(theirs.epoch_seen);
                self.start_alone(PromoteCause::WonSplit, out);
            }
            Winner::Peer if theirs.epoch_seen > reign.epoch => {
                self.saw_epoch(theirs.epoch_seen, out);
            }
            Winner::Peer => self.demote(DemoteCause::SplitBrain, out),
            Winner::Nobody => {
                self.demote(DemoteCause::SplitBrain, out);
                self.split = true;
            }
        }
        out.push(Output::Event(Event::SplitBrain { outcome }));
    }

    fn winner(&self, (epoch, end): (Epoch, Lsn), own: Epoch) -> Winner {
        let of = |wins: bool| if wins { Winner::This } else { Winner::Peer };
        let preferred = self.settings.initial_primary == self.settings.node;
        let newest = if own == epoch { of(preferred) } else { of(own > epoch) };
        match self.settings.automatic.unaided.split_brain {
            SplitBrain::Newest => newest,
            SplitBrain::MostWrites if end == self.own.appended_end => newest,
            SplitBrain::MostWrites => of(self.own.appended_end > end),
            SplitBrain::Prefer => of(preferred),
            SplitBrain::Manual => Winner::Nobody,
        }
    }
}
