//! Collectives: a table of nccl-tests results and of engines' all-reduce kernels.

use crate::catalog::{Catalog, FabricKind};
use crate::error::Error;
use crate::network::{
    Algorithm, CollectiveOp, CollectiveTime, Conditions, Constants, ExpertExchange, ExpertKernel, Group,
    Launch, LibraryAge, Routing, Topology, algorithm_time_with, collective_time_with,
    engine_all_reduce_time_with, expert_all_to_all_time_with,
};

use super::{Line, Table, ValidationReport, ValidationRow, equal_weights, run_of};

/// The report on a table of collectives; see [`super::validate`].
pub(super) fn validate(catalog: &Catalog, csv: &str, by: Option<&str>) -> Result<ValidationReport, Error> {
    let table = Table::read(csv, &COLUMNS)?;
    let by = by.map(|column| table.check_column("by", column)).transpose()?;
    let mut rows = Vec::new();
    let mut runs = Vec::new();
    for line in table.lines() {
        let (regime, measured, predicted) = match Measurement::read(&line)? {
            Err(why) => (None, None, Err(why)),
            Ok(measurement) => {
                let predicted = measurement.topology(catalog).and_then(|topology| {
                    measurement
                        .predict(Constants::shipped(), &topology)
                        .map(|time| time.seconds)
                        .ok_or_else(|| "no such algorithm, or no fabric, on these links".to_owned())
                });
                (Some(measurement.quantity()), Some(measurement.seconds), predicted)
            }
        };
        // Per regime: a run's small messages must not dilute its large ones.
        let id = line.need("id")?;
        runs.push(format!("{}/{}/{}", regime.unwrap_or(""), predicted.is_ok(), run_of(id)));
        let regime = regime.map(str::to_owned);
        rows.push(ValidationRow {
            id: id.to_owned(),
            quantity: "seconds".to_owned(),
            measured,
            predicted: predicted.as_ref().ok().copied(),
            refused: predicted.err(),
            group: by.map_or(regime, |column| Some(line.text(column).unwrap_or("").to_owned())),
            weight: line.number("weight", 0.0, 1e9)?.unwrap_or(1.0),
        });
    }
    if !table.has("weight") {
        let runs: Vec<&str> = runs.iter().map(String::as_str).collect();
        let weights = equal_weights(&runs);
        for (row, weight) in rows.iter_mut().zip(weights) {
            row.weight = weight;
        }
    }
    Ok(ValidationReport::new(rows))
}

/// Columns that a table of collectives must have.
///
/// Where it ran: `shape` (an instance shape), or `gpu` and `nic`, which describes a node's scale-out interfaces as
/// `8x ConnectX-7 400 Gb/s InfiniBand`; empty, `none…` or `NVLink…` inside one scale-up domain. How long: `time_us`,
/// `algbw_GBps` or `busbw_GBps`. Read too where they are there: `ranks`, `cloud`, `algorithm_protocol` (`Ring…` and
/// `NVLSTree` bind the library, `custom…` is an engine's kernel), `row_kind` (only `measured` counts), `placement`
/// (`compact`, `scattered`), `routing` (`adaptive`, `ecmp`) and `library_version` (NCCL 2.18 and older start slowly;
/// `torch` and `all_reduce_bench.py` launch from Python). Expert-parallel rows (`ep_dispatch`, `ep_combine`) need `tokens` of
/// a rank, `bytes_per_token`, `experts_per_token` and in `library_version` whether the kernels are `low-latency`;
/// `max_domains` where the router limits them. Their `algbw_GBps` counts a token once for every distinct domain (or rank,
/// inside one) that it goes to, its own included, as DeepEP prints it.
pub const COLUMNS: [&str; 5] = ["id", "nodes", "gpus_per_node", "collective", "message_bytes"];

/// One measured collective.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Name of the row.
    pub id: String,
    /// Where it was run, as the table spells it.
    pub machine: Machine,
    /// What was run.
    pub op: CollectiveOp,
    /// By whom: the library, the library bound to one algorithm, or an engine's own kernel.
    pub kernel: Kernel,
    /// Message size, bytes.
    pub bytes: f64,
    /// Ranks that took part.
    pub ranks: u32,
    /// GPUs of a node that took part.
    pub gpus_per_node: u32,
    /// Seconds.
    pub seconds: f64,
    /// Placement, routing and software, where the table states them.
    pub conditions: Conditions,
}

