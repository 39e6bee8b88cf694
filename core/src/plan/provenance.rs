//! Where every figure of a plan is from, how old it is, and how far to trust it.

use super::report::{FigureKind, FigureSource, Plan, ServingOption, Split, TrainingOption};
use super::scenario::{Scenario, TrainingJob};
use crate::catalog::{Age, Catalog, Confidence, Day, Shape, Source, StorageTier};
use crate::cost::{Cost, CostItem, CostLine, TermCost};
use crate::error::Error;
use crate::kernel::Family;
use crate::model::ModelRef;
use crate::quantity::Warning;
use crate::training::{CheckpointBound, Reliability};
use crate::{inference, kernel, network, training};

/// Dates the prices of every option, and names the source of every figure.
pub fn complete(
    catalog: &Catalog,
    scenario: &Scenario,
    plan: &mut Plan,
    today: Option<Day>,
) -> Result<(), Error> {
    let training = plan.training.iter_mut().flat_map(|part| part.options.iter_mut().map(|o| &mut o.terms));
    let serving = plan.serving.iter_mut().flat_map(|part| part.options.iter_mut().map(|o| &mut o.terms));
    for term in training.chain(serving).flatten() {
        let age = today.and_then(|today| term.source.age(today));
        term.age_days = age.map(|age| age.days);
        term.old = age.is_some_and(Age::is_old);
    }
    plan.sources = Figures::of(catalog, scenario, plan, today, Which::All)?;
    Ok(())
}

/// Warnings about prices of the splits and of the chosen options that are old, or dated after the scenario's day.
pub fn about_age(plan: &Plan, today: Option<Day>) -> Vec<Warning> {
    let Some(today) = today else { return Vec::new() };
    let used = |shape: &String, chosen: &Option<String>, pick: fn(&Split) -> &Option<String>| {
        chosen.as_ref() == Some(shape) || plan.splits.iter().any(|split| pick(split).as_ref() == Some(shape))
    };
    let training = plan.training.iter().flat_map(|part| {
        part.options.iter().filter(|o| used(&o.shape, &part.chosen, |s| &s.training_shape)).map(|o| &o.cost)
    });
    let serving = plan.serving.iter().flat_map(|part| {
        part.options.iter().filter(|o| used(&o.shape, &part.chosen, |s| &s.serving_shape)).map(|o| &o.cost)
    });
    let lines = training.chain(serving).flatten().flat_map(|cost| &cost.lines);
    let mut out = Vec::new();
    for line in lines.chain(plan.splits.iter().flat_map(|split| &split.transfer_lines)) {
        let Some(age) = line.source.age(today) else { continue };
        let as_of = &line.source.as_of;
        let warning = if age.is_old() {
            Warning::new("price_old", &line.what, format!("its price is {age} old ({as_of})"))
        } else if age.days < 0 {
            let text = format!("its price is dated {as_of}, after the scenario's day");
            Warning::new("price_dated_ahead", &line.what, text)
        } else {
            continue;
        };
        if !out.contains(&warning) {
            out.push(warning);
        }
    }
    out
}

/// Warnings about figures of the chosen options and split that rest on a weak source.
///
/// Constants and failure rates are computed or another operator's by nature, and the plan's intervals cover the former:
/// of those only what is assumed is warned of.
pub fn about_weakness(catalog: &Catalog, scenario: &Scenario, plan: &Plan) -> Result<Vec<Warning>, Error> {
    let figures = Figures::of(catalog, scenario, plan, None, Which::Chosen)?;
    let weak = figures.into_iter().filter(|figure| match figure.kind {
        FigureKind::Constants | FigureKind::Reliability => figure.source.confidence == Confidence::Unverified,
        _ => figure.source.confidence.is_weak(),
    });
    let warning = |FigureSource { figure, kind, source, .. }: FigureSource| {
        let detail = if kind == FigureKind::Constants { &source.note } else { &source.as_of };
        let text = [&source.source, detail].map(String::as_str).join(", ");
        let text = text.trim_end_matches(", ");
        Warning::new("weak_source", &figure, format!("its source is {}: {text}", source.confidence.name()))
    };
    Ok(weak.map(warning).collect())
}

