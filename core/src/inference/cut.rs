//! A model cut over the GPUs of one replica: what one GPU holds and computes.

use crate::error::Error;
use crate::model::{Architecture, MixtureOfExperts, Precision};
use crate::network::{Group, Topology};
use crate::quantity::count;

use super::ServingLayout;
use super::queue::gamma_quantile;

/// Dimensions of one GPU's share of a layer, as numbers for the hot path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cut {
    pub tp: f64,
    pub pp: f64,
    pub dp: f64,
    /// Expert parallel ranks.
    pub ep: f64,
    /// Experts held twice.
    pub redundant: f64,
    /// Standard deviations by which the largest of as many normal loads as there are expert ranks exceeds their mean.
    pub busiest: f64,
    /// GPUs that one expert is cut over.
    pub expert_tp: f64,
    /// Query heads of a GPU.
    pub heads: f64,
    /// Key and value heads of a GPU; heads are repeated where there are fewer than tensor ranks.
    pub kv_heads: f64,
    pub tp_group: Group,
    /// All GPUs of a stage.
    pub stage_group: Group,
    pub ep_group: Group,
    /// A GPU and the one that holds the same share of the next stage.
    pub pp_group: Group,
}

impl Cut {
    /// The cut of `arch` by `layout`.
    ///
    /// # Errors
    /// `OutOfRange` for a rank count of 0 or beyond the model's size, `Indivisible` where heads, key and value heads or
    /// experts do not divide, `Conflict` for expert parallelism without experts or over other GPUs than the replica's, and for
    /// copies of experts that do not fill the ranks.
    pub fn new(arch: &Architecture, layout: &ServingLayout) -> Result<Self, Error> {
        let ServingLayout { tp, pp, ep, dp, redundant_experts: copies } = *layout;
        for (field, ranks, max) in [
            ("tp", tp, arch.heads),
            ("pp", pp, arch.layers),
            ("ep", ep, arch.moe.map_or(u32::MAX, |m| m.experts.saturating_add(copies.min(m.experts)))),
            ("dp", dp, 4096),
        ] {
            if ranks == 0 || ranks > max {
                return Err(Error::OutOfRange {
                    field: format!("layout.{field}"),
                    given: f64::from(ranks),
                    min: 1.0,
                    max: f64::from(max),
                });
            }
        }
        divides("layout.tp", tp, arch.heads, "heads")?;
        if arch.mla.is_none() && !arch.kv_heads.is_multiple_of(tp) && !tp.is_multiple_of(arch.kv_heads.max(1))
        {
            return Err(Error::Indivisible {
                field: "layout.tp".to_owned(),
                given: u64::from(tp),
                of: count(arch.kv_heads, "kv head"),
                allowed: divisors(arch.kv_heads),
            });
        }
        let stage = tp.saturating_mul(dp);
        match arch.moe {
            None if copies > 0 => {
                return Err(Error::Conflict {
                    field: "layout.redundant_experts".to_owned(),
                    message: format!(
                        "{} held twice, but {} has no experts; leave it out",
                        count(copies, "expert"),
                        arch.name
                    ),
                });
            }
            None if ep > 1 => {
                return Err(Error::Conflict {
                    field: "layout.ep".to_owned(),
                    message: format!(
                        "{ep} expert parallel ranks, but {} has no experts; leave ep at 1",
                        arch.name
                    ),
                });
            }
            None => {}
            Some(moe) => {
                experts_divide(ep, moe.experts, copies)?;
                if !stage.is_multiple_of(ep) {
                    return Err(Error::Conflict {
                        field: "layout.ep".to_owned(),
                        message: format!(
                            "a stage of {} (tp × dp) does not divide over {ep} expert parallel ranks",
                            count(stage, "GPU")
                        ),
                    });
                }
            }
        }
        let tp_f = f64::from(tp);
        let kv_heads = if arch.mla.is_some() { 1.0 } else { (f64::from(arch.kv_heads) / tp_f).max(1.0) };
        Ok(Self {
            tp: tp_f,
            pp: f64::from(pp),
            dp: f64::from(dp),
            ep: f64::from(ep),
            redundant: f64::from(copies),
            busiest: largest_of(f64::from(ep)),
            expert_tp: f64::from(stage / ep),
            heads: f64::from(arch.heads) / tp_f,
            kv_heads,
            tp_group: Group { ranks: tp, stride: 1 },
            stage_group: Group { ranks: stage, stride: 1 },
            ep_group: Group { ranks: ep, stride: stage / ep },
            pp_group: Group { ranks: if pp > 1 { 2 } else { 1 }, stride: stage },
        })
    }

