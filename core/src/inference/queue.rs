//! Percentiles of latencies under random arrivals, in closed form.
//!
//! One stream reads prompts beside its decoding sequences: an iteration lasts `D + Σ S`, its decode time and what the
//! prompts that came during the one before add to it. That is a queue with gated vacations (Takagi, "Queueing analysis of
//! polling models", ACM Computing Surveys 20:1, 1988): with ρ = λ·E\[S\] an iteration lasts `D/(1 − ρ)` on average, and a
//! request, which is likelier to come in a long one, waits for the rest of one of mean length
//! `E[C²]/E[C] = (D·(1 + ρ) + λ·E[S²])/(1 − ρ²)` and for the prompts of the next.
//!
//! Sequences in decode fluctuate as an Ornstein-Uhlenbeck process around their mean B: arrivals do not know of them, and
//! a larger batch ends its answers more slowly. With the elasticity ε of the time per token to the batch their variance is
//! `B/(1 − ε)` (the diffusion limit of a processor-sharing queue whose speed depends on its state).
//!
//! Times are put together by their means and variances; percentiles are those of a shifted log-normal distribution with
//! these moments, which begins at the least time that there can be.

use super::steady::Stream;
use super::{LatencyPercentiles, Percentiles};

/// Nodes and weights of the Gauss-Hermite rule with three points for a standard normal variable: exact to the fifth power.
const NODES: [(f64, f64); 3] =
    [(-1.732_050_807_568_877_2, 1.0 / 6.0), (0.0, 2.0 / 3.0), (1.732_050_807_568_877_2, 1.0 / 6.0)];

/// Quantiles of the standard normal distribution at 50, 90, 95 and 99 %.
const QUANTILES: [f64; 4] = [0.0, 1.281_551_565_544_600_4, 1.644_853_626_951_472_2, 2.326_347_874_040_840_8];

/// Mean and variance of a time that is at least `least`.
#[derive(Debug, Clone, Copy)]
struct Moments {
    least: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn percentiles(self) -> Percentiles {
        let above = self.mean - self.least;
        let at = |z: f64| {
            if above <= 0.0 || self.variance <= 0.0 {
                return self.mean;
            }
            let spread = libm::log(1.0 + self.variance / (above * above));
            self.least + above * libm::exp(libm::sqrt(spread) * z - 0.5 * spread)
        };
        let [p50, p90, p95, p99] = QUANTILES.map(at);
        Percentiles { mean_seconds: self.mean, p50_seconds: p50, p90_seconds: p90, p95_seconds: p95, p99_seconds: p99 }
    }
}

/// What a stream does under random arrivals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued {
    pub percentiles: LatencyPercentiles,
    /// Mean sequences in decode.
    pub batch: f64,
}

/// Latencies of a stream to which `rate` requests come per second, with `batch` sequences in decode by the mean alone.
pub(super) fn latencies(stream: &Stream<'_>, rate: f64, batch: f64) -> Queued {
    let steps = stream.steps;
    let (input_scv, output_scv) = stream.spread;

    // Elasticity of the time per token to the batch, over a standard deviation of it.
    let step = libm::sqrt(batch).max(1.0);
    let here = stream.pace(batch, f64::INFINITY);
    let above = stream.pace(batch + step, f64::INFINITY);
    let slope = ((above.tpot - here.tpot) / step).max(0.0);
    let elasticity = (batch * slope / here.tpot).min(0.9);
    let dispersion = 1.0 / (1.0 - elasticity);
    // A token sees the batch by its square; what it loses, the batch gains.
    let shift = (elasticity * (dispersion - 1.0) * dispersion).max(0.0);
    let batch = (batch + shift).min(stream.most);
    let tpot = here.tpot + slope * (shift + dispersion - 1.0);
    let decode = here.decode + (above.decode - here.decode) / step * (shift + dispersion - 1.0);

    // Seconds that a prompt adds, by its length.
    let reads = NODES.map(|(z, weight)| {
        let variance = libm::log(1.0 + input_scv);
        let length = stream.input * libm::exp(libm::sqrt(variance) * z - 0.5 * variance);
        (weight, stream.read(batch, length))
    });
    let mean = |f: &dyn Fn(f64, f64) -> f64| reads.iter().fold(0.0, |sum, (w, r)| sum + w * f(r.added, r.alone));
    let added = mean(&|s, _| s);
    let added_square = mean(&|s, _| s * s);
    let load = (rate * added).min(0.99);

    // Nothing decodes: the sequences in decode are nearly Poisson.
    let idle = libm::exp(-batch);
    let base = decode * (1.0 - idle);
    let cycle = (base * (1.0 + load) + rate * added_square) / (1.0 - load * load);
    // Its second moment, as of a gamma distribution of iterations.
    let whole = decode / (1.0 - load);
    let squared = (cycle / whole).max(1.0) - 1.0;
    let cycle_square = cycle * whole * (1.0 + 2.0 * squared).max(1.0);
    let wait = cycle * (0.5 + load);
    let wait_square = cycle_square * (1.0 / 3.0 + load + load * load) + rate * added_square * cycle;
    let own = (1.0 - idle) * (decode + added) + idle * mean(&|_, alone| alone);
    let own_square = (1.0 - idle) * mean(&|s, _| (decode + s) * (decode + s)) + idle * mean(&|_, a| a * a);
    let place = stream.place(rate, tpot);
    let least = if input_scv > 0.0 {
        stream.read(batch, 1.0).alone
    } else {
        idle * reads[1].1.alone + (1.0 - idle) * (decode + added)
    };
    let ttft = Moments {
        least,
        mean: own + wait + place.0,
        variance: (own_square - own * own).max(0.0) + (wait_square - wait * wait).max(0.0) + place.1,
    };

    // An answer sees a mean of the batch over its time, and the prompts that come in it.
    let x = 1.0 - elasticity;
    let averaged = 2.0 * (x - 1.0 + libm::exp(-x)) / (x * x);
    let by_batch = slope * slope * batch * dispersion * averaged;
    let by_prompts = rate * tpot * added_square * (1.0 + output_scv) / steps;
    let floor = stream.pace(0.0, f64::INFINITY).decode.min(tpot);
    let tpot = Moments { least: floor, mean: tpot, variance: by_batch + by_prompts };
    Queued {
        percentiles: LatencyPercentiles { ttft: ttft.percentiles(), tpot: tpot.percentiles() },
        batch,
    }
}
