//! Presets: parameter counts against what was published.

// Helpers outside of test functions unwrap too: a failure is the test's failure.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::Catalog;
use rackrate::model::{Architecture, SmallParameter};

fn model(name: &str) -> &'static Architecture {
    &Catalog::embedded().unwrap().model("model", name).unwrap().architecture
}

/// Names whose published total is not a count of this architecture, and by how much it differs at most.
const TOTAL_DIFFERS: [(&str, f64, &str); 6] = [
    ("kimi-k2", 0.014, "the report prints 1.04T, the shapes of the released weights sum to 1.026T"),
    ("kimi-k2.5", 0.014, "as kimi-k2"),
    ("llama-4-scout", 0.012, "published with the vision tower"),
    ("nemotron-3.5-lightning-30b-a3b", 0.06, "a name: shapes are those of Nemotron 3 Nano, 31.6 B"),
    ("nemotron-22b", 0.034, "a name: no size was published"),
    ("mcore-gpt-32b", 0.017, "a name: its table prints whole billions"),
];

/// How far a count may lie from `published`: 1 %, or so many units of the last digit printed in billions.
fn tolerance(published: f64, units: f64) -> f64 {
    let printed = format!("{}", published / 1e9);
    let decimals = printed.split_once('.').map_or(0, |(_, digits)| digits.len());
    (0.01 * published).max(units * 1e9 * 10_f64.powi(-i32::try_from(decimals).unwrap()))
}

