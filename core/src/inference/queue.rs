//! Percentiles of latencies under random arrivals, in closed form.
//!
//! One stream reads prompts beside its decoding sequences: an iteration lasts `C' = D + Σ S`, its decode time and what the
//! prompts that came during the one before add to it. That is a queue with gated service and vacations (Takagi, "Queueing
//! analysis of polling models", ACM Computing Surveys 20:1, 1988). With compound Poisson arrivals its moments follow one
//! from the other: `E[C] = D/(1 − ρ)`, `E[C²] = (D² + 2Dρ·E[C] + λ·E[S²]·E[C])/(1 − ρ²)` and so on, ρ = λ·E\[S\]. A request is
//! likelier to come in a long iteration; it waits for the rest of it, then for the prompts read beside its own.
//!
//! Sequences in decode fluctuate as an Ornstein-Uhlenbeck process around their mean B: arrivals do not know of them, and
//! a larger batch ends its answers more slowly. With the elasticity ε of the time per token to the batch their variance is
//! `B/(1 − ε)` (the diffusion limit of a processor-sharing queue whose speed depends on its state).
//!
//! An answer of n tokens sees n iterations: n times D, the prompts that come meanwhile, and of the iteration that read its
//! own prompt, which was longer than others, what it passes on to the next (a share ρ, of that ρ again, and so on). No prompt
//! may come at all; what remains is taken as gamma distributed with mean and variance.
//!
//! Prompts are taken as gamma distributed with their mean and spread, answers as log-normally, a prompt's seconds as `β₁L + β₂L²`. Waits are gamma
//! distributed with their first three cumulants (Pearson's type III), whose quantiles are Wilson and Hilferty's cubes
//! (PNAS 17:12, 1931). Percentiles are read from a mixture over lengths and waits. All of it is compared with the simulation
//! ([`super::simulate()`]) in `tests/inference_simulate.rs`.

mod reading;

use std::sync::OnceLock;

use super::stream::{Pace, Stream};
use super::{LatencyPercentiles, Percentiles, ranks};

pub(super) use reading::first_tokens;

/// Share of the time beyond which a queue is taken as this busy: formulas of the steady state end at 1.
pub(super) const MOST_USED: f64 = 0.98;
/// Elasticity beyond which a batch is taken as this elastic: at 1 it would grow without end.
pub(super) const MOST_ELASTIC: f64 = 0.8;
/// Chance of an idle stream below which it is left out.
pub(super) const SELDOM: f64 = 1e-3;
/// Weight of a point of a mixture that no percentile can tell.
const NEVER: f64 = 1e-7;
/// Points of a mixture.
pub(super) const POINTS: usize = 48;

/// A point of the unit square as two independent normal quantiles, with its weight.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Point {
    pub weight: f64,
    /// Quantile of a length.
    pub length: f64,
    /// Quantile of a wait.
    pub wait: f64,
    /// Chance of what other requests do, evenly from 0 to 1.
    pub other: f64,
}

/// Points that fill the unit square evenly (a lattice by the golden ratio), drawn to the upper ends, where percentiles are
/// asked for: `u = 1 − (1 − t)²`.
pub(super) fn points() -> &'static [Point; POINTS] {
    static LATTICE: OnceLock<[Point; POINTS]> = OnceLock::new();
    LATTICE.get_or_init(|| {
        let mut out = [Point::default(); POINTS];
        let mut sum = 0.0;
        for (at, point) in out.iter_mut().enumerate() {
            let t = (at as f64 + 0.5) / POINTS as f64;
            let s = ((at as f64 + 0.5) * GOLDEN) % 1.0;
            let quantile = |t: f64| normal_quantile(1.0 - (1.0 - t) * (1.0 - t));
            let other = ((at as f64 + 0.5) * ROOT_THREE) % 1.0;
            *point = Point { weight: (1.0 - t) * (1.0 - s), length: quantile(t), wait: quantile(s), other };
            sum += point.weight;
        }
        for point in &mut out {
            point.weight /= sum;
        }
        out
    })
}

