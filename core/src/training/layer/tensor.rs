//! What tensor parallel ranks exchange around each half of a layer, and what of it their products hide.

use super::{Block, HALF, Rank, Volume};
use crate::network::{CollectiveOp, CollectiveTime, Group, collective_time};
use crate::training::ledger::Ledger;

const GATHER: &str = "all-gather of activations";
const SCATTER: &str = "reduce-scatter of activations";
const REDUCE: &str = "all-reduce of activations";

/// Seconds of the products of one pass under which a library hides the exchange around them: each collective runs under the
/// product that reads what it brings, makes what it sends, or waits for neither; not under the rest of the layer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Beside {
    /// Under the all-gather: forward of layers cut along their outputs; backward the input gradient of those cut along their
    /// inputs.
    pub gather: f64,
    /// Under the reduce-scatter: forward of layers cut along their inputs; backward the weight gradient of those cut along
    /// their outputs.
    pub scatter: f64,
}

impl Beside {
    /// Both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self { gather: self.gather + other.gather, scatter: self.scatter + other.scatter }
    }
}

impl Rank<'_> {
    /// Adds the exchange around one half of a layer to both of its passes: an all-gather before it and a reduce-scatter
    /// behind it (arXiv 2205.05198, section 4.2.2), or one all-reduce. Nothing where no tensor parallel ranks are; none where
    /// their group needs a fabric that is not there.
    ///
    /// What a product reads is gathered in its format, what products sum is scattered in 16 bits. Without tiles the exchange
    /// is given whole: how much of it shows is for the step to say. That the backward pass gathers the input of the weight
    /// gradient once more is not counted: the input gradient, as large a product, hides it (section 4.2.2 there).
    pub fn exchange_around<L: Ledger>(&self, half: &mut Block<L>) -> Option<()> {
        let beside = std::mem::take(&mut half.beside);
        if self.cut.tp == 1 {
            return Some(());
        }
        let group = Group { ranks: self.cut.tp, stride: 1 };
        let elements = self.rows * self.hidden;
        let bytes = elements * HALF;
        let timed = |op, bytes| collective_time(op, bytes, group, &self.job.topology);
        if !self.cut.sequence_parallel {
            let reduce = timed(CollectiveOp::AllReduce, bytes)?;
            half.exchange(REDUCE, &reduce, bytes, [reduce.seconds; 2]);
            return Some(());
        }
        let gathered = elements * self.gathered_bytes();
        // A reduce-scatter takes what an all-gather of as many bytes takes.
        let scatter = timed(CollectiveOp::AllGather, bytes)?;
        let gather = if gathered < bytes { timed(CollectiveOp::AllGather, gathered)? } else { scatter };
        let [forward, backward] = beside;
        let (gather_shows, scatter_shows) = if self.job.software.tensor_tiles {
            let tiles = |time: &CollectiveTime, product| shown_of_tiles(time.seconds, self.tp, product);
            (
                [tiles(&gather, forward.gather), tiles(&gather, backward.gather)],
                [tiles(&scatter, forward.scatter), (scatter.seconds - backward.scatter).max(0.0)],
            )
        } else {
            ([gather.seconds; 2], [scatter.seconds; 2])
        };
        half.exchange(GATHER, &gather, gathered, gather_shows);
        half.exchange(SCATTER, &scatter, bytes, scatter_shows);
        Some(())
    }
}

/// Seconds that show of a collective cut into tiles, each beside the tile of the product that the one before it feeds: the
/// first or the last has none beside it, the others show what they take longer.
fn shown_of_tiles(seconds: f64, tiles: f64, product: f64) -> f64 {
    let alone = seconds / tiles;
    let beside = product * (tiles - 1.0) / tiles;
    alone + (seconds - alone - beside).max(0.0)
}

impl<L: Ledger> Block<L> {
    /// One collective in each pass, of which so many seconds show forward and backward.
    fn exchange(
        &mut self,
        name: &'static str,
        time: &CollectiveTime,
        bytes: f64,
        [forward, backward]: [f64; 2],
    ) {
        self.forward.tensor_exchange(name, time, forward);
        self.backward.tensor_exchange(name, time, backward);
        self.tensor = self.tensor.and(&Volume::of(time, bytes, 2.0));
    }
}
