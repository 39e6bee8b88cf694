//! What can be rented, which models are known, and where every figure is from.
//!
//! [`Catalog::embedded`] holds the tables of `core/data`; [`Catalog::overlaid`] replaces or adds rows (a newer price, a
//! negotiated rate, a new GPU) through the same reader and the same checks.

mod age;
mod export;
mod facts;
mod gpu;
mod laid;
mod links;
mod lookup;
mod preset;
mod price;
mod region;
mod reliability;
mod shape;
mod source;
mod storage;
mod table;
mod target;
mod tier;
mod topology;
mod transfer;

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

pub use age::{Age, Day, OLD_AFTER_DAYS};
pub use facts::{ClusterLimit, EnergyFigure, EnergyQuantity, EnergyScope, LimitClaim};
pub use gpu::{Gpu, GpuArchitecture};
pub use laid::Laid;
pub use links::{Conditions, Launch, LibraryAge, Routing, ScaleUpKind, Topology};
pub use preset::ModelPreset;
pub use price::{ALL_REGIONS, Price, Term};
pub use region::Region;
pub use reliability::{FailureEvent, FailureRange, FailureRate};
pub use shape::{Fabric, FabricKind, Provider, Shape};
pub use source::{Confidence, Source};
pub use storage::{StorageTier, StorageUnit, ThroughputUnit};
pub use table::Table;
pub use target::Target;
pub use tier::TierBilling;
pub use topology::AssumedTopology;
pub use transfer::{CircuitPlan, CrossCloudPair, TransferKind, TransferTariff, TransferUnit};

use crate::csv_text::Records;
use crate::error::Error;
use lookup::{check_spellings, same_name};
use table::{Landed, Origin, Read, Row, rows};

/// Everything known: what can be rented, what it costs, which models there are.
///
/// Rows stand in the order of their tables. Look up by name with [`Catalog::gpu`], [`Catalog::shape`],
/// [`Catalog::fabric`], [`Catalog::region`], [`Catalog::storage_tier`] and [`Catalog::model`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// GPUs, rented by a cloud or named by published measurements.
    pub gpus: Vec<Gpu>,
    /// Instance shapes.
    pub shapes: Vec<Shape>,
    /// Networks between nodes.
    pub fabrics: Vec<Fabric>,
    /// Prices of shapes by region and term.
    pub prices: Vec<Price>,
    /// Regions, their egress zones and countries.
    pub regions: Vec<Region>,
    /// Storage tiers and price components.
    pub storage: Vec<StorageTier>,
    /// Transfer, port and gateway tariffs.
    pub transfers: Vec<TransferTariff>,
    /// Regions that a private circuit joins across the clouds.
    pub pairs: Vec<CrossCloudPair>,
    /// Published cluster limits and systems seen.
    pub limits: Vec<ClusterLimit>,
    /// Power, its overhead and its carbon.
    pub energy: Vec<EnergyFigure>,
    /// How often published systems broke down.
    pub reliability: Vec<FailureRate>,
    /// Models known by name.
    pub models: Vec<ModelPreset>,
}

