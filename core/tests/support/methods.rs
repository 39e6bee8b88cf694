//! The tables of METHODS.md, as the catalogue and the measured steps have them: written by `examples/methods.rs`, compared by
//! `tests/methods.rs`.
#![allow(missing_docs, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use rackrate::catalog::{Catalog, Confidence, Price, Provider, Shape, Source, Term};
use serde::Serialize;

#[path = "methods_training.rs"]
mod training;

/// Writes a table.
type Block = fn(&Catalog) -> String;

/// Blocks of METHODS.md by name.
const BLOCKS: [(&str, Block); 10] = [
    ("training by GPU", training::by_gpu),
    ("training furthest off", training::worst),
    ("gpus", gpus),
    ("shapes", shapes),
    ("prices", prices),
    ("storage", storage),
    ("transfers", transfers),
    ("limits", limits),
    ("reliability", reliability),
    ("confidence", confidence),
];

const END: &str = "<!-- end -->";

pub fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../METHODS.md"))
}

/// The text with every block `<!-- generated: NAME -->` … `<!-- end -->` written anew.
///
/// # Panics
/// Where a block stands not once, is not closed, or has a name that no table has.
pub fn renewed(text: &str, catalog: &Catalog) -> String {
    let mut out = text.to_owned();
    for (name, table) in BLOCKS {
        let begin = format!("<!-- generated: {name} -->");
        let (before, rest) = out.split_once(&begin).unwrap_or_else(|| panic!("METHODS.md lacks {begin}"));
        let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{begin} is not closed by {END}"));
        assert!(!after.contains(&begin), "{begin} stands twice");
        out = format!("{before}{begin}\n{}{END}{after}", table(catalog));
    }
    assert_eq!(out.matches("<!-- generated:").count(), BLOCKS.len(), "a block that no table has");
    out
}

fn gpus(catalog: &Catalog) -> String {
    let rows = catalog.gpus.iter().map(|gpu| {
        vec![
            gpu.name.clone(),
            figure(gpu.bf16_tflops.or(Some(gpu.fp16_tflops))),
            figure(gpu.fp8_tflops),
            figure(gpu.fp4_tflops),
            figure(Some(gpu.memory_gib)),
            figure(Some(gpu.memory_tb_per_s)),
            gpu.scale_up_link.clone(),
            format!("{} × {}", figure(Some(gpu.scale_up_gb_per_s)), gpu.scale_up_domain),
            dated(&gpu.source),
        ]
    });
    table(
        &["GPU", "16 bit", "8 bit", "4 bit", "GiB", "TB/s", "link", "GB/s × GPUs", "as of"],
        &[1, 2, 3, 4, 5],
        rows,
    )
}

fn shapes(catalog: &Catalog) -> String {
    let rows = catalog.shapes.iter().map(|shape| {
        let payg: Vec<&Price> = catalog.prices_of(shape).filter(|price| price.term == Term::Payg).collect();
        vec![
            cloud(shape.provider).to_owned(),
            shape.name.clone(),
            format!("{} {}", shape.gpus_per_node, shape.gpu),
            network(shape),
            span(payg.iter().map(|price| price.usd_per_gpu_hour)),
            if payg.is_empty() { String::new() } else { payg.len().to_string() },
            dates(payg.iter().map(|price| &price.source)),
            dated(&shape.source),
        ]
    });
    let head = [
        "cloud",
        "shape",
        "GPUs",
        "fabric, Gb/s a GPU",
        "USD a GPU-hour",
        "regions",
        "price as of",
        "shape as of",
    ];
    table(&head, &[4, 5], rows)
}

fn prices(catalog: &Catalog) -> String {
    let mut rows = Vec::new();
    for provider in [Provider::Azure, Provider::Oci] {
        for term in Term::ALL {
            let of: Vec<&Price> =
                catalog.prices.iter().filter(|p| p.provider == provider && p.term == term).collect();
            if of.is_empty() && !term.is_of(provider) {
                continue;
            }
            rows.push(vec![
                cloud(provider).to_owned(),
                term.words().to_owned(),
                distinct(of.iter().map(|price| price.shape.as_str())).to_string(),
                distinct(of.iter().map(|price| price.region.as_str())).to_string(),
                of.len().to_string(),
                dates(of.iter().map(|price| &price.source)),
                counted(of.iter().map(|price| price.source.confidence)),
            ]);
        }
    }
    let head = ["cloud", "term", "shapes", "regions", "rows", "as of", "confidence"];
    table(&head, &[2, 3, 4], rows.into_iter())
}

