//! Disaggregated serving: prompts are read on GPUs of their own, their KV cache is sent to GPUs that only decode
//! (arXiv 2311.18677, arXiv 2401.09670).
//!
//! Throughput is the least of what the prefill pool, the decode pool and the links between them sustain. Time to first
//! token: queue and prefill in one pool, transfer, a place in a batch of the other. No prompt holds up a decode iteration.

use serde::{Deserialize, Serialize};

use crate::error::{Error, check_range};
use crate::network::{CollectiveOp, Group, Topology, collective_time};

use super::point::{answer, decode_bound, prefill_bound, replica_gpus, whole_replicas};
use super::root::root;
use super::steady::{Arrivals, ServingLoad, SteadyState};
use super::stream::LN20;
use super::{
    LegalLayout, ServingLayout, ServingMemory, ServingModel, ServingPoint, ServingPointRequest, ServingTarget,
};
use crate::quantity::{Warning, count};

/// Prompts read on GPUs of their own; `gpus` of the request counts both pools, its `layout` is one that decodes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Disaggregated {
    /// How a replica that reads prompts is cut.
    pub prefill_layout: ServingLayout,
    /// GPUs that read prompts, a multiple of such a replica's; if not given, the split of all GPUs into whole replicas that
    /// sustains the highest request rate.
    #[serde(default)]
    pub prefill_gpus: Option<u32>,
    /// When the KV cache is sent.
    #[serde(default)]
    pub transfer: KvTransfer,
}

/// When a prompt's KV cache goes to the GPUs that decode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum KvTransfer {
    /// All of it once the prompt is read.
    #[default]
    AfterPrefill,
    /// A layer's as soon as it is computed, while the next layers are (arXiv 2311.18677, section IV-C).
    LayerByLayer,
}

/// Two pools and what goes between them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct ServingPools {
    /// How a replica that reads prompts is cut.
    pub prefill_layout: ServingLayout,
    /// GPUs that read prompts.
    pub prefill_gpus: u32,
    /// Replicas that read prompts.
    pub prefill_replicas: u32,
    /// GPUs that decode.
    pub decode_gpus: u32,
    /// Replicas that decode.
    pub decode_replicas: u32,
    /// Request rate over what the prefill pool sustains.
    pub prefill_utilisation: f64,
    /// Request rate over what the decode pool sustains.
    pub decode_utilisation: f64,
    /// Request rate over what the links between the pools sustain.
    pub transfer_utilisation: f64,
    /// GPUs that read prompts for each that decodes at which both pools sustain the same rate. None where answers have one
    /// token: nothing is decoded then.
    pub balanced_prefill_gpus_per_decode_gpu: Option<f64>,
    /// Mean seconds from a request's coming to the end of its prefill.
    pub prefill_seconds: f64,
    /// Bytes of KV cache sent for a request, to all GPUs that decode it.
    pub transfer_bytes: f64,
    /// Seconds that sending them takes, waiting included.
    pub transfer_seconds: f64,
    /// Seconds of it after the prefill: what the first token waits for.
    pub transfer_exposed_seconds: f64,
    /// Memory of one GPU that reads prompts.
    pub prefill_memory: ServingMemory,
}

/// The operating point of `model` with its pools apart on `gpus` in all.
///
/// # Errors
/// Under `disaggregated`: a layout that does not divide the model, GPUs that are not whole replicas of both pools, pools
/// that no link joins.
pub(super) fn point(
    target: &ServingTarget,
    model: &ServingModel<'_>,
    apart: &Disaggregated,
    decode_layout: &LegalLayout,
    request: &ServingPointRequest,
    load: &ServingLoad,
) -> Result<ServingPoint, Error> {
    let gpus = request.gpus;
    let prefill_layout = model.layout(apart.prefill_layout).map_err(renamed)?;
    let reading = model.with_prompts_read();
    let pair = PoolPair::new(model, &reading, &prefill_layout, decode_layout, load, apart.transfer)?;
    let (prefill, decode) = pair.replicas(gpus, apart.prefill_gpus, load.arrivals)?;
    let state = pair.state(prefill, decode, load.arrivals);
    let mut point = pair.shown(target, load, &state, prefill, decode);
    if request.explain {
        point.operations = reading.decode_operations(decode_layout, &state.decode);
        point.operations.extend(model.prefill_operations(&prefill_layout, load.input_tokens));
    }
    Ok(point)
}

