#![allow(clippy::print_stdout, clippy::unwrap_used)]
use rackrate::catalog::Catalog;
use rackrate::training::{search, step};
use rackrate::validate::{Table, training::Case};
fn main() {
    let csv = std::fs::read_to_string("tests/measured/training.csv").unwrap();
    let table = Table::read(&csv, &["id"]).unwrap();
    for line in table.lines() {
        let Ok(case) = Case::read(Catalog::embedded().unwrap(), &line) else { continue };
        let Ok(s) = case.answer(&case.job) else { continue };
        if case.gpus < 256 {
            continue;
        }
        let found = search(&case.job, case.gpus, case.layout.global_batch, 1).unwrap();
        let Some(b) = found.best.first() else {
            println!("{} none", line.text("id").unwrap());
            continue;
        };
        let t = step(&case.job, b, case.gpus).unwrap();
        println!(
            "{} {:.4} {:.4} {:.3} pub(tp{} pp{} vp{} cp{} ep{} mb{} z{} {:?} {:.0}GiB) found(tp{} pp{} vp{} cp{} ep{} mb{} z{} {:?} {:.0}GiB)",
            line.text("id").unwrap(),
            s.step_seconds,
            t.step_seconds,
            s.step_seconds / t.step_seconds,
            s.layout.tp,
            s.layout.pp,
            s.layout.vp,
            s.layout.cp,
            s.layout.ep,
            s.layout.micro_batch,
            s.layout.zero,
            s.layout.recompute,
            s.memory.total_gib,
            b.tp,
            b.pp,
            b.vp,
            b.cp,
            b.ep,
            b.micro_batch,
            b.zero,
            b.recompute,
            t.memory.total_gib
        );
    }
}
