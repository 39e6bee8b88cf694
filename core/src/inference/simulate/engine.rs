//! The engines: sequences that decode in lockstep, prompts read in chunks beside them, a cache that bounds both.
//!
//! Attention data parallel ranks of a mixture of experts meet in every expert layer, so they run their iterations together
//! ([`Group`]); every other rank is a group of its own. While nothing but decoding goes on, iterations are taken in runs
//! up to the next answer's end, each run at the pace of its mean cache length.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::super::cut::Cut;
use super::super::iteration::{ServingModel, Work};
use super::SimulationPhase;

/// One request on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub arrival: f64,
    pub input: f64,
    pub output: f64,
    /// Prompt tokens not yet read.
    unread: f64,
    /// Bytes of cache put aside for it.
    reserved: f64,
    /// Iterations that it decodes in.
    steps: f64,
    /// When its first token came.
    pub first: f64,
    /// When its last token came.
    pub end: f64,
}

impl Job {
    pub fn new(arrival: f64, input: f64, output: f64) -> Self {
        Self {
            arrival,
            input,
            output,
            unread: input,
            reserved: 0.0,
            steps: 0.0,
            first: f64::NAN,
            end: f64::NAN,
        }
    }
}

/// What bounds a rank, and how long its iterations take.
pub(super) struct Limits<'a> {
    pub model: &'a ServingModel<'a>,
    pub cut: &'a Cut,
    pub phase: SimulationPhase,
    /// Bytes of cache of a rank.
    pub capacity: f64,
    /// Sequences of a rank.
    pub sequences: f64,
}

/// One attention rank of one pipeline stream.
#[derive(Debug, Default)]
pub(super) struct Rank {
    waiting: VecDeque<u32>,
    /// Admitted, prompt not read to the end.
    reading: VecDeque<u32>,
    /// Admitted with its cache ready; the first token comes at the end of this iteration.
    joining: Vec<u32>,
    /// Step of the group at which an answer ends.
    ends: BinaryHeap<Reverse<(u64, u32)>>,
    decoding: f64,
    /// Tokens in the cache of those that decode.
    keys: f64,
    reserved: f64,
    /// Prompt tokens of this iteration, in the order of `reading`.
    chunks: Vec<f64>,
}

impl Rank {
    /// Requests here, in any state.
    pub fn in_flight(&self) -> usize {
        self.waiting.len() + self.admitted()
    }

    pub fn waits(&self) -> usize {
        self.waiting.len()
    }

    pub fn decodes(&self) -> f64 {
        self.decoding
    }

    fn admitted(&self) -> usize {
        self.reading.len() + self.decoding as usize
    }

    /// Bytes of cache in use: of those that decode, and of the prompts' parts that are read.
    pub fn used(&self, jobs: &[Job], limits: &Limits<'_>) -> f64 {
        let bytes = |tokens: f64| limits.model.kv_bytes(limits.cut, tokens);
        let decode = if self.decoding > 0.0 { self.decoding * bytes(self.keys / self.decoding) } else { 0.0 };
        let read = |job: &Job| bytes(job.input - job.unread);
        decode + self.reading.iter().filter_map(|&j| jobs.get(j as usize)).map(read).fold(0.0, |a, b| a + b)
    }

    /// First come, first served, as long as sequences and cache allow; a rank that is empty takes any request.
    fn admit(&mut self, jobs: &mut [Job], limits: &Limits<'_>, steps: u64) {
        while let Some(&next) = self.waiting.front() {
            let Some(job) = jobs.get_mut(next as usize) else { break };
            let answer = limits.model.engine.answer_reserve * job.output;
            let needs = limits.model.kv_bytes(limits.cut, job.input + answer);
            let admitted = self.admitted();
            if admitted > 0
                && (admitted as f64 + 1.0 > limits.sequences || self.reserved + needs > limits.capacity)
            {
                break;
            }
            self.waiting.pop_front();
            job.reserved = needs;
            self.reserved += needs;
            if limits.phase == SimulationPhase::Decode {
                job.unread = 0.0;
                job.steps = job.output;
                self.joining.push(next);
                self.decoding += 1.0;
                self.keys += job.input;
                self.ends.push(Reverse((steps + whole(job.steps), next)));
            } else {
                self.reading.push_back(next);
            }
        }
    }

    /// Gives the prompts in order what the decoding sequences leave of an iteration's tokens: their sum, and the mean
    /// length of the prompts that they belong to.
    fn plan(&mut self, jobs: &[Job], chunk_tokens: f64) -> (f64, f64) {
        let mut left = (chunk_tokens - self.decoding).max(1.0);
        let (mut tokens, mut weighted) = (0.0, 0.0);
        self.chunks.clear();
        for &next in &self.reading {
            if left <= 0.0 {
                break;
            }
            let Some(job) = jobs.get(next as usize) else { break };
            let chunk = job.unread.min(left);
            self.chunks.push(chunk);
            left -= chunk;
            tokens += chunk;
            weighted += chunk * job.input;
        }
        (tokens, if tokens > 0.0 { weighted / tokens } else { 0.0 })
    }

    /// Steps to the next answer's end.
    fn next_end(&self, steps: u64) -> u64 {
        self.ends.peek().map_or(u64::MAX, |Reverse((at, _))| at.saturating_sub(steps).max(1))
    }

