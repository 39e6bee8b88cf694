//! What an option's links do for its job: which parallel dimension runs on which of them, how many bytes it moves there,
//! what bandwidth it achieves, and what is waited for.

use serde::{Deserialize, Serialize};

use crate::catalog::{FabricKind, Shape, Topology};
use crate::inference::{ServingLayout, ServingPoint};
use crate::model::{Architecture, Precision};
use crate::network::{
    CollectiveOp, CollectiveTime, ExpertExchange, ExpertKernel, Group, busbw_curve, collective_time,
    domains_of, engine_all_reduce_time, expert_all_to_all_time,
};
use crate::training::{Dimension, TrainingStep};

/// The interconnect of one option.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Interconnect {
    /// Fabric between nodes, by its name in the catalogue; none without RDMA, or for a bare GPU.
    pub fabric: Option<String>,
    /// Its protocol family; none without a fabric of known rate.
    pub kind: Option<FabricKind>,
    /// GPUs that one scale-up link joins.
    pub scale_up_domain: u32,
    /// Scale-up bandwidth of a GPU, one direction, GB/s.
    pub scale_up_gb_per_s_per_gpu: f64,
    /// Bandwidth of a GPU into the fabric, one direction, GB/s.
    pub injection_gb_per_s_per_gpu: f64,
    /// The same of a node, GB/s.
    pub injection_gb_per_s_per_node: f64,
    /// Bandwidth between one half of the job's GPUs and the other, one direction, GB/s: half of them times what each
    /// sends (over the scale-up link where they share a domain), less what a tier is oversubscribed that they outgrow.
    pub bisection_gb_per_s: f64,
    /// Parallel dimensions that communicate, and the links that they run on.
    pub dimensions: Vec<DimensionLinks>,
    /// Share of the step (training) or decode iteration (serving) in which communication is waited for, 0 to 1.
    pub exposed_share: f64,
    /// GPUs of the all-reduce that `curve_busbw_gb_per_s` shows: all that train, or one replica.
    pub curve_ranks: u32,
    /// Message sizes of the curve, bytes: 1 KiB to 8 GiB.
    pub curve_bytes: Vec<f64>,
    /// Bus bandwidth of that all-reduce at each size, GB/s, as nccl-tests would show it.
    pub curve_busbw_gb_per_s: Vec<f64>,
}

/// A parallel dimension on its links; training counts a step, serving a decode iteration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct DimensionLinks {
    /// The parallel dimension.
    pub dimension: Dimension,
    /// The links that carry it.
    pub links: LinkUse,
    /// The collective that it uses most.
    pub op: CollectiveOp,
    /// Ranks of a group.
    pub ranks: u32,
    /// Size of one message, bytes, as nccl-tests counts.
    pub message_bytes: f64,
    /// Bytes that one GPU sends over the scale-up link.
    pub scale_up_bytes: f64,
    /// Bytes that one GPU sends into the fabric.
    pub fabric_bytes: f64,
    /// Achieved bus bandwidth at this message size, GB/s, as nccl-tests defines it.
    pub busbw_gb_per_s: f64,
    /// Share of the step or iteration that is waited for it, 0 to 1.
    pub exposed_share: f64,
}

/// Links that carry a parallel dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum LinkUse {
    /// NVLink or Infinity Fabric (or the bus of a node without either).
    ScaleUp,
    /// The fabric between nodes.
    Fabric,
    /// Both.
    Both,
}

/// The interconnect of a training option.
pub fn of_training(shape: Option<&Shape>, topology: &Topology, step: &TrainingStep) -> Interconnect {
    let share = |seconds: f64| seconds / step.step_seconds;
    let dimensions = step
        .traffic
        .iter()
        .map(|one| DimensionLinks {
            dimension: one.dimension,
            links: link_use(one.scale_up_bytes, one.fabric_bytes),
            op: one.op,
            ranks: one.ranks,
            message_bytes: one.message_bytes,
            scale_up_bytes: one.scale_up_bytes,
            fabric_bytes: one.fabric_bytes,
            busbw_gb_per_s: one.busbw_gb_per_s,
            exposed_share: share(one.exposed_seconds),
        })
        .collect();
    interconnect(shape, topology, step.gpus, dimensions, step.exposed_share)
}

