//! Random commands from the grammar.

use std::fmt;

use super::compare::Rule;
use super::grammar::{Group, rule_of};
use crate::rng::Rng;

/// One command and how its replies are compared.
#[derive(Clone, Debug)]
pub struct Command {
    /// All words.
    pub arguments: Vec<Vec<u8>>,
    /// The rule.
    pub rule: Rule,
}

impl Command {
    /// First word in lower case.
    pub fn name(&self) -> String {
        let first = self.arguments.first().map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(first).to_lowercase()
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.arguments.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            if word.len() > 120 {
                write!(f, "{space}{}...({})", word[..60].escape_ascii(), word.len())?;
            } else if word.is_empty() {
                write!(f, "{space}\"\"")?;
            } else {
                write!(f, "{space}{}", word.escape_ascii())?;
            }
        }
        Ok(())
    }
}

/// Keys of one group.
const KEYS: u64 = 8;

/// Integers where mistakes live.
const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "4294967296",
    "2147483647",
    "-2147483648",
    "007",
    "+1",
    " 1",
    "1 ",
    "",
    "-0",
    "1.0",
    "1e3",
    "abc",
];

const FLOATS: &[&str] = &[
    "0",
    "1",
    "-1",
    "0.1",
    "1.5",
    "-2.25",
    "3.0e3",
    "1e-5",
    "1e17",
    "1e22",
    "123456789.125",
    "inf",
    "-inf",
    "+inf",
    "nan",
    "infinity",
    "1e400",
    "abc",
    "",
    "1.0e",
    " 1",
    "0x10",
    "5e-324",
    "1.7976931348623157e308",
    "0.30000000000000004",
    "-0",
    "100000000000000000000",
    "1e16",
];

/// Without those that only Redis' 80-bit numbers can tell apart.
const FACTORS: &[&str] = &[
    "0",
    "1",
    "-1",
    "0.1",
    "1.5",
    "-2.25",
    "3.0e3",
    "1e-5",
    "123456789.125",
    "inf",
    "-inf",
    "nan",
    "infinity",
    "abc",
    "",
    "1.0e",
    " 1",
    "0x10",
    "-0",
    "0.30000000000000004",
];

const BOUNDS: &[&str] =
    &["-inf", "+inf", "(1", "(2.5", "0", "3", "10", "(abc", "inf", "(-inf", "1e2"];
const LEXICAL: &[&str] = &["-", "+", "[a", "(a", "[c", "(m", "[zz", "m", "", "["];
const RANGE_ENDS: &[&str] = &["-", "+", "-", "+", "(3", "(5-1", "(0-0", "(-", "2"];
const DISTANCES: &[&str] =
    &["0", "1", "100.5", "500", "1000", "2500", "5000", "9000", "12000", "21000", "-1", "abc"];
const ODD_IDS: &[&str] = &[
    "0",
    "0-0",
    "-",
    "",
    "x",
    "1-",
    "+3",
    "007-1",
    "18446744073709551615-18446744073709551615",
    "18446744073709551616",
    "1-2-3",
];
const PATTERNS: &[&str] =
    &["*", "key:*", "key:[0-3]", "key:?", "[^k]*", "k[e-f]y*", "a*", "m*1", "\\*", ""];

/// Draws commands of one group.
#[derive(Clone, Debug)]
pub struct Generator {
    group: Group,
    templates: Vec<&'static str>,
    rng: Rng,
    /// Seconds since 1970, for absolute times a year from now.
    now: u64,
}

impl Generator {
    /// Commands of `group`, drawn by `rng`.
    pub fn new(group: Group, rng: Rng) -> Self {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Self { group, templates: group.templates(), rng, now }
    }

    /// Every key that it uses.
    pub fn keys(&self) -> Vec<String> {
        (0..KEYS).map(|number| format!("key:{number}")).collect()
    }

    /// The next command; a whole block for transactions.
    pub fn next_commands(&mut self) -> Vec<Command> {
        if self.group != Group::Transactions || self.rng.chance(1, 2) {
            return vec![self.one()];
        }
        let plain = |words: &[&str]| Command {
            arguments: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
            rule: Rule::Exact,
        };
        let mut block = Vec::new();
        if self.rng.chance(1, 4) {
            block.push(plain(&["WATCH", "key:0", "key:1"]));
            if self.rng.chance(1, 2) {
                block.push(self.one());
            }
        }
        block.push(plain(&["MULTI"]));
        for _ in 0..self.rng.below(6) {
            block.push(self.one());
        }
        block.push(plain(match self.rng.below(10) {
            0 => &["DISCARD"],
            1 => &["EXEC", "extra"],
            _ => &["EXEC"],
        }));
        if self.rng.chance(1, 10) {
            block.push(plain(&["EXEC"]));
        }
        block
    }

    fn one(&mut self) -> Command {
        let template = *self.rng.pick(&self.templates);
        let mut words: Vec<Vec<u8>> = Vec::new();
        let mut absolute = false;
        for word in template.split(' ') {
            self.expand(word, &mut absolute, &mut words);
        }
        let name = template.split(' ').next().unwrap_or_default();
        let rule = rule_of(name);
        let mistakes = if self.group == Group::Mistakes { 2 } else { 40 };
        // Cut short, these would pick at random: a part of a scan, any one member.
        let picks = matches!(name, "SPOP" | "SCAN" | "SSCAN" | "HSCAN" | "ZSCAN");
        // Redis 7.2 knows one argument more than 7.0.
        let newer = matches!(name, "ZRANK" | "ZREVRANK");
        if !picks && !newer && self.rng.chance(1, mistakes) {
            self.spoil(&mut words);
        }
        if self.rng.chance(1, 4)
            && let Some(first) = words.first_mut()
        {
            first.make_ascii_lowercase();
        }
        Command { arguments: words, rule }
    }

