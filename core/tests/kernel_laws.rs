//! Laws that hold for every GPU and shape, whatever the constants.
#![allow(clippy::unwrap_used)]

mod kernel_measured;

use kernel_measured::gpus;
use proptest::prelude::*;
use rackrate::catalog::Gpu;
use rackrate::kernel::{AttentionShape, Device, ExpertShape, Family, KernelConstants};
use rackrate::model::Precision;

const PRECISIONS: [Precision; 7] = [
    Precision::Mxfp4,
    Precision::Bf16,
    Precision::Fp8,
    Precision::Fp8Blockwise,
    Precision::Mxfp8,
    Precision::Nvfp4,
    Precision::Int4,
];

fn device(gpu: &Gpu) -> Device {
    Device::new(gpu).unwrap()
}

/// Every GPU of the catalogue.
fn any_gpu() -> impl Strategy<Value = Gpu> {
    let all = gpus();
    proptest::sample::select(all)
}

fn any_precision() -> impl Strategy<Value = Precision> {
    proptest::sample::select(PRECISIONS.to_vec())
}

/// A side of a product: small ones, odd ones, powers of two.
fn side() -> impl Strategy<Value = f64> {
    prop_oneof![1_u32..300, 1_u32..70_000, (0_u32..17).prop_map(|power| 1 << power)].prop_map(f64::from)
}

fn any_attention() -> impl Strategy<Value = AttentionShape> {
    (
        1_u32..64,
        1_u32..40_000,
        0_u32..40_000,
        1_u32..9,
        1_u32..9,
        proptest::sample::select(vec![64.0, 128.0, 192.0, 576.0]),
        any::<bool>(),
    )
        .prop_map(|(batch, queries, earlier, kv_heads, per_kv_head, qk_dim, causal)| AttentionShape {
            batch: f64::from(batch),
            queries: f64::from(queries),
            keys: f64::from(queries + earlier),
            heads: f64::from(kv_heads * per_kv_head),
            kv_heads: f64::from(kv_heads),
            qk_dim,
            v_dim: 128.0,
            causal,
        })
}

fn pairs_exact(shape: &AttentionShape) -> f64 {
    let all = shape.queries * shape.keys;
    if shape.causal { all - 0.5 * shape.queries * (shape.queries - 1.0) } else { all }
}