/// The interconnect of a serving option: one replica at its point.
pub fn of_serving(
    shape: Option<&Shape>,
    topology: &Topology,
    model: &Architecture,
    precision: Precision,
    point: &ServingPoint,
) -> Interconnect {
    let parts = &point.decode;
    let share = |seconds: f64| seconds / parts.total_seconds;
    let ServingLayout { tp, pp, dp, .. } = point.layout;
    let exchange = Exchange {
        topology,
        model,
        layout: point.layout,
        // Attention ranks and pipeline stages each have their own sequences in work; where they come at random, a token sees
        // as many as there are on average and itself.
        rows: point.decode_batch / (f64::from(dp) * f64::from(pp)) + 1.0,
    };
    let dimensions = [
        exchange.tensor(share(parts.all_reduce_seconds)),
        exchange.experts(precision, share(parts.all_to_all_seconds)),
        exchange.pipeline(share(parts.pipeline_seconds)),
    ];
    let waited = parts.all_reduce_seconds + parts.all_to_all_seconds + parts.pipeline_seconds;
    let gpus = tp.saturating_mul(pp).saturating_mul(dp);
    interconnect(shape, topology, gpus, dimensions.into_iter().flatten().collect(), share(waited))
}

/// What the GPUs of a replica exchange in one decode iteration: the messages that the estimate of an iteration times.
struct Exchange<'a> {
    topology: &'a Topology,
    model: &'a Architecture,
    layout: ServingLayout,
    /// Rows of an attention rank's batch.
    rows: f64,
}

impl Exchange<'_> {
    /// Partial sums in 16 bits after attention, after dense layers, and after experts where every rank has every token.
    fn tensor(&self, exposed_share: f64) -> Option<DimensionLinks> {
        let ServingLayout { tp, dp, .. } = self.layout;
        let group = Group { ranks: tp, stride: 1 };
        let bytes = 2.0 * self.rows * f64::from(self.model.hidden);
        let summed = if dp > 1 { self.model.dense_layers() } else { self.model.layers };
        let messages = f64::from(self.model.layers) + f64::from(summed);
        let time = (tp > 1).then(|| engine_all_reduce_time(bytes, group, self.topology))??;
        Some(links_of(Dimension::Tensor, CollectiveOp::AllReduce, tp, bytes, &time, messages, exposed_share))
    }

    /// Dispatch and combine of each layer of experts; or gather and scatter where every rank holds a part of each.
    fn experts(&self, precision: Precision, exposed_share: f64) -> Option<DimensionLinks> {
        let ServingLayout { tp, ep, dp, .. } = self.layout;
        let moe = self.model.moe.filter(|_| dp > 1)?;
        let layers = f64::from(self.model.moe_layers());
        let hidden = f64::from(self.model.hidden);
        let stage = tp.saturating_mul(dp);
        if ep <= 1 {
            let bytes = 2.0 * self.rows * f64::from(dp) * hidden;
            let group = Group { ranks: stage, stride: 1 };
            let op = CollectiveOp::AllGather;
            let time = collective_time(op, bytes, group, self.topology)?;
            return Some(links_of(Dimension::Expert, op, stage, bytes, &time, 2.0 * layers, exposed_share));
        }
        let group = Group { ranks: ep, stride: stage / ep };
        let exchange = |bytes_per_value: f64| ExpertExchange {
            tokens: self.rows / f64::from(tp),
            bytes_per_token: bytes_per_value * hidden,
            experts_per_token: moe.top_k,
            max_domains: moe.most_domains(domains_of(group, self.topology)),
            kernel: ExpertKernel::LowLatency,
        };
        let combine = exchange(2.0);
        let dispatch = exchange(precision.weight_bytes().clamp(1.0, 2.0));
        let back = expert_all_to_all_time(&combine, group, self.topology)?;
        let out = expert_all_to_all_time(&dispatch, group, self.topology)?;
        // A message is what a rank sends back: every token's rows from its experts.
        let bytes = combine.tokens * combine.bytes_per_token * f64::from(moe.top_k);
        let op = CollectiveOp::AllToAll;
        let mut links = links_of(Dimension::Expert, op, ep, bytes, &back, layers, exposed_share);
        links.scale_up_bytes += layers * out.scale_up_bytes;
        links.fabric_bytes += layers * out.scale_out_bytes;
        Some(links)
    }

    fn pipeline(&self, exposed_share: f64) -> Option<DimensionLinks> {
        let ServingLayout { tp, pp, dp, .. } = self.layout;
        let bytes = 2.0 * self.rows * f64::from(self.model.hidden) / f64::from(tp);
        let group = Group { ranks: 2, stride: tp.saturating_mul(dp) };
        let op = CollectiveOp::SendRecv;
        let time = (pp > 1).then(|| collective_time(op, bytes, group, self.topology))??;
        Some(links_of(Dimension::Pipeline, op, 2, bytes, &time, 1.0, exposed_share))
    }
}