/// Rows that replace those of the embedded tables with the same key, or add to them.
///
/// Keys: the name of a GPU, shape, fabric, storage tier, rate of failures or model; shape, region and term of a price; provider and name of
/// a region; provider, kind, origin, destination and lower tier edge of a tariff; both regions of a pair; provider, GPU,
/// shape, system, claim and date of a limit; scope, name and quantity of an energy figure. A row replaces the whole row it
/// meets; a key that stands twice in the overlay is refused. Rows without a source count as the user's word
/// ([`Confidence::User`]). [`Catalog::table_csv`] prints a table as a template.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct Overlay {
    /// Columns of `core/data/gpus.csv`.
    pub gpus: Option<Table>,
    /// Columns of `core/data/shapes.csv`.
    pub shapes: Option<Table>,
    /// Columns of `core/data/fabrics.csv`.
    pub fabrics: Option<Table>,
    /// Columns of `core/data/prices.csv`.
    pub prices: Option<Table>,
    /// Columns of `core/data/regions.csv`.
    pub regions: Option<Table>,
    /// Columns of `core/data/storage.csv`.
    pub storage: Option<Table>,
    /// Columns of `core/data/transfers.csv`.
    pub transfers: Option<Table>,
    /// Columns of `core/data/pairs.csv`.
    pub pairs: Option<Table>,
    /// Columns of `core/data/limits.csv`.
    pub limits: Option<Table>,
    /// Columns of `core/data/energy.csv`.
    pub energy: Option<Table>,
    /// Columns of `core/data/reliability.csv`.
    pub reliability: Option<Table>,
    /// Columns of `core/data/models.csv`.
    pub models: Option<Table>,
}

impl Overlay {
    /// Our own tables, as text.
    fn embedded() -> Self {
        let own = |text: &str| Some(Table::Csv(text.to_owned()));
        Self {
            gpus: own(include_str!("../../data/gpus.csv")),
            shapes: own(include_str!("../../data/shapes.csv")),
            fabrics: own(include_str!("../../data/fabrics.csv")),
            prices: own(include_str!("../../data/prices.csv")),
            regions: own(include_str!("../../data/regions.csv")),
            storage: own(include_str!("../../data/storage.csv")),
            transfers: own(include_str!("../../data/transfers.csv")),
            pairs: own(include_str!("../../data/pairs.csv")),
            limits: own(include_str!("../../data/limits.csv")),
            energy: own(include_str!("../../data/energy.csv")),
            reliability: own(include_str!("../../data/reliability.csv")),
            models: own(include_str!("../../data/models.csv")),
        }
    }
}

impl Catalog {
    /// The tables that this version carries, parsed once.
    ///
    /// # Errors
    /// If an embedded table is malformed, which the tests of this crate rule out.
    pub fn embedded() -> Result<&'static Self, Error> {
        static EMBEDDED: OnceLock<Result<Catalog, Error>> = OnceLock::new();
        EMBEDDED
            .get_or_init(|| Self::default().with(&Overlay::embedded(), Origin::Embedded))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// This catalogue with the rows of `overlay` in place of those with the same key, or added.
    ///
    /// # Errors
    /// With the path of the cell (`prices[3].usd_per_gpu_hour`): an unknown column, a missing or malformed cell, a
    /// number out of range, a row that stands twice, a name that no other table knows, a spelling that already means
    /// another row.
    pub fn overlaid(&self, overlay: &Overlay) -> Result<Self, Error> {
        self.with(overlay, Origin::Overlay(&Landed::default()))
    }

