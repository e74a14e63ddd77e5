//! Which attempts count, and in which order: `(now, input) -> outputs`.
//!
//! The switch counts failures in a row, so they are told in the order in which the attempts were begun. The
//! first failure of a row makes this node try its own disk; until that has taken a write, failures are kept
//! back, and if it does not, they are forgotten (a standby with a dead disk sees a dead primary everywhere).
//! A judge that was not asked for long was paused itself, and what ran out meanwhile proves nothing.

use std::collections::VecDeque;
use std::time::Duration;

use tandem_switch::{OwnTrouble, Probed};
use tandem_types::Monotonic;

/// Attempts under way at once: so many connections to the primary at most.
const OPEN_MAX: usize = 32;

/// How this node itself is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Own {
    /// It is not primary: somebody else may be tried.
    Watches,
    /// It serves itself: there is nobody to be tried.
    Serves,
    /// Its data thread did not answer in time.
    Hangs,
}

/// What the judge is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Input {
    /// Time for another attempt.
    Round(Own),
    /// An attempt has ended.
    Ended {
        /// Which.
        number: u64,
        /// How.
        probed: Probed,
    },
    /// This node's own disk took a write in time, or not.
    DiskTried {
        /// It did.
        works: bool,
    },
}

/// What it wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    /// Begin this attempt.
    Try {
        /// Its number.
        number: u64,
        /// The oldest one under way: what that or a later one wrote may be read back.
        oldest: u64,
    },
    /// Try this node's own disk.
    TryDisk,
    /// Tell the switch.
    Tell {
        /// When the attempt was begun.
        asked: Monotonic,
        /// How it ended.
        probed: Probed,
    },
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    number: u64,
    asked: Monotonic,
    ended: Option<Probed>,
}

/// What is known of this node's own disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Disk {
    /// Nothing lately.
    Unknown,
    /// It is being tried.
    Tried,
    /// It took a write at this time.
    Worked(Monotonic),
}

/// Judges attempts.
#[derive(Clone, Debug)]
pub struct Judge {
    /// A write on the own disk proves it for so long.
    disk_lasts: Duration,
    /// Between two inputs there is at most so much, unless this process stood still.
    gap_max: Duration,
    stepped: Option<Monotonic>,
    disk: Disk,
    next: u64,
    open: VecDeque<Attempt>,
    /// Failures that wait for the disk.
    kept_back: Vec<(Monotonic, Probed)>,
}

impl Judge {
    /// Nothing is known yet. A round comes every so often; `silence` is what counts as failure, and how long
    /// a write on the own disk proves it.
    pub fn new(every: Duration, silence: Duration) -> Self {
        Self {
            disk_lasts: silence,
            gap_max: every + silence / 2,
            stepped: None,
            disk: Disk::Unknown,
            next: 0,
            open: VecDeque::new(),
            kept_back: Vec::new(),
        }
    }

    /// Advances by one input, appending what must be done to `out` in order.
    pub fn step(&mut self, now: Monotonic, input: Input, out: &mut Vec<Output>) {
        if self.stepped.replace(now).is_some_and(|before| now.since(before) > self.gap_max) {
            self.open.clear();
            self.judged(now, now, unsure(OwnTrouble::Loop), out);
        }
        match input {
            Input::Round(Own::Watches) => self.begin(now, out),
            Input::Round(Own::Serves) => {
                self.open.clear();
                self.kept_back.clear();
                self.disk = Disk::Unknown;
            }
            Input::Round(Own::Hangs) => self.judged(now, now, unsure(OwnTrouble::Loop), out),
            Input::Ended { number, probed } => self.ended(now, number, probed, out),
            Input::DiskTried { works } => self.disk_tried(now, works, out),
        }
    }

    fn begin(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        if self.open.len() >= OPEN_MAX {
            return;
        }
        let number = self.next;
        self.next += 1;
        self.open.push_back(Attempt { number, asked: now, ended: None });
        let oldest = self.open.front().map_or(number, |first| first.number);
        out.push(Output::Try { number, oldest });
    }

    fn ended(&mut self, now: Monotonic, number: u64, probed: Probed, out: &mut Vec<Output>) {
        // One that was begun for a primary that has changed since is not there any more.
        if let Some(attempt) = self.open.iter_mut().find(|attempt| attempt.number == number) {
            attempt.ended = Some(probed);
        }
        while let Some(&Attempt { asked, ended: Some(probed), .. }) = self.open.front() {
            self.open.pop_front();
            self.judged(now, asked, probed, out);
        }
    }

    fn judged(&mut self, now: Monotonic, asked: Monotonic, probed: Probed, out: &mut Vec<Output>) {
        match probed {
            Probed::Answered { .. } | Probed::Unsure(_) => {
                self.kept_back.clear();
                self.forget_disk();
                out.push(Output::Tell { asked, probed });
            }
            Probed::Refused | Probed::Error | Probed::Wrong | Probed::Slow | Probed::Silent => {
                match self.disk {
                    Disk::Worked(at) if now.since(at) < self.disk_lasts => {
                        out.push(Output::Tell { asked, probed });
                    }
                    Disk::Tried => self.kept_back.push((asked, probed)),
                    Disk::Unknown | Disk::Worked(_) => {
                        self.kept_back.push((asked, probed));
                        self.disk = Disk::Tried;
                        out.push(Output::TryDisk);
                    }
                }
            }
        }
    }