/// The error of a prefill replica's layout with its own path.
pub(super) fn renamed(error: Error) -> Error {
    error.with_root("layout", "disaggregated.prefill_layout")
}

/// Two pools' replicas at one question, with what each sustains.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolPair<'m, 'a> {
    prefill_model: &'m ServingModel<'a>,
    /// The model where prompts come read.
    decode_model: &'m ServingModel<'a>,
    prefill_layout: LegalLayout,
    decode_layout: LegalLayout,
    pub prefill_gpus: u32,
    pub decode_gpus: u32,
    /// One prefill replica with more to do than it can.
    pub prefill: SteadyState,
    /// One decode replica with more to do than it can.
    pub decode: SteadyState,
    /// Requests per second at random times that one replica of each pool sustains.
    prefill_at_random: f64,
    decode_at_random: f64,
    input: f64,
    output: f64,
    kind: KvTransfer,
}

/// A replica of one pool: how it is cut and what it sustains.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolReplica {
    pub layout: LegalLayout,
    pub gpus: u32,
    /// With more to do than it can.
    pub full: SteadyState,
    /// Requests per second at random times that it sustains.
    pub at_random: f64,
}

impl PoolReplica {
    /// A replica of `model`, with requests of this load's lengths.
    ///
    /// # Errors
    /// `Conflict` for a layout of more GPUs than a number holds.
    pub fn new(model: &ServingModel<'_>, layout: &LegalLayout, load: &ServingLoad) -> Result<Self, Error> {
        Ok(Self {
            layout: *layout,
            gpus: replica_gpus(layout)?,
            full: model.point(layout, &ServingLoad { arrivals: Arrivals::Full, ..*load }),
            at_random: model.sustainable_rate(layout, &load.at_random(0.0)),
        })
    }
}

/// The load of GPUs that only read prompts: each ends with its first token.
pub(super) fn of_prompts(load: &ServingLoad) -> ServingLoad {
    ServingLoad { output_tokens: 1.0, ..*load }
}

/// Steady state of both pools.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolsState {
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

/// A request's KV cache on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transfer {
    /// Bytes to all GPUs that decode the request.
    bytes: f64,
    /// Seconds, waiting included.
    seconds: f64,
    /// Seconds after the prefill.
    pub exposed: f64,
    /// Requests per second that the links sustain.
    most_rate: f64,
}

/// A prompt's KV cache between the pools: bytes to all GPUs that decode it, and the seconds that the links of the GPUs that
/// read it and of each that decodes it are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Passage {
    pub bytes: f64,
    pub sent: f64,
    pub received: f64,
}

impl<'m, 'a> PoolPair<'m, 'a> {
    /// Replicas of `model` that read prompts beside some of `decode_model`, which has them read.
    ///
    /// # Errors
    /// `Conflict` for a layout of more GPUs than a number holds.
    pub fn new(
        prefill_model: &'m ServingModel<'a>,
        decode_model: &'m ServingModel<'a>,
        prefill_layout: &LegalLayout,
        decode_layout: &LegalLayout,
        load: &ServingLoad,
        kind: KvTransfer,
    ) -> Result<Self, Error> {
        let prefill = PoolReplica::new(prefill_model, prefill_layout, &of_prompts(load)).map_err(renamed)?;
        let decode = PoolReplica::new(decode_model, decode_layout, load)?;
        Ok(Self::of((prefill_model, &prefill), (decode_model, &decode), load, kind))
    }

    /// The same of replicas that are known already.
    pub fn of(
        (prefill_model, prefill): (&'m ServingModel<'a>, &PoolReplica),
        (decode_model, decode): (&'m ServingModel<'a>, &PoolReplica),
        load: &ServingLoad,
        kind: KvTransfer,
    ) -> Self {
        Self {
            prefill_model,
            decode_model,
            prefill_layout: prefill.layout,
            decode_layout: decode.layout,
            prefill_gpus: prefill.gpus,
            decode_gpus: decode.gpus,
            prefill: prefill.full,
            decode: decode.full,
            prefill_at_random: prefill.at_random,
            decode_at_random: decode.at_random,
            input: load.input_tokens,
            output: load.output_tokens,
            kind,
        }
    }

