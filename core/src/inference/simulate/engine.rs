//! The engines: sequences that decode in lockstep, prompts read in chunks beside them, a cache that bounds both.
//!
//! Attention data parallel ranks of a mixture of experts meet in every expert layer, so they run their iterations together
//! ([`Group`]); every other rank is a group of its own. While nothing but decoding goes on, iterations are taken in runs
//! up to the next answer's end, each run at the pace of its mean cache length. Where tokens are drafted, the iterations of
//! an answer are drawn before it begins; within it, its cache grows evenly.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::super::cut::Cut;
use super::super::iteration::{ServingModel, Work};

/// What the ranks of a pool do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Read the prompt, which gives the first token, and decode the rest of the answer.
    Whole,
    /// Read the prompt.
    Prompts,
    /// Decode the answer to a prompt whose cache is there.
    Answers,
    /// Decode what follows the first token, which the rank that read the prompt gave and this one passes on.
    Rest,
}

/// Group and rank.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub group: usize,
    pub rank: usize,
}

/// One request on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub arrival: f64,
    /// When it reached the engine's queue.
    pub queued: f64,
    /// Where it is, or goes.
    pub place: Place,
    /// When the iteration began that read the first of its prompt; where pools are apart, when the prompt was read, and
    /// when its cache was there to be decoded.
    pub began: f64,
    pub read: f64,
    pub received: f64,
    pub input: f64,
    pub output: f64,
    /// Prompt tokens not yet read.
    unread: f64,
    /// Bytes of cache put aside for it.
    reserved: f64,
    /// Iterations that it decodes in.
    pub steps: f64,
    /// Tokens that it decodes.
    pub decoded: f64,
    /// What it waited for in the queue beside the next iteration.
    pub held: Held,
    /// When its first token came.
    pub first: f64,
    /// When its last token came.
    pub end: f64,
}

/// What a request waited for before it was admitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// A place in the KV cache.
    pub by_cache: bool,
    /// A place among the engine's sequences.
    pub by_sequences: bool,
}

/// What a request brings: tokens of its prompt, those of them that are to be read, tokens of its answer, of which
/// `decoded` come in `steps` iterations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brought {
    pub input: f64,
    pub unread: f64,
    pub output: f64,
    pub decoded: f64,
    pub steps: f64,
}

impl Job {
    pub fn new(arrival: f64, queued: f64, place: Place, of: &Brought) -> Self {
        Self {
            arrival,
            queued,
            place,
            began: f64::NAN,
            read: f64::NAN,
            received: f64::NAN,
            input: of.input,
            output: of.output,
            unread: of.unread,
            reserved: 0.0,
            steps: of.steps,
            decoded: of.decoded,
            held: Held::default(),
            first: f64::NAN,
            end: f64::NAN,
        }
    }

    /// Tokens that an iteration gives it on average.
    fn pace(&self) -> f64 {
        self.decoded / self.steps
    }
}

/// What bounds a rank, and how long its iterations take.
pub(super) struct Limits<'a> {
    pub model: &'a ServingModel<'a>,
    pub cut: &'a Cut,
    pub role: Role,
    /// Bytes of cache of a rank, and those of them that requests share.
    pub capacity: f64,
    pub shared: f64,
    /// Sequences of a rank.
    pub sequences: f64,
}

impl Limits<'_> {
    /// Bytes of cache of a request alone with `tokens` of it there, its prompt of `input` first.
    fn own_bytes(&self, input: f64, tokens: f64) -> f64 {
        if tokens <= 0.0 {
            return 0.0;
        }
        // Of a prompt that is partly there, what is shared is there first.
        let share = self.model.prefix.own_share(input, tokens).max(0.0);
        self.model.kv_bytes(self.cut, tokens) * share
    }
}

/// One attention rank of one pipeline stream.
#[derive(Debug)]
pub(super) struct Rank {
    waiting: VecDeque<u32>,
    /// Requests whose cache is on its way here.
    pub coming: usize,
    /// Admitted, prompt not read to the end.
    reading: VecDeque<u32>,
    /// Admitted with its cache ready; the first token comes at the end of this iteration.
    joining: Vec<u32>,
    /// Step of the group at which an answer ends.
    ends: BinaryHeap<Reverse<(u64, u32)>>,
    decoding: f64,
    /// Tokens in the cache of those that decode, and those of them that are prompts.
    keys: f64,
    prompts: f64,
    /// Tokens that an iteration gives all of them.
    pace: f64,
    /// Bytes of cache put aside, shared ones among them.
    reserved: f64,
    /// When a request last had to wait for a place: in the cache, among the sequences.
    full: (f64, f64),
    /// Prompt tokens of this iteration, in the order of `reading`.
    chunks: Vec<f64>,
}

