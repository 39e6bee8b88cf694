//! Batches that an engine has captured as graphs: a decode iteration is padded to the next of them.

/// Batch sizes captured at most.
const MOST: usize = 16;

/// The batch sizes of an engine's captured graphs, in rising order; of none, every batch runs as it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraphSizes {
    sizes: [f64; MOST],
    count: usize,
}

impl GraphSizes {
    /// Every batch has its own graph, or a size so near that nothing is lost.
    pub const EVERY: Self = Self { sizes: [0.0; MOST], count: 0 };

    /// These sizes; none if they do not rise from 1 on, or are more than 16.
    pub fn of(sizes: &[f64]) -> Option<Self> {
        let rise = sizes.windows(2).all(|pair| pair.first() < pair.last());
        let positive = sizes.first().is_none_or(|first| *first >= 1.0);
        let mut out = Self::EVERY;
        if !rise || !positive || !sizes.iter().all(|size| size.is_finite()) {
            return None;
        }
        out.sizes.get_mut(..sizes.len())?.copy_from_slice(sizes);
        out.count = sizes.len();
        Some(out)
    }

    /// Sequences that an iteration of `batch` of them computes: the next captured size, or the batch itself where none is as
    /// large.
    pub fn padded(&self, batch: f64) -> f64 {
        if batch <= 0.0 {
            return batch;
        }
        self.sizes().iter().copied().find(|size| *size >= batch).unwrap_or(batch)
    }

    /// Whether an iteration of `batch` sequences has a graph: past the largest size there is none.
    pub fn hold(&self, batch: f64) -> bool {
        self.sizes().last().is_none_or(|most| batch <= *most)
    }

    fn sizes(&self) -> &[f64] {
        self.sizes.get(..self.count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_padded_to_the_next_size_and_beyond_the_last_to_none() {
        let sizes = GraphSizes::of(&[1.0, 2.0, 4.0, 384.0]).unwrap();
        for (batch, padded) in [(0.3, 1.0), (1.0, 1.0), (2.1, 4.0), (5.0, 384.0), (385.0, 385.0)] {
            assert_eq!(sizes.padded(batch), padded, "{batch}");
        }
        assert_eq!((GraphSizes::EVERY.padded(3.7), sizes.padded(0.0)), (3.7, 0.0));
        assert!(sizes.hold(384.0) && !sizes.hold(384.1) && GraphSizes::EVERY.hold(1e9));
    }

    #[test]
    fn sizes_rise_from_one_on() {
        for bad in [&[2.0, 2.0][..], &[0.0, 1.0], &[4.0, 2.0], &[1.0, f64::NAN], &[1.0, f64::INFINITY]] {
            assert_eq!(GraphSizes::of(bad), None, "{bad:?}");
        }
        let many: Vec<f64> = (1..=17).map(f64::from).collect();
        assert_eq!(GraphSizes::of(&many), None);
    }
}
