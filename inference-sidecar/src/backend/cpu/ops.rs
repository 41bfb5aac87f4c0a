//! Row-wise and element-wise operations.

use super::isa::multiversion;
use super::{LANES, sum_lanes};
use crate::backend::Activation;
use crate::weights::blocks::fma;

/// `e^x`, within 2 units in the last place, for `x` in -87..88 (beyond, the value at the bound). After Cephes' `expf`;
/// unlike the C library's it can be vectorised.
#[inline(always)]
pub fn exp<const FMA: bool>(x: f32) -> f32 {
    /// Adding this leaves the nearest whole number in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = fma::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // x - n * ln 2, with ln 2 in two parts so that the first product is exact.
    let r = fma::<FMA>(n, 2.121_944_4e-4, fma::<FMA>(n, -0.693_359_4, x));
    let coefficients = [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let p = coefficients.iter().fold(1.987_569_1e-4, |p, &c| fma::<FMA>(p, r, c));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (fma::<FMA>(p, r * r, r) + 1.0) * power
}

/// The error function, within 4e-7: the rational approximation that Eigen and XLA use for f32.
#[inline(always)]
pub fn erf<const FMA: bool>(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let x2 = x * x;
    let above = [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906_3e-4, -2.954_6e-3, -1.609_603_3e-2];
    let below = [-2.133_740_6e-4, -1.682_827e-3, -7.373_329_2e-3, -1.426_473_9e-2];
    let p = above.iter().fold(-2.726_142_3e-10, |p, &c| fma::<FMA>(p, x2, c));
    let q = below.iter().fold(-1.456_607_2e-5, |q, &c| fma::<FMA>(q, x2, c));
    x * p / q
}

#[inline(always)]
fn apply<const FMA: bool>(f: Activation, x: f32) -> f32 {
    match f {
        Activation::Silu => x / (1.0 + exp::<FMA>(-x)),
        Activation::Gelu => 0.5 * x * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2)),
    }
}

multiversion! {
    /// `x = f(x)`.
    pub fn activate(x: &mut [f32], f: Activation) = activate_body
}

#[inline(always)]
fn activate_body<const FMA: bool>(x: &mut [f32], f: Activation) {
    match f {
        Activation::Silu => x.iter_mut().for_each(|x| *x = apply::<FMA>(Activation::Silu, *x)),
        Activation::Gelu => x.iter_mut().for_each(|x| *x = apply::<FMA>(Activation::Gelu, *x)),
    }
}

multiversion! {
    /// `out = f(gate) * up`.
    pub fn gated(gate: &[f32], up: &[f32], f: Activation, out: &mut [f32]) = gated_body
}

#[inline(always)]
fn gated_body<const FMA: bool>(gate: &[f32], up: &[f32], f: Activation, out: &mut [f32]) {
    let each = out.iter_mut().zip(gate.iter().zip(up));
    match f {
        Activation::Silu => each.for_each(|(out, (gate, up))| *out = apply::<FMA>(Activation::Silu, *gate) * up),
        Activation::Gelu => each.for_each(|(out, (gate, up))| *out = apply::<FMA>(Activation::Gelu, *gate) * up),
    }
}

/// `Σ f(x)`, in an order that depends on nothing but the length.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += f(chunk[lane]);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += f(*x);
    }
    sum_lanes(&lanes)
}

multiversion! {
    /// `out = x / sqrt(mean(x²) + eps) * weight`, one row.
    pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) = rms_norm_body
}

#[inline(always)]
fn rms_norm_body<const FMA: bool>(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let mean = sum(x, |x| x * x) / x.len() as f32;
    let scale = 1.0 / (mean + eps).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * weight;
    }
}

multiversion! {
    /// `x = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias`, one row.
    pub fn layer_norm(x: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) = layer_norm_body
}

#[inline(always)]
fn layer_norm_body<const FMA: bool>(x: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
    let count = x.len() as f32;
    let mean = sum(x, |x| x) / count;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / count;
    let scale = 1.0 / (variance + eps).sqrt();
    for ((x, weight), bias) in x.iter_mut().zip(weight).zip(bias) {
        *x = fma::<FMA>((*x - mean) * scale, *weight, *bias);
    }
}

/// Scales a row to length 1.
pub fn normalise(x: &mut [f32]) {
    let scale = 1.0 / sum(x, |x| x * x).sqrt().max(1e-12);
    x.iter_mut().for_each(|x| *x *= scale);
}

#[cfg(test)]
#[path = "ops_tests.rs"]
mod tests;