    fn with(&self, tables: &Overlay, origin: Origin<'_>) -> Result<Self, Error> {
        let titles = titles()?;
        let titles = titles.as_slice();
        let mut out = Self::default();
        out.fabrics = merged(
            &self.fabrics,
            ("fabrics", &tables.fabrics, Fabric::COLUMNS, origin),
            |row| Fabric::from_row(row, titles),
            |a, b| same_name(&a.name, &b.name),
        )?;
        out.gpus = merged(
            &self.gpus,
            ("gpus", &tables.gpus, Gpu::COLUMNS, origin),
            |row| {
                let mut gpu = Gpu::from_row(row, titles)?;
                gpu.scale_up_kind().map_err(|e| relocated(e, row.at("scale_up_link")))?;
                if let Some(name) = &gpu.reference_fabric {
                    gpu.reference_fabric = Some(out.fabric(&row.at("reference_fabric"), name)?.name.clone());
                }
                Ok(gpu)
            },
            |a, b| same_name(&a.name, &b.name),
        )?;
        out.shapes = merged(
            &self.shapes,
            ("shapes", &tables.shapes, Shape::COLUMNS, origin),
            |row| {
                let mut shape = Shape::from_row(row, titles)?;
                shape.gpu = out.gpu(&row.at("gpu"), &shape.gpu)?.name.clone();
                if let Some(name) = &shape.fabric {
                    shape.fabric = Some(out.fabric(&row.at("fabric"), name)?.name.clone());
                }
                shape.check(row.path())?;
                Ok(shape)
            },
            |a, b| same_name(&a.name, &b.name),
        )?;
        out.prices = merged(
            &self.prices,
            ("prices", &tables.prices, Price::COLUMNS, origin),
            |row| {
                let shape = row.required::<String>("shape")?;
                Price::from_row(row, titles, out.shape(&row.at("shape"), &shape)?)
            },
            Price::same_key,
        )?;
        if tables.shapes.is_some() {
            out.check_prices_fit_shapes()?;
        }
        out.regions = merged(
            &self.regions,
            ("regions", &tables.regions, Region::COLUMNS, origin),
            |row| Region::from_row(row, titles),
            |a, b| a.provider == b.provider && same_name(&a.name, &b.name),
        )?;
        out.storage = merged(
            &self.storage,
            ("storage", &tables.storage, StorageTier::COLUMNS, origin),
            |row| StorageTier::from_row(row, titles),
            |a, b| same_name(&a.name, &b.name),
        )?;
        out.transfers = merged(
            &self.transfers,
            ("transfers", &tables.transfers, TransferTariff::COLUMNS, origin),
            |row| TransferTariff::from_row(row, titles),
            TransferTariff::same_key,
        )?;
        out.pairs = merged(
            &self.pairs,
            ("pairs", &tables.pairs, CrossCloudPair::COLUMNS, origin),
            |row| {
                let mut pair = CrossCloudPair::from_row(row, titles)?;
                let named = |column, provider, name: &str| {
                    out.region(&row.at(column), provider, name).map(|region| region.name.clone())
                };
                pair.azure_region = named("azure_region", Provider::Azure, &pair.azure_region)?;
                pair.oci_region = named("oci_region", Provider::Oci, &pair.oci_region)?;
                Ok(pair)
            },
            CrossCloudPair::same_key,
        )?;
        out.limits = merged(
            &self.limits,
            ("limits", &tables.limits, ClusterLimit::COLUMNS, origin),
            |row| {
                let mut limit = ClusterLimit::from_row(row, titles)?;
                if let Some(name) = &limit.gpu {
                    limit.gpu = Some(out.gpu(&row.at("gpu"), name)?.name.clone());
                }
                if let Some(name) = &limit.shape {
                    limit.shape = Some(out.shape(&row.at("shape"), name)?.name.clone());
                }
                Ok(limit)
            },
            ClusterLimit::same_key,
        )?;
        out.energy = merged(
            &self.energy,
            ("energy", &tables.energy, EnergyFigure::COLUMNS, origin),
            |row| {
                let mut figure = EnergyFigure::from_row(row, titles)?;
                for name in &mut figure.gpus {
                    name.clone_from(&out.gpu(&row.at("gpus"), name)?.name);
                }
                Ok(figure)
            },
            EnergyFigure::same_key,
        )?;
        out.reliability = merged(
            &self.reliability,
            ("reliability", &tables.reliability, FailureRate::COLUMNS, origin),
            |row| {
                let mut rate = FailureRate::from_row(row, titles)?;
                if let Some(name) = &rate.gpu {
                    rate.gpu = Some(out.gpu(&row.at("gpu"), name)?.name.clone());
                }
                Ok(rate)
            },
            |a, b| same_name(&a.name, &b.name),
        )?;
        out.models = merged(
            &self.models,
            ("models", &tables.models, ModelPreset::COLUMNS, origin),
            |row| ModelPreset::from_row(row, titles),
            |a, b| same_name(&a.architecture.name, &b.architecture.name),
        )?;
        check_spellings("gpus", out.gpus.iter().map(|g| (&g.name, &g.aliases)))?;
        check_spellings("shapes", out.shapes.iter().map(|s| (&s.name, &s.aliases)))?;
        for provider in [Provider::Azure, Provider::Oci] {
            let here = out.regions.iter().filter(|region| region.provider == provider);
            check_spellings("regions", here.map(|r| (&r.name, &r.aliases)))?;
        }
        check_spellings("models", out.models.iter().map(|m| (&m.architecture.name, &m.aliases)))?;
        Ok(out)
    }

