//! Deciding on saved writes: what each key was, lost and is; writing again what can be; giving up.
//!
//! A job reads the file (conflict thread), then the own log from the fork on (log reader, then the newest
//! records in memory), in pieces; once it has seen every record there is, the classes hold at this very
//! instant. Applying goes on from there in slices. Each unit is one record of the current reign, and holds
//! the mark that says so: after a crash, or by another `apply`, no unit is written a second time.

use std::collections::{BTreeSet, VecDeque};

use tandem_admin::{
    AdminReply, ConflictLinesView, ConflictRequest, ConflictView, ConflictsView, DoneView,
    RefusedView,
};
use tandem_types::Lsn;

use super::Node;
use super::applying::Applying;
use super::forcing::How;
use super::operator::Asker;
use crate::conflicts::{ConflictOrder, Decision, Entry, SavedFile, Since, Unit, escape, units};
use crate::{Output, SavePolicy, Severity};

/// Bytes of log read at once.
const READ_BYTES: u32 = 256 << 10;
/// Pieces looked at in one turn: about a millisecond's work each.
const PIECES_PER_TURN: usize = 4;

/// What waits, and what is done now.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    waiting: VecDeque<Job>,
    active: Option<Active>,
}

/// One request.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) task: Task,
    /// How it is applied.
    pub(super) how: How,
    /// `None`: the policy.
    pub(super) asker: Option<Asker>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Task {
    Show,
    Diff,
    DryRun,
    Apply,
    Discard,
}

#[derive(Debug)]
struct Active {
    job: Job,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The disk is asked.
    Asked,
    /// The log since the fork is read; `true`: a piece is on its way.
    Reading(Box<Matter>, bool),
    /// Units are written, slice by slice.
    Applying(Box<Matter>, Applying),
    /// Everything is written: told once it is acknowledged.
    Committing(Applying, Lsn),
}

/// All that deciding needs.
#[derive(Debug)]
pub(super) struct Matter {
    pub(super) file: SavedFile,
    pub(super) units: Vec<Unit>,
    pub(super) since: Since,
}

impl Jobs {
    /// Whether there is work that waits for nothing.
    pub(super) fn wants_turn(&self) -> bool {
        match self.active.as_ref().map(|active| &active.stage) {
            Some(Stage::Reading(_, asked)) => !*asked,
            Some(Stage::Applying(..)) => true,
            Some(Stage::Asked | Stage::Committing(..)) | None => false,
        }
    }
}

impl Node {
    /// A person asks about saved writes.
    pub(super) fn ask_conflicts(&mut self, asker: Asker, request: &ConflictRequest) {
        let mut how = How::Safe;
        let (id, task) = match request {
            ConflictRequest::List => {
                let view = self.conflicts_view();
                return self.tell(Some(asker), AdminReply::Conflicts(view));
            }
            ConflictRequest::Show { id } => (id, Task::Show),
            ConflictRequest::Diff { id } => (id, Task::Diff),
            ConflictRequest::Apply { id, how: body } => {
                match How::of(body) {
                    Ok(wanted) => how = wanted,
                    Err(refused) => return self.tell(Some(asker), AdminReply::Refused(refused)),
                }
                (id, if body.dry_run { Task::DryRun } else { Task::Apply })
            }
            ConflictRequest::Discard { id } => (id, Task::Discard),
        };
        if task != Task::Show && task != Task::Diff {
            let by_force = match &how {
                How::Safe => String::new(),
                How::Force => ", by force".to_owned(),
                How::Key((db, key), take) => {
                    format!(", key {} of db{}: {take:?}", escape(key), db.get())
                }
            };
            self.event(Severity::Note, format!("asked: {task:?} the saved writes {id}{by_force}"));
        }
        self.begin_job(Job { id: id.clone(), task, how, asker: Some(asker) });
    }

    pub(super) fn begin_job(&mut self, job: Job) {
        if let Some(refused) = self.objection_to(&job) {
            return self.tell(job.asker, AdminReply::Refused(refused));
        }
        self.conflicts.jobs.waiting.push_back(job);
        self.next_job();
    }

    fn objection_to(&self, job: &Job) -> Option<RefusedView> {
        let refused = |why: String, todo: &str| RefusedView {
            what: "nothing was done".into(),
            why,
            todo: todo.into(),
            ..RefusedView::default()
        };
        let Some(entry) = self.conflicts.entries.get(&job.id) else {
            let why = format!("there are no saved writes {:?}", job.id);
            return Some(refused(why, "see tandem conflicts list"));
        };
        let here = matches!(job.task, Task::Show | Task::Discard);
        if !here && !self.is_primary() {
            let why = "what the keys are now only the primary knows".to_owned();
            let primary = self.core.view.primary_address.clone().unwrap_or_default();
            return Some(refused(why, &format!("ask the primary ({primary})")));
        }
        if let Some(decision) = entry.decision
            && matches!(job.task, Task::Apply | Task::Discard)
        {
            let why = format!("they are {} already", decision.word());
            return Some(refused(why, "see tandem conflicts diff"));
        }
        if !here && !entry.whole {
            let why = "they were saved by an earlier version, without what applying needs";
            return Some(refused(why.to_owned(), "read them with tandem conflicts show"));
        }
        None
    }

