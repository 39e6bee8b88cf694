//! Times to first token of GPUs that only read prompts, under random arrivals.

use super::{Cumulants, MOST_USED, ROUNDS, Shape, by_length, moments_of_squares, to_the_next};
use crate::inference::Percentiles;
use crate::inference::stream::{Stream, Z95};

/// Times to first token of a stream that only reads prompts, first come, first served, `rate` of them a second. The mean prompt
/// takes `alone` seconds where nothing else is read, and `places` of them fill an iteration; `packed` gives the seconds that a
/// prompt takes of a stream with more to read than it can, by its length.
///
/// An iteration reads what came during the one before, or the next prompt that comes: it takes what is fixed and what each
/// prompt adds ([`read_together`]). Where more come than it may read, each takes its share of full iterations in turn
/// ([`read_in_turn`]). Either leaves out what the other counts, and little is missing of the longer of the two waits: their
/// 8-norm is taken, a smooth larger of the two, chosen on the cells of `tests/inference_simulate_pools.rs`.
pub(in crate::inference) fn first_tokens(
    stream: &Stream<'_>,
    (rate, most_rate): (f64, f64),
    (alone, places): (f64, f64),
    packed: impl Fn(f64) -> f64,
) -> Percentiles {
    let (length, scv) = (stream.input, stream.spread.0);
    let each = packed(length);
    let (first, second) = by_length((length, scv), each, &packed);
    let in_turn = moments_of_squares(first, second, length, scv);
    let used = (rate / most_rate).min(MOST_USED);
    // Of arrivals: so that the queue is as full as the rate that it sustains says.
    let arrivals = used / in_turn[1];
    // Of the prompts of a full iteration each adds as much to what the first takes.
    let one = alone - stream.request();
    let added = if places > 1.0 { (places * each - one) / (places - 1.0) } else { each };
    let added = added.min(one).max(0.0);
    let share = added / each;
    let together = moments_of_squares(share * first, share * second, length, scv);
    let own = Time::of(&together, None, alone - added);
    let gated = Time::of(&together, Some(&read_together(arrivals, one - added, &together)), own.fixed);
    let queued = Time::of(&in_turn, Some(&read_in_turn(arrivals, used, &in_turn)), alone - each);
    let whole = |of: &dyn Fn(&Time) -> f64| {
        let least = of(&own);
        let eighth = |time: f64| {
            let square = (time - least).max(0.0) * (time - least).max(0.0);
            let fourth = square * square;
            fourth * fourth
        };
        least + libm::sqrt(libm::sqrt(libm::sqrt(eighth(of(&gated)) + eighth(of(&queued)))))
    };
    let at = |z: f64| whole(&|time| time.shape.quantile(z).max(time.fixed));
    Percentiles {
        mean_seconds: whole(&|time| time.shape.mean),
        p50_seconds: at(0.0),
        p90_seconds: at(Z90),
        p95_seconds: at(Z95),
        p99_seconds: at(Z99),
    }
}

/// A prompt's own seconds, what is fixed of them, and its wait.
struct Time {
    shape: Shape,
    fixed: f64,
}

impl Time {
    fn of([_, s1, s2, s3, _]: &[f64; 5], wait: Option<&Cumulants>, fixed: f64) -> Self {
        let own = Cumulants::of(*s1, *s2, *s3);
        let mut whole = wait.map_or(own, |wait| own.plus(wait));
        whole.mean += fixed;
        Self { shape: Shape::of(&whole), fixed }
    }
}

/// The wait of an M/G/1 queue of which a share is `used`, whose moments follow from those of the service (Takács' recursion).
fn read_in_turn(arrivals: f64, used: f64, [_, _, s2, s3, s4]: &[f64; 5]) -> Cumulants {
    let open = arrivals / (1.0 - used);
    let w1 = open * s2 / 2.0;
    let w2 = open * (s2 * w1 + s3 / 3.0);
    let w3 = open * (1.5 * s2 * w2 + s3 * w1 + s4 / 4.0);
    Cumulants::of(w1, w2, w3)
}

/// The wait where an iteration reads all that came during the one before, or where nothing did the next prompt that comes,
/// in `fixed` seconds and those that each adds, of given moments: `T' = a + Σ S`, one S where nothing came.
fn read_together(arrivals: f64, fixed: f64, added: &[f64; 5]) -> Cumulants {
    let [_, a1, a2, a3, a4] = *added;
    let [_, s1, s2, s3, s4] = added.map(|moment| arrivals * moment);
    let s1 = s1.min(MOST_USED);
    let f = fixed;
    let first = |none: f64| (f + none * a1) / (1.0 - s1);
    let second = |t1: f64, none: f64| {
        (f * f + (2.0 * f * s1 + s2) * t1 + none * (2.0 * f * a1 + a2)) / (1.0 - s1 * s1)
    };
    // Chance that nothing comes during an iteration, whose length is taken as gamma distributed.
    let mut none = 1.0;
    for _ in 0..ROUNDS {
        let t1 = first(none);
        let variance = second(t1, none) - t1 * t1;
        let before = none;
        none = if variance > 1e-9 * t1 * t1 {
            let shape = t1 * t1 / variance;
            libm::exp(-shape * libm::log1p(arrivals * t1 / shape))
        } else {
            libm::exp(-arrivals * t1)
        };
        if (none - before).abs() <= 1e-9 {
            break;
        }
    }
    let t1 = first(none);
    let t2 = second(t1, none);
    let y2 = s1 * s1 * t2 + s2 * t1;
    let t3 = (f * f * f
        + 3.0 * f * f * s1 * t1
        + 3.0 * f * y2
        + 3.0 * s1 * s2 * t2
        + s3 * t1
        + none * (3.0 * f * f * a1 + 3.0 * f * a2 + a3))
        / (1.0 - s1 * s1 * s1);
    let y3 = s1 * s1 * s1 * t3 + 3.0 * s1 * s2 * t2 + s3 * t1;
    let t4 = (f * f * f * f
        + 4.0 * f * f * f * s1 * t1
        + 6.0 * f * f * y2
        + 4.0 * f * y3
        + 6.0 * s1 * s1 * s2 * t3
        + (4.0 * s1 * s3 + 3.0 * s2 * s2) * t2
        + s4 * t1
        + none * (4.0 * f * f * f * a1 + 6.0 * f * f * a2 + 4.0 * f * a3 + a4))
        / (1.0 - s1 * s1 * s1 * s1);
    // Share of the requests that come while something is read.
    let busy = arrivals * t1 / (arrivals * t1 + none);
    let [w1, w2, w3] = to_the_next([t2 / t1, t3 / t1, t4 / t1], [s1, s2, s3]).map(|moment| busy * moment);
    Cumulants::of(w1, w2, w3)
}

/// Quantiles of the standard normal distribution at 90 and 99 %.
const Z90: f64 = 1.281_551_565_544_600_4;
const Z99: f64 = 2.326_347_874_040_840_8;