fn storage(catalog: &Catalog) -> String {
    let rows = catalog.storage.iter().map(|tier| {
        let region = tier.region.as_ref().map_or(String::new(), |region| format!(", {region}"));
        let above = tier.above.map_or(String::new(), |units| format!(" above {units}"));
        let price = match (tier.usd, tier.usd_per) {
            (Some(usd), Some(per)) => format!("{} per {}{above}{region}", exact(usd), unit(&per)),
            (None, Some(_)) => "not found".to_owned(),
            (_, None) => String::new(),
        };
        let throughput = tier.throughput.zip(tier.throughput_per);
        vec![
            cloud(tier.provider).to_owned(),
            format!("{}, {}", tier.service, tier.tier),
            throughput.map_or(String::new(), |(rate, per)| format!("{} {}", exact(rate), unit(&per))),
            price,
            dated(&tier.source),
        ]
    });
    table(&["cloud", "service, tier", "throughput", "USD", "as of"], &[], rows)
}

fn transfers(catalog: &Catalog) -> String {
    let rows = catalog.transfers.iter().map(|tariff| {
        let way = [tariff.origin.as_str(), tariff.destination.as_str()];
        let volume = match (tariff.tier_from_gb, tariff.tier_to_gb) {
            (Some(from), Some(to)) => format!("{} to {}", exact(from), exact(to)),
            (Some(from), None) => format!("from {}", exact(from)),
            _ => String::new(),
        };
        vec![
            cloud(tariff.provider).to_owned(),
            words(&tariff.kind),
            way.iter().filter(|end| !end.is_empty()).copied().collect::<Vec<_>>().join(" → "),
            volume,
            tariff.usd.map_or("not found".to_owned(), |usd| {
                format!("{} per {}", exact(usd), unit(&tariff.usd_per))
            }),
            dated(&tariff.source),
        ]
    });
    table(&["cloud", "kind", "from, to", "GB of a month", "USD", "as of"], &[], rows)
}

fn limits(catalog: &Catalog) -> String {
    let rows = catalog.limits.iter().map(|limit| {
        let named = [limit.shape.as_deref(), Some(limit.system.as_str()), limit.gpu.as_deref()];
        let what: Vec<&str> = named.into_iter().flatten().filter(|name| !name.is_empty()).collect();
        vec![
            cloud(limit.provider).to_owned(),
            what.iter().take(2).copied().collect::<Vec<_>>().join(", "),
            limit.max_gpus.map_or("no number".to_owned(), |gpus| gpus.to_string()),
            words(&limit.claim),
            dated(&limit.source),
        ]
    });
    table(&["cloud", "shape or system", "GPUs", "claim", "as of"], &[2], rows)
}

fn reliability(catalog: &Catalog) -> String {
    let rows = catalog.reliability.iter().map(|rate| {
        vec![
            rate.name.clone(),
            rate.system.clone(),
            rate.gpu_count.map_or(String::new(), |gpus| gpus.to_string()),
            rate.gpu.clone().unwrap_or_default(),
            words(&rate.counts),
            exact(rate.gpu_hours_per_event),
            dated(&rate.source),
        ]
    });
    table(&["name", "system", "GPUs", "GPU", "counts", "GPU-hours per event", "as of"], &[2, 5], rows)
}

fn confidence(catalog: &Catalog) -> String {
    fn of<T>(rows: &[T], source: fn(&T) -> &Source) -> Vec<Confidence> {
        rows.iter().map(|row| source(row).confidence).collect()
    }
    let tables = [
        ("GPUs", of(&catalog.gpus, |row| &row.source)),
        ("shapes", of(&catalog.shapes, |row| &row.source)),
        ("fabrics", of(&catalog.fabrics, |row| &row.source)),
        ("prices", of(&catalog.prices, |row| &row.source)),
        ("regions", of(&catalog.regions, |row| &row.source)),
        ("storage", of(&catalog.storage, |row| &row.source)),
        ("transfers", of(&catalog.transfers, |row| &row.source)),
        ("pairs of regions", of(&catalog.pairs, |row| &row.source)),
        ("limits", of(&catalog.limits, |row| &row.source)),
        ("energy", of(&catalog.energy, |row| &row.source)),
        ("reliability", of(&catalog.reliability, |row| &row.source)),
        ("models", of(&catalog.models, |row| &row.source)),
    ];
    let rows = tables.iter().map(|(name, all)| {
        let count = |wanted| all.iter().filter(|&&confidence| confidence == wanted).count().to_string();
        let mut row = vec![(*name).to_owned(), all.len().to_string()];
        row.extend(LEVELS.map(count));
        row
    });
    let head = ["table", "rows", "list", "vendor", "secondary", "unverified"];
    table(&head, &[1, 2, 3, 4, 5], rows)
}

