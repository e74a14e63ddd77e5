//! Random commands to two servers; every reply must be the same, byte for byte.
//!
//! The reference is Debian's redis-server. What cannot be equal is compared by what it promises: replies
//! without an order are sorted first, random picks are compared by shape, times by nearness
//! ([`compare::Rule`]). Every run prints its seed; a difference shows the last commands that touched the
//! same keys, and both servers are emptied before it goes on, so that one difference is reported once.

pub mod compare;
pub mod generate;
pub mod grammar;

use std::fmt::Write as _;
use std::io;

use crate::client::Client;
use crate::rng::Rng;
use crate::value::Value;
use compare::{Rule, differs_in_precision, is_later_version, same};
use generate::{Command, Generator};
use grammar::Group;

/// A difference shows this many earlier commands on the same keys.
const HISTORY_SHOWN: usize = 12;
/// After so many differences a run ends: more would not be read.
const DIFFERENCES_MAX: usize = 40;

/// What two servers answered differently.
#[derive(Clone, Debug)]
pub struct Difference {
    /// First word of the command.
    pub command: String,
    /// Everything a person needs.
    pub report: String,
}

/// Two connections that get the same commands.
#[derive(Debug)]
pub struct Duel {
    reference: Client,
    candidate: Client,
    history: Vec<Command>,
    /// Rules of the commands queued since MULTI.
    queued: Option<Vec<Rule>>,
    differences: Vec<Difference>,
    compared: u64,
}

impl Duel {
    /// Both connections must speak the same protocol version.
    pub fn new(reference: Client, candidate: Client) -> Self {
        Self {
            reference,
            candidate,
            history: Vec::new(),
            queued: None,
            differences: Vec::new(),
            compared: 0,
        }
    }

    /// Commands compared.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// Runs `count` random commands of `group`.
    pub fn run(&mut self, group: Group, seed: u64, count: u64) -> io::Result<&[Difference]> {
        let mut generator = Generator::new(group, Rng::new(seed));
        self.empty_both()?;
        for number in 0..count {
            for command in generator.next_commands() {
                self.compare(command)?;
            }
            if number % 300 == 299 && self.queued.is_none() {
                self.compare_everything(&generator.keys())?;
                self.empty_both()?;
            }
            if self.differences.len() >= DIFFERENCES_MAX {
                break;
            }
        }
        Ok(&self.differences)
    }

    /// Sends one command to both and notes a difference.
    pub fn compare(&mut self, command: Command) -> io::Result<()> {
        self.reference.send(&command.arguments)?;
        self.candidate.send(&command.arguments)?;
        let (want, want_bytes) = self.reference.reply_with_bytes()?;
        let (got, got_bytes) = self.candidate.reply_with_bytes().map_err(|error| {
            io::Error::other(format!("{error} after {}\n{}", command, self.story(&command)))
        })?;
        self.compared += 1;
        let rule = self.rule_for(&command, &want);
        let equal = match &rule {
            Rule::Exact => want_bytes == got_bytes,
            rule => same(rule, &want, &got),
        } || is_later_version(&command.name(), &got);
        if !equal && differs_in_precision(&command.name(), &want, &got) {
            return self.empty_both();
        }
        if !equal {
            let mut report = self.story(&command);
            write!(report, "{command}\n    reference {want:?}\n    candidate {got:?}\n")
                .expect("writing into a String cannot fail");
            self.differences.push(Difference { command: command.name(), report });
            self.queued = None;
            self.reset_both()?;
            return Ok(());
        }
        self.history.push(command);
        Ok(())
    }

    /// EXEC's reply is compared by the rules of what was queued.
    fn rule_for(&mut self, command: &Command, reply: &Value) -> Rule {
        match command.name().as_str() {
            "multi" if reply.is_ok() => {
                self.queued = Some(Vec::new());
                Rule::Exact
            }
            "exec" => {
                let rules = self.queued.take().unwrap_or_default();
                if reply.error().is_some() { Rule::Exact } else { Rule::Each(rules) }
            }
            "discard" | "reset" => {
                self.queued = None;
                Rule::Exact
            }
            _ if matches!(reply, Value::Simple(text) if text == "QUEUED") => {
                if let Some(queued) = &mut self.queued {
                    queued.push(command.rule.clone());
                }
                Rule::Exact
            }
            _ if reply.error().is_some() => Rule::Exact,
            _ => command.rule.clone(),
        }
    }

    /// The last commands that share a key with `command`; all of the last ones for EXEC.
    fn story(&self, command: &Command) -> String {
        let touches = |earlier: &&Command| {
            command.name() == "exec"
                || earlier.arguments.iter().skip(1).any(|word| {
                    word.starts_with(b"key:") && command.arguments.iter().any(|other| other == word)
                })
        };
        let mut last: Vec<&Command> =
            self.history.iter().rev().filter(touches).take(HISTORY_SHOWN).collect();
        last.reverse();
        last.iter().fold(String::new(), |text, command| text + &format!("  {command}\n"))
    }

    fn reset_both(&mut self) -> io::Result<()> {
        for client in [&mut self.reference, &mut self.candidate] {
            client.command(&["DISCARD"])?;
        }
        self.empty_both()
    }

    fn empty_both(&mut self) -> io::Result<()> {
        self.history.clear();
        self.queued = None;
        for client in [&mut self.reference, &mut self.candidate] {
            client.command(&["UNWATCH"])?;
            client.command(&["FLUSHALL"])?;
        }
        Ok(())
    }

    /// Reads all of `keys` from both.
    fn compare_everything(&mut self, keys: &[String]) -> io::Result<()> {
        for key in keys {
            let kind = self.reference.command(&["TYPE", key])?.text().unwrap_or_default();
            let words: (&[&str], Rule) = match kind.as_str() {
                "string" => (&["GET"], Rule::Exact),
                "list" => (&["LRANGE", "0", "-1"], Rule::Exact),
                "set" => (&["SMEMBERS"], Rule::Unordered),
                "hash" => (&["HGETALL"], Rule::UnorderedPairs),
                "stream" => (&["XRANGE", "-", "+"], Rule::Exact),
                "zset" => (&["ZRANGE", "0", "-1", "WITHSCORES"], Rule::Scores),
                _ => (&["TYPE"], Rule::Exact),
            };
            let mut arguments: Vec<Vec<u8>> = vec![words.0[0].into(), key.clone().into_bytes()];
            arguments.extend(words.0.iter().skip(1).map(|word| word.as_bytes().to_vec()));
            self.compare(Command { arguments, rule: words.1 })?;
            let arguments = vec![b"PTTL".to_vec(), key.clone().into_bytes()];
            self.compare(Command { arguments, rule: Rule::Near(3_000) })?;
        }
        Ok(())
    }

    /// All differences so far.
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }
}
