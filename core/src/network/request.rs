//! The question "how long does this collective take?", for every face.

use serde::{Deserialize, Serialize};

use super::time::collective_times_with;
use super::{
    Algorithm, CollectiveOp, CollectiveTime, Constants, ExpertExchange, ExpertKernel, Group,
    NetworkConditions, Topology, collective_time, engine_all_reduce_time, expert_all_to_all_time,
};
use crate::catalog::{Catalog, Overlay, Target};
use crate::error::{Error, check_range};
use crate::quantity::{Warning, count};

/// One collective on whole nodes, or on the same number of GPUs of each node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct CollectiveRequest {
    /// The operation.
    pub op: CollectiveOp,
    /// Message size as nccl-tests counts it, bytes: all-reduce, broadcast, send: the buffer; all-gather and
    /// reduce-scatter: the full (gathered) buffer; all-to-all: the whole buffer of one rank.
    pub bytes: f64,
    /// Instance shape; this or `gpu`.
    #[serde(default)]
    pub shape: Option<String>,
    /// GPU, on the fabric of a published system with it or on `fabric`; this or `shape`.
    #[serde(default)]
    pub gpu: Option<String>,
    /// A fabric by its name in the catalogue, instead of the one of a published system with the GPU; not with `shape`,
    /// which has its own. Without `gpu`: a GPU that the catalogue knows on it.
    #[serde(default)]
    pub fabric: Option<String>,
    /// Nodes.
    pub nodes: u32,
    /// GPUs of each node that take part: all of the shape's, or with `gpu` the usual 8 (4 on rack-scale parts), if not given.
    #[serde(default)]
    pub gpus_per_node: Option<u32>,
    /// The user's own data laid over the catalogue for this call.
    #[serde(default)]
    pub overlay: Option<Overlay>,
    /// Placement, routing, oversubscription and software.
    #[serde(default)]
    pub conditions: NetworkConditions,
    /// All-reduce by an inference engine's own kernels (TensorRT-LLM, vLLM) where they reach: up to 8 GPUs of one node.
    #[serde(default)]
    pub engine_kernels: bool,
    /// All-to-all as an expert-parallel dispatch or combine: `bytes` are then a rank's tokens, each counted once.
    #[serde(default)]
    pub experts: Option<ExpertRouting>,
}

/// How the tokens of an expert-parallel exchange spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct ExpertRouting {
    /// Bytes of one token on the wire, scales included.
    pub bytes_per_token: f64,
    /// Routed experts of a token.
    pub experts_per_token: u32,
    /// Scale-up domains that a token may visit at most, where the router limits them.
    #[serde(default)]
    pub max_domains: Option<u32>,
    /// The kernels: low latency for decode, normal for training and prefill.
    pub kernel: ExpertKernel,
}

/// Time and bandwidth of one collective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct CollectiveAnswer {
    /// The operation.
    pub op: CollectiveOp,
    /// Message size, bytes.
    pub bytes: f64,
    /// GPUs that take part.
    pub ranks: u32,
    /// Time, s.
    pub seconds: f64,
    /// `bytes` / time, GB/s (decimal).
    pub algbw: f64,
    /// algbw times nccl-tests' factor of the operation, GB/s (decimal): comparable with a link's rate.
    pub busbw: f64,
    /// The algorithm with the least time.
    pub algorithm: Algorithm,
    /// Bytes that one GPU sends over the scale-up link.
    pub scale_up_bytes: f64,
    /// Bytes that one GPU sends into the fabric.
    pub scale_out_bytes: f64,
    /// Time with all nodes next to each other, s.
    pub compact_seconds: f64,
    /// Time with the nodes anywhere in the fabric, s: with `compact_seconds` the range that placement leaves.
    pub scattered_seconds: f64,
    /// The same collective from 1 KiB to 16 GiB, each size twice the one before.
    pub curve: Vec<CollectivePoint>,
    /// What was assumed, in words.
    pub assumed: Vec<String>,
    /// Scales past what was published or measured.
    pub warnings: Vec<Warning>,
}

