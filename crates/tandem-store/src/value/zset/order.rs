//! A sequence reachable by rank: a B-tree that counts what is below each branch.
//!
//! It knows no keys: the caller searches with [`Order::count_while`] and then inserts, removes or walks by
//! rank. Every operation is one way down the tree, a few hundred items wide at each step.

use std::ops::Range;

/// Items in a full leaf.
const LEAF_LEN_MAX: usize = 128;
/// Branches of a full inner node.
const BRANCH_COUNT_MAX: usize = 64;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Order<T> {
    root: Node<T>,
    len: usize,
}

#[derive(Debug)]
enum Node<T> {
    Leaf(Vec<T>),
    Inner(Vec<Branch<T>>),
}

#[derive(Debug)]
struct Branch<T> {
    /// First item below: what a search looks at, so that it need not go down to see.
    first: T,
    /// Items below; never 0.
    len: usize,
    node: Box<Node<T>>,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self { root: Node::Leaf(Vec::new()), len: 0 }
    }
}

impl<T: Copy> Order<T> {
    /// Heap bytes, estimated from the count: leaves are about two thirds full.
    pub(crate) fn memory(&self) -> usize {
        self.len * size_of::<T>() * 3 / 2
    }

    /// The item with this rank, which is below the length.
    pub(crate) fn at(&self, rank: usize) -> T {
        let (leaf, start) = self.leaf_of(rank);
        leaf[rank - start]
    }

    /// How many items from the first on are `before`: those that are all stand at the front.
    pub(crate) fn count_while(&self, before: impl Fn(&T) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(items) => return rank + items.partition_point(|item| before(item)),
                Node::Inner(branches) => {
                    let behind = branches.partition_point(|branch| before(&branch.first));
                    // Even if not a single item is, the way down ends at the front of the first leaf.
                    let at = behind.saturating_sub(1);
                    rank += branches[..at].iter().map(|branch| branch.len).sum::<usize>();
                    node = &branches[at].node;
                }
            }
        }
    }

    /// Puts an item in so that it has this rank, at most the length.
    pub(crate) fn insert(&mut self, rank: usize, item: T) {
        assert!(rank <= self.len, "rank {rank} of {}", self.len);
        self.len += 1;
        if let Some(right) = self.root.insert(rank, item) {
            let left = std::mem::replace(&mut self.root, Node::Inner(Vec::new()));
            self.root = Node::Inner(vec![Branch::of(left), Branch::of(right)]);
        }
    }

    /// Removes the item with this rank, which is below the length.
    pub(crate) fn remove(&mut self, rank: usize) {
        assert!(rank < self.len, "rank {rank} of {}", self.len);
        self.len -= 1;
        self.root.remove(rank);
        if let Node::Inner(branches) = &mut self.root
            && branches.len() <= 1
        {
            self.root = branches.pop().map_or(Node::Leaf(Vec::new()), |only| *only.node);
        }
    }

    /// Puts an equivalent item in the place of one: the order stays.
    pub(crate) fn replace(&mut self, rank: usize, item: T) {
        assert!(rank < self.len, "rank {rank} of {}", self.len);
        self.root.replace(rank, item);
    }

    /// Items of a range of ranks, first to last.
    pub(crate) fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = T> {
        let end = ranks.end.min(self.len);
        let mut rank = ranks.start;
        let mut leaf: std::slice::Iter<'_, T> = [].iter();
        std::iter::from_fn(move || {
            if rank >= end {
                return None;
            }
            if leaf.as_slice().is_empty() {
                let (items, start) = self.leaf_of(rank);
                leaf = items[rank - start..].iter();
            }
            rank += 1;
            leaf.next().copied()
        })
    }

    /// Items of a range of ranks, last to first.
    pub(crate) fn range_back(&self, ranks: Range<usize>) -> impl Iterator<Item = T> {
        let mut end = ranks.end.min(self.len);
        let mut leaf: std::slice::Iter<'_, T> = [].iter();
        std::iter::from_fn(move || {
            if end <= ranks.start {
                return None;
            }
            if leaf.as_slice().is_empty() {
                let (items, start) = self.leaf_of(end - 1);
                leaf = items[..end - start].iter();
            }
            end -= 1;
            leaf.next_back().copied()
        })
    }

    /// The leaf with the item of this rank, and the rank of its first item.
    fn leaf_of(&self, rank: usize) -> (&[T], usize) {
        let (mut node, mut start) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(items) => return (items, start),
                Node::Inner(branches) => {
                    let (at, before) = branch_of(branches, rank - start);
                    start += before;
                    node = &branches[at].node;
                }
            }
        }
    }
}