/// Where a collective ran.
#[derive(Debug, Clone, PartialEq)]
pub enum Machine {
    /// An instance shape.
    Shape(String),
    /// A GPU, with the fabric between nodes as kind and bytes per second of one GPU; none where all ranks share one
    /// scale-up domain.
    Gpu(String, Option<(FabricKind, f64)>),
}

/// Whose kernel ran.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// The collective library, free to choose.
    Library,
    /// The library bound to one algorithm.
    Forced(Algorithm),
    /// An inference engine's own all-reduce.
    Engine,
    /// Expert-parallel dispatch or combine.
    Expert(ExpertExchange),
}

impl Measurement {
    /// The measurement of a line; or, as text, why it holds none that can be compared.
    ///
    /// # Errors
    /// A cell that is not what its column holds.
    pub fn read(line: &Line<'_>) -> Result<Result<Self, String>, Error> {
        let left_out = |why: &str| Ok(Err(why.to_owned()));
        if let Some(kind) = line.text("row_kind")
            && kind != "measured"
        {
            return Ok(Err(format!("not a measurement ({kind})")));
        }
        let name = line.need("collective")?;
        let Some(op) = op_of(name) else { return Ok(Err(format!("no model for \"{name}\""))) };
        let ranks = line.count("ranks", 2, 10_000_000)?;
        let nodes = line.count("nodes", 1, 10_000_000)?;
        let per_node = line.count("gpus_per_node", 1, 1024)?;
        let (Some(nodes), Some(gpus_per_node)) = (nodes, per_node) else {
            return left_out("nodes not stated");
        };
        let Some(all) = nodes.checked_mul(gpus_per_node) else { return left_out("too many ranks") };
        let ranks = ranks.unwrap_or(all);
        if ranks != all {
            return left_out("ranks are not nodes times gpus_per_node");
        }
        let expert = if name.starts_with("ep_") {
            match exchange_of(line)? {
                Some(exchange) => Some(exchange),
                None => return left_out("tokens and experts not stated"),
            }
        } else {
            None
        };
        let (bytes, moved) = match &expert {
            // A published bandwidth of experts counts the copies.
            Some(one) => {
                let bytes = one.tokens * one.bytes_per_token;
                (Some(bytes), bytes * one.visited(if nodes > 1 { nodes } else { ranks }))
            }
            None => {
                let bytes = line.number("message_bytes", 0.0, 1e18)?;
                (bytes, bytes.unwrap_or(0.0))
            }
        };
        let Some(bytes) = bytes.filter(|b| *b > 0.0) else { return left_out("message size not stated") };
        let time_us = line.number("time_us", 0.0, 1e12)?;
        let algbw = line.number("algbw_GBps", 0.0, 1e9)?;
        let busbw = line.number("busbw_GBps", 0.0, 1e9)?;
        let seconds = match (time_us, algbw, busbw) {
            (Some(us), _, _) if us > 0.0 => us * 1e-6,
            (_, Some(gb), _) if gb >= COARSE_GB_PER_S => moved / (gb * 1e9),
            (_, _, Some(gb)) if gb >= COARSE_GB_PER_S => moved * op.bus_factor(ranks) / (gb * 1e9),
            (None, None, None) => return left_out("no time and no bandwidth"),
            _ => return left_out("bandwidth rounded too coarsely to give a time"),
        };
        let nic = line.text("nic").unwrap_or("");
        let machine = if let Some(shape) = line.text("shape") {
            Machine::Shape(shape.to_owned())
        } else if nodes == 1 || nic.starts_with("none") {
            Machine::Gpu(line.need("gpu")?.to_owned(), None)
        } else {
            match fabric_of(nic, line.text("cloud").unwrap_or(""), gpus_per_node) {
                Ok(fabric) => Machine::Gpu(line.need("gpu")?.to_owned(), fabric),
                Err(why) => return Ok(Err(why)),
            }
        };
        Ok(Ok(Self {
            id: line.need("id")?.to_owned(),
            machine,
            op,
            kernel: match expert {
                Some(exchange) => Kernel::Expert(exchange),
                None => kernel_of(line.text("algorithm_protocol").unwrap_or("")),
            },
            bytes,
            ranks,
            gpus_per_node,
            seconds,
            conditions: conditions_of(line)?,
        }))
    }

