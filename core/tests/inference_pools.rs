//! Pools apart, prefix caching and speculation: known points, refusals, laws.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use proptest::prelude::*;
use rackrate::Error;
use rackrate::catalog::Catalog;
use rackrate::inference::{ServingPoint, ServingPointRequest, serving_point};
use rackrate::input::{Value, read};
use serde_json::{Value as Json, json};

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

/// DeepSeek-V3 on two nodes of H200 with `changes` laid over it; `null` takes a field away.
fn point(changes: &Json) -> Result<ServingPoint, Error> {
    let mut base = json!({
        "model": "deepseek-v3", "shape": "BM.GPU.H200.8", "gpus": 16, "layout": {"tp": 8},
        "input_tokens": 2000.0, "output_tokens": 300.0, "request_rate": 1.0, "precision": "fp8"
    });
    for (key, value) in changes.as_object().unwrap() {
        base[key] = value.clone();
    }
    let value: Value = serde_json::from_value(base).unwrap();
    let request: ServingPointRequest = read(&value)?;
    serving_point(catalog(), &request)
}

fn apart() -> Json {
    json!({"disaggregated": {"prefill_layout": {"tp": 8}, "prefill_gpus": 8}})
}

/// `changes` and `more`.
fn with(changes: &Json, more: Json) -> Json {
    let mut out = changes.clone();
    for (key, value) in more.as_object().unwrap() {
        out[key] = value.clone();
    }
    out
}

#[test]
fn bad_requests_name_their_field() {
    let llama = json!({"model": "llama-3.3-70b", "layout": {"tp": 4}});
    let spec = |draft: &str| json!({"speculation": {"draft_tokens": 3, "acceptance": 0.7, "draft": draft}});
    let pools = |prefill: Json| json!({"disaggregated": prefill});
    for (change, field, code) in [
        (json!({"prefix_cache": {"hit_rate": 1.0}}), "prefix_cache.hit_rate", "out_of_range"),
        (json!({"prefix_cache": {"hit_rate": -0.1}}), "prefix_cache.hit_rate", "out_of_range"),
        (
            // Fewer than a prompt finds among them.
            json!({"prefix_cache": {"hit_rate": 0.5, "shared_tokens": 10.0}}),
            "prefix_cache.shared_tokens",
            "conflict",
        ),
        (
            json!({"prefix_cache": {"hit_rate": 0.5, "shared_tokens": -10.0}}),
            "prefix_cache.shared_tokens",
            "out_of_range",
        ),
        (json!({"prefix_cache": {}}), "prefix_cache.hit_rate", "missing_field"),
        (
            json!({"speculation": {"draft_tokens": 0, "acceptance": 0.7, "draft": "mtp"}}),
            "speculation.draft_tokens",
            "out_of_range",
        ),
        (
            json!({"speculation": {"draft_tokens": 3, "acceptance": 1.1, "draft": "mtp"}}),
            "speculation.acceptance",
            "out_of_range",
        ),
        (
            json!({"speculation": {"draft_tokens": 3, "acceptance": 0.7}}),
            "speculation.draft",
            "missing_field",
        ),
        (with(&llama, spec("mtp")), "speculation.draft", "unsupported"),
        (with(&llama, spec("llama-3.2-2b")), "speculation.draft", "unknown_name"),
        (with(&llama, spec("qwen3-8b")), "speculation.draft", "conflict"),
        (pools(json!({"prefill_layout": {"tp": 3}})), "disaggregated.prefill_layout.tp", "indivisible"),
        (
            pools(json!({"prefill_layout": {"tp": 8}, "prefill_gpus": 0})),
            "disaggregated.prefill_gpus",
            "out_of_range",
        ),
        (
            pools(json!({"prefill_layout": {"tp": 8}, "prefill_gpus": 4})),
            "disaggregated.prefill_gpus",
            "conflict",
        ),
        (
            pools(json!({"prefill_layout": {"tp": 8}, "prefill_gpus": 16})),
            "disaggregated.prefill_gpus",
            "out_of_range",
        ),
        (pools(json!({"prefill_layout": {"tp": 16}})), "gpus", "conflict"),
        (
            pools(json!({"prefill_layout": {"tp": 8}, "decode_gpus": 8})),
            "disaggregated.decode_gpus",
            "unknown_field",
        ),
        (
            pools(json!({"prefill_layout": {"tp": 8}, "transfer": "never"})),
            "disaggregated.transfer",
            "unknown_name",
        ),
    ] {
        let error = point(&change).unwrap_err();
        assert_eq!((error.field(), error.code()), (field, code), "{change}: {error}");
    }
}