    /// The cut of a draft with these sizes on the GPUs of the last stage of a model cut so.
    pub fn of_draft(&self, sizes: &Sizes) -> Self {
        let experts = sizes.moe.is_some();
        Self {
            pp: 1.0,
            ep: if experts { self.ep } else { 1.0 },
            redundant: if experts { self.redundant } else { 0.0 },
            busiest: if experts { self.busiest } else { 0.0 },
            expert_tp: if experts { self.expert_tp } else { self.tp * self.dp },
            heads: sizes.heads / self.tp,
            kv_heads: if sizes.mla.is_some() { 1.0 } else { (sizes.kv_heads / self.tp).max(1.0) },
            pp_group: Group { ranks: 1, ..self.pp_group },
            ..*self
        }
    }

    /// Refuses a cut that needs links which the topology lacks.
    pub fn check_links(&self, topology: &Topology) -> Result<(), Error> {
        let domain = f64::from(topology.scale_up_domain.max(topology.gpus_per_node));
        let gpus = self.tp * self.dp * self.pp;
        if gpus > domain && topology.scale_out_bytes_per_s <= 0.0 {
            return Err(Error::Conflict {
                field: "layout".to_owned(),
                message: format!(
                    "a replica of {gpus} GPUs leaves its node of {domain}, and these nodes have no RDMA network"
                ),
            });
        }
        Ok(())
    }
}

/// Sizes of the model that do not depend on the layout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sizes {
    pub layers: f64,
    pub dense_layers: f64,
    pub moe_layers: f64,
    pub full_layers: f64,
    pub local_layers: f64,
    pub window: f64,
    pub hidden: f64,
    pub heads: f64,
    pub kv_heads: f64,
    pub head_dim: f64,
    pub ffn: f64,
    /// Matrices that read the hidden state in a feed-forward layer: 2 if gated.
    pub up: f64,
    pub vocab: f64,
    pub tied: bool,
    pub mla: Option<Mla>,
    pub moe: Option<Moe>,
}

/// [`crate::model::LatentAttention`] as numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mla {
    pub q_lora: f64,
    pub kv_lora: f64,
    pub nope: f64,
    pub rope: f64,
    pub v: f64,
}

/// [`crate::model::MixtureOfExperts`] as numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Moe {
    pub experts: f64,
    pub top_k: f64,
    /// As the model states them.
    pub model: MixtureOfExperts,
    pub ffn: f64,
    pub shared: f64,
    /// ln of the chance that a token does not visit a given expert.
    pub ln_unvisited: f64,
    /// The same of one of the two copies of an expert, which take turns.
    pub ln_copy_unvisited: f64,
}

impl Moe {
    /// Experts that one rank holds, copies counted.
    pub fn held(&self, cut: &Cut) -> f64 {
        (self.experts + cut.redundant) / cut.ep
    }

    /// Of those, the ones that at least one of `tokens` visits: with uniform routing all but a share `(1 − k/E)^tokens`, and
    /// of the copies, each of which gets every other token of its expert, all but `(1 − k/2E)^tokens`. Where experts are
    /// sought unevenly, gamma distributed with a squared coefficient of variation of `scv`, fewer: all but a share
    /// `(1 − scv·tokens·ln(1 − k/E))^(−1/scv)` (the negative binomial's chance of none).
    pub fn touched(&self, cut: &Cut, tokens: f64, scv: f64) -> f64 {
        let visited = |ln_unvisited: f64| {
            let even = -tokens * ln_unvisited;
            1.0 - libm::exp(if scv > 0.0 { -libm::log1p(scv * even) / scv } else { -even })
        };
        let single = (self.experts - cut.redundant) * visited(self.ln_unvisited);
        let copies =
            if cut.redundant > 0.0 { 2.0 * cut.redundant * visited(self.ln_copy_unvisited) } else { 0.0 };
        (single + copies) / cut.ep
    }

    /// The same on the rank where most are: of the n that each holds a share p is visited, binomially.
    pub fn touched_on_busiest(&self, cut: &Cut, tokens: f64, scv: f64) -> f64 {
        let (mean, held) = (self.touched(cut, tokens, scv), self.held(cut));
        (mean + cut.busiest * libm::sqrt(mean * (1.0 - mean / held).max(0.0))).min(held)
    }

