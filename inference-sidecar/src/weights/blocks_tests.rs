use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Case {
    dtype: String,
    bytes: Vec<u8>,
    values: Vec<f32>,
}

#[test]
fn quantised_blocks_read_as_ggml_reads_them() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/goldens/blocks.json")).unwrap();
    let forms = [Dtype::Q8_0, Dtype::Q4_0, Dtype::Q4_1, Dtype::Q4_K, Dtype::Q6_K];
    assert_eq!(cases.len(), forms.len());
    for (case, dtype) in cases.iter().zip(forms) {
        assert_eq!(case.dtype, dtype.to_string());
        let mut plain = vec![0.0; case.values.len()];
        let mut fused = plain.clone();
        dequantise::<false>(dtype, &case.bytes, &mut plain);
        dequantise::<true>(dtype, &case.bytes, &mut fused);
        for ((plain, fused), want) in plain.iter().zip(&fused).zip(&case.values) {
            // Both terms of a value may be large while the value is small.
            assert!((plain - want).abs() < 1e-5 && (fused - want).abs() < 1e-5, "{dtype}: {plain} {fused} {want}");
        }
    }
}

#[test]
fn every_half_is_read_as_the_half_crate_reads_it() {
    for bits in 0..=u16::MAX {
        let (got, want) = (f16(bits), half::f16::from_bits(bits).to_f32());
        assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{bits:#x}: {got} {want}");
    }
}

#[test]
fn plain_forms_are_read() {
    let mut out = [0.0; 2];
    dequantise::<false>(Dtype::F32, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], &mut out);
    assert_eq!(out, [1.0, -2.0]);
    dequantise::<false>(Dtype::BF16, &[0x80, 0x3f, 0, 0xc0], &mut out);
    assert_eq!(out, [1.0, -2.0]);
    dequantise::<false>(Dtype::F16, &[0, 0x3c, 0, 0xc0], &mut out);
    assert_eq!(out, [1.0, -2.0]);
}
