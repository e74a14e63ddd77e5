//! What this node waits for, who can help, and what forcing would cost (R13).

use tandem_types::{Monotonic, PairId, Role};

use super::{Manual, Phase};
use crate::{Gap, Timer, Why};

impl Manual {
    /// Acknowledged writes that a promotion of this node could lose now.
    pub fn gap(&self, now: Monotonic) -> Gap {
        if self.was_primary() {
            // It has all of its own writes; whether the peer was promoted since, it cannot know,
            // unless it was alone in the set.
            let alone = self.state.in_sync.is_some_and(|set| !set.is_both());
            let sure = self.greeting().is_some() || !self.may_have_been_fenced();
            return if alone && sure { Gap::Zero } else { Gap::Unknown };
        }
        if self.holds_everything() && !self.piloted.doubt {
            return Gap::Zero;
        }
        match self.heard {
            Some(heard) => Gap::AtLeast {
                records: heard.appended_end.records_since(self.own.durable_end).unwrap_or(0),
                silent: Some(now.since(heard.at)),
            },
            None => Gap::Unknown,
        }
    }

    /// The text of a refused promotion: what could be lost, and what to do.
    pub(super) fn refusal_for(&self, gap: Gap) -> String {
        let peer = self.settings.peer_name();
        let covers = match gap {
            Gap::Zero | Gap::Unknown => String::new(),
            Gap::AtLeast { records, .. } => {
                format!(" `--accept-loss {}` accepts that,", records.max(1))
            }
        };
        format!(
            "refused: {gap}. Bring node {peer} back (nothing is lost then);{covers} `--force` accepts any loss"
        )
    }

    /// What this node is waiting for, as of `now`.
    pub fn why(&self, now: Monotonic) -> Why {
        match self.phase {
            Phase::Primary { .. } => self.why_primary(now),
            Phase::Following { .. } => self.why_following(now),
            Phase::Failed => Why {
                now: "the disk failed: this node serves nothing and is about to exit".to_owned(),
                ..Why::default()
            },
            Phase::Starting { reign, .. } => Why {
                now: format!("becoming primary of epoch {}", reign.epoch),
                waiting_for: Some("the start of the reign to be on this node's disk".to_owned()),
                who: Some("this node's disk".to_owned()),
                ..Why::default()
            },
            Phase::Giving { reign, .. } => Why {
                now: format!("handing over to node {}", self.settings.names[reign.primary]),
                waiting_for: Some("the hand-over to be on this node's disk".to_owned()),
                who: Some("this node's disk".to_owned()),
                ..Why::default()
            },
            Phase::Claiming { epoch, .. } => Why {
                now: format!("about to be primary again, of epoch {epoch}"),
                waiting_for: Some("the peer's consent".to_owned()),
                who: Some(self.peer_words()),
                ..Why::default()
            },
            Phase::Joining => self.why_joining(now),
        }
    }

    /// One line for status pages; `None`: nothing is waited for.
    pub fn waiting_for(&self, now: Monotonic) -> Option<String> {
        self.why(now).waiting_for
    }

    fn peer_words(&self) -> String {
        format!("node {}", self.settings.peer_name())
    }

    fn why_primary(&self, now: Monotonic) -> Why {
        let peer = self.peer_words();
        if let Phase::Primary { hold: Some(hold), .. } = self.phase {
            return Why {
                now: "primary; writes are held for a planned change".to_owned(),
                waiting_for: Some("the standby to have everything, durable and applied".to_owned()),
                who: Some(peer),
                timers: vec![Timer {
                    name: "the change is called off",
                    left: hold.deadline.since(now),
                }],
                forcing: None,
            };
        }
        let stricter = self.stricter_words();
        if self.is_stalled() {
            return Why {
                now: format!(
                    "primary, but the peer is gone and is in the in-sync set: nothing is acknowledged{stricter}"
                ),
                waiting_for: Some("the peer, which holds every acknowledged write".to_owned()),
                who: Some(format!("{peer} by coming back, or a person by `tandem solo`")),
                timers: Vec::new(),
                forcing: Some(format!(
                    "`tandem solo`: goes on alone; writes then live on one disk, and if {peer} was or is promoted the two histories fork"
                )),
            };
        }
        let now = match (self.needs_peer(), self.is_in_sync()) {
            (true, true) => "primary, in sync with its standby",
            (true, false) => "primary; the standby is about to be in sync",
            (false, _) => "primary, alone in the in-sync set: writes live on one disk",
        };
        Why { now: format!("{now}{stricter}"), ..Why::default() }
    }

    /// Why it answers by more than the file says; empty if it does not.
    fn stricter_words(&self) -> String {
        let (wanted, kept) = (self.settings.acknowledge, self.acknowledge());
        if kept == wanted {
            return String::new();
        }
        format!(
            "; {} relies on \"{}\" until it has been told that this node's file says \"{}\", and writes wait for it so long",
            self.peer_words(),
            kept.word(),
            wanted.word()
        )
    }

