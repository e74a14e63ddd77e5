//! Names of generations: `gen-<n>` below the data directory holds one log and its snapshots.

use std::io;

use tandem_disk::Disk;

const PREFIX: &str = "gen-";
/// What names begin with that are kept for people: generations, and single files within one.
pub(crate) const DAMAGED_PREFIX: &str = "damaged-";

/// The directory of generation `number`.
pub fn generation_name(number: u64) -> String {
    format!("{PREFIX}{number}")
}

/// The directory in which a generation that was found damaged is kept.
pub fn damaged_name(number: u64) -> String {
    format!("{DAMAGED_PREFIX}{number}")
}

/// The name under which a damaged file is kept beside the others of its generation.
pub fn damaged_file_name(name: &str) -> String {
    format!("{DAMAGED_PREFIX}{name}")
}

/// Whether a directory's entry is kept for people.
pub fn is_kept(name: &str) -> bool {
    name.starts_with(DAMAGED_PREFIX)
}

/// Marks a generation whose files are for people once another one has replaced it: with such a file among
/// them they are set aside, by whoever comes to remove them.
///
/// # Errors
/// The disk failed.
pub fn keep_generation<D: Disk>(disk: &D, number: u64) -> io::Result<()> {
    let dir = generation_name(number);
    match disk.create(&format!("{dir}/{}", damaged_file_name("replaced"))) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(_) | Err(_) => {}
    }
    disk.sync_dir(&dir)
}

/// The number of a generation's directory; `None` for any other name.
pub fn parse_generation_name(name: &str) -> Option<u64> {
    let number = name.strip_prefix(PREFIX)?.parse().ok()?;
    (generation_name(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_name_is_read_as_a_generation() {
        assert_eq!(parse_generation_name("gen-12"), Some(12));
        for other in ["gen-012", "gen-", "gen-x", "12", "gen-12.tmp"] {
            assert_eq!(parse_generation_name(other), None, "{other}");
        }
    }
}
