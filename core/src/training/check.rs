//! Whether a layout is one: everything that must divide does.

use super::job::Job;
use super::layout::{Layout, PipelineSchedule, Recompute};
use super::recompute::RecomputeParts;
use crate::error::Error;
use crate::quantity::count;

/// Largest job that is priced.
pub const MOST_GPUS: u32 = 1_048_576;

/// What is said of an illegal layout: an error in words, or by [`Illegal`] nothing. A search meets more illegal layouts
/// than legal ones, and words for each would take more time than all the rest.
pub trait Objection: Sized {
    /// The objection for this reason.
    fn because(reason: impl FnOnce() -> Error) -> Self;
}

impl Objection for Error {
    fn because(reason: impl FnOnce() -> Error) -> Self {
        reason()
    }
}

/// No layout, for whatever reason.
#[derive(Debug, Clone, Copy)]
pub struct Illegal;

impl Objection for Illegal {
    #[inline(always)]
    fn because(_: impl FnOnce() -> Error) -> Self {
        Self
    }
}

/// The layout's data parallel ranks, if it is legal for the job on so many GPUs.
///
/// # Errors
/// `Indivisible` where something does not divide, `OutOfRange` for zeros and absurd sizes, `Conflict` where two fields
/// contradict each other. Paths start with `layout.`, but for `gpus`.
pub fn data_parallel<E: Objection>(job: &Job, layout: &Layout, gpus: u32) -> Result<u32, E> {
    within("gpus", gpus, 1, MOST_GPUS)?;
    for (name, value) in [
        ("layout.tp", layout.tp),
        ("layout.pp", layout.pp),
        ("layout.vp", layout.vp),
        ("layout.cp", layout.cp),
        ("layout.ep", layout.ep),
        ("layout.expert_tp", layout.expert_tp.unwrap_or(1)),
        ("layout.recompute_layers", layout.recompute_layers.unwrap_or(1)),
        ("layout.micro_batch", layout.micro_batch),
        ("layout.global_batch", layout.global_batch),
        ("layout.dp", layout.dp.unwrap_or(1)),
        ("layout.shard_group", layout.shard_group.unwrap_or(1)),
    ] {
        within(name, value, 1, MOST_GPUS)?;
    }
    within("layout.zero", u32::from(layout.zero), 0, 3)?;
    check_model(job, layout)?;
    check_recompute(job, layout)?;

    let cut = u64::from(layout.tp) * u64::from(layout.pp) * u64::from(layout.cp);
    if u64::from(gpus) % cut != 0 {
        return Err(E::because(|| Error::NotMultiple {
            field: "gpus".to_owned(),
            given: u64::from(gpus),
            of: format!("tp × pp × cp = {cut}"),
            allowed: multiples_near(u64::from(gpus), cut),
        }));
    }
    let dp = (u64::from(gpus) / cut) as u32;
    if let Some(given) = layout.dp.filter(|&given| given != dp) {
        return Err(E::because(|| Error::Conflict {
            field: "layout.dp".to_owned(),
            message: format!(
                "{given} given, but it is {dp}, {} over tp × pp × cp = {cut}; leave dp out or give {}",
                count(gpus, "GPU"),
                count(cut * u64::from(given), "GPU")
            ),
        }));
    }
    let ranks = u64::from(dp) * u64::from(layout.cp);
    if layout.ep > 1 {
        divides("layout.ep", layout.ep, ranks * u64::from(layout.tp), "dp × cp × tp")?;
    }
    if let Some(ways) = layout.expert_tp {
        let left = ranks * u64::from(layout.tp) / u64::from(layout.ep);
        divides("layout.expert_tp", ways, left, "ranks of dp × cp × tp for each of ep")?;
    }
    if let Some(group) = layout.shard_group {
        divides("layout.shard_group", group, ranks, "dp × cp")?;
    }
    let samples = u64::from(dp) * u64::from(layout.micro_batch);
    if u64::from(layout.global_batch) % samples != 0 {
        return Err(E::because(|| Error::NotMultiple {
            field: "layout.global_batch".to_owned(),
            given: u64::from(layout.global_batch),
            of: format!("dp × micro_batch = {samples}"),
            allowed: multiples_near(u64::from(layout.global_batch), samples),
        }));
    }
    let micro_batches = u64::from(layout.global_batch) / samples;
    check_sequence(job, layout)?;
    if layout.shard_group.is_some() && layout.zero == 0 {
        return Err(E::because(|| Error::Conflict {
            field: "layout.shard_group".to_owned(),
            message: "zero = 0 shards nothing: give zero of 1 to 3, or leave shard_group out".to_owned(),
        }));
    }
    if layout.schedule == PipelineSchedule::DualPipe && (!layout.pp.is_multiple_of(2) || layout.vp > 1) {
        return Err(E::because(|| Error::Conflict {
            field: "layout.schedule".to_owned(),
            message: format!(
                "dual_pipe runs an even number of stages from both ends, without virtual ones: pp = {} and vp = {} given",
                layout.pp, layout.vp
            ),
        }));
    }
    if layout.schedule == PipelineSchedule::ZeroBubble && layout.vp > 1 {
        return Err(E::because(|| Error::Conflict {
            field: "layout.schedule".to_owned(),
            message: format!(
                "zero_bubble is published and priced without virtual stages: vp = {} given; give vp = 1",
                layout.vp
            ),
        }));
    }
    if layout.vp > 1 && layout.pp == 1 {
        return Err(E::because(|| Error::Conflict {
            field: "layout.vp".to_owned(),
            message: format!("{} virtual stages need a pipeline: give pp above 1 or vp = 1", layout.vp),
        }));
    }
    if layout.vp > 1 && micro_batches % u64::from(layout.pp) != 0 {
        // Interleaved stages take micro-batches in rounds of pp (Megatron-Core's schedule).
        return Err(E::because(|| Error::Conflict {
            field: "layout.vp".to_owned(),
            message: format!(
                "interleaving takes micro-batches in rounds of pp = {}, there are {micro_batches}; give vp = 1 or \
                 another micro_batch",
                layout.pp
            ),
        }));
    }
    if layout.schedule == PipelineSchedule::DualPipe && micro_batches < u64::from(layout.pp) {
        return Err(E::because(|| Error::Conflict {
            field: "layout.schedule".to_owned(),
            message: format!(
                "dual_pipe needs at least pp = {} micro-batches, there are {micro_batches}",
                layout.pp
            ),
        }));
    }
    Ok(dp)
}

