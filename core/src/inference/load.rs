//! Kinds of load: what the words of a request mean, and the state of a replica under each.

use serde::{Deserialize, Serialize};

use super::iteration::{LegalLayout, ServingModel, Work};
use super::run::ServingRun;
use super::steady::{Arrivals, ServingLoad, SteadyState};
use super::{IterationParts, ServingPointRequest};
use crate::error::{Error, check_range};

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum LoadKind {
    /// `concurrency` in flight, each replaced when it ends. With `requests`, a load generator's run that starts
    /// `concurrency` of them at once; without, the mixed state of a service.
    ClosedLoop,
    /// `request_rate` per second at random times.
    Poisson,
    /// All there from the start, the engine picks the batch: the highest throughput. With `requests`, the run's fill
    /// and drain count; without, it never ends.
    Offline,
    /// All of `requests` come at once.
    Burst,
    /// `concurrency` requests as one batch from prompt to last token, with no other work.
    StaticBatch,
    /// Prompts only, back to back: answers have one token.
    PrefillOnly,
    /// `concurrency` sequences decode, their prompts read elsewhere.
    DecodeOnly,
}

/// A load on one replica.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ReplicaLoad {
    /// Requests in flight; with the requests of the run, started at once.
    Closed(f64, Option<f64>),
    /// Requests per second.
    Poisson(f64),
    /// Requests of the run; none: without end.
    Offline(Option<f64>),
    /// Requests of a batch run from prompt to last token.
    Static(f64),
    /// Prompts only.
    Prefill,
    /// Sequences that decode.
    Decode(f64),
}

impl ReplicaLoad {
    /// What `request` asks of each of `replicas`.
    ///
    /// # Errors
    /// `MissingField` for a number that the kind needs, `Conflict` for one that it has no use for, `OutOfRange`.
    pub fn of(request: &ServingPointRequest, replicas: f64) -> Result<Self, Error> {
        let kind = match (request.load, request.concurrency, request.request_rate) {
            (Some(kind), _, _) => kind,
            (None, Some(_), None) => LoadKind::ClosedLoop,
            (None, None, Some(_)) => LoadKind::Poisson,
            (None, Some(_), Some(_)) => {
                return Err(Error::Conflict {
                    field: "request_rate".to_owned(),
                    message: "given together with concurrency; give one of the two".to_owned(),
                });
            }
            (None, None, None) => {
                return Err(Error::MissingField {
                    field: "concurrency".to_owned(),
                    expected: "requests in flight, or request_rate in requests per second, or a load"
                        .to_owned(),
                });
            }
        };
        let takes = Takes::of(kind);
        let concurrency = number("concurrency", request.concurrency, takes.concurrency, 1e-6, kind)?;
        let rate = number("request_rate", request.request_rate, takes.rate, 1e-9, kind)?;
        let requests = number("requests", request.requests, takes.requests, 1.0, kind)?;
        let each = |x: Option<f64>| x.map(|x| x / replicas);
        let (concurrency, rate, requests) = (each(concurrency), each(rate), each(requests));
        Ok(match kind {
            LoadKind::ClosedLoop => Self::Closed(concurrency.unwrap_or(f64::NAN), requests),
            LoadKind::Poisson => Self::Poisson(rate.unwrap_or(f64::NAN)),
            LoadKind::Offline | LoadKind::Burst => Self::Offline(requests),
            LoadKind::StaticBatch => Self::Static(concurrency.unwrap_or(f64::NAN)),
            LoadKind::PrefillOnly => Self::Prefill,
            LoadKind::DecodeOnly => Self::Decode(concurrency.unwrap_or(f64::NAN)),
        })
    }
}

/// Whether a kind needs, may have or has no use for a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Needed,
    Optional,
    None,
}

struct Takes {
    concurrency: Use,
    rate: Use,
    requests: Use,
}

impl Takes {
    fn of(kind: LoadKind) -> Self {
        let (concurrency, rate, requests) = match kind {
            LoadKind::ClosedLoop => (Use::Needed, Use::None, Use::Optional),
            LoadKind::Poisson => (Use::None, Use::Needed, Use::None),
            LoadKind::Offline => (Use::None, Use::None, Use::Optional),
            LoadKind::Burst => (Use::None, Use::None, Use::Needed),
            LoadKind::StaticBatch | LoadKind::DecodeOnly => (Use::Needed, Use::None, Use::None),
            LoadKind::PrefillOnly => (Use::None, Use::None, Use::None),
        };
        Self { concurrency, rate, requests }
    }
}

