//! Saving what a log holds past the fork, with what each key was before and after, and cutting it.
//!
//! The state at the fork is made as a start makes it: the newest snapshot that needs nothing past the fork,
//! and the log after it (docs/adr/2026-11-28-saved-on-both-machines.md). It is done while the node is down
//! between two boots, so that there is one key space in memory and not two.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};
use tandem_disk::{Access, Disk};
use tandem_log::{RecordKind, RecordView, check_log, cut};
use tandem_snapshot::remove_beyond;
use tandem_store::{Effect, Effects, Located, SlotLsns, Store, describe};
use tandem_types::{Chain, DbIndex, Lsn, PairId, WallMillis};

use super::catalogue::{catalogue, make_dir, make_room, used_bytes};
use super::file::{Counts, Heading, WriteFault, Writer, read_entry};
use super::lines::{Image, escape};
use super::save_error::SaveError;
use super::{DIR, Entry, SUFFIX, path};
use crate::Settings;
use crate::snapshots::load_newest;

/// How the name of a file ends that is being written.
pub(super) const TEMPORARY: &str = ".tmp";

/// Which records clients were told of as done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Acked {
    /// Those before this.
    Before(Lsn),
    /// None past the fork: the peer was in sync, and has none of them.
    None,
    /// Only an earlier process knew.
    Unknown,
}

impl Acked {
    fn word(self, lsn: Lsn) -> &'static str {
        match self {
            Self::Before(end) if lsn < end => "yes",
            Self::Before(_) | Self::None => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// Where the log left the pair's history.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fork {
    /// The common point: the first record that the pair lacks.
    pub to: Lsn,
    /// The primary's running checksum there.
    pub chain: Chain,
    /// What clients were told.
    pub acked: Acked,
}

/// What was saved.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Saved {
    /// The file, below the data directory; `None`: there was nothing to save.
    pub file: Option<String>,
    /// Records saved.
    pub records: u64,
    /// The same as an entry.
    pub entry: Option<Box<Entry>>,
}

/// Where the log is, and whose.
#[derive(Clone, Copy, Debug)]
pub struct LogPlace<'a> {
    /// The generation's directory.
    pub dir: &'a str,
    /// The pair it belongs to.
    pub pair: PairId,
}

/// Saves the records past the fork, with what each key was before and after; the log stays as it is.
///
/// # Errors
/// See [`SaveError`].
pub fn save_fork<D: Disk>(
    disk: &D,
    place: LogPlace<'_>,
    settings: &Settings,
    fork: Fork,
    now: WallMillis,
) -> Result<Saved, SaveError> {
    let (store, filter, loaded) =
        load_newest(disk, place.dir, place.pair, fork.to, || Store::new(0))
            .map_err(SaveError::io("read snapshots in", place.dir))?;
    let state = State { store, filter, start: loaded.start, usable: true };
    save(disk, place, settings, (fork, Some(fork.chain)), Some(state), now)
}

/// Saves the records from `from` on as they are, without what the keys were; the log stays as it is.
///
/// # Errors
/// See [`SaveError`].
pub fn save_records<D: Disk>(
    disk: &D,
    place: LogPlace<'_>,
    settings: &Settings,
    from: Lsn,
    now: WallMillis,
) -> Result<Saved, SaveError> {
    let fork = Fork { to: from, chain: Chain::EMPTY, acked: Acked::Unknown };
    save(disk, place, settings, (fork, None), None, now)
}

/// Cuts the log at `to`, if file `id` holds what is cut. The log's writer must be closed.
///
/// Snapshots that reflect anything past `to` are removed first.
///
/// # Errors
/// See [`SaveError`]; unless it is [`SaveError::Cut`], nothing was cut.
pub fn cut_fork<D: Disk>(disk: &D, dir: &str, to: Lsn, id: &str) -> Result<(), SaveError> {
    let entries = catalogue(disk).map_err(SaveError::io("list", DIR))?;
    let covers = |it: &&Entry| it.id == id && it.from == to && it.whole;
    let entry = entries.iter().find(covers).ok_or(SaveError::NotSaved(to))?;
    if !entry.images {
        return Err(SaveError::NoState(to));
    }
    remove_beyond(disk, dir, to).map_err(SaveError::io("remove snapshots in", dir))?;
    cut(disk, dir, to)?;
    Ok(())
}

/// The key space, brought to the fork and then record by record past it.
struct State {
    store: Store,
    filter: SlotLsns,
    start: Lsn,
    /// The log goes back to where the snapshot begins.
    usable: bool,
}

