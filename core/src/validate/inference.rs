//! Serving: a table of published throughputs and latencies of inference engines.

use crate::catalog::{Catalog, Gpu};
use crate::error::Error;
use crate::inference::{
    Engine, EngineClass, EngineConstants, Engines, GraphSizes, ReplicaLoad, ServingLayout, ServingModel,
    ServingTarget,
};
use crate::model::{Architecture, Precision};
use crate::network::Topology;

use super::{Line, Table, ValidationReport, ValidationRow};

/// Columns that a table of serving measurements must have.
///
/// `load` is one of `offline_max`, `burst_all_at_once`, `closed_loop`, `poisson`, `static_batch`, `prefill_only`,
/// `decode_only`. Lengths are `isl` and `osl`, layouts `tp`, `pp`, `ep`, `attn_dp`, `redundant_experts`, `replicas`. Of
/// `out_tok_s`, `total_tok_s`, `tpot_mean_ms` and `ttft_mean_ms` those that are there are compared. What a run sets itself:
/// `chunk_tokens`, `max_sequences`, `poll_iterations`, `gather_iterations`, `host_weights` (1: what of the weights does not
/// fit comes from the host in time), `dense_prec` (format of the products beside the experts), `decode_graphs` (0: the host starts the kernels of decode iterations too), `graph_sizes` (batches captured as graphs, in rising order, apart by blanks: others are padded to the next), `expert_scv` (squared coefficient of variation of how often the
/// experts are sought; 0 where a run simulates even routing), `fused_sums` (1:
/// all-reduce and the product before it are one kernel), `in_process` (1: the load generator hands token ids to the engine in its own
/// process, so that no request passes a server and a tokeniser); spreads of its lengths: `isl_scv`, `osl_scv`.
pub const COLUMNS: [&str; 8] = ["id", "model", "gpu", "n_gpus", "w_prec", "isl", "osl", "load"];

/// Our predictions beside the measurements of a table, with statistics; rows count by `weight` if there is one.
///
/// Quantities: `output_tokens_per_second` and, of prefill alone, `input_tokens_per_second` (all GPUs), `tpot_seconds`,
/// `ttft_seconds`; the last two with `_near_saturation` where requests come at random at more than 95 % of the rate that we
/// take as sustainable. `by` names a column whose values get statistics of their own.
///
/// # Errors
/// A missing column, a cell that is not what its column holds, a `by` that is no column. A row that cannot be
/// predicted is no error: it says why.
pub fn validate(catalog: &Catalog, csv: &str, by: Option<&str>) -> Result<ValidationReport, Error> {
    let table = Table::read(csv, &COLUMNS)?;
    if let Some(column) = by {
        table.check_column("by", column)?;
    }
    let mut rows = Vec::new();
    for line in table.lines() {
        let row = Row::read(&line)?;
        let group = by.map(|column| line.text(column).unwrap_or("").to_owned());
        let predicted =
            row.prepare(catalog).and_then(|p| p.predict(Engines::shipped()).map(|x| (x, p.left_out())));
        for quantity in Quantity::ALL {
            let Some(measured) = row.measured(quantity) else { continue };
            let mut out = ValidationRow {
                id: row.id.clone(),
                quantity: quantity.name().to_owned(),
                measured: Some(measured),
                predicted: None,
                refused: None,
                group: group.clone(),
                weight: row.weight,
            };
            match &predicted {
                Ok((prediction, left_out)) => {
                    if prediction.near_saturation() && matches!(quantity, Quantity::Tpot | Quantity::Ttft) {
                        out.quantity.push_str("_near_saturation");
                    }
                    match (left_out, prediction.of(quantity)) {
                        (Some(why), _) if quantity == Quantity::Output => {
                            out.measured = None;
                            out.refused = Some((*why).to_owned());
                        }
                        (_, Some(value)) => out.predicted = Some(value),
                        (_, None) => {
                            out.measured = None;
                            out.refused =
                                Some(format!("{} of this load is queueing, not service", quantity.name()));
                        }
                    }
                }
                Err(why) => out.refused = Some(why.clone()),
            }
            rows.push(out);
        }
    }
    Ok(ValidationReport::new(rows))
}

