//! From steps to days: pauses beside failures and checkpoints, and how sure the days are.

use serde::{Deserialize, Serialize};

use super::run::GoodputLosses;
use crate::error::{Error, check_range};
use crate::quantity::DAY;

/// Pauses of a run that are neither failures nor checkpoints. None unless given: published runs tell of them only within
/// their goodput, which `reliability` stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields, default)]
pub struct Pauses {
    /// Seconds that training stands still for an evaluation; with `evaluation_every_steps`.
    pub evaluation_seconds: f64,
    /// Optimiser steps between two evaluations.
    pub evaluation_every_steps: Option<u32>,
    /// Seconds of every step that it waits for data, beyond the host work that a step's time holds.
    pub data_wait_seconds_per_step: f64,
    /// Seconds from the first rented hour to the first step: images, checks, data, compilation.
    pub startup_seconds: f64,
}

/// A run on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WallClock {
    /// Days from start to end.
    pub days: f64,
    /// Share of them that trains, 0 to 1.
    pub goodput: f64,
    /// Where the rest goes; with `goodput` the shares sum to 1.
    pub losses: GoodputLosses,
}

impl Pauses {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// `OutOfRange`, or `MissingField` where one half of evaluations is given, with paths below `pauses`.
    pub fn check(&self) -> Result<(), Error> {
        check_range("pauses.evaluation_seconds", self.evaluation_seconds, 0.0, 1e7)?;
        check_range("pauses.data_wait_seconds_per_step", self.data_wait_seconds_per_step, 0.0, 1e6)?;
        check_range("pauses.startup_seconds", self.startup_seconds, 0.0, 1e7)?;
        let missing = |field: &str, expected: &str| {
            Err(Error::MissingField { field: format!("pauses.{field}"), expected: expected.to_owned() })
        };
        match self.evaluation_every_steps {
            Some(steps) => {
                check_range("pauses.evaluation_every_steps", f64::from(steps), 1.0, 1e9)?;
                if self.evaluation_seconds == 0.0 {
                    return missing("evaluation_seconds", "say how long an evaluation takes");
                }
            }
            None if self.evaluation_seconds > 0.0 => {
                return missing("evaluation_every_steps", "say after how many steps an evaluation comes");
            }
            None => {}
        }
        Ok(())
    }

    /// Whether there are any.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// A run of so many steps: (steps × (step + wait for data) + evaluations) / goodput + start, `goodput` being the share
    /// that trains under failures and checkpoints alone, and `losses` what takes the rest.
    pub fn wall_clock(
        &self,
        steps: f64,
        step_seconds: f64,
        (goodput, losses): (f64, GoodputLosses),
    ) -> WallClock {
        let trained = steps * step_seconds;
        let waited = steps * self.data_wait_seconds_per_step;
        let evaluated = self.evaluated(steps);
        let running = trained + waited + evaluated;
        let on = running / goodput;
        let all = on + self.startup_seconds;
        // Shares of the time from the first step on become shares of the whole.
        let after_start = on / all;
        let of_running = goodput * after_start;
        WallClock {
            days: all / DAY,
            goodput: of_running * (trained / running),
            losses: GoodputLosses {
                checkpoint_share: losses.checkpoint_share * after_start,
                rework_share: losses.rework_share * after_start,
                restart_share: losses.restart_share * after_start,
                evaluation_share: of_running * (evaluated / running),
                data_share: of_running * (waited / running),
                startup_share: self.startup_seconds / all,
                ..losses
            },
        }
    }

    /// Seconds of a step with which so many of them last `days`: [`Self::wall_clock`] the other way round. Not positive
    /// where the pauses alone take longer.
    pub fn step_seconds(&self, steps: f64, days: f64, goodput: f64) -> f64 {
        let running = (days * DAY - self.startup_seconds) * goodput;
        (running - self.evaluated(steps)) / steps - self.data_wait_seconds_per_step
    }

    /// Seconds of all evaluations in so many steps.
    fn evaluated(&self, steps: f64) -> f64 {
        self.evaluation_every_steps
            .map_or(0.0, |every| (steps / f64::from(every)).floor() * self.evaluation_seconds)
    }
}

/// The ends of an interval of a product of two independent factors from theirs, as ratios to the estimate: the logarithms
/// of their distances add in squares, as standard deviations do.
///
/// Exact for log-normal factors; quantiles of other distributions combine so approximately.
pub fn combined(one: (f64, f64), other: (f64, f64)) -> (f64, f64) {
    let far = |a: f64, b: f64| {
        let (a, b) = (libm::log(a), libm::log(b));
        (a * a + b * b).sqrt()
    };
    // An end on the other side of the estimate is no distance in this direction.
    let low = libm::exp(-far(one.0.min(1.0), other.0.min(1.0)));
    (low, libm::exp(far(one.1.max(1.0), other.1.max(1.0))))
}