    fn expand(&mut self, word: &str, absolute: &mut bool, out: &mut Vec<Vec<u8>>) {
        if word.contains('|') {
            let choices: Vec<&str> = word.split('|').collect();
            let chosen = *self.rng.pick(&choices);
            *absolute |= chosen.ends_with("AT");
            if !chosen.is_empty() {
                out.push(chosen.into());
            }
            return;
        }
        if word.starts_with(|first: char| first.is_ascii_uppercase() || first.is_ascii_digit()) {
            *absolute |= word.ends_with("AT");
            out.push(word.into());
            return;
        }
        let (kind, times) = match word.strip_suffix('*') {
            Some(kind) => (kind, 1 + self.rng.below(4)),
            None => (word, 1),
        };
        for _ in 0..times {
            self.argument(kind, *absolute, out);
        }
    }

    fn argument(&mut self, kind: &str, absolute: bool, out: &mut Vec<Vec<u8>>) {
        match kind {
            "kv" => {
                out.push(self.key());
                out.push(self.value());
            }
            "mv" => {
                out.push(self.member());
                out.push(self.value());
            }
            "sm" => {
                out.push(self.score());
                out.push(self.member());
            }
            "zm" => {
                out.push(b"0".to_vec());
                out.push(self.member());
            }
            "nk" => {
                let count = 1 + self.rng.below(3);
                out.push(count.to_string().into());
                out.extend((0..count).map(|_| self.key()));
            }
            "k" => out.push(self.key()),
            "v" => out.push(self.value()),
            "m" => out.push(self.member()),
            "s" => out.push(self.score()),
            "i" => out.push(self.integer()),
            "f" => out.push((*self.rng.pick(FACTORS)).into()),
            "n" => out.push(self.rng.between(-4, 6).to_string().into()),
            "o" => out.push(self.rng.below(300).to_string().into()),
            "b" => out.push((*self.rng.pick(BOUNDS)).into()),
            "l" => out.push((*self.rng.pick(LEXICAL)).into()),
            "p" => out.push((*self.rng.pick(PATTERNS)).into()),
            "r" if self.rng.chance(1, 2) => out.push((*self.rng.pick(RANGE_ENDS)).into()),
            "lon" => out.push(self.degrees(180)),
            "lat" => out.push(self.degrees(80)),
            "d" => out.push(self.rng.pick(DISTANCES).as_bytes().to_vec()),
            "e" | "r" => out.push(self.entry_id()),
            "g" => out.push(format!("group:{}", self.rng.below(2)).into()),
            "c" => out.push(format!("consumer:{}", self.rng.below(3)).into()),
            // Far away in seconds and in milliseconds alike: nothing expires during a run.
            "t" if absolute => {
                let later = self.now + 31_536_000 + self.rng.below(1000);
                out.push((later * 1000).to_string().into());
            }
            "t" => out.push((3_600_000 + self.rng.below(1_000_000)).to_string().into()),
            _ => out.push(kind.into()),
        }
    }

    fn key(&mut self) -> Vec<u8> {
        format!("key:{}", self.rng.below(KEYS)).into()
    }

    /// Up to that far from the equator or Greenwich, with six decimals; now and then no such thing.
    fn degrees(&mut self, most: i64) -> Vec<u8> {
        if self.rng.chance(1, 60) {
            return (*self.rng.pick(FACTORS)).into();
        }
        let millionths = self.rng.between(-most * 1_000_000, most * 1_000_000);
        format!("{}.{:06}", millionths / 1_000_000, (millionths % 1_000_000).abs()).into()
    }

    fn entry_id(&mut self) -> Vec<u8> {
        match self.rng.below(30) {
            0 => (*self.rng.pick(ODD_IDS)).into(),
            1..=9 => format!("{}", self.rng.below(12)).into(),
            10..=14 => format!("{}-*", self.rng.below(12)).into(),
            _ => format!("{}-{}", self.rng.below(12), self.rng.below(3)).into(),
        }
    }

    fn member(&mut self) -> Vec<u8> {
        match self.rng.below(12) {
            0 => self.rng.between(-3, 100).to_string().into(),
            1 => Vec::new(),
            2 => vec![0xff, 0, b'\r', b'\n'],
            3 => vec![b'x'; 70],
            _ => vec![b'a' + u8::try_from(self.rng.below(15)).expect("below 15")],
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.rng.below(10) {
            0 => self.integer(),
            1 => (*self.rng.pick(FLOATS)).into(),
            2 => vec![b'y'; self.rng.index(200)],
            3 => vec![0, 0xfe, b'\n', b'"'],
            _ => self.member(),
        }
    }

    fn score(&mut self) -> Vec<u8> {
        if self.rng.chance(1, 3) {
            return (*self.rng.pick(FLOATS)).into();
        }
        self.rng.between(-5, 20).to_string().into()
    }

    fn integer(&mut self) -> Vec<u8> {
        if self.rng.chance(1, 2) {
            return (*self.rng.pick(INTEGERS)).into();
        }
        self.rng.between(-100, 100).to_string().into()
    }

    /// A word too many, too few, or another one.
    fn spoil(&mut self, words: &mut Vec<Vec<u8>>) {
        match self.rng.below(4) {
            0 if words.len() > 1 => {
                words.pop();
            }
            1 => words.push(b"bogus".to_vec()),
            2 => {
                let at = self.rng.index(words.len());
                if at > 0 {
                    words[at] = b"bogus".to_vec();
                }
            }
            _ => words.truncate(1 + self.rng.index(words.len())),
        }
    }
}
