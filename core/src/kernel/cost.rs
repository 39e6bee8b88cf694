//! What one operation takes together with why: its FLOP and bytes, and the time that each bound alone would take.

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

impl Cost {
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