/// A dimension with `messages` like the one that took `time`.
fn links_of(
    dimension: Dimension,
    op: CollectiveOp,
    ranks: u32,
    bytes: f64,
    time: &CollectiveTime,
    messages: f64,
    exposed_share: f64,
) -> DimensionLinks {
    DimensionLinks {
        dimension,
        links: link_use(time.scale_up_bytes, time.scale_out_bytes),
        op,
        ranks,
        message_bytes: bytes,
        scale_up_bytes: messages * time.scale_up_bytes,
        fabric_bytes: messages * time.scale_out_bytes,
        busbw_gb_per_s: op.busbw_gb_per_s(bytes, ranks, time.seconds),
        exposed_share,
    }
}

fn link_use(scale_up_bytes: f64, fabric_bytes: f64) -> LinkUse {
    if fabric_bytes <= 0.0 {
        LinkUse::ScaleUp
    } else if scale_up_bytes <= 0.0 {
        LinkUse::Fabric
    } else {
        LinkUse::Both
    }
}

fn interconnect(
    shape: Option<&Shape>,
    topology: &Topology,
    gpus: u32,
    dimensions: Vec<DimensionLinks>,
    exposed_share: f64,
) -> Interconnect {
    let injection = topology.scale_out_bytes_per_s / 1e9;
    let group = Group { ranks: gpus, stride: 1 };
    // A job that its own fabric cannot join has no curve; such a layout is never an option.
    let curve = busbw_curve(CollectiveOp::AllReduce, CURVE_BYTES, group, topology).unwrap_or_default();
    Interconnect {
        fabric: shape.and_then(|shape| shape.fabric.clone()).filter(|_| injection > 0.0),
        kind: (injection > 0.0).then_some(topology.scale_out),
        scale_up_domain: topology.scale_up_domain,
        scale_up_gb_per_s_per_gpu: topology.scale_up_bytes_per_s / 1e9,
        injection_gb_per_s_per_gpu: injection,
        injection_gb_per_s_per_node: injection * f64::from(topology.gpus_per_node),
        bisection_gb_per_s: bisection(topology, gpus) / 1e9,
        dimensions,
        exposed_share,
        curve_ranks: gpus,
        curve_bytes: curve.iter().map(|point| point.bytes).collect(),
        curve_busbw_gb_per_s: curve.iter().map(|point| point.busbw).collect(),
    }
}

/// Bytes per second between two halves of `gpus`: half of them, each at its rate; a tier that they outgrow passes on what
/// it is oversubscribed to.
fn bisection(topology: &Topology, gpus: u32) -> f64 {
    let half = f64::from(gpus / 2);
    if gpus <= topology.scale_up_domain {
        return half * topology.scale_up_bytes_per_s;
    }
    let conditions = &topology.conditions;
    let narrowed = if gpus > conditions.tier_gpus { conditions.oversubscription } else { 1.0 };
    half * topology.scale_out_bytes_per_s / narrowed
}

