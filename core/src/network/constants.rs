//! The measured constants of links and libraries, read once from `data/network_constants.csv`.
//!
//! The file is written by `examples/fit_network.rs`; a row is fitted on published measurements or sourced.

use std::sync::OnceLock;

use crate::catalog::FabricKind;

use super::ScaleUpKind;

/// The shipped table: name, value, unit, origin (fitted or sourced), source.
pub const TABLE: &str = include_str!("../../data/network_constants.csv");

/// Every constant of the network model.
///
/// A constant that the table lacks is NaN, and a time that needs it is `None`; a test holds the shipped table complete.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constants {
    /// By kind of scale-up link.
    pub scale_up: [ScaleUpConstants; 5],
    /// By protocol family of the fabric: InfiniBand, RoCEv2, EFA.
    pub scale_out: [ScaleOutConstants; 3],
    /// Of the collective library and of expert-parallel kernels, whatever the link.
    pub library: LibraryConstants,
}

macro_rules! constants {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $name { $($(#[$field_doc])* pub $field: f64,)* }

        impl $name {
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
            const ABSENT: Self = Self { $($field: f64::NAN),* };

            fn field_mut(&mut self, name: &str) -> Option<&mut f64> {
                match name {
                    $(stringify!($field) => Some(&mut self.$field),)*
                    _ => None,
                }
            }
        }
    };
}

constants! {
    /// What belongs to a kind of scale-up link. Efficiencies are shares of the one-way bandwidth.
    ScaleUpConstants {
        /// Start of a library collective inside the domain, s.
        start_s,
        /// One step of a ring or tree over the link, s.
        step_s,
        /// Large-message efficiency of rings and trees.
        ring_efficiency,
        /// Large-message efficiency of an all-to-all.
        pair_efficiency,
        /// How far pipelining falls short between small and large messages (see `wire_time`).
        ramp,
        /// Start of a reduction in the switch, s; NaN where the link has none.
        nvls_start_s,
        /// One more rank of a reduction in the switch, s.
        nvls_rank_s,
        /// Large-message efficiency of a reduction in the switch.
        nvls_efficiency,
        /// The same with a tree between the switches of several domains, which takes channels of its own.
        nvls_tree_efficiency,
        /// Start of an inference engine's own all-reduce kernel, s; NaN where none was measured.
        engine_start_s,
        /// One more rank of it, s.
        engine_rank_s,
        /// Efficiency of the one-shot kernel: every rank reads every other rank's whole buffer.
        engine_one_shot_efficiency,
        /// Second synchronisation of the two-shot kernel, s.
        engine_second_shot_s,
        /// Efficiency of the two-shot kernel: reduce-scatter, then all-gather.
        engine_two_shot_efficiency,
    }
}

constants! {
    /// What belongs to a protocol family of the fabric. Efficiencies are shares of the one-way injection bandwidth.
    ScaleOutConstants {
        /// What crossing the fabric adds to the start of a library collective, s.
        start_s,
        /// One step of a ring or tree over the fabric, s.
        step_s,
        /// One more domain of an all-to-all, s.
        peer_s,
        /// Large-message efficiency of a ring over two domains.
        ring_efficiency,
        /// Large-message efficiency of a tree over two domains.
        tree_efficiency,
        /// Large-message efficiency of an all-to-all over two domains.
        pair_efficiency,
        /// Added share of wire time for each doubling of the domains past two.
        congestion,
        /// As `ScaleUpConstants::ramp`.
        ramp,
    }
}

constants! {
    /// What belongs to the software.
    LibraryConstants {
        /// Start of an all-to-all, in starts of the scale-up link.
        pair_starts,
        /// One more peer of an all-to-all, in steps of the scale-up link.
        peer_steps,
        /// Efficiency of a tree on the scale-up link, as a share of a ring's.
        tree_share,
        /// Local copy of a rank's own shard, as a share of its time on the wire, in rings.
        ring_copy,
        /// The same in an all-to-all.
        pair_copy,
        /// What the ramp adds at most, in start-ups (see `wire_time`).
        ramp_limit,
        /// GPUs of one domain whose ports a ring or tree uses at most: the library opens so many channels that leave a
        /// domain, which binds racks and never eight GPUs.
        rails,
        /// How much longer a collective of NCCL 2.18 or older takes to start, s.
        old_start_s,
        /// What RCCL, the library on Infinity Fabric, adds to the start of a collective that crosses a fabric, s.
        rccl_fabric_start_s,
        /// A framework's launch of one collective, s.
        framework_launch_s,
        /// Added share of wire time for each doubling of the domains past two where they lie scattered, with adaptive
        /// routing.
        scatter_adaptive,
        /// The same with ECMP.
        scatter_ecmp,
        /// Doublings past two after which scattered domains add no more: the largest measured group.
        scatter_doublings,
        /// Start of a reduction in the fabric's switches, s.
        fabric_reduction_start_s,
        /// One more rank of a gather or scatter along trees (PAT), where a domain has one rank, s.
        pat_rank_s,
        /// Such steps that one step over the fabric stands for.
        pat_overlap,
        /// Large-message efficiency of it, of the fabric's.
        pat_efficiency,
        /// Start of a low-latency expert exchange inside a domain, s.
        expert_low_latency_start_s,
        /// The same where it crosses the fabric, s.
        expert_low_latency_fabric_start_s,
        /// Start of a normal (bandwidth) expert exchange, s.
        expert_normal_start_s,
        /// Efficiency of expert kernels on the scale-up link.
        expert_scale_up_efficiency,
        /// Efficiency of expert kernels on the fabric.
        expert_scale_out_efficiency,
    }
}

const SCALE_UP: [&str; 5] = ["nvlink3", "nvlink4", "nvlink5", "infinity_fabric", "pcie"];
const SCALE_OUT: [&str; 3] = ["infini_band", "roce_v2", "efa"];
const LIBRARY: &str = "library";

impl Constants {
    /// No constant known.
    pub const ABSENT: Self = Self {
        scale_up: [ScaleUpConstants::ABSENT; 5],
        scale_out: [ScaleOutConstants::ABSENT; 3],
        library: LibraryConstants::ABSENT,
    };

    /// The shipped constants.
    pub fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Constants> = OnceLock::new();
        SHIPPED.get_or_init(|| Self::parse(TABLE))
    }

    /// The constants of a table of `name,value,…` lines; an unknown name or an unreadable value is passed over, which
    /// leaves its constant absent.
    pub fn parse(table: &str) -> Self {
        let mut out = Self::ABSENT;
        for line in table.lines() {
            let mut cells = line.splitn(3, ',');
            if let (Some(name), Some(value)) = (cells.next(), cells.next())
                && let (Some(slot), Ok(value)) = (out.get_mut(name), value.parse())
            {
                *slot = value;
            }
        }
        out
    }

    /// Every name a table may hold, such as `nvlink4.step_s`.
    pub fn names() -> Vec<String> {
        let group = |kind: &str, fields: &[&str]| -> Vec<String> {
            fields.iter().map(|field| format!("{kind}.{field}")).collect()
        };
        let mut out = Vec::new();
        for kind in SCALE_UP {
            out.extend(group(kind, ScaleUpConstants::FIELDS));
        }
        for kind in SCALE_OUT {
            out.extend(group(kind, ScaleOutConstants::FIELDS));
        }
        out.extend(group(LIBRARY, LibraryConstants::FIELDS));
        out
    }

    /// The constant `name`, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut f64> {
        let (kind, field) = name.split_once('.')?;
        if let Some(index) = SCALE_UP.iter().position(|k| *k == kind) {
            self.scale_up[index].field_mut(field)
        } else if let Some(index) = SCALE_OUT.iter().position(|k| *k == kind) {
            self.scale_out[index].field_mut(field)
        } else if kind == LIBRARY {
            self.library.field_mut(field)
        } else {
            None
        }
    }

    /// The constants of a kind of scale-up link.
    pub fn of_scale_up(&self, kind: ScaleUpKind) -> &ScaleUpConstants {
        match kind {
            ScaleUpKind::NvLink3 => &self.scale_up[0],
            ScaleUpKind::NvLink4 => &self.scale_up[1],
            ScaleUpKind::NvLink5 => &self.scale_up[2],
            ScaleUpKind::InfinityFabric => &self.scale_up[3],
            ScaleUpKind::Pcie => &self.scale_up[4],
        }
    }

    /// The constants of a fabric; none for a circuit between clouds, which carries no collectives.
    pub fn of_scale_out(&self, kind: FabricKind) -> Option<&ScaleOutConstants> {
        match kind {
            FabricKind::InfiniBand => Some(&self.scale_out[0]),
            FabricKind::RoceV2 => Some(&self.scale_out[1]),
            FabricKind::Efa => Some(&self.scale_out[2]),
            FabricKind::PrivateCircuit => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_is_whole() {
        let mut constants = *Constants::shipped();
        let optional = |name: &str| {
            let kind = name.split('.').next().unwrap();
            (name.contains(".nvls_") && !matches!(kind, "nvlink4" | "nvlink5"))
                || (name.contains(".engine_") && matches!(kind, "infinity_fabric" | "pcie"))
        };
        for name in Constants::names() {
            let value = *constants.get_mut(&name).unwrap();
            assert!(value.is_finite() && value >= 0.0 || optional(&name), "{name} is {value}");
        }
        let known = Constants::names();
        for line in TABLE.lines().skip(1) {
            let name = line.split(',').next().unwrap();
            assert!(known.iter().any(|k| k == name), "{name} is not a constant");
        }
    }
}
