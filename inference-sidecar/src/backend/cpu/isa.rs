//! One kernel body, compiled for several instruction sets.

/// Defines a function whose body is compiled plainly and, on x86-64, for AVX2 with FMA and for AVX-512 too; the widest
/// that the CPU has is called.
///
/// The body is generic over one parameter that tells it what it is compiled for: a constant that says whether `mul_add`
/// is one instruction, or what `forms:` names (plain, AVX2, AVX-512). All forms do the same operations in the same
/// order; a fused `mul_add` rounds once where the plain form rounds twice. What a body calls must be `inline(always)`,
/// or it is not compiled for the instruction set.
macro_rules! multiversion {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) = $body:ident) => {
        $crate::backend::cpu::isa::multiversion! {
            $(#[$doc])*
            $vis fn $name($($arg: $type),*) = $body, forms: { cfg!(target_arch = "aarch64") }, true, true
        }
    };
    (
        $(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) = $body:ident,
        forms: $plain:tt, $avx2:tt, $avx512:tt
    ) => {
        $(#[$doc])*
        #[allow(unsafe_code, reason = "the form that is called is one that the CPU was found to have")]
        #[allow(clippy::too_many_arguments, reason = "kernels take their operands one by one")]
        $vis fn $name($($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "as above")]
                fn avx2($($arg: $type),*) {
                    $body::<$avx2>($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "as above")]
                fn avx512($($arg: $type),*) {
                    $body::<$avx512>($($arg),*)
                }
                match $crate::backend::cpu::isa::Isa::of_this_cpu() {
                    // SAFETY: the CPU has these features.
                    $crate::backend::cpu::isa::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::backend::cpu::isa::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::backend::cpu::isa::Isa::Plain => {}
                }
            }
            $body::<$plain>($($arg),*)
        }
    };
}
pub(crate) use multiversion;

/// The instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// The target's baseline.
    Plain,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ, VL.
    Avx512,
}

impl Isa {
    /// The widest that this CPU has (cached by the standard library).
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub fn of_this_cpu() -> Self {
        let fma = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        match (fma, wide) {
            (true, true) => Self::Avx512,
            (true, false) => Self::Avx2,
            _ => Self::Plain,
        }
    }
}