    fn next_job(&mut self) {
        while self.conflicts.jobs.active.is_none() {
            let Some(job) = self.conflicts.jobs.waiting.pop_front() else { return };
            let id = job.id.clone();
            match job.task {
                Task::Show => self.order(ConflictOrder::Lines { id }),
                Task::Diff | Task::DryRun | Task::Apply => self.order(ConflictOrder::Load { id }),
                Task::Discard => self.decide(id, Decision::Discarded, "a person".to_owned()),
            }
            self.conflicts.jobs.active = Some(Active { job, stage: Stage::Asked });
        }
    }

    /// Answers whoever asked, and goes on with the next one.
    pub(super) fn end_job(&mut self, job: &Job, reply: AdminReply) {
        self.tell(job.asker, reply);
        self.next_job();
    }

    fn take_asked(&mut self, id: &str) -> Option<Job> {
        let jobs = &mut self.conflicts.jobs;
        let asked = |it: &mut Active| matches!(it.stage, Stage::Asked) && it.job.id == id;
        jobs.active.take_if(asked).map(|active| active.job)
    }

    pub(super) fn conflict_lines(&mut self, id: &str, lines: Result<(Vec<String>, bool), String>) {
        let Some(job) = self.take_asked(id) else { return };
        let reply = match lines {
            Ok((lines, more)) => {
                AdminReply::ConflictLines(ConflictLinesView { id: id.to_owned(), lines, more })
            }
            Err(why) => AdminReply::refused("nothing is shown", why, "look at the disk"),
        };
        self.end_job(&job, reply);
    }

    pub(super) fn conflict_loaded(&mut self, id: &str, file: Result<Box<SavedFile>, String>) {
        let Some(job) = self.take_asked(id) else { return };
        match file {
            Err(why) => {
                let reply =
                    AdminReply::refused("nothing was done", why, "see tandem conflicts show");
                self.end_job(&job, reply);
            }
            Ok(file) => {
                let units = units(&file);
                let keys: BTreeSet<_> =
                    units.iter().flat_map(|unit| unit.keys.iter().cloned()).collect();
                let since = Since::new(file.entry.from, file.entry.chain_from, keys);
                let matter = Box::new(Matter { file: *file, units, since });
                let stage = Stage::Reading(matter, false);
                self.conflicts.jobs.active = Some(Active { job, stage });
            }
        }
    }

    /// A decision is on disk, or could not be written.
    pub(super) fn conflict_decided(&mut self, id: &str, done: Result<Decision, String>) {
        let deciding = |it: &mut Active| {
            let waits = match &it.stage {
                Stage::Asked => it.job.task == Task::Discard,
                Stage::Committing(applying, _) => applying.is_deciding(),
                Stage::Reading(..) | Stage::Applying(..) => false,
            };
            waits && it.job.id == id
        };
        let Some(active) = self.conflicts.jobs.active.take_if(deciding) else { return };
        let reply = match (done, active.stage) {
            (Err(why), _) => AdminReply::refused("it was not noted", why, "free space, try again"),
            (Ok(_), Stage::Committing(applying, _)) => AdminReply::ConflictApply(applying.view(id)),
            (Ok(decision), _) => AdminReply::Done(DoneView {
                message: format!("the saved writes {id} are {}", decision.word()),
                ..DoneView::default()
            }),
        };
        self.end_job(&active.job, reply);
    }

    /// A slice of the job at hand, at the end of a turn: all records of this turn are handed over first.
    pub(super) fn advance_job(&mut self) {
        if !self.conflicts.jobs.wants_turn() {
            return;
        }
        self.hand_over_batches();
        let Some(mut active) = self.conflicts.jobs.active.take() else { return };
        let writes = active.job.task == Task::Apply;
        let may_write = self.core.view.writes.is_none() && !self.core.view.hold_writes;
        if !self.is_primary() || (writes && !may_write) {
            let reply = AdminReply::refused(
                "not all of it was done",
                "this node may not write now",
                "ask again, or ask the primary: what was written is marked, and not written twice",
            );
            return self.end_job(&active.job, reply);
        }
        match active.stage {
            Stage::Reading(mut matter, _) => match self.read_on(&mut matter.since) {
                Progress::All => return self.act_on(active.job, matter),
                Progress::More => active.stage = Stage::Reading(matter, false),
                Progress::Asked => active.stage = Stage::Reading(matter, true),
            },
            Stage::Applying(mut matter, mut applying) => match self.read_on(&mut matter.since) {
                Progress::All => {
                    self.apply_slice(&active.job.how, &mut matter, &mut applying);
                    active.stage = if applying.is_over() {
                        Stage::Committing(applying, self.core.positions.appended_end)
                    } else {
                        Stage::Applying(matter, applying)
                    };
                }
                Progress::More | Progress::Asked => {
                    active.stage = Stage::Applying(matter, applying);
                }
            },
            other => active.stage = other,
        }
        self.conflicts.jobs.active = Some(active);
        self.conflicts_committed();
    }