    /// The links that the run saw; or, as text, why they are not known.
    ///
    /// A fabric named for ranks that would fit one domain says that the domain was not used: then each node is one.
    ///
    /// # Errors
    /// The message of the catalogue's error: an unknown shape, GPU or link.
    pub fn topology(&self, catalog: &Catalog) -> Result<Topology, String> {
        match &self.machine {
            Machine::Shape(name) => {
                let shape = catalog.shape("shape", name).map_err(|e| e.to_string())?;
                if self.gpus_per_node > shape.gpus_per_node {
                    return Err(format!(
                        "{name} has {} GPUs, not {}",
                        shape.gpus_per_node, self.gpus_per_node
                    ));
                }
                let mut topology = catalog.topology(shape).map_err(|e| e.to_string())?;
                topology.conditions = self.conditions;
                Ok(topology.with_gpus_per_node(self.gpus_per_node))
            }
            Machine::Gpu(name, fabric) => {
                let gpu = catalog.gpu("gpu", name).map_err(|e| e.to_string())?;
                let (scale_out, scale_out_bytes_per_s) = fabric.unwrap_or((FabricKind::InfiniBand, 0.0));
                let by_node = fabric.is_some() && self.ranks <= gpu.scale_up_domain.max(self.gpus_per_node);
                Ok(Topology {
                    gpus_per_node: self.gpus_per_node,
                    scale_up_domain: if by_node { self.gpus_per_node } else { gpu.scale_up_domain },
                    scale_up_bytes_per_s: gpu.scale_up_gb_per_s * 1e9,
                    scale_up: gpu.scale_up_kind().map_err(|e| e.to_string())?,
                    scale_out_bytes_per_s,
                    scale_out,
                    conditions: self.conditions,
                })
            }
        }
    }

    /// What we predict; none as [`crate::network::collective_time`].
    pub fn predict(&self, constants: &Constants, topology: &Topology) -> Option<CollectiveTime> {
        let group = Group { ranks: self.ranks, stride: 1 };
        match self.kernel {
            Kernel::Library => collective_time_with(constants, self.op, self.bytes, group, topology),
            Kernel::Forced(algorithm) => {
                algorithm_time_with(constants, algorithm, self.op, self.bytes, group, topology)
            }
            Kernel::Engine => engine_all_reduce_time_with(constants, self.bytes, group, topology),
            Kernel::Expert(exchange) => expert_all_to_all_time_with(constants, &exchange, group, topology),
        }
    }

    /// Name of the regime: errors of small messages, of large ones and of engines' kernels are kept apart.
    pub fn quantity(&self) -> &'static str {
        match self.kernel {
            Kernel::Engine => "engine_time_s",
            Kernel::Expert(_) => "expert_time_s",
            _ if self.bytes < MIB => "time_below_1mib_s",
            _ => "time_from_1mib_s",
        }
    }
}

/// The measurements of a table; lines without one are passed over.
///
/// # Errors
/// A missing column, or a cell that is not what its column holds.
pub fn measurements(csv: &str) -> Result<Vec<Measurement>, Error> {
    let table = Table::read(csv, &COLUMNS)?;
    let mut out = Vec::new();
    for line in table.lines() {
        if let Ok(measurement) = Measurement::read(&line)? {
            out.push(measurement);
        }
    }
    Ok(out)
}

const MIB: f64 = 1_048_576.0;

/// Published bandwidths are rounded to 0.01 GB/s: below this a time from them is off by more than 2 %.
const COARSE_GB_PER_S: f64 = 0.25;

fn op_of(name: &str) -> Option<CollectiveOp> {
    Some(match name {
        "all_reduce" => CollectiveOp::AllReduce,
        "all_gather" => CollectiveOp::AllGather,
        "reduce_scatter" => CollectiveOp::ReduceScatter,
        "alltoall" | "all_to_all" | "ep_dispatch" | "ep_combine" => CollectiveOp::AllToAll,
        "broadcast" => CollectiveOp::Broadcast,
        "sendrecv" | "send_recv" => CollectiveOp::SendRecv,
        _ => return None,
    })
}

fn kernel_of(stated: &str) -> Kernel {
    if stated.starts_with("custom") {
        Kernel::Engine
    } else if stated.starts_with("Ring") {
        Kernel::Forced(Algorithm::Ring)
    } else if stated.starts_with("NVLSTree") {
        Kernel::Forced(Algorithm::NvlsTree)
    } else {
        Kernel::Library
    }
}

