//! What must happen in long enough runs of pairs without a third party, or they prove nothing.

use tandem_sim::Tally;

/// Something that must happen, and how often it did.
pub(crate) type Goal = (&'static str, fn(&Tally) -> u64);

/// What happens in long enough runs of any pair without a third party.
const GOALS: [Goal; 19] = [
    ("take-overs on proof", |it| it.take_overs),
    ("take-overs without proof", |it| it.unproven),
    ("death certificates", |it| it.certificates),
    ("fence commands", |it| it.fences),
    ("alone by a certificate", |it| it.alone_certified),
    ("alone by the fence", |it| it.alone_fenced),
    ("alone on silence", |it| it.alone_silence),
    ("hand-overs", |it| it.handovers),
    ("returns", |it| it.returns),
    ("grows", |it| it.grows),
    ("resignations", |it| it.resigned),
    ("isolated demotions", |it| it.isolated),
    ("demotions by a later epoch", |it| it.overtaken),
    ("lost disks", |it| it.wipes),
    ("disks that went back", |it| it.rewinds),
    ("nodes that noticed that they had gone back", |it| it.rewinds_noticed),
    ("damaged logs", |it| it.rots),
    ("logs cut back", |it| it.cuts),
    ("acknowledged writes that are only saved", |it| it.saved),
];

/// What should have happened and never did.
pub(crate) fn missing(tally: &Tally, more: &[Goal]) -> Vec<&'static str> {
    let never = GOALS.iter().chain(more).filter(|(_, count)| count(tally) == 0);
    never.map(|(what, _)| *what).collect()
}
