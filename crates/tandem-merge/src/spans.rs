//! Edits of a list by position: keep, insert, take out; transformed over one another.
//!
//! Two sides that edit the same list at once need one property only (TP1): own edits and then the peer's,
//! carried over them, give the same list as the peer's and then the own ones, carried over those (Nichols
//! et al., Jupiter, 1995). A third side would need more.
//!
//! Only insertions into one gap between elements compete; there all that side A inserted stands before all
//! that side B inserted. Where an edit takes elements out, the gaps on both sides of them stay two places in
//! that edit. Edits are not composed: once two of them are one, an element that the other side takes out
//! between them no longer keeps apart what they inserted, and the two nodes may order it differently.
//!
//! **Not here:** which edits race (`index.rs`).

use tandem_types::NodeId;

use crate::item::Bytes;

/// As many elements as there are: an edit of everything that its writer saw.
pub const ALL: u64 = u64::MAX;

/// One step through a list, front to back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Span {
    /// These many stay.
    Keep(u64),
    /// These are new here.
    Insert(Vec<Bytes>),
    /// These many are taken out. [`ALL`]: the rest.
    Delete(u64),
    /// These are taken out and were handed to a client.
    Pop(Vec<Bytes>),
}

/// One edit of a list. What it does not reach stays.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Spans(Vec<Span>);

/// What two racing edits become.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Carried {
    /// The own edit, to be done after theirs.
    pub own: Spans,
    /// Their edit, to be done after the own one.
    pub theirs: Spans,
    /// Elements that both handed to a client.
    pub popped_twice: Vec<Bytes>,
}

impl Spans {
    /// An edit that does nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Everything is taken out.
    pub fn clear() -> Self {
        Self(vec![Span::Delete(ALL)])
    }

    /// Everything is replaced, by `side`: what comes from the other side stands behind A's and before B's.
    pub fn replace(side: NodeId, elements: Vec<Bytes>) -> Self {
        let mut spans = Self::new();
        match side {
            NodeId::A => spans.insert(elements).delete(ALL),
            NodeId::B => spans.delete(ALL).insert(elements),
        };
        spans
    }

    /// The steps.
    pub fn steps(&self) -> &[Span] {
        &self.0
    }

    /// Nothing is done.
    pub fn is_identity(&self) -> bool {
        self.0.iter().all(|span| matches!(span, Span::Keep(_)))
    }

    /// Appends: these many stay.
    pub fn keep(&mut self, count: u64) -> &mut Self {
        match (count, self.0.last_mut()) {
            (0, _) => {}
            (_, Some(Span::Keep(kept))) => *kept = kept.saturating_add(count),
            _ => self.0.push(Span::Keep(count)),
        }
        self
    }

    /// Appends: these are new.
    pub fn insert(&mut self, mut elements: Vec<Bytes>) -> &mut Self {
        match self.0.last_mut() {
            _ if elements.is_empty() => {}
            Some(Span::Insert(before)) => before.append(&mut elements),
            _ => self.0.push(Span::Insert(elements)),
        }
        self
    }

    /// Appends: these many are taken out.
    pub fn delete(&mut self, count: u64) -> &mut Self {
        match (count, self.0.last_mut()) {
            (0, _) => {}
            (_, Some(Span::Delete(deleted))) => *deleted = deleted.saturating_add(count),
            _ => self.0.push(Span::Delete(count)),
        }
        self
    }

    /// Appends: these are taken out and given to a client.
    pub fn pop(&mut self, mut elements: Vec<Bytes>) -> &mut Self {
        match self.0.last_mut() {
            _ if elements.is_empty() => {}
            Some(Span::Pop(before)) => before.append(&mut elements),
            _ => self.0.push(Span::Pop(elements)),
        }
        self
    }

    /// Does the edit. What it would take out beyond the end is not there.
    pub fn apply(&self, list: &mut Vec<Bytes>) {
        let mut rest = std::mem::take(list).into_iter();
        for span in &self.0 {
            match span {
                Span::Keep(count) => list.extend(rest.by_ref().take(narrow(*count))),
                Span::Insert(elements) => list.extend(elements.iter().cloned()),
                Span::Delete(count) => drop(rest.by_ref().take(narrow(*count)).count()),
                Span::Pop(elements) => drop(rest.by_ref().take(elements.len()).count()),
            }
        }
        list.extend(rest);
    }

