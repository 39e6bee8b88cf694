//! What lies in the host's memory instead of the GPU's, and what its way there and back costs.

use serde::{Deserialize, Serialize};

/// What a job keeps in the host's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct Offload {
    /// Layers of each pipeline rank whose activations go to the host in the forward pass and come back in the backward
    /// pass (Megatron-Core's `cpu_offloading_num_layers`).
    pub activation_layers: u32,
    /// Master weights and moments: they stream through the GPU when the optimiser runs, each way at once (MaxText's
    /// `optimizer_memory_host_offload`). An optimiser that runs on the host's cores instead (arXiv 2101.06840) depends on
    /// those, which the catalogue does not know.
    pub optimizer: bool,
}

/// Share of a host link's nominal rate that copies reach: 52.8 of 64 GB/s on eight H100 (NVIDIA/nvbandwidth issue 24,
/// 2024-09; a GH200 reaches 346 of 450, issue 23).
pub const HOST_LINK_SHARE: f64 = 0.825;

/// Layers that stand on the GPU although they are offloaded: the one at work, and the one on its way.
const LAYERS_ON_THE_WAY: f64 = 2.0;

impl Offload {
    /// Share of the activations of a rank's layers that is offloaded.
    pub fn share_away(&self, layers: f64) -> f64 {
        if layers > 0.0 { (f64::from(self.activation_layers) / layers).min(1.0) } else { 0.0 }
    }

    /// Share of the activations of a rank's layers in so many micro-batches that lies on the GPU.
    pub fn share_on_gpu(&self, layers: f64, in_flight: f64) -> f64 {
        let held = layers * in_flight;
        if held > 0.0 {
            (1.0 - self.share_away(layers)).max((LAYERS_ON_THE_WAY / held).min(1.0))
        } else {
            1.0
        }
    }

    /// Bytes of optimiser state on the GPU, of so many that belong to a rank's layers: those on their way.
    pub fn optimizer_on_gpu(&self, bytes: f64, layers: f64) -> f64 {
        if self.optimizer { bytes * (LAYERS_ON_THE_WAY / layers.max(1.0)).min(1.0) } else { bytes }
    }
}

/// Seconds of a pass that copies to or from the host take beyond it.
pub fn beyond(copied_bytes: f64, host_bytes_per_s: f64, pass_seconds: f64) -> f64 {
    (copied_bytes / host_bytes_per_s - pass_seconds).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_layers_stand_however_many_go() {
        let offload = |activation_layers| Offload { activation_layers, optimizer: true };
        assert_eq!(offload(0).share_on_gpu(8.0, 1.0), 1.0);
        assert_eq!(offload(2).share_on_gpu(8.0, 4.0), 0.75);
        assert_eq!(offload(8).share_on_gpu(8.0, 1.0), 0.25);
        assert_eq!(offload(9).share_on_gpu(8.0, 4.0), 0.0625);
        assert_eq!(offload(1).share_on_gpu(1.0, 1.0), 1.0);
        assert_eq!(offload(0).optimizer_on_gpu(80.0, 8.0), 20.0);
        assert_eq!(offload(0).optimizer_on_gpu(80.0, 1.0), 80.0);
    }

    #[test]
    fn only_what_the_pass_does_not_cover_shows() {
        assert_eq!(beyond(10.0, 5.0, 3.0), 0.0);
        assert_eq!(beyond(10.0, 5.0, 0.5), 1.5);
    }
}
