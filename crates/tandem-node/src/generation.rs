//! Names of generations: `gen-<n>` below the data directory holds one log and its snapshots.

const PREFIX: &str = "gen-";

/// The directory of generation `number`.
pub fn generation_name(number: u64) -> String {
    format!("{PREFIX}{number}")
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
