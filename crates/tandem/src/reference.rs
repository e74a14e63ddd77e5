//! The reference pages, made from the tables that the program itself works by.

use std::process::ExitCode;

use tandem_admin::METRICS;
use tandem_config::{KEYS, Kind, format_duration, format_size};
use tandem_store::{Command, Group, commands};

use crate::cli::ReferencePage;
use crate::out;

const NOTE: &str = "<!-- Written by `cargo xtask gen`; change the table in the code instead. -->";

pub(crate) fn run(page: ReferencePage) -> anyhow::Result<ExitCode> {
    let lines = match page {
        ReferencePage::Commands => commands_page(),
        ReferencePage::Config => config_page(),
        ReferencePage::Metrics => metrics_page(),
    };
    out::line(lines.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

const GROUPS: &[Group] = &[
    Group::Generic,
    Group::String,
    Group::Bitmap,
    Group::Hash,
    Group::List,
    Group::Set,
    Group::SortedSet,
    Group::Geo,
    Group::Stream,
    Group::Pubsub,
    Group::Transactions,
    Group::Scripting,
    Group::Connection,
    Group::Server,
    Group::Tandem,
];

fn commands_page() -> Vec<String> {
    let mut lines = vec![
        "# Commands".to_owned(),
        NOTE.to_owned(),
        String::new(),
        "Replies, error texts and shapes are those of Redis 7.2, in RESP2 and RESP3. *Arity* counts words, \
         the name included; negative: at least that many."
            .to_owned(),
    ];
    for group in GROUPS {
        let mut rows: Vec<&Command> =
            commands().filter(|command| command.group == *group).collect();
        rows.sort_by_key(|command| command.name);
        if rows.is_empty() {
            continue;
        }
        lines.push(format!("\n## {}\n", group.name()));
        lines.push("| command | arity | since | cost | what it does |".to_owned());
        lines.push("| --- | --- | --- | --- | --- |".to_owned());
        for command in rows {
            lines.push(command_row(command));
            lines.extend(command.subcommands.iter().map(command_row));
        }
    }
    lines
}

fn command_row(command: &Command) -> String {
    let name = command.name.replace('|', " ").to_uppercase();
    format!(
        "| `{name}` | {} | {} | {} | {} |",
        command.arity,
        command.since,
        cell(command.complexity),
        cell(command.summary)
    )
}

fn config_page() -> Vec<String> {
    let mut lines = vec![
        "# Configuration".to_owned(),
        NOTE.to_owned(),
        String::new(),
        "One TOML file, the same on both machines. Every key can also be set by an environment variable, \
         which goes over the file. `tandem config show --all FILE` prints every value and where it came \
         from. `NAME` stands for a node's name."
            .to_owned(),
    ];
    let mut section = "";
    for key in KEYS {
        let (of, leaf) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        if of != section {
            section = of;
            lines.push(format!("\n## [{}]\n", section.replace('*', "NAME")));
            lines.push("| key | default | values | environment | what it does |".to_owned());
            lines.push("| --- | --- | --- | --- | --- |".to_owned());
        }
        lines.push(format!(
            "| `{leaf}` | {} | {} | `{}` | {} |",
            key.default.map_or("must be given".to_owned(), |default| format!("`{default}`")),
            cell(&values(&key.kind)),
            key.environment_name(),
            cell(key.about)
        ));
    }
    lines
}

fn values(kind: &Kind) -> String {
    match kind {
        Kind::Duration { min, max } => {
            format!("duration, {} to {}", format_duration(*min), format_duration(*max))
        }
        Kind::Size { min, max } => format!("size, {} to {}", format_size(*min), format_size(*max)),
        Kind::Whole { min, max } => format!("{min} to {max}"),
        Kind::Choice(words) => {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Flag => "`true`, `false`".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Secret => "path".to_owned(),
        Kind::Name => "name".to_owned(),
        Kind::Texts => "list of texts".to_owned(),
        Kind::Channels => "list of channels".to_owned(),
    }
}

fn metrics_page() -> Vec<String> {
    let mut lines = vec![
        "# Metrics".to_owned(),
        NOTE.to_owned(),
        String::new(),
        "`GET /metrics` on the admin port, in the Prometheus text format. Base units; counters end in \
         `_total`."
            .to_owned(),
        String::new(),
        "| metric | kind | labels | what it tells |".to_owned(),
        "| --- | --- | --- | --- |".to_owned(),
    ];
    lines.extend(METRICS.iter().map(|metric| {
        format!(
            "| `{}` | {} | {} | {} |",
            metric.name,
            metric.kind.as_str(),
            metric.labels.join(", "),
            metric.help
        )
    }));
    lines
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_line() {
        let lines = commands_page();
        for command in commands() {
            let name = format!("| `{}` |", command.name.replace('|', " ").to_uppercase());
            assert!(lines.iter().any(|line| line.starts_with(&name)), "{name}");
        }
    }
}
