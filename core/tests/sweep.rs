//! A sweep is its single calls, cell by cell, and says which cells have no number and why.
#![allow(clippy::unwrap_used)]

use rackrate::input::Value;
use rackrate::sweep::{MOST_AXES, MOST_CELLS, MOST_OUTPUTS, Sweep};
use rackrate::{Error, api};
use serde_json::{Value as Json, json};

fn value(json: &Json) -> Value {
    serde_json::from_value(json.clone()).unwrap()
}

fn sweep(request: &Json) -> Result<Sweep, Error> {
    api::sweep(&value(request))
}

fn refused(request: &Json) -> (String, String, Option<String>) {
    let error = sweep(request).unwrap_err();
    (error.code().to_owned(), error.field().to_owned(), error.hint())
}

fn training() -> Json {
    json!({
        "call": "training_step",
        "base": {
            "model": "llama-3.1-8b",
            "gpu": "H100-SXM",
            "layout": { "global_batch": 128 },
            "sequence_length": 8192,
        },
        "axes": [
            { "field": "gpus", "values": [16, 64, 128] },
            { "field": "layout.tp", "values": [1, 2, 3, 4] },
        ],
        "outputs": ["step_seconds", "memory.total_gib", "layout.dp"],
    })
}

fn serving() -> Json {
    json!({
        "call": "serving_point",
        "base": { "model": "llama-3.1-8b", "gpu": "H100-SXM", "gpus": 8, "output_tokens": 200 },
        "axes": [
            { "field": "input_tokens", "values": ["1k", 2000] },
            { "field": "layout", "values": [{ "tp": 1 }, { "tp": 2 }] },
            { "field": "concurrency", "values": [1, 16, 64] },
        ],
        "outputs": ["tpot_seconds", "tpot_interval.low"],
    })
}

fn collective() -> Json {
    json!({
        "call": "collective",
        "base": { "op": "all_reduce", "shape": "BM.GPU.H100.8", "nodes": 1 },
        "axes": [
            { "field": "nodes", "values": [1, 2, 16] },
            { "field": "bytes", "values": [1e6, 1e9] },
        ],
        "outputs": ["seconds", "busbw", "ranks"],
    })
}

/// The request of one cell, made without the sweep.
fn single(request: &Json, index: &[usize]) -> Json {
    let mut single = request["base"].clone();
    for (axis, &at) in request["axes"].as_array().unwrap().iter().zip(index) {
        let mut place = &mut single;
        for key in axis["field"].as_str().unwrap().split('.') {
            place = &mut place[key];
        }
        *place = axis["values"][at].clone();
    }
    single
}

fn answer(call: &str, request: &Json) -> Result<Json, Error> {
    let request = value(request);
    Ok(match call {
        "training_step" => json!(api::training_step(&request)?),
        "serving_point" => json!(api::serving_point(&request)?),
        _ => json!(api::collective(&request)?),
    })
}

#[test]
fn every_cell_is_the_single_call_bit_for_bit() {
    for request in [training(), serving(), collective()] {
        let call = request["call"].as_str().unwrap();
        let grid = sweep(&request).unwrap();
        let arrays = api::sweep_arrays(&value(&request)).unwrap();
        let mut answered = 0;
        for (at, (index, _)) in arrays.outputs[0].1.indexed_iter().enumerate() {
            let index: Vec<usize> = (0..grid.shape.len()).map(|axis| index[axis]).collect();
            let refusal = grid.refused.iter().find(|refusal| refusal.index == index);
            match answer(call, &single(&request, &index)) {
                Ok(answer) => {
                    assert_eq!(refusal, None);
                    answered += 1;
                    for (output, (name, array)) in grid.outputs.iter().zip(&arrays.outputs) {
                        let pointer = format!("/{}", name.replace('.', "/"));
                        let expected = answer.pointer(&pointer).unwrap().as_f64().unwrap();
                        assert_eq!(&output.name, name);
                        assert_eq!(
                            output.values[at].unwrap().to_bits(),
                            expected.to_bits(),
                            "{name} {index:?}"
                        );
                        assert_eq!(array[&*index].to_bits(), expected.to_bits());
                    }
                }
                Err(error) => {
                    assert_eq!(json!(refusal.unwrap().error), json!(error));
                    for (output, (_, array)) in grid.outputs.iter().zip(&arrays.outputs) {
                        assert_eq!(output.values[at], None);
                        assert!(array[&*index].is_nan());
                    }
                }
            }
        }
        assert_eq!(answered + grid.refused.len(), grid.shape.iter().product::<usize>());
        assert!(answered > 0);
    }
}

#[test]
fn refused_cells_are_named() {
    let grid = sweep(&training()).unwrap();
    assert_eq!(grid.shape, [3, 4]);
    // Three ranks divide neither 16, 64 nor 128 GPUs.
    let cells: Vec<&[usize]> = grid.refused.iter().map(|refusal| &*refusal.index).collect();
    assert_eq!(cells, [[0, 2], [1, 2], [2, 2]]);
    for refusal in &grid.refused {
        assert!(refusal.error.field.starts_with("layout"), "{refusal:?}");
    }
    assert_eq!(grid.outputs[0].values.iter().filter(|value| value.is_none()).count(), 3);
    let json = serde_json::to_string(&grid).unwrap();
    assert_eq!(serde_json::from_str::<Sweep>(&json).unwrap(), grid);
}

#[test]
fn cells_refused_for_different_reasons_are_an_answer() {
    let mut request = training();
    request["axes"] = json!([{ "field": "gpus", "values": [-1, 2.5] }]);
    let grid = sweep(&request).unwrap();
    let codes: Vec<&str> = grid.refused.iter().map(|refusal| &*refusal.error.code).collect();
    assert_eq!(codes, ["out_of_range", "wrong_type"]);
    assert_eq!(grid.outputs[0].values, [None, None]);
}