/// The largest published training run whose step time and interruptions are told.
const LLAMA: &str = "Llama 3 on 16,384 H100, arXiv 2407.21783";

/// Figures of which options are wanted.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    /// Every option at every term.
    All,
    /// The chosen ones at the term that is paid.
    Chosen,
}

/// Figures with their sources, each named once.
struct Figures<'a> {
    catalog: &'a Catalog,
    today: Option<Day>,
    which: Which,
    out: Vec<FigureSource>,
}

impl<'a> Figures<'a> {
    fn of(
        catalog: &'a Catalog,
        scenario: &Scenario,
        plan: &Plan,
        today: Option<Day>,
        which: Which,
    ) -> Result<Vec<FigureSource>, Error> {
        let mut figures = Figures { catalog, today, which, out: Vec::new() };
        if let Some(job) = &scenario.training {
            figures.model(&job.model)?;
        }
        if let Some(job) = &scenario.serving {
            figures.model(&job.model)?;
        }
        let wanted =
            |shape: &String, chosen: &Option<String>| which == Which::All || chosen.as_ref() == Some(shape);
        if let Some(part) = &plan.training {
            for option in part.options.iter().filter(|option| wanted(&option.shape, &part.chosen)) {
                figures.training(option)?;
            }
        }
        if let Some(part) = &plan.serving {
            for option in part.options.iter().filter(|option| wanted(&option.shape, &part.chosen)) {
                figures.serving(option)?;
            }
        }
        for split in plan.splits.iter().filter(|split| which == Which::All || split.chosen) {
            figures.lines(&split.transfer_lines);
            figures.regions(split);
        }
        if let Some(job) = &scenario.training {
            let run = Source { as_of: "2024-07".to_owned(), ..undated(LLAMA, Confidence::Vendor) };
            figures.add(FigureKind::Limit, "largest run with a published step time".to_owned(), &run);
            figures.reliability(&job.reliability)?;
            figures.run(job);
            figures.constants("training constants", TRAINING, None);
            figures.constants("intervals of training", INTERVALS_OF_TRAINING, None);
        }
        if let Some(job) = &scenario.serving {
            if let Some(shape) = job.traffic.shape {
                figures.add(FigureKind::Constants, format!("hours of {}", shape.name()), &shape.source());
            }
            figures.constants("serving constants", SERVING, None);
            figures.constants("intervals of serving", INTERVALS_OF_SERVING, None);
        }
        figures.constants("network constants", NETWORK, None);
        Ok(figures.out)
    }

    fn add(&mut self, kind: FigureKind, figure: String, source: &Source) {
        if self.knows(&figure) {
            return;
        }
        let age = self.today.and_then(|today| source.age(today));
        let price = matches!(kind, FigureKind::Price | FigureKind::Storage | FigureKind::Transfer);
        self.out.push(FigureSource {
            figure,
            kind,
            source: source.clone(),
            age_days: age.map(|age| age.days),
            old: price && age.is_some_and(Age::is_old),
        });
    }

    fn knows(&self, figure: &str) -> bool {
        self.out.iter().any(|known| known.figure == figure)
    }

    fn model(&mut self, model: &ModelRef) -> Result<(), Error> {
        match model {
            ModelRef::Name(name) => {
                let preset = self.catalog.model("model", name)?;
                self.add(FigureKind::Model, format!("model {}", preset.architecture.name), &preset.source);
            }
            ModelRef::Described(_) => {
                let source = undated("described in the scenario", Confidence::User);
                self.add(FigureKind::Model, "model described in the scenario".to_owned(), &source);
            }
        }
        Ok(())
    }