/// arXiv 2211.17192, equation 1; at a = 1 all are accepted.
#[test]
fn tokens_of_an_iteration_follow_the_acceptance() {
    let at = |k: u32, a: f64| {
        let speculation = json!({"speculation": {"draft_tokens": k, "acceptance": a, "draft": "mtp"}});
        point(&speculation).unwrap().tokens_per_iteration
    };
    for (k, a) in [(1, 0.85), (3, 0.7), (7, 0.2)] {
        assert!((at(k, a) - (1.0 - a.powi(k as i32 + 1)) / (1.0 - a)).abs() < 1e-12);
    }
    assert_eq!((at(4, 1.0), at(4, 0.0)), (5.0, 1.0));
    assert_eq!(point(&json!({})).unwrap().tokens_per_iteration, 1.0);
}

/// TensorRT-LLM on 64 B200, 40 replicas of one GPU that read prompts of 15,000 tokens and 6 of four that decode: 1.436 s to
/// the first token, 10.6 ms a token (NVIDIA's measurements shipped with aiconfigurator, silicon_sample.csv, version 1.3.0rc5 of
/// 2026-03-07).
#[test]
fn qwen3_32b_in_two_pools_is_near_its_measurement() {
    let p = point(&json!({
        "engine": {"family": "tensorrt_llm", "year": 2026}, "model": "qwen3-32b", "shape": null, "gpu": "B200-SXM", "gpus": 64, "layout": {"tp": 4}, "precision": "nvfp4",
        "input_tokens": 15_000.0, "output_tokens": 500.0, "request_rate": null, "concurrency": 480.0,
        "disaggregated": {"prefill_layout": {"tp": 1}, "prefill_gpus": 40}
    }))
    .unwrap();
    assert!((p.tpot_seconds / 0.0106 - 1.0).abs() < 0.10, "{} s a token", p.tpot_seconds);
    // 2.02 s for 1.436 measured, 41 % late: 0.12 s of host work for 15,000 tokens, and a queue of random arrivals where a closed loop of
    // twelve requests a replica waits less. Four fifths of the prefill pool are in use: a tenth less speed is half as much queue again.
    assert!((p.ttft_seconds / 1.436 - 1.0).abs() < 0.43, "{} s to the first", p.ttft_seconds);
}

/// InferenceX's DeepSeek and Kimi in two pools on B200, GB200, H100 and H200 (`tests/measured/pools.csv`): the medians of
/// the error that was reached, with room for other constants.
#[test]
fn published_pools_are_near_their_measurements() {
    let (mut throughput, mut tpot) = (Vec::new(), Vec::new());
    for line in include_str!("../../tests/measured/pools.csv").lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |at: usize| cells[at].parse::<f64>();
        let count = |at: usize| cells[at].parse::<u32>().unwrap();
        let layout = |at: usize| json!({"tp": count(at), "dp": count(at + 1), "ep": count(at + 2)});
        let p = point(&json!({
            "engine": engine_of(cells[0]), "model": cells[1], "shape": null, "gpu": cells[2], "precision": cells[3], "gpus": count(4) + count(8),
            "layout": layout(9), "disaggregated": {"prefill_layout": layout(5), "prefill_gpus": count(4)},
            "input_tokens": number(12).unwrap(), "output_tokens": number(13).unwrap(), "request_rate": null,
            "concurrency": number(14).unwrap()
        }))
        .unwrap();
        let error = |ours: f64, measured: f64| (ours / measured - 1.0).abs();
        // Some rows give no throughput.
        throughput.extend(number(15).ok().map(|measured| error(p.total_tokens_per_second_per_gpu, measured)));
        tpot.push(error(p.tpot_seconds, number(16).unwrap()));
    }
    for (what, errors, rows) in [("throughput", &mut throughput, 170), ("time per token", &mut tpot, 200)] {
        assert!(errors.len() >= rows);
        errors.sort_by(f64::total_cmp);
        let at = |share: f64| errors[(share * (errors.len() - 1) as f64) as usize];
        println!("{what}: median {:.3}, 90th percentile {:.3}", at(0.5), at(0.9));
        assert!(at(0.5) < 0.15 && at(0.9) < 0.5, "{what}: {} {}", at(0.5), at(0.9));
    }
}

