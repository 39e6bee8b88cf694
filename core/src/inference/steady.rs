//! Steady state of continuous batching: a closed loop or random arrivals on one replica.
//!
//! A replica is `dp × pp` like streams, each with its own decode batch. Every iteration gives each of B sequences a
//! token; B/(answer − 1) prompts must be read per iteration to replace the sequences that end, and they ride along in
//! chunks: a share f of the iterations is mixed, `TPOT = (1 − f)·t(decode) + f·t(decode + chunk)`. A request stays
//! `TTFT + (answer − 1)·TPOT`; its prompt queues for the chunks. Closed loop: Schweitzer's approximation to mean value
//! analysis (an arriving request sees the others in proportion (C − 1)/C). Random arrivals: Little's law for B,
//! Pollaczek-Khinchine for the prompts' queue, Sakasegawa's M/M/c form with Allen and Cunneen's factor for the wait for
//! a free place in the KV cache.

use super::cut::Cut;
use super::iteration::{LegalLayout, ServingModel, Work};
use super::{IterationParts, LatencyPercentiles, ServingMemory, queue};
use crate::quantity::GIB;

/// What is asked of one replica.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServingLoad {
    /// Mean tokens of a prompt.
    pub input_tokens: f64,
    /// Mean tokens of an answer, at least 1.
    pub output_tokens: f64,
    /// How requests come.
    pub arrivals: Arrivals,
}

/// How requests come to one replica.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrivals {
    /// This many in flight, each replaced when it ends.
    Closed(f64),
    /// This many per second at random times.
    Poisson(f64),
    /// More than fit, always: the highest throughput.
    Full,
}

/// Steady state of one replica.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SteadyState {
    /// Mean time to first token, seconds.
    pub ttft_seconds: f64,
    /// 95th percentile of the time to first token, seconds.
    pub ttft_p95_seconds: f64,
    /// Mean time per output token, seconds.
    pub tpot_seconds: f64,
    /// 95th percentile of the time per output token, seconds.
    pub tpot_p95_seconds: f64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// Requests in flight, waiting ones included.
    pub concurrency: f64,
    /// Sequences in decode.
    pub decode_batch: f64,
    /// Arrivals exceed what the replica sustains; the figures are those at the sustainable rate, without the queue.
    pub saturated: bool,
    /// Requests wait because no more fit into a decode batch.
    pub waiting: bool,
    /// What ends the growth of the decode batch.
    pub limit: BatchLimit,
    /// Highest rate that the replica sustains, requests per second.
    pub sustainable_request_rate: f64,
    /// One decode iteration.
    pub decode: IterationParts,
    /// Memory of one GPU.
    pub memory: ServingMemory,
    /// Distribution of the latencies under random arrivals; none in a closed loop.
    pub percentiles: Option<LatencyPercentiles>,
}

/// What ends the growth of the decode batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchLimit {
    /// The KV cache is full.
    KvCache,
    /// The engine's limit on sequences.
    Sequences,
    /// Prompts take all of the tokens of an iteration.
    Prefill,
}

/// One stream at a decode batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    parts: IterationParts,
    pub(super) decode: f64,
    mixed: f64,
    /// Share of the iterations that are mixed.
    share: f64,
    pub(super) tpot: f64,
    /// Seconds from the start of a prompt's first chunk to its first token.
    read: f64,
    /// Use of the prompts' share of the iterations, 0 to 1.
    reading: f64,
}

/// Quantile of the standard normal distribution at 95 %.
const Z95: f64 = 1.644_853_626_951_472_2;
/// ln 20: a value that an exponential distribution exceeds by this many means in 5 % of cases.
const LN20: f64 = 2.995_732_273_553_991;

