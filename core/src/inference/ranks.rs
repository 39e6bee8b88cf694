//! Attention ranks that meet in every layer of experts, under random arrivals: one that reads a prompt holds up all.
//!
//! An iteration of N ranks takes its decode time D and what the longest reading of any rank adds ([`super::chunks`]). Prompts come to the
//! group as a Poisson process of rate Λ, whatever it does: in a long iteration come more of them.
//!
//! The next iteration depends on the length of this one only. It is taken as a chain of two states, an iteration that reads
//! nothing and one of mean length L. Behind the first one reads with chance `p = 1 − exp(−ΛD)`; behind the second with
//! `q = 1 − (1 − g)·exp(−ΛL₀)`, where in a share g of them a rank goes on with a prompt that is longer than an iteration may read, and the
//! others last L₀. The share of iterations that read is `p/(1 + p − q)`, and as many prompts begin in them as come. Of prompts of many
//! iterations and of many ranks the time without any is that of Erlang's system with as many servers as it needs, `exp(−Λ·E[S])`.

use super::LatencyPercentiles;
use super::chunks::Reading;
use super::queue::{
    Answers, Cumulants, MOST_ELASTIC, MOST_USED, Mixture, POINTS, Queued, SELDOM, Shape, by_length,
    gamma_quantile, overflow, points,
};
use super::stream::{Pace, Stream};

/// Part of what prompts would fall together by chance that is left by a router which gives each to the rank with the fewest requests:
/// answers that end together leave gaps for prompts that come together. Chosen on the cells of `tests/inference_ranks.rs`.
const TOGETHER: f64 = 0.7;
/// Prompts that begin on a rank in an iteration below which so many do.
const LEAST: f64 = 1e-9;
/// Rounds in which the chain settles, at most.
const ROUNDS: usize = 16;

/// Ranks that run their iterations together, and the prompts that they read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranks {
    /// How many.
    pub count: f64,
    /// Seconds that iterations are longer by where one rank reads a mean prompt's number of tokens.
    pub prompt_s: f64,
    /// Squared coefficient of variation of those seconds.
    pub scv: f64,
    /// The part of those seconds that every further prompt adds, whichever rank reads it: the experts' work on its tokens.
    pub any_s: f64,
    /// Prompts of the mean length that a rank reads in an iteration at most.
    pub most: f64,
}

/// What their iterations look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turns {
    /// Share of the iterations that read.
    pub share: f64,
    /// Seconds that those take on top of decoding: mean and variance.
    pub more: f64,
    variance: f64,
    /// Chance that an iteration reads, behind one that does not and behind one that does.
    fresh: f64,
    after: f64,
    /// Behind one that read the end of a prompt.
    behind: f64,
    /// Prompts that come in a second.
    rate: f64,
    decode: f64,
}

impl Ranks {
    /// The iterations of a group to which `rate` prompts come per second, and which decodes for `decode` seconds in each.
    pub fn turns(&self, decode: f64, rate: f64) -> Turns {
        let fresh = -libm::expm1(-rate * decode);
        // Where so many prompts begin on a rank in an iteration: what comes over what is read, logarithm.
        let at = |begin: f64| {
            let reading = Reading::new(self.count, begin, self.most, (self.scv, TOGETHER));
            let prompts = self.count * begin / reading.share;
            let each = self.prompt_s - self.any_s;
            let more = each * reading.fullest + self.any_s * prompts;
            // None goes on behind an iteration that is shorter than others.
            let ended = decode + each * reading.last + self.any_s * prompts * reading.last / reading.fullest;
            let quiet = libm::exp(-rate * ended);
            let after = 1.0 - (1.0 - reading.goes_on) * quiet;
            let behind = 1.0 - (1.0 - reading.others) * quiet;
            let share = (fresh / (1.0 + fresh - after)).clamp(1e-12, 1.0);
            let mean = decode + share * more;
            let variance = reading.variance * each * each
                + self.any_s * self.any_s * (1.0 + self.scv) * (prompts - 1.0).max(0.0);
            let turns = Turns { share, more, variance, fresh, after, behind, rate, decode };
            (libm::log(rate * mean / (share * prompts)), turns)
        };
        let guess = rate * (decode + self.prompt_s * self.most.min(1.0)) / self.count;
        let mut begin = guess.clamp(LEAST, 0.9 * self.most);
        let (mut off, mut turns) = at(begin);
        let mut before: Option<(f64, f64)> = None;
        for _ in 0..ROUNDS {
            if off.abs() <= 3e-4 {
                break;
            }
            let step = match before {
                Some((x, f)) if (off - f) * (begin - x) < 0.0 => begin - off * (begin - x) / (off - f),
                _ => begin * libm::exp(off),
            };
            let next = step.clamp((0.25 * begin).max(LEAST), (4.0 * begin).max(LEAST).min(self.most));
            if (next - begin).abs() <= 1e-6 * begin {
                break;
            }
            before = Some((begin, off));
            begin = next;
            (off, turns) = at(begin);
        }
        turns
    }
}

