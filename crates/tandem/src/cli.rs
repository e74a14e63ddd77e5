//! The command line, as the manual page and the completions are made from it.

use std::path::PathBuf;
use std::str::FromStr;

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

impl AdminOptions {
    /// A node on this machine that asks for nothing.
    pub(crate) const fn of(admin: String) -> Self {
        Self { admin, token: None, ca: None, cert: None }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one node in the foreground, under a small supervisor process that starts it again if it ends.
    Serve(ServeOptions),
    /// Run the built-in mediator on a third machine, for any number of pairs.
    Witness(WitnessOptions),
    /// Start a pair and a witness on this machine, with a light load, and show how it is; Ctrl-C stops all of it.
    Demo(DemoOptions),
    /// Show both nodes: roles, epoch, positions, lag. Exit status: 0 healthy, 1 degraded, 2 no primary, 3 not reachable.
    Status(StatusOptions),
    /// Show the timeline of the node.
    History(OutputOptions),
    /// Make the node primary; refuses if that could lose or fork data.
    Promote(PromoteOptions),
    /// Let the primary go on without its peer, on your word that the peer is off.
    Solo(SoloOptions),
    /// Change the primary without loss; the pair must be connected and in sync.
    Switch(SwitchOptions),
    /// Carry out the switch that waits for a person (`switch.automation = "confirm"`).
    Confirm(OutputOptions),
    /// Drop the switch that waits for a person.
    Reject(OutputOptions),
    /// Suspend automatic switching on both nodes; safety is never suspended.
    Pause(OutputOptions),
    /// Resume automatic switching.
    Resume(OutputOptions),
    /// Compare the data of the two nodes while they serve. Exit status: 0 equal, 1 different or not compared.
    Verify(VerifyOptions),
    /// Decide on writes that a returning primary had and the pair does not.
    #[command(subcommand)]
    Conflicts(ConflictsCommand),
    /// Rehearse a failure on a running pair: does it, and measures seconds without writes and lost writes.
    Drill(DrillOptions),
    /// Run every architecture on this machine under the same faults, and print what was measured side by side.
    Lab(LabOptions),
    /// Say what the node is waiting for, who can supply it, and what forcing would cost.
    Why(OutputOptions),
    /// Copy the data of a running node to a file.
    Backup(BackupOptions),
    /// Turn a backup into the data directory of a node.
    Restore(RestoreOptions),
    /// Verify a data directory that no node uses, and say what it holds.
    Check(CheckOptions),
    /// For keepalived's `notify`: tells this machine's node where the virtual address is.
    KeepalivedNotify(KeepalivedNotifyOptions),
    /// For keepalived's `track_script`: exit status 0 if the virtual address may be on this machine.
    KeepalivedCheck(KeepalivedCheckOptions),
    /// Print keepalived's configuration for a node of a pair.
    KeepalivedConf(OwnNodeOptions),
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
    /// Print a page of the reference, in Markdown.
    #[command(hide = true)]
    Reference {
        /// The page.
        page: ReferencePage,
    },
}

/// Pages that are made from tables in the code.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ReferencePage {
    /// Every command that clients can send.
    Commands,
    /// Every key of the configuration.
    Config,
    /// Every metric.
    Metrics,
}

