//! How GPUs are divided between the pools: as asked for, or so that both sustain most.

use super::super::point::whole_replicas;
use super::super::steady::Arrivals;
use super::PoolPair;
use crate::error::{Error, check_range};
use crate::quantity::count;

impl PoolPair<'_, '_> {
    /// Replicas of both pools on `gpus`, `prefill_gpus` of them for prompts; without those the split that sustains the
    /// highest rate.
    ///
    /// # Errors
    /// GPUs that are not whole replicas of both pools; pools that no link joins.
    pub fn replicas(
        &self,
        gpus: u32,
        prefill_gpus: Option<u32>,
        arrivals: Arrivals,
    ) -> Result<(u32, u32), Error> {
        let (prefill, decode) = match prefill_gpus {
            Some(given) => self.split(gpus, given)?,
            None => self.balanced(gpus, arrivals)?,
        };
        if self.passage(prefill, decode, self.input).is_none() {
            let topology = &self.decode_model.topology;
            return Err(Error::Conflict {
                field: "disaggregated".to_owned(),
                message: format!(
                    "pools of {gpus} GPUs leave their node of {}, and these nodes have no RDMA network",
                    topology.scale_up_domain.max(topology.gpus_per_node)
                ),
            });
        }
        Ok((prefill, decode))
    }

    /// Replicas of both pools on `gpus`, `prefill` of them for prompts.
    fn split(&self, gpus: u32, prefill: u32) -> Result<(u32, u32), Error> {
        let field = "disaggregated.prefill_gpus";
        check_range(field, f64::from(prefill), 1.0, f64::from(gpus.saturating_sub(1).max(1)))?;
        if prefill >= gpus {
            return Err(Error::Conflict {
                field: field.to_owned(),
                message: format!("{prefill} of {} to read prompts leave none to decode", count(gpus, "GPU")),
            });
        }
        let reading = whole_replicas(field, prefill, &self.prefill_layout)?;
        Ok((
            reading,
            whole_replicas("gpus", gpus - prefill, &self.decode_layout).map_err(|_| self.no_split(gpus))?,
        ))
    }

    /// The split of `gpus` into whole replicas of both pools that sustains the highest rate.
    fn balanced(&self, gpus: u32, arrivals: Arrivals) -> Result<(u32, u32), Error> {
        let mut best: Option<((u32, u32), f64)> = None;
        for prefill in 1..=gpus / self.prefill_gpus {
            let left = gpus - prefill * self.prefill_gpus;
            if left == 0 || !left.is_multiple_of(self.decode_gpus) {
                continue;
            }
            let decode = left / self.decode_gpus;
            let rate = self.most_rate(prefill, decode, arrivals);
            if best.is_none_or(|(_, known)| rate > known) {
                best = Some(((prefill, decode), rate));
            }
        }
        best.map(|(split, _)| split).ok_or_else(|| self.no_split(gpus))
    }

    fn no_split(&self, gpus: u32) -> Error {
        let (p, d) = (self.prefill_gpus, self.decode_gpus);
        Error::Conflict {
            field: "gpus".to_owned(),
            message: format!(
                "{} cannot be divided into replicas of {p} that read prompts and of {d} that decode; try {}",
                count(gpus, "GPU"),
                p.saturating_add(gpus.saturating_sub(p).max(1).div_ceil(d).saturating_mul(d))
            ),
        }
    }
}
