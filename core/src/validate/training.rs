//! Training: a table of published steps with their layouts.

use super::{Line, Table, ValidationReport, ValidationRow};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::{Architecture, Precision};
use crate::training::{
    AttentionKernel, Job, Layout, Lora, LoraTargets, Offload, PipelineSchedule, Recompute, RecomputeParts,
    Software, Task, TrainingStep, step,
};

/// Columns that a table of training steps must have.
pub const COLUMNS: [&str; 12] = [
    "id",
    "model",
    "task",
    "seq_len",
    "gpu",
    "gpus",
    "precision",
    "tp",
    "pp",
    "micro_batch",
    "global_batch",
    "step_time_s",
];

/// The report on a table of training steps: step time, peak memory where it is printed, and whether the layout fits.
///
/// # Errors
/// As [`rows`].
pub fn validate(catalog: &Catalog, csv: &str, by: Option<&str>) -> Result<ValidationReport, Error> {
    rows(catalog, csv, by).map(ValidationReport::new)
}

/// The rows of a table, each with the step time, the peak memory where it is printed, and whether the layout fits.
///
/// # Errors
/// A missing column or a cell that is no number. A row that cannot be priced is refused in its own line instead.
pub fn rows(catalog: &Catalog, csv: &str, by: Option<&str>) -> Result<Vec<ValidationRow>, Error> {
    let table = Table::read(csv, &COLUMNS)?;
    if let Some(column) = by {
        table.check_column("by", column)?;
    }
    let mut out = Vec::new();
    for line in table.lines() {
        let id = line.need("id")?.to_owned();
        let weight = line.number("weight", 0.0, 1e9)?.unwrap_or(1.0);
        let group = by.map(|column| line.text(column).unwrap_or("").to_owned());
        let seconds = line.number("step_time_s", 0.0, 1e9)?;
        let memory = line.number("peak_mem_gib", 0.0, 1e6)?;
        let answer = predicted(catalog, &line);
        let row = |quantity: &str, measured: Option<f64>, predicted: Option<f64>| ValidationRow {
            id: id.clone(),
            quantity: quantity.to_owned(),
            measured,
            predicted: predicted.filter(|_| measured.is_some()),
            refused: match (&answer, measured) {
                (_, None) => Some("the row prints no step time".to_owned()),
                (Err(why), _) => Some(why.to_string()),
                _ => None,
            },
            group: group.clone(),
            weight,
        };
        let step = answer.as_ref().ok();
        out.push(row("step_seconds", seconds, step.map(|s| s.step_seconds)));
        if seconds.is_some() {
            out.push(row("fits", Some(1.0), step.map(|s| f64::from(u8::from(s.memory.fits)))));
        }
        if memory.is_some() {
            out.push(row("peak_memory_gib", memory, step.map(|s| s.memory.total_gib)));
        }
    }
    Ok(out)
}

/// Our estimate of the step in one line.
fn predicted(catalog: &Catalog, line: &Line<'_>) -> Result<TrainingStep, Error> {
    let case = Case::read(catalog, line)?;
    case.answer(&case.job)
}

/// One line as a question.
pub struct Case {
    /// What is trained and on what.
    pub job: Job,
    /// How it is cut, recompute apart.
    pub layout: Layout,
    /// Recompute, where the source prints it.
    pub recompute: Option<Recompute>,
    /// GPUs.
    pub gpus: u32,
}

impl Case {
    /// The step under `job`: the case's own, or the same under other constants.
    ///
    /// A source that does not print its recompute is read as using the least with which the layout fits: nothing, the usual
    /// parts of each layer, or so many whole layers.
    ///
    /// # Errors
    /// As [`step`].
    pub fn answer(&self, job: &Job) -> Result<TrainingStep, Error> {
        let under = |recompute, recompute_layers| {
            step(job, &Layout { recompute, recompute_layers, ..self.layout }, self.gpus)
        };
        if let Some(stated) = self.recompute {
            return under(stated, self.layout.recompute_layers);
        }
        for recompute in [Recompute::None, Recompute::Selective] {
            let found = under(recompute, None)?;
            if found.memory.fits {
                return Ok(found);
            }
        }
        // Memory falls with every layer more: the fewest lie between one too few and one that is enough.
        let stages = (self.layout.pp * self.layout.vp).max(1);
        let (mut few, mut enough) = (0, job.architecture.layers.div_ceil(stages) * self.layout.vp);
        while enough - few > 1 {
            let middle = u32::midpoint(few, enough);
            match under(Recompute::Full, Some(middle)) {
                Ok(found) if found.memory.fits => enough = middle,
                _ => few = middle,
            }
        }
        under(Recompute::Full, Some(enough))
    }