impl ServingModel<'_> {
    /// Steady state of one replica cut by `layout` under `load`. Allocates nothing.
    pub fn point(&self, layout: &LegalLayout, load: &ServingLoad) -> SteadyState {
        self.point_knowing(layout, load, None)
    }

    /// [`ServingModel::point`] where the sustainable request rate of this layout and these lengths is known already from
    /// [`Arrivals::Full`]: a third of the work less.
    pub fn point_knowing(
        &self,
        layout: &LegalLayout,
        load: &ServingLoad,
        sustainable_request_rate: Option<f64>,
    ) -> SteadyState {
        let cut = &layout.cut;
        let stream = Stream::new(self, cut, load);
        let streams = cut.pp * cut.dp;
        let steps = stream.steps;

        if steps <= 0.0 {
            return stream.prefill_only(streams, load);
        }
        let most_rate = sustainable_request_rate.map_or_else(
            || stream.most / (steps * stream.pace(stream.most, f64::INFINITY).tpot),
            |rate| rate / streams,
        );
        let most = streams * most_rate;
        let at_most = |in_flight: f64| (stream.most, stream.pace(stream.most, in_flight), in_flight);
        let ((mut batch, mut pace, in_flight), rate, saturated, waiting) = match load.arrivals {
            Arrivals::Full => (at_most(stream.most), most_rate, false, false),
            Arrivals::Closed(total) => {
                // Fewer requests than streams leave some idle.
                let each = (total / streams).max(total.min(1.0));
                let used = total / each;
                match stream.closed(each) {
                    Some((batch, pace)) => {
                        let rate = batch / (steps * pace.tpot);
                        ((batch, pace, each), rate * used / streams, false, false)
                    }
                    // At this many in flight, which batches meet fewer prompts than under endless demand.
                    None => {
                        let full = at_most(each);
                        let rate = full.0 / (steps * full.1.tpot);
                        (full, rate * used / streams, false, true)
                    }
                }
            }
            Arrivals::Poisson(rate) => {
                let each = rate / streams;
                match stream.open(each, most_rate) {
                    Some((batch, pace)) => ((batch, pace, f64::INFINITY), each, false, false),
                    None => (at_most(f64::INFINITY), most_rate, true, false),
                }
            }
        };
        let mut answer = steps * pace.tpot;
        let base = 0.5 * pace.tpot + pace.read;
        let mut percentiles = None;
        let (ttft, ttft_p95, tpot_p95) = match load.arrivals {
            Arrivals::Poisson(_) => {
                let queued = queue::latencies(&stream, rate, batch);
                let (ttft, tpot) = (queued.percentiles.ttft, queued.percentiles.tpot);
                batch = queued.batch;
                pace = Pace { tpot: tpot.mean_seconds, ..stream.pace(batch, f64::INFINITY) };
                percentiles = Some(queued.percentiles);
                (ttft.mean_seconds, ttft.p95_seconds, tpot.p95_seconds)
            }
            Arrivals::Closed(_) | Arrivals::Full => {
                // Little's law gives what is left of a request's time after its answer; where that is little, the queue's
                // own formula loses fewer digits.
                let direct = stream.first(&pace, in_flight);
                let left = in_flight / (batch / answer) - answer;
                let ttft = if waiting || direct > 0.05 * answer { left } else { direct };
                let ttft = ttft.max(base);
                let p95 = if waiting { ttft + pace.read } else { base + LN20 * (ttft - base) };
                (ttft, p95, pace.tpot + stream.jitter(&pace, batch))
            }
        };
        answer = steps * pace.tpot;
        let requests_per_second = rate * streams;
        stream.state(StateParts {
            ttft,
            ttft_p95,
            tpot: pace.tpot,
            tpot_p95: tpot_p95.max(pace.tpot),
            requests_per_second,
            batch: match load.arrivals {
                Arrivals::Closed(total) => batch * streams.min(total.max(1.0)),
                _ => batch * streams,
            },
            concurrency: match load.arrivals {
                Arrivals::Closed(total) => total,
                Arrivals::Poisson(_) => requests_per_second * (ttft + answer),
                Arrivals::Full => batch * streams,
            },
            saturated,
            waiting,
            // A batch short of the largest may be quicker by a wave of tiles.
            sustainable: most.max(requests_per_second),
            decode: pace.parts,
            kv_batch: batch * cut.pp,
            percentiles,
        })
    }

    /// Seconds of the prefill of one prompt of `input` tokens alone, by part.
    pub fn prefill(&self, layout: &LegalLayout, input: f64) -> IterationParts {
        let chunk = input.min(self.engine.chunk_tokens).max(1.0);
        let read = Work {
            sequences: 0.0,
            keys: 0.0,
            prompt_tokens: chunk,
            prompt_length: input,
            busy: 1.0,
            reading: 1.0 / layout.cut.dp,
        };
        scaled(&self.iteration(&layout.cut, &read), (input / chunk).max(1.0))
    }

    /// Seconds of one batch of `sequences` (of a replica) run from prompt to last token with no other work: prefill, and
    /// all that follows.
    pub fn static_batch_seconds(
        &self,
        layout: &LegalLayout,
        sequences: f64,
        input: f64,
        output: f64,
    ) -> (f64, f64) {
        let cut = &layout.cut;
        let each = (sequences / (cut.dp * cut.pp)).max(1.0);
        let prefill = self.iteration(
            cut,
            &Work {
                sequences: 0.0,
                keys: 0.0,
                prompt_tokens: each * input,
                prompt_length: input,
                busy: 1.0,
                reading: 1.0,
            },
        );
        let decode = self.iteration(
            cut,
            &Work {
                sequences: each,
                keys: input + 0.5 * output,
                prompt_tokens: 0.0,
                prompt_length: 0.0,
                busy: 1.0,
                reading: 0.0,
            },
        );
        (prefill.total_seconds, (output - 1.0).max(0.0) * decode.total_seconds)
    }
}

