//! What applying does with each key of a unit: what is safe, and what a person has decided.

use tandem_admin::{ApplyBody, RefusedView, Take};
use tandem_store::{Effect, Located};
use tandem_types::{DbIndex, WallMillis};

use crate::conflicts::{Class, KeyOf, SavedFile, Unit, unescape};

/// How saved writes are applied.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum How {
    /// What nobody can object to.
    #[default]
    Safe,
    /// What conflicts takes the lost value, by a person's word.
    Force,
    /// Only the unit of this key, and the key as a person says.
    Key(KeyOf, Take),
}

/// What is done with one key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Act {
    /// It holds what it should.
    Nothing,
    /// The saved effects, exactly.
    Write,
    /// The saved additions.
    Merge,
    /// The lost value replaces what is there.
    Take,
    /// It stays as it is, by a person's word.
    Leave,
    /// It waits for a person.
    Keep,
}

impl Act {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Write => "write",
            Self::Merge => "merge",
            Self::Take => "take",
            Self::Leave => "leave",
            Self::Keep => "keep",
        }
    }
}

impl How {
    /// What a person asks for; refused if it is half a wish.
    pub(super) fn of(body: &ApplyBody) -> Result<Self, RefusedView> {
        let refused = |why: &str, todo: &str| RefusedView {
            what: "nothing was done".into(),
            why: why.into(),
            todo: todo.into(),
            ..RefusedView::default()
        };
        match (&body.key, body.take, body.force) {
            (None, None, false) => Ok(Self::Safe),
            (None, None, true) => Ok(Self::Force),
            (Some(key), Some(take), false) => {
                let place = DbIndex::new(body.db).zip(unescape(key));
                let why = "this is no key as `tandem conflicts diff` writes it";
                let place = place.ok_or_else(|| refused(why, "copy it from there"))?;
                Ok(Self::Key(place, take))
            }
            (Some(_), _, true) => {
                Err(refused("one key and all keys at once", "say a key, or force"))
            }
            (Some(_), None, _) => {
                let todo = "say take lost, or take current";
                Err(refused("it is not said what the key shall hold", todo))
            }
            (None, Some(_), _) => {
                Err(refused("it is not said which key", "say the key, or force without take"))
            }
        }
    }

    /// Whether the unit is decided on at all.
    fn concerns(&self, unit: &Unit) -> bool {
        match self {
            Self::Safe | Self::Force => true,
            Self::Key(key, _) => unit.keys.contains(key),
        }
    }

    /// Whether any unit of the file is meant.
    pub(super) fn concerns_any(&self, units: &[Unit]) -> bool {
        matches!(self, Self::Safe | Self::Force) || units.iter().any(|unit| self.concerns(unit))
    }

    /// What is done with each key of a unit: all of it, or nothing of it.
    pub(super) fn acts(&self, unit: &Unit, classes: &[Class], file: &SavedFile) -> Vec<Act> {
        let all = |act: Act| vec![act; unit.keys.len()];
        if !self.concerns(unit) {
            let same = classes.iter().all(|class| *class == Class::Identical);
            return all(if same { Act::Nothing } else { Act::Keep });
        }
        if matches!(self, Self::Key(_, Take::Current)) {
            return all(Act::Leave);
        }
        let by_force = |key: &KeyOf, class: Class| match self {
            Self::Safe => false,
            Self::Force => class == Class::Conflict,
            // What is bound to it comes along, and may be in conflict too.
            Self::Key(named, _) => {
                class == Class::Conflict || (named == key && class != Class::Identical)
            }
        };
        let act = |(key, class): (&KeyOf, &Class)| match class {
            class if by_force(key, *class) => {
                if is_known_whole(file, key) {
                    Act::Take
                } else {
                    Act::Keep
                }
            }
            Class::Identical => Act::Nothing,
            Class::Untouched => Act::Write,
            Class::Mergeable => Act::Merge,
            Class::Conflict => Act::Keep,
        };
        let acts: Vec<Act> = unit.keys.iter().zip(classes).map(act).collect();
        if acts.contains(&Act::Keep) { all(Act::Keep) } else { acts }
    }
}

/// Whether the file says all of what the key held at the end of the saved records.
fn is_known_whole(file: &SavedFile, key: &KeyOf) -> bool {
    file.images.get(key).is_some_and(|images| images.lost.is_none() || images.whole.is_some())
}

/// The effect that gives a key its lost value; nothing, if that has expired meanwhile.
pub(super) fn taking<'f>(file: &'f SavedFile, key: &'f KeyOf, now: WallMillis) -> Located<'f> {
    let images = file.images.get(key);
    let deadline = images.and_then(|it| it.lost.as_ref()).and_then(|lost| lost.deadline);
    let lives = deadline.is_none_or(|at| at > now);
    let whole = images.and_then(|it| it.whole.as_deref()).filter(|_| lives);
    let effect = whole.map_or(Effect::Del, |value| Effect::Restore { value, deadline });
    Located { db: key.0, key: &key.1, effect }
}
