//! Parameters, FLOP and KV cache of an architecture, counted from its shape.
//!
//! Totals count every parameter, vectors included ([`SmallParameter`]), so that they equal those of released weights.

use super::{Architecture, SmallParameter};
use crate::error::{Error, check_range};

impl Architecture {
    /// Whether the architecture lists `kind` among its small parameters.
    pub fn has(&self, kind: SmallParameter) -> bool {
        self.small_parameters.contains(&kind)
    }

    /// Width of the embeddings: [`Architecture::embedding_width`], or that of the residual stream.
    pub fn width_of_embeddings(&self) -> f64 {
        f64::from(if self.embedding_width == 0 { self.hidden } else { self.embedding_width })
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> f64 {
        f64::from(self.heads) * f64::from(self.head_dim)
    }

    /// Width of all key heads (equally, all value heads) together.
    pub fn kv_width(&self) -> f64 {
        f64::from(self.kv_heads) * f64::from(self.head_dim)
    }

    /// Layers whose feed-forward part is a mixture of experts.
    pub fn moe_layers(&self) -> u32 {
        self.moe.map_or(0, |moe| self.feed_forward_layers().saturating_sub(moe.dense_layers))
    }

    /// Layers whose feed-forward part is dense.
    pub fn dense_layers(&self) -> u32 {
        self.feed_forward_layers().saturating_sub(self.moe_layers())
    }

    /// Parameters of the attention of one layer: query, key, value and output projections, with biases and sinks if any.
    ///
    /// Latent attention (arXiv 2405.04434, section 2.1): down- and up-projection of the query if compressed, joint
    /// down-projection of keys and values with the shared rotary key, up-projections, output.
    pub fn attention_parameters(&self) -> f64 {
        let hidden = f64::from(self.hidden);
        let heads = f64::from(self.heads);
        if let Some(mla) = self.mla {
            let qk = f64::from(mla.qk_nope_head_dim) + f64::from(mla.qk_rope_head_dim);
            let q_rank = f64::from(mla.q_lora_rank);
            let kv_rank = f64::from(mla.kv_lora_rank);
            let v = f64::from(mla.v_head_dim);
            let query = if mla.q_lora_rank == 0 {
                hidden * heads * qk
            } else {
                hidden * q_rank + q_rank * heads * qk
            };
            let down = hidden * (kv_rank + f64::from(mla.qk_rope_head_dim));
            let up = kv_rank * heads * (f64::from(mla.qk_nope_head_dim) + v);
            return query + down + up + heads * v * hidden;
        }
        let weights = hidden * (2.0 * self.query_width() + 2.0 * self.kv_width());
        let counted = |present: bool, count: f64| if present { count } else { 0.0 };
        let qkv = self.biases || self.has(SmallParameter::QkvBiases);
        let output = self.biases || self.has(SmallParameter::AttentionOutputBias);
        weights
            + counted(qkv, self.query_width() + 2.0 * self.kv_width())
            + counted(output, hidden)
            + counted(self.has(SmallParameter::AttentionSinks), heads)
    }

    /// Parameters of one dense feed-forward layer.
    pub fn dense_ffn_parameters(&self) -> f64 {
        self.ffn_parameters(self.ffn)
    }

    /// Parameters of one routed expert; 0 without a mixture of experts.
    pub fn expert_parameters(&self) -> f64 {
        self.moe.map_or(0.0, |moe| self.ffn_parameters_between(self.expert_width(), moe.expert_ffn))
    }

    /// Parameters of a layer's shared experts together, with their gate if any; 0 without any.
    pub fn shared_expert_parameters(&self) -> f64 {
        let gate = if self.has(SmallParameter::SharedExpertGate) { f64::from(self.hidden) } else { 0.0 };
        match self.moe {
            Some(moe) if moe.shared_ffn > 0 => self.ffn_parameters(moe.shared_ffn) + gate,
            _ => 0.0,
        }
    }

    /// Parameters of one layer's router, with a bias for each expert if any; 0 without a mixture of experts.
    pub fn router_parameters(&self) -> f64 {
        let bias = if self.has(SmallParameter::RouterBiases) { 1.0 } else { 0.0 };
        self.moe.map_or(0.0, |moe| (f64::from(self.hidden) + bias) * f64::from(moe.experts))
    }

    /// Parameters of the normalisations of one layer with attention: two as wide as the residual stream unless
    /// [`Architecture::small_parameters`] says otherwise, one in a hybrid with state-space layers, those of queries and keys, and those of compressed queries,
    /// keys and values (arXiv 2405.04434, appendix B: RMSNorm behind the compressed vectors).
    pub fn norm_parameters(&self) -> f64 {
        let norms = if self.has(SmallParameter::SandwichNorms) {
            4.0
        } else if self.has(SmallParameter::SharedNorm) || self.state_space.is_some() {
            1.0
        } else {
            2.0
        };
        let compressed = self.mla.map_or(0.0, |mla| f64::from(mla.q_lora_rank) + f64::from(mla.kv_lora_rank));
        let of_heads = if self.has(SmallParameter::QkNorm) {
            2.0 * f64::from(self.head_dim)
        } else if self.has(SmallParameter::QkNormAllHeads) {
            self.query_width() + self.kv_width()
        } else {
            0.0
        };
        norms * self.one_norm_parameters() + compressed + of_heads
    }

    /// Parameters of the normalisations outside of the layers: behind the last, and behind the embedding if there is one.
    pub fn outer_norm_parameters(&self) -> f64 {
        let last = if self.has(SmallParameter::NoFinalNorm) { 0.0 } else { 1.0 };
        let first = if self.has(SmallParameter::EmbeddingNorm) { 1.0 } else { 0.0 };
        (first + last) * self.one_norm_parameters()
    }

    /// Parameters of the input embedding: learned positions and the projection to the model's width included.
    pub fn embedding_parameters(&self) -> f64 {
        f64::from(self.vocab) * self.width_of_embeddings()
            + f64::from(self.learned_positions) * f64::from(self.hidden)
            + self.embedding_projection()
    }

    /// Parameters of the output projection that are stored beside the input embedding, its bias and the projection to the
    /// embeddings' width included; 0 if the two are tied and there is neither.
    pub fn output_parameters(&self) -> f64 {
        let bias = if self.has(SmallParameter::OutputBias) { f64::from(self.vocab) } else { 0.0 };
        let matrix =
            if self.tied_embeddings { 0.0 } else { f64::from(self.vocab) * self.width_of_embeddings() };
        matrix + self.embedding_projection() + bias
    }

    /// Parameters of all multi-token-prediction layers (DeepSeek-V3, arXiv 2412.19437, section 2.2): each one layer of
    /// the main stack's last kind (of a hybrid, an attention and a feed-forward layer), the projection of two hidden states to one, their normalisations and a last one;
    /// embedding and output are shared with the main model. Published totals leave them out.
    pub fn mtp_parameters(&self) -> f64 {
        let hidden = f64::from(self.hidden);
        let mut ffn =
            if self.moe.is_some() { self.moe_layer_ffn_parameters() } else { self.dense_ffn_parameters() };
        if self.state_space.is_some() {
            // Attention and feed-forward layer have a normalisation each.
            ffn += self.one_norm_parameters();
        }
        f64::from(self.mtp_layers)
            * (self.attention_parameters()
                + self.norm_parameters()
                + ffn
                + 2.0 * hidden * hidden
                + 3.0 * self.one_norm_parameters())
    }

    /// Parameters of the model, embeddings included, multi-token-prediction layers ([`Self::mtp_parameters`]) not:
    /// as model cards count.
    pub fn parameters(&self) -> f64 {
        f64::from(self.attention_layers()) * (self.attention_parameters() + self.norm_parameters())
            + f64::from(self.dense_layers()) * self.dense_ffn_parameters()
            + f64::from(self.moe_layers()) * self.moe_layer_ffn_parameters()
            + self.hybrid_parameters()
            + self.embedding_parameters()
            + self.output_parameters()
            + self.outer_norm_parameters()
    }

    /// Parameters that one token uses: [`Self::parameters`] without the routed experts it does not visit.
    ///
    /// The input embedding counts, as in most published counts; gpt-oss, GLM-4.5-Air, MiniMax-M2 and DeepSeek-V2-Lite
    /// publish it without.
    pub fn active_parameters(&self) -> f64 {
        let idle = self.moe.map_or(0.0, |moe| f64::from(moe.experts.saturating_sub(moe.top_k)));
        self.parameters() - f64::from(self.moe_layers()) * idle * self.expert_parameters()
    }

    /// Parameters that a token meets in the output projection, tied or not, projections to and from the embeddings' width
    /// included.
    pub fn output_matrix_parameters(&self) -> f64 {
        f64::from(self.vocab) * self.width_of_embeddings() + 2.0 * self.embedding_projection()
    }

    /// Multiply-accumulates of one token's forward pass through weights: active parameters of every matrix it is
    /// multiplied with, biases beside them (a ten-thousandth at most) included. The input embedding is a look-up and does
    /// not count, the output projection does (tied or not); multi-token-prediction layers count with their own use of the
    /// output projection.
    pub fn matrix_parameters_per_token(&self) -> f64 {
        let hidden = f64::from(self.hidden);
        let head = self.output_matrix_parameters();
        let moe_ffn = match self.moe {
            Some(moe) => {
                f64::from(moe.top_k) * self.expert_parameters()
                    + self.shared_expert_parameters()
                    + self.router_parameters()
                    + self.latent_projection_parameters()
            }
            None => 0.0,
        };
        let mtp_ffn = if self.moe.is_some() { moe_ffn } else { self.dense_ffn_parameters() };
        f64::from(self.attention_layers()) * self.attention_parameters()
            + f64::from(self.dense_layers()) * self.dense_ffn_parameters()
            + f64::from(self.moe_layers()) * moe_ffn
            + f64::from(self.state_space_layers()) * self.state_space_matrix_parameters()
            + head
            + self.mtp_runs() * (self.attention_parameters() + mtp_ffn + 2.0 * hidden * hidden + head)
    }

    /// FLOP of one token's attention over the sequence (scores and weighted values of all layers), forward pass, mean
    /// over the positions of a causal sequence of `sequence_length`: 2 FLOP × (query-key width + value width) × mean
    /// positions seen. That mean is s/2, and w − w²/2s in layers with a window w < s. Multi-token-prediction layers are
    /// full layers.
    pub fn attention_flop_per_token(&self, sequence_length: f64) -> f64 {
        let heads = f64::from(self.heads);
        let width = match self.mla {
            Some(mla) => {
                heads
                    * (f64::from(mla.qk_nope_head_dim)
                        + f64::from(mla.qk_rope_head_dim)
                        + f64::from(mla.v_head_dim))
            }
            None => 2.0 * self.query_width(),
        };
        let mtp = self.mtp_runs();
        let (full, local, window) = self.full_and_local_layers();
        let seen_full = sequence_length / 2.0;
        let seen_local = if window < sequence_length {
            window - window * window / (2.0 * sequence_length)
        } else {
            seen_full
        };
        2.0 * width * ((full + mtp) * seen_full + local * seen_local)
    }

    /// Model FLOP of one trained token, forward and backward, without recompute: 6 per matrix parameter it meets
    /// ([`Self::matrix_parameters_per_token`]) and three times [`Self::attention_flop_per_token`] and
    /// [`Self::scan_flop_per_token`].
    ///
    /// The convention of PaLM, arXiv 2204.02311, appendix B (6N + 12·L·H·Q·T), except that attention is counted causally
    /// (half), as current frameworks do, and that N leaves out the input embedding and counts active experts only.
    pub fn training_flop_per_token(&self, sequence_length: f64) -> f64 {
        6.0 * self.matrix_parameters_per_token()
            + 3.0 * self.attention_flop_per_token(sequence_length)
            + 3.0 * self.scan_flop_per_token(sequence_length)
    }

    /// Elements that one token adds to the KV cache of the whole model: keys and values of every layer with attention, or
    /// the latent and the rotary key of latent attention. Windowed layers drop theirs later: [`Self::kv_cache_elements`].
    pub fn kv_cache_elements_per_token(&self) -> f64 {
        f64::from(self.attention_layers()) * self.kv_cache_elements_per_token_and_layer()
    }

    /// Elements of the KV cache of one sequence of `context` tokens, whole model; windowed layers keep their window.
    pub fn kv_cache_elements(&self, context: f64) -> f64 {
        let (full, local, window) = self.full_and_local_layers();
        self.kv_cache_elements_per_token_and_layer() * (full * context + local * context.min(window))
    }

    /// Elements that one token adds to the KV cache of one layer.
    pub fn kv_cache_elements_per_token_and_layer(&self) -> f64 {
        match self.mla {
            Some(mla) => f64::from(mla.kv_lora_rank) + f64::from(mla.qk_rope_head_dim),
            None => 2.0 * self.kv_width(),
        }
    }

    /// The numbers make a transformer: within sane bounds and consistent.
    ///
    /// # Errors
    /// Under `field`: a number out of range, key and value heads that do not divide the query heads, more experts
    /// visited than there are, more dense or full layers than layers.
    pub fn check(&self, field: &str) -> Result<(), Error> {
        let at = |name: &str| if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
        let range = |name: &str, value: u32, min: u32, max: u32| {
            check_range(&at(name), f64::from(value), f64::from(min), f64::from(max)).map(|_| ())
        };
        range("layers", self.layers, 1, 10_000)?;
        range("hidden", self.hidden, 8, 1_000_000)?;
        range("heads", self.heads, 1, 10_000)?;
        range("head_dim", self.head_dim, 1, 65_536)?;
        range("vocab", self.vocab, 2, 100_000_000)?;
        range("embedding_width", self.embedding_width, 0, 1_000_000)?;
        range("learned_positions", self.learned_positions, 0, 1_000_000_000)?;
        // Passes without a layer would run nothing.
        range("mtp_layers", self.mtp_layers, u32::from(self.mtp_passes > 0), 100)?;
        if self.mtp_passes > 0 {
            range("mtp_passes", self.mtp_passes, self.mtp_layers, 100)?;
        }
        self.check_state_space(field)?;
        // Width 0 says that no layer is dense.
        let least_ffn = if self.dense_layers() == 0 { 0 } else { 1 };
        range("ffn", self.ffn, least_ffn, 100_000_000)?;
        match self.mla {
            Some(mla) => {
                range("mla.q_lora_rank", mla.q_lora_rank, 0, 1_000_000)?;
                range("mla.kv_lora_rank", mla.kv_lora_rank, 1, 1_000_000)?;
                range("mla.qk_nope_head_dim", mla.qk_nope_head_dim, 1, 65_536)?;
                range("mla.qk_rope_head_dim", mla.qk_rope_head_dim, 0, 65_536)?;
                range("mla.v_head_dim", mla.v_head_dim, 1, 65_536)?;
            }
            None => {
                range("kv_heads", self.kv_heads, 1, self.heads)?;
                if !self.heads.is_multiple_of(self.kv_heads) {
                    return Err(Error::Indivisible {
                        field: at("kv_heads"),
                        given: u64::from(self.kv_heads),
                        of: format!("{} query heads", self.heads),
                        allowed: (1..=self.heads)
                            .filter(|n| self.heads.is_multiple_of(*n))
                            .map(u64::from)
                            .collect(),
                    });
                }
            }
        }
        self.check_small_parameters(&at("small_parameters"))?;
        if let Some(sliding) = self.sliding_window {
            range("sliding_window.window", sliding.window, 1, u32::MAX)?;
            range("sliding_window.full_layers", sliding.full_layers, 0, self.attention_layers())?;
        }
        if let Some(moe) = self.moe {
            range("moe.experts", moe.experts, 1, 100_000)?;
            range("moe.top_k", moe.top_k, 1, moe.experts)?;
            range("moe.expert_ffn", moe.expert_ffn, 1, 100_000_000)?;
            range("moe.shared_ffn", moe.shared_ffn, 0, 100_000_000)?;
            // With every layer dense there would be no mixture of experts to speak of.
            range("moe.dense_layers", moe.dense_layers, 0, self.feed_forward_layers().saturating_sub(1))?;
            range("moe.latent", moe.latent, 0, 1_000_000)?;
            range("moe.expert_groups", moe.expert_groups, 0, moe.experts)?;
            let some = u32::from(moe.expert_groups > 0);
            range("moe.groups_per_token", moe.groups_per_token, some, moe.expert_groups)?;
        }
        for (name, published) in [
            ("published_parameters", self.published_parameters),
            ("published_active_parameters", self.published_active_parameters),
        ] {
            if let Some(count) = published {
                check_range(&at(name), count, 1.0, 1e15)?;
            }
        }
        Ok(())
    }

    /// No kind stands twice, and none contradicts another.
    fn check_small_parameters(&self, field: &str) -> Result<(), Error> {
        use SmallParameter as P;
        let conflict = |message: String| Error::Conflict { field: field.to_owned(), message };
        let twice = |(at, kind): &(usize, &P)| self.small_parameters.iter().take(*at).any(|k| k == *kind);
        if let Some((_, kind)) = self.small_parameters.iter().enumerate().find(twice) {
            return Err(conflict(format!("{kind:?} stands twice")));
        }
        let exclusive = [
            (P::QkNorm, P::QkNormAllHeads),
            (P::SandwichNorms, P::SharedNorm),
            (P::NormBiases, P::NormsWithoutScale),
        ];
        match exclusive.into_iter().find(|(a, b)| self.has(*a) && self.has(*b)) {
            None => Ok(()),
            Some((a, b)) => Err(conflict(format!("{a:?} and {b:?} exclude each other"))),
        }
    }

    fn ffn_parameters(&self, width: u32) -> f64 {
        self.ffn_parameters_between(f64::from(self.hidden), width)
    }

    /// A feed-forward layer of some width on vectors as wide as `hidden`.
    fn ffn_parameters_between(&self, hidden: f64, width: u32) -> f64 {
        let width = f64::from(width);
        let matrices = if self.gated { 3.0 } else { 2.0 };
        let has_biases = self.biases || self.has(SmallParameter::FfnBiases);
        let biases = if has_biases { (matrices - 1.0) * width + hidden } else { 0.0 };
        matrices * hidden * width + biases
    }

    /// One normalisation as wide as the residual stream.
    pub(super) fn one_norm_parameters(&self) -> f64 {
        let hidden = f64::from(self.hidden);
        if self.has(SmallParameter::NormsWithoutScale) {
            0.0
        } else if self.biases || self.has(SmallParameter::NormBiases) {
            2.0 * hidden
        } else {
            hidden
        }
    }

    /// The matrix between embeddings and a wider model; 0 where both are equally wide.
    fn embedding_projection(&self) -> f64 {
        if self.embedding_width == 0 { 0.0 } else { f64::from(self.embedding_width) * f64::from(self.hidden) }
    }

    fn moe_layer_ffn_parameters(&self) -> f64 {
        let experts = self.moe.map_or(0.0, |moe| f64::from(moe.experts));
        experts * self.expert_parameters()
            + self.shared_expert_parameters()
            + self.router_parameters()
            + self.latent_projection_parameters()
    }

    /// Layers with full attention, layers with a window, and the window.
    fn full_and_local_layers(&self) -> (f64, f64, f64) {
        let layers = self.attention_layers();
        match self.sliding_window {
            None => (f64::from(layers), 0.0, 0.0),
            Some(s) => {
                let full = s.full_layers.min(layers);
                (f64::from(full), f64::from(layers - full), f64::from(s.window))
            }
        }
    }
}
