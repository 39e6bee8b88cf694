//! What a pass through a layer takes, and what it moves: the sums that operations are added to.

use crate::network::{Algorithm, CollectiveTime};
use crate::training::recompute::{Again, PIECES, Piece};

/// Seconds of one pass of one micro-batch through one layer. Communication is given whole; how much of it is waited
/// for is decided by the step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pass {
    /// Matrix products.
    pub matmul: f64,
    /// Attention.
    pub attention: f64,
    /// Work bound by memory bandwidth, casts included.
    pub memory: f64,
    /// Tensor parallel communication.
    pub tensor: f64,
    /// Context parallel communication that attention does not hide.
    pub context: f64,
    /// Expert exchange.
    pub expert: f64,
    /// Kernels launched.
    pub kernels: f64,
    /// The GPU waits for the host, which launches routed experts for longer than they run.
    pub idle: f64,
    /// Times that tokens are routed.
    pub routings: f64,
}

/// Traffic of one dimension.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Volume {
    /// Bytes over the scale-up link.
    pub scale_up: f64,
    /// Bytes into the fabric.
    pub scale_out: f64,
    /// Collectives.
    pub messages: f64,
    /// Size of one of them, bytes.
    pub message_bytes: f64,
    /// Seconds of one of them.
    pub message_seconds: f64,
    /// How the library runs them.
    pub algorithm: Algorithm,
}

impl Volume {
    pub fn of(time: &CollectiveTime, message_bytes: f64, messages: f64) -> Self {
        Self {
            scale_up: time.scale_up_bytes * messages,
            scale_out: time.scale_out_bytes * messages,
            messages,
            message_bytes,
            message_seconds: time.seconds,
            algorithm: time.algorithm,
        }
    }

    /// The same messages with the bytes and seconds of others that go along with them.
    pub fn carrying(&self, other: &Self) -> Self {
        Self {
            scale_up: self.scale_up + other.scale_up,
            scale_out: self.scale_out + other.scale_out,
            message_seconds: self.message_seconds + other.message_seconds * other.messages / self.messages,
            ..*self
        }
    }
}

impl Pass {
    /// Seconds of computation.
    pub fn compute(&self) -> f64 {
        self.matmul + self.attention + self.memory
    }

    /// The same pass where so many of the GPU's multiprocessors are set aside.
    pub fn on(&self, multiprocessors: f64, aside: f64) -> Self {
        let slower = multiprocessors / (multiprocessors - aside).max(1.0);
        Self { matmul: self.matmul * slower, attention: self.attention * slower, ..*self }
    }

    /// Both.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            matmul: self.matmul + other.matmul,
            attention: self.attention + other.attention,
            memory: self.memory + other.memory,
            tensor: self.tensor + other.tensor,
            context: self.context + other.context,
            expert: self.expert + other.expert,
            kernels: self.kernels + other.kernels,
            idle: self.idle + other.idle,
            routings: self.routings + other.routings,
        }
    }

    /// So much of it.
    #[must_use]
    pub fn scaled(&self, by: f64) -> Self {
        Self {
            matmul: self.matmul * by,
            attention: self.attention * by,
            memory: self.memory * by,
            tensor: self.tensor * by,
            context: self.context * by,
            expert: self.expert * by,
            kernels: self.kernels * by,
            idle: self.idle * by,
            routings: self.routings * by,
        }
    }
}

/// Half a layer: both passes, kept activation bytes, and what can be done again by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Block {
    pub forward: Pass,
    pub backward: Pass,
    pub kept: f64,
    pub pieces: [Again; PIECES],
    pub context: Volume,
}

impl Block {
    pub fn add(&mut self, other: &Self) {
        self.forward = self.forward.plus(&other.forward);
        self.backward = self.backward.plus(&other.backward);
        self.kept += other.kept;
        for (piece, more) in self.pieces.iter_mut().zip(&other.pieces) {
            *piece = piece.plus(more);
        }
    }

    /// Doing `pass` again frees `freed_bytes`.
    pub fn piece(&mut self, piece: Piece, pass: Pass, freed_bytes: f64) {
        self.pieces[piece as usize] = self.pieces[piece as usize].plus(&Again { pass, freed_bytes });
    }

    /// Doing all of another block again frees all that it keeps.
    pub fn whole(&mut self, piece: Piece, of: &Self) {
        self.piece(piece, of.forward, of.kept);
    }
}
