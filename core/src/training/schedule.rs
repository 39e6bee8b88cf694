//! Pipeline schedules: how long the pipeline takes to fill and drain, and how many micro-batches are in flight.

use super::layout::PipelineSchedule;

/// A pipeline's shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pipeline {
    /// Stages.
    pub stages: f64,
    /// Virtual stages on each rank.
    pub virtual_stages: f64,
    /// Micro-batches of a step.
    pub micro_batches: f64,
    /// Order of work.
    pub schedule: PipelineSchedule,
}

/// Seconds of one micro-batch on a rank: forward, and backward apart into input and weight gradients.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StageTime {
    /// Forward pass.
    pub forward: f64,
    /// Backward pass, recompute included.
    pub backward: f64,
    /// Of the backward pass: weight gradients, which nothing waits for.
    pub weight_gradient: f64,
}

impl Pipeline {
    /// Seconds that a rank waits while the pipeline fills and drains; `mean` is the mean over stages.
    ///
    /// 1F1B: (p − 1)(F + B) / v (Narayanan 2021, arXiv 2104.04473, section 2.2). Zero bubble: (p − 1)(F + B − 2W) with
    /// B the whole backward pass (ZB-H1, arXiv 2401.10241, as DeepSeek-V3's table 2 writes it). DualPipe:
    /// (p/2 − 1)(F&B + B − 3W), F&B the two run side by side, taken as F + B (DeepSeek-V3, arXiv 2412.19437, table 2).
    pub fn bubble_seconds(&self, mean: &StageTime) -> f64 {
        let waiting = (self.stages - 1.0).max(0.0);
        let StageTime { forward, backward, weight_gradient } = *mean;
        match self.schedule {
            PipelineSchedule::OneForwardOneBackward => waiting * (forward + backward) / self.virtual_stages,
            PipelineSchedule::ZeroBubble => {
                waiting * (forward + backward - 2.0 * weight_gradient).max(0.0) / self.virtual_stages
            }
            PipelineSchedule::DualPipe => {
                (self.stages / 2.0 - 1.0).max(0.0)
                    * (forward + 2.0 * backward - 3.0 * weight_gradient).max(0.0)
            }
        }
    }

    /// Micro-batches whose activations a rank holds, `behind` ranks after the first, in units of one rank's layers; never
    /// more than there are.
    ///
    /// 1F1B: p less the ranks before it; interleaved: (pv + p − 1 − 2·behind) / v, on the first rank the
    /// p(1 + (p − 1)/(pv)) of Korthikanti 2022 (arXiv 2205.05198, section 4.2.3; Megatron-Core's warm-up passes for the
    /// others). Zero bubble: as many on all ranks as on the first (ZB-H1, arXiv 2401.10241, section 2.2). DualPipe: p + 1
    /// (arXiv 2412.19437, table 2).
    pub fn in_flight(&self, behind: f64) -> f64 {
        let Self { stages, virtual_stages, micro_batches, schedule } = *self;
        let behind = if schedule == PipelineSchedule::OneForwardOneBackward { behind } else { 0.0 };
        let held = match schedule {
            PipelineSchedule::DualPipe if stages > 1.0 => stages + 1.0,
            _ if virtual_stages > 1.0 => {
                (stages * virtual_stages + stages - 1.0 - 2.0 * behind) / virtual_stages
            }
            _ => stages - behind,
        };
        held.clamp(0.0, micro_batches)
    }
}
