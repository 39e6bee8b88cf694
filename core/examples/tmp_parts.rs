use rackrate::catalog::Catalog;
use rackrate::inference::*;
fn main() {
    let c = Catalog::embedded().unwrap();
    let a: Vec<String> = std::env::args().collect();
    let r: ServingPointRequest = serde_json::from_str(&a[1]).unwrap();
    let t = std::time::Instant::now();
    let p = serving_point(c, &r);
    println!("{:?}", t.elapsed());
    println!("{p:#?}");
    let arch = c.resolve_model("m", &r.model).unwrap();
    let tg = ServingTarget::of(c, None, r.gpu.as_deref()).unwrap();
    let m = ServingModel::new(&arch, &tg.gpu, &tg.topology, r.precision, r.kv_precision).unwrap();
    let l = m.layout(r.layout).unwrap();
    for ar in [Arrivals::Closed(64.0), Arrivals::Poisson(0.5), Arrivals::Full] {
        let ld = ServingLoad { input_tokens: r.input_tokens, output_tokens: r.output_tokens, arrivals: ar };
        let t = std::time::Instant::now();
        let mut x = 0.0;
        for i in 0..10000 {
            let mut q = ld;
            q.input_tokens += i as f64 * 1e-3;
            x += m.point(&l, &q).tpot_seconds;
        }
        println!("{ar:?} {:?} per point {x}", t.elapsed() / 10000);
    }
}
