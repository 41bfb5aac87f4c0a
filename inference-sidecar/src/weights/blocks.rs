//! Stored blocks to f32. The bodies are inlined into kernels that are compiled for several instruction sets.

use super::Dtype;

/// `a * b + c`, in one rounding where the instruction set has it.
#[inline(always)]
pub fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Half precision to f32. Shifts the bits into place and repairs the exponent by a product, which is exact and,
/// unlike a look at the CPU's features for each value, can be vectorised.
#[inline(always)]
pub fn f16(bits: u16) -> f32 {
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let finite = (f32::from_bits(magnitude) * f32::from_bits(0x7780_0000)).to_bits();
    let value = if magnitude >= 0x0f80_0000 { magnitude | 0x7f80_0000 } else { finite };
    f32::from_bits(value | u32::from(bits & 0x8000) << 16)
}

#[inline(always)]
fn f16_at(block: &[u8], at: usize) -> f32 {
    f16(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// Calls a form on each block. A macro, because a call through `impl Fn` is not inlined into the kernel, and what is not
/// inlined there is not compiled for its instruction set.
macro_rules! each {
    ($bytes:ident, $out:ident, $form:expr) => {
        for (block, values) in $bytes.as_chunks().0.iter().zip($out.as_chunks_mut().0) {
            $form(std::hint::black_box(block), values);
        }
    };
}

/// Writes the values of `bytes` (whole blocks) to `out`, as many as both have.
#[inline(always)]
pub fn dequantise<const FMA: bool>(dtype: Dtype, bytes: &[u8], out: &mut [f32]) {
    match dtype {
        Dtype::F32 => each!(bytes, out, f32_one),
        Dtype::F16 => each!(bytes, out, f16_one),
        Dtype::BF16 => each!(bytes, out, bf16_one),
        Dtype::Q8_0 => each!(bytes, out, q8_0),
        Dtype::Q4_0 => each!(bytes, out, q4_0),
        Dtype::Q4_1 => each!(bytes, out, q4_1::<FMA>),
        Dtype::Q4_K => each!(bytes, out, q4_k::<FMA>),
        Dtype::Q6_K => each!(bytes, out, q6_k),
    }
}

#[inline(always)]
fn f32_one(b: &[u8; 4], o: &mut [f32; 1]) {
    o[0] = f32::from_le_bytes(*b);
}

#[inline(always)]
fn f16_one(b: &[u8; 2], o: &mut [f32; 1]) {
    o[0] = f16(u16::from_le_bytes(*b));
}

#[inline(always)]
fn bf16_one(b: &[u8; 2], o: &mut [f32; 1]) {
    o[0] = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16);
}

#[inline(always)]
fn q8_0(b: &[u8; 34], o: &mut [f32; 32]) {
    let d = f16_at(b, 0);
    for i in 0..32 {
        o[i] = f32::from(b[2 + i] as i8) * d;
    }
}

#[inline(always)]
fn q4_0(b: &[u8; 18], o: &mut [f32; 32]) {
    let d = f16_at(b, 0);
    for i in 0..16 {
        o[i] = (f32::from(b[2 + i] & 15) - 8.0) * d;
        o[i + 16] = (f32::from(b[2 + i] >> 4) - 8.0) * d;
    }
}

#[inline(always)]
fn q4_1<const FMA: bool>(b: &[u8; 20], o: &mut [f32; 32]) {
    let (d, min) = (f16_at(b, 0), f16_at(b, 2));
    for i in 0..16 {
        o[i] = fma::<FMA>(f32::from(b[4 + i] & 15), d, min);
        o[i + 16] = fma::<FMA>(f32::from(b[4 + i] >> 4), d, min);
    }
}

/// Eight groups of 32: value = d * scale * q - dmin * min. Scales and minima are 6 bits: the first four pairs are
/// plain in bytes 0..8, the others have their low bits in bytes 8..12 and their high bits atop the first eight.
#[inline(always)]
fn q4_k<const FMA: bool>(b: &[u8; 144], o: &mut [f32; 256]) {
    let (d, dmin) = (f16_at(b, 0), f16_at(b, 2));
    let packed = &b[4..16];
    for group in 0..8 {
        let (scale, min) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            let low = packed[group + 4];
            ((low & 15) | (packed[group - 4] >> 6) << 4, (low >> 4) | (packed[group] >> 6) << 4)
        };
        let (scale, min) = (d * f32::from(scale), -dmin * f32::from(min));
        // Two groups share 32 bytes: the even one has the low halves.
        let shift = group % 2 * 4;
        let quants = &b[16 + group / 2 * 32..][..32];
        for (value, quant) in o[group * 32..][..32].iter_mut().zip(quants) {
            *value = fma::<FMA>(f32::from(quant >> shift & 15), scale, min);
        }
    }
}

/// Sixteen groups of 16: value = d * scale * (q - 32), with q's low four bits in `ql` and its high two in `qh`.
#[inline(always)]
fn q6_k(b: &[u8; 210], o: &mut [f32; 256]) {
    let (ql, qh, scales, d) = (&b[..128], &b[128..192], &b[192..208], f16_at(b, 208));
    for (i, value) in o.iter_mut().enumerate() {
        // Each half of 128 values has 64 bytes of `ql` and 32 of `qh`; within it run four stripes of 32.
        let (half, stripe, at) = (i / 128, i / 32 % 4, i % 32);
        let low = ql[half * 64 + stripe % 2 * 32 + at] >> (stripe / 2 * 4) & 15;
        let high = qh[half * 32 + at] >> (stripe * 2) & 3;
        *value = d * f32::from(scales[i / 16] as i8) * (f32::from(low | high << 4) - 32.0);
    }
}

#[cfg(test)]
#[path = "blocks_tests.rs"]
mod tests;