    fn training(&mut self, option: &TrainingOption) -> Result<(), Error> {
        let shape = self.place(&option.shape, &option.step.gpu)?;
        self.prices(&option.shape, &option.terms, option.cost.as_ref());
        let tier = |name: &String| self.catalog.storage.iter().find(|tier| tier.name == *name);
        let tiers: Vec<&StorageTier> = option.storage.iter().filter_map(|data| tier(&data.tier)).collect();
        // Its price is named with the line that pays it.
        for tier in tiers.iter().filter(|tier| tier.throughput.is_some()) {
            self.add(FigureKind::Storage, format!("throughput of {}", tier.name), &tier.source);
        }
        // Of the links that checkpoints pass, the slowest; that of the shape or of the tier is named with them.
        let (figure, source) = match option.losses.checkpoint_bound {
            CheckpointBound::AssumedStorage => ("rate at which storage takes checkpoints".to_owned(), {
                let text = format!("assumed as {LLAMA}, section 3.3.1");
                Source { as_of: "2024-07".to_owned(), ..undated(&text, Confidence::Secondary) }
            }),
            CheckpointBound::AssumedNode => (
                format!("checkpoint rate of a node of {}", option.shape),
                undated("assumed: 5 GB/s, a front-end network of 40 Gb/s", Confidence::Unverified),
            ),
            CheckpointBound::TotalGiven | CheckpointBound::NodeGiven => {
                ("rate of checkpoints".to_owned(), undated("given in the scenario", Confidence::User))
            }
            CheckpointBound::VmDisks => {
                let limits = tiers.iter().zip(shape).filter_map(|(tier, shape)| {
                    self.catalog.remote_disk_limit(tier, &shape.name).map(|(_, row)| row)
                });
                let limits: Vec<&StorageTier> = limits.collect();
                for row in limits {
                    self.add(FigureKind::Storage, format!("throughput of {}", row.name), &row.source);
                }
                return Ok(());
            }
            CheckpointBound::StorageTier | CheckpointBound::NodeNic => return Ok(()),
        };
        self.add(FigureKind::Reliability, figure, &source);
        Ok(())
    }

    fn serving(&mut self, option: &ServingOption) -> Result<(), Error> {
        self.place(&option.shape, &option.point.gpu)?;
        self.prices(&option.shape, &option.terms, option.cost.as_ref());
        Ok(())
    }

