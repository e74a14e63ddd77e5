//! The command line, as the manual page and the completions are made from it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Two machines, one durable, highly available store that speaks the Redis protocol.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) admin: AdminOptions,
}

/// How to reach a running node.
#[derive(Args, Clone, Debug)]
pub(crate) struct AdminOptions {
    /// The node's admin port.
    #[arg(
        long,
        global = true,
        env = "TANDEM_ADMIN",
        value_name = "URL",
        default_value = "http://127.0.0.1:8379"
    )]
    pub(crate) admin: String,
    /// The admin token, if the node asks for one.
    #[arg(long, global = true, env = "TANDEM_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Authority that signed the node's certificate, PEM, for an https URL.
    #[arg(long, global = true, env = "TANDEM_CA", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Certificate to show to the node, PEM, with its key in the same file.
    #[arg(long, global = true, env = "TANDEM_CERT", value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show both nodes: roles, epoch, positions, lag. Exit status: 0 healthy, 1 degraded, 2 no primary, 3 not reachable.
    Status(StatusOptions),
    /// Show the timeline of the node.
    History(OutputOptions),
    /// Make the node primary; refuses if that could lose or fork data.
    Promote(PromoteOptions),
    /// Let the primary go on without its peer, on your word that the peer is off.
    Solo(SoloOptions),
    /// Say what the node is waiting for, who can supply it, and what forcing would cost.
    Why(OutputOptions),
    /// Example configurations; check or show one.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a shell's completions.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page.
    Man,
}

#[derive(Args, Debug)]
pub(crate) struct StatusOptions {
    /// Again every second until Ctrl-C.
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Args, Debug)]
pub(crate) struct OutputOptions {
    /// Print the node's JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PromoteOptions {
    /// Although data may be lost or forked.
    #[arg(long)]
    pub(crate) force: bool,
    /// If at most N acknowledged records may be lost.
    #[arg(long, value_name = "N")]
    pub(crate) accept_loss: Option<u64>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Args, Debug)]
pub(crate) struct SoloOptions {
    /// Although the peer was heard a moment ago.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print a commented example; without a name, list them.
    Example {
        /// Its name.
        name: Option<String>,
    },
    /// Check a file.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print the values of a file; with --all also the defaults, each with where it came from.
    Show {
        /// The file.
        file: PathBuf,
        /// Defaults too.
        #[arg(long)]
        all: bool,
    },
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A sentence, then key=value.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}
