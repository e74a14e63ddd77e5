//! Writing saved effects again: unit by unit, each a record of the current reign with its mark.

use tandem_admin::{AdminReply, ConflictApplyView, ConflictKeyView, ImageView};
use tandem_store::{Again, Effect, Located, Store};
use tandem_types::{DbIndex, WallMillis};

use super::Node;
use super::deciding::Matter;
use super::forcing::{Act, How, taking};
use super::operator::Asker;
use crate::conflicts::{Current, Image, KeyOf, MARKS, Unit, classes, escape};
use crate::{Output, Severity};

/// Units written in one turn.
const UNITS_PER_TURN: usize = 256;
/// What a mark says.
const MARK: &[u8] = b"applied";
/// The mark of what a person has left as it is.
const LEFT: &[u8] = b"left";

/// How far applying is.
#[derive(Debug, Default)]
pub(super) struct Applying {
    next: usize,
    units: usize,
    deciding: bool,
    written: u64,
    merged: u64,
    taken: u64,
    left: u64,
    identical: u64,
    already: u64,
    kept: u64,
}

impl Applying {
    pub(super) fn new(matter: &Matter) -> Self {
        Self { units: matter.units.len(), ..Self::default() }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.next >= self.units
    }

    /// Nothing is left for a person.
    pub(super) const fn settles_all(&self) -> bool {
        self.kept == 0
    }

    pub(super) const fn is_deciding(&self) -> bool {
        self.deciding
    }

    pub(super) const fn begin_to_decide(&mut self) {
        self.deciding = true;
    }

    const fn count(&mut self, act: Act) {
        let counter = match act {
            Act::Nothing => &mut self.identical,
            Act::Write => &mut self.written,
            Act::Merge => &mut self.merged,
            Act::Take => &mut self.taken,
            Act::Leave => &mut self.left,
            Act::Keep => &mut self.kept,
        };
        *counter += 1;
    }

    /// What was done.
    pub(super) fn view(&self, id: &str) -> ConflictApplyView {
        let Self { written, merged, taken, left, identical, already, kept, .. } = *self;
        let by_person = if taken + left > 0 {
            format!("{taken} took the lost value, {left} left as they are, ")
        } else {
            String::new()
        };
        let mut message = format!(
            "{id}: {written} keys written again, {merged} merged, {by_person}{identical} were the same, {already} were applied before, {kept} kept for a decision"
        );
        if kept > 0 {
            message.push_str(" (see tandem conflicts diff)");
        }
        ConflictApplyView {
            id: id.to_owned(),
            message,
            written,
            merged,
            taken,
            left,
            identical,
            already,
            kept,
            ..ConflictApplyView::default()
        }
    }

    /// What would be done.
    pub(super) fn foreseen(id: &str, keys: Vec<ConflictKeyView>) -> ConflictApplyView {
        let mut applying = Self::default();
        for key in &keys {
            match (key.apply.as_str(), key.class.as_str()) {
                ("write", _) => applying.written += 1,
                ("merge", _) => applying.merged += 1,
                ("take", _) => applying.taken += 1,
                ("leave", _) => applying.left += 1,
                ("keep", _) => applying.kept += 1,
                (_, "applied" | "left") => applying.already += 1,
                _ => applying.identical += 1,
            }
        }
        let view = applying.view(id);
        let message = format!("dry run, nothing was changed; {}", view.message);
        ConflictApplyView { dry_run: true, message, keys, ..view }
    }
}

/// The key space now.
struct Present<'s> {
    store: &'s Store,
    now: WallMillis,
}

impl Current for Present<'_> {
    fn image(&self, (db, key): &KeyOf) -> Option<Image> {
        self.store.glimpse(*db, key, self.now).map(Image::from)
    }

    fn can_merge(&self, edits: &[Located<'_>]) -> bool {
        self.store.can_merge(edits, self.now)
    }
}

fn marks_of(id: &str) -> Vec<u8> {
    format!("{MARKS}{id}").into_bytes()
}

fn mark_of(unit: &Unit) -> Vec<u8> {
    unit.lsn.next().to_string().into_bytes()
}

