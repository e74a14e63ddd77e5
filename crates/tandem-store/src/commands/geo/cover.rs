//! Which scores a search must look at: few ranges that hold every place in a shape, and not much more.
//!
//! A score's bits halve the map again and again, so a cell of any size is a range of scores. Cells that the
//! shape's box touches are divided until they are small beside it.

use std::ops::Range;

use super::position::{BITS, EARTH_RADIUS_METERS, LATITUDE_MAX, LONGITUDE_MAX, Position, number};

/// What is searched for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Within so many meters.
    Circle { radius: f64 },
    /// Within a box of so many meters.
    Rectangle { width: f64, height: f64 },
}

impl Shape {
    /// How far a place is from the middle, if it is in the shape.
    pub(super) fn holds(self, middle: Position, place: Position) -> Option<f64> {
        match self {
            Self::Circle { radius } => {
                Some(middle.distance(place)).filter(|distance| *distance <= radius)
            }
            Self::Rectangle { width, height } => {
                // The width is measured where the place is.
                let beside = Position { longitude: middle.longitude, latitude: place.latitude };
                let is_in = middle.latitude_distance(place) <= height / 2.0
                    && place.distance(beside) <= width / 2.0;
                is_in.then(|| middle.distance(place))
            }
        }
    }

    /// Meters that it reaches to the north, and to the east.
    const fn reach(self) -> (f64, f64) {
        match self {
            Self::Circle { radius } => (radius, radius),
            Self::Rectangle { width, height } => (height / 2.0, width / 2.0),
        }
    }
}

/// Degrees from one to another.
type Span = (f64, f64);

/// A box around a shape; across the date line it is two.
struct Bounds {
    latitudes: Span,
    longitudes: Vec<Span>,
}

impl Bounds {
    fn around(middle: Position, shape: Shape) -> Self {
        /// What sums of floats may have lost.
        const MARGIN: f64 = 1e-9;
        let (north, east) = shape.reach();
        let up = (north / EARTH_RADIUS_METERS).to_degrees() + MARGIN;
        let latitudes = (middle.latitude - up, middle.latitude + up);
        // Meridians are closest where the shape is closest to a pole.
        let steepest = latitudes.0.abs().max(latitudes.1.abs());
        let half = (east / EARTH_RADIUS_METERS / 2.0).min(std::f64::consts::FRAC_PI_2).sin();
        let half = half / steepest.to_radians().cos();
        let whole = (-LONGITUDE_MAX, LONGITUDE_MAX);
        if steepest >= 90.0 || half >= 1.0 {
            return Self { latitudes, longitudes: vec![whole] };
        }
        let across = (2.0 * half.asin()).to_degrees() + MARGIN;
        let (west, east) = (middle.longitude - across, middle.longitude + across);
        let longitudes = if across >= LONGITUDE_MAX {
            vec![whole]
        } else if west < -LONGITUDE_MAX {
            vec![(-LONGITUDE_MAX, east), (west + 360.0, LONGITUDE_MAX)]
        } else if east > LONGITUDE_MAX {
            vec![(west, LONGITUDE_MAX), (-LONGITUDE_MAX, east - 360.0)]
        } else {
            vec![(west, east)]
        };
        Self { latitudes, longitudes }
    }

    fn touches(&self, cell: &Cell) -> bool {
        let meets = |one: Span, other: Span| one.0 <= other.1 && other.0 <= one.1;
        meets(self.latitudes, cell.latitudes)
            && self.longitudes.iter().any(|span| meets(*span, cell.longitudes))
    }

    fn is_large_beside(&self, cell: &Cell) -> bool {
        const TIMES: f64 = 4.0;
        let size = |span: Span| span.1 - span.0;
        let width: f64 = self.longitudes.iter().map(|span| size(*span)).sum();
        size(cell.latitudes) * TIMES <= size(self.latitudes)
            || size(cell.longitudes) * TIMES <= width
    }
}

/// A part of the map, and the first bits of all scores in it.
struct Cell {
    bits: u64,
    depth: u32,
    latitudes: Span,
    longitudes: Span,
}

