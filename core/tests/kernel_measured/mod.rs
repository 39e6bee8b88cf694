//! Published kernel measurements beside what the model says: read by the fit and by the tests.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rackrate::catalog::{Catalog, Gpu, GpuArchitecture};
use rackrate::kernel::{AttentionShape, Device, ExpertShape};
use rackrate::model::Precision;

/// One measured kernel.
#[derive(Debug, Clone)]
pub struct Row {
    pub gpu: Gpu,
    pub op: String,
    pub precision: String,
    pub numbers: [f64; 15],
    pub even: bool,
    pub seconds: f64,
    /// GB/s as published, of memory rows.
    pub gbps: f64,
    pub source: String,
}

const M: usize = 0;
const N: usize = 1;
const K: usize = 2;
const GROUPS: usize = 3;
const BATCH: usize = 4;
const SEQ: usize = 5;
const HEADS: usize = 6;
const KV_HEADS: usize = 7;
const HEAD_DIM: usize = 8;
const TOKENS: usize = 9;
const HIDDEN: usize = 10;
const INTER: usize = 11;
const EXPERTS: usize = 12;
const TOPK: usize = 13;
const EP: usize = 14;

/// Every row of the table.
pub fn rows() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/measured/kernels.csv");
    let mut reader = csv::Reader::from_path(path).expect("tests/measured/kernels.csv");
    let gpus = gpus();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.expect("a well-formed row");
        let gpu = gpus.iter().find(|gpu| gpu.name == record[0]).expect("a known GPU").clone();
        let mut numbers = [0.0; 15];
        for (slot, cell) in numbers.iter_mut().zip(record.iter().skip(3)) {
            if !cell.is_empty() {
                *slot = cell.parse().expect("a number");
            }
        }
        let value: f64 = record[19].parse().expect("a number");
        let flop = 2.0 * numbers[GROUPS] * numbers[M] * numbers[N] * numbers[K];
        let (seconds, gbps) = match &record[20] {
            "us" => (value * 1e-6, 0.0),
            "TFLOP/s" => (flop / (value * 1e12), 0.0),
            _ => (0.0, value),
        };
        rows.push(Row {
            gpu,
            op: record[1].to_owned(),
            precision: record[2].to_owned(),
            numbers,
            even: &record[18] != "power_law",
            seconds,
            gbps,
            source: record[21].to_owned(),
        });
    }
    rows
}

impl Row {
    pub fn matrix_precision(&self) -> Precision {
        match self.precision.as_str() {
            "bf16" => Precision::Bf16,
            "fp16" => Precision::Fp16,
            "fp8" => Precision::Fp8,
            "fp8_blockwise" => Precision::Fp8Blockwise,
            "nvfp4" => Precision::Nvfp4,
            "mxfp4" => Precision::Mxfp4,
            "int8" => Precision::Int8,
            "int4" => Precision::Int4,
            other => panic!("precision {other}"),
        }
    }

    pub fn m(&self) -> f64 {
        self.numbers[M]
    }

    pub fn is_large(&self) -> bool {
        self.numbers[M] >= 2048.0 && self.numbers[K] >= 1024.0
    }

    pub fn attention(&self) -> AttentionShape {
        let decode = self.op == "attention_decode";
        AttentionShape {
            batch: self.numbers[BATCH],
            queries: if decode { 1.0 } else { self.numbers[SEQ] },
            keys: self.numbers[SEQ],
            heads: self.numbers[HEADS],
            kv_heads: self.numbers[KV_HEADS],
            qk_dim: self.numbers[HEAD_DIM],
            v_dim: self.numbers[HEAD_DIM],
            causal: !decode,
        }
    }

    /// Bytes that must pass through memory, of products and decode attention.
    pub fn bytes(&self) -> f64 {
        let [m, n, k] = [self.numbers[M], self.numbers[N], self.numbers[K]];
        if self.op == "attention_decode" {
            let shape = self.attention();
            shape.batch * shape.keys * shape.kv_heads * 2.0 * shape.qk_dim * self.kv_bytes()
        } else {
            let weight = self.matrix_precision().weight_bytes();
            self.numbers[GROUPS] * ((m * k + k * n) * weight + 2.0 * m * n)
        }
    }