#[test]
fn totals_agree_with_the_published_ones() {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for preset in &Catalog::embedded().unwrap().models {
        let a = &preset.architecture;
        if a.unsupported.is_some() {
            continue;
        }
        let published = a.published_parameters.unwrap();
        let error = (a.parameters() - published).abs();
        match TOTAL_DIFFERS.iter().find(|(name, ..)| *name == a.name) {
            Some((name, most, why)) => {
                assert!(error < most * published && error > tolerance(published, 0.5), "{name}: {why}");
            }
            None if error > tolerance(published, 0.5) => {
                wrong.push(format!("{}: {:.4e} counted, {published:.4e} published", a.name, a.parameters()));
            }
            None => compared += 1,
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 130, "{compared}");
}

/// Published active counts without the input embedding: as their reports say (gpt-oss), or as only fits.
const WITHOUT_EMBEDDING: [&str; 6] = [
    "gpt-oss-20b",
    "gpt-oss-120b",
    "deepseek-v2-lite",
    "nemotron-3-nano-30b-a3b",
    "nemotron-3-super-120b-a12b",
    "nemotron-3-ultra-550b-a55b",
];

/// Published active counts without input and output embedding: as the report says (GLM-4.5, arXiv 2508.06471, table 1), or
/// as only fits (MiniMax-M2).
const WITHOUT_BOTH_EMBEDDINGS: [&str; 6] =
    ["glm-4.5", "glm-4.5-air", "glm-4.6", "glm-4.7", "minimax-m2", "minimax-m2.5"];

#[test]
fn active_counts_agree_with_the_published_ones() {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for preset in &Catalog::embedded().unwrap().models {
        let a = &preset.architecture;
        let (Some(published), None) = (a.published_active_parameters, &a.unsupported) else { continue };
        if a.moe.is_none() {
            assert_eq!(a.active_parameters(), a.parameters(), "{}", a.name);
            continue;
        }
        // Active counts are names rather than measures: some are rounded down. Grok-1's figure is a third party's.
        let allowed = if a.name == "grok-1-314b" { 0.03 * published } else { tolerance(published, 1.0) };
        let mut counted = a.active_parameters();
        if WITHOUT_EMBEDDING.contains(&a.name.as_str()) {
            counted -= a.embedding_parameters();
        } else if WITHOUT_BOTH_EMBEDDINGS.contains(&a.name.as_str()) {
            counted -= a.embedding_parameters() + a.output_parameters();
        }
        compared += 1;
        if (counted - published).abs() > allowed {
            wrong.push(format!("{} {:+.4}", a.name, counted / published - 1.0));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared >= 28, "{compared}");
}

#[test]
fn small_parameters_are_checked() {
    let field = |kinds: &[SmallParameter]| {
        let mut a = model("qwen3-8b").clone();
        a.small_parameters = kinds.to_vec();
        a.check("m").map_err(|e| (e.field().to_owned(), e.code()))
    };
    use SmallParameter as P;
    assert_eq!(field(&[P::QkvBiases, P::QkNorm]), Ok(()));
    let conflict = Err(("m.small_parameters".to_owned(), "conflict"));
    assert_eq!(field(&[P::QkNorm, P::QkvBiases, P::QkNorm]), conflict);
    assert_eq!(field(&[P::SharedNorm, P::SandwichNorms]), conflict);
    assert_eq!(field(&[P::QkNorm, P::QkNormAllHeads]), conflict);
}

#[test]
fn small_parameters_count_what_they_name() {
    use SmallParameter as P;
    // Width 4096, 32 heads of 128, 8 key and value heads, 36 layers, feed-forward layers 12288 wide.
    let mut plain = model("qwen3-8b").clone();
    plain.small_parameters.clear();
    let more = |kind: P| {
        let mut a = plain.clone();
        a.small_parameters = vec![kind];
        a.parameters() - plain.parameters()
    };
    let vocabulary = f64::from(plain.vocab);
    for (kind, each_layer, once) in [
        (P::QkvBiases, 4096.0 + 2048.0, 0.0),
        (P::AttentionOutputBias, 4096.0, 0.0),
        (P::FfnBiases, 2.0 * 12288.0 + 4096.0, 0.0),
        (P::OutputBias, 0.0, vocabulary),
        (P::AttentionSinks, 32.0, 0.0),
        (P::QkNorm, 256.0, 0.0),
        (P::QkNormAllHeads, 4096.0 + 1024.0, 0.0),
        (P::NormBiases, 2.0 * 4096.0, 4096.0),
        (P::NormsWithoutScale, -2.0 * 4096.0, -4096.0),
        (P::SandwichNorms, 2.0 * 4096.0, 0.0),
        (P::SharedNorm, -4096.0, 0.0),
        (P::EmbeddingNorm, 0.0, 4096.0),
        (P::NoFinalNorm, 0.0, -4096.0),
        // Without experts these are nothing.
        (P::RouterBiases, 0.0, 0.0),
        (P::SharedExpertGate, 0.0, 0.0),
    ] {
        assert_eq!(more(kind), 36.0 * each_layer + once, "{kind:?}");
    }
    // 28 layers of 64 experts, shared ones behind a gate from 3584 to 1.
    let gated = model("qwen2-57b-a14b");
    let mut bare = gated.clone();
    bare.small_parameters.clear();
    let biases = 28.0 * (3584.0 + 2.0 * 512.0);
    assert_eq!(gated.parameters() - bare.parameters(), biases + 28.0 * 3584.0);
    bare.small_parameters = vec![P::RouterBiases];
    assert_eq!(gated.parameters() - bare.parameters(), biases + 28.0 * 3584.0 - 28.0 * 64.0);
}

#[track_caller]
fn close(given: f64, expected: f64, tolerance: f64) {
    assert!((given / expected - 1.0).abs() <= tolerance, "{given:e} is not {expected:e}");
}

#[test]
fn model_flop_agree_with_a_framework_that_counts_causally() {
    // NVIDIA Megatron-Bridge's model FLOP per token at its own sequence lengths.
    close(model("llama-3-8b").training_flop_per_token(8192.0), 51.5e9, 0.002);
    close(model("llama-3.1-405b").training_flop_per_token(8192.0), 2525e9, 0.002);
    // With the multi-token-prediction layer.
    close(model("deepseek-v3").training_flop_per_token(4096.0), 260e9, 0.02);
}

#[test]
fn model_flop_follow_palm_when_attention_is_counted_in_full() {
    // arXiv 2204.02311 appendix B: 6N + 12·L·H·Q·T; N there includes the embedding, which PaLM ties to its output.
    let palm = model("palm-540b");
    let causal = palm.training_flop_per_token(2048.0);
    let full = causal + 3.0 * palm.attention_flop_per_token(2048.0);
    let appendix = 6.0 * palm.parameters() + 12.0 * 118.0 * 48.0 * 256.0 * 2048.0;
    close(full, appendix, 1e-4);
}

#[test]
fn windows_cap_attention() {
    let windowed = model("gemma-3-27b");
    let mut full = windowed.clone();
    full.sliding_window = None;
    // Shorter than the window there is no difference, at the window's edge none yet.
    for s in [512.0, 1024.0] {
        assert_eq!(windowed.attention_flop_per_token(s), full.attention_flop_per_token(s));
        assert_eq!(windowed.kv_cache_elements(s), full.kv_cache_elements(s));
    }
    // At 8192 a local layer sees 1024 − 1024²/16384 = 960 positions in the mean instead of 4096.
    close(
        windowed.attention_flop_per_token(8192.0) / full.attention_flop_per_token(8192.0),
        (10.0 + 52.0 * 960.0 / 4096.0) / 62.0,
        1e-12,
    );
    close(
        windowed.kv_cache_elements(8192.0) / full.kv_cache_elements(8192.0),
        (10.0 + 52.0 / 8.0) / 62.0,
        1e-12,
    );
}

#[test]
fn kv_cache_agrees_with_published_sizes() {
    // KB per token at two bytes an element: DeepSeek, arXiv 2505.09343, table 1.
    for (name, kb) in [("deepseek-v3", 70.272), ("qwen2.5-72b", 327.68), ("llama-3.1-405b", 516.096)] {
        assert_eq!(2.0 * model(name).kv_cache_elements_per_token(), kb * 1000.0, "{name}");
        assert_eq!(model(name).kv_cache_elements(10.0), 10.0 * model(name).kv_cache_elements_per_token());
    }
}

#[test]
fn layer_parts_add_up() {
    // DeepSeek-V3, arXiv 2412.19437 section 4.2: 3 dense layers, 58 with 256 experts of width 2048 and one shared.
    let v3 = model("deepseek-v3");
    assert_eq!((v3.dense_layers(), v3.moe_layers()), (3, 58));
    assert_eq!(v3.expert_parameters(), 3.0 * 7168.0 * 2048.0);
    assert_eq!(v3.shared_expert_parameters(), v3.expert_parameters());
    // With the bias of each expert that balances them.
    assert_eq!(v3.router_parameters(), (7168.0 + 1.0) * 256.0);
    // The checkpoint holds 14 B more for prediction of a second token, embedding and output head repeated.
    close(v3.mtp_parameters() + 2.0 * v3.embedding_parameters(), 14e9, 0.05);
    let scout = model("llama-4-scout");
    assert_eq!((scout.dense_layers(), scout.moe_layers()), (0, 48));
    let llama = model("llama-3.1-8b");
    assert_eq!((llama.dense_layers(), llama.moe_layers()), (32, 0));
    assert_eq!(llama.expert_parameters() + llama.router_parameters() + llama.mtp_parameters(), 0.0);
    // 8,030,261,248 parameters, as the released weights hold.
    assert_eq!(llama.parameters(), 8_030_261_248.0);
}

#[test]
fn what_cannot_be_priced_says_so() {
    for name in ["qwen3.5-397b-a17b", "deepseek-v3.2", "glm-5.2", "deepseek-v4-flash"] {
        assert!(model(name).unsupported.as_ref().unwrap().len() > 10, "{name}");
    }
    assert_eq!(
        Catalog::embedded().unwrap().models.iter().filter(|m| m.architecture.unsupported.is_some()).count(),
        10
    );
}

#[test]
fn absurd_architectures_are_refused() {
    let good = model("deepseek-v3").clone();
    good.check("m").unwrap();
    let broken = |change: &dyn Fn(&mut Architecture)| {
        let mut a = good.clone();
        change(&mut a);
        a.check("m").unwrap_err().field().to_owned()
    };
    assert_eq!(broken(&|a| a.layers = 0), "m.layers");
    assert_eq!(broken(&|a| a.hidden = u32::MAX), "m.hidden");
    assert_eq!(broken(&|a| a.ffn = 0), "m.ffn");
    assert_eq!(broken(&|a| a.moe.as_mut().unwrap().top_k = 257), "m.moe.top_k");
    assert_eq!(broken(&|a| a.moe.as_mut().unwrap().dense_layers = 61), "m.moe.dense_layers");
    assert_eq!(broken(&|a| a.mla.as_mut().unwrap().kv_lora_rank = 0), "m.mla.kv_lora_rank");
    assert_eq!(broken(&|a| a.published_parameters = Some(f64::NAN)), "m.published_parameters");
    assert_eq!(
        broken(&|a| {
            a.mla = None;
            a.kv_heads = 48;
        }),
        "m.kv_heads"
    );
}
