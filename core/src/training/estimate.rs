//! The calls: one explicit layout, or the best ones.

use super::check::data_parallel;
use super::job::Job;
use super::layer::{Sent, Volume};
use super::layout::Layout;
use super::ledger::{Ledger, Told};
use super::report::{
    Dimension, DimensionTraffic, LayoutPoint, LayoutSearch, LayoutSearchRequest, StepParts, TrainingMemory,
    TrainingStep, TrainingStepRequest,
};
use super::search::{Searcher, Wanted};
use super::state_space;
use super::step::{Busy, Cut, Estimate, Layers, estimate};
use crate::catalog::{Catalog, Target};
use crate::error::Error;
use crate::network::CollectiveOp;
use crate::quantity::{Interval, Warning, count};

/// Time, memory and traffic of one optimiser step in one explicit layout.
///
/// # Errors
/// An unknown model, shape or GPU; a layout that does not divide; a precision the GPU has no units for; a group that
/// needs a network which the shape does not have; conditions that the network does not know.
pub fn training_step(catalog: &Catalog, request: &TrainingStepRequest) -> Result<TrainingStep, Error> {
    let catalog = &*catalog.with_overlay(request.overlay.as_ref())?;
    let target = catalog.target(request.shape.as_deref(), request.gpu.as_deref(), None)?;
    let model = catalog.resolve_model("model", &request.model)?;
    let topology = request.network.on(target.topology).map_err(|error| error.within("network"))?;
    let job =
        Job::new(model, target.gpu, topology, request.sequence_length, request.precision, request.task)?
            .with_software(request.software)?
            .with_lora(request.lora)?;
    let price = if request.explain { explained_step } else { step };
    let mut answer = price(&job, &request.layout, request.gpus)?;
    if !answer.memory.fits {
        let TrainingMemory { total_gib, available_gib, .. } = answer.memory;
        answer.warnings.push(Warning::new(
            "does_not_fit",
            "memory",
            format!(
                "the fullest GPU needs {total_gib:.0} GiB of the {available_gib:.1} GiB of a {}: times are those of a GPU \
                 that had them",
                answer.gpu
            ),
        ));
    }
    answer.warnings.extend(assumed(&target));
    answer.warnings.extend(host_memory(&target, answer.memory.host_gib));
    answer.warnings.extend(catalog.past_context(LENGTH, &request.model, f64::from(request.sequence_length)));
    Ok(answer)
}

/// The field of a sequence's tokens.
const LENGTH: &str = "sequence_length";

/// The warning that a node of a cloud's shape has less memory than its GPUs offload.
fn host_memory(target: &Target<'_>, gib_per_gpu: f64) -> Option<Warning> {
    let shape = target.shape?;
    let needed = gib_per_gpu * f64::from(shape.gpus_per_node);
    let has = shape.host_memory_gib.filter(|&has| needed > has)?;
    let text = format!(
        "a node of {} needs {needed:.0} GiB of host memory for what is offloaded and has {has:.0} GiB",
        shape.name
    );
    Some(Warning::new("host_memory", "layout.offload", text))
}

/// The best layouts of a job on so many GPUs, over all dimensions.
///
/// # Errors
/// As [`training_step`]; GPUs that no layout cuts. "Nothing fits" is an answer.
pub fn search_layouts(catalog: &Catalog, request: &LayoutSearchRequest) -> Result<LayoutSearch, Error> {
    let catalog = &*catalog.with_overlay(request.overlay.as_ref())?;
    let target = catalog.target(request.shape.as_deref(), request.gpu.as_deref(), None)?;
    let model = catalog.resolve_model("model", &request.model)?;
    let topology = request.network.on(target.topology).map_err(|error| error.within("network"))?;
    let job =
        Job::new(model, target.gpu, topology, request.sequence_length, request.precision, request.task)?
            .with_software(request.software)?
            .with_lora(request.lora)?;
    if request.schedules.is_empty() {
        return Err(Error::MissingField {
            field: "schedules".to_owned(),
            expected: "at least one of one_forward_one_backward, zero_bubble and dual_pipe".to_owned(),
        });
    }
    let wanted = Wanted {
        best: request.best as usize,
        seconds: f64::INFINITY,
        front: true,
        schedules: &request.schedules,
    };
    let found = Searcher::new(&job).find(request.gpus, request.global_batch, &wanted)?;
    if found.considered == 0 {
        let (gpus, batch) = (request.gpus, request.global_batch);
        return Err(Error::Conflict {
            field: "gpus".to_owned(),
            message: format!(
                "no layout of {} is legal: data parallel ranks share {}, pipeline stages {}, tensor ranks {}; try whole \
                 nodes with fewer odd factors, or a batch of more sequences",
                count(gpus, "GPU"),
                count(batch, "sequence"),
                count(job.architecture.layers, "layer"),
                count(job.architecture.heads, "head")
            ),
        });
    }
    let report = |layout: &Layout| {
        let mut answer = step(&job, layout, request.gpus)?;
        answer.warnings.extend(assumed(&target));
        let tokens = f64::from(request.sequence_length);
        answer.warnings.extend(catalog.past_context(LENGTH, &request.model, tokens));
        Ok(answer)
    };
    Ok(LayoutSearch {
        best: found.best.iter().map(report).collect::<Result<_, Error>>()?,
        considered: found.considered,
        fitting: found.fitting,
        nearest: found.nearest.as_ref().map(report).transpose()?,
        front: found
            .front
            .iter()
            .map(|layout| {
                let TrainingStep { layout, step_seconds, memory, bound_by, .. } =
                    step(&job, layout, request.gpus)?;
                Ok(LayoutPoint { layout, step_seconds, memory_gib: memory.total_gib, bound_by })
            })
            .collect::<Result<_, Error>>()?,
    })
}

