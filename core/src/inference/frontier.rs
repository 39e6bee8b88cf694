//! The frontier of throughput against interactivity while it grows.

use super::FrontierPoint;

/// Points that no other beats in both measures, most interactive first.
#[derive(Debug, Clone, Default)]
pub(super) struct Frontier {
    points: Vec<FrontierPoint>,
}

impl Frontier {
    /// Whether a point at least as good in both measures stands in it already.
    pub fn beats(&self, tokens_per_user: f64, tokens_per_gpu: f64) -> bool {
        self.last(tokens_per_user).is_some_and(|p| p.output_tokens_per_second_per_gpu >= tokens_per_gpu)
    }

    /// Highest throughput of the points at which a user sees at least this; 0 without any.
    pub fn throughput(&self, tokens_per_user: f64) -> f64 {
        self.last(tokens_per_user).map_or(0.0, |p| p.output_tokens_per_second_per_gpu)
    }

    /// The last of the points at which a user sees at least this: among these it has the highest throughput.
    fn last(&self, tokens_per_user: f64) -> Option<&FrontierPoint> {
        let quicker = self.points.partition_point(|p| p.tokens_per_second_per_user >= tokens_per_user);
        quicker.checked_sub(1).and_then(|i| self.points.get(i))
    }

    /// Takes the point in if none beats it, and out what it beats.
    pub fn add(&mut self, point: FrontierPoint) {
        let (user, gpu) = (point.tokens_per_second_per_user, point.output_tokens_per_second_per_gpu);
        if !user.is_finite() || !gpu.is_finite() || gpu <= 0.0 || self.beats(user, gpu) {
            return;
        }
        let from = self.points.partition_point(|p| p.tokens_per_second_per_user > user);
        let beaten = self.points.iter().skip(from).take_while(|p| p.output_tokens_per_second_per_gpu <= gpu);
        let to = from + beaten.count();
        self.points.splice(from..to, [point]);
    }

    /// The points, most interactive first.
    pub fn into_points(self) -> Vec<FrontierPoint> {
        self.points
    }
}