/// (√5 − 1)/2.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// √3 − 1, as far from any ratio of small numbers.
const ROOT_THREE: f64 = 0.732_050_807_568_877_2;

/// Chance that a quantile of the standard normal distribution is exceeded.
pub(super) fn exceeded(z: f64) -> f64 {
    0.5 * libm::erfc(z / core::f64::consts::SQRT_2)
}

/// Quantile of the standard normal distribution, by halving.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if exceeded(-middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// What a stream does under random arrivals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    pub percentiles: LatencyPercentiles,
    /// Mean sequences in decode.
    pub batch: f64,
}

/// Latencies of a stream to which `rate` requests come per second, with `batch` sequences in decode at this pace by the mean
/// alone; without the queue where more come than it sustains.
pub(super) fn latencies(
    stream: &Stream<'_>,
    rate: f64,
    (batch, pace): (f64, &Pace),
    saturated: bool,
) -> Queued {
    if let Some((ranks, turns)) = &pace.ranks {
        return ranks::latencies(stream, (batch, pace), (ranks, turns), saturated);
    }
    let prompts = Prompts::new(stream, batch);
    let decode = Decode::new(stream, rate, (batch, pace), &prompts);
    let idle = libm::exp(-decode.batch);
    // Past saturation the queue grows without end: it is left out.
    let none = Cumulants::of(0.0, 0.0, 0.0);
    let place = if saturated { none } else { stream.place(rate, decode.tpot) };
    let mut ttft = Mixture::<{ 2 * POINTS }>::new();
    let mut beside = Cumulants::of(0.0, 0.0, 0.0);
    let reads = stream.unread > 0.0;
    // Something decodes when a request comes, or nothing.
    let overflow = if saturated || !reads {
        none
    } else {
        overflow(rate, stream.chunk(1.0) / stream.unread, prompts.longest, prompts.scv)
    };
    let own = prompts.seconds();
    for (chance, busy) in [(idle, false), (1.0 - idle, true)] {
        if busy || chance > SELDOM {
            let (iteration, fixed) = if busy {
                (decode.decode, decode.decode + prompts.fixed)
            } else {
                (0.0, prompts.alone(stream))
            };
            // Requests are looked for once in so many iterations: that is what the queue takes a turn in.
            let between = (stream.poll() - 1.0) * iteration;
            let met = prompts.met(rate, between + iteration, between + fixed);
            beside = met.beside;
            let wait = Shape::of(&met.wait.plus(&place).plus(&overflow));
            for (point, seconds) in points().iter().zip(&own) {
                // A prompt that comes read has its next token with the iteration that it waits for.
                let own = if reads { stream.request() + fixed + seconds } else { 0.0 };
                ttft.add(chance * point.weight, own + wait.quantile(point.wait).max(0.0));
            }
        }
    }
    Queued {
        percentiles: LatencyPercentiles {
            ttft: ttft.percentiles(),
            tpot: decode.per_token(stream, rate, &prompts, (&own, &beside)),
            input_spread: stream.spread.0,
            output_spread: stream.spread.1,
        },
        batch: decode.batch,
    }
}

/// The decode batch with its fluctuations.
struct Decode {
    batch: f64,
    /// Seconds of an iteration that only decodes, and of a token with the prompts read beside it, both as a token sees them.
    decode: f64,
    tpot: f64,
    /// Share of an iteration that reads prompts.
    load: f64,
    /// Variance of the seconds of an iteration that only decodes, as a mean over an answer.
    variance: f64,
}

