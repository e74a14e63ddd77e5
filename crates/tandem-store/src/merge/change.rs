//! What a merge changes in one key. An item of a collection that is all there is under its key is changed in
//! place: a merge costs what the command cost that it follows, not what the collection is large.

use tandem_merge::{Change, Content, Key, Kinds, Score, Space as _, Spans};

use super::MergeSpace;

impl MergeSpace<'_> {
    pub(super) fn make(&mut self, key: &Key, change: Change) {
        match change {
            Change::Replace(content, deadline) => self.put(key, content, deadline),
            Change::Deadline(deadline) => {
                let mut keys = self.keys(key.db);
                let found = keys.key(&key.name);
                keys.set_deadline(found, deadline);
            }
            Change::String(Some(value)) if self.plain(key, Kinds::STRING) => {
                let deadline = self.deadline(key);
                let mut keys = self.keys(key.db);
                let found = keys.key(&key.name);
                keys.set_string(found, &value, deadline);
            }
            Change::String(value) => self.change_all(key, |content| content.string = value),
            Change::Field(field, value) if self.plain(key, Kinds::HASH) => {
                self.put_field(key, &field, value.as_deref());
            }
            Change::Field(field, value) => self.change_all(key, |content| match value {
                Some(value) => drop(content.hash.insert(field, value)),
                None => drop(content.hash.remove(&field)),
            }),
            Change::Member(member, is_in) if self.plain(key, Kinds::SET) => {
                self.put_member(key, &member, is_in);
            }
            Change::Member(member, is_in) => self.change_all(key, |content| {
                if is_in {
                    content.set.insert(member);
                } else {
                    content.set.remove(&member);
                }
            }),
            Change::Score(member, score) if self.plain(key, Kinds::ZSET) => match score {
                Some(score) => self.put_score(key, &member, score),
                None => self.remove_score(key, &member),
            },
            Change::Score(member, score) => self.change_all(key, |content| match score {
                Some(score) => drop(content.zset.insert(member, score)),
                None => drop(content.zset.remove(&member)),
            }),
            Change::List(spans) if self.plain(key, Kinds::LIST) => self.edit_list(key, &spans),
            Change::List(spans) => {
                self.change_all(key, |content| spans.apply(&mut content.list));
            }
        }
    }

    /// Changes the content of a key in a way that needs all of it.
    fn change_all(&mut self, key: &Key, change: impl FnOnce(&mut Content)) {
        let deadline = self.deadline(key);
        let mut content = self.content(key);
        change(&mut content);
        self.put(key, content, deadline);
    }

    fn put_field(&mut self, key: &Key, field: &[u8], value: Option<&[u8]>) {
        let mut keys = self.keys(key.db);
        let found = keys.key(&key.name);
        if let Some(value) = value {
            if let Ok(mut hash) = keys.edit_or_create_hash(found) {
                hash.set(field, value);
            }
        } else if let Ok(Some(mut hash)) = keys.edit_hash(found) {
            hash.remove(field);
        }
    }

    fn put_member(&mut self, key: &Key, member: &[u8], is_in: bool) {
        let mut keys = self.keys(key.db);
        let found = keys.key(&key.name);
        if is_in {
            if let Ok(mut set) = keys.edit_or_create_set(found) {
                set.add(member);
            }
        } else if let Ok(Some(mut set)) = keys.edit_set(found) {
            set.remove(member);
        }
    }

    pub(super) fn put_score(&mut self, key: &Key, member: &[u8], score: Score) {
        let shown = score.shown();
        self.store.shadow.forget_score(key, member);
        if (score.by_a, score.by_b) != (0.0, 0.0) {
            let scores = self.store.shadow.scores.get_or_default(key);
            scores.insert(member.into(), score);
        }
        let mut keys = self.keys(key.db);
        let found = keys.key(&key.name);
        if let Ok(mut zset) = keys.edit_or_create_zset(found) {
            zset.insert(member, shown);
        }
    }

    fn remove_score(&mut self, key: &Key, member: &[u8]) {
        self.store.shadow.forget_score(key, member);
        let mut keys = self.keys(key.db);
        let found = keys.key(&key.name);
        if let Ok(Some(mut zset)) = keys.edit_zset(found) {
            zset.remove(member);
        }
    }

    fn edit_list(&mut self, key: &Key, spans: &Spans) {
        let mut keys = self.keys(key.db);
        let found = keys.key(&key.name);
        if let Ok(mut list) = keys.edit_or_create_list(found) {
            list.carry_out(spans);
        }
    }
}
