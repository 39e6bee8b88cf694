//! Keeping data sets and checkpoints: which tier, how much of it has to be provisioned, what it costs.

use serde::{Deserialize, Serialize};

use super::report::{CostItem, CostLine};
use crate::catalog::{Catalog, Confidence, Provider, Source, StorageTier, TierBilling};
use crate::error::{Error, check_range};
use crate::quantity::{GB, GIB, HOUR, TIB, Warning};

/// Where each cloud keeps what a training job stores.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct StorageChoice {
    /// On Azure.
    pub azure: CloudStorage,
    /// On OCI.
    pub oci: CloudStorage,
}

/// Storage tiers of one cloud. Checkpoints and data set stand apart, in file systems of their own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct CloudStorage {
    /// Tier for the checkpoints, such as `oci-lustre-1000`; standard object storage if not given.
    pub checkpoints: Option<String>,
    /// Capacity of it, TiB; as much as the checkpoints that are kept need if not given.
    pub checkpoints_capacity_tib: Option<f64>,
    /// Your own price of it, USD per GiB and month, used instead of a listed one.
    pub checkpoints_usd_per_gib_month: Option<f64>,
    /// Tier for the data set; standard object storage if not given.
    pub dataset: Option<String>,
    /// Capacity of it, TiB; as much as the data set needs if not given.
    pub dataset_capacity_tib: Option<f64>,
    /// Your own price of it, USD per GiB and month, used instead of a listed one.
    pub dataset_usd_per_gib_month: Option<f64>,
}

/// What is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum StoredKind {
    /// Checkpoints.
    Checkpoints,
    /// The training data set.
    Dataset,
}

/// What is stored where, and how fast it is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct StoredData {
    /// What.
    pub kind: StoredKind,
    /// Storage tier.
    pub tier: String,
    /// Whether the scenario names the tier; standard object storage is taken otherwise.
    pub named: bool,
    /// What is kept, TiB.
    pub kept_tib: f64,
    /// What is provisioned for it, TiB: at least what is kept.
    pub provisioned_tib: f64,
    /// Throughput of what is provisioned, GB/s; none where none is stated.
    pub gb_per_s: Option<f64>,
    /// Capacity from which on the tier no longer bounds what the nodes exchange with it, TiB; it may be more than one file
    /// system holds. None where throughput does not grow with the capacity or the nodes' rate is not known.
    pub ample_tib: Option<f64>,
    /// Hours to read all that is kept once, at the slower of the tier and the nodes; none where the tier's throughput is not
    /// known.
    pub read_hours: Option<f64>,
}

/// What is stored on a tier: how much of it, and how much has to be provisioned.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept<'a> {
    /// What.
    pub kind: StoredKind,
    /// The tier.
    pub tier: &'a StorageTier,
    /// Whether the scenario names it.
    pub named: bool,
    /// Decimal GB that are kept.
    pub gb: f64,
    /// TiB that are provisioned.
    pub provisioned_tib: f64,
    /// TiB that were asked for, if any.
    asked_tib: Option<f64>,
    /// The region that was asked for where the price was read for another.
    elsewhere: Option<String>,
    own_usd_per_gib_month: Option<f64>,
    field: String,
}

/// Names in the table of the tier that is taken where none is named.
fn standard(provider: Provider) -> &'static str {
    match provider {
        Provider::Azure => "azure-blob-hot-lrs",
        Provider::Oci => "oci-object-standard",
    }
}

/// What the scenario says about one kind of data.
struct Named<'a> {
    kind: StoredKind,
    field: String,
    tier: Option<&'a str>,
    capacity_tib: Option<f64>,
    usd_per_gib_month: Option<f64>,
}

impl CloudStorage {
    fn named(&self, provider: Provider) -> [Named<'_>; 2] {
        let cloud = match provider {
            Provider::Azure => "storage.azure",
            Provider::Oci => "storage.oci",
        };
        [
            Named {
                kind: StoredKind::Checkpoints,
                field: format!("{cloud}.checkpoints"),
                tier: self.checkpoints.as_deref(),
                capacity_tib: self.checkpoints_capacity_tib,
                usd_per_gib_month: self.checkpoints_usd_per_gib_month,
            },
            Named {
                kind: StoredKind::Dataset,
                field: format!("{cloud}.dataset"),
                tier: self.dataset.as_deref(),
                capacity_tib: self.dataset_capacity_tib,
                usd_per_gib_month: self.dataset_usd_per_gib_month,
            },
        ]
    }
}