/// Mean wait `mean` of those who wait, which a share `chance` does: how much 5 % exceed.
fn exceeded(chance: f64, mean: f64) -> f64 {
    if chance > 0.05 { mean * (libm::log(chance) + LN20) } else { 0.0 }
}

/// One of the like streams of a replica.
pub(super) struct Stream<'a> {
    model: &'a ServingModel<'a>,
    cut: &'a Cut,
    pub(super) input: f64,
    output: f64,
    /// Squared coefficients of variation of prompts and answers.
    pub(super) spread: (f64, f64),
    /// Whether requests come at random.
    random: bool,
    /// Decode steps of an answer.
    pub(super) steps: f64,
    /// Largest decode batch.
    pub(super) most: f64,
    limit: BatchLimit,
    busy: f64,
    weights: f64,
    workspace: f64,
    pub(super) capacity: f64,
}

#[derive(Debug, Clone, Copy)]
struct StateParts {
    ttft: f64,
    ttft_p95: f64,
    tpot: f64,
    tpot_p95: f64,
    requests_per_second: f64,
    batch: f64,
    concurrency: f64,
    saturated: bool,
    waiting: bool,
    sustainable: f64,
    decode: IterationParts,
    /// Sequences of one attention rank.
    kv_batch: f64,
    percentiles: Option<LatencyPercentiles>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(model: &'a ServingModel<'a>, cut: &'a Cut, load: &ServingLoad) -> Self {
        let engine = &model.engine;
        let (input, output) = (load.input_tokens, load.output_tokens);
        let weights = model.weight_bytes(cut);
        let workspace = engine.workspace_gib * GIB + (1.0 - engine.memory_share) * model.memory_bytes;
        let capacity = (model.memory_bytes - workspace - weights).max(0.0);
        let steps = output - 1.0;
        let spread = model.spread.unwrap_or(match load.arrivals {
            Arrivals::Poisson(_) => (engine.length_scv, engine.length_scv),
            _ => (0.0, 0.0),
        });
        // Long answers stay longer: those that are there are longer than those that come.
        let reserved = input + engine.answer_reserve * output * (1.0 + spread.1);
        let by_kv = capacity / model.kv_bytes(cut, reserved);
        let by_sequences = engine.max_sequences / cut.pp;
        let by_prefill =
            if steps > 0.0 { engine.chunk_tokens / (1.0 + input / steps) } else { f64::INFINITY };
        let (most, limit) = if by_kv <= by_sequences && by_kv <= by_prefill {
            (by_kv, BatchLimit::KvCache)
        } else if by_sequences <= by_prefill {
            (by_sequences, BatchLimit::Sequences)
        } else {
            (by_prefill, BatchLimit::Prefill)
        };
        let streams = cut.pp * cut.dp;
        let busy = match load.arrivals {
            Arrivals::Closed(total) => (total.max(1.0) / streams).min(1.0),
            _ => 1.0,
        };
        // One request of an attention rank is served even where the cache holds less than one for each of its streams.
        Self {
            model,
            cut,
            input,
            output,
            spread,
            random: matches!(load.arrivals, Arrivals::Poisson(_)),
            steps,
            most: most.max(1.0 / cut.pp),
            limit,
            busy,
            weights,
            workspace,
            capacity,
        }
    }

