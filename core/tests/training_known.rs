//! Runs that everybody knows, each beside what its authors or MLCommons published. A bar is 10 % unless the test says why not.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::Catalog;
use rackrate::plan::{Scenario, TrainingOption, built_in, plan};
use rackrate::training::{StepPhase, StepStack, TrainingStepRequest, training_step};
use rackrate::validate::{ValidationKind, validate};

fn scenario(name: &str) -> Scenario {
    built_in().unwrap().into_iter().find(|scenario| scenario.name == name).unwrap()
}

fn first_option(scenario: &Scenario) -> TrainingOption {
    let plan = plan(Catalog::embedded().unwrap(), scenario).unwrap();
    plan.training.unwrap().options.into_iter().next().unwrap()
}

/// Predicted over measured − 1 of a row of tests/measured/training.csv.
fn step_error(id: &str) -> f64 {
    let csv = include_str!("../../tests/measured/training.csv");
    let report = validate(Catalog::embedded().unwrap(), ValidationKind::Training, csv, None).unwrap();
    let row = report.rows.iter().find(|row| row.id == id && row.quantity == "step_seconds").unwrap();
    row.predicted.unwrap() / row.measured.unwrap() - 1.0
}

/// 400 TFLOP/s per GPU on 16,384 H100 at 8,192 tokens (arXiv 2407.21783, table 4).
#[test]
fn llama_3_405b_step_on_16384_h100() {
    let step = first_option(&scenario("llama3-405b-as-published")).step;
    let error = step.model_tflops_per_gpu / 400.0 - 1.0;
    assert!(error.abs() < 0.1, "{} TFLOP/s", step.model_tflops_per_gpu);
    assert!(step.memory.fits);
}

/// Tokens of Llama 3 405B in sequences of up to 131,072 (arXiv 2407.21783, section 3.4.2).
const LONG_TOKENS: f64 = 0.8e12;

/// The scenario of its last tokens, all in the longest sequences, in the layout of table 4.
fn llama_3_405b_long() -> Scenario {
    let mut long = scenario("llama3-405b-as-published");
    let training = long.training.as_mut().unwrap();
    training.tokens = Some(LONG_TOKENS);
    training.sequence_length = 131_072;
    // Keys and values are gathered before the attention (section 3.3.2 there).
    training.software.context_gather = true;
    training.global_batch = Some(128);
    let layout = training.layout.as_mut().unwrap();
    (layout.cp, layout.global_batch) = (16, 128);
    long
}

/// 380 TFLOP/s per GPU on 16,384 H100 at 131,072 tokens (arXiv 2407.21783, table 4), 15 %: the paper does not say whether it
/// counts the FLOP of attention's masked half, and we let all of the gathers show.
#[test]
fn llama_3_405b_long_sequences() {
    let step = first_option(&llama_3_405b_long()).step;
    let error = step.model_tflops_per_gpu / 380.0 - 1.0;
    assert!(error.abs() < 0.15, "{} TFLOP/s", step.model_tflops_per_gpu);
    assert!(step.memory.fits);
}

/// 30.84 M GPU-hours for 15.6 T tokens (model card of Llama 3.1).
#[test]
fn llama_3_405b_whole_run() {
    let mut short = scenario("llama3-405b-as-published");
    *short.training.as_mut().unwrap().tokens.as_mut().unwrap() -= LONG_TOKENS;
    let hours = first_option(&short).gpu_hours + first_option(&llama_3_405b_long()).gpu_hours;
    assert!((hours / 30.84e6 - 1.0).abs() < 0.1, "{hours} GPU-hours");
}

/// 180,000 H800-hours per trillion tokens (arXiv 2412.19437, section 1).
#[test]
fn deepseek_v3_hours_per_trillion_tokens() {
    let option = first_option(&scenario("deepseek-v3-as-published"));
    let hours = option.gpu_hours / (option.tokens / 1e12);
    assert!((hours / 180e3 - 1.0).abs() < 0.1, "{hours} GPU-hours");
    // The step alone: 15,360 sequences of 4,096 tokens on 2,048 GPUs at that rate.
    let published = 180e3 * 3600.0 / 2048.0 * (15_360.0 * 4096.0 / 1e12);
    let seconds = option.step.step_seconds;
    assert!((seconds / published - 1.0).abs() < 0.1, "{seconds} of {published} s");
    assert!(option.step.memory.fits);
}

/// A forward and a backward chunk of four layers with experts under DualPipe take 129.0 ms from the first kernel to the last
/// (github.com/deepseek-ai/profile-data, train.json, 2025-02: ep 64, tp 1, 4,096 tokens, even routing).
#[test]
fn deepseek_v3_layer_profile() {
    let training = serde_json::to_value(scenario("deepseek-v3-as-published").training.unwrap()).unwrap();
    let mut request = serde_json::Map::from_iter([("explain".to_owned(), true.into())]);
    for key in ["model", "sequence_length", "precision", "gpus", "gpu", "layout"] {
        request.insert(key.to_owned(), training[key].clone());
    }
    let request: TrainingStepRequest = serde_json::from_value(request.into()).unwrap();
    let step = training_step(Catalog::embedded().unwrap(), &request).unwrap();
    let of_experts = || step.operations.iter().filter(|o| o.stack == StepStack::Expert);
    let passes = of_experts().find(|o| o.name == "attention" && o.phase == StepPhase::Forward).unwrap().count;
    let layer = of_experts().map(|o| o.seconds).fold(0.0, |a, b| a + b) / passes;
    assert!((4.0 * layer / 0.129_0 - 1.0).abs() < 0.1, "{layer} s a layer");
}

/// GPT-3 175B on Azure ND H100 v5, 10,752 GPUs: 0.946 s (MLPerf Training 3.1).
#[test]
fn gpt_3_175b_on_azure_nd_h100_v5() {
    let error = step_error("mlperf-3.1-azure-nvidia-gpt3-h100x10752");
    assert!(error.abs() < 0.1, "{error}");
}

/// GPT-3 175B on 3,072 GPUs of OCI's BM.GPU.H100.8: 3.068 s (MLPerf Training 4.1).
#[test]
fn gpt_3_175b_on_oci_h100() {
    let error = step_error("mlperf-4.1-oracle-gpt3-h100x3072");
    assert!(error.abs() < 0.1, "{error}");
}

/// The same on 1,536 GPUs: 5.167 s.
#[test]
fn gpt_3_175b_on_half_as_many_oci_h100() {
    let error = step_error("mlperf-4.1-oracle-gpt3-h100x1536");
    assert!(error.abs() < 0.1, "{error}");
}
