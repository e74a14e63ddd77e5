//! Assignments and deletions of a whole key: the own writes that they did not see stay.

use super::register::{Incoming, merge as merge_register};
use super::{Again, Race, register};
use crate::Spans;
use crate::conflict::{Item, Kind, Party};
use crate::item::{Bytes, Change, Content, Deadline};
use crate::op::KeyOp;
use crate::planted::{Rule, holds};

impl Race<'_> {
    /// `Set`, `Restore`, `Del` or `Expired`.
    pub(super) fn whole(&mut self, op: &KeyOp) {
        if matches!(op, KeyOp::Expired) && self.refreshed() {
            return;
        }
        let content = self.fold(op);
        let theirs = match op {
            KeyOp::Set { deadline, .. } | KeyOp::Restore { deadline, .. } => {
                Deadline::of(*deadline)
            }
            _ => Deadline::Wiped,
        };
        let deadline = self.longest(theirs);
        self.space.change(self.key, Change::Replace(content, deadline.shown()));
        self.deadline = Some(deadline);
    }

    /// The key expired at the peer, which did not see that it was refreshed here: it stays, and is said
    /// again as a whole, because the peer no longer has it.
    fn refreshed(&mut self) -> bool {
        let own = self.pending.deadline.filter(|(own, _)| own.lsn >= self.origin.seen);
        let Some((own, deadline)) = own else { return false };
        if deadline == Deadline::Wiped || self.space.kinds(self.key).is_empty() {
            return false;
        }
        let (winner, loser) = (Party::new(&own, None), Party::new(self.origin, None));
        self.conflict(Kind::ExpireRefresh, Item::Key, winner, loser);
        // The list stays as it is here, but the peer's next edits count from an empty one.
        drop(self.carry_list(&Spans::clear()));
        if holds(Rule::Reassert) {
            self.out.again.insert(Again::Whole(self.key.clone()));
        }
        true
    }

    /// What the key holds after the operation: what that says, and the own writes it did not see.
    pub(super) fn fold(&mut self, op: &KeyOp) -> Content {
        let theirs = match op {
            KeyOp::Set { value, .. } => Content::of_string(value.clone()),
            KeyOp::Restore { content, .. } => content.as_ref().clone().settled(),
            _ => Content::default(),
        };
        let current = self.space.content(self.key);
        let mut after =
            Content { string: self.fold_string(&theirs, &current), ..Content::default() };
        self.fold_fields(&theirs, &current, &mut after);
        self.fold_scores(&theirs, &mut after);
        let seen = self.origin.seen;
        let own_members = self.pending.members.iter();
        let own_in = own_members.filter(|(_, (own, is_in))| *is_in && own.lsn >= seen);
        after.set = own_in.map(|(member, _)| member.clone()).collect();
        after.set.extend(theirs.set);
        let edit = Spans::replace(self.origin.side, theirs.list);
        let edit = self.carry_list(&edit);
        after.list = current.list;
        edit.apply(&mut after.list);
        let empty_deletion = matches!(op, KeyOp::Del | KeyOp::Expired);
        if empty_deletion && !after.kinds().is_empty() && after.string.is_none() {
            let own = Party::new(&self.own_newest(), None);
            self.conflict(Kind::DeleteUpdate, Item::Key, own, Party::new(self.origin, None));
        }
        after
    }

    /// The newest own write on the key, for a report.
    pub(super) fn own_newest(&self) -> crate::Origin {
        crate::Origin { side: super::here(self.origin), lsn: self.pending.newest, ..*self.origin }
    }

    fn fold_string(&mut self, theirs: &Content, current: &Content) -> Option<Bytes> {
        let incoming = theirs.string.as_ref().map_or(Incoming::Gone, Incoming::Value);
        let chain = &mut self.pending.string;
        let current = current.string.as_deref();
        let outcome = merge_register(self.origin, self.whole, chain, &incoming, current);
        let value = self.decided(Item::String, outcome);
        value.or(current)
    }

    fn fold_fields(&mut self, theirs: &Content, current: &Content, after: &mut Content) {
        let mut fields: Vec<Bytes> = self.pending.fields.keys().cloned().collect();
        fields.extend(theirs.hash.keys().cloned());
        fields.sort();
        fields.dedup();
        for field in fields {
            let incoming = theirs.hash.get(&field).map_or(Incoming::Gone, Incoming::Value);
            let mut chain = self.take_field(&field);
            let own = current.hash.get(&field).map(AsRef::as_ref);
            let outcome = merge_register(self.origin, self.whole, &mut chain, &incoming, own);
            if !chain.is_empty() {
                self.pending.fields.insert(field.clone(), chain);
            }
            let value = self.decided(Item::Field(field.clone()), outcome);
            if let Some(value) = value.or(own) {
                after.hash.insert(field, value);
            }
        }
    }

    fn fold_scores(&mut self, theirs: &Content, after: &mut Content) {
        let mut members: Vec<Bytes> = self.pending.scores.keys().cloned().collect();
        members.extend(theirs.zset.keys().cloned());
        members.sort();
        members.dedup();
        for member in members {
            let assigned = theirs.zset.get(&member).map(|score| score.shown());
            let own = self.pending.scores.get(&member);
            let outcome = register::merge_score(self.origin, self.whole, own, assigned);
            if let Some((kind, winner, loser)) = outcome.conflict {
                self.conflict(kind, Item::Score(member.clone()), winner, loser);
            }
            if let Some(score) = outcome.value {
                after.zset.insert(member, score);
            }
        }
    }
}
