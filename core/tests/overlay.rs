//! One's own data under every call: what only the overlay knows is found, what is wrong with it is named the same way
//! everywhere, and a printed table is an overlay.

// Helpers outside of test functions unwrap too: a failure is the test's failure.
#![allow(clippy::unwrap_used)]

use rackrate::catalog::{Catalog, Confidence};
use rackrate::input::Value;
use rackrate::{Error, api};
use serde_json::{Value as Json, json};

fn value(json: &Json) -> Value {
    serde_json::from_value(json.clone()).unwrap()
}

/// A shape of a GPU, a fabric and a model that only this knows.
fn mine() -> Json {
    json!({
        "gpus": [{"name": "X1", "vendor": "ACME", "architecture": "blackwell", "fp16_tflops": 4000, "bf16_tflops": 4000,
            "fp8_tflops": 8000, "fp32_tflops": 100, "memory_gb_vendor": 288, "memory_tb_per_s": 13, "sm_count": 200,
            "matrix_clock_mhz": 1900, "scale_up_link": "NVLink 5", "scale_up_gb_per_s": 900, "scale_up_domain": 8,
            "pcie_gb_per_s": 64, "tdp_watts": 1400}],
        "fabrics": "name,operator,kind,scale_up_domain,scale_up_gb_per_s,injection_gb_per_s_per_gpu\n\
            oci-roce-x1,oci,roce_v2,8,900,100\n",
        "shapes": [{"provider": "oci", "name": "BM.GPU.X1.8", "gpu": "x1", "gpus_per_node": 8, "scale_up_domain": 8,
            "fabric": "OCI-RoCE-X1", "rdma_gbit_per_s_per_gpu": 800}],
        "prices": "shape,region,term,usd_per_gpu_hour\nBM.GPU.X1.8,all-commercial,payg,20\n",
        "models": [{"name": "mine-8b", "layers": 32, "hidden": 4096, "heads": 32, "kv_heads": 8, "head_dim": 128,
            "ffn": 14336, "gated": true, "vocab": 128256}]
    })
}

