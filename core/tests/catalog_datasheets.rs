//! Every GPU that a cloud rents and every shape with an RDMA network, restated from datasheets and size pages.
//!
//! Figures stand here as their document prints them (with sparsity, per rack, both directions) and are converted by
//! the test, so that a slip of a table shows even where the table's own columns agree with each other.

// Helpers outside of test functions unwrap too: a failure is the test's failure.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use rackrate::catalog::{Catalog, FabricKind, Provider, ScaleUpKind};

fn catalog() -> &'static Catalog {
    Catalog::embedded().unwrap()
}

#[track_caller]
fn close(what: &str, given: f64, expected: f64, tolerance: f64) {
    assert!((given / expected - 1.0).abs() <= tolerance, "{what}: {given} is not {expected}");
}

/// Dense rate of a figure printed with 2:4 sparsity.
const fn sparse(printed: f64) -> f64 {
    printed / 2.0
}

/// One GPU's share of a figure printed for an NVL72 rack.
const fn rack(printed: f64) -> f64 {
    printed / 72.0
}

/// One GPU's share of a figure printed for a board of eight.
const fn board(printed: f64) -> f64 {
    printed / 8.0
}

struct Sheet {
    gpu: &'static str,
    /// Dense TFLOP/s at 16 bit: of bfloat16 where `bf16`, else of half precision.
    half: f64,
    bf16: bool,
    /// Dense TFLOP/s; none where the chip has no such units.
    fp8: Option<f64>,
    fp4: Option<f64>,
    memory_gb: f64,
    tb_per_s: f64,
    /// Both directions added, GB/s: of the scale-up link, of PCI Express x16 where there is none.
    link: f64,
    domain: u32,
    watts: f64,
}

const AMPERE: Sheet = Sheet {
    gpu: "",
    half: 312.0,
    bf16: true,
    fp8: None,
    fp4: None,
    memory_gb: 80.0,
    tb_per_s: 2.039,
    link: 600.0,
    domain: 8,
    watts: 400.0,
};

const HOPPER: Sheet = Sheet {
    gpu: "",
    half: sparse(1979.0),
    bf16: true,
    fp8: Some(sparse(3958.0)),
    fp4: None,
    memory_gb: 80.0,
    tb_per_s: 3.35,
    link: 900.0,
    domain: 8,
    watts: 700.0,
};

const VOLTA: Sheet = Sheet {
    gpu: "",
    half: 125.0,
    bf16: false,
    fp8: None,
    fp4: None,
    memory_gb: 16.0,
    tb_per_s: 0.9,
    link: 300.0,
    domain: 8,
    watts: 300.0,
};