    /// The question in one line.
    ///
    /// # Errors
    /// What is missing, unknown or not priced.
    pub fn read(catalog: &Catalog, line: &Line<'_>) -> Result<Self, Error> {
        let count = |column: &str| line.count(column, 1, 1 << 24);
        let stated =
            |column: &str| count(column)?.ok_or_else(|| refused(column, "the source does not state it"));
        let gpu = catalog
            .gpu("gpu", line.text("gpu").ok_or_else(|| refused("gpu", "the source does not state it"))?)?;
        let per_node = count("gpus_per_node")?.unwrap_or(8);
        let topology = catalog.topology_of_gpu(gpu, per_node, None)?.topology;
        let architecture = architecture(catalog, line)?;
        let job = Job::new(
            architecture,
            gpu,
            topology,
            stated("seq_len")?,
            precision(line)?,
            match line.text("task") {
                Some("lora") => Task::Lora,
                Some("sft") => Task::FineTune,
                _ => Task::Pretrain,
            },
        )?;
        let job = job.with_software(software(line)?)?.with_lora(lora(line)?)?;
        let sharding = line.text("sharding").unwrap_or("");
        let dp = count("dp")?;
        let cp = count("cp")?.unwrap_or(1);
        let layout = Layout {
            tp: stated("tp")?,
            sequence_parallel: line.text("seq_parallel") != Some("0"),
            pp: stated("pp")?,
            vp: count("vp")?.unwrap_or(1),
            schedule: PipelineSchedule::OneForwardOneBackward,
            dp,
            cp,
            ep: count("ep")?.unwrap_or(1),
            expert_tp: count("expert_tp")?,
            micro_batch: stated("micro_batch")?,
            global_batch: stated("global_batch")?,
            recompute: Recompute::None,
            recompute_layers: count("recompute_layers")?,
            recompute_parts: recompute_parts(line)?,
            offload: offload(line)?,
            zero: zero_stage(sharding),
            shard_group: shard_group(sharding).filter(|group| dp.is_some_and(|dp| dp * cp > *group)),
        };
        let recompute = recompute(line)?;
        Ok(Self { job, layout, recompute, gpus: stated("gpus")? })
    }
}

/// The recompute mode, where the source prints it.
fn recompute(line: &Line<'_>) -> Result<Option<Recompute>, Error> {
    Ok(match line.text("recompute") {
        None => None,
        Some("none") => Some(Recompute::None),
        Some("selective") => Some(Recompute::Selective),
        Some("full") => Some(Recompute::Full),
        Some(other) => {
            let reason =
                format!("{other} is none of none, selective and full; how many layers: recompute_layers");
            return Err(refused("recompute", &reason));
        }
    })
}

/// The parts done again, by Megatron-Core's names of `recompute_modules`, joined by `+`.
fn recompute_parts(line: &Line<'_>) -> Result<Option<RecomputeParts>, Error> {
    let mut parts = RecomputeParts::default();
    // JAX: everything but the projections of queries, keys and values; the last product of a layer feeds nothing in its
    // backward pass, so that the compiler drops it.
    if line.text("recompute_detail") == Some("remat policy save_qkv_proj") {
        (parts.norms, parts.attention_output) = (true, true);
        (parts.feed_forward_up, parts.activations) = (true, true);
        return Ok(Some(parts));
    }
    let Some(names) = line.text("recompute_parts") else { return Ok(None) };
    for name in names.split('+') {
        *match name.trim() {
            "layernorm" => &mut parts.norms,
            "core_attn" => &mut parts.core_attention,
            "mla_up_proj" => &mut parts.latent_projections,
            "moe_act" => &mut parts.expert_activations,
            "mlp" => &mut parts.feed_forward,
            "shared_experts" => &mut parts.shared_experts,
            "moe" => &mut parts.experts,
            other => return Err(refused("recompute_parts", &format!("{other} is not known"))),
        } = true;
    }
    Ok(Some(parts))
}