/// What can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Output tokens per second of all GPUs.
    Output,
    /// Input tokens per second of all GPUs, prefill alone.
    Input,
    /// Mean time per output token, seconds.
    Tpot,
    /// Mean time to first token, seconds.
    Ttft,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Output, Self::Input, Self::Tpot, Self::Ttft];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Output => "output_tokens_per_second",
            Self::Input => "input_tokens_per_second",
            Self::Tpot => "tpot_seconds",
            Self::Ttft => "ttft_seconds",
        }
    }
}

/// What we predict for a row; none where the load does not define it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Prediction {
    output: Option<f64>,
    input: Option<f64>,
    tpot: Option<f64>,
    ttft: Option<f64>,
    /// Share of the sustainable rate at which requests come at random; 0 under other loads.
    used: f64,
}

/// Share of our sustainable rate past which a latency under random arrivals is told apart: it goes as 1 / (1 − use), so
/// that there it tells of the capacity.
const NEAR_SATURATION: f64 = 0.95;

impl Prediction {
    /// Whether requests come at random at more than 95 % of the rate that we take as sustainable.
    pub fn near_saturation(&self) -> bool {
        self.used > NEAR_SATURATION
    }

    /// The predicted `quantity`.
    pub fn of(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Output => self.output,
            Quantity::Input => self.input,
            Quantity::Tpot => self.tpot,
            Quantity::Ttft => self.ttft,
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name.
    pub id: String,
    /// Table or release that it belongs to; the row's own name where not stated.
    pub group: String,
    /// Reliability, as the table grades it; empty where not.
    pub grade: String,
    /// Date of the source; empty where not stated.
    pub date: String,
    /// Why it is doubtful; empty where it is not.
    pub doubt: String,
    /// How much it counts.
    pub weight: f64,
    model: String,
    gpu: Option<String>,
    engine: String,
    gpus: Option<u32>,
    layout: [Option<u32>; 4],
    redundant_experts: u32,
    replicas: Option<u32>,
    precision: Option<String>,
    kv_precision: Option<String>,
    dense_precision: Option<String>,
    speculative: String,
    disaggregated: bool,
    input: Option<f64>,
    output: Option<f64>,
    load: String,
    concurrency: Option<f64>,
    rate: Option<f64>,
    batch: Option<f64>,
    requests: Option<f64>,
    output_rate: Option<f64>,
    total_rate: Option<f64>,
    tpot: Option<f64>,
    ttft: Option<f64>,
    /// Squared coefficients of variation of prompts and answers.
    spread: (f64, f64),
    limits: Limits,
    /// Part of the weights lies in the host's memory and comes in time behind the kernels.
    host_weights: bool,
}

/// What the run's own command or configuration sets in place of the engine's defaults.
#[derive(Debug, Clone, Copy)]
struct Limits {
    chunk_tokens: Option<f64>,
    max_sequences: Option<f64>,
    poll_iterations: Option<f64>,
    gather_iterations: Option<f64>,
    decode_graphs: Option<f64>,
    graph_sizes: Option<GraphSizes>,
    expert_scv: Option<f64>,
    fused_sums: Option<f64>,
    /// 1: tokens go into the engine and come out of it in one process.
    in_process: bool,
}

impl Limits {
    fn over(self, engine: EngineConstants) -> EngineConstants {
        EngineConstants {
            chunk_tokens: self.chunk_tokens.unwrap_or(engine.chunk_tokens),
            max_sequences: self.max_sequences.unwrap_or(engine.max_sequences),
            poll_iterations: self.poll_iterations.unwrap_or(engine.poll_iterations),
            gather_iterations: self.gather_iterations.unwrap_or(engine.gather_iterations),
            decode_graphs: self.decode_graphs.unwrap_or(engine.decode_graphs),
            graph_sizes: self.graph_sizes.unwrap_or(engine.graph_sizes),
            expert_scv: self.expert_scv.unwrap_or(engine.expert_scv),
            fused_sums: self.fused_sums.unwrap_or(engine.fused_sums),
            request_s: if self.in_process { 0.0 } else { engine.request_s },
            request_token_s: if self.in_process { 0.0 } else { engine.request_token_s },
            ..engine
        }
    }
}

impl Row {
    /// The row of a line.
    ///
    /// # Errors
    /// A cell that is not what its column holds.
    pub fn read(line: &Line<'_>) -> Result<Self, Error> {
        let number = |column: &str| line.number(column, 0.0, 1e15);
        let count = |column: &str| line.count(column, 1, 1_000_000);
        let text = |column: &str| line.text(column).map(str::to_owned);
        let id = line.need("id")?.to_owned();
        let scale = match line.text("len_kind") {
            // Lengths drawn evenly between 0.8 and 1.0 of the figure.
            Some("uniform_0.8_to_1.0_of_value") => 0.9,
            _ => 1.0,
        };
        // Data sets of no stated spread are taken as exponential; the others hardly vary.
        let usual = match line.text("len_kind") {
            Some("dataset_mean") => 1.0,
            Some("uniform_0.8_to_1.0_of_value") => 0.2 * 0.2 / 12.0 / (0.9 * 0.9),
            _ => 0.0,
        };
        let spread = (
            line.number("isl_scv", 0.0, 100.0)?.unwrap_or(usual),
            line.number("osl_scv", 0.0, 100.0)?.unwrap_or(usual),
        );
        let gpus = count("n_gpus")?;
        let all = f64::from(gpus.unwrap_or(0));
        let rate =
            |whole: Option<f64>, each: Option<f64>| whole.or(each.filter(|_| all > 0.0).map(|x| x * all));
        let milliseconds = |x: Option<f64>| x.filter(|x| *x > 0.0).map(|x| x * 1e-3);
        Ok(Self {
            group: text("group").unwrap_or_else(|| id.clone()),
            id,
            grade: text("grade").unwrap_or_default(),
            date: text("source_date").unwrap_or_default(),
            doubt: text("doubt").unwrap_or_default(),
            weight: line.number("weight", 0.0, 1e9)?.unwrap_or(1.0),
            model: line.need("model")?.to_owned(),
            gpu: text("gpu"),
            engine: text("engine").unwrap_or_default(),
            gpus,
            layout: [count("tp")?, count("pp")?, count("ep")?, count("attn_dp")?],
            host_weights: line.text("host_weights") == Some("1"),
            redundant_experts: line.count("redundant_experts", 0, 1_000_000)?.unwrap_or(0),
            replicas: count("replicas")?,
            precision: text("w_prec"),
            kv_precision: text("kv_prec"),
            dense_precision: text("dense_prec"),
            speculative: text("spec_decode").unwrap_or_default(),
            disaggregated: line.text("disagg") == Some("1"),
            input: number("isl")?.map(|x| x * scale),
            output: number("osl")?.map(|x| x * scale),
            load: line.need("load")?.to_owned(),
            concurrency: number("concurrency")?,
            rate: number("request_rate_rps")?,
            batch: number("batch_size")?,
            requests: number("n_requests")?,
            output_rate: rate(number("out_tok_s")?, number("out_tok_s_gpu")?).filter(|x| *x > 0.0),
            total_rate: rate(number("total_tok_s")?, number("total_tok_s_gpu")?).filter(|x| *x > 0.0),
            tpot: milliseconds(number("tpot_mean_ms")?),
            ttft: milliseconds(number("ttft_mean_ms")?),
            spread,
            limits: Limits {
                chunk_tokens: line.number("chunk_tokens", 1.0, 1e9)?,
                max_sequences: line.number("max_sequences", 1.0, 1e9)?,
                poll_iterations: line.number("poll_iterations", 1.0, 1e6)?,
                gather_iterations: line.number("gather_iterations", 0.0, 1e6)?,
                decode_graphs: line.number("decode_graphs", 0.0, 1.0)?,
                graph_sizes: graph_sizes(line)?,
                expert_scv: line.number("expert_scv", 0.0, 100.0)?,
                fused_sums: line.number("fused_sums", 0.0, 1.0)?,
                in_process: line.text("in_process") == Some("1"),
            },
        })
    }