const SHEETS: [Sheet; 19] = [
    // NVIDIA A100 Tensor Core GPU datasheet, 2021-06: 40GB and 80GB SXM, 80GB PCIe (bridge for 2 GPUs).
    Sheet { gpu: "A100-40GB-SXM", memory_gb: 40.0, tb_per_s: 1.555, ..AMPERE },
    Sheet { gpu: "A100-80GB-SXM", ..AMPERE },
    Sheet { gpu: "A100-80GB-PCIe", tb_per_s: 1.935, domain: 2, watts: 300.0, ..AMPERE },
    // NVIDIA H100 Tensor Core GPU datasheet, 2023 (rates with sparsity); NVL: per card, 350 to 400 W, bridge of two.
    Sheet { gpu: "H100-SXM", ..HOPPER },
    Sheet {
        gpu: "H100-NVL",
        half: sparse(1671.0),
        fp8: Some(sparse(3341.0)),
        memory_gb: 94.0,
        tb_per_s: 3.93,
        link: 600.0,
        domain: 2,
        watts: 400.0,
        ..HOPPER
    },
    // NVIDIA H200 Tensor Core GPU datasheet, 2023-11: SXM.
    Sheet { gpu: "H200-SXM", memory_gb: 141.0, tb_per_s: 4.8, ..HOPPER },
    // NVIDIA Blackwell datasheet, 2024 (rates with sparsity): HGX B200, a board of eight; GB200 NVL72, a rack.
    Sheet {
        gpu: "B200-SXM",
        half: sparse(board(36_000.0)),
        fp8: Some(sparse(board(72_000.0))),
        fp4: Some(sparse(board(144_000.0))),
        memory_gb: board(1440.0),
        tb_per_s: 7.7,
        link: 1800.0,
        watts: 1000.0,
        ..HOPPER
    },
    Sheet {
        gpu: "GB200",
        half: sparse(rack(360_000.0)),
        fp8: Some(sparse(rack(720_000.0))),
        fp4: Some(sparse(rack(1_440_000.0))),
        memory_gb: 186.0,
        tb_per_s: rack(576.0),
        link: rack(130_000.0),
        domain: 72,
        watts: 1200.0,
        ..HOPPER
    },
    // NVIDIA Blackwell Ultra datasheet, 2025: HGX B300 (62 TB/s a board; FP4 14 PFLOP/s dense a GPU, 18 with sparsity);
    // GB300 NVL72 (FP4 1,080 PFLOP/s dense a rack, 1,440 with sparsity). Memory as fitted, of which less is usable.
    Sheet {
        gpu: "B300-SXM",
        half: sparse(board(36_000.0)),
        fp8: Some(sparse(board(72_000.0))),
        fp4: Some(14_000.0),
        memory_gb: 288.0,
        tb_per_s: board(62.0),
        link: 1800.0,
        watts: 1100.0,
        ..HOPPER
    },
    Sheet {
        gpu: "GB300",
        half: sparse(rack(360_000.0)),
        fp8: Some(sparse(rack(720_000.0))),
        fp4: Some(rack(1_080_000.0)),
        memory_gb: 288.0,
        tb_per_s: rack(576.0),
        link: rack(130_000.0),
        domain: 72,
        watts: 1400.0,
        ..HOPPER
    },
    // AMD Instinct MI300X data sheet, 2023-12: seven Infinity Fabric links of 128 GB/s.
    Sheet {
        gpu: "MI300X",
        half: 1307.4,
        fp8: Some(2614.9),
        memory_gb: 192.0,
        tb_per_s: 5.3,
        link: 7.0 * 128.0,
        watts: 750.0,
        ..HOPPER
    },
    // AMD Instinct MI355X data sheet, 2025-06: seven links of 153.6 GB/s; rates printed in PFLOP/s to one decimal.
    Sheet {
        gpu: "MI355X",
        half: 2500.0,
        fp8: Some(5000.0),
        fp4: Some(10_100.0),
        memory_gb: 288.0,
        tb_per_s: 8.0,
        link: 7.0 * 153.6,
        watts: 1400.0,
        ..HOPPER
    },
    // NVIDIA L40S datasheet, 2023 (dense beside sparse).
    Sheet {
        gpu: "L40S",
        half: 362.05,
        fp8: Some(sparse(1466.0)),
        memory_gb: 48.0,
        tb_per_s: 0.864,
        link: 64.0,
        domain: 1,
        watts: 350.0,
        ..HOPPER
    },
    // NVIDIA RTX PRO 6000 Blackwell Server Edition datasheet, 2025-12: 96 GB, 1,597 GB/s, 600 W. Its tensor rates are
    // printed to one digit (4 PFLOP/s FP4 with sparsity); the clock of the card gives these (ai-dynamo/aiconfigurator).
    Sheet {
        gpu: "RTX-PRO-6000-BSE",
        half: 188.0 * 1024.0 * 2430.0 / 1e6,
        fp8: Some(188.0 * 2048.0 * 2430.0 / 1e6),
        fp4: Some(188.0 * 4096.0 * 2430.0 / 1e6),
        memory_gb: 96.0,
        tb_per_s: 1.597,
        link: 128.0,
        domain: 1,
        watts: 600.0,
        ..HOPPER
    },
    // NVIDIA A10 datasheet, 2021.
    Sheet {
        gpu: "A10",
        half: sparse(250.0),
        memory_gb: 24.0,
        tb_per_s: 0.6,
        link: 64.0,
        domain: 1,
        watts: 150.0,
        ..AMPERE
    },
    // NVIDIA T4 datasheet, 2019: "320+ GB/s", x16 PCIe Gen3 ("32 GB/s").
    Sheet { gpu: "T4", half: 65.0, tb_per_s: 0.32, link: 32.0, domain: 1, watts: 70.0, ..VOLTA },
    // NVIDIA V100 datasheet, 2020-01: SXM2 and PCIe.
    Sheet { gpu: "V100-16GB", ..VOLTA },
    Sheet { gpu: "V100-32GB", memory_gb: 32.0, ..VOLTA },
    Sheet { gpu: "V100-PCIe-16GB", half: 112.0, link: 32.0, domain: 1, watts: 250.0, ..VOLTA },
];

#[test]
fn every_rented_gpu_is_restated() {
    let rented: BTreeSet<&str> = catalog().shapes.iter().map(|s| s.gpu.as_str()).collect();
    let restated: BTreeSet<&str> = SHEETS.iter().map(|s| s.gpu).collect();
    assert_eq!(rented, restated);
}

