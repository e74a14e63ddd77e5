//! `tandem verify`: the primary walks its key space and has the follower compare, slot by slot, each at the
//! very record at which the primary looked at it. What is said: `crate::compare`.
//!
//! Nothing is kept for it while nobody asks: a digest is computed when the walk comes by, in slices as a
//! snapshot is taken. Keeping one per slot up to date would cost every write a hash of the old and of the new
//! value of a whole collection (ADR 2026-11-28 "integrity between two nodes").

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tandem_admin::{AdminReply, VerifyView};
use tandem_replication::Message;
use tandem_types::{Lsn, Monotonic, Now, SlotId};

use super::Node;
use super::operator::Asker;
use crate::compare::{Compare, How, KEYS_BYTES_MAX, KEYS_MAX, NAMED_MAX, SLOTS_MAX};
use crate::{Output, Severity, Topology};

/// Bytes of values looked at in one slice: about a millisecond's work.
const SLICE_BYTES: usize = 512 << 10;
/// What looking at a key costs besides its bytes.
const KEY_BYTES: usize = 32;
/// A follower that does not answer for so long cannot apply what it was asked about.
const ANSWER_TIME_MAX: Duration = Duration::from_mins(1);
/// Slots that differ and wait for their keys to be named; of the others only the number is told.
const UNNAMED_MAX: usize = 256;

/// Comparisons of this process.
#[derive(Debug, Default)]
pub(super) struct Comparing {
    numbers: u64,
    /// The one that this primary leads.
    run: Option<Run>,
    /// A question that waits until the key space is where it was asked.
    check: Option<Compare>,
    /// Clients that wait for the result.
    asked: Vec<Asker>,
    view: Option<VerifyView>,
    ended: Option<Monotonic>,
    results: Results,
}

/// How comparisons ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Results {
    pub(super) equal: u64,
    pub(super) differs: u64,
    pub(super) failed: u64,
}

#[derive(Debug)]
struct Run {
    begun: Now,
    repair: bool,
    /// The next slot; `None`: all were asked about.
    next: Option<SlotId>,
    /// The slot whose keys were asked about.
    naming: Option<SlotId>,
    /// Slots that differ and whose keys were not asked about yet.
    unnamed: VecDeque<SlotId>,
    slots: u64,
    slots_differ: u64,
    keys: Vec<String>,
    more_keys: bool,
    asked_at: Monotonic,
}

impl Comparing {
    pub(super) fn view(&self, now: Now) -> Option<VerifyView> {
        let mut view = self.view.clone()?;
        if view.running {
            view.duration_ms = now.wall.get().saturating_sub(view.at_ms);
        }
        Some(view)
    }

    pub(super) const fn results(&self) -> Results {
        self.results
    }

    pub(super) const fn ended(&self) -> Option<Monotonic> {
        self.ended
    }

    pub(super) fn slots_differ(&self) -> u64 {
        self.view.as_ref().map_or(0, |view| view.slots_differ)
    }

    /// When a comparison that got no answer is given up.
    pub(super) fn deadline(&self) -> Option<Monotonic> {
        self.run.as_ref().map(|run| run.asked_at.plus(ANSWER_TIME_MAX))
    }

    fn is_running(&self) -> bool {
        self.view.as_ref().is_some_and(|view| view.running)
    }
}

impl Node {
    /// A person asks for a comparison.
    pub(super) fn verify(&mut self, asker: Asker, repair: bool) {
        if let Some((why, todo)) = self.cannot_compare(repair) {
            return self.refuse_comparison(asker, &why, &todo);
        }
        match asker {
            Asker::Admin(id) => {
                let text =
                    "the data of both nodes is being compared; the result comes in the status";
                self.core.out.push(Output::AdminReply { id, reply: AdminReply::done(text) });
            }
            Asker::Client(_) => self.comparing.asked.push(asker),
            Asker::Nobody | Asker::Shutdown => {}
        }
        if self.comparing.is_running() {
            if let Some(run) = &mut self.comparing.run {
                run.repair |= repair;
            }
            return;
        }
        self.comparing.numbers += 1;
        self.comparing.view = Some(VerifyView {
            number: self.comparing.numbers,
            running: true,
            at_ms: self.core.now.wall.get(),
            ..VerifyView::default()
        });
        if self.is_primary() {
            self.begin_comparison(repair);
        } else {
            self.send_compare(&Compare::Please { repair: false });
        }
    }

