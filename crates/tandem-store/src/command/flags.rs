//! Sets of named bits: what a command does, and the ACL categories it is in.

/// Defines a set of named bits.
macro_rules! bits {
    ($(#[$doc:meta])* $name:ident { $($(#[$bit_doc:meta])* $bit:ident = $shift:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct $name(u32);

        impl $name {
            /// None of them.
            pub const NONE: Self = Self(0);
            $($(#[$bit_doc])* pub const $bit: Self = Self(1 << $shift);)*

            /// Both.
            #[must_use]
            pub const fn and(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// True if all of `other` are in.
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Their names in Redis' words.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                const ALL: &[($name, &str)] = &[$(($name::$bit, $text),)*];
                ALL.iter().filter(move |(bit, _)| self.has(*bit)).map(|(_, name)| *name)
            }

            /// The one of this name.
            pub fn by_name(name: &[u8]) -> Option<Self> {
                const ALL: &[($name, &str)] = &[$(($name::$bit, $text),)*];
                let found = ALL.iter().find(|(_, text)| name.eq_ignore_ascii_case(text.as_bytes()));
                found.map(|(bit, _)| *bit)
            }
        }
    };
}

bits! {
    /// What a command does and where it may run, as `COMMAND INFO` shows it.
    Flags {
        /// May change keys.
        WRITE = 0 "write",
        /// Reads keys only.
        READONLY = 1 "readonly",
        /// Refused beyond `maxmemory`.
        DENYOOM = 2 "denyoom",
        /// For administrators.
        ADMIN = 3 "admin",
        /// Publish and subscribe.
        PUBSUB = 4 "pubsub",
        /// Not in scripts.
        NOSCRIPT = 5 "noscript",
        /// May wait.
        BLOCKING = 6 "blocking",
        /// Runs while data is loaded.
        LOADING = 7 "loading",
        /// Runs on a stale replica.
        STALE = 8 "stale",
        /// Not shown by `MONITOR`.
        SKIP_MONITOR = 9 "skip_monitor",
        /// Not in the slow log.
        SKIP_SLOWLOG = 10 "skip_slowlog",
        /// Constant or logarithmic time.
        FAST = 11 "fast",
        /// Before `AUTH` too.
        NO_AUTH = 12 "no_auth",
        /// May replicate although it is no write.
        MAY_REPLICATE = 13 "may_replicate",
        /// Not in transactions.
        NO_MULTI = 14 "no_multi",
        /// Its keys are found by looking at the words.
        MOVABLEKEYS = 15 "movablekeys",
        /// Runs while a script is too slow.
        ALLOW_BUSY = 16 "allow_busy",
    }
}

bits! {
    /// ACL categories.
    Categories {
        /// Keys of any type.
        KEYSPACE = 0 "keyspace",
        /// Reads keys.
        READ = 1 "read",
        /// Writes keys.
        WRITE = 2 "write",
        /// Sets.
        SET = 3 "set",
        /// Sorted sets.
        SORTEDSET = 4 "sortedset",
        /// Lists.
        LIST = 5 "list",
        /// Hashes.
        HASH = 6 "hash",
        /// Strings.
        STRING = 7 "string",
        /// Bitmaps.
        BITMAP = 8 "bitmap",
        /// Places on Earth.
        GEO = 10 "geo",
        /// Streams.
        STREAM = 11 "stream",
        /// Publish and subscribe.
        PUBSUB = 12 "pubsub",
        /// For administrators.
        ADMIN = 13 "admin",
        /// Constant or logarithmic time.
        FAST = 14 "fast",
        /// Not fast.
        SLOW = 15 "slow",
        /// May wait.
        BLOCKING = 16 "blocking",
        /// Can do harm.
        DANGEROUS = 17 "dangerous",
        /// The connection itself.
        CONNECTION = 18 "connection",
        /// Transactions.
        TRANSACTION = 19 "transaction",
        /// Scripts.
        SCRIPTING = 20 "scripting",
    }
}
