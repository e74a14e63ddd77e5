//! Values: as written in the file or the environment, and as checked against their key.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use toml::de::DeValue;

use crate::key::Kind;
use crate::{format_duration, format_size, parse_duration, parse_size};

/// A value as written, before its key is known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    Text(String),
    Whole(i64),
    Flag(bool),
    List(Vec<Self>),
    Table(BTreeMap<String, Self>),
    /// A float, a date, or a number out of range: no key wants one. Holds its name.
    Other(&'static str),
}

impl Raw {
    pub(crate) fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .map_or(Self::Other("a number out of range"), Self::Whole),
            DeValue::Float(_) => Self::Other("a fraction"),
            DeValue::Boolean(flag) => Self::Flag(*flag),
            DeValue::Datetime(_) => Self::Other("a date"),
            DeValue::Array(items) => {
                Self::List(items.iter().map(|item| Self::from_toml(item.get_ref())).collect())
            }
            DeValue::Table(table) => Self::Table(
                table
                    .iter()
                    .map(|(key, value)| {
                        (key.get_ref().clone().into_owned(), Self::from_toml(value.get_ref()))
                    })
                    .collect(),
            ),
        }
    }

    /// What it is, for error messages.
    fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Whole(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
    }
}

/// One channel of `switch.direct`: the replication link itself, or an address or device on each node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Channel {
    /// The replication link.
    Link,
    /// An endpoint for each node name: `host:port` or `serial:///dev/...?baud=...`.
    Endpoints(BTreeMap<String, String>),
}

/// A value that fits its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// A text, a path, a host, a word out of a few.
    Text(String),
    /// A whole number, a port.
    Whole(u64),
    /// True or false.
    Flag(bool),
    /// A duration.
    Duration(Duration),
    /// A number of bytes.
    Size(u64),
    /// A list of texts.
    Texts(Vec<String>),
    /// `switch.direct.channels`.
    Channels(Vec<Channel>),
}

impl fmt::Display for Value {
    /// As TOML, so that it can be pasted into a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Whole(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Duration(duration) => write!(f, "\"{}\"", format_duration(*duration)),
            Self::Size(bytes) => write!(f, "\"{}\"", format_size(*bytes)),
            Self::Texts(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                write!(f, "[{}]", texts.join(", "))
            }
            Self::Channels(channels) => {
                let channels: Vec<String> = channels.iter().map(channel_text).collect();
                write!(f, "[{}]", channels.join(", "))
            }
        }
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn channel_text(channel: &Channel) -> String {
    match channel {
        Channel::Link => "\"link\"".to_owned(),
        Channel::Endpoints(ends) => {
            let ends: Vec<String> = ends
                .iter()
                .map(|(node, end)| format!("{} = {}", quoted(node), quoted(end)))
                .collect();
            format!("{{ {} }}", ends.join(", "))
        }
    }
}

/// Reads `raw` as what its key wants.
///
/// The error is the end of a sentence that begins with the key.
pub(crate) fn read(kind: &Kind, raw: &Raw) -> Result<Value, String> {
    match (kind, raw) {
        (Kind::Text | Kind::Secret, Raw::Text(text)) => plain_text(text).map(Value::Text),
        (Kind::Name, Raw::Text(text)) => name(text).map(Value::Text),
        (Kind::Choice(words), Raw::Text(text)) => choice(words, text).map(Value::Text),
        (Kind::Flag, Raw::Flag(flag)) => Ok(Value::Flag(*flag)),
        (Kind::Duration { min, max }, Raw::Text(text)) => {
            let duration = parse_duration(text).map_err(|error| format!("= \"{text}\" {error}"))?;
            duration_in(duration, *min, *max)
        }
        (Kind::Duration { .. }, Raw::Whole(number)) => Err(format!(
            "= {number} has no unit; write for example \"{number}s\" or \"{number}ms\""
        )),
        (Kind::Size { min, max }, Raw::Text(text)) => {
            let bytes = parse_size(text).map_err(|error| format!("= \"{text}\" {error}"))?;
            size_in(bytes, *min, *max)
        }
        (Kind::Size { min, max }, Raw::Whole(number)) => {
            let bytes = u64::try_from(*number).map_err(|_| format!("= {number} is negative"))?;
            size_in(bytes, *min, *max)
        }
        (Kind::Whole { min, max }, Raw::Whole(number)) => match u64::try_from(*number) {
            Ok(number) if (*min..=*max).contains(&number) => Ok(Value::Whole(number)),
            _ => Err(format!("= {number} is not between {min} and {max}")),
        },
        (Kind::Texts, Raw::List(items)) => texts(items),
        (Kind::Channels, Raw::List(items)) => channels(items),
        (_, other) => Err(format!("must be {}, not {}", kind.describe(), other.describe())),
    }
}

/// Texts end up in file names, messages and protocol lines.
fn plain_text(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("holds a control character (a line break?)".to_owned());
    }
    Ok(text.to_owned())
}

fn name(text: &str) -> Result<String, String> {
    if crate::key::is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("= {} is not a name: 1 to 64 letters, digits, \"-\" or \"_\"", quoted(text)))
    }
}

fn choice(words: &[&'static str], text: &str) -> Result<String, String> {
    if words.contains(&text) {
        return Ok(text.to_owned());
    }
    let near = crate::nearest::nearest(text, words.iter().copied()).unwrap_or_default();
    let all = words.join("\", \"");
    Err(format!("= {} is none of \"{all}\"; did you mean \"{near}\"?", quoted(text)))
}

fn duration_in(value: Duration, min: Duration, max: Duration) -> Result<Value, String> {
    if (min..=max).contains(&value) {
        return Ok(Value::Duration(value));
    }
    let [value, min, max] = [value, min, max].map(format_duration);
    Err(format!("= \"{value}\" is not between \"{min}\" and \"{max}\""))
}

fn size_in(bytes: u64, min: u64, max: u64) -> Result<Value, String> {
    if (min..=max).contains(&bytes) {
        return Ok(Value::Size(bytes));
    }
    let [bytes, min, max] = [bytes, min, max].map(format_size);
    Err(format!("= \"{bytes}\" is not between \"{min}\" and \"{max}\""))
}

fn texts(items: &[Raw]) -> Result<Value, String> {
    let text = |item: &Raw| match item {
        Raw::Text(text) => plain_text(text),
        other => Err(format!("must hold texts only, not {}", other.describe())),
    };
    items.iter().map(text).collect::<Result<_, _>>().map(Value::Texts)
}

fn channels(items: &[Raw]) -> Result<Value, String> {
    items.iter().map(channel).collect::<Result<_, _>>().map(Value::Channels)
}

fn channel(item: &Raw) -> Result<Channel, String> {
    match item {
        Raw::Text(text) if text == "link" => Ok(Channel::Link),
        Raw::Table(ends) => ends
            .iter()
            .map(|(node, end)| match end {
                Raw::Text(end) => Ok((node.clone(), plain_text(end)?)),
                other => Err(format!("must hold texts only, not {}", other.describe())),
            })
            .collect::<Result<_, _>>()
            .map(Channel::Endpoints),
        _ => Err(
            "must hold \"link\" or tables like { a = \"10.1.0.1:7380\", b = \"10.1.0.2:7380\" }"
                .to_owned(),
        ),
    }
}
