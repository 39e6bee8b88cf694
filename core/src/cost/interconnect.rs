//! Oracle Interconnect for Azure: which pair of regions, which ports, circuit and gateway, at what cost.

use super::report::{CostLine, Pricing, TransferChoice};
use super::transfer::{End, Link, Move, line, own_line};
use crate::catalog::{
    Catalog, CircuitPlan, CrossCloudPair, Provider, Region, TransferKind, TransferTariff, TransferUnit,
};
use crate::error::Error;
use crate::quantity::Warning;

/// The way of a move over the interconnect.
pub(super) struct Route<'a> {
    /// The regions that are joined; none where no pair offers the circuit.
    pair: Option<&'a CrossCloudPair>,
    /// The cheapest gateway that carries the circuit, and how many of it; none where none is priced, or the price is the
    /// user's.
    gateway: Option<(&'a TransferTariff, f64)>,
}

/// Refuses a circuit that is not among the `rates` on offer, Gb/s.
pub(super) fn check_rate(gbit: f64, rates: &[f64]) -> Result<(), Error> {
    if rates.contains(&gbit) {
        return Ok(());
    }
    let mut offered = rates.to_vec();
    offered.sort_by(f64::total_cmp);
    offered.dedup();
    let offered: Vec<String> = offered.iter().map(f64::to_string).collect();
    Err(Error::Unsupported {
        field: "transfer.gbit_per_s".to_owned(),
        given: gbit.to_string(),
        reason: format!("circuits of the interconnect have {} Gb/s", offered.join(", ")),
    })
}

/// Refuses regions that were asked for and that no interconnect joins.
pub(super) fn check_regions(catalog: &Catalog, pricing: &Pricing, gbit: f64) -> Result<(), Error> {
    let (azure, oci) = (pricing.region_of(Provider::Azure), pricing.region_of(Provider::Oci));
    let fits = |pair: &&CrossCloudPair| {
        azure.is_none_or(|name| pair.azure_region == name) && oci.is_none_or(|name| pair.oci_region == name)
    };
    let rates: Vec<f64> =
        catalog.pairs.iter().filter(fits).flat_map(|pair| pair.gbit_per_s.iter().copied()).collect();
    if !rates.is_empty() {
        return check_rate(gbit, &rates);
    }
    let (field, between) = match (azure, oci) {
        (Some(azure), Some(oci)) => ("pricing.oci_region", format!("{azure} and {oci}")),
        (Some(azure), None) => ("pricing.azure_region", format!("{azure} and any OCI region")),
        (None, Some(oci)) => ("pricing.oci_region", format!("{oci} and any Azure region")),
        (None, None) => ("transfer.path", "any two regions".to_owned()),
    };
    let mut message = format!("no interconnect joins {between}");
    let mut pairs: Vec<&CrossCloudPair> = catalog.pairs.iter().collect();
    pairs.sort_by_key(|pair| nearness(catalog, pair, azure, oci));
    for (i, pair) in pairs.iter().enumerate() {
        let lead = if i == 0 {
            "; nearest is"
        } else if i == 1 {
            "; also joined are"
        } else {
            ","
        };
        message.push_str(&format!("{lead} {} with {}", pair.azure_region, pair.oci_region));
    }
    Err(Error::Conflict { field: field.to_owned(), message })
}

/// How far a pair lies from the regions meant, on both sides: 0 the same region, 1 the same country, 2 the same egress
/// zone, 3 anywhere. A side that is not known is as near as any.
fn nearness(catalog: &Catalog, pair: &CrossCloudPair, azure: Option<&str>, oci: Option<&str>) -> u32 {
    let side = |provider, meant: Option<&str>, joined: &str| {
        meant.map_or(0, |meant| distance(catalog, provider, meant, joined))
    };
    side(Provider::Azure, azure, &pair.azure_region) + side(Provider::Oci, oci, &pair.oci_region)
}