/// 1 KiB to 8 GiB, each twice the one before.
const CURVE_BYTES: [f64; 24] = {
    let mut out = [1024.0; 24];
    let mut i = 1;
    while i < out.len() {
        out[i] = 2.0 * out[i - 1];
        i += 1;
    }
    out
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::network::ScaleUpKind;
    use crate::plan::{built_in_named, plan};

    /// What is shown of a replica's messages is what its iteration is timed by.
    #[test]
    fn the_messages_shown_are_those_that_were_timed() {
        let catalog = Catalog::embedded().unwrap();
        let scenario = built_in_named("serve-70b").unwrap();
        let plan = plan(catalog, &scenario).unwrap().serving.unwrap();
        let mut checked = 0;
        for option in &plan.options {
            let shape = catalog.shape("shape", &option.shape).unwrap();
            let topology = catalog.topology(shape).unwrap();
            let model = catalog.resolve_model("model", &scenario.serving.as_ref().unwrap().model).unwrap();
            let shown = option.interconnect.dimensions.iter().find(|d| d.dimension == Dimension::Tensor);
            assert_eq!(shown.is_some(), option.point.layout.tp > 1, "{}", option.shape);
            let Some(shown) = shown else { continue };
            let group = Group { ranks: shown.ranks, stride: 1 };
            let one = engine_all_reduce_time(shown.message_bytes, group, &topology).unwrap();
            let all = 2.0 * f64::from(model.layers) * one.seconds;
            let ratio = all / option.point.decode.all_reduce_seconds;
            assert!((ratio - 1.0).abs() < 0.01, "{}: {ratio}", option.shape);
            checked += 1;
        }
        assert!(checked > 3, "{checked}");
    }

    /// One job on an InfiniBand of Azure and a RoCEv2 of OCI: the same figures of both, side by side.
    #[test]
    fn two_clouds_stand_side_by_side() {
        let catalog = Catalog::embedded().unwrap();
        let mut scenario = built_in_named("llama3-405b-as-published").unwrap();
        let job = scenario.training.as_mut().unwrap();
        (job.gpu, job.cloud) = (None, None);
        job.shapes = vec!["Standard_ND96isr_H100_v5".to_owned(), "BM.GPU.H100.8".to_owned()];
        let compact = plan(catalog, &scenario).unwrap().training.unwrap();
        let kinds: Vec<_> = compact.options.iter().filter_map(|option| option.interconnect.kind).collect();
        assert!(kinds.contains(&FabricKind::InfiniBand) && kinds.contains(&FabricKind::RoceV2), "{kinds:?}");
        for option in &compact.options {
            let links = &option.interconnect;
            assert!((links.injection_gb_per_s_per_node - 400.0).abs() < 1e-9);
            assert!((links.bisection_gb_per_s - 50.0 * f64::from(option.gpus / 2)).abs() < 1e-6);
            assert_eq!(links.curve_busbw_gb_per_s.len(), links.curve_bytes.len());
            assert!(links.curve_busbw_gb_per_s.windows(2).all(|w| w[1] > w[0] && w[1] < 400.0));
            let bytes = |pick: fn(&DimensionLinks) -> f64| links.dimensions.iter().map(pick).sum::<f64>();
            assert!((bytes(|d| d.fabric_bytes) / option.step.fabric_bytes - 1.0).abs() < 1e-9);
            let exposed = bytes(|d| d.exposed_share);
            assert!((exposed - links.exposed_share).abs() < 1e-9, "{exposed} {}", links.exposed_share);
            let data = links.dimensions.iter().find(|d| d.dimension == Dimension::Data).unwrap();
            assert_eq!(data.links, LinkUse::Fabric);
        }
        // Scattered nodes cost time, on either cloud.
        let job = scenario.training.as_mut().unwrap();
        job.network.placement = Some(crate::network::Placement::Scattered);
        let scattered = plan(catalog, &scenario).unwrap().training.unwrap();
        for option in &compact.options {
            let other = scattered.options.iter().find(|other| other.shape == option.shape).unwrap();
            assert!(other.step.step_seconds > option.step.step_seconds, "{}", option.shape);
        }
    }

    #[test]
    fn a_job_is_halved_over_the_narrowest_links() {
        let mut topology = Topology {
            gpus_per_node: 8,
            scale_up_domain: 8,
            scale_up_bytes_per_s: 450e9,
            scale_up: ScaleUpKind::NvLink4,
            scale_out_bytes_per_s: 50e9,
            scale_out: FabricKind::RoceV2,
            conditions: crate::network::Conditions::default(),
        };
        assert!((bisection(&topology, 8) - 4.0 * 450e9).abs() < 1.0);
        assert!((bisection(&topology, 16) - 8.0 * 50e9).abs() < 1.0);
        topology.conditions.oversubscription = 7.0;
        topology.conditions.tier_gpus = 3072;
        assert!((bisection(&topology, 3072) - 1536.0 * 50e9).abs() < 1.0);
        assert!((bisection(&topology, 6144) - 3072.0 * 50e9 / 7.0).abs() < 1.0);
    }
}
