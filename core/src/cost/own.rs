//! The user's own rates: commitments that no provider publishes, negotiated prices, offers.

use serde::{Deserialize, Serialize};

use super::region::canonical;
use super::report::Pricing;
use crate::catalog::{ALL_REGIONS, Catalog, Confidence, Price, Provider, Shape, Source, Term};
use crate::error::{Error, check_range};
use crate::quantity::Warning;

/// A rate or discount of your own for one term. It wins over the listed price of that term, and the negotiated discount of
/// the provider does not come on top of it.
///
/// Where several match a shape, one that names the shape wins over one that names the provider, and then one that names
/// the region over one that does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct OwnRate {
    /// All shapes of this provider; this or `shape` must be given.
    #[serde(default)]
    pub provider: Option<Provider>,
    /// One shape.
    #[serde(default)]
    pub shape: Option<String>,
    /// Only in this region; in all if not given.
    #[serde(default)]
    pub region: Option<String>,
    /// The term it is for.
    pub term: Term,
    /// Share off the listed pay-as-you-go price, 0 to 0.99; either this or `usd_per_gpu_hour`.
    #[serde(default)]
    pub discount: Option<f64>,
    /// USD for one GPU and hour.
    #[serde(default)]
    pub usd_per_gpu_hour: Option<f64>,
}

/// What an own rate comes to on one shape.
pub(super) struct OwnPrice {
    pub(super) usd_per_gpu_hour: f64,
    pub(super) source: Source,
    /// Source of the listed price that a discount was taken off.
    pub(super) list_source: Option<Source>,
}

impl OwnRate {
    /// The rate on a shape whose listed pay-as-you-go price is `payg`; none where a discount has nothing to be taken off.
    pub(super) fn price(&self, payg: Option<&Price>) -> Option<OwnPrice> {
        if let Some(usd) = self.usd_per_gpu_hour {
            let text = format!("own rate of {usd} USD a GPU-hour, given in the scenario");
            return Some(OwnPrice { usd_per_gpu_hour: usd, source: user(text), list_source: None });
        }
        let (discount, list) = (self.discount?, payg?);
        let text = format!(
            "{} % off the listed pay-as-you-go price of {} USD a GPU-hour ({}, {}, {})",
            percent(discount),
            rounded(list.usd_per_gpu_hour),
            list.source.source,
            list.source.as_of,
            list.source.confidence.name(),
        );
        // As old as the price that it is taken off.
        let source = Source { as_of: list.source.as_of.clone(), ..user(text) };
        Some(OwnPrice {
            usd_per_gpu_hour: list.usd_per_gpu_hour * (1.0 - discount),
            source,
            list_source: Some(list.source.clone()),
        })
    }

    /// How closely it is drawn: of two that match, the higher wins.
    pub(super) fn closeness(&self) -> u8 {
        2 * u8::from(self.shape.is_some()) + u8::from(self.region.is_some())
    }

    fn names(&self, catalog: &Catalog, shape: &Shape) -> bool {
        match &self.shape {
            Some(name) => catalog.shape("shape", name).is_ok_and(|named| named.name == shape.name),
            None => self.provider == Some(shape.provider),
        }
    }
}

impl Pricing {
    /// The own rates of a shape at a term, in any region.
    pub(super) fn own_rates_of(&self, catalog: &Catalog, shape: &Shape, term: Term) -> Vec<&OwnRate> {
        let of_term = self.own_rates.iter().filter(|own| own.term == term);
        of_term.filter(|own| own.names(catalog, shape)).collect()
    }

    /// A warning for every own rate of a region that is not the one asked for.
    pub fn unused_own_rates(&self, catalog: &Catalog) -> Vec<Warning> {
        let mut out = Vec::new();
        for (i, own) in self.own_rates.iter().enumerate() {
            let provider = who(catalog, own).ok().and_then(|(provider, _)| self.region_of(provider));
            if let (Some(asked), Some(region)) = (provider, &own.region)
                && asked != region
            {
                let text = format!("is for {region} and not used: {asked} is asked for");
                out.push(Warning::new("own_rate_unused", &format!("pricing.own_rates[{i}]"), text));
            }
        }
        out
    }

    /// Own rates with the canonical names of their regions.
    ///
    /// # Errors
    /// `UnknownName` for a region that nobody knows.
    pub(super) fn own_rates_in_regions(&self, catalog: &Catalog) -> Result<Vec<OwnRate>, Error> {
        let named = |own: &OwnRate| {
            let (provider, _) = who(catalog, own)?;
            let region = own.region.as_ref().map(|name| canonical(catalog, "region", provider, name));
            Ok(OwnRate { region: region.transpose()?, ..own.clone() })
        };
        let named = |(i, own)| named(own).map_err(|e: Error| e.within(&format!("pricing.own_rates[{i}]")));
        self.own_rates.iter().enumerate().map(named).collect()
    }