    /// Carries this edit, by `side`, and `theirs`, by the other side, over each other: both were made of
    /// the same list.
    #[must_use]
    pub fn carry(&self, side: NodeId, theirs: &Self) -> Carried {
        let (mut a, mut b) = match side {
            NodeId::A => (Cursor::new(self), Cursor::new(theirs)),
            NodeId::B => (Cursor::new(theirs), Cursor::new(self)),
        };
        let (mut out_a, mut out_b, mut popped_twice) = (Self::new(), Self::new(), Vec::new());
        loop {
            match (a.head(), b.head()) {
                (Head::Insert, _) => {
                    let elements = a.inserted();
                    out_b.keep(wide(elements.len()));
                    out_a.insert(elements);
                }
                (_, Head::Insert) => {
                    let elements = b.inserted();
                    out_a.keep(wide(elements.len()));
                    out_b.insert(elements);
                }
                (Head::End, Head::End) => break,
                (head_a, head_b) => {
                    let count = a.length().min(b.length());
                    let (from_a, from_b) = (a.take(count), b.take(count));
                    match (head_a == Head::Take, head_b == Head::Take) {
                        (false, false) => {
                            out_a.keep(count);
                            out_b.keep(count);
                        }
                        (true, false) => from_a.append_to(&mut out_a),
                        (false, true) => from_b.append_to(&mut out_b),
                        (true, true) => {
                            if let (Step::Pop(popped), Step::Pop(_)) = (from_a, from_b) {
                                popped_twice.extend(popped);
                            }
                        }
                    }
                }
            }
        }
        match side {
            NodeId::A => Carried { own: out_a, theirs: out_b, popped_twice },
            NodeId::B => Carried { own: out_b, theirs: out_a, popped_twice },
        }
    }

    /// Everything this edit inserts, in order.
    pub fn inserted(&self) -> Vec<Bytes> {
        let inserted = self.0.iter().filter_map(|span| match span {
            Span::Insert(elements) => Some(elements),
            _ => None,
        });
        inserted.flatten().cloned().collect()
    }
}

/// What comes next in an edit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Head {
    Keep,
    Insert,
    Take,
    /// Only what stays.
    End,
}

/// A piece of one span.
enum Step {
    Keep(u64),
    Delete(u64),
    Pop(Vec<Bytes>),
}

impl Step {
    fn append_to(self, out: &mut Spans) {
        match self {
            Self::Keep(count) => out.keep(count),
            Self::Delete(count) => out.delete(count),
            Self::Pop(elements) => out.pop(elements),
        };
    }
}

/// A place in an edit, which may be within a span.
struct Cursor<'s> {
    spans: &'s [Span],
    /// Elements of the first span that are behind us.
    done: u64,
}

impl<'s> Cursor<'s> {
    fn new(spans: &'s Spans) -> Self {
        Self { spans: &spans.0, done: 0 }
    }

    fn head(&self) -> Head {
        match self.spans.first() {
            None => Head::End,
            Some(Span::Keep(_)) => Head::Keep,
            Some(Span::Insert(_)) => Head::Insert,
            Some(Span::Delete(_) | Span::Pop(_)) => Head::Take,
        }
    }

    /// Elements left in the first span; at the end, all there may be.
    fn length(&self) -> u64 {
        match self.spans.first() {
            None | Some(Span::Delete(ALL)) => ALL,
            Some(Span::Keep(count) | Span::Delete(count)) => count - self.done,
            Some(Span::Insert(elements) | Span::Pop(elements)) => wide(elements.len()) - self.done,
        }
    }

    /// Goes `count` elements on within the first span, which is no insertion.
    fn take(&mut self, count: u64) -> Step {
        let from = narrow(self.done);
        let step = match self.spans.first() {
            None => return Step::Keep(count),
            Some(Span::Delete(ALL)) => {
                if count == ALL {
                    self.skip();
                }
                return Step::Delete(count);
            }
            Some(Span::Keep(_) | Span::Insert(_)) => Step::Keep(count),
            Some(Span::Delete(_)) => Step::Delete(count),
            Some(Span::Pop(elements)) => {
                let popped = elements.get(from..from + narrow(count)).unwrap_or_default();
                Step::Pop(popped.to_vec())
            }
        };
        if count == self.length() {
            self.skip();
        } else {
            self.done += count;
        }
        step
    }

    fn skip(&mut self) {
        self.spans = self.spans.get(1..).unwrap_or_default();
        self.done = 0;
    }

    /// The rest of an insertion.
    fn inserted(&mut self) -> Vec<Bytes> {
        self.inserted_up_to(ALL)
    }

    fn inserted_up_to(&mut self, count: u64) -> Vec<Bytes> {
        let Some(Span::Insert(elements)) = self.spans.first() else { return Vec::new() };
        let left = elements.get(narrow(self.done)..).unwrap_or_default();
        let part = left.get(..narrow(count).min(left.len())).unwrap_or_default();
        if part.len() == left.len() {
            self.skip();
        } else {
            self.done += wide(part.len());
        }
        part.to_vec()
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn narrow(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