    /// Requests in flight, where the load is a closed loop that says so.
    pub fn concurrency(&self) -> Option<f64> {
        self.concurrency
    }

    /// The measured `quantity`; none where the row has none.
    pub fn measured(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Input => self.total_rate.filter(|_| self.load == "prefill_only"),
            Quantity::Output if self.load == "prefill_only" => None,
            Quantity::Output => self.output_rate.or_else(|| {
                let (input, output) = (self.input?, self.output?);
                self.total_rate.map(|x| x * output / (input + output))
            }),
            Quantity::Tpot => self.tpot,
            Quantity::Ttft => self.ttft,
        }
    }

    /// Everything that a prediction needs; or, as text, what is missing.
    ///
    /// # Errors
    /// In words, for the report's `refused`.
    pub fn prepare(&self, catalog: &Catalog) -> Result<Prepared, String> {
        let plain = |e: Error| e.to_string();
        let gpu = self.gpu.as_deref().ok_or("GPU not stated")?;
        let target = ServingTarget::of(catalog, None, Some(gpu)).map_err(plain)?;
        let gpu_vendor = target.gpu.vendor.clone();
        let arch = catalog.model("model", &self.model).map_err(plain)?.architecture.clone();
        if let Some(why) = &arch.unsupported {
            return Err(format!("{}: {why}", arch.name));
        }
        let one_phase = matches!(self.load.as_str(), "prefill_only" | "decode_only");
        if self.disaggregated && !one_phase {
            return Err("prefill and decode on separate GPUs, whose split the row does not state".to_owned());
        }
        if !matches!(self.speculative.as_str(), "" | "none" | "unknown") {
            return Err(format!("speculative decoding ({}) is not modelled", self.speculative));
        }
        let precision = precision(self.precision.as_deref(), &arch, &target.gpu)?;
        let kv_precision = self.kv_format(precision)?;
        let dense_precision = match &self.dense_precision {
            Some(stated) => Some(self::precision(Some(stated), &arch, &target.gpu)?),
            None => None,
        };
        let gpus = self.gpus.ok_or("number of GPUs not stated")?;
        let (layout, replicas) = self.cut(gpus)?;
        if arch.moe.is_some() && gpus > 1 && self.layout[3].is_none() {
            return Err("attention parallelism of a mixture of experts not stated".to_owned());
        }
        let input = self.input.filter(|x| *x >= 1.0).ok_or("input length not stated")?;
        // One phase alone: answers of one token, at the length of cache that the row states.
        let output = self.output.or(one_phase.then_some(1.0));
        let output = output.filter(|x| *x >= 1.0).ok_or("output length not stated")?;
        let (load, queue) = load_of(self)?;
        self.check_peak(&arch, &target.gpu, f64::from(gpus))?;
        Ok(Prepared {
            arch,
            gpu: target.gpu,
            topology: target.topology,
            precision,
            kv_precision,
            dense_precision,
            layout,
            replicas: f64::from(replicas),
            input,
            output,
            load,
            queue,
            engine: self.engine(&gpu_vendor),
            spread: self.spread,
            limits: self.limits,
            host_weights: self.host_weights,
        })
    }

