//! `tandem conflicts`: what a returned primary had and the pair lacks.

use std::process::ExitCode;

use serde_json::{Value, json};
use tandem_admin::{
    ApplyBody, ConflictApplyView, ConflictDiffView, ConflictKeyView, ConflictLinesView,
    ConflictsView, ImageView, Take,
};

use crate::admin_client::{AdminClient, Outcome};
use crate::cli::{AdminOptions, ConflictOptions, ConflictsCommand, TakeWord};
use crate::out;

const BASE: &str = "/api/v1/conflicts";

pub(crate) fn run(admin: &AdminOptions, command: &ConflictsCommand) -> anyhow::Result<ExitCode> {
    let client = AdminClient::new(admin)?;
    match command {
        ConflictsCommand::List(output) => list(&client.get(BASE)?, output.json),
        ConflictsCommand::Show(it) => show(&client.get(&path(it, ""))?, it.output.json),
        ConflictsCommand::Diff(it) => diff(&client.get(&path(it, "/diff"))?, it.output.json),
        ConflictsCommand::Apply { dry_run, force, key, db, take, options } => {
            let take = take.map(|word| match word {
                TakeWord::Lost => Take::Lost,
                TakeWord::Current => Take::Current,
            });
            let (dry_run, force, key, db) = (*dry_run, *force, key.clone(), *db);
            let body = serde_json::to_value(ApplyBody { dry_run, force, key, db, take })?;
            match client.post(&path(options, "/apply"), &body)? {
                Ok(value) => applied(&value, options.output.json),
                Err(refused) => Ok(refuse(&refused.line())),
            }
        }
        ConflictsCommand::Discard(it) => {
            match client.change(&path(it, "/discard"), &json!({}))? {
                Outcome::Done(done) if it.output.json => {
                    out::line(serde_json::to_string(&done)?)?;
                }
                Outcome::Done(done) => out::line(done.message)?,
                Outcome::Refused(refused) => return Ok(refuse(&refused.line())),
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// An id is digits and hyphens; anything else cannot be one, and must not become another path.
fn path(options: &ConflictOptions, rest: &str) -> String {
    let plain: String =
        options.id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    format!("{BASE}/{plain}{rest}")
}

fn refuse(line: &str) -> ExitCode {
    eprintln!("tandem: {line}");
    ExitCode::FAILURE
}

fn list(value: &Value, as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        out::line(value.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let view: ConflictsView = serde_json::from_value(value.clone())?;
    if view.conflicts.is_empty() {
        out::line("no saved writes: the pair lacks nothing")?;
    }
    for it in view.conflicts {
        let also = if it.on_peer { "on both machines" } else { "on this machine" };
        out::line(format!(
            "{}  {}  {} records of {} (epoch {}, from {}), {} keys, {} B, {also}",
            it.id, it.state, it.records, it.node, it.epoch, it.from_lsn, it.keys, it.bytes
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(value: &Value, as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        out::line(value.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let view: ConflictLinesView = serde_json::from_value(value.clone())?;
    for line in view.lines {
        out::line(line)?;
    }
    if view.more {
        eprintln!("tandem: there is more: conflicts/{}.jsonl in the data directory", view.id);
    }
    Ok(ExitCode::SUCCESS)
}

fn diff(value: &Value, as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        out::line(value.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let view: ConflictDiffView = serde_json::from_value(value.clone())?;
    if !view.since_known {
        out::line(
            "the log no longer reaches back to the fork: what was written since is not known, so nothing counts as untouched",
        )?;
    }
    keys(&view.keys)?;
    Ok(ExitCode::SUCCESS)
}

fn applied(value: &Value, as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        out::line(value.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let view: ConflictApplyView = serde_json::from_value(value.clone())?;
    out::line(view.message)?;
    keys(&view.keys)?;
    Ok(ExitCode::SUCCESS)
}

fn keys(keys: &[ConflictKeyView]) -> anyhow::Result<()> {
    for key in keys {
        let group = key.group.map_or(String::new(), |group| format!(" (transaction {group})"));
        out::line(format!("db{} {}: {}{group} -> {}", key.db, key.key, key.class, key.apply))?;
        for (when, image) in
            [("at the fork", &key.at_fork), ("lost", &key.lost), ("now", &key.current)]
        {
            out::line(format!("    {when:<12}{}", shown(image.as_ref())))?;
        }
    }
    Ok(())
}

fn shown(image: Option<&ImageView>) -> String {
    match image {
        None => "-".to_owned(),
        Some(ImageView { kind, value, expires_at_ms: None }) => format!("{kind} {value}"),
        Some(ImageView { kind, value, expires_at_ms: Some(at) }) => {
            format!("{kind} {value} (expires at {at})")
        }
    }
}
