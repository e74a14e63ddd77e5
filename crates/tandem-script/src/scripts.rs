//! The scripts that were loaded or run here.

use std::collections::{HashMap, VecDeque};

use mlua::Function;

use crate::engine::Engine;
use crate::failure::Place;
use crate::{Host, Invocation, Limits, ScriptError, Sha};

/// Scripts that are remembered, and bytes of their texts; beyond either the oldest are forgotten. Libraries send
/// a text again when they hear that it is unknown.
const SCRIPTS_MAX: usize = 4_096;
const TEXT_BYTES_MAX: usize = 16 << 20;

/// One of them.
#[derive(Debug)]
struct Script {
    function: Function,
    text: Box<[u8]>,
    /// Its first line says that it writes nothing.
    no_writes: bool,
    /// It has one line: whatever happens, happens there.
    one_line: bool,
}

/// The interpreter and what it knows. Nothing is made before the first script.
#[derive(Debug)]
pub struct Scripts {
    limits: Limits,
    engine: Option<Engine>,
    known: HashMap<Sha, Script>,
    /// In the order in which they were loaded.
    order: VecDeque<Sha>,
    /// Loaded here, and not told to the peer yet.
    fresh: Vec<Sha>,
    bytes: usize,
}

impl Scripts {
    /// None yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            engine: None,
            known: HashMap::new(),
            order: VecDeque::new(),
            fresh: Vec::new(),
            bytes: 0,
        }
    }

    /// Compiles a text and remembers it.
    ///
    /// # Errors
    /// It is no Lua, or its first line (`#!lua flags=...`) is not understood.
    pub fn load(&mut self, text: &[u8]) -> Result<Sha, ScriptError> {
        let sha = Sha::of(text);
        if self.known.contains_key(&sha) {
            return Ok(sha);
        }
        let (no_writes, code) = header(text)?;
        let engine = match &self.engine {
            Some(engine) => engine,
            None => self.engine.insert(Engine::new(self.limits)?),
        };
        let function = match engine.compile(&code) {
            // The scripts that are known have left no room for it.
            Err(ScriptError::Interpreter(_)) if !self.known.is_empty() => {
                self.flush();
                return self.load(text);
            }
            compiled => compiled?,
        };
        self.known.insert(
            sha,
            Script { function, text: text.into(), no_writes, one_line: !text.contains(&b'\n') },
        );
        self.order.push_back(sha);
        if self.fresh.len() >= SCRIPTS_MAX {
            // There is no peer. It is told of the newest when it comes.
            self.fresh.clear();
        }
        self.fresh.push(sha);
        self.bytes += text.len();
        while self.order.len() > SCRIPTS_MAX || self.bytes > TEXT_BYTES_MAX {
            let Some(oldest) = self.order.pop_front().filter(|oldest| *oldest != sha) else {
                break;
            };
            if let Some(script) = self.known.remove(&oldest) {
                self.bytes -= script.text.len();
            }
        }
        Ok(sha)
    }

    /// The same of a text that the peer knows.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn learn(&mut self, text: &[u8]) -> Result<(), ScriptError> {
        let sha = self.load(text)?;
        self.fresh.retain(|it| *it != sha);
        Ok(())
    }

    /// Whether there are texts that the peer was not told of yet.
    pub fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Texts that the peer was not told of yet.
    pub fn take_fresh(&mut self) -> Vec<Box<[u8]>> {
        let known = &self.known;
        self.fresh.drain(..).filter_map(|sha| Some(known.get(&sha)?.text.clone())).collect()
    }

    /// The peer knows nothing any more, or is another one: it shall be told of the newest again, up to `bytes_max`.
    pub fn tell_again(&mut self, bytes_max: usize) {
        let mut bytes = 0;
        self.fresh.clear();
        for sha in self.order.iter().rev() {
            bytes += self.known.get(sha).map_or(0, |script| script.text.len());
            if bytes > bytes_max {
                break;
            }
            self.fresh.push(*sha);
        }
        self.fresh.reverse();
    }

    /// Whether it is known.
    pub fn knows(&self, sha: Sha) -> bool {
        self.known.contains_key(&sha)
    }

    /// Whether a script says itself that it writes nothing; `None`: it is not known.
    pub fn writes_nothing(&self, sha: Sha) -> Option<bool> {
        self.known.get(&sha).map(|script| script.no_writes)
    }

    /// Runs one, and writes its reply, or why there is none.
    pub fn run(
        &self,
        sha: Sha,
        invocation: &Invocation<'_>,
        host: &mut dyn Host,
        out: &mut Vec<u8>,
    ) {
        match (&self.engine, self.known.get(&sha)) {
            (Some(engine), Some(script)) => {
                let place = Place { sha, line: script.one_line.then_some(1) };
                engine.run(place, &script.function, invocation, host, out);
            }
            _ => tandem_resp::Reply::new(out, invocation.proto)
                .error(&ScriptError::Unknown.to_string()),
        }
    }

    /// Forgets all, and gives the interpreter's memory back.
    pub fn flush(&mut self) {
        *self = Self::new(self.limits);
    }

    /// How many are known.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// Bytes of the interpreter and the texts.
    pub fn memory_bytes(&self) -> usize {
        self.engine.as_ref().map_or(0, Engine::memory_bytes) + self.bytes
    }
}