    /// Mean length of the sequences in decode: an answer that is met by chance is half way through, and longer than the mean
    /// by what the lengths spread (the inspection paradox).
    fn keys(&self) -> f64 {
        self.input + 0.5 * self.output * (1.0 + self.spread.1)
    }

    /// Length of the prompt to which a token belongs: long prompts have more of them.
    fn token_length(&self) -> f64 {
        self.input * (1.0 + self.spread.0)
    }

    /// Seconds of an iteration in which `sequences` decode and `prompts` of `length` tokens are read; of as many as it
    /// takes, where that is more than fits into one.
    pub(super) fn read(&self, sequences: f64, prompts: f64, length: f64) -> f64 {
        let left = (self.model.engine.chunk_tokens - sequences).max(1.0);
        let tokens = prompts * length;
        let chunk = tokens.min(left).max(1.0);
        let work = |prompt_tokens: f64| Work {
            sequences,
            keys: self.keys(),
            prompt_tokens,
            prompt_length: length,
            busy: self.busy,
            reading: 1.0,
        };
        let time = |tokens| self.model.iteration(self.cut, &work(tokens)).total_seconds;
        if tokens <= 0.0 {
            return time(0.0);
        }
        if tokens <= chunk { time(chunk) } else { tokens / chunk * time(chunk) }
    }

    /// Prompt tokens of an iteration at most.
    pub(super) fn chunk(&self, sequences: f64) -> f64 {
        (self.model.engine.chunk_tokens - sequences).max(1.0)
    }

    /// Seconds of an iteration that reads as many prompt tokens as it may.
    pub(super) fn longest(&self, sequences: f64) -> f64 {
        let length = self.token_length();
        self.read(sequences, (self.model.engine.chunk_tokens - sequences).max(1.0) / length, length)
    }

    /// The wait for a place in the batch.
    pub(super) fn place(&self, rate: f64, tpot: f64) -> queue::Cumulants {
        let places = self.most.max(1.0);
        let answer = self.steps * tpot;
        let occupied = (rate * answer / places).min(0.99);
        let chance = libm::pow(occupied, libm::sqrt(2.0 * (places + 1.0)) - 1.0);
        let mean = 0.5 * (1.0 + self.spread.1) * answer / (places * (1.0 - occupied));
        queue::Cumulants::of(chance * mean, 2.0 * chance * mean * mean, 6.0 * chance * mean * mean * mean)
    }

    /// Sequences that a sequence in decode sees in its batch, itself included, with `in_flight` requests in all.
    fn seen(&self, batch: f64, in_flight: f64) -> f64 {
        (batch + 1.0 - batch / in_flight).min(self.most).max(1.0)
    }

    pub(super) fn pace(&self, batch: f64, in_flight: f64) -> Pace {
        let model = self.model;
        let others =
            if in_flight.is_finite() { (in_flight - 1.0).max(0.0) / in_flight.max(1.0) } else { 1.0 };
        let left = (model.engine.chunk_tokens - batch).max(1.0);
        let due = batch / self.steps * self.input;
        let one = if self.random {
            // The prompts that came in an iteration are read in the next: as many as a Poisson number that is not 0.
            let prompts = batch / self.steps;
            if prompts > 1e-9 { self.input * prompts / (1.0 - libm::exp(-prompts)) } else { self.input }
        } else {
            self.input
        };
        let chunk = due.max(one.min(left)).max(1.0);
        let mut share = (due / chunk).min(1.0) * others;
        let mut reading = 1.0;
        if self.cut.dp > 1.0 && model.sizes.moe.is_some() {
            // Attention ranks meet in every expert layer: one that reads a prompt holds up all.
            // By chance the union of their readings; a scheduler that aligns them brings it down to one rank's share.
            let chance = 1.0 - libm::pow(1.0 - share, self.cut.dp);
            let any = chance + model.engine.rank_alignment * (share - chance);
            reading = if any > 0.0 { (share / any).max(1.0 / self.cut.dp) } else { 1.0 / self.cut.dp };
            share = any;
        }
        let sequences = self.seen(batch, in_flight);
        let work = Work {
            sequences,
            keys: self.keys(),
            prompt_tokens: 0.0,
            prompt_length: self.token_length(),
            busy: self.busy,
            reading: 0.0,
        };
        let parts = model.iteration(self.cut, &work);
        let decode = parts.total_seconds;
        let beside = batch * others;
        let mixed = model
            .iteration(self.cut, &Work { sequences: beside, prompt_tokens: chunk, reading, ..work })
            .total_seconds
            .max(decode);
        Pace {
            parts,
            decode,
            mixed,
            share,
            tpot: (1.0 - share) * decode + share * mixed,
            read: (self.input / chunk).max(1.0) * mixed,
            reading: due / left,
        }
    }