/// What is done again and what is offloaded belong to the recompute mode and lie within a stage.
fn check_recompute<E: Objection>(job: &Job, layout: &Layout) -> Result<(), E> {
    if layout.recompute_layers.is_some() && layout.recompute != Recompute::Full {
        return Err(E::because(|| Error::Conflict {
            field: "layout.recompute_layers".to_owned(),
            message: "only whole layers are counted: give recompute = full, or leave recompute_layers out"
                .to_owned(),
        }));
    }
    if let Some(parts) = layout.recompute_parts {
        if layout.recompute != Recompute::Selective {
            return Err(E::because(|| {
                Error::Conflict {
                field: "layout.recompute_parts".to_owned(),
                message:
                    "only selective recompute has parts: give recompute = selective, or leave recompute_parts out"
                        .to_owned(),
            }
            }));
        }
        check_parts(job, parts)?;
    }
    let stage = layers_of_a_rank(job, layout);
    for (field, layers) in [
        ("layout.recompute_layers", layout.recompute_layers.unwrap_or(0)),
        ("layout.offload.activation_layers", layout.offload.activation_layers),
    ] {
        if layers > stage {
            return Err(E::because(|| Error::Conflict {
                field: field.to_owned(),
                message: format!(
                    "{layers} given, but a pipeline rank has {} at most; give 1 to {stage}",
                    count(stage, "layer")
                ),
            }));
        }
    }
    Ok(())
}

/// At least one part is chosen, and the model has what is chosen.
fn check_parts<E: Objection>(job: &Job, parts: RecomputeParts) -> Result<(), E> {
    let model = &job.architecture;
    let lacks = |name: &str, what: &str| {
        Err(E::because(|| Error::Conflict {
            field: format!("layout.recompute_parts.{name}"),
            message: format!("{} has no {what} to do again: leave it out", model.name),
        }))
    };
    if parts.is_empty() {
        return Err(E::because(|| Error::Conflict {
            field: "layout.recompute_parts".to_owned(),
            message: "no part is chosen: set one to true, or give recompute = none".to_owned(),
        }));
    }
    if parts.latent_projections && model.mla.is_none() {
        return lacks("latent_projections", "latent attention");
    }
    if parts.feed_forward && job.sizes.dense_layers <= 0.0 {
        return lacks("feed_forward", "dense feed-forward layers");
    }
    if parts.shared_experts && model.moe.is_none_or(|moe| moe.shared_ffn == 0) {
        return lacks("shared_experts", "shared experts");
    }
    if (parts.experts || parts.expert_activations) && model.moe.is_none() {
        return lacks(if parts.experts { "experts" } else { "expert_activations" }, "experts");
    }
    Ok(())
}

/// Layers of the fullest pipeline rank.
fn layers_of_a_rank(job: &Job, layout: &Layout) -> u32 {
    let stages = u64::from(layout.pp) * u64::from(layout.vp);
    (u64::from(job.architecture.layers).div_ceil(stages.max(1)) as u32).saturating_mul(layout.vp)
}

