//! Commands that took long (`SLOWLOG`).

use std::collections::VecDeque;

use tandem_resp::Args;
use tandem_types::WallMillis;

/// Words of a command that are kept, as in Redis.
const WORDS_MAX: usize = 32;

/// Bytes of a word that are kept, as in Redis.
const WORD_BYTES_MAX: usize = 128;

/// One slow command.
#[derive(Clone, Debug)]
pub(crate) struct SlowEntry {
    pub(crate) id: i64,
    pub(crate) at: WallMillis,
    pub(crate) micros: i64,
    pub(crate) words: Vec<Vec<u8>>,
    pub(crate) address: String,
    pub(crate) name: Vec<u8>,
}

/// The newest slow commands.
#[derive(Debug, Default)]
pub(crate) struct SlowLog {
    entries: VecDeque<SlowEntry>,
    next_id: i64,
}

impl SlowLog {
    /// Keeps one more entry, and at most `entries_max`; numbers rise for ever.
    pub(crate) fn push(&mut self, mut entry: SlowEntry, entries_max: usize) {
        entry.id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        self.entries.push_front(entry);
        self.entries.truncate(entries_max);
    }

    /// Newest first.
    pub(crate) fn newest(&self) -> impl ExactSizeIterator<Item = &SlowEntry> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn reset(&mut self) {
        self.entries.clear();
    }
}

/// The words of a command, shortened as Redis does.
pub(crate) fn shortened(args: &Args<'_>) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    for (index, word) in args.iter().enumerate() {
        if index + 1 == WORDS_MAX && args.len() > WORDS_MAX {
            let more = args.len() - WORDS_MAX + 1;
            words.push(format!("... ({more} more arguments)").into_bytes());
            break;
        }
        words.push(match word.get(..WORD_BYTES_MAX) {
            Some(head) if word.len() > WORD_BYTES_MAX => {
                let more = word.len() - WORD_BYTES_MAX;
                let mut short = head.to_vec();
                short.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
                short
            }
            _ => word.to_vec(),
        });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_resp::OwnedArgs;

    #[test]
    fn long_commands_are_shortened() {
        let long = [b'x'; 200];
        let mut words = OwnedArgs::new();
        words.push(b"SET");
        words.push(&long);
        let short = shortened(&words.args());
        assert_eq!(short[0], b"SET");
        assert!(short[1].ends_with(b"x... (72 more bytes)"));
        for _ in 0..40 {
            words.push(b"y");
        }
        let short = shortened(&words.args());
        assert_eq!(short.len(), 32);
        assert_eq!(short[31], b"... (11 more arguments)");
    }
}
