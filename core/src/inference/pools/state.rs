//! The steady state of both pools: at random times, in a closed loop, and where nothing decodes.

use super::super::root::root;
use super::super::steady::{Arrivals, ServingLoad, SteadyState};
use super::super::stream::LN20;
use super::PoolPair;
use super::transfer::Transfer;

/// Steady state of both pools.
#[derive(Debug, Clone, Copy)]
pub(in crate::inference) struct PoolsState {
    pub rate: f64,
    pub most_rate: f64,
    pub ttft: f64,
    pub ttft_p95: f64,
    pub concurrency: f64,
    pub saturated: bool,
    pub waiting: bool,
    /// One prefill replica.
    pub prefill: SteadyState,
    /// One decode replica.
    pub decode: SteadyState,
    pub transfer: Transfer,
}

impl PoolPair<'_, '_> {
    /// Steady state of `prefill` and `decode` replicas; of pools that no link joins, one that never gets a token.
    pub fn state(&self, prefill: u32, decode: u32, arrivals: Arrivals) -> PoolsState {
        let most_rate = self.most_rate(prefill, decode, arrivals);
        if !self.decodes() {
            return self.reading(prefill, arrivals, most_rate);
        }
        let counts = (prefill, decode);
        match arrivals {
            Arrivals::Poisson(rate) => self.open(counts, rate.min(most_rate), most_rate, rate >= most_rate),
            Arrivals::Full => self.open(counts, most_rate, most_rate, false),
            Arrivals::Closed(total) => self.closed(counts, total, most_rate),
        }
    }

    /// Answers of one token: the pool that decodes is idle.
    fn reading(&self, replicas: u32, arrivals: Arrivals, most_rate: f64) -> PoolsState {
        let copies = f64::from(replicas);
        let each = match arrivals {
            Arrivals::Poisson(rate) => Arrivals::Poisson(rate / copies),
            Arrivals::Closed(total) => Arrivals::Closed(total / copies),
            Arrivals::Full => Arrivals::Full,
        };
        let read = self.reads(each);
        PoolsState {
            rate: copies * read.requests_per_second,
            most_rate,
            ttft: read.ttft_seconds,
            ttft_p95: read.ttft_p95_seconds,
            concurrency: copies * read.concurrency,
            saturated: read.saturated,
            waiting: read.waiting,
            prefill: read,
            decode: self.decode,
            transfer: Transfer { bytes: 0.0, seconds: 0.0, exposed: 0.0, most_rate: f64::INFINITY },
        }
    }

    fn open(&self, (prefill, decode): (u32, u32), rate: f64, most_rate: f64, saturated: bool) -> PoolsState {
        let read = self.prefill_at(prefill, rate);
        let run = self.decode_at(decode, rate);
        let transfer = self.transfer_at(prefill, decode, rate);
        let scv = self.prefill_model.random_spread().0;
        let ttft = read.ttft_seconds + transfer.exposed + run.ttft_seconds;
        // Each percentile at once: an upper bound. A long prompt's transfer is longer too.
        let ttft_p95 = read.ttft_p95_seconds
            + transfer.exposed * (1.0 + (LN20 - 1.0) * libm::sqrt(scv))
            + run.ttft_p95_seconds;
        let concurrency = rate * (ttft + self.answer(&run));
        PoolsState {
            rate,
            most_rate,
            ttft,
            ttft_p95,
            concurrency,
            saturated,
            waiting: false,
            prefill: read,
            decode: run,
            transfer,
        }
    }

    /// A closed loop: the requests in the decode pool at whose rate those in prefill and on their way make up all
    /// others. Queues at the prefill pool see the other requests of one of its streams (Schweitzer's approximation).
    fn closed(&self, (prefill, decode): (u32, u32), total: f64, most_rate: f64) -> PoolsState {
        let cut = &self.prefill_layout.cut;
        let streams = cut.pp * cut.dp * f64::from(prefill);
        let each = (total / streams).max(1.0);
        let others = (each - 1.0) / each;
        let alone = self.prefill.ttft_seconds;
        let sustained = f64::from(prefill) * self.prefill.sustainable_request_rate;
        let at = |decoding: f64| {
            let run = self.decode_under(Arrivals::Closed(decoding / f64::from(decode)));
            let rate = run.requests_per_second * f64::from(decode);
            let used = rate / sustained * others;
            let queue = streams / sustained * used / (1.0 - used).max(1e-9);
            let transfer = self.transfer_at(prefill, decode, rate);
            let elsewhere = alone + queue + transfer.exposed;
            (decoding + rate * elsewhere - total, (run, rate, queue, transfer))
        };
        // At most all of them decode: then some are too many.
        let (_, (run, rate, queue, transfer)) =
            root(total, -total, at).unwrap_or_else(|| (total, at(total).1));
        let rate = rate.min(most_rate);
        let least = alone + transfer.exposed.min(total / rate) + 0.5 * run.tpot_seconds;
        // As on one replica: Little's law, or where it leaves little the queue's own formula, which loses fewer digits.
        let (direct, answer) = (alone + queue + transfer.exposed + run.ttft_seconds, self.answer(&run));
        let by_law = run.waiting || direct > 0.05 * answer;
        let ttft = if by_law { total / rate - answer } else { direct }.max(alone);
        PoolsState {
            rate,
            most_rate,
            ttft,
            ttft_p95: if run.waiting { ttft + alone } else { ttft + (LN20 - 1.0) * (ttft - least).max(0.0) },
            concurrency: total,
            saturated: false,
            waiting: run.waiting,
            prefill: SteadyState { ttft_seconds: (alone + queue).min(ttft), ..self.prefill },
            decode: run,
            transfer,
        }
    }

    fn prefill_at(&self, replicas: u32, rate: f64) -> SteadyState {
        self.reads(Arrivals::Poisson(rate / f64::from(replicas)))
    }

    /// One replica that reads prompts.
    fn reads(&self, arrivals: Arrivals) -> SteadyState {
        let load = ServingLoad { input_tokens: self.input, output_tokens: 1.0, arrivals };
        self.prefill_model.point(&self.prefill_layout, &load)
    }

    fn decode_at(&self, replicas: u32, rate: f64) -> SteadyState {
        self.decode_under(Arrivals::Poisson(rate / f64::from(replicas)))
    }

    /// One decode replica.
    fn decode_under(&self, arrivals: Arrivals) -> SteadyState {
        let load = ServingLoad { input_tokens: self.input, output_tokens: self.output, arrivals };
        let known = Some(self.decode_rate(arrivals));
        self.decode_model.point_knowing(&self.decode_layout, &load, known)
    }

    /// Seconds from the first to the last token.
    fn answer(&self, run: &SteadyState) -> f64 {
        (self.output - 1.0).max(0.0) * run.tpot_seconds
    }
}
