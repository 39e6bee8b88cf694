//! What is trained and on what: everything of an estimate that does not depend on the layout, prepared once.

use super::constants::TrainingConstants;
use super::layout::Task;
use super::lora::Lora;
use super::offload::HOST_LINK_SHARE;
use super::software::{AttentionKernel, Software};
use super::stage::StageLayers;
use crate::catalog::{Gpu, GpuArchitecture};
use crate::error::{Error, check_range};
use crate::kernel::Device;
use crate::model::{Architecture, Precision, SmallParameter};
use crate::network::Topology;
use crate::quantity::{GIB, Interval, Warning};
use crate::residuals::{interval, measurements};

/// A training job on a kind of GPU and network, ready to be cut in any layout.
#[derive(Debug, Clone)]
pub struct Job {
    /// What is trained.
    pub architecture: Architecture,
    /// Numbers of the architecture as the formulas use them.
    pub sizes: Sizes,
    /// The GPU.
    pub device: Device,
    /// Its name.
    pub gpu: String,
    /// Bytes that software can allocate on it.
    pub memory_bytes: f64,
    /// The links.
    pub topology: Topology,
    /// What copies to and from the host's memory reach each way, bytes per second.
    pub host_bytes_per_s: f64,
    /// Tokens in a sequence.
    pub sequence: f64,
    /// Number format of the matrix products.
    pub precision: Precision,
    /// What is trained.
    pub task: Task,
    /// The adapters that are trained, where the task trains adapters.
    pub lora: Lora,
    /// Their parameters as a share of the model's: a search asks for it with every layout.
    pub adapters_share: f64,
    /// Dense peak of the precision, FLOP/s.
    pub peak: f64,
    /// What the software does.
    pub software: Software,
    /// The attention kernel in use.
    pub attention: AttentionKernel,
    /// Generation of the GPU.
    pub generation: GpuArchitecture,
    /// Share of the kernels' speed that a step sustains.
    pub sustained: f64,
    /// What a lower power limit leaves of it.
    pub power: f64,
    /// Fitted constants.
    pub constants: TrainingConstants,
    /// How far a step time may lie off, as ratios.
    pub interval: Interval,
    /// A warning where no published step with this GPU stands behind the constants.
    pub unmeasured: Option<Warning>,
}

/// Parameters by the part of the model that holds them, and FLOP per token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    /// Layers without experts.
    pub dense_layers: f64,
    /// Layers with experts.
    pub moe_layers: f64,
    /// Layers with attention; fewer than there are in a hybrid only.
    pub attention_layers: f64,
    /// Layers with a dense feed-forward part.
    pub dense_ffn_layers: f64,
    /// State-space layers.
    pub state_space_layers: f64,
    /// Attention parameters of a layer, norms included.
    pub attention: f64,
    /// Feed-forward parameters of a dense layer.
    pub dense_ffn: f64,
    /// Parameters of a layer with experts that every rank holds: router, shared experts and latent projections.
    pub moe_shared: f64,
    /// Parameters of a state-space layer.
    pub state_space: f64,
    /// Parameters of the routed experts of a layer.
    pub experts: f64,
    /// Parameters of multi-token prediction beside its routed experts; embedding and output projection are the model's.
    pub prediction_dense: f64,
    /// Parameters of its routed experts.
    pub prediction_experts: f64,
    /// Input embedding.
    pub embedding: f64,
    /// Output projection; 0 where it is the embedding.
    pub output: f64,
    /// Model FLOP of one token, forward and backward, attention causal.
    pub model_flop_per_token: f64,
    /// Of them, those of a forward pass through the layers.
    pub layers_forward_flop_per_token: f64,
}

