//! The price of a GPU-hour.

use super::own::{OwnRate, listed, percent, rounded};
use super::report::{CostItem, CostLine, Pricing, TermCost};
use crate::catalog::{ALL_REGIONS, Catalog, Confidence, Price, Provider, Shape, Source, Term};
use crate::error::{Error, check_range};
use crate::quantity::Warning;

/// A price of compute as it is paid: an own rate, or a list price less the negotiated discount.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// The term it holds for.
    pub term: Term,
    /// The region, in words where the price holds in all of them.
    pub region: String,
    /// USD for a GPU and hour.
    pub usd_per_gpu_hour: f64,
    /// Where the price is from, and what was taken off it.
    pub source: Source,
    /// Source of the listed price that an own discount was taken off.
    pub list_source: Option<Source>,
}

impl Pricing {
    /// Refuses what makes no sense, regions that nobody knows, and own rates that contradict each other.
    ///
    /// # Errors
    /// With paths below `pricing`.
    pub fn check(&self, catalog: &Catalog) -> Result<(), Error> {
        check_range("pricing.hours_per_month", self.hours_per_month, 672.0, 744.0)?;
        check_range("pricing.azure_discount", self.azure_discount, 0.0, 0.99)?;
        check_range("pricing.oci_discount", self.oci_discount, 0.0, 0.99)?;
        self.currency.check()?;
        self.with_regions(catalog)?.check_own_rates(catalog)
    }

    /// A listed price less the negotiated discount.
    fn paid(&self, price: &Price, region: String) -> Rate {
        let discount = match price.provider {
            Provider::Azure => self.azure_discount,
            Provider::Oci => self.oci_discount,
        };
        let mut source = price.source.clone();
        if discount > 0.0 {
            source.source = format!("{}, less a negotiated {} %", source.source, percent(discount));
        }
        Rate {
            term: price.term,
            region,
            usd_per_gpu_hour: price.usd_per_gpu_hour * (1.0 - discount),
            source,
            list_source: None,
        }
    }
}

/// The rate of a shape at one term: the cheapest region, or the one asked for. None where no price is known.
pub fn rate(catalog: &Catalog, shape: &Shape, term: Term, pricing: &Pricing) -> Option<Rate> {
    cheapest(catalog, shape, term, pricing, pricing.region_of(shape.provider))
}

