//! Notices a change of primary and says what it cost, measured by the load.

use std::time::{Duration, Instant};

use tandem_admin::StatusView;

use crate::probe::Load;

/// Writes that are acknowledged again for so long go on.
const SETTLED: Duration = Duration::from_millis(500);
/// Nothing acknowledged for so long is a pause.
const PAUSE: Duration = Duration::from_millis(100);

/// What is known of the primary.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    known: Option<(String, u64)>,
    change: Option<Change>,
}

#[derive(Debug)]
struct Change {
    from: Option<String>,
    to: String,
    cause: String,
    /// Since when writes go on.
    flowing: Option<Instant>,
}

impl Watch {
    /// Looks at the primary's status, if there is one; a line for people once a change is over.
    pub(crate) fn look(
        &mut self,
        primary: Option<&StatusView>,
        load: Option<&Load>,
    ) -> Option<String> {
        if let Some(status) = primary {
            self.compare(status);
        }
        let flows = load.is_none_or(|load| load.silent_for() < PAUSE);
        let Some(change) = &mut self.change else {
            if let (Some(load), Some(_), true) = (load, primary, flows) {
                load.forget_gaps();
            }
            return None;
        };
        if !flows {
            change.flowing = None;
            return None;
        }
        let since = *change.flowing.get_or_insert_with(Instant::now);
        if since.elapsed() < SETTLED {
            return None;
        }
        let change = self.change.take()?;
        let cost = load.map_or(String::new(), |load| {
            let millis = load.longest_gap().as_millis();
            format!(": {millis} ms without writes, {} acknowledged writes lost", load.lost())
        });
        let from = change.from.as_deref().unwrap_or("nobody");
        Some(format!("the primary moved {from} -> {} ({}){cost}", change.to, change.cause))
    }

    fn compare(&mut self, status: &StatusView) {
        let known = self.known.as_ref().map(|(_, epoch)| *epoch);
        if known.is_some_and(|epoch| epoch >= status.epoch) {
            return;
        }
        let before = self.known.replace((status.node.clone(), status.epoch));
        // The first one that is seen is no change.
        let Some((from, _)) = before else { return };
        let cause = status
            .last_switch
            .as_ref()
            .filter(|switch| switch.epoch == status.epoch)
            .map_or_else(|| format!("epoch {}", status.epoch), |switch| switch.cause.clone());
        self.change =
            Some(Change { from: Some(from), to: status.node.clone(), cause, flowing: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_the_first_primary_is_none() {
        let status = |node: &str, epoch| StatusView {
            node: node.to_owned(),
            epoch,
            ..StatusView::default()
        };
        let mut watch = Watch::default();
        assert_eq!(watch.look(Some(&status("a", 1)), None), None);
        assert_eq!(watch.look(None, None), None);
        assert_eq!(watch.look(Some(&status("b", 2)), None), None, "it must settle first");
        std::thread::sleep(SETTLED);
        let told = watch.look(Some(&status("b", 2)), None).unwrap();
        assert!(told.contains("a -> b"), "{told}");
        assert_eq!(watch.look(Some(&status("a", 1)), None), None, "an old status is no change");
        assert_eq!(watch.look(Some(&status("b", 2)), None), None);
    }
}