    /// Refuses a closed loop whose own numbers need more arithmetic than the chips have at their highest rate: its
    /// concurrency, length or GPU count means something else.
    fn check_peak(&self, arch: &Architecture, gpu: &Gpu, gpus: f64) -> Result<(), String> {
        let (Some(requests), Some(tpot), Some(ttft)) = (self.concurrency, self.tpot, self.ttft) else {
            return Ok(());
        };
        let (Some(input), Some(output)) = (self.input, self.output) else { return Ok(()) };
        let rate = requests / (ttft + (output - 1.0).max(0.0) * tpot);
        let needed = rate * (input + output) * 2.0 * arch.active_parameters();
        let half = gpu.bf16_tflops.unwrap_or(gpu.fp16_tflops);
        let peak = gpus * 1e12 * half.max(gpu.fp8_tflops.unwrap_or(0.0)).max(gpu.fp4_tflops.unwrap_or(0.0));
        if self.load == "closed_loop" && needed > peak {
            return Err(format!(
                "by its own concurrency and times it computes at {:.0} % of the peak",
                100.0 * needed / peak
            ));
        }
        Ok(())
    }

    /// The row's engine as a class and a year; none where it is of no class that we know.
    fn engine(&self, vendor: &str) -> Option<Engine> {
        let class = match self.engine.as_str() {
            "TensorRT-LLM" => EngineClass::TensorrtLlm,
            "vLLM" if vendor == "AMD" => EngineClass::RocmVllm,
            "vLLM" => EngineClass::Vllm,
            "SGLang" => EngineClass::Sglang,
            _ => return None,
        };
        // A source without a date ships with a tool of 2026.
        let year = self.date.get(..4).and_then(|y| y.parse().ok()).unwrap_or(2026);
        Some(Engine::new(class, year))
    }