impl Decode {
    fn new(stream: &Stream<'_>, rate: f64, (batch, here): (f64, &Pace), prompts: &Prompts) -> Self {
        let load = (1.0 - here.decode / here.tpot).clamp(0.0, MOST_USED);
        let rest = 1.0 - load;
        // Answers that end later by a long iteration have come in it together: what a batch varies by the time that it takes.
        let bursts = rate * rate * prompts.added[2] / (rest * rest)
            * felt_to_the_end(load, libm::pow(load, stream.steps), stream.steps);
        // Slope over what it varies; the prompts read beside do not grow with the batch, but they come in a longer time.
        let step = (0.25 * batch).max(libm::sqrt(batch)).max(bursts).max(1.0);
        let above = stream.step_seconds(batch + step);
        let rise = ((above - here.decode) / step).max(0.0);
        let mut out = Self { batch, decode: here.decode, tpot: here.tpot, load, variance: 0.0 };
        for _ in 0..ROUNDS {
            let elasticity = (out.batch * rise / out.decode).min(MOST_ELASTIC);
            let dispersion = (1.0 + bursts) / (1.0 - elasticity);
            // A token sees E[B²]/E[B] sequences; the bursts of a long iteration have not decoded in it.
            out.decode = here.decode + rise * (out.batch - batch + elasticity / (1.0 - elasticity)).max(0.0);
            out.tpot = out.decode / rest;
            let after = (prompts.added[1] + prompts.fixed + out.decode - out.tpot).max(0.0) * load / rest;
            // What answers lose by this, the batch gains (Little).
            let before = out.batch;
            out.batch = (rate * (stream.steps * out.tpot + after)).clamp(batch, stream.most);
            // An answer sees the mean over its time: of a process whose memory lasts 1/(1 − ε) answers.
            let x = 1.0 - elasticity;
            let averaged = 2.0 * (x - 1.0 + libm::exp(-x)) / (x * x);
            out.variance = rise * rise * out.batch * dispersion * averaged;
            if (out.batch - before).abs() <= 1e-6 * before {
                break;
            }
        }
        out
    }

    /// Time per output token: what the batch varies, and the prompts that come while an answer lasts. The iteration that reads
    /// the own prompt is longer by its `seconds` at each point, and by what others add `beside`.
    fn per_token(
        &self,
        stream: &Stream<'_>,
        rate: f64,
        prompts: &Prompts,
        (seconds, beside): (&[f64; POINTS], &Cumulants),
    ) -> Percentiles {
        let s = prompts.added.map(|moment| rate * moment);
        let (load, rest) = (self.load, 1.0 - self.load);
        let own = prompts.last_iteration(seconds).plus(beside);
        let first = self.decode + prompts.fixed + own.mean;
        let mut out = Mixture::<{ 2 * POINTS }>::new();
        let deviation = libm::sqrt(self.variance);
        let answers = Answers::new(stream);
        let log_load = libm::log(load);
        for point in points() {
            let steps = answers.steps(stream, point.length);
            // How an iteration's length is felt in those that follow, up to the answer's end.
            let faded = libm::exp(steps * log_load);
            let felt = load * (1.0 - faded) / (rest * steps);
            let kept = felt_to_the_end(load, faded, steps);
            // Time in which prompts come that the answer meets.
            let time = steps * self.tpot + (first - self.tpot).max(0.0) * (1.0 - faded) / rest;
            let mean = (self.tpot - self.decode + felt * (first - self.tpot)).max(0.0);
            let more = self.variance / (rest * rest)
                + time * s[2] * kept / (rest * rest * steps * steps)
                + own.variance * felt * felt;
            let meets = if s[1] > 0.0 { rate * (first + (steps - 1.0) * self.decode) } else { 0.0 };
            let none = libm::exp(-meets);
            // With prompts a gamma distribution with the moments that remain.
            let some = (1.0 - none).max(1e-9);
            let given = mean / some;
            let scv = ((more + mean * mean) / some / (given * given) - 1.0).max(0.0);
            let (weight, z) = (point.weight, point.wait);
            out.add(weight * none, (self.decode + deviation * z).max(0.0));
            out.add(
                weight * some,
                (self.decode + gamma_quantile(given, (scv, libm::sqrt(scv)), z)).min(prompts.longest),
            );
        }
        out.percentiles()
    }
}

/// Rounds in which a batch and its fluctuations settle.
const ROUNDS: usize = 12;

/// How much of the variance that prompts bring in the end is felt within `steps` iterations, each of which passes a share
/// `load` of its length on to the next: the mean square of `1 − load^k`; `faded` is `load^steps`.
fn felt_to_the_end(load: f64, faded: f64, steps: f64) -> f64 {
    (1.0 - 2.0 * load * (1.0 - faded) / (steps * (1.0 - load))
        + load * load * (1.0 - faded * faded) / (steps * (1.0 - load * load)))
        .max(0.0)
}

