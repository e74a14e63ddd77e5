//! From text to configuration: the file over the defaults, the environment over the file.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use crate::entry::{Entry, Origin};
use crate::error::{ConfigError, Problem};
use crate::key::{self, Kind};
use crate::value::{self, Raw};
use crate::{Config, KEYS, Value, environment, settings};

/// Files beyond this are refused: no configuration is that long.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Reads a configuration: `text` of the file (a byte order mark and CRLF line ends are fine), and the
/// environment variables of the process, of which only `TANDEM_..__..` matter.
///
/// # Errors
/// Everything that is wrong with it, each with line, reason and advice.
pub fn load(
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let mut problems = Vec::new();
    let mut given = read_file(text, &mut problems)?;
    environment::overlay(environment, &mut given, &mut problems);
    let values = Values { entries: read_values(&given, &mut problems) };
    // Wrong values have no meaning that rules over several keys could look at.
    ConfigError::unless_empty(problems)?;
    settings::build(values)
}

/// A value as written, by path.
pub(crate) type Given = BTreeMap<String, (Raw, Origin)>;

pub(crate) fn read_file(text: &str, problems: &mut Vec<Problem>) -> Result<Given, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > FILE_BYTES_MAX {
        return Err(Problem::new(
            format!(
                "the file has {} bytes, a configuration has at most {FILE_BYTES_MAX}",
                text.len()
            ),
            "is this the right file?",
        )
        .into());
    }
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        Problem::new(error.message().trim().replace('\n', ", "), "see `tandem config example`")
            .at(line)
    })?;
    let mut given = Given::new();
    flatten(text, "", table.get_ref(), &mut given, problems);
    Ok(given)
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

/// Collects the leaves below `prefix`; an unknown key or section is a problem.
fn flatten(
    text: &str,
    prefix: &str,
    table: &DeTable<'_>,
    given: &mut Given,
    problems: &mut Vec<Problem>,
) {
    for (name, value) in table {
        let line = line_of(text, name.span().start);
        let path = if prefix.is_empty() {
            name.get_ref().to_string()
        } else {
            format!("{prefix}.{}", name.get_ref())
        };
        if prefix == "nodes" && !key::is_name(name.get_ref()) {
            let what = format!("{:?} cannot be the name of a node", name.get_ref());
            problems.push(Problem::new(what, "use letters, digits, \"-\" or \"_\"").at(Some(line)));
        } else if key::lookup(&path).is_some() {
            given.insert(path, (Raw::from_toml(value.get_ref()), Origin::File { line }));
        } else if let (true, DeValue::Table(inner)) = (is_section(&path), value.get_ref()) {
            flatten(text, &path, inner, given, problems);
        } else {
            problems.push(unknown(&path, value.get_ref()).at(Some(line)));
        }
    }
}