    /// Token-expert pairs of the busiest rank over their mean, where experts are sought with a squared coefficient of variation
    /// of `scv`: a rank's load is the mean of its experts', gamma distributed as theirs. Copies are those of the experts sought
    /// most and even it out (DeepSeek-V3, arXiv 2412.19437, section 3.4.1).
    pub fn unevenness(&self, cut: &Cut, scv: f64) -> f64 {
        if cut.redundant > 0.0 {
            return 1.0;
        }
        let scv = scv * cut.ep / self.experts;
        gamma_quantile(1.0, (scv, libm::sqrt(scv)), cut.busiest).clamp(1.0, cut.ep)
    }
}

/// Mean of the largest of `n` standard normal values: the quantile at (n − 3/8)/(n + 1/4) (Blom, "Statistical estimates and
/// transformed beta-variables", 1958), which is nearly 4.91·(p^0.14 − (1 − p)^0.14) (Joiner and Rosenblatt, JASA 66:394, 1971);
/// 0 for one.
fn largest_of(n: f64) -> f64 {
    if n <= 1.0 {
        return 0.0;
    }
    let share = (n - 0.375) / (n + 0.25);
    4.91 * (libm::pow(share, 0.14) - libm::pow(1.0 - share, 0.14))
}

impl Sizes {
    pub fn new(arch: &Architecture) -> Self {
        let layers = f64::from(arch.layers);
        let dense_layers = arch.moe.map_or(layers, |m| f64::from(m.dense_layers));
        let full_layers = arch.sliding_window.map_or(layers, |w| f64::from(w.full_layers));
        Self {
            layers,
            dense_layers,
            moe_layers: layers - dense_layers,
            full_layers,
            local_layers: layers - full_layers,
            window: arch.sliding_window.map_or(f64::INFINITY, |w| f64::from(w.window)),
            hidden: f64::from(arch.hidden),
            heads: f64::from(arch.heads),
            kv_heads: f64::from(arch.kv_heads),
            head_dim: f64::from(arch.head_dim),
            ffn: f64::from(arch.ffn),
            up: if arch.gated { 2.0 } else { 1.0 },
            vocab: f64::from(arch.vocab),
            tied: arch.tied_embeddings,
            mla: arch.mla.map(|m| Mla {
                q_lora: f64::from(m.q_lora_rank),
                kv_lora: f64::from(m.kv_lora_rank),
                nope: f64::from(m.qk_nope_head_dim),
                rope: f64::from(m.qk_rope_head_dim),
                v: f64::from(m.v_head_dim),
            }),
            moe: arch.moe.map(|m| Moe {
                experts: f64::from(m.experts),
                model: m,
                top_k: f64::from(m.top_k),
                ffn: f64::from(m.expert_ffn),
                shared: f64::from(m.shared_ffn),
                ln_unvisited: libm::log(1.0 - f64::from(m.top_k) / f64::from(m.experts)),
                ln_copy_unvisited: libm::log(1.0 - 0.5 * f64::from(m.top_k) / f64::from(m.experts)),
            }),
        }
    }
}

/// Number formats of the parts of a served model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Formats {
    /// Attention projections and dense feed-forward layers.
    pub dense: Precision,
    /// Routed and shared experts.
    pub experts: Precision,
    /// Bytes of a KV cache element.
    pub kv_bytes: f64,
}

impl Formats {
    /// Formats of a checkpoint published at `precision`.
    ///
    /// Four-bit checkpoints of mixtures of experts keep the attention in 16 bits: gpt-oss (model card, arXiv 2508.10925,
    /// section 2.1: MXFP4 for the experts only), DeepSeek-R1-FP4 (NVIDIA's model card: the linear operators of the
    /// experts), Kimi-K2 Thinking (model card: INT4 weights of the experts only).
    pub fn new(arch: &Architecture, precision: Precision, kv_precision: Option<Precision>) -> Self {
        let four_bit = precision.weight_bytes() < 1.0;
        Self {
            dense: if four_bit && arch.moe.is_some() { Precision::Bf16 } else { precision },
            experts: precision,
            kv_bytes: match kv_precision {
                Some(p) => p.weight_bytes(),
                None => usual_kv_bytes(precision),
            },
        }
    }
}

/// Bytes of an element of the KV cache where no format is given: that of the products, 8 bits at least; checkpoints of which only
/// weights are in fewer bits, gpt-oss' MXFP4 among them, keep 16.
fn usual_kv_bytes(precision: Precision) -> f64 {
    match precision {
        Precision::Bf16 | Precision::Fp16 | Precision::Mxfp4 | Precision::Int8 | Precision::Int4 => 2.0,
        _ => 1.0,
    }
}