impl Job {
    /// The job.
    ///
    /// # Errors
    /// `Unsupported` for a model or precision that cannot be priced, `OutOfRange` for an absurd sequence length.
    pub fn new(
        architecture: Architecture,
        gpu: &Gpu,
        topology: Topology,
        sequence_length: u32,
        precision: Precision,
        task: Task,
    ) -> Result<Self, Error> {
        check_range("sequence_length", f64::from(sequence_length), 1.0, 16_777_216.0)?;
        if let Some(feature) = &architecture.unsupported {
            return Err(Error::Unsupported {
                field: "model".to_owned(),
                given: architecture.name,
                reason: format!("training with {feature} is not priced yet"),
            });
        }
        if matches!(precision, Precision::Mxfp4 | Precision::Int8 | Precision::Int4) {
            return Err(Error::Unsupported {
                field: "precision".to_owned(),
                given: format!("{precision:?}").to_ascii_lowercase(),
                reason: "training needs a floating-point format; try bf16, fp16, fp8, fp8_blockwise, mxfp8 or nvfp4"
                    .to_owned(),
            });
        }
        refuse_format(gpu, precision)?;
        let constants = *TrainingConstants::embedded()?;
        let device = Device::new(gpu)?;
        let attention = usual_attention(&architecture);
        let sequence = f64::from(sequence_length);
        let mut sizes = Sizes::of(&architecture, sequence);
        sizes.model_flop_per_token = model_flop_per_token(&architecture, sequence, task);
        Ok(Self {
            sizes,
            peak: device.peak_flop_per_s("precision", precision)?,
            device,
            interval: interval("training", residuals(gpu, &architecture), 1.0),
            unmeasured: unmeasured(gpu),
            gpu: gpu.name.clone(),
            memory_bytes: gpu.memory_gib * GIB,
            topology,
            host_bytes_per_s: gpu.host_gb_per_s() * 1e9 * HOST_LINK_SHARE,
            sequence,
            precision,
            task,
            lora: Lora::default(),
            adapters_share: Lora::default().share(&architecture),
            software: Software::default(),
            attention,
            generation: gpu.architecture,
            sustained: constants.sustained(gpu.architecture) * power_share(gpu),
            power: power_share(gpu),
            constants,
            architecture,
        })
    }

    /// The same job under other constants: for fitting.
    #[must_use]
    pub fn with_constants(mut self, constants: &TrainingConstants) -> Self {
        self.sustained = constants.sustained(self.generation) * self.power;
        self.constants = *constants;
        self
    }

    /// The same job under other software.
    ///
    /// # Errors
    /// `Unsupported` for a kernel that the GPU does not have.
    pub fn with_software(mut self, software: Software) -> Result<Self, Error> {
        software.check(&self)?;
        self.software = software;
        self.attention = software.attention.unwrap_or_else(|| usual_attention(&self.architecture));
        Ok(self)
    }

    /// Whether attention keeps a probability for each score until its backward pass. Models with sinks do not, whatever their
    /// kernel: published steps of gpt-oss-120b with four sequences of 4,096 in a micro-batch ran on GPUs of 180 GiB, where
    /// those of its layers are 288 GiB.
    pub fn keeps_scores(&self) -> bool {
        self.attention == AttentionKernel::Unfused && !self.architecture.has(SmallParameter::AttentionSinks)
    }

    /// Whether matrix products run in 8 or 4 bits, so that operands are cast.
    pub fn casts(&self) -> bool {
        !matches!(self.precision, Precision::Bf16 | Precision::Fp16)
    }
}

/// The kernel that training runs where nobody says: fused, but for models with attention sinks ([`Software::attention`]).
fn usual_attention(model: &Architecture) -> AttentionKernel {
    if model.has(SmallParameter::AttentionSinks) { AttentionKernel::Unfused } else { AttentionKernel::Fused }
}

/// What a power limit below that of its generation's full part leaves of a GPU's clock under load: the cube root of the
/// watts that it has for a FLOP/s, for dynamic power goes with the clock and the square of a voltage that goes with the
/// clock too. Watts and TFLOP/s of the full parts are those of the datasheets of A100, H100, B200 and B300 (SXM).
fn power_share(gpu: &Gpu) -> f64 {
    let full = match gpu.architecture {
        GpuArchitecture::Ampere => 400.0 / 312.0,
        GpuArchitecture::Hopper => 700.0 / 989.0,
        GpuArchitecture::Blackwell => 1000.0 / 2250.0,
        GpuArchitecture::BlackwellUltra => 1100.0 / 2250.0,
        _ => return 1.0,
    };
    let has = gpu.tdp_watts / gpu.bf16_tflops.unwrap_or(gpu.fp16_tflops);
    libm::cbrt(has / full).min(1.0)
}