impl State {
    fn apply(&mut self, record: &RecordView<'_>) -> Result<(), tandem_log::VisitError> {
        if self.usable && record.lsn >= self.start && record.kind == RecordKind::Effects {
            self.store.apply(record.lsn, record.payload, Some(&self.filter))?;
        }
        Ok(())
    }
}

fn save<D: Disk>(
    disk: &D,
    place: LogPlace<'_>,
    settings: &Settings,
    (fork, theirs): (Fork, Option<Chain>),
    mut state: Option<State>,
    now: WallMillis,
) -> Result<Saved, SaveError> {
    make_dir(disk)?;
    let bytes_max = settings.conflicts_bytes_max;
    make_room(disk, 0, bytes_max)?;
    let room = bytes_max.saturating_sub(used_bytes(disk)?);
    let mut lines = Lines::new(disk, fork, settings, now, room);
    let (mut chain_at, mut trouble, mut first) = (None, None, true);
    let check = check_log(disk, place.dir, place.pair, &mut |record| {
        if std::mem::take(&mut first)
            && let Some(state) = &mut state
        {
            state.usable = record.lsn <= state.start;
        }
        if record.lsn < fork.to {
            return state.as_mut().map_or(Ok(()), |state| state.apply(record));
        }
        chain_at.get_or_insert(record.chain_before);
        lines.record(record, state.as_mut()).map_err(|error| {
            trouble = Some(error);
            "the lines could not be written".into()
        })
    });
    let ours = chain_at.unwrap_or(check.tip.chain);
    let differs = theirs.filter(|theirs| ours != *theirs && check.tip.end >= fork.to);
    let fault = match (trouble, check.error, differs) {
        (Some(WriteFault::Room { .. }), ..) => Some(SaveError::Room { bytes_max }),
        (Some(WriteFault::Io { name, source }), ..) => {
            Some(SaveError::Io { op: "write", file: name, source })
        }
        (None, Some(error), _) => Some(error.into()),
        (None, None, Some(theirs)) => Some(SaveError::Chain { at: fork.to, ours, theirs }),
        (None, None, None) => None,
    };
    match fault {
        None => lines.finish(check.tip.end, check.tip.chain, state.as_ref()),
        Some(fault) => {
            lines.discard()?;
            Err(fault)
        }
    }
}

/// The file being written, created with the first record.
struct Lines<'d, D: Disk> {
    disk: &'d D,
    fork: Fork,
    settings: &'d Settings,
    now: WallMillis,
    room: u64,
    file: Option<(String, Writer<D>)>,
    /// What keys were at the fork.
    forks: BTreeMap<(DbIndex, Vec<u8>), Option<Image>>,
    records: u64,
}

impl<'d, D: Disk> Lines<'d, D> {
    const fn new(
        disk: &'d D,
        fork: Fork,
        settings: &'d Settings,
        now: WallMillis,
        room: u64,
    ) -> Self {
        Self { disk, fork, settings, now, room, file: None, forks: BTreeMap::new(), records: 0 }
    }

    fn record(
        &mut self,
        record: &RecordView<'_>,
        state: Option<&mut State>,
    ) -> Result<(), WriteFault> {
        if record.kind == RecordKind::Effects && record.payload.is_empty() {
            return Ok(()); // A probe's: it changed nothing, and nobody can want it back.
        }
        self.begin(record)?;
        self.records += 1;
        if record.kind == RecordKind::EpochStart {
            return self.line(&json!({
                "lsn": record.lsn.next().get(), "epoch": record.epoch.get(), "op": "EPOCH",
            }));
        }
        let state = state.filter(|state| state.usable);
        let Ok(effects) = decoded(record.payload) else {
            // What was checked when it was written can only be of a later version.
            return self.line(&self.stem(record, "UNKNOWN", &json!(escape(record.payload))));
        };
        let store = state.as_ref().map(|state| &state.store);
        for located in effects.iter().filter(|it| has_key(it)) {
            self.forks.entry((located.db, located.key.to_vec())).or_insert_with(|| {
                store?.glimpse(located.db, located.key, WallMillis::default()).map(Image::from)
            });
        }
        let mut before = Vec::new();
        for located in &effects {
            before.push(store.and_then(|store| store.glimpse_part(located)));
        }
        let after = match state {
            None => vec![None; effects.len()],
            Some(state) => {
                let stepped = state.apply(record);
                if stepped.is_err() {
                    state.usable = false;
                }
                effects.iter().map(|located| state.store.glimpse_part(located)).collect()
            }
        };
        for (place, located) in effects.iter().enumerate() {
            let raw = if place == 0 { json!(escape(record.payload)) } else { Value::Null };
            let words = describe(located);
            let mut line = self.stem(record, words.op, &raw);
            let args: Vec<String> = words.args.iter().map(|arg| escape(arg)).collect();
            let of = |values: &[Option<String>]| values.get(place).cloned().flatten();
            merge(
                &mut line,
                json!({
                    "db": words.db.get(), "key": words.key.map(escape), "args": args,
                    "before": of(&before), "after": of(&after),
                }),
            );
            self.line(&line)?;
        }
        Ok(())
    }

