//! Nothing panics: every cell and every key of a config takes every kind of odd value, and what comes back is an answer
//! or an error that names the place.

// Helpers outside of test functions unwrap too: a failure is the test's failure.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::{Catalog, Overlay};
use rackrate::input::{Value, read};
use rackrate::model::from_hugging_face;

fn odd_values() -> Vec<Value> {
    let numbers = [0.0, 1.0, -1.0, 0.5, 7.0, 4_294_967_295.0, 1e300, f64::NAN, f64::INFINITY];
    let texts = ["", "0", "-", "1e999", "llama", ";;;", "2026-13-01", "é\u{0}"];
    let mut out = vec![
        Value::Null,
        Value::Bool(true),
        Value::List(vec![]),
        Value::List(vec![Value::Null, Value::Number(3.0)]),
        Value::Object(vec![]),
    ];
    out.extend(numbers.map(Value::Number));
    out.extend(texts.map(|t| Value::Text(t.to_owned())));
    out
}

const CONFIGS: [&str; 4] = [
    r#"{"model_type": "deepseek_v3", "first_k_dense_replace": 3, "hidden_size": 7168, "intermediate_size": 18432,
        "kv_lora_rank": 512, "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_routed_experts": 256,
        "n_shared_experts": 1, "num_attention_heads": 128, "num_experts_per_tok": 8, "num_hidden_layers": 61,
        "num_key_value_heads": 128, "num_nextn_predict_layers": 1, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 129280, "architectures": null, "layer_types": null}"#,
    r#"{"model_type": "qwen3_moe", "decoder_sparse_step": 1, "head_dim": 128, "hidden_size": 4096,
        "intermediate_size": 12288, "mlp_only_layers": [1], "moe_intermediate_size": 1536, "num_attention_heads": 64,
        "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 94, "num_key_value_heads": 4,
        "sliding_window": 128, "use_sliding_window": true, "max_window_layers": 3, "vocab_size": 151936}"#,
    r#"{"model_type": "llama4_text", "attention_chunk_size": 8192, "head_dim": 128, "hidden_size": 5120,
        "interleave_moe_layer_step": 2, "intermediate_size": 8192, "intermediate_size_mlp": 16384,
        "num_attention_heads": 40, "num_experts_per_tok": 1, "num_hidden_layers": 48, "num_key_value_heads": 8,
        "num_local_experts": 128, "vocab_size": 202048}"#,
    r#"{"model_type": "falcon", "bias": false, "hidden_size": 8192, "new_decoder_architecture": true,
        "ffn_hidden_size": null, "num_attention_heads": 128, "num_hidden_layers": 60, "num_kv_heads": 8,
        "vocab_size": 65024, "multi_query": true, "text_config": null}"#,
];

#[test]
fn configs() {
    let (mut read_well, mut refused) = (0, 0);
    let released = std::fs::read_dir(format!("{}/tests/configs", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let released = released
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| std::fs::read_to_string(path).unwrap());
    for json in CONFIGS.into_iter().map(str::to_owned).chain(released) {
        let Value::Object(fields) = serde_json::from_str(&json).unwrap() else { unreachable!() };
        for at in 0..fields.len() {
            for odd in odd_values() {
                let mut broken = fields.clone();
                broken[at].1 = odd;
                let result = from_hugging_face(&Value::Object(broken)).and_then(|a| a.check("").map(|()| a));
                match result {
                    Ok(a) => {
                        read_well += 1;
                        for figure in [
                            a.parameters(),
                            a.active_parameters(),
                            a.training_flop_per_token(8192.0),
                            a.kv_cache_elements(8192.0),
                        ] {
                            assert!(figure.is_finite() && figure > 0.0, "{a:?}");
                        }
                        assert!(a.active_parameters() <= a.parameters());
                    }
                    Err(e) => {
                        refused += 1;
                        assert!(!e.field().is_empty(), "{e}");
                    }
                }
            }
        }
    }
    assert!(read_well > 5000 && refused > 10_000, "{read_well} {refused}");
}

#[test]
fn overlay_cells() {
    let catalog = Catalog::embedded().unwrap();
    let mut refused = 0;
    for (table, text) in [
        ("gpus", include_str!("../data/gpus.csv")),
        ("shapes", include_str!("../data/shapes.csv")),
        ("fabrics", include_str!("../data/fabrics.csv")),
        ("prices", include_str!("../data/prices.csv")),
        ("regions", include_str!("../data/regions.csv")),
        ("storage", include_str!("../data/storage.csv")),
        ("transfers", include_str!("../data/transfers.csv")),
        ("pairs", include_str!("../data/pairs.csv")),
        ("limits", include_str!("../data/limits.csv")),
        ("energy", include_str!("../data/energy.csv")),
        ("reliability", include_str!("../data/reliability.csv")),
        ("models", include_str!("../data/models.csv")),
    ] {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let first = reader.records().next().unwrap().unwrap();
        let row: Vec<(String, Value)> = header
            .iter()
            .zip(&first)
            .map(|(c, v)| (c.to_owned(), if v.is_empty() { Value::Null } else { Value::Text(v.to_owned()) }))
            .collect();
        for at in 0..row.len() {
            for odd in odd_values() {
                let mut broken = row.clone();
                broken[at].1 = odd;
                let rows = Value::List(vec![Value::Object(broken)]);
                let overlay: Overlay = read(&Value::Object(vec![(table.to_owned(), rows)])).unwrap();
                if let Err(e) = catalog.overlaid(&overlay) {
                    refused += 1;
                    assert!(e.field().starts_with(table), "{e}");
                }
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}