impl<T: Copy> Branch<T> {
    fn of(node: Node<T>) -> Self {
        Self { first: node.first(), len: node.len(), node: Box::new(node) }
    }
}

impl<T: Copy> Node<T> {
    fn first(&self) -> T {
        match self {
            Self::Leaf(items) => items[0],
            Self::Inner(branches) => branches[0].first,
        }
    }

    /// Items below.
    fn len(&self) -> usize {
        match self {
            Self::Leaf(items) => items.len(),
            Self::Inner(branches) => branches.iter().map(|branch| branch.len).sum(),
        }
    }

    /// Inserts; what it returns is the right half of this node, which had to be cut.
    fn insert(&mut self, rank: usize, item: T) -> Option<Self> {
        match self {
            Self::Leaf(items) => {
                if items.len() < LEAF_LEN_MAX {
                    items.insert(rank, item);
                    return None;
                }
                // Whoever appends will go on appending: leave full leaves behind, not half-full ones.
                let cut = if rank == items.len() { rank } else { LEAF_LEN_MAX / 2 };
                let mut right = Vec::with_capacity(LEAF_LEN_MAX / 2);
                right.extend(items.drain(cut..));
                if rank <= cut && cut < LEAF_LEN_MAX {
                    items.insert(rank, item);
                } else {
                    right.insert(rank - cut, item);
                }
                Some(Self::Leaf(right))
            }
            Self::Inner(branches) => {
                // At a border the item goes to the left one, so that appending reaches the last leaf.
                let (at, before) = branch_of(branches, rank.saturating_sub(1));
                let branch = &mut branches[at];
                branch.len += 1;
                let right = branch.node.insert(rank - before, item);
                if rank == before {
                    branch.first = item;
                }
                let right = Branch::of(right?);
                branch.len -= right.len;
                branches.insert(at + 1, right);
                if branches.len() <= BRANCH_COUNT_MAX {
                    return None;
                }
                let cut = if at + 2 == branches.len() { at + 1 } else { BRANCH_COUNT_MAX / 2 };
                Some(Self::Inner(branches.split_off(cut)))
            }
        }
    }

    fn remove(&mut self, rank: usize) {
        match self {
            Self::Leaf(items) => {
                items.remove(rank);
            }
            Self::Inner(branches) => {
                let (at, before) = branch_of(branches, rank);
                let branch = &mut branches[at];
                branch.len -= 1;
                if branch.len == 0 {
                    branches.remove(at);
                    return;
                }
                branch.node.remove(rank - before);
                branch.first = branch.node.first();
                join_small(branches, at);
            }
        }
    }

    fn replace(&mut self, rank: usize, item: T) {
        match self {
            Self::Leaf(items) => items[rank] = item,
            Self::Inner(branches) => {
                let (at, before) = branch_of(branches, rank);
                if rank == before {
                    branches[at].first = item;
                }
                branches[at].node.replace(rank - before, item);
            }
        }
    }

    /// Items of a leaf, branches of an inner node.
    fn width(&self) -> usize {
        match self {
            Self::Leaf(items) => items.len(),
            Self::Inner(branches) => branches.len(),
        }
    }

    const fn width_max(&self) -> usize {
        match self {
            Self::Leaf(_) => LEAF_LEN_MAX,
            Self::Inner(_) => BRANCH_COUNT_MAX,
        }
    }
}

/// The branch that holds the item with this rank, and the items before it; the last one if none does.
fn branch_of<T>(branches: &[Branch<T>], rank: usize) -> (usize, usize) {
    let (mut at, mut before) = (0, 0);
    while at + 1 < branches.len() && rank >= before + branches[at].len {
        before += branches[at].len;
        at += 1;
    }
    (at, before)
}