impl Rank {
    fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            coming: 0,
            reading: VecDeque::new(),
            joining: Vec::new(),
            ends: BinaryHeap::new(),
            decoding: 0.0,
            keys: 0.0,
            prompts: 0.0,
            pace: 0.0,
            reserved: 0.0,
            full: (f64::NEG_INFINITY, f64::NEG_INFINITY),
            chunks: Vec::new(),
        }
    }

    /// Requests here, in any state.
    pub fn in_flight(&self) -> usize {
        self.waiting.len() + self.coming + self.admitted()
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

    /// Bytes of cache in use: what requests share, of those that decode, and of the prompts' parts that are read or found.
    pub fn used(&self, jobs: &[Job], limits: &Limits<'_>) -> f64 {
        let mean = |sum: f64| sum / self.decoding;
        let decode = if self.decoding > 0.0 {
            self.decoding * limits.own_bytes(mean(self.prompts), mean(self.keys))
        } else {
            0.0
        };
        let read = |job: &Job| limits.own_bytes(job.input, job.input - job.unread);
        let reading = self.reading.iter().filter_map(|&j| jobs.get(j as usize)).map(read);
        limits.shared + decode + reading.fold(0.0, |a, b| a + b)
    }

    /// First come, first served, as long as sequences and cache allow; a rank that is empty takes any request.
    fn admit(&mut self, jobs: &mut [Job], limits: &Limits<'_>, steps: u64, now: f64) {
        while let Some(&next) = self.waiting.front() {
            let Some(job) = jobs.get_mut(next as usize) else { break };
            let tokens = if limits.role == Role::Prompts { 1.0 } else { job.output };
            let answer = limits.model.engine.answer_reserve * tokens;
            let needs = limits.own_bytes(job.input, job.input + answer);
            let admitted = self.admitted();
            if admitted > 0 {
                let many = admitted as f64 + 1.0 > limits.sequences;
                if many || limits.shared + self.reserved + needs > limits.capacity {
                    *(if many { &mut self.full.1 } else { &mut self.full.0 }) = now;
                    break;
                }
            }
            self.waiting.pop_front();
            job.held.by_cache |= self.full.0 >= job.queued;
            job.held.by_sequences |= self.full.1 >= job.queued;
            job.reserved = needs;
            self.reserved += needs;
            match limits.role {
                Role::Whole | Role::Prompts => self.reading.push_back(next),
                Role::Answers => {
                    self.joining.push(next);
                    let job = *job;
                    self.decode(&job, next, steps);
                }
                Role::Rest => {
                    // With a place in a batch the first token goes out, for the next ones follow at the batch's pace.
                    job.first = now;
                    let job = *job;
                    self.decode(&job, next, steps);
                }
            }
        }
    }

    /// A request decodes from here on.
    fn decode(&mut self, job: &Job, number: u32, steps: u64) {
        self.decoding += 1.0;
        self.keys += job.input;
        self.prompts += job.input;
        self.pace += job.pace();
        self.ends.push(Reverse((steps + whole(job.steps), number)));
    }

    /// Gives the prompts in order what the decoding sequences leave of an iteration's tokens: their sum, and the mean
    /// length of the prompts that they belong to.
    fn plan(&mut self, jobs: &[Job], model: &ServingModel<'_>) -> (f64, f64) {
        let mut left = (model.engine.chunk_tokens - self.decoding * model.tokens_per_sequence()).max(1.0);
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
            (self.reserved, self.keys, self.prompts) = (0.0, 0.0, 0.0);
            (self.decoding, self.pace) = (0.0, 0.0);
        }
    }

    /// The state after a run that ends at step `steps`; `ended` takes those that this pool is done with.
    fn advance(&mut self, jobs: &mut [Job], role: Role, run: &Run, steps: u64, ended: &mut Vec<u32>) {
        let now = run.end;
        self.keys += self.pace * run.count as f64;
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
                self.keys -= job.input + job.decoded;
                self.prompts -= job.input;
                self.pace -= job.pace();
                self.free(job);
            }
            ended.push(next);
        }
        let mut chunks = std::mem::take(&mut self.chunks);
        for chunk in chunks.drain(..) {
            let Some(job) = self.reading.front().and_then(|&j| jobs.get_mut(j as usize)) else { break };
            if job.began.is_nan() {
                job.began = run.start;
            }
            job.unread -= chunk;
            if job.unread > 0.0 {
                break;
            }
            let Some(next) = self.reading.pop_front() else { break };
            job.first = now;
            if job.steps > 0.0 && role == Role::Whole {
                let job = *job;
                self.decode(&job, next, steps);
            } else {
                job.end = now;
                self.free(job);
                ended.push(next);
            }
        }
        self.chunks = chunks;
    }
}

/// A run of like iterations.
struct Run {
    start: f64,
    end: f64,
    count: u64,
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
            ranks: (0..ranks).map(|_| Rank::new()).collect(),
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
        let (mut most, mut sum, mut keys, mut pace) = (0.0_f64, 0.0, 0.0, 0.0);
        let (mut chunk, mut chunks, mut weighted) = (0.0_f64, 0.0, 0.0);
        let mut count = u64::MAX;
        for rank in &mut self.ranks {
            rank.admit(jobs, limits, self.steps, now);
            let (tokens, length) = rank.plan(jobs, limits.model);
            most = most.max(rank.decoding);
            sum += rank.decoding;
            keys += rank.keys;
            pace += rank.pace;
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
        let (mean_keys, pace) = if sum > 0.0 { (keys / sum, pace / sum) } else { (0.0, 1.0) };
        // A run is so short that its caches grow by a thirtieth at most.
        count = if chunks > 0.0 { 1 } else { count.min((mean_keys / (32.0 * pace)).max(1.0) as u64) };
        let ranks = self.ranks.len() as f64;
        let work = Work {
            sequences: most,
            keys: mean_keys + 0.5 * (count - 1) as f64 * pace,
            prompt_tokens: chunk,
            prompt_length: if chunks > 0.0 { weighted / chunks } else { 0.0 },
            busy: if most > 0.0 { sum / (most * ranks) } else { 1.0 / ranks },
            reading: if chunk > 0.0 { chunks / (chunk * ranks) } else { 0.0 },
        };
        self.start = now;
        self.count = count;
        self.each = limits.model.iteration(limits.cut, &work).total_seconds;
    }

    /// Ends the run under way; `ended` takes the requests that the pool is done with.
    pub fn finish(&mut self, jobs: &mut [Job], limits: &Limits<'_>, ended: &mut Vec<u32>) {
        let run = Run { start: self.start, end: self.end(), count: self.count };
        self.steps += self.count;
        self.running = false;
        for rank in &mut self.ranks {
            rank.advance(jobs, limits.role, &run, self.steps, ended);
        }
    }
}