#[test]
fn gpus_are_their_datasheets() {
    for s in &SHEETS {
        let g = catalog().gpu("gpu", s.gpu).unwrap();
        close(s.gpu, g.fp16_tflops, s.half, 0.01);
        assert_eq!(g.bf16_tflops, s.bf16.then_some(g.fp16_tflops), "{}", s.gpu);
        for (given, expected) in [(g.fp8_tflops, s.fp8), (g.fp4_tflops, s.fp4)] {
            assert_eq!(given.is_some(), expected.is_some(), "{}", s.gpu);
            if let (Some(given), Some(expected)) = (given, expected) {
                close(s.gpu, given, expected, 0.01);
            }
        }
        close(s.gpu, g.memory_tb_per_s, s.tb_per_s, 0.01);
        close(s.gpu, 2.0 * g.scale_up_gb_per_s, s.link, 0.01);
        assert_eq!(g.scale_up_domain, s.domain, "{}", s.gpu);
        assert_eq!(g.scale_up_kind().unwrap() == ScaleUpKind::Pcie, s.domain == 1, "{}", s.gpu);
        close(s.gpu, g.tdp_watts, s.watts, 1e-9);
        // The vendors' "GB" is decimal for some and binary for others: the driver reports a figure between the two.
        let decimal = s.memory_gb * 1e9 / 1_073_741_824.0;
        assert!(g.memory_gib >= 0.99 * decimal && g.memory_gib <= s.memory_gb, "{}: {}", s.gpu, g.memory_gib);
        assert!(g.memory_reported, "{}: no driver's report of its memory", s.gpu);
    }
}

/// Provider, shape, GPU, GPUs in a node, RDMA ports of a node, Gb/s of a port, protocol.
type Network = (Provider, &'static str, &'static str, u32, u32, f64, FabricKind);

use FabricKind::{InfiniBand, RoceV2};
use Provider::{Azure, Oci};

const NETWORKS: [Network; 22] = [
    // Azure/azurehpc-health-checks, conf/nd40rs_v2.conf, 2026-05: one port of 100 Gb/s.
    (Azure, "Standard_ND40rs_v2", "V100-32GB", 8, 1, 100.0, InfiniBand),
    // Microsoft Learn, "ND A100 v4" 2024-07-31; ports of both sizes in azurehpc-health-checks, 2026-05.
    (Azure, "Standard_ND96asr_v4", "A100-40GB-SXM", 8, 8, 200.0, InfiniBand),
    (Azure, "Standard_ND96amsr_A100_v4", "A100-80GB-SXM", 8, 8, 200.0, InfiniBand),
    // Microsoft Learn, "ND H100 v5" 2025-09-02, "ND H200 v5" 2025-09-02, "ND MI300X v5" 2024-08-01.
    (Azure, "Standard_ND96isr_H100_v5", "H100-SXM", 8, 8, 400.0, InfiniBand),
    (Azure, "Standard_ND96isr_H200_v5", "H200-SXM", 8, 8, 400.0, InfiniBand),
    (Azure, "Standard_ND96isr_MI300X_v5", "MI300X", 8, 8, 400.0, InfiniBand),
    // Microsoft Learn, "ND GB200-v6" 2025-03-20 (4 x 400 Gb/s), "ND GB300-v6" 2026-08-12 (4x800).
    (Azure, "Standard_ND128isr_NDR_GB200_v6", "GB200", 4, 4, 400.0, InfiniBand),
    (Azure, "Standard_ND128isr_GB300_v6", "GB300", 4, 4, 800.0, InfiniBand),
    // Oracle, "Compute Shapes", copy of 2025-11: "8 x 200 Gbps RDMA", "16 x 100", "8 x 2 x 200", "8 x 400", "800 Gbps".
    (Oci, "BM.GPU4.8", "A100-40GB-SXM", 8, 8, 200.0, RoceV2),
    (Oci, "BM.GPU.A100-v2.8", "A100-80GB-SXM", 8, 16, 100.0, RoceV2),
    (Oci, "BM.GPU.H100.8", "H100-SXM", 8, 16, 200.0, RoceV2),
    (Oci, "BM.GPU.H200.8", "H200-SXM", 8, 8, 400.0, RoceV2),
    (Oci, "BM.GPU.B200.8", "B200-SXM", 8, 8, 400.0, RoceV2),
    (Oci, "BM.GPU.MI300X.8", "MI300X", 8, 8, 400.0, RoceV2),
    (Oci, "BM.GPU.MI355X.8", "MI355X", 8, 8, 400.0, RoceV2),
    (Oci, "BM.GPU.L40S.4", "L40S", 4, 1, 800.0, RoceV2),
    (Oci, "BM.GPU.GB300.4", "GB300", 4, 4, 800.0, RoceV2),
    // oracle-quickstart/oci-gpu-quickstarts, 2026-04-10: "InfiniBand, 4 x 400 Gbps RDMA", "RoCEv2 L3, 8 x 400 Gbps RDMA",
    // "8 x 2 x 400 Gb/s = 6.4 Tb/s".
    (Oci, "BM.GPU.GB200.4", "GB200", 4, 4, 400.0, InfiniBand),
    (Oci, "BM.GPU.GB200-v3.4", "GB200", 4, 8, 400.0, RoceV2),
    (Oci, "BM.GPU.B300.8", "B300-SXM", 8, 16, 400.0, RoceV2),
    // oracle-quickstart/oci-hpc, node checks of 2026-05-19: sixteen ports of 100 Gb/s.
    (Oci, "BM.GPU.B4.8", "A100-40GB-SXM", 8, 16, 100.0, RoceV2),
    // The same, a later version: eight ports that must pass 375 Gb/s each.
    (Oci, "BM.GPU.RTXPRO.8", "RTX-PRO-6000-BSE", 8, 8, 400.0, RoceV2),
];

