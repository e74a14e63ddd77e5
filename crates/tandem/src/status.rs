//! `tandem status`: both nodes in a table; the exit status tells how the pair is.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use tandem_admin::StatusView;
use tandem_types::error_chain;

use crate::admin_client::AdminClient;
use crate::cli::{AdminOptions, StatusOptions};
use crate::failure::{NotReachable, not_reachable};
use crate::{out, status_table};

const WATCH_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn run(admin: &AdminOptions, options: &StatusOptions) -> anyhow::Result<ExitCode> {
    let client = AdminClient::new(admin)?;
    if options.watch {
        return watch(&client, options.output.json);
    }
    match show(&client, options.output.json) {
        Ok((text, code)) => {
            out::line(text)?;
            Ok(code)
        }
        Err(error) if error.is::<NotReachable>() => {
            eprintln!("tandem: {}", error_chain(&*error));
            Ok(not_reachable())
        }
        Err(error) => Err(error),
    }
}

fn show(client: &AdminClient, json: bool) -> anyhow::Result<(String, ExitCode)> {
    let value = client.get("/api/v1/status")?;
    let view: StatusView = serde_json::from_value(value.clone())?;
    let text =
        if json { serde_json::to_string_pretty(&value)? } else { status_table::render(&view) };
    Ok((text, ExitCode::from(view.health().exit_code())))
}

/// Until Ctrl-C. On a terminal the table stays in place; JSON is one object per line.
fn watch(client: &AdminClient, json: bool) -> anyhow::Result<ExitCode> {
    let in_place = !json && std::io::stdout().is_terminal();
    loop {
        let text = match show(client, false) {
            Ok(_) if json => client.get("/api/v1/status")?.to_string(),
            Ok((text, _)) => text,
            Err(error) => error_chain(&*error),
        };
        let mut out = std::io::stdout().lock();
        if in_place {
            // Home, then clear what the last frame left: less flicker than clearing first.
            write!(out, "\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n") + "\x1b[K\n")?;
        } else {
            writeln!(out, "{text}")?;
        }
        out.flush()?;
        drop(out);
        thread::sleep(WATCH_EVERY);
    }
}
