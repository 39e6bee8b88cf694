//! Serving against published measurements: the errors that were reached, and named systems within a fifth.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use rackrate::catalog::Catalog;
use rackrate::inference::{ServingPoint, ServingPointRequest, serving_point};
use rackrate::validate::{ValidationKind, ValidationReport, validate, weighted_quantile};

const TABLE: &str = include_str!("../../tests/measured/inference.csv");

fn report() -> ValidationReport {
    validate(Catalog::embedded().unwrap(), ValidationKind::Inference, TABLE, Some("group")).unwrap()
}

fn point(json: serde_json::Value) -> ServingPoint {
    let request: ServingPointRequest = serde_json::from_value(json).unwrap();
    serving_point(Catalog::embedded().unwrap(), &request).unwrap()
}

/// Predicted over measured of a row.
fn ratio(report: &ValidationReport, id: &str, quantity: &str) -> f64 {
    let row = report.rows.iter().find(|r| r.id == id && r.quantity == quantity).unwrap();
    row.predicted.unwrap() / row.measured.unwrap()
}

/// Groups whose source is of 2025 or later, and undated ones, which ship with tools of 2026.
fn recent(group: &str) -> bool {
    let old = ["trtllm-0.5", "trtllm-0.8", "trtllm-0.9", "trtllm-0.14", "dstack", "mlperf-v4"];
    !old.iter().any(|o| group.starts_with(o))
}

/// Median and 90th percentile of the absolute error over recent groups of grades A and B, each group once.
fn errors(report: &ValidationReport, quantity: &str) -> (f64, f64) {
    let rows: Vec<_> = report
        .rows
        .iter()
        .filter(|r| r.quantity == quantity && r.weight > 0.0 && recent(r.group.as_deref().unwrap()))
        .filter_map(|r| Some((r.group.as_deref()?, (r.predicted? / r.measured? - 1.0).abs())))
        .collect();
    let weighted: Vec<(f64, f64)> = rows
        .iter()
        .map(|(g, e)| (*e, 1.0 / rows.iter().filter(|(other, _)| other == g).count() as f64))
        .collect();
    (weighted_quantile(&weighted, 0.5).unwrap(), weighted_quantile(&weighted, 0.9).unwrap())
}

#[test]
fn every_published_row_is_shown() {
    let report = report();
    let ids: std::collections::BTreeSet<&str> = report.rows.iter().map(|r| r.id.as_str()).collect();
    assert!(ids.len() > 3_900, "{}", ids.len());
    assert!(report.rows.iter().all(|r| r.predicted.is_some() != r.refused.is_some()));
    let answered = report.rows.iter().filter(|r| r.predicted.is_some()).count();
    assert!(answered > 5_200, "{answered}");
}

#[test]
fn errors_stay_where_they_are() {
    let report = report();
    let (median, high) = errors(&report, "output_tokens_per_second");
    assert!(median < 0.125 && high < 0.47, "throughput {median} {high}");
    let (median, high) = errors(&report, "tpot_seconds");
    assert!(median < 0.15 && high < 0.46, "time per output token {median} {high}");
    let (median, high) = errors(&report, "ttft_seconds");
    assert!(median < 0.30 && high < 0.78, "time to first token {median} {high}");
}

/// What is told apart is told: random arrivals past 95 % of what we take as sustainable.
#[test]
fn latencies_near_saturation_are_shown_apart() {
    let report = report();
    let of = |quantity: &str| {
        report.rows.iter().filter(|r| r.quantity == quantity && r.predicted.is_some()).count()
    };
    // Most of them lie past all that we take as sustainable, where the first token is queueing and not compared.
    assert!(of("tpot_seconds_near_saturation") > 50 && of("ttft_seconds_near_saturation") > 3);
    let shown = report.rows.iter().find(|r| r.quantity == "tpot_seconds_near_saturation").unwrap();
    assert!(!report.rows.iter().any(|r| r.id == shown.id && r.quantity == "tpot_seconds"));
}

/// Where no spread is stated, that of Azure's trace of a conversation service is taken.
#[test]
fn the_usual_spreads_are_those_of_a_trace() {
    let trace = include_str!("../../tests/measured/azure_llm_2023_conv.csv");
    let engine = rackrate::inference::EngineConstants::shipped();
    for (column, ours) in [(1, engine.input_scv), (2, engine.output_scv)] {
        let list: Vec<f64> =
            trace.lines().skip(1).map(|l| l.split(',').nth(column).unwrap().parse().unwrap()).collect();
        let n = list.len() as f64;
        let mean = list.iter().fold(0.0, |a, b| a + b) / n;
        let variance = list.iter().fold(0.0, |a, b| a + (b - mean) * (b - mean)) / n;
        // The file holds every 8th request.
        assert!(
            (variance / (mean * mean) / ours - 1.0).abs() < 0.05,
            "{column}: {}",
            variance / (mean * mean)
        );
    }
    let asked = |spread: serde_json::Value| {
        let mut json = serde_json::json!({
            "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 1, "layout": {}, "precision": "fp8",
            "input_tokens": 1000.0, "output_tokens": 200.0, "request_rate": 8.0
        });
        for (key, value) in spread.as_object().unwrap() {
            json[key] = value.clone();
        }
        point(json)
    };
    let usual = asked(serde_json::json!({}));
    let told = usual.percentiles.unwrap();
    assert_eq!((told.input_spread, told.output_spread), (engine.input_scv, engine.output_scv));
    assert_eq!(usual, asked(serde_json::json!({"input_spread": 0.922, "output_spread": 0.595})));
}