/// One size on the curve of a collective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct CollectivePoint {
    /// Message size, bytes.
    pub bytes: f64,
    /// Time, s.
    pub seconds: f64,
    /// Bus bandwidth, GB/s (decimal).
    pub busbw: f64,
    /// The algorithm with the least time.
    pub algorithm: Algorithm,
}

/// Time, algbw and busbw of the collective that `request` describes.
///
/// # Errors
/// With the field's path: neither or both of `shape` and `gpu`, an unknown name, `bytes` outside 1 to 1e15, `nodes`
/// outside 1 to 1,000,000, `gpus_per_node` more than the node has, fewer than two GPUs in all, several nodes (or racks)
/// without an RDMA network of known rate between them, or what [`NetworkConditions::on`] refuses.
pub fn collective(catalog: &Catalog, request: &CollectiveRequest) -> Result<CollectiveAnswer, Error> {
    let catalog = &*catalog.with_overlay(request.overlay.as_ref())?;
    let bytes = check_range("bytes", request.bytes, 1.0, 1e15)?;
    check_range("nodes", f64::from(request.nodes), 1.0, 1e6)?;
    let Links { topology, used, why: no_fabric, assumed, shape } = links(catalog, request)?;
    let ranks = request.nodes.saturating_mul(used);
    if ranks < 2 {
        return Err(Error::Conflict {
            field: "nodes".to_owned(),
            message: "one GPU has no other to exchange data with; give more nodes or gpus_per_node"
                .to_owned(),
        });
    }
    let group = Group { ranks, stride: 1 };
    let refused = || Error::Conflict {
        field: "nodes".to_owned(),
        message: format!("no time over {}: {no_fabric}", count(request.nodes, "node")),
    };
    let whose = Whose::of(request)?;
    let time = whose.time(request.op, bytes, group, &topology).ok_or_else(refused)?;
    let algbw = bytes / time.seconds / 1e9;
    let placed = |scattered_share: f64| {
        let mut other = topology;
        other.conditions.scattered_share = scattered_share;
        whose.time(request.op, bytes, group, &other).map(|time| time.seconds).ok_or_else(refused)
    };
    Ok(CollectiveAnswer {
        op: request.op,
        bytes,
        ranks,
        seconds: time.seconds,
        algbw,
        busbw: request.op.busbw_gb_per_s(bytes, ranks, time.seconds),
        algorithm: time.algorithm,
        scale_up_bytes: time.scale_up_bytes,
        scale_out_bytes: time.scale_out_bytes,
        compact_seconds: placed(0.0)?,
        scattered_seconds: placed(1.0)?,
        curve: whose.curve(request.op, group, &topology).ok_or_else(refused)?,
        assumed,
        warnings: warnings(catalog, request, shape.as_deref(), group, &topology),
    })
}

/// Whose kernels run.
enum Whose {
    Library,
    Engine,
    Experts(ExpertRouting),
}

impl Whose {
    fn of(request: &CollectiveRequest) -> Result<Self, Error> {
        let only = |field: &str, op: &str| Error::Conflict {
            field: field.to_owned(),
            message: format!("such kernels do {op} only; change op, or leave {field} out"),
        };
        match (&request.experts, request.engine_kernels) {
            (None, false) => Ok(Self::Library),
            (None, true) if request.op == CollectiveOp::AllReduce => Ok(Self::Engine),
            (_, true) => Err(only("engine_kernels", "all_reduce")),
            (Some(routing), false) if request.op == CollectiveOp::AllToAll => {
                check_range("experts.bytes_per_token", routing.bytes_per_token, 1.0, 1e9)?;
                check_range("experts.experts_per_token", f64::from(routing.experts_per_token), 1.0, 1e6)?;
                if let Some(most) = routing.max_domains {
                    check_range("experts.max_domains", f64::from(most), 1.0, 1e6)?;
                }
                Ok(Self::Experts(routing.clone()))
            }
            (Some(_), false) => Err(only("experts", "all_to_all")),
        }
    }

