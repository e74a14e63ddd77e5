//! A few KiB of neighbouring list elements, or one element that is too long to have company.

use std::collections::VecDeque;

/// Bytes of elements in one node, as in Redis' default (`list-max-listpack-size -2`).
const NODE_BYTES_MAX: usize = 8192;
/// Elements in one node: bounds what an insertion in the middle moves.
const NODE_LEN_MAX: usize = 1024;
/// Longest element that shares a node.
const SHARED_ELEMENT_BYTES_MAX: usize = 4096;
/// Bytes of removed elements that are not worth a copy.
const WASTE_BYTES_MIN: usize = 256;

/// Some elements in order.
///
/// The bytes of an element stand anywhere in `bytes`; only the spans are in order. So a push at the
/// front is an append, and a removal leaves its bytes behind until half of them are waste.
#[derive(Debug)]
pub(super) enum Node {
    /// Many short elements.
    Shared { bytes: Vec<u8>, spans: VecDeque<Span>, live_bytes: usize },
    /// One long element.
    Single(Box<[u8]>),
}

/// Where an element stands in the bytes of its node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u16,
    len: u16,
}

// Waste never outgrows one node's worth, so that every span fits.
const _: () = assert!(2 * NODE_BYTES_MAX + SHARED_ELEMENT_BYTES_MAX <= u16::MAX as usize);

impl Span {
    fn new(start: usize, len: usize) -> Self {
        // Holds by the assertion above.
        let narrow = |number| u16::try_from(number).expect("a node has at most 20 KiB");
        // An empty element stands at the front, where it is within the bytes whatever is cut off.
        Self { start: if len == 0 { 0 } else { narrow(start) }, len: narrow(len) }
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[usize::from(self.start)..self.end()]
    }

    fn end(self) -> usize {
        usize::from(self.start) + usize::from(self.len)
    }
}

impl Node {
    /// A node with one element.
    pub(super) fn of(element: &[u8]) -> Self {
        if element.len() > SHARED_ELEMENT_BYTES_MAX {
            return Self::Single(element.into());
        }
        let spans = VecDeque::from([Span::new(0, element.len())]);
        Self::Shared { bytes: element.to_vec(), spans, live_bytes: element.len() }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Shared { spans, .. } => spans.len(),
            Self::Single(_) => 1,
        }
    }

    /// Bytes of its elements.
    pub(super) fn live_bytes(&self) -> usize {
        match self {
            Self::Shared { live_bytes, .. } => *live_bytes,
            Self::Single(element) => element.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> &[u8] {
        match self {
            Self::Shared { bytes, spans, .. } => spans[index].of(bytes),
            Self::Single(element) => element,
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        (0..self.len()).map(|index| self.get(index))
    }

    /// True if there is room for another element.
    pub(super) fn takes(&self, element: &[u8]) -> bool {
        match self {
            Self::Shared { spans, live_bytes, .. } => {
                element.len() <= SHARED_ELEMENT_BYTES_MAX
                    && live_bytes + element.len() <= NODE_BYTES_MAX
                    && spans.len() < NODE_LEN_MAX
            }
            Self::Single(_) => false,
        }
    }

    /// Puts an element in at `index`; the node [takes](Self::takes) it.
    pub(super) fn insert(&mut self, index: usize, element: &[u8]) {
        let Self::Shared { bytes, spans, live_bytes } = self else {
            unreachable!("a single element has no company")
        };
        make_room(bytes, spans, element.len());
        spans.insert(index, Span::new(bytes.len(), element.len()));
        bytes.extend_from_slice(element);
        *live_bytes += element.len();
    }

    /// Puts another element in the place of one; false if it does not fit here.
    pub(super) fn replace(&mut self, index: usize, element: &[u8]) -> bool {
        match self {
            Self::Single(old) => {
                let fits = element.len() > SHARED_ELEMENT_BYTES_MAX;
                if fits {
                    *old = element.into();
                }
                fits
            }
            Self::Shared { bytes, spans, live_bytes } => {
                let old = spans[index];
                let live_bytes_after = *live_bytes - usize::from(old.len) + element.len();
                if element.len() > SHARED_ELEMENT_BYTES_MAX || live_bytes_after > NODE_BYTES_MAX {
                    return false;
                }
                if usize::from(old.len) == element.len() {
                    bytes[usize::from(old.start)..old.end()].copy_from_slice(element);
                    return true;
                }
                spans[index].len = 0;
                make_room(bytes, spans, element.len());
                spans[index] = Span::new(bytes.len(), element.len());
                bytes.extend_from_slice(element);
                *live_bytes = live_bytes_after;
                true
            }
        }
    }

    /// Removes elements; those of a single node all go at once.
    pub(super) fn remove(&mut self, range: std::ops::Range<usize>) {
        match self {
            Self::Single(element) => *element = Box::default(),
            Self::Shared { bytes, spans, live_bytes } => {
                for span in spans.drain(range) {
                    *live_bytes -= usize::from(span.len);
                    if span.end() == bytes.len() {
                        bytes.truncate(usize::from(span.start));
                    }
                }
                if bytes.len() > 2 * *live_bytes + WASTE_BYTES_MIN {
                    compact(bytes, spans, *live_bytes);
                }
            }
        }
    }

    /// Cuts off the elements from `index` on.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        let mut tail = Self::Shared { bytes: Vec::new(), spans: VecDeque::new(), live_bytes: 0 };
        for element in index..self.len() {
            tail.insert(tail.len(), self.get(element));
        }
        self.remove(index..self.len());
        tail
    }

    /// True if the elements of both fit into half a node, so that joining them will last.
    pub(super) fn may_join(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Shared { .. }, Self::Shared { .. }))
            && self.live_bytes() + other.live_bytes() <= NODE_BYTES_MAX / 2
            && self.len() + other.len() <= NODE_LEN_MAX / 2
    }

    /// Adds the elements of another node behind.
    pub(super) fn join(&mut self, other: &Self) {
        for element in other.iter() {
            self.insert(self.len(), element);
        }
    }
}

/// Makes sure that the next element's span will fit.
fn make_room(bytes: &mut Vec<u8>, spans: &mut VecDeque<Span>, more: usize) {
    if bytes.len() + more > 2 * NODE_BYTES_MAX {
        compact(bytes, spans, NODE_BYTES_MAX);
    }
}

/// Leaves the waste behind.
fn compact(bytes: &mut Vec<u8>, spans: &mut VecDeque<Span>, capacity: usize) {
    let mut compacted = Vec::with_capacity(capacity);
    for span in spans.iter_mut() {
        let element = span.of(bytes);
        let moved = Span::new(compacted.len(), element.len());
        compacted.extend_from_slice(element);
        *span = moved;
    }
    *bytes = compacted;
    if spans.len() < spans.capacity() / 4 {
        spans.shrink_to(spans.len() * 2);
    }
}
