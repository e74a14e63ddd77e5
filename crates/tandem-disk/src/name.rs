//! Names within a data directory: one level of subdirectories, nothing that leads out of it.

use std::fmt;
use std::io;

/// A name that does not stay inside the directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NameError;

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a plain name with at most one directory before it")
    }
}

impl std::error::Error for NameError {}

impl From<NameError> for io::Error {
    fn from(error: NameError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Splits `"dir/file"` into its directory (`""` when there is none) and its last part.
///
/// # Errors
/// Empty parts, `.` and `..`, a second `/`, or a NUL.
pub fn split_name(name: &str) -> Result<(&str, &str), NameError> {
    let (dir, file) = match name.split_once('/') {
        Some((dir, file)) if is_plain(dir) => (dir, file),
        Some(_) => return Err(NameError),
        None => ("", name),
    };
    if is_plain(file) { Ok((dir, file)) } else { Err(NameError) }
}

fn is_plain(part: &str) -> bool {
    !part.is_empty() && part != "." && part != ".." && !part.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_inside_the_directory_are_taken() {
        assert_eq!(split_name("state"), Ok(("", "state")));
        assert_eq!(split_name("gen-1/a.log"), Ok(("gen-1", "a.log")));
        for bad in ["", "/", "/etc", "..", "a/..", "../a", "a/b/c", "a/", "./a", "a\0b"] {
            assert_eq!(split_name(bad), Err(NameError), "{bad:?}");
        }
    }
}