    /// The GPU with its links and its generation's kernels, and the shape where a cloud rents it.
    fn place(&mut self, name: &str, gpu: &str) -> Result<Option<&'a Shape>, Error> {
        let catalog = self.catalog;
        let gpu = catalog.gpu("gpu", gpu)?;
        self.add(FigureKind::Gpu, format!("GPU {}", gpu.name), &gpu.source);
        // A bare GPU has no shape.
        let shape = catalog.shape("shape", name).ok();
        let fabric = match shape {
            Some(shape) => {
                self.add(FigureKind::Shape, format!("shape {name}"), &shape.source);
                if let Some(limit) = catalog.largest_published(&shape.name) {
                    self.add(FigureKind::Limit, format!("largest cluster of {name}"), &limit.source);
                }
                &shape.fabric
            }
            None => {
                let assumed = catalog.target(None, Some(name), None)?.assumed;
                let source = undated(
                    &format!("assumed, no shape is named: {}", assumed.join("; ")),
                    Confidence::Unverified,
                );
                self.add(FigureKind::Topology, format!("links of {name}"), &source);
                &gpu.reference_fabric
            }
        };
        if let Some(fabric) = fabric {
            let source = &catalog.fabric("fabric", fabric)?.source;
            self.add(FigureKind::Fabric, format!("fabric {fabric}"), source);
        }
        let family = Family::of(gpu).name();
        self.constants(&format!("kernel constants of {family}"), KERNEL, Some(family));
        Ok(shape)
    }

    fn prices(&mut self, shape: &str, terms: &[TermCost], cost: Option<&Cost>) {
        let compute = |line: &&CostLine| matches!(line.item, CostItem::Compute | CostItem::SpareCompute);
        let lines: &[CostLine] = cost.map_or(&[], |cost| &cost.lines);
        let pays = |term: &TermCost, line: &CostLine| {
            line.source == term.source && line.unit_usd == term.usd_per_gpu_hour
        };
        for term in terms {
            if self.which == Which::Chosen && !lines.iter().filter(compute).any(|line| pays(term, line)) {
                continue;
            }
            let figure = format!("price of {shape} in {}, {}", term.region, term.term.words());
            if let Some(list) = &term.list_source {
                self.add(FigureKind::Price, format!("listed price under the {figure}"), list);
            }
            self.add(FigureKind::Price, figure, &term.source);
        }
        // A price given with the job stands in no list of terms.
        for line in lines.iter().filter(compute) {
            if !terms.iter().any(|term| pays(term, line)) {
                self.add(FigureKind::Price, format!("price of {}", line.what), &line.source);
            }
        }
        self.lines(lines);
    }

    fn lines(&mut self, lines: &[CostLine]) {
        for line in lines {
            let kind = match line.item {
                CostItem::Compute | CostItem::SpareCompute => continue,
                CostItem::Storage => FigureKind::Storage,
                CostItem::Transfer => FigureKind::Transfer,
            };
            self.add(kind, format!("price of {}", line.what), &line.source);
        }
    }

    /// The regions of a move: their egress zones set its tariff.
    fn regions(&mut self, split: &Split) {
        let ends = [(split.train_on, &split.transfer_from), (split.serve_on, &split.transfer_to)];
        for (provider, name) in ends {
            let (Some(provider), Some(name)) = (provider, name) else { continue };
            // A region that only a price names has no row of its own.
            if let Ok(region) = self.catalog.region("region", provider, name) {
                self.add(FigureKind::Region, format!("region {}", region.name), &region.source);
            }
        }
    }

    fn reliability(&mut self, given: &Reliability) -> Result<(), Error> {
        let rate = given.interruptions(self.catalog)?;
        let source = rate.published.map_or_else(own, |row| row.source.clone());
        self.add(FigureKind::Reliability, "GPU-hours between interruptions".to_owned(), &source);
        if let Some(range) = rate.range {
            let text = format!(
                "core/data/reliability.csv: 10 % and 90 % quantiles of {} published systems, which do not all count the same \
                 events",
                range.systems
            );
            let source = undated(&text, Confidence::Secondary);
            self.add(FigureKind::Reliability, "range of GPU-hours between interruptions".to_owned(), &source);
        }
        let source = if given.restart_seconds == Reliability::default().restart_seconds {
            let text = "arXiv 2605.09370: median of automatic retries on 504 B200";
            Source { as_of: "2026-05".to_owned(), ..undated(text, Confidence::Secondary) }
        } else {
            own()
        };
        self.add(FigureKind::Reliability, "time of a restart".to_owned(), &source);
        Ok(())
    }

    /// What a run's length rests on beside its steps and failures.
    fn run(&mut self, job: &TrainingJob) {
        let pauses = if job.pauses.any() {
            own()
        } else {
            undated("taken as none: the scenario gives none", Confidence::Secondary)
        };
        let figure = "pauses for evaluations, data and start".to_owned();
        self.add(FigureKind::Reliability, figure, &pauses);
        let figure = "interval between checkpoints".to_owned();
        let interval = match job.reliability.checkpoint_interval_seconds {
            Some(_) => own(),
            None => Source {
                as_of: "1974".to_owned(),
                ..undated("computed: Young 1974, doi 10.1145/361147.361115", Confidence::Secondary)
            },
        };
        self.add(FigureKind::Reliability, figure, &interval);
        if job.tokens_rule.is_some() {
            let text = "arXiv 2203.15556 (Chinchilla), table 3: 20 tokens per active parameter";
            let source = Source { as_of: "2022-03".to_owned(), ..undated(text, Confidence::Vendor) };
            self.add(FigureKind::Model, "tokens of a compute-optimal run".to_owned(), &source);
        }
    }

    /// A table of constants, or its rows of one generation, with how many of them are fitted.
    fn constants(&mut self, figure: &str, table: ConstantsTable, generation: Option<&str>) {
        // Reading a table takes longer than all else here.
        if self.knows(figure) {
            return;
        }
        let (fitted, sourced, assumed) = tally(table.text, generation);
        let note = if table.text.is_empty() {
            String::new()
        } else {
            format!("{fitted} fitted, {sourced} sourced, {assumed} assumed")
        };
        // Mostly assumed is assumed.
        let confidence =
            if assumed > fitted + sourced { Confidence::Unverified } else { Confidence::Secondary };
        let source = Source { note, ..undated(table.from, confidence) };
        self.add(FigureKind::Constants, figure.to_owned(), &source);
    }
}