    /// Why nothing can be compared now, and what to do.
    fn cannot_compare(&self, repair: bool) -> Option<(String, String)> {
        let peer = self.core.settings.peer_name();
        let again =
            || "connect the two nodes, wait until they are in sync, then ask again".to_owned();
        if self.core.settings.topology == Topology::PrimaryPrimary {
            let why =
                "both nodes are primary, and each has writes that the other is getting".to_owned();
            return Some((why, "ask `TANDEM PP VERIFY` of either, with redis-cli".to_owned()));
        }
        if !self.link.is_up() {
            return Some((format!("there is no link to {peer}"), again()));
        }
        if self.is_primary() {
            let follows = self.leader.as_ref().is_some_and(|leader| {
                let progress = leader.progress();
                !progress.copying && progress.applied_end > Lsn::ZERO
            });
            return (!follows).then(|| (format!("{peer} does not follow yet"), again()));
        }
        if let Some(reason) = self.cannot_check() {
            return Some((reason.to_owned(), again()));
        }
        repair.then(|| {
            let why = "this node is not the primary, whose data counts".to_owned();
            (why, format!("run `tandem verify --repair` on {peer}"))
        })
    }

    /// Why this follower's key space cannot be compared now.
    fn cannot_check(&self) -> Option<&'static str> {
        if self.follower.is_none() {
            return Some("this node does not follow");
        }
        let whole = self.data_is_whole() && self.filter.is_none() && !self.integrity.lacks_data();
        (!whole).then_some("a full copy is coming in")
    }

    fn refuse_comparison(&mut self, asker: Asker, why: &str, todo: &str) {
        match asker {
            Asker::Admin(id) => {
                let reply = AdminReply::refused("nothing was compared", why, todo);
                self.core.out.push(Output::AdminReply { id, reply });
            }
            Asker::Client(conn) => {
                let line = format!("ERR nothing was compared: {why}; {todo}");
                self.clients.answer(&mut self.core, conn, Err(&line));
            }
            Asker::Nobody | Asker::Shutdown => {}
        }
    }

    fn begin_comparison(&mut self, repair: bool) {
        self.event(Severity::Note, "comparing the data of the two nodes".into());
        self.comparing.run = Some(Run {
            begun: self.core.now,
            repair,
            next: Some(SlotId::FIRST),
            naming: None,
            unnamed: VecDeque::new(),
            slots: 0,
            slots_differ: 0,
            keys: Vec::new(),
            more_keys: false,
            asked_at: self.core.now.mono,
        });
        self.ask_on();
    }

    fn send_compare(&mut self, message: &Compare) {
        self.send(&Message::Compare(message.to_bytes().into()));
    }

    /// Asks about the next slice, or about the keys of a slot that differs.
    fn ask_on(&mut self) {
        let Some(mut run) = self.comparing.run.take() else { return };
        run.asked_at = self.core.now.mono;
        let number = self.comparing.numbers;
        let names_more = run.keys.len() < NAMED_MAX;
        let message = match (run.unnamed.front().copied(), run.next) {
            (Some(slot), _) if names_more => {
                run.unnamed.pop_front();
                run.naming = Some(slot);
                self.keys_of(number, slot)
            }
            (_, Some(first)) => {
                let (message, last) = self.slots_from(number, first);
                run.next = last.next();
                run.slots += message.slots_named();
                message
            }
            (rest, None) => {
                run.more_keys |= rest.is_some();
                return self.comparison_done(run);
            }
        };
        self.comparing.run = Some(run);
        self.send_compare(&message);
    }

    /// The next slice of the walk, as of now, and where it ends.
    fn slots_from(&self, number: u64, first: SlotId) -> (Compare, SlotId) {
        let store = &self.core.store;
        let (mut last, mut bytes, mut digests) = (first, 0, Vec::new());
        for _ in 0..SLOTS_MAX {
            if !store.slot_is_empty(last) {
                let (digest, cost) = store.digest_with_cost(last);
                digests.push((last, digest));
                bytes += cost + KEY_BYTES;
            }
            match last.next() {
                Some(next) if bytes < SLICE_BYTES && digests.len() < SLOTS_MAX => last = next,
                _ => break,
            }
        }
        let at = self.core.positions.appended_end;
        (Compare::Slots { number, at, first, last, digests }, last)
    }

    fn keys_of(&self, number: u64, slot: SlotId) -> Compare {
        let (mut digests, mut bytes, mut cut) = (Vec::new(), 0, false);
        self.core.store.digest_keys(slot, |key, digest, _| {
            bytes += key.len() + KEY_BYTES;
            if digests.len() < KEYS_MAX && bytes < KEYS_BYTES_MAX {
                digests.push((key.to_vec(), digest));
            } else {
                cut = true;
            }
        });
        let at = self.core.positions.appended_end;
        Compare::Keys { number, at, slot, cut, digests }
    }

    fn comparison_done(&mut self, run: Run) {
        let (result, why) = match run.slots_differ {
            0 => ("equal", None),
            _ if run.repair => ("differs", Some(self.takes_copy_words())),
            _ => ("differs", Some(self.what_to_do())),
        };
        let view = VerifyView {
            number: self.comparing.numbers,
            running: false,
            at_ms: run.begun.wall.get(),
            duration_ms: self.core.now.wall.get().saturating_sub(run.begun.wall.get()),
            result: result.to_owned(),
            why,
            lsn: self.core.positions.appended_end.get(),
            slots: run.slots,
            slots_differ: run.slots_differ,
            keys: run.keys,
            more_keys: run.more_keys,
        };
        self.send_compare(&Compare::Ended { view: serde_json::to_vec(&view).unwrap_or_default() });
        let repair = run.repair && view.slots_differ > 0;
        self.comparison_ended(view);
        if repair {
            let reason = "the data differs from the primary's, and a person asked for a full copy";
            self.send_compare(&Compare::TakeCopy { reason: reason.to_owned() });
        }
    }

    fn what_to_do(&self) -> String {
        format!(
            "the primary's data counts: `tandem verify --repair` makes {} keep its files aside and take a full copy",
            self.core.settings.peer_name()
        )
    }

    fn takes_copy_words(&self) -> String {
        format!("{} keeps its files aside and takes a full copy", self.core.settings.peer_name())
    }

    /// There is a result: who waits for it is told, and it goes into the status.
    fn comparison_ended(&mut self, view: VerifyView) {
        let results = &mut self.comparing.results;
        let severity = match view.result.as_str() {
            "equal" => {
                results.equal += 1;
                Severity::Note
            }
            "differs" => {
                results.differs += 1;
                Severity::Error
            }
            _ => {
                results.failed += 1;
                Severity::Warn
            }
        };
        let line = result_line(&view);
        self.event(severity, line.clone());
        self.comparing.run = None;
        self.comparing.ended = Some(self.core.now.mono);
        let equal = view.result == "equal";
        self.comparing.view = Some(VerifyView { running: false, ..view });
        for asker in std::mem::take(&mut self.comparing.asked) {
            let Asker::Client(conn) = asker else { continue };
            if equal {
                self.clients.answer(&mut self.core, conn, Ok(&line));
            } else {
                let line = format!("ERR {line}");
                self.clients.answer(&mut self.core, conn, Err(&line));
            }
        }
    }

    /// What was under way cannot be ended: the link is down, or the role has moved.
    pub(super) fn comparison_failed(&mut self, why: &str) {
        self.comparing.check = None;
        if !self.comparing.is_running() {
            return;
        }
        let mut view = self.comparing.view.clone().unwrap_or_default();
        "failed".clone_into(&mut view.result);
        view.why = Some(why.to_owned());
        view.duration_ms = self.core.now.wall.get().saturating_sub(view.at_ms);
        self.comparison_ended(view);
    }

    pub(super) fn tend_comparison(&mut self) {
        if self.comparing.deadline().is_some_and(|at| self.core.now.mono >= at) {
            let peer = self.core.settings.peer_name();
            let why = format!("{peer} did not answer for {} s", ANSWER_TIME_MAX.as_secs());
            self.comparison_failed(&why);
        }
    }

    /// The peer says something about a comparison.
    pub(super) fn compare_said(&mut self, bytes: &[u8]) {
        let message = match Compare::decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                let code = tandem_replication::message::NoticeCode::Violation;
                return self.drop_link(code, &error.to_string());
            }
        };
        match message {
            Compare::Please { repair } => self.asked_to_compare(repair),
            Compare::Slots { number, at, .. } | Compare::Keys { number, at, .. } => {
                self.asked_to_check(number, at, message);
            }
            Compare::Checked { number, differ } => self.slots_checked(number, differ),
            Compare::KeysChecked { number, differ } => self.keys_checked(number, &differ),
            Compare::NotNow { number, reason } => {
                if self.comparing.run.is_some() && number == self.comparing.numbers {
                    let peer = self.core.settings.peer_name();
                    self.comparison_failed(&format!("{peer} cannot compare: {reason}"));
                }
            }
            Compare::Ended { view } => {
                if let (false, Ok(view)) = (self.is_primary(), serde_json::from_slice(&view)) {
                    let number = self.comparing.numbers.max(1);
                    self.comparing.numbers = number;
                    self.comparison_ended(VerifyView { number, ..view });
                }
            }
            Compare::TakeCopy { reason } => self.asked_to_take_copy(reason),
        }
    }

    /// The follower was asked by a person, and waits for the result.
    fn asked_to_compare(&mut self, repair: bool) {
        let refused = if self.is_primary() {
            self.cannot_compare(repair)
        } else {
            Some(("the node that was asked is not the primary".to_owned(), String::new()))
        };
        let Some((why, _)) = refused else { return self.verify(Asker::Nobody, repair) };
        let view =
            VerifyView { result: "failed".to_owned(), why: Some(why), ..VerifyView::default() };
        self.send_compare(&Compare::Ended { view: serde_json::to_vec(&view).unwrap_or_default() });
    }

    fn asked_to_check(&mut self, number: u64, at: Lsn, question: Compare) {
        let applied_end = self.core.positions.applied_end;
        let late = (at < applied_end).then_some("the place that was asked about is past");
        if let Some(reason) = self.cannot_check().or(late) {
            return self.send_compare(&Compare::NotNow { number, reason: reason.to_owned() });
        }
        self.comparing.check = Some(question);
        if at == applied_end {
            self.check_now();
        }
    }

    /// Where the key space must stop for a question, on its way to `end`.
    pub(super) fn stops_to_check(&self, end: Lsn) -> Option<Lsn> {
        let (Compare::Slots { at, .. } | Compare::Keys { at, .. }) =
            self.comparing.check.as_ref()?
        else {
            return None;
        };
        Some(*at).filter(|at| *at <= end)
    }

    /// The key space is exactly where the primary's was.
    pub(super) fn check_now(&mut self) {
        let answer = match self.comparing.check.take() {
            Some(Compare::Slots { number, first, last, digests, .. }) => {
                Compare::Checked { number, differ: self.differing(first, last, &digests) }
            }
            Some(Compare::Keys { number, slot, cut, digests, .. }) => {
                let differ = self.differing_keys(slot, cut, digests);
                Compare::KeysChecked { number, differ }
            }
            _ => return,
        };
        self.send_compare(&answer);
    }

    fn differing(&self, first: SlotId, last: SlotId, theirs: &[(SlotId, u64)]) -> Vec<SlotId> {
        let mut theirs = theirs.iter().peekable();
        let mut differ = Vec::new();
        let mut next = Some(first);
        while let Some(slot) = next.filter(|slot| *slot <= last) {
            let there = theirs.next_if(|(named, _)| *named == slot).map_or(0, |(_, it)| *it);
            if self.core.store.digest(slot) != there && differ.len() < SLOTS_MAX {
                differ.push(slot);
            }
            next = slot.next();
        }
        differ
    }

    fn differing_keys(
        &self,
        slot: SlotId,
        cut: bool,
        theirs: Vec<(Vec<u8>, u64)>,
    ) -> Vec<(Vec<u8>, How)> {
        let mut theirs: BTreeMap<Vec<u8>, u64> = theirs.into_iter().collect();
        let mut differ = Vec::new();
        self.core.store.digest_keys(slot, |key, digest, _| match theirs.remove(key) {
            Some(there) if there == digest => {}
            Some(_) => differ.push((key.to_vec(), How::Value)),
            // It may be one of those that were not named.
            None if cut => {}
            None => differ.push((key.to_vec(), How::OnlyFollower)),
        });
        differ.extend(theirs.into_keys().map(|key| (key, How::OnlyPrimary)));
        differ.truncate(NAMED_MAX);
        differ
    }

    fn slots_checked(&mut self, number: u64, differ: Vec<SlotId>) {
        let Some(run) = self.comparing.run.as_mut().filter(|_| number == self.comparing.numbers)
        else {
            return;
        };
        run.slots_differ += u64::try_from(differ.len()).unwrap_or(u64::MAX);
        let room = UNNAMED_MAX.saturating_sub(run.unnamed.len());
        run.more_keys |= differ.len() > room;
        run.unnamed.extend(differ.into_iter().take(room));
        self.ask_on();
    }

    fn keys_checked(&mut self, number: u64, differ: &[(Vec<u8>, How)]) {
        let Some(run) = self.comparing.run.as_mut().filter(|_| number == self.comparing.numbers)
        else {
            return;
        };
        let Some(slot) = run.naming.take() else { return };
        for (key, how) in differ {
            if run.keys.len() == NAMED_MAX {
                run.more_keys = true;
                break;
            }
            let (db, key, how) = (slot.db.get(), key.escape_ascii(), how.words());
            run.keys.push(format!("db {db} \"{key}\": {how}"));
        }
        self.ask_on();
    }
}

/// The result in one line.
fn result_line(view: &VerifyView) -> String {
    let why = view.why.as_deref().unwrap_or_default();
    match view.result.as_str() {
        "equal" => format!("equal: {} slots compared up to record {}", view.slots, view.lsn),
        "differs" => {
            let more = if view.more_keys { ", ..." } else { "" };
            let keys = view.keys.join(", ");
            format!(
                "the data differs in {} of {} slots ({keys}{more}); {why}",
                view.slots_differ, view.slots
            )
        }
        _ => format!("the data was not compared: {why}"),
    }
}
