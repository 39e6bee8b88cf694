//! The event loop: arrivals and ends of runs in the order of time.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use super::acceptance::Acceptance;
use super::engine::{Brought, Group, Job, Place, Rank, Role};
use super::lengths::Sampler;
use super::pools::{Apart, Pool};
use super::random::Random;
use super::report::{RequestRouting, SimulationTimeline};
use super::timeline::Timeline;
use super::trace::RequestTrace;
use crate::inference::KvTransfer;

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
    /// In the order in which requests see them: one, or one that reads prompts and one that decodes.
    pub pools: Vec<Pool<'a>>,
    /// What goes between two pools.
    pub apart: Option<&'a Apart<'a, 'a>>,
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
}

/// Sums over the window in which throughput is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    pub requests: f64,
    pub input_tokens: f64,
    pub output_tokens: f64,
    pub in_flight: f64,
    /// Of each pool.
    pub pools: [PoolSums; 2],
    pub arrivals: f64,
}

/// Sums of a pool: rank-seconds in iterations, sequence-seconds in decode, byte-seconds of cache.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct PoolSums {
    pub busy: f64,
    pub decoding: f64,
    pub kv_bytes: f64,
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

/// Streams of random numbers of a seed.
const ARRIVALS: u64 = 1;
const LENGTHS: u64 = 2;
const ROUTES: u64 = 3;
const DRAFTS: u64 = 4;

