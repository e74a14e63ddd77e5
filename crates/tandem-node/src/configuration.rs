//! What must be the same on both machines, as text; and where two of them differ.

use std::collections::BTreeMap;
use std::fmt;

/// Keys that are named in a message; how many more there are is said.
const NAMED_MAX: usize = 5;

/// A key whose values differ; `None`: there is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Difference<'a> {
    pub(crate) key: &'a str,
    ours: Option<&'a str>,
    theirs: Option<&'a str>,
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, ours, theirs } = self;
        let [ours, theirs] = [ours, theirs].map(|value| value.unwrap_or("nothing"));
        write!(f, "{key} ({ours} here, {theirs} there)")
    }
}

/// Where two texts of one `key = value` a line differ, by key.
pub(crate) fn differences<'a>(ours: &'a str, theirs: &'a str) -> Vec<Difference<'a>> {
    let table = |text: &'a str| -> BTreeMap<&'a str, &'a str> {
        text.lines().filter_map(|line| line.split_once(" = ")).collect()
    };
    let (ours, theirs) = (table(ours), table(theirs));
    let mut keys: Vec<&str> = ours.keys().chain(theirs.keys()).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .map(|key| Difference {
            key,
            ours: ours.get(key).copied(),
            theirs: theirs.get(key).copied(),
        })
        .filter(|it| it.ours != it.theirs)
        .collect()
}

/// What is said where two digests differ and nobody knows in which keys.
pub(crate) const UNNAMED: &str = "compare `tandem config show --all` on both";

/// The same in one line for people; `None`: no difference is known.
pub(crate) fn told(differences: &[Difference<'_>]) -> Option<String> {
    let named: Vec<String> = differences.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = differences.len().saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_its_key_and_both_values() {
        let ours = "a = 1\nb = \"x = y\"\nc = 3\n";
        let theirs = "a = 1\nb = \"x = z\"\nd = 4\n";
        let found = differences(ours, theirs);
        assert_eq!(
            told(&found).as_deref(),
            Some(
                "b (\"x = y\" here, \"x = z\" there), c (3 here, nothing there), d (nothing here, 4 there)"
            )
        );
        assert_eq!(differences(ours, ours), []);
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn many_are_counted() {
        let many: Vec<String> = (0..9).map(|key| format!("k{key} = 1")).collect();
        let many = many.join("\n");
        let told = told(&differences(&many, "")).unwrap_or_default();
        assert!(told.ends_with("k4 (1 here, nothing there) and 4 more"), "{told}");
    }
}
