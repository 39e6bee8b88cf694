//! What a micro-batch waits for in one layer: work, exchange that shows, gaps between kernels.

use super::job::Job;
use super::layer::{LayerWork, Pass};
use super::layout::{PipelineSchedule, Task};
use super::ledger::{Entry, Ledger};
use super::operation::{StepPart, StepPhase, StepStack};
use super::recompute::Again;
use super::schedule::StageTime;
use super::software::Software;
use super::step::Cut;
use crate::kernel::Bound;

/// Multiprocessors that DeepSeek-V3's exchange of experts keeps for itself (arXiv 2412.19437, section 3.2.2).
const DUAL_PIPE_MULTIPROCESSORS: f64 = 20.0;

/// Seconds of one micro-batch in one layer (or several), as they are waited for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LayerSeconds<L> {
    pub compute: f64,
    pub memory: f64,
    pub recompute: f64,
    pub tensor: f64,
    pub context: f64,
    pub expert: f64,
    pub gaps: f64,
    /// Of all: forward.
    pub forward: f64,
    /// Of all: weight gradients.
    pub weight_gradient: f64,
    pub told: L,
}

impl<L: Ledger> LayerSeconds<L> {
    /// One layer, of which `redone_share` does again what the recompute mode says.
    pub fn of(job: &Job, cut: &Cut, stack: StepStack, work: &LayerWork<L>, redone_share: f64) -> Self {
        let c = &job.constants;
        let (f, b) = (&work.forward, &work.backward);
        // One micro-batch's exchange runs under another's computation. DualPipe hides it whole and sets multiprocessors
        // aside for it; elsewhere overlap is what published steps show of it.
        let (expert_exposed, aside) = match cut.pipeline.schedule {
            PipelineSchedule::DualPipe if cut.pp > 1.0 && work.routed => (0.0, DUAL_PIPE_MULTIPROCESSORS),
            _ if job.software.expert_overlap => (c.expert_overlapped, 0.0),
            _ => (c.expert_exposed, 0.0),
        };
        let (f, b) = (&f.on(job.device.sm_count, aside), &b.on(job.device.sm_count, aside));
        // Of tiles, layers say themselves what shows.
        let Software { tensor_overlap, tensor_tiles, .. } = job.software;
        let shares = tensor_overlap && !(tensor_tiles && cut.layer.sequence_parallel);
        let tensor_exposed = if shares { c.tensor_exposed } else { 1.0 };
        let captured = job.software.captured;
        let forward_waits = f.tensor * tensor_exposed + f.context + f.expert * expert_exposed;
        let Again { pass: redo, .. } = work.again(cut.recompute, cut.recompute_parts).scaled(redone_share);
        let redo = redo.on(job.device.sm_count, aside);
        let gap = if captured { c.captured_gap_seconds } else { c.kernel_gap_seconds };
        let routed = if captured { 0.0 } else { c.routing_seconds };
        let weight_gradient = if job.task == Task::Lora { 0.0 } else { b.matmul / 2.0 };
        let mut told = L::default();
        let passes = [(StepPhase::Forward, f), (StepPhase::Backward, b), (StepPhase::Recompute, &redo)];
        for (when, pass) in passes {
            told.take(&pass.told, |entry| {
                entry.of(stack, when);
                entry.waits(StepPart::TensorParallel, tensor_exposed);
                entry.waits(StepPart::ExpertParallel, expert_exposed);
            });
            told_gaps(&mut told, (stack, when), pass, gap, routed);
        }
        Self {
            compute: f.matmul + f.attention + b.matmul + b.attention,
            memory: f.memory + b.memory,
            recompute: redo.compute(),
            tensor: (f.tensor + b.tensor + redo.tensor) * tensor_exposed,
            context: f.context + b.context + redo.context,
            expert: (f.expert + b.expert + redo.expert) * expert_exposed,
            gaps: gap * (f.kernels + b.kernels + redo.kernels)
                + routed * (f.routings + b.routings + redo.routings)
                + f.idle
                + b.idle
                + redo.idle,
            forward: f.compute() + forward_waits + gap * f.kernels + routed * f.routings + f.idle,
            weight_gradient,
            told,
        }
    }

    pub fn output(job: &Job, (forward, backward): &(Pass<L>, Pass<L>)) -> Self {
        let gap = job.constants.kernel_gap_seconds;
        let mut told = L::default();
        for (when, pass) in [(StepPhase::Forward, forward), (StepPhase::Backward, backward)] {
            told.take(&pass.told, |entry| entry.of(StepStack::Output, when));
            told_gaps(&mut told, (StepStack::Output, when), pass, gap, 0.0);
        }
        Self {
            compute: forward.matmul + backward.matmul,
            memory: forward.memory + backward.memory,
            gaps: gap * (forward.kernels + backward.kernels),
            forward: forward.compute() + gap * forward.kernels,
            weight_gradient: backward.matmul / 2.0,
            told,
            ..Self::default()
        }
    }

    /// The same, told as part of another stack.
    pub fn in_stack(self, stack: StepStack) -> Self {
        Self { told: self.told.each(|entry| entry.in_stack(stack)), ..self }
    }

    pub fn scaled(&self, by: f64) -> Self {
        Self {
            compute: self.compute * by,
            memory: self.memory * by,
            recompute: self.recompute * by,
            tensor: self.tensor * by,
            context: self.context * by,
            expert: self.expert * by,
            gaps: self.gaps * by,
            forward: self.forward * by,
            weight_gradient: self.weight_gradient * by,
            told: self.told.scaled(by),
        }
    }

    pub fn plus(&self, other: &Self) -> Self {
        Self {
            compute: self.compute + other.compute,
            memory: self.memory + other.memory,
            recompute: self.recompute + other.recompute,
            tensor: self.tensor + other.tensor,
            context: self.context + other.context,
            expert: self.expert + other.expert,
            gaps: self.gaps + other.gaps,
            forward: self.forward + other.forward,
            weight_gradient: self.weight_gradient + other.weight_gradient,
            told: self.told.plus(&other.told),
        }
    }

    pub fn total(&self) -> f64 {
        self.compute + self.memory + self.recompute + self.tensor + self.context + self.expert + self.gaps
    }

    pub fn stage_time(&self) -> StageTime {
        StageTime {
            forward: self.forward,
            backward: self.total() - self.forward,
            weight_gradient: self.weight_gradient,
        }
    }
}

/// What a pass waits for between its kernels.
fn told_gaps<L: Ledger>(
    told: &mut L,
    (stack, when): (StepStack, StepPhase),
    pass: &Pass<L>,
    gap: f64,
    routing: f64,
) {
    let mut wait = |name, count, seconds, bound| {
        told.note(|| {
            let mut entry = Entry::idle(StepPart::Overhead, name, count, seconds, bound);
            entry.of(stack, when);
            entry
        });
    };
    wait("gaps between kernels", pass.kernels, gap * pass.kernels, Bound::Launch);
    wait("routing counts to the host", pass.routings, routing * pass.routings, Bound::Host);
    wait("launches of experts' kernels", pass.routings, pass.idle, Bound::Host);
}