    /// Format of the KV cache: stated, or the engine's own default. TensorRT-LLM's quantised checkpoints carry an 8-bit
    /// cache; vLLM (`kv_cache_dtype` auto) and SGLang keep the model's 16 bits.
    fn kv_format(&self, weights: Precision) -> Result<Precision, String> {
        Ok(match self.kv_precision.as_deref() {
            Some("fp8" | "fp8_blockwise") => Precision::Fp8,
            Some("int8") => Precision::Int8,
            Some("fp16") => Precision::Fp16,
            Some("bf16") => Precision::Bf16,
            Some(other) => return Err(format!("KV cache in \"{other}\" is not modelled")),
            None if self.engine == "TensorRT-LLM" && weights.weight_bytes() < 2.0 => Precision::Fp8,
            None => Precision::Bf16,
        })
    }

    /// Layout of a replica and the number of replicas; only what the row's numbers determine.
    fn cut(&self, gpus: u32) -> Result<(ServingLayout, u32), String> {
        let [tp, pp, ep, dp] = self.layout;
        let (pp, dp) = (pp.unwrap_or(1), dp.unwrap_or(1));
        let tp = match (tp, self.replicas) {
            (Some(tp), _) => tp,
            (None, Some(replicas)) if gpus.is_multiple_of(replicas * pp * dp) => gpus / (replicas * pp * dp),
            (None, None) if gpus == pp * dp => 1,
            _ => return Err("layout not stated".to_owned()),
        };
        let size = match self.replicas {
            Some(replicas) if gpus.is_multiple_of(replicas) => gpus / replicas,
            Some(_) => return Err("GPUs are no multiple of the replicas".to_owned()),
            None => tp * pp * dp,
        };
        // SGLang counts attention data parallel ranks inside its tensor parallel size.
        let tp = if tp * pp * dp != size && tp * pp == size && tp.is_multiple_of(dp) { tp / dp } else { tp };
        if tp * pp * dp != size || !gpus.is_multiple_of(size) {
            return Err(format!("layout of {} GPUs on {gpus} GPUs", tp * pp * dp));
        }
        let redundant_experts = self.redundant_experts;
        Ok((ServingLayout { tp, pp, ep: ep.unwrap_or(1), dp, redundant_experts }, gpus / size))
    }
}

/// The batches under `graph_sizes`; none where the cell is empty.
fn graph_sizes(line: &Line<'_>) -> Result<Option<GraphSizes>, Error> {
    let Some(cell) = line.text("graph_sizes") else { return Ok(None) };
    let sizes: Result<Vec<f64>, _> = cell.split_whitespace().map(str::parse).collect();
    match sizes.ok().and_then(|sizes| GraphSizes::of(&sizes)) {
        Some(sizes) => Ok(Some(sizes)),
        None => Err(Error::WrongType {
            field: line.path("graph_sizes"),
            given: format!("\"{cell}\""),
            expected: "at most 16 batch sizes that rise from 1 on, apart by blanks".to_owned(),
        }),
    }
}

/// A row with everything that a prediction needs.
#[derive(Debug, Clone)]
pub struct Prepared {
    arch: Architecture,
    gpu: Gpu,
    topology: Topology,
    precision: Precision,
    kv_precision: Precision,
    /// Of the products beside the experts, where stated.
    dense_precision: Option<Precision>,
    layout: ServingLayout,
    replicas: f64,
    input: f64,
    output: f64,
    load: ReplicaLoad,
    /// The load has no first token of its own.
    queue: bool,
    engine: Option<Engine>,
    /// Squared coefficients of variation of prompts and answers.
    spread: (f64, f64),
    limits: Limits,
    host_weights: bool,
}

/// The load of a row, over all of its replicas.
fn load_of(row: &Row) -> Result<(ReplicaLoad, bool), String> {
    let concurrency = || row.concurrency.ok_or("concurrency not stated");
    let load = match row.load.as_str() {
        "offline_max" => ReplicaLoad::Offline(row.requests),
        "burst_all_at_once" => {
            ReplicaLoad::Offline(Some(row.requests.ok_or("number of requests not stated")?))
        }
        // Load generators send ten requests for each in flight (InferenceX's scripts), unless the source says otherwise.
        "closed_loop" => {
            let total = concurrency()?;
            ReplicaLoad::Closed(total, Some(row.requests.unwrap_or(10.0 * total).max(total)))
        }
        "poisson" => ReplicaLoad::Poisson(row.rate.ok_or("request rate not stated")?),
        "static_batch" => ReplicaLoad::Static(row.batch.ok_or("batch not stated")?),
        "prefill_only" => ReplicaLoad::Prefill,
        "decode_only" => {
            let gpus = row.gpus.ok_or("number of GPUs not stated")?;
            ReplicaLoad::Decode(row.batch.ok_or("batch not stated")? * f64::from(gpus))
        }
        other => return Err(format!("load \"{other}\" is not a steady state")),
    };
    // Without a latency of its own: what was offered at once waits as long as it takes.
    Ok((load, matches!(row.load.as_str(), "offline_max" | "prefill_only" | "decode_only")))
}

