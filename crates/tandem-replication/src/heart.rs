//! Liveness of the link: heartbeats, round trip, silence.
//!
//! Each end sends a heartbeat every fifth of `failure_timeout` and answers the other's at once. TCP says
//! nothing about a peer that is stopped, half-open or cut off without a reset, so silence of *messages*
//! counts; any valid message is a sign of life, because a heartbeat may queue behind a long one.
//!
//! **Not here:** what silence means (`tandem-switch` decides, and never by it alone).

use std::time::Duration;

use tandem_types::Monotonic;

use crate::message::{Beat, Echo};

/// Something the heart must know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Input {
    /// A connection is up (both `Hello` seen); replaces the one before.
    Up,
    /// A heartbeat came.
    Heard(Beat),
    /// Any other valid message came.
    Alive,
    /// The connection is gone.
    Down,
    /// Something that happened before this instant wants to be confirmed by the peer: send one now.
    Ask,
    /// Time passed; at least as often as [`Heart::deadline`] asks.
    Tick,
}

/// Something the surroundings must do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    /// Send a heartbeat with this timing and the node's status as of now.
    Send(Beat),
    /// Our heartbeat, sent at `asked`, was answered: hand the status that came with it to the follower
    /// brain (freshness) and the round trip to the metrics.
    Answered {
        /// When we asked.
        asked: Monotonic,
        /// How long the answer took.
        round_trip: Duration,
    },
    /// Nothing was heard for `failure_timeout`: close the connection, tell the brains.
    Dead {
        /// How long exactly.
        silent: Duration,
    },
}

/// One connection's liveness at a time.
#[derive(Clone, Debug)]
pub struct Heart {
    every: Duration,
    failure_timeout: Duration,
    live: Option<Live>,
    round_trip: Option<Duration>,
    last_heard: Option<Monotonic>,
}

#[derive(Clone, Debug)]
struct Live {
    sent_seq: u64,
    answered_seq: u64,
    next_send: Monotonic,
}

impl Heart {
    /// A heart without a connection.
    pub fn new(settings: &crate::Settings) -> Self {
        Self {
            every: settings.heartbeat_every().max(Duration::from_millis(1)),
            failure_timeout: settings.failure_timeout,
            live: None,
            round_trip: None,
            last_heard: None,
        }
    }

    /// Advances by one input, appending what must be done to `out`.
    pub fn step(&mut self, now: Monotonic, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Up => {
                let live = Live { sent_seq: 0, answered_seq: 0, next_send: now };
                self.live = Some(live);
                self.last_heard = Some(now);
                self.tick(now, out);
            }
            Input::Down => self.live = None,
            Input::Tick => self.tick(now, out),
            Input::Ask => {
                if let Some(live) = &mut self.live {
                    live.next_send = now;
                    self.tick(now, out);
                }
            }
            Input::Alive => {
                if self.live.is_some() {
                    self.last_heard = Some(now);
                }
            }
            Input::Heard(beat) => self.heard(now, beat, out),
        }
    }

    fn heard(&mut self, now: Monotonic, beat: Beat, out: &mut Vec<Output>) {
        let Some(live) = &mut self.live else { return };
        self.last_heard = Some(now);
        match beat.echo {
            None => {
                let echo = Echo { seq: beat.seq, sent: beat.sent };
                out.push(Output::Send(Beat { seq: 0, sent: now, echo: Some(echo) }));
            }
            // An echo of what was never sent, or of a time that has not come, proves nothing.
            Some(echo) if echo.seq > live.sent_seq || echo.sent > now => {}
            Some(echo) if echo.seq <= live.answered_seq => {}
            Some(echo) => {
                live.answered_seq = echo.seq;
                let round_trip = now.since(echo.sent);
                self.round_trip = Some(smooth(self.round_trip, round_trip));
                out.push(Output::Answered { asked: echo.sent, round_trip });
            }
        }
    }

    fn tick(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let (Some(live), Some(heard)) = (&mut self.live, self.last_heard) else { return };
        let silent = now.since(heard);
        if silent >= self.failure_timeout {
            self.live = None;
            out.push(Output::Dead { silent });
        } else if now >= live.next_send {
            live.sent_seq += 1;
            live.next_send = now.plus(self.every);
            out.push(Output::Send(Beat { seq: live.sent_seq, sent: now, echo: None }));
        }
    }

    /// When a [`Input::Tick`] is due.
    pub fn deadline(&self) -> Option<Monotonic> {
        let live = self.live.as_ref()?;
        Some(live.next_send.min(self.last_heard?.plus(self.failure_timeout)))
    }

    /// Whether a connection is up and not silent.
    pub const fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Smoothed time from heartbeat to answer.
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// When the peer was last heard, also of a connection that is gone.
    pub const fn last_heard(&self) -> Option<Monotonic> {
        self.last_heard
    }
}