/// The engine that a row's name says, of the year of most runs.
fn engine_of(id: &str) -> Json {
    let class = ["sglang", "vllm"].into_iter().find(|class| id.contains(class)).unwrap_or("tensorrt_llm");
    json!({"family": class, "year": 2025})
}

/// SGLang on 16 H200, DeepSeek's own prediction layer: 60.4 tokens/s a rank without, 81.5 with two drafted tokens (2.18 a
/// step), 82.0 with three (2.44 a step), on 65,536 tokens and two requests a rank (SGLang's blog on multi-token prediction).
/// The acceptances are those that give these tokens a step.
#[test]
fn multi_token_prediction_gains_what_was_measured() {
    let speed = |speculation: Json| {
        let wide = json!({"tp": 1, "dp": 16, "ep": 16});
        let p = point(&json!({
            "engine": {"family": "sglang", "year": 2025}, "gpus": 144, "layout": wide, "input_tokens": 65_536.0, "output_tokens": 4096.0, "request_rate": null,
            "concurrency": 34.0, "disaggregated": {"prefill_layout": {"tp": 8}, "prefill_gpus": 128},
            "speculation": speculation
        }))
        .unwrap();
        assert!((p.decode_batch / 32.0 - 1.0).abs() < 0.05, "{} decode", p.decode_batch);
        2.0 / p.tpot_seconds
    };
    let plain = speed(Json::Null);
    assert!((plain / 60.4 - 1.0).abs() < 0.25, "{plain} tokens/s");
    for (k, a, measured) in [(2, 0.696, 81.5 / 60.4), (3, 0.678, 82.0 / 60.4)] {
        let gain = speed(json!({"draft_tokens": k, "acceptance": a, "draft": "mtp"})) / plain;
        assert!(
            (gain / measured - 1.0).abs() < 0.15,
            "{k} drafted: {gain} instead of {measured} times as fast"
        );
    }
}

/// 61 layers of 512 + 64 elements and the prediction layer's none, at 1 byte: a rank of 8 keeps all of the latent.
#[test]
fn the_latent_cache_is_sent_whole_to_every_rank() {
    let pools = point(&apart()).unwrap().pools.unwrap();
    assert_eq!(pools.transfer_bytes, 61.0 * 576.0 * 2000.0 * 8.0);
    let one = with(&apart(), json!({"layout": {"tp": 1, "dp": 8, "ep": 8}}));
    assert_eq!(point(&one).unwrap().pools.unwrap().transfer_bytes, 61.0 * 576.0 * 2000.0);
    // Keys and values of heads are cut: 80 layers, 8 heads of 128, both at 1 byte.
    let llama = with(&apart(), json!({"model": "llama-3.3-70b"}));
    assert_eq!(point(&llama).unwrap().pools.unwrap().transfer_bytes, 80.0 * 8.0 * 128.0 * 2.0 * 2000.0);
    // A prefix that both pools hold is not sent.
    let prefix = json!({"prefix_cache": {"hit_rate": 0.5, "shared_tokens": 1000.0}});
    assert_eq!(
        point(&with(&llama, prefix)).unwrap().pools.unwrap().transfer_bytes,
        80.0 * 8.0 * 128.0 * 2000.0
    );
}

#[test]
fn pools_without_a_link_are_refused() {
    let island = json!({"model": "llama-3.1-8b", "shape": "Standard_NC80adis_H100_v5", "gpus": 4, "layout": {"tp": 2},
        "precision": "bf16", "disaggregated": {"prefill_layout": {"tp": 2}}});
    let error = point(&island).unwrap_err();
    assert_eq!((error.field(), error.code()), ("disaggregated", "conflict"), "{error}");
}

