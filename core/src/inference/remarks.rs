//! What is said of a question beside the times: the engine that was meant, lengths past the model's context.

use super::{Engine, ServingPoint, ServingTarget};
use crate::catalog::Catalog;
use crate::model::ModelRef;

/// What a request says of engine, model and lengths.
pub(super) struct Asked<'r> {
    pub engine: Option<Engine>,
    pub model: &'r ModelRef,
    /// Mean tokens of prompt and answer together.
    pub tokens: f64,
}

impl Asked<'_> {
    /// `point` with the engine in words, and what the reader should know of this question.
    pub fn told(&self, catalog: &Catalog, target: &ServingTarget, mut point: ServingPoint) -> ServingPoint {
        point.engine = Engine::describe(self.engine);
        point.warnings.extend(Engine::warnings(self.engine, target));
        point.warnings.extend(catalog.past_context("input_tokens", self.model, self.tokens));
        point
    }
}
