//! `tandem config`: examples, checks, and where each value came from.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tandem_config::{Config, EXAMPLES, Origin};

use crate::cli::ConfigCommand;
use crate::out;

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
    out::line(format_args!("{}: the file is valid (digest {})", file.display(), config.digest()))?;
    if let Err(error) = config.supported() {
        for problem in error.problems {
            out::line(format_args!("  `tandem serve` of this version would refuse it: {problem}"))?;
        }
    }
    for key in config.without_effect() {
        out::line(format_args!("  `{key}` has no effect in this version"))?;
    }
    Ok(ExitCode::SUCCESS)
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
