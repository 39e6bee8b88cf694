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

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: StageTime = StageTime { forward: 1.0, backward: 2.0, weight_gradient: 1.0 };

    fn pipeline(stages: f64, virtual_stages: f64, schedule: PipelineSchedule) -> Pipeline {
        Pipeline { stages, virtual_stages, micro_batches: 64.0, schedule }
    }

    /// Table 2 of arXiv 2412.19437 with F = 1, B = 2 and W = 1, F&B their sum.
    #[test]
    fn bubbles_are_those_of_deepseek_v3() {
        let bubble = |schedule| pipeline(8.0, 1.0, schedule).bubble_seconds(&TIME);
        assert_eq!(bubble(PipelineSchedule::OneForwardOneBackward), 7.0 * 3.0);
        assert_eq!(bubble(PipelineSchedule::ZeroBubble), 7.0 * (1.0 + 2.0 - 2.0));
        assert_eq!(bubble(PipelineSchedule::DualPipe), 3.0 * (3.0 + 2.0 - 3.0));
        let interleaved = pipeline(8.0, 4.0, PipelineSchedule::OneForwardOneBackward);
        assert_eq!(interleaved.bubble_seconds(&TIME), 7.0 * 3.0 / 4.0);
        assert_eq!(pipeline(1.0, 1.0, PipelineSchedule::ZeroBubble).bubble_seconds(&TIME), 0.0);
    }

    #[test]
    fn ranks_hold_what_their_warm_up_passes_leave() {
        use PipelineSchedule::{DualPipe, OneForwardOneBackward, ZeroBubble};
        let held = |v, schedule, behind| pipeline(8.0, v, schedule).in_flight(behind);
        assert_eq!(
            [held(1.0, OneForwardOneBackward, 0.0), held(1.0, OneForwardOneBackward, 7.0)],
            [8.0, 1.0]
        );
        // p(1 + (p − 1)/(pv)) on the first rank (arXiv 2205.05198); (v − 1)p + 1 chunks of 1/v on the last.
        assert_eq!(held(4.0, OneForwardOneBackward, 0.0), 8.0 * (1.0 + 7.0 / 32.0));
        assert_eq!(held(4.0, OneForwardOneBackward, 7.0), 25.0 / 4.0);
        assert_eq!([held(1.0, ZeroBubble, 0.0), held(1.0, ZeroBubble, 7.0)], [8.0, 8.0]);
        assert_eq!([held(1.0, DualPipe, 0.0), held(1.0, DualPipe, 7.0)], [9.0, 9.0]);
        let few = Pipeline { micro_batches: 3.0, ..pipeline(8.0, 4.0, OneForwardOneBackward) };
        assert_eq!(few.in_flight(0.0), 3.0);
    }
}
