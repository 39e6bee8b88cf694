//! What a pass through a layer takes, and what it moves: the sums that operations are added to.

use super::tensor::{Beside, HALVES};
use crate::kernel::Cost;
use crate::network::{Algorithm, CollectiveTime};
use crate::training::ledger::{Entry, Ledger, Role};
use crate::training::operation::StepPart;
use crate::training::recompute::{Again, PIECES, Piece};

/// Seconds of one pass of one micro-batch through one layer. Communication is given whole; how much of it is waited
/// for is decided by the step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pass<L = ()> {
    /// Matrix products.
    pub matmul: f64,
    /// Attention.
    pub attention: f64,
    /// Work bound by memory bandwidth, casts included.
    pub memory: f64,
    /// Tensor parallel communication; where it is cut into tiles, what the products do not hide.
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
    /// The operations behind these sums.
    pub told: L,
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

    /// These messages and others like them; sizes and seconds of one are the mean.
    pub fn and(&self, other: &Self) -> Self {
        let messages = self.messages + other.messages;
        if other.messages <= 0.0 {
            return *self;
        }
        if self.messages <= 0.0 {
            return *other;
        }
        let mean = |one: f64, another: f64| (one * self.messages + another * other.messages) / messages;
        Self {
            scale_up: self.scale_up + other.scale_up,
            scale_out: self.scale_out + other.scale_out,
            messages,
            message_bytes: mean(self.message_bytes, other.message_bytes),
            message_seconds: mean(self.message_seconds, other.message_seconds),
            algorithm: other.algorithm,
        }
    }

    /// So many of these messages.
    #[must_use]
    #[inline]
    pub fn scaled(&self, by: f64) -> Self {
        Self {
            scale_up: self.scale_up * by,
            scale_out: self.scale_out * by,
            messages: self.messages * by,
            ..*self
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

impl<L: Ledger> Pass<L> {
    /// A matrix product.
    #[inline]
    pub fn product(&mut self, name: &'static str, role: Role, cost: Cost) {
        self.matmul += cost.seconds;
        self.told.note(|| Entry::kernel(StepPart::Compute, name, role, cost));
    }

    /// Attention, or the scan that takes its place.
    #[inline]
    pub fn attend(&mut self, name: &'static str, cost: Cost) {
        self.attention += cost.seconds;
        self.told.note(|| Entry::kernel(StepPart::Compute, name, Role::Itself, cost));
    }

    /// Work bound by memory bandwidth.
    #[inline]
    pub fn stream(&mut self, name: &'static str, role: Role, cost: Cost) {
        self.memory += cost.seconds;
        self.told.note(|| Entry::kernel(StepPart::MemoryBound, name, role, cost));
    }

    /// A tensor parallel exchange and its launch, of which so many seconds show.
    #[inline]
    pub fn tensor_exchange(&mut self, name: &'static str, time: &CollectiveTime, shown: f64) {
        self.tensor += shown;
        self.kernels += 1.0;
        self.told.note(|| Entry::sent(StepPart::TensorParallel, name, 1.0, time, shown));
    }

    /// So many exchanges of keys and values, of which so many seconds outlast the attention.
    #[inline]
    pub fn context_exchange(&mut self, name: &'static str, count: f64, time: &CollectiveTime, waited: f64) {
        self.context += waited;
        self.told.note(|| Entry::sent(StepPart::ContextParallel, name, count, time, waited));
    }

    /// So many exchanges between experts.
    #[inline]
    pub fn expert_exchange(&mut self, name: &'static str, count: f64, time: &CollectiveTime) {
        let seconds = count * time.seconds;
        self.expert += seconds;
        self.told.note(|| Entry::sent(StepPart::ExpertParallel, name, count, time, seconds));
    }

    /// Memory-bound work by itself.
    #[inline]
    pub fn one_stream(name: &'static str, kernels: f64, cost: Cost) -> Self {
        let mut pass = Self { kernels, ..Self::default() };
        pass.stream(name, Role::Itself, cost);
        pass
    }

    /// Seconds of computation.
    pub fn compute(&self) -> f64 {
        self.matmul + self.attention + self.memory
    }

    /// The same pass where so many of the GPU's multiprocessors are set aside.
    #[must_use]
    #[inline]
    pub fn on(&self, multiprocessors: f64, aside: f64) -> Self {
        let slower = multiprocessors / (multiprocessors - aside).max(1.0);
        Self {
            matmul: self.matmul * slower,
            attention: self.attention * slower,
            told: self.told.each(|entry| entry.slower(slower)),
            ..*self
        }
    }

    /// Both.
    #[must_use]
    #[inline]
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
            told: self.told.plus(&other.told),
        }
    }

    /// So much of it.
    #[must_use]
    #[inline]
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
            told: self.told.scaled(by),
        }
    }
}

/// Half a layer: both passes, kept activation bytes, what can be done again by itself, and what is exchanged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Block<L = ()> {
    pub forward: Pass<L>,
    pub backward: Pass<L>,
    pub kept: f64,
    pub pieces: [Again<L>; PIECES],
    /// Forward and backward, products under which tensor parallel exchange runs that is yet to be added.
    pub beside: [Beside; 2],
    /// Forward and backward, by what it is exchanged around.
    pub tensor: [[Volume; 2]; HALVES],
    pub context: Volume,
}

impl<L: Ledger> Block<L> {
    #[inline]
    pub fn add(&mut self, other: &Self) {
        self.forward = self.forward.plus(&other.forward);
        self.backward = self.backward.plus(&other.backward);
        self.kept += other.kept;
        for (piece, more) in self.pieces.iter_mut().zip(&other.pieces) {
            *piece = piece.plus(more);
        }
        for (products, more) in self.beside.iter_mut().zip(&other.beside) {
            *products = products.plus(more);
        }
        let sent = self.tensor.as_flattened_mut().iter_mut().zip(other.tensor.as_flattened());
        for (volume, more) in sent.filter(|(_, more)| more.messages > 0.0) {
            *volume = volume.and(more);
        }
        self.context = self.context.and(&other.context);
    }

    /// So much of it.
    #[must_use]
    pub fn scaled(&self, by: f64) -> Self {
        Self {
            forward: self.forward.scaled(by),
            backward: self.backward.scaled(by),
            kept: self.kept * by,
            pieces: self.pieces.each_ref().map(|piece| piece.scaled(by)),
            beside: self.beside,
            tensor: self.tensor.map(|passes| passes.map(|volume| volume.scaled(by))),
            context: self.context.scaled(by),
        }
    }

    /// Doing `pass` again frees `freed_bytes`.
    #[inline]
    pub fn piece(&mut self, piece: Piece, pass: Pass<L>, freed_bytes: f64) {
        self.pieces[piece as usize] = self.pieces[piece as usize].plus(&Again { pass, freed_bytes });
    }

    /// Doing all of another block again frees all that it keeps.
    #[inline]
    pub fn whole(&mut self, piece: Piece, of: &Self) {
        self.piece(piece, of.forward.clone(), of.kept);
    }
}
