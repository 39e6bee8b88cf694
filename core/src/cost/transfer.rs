//! Moving weights and checkpoints from one cloud to the other.

use super::report::{CostItem, CostLine, TransferChoice, TransferPath};
use crate::catalog::{Catalog, Provider, TransferKind, TransferTariff, TransferUnit};
use crate::error::{Error, check_range};
use crate::quantity::{GB, HOUR};

/// A move between the clouds.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// Decimal GB that move.
    pub gb: f64,
    /// Hours that it takes.
    pub hours: f64,
    /// What it costs.
    pub lines: Vec<CostLine>,
    /// Charges that exist and whose price is not known, in words.
    pub unpriced: Vec<String>,
}

impl TransferChoice {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// `OutOfRange`, with paths below `transfer`.
    pub fn check(&self, catalog: &Catalog) -> Result<(), Error> {
        let most = match self.path {
            TransferPath::Internet => 1e6,
            // The widest circuit that any pair of regions has.
            TransferPath::Interconnect => {
                catalog.pairs.iter().flat_map(|pair| &pair.gbit_per_s).fold(0.0, |a: f64, b| a.max(*b))
            }
        };
        check_range("transfer.gbit_per_s", self.gbit_per_s, 1e-3, most)?;
        check_range("transfer.weight_releases", f64::from(self.weight_releases), 0.0, 1e6)?;
        check_range("transfer.checkpoints", f64::from(self.checkpoints), 0.0, 1e6)?;
        Ok(())
    }
}

/// Time and cost of moving so many bytes out of `from`, in one month.
pub fn move_between(catalog: &Catalog, from: Provider, bytes: f64, choice: &TransferChoice) -> Move {
    let gb = bytes / GB;
    let hours = bytes * 8.0 / (choice.gbit_per_s * 1e9) / HOUR;
    let mut unpriced = Vec::new();
    let lines = match choice.path {
        TransferPath::Internet => egress(catalog, from, gb, &mut unpriced),
        TransferPath::Interconnect => interconnect(catalog, hours, choice.gbit_per_s, &mut unpriced),
    };
    Move { gb, hours, lines, unpriced }
}

/// The egress tariff tier by tier, from North America or Europe.
fn egress(catalog: &Catalog, from: Provider, gb: f64, unpriced: &mut Vec<String>) -> Vec<CostLine> {
    let mut covered = 0.0;
    let mut lines = Vec::new();
    for tariff in &catalog.transfers {
        let here = tariff.provider == from
            && tariff.kind == TransferKind::InternetEgress
            && (tariff.origin.starts_with("North America") || tariff.origin == "any");
        let (Some(usd), Some(start), TransferUnit::Gb) = (tariff.usd, tariff.tier_from_gb, tariff.usd_per)
        else {
            continue;
        };
        let part = tariff.tier_to_gb.map_or(gb, |end| gb.min(end)) - start;
        if here && part > 0.0 {
            covered += part;
            lines.push(line(tariff, "egress to the internet", part, "GB", usd));
        }
    }
    if gb - covered > 1e-9 * gb {
        unpriced.push(format!("egress of {:.0} GB beyond the tiers whose price is known", gb - covered));
    }
    lines
}

/// FastConnect's port by the hour on OCI's side; the circuit and gateway on Azure's side where their price is known.
fn interconnect(catalog: &Catalog, hours: f64, gbit: f64, unpriced: &mut Vec<String>) -> Vec<CostLine> {
    let started = hours.ceil();
    let wide_enough =
        |tariff: &&TransferTariff| tariff.usd.is_some() && tariff.gbit_per_s.iter().any(|rate| *rate >= gbit);
    let cheapest = |provider: Provider, kind: TransferKind, unit: TransferUnit| {
        catalog
            .transfers
            .iter()
            .filter(|t| t.provider == provider && t.kind == kind && t.usd_per == unit)
            .filter(wide_enough)
            .min_by(|a, b| a.usd.unwrap_or(f64::INFINITY).total_cmp(&b.usd.unwrap_or(f64::INFINITY)))
    };
    let mut lines = Vec::new();
    let parts = [
        (cheapest(Provider::Oci, TransferKind::InterconnectPort, TransferUnit::PortHour), "FastConnect port"),
        (
            cheapest(Provider::Azure, TransferKind::InterconnectGateway, TransferUnit::Hour),
            "ExpressRoute gateway",
        ),
    ];
    for (tariff, what) in parts {
        match tariff.and_then(|tariff| Some((tariff, tariff.usd?))) {
            Some((tariff, usd)) => lines.push(line(tariff, what, started, "hour", usd)),
            None => unpriced.push(format!("a {what} of {gbit} Gb/s")),
        }
    }
    unpriced.push("the ExpressRoute circuit on Azure's side and its metered data".to_owned());
    lines
}

fn line(tariff: &TransferTariff, what: &str, quantity: f64, unit: &str, usd: f64) -> CostLine {
    CostLine {
        item: CostItem::Transfer,
        what: format!("{what}: {}", tariff.origin),
        quantity,
        unit: unit.to_owned(),
        unit_usd: usd,
        usd: quantity * usd,
        source: tariff.source.clone(),
    }
}