impl Node {
    /// What the unit's mark says: it is decided.
    fn mark(&self, id: &str, unit: &Unit) -> Option<&'static str> {
        let (key, field) = (marks_of(id), mark_of(unit));
        let effect = Effect::HashDel(&field);
        let place = Located { db: DbIndex::ZERO, key: &key, effect };
        let mark = self.core.store.glimpse_part(&place)?;
        [("applied", MARK), ("left", LEFT)]
            .into_iter()
            .find_map(|(word, bytes)| (mark.as_bytes() == bytes).then_some(word))
    }

    fn present(&self) -> Present<'_> {
        Present { store: &self.core.store, now: self.core.now.wall }
    }

    /// Writes the next units. The classes hold: every record there is was looked at.
    pub(super) fn apply_slice(&mut self, how: &How, matter: &mut Matter, applying: &mut Applying) {
        let id = matter.file.entry.id.clone();
        let end = (applying.next + UNITS_PER_TURN).min(matter.units.len());
        for unit in matter.units.get(applying.next..end).unwrap_or_default() {
            if self.mark(&id, unit).is_some() {
                applying.already += count(unit.keys.len());
                continue;
            }
            let classes = classes(unit, &matter.file, &matter.since, &self.present());
            let acts = how.acts(unit, &classes, &matter.file);
            for act in &acts {
                applying.count(*act);
            }
            let settles = !acts.contains(&Act::Keep);
            let changes = acts.iter().any(|act| *act != Act::Nothing);
            if settles && changes && !self.write_unit(&id, unit, &acts, matter) {
                return;
            }
        }
        applying.next = end;
        self.hand_over_batches();
        // What was written just now is of these keys only, and each unit has its own.
        matter.since.skip_to(self.core.positions.appended_end);
    }

    /// One record: the unit's effects, and its mark.
    fn write_unit(&mut self, id: &str, unit: &Unit, acts: &[Act], matter: &Matter) -> bool {
        let effects = unit.effects(&matter.file);
        let of_act = |wanted: Act| -> Vec<Located<'_>> {
            let is = |it: &&Located<'_>| {
                let key = |(key, _): &(&KeyOf, &Act)| key.0 == it.db && key.1 == it.key;
                unit.keys.iter().zip(acts).find(key).is_some_and(|(_, act)| *act == wanted)
            };
            effects.iter().filter(is).copied().collect()
        };
        let (key, field) = (marks_of(id), mark_of(unit));
        let taken = unit.keys.iter().zip(acts).filter(|(_, act)| **act == Act::Take);
        let now = self.core.now.wall;
        let taken = taken.map(|(key, _)| taking(&matter.file, key, now)).collect();
        let value = if acts.contains(&Act::Leave) { LEFT } else { MARK };
        let effect = Effect::HashSet { field: &field, value };
        let mark = Located { db: DbIndex::ZERO, key: &key, effect };
        let steps = [
            (Again::Exactly, of_act(Act::Write)),
            (Again::Merged, of_act(Act::Merge)),
            (Again::Exactly, taken),
            (Again::Merged, vec![mark]),
        ];
        match self.core.write_again(&steps) {
            Ok(()) => true,
            Err(failure) => {
                let reason =
                    format!("saved writes did not fit the data ({failure}): it is read anew");
                self.event(Severity::Error, reason.clone());
                self.reboot(reason);
                false
            }
        }
    }

    /// The peer has the decision on its disk too: the marks have done their work.
    pub(super) fn remove_marks(&mut self, id: &str) {
        let key = marks_of(id);
        let decided = self.conflicts.entries.get(id).is_some_and(|it| it.decision.is_some());
        let there = self.core.store.exists(DbIndex::ZERO, &key, self.core.now.wall);
        if !self.is_primary() || !decided || !there || self.core.view.hold_writes {
            return;
        }
        let gone = Located { db: DbIndex::ZERO, key: &key, effect: Effect::Del };
        if let Err(failure) = self.core.write_again(&[(Again::Exactly, vec![gone])]) {
            self.event(Severity::Warn, format!("the marks of {id} stay: {failure}"));
        }
    }

    /// Each key of a file: what it was, what was lost, what it is.
    pub(super) fn key_views(&self, how: &How, matter: &Matter) -> Vec<ConflictKeyView> {
        let Matter { file, units, since } = matter;
        let present = self.present();
        let mut views = Vec::new();
        for unit in units {
            let mark = self.mark(&file.entry.id, unit);
            let classes = classes(unit, file, since, &present);
            let acts = how.acts(unit, &classes, file);
            for ((key, class), act) in unit.keys.iter().zip(&classes).zip(acts) {
                let images = file.images.get(key).cloned().unwrap_or_default();
                let apply = if mark.is_some() { Act::Nothing } else { act };
                views.push(ConflictKeyView {
                    db: key.0.get(),
                    key: escape(&key.1),
                    class: mark.unwrap_or(class.word()).to_owned(),
                    group: (unit.keys.len() > 1).then(|| unit.lsn.next().get()),
                    at_fork: images.fork.map(view_of),
                    lost: images.lost.map(view_of),
                    current: present.image(key).map(view_of),
                    apply: apply.word().to_owned(),
                });
            }
        }
        views
    }

    /// Answers whoever asked; nobody did: the policy.
    pub(super) fn tell(&mut self, asker: Option<Asker>, reply: AdminReply) {
        match asker {
            Some(Asker::Admin(id)) => self.core.out.push(Output::AdminReply { id, reply }),
            Some(Asker::Client(conn)) => match lines_of(&reply) {
                Ok(lines) => self.clients.answer_lines(&mut self.core, conn, &lines),
                Err(line) => {
                    self.clients.answer(&mut self.core, conn, Err(&format!("ERR {line}")));
                }
            },
            Some(Asker::Shutdown) => {}
            Some(Asker::Nobody) | None => {
                if let AdminReply::Refused(refused) = reply {
                    self.event(Severity::Warn, refused.line());
                }
            }
        }
    }
}

/// A reply for a client's connection: one line each.
fn lines_of(reply: &AdminReply) -> Result<Vec<String>, String> {
    // The views hold text and numbers only; those always have a JSON form.
    let of_key = |key: &ConflictKeyView| serde_json::to_string(key).unwrap_or_default();
    Ok(match reply {
        AdminReply::Conflicts(view) => {
            let of_file = |it| serde_json::to_string(it).unwrap_or_default();
            view.conflicts.iter().map(of_file).collect()
        }
        AdminReply::ConflictLines(view) => view.lines.clone(),
        AdminReply::ConflictDiff(view) => view.keys.iter().map(of_key).collect(),
        AdminReply::ConflictApply(view) => {
            let mut lines = vec![view.message.clone()];
            lines.extend(view.keys.iter().map(of_key));
            lines
        }
        AdminReply::Done(done) => vec![done.message.clone()],
        AdminReply::Refused(refused) => return Err(refused.line()),
        AdminReply::Status(_)
        | AdminReply::History(_)
        | AdminReply::Why(_)
        | AdminReply::Metrics(_)
        | AdminReply::Backup(_) => Vec::new(),
    })
}

fn view_of(image: Image) -> ImageView {
    ImageView {
        kind: image.kind,
        value: image.text,
        expires_at_ms: image.deadline.map(WallMillis::get),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
