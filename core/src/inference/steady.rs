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

impl ServingLoad {
    /// The same lengths at `rate` requests per second at random times.
    pub(super) fn at_random(&self, rate: f64) -> Self {
        Self { arrivals: Arrivals::Poisson(rate), ..*self }
    }
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
    /// What that iteration works on.
    pub(crate) decode_work: Work,
    /// Memory of one GPU.
    pub memory: ServingMemory,
    /// Distribution of the latencies under random arrivals of a stated spread; else none.
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
    work: Work,
    pub(super) decode: f64,
    pub(super) mixed: f64,
    /// Share of the iterations that are mixed.
    share: f64,
    pub(super) tpot: f64,
    /// Seconds from the start of a prompt's first chunk to its first token.
    pub(super) read: f64,
    /// Use of the prompts' share of the iterations, 0 to 1.
    reading: f64,
}

/// Quantile of the standard normal distribution at 95 %.
const Z95: f64 = 1.644_853_626_951_472_2;
/// ln 20: a value that an exponential distribution exceeds by this many means in 5 % of cases.
pub(super) const LN20: f64 = 2.995_732_273_553_991;

impl ServingModel<'_> {
    /// Steady state of one replica cut by `layout` under `load`. Allocates nothing.
    pub fn point(&self, layout: &LegalLayout, load: &ServingLoad) -> SteadyState {
        self.point_knowing(layout, load, None)
    }

    /// [`ServingModel::point`] where the sustainable request rate of this layout, these lengths and this kind of arrivals
    /// is known already.
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
        let most_rate = sustainable_request_rate.map_or_else(|| stream.sustainable(), |rate| rate / streams);
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
        let accepted = self.accepted_tokens();
        let base = stream.request() + 0.5 * pace.tpot + pace.read;
        let mut percentiles = None;
        let (ttft, ttft_p95, tpot_p95) = match load.arrivals {
            Arrivals::Poisson(_) if stream.random => {
                let queued = queue::latencies(&stream, rate, batch, &pace);
                let (ttft, tpot) = (queued.percentiles.ttft, queued.percentiles.tpot);
                batch = queued.batch;
                let (parts, work) = stream.step(batch, f64::INFINITY);
                pace = Pace { parts, work, tpot: tpot.mean_seconds, ..pace };
                percentiles = Some(LatencyPercentiles { ttft, tpot: tpot.scaled(1.0 / accepted) });
                (ttft.mean_seconds, ttft.p95_seconds, tpot.p95_seconds)
            }
            Arrivals::Poisson(_) => {
                let wait = if saturated { None } else { Some((rate / most_rate).min(1.0)) };
                let (more, ttft_p95, tpot_p95) = stream.fitted(&pace, batch, wait);
                (base + more, ttft_p95, tpot_p95)
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
            // An iteration gives a sequence all of the drafted tokens that it accepts.
            tpot: pace.tpot / accepted,
            tpot_p95: tpot_p95.max(pace.tpot) / accepted,
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
            decode_work: pace.work,
            kv_batch: batch * cut.pp,
            percentiles,
        })
    }

    /// Highest rate that one replica sustains under such arrivals, requests per second. Lengths that spread, as those of
    /// random arrivals do, are sustained at a lower rate than like ones.
    pub(crate) fn sustainable_rate(&self, layout: &LegalLayout, load: &ServingLoad) -> f64 {
        let stream = Stream::new(self, &layout.cut, load);
        layout.cut.pp * layout.cut.dp * stream.sustainable()
    }

    /// Seconds of the prefill of one prompt of `input` tokens alone, by part.
    pub fn prefill(&self, layout: &LegalLayout, input: f64) -> IterationParts {
        let (chunk, chunks) = self.prefill_chunk(layout, input);
        scaled(&self.iteration(&layout.cut, &chunk), chunks)
    }

    /// The chunk of a prompt of `input` tokens that an iteration reads when it has nothing else to do, and how many there
    /// are; 0 where prompts come read.
    pub(crate) fn prefill_chunk(&self, layout: &LegalLayout, input: f64) -> (Work, f64) {
        let unread = self.prefix.unread(input);
        let chunk = unread.min(self.engine.chunk_tokens).max(1.0);
        let read = Work {
            sequences: 0.0,
            keys: 0.0,
            prompt_tokens: if unread > 0.0 { chunk } else { 0.0 },
            prompt_length: input,
            busy: 1.0,
            reading: 1.0 / layout.cut.dp,
        };
        (read, if unread > 0.0 { (unread / chunk).max(1.0) } else { 0.0 })
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
    pub(super) output: f64,
    /// Tokens of a prompt that are to be read: those not found in the cache.
    pub(super) unread: f64,
    /// Squared coefficients of variation of prompts and answers.
    pub(super) spread: (f64, f64),
    /// Whether requests of a known spread come at random.
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
    decode_work: Work,
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
        let unread = model.prefix.unread(input);
        let steps = (output - 1.0) / model.accepted_tokens();
        let spread = model.spread.unwrap_or((0.0, 0.0));
        // Long answers stay longer: those that are there are longer than those that come.
        let reserved = input + engine.answer_reserve * output * (1.0 + spread.1);
        let own = model.kv_bytes(cut, reserved) * model.prefix.own_share(input, reserved);
        let by_kv = (capacity - model.prefix.shared_bytes(model, cut, input)).max(0.0) / own;
        let by_sequences = engine.max_sequences / cut.pp;
        let by_prefill = if steps > 0.0 {
            engine.chunk_tokens / (model.tokens_per_sequence() + unread / steps)
        } else {
            f64::INFINITY
        };
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
            unread,
            spread,
            random: model.spread.is_some() && matches!(load.arrivals, Arrivals::Poisson(_)),
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
        let tokens = prompts * self.model.prefix.unread(length);
        let chunk = tokens.min(self.chunk(sequences)).max(1.0);
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
        (self.model.engine.chunk_tokens - sequences * self.model.tokens_per_sequence()).max(1.0)
    }

    /// Seconds of an iteration that reads as many prompt tokens as it may.
    pub(super) fn longest(&self, sequences: f64) -> f64 {
        let length = self.token_length();
        let unread = self.model.prefix.unread(length);
        let prompts = if unread > 0.0 { self.chunk(sequences) / unread } else { 0.0 };
        self.read(sequences, prompts, length)
    }

    /// Seconds of host work before a request's prompt; where prompts come read, the GPUs that read them did it.
    pub(super) fn request(&self) -> f64 {
        if self.unread > 0.0 { self.model.engine.request_s } else { 0.0 }
    }

    /// Decode iterations of an answer of `tokens`, at least 1.
    pub(super) fn steps_of(&self, tokens: f64) -> f64 {
        ((tokens - 1.0) / self.model.accepted_tokens()).max(1.0)
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

    /// An iteration that only decodes.
    fn step(&self, batch: f64, in_flight: f64) -> (IterationParts, Work) {
        let work = Work {
            sequences: self.seen(batch, in_flight),
            keys: self.keys(),
            prompt_tokens: 0.0,
            prompt_length: self.token_length(),
            busy: self.busy,
            reading: 0.0,
        };
        (self.model.iteration(self.cut, &work), work)
    }

    /// Seconds of one with `batch` sequences of any number of requests.
    pub(super) fn step_seconds(&self, batch: f64) -> f64 {
        self.step(batch, f64::INFINITY).0.total_seconds
    }

    pub(super) fn pace(&self, batch: f64, in_flight: f64) -> Pace {
        let model = self.model;
        let others =
            if in_flight.is_finite() { (in_flight - 1.0).max(0.0) / in_flight.max(1.0) } else { 1.0 };
        let left = self.chunk(batch);
        let due = batch / self.steps * self.unread;
        let one = if self.random {
            // The prompts that came in an iteration are read in the next: as many as a Poisson number that is not 0.
            let prompts = batch / self.steps;
            if prompts > 1e-9 { self.unread * prompts / (1.0 - libm::exp(-prompts)) } else { self.unread }
        } else {
            self.unread
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
        let (parts, work) = self.step(batch, in_flight);
        let decode = parts.total_seconds;
        if self.unread <= 0.0 {
            // Prompts come read: no iteration has a share of them.
            return Pace {
                parts,
                work,
                decode,
                mixed: decode,
                share: 0.0,
                tpot: decode,
                read: 0.0,
                reading: 0.0,
            };
        }
        let beside = batch * others;
        let mixed = model
            .iteration(self.cut, &Work { sequences: beside, prompt_tokens: chunk, reading, ..work })
            .total_seconds
            .max(decode);
        Pace {
            parts,
            work,
            decode,
            mixed,
            share,
            tpot: (1.0 - share) * decode + share * mixed,
            read: (self.unread / chunk).max(1.0) * mixed,
            reading: due / left,
        }
    }

    /// Time to first token in a closed loop: half an iteration, the queue before it, its own chunks.
    fn first(&self, pace: &Pace, in_flight: f64) -> f64 {
        let others = (in_flight - 1.0).max(0.0) / in_flight.max(1.0);
        self.request() + 0.5 * pace.tpot * others + pace.read / (1.0 - pace.reading * others).max(1e-9)
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
        // The time per token is nearly linear in the batch, and so is what a batch exceeds the one that it needs by.
        let needs = rate * self.steps;
        let at_zero = -needs * self.step_seconds(0.0);
        let at_most = self.most * (1.0 - rate / most_rate);
        let (batch, pace) = between((0.0, at_zero), (self.most, at_most), 1e-3 * at_zero.abs(), |batch| {
            let pace = self.pace(batch, f64::INFINITY);
            (batch - needs * pace.tpot, pace)
        });
        Some((batch, pace.unwrap_or_else(|| self.pace(batch, f64::INFINITY))))
    }

    /// Highest rate that the stream sustains, requests per second: that of its largest batch, or of prompts packed into full
    /// chunks where answers have one token.
    fn sustainable(&self) -> f64 {
        if self.steps > 0.0 {
            return self.most / (self.steps * self.pace(self.most, f64::INFINITY).tpot);
        }
        let chunk = self.model.engine.chunk_tokens;
        let work = Work {
            sequences: 0.0,
            keys: 0.0,
            prompt_tokens: chunk,
            prompt_length: self.input,
            busy: self.busy,
            reading: 1.0,
        };
        let seconds = self.model.iteration(self.cut, &work).total_seconds;
        1.0 / (seconds * self.unread.max(1.0) / chunk)
    }

    /// Under random arrivals of lengths of no stated spread: mean seconds that first tokens wait, and the 95th percentiles of
    /// the times to first token and per iteration; with the share of the places that are `occupied`, if the queue ends.
    fn fitted(&self, pace: &Pace, batch: f64, occupied: Option<f64>) -> (f64, f64, f64) {
        let scv = self.model.engine.length_scv;
        let used = pace.reading.min(1.0);
        let queue = 0.5 * (1.0 + scv) * pace.read / (1.0 - used).max(1e-9);
        // A place in the batch: c places, each held for an answer's time.
        let places = self.most.max(1.0);
        let (chance, mean) = occupied.map_or((0.0, 0.0), |occupied| {
            let chance = libm::pow(occupied, libm::sqrt(2.0 * (places + 1.0)) - 1.0);
            let answer = self.steps * pace.tpot;
            (chance, 0.5 * (1.0 + scv) * answer / (places * (1.0 - occupied).max(1e-9)))
        });
        // A prompt longer than all but 5 %, come just after an iteration began. The share of its time is exact for
        // lengths without spread and for exponential ones (ln 20 means).
        let ttft_p95 = self.request()
            + 0.95 * pace.tpot
            + pace.read * (1.0 + (LN20 - 1.0) * libm::sqrt(scv))
            + exceeded(used, queue)
            + if chance > 0.0 { exceeded(chance, mean) } else { 0.0 };
        // The batch varies as a Poisson number; a larger one slows every token of an answer.
        let high = (batch + Z95 * libm::sqrt(batch)).min(self.most.max(batch));
        let slow = self.pace(high, f64::INFINITY);
        (used * queue + chance * mean, ttft_p95, slow.tpot + self.jitter(&slow, high))
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
        let unread = self.unread.max(1.0);
        let alone = model.engine.request_s + (unread / chunk).max(1.0) * time(unread.min(chunk));
        let most = self.sustainable();
        let packed = 1.0 / most;
        let scv = model.random_spread().0;
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
        let decode_work = Work {
            sequences: 1.0,
            keys: self.keys(),
            prompt_tokens: 0.0,
            prompt_length: 0.0,
            busy: self.busy,
            reading: 0.0,
        };
        let decode = model.iteration(self.cut, &decode_work);
        self.state(StateParts {
            ttft,
            ttft_p95: p95,
            tpot: decode.total_seconds / model.accepted_tokens(),
            tpot_p95: decode.total_seconds / model.accepted_tokens(),
            requests_per_second: rate * streams,
            batch: 0.0,
            concurrency: concurrency * streams,
            saturated,
            waiting: false,
            sustainable: most * streams,
            decode,
            decode_work,
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
            decode_work: parts.decode_work,
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
        let shared = model.prefix.shared_bytes(model, cut, self.input);
        let alone = |tokens: f64| of(tokens) * model.prefix.own_share(self.input, tokens);
        let used = sequences * alone(self.keys()) + shared;
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
            fits: self.capacity >= alone(self.input + self.output) + shared,
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
        draft_seconds: parts.draft_seconds * by,
        engine_seconds: parts.engine_seconds * by,
        total_seconds: parts.total_seconds * by,
    }
}

/// Where the first of `f`, which rises from `at_zero` < 0 at 0, meets 0 on 0..=`high`, with the second there; none where
/// it stays below. False position with the Illinois weights, to a thousandth of `at_zero` or of the batch.
pub(super) fn root<T>(high: f64, at_zero: f64, f: impl Fn(f64) -> (f64, T)) -> Option<(f64, T)> {
    let (fb, at_b) = f(high);
    if fb < 0.0 {
        return None;
    }
    let (x, at_x) = between((0.0, at_zero), (high, fb), 1e-3 * at_zero.abs(), f);
    Some((x, at_x.unwrap_or(at_b)))
}

/// [`root`] between `a` and `b`, at which the first of `f` is known: to `near` or a thousandth of where it lies. Without the
/// second where it lies at `b` itself.
fn between<T>(
    (mut a, mut fa): (f64, f64),
    (mut b, mut fb): (f64, f64),
    near: f64,
    f: impl Fn(f64) -> (f64, T),
) -> (f64, Option<T>) {
    let (mut side, mut at_b) = (0, None);
    for _ in 0..24 {
        if b - a <= 1e-3 * b || fb == fa {
            break;
        }
        let x = (a * fb - b * fa) / (fb - fa);
        let (fx, at_x) = f(x);
        if fx.abs() <= near {
            return (x, Some(at_x));
        }
        if fx < 0.0 {
            (a, fa) = (x, fx);
            if side == -1 {
                fb *= 0.5;
            }
            side = -1;
        } else {
            (b, fb, at_b) = (x, fx, Some(at_x));
            if side == 1 {
                fa *= 0.5;
            }
            side = 1;
        }
    }
    (b, at_b)
}