fn distance(catalog: &Catalog, provider: Provider, a: &str, b: &str) -> u32 {
    if a == b {
        return 0;
    }
    let region = |name| catalog.region("region", provider, name).ok();
    let (Some(a), Some(b)) = (region(a), region(b)) else { return 3 };
    let same = |part: fn(&Region) -> &Option<String>| part(a).is_some() && part(a) == part(b);
    if same(|region| &region.country) {
        1
    } else if same(|region| &region.egress_zone) {
        2
    } else {
        3
    }
}

/// The way that a move takes: the pair nearest to both ends that offers the circuit, and a gateway for it. Fills in regions,
/// links and what had to be taken.
pub(super) fn route<'a>(
    catalog: &'a Catalog,
    from: &End,
    to: &End,
    choice: &TransferChoice,
    out: &mut Move,
) -> Route<'a> {
    let region = |provider| {
        let end = if from.provider == provider { from } else { to };
        end.region.as_deref()
    };
    let (azure, oci) = (region(Provider::Azure), region(Provider::Oci));
    let pair = catalog
        .pairs
        .iter()
        .filter(|pair| pair.gbit_per_s.contains(&choice.gbit_per_s))
        // The first of the table where several are as near.
        .min_by_key(|pair| nearness(catalog, pair, azure, oci));
    let Some(pair) = pair else {
        out.unpriced
            .push(format!("an interconnect of {} Gb/s, which no pair of regions offers", choice.gbit_per_s));
        return Route { pair: None, gateway: None };
    };
    named(pair, azure, oci, from.provider, out);
    out.links.push(Link {
        name: format!("circuit {} – {}", pair.azure_region, pair.oci_region),
        gbit_per_s: choice.gbit_per_s,
    });
    let units = |tariff: &TransferTariff| tariff.gateways_for(choice.gbit_per_s);
    let cheapest = match choice.gateway_usd_per_hour {
        Some(_) => None,
        None => cheapest(catalog, pair, Provider::Azure, TransferKind::InterconnectGateway, |tariff| {
            units(tariff).filter(|_| tariff.usd_per == TransferUnit::Hour)
        }),
    };
    let gateway = cheapest.and_then(|gateway| Some((gateway, units(gateway)?)));
    out.links.extend(gateway.map(|(gateway, units)| Link {
        name: format!("ExpressRoute gateway {}", gateway.origin),
        gbit_per_s: widest(gateway) * units,
    }));
    Route { pair: Some(pair), gateway }
}

/// Fills in the regions of a move that the pair decides, and says so.
fn named(pair: &CrossCloudPair, azure: Option<&str>, oci: Option<&str>, from: Provider, out: &mut Move) {
    let joined = format!("{} with {}", pair.azure_region, pair.oci_region);
    let sides = [
        (Provider::Azure, "Azure", "pricing.azure_region", azure, &pair.azure_region),
        (Provider::Oci, "OCI", "pricing.oci_region", oci, &pair.oci_region),
    ];
    for (provider, cloud, field, meant, end) in sides {
        let text = match meant {
            Some(meant) if meant == end => continue,
            Some(meant) => {
                out.unpriced.push(format!("moving the data between {meant} and {end} inside {cloud}"));
                format!(
                    "no interconnect reaches {meant} for this move: the nearest circuit of this rate joins {joined}; the \
                     way between {meant} and {end} is not timed"
                )
            }
            None => {
                let region = if provider == from { &mut out.from_region } else { &mut out.to_region };
                *region = Some(end.clone());
                format!("the {cloud} region is not given: {end} is taken, as the interconnect joins {joined}")
            }
        };
        out.warnings.push(Warning::new("interconnect_region", field, text));
    }
}

