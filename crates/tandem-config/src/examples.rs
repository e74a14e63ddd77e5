//! Commented example configurations, the same text as the files of `examples/`.

/// One example.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// Its name: `tandem config example NAME`.
    pub name: &'static str,
    /// What it shows, in a line.
    pub about: &'static str,
    /// The file.
    pub text: &'static str,
}

macro_rules! examples {
    ($($name:literal: $about:literal,)+) => {
        /// Every example.
        pub const EXAMPLES: &[Example] = &[$(Example {
            name: $name,
            about: $about,
            text: include_str!(concat!("../../../examples/", $name, ".toml")),
        }),+];
    };
}

examples! {
    "primary-standby": "the standby serves nobody; a person moves the primary",
    "primary-replica": "the second node serves reads",
    "direct": "the nodes watch one another over several channels",
    "mediator-witness": "Tandem's own witness on a third machine decides",
    "mediator-zookeeper": "ZooKeeper decides",
    "mediator-etcd": "etcd decides",
    "keepalived": "keepalived moves the address, and the role with it",
    "probe": "the standby tries the primary as a client would",
    "primary-primary": "both nodes accept writes",
}

/// The example of this name.
pub fn example(name: &str) -> Option<&'static Example> {
    EXAMPLES.iter().find(|example| example.name == name)
}
