//! What leaving a cloud over the internet costs: the tariff of the region's zone, tier by tier.

use super::report::TransferChoice;
use super::transfer::{End, Move, line, own_line};
use crate::catalog::{Catalog, Provider, TransferKind, TransferTariff, TransferUnit};
use crate::quantity::Warning;

/// Zone that is taken where the region is not known: the one of the clouds' home markets and lowest tariffs.
fn assumed_zone(provider: Provider) -> &'static str {
    match provider {
        Provider::Azure => "zone-1",
        Provider::Oci => "na-eu-uk",
    }
}

/// The lines of a move out of `from` over the internet, and what of it has no known price.
pub(super) fn price(catalog: &Catalog, from: &End, choice: &TransferChoice, out: &mut Move) {
    if let Some(usd) = choice.data_usd_per_gb {
        out.lines.push(own_line("egress to the internet", out.gb, "GB", usd));
        return;
    }
    let Some(zone) = zone(catalog, from, out) else { return };
    let place = from.region.clone().unwrap_or_default();
    // Up to here the volume is done with: tiers that overlap do not count twice.
    let (mut reached, mut covered) = (0.0, 0.0);
    for tariff in tiers(catalog, from.provider, &zone) {
        let (start, end) = (tariff.tier_from_gb.unwrap_or(0.0), tariff.tier_to_gb.unwrap_or(f64::INFINITY));
        let part = out.gb.min(end) - start.max(reached);
        reached = end.max(reached);
        let Some(usd) = tariff.usd.filter(|_| part > 0.0) else { continue };
        covered += part;
        out.lines.push(line(tariff, "egress to the internet", &place, part, "GB", usd));
    }
    if out.gb - covered > 1e-9 * out.gb {
        let rest = out.gb - covered;
        out.unpriced
            .push(format!("egress of {rest:.0} GB from {zone} in the tiers whose price is not known"));
    }
}

/// The egress zone of the source. None where its region is known and its zone is not.
fn zone(catalog: &Catalog, from: &End, out: &mut Move) -> Option<String> {
    let Some(name) = &from.region else {
        let zone = assumed_zone(from.provider);
        let (field, cloud) = match from.provider {
            Provider::Azure => ("pricing.azure_region", "Azure"),
            Provider::Oci => ("pricing.oci_region", "OCI"),
        };
        let text =
            format!("the {cloud} region is not given: egress is priced as from {zone}; others cost more");
        out.warnings.push(Warning::new("egress_zone", field, text));
        return Some(zone.to_owned());
    };
    let region = catalog.region("region", from.provider, name).ok();
    let zone = region.and_then(|region| region.egress_zone.clone());
    if zone.is_none() {
        out.unpriced.push(format!("egress of {:.0} GB from {name}, whose egress zone is not known", out.gb));
    }
    zone
}

/// The tiers of a zone, lowest first; `any` holds for every zone.
fn tiers<'a>(catalog: &'a Catalog, provider: Provider, zone: &str) -> Vec<&'a TransferTariff> {
    let mut tiers: Vec<&TransferTariff> = catalog
        .transfers
        .iter()
        .filter(|tariff| tariff.provider == provider && tariff.kind == TransferKind::InternetEgress)
        .filter(|tariff| tariff.usd_per == TransferUnit::Gb && tariff.usd.is_some())
        .filter(|tariff| tariff.origin == zone || tariff.origin == "any")
        // Cheaper routing than the provider's own network is another product, with another destination.
        .filter(|tariff| tariff.destination.is_empty() || tariff.destination == "internet")
        .collect();
    let start = |tariff: &TransferTariff| tariff.tier_from_gb.unwrap_or(0.0);
    tiers.sort_by(|a, b| start(a).total_cmp(&start(b)));
    tiers
}
