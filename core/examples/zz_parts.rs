#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]
use rackrate::catalog::Catalog;
use rackrate::validate::{Table, training::Case};
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let csv = std::fs::read_to_string(path).unwrap();
    let catalog = Catalog::embedded().unwrap();
    let table = Table::read(&csv, &["id", "source"]).unwrap();
    println!("id\tmeasured\tpredicted\tcompute\tmemory\trecompute\ttp\tcp\tep\tpp\tbubble\tdp\topt\toffload\toverhead\tfits\tgib\tavail\trecomputed\tfwd");
    for line in table.lines() {
        let Some(seconds) = line.number("step_time_s", 0.0, 1e9).unwrap() else { continue };
        let id = line.text("id").unwrap();
        let Ok(case) = Case::read(catalog, &line) else { println!("{id}\t{seconds}\tNA"); continue };
        let Ok(s) = case.answer(&case.job) else { println!("{id}\t{seconds}\tNA"); continue };
        let p = s.parts;
        println!("{id}\t{seconds}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}", s.step_seconds, p.compute_seconds, p.memory_bound_seconds, p.recompute_seconds, p.tensor_parallel_seconds, p.context_parallel_seconds, p.expert_parallel_seconds, p.pipeline_seconds, p.bubble_seconds, p.data_parallel_seconds, p.optimizer_seconds, p.offload_seconds, p.overhead_seconds, s.memory.fits, s.memory.total_gib, s.memory.available_gib, 0.0);
    }
}