/// Lengths of answers: log-normal, for real answers are seldom as short as a gamma distribution of their spread would have
/// them (Azure's code trace: squared coefficient of variation 4.6, shortest answer 6 tokens).
pub(super) struct Answers {
    /// Of the tokens' logarithm.
    variance: f64,
    deviation: f64,
}

impl Answers {
    pub(super) fn new(stream: &Stream<'_>) -> Self {
        let variance = libm::log(1.0 + stream.spread.1);
        Self { variance, deviation: libm::sqrt(variance) }
    }

    /// Decode steps of an answer, at a normal quantile.
    pub(super) fn steps(&self, stream: &Stream<'_>, z: f64) -> f64 {
        stream.steps_of(stream.output * libm::exp(self.deviation * z - 0.5 * self.variance))
    }
}

/// Quantile of a gamma distribution, its squared coefficient of variation beside that one's root, at a quantile of the normal
/// one.
pub(super) fn gamma_quantile(mean: f64, (scv, deviation): (f64, f64), z: f64) -> f64 {
    let cube = (1.0 - scv / 9.0 + z * deviation / 3.0).max(0.0);
    mean * cube * cube * cube
}

/// Seconds that prompts take.
struct Prompts {
    length: f64,
    scv: f64,
    /// Seconds that the mean prompt adds to an iteration beside others.
    each: f64,
    /// Seconds that a prompt adds, by its length and the square of it.
    first: f64,
    second: f64,
    /// Moments 0 to 4 of these seconds.
    added: [f64; 5],
    /// What an iteration that reads at least one takes on top of the decoding sequences and of what each adds.
    fixed: f64,
    /// Longest iteration: one that reads as much as it may.
    longest: f64,
}

impl Prompts {
    fn new(stream: &Stream<'_>, batch: f64) -> Self {
        let (length, scv) = (stream.input, stream.spread.0);
        let sequences = batch.max(1.0);
        let plain = stream.read(sequences, 0.0, length);
        let one = stream.read(sequences, 1.0, length);
        let two = stream.read(sequences, 2.0, length);
        let each = (two - one).clamp(0.0, (one - plain).max(0.0));
        let fixed = (one - plain - each).max(0.0);
        let long = |length: f64| stream.read(sequences, 1.0, length) - plain - fixed;
        let (first, second) = by_length((length, scv), each, long);
        Self {
            length,
            scv,
            first,
            second,
            added: moments_of_squares(first, second, length, scv),
            fixed,
            each,
            longest: stream.longest(sequences),
        }
    }

    /// What an iteration takes besides what each prompt adds where nothing decodes.
    fn alone(&self, stream: &Stream<'_>) -> f64 {
        if stream.unread > 0.0 { (stream.read(0.0, 1.0, self.length) - self.each).max(0.0) } else { 0.0 }
    }

    /// What a prompt adds to the iteration that reads its end, which is no longer than others.
    fn last_iteration(&self, seconds: &[f64; POINTS]) -> Cumulants {
        let (mut mean, mut square) = (0.0, 0.0);
        for (point, seconds) in points().iter().zip(seconds) {
            let seconds = seconds.min(self.longest);
            mean += point.weight * seconds;
            square += point.weight * seconds * seconds;
        }
        Cumulants::of(mean, square, 0.0)
    }

    /// Seconds that a prompt adds, at each point's quantile of its length.
    fn seconds(&self) -> [f64; POINTS] {
        let deviation = libm::sqrt(self.scv);
        points().map(|point| {
            let length = gamma_quantile(self.length, (self.scv, deviation), point.length).max(1.0);
            length * (self.first + self.second * length)
        })
    }