    /// What every line of a record says.
    fn stem(&self, record: &RecordView<'_>, op: &str, raw: &Value) -> Value {
        let mut line = json!({
            "lsn": record.lsn.next().get(),
            "epoch": record.epoch.get(),
            "time_ms": record.stamp.wall().get(),
            "op": op,
            "client": null,
            "acknowledged": self.fork.acked.word(record.lsn),
        });
        if !raw.is_null() {
            merge(&mut line, json!({ "record": raw }));
        }
        line
    }

    fn begin(&mut self, record: &RecordView<'_>) -> Result<(), WriteFault> {
        if self.file.is_some() {
            return Ok(());
        }
        // A name that is taken belongs to another fork, saved in the same millisecond.
        let named = |at: u64| format!("{at}-{}-{}", record.epoch, record.lsn);
        let mut at = self.now.get();
        while self.disk.open(&path(&named(at), SUFFIX), Access::Read).is_ok() {
            at += 1;
        }
        let id = named(at);
        let name = path(&id, TEMPORARY);
        let created = match self.disk.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Writer::create(self.disk, &name, self.room),
        };
        let file = created.map_err(|source| WriteFault::Io { name, source })?;
        self.file = Some((id, file));
        let heading = Heading {
            node: self.settings.name(),
            from: record.lsn,
            epoch: record.epoch.get(),
            chain: record.chain_before,
            saved_at_ms: self.now.get(),
        };
        self.line(&heading.to_json())
    }

    fn line(&mut self, value: &Value) -> Result<(), WriteFault> {
        match &mut self.file {
            Some((_, file)) => file.line(value),
            None => Ok(()),
        }
    }

    fn finish(mut self, end: Lsn, chain: Chain, state: Option<&State>) -> Result<Saved, SaveError> {
        let state = state.filter(|state| state.usable);
        let forks = std::mem::take(&mut self.forks);
        let keys = u64::try_from(forks.len()).unwrap_or(u64::MAX);
        let mut written = Ok(());
        for ((db, key), fork) in forks {
            let Some(state) = state else { break };
            let lost = state.store.glimpse(db, &key, WallMillis::default()).map(Image::from);
            let json_of = |image: &Option<Image>| image.as_ref().map(Image::to_json);
            written = written.and_then(|()| {
                self.line(&json!({
                    "db": db.get(), "key": escape(&key),
                    "at_fork": json_of(&fork), "lost": json_of(&lost),
                }))
            });
        }
        let (disk, records) = (self.disk, self.records);
        let bytes_max = self.settings.conflicts_bytes_max;
        let Some((id, file)) = self.file else { return Ok(Saved::default()) };
        let counts = Counts { records, keys, images: state.is_some() };
        let written = written.and_then(|()| file.finish(end, chain, counts));
        if let Err(fault) = written {
            disk.remove(&path(&id, TEMPORARY)).map_err(SaveError::io("remove", &id))?;
            return Err(match fault {
                WriteFault::Room { .. } => SaveError::Room { bytes_max },
                WriteFault::Io { name, source } => {
                    SaveError::Io { op: "write", file: name, source }
                }
            });
        }
        let name = path(&id, SUFFIX);
        disk.rename(&path(&id, TEMPORARY), &name).map_err(SaveError::io("rename", &name))?;
        disk.sync_dir(DIR).map_err(SaveError::io("sync", DIR))?;
        let entry = read_entry(disk, &id, SUFFIX).map_err(SaveError::io("read", &name))?;
        Ok(Saved { file: Some(name), records, entry: Some(Box::new(entry)) })
    }

    fn discard(self) -> Result<(), SaveError> {
        match self.file {
            Some((id, _)) => {
                let name = path(&id, TEMPORARY);
                self.disk.remove(&name).map_err(SaveError::io("remove", &name))
            }
            None => Ok(()),
        }
    }
}

/// Adds the members of one object to another.
fn merge(line: &mut Value, more: Value) {
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
}

fn decoded(payload: &[u8]) -> Result<Vec<Located<'_>>, tandem_store::DecodeError> {
    let mut effects = Effects::new(payload)?;
    let mut all = Vec::new();
    while let Some(located) = effects.read()? {
        all.push(located);
    }
    Ok(all)
}

const fn has_key(located: &Located<'_>) -> bool {
    !matches!(located.effect, Effect::FlushDb | Effect::FlushAll)
}
