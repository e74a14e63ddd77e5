//! Changes of a record: granted by the keeper, kept by the store.

use tandem_switch::{Change, Record, RecordState};
use tandem_types::NodeId;

use super::Witness;
use crate::keeper::Granted;
use crate::store::{WriteError, new_life};
use crate::wire::Answer;

impl Witness {
    pub(super) fn change(&mut self, name: &str, change: &Change) -> Answer {
        let now = self.now();
        let Some(pair) = self.pairs.get_mut(name) else {
            return Answer::Refused { reason: "the witness does not know the pair".to_owned() };
        };
        let granted = match new_life() {
            Ok(life) => pair.change(change, now, life),
            Err(_) => Granted::Later("the witness' system gives no random numbers"),
        };
        let (revision, record) = match granted {
            Granted::Lost => return Answer::Lost(pair.view()),
            Granted::Later(why) => return Answer::Refused { reason: why.to_owned() },
            Granted::Keep { revision, record } => (revision, record),
        };
        match self.store.write(name, revision, &record) {
            Ok(()) => {
                if self.full.remove(name) {
                    tracing::info!("pair {name}: there is space for its record again");
                }
                tracing::info!("pair {name}: {}", words(&record));
                pair.kept(revision, record);
                Answer::Won(revision)
            }
            // What is kept is known, so this is a refusal and no reason to leave all other pairs alone. Said once:
            // the node asks again several times a second.
            Err(error @ WriteError::NoSpace { .. }) => {
                if self.full.insert(name.to_owned()) {
                    tracing::error!(
                        "the record of pair {name} stays as it is: {error}; make room, and the change that \
                         its node asks for is made"
                    );
                }
                Answer::Refused { reason: format!("the witness cannot keep the record: {error}") }
            }
            Err(WriteError::Unknown(error)) => {
                // What is on disk is not known: a process that starts anew reads it.
                tracing::error!("keep the record of pair {name}: {error}");
                std::process::exit(1);
            }
        }
    }

    /// A record that could not be read may have been moved away or put right by a person.
    pub(super) fn look_again(&mut self, name: &str) {
        let Some(pair) = self.pairs.get_mut(name).filter(|pair| pair.is_unreadable()) else {
            return;
        };
        let record = self.store.read(name);
        if !matches!(record, RecordState::Unreadable { .. }) {
            tracing::warn!("pair {name}: the file that could not be read is gone or replaced");
            pair.found(record);
            self.tell(name);
        }
    }
}

fn words(record: &Record) -> String {
    let set: Vec<&str> = [NodeId::A, NodeId::B]
        .into_iter()
        .filter(|&node| record.members[node].is_some())
        .map(letter)
        .collect();
    let (epoch, primary) = (record.epoch, letter(record.primary));
    format!("epoch {epoch}, primary {primary}, in sync {}", set.join(" and "))
}

/// The witness does not know the names of the nodes.
const fn letter(node: NodeId) -> &'static str {
    match node {
        NodeId::A => "a",
        NodeId::B => "b",
    }
}
