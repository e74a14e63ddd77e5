//! Something a client can ask for by name: a command of the store, or one of the connection.

use tandem_resp::{Args, OwnedArgs};
use tandem_store::{Command, Flags, Handler};

use crate::session_commands::{SessionCommand, session_command};

/// A command that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runnable {
    /// Works on keys: runs in the store.
    Data(&'static Command),
    /// Works on the connection or the server: runs here.
    Session(&'static SessionCommand),
}

impl Runnable {
    /// The command of this name, in any case.
    #[inline]
    pub(crate) fn find(name: &[u8]) -> Option<Self> {
        match tandem_store::command(name) {
            Some(command) if matches!(command.handler, Handler::Data(_)) => {
                Some(Self::Data(command))
            }
            _ => session_command(name).map(Self::Session),
        }
    }

    /// The command of these words: of the subcommand they name, if that has code of its own.
    #[inline]
    pub(crate) fn of_words(args: &Args<'_>) -> Option<Self> {
        match Self::find(args.name())? {
            Self::Data(command) => Some(Self::Data(command.of_words(args))),
            found @ Self::Session(_) => Some(found),
        }
    }

    /// `TANDEM BC DECRBY key 1` is `BC.DECRBY key 1`; the same for `SEQ`, and for what `PP` means in the store.
    /// Gives the command and the words it then has.
    pub(crate) fn within_tandem(args: &Args<'_>) -> Option<(Self, OwnedArgs)> {
        let (family, rest) = (args.opt(1)?, args.opt(2)?);
        let is_one = |families: &[&str]| {
            families.iter().any(|name| family.eq_ignore_ascii_case(name.as_bytes()))
        };
        if rest.len() > 32 || !is_one(&["bc", "seq", "pp"]) {
            return None;
        }
        let name = [family, b".", rest].concat().to_ascii_lowercase();
        let found = Self::find(&name).filter(|found| matches!(found, Self::Data(_)))?;
        let words = [name.as_slice()].into_iter().chain(args.iter().skip(3)).collect();
        Some((found, words))
    }

    /// Its name, lower case.
    #[inline]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Data(command) => command.name,
            Self::Session(command) => command.name,
        }
    }

    #[inline]
    pub(crate) const fn flags(self) -> Flags {
        match self {
            Self::Data(command) => command.flags,
            Self::Session(command) => command.flags,
        }
    }

    #[inline]
    pub(crate) const fn is(self, flag: Flags) -> bool {
        self.flags().has(flag)
    }

    /// Whether it reads or writes keys: a command of the store, or a script.
    #[inline]
    pub(crate) fn touches_data(self) -> bool {
        match self {
            Self::Data(_) => true,
            Self::Session(command) => command.name.starts_with("eval"),
        }
    }

    /// Whether it runs a script that may write.
    #[inline]
    pub(crate) fn may_write_by_script(self) -> bool {
        match self {
            Self::Data(_) => false,
            Self::Session(command) => matches!(command.name, "eval" | "evalsha"),
        }
    }

    /// Whether it may have so many words, the name included.
    #[inline]
    pub(crate) fn takes(self, words: usize) -> bool {
        match self {
            Self::Data(command) => command.takes(words),
            Self::Session(command) => command.takes(words),
        }
    }

    /// Why these words cannot be queued: they name no subcommand, or not as many words as it takes.
    pub(crate) fn wrong_subcommand(self, args: &Args<'_>) -> Option<String> {
        let Self::Data(command) = self else { return None };
        if command.subcommands.is_empty() {
            return None;
        }
        if let Some(row) = command.subcommand(args) {
            return row.check_arity(args.len()).err().map(|failure| failure.text().into());
        }
        let word = String::from_utf8_lossy(args.opt(1).unwrap_or_default());
        let container = command.name.to_uppercase();
        Some(format!("ERR unknown subcommand '{word}'. Try {container} HELP."))
    }

    /// Its name with its subcommand, as `CLIENT LIST` shows it.
    pub(crate) fn shown_name(self, args: &Args<'_>) -> &'static str {
        match self {
            Self::Session(command) => command.subcommand_name(args).unwrap_or(command.name),
            Self::Data(command) => {
                command.subcommand(args).map_or(command.name, |found| found.name)
            }
        }
    }
}