/// Rates of two terms in one region, for every region that has both; the first of the pair is of the first term.
pub fn rates_together(
    catalog: &Catalog,
    shape: &Shape,
    terms: (Term, Term),
    pricing: &Pricing,
) -> Vec<(Rate, Rate)> {
    let asked = pricing.region_of(shape.provider);
    let first = rates(catalog, shape, terms.0, pricing, asked);
    let second = rates(catalog, shape, terms.1, pricing, asked);
    // A rate that holds in all regions holds in each that the other term names.
    let here = |rates: &[(Option<String>, Rate)], region: &Option<String>| {
        let at = |wanted: Option<&str>| rates.iter().find(|(known, _)| known.as_deref() == wanted);
        let found = at(region.as_deref()).or_else(|| at(Some(ALL_REGIONS))).or_else(|| at(None));
        found.map(|(_, rate)| rate.clone())
    };
    let mut regions: Vec<&Option<String>> = Vec::new();
    for (region, _) in first.iter().chain(&second) {
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    regions.into_iter().filter_map(|region| here(&first, region).zip(here(&second, region))).collect()
}

/// The cheapest rate of the region asked for, or of all regions. An own rate wins over the listed price of its term in
/// the regions that it holds in, dearer or not.
fn cheapest(
    catalog: &Catalog,
    shape: &Shape,
    term: Term,
    pricing: &Pricing,
    asked: Option<&str>,
) -> Option<Rate> {
    let rates = rates(catalog, shape, term, pricing, asked).into_iter().map(|(_, rate)| rate);
    rates.min_by(|a, b| a.usd_per_gpu_hour.total_cmp(&b.usd_per_gpu_hour))
}

/// The rates of a term: in the region asked for, or in every region with a price of it; last, without a region, an own rate
/// that holds in all of them.
fn rates(
    catalog: &Catalog,
    shape: &Shape,
    term: Term,
    pricing: &Pricing,
    asked: Option<&str>,
) -> Vec<(Option<String>, Rate)> {
    let own = pricing.own_rates_of(catalog, shape, term);
    let discounts = own.iter().any(|own| own.discount.is_some());
    let counts = |price: &&Price| price.term == term || discounts && price.term == Term::Payg;
    let prices: Vec<&Price> = catalog.prices_of(shape).filter(counts).collect();
    let mut regions: Vec<Option<&str>> = Vec::new();
    match asked {
        Some(_) => regions.push(asked),
        None => {
            let named = own.iter().filter_map(|own| own.region.as_deref());
            for region in prices.iter().map(|price| price.region.as_str()).chain(named) {
                if !regions.contains(&Some(region)) {
                    regions.push(Some(region));
                }
            }
            // An own price without a region holds where nothing is listed, too.
            regions.push(None);
        }
    }
    let rate_in = |region: Option<&str>| match closest(&own, region) {
        Some(own) => {
            let payg = region.and_then(|region| listed(&prices, Term::Payg, region));
            let region = match (&own.region, payg.filter(|_| own.discount.is_some()), region) {
                (Some(region), ..) => region.clone(),
                // In the words of the price that the discount is taken off.
                (None, Some(payg), Some(region)) => spelt(payg, region),
                _ => asked.unwrap_or("any region").to_owned(),
            };
            let price = own.price(payg)?;
            let (source, list_source) = (price.source, price.list_source);
            Some(Rate { term, region, usd_per_gpu_hour: price.usd_per_gpu_hour, source, list_source })
        }
        None => {
            let price = listed(&prices, term, region?)?;
            Some(pricing.paid(price, spelt(price, region?)))
        }
    };
    let with_region = |region: Option<&str>| Some((region.map(str::to_owned), rate_in(region)?));
    regions.into_iter().filter_map(with_region).collect()
}

/// Of own rates the most specific that holds in a region.
fn closest<'a>(own: &[&'a OwnRate], region: Option<&str>) -> Option<&'a OwnRate> {
    let here = own.iter().copied().filter(|own| own.region.is_none() || own.region.as_deref() == region);
    here.max_by_key(|own| own.closeness())
}

/// The region of a price; of one that holds in all of them, which was asked for.
fn spelt(price: &Price, region: &str) -> String {
    if price.region == ALL_REGIONS && region != ALL_REGIONS {
        format!("{ALL_REGIONS}, {region} asked")
    } else {
        region.to_owned()
    }
}

/// Cost of so many GPU-hours on so many GPUs at every term that has a price.
pub fn terms(
    catalog: &Catalog,
    shape: &Shape,
    pricing: &Pricing,
    gpus: f64,
    gpu_hours: f64,
) -> Vec<TermCost> {
    Term::ALL
        .into_iter()
        .filter_map(|term| rate(catalog, shape, term, pricing))
        .map(|rate| TermCost {
            term: rate.term,
            usd: rate.usd_per_gpu_hour * gpu_hours,
            commitment_usd: rate.term.committed_hours().map(|hours| rate.usd_per_gpu_hour * gpus * hours),
            in_currency: pricing.currency.converted(rate.usd_per_gpu_hour * gpu_hours),
            region: rate.region,
            usd_per_gpu_hour: rate.usd_per_gpu_hour,
            source: rate.source,
            list_source: rate.list_source,
            // Dated with the whole plan, once the scenario's day is read.
            age_days: None,
            old: false,
        })
        .collect()
}

