//! What attention ranks read in an iteration where prompts begin with iterations, as they do when answers that end make room for
//! them.
//!
//! κ prompts on average begin on each rank in an iteration, which reads no more than c of them (in mean prompts): what is over is
//! read in those that follow. A rank reads as much as it may with chance h, the last of its work with chance l. It goes on to read
//! unless it read the last and no prompt begins, `1 − h − l = e^(−κ)(1 − h)`, and all that comes is read, `κ = h·c + l·v`, so that
//! `h = (κ − (1 − e^(−κ))v)/(c − (1 − e^(−κ))v)`. The work that begins with an iteration is compound Poisson, taken as gamma
//! distributed with its mean and variance where there is any; a last part that is left of work longer than c is taken as even
//! between 0 and c. Ranks are taken as independent; the longest of N reads more than x with chance `1 − (1 − P(X > x))^N`. Against
//! such ranks drawn at random the mean of the longest is within 8 %.

use std::sync::OnceLock;

use super::queue::{exceeded, gamma_quantile};

/// Points of a distribution.
const POINTS: usize = 16;

/// What all ranks together read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Share of the iterations in which any rank reads.
    pub share: f64,
    /// What the rank with most reads in one of those, in mean prompts: mean and variance.
    pub fullest: f64,
    pub variance: f64,
    /// Of the iterations in which any rank reads, those after which one goes on, whatever comes; chance that one of the others does.
    pub goes_on: f64,
    pub others: f64,
    /// What the rank with most reads where none goes on, in mean prompts.
    pub last: f64,
}

/// Normal quantiles from −3 to 4.5, with the chance that each is exceeded.
fn nodes() -> &'static [(f64, f64); POINTS] {
    static NODES: OnceLock<[(f64, f64); POINTS]> = OnceLock::new();
    NODES.get_or_init(|| {
        core::array::from_fn(|at| {
            let z = -3.0 + 0.5 * at as f64;
            (z, exceeded(z))
        })
    })
}

/// `base` to the power of a whole `count`, by squares.
fn power(base: f64, count: f64) -> f64 {
    let (mut out, mut square, mut left) = (1.0, base, count as u32);
    while left > 0 {
        if left % 2 == 1 {
            out *= square;
        }
        square *= square;
        left /= 2;
    }
    out
}

impl Reading {
    /// Of `count` ranks on each of which `begin` prompts begin in an iteration that reads no more than `most` of the mean length, their
    /// lengths of squared coefficient of variation `scv`. Of what would fall on one rank together by chance, a share `together` does.
    pub fn new(count: f64, begin: f64, most: f64, (scv, together): (f64, f64)) -> Self {
        if begin >= most {
            return Self { share: 1.0, fullest: most, variance: 0.0, goes_on: 1.0, others: 1.0, last: most };
        }
        // What begins with an iteration, if anything does.
        let chance = -libm::expm1(-begin);
        let apart = 1.0 - together;
        let any = chance + apart * (begin.min(1.0) - chance);
        let mean = begin / any;
        let pairs = begin * (begin - apart * begin.min(1.0));
        let spread = ((begin * (1.0 + scv) + pairs) / (any * mean * mean) - 1.0).max(LEAST_SPREAD);
        let root = libm::sqrt(spread);
        let at_most = (libm::cbrt(most / mean) - 1.0 + spread / 9.0) * 3.0 / root;
        let over = exceeded(at_most);
        let mut points = [(most, over); POINTS + 1];
        let mut filled = 0;
        for (point, &(z, chance)) in points.iter_mut().zip(nodes()) {
            if z >= at_most {
                break;
            }
            *point = (gamma_quantile(mean, (spread, root), z), chance);
            filled += 1;
        }
        let points = points.get(..=filled).unwrap_or_default();
        let within = integral(points, 1.0, |_, chance| chance).0;
        let last = any * (within - 0.5 * over * most);
        let full = ((begin - last) / (most - last)).max(0.0);
        let ends = any * (1.0 - full);
        let longest = |x: f64, chance: f64| {
            let more = full + ends * (chance - over * x / most);
            1.0 - power((1.0 - more).max(0.0), count)
        };
        let share = longest(0.0, 1.0);
        let (first, second) = integral(points, 1.0, longest);
        let fullest = first / share;
        let variance = (second / share - fullest * fullest).max(0.0);
        if full * count < SELDOM {
            return Self { share, fullest, variance, goes_on: 0.0, others: 0.0, last: fullest };
        }
        let none = power(1.0 - full, count);
        let ended = |x: f64, chance: f64| {
            let more = any * (chance - over * x / most);
            1.0 - power((1.0 - more).max(0.0), count)
        };
        let last = integral(points, 1.0, ended).0 / ended(0.0, 1.0);
        Self {
            share,
            fullest,
            variance,
            goes_on: (1.0 - none) / share,
            others: 1.0 - none / (1.0 - full),
            last,
        }
    }
}

/// Chance that a rank goes on below which none does.
const SELDOM: f64 = 1e-4;
/// Spread of lengths below which they are taken as alike.
const LEAST_SPREAD: f64 = 1e-4;

/// First and second moment of what exceeds x with a chance that is a function of x and of the chance that gamma distributed work
/// does, given at `points`; `at_zero` at 0.
fn integral(points: &[(f64, f64)], at_zero: f64, of: impl Fn(f64, f64) -> f64) -> (f64, f64) {
    let Some(&(x, chance)) = points.first() else { return (0.0, 0.0) };
    // By Simpson's rule up to the first point, where least is known of the shape, then by trapezoids.
    let (middle, mut last) = (of(0.5 * x, 0.5 * (at_zero + chance)), (x, of(x, chance)));
    let mut first = x / 6.0 * (of(0.0, at_zero) + 4.0 * middle + last.1);
    let mut second = x * x / 3.0 * (2.0 * middle + last.1);
    for &(x, chance) in points.get(1..).unwrap_or_default() {
        let next = (x, of(x, chance));
        let area = 0.5 * (next.1 + last.1) * (next.0 - last.0);
        first += area;
        second += area * (next.0 + last.0);
        last = next;
    }
    (first, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_of_few_and_many() {
        // One rank reads what begins.
        for (begin, most, scv) in [(0.01, 8.0, 0.5), (0.1, 0.25, 1.0), (0.3, 1.5, 0.0), (3.0, 8.0, 2.0)] {
            let one = Reading::new(1.0, begin, most, (scv, 1.0));
            let read = one.share * one.fullest;
            assert!((read / begin - 1.0).abs() < 0.03, "{begin} {most} {scv}: {one:?}");
        }
        // Prompts of three iterations, seldom: each rank reads by itself.
        let few = Reading::new(8.0, 1e-4, 0.4, (0.0, 1.0));
        assert!((few.share / 24e-4 - 1.0).abs() < 0.01 && (few.fullest * 3.0 - 1.0).abs() < 0.01, "{few:?}");
        assert!((few.goes_on * 1.5 - 1.0).abs() < 0.01 && (few.last / 0.2 - 1.0).abs() < 0.01, "{few:?}");
        // Of many ranks one always reads as much as it may.
        let many = Reading::new(64.0, 0.4, 1.0, (0.5, 1.0));
        assert!(many.share > 0.999 && many.fullest > 0.99 && many.variance < 0.001, "{many:?}");
        // All full.
        let full = Reading::new(8.0, 2.0, 2.0, (0.5, 1.0));
        assert_eq!((full.share, full.fullest, full.variance), (1.0, 2.0, 0.0));
    }
}
