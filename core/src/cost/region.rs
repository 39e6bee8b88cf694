//! Which regions a scenario means.

use super::report::Pricing;
use crate::catalog::{Catalog, Provider};
use crate::error::Error;

impl Pricing {
    /// The same with the regions' canonical names.
    ///
    /// # Errors
    /// `UnknownName` at `pricing.azure_region` or `pricing.oci_region` for a region that neither the table of regions nor,
    /// on Azure, any price knows.
    pub fn with_regions(&self, catalog: &Catalog) -> Result<Self, Error> {
        let named = |field, provider, given: &Option<String>| {
            given.as_ref().map(|name| canonical(catalog, field, provider, name)).transpose()
        };
        Ok(Self {
            azure_region: named("pricing.azure_region", Provider::Azure, &self.azure_region)?,
            oci_region: named("pricing.oci_region", Provider::Oci, &self.oci_region)?,
            ..self.clone()
        })
    }

    /// The region of one cloud that was asked for.
    pub fn region(&self, provider: Provider) -> Option<&str> {
        match provider {
            Provider::Azure => self.azure_region.as_deref(),
            Provider::Oci => self.oci_region.as_deref(),
        }
    }
}

fn canonical(catalog: &Catalog, field: &str, provider: Provider, name: &str) -> Result<String, Error> {
    let known = catalog.region(field, provider, name);
    // A price may stand for a region that is newer than the table; OCI's stand for all regions at once.
    let priced = || {
        let azure = |price: &&crate::catalog::Price| price.provider == Provider::Azure;
        catalog.prices.iter().filter(azure).any(|price| price.region == name)
    };
    match known {
        Ok(region) => Ok(region.name.clone()),
        Err(_) if provider == Provider::Azure && priced() => Ok(name.to_owned()),
        Err(error) => Err(error),
    }
}
