//! `tandem history`: the node's timeline.

use std::process::ExitCode;

use tandem_admin::HistoryView;

use crate::admin_client::AdminClient;
use crate::cli::{AdminOptions, OutputOptions};
use crate::human;
use crate::out;

pub(crate) fn run(admin: &AdminOptions, options: &OutputOptions) -> anyhow::Result<ExitCode> {
    let value = AdminClient::new(admin)?.get("/api/v1/history")?;
    if options.json {
        out::line(serde_json::to_string_pretty(&value)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let view: HistoryView = serde_json::from_value(value)?;
    for entry in view.entries {
        let change = match (entry.from, entry.to) {
            (Some(from), Some(to)) => format!("{from} -> {to}: "),
            _ => String::new(),
        };
        let took = entry.duration_ms.map_or(String::new(), |millis| format!(" ({millis} ms)"));
        out::line(format_args!(
            "{}  epoch {}  lsn {}  {change}{}{took}",
            human::time(entry.at_ms),
            entry.epoch,
            entry.lsn,
            entry.cause
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