/// TCP's smoothing (RFC 6298): an eighth of the new sample.
fn smooth(old: Option<Duration>, sample: Duration) -> Duration {
    old.map_or(sample, |old| (old * 7 + sample) / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Monotonic {
        Monotonic::from_millis(ms)
    }

    /// `failure_timeout` is 100 ms, so a heartbeat is due every 20.
    fn heart() -> Heart {
        let failure_timeout = Duration::from_millis(100);
        Heart::new(&crate::Settings { failure_timeout, ..crate::Settings::default() })
    }

    fn step(heart: &mut Heart, ms: u64, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        heart.step(at(ms), input, &mut out);
        out
    }

    #[test]
    fn heartbeats_come_five_times_within_the_time_that_counts_as_failure() {
        let mut heart = heart();
        let mut sent = 0;
        let mut now = 1_000;
        sent += step(&mut heart, now, Input::Up).len();
        while now < 1_080 {
            now += 1;
            sent += step(&mut heart, now, Input::Tick).len();
        }
        assert_eq!(sent, 5);
        assert_eq!(heart.deadline(), Some(at(1_100)));
    }

    #[test]
    fn silence_kills_the_link_and_any_message_is_a_sign_of_life() {
        let mut heart = heart();
        step(&mut heart, 0, Input::Up);
        step(&mut heart, 90, Input::Alive);
        assert!(!step(&mut heart, 189, Input::Tick).iter().any(is_dead));
        assert!(step(&mut heart, 190, Input::Tick).iter().any(is_dead));
        assert!(!heart.is_live());
        assert!(step(&mut heart, 500, Input::Tick).is_empty(), "it dies once");
    }

    fn is_dead(output: &Output) -> bool {
        matches!(output, Output::Dead { .. })
    }

    #[test]
    fn a_heartbeat_is_answered_at_once_with_its_own_number_and_time() {
        let mut heart = heart();
        step(&mut heart, 0, Input::Up);
        let asked = Beat { seq: 7, sent: at(55), echo: None };
        let out = step(&mut heart, 3, Input::Heard(asked));
        let echo = Some(Echo { seq: 7, sent: at(55) });
        assert_eq!(out, [Output::Send(Beat { seq: 0, sent: at(3), echo })]);
    }

    #[test]
    fn only_an_answer_to_what_was_asked_counts_and_only_once() {
        let mut heart = heart();
        step(&mut heart, 10, Input::Up);
        let answer = |seq, sent| {
            Input::Heard(Beat { seq: 0, sent: at(9), echo: Some(Echo { seq, sent: at(sent) }) })
        };
        assert!(step(&mut heart, 14, answer(2, 10)).is_empty(), "never asked");
        assert!(step(&mut heart, 14, answer(1, 99)).is_empty(), "from the future");
        let want = Output::Answered { asked: at(10), round_trip: Duration::from_millis(4) };
        assert_eq!(step(&mut heart, 14, answer(1, 10)), [want]);
        assert!(step(&mut heart, 15, answer(1, 10)).is_empty(), "twice");
        assert_eq!(heart.round_trip(), Some(Duration::from_millis(4)));
    }
}
