//! What tensor parallel ranks exchange around each half of a layer, and what of it their products hide.

use super::{Block, HALF, Rank, Volume};
use crate::network::{CollectiveOp, CollectiveTime, Group, collective_time};
use crate::training::ledger::Ledger;

const GATHER: &str = "all-gather of activations";
const SCATTER: &str = "reduce-scatter of activations";
const REDUCE: &str = "all-reduce of activations";

/// What tensor parallel ranks exchange around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Attention, a state-space layer, or the projection of multi-token prediction.
    Mixing,
    /// A dense feed-forward layer, or routed experts.
    FeedForward,
    /// Shared experts.
    Shared,
}

/// How many there are.
pub const HALVES: usize = Half::Shared as usize + 1;

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

/// The widths of what is exchanged around a half of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Widths {
    /// Of what its first products read.
    pub input: f64,
    /// Of what its last products make.
    pub output: f64,
}

impl Rank<'_> {
    /// The residual stream before and behind a half of a layer.
    pub fn stream(&self) -> Widths {
        Widths { input: self.hidden, output: self.hidden }
    }

    /// Adds the exchange around one half of a layer to both of its passes: an all-gather before it and a reduce-scatter
    /// behind it (arXiv 2205.05198, section 4.2.2), or one all-reduce. Nothing where no tensor parallel ranks are; none where
    /// their group needs a fabric that is not there.
    ///
    /// What a product reads is gathered in its format, what products sum is scattered in 16 bits. Without tiles the exchange
    /// is given whole: how much of it shows is for the step to say. That the backward pass gathers the input of the weight
    /// gradient once more is not counted: the input gradient, as large a product, hides it (section 4.2.2 there).
    pub fn exchange_around<L: Ledger>(&self, half: &mut Block<L>, part: Half, widths: Widths) -> Option<()> {
        let [forward, backward] = std::mem::take(&mut half.beside);
        if self.cut.tp == 1 {
            return Some(());
        }
        let group = Group { ranks: self.cut.tp, stride: 1 };
        let timed = |name, op, bytes| {
            let time = collective_time(op, bytes, group, &self.job.topology)?;
            Some(Sent { name, time, bytes })
        };
        let [input, output] = [self.rows * widths.input, self.rows * widths.output];
        if !self.cut.sequence_parallel {
            let sums = timed(REDUCE, CollectiveOp::AllReduce, output * HALF)?;
            let gradients =
                if input == output { sums } else { timed(REDUCE, CollectiveOp::AllReduce, input * HALF)? };
            half.exchange(part, [(sums, sums.time.seconds)], [(gradients, gradients.time.seconds)]);
            return Some(());
        }
        // A reduce-scatter takes what an all-gather of as many bytes takes.
        let moved = |elements: f64, bytes| timed(GATHER, CollectiveOp::AllGather, elements * bytes);
        let format = self.gathered_bytes();
        let gathered =
            |whole: Sent, elements| if format < HALF { moved(elements, format) } else { Some(whole) };
        let whole = moved(output, HALF)?;
        let (gather_back, scatter) = (gathered(whole, output)?, Sent { name: SCATTER, ..whole });
        let (gather, scatter_back) = if input == output {
            (gather_back, scatter)
        } else {
            let whole = moved(input, HALF)?;
            (gathered(whole, input)?, Sent { name: SCATTER, ..whole })
        };
        let shows = |sent: Sent, shown: fn(f64, f64, f64) -> f64, product: f64| {
            let seconds = sent.time.seconds;
            (sent, if self.job.software.tensor_tiles { shown(seconds, self.tp, product) } else { seconds })
        };
        half.exchange(
            part,
            [shows(gather, gather_shows, forward.gather), shows(scatter, scatter_shows, forward.scatter)],
            [
                shows(gather_back, gather_shows, backward.gather),
                shows(scatter_back, bulk_shows, backward.scatter),
            ],
        );
        Some(())
    }
}

/// Seconds that show of an all-gather in tiles under the product that reads it: each tile comes while the product of the one
/// before it runs, and the first is the rank's own.
fn gather_shows(seconds: f64, tiles: f64, product: f64) -> f64 {
    (seconds - product * (tiles - 1.0) / tiles).max(0.0)
}

/// Seconds that show of a reduce-scatter in tiles under the product that makes it: each tile goes while the product of the
/// next one runs, and the last has none beside it.
fn scatter_shows(seconds: f64, tiles: f64, product: f64) -> f64 {
    let alone = seconds / tiles;
    alone + (seconds - alone - product * (tiles - 1.0) / tiles).max(0.0)
}

/// Seconds that show of a collective beside a product that waits for none of it.
fn bulk_shows(seconds: f64, _: f64, product: f64) -> f64 {
    (seconds - product).max(0.0)
}

/// A collective with its bytes.
#[derive(Clone, Copy)]
struct Sent {
    name: &'static str,
    time: CollectiveTime,
    bytes: f64,
}

impl<L: Ledger> Block<L> {
    /// The collectives of both passes, each with the seconds of it that show.
    fn exchange<const N: usize>(
        &mut self,
        part: Half,
        forward: [(Sent, f64); N],
        backward: [(Sent, f64); N],
    ) {
        let [there, back] = &mut self.tensor[part as usize];
        for (pass, volume, sent) in
            [(&mut self.forward, there, forward), (&mut self.backward, back, backward)]
        {
            for (Sent { name, time, bytes }, shown) in sent {
                pass.tensor_exchange(name, &time, shown);
                *volume = volume.and(&Volume::of(&time, bytes, 1.0));
            }
        }
    }
}
