//! Which rows of the storage table can be named as a tier, and how such a tier is billed.

use super::lookup::find;
use super::{Catalog, Provider, StorageTier, StorageUnit, ThroughputUnit};
use crate::error::Error;

/// How a storage tier is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierBilling {
    /// By the capacity that is provisioned, whether it is full or not.
    Provisioned,
    /// By what is stored.
    Metered,
    /// By what is stored, at a price that depends on the volume: one row for each band of it.
    Bands,
    /// By whole disks.
    Disks,
}

impl StorageTier {
    /// How it is billed.
    pub fn billing(&self) -> TierBilling {
        let provisioned = [self.min_capacity_tib, self.max_capacity_tib, self.capacity_step_tib];
        if self.usd_per == Some(StorageUnit::DiskMonth) {
            TierBilling::Disks
        } else if self.volume_from_tb.is_some() {
            TierBilling::Bands
        } else if provisioned.iter().any(Option::is_some) {
            TierBilling::Provisioned
        } else {
            TierBilling::Metered
        }
    }

    /// Priced by capacity: by volume and time, or by the disk.
    fn by_capacity(&self) -> bool {
        matches!(
            self.usd_per,
            Some(
                StorageUnit::GbMonth
                    | StorageUnit::GibMonth
                    | StorageUnit::TibMonth
                    | StorageUnit::GibHour
                    | StorageUnit::DiskMonth
            )
        )
    }

    fn same_service(&self, other: &Self) -> bool {
        self.provider == other.provider && self.service == other.service
    }

    /// The tier's name up to the word that says which band or component of it this row is.
    fn stem(&self) -> &str {
        let end = [" first ", " next ", " over ", " capacity"]
            .iter()
            .filter_map(|word| self.tier.to_ascii_lowercase().find(word))
            .min();
        end.and_then(|end| self.tier.get(..end)).unwrap_or(&self.tier)
    }
}

impl Catalog {
    /// The storage tier of `provider` called `name`, spelt as [`Catalog::gpu`] allows. Rows that are no tier (the price of
    /// throughput, of operations or of bare capacity where tiers include both, the limit of a virtual machine) are refused
    /// with the tiers to name instead.
    ///
    /// # Errors
    /// At `field`: [`Error::UnknownName`] with the nearest name, [`Error::Conflict`] for a tier of the other cloud,
    /// [`Error::Unsupported`] for a row that is no tier.
    pub fn storage_tier(&self, field: &str, provider: Provider, name: &str) -> Result<&StorageTier, Error> {
        let tier = find(field, "storage tier", name, &self.storage, |tier| (&tier.name, &[]))?;
        if tier.provider != provider {
            let (is, asked) = match tier.provider {
                Provider::Azure => ("Azure's", "OCI's"),
                Provider::Oci => ("OCI's", "Azure's"),
            };
            return Err(Error::Conflict {
                field: field.to_owned(),
                message: format!("{} is {is}: name one of {asked} tiers", tier.name),
            });
        }
        match self.no_tier(tier) {
            None => Ok(tier),
            Some(what) => Err(Error::Unsupported {
                field: field.to_owned(),
                given: tier.name.clone(),
                reason: format!("{what}; {}", self.instead_of(tier)),
            }),
        }
    }