    fn time(
        &self,
        op: CollectiveOp,
        bytes: f64,
        group: Group,
        topology: &Topology,
    ) -> Option<CollectiveTime> {
        match self {
            Self::Library => collective_time(op, bytes, group, topology),
            Self::Engine => engine_all_reduce_time(bytes, group, topology),
            Self::Experts(routing) => {
                let ExpertRouting { bytes_per_token, experts_per_token, max_domains, kernel } = *routing;
                let tokens = bytes / bytes_per_token;
                let exchange =
                    ExpertExchange { tokens, bytes_per_token, experts_per_token, max_domains, kernel };
                expert_all_to_all_time(&exchange, group, topology)
            }
        }
    }

    fn curve(&self, op: CollectiveOp, group: Group, topology: &Topology) -> Option<Vec<CollectivePoint>> {
        if let Self::Library = self {
            return busbw_curve(op, CURVE_BYTES, group, topology);
        }
        let point = |bytes: f64| {
            let time = self.time(op, bytes, group, topology)?;
            let busbw = op.busbw_gb_per_s(bytes, group.ranks, time.seconds);
            Some(CollectivePoint { bytes, seconds: time.seconds, busbw, algorithm: time.algorithm })
        };
        CURVE_BYTES.into_iter().map(point).collect()
    }
}

/// Bus bandwidth over message sizes: a point for each of `sizes` (bytes), in their order; none as
/// [`collective_time`]. With one rank every bandwidth is 0.
pub fn busbw_curve(
    op: CollectiveOp,
    sizes: impl IntoIterator<Item = f64>,
    group: Group,
    topology: &Topology,
) -> Option<Vec<CollectivePoint>> {
    let sizes: Vec<f64> = sizes.into_iter().collect();
    let times = collective_times_with(Constants::shipped(), op, sizes.iter().copied(), group, topology);
    let point = |(bytes, time): (&f64, Option<CollectiveTime>)| {
        let time = time?;
        let busbw = op.busbw_gb_per_s(*bytes, group.ranks, time.seconds);
        Some(CollectivePoint { bytes: *bytes, seconds: time.seconds, busbw, algorithm: time.algorithm })
    };
    sizes.iter().zip(times).map(point).collect()
}

/// 1 KiB to 16 GiB.
const CURVE_BYTES: [f64; 25] = {
    let mut out = [1024.0; 25];
    let mut i = 1;
    while i < out.len() {
        out[i] = 2.0 * out[i - 1];
        i += 1;
    }
    out
};

/// Largest published measurement of a collective: 20 racks of GB200 (CoreWeave), GPUs.
const LARGEST_MEASURED: u32 = 1_440;

/// Largest group whose nodes were known to lie anywhere: 64 virtual machines of Azure's H100, GPUs.
const LARGEST_SCATTERED: u32 = 512;

