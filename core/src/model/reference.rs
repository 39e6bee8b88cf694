use serde::{Deserialize, Serialize};

/// Temporary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(transparent)]
pub struct ModelRef(pub String);

impl crate::catalog::Catalog {
    /// Temporary.
    pub fn resolve_model(&self, field: &str, model: &ModelRef) -> Result<super::Architecture, crate::Error> {
        Ok(self.model(field, &model.0)?.architecture.clone())
    }
}
