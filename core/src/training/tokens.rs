//! How many tokens a model should see.

use serde::{Deserialize, Serialize};

use super::layout::Task;
use crate::error::Error;
use crate::model::Architecture;

/// A rule for the tokens of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum TokensRule {
    /// 20 tokens per parameter: the compute-optimal training of dense models, arXiv 2203.15556, table 3 (approach 1: 20.0
    /// to 22.4 from 400 M to 10 T parameters) and Chinchilla itself (70 B on 1.4 T). Of a mixture of experts active
    /// parameters count: a token's FLOP are then those of the dense model that the rule is about.
    Chinchilla,
}

/// Tokens per parameter, arXiv 2203.15556: Chinchilla's 1.4 T over 70 B, and the first rows of table 3.
const CHINCHILLA_TOKENS_PER_PARAMETER: f64 = 20.0;

impl TokensRule {
    /// Tokens to train this model on: 20 times its active parameters, embeddings included (arXiv 2203.15556, table 3).
    ///
    /// # Errors
    /// `Conflict` where the model is not trained from the beginning: the rule says nothing about it.
    pub fn tokens(self, model: &Architecture, task: Task) -> Result<f64, Error> {
        if task != Task::Pretrain {
            return Err(Error::Conflict {
                field: "tokens_rule".to_owned(),
                message: "the rule is about training from the beginning: give tokens to fine-tune on"
                    .to_owned(),
            });
        }
        match self {
            Self::Chinchilla => Ok(CHINCHILLA_TOKENS_PER_PARAMETER * model.active_parameters()),
        }
    }
}
