//! What one operation takes together with why: its FLOP and bytes, and the time that each bound alone would take.

use serde::{Deserialize, Serialize};

/// One operation on one GPU, or several as a sum.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Seconds.
    pub seconds: f64,
    /// FLOP of its products; a multiply-add is two.
    pub flop: f64,
    /// Bytes through memory.
    pub bytes: f64,
    /// Seconds that those FLOP take at the dense peak of their number format.
    pub peak_seconds: f64,
    /// Seconds that computing alone takes.
    pub compute_seconds: f64,
    /// Seconds that memory alone takes.
    pub memory_seconds: f64,
    /// Seconds of it whatever the size: start and end of its kernels.
    pub fixed_seconds: f64,
}

/// What an operation takes its time for: the highest of its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Matrix units, tiles and exponentials included.
    Compute,
    /// Bandwidth of the GPU's memory.
    Memory,
    /// Start and end of kernels, whatever they do.
    Launch,
    /// The link between the GPUs of a scale-up domain.
    ScaleUp,
    /// The network between nodes.
    Fabric,
    /// The link between GPU and host.
    HostLink,
    /// Work of the host's processor.
    Host,
    /// Nothing of its own: it waits for other ranks.
    Waiting,
    /// Several operations, each with its own.
    Mixed,
}

impl Cost {
    /// Which of its bounds is the highest.
    pub fn bound(&self) -> Bound {
        if self.fixed_seconds > self.compute_seconds.max(self.memory_seconds) {
            Bound::Launch
        } else if self.memory_seconds > self.compute_seconds {
            Bound::Memory
        } else {
            Bound::Compute
        }
    }

    /// Both, one after the other.
    #[must_use]
    #[inline]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            flop: self.flop + other.flop,
            bytes: self.bytes + other.bytes,
            peak_seconds: self.peak_seconds + other.peak_seconds,
            compute_seconds: self.compute_seconds + other.compute_seconds,
            memory_seconds: self.memory_seconds + other.memory_seconds,
            fixed_seconds: self.fixed_seconds + other.fixed_seconds,
        }
    }

    /// So many of it.
    #[must_use]
    #[inline]
    pub fn times(&self, count: f64) -> Self {
        Self {
            flop: self.flop * count,
            bytes: self.bytes * count,
            peak_seconds: self.peak_seconds * count,
            ..self.slower(count)
        }
    }

    /// The same work, so many times as slow.
    #[must_use]
    #[inline]
    pub fn slower(&self, times: f64) -> Self {
        Self {
            seconds: self.seconds * times,
            compute_seconds: self.compute_seconds * times,
            memory_seconds: self.memory_seconds * times,
            fixed_seconds: self.fixed_seconds * times,
            ..*self
        }
    }

    /// The same work at a share of this speed.
    #[must_use]
    #[inline]
    pub fn at_share(&self, share: f64) -> Self {
        Self {
            seconds: self.seconds / share,
            compute_seconds: self.compute_seconds / share,
            memory_seconds: self.memory_seconds / share,
            fixed_seconds: self.fixed_seconds / share,
            ..*self
        }
    }
}
