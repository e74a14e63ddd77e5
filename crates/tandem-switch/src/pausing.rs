//! A person's pause or its end, until it is known whether the other node has heard it.

use std::time::Duration;

use tandem_types::Monotonic;

use crate::{Output, Ticket};

/// A round trip and two disks; nobody waits longer to be told that it was not heard.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who waits for an answer.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Pausing {
    waiting: Vec<Waiting>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Waiting {
    ticket: Ticket,
    on: bool,
    /// It was so before.
    already: bool,
    deadline: Monotonic,
}

/// Whether the other node has this on its disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    /// It says so.
    Heard,
    /// It may be on its way.
    NotYet,
    /// It is not connected.
    Unreached,
}

impl Pausing {
    /// `on`: a pause, else its end.
    pub(crate) fn ask(&mut self, now: Monotonic, ticket: Ticket, on: bool, already: bool) {
        let deadline = now.plus(PATIENCE);
        self.waiting.push(Waiting { ticket, on, already, deadline });
    }

    /// Answers who need not wait any longer. `peer`: "node b".
    pub(crate) fn tend(&mut self, now: Monotonic, told: Told, peer: &str, out: &mut Vec<Output>) {
        self.waiting.retain(|&waiting| {
            let waits = told == Told::NotYet && now < waiting.deadline;
            if !waits {
                let text = waiting.words(told, peer);
                out.push(Output::Answer { ticket: waiting.ticket, answer: Ok(text) });
            }
            waits
        });
    }

    /// When somebody has waited for long enough.
    pub(crate) fn deadline(&self) -> Option<Monotonic> {
        self.waiting.iter().map(|it| it.deadline).min()
    }
}

impl Waiting {
    fn words(self, told: Told, peer: &str) -> String {
        let what = match (self.on, self.already) {
            (true, false) => "paused",
            (true, true) => "paused already",
            (false, false) => "resumed",
            (false, true) => "not paused",
        };
        let how = match told {
            Told::Heard => "",
            Told::NotYet => " has not confirmed it",
            Told::Unreached => " is not connected",
        };
        match (told, self.on) {
            (Told::Heard, true) => format!(
                "{what}: nothing is decided automatically on either node; what keeps data safe goes on"
            ),
            (Told::Heard, false) if self.already => what.to_owned(),
            (Told::Heard, false) => format!("{what}: decisions are taken again"),
            (Told::NotYet | Told::Unreached, true) => format!(
                "{what} on this node only: {peer}{how}, and may still decide automatically until it hears of it on the link"
            ),
            (Told::NotYet | Told::Unreached, false) => format!(
                "{what} on this node only: {peer}{how}, and decides nothing while it is paused, until it hears of it on the link"
            ),
        }
    }
}