fn assumed(target: &Target<'_>) -> Vec<Warning> {
    let about = &target.gpu.name;
    target.assumed.iter().map(|text| Warning::new("assumed", about, text.clone())).collect()
}

/// The report of one layout of a prepared job.
///
/// # Errors
/// A layout that does not divide, or a group that needs a network which is not there.
pub fn step(job: &Job, layout: &Layout, gpus: u32) -> Result<TrainingStep, Error> {
    priced::<()>(job, layout, gpus)
}

/// [`step`] with its `operations`.
///
/// # Errors
/// As [`step`].
pub fn explained_step(job: &Job, layout: &Layout, gpus: u32) -> Result<TrainingStep, Error> {
    priced::<Told>(job, layout, gpus)
}

fn priced<L: Ledger>(job: &Job, layout: &Layout, gpus: u32) -> Result<TrainingStep, Error> {
    let dp = data_parallel::<Error>(job, layout, gpus)?;
    let cut = Cut::new(job, layout, dp);
    let no_network = || Error::Conflict {
        field: "layout".to_owned(),
        message: format!(
            "a parallel group of this layout leaves its scale-up domain of {} GPUs, and no network between nodes is known \
             here",
            job.topology.scale_up_domain
        ),
    };
    let layers = Layers::<L>::new(job, &cut.layer).ok_or_else(no_network)?;
    let estimate = estimate(job, &cut, &layers).ok_or_else(no_network)?;
    Ok(report(job, layout, gpus, &cut, &layers, estimate))
}

fn report<L: Ledger>(
    job: &Job,
    layout: &Layout,
    gpus: u32,
    cut: &Cut,
    layers: &Layers<L>,
    estimate: Estimate<L>,
) -> TrainingStep {
    let tokens = f64::from(layout.global_batch) * job.sequence;
    let seconds = estimate.step.seconds;
    let per_gpu = tokens / seconds / f64::from(gpus);
    let model_flop = per_gpu * job.sizes.model_flop_per_token;
    let traffic = traffic(job, cut, layers, &estimate);
    // From 0: the empty sum of floats is −0.
    let sum = |bytes: fn(&DimensionTraffic) -> f64| traffic.iter().map(bytes).fold(0.0, |a, b| a + b);
    // Recompute adds of a forward pass through the layers.
    let again = estimate.recomputed_share * job.sizes.layers_forward_flop_per_token;
    let recomputed = 1.0 + again / job.sizes.model_flop_per_token;
    TrainingStep {
        layout: Layout { dp: Some(cut.dp), ..*layout },
        gpu: job.gpu.clone(),
        gpus,
        step_seconds: seconds,
        interval: Interval {
            low: seconds * job.interval.low,
            high: seconds * job.interval.high,
            ..job.interval.clone()
        },
        tokens_per_second: tokens / seconds,
        tokens_per_second_per_gpu: per_gpu,
        model_tflops_per_gpu: model_flop / 1e12,
        mfu: model_flop / job.peak,
        hfu: model_flop * recomputed / job.peak,
        scale_up_bytes: sum(|t| t.scale_up_bytes),
        fabric_bytes: sum(|t| t.fabric_bytes),
        exposed_share: estimate.step.parts.communication() / seconds,
        bound_by: bound_by(&estimate.step.parts).to_owned(),
        parts: estimate.step.parts,
        memory: estimate.memory,
        warnings: job
            .unmeasured
            .iter()
            .chain(&job.architecture.notes)
            .cloned()
            .chain(state_space::mean_stages(job, layout))
            .collect(),
        traffic,
        operations: estimate.step.told.operations(job),
    }
}

/// The largest part beyond computing, if it takes a tenth of the step; else computing.
fn bound_by(parts: &StepParts) -> &'static str {
    let named = [
        (parts.bubble_seconds, "pipeline bubble"),
        (parts.tensor_parallel_seconds, "tensor parallel communication"),
        (parts.expert_parallel_seconds, "expert exchange"),
        (parts.context_parallel_seconds, "context parallel communication"),
        (parts.data_parallel_seconds, "gradient and weight exchange"),
        (parts.pipeline_seconds, "pipeline sends"),
        (parts.recompute_seconds, "recompute"),
        (parts.memory_bound_seconds, "memory bandwidth"),
        (parts.overhead_seconds, "launches and stragglers"),
        (parts.optimizer_seconds, "optimiser"),
        (parts.offload_seconds, "copies to and from the host"),
    ];
    let (seconds, name) =
        named.into_iter().fold((0.0, "compute"), |best, part| if part.0 > best.0 { part } else { best });
    if seconds > parts.compute_seconds
        || seconds > 0.1 * parts.sum() && seconds > 0.25 * parts.compute_seconds
    {
        name
    } else {
        "compute"
    }
}