    /// Replicas of both pools on `gpus`, `prefill_gpus` of them for prompts; without those the split that sustains the
    /// highest rate.
    ///
    /// # Errors
    /// GPUs that are not whole replicas of both pools; pools that no link joins.
    pub fn replicas(
        &self,
        gpus: u32,
        prefill_gpus: Option<u32>,
        arrivals: Arrivals,
    ) -> Result<(u32, u32), Error> {
        let (prefill, decode) = match prefill_gpus {
            Some(given) => self.split(gpus, given)?,
            None => self.balanced(gpus, arrivals)?,
        };
        if self.passage(prefill, decode, self.input).is_none() {
            let topology = &self.decode_model.topology;
            return Err(Error::Conflict {
                field: "disaggregated".to_owned(),
                message: format!(
                    "pools of {gpus} GPUs leave their node of {}, and these nodes have no RDMA network",
                    topology.scale_up_domain.max(topology.gpus_per_node)
                ),
            });
        }
        Ok((prefill, decode))
    }

    /// Replicas of both pools on `gpus`, `prefill` of them for prompts.
    fn split(&self, gpus: u32, prefill: u32) -> Result<(u32, u32), Error> {
        let field = "disaggregated.prefill_gpus";
        check_range(field, f64::from(prefill), 1.0, f64::from(gpus.saturating_sub(1).max(1)))?;
        if prefill >= gpus {
            return Err(Error::Conflict {
                field: field.to_owned(),
                message: format!("{prefill} of {} to read prompts leave none to decode", count(gpus, "GPU")),
            });
        }
        let reading = whole_replicas(field, prefill, &self.prefill_layout)?;
        Ok((
            reading,
            whole_replicas("gpus", gpus - prefill, &self.decode_layout).map_err(|_| self.no_split(gpus))?,
        ))
    }

    /// The split of `gpus` into whole replicas of both pools that sustains the highest rate.
    fn balanced(&self, gpus: u32, arrivals: Arrivals) -> Result<(u32, u32), Error> {
        let mut best: Option<((u32, u32), f64)> = None;
        for prefill in 1..=gpus / self.prefill_gpus {
            let left = gpus - prefill * self.prefill_gpus;
            if left == 0 || !left.is_multiple_of(self.decode_gpus) {
                continue;
            }
            let decode = left / self.decode_gpus;
            let rate = self.most_rate(prefill, decode, arrivals);
            if best.is_none_or(|(_, known)| rate > known) {
                best = Some(((prefill, decode), rate));
            }
        }
        best.map(|(split, _)| split).ok_or_else(|| self.no_split(gpus))
    }

    fn no_split(&self, gpus: u32) -> Error {
        let (p, d) = (self.prefill_gpus, self.decode_gpus);
        Error::Conflict {
            field: "gpus".to_owned(),
            message: format!(
                "{} cannot be divided into replicas of {p} that read prompts and of {d} that decode; try {}",
                count(gpus, "GPU"),
                p.saturating_add(gpus.saturating_sub(p).max(1).div_ceil(d).saturating_mul(d))
            ),
        }
    }

    /// Requests per second that one replica that reads prompts sustains.
    fn prefill_rate(&self, arrivals: Arrivals) -> f64 {
        match arrivals {
            Arrivals::Closed(_) | Arrivals::Full => self.prefill.sustainable_request_rate,
            Arrivals::Poisson(_) => self.prefill_at_random,
        }
    }

    /// Requests per second that one decode replica sustains.
    fn decode_rate(&self, arrivals: Arrivals) -> f64 {
        match arrivals {
            Arrivals::Closed(_) => self.decode.sustainable_request_rate,
            // The prefill pool ends prompts at random times, whatever the demand.
            Arrivals::Poisson(_) | Arrivals::Full => self.decode_at_random,
        }
    }

