//! Moving weights and checkpoints from one cloud to the other: how long it takes, over which links, at what cost.

use serde::{Deserialize, Serialize};

use super::report::{CostItem, CostLine, Pricing, TransferChoice, TransferPath};
use super::{egress, interconnect};
use crate::catalog::{Catalog, Confidence, Provider, Source, TransferTariff};
use crate::error::{Error, check_range};
use crate::quantity::{GB, HOUR, Warning};

/// A link that data pass on their way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Link {
    /// Which one, in words.
    pub name: String,
    /// Its rate, Gb/s.
    pub gbit_per_s: f64,
}

/// One end of a move.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// The cloud.
    pub provider: Provider,
    /// The region, where it is known.
    pub region: Option<String>,
    /// The links of this end with a known rate: front-end networks, storage.
    pub links: Vec<Link>,
}

/// A move between the clouds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Move {
    /// Decimal GB that move.
    pub gb: f64,
    /// Hours that it takes at the rate of the slowest link.
    pub hours: f64,
    /// Region that the data leave, where it is known.
    pub from_region: Option<String>,
    /// Region that they reach, where it is known.
    pub to_region: Option<String>,
    /// The links that they pass, those with a known rate.
    pub links: Vec<Link>,
    /// Name of the slowest of them; the first where several are as slow.
    pub slowest_link: Option<String>,
    /// What it costs.
    pub lines: Vec<CostLine>,
    /// Charges that exist and whose price is not known, in words.
    pub unpriced: Vec<String>,
    /// What the reader should know: what was taken where nobody said.
    pub warnings: Vec<Warning>,
}

impl TransferChoice {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// `OutOfRange`, `Unsupported` for a circuit that no pair of regions offers, `Conflict` for a price of what is not used;
    /// paths below `transfer`.
    pub fn check(&self, catalog: &Catalog) -> Result<(), Error> {
        let rates: Vec<f64> = catalog.pairs.iter().flat_map(|pair| pair.gbit_per_s.iter().copied()).collect();
        let most = match self.path {
            TransferPath::Internet => 1e6,
            // The widest circuit that any pair of regions has.
            TransferPath::Interconnect => rates.iter().fold(0.0, |a: f64, b| a.max(*b)),
        };
        check_range("transfer.gbit_per_s", self.gbit_per_s, 1e-3, most)?;
        check_range("transfer.weight_releases", f64::from(self.weight_releases), 0.0, 1e6)?;
        check_range("transfer.checkpoints", f64::from(self.checkpoints), 0.0, 1e6)?;
        if self.path == TransferPath::Interconnect {
            interconnect::check_rate(self.gbit_per_s, &rates)?;
        }
        let prices = [
            ("transfer.circuit_usd_per_month", self.circuit_usd_per_month, false),
            ("transfer.gateway_usd_per_hour", self.gateway_usd_per_hour, false),
            ("transfer.data_usd_per_gb", self.data_usd_per_gb, true),
        ];
        for (field, usd, over_internet) in prices {
            let Some(usd) = usd else { continue };
            check_range(field, usd, 0.0, 1e7)?;
            if self.path == TransferPath::Internet && !over_internet {
                return Err(Error::Conflict {
                    field: field.to_owned(),
                    message:
                        "the internet has neither circuit nor gateway: leave it out, or set transfer.path to \
                              interconnect"
                            .to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Refuses regions that the path cannot join; `pricing` with canonical names.
    ///
    /// # Errors
    /// `Conflict` with the regions that an interconnect joins, or `Unsupported` for a circuit that the pair lacks.
    pub fn check_regions(&self, catalog: &Catalog, pricing: &Pricing) -> Result<(), Error> {
        match self.path {
            TransferPath::Internet => Ok(()),
            TransferPath::Interconnect => interconnect::check_regions(catalog, pricing, self.gbit_per_s),
        }
    }
}

/// Time and cost of moving so many bytes at once.
///
/// Time: bytes over the rate of the slowest link with a known rate. Internet: the source's egress tariff of its region's
/// zone, tier by tier, within one month. Interconnect: both ports and the gateway by the started hour, the circuit by the
/// started month, and metered data out of Azure.
pub fn move_between(
    catalog: &Catalog,
    from: &End,
    to: &End,
    bytes: f64,
    choice: &TransferChoice,
    hours_per_month: f64,
) -> Move {
    let mut out = Move {
        gb: bytes / GB,
        from_region: from.region.clone(),
        to_region: to.region.clone(),
        links: from.links.clone(),
        ..Move::default()
    };
    match choice.path {
        TransferPath::Internet => {
            out.links.push(Link { name: "path over the internet".to_owned(), gbit_per_s: choice.gbit_per_s });
            out.finish(to, bytes);
            egress::price(catalog, from, choice, &mut out);
        }
        TransferPath::Interconnect => {
            let route = interconnect::route(catalog, from, to, choice, &mut out);
            out.finish(to, bytes);
            interconnect::price(catalog, from, choice, &route, hours_per_month, &mut out);
        }
    }
    out
}

impl Move {
    /// The far end's links, and the time over all of them.
    fn finish(&mut self, to: &End, bytes: f64) {
        self.links.extend(to.links.iter().cloned());
        let Some(slowest) = self.links.iter().min_by(|a, b| a.gbit_per_s.total_cmp(&b.gbit_per_s)) else {
            return;
        };
        self.hours = bytes * 8.0 / (slowest.gbit_per_s * 1e9) / HOUR;
        self.slowest_link = Some(slowest.name.clone());
    }
}

/// A line of a tariff.
pub(super) fn line(
    tariff: &TransferTariff,
    what: &str,
    place: &str,
    quantity: f64,
    unit: &str,
    usd: f64,
) -> CostLine {
    // What holds everywhere needs no place.
    let place = if place.is_empty() || place == "any" { String::new() } else { format!(" ({place})") };
    CostLine {
        item: CostItem::Transfer,
        what: format!("{what}: {}{place}", tariff.origin),
        quantity,
        unit: unit.to_owned(),
        unit_usd: usd,
        usd: quantity * usd,
        source: tariff.source.clone(),
    }
}

/// A line at the user's own price.
pub(super) fn own_line(what: &str, quantity: f64, unit: &str, usd: f64) -> CostLine {
    CostLine {
        item: CostItem::Transfer,
        what: what.to_owned(),
        quantity,
        unit: unit.to_owned(),
        unit_usd: usd,
        usd: quantity * usd,
        source: Source {
            source: "given in the scenario".to_owned(),
            as_of: String::new(),
            confidence: Confidence::User,
            note: String::new(),
        },
    }
}