/// End of a group's run: time, group, version of the run. Or the end of a cache's way: time, 0, request.
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
    /// Caches on their way to the pool that decodes.
    sent: BinaryHeap<Reverse<End>>,
    /// When the links of each attention rank are free again: of those that send, of those that receive.
    free: [Vec<f64>; 2],
    /// Time of the next arrival that does not follow from an end; infinite for none.
    next: f64,
    /// When those that followed an end in a closed loop reach an engine's queue, in order.
    following: VecDeque<f64>,
    /// Of each pool, where requests go in turn.
    turns: [usize; 2],
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
            groups: plan.pools.iter().flat_map(|p| (0..p.groups).map(|_| Group::new(p.ranks))).collect(),
            jobs: Vec::with_capacity(plan.warmup + plan.measured),
            ends: BinaryHeap::new(),
            sent: BinaryHeap::new(),
            free: [0, 1].map(|at: usize| plan.pools.get(at).map_or_else(Vec::new, |p| vec![0.0; p.links()])),
            next: f64::INFINITY,
            following: VecDeque::new(),
            turns: [0, 0],
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
        if let Some(&Reverse(End(at, _, number))) = self.sent.peek()
            && at <= end
            && at <= self.next
            && self.following.front().is_none_or(|&next| at <= next)
        {
            self.sent.pop();
            self.pass(at);
            self.received(number as usize, at);
            return true;
        }
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
        let place = self.route(0);
        self.jobs.push(Job::new(now - self.plan.request_s, now, place, &brought));
        self.in_flight += 1.0;
        self.queue(number, place, now);
        place.group
    }

    /// A request takes its place in a rank's queue.
    fn queue(&mut self, number: usize, Place { group: index, rank }: Place, now: f64) {
        if let Some(group) = self.groups.get_mut(index)
            && group.take(rank, number as u32, now)
        {
            self.ends.push(Reverse(End(group.end(), index, group.version)));
        }
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
        let alone = self.plan.apart.is_none() && self.role() == Some(Role::Prompts);
        (input, if alone { 1.0 } else { output })
    }

    /// What the next request brings.
    fn brought(&mut self, number: usize) -> Brought {
        let (input, output) = self.draw(number);
        let unread =
            |pool: &Pool<'_>| (pool.limits.model.prefix.unread(input) + 0.5).floor().max(1.0).min(input);
        let (unread, decoded) = match self.role() {
            Some(Role::Answers) => (0.0, output),
            // The end of the prompt gives the first token.
            _ => (self.plan.pools.first().map_or(input, unread), output - 1.0),
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

    /// What the pool does that requests come to.
    fn role(&self) -> Option<Role> {
        self.plan.pools.first().map(|pool| pool.limits.role)
    }

    /// Where a pool's groups begin.
    fn from(&self, pool: usize) -> usize {
        self.plan.pools.iter().take(pool).map(|p| p.groups).sum()
    }

    /// The pool that a group belongs to.
    fn pool_of(&self, group: usize) -> usize {
        usize::from(self.plan.pools.first().is_some_and(|first| group >= first.groups))
    }

    /// Group and rank of a pool for the next request.
    fn route(&mut self, pool: usize) -> Place {
        let from = self.from(pool);
        let Some(Pool { groups, ranks, .. }) = self.plan.pools.get(pool) else { return Place::default() };
        let all = groups * ranks;
        let at = match self.plan.routing {
            RequestRouting::RoundRobin => {
                let turn = self.turns.get_mut(pool);
                turn.map_or(0, |turn| {
                    *turn += 1;
                    (*turn - 1) % all
                })
            }
            RequestRouting::Random => self.routes.below(all),
            RequestRouting::LeastLoaded => {
                let each = self.groups.iter().skip(from).take(*groups).flat_map(|g| &g.ranks);
                let least = each.map(Rank::in_flight).enumerate().min_by_key(|&(_, requests)| requests);
                least.map_or(0, |(at, _)| at)
            }
        };
        Place { group: from + at / ranks, rank: at % ranks }
    }

    /// A prompt is read: its cache goes to a rank that decodes, as the links of both have room.
    fn send(&mut self, number: usize, now: f64) {
        let to = self.route(1);
        let (Some(apart), Some(job)) = (self.plan.apart, self.jobs.get_mut(number)) else { return };
        let [Some(reads), Some(decodes)] = [0, 1].map(|at| self.plan.pools.get(at)) else { return };
        let passage = apart.passage(job.input);
        let alone = passage.sent.max(passage.received);
        let receiver = decodes.link(to.group - reads.groups, to.rank);
        let [senders, receivers] = &mut self.free;
        let sender = senders.get_mut(reads.link(job.place.group, job.place.rank));
        let (Some(sender), Some(receiver)) = (sender, receivers.get_mut(receiver)) else { return };
        let (earliest, least) = match apart.transfer {
            KvTransfer::AfterPrefill => (now, now + alone),
            KvTransfer::LayerByLayer => {
                // The first layer's cache is there when it is computed; the last one's only at the end.
                let layers = apart.layers();
                (now - (now - job.began) * (layers - 1.0) / layers, now + alone / layers)
            }
        };
        let start = earliest.max(*sender).max(*receiver);
        *sender = start + passage.sent;
        *receiver = start + passage.received;
        (job.read, job.place) = (now, to);
        if let Some(rank) = self.groups.get_mut(to.group).and_then(|g| g.ranks.get_mut(to.rank)) {
            rank.coming += 1;
        }
        self.sent.push(Reverse(End((start + alone).max(least), 0, number as u64)));
    }

    /// A prompt's cache is where it is decoded.
    fn received(&mut self, number: usize, now: f64) {
        let Some(job) = self.jobs.get_mut(number) else { return };
        (job.queued, job.received) = (now, now);
        let place = job.place;
        if let Some(rank) = self.groups.get_mut(place.group).and_then(|g| g.ranks.get_mut(place.rank)) {
            rank.coming -= 1;
        }
        self.queue(number, place, now);
        self.begin(place.group, now);
    }

    fn begin(&mut self, index: usize, now: f64) {
        let pool = self.plan.pools.get(self.pool_of(index));
        let (Some(group), Some(pool)) = (self.groups.get_mut(index), pool) else { return };
        if group.running {
            return;
        }
        group.begin(&mut self.jobs, &pool.limits, now);
        if group.running {
            self.ends.push(Reverse(End(group.end(), index, group.version)));
        }
    }

    /// A group's run ends: its answers, the requests that follow them in a closed loop, its next run.
    fn finish(&mut self, index: usize) {
        let at = self.pool_of(index);
        let (Some(group), Some(pool)) = (self.groups.get_mut(index), self.plan.pools.get(at)) else { return };
        let (from, to) = (group.start, group.end());
        let overlap = (to.min(self.window.1) - from.max(self.window.0)).max(0.0);
        if overlap > 0.0
            && let Some(sums) = self.sums.pools.get_mut(at)
        {
            sums.busy += overlap * group.ranks.len() as f64;
            for rank in &group.ranks {
                sums.decoding += overlap * rank.decodes();
                sums.kv_bytes += overlap * rank.used(&self.jobs, &pool.limits);
            }
        }
        let mut ended = std::mem::take(&mut self.ended);
        group.finish(&mut self.jobs, &pool.limits, &mut ended);
        if pool.limits.role == Role::Prompts && self.plan.apart.is_some() {
            // An answer of one token is given with its prompt; the others go on.
            ended.retain(|&number| {
                let goes_on = self.jobs.get(number as usize).is_some_and(|job| job.steps > 0.0);
                if goes_on {
                    self.send(number as usize, to);
                }
                !goes_on
            });
        }
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
            let waiting: usize = ranks().map(Rank::waits).sum();
            let decoding = ranks().map(Rank::decodes).fold(0.0, |a, b| a + b);
            let share = self.plan.pools.last().map_or(0.0, |pool| {
                let held = self.groups.iter().skip(self.groups.len() - pool.groups).flat_map(|g| &g.ranks);
                let used = held.map(|r| r.used(&self.jobs, &pool.limits)).fold(0.0, |a, b| a + b);
                let all = pool.limits.capacity * pool.size() as f64;
                if all > 0.0 { used / all } else { 0.0 }
            });
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