#[test]
fn what_every_cell_lacks_is_an_error() {
    let with = |change: fn(&mut Json)| {
        let mut request = training();
        change(&mut request);
        refused(&request)
    };
    let expect = |code: &str, field: &str, hint: Option<&str>| {
        (code.to_owned(), field.to_owned(), hint.map(str::to_owned))
    };
    assert_eq!(
        with(|r| r["base"]["gpu"] = json!("H100-SXN")),
        expect("unknown_name", "base.gpu", Some("H100-SXM"))
    );
    assert_eq!(with(|r| r["base"]["model"] = json!(null)).1, "base.model");
    assert_eq!(with(|r| r["base"]["gpuss"] = json!(1)), expect("unknown_field", "base.gpuss", Some("gpus")));
    assert_eq!(with(|r| r["base"] = json!({ "gpus": 8 })).0, "missing_field");
    assert_eq!(with(|r| r["base"] = json!("serve-70b")), expect("wrong_type", "base", None));
    assert_eq!(with(|r| r["base"]["layout"] = json!(3)), expect("wrong_type", "base.layout", None));
    assert_eq!(
        with(|r| r["axes"][1]["field"] = json!("layout.tpp")),
        expect("unknown_field", "axes[1].layout.tpp", Some("tp"))
    );
    assert_eq!(
        with(|r| r["axes"][1]["field"] = json!("layuot.tp")),
        expect("unknown_field", "axes[1].layuot", Some("layout"))
    );
    for field in ["", "layout..tp", "gpus."] {
        let mut request = training();
        request["axes"][1]["field"] = json!(field);
        assert_eq!(refused(&request), expect("wrong_type", "axes[1].field", None));
    }
    assert_eq!(
        with(|r| r["axes"][0]["values"] = json!(["many"])),
        expect("wrong_type", "axes[0].gpus", None)
    );
}

#[test]
fn a_question_that_is_no_grid_is_refused() {
    let with = |change: &dyn Fn(&mut Json)| {
        let mut request = training();
        change(&mut request);
        let (code, field, hint) = refused(&request);
        format!("{code} {field} {}", hint.unwrap_or_default())
    };
    let axis =
        |field: &str, values: usize| json!({ "field": field, "values": (1..=values).collect::<Vec<_>>() });
    assert_eq!(with(&|r| r["call"] = json!("training_stop")), "unknown_name call training_step");
    assert_eq!(with(&|r| r["axes"] = json!([])), "missing_field axes ");
    assert_eq!(with(&|r| r["axes"][1]["values"] = json!([])), "missing_field axes[1].values ");
    assert_eq!(with(&|r| r["axes"][1]["value"] = json!([])), "unknown_field axes[1].value values");
    assert_eq!(with(&|r| r["axes"][1]["field"] = json!("gpus")), "conflict axes[1].field ");
    let nested = json!([axis("layout.tp", 2), axis("layout", 2)]);
    assert_eq!(with(&|r| r["axes"] = nested.clone()), "conflict axes[1].field ");
    let many: Json = (0..=MOST_AXES).map(|at| axis(&format!("a{at}"), 1)).collect();
    assert_eq!(with(&|r| r["axes"] = many.clone()), "conflict axes ");
    let large = json!([axis("gpus", 1001), axis("layout.tp", 1000)]);
    assert_eq!(with(&|r| r["axes"] = large.clone()), format!("out_of_range axes {MOST_CELLS}"));
    assert_eq!(with(&|r| r["outputs"] = json!([])), "missing_field outputs ");
    let outputs = vec!["step_seconds"; MOST_OUTPUTS + 1];
    assert_eq!(with(&|r| r["outputs"] = json!(outputs)), format!("out_of_range outputs {MOST_OUTPUTS}"));
    assert_eq!(with(&|r| r["outputs"][1] = json!("step_seconds")), "conflict outputs[1] ");
    for (given, nearest) in [("memory.totl_gib", "memory.total_gib"), ("step_seconds.low", "step_seconds")] {
        assert_eq!(with(&|r| r["outputs"][1] = json!(given)), format!("unknown_name outputs[1] {nearest}"));
    }
    for no_number in
        ["", "gpu", "memory", "memory.fits", "traffic", "layout.recompute", "layout.sequence_parallel"]
    {
        let refusal = with(&|r| r["outputs"][1] = json!(no_number));
        assert!(refusal.starts_with("unknown_name outputs[1]"), "{no_number}: {refusal}");
    }
    // Known, but nothing in every cell.
    assert_eq!(with(&|r| r["outputs"][1] = json!("layout.shard_group")), "malformed outputs[1] ");
}

#[test]
fn a_number_that_some_answers_lack_is_named_and_the_others_stay() {
    let request = json!({
        "call": "training_step",
        "base": training()["base"],
        "axes": [
            { "field": "layout.shard_group", "values": [null, 8] },
            { "field": "gpus", "values": [64] },
            { "field": "layout.zero", "values": [3] },
        ],
        "outputs": ["step_seconds", "layout.shard_group"],
    });
    let grid = sweep(&request).unwrap();
    assert_eq!(grid.outputs[1].values, [None, Some(8.0)]);
    assert!(grid.outputs[0].values.iter().all(Option::is_some));
    assert_eq!(grid.refused.len(), 1);
    assert_eq!(grid.refused[0].index, [0, 0, 0]);
    assert_eq!(grid.refused[0].error.field, "outputs[1]");
}
