//! The replicas that are simulated: alike, or prompts read in a pool of their own and decoded in another.

use super::engine::{Limits, Role};
use super::{MOST_RANKS, SimulationPhase, SimulationRequest, SteadyBeside};
use crate::error::Error;
use crate::inference::pools::{Passage, PoolPair, renamed};
use crate::inference::steady::{Arrivals, ServingLoad, SteadyState};
use crate::inference::stream::Stream;
use crate::inference::{KvTransfer, LegalLayout, ServingModel};

/// Ranks of replicas that are alike.
pub(super) struct Pool<'a> {
    pub limits: Limits<'a>,
    /// Groups of ranks, ranks of each.
    pub groups: usize,
    pub ranks: usize,
    /// Groups that share the links of an attention rank: the streams of a pipeline.
    pub streams: usize,
}

impl Pool<'_> {
    /// Ranks in all.
    pub fn size(&self) -> usize {
        self.groups * self.ranks
    }

    /// Attention ranks, each with links of its own.
    pub fn links(&self) -> usize {
        self.size() / self.streams
    }

    /// The attention rank that a rank of a group belongs to.
    pub fn link(&self, group: usize, rank: usize) -> usize {
        group / self.streams * self.ranks + rank
    }
}

/// Which GPUs do what.
pub(super) enum Replicas<'m, 'a> {
    /// Every replica does the same.
    Alike { model: &'m ServingModel<'a>, layout: LegalLayout, count: u32 },
    /// Some read prompts, the others decode.
    Apart(Box<Apart<'m, 'a>>),
}

/// Two pools, and what goes between them.
pub(super) struct Apart<'m, 'a> {
    pair: PoolPair<'m, 'a>,
    reads: (&'m ServingModel<'a>, LegalLayout),
    decodes: (&'m ServingModel<'a>, LegalLayout),
    pub prefill: u32,
    pub decode: u32,
    pub transfer: KvTransfer,
}

impl<'m, 'a> Apart<'m, 'a> {
    /// The pools that `request` asks for: `model` reads prompts, `decoding` has them read. None where it asks for none.
    ///
    /// # Errors
    /// As [`crate::inference::serving_point`], under `disaggregated`; a phase beside it.
    pub fn of(
        request: &SimulationRequest,
        model: &'m ServingModel<'a>,
        decoding: &'m ServingModel<'a>,
        layout: &LegalLayout,
        load: &ServingLoad,
    ) -> Result<Option<Self>, Error> {
        let Some(apart) = &request.disaggregated else { return Ok(None) };
        if request.phase != SimulationPhase::Both {
            return Err(Error::Conflict {
                field: "phase".to_owned(),
                message: "given together with disaggregated, where each pool does its own; leave it out"
                    .to_owned(),
            });
        }
        let prefill_layout = model.layout(apart.prefill_layout).map_err(renamed)?;
        let pair = PoolPair::new(model, decoding, &prefill_layout, layout, load, apart.transfer)?;
        let (prefill, decode) = pair.replicas(request.gpus, apart.prefill_gpus, load.arrivals)?;
        Ok(Some(Self {
            pair,
            reads: (model, prefill_layout),
            decodes: (decoding, *layout),
            prefill,
            decode,
            transfer: apart.transfer,
        }))
    }

    /// The way of a prompt of `tokens` to the GPUs that decode it.
    pub fn passage(&self, tokens: f64) -> Passage {
        // The pools were found joined.
        let never = Passage { bytes: 0.0, sent: f64::INFINITY, received: f64::INFINITY };
        self.pair.passage(self.prefill, self.decode, tokens).unwrap_or(never)
    }

    /// GPUs of the pool that reads prompts.
    pub fn prefill_gpus(&self) -> u32 {
        self.prefill * self.pair.prefill_gpus
    }

    /// How a replica that reads prompts is cut.
    pub fn prefill_layout(&self) -> crate::inference::ServingLayout {
        self.pair.prefill_layout()
    }

    /// Layers of the model: what is sent layer by layer.
    pub fn layers(&self) -> f64 {
        self.reads.0.sizes.layers
    }
}

impl<'m, 'a> Replicas<'m, 'a> {
    /// Mean requests in flight by the closed form, at this load.
    pub fn in_flight(&self, load: &ServingLoad, rate: f64) -> f64 {
        match self {
            Self::Alike { model, layout, count } => {
                let count = f64::from(*count);
                model.point(layout, &load.at_random(rate / count)).concurrency * count
            }
            Self::Apart(apart) => {
                apart.pair.state(apart.prefill, apart.decode, Arrivals::Poisson(rate)).concurrency
            }
        }
    }