fn is_section(path: &str) -> bool {
    path == "nodes"
        || matches!(path.split_once('.'), Some(("nodes", name)) if !name.contains('.'))
        || KEYS
            .iter()
            .any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

fn unknown(path: &str, value: &DeValue<'_>) -> Problem {
    if is_section(path) {
        return Problem::new(
            format!("`{path}` is a section, not a key"),
            format!("write it as [{path}] with keys below it"),
        );
    }
    // For an unknown section the keys inside say best what was meant.
    if let DeValue::Table(inner) = value {
        let first =
            inner.iter().next().map_or(String::new(), |(name, _)| format!(".{}", name.get_ref()));
        let near = key::nearest_path(&format!("{path}{first}"));
        let section = near.rsplit_once('.').map_or("", |(section, _)| section);
        return Problem::new(
            format!("unknown section `{path}`"),
            format!("did you mean [{section}]?"),
        );
    }
    unknown_key(path)
}

pub(crate) fn unknown_key(path: &str) -> Problem {
    Problem::new(
        format!("unknown key `{path}`"),
        format!("did you mean `{}`?", key::nearest_path(path)),
    )
}

/// Checks each given value against its key and fills in the defaults.
fn read_values(given: &Given, problems: &mut Vec<Problem>) -> BTreeMap<String, Entry> {
    let names = node_names(given);
    let mut entries = BTreeMap::new();
    for info in KEYS {
        for path in paths_of(info.path, &names) {
            let entry = match given.get(&path) {
                Some((raw, origin)) => read_given(&path, &info.kind, raw, origin, problems),
                None => read_default(&path, info, problems),
            };
            entries.extend(entry.map(|entry| (path, entry)));
        }
    }
    if names.len() != 2 {
        problems.push(Problem::new(
            format!("a pair has two nodes, the configuration has {}", names.len()),
            "write two sections, [nodes.a] and [nodes.b], each with its host",
        ));
    }
    entries
}

/// Only what was given, for a reader that does not need the rest.
pub(crate) fn read_only_given(
    given: &Given,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for (path, (raw, origin)) in given {
        let Some(info) = key::lookup(path) else { continue };
        let entry = read_given(path, &info.kind, raw, origin, problems);
        values.extend(entry.map(|entry| (path.clone(), entry.value)));
    }
    values
}

fn node_names(given: &Given) -> Vec<String> {
    let mut names: Vec<String> = given
        .keys()
        .filter_map(|path| path.strip_prefix("nodes.")?.rsplit_once('.'))
        .map(|(name, _)| name.to_owned())
        .collect();
    names.dedup();
    names
}

fn paths_of(path: &str, nodes: &[String]) -> Vec<String> {
    if path.contains('*') {
        nodes.iter().map(|node| path.replace('*', node)).collect()
    } else {
        vec![path.to_owned()]
    }
}

fn read_given(
    path: &str,
    kind: &Kind,
    raw: &Raw,
    origin: &Origin,
    problems: &mut Vec<Problem>,
) -> Option<Entry> {
    match value::read(kind, raw) {
        Ok(value) => Some(Entry { path: path.to_owned(), value, origin: origin.clone() }),
        Err(what) => {
            let place = match origin {
                Origin::Environment { name } => format!("{name}: "),
                Origin::Default | Origin::File { .. } | Origin::From { .. } => String::new(),
            };
            problems.push(Problem::new(format!("{place}`{path}` {what}"), "").at(origin.line()));
            None
        }
    }
}

fn read_default(path: &str, info: &crate::KeyInfo, problems: &mut Vec<Problem>) -> Option<Entry> {
    let Some(default) = info.default else {
        problems.push(Problem::new(
            format!("`{path}` is missing"),
            format!("{} goes there", info.about),
        ));
        return None;
    };
    let raw = environment::raw_of_toml(default)?;
    let value = value::read(&info.kind, &raw).ok()?;
    Some(Entry { path: path.to_owned(), value, origin: Origin::Default })
}

/// All effective values by path, for building the typed settings.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    entries: BTreeMap<String, Entry>,
}

impl Values {
    /// In the order of the reference.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        let names = self.node_names();
        KEYS.iter()
            .flat_map(move |info| paths_of(info.path, &names))
            .filter_map(|path| self.entries.get(&path))
    }

    pub(crate) fn node_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .entries
            .keys()
            .filter_map(|path| path.strip_prefix("nodes.")?.rsplit_once('.'))
            .map(|(name, _)| name.to_owned())
            .collect();
        names.dedup();
        names
    }

    pub(crate) fn entry(&self, path: &str) -> &Entry {
        // `read_values` made an entry for every row of KEYS, and a test reads all of them.
        self.entries.get(path).expect("the path is a row of KEYS")
    }

    /// Replaces an unset value by another key's.
    pub(crate) fn derive(&mut self, path: &str, from: &str) {
        let value = self.entry(from).value.clone();
        let origin = Origin::From { key: from.to_owned() };
        self.entries.insert(path.to_owned(), Entry { path: path.to_owned(), value, origin });
    }
}

/// Reads of one kind each. A wrong kind is a slip in `settings.rs` that its test would find.
impl Values {
    pub(crate) fn text(&self, path: &str) -> &str {
        match &self.entry(path).value {
            Value::Text(text) => text,
            other => unreachable!("{path} holds {other}, not a text"),
        }
    }

    pub(crate) fn optional(&self, path: &str) -> Option<String> {
        Some(self.text(path)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    pub(crate) fn flag(&self, path: &str) -> bool {
        self.entry(path).value == Value::Flag(true)
    }

    pub(crate) fn whole<T: TryFrom<u64>>(&self, path: &str) -> T {
        match self.entry(path).value {
            // The bounds of every such key in KEYS fit the type that `settings.rs` asks for.
            Value::Whole(number) => T::try_from(number).ok().expect("bounds fit the type"),
            ref other => unreachable!("{path} holds {other}, not a number"),
        }
    }

    pub(crate) fn duration(&self, path: &str) -> std::time::Duration {
        match self.entry(path).value {
            Value::Duration(duration) => duration,
            ref other => unreachable!("{path} holds {other}, not a duration"),
        }
    }

    pub(crate) fn size(&self, path: &str) -> u64 {
        match self.entry(path).value {
            Value::Size(bytes) => bytes,
            ref other => unreachable!("{path} holds {other}, not a size"),
        }
    }

    /// A word of a choice, already known to be one of them.
    pub(crate) fn choice<T>(&self, path: &str, from_word: impl Fn(&str) -> Option<T>) -> T {
        // `value::read` compared the word with the same list that `from_word` is made from.
        from_word(self.text(path)).expect("the word is one of the key's words")
    }
}
