//! What a request may say of placement, routing, oversubscription and software.

use serde::{Deserialize, Serialize};

use super::{Conditions, Launch, LibraryAge, Routing, Topology};
use crate::catalog::FabricKind;
use crate::error::{Error, check_range};

/// What a job meets on the fabric; what is not given is what the fabric's row in the catalogue says, else a compact job
/// on a non-blocking fabric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct NetworkConditions {
    /// Where the job's nodes lie: next to each other (if not given) or anywhere. Scattered is the pessimistic end as it was
    /// measured: 0.63 of the compact bandwidth with adaptive routing and 0.60 without, on 32 to 64 nodes of Azure's H100.
    #[serde(default)]
    pub placement: Option<Placement>,
    /// Share of the nodes that lie anywhere, 0 to 1, for what lies between; instead of `placement`.
    #[serde(default)]
    pub scattered_share: Option<f64>,
    /// How the fabric spreads flows over equal paths; matters where the placement is scattered.
    #[serde(default)]
    pub routing: Option<Routing>,
    /// Bandwidth into a tier over bandwidth out of it, 1 (non-blocking) to 100.
    #[serde(default)]
    pub oversubscription: Option<f64>,
    /// GPUs below the oversubscribed tier; if not given with `oversubscription`, it lies right above the nodes (or racks).
    #[serde(default)]
    pub tier_gpus: Option<u32>,
    /// Whether the fabric's switches sum (SHARP; InfiniBand only); not, if not given.
    #[serde(default)]
    pub in_switch_reduction: Option<bool>,
    /// What launches the collectives.
    #[serde(default)]
    pub launch: Launch,
    /// Age of the collective library.
    #[serde(default)]
    pub library: LibraryAge,
}

/// Where a job's nodes lie in the fabric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Next to each other, as a placement group or a scheduler that knows the fabric gives them.
    Compact,
    /// Anywhere.
    Scattered,
}

impl NetworkConditions {
    /// `topology` under these conditions.
    ///
    /// # Errors
    /// `OutOfRange` for a share outside 0 to 1 or an oversubscription outside 1 to 100; `Conflict` for `placement` beside
    /// `scattered_share`, and for `tier_gpus` without an oversubscribed tier; `Unsupported` for sums in the switches of a
    /// fabric that is not InfiniBand.
    pub fn on(&self, mut topology: Topology) -> Result<Topology, Error> {
        let stated = topology.conditions;
        let scattered_share = match (self.placement, self.scattered_share) {
            (Some(_), Some(_)) => {
                return Err(Error::Conflict {
                    field: "scattered_share".to_owned(),
                    message: "placement says where the nodes lie already: give one of the two".to_owned(),
                });
            }
            (Some(Placement::Compact), None) => 0.0,
            (Some(Placement::Scattered), None) => 1.0,
            (None, Some(share)) => check_range("scattered_share", share, 0.0, 1.0)?,
            (None, None) => stated.scattered_share,
        };
        let oversubscription = match self.oversubscription {
            Some(ratio) => check_range("oversubscription", ratio, 1.0, 100.0)?,
            None => stated.oversubscription,
        };
        let tier_gpus = match (self.tier_gpus, self.oversubscription) {
            (Some(_), _) if oversubscription <= 1.0 => {
                return Err(Error::Conflict {
                    field: "tier_gpus".to_owned(),
                    message: "no tier is oversubscribed; give oversubscription with it".to_owned(),
                });
            }
            (Some(gpus), _) => gpus,
            (None, Some(_)) => 0,
            (None, None) => stated.tier_gpus,
        };
        let in_switch_reduction = self.in_switch_reduction.unwrap_or(stated.in_switch_reduction);
        if in_switch_reduction && topology.scale_out != FabricKind::InfiniBand {
            return Err(Error::Unsupported {
                field: "in_switch_reduction".to_owned(),
                given: "true".to_owned(),
                reason: "only InfiniBand switches sum (SHARP); this fabric is none".to_owned(),
            });
        }
        topology.conditions = Conditions {
            scattered_share,
            routing: self.routing.unwrap_or(stated.routing),
            oversubscription,
            tier_gpus,
            in_switch_reduction,
            launch: self.launch,
            library: self.library,
        };
        Ok(topology)
    }
}
