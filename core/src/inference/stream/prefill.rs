//! Prompts with nothing to decode beside them.

use super::super::iteration::Work;
use super::super::steady::{Arrivals, ServingLoad, SteadyState};
use super::super::{LatencyPercentiles, Percentiles, queue};
use super::{StateParts, Stream};

impl Stream<'_> {
    /// Seconds of an iteration in which a share `reading` of the attention ranks reads so many tokens of prompts of this length, and
    /// nothing decodes.
    pub(super) fn reading(&self, tokens: f64, length: f64, reading: f64) -> f64 {
        let work = Work {
            sequences: 0.0,
            keys: 0.0,
            prompt_tokens: tokens,
            prompt_length: length,
            busy: self.busy,
            reading,
        };
        self.model.iteration(self.cut, &work).total_seconds
    }

    /// Seconds to the first token of a prompt with nothing else to do; every attention rank reads one.
    pub(in crate::inference) fn first_alone(&self) -> f64 {
        let (unread, chunk) = (self.unread.max(1.0), self.model.engine.chunk_tokens);
        self.model.engine.request_seconds(self.input)
            + (unread / chunk).max(1.0) * self.reading(unread.min(chunk), self.input, 1.0)
    }

    /// Answers of one token: nothing decodes.
    pub(in crate::inference) fn prefill_only(&self, streams: f64, load: &ServingLoad) -> SteadyState {
        let model = self.model;
        let chunk = model.engine.chunk_tokens;
        let unread = self.unread.max(1.0);
        let alone = self.first_alone();
        let most = self.sustainable();
        let packed = 1.0 / most;
        let decode_work = Work {
            sequences: 1.0,
            keys: self.keys(),
            prompt_tokens: 0.0,
            prompt_length: 0.0,
            busy: self.busy,
            reading: 0.0,
        };
        let decode = model.iteration(self.cut, &decode_work);
        let tpot = decode.total_seconds / model.accepted_tokens();
        let mut percentiles = None;
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
                if each >= most {
                    (alone, alone, most, most * alone, true)
                } else {
                    let seconds = |length: f64| {
                        self.reading(chunk, length, 1.0) * unread * (length / self.input) / chunk
                    };
                    let ttft = queue::first_tokens(self, (each, most), (alone, chunk / unread), seconds);
                    percentiles = Some(LatencyPercentiles {
                        ttft,
                        tpot: Percentiles::of_one(tpot),
                        input_spread: self.spread.0,
                        output_spread: self.spread.1,
                    });
                    (ttft.mean_seconds, ttft.p95_seconds, each, each * ttft.mean_seconds, false)
                }
            }
        };
        self.state(StateParts {
            ttft,
            ttft_p95: p95,
            tpot,
            tpot_p95: tpot,
            requests_per_second: rate * streams,
            batch: 0.0,
            concurrency: concurrency * streams,
            saturated,
            waiting: false,
            sustainable: most * streams,
            decode,
            decode_work,
            kv_batch: 0.0,
            percentiles,
        })
    }
}