    /// Time to first token in a closed loop: half an iteration, the queue before it, its own chunks.
    fn first(&self, pace: &Pace, in_flight: f64) -> f64 {
        let others = (in_flight - 1.0).max(0.0) / in_flight.max(1.0);
        0.5 * pace.tpot * others + pace.read / (1.0 - pace.reading * others).max(1e-9)
    }

    /// Decode batch of a closed loop of `in_flight` requests; none where they exceed the largest batch.
    fn closed(&self, in_flight: f64) -> Option<(f64, Pace)> {
        let excess = |batch: f64| {
            let pace = self.pace(batch, in_flight);
            let requests = batch * (1.0 + self.first(&pace, in_flight) / (self.steps * pace.tpot));
            (requests - in_flight, pace)
        };
        root(in_flight.min(self.most), -in_flight, excess)
    }

    /// Decode batch at which answers end as fast as requests come; none from the highest rate on.
    fn open(&self, rate: f64, most_rate: f64) -> Option<(f64, Pace)> {
        if rate >= most_rate {
            return None;
        }
        root(self.most, -rate, |batch| {
            let pace = self.pace(batch, f64::INFINITY);
            (batch / (self.steps * pace.tpot) - rate, pace)
        })
    }

    /// What 5 % of answers lose more than the mean to the prompts of others, per token: their number is Poisson.
    fn jitter(&self, pace: &Pace, batch: f64) -> f64 {
        let meets = pace.share * self.steps;
        if batch <= 1.0 || meets <= 0.0 {
            return 0.0;
        }
        Z95 * libm::sqrt(meets) * (pace.mixed - pace.decode) / self.steps
    }

    /// Answers of one token: nothing decodes.
    fn prefill_only(&self, streams: f64, load: &ServingLoad) -> SteadyState {
        let model = self.model;
        let chunk = model.engine.chunk_tokens;
        let time = |tokens: f64| {
            let work = Work {
                sequences: 0.0,
                keys: 0.0,
                prompt_tokens: tokens,
                prompt_length: self.input,
                busy: self.busy,
                reading: 1.0,
            };
            model.iteration(self.cut, &work).total_seconds
        };
        let alone = (self.input / chunk).max(1.0) * time(self.input.min(chunk));
        let packed = time(chunk.max(self.input.min(chunk))) * self.input / chunk;
        let most = 1.0 / packed;
        let scv = model.engine.length_scv;
        let (ttft, p95, rate, concurrency, saturated) = match load.arrivals {
            Arrivals::Full => (alone, alone, most, most * alone, false),
            Arrivals::Closed(total) => {
                let each = (total / streams).max(total.min(1.0));
                let used = total / each / streams;
                let ttft = alone + packed * (each - 1.0).max(0.0);
                (ttft, ttft, each / ttft * used, total / streams, false)
            }
            Arrivals::Poisson(rate) => {
                let each = rate / streams;
                let load = each / most;
                if load >= 1.0 {
                    (alone, alone, most, most * alone, true)
                } else {
                    let queue = 0.5 * (1.0 + scv) * packed / (1.0 - load);
                    let ttft = alone + load * queue;
                    (ttft, alone + exceeded(load, queue), each, each * ttft, false)
                }
            }
        };
        let decode = model.iteration(
            self.cut,
            &Work {
                sequences: 1.0,
                keys: self.keys(),
                prompt_tokens: 0.0,
                prompt_length: 0.0,
                busy: self.busy,
                reading: 0.0,
            },
        );
        self.state(StateParts {
            ttft,
            ttft_p95: p95,
            tpot: decode.total_seconds,
            tpot_p95: decode.total_seconds,
            requests_per_second: rate * streams,
            batch: 0.0,
            concurrency: concurrency * streams,
            saturated,
            waiting: false,
            sustainable: most * streams,
            decode,
            kv_batch: 0.0,
            percentiles: None,
        })
    }

