//! What a training job keeps in each cloud, and how fast it gets there.

use super::scenario::{Scenario, TrainingJob};
use crate::catalog::{Catalog, Provider, Shape};
use crate::cost::{Kept, Pricing, StoredData, StoredKind};
use crate::error::Error;
use crate::quantity::{GB, Warning};
use crate::training::{CHECKPOINT_BYTES_PER_PARAMETER, CheckpointBound, CheckpointLink, Reliability};

/// What a training job keeps, whichever cloud trains.
pub struct Keeping<'a> {
    catalog: &'a Catalog,
    scenario: &'a Scenario,
    pricing: &'a Pricing,
    checkpoints_gb: f64,
    /// Size of the data set where it is given; else it follows from the tokens.
    dataset_gb: Option<f64>,
}

impl<'a> Keeping<'a> {
    /// What the scenario's training keeps.
    ///
    /// # Errors
    /// An unknown model.
    pub fn of(
        catalog: &'a Catalog,
        scenario: &'a Scenario,
        pricing: &'a Pricing,
        job: &TrainingJob,
    ) -> Result<Self, Error> {
        let model = catalog.resolve_model("training.model", &job.model)?;
        let trained = model.parameters() * job.trained_share(&model);
        let checkpoint = trained * CHECKPOINT_BYTES_PER_PARAMETER / GB;
        Ok(Self {
            catalog,
            scenario,
            pricing,
            checkpoints_gb: checkpoint * f64::from(job.reliability.checkpoints_kept),
            dataset_gb: job.dataset_tb.map(|tb| tb * 1e3),
        })
    }

    /// What one cloud keeps for a run over so many tokens.
    ///
    /// # Errors
    /// A tier that does not hold it, with a path below `storage`.
    pub fn on(&self, provider: Provider, tokens: f64) -> Result<Vec<Kept<'a>>, Error> {
        // Tokens are kept as 32-bit numbers.
        let dataset = self.dataset_gb.unwrap_or(tokens * 4.0 / 1e9);
        let place = (provider, self.pricing.region_of(provider));
        self.scenario.storage.kept(self.catalog, place, self.checkpoints_gb, dataset)
    }
}

/// The links that checkpoints of so many nodes pass.
pub fn links(
    catalog: &Catalog,
    reliability: &Reliability,
    shape: Option<&Shape>,
    kept: &[Kept<'_>],
    nodes: f64,
) -> Vec<CheckpointLink> {
    let nic = shape.and_then(|shape| shape.frontend_gbit_per_s).map(|gbit| gbit / 8.0);
    let tier = kept.iter().find(|data| data.kind == StoredKind::Checkpoints);
    let mut out = reliability.checkpoint_links(nodes, nic, tier.and_then(Kept::gb_per_s));
    let disks = tier
        .zip(shape)
        .filter(|(tier, _)| tier.named)
        .and_then(|(tier, shape)| catalog.remote_disk_limit(tier.tier, &shape.name));
    out.extend(
        disks
            .map(|(each, _)| CheckpointLink { bound: CheckpointBound::VmDisks, gb_per_s: nodes * each / GB }),
    );
    out
}

/// What a report shows of what is kept, beside the links that checkpoints pass.
pub fn report(
    shape: Option<&Shape>,
    kept: &[Kept<'_>],
    links: &[CheckpointLink],
    nodes: f64,
) -> Vec<StoredData> {
    let nic = shape.and_then(|shape| shape.frontend_gbit_per_s).map(|gbit| nodes * gbit / 8.0);
    let writing =
        links.iter().filter(|link| !of_storage(link.bound)).map(|link| link.gb_per_s).min_by(f64::total_cmp);
    let rate = |kind| match kind {
        StoredKind::Checkpoints => writing,
        StoredKind::Dataset => nic,
    };
    kept.iter().map(|data| data.report(rate(data.kind))).collect()
}

/// Whether it is storage that sets this bound, not the nodes.
fn of_storage(bound: CheckpointBound) -> bool {
    matches!(
        bound,
        CheckpointBound::StorageTier | CheckpointBound::TotalGiven | CheckpointBound::AssumedStorage
    )
}

/// What was assumed of the way to storage, in words.
pub fn assumed(links: &[CheckpointLink], shape: &str) -> Vec<Warning> {
    let about = |link: &CheckpointLink| {
        let rate = link.gb_per_s;
        let text = match link.bound {
            CheckpointBound::AssumedStorage => format!(
                "no storage tier with a known throughput is named: it is assumed to take checkpoints at {rate:.0} GB/s, \
                 as Llama 3's storage did"
            ),
            CheckpointBound::AssumedNode => format!(
                "the front-end network of its nodes is not known: they are assumed to write checkpoints at {rate:.0} GB/s \
                 together, 40 Gb/s each"
            ),
            _ => return None,
        };
        Some(Warning::new("checkpoint_rate_assumed", shape, text))
    };
    links.iter().filter_map(about).collect()
}
