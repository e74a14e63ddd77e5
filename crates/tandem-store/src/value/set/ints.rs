//! Integers in order, as narrow as the widest of them allows.

/// A sorted set of integers.
#[derive(Clone, Debug)]
pub(super) enum Ints {
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

impl Default for Ints {
    fn default() -> Self {
        Self::I16(Vec::new())
    }
}

/// The same for whichever width it is.
macro_rules! each_width {
    ($ints:expr, $numbers:ident => $result:expr) => {
        match $ints {
            Ints::I16($numbers) => $result,
            Ints::I32($numbers) => $result,
            Ints::I64($numbers) => $result,
        }
    };
}

impl Ints {
    pub(super) fn len(&self) -> usize {
        each_width!(self, numbers => numbers.len())
    }

    pub(super) fn memory(&self) -> usize {
        each_width!(self, numbers => numbers.capacity() * size_of_val(&numbers[..]) / numbers.len().max(1))
    }

    pub(super) fn nth(&self, number: usize) -> Option<i64> {
        each_width!(self, numbers => numbers.get(number).map(|number| widened(*number)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = i64> {
        (0..self.len()).filter_map(|number| self.nth(number))
    }

    pub(super) fn contains(&self, number: i64) -> bool {
        self.search(number).is_ok()
    }

    /// Adds a number; false if it is in already.
    pub(super) fn insert(&mut self, number: i64) -> bool {
        let Err(place) = self.search(number) else { return false };
        self.widen_for(number);
        match self {
            Self::I16(numbers) => numbers.extend(i16::try_from(number)),
            Self::I32(numbers) => numbers.extend(i32::try_from(number)),
            Self::I64(numbers) => numbers.push(number),
        }
        each_width!(self, numbers => numbers[place..].rotate_right(1));
        true
    }

    /// Removes a number; false if it is not in.
    pub(super) fn remove(&mut self, number: i64) -> bool {
        let Ok(place) = self.search(number) else { return false };
        each_width!(self, numbers => {
            numbers.remove(place);
            if numbers.len() < numbers.capacity() / 4 {
                numbers.shrink_to(numbers.len() * 2);
            }
        });
        true
    }

    fn search(&self, number: i64) -> Result<usize, usize> {
        each_width!(self, numbers => {
            numbers.binary_search_by(|candidate| widened(*candidate).cmp(&number))
        })
    }

    fn widen_for(&mut self, number: i64) {
        let narrow = match self {
            Self::I16(_) => i16::try_from(number).is_ok(),
            Self::I32(_) => i32::try_from(number).is_ok(),
            Self::I64(_) => true,
        };
        if narrow {
            return;
        }
        // A number that does not fit 16 bits may still fit 32; whatever is here already does.
        let middle: Result<Vec<i32>, _> = self.iter().map(i32::try_from).collect();
        *self = match middle {
            Ok(numbers) if i32::try_from(number).is_ok() => Self::I32(numbers),
            _ => Self::I64(self.iter().collect()),
        };
    }
}

/// For code that is written once for all widths.
fn widened(number: impl Into<i64>) -> i64 {
    number.into()
}