/// Whether the first line says `no-writes`; and the code, in which that line is empty so that lines keep their numbers.
fn header(text: &[u8]) -> Result<(bool, Vec<u8>), ScriptError> {
    let Some(line) = text.strip_prefix(b"#!") else { return Ok((false, text.to_vec())) };
    let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
    let (line, code) = line.split_at(end);
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let engine = words.next().unwrap_or_default();
    if !engine.eq_ignore_ascii_case("lua") {
        return Err(ScriptError::Header(format!("Could not find scripting engine '{engine}'")));
    }
    let mut no_writes = false;
    for word in words {
        let Some(flags) = word.strip_prefix("flags=") else {
            return Err(ScriptError::Header(format!("Unknown lua shebang option: {word}")));
        };
        for flag in flags.split(',') {
            match flag {
                "no-writes" => no_writes = true,
                "" | "allow-oom" | "allow-stale" | "no-cluster" | "allow-cross-slot-keys" => {}
                _ => {
                    return Err(ScriptError::Header(format!(
                        "Unexpected flag in script shebang: {flag}"
                    )));
                }
            }
        }
    }
    Ok((no_writes, code.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn scripts() -> Scripts {
        let time = Duration::from_secs(1);
        Scripts::new(Limits { memory_bytes_max: 64 << 20, time, stopwatch: None })
    }

    #[test]
    fn the_oldest_are_forgotten_and_the_newest_are_told_again() {
        let mut scripts = scripts();
        let text = |number: usize| format!("return {number}").into_bytes();
        for number in 0..SCRIPTS_MAX + 2 {
            scripts.load(&text(number)).unwrap();
        }
        assert_eq!(scripts.count(), SCRIPTS_MAX);
        assert!(!scripts.knows(Sha::of(&text(1))) && scripts.knows(Sha::of(&text(2))));
        scripts.take_fresh();
        assert!(!scripts.has_fresh());
        scripts.tell_again(25);
        let told: Vec<_> = scripts.take_fresh().into_iter().map(Vec::from).collect();
        assert_eq!(told, [text(SCRIPTS_MAX), text(SCRIPTS_MAX + 1)]);
        scripts.learn(b"return 'from the peer'").unwrap();
        assert!(scripts.knows(Sha::of(b"return 'from the peer'")) && !scripts.has_fresh());
    }

    #[test]
    fn long_texts_push_out_the_others_and_not_themselves() {
        let mut scripts = scripts();
        scripts.load(b"return 1").unwrap();
        let long = format!("return #'{}'", "x".repeat(TEXT_BYTES_MAX)).into_bytes();
        let sha = scripts.load(&long).unwrap();
        assert!(scripts.knows(sha) && !scripts.knows(Sha::of(b"return 1")));
    }
}