impl Turns {
    /// Iterations of `decode` seconds in each of which prompts begin as answers end, whatever the one before was: `prompts` of them, so
    /// that ranks read in this manner, for `more` seconds on top where they read.
    pub fn of_endless(decode: f64, more: f64, prompts: f64, reading: &Reading) -> Self {
        let each = more / reading.fullest;
        let share = reading.share;
        let variance = reading.variance * each * each;
        let rate = prompts / (decode + share * more);
        Self { share, more, variance, fresh: share, after: share, behind: share, rate, decode }
    }

    /// Mean seconds of an iteration.
    pub fn mean(&self) -> f64 {
        self.decode + self.share * self.more
    }

    /// Prompts that come in a second.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Chance that a request comes in an iteration that reads.
    pub fn meets(&self) -> f64 {
        self.share * (self.decode + self.more) / self.mean()
    }

    /// Of a request that comes in an iteration that reads, or in one that does not: what is left of it, the rest of an interval in
    /// which it comes by chance, and the prompts that come in it.
    pub fn met(&self, reads: bool) -> (Cumulants, f64) {
        let [_, c1, c2, c3, c4] = self.powers(reads);
        (Cumulants::of(c2 / (2.0 * c1), c3 / (3.0 * c1), c4 / (4.0 * c1)), self.rate * c2 / c1)
    }

    /// Moments 0 to 4 of the seconds of an iteration that reads, or of one that does not; a reading is taken as gamma distributed.
    fn powers(&self, reads: bool) -> [f64; 5] {
        let d = self.decode;
        if !reads {
            return [1.0, d, d * d, d * d * d, d * d * d * d];
        }
        let scv = if self.more > 0.0 { self.variance / (self.more * self.more) } else { 0.0 };
        let x = |k: i32| (0..k).fold(1.0, |product, i| product * self.more * (1.0 + f64::from(i) * scv));
        [
            1.0,
            d + x(1),
            d * d + 2.0 * d * x(1) + x(2),
            d * d * d + 3.0 * d * d * x(1) + 3.0 * d * x(2) + x(3),
            d * d * d * d + 4.0 * d * d * d * x(1) + 6.0 * d * d * x(2) + 4.0 * d * x(3) + x(4),
        ]
    }

    /// What the `steps` iterations of an answer behind the one that read its own prompt take beside decoding, of each: chance that
    /// none reads; mean and variance.
    pub fn added(&self, steps: f64) -> (f64, f64, f64) {
        // How much likelier an iteration reads behind one that does: what is left of it after each further one.
        let kept = (self.after - self.fresh).clamp(0.0, MOST_USED);
        let faded = libm::pow(kept, steps);
        let own = (self.behind - self.share) * self.more * (1.0 - faded) / ((1.0 - kept) * steps);
        let mean = self.share * self.more;
        let each = self.share * (self.variance + self.more * self.more) - mean * mean;
        let together =
            (1.0 + kept) / (1.0 - kept) - 2.0 * kept * (1.0 - faded) / ((1.0 - kept) * (1.0 - kept) * steps);
        let none = (1.0 - self.behind) * libm::pow(1.0 - self.fresh, (steps - 1.0).max(0.0));
        (none, (mean + own).max(0.0), each * together.max(0.0) / steps)
    }
}