/// NVIDIA's own tables of a 70B on H100: 0.20, 1.0 and the page after 1.0.
#[test]
fn seventy_billion_on_h100_offline() {
    let report = report();
    let errors: Vec<f64> = report
        .rows
        .iter()
        .filter(|r| r.id.starts_with("trtllm-") && r.quantity == "output_tokens_per_second")
        .filter(|r| r.id.contains("llama-3-3-70b") && r.id.contains("h100"))
        .filter_map(|r| Some((r.predicted? / r.measured? - 1.0).abs()))
        .collect();
    let mean = errors.iter().fold(0.0, |a, b| a + b) / errors.len() as f64;
    assert!(errors.len() >= 30 && mean < 0.088, "{mean} of {}", errors.len());
}

#[test]
fn named_systems_lie_within_a_fifth() {
    let report = report();
    for (id, quantity) in [
        // Azure ND GB200 v6 and Oracle's 8 B200, Llama-3.1-405B, MLPerf Inference 5.1.
        ("mlperf-v5-1-azure-nd-gb200-v6-llama3-1-405b-offline", "output_tokens_per_second"),
        ("mlperf-v5-1-oracle-b200-sxm-180gbx8-trt-llama3-1-405b-offline", "output_tokens_per_second"),
        // DeepSeek's published profile, 4 and 16 nodes of H800.
        ("deepseek-profile-prefill-4096", "input_tokens_per_second"),
        ("deepseek-profile-decode-4096", "output_tokens_per_second"),
        // SGLang on 96 H100.
        ("sglang-ep-h100-prefill-1000", "input_tokens_per_second"),
        ("sglang-ep-h100-prefill-2000", "input_tokens_per_second"),
        ("sglang-ep-h100-prefill-4000", "input_tokens_per_second"),
        // The same, 72 ranks that decode, experts held twice among them.
        ("sglang-ep-h100-decode-2000", "output_tokens_per_second"),
        // SGLang on 48 ranks of GB200 that decode, NVFP4.
        ("sglang-gb200-decode-nvfp4", "output_tokens_per_second"),
        // SGLang and vLLM on GB200; the weights that do not fit come from the host's memory in time.
        ("sglang-gb200-prefill-nvfp4", "input_tokens_per_second"),
        ("sglang-gb200-prefill-fp8", "input_tokens_per_second"),
        ("vllm-gb200-dsr1-prefill", "input_tokens_per_second"),
    ] {
        let ratio = ratio(&report, id, quantity);
        assert!((0.8..1.2).contains(&ratio), "{id}: {ratio}");
    }
}

/// Oracle's MLPerf Inference 6.0 entry, Llama-2-70B offline: 99,874 tokens/s on eight MI355X; the layout is that of AMD's own
/// entries, one replica on each GPU.
#[test]
fn oci_mi355x_on_llama_2_70b() {
    let p = point(serde_json::json!({
        "model": "llama-2-70b", "shape": "BM.GPU.MI355X.8", "gpus": 8, "layout": {}, "precision": "nvfp4",
        "kv_precision": "fp8", "input_tokens": 222.3, "output_tokens": 294.45, "load": "offline",
        "engine": {"family": "rocm_vllm", "year": 2026}
    }));
    let ratio = p.output_tokens_per_second / 99_874.3;
    assert!((0.8..1.2).contains(&ratio), "{ratio}");
}

/// DeepSeek's production decode (open-infra index, day 6): 14.8k tokens/s a node of eight H800 at a cache of 4,989 tokens and
/// 20 to 22 tokens/s a user. Each of their 144 ranks holds two experts (the index, figure of the decode phase): 256 and 32 of
/// them a second time.
#[test]
fn deepseek_production_decode_on_h800() {
    let sequences = 144.0 * 1850.0 / 21.0;
    let p = point(serde_json::json!({
        "model": "deepseek-v3", "gpu": "H800-SXM", "gpus": 144,
        "layout": {"dp": 144, "ep": 144, "redundant_experts": 32},
        "precision": "fp8_blockwise", "kv_precision": "bf16", "input_tokens": 4989.0, "output_tokens": 1.0,
        "load": "decode_only", "concurrency": sequences
    }));
    let ratio = p.output_tokens_per_second_per_gpu / 1850.0;
    assert!((0.8..1.2).contains(&ratio), "{ratio}");
}