    /// Requests per second that they sustain by the closed form.
    pub fn sustainable(&self, load: &ServingLoad) -> f64 {
        match self {
            Self::Alike { model, layout, count } => {
                model.point(layout, load).sustainable_request_rate * f64::from(*count)
            }
            Self::Apart(apart) => apart.pair.most_rate(apart.prefill, apart.decode, load.arrivals),
        }
    }

    /// What the closed form says of this load at `rate` requests per second.
    pub fn beside(&self, load: &ServingLoad, rate: f64) -> SteadyBeside {
        let told = |state: &SteadyState, ttft: (f64, f64), saturated| SteadyBeside {
            request_rate: rate,
            saturated,
            ttft_seconds: ttft.0,
            ttft_p95_seconds: ttft.1,
            tpot_seconds: state.tpot_seconds,
            tpot_p95_seconds: state.tpot_p95_seconds,
            latencies: None,
        };
        match self {
            Self::Alike { model, layout, count } => {
                let state = model.point(layout, &load.at_random(rate / f64::from(*count)));
                let ttft = (state.ttft_seconds, state.ttft_p95_seconds);
                SteadyBeside { latencies: state.percentiles, ..told(&state, ttft, state.saturated) }
            }
            Self::Apart(apart) => {
                let state = apart.pair.state(apart.prefill, apart.decode, Arrivals::Poisson(rate));
                told(&state.decode, (state.ttft, state.ttft_p95.max(state.ttft)), state.saturated)
            }
        }
    }

    /// The pools apart, if they are.
    pub fn apart(&self) -> Option<&Apart<'m, 'a>> {
        match self {
            Self::Alike { .. } => None,
            Self::Apart(apart) => Some(apart),
        }
    }

    /// The replicas that decode, or do everything.
    pub fn count(&self) -> u32 {
        match self {
            Self::Alike { count, .. } => *count,
            Self::Apart(apart) => apart.decode,
        }
    }

    /// The pools in the order in which requests see them.
    ///
    /// # Errors
    /// More ranks than are simulated.
    pub fn pools(&'m self, phase: SimulationPhase, load: &ServingLoad) -> Result<Vec<Pool<'m>>, Error> {
        let role = match phase {
            SimulationPhase::Both => Role::Whole,
            SimulationPhase::Prefill => Role::Prompts,
            SimulationPhase::Decode => Role::Answers,
        };
        match self {
            Self::Alike { model, layout, count } => Ok(vec![pool(model, layout, *count, role, load)?]),
            Self::Apart(apart) => {
                let alone = ServingLoad { output_tokens: 1.0, ..*load };
                let (reads, decodes) = (&apart.reads, &apart.decodes);
                Ok(vec![
                    pool(reads.0, &reads.1, apart.prefill, Role::Prompts, &alone)?,
                    pool(decodes.0, &decodes.1, apart.decode, Role::Rest, load)?,
                ])
            }
        }
    }
}

/// Groups of ranks that run together: attention ranks meet only in layers of experts.
fn pool<'m>(
    model: &'m ServingModel<'_>,
    layout: &'m LegalLayout,
    replicas: u32,
    role: Role,
    load: &ServingLoad,
) -> Result<Pool<'m>, Error> {
    let l = layout.layout;
    let all = f64::from(l.pp) * f64::from(l.dp) * f64::from(replicas);
    if all > MOST_RANKS {
        return Err(Error::Conflict {
            field: "gpus".to_owned(),
            message: format!("{all} ranks (pp × dp × replicas), but at most {MOST_RANKS} are simulated"),
        });
    }
    let (pp, dp, replicas) = (l.pp as usize, l.dp as usize, replicas as usize);
    let (groups, ranks) =
        if model.sizes.moe.is_some() { (pp * replicas, dp) } else { (pp * dp * replicas, 1) };
    let limits = Limits {
        model,
        cut: &layout.cut,
        role,
        capacity: Stream::new(model, &layout.cut, load).capacity,
        shared: model.prefix.shared_bytes(model, &layout.cut, load.input_tokens),
        sequences: (model.engine.max_sequences / layout.cut.pp).max(1.0),
    };
    Ok(Pool { limits, groups, ranks, streams: pp })
}

impl Limits<'_> {
    /// Whether the cache holds one request of these lengths.
    pub fn fits(&self, load: &ServingLoad) -> bool {
        let answer = if self.role == Role::Prompts { 1.0 } else { load.output_tokens };
        let tokens = load.input_tokens + answer;
        let one =
            self.model.kv_bytes(self.cut, tokens) * self.model.prefix.own_share(load.input_tokens, tokens);
        self.capacity >= one / self.cut.pp + self.shared
    }
}
