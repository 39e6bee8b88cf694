//! What a simulation says: distributions, shares of time, warnings.

use super::engine::Job;
use super::mean;
use super::pools::Apart;
use super::report::{
    SimulatedPools, SimulatedRequests, SimulationDistribution, SimulationPhase, SimulationReport,
    SimulationRequest, SteadyBeside,
};
use super::run::{Come, Outcome, Plan};
use crate::inference::{Engine, Percentiles};
use crate::quantity::{Warning, count};

/// Steps of a distribution.
const STEPS: u32 = 100;

/// What the answer says beside what the simulation saw.
pub(super) struct Frame<'a> {
    pub request: &'a SimulationRequest,
    pub gpu: String,
    pub replicas: u32,
    /// Requests per second that all replicas sustain by the steady-state model.
    pub sustainable: f64,
    pub beside: Option<SteadyBeside>,
    pub warnings: Vec<Warning>,
}

impl Frame<'_> {
    /// The answer.
    pub fn report(mut self, plan: &Plan<'_>, outcome: Outcome) -> SimulationReport {
        let jobs = outcome.jobs.get(plan.warmup..plan.warmup + plan.measured).unwrap_or_default();
        let all = |of: fn(&Job) -> f64| -> Vec<f64> { jobs.iter().map(of).collect() };
        let answers = jobs.iter().filter(|j| j.output > 1.0);
        let tpot: Vec<f64> = answers.map(|j| (j.end - j.first) / (j.output - 1.0)).collect();
        let tpot = (!tpot.is_empty()).then(|| Sorted::of(tpot));
        let ttft = Sorted::of(all(|j| j.first - j.arrival));
        let end_to_end = Sorted::of(all(|j| j.end - j.arrival));
        let (sums, window) = (outcome.sums, outcome.window.1 - outcome.window.0);
        // One request alone, or all at one time, has no window.
        let per_second = |x: f64| if window > 0.0 { x / window } else { 0.0 };
        let share =
            |of: fn(&Job) -> bool| jobs.iter().filter(|j| of(j)).count() as f64 / jobs.len().max(1) as f64;
        let (steps, decoded) = jobs.iter().fold((0.0, 0.0), |(s, d), j| (s + j.steps, d + j.decoded));
        let ranks = plan.pools.iter().map(|pool| pool.size() as f64).fold(0.0, |a, b| a + b);
        let busy = sums.pools.iter().fold(0.0, |sum, pool| sum + pool.busy);
        // The pool that decodes, or the only one.
        let last = plan.pools.len().saturating_sub(1);
        let (ours, held) = (plan.pools.get(last), sums.pools.get(last).copied().unwrap_or_default());
        let decoders = ours.map_or(1.0, |pool| pool.size() as f64);
        let gpus = f64::from(self.request.gpus);
        let cache = ours.map_or(0.0, |pool| pool.limits.capacity) * decoders;
        let backlog = sums.arrivals - sums.requests;
        let open = matches!(plan.come, Come::Rate(_) | Come::Logged(_));
        // What is in flight on average stays behind in any window; four standard deviations of a Poisson number are chance.
        let saturated = matches!(plan.come, Come::Rate(_))
            && backlog > (0.05 * sums.arrivals).max(4.0 * libm::sqrt(sums.arrivals));
        if saturated {
            self.warnings.push(Warning::new(
                "saturated",
                "request_rate",
                format!(
                    "{} came while {:.0} were answered: the queue grows, and latencies with the number of requests \
                     simulated",
                    count(format_args!("{:.0}", sums.arrivals), "request"),
                    sums.requests
                ),
            ));
        }
        SimulationReport {
            layout: self.request.layout,
            gpu: self.gpu,
            engine: Engine::describe(self.request.engine),
            gpus: self.request.gpus,
            replicas: self.replicas,
            requests: jobs.len() as u32,
            ttft: ttft.percentiles(),
            tpot: tpot.as_ref().map(Sorted::percentiles),
            end_to_end: end_to_end.percentiles(),
            distribution: distribution(&ttft, tpot.as_ref(), &end_to_end),
            beside: self.beside,
            mean_input_tokens: mean(&all(|j| j.input)),
            mean_output_tokens: mean(&all(|j| j.output)),
            window_seconds: window,
            requests_per_second: per_second(sums.requests),
            output_tokens_per_second: per_second(sums.output_tokens),
            output_tokens_per_second_per_gpu: per_second(sums.output_tokens) / gpus,
            total_tokens_per_second_per_gpu: per_second(sums.input_tokens + sums.output_tokens) / gpus,
            busy_share: per_second(busy) / ranks,
            utilisation: (open && self.request.phase == SimulationPhase::Both)
                .then(|| per_second(sums.arrivals) / self.sustainable),
            // Little's law for those on the host's way to an engine.
            concurrency: per_second(sums.in_flight) + per_second(sums.requests) * plan.request_s,
            decode_batch: per_second(held.decoding) / decoders,
            kv_used_share: if cache > 0.0 { per_second(held.kv_bytes) / cache } else { 0.0 },
            waited_for_cache_share: share(|j| j.held.by_cache),
            waited_for_sequences_share: share(|j| j.held.by_sequences),
            tokens_per_iteration: (steps > 0.0).then(|| decoded / steps),
            saturated,
            seed: self.request.seed,
            events: outcome.events,
            timeline: outcome.timeline,
            pools: plan.apart.map(|apart| {
                let busy = sums.pools.map(|pool| per_second(pool.busy));
                pools(plan, apart, jobs, busy, self.request.gpus)
            }),
            request_list: self.request.list_requests.then(|| SimulatedRequests {
                arrival_seconds: all(|j| j.arrival),
                input_tokens: all(|j| j.input),
                output_tokens: all(|j| j.output),
                ttft_seconds: all(|j| j.first - j.arrival),
                end_to_end_seconds: all(|j| j.end - j.arrival),
            }),
            warnings: self.warnings,
        }
    }
}

