//! A prompt's KV cache between the pools: how much is sent, over which links, and how long it takes.

use super::super::cut::Cut;
use super::{KvTransfer, PoolPair};
use crate::network::{CollectiveOp, Group, Topology, collective_time};

/// A request's KV cache on its way.
#[derive(Debug, Clone, Copy)]
pub(in crate::inference) struct Transfer {
    /// Bytes to all GPUs that decode the request.
    pub(super) bytes: f64,
    /// Seconds, waiting included.
    pub(super) seconds: f64,
    /// Seconds after the prefill.
    pub exposed: f64,
    /// Requests per second that the links sustain.
    pub(super) most_rate: f64,
}

/// A prompt's KV cache between the pools: bytes to all GPUs that decode it, and the seconds that the links of the GPUs
/// that read it and of each that decodes it are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::inference) struct Passage {
    pub bytes: f64,
    pub sent: f64,
    pub received: f64,
}

impl PoolPair<'_, '_> {
    /// The way of a prompt of `tokens` from one pool to the other; none where no link joins them.
    ///
    /// Every GPU that decodes a sequence receives its own share of the cache (of latent attention all of it: the latent
    /// is not cut by heads); the GPUs that read the prompt send as much in all, inside the scale-up domain where both
    /// pools lie in one.
    pub fn passage(&self, prefill: u32, decode: u32, tokens: f64) -> Option<Passage> {
        let (from, to) = (&self.prefill_layout.cut, &self.decode_layout.cut);
        let model = self.decode_model;
        let each = model.kv_bytes(to, tokens) * model.prefix.own_share(tokens, tokens) / to.pp;
        let bytes = each * to.tp * to.pp;
        let gpus =
            prefill.saturating_mul(self.prefill_gpus).saturating_add(decode.saturating_mul(self.decode_gpus));
        let link = between(&model.topology, gpus);
        let seconds = |bytes: f64| {
            collective_time(CollectiveOp::SendRecv, bytes, link, &model.topology).map(|time| time.seconds)
        };
        Some(Passage { bytes, sent: seconds(bytes / (from.tp * from.pp))?, received: seconds(each)? })
    }

    /// A request's transfer at a `rate` of them; none where no link joins the pools. Requests of one attention rank are
    /// sent one after the other over its GPUs' own links.
    pub fn transfer(&self, prefill: u32, decode: u32, rate: f64) -> Option<Transfer> {
        let (from, to) = (&self.prefill_layout.cut, &self.decode_layout.cut);
        let model = self.decode_model;
        let Passage { bytes, sent, received } = self.passage(prefill, decode, self.input)?;
        let ranks = |replicas: u32, cut: &Cut| f64::from(replicas) * cut.dp;
        let most_rate = (ranks(prefill, from) / sent).min(ranks(decode, to) / received);
        // Pollaczek-Khinchine, as for prompts.
        let used = (rate / most_rate).min(1.0 - 1e-9);
        let alone = sent.max(received);
        let seconds = alone * (1.0 + 0.5 * (1.0 + model.random_spread().0) * used / (1.0 - used));
        let exposed = match self.kind {
            KvTransfer::AfterPrefill => seconds,
            KvTransfer::LayerByLayer => {
                // What is sent of all layers but the last hides behind the reading of those after the first.
                let layers = model.sizes.layers;
                (seconds - self.prefill.ttft_seconds * (layers - 1.0) / layers).max(seconds / layers)
            }
        };
        Some(Transfer { bytes, seconds, exposed, most_rate })
    }

    pub(super) fn transfer_at(&self, prefill: u32, decode: u32, rate: f64) -> Transfer {
        let never = Transfer { bytes: 0.0, seconds: f64::INFINITY, exposed: f64::INFINITY, most_rate: 0.0 };
        self.transfer(prefill, decode, rate).unwrap_or(never)
    }
}

/// A GPU of one pool and one of the other: neighbours where all `gpus` lie in one scale-up domain.
fn between(topology: &Topology, gpus: u32) -> Group {
    let domain = topology.scale_up_domain.max(1);
    Group { ranks: 2, stride: if gpus <= domain { 1 } else { domain } }
}
