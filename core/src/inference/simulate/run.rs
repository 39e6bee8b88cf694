//! The event loop: arrivals and ends of runs in the order of time.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use super::SimulationPhase;
use super::acceptance::Acceptance;
use super::engine::{Brought, Group, Job, Limits};
use super::lengths::Sampler;
use super::random::Random;
use super::report::{RequestRouting, SimulationTimeline};
use super::trace::RequestTrace;

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Come {
    /// At random, this many per second.
    Rate(f64),
    /// This many in flight.
    Closed(usize),
    /// All at once.
    Burst,
    /// At the times of the trace, this many times faster.
    Logged(f64),
}

/// How long they are.
pub(super) enum Source<'a> {
    Drawn(Sampler, Sampler),
    Trace(&'a RequestTrace),
}

/// One simulation, ready to run.
pub(super) struct Plan<'a> {
    pub limits: Limits<'a>,
    pub come: Come,
    pub source: Source<'a>,
    pub routing: RequestRouting,
    pub seed: u64,
    /// Requests before the measured ones, and the measured ones.
    pub warmup: usize,
    pub measured: usize,
    /// Host seconds between a request's coming and its place in an engine's queue.
    pub request_s: f64,
    /// How drafted tokens are accepted, if any are drafted.
    pub acceptance: Option<Acceptance>,
    /// Groups of ranks, ranks of each.
    pub groups: usize,
    pub ranks: usize,
}

/// Sums over the window in which throughput is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    pub requests: f64,
    pub input_tokens: f64,
    pub output_tokens: f64,
    /// Rank-seconds in iterations, request-seconds in flight, sequence-seconds in decode, byte-seconds of cache.
    pub busy: f64,
    pub in_flight: f64,
    pub decoding: f64,
    pub kv_bytes: f64,
    pub arrivals: f64,
}

/// What the loop leaves behind.
pub(super) struct Outcome {
    pub jobs: Vec<Job>,
    pub sums: Sums,
    pub window: (f64, f64),
    pub events: u64,
    pub timeline: SimulationTimeline,
}

/// Events of a simulation at most: some ten seconds of a laptop's work.
pub(super) const MOST_EVENTS: u64 = 20_000_000;
/// Steps whose accepted tokens are drawn in the time of an event.
const STEPS_AN_EVENT: f64 = 16.0;
/// Points of a timeline at most.
const MOST_POINTS: usize = 512;

/// Streams of random numbers of a seed.
const ARRIVALS: u64 = 1;
const LENGTHS: u64 = 2;
const ROUTES: u64 = 3;
const DRAFTS: u64 = 4;

/// End of a group's run: time, group, version of the run.
#[derive(Debug, Clone, Copy, PartialEq)]
struct End(f64, usize, u64);

impl Eq for End {}

impl PartialOrd for End {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for End {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1)).then(self.2.cmp(&other.2))
    }
}

impl Plan<'_> {
    /// Runs until every measured request is answered; none if that takes more than [`MOST_EVENTS`].
    pub fn run(&self) -> Option<Outcome> {
        let mut state = State::new(self);
        state.first_arrivals();
        while state.left > 0 {
            state.events += 1;
            if state.events as f64 + state.drawn / STEPS_AN_EVENT > MOST_EVENTS as f64 {
                return None;
            }
            if !state.step() {
                break;
            }
        }
        Some(state.outcome())
    }
}

struct State<'a> {
    plan: &'a Plan<'a>,
    arrivals: Random,
    lengths: Random,
    routes: Random,
    drafts: Random,
    /// Steps of answers that were drawn.
    drawn: f64,
    groups: Vec<Group>,
    jobs: Vec<Job>,
    ends: BinaryHeap<Reverse<End>>,
    /// Time of the next arrival that does not follow from an end; infinite for none.
    next: f64,
    /// When those that followed an end in a closed loop reach an engine's queue, in order.
    following: VecDeque<f64>,
    turn: usize,
    now: f64,
    in_flight: f64,
    /// Measured requests not yet answered.
    left: usize,
    window: (f64, f64),
    sums: Sums,
    events: u64,
    ended: Vec<u32>,
    timeline: Timeline,
}

impl<'a> State<'a> {
    fn new(plan: &'a Plan<'a>) -> Self {
        Self {
            plan,
            arrivals: Random::new(plan.seed, ARRIVALS),
            lengths: Random::new(plan.seed, LENGTHS),
            routes: Random::new(plan.seed, ROUTES),
            drafts: Random::new(plan.seed, DRAFTS),
            drawn: 0.0,
            groups: (0..plan.groups).map(|_| Group::new(plan.ranks)).collect(),
            jobs: Vec::with_capacity(plan.warmup + plan.measured),
            ends: BinaryHeap::new(),
            next: f64::INFINITY,
            following: VecDeque::new(),
            turn: 0,
            now: 0.0,
            in_flight: 0.0,
            left: plan.measured,
            window: (f64::INFINITY, f64::INFINITY),
            sums: Sums::default(),
            events: 0,
            ended: Vec::new(),
            timeline: Timeline::default(),
        }
    }

