//! Disaggregated serving: prompts are read on GPUs of their own, their KV cache is sent to GPUs that only decode
//! (arXiv 2311.18677, arXiv 2401.09670).
//!
//! Throughput is the least of what the prefill pool, the decode pool and the links between them sustain. Time to first
//! token: queue and prefill in one pool, transfer, a place in a batch of the other. No prompt holds up a decode
//! iteration.

mod answer;
mod pair;
mod split;
mod state;
mod transfer;

use serde::{Deserialize, Serialize};

use super::steady::ServingLoad;
use super::{
    LegalLayout, ServingLayout, ServingMemory, ServingModel, ServingPoint, ServingPointRequest, ServingTarget,
};
use crate::error::Error;

pub(super) use pair::{PoolPair, PoolReplica, of_prompts};
pub(super) use state::PoolsState;
pub(super) use transfer::Passage;

/// Prompts read on GPUs of their own; `gpus` of the request counts both pools, its `layout` is one that decodes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Disaggregated {
    /// How a replica that reads prompts is cut.
    pub prefill_layout: ServingLayout,
    /// GPUs that read prompts, a multiple of such a replica's; if not given, the split of all GPUs into whole replicas
    /// that sustains the highest request rate.
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
    /// GPUs that read prompts for each that decodes at which both pools sustain the same rate. None where answers have
    /// one token: nothing is decoded then.
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
/// Under `disaggregated`: a layout that does not divide the model, GPUs that are not whole replicas of both pools,
/// pools that no link joins.
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
