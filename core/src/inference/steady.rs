//! Steady state of continuous batching: a closed loop or random arrivals on one replica.
//!
//! A replica is `dp × pp` like streams, each with its own decode batch. Every iteration gives each of B sequences a
//! token; B/(answer − 1) prompts must be read per iteration to replace the sequences that end, and they ride along in
//! chunks: a share f of the iterations is mixed, `TPOT = (1 − f)·t(decode) + f·t(decode + chunk)`. A request stays
//! `TTFT + (answer − 1)·TPOT`; its prompt queues for the chunks. Closed loop: Schweitzer's approximation to mean value
//! analysis (an arriving request sees the others in proportion (C − 1)/C). Random arrivals: Little's law for B, and
//! [`super::queue`] for what fluctuates.

use super::iteration::{LegalLayout, ServingModel, Work};
use super::stream::{LN20, Pace, StateParts, Stream};
use super::{IterationParts, LatencyPercentiles, ServingMemory, queue};

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
    /// Distribution of the latencies under random arrivals that it sustains; else none.
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
            Arrivals::Poisson(_) => {
                let queued = queue::latencies(&stream, rate, (batch, &pace), saturated);
                let (ttft, tpot) = (queued.percentiles.ttft, queued.percentiles.tpot);
                batch = queued.batch;
                let (parts, work) = stream.step(batch, f64::INFINITY);
                pace = Pace { parts, work, tpot: tpot.mean_seconds, ..pace };
                let told = LatencyPercentiles { tpot: tpot.scaled(1.0 / accepted), ..queued.percentiles };
                percentiles = if saturated { None } else { Some(told) };
                (ttft.mean_seconds, ttft.p95_seconds, tpot.p95_seconds)
            }
            Arrivals::Closed(_) | Arrivals::Full => {
                // Little's law gives what is left of a request's time after its answer; where that is little, the queue's
                // own formula loses fewer digits.
                let direct = stream.first(&pace, batch, in_flight);
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

    /// Whether one replica's memory holds the weights and a request.
    pub(crate) fn fits(&self, layout: &LegalLayout, load: &ServingLoad) -> bool {
        Stream::new(self, &layout.cut, load).memory(0.0).fits
    }

    /// Seconds to the first token of a prompt that one replica reads with nothing else to do.
    pub(crate) fn prompt_alone(&self, layout: &LegalLayout, load: &ServingLoad) -> f64 {
        Stream::new(self, &layout.cut, load).first_alone()
    }

    /// Requests per second that one replica would sustain if its prompts took no time; without end where nothing decodes.
    pub(crate) fn decode_rate(&self, layout: &LegalLayout, load: &ServingLoad) -> f64 {
        let stream = Stream::new(self, &layout.cut, load);
        let streams = layout.cut.pp * layout.cut.dp;
        if stream.steps <= 0.0 {
            return f64::INFINITY;
        }
        streams * stream.most / (stream.steps * stream.step_seconds(stream.most))
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