/// A table of constants, and what wrote it.
#[derive(Clone, Copy)]
struct ConstantsTable {
    /// The table; empty where its rows are all of one origin.
    text: &'static str,
    from: &'static str,
}

const KERNEL: ConstantsTable = ConstantsTable {
    text: kernel::CONSTANTS_TABLE,
    from: "core/data/kernel_constants.csv, fitted by core/examples/fit_kernel.rs to tests/measured/kernels.csv",
};
const NETWORK: ConstantsTable = ConstantsTable {
    text: network::CONSTANTS_TABLE,
    from: "core/data/network_constants.csv, fitted by core/examples/fit_network.rs to tests/measured/collectives.csv",
};
const TRAINING: ConstantsTable = ConstantsTable {
    text: training::CONSTANTS_TABLE,
    from: "core/data/training_constants.csv, fitted by core/examples/fit_training.rs to tests/measured/training.csv",
};
const SERVING: ConstantsTable = ConstantsTable {
    text: inference::CONSTANTS_TABLE,
    from: "core/data/inference_constants.csv, fitted by core/examples/fit_inference.rs to tests/measured/inference.csv",
};
const INTERVALS_OF_TRAINING: ConstantsTable = ConstantsTable {
    text: "",
    from: "core/data/residuals.csv, written by core/examples/fit_training.rs from left-out rows of tests/measured/training.csv",
};
const INTERVALS_OF_SERVING: ConstantsTable = ConstantsTable {
    text: "",
    from: "core/data/inference_residuals.csv, written by core/examples/fit_inference.rs from left-out groups of tests/measured/inference.csv",
};

/// Rows that are fitted, sourced and assumed; of one generation where the table has such a column.
///
/// The kind stands in a column of its own or begins the source's text ("fitted by …", "assumption: …"); what says neither
/// is sourced.
fn tally(table: &str, generation: Option<&str>) -> (u32, u32, u32) {
    let (mut fitted, mut sourced, mut assumed) = (0, 0, 0);
    let rows = crate::csv_text::Records::new(table).skip(1).flatten();
    for row in rows.filter(|row| generation.is_none_or(|wanted| row.first().is_some_and(|is| is == wanted))) {
        let says = |word: &str| row.iter().skip(3).any(|cell| cell.starts_with(word));
        if says("assum") {
            assumed += 1;
        } else if says("fitted") {
            fitted += 1;
        } else {
            sourced += 1;
        }
    }
    (fitted, sourced, assumed)
}

/// What the scenario gives.
fn own() -> Source {
    undated("given in the scenario", Confidence::User)
}

fn undated(source: &str, confidence: Confidence) -> Source {
    Source { source: source.to_owned(), as_of: String::new(), confidence, note: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_counted_by_where_they_come_from() {
        let (fitted, sourced, assumed) = tally(kernel::CONSTANTS_TABLE, Some("hopper"));
        assert_eq!(fitted + sourced + assumed, 38);
        assert!(fitted > 20, "{fitted}");
        assert_eq!(tally(kernel::CONSTANTS_TABLE, Some("volta")).0, 0);
        for table in [inference::CONSTANTS_TABLE, network::CONSTANTS_TABLE, training::CONSTANTS_TABLE] {
            let (fitted, sourced, assumed) = tally(table, None);
            assert_eq!((fitted + sourced + assumed) as usize, table.lines().count() - 1);
            let by_program =
                table.lines().filter(|line| line.contains(",fitted") || line.contains(",\"fitted")).count();
            assert_eq!(fitted as usize, by_program);
        }
    }
}