/// The lines of a move over the route.
pub(super) fn price(
    catalog: &Catalog,
    from: &End,
    choice: &TransferChoice,
    route: &Route<'_>,
    hours_per_month: f64,
    out: &mut Move,
) {
    let Some(pair) = route.pair else { return };
    let hours = out.hours.ceil();
    let gbit = choice.gbit_per_s;
    let port = cheapest(catalog, pair, Provider::Oci, TransferKind::InterconnectPort, |tariff| {
        (tariff.usd_per == TransferUnit::PortHour && widest(tariff) >= gbit).then_some(1.0)
    });
    priced(catalog, port.map(|port| (port, 1.0)), pair, "FastConnect port", hours, gbit, out);
    match choice.gateway_usd_per_hour {
        Some(usd) => out.lines.push(own_line("ExpressRoute gateway", hours, "hour", usd)),
        None => priced(catalog, route.gateway, pair, "ExpressRoute gateway", hours, gbit, out),
    }
    // Only what leaves Azure is charged: FastConnect charges no data.
    let charged_gb = if from.provider == Provider::Azure { out.gb } else { 0.0 };
    let months = (out.hours / hours_per_month).ceil();
    circuit(catalog, pair, choice, months, charged_gb, out);
}

/// A line for so many hours of a port or gateway, or a word that its price is not known.
fn priced(
    catalog: &Catalog,
    tariff: Option<(&TransferTariff, f64)>,
    pair: &CrossCloudPair,
    what: &str,
    hours: f64,
    gbit: f64,
    out: &mut Move,
) {
    match tariff.and_then(|(tariff, units)| Some((tariff, units, tariff.usd?))) {
        Some((tariff, units, usd)) => {
            let what = if units > 1.0 { format!("{units} × {what}") } else { what.to_owned() };
            out.lines.push(line(tariff, &what, &tariff.destination, hours * units, "hour", usd));
            out.warnings.extend(elsewhere(catalog, tariff, pair));
        }
        None => out.unpriced.push(format!("a {what} of {gbit} Gb/s")),
    }
}

/// A warning about a price that was read elsewhere.
fn elsewhere(catalog: &Catalog, tariff: &TransferTariff, pair: &CrossCloudPair) -> Option<Warning> {
    let text = format!(
        "its price was read for {}: the one for {} is not known",
        tariff.destination,
        end_of(pair, tariff.provider)
    );
    (place(catalog, tariff, pair) == Place::Elsewhere)
        .then(|| Warning::new("price_of_another_region", &tariff.origin, text))
}

/// The end of a pair in one cloud.
fn end_of(pair: &CrossCloudPair, provider: Provider) -> &str {
    match provider {
        Provider::Azure => &pair.azure_region,
        Provider::Oci => &pair.oci_region,
    }
}

/// What a tariff's price was read for, as seen from a pair's end; nearest first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Region,
    Zone,
    Everywhere,
    Elsewhere,
}

fn place(catalog: &Catalog, tariff: &TransferTariff, pair: &CrossCloudPair) -> Place {
    let here = end_of(pair, tariff.provider);
    let region = catalog.region("region", tariff.provider, here).ok();
    let zone = region.and_then(|region| region.egress_zone.as_deref());
    match tariff.destination.as_str() {
        "" | "any" => Place::Everywhere,
        read if read == here => Place::Region,
        read if Some(read) == zone => Place::Zone,
        _ => Place::Elsewhere,
    }
}

/// A way to pay for the circuit and its data.
struct Offer<'a> {
    circuit: Option<&'a TransferTariff>,
    plan: CircuitPlan,
    lines: Vec<CostLine>,
    unpriced: Option<String>,
}

