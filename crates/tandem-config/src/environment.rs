//! The environment form of every key: `TANDEM_PAIR__NAME`, `TANDEM_NODES__A__HOST`.

use toml::de::DeTable;

use crate::entry::Origin;
use crate::error::Problem;
use crate::key::{self, Kind};
use crate::layers::{Given, unknown_key};
use crate::value::Raw;

const PREFIX: &str = "TANDEM_";

/// Lays the variables over what the file gave. Variables without `__` (such as `TANDEM_ADMIN`) are
/// not keys and are left alone.
pub(crate) fn overlay(
    variables: impl IntoIterator<Item = (String, String)>,
    given: &mut Given,
    problems: &mut Vec<Problem>,
) {
    for (name, text) in variables {
        let Some(rest) = name.strip_prefix(PREFIX).filter(|rest| rest.contains("__")) else {
            continue;
        };
        let path = path_of(rest, given);
        let Some(info) = key::lookup(&path) else {
            let mut problem = unknown_key(&path);
            problem.what = format!("{name}: {}", problem.what);
            problems.push(problem);
            continue;
        };
        given.insert(path, (raw_of(&info.kind, &text), Origin::Environment { name }));
    }
}

/// Variables are upper case by custom; node names keep the case that the file gave them.
fn path_of(rest: &str, given: &Given) -> String {
    let path = rest.split("__").map(str::to_lowercase).collect::<Vec<_>>().join(".");
    let in_file = given.keys().find(|known| known.eq_ignore_ascii_case(&path));
    let same_node = || {
        let (head, leaf) = path.strip_prefix("nodes.")?.rsplit_once('.')?;
        let known = given.keys().filter_map(|known| known.strip_prefix("nodes.")?.rsplit_once('.'));
        let (name, _) = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(head))?;
        Some(format!("nodes.{name}.{leaf}"))
    };
    in_file.cloned().or_else(same_node).unwrap_or(path)
}

/// A variable holds text without quotes; lists are TOML or separated by commas.
fn raw_of(kind: &Kind, text: &str) -> Raw {
    match kind {
        Kind::Flag | Kind::Whole { .. } => {
            raw_of_toml(text.trim()).unwrap_or_else(|| Raw::Text(text.to_owned()))
        }
        Kind::Texts if !text.trim_start().starts_with('[') => Raw::List(
            text.split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| Raw::Text(part.to_owned()))
                .collect(),
        ),
        Kind::Texts | Kind::Channels => {
            raw_of_toml(text.trim()).unwrap_or_else(|| Raw::Text(text.to_owned()))
        }
        Kind::Text
        | Kind::Secret
        | Kind::Name
        | Kind::Choice(_)
        | Kind::Duration { .. }
        | Kind::Size { .. } => Raw::Text(text.to_owned()),
    }
}

/// One value in TOML's notation.
pub(crate) fn raw_of_toml(text: &str) -> Option<Raw> {
    let line = format!("value = {text}");
    let table = DeTable::parse(&line).ok()?;
    let (_, value) = table.get_ref().iter().next()?;
    // More than one entry: the text brought a line of its own.
    (table.get_ref().len() == 1).then(|| Raw::from_toml(value.get_ref()))
}
