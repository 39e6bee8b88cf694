//! Laws of serving that hold for every model, GPU and load, checked through the public door.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use proptest::prelude::*;
use rackrate::catalog::{Catalog, Gpu};
use rackrate::inference::{
    Arrivals, IterationParts, ServingLayout, ServingLoad, ServingModel, ServingTarget, SteadyState,
};
use rackrate::model::{Architecture, Precision};

const MODELS: [&str; 6] =
    ["llama-3.1-8b", "llama-3.3-70b", "qwen3-32b", "qwen3-235b-a22b", "gpt-oss-120b", "deepseek-v3"];
const GPUS: [&str; 5] = ["A100-80GB-SXM", "H100-SXM", "H200-SXM", "B200-SXM", "MI300X"];

fn arch(name: &str) -> Architecture {
    Catalog::embedded().unwrap().model("model", name).unwrap().architecture.clone()
}

fn target(gpu: &str) -> ServingTarget {
    ServingTarget::of(Catalog::embedded().unwrap(), None, Some(gpu)).unwrap()
}

fn state(
    model: &ServingModel<'_>,
    layout: ServingLayout,
    input: f64,
    output: f64,
    a: Arrivals,
) -> SteadyState {
    let layout = model.layout(layout).unwrap();
    model.point(&layout, &ServingLoad { input_tokens: input, output_tokens: output, arrivals: a })
}

fn on<'a>(arch: &'a Architecture, gpu: &Gpu, target: &ServingTarget) -> ServingModel<'a> {
    ServingModel::new(arch, gpu, &target.topology, Precision::Bf16, None).unwrap()
}

fn sum(p: &IterationParts) -> f64 {
    p.matmul_seconds
        + p.attention_seconds
        + p.memory_bound_seconds
        + p.all_reduce_seconds
        + p.all_to_all_seconds
        + p.pipeline_seconds
        + p.engine_seconds
}

