//! `tandem verify`: has the two nodes compare their data, and waits for the result.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use tandem_admin::{StatusView, VerifyView};

use crate::admin_client::{AdminClient, Outcome};
use crate::cli::{AdminOptions, VerifyOptions};
use crate::{human, out};

/// How often the node is asked whether there is a result.
const ASK_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn run(admin: &AdminOptions, options: &VerifyOptions) -> anyhow::Result<ExitCode> {
    let client = AdminClient::new(admin)?;
    let body = json!({ "repair": options.repair });
    match client.change("/api/v1/verify", &body)? {
        Outcome::Done(_) => {}
        Outcome::Refused(refused) => {
            if options.output.json {
                out::line(serde_json::to_string(&refused)?)?;
            }
            eprintln!("tandem: {}", refused.line());
            return Ok(ExitCode::FAILURE);
        }
    }
    let view = result(&client)?;
    if options.output.json {
        out::line(serde_json::to_string(&view)?)?;
    } else {
        show(&view)?;
    }
    match (view.result.as_str(), &view.why) {
        ("equal", _) => return Ok(ExitCode::SUCCESS),
        ("differs", Some(todo)) => eprintln!("tandem: the data of the two nodes differs: {todo}"),
        (_, why) => {
            let why = why.as_deref().unwrap_or("no reason was given");
            eprintln!("tandem: the data was not compared to its end: {why}; ask again");
        }
    }
    Ok(ExitCode::FAILURE)
}

/// Waits for the end of the comparison that is under way, or has just ended.
fn result(client: &AdminClient) -> anyhow::Result<VerifyView> {
    let mut number = None;
    loop {
        let status: StatusView = serde_json::from_value(client.get("/api/v1/status")?)
            .context("read the node's status")?;
        let Some(view) = status.verify else {
            bail!("the node has started again meanwhile, and knows of no comparison; ask again");
        };
        if *number.get_or_insert(view.number) != view.number || !view.running {
            return Ok(view);
        }
        thread::sleep(ASK_EVERY);
    }
}

fn show(view: &VerifyView) -> anyhow::Result<()> {
    let took = human::span(view.duration_ms / 1_000);
    match view.result.as_str() {
        "equal" => out::line(format_args!(
            "equal: {} slots with keys compared up to record {} in {took}",
            view.slots, view.lsn
        ))?,
        "differs" => {
            out::line(format_args!(
                "DIFFERENT: {} of {} slots with keys, compared up to record {} in {took}",
                view.slots_differ, view.slots, view.lsn
            ))?;
            for key in &view.keys {
                out::line(format_args!("  {key}"))?;
            }
            if view.more_keys {
                out::line("  and more")?;
            }
        }
        _ => {}
    }
    Ok(())
}