impl StorageChoice {
    /// The choice for one cloud.
    pub fn of(&self, provider: Provider) -> &CloudStorage {
        match provider {
            Provider::Azure => &self.azure,
            Provider::Oci => &self.oci,
        }
    }

    /// Refuses tiers that are none, and capacities and prices that make no sense.
    ///
    /// # Errors
    /// `UnknownName`, `Unsupported`, `Conflict`, `MissingField` or `OutOfRange`, with paths below `storage`.
    pub fn check(&self, catalog: &Catalog) -> Result<(), Error> {
        for provider in [Provider::Azure, Provider::Oci] {
            for named in self.of(provider).named(provider) {
                let given = [
                    (format!("{}_capacity_tib", named.field), named.capacity_tib, 1e-6, 1e9),
                    (format!("{}_usd_per_gib_month", named.field), named.usd_per_gib_month, 0.0, 1e6),
                ];
                for (field, value, min, max) in given {
                    let Some(value) = value else { continue };
                    check_range(&field, value, min, max)?;
                    if named.tier.is_none() {
                        return Err(Error::MissingField {
                            field: named.field,
                            expected: format!("{field} belongs to a tier: name it"),
                        });
                    }
                }
                if let Some(name) = named.tier {
                    named.provisioned(catalog.storage_tier(&named.field, provider, name)?, 0.0)?;
                }
            }
        }
        Ok(())
    }

    /// What one cloud stores, checkpoints first: so many decimal GB of each kind, at the prices of `region` where they are
    /// known and a region is given.
    ///
    /// # Errors
    /// A tier that is none, or a capacity that does not hold what is kept, with paths below `storage`.
    pub fn kept<'a>(
        &self,
        catalog: &'a Catalog,
        (provider, region): (Provider, Option<&str>),
        checkpoints_gb: f64,
        dataset_gb: f64,
    ) -> Result<Vec<Kept<'a>>, Error> {
        let mut out = Vec::new();
        for named in self.of(provider).named(provider) {
            let gb = match named.kind {
                StoredKind::Checkpoints => checkpoints_gb,
                StoredKind::Dataset => dataset_gb,
            };
            let tier =
                catalog.storage_tier(&named.field, provider, named.tier.unwrap_or(standard(provider)))?;
            let tier = region.map_or(tier, |region| catalog.storage_in(tier, region));
            out.push(Kept {
                kind: named.kind,
                tier,
                named: named.tier.is_some(),
                gb,
                provisioned_tib: named.provisioned(tier, gb * GB / TIB)?,
                asked_tib: named.capacity_tib,
                elsewhere: region
                    .filter(|asked| tier.region.as_ref().is_some_and(|read| read != asked))
                    .map(str::to_owned),
                own_usd_per_gib_month: named.usd_per_gib_month,
                field: named.field,
            });
        }
        Ok(out)
    }
}

impl Named<'_> {
    /// TiB of `tier` that are provisioned to hold `kept`.
    fn provisioned(&self, tier: &StorageTier, kept: f64) -> Result<f64, Error> {
        let field = || format!("{}_capacity_tib", self.field);
        if let Some(asked) = self.capacity_tib {
            if matches!(tier.billing(), TierBilling::Metered | TierBilling::Bands) {
                return Err(Error::Conflict {
                    field: field(),
                    message: format!("{} is billed by what is stored: it has no capacity", tier.name),
                });
            }
            if asked < kept {
                return Err(Error::Conflict {
                    field: field(),
                    message: format!("{asked} TiB given, {kept:.2} TiB are kept: give more, or leave it out"),
                });
            }
        }
        let wanted = self.capacity_tib.unwrap_or(kept);
        if tier.billing() == TierBilling::Disks {
            let size = tier.max_capacity_tib.or(tier.min_capacity_tib).filter(|size| *size > 0.0);
            return match size {
                Some(size) => Ok((wanted / size).ceil() * size),
                None => Err(Error::Unsupported {
                    field: self.field.clone(),
                    given: tier.name.clone(),
                    reason: "the size of its disk is not known".to_owned(),
                }),
            };
        }
        match (tier.provisioned_tib(wanted), tier.max_capacity_tib) {
            (Some(tib), _) => Ok(tib),
            (None, Some(most)) if self.capacity_tib.is_some() && kept <= most => {
                Err(Error::OutOfRange { field: field(), given: wanted, min: kept, max: most })
            }
            (None, most) => Err(Error::Conflict {
                field: self.field.clone(),
                message: format!(
                    "{kept:.1} TiB are kept, and one file system of {} holds at most {} TiB: name a larger tier",
                    tier.name,
                    most.unwrap_or(f64::INFINITY)
                ),
            }),
        }
    }
}