    /// The row is over. A try that is under way goes on: there is never more than one.
    fn forget_disk(&mut self) {
        if self.disk != Disk::Tried {
            self.disk = Disk::Unknown;
        }
    }

    fn disk_tried(&mut self, now: Monotonic, works: bool, out: &mut Vec<Output>) {
        let kept_back = std::mem::take(&mut self.kept_back);
        if works {
            self.disk = Disk::Worked(now);
            let tell = |(asked, probed)| Output::Tell { asked, probed };
            out.extend(kept_back.into_iter().map(tell));
        } else {
            self.disk = Disk::Unknown;
            if let Some(&(asked, _)) = kept_back.last() {
                out.push(Output::Tell { asked, probed: unsure(OwnTrouble::Disk) });
            }
        }
    }
}

const fn unsure(trouble: OwnTrouble) -> Probed {
    Probed::Unsure(trouble)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Probed = Probed::Answered { round_trip: Duration::from_millis(1), wrote: true };
    const WATCHES: Input = Input::Round(Own::Watches);

    const fn at(ms: u64) -> Monotonic {
        Monotonic::from_millis(ms)
    }

    const fn ended(number: u64, probed: Probed) -> Input {
        Input::Ended { number, probed }
    }

    const fn tell(ms: u64, probed: Probed) -> Output {
        Output::Tell { asked: at(ms), probed }
    }

    fn judge() -> Judge {
        Judge::new(Duration::from_millis(10), Duration::from_millis(100))
    }

    /// Inputs at 0, 10, 20 ... ms.
    fn play(script: &[Input]) -> Vec<Output> {
        let mut judge = judge();
        let (mut out, mut ms) = (Vec::new(), 0);
        for &input in script {
            judge.step(at(ms), input, &mut out);
            ms += 10;
        }
        out.retain(|output| !matches!(output, Output::Try { .. }));
        out
    }

    #[test]
    fn what_is_told_and_what_is_not() {
        use Probed::{Error, Refused, Silent};
        let disk = |works| Input::DiskTried { works };
        let cases: [(&str, &[Input], &[Output]); 6] = [
            ("an answer is told at once", &[WATCHES, ended(0, OK)], &[tell(0, OK)]),
            (
                "failures wait for the disk, then come in order",
                &[WATCHES, ended(0, Refused), WATCHES, ended(1, Error), disk(true)],
                &[Output::TryDisk, tell(0, Refused), tell(20, Error)],
            ),
            (
                "a disk that takes no write makes them void",
                &[WATCHES, ended(0, Refused), WATCHES, ended(1, Error), disk(false)],
                &[Output::TryDisk, tell(20, unsure(OwnTrouble::Disk))],
            ),
            (
                "the order is that of the beginnings",
                &[WATCHES, WATCHES, ended(1, OK), ended(0, Silent), disk(true)],
                &[Output::TryDisk, tell(10, OK)],
            ),
            (
                "a failure that was seen by a primary of before is none",
                &[WATCHES, Input::Round(Own::Serves), ended(0, Refused)],
                &[],
            ),
            (
                "a data thread that hangs judges nobody",
                &[WATCHES, ended(0, Refused), Input::Round(Own::Hangs), disk(true)],
                &[Output::TryDisk, tell(20, unsure(OwnTrouble::Loop))],
            ),
        ];
        for (name, script, want) in cases {
            assert_eq!(play(script), want, "{name}");
        }
    }

    #[test]
    fn the_disk_is_tried_again_when_its_last_write_is_old() {
        let mut judge = judge();
        let mut out = Vec::new();
        for (ms, input) in [
            (0, WATCHES),
            (5, ended(0, Probed::Refused)),
            (10, Input::DiskTried { works: true }),
            (60, WATCHES),
            (65, ended(1, Probed::Refused)),
            (120, WATCHES),
            (125, ended(2, Probed::Refused)),
        ] {
            judge.step(at(ms), input, &mut out);
        }
        assert_eq!(out.iter().filter(|&it| *it == Output::TryDisk).count(), 2);
        assert_eq!(out.last(), Some(&Output::TryDisk), "{out:?}");
    }

    #[test]
    fn what_ran_out_while_this_node_stood_still_proves_nothing() {
        let mut judge = judge();
        let mut out = Vec::new();
        judge.step(at(0), WATCHES, &mut out);
        judge.step(at(500), ended(0, Probed::Silent), &mut out);
        judge.step(at(501), Input::DiskTried { works: true }, &mut out);
        let paused = tell(500, unsure(OwnTrouble::Loop));
        assert_eq!(out, [Output::Try { number: 0, oldest: 0 }, paused]);
    }

    #[test]
    fn attempts_overlap_up_to_a_bound_and_each_knows_the_oldest() {
        let mut judge = judge();
        let mut out = Vec::new();
        for ms in 0..100 {
            judge.step(at(ms), WATCHES, &mut out);
        }
        assert_eq!(out.len(), OPEN_MAX);
        assert_eq!(out.last(), Some(&Output::Try { number: 31, oldest: 0 }));
        out.clear();
        judge.step(at(101), ended(0, OK), &mut out);
        judge.step(at(102), WATCHES, &mut out);
        assert_eq!(out, [tell(0, OK), Output::Try { number: 32, oldest: 1 }]);
    }
}
