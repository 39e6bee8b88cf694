//! Reading, answering and writing the cases that every face replays.
#![allow(missing_docs, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use rackrate::input::Value;
use rackrate::{Error, api};
use serde::Serialize;
use serde_json::Value as Json;

/// A question with the answer that every face must give, bit for bit.
pub struct Case {
    pub call: String,
    pub request: Json,
    #[allow(dead_code)]
    pub expected: Json,
}

pub fn paths() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cases");
    let mut out: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("tests/cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    out.sort();
    out
}

pub fn read(path: &PathBuf) -> Case {
    let text = std::fs::read_to_string(path).expect("a readable case");
    let json: Json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Case {
        call: json["call"].as_str().expect("call").to_owned(),
        request: json["request"].clone(),
        expected: json
            .get("answer")
            .map(|answer| serde_json::json!({ "answer": answer }))
            .or_else(|| json.get("error").map(|error| serde_json::json!({ "error": error })))
            .unwrap_or(Json::Null),
    }
}

/// `{ "answer": … }` or `{ "error": { code, field, message, hint } }`.
pub fn answer(call: &str, request: &Json) -> Json {
    let value: Value = serde_json::from_value(request.clone()).expect("any JSON is a value");
    match call {
        "plan" => pack(api::plan(&value)),
        "training_step" => pack(api::training_step(&value)),
        "search_layouts" => pack(api::search_layouts(&value)),
        "serving_point" => pack(api::serving_point(&value)),
        "search_serving" => pack(api::search_serving(&value)),
        "simulate" => pack(api::simulate(&value)),
        "collective" => pack(api::collective(&value)),
        other => panic!("no call is named {other}"),
    }
}

fn pack<T: Serialize>(result: Result<T, Error>) -> Json {
    match result {
        Ok(answer) => serde_json::json!({ "answer": answer }),
        Err(error) => serde_json::json!({ "error": error }),
    }
}

/// The file of a case: call and request first, one line for each field of the answer.
#[allow(dead_code)]
pub fn render(call: &str, request: &Json, expected: &Json) -> String {
    let mut out =
        format!("{{\n  \"call\": {},\n  \"request\": {}", serde_json::json!(call), pretty(request, 1));
    for key in ["answer", "error"] {
        if let Some(value) = expected.get(key) {
            out.push_str(&format!(",\n  \"{key}\": {}", pretty(value, 1)));
        }
    }
    out.push_str("\n}\n");
    out
}

/// Two levels are broken into lines, deeper ones stand on one.
fn pretty(value: &Json, depth: usize) -> String {
    let pad = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match value {
        Json::Object(map) if !map.is_empty() && depth < 4 => {
            let lines: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{pad}{}: {}", serde_json::json!(key), pretty(value, depth + 1)))
                .collect();
            format!("{{\n{}\n{end}}}", lines.join(",\n"))
        }
        Json::Array(items) if !items.is_empty() && depth < 4 && items.iter().any(Json::is_object) => {
            let lines: Vec<String> =
                items.iter().map(|item| format!("{pad}{}", pretty(item, depth + 1))).collect();
            format!("[\n{}\n{end}]", lines.join(",\n"))
        }
        other => other.to_string(),
    }
}