impl Kept<'_> {
    /// Throughput of what is provisioned, GB/s; none where none is stated, or where no tier is named.
    pub fn gb_per_s(&self) -> Option<f64> {
        self.tier.bytes_per_s(self.provisioned_tib).filter(|_| self.named).map(|rate| rate / GB)
    }

    /// What a report shows of it; `nodes_gb_per_s` is the rate at which all nodes together exchange data with it, where it
    /// is known.
    pub fn report(&self, nodes_gb_per_s: Option<f64>) -> StoredData {
        let gb_per_s = self.gb_per_s();
        StoredData {
            kind: self.kind,
            tier: self.tier.name.clone(),
            named: self.named,
            kept_tib: self.gb * GB / TIB,
            provisioned_tib: self.provisioned_tib,
            gb_per_s,
            ample_tib: nodes_gb_per_s.filter(|_| self.named).and_then(|rate| self.tier.tib_for(rate * GB)),
            read_hours: gb_per_s.map(|rate| {
                let slowest = nodes_gb_per_s.map_or(rate, |nodes| rate.min(nodes));
                self.gb * GB / (slowest * GB) / HOUR
            }),
        }
    }

    /// In words: service, tier and region of the price.
    fn place(&self) -> String {
        let region = self.tier.region.as_ref().map_or_else(String::new, |region| format!(" in {region}"));
        format!("{}, {}{region}", self.tier.service, self.tier.tier)
    }

    fn contents(&self) -> &'static str {
        match self.kind {
            StoredKind::Checkpoints => "checkpoints",
            StoredKind::Dataset => "data set",
        }
    }

    /// The lines of this tier for so many months; none where it has no price.
    fn lines(&self, catalog: &Catalog, months: f64, hours_per_month: f64) -> Vec<CostLine> {
        let line = |tier: &StorageTier, what: String, quantity: f64, unit: &str, unit_usd: f64| CostLine {
            item: CostItem::Storage,
            what,
            quantity,
            unit: unit.to_owned(),
            unit_usd,
            usd: quantity * unit_usd,
            source: tier.source.clone(),
        };
        let gib_months = self.provisioned_tib * 1024.0 * months;
        let provisioned =
            format!("{}: {}, {:.1} TiB provisioned", self.place(), self.contents(), self.provisioned_tib);
        let stored = format!("{}: {}", self.place(), self.contents());
        if let Some(usd) = self.own_usd_per_gib_month {
            let what = format!("{}: {}, {:.1} TiB", self.place(), self.contents(), self.provisioned_tib);
            let source = Source {
                source: "given in the scenario".to_owned(),
                as_of: String::new(),
                confidence: Confidence::User,
                note: String::new(),
            };
            return vec![CostLine { source, ..line(self.tier, what, gib_months, "GiB-month", usd) }];
        }
        let by_volume = |tier: &StorageTier| tier.usd_per_gib_month(hours_per_month);
        match self.tier.billing() {
            TierBilling::Provisioned => by_volume(self.tier)
                .map(|usd| line(self.tier, provisioned, gib_months, "GiB-month", usd))
                .into_iter()
                .collect(),
            TierBilling::Metered => by_volume(self.tier)
                .map(|usd| line(self.tier, stored, self.gb * months, "GB-month", usd * GB / GIB))
                .into_iter()
                .collect(),
            TierBilling::Disks => {
                let size = self.tier.max_capacity_tib.or(self.tier.min_capacity_tib).unwrap_or(f64::INFINITY);
                let disks = (self.provisioned_tib / size).round();
                self.tier
                    .usd
                    .map(|usd| line(self.tier, provisioned, disks * months, "disk-month", usd))
                    .into_iter()
                    .collect()
            }
            TierBilling::Bands => catalog
                .storage_bands(self.tier)
                .into_iter()
                .filter_map(|band| {
                    let from = band.volume_from_tb.unwrap_or(0.0) * 1e3;
                    let to = band.volume_to_tb.map_or(self.gb, |tb| self.gb.min(tb * 1e3));
                    let what = format!("{}, {}: {}", band.service, band.tier, self.contents());
                    let usd = by_volume(band).filter(|_| to > from)?;
                    Some(line(band, what, (to - from) * months, "GB-month", usd * GB / GIB))
                })
                .collect(),
        }
    }

    /// What the reader should know of this tier: prices that are not known or bought apart, capacity that was rounded.
    fn warnings(&self, catalog: &Catalog) -> Vec<Warning> {
        let name = &self.tier.name;
        let mut out = Vec::new();
        let priced = match self.tier.billing() {
            TierBilling::Disks => self.tier.usd.is_some(),
            _ => self.tier.usd_per_gib_month(730.0).is_some(),
        };
        if !priced && self.own_usd_per_gib_month.is_none() {
            let text = format!(
                "its price is not known: {:.1} TiB for the {} are not in the totals; give {}_usd_per_gib_month",
                self.provisioned_tib,
                self.contents(),
                self.field
            );
            out.push(Warning::new("price_missing", name, text));
        }
        if let (Some(here), Some(read), None) =
            (&self.elsewhere, &self.tier.region, self.own_usd_per_gib_month)
        {
            let text = format!("its price was read for {read}: the one for {here} is not known");
            out.push(Warning::new("price_of_another_region", name, text));
        }
        let apart: Vec<&str> = catalog.bought_apart(self.tier).map(|row| row.name.as_str()).collect();
        if !apart.is_empty() && self.own_usd_per_gib_month.is_none() {
            let text = format!(
                "the capacity is priced; not in the totals is what is bought apart: {}",
                apart.join(", ")
            );
            out.push(Warning::new("price_missing", name, text));
        }
        if let Some(asked) = self.asked_tib.filter(|asked| self.provisioned_tib > asked * (1.0 + 1e-9)) {
            let text = format!(
                "{asked} TiB are asked for; it comes in steps: {:.1} TiB are provisioned",
                self.provisioned_tib
            );
            out.push(Warning::new("storage_rounded", &format!("{}_capacity_tib", self.field), text));
        }
        if self.named && self.gb_per_s().is_none() {
            let text = "no throughput of it is stated: it is not counted as a limit".to_owned();
            out.push(Warning::new("storage_throughput_unknown", name, text));
        }
        out
    }
}

/// The lines for keeping everything so many months, with what the reader should know. Data that stand in the same standard
/// object storage share a line.
pub fn storage_lines(
    catalog: &Catalog,
    kept: &[Kept<'_>],
    months: f64,
    hours_per_month: f64,
) -> (Vec<CostLine>, Vec<Warning>) {
    let mut lines = Vec::new();
    let mut warnings = Vec::new();
    if let [checkpoints, dataset] = kept
        && !checkpoints.named
        && !dataset.named
    {
        let together = Kept { gb: dataset.gb + checkpoints.gb, ..checkpoints.clone() };
        for mut line in together.lines(catalog, months, hours_per_month) {
            line.what =
                format!("{}, {}: data set and checkpoints", checkpoints.tier.service, checkpoints.tier.tier);
            lines.push(line);
        }
        warnings.extend(together.warnings(catalog));
        return (lines, warnings);
    }
    for data in kept {
        // Nothing is provisioned for nothing.
        if data.gb > 0.0 || data.asked_tib.is_some() {
            lines.extend(data.lines(catalog, months, hours_per_month));
            warnings.extend(data.warnings(catalog));
        }
    }
    (lines, warnings)
}
