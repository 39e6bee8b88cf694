//! The shared cases, replayed through core: every other face must say the same, bit for bit.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/cases.rs"]
mod support;

use serde_json::Value as Json;

/// The first place where two answers differ.
fn difference(path: &str, ours: &Json, golden: &Json) -> Option<String> {
    match (ours, golden) {
        (Json::Object(a), Json::Object(b)) => {
            if let Some(key) =
                a.keys().chain(b.keys()).find(|key| a.contains_key(*key) != b.contains_key(*key))
            {
                return Some(format!("{path}.{key} is on one side only"));
            }
            a.iter().find_map(|(key, value)| difference(&format!("{path}.{key}"), value, &b[key]))
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (x, y))| difference(&format!("{path}[{i}]"), x, y))
        }
        (Json::Number(a), Json::Number(b)) => {
            // JSON writes a number in the fewest digits that give it back, so equal bits are equal numbers.
            (a.as_f64() != b.as_f64()).then(|| format!("{path}: {a} instead of {b}"))
        }
        (Json::Array(a), Json::Array(b)) => Some(format!("{path}: {} items instead of {}", a.len(), b.len())),
        (a, b) => (a != b).then(|| format!("{path}: {a} instead of {b}")),
    }
}

#[test]
fn every_case_is_answered_as_written() {
    let paths = support::paths();
    assert!(paths.len() >= 40, "only {} cases", paths.len());
    for path in paths {
        let case = support::read(&path);
        let ours = support::answer(&case.call, &case.request);
        if let Some(difference) = difference("", &ours, &case.expected) {
            panic!(
                "{}: {difference}\nIf the new number is right, run `cargo run --release --example cases` and say why \
                 in CHANGELOG.md.",
                path.display()
            );
        }
    }
}

#[test]
fn a_corrupted_golden_is_seen() {
    let path = support::paths().into_iter().find(|p| p.ends_with("plan-serve-70b.json")).unwrap();
    let mut case = support::read(&path);
    let number = case.expected.pointer_mut("/answer/serving/options/0/point/tpot_seconds").unwrap();
    // The smallest change there is: one unit in the last place.
    let corrupted = f64::from_bits(number.as_f64().unwrap().to_bits() + 1);
    *number = serde_json::json!(corrupted);
    let ours = support::answer(&case.call, &case.request);
    let seen = difference("", &ours, &case.expected).unwrap();
    assert!(seen.contains("tpot_seconds"), "{seen}");
}
