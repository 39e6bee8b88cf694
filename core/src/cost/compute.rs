//! The price of a GPU-hour.

use super::report::{CostItem, CostLine, Pricing, TermCost};
use crate::catalog::{Catalog, Confidence, Price, Provider, Shape, Source, Term};
use crate::error::{Error, check_range};
use crate::quantity::Warning;

/// A price of compute as it is paid: list price less the negotiated discount.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// The term it holds for.
    pub term: Term,
    /// The region.
    pub region: String,
    /// USD for a GPU and hour.
    pub usd_per_gpu_hour: f64,
    /// Where the list price is from.
    pub source: Source,
}

impl Pricing {
    /// Refuses what makes no sense, and regions that nobody knows.
    ///
    /// # Errors
    /// `OutOfRange` or `UnknownName`, with paths below `pricing`.
    pub fn check(&self, catalog: &Catalog) -> Result<(), Error> {
        check_range("pricing.hours_per_month", self.hours_per_month, 672.0, 744.0)?;
        check_range("pricing.azure_discount", self.azure_discount, 0.0, 0.99)?;
        check_range("pricing.oci_discount", self.oci_discount, 0.0, 0.99)?;
        self.with_regions(catalog)?;
        Ok(())
    }

    fn paid(&self, price: &Price) -> Rate {
        let discount = match price.provider {
            Provider::Azure => self.azure_discount,
            Provider::Oci => self.oci_discount,
        };
        Rate {
            term: price.term,
            region: price.region.clone(),
            usd_per_gpu_hour: price.usd_per_gpu_hour * (1.0 - discount),
            source: price.source.clone(),
        }
    }
}

/// The rate of a shape at one term: the cheapest region, or the one asked for. None where no price is known.
pub fn rate(catalog: &Catalog, shape: &Shape, term: Term, pricing: &Pricing) -> Option<Rate> {
    catalog
        .prices_of(shape)
        .filter(|price| price.term == term)
        .filter(|price| match (&pricing.azure_region, price.provider) {
            (Some(region), Provider::Azure) => price.region == *region,
            _ => true,
        })
        .min_by(|a, b| a.usd_per_gpu_hour.total_cmp(&b.usd_per_gpu_hour))
        .map(|price| pricing.paid(price))
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
            region: rate.region,
            usd_per_gpu_hour: rate.usd_per_gpu_hour,
            source: rate.source,
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
    let here = match (&pricing.azure_region, shape.provider) {
        (Some(region), Provider::Azure) => format!(" in {region}"),
        _ => String::new(),
    };
    warnings.push(Warning::new(
        "price_missing",
        name,
        match (&fallback, pricing.term == Term::Payg) {
            (Some(_), _) => format!("no price for the chosen term is known{here}: ranked pay-as-you-go"),
            (None, true) => {
                format!("no price is known{here}: it is ranked last; give usd_per_gpu_hour for a cost")
            }
            (None, false) => {
                format!("no price is known{here} for this term or pay-as-you-go: it is ranked last")
            }
        },
    ));
    fallback
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
        out.push(Warning::new(
            "interruptible",
            about,
            "the provider may take these nodes back: neither time nor cost counts how often".to_owned(),
        ));
    }
    out
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