    pub fn kv_bytes(&self) -> f64 {
        if self.precision == "fp8" { 1.0 } else { 2.0 }
    }

    /// Whether the operands may have stayed in the level-2 cache between repetitions: such a row says nothing about
    /// memory. Products do so on the two GDDR cards only (their large caches beat the bandwidth up to twice there);
    /// caches of keys and values of a tenth of the cache and less say what the fixed time is.
    pub fn in_cache(&self) -> bool {
        let cache = self.gpu.l2_mib.unwrap_or(0.0) * 1_048_576.0;
        let bytes = self.bytes();
        if self.op == "attention_decode" {
            bytes > 0.1 * cache && bytes < 1.1 * cache
        } else {
            let gddr = self.gpu.memory_tb_per_s < 1.8 && self.gpu.architecture != GpuArchitecture::Ampere;
            gddr && bytes < 1.1 * cache && self.m() <= 256.0
        }
    }

    /// Whether the row can be compared at all.
    pub fn usable(&self) -> bool {
        match self.op.as_str() {
            // A100 decode rows read the cache at up to 1.6 times the memory's bandwidth: sequences shared their blocks.
            "attention_decode" => !self.in_cache() && self.gpu.architecture != GpuArchitecture::Ampere,
            "gemm" | "grouped_gemm" => !self.in_cache(),
            _ => true,
        }
    }

    /// Seconds by the model.
    pub fn predicted(&self, device: &Device) -> f64 {
        let [m, n, k, groups] = [self.numbers[M], self.numbers[N], self.numbers[K], self.numbers[GROUPS]];
        match self.op.as_str() {
            // In the engine, the activations are brought into the product's format first.
            "gemm" if self.source.starts_with("aic/") => {
                let precision = self.matrix_precision();
                device.gemm(m, n, k, precision) + device.quantise(m, k, precision)
            }
            "gemm" | "grouped_gemm" | "gemm_best_shape" => {
                device.grouped_gemm(groups, m, n, k, self.matrix_precision())
            }
            "attention_prefill" => {
                let shape = self.attention();
                // The measured operation also turns Q and K and writes the cache.
                let seconds = if self.precision == "fp8" {
                    device.attention_prefill_fp8(&shape)
                } else {
                    device.attention_prefill(&shape)
                };
                seconds + device.rotary_and_cache(&shape)
            }
            "attention_decode" => device.attention_decode(&self.attention(), self.kv_bytes()),
            "moe_ffn" => {
                let local = self.numbers[EXPERTS] / self.numbers[EP];
                let tokens = self.numbers[TOKENS];
                let rows = (tokens * self.numbers[TOPK] / self.numbers[EP]).max(1.0);
                let shape = ExpertShape {
                    tokens,
                    rows,
                    active_experts: local.min(rows),
                    hidden: self.numbers[HIDDEN],
                    intermediate: self.numbers[INTER],
                };
                device.moe_ffn(&shape, self.matrix_precision())
            }
            other => panic!("op {other}"),
        }
    }
}

/// Every GPU of the catalogue.
pub fn gpus() -> Vec<Gpu> {
    Catalog::embedded().expect("the embedded catalogue").gpus.clone()
}

/// Median and 90th percentile of |predicted / measured − 1|, and the geometric mean of predicted / measured.
pub fn errors(pairs: &[(f64, f64)]) -> (f64, f64, f64) {
    let mut errors: Vec<f64> =
        pairs.iter().map(|(predicted, measured)| (predicted / measured - 1.0).abs()).collect();
    errors.sort_by(f64::total_cmp);
    let at = |share: f64| errors[((errors.len() - 1) as f64 * share).round() as usize];
    let bias = pairs.iter().map(|(predicted, measured)| libm::log(predicted / measured)).sum::<f64>();
    (at(0.5), at(0.9), libm::exp(bias / pairs.len() as f64))
}