#[derive(Args, Debug)]
pub(crate) struct ServeOptions {
    /// The configuration file, the same on both machines.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Which of its nodes this is; needed only if the addresses do not tell.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
    /// Run as the node itself, under the supervisor of this number, which must be the parent.
    #[arg(long, hide = true, value_name = "PID", conflicts_with = "with_parent")]
    pub(crate) supervised_by: Option<u32>,
    /// End when the process of this number, which must be the parent, ends.
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) with_parent: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct WitnessOptions {
    /// Where the nodes reach it, for example 0.0.0.0:7390.
    #[arg(long, env = "TANDEM_WITNESS_LISTEN", value_name = "ADDR")]
    pub(crate) listen: String,
    /// Where it keeps one small file per pair.
    #[arg(long, env = "TANDEM_WITNESS_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Where it answers Sentinel-aware clients of all its pairs, for example 0.0.0.0:26379.
    #[arg(long, env = "TANDEM_WITNESS_SENTINEL_LISTEN", value_name = "ADDR")]
    pub(crate) sentinel_listen: Option<String>,
    /// File with the sections `[auth]` and `[tls]`; the pair's own file does too.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
    /// End when the process of this number, which must be the parent, ends.
    #[arg(long, hide = true, value_name = "PID")]
    pub(crate) with_parent: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct DemoOptions {
    /// What the second node is for.
    #[arg(long, default_value = "primary-replica", value_parser = ["primary-standby", "primary-replica", "primary-primary"])]
    pub(crate) topology: String,
    /// Who moves the primary: the rules with a witness (the default), or you; with primary-primary nobody does.
    #[arg(long, value_enum)]
    pub(crate) switch: Option<DemoSwitch>,
    /// Keep the data here; without it, a temporary folder that is removed at the end.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// First of the ports; without it, the first free ones from 7000 on.
    #[arg(long, value_name = "N")]
    pub(crate) base_port: Option<u16>,
    /// No writes.
    #[arg(long)]
    pub(crate) no_load: bool,
}

/// Who moves the demonstration's primary.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum DemoSwitch {
    /// A person.
    Manual,
    /// The rules, with a witness.
    Mediator,
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
    /// Although the peer is connected.
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Args, Debug)]
pub(crate) struct SwitchOptions {
    /// The node that shall be primary; without it, the one that is not.
    #[arg(long, value_name = "NODE")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConflictsCommand {
    /// List the files of saved writes.
    List(OutputOptions),
    /// Print the lines of one file: every saved write.
    Show(ConflictOptions),
    /// Show each key at the fork, as it was lost, and now; ask the primary.
    Diff(ConflictOptions),
    /// Write again what nobody has touched since, and add what was only added to; ask the primary.
    Apply {
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Also give keys in conflict the lost value: what they hold now is overwritten.
        #[arg(long, conflicts_with = "key")]
        force: bool,
        /// Decide this key only (and what transactions bind to it), written as `diff` writes it.
        #[arg(long, value_name = "KEY", requires = "take")]
        key: Option<String>,
        /// The key's database.
        #[arg(long, value_name = "N", requires = "key", default_value_t = 0)]
        db: u8,
        /// What that key shall hold: the lost value, or what it holds now.
        #[arg(long, value_enum, requires = "key")]
        take: Option<TakeWord>,
        #[command(flatten)]
        options: ConflictOptions,
    },
    /// Give saved writes up.
    Discard(ConflictOptions),
}

/// What a key shall hold.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TakeWord {
    /// What the saved writes made of it.
    Lost,
    /// What it holds now.
    Current,
}