    /// From a request's arrival to the iteration that reads it, and what others add to that one, where iterations without
    /// prompts last `decode` and those with some `fixed` and what each adds.
    fn met(&self, rate: f64, decode: f64, fixed: f64) -> Met {
        let [_, s1, s2, s3, s4] = self.added.map(|moment| rate * moment);
        let s1 = s1.min(MOST_USED);
        // Iterations that read take a little more even before their prompts.
        let reading = 1.0 - libm::exp(-rate * decode / (1.0 - s1));
        let d = if decode > 0.0 { decode + reading * (fixed - decode) } else { 0.0 };
        // Moments of the iteration that a request comes in: E[C^(k+1)]/E[C], of which D/E[C] is this.
        let rest = 1.0 - s1;
        let c1 = (d * rest + 2.0 * d * s1 + s2) / (1.0 - s1 * s1);
        let y2 = s1 * s1 * c1 + s2;
        let c2 =
            (d * d * rest + 3.0 * d * d * s1 + 3.0 * d * y2 + 3.0 * s1 * s2 * c1 + s3) / (1.0 - s1 * s1 * s1);
        let y3 = s1 * s1 * s1 * c2 + 3.0 * s1 * s2 * c1 + s3;
        let c3 = (d * d * d * rest
            + 4.0 * d * d * d * s1
            + 6.0 * d * d * y2
            + 4.0 * d * y3
            + 6.0 * s1 * s1 * s2 * c2
            + (4.0 * s1 * s3 + 3.0 * s2 * s2) * c1
            + s4)
            / (1.0 - s1 * s1 * s1 * s1);
        let [w1, w2, w3] = to_the_next([c1, c2, c3], [s1, s2, s3]);
        let wait = Cumulants::of(w1, w2, w3);
        Met { wait, beside: Cumulants::of(c1 * s1, c2 * s1 * s1 + s2 * c1, 0.0) }
    }
}

/// Moments of the time from a request's arrival in an iteration, of which these are `E[C^(k+1)]/E[C]`, to the next one and over
/// the other prompts that this one reads, of whose seconds a second these moments come.
fn to_the_next([c1, c2, c3]: [f64; 3], [s1, s2, s3]: [f64; 3]) -> [f64; 3] {
    [
        c1 * (0.5 + s1),
        c2 * (1.0 / 3.0 + s1 + s1 * s1) + s2 * c1,
        c3 * (0.25 + s1 + 1.5 * s1 * s1 + s1 * s1 * s1) + c2 * s2 * (1.5 + 3.0 * s1) + s3 * c1,
    ]
}

/// The wait for later iterations, where the prompts that have come do not fit into one: that of a queue with as many
/// places as prompts fit, each held for a full iteration (Sakasegawa's M/M/c form with Allen and Cunneen's factor),
/// times a quarter, for much of that wait is counted already; the quarter is chosen on the cells of
/// `examples/queue_agreement.rs`.
pub(super) fn overflow(rate: f64, places: f64, longest: f64, scv: f64) -> Cumulants {
    let used = (rate * longest / places).min(MOST_USED);
    let chance = libm::pow(used, libm::sqrt(2.0 * (places + 1.0)) - 1.0);
    let mean = 0.25 * 0.5 * (1.0 + scv) * longest / (places.max(1.0) * (1.0 - used));
    Cumulants::of(chance * mean, 2.0 * chance * mean * mean, 6.0 * chance * mean * mean * mean)
}

/// What a request meets.
struct Met {
    /// From its arrival to the iteration that reads it, and what others add to that one.
    wait: Cumulants,
    /// The second part of it.
    beside: Cumulants,
}

/// Seconds of a prompt by its length and the square of it, from what the mean one takes and one where the seconds of long
/// prompts lie.
pub(super) fn by_length((length, scv): (f64, f64), each: f64, seconds: impl Fn(f64) -> f64) -> (f64, f64) {
    let times = 1.0 + 2.0 * scv;
    let second = if scv > 0.0 {
        ((seconds(times * length) - times * each) / (times * (times - 1.0) * length * length)).max(0.0)
    } else {
        0.0
    };
    ((each / length - second * length).max(0.0), second)
}