/// No other split of the same GPUs sustains more than the one that is found.
#[test]
fn the_balanced_split_is_the_best() {
    let split = |prefill: Option<u32>| {
        point(&json!({"gpus": 64, "output_tokens": 800.0,
            "disaggregated": {"prefill_layout": {"tp": 8}, "prefill_gpus": prefill}}))
        .unwrap()
    };
    let found = split(None);
    for prefill in (1..8).map(|n| 8 * n) {
        assert!(split(Some(prefill)).sustainable_request_rate <= found.sustainable_request_rate);
    }
    let pools = found.pools.unwrap();
    // Whole replicas come as near to the balance of any ratio as one of eight can.
    let ratio = f64::from(pools.prefill_gpus) / f64::from(pools.decode_gpus);
    assert!((ratio - pools.balanced_prefill_gpus_per_decode_gpu.unwrap()).abs() < 1.0, "{ratio} {pools:?}");
    assert_eq!(pools.prefill_gpus + pools.decode_gpus, 64);
}

/// They end with their prompts: nothing is sent, and the GPUs that decode are idle.
#[test]
fn answers_of_one_token_are_those_of_the_pool_that_reads() {
    for load in [json!({"request_rate": 2.0}), json!({"concurrency": 40.0}), json!({"load": "offline"})] {
        let asked = with(&json!({"gpus": 32, "request_rate": null, "output_tokens": 1.0}), load);
        let split = json!({"prefill_layout": {"tp": 8}, "prefill_gpus": 16});
        let apart = point(&with(&asked, json!({"disaggregated": split}))).unwrap();
        let alone =
            point(&with(&asked, json!({"disaggregated": null, "layout": {"tp": 8}, "gpus": 16}))).unwrap();
        let told = |p: &ServingPoint| {
            (
                p.ttft_seconds,
                p.ttft_p95_seconds,
                p.requests_per_second,
                p.concurrency,
                p.sustainable_request_rate,
            )
        };
        assert_eq!(told(&apart), told(&alone), "{asked}");
        assert!(apart.bound_by.starts_with("prefill"), "{}", apart.bound_by);
        assert!(alone.bound_by.starts_with("prefill"), "{}", alone.bound_by);
        let pools = apart.pools.as_ref().unwrap();
        assert_eq!(
            (pools.decode_utilisation, pools.transfer_bytes, pools.transfer_exposed_seconds),
            (0.0, 0.0, 0.0)
        );
        assert_eq!(pools.balanced_prefill_gpus_per_decode_gpu, None);
        // Every figure is a number: none became null on its way.
        let read: ServingPoint = serde_json::from_str(&serde_json::to_string(&apart).unwrap()).unwrap();
        assert_eq!(read, apart);
    }
}

#[test]
fn past_what_the_pools_sustain_is_said() {
    let calm = point(&apart()).unwrap();
    assert!(!calm.saturated && calm.sustainable_request_rate > 1.0);
    let flood = point(&with(&apart(), json!({"request_rate": 1e4}))).unwrap();
    assert!(flood.saturated && flood.warnings.iter().any(|w| w.code == "saturated"));
    assert_eq!(flood.requests_per_second, flood.sustainable_request_rate);
    assert_eq!(flood.sustainable_request_rate, calm.sustainable_request_rate);
    let used = flood.pools.unwrap();
    let most = used.prefill_utilisation.max(used.decode_utilisation).max(used.transfer_utilisation);
    assert!((most - 1.0).abs() < 1e-9, "{used:?}");
}

#[test]
fn operations_add_up_to_the_parts() {
    let spec = json!({"speculation": {"draft_tokens": 2, "acceptance": 0.8, "draft": "mtp"}});
    let wide = json!({"layout": {"tp": 4, "dp": 2, "ep": 8, "pp": 2}});
    let gpt = json!({"model": "gpt-oss-120b", "layout": {"tp": 2, "dp": 8, "ep": 1}, "precision": "bf16"});
    for changes in [json!({}), spec.clone(), wide.clone(), gpt, apart(), with(&wide, spec)] {
        assert!(point(&changes).unwrap().operations.is_empty());
        let p = point(&with(&changes, json!({"explain": true}))).unwrap();
        let ops = serde_json::to_value(&p.operations).unwrap();
        for (iteration, parts) in [("decode", p.decode), ("prefill", p.prefill)] {
            let parts = serde_json::to_value(parts).unwrap();
            let mut all = 0.0;
            for part in [
                "matmul",
                "attention",
                "memory_bound",
                "all_reduce",
                "all_to_all",
                "pipeline",
                "draft",
                "engine",
            ] {
                let of = |op: &&Json| op["iteration"] == iteration && op["part"] == part;
                let seconds: f64 =
                    ops.as_array().unwrap().iter().filter(of).map(|op| op["seconds"].as_f64().unwrap()).sum();
                let whole = parts[format!("{part}_seconds")].as_f64().unwrap();
                assert!(
                    (seconds - whole).abs() <= 1e-9 * whole.max(1e-6),
                    "{iteration} {part}: {seconds} {whole}"
                );
                all += seconds;
            }
            assert!((all / parts["total_seconds"].as_f64().unwrap() - 1.0).abs() < 1e-9);
        }
        for op in &p.operations {
            assert!(
                op.count > 0.0 && op.seconds > 0.0 && op.flop_share <= 1.0 && op.bandwidth_share <= 1.0,
                "{op:?}"
            );
        }
    }
}