    /// A shape that an overlay replaced may have another number of GPUs than its prices were made for.
    fn check_prices_fit_shapes(&self) -> Result<(), Error> {
        for shape in &self.shapes {
            let gpus = f64::from(shape.gpus_per_node);
            // As printed by the providers: agreement to 0.1 % is agreement.
            let unfit = self
                .prices_of(shape)
                .any(|p| (p.usd_per_gpu_hour * gpus / p.usd_per_node_hour - 1.0).abs() > 1e-3);
            if unfit {
                return Err(Error::Conflict {
                    field: "shapes".to_owned(),
                    message: format!(
                        "{} now has {gpus} GPUs in a node, but a price of it is for another number; give its prices \
                         too or another name",
                        shape.name
                    ),
                });
            }
        }
        Ok(())
    }
}

type NamedTable<'a> = (&'a str, &'a Option<Table>, &'a [&'a str], Origin<'a>);

/// `base` with the rows of a table in place of those that are the `same`, or added behind them.
fn merged<T: Clone>(
    base: &[T],
    named: NamedTable<'_>,
    read: impl Fn(&Row) -> Read<T>,
    same: impl Fn(&T, &T) -> bool,
) -> Result<Vec<T>, Error> {
    let mut out = base.to_vec();
    lay(named, &mut |row| {
        let item = read(row)?;
        let at = out.iter().position(|known| same(known, &item)).unwrap_or(out.len());
        match out.get_mut(at) {
            Some(slot) => *slot = item,
            None => out.push(item),
        }
        Ok(at)
    })?;
    Ok(out)
}

/// What merging has to do whatever the rows are, compiled once: hands each row to `put`, which says where it came to
/// stand, and refuses two in one place.
fn lay(
    (name, table, columns, origin): NamedTable<'_>,
    put: &mut dyn FnMut(&Row) -> Read<usize>,
) -> Result<(), Error> {
    let Some(table) = table else { return Ok(()) };
    // Of each row so far: its position and its path.
    let mut written: Vec<(usize, String)> = Vec::new();
    for row in rows(name, table, columns, origin)? {
        let at = put(&row).map_err(|error| *error)?;
        if let Some((_, earlier)) = written.iter().find(|(position, _)| *position == at) {
            return Err(Error::Malformed {
                field: row.path().to_owned(),
                message: format!("has the same key as {earlier}; keep one of the two"),
            });
        }
        written.push((at, row.path().to_owned()));
    }
    if let Origin::Overlay(landed) = origin {
        landed.note(name, written.into_iter().map(|(at, _)| at).collect());
    }
    Ok(())
}

/// Titles of sources by their short names in the tables.
fn titles() -> Result<Vec<(String, String)>, Error> {
    let malformed = |message| Error::Malformed { field: "sources".to_owned(), message };
    let mut titles = Vec::new();
    for record in Records::new(include_str!("../../data/sources.csv")).skip(1) {
        let mut cells = record.map_err(malformed)?.into_iter();
        match (cells.next(), cells.next()) {
            (Some(id), Some(title)) => titles.push((id, title)),
            _ => return Err(malformed("two columns expected".to_owned())),
        }
    }
    Ok(titles)
}

fn relocated(error: Error, field: String) -> Error {
    match error {
        Error::Unsupported { given, reason, .. } => Error::Unsupported { field, given, reason },
        other => other,
    }
}