    fn why_following(&self, now: Monotonic) -> Why {
        let peer = self.peer_words();
        let gap = self.gap(now);
        if self.peer.is_none() {
            let cost = if gap == Gap::Zero { String::new() } else { format!(": {gap}") };
            return Why {
                now: format!("follows {peer}, which is not reachable"),
                waiting_for: Some(format!("{peer}, or a person's `tandem promote`")),
                who: Some(format!("{peer}, or a person")),
                timers: Vec::new(),
                forcing: Some(format!("`tandem promote` makes this node primary{cost}")),
            };
        }
        if self.is_member() && !self.copying {
            let but = if self.holds_everything() {
                String::new()
            } else {
                format!("; {peer} answers by \"local\": a promotion may lose what it answered last")
            };
            return Why { now: format!("follows {peer}, in sync{but}"), ..Why::default() };
        }
        Why {
            now: format!("follows {peer}, not in sync yet"),
            waiting_for: Some("to have everything that the primary acknowledged".to_owned()),
            who: Some(peer),
            timers: Vec::new(),
            forcing: Some(format!("promotion: {gap}")),
        }
    }

    fn why_joining(&self, now: Monotonic) -> Why {
        if self.stopping {
            return Why { now: "stopping".to_owned(), ..Why::default() };
        }
        match (self.state.is_empty(), self.greeting()) {
            (true, greeting) => {
                self.why_empty(greeting.is_some_and(|it| it.pair_id != PairId::NONE))
            }
            (false, Some(greeting)) if greeting.role == Role::Primary => Why {
                now: format!("{} is primary; beginning to follow it", self.peer_words()),
                ..Why::default()
            },
            (false, Some(greeting)) if self.was_primary() && !self.may_have_led(greeting) => Why {
                now: format!(
                    "this directory is not the one that was primary (a backup, or other data in its place), and {} has the pair's data",
                    self.peer_words()
                ),
                waiting_for: Some(format!("{} to be primary", self.peer_words())),
                who: Some(format!("a person, by `tandem promote` on {}", self.peer_words())),
                ..Why::default()
            },
            (false, Some(greeting)) if !self.has_led(greeting) => {
                self.why_no_primary("connected with other data than that primary had")
            }
            (false, Some(_)) if self.was_primary() => Why {
                now: "was primary; the peer is connected".to_owned(),
                waiting_for: Some("the peer's consent to a new reign".to_owned()),
                who: Some(self.peer_words()),
                ..Why::default()
            },
            (false, Some(_)) => self.why_no_primary("connected, but not primary"),
            (false, None) if self.was_primary() => self.why_was_primary(now),
            (false, None) => self.why_no_primary("not reachable"),
        }
    }

    fn why_empty(&self, peer_has_data: bool) -> Why {
        let peer = self.peer_words();
        let waiting_for = if peer_has_data {
            format!("{peer}, which has data, to be primary")
        } else if self.settings.initial_primary == self.settings.node {
            format!("{peer} to connect and to be empty too")
        } else {
            format!("{peer}, which begins a new pair (initial_primary)")
        };
        Why {
            now: "the data directory is empty".to_owned(),
            waiting_for: Some(waiting_for),
            who: Some(peer.clone()),
            timers: Vec::new(),
            forcing: Some(format!(
                "`tandem solo` begins a new pair here; if {peer} has data of another pair, the two will refuse each other"
            )),
        }
    }

    fn why_was_primary(&self, now: Monotonic) -> Why {
        let peer = self.peer_words();
        if self.may_start_alone() {
            let until = self.alone_since.plus(self.settings.failure_timeout);
            return Why {
                now: "was primary and may go on alone".to_owned(),
                waiting_for: Some(format!("{peer} to say whether it has been promoted")),
                who: Some(peer),
                timers: vec![Timer { name: "goes on alone", left: until.since(now) }],
                forcing: Some("`tandem solo` goes on alone at once".to_owned()),
            };
        }
        Why {
            now: format!(
                "was primary, and {peer} is in the in-sync set: it may have been promoted"
            ),
            waiting_for: Some(format!("{peer} to say whether it has been promoted")),
            who: Some(format!("{peer} by connecting, or a person by `tandem solo`")),
            timers: Vec::new(),
            forcing: Some(format!(
                "`tandem solo`: this node serves alone; if {peer} was promoted, the two histories fork"
            )),
        }
    }

    fn why_no_primary(&self, peer_is: &str) -> Why {
        let peer = self.peer_words();
        Why {
            now: format!("{peer}, the last primary, is {peer_is}"),
            waiting_for: Some(format!(
                "{peer} to be primary again, or a person's `tandem promote`"
            )),
            who: Some(format!("{peer}, or a person")),
            timers: Vec::new(),
            forcing: Some(format!(
                "`tandem promote` makes this node primary: {}",
                self.gap_words()
            )),
        }
    }

    fn gap_words(&self) -> String {
        let both = self.durable.in_sync.is_some_and(|set| set.is_both());
        if both && self.holds_everything() {
            Gap::Zero.to_string()
        } else {
            "writes that are not here would be lost".to_owned()
        }
    }
}