fn number(
    field: &str,
    given: Option<f64>,
    used: Use,
    min: f64,
    kind: LoadKind,
) -> Result<Option<f64>, Error> {
    match (given, used) {
        (Some(_), Use::None) => Err(Error::Conflict {
            field: field.to_owned(),
            message: format!("a load of kind {kind:?} has no use for it"),
        }),
        (None, Use::Needed) => Err(Error::MissingField {
            field: field.to_owned(),
            expected: format!("a number, for a load of kind {kind:?}"),
        }),
        (Some(x), _) => check_range(field, x, min, 1e9).map(Some),
        (None, _) => Ok(None),
    }
}

impl ServingModel<'_> {
    /// State of one replica cut by `layout` under `load`, for mean lengths of `input` and `output` tokens whose answers
    /// have the squared coefficient of variation `length_scv`.
    ///
    /// In loads with an end, rates are means over the run. Of a static batch, the time to first token is its prefill; of
    /// decode alone, one step.
    pub fn under(
        &self,
        layout: &LegalLayout,
        input: f64,
        output: f64,
        length_scv: f64,
        load: &ReplicaLoad,
    ) -> SteadyState {
        let lengths = |output, arrivals| ServingLoad { input_tokens: input, output_tokens: output, arrivals };
        match *load {
            ReplicaLoad::Closed(total, requests) => {
                let load = lengths(output, Arrivals::Closed(total));
                let mut state = self.point(layout, &load);
                if let Some(requests) = requests.filter(|_| !state.waiting) {
                    let start = self.start_seconds(layout, &load, (total, requests), length_scv, &state);
                    state.ttft_seconds += start;
                    // The last of those that were started at once waits twice the mean.
                    state.ttft_p95_seconds += 2.0 * start;
                }
                state
            }
            ReplicaLoad::Poisson(rate) => self.point(layout, &lengths(output, Arrivals::Poisson(rate))),
            ReplicaLoad::Offline(None) => self.point(layout, &lengths(output, Arrivals::Full)),
            ReplicaLoad::Offline(Some(requests)) => self.run_state(
                layout,
                &lengths(output, Arrivals::Full),
                &ServingRun { input_tokens: input, output_tokens: output, requests, length_scv },
            ),
            ReplicaLoad::Static(batch) => {
                let (prefill, rest) = self.static_batch_seconds(layout, batch, input, output);
                let tpot = rest / (output - 1.0).max(1.0);
                let state = self.point(layout, &lengths(output, Arrivals::Full));
                let (decode, _) = self.decode_seconds(layout, batch, input, output);
                fixed(state, prefill, tpot, batch, batch / (prefill + rest), decode)
            }
            ReplicaLoad::Prefill => self.point(layout, &lengths(1.0, Arrivals::Full)),
            ReplicaLoad::Decode(batch) => {
                let (decode, step) = self.decode_seconds(layout, batch, input, output);
                let state = self.point(layout, &lengths(output, Arrivals::Full));
                fixed(state, step, step, batch, batch / (step * output), decode)
            }
        }
    }

    fn run_state(&self, layout: &LegalLayout, load: &ServingLoad, run: &ServingRun) -> SteadyState {
        let state = self.point(layout, load);
        let run = self.burst(layout, run);
        SteadyState {
            ttft_seconds: run.ttft_seconds,
            // First tokens come evenly over the run until its last prompt is read.
            ttft_p95_seconds: 1.9 * run.ttft_seconds,
            tpot_seconds: run.tpot_seconds,
            tpot_p95_seconds: state.tpot_p95_seconds.max(run.tpot_seconds),
            requests_per_second: run.requests_per_second,
            concurrency: run.decode_batch,
            decode_batch: run.decode_batch,
            ..state
        }
    }

    /// One decode step of `sequences` of a replica half way through their answers, by part, and its seconds.
    fn decode_seconds(
        &self,
        layout: &LegalLayout,
        sequences: f64,
        input: f64,
        output: f64,
    ) -> ((IterationParts, Work), f64) {
        let each = (sequences / (layout.cut.dp * layout.cut.pp)).max(1.0);
        let (parts, work) = self.decode_step(layout, each, input + 0.5 * output);
        ((parts, work), parts.total_seconds)
    }
}

/// A state whose latencies do not vary.
fn fixed(
    state: SteadyState,
    ttft: f64,
    tpot: f64,
    batch: f64,
    requests_per_second: f64,
    (decode, decode_work): (IterationParts, Work),
) -> SteadyState {
    let held = state.decode_batch;
    SteadyState {
        ttft_seconds: ttft,
        ttft_p95_seconds: ttft,
        tpot_seconds: tpot,
        tpot_p95_seconds: tpot,
        requests_per_second,
        concurrency: batch,
        decode_batch: batch,
        // A batch past what the cache holds is said, not cut down.
        waiting: batch > held,
        sustainable_request_rate: state.sustainable_request_rate.max(requests_per_second),
        decode,
        decode_work,
        ..state
    }
}