/// The ExpressRoute circuit and the data that leave Azure over it: the cheapest product whose price is known in full, else
/// the one with the least unknown.
fn circuit(
    catalog: &Catalog,
    pair: &CrossCloudPair,
    choice: &TransferChoice,
    months: f64,
    charged_gb: f64,
    out: &mut Move,
) {
    let gbit = choice.gbit_per_s;
    let mut offers: Vec<Offer<'_>> = Vec::new();
    if let Some(usd) = choice.circuit_usd_per_month {
        let lines = vec![own_line("ExpressRoute circuit", months, "month", usd)];
        offers.push(Offer { circuit: None, plan: CircuitPlan::Metered, lines, unpriced: None });
    } else {
        for plan in [CircuitPlan::Local, CircuitPlan::Unlimited, CircuitPlan::Metered] {
            let found = cheapest(catalog, pair, Provider::Azure, TransferKind::InterconnectPort, |tariff| {
                let fits = tariff.circuit_plan() == plan && widest(tariff) >= gbit;
                (tariff.usd_per == TransferUnit::Month && fits).then_some(1.0)
            });
            let Some((tariff, usd)) = found.and_then(|tariff| Some((tariff, tariff.usd?))) else { continue };
            let lines = vec![line(tariff, "ExpressRoute circuit", &tariff.destination, months, "month", usd)];
            offers.push(Offer { circuit: Some(tariff), plan, lines, unpriced: None });
        }
    }
    for offer in &mut offers {
        offer.add_data(catalog, pair, choice, charged_gb);
    }
    let usd = |offer: &Offer<'_>| offer.lines.iter().map(|line| line.usd).fold(0.0, |a, b| a + b);
    let best = offers
        .into_iter()
        .min_by(|a, b| a.unpriced.is_some().cmp(&b.unpriced.is_some()).then(usd(a).total_cmp(&usd(b))));
    match best {
        Some(offer) => {
            out.warnings.extend(offer.circuit.and_then(|tariff| elsewhere(catalog, tariff, pair)));
            out.lines.extend(offer.lines);
            out.unpriced.extend(offer.unpriced);
        }
        None => {
            out.unpriced.push(format!(
                "an ExpressRoute circuit of {gbit} Gb/s and its metered data (give transfer.circuit_usd_per_month)"
            ));
        }
    }
}

impl Offer<'_> {
    /// The charge for data of this circuit.
    fn add_data(
        &mut self,
        catalog: &Catalog,
        pair: &CrossCloudPair,
        choice: &TransferChoice,
        charged_gb: f64,
    ) {
        let included = self.circuit.is_some() && self.plan != CircuitPlan::Metered;
        if charged_gb <= 0.0 || included {
            return;
        }
        if let Some(usd) = choice.data_usd_per_gb {
            self.lines.push(own_line("data over ExpressRoute", charged_gb, "GB", usd));
            return;
        }
        let metered = cheapest(catalog, pair, Provider::Azure, TransferKind::InterconnectData, |tariff| {
            let metered = tariff.circuit_plan() == CircuitPlan::Metered;
            (tariff.usd_per == TransferUnit::Gb && metered).then_some(1.0)
        });
        // Whether a circuit at the user's own price is metered, only the user knows.
        match metered.filter(|_| self.circuit.is_some()).and_then(|tariff| Some((tariff, tariff.usd?))) {
            Some((tariff, usd)) => {
                let place = &tariff.destination;
                self.lines.push(line(tariff, "data over ExpressRoute", place, charged_gb, "GB", usd));
            }
            None => {
                self.unpriced = Some(format!(
                    "{charged_gb:.0} GB out of Azure over ExpressRoute, if the circuit is metered (give \
                     transfer.data_usd_per_gb)"
                ));
            }
        }
    }
}

/// The cheapest tariff with a price, of which `units` says how many are needed and none where it will not do: one whose
/// price was read for the pair's region before one for its zone, one for everywhere, and one for elsewhere.
fn cheapest<'a>(
    catalog: &'a Catalog,
    pair: &CrossCloudPair,
    provider: Provider,
    kind: TransferKind,
    units: impl Fn(&TransferTariff) -> Option<f64>,
) -> Option<&'a TransferTariff> {
    catalog
        .transfers
        .iter()
        .filter(|tariff| tariff.provider == provider && tariff.kind == kind)
        .filter_map(|tariff| Some((place(catalog, tariff, pair), tariff.usd? * units(tariff)?, tariff)))
        .min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))
        .map(|(.., tariff)| tariff)
}

/// The highest rate of a port or gateway, Gb/s; 0 where none is stated.
fn widest(tariff: &TransferTariff) -> f64 {
    tariff.gbit_per_s.iter().fold(0.0, |a: f64, b| a.max(*b))
}