/// Rounding may cost a last digit, never more.
fn not_less(larger: f64, smaller: f64) -> bool {
    larger >= smaller * (1.0 - 1e-12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn product_is_never_faster_than_the_roofline(
        gpu in any_gpu(), precision in any_precision(), m in side(), n in side(), k in side(), groups in 1_u32..300,
    ) {
        let device = device(&gpu);
        let groups = f64::from(groups);
        let seconds = device.grouped_gemm(groups, m, n, k, precision);
        let bytes = groups * (k * n * precision.weight_bytes() + 2.0 * m * n);
        prop_assert!(seconds > bytes / device.memory_bytes_per_s);
        match device.peak_flop_per_s("precision", precision) {
            Ok(peak) => prop_assert!(seconds.is_finite() && seconds > 2.0 * groups * m * n * k / peak),
            Err(_) => prop_assert!(seconds.is_infinite()),
        }
    }

    #[test]
    fn larger_product_is_never_faster(
        gpu in any_gpu(), precision in any_precision(), m in side(), n in side(), k in side(), more in 1_u32..5_000,
    ) {
        let device = device(&gpu);
        let seconds = device.gemm(m, n, k, precision);
        let more = f64::from(more);
        prop_assert!(not_less(device.gemm(m + more, n, k, precision), seconds));
        prop_assert!(not_less(device.gemm(m, n + more, k, precision), seconds));
        prop_assert!(not_less(device.gemm(m, n, k + more, precision), seconds));
        prop_assert!(not_less(device.grouped_gemm(1.0 + more, m, n, k, precision), seconds));
    }

    #[test]
    fn grouped_product_is_not_slower_than_its_products_one_by_one(
        gpu in any_gpu(), precision in any_precision(), m in side(), n in side(), k in side(), groups in 1_u32..300,
    ) {
        let device = device(&gpu);
        let groups = f64::from(groups);
        let together = device.grouped_gemm(groups, m, n, k, precision);
        let one_by_one = groups * device.gemm(m, n, k, precision);
        // Up to the last wave: a lone small product splits K into whole parts, many fill whole waves, at worst half empty.
        prop_assert!(together <= 2.0 * one_by_one || device.peak_flop_per_s("", precision).is_err());
    }

    #[test]
    fn faster_chip_is_never_slower(
        gpu in any_gpu(), precision in any_precision(), m in side(), n in side(), k in side(), by in 1.0..3.0_f64,
        shape in any_attention(),
    ) {
        // The same chip at higher clocks or with faster memory: architecture and multiprocessors stay, and so do the
        // constants.
        let constants = KernelConstants::of(Family::of(&gpu)).unwrap();
        let mut more_bandwidth = gpu.clone();
        more_bandwidth.memory_tb_per_s *= by;
        let mut more_flop = gpu.clone();
        more_flop.fp16_tflops *= by;
        more_flop.bf16_tflops = more_flop.bf16_tflops.map(|rate| rate * by);
        more_flop.fp8_tflops = more_flop.fp8_tflops.map(|rate| rate * by);
        more_flop.fp4_tflops = more_flop.fp4_tflops.map(|rate| rate * by);
        let base = Device::with_constants(&gpu, &constants);
        for better in [more_bandwidth, more_flop] {
            let better = Device::with_constants(&better, &constants);
            prop_assert!(not_less(base.gemm(m, n, k, precision), better.gemm(m, n, k, precision)));
            prop_assert!(not_less(base.attention_prefill(&shape), better.attention_prefill(&shape)));
            prop_assert!(not_less(base.attention_backward(&shape), better.attention_backward(&shape)));
            prop_assert!(not_less(base.attention_decode(&shape, 2.0), better.attention_decode(&shape, 2.0)));
            prop_assert!(not_less(base.memory_bound(m * n), better.memory_bound(m * n)));
        }
    }

    #[test]
    fn attention_is_never_faster_than_the_roofline(gpu in any_gpu(), shape in any_attention()) {
        let device = device(&gpu);
        let flop = 2.0 * shape.batch * shape.heads * pairs_exact(&shape) * (shape.qk_dim + shape.v_dim);
        prop_assert!(device.attention_prefill(&shape) > flop / device.peak.half);
        prop_assert!(device.attention_prefill_fp8(&shape) > flop / device.peak.fp8.max(device.peak.half));
        prop_assert!(not_less(device.attention_prefill(&shape), device.attention_prefill_fp8(&shape)));
        prop_assert!(device.attention_backward(&shape) > 2.5 * flop / device.peak.half);
        let one = AttentionShape { queries: 1.0, ..shape };
        let cache = one.batch * one.keys * one.kv_heads * (one.qk_dim + one.v_dim) * 2.0;
        prop_assert!(device.attention_decode(&one, 2.0) > cache / device.memory_bytes_per_s);
        let latent = one.batch * one.keys * one.qk_dim;
        prop_assert!(device.attention_decode_latent(&one, 1.0) > latent / device.memory_bytes_per_s);
        prop_assert!(device.attention_decode_latent(&one, 1.0) <= device.attention_decode(&one, 1.0));
    }

    #[test]
    fn longer_attention_is_never_faster(gpu in any_gpu(), shape in any_attention(), more in 1_u32..5_000) {
        let device = device(&gpu);
        let more = f64::from(more);
        for larger in [
            AttentionShape { keys: shape.keys + more, ..shape },
            AttentionShape { batch: shape.batch + more, ..shape },
            AttentionShape { heads: shape.heads + more, ..shape },
            AttentionShape { queries: shape.queries + more, keys: shape.keys + more, ..shape },
            AttentionShape { qk_dim: shape.qk_dim + more, ..shape },
        ] {
            prop_assert!(not_less(device.attention_prefill(&larger), device.attention_prefill(&shape)));
            prop_assert!(not_less(device.attention_backward(&larger), device.attention_backward(&shape)));
            prop_assert!(not_less(device.attention_decode(&larger, 1.0), device.attention_decode(&shape, 1.0)));
        }
        prop_assert!(device.attention_backward(&shape) > device.attention_prefill(&shape));
        let full = AttentionShape { causal: false, ..shape };
        prop_assert!(not_less(device.attention_prefill(&full), device.attention_prefill(&shape)));
    }

    #[test]
    fn experts_cost_at_least_their_products(
        gpu in any_gpu(), tokens in 1_u32..70_000, topk in 1_u32..9, experts in 1_u32..300, hidden in side(), width in side(),
    ) {
        let device = device(&gpu);
        let rows = f64::from(tokens * topk);
        let shape = ExpertShape {
            tokens: f64::from(tokens),
            rows,
            active_experts: rows.min(f64::from(experts)),
            hidden,
            intermediate: width,
        };
        let seconds = device.moe_ffn(&shape, Precision::Bf16);
        prop_assert!(seconds > 6.0 * rows * hidden * width / device.peak.half);
        prop_assert!(seconds > 6.0 * shape.active_experts * hidden * width / device.memory_bytes_per_s);
        let wider = ExpertShape { intermediate: width + 128.0, ..shape };
        prop_assert!(device.moe_ffn(&wider, Precision::Bf16) >= seconds);
    }
}

#[test]
fn every_family_has_constants_within_their_meaning() {
    for family in Family::all() {
        let mut constants = KernelConstants::of(family).unwrap();
        for name in KernelConstants::NAMES {
            let value = *constants.value_mut(name).unwrap();
            assert!(value.is_finite() && value >= 0.0, "{family:?} {name} {value}");
            if name.ends_with("_share") || name.ends_with("_rate") {
                assert!(value > 0.0 && value <= 1.0, "{family:?} {name} {value}");
            }
            if name.ends_with("expert_cost") || name == "rotary_passes" {
                assert!(value >= 1.0, "{family:?} {name} {value}");
            }
        }
        assert_eq!(constants.value_mut("gemm_half"), None);
        assert_eq!(constants.value_mut("nonsense"), None);
    }
}

#[test]
fn family_follows_the_chip() {
    let family = |name: &str| Family::of(gpus().iter().find(|gpu| gpu.name == name).unwrap());
    assert_eq!(family("B200-SXM"), Family::Blackwell);
    assert_eq!(family("RTX-PRO-6000-BSE"), Family::BlackwellWorkstation);
    assert_eq!(family("GB300"), Family::BlackwellUltra);
    assert_eq!(family("MI325X"), Family::Cdna3);
}

#[test]
fn format_that_the_chip_lacks_is_named() {
    let ampere = gpus().into_iter().find(|gpu| gpu.name == "A100-80GB-SXM").unwrap();
    let error = device(&ampere).peak_flop_per_s("training.precision", Precision::Fp8).unwrap_err();
    assert_eq!(error.field(), "training.precision");
    assert_eq!(error.code(), "unsupported");
}