    /// What a row is if it is no tier.
    fn no_tier(&self, row: &StorageTier) -> Option<&'static str> {
        match row.usd_per {
            Some(StorageUnit::IopsMonth | StorageUnit::IopsHour) => {
                Some("it is the price of operations, bought beside a capacity")
            }
            Some(StorageUnit::MbPerSMonth | StorageUnit::MbPerSHour | StorageUnit::MibPerSMonth) => {
                Some("it is the price of throughput, bought beside a capacity")
            }
            Some(StorageUnit::PerformanceUnitGbMonth) if row.throughput.is_none() => {
                Some("it is the price of performance units, bought beside a capacity")
            }
            None => Some("it is a limit of virtual machines, not a place to store"),
            Some(_) if self.bare_capacity(row) => {
                Some("it is the price of capacity without performance, a part of the service's tiers")
            }
            Some(_) => None,
        }
    }

    /// The price of capacity where performance units are bought besides and whole tiers of both stand in the table.
    fn bare_capacity(&self, row: &StorageTier) -> bool {
        let kin = || self.storage.iter().filter(|other| row.same_service(other));
        row.by_capacity()
            && row.throughput.is_none()
            && kin().any(|other| {
                other.usd_per == Some(StorageUnit::PerformanceUnitGbMonth) && other.throughput.is_none()
            })
            && kin().any(|other| other.by_capacity() && other.throughput.is_some())
    }

    fn instead_of(&self, row: &StorageTier) -> String {
        let tiers = |kin: bool| -> Vec<&str> {
            self.storage
                .iter()
                .filter(|other| other.provider == row.provider && (!kin || row.same_service(other)))
                .filter(|other| self.no_tier(other).is_none())
                .map(|other| other.name.as_str())
                .collect()
        };
        let kin = tiers(true);
        let names = if kin.is_empty() { tiers(false) } else { kin };
        format!("name a tier: {}", names.join(", "))
    }

    /// The row of the same tier whose price was read for `region`: the tier itself where there is none, and where its name
    /// already says another region.
    pub fn storage_in<'a>(&'a self, tier: &'a StorageTier, region: &str) -> &'a StorageTier {
        let explicit = tier.region.as_ref().is_some_and(|own| tier.name.ends_with(own.as_str()));
        let here = |row: &&StorageTier| {
            tier.same_service(row) && row.tier == tier.tier && row.region.as_deref() == Some(region)
        };
        self.storage.iter().find(|row| !explicit && here(row)).unwrap_or(tier)
    }

    /// The bands of a tier whose price depends on the volume, in order; the tier itself for any other.
    pub fn storage_bands<'a>(&'a self, tier: &'a StorageTier) -> Vec<&'a StorageTier> {
        if tier.billing() != TierBilling::Bands {
            return vec![tier];
        }
        let mut bands: Vec<&StorageTier> = self
            .storage
            .iter()
            .filter(|other| tier.same_service(other) && other.billing() == TierBilling::Bands)
            .filter(|other| other.region == tier.region && other.stem() == tier.stem())
            .collect();
        let from = |band: &StorageTier| band.volume_from_tb.unwrap_or(0.0);
        bands.sort_by(|a, b| from(a).total_cmp(&from(b)));
        bands
    }

    /// Rows with the price of throughput and operations that are bought beside a tier's capacity.
    pub fn bought_apart<'a>(&'a self, tier: &'a StorageTier) -> impl Iterator<Item = &'a StorageTier> {
        let component = |row: &StorageTier| {
            matches!(
                row.usd_per,
                Some(
                    StorageUnit::IopsMonth
                        | StorageUnit::IopsHour
                        | StorageUnit::MbPerSMonth
                        | StorageUnit::MbPerSHour
                        | StorageUnit::MibPerSMonth
                )
            )
        };
        self.storage
            .iter()
            .filter(move |row| tier.same_service(row) && component(row))
            .filter(move |row| row.region == tier.region)
            .filter(move |row| tier.stem() != tier.tier && row.tier.starts_with(tier.stem()))
    }

    /// The most that one node of `shape` exchanges with its remote disks, bytes per second, with the row that says so. None
    /// where the tier is no disk or no such limit is known.
    pub fn remote_disk_limit(&self, tier: &StorageTier, shape: &str) -> Option<(f64, &StorageTier)> {
        let disks = self.storage.iter().any(|row| {
            tier.same_service(row)
                && (row.usd_per == Some(StorageUnit::DiskMonth)
                    || row.throughput_per == Some(ThroughputUnit::MbPerSPerDisk))
        });
        self.storage
            .iter()
            .filter(|row| disks && row.provider == tier.provider)
            .filter(|row| row.throughput_per == Some(ThroughputUnit::MbPerSPerVm))
            // `ND H100/H200 v5` is every shape whose name has ND, one of the two GPUs, and v5.
            .filter(|row| row.tier.split(' ').all(|word| word.split('/').any(|part| shape.contains(part))))
            .find_map(|row| Some((row.throughput? * 1e6, row)))
    }
}
