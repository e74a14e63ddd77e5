//! A vector that never moves its elements when it grows: blocks of equal size.

/// Elements of one chunk.
const CHUNK_LEN: usize = 1024;

/// A vector in chunks. Growing a plain one of ten million entries would copy half a gigabyte at once.
#[derive(Debug)]
pub(super) struct Chunks<E> {
    /// All full but the last, which is never empty.
    chunks: Vec<Vec<E>>,
    len: usize,
}

impl<E> Default for Chunks<E> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<E> Chunks<E> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn memory(&self) -> usize {
        let slots = match &self.chunks[..] {
            [] => 0,
            [only] => only.capacity(),
            many => many.len() * CHUNK_LEN,
        };
        slots * size_of::<E>() + self.chunks.capacity() * size_of::<Vec<E>>()
    }

    #[inline]
    pub(super) fn get(&self, position: usize) -> &E {
        &self.chunks[position / CHUNK_LEN][position % CHUNK_LEN]
    }

    pub(super) fn get_mut(&mut self, position: usize) -> &mut E {
        &mut self.chunks[position / CHUNK_LEN][position % CHUNK_LEN]
    }

    pub(super) fn push(&mut self, entry: E) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK_LEN => last.push(entry),
            // The first chunk grows as a vector does, the others come whole.
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK_LEN);
                chunk.push(entry);
                self.chunks.push(chunk);
            }
            None => self.chunks.push(vec![entry]),
        }
        self.len += 1;
    }

    /// Removes an element and moves the last one into its place.
    pub(super) fn swap_remove(&mut self, position: usize) -> E {
        // Holds because `position` is below `len`, so there is a last chunk and it is not empty.
        let last = self.pop().expect("the vector is not empty");
        if position == self.len {
            return last;
        }
        std::mem::replace(self.get_mut(position), last)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &E> {
        self.chunks.iter().flatten()
    }

    fn pop(&mut self) -> Option<E> {
        let chunk = self.chunks.last_mut()?;
        let entry = chunk.pop()?;
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.pop();
        } else if self.chunks.len() == 1 {
            let only = &mut self.chunks[0];
            if only.len() < only.capacity() / 4 {
                only.shrink_to(only.len() * 2);
            }
        }
        Some(entry)
    }
}
