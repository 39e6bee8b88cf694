//! Which regions a scenario means.

use super::report::Pricing;
use crate::catalog::{Catalog, Provider};
use crate::error::Error;

impl Pricing {
    /// The same with the regions' canonical names.
    ///
    /// # Errors
    /// `UnknownName` at `pricing.azure_region`, `pricing.oci_region` or an own rate's `region` for a region that neither the table of regions nor,
    /// on Azure, any price knows.
    pub fn with_regions(&self, catalog: &Catalog) -> Result<Self, Error> {
        let named = |field, provider, given: &Option<String>| {
            given.as_ref().map(|name| canonical(catalog, field, provider, name)).transpose()
        };
        Ok(Self {
            azure_region: named("pricing.azure_region", Provider::Azure, &self.azure_region)?,
            oci_region: named("pricing.oci_region", Provider::Oci, &self.oci_region)?,
            own_rates: self.own_rates_in_regions(catalog)?,
            ..self.clone()
        })
    }

    /// The region of one cloud that was asked for.
    pub fn region_of(&self, provider: Provider) -> Option<&str> {
        match provider {
            Provider::Azure => self.azure_region.as_deref(),
            Provider::Oci => self.oci_region.as_deref(),
        }
    }
}

/// The canonical name of a region.
pub(super) fn canonical(
    catalog: &Catalog,
    field: &str,
    provider: Provider,
    name: &str,
) -> Result<String, Error> {
    match catalog.region(field, provider, name) {
        Ok(region) => Ok(region.name.clone()),
        Err(_) if catalog.knows_region(provider, name) => Ok(name.to_owned()),
        Err(error) => Err(error),
    }
}