/// The same load on each of `copies`.
fn shared(load: ReplicaLoad, copies: f64) -> ReplicaLoad {
    match load {
        ReplicaLoad::Closed(total, requests) => {
            ReplicaLoad::Closed(total / copies, requests.map(|n| n / copies))
        }
        ReplicaLoad::Poisson(rate) => ReplicaLoad::Poisson(rate / copies),
        ReplicaLoad::Offline(requests) => ReplicaLoad::Offline(requests.map(|n| n / copies)),
        ReplicaLoad::Static(batch) => ReplicaLoad::Static(batch / copies),
        ReplicaLoad::Prefill => ReplicaLoad::Prefill,
        ReplicaLoad::Decode(batch) => ReplicaLoad::Decode(batch / copies),
    }
}

impl Prepared {
    /// Why the row's throughput says nothing about a prediction.
    fn left_out(&self) -> Option<&'static str> {
        matches!(self.load, ReplicaLoad::Poisson(_))
            .then_some("throughput of an open loop is what was offered")
    }

    /// What we predict with these engine constants.
    ///
    /// # Errors
    /// In words: what the model of serving refuses.
    pub fn predict(&self, engines: &Engines) -> Result<Prediction, String> {
        let plain = |e: Error| e.to_string();
        let engine = self.limits.over(engines.of(self.engine, &self.gpu).map_err(plain)?);
        let model = ServingModel::with_engine(
            &engine,
            &self.arch,
            &self.gpu,
            &self.topology,
            self.precision,
            Some(self.kv_precision),
        )
        .map_err(plain)?;
        let load = shared(self.load, self.replicas);
        let model = match self.dense_precision {
            Some(precision) => model.with_dense(precision),
            None => model,
        };
        let model = match load {
            ReplicaLoad::Poisson(_) => model.with_spread(self.spread.0, self.spread.1),
            _ => model,
        };
        let layout = model.layout(self.layout).map_err(plain)?;
        let state = model.under(&layout, self.input, self.output, self.spread.1, &load);
        if !state.memory.fits && !self.host_weights {
            return Err("does not fit into memory by our count".to_owned());
        }
        let requests = state.requests_per_second * self.replicas;
        Ok(match load {
            ReplicaLoad::Prefill => {
                Prediction { input: Some(requests * self.input), ..Prediction::default() }
            }
            _ => Prediction {
                output: Some(requests * self.output),
                tpot: Some(state.tpot_seconds),
                ttft: (!self.queue && !state.saturated).then_some(state.ttft_seconds),
                used: match load {
                    ReplicaLoad::Poisson(rate) => rate / state.sustainable_request_rate,
                    _ => 0.0,
                },
                input: None,
            },
        })
    }
}

/// The precision that a row's words mean on this GPU: formats without matrix units there run weight-only.
fn precision(stated: Option<&str>, arch: &Architecture, gpu: &Gpu) -> Result<Precision, String> {
    let four_bits = gpu.fp4_tflops.is_some();
    Ok(match stated.ok_or("precision not stated")? {
        "bf16" => Precision::Bf16,
        "fp16" => Precision::Fp16,
        "fp8" | "fp8_blockwise" if gpu.fp8_tflops.is_none() => Precision::Int8,
        // Checkpoints of models with latent attention are published with scales per block.
        "fp8" if arch.mla.is_some() => Precision::Fp8Blockwise,
        "fp8_blockwise" => Precision::Fp8Blockwise,
        "fp8" => Precision::Fp8,
        "nvfp4" | "fp4" if four_bits => Precision::Nvfp4,
        "mxfp4" => Precision::Mxfp4,
        "int4" => Precision::Int4,
        "int8" => Precision::Int8,
        other => return Err(format!("precision \"{other}\" is not modelled on this GPU")),
    })
}
