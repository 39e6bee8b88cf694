//! Runs with an end: bursts that come at once, and closed loops whose like requests start together.
//!
//! A burst of N requests has three phases on each stream. *Fill*: prompts are read back to back until the batch is full or
//! all are in; those in it decode beside the chunks. *Steady*: answers end and prompts take their places. *Drain*: the last
//! batch thins out as its answers end, and the longest answer ends the run. Lengths without spread drain evenly;
//! spread ones (exponential, as in chat logs) leave a long tail of few sequences.

use super::IterationParts;
use super::iteration::{LegalLayout, ServingModel, Work};
use super::steady::{Arrivals, ServingLoad, SteadyState};
use super::stream::Stream;

/// A run with an end, on one replica.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServingRun {
    /// Mean tokens of a prompt.
    pub input_tokens: f64,
    /// Mean tokens of an answer, at least 1.
    pub output_tokens: f64,
    /// Requests of the run, all there at its start.
    pub requests: f64,
    /// Squared coefficient of variation of the answers' lengths: 0 all alike, 1 exponential.
    pub length_scv: f64,
}

/// What a run with an end came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunState {
    /// Seconds from the first request to the last token.
    pub seconds: f64,
    /// Requests per second over the run.
    pub requests_per_second: f64,
    /// Mean time to first token over the requests, the wait for a place included, seconds.
    pub ttft_seconds: f64,
    /// Mean time per output token over the requests, each counting once, seconds.
    pub tpot_seconds: f64,
    /// Largest decode batch of the replica.
    pub decode_batch: f64,
}

/// √π/4: mean of a reflected Brownian bridge, for each root of the requests.
const BRIDGE: f64 = 0.443_113_462_726_379;
/// Points of the mean over a closed loop's rounds.
const ROUNDS: u32 = 16;
/// Points of the integral over the drain.
const POINTS: u32 = 8;
/// Points of the integral over the spread of lengths: the shortest answers wait longest for each token.
const LENGTHS: u32 = 64;