    fn first_arrivals(&mut self) {
        let all = self.plan.warmup + self.plan.measured;
        match self.plan.come {
            Come::Rate(_) | Come::Logged(_) => self.schedule(),
            Come::Closed(requests) => self.arrive_together(requests, self.plan.request_s),
            Come::Burst => self.arrive_together(all, self.plan.request_s),
        }
    }

    /// Many requests reach the engines at `now`; only then do idle groups begin.
    fn arrive_together(&mut self, requests: usize, now: f64) {
        for _ in 0..requests {
            self.arrive(now);
        }
        for group in 0..self.groups.len() {
            self.begin(group, now);
        }
    }

    /// When the next request that comes by itself reaches an engine.
    fn schedule(&mut self) {
        let known = self.jobs.len();
        self.next = match self.plan.come {
            // At a rate requests keep coming until the last measured one is answered.
            Come::Rate(rate) => self.now.max(self.plan.request_s) + self.arrivals.exponential() / rate,
            Come::Logged(speed) if known < self.plan.warmup + self.plan.measured => {
                let times = match &self.plan.source {
                    Source::Trace(trace) => trace.arrival_seconds.as_deref().unwrap_or_default(),
                    Source::Drawn(..) => &[],
                };
                let first = times.first().copied().unwrap_or_default();
                times.get(known).map_or(f64::INFINITY, |at| (at - first) / speed + self.plan.request_s)
            }
            _ => f64::INFINITY,
        };
    }

    /// The next event; false if there is none.
    fn step(&mut self) -> bool {
        let end = self.ends.peek().map_or(f64::INFINITY, |Reverse(end)| end.0);
        if self.next < end {
            let now = self.next;
            self.pass(now);
            let group = self.arrive(now);
            self.begin(group, now);
            self.schedule();
            return true;
        }
        if let Some(&now) = self.following.front()
            && now < end
        {
            self.pass(now);
            let together = self.following.iter().take_while(|at| **at <= now).count();
            self.following.drain(..together);
            self.arrive_together(together, now);
            return true;
        }
        let Some(Reverse(End(at, index, version))) = self.ends.pop() else { return false };
        let Some(group) = self.groups.get(index) else { return false };
        if version == group.version && group.running {
            self.pass(at);
            self.finish(index);
        }
        true
    }

    /// One request reaches a rank's queue at `now`; which group's, so that it can begin.
    fn arrive(&mut self, now: f64) -> usize {
        let number = self.jobs.len();
        if number == self.plan.warmup {
            self.window.0 = now;
        }
        if now >= self.window.0 {
            self.sums.arrivals += f64::from(u8::from(now < self.window.1));
        }
        if number + 1 == self.plan.warmup + self.plan.measured
            && matches!(self.plan.come, Come::Rate(_) | Come::Closed(_))
        {
            self.window.1 = now;
        }
        let brought = self.brought(number);
        self.jobs.push(Job::new(now - self.plan.request_s, now, &brought));
        self.in_flight += 1.0;
        let (index, rank) = self.route();
        if let Some(group) = self.groups.get_mut(index)
            && group.take(rank, number as u32, now)
        {
            self.ends.push(Reverse(End(group.end(), index, group.version)));
        }
        index
    }

    fn draw(&mut self, number: usize) -> (f64, f64) {
        let (input, output) = match &self.plan.source {
            Source::Drawn(input, output) => (input.draw(&mut self.lengths), output.draw(&mut self.lengths)),
            Source::Trace(trace) => {
                let rows = trace.input_tokens.len();
                let logged = matches!(self.plan.come, Come::Logged(_));
                let row = if logged { number } else { self.lengths.below(rows) };
                let of = |list: &[f64]| list.get(row).map_or(1.0, |tokens| (tokens + 0.5).floor());
                (of(&trace.input_tokens), of(&trace.output_tokens))
            }
        };
        (input, if self.plan.limits.phase == SimulationPhase::Prefill { 1.0 } else { output })
    }

    /// What the next request brings.
    fn brought(&mut self, number: usize) -> Brought {
        let (input, output) = self.draw(number);
        let limits = &self.plan.limits;
        let (unread, decoded) = match limits.phase {
            SimulationPhase::Decode => (0.0, output),
            // The end of the prompt gives the first token.
            SimulationPhase::Both | SimulationPhase::Prefill => {
                let unread = (limits.model.prefix.unread(input) + 0.5).floor().clamp(1.0, input);
                (unread, output - 1.0)
            }
        };
        let steps = match &self.plan.acceptance {
            // Past the limit the simulation ends, whatever else is drawn.
            Some(law) if self.drawn <= STEPS_AN_EVENT * MOST_EVENTS as f64 => {
                law.steps(decoded, &mut self.drafts)
            }
            _ => decoded,
        };
        self.drawn += if self.plan.acceptance.is_some() { steps } else { 0.0 };
        Brought { input, unread, output, decoded, steps }
    }