/// Microscaled 8 bits need units of Blackwell or CDNA 4, NVFP4 those of NVIDIA: others would run another format under its
/// name.
fn refuse_format(gpu: &Gpu, precision: Precision) -> Result<(), Error> {
    use GpuArchitecture as A;
    let reason = match precision {
        Precision::Mxfp8 if !matches!(gpu.architecture, A::Blackwell | A::BlackwellUltra | A::Cdna4) => {
            "its scales of 32 numbers need units of Blackwell or CDNA 4; try fp8 or fp8_blockwise"
        }
        Precision::Nvfp4 if matches!(gpu.architecture, A::Cdna3 | A::Cdna4) => {
            "it is a format of NVIDIA's units; try mxfp8 or fp8"
        }
        _ => return Ok(()),
    };
    Err(Error::Unsupported {
        field: "precision".to_owned(),
        given: format!("{precision:?}").to_ascii_lowercase(),
        reason: format!("{} has no such units: {reason}", gpu.name),
    })
}

fn unmeasured(gpu: &Gpu) -> Option<Warning> {
    let text = format!("no published training step with {}: its efficiency is assumed", gpu.name);
    (measurements("training", &gpu.name) == 0).then(|| Warning::new("unmeasured_gpu", &gpu.name, text))
}

/// Which published steps an interval rests on.
fn residuals(gpu: &Gpu, architecture: &Architecture) -> &'static str {
    if measurements("training", &gpu.name) == 0 {
        "step time on a GPU that no fit has seen"
    } else if architecture.moe.is_some() {
        "step time of models with experts"
    } else {
        "step time of dense models"
    }
}

/// Model FLOP of one token, forward and backward, attention causal. Frozen weights need no weight gradients: 4 of the 6
/// FLOP per parameter; attention counts in full.
pub fn model_flop_per_token(model: &Architecture, sequence: f64, task: Task) -> f64 {
    let all = model.training_flop_per_token(sequence);
    match task {
        Task::Pretrain | Task::FineTune => all,
        Task::Lora => all - 2.0 * model.matrix_parameters_per_token(),
    }
}

impl Sizes {
    fn of(model: &Architecture, sequence: f64) -> Self {
        // Layers of a hybrid are no pairs: each kind has one normalisation of its own.
        let hybrid = model.state_space.is_some();
        let norm = f64::from(model.hidden);
        let own_norm = if hybrid { norm } else { 0.0 };
        let experts = model.moe.map_or(0.0, |moe| f64::from(moe.experts)) * model.expert_parameters();
        let prediction_experts = f64::from(model.mtp_layers) * experts;
        Self {
            dense_layers: f64::from(model.layers.saturating_sub(model.moe_layers())),
            moe_layers: f64::from(model.moe_layers()),
            attention_layers: f64::from(model.attention_layers()),
            dense_ffn_layers: f64::from(model.dense_layers()),
            state_space_layers: f64::from(model.state_space_layers()),
            attention: model.attention_parameters() + if hybrid { norm } else { 2.0 * norm },
            dense_ffn: model.dense_ffn_parameters() + own_norm,
            moe_shared: model.router_parameters()
                + model.shared_expert_parameters()
                + model.latent_projection_parameters()
                + own_norm,
            state_space: model.state_space_parameters() + own_norm,
            experts,
            prediction_dense: model.mtp_parameters() - prediction_experts,
            prediction_experts,
            embedding: model.embedding_parameters(),
            output: model.output_parameters(),
            model_flop_per_token: model.training_flop_per_token(sequence),
            layers_forward_flop_per_token: model.training_flop_per_token(sequence) / 3.0
                - 2.0 * (1.0 + model.mtp_runs()) * model.output_matrix_parameters(),
        }
    }

    /// Parameters of all layers that tensor parallel ranks cut.
    pub fn dense_parameters(&self) -> f64 {
        self.dense_parameters_of(&StageLayers { dense: self.dense_layers, expert: self.moe_layers })
    }

    /// Those of a stage's layers; of a hybrid, of its mean layers.
    pub(crate) fn dense_parameters_of(&self, layers: &StageLayers) -> f64 {
        let without = self.dense_layers.max(1.0);
        let attention_without = (self.attention_layers - self.attention_with_experts()) / without;
        layers.dense
            * (attention_without * self.attention
                + (self.dense_ffn_layers * self.dense_ffn + self.state_space_layers * self.state_space)
                    / without)
            + layers.expert
                * (self.attention_with_experts() / self.moe_layers.max(1.0) * self.attention
                    + self.moe_shared)
    }

    /// Layers that have both attention and experts: none in a hybrid, whose layers are one of the two.
    fn attention_with_experts(&self) -> f64 {
        (self.attention_layers + self.moe_layers - self.layers()).max(0.0)
    }

    /// Layers in all.
    pub fn layers(&self) -> f64 {
        self.dense_layers + self.moe_layers
    }
}
