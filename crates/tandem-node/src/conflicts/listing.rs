//! The lines of a conflict file: each record past the fork, and what the keys were before and after.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};
use tandem_disk::{Access, Disk};
use tandem_log::{RecordKind, RecordView};
use tandem_store::{Effect, Effects, Located, describe};
use tandem_types::{Chain, DbIndex, Epoch, Lsn, WallMillis};

use super::capture::{Fork, Saved, State, TEMPORARY};
use super::file::{Counts, Heading, WriteFault, Writer, read_entry};
use super::lines::{Image, escape};
use super::save_error::SaveError;
use super::{DIR, SUFFIX, WHOLE_BYTES_MAX, path};
use crate::Settings;

/// The file being written, created with the first record that holds anything.
pub(super) struct Lines<'d, D: Disk> {
    disk: &'d D,
    fork: Fork,
    /// This log's running checksum at the fork.
    pub(super) chain: Chain,
    /// Reigns that began, and so far nothing in them.
    reigns: Vec<Value>,
    settings: &'d Settings,
    now: WallMillis,
    room: u64,
    file: Option<(String, Writer<D>)>,
    /// What keys were at the fork.
    forks: BTreeMap<(DbIndex, Vec<u8>), Option<Image>>,
    records: u64,
}

impl<'d, D: Disk> Lines<'d, D> {
    pub(super) const fn new(
        disk: &'d D,
        fork: Fork,
        settings: &'d Settings,
        now: WallMillis,
        room: u64,
    ) -> Self {
        Self {
            disk,
            fork,
            chain: Chain::EMPTY,
            reigns: Vec::new(),
            settings,
            now,
            room,
            file: None,
            forks: BTreeMap::new(),
            records: 0,
        }
    }

    pub(super) fn record(
        &mut self,
        record: &RecordView<'_>,
        state: Option<&mut State>,
    ) -> Result<(), WriteFault> {
        if record.kind == RecordKind::Effects && record.payload.is_empty() {
            return Ok(()); // A probe's: it changed nothing, and nobody can want it back.
        }
        if record.kind == RecordKind::EpochStart {
            self.reigns.push(json!({
                "lsn": record.lsn.next().get(), "epoch": record.epoch.get(), "op": "EPOCH",
            }));
            return Ok(());
        }
        self.begin(record.epoch)?;
        for reign in std::mem::take(&mut self.reigns) {
            self.records += 1;
            self.line(&reign)?;
        }
        self.records += 1;
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
            "client": self.fork.clients.of(record.lsn),
            "acknowledged": self.fork.acked.word(record.lsn),
        });
        if !raw.is_null() {
            merge(&mut line, json!({ "record": raw }));
        }
        line
    }

    fn begin(&mut self, epoch: Epoch) -> Result<(), WriteFault> {
        if self.file.is_some() {
            return Ok(());
        }
        // A name that is taken belongs to another fork, saved in the same millisecond.
        let (to, disk) = (self.fork.to, self.disk);
        let named = |at: u64| format!("{at}-{epoch}-{to}");
        let mut at = self.now.get();
        while disk.open(&path(&named(at), SUFFIX), Access::Read).is_ok() {
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
            from: to,
            epoch: epoch.get(),
            chain: self.chain,
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

    pub(super) fn finish(
        mut self,
        end: Lsn,
        chain: Chain,
        state: Option<&State>,
    ) -> Result<Saved, SaveError> {
        let state = state.filter(|state| state.usable);
        let forks = std::mem::take(&mut self.forks);
        let keys = u64::try_from(forks.len()).unwrap_or(u64::MAX);
        let mut written = Ok(());
        for ((db, key), fork) in forks {
            let Some(state) = state else { break };
            let lost = state.store.glimpse(db, &key, WallMillis::default()).map(Image::from);
            let whole = state.store.whole_value(db, &key, WallMillis::default(), WHOLE_BYTES_MAX);
            let json_of = |image: &Option<Image>| image.as_ref().map(Image::to_json);
            written = written.and_then(|()| {
                self.line(&json!({
                    "db": db.get(), "key": escape(&key),
                    "at_fork": json_of(&fork), "lost": json_of(&lost),
                    "whole": whole.as_deref().map(escape),
                }))
            });
        }
        let (disk, records) = (self.disk, self.records);
        let bytes_max = self.settings.conflicts_bytes_max;
        let images = state.is_some();
        let Some((id, file)) = self.file else { return Ok(Saved { images, ..Saved::default() }) };
        let counts = Counts { records, keys, images };
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
        Ok(Saved { file: Some(name), records, images, entry: Some(Box::new(entry)) })
    }

    pub(super) fn discard(self) -> Result<(), SaveError> {
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