/// Refuses expert ranks of which each does not hold the same number of `experts` and `copies`.
fn experts_divide(ep: u32, experts: u32, copies: u32) -> Result<(), Error> {
    let field = "layout.redundant_experts";
    if copies > experts {
        let (given, max) = (f64::from(copies), f64::from(experts));
        return Err(Error::OutOfRange { field: field.to_owned(), given, min: 0.0, max });
    }
    if copies > 0 && ep <= 1 {
        return Err(Error::Conflict {
            field: field.to_owned(),
            message: format!(
                "{} held twice, but one expert rank holds all: give layout.ep, or leave it out",
                count(copies, "expert")
            ),
        });
    }
    if (experts + copies).is_multiple_of(ep) {
        return Ok(());
    }
    // Copies with which the ranks hold the same: fewer and more than given.
    let least = experts.div_ceil(ep) * ep - experts;
    let below = ((experts + copies) / ep * ep).checked_sub(experts);
    let above = (experts + copies).div_ceil(ep) * ep - experts;
    let nearest = below.filter(|below| copies - below <= above - copies || above > experts).unwrap_or(above);
    if copies == 0 {
        let with = if least <= experts {
            format!("; with redundant_experts of {least} every rank holds {}", (experts + least) / ep)
        } else {
            String::new()
        };
        return Err(Error::Indivisible {
            field: "layout.ep".to_owned(),
            given: u64::from(ep),
            of: format!("{experts} experts{with}"),
            allowed: divisors(experts),
        });
    }
    Err(Error::Conflict {
        field: field.to_owned(),
        message: format!(
            "{experts} experts and {copies} held twice do not divide over {ep} expert ranks; the nearest that do is {nearest}"
        ),
    })
}

fn divides(field: &str, ranks: u32, size: u32, what: &str) -> Result<(), Error> {
    if size.is_multiple_of(ranks) {
        return Ok(());
    }
    Err(Error::Indivisible {
        field: field.to_owned(),
        given: u64::from(ranks),
        of: format!("{size} {what}"),
        allowed: divisors(size),
    })
}

fn divisors(of: u32) -> Vec<u64> {
    (1..=of.min(1024)).filter(|d| of.is_multiple_of(*d)).map(u64::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn deepseek(ep: u32, copies: u32) -> (Moe, Cut) {
        let arch = &Catalog::embedded().unwrap().model("model", "deepseek-v3").unwrap().architecture;
        let layout = ServingLayout { tp: 1, pp: 1, ep, dp: ep, redundant_experts: copies };
        (Sizes::new(arch).moe.unwrap(), Cut::new(arch, &layout).unwrap())
    }

    #[test]
    fn the_busiest_of_many_ranks_has_more_to_do_and_none_where_experts_are_alike_or_held_twice() {
        let uneven = |ep, copies, scv| {
            let (moe, cut) = deepseek(ep, copies);
            moe.unevenness(&cut, scv)
        };
        assert_eq!(uneven(1, 0, 1.0), 1.0);
        assert_eq!(uneven(32, 0, 0.0), 1.0);
        assert_eq!(uneven(32, 32, 1.0), 1.0);
        let rising: Vec<f64> = [2, 4, 8, 32, 64].map(|ep| uneven(ep, 0, 1.0)).to_vec();
        assert!(rising.windows(2).all(|pair| pair[0] < pair[1]), "{rising:?}");
    }

    /// The mean of the largest of n normal values, from tables (Harter, Biometrika 48:151, 1961).
    #[test]
    fn the_largest_of_some_is_that_of_tables() {
        for (n, largest) in [(2.0, 0.5642), (4.0, 1.0294), (8.0, 1.4236), (16.0, 1.7660), (64.0, 2.3437)] {
            assert!((largest_of(n) / largest - 1.0).abs() < 0.05, "{n}: {}", largest_of(n));
        }
    }

    #[test]
    fn experts_sought_unevenly_are_touched_later() {
        let (moe, cut) = deepseek(1, 0);
        for tokens in [1.0, 8.0, 64.0, 512.0] {
            let shares = [0.0, 1e-6, 0.5, 1.0, 2.0].map(|scv| moe.touched(&cut, tokens, scv) / moe.experts);
            assert!((shares[0] - shares[1]).abs() < 1e-4, "{shares:?}");
            assert!(shares.windows(2).all(|pair| pair[1] <= pair[0]), "{shares:?}");
            let even = 1.0 - (1.0 - moe.top_k / moe.experts).powf(tokens);
            assert!((shares[0] - even).abs() < 1e-12);
        }
    }
}
