//! Hybrids: what state-space layers and latent experts add to the counts, and how many layers there are of each kind.

use super::{Architecture, SmallParameter, StateSpace};
use crate::error::{Error, check_range};

impl StateSpace {
    /// Width of all heads together.
    pub fn inner_width(&self) -> f64 {
        f64::from(self.heads) * f64::from(self.head_dim)
    }

    /// Width of B and C of all groups together.
    pub fn group_width(&self) -> f64 {
        2.0 * f64::from(self.groups) * f64::from(self.state)
    }

    /// Width of what the causal convolution passes over: input, B and C.
    pub fn conv_channels(&self) -> f64 {
        self.inner_width() + self.group_width()
    }

    /// Width of what the input projection makes: gate, input, B, C and one step size a head.
    pub fn projected_width(&self) -> f64 {
        self.inner_width() + self.conv_channels() + f64::from(self.heads)
    }

    /// FLOP of the recurrence for one token of one layer, forward pass, in the chunked form (arXiv 2405.21060, section 6):
    /// for each head the chunk's states (2·state·width) and what earlier states give (as much), and inside of the chunk,
    /// over half of its positions, scores for each group (2·state) and weighted values for each head (2·width).
    pub fn scan_flop_per_token(&self, sequence_length: f64) -> f64 {
        let state = f64::from(self.state);
        let seen = 0.5 * f64::from(self.chunk).min(sequence_length);
        4.0 * state * self.inner_width() + 2.0 * seen * (f64::from(self.groups) * state + self.inner_width())
    }
}

impl Architecture {
    /// Layers with attention: all of them, but in a hybrid.
    pub fn attention_layers(&self) -> u32 {
        self.state_space.map_or(self.layers, |s| s.attention_layers)
    }

    /// State-space layers.
    pub fn state_space_layers(&self) -> u32 {
        self.state_space.map_or(0, |s| s.layers)
    }

    /// Layers with a feed-forward part, dense or of experts: all of them, but in a hybrid.
    pub fn feed_forward_layers(&self) -> u32 {
        self.layers
            - self.state_space.map_or(0, |s| s.layers.saturating_add(s.attention_layers).min(self.layers))
    }

    /// Whether layers of several kinds take turns over the whole depth: in a hybrid, and where a quarter of the layers and
    /// more lack experts (every second one of Llama 4 Maverick). Models that start with dense layers have at most 1 in 17 of
    /// them.
    pub fn alternates(&self) -> bool {
        self.state_space.is_some()
            || self.moe.is_some() && self.dense_layers() >= self.layers.div_ceil(4).max(2)
    }

    /// Times that a training step runs multi-token prediction.
    pub fn mtp_runs(&self) -> f64 {
        f64::from(if self.mtp_passes == 0 { self.mtp_layers } else { self.mtp_passes })
    }

    /// Width that routed experts work in: the latent one, or that of the residual stream.
    pub fn expert_width(&self) -> f64 {
        match self.moe {
            Some(moe) if moe.latent > 0 => f64::from(moe.latent),
            _ => f64::from(self.hidden),
        }
    }

    /// Parameters of a layer's projections to and from the latent width of its experts; 0 without one.
    pub fn latent_projection_parameters(&self) -> f64 {
        2.0 * f64::from(self.hidden) * f64::from(self.moe.map_or(0, |moe| moe.latent))
    }

    /// Parameters of one state-space layer, its normalisation before the layer apart: projections in and out, the
    /// convolution with its biases, the normalisation behind the gate, and for each head a decay, a weight of the input
    /// itself and the bias of its step size. 0 without such layers.
    pub fn state_space_parameters(&self) -> f64 {
        let per_head = 3.0;
        self.state_space.map_or(0.0, |s| {
            self.state_space_matrix_parameters()
                + s.conv_channels()
                + s.inner_width()
                + per_head * f64::from(s.heads)
        })
    }

    /// Weights of one state-space layer that a token is multiplied with: projections and convolution.
    pub fn state_space_matrix_parameters(&self) -> f64 {
        let hidden = f64::from(self.hidden);
        self.state_space.map_or(0.0, |s| {
            hidden * s.projected_width()
                + f64::from(s.conv_width) * s.conv_channels()
                + s.inner_width() * hidden
        })
    }

    /// FLOP of one token's recurrence in all state-space layers, forward pass ([`StateSpace::scan_flop_per_token`]).
    pub fn scan_flop_per_token(&self, sequence_length: f64) -> f64 {
        self.state_space.map_or(0.0, |s| f64::from(s.layers) * s.scan_flop_per_token(sequence_length))
    }

    /// Parameters of all state-space layers, and the normalisation of every layer that has no attention in a hybrid.
    pub(super) fn hybrid_parameters(&self) -> f64 {
        let without_attention = f64::from(self.layers.saturating_sub(self.attention_layers()));
        f64::from(self.state_space_layers()) * self.state_space_parameters()
            + without_attention * self.one_norm_parameters()
    }

    /// Sizes within sane bounds, layers of all kinds no more than there are, groups that divide the heads.
    pub(super) fn check_state_space(&self, field: &str) -> Result<(), Error> {
        let Some(s) = self.state_space else { return Ok(()) };
        let prefix = if field.is_empty() { String::new() } else { format!("{field}.") };
        let at = |name: &str| format!("{prefix}state_space.{name}");
        let range = |name: &str, value: u32, min: u32, max: u32| {
            check_range(&at(name), f64::from(value), f64::from(min), f64::from(max)).map(|_| ())
        };
        range("layers", s.layers, 1, self.layers)?;
        range("attention_layers", s.attention_layers, 0, self.layers - s.layers)?;
        range("heads", s.heads, 1, 100_000)?;
        range("head_dim", s.head_dim, 1, 65_536)?;
        range("state", s.state, 1, 65_536)?;
        range("groups", s.groups, 1, s.heads)?;
        range("conv_width", s.conv_width, 1, 1024)?;
        range("chunk", s.chunk, 1, 65_536)?;
        if !s.heads.is_multiple_of(s.groups) {
            return Err(Error::Indivisible {
                field: at("groups"),
                given: u64::from(s.groups),
                of: format!("{} state-space heads", s.heads),
                allowed: (1..=s.heads).filter(|n| s.heads.is_multiple_of(*n)).map(u64::from).collect(),
            });
        }
        if self.moe.is_some() && self.feed_forward_layers() == 0 {
            return Err(Error::Conflict {
                field: at("layers"),
                message: "state-space and attention layers leave none for the experts of moe".to_owned(),
            });
        }
        let norms = [SmallParameter::SandwichNorms, SmallParameter::SharedNorm];
        match norms.into_iter().find(|kind| self.has(*kind)) {
            None => Ok(()),
            Some(kind) => Err(Error::Conflict {
                field: format!("{prefix}small_parameters"),
                message: format!(
                    "{kind:?} is about layers of two halves; with state_space each layer has one"
                ),
            }),
        }
    }
}