    fn state(&self, parts: StateParts) -> SteadyState {
        SteadyState {
            ttft_seconds: parts.ttft,
            ttft_p95_seconds: parts.ttft_p95.max(parts.ttft),
            tpot_seconds: parts.tpot,
            tpot_p95_seconds: parts.tpot_p95,
            requests_per_second: parts.requests_per_second,
            concurrency: parts.concurrency,
            decode_batch: parts.batch,
            saturated: parts.saturated,
            waiting: parts.waiting,
            limit: self.limit,
            sustainable_request_rate: parts.sustainable,
            decode: parts.decode,
            memory: self.memory(parts.kv_batch),
            percentiles: parts.percentiles,
        }
    }

    /// Memory of one GPU with `sequences` of one attention rank in decode.
    fn memory(&self, sequences: f64) -> ServingMemory {
        let (model, cut) = (self.model, self.cut);
        // The stages share an attention rank's sequences: each holds its layers of all of them.
        let of = |tokens: f64| model.kv_bytes(cut, tokens) / cut.pp;
        let one = of(self.input + self.output);
        let used = sequences * of(self.keys());
        let workspace = self.workspace.min(model.memory_bytes);
        let tokens = if one > 0.0 { self.capacity / one * (self.input + self.output) * cut.dp } else { 0.0 };
        ServingMemory {
            weights_gib: self.weights / GIB,
            workspace_gib: workspace / GIB,
            kv_capacity_gib: self.capacity / GIB,
            kv_used_gib: used / GIB,
            kv_used_share: if self.capacity > 0.0 { used / self.capacity } else { 0.0 },
            kv_capacity_tokens: tokens,
            total_gib: (self.weights + workspace + used) / GIB,
            available_gib: model.memory_bytes / GIB,
            fits: self.capacity >= one,
        }
    }
}

fn scaled(parts: &IterationParts, by: f64) -> IterationParts {
    IterationParts {
        matmul_seconds: parts.matmul_seconds * by,
        attention_seconds: parts.attention_seconds * by,
        memory_bound_seconds: parts.memory_bound_seconds * by,
        all_reduce_seconds: parts.all_reduce_seconds * by,
        all_to_all_seconds: parts.all_to_all_seconds * by,
        pipeline_seconds: parts.pipeline_seconds * by,
        engine_seconds: parts.engine_seconds * by,
        total_seconds: parts.total_seconds * by,
    }
}

/// Where the first of `f`, which rises from `at_zero` < 0 at 0, meets 0 on 0..=`high`, with the second there; none where
/// it stays below. False position with the Illinois weights, to a thousandth of `at_zero` or of the batch.
fn root(high: f64, at_zero: f64, f: impl Fn(f64) -> (f64, Pace)) -> Option<(f64, Pace)> {
    let (mut a, mut fa, mut b) = (0.0, at_zero, high);
    let (mut fb, mut at_b) = f(b);
    if fb < 0.0 {
        return None;
    }
    let mut side = 0;
    for _ in 0..24 {
        if b - a <= 1e-3 * b || fb == fa {
            break;
        }
        let x = (a * fb - b * fa) / (fb - fa);
        let (fx, at_x) = f(x);
        if fx.abs() <= 1e-3 * at_zero.abs() {
            return Some((x, at_x));
        }
        if fx < 0.0 {
            (a, fa) = (x, fx);
            if side == -1 {
                fb *= 0.5;
            }
            side = -1;
        } else {
            (b, fb, at_b) = (x, fx, at_x);
            if side == 1 {
                fa *= 0.5;
            }
            side = 1;
        }
    }
    Some((b, at_b))
}