    /// Highest request rate of so many replicas of both pools and the links between them, requests per second.
    pub fn most_rate(&self, prefill: u32, decode: u32, arrivals: Arrivals) -> f64 {
        let read = f64::from(prefill) * self.prefill_rate(arrivals);
        if !self.decodes() {
            return read;
        }
        let links = self.transfer(prefill, decode, 0.0).map_or(0.0, |transfer| transfer.most_rate);
        read.min(f64::from(decode) * self.decode_rate(arrivals)).min(links)
    }

    /// Whether anything is sent and decoded: an answer of one token ends with its prompt.
    fn decodes(&self) -> bool {
        self.output > 1.0
    }

    /// The way of a prompt of `tokens` from one pool to the other; none where no link joins them.
    ///
    /// Every GPU that decodes a sequence receives its own share of the cache (of latent attention all of it: the latent is
    /// not cut by heads); the GPUs that read the prompt send as much in all, inside the scale-up domain where both pools lie
    /// in one.
    pub fn passage(&self, prefill: u32, decode: u32, tokens: f64) -> Option<Passage> {
        let (from, to) = (&self.prefill_layout.cut, &self.decode_layout.cut);
        let model = self.decode_model;
        let each = model.kv_bytes(to, tokens) * model.prefix.own_share(tokens, tokens) / to.pp;
        let bytes = each * to.tp * to.pp;
        let gpus =
            prefill.saturating_mul(self.prefill_gpus).saturating_add(decode.saturating_mul(self.decode_gpus));
        let link = between(&model.topology, gpus);
        let seconds = |bytes: f64| {
            collective_time(CollectiveOp::SendRecv, bytes, link, &model.topology).map(|time| time.seconds)
        };
        Some(Passage { bytes, sent: seconds(bytes / (from.tp * from.pp))?, received: seconds(each)? })
    }

    /// A request's transfer at a `rate` of them; none where no link joins the pools. Requests of one attention rank are sent
    /// one after the other over its GPUs' own links.
    pub fn transfer(&self, prefill: u32, decode: u32, rate: f64) -> Option<Transfer> {
        let (from, to) = (&self.prefill_layout.cut, &self.decode_layout.cut);
        let model = self.decode_model;
        let Passage { bytes, sent, received } = self.passage(prefill, decode, self.input)?;
        let ranks = |replicas: u32, cut: &super::cut::Cut| f64::from(replicas) * cut.dp;
        let most_rate = (ranks(prefill, from) / sent).min(ranks(decode, to) / received);
        // Pollaczek-Khinchine, as for prompts.
        let used = (rate / most_rate).min(1.0 - 1e-9);
        let alone = sent.max(received);
        let seconds = alone * (1.0 + 0.5 * (1.0 + model.random_spread().0) * used / (1.0 - used));
        let exposed = match self.kind {
            KvTransfer::AfterPrefill => seconds,
            KvTransfer::LayerByLayer => {
                // What is sent of all layers but the last hides behind the reading of those after the first.
                let layers = model.sizes.layers;
                (seconds - self.prefill.ttft_seconds * (layers - 1.0) / layers).max(seconds / layers)
            }
        };
        Some(Transfer { bytes, seconds, exposed, most_rate })
    }

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

    /// A closed loop: the requests in the decode pool at whose rate those in prefill and on their way make up all others.
    /// Queues at the prefill pool see the other requests of one of its streams (Schweitzer's approximation).
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

    fn transfer_at(&self, prefill: u32, decode: u32, rate: f64) -> Transfer {
        let never = Transfer { bytes: 0.0, seconds: f64::INFINITY, exposed: f64::INFINITY, most_rate: 0.0 };
        self.transfer(prefill, decode, rate).unwrap_or(never)
    }

    /// Seconds from the first to the last token.
    fn answer(&self, run: &SteadyState) -> f64 {
        (self.output - 1.0).max(0.0) * run.tpot_seconds
    }