impl ServingModel<'_> {
    /// A burst: all of the run's requests come at once, and the run ends with the last token.
    pub fn burst(&self, layout: &LegalLayout, run: &ServingRun) -> RunState {
        let cut = &layout.cut;
        let load = ServingLoad {
            input_tokens: run.input_tokens,
            output_tokens: run.output_tokens,
            arrivals: Arrivals::Full,
        };
        let stream = Stream::new(self, cut, &load);
        let streams = cut.pp * cut.dp;
        let each = (run.requests / streams).max(1.0);
        let most = stream.most.min(each).max(1.0 / cut.pp);
        let steps = stream.steps.max(1e-9);

        let read = self.read_seconds(layout, run.input_tokens, 0.0);
        let beside = self.read_seconds(layout, run.input_tokens, 0.5 * most);
        let pace = stream.pace(most, f64::INFINITY);
        let decode = self.step_seconds(layout, run, most, 0.5);
        // In a short answer's time a place is free again: then no batch forms, and prompts alone set the pace.
        let fill = most * beside.seconds;
        let steady_rate = if stream.steps > 0.0 {
            (most / (steps * pace.tpot)).min(1.0 / read.seconds)
        } else {
            1.0 / read.seconds
        };
        let steady = (each - most).max(0.0) / steady_rate;
        let drain = if stream.steps > 0.0 { self.drain(layout, run, most, each > 1.5 * most) } else { 0.0 };
        // A batch that fills in less than an answer's time is young all over: its first answers end late, and no run beats
        // the endless one.
        let least = if each > most { each / steady_rate } else { 0.0 };
        let seconds = self.engine.request_seconds(run.input_tokens) + (fill + steady + drain).max(least);

        // While the batch fills, a token takes a mixed iteration; the first prompt sees all of the fill, the last none.
        let first = self.mean_tpot(run, 0.5 * fill, beside.iteration, decode);
        let share = most / each;
        let tpot = share * first + (1.0 - share) * pace.tpot;
        let ttft = self.engine.request_seconds(run.input_tokens)
            + share * 0.5 * fill
            + (1.0 - share) * (fill + 0.5 * steady)
            + read.seconds;
        RunState {
            seconds,
            requests_per_second: each * streams / seconds,
            ttft_seconds: ttft,
            tpot_seconds: tpot,
            decode_batch: most * streams,
        }
    }

    /// Mean seconds that a first token waits longer in a load generator's closed loop than in the mixed state `steady` of
    /// [`ServingModel::point`].
    ///
    /// A load generator starts all of `in_flight` requests at once: a share `in_flight / requests` of the run's requests
    /// waits for half of the others' prompts. Later rounds mix slowly where answers are alike: after r of them the requests
    /// end within `√(12·r·length_scv)` answers' time, as wide as an even spread with that variance, and not in the whole
    /// time of a request. Prompts that come evenly within a time W in which theirs take a share ρ = n·S/W wait
    /// `S·ρ/(2(1 − ρ))` for each other, at most √π/4·√n·S (the reflected Brownian bridge, ρ = 1): that where all are alike.
    pub fn start_seconds(
        &self,
        layout: &LegalLayout,
        load: &ServingLoad,
        (in_flight, requests): (f64, f64),
        length_scv: f64,
        steady: &SteadyState,
    ) -> f64 {
        let cut = &layout.cut;
        let each = (in_flight / (cut.pp * cut.dp)).max(1.0);
        let batch = each.min(Stream::new(self, cut, load).most);
        let read = self.read_seconds(layout, load.input_tokens, batch).seconds;
        let start = (in_flight / requests).min(1.0) * 0.5 * (each - 1.0) * read;
        let answer = (load.output_tokens - 1.0).max(0.0) * steady.tpot_seconds;
        let wait = |window: f64| {
            let used = (each * read / window).min(1.0);
            let random = used / (2.0 * (1.0 - used).max(1e-9)) * (each - 1.0) / each;
            read * random.min(BRIDGE * libm::sqrt(each - 1.0))
        };
        let mixed = wait(answer + steady.ttft_seconds);
        let rounds = requests / in_flight;
        let (mut later, points) = (0.0, f64::from(ROUNDS));
        for i in 0..ROUNDS {
            let round = 1.0 + (rounds - 1.0).max(0.0) * (f64::from(i) + 0.5) / points;
            let width = libm::sqrt(12.0 * round * length_scv) * answer;
            // What comes together also spreads by the time that it takes to be read.
            let window = libm::sqrt(width * width + each * each * read * read);
            later += (wait(window) - mixed).max(0.0) / points;
        }
        start + later * (1.0 - 1.0 / rounds.max(1.0))
    }

    /// Seconds of a prompt read back to back with others, with `sequences` in decode beside it.
    fn read_seconds(&self, layout: &LegalLayout, input: f64, sequences: f64) -> Read {
        let time = |tokens: f64| {
            let work = Work {
                sequences,
                keys: input,
                prompt_tokens: tokens,
                prompt_length: input,
                busy: 1.0,
                reading: 1.0,
            };
            self.iteration(&layout.cut, &work).total_seconds
        };
        let most = self.engine.chunk_tokens.max(1.0);
        let iteration = time(most);
        Read { seconds: iteration * input / most, iteration }
    }

    /// One decode step of `sequences` of a stream at `keys` tokens each, by part.
    pub(super) fn decode_step(
        &self,
        layout: &LegalLayout,
        sequences: f64,
        keys: f64,
    ) -> (IterationParts, Work) {
        let work = Work { sequences, keys, prompt_tokens: 0.0, prompt_length: 0.0, busy: 1.0, reading: 0.0 };
        (self.iteration(&layout.cut, &work), work)
    }

    /// Seconds of a decode step of `batch` sequences that have a share `done` of their answers.
    fn step_seconds(&self, layout: &LegalLayout, run: &ServingRun, batch: f64, done: f64) -> f64 {
        self.decode_step(layout, batch.max(1.0), run.input_tokens + done * run.output_tokens).0.total_seconds
    }

    /// Seconds until the last batch has ended. In the middle of a long run its answers are at any point (`mixed`), after
    /// one fill they all have their whole length to go.
    fn drain(&self, layout: &LegalLayout, run: &ServingRun, batch: f64, mixed: bool) -> f64 {
        let spread = libm::sqrt(run.length_scv.clamp(0.0, 1.0));
        // The longest of a batch of exponential lengths: the harmonic number, about ln + Euler's constant.
        let longest = 1.0 + spread * (libm::log(batch.max(1.0)) + 0.577_215_664_901_532_9 - 1.0).max(0.0);
        let points = f64::from(POINTS);
        let mut seconds = 0.0;
        for i in 0..POINTS {
            let at = (f64::from(i) + 0.5) / points;
            let token = at * longest;
            // Share still running: exponential lengths forget; like ones end evenly, or all at the end.
            let even = if mixed { 1.0 - at } else { 1.0 };
            let left = spread * libm::exp(-token) + (1.0 - spread) * even;
            seconds +=
                self.step_seconds(layout, run, batch * left, at) * longest * run.output_tokens / points;
        }
        seconds
    }

    /// Mean over the requests of their time per output token, when the first `window` seconds of each answer go at `slow`
    /// seconds a token and the rest at `fast`; an engine that reads prompts first gives no token at all in the window.
    fn mean_tpot(&self, run: &ServingRun, window: f64, slow: f64, fast: f64) -> f64 {
        let spread = libm::sqrt(run.length_scv.clamp(0.0, 1.0));
        let slow_tokens = window / slow.max(1e-12);
        let points = f64::from(LENGTHS);
        let mut sum = 0.0;
        for i in 0..LENGTHS {
            let at = (f64::from(i) + 0.5) / points;
            let length = (run.output_tokens * (1.0 + spread * (-libm::log(1.0 - at) - 1.0))).max(1.0);
            let slowed = (slow_tokens / length).min(1.0);
            let shared = slowed * slow + (1.0 - slowed) * fast;
            let first = window / length + fast;
            sum += shared + self.engine.prompts_first * (first - shared);
        }
        sum / points
    }
}

/// Seconds of prompts.
struct Read {
    /// Of one among others, packed into full chunks.
    seconds: f64,
    /// Of an iteration with a full chunk.
    iteration: f64,
}
