//! Keeping data sets and checkpoints.

use super::report::{CostItem, CostLine};
use crate::catalog::{Catalog, Provider};
use crate::quantity::{GB, GIB};

/// The line for keeping so many GB for so many months in a cloud's standard object storage: Azure Blob Hot LRS, OCI Object
/// Storage Standard. None where the catalogue has no price for it.
pub fn object_storage(
    catalog: &Catalog,
    provider: Provider,
    gb: f64,
    months: f64,
    hours_per_month: f64,
) -> Option<CostLine> {
    let name = match provider {
        Provider::Azure => "azure-blob-hot-lrs",
        Provider::Oci => "oci-object-standard",
    };
    let tier = catalog.storage.iter().find(|tier| tier.name == name)?;
    let unit_usd = tier.usd_per_gib_month(hours_per_month)? * GB / GIB;
    let quantity = gb * months;
    Some(CostLine {
        item: CostItem::Storage,
        what: format!("{}, {}: data set and checkpoints", tier.service, tier.tier),
        quantity,
        unit: "GB-month".to_owned(),
        unit_usd,
        usd: quantity * unit_usd,
        source: tier.source.clone(),
    })
}