/// What a reader should know of the scale.
fn warnings(
    catalog: &Catalog,
    request: &CollectiveRequest,
    shape: Option<&str>,
    group: Group,
    topology: &Topology,
) -> Vec<Warning> {
    let mut out = Vec::new();
    let ranks = group.ranks;
    let named = request.fabric.as_ref().and_then(|name| catalog.fabric("fabric", name).ok());
    if let Some(fabric) = named.filter(|fabric| ranks > LARGEST_MEASURED && !fabric.max_scale.is_empty()) {
        let text = format!("{ranks} GPUs; what its source says of its scale: {}", fabric.max_scale);
        out.push(Warning::new("scale_of_the_fabric", &fabric.name, text));
    }
    if ranks > LARGEST_MEASURED {
        let text = format!(
            "{ranks} GPUs: the largest collective with a published time has {LARGEST_MEASURED}; the laws are extended"
        );
        out.push(Warning::new("past_measured_scale", "nodes", text));
    }
    let limit = shape.and_then(|shape| Some((shape, catalog.largest_published(shape)?.max_gpus?)));
    if let Some((shape, limit)) = limit.filter(|(_, limit)| ranks > *limit) {
        let text = format!("{ranks} GPUs: the largest published cluster of this shape has {limit}");
        out.push(Warning::new("past_published_limit", shape, text));
    }
    let spans = ranks > group.per_domain(topology);
    if topology.conditions.scattered_share > 0.0 && spans && ranks > LARGEST_SCATTERED {
        let text = format!(
            "scattered nodes were measured up to {LARGEST_SCATTERED} GPUs; beyond, what they cost is held at that"
        );
        out.push(Warning::new("past_measured_placement", "conditions.placement", text));
    }
    out
}

struct Links {
    topology: Topology,
    /// GPUs used in a node.
    used: u32,
    /// Why there might be no fabric.
    why: String,
    assumed: Vec<String>,
    shape: Option<String>,
}

fn links(catalog: &Catalog, request: &CollectiveRequest) -> Result<Links, Error> {
    let target = target(catalog, request)?;
    let topology = target.topology;
    let used = request.gpus_per_node.unwrap_or(topology.gpus_per_node);
    if let Some(shape) = target.shape {
        check_range("gpus_per_node", f64::from(used), 1.0, f64::from(shape.gpus_per_node))?;
    }
    let topology = request.conditions.on(topology).map_err(|error| error.within("conditions"))?;
    Ok(Links {
        topology: topology.with_gpus_per_node(used),
        used,
        why: target.no_network.unwrap_or_default(),
        assumed: target.assumed,
        shape: target.shape.map(|shape| shape.name.clone()),
    })
}

