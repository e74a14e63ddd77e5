//! A list: elements in a row, cheap at both ends, reachable by index.
//!
//! Elements stand in [`Node`]s of a few KiB, nodes in [`Block`]s of up to [`BLOCK_NODES_MAX`]. Finding
//! an index steps over whole blocks, then over whole nodes; inserting in the middle moves at most one
//! node's spans and one block's nodes. A small list is one block of one node.

mod node;

use std::collections::VecDeque;
use std::ops::Range;

use node::Node;

use crate::settings::Limits;

/// Nodes per block; a full block is cut in two.
const BLOCK_NODES_MAX: usize = 256;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct List {
    /// None of them empty.
    blocks: VecDeque<Block>,
    len: usize,
    /// Bytes of all elements.
    bytes: usize,
    node_count: usize,
    /// True from when the list outgrew `list-max-listpack-size` until it is half of that.
    large: bool,
}

/// Neighbouring nodes; none of them empty.
#[derive(Debug, Default)]
struct Block {
    nodes: VecDeque<Node>,
    len: usize,
}

/// Where an element is: the block, the node in it, the element in that.
#[derive(Clone, Copy, Debug)]
struct Place {
    block: usize,
    node: usize,
    element: usize,
}

impl List {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Heap bytes, estimated from counts: constant time.
    pub(crate) fn memory(&self) -> usize {
        const SPAN_BYTES: usize = 4;
        self.bytes
            + self.len * SPAN_BYTES
            + self.node_count * size_of::<Node>()
            + self.blocks.len() * size_of::<Block>()
    }

