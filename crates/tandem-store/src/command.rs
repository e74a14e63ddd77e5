//! What a row of the `COMMANDS` table says about a command.

use tandem_resp::Args;

use crate::call::Ctx;
use crate::failure::Failure;

/// One command: the only place that knows its name, shape, rights, help and code.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Lower case; a subcommand's is `config|get`.
    pub name: &'static str,
    /// Number of words, the name included; negative: at least that many.
    pub arity: i32,
    /// What it does and where it may run.
    pub flags: Flags,
    /// Which words are keys.
    pub keys: KeySpec,
    /// ACL categories beyond those that follow from group and flags.
    pub categories: Categories,
    /// Chapter of the reference.
    pub group: Group,
    /// Redis version it came with.
    pub since: &'static str,
    /// Cost, for people.
    pub complexity: &'static str,
    /// One sentence, for people.
    pub summary: &'static str,
    /// `CONFIG GET` and the like.
    pub subcommands: &'static [Self],
    /// Who runs it.
    pub handler: Handler,
}

/// Who runs a command.
#[derive(Clone, Copy, Debug)]
pub enum Handler {
    /// The store: it works on keys.
    Data(DataHandler),
    /// The connection's session.
    Session,
}

/// The code of a data command; crate-private, so that only [`crate::Store::execute`] calls it.
#[derive(Clone, Copy, Debug)]
pub struct DataHandler(pub(crate) fn(&mut Ctx<'_>) -> Result<(), Failure>);

impl Handler {
    pub(crate) const fn data(handler: fn(&mut Ctx<'_>) -> Result<(), Failure>) -> Self {
        Self::Data(DataHandler(handler))
    }
}

impl Command {
    /// A row to start from: no keys, no flags, run by the session.
    pub(crate) const fn of(group: Group) -> Self {
        Self {
            name: "",
            arity: 1,
            flags: Flags::NONE,
            keys: KeySpec::None,
            categories: Categories::NONE,
            group,
            since: "1.0.0",
            complexity: "O(1)",
            summary: "",
            subcommands: &[],
            handler: Handler::Session,
        }
    }

    /// Refuses a wrong number of words, in Redis' words.
    #[inline]
    pub fn check_arity(&self, argc: usize) -> Result<(), Failure> {
        if self.takes(argc) { Ok(()) } else { Err(Failure::arity(self.name)) }
    }

    /// True if the command can have `argc` words.
    #[inline]
    pub fn takes(&self, argc: usize) -> bool {
        let argc = i32::try_from(argc).unwrap_or(i32::MAX);
        if self.arity >= 0 { argc == self.arity } else { argc >= -self.arity }
    }

    /// The subcommand that these words name, if this command has such.
    pub fn subcommand(&self, args: &Args<'_>) -> Option<&'static Self> {
        let wanted = args.opt(1)?;
        self.subcommands.iter().find(|row| {
            let name = row.name.split_once('|').map_or(row.name, |(_, name)| name);
            wanted.eq_ignore_ascii_case(name.as_bytes())
        })
    }

    /// True if it may change keys.
    pub const fn is_write(&self) -> bool {
        self.flags.has(Flags::WRITE)
    }

    /// Appends the positions of the words that are keys.
    pub fn key_positions(&self, args: &Args<'_>, out: &mut Vec<usize>) -> Result<(), Failure> {
        match self.keys {
            KeySpec::None => {}
            KeySpec::Range(range) => range.positions(args.len(), out),
            KeySpec::Movable { find, .. } => find(args, out)?,
        }
        Ok(())
    }

    /// All ACL categories: the given ones, and those that follow from group and flags as in Redis.
    pub fn all_categories(&self) -> Categories {
        let mut all = self.categories.and(self.group.category());
        let implied = [
            (Flags::WRITE, Categories::WRITE),
            (Flags::ADMIN, Categories::ADMIN.and(Categories::DANGEROUS)),
            (Flags::PUBSUB, Categories::PUBSUB),
            (Flags::FAST, Categories::FAST),
            (Flags::BLOCKING, Categories::BLOCKING),
        ];
        for (flag, category) in implied {
            if self.flags.has(flag) {
                all = all.and(category);
            }
        }
        if self.flags.has(Flags::READONLY) && !self.categories.has(Categories::SCRIPTING) {
            all = all.and(Categories::READ);
        }
        if !self.flags.has(Flags::FAST) {
            all = all.and(Categories::SLOW);
        }
        all
    }
}

/// Keys at regular places.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyRange {
    /// Position of the first key.
    pub first: i32,
    /// Position of the last key; negative counts from the end.
    pub last: i32,
    /// Distance between keys.
    pub step: i32,
}

impl KeyRange {
    fn positions(self, argc: usize, out: &mut Vec<usize>) {
        let argc = i32::try_from(argc).unwrap_or(i32::MAX);
        let last = if self.last < 0 { argc + self.last } else { self.last.min(argc - 1) };
        let mut at = self.first;
        while at > 0 && at <= last {
            out.push(usize::try_from(at).unwrap_or(0));
            at = at.saturating_add(self.step.max(1));
        }
    }
}

/// Finds the keys among a command's words.
pub type FindKeys = fn(&Args<'_>, &mut Vec<usize>) -> Result<(), Failure>;

/// Which words of a command are keys.
#[derive(Clone, Copy, Debug)]
pub enum KeySpec {
    /// None.
    None,
    /// Those at regular places.
    Range(KeyRange),
    /// Those that a look at the words finds; `range` is what `COMMAND INFO` shows.
    Movable {
        /// The regular part.
        range: KeyRange,
        /// Finds all of them.
        find: FindKeys,
    },
}

impl KeySpec {
    /// The word after the name.
    pub(crate) const FIRST: Self = Self::range(1, 1, 1);
    /// The two words after the name.
    pub(crate) const FIRST_TWO: Self = Self::range(1, 2, 1);
    /// All words after the name.
    pub(crate) const ALL: Self = Self::range(1, -1, 1);
    /// All words after the name but the last.
    pub(crate) const ALL_BUT_LAST: Self = Self::range(1, -2, 1);

    /// Keys at regular places.
    pub(crate) const fn range(first: i32, last: i32, step: i32) -> Self {
        Self::Range(KeyRange { first, last, step })
    }

    /// `numkeys` at `count_at`, the keys after it (`LMPOP`, `ZUNION`); plus a key at `destination`
    /// if that is not 0 is for the caller's own `find`.
    pub(crate) const fn counted_at_first() -> Self {
        Self::Movable { range: KeyRange { first: 0, last: 0, step: 0 }, find: counted_at_1 }
    }

    /// As above, with `numkeys` as the second argument (`BLMPOP timeout numkeys key ...`).
    pub(crate) const fn counted_at_second() -> Self {
        Self::Movable { range: KeyRange { first: 0, last: 0, step: 0 }, find: counted_at_2 }
    }

    /// A destination, then `numkeys` and the keys (`ZUNIONSTORE`).
    pub(crate) const fn destination_and_counted() -> Self {
        Self::Movable {
            range: KeyRange { first: 1, last: 1, step: 1 },
            find: destination_and_counted,
        }
    }

    /// What `COMMAND INFO` shows as first, last and step.
    pub const fn shown(&self) -> KeyRange {
        match self {
            Self::None => KeyRange { first: 0, last: 0, step: 0 },
            Self::Range(range) | Self::Movable { range, .. } => *range,
        }
    }
}

fn counted_at_1(args: &Args<'_>, out: &mut Vec<usize>) -> Result<(), Failure> {
    counted(args, 1, out)
}

fn counted_at_2(args: &Args<'_>, out: &mut Vec<usize>) -> Result<(), Failure> {
    counted(args, 2, out)
}

fn destination_and_counted(args: &Args<'_>, out: &mut Vec<usize>) -> Result<(), Failure> {
    out.push(1);
    counted(args, 2, out)
}

/// The keys after the count at `count_at`.
pub(crate) fn counted(
    args: &Args<'_>,
    count_at: usize,
    out: &mut Vec<usize>,
) -> Result<(), Failure> {
    const INVALID: Failure = Failure::Text("ERR Invalid arguments specified for command");
    let count = args.opt(count_at).and_then(tandem_resp::parse_i64).ok_or(INVALID)?;
    let count = usize::try_from(count).map_err(|_| INVALID)?;
    let first = count_at + 1;
    if count == 0 || count > args.len().saturating_sub(first) {
        return Err(INVALID);
    }
    out.extend(first..first + count);
    Ok(())
}

/// Chapter of the reference, as in Redis' `COMMAND DOCS`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Group {
    /// Commands on keys of any type.
    Generic,
    /// Strings.
    String,
    /// Bitmaps: strings seen as bits.
    Bitmap,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Hashes.
    Hash,
    /// Publish and subscribe.
    Pubsub,
    /// Transactions.
    Transactions,
    /// The connection itself.
    Connection,
    /// The server.
    Server,
    /// Scripts.
    Scripting,
    /// What only Tandem has.
    Tandem,
}

impl Group {
    /// As `COMMAND DOCS` writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::String => "string",
            Self::Bitmap => "bitmap",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "sorted-set",
            Self::Hash => "hash",
            Self::Pubsub => "pubsub",
            Self::Transactions => "transactions",
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Scripting => "scripting",
            Self::Tandem => "tandem",
        }
    }

    const fn category(self) -> Categories {
        match self {
            Self::Generic => Categories::KEYSPACE,
            Self::String => Categories::STRING,
            Self::Bitmap => Categories::BITMAP,
            Self::List => Categories::LIST,
            Self::Set => Categories::SET,
            Self::SortedSet => Categories::SORTEDSET,
            Self::Hash => Categories::HASH,
            Self::Pubsub => Categories::PUBSUB,
            Self::Transactions => Categories::TRANSACTION,
            Self::Connection => Categories::CONNECTION,
            Self::Server | Self::Tandem => Categories::NONE,
            Self::Scripting => Categories::SCRIPTING,
        }
    }
}

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