fn target<'a>(catalog: &'a Catalog, request: &CollectiveRequest) -> Result<Target<'a>, Error> {
    match (&request.fabric, &request.shape) {
        (Some(_), Some(shape)) => Err(Error::Conflict {
            field: "fabric".to_owned(),
            message: format!("{shape} has its own fabric: give shape, or fabric with gpu"),
        }),
        (Some(fabric), None) => {
            catalog.target_on_fabric(fabric, request.gpu.as_deref(), request.gpus_per_node)
        }
        (None, _) => catalog.target(request.shape.as_deref(), request.gpu.as_deref(), request.gpus_per_node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(json: &str) -> Result<CollectiveAnswer, Error> {
        let value = serde_json::from_str(json).unwrap();
        collective(Catalog::embedded().unwrap(), &crate::input::read(&value)?)
    }

    #[test]
    fn an_answer_agrees_with_itself() {
        let two = ask(r#"{"op": "all_reduce", "bytes": 8589934592, "shape": "BM.GPU.H100.8", "nodes": 2}"#)
            .unwrap();
        assert_eq!(two.ranks, 16);
        assert!((two.busbw / two.algbw - 1.875).abs() < 1e-12);
        assert!((two.algbw * 1e9 * two.seconds / two.bytes - 1.0).abs() < 1e-12);
        // Oracle's own example for two nodes of this shape shows 450 to 471 GB/s.
        assert!((430.0..510.0).contains(&two.busbw), "{}", two.busbw);
        assert_eq!(two.curve.len(), 25);
        assert!(two.curve.windows(2).all(|w| w[1].seconds > w[0].seconds));
        let mean =
            ask(r#"{"op": "alltoall", "bytes": 1e6, "gpu": "MI300X", "nodes": 1, "gpus_per_node": 8}"#)
                .unwrap();
        assert_eq!(mean.algorithm, Algorithm::Pairwise);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_field() {
        let field = |json: &str| ask(json).unwrap_err().field().to_owned();
        assert_eq!(field(r#"{"op": "all_reduce", "bytes": 1e6, "nodes": 2}"#), "shape");
        assert_eq!(
            field(
                r#"{"op": "all_reduce", "bytes": 1e6, "nodes": 2, "shape": "BM.GPU.H100.8", "gpu": "H100"}"#
            ),
            "gpu"
        );
        assert_eq!(
            field(r#"{"op": "all_reduce", "bytes": 0, "shape": "BM.GPU.H100.8", "nodes": 2}"#),
            "bytes"
        );
        assert_eq!(
            field(r#"{"op": "all_reduce", "bytes": 1, "shape": "BM.GPU.H100.8", "nodes": 0}"#),
            "nodes"
        );
        assert_eq!(
            field(
                r#"{"op": "all_reduce", "bytes": 1, "shape": "BM.GPU.H100.8", "nodes": 2, "gpus_per_node": 9}"#
            ),
            "gpus_per_node"
        );
        assert_eq!(field(r#"{"op": "all_reduces", "bytes": 1, "gpu": "H100-SXM", "nodes": 2}"#), "op");
    }

    /// Every fabric of the catalogue answers, or says why it cannot.
    #[test]
    fn every_fabric_answers_or_refuses_by_name() {
        let catalog = Catalog::embedded().unwrap();
        let mut answered = 0;
        for fabric in &catalog.fabrics {
            let name = &fabric.name;
            let asked = |gpu: &str| {
                ask(&format!(
                    r#"{{"op": "all_reduce", "bytes": 1e9, "fabric": "{name}", "nodes": 64, "gpu": "{gpu}"}}"#
                ))
            };
            let own =
                ask(&format!(r#"{{"op": "all_reduce", "bytes": 1e9, "fabric": "{name}", "nodes": 64}}"#));
            match fabric.injection_gb_per_s_per_gpu {
                Some(_) => {
                    let answer = asked("B200").unwrap();
                    assert!(
                        answer.busbw > 0.0 && answer.scattered_seconds >= answer.compact_seconds,
                        "{name}"
                    );
                    // Without a GPU on it in the catalogue the refusal asks for one.
                    assert!(own.is_ok() || own.unwrap_err().field() == "gpu", "{name}");
                    answered += 1;
                }
                None => {
                    let error = asked("B200").unwrap_err();
                    assert!(
                        error.field() == "fabric" && error.to_string().contains(name.as_str()),
                        "{error}"
                    );
                }
            }
        }
        assert!(answered >= 23, "{answered}");
    }

    /// Meta's row: one to one in a pod of 3,072, one to seven above it.
    #[test]
    fn a_row_states_its_oversubscription() {
        let meta = |gpus: u32| {
            let nodes = gpus / 8;
            let json = format!(
                r#"{{"op": "alltoall", "bytes": 1e9, "fabric": "meta-roce-24k", "gpu": "H100", "nodes": {nodes}}}"#
            );
            ask(&json).unwrap()
        };
        assert!(meta(6144).seconds > 3.0 * meta(3072).seconds);
        // Rings cross the tier once a pod: seven times less there is still enough.
        let ring = |nodes: u32, conditions: &str| {
            let json = format!(
                r#"{{"op": "all_reduce", "bytes": 1e10, "shape": "BM.GPU.H100.8", "nodes": {nodes}, "conditions": {conditions}}}"#
            );
            ask(&json).unwrap().seconds
        };
        let tier = r#"{"oversubscription": 7, "tier_gpus": 3072}"#;
        assert_eq!(ring(768, tier), ring(768, "{}"));
        assert!(ring(768, r#"{"oversubscription": 7}"#) > 5.0 * ring(768, "{}"));
    }

    /// DeepEP's README (v1): 128 tokens of 7,392 bytes over 8 and 64 H800, 77 and 173 µs.
    #[test]
    fn engines_and_experts_can_be_asked() {
        let asked = |nodes: u32| {
            ask(&format!(
                r#"{{"op": "alltoall", "bytes": 946176, "gpu": "H800", "nodes": {nodes},
                    "experts": {{"bytes_per_token": 7392, "experts_per_token": 8, "kernel": "low_latency"}}}}"#
            ))
            .unwrap()
        };
        assert!((asked(1).seconds * 1e6 / 77.0 - 1.0).abs() < 0.15);
        assert!((asked(8).seconds * 1e6 / 173.0 - 1.0).abs() < 0.15);
        let small = |engine: bool| {
            ask(&format!(
                r#"{{"op": "all_reduce", "bytes": 65536, "gpu": "H100", "nodes": 1, "engine_kernels": {engine}}}"#
            ))
            .unwrap()
        };
        assert!(small(true).seconds < 0.5 * small(false).seconds);
        assert_eq!(small(true).algorithm, Algorithm::Direct);
        let wrong =
            ask(r#"{"op": "all_gather", "bytes": 1, "gpu": "H100", "nodes": 1, "engine_kernels": true}"#);
        assert_eq!(wrong.unwrap_err().field(), "engine_kernels");
    }

    #[test]
    fn conditions_that_make_no_sense_are_refused_by_field() {
        let field = |conditions: &str| {
            let json = format!(
                r#"{{"op": "all_reduce", "bytes": 1e9, "shape": "BM.GPU.H100.8", "nodes": 4, "conditions": {conditions}}}"#
            );
            ask(&json).unwrap_err().field().to_owned()
        };
        assert_eq!(field(r#"{"scattered_share": 1.5}"#), "conditions.scattered_share");
        assert_eq!(
            field(r#"{"scattered_share": 0.5, "placement": "compact"}"#),
            "conditions.scattered_share"
        );
        assert_eq!(field(r#"{"placement": "dense"}"#), "conditions.placement");
        assert_eq!(field(r#"{"oversubscription": 0.5}"#), "conditions.oversubscription");
        assert_eq!(field(r#"{"tier_gpus": 512}"#), "conditions.tier_gpus");
        assert_eq!(field(r#"{"in_switch_reduction": true}"#), "conditions.in_switch_reduction");
        assert_eq!(field(r#"{"routing": "static"}"#), "conditions.routing");
    }

    #[test]
    fn scales_past_what_was_seen_are_warned_of() {
        let codes = |nodes: u32, conditions: &str| -> Vec<String> {
            let json = format!(
                r#"{{"op": "all_reduce", "bytes": 1e9, "shape": "BM.GPU.B200.8", "nodes": {nodes}, "conditions": {conditions}}}"#
            );
            ask(&json).unwrap().warnings.into_iter().map(|warning| warning.code).collect()
        };
        assert!(codes(128, "{}").is_empty());
        assert_eq!(codes(16_384, "{}"), ["past_measured_scale"]);
        assert_eq!(
            codes(100_000, r#"{"placement": "scattered"}"#),
            ["past_measured_scale", "past_published_limit", "past_measured_placement"]
        );
    }

    #[test]
    fn no_fabric_gives_no_number() {
        let catalog = Catalog::embedded().unwrap();
        let apart = catalog.shapes.iter().filter(|s| s.fabric.is_none() && s.gpus_per_node > 1);
        let mut seen = 0;
        for shape in apart {
            let mut request = CollectiveRequest {
                op: CollectiveOp::AllReduce,
                bytes: 1e6,
                shape: Some(shape.name.clone()),
                gpu: None,
                fabric: None,
                nodes: 1,
                gpus_per_node: None,
                overlay: None,
                conditions: NetworkConditions::default(),
                engine_kernels: false,
                experts: None,
            };
            assert!(collective(catalog, &request).unwrap().seconds > 0.0, "{}", shape.name);
            request.nodes = 2;
            assert_eq!(collective(catalog, &request).unwrap_err().field(), "nodes", "{}", shape.name);
            seen += 1;
        }
        assert!(seen > 0);
    }
}