/// What happened in each pool; `busy` ranks of each ran on average.
fn pools(plan: &Plan<'_>, apart: &Apart<'_, '_>, jobs: &[Job], busy: [f64; 2], gpus: u32) -> SimulatedPools {
    let mut shares = plan.pools.iter().zip(busy).map(|(pool, busy)| busy / pool.size() as f64);
    // Answers of one token end where their prompts are read.
    let sent: Vec<&Job> = jobs.iter().filter(|job| job.steps > 0.0).collect();
    let all = |of: fn(&Job) -> f64| {
        (!sent.is_empty()).then(|| Sorted::of(sent.iter().map(|job| of(job)).collect()).percentiles())
    };
    let read = |job: &Job| if job.steps > 0.0 { job.read } else { job.end };
    let prefill_gpus = apart.prefill_gpus();
    SimulatedPools {
        prefill_layout: apart.prefill_layout(),
        prefill_gpus,
        prefill_replicas: apart.prefill,
        decode_gpus: gpus - prefill_gpus,
        decode_replicas: apart.decode,
        prefill_busy_share: shares.next().unwrap_or_default(),
        decode_busy_share: shares.next().unwrap_or_default(),
        prefill: Sorted::of(jobs.iter().map(|job| read(job) - job.arrival).collect()).percentiles(),
        transfer: all(|job| job.received - job.read),
        place: all(|job| job.first - job.received),
    }
}

/// At least one value, in order.
struct Sorted {
    values: Vec<f64>,
    mean: f64,
}

impl Sorted {
    fn of(mut values: Vec<f64>) -> Self {
        let mean = mean(&values);
        values.sort_by(f64::total_cmp);
        Self { values, mean }
    }

    /// Quantile, linear between neighbours (Hyndman and Fan 1996, type 7).
    fn at(&self, share: f64) -> f64 {
        let place = share * (self.values.len().max(1) - 1) as f64;
        let low = place.floor();
        let value = |i: f64| self.values.get(i as usize).copied().unwrap_or(self.mean);
        value(low) + (place - low) * (value(place.ceil()) - value(low))
    }

    fn percentiles(&self) -> Percentiles {
        Percentiles {
            mean_seconds: self.mean,
            p50_seconds: self.at(0.5),
            p90_seconds: self.at(0.9),
            p95_seconds: self.at(0.95),
            p99_seconds: self.at(0.99),
        }
    }
}

fn distribution(ttft: &Sorted, tpot: Option<&Sorted>, end_to_end: &Sorted) -> SimulationDistribution {
    let shares: Vec<f64> = (0..=STEPS).map(|step| f64::from(step) / f64::from(STEPS)).collect();
    let of = |sorted: &Sorted| shares.iter().map(|share| sorted.at(*share)).collect();
    SimulationDistribution {
        ttft_seconds: of(ttft),
        tpot_seconds: tpot.map_or_else(Vec::new, of),
        end_to_end_seconds: of(end_to_end),
        share: shares,
    }
}