    fn free(&mut self, job: &Job) {
        self.reserved -= job.reserved;
        if self.reading.is_empty() && self.ends.is_empty() {
            // Nothing is left of what rounding added up.
            (self.reserved, self.keys, self.decoding) = (0.0, 0.0, 0.0);
        }
    }

    /// The state after `done` iterations that end at `now` and at step `steps`; `ended` takes those that are answered.
    fn advance(&mut self, jobs: &mut [Job], now: f64, done: u64, steps: u64, ended: &mut Vec<u32>) {
        self.keys += self.decoding * done as f64;
        for next in self.joining.drain(..) {
            if let Some(job) = jobs.get_mut(next as usize) {
                job.first = now;
            }
        }
        while let Some(&Reverse((at, next))) = self.ends.peek() {
            if at > steps {
                break;
            }
            self.ends.pop();
            if let Some(job) = jobs.get_mut(next as usize) {
                job.end = now;
                self.decoding -= 1.0;
                self.keys -= job.input + job.steps;
                self.free(job);
            }
            ended.push(next);
        }
        let mut chunks = std::mem::take(&mut self.chunks);
        for chunk in chunks.drain(..) {
            let Some(job) = self.reading.front().and_then(|&j| jobs.get_mut(j as usize)) else { break };
            job.unread -= chunk;
            if job.unread > 0.0 {
                break;
            }
            let Some(next) = self.reading.pop_front() else { break };
            job.first = now;
            if job.output > 1.0 {
                job.steps = job.output - 1.0;
                self.decoding += 1.0;
                self.keys += job.input;
                self.ends.push(Reverse((steps + whole(job.steps), next)));
            } else {
                job.end = now;
                self.free(job);
                ended.push(next);
            }
        }
        self.chunks = chunks;
    }
}

/// Lengths are whole and at least 1.
fn whole(tokens: f64) -> u64 {
    tokens as u64
}

/// Ranks that run their iterations together.
#[derive(Debug)]
pub(super) struct Group {
    pub ranks: Vec<Rank>,
    steps: u64,
    /// The run under way: its start, seconds of an iteration, iterations.
    pub start: f64,
    each: f64,
    count: u64,
    pub running: bool,
    /// Counts the runs, so that an end that was moved is known as such.
    pub version: u64,
}

impl Group {
    pub fn new(ranks: usize) -> Self {
        Self {
            ranks: (0..ranks).map(|_| Rank::default()).collect(),
            steps: 0,
            start: 0.0,
            each: 0.0,
            count: 0,
            running: false,
            version: 0,
        }
    }

    /// When the run under way ends.
    pub fn end(&self) -> f64 {
        self.start + self.each * self.count as f64
    }

    /// Puts a request into a rank's queue; a run of many iterations ends with the one under way. Returns whether
    /// its end moved.
    pub fn take(&mut self, rank: usize, job: u32, now: f64) -> bool {
        if let Some(rank) = self.ranks.get_mut(rank) {
            rank.waiting.push_back(job);
        }
        if !self.running || self.count <= 1 {
            return false;
        }
        let done = ((now - self.start) / self.each).ceil().max(1.0) as u64;
        if done >= self.count {
            return false;
        }
        self.count = done;
        self.version += 1;
        true
    }

    /// Starts the next run at `now`, if there is work.
    pub fn begin(&mut self, jobs: &mut [Job], limits: &Limits<'_>, now: f64) {
        let chunk_tokens = limits.model.engine.chunk_tokens;
        let (mut most, mut sum, mut keys, mut chunk, mut chunks, mut weighted) =
            (0.0_f64, 0.0, 0.0, 0.0_f64, 0.0, 0.0);
        let mut count = u64::MAX;
        for rank in &mut self.ranks {
            rank.admit(jobs, limits, self.steps);
            let (tokens, length) = rank.plan(jobs, chunk_tokens);
            most = most.max(rank.decoding);
            sum += rank.decoding;
            keys += rank.keys;
            chunk = chunk.max(tokens);
            chunks += tokens;
            weighted += tokens * length;
            count = count.min(if rank.joining.is_empty() { rank.next_end(self.steps) } else { 1 });
        }
        self.version += 1;
        self.running = sum > 0.0 || chunks > 0.0;
        if !self.running {
            return;
        }
        let mean_keys = if sum > 0.0 { keys / sum } else { 0.0 };
        // A run is so short that its caches grow by a thirtieth at most.
        count = if chunks > 0.0 { 1 } else { count.min((mean_keys / 32.0).max(1.0) as u64) };
        let ranks = self.ranks.len() as f64;
        let work = Work {
            sequences: most,
            keys: mean_keys + 0.5 * (count - 1) as f64,
            prompt_tokens: chunk,
            prompt_length: if chunks > 0.0 { weighted / chunks } else { 0.0 },
            busy: if most > 0.0 { sum / (most * ranks) } else { 1.0 / ranks },
            reading: if chunk > 0.0 { chunks / (chunk * ranks) } else { 0.0 },
        };
        self.start = now;
        self.count = count;
        self.each = limits.model.iteration(limits.cut, &work).total_seconds;
    }

    /// Ends the run under way; `ended` takes the requests that are answered.
    pub fn finish(&mut self, jobs: &mut [Job], ended: &mut Vec<u32>) {
        let now = self.end();
        self.steps += self.count;
        self.running = false;
        for rank in &mut self.ranks {
            rank.advance(jobs, now, self.count, self.steps, ended);
        }
    }
}
