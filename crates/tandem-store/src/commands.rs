//! All commands: the `COMMANDS` table, put together from one slice per group.
//!
//! Adding a command is one function and one row in its group's file.
#![expect(clippy::unnecessary_wraps, reason = "all handlers have one signature")]

mod bitfield;
mod bitmaps;
mod blocking;
pub(crate) mod bounded;
mod conflicts;
mod counted;
mod counters;
mod element_scan;
mod expire;
mod flush;
mod geo;
mod hashes;
mod index_range;
mod keys;
mod lcs;
mod lists;
mod object;
mod policies;
mod sample;
mod scan;
pub(crate) mod sequences;
mod session;
mod sets;
mod sort;
mod streams;
mod strings;
mod substrings;
mod table;
mod zsets;

use std::sync::LazyLock;

use crate::command::Command;

/// The rows, group by group.
const GROUPS: &[&[Command]] = &[
    strings::ROWS,
    substrings::ROWS,
    counters::ROWS,
    bitmaps::ROWS,
    bitfield::ROWS,
    lcs::ROWS,
    sort::ROWS,
    keys::ROWS,
    expire::ROWS,
    scan::ROWS,
    flush::ROWS,
    hashes::ROWS,
    lists::ROWS,
    lists::search::ROWS,
    lists::transfer::ROWS,
    lists::pops::ROWS,
    sets::ROWS,
    sets::algebra::ROWS,
    zsets::ROWS,
    zsets::add::ROWS,
    zsets::ranges::ROWS,
    zsets::removal::ROWS,
    zsets::pops::ROWS,
    zsets::algebra::ROWS,
    geo::ROWS,
    geo::search::ROWS,
    streams::ROWS,
    streams::read::ROWS,
    streams::groups::ROWS,
    streams::pending::ROWS,
    streams::info::ROWS,
    object::ROWS,
    bounded::ROWS,
    sequences::ROWS,
    policies::ROWS,
    conflicts::ROWS,
    table::ROWS,
    session::ROWS,
];

/// All commands, in the order of the table.
pub fn commands() -> impl Iterator<Item = &'static Command> {
    GROUPS.iter().copied().flatten()
}

/// The command of this name, in any case. Costs a hash of the name and one comparison.
#[inline]
pub fn command(name: &[u8]) -> Option<&'static Command> {
    INDEX.find(name)
}

static INDEX: LazyLock<Index> = LazyLock::new(Index::build);

/// Commands by name: open addressing with a load below one half.
struct Index {
    table: Vec<Option<&'static Command>>,
}

/// A power of two, more than twice the number of commands.
const INDEX_LEN: usize = 1024;

impl Index {
    fn build() -> Self {
        let mut index = Self { table: vec![None; INDEX_LEN] };
        for command in commands() {
            let mut at = place(command.name.as_bytes());
            while index.table[at].is_some_and(|other| other.name != command.name) {
                at = (at + 1) % INDEX_LEN;
            }
            index.table[at] = Some(command);
        }
        index
    }

    fn find(&self, name: &[u8]) -> Option<&'static Command> {
        let mut at = place(name);
        loop {
            let command = self.table[at]?;
            if name.eq_ignore_ascii_case(command.name.as_bytes()) {
                return Some(command);
            }
            at = (at + 1) % INDEX_LEN;
        }
    }
}

/// Where a name is looked for first: FNV-1a over lower-case bytes; names beyond 32 bytes need no care.
fn place(name: &[u8]) -> usize {
    let hash = name.iter().take(32).fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte | 0x20)).wrapping_mul(0x0100_0193)
    });
    usize::try_from(hash ^ (hash >> 15)).unwrap_or(0) % INDEX_LEN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_in_any_case() {
        for row in commands() {
            let found = command(row.name.to_ascii_uppercase().as_bytes()).unwrap();
            assert_eq!(found.name, row.name);
        }
        assert!(command(b"nosuchcommand").is_none());
        assert!(command(b"").is_none());
    }

    #[test]
    fn every_row_is_complete_and_its_name_is_its_own() {
        let mut names: Vec<_> = commands().map(|row| row.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "a name appears twice");
        assert!(count * 2 < INDEX_LEN);
        for row in commands() {
            assert!(row.arity != 0, "{}", row.name);
            assert!(!row.summary.is_empty(), "{}", row.name);
            assert_eq!(row.name, row.name.to_ascii_lowercase());
        }
    }
}