/// Moments 0 to 4 of `first·L + second·L²` for a gamma distributed L: `E[L^k] = m^k·Π(1 + j·scv)`.
fn moments_of_squares(first: f64, second: f64, mean: f64, scv: f64) -> [f64; 5] {
    let mut lengths = [1.0; 9];
    for k in 1..9 {
        lengths[k] = lengths[k - 1] * mean * (1.0 + (k - 1) as f64 * scv);
    }
    let (a, b) = (first, second);
    let e = |k: usize| lengths[k];
    [
        1.0,
        a * e(1) + b * e(2),
        a * a * e(2) + 2.0 * a * b * e(3) + b * b * e(4),
        a * a * a * e(3) + 3.0 * a * a * b * e(4) + 3.0 * a * b * b * e(5) + b * b * b * e(6),
        a * a * a * a * e(4)
            + 4.0 * a * a * a * b * e(5)
            + 6.0 * a * a * b * b * e(6)
            + 4.0 * a * b * b * b * e(7)
            + b * b * b * b * e(8),
    ]
}

/// Mean, variance and third central moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cumulants {
    mean: f64,
    variance: f64,
    third: f64,
}

impl Cumulants {
    /// From the first three moments.
    pub(super) fn of(m1: f64, m2: f64, m3: f64) -> Self {
        Self {
            mean: m1,
            variance: (m2 - m1 * m1).max(0.0),
            third: (m3 - 3.0 * m1 * m2 + 2.0 * m1 * m1 * m1).max(0.0),
        }
    }

    /// With an independent time on top.
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            mean: self.mean + other.mean,
            variance: self.variance + other.variance,
            third: self.third + other.third,
        }
    }
}

/// A distribution of given cumulants, ready to be asked for quantiles.
pub(super) struct Shape {
    mean: f64,
    deviation: f64,
    /// None where it is as good as normal.
    skew: Option<f64>,
}

impl Shape {
    pub(super) fn of(given: &Cumulants) -> Self {
        let deviation = libm::sqrt(given.variance);
        let skew = given.third / (given.variance * deviation);
        let normal = deviation <= 0.0 || skew.is_nan() || skew < 1e-6;
        Self { mean: given.mean, deviation, skew: if normal { None } else { Some(skew) } }
    }

    /// Quantile at a quantile of the normal distribution.
    pub(super) fn quantile(&self, z: f64) -> f64 {
        let Some(skew) = self.skew else { return self.mean + self.deviation * z };
        let cube = (1.0 + skew * z / 6.0 - skew * skew / 36.0).max(0.0);
        self.mean + self.deviation * 2.0 / skew * (cube * cube * cube - 1.0)
    }
}

/// Weighted values, for their percentiles.
pub(super) struct Mixture<const N: usize> {
    points: [(f64, f64); N],
    filled: usize,
}

impl<const N: usize> Mixture<N> {
    pub(super) fn new() -> Self {
        Self { points: [(0.0, 0.0); N], filled: 0 }
    }

    pub(super) fn add(&mut self, weight: f64, value: f64) {
        if weight <= NEVER {
            return;
        }
        if let Some(point) = self.points.get_mut(self.filled) {
            *point = (value, weight);
            self.filled += 1;
        }
    }

    pub(super) fn percentiles(mut self) -> Percentiles {
        let points = self.points.get_mut(..self.filled).unwrap_or_default();
        points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let all = points.iter().fold(0.0, |sum, (_, weight)| sum + weight);
        let mean_seconds = points.iter().fold(0.0, |sum, (value, weight)| sum + value * weight) / all;
        // A value stands in the middle of its weight; between two of them the distribution is even.
        let at = |share: f64| {
            let (mut below, mut last) = (0.0, None);
            for &(value, weight) in points.iter() {
                let place = (below + 0.5 * weight) / all;
                if place >= share {
                    let Some((from, at)) = last else { return value };
                    return from + (value - from) * (share - at) / (place - at);
                }
                last = Some((value, place));
                below += weight;
            }
            last.map_or(mean_seconds, |(value, _)| value)
        };
        Percentiles {
            mean_seconds,
            p50_seconds: at(0.5),
            p90_seconds: at(0.9),
            p95_seconds: at(0.95),
            p99_seconds: at(0.99),
        }
    }
}
