//! Changing a list.

use std::ops::{Deref, Range};

use tandem_merge::{KeyOp, Span, Spans};

use super::Edit;
use crate::effect::Effect;
use crate::failure::Failure;
use crate::key::Key;
use crate::keys::Keys;
use crate::value::list::List;
use crate::value::{Value, ValueRef};

/// A list that is being changed; reads go through to it.
#[derive(Debug)]
pub(crate) struct ListEdit<'s>(Edit<'s>);

impl Keys<'_> {
    /// Opens the list at a key, if there is one.
    pub(crate) fn edit_list<'s>(
        &'s mut self,
        key: Key<'s>,
    ) -> Result<Option<ListEdit<'s>>, Failure> {
        Edit::existing(self, key).map(checked).transpose()
    }

    /// Opens the list at a key, a new one if there is none; a new one that stays empty leaves nothing.
    pub(crate) fn edit_or_create_list<'s>(
        &'s mut self,
        key: Key<'s>,
    ) -> Result<ListEdit<'s>, Failure> {
        checked(Edit::existing_or(self, key, || Value::List(List::default())))
    }
}

fn checked(edit: Edit<'_>) -> Result<ListEdit<'_>, Failure> {
    if matches!(edit.value(), ValueRef::List(_)) {
        Ok(ListEdit(edit))
    } else {
        Err(Failure::WrongType)
    }
}

impl Deref for ListEdit<'_> {
    type Target = List;

    fn deref(&self) -> &List {
        let ValueRef::List(list) = self.0.value() else { unreachable!("the type was checked") };
        list
    }
}

impl ListEdit<'_> {
    fn inner(&mut self) -> &mut List {
        let Some(Value::List(list)) = self.0.object_mut() else {
            unreachable!("the type was checked")
        };
        list
    }

    /// Puts an element before all others.
    pub(crate) fn push_front(&mut self, element: &[u8]) {
        let limits = self.0.limits();
        self.inner().push_front(element, &limits);
        self.0.changed(Effect::ListPushFront(element));
        self.edited(0, |spans| spans.insert(vec![element.into()]));
    }

    /// Puts an element after all others.
    pub(crate) fn push_back(&mut self, element: &[u8]) {
        let limits = self.0.limits();
        let end = self.len();
        self.inner().push_back(element, &limits);
        self.0.changed(Effect::ListPushBack(element));
        self.edited(end, |spans| spans.insert(vec![element.into()]));
    }

    /// Takes the first element out; look at it with `get(0)` before. False if there is none.
    pub(crate) fn pop_front(&mut self) -> bool {
        let popped = self.wanted(0);
        let done = self.inner().pop_front();
        if done {
            self.edited(0, |spans| spans.pop(popped));
            self.0.changed(Effect::ListPopFront);
        }
        done
    }

    /// Takes the last element out. False if there is none.
    pub(crate) fn pop_back(&mut self) -> bool {
        let last = self.len().saturating_sub(1);
        let popped = self.wanted(last);
        let done = self.inner().pop_back();
        if done {
            self.edited(last, |spans| spans.pop(popped));
            self.0.changed(Effect::ListPopBack);
        }
        done
    }

    /// Replaces an element. False if there is none at `index`.
    pub(crate) fn set(&mut self, index: usize, element: &[u8]) -> bool {
        let limits = self.0.limits();
        let done = self.inner().set(index, element, &limits);
        if done {
            self.edited(index, |spans| spans.insert(vec![element.into()]).delete(1));
            self.0.changed(Effect::ListSet { index: wide(index), value: element });
        }
        done
    }

    /// Puts an element in so that it has this index. False beyond the end.
    pub(crate) fn insert(&mut self, index: usize, element: &[u8]) -> bool {
        let limits = self.0.limits();
        let done = self.inner().insert(index, element, &limits);
        if done {
            self.edited(index, |spans| spans.insert(vec![element.into()]));
            self.0.changed(Effect::ListInsert { index: wide(index), value: element });
        }
        done
    }

    /// Takes the element at an index out. False if there is none.
    pub(crate) fn remove(&mut self, index: usize) -> bool {
        let done = self.inner().remove(index);
        if done {
            self.edited(index, |spans| spans.delete(1));
            self.0.changed(Effect::ListRemove { index: wide(index) });
        }
        done
    }

    /// Keeps only these elements; indexes beyond the end mean the end.
    pub(crate) fn trim(&mut self, keep: Range<usize>) {
        let end = keep.end.min(self.len());
        let start = keep.start.min(end);
        if start == 0 && end == self.len() {
            return;
        }
        let rest = wide(self.len() - end);
        self.edited(0, |spans| spans.delete(wide(start)).keep(wide(end - start)).delete(rest));
        self.inner().trim(start..end);
        self.0.changed(Effect::ListTrim { start: wide(start), end: wide(end) });
    }

    /// Does an edit by positions; what it would take out beyond the end is not there.
    pub(crate) fn carry_out(&mut self, spans: &Spans) {
        let mut at = 0;
        for span in spans.steps() {
            let left = self.len() - at;
            match span {
                Span::Keep(count) => at += narrow(*count).min(left),
                Span::Insert(elements) => {
                    for element in elements {
                        self.insert(at, element);
                        at += 1;
                    }
                }
                Span::Delete(count) => self.remove_range(at..at + narrow(*count).min(left)),
                Span::Pop(elements) => self.remove_range(at..at + elements.len().min(left)),
            }
        }
    }

    fn remove_range(&mut self, range: Range<usize>) {
        if range.start == 0 {
            self.trim(range.end..self.len());
        } else if range.end == self.len() {
            self.trim(0..range.start);
        } else {
            for _ in range.clone() {
                self.remove(range.start);
            }
        }
    }

    /// With two writers: an edit that begins at an index.
    fn edited(&mut self, index: usize, edit: impl FnOnce(&mut Spans) -> &mut Spans) {
        self.0.operation(|| {
            let mut spans = Spans::new();
            spans.keep(wide(index));
            edit(&mut spans);
            KeyOp::List(spans)
        });
    }

    /// With two writers: the element that a client is about to get.
    fn wanted(&self, index: usize) -> Vec<Box<[u8]>> {
        let wanted = self.0.merges().then(|| self.get(index)).flatten();
        wanted.map(Into::into).into_iter().collect()
    }
}

fn wide(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}

fn narrow(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