/// The sequence is cut into whole parts: two for each context parallel rank (one from each end, so that the causal
/// triangle is shared evenly), and those along the tensor parallel ranks.
fn check_sequence<E: Objection>(job: &Job, layout: &Layout) -> Result<(), E> {
    let sequence = job.sequence as u64;
    if layout.cp > 1 && !sequence.is_multiple_of(2 * u64::from(layout.cp)) {
        return Err(E::because(|| Error::NotMultiple {
            field: "sequence_length".to_owned(),
            given: sequence,
            of: format!("2 × cp = {}", 2 * layout.cp),
            allowed: multiples_near(sequence, 2 * u64::from(layout.cp)),
        }));
    }
    if layout.tp > 1 && layout.sequence_parallel {
        divides(
            "layout.tp",
            layout.tp,
            sequence / u64::from(layout.cp),
            "tokens of a rank's part of the sequence",
        )?;
    }
    Ok(())
}

fn check_model<E: Objection>(job: &Job, layout: &Layout) -> Result<(), E> {
    let model = &job.architecture;
    divides("layout.tp", layout.tp, u64::from(model.heads), "heads")?;
    if model.mla.is_none() {
        divides("layout.tp", layout.tp, u64::from(model.kv_heads), "kv heads")?;
    }
    if model.ffn > 0 {
        divides("layout.tp", layout.tp, u64::from(model.ffn), "feed-forward width")?;
    }
    if let Some(s) = model.state_space {
        divides("layout.tp", layout.tp, u64::from(s.groups), "groups of state-space heads")?;
        if layout.cp > 1 {
            return Err(E::because(|| {
                Error::Unsupported {
                field: "layout.cp".to_owned(),
                given: layout.cp.to_string(),
                reason: "state-space layers pass their states along the sequence, which is not priced over context \
                         parallel ranks; give cp = 1"
                    .to_owned(),
            }
            }));
        }
    }
    let stages = u64::from(layout.pp) * u64::from(layout.vp);
    // Embedding and output projection may take the place of a layer each.
    if stages > u64::from(model.layers) + 2 {
        return Err(E::because(|| Error::OutOfRange {
            field: if layout.vp > 1 { "layout.vp" } else { "layout.pp" }.to_owned(),
            given: f64::from(if layout.vp > 1 { layout.vp } else { layout.pp }),
            min: 1.0,
            max: f64::from(model.layers / if layout.vp > 1 { layout.pp } else { 1 }),
        }));
    }
    match model.moe {
        None if layout.ep > 1 => Err(E::because(|| Error::Conflict {
            field: "layout.ep".to_owned(),
            message: format!("{} has no experts to spread: give ep = 1", model.name),
        })),
        None if layout.expert_tp.is_some() => Err(E::because(|| Error::Conflict {
            field: "layout.expert_tp".to_owned(),
            message: format!("{} has no experts to cut: leave expert_tp out", model.name),
        })),
        Some(_) if layout.ep > 1 && layout.tp > 1 && !layout.sequence_parallel => {
            Err(E::because(|| Error::Conflict {
                field: "layout.sequence_parallel".to_owned(),
                message: format!(
                    "false with tp = {} and ep = {}: every tensor parallel rank would send the same tokens to the experts; give \
                     sequence_parallel = true",
                    layout.tp, layout.ep
                ),
            }))
        }
        Some(moe) => {
            divides("layout.ep", layout.ep, u64::from(moe.experts), "experts")?;
            let field = if layout.expert_tp.is_some() { "layout.expert_tp" } else { "layout.tp" };
            divides(field, layout.expert_ways(), u64::from(moe.expert_ffn), "expert width")
        }
        None => Ok(()),
    }
}

fn within<E: Objection>(field: &str, value: u32, least: u32, most: u32) -> Result<(), E> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(E::because(|| Error::OutOfRange {
        field: field.to_owned(),
        given: f64::from(value),
        min: f64::from(least),
        max: f64::from(most),
    }))
}

fn divides<E: Objection>(field: &str, given: u32, whole: u64, what: &str) -> Result<(), E> {
    if given > 0 && whole.is_multiple_of(u64::from(given)) {
        return Ok(());
    }
    Err(E::because(|| Error::Indivisible {
        field: field.to_owned(),
        given: u64::from(given),
        of: format!("{whole} {what}"),
        allowed: divisors(whole, 64),
    }))
}

/// Divisors of `whole` up to `most`.
fn divisors(whole: u64, most: u64) -> Vec<u64> {
    (1..=most.min(whole)).filter(|d| whole.is_multiple_of(*d)).collect()
}

fn multiples_near(given: u64, unit: u64) -> Vec<u64> {
    let below = given / unit * unit;
    [below, below + unit].into_iter().filter(|&m| m > 0).collect()
}
