//! What it costs: compute by term and region, storage, transfer between the clouds.

mod commitment;
mod compute;
mod currency;
mod egress;
mod interconnect;
mod own;
mod region;
mod report;
mod storage;
mod transfer;

pub use commitment::{
    CommitmentSplit, LoadStep, SplitLoad, duration, idle_gpu_hours, load_duration, mark_cheapest, node_hours,
    split_usd,
};
pub use compute::{
    Rate, chosen_rate, compute_line, interruptible, rate, rates_together, term_warnings, terms,
};
pub use currency::Currency;
pub use own::OwnRate;
pub use report::{Cost, CostItem, CostLine, Pricing, TermCost, TransferChoice, TransferPath};
pub use storage::{CloudStorage, Kept, StorageChoice, StoredData, StoredKind, storage_lines};
pub use transfer::{End, Link, Move, move_between};