impl Cell {
    const WORLD: Self = Self {
        bits: 0,
        depth: 0,
        latitudes: (-LATITUDE_MAX, LATITUDE_MAX),
        longitudes: (-LONGITUDE_MAX, LONGITUDE_MAX),
    };

    /// Its quarters, in the order of their scores.
    fn quarters(&self) -> [Self; 4] {
        let half = |span: Span, upper: bool| {
            let middle = f64::midpoint(span.0, span.1);
            if upper { (middle, span.1) } else { (span.0, middle) }
        };
        [(false, false), (false, true), (true, false), (true, true)].map(|(east, north)| Self {
            bits: (self.bits << 2) | (u64::from(east) << 1) | u64::from(north),
            depth: self.depth + 1,
            latitudes: half(self.latitudes, north),
            longitudes: half(self.longitudes, east),
        })
    }

    const fn scores(&self) -> Range<u64> {
        let rest = 2 * (BITS - self.depth);
        self.bits << rest..(self.bits + 1) << rest
    }
}

/// Ranges of scores that hold every place in the shape, apart from one another: the one of the middle first, so that
/// a search for any few places finds near ones, then in order.
pub(super) fn cover(middle: Position, shape: Shape) -> Vec<Range<u64>> {
    let bounds = Bounds::around(middle, shape);
    let mut ranges = Vec::new();
    divide(&Cell::WORLD, &bounds, &mut ranges);
    let here = middle.score();
    let is_here = |range: &Range<u64>| number(range.start) <= here && here < number(range.end);
    ranges.sort_by_key(|range| !is_here(range));
    ranges
}

fn divide(cell: &Cell, bounds: &Bounds, ranges: &mut Vec<Range<u64>>) {
    if !bounds.touches(cell) {
        return;
    }
    if cell.depth < BITS && !bounds.is_large_beside(cell) {
        for quarter in cell.quarters() {
            divide(&quarter, bounds, ranges);
        }
        return;
    }
    let scores = cell.scores();
    match ranges.last_mut() {
        Some(last) if last.end == scores.start => last.end = scores.end,
        _ => ranges.push(scores),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn any(random: &Random, max: f64) -> f64 {
        (number(random.below(1 << 30) as u64) / number(1 << 29) - 1.0) * max
    }

    #[test]
    fn every_place_in_a_shape_is_covered_by_few_ranges() {
        let random = Random::new(3);
        for _ in 0..400 {
            let middle = Position {
                longitude: any(&random, LONGITUDE_MAX),
                latitude: any(&random, LATITUDE_MAX),
            };
            let size = 10f64.powf(any(&random, 4.0) + 3.0);
            let shape = if random.below(2) == 0 {
                Shape::Circle { radius: size }
            } else {
                Shape::Rectangle { width: size, height: size * 10f64.powf(any(&random, 2.0)) }
            };
            let ranges = cover(middle, shape);
            assert!(ranges.len() <= 64, "{} ranges for {shape:?} at {middle:?}", ranges.len());
            for _ in 0..200 {
                // Many close to the middle, some anywhere.
                let near = 10f64.powf(any(&random, 4.0) - 2.0);
                let place = Position {
                    longitude: (middle.longitude + any(&random, near) + 540.0).rem_euclid(360.0)
                        - 180.0,
                    latitude: (middle.latitude + any(&random, near))
                        .clamp(-LATITUDE_MAX + 1e-6, LATITUDE_MAX - 1e-6),
                };
                let kept = Position::of_score(place.score());
                let score = place.score();
                let is_covered = ranges
                    .iter()
                    .any(|range| number(range.start) <= score && score < number(range.end));
                assert!(
                    is_covered || shape.holds(middle, kept).is_none(),
                    "{place:?} is in {shape:?} at {middle:?}, which {ranges:?} do not cover"
                );
            }
        }
    }

    #[test]
    fn a_search_for_nothing_looks_at_one_cell() {
        let here = Position { longitude: 1.0, latitude: 2.0 };
        let ranges = cover(here, Shape::Circle { radius: 0.0 });
        let width: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        assert!(width <= 4, "{ranges:?}");
        let score = here.score();
        assert!(ranges.iter().any(|it| number(it.start) <= score && score < number(it.end)));
    }
}