    /// What `OBJECT ENCODING` says.
    pub(crate) fn encoding(&self) -> &'static str {
        if self.large { "quicklist" } else { "listpack" }
    }

    pub(crate) fn push_front(&mut self, element: &[u8], limits: &Limits) {
        if self.blocks.front().is_none_or(|block| block.nodes.len() == BLOCK_NODES_MAX) {
            self.blocks.push_front(Block::default());
        }
        let block = &mut self.blocks[0];
        match block.nodes.front_mut() {
            Some(node) if node.takes(element) => node.insert(0, element),
            _ => {
                block.nodes.push_front(Node::of(element));
                self.node_count += 1;
            }
        }
        block.len += 1;
        self.added(element, limits);
    }

    pub(crate) fn push_back(&mut self, element: &[u8], limits: &Limits) {
        if self.blocks.back().is_none_or(|block| block.nodes.len() == BLOCK_NODES_MAX) {
            self.blocks.push_back(Block::default());
        }
        let last = self.blocks.len() - 1;
        let block = &mut self.blocks[last];
        match block.nodes.back_mut() {
            Some(node) if node.takes(element) => node.insert(node.len(), element),
            _ => {
                block.nodes.push_back(Node::of(element));
                self.node_count += 1;
            }
        }
        block.len += 1;
        self.added(element, limits);
    }

    /// Removes the first element; false if there is none.
    pub(crate) fn pop_front(&mut self) -> bool {
        self.remove(0)
    }

    /// Removes the last element; false if there is none.
    pub(crate) fn pop_back(&mut self) -> bool {
        self.len > 0 && self.remove(self.len - 1)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        let place = self.find(index)?;
        Some(self.blocks[place.block].nodes[place.node].get(place.element))
    }

    /// Replaces an element; false if there is none at `index`.
    pub(crate) fn set(&mut self, index: usize, element: &[u8], limits: &Limits) -> bool {
        let Some(place) = self.find(index) else { return false };
        let node = &mut self.blocks[place.block].nodes[place.node];
        let old_bytes = node.get(place.element).len();
        if node.replace(place.element, element) {
            self.bytes = self.bytes - old_bytes + element.len();
            self.measure(limits);
            return true;
        }
        self.remove(index);
        self.insert(index, element, limits)
    }

    /// Puts an element in so that it has this index; false if that is beyond the end.
    pub(crate) fn insert(&mut self, index: usize, element: &[u8], limits: &Limits) -> bool {
        if index == 0 {
            self.push_front(element, limits);
        } else if index == self.len {
            self.push_back(element, limits);
        } else {
            let Some(before) = self.find(index - 1) else { return false };
            self.insert_after(before, element);
            self.added(element, limits);
        }
        true
    }

    /// Removes the element at an index; false if there is none.
    pub(crate) fn remove(&mut self, index: usize) -> bool {
        let Some(place) = self.find(index) else { return false };
        let block = &mut self.blocks[place.block];
        let node = &mut block.nodes[place.node];
        self.bytes -= node.get(place.element).len();
        self.len -= 1;
        block.len -= 1;
        if node.len() == 1 {
            block.nodes.remove(place.node);
            self.node_count -= 1;
        } else {
            node.remove(place.element..place.element + 1);
            self.node_count -= block.join_around(place.node);
        }
        if block.nodes.is_empty() {
            self.blocks.remove(place.block);
        }
        true
    }

    /// Keeps only these elements; the range is within the list.
    pub(crate) fn trim(&mut self, keep: Range<usize>) {
        let behind = self.len - keep.end;
        self.drop_front(keep.start.min(keep.end));
        self.drop_back(behind);
    }

    /// All elements, first to last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.range(0..self.len)
    }

    /// Elements of a range, first to last; what is beyond the end is not there.
    pub(crate) fn range(&self, range: Range<usize>) -> impl Iterator<Item = &[u8]> {
        let end = Place { block: self.blocks.len(), node: 0, element: 0 };
        let at = self.find(range.start).unwrap_or(end);
        self.blocks
            .range(at.block..)
            .enumerate()
            .flat_map(move |(nth, block)| block.nodes.range(if nth == 0 { at.node } else { 0 }..))
            .enumerate()
            .flat_map(move |(nth, node)| {
                (if nth == 0 { at.element } else { 0 }..node.len()).map(|element| node.get(element))
            })
            .take(range.len())
    }

    /// All elements, last to first.
    pub(crate) fn iter_back(&self) -> impl Iterator<Item = &[u8]> {
        self.blocks
            .iter()
            .rev()
            .flat_map(|block| block.nodes.iter().rev())
            .flat_map(|node| node.iter().rev())
    }

    fn find(&self, index: usize) -> Option<Place> {
        if index >= self.len {
            return None;
        }
        let (block, rest) = step(&self.blocks, |block| block.len, index, self.len);
        let found = &self.blocks[block];
        let (node, element) = step(&found.nodes, Node::len, rest, found.len);
        Some(Place { block, node, element })
    }

    fn insert_after(&mut self, before: Place, element: &[u8]) {
        let block = &mut self.blocks[before.block];
        block.len += 1;
        let (node, index) = (before.node, before.element + 1);
        if block.nodes[node].takes(element) {
            block.nodes[node].insert(index, element);
            return;
        }
        if index < block.nodes[node].len() {
            let tail = block.nodes[node].split_off(index);
            block.nodes.insert(node + 1, tail);
            self.node_count += 1;
        }
        if block.nodes[node].takes(element) {
            block.nodes[node].insert(index, element);
        } else if block.nodes.get(node + 1).is_some_and(|next| next.takes(element)) {
            block.nodes[node + 1].insert(0, element);
        } else {
            block.nodes.insert(node + 1, Node::of(element));
            self.node_count += 1;
        }
        if block.nodes.len() > BLOCK_NODES_MAX {
            let nodes = block.nodes.split_off(BLOCK_NODES_MAX / 2);
            let len = nodes.iter().map(Node::len).sum();
            block.len -= len;
            self.blocks.insert(before.block + 1, Block { nodes, len });
        }
    }

    fn drop_front(&mut self, mut count: usize) {
        self.len -= count;
        while count > 0 {
            let Some(block) = self.blocks.front_mut() else { return };
            let Some(node) = block.nodes.front_mut() else { return };
            let dropped = count.min(node.len());
            count -= dropped;
            block.len -= dropped;
            self.bytes -= node.live_bytes();
            if dropped == node.len() {
                block.nodes.pop_front();
                self.node_count -= 1;
            } else {
                node.remove(0..dropped);
                self.bytes += node.live_bytes();
            }
            if block.nodes.is_empty() {
                self.blocks.pop_front();
            }
        }
    }

    fn drop_back(&mut self, mut count: usize) {
        self.len -= count;
        while count > 0 {
            let Some(block) = self.blocks.back_mut() else { return };
            let Some(node) = block.nodes.back_mut() else { return };
            let dropped = count.min(node.len());
            count -= dropped;
            block.len -= dropped;
            self.bytes -= node.live_bytes();
            if dropped == node.len() {
                block.nodes.pop_back();
                self.node_count -= 1;
            } else {
                node.remove(node.len() - dropped..node.len());
                self.bytes += node.live_bytes();
            }
            if block.nodes.is_empty() {
                self.blocks.pop_back();
            }
        }
    }

    fn added(&mut self, element: &[u8], limits: &Limits) {
        self.len += 1;
        self.bytes += element.len();
        self.measure(limits);
    }

    /// Keeps in mind what Redis would call this list.
    fn measure(&mut self, limits: &Limits) {
        let fill = limits.list_max_listpack_size;
        let (size, size_max) = match usize::try_from(fill) {
            Ok(count_max) => (self.len, count_max),
            // -1 to -5 are 4 to 64 KiB. An element has about two bytes of its own in a listpack.
            Err(_) => (self.bytes + 2 * self.len + 7, 2048 << fill.unsigned_abs().min(5)),
        };
        self.large = size > size_max || (self.large && size > size_max / 2);
    }
}

impl Block {
    /// Joins a node that has become small with a neighbour; returns how many nodes that saved.
    fn join_around(&mut self, node: usize) -> usize {
        let pairs = [Some((node, node + 1)), node.checked_sub(1).map(|before| (before, node))];
        for (left, right) in pairs.into_iter().flatten() {
            let joins = self.nodes.get(right).is_some_and(|it| self.nodes[left].may_join(it));
            if joins && let Some(joined) = self.nodes.remove(right) {
                self.nodes[left].join(&joined);
                return 1;
            }
        }
        0
    }
}

/// Which of `parts` holds element `index` of `total`, and which of its own elements that is; counted
/// from the nearer end.
fn step<P>(
    parts: &VecDeque<P>,
    len: impl Fn(&P) -> usize,
    index: usize,
    total: usize,
) -> (usize, usize) {
    if index < total / 2 {
        let mut rest = index;
        for (number, part) in parts.iter().enumerate() {
            if rest < len(part) {
                return (number, rest);
            }
            rest -= len(part);
        }
    } else {
        let mut behind = total - 1 - index;
        for (number, part) in parts.iter().enumerate().rev() {
            if behind < len(part) {
                return (number, len(part) - 1 - behind);
            }
            behind -= len(part);
        }
    }
    unreachable!("element {index} of {total} is in no part")
}

#[cfg(test)]
mod tests;