/// Latencies of ranks to which requests come at random, with `batch` sequences of each in decode at this pace by the mean alone;
/// without the wait for a place where more come than they sustain.
pub(super) fn latencies(
    stream: &Stream<'_>,
    (batch, pace): (f64, &Pace),
    (ranks, turns): (&Ranks, &Turns),
    saturated: bool,
) -> Queued {
    // The group's sequences fluctuate together, so that those of a rank do so less.
    let step = (0.25 * batch).max(libm::sqrt(batch)).max(1.0);
    let rise = ((stream.step_seconds(batch + step) - pace.decode) / step).max(0.0);
    let elasticity = (batch * rise / pace.decode).min(MOST_ELASTIC);
    let x = 1.0 - elasticity;
    let averaged = 2.0 * (x - 1.0 + libm::exp(-x)) / (x * x);
    let variance = rise * rise * batch * averaged / (x * ranks.count);
    let turns = Turns { decode: pace.decode + rise * elasticity / (x * ranks.count), ..*turns };
    let batch = (batch * turns.mean() / pace.tpot).min(stream.most);

    let length = (stream.input, stream.spread.0);
    let (first, second) = by_length(length, ranks.prompt_s, |length: f64| {
        stream.adds(batch, length, 1.0 / ranks.count, pace.decode)
    });
    let deviation = libm::sqrt(ranks.scv);
    let place = if saturated {
        Cumulants::of(0.0, 0.0, 0.0)
    } else {
        stream.place(turns.rate / ranks.count, turns.mean())
    };
    // A prompt that is longer than an iteration may read holds its rank for several.
    let places = ranks.most.max(1.0);
    let iterations = 1.0 / ranks.most.min(1.0);
    let full = iterations * turns.decode + places * (ranks.prompt_s + (ranks.count - 1.0) * ranks.any_s);
    let overflow = if saturated {
        Cumulants::of(0.0, 0.0, 0.0)
    } else {
        overflow(turns.rate / ranks.count, places, full, ranks.scv)
    };
    let idle = libm::exp(-batch * ranks.count);
    let alone = if idle > SELDOM { stream.alone(stream.input) } else { 0.0 };
    let meets = turns.meets();
    // A request comes in an iteration that decodes alone, or in one that reads.
    let states = [(1.0 - meets, false), (meets, true)].map(|(chance, reads)| {
        let (rest, prompts) = turns.met(reads);
        let beside = prompts * (1.0 - 1.0 / ranks.count);
        let behind = prompts / ranks.count * (ranks.prompt_s - ranks.any_s) + ranks.any_s * prompts;
        (chance * (1.0 - idle), Shape::of(&rest.plus(&place).plus(&overflow)), beside, behind)
    });
    let mut ttft = Mixture::<{ 3 * POINTS }>::new();
    let mut tpot = Mixture::<{ 2 * POINTS }>::new();
    let answers = Answers::new(stream);
    for point in points() {
        let tokens = gamma_quantile(stream.input, (ranks.scv, deviation), point.length).max(1.0);
        let own = tokens * (first + second * tokens);
        for (chance, rest, beside, behind) in &states {
            // What others read stays below a length that none of a Poisson number exceeds, and below what an iteration may read.
            let over = -libm::log(point.other) / (beside * iterations);
            let others = if over < 1.0 {
                gamma_quantile(1.0, (ranks.scv, deviation), upper_quantile(over)).min(ranks.most)
            } else {
                0.0
            };
            // The last part of a prompt of several iterations is read beside others' as a whole prompt is, those before as long as an
            // iteration may be.
            let before = libm::ceil(tokens / (stream.input * ranks.most)) - 1.0;
            let part = before * ranks.most * stream.input / tokens;
            let whole = before * turns.decode + own * part + before * ranks.any_s * beside;
            let last = turns.decode + (own * (1.0 - part) + behind).max(ranks.prompt_s * others);
            let read = stream.request() + whole + last;
            ttft.add(chance * point.weight, read + rest.quantile(point.wait).max(0.0));
        }
        if idle > SELDOM {
            ttft.add(idle * point.weight, stream.request() + alone + own - ranks.prompt_s);
        }

        let (none, mean, spread) = turns.added(answers.steps(stream, point.length));
        let some = (1.0 - none).max(1e-9);
        let given = mean / some;
        let scv = ((variance + spread + mean * mean) / some / (given * given) - 1.0).max(0.0);
        let z = point.wait;
        tpot.add(point.weight * none, (turns.decode + libm::sqrt(variance) * z).max(0.0));
        tpot.add(point.weight * some, turns.decode + gamma_quantile(given, (scv, libm::sqrt(scv)), z));
    }
    Queued {
        percentiles: LatencyPercentiles {
            ttft: ttft.percentiles(),
            tpot: tpot.percentiles(),
            input_spread: stream.spread.0,
            output_spread: stream.spread.1,
        },
        batch,
    }
}

/// Normal quantile that is exceeded with this chance: Abramowitz and Stegun 26.2.23.
fn upper_quantile(chance: f64) -> f64 {
    let tail = chance.min(1.0 - chance).max(1e-300);
    let t = libm::sqrt(-2.0 * libm::log(tail));
    let z = t
        - (2.515_517 + 0.802_853 * t + 0.010_328 * t * t)
            / (1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t * t * t);
    if chance < 0.5 { z } else { -z }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seldom_prompts_lengthen_one_iteration_each() {
        let ranks = Ranks { count: 8.0, prompt_s: 0.5, scv: 0.5, any_s: 0.0, most: 20.0 };
        let turns = ranks.turns(0.02, 0.005);
        assert!(
            (turns.share / 1e-4 - 1.0).abs() < 0.01 && (turns.more / 0.5 - 1.0).abs() < 0.02,
            "{turns:?}"
        );
        // Many prompts: every iteration reads, and each rank several of them.
        let turns = ranks.turns(0.02, 12.0);
        assert!(turns.share > 0.999 && turns.more > 5.0, "{turns:?}");
        // Prompts of eight iterations, each rank by itself: ranks read as long as any of as many prompts as come is read (Erlang).
        let ranks = Ranks { count: 64.0, prompt_s: 4.0, scv: 1.0, any_s: 0.0, most: 0.125 };
        let turns = ranks.turns(0.001, 0.25);
        let idle = (1.0 - turns.share) * turns.decode / turns.mean();
        assert!((idle / libm::exp(-1.0) - 1.0).abs() < 0.1, "{idle} {turns:?}");
    }
}