/// The rate that ranks: the user's own, the chosen term's, or pay-as-you-go with a warning.
pub fn chosen_rate(
    catalog: &Catalog,
    shape: Option<&Shape>,
    own: Option<f64>,
    pricing: &Pricing,
    name: &str,
    warnings: &mut Vec<Warning>,
) -> Option<Rate> {
    if let Some(usd) = own {
        return Some(Rate {
            term: pricing.term,
            region: "given".to_owned(),
            usd_per_gpu_hour: usd,
            source: Source {
                source: "given in the scenario".to_owned(),
                as_of: String::new(),
                confidence: Confidence::User,
                note: String::new(),
            },
            list_source: None,
        });
    }
    let Some(shape) = shape else {
        warnings.push(Warning::new(
            "price_missing",
            name,
            "a bare GPU has no price: name a shape that a cloud rents, or give usd_per_gpu_hour".to_owned(),
        ));
        return None;
    };
    if let Some(found) = rate(catalog, shape, pricing.term, pricing) {
        return Some(found);
    }
    let fallback = rate(catalog, shape, Term::Payg, pricing);
    let asked = pricing.region_of(shape.provider);
    let here = asked.map_or(String::new(), |region| format!(" in {region}"));
    let missing = match (&fallback, pricing.term) {
        (Some(_), _) => format!("no price for the chosen term is known{here}: ranked pay-as-you-go"),
        (None, Term::Payg) => format!("no price is known{here}: it is ranked last"),
        (None, _) => format!("no price is known{here} for this term or pay-as-you-go: it is ranked last"),
    };
    // Ranked pay-as-you-go already, only another region's price of the chosen term would be news.
    let sought = if fallback.is_some() { [pricing.term; 2] } else { [pricing.term, Term::Payg] };
    let way_out = way_out(catalog, shape, pricing, sought);
    warnings.push(Warning::new("price_missing", name, format!("{missing}; {way_out}")));
    fallback
}

/// What would give a shape without a price one: the cheapest other region that has it at one of the terms, the first
/// before the second, or the user's own word.
fn way_out(catalog: &Catalog, shape: &Shape, pricing: &Pricing, terms: [Term; 2]) -> String {
    let elsewhere = |term| {
        pricing.region_of(shape.provider)?;
        cheapest(catalog, shape, term, pricing, None)
    };
    match terms.into_iter().find_map(elsewhere) {
        Some(rate) => format!(
            "the cheapest region that has it is {}, at {} USD a GPU-hour {}",
            rate.region,
            rounded(rate.usd_per_gpu_hour),
            rate.term.words()
        ),
        None => "give one in pricing.own_rates, or usd_per_gpu_hour".to_owned(),
    }
}

/// What the term of a rate asks for beyond its price: a commitment longer than the use, or nodes that may be taken back.
pub fn term_warnings(rate: &Rate, gpus: f64, hours_used: f64, about: &str) -> Vec<Warning> {
    let mut out = Vec::new();
    if let Some(hours) = rate.term.committed_hours().filter(|hours| *hours > hours_used) {
        let usd = rate.usd_per_gpu_hour * gpus * hours;
        out.push(Warning::new(
            "commitment_exceeds_use",
            about,
            format!(
                "the term commits to {hours:.0} hours, {hours_used:.0} are used and counted: all of it costs {usd:.0} USD"
            ),
        ));
    }
    if rate.term.interruptible() {
        out.push(interruptible(about));
    }
    out
}

/// A warning that nodes may be taken back.
pub fn interruptible(about: &str) -> Warning {
    let text = "the provider may take these nodes back: neither time nor cost counts how often";
    Warning::new("interruptible", about, text.to_owned())
}

/// The line for so many GPU-hours.
pub fn compute_line(item: CostItem, shape: &str, rate: &Rate, hours: f64) -> CostLine {
    CostLine {
        item,
        what: format!("{shape} in {}", rate.region),
        quantity: hours,
        unit: "GPU-hour".to_owned(),
        unit_usd: rate.usd_per_gpu_hour,
        usd: hours * rate.usd_per_gpu_hour,
        source: rate.source.clone(),
    }
}
