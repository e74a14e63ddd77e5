//! House style that clippy does not know.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::{metadata, shell};

/// A file beyond this holds more than one noun.
const FILE_LINES_MAX: usize = 900;

/// In two parts, so that this file does not find itself.
const TEST_PREFIX: &str = concat!("fn ", "test_");

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    let mut files = Vec::new();
    for package in metadata::packages()? {
        for folder in ["src", "tests", "benches"] {
            collect(&package.folder.join(folder), &mut files)?;
        }
    }
    collect(&shell::root().join("fuzz/fuzz_targets"), &mut files)?;
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        let name = file.strip_prefix(shell::root()).unwrap_or(file).display().to_string();
        wrong.extend(check_file(&text).into_iter().map(|what| format!("{name}{what}")));
    }
    wrong.extend(crates_missing_on_the_map()?);
    if !wrong.is_empty() {
        bail!("{} places to tidy:\n  {}", wrong.len(), wrong.join("\n  "));
    }
    println!("tidy: {} files", files.len());
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// What is wrong with one file, each as `:line: what`.
fn check_file(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if !text.starts_with("//!") && !text.starts_with("#!/") {
        wrong.push(": does not open with `//!` that says what it is".to_owned());
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        wrong.push(format!(": has {lines} lines, at most {FILE_LINES_MAX} are read in one go"));
    }
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        if line.contains(TEST_PREFIX) {
            wrong.push(format!(":{number}: a test's name is a fact, without `test_`"));
        }
        if !code_of(line).is_ascii() {
            wrong.push(format!(":{number}: code is ASCII, outside strings and comments"));
        }
    }
    wrong
}

/// A line without its comment and without what is between quotes. Good enough for finding letters that
/// look like others; multi-line strings begin with a quote somewhere above and are rare.
fn code_of(line: &str) -> String {
    let line = line.split("//").next().unwrap_or(line);
    line.split('"').step_by(2).collect()
}

fn crates_missing_on_the_map() -> anyhow::Result<Vec<String>> {
    let map = fs::read_to_string(shell::root().join("ARCHITECTURE.md"))
        .context("read ARCHITECTURE.md")?;
    let missing = |name: &String| !map.contains(&format!("`{name}`"));
    Ok(metadata::packages()?
        .into_iter()
        .map(|package| package.name)
        .filter(missing)
        .map(|name| format!("ARCHITECTURE.md: the crate `{name}` is not on the map"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_found_with_its_line() {
        let text = "//! A file.\nfn te\u{73}t_it() {}\nlet \u{430} = 1;\nlet s = \"\u{e4}\"; // \u{2192}\n";
        let wrong = check_file(text);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].starts_with(":2:") && wrong[1].starts_with(":3:"));
        assert_eq!(check_file("fn main() {}\n").len(), 1);
    }
}
