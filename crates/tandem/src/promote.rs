//! `tandem promote`, `solo`, `switch`, `confirm`, `reject`, `pause`, `resume`: a person's word.

use std::process::ExitCode;

use serde_json::json;

use crate::admin_client::{AdminClient, Outcome};
use crate::cli::{AdminOptions, OutputOptions, PromoteOptions, SoloOptions, SwitchOptions};
use crate::out;

pub(crate) fn promote(admin: &AdminOptions, options: &PromoteOptions) -> anyhow::Result<ExitCode> {
    let body = json!({ "force": options.force, "accept_loss": options.accept_loss });
    ask(admin, "/api/v1/promote", &body, options.output.json)
}

pub(crate) fn solo(admin: &AdminOptions, options: &SoloOptions) -> anyhow::Result<ExitCode> {
    ask(admin, "/api/v1/solo", &json!({ "force": options.force }), options.output.json)
}

pub(crate) fn switch(admin: &AdminOptions, options: &SwitchOptions) -> anyhow::Result<ExitCode> {
    ask(admin, "/api/v1/switch", &json!({ "to": options.to }), options.output.json)
}

/// Requests that are one word.
pub(crate) fn word(
    admin: &AdminOptions,
    path: &str,
    options: &OutputOptions,
) -> anyhow::Result<ExitCode> {
    ask(admin, path, &json!({}), options.json)
}

fn ask(
    admin: &AdminOptions,
    path: &str,
    body: &serde_json::Value,
    json: bool,
) -> anyhow::Result<ExitCode> {
    match AdminClient::new(admin)?.change(path, body)? {
        Outcome::Done(done) if json => {
            out::line(serde_json::to_string(&done)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Done(done) => {
            out::line(done.message)?;
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Refused(refused) => {
            if json {
                out::line(serde_json::to_string(&refused)?)?;
            }
            eprintln!("tandem: {}", refused.line());
            Ok(ExitCode::FAILURE)
        }
    }
}
