//! Which layers a pipeline stage holds: dense ones, those with experts, those of multi-token prediction.

use super::job::Job;
use super::step::Cut;

/// Layers of a stage by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StageLayers {
    /// Without experts.
    pub dense: f64,
    /// With experts.
    pub expert: f64,
}

/// A stage of a pipeline; the only one of a job without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// With the embedding.
    First,
    /// Between the ends: the fullest.
    Inner,
    /// With the output projection.
    Last,
}

impl StageLayers {
    /// Those of one stage. Dense layers come first where the model has a few before its experts; where both kinds alternate,
    /// and in a hybrid, a stage holds them in the model's proportion.
    pub fn of(job: &Job, cut: &Cut, place: Place) -> Self {
        let layers = match place {
            Place::First if cut.pp > 1.0 => cut.first_layers,
            Place::Last if cut.pp > 1.0 => cut.last_layers,
            _ => cut.stage_layers,
        };
        Self::among(job, layers, cut.pp > 1.0, place)
    }

    /// So many layers at a place, of a pipeline or of a job without.
    pub fn among(job: &Job, layers: f64, pipeline: bool, place: Place) -> Self {
        let sizes = &job.sizes;
        let dense = if !pipeline || job.architecture.alternates() {
            layers * sizes.dense_layers / sizes.layers().max(1.0)
        } else if sizes.moe_layers <= 0.0 {
            layers
        } else if place == Place::First {
            sizes.dense_layers.min(layers)
        } else {
            0.0
        };
        Self { dense, expert: layers - dense }
    }

    /// All of them.
    pub fn all(&self) -> f64 {
        self.dense + self.expert
    }

    /// Both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self { dense: self.dense + other.dense, expert: self.expert + other.expert }
    }

    /// So much of them.
    #[must_use]
    pub fn scaled(&self, by: f64) -> Self {
        Self { dense: self.dense * by, expert: self.expert * by }
    }
}
