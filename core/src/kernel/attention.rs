//! Attention: over whole sequences, and of one new token against a cache.

use super::gemm::norm4;
use super::{Cost, Device};

/// Shape of one attention over a batch of sequences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape {
    /// Sequences.
    pub batch: f64,
    /// Query positions of each.
    pub queries: f64,
    /// Key positions of each.
    pub keys: f64,
    /// Query heads on this GPU.
    pub heads: f64,
    /// Key and value heads on this GPU (at least 1; 1 for latent attention in decode).
    pub kv_heads: f64,
    /// Width of a query or key head.
    pub qk_dim: f64,
    /// Width of a value head.
    pub v_dim: f64,
    /// Queries see only earlier keys: half the work where queries = keys.
    pub causal: bool,
}

/// Query rows of one tile in flash attention (arXiv 2307.08691, section 3.3; the same order on every generation).
pub(super) const TILE_ROWS: f64 = 128.0;

/// FLOP of the backward pass for one of the forward pass: five products instead of two (arXiv 2205.14135, section 3.1).
const BACKWARD_FLOP: f64 = 2.5;

impl AttentionShape {
    /// FLOP of the two products over the pairs that are computed.
    fn flop(&self) -> f64 {
        2.0 * self.batch * self.heads * self.pairs() * (self.qk_dim + self.v_dim)
    }

    /// Query-key pairs that are computed: with a causal mask, the triangle and the rest of the tiles on its edge.
    fn pairs(&self) -> f64 {
        let all = self.queries * self.keys;
        if self.causal {
            // The last `queries` of `keys` positions: a rectangle of earlier keys and a triangle.
            let triangle_keys = self.queries.min(self.keys);
            let earlier = self.keys - triangle_keys;
            let edge = triangle_keys.min(TILE_ROWS);
            (self.queries * earlier + 0.5 * self.queries * (triangle_keys + edge)).min(all)
        } else {
            all
        }
    }
}

impl Device {
    /// Seconds of attention over whole sequences (training forward, prefill): flash attention, 16-bit. Rotary embedding
    /// and the writing of a KV cache are not in it: [`Device::rotary_and_cache`].
    pub fn attention_prefill(&self, shape: &AttentionShape) -> f64 {
        self.attention_prefill_cost(shape).seconds
    }

    /// [`Device::attention_prefill`] with its FLOP, bytes and bounds.
    #[inline]
    pub fn attention_prefill_cost(&self, shape: &AttentionShape) -> Cost {
        self.forward(shape, self.peak.half, 2.0, 1.0)
    }

    /// Seconds of [`Device::attention_prefill`] with Q, K, V and the products in 8-bit float, as engines run it over an
    /// 8-bit KV cache. Where the chip has no such units, the 16-bit kernel.
    pub fn attention_prefill_fp8(&self, shape: &AttentionShape) -> f64 {
        self.attention_prefill_fp8_cost(shape).seconds
    }

    /// [`Device::attention_prefill_fp8`] with its FLOP, bytes and bounds.
    #[inline]
    pub fn attention_prefill_fp8_cost(&self, shape: &AttentionShape) -> Cost {
        if self.peak.fp8 > 0.0 {
            self.forward(shape, self.peak.fp8, 1.0, self.constants().attention_fp8_gain)
        } else {
            self.attention_prefill_cost(shape)
        }
    }

    /// Seconds of the backward pass of [`Device::attention_prefill`].
    pub fn attention_backward(&self, shape: &AttentionShape) -> f64 {
        self.attention_backward_cost(shape).seconds
    }

    /// [`Device::attention_backward`] with its FLOP, bytes and bounds.
    #[inline]
    pub fn attention_backward_cost(&self, shape: &AttentionShape) -> Cost {
        self.backward(shape, self.peak.half, 1.0)
    }

    #[inline]
    fn backward(&self, shape: &AttentionShape, peak: f64, gain: f64) -> Cost {
        // Q, K, V, their gradients, the result and its gradient through memory: about three times as much.
        let compute =
            BACKWARD_FLOP * self.attention_compute(shape) / (gain * self.constants().attention_backward_rate);
        let elements = shape.batch
            * (shape.queries * shape.heads + shape.keys * shape.kv_heads)
            * (shape.qk_dim + shape.v_dim);
        let bytes = 3.0 * 2.0 * elements;
        self.attention_cost(BACKWARD_FLOP * shape.flop(), bytes, compute, peak)
    }

    /// Seconds of the backward pass of [`Device::attention_prefill_fp8`]: its products gain as those of the forward pass do.
    pub fn attention_backward_fp8(&self, shape: &AttentionShape) -> f64 {
        self.attention_backward_fp8_cost(shape).seconds
    }

    /// [`Device::attention_backward_fp8`] with its FLOP, bytes and bounds.
    #[inline]
    pub fn attention_backward_fp8_cost(&self, shape: &AttentionShape) -> Cost {
        if self.peak.fp8 > 0.0 {
            self.backward(shape, self.peak.fp8, self.constants().attention_fp8_gain)
        } else {
            self.attention_backward_cost(shape)
        }
    }

