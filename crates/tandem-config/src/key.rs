//! What is known about one key.

use std::time::Duration;

/// What a key's value must be.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Any text; empty means "not set".
    Text,
    /// Path of a file that holds a secret. Its place is not part of the digest: it may differ.
    Secret,
    /// A name: letters, digits, `-`, `_`.
    Name,
    /// One word out of a few.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A duration within bounds.
    Duration {
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
    },
    /// A size within bounds.
    Size {
        /// Smallest, in bytes.
        min: u64,
        /// Largest, in bytes.
        max: u64,
    },
    /// A whole number within bounds.
    Whole {
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
    },
    /// A list of texts.
    Texts,
    /// `switch.direct.channels`.
    Channels,
}

impl Kind {
    /// What is wanted, for error messages and the reference.
    pub fn describe(&self) -> String {
        match self {
            Self::Text => "a text in quotes".to_owned(),
            Self::Secret => "the path of a file, in quotes".to_owned(),
            Self::Name => "a name in quotes".to_owned(),
            Self::Choice(words) => format!("one of \"{}\"", words.join("\", \"")),
            Self::Flag => "true or false".to_owned(),
            Self::Duration { .. } => "a duration in quotes, such as \"500ms\" or \"1s\"".to_owned(),
            Self::Size { .. } => "a size in quotes, such as \"64MiB\" or \"1GiB\"".to_owned(),
            Self::Whole { min, max } => format!("a whole number between {min} and {max}"),
            Self::Texts => "a list of texts".to_owned(),
            Self::Channels => "a list of channels".to_owned(),
        }
    }
}

/// One row of [`crate::KEYS`].
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// Its path; `*` stands for a node's name.
    pub path: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// Its value where the file is silent, as TOML; `None` if it must be given.
    pub default: Option<&'static str>,
    /// What it does, for people.
    pub about: &'static str,
}

impl KeyInfo {
    /// The environment variable that sets it; `<NODE>` stands for a node's name.
    pub fn environment_name(&self) -> String {
        let path = self.path.replace('*', "<node>");
        format!("TANDEM_{}", path.replace('.', "__").to_uppercase())
    }
}

/// Names of nodes and pairs: they appear in file names, URLs and protocol lines.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// `nodes.a.host` as `nodes.*.host`.
pub(crate) fn generic(path: &str) -> String {
    match path.strip_prefix("nodes.").and_then(|rest| rest.rsplit_once('.')) {
        Some((_, leaf)) => format!("nodes.*.{leaf}"),
        None => path.to_owned(),
    }
}

/// The row of a path; `None` if there is no such key.
pub(crate) fn lookup(path: &str) -> Option<&'static KeyInfo> {
    let path = generic(path);
    crate::KEYS.iter().find(|key| key.path == path)
}

/// The known path nearest to an unknown one: misspelt, or in the wrong section.
pub(crate) fn nearest_path(path: &str) -> String {
    let leaf = leaf_of(path);
    let cost = |key: &KeyInfo| {
        let whole = crate::nearest::distance(path, &with_node_of(key.path, path));
        let elsewhere = crate::nearest::distance(leaf, leaf_of(key.path)) + 2;
        whole.min(elsewhere)
    };
    let key = crate::KEYS.iter().min_by_key(|key| cost(key));
    key.map_or_else(String::new, |key| with_node_of(key.path, path))
}

/// The key path with the node name that `path` uses in place of `*`.
fn with_node_of(key: &str, path: &str) -> String {
    let node = path.split('.').nth(1).filter(|_| path.split('.').count() == 3).unwrap_or("a");
    key.replace('*', node)
}

fn leaf_of(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
