//! `tandem keepalived-notify`, `-check`, `-conf`: what keepalived runs, and its configuration.
//!
//! keepalived asks the node, never the reverse: its check fails where the address may not be, and what it
//! tells of the address is a hint.

mod conf;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;
use tandem_config::Config;
use tandem_types::NodeId;

use crate::admin_client::{AdminClient, Outcome};
use crate::cli::{AdminOptions, KeepalivedCheckOptions, KeepalivedNotifyOptions, OwnNodeOptions};
use crate::config_command;
use crate::failure::NotReachable;
use crate::out;
use crate::serve::{addresses, secrets};

/// Tells the node where the address is.
pub(crate) fn notify(options: &KeepalivedNotifyOptions) -> anyhow::Result<ExitCode> {
    let state = options.state.as_str();
    match state {
        "MASTER" | "BACKUP" | "FAULT" | "STOP" => {}
        // keepalived knows these too, and they say nothing of the address.
        "DELETED" | "MASTER_RX_LOWER_PRI" => return Ok(ExitCode::SUCCESS),
        _ => {
            eprintln!(
                "tandem: {state} is no state that keepalived tells of: MASTER, BACKUP, FAULT or STOP"
            );
            return Ok(ExitCode::from(2));
        }
    }
    let (config, node) = own(&options.own)?;
    let client = AdminClient::new(&admin(&config, node)?)?;
    match client.change("/api/v1/address", &json!({ "state": state })) {
        Ok(Outcome::Done(done)) => {
            out::line(format_args!("{} {}: {}", options.name, state, done.message))?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(Outcome::Refused(refused)) => bail!("{}", refused.line()),
        // A node that does not run holds no address, and its check says so.
        Err(error) if error.is::<NotReachable>() && state != "MASTER" => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

/// Whether the address may be on this machine.
pub(crate) fn check(options: &KeepalivedCheckOptions) -> anyhow::Result<ExitCode> {
    let (config, node) = own(&options.own)?;
    let status = AdminClient::new(&admin(&config, node)?)?.get("/api/v1/status")?;
    let primary = status["role"] == "primary";
    let fits = if options.primary { primary } else { status["vip"]["may_hold"] == true };
    let role = status["role"].as_str().unwrap_or("?");
    if fits {
        out::line(format_args!("yes: {role}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let what =
        if options.primary { "this node is not primary" } else { "the address may not be here" };
    eprintln!("tandem: {what}: {role}; see `tandem why`");
    Ok(ExitCode::FAILURE)
}

/// Prints keepalived's configuration for this node.
pub(crate) fn conf(options: &OwnNodeOptions) -> anyhow::Result<ExitCode> {
    let (config, node) = own(options)?;
    if !config.switch.is_keepalived() {
        bail!(
            "{} does not go by keepalived: set `switch.by = \"mediator\"` and `switch.mediator.kind = \"keepalived\"`",
            options.config.display()
        );
    }
    let program = std::env::current_exe().context("find this program's path")?;
    let file = std::fs::canonicalize(&options.config)
        .with_context(|| format!("find {}", options.config.display()))?;
    out::text(&conf::text(&config, node, &program, &file)?)?;
    Ok(ExitCode::SUCCESS)
}

fn own(options: &OwnNodeOptions) -> anyhow::Result<(Config, NodeId)> {
    let config = config_command::load(&options.config)?;
    let node = config.find_self(options.node.as_deref(), &addresses::locals(&config))?;
    Ok((config, node))
}

/// How the node of this machine is reached, from its own configuration.
fn admin(config: &Config, node: NodeId) -> anyhow::Result<AdminOptions> {
    let own = &config.nodes[node];
    let Some(port) = own.admin_port else {
        bail!("`nodes.{}.admin_port` is off, and keepalived's scripts need it", own.name);
    };
    let host = match own.admin_bind.as_str() {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        host if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
        host => host.to_owned(),
    };
    let token = secrets::admin_token(&config.auth)?;
    let token = token.map(String::from_utf8).transpose().context("read the admin token")?;
    let authority: Option<PathBuf> =
        config.tls.as_ref().map(|tls| tls.client_ca.clone().unwrap_or_else(|| tls.cert.clone()));
    let scheme = if authority.is_some() { "https" } else { "http" };
    let admin = format!("{scheme}://{host}:{port}");
    Ok(AdminOptions { token, ca: authority, ..AdminOptions::of(admin) })
}
