//! Experts: router, dispatch, the experts' feed-forward layers, combine.

use super::feed_forward::FeedForward;
use super::{Block, Gathered, HALF, Half, Matrices, Rank, Volume};
use crate::model::{MixtureOfExperts, Precision};
use crate::network::{
    CollectiveOp, ExpertExchange, ExpertKernel, Group, collective_time, domains_of, expert_all_to_all_time,
};
use crate::training::job::Job;
use crate::training::layout::Task;
use crate::training::ledger::{Ledger, Role};
use crate::training::recompute::Piece;

/// Bytes of an element that the block recipe dispatches, activations forward and their gradients backward: 8 bits and a
/// 32-bit scale for every 128; it combines in 16 bits (arXiv 2412.19437, section 3.3.3).
const BLOCK_FP8: f64 = 1.0 + 4.0 / 128.0;

impl Rank<'_> {
    /// Router, dispatch, experts, combine; routing is taken as balanced.
    pub fn expert_block<L: Ledger>(&self) -> Option<(Block<L>, Volume)> {
        let Job { device, architecture, .. } = self.job;
        let moe = architecture.moe?;
        let mut block = Block::default();
        self.norm_and_residual(&mut block);
        let (experts, top_k, ep) = (f64::from(moe.experts), f64::from(moe.top_k), f64::from(self.cut.ep));

        // Tokens of this rank, its own copies of them, and where the experts sit: on ep × expert_tp ranks, or all of them
        // on each rank, cut by tensor parallel ranks like a dense layer.
        let (tokens, cuts) = if self.whole_sequence_experts() {
            (self.rows, 1.0)
        } else {
            (self.local_rows, f64::from(self.cut.expert_tp))
        };
        let width = f64::from(moe.expert_ffn) / f64::from(self.cut.expert_tp);
        let copies = tokens * top_k;
        let mut routed = Block::default();
        let scores = device.grouped_gemm_cost(1.0, tokens, experts, self.hidden, Precision::Bf16);
        let router = self.sustained(scores);
        routed.forward.product("router", Role::Itself, router);
        // Gradients of the scores' input, and of the router's weights where they are trained.
        let gradients = if self.job.task == Task::Lora { 1.0 } else { 2.0 };
        routed.backward.product("router", Role::Itself, router.times(gradients));
        // Scores and top-k in 32 bits.
        let top_k_cost = |bytes: f64| device.memory_bound_cost(tokens * experts * bytes);
        routed.forward.stream("router scores", Role::Itself, top_k_cost(16.0));
        routed.backward.stream("router scores", Role::Itself, top_k_cost(8.0));
        // Experts work on the residual stream, or on the latent vectors that it is projected to and from.
        let experts_on = Rank { hidden: architecture.expert_width(), ..*self };
        if moe.latent > 0 {
            self.linear(
                &mut routed,
                "latent down-projection",
                Gathered::No,
                (tokens, experts_on.hidden, self.hidden),
            );
            self.linear(
                &mut routed,
                "latent up-projection",
                Gathered::No,
                (tokens, self.hidden, experts_on.hidden),
            );
            routed.kept += self.kept_input(Matrices::Others, tokens * experts_on.hidden);
        }
        // Permute to experts and back, weighted sum: each copy is read and written twice.
        let permute = device.memory_bound_cost(copies * cuts * experts_on.hidden * 4.0 * HALF);
        routed.forward.stream("token permutation", Role::Itself, permute);
        routed.backward.stream("token permutation", Role::Itself, permute);
        routed.forward.kernels += 10.0;
        routed.backward.kernels += 8.0;
        (routed.forward.routings, routed.backward.routings) = (1.0, 1.0);
        experts_on.routed_experts(&mut routed, experts / ep, copies * cuts * ep / experts, width);
        routed.kept += self.kept_input(Matrices::Others, copies * cuts * experts_on.hidden);
        let exchange = experts_on.expert_exchange(&mut routed, tokens, &moe)?;
        // With whole experts on each rank, tokens stay cut along the sequence.
        if self.whole_sequence_experts() {
            self.exchange_around(&mut routed, Half::FeedForward, self.stream())?;
        }
        block.add(&routed);
        block.whole(Piece::ExpertsWhole, &routed);
        if moe.shared_ffn > 0 {
            let mut shared = Block::default();
            let width = f64::from(moe.shared_ffn) / self.tp;
            self.feed_forward(&mut shared, &FeedForward::SHARED, 1.0, self.rows, width);
            self.exchange_around(&mut shared, Half::Shared, self.stream())?;
            block.add(&shared);
            block.whole(Piece::SharedWhole, &shared);
        }
        if moe.shared_ffn > 0 || moe.latent > 0 {
            self.norm_output(&mut block, Matrices::Others);
        }
        Some((block, exchange))
    }

    /// The routed experts of a rank: `rows` tokens in each of `local` experts.
    ///
    /// Unfused, kernels are launched for each expert apart. The host has just learnt how many tokens each expert has, so it
    /// cannot run ahead: what its launches take longer than the kernels, the GPU waits.
    fn routed_experts<L: Ledger>(&self, block: &mut Block<L>, local: f64, rows: f64, width: f64) {
        let Job { software, constants, task, .. } = self.job;
        let mut own = Block::default();
        if software.fused_experts {
            self.fused_feed_forward(&mut own, &FeedForward::ROUTED, local, rows, width);
        } else {
            self.feed_forward(&mut own, &FeedForward::ROUTED, local, rows, width);
        }
        if !software.fused_experts && !software.captured {
            // For each of the two linear layers a product forward and two backward, and in 8 or 4 bits for each operand
            // a cast and the arrangement of its scales.
            let products = if *task == Task::Lora { [1.0, 1.0] } else { [1.0, 2.0] };
            let casts = if self.job.casts() { 2.0 } else { 0.0 };
            let host = |products: f64| 2.0 * local * products * (1.0 + casts) * constants.launch_seconds;
            own.forward.idle = (host(products[0]) - own.forward.compute()).max(0.0);
            own.backward.idle = (host(products[1]) - own.backward.compute()).max(0.0);
        }
        block.add(&own);
    }

    /// Whether every rank has all experts, cut along their width like a dense layer, for all tokens of its tensor parallel
    /// group.
    pub fn whole_sequence_experts(&self) -> bool {
        self.cut.ep == 1 && self.cut.expert_tp == self.cut.tp
    }

    /// Dispatch and combine in each pass; where ranks cut each expert, each of them gathers what all of them were sent and
    /// their partial results are summed (Megatron-Core's token dispatcher).
    fn expert_exchange<L: Ledger>(
        &self,
        block: &mut Block<L>,
        tokens: f64,
        moe: &MixtureOfExperts,
    ) -> Option<Volume> {
        let top_k = moe.top_k;
        let Job { topology, software, .. } = self.job;
        let copies = tokens * f64::from(top_k) * self.hidden;
        let bytes = copies * HALF;
        let mut volume = Volume::default();
        if self.cut.ep > 1 {
            let group = Group { ranks: self.cut.ep, stride: self.cut.expert_tp };
            let sent = |element: f64| {
                if software.expert_all_to_all {
                    return collective_time(CollectiveOp::AllToAll, copies * element, group, topology);
                }
                let exchange = ExpertExchange {
                    tokens,
                    bytes_per_token: self.hidden * element,
                    experts_per_token: top_k,
                    max_domains: moe.most_domains(domains_of(group, topology)),
                    kernel: ExpertKernel::Normal,
                };
                expert_all_to_all_time(&exchange, group, topology)
            };
            let dispatched = if self.job.precision == Precision::Fp8Blockwise { BLOCK_FP8 } else { HALF };
            let combine = sent(HALF)?;
            let dispatch = if dispatched == HALF { combine } else { sent(dispatched)? };
            for pass in [&mut block.forward, &mut block.backward] {
                pass.expert_exchange("dispatch", 1.0, &dispatch);
                pass.expert_exchange("combine", 1.0, &combine);
            }
            // Twice each: the backward pass sends the gradients the same ways.
            volume = Volume::of(&dispatch, copies * dispatched, 2.0).and(&Volume::of(&combine, bytes, 2.0));
        }
        if self.cut.expert_tp > 1 && !self.whole_sequence_experts() {
            let ways = f64::from(self.cut.expert_tp);
            let group = Group { ranks: self.cut.expert_tp, stride: 1 };
            let time = collective_time(CollectiveOp::AllGather, bytes * ways, group, topology)?;
            for pass in [&mut block.forward, &mut block.backward] {
                pass.expert_exchange("gather and sum over cut experts", 2.0, &time);
            }
            let gather = Volume::of(&time, bytes * ways, 4.0);
            volume = if volume.messages > 0.0 { volume.carrying(&gather) } else { gather };
        }
        Some(volume)
    }
}