#[derive(Args, Debug)]
pub(crate) struct ConflictOptions {
    /// Which file: `time-epoch-lsn`, as `list` says.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyOptions {
    /// If they differ, have the follower keep its files aside and take a full copy.
    #[arg(long)]
    pub(crate) repair: bool,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

#[derive(Args, Debug)]
pub(crate) struct DrillOptions {
    /// What happens to the primary.
    #[arg(value_enum)]
    pub(crate) drill: Drill,
    /// For how long `isolate` cuts the primary off.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// File with the clients' password, if the pair asks for one.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// A rehearsal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Drill {
    /// The primary's process is killed, as by `kill -9`.
    Kill,
    /// A planned change of primary.
    Switch,
    /// The primary has neither peer nor mediator for a while.
    Isolate,
}

#[derive(Args, Debug)]
pub(crate) struct LabOptions {
    /// Only these architectures.
    #[arg(long, value_enum, value_name = "ARCHITECTURE,...", value_delimiter = ',')]
    pub(crate) only: Vec<LabArchitecture>,
    /// Only these faults.
    #[arg(long, value_enum, value_name = "FAULT,...", value_delimiter = ',')]
    pub(crate) faults: Vec<LabFault>,
    /// How long what has an end lasts: a machine away or frozen, a cut line, a stopped node, no witness.
    #[arg(long, value_name = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds_per_fault: u64,
    /// Measure a third party too that runs already; it is left alone, and one small record per pair stays there.
    #[arg(long, value_name = "zookeeper|etcd=HOST:PORT")]
    pub(crate) mediator: Vec<LabMediator>,
    /// How many pairs run at the same time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) at_once: u16,
    /// Make the pairs' directories below this one, on the disk that shall be measured; without it, below the
    /// system's for temporary files.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Leave the directories, with configuration, logs and data of every pair; without it only of one that
    /// broke a promise.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A way to run a pair.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LabArchitecture {
    /// One serves, the other follows; a person moves the role.
    PrimaryStandby,
    /// The same, and the follower serves reads.
    PrimaryReplica,
    /// The two nodes decide, by proof only.
    Direct,
    /// The same with a command that makes certain that the other is off.
    DirectFence,
    /// The same, and silence is enough: available, may split.
    DirectTakeOver,
    /// The standby is a client of the primary; acts by proof only.
    Probe,
    /// The same, and silence is enough: available, may split.
    ProbeTakeOver,
    /// A witness on a third machine keeps the record.
    MediatorWitness,
    /// `ZooKeeper` keeps it; needs `--mediator zookeeper=HOST:PORT`.
    MediatorZookeeper,
    /// etcd keeps it; needs `--mediator etcd=HOST:PORT`.
    MediatorEtcd,
    /// Both accept writes.
    PrimaryPrimary,
}

/// A third party that runs already.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LabMediator {
    /// As in `switch.mediator.kind`.
    pub(crate) kind: String,
    /// `host:port`
    pub(crate) endpoint: String,
}

impl FromStr for LabMediator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let what = || "write zookeeper=HOST:PORT or etcd=HOST:PORT".to_owned();
        let (kind, endpoint) = text.split_once('=').ok_or_else(what)?;
        let port = endpoint.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if !["zookeeper", "etcd"].contains(&kind) || port.is_none() {
            return Err(what());
        }
        Ok(Self { kind: kind.to_owned(), endpoint: endpoint.to_owned() })
    }
}

/// What is done to a pair.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum LabFault {
    /// `kill -9` of the primary's process; its supervisor lives.
    Kill,
    /// The primary's whole machine goes, and comes back later.
    Machine,
    /// The primary's machine stands still for a while (SIGSTOP), then goes on.
    Freeze,
    /// The line between the two nodes is cut for a while; clients reach both.
    Link,
    /// The line between two sites is cut for a while: half of the clients reach only one node, half only the other.
    Sites,
    /// A planned change of primary.
    Switch,
    /// SIGTERM to the primary, which is started again later.
    Stop,
    /// `kill -9` of the third party, which comes back later.
    Mediator,
}

/// The node of this machine.
#[derive(Args, Debug)]
pub(crate) struct OwnNodeOptions {
    /// The pair's configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Which of its nodes this is; needed only if the addresses do not tell.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct KeepalivedCheckOptions {
    #[command(flatten)]
    pub(crate) own: OwnNodeOptions,
    /// 0 only if the node is primary.
    #[arg(long)]
    pub(crate) primary: bool,
}

#[derive(Args, Debug)]
pub(crate) struct KeepalivedNotifyOptions {
    #[command(flatten)]
    pub(crate) own: OwnNodeOptions,
    /// GROUP or INSTANCE, as keepalived gives it.
    pub(crate) kind: String,
    /// Name of the group or instance.
    pub(crate) name: String,
    /// MASTER, BACKUP, FAULT or STOP.
    pub(crate) state: String,
    /// The priority; not looked at.
    pub(crate) priority: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct BackupOptions {
    /// The file to write; it must not exist.
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct RestoreOptions {
    /// The file that `tandem backup` wrote.
    pub(crate) file: PathBuf,
    /// The directory to fill; it must be empty or not exist.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct CheckOptions {
    /// The directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
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

impl LogFormat {
    /// The word on the command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
        }
    }
}
