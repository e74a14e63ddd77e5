//! The words of one command, as slices of the buffer they came in.

/// Where one argument lies in its buffer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Span {
    start: usize,
    end: usize,
}

impl Span {
    /// The bytes from `start` up to but not including `end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// The words of one command: its name first, then its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    /// A view of `bytes` cut at `spans`; a span outside of `bytes` shows as an empty word.
    pub const fn new(bytes: &'a [u8], spans: &'a [Span]) -> Self {
        Self { bytes, spans }
    }

    /// Number of words, the command name included.
    #[inline]
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is not even a name.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Word `index`; empty if there is none, so a caller that counted wrong reads nothing instead
    /// of ending the process. Callers check the count first.
    #[inline]
    pub fn get(&self, index: usize) -> &'a [u8] {
        self.opt(index).unwrap_or_default()
    }

    /// Word `index`, if there is one.
    #[inline]
    pub fn opt(&self, index: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(index)?;
        self.bytes.get(span.start..span.end)
    }

    /// The command name as it was sent (any case); empty if there are no words.
    #[inline]
    pub fn name(&self) -> &'a [u8] {
        self.get(0)
    }

    /// All words in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + DoubleEndedIterator + use<'a> {
        let bytes = self.bytes;
        self.spans.iter().map(move |span| bytes.get(span.start..span.end).unwrap_or_default())
    }

    /// The words from `index` on.
    #[must_use]
    pub fn tail(&self, index: usize) -> Self {
        Self { bytes: self.bytes, spans: self.spans.get(index..).unwrap_or_default() }
    }

    /// The words from `start` on and before `end`.
    #[must_use]
    pub fn part(&self, start: usize, end: usize) -> Self {
        Self { bytes: self.bytes, spans: self.spans.get(start..end).unwrap_or_default() }
    }

    /// Bytes of all words together.
    pub fn payload_bytes(&self) -> usize {
        self.iter().map(<[u8]>::len).sum()
    }
}

/// The words of one command, kept after its buffer is gone (`MULTI`, blocked clients, forwarding).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OwnedArgs {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl OwnedArgs {
    /// A command without words yet.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), spans: Vec::new() }
    }

    /// A copy of `args` with exactly the memory it needs.
    pub fn copy_of(args: &Args<'_>) -> Self {
        let mut owned = Self {
            bytes: Vec::with_capacity(args.payload_bytes()),
            spans: Vec::with_capacity(args.len()),
        };
        for word in args.iter() {
            owned.push(word);
        }
        owned
    }

    /// Adds a word.
    pub fn push(&mut self, word: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(word);
        self.spans.push(Span::new(start, self.bytes.len()));
    }

    /// Forgets the words, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// The words as a view.
    pub fn args(&self) -> Args<'_> {
        Args::new(&self.bytes, &self.spans)
    }

    /// Memory this holds, for the output and query limits.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}

impl<'a> FromIterator<&'a [u8]> for OwnedArgs {
    fn from_iter<T: IntoIterator<Item = &'a [u8]>>(words: T) -> Self {
        let mut owned = Self::new();
        for word in words {
            owned.push(word);
        }
        owned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shows_the_same_words() {
        let bytes = b"SETkeyvalue";
        let spans = [Span::new(0, 3), Span::new(3, 6), Span::new(6, 11)];
        let args = Args::new(bytes, &spans);
        let copy = OwnedArgs::copy_of(&args);
        assert!(copy.args().iter().eq(args.iter()));
        assert_eq!(copy.args().get(1), b"key");
        assert_eq!(args.tail(1).name(), b"key");
        assert_eq!(args.payload_bytes(), 11);
    }

    #[test]
    fn a_word_that_is_not_there_is_empty() {
        let args = Args::new(b"", &[]);
        assert_eq!(args.get(7), b"");
        assert_eq!(args.opt(7), None);
        assert_eq!(Args::new(b"", &[Span::new(3, 9)]).get(0), b"");
        assert_eq!(args.tail(3).len(), 0);
    }
}