/// Every call with a request that only [`mine`] can answer.
fn requests() -> [(&'static str, Json); 7] {
    let slo = json!({"ttft_p95_seconds": 2, "tpot_p95_seconds": 0.05});
    let step = json!({"model": "mine-8b", "shape": "BM.GPU.X1.8", "gpus": 16, "sequence_length": 8192,
        "layout": {"global_batch": 32}});
    [
        ("training_step", step.clone()),
        (
            "search_layouts",
            json!({"model": "mine-8b", "shape": "BM.GPU.X1.8", "gpus": 16, "global_batch": 32, "sequence_length": 4096}),
        ),
        (
            "serving_point",
            json!({"model": "mine-8b", "gpu": "X1", "gpus": 1, "layout": {"tp": 1}, "input_tokens": 1000,
                "output_tokens": 200, "concurrency": 8}),
        ),
        (
            "search_serving",
            json!({"model": "mine-8b", "shape": "BM.GPU.X1.8", "input_tokens": 1000, "output_tokens": 200, "slo": slo}),
        ),
        ("collective", json!({"op": "all_reduce", "bytes": 1e9, "shape": "BM.GPU.X1.8", "nodes": 4})),
        (
            "sweep",
            json!({"call": "training_step", "base": step, "axes": [{"field": "gpus", "values": [8, 16]}],
                "outputs": ["step_seconds"]}),
        ),
        (
            "plan",
            json!({"name": "mine", "serving": {"model": "mine-8b", "shapes": ["BM.GPU.X1.8"], "input_tokens": 1000,
                "output_tokens": 200, "slo": slo, "traffic": {"requests_per_second": 10}}}),
        ),
    ]
}

fn ask(call: &str, request: &Json) -> Result<Json, Error> {
    let request = value(request);
    Ok(match call {
        "plan" => json!(api::plan(&request)?),
        "training_step" => json!(api::training_step(&request)?),
        "search_layouts" => json!(api::search_layouts(&request)?),
        "serving_point" => json!(api::serving_point(&request)?),
        "search_serving" => json!(api::search_serving(&request)?),
        "collective" => json!(api::collective(&request)?),
        _ => json!(api::sweep(&request)?),
    })
}

fn with(request: &Json, overlay: &Json) -> Json {
    let mut out = request.clone();
    out["overlay"] = overlay.clone();
    out
}

#[test]
fn every_call_finds_what_only_the_overlay_knows() {
    for (call, request) in requests() {
        let without = ask(call, &request).unwrap_err();
        assert_eq!(without.code(), "unknown_name", "{call}: {without}");
        let answer = ask(call, &with(&request, &mine())).unwrap_or_else(|e| panic!("{call}: {e}"));
        // The order of rows and the form of a table are nothing to an answer; nor is having been asked before.
        assert_eq!(ask(call, &with(&request, &mine())).unwrap(), answer, "{call}");
        assert_eq!(ask(call, &request).unwrap_err(), without, "{call}: nothing stays behind");
    }
}

#[test]
fn every_call_names_the_same_cell() {
    let wrong = json!({"prices": [
        {"shape": "BM.GPU.H100.8", "region": "all-commercial", "term": "payg", "usd_per_gpu_hour": 9},
        {"shape": "BM.GPU.H200.8", "region": "all-commercial", "term": "payg", "usd_per_gpu_hour": "cheap"}
    ]});
    let mut said = Vec::new();
    for (call, request) in requests() {
        let error = ask(call, &with(&request, &wrong)).unwrap_err();
        assert_eq!(error.field(), "overlay.prices[1].usd_per_gpu_hour", "{call}");
        said.push(error);
        let error = ask(call, &with(&request, &json!({"price": []}))).unwrap_err();
        assert_eq!((error.field(), error.hint().as_deref()), ("overlay.price", Some("prices")), "{call}");
        let error = ask(call, &with(&request, &json!({"prices": 3}))).unwrap_err();
        assert_eq!(error.field(), "overlay.prices", "{call}: {error}");
    }
    said.push(api::catalog(Some(&value(&wrong))).unwrap_err());
    said.push(api::table("gpus", Some(&value(&wrong))).unwrap_err());
    said.push(api::validate("training", "", None, Some(&value(&wrong))).unwrap_err());
    assert!(said.iter().all(|error| *error == said[0]), "{said:#?}");
}

#[test]
fn measurements_of_ones_own_shape_are_predicted() {
    let csv = "id,shape,nodes,gpus_per_node,collective,message_bytes,time_us\nm,BM.GPU.X1.8,4,8,all_reduce,1073741824,4000\n";
    let without = api::validate("collectives", csv, None, None).unwrap();
    assert!(without.rows[0].predicted.is_none() && without.rows[0].refused.is_some());
    let report = api::validate("collectives", csv, None, Some(&value(&mine()))).unwrap();
    let request = json!({"op": "all_reduce", "bytes": 1_073_741_824, "shape": "BM.GPU.X1.8", "nodes": 4});
    let answer = ask("collective", &with(&request, &mine())).unwrap();
    assert_eq!(json!(report.rows[0].predicted), answer["seconds"]);
}

#[test]
fn a_sweep_compares_overlays_along_an_axis() {
    let gpu = |tflops: u32| {
        let mut mine = mine();
        mine["gpus"][0]["bf16_tflops"] = json!(tflops);
        mine
    };
    let (_, mut sweep) = requests()[5].clone();
    sweep["axes"] = json!([{"field": "overlay", "values": [gpu(2000), gpu(4000)]}]);
    let answer = ask("sweep", &sweep).unwrap();
    let seconds = answer["outputs"][0]["values"].as_array().unwrap();
    for (cell, tflops) in seconds.iter().zip([2000, 4000]) {
        let alone = ask("training_step", &with(&requests()[0].1, &gpu(tflops))).unwrap();
        assert_eq!(*cell, alone["step_seconds"]);
    }
    assert!(seconds[0].as_f64() > seconds[1].as_f64());
    // Two overlays at once would hide one.
    let error = ask("sweep", &with(&sweep, &mine())).unwrap_err();
    assert_eq!((error.field(), error.code()), ("axes[0].field", "conflict"));
    let (_, mut both) = requests()[5].clone();
    both["base"] = with(&both["base"], &mine());
    assert!(ask("sweep", &both).is_ok());
    let error = ask("sweep", &with(&both, &mine())).unwrap_err();
    assert_eq!((error.field(), error.code()), ("base.overlay", "conflict"));
}

#[test]
fn tables_of_several_files_stand_one_behind_the_other() {
    let first = "shape,region,term,usd_per_gpu_hour\nBM.GPU.H100.8,all-commercial,payg,9\nBM.GPU.H200.8,all-commercial,payg,9.5\n";
    let second = |shape: &str| json!({"shape": shape, "region": "all-commercial", "term": "payg", "usd_per_node_hour": 80});
    let catalog = api::catalog(Some(&value(&json!({"prices": [first, second("BM.GPU.B200.8")]})))).unwrap();
    let usd = |name: &str| {
        let shape = catalog.shape("s", name).unwrap();
        let mut own = catalog.prices_of(shape).filter(|price| price.source.confidence == Confidence::User);
        own.next().map(|price| price.usd_per_gpu_hour)
    };
    assert_eq!(
        [usd("BM.GPU.H100.8"), usd("BM.GPU.H200.8"), usd("BM.GPU.B200.8")],
        [Some(9.0), Some(9.5), Some(10.0)]
    );
    let refused = |tables: Json| api::catalog(Some(&value(&json!({"prices": tables})))).unwrap_err();
    let twice = refused(json!([first, second("bm.gpu.h200.8")]));
    assert_eq!(twice.to_string(), "overlay.prices[1]: has the same key as prices[0][1]; keep one of the two");
    assert_eq!(
        refused(json!([second("BM.GPU.B200.8"), "shape,trem\nBM.GPU.H100.8,payg"])).field(),
        "overlay.prices[1].trem"
    );
    assert_eq!(refused(json!([first, first])).field(), "overlay.prices[1][0]");
    assert_eq!(refused(json!([first, [first]])).field(), "overlay.prices[1]");
    assert_eq!(refused(json!("")).code(), "missing_field");
}

#[test]
fn a_printed_table_is_an_overlay() {
    let embedded = Catalog::embedded().unwrap();
    let mine = value(&mine());
    let under = api::catalog(Some(&mine)).unwrap();
    let mut printed = Vec::new();
    for name in [
        "gpus",
        "shapes",
        "fabrics",
        "prices",
        "regions",
        "storage",
        "transfers",
        "pairs",
        "limits",
        "energy",
        "reliability",
        "models",
    ] {
        let plain = api::table(name, None).unwrap();
        let over = |text: &str| value(&json!({ name: text }));
        assert_eq!(*api::catalog(Some(&over(&plain))).unwrap(), *embedded, "{name}");
        // Every row passed through the writer, and the letter is the same but for what the note quotes without need.
        let own = api::table(name, Some(&over(&plain))).unwrap();
        assert_eq!(*api::catalog(Some(&over(&own))).unwrap(), *embedded, "{name}");
        printed.push((name.to_owned(), Value::Text(api::table(name, Some(&mine)).unwrap())));
    }
    assert_eq!(*api::catalog(Some(&Value::Object(printed))).unwrap(), *under);

    let prices = "shape,region,term,usd_per_gpu_hour,note\nBM.GPU.H100.8,all-commercial,payg,7.25,\"ours, \"\"signed\"\"\"\n";
    let text = api::table("prices", Some(&value(&json!({ "prices": prices })))).unwrap();
    let row: Vec<&str> = text.lines().filter(|line| line.contains("signed")).collect();
    assert_eq!(row, [",BM.GPU.H100.8,all-commercial,payg,,7.25,,,,,,\"ours, \"\"signed\"\"\""]);
    assert_eq!(text.lines().count(), api::table("prices", None).unwrap().lines().count());
    // Whatever a cell holds comes back.
    let mut own = json!({"shape": "BM.GPU.H100.8", "region": "all-commercial", "term": "payg", "usd_per_gpu_hour": 0.1});
    for note in ["a,b", "\"", "two\nlines", "two\r\nlines", "\",\"", "é;ß"] {
        own["note"] = json!(note);
        let overlay = value(&json!({"prices": [own]}));
        let text = api::table("prices", Some(&overlay)).unwrap();
        assert_eq!(
            *api::catalog(Some(&value(&json!({"prices": text})))).unwrap(),
            *api::catalog(Some(&overlay)).unwrap()
        );
    }
    let unknown = api::table("price", None).unwrap_err();
    assert_eq!((unknown.field(), unknown.hint().as_deref()), ("table", Some("prices")));
}

#[test]
fn an_empty_cell_is_empty_in_every_form() {
    let shape = "BM.GPU.H100.8";
    let row = json!({"provider": "", "shape": shape, "region": "all-commercial", "term": "payg", "usd_per_node_hour": null,
        "usd_per_gpu_hour": 9, "term_total_usd": " ", "source": []});
    let rows = api::catalog(Some(&value(&json!({"prices": [row]})))).unwrap();
    let csv = "provider,shape,region,term,usd_per_node_hour,usd_per_gpu_hour,term_total_usd,source\n\
        ,BM.GPU.H100.8,all-commercial,payg,,9, ,\n";
    assert_eq!(*rows, *api::catalog(Some(&value(&json!({ "prices": csv })))).unwrap());
    let without = json!({"prices": [{"shape": shape, "region": "", "term": "payg", "usd_per_gpu_hour": 9}]});
    let error = api::catalog(Some(&value(&without))).unwrap_err();
    assert_eq!((error.field(), error.code()), ("overlay.prices[0].region", "missing_field"));
    // A name with the sign that separates names would be two names in CSV.
    let mut gpu = mine();
    gpu["gpus"][0]["aliases"] = json!(["a", "b;c"]);
    let error = api::catalog(Some(&value(&gpu))).unwrap_err();
    assert_eq!((error.field(), error.code()), ("overlay.gpus[0].aliases[1]", "wrong_type"));
    // Zero has one sign, so that overlays which compare equal give the same bits.
    let free = "name,provider,service,tier,usd,usd_per\nmine,oci,Mine,T,-0,gib_month\n";
    let free = api::catalog(Some(&value(&json!({ "storage": free })))).unwrap();
    let usd = free.storage.iter().find(|tier| tier.name == "mine").and_then(|tier| tier.usd);
    assert_eq!(usd.map(f64::to_bits), Some(0));
}

#[test]
fn threads_with_overlays_of_their_own_do_not_meet() {
    let price = |usd: u32| {
        value(&json!({"prices": [
            {"shape": "BM.GPU.H100.8", "region": "all-commercial", "term": "payg", "usd_per_gpu_hour": usd}
        ]}))
    };
    let paid = |usd: u32| {
        let catalog = api::catalog(Some(&price(usd))).unwrap();
        let shape = catalog.shape("s", "BM.GPU.H100.8").unwrap();
        let mut own = catalog.prices_of(shape).filter(|price| price.source.confidence == Confidence::User);
        own.next().unwrap().usd_per_gpu_hour
    };
    std::thread::scope(|scope| {
        for thread in 1..=6 {
            scope.spawn(move || {
                for round in 0..20 {
                    let usd = thread + round % 3;
                    assert_eq!(paid(usd), f64::from(usd));
                }
            });
        }
    });
}