/// The expert-parallel exchange of a line; none where it lacks a number that it needs.
fn exchange_of(line: &Line<'_>) -> Result<Option<ExpertExchange>, Error> {
    let tokens = line.number("tokens", 0.0, 1e9)?;
    let bytes = line.number("bytes_per_token", 0.0, 1e9)?;
    let experts = line.count("experts_per_token", 1, 1_000_000)?;
    let max_domains = line.count("max_domains", 1, 1_000_000)?;
    let (Some(tokens), Some(bytes_per_token), Some(experts_per_token)) = (tokens, bytes, experts) else {
        return Ok(None);
    };
    let low_latency = line.text("library_version").is_some_and(|version| version.contains("low-latency"));
    let kernel = if low_latency { ExpertKernel::LowLatency } else { ExpertKernel::Normal };
    Ok(Some(ExpertExchange { tokens, bytes_per_token, experts_per_token, max_domains, kernel }))
}

/// What a line says of placement, routing and software.
fn conditions_of(line: &Line<'_>) -> Result<Conditions, Error> {
    let mut out = Conditions::default();
    match line.text("placement") {
        None | Some("compact") => {}
        Some("scattered") => out.scattered_share = 1.0,
        Some(other) => {
            return Err(Error::unknown_name(
                &line.path("placement"),
                "placement",
                other,
                ["compact", "scattered"],
            ));
        }
    }
    match line.text("routing") {
        None | Some("adaptive") => {}
        Some("ecmp") => out.routing = Routing::Ecmp,
        Some(other) => {
            return Err(Error::unknown_name(&line.path("routing"), "routing", other, ["adaptive", "ecmp"]));
        }
    }
    let version = line.text("library_version").unwrap_or("");
    if version.contains("all_reduce_bench.py") || version.contains("PyTorch") {
        out.launch = Launch::Framework;
    }
    if is_old(version) {
        out.library = LibraryAge::Nccl218;
    }
    Ok(out)
}

/// Whether a version is NCCL 2.18 or older, by its number or by the date of its log.
fn is_old(version: &str) -> bool {
    let minor = version.split("NCCL 2.").nth(1).map(|rest| {
        rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<u32>().ok())
    });
    matches!(minor, Some(Some(minor)) if minor <= 18) || version.contains("log of 2021 or earlier")
}

/// Kind of fabric and a GPU's bandwidth into it (bytes per second) from the words of a node's interfaces; none where
/// they speak of the scale-up link only.
fn fabric_of(nic: &str, cloud: &str, gpus_per_node: u32) -> Result<Option<(FabricKind, f64)>, String> {
    let words: Vec<&str> = nic.split_whitespace().collect();
    let rate = words
        .windows(2)
        .find(|w| w[1].trim_end_matches(';') == "Gb/s")
        .and_then(|w| w[0].parse::<f64>().ok());
    let Some(gbit) = rate else {
        let scale_up_only = nic.starts_with("NVLink");
        return if scale_up_only { Ok(None) } else { Err("interfaces of the nodes not stated".to_owned()) };
    };
    let kind = if nic.contains("InfiniBand") {
        FabricKind::InfiniBand
    } else if nic.contains("RoCE") || (nic.contains("RDMA") && cloud == "oci") {
        FabricKind::RoceV2
    } else if nic.contains("EFA") {
        FabricKind::Efa
    } else {
        return Err(format!("no model for the fabric \"{nic}\""));
    };
    let count = words.iter().find_map(|w| w.strip_suffix('x').and_then(|n| n.parse::<f64>().ok()));
    let per_gpu = match count {
        Some(count) => count * gbit / f64::from(gpus_per_node),
        None if nic.contains("per GPU") => gbit,
        None => return Err("number of interfaces not stated".to_owned()),
    };
    Ok(Some((kind, per_gpu * 1e9 / 8.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read() {
        let read = |nic| fabric_of(nic, "", 8);
        assert_eq!(read("8x ConnectX-7 400 Gb/s NDR InfiniBand"), Ok(Some((FabricKind::InfiniBand, 50e9))));
        assert_eq!(read("16x 100 Gb/s RoCEv2"), Ok(Some((FabricKind::RoceV2, 25e9))));
        let rack = "NVLink 5 in rack; 400 Gb/s NDR InfiniBand per GPU between racks";
        assert_eq!(read(rack), Ok(Some((FabricKind::InfiniBand, 50e9))));
        assert_eq!(read("NVLink 5 in one rack"), Ok(None));
        assert!(read("not stated").is_err());
        assert!(read("8x 200 Gb/s GPUDirect-TCPXO").is_err());
    }
}