/// Joins a node that has become narrow with a neighbour, if both together leave room to grow.
fn join_small<T: Copy>(branches: &mut Vec<Branch<T>>, at: usize) {
    let node = &branches[at].node;
    if node.width() > node.width_max() / 4 {
        return;
    }
    let left = if at + 1 < branches.len() { at } else { at.saturating_sub(1) };
    let (width_max, right) = (node.width_max(), left + 1);
    if right >= branches.len()
        || branches[left].node.width() + branches[right].node.width() > width_max * 3 / 4
    {
        return;
    }
    let right = branches.remove(right);
    let left = &mut branches[left];
    left.len += right.len;
    match (&mut *left.node, *right.node) {
        (Node::Leaf(items), Node::Leaf(more)) => items.extend(more),
        (Node::Inner(branches), Node::Inner(more)) => branches.extend(more),
        _ => unreachable!("all leaves are at one depth"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roll(dice: &mut u64, bound: usize) -> usize {
        *dice =
            dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*dice >> 33).unwrap() % bound
    }

    fn depth<T: Copy>(node: &Node<T>) -> usize {
        match node {
            Node::Leaf(_) => 1,
            Node::Inner(branches) => {
                assert!(
                    branches.iter().all(|branch| branch.len == branch.node.len() && branch.len > 0)
                );
                let depths: Vec<usize> =
                    branches.iter().map(|branch| depth(&branch.node)).collect();
                assert!(depths.windows(2).all(|pair| pair[0] == pair[1]));
                depths[0] + 1
            }
        }
    }

    fn check(order: &Order<u32>, model: &[u32], dice: &mut u64) {
        assert_eq!(order.len, model.len());
        assert!(order.range(0..model.len()).eq(model.iter().copied()));
        assert!(order.range_back(0..model.len()).eq(model.iter().rev().copied()));
        depth(&order.root);
        if model.is_empty() {
            return;
        }
        for _ in 0..20 {
            let rank = roll(dice, model.len());
            assert_eq!(order.at(rank), model[rank]);
            let end = rank + roll(dice, model.len() - rank + 1);
            assert!(order.range(rank..end).eq(model[rank..end].iter().copied()));
            assert!(order.range_back(rank..end).eq(model[rank..end].iter().rev().copied()));
            let value = model[rank];
            assert_eq!(
                order.count_while(|item| *item < value),
                model.partition_point(|item| *item < value)
            );
        }
    }

    #[test]
    fn a_sorted_tree_does_what_a_sorted_vector_does() {
        let (mut order, mut model, mut dice) = (Order::default(), Vec::new(), 1);
        for step in 0..60_000 {
            let value = u32::try_from(roll(&mut dice, 1 << 30)).unwrap();
            let growing = step < 25_000 || (40_000..45_000).contains(&step);
            if roll(&mut dice, 10) < if growing { 8 } else { 3 } || model.is_empty() {
                let rank = order.count_while(|item| *item < value);
                order.insert(rank, value);
                model.insert(rank, value);
            } else {
                let rank = roll(&mut dice, model.len());
                order.remove(rank);
                model.remove(rank);
                if rank < model.len() {
                    let equivalent = model[rank];
                    order.replace(rank, equivalent);
                }
            }
            if step % 3000 == 0 {
                check(&order, &model, &mut dice);
            }
        }
        while !model.is_empty() {
            let rank = roll(&mut dice, model.len());
            order.remove(rank);
            model.remove(rank);
        }
        check(&order, &model, &mut dice);
    }

    #[test]
    fn appending_leaves_full_leaves_at_either_end() {
        let mut order = Order::default();
        for value in 0..100_000 {
            order.insert(value, value);
        }
        assert!(order.range(0..100_000).eq(0..100_000));
        assert_eq!(depth(&order.root), 3);
        for _ in 0..100_000 {
            order.remove(0);
        }
        assert_eq!(order.root.width(), 0);
        for value in (0..100_000).rev() {
            order.insert(0, value);
        }
        assert!(order.range(0..100_000).eq(0..100_000));
    }
}