prop_compose! {
    fn case()(
        model in prop::sample::select(&MODELS[..]),
        gpu in prop::sample::select(&GPUS[..]),
        tp in prop::sample::select(&[1_u32, 2, 4, 8][..]),
        pp in prop::sample::select(&[1_u32, 1, 2][..]),
        dp in prop::sample::select(&[1_u32, 1, 2][..]),
        spread in any::<bool>(),
        input in 1.0..60_000.0_f64,
        output in 1.0..8_000.0_f64,
        requests in 1.0..4_000.0_f64,
    ) -> (Architecture, ServingTarget, ServingLayout, f64, f64, f64) {
        let arch = arch(model);
        let dp = if arch.moe.is_some() { dp } else { 1 };
        let ep = if arch.moe.is_some() && spread { tp * dp } else { 1 };
        (arch, target(gpu), ServingLayout { tp, pp, ep, dp, redundant_experts: 0 }, input, output, requests)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_token_never_comes_faster_than_its_bytes_are_read(c in case()) {
        let (arch, target, layout, input, output, requests) = c;
        let model = on(&arch, &target.gpu, &target);
        let s = state(&model, layout, input, output, Arrivals::Closed(requests));
        // One sequence: every dense weight of a stage is read, and its share of the cache.
        if arch.moe.is_none() {
            let tables = 2.0 * f64::from(arch.vocab) * f64::from(arch.hidden) * 2.0 / f64::from(layout.tp);
            let weights = s.memory.weights_gib * 1_073_741_824.0 * f64::from(layout.pp) - 2.0 * tables;
            let bandwidth = target.gpu.memory_tb_per_s * 1e12;
            prop_assert!(s.tpot_seconds >= weights / bandwidth, "{} s", s.tpot_seconds);
            let kv = s.memory.kv_used_gib * 1_073_741_824.0;
            if requests >= f64::from(layout.pp) {
                prop_assert!(s.tpot_seconds >= (weights + 0.9 * kv) / bandwidth, "{} s with cache", s.tpot_seconds);
            }
        }
    }

    #[test]
    fn parts_add_up_and_nothing_is_negative(c in case()) {
        let (arch, target, layout, input, output, requests) = c;
        let model = on(&arch, &target.gpu, &target);
        for a in [Arrivals::Closed(requests), Arrivals::Poisson(requests / 100.0), Arrivals::Full] {
            let s = state(&model, layout, input, output, a);
            let prefill = model.prefill(&model.layout(layout).unwrap(), input);
            for parts in [&s.decode, &prefill] {
                prop_assert!((sum(parts) / parts.total_seconds - 1.0).abs() < 1e-9);
                prop_assert!(parts.total_seconds.is_finite() && parts.total_seconds > 0.0);
                for part in [parts.matmul_seconds, parts.attention_seconds, parts.memory_bound_seconds,
                    parts.all_reduce_seconds, parts.all_to_all_seconds, parts.pipeline_seconds, parts.engine_seconds] {
                    prop_assert!(part >= 0.0, "{parts:?}");
                }
            }
            for figure in [s.ttft_seconds, s.tpot_seconds, s.requests_per_second, s.sustainable_request_rate] {
                prop_assert!(figure.is_finite() && figure > 0.0, "{s:?}");
            }
            prop_assert!(s.tpot_p95_seconds >= s.tpot_seconds && s.ttft_p95_seconds >= s.ttft_seconds);
            prop_assert!(s.requests_per_second <= s.sustainable_request_rate * (1.0 + 1e-2), "{s:?}");
        }
    }

    #[test]
    fn the_cache_in_use_is_within_its_capacity(c in case()) {
        let (arch, target, layout, input, output, requests) = c;
        let model = on(&arch, &target.gpu, &target);
        for a in [Arrivals::Closed(requests), Arrivals::Poisson(requests / 100.0), Arrivals::Full] {
            let s = state(&model, layout, input, output, a);
            if s.memory.fits {
                prop_assert!(s.memory.kv_used_share <= 1.0 + 1e-9, "{:?}", s.memory);
                prop_assert!(s.memory.total_gib <= s.memory.available_gib * (1.0 + 1e-9));
            }
        }
    }

    #[test]
    fn more_memory_bandwidth_is_never_slower(c in case()) {
        let (arch, target, layout, input, output, requests) = c;
        let mut fast = target.gpu.clone();
        fast.memory_tb_per_s *= 1.5;
        let (slow, fast) = (on(&arch, &target.gpu, &target), on(&arch, &fast, &target));
        for a in [Arrivals::Closed(requests), Arrivals::Full] {
            let (s, f) = (state(&slow, layout, input, output, a), state(&fast, layout, input, output, a));
            // The batch is found to one part in a thousand.
            prop_assert!(f.requests_per_second >= s.requests_per_second * (1.0 - 5e-3), "{f:?} {s:?}");
            prop_assert!(f.decode.total_seconds <= s.decode.total_seconds * (1.0 + 5e-3));
        }
    }

    #[test]
    fn throughput_does_not_fall_with_concurrency(c in case()) {
        let (arch, target, layout, input, output, requests) = c;
        let model = on(&arch, &target.gpu, &target);
        let at = |n: f64| state(&model, layout, input, output, Arrivals::Closed(n)).requests_per_second;
        // Tiles and waves make steps: a batch one larger may need another wave. 8 % was the largest step of 24,000 cases.
        prop_assert!(at(requests * 1.5) >= at(requests) * 0.88, "{} {}", at(requests), at(requests * 1.5));
    }

    #[test]
    fn a_closed_loop_keeps_littles_law(c in case()) {
        let (arch, target, layout, input, output, requests) = c;
        let model = on(&arch, &target.gpu, &target);
        let s = state(&model, layout, input, output, Arrivals::Closed(requests));
        let seconds = s.ttft_seconds + (output - 1.0).max(0.0) * s.tpot_seconds;
        if output > 2.0 {
            prop_assert!((s.requests_per_second * seconds / requests - 1.0).abs() < 0.02, "{s:?}");
        }
    }
}

/// One published row, told with and without what its own configuration captured.
fn row_of_a_run(graph_sizes: &str) -> Result<f64, rackrate::Error> {
    let csv = format!(
        "id,model,gpu,n_gpus,engine,w_prec,tp,isl,osl,load,n_requests,out_tok_s,graph_sizes\n\
         run,Llama-3.3-70B,B200 SXM 180GB,1,TensorRT-LLM,nvfp4,1,1000,1000,offline_max,3000,7000,{graph_sizes}\n"
    );
    let catalog = Catalog::embedded()?;
    let report =
        rackrate::validate::validate(catalog, rackrate::validate::ValidationKind::Inference, &csv, None)?;
    Ok(report.rows.first().and_then(|row| row.predicted).unwrap_or(f64::NAN))
}

#[test]
fn batches_padded_to_captured_sizes_are_no_quicker() {
    let every = row_of_a_run("").unwrap();
    let fine = row_of_a_run("1 64 128 192 256 320 384 448 512 576 640").unwrap();
    let coarse = row_of_a_run("1 2 4 8192").unwrap();
    assert!(fine <= every && fine > 0.9 * every, "{fine} {every}");
    assert!(coarse < 0.8 * fine, "{coarse} {fine}");
    // Beyond the largest nothing is padded, and the host starts the kernels.
    let eager = row_of_a_run("1 2 4").unwrap();
    assert!(eager <= every && eager > 0.5 * every, "{eager} {every}");
}

#[test]
fn sizes_that_do_not_rise_are_told() {
    for bad in ["4 2", "0 1", "1 two", "1 1"] {
        let error = row_of_a_run(bad).unwrap_err();
        assert_eq!(error.field(), "csv.line[1].graph_sizes", "{bad}");
        assert!(error.to_string().contains("rise"), "{error}");
    }
}
