//! What a row of the `COMMANDS` table says about a command.

mod flags;
mod key_spec;

use tandem_resp::Args;

use crate::call::Ctx;
use crate::failure::Failure;

pub use flags::{Categories, Flags};
pub use key_spec::{FindKeys, KeyRange, KeySpec};

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

    /// The row that runs these words: that of the subcommand they name, if it has code of its own.
    #[inline]
    pub fn of_words(&'static self, args: &Args<'_>) -> &'static Self {
        if self.subcommands.is_empty() {
            return self;
        }
        match self.subcommand(args) {
            Some(row) if matches!(row.handler, Handler::Data(_)) => row,
            _ => self,
        }
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
    /// Streams.
    Stream,
    /// Places on Earth.
    Geo,
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
            Self::Stream => "stream",
            Self::Geo => "geo",
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
            Self::Stream => Categories::STREAM,
            Self::Geo => Categories::GEO,
            Self::Pubsub => Categories::PUBSUB,
            Self::Transactions => Categories::TRANSACTION,
            Self::Connection => Categories::CONNECTION,
            Self::Server | Self::Tandem => Categories::NONE,
            Self::Scripting => Categories::SCRIPTING,
        }
    }
}
