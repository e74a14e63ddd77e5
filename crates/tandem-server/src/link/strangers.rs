//! How often connections that prove nothing are told of: a scanner must not fill the log.

use std::collections::BTreeMap;
use std::time::Duration;

use tandem_types::Monotonic;

/// The same is not said again before this.
const AGAIN_AFTER: Duration = Duration::from_mins(10);
/// Different things that are said in that time; whoever has many addresses is not listed whole.
const TEXTS_MAX: usize = 8;

/// What was said of strangers lately.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    said: BTreeMap<String, Monotonic>,
}

impl Strangers {
    /// Whether it is worth a line.
    pub(super) fn may_say(&mut self, now: Monotonic, text: &str) -> bool {
        self.said.retain(|_, &mut at| now < at.plus(AGAIN_AFTER));
        if self.said.len() >= TEXTS_MAX || self.said.contains_key(text) {
            return false;
        }
        self.said.insert(text.to_owned(), now);
        true
    }

    /// Whether something was said lately that holds this word.
    #[cfg(test)]
    pub(super) fn said_of(&self, word: &str) -> bool {
        self.said.keys().any(|text| text.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_in_a_while_and_not_for_every_address() {
        let mut strangers = Strangers::default();
        let at = Monotonic::from_millis;
        assert!(strangers.may_say(at(0), "10.0.0.1: garbage"));
        assert!(!strangers.may_say(at(800), "10.0.0.1: garbage"));
        let said = (2..100).filter(|host| strangers.may_say(at(900), &format!("10.0.0.{host}")));
        assert_eq!(said.count(), TEXTS_MAX - 1);
        assert!(strangers.may_say(at(600_000), "10.0.0.1: garbage"), "ten minutes later");
    }
}
