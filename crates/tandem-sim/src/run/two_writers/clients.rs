//! The clients of two writers, between what they ask and what they are told.

use tandem_node::ConnId;
use tandem_resp::Value;

use super::{Deed, Ends};
use crate::plan::MS;
use crate::run::play::{Call, Player};
use crate::run::two_writers::deeds::POLICIES;
use crate::run::{Arrived, Run};

/// Words of refusals that say something about the request, not about the node.
const OF_THE_REQUEST: [&str; 6] =
    ["NORIGHTS ", "SEQDRY ", "PPLINK ", "PPOWNER ", "PPDIVERGED ", "PPREFUSED "];
/// Words of those that send a client to the other node.
const OF_THE_NODE: [&str; 5] = ["NOTPRIMARY ", "NOREPLICAS ", "MISCONF ", "LOADING ", "STANDBY "];

impl Run {
    /// The next call of a client that is connected.
    pub(in crate::run) fn next_deed(&mut self, index: usize) -> Deed {
        self.next_value += 1;
        let value = self.next_value;
        let host = self.players[index].host().unwrap_or(0);
        let missing = (0..POLICIES.len()).find(|number| !self.knows_policy(host, *number));
        if let Some(number) = missing
            && index == 0
            && self.random.once_in(2)
        {
            return Deed::Policy(number);
        }
        loop {
            let deed = Deed::draw(&mut self.random, value);
            // Before its policy is known, the key would be a plain one.
            if deed.policy().is_none_or(|number| self.knows_policy(host, number)) {
                return deed;
            }
        }
    }

    /// Bytes of a client are about to be given to a node: where that is.
    pub(in crate::run) fn asked_by(
        &self,
        host: usize,
        arrived: &Arrived,
    ) -> Option<(ConnId, Ends)> {
        let Arrived::Bytes { conn, .. } = arrived else { return None };
        let ends = self.ends(host).filter(|_| self.plan.both_write())?;
        Some((*conn, ends))
    }

    /// They were.
    pub(in crate::run) fn was_asked(&mut self, host: usize, conn: ConnId, before: Ends) {
        let stand = self.note_stand(host, before);
        let at = (host, conn);
        if let Some(player) = self.players.iter_mut().find(|it| it.is_waiting_at(at)) {
            player.stands(stand);
        } else if let Some(deed) = self.watch.account.sent(conn) {
            // Its client waits no more.
            self.watch.account.enter(deed, stand, false);
        }
    }

    pub(in crate::run) fn done_by_writer(&mut self, index: usize, deed: Deed, value: &Value) {
        let Some(host) = self.players[index].host() else { return };
        let stand = self.players[index].stand();
        if deed.writes() {
            self.watch.account.last_write[host] = self.now;
        }
        self.watch.account.enter(deed, stand, true);
        self.watch.account.answered(self.now, host, deed, value);
    }

    pub(in crate::run) fn refused_by_writer(&mut self, index: usize, call: Call, text: &str) {
        self.tally.refused += 1;
        let is = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
        if is(&OF_THE_REQUEST) {
            return;
        }
        if call == Call::Ask {
            return self.watch.account.hear(&Value::Error(text.as_bytes().to_vec()));
        }
        if !is(&OF_THE_NODE) && !text.starts_with("EXECABORT ") {
            self.watch.account.broken(format!("{call:?} was refused: {text}"));
        }
        self.leave(index);
        if !self.random.once_in(3) {
            self.players[index].look_elsewhere();
        }
    }

    /// The client that asks this node the last questions.
    pub(super) fn asker(&mut self, host: usize) -> usize {
        let index = self.plan.clients + host;
        while self.players.len() <= index {
            let player = Player::new(&self.plan, 2);
            self.players.push(player);
        }
        index
    }

    pub(super) fn connect_asker(&mut self, index: usize, host: usize) {
        if self.players[index].host() != Some(host) {
            self.players[index].goes_to(host);
            self.connect_player(index);
            self.run_until(self.now + MS);
        }
    }

    pub(super) fn is_asking(&self, index: usize) -> bool {
        self.players[index].is_busy()
    }
}
