//! Places on Earth, as scores of a sorted set: 26 bits of each coordinate, in turn.
//!
//! The same numbers as in Redis, so that scores and distances are the same to the last digit.
//! <https://redis.io/docs/latest/commands/geoadd/#how-does-it-work>

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

/// Bits of each coordinate.
pub(super) const BITS: u32 = 26;
pub(super) const LONGITUDE_MAX: f64 = 180.0;
/// What a square map of the world shows (EPSG:3857).
pub(super) const LATITUDE_MAX: f64 = 85.051_128_78;

/// As Redis has it.
pub(super) const EARTH_RADIUS_METERS: f64 = 6_372_797.560_856;

impl Position {
    /// True if a score can stand for it.
    pub(super) fn is_on_map(self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }

    /// The score that stands for it.
    pub(super) fn score(self) -> f64 {
        number(self.cell(LATITUDE_MAX))
    }

    /// The middle of the cell that a score stands for.
    pub(super) fn of_score(score: f64) -> Self {
        let bits = whole(score);
        let middle = |bits: u64, max: f64| {
            let side = number(1 << BITS);
            let place = number(squeeze(bits));
            let (low, high) = (place / side, (place + 1.0) / side);
            let (low, high) = (-max + low * (2.0 * max), -max + high * (2.0 * max));
            f64::midpoint(low, high).clamp(-max, max)
        };
        Self { longitude: middle(bits >> 1, LONGITUDE_MAX), latitude: middle(bits, LATITUDE_MAX) }
    }

    /// Eleven characters of the geohash that others use, of which the last is always `0`.
    pub(super) fn geohash(self) -> [u8; 11] {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = self.cell(90.0);
        let mut text = [b'0'; 11];
        for (nth, place) in text.iter_mut().take(10).enumerate() {
            let index = (bits >> (47 - 5 * nth)) & 31;
            *place = ALPHABET[usize::try_from(index).unwrap_or(0)];
        }
        text
    }

    /// Both coordinates' bits in turn, latitude first, from a map up to a latitude.
    fn cell(self, latitude_max: f64) -> u64 {
        let place = |at: f64, max: f64| whole((at + max) / (2.0 * max) * number(1 << BITS));
        spread(place(self.latitude, latitude_max))
            | (spread(place(self.longitude, LONGITUDE_MAX)) << 1)
    }

    /// Meters between two places on a sphere (haversine).
    pub(super) fn distance(self, other: Self) -> f64 {
        let v = ((other.longitude.to_radians() - self.longitude.to_radians()) / 2.0).sin();
        if v == 0.0 {
            return self.latitude_distance(other);
        }
        let (from, to) = (self.latitude.to_radians(), other.latitude.to_radians());
        let u = ((to - from) / 2.0).sin();
        let a = u * u + from.cos() * to.cos() * v * v;
        2.0 * EARTH_RADIUS_METERS * a.sqrt().asin()
    }

    /// Meters between the parallels of two places.
    pub(super) fn latitude_distance(self, other: Self) -> f64 {
        EARTH_RADIUS_METERS * (other.latitude.to_radians() - self.latitude.to_radians()).abs()
    }
}

/// The whole number below one that is not negative and below 2^63.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
const fn whole(number: f64) -> u64 {
    number as u64
}

/// A number of at most 53 bits.
#[expect(clippy::cast_precision_loss, reason = "at most 53 bits")]
pub(super) const fn number(whole: u64) -> f64 {
    whole as f64
}

/// Puts a zero between the bits of a number of 32.
fn spread(bits: u64) -> u64 {
    let mut bits = bits & 0xffff_ffff;
    for (shift, mask) in MASKS {
        bits = (bits | (bits << shift)) & mask;
    }
    bits
}

/// Takes every second bit.
fn squeeze(bits: u64) -> u64 {
    let mut bits = bits & MASKS[4].1;
    for at in (0..MASKS.len()).rev() {
        let mask = if at == 0 { 0x0000_0000_ffff_ffff } else { MASKS[at - 1].1 };
        bits = (bits | (bits >> MASKS[at].0)) & mask;
    }
    bits
}

const MASKS: [(u32, u64); 5] = [
    (16, 0x0000_ffff_0000_ffff),
    (8, 0x00ff_00ff_00ff_00ff),
    (4, 0x0f0f_0f0f_0f0f_0f0f),
    (2, 0x3333_3333_3333_3333),
    (1, 0x5555_5555_5555_5555),
];

#[cfg(test)]
mod tests {
    use super::*;

    const PALERMO: Position = Position { longitude: 13.361_389, latitude: 38.115_556 };
    const CATANIA: Position = Position { longitude: 15.087_269, latitude: 37.502_669 };

    #[test]
    fn scores_hashes_and_distances_are_those_of_redis() {
        assert!((PALERMO.score() - 3_479_099_956_230_698.0).abs() < 0.5);
        assert!((CATANIA.score() - 3_479_447_370_796_909.0).abs() < 0.5);
        let (palermo, catania) =
            (Position::of_score(PALERMO.score()), Position::of_score(CATANIA.score()));
        assert_eq!(format!("{:.4}", palermo.distance(catania)), "166274.1516");
        assert_eq!(palermo.geohash(), *b"sqc8b49rny0");
        assert_eq!(catania.geohash(), *b"sqdtr74hyu0");
    }

    #[test]
    fn spread_bits_come_together_again() {
        for bits in [0, 1, 0x3ff_ffff, 0xffff_ffff, 0x1234_5678] {
            assert_eq!(squeeze(spread(bits)), bits);
            assert_eq!(spread(bits) & !MASKS[4].1, 0);
        }
    }
}
