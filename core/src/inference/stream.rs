//! One of the like streams of a replica: its largest batch, its pace, the batch where it settles, its memory.
//!
//! Every iteration gives each of B sequences a token; B/(answer − 1) prompts must be read per iteration to replace the
//! sequences that end, and they ride along in chunks: a share f of the iterations is mixed,
//! `TPOT = (1 − f)·t(decode) + f·t(decode + chunk)`.

mod prefill;

use super::chunks::Reading;
use super::cut::Cut;
use super::iteration::{ServingModel, Work};
use super::ranks::{Ranks, Turns};
use super::root::{between, root};
use super::steady::{Arrivals, BatchLimit, ServingLoad, SteadyState};
use super::{IterationParts, LatencyPercentiles, ServingMemory, queue};
use crate::quantity::GIB;

/// Quantile of the standard normal distribution at 95 %.
pub(super) const Z95: f64 = 1.644_853_626_951_472_2;
/// ln 20: a value that an exponential distribution exceeds by this many means in 5 % of cases.
pub(super) const LN20: f64 = 2.995_732_273_553_991;

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
    /// Whether requests come at random.
    pub(super) random: bool,
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

/// One stream at a decode batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) parts: IterationParts,
    pub(super) work: Work,
    pub(super) decode: f64,
    pub(super) mixed: f64,
    /// Share of the iterations that are mixed.
    pub(super) share: f64,
    pub(super) tpot: f64,
    /// Seconds from the start of a prompt's first chunk to its first token.
    pub(super) read: f64,
    /// Use of the prompts' share of the iterations, 0 to 1.
    pub(super) reading: f64,
    /// Of ranks that meet in the experts, where requests come at random.
    pub(super) ranks: Option<(Ranks, Turns)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct StateParts {
    pub(super) ttft: f64,
    pub(super) ttft_p95: f64,
    pub(super) tpot: f64,
    pub(super) tpot_p95: f64,
    pub(super) requests_per_second: f64,
    pub(super) batch: f64,
    pub(super) concurrency: f64,
    pub(super) saturated: bool,
    pub(super) waiting: bool,
    pub(super) sustainable: f64,
    pub(super) decode: IterationParts,
    pub(super) decode_work: Work,
    /// Sequences of one attention rank.
    pub(super) kv_batch: f64,
    pub(super) percentiles: Option<LatencyPercentiles>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(model: &'a ServingModel<'a>, cut: &'a Cut, load: &ServingLoad) -> Self {
        let engine = &model.engine;
        let (input, output) = (load.input_tokens, load.output_tokens);
        let weights = model.weight_bytes(cut);
        let workspace = engine.reserved_bytes(model.memory_bytes, weights, model.sizes.vocab);
        let capacity = (model.memory_bytes - workspace - weights).max(0.0);
        let unread = model.prefix.unread(input);
        let steps = (output - 1.0) / model.accepted_tokens();
        let random = matches!(load.arrivals, Arrivals::Poisson(_));
        let spread = if random { model.random_spread() } else { model.spread.unwrap_or((0.0, 0.0)) };
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
            random,
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

    /// Iterations between two looks of the scheduler for new requests, at least 1.
    pub(super) fn poll(&self) -> f64 {
        self.model.engine.poll_iterations.max(1.0)
    }

    /// Seconds of host work before a request's prompt; where prompts come read, the GPUs that read them did it.
    pub(super) fn request(&self) -> f64 {
        if self.unread > 0.0 { self.model.engine.request_seconds(self.input) } else { 0.0 }
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

    /// Share of the attention ranks that have sequences, as a sequence sees it.
    fn busy(&self, batch: f64) -> f64 {
        if self.random && self.meets() && batch < 1.0 {
            return batch + (1.0 - batch) / self.cut.dp;
        }
        self.busy
    }

    /// An iteration that only decodes.
    pub(super) fn step(&self, batch: f64, in_flight: f64) -> (IterationParts, Work) {
        let work = Work {
            sequences: self.seen(batch, in_flight),
            keys: self.keys(),
            prompt_tokens: 0.0,
            prompt_length: self.token_length(),
            busy: self.busy(batch),
            reading: 0.0,
        };
        (self.model.iteration(self.cut, &work), work)
    }

    /// Seconds of one with `batch` sequences of any number of requests.
    pub(super) fn step_seconds(&self, batch: f64) -> f64 {
        self.step(batch, f64::INFINITY).0.total_seconds
    }

    pub(super) fn pace(&self, batch: f64, in_flight: f64) -> Pace {
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
                ranks: None,
            };
        }
        let meet = self.meets();
        if meet && self.random {
            self.pace_of_ranks(batch, None, (parts, work))
        } else {
            self.pace_of_one(batch, in_flight, meet, (parts, work))
        }
    }

    /// Pace under random arrivals of `rate` per second.
    pub(super) fn pace_at(&self, batch: f64, rate: f64) -> Pace {
        if self.unread > 0.0 && self.meets() {
            return self.pace_of_ranks(batch, Some(rate), self.step(batch, f64::INFINITY));
        }
        self.pace(batch, f64::INFINITY)
    }

    /// Whether a token takes longer than so many seconds with `batch` sequences under random arrivals of `rate` per second.
    pub(super) fn pace_beyond(&self, batch: f64, rate: f64, seconds: f64) -> bool {
        // Decode alone tells most of what is slow.
        self.step_seconds(batch) > seconds || self.pace_at(batch, rate).tpot > seconds
    }

    /// Whether it is one of attention ranks that meet in every layer of experts.
    fn meets(&self) -> bool {
        self.cut.dp > 1.0 && self.model.sizes.moe.is_some()
    }

    /// Pace of a stream that reads its prompts for itself; of attention ranks that `meet` in the experts, aligned as closed
    /// loops show it.
    fn pace_of_one(
        &self,
        batch: f64,
        in_flight: f64,
        meet: bool,
        (parts, work): (IterationParts, Work),
    ) -> Pace {
        let model = self.model;
        let decode = parts.total_seconds;
        let others =
            if in_flight.is_finite() { (in_flight - 1.0).max(0.0) / in_flight.max(1.0) } else { 1.0 };
        let left = self.chunk(batch);
        let due = batch / self.steps * self.unread;
        let one = if self.random {
            // The prompts that came in an iteration are read in the next: as many as a Poisson number that is not 0.
            let prompts = batch / self.steps * self.poll();
            if prompts > 1e-9 { self.unread * prompts / (1.0 - libm::exp(-prompts)) } else { self.unread }
        } else {
            self.unread
        };
        let chunk = due.max(one.min(left)).max(1.0);
        let mut share = (due / chunk).min(1.0) * others;
        let mut reading = 1.0;
        if meet {
            // Attention ranks meet in every expert layer: one that reads a prompt holds up all.
            // By chance the union of their readings; a scheduler that aligns them brings it down to one rank's share.
            let chance = 1.0 - libm::pow(1.0 - share, self.cut.dp);
            let any = chance + model.engine.rank_alignment * (share - chance);
            reading = if any > 0.0 { (share / any).max(1.0 / self.cut.dp) } else { 1.0 / self.cut.dp };
            share = any;
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
            ranks: None,
        }
    }

    /// Pace of attention ranks that meet in the experts and read prompts when these come: so many per second to each, or as many
    /// as answers end.
    fn pace_of_ranks(&self, batch: f64, rate: Option<f64>, (parts, work): (IterationParts, Work)) -> Pace {
        let decode = parts.total_seconds;
        let count = self.cut.dp;
        // Long prompts have more of the tokens.
        let length = self.token_length();
        let prompt_s = self.adds(batch, length, 1.0 / count, decode) * self.input / length;
        let all_s = self.adds(batch, length, 1.0, decode) * self.input / length;
        let any_s = (all_s - prompt_s).max(0.0) / (count - 1.0);
        let most = self.chunk(batch) / self.unread;
        let ranks = Ranks { count, prompt_s, scv: self.spread.0, any_s, most };
        let turns = match rate {
            Some(rate) => ranks.turns(decode, rate * count),
            None => self.endless(batch, decode),
        };
        Pace {
            parts,
            work,
            decode,
            mixed: decode + turns.more,
            share: turns.share,
            tpot: turns.mean(),
            read: decode + ranks.prompt_s,
            reading: batch / self.steps * self.unread / self.chunk(batch),
            ranks: Some((ranks, turns)),
        }
    }

    /// Iterations of such ranks under endless demand, which decode for `decode` seconds: as many prompts begin as answers end, in each.
    fn endless(&self, batch: f64, decode: f64) -> Turns {
        let count = self.cut.dp;
        let most = self.chunk(batch) / self.unread;
        let begin = (batch / self.steps).min(most);
        let reading = Reading::new(count, begin, most, (self.spread.0, 1.0));
        let work = Work {
            sequences: self.seen(batch, f64::INFINITY),
            keys: self.keys(),
            prompt_tokens: (reading.fullest * self.unread).max(1.0),
            prompt_length: self.token_length(),
            busy: self.busy(batch),
            reading: begin / (reading.share * reading.fullest),
        };
        let more = (self.model.iteration(self.cut, &work).total_seconds - decode).max(0.0);
        Turns::of_endless(decode, more, count * begin, &reading)
    }

    /// Seconds that a prompt of `length` adds to iterations of `decode` seconds in which a share `reading` of the attention ranks
    /// reads, each as much.
    pub(super) fn adds(&self, batch: f64, length: f64, reading: f64, decode: f64) -> f64 {
        let unread = self.model.prefix.unread(length);
        let chunk = unread.min(self.chunk(batch)).max(1.0);
        let work = Work {
            sequences: self.seen(batch, f64::INFINITY),
            keys: self.keys(),
            prompt_tokens: chunk,
            prompt_length: length,
            busy: self.busy(batch),
            reading,
        };
        let seconds = self.model.iteration(self.cut, &work).total_seconds;
        (unread / chunk).max(1.0) * (seconds - decode).max(0.0)
    }

    /// Seconds of an iteration in which one attention rank reads a prompt of `length` and nothing decodes.
    pub(super) fn alone(&self, length: f64) -> f64 {
        let unread = self.model.prefix.unread(length);
        let chunk = unread.min(self.chunk(0.0)).max(1.0);
        (unread / chunk).max(1.0) * self.reading(chunk, length, 1.0 / self.cut.dp)
    }

    /// Time to first token in a closed loop: half an iteration, what the scheduler waits, the queue before it, its own chunks.
    pub(super) fn first(&self, pace: &Pace, batch: f64, in_flight: f64) -> f64 {
        let others = (in_flight - 1.0).max(0.0) / in_flight.max(1.0);
        self.request()
            + (0.5 * pace.tpot + self.held(batch) * pace.decode) * others
            + pace.read / (1.0 - pace.reading * others).max(1e-9)
    }

    /// Decode iterations that a prompt waits for the scheduler: half of those between two looks; and of a time in which
    /// prompts are gathered the whole for the first and half for those that come in it, at as many an iteration as answers
    /// end. Attention ranks that meet in the experts gather together.
    fn held(&self, batch: f64) -> f64 {
        let engine = &self.model.engine;
        let ranks = if self.model.sizes.moe.is_some() { self.cut.dp } else { 1.0 };
        let gathered = engine.gather_iterations * ranks * batch / self.steps;
        0.5 * (engine.poll_iterations - 1.0).max(0.0)
            + engine.gather_iterations * (1.0 + 0.5 * gathered) / (1.0 + gathered)
    }

    /// Decode batch of a closed loop of `in_flight` requests; none where they exceed the largest batch.
    pub(super) fn closed(&self, in_flight: f64) -> Option<(f64, Pace)> {
        let excess = |batch: f64| {
            let pace = self.pace(batch, in_flight);
            let requests = batch * (1.0 + self.first(&pace, batch, in_flight) / (self.steps * pace.tpot));
            (requests - in_flight, pace)
        };
        root(in_flight.min(self.most), -in_flight, excess)
    }

    /// Decode batch at which answers end as fast as requests come; none from the highest rate on.
    pub(super) fn open(&self, rate: f64, most_rate: f64) -> Option<(f64, Pace)> {
        if rate >= most_rate {
            return None;
        }
        // The time per token is nearly linear in the batch, and so is what a batch exceeds the one that it needs by.
        let needs = rate * self.steps;
        let at_zero = -needs * self.step_seconds(0.0);
        let at_most = self.most * (1.0 - rate / most_rate);
        let (batch, pace) = between((0.0, at_zero), (self.most, at_most), 1e-3 * at_zero.abs(), |batch| {
            let pace = self.pace_at(batch, rate);
            (batch - needs * pace.tpot, pace)
        });
        Some((batch, pace.unwrap_or_else(|| self.pace_at(batch, rate))))
    }

    /// Highest rate that the stream sustains, requests per second: that of its largest batch, or of prompts packed into full
    /// chunks where answers have one token.
    pub(super) fn sustainable(&self) -> f64 {
        if self.steps > 0.0 {
            if self.unread > 0.0 && self.meets() && self.random {
                let turns = self.endless(self.most, self.step_seconds(self.most));
                return turns.rate() / self.cut.dp;
            }
            return self.most / (self.steps * self.pace(self.most, f64::INFINITY).tpot);
        }
        let chunk = self.model.engine.chunk_tokens;
        let seconds = self.reading(chunk, self.token_length(), 1.0);
        1.0 / (seconds * self.unread.max(1.0) / chunk)
    }

    /// What 5 % of answers lose more than the mean to the prompts of others, per token: their number is Poisson.
    pub(super) fn jitter(&self, pace: &Pace, batch: f64) -> f64 {
        let meets = pace.share * self.steps;
        if batch <= 1.0 || meets <= 0.0 {
            return 0.0;
        }
        Z95 * libm::sqrt(meets) * (pace.mixed - pace.decode) / self.steps
    }

    pub(super) fn state(&self, parts: StateParts) -> SteadyState {
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
    pub(super) fn memory(&self, sequences: f64) -> ServingMemory {
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