    fn act_on(&mut self, job: Job, matter: Box<Matter>) {
        if !job.how.concerns_any(&matter.units) {
            let why = "the saved writes name no such key";
            let todo = "see tandem conflicts diff";
            return self.end_job(&job, AdminReply::refused("nothing was done", why, todo));
        }
        if job.task == Task::Apply {
            let applying = Applying::new(&matter);
            let stage = Stage::Applying(matter, applying);
            self.conflicts.jobs.active = Some(Active { job, stage });
            return;
        }
        let keys = self.key_views(&job.how, &matter);
        let id = &job.id;
        let reply = if job.task == Task::DryRun {
            AdminReply::ConflictApply(Applying::foreseen(id, keys))
        } else {
            AdminReply::ConflictDiff(tandem_admin::ConflictDiffView {
                id: id.clone(),
                since_known: !matter.since.unknown,
                keys,
            })
        };
        self.end_job(&job, reply);
    }

    /// Looks at what the log has beyond what was looked at.
    fn read_on(&mut self, since: &mut Since) -> Progress {
        for _ in 0..PIECES_PER_TURN {
            let end = self.tail.end();
            if since.end < self.oldest || since.end > end {
                since.unknown = true;
            }
            if since.unknown {
                since.skip_to(end);
            }
            if since.end == end {
                return Progress::All;
            }
            let (from, bytes_max) = (since.end, READ_BYTES as usize);
            let Some(piece) = self.tail.read(from, bytes_max) else {
                let until = self.tail.oldest();
                self.core.out.push(Output::ReadSince { from, until, bytes_max: READ_BYTES });
                return Progress::Asked;
            };
            since.read(piece.bytes);
        }
        Progress::More
    }

    /// Records since the fork came from disk; `None`: they are gone.
    pub(super) fn since_read(&mut self, from: Lsn, bytes: Option<&[u8]>) {
        let Some(Active { stage: Stage::Reading(matter, asked), .. }) =
            &mut self.conflicts.jobs.active
        else {
            return;
        };
        if matter.since.end != from || !*asked {
            return;
        }
        *asked = false;
        match bytes {
            Some(bytes) if !bytes.is_empty() => matter.since.read(bytes),
            _ => matter.since.unknown = true,
        }
    }

    /// `commit_end` moved, or the last unit was written: what was written again is safe.
    pub(super) fn conflicts_committed(&mut self) {
        let commit_end = self.core.positions.commit_end;
        let Some(active) = &mut self.conflicts.jobs.active else { return };
        let Stage::Committing(applying, end) = &mut active.stage else { return };
        if commit_end < *end || applying.is_deciding() {
            return;
        }
        if applying.settles_all() {
            applying.begin_to_decide();
            let note = if active.job.asker.is_some() { "a person" } else { "the policy" };
            let id = active.job.id.clone();
            self.decide(id, Decision::Applied, note.to_owned());
            return;
        }
        let Some(active) = self.conflicts.jobs.active.take() else { return };
        let Stage::Committing(applying, _) = active.stage else { return };
        let view = applying.view(&active.job.id);
        self.event(Severity::Note, view.message.clone());
        self.end_job(&active.job, AdminReply::ConflictApply(view));
    }

    /// What `switch.conflicts` says is to be done without a person, on the primary, once per reign and file.
    pub(super) fn settle_by_policy(&mut self) {
        let policy = self.core.settings.conflicts;
        if !self.is_primary() || !matches!(policy, SavePolicy::Reapply | SavePolicy::Discard) {
            return;
        }
        let open = |entry: &&Entry| entry.decision.is_none() && entry.whole;
        let ids: Vec<_> =
            self.conflicts.entries.values().filter(open).map(|it| it.id.clone()).collect();
        for id in ids {
            if !self.conflicts.tried.insert(id.clone()) {
                continue;
            }
            if policy == SavePolicy::Discard {
                let note = "`switch.conflicts` = \"discard\"".to_owned();
                self.decide(id, Decision::Discarded, note);
            } else {
                let how = How::Safe;
                self.begin_job(Job { id, task: Task::Apply, how, asker: None });
            }
        }
    }

    fn conflicts_view(&self) -> ConflictsView {
        let view = |entry: &Entry| ConflictView {
            id: entry.id.clone(),
            file: format!("conflicts/{}.jsonl", entry.id),
            state: entry.decision.map_or("open", Decision::word).to_owned(),
            node: entry.node.clone(),
            epoch: entry.epoch,
            from_lsn: entry.from.next().get(),
            records: entry.records,
            keys: entry.keys,
            saved_at_ms: entry.saved_at_ms,
            bytes: entry.bytes,
            on_peer: self.conflicts.at_peer.contains(&entry.id),
        };
        ConflictsView {
            node: self.core.settings.name().to_owned(),
            policy: self.core.settings.conflicts.word().to_owned(),
            conflicts: self.conflicts.entries.values().map(view).collect(),
        }
    }
}

/// How far reading came.
enum Progress {
    All,
    More,
    Asked,
}
