//! Sixteen sums side by side. The one place where the compiler's own vectorising is not relied on: it keeps a block of
//! such sums in memory, or turns it the wrong way round.
#![allow(
    unsafe_code,
    reason = "vector instructions; each form is used only in a kernel compiled for its instruction set"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::LANES;
use crate::weights::blocks::fma;

/// `LANES` running sums.
pub trait Lanes: Copy {
    /// All zero.
    fn zero() -> Self;

    /// `self + a * b`, lane by lane.
    fn add_product(self, a: &[f32; LANES], b: &[f32; LANES]) -> Self;

    /// The sums.
    fn array(self) -> [f32; LANES];
}

/// Without vector instructions.
#[derive(Clone, Copy)]
pub struct Plain([f32; LANES]);

impl Lanes for Plain {
    #[inline(always)]
    fn zero() -> Self {
        Self([0.0; LANES])
    }

    #[inline(always)]
    fn add_product(mut self, a: &[f32; LANES], b: &[f32; LANES]) -> Self {
        for lane in 0..LANES {
            self.0[lane] = fma::<{ cfg!(target_arch = "aarch64") }>(a[lane], b[lane], self.0[lane]);
        }
        self
    }

    #[inline(always)]
    fn array(self) -> [f32; LANES] {
        self.0
    }
}

/// In two registers of AVX2.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Avx2(__m256, __m256);

// SAFETY (all blocks): only kernels compiled for AVX2 and FMA use this form, and loads and stores are of whole arrays.
#[cfg(target_arch = "x86_64")]
impl Lanes for Avx2 {
    #[inline(always)]
    fn zero() -> Self {
        unsafe { Self(_mm256_setzero_ps(), _mm256_setzero_ps()) }
    }

    #[inline(always)]
    fn add_product(self, a: &[f32; LANES], b: &[f32; LANES]) -> Self {
        unsafe {
            let (a, b) = (a.as_ptr(), b.as_ptr());
            Self(
                _mm256_fmadd_ps(_mm256_loadu_ps(a), _mm256_loadu_ps(b), self.0),
                _mm256_fmadd_ps(_mm256_loadu_ps(a.add(8)), _mm256_loadu_ps(b.add(8)), self.1),
            )
        }
    }

    #[inline(always)]
    fn array(self) -> [f32; LANES] {
        let mut out = [0.0f32; LANES];
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr(), self.0);
            _mm256_storeu_ps(out.as_mut_ptr().add(8), self.1);
        }
        out
    }
}

/// In one register of AVX-512.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Avx512(__m512);

// SAFETY (all blocks): only kernels compiled for AVX-512 use this form, and loads and stores are of whole arrays.
#[cfg(target_arch = "x86_64")]
impl Lanes for Avx512 {
    #[inline(always)]
    fn zero() -> Self {
        unsafe { Self(_mm512_setzero_ps()) }
    }

    #[inline(always)]
    fn add_product(self, a: &[f32; LANES], b: &[f32; LANES]) -> Self {
        unsafe { Self(_mm512_fmadd_ps(_mm512_loadu_ps(a.as_ptr()), _mm512_loadu_ps(b.as_ptr()), self.0)) }
    }

    #[inline(always)]
    fn array(self) -> [f32; LANES] {
        let mut out = [0.0f32; LANES];
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) };
        out
    }
}