/// What a row keeps in the host's memory: layers of activations.
fn offload(line: &Line<'_>) -> Result<Offload, Error> {
    let activation_layers = line.count("offload_layers", 1, 1 << 16)?.unwrap_or(0);
    match line.text("offload") {
        Some(words) if activation_layers == 0 => {
            Err(refused("offload", &format!("{words}: offload_layers does not say how many layers")))
        }
        _ => Ok(Offload { activation_layers, optimizer: false }),
    }
}

/// What a row says of its software; columns that a table does not have say nothing.
fn software(line: &Line<'_>) -> Result<Software, Error> {
    let yes = |column: &str| line.text(column) == Some("1");
    Ok(Software {
        attention: match line.text("attention") {
            None => None,
            Some("fused") => Some(AttentionKernel::Fused),
            Some("fused_fp8") => Some(AttentionKernel::FusedFp8),
            Some("flash2") => Some(AttentionKernel::Flash2),
            Some("flash_triton") => Some(AttentionKernel::FlashTriton),
            Some("unfused") => Some(AttentionKernel::Unfused),
            Some(other) => return Err(refused("attention", &format!("{other} is not known"))),
        },
        // `partial` leaves the experts out.
        captured: line.text("capture") == Some("step"),
        expert_overlap: yes("expert_overlap"),
        expert_all_to_all: yes("expert_all_to_all"),
        fused_experts: yes("fused_experts"),
        tensor_overlap: line.text("tensor_overlap") != Some("0"),
        tensor_tiles: yes("tensor_tiles"),
        // torchtitan casts with row-wise scales after it has gathered.
        cast_after_gather: line.text("precision") == Some("fp8-rowwise"),
        context_gather: yes("context_gather"),
        fp8_weight_gather: yes("fp8_weight_gather"),
        fused_elementwise: line.text("fused_elementwise") != Some("0"),
    })
}

/// The matrices that adapters stand beside, where the source says so.
fn lora(line: &Line<'_>) -> Result<Option<Lora>, Error> {
    let targets = match line.text("lora_targets") {
        None => return Ok(None),
        Some("all") => LoraTargets::All,
        Some("attention") => LoraTargets::Attention,
        Some(other) => return Err(refused("lora_targets", &format!("{other} is neither all nor attention"))),
    };
    Ok(Some(Lora { targets, ..Lora::default() }))
}

fn refused(field: &str, reason: &str) -> Error {
    Error::Conflict { field: field.to_owned(), message: reason.to_owned() }
}

/// The named model, with what the row itself states: fewer layers in proxies, and benchmark models that no preset has.
fn architecture(catalog: &Catalog, line: &Line<'_>) -> Result<Architecture, Error> {
    let name = line.text("model").ok_or_else(|| refused("model", "the source does not state it"))?;
    let mut model = catalog.model("model", name)?.architecture.clone();
    let set = |field: &mut u32, column: &str| -> Result<(), Error> {
        if let Some(value) = line.count(column, 0, 1 << 24)? {
            *field = value;
        }
        Ok(())
    };
    set(&mut model.layers, "layers")?;
    set(&mut model.vocab, "vocab")?;
    if let Some(moe) = &mut model.moe {
        moe.dense_layers = moe.dense_layers.min(model.layers);
    }
    Ok(model)
}

fn precision(line: &Line<'_>) -> Result<Precision, Error> {
    Ok(match line.text("precision") {
        Some("bf16") => Precision::Bf16,
        Some("fp16") => Precision::Fp16,
        Some("fp8" | "fp8-rowwise") => Precision::Fp8,
        Some("fp8-blockwise") => Precision::Fp8Blockwise,
        Some("mxfp8") => Precision::Mxfp8,
        Some("nvfp4") => Precision::Nvfp4,
        Some(other) => return Err(refused("precision", &format!("{other} is not known"))),
        None => return Err(refused("precision", "the source does not state it")),
    })
}

/// The ZeRO stage in the words of a source; unstated is 1, Megatron-Core's distributed optimiser.
fn zero_stage(words: &str) -> u8 {
    let any = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if any(&["SHARD_GRAD_OP", "parameters not resharded"]) {
        2
    } else if any(&["FSDP", "ZeRO-3", "fully sharded"]) {
        3
    } else if any(&["no optimizer sharding", "none"]) {
        0
    } else {
        1
    }
}

fn shard_group(words: &str) -> Option<u32> {
    words.rsplit_once("group ").and_then(|(_, number)| number.trim().parse().ok()).filter(|&n| n > 0)
}