    /// The answer to show.
    pub fn shown(
        &self,
        target: &ServingTarget,
        load: &ServingLoad,
        state: &PoolsState,
        prefill: u32,
        decode: u32,
    ) -> ServingPoint {
        let (reading, decoding) = (f64::from(prefill), f64::from(decode));
        // The decode pool's answer, with the whole's figures where they differ.
        let whole = SteadyState {
            requests_per_second: state.rate / decoding,
            concurrency: state.concurrency / decoding,
            sustainable_request_rate: state.most_rate / decoding,
            ttft_seconds: state.ttft,
            ttft_p95_seconds: state.ttft_p95.max(state.ttft),
            saturated: state.saturated,
            waiting: state.waiting,
            // The decode pool's alone: the whole's first tokens have no distribution yet.
            percentiles: None,
            ..state.decode
        };
        let mut point = answer(target, self.decode_model, &self.decode_layout, load, &whole, decode);
        let prefill_gpus = prefill * self.prefill_gpus;
        let decode_share = f64::from(point.gpus) / f64::from(point.gpus + prefill_gpus);
        let pools = ServingPools {
            prefill_layout: self.prefill_layout.layout,
            prefill_gpus,
            prefill_replicas: prefill,
            decode_gpus: point.gpus,
            decode_replicas: decode,
            prefill_utilisation: state.rate / (reading * self.prefill_rate(load.arrivals)),
            decode_utilisation: if self.decodes() {
                state.rate / (decoding * self.decode_rate(load.arrivals))
            } else {
                0.0
            },
            transfer_utilisation: state.rate / state.transfer.most_rate,
            balanced_prefill_gpus_per_decode_gpu: self.balance(load.arrivals),
            prefill_seconds: state.prefill.ttft_seconds,
            transfer_bytes: state.transfer.bytes,
            transfer_seconds: state.transfer.seconds,
            transfer_exposed_seconds: state.transfer.exposed,
            prefill_memory: self.prefill.memory,
        };
        point.gpus += prefill_gpus;
        point.output_tokens_per_second_per_gpu *= decode_share;
        point.total_tokens_per_second_per_gpu *= decode_share;
        point.prefill = self.prefill_model.prefill(&self.prefill_layout, self.input);
        if !pools.prefill_memory.fits {
            point.warnings.push(Warning::new(
                "does_not_fit",
                "disaggregated.prefill_layout",
                format!(
                    "{} and one prompt need more than the {:.0} GiB of a GPU that reads prompts",
                    self.prefill_model.name(),
                    pools.prefill_memory.available_gib
                ),
            ));
        }
        point.bound_by = self.bound_by(&point, &pools, state);
        point.pools = Some(pools);
        point
    }

    fn bound_by(&self, point: &ServingPoint, pools: &ServingPools, state: &PoolsState) -> String {
        if !point.memory.fits || !pools.prefill_memory.fits {
            return "memory: it does not fit".to_owned();
        }
        let (prefill, decode) = (pools.prefill_utilisation, pools.decode_utilisation);
        if pools.transfer_utilisation > prefill.max(decode) {
            "transfer of the KV cache".to_owned()
        } else if prefill > decode {
            format!("prefill pool: {}", prefill_bound(self.prefill_model, &self.prefill_layout, self.input))
        } else {
            format!("decode pool: {}", decode_bound(self.decode_model, &self.decode_layout, &state.decode))
        }
    }

    /// How a replica that reads prompts is cut.
    pub fn prefill_layout(&self) -> ServingLayout {
        self.prefill_layout.layout
    }

    /// GPUs that read prompts for each that decodes at which both pools sustain the same rate; none where nothing is decoded.
    pub fn balance(&self, arrivals: Arrivals) -> Option<f64> {
        let per_gpu = |rate: f64, gpus: u32| rate / f64::from(gpus);
        self.decodes().then(|| {
            per_gpu(self.decode_rate(arrivals), self.decode_gpus)
                / per_gpu(self.prefill_rate(arrivals), self.prefill_gpus)
        })
    }
}

/// A GPU of one pool and one of the other: neighbours where all `gpus` lie in one scale-up domain.
fn between(topology: &Topology, gpus: u32) -> Group {
    let domain = topology.scale_up_domain.max(1);
    Group { ranks: 2, stride: if gpus <= domain { 1 } else { domain } }
}
