//! What tensor parallel ranks exchange around each half of a layer, and what of it their products hide.

use super::{HALF, Pass, Rank, Volume};
use crate::network::{CollectiveOp, CollectiveTime, Group, collective_time};
use crate::training::ledger::Ledger;

const GATHER: &str = "all-gather of activations";
const SCATTER: &str = "reduce-scatter of activations";
const REDUCE: &str = "all-reduce of activations";

/// The exchange around one half of a layer: an all-gather before it and a reduce-scatter behind it (arXiv 2205.05198,
/// section 4.2.2), or one all-reduce.
pub struct TensorExchange {
    /// Name, time and bytes of each collective.
    collectives: [Option<(&'static str, CollectiveTime, f64)>; 2],
    /// Tiles into which each is cut, every one under the product of another; none where it is not cut.
    tiles: Option<f64>,
}

impl Rank<'_> {
    /// The exchange around one half of a layer; none where the group needs a fabric that is not there. What a product reads
    /// is gathered in its format, what products sum is scattered in 16 bits.
    pub fn tensor_exchange(&self) -> Option<TensorExchange> {
        let group = Group { ranks: self.cut.tp, stride: 1 };
        let elements = self.rows * self.hidden;
        let bytes = elements * HALF;
        let timed = |op, bytes| collective_time(op, bytes, group, &self.job.topology);
        let collectives = if self.cut.sequence_parallel {
            let gathered = elements * self.gathered_bytes();
            // A reduce-scatter takes what an all-gather of as many bytes takes.
            let scatter = timed(CollectiveOp::AllGather, bytes)?;
            let gather = if gathered < bytes { timed(CollectiveOp::AllGather, gathered)? } else { scatter };
            [Some((GATHER, gather, gathered)), Some((SCATTER, scatter, bytes))]
        } else {
            [Some((REDUCE, timed(CollectiveOp::AllReduce, bytes)?, bytes)), None]
        };
        let tiled = self.job.software.tensor_tiles && self.cut.sequence_parallel;
        Some(TensorExchange { collectives, tiles: tiled.then_some(self.tp) })
    }
}

impl TensorExchange {
    /// Adds the exchange around `halves` halves of a layer with so many seconds of products, and its launches.
    pub fn run<L: Ledger>(&self, pass: &mut Pass<L>, halves: f64, products: f64) {
        self.tell(pass, halves, products);
        pass.kernels += halves * self.each();
    }

    /// [`TensorExchange::run`] without the launches.
    ///
    /// In tiles, the first or the last of each collective has no product beside it; the others show what they take longer
    /// than the products. Otherwise the exchange is given whole: how much of it shows is for the step to say.
    pub fn tell<L: Ledger>(&self, pass: &mut Pass<L>, halves: f64, products: f64) {
        let whole = self.collectives().map(|(_, time, _)| halves * time.seconds).fold(0.0, |a, b| a + b);
        let shown = match self.tiles {
            Some(tiles) if whole > 0.0 => {
                let alone = whole / tiles;
                (alone + (whole - alone - products).max(0.0)) / whole
            }
            _ => 1.0,
        };
        for (name, time, _) in self.collectives() {
            pass.tensor_exchange(name, halves, time, shown);
        }
    }

    /// The traffic of so many halves.
    pub fn volume(&self, halves: f64) -> Volume {
        self.collectives().fold(Volume::default(), |sum, (_, time, bytes)| {
            let more = Volume::of(time, *bytes, halves);
            if sum.messages > 0.0 { sum.and(&more) } else { more }
        })
    }

    fn each(&self) -> f64 {
        self.collectives().fold(0.0, |count, _| count + 1.0)
    }

    fn collectives(&self) -> impl Iterator<Item = &(&'static str, CollectiveTime, f64)> {
        self.collectives.iter().flatten()
    }
}