/// Most trusted first; no row of the embedded tables is a user's.
const LEVELS: [Confidence; 4] =
    [Confidence::List, Confidence::Vendor, Confidence::Secondary, Confidence::Unverified];

fn counted(all: impl Iterator<Item = Confidence>) -> String {
    let all: Vec<Confidence> = all.collect();
    let parts = LEVELS.into_iter().filter_map(|level| {
        let count = all.iter().filter(|&&confidence| confidence == level).count();
        (count > 0).then(|| format!("{count} {}", level.name()))
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn cloud(provider: Provider) -> &'static str {
    match provider {
        Provider::Azure => "Azure",
        Provider::Oci => "OCI",
    }
}

fn network(shape: &Shape) -> String {
    let rate = shape.rdma_gbit_per_s_per_gpu.map_or("?".to_owned(), exact);
    shape.fabric.as_ref().map_or(String::new(), |fabric| format!("{fabric}, {rate}"))
}

/// The date, with the confidence where it is not the vendor's own or a price list.
fn dated(source: &Source) -> String {
    if source.confidence.is_weak() {
        format!("{}, {}", source.as_of, source.confidence.name())
    } else {
        source.as_of.clone()
    }
}

/// From the oldest date to the newest.
fn dates<'a>(sources: impl Iterator<Item = &'a Source>) -> String {
    let mut all: Vec<&str> = sources.map(|source| source.as_of.as_str()).collect();
    all.sort_unstable();
    match (all.first(), all.last()) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (Some(only), _) => (*only).to_owned(),
        _ => String::new(),
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.collect::<std::collections::BTreeSet<_>>().len()
}

/// From the least to the most, to a cent.
fn span(values: impl Iterator<Item = f64>) -> String {
    let all: Vec<f64> = values.collect();
    let least = all.iter().copied().fold(f64::INFINITY, f64::min);
    let most = all.iter().copied().fold(0.0, f64::max);
    match (format!("{least:.2}"), format!("{most:.2}")) {
        _ if all.is_empty() => String::new(),
        (least, most) if least == most => least,
        (least, most) => format!("{least} to {most}"),
    }
}

/// Four digits at most; nothing for what is not known.
fn figure(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| {
        let digits = if value < 10.0 {
            1000.0
        } else if value < 1000.0 {
            10.0
        } else {
            1.0
        };
        exact((value * digits).round() / digits)
    })
}

fn exact(value: f64) -> String {
    value.to_string()
}

/// An enum's name as the tables spell it, with spaces.
fn words(value: &impl Serialize) -> String {
    let name = serde_json::to_value(value).expect("an enum");
    name.as_str().expect("a name").replace('_', " ")
}

/// A unit's name with its symbols, such as `MB/s per TiB`.
fn unit(value: &impl Serialize) -> String {
    let symbol = |word| match word {
        "gb" => "GB",
        "gib" => "GiB",
        "tb" => "TB",
        "tib" => "TiB",
        "mb" => "MB",
        "mib" => "MiB",
        "gbit" => "Gb",
        "iops" => "IOPS",
        "vm" => "VM",
        other => other,
    };
    let name = words(value);
    name.split(' ').map(symbol).collect::<Vec<_>>().join(" ").replace(" per s", "/s")
}

fn table(head: &[&str], right: &[usize], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let rule: Vec<&str> =
        (0..head.len()).map(|at| if right.contains(&at) { "---:" } else { "---" }).collect();
    let mut out = line(head) + &line(&rule);
    for row in rows {
        assert_eq!(row.len(), head.len(), "a row has other columns than its head");
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        out += &line(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    }
    out
}
