//! Keeps the last address while there is no primary.
//!
//! A client that is told "nobody" gives up (Jedis refuses to start); one that is told the last address,
//! flagged as down, tries again.

use crate::SentinelView;

/// The name that every client's example configuration uses.
const USUAL_NAME: &str = "mymaster";

/// What to show: `new`, with what it leaves open taken from `shown`.
pub(crate) fn remembered(shown: &SentinelView, mut new: SentinelView) -> SentinelView {
    for master in &mut new.masters {
        let last = shown.masters.iter().find(|last| last.name == master.name);
        let last = last.and_then(|last| last.primary.clone());
        master.down |= master.primary.is_none();
        if master.down && last.is_some() {
            // Never announce early: a new address is shown once it is up.
            master.primary = last;
        }
        // The same place is not listed in both roles.
        if let Some(primary) = &master.primary {
            master.replicas.retain(|replica| !replica.addr.is_at(primary));
        }
    }
    let taken = new.named().any(|(name, _)| name == USUAL_NAME);
    if let ([only], false) = (new.masters.as_mut_slice(), taken) {
        only.aliases.push(USUAL_NAME.to_owned());
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Addr, MasterView};

    fn view(primary: Option<u16>, down: bool) -> SentinelView {
        let addr = |port| Addr { ip: "10.0.0.1".into(), port, runid: "r".into() };
        let master = MasterView {
            name: "shop".into(),
            primary: primary.map(addr),
            down,
            ..MasterView::default()
        };
        SentinelView { masters: vec![master], me: Addr::default() }
    }

    fn shown(view: &SentinelView) -> (Option<u16>, bool) {
        let master = &view.masters[0];
        (master.primary.as_ref().map(|addr| addr.port), master.down)
    }

    #[test]
    fn the_last_address_stays_and_a_new_one_is_shown_once_it_is_up() {
        let first = remembered(&SentinelView::default(), view(Some(1), false));
        assert_eq!(shown(&first), (Some(1), false));
        let none = remembered(&first, view(None, false));
        assert_eq!(shown(&none), (Some(1), true));
        let early = remembered(&none, view(Some(2), true));
        assert_eq!(shown(&early), (Some(1), true));
        let up = remembered(&early, view(Some(2), false));
        assert_eq!(shown(&up), (Some(2), false));
    }

    #[test]
    fn a_port_for_one_pair_answers_to_mymaster_and_one_for_two_does_not() {
        let one = remembered(&SentinelView::default(), view(Some(1), false));
        assert!(one.find(b"mymaster").is_some());
        let mut two = view(Some(1), false);
        two.masters.push(MasterView { name: "other".into(), ..MasterView::default() });
        assert!(remembered(&SentinelView::default(), two).find(b"mymaster").is_none());
    }
}
