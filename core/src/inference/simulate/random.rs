//! Seeded random numbers: the same bits on every machine, no entropy from the system.
//!
//! xoshiro256++ seeded by splitmix64, as their authors advise (Blackman and Vigna, "Scrambled linear pseudorandom number
//! generators", ACM TOMS 47:4, 2021; Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
//! 2014). Logarithms and powers are `libm`'s.

/// A generator of random numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The generator of `seed` and `stream`: numbers of different streams of a seed have nothing to do with each other.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = SplitMix(seed);
        let mut mixed = SplitMix(mixed.next() ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        Self { state: [mixed.next(), mixed.next(), mixed.next(), mixed.next()] }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Uniform between 0 and 1, neither included.
    pub fn uniform(&mut self) -> f64 {
        // The upper 53 bits, in the middle of their step.
        ((self.bits() >> 11) as f64 + 0.5) * (1.0 / 9_007_199_254_740_992.0)
    }

    /// A whole number below `end`, each as likely; 0 where `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        // A product's upper half: biased by less than end / 2^64.
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// Normal with mean 0 and variance 1 (Box and Muller 1958, one of the two).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(2.0 * self.exponential());
        radius * libm::cos(2.0 * core::f64::consts::PI * self.uniform())
    }

    /// Gamma with this shape and scale 1 (Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS
    /// 26:3, 2000).
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            // Their remark on small shapes: one shape higher, times a power of a uniform number.
            let above = self.gamma(shape + 1.0);
            return above * libm::exp(libm::log(self.uniform()) / shape);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / libm::sqrt(9.0 * d);
        loop {
            let x = self.normal();
            let v = (1.0 + c * x) * (1.0 + c * x) * (1.0 + c * x);
            if v > 0.0 && libm::log(self.uniform()) < 0.5 * x * x + d - d * v + d * libm::log(v) {
                return d * v;
            }
        }
    }
}

struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_are_their_authors() {
        // splitmix64 of seed 1234567 and xoshiro256++ of state 1, 2, 3, 4, as the reference programs print them.
        let mut split = SplitMix(1_234_567);
        assert_eq!([split.next(), split.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        let mut random = Random { state: [1, 2, 3, 4] };
        assert_eq!(
            [random.bits(), random.bits(), random.bits(), random.bits()],
            [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]
        );
    }

    fn moments(mut draw: impl FnMut(&mut Random) -> f64) -> (f64, f64) {
        let mut random = Random::new(7, 0);
        let n = 200_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let x = draw(&mut random);
            sum += x;
            squares += x * x;
        }
        let mean = sum / f64::from(n);
        (mean, squares / f64::from(n) - mean * mean)
    }

    #[test]
    fn distributions_have_their_mean_and_variance() {
        // Standard errors of mean and variance are below 0.6 % in every case.
        let near = |(mean, variance): (f64, f64), m: f64, v: f64| {
            assert!((mean - m).abs() < 0.02 * m.max(0.5), "mean {mean} of {m}");
            assert!((variance / v - 1.0).abs() < 0.05, "variance {variance} of {v}");
        };
        near(moments(Random::uniform), 0.5, 1.0 / 12.0);
        near(moments(Random::exponential), 1.0, 1.0);
        near(moments(Random::normal), 0.0, 1.0);
        near(moments(|r| r.gamma(3.0)), 3.0, 3.0);
        near(moments(|r| r.gamma(0.5)), 0.5, 0.5);
    }
}