/// All of the model's products and none twice: two FLOP for each weight that a token of the prompt meets.
#[test]
fn a_prompts_operations_compute_the_models_flop() {
    let p =
        point(&json!({"model": "llama-3.3-70b", "gpus": 8, "layout": {"tp": 8}, "explain": true})).unwrap();
    let prefill = p.operations.iter().filter(|op| serde_json::to_value(op.iteration).unwrap() == "prefill");
    let flop: f64 = prefill
        .filter(|op| op.name.contains("projection") || op.name.contains("feed"))
        .map(|op| op.flop)
        .sum();
    // 70.6 G parameters without the input embedding's 1.05 G; the output projection for the last token only.
    let weights = (70.554e9 - 2.0 * 128_256.0 * 8192.0) * 2000.0 + 128_256.0 * 8192.0;
    assert!((flop * 8.0 / (2.0 * weights) - 1.0).abs() < 0.001, "{}", flop * 8.0 / (2.0 * weights));
}

#[test]
fn a_prefix_shared_by_all_leaves_room_for_more() {
    let at = |shared: Json| {
        let p = point(&json!({"model": "llama-3.3-70b", "gpus": 4, "layout": {"tp": 4}, "input_tokens": 30_000.0,
            "request_rate": null, "concurrency": 5000.0, "prefix_cache": {"hit_rate": 0.8, "shared_tokens": shared}}))
        .unwrap();
        assert!(p.memory.kv_used_share <= 1.0 + 1e-9, "{:?}", p.memory);
        p.decode_batch
    };
    assert!(at(json!(24_000.0)) > 2.0 * at(Json::Null));
    // Many different prefixes crowd requests out.
    assert!(at(json!(1e6)) < at(json!(24_000.0)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn more_hits_are_never_slower(c in case(), less in 0.0..0.9_f64, more in 0.0..1.0_f64) {
        let hits = |rate: f64| with(&c, json!({"prefix_cache": {"hit_rate": rate}}));
        let more = less + more * (0.95 - less);
        let (a, b) = (point(&hits(less)).unwrap(), point(&hits(more)).unwrap());
        // Tiles make steps, and the batch is found to one part in a thousand.
        prop_assert!(b.prefill.total_seconds <= a.prefill.total_seconds * 1.01);
        // Of attention ranks that meet in the experts all wait for the fullest, which reads as many tokens as an iteration may as long
        // as any has them. They attend to what is found too, by which the iteration is longer: so it is in the simulation
        // (`tests/inference_ranks.rs`). No token takes longer than its mean context has grown.
        let meet = a.layout.dp > 1 && a.layout.ep > 1;
        let context = |hit: f64| 0.5 * (1.0 + hit);
        let dips = if meet { context(less) / context(more) } else { 1.0 };
        prop_assert!(b.sustainable_request_rate >= a.sustainable_request_rate * 0.99 * dips, "{a:?} {b:?}");
        if !a.saturated && a.requests_per_second < 0.9 * a.sustainable_request_rate {
            prop_assert!(b.ttft_seconds <= a.ttft_seconds * 1.05, "{} {}", a.ttft_seconds, b.ttft_seconds);
        }
    }

    #[test]
    fn more_acceptance_is_never_slower(c in case(), k in 1_u32..6, less in 0.0..1.0_f64, more in 0.0..1.0_f64) {
        let draft = if c["model"] == "deepseek-v3" { "mtp" } else { "llama-3.2-1b" };
        let at = |a: f64| {
            with(&c, json!({"speculation": {"draft_tokens": k, "acceptance": a, "draft": draft}}))
        };
        let more = less + more * (1.0 - less);
        let (plain, a, b) = (point(&c).unwrap(), point(&at(less)).unwrap(), point(&at(more)).unwrap());
        let same = |p: &ServingPoint| p.tpot_seconds * p.tokens_per_iteration;
        // Close to the highest rate a wave of tiles more or less decides between two batches.
        if a.requests_per_second < 0.8 * a.sustainable_request_rate {
            prop_assert!(b.tpot_seconds <= a.tpot_seconds * 1.05, "{} {}", a.tpot_seconds, b.tpot_seconds);
        }
        // Tiles and waves make steps, as in every law of throughput: a batch a little smaller may need another wave.
        prop_assert!(b.sustainable_request_rate >= a.sustainable_request_rate * 0.88);
        prop_assert!(a.decode.draft_seconds > 0.0 && plain.decode.draft_seconds == 0.0);
        // Checking is no cheaper than a plain iteration of as large a batch.
        if !plain.saturated && !a.saturated && a.decode_batch >= plain.decode_batch {
            prop_assert!(same(&a) >= plain.decode.total_seconds * 0.98);
        }
    }

    #[test]
    fn prompts_read_elsewhere_do_not_hold_up_tokens(c in case(), transfer in prop::bool::ANY) {
        let kind = if transfer { "layer_by_layer" } else { "after_prefill" };
        let layout = c["layout"].clone();
        let pools = json!({"gpus": 32, "disaggregated": {"prefill_layout": layout, "prefill_gpus": 16, "transfer": kind}});
        let (together, p) = (point(&c).unwrap(), point(&with(&c, pools.clone())).unwrap());
        let said = p.pools.unwrap();
        if !together.saturated && !p.saturated {
            prop_assert!(p.tpot_seconds <= together.tpot_seconds * 1.01, "{} {}",
                p.tpot_seconds, together.tpot_seconds);
        }
        prop_assert!(p.ttft_seconds >= (said.prefill_seconds + said.transfer_exposed_seconds) * (1.0 - 1e-9));
        prop_assert!(said.transfer_exposed_seconds <= said.transfer_seconds);
        prop_assert!(p.ttft_p95_seconds >= p.ttft_seconds);
        // The pool that is least sustains what the whole does.
        let most = said.prefill_utilisation.max(said.decode_utilisation).max(said.transfer_utilisation);
        prop_assert!((p.requests_per_second / most / p.sustainable_request_rate - 1.0).abs() < 1e-6);
        // Twice the replicas of both sustain twice as much, as far as the same links join them.
        let double = json!({"gpus": 64, "disaggregated": {"prefill_layout": layout, "prefill_gpus": 32, "transfer": kind}});
        let twice = point(&with(&c, double)).unwrap();
        prop_assert!(twice.sustainable_request_rate <= 2.0 * p.sustainable_request_rate * (1.0 + 1e-9));
    }

    #[test]
    fn a_closed_loop_of_pools_keeps_littles_law(c in case(), requests in 1.0..3000.0_f64) {
        let closed = json!({"request_rate": null, "concurrency": requests, "gpus": 32,
            "disaggregated": {"prefill_layout": c["layout"], "prefill_gpus": 16}});
        let p = point(&with(&c, closed)).unwrap();
        let output = c["output_tokens"].as_f64().unwrap();
        let seconds = p.ttft_seconds + (output - 1.0) * p.tpot_seconds;
        prop_assert!((p.requests_per_second * seconds / requests - 1.0).abs() < 0.02, "{p:?}");
        prop_assert!(p.requests_per_second <= p.sustainable_request_rate * (1.0 + 1e-9));
    }
}

prop_compose! {
    /// Sixteen H200 at a random load.
    fn case()(
        model in prop::sample::select(&["deepseek-v3", "llama-3.3-70b", "llama-3.1-405b"][..]),
        wide in any::<bool>(),
        input in 100.0..20_000.0_f64,
        output in 10.0..2_000.0_f64,
        rate in 0.05..20.0_f64,
    ) -> Json {
        let layout = match (model, wide) {
            ("deepseek-v3", true) => json!({"tp": 1, "dp": 16, "ep": 16}),
            ("deepseek-v3", false) => json!({"tp": 8, "pp": 2}),
            (_, true) => json!({"tp": 4, "pp": 4}),
            (_, false) => json!({"tp": 8, "pp": 2}),
        };
        json!({"model": model, "layout": layout, "input_tokens": input, "output_tokens": output, "request_rate": rate})
    }
}
