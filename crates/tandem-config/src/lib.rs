//! The configuration file: parse, check, explain, examples.
//!
//! One table, [`KEYS`], holds every key with its kind, bounds, default and documentation. Reading,
//! error messages, `config show --all`, the environment form and the reference page are all made from
//! it. A value is taken from the default, then the file, then the environment; each keeps its
//! [`Origin`]. The result is [`Config`]: typed, checked, and the same on both machines.
//!
//! **Not here:** opening files, reading the environment or asking the machine for its addresses
//! (`tandem`): text comes in, values go out.
#![forbid(unsafe_code)]

mod check;
mod choice;
mod digest;
mod entry;
mod environment;
mod error;
mod examples;
mod identity;
mod key;
mod keys;
mod layers;
mod nearest;
mod settings;
mod supported;
mod units;
mod value;
mod witness;

pub use choice::{
    Acknowledge, Automation, ConflictPolicy, Failback, FsyncPolicy, MediatorKind, OnSilence, Reads,
    SplitBrain, SwitchBy, Topology, WhenLost, WithoutPeer,
};
pub use digest::Digest;
pub use entry::{Entry, Origin};
pub use error::{ConfigError, Problem};
pub use examples::{EXAMPLES, Example, example};
pub use identity::{FindSelfError, Locals};
pub use key::{KeyInfo, Kind};
pub use keys::KEYS;
pub use layers::load;
pub use settings::{
    AuthConfig, Config, DirectConfig, LimitsConfig, MediatorConfig, NodeConfig, PairConfig,
    ProbeConfig, ReplicationConfig, StorageConfig, SwitchConfig, TlsConfig, VipConfig,
};
pub use units::{format_duration, format_size, parse_duration, parse_size};
pub use value::{Channel, Value};
pub use witness::{WitnessConfig, load_witness};
