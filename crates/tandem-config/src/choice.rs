//! Settings that are one word out of a few.

/// Declares an enum whose variants are words of the configuration file.
macro_rules! choice {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// The words the file may use, in the order they are documented.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word of the file.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The setting that a word stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

choice! {
    /// What the second node is for.
    Topology {
        /// It follows and serves nobody.
        PrimaryStandby = "primary-standby",
        /// It follows and serves reads.
        PrimaryReplica = "primary-replica",
        /// Both accept writes.
        PrimaryPrimary = "primary-primary",
    }
}

choice! {
    /// When a write is answered.
    Acknowledge {
        /// It is on the primary's disk.
        Local = "local",
        /// ... and in the peer's memory.
        Received = "received",
        /// It is on both disks.
        Durable = "durable",
    }
}

choice! {
    /// What a primary without an in-sync peer does.
    WithoutPeer {
        /// Goes on alone, once the peer is out of the in-sync set.
        Serve = "serve",
        /// Answers writes with `-NOREPLICAS`.
        Refuse = "refuse",
    }
}

choice! {
    /// When the log is fsynced.
    FsyncPolicy {
        /// Before a write counts as written.
        Always = "always",
        /// Every `fsync_interval`.
        Interval = "interval",
        /// When the operating system likes.
        Never = "never",
    }
}

choice! {
    /// How a primary proves that its reads are current.
    Reads {
        /// A lease that the peer grants in its acknowledgements.
        Lease = "lease",
        /// One round trip to the peer; trusts no clock.
        Barrier = "barrier",
    }
}

choice! {
    /// Who moves the role of primary.
    SwitchBy {
        /// A person.
        Manual = "manual",
        /// The two nodes over their own channels.
        Direct = "direct",
        /// A third party that keeps the primary record.
        Mediator = "mediator",
        /// The standby, by being a client of the primary.
        Probe = "probe",
    }
}

choice! {
    /// How far automation goes.
    Automation {
        /// It acts.
        Auto = "auto",
        /// It proposes, a person confirms.
        Confirm = "confirm",
        /// It only says what it would do.
        Observe = "observe",
    }
}

choice! {
    /// Whether the role returns to `initial_primary` by itself.
    Failback {
        /// It stays where it is.
        Stay = "stay",
        /// It returns once that node is in sync for `failback_after`.
        Prefer = "prefer",
    }
}

choice! {
    /// What becomes of a returning primary's extra writes.
    ConflictPolicy {
        /// Saved and listed.
        Keep = "keep",
        /// The node stays out until a person decides.
        Hold = "hold",
        /// Untouched and mergeable ones are written again, the rest is kept.
        Reapply = "reapply",
        /// Saved in the file, not listed.
        Discard = "discard",
    }
}

choice! {
    /// What a standby without a fence does about a silent primary.
    OnSilence {
        /// It waits for proof or a person.
        Wait = "wait",
        /// It takes over; both may then serve.
        TakeOver = "take-over",
    }
}

choice! {
    /// Which history wins when both nodes served.
    SplitBrain {
        /// The one written to last.
        Newest = "newest",
        /// The one with more records past the fork.
        MostWrites = "most-writes",
        /// That of `initial_primary`.
        Prefer = "prefer",
        /// A person says.
        Manual = "manual",
    }
}

choice! {
    /// The third party.
    MediatorKind {
        /// Tandem's own.
        Witness = "witness",
        /// Apache `ZooKeeper`.
        Zookeeper = "zookeeper",
        /// etcd.
        Etcd = "etcd",
        /// keepalived: moves the address, keeps no record.
        Keepalived = "keepalived",
    }
}

choice! {
    /// What a pair does when its mediator is gone.
    WhenLost {
        /// An in-sync, connected pair goes on.
        Partner = "partner",
        /// A node without the mediator demotes itself.
        StepDown = "step-down",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_settings_are_one_to_one() {
        for word in Topology::WORDS {
            assert_eq!(Topology::from_word(word).unwrap().as_str(), *word);
        }
        assert_eq!(OnSilence::from_word("take-over"), Some(OnSilence::TakeOver));
        assert_eq!(OnSilence::from_word("Take-over"), None);
    }
}
