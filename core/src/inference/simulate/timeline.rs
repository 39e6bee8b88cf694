//! What goes on over time, sampled at equal distances.

use super::report::SimulationTimeline;

/// Points of a timeline at most.
const MOST_POINTS: usize = 512;

/// Samples at equal distances; when they grow too many, every other one goes and the distance doubles.
#[derive(Debug)]
pub(super) struct Timeline {
    step: f64,
    /// Requests in flight, waiting and decoding; share of the cache in use.
    points: Vec<[f64; 4]>,
}

impl Default for Timeline {
    fn default() -> Self {
        // A millisecond, shorter than an iteration, to begin with.
        Self { step: 1e-3, points: Vec::new() }
    }
}

impl Timeline {
    pub fn due(&self, now: f64) -> bool {
        self.step * self.points.len() as f64 <= now
    }

    pub fn push(&mut self, point: [f64; 4]) {
        self.points.push(point);
        if self.points.len() > MOST_POINTS {
            let mut at = 0;
            self.points.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.step *= 2.0;
        }
    }

    pub fn arrays(self) -> SimulationTimeline {
        let column = |at: usize| self.points.iter().map(|p| p.get(at).copied().unwrap_or(0.0)).collect();
        SimulationTimeline {
            time_seconds: (0..self.points.len()).map(|at| at as f64 * self.step).collect(),
            in_flight: column(0),
            waiting: column(1),
            decoding: column(2),
            kv_used_share: column(3),
        }
    }
}
