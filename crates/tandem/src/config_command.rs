//! `tandem config`: examples, checks, and where each value came from.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tandem_config::{Config, EXAMPLES, Origin, SwitchBy};

use tandem_server::{TlsFiles, certificate_end};
use tandem_types::WallMillis;

use crate::cli::ConfigCommand;
use crate::{human, out};

pub(crate) fn run(command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Example { name: None } => {
            for example in EXAMPLES {
                out::line(format_args!("{:<20} {}", example.name, example.about))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Example { name: Some(name) } => example(name),
        ConfigCommand::Check { file } => check(file),
        ConfigCommand::Show { file, all } => show(file, *all),
    }
}

/// Reads a configuration file with the process's environment over it.
pub(crate) fn load(file: &Path) -> anyhow::Result<Config> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let text = String::from_utf8(bytes)
        .with_context(|| format!("read {}: it is not UTF-8 text", file.display()))?;
    // Variables that are not Unicode cannot be keys of ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    tandem_config::load(&text, environment).map_err(|error| {
        let lines: Vec<String> =
            error.problems.iter().map(|problem| format!("{}: {problem}", file.display())).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })
}

fn example(name: &str) -> anyhow::Result<ExitCode> {
    let Some(example) = tandem_config::example(name) else {
        let names: Vec<&str> = EXAMPLES.iter().map(|example| example.name).collect();
        bail!("there is no example {name:?}; there are: {}", names.join(", "));
    };
    out::text(example.text)?;
    Ok(ExitCode::SUCCESS)
}

fn check(file: &Path) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    if let Err(error) = config.supported() {
        let lines: Vec<String> =
            error.problems.iter().map(|problem| format!("{}: {problem}", file.display())).collect();
        bail!("{}", lines.join("\n"));
    }
    out::line(format_args!("{}: the file is valid (digest {})", file.display(), config.digest()))?;
    for (key, path) in named_files(&config) {
        if let Err(error) = std::fs::metadata(path) {
            out::line(format_args!("  `{key}` = {}: {error}, on this machine", path.display()))?;
        }
    }
    certificate(&config)?;
    for key in config.without_effect() {
        out::line(format_args!("  `{key}` has no effect with this configuration"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Files without which `serve` does not start.
fn named_files(config: &Config) -> Vec<(&'static str, &Path)> {
    let (auth, tls) = (&config.auth, config.tls.as_ref());
    let by_mediator = config.switch.by == SwitchBy::Mediator;
    let mediator = by_mediator.then_some(&config.switch.mediator);
    [
        ("auth.password_file", auth.password_file.as_deref()),
        ("auth.peer_secret_file", auth.peer_secret_file.as_deref()),
        ("auth.admin_token_file", auth.admin_token_file.as_deref()),
        ("tls.cert", tls.map(|tls| tls.cert.as_path())),
        ("tls.key", tls.map(|tls| tls.key.as_path())),
        ("tls.client_ca", tls.and_then(|tls| tls.client_ca.as_deref())),
        ("switch.mediator.password_file", mediator.and_then(|it| it.password_file.as_deref())),
        ("switch.mediator.ca", mediator.and_then(|it| it.ca.as_deref())),
        ("switch.mediator.cert", mediator.and_then(|it| it.cert.as_deref())),
        ("switch.mediator.key", mediator.and_then(|it| it.key.as_deref())),
    ]
    .into_iter()
    .filter_map(|(key, path)| Some((key, path?)))
    .collect()
}

/// Whether the certificate ends soon; files that are not here were named already.
fn certificate(config: &Config) -> anyhow::Result<()> {
    let Some(tls) = config.tls.as_ref().filter(|tls| tls.cert.exists()) else { return Ok(()) };
    let files = TlsFiles {
        cert: tls.cert.clone(),
        key: tls.key.clone(),
        client_ca: tls.client_ca.clone().filter(|path| path.exists()),
    };
    match certificate_end(&files) {
        Ok(end) => {
            let now = WallMillis::new(human::now_millis());
            if let Some(words) = end.and_then(|end| end.words(now)) {
                out::line(format_args!("  {words}"))?;
            }
        }
        Err(error) => out::line(format_args!("  {error}"))?,
    }
    Ok(())
}

fn show(file: &Path, all: bool) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    for entry in config.entries() {
        let given = matches!(entry.origin, Origin::File { .. } | Origin::Environment { .. });
        if all || given {
            let setting = format!("{} = {}", entry.path, entry.value);
            out::line(format_args!("{setting:<56} # {}", entry.origin))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