    /// Group and rank for the next request.
    fn route(&mut self) -> (usize, usize) {
        let ranks = self.plan.ranks;
        let all = self.plan.groups * ranks;
        let at = match self.plan.routing {
            RequestRouting::RoundRobin => {
                self.turn += 1;
                (self.turn - 1) % all
            }
            RequestRouting::Random => self.routes.below(all),
            RequestRouting::LeastLoaded => {
                let each = self.groups.iter().flat_map(|g| &g.ranks).map(super::engine::Rank::in_flight);
                each.enumerate().min_by_key(|&(_, requests)| requests).map_or(0, |(at, _)| at)
            }
        };
        (at / ranks, at % ranks)
    }

    fn begin(&mut self, index: usize, now: f64) {
        let Some(group) = self.groups.get_mut(index) else { return };
        if group.running {
            return;
        }
        group.begin(&mut self.jobs, &self.plan.limits, now);
        if group.running {
            self.ends.push(Reverse(End(group.end(), index, group.version)));
        }
    }

    /// A group's run ends: its answers, the requests that follow them in a closed loop, its next run.
    fn finish(&mut self, index: usize) {
        let Some(group) = self.groups.get_mut(index) else { return };
        let (from, to) = (group.start, group.end());
        let overlap = (to.min(self.window.1) - from.max(self.window.0)).max(0.0);
        if overlap > 0.0 {
            self.sums.busy += overlap * group.ranks.len() as f64;
            for rank in &group.ranks {
                self.sums.decoding += overlap * rank.decodes();
                self.sums.kv_bytes += overlap * rank.used(&self.jobs, &self.plan.limits);
            }
        }
        let mut ended = std::mem::take(&mut self.ended);
        group.finish(&mut self.jobs, &mut ended);
        for &job in &ended {
            self.answered(job as usize, to);
        }
        if matches!(self.plan.come, Come::Closed(_)) && !ended.is_empty() {
            if self.plan.request_s > 0.0 {
                self.following.extend(ended.iter().map(|_| to + self.plan.request_s));
            } else {
                self.arrive_together(ended.len(), to);
            }
        }
        ended.clear();
        self.ended = ended;
        self.begin(index, to);
    }

    fn answered(&mut self, job: usize, now: f64) {
        self.in_flight -= 1.0;
        if job >= self.plan.warmup && job < self.plan.warmup + self.plan.measured {
            self.left -= 1;
        }
        if let Some(job) = self.jobs.get(job)
            && now > self.window.0
            && now <= self.window.1
        {
            self.sums.requests += 1.0;
            self.sums.input_tokens += job.input;
            self.sums.output_tokens += job.output;
        }
    }

    /// Lets time pass up to `to`.
    fn pass(&mut self, to: f64) {
        let overlap = (to.min(self.window.1) - self.now.max(self.window.0)).max(0.0);
        self.sums.in_flight += overlap * self.in_flight;
        while self.timeline.due(to) {
            let ranks = || self.groups.iter().flat_map(|g| &g.ranks);
            let waiting: usize = ranks().map(super::engine::Rank::waits).sum();
            let decoding = ranks().map(super::engine::Rank::decodes).fold(0.0, |a, b| a + b);
            let used = ranks().map(|r| r.used(&self.jobs, &self.plan.limits)).fold(0.0, |a, b| a + b);
            let all = self.plan.limits.capacity * (self.plan.groups * self.plan.ranks) as f64;
            let share = if all > 0.0 { used / all } else { 0.0 };
            self.timeline.push([self.in_flight, waiting as f64, decoding, share]);
        }
        self.now = to;
    }

    fn outcome(self) -> Outcome {
        let (from, to) = self.window;
        Outcome {
            jobs: self.jobs,
            sums: self.sums,
            window: (from.min(self.now), to.min(self.now)),
            events: self.events,
            timeline: self.timeline.arrays(),
        }
    }
}

/// Samples at equal distances; when they grow too many, every other one goes and the distance doubles.
#[derive(Debug)]
struct Timeline {
    step: f64,
    points: Vec<[f64; 4]>,
}

impl Default for Timeline {
    fn default() -> Self {
        // A millisecond, shorter than an iteration, to begin with.
        Self { step: 1e-3, points: Vec::new() }
    }
}

impl Timeline {
    fn due(&self, now: f64) -> bool {
        self.step * self.points.len() as f64 <= now
    }

    fn push(&mut self, point: [f64; 4]) {
        self.points.push(point);
        if self.points.len() > MOST_POINTS {
            let mut at = 0;
            self.points.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.step *= 2.0;
        }
    }

    fn arrays(self) -> SimulationTimeline {
        let column = |at: usize| self.points.iter().map(|p| p.get(at).copied().unwrap_or(0.0)).collect();
        SimulationTimeline {
            time_seconds: (0..self.points.len()).map(|at| at as f64 * self.step).collect(),
            in_flight: column(0),
            waiting: column(1),
            decoding: column(2),
            kv_used_share: column(3),
        }
    }
}
