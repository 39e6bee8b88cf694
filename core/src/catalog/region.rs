//! Where a cloud has data centres, which egress zone they count to, and whose grid feeds them.

use serde::{Deserialize, Serialize};

use super::lookup::find;
use super::table::{Read, Row};
use super::{Catalog, EnergyFigure, EnergyQuantity, EnergyScope, Provider, Source};
use crate::error::Error;

/// A region of a cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Whose region.
    pub provider: Provider,
    /// The provider's own name, such as `eastus` or `us-ashburn-1`.
    pub name: String,
    /// City, state or country, as the provider words it.
    pub location: String,
    /// Country, ISO 3166 alpha-3; none where it is not known.
    pub country: Option<String>,
    /// Zone of the provider's egress tariff, such as `zone-1` or `na-eu-uk`: the origin of its rows among
    /// [`Catalog::transfers`]. None where it is not known.
    pub egress_zone: Option<String>,
    /// Other spellings.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Where the figures are from.
    pub source: Source,
}

impl Region {
    pub(super) const COLUMNS: &'static [&'static str] =
        &["provider", "name", "location", "country", "egress_zone", "aliases"];

    pub(super) fn from_row(row: &Row, titles: &[(String, String)]) -> Read<Self> {
        let region = Self {
            provider: row.required("provider")?,
            name: row.required("name")?,
            location: row.text("location")?,
            country: row.optional("country")?,
            egress_zone: row.optional("egress_zone")?,
            aliases: row.names("aliases")?,
            source: row.source(titles)?,
        };
        // The grids of `energy.csv` are named so: any other spelling would silently find none.
        let alpha_3 = |code: &String| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        match &region.country {
            Some(code) if !alpha_3(code) => Err(Error::WrongType {
                field: row.at("country"),
                given: format!("\"{code}\""),
                expected: "an ISO 3166 alpha-3 code such as USA".to_owned(),
            }
            .into()),
            _ => Ok(region),
        }
    }
}

impl Catalog {
    /// The region of `provider` called `name`, spelt as [`Catalog::gpu`] allows.
    ///
    /// # Errors
    /// [`Error::UnknownName`] at `field` with the nearest name.
    pub fn region(&self, field: &str, provider: Provider, name: &str) -> Result<&Region, Error> {
        let kind = match provider {
            Provider::Azure => "Azure region",
            Provider::Oci => "OCI region",
        };
        let here: Vec<&Region> = self.regions.iter().filter(|region| region.provider == provider).collect();
        find(field, kind, name, &here, |region| (&region.name, &region.aliases)).copied()
    }

    /// Whether `name` is one region of `provider` to the table of regions or, on Azure, to a price: a price may stand for a
    /// region that is newer than the table. OCI's prices stand for all regions at once.
    pub fn knows_region(&self, provider: Provider, name: &str) -> bool {
        let priced = || self.prices.iter().any(|price| price.provider == provider && price.region == name);
        self.regions.iter().any(|region| region.provider == provider && region.name == name)
            || provider == Provider::Azure && priced()
    }

    /// Carbon intensity of the grid that feeds a region, g CO₂e per kWh with its source: the yearly average of its country.
    /// None where the country or its grid is not known.
    pub fn carbon(&self, region: &Region) -> Option<&EnergyFigure> {
        let country = region.country.as_deref()?;
        self.energy.iter().find(|figure| {
            figure.scope == EnergyScope::Country
                && figure.quantity == EnergyQuantity::GridCarbonIntensity
                && figure.name == country
        })
    }
}