#[test]
fn every_shape_with_rdma_is_restated() {
    let shapes = catalog().shapes.iter();
    let joined: BTreeSet<&str> = shapes.filter(|s| s.fabric.is_some()).map(|s| s.name.as_str()).collect();
    let restated: BTreeSet<&str> = NETWORKS.iter().map(|n| n.1).collect();
    assert_eq!(joined, restated);
}

#[test]
fn shapes_are_their_size_pages() {
    for (provider, name, gpu, gpus, ports, gbit, protocol) in NETWORKS {
        let s = catalog().shape("shape", name).unwrap();
        assert_eq!((s.provider, s.name.as_str(), s.gpu.as_str()), (provider, name, gpu));
        assert_eq!(s.gpus_per_node, gpus, "{name}");
        let node = f64::from(ports) * gbit;
        close(name, f64::from(gpus) * s.rdma_gbit_per_s_per_gpu.unwrap(), node, 1e-12);
        let topology = catalog().topology(s).unwrap();
        assert_eq!(topology.scale_out, protocol, "{name}");
        close(name, topology.scale_out_bytes_per_s * f64::from(gpus), node * 1e9 / 8.0, 1e-12);
        assert_eq!(catalog().scale_out_note(s), None);
    }
}

/// Shape, host memory in GiB, front end in Gb/s, local disks in TB.
#[test]
fn hosts_are_their_size_pages() {
    for (name, gib, frontend, disk_tb) in [
        // Microsoft Learn, "ND H100 v5" 2025-09-02 and "ND GB300-v6" 2026-08-12 (16 TiB of disks).
        ("Standard_ND96isr_H100_v5", 1900.0, 80.0, 28.0 * 1.024_f64.powi(4)),
        ("Standard_ND128isr_GB300_v6", 864.0, 160.0, 16.0 * 1.024_f64.powi(4)),
        // Microsoft Learn, "NCCads H100 v5" 2024-08-06: 800 GiB of temporary disk.
        ("Standard_NCC40ads_H100_v5", 320.0, 40.0, 0.8 * 1.024_f64.powi(3)),
        // Oracle, "Compute Shapes", copy of 2025-11.
        ("BM.GPU.H100.8", 2048.0, 100.0, 16.0 * 3.84),
        ("BM.GPU.H200.8", 3072.0, 200.0, 8.0 * 3.84),
        ("BM.GPU.B200.8", 4096.0, 2.0 * 200.0, 8.0 * 3.84),
        ("BM.GPU.GB300.4", 960.0, 2.0 * 200.0, 4.0 * 7.68),
        ("BM.GPU.MI355X.8", 3072.0, 2.0 * 200.0, 8.0 * 7.68),
        // oracle-quickstart/oci-gpu-quickstarts, 2026-04-10: 8 x 3.5 TiB, 4 TB DDR5, 100 Gb/s.
        ("BM.GPU.B300.8", 4096.0, 100.0, 8.0 * 3.84),
    ] {
        let s = catalog().shape("shape", name).unwrap();
        close(name, s.host_memory_gib.unwrap(), gib, 1e-9);
        close(name, s.frontend_gbit_per_s.unwrap(), frontend, 1e-9);
        close(name, s.local_disk_tb.unwrap(), disk_tb, 0.001);
    }
}

#[test]
fn bridged_pairs_talk_over_nvlink() {
    // Azure/azurehpc-health-checks, 2026-05: NCCL's all-reduce of the two cards must pass 193 and 208 GB/s, more than
    // PCI Express carries; of the four cards of NC96ads 25 GB/s, less than it carries.
    for (name, kind, domain, gb_per_s) in [
        ("Standard_NC48ads_A100_v4", ScaleUpKind::NvLink3, 2, 193.0),
        ("Standard_NC80adis_H100_v5", ScaleUpKind::NvLink4, 2, 208.0),
        ("Standard_NC96ads_A100_v4", ScaleUpKind::Pcie, 4, 25.0),
    ] {
        let topology = catalog().topology(catalog().shape("shape", name).unwrap()).unwrap();
        assert_eq!((topology.scale_up, topology.scale_up_domain), (kind, domain), "{name}");
        assert!(topology.scale_up_bytes_per_s > gb_per_s * 1e9, "{name}");
    }
}