    /// Seconds of rotary embedding on the queries and new keys and of writing keys and values to a cache, in one kernel.
    pub fn rotary_and_cache(&self, shape: &AttentionShape) -> f64 {
        let queries = shape.heads * shape.qk_dim;
        let keys_and_values = shape.kv_heads * (shape.qk_dim + shape.v_dim);
        let bytes = 2.0 * shape.batch * shape.queries * (queries + keys_and_values);
        self.memory_bound(self.constants().rotary_passes * bytes)
    }

    /// Seconds of attention of one new token per sequence (decode): the KV cache is read once; `kv_bytes` per element.
    pub fn attention_decode(&self, shape: &AttentionShape, kv_bytes: f64) -> f64 {
        self.attention_decode_cost(shape, kv_bytes).seconds
    }

    /// [`Device::attention_decode`] with its FLOP, bytes and bounds.
    #[inline]
    pub fn attention_decode_cost(&self, shape: &AttentionShape, kv_bytes: f64) -> Cost {
        let elements = shape.batch * shape.keys * shape.kv_heads * (shape.qk_dim + shape.v_dim);
        self.decode(shape, elements * kv_bytes)
    }

    /// Seconds of multi-head latent attention of one new token per sequence: keys and values are the same cached vector
    /// of `qk_dim` elements (512 + 64 in DeepSeek-V3, arXiv 2412.19437, section 2.1.1), read once for all heads.
    pub fn attention_decode_latent(&self, shape: &AttentionShape, kv_bytes: f64) -> f64 {
        self.attention_decode_latent_cost(shape, kv_bytes).seconds
    }

    /// [`Device::attention_decode_latent`] with its FLOP, bytes and bounds.
    #[inline]
    pub fn attention_decode_latent_cost(&self, shape: &AttentionShape, kv_bytes: f64) -> Cost {
        self.decode(shape, shape.batch * shape.keys * shape.qk_dim * kv_bytes)
    }

    #[inline]
    fn forward(&self, shape: &AttentionShape, peak: f64, input_bytes: f64, gain: f64) -> Cost {
        let compute = self.attention_compute(shape) / gain;
        let queries = shape.batch * shape.queries * shape.heads;
        let keys = shape.batch * shape.keys * shape.kv_heads;
        let input = queries * shape.qk_dim + keys * (shape.qk_dim + shape.v_dim);
        let bytes = input * input_bytes + 2.0 * queries * shape.v_dim;
        self.attention_cost(shape.flop(), bytes, compute, peak)
    }

    #[inline]
    fn attention_cost(&self, flop: f64, bytes: f64, compute_seconds: f64, peak: f64) -> Cost {
        let memory_seconds = bytes / (self.constants().memory_share * self.memory_bytes_per_s);
        let fixed_seconds = self.constants().attention_fixed_us * 1e-6;
        Cost {
            seconds: fixed_seconds + norm4(compute_seconds, memory_seconds),
            flop,
            bytes,
            peak_seconds: flop / peak,
            compute_seconds,
            memory_seconds,
            fixed_seconds,
        }
    }

    fn attention_compute(&self, shape: &AttentionShape) -> f64 {
        let constants = self.constants();
        let width = shape.qk_dim + shape.v_dim;
        // Multiply-adds grow with the head's width, exponentials do not.
        let cost_per_pair = 2.0 * (width + constants.attention_softmax_width);
        let rate = constants.attention_peak_share * self.peak.half;
        let all = shape.batch * shape.heads * shape.pairs() * cost_per_pair / rate;
        // The longest tile, alone on its multiprocessor: what few heads or short sequences leave idle.
        let longest = TILE_ROWS.min(shape.queries) * shape.keys * cost_per_pair * self.sm_count / rate;
        norm4(all, longest)
    }

    #[inline]
    fn decode(&self, shape: &AttentionShape, bytes: f64) -> Cost {
        let constants = self.constants();
        let flop =
            2.0 * shape.batch * shape.queries * shape.keys * shape.heads * (shape.qk_dim + shape.v_dim);
        let compute = flop / (constants.attention_peak_share * self.peak.half);
        let memory = bytes / (constants.decode_memory_share * self.memory_bytes_per_s);
        // Loads in flight fill up with the size of the cache: bandwidth × ramp is the size at which half of it is paid.
        let ramp = constants.decode_ramp_us * 1e-6;
        let filling = if memory > 0.0 { ramp * memory / (memory + ramp) } else { 0.0 };
        let fixed_seconds = constants.decode_fixed_us * 1e-6;
        Cost {
            seconds: fixed_seconds + filling + norm4(compute, memory),
            flop,
            bytes,
            peak_seconds: flop / self.peak.half,
            compute_seconds: compute,
            memory_seconds: memory + filling,
            fixed_seconds,
        }
    }
}
