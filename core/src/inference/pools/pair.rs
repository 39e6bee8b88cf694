//! A replica of each pool, and the request rates that so many of both sustain.

use super::super::point::replica_gpus;
use super::super::steady::{Arrivals, ServingLoad, SteadyState};
use super::super::{LegalLayout, ServingLayout, ServingModel};
use super::{KvTransfer, renamed};
use crate::error::Error;

/// Two pools' replicas at one question, with what each sustains.
#[derive(Debug, Clone, Copy)]
pub(in crate::inference) struct PoolPair<'m, 'a> {
    pub(super) prefill_model: &'m ServingModel<'a>,
    /// The model where prompts come read.
    pub(super) decode_model: &'m ServingModel<'a>,
    pub(super) prefill_layout: LegalLayout,
    pub(super) decode_layout: LegalLayout,
    pub prefill_gpus: u32,
    pub decode_gpus: u32,
    /// One prefill replica with more to do than it can.
    pub prefill: SteadyState,
    /// One decode replica with more to do than it can.
    pub decode: SteadyState,
    /// Requests per second at random times that one replica of each pool sustains.
    prefill_at_random: f64,
    decode_at_random: f64,
    pub(super) input: f64,
    pub(super) output: f64,
    pub(super) kind: KvTransfer,
}

/// A replica of one pool: how it is cut and what it sustains.
#[derive(Debug, Clone, Copy)]
pub(in crate::inference) struct PoolReplica {
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
pub(in crate::inference) fn of_prompts(load: &ServingLoad) -> ServingLoad {
    ServingLoad { output_tokens: 1.0, ..*load }
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

    /// Requests per second that one replica that reads prompts sustains.
    pub(super) fn prefill_rate(&self, arrivals: Arrivals) -> f64 {
        match arrivals {
            Arrivals::Closed(_) | Arrivals::Full => self.prefill.sustainable_request_rate,
            Arrivals::Poisson(_) => self.prefill_at_random,
        }
    }

    /// Requests per second that one decode replica sustains.
    pub(super) fn decode_rate(&self, arrivals: Arrivals) -> f64 {
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
    pub(super) fn decodes(&self) -> bool {
        self.output > 1.0
    }

    /// How a replica that reads prompts is cut.
    pub fn prefill_layout(&self) -> ServingLayout {
        self.prefill_layout.layout
    }

    /// GPUs that read prompts for each that decodes at which both pools sustain the same rate; none where nothing is
    /// decoded.
    pub fn balance(&self, arrivals: Arrivals) -> Option<f64> {
        let per_gpu = |rate: f64, gpus: u32| rate / f64::from(gpus);
        self.decodes().then(|| {
            per_gpu(self.decode_rate(arrivals), self.decode_gpus)
                / per_gpu(self.prefill_rate(arrivals), self.prefill_gpus)
        })
    }
}