    /// Refuses own rates that say too little, too much, or contradict each other.
    ///
    /// # Errors
    /// With paths such as `pricing.own_rates[1].discount`.
    pub(super) fn check_own_rates(&self, catalog: &Catalog) -> Result<(), Error> {
        let mut seen: Vec<Key> = Vec::new();
        for (i, own) in self.own_rates.iter().enumerate() {
            let at = format!("pricing.own_rates[{i}]");
            let (provider, shape) = who(catalog, own).map_err(|error| error.within(&at))?;
            check_term(own, provider).map_err(|error| error.within(&at))?;
            check_amount(catalog, own, shape).map_err(|error| error.within(&at))?;
            let key = (provider, shape.map(|shape| shape.name.as_str()), own.region.as_deref(), own.term);
            if let Some(first) = seen.iter().position(|known| *known == key) {
                return Err(Error::Conflict {
                    field: at,
                    message: format!(
                        "own_rates[{first}] is for the same {}, region and term: keep one of them",
                        if shape.is_some() { "shape" } else { "provider" }
                    ),
                });
            }
            seen.push(key);
        }
        Ok(())
    }
}

/// What two own rates must not share: neither would be the more specific.
type Key<'a> = (Provider, Option<&'a str>, Option<&'a str>, Term);

/// The provider, and the shape where one is named.
fn who<'a>(catalog: &'a Catalog, own: &OwnRate) -> Result<(Provider, Option<&'a Shape>), Error> {
    match (&own.shape, own.provider) {
        (None, None) => Err(Error::MissingField {
            field: "shape".to_owned(),
            expected: "give shape, or provider for all of its shapes".to_owned(),
        }),
        (None, Some(provider)) => Ok((provider, None)),
        (Some(name), provider) => {
            let shape = catalog.shape("shape", name)?;
            if provider.is_some_and(|provider| provider != shape.provider) {
                return Err(Error::Conflict {
                    field: "provider".to_owned(),
                    message: format!("{} is rented by another provider: leave provider out", shape.name),
                });
            }
            Ok((shape.provider, Some(shape)))
        }
    }
}

fn check_term(own: &OwnRate, provider: Provider) -> Result<(), Error> {
    if own.term.is_of(provider) {
        return Ok(());
    }
    let (cloud, instead) = match provider {
        Provider::Azure => ("Azure", "spot"),
        Provider::Oci => ("OCI", "preemptible"),
    };
    Err(Error::Conflict {
        field: "term".to_owned(),
        message: format!("{cloud} has no term \"{}\": its spare capacity is \"{instead}\"", own.term.words()),
    })
}

fn check_amount(catalog: &Catalog, own: &OwnRate, shape: Option<&Shape>) -> Result<(), Error> {
    match (own.discount, own.usd_per_gpu_hour) {
        (None, None) => Err(Error::MissingField {
            field: "discount".to_owned(),
            expected: "give discount or usd_per_gpu_hour".to_owned(),
        }),
        (Some(_), Some(_)) => Err(Error::Conflict {
            field: "usd_per_gpu_hour".to_owned(),
            message: "give discount or usd_per_gpu_hour, not both".to_owned(),
        }),
        (None, Some(usd)) => check_range("usd_per_gpu_hour", usd, 1e-6, 1e6).map(|_| ()),
        (Some(discount), None) => {
            check_range("discount", discount, 0.0, 0.99)?;
            let Some(shape) = shape else { return Ok(()) };
            let prices: Vec<&Price> = catalog.prices_of(shape).collect();
            let listed = match &own.region {
                Some(region) => listed(&prices, Term::Payg, region),
                None => prices.iter().copied().find(|price| price.term == Term::Payg),
            };
            if listed.is_some() {
                return Ok(());
            }
            let here = own.region.as_ref().map_or(String::new(), |region| format!(" in {region}"));
            Err(Error::Conflict {
                field: "discount".to_owned(),
                message: format!(
                    "no pay-as-you-go price of {} is listed{here} to take it off: give usd_per_gpu_hour",
                    shape.name
                ),
            })
        }
    }
}

/// The listed price at a term in a region; a price of all regions holds in each.
pub(super) fn listed<'a>(prices: &[&'a Price], term: Term, region: &str) -> Option<&'a Price> {
    let at = |region: &str| prices.iter().copied().find(|price| price.term == term && price.region == region);
    at(region).or_else(|| at(ALL_REGIONS))
}

/// Four digits behind the point are enough for a text.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A share as percent.
pub(super) fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

fn user(text: String) -> Source {
    Source { source: text, as_of: String::new(), confidence: Confidence::User, note: String::new() }
}
