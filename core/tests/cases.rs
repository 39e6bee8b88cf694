//! The cases of `tests/cases`, which every face replays: here against the core, to the last bit.
//!
//! `REFRESH_CASES=1 cargo test -p rackrate --test cases` (or `make goldens`) writes the answers anew from the requests;
//! the difference in the files is what there is to review. Never edit an answer to silence a test.

use std::fs;
use std::path::{Path, PathBuf};

use rackrate::input::Value;
use rackrate::{Error, api};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What the case is for.
    about: String,
    /// Name of the call in [`api`].
    call: String,
    request: Value,
    #[serde(default)]
    answer: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

fn cases() -> Vec<(PathBuf, String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let case =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, text, case)
        })
        .collect()
}

/// The file that the case should be.
fn written(case: &Case) -> String {
    match case.call.as_str() {
        "plan" => put(case, api::plan),
        "training_step" => put(case, api::training_step),
        "search_layouts" => put(case, api::search_layouts),
        "serving_point" => put(case, api::serving_point),
        "search_serving" => put(case, api::search_serving),
        "collective" => put(case, api::collective),
        other => panic!("no call is named {other}"),
    }
}

fn put<T: Serialize>(case: &Case, call: fn(&Value) -> Result<T, Error>) -> String {
    #[derive(Serialize)]
    struct File<'a, T> {
        about: &'a str,
        call: &'a str,
        request: &'a Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        answer: Option<T>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<Error>,
    }
    let (answer, error) = match call(&case.request) {
        Ok(answer) => (Some(answer), None),
        Err(error) => (None, Some(error)),
    };
    let file = File { about: &case.about, call: &case.call, request: &case.request, answer, error };
    serde_json::to_string_pretty(&file).unwrap() + "\n"
}

#[test]
fn every_case_is_answered_to_the_last_bit() {
    let refresh = std::env::var_os("REFRESH_CASES").is_some();
    let cases = cases();
    assert!(cases.len() >= 10, "only {} cases", cases.len());
    let mut stale = Vec::new();
    for (path, text, case) in &cases {
        let should = written(case);
        if refresh && *text != should {
            fs::write(path, &should).unwrap();
        } else if *text != should {
            let differs = text.lines().zip(should.lines()).position(|(is, should)| is != should);
            stale.push(format!("{}: line {:?}", path.display(), differs.map(|line| line + 1)));
        }
    }
    assert!(
        stale.is_empty(),
        "numbers moved; if they should, run `make goldens` and say why:\n{}",
        stale.join("\n")
    );
}

/// A replay that compares nothing would pass the test above.
#[test]
fn a_corrupted_case_is_seen() {
    for (path, text, case) in cases() {
        assert!(case.answer.is_some() != case.error.is_some(), "{}: an answer or an error", path.display());
        let digit = text.rfind(|c: char| c.is_ascii_digit());
        let Some(digit) = digit.filter(|_| case.answer.is_some()) else { continue };
        let mut corrupted = text.clone();
        let other = if text.as_bytes()[digit] == b'7' { "3" } else { "7" };
        corrupted.replace_range(digit..=digit, other);
        assert_ne!(corrupted, written(&case), "{}", path.display());
    }
}