/// Traffic of one GPU by dimension; dimensions without traffic are left out.
fn traffic<L: Ledger>(
    job: &Job,
    cut: &Cut,
    layers: &Layers<L>,
    estimate: &Estimate<L>,
) -> Vec<DimensionTraffic> {
    let m = cut.pipeline.micro_batches;
    let Cut { layer, .. } = cut;
    let sent = sent_in_layers(job, cut, layers, &estimate.step.busy);
    let in_layer = |dimension, op, ranks: u32, sent: &Volume, exposed: f64| {
        (sent.messages > 0.0).then(|| DimensionTraffic {
            dimension,
            op,
            algorithm: sent.algorithm,
            ranks,
            message_bytes: sent.message_bytes,
            messages: sent.messages,
            scale_up_bytes: sent.scale_up,
            fabric_bytes: sent.scale_out,
            busbw_gb_per_s: busbw(op, sent.message_bytes, ranks, sent.message_seconds),
            seconds: sent.messages * sent.message_seconds,
            exposed_seconds: exposed,
        })
    };
    let tensor_op = if layer.sequence_parallel { CollectiveOp::AllGather } else { CollectiveOp::AllReduce };
    let experts = layer.ep.saturating_mul(layer.expert_tp);
    let parts = &estimate.step.parts;
    let mut out = Vec::with_capacity(5);
    let (tensor, context, expert) =
        (parts.tensor_parallel_seconds, parts.context_parallel_seconds, parts.expert_parallel_seconds);
    let in_layers = [
        in_layer(Dimension::Tensor, tensor_op, layer.tp, &sent.tensor, tensor),
        in_layer(Dimension::Context, CollectiveOp::AllGather, layer.cp, &sent.context, context),
        in_layer(Dimension::Expert, CollectiveOp::AllToAll, experts, &sent.expert, expert),
    ];
    out.extend(in_layers.into_iter().flatten());
    if let Some((time, bytes)) = estimate.step.message {
        let messages = 2.0 * cut.pipeline.virtual_stages * m;
        out.push(DimensionTraffic {
            dimension: Dimension::Pipeline,
            op: CollectiveOp::SendRecv,
            algorithm: time.algorithm,
            ranks: 2,
            message_bytes: bytes,
            messages,
            scale_up_bytes: time.scale_up_bytes * messages,
            fabric_bytes: time.scale_out_bytes * messages,
            busbw_gb_per_s: busbw(CollectiveOp::SendRecv, bytes, 2, time.seconds),
            seconds: estimate.step.pipeline_send_seconds,
            exposed_seconds: parts.pipeline_seconds,
        });
    }
    let data = &estimate.step.data;
    if data.messages > 0.0 {
        let op = match cut.zero {
            0 => CollectiveOp::AllReduce,
            1 | 2 => CollectiveOp::ReduceScatter,
            _ => CollectiveOp::AllGather,
        };
        let ranks = cut.dp.saturating_mul(layer.cp);
        out.push(DimensionTraffic {
            dimension: Dimension::Data,
            op,
            algorithm: data.algorithm,
            ranks,
            message_bytes: data.message_bytes,
            messages: data.messages,
            scale_up_bytes: data.scale_up_bytes,
            fabric_bytes: data.scale_out_bytes,
            busbw_gb_per_s: busbw(op, data.message_bytes, ranks, data.message_seconds),
            seconds: data.seconds,
            exposed_seconds: data.exposed_seconds,
        });
    }
    out
}

/// What the layers of the busiest stage send in a step, multi-token prediction included.
fn sent_in_layers<L: Ledger>(job: &Job, cut: &Cut, layers: &Layers<L>, busy: &[Busy; 2]) -> Sent {
    let m = cut.pipeline.micro_batches;
    let mut total = Sent::default();
    for Busy { layers: held, redone_share, predictions } in busy {
        // A prediction runs a layer of the last kind too.
        let (dense, expert) = if job.sizes.moe_layers > 0.0 {
            (held.dense, held.expert + predictions)
        } else {
            (held.dense + predictions, held.expert)
        };
        for (work, some) in
            [(&layers.dense, dense), (&layers.expert, expert), (&layers.prediction, *predictions)]
        {
            if some <= 0.0 {
                continue;
            }
            let one = work.sent(cut.recompute, cut.recompute_parts, *redone_share);
            total.tensor = total.tensor.and(&one.tensor.scaled(some * m));
            total.context = total.context.and(&one.context.scaled(some * m));
            total.expert = total.expert.and(&one.expert.scaled(some * m));
        }
    }
    total
}

/// Bus bandwidth as nccl-tests defines it, GB/s.
fn busbw(op: CollectiveOp, bytes: f64, ranks: u32, seconds: f64) -> f64 {
    op.busbw_gb_per_s(bytes, ranks, seconds)
}
