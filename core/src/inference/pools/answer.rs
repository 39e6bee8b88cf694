//! The answer that is shown of two pools, and what bounds it.

use super::super::point::{answer, decode_bound, prefill_bound};
use super::super::steady::{ServingLoad, SteadyState};
use super::super::{ServingPoint, ServingTarget};
use super::{PoolPair, PoolsState, ServingPools};
use crate::quantity::Warning;

impl PoolPair<'_, '_> {
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
}
